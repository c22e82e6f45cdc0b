"""Pages of the BAT whose entries were moved by one place, and how they were before.

QEMU before 8.0 does that when it updates the first entry of a page of 4 KiB: the others follow it
one place late, and the last is lost; of the last page, it stands after the last entry of the BAT.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..storage.overlay import Overlay, Update
from .bat import (
    ENTRY_LENGTH,
    FULLY_PRESENT,
    OFFSET_MASK,
    PAGE_ENTRIES,
    RESERVED_MASK,
    STATE_MASK,
    Bat,
)

# What stands for an entry that is lost: that of a block without a place, which nobody can read.
_LOST = FULLY_PRESENT.to_bytes(ENTRY_LENGTH, "little")


def is_last_pushed_out(table: Bat, size: int) -> bool:
    """Tell whether the entry of a block stands where the BAT's last would be moved to.

    Args:
        table: The BAT.
        size: Length of the file in bytes.
    """
    count = table.geometry.entry_count
    within = count % PAGE_ENTRIES
    rest = table.unused(PAGE_ENTRIES - within)
    if within == 0 or not rest or any(rest[1:]):
        return False
    is_stored = rest[0] & (STATE_MASK | RESERVED_MASK) == FULLY_PRESENT
    is_inside = 0 < rest[0] & OFFSET_MASK <= size - table.geometry.block_size
    return is_stored and is_inside and rest[0] not in table.numbers(count - within, within)


def pages_with_a_bitmap(table: Bat, bitmaps: Iterable[tuple[int, int]]) -> Iterator[int]:
    """Yield the index of the first entry of pages that look moved by one.

    What gives them away is a sector bitmap's entry that holds a block's, with the
    empty one of the sector bitmap after it.

    Args:
        table: The BAT of a disk without a parent, whose sector bitmaps have empty entries.
        bitmaps: Chunks, and the entry of the sector bitmap of each.
    """
    geometry = table.geometry
    for chunk, entry in bitmaps:
        index = geometry.sector_bitmap_index(chunk)
        within = index % PAGE_ENTRIES
        has_next = within < PAGE_ENTRIES - 1 and index + 1 < geometry.entry_count
        is_block = entry & STATE_MASK == FULLY_PRESENT and within > 0
        if is_block and has_next and table.entry(index + 1) == 0:
            yield index - within


def last_page(table: Bat) -> int:
    """Return the index of the first entry of the last page of a BAT."""
    count = table.geometry.entry_count
    return count - count % PAGE_ENTRIES


def shifted_pages(table: Bat, size: int) -> list[int]:
    """Return the index of the first entry of all pages that look moved by one, in order.

    Args:
        table: The BAT.
        size: Length of the file in bytes.
    """
    if table.geometry.is_differencing:
        return []
    chunks = (table.geometry.payload_blocks - 1) // table.geometry.chunk_ratio
    bitmaps = enumerate(table.sector_bitmaps(0, chunks))
    pages = set(pages_with_a_bitmap(table, ((chunk, entry) for chunk, entry in bitmaps if entry)))
    if is_last_pushed_out(table, size):
        pages.add(last_page(table))
    return sorted(pages)


def moved_back(table: Bat, pages: Iterable[int]) -> Bat:
    """Return a BAT that reads as it did before pages of it were moved by one.

    The last entry of such a page is lost, and reads as that of a block without a place.

    Args:
        table: The BAT.
        pages: The index of the first entry of each page, in order.
    """
    updates = []
    for first in pages:
        start = table.region.file_offset + (first + 1) * ENTRY_LENGTH
        entries = min(PAGE_ENTRIES, table.geometry.entry_count - first)
        end = table.region.file_offset + (first + entries) * ENTRY_LENGTH
        lost = _LOST if entries == PAGE_ENTRIES else b""
        updates.append(Update(start, end, start + ENTRY_LENGTH, suffix=lost))
    source = table.source
    return Bat(Overlay(source, updates, source.size), table.region, table.geometry)
