"""Images that are written to while the power is cut: every kind that makes writing difficult.

The space that they have to spare inside is full of bytes that were somebody's once.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tests.images.chain import child_of, default_blocks, write_guid
from tests.images.dirty import dirty
from tests.images.image import (
    Block,
    Built,
    Image,
    Layout,
    Region,
    dynamic,
    fixed,
    partial,
    sectors,
)
from tests.images.structures import (
    FULLY_PRESENT,
    GIB,
    IS_USER,
    IS_VIRTUAL_DISK,
    KIB,
    MIB,
    NOT_PRESENT,
    UNDEFINED,
    UNMAPPED,
    ZERO,
    MetadataItem,
)

from .scripts import Habits

_HEADER_SECTION = (0, MIB)
_USUAL = Habits()
_ITEMS = [
    MetadataItem(UUID(int=71), b"an item that nobody knows", IS_VIRTUAL_DISK),
    MetadataItem(UUID(int=72), b"one of a user" * 40, IS_USER),
    MetadataItem(UUID(int=73), b"", IS_USER),
]


@dataclass
class Written:
    """An image that is to be written to.

    Attributes:
        image: The image.
        parents: Its parents, nearest first.
        windows: The ranges of the disk that are looked at; all of it when there is none.
        habits: What is asked for how often.
        count: How many operations make a script.
    """

    image: Layout
    parents: list[Built] = field(default_factory=list)
    windows: tuple[tuple[int, int], ...] = ()
    habits: Habits = _USUAL
    count: int = 60


def garbage(length: int, seed: int) -> bytes:
    """Return bytes of no meaning, none of which is zero."""
    return random.Random(seed).randbytes(length).replace(b"\0", b"\xa5")


def used(layout: Layout) -> list[tuple[int, int]]:
    """Return the ranges of a file that belong to something, soft anchors included, in order."""
    found = [_HEADER_SECTION, (layout.log_offset, layout.log_offset + layout.image.log_length)]
    for entry in layout.region_tables[0].entries:
        found.append((entry.file_offset, entry.file_offset + entry.length))
    for bitmap in layout.bitmaps.values():
        found.append((bitmap.file_offset, bitmap.file_offset + MIB))
    for offset in layout.payload.values():
        found.append((offset, offset + layout.image.block_size))
    for block in layout.image.blocks.values():
        if block.file_offset and block.state in (UNDEFINED, UNMAPPED):
            found.append((block.file_offset, block.file_offset + layout.image.block_size))
    return sorted(found)


def free(layout: Layout) -> Iterable[tuple[int, int]]:
    """Yield the ranges of a file that belong to nothing."""
    at = 0
    for start, end in [*used(layout), (layout.final_length(), 0)]:
        if at < start:
            yield at, start
        at = max(at, end)


def littered(image: Image, *, seed: int = 1) -> Layout:
    """Return an image whose free space is full of garbage; old data at soft anchors, too."""
    layout = image.layout()
    for start, end in free(layout):
        layout.patch(start, garbage(end - start, seed + start))
    for block in layout.image.blocks.values():
        if block.file_offset and block.state in (UNDEFINED, UNMAPPED):
            layout.patch(block.file_offset, garbage(image.block_size, seed + block.file_offset))
    return layout


# -- disks without a parent -----------------------------------------------------------------------

# Every state, with and without a soft anchor; the places past 40 MiB are those of the anchors.
_STATES = {
    0: Block(),
    1: Block(ZERO),
    2: Block(UNMAPPED),
    3: Block(UNMAPPED, 24 * MIB),
    4: Block(UNDEFINED, 26 * MIB),
    5: Block(UNDEFINED),
    7: Block(),
    9: Block(),
}


def any_dynamic(**fields: Any) -> Image:
    """Return a dynamic disk with blocks in every state, whose size is no multiple of theirs."""
    values: dict[str, Any] = {"blocks": _STATES, "gap": MIB, "file_length": 29 * MIB}
    return dynamic(**({"virtual_disk_size": 9 * MIB + 5 * 4096} | values | fields))


def _dynamic() -> Written:
    """A dynamic disk with blocks in every state."""
    return Written(littered(any_dynamic()))


def _dynamic_without_gaps() -> Written:
    """One as Windows makes it: nothing to spare inside."""
    return Written(dynamic(6 * MIB + 512, blocks={1: Block(), 0: Block(), 3: Block(ZERO)}).layout())


def _empty_dynamic() -> Written:
    """One without blocks."""
    return Written(dynamic(5 * MIB, block_size=2 * MIB).layout())


def _sectors_of_4096() -> Written:
    """Sectors of 4096 bytes, blocks of 2 MiB."""
    blocks = {0: Block(), 1: Block(UNMAPPED), 2: Block(UNMAPPED, 24 * MIB), 4: Block()}
    image = any_dynamic(
        blocks=blocks, block_size=2 * MIB, logical_sector_size=4096, physical_sector_size=4096
    )
    return Written(littered(image))


def _large_blocks() -> Written:
    """Blocks of 32 MiB, as Windows makes them; the second is cut by the end of the disk."""
    image = dynamic(40 * MIB, block_size=32 * MIB, blocks={0: Block()}, gap=MIB)
    windows = ((0, 2 * MIB), (31 * MIB, 34 * MIB), (39 * MIB, 40 * MIB))
    return Written(littered(image), [], windows, Habits(longest=MIB), count=25)


def _fixed() -> Written:
    """A fixed disk."""
    return Written(littered(fixed(4 * MIB + 1024, gap=MIB)))


def _fixed_with_absent_blocks() -> Written:
    """A fixed disk with blocks in states 0 to 3."""
    return Written(littered(fixed(7 * MIB, blocks={n: Block(n % 4) for n in range(1, 6)}, gap=MIB)))


def _fixed_of_qemu() -> Written:
    """QEMU's fixed disk: every block ZERO without a place, nothing marked as required."""
    return Written(fixed(4 * MIB, others=Block(ZERO), required=0, file_length=8 * MIB).layout())


def _fixed_whose_last_block_is_cut() -> Written:
    """The file ends in the last block, where the disk ends too, as in QEMU's fixed images."""
    image = fixed(3 * MIB + 512)
    return Written(image.but(file_length=image.layout().payload[3] + 512).layout())


def _dynamic_whose_last_block_is_cut() -> Written:
    """The file ends in the last block, where the disk ends, too."""
    image = dynamic(6 * MIB + 512, block_size=2 * MIB, blocks={0: Block(), 3: Block()})
    layout = littered(image)
    layout.file_length = layout.payload[3] + 512
    return Written(layout)


# -- disks with parents ---------------------------------------------------------------------------


def _base(size: int = 8 * MIB, **fields: Any) -> Built:
    image = dynamic(size, tag=1, data_write_guid=write_guid(0), **fields)
    if not image.blocks:
        blocks = default_blocks(0, image)
        image = image.but(blocks=blocks | {number: Block() for number in (5,) if number in blocks})
    return image.build()


def _child_of(parent: Built, depth: int = 1, **fields: Any) -> Image:
    """Return a child with blocks in every state, stale bits among them."""
    values: dict[str, Any] = {
        "block_size": parent.image.block_size,
        "data_write_guid": write_guid(depth),
        "tag": depth + 1,
        "gap": MIB,
    }
    size = fields.pop("virtual_disk_size", parent.image.virtual_disk_size)
    image = child_of(parent, **(values | fields)).but(virtual_disk_size=size)
    if "blocks" in fields:
        return image
    stale = sectors(range(40), range(100, 2000, 3))
    return image.but(
        blocks={
            0: partial(0, range(3, 9), range(64, 2048, 2)),
            1: Block(NOT_PRESENT, present=stale),
            2: Block(ZERO, present=stale),
            3: Block(UNMAPPED, present=stale),
            4: Block(FULLY_PRESENT, present=((3, 50),)),
            5: Block(UNDEFINED),
        }
    )


def _child() -> Written:
    """A child with blocks in every state and stale bits."""
    parent = _base()
    return Written(littered(_child_of(parent)), [parent])


def _child_without_a_bitmap() -> Written:
    """A child that has no sector bitmap block yet, and space inside for one."""
    parent = _base()
    image = _child_of(parent, blocks={1: Block(ZERO), 2: Block()}, file_length=12 * MIB)
    return Written(littered(image), [parent])


def _child_that_is_overwritten() -> Written:
    """Whole blocks, which were the parent's, go to the end of the file."""
    parent = _base()
    habits = Habits(zero=0.5, discard=0.5, flush=6, whole=0.7, longest=4000)
    image = _child_of(parent, blocks={}, gap=0)
    return Written(image.layout(), [parent], habits=habits, count=20)


def _child_of_a_child() -> Written:
    """Three files with blocks of 4, 1 and 2 MiB."""
    base = _base(block_size=4 * MIB)
    middle = _child_of(base, block_size=MIB).build()
    blocks = {0: partial(range(9)), 1: Block(NOT_PRESENT, present=sectors(range(4096)))}
    image = _child_of(middle, 2, block_size=2 * MIB, blocks=blocks)
    return Written(littered(image), [middle, base])


def _child_with_sectors_of_4096() -> Written:
    """Sectors of 4096 bytes in a child."""
    parent = _base(9 * MIB, logical_sector_size=4096)
    blocks = {
        0: partial(range(7), 255),
        1: Block(NOT_PRESENT, present=sectors(range(0, 256, 3))),
        2: Block(UNMAPPED),
    }
    return Written(littered(_child_of(parent, blocks=blocks)), [parent])


def _child_larger_than_its_parent() -> Written:
    """The parent ends inside a block of the child, at a sector."""
    parent = _base(3 * MIB + 1536)
    return Written(littered(_child_of(parent, virtual_disk_size=7 * MIB + 512)), [parent])


def _child_smaller_than_its_parent() -> Written:
    """The parent goes on."""
    parent = _base()
    return Written(littered(_child_of(parent, virtual_disk_size=5 * MIB + 512)), [parent])


def _child_of_a_dirty_parent() -> Written:
    """The parent's BAT is right only once its log is replayed."""
    blocks = {0: Block(), 2: Block(), 3: Block(), 5: Block(ZERO)}
    image = dynamic(6 * MIB, tag=1, data_write_guid=write_guid(0), blocks=blocks)
    parent = dirty(image).build()
    return Written(littered(_child_of(parent)), [parent])


def _child_of_several_chunks() -> Written:
    """A child of 9 GiB, whose chunks have sector bitmaps of their own, the last but one none."""
    blocks = {0: Block(), 4095: Block(), 4096: Block(), 8191: Block(), 9215: Block()}
    parent = _base(9 * GIB, blocks=blocks)
    image = _child_of(parent, blocks={0: partial(5), 9215: partial(range(4, 90))})
    edges = [(0, 2), (4095, 4097), (8191, 8192), (9215, 9216)]
    windows = tuple((first * MIB, last * MIB) for first, last in edges)
    return Written(littered(image), [parent], windows)


# -- what else is in a file -----------------------------------------------------------------------


def _unknown_regions_and_items() -> Written:
    """Regions and items that nobody knows, amid the free space."""
    data = [garbage(MIB, number) for number in range(2)]
    regions = [
        Region(UUID(int=81), MIB, 17 * MIB, data=data[0]),
        Region(UUID(int=82), 2 * MIB, 22 * MIB, data=data[1]),
    ]
    blocks = {0: Block(), 2: Block(), 4: Block(UNMAPPED, 20 * MIB)}
    image = any_dynamic(blocks=blocks, regions=regions, items=_ITEMS, metadata_length=2 * MIB)
    return Written(littered(image.but(file_length=26 * MIB)))


def _unknown_region_at_the_end() -> Written:
    """A region that nobody knows is the last of the file, past all blocks."""
    regions = [Region(UUID(int=81), MIB, 12 * MIB, data=garbage(MIB, 3))]
    blocks = {0: Block(), 2: Block()}
    return Written(littered(dynamic(6 * MIB, blocks=blocks, regions=regions, items=_ITEMS)))


def _odd_length() -> Written:
    """The length of the file is no multiple of a MiB."""
    return Written(littered(any_dynamic(file_length=28 * MIB + 3 * 512)))


def _odd_length_without_gaps() -> Written:
    """The same, and what is appended comes right after the odd bytes."""
    image = dynamic(6 * MIB, blocks={0: Block(), 2: Block()})
    return Written(littered(image.but(file_length=image.layout().final_length() + 3 * 512)))


def _structures_in_another_order() -> Written:
    """Log and BAT lie after the blocks, the log is of 2 MiB."""
    order = ("blocks", "regions", "bat", "metadata", "log")
    image = any_dynamic(order=order, log_length=2 * MIB, block_order=(9, 0, 7))
    return Written(littered(image))


def _equal_headers() -> Written:
    """Both headers are the same, as Disk2vhd makes them."""
    layout = littered(any_dynamic())
    layout.headers[1].sequence_number = layout.headers[0].sequence_number
    return Written(layout)


def _one_header_lost() -> Written:
    """One header is none, and the first is the current one."""
    layout = littered(any_dynamic())
    layout.headers.reverse()
    layout.headers[1].raw = garbage(4096, 9)
    return Written(layout)


def _dirty() -> Written:
    """BAT and region tables are right only once the log is replayed."""
    return Written(dirty(littered(any_dynamic()), hide=("region_tables", "bat"), split=2))


def _dirty_log_full_of_numbers() -> Written:
    """The log begins amid the ring, under a large number."""
    layout = littered(any_dynamic())
    return Written(dirty(layout, at=250 * 4096, first_sequence_number=1 << 40, split=1))


def _dirty_log_that_extends_the_file() -> Written:
    """The file gets its length from the log; what it lacks are zeros then."""
    image = dynamic(6 * MIB, blocks={0: Block(), 1: Block(), 3: Block(data=b"")})
    length = image.layout().payload[3]
    return Written(dirty(image, file_length=length))


def _dirty_child() -> Written:
    """A child whose BAT, bitmaps and locator come out of the log."""
    parent = _base()
    layout = littered(_child_of(parent))
    return Written(dirty(layout, hide=("metadata", "bat", "bitmaps")), [parent])


# -- work of other kinds --------------------------------------------------------------------------


def _ring_that_wraps() -> Written:
    """Enough flushes for the log to go all around the ring several times."""
    parent = _base(3 * MIB)
    image = _child_of(parent, blocks={0: partial(range(0, 2048, 2)), 1: Block(ZERO)})
    habits = Habits(flush=10, hot=3, longest=8192, reopen=0, abandon=0.02)
    return Written(littered(image), [parent], habits=habits, count=900)


def _space_that_is_used_again() -> Written:
    """Blocks come and go, and with them their space, over many sessions."""
    habits = Habits(write=6, zero=4, discard=6, flush=6, reopen=1, hot=6, longest=6000)
    return Written(littered(any_dynamic()), habits=habits, count=150)


def _space_of_a_child_that_is_used_again() -> Written:
    """The same in a child, where sector bitmaps have a say."""
    parent = _base()
    habits = Habits(write=6, zero=4, discard=6, flush=6, reopen=1, hot=6, longest=6000)
    return Written(littered(_child_of(parent)), [parent], habits=habits, count=150)


def _kept_places_alone() -> Written:
    """The only space inside is what blocks have kept."""
    image = dynamic(6 * MIB, blocks={0: Block()})
    end = image.layout().final_length()
    places = {1: Block(UNMAPPED, end), 2: Block(UNDEFINED, end + MIB), 4: Block(UNMAPPED)}
    return Written(littered(image.but(blocks={0: Block(), **places})))


def _sessions_that_leave_little() -> Written:
    """What a session has appended is often given back in it."""
    habits = Habits(write=6, zero=2, discard=6, flush=4, reopen=3, abandon=0, longest=3000, hot=3)
    return Written(dynamic(3 * MIB).layout(), habits=habits)


def _processes_that_are_killed() -> Written:
    """Processes are killed before they have flushed anything, and others go on."""
    habits = Habits(write=6, zero=1, discard=1, flush=2, abandon=6, reopen=0.3, longest=6000)
    return Written(dynamic(6 * MIB, blocks={0: Block(), 2: Block()}).layout(), habits=habits)


def _medium_that_is_full_at_times() -> Written:
    """Writes fail for want of space, and the disk goes on; the file has no space inside."""
    habits = Habits(fail=6, reopen=0.2, abandon=0.1, longest=6000, hot=4)
    return Written(dynamic(9 * MIB, blocks={0: Block(), 2: Block()}).layout(), habits=habits)


def _child_on_a_medium_that_is_full_at_times() -> Written:
    """The same in a child."""
    parent = _base()
    habits = Habits(fail=6, reopen=0.2, abandon=0.1, longest=6000, hot=4)
    return Written(littered(_child_of(parent)), [parent], habits=habits)


def _many_pages() -> Written:
    """A disk of 200 GiB, with blocks whose entries are in pages of their own."""
    blocks = {number: Block() for number in range(0, 200 << 10, 25000)}
    image = dynamic(200 * GIB, blocks=blocks, gap=MIB)
    windows = tuple((number * MIB, (number + 1) * MIB) for number in blocks)
    return Written(littered(image), [], windows, Habits(longest=9000), count=30)


def _more_pages_than_the_ring_holds() -> Written:
    """Zeros in much of such a disk change more pages than an entry takes, or the ring."""
    blocks = {number: Block() for number in range(0, 200 << 10, 10000)}
    image = dynamic(200 * GIB, blocks=blocks)
    windows = tuple((number * MIB, number * MIB + 64 * KIB) for number in blocks)
    habits = Habits(write=12, zero=5, discard=0, flush=8, longest=9000, wide=0.8, hot=20)
    return Written(image.layout(), [], windows, habits, count=40)


def _chunks_without_bitmaps() -> Written:
    """A child of 40 GiB, each of whose chunks gets its sector bitmap with its first sectors."""
    numbers = [chunk * 4096 + 7 for chunk in range(10)]
    parent = _base(40 * GIB, blocks={number: Block() for number in numbers})
    windows = tuple((number * MIB, number * MIB + 64 * KIB) for number in numbers)
    habits = Habits(zero=0, discard=0, flush=6, reopen=0.1, abandon=0.1, longest=4000, hot=10)
    image = _child_of(parent, blocks={})
    return Written(image.layout(), [parent], windows, habits, count=40)


_MAKERS: tuple[Callable[[], Written], ...] = (
    *(_dynamic, _dynamic_without_gaps, _empty_dynamic, _sectors_of_4096, _large_blocks),
    *(_fixed, _fixed_with_absent_blocks, _fixed_of_qemu, _fixed_whose_last_block_is_cut),
    *(_child, _child_without_a_bitmap, _child_that_is_overwritten),
    *(_child_of_a_child, _child_with_sectors_of_4096),
    *(_child_larger_than_its_parent, _child_smaller_than_its_parent, _child_of_a_dirty_parent),
    *(_child_of_several_chunks, _unknown_regions_and_items, _unknown_region_at_the_end),
    *(_odd_length, _structures_in_another_order, _equal_headers, _one_header_lost),
    *(_dirty, _dirty_log_full_of_numbers, _dirty_log_that_extends_the_file, _dirty_child),
    *(_ring_that_wraps, _space_that_is_used_again, _space_of_a_child_that_is_used_again),
    *(_dynamic_whose_last_block_is_cut, _processes_that_are_killed),
    *(_odd_length_without_gaps, _kept_places_alone, _sessions_that_leave_little),
    *(_medium_that_is_full_at_times, _child_on_a_medium_that_is_full_at_times),
    *(_many_pages, _more_pages_than_the_ring_holds, _chunks_without_bitmaps),
)

DISKS = {make.__name__.strip("_").replace("_", " "): make for make in _MAKERS}
