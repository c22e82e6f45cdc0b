"""Values of the header section: identifier, headers, region tables, and the views that choose."""

from __future__ import annotations

from tests.images.structures import (
    BAT_REGION,
    HEADER_OFFSETS,
    KIB,
    METADATA_REGION,
    REGION_TABLE_OFFSETS,
    RegionEntry,
    utf16,
)

from .facts import Facts, checksum_of, region_entries, stored_count
from .values import Values, absent, error, flag, guid, label, number, raw, shown, size, utf16_text


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


def copy_choice(facts: Facts) -> Values:
    """Yield `copy_choice`."""
    if not facts.has_preview:
        yield error("preview", "end of file")
        return
    for copy in (1, 2):
        rank = facts.rank(copy)
        low = facts.layout.headers[copy - 1].sequence_number & 0xFFFFFFFF
        yield number(f"preview.rank_{copy}_high", -1 if rank < 0 else rank >> 32)
        yield number(f"preview.number_{copy}_low", low)
    table = facts.layout.region_tables[0]
    yield flag("preview.is_region_table_1_valid", table.signature == b"regi")
    yield number("preview.current_header", facts.current_header)
    yield number("preview.region_table", facts.table_copy)


def region_lookup(facts: Facts) -> Values:
    """Yield `region_lookup`."""
    path = "regions"
    if not facts.has_preview:
        yield error(path, "end of file")
        return
    start = REGION_TABLE_OFFSETS[facts.table_copy - 1]
    table = facts.layout.region_tables[facts.table_copy - 1]
    yield number(f"{path}.ofs_table", start)
    if facts.length < start + 12:
        yield error(f"{path}.num_stored_entries", "end of file")
        return
    entries = facts.region_list
    yield number(f"{path}.num_stored_entries", stored_count(table))
    yield number(f"{path}.num_entries", len(entries))
    yield number(f"{path}.end_of_entries", start + 16 + 32 * len(entries))
    kinds = [entry.guid for entry in entries]
    for name, kind in (("bat", BAT_REGION), ("metadata", METADATA_REGION)):
        found = kind in kinds
        passed = entries[: kinds.index(kind) + 1] if found else entries
        if passed:
            yield size(f"{path}.up_to_{name}", len(passed))
            for index in shown(len(passed)):
                yield from region_entry(f"{path}.up_to_{name}[{index}]", passed[index])
        else:
            yield absent(f"{path}.up_to_{name}")
        yield flag(f"{path}.has_{name}", found)
        yield number(f"{path}.ofs_{name}", passed[-1].file_offset if found else 0)
        yield number(f"{path}.len_{name}", passed[-1].length if found else 0)
    has_both = BAT_REGION in kinds and METADATA_REGION in kinds
    yield flag(f"{path}.has_bat_and_metadata", has_both)


def _units(data: bytes) -> list[int]:
    units: list[int] = []
    for position in range(0, len(data), 2):
        units.append(int.from_bytes(data[position : position + 2], "little"))
        if units[-1] == 0:
            break
    return units


def region_entry(path: str, entry: RegionEntry) -> Values:
    """Yield `region_table_entry`."""
    kinds = {BAT_REGION: "bat", METADATA_REGION: "metadata"}
    yield from guid(f"{path}.guid", entry.guid)
    yield number(f"{path}.file_offset", entry.file_offset)
    yield number(f"{path}.length", entry.length)
    yield number(f"{path}.required", entry.required)
    yield label(f"{path}.kind", "region_kind", kinds.get(entry.guid, "other"))
