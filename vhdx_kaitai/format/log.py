"""The log: entries, runs of them, and the active sequence.

The log is a ring of 4 KiB sectors. When the current header carries a LogGuid,
the metadata in the file may be out of date or half written, and the entries of
the *active sequence* have to be applied before anything else is read
[MS-VHDX 2.3]; `replay` does that.

Facts that force the design:

* A ring full of stale entries is the normal state of a clean log, so an entry
  that is not valid is no error; it ends a run, and says why.
* Of a run of valid entries only those from the tail of its last entry on are
  the sequence; older ones before it must not be replayed (2.3.2).
* An entry may be written by anyone, so the bytes that are checksummed while
  looking for the active sequence are bounded as a whole.
* A clean log may have 4 GiB, so only what begins like an entry is parsed.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from functools import cached_property

from ..errors import Finding, LimitError, Span, mismatch
from ..guids import NIL
from ..records import TYPE_CHECKING, NamedTuple
from ..storage.source import Source, Uncopied
from ..text import plain_signature, signature_text
from ..units import MIB, is_aligned
from . import checksum, grammar
from .grammar import DescriptorKind
from .place import length_of, signature_of
from .structures import Header, LogDescriptor, LogEntry, LogEntryHeader

if TYPE_CHECKING:
    from typing import NoReturn

SECTOR = length_of("log_data_sector")  # unit of the log [MS-VHDX 2.3.1]

# What an entry begins with, for going through a log at the speed of reading it.
ENTRY_SIGNATURE = signature_of("log_entry_header")

# Ours: a log without tricks needs each of its bytes once or twice. Forged entries
# that overlap each other could ask for all of the log again at every sector. An
# entry is in memory as a whole, and what begins like one is kept.
_MAX_BYTES = 512 * MIB
_MAX_ENTRY_LENGTH = 16 * MIB
_MAX_ENTRIES = 1 << 17

# Ours, too: a MiB of log has room for 255 updates with data.
_MAX_DESCRIPTORS = 1 << 17
_DESCRIPTOR_LENGTH = length_of("log_descriptor")


class JudgedEntry(NamedTuple):
    """One place in the log where an entry begins, judged.

    Attributes:
        offset: Where it begins, in bytes from the start of the log.
        header: Its head.
        descriptors: What it changes; empty when it is not valid.
        data_start: Where its data sectors begin, in bytes from the start of the log,
            not wrapped around.
        defect: The rule because of which it is not valid; None when it is.
    """

    offset: int
    header: LogEntryHeader
    descriptors: tuple[LogDescriptor, ...] = ()
    data_start: int = 0
    defect: Finding | None = None

    @property
    def is_valid(self) -> bool:
        """Whether every rule about a single entry is kept."""
        return self.defect is None


class LogRun(NamedTuple):
    """Valid entries that follow each other in place and number.

    Attributes:
        entries: At least one.
        tail_index: Which of them the last one names as its tail; None when
            the tail is not among them, so that the run is no sequence.
        is_complete: Whether it ends because nothing follows, and not because
            the ring does.
    """

    entries: tuple[JudgedEntry, ...]
    tail_index: int | None
    is_complete: bool

    @property
    def head(self) -> JudgedEntry:
        """The last entry."""
        return self.entries[-1]

    @property
    def sequence(self) -> tuple[JudgedEntry, ...]:
        """The entries from the head's tail to the head; empty when it is not among them."""
        return () if self.tail_index is None else self.entries[self.tail_index :]


class Log(Uncopied):
    """The log of a file, as its current header places it.

    What was read and judged of it once is kept.

    Args:
        source: The file as it is stored.
        header: The current header, judged.

    Attributes:
        offset: File offset of the log in bytes.
        length: Its length in bytes.
        guid: LogGuid of the current header; zero when the log is clean.
    """

    def __init__(self, source: Source, header: Header) -> None:
        self.offset = header.log_offset
        self.length = header.log_length
        self.guid = header.log_guid
        self._source = source
        self._entries: dict[int, JudgedEntry] = {}
        # What judging entries may cost, in bytes checksummed and descriptors parsed.
        self._bytes_left = max(_MAX_BYTES, 2 * self.length)
        self._descriptors_left = _MAX_DESCRIPTORS

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes of the ring; a range that passes its end goes on at its start."""
        first = min(length, self.length - offset)
        data = self._source.read(self.offset + offset, first)
        if first < length:
            data += self._source.read(self.offset, length - first)
        return data

    def file_offset(self, offset: int) -> int:
        """Return the file offset of a byte of the ring."""
        return self.offset + offset % self.length

    def entry(self, offset: int) -> JudgedEntry | None:
        """Return what begins at a sector of the log, judged; None when it is no entry."""
        entry = self._entries.get(offset)
        if entry is None:
            entry = self._judge(offset)
            if entry is not None:
                if len(self._entries) == _MAX_ENTRIES:
                    self._refuse_more(offset, SECTOR)
                self._entries[offset] = entry
        return entry

    def offsets(self) -> Iterator[int]:
        """Yield where in the log the sectors are that begin like an entry, in bytes."""
        piece = bytearray(MIB)  # a log has whole MiB
        for start in range(0, self.length, MIB):
            self._source.readinto(memoryview(piece), self.offset + start)
            first_bytes = piece[::SECTOR]
            index = first_bytes.find(ENTRY_SIGNATURE[:1])
            while index >= 0:
                if piece.startswith(ENTRY_SIGNATURE, index * SECTOR):
                    yield start + index * SECTOR
                index = first_bytes.find(ENTRY_SIGNATURE[:1], index + 1)

    def entries(self) -> Iterator[JudgedEntry]:
        """Yield everything in the ring that begins like an entry, stale ones included."""
        for offset in self._beginnings:
            entry = self.entry(offset)
            if entry is not None:  # it had the signature, and still has
                yield entry

    @cached_property
    def is_empty(self) -> bool:
        """Whether the ring holds nothing but zeros."""
        zeros = bytes(MIB)  # a log has whole MiB
        return all(
            self._source.read(self.offset + start, MIB) == zeros
            for start in range(0, self.length, MIB)
        )

    @cached_property
    def _beginnings(self) -> array[int]:
        return array("Q", self.offsets())

    @cached_property
    def runs(self) -> tuple[LogRun, ...]:
        """The runs of valid entries in the order of the search [MS-VHDX 2.3.3].

        Each entry is in two of them at most: valid ones cannot overlap, and a run that
        was met in its middle is met again from its tail.
        """
        return tuple(self._find_runs())

    @cached_property
    def active_sequence(self) -> tuple[JudgedEntry, ...]:
        """The entries to be replayed, tail first; empty when no sequence is valid."""
        sequences = (run.sequence for run in self.runs if run.sequence)
        # Of those that end with the same number the first that was found counts.
        return max(sequences, key=lambda found: found[-1].header.sequence_number, default=())

    def place(self, offset: int, length: int | None = None) -> Span:
        """Return the place of an entry, or of some bytes of the ring."""
        return Span(f"log entry at {self.file_offset(offset):#x}", self.file_offset(offset), length)

    def _find_runs(self) -> Iterator[LogRun]:
        """Yield the runs of valid entries as the text searches for them.

        The text ends the search when the position has moved back; it has to end
        too when it has not moved, or a sequence that fills the ring never ends.
        """
        position = 0
        settled: set[int] = set()
        while True:
            index = bisect_left(self._beginnings, position)
            if index == len(self._beginnings):  # nothing begins like an entry up to the end
                return
            position = self._beginnings[index]
            run = None if position in settled else self._run_from(position)
            if run is not None:
                yield run
            if run is not None and run.tail_index is not None:
                following = (run.head.offset + run.head.header.entry_length) % self.length
            else:
                # Not to the end of an invalid run: a sequence may begin within it.
                following = (position + SECTOR) % self.length
            if run is not None and run.is_complete:
                # Later starts on the same run end at the same head; they can
                # hold its tail only if this run does.
                settled.update(entry.offset for entry in run.entries)
            if following <= position:
                return
            position = following

    def _run_from(self, position: int) -> LogRun | None:
        entries: list[JudgedEntry] = []
        used = 0
        while used < self.length:
            entry = self.entry((position + used) % self.length)
            if entry is None or not entry.is_valid:
                break
            if entries and entry.header.sequence_number != entries[-1].header.sequence_number + 1:
                break
            used += entry.header.entry_length
            if used > self.length:  # it would lie over the start of its own run
                break
            entries.append(entry)
        if not entries:
            return None
        tail = entries[-1].header.tail
        index = next((i for i, entry in enumerate(entries) if entry.offset == tail), None)
        return LogRun(tuple(entries), index, used < self.length)

    def _judge(self, offset: int) -> JudgedEntry | None:
        data = self._source.read(self.offset + offset, SECTOR)
        if not data.startswith(ENTRY_SIGNATURE):
            return None
        header = grammar.log_entry_header(data)
        defect = next(check_entry_header(header, self, offset), None)
        if defect is not None:
            return JudgedEntry(offset, header, defect=defect)
        self._spend(offset, header)
        data = self.read(offset, header.entry_length)
        place = self.place(offset, header.entry_length)
        defect = next(checksum.check("LOG-06", "note", place, data, header.checksum), None)
        if defect is not None:
            return JudgedEntry(offset, header, defect=defect)
        entry = grammar.log_entry(data)
        defect = next(check_entry(entry, header, self, offset), None)
        if entry is None or defect is not None:
            return JudgedEntry(offset, header, defect=defect)
        return JudgedEntry(offset, header, entry.descriptors, offset + entry.len_descriptor_sectors)

    def _spend(self, offset: int, header: LogEntryHeader) -> None:
        length = header.entry_length
        self._bytes_left -= length
        # A count that has no room in the entry costs nothing: it is not gone through.
        self._descriptors_left -= min(header.num_descriptors, length // _DESCRIPTOR_LENGTH)
        if length > _MAX_ENTRY_LENGTH or min(self._bytes_left, self._descriptors_left) < 0:
            self._refuse_more(offset, length)

    def _refuse_more(self, offset: int, length: int) -> NoReturn:
        message = "the log holds more entries or descriptors than any writer makes (our limit)"
        raise LimitError(Finding("LOG-39", "limit", self.place(offset, length), message))


def read_log(source: Source, header: Header) -> Log | None:
    """Return the log of a file; None when it has none.

    Args:
        source: The file as it is stored.
        header: The current header, judged.
    """
    return Log(source, header) if header.log_length else None


def check_entry_header(header: LogEntryHeader, log: Log, offset: int) -> Iterator[Finding]:
    """Yield why an entry is not valid, as far as its head tells.

    Args:
        header: The head of the entry.
        log: The log it stands in.
        offset: Where in the log, in bytes.
    """
    place = log.place(offset, SECTOR)
    if header.log_guid != log.guid or log.guid == NIL:
        expected = f"the current header's {log.guid}"
        yield mismatch("LOG-14", "note", place, "LogGuid", str(header.log_guid), expected)
    length = header.entry_length
    if not is_aligned(length, SECTOR):
        yield mismatch(
            "LOG-07", "note", place, "EntryLength", f"{length:#x}", "a multiple of 4 KiB"
        )
    if not SECTOR <= length <= log.length:
        expected = f"from 4 KiB to the log's length {log.length:#x}"
        yield mismatch("LOG-08", "note", place, "EntryLength", f"{length:#x}", expected)
    if not is_aligned(header.tail, SECTOR):
        yield mismatch("LOG-09", "note", place, "Tail", f"{header.tail:#x}", "a multiple of 4 KiB")
    if header.tail >= log.length:
        expected = f"less than the log's length {log.length:#x}"
        yield mismatch("LOG-10", "note", place, "Tail", f"{header.tail:#x}", expected)
    if header.sequence_number == 0:
        yield mismatch("LOG-11", "note", place, "SequenceNumber", "0", "more than 0")


def check_entry(
    entry: LogEntry | None, header: LogEntryHeader, log: Log, offset: int
) -> Iterator[Finding]:
    """Yield why an entry whose head and checksum are in order is not valid.

    Args:
        entry: The entry, None when its counts do not fit its bytes.
        header: Its head.
        log: The log it stands in.
        offset: Where in the log, in bytes.
    """
    place = log.place(offset, header.entry_length)
    if entry is None or len(entry.descriptors) != header.num_descriptors:
        expected = f"no more than {header.entry_length} bytes have room for"
        actual = str(header.num_descriptors)
        yield mismatch("LOG-12", "note", place, "DescriptorCount", actual, expected)
        return
    yield from _check_descriptors(entry, place)
    yield from _check_data_sectors(entry, place)


def _check_descriptors(entry: LogEntry, place: Span) -> Iterator[Finding]:
    number, other = entry.header.sequence_number, DescriptorKind.other_descriptor
    for index, descriptor in enumerate(entry.descriptors):
        if descriptor.kind == other:
            zero, data = (
                signature_of("log_descriptor", kind)
                for kind in ("zero_descriptor", "data_descriptor")
            )
            expected = f"{signature_text(zero)} or {signature_text(data)}"
            name = f"descriptor {index}: signature"
            yield mismatch("LOG-17", "note", place, name, "unknown", expected)
            continue
        if not is_aligned(descriptor.file_offset, SECTOR):
            offset = f"{descriptor.file_offset:#x}"
            rule = "LOG-20" if descriptor.kind == DescriptorKind.zero_descriptor else "LOG-21"
            name = f"descriptor {index}: FileOffset"
            yield mismatch(rule, "note", place, name, offset, "a multiple of 4 KiB")
        if not is_aligned(descriptor.length, SECTOR):
            name, actual = f"descriptor {index}: ZeroLength", f"{descriptor.length:#x}"
            yield mismatch("LOG-19", "note", place, name, actual, "a multiple of 4 KiB")
        if descriptor.sequence_number != number:
            name, actual = f"descriptor {index}: SequenceNumber", str(descriptor.sequence_number)
            yield mismatch("LOG-22", "note", place, name, actual, str(number))


def _check_data_sectors(entry: LogEntry, place: Span) -> Iterator[Finding]:
    kinds = [descriptor.kind for descriptor in entry.descriptors]
    count = kinds.count(DescriptorKind.data_descriptor)
    if len(entry.data_sectors) != count:
        actual, expected = str(len(entry.data_sectors)), f"{count}, one for each data descriptor"
        yield mismatch("LOG-23", "note", place, "number of data sectors", actual, expected)
    number = entry.header.sequence_number
    for index, sector in enumerate(entry.data_sectors):
        if not sector.is_signature_valid:
            name, signature = f"data sector {index}: signature", signature_of("log_data_sector")
            shown = mismatch("LOG-25", "note", place, name, "unknown", signature_text(signature))
            yield shown._replace(expected=plain_signature(signature))
        if sector.sequence_number != number:
            actual = str(sector.sequence_number)
            yield mismatch(
                "LOG-26",
                "note",
                place,
                f"data sector {index}: sequence number",
                actual,
                str(number),
            )


def check_tolerated(entry: JudgedEntry, log: Log) -> Iterator[Finding]:
    """Yield what is unusual about a valid entry without making it invalid.

    Nobody refuses these, and QEMU writes file sizes that are no multiples of 1 MiB.
    """
    place = log.place(entry.offset, SECTOR)
    header = entry.header
    if header.reserved:
        yield mismatch("LOG-13", "warning", place, "Reserved", f"{header.reserved:#x}", "0")
    for rule, name, value in (
        ("LOG-15", "FlushedFileOffset", header.flushed_file_offset),
        ("LOG-16", "LastFileOffset", header.last_file_offset),
    ):
        if not is_aligned(value, MIB):
            yield mismatch(rule, "note", place, name, f"{value:#x}", "a multiple of 1 MiB")
    for index, descriptor in enumerate(entry.descriptors):
        if descriptor.reserved:
            name, actual = f"descriptor {index}: Reserved", f"{descriptor.reserved:#x}"
            yield mismatch("LOG-18", "warning", place, name, actual, "0")


def check_ring(ring: Log) -> Iterator[Finding]:
    """Yield, for a log that has to be replayed, which entries are not and why.

    Entries under other LogGuids are left over from before and not worth a word,
    unless there are no others.
    """
    place = Span(f"log at {ring.offset:#x}", ring.offset, ring.length)
    yield Finding("LOG-01", "note", place, "the log has to be replayed before use")
    active = ring.active_sequence
    for entry in ring.entries():
        if entry.defect is not None and (entry.defect.rule != "LOG-14" or not active):
            yield entry.defect
    for run in ring.runs:
        yield from _check_what_follows(run, ring)
        head = ring.place(run.head.offset, run.head.header.entry_length)
        if not run.sequence:
            tail = f"{run.head.header.tail:#x}"
            message = f"Tail {tail} of a run's last entry, expected one of the run's own entries"
            yield Finding("LOG-29", "note", head, message)
        elif run.sequence != active:
            number = run.head.header.sequence_number
            message = f"the sequence that ends with {number} is older than the active one"
            yield Finding("LOG-30", "note", head, message)


def _check_what_follows(run: LogRun, ring: Log) -> Iterator[Finding]:
    """Yield whether a run ends only because the next entry has the wrong number."""
    head = run.head
    following = ring.entry((head.offset + head.header.entry_length) % ring.length)
    if run.is_complete and following is not None and following.is_valid:
        expected = f"{head.header.sequence_number + 1} after the entry before it"
        place = ring.place(following.offset, SECTOR)
        actual = str(following.header.sequence_number)
        yield mismatch("LOG-28", "note", place, "SequenceNumber", actual, expected)
