"""Values of the block allocation table: chunks, and the blocks of each."""

from __future__ import annotations

from tests.images.structures import (
    BAT_REGION,
    FULLY_PRESENT,
    METADATA_REGION,
    MIB,
    PARTIALLY_PRESENT,
    SB_PRESENT,
    STATE_NAMES,
)

from .facts import Facts, Geometry, room
from .header_section import region_entry
from .metadata import disk_geometry
from .values import Values, absent, flag, label, number, raw, shown, size, text

BITMAP_STATE_NAMES = {0: "bitmap_not_present", SB_PRESENT: "bitmap_present"}


def bat_view(facts: Facts) -> Values:
    """Yield `bat_view`."""
    path, region = "bat", facts.region(BAT_REGION)
    if region is None or facts.region(METADATA_REGION) is None:
        yield absent(path)
        return
    geometry = facts.geometry
    yield number(f"{path}.ofs_region_entry", facts.ofs_region_entry(BAT_REGION))
    yield number(f"{path}.ofs_metadata_entry", facts.ofs_region_entry(METADATA_REGION))
    yield from region_entry(f"{path}.region", region)
    yield from disk_geometry(facts, f"{path}.geometry")
    yield number(f"{path}.ofs_region", region.file_offset)
    yield number(f"{path}.block_size", geometry.block_size)
    yield number(f"{path}.num_payload_blocks", geometry.num_payload_blocks)
    yield number(f"{path}.chunk_ratio", geometry.chunk_ratio)
    yield flag(f"{path}.has_parent", geometry.has_parent)
    yield number(f"{path}.num_chunks", geometry.num_chunks)
    yield size(f"{path}.chunks", geometry.num_chunks)
    for index in shown(geometry.num_chunks):
        yield from bat_chunk(facts, f"{path}.chunks[{index}]", index, region.file_offset, geometry)


def bat_chunk(facts: Facts, path: str, index: int, start: int, geometry: Geometry) -> Values:
    """Yield `bat_chunk`."""
    ratio, total = geometry.chunk_ratio, geometry.num_payload_blocks
    first, own = index * ratio, index * (ratio + 1)
    blocks = min(ratio, total - first)
    ofs_entries = start + own * 8
    yield number(f"{path}.ofs_entries", ofs_entries)
    yield number(f"{path}.first_block", first)
    yield number(f"{path}.num_disk_blocks", total)
    yield number(f"{path}.chunk_ratio", ratio)
    yield number(f"{path}.block_size", geometry.block_size)
    yield flag(f"{path}.has_parent", geometry.has_parent)
    yield number(f"{path}.num_entries", blocks)
    there = room(ofs_entries, facts.length, 8)
    stored = min(blocks, there)
    yield number(f"{path}.num_payload_blocks", stored)
    yield number(f"{path}.len_raw_entries", 8 * stored)
    has_bitmap = (geometry.has_parent or first + ratio < total) and ratio < there
    yield flag(f"{path}.has_sector_bitmap_entry", has_bitmap)
    if stored:
        entries = [facts.layout.bat.get(own + n, 0) for n in range(stored)]
        data = b"".join(entry.to_bytes(8, "little") for entry in entries)
        yield raw(f"{path}.raw_entries", data)
        yield size(f"{path}.payload_blocks", stored)
    else:
        yield absent(f"{path}.raw_entries")
        yield absent(f"{path}.payload_blocks")
    telling = [n - own for n in sorted(facts.layout.bat) if own <= n < own + stored]
    for position in shown(stored, telling[:24]):
        one = f"{path}.payload_blocks[{position}]"
        entry = facts.layout.bat.get(own + position, 0)
        yield from block(facts, one, entry, ofs_entries + 8 * position, geometry.block_size)
    yield number(f"{path}.ofs_sector_bitmap_entry", ofs_entries + 8 * ratio)
    if has_bitmap:
        entry = facts.layout.bat.get(own + ratio, 0)
        yield from block(facts, f"{path}.sector_bitmap", entry, ofs_entries + 8 * ratio)
    else:
        yield absent(f"{path}.sector_bitmap")


def block(facts: Facts, path: str, entry: int, at: int, block_size: int | None = None) -> Values:
    """Yield `payload_block`, or `sector_bitmap_block` when no block size is given."""
    state, place = entry & 7, entry >> 20
    if block_size is None:
        enum, names, stored = "sector_bitmap_state", BITMAP_STATE_NAMES, state == SB_PRESENT
    else:
        enum, names = "payload_block_state", STATE_NAMES
        stored = state in (FULLY_PRESENT, PARTIALLY_PRESENT)
    length = MIB if block_size is None else block_size
    yield number(f"{path}.ofs_entry", at)
    if block_size is not None:
        yield number(f"{path}.len_data", length)
    yield raw(f"{path}.raw_entry", entry.to_bytes(8, "little"))
    yield label(f"{path}.entry.state", enum, names.get(state, str(state)))
    yield number(f"{path}.entry.reserved", entry >> 3 & 0x1FFFF)
    yield number(f"{path}.entry.file_offset_mb_low", entry >> 20 & 0xFFF)
    yield number(f"{path}.entry.file_offset_mb_high", entry >> 32)
    yield number(f"{path}.entry.file_offset_mb", place)
    yield flag(f"{path}.entry.is_stored", stored)
    yield text(f"{path}.entry.location", f"at {place} MiB" if stored else "not in this file")
    yield flag(f"{path}.is_stored", stored)
    yield number(f"{path}.file_offset_mb", place)
    has_data = stored and place * MIB + length <= facts.length
    yield flag(f"{path}.has_data", has_data)
    if has_data:
        yield raw(f"{path}.data", facts.file.read(place * MIB, length))
    else:
        yield absent(f"{path}.data")
