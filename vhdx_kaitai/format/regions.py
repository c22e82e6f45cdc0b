"""The region tables: where BAT and metadata are.

Tables are updated through the log, so they are read after replay. The text
does not say which copy to take; copy 1 is taken when it is valid, else copy 2
[MS-VHDX 2.2.3]. Nothing that is wrong with copy 2 refuses a file whose copy 1
is valid, so opening does not read it then.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import Finding, Span, check_zeros, mismatch, refuse
from ..guids import BAT_REGION, METADATA_REGION, REGION_NAMES
from ..ranges import overlap, overlapping
from ..records import NamedTuple
from ..text import signature_text
from ..units import MIB, is_aligned
from . import checksum, grammar
from .grammar import RegionEntry, RegionTable
from .place import Place, signature_of

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
        place, expected = field("signature"), signature_text(signature_of("region_table"))
        actual = signature_text(table.raw[: place.length])
        yield mismatch("REG-02", "warning", place, "signature", actual, expected)
        return
    yield from checksum.check("REG-03", "warning", field("checksum"), table.raw, table.checksum)


def choose_copy(defects: tuple[Finding | None, Finding | None]) -> int | None:
    """Return the copy to be used, None when neither is valid."""
    return 1 if defects[0] is None else 2 if defects[1] is None else None


def check_copies(
    tables: tuple[RegionTable, RegionTable], defects: tuple[Finding | None, Finding | None]
) -> Iterator[Finding]:
    """Yield what is wrong with the two copies as such."""
    one, two = defects
    yield from (found for found in defects if found is not None)
    if one is not None and two is not None:
        reasons = f"region table 1: {one.message}; region table 2: {two.message}"
        yield Finding(
            "REG-04", "error", Span("region tables"), f"neither copy is valid ({reasons})"
        )
    elif one is None and two is None and tables[0].raw != tables[1].raw:
        message = "both copies are valid but they differ, copy 1 is used"
        yield Finding("REG-05", "warning", tables[1].place, message)


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
    yield from check_zeros("REG-20", table.place, "bytes after the last entry", table.unused)


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


def read_regions(section: grammar.HeaderSection, size: int, log: tuple[int, int]) -> Regions:
    """Return the regions of a file.

    Args:
        section: The structures at fixed places, after log replay.
        size: Length of the file after log replay, in bytes.
        log: File offset and length of the log in bytes.

    Raises:
        FormatError: Neither table is valid, or the one in use refuses the file.
    """
    copy, table = 1, section.region_table(1)
    if defect(table) is not None:
        tables = table, section.region_table(2)
        defects = defect(tables[0]), defect(tables[1])
        refuse(check_copies(tables, defects))
        copy, table = 2, tables[1]
    refuse(check_table(table, size))
    refuse(check_overlaps(table, log))
    by_guid = {entry.guid: entry for entry in table.entries}
    return Regions(copy, table.entries, by_guid[BAT_REGION], by_guid[METADATA_REGION])
