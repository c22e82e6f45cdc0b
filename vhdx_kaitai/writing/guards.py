"""What keeps an image from being changed that others rely on, unless that is forced.

A new DataWriteGuid says that the disk reads otherwise than before. Then children do
not take the image for their parent any more [MS-VHDX 2.2.2], and what backups have
recorded of changed blocks is of no use, since they do not see these changes.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator
from itertools import product

from ..errors import InUseError, UnsafeError, VhdxError
from ..format.locator import matching_key
from ..reading.folders import look_into
from ..reading.image import Image
from ..storage import locks
from ..storage.source import FileSource
from ..text import counted

# Of change tracking, beside the image that it is about: Hyper-V writes them.
_TRACKING = (".rct", ".mrt")

_NAMED = 3  # children whose names are told

_MOST_LINKS = 40  # one after the other; no system follows more


def refuse_what_others_need(image: Image, but: Container[str] = ()) -> None:
    """Raise when others rely on an image that is going to have a new DataWriteGuid, or to go.

    Looked at are the files in its folder, not those below; and where the path is a symbolic
    link, those beside that.

    Args:
        image: The image.
        but: Children that are taken care of, by their real paths.

    Raises:
        UnsafeError: There are children of it, or records of change tracking.
    """
    if image.path is None:
        return
    places = list(_places(image.path))
    children = {real: name for place in places for real, name in _children(image, place, but)}
    if children:
        names = ", ".join(list(children.values())[:_NAMED]) + ", ..." * (len(children) > _NAMED)
        count = counted(len(children), "child", "children")
        _refuse(image, f"{count} of it ({names}) would have no parent any more")
    for path, suffix in product(places, _TRACKING):
        if os.path.lexists(path + suffix):
            name = os.path.basename(path) + suffix
            _refuse(image, f"{name} records changes for backups, and would miss this one")


def _places(path: str) -> Iterator[str]:
    """Yield by which paths a file is reached: the one given, and where links lead on the way."""
    path = os.path.join(os.getcwd(), path)  # with every `..`, before which a link may stand
    yield path
    for _ in range(_MOST_LINKS):
        if not os.path.islink(path):
            return
        path = os.path.join(os.path.dirname(path), os.readlink(path))
        yield path


def lock_parents(images: Iterable[Image], lock: locks.Lock, *, hint: str = "") -> None:
    """Keep others from writing to images that a child relies on, as long as these are open.

    Args:
        images: The images.
        lock: Whether they have to be locked.
        hint: What can be done when they cannot be, for the message.

    Raises:
        InUseError: Somebody writes to one of them, or has just done so.
        UnsupportedError: There are no locks, and they are demanded.
    """
    for image in images:
        file = image.stored
        if isinstance(file, FileSource) and file.path is not None:
            # As a plain number: an error holds what it was about, and with that its descriptor.
            is_locked = locks.lock_parent(int(file.fd), file.path, lock, hint=hint)
            if is_locked and file.has_changed():  # since it was read, before it was locked
                error = InUseError("another program has just changed the file: try again")
                error.path = file.path
                raise error


def _refuse(image: Image, why: str) -> None:
    error = UnsafeError(f"{why}; --force (force=True) changes it all the same")
    error.path = image.path
    raise error


def _children(image: Image, place: str, but: Container[str]) -> Iterator[tuple[str, str]]:
    """Yield real paths and names of files beside an image that are children of it."""
    guid = image.headers.current.data_write_guid
    for path in look_into(os.path.dirname(place)).images:
        real = os.path.realpath(path)
        if path == place or real in but:
            continue
        try:
            with Image(path) as other:
                if other.locator is not None and matching_key(other.locator, guid) is not None:
                    yield real, os.path.basename(path)
        except (VhdxError, OSError):  # what cannot be opened has no parent now either
            continue
