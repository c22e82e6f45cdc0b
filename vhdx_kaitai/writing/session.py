"""The session of a writer: from the first byte that it changes in an image to the last.

It begins with headers that have a new FileWriteGuid, so that whoever remembers
something of the file sees that it has changed, and it ends with headers without a
LogGuid: then the log is clean [MS-VHDX 2.2.2].

Facts that force the design:

* A cut of the power may lose any part of what was not flushed. Of two headers
  that are both not flushed it may leave none, so one is on the medium before the
  other is written.
* Nobody knows what a failed write or flush has left, and the next flush may
  succeed without having done what the failed one did not. So the first failure
  ends the session: what is in the file then is what a cut may leave.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar
from uuid import UUID, uuid4

from ..errors import FailedError, VhdxError, refuse
from ..format import encode
from ..format.descent import Descent
from ..format.headers import Headers, check_room
from ..format.judge import REFUSE
from ..format.place import HEADERS, TOP_LEVEL
from ..format.replay import ReplaySummary
from ..format.structures import Header
from ..guids import NIL
from ..records import NamedTuple
from ..storage.overlay import Overlay, Update
from ..storage.target import Target

_T = TypeVar("_T")

# Two when it begins, two after a replay, two when the log is begun, two when it ends.
_HEADERS_WRITTEN = 8


class Change(NamedTuple):
    """One thing that an operation changes, in words for people.

    Attributes:
        what: What it is.
        before: What it was.
        after: What it is going to be.
    """

    what: str
    before: str
    after: str


class Outcome(NamedTuple):
    """What an operation has made of an image, or would make of it.

    Attributes:
        is_changed: Whether the file was changed; not when nothing was to be done, or was only
            to be told.
        is_locked: Whether programs that ask for locks were kept away meanwhile.
        replayed: What the replay of the log changes; None when the log was clean.
        changes: What else is changed.
    """

    is_changed: bool
    is_locked: bool
    replayed: ReplaySummary | None
    changes: tuple[Change, ...] = ()


def refuse_without_room(header: Header) -> None:
    """Raise when a file has no room for the headers of a session.

    Args:
        header: Its current header.

    Raises:
        FormatError: Their numbers would come to an end (HDR-28).
    """
    refuse(check_room(header, _HEADERS_WRITTEN))


class Session:
    """The changes to one image, none of which is made after one has failed.

    Args:
        file: The file.
        headers: Its headers, judged. What is to be written has to fit them.
        data_write_guid: Which DataWriteGuid it gets if it gets a new one; by default one that
            nobody has seen.

    Attributes:
        file: The file.
        headers: Its headers as they are now.
        has_failed: Whether a write or a flush has failed, so that nothing more is written.
        when_failed: Called when that happens.
        flushed_size: Length in bytes that the file has for certain: that of the last flush.
    """

    def __init__(self, file: Target, headers: Headers, data_write_guid: UUID | None = None) -> None:
        self._data_write_guid = data_write_guid
        self.file = file
        self.headers = headers
        self.has_failed = False
        self.when_failed: Callable[[], None] = _nothing
        self.flushed_size = 0
        self._harmless: BaseException | None = None
        # Whether the current header is on the medium. Nobody knows that of one that was there:
        # whoever wrote it may have been killed before it was flushed.
        self._is_current_flushed = False

    def begin(self, *, for_data: bool = False) -> None:
        """Give both headers a new FileWriteGuid, before anything else changes (HDR-21, HDR-25).

        Args:
            for_data: Whether what a reader of the disk sees is going to change. Then the
                DataWriteGuid is a new one, too (HDR-22); it stays otherwise (HDR-23).

        Raises:
            FormatError: The file has no room for newer headers (HDR-28); it is as it was.
        """
        refuse_without_room(self.headers.current)
        guids = {"data_write_guid": self._data_write_guid or uuid4()} if for_data else {}
        self._update_headers(file_write_guid=uuid4(), **guids)

    def begin_log(self, log_guid: UUID) -> None:
        """Say in both headers that the log has entries, the first of which is on the medium."""
        self._update_headers(log_guid=log_guid)

    def end(self) -> None:
        """Say in both headers that the log is clean, after what it holds is in its place."""
        self.flush()
        self._update_headers(log_guid=NIL)
        self.flush()

    def write(self, data: bytes, offset: int) -> None:
        """Write all bytes at a file offset."""
        self._do(self.file.write, data, offset)

    def zero(self, offset: int, length: int) -> None:
        """Let a range of the file read as zeros."""
        self._do(self.file.zero, offset, length)

    def set_length(self, length: int) -> None:
        """Give the file a length in bytes."""
        self._do(self.file.set_length, length)

    def flush(self) -> None:
        """Return when all that was written is on the medium."""
        size = self.file.size
        self._do(self.file.flush)
        self.flushed_size = size
        self._is_current_flushed = True

    def check(self) -> None:
        """Raise when nothing more may be written.

        Raises:
            FailedError: An earlier write or flush has failed.
        """
        if self.has_failed:
            failed = FailedError("an earlier write or flush has failed: nothing more is written")
            failed.path = self.file.path
            raise failed

    def attempt(self, work: Callable[..., _T], *arguments: Any) -> _T:
        """Do something to payload, or something that changes nothing, which may fail harmlessly.

        Raises:
            FailedError: An earlier write or flush has failed.
            OSError: There is no space, or the medium fails.
            VhdxError: What is read is damaged.
        """
        self.check()
        try:
            return work(*arguments)
        except (OSError, VhdxError) as error:
            self._harmless = error
            raise

    def critical(self) -> AbstractContextManager[None]:
        """End the session when something goes wrong meanwhile, since nobody knows how far it got.

        That is meant for an interrupt, too, but not for what has failed harmlessly.
        """
        return _Critical(self)

    def fail(self) -> None:
        """Let nothing more be written."""
        self.has_failed = True
        self.when_failed()

    def leave(self, error: BaseException | None) -> None:
        """End what was critical, in which something went wrong or nothing did."""
        harmless, self._harmless = self._harmless, None  # with all that it went through
        if error is not None and error is not harmless:
            self.fail()

    def _update_headers(self, **changes: Any) -> None:
        """Update the headers twice, so that both say the same (HDR-27).

        Of the two headers in the file one is on the medium at any moment: the current one when
        the other is overwritten, here and by the next update.
        """
        if not self._is_current_flushed:
            self.flush()
        self._update_header(changes)
        self.flush()
        self._update_header(changes)

    def _update_header(self, changes: dict[str, Any]) -> None:
        """Write a newer header, made of the current one, over the other one (HDR-26)."""
        current, copy = self.headers.current, 3 - self.headers.current_copy
        header = current._replace(
            place=HEADERS[copy - 1],
            sequence_number=current.sequence_number + 1,
            reserved=bytes(len(current.reserved)),
            **changes,
        )
        data = encode.header(header)
        self.headers = self._judged(copy, data)
        self.write(data, TOP_LEVEL[f"header_{copy}"][0])
        self._is_current_flushed = False

    def _judged(self, copy: int, data: bytes) -> Headers:
        """Return the headers as a reader finds them when a copy of them is written.

        Raises:
            FormatError: A reader would refuse them; nothing is written.
        """
        offset, length = TOP_LEVEL[f"header_{copy}"]
        update = Update(offset, offset + length, offset, data)
        way = Descent(Overlay(self.file, [update], self.file.size), REFUSE)
        assert way.headers is not None
        assert way.header is not None
        assert way.headers.current_copy == copy
        return way.headers

    def _do(self, verb: Callable[..., None], *arguments: Any) -> None:
        self.check()
        try:
            verb(*arguments)
        except BaseException:
            self.fail()
            raise


def _nothing() -> None:
    """Do nothing."""


class _Critical(AbstractContextManager[None]):
    """The time in which whatever goes wrong ends a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._session.leave(error)
