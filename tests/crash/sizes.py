"""Images that get another size: every kind that makes that difficult."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.images.chain import child_of
from tests.images.dirty import dirty
from tests.images.image import Block, Built, Image, Layout, dynamic, fixed, partial
from tests.images.structures import (
    FULLY_PRESENT,
    GIB,
    MIB,
    NOT_PRESENT,
    UNMAPPED,
    ZERO,
    bat_entry,
)

from .disks import littered
from .resizing import Resized

_BLOCKS = {0: Block(), 1: Block(ZERO), 3: Block(UNMAPPED), 4: Block()}
_END = 5 * MIB - 3 * 4096  # amid block 4


def _with_stale_entries(image: Image, *, count: int = 3000) -> Layout:
    """Return an image with entries of blocks past its end, which have no meaning."""
    layout = littered(image)
    geometry = image.geometry
    kept = geometry.bitmap_index(geometry.sector_bitmap_blocks - 1)
    first = geometry.index(geometry.payload_blocks - 1) + 1
    for index in range(first, first + count):
        if index != kept or not image.has_parent:
            layout.bat[index] = bat_entry(FULLY_PRESENT, 2 * MIB)
    return layout


def _parent(size: int, **fields: Any) -> Built:
    """Return an image all of whose first blocks hold something."""
    blocks = {number: Block() for number in range(min(40, -(-size // MIB)))}
    return dynamic(size, blocks=blocks, tag=9, **fields).build()


def _child(parent: Built, size: int, **fields: Any) -> Layout:
    return _with_stale_entries(child_of(parent, **fields).but(virtual_disk_size=size))


def larger() -> Resized:
    """A dynamic disk becomes larger, and its BAT has room."""
    return Resized(_with_stale_entries(dynamic(_END, blocks=_BLOCKS)).build(), 9 * MIB + 512)


def larger_by_many_pages() -> Resized:
    """The new entries take several pages of the BAT."""
    built = _with_stale_entries(dynamic(_END, blocks=_BLOCKS)).build()
    windows = ((0, 8 * MIB), (1023 * MIB, 1026 * MIB), (1999 * MIB, 2000 * MIB))
    return Resized(built, 2000 * MIB, windows=windows)


def larger_in_its_last_block() -> Resized:
    """The disk goes on in its last block alone."""
    built = _with_stale_entries(dynamic(_END, blocks=_BLOCKS)).build()
    return Resized(built, _END + 4096)


def larger_by_whole_blocks() -> Resized:
    """There is no last block that is on the disk only in part."""
    return Resized(_with_stale_entries(dynamic(5 * MIB, blocks=_BLOCKS)).build(), 7 * MIB)


def larger_with_a_place_that_is_kept() -> Resized:
    """The last block keeps a place with bytes from former times."""
    blocks = {0: Block(), 4: Block(UNMAPPED, 12 * MIB)}
    layout = _with_stale_entries(dynamic(_END, blocks=blocks, file_length=14 * MIB))
    return Resized(layout.build(), 6 * MIB)


def larger_with_a_new_bat() -> Resized:
    """The BAT has no room, and becomes another one."""
    blocks = {number: Block() for number in (0, 5000, 131000)}
    image = dynamic(127 * GIB + 512, blocks=blocks)
    windows = ((0, MIB), (131000 * MIB, 131001 * MIB), (127 * GIB - 4096, 127 * GIB + 4096))
    return Resized(littered(image).build(), 2000 * GIB, windows=windows)


def larger_with_a_new_bat_where_one_table_is_lost() -> Resized:
    """Likewise, and the first region table is not valid."""
    image = dynamic(127 * GIB, blocks={0: Block()})
    layout = littered(image)
    layout.patch(3 << 16, b"\xff" * 16)
    return Resized(
        layout.build(), 200 * GIB, windows=((0, MIB), (127 * GIB - MIB, 127 * GIB + MIB))
    )


def larger_with_a_new_bat_in_free_space() -> Resized:
    """Likewise, and the file has room for it, full of bytes of no meaning."""
    layout = littered(
        dynamic(127 * GIB - 512, blocks={0: Block(), 130047: Block()}, bat_offset=9 * MIB)
    )
    windows = ((0, MIB), (127 * GIB - MIB, 127 * GIB + MIB), (190 * GIB, 190 * GIB + MIB))
    return Resized(layout.build(), 200 * GIB, windows=windows)


def larger_by_chunks() -> Resized:
    """The BAT gets entries of sector bitmaps, which stay empty."""
    built = _with_stale_entries(dynamic(_END, blocks=_BLOCKS), count=9000).build()
    windows = ((0, 6 * MIB), (4095 * MIB, 4098 * MIB), (9000 * MIB - 512, 9000 * MIB))
    return Resized(built, 9000 * MIB, windows=windows)


def larger_fixed() -> Resized:
    """A fixed disk gets blocks that are stored."""
    return Resized(_with_stale_entries(fixed(_END)).build(), 8 * MIB)


def larger_fixed_with_free_space() -> Resized:
    """Likewise, and the file has free space that may be kept for other blocks."""
    image = fixed(3 * MIB - 512, bat_offset=9 * MIB, gap=0)
    return Resized(_with_stale_entries(image).build(), 5 * MIB)


def larger_fixed_without_places() -> Resized:
    """A fixed disk as QEMU makes it: blocks have no place, and the file has room for them."""
    blocks = {number: Block(ZERO) for number in range(3)}
    return Resized(fixed(3 * MIB - 512, blocks=blocks, file_length=7 * MIB).build(), 5 * MIB - 512)


def larger_with_sectors_of_4096() -> Resized:
    """Sectors of 4096 bytes."""
    image = dynamic(_END, blocks=_BLOCKS, logical_sector_size=4096)
    return Resized(_with_stale_entries(image).build(), 7 * MIB + 4096)


def larger_child() -> Resized:
    """A child goes on where its parent ends."""
    parent = _parent(_END)
    blocks = {0: partial(5, 6), 2: Block(ZERO), 4: partial(range(7, 90))}
    return Resized(_child(parent, _END, blocks=blocks).build(), 8 * MIB, [parent])


def larger_child_of_a_larger_parent() -> Resized:
    """The parent must not show past the old end, where the last block is the parent's."""
    parent = _parent(7 * MIB + 512)
    blocks = {0: partial(5, 6), 2: Block(ZERO)}
    return Resized(_child(parent, _END, blocks=blocks).build(), 10 * MIB, [parent])


def larger_child_with_a_partial_end() -> Resized:
    """Likewise, where the last block is partially present."""
    parent = _parent(20 * MIB)
    blocks = {0: Block(), 4: partial(range(0, 2030, 3))}
    return Resized(_child(parent, _END, blocks=blocks).build(), 7 * MIB, [parent])


def larger_child_with_sectors_of_4096() -> Resized:
    """Likewise, with sectors of 4096 bytes, all of which are here up to the old end."""
    parent = _parent(20 * MIB, logical_sector_size=4096)
    blocks = {0: Block(), 4: partial(range(253))}
    layout = _child(parent, _END, blocks=blocks, logical_sector_size=4096)
    return Resized(layout.build(), 7 * MIB, [parent])


def larger_child_with_a_new_bat() -> Resized:
    """A child gets another BAT, in which blocks are ZERO where its larger parent would show."""
    parent = dynamic(200 * GIB, blocks={130000: Block(), 140000: Block()}, tag=9).build()
    blocks = {0: partial(5), 130047: partial(range(4, 90))}
    size = 127 * GIB - 4096
    layout = littered(child_of(parent, blocks=blocks).but(virtual_disk_size=size))
    edges = ((0, 2), (130000, 130001), (130046, 130050), (140000, 140001), (250000, 250001))
    windows = tuple((first * MIB, last * MIB) for first, last in edges)
    return Resized(layout.build(), 300 * GIB, [parent], windows)


def larger_child_in_free_space() -> Resized:
    """The last block gets a place of its own, and a sector bitmap, where other bytes are."""
    parent = _parent(7 * MIB)
    layout = _child(parent, _END, blocks={0: Block()}, bat_offset=9 * MIB)
    return Resized(layout.build(), 6 * MIB, [parent])


def larger_child_by_chunks() -> Resized:
    """A child gets chunks, and the entry of the sector bitmap of its last one stays."""
    blocks = {number: Block() for number in (0, 4, 5, 4095, 4096, 8999)}
    parent = dynamic(9000 * MIB, blocks=blocks, tag=9).build()
    image = child_of(parent, blocks={0: partial(5), 4: partial(range(9, 500, 2))})
    layout = _with_stale_entries(image.but(virtual_disk_size=_END), count=12000)
    edges = ((0, 7), (4094, 4098), (8190, 8193), (8998, 9001))
    windows = tuple((first * MIB, last * MIB) for first, last in edges)
    return Resized(layout.build(), 12000 * MIB, [parent], windows)


def larger_after_a_replay() -> Resized:
    """The log is dirty."""
    layout = _with_stale_entries(dynamic(_END, blocks=_BLOCKS), count=10)
    return Resized(dirty(layout, hide=("region_tables", "bat"), split=2).build(), 8 * MIB)


def smaller() -> Resized:
    """A dynamic disk becomes smaller, and so does the file."""
    blocks = {number: Block() for number in range(9)}
    return Resized(littered(dynamic(9 * MIB, blocks=blocks)).build(), 4 * MIB - 512)


def smaller_by_many_pages() -> Resized:
    """Entries in several pages of the BAT lose their meaning."""
    blocks = {number: Block() for number in (0, 3, 800, 1500, 1999)}
    windows = ((0, 4 * MIB), (800 * MIB, 801 * MIB), (1999 * MIB, 2000 * MIB))
    return Resized(littered(dynamic(2000 * MIB, blocks=blocks)).build(), 4 * MIB, [], windows)


def smaller_fixed() -> Resized:
    """A fixed disk becomes smaller."""
    return Resized(littered(fixed(7 * MIB)).build(), 4 * MIB + 4096)


def smaller_child() -> Resized:
    """A child becomes smaller than its parent."""
    parent = _parent(9 * MIB)
    blocks = {0: partial(5, 6), 2: Block(ZERO), 4: partial(range(7, 90)), 7: Block()}
    image = child_of(parent, blocks=blocks)
    return Resized(littered(image).build(), 4 * MIB + 8192, [parent])


def smaller_child_of_several_chunks() -> Resized:
    """A child loses chunks with their sector bitmaps."""
    parent = dynamic(9 * GIB, blocks={0: Block(), 8191: Block(), 9000: Block()}, tag=9).build()
    blocks = {
        0: partial(5),
        4097: partial(9),
        9000: partial(range(4, 90)),
        9215: Block(NOT_PRESENT),
    }
    edges = ((0, 2), (4096, 4098), (4099, 4101), (9000, 9001))
    windows = tuple((first * MIB, last * MIB) for first, last in edges)
    layout = littered(child_of(parent, blocks=blocks))
    return Resized(layout.build(), 4100 * MIB, [parent], windows)


MAKERS: tuple[Callable[[], Resized], ...] = (
    *(larger, larger_by_many_pages, larger_in_its_last_block, larger_by_whole_blocks),
    *(larger_with_a_place_that_is_kept, larger_with_a_new_bat, larger_by_chunks),
    *(larger_with_a_new_bat_in_free_space, larger_child_in_free_space, larger_child_by_chunks),
    *(larger_with_a_new_bat_where_one_table_is_lost, larger_fixed, larger_fixed_with_free_space),
    larger_fixed_without_places,
    *(larger_with_sectors_of_4096, larger_child, larger_child_of_a_larger_parent),
    *(larger_child_with_a_partial_end, larger_child_with_sectors_of_4096),
    *(larger_child_with_a_new_bat, larger_after_a_replay),
    *(smaller, smaller_by_many_pages, smaller_fixed, smaller_child),
    smaller_child_of_several_chunks,
)
