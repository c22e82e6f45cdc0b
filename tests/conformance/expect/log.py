"""Values of the log: slots, and the entries that begin in them."""

from __future__ import annotations

from tests.images.log import SECTOR, Data, Placed, Zero
from tests.images.structures import HEADER_OFFSETS, ZERO_GUID

from .facts import Facts, descriptor_count, entry_length, room
from .values import Values, absent, error, flag, guid, label, le, number, raw, shown, size, text


def log_ring(facts: Facts) -> Values:
    """Yield `log_ring`."""
    if facts.current_header == 0:
        yield absent("log")
        return
    header = facts.layout.headers[facts.current_header - 1]
    start, length = header.log_offset, header.log_length
    at_header = HEADER_OFFSETS[facts.current_header - 1]
    yield number("log.ofs_header", at_header)
    yield from guid("log.header.log_guid", header.log_guid)
    yield flag("log.has_to_be_replayed", header.log_guid != ZERO_GUID)
    yield number("log.ofs_log", start)
    yield number("log.len_log", length)
    there = room(start, facts.length, 1) if start else 0
    stored = min(length, there)
    yield number("log.len_stored", stored)
    slots = stored // SECTOR
    yield number("log.end_of_log", start + stored)
    yield number("log.ofs_log_guid", at_header + 48)
    yield number("log.num_slots", slots)
    if not slots:
        yield absent("log.slots")
        return
    yield size("log.slots", slots)
    placed = {} if facts.layout.log is None else facts.beginnings()
    ends = [(item.at + item.length) // SECTOR - 1 for item in placed.values()]
    for index in shown(slots, [*placed, *ends]):
        path, at = f"log.slots[{index}]", start + index * SECTOR
        yield number(f"{path}.ofs_slot", at)
        yield number(f"{path}.end_of_log", start + stored)
        yield number(f"{path}.ofs_log_guid", at_header + 48)
        yield from log_slot(facts, path, at, start + stored, placed.get(index))


def log_slot(facts: Facts, path: str, at: int, end: int, item: Placed | None) -> Values:
    """Yield `log_slot`."""
    signature = facts.file.read(at, 4)
    is_entry = item is not None and item.entry.signature == b"loge"
    own = facts.layout.headers[facts.current_header - 1].log_guid
    is_live = item is not None and is_entry and item.log_guid == own != ZERO_GUID
    yield raw(f"{path}.raw", facts.file.read(at, SECTOR))
    yield raw(f"{path}.signature", signature)
    yield flag(f"{path}.is_entry", is_entry)
    yield raw(f"{path}.log_guid", own.bytes_le)
    yield raw(f"{path}.guid_of_entry", facts.file.read(at + 32, 16))
    yield flag(f"{path}.is_live", is_live)
    yield number(f"{path}.entry_length", le(facts.file.read(at + 8, 4)))
    if item is None or not is_entry:
        is_data = signature == b"data"
        yield number(f"{path}.kind_code", 2 if is_data else 0)
        yield text(f"{path}.kind", "data sector" if is_data else "unused")
        sector = facts.file.read(at, SECTOR)
        if is_data:
            yield from log_data_sector(f"{path}.sector", sector)
        else:
            yield raw(f"{path}.sector.signature", signature)
            yield raw(f"{path}.sector.rest", sector[4:])
        yield number(f"{path}.len_entry", 0)
        yield flag(f"{path}.is_entry_whole", False)
        yield absent(f"{path}.entry")
        return
    yield number(f"{path}.kind_code", 1)
    yield text(f"{path}.kind", "live entry" if is_live else "stale entry")
    yield number(f"{path}.sector.ofs_sector", at)
    yield from log_entry_header(f"{path}.sector.header", item)
    yield raw(f"{path}.sector.rest", facts.file.read(at + 64, SECTOR - 64))
    yield number(f"{path}.sector.sequence_number_low", item.sequence_number & 0xFFFFFFFF)
    yield number(f"{path}.sector.sequence_number_high", item.sequence_number >> 32)
    stated = entry_length(item)
    whole = SECTOR <= stated <= end - at
    yield number(f"{path}.len_entry", stated)
    yield flag(f"{path}.is_entry_whole", whole)
    if whole:
        yield from log_entry(facts, f"{path}.entry", item, at)
    else:
        yield absent(f"{path}.entry")


def log_entry(facts: Facts, path: str, item: Placed, at: int) -> Values:
    """Yield `log_entry`."""
    stated, count = entry_length(item), descriptor_count(item)
    used = count if 64 + 32 * count <= stated else 0
    if -(-(64 + 32 * used) // SECTOR) * SECTOR > stated:
        yield error(path, "end of file")
        return
    yield from log_entry_header(f"{path}.header", item)
    yield number(f"{path}.len_header_and_descriptors", 64 + 32 * count)
    yield number(f"{path}.num_descriptors", used)
    yield number(f"{path}.len_used", 64 + 32 * used)
    whole = -(-(64 + 32 * used) // SECTOR) * SECTOR
    yield number(f"{path}.len_padding", whole - 64 - 32 * used)
    yield number(f"{path}.len_descriptor_sectors", whole)
    sectors = (stated - whole) // SECTOR if stated > whole else 0
    yield number(f"{path}.num_data_sectors", sectors)
    yield size(f"{path}.descriptors", used)
    descriptors = item.entry.descriptors
    telling = [n for n, one in enumerate(descriptors) if isinstance(one, Data)]
    for index in shown(used, [2, 3, *telling[:4], *telling[-2:]]):
        yield from log_descriptor(f"{path}.descriptors[{index}]", descriptors[index], item)
    yield raw(f"{path}.padding", facts.file.read(at + 64 + 32 * used, whole - 64 - 32 * used))
    yield size(f"{path}.data_sectors", sectors)
    for index in shown(sectors):
        sector = facts.file.read(at + whole + index * SECTOR, SECTOR)
        yield from log_data_sector(f"{path}.data_sectors[{index}]", sector)


def log_entry_header(path: str, item: Placed) -> Values:
    """Yield `log_entry_header`."""
    checksum = item.entry.checksum
    yield raw(f"{path}.signature", item.entry.signature)
    yield number(f"{path}.checksum", le(item.pack()[4:8]) if checksum is None else checksum)
    yield number(f"{path}.entry_length", entry_length(item))
    yield number(f"{path}.tail", item.tail)
    yield number(f"{path}.sequence_number", item.sequence_number)
    yield number(f"{path}.num_descriptors", descriptor_count(item))
    yield number(f"{path}.reserved", item.entry.reserved)
    yield from guid(f"{path}.log_guid", item.log_guid)
    yield number(f"{path}.flushed_file_offset", item.flushed_file_offset)
    yield number(f"{path}.last_file_offset", item.last_file_offset)
    yield flag(f"{path}.is_signature_valid", item.entry.signature == b"loge")


def log_descriptor(path: str, descriptor: Data | Zero, item: Placed) -> Values:
    """Yield `log_descriptor`."""
    kinds = {b"zero": "zero_descriptor", b"desc": "data_descriptor"}
    kind = kinds.get(descriptor.signature, "other_descriptor")
    stated = descriptor.sequence_number
    yield raw(f"{path}.signature", descriptor.signature)
    yield label(f"{path}.kind", "descriptor_kind", kind)
    body = descriptor.pack(item.sequence_number)[4:16]
    if kind == "other_descriptor":
        yield raw(f"{path}.body.raw", body)
    elif isinstance(descriptor, Zero):
        yield number(f"{path}.body.reserved", descriptor.reserved)
        yield number(f"{path}.body.zero_length", descriptor.length)
    else:
        yield raw(f"{path}.body.trailing_bytes", body[:4])
        yield raw(f"{path}.body.leading_bytes", body[4:])
    yield number(f"{path}.file_offset", descriptor.file_offset)
    yield number(f"{path}.sequence_number", item.sequence_number if stated is None else stated)


def log_data_sector(path: str, sector: bytes) -> Values:
    """Yield `log_data_sector`, going by what the log holds in the end."""
    yield raw(f"{path}.signature", sector[:4])
    yield number(f"{path}.sequence_high", le(sector[4:8]))
    yield raw(f"{path}.data", sector[8:4092])
    yield number(f"{path}.sequence_low", le(sector[4092:]))
    yield flag(f"{path}.is_signature_valid", sector[:4] == b"data")
