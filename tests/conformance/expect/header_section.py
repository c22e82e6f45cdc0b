"""Values of the header section: identifier, headers, region tables, and the views that choose."""

from __future__ import annotations

from uuid import UUID

from tests.images.structures import (
    BAT_REGION,
    HEADER_OFFSETS,
    KIB,
    METADATA_REGION,
    REGION_TABLE_OFFSETS,
    RegionEntry,
    utf16,
)

from .facts import MAX_ENTRIES, Facts, checksum_of, region_entries, stored_count
from .values import (
    Values,
    absent,
    error,
    flag,
    guid,
    label,
    number,
    raw,
    shown,
    size,
    text,
    utf16_text,
)


def file_type_identifier(facts: Facts) -> Values:
    """Yield `file_type_identifier`."""
    path = "file_identifier"
    if not facts.is_identified:
        yield error(path, "end of file" if facts.length < 520 else "signature")
        return
    creator = utf16(facts.layout.identifier.creator).ljust(512, b"\0")
    yield raw(f"{path}.signature", b"vhdxfile")
    yield raw(f"{path}.raw_creator", creator)
    if facts.length < 64 * KIB:
        yield error(f"{path}.reserved", "end of file")
    else:
        yield raw(f"{path}.reserved", facts.layout.identifier.reserved.ljust(65016, b"\0"))
    units = _units(creator)
    yield size(f"{path}.creator.units", len(units))
    for index in shown(len(units), range(16)):
        yield number(f"{path}.creator.units[{index}]", units[index])
    length = 2 * (len(units) - (units[-1] == 0))
    yield number(f"{path}.creator.len_text", length)
    yield utf16_text(f"{path}.creator.text", creator[:length])


def header(facts: Facts, copy: int) -> Values:
    """Yield `header`."""
    path, header = f"header_{copy}", facts.layout.headers[copy - 1]
    if facts.length < HEADER_OFFSETS[copy - 1] + 4096:
        yield error(path, "end of file")
        return
    yield raw(f"{path}.signature", header.signature)
    yield number(f"{path}.checksum", checksum_of(header))
    yield number(f"{path}.sequence_number", header.sequence_number)
    yield from guid(f"{path}.file_write_guid", header.file_write_guid)
    yield from guid(f"{path}.data_write_guid", header.data_write_guid)
    yield from guid(f"{path}.log_guid", header.log_guid)
    yield number(f"{path}.log_version", header.log_version)
    yield number(f"{path}.version", header.version)
    yield number(f"{path}.log_length", header.log_length)
    yield number(f"{path}.log_offset", header.log_offset)
    yield raw(f"{path}.reserved", header.reserved.ljust(4016, b"\0"))
    yield flag(f"{path}.is_signature_valid", header.signature == b"head")
    yield number(f"{path}.sequence_number_low", header.sequence_number & 0xFFFFFFFF)
    yield number(f"{path}.sequence_number_high", header.sequence_number >> 32)
    yield number(f"{path}.rank_high", -1 if facts.rank(copy) < 0 else facts.rank(copy) >> 32)


def region_table(facts: Facts, copy: int) -> Values:
    """Yield `region_table`."""
    path, table = f"region_table_{copy}", facts.layout.region_tables[copy - 1]
    if facts.length < REGION_TABLE_OFFSETS[copy - 1] + 64 * KIB:
        yield error(path, "end of file")
        return
    entries = region_entries(table)
    yield raw(f"{path}.signature", table.signature)
    yield number(f"{path}.checksum", checksum_of(table))
    yield number(f"{path}.num_entries", stored_count(table))
    yield number(f"{path}.reserved", table.reserved)
    yield size(f"{path}.entries", len(entries))
    for index in shown(len(entries), range(6)):
        yield from region_entry(f"{path}.entries[{index}]", entries[index])
    yield raw(f"{path}.unused", table.pack()[16 + 32 * len(entries) :])
    yield flag(f"{path}.is_signature_valid", table.signature == b"regi")


def header_choice(facts: Facts) -> Values:
    """Yield `header_choice`."""
    path = "current_header"
    for copy, offset in enumerate(HEADER_OFFSETS, 1):
        yield number(f"{path}.ofs_header_{copy}", offset)
        yield flag(f"{path}.has_header_{copy}", facts.has_header(copy))
        rank = facts.rank(copy)
        low = facts.layout.headers[copy - 1].sequence_number & 0xFFFFFFFF
        yield number(f"{path}.rank_{copy}_high", -1 if rank < 0 else rank >> 32)
        yield number(f"{path}.rank_{copy}_low", low if facts.has_header(copy) else 0)
        if facts.has_header(copy):
            header = facts.layout.headers[copy - 1]
            yield number(f"{path}.header_{copy}.checksum", checksum_of(header))
        else:
            yield absent(f"{path}.header_{copy}")
    chosen = facts.current_header
    yield flag(f"{path}.is_found", chosen != 0)
    yield flag(f"{path}.is_second", chosen == 2)
    yield text(f"{path}.chosen", ("no header", "header 1", "header 2")[chosen])
    yield number(f"{path}.ofs_header", HEADER_OFFSETS[max(0, chosen - 1)])


def region_table_choice(facts: Facts) -> Values:
    """Yield `region_table_choice`."""
    path, first = "current_region_table", facts.layout.region_tables[0]
    for copy, offset in enumerate(REGION_TABLE_OFFSETS, 1):
        yield number(f"{path}.ofs_table_{copy}", offset)
    if facts.length < REGION_TABLE_OFFSETS[0] + 4:
        yield error(f"{path}.signature_1", "end of file")
    else:
        yield raw(f"{path}.signature_1", first.signature)
    if facts.length < REGION_TABLE_OFFSETS[0] + 12:
        yield error(f"{path}.num_entries_1", "end of file")
    else:
        yield number(f"{path}.num_entries_1", stored_count(first))
    yield flag(f"{path}.is_first", facts.table_copy == 1)
    yield text(f"{path}.chosen", f"region table {facts.table_copy}")
    yield number(f"{path}.ofs_table", facts.ofs_table)


def region_lookup(facts: Facts, name: str, kind: UUID, code: int) -> Values:
    """Yield `region_lookup`."""
    path, start, entries = f"region_of_{name}", facts.ofs_table, facts.region_list
    has_count = facts.length >= start + 16
    yield number(f"{path}.ofs_table", start)
    yield number(f"{path}.kind_code", code)
    yield flag(f"{path}.has_count", has_count)
    stated = stored_count(facts.layout.region_tables[facts.table_copy - 1])
    if facts.length < start + 12:
        yield error(f"{path}.num_stated_entries", "end of file")
    else:
        yield number(f"{path}.num_stated_entries", stated)
    possible = stated if has_count and stated <= MAX_ENTRIES else 0
    yield number(f"{path}.num_possible_entries", possible)
    yield number(f"{path}.end_of_possible_entries", start + 16 + 32 * possible)
    yield number(f"{path}.num_entries", len(entries))
    yield number(f"{path}.end_of_entries", start + 16 + 32 * len(entries))
    kinds = [entry.guid for entry in entries]
    found = kind in kinds
    passed = entries[: kinds.index(kind) + 1] if found else entries
    if passed:
        yield size(f"{path}.up_to_entry", len(passed))
        for index in shown(len(passed)):
            yield from region_entry(f"{path}.up_to_entry[{index}]", passed[index])
    else:
        yield absent(f"{path}.up_to_entry")
    yield flag(f"{path}.is_found", found)
    yield number(f"{path}.num_passed", len(passed) - 1 if found else 0)
    yield number(f"{path}.ofs_entry", facts.ofs_region_entry(kind))
    if found:
        yield from region_entry(f"{path}.entry", passed[-1])
    else:
        yield absent(f"{path}.entry")


def _units(data: bytes) -> list[int]:
    units: list[int] = []
    for position in range(0, len(data), 2):
        units.append(int.from_bytes(data[position : position + 2], "little"))
        if units[-1] == 0:
            break
    return units


def region_entry(path: str, entry: RegionEntry) -> Values:
    """Yield `region_table_entry`."""
    kinds = {BAT_REGION: "bat_region", METADATA_REGION: "metadata_region"}
    yield from guid(f"{path}.guid", entry.guid)
    yield number(f"{path}.file_offset", entry.file_offset)
    yield number(f"{path}.length", entry.length)
    yield number(f"{path}.required", entry.required)
    yield label(f"{path}.kind", "region_kind", kinds.get(entry.guid, "other_region"))
