"""The log of an image that is being changed: pages of its metadata get into their place whole.

A page is first written into the log, and into its place when that is on the medium;
so a crash finds every page as it was or as it is to be [MS-VHDX 2.3].

Facts that force the design:

* The text wants the header to name a new LogGuid before log space is overwritten
  (HDR-24). If the power fails between that and the first entry, the header asks for
  a log that is not there, and every reader has to refuse the file. So the first
  entry comes first, and the header names it when it is on the medium. No reader
  takes an entry for anything while no header has its LogGuid.
* Pages may wait for their places, and the newest of several that have the same place
  is enough there. An entry is needed until its pages are in place for certain: until a
  flush has returned that began after they were written. Then the next entry may name a later
  one as its tail. But the space of an entry is free only when an entry that does so
  is on the medium itself: after a crash the newest one there counts, whatever was
  in memory.
* Entries that are flushed together may be on the medium in any selection. All but
  the first have a tail that is not themselves, so what follows one that is lost is
  no sequence, and a beginning of them is what replay takes. So each beginning has
  to make sense, too, and the caller gives the pages in such an order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import cache
from itertools import chain
from uuid import uuid4

from ..errors import UnsupportedError, refusal, refuse
from ..format import encode
from ..format.grammar import DescriptorKind
from ..format.headers import check_current
from ..format.log import SECTOR, Log, check_entry, check_entry_header
from ..format.place import length_of, span_of
from ..format.structures import DataSector, Header, LogDescriptor, LogEntry, LogEntryHeader
from ..records import NamedTuple
from ..units import MIB, ceil_div
from .session import Session

# Pages of an entry; more would need a second sector of descriptors, or half of the ring.
MOST_PAGES = 125

_LEADING = span_of("data_descriptor_body", "leading_bytes")[1]
_TRAILING = span_of("data_descriptor_body", "trailing_bytes")[1]


class Page(NamedTuple):
    """A page of metadata that is to be written.

    Attributes:
        offset: File offset of its place in bytes.
        data: Its 4 KiB.
    """

    offset: int
    data: bytes


def refuse_without_log(header: Header, size: int) -> None:
    """Raise when a file has no log that can be used.

    Args:
        header: Its current header.
        size: Length of the file in bytes.

    Raises:
        UnsupportedError: It has no log.
        LimitError: Its log is too long to be replayed.
    """
    if not header.log_length:
        raise UnsupportedError("the image has no log, so its metadata cannot be changed")
    refuse(check_current(header._replace(log_guid=uuid4()), size))


class _Entry(NamedTuple):
    """An entry in the ring.

    Attributes:
        number: Its SequenceNumber.
        tail: That of the entry which it names as its tail.
        offset: Where it begins, in bytes from the start of the log.
        length: Its length in bytes.
    """

    number: int
    tail: int
    offset: int
    length: int


class Journal:
    """The log, from the first entry of a session to the last.

    Args:
        session: The session, which has begun; the log is clean.

    Raises:
        UnsupportedError: The file has no log.
        LimitError: It has one that is too long to be replayed.

    Attributes:
        has_begun: Whether the headers say that the log has entries.
    """

    def __init__(self, session: Session) -> None:
        self.has_begun = False
        self._session = session
        self._guid = uuid4()
        header = session.headers.current._replace(log_guid=self._guid)
        refuse_without_log(header, session.file.size)
        self._ring = Log(session.file, header)
        # The entries that a reader may need after a crash, from the tail that the newest one
        # on the medium names to the newest one.
        self._entries: deque[_Entry] = deque()
        self._used = 0  # bytes of the ring that they take
        self._number = 0  # that of the newest
        self._next = 0  # where the next one begins, in the ring
        self._flushed = 0  # up to which entry they are on the medium
        self._placed = 0  # up to which entry pages are in place, and
        self._certain = 0  # up to which they are so on the medium
        self._waiting: dict[int, bytes] = {}  # pages that are not in place, by their places

    @property
    def is_half_full(self) -> bool:
        """Whether it is time to write pages into their places."""
        return 2 * self._free < self._ring.length

    def write(self, pages: Sequence[Page], needed_size: int) -> None:
        """Write pages into the log, so that a crash leaves a beginning of them.

        When this returns they are there for whoever opens the file after a crash, and so is
        all that was written to the file before. They are not in their places yet.

        Args:
            pages: The pages, of which up to `MOST_PAGES` get there together.
            needed_size: Length in bytes that the file needs with them.

        Raises:
            OSError: The medium fails; the session has ended.
        """
        for first in range(0, len(pages), MOST_PAGES):
            part = pages[first : first + MOST_PAGES]
            if _length_of(len(part)) + SECTOR > self._free:  # a sector is left to make room by
                self._make_room(needed_size)
            self._append(part, needed_size)
        self._settle()

    def place(self) -> None:
        """Write what was logged into its places; the next flush makes that certain."""
        run: list[bytes] = []
        start = end = 0
        for offset, data in sorted(self._waiting.items()):
            if run and offset != end:
                self._session.write(b"".join(run), start)
                run = []
            if not run:
                start = offset
            run.append(data)
            end = offset + SECTOR
        if run:
            self._session.write(b"".join(run), start)
        self._waiting = {}
        self._placed = self._number

    def flush(self) -> None:
        """Return when all that was written is on the medium, in the log and elsewhere."""
        self._session.flush()
        self._flushed, self._certain = self._number, self._placed
        while self._entries and self._entries[0].number < self._entries[-1].tail:
            self._used -= self._entries.popleft().length

    @property
    def _free(self) -> int:
        """Bytes of the ring that hold no entry which a reader may need."""
        return self._ring.length - self._used

    def _make_room(self, needed_size: int) -> None:
        """Let a reader need no entry but an empty one."""
        self._settle()
        self.place()
        self.flush()  # what is in place is so for certain
        self._append((), needed_size)
        self.flush()

    def _append(self, pages: Sequence[Page], needed_size: int) -> None:
        """Write an entry into the ring, after the newest one."""
        self._number += 1
        entry = _Entry(self._number, self._number, self._next, _length_of(len(pages)))
        for older in self._entries:
            if older.number > self._certain:
                entry = entry._replace(tail=older.number)
                break
        else:
            older = entry
        head = LogEntryHeader(
            is_signature_valid=True,
            checksum=0,  # which packing makes right
            entry_length=entry.length,
            tail=older.offset,
            sequence_number=entry.number,
            num_descriptors=len(pages),
            reserved=0,
            log_guid=self._guid,
            flushed_file_offset=self._session.flushed_size // MIB * MIB,
            last_file_offset=needed_size,
        )
        self._write_into_ring(encode.log_entry(self._judged(_built(head, pages), entry.offset)))
        self._entries.append(entry)
        self._used += entry.length
        self._next = (entry.offset + entry.length) % self._ring.length
        self._waiting.update(pages)

    def _judged(self, entry: LogEntry, offset: int) -> LogEntry:
        """Return an entry, in which no reader is going to find anything wrong."""
        of_header = check_entry_header(entry.header, self._ring, offset)
        for finding in chain(of_header, check_entry(entry, entry.header, self._ring, offset)):
            raise refusal(finding)
        return entry

    def _write_into_ring(self, data: bytes) -> None:
        """Write an entry where the next one begins; it goes on at the start of the ring."""
        before_end = self._ring.length - self._next
        self._session.write(data[:before_end], self._ring.file_offset(self._next))
        if len(data) > before_end:
            self._session.write(data[before_end:], self._ring.file_offset(0))

    def _settle(self) -> None:
        """Return when all entries are on the medium, and the headers say that there are some."""
        if self._flushed < self._number:
            self.flush()
            if not self.has_begun:
                self._session.begin_log(self._guid)
                self.has_begun = True


@cache
def _length_of(pages: int) -> int:
    """Return the bytes of an entry with some pages."""
    head, each = length_of("log_entry_header"), length_of("log_descriptor")
    return (ceil_div(head + pages * each, SECTOR) + pages) * SECTOR


def _built(head: LogEntryHeader, pages: Sequence[Page]) -> LogEntry:
    """Return an entry with some pages."""
    number = head.sequence_number
    kind, end = DescriptorKind.data_descriptor, SECTOR - _TRAILING
    descriptors = tuple(
        LogDescriptor(kind, offset, number, 0, 0, data[:_LEADING], data[end:])
        for offset, data in pages
    )
    sectors = tuple(DataSector(True, number, data[_LEADING:end]) for _, data in pages)
    used = length_of("log_entry_header") + len(pages) * length_of("log_descriptor")
    padding = bytes(-used % SECTOR)
    return LogEntry(head, descriptors, padding, sectors, used + len(padding))
