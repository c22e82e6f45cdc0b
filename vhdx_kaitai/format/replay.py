"""Replay: what the active sequence of a dirty log makes of the file.

Nothing is written. Replay yields a source that reads as the file would after it;
everything but the headers is read through that [MS-VHDX 2.3.3].

Facts that force the design:

* Only the last entry's file sizes count: Windows logs hold sequences in which
  FlushedFileOffset falls (2.3.3).
* A log of a few MiB holds more than a hundred thousand updates, in any order and
  over each other, so what is left of each is found by sorting them once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..errors import Finding, Span, mismatch
from ..ranges import overlap, topmost
from ..records import NamedTuple
from ..storage.overlay import Overlay, Update
from ..storage.source import Source
from . import grammar
from .grammar import DescriptorKind
from .log import SECTOR, JudgedEntry, Log, check_entry, check_tolerated
from .place import TOP_LEVEL
from .structures import LogDescriptor

_LOGGED_FROM = TOP_LEVEL["region_table_1"][0]  # identifier, headers are not [MS-VHDX 2.3]

# Ours: no image of at most 64 TiB needs a longer file.
MAX_FILE_LENGTH = 1 << 48


class ReplaySummary(NamedTuple):
    """What a replay does.

    Attributes:
        entries: Entries of the active sequence, tail first.
        changed_bytes: Bytes of the file that come from the log.
        size: Length of the file after it, in bytes.
    """

    entries: tuple[JudgedEntry, ...]
    changed_bytes: int
    size: int

    @property
    def head(self) -> JudgedEntry:
        """The last entry."""
        return self.entries[-1]


def check_sequence(log: Log, size: int) -> Iterator[Finding]:
    """Yield what is unusual about the active sequence, and what forbids its replay.

    Args:
        log: The log, which has to be replayed.
        size: Length of the file in bytes.
    """
    sequence = log.active_sequence
    if not sequence:
        place = Span(f"log at {log.offset:#x}", log.offset, log.length)
        message = "no valid sequence of entries, expected one because the header has a LogGuid"
        why = never_written(log) or _why_no_sequence(log)
        yield Finding("LOG-31", "error", place, f"{message}; {why}")
        return
    head = sequence[-1]
    for entry in sequence:
        yield from check_tolerated(entry, log)
    if size < head.header.flushed_file_offset:
        expected = f"at least FlushedFileOffset {head.header.flushed_file_offset:#x}"
        place = log.place(head.offset, SECTOR)
        yield mismatch("LOG-32", "error", place, "file length", f"{size:#x}", expected)
    if head.header.last_file_offset > MAX_FILE_LENGTH:
        actual = f"{head.header.last_file_offset:#x}"
        place = log.place(head.offset, SECTOR)
        expected = f"at most {MAX_FILE_LENGTH:#x} (our limit)"
        yield mismatch("LOG-38", "limit", place, "LastFileOffset", actual, expected)
    for entry in sequence:
        yield from _check_targets(entry, log, head.header.last_file_offset)


_AS_STORED = "`--as-stored` reads the disk, and nothing is missing"


def never_written(log: Log) -> str | None:
    """Return what it means that a log has no valid sequence since nothing was ever replaced.

    A writer that stops after the header which names a new LogGuid, and before its
    first entry is whole, has changed nothing else yet.

    Returns:
        The sentence; None when something may be missing.
    """
    entries = list(log.entries())
    own = [entry for entry in entries if entry.header.log_guid == log.guid]
    if entries and not own:
        return f"no entry was ever written under this LogGuid; {_AS_STORED}"
    if not entries and log.is_empty:
        return (
            "the log holds nothing at all: no entry was ever written under this LogGuid, or "
            f"the log was wiped; {_AS_STORED} unless it was wiped"
        )
    if len(own) == 1 and own[0].header.tail == own[0].offset and _has_wrong_checksum(own[0]):
        place = log.place(own[0].offset).text
        only = f"{place}: the only one under this LogGuid, which names itself as tail,"
        if _is_torn(own[0], log):
            return f"{only} is torn, so nothing of it was done yet; {_AS_STORED}"
        return f"{only} is torn or was damaged later; {_AS_STORED} unless it was damaged later"
    return None


def _has_wrong_checksum(entry: JudgedEntry) -> bool:
    return entry.defect is not None and entry.defect.rule == "LOG-06"


def _is_torn(entry: JudgedEntry, log: Log) -> bool:
    """Tell whether it is certain that not all of an entry with a wrong checksum was written.

    Some part of it does not bear its number then. Where all do, it may have been whole and
    was damaged later; or the parts that it lacks are those of an older entry with its number.
    """
    parsed = grammar.log_entry(log.read(entry.offset, entry.header.entry_length))
    return next(check_entry(parsed, entry.header, log, entry.offset), None) is not None


def _why_no_sequence(log: Log) -> str:
    """Return what kept the entries that came nearest to a sequence from being one."""
    broken = [entry for entry in log.entries() if entry.defect is not None]
    run = max(log.runs, key=lambda run: run.head.header.sequence_number, default=None)
    if run is not None:
        start = run.entries[0].offset
        broken = [
            entry
            for entry in broken
            if (entry.offset + entry.header.entry_length - start) % log.length == 0
        ]
    # Leftovers under another LogGuid explain least.
    defects = sorted((entry.defect for entry in broken if entry.defect), key=_is_stale)
    if defects and not (run and _is_stale(defects[0])):
        return f"{defects[0].where}: {defects[0].message}"
    if run is None:
        return "there is no entry in the log"
    place = log.place(run.head.offset).text
    tail = f"{run.head.header.tail:#x}"
    return f"{place}: Tail {tail} of a run's last entry, expected one of the run's own entries"


def _is_stale(defect: Finding) -> bool:
    return defect.rule == "LOG-14"


def _check_targets(entry: JudgedEntry, log: Log, last: int) -> Iterator[Finding]:
    place = log.place(entry.offset, entry.header.entry_length)
    log_end = log.offset + log.length
    for index, descriptor in enumerate(entry.descriptors):
        start, end = _target(descriptor)
        if start == end:
            continue
        name, actual = f"descriptor {index}: target", f"{start:#x} to {end:#x}"
        if start < _LOGGED_FROM:
            expected = f"at least {_LOGGED_FROM:#x}, after identifier and headers"
            yield mismatch("LOG-36", "error", place, name, actual, expected)
        if overlap((start, end), (log.offset, log_end)):
            expected = f"a range outside the log at {log.offset:#x} to {log_end:#x}"
            yield mismatch("LOG-37", "error", place, name, actual, expected)
        elif end > 2**64:
            expected = "an end of at most 2^64"
            yield mismatch("LOG-37", "error", place, name, actual, expected)
        # Small steps past LastFileOffset are taken; no writer makes one like this.
        if end > max(last, MAX_FILE_LENGTH):
            expected = f"an end of at most LastFileOffset {last:#x}"
            yield mismatch("LOG-38", "error", place, name, actual, expected)


def _target(descriptor: LogDescriptor) -> tuple[int, int]:
    length = descriptor.length if descriptor.kind == DescriptorKind.zero_descriptor else SECTOR
    return descriptor.file_offset, descriptor.file_offset + length


def replay(source: Source, log: Log) -> tuple[Overlay, ReplaySummary]:
    """Return the file as it reads after the replay of its log, and what that changes.

    Nothing is written.

    Args:
        source: The file as it is stored.
        log: Its log, with whose active sequence `check_sequence` has found no error; or none
            but that the file is too short. Then it stays as short: what was cut off is no zeros.
    """
    sequence = log.active_sequence
    updates = _updates(sequence, log)
    if source.size < sequence[-1].header.flushed_file_offset:
        updates = list(_inside(updates, source.size))
        changed = sum(update.end - update.start for update in updates)
        return Overlay(source, updates, source.size), ReplaySummary(sequence, changed, source.size)
    end = updates[-1].end if updates else 0
    size = max(source.size, sequence[-1].header.last_file_offset, end)
    changed = sum(update.end - update.start for update in updates)
    return Overlay(source, updates, size), ReplaySummary(sequence, changed, size)


def _inside(updates: Iterable[Update], size: int) -> Iterator[Update]:
    """Yield what updates change of a file of some size."""
    for update in updates:
        if update.end <= size:
            yield update
        elif update.origin is None and update.start < size:
            yield update._replace(end=size)


def _updates(sequence: tuple[JudgedEntry, ...], log: Log) -> list[Update]:
    """Return what the sequence makes of the file, in the order of place, without overlaps.

    A newer update hides what older ones do to the same bytes. Zeros may come in
    parts; data has a sector of the file, which is hidden wholly or not at all.
    """
    updates = (update for entry in sequence for update in _entry_updates(entry, log))
    layers = ((update.start, update.end, update) for update in updates)
    return [update._replace(start=start, end=end) for start, end, update in topmost(layers)]


def _entry_updates(entry: JudgedEntry, log: Log) -> Iterator[Update]:
    position = entry.data_start
    for descriptor in entry.descriptors:
        start, end = _target(descriptor)
        if descriptor.kind == DescriptorKind.data_descriptor:
            origin = log.file_offset(position)
            position += SECTOR
            yield Update(start, end, origin, descriptor.leading_bytes, descriptor.trailing_bytes)
        elif start < end:
            yield Update(start, end)
