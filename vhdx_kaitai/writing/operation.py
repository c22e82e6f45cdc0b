"""What operations have in common that change an image in place: plan first, then do it.

An operation looks at the image and says what it would change. Nothing has been written
then, and with `dry_run` nothing will be. What others rely on is not changed unasked.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from typing import Protocol, TypeVar

from ..errors import VhdxError
from ..reading.image import Image
from ..records import NamedTuple
from ..storage.locks import Lock
from ..storage.target import FileTarget
from .editor import Editor, begin_editing, survey_to_begin
from .guards import refuse_what_others_need
from .session import Change, Outcome, Session


class Plan(Protocol):
    """What an operation is going to change."""

    @property
    def changes(self) -> tuple[Change, ...]:
        """The changes, for people; when there are none, nothing is done."""


_P = TypeVar("_P", bound=Plan)


class Terms(NamedTuple):
    """How an image is changed.

    Attributes:
        for_data: Whether what a reader of the disk sees changes, be it but its identity.
        force: Whether that is done although others rely on it.
        dry_run: Whether to say only what would be changed.
        lock: Whether the file has to be locked.
    """

    for_data: bool
    force: bool = False
    dry_run: bool = False
    lock: Lock = "auto"


def change(
    path: str | os.PathLike[str],
    plan: Callable[[Image], _P],
    carry_out: Callable[[Editor, _P], None],
    terms: Terms,
) -> Outcome:
    """Plan a change of one image, and carry it out unless it is only to be told.

    Args:
        path: The file.
        plan: Makes the plan; it writes nothing.
        carry_out: Does what it says, and leaves nothing that is not committed but for one step.
        terms: How.

    Raises:
        FormatError: The image is not to be written to.
        InUseError: Another program has the file open.
        UnsafeError: Others rely on the image.
        OSError: There is no space, or the medium fails.
    """
    name = os.fsdecode(path)
    with closing(_source_of(name, terms)) as file:
        try:
            image = Image(file if isinstance(file, FileTarget) else file.stored)
            made = plan(image)
            changes = made.changes
            if changes and terms.for_data and not terms.force:
                refuse_what_others_need(image)
            if terms.dry_run:
                if changes:
                    survey_to_begin(image)
                return Outcome(False, False, image.replayed if changes else None, changes)
            assert isinstance(file, FileTarget)
            if changes:
                _carry_out(file, image, carry_out, made, for_data=terms.for_data)
        except VhdxError as error:
            error.path = error.path or name
            raise
        return Outcome(bool(changes), file.is_locked, image.replayed if changes else None, changes)


def _source_of(name: str, terms: Terms) -> FileTarget | Image:
    return Image(name) if terms.dry_run else FileTarget(name, terms.lock)


def _carry_out(
    file: FileTarget,
    image: Image,
    carry_out: Callable[[Editor, _P], None],
    made: _P,
    *,
    for_data: bool,
) -> None:
    session = Session(file, image.headers)
    editor = begin_editing(session, image, for_data=for_data)
    with session.critical():
        carry_out(editor, made)
        editor.end()
    Image(file, replay="refuse")  # as it is now, it opens
