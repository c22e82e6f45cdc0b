"""What has to be true of an image that is compacted, wherever the power is cut.

The disk reads the same at every moment. What it holds, and where everything lies, comes from
the builder of the images, which shares no code with the product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial as bind
from typing import Any
from uuid import UUID

from tests.images.chain import child_of, write_guid
from tests.images.dirty import dirty
from tests.images.image import Block, Built, Image, Layout, Region, dynamic, partial, sectors
from tests.images.structures import (
    FULLY_PRESENT,
    GIB,
    MIB,
    NOT_PRESENT,
    PARTIALLY_PRESENT,
    UNDEFINED,
    UNMAPPED,
    ZERO,
)
from vhdx_kaitai.reading.image import Image as Opened
from vhdx_kaitai.writing import compact
from vhdx_kaitai.writing.editor import begin_editing
from vhdx_kaitai.writing.session import Session

from .disks import DISKS, Written, garbage, littered
from .machine import cuts, epochs
from .model import Held
from .recorder import Event, Promised, Recorder, applied
from .working import Subject

ZEROS = Block(data=b"")


def is_smaller(written: Written) -> bool:
    """Tell whether something of an image can be left out."""
    return bool(_plan(Subject(written).before, punch=False).changes)


def _plan(data: bytes, *, punch: bool) -> compact._Plan:
    return compact._plan(Opened(data), compact._How(punch, compact._nothing, compact._silent))


def events_of(subject: Subject, *, punch: bool = False) -> list[Event]:
    """Return what compacting does to the file of an image."""
    file = Recorder(subject.before)
    image = Opened(file)
    how = compact._How(punch, compact._nothing, compact._silent)
    plan = compact._plan(image, how)
    assert plan.changes
    session = Session(file, image.headers)
    editor = begin_editing(session, image, for_data=False)
    stopped: list[BaseException] = []
    with session.critical():
        compact._carry_out(editor, plan, how, stopped)
        editor.end()
    assert stopped == []
    file.mark(Promised())
    return file.events


def complaints(
    subject: Subject, events: Sequence[Event], count: int, *, seed: int = 0
) -> Iterator[str]:
    """Yield what is wrong with the files that cuts leave.

    Args:
        subject: The image.
        events: What was done to its file.
        count: How many cuts to make, more or less.
        seed: Chooses them.
    """
    if epochs(len(subject.before), events)[-1].writes:
        yield "at the end: not all was flushed"
    guid = Opened(subject.before).headers.current.data_write_guid
    held = Held(subject.view, subject.contents, events)
    for number, cut in enumerate(cuts(subject.before, events, count, seed)):
        is_chosen = number % 16 == 0
        wrong = subject.wrong_with(cut.data, held, cut.reached, thoroughly=is_chosen)
        if wrong is None and Opened(cut.data).headers.current.data_write_guid != guid:
            wrong = "children do not recognise it any more"
        if wrong is None and number % 64 == 0:
            wrong = subject.wrong_after_more_work(bytes(cut.data), number)
        if wrong:
            yield f"{cut.what}: {wrong}"
    wrong = subject.wrong_at_the_end(applied(subject.before, events), held)
    if wrong:
        yield f"at the end: {wrong}"


# -- where everything lies ------------------------------------------------------------------------


def least_length(layout: Layout) -> int:
    """Return how long a file is that holds nothing but what it has to, by the builder's records.

    Blocks may be anywhere; all else is where it is.
    """
    image = layout.image
    size, geometry = image.block_size, image.geometry
    kept, needy = 0, set()
    for number in layout.payload:
        block, start = image.block(number), number * size
        length = min(size, image.virtual_disk_size - start)
        if block.state == PARTIALLY_PRESENT:
            total = length // image.logical_sector_size
            is_kept = any(is_here for *_, is_here in block.sector_runs(total))
            if is_kept:
                needy.add(number // geometry.chunk_ratio)
        else:
            is_kept = image.payload(number).read(0, length) != bytes(length)
        kept += is_kept
    fixed = [MIB, layout.log_offset + image.log_length]
    taken = MIB + image.log_length
    for entry in layout.region_tables[0].entries:
        fixed.append(entry.file_offset + entry.length)
        taken += entry.length
    return max(taken + kept * size + len(needy) * MIB, *fixed)


# -- images ---------------------------------------------------------------------------------------


def _zeros_first() -> Written:
    """Blocks of zeros before those that move into their places."""
    blocks = {n: ZEROS if n < 4 else Block() for n in range(9)}
    return Written(littered(dynamic(9 * MIB, blocks=blocks, block_order=range(9))))


def _shuffled(**fields: Any) -> Written:
    """Blocks in any order, anchors and zeros among them, gaps of garbage, regions amid."""
    blocks = {
        **dict.fromkeys((9, 2, 11, 5, 0, 7), Block()),
        **dict.fromkeys((3, 8), ZEROS),
        4: Block(UNMAPPED, 32 * MIB),
        6: Block(UNDEFINED, 34 * MIB),
        10: Block(ZERO),
    }
    order = (9, 3, 2, 11, 8, 5, 0, 7)
    regions = [Region(UUID(int=81), MIB, 9 * MIB, data=garbage(MIB, 3))]
    image = dynamic(12 * MIB - 4096, blocks=blocks, block_order=order, regions=regions)
    return Written(littered(image.but(gap=MIB, file_length=37 * MIB, **fields)))


def _base(size: int = 8 * MIB, **fields: Any) -> Built:
    blocks = fields.pop("blocks", {n: Block() for n in range(0, 8, 2)})
    image = dynamic(size, tag=1, data_write_guid=write_guid(0), blocks=blocks)
    return image.but(**fields).build()


def _child(parent: Built, blocks: dict[int, Block], **fields: Any) -> Image:
    image = child_of(parent, block_size=parent.image.block_size, tag=2)
    return image.but(data_write_guid=write_guid(1), blocks=blocks, gap=MIB).but(**fields)


def _child_of_all_states(**fields: Any) -> Written:
    """A child with partial blocks that hold nothing, zeros that hide the parent, stale bits."""
    parent = _base(**fields)
    stale = sectors(range(40), range(100, 200, 3))
    blocks = {
        0: partial(),
        1: Block(NOT_PRESENT, present=stale),
        2: ZEROS,
        3: Block(UNMAPPED, 24 * MIB),
        4: Block(FULLY_PRESENT, present=((3, 50),)),
        5: partial(),
        6: partial(3, range(64, 128, 2)),
        7: Block(),
    }
    image = _child(parent, blocks, file_length=29 * MIB, **fields)
    return Written(littered(image.but(block_order=(2, 0, 5, 7, 6, 4))), [parent])


def _child_whose_bitmaps_go() -> Written:
    """A child of three chunks; one sector bitmap goes, the others move."""
    parent = _base(9 * GIB, blocks={0: Block(), 4096: Block(), 4097: Block(), 9215: Block()})
    blocks = {0: partial(5), 4096: partial(), 4097: ZEROS, 9215: partial(range(4, 90))}
    windows = ((0, 2 * MIB), (4095 * MIB, 4098 * MIB), (9214 * MIB, 9216 * MIB))
    image = _child(parent, blocks, order=("log", "metadata", "regions", "blocks", "bat"), gap=0)
    layout = image.but(bitmap_offsets={0: 30 * MIB, 1: 5 * MIB, 2: 29 * MIB}, bat_offset=3 * MIB)
    return Written(littered(layout), [parent], windows)


def _large_blocks() -> Written:
    """Blocks of 4 MiB in a child whose sector bitmap is amid them, at the end at first."""
    parent = _base(24 * MIB, block_size=4 * MIB)
    blocks = {0: ZEROS, 1: partial(4), 2: Block(), 3: partial(), 5: Block()}
    image = _child(parent, blocks, gap=0, block_order=(0, 3, 1, 2, 5))
    return Written(littered(image.but(bitmap_offsets={0: 30 * MIB})), [parent])


def _dirty() -> Written:
    """The BAT is right only once the log is replayed."""
    return Written(dirty(_shuffled().image, hide=("region_tables", "bat"), split=2))


def _many_pages() -> Written:
    """Blocks of zeros and others in pages enough for several steps and entries."""
    apart = 4096 // 8 + 1
    blocks = {n * apart: ZEROS if n % 2 else Block() for n in range(12)}
    image = dynamic((12 * apart + 1) * MIB, blocks=blocks)
    windows = tuple((number * MIB, (number + 1) * MIB) for number in blocks)
    return Written(littered(image), [], windows)


_SMALL = {"logical_sector_size": 4096, "physical_sector_size": 4096}
OWN: dict[str, Callable[[], Written]] = {
    "zeros first": _zeros_first,
    "shuffled": _shuffled,
    "shuffled, sectors of 4096": bind(_shuffled, **_SMALL),
    "child of all states": _child_of_all_states,
    "child of all states, sectors of 4096": bind(_child_of_all_states, **_SMALL),
    "child whose bitmaps go": _child_whose_bitmaps_go,
    "large blocks": _large_blocks,
    "dirty and shuffled": _dirty,
    "blocks in many pages": _many_pages,
}
IMAGES = OWN | {name: make for name, make in DISKS.items() if "used again" not in name}
