"""Which blocks of a large disk may overlap something, and where its file has gaps, with numpy.

All blocks have one length, so what a mark says for each MiB of the file, whether a block begins
there, is enough to find all that overlap: two begin nearer to each other than that. Blocks are only
suspected here; `overlaps` says what they overlap. A file may claim more length than its disk can
need, too much for marks; places are sorted then, some millions at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy

from ..format.bat import FULLY_PRESENT, STATE_MASK
from ..reading.image import Image
from ..records import TYPE_CHECKING
from ..units import MIB, ceil_div
from . import classes, order
from .classes import Gaps
from .order import Crowds
from .tally import batches, occupying, places_of

if TYPE_CHECKING:
    from .classes import Bounds
    from .tally import Marks, Numbers, Tally

_MOST_SORTED = 1 << 23  # places in a pass over the BAT
_STEP = 1 << 16  # places, or marks, that are looked at together


def crowds(image: Image, tally: Tally, limits: Bounds, others: list[tuple[int, int]]) -> Crowds:
    """Return which blocks overlap anything, and what nothing refers to.

    Args:
        image: The image.
        tally: The tally of its BAT, whose marks are used up.
        limits: How far its blocks may lie.
        others: Start and end in MiB of what else takes up the file.
    """
    taken = [*others, *tally.runs]
    if not tally.marked and classes.are_apart(taken):
        return Crowds([], 0, Gaps.between(taken, limits.end))
    length = image.geometry.block_size // MIB
    marks = tally.marks
    if tally.is_marked and all(end <= len(marks) for _, end in tally.runs):
        marks[0] = 0
        for start, end in tally.runs:
            marks[start:end:length] = 1
        blocks = tally.marked + sum((end - start) // length for start, end in tally.runs)
        crowded = _crowded_in_marks(image, limits.end, marks, blocks, others)
        gaps = _gaps(marks, length, others, limits.end) if limits.end < len(marks) else None
    else:
        marks.resize(0, refcheck=False)
        crowded = _crowded_far_away(image, limits.end, others)
        gaps = None
    found, rest = _foremost(image, limits.end, *crowded)
    index = image.geometry.payload_index
    pieces = [(block, image.bat.entry(index(block))) for block in found.tolist()]
    return Crowds(pieces, rest, gaps)


def _places(image: Image, end: int) -> Iterator[tuple[Numbers, Numbers]]:
    """Yield numbers and places of the blocks that take up a place before a MiB of the file."""
    for batch in batches(image):
        entries = batch.payload()
        wanted = numpy.flatnonzero(occupying(entries, end))
        yield wanted + batch.first, places_of(entries[wanted])


# -- by marks -------------------------------------------------------------------------------------


def _crowded_in_marks(
    image: Image, end: int, marks: Marks, blocks: int, others: list[tuple[int, int]]
) -> tuple[Numbers, int | None]:
    """Return what `_crowded` does, of the marked blocks.

    Args:
        image: The image.
        end: The MiB after the last of its file.
        marks: A byte for each MiB, 1 where a block begins.
        blocks: How many blocks were marked.
        others: Start and end in MiB of what else takes up the file.
    """
    length = image.geometry.block_size // MIB
    is_single = int(numpy.count_nonzero(marks)) == blocks  # each has a place of its own
    near = (marks[max(0, start - length + 1) : stop] for start, stop in others)
    if is_single and length == 1 and not any(part.any() for part in near):
        return numpy.empty(0, numpy.int64), None
    if not is_single:
        _count_places(image, end, marks)
    return _crowded(_marked_places(marks), length, others)


def _count_places(image: Image, end: int, marks: Marks) -> None:
    """Set each mark to how many blocks begin there: 0, 1, or 2 for more."""
    marks[:] = 0
    for _, place in _places(image, end):
        place = numpy.sort(place.astype(numpy.uint32))  # quicker than sorting wider numbers
        taken = place.astype(numpy.int64)
        marks[taken] = numpy.minimum(marks[taken] + 1, 2)
        marks[taken[1:][taken[1:] == taken[:-1]]] = 2


def _marked_places(marks: Marks) -> Iterator[Numbers]:
    """Yield the places where blocks begin, in order, twice where several do."""
    for at in range(0, len(marks), _STEP):
        part = marks[at : at + _STEP]
        places = part.nonzero()[0] + at
        yield places.repeat(part[part > 0]) if (part > 1).any() else places


def _crowded(
    parts: Iterable[Numbers], length: int, others: list[tuple[int, int]]
) -> tuple[Numbers, int | None]:
    """Return the places of blocks that overlap something.

    Args:
        parts: The places of all blocks in order, those that several blocks have more than once.
        length: Length of a block in MiB.
        others: Start and end of what else takes up the file.

    Returns:
        Places in order, and the last one that was compared; None when all were.
    """
    begins, ends = numpy.array(others, numpy.int64).T
    found: list[Numbers] = []
    count, last = 0, -length  # a block there ends at 0
    for part in parts:
        if not len(part):
            continue
        near = numpy.diff(part, prepend=last) < length
        low, high = part.searchsorted(begins - length, "right"), part.searchsorted(ends)
        hit = (low < high).nonzero()[0]
        touched = [part[low[at] : high[at]][: order.MOST_CROWDED + 1] for at in hit.tolist()]
        before = numpy.append(part[:-1][near[1:]], last if near[0] else part[:0])
        new = numpy.unique(numpy.concatenate([before, part[near], *touched]))
        found.append(new)
        count, last = count + len(new), int(part[-1])
        if count > order.MOST_CROWDED:
            found = [numpy.unique(numpy.concatenate(found))]
            count = len(found[0])
            if count > order.MOST_CROWDED:
                break
    return _first(numpy.unique(numpy.concatenate([*found, numpy.empty(0, numpy.int64)])))


def _first(places: Numbers) -> tuple[Numbers, int | None]:
    """Return no more of some places than are looked at closely, and the last when there are."""
    if len(places) <= order.MOST_CROWDED:
        return places, None
    places = places[: order.MOST_CROWDED]
    return places, int(places[-1])


def _foremost(image: Image, end: int, places: Numbers, compared: int | None) -> tuple[Numbers, int]:
    """Return the blocks at some places, the first in the file when there are many.

    Args:
        image: The image.
        end: The MiB after the last of the file.
        places: The places, in order.
        compared: The last place that was compared; None when all were.

    Returns:
        Numbers of blocks, and how many others there are, those after that place among them.
    """
    found = numpy.empty((2, 0), numpy.int64)
    rest = 0
    if not len(places):
        return found[0], rest
    for blocks, place in _places(image, end):
        at = places.searchsorted(place)
        at[at == len(places)] = 0
        is_there = places[at] == place
        if compared is not None:
            rest += int(numpy.count_nonzero(place > compared))
        found = numpy.concatenate((found, (blocks[is_there], place[is_there])), axis=1)
        if found.shape[1] > order.MOST_CROWDED:
            rest += found.shape[1] - order.MOST_CROWDED
            found = found[:, found[1].argsort(kind="stable")[: order.MOST_CROWDED]]
    return found[0], rest


# -- gaps -----------------------------------------------------------------------------------------


def _gaps(marks: Marks, length: int, others: list[tuple[int, int]], end: int) -> Gaps:
    """Return what neither blocks nor anything else takes up; uses the marks up."""
    marks = marks[:end]
    for at in reversed(range(0, len(marks), _STEP)) if length > 1 else ():
        # From the end on, so that what is set here is not taken for the start of a block.
        places = marks[at : at + _STEP].nonzero()[0] + at
        for step in range(1, length):
            inside = places + step
            marks[inside[inside < end]] = 1
    for start, stop in others:
        marks[start:stop] = 1
    free = len(marks) - int(numpy.count_nonzero(marks))
    first = islice(_free_ranges(marks), classes.MOST_GAPS if free else 0)
    return Gaps(free, list(first), not marks[-1])


def _free_ranges(marks: Marks) -> Iterator[tuple[int, int]]:
    """Yield start and end of what is not marked."""
    start: int | None = None
    for at in range(0, len(marks), _STEP):
        is_free = marks[at : at + _STEP] == 0
        changes = numpy.flatnonzero(numpy.diff(is_free, prepend=start is not None)) + at
        for change in changes.tolist():
            if start is None:
                start = change
            else:
                yield start, change
                start = None
    if start is not None:
        yield start, len(marks)


# -- by sorting -----------------------------------------------------------------------------------


def _crowded_far_away(
    image: Image, end: int, others: list[tuple[int, int]]
) -> tuple[Numbers, int | None]:
    """Return what `_crowded` does, of the blocks of a file of any length."""
    shared: list[int] = []
    parts = _sorted_places(image, end, shared)
    places, compared = _crowded(parts, image.geometry.block_size // MIB, others)
    more = [place for place in shared if compared is None or place <= compared]
    both, last = _first(numpy.unique(numpy.append(places, numpy.array(more, numpy.int64))))
    return both, compared if last is None else last


def _sorted_places(image: Image, end: int, shared: list[int]) -> Iterator[Numbers]:
    """Yield the places of blocks in order.

    Each pass over the BAT takes the next few million in the order of the file and sorts them.

    Args:
        image: The image.
        end: The MiB after the last of the file.
        shared: Takes those that several blocks have and that may be yielded only once.
    """
    room = numpy.empty(_MOST_SORTED, numpy.int64)
    last = 0
    while count := _next_places(image, end, room, last, shared):
        for at in range(0, count, _STEP):
            yield room[at : min(count, at + _STEP)]
        last = int(room[count - 1])


def _next_places(image: Image, end: int, room: Numbers, last: int, shared: list[int]) -> int:
    """Put the least places after one into some room, in order, and return how many they are."""
    kept, highest = 0, end
    for _, place in _places(image, end):
        new = place[(place > last) & (place <= highest)]
        while len(new):
            count = min(len(new), len(room) - kept)
            room[kept : kept + count] = new[:count]
            kept, new = kept + count, new[count:]
            if kept == len(room):
                kept //= 2
                room.partition(kept)
                highest = int(room[:kept].max())
                if int(room[kept:].min()) == highest:
                    shared.append(highest)
                new = new[new <= highest]
    room[:kept].sort()
    return kept


# -- blocks that the log writes to ----------------------------------------------------------------


def blocks_in(
    image: Image, starts: list[int], ends: list[int], most: int
) -> tuple[list[tuple[int, int]], int]:
    """Return the first stored blocks that have bytes in some ranges, and how many do.

    Args:
        image: The image.
        starts: File offsets at which the ranges begin, in order. They do not overlap.
        ends: File offsets at which they end.
        most: How many blocks are wanted, with the file offset of each.
    """
    size = image.geometry.block_size
    begins = numpy.array(starts, numpy.int64)
    # Only blocks that begin in this range of MiBs can have such bytes.
    low, high = max(starts[0] - size, 0) // MIB, ceil_div(ends[-1], MIB)
    found: list[tuple[int, int]] = []
    total = 0
    for batch in batches(image):
        entries = batch.payload()
        place = places_of(entries)
        is_near = (entries & STATE_MASK >= FULLY_PRESENT) & (place >= low) & (place < high)
        blocks = numpy.flatnonzero(is_near)
        offset = place[blocks] * MIB
        at = numpy.searchsorted(ends, offset, "right")
        hit = at < len(starts)
        hit[hit] = begins[at[hit]] < offset[hit] + size
        total += int(numpy.count_nonzero(hit))
        pairs = zip(blocks[hit].tolist(), offset[hit].tolist(), strict=True)
        found += [(batch.first + block, at) for block, at in pairs][: most - len(found)]
    return found, total
