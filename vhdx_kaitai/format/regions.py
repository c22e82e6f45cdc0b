"""The region tables: where BAT and metadata are.

Tables are updated through the log, so they are read after replay. The text
does not say which copy to take; copy 1 is taken when it is valid, else copy 2
[MS-VHDX 2.2.3]. Nothing that is wrong with copy 2 refuses a file whose copy 1
is valid, so opening does not read it then.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import Finding, Span, check_zeros, mismatch, mismatched_signature
from ..guids import BAT_REGION, METADATA_REGION, REGION_NAMES
from ..ranges import overlap, overlapping
from ..records import NamedTuple
from ..units import MIB, is_aligned
from . import checksum, grammar
from .place import Place, signature_of
from .structures import RegionEntry, RegionTable

MAX_ENTRIES = 2047  # [MS-VHDX 2.2.3.1]


class Regions(NamedTuple):
    """The regions of a file, judged.

    Attributes:
        copy: Copy of the table they come from, 1 or 2.
        entries: All of them, unknown ones included.
        bat: The BAT region.
        metadata: The metadata region.
    """

    copy: int
    entries: tuple[RegionEntry, ...]
    bat: RegionEntry
    metadata: RegionEntry


def defect(table: RegionTable) -> Finding | None:
    """Return why a copy of the table is not valid, None when it is."""
    return next(check_copy(table), None)


def check_copy(table: RegionTable) -> Iterator[Finding]:
    """Yield why a copy of the table is not valid."""
    field = table.place.field
    if not table.is_signature_valid:
        place, expected = field("signature"), signature_of("region_table")
        actual = table.raw[: place.length]
        yield mismatched_signature("REG-02", "warning", place, actual, expected)
        return
    yield from checksum.check("REG-03", "warning", field("checksum"), table.raw, table.checksum)


class TableCopy(NamedTuple):
    """One copy of the region table, judged.

    Attributes:
        copy: 1 or 2.
        table: What it says, right or wrong.
        defect: Why it is not valid; None when it is.
    """

    copy: int
    table: RegionTable
    defect: Finding | None


class Tables:
    """Both copies of the region table, each read and judged when it is asked for.

    Args:
        section: The structures at fixed places, after log replay.
    """

    def __init__(self, section: grammar.HeaderSection) -> None:
        self._section = section
        self._copies: dict[int, TableCopy] = {}

    def copy(self, number: int) -> TableCopy:
        """Return copy 1 or 2."""
        if number not in self._copies:
            table = self._section.region_table(number)
            self._copies[number] = TableCopy(number, table, defect(table))
        return self._copies[number]

    def both(self) -> tuple[TableCopy, TableCopy]:
        """Return copy 1 and copy 2."""
        return self.copy(1), self.copy(2)

    def known(self) -> list[TableCopy]:
        """Return the copies that somebody has asked for."""
        return sorted(self._copies.values())

    def current(self) -> TableCopy | None:
        """Return the copy to be used, None when neither is valid."""
        for number in (1, 2):
            copy = self.copy(number)
            if copy.defect is None:
                return copy
        return None


def most_nearly_right(tables: Tables, size: int) -> TableCopy | None:
    """Return the copy to follow when neither is valid: the first that has its signature.

    Args:
        tables: Both copies.
        size: Length of the file after log replay, in bytes.

    Returns:
        None when what follows the signature makes no sense in either of them.
    """
    for copy in tables.both():
        table = copy.table
        if table.is_signature_valid and table.entries:
            findings = check_table(table, size)
            if all(finding.level != "error" for finding in findings):
                return copy
    return None


def check_copies(tables: Tables) -> Iterator[Finding]:
    """Yield what is wrong with the two copies as such; nothing but an error if neither is valid."""
    one, two = tables.both()
    yield from (copy.defect for copy in (one, two) if copy.defect is not None)
    if one.defect is not None and two.defect is not None:
        reasons = f"region table 1: {one.defect.message}; region table 2: {two.defect.message}"
        yield Finding(
            "REG-04", "error", Span("region tables"), f"neither copy is valid ({reasons})"
        )
    elif one.defect is None and two.defect is None and one.table.raw != two.table.raw:
        message = "both copies are valid but they differ, copy 1 is used"
        yield Finding("REG-05", "warning", two.table.place, message)


def check_table(table: RegionTable, size: int) -> Iterator[Finding]:
    """Yield what is wrong with the region table in use.

    Args:
        table: The table.
        size: Length of the file after log replay, in bytes.
    """
    place = table.place
    if table.num_entries > MAX_ENTRIES:
        actual, expected = str(table.num_entries), f"at most {MAX_ENTRIES}"
        yield mismatch(
            "REG-06", "error", place.field("num_entries"), "EntryCount", actual, expected
        )
    if table.reserved:
        actual = f"{table.reserved:#x}"
        yield mismatch("REG-07", "note", place.field("reserved"), "Reserved", actual, "0")
    seen = set()
    for index, entry in enumerate(table.entries):
        if entry.guid in seen:
            message = f"Guid {entry.guid} a second time, expected each only once"
            yield Finding("REG-08", "error", entry_place(table, index).field("guid"), message)
        seen.add(entry.guid)
        yield from _check_entry(table, index, size)
    for rule, guid in (("REG-16", BAT_REGION), ("REG-17", METADATA_REGION)):
        if guid not in seen:
            message = f"no {REGION_NAMES[guid]} region, expected an entry {guid}"
            yield Finding(rule, "error", place, message)


def entry_place(table: RegionTable, index: int) -> Place:
    """Return the place of an entry of a region table."""
    name = f"{table.place.name}, entry {index}"
    return table.place.element("entries", index, name)


def _check_entry(table: RegionTable, index: int, size: int) -> Iterator[Finding]:
    entry = table.entries[index]
    offset, length = entry.file_offset, entry.length

    def field(name: str) -> Place:
        return entry_place(table, index).field(name)

    if not is_aligned(offset, MIB):
        actual = f"{offset:#x}"
        yield mismatch(
            "REG-09", "error", field("file_offset"), "FileOffset", actual, "a multiple of 1 MiB"
        )
    if offset < MIB:
        yield mismatch(
            "REG-10", "error", field("file_offset"), "FileOffset", f"{offset:#x}", "at least 1 MiB"
        )
    if not is_aligned(length, MIB):
        yield mismatch(
            "REG-11", "error", field("length"), "Length", f"{length:#x}", "a multiple of 1 MiB"
        )
    if length == 0:
        yield mismatch("REG-12", "error", field("length"), "Length", "0", "at least 1 MiB")
    if offset + length > size:
        actual, expected = f"{offset + length:#x}", f"at most the file's length {size:#x}"
        yield mismatch("REG-13", "error", field("length"), "end of region", actual, expected)
    known_as = REGION_NAMES.get(entry.guid)
    if known_as is None:
        if entry.required & 1:
            message = f"unknown region {entry.guid} is required, expected only known ones to be"
            yield Finding("REG-14", "error", field("guid"), message)
    elif not entry.required & 1:
        name = f"{known_as} region: Required"
        yield mismatch("REG-18", "note", field("required"), name, f"{entry.required:#x}", "1")
    if entry.required > 1:
        actual = f"{entry.required:#x}"
        yield mismatch("REG-15", "warning", field("required"), "Required", actual, "0 or 1")


def is_known(entry: RegionEntry) -> bool:
    """Tell whether the specification names a region."""
    return entry.guid in REGION_NAMES


def check_unused(table: RegionTable) -> Iterator[Finding]:
    """Yield whether there is anything after the last entry; it is ignored."""
    unused = grammar.unused_of(table)
    yield from check_zeros("REG-20", table.place, "bytes after the last entry", unused)


def usable_metadata(table: RegionTable, size: int) -> RegionEntry | None:
    """Return the metadata region if it can be read, whatever else is wrong with the table."""
    for entry in table.entries:
        if entry.guid == METADATA_REGION and entry.length >= MIB:
            return entry if entry.file_offset + entry.length <= size else None
    return None


def check_overlaps(table: RegionTable, log: tuple[int, int]) -> Iterator[Finding]:
    """Yield which regions overlap the log or each other, unknown ones included.

    That they stay clear of the header section follows from REG-10.

    Args:
        table: The table in use, its entries judged.
        log: File offset and length of the log in bytes.
    """
    log_range = (log[0], log[0] + log[1])
    ranges = [
        (entry.file_offset, entry.file_offset + entry.length, index)
        for index, entry in enumerate(table.entries)
    ]
    for start, end, index in sorted(ranges):
        if log[1] and overlap((start, end), log_range):
            other = f"the log at {log_range[0]:#x} to {log_range[1]:#x}"
            yield _overlap("OVL-03", table, index, other)
    for one, (_, _, index) in overlapping(ranges):
        yield _overlap(
            "OVL-01", table, index, f"that of entry {one[2]} at {one[0]:#x} to {one[1]:#x}"
        )


def _overlap(rule: str, table: RegionTable, index: int, other: str) -> Finding:
    entry = table.entries[index]
    start, end = entry.file_offset, entry.file_offset + entry.length
    message = f"region at {start:#x} to {end:#x} overlaps {other}"
    return Finding(rule, "error", entry_place(table, index).field("file_offset"), message)


def judged(copy: TableCopy) -> Regions:
    """Return the regions of a table with which no check has found an error."""
    by_guid = {entry.guid: entry for entry in copy.table.entries}
    return Regions(copy.copy, copy.table.entries, by_guid[BAT_REGION], by_guid[METADATA_REGION])
