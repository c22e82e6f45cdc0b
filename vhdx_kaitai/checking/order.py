"""Blocks in the order of the file, in plain Python: which overlap something, and what is between.

All blocks have one length, so it is enough to go through their places in order: two overlap when
they begin nearer to each other than that. Few places are sorted. Many have a byte each for the
MiB in which a block may begin; where the file claims more length than its disk can need, too much
for that, the least of them are sorted, then those after them, and so on.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import compress

from ..format.bat import PLACE_SHIFT, STATE_MASK
from ..ranges import Ranges
from ..reading.image import Image
from ..records import NamedTuple
from ..units import MIB
from . import classes
from .classes import Bounds, Gaps

# How many blocks that overlap something are looked at closely; the rest is counted.
MOST_CROWDED = 1 << 15

_MOST_SORTED = 1 << 20  # places in a pass over the BAT


class Crowds(NamedTuple):
    """What is wrong with the places of blocks, or may be.

    Attributes:
        pieces: Numbers and entries of the blocks that overlap something.
        uncompared: How many more may do.
        gaps: What of the file nothing refers to; None when it is too long to tell.
    """

    pieces: list[tuple[int, int]]
    uncompared: int
    gaps: Gaps | None


def payload_entries(image: Image) -> Iterator[tuple[int, array[int]]]:
    """Yield the payload entries of each chunk, with the number of its first block."""
    geometry = image.geometry
    for first in range(0, geometry.payload_blocks, geometry.chunk_ratio):
        count = min(geometry.chunk_ratio, geometry.payload_blocks - first)
        yield first, image.bat.numbers(geometry.payload_index(first), count)


def crowds_plainly(image: Image, limits: Bounds, others: list[tuple[int, int]]) -> Crowds:
    """Return which blocks overlap anything, and what nothing refers to.

    Args:
        image: The image.
        limits: How far its blocks may lie.
        others: Start and end in MiB of what else takes up the file.
    """
    length = image.geometry.block_size // MIB
    places = _places(image, limits.end)
    crowded: list[int] = []
    gaps = Gaps.of(_compared(places, length, Ranges(others), limits.end, crowded), limits.end)
    compared = crowded[MOST_CROWDED - 1] if len(crowded) > MOST_CROWDED else None
    pieces, rest = _foremost(image, limits.end, set(crowded[:MOST_CROWDED]), compared)
    return Crowds(pieces, rest, gaps)


def _compared(
    places: Iterable[int], length: int, others: Ranges, end: int, crowded: list[int]
) -> Iterator[tuple[int, int]]:
    """Yield what neither blocks nor anything else takes up.

    Args:
        places: The places of all blocks in order, those that several blocks have twice.
        length: Length of a block in MiB.
        others: What else takes up the file.
        end: The MiB after the last of the file.
        crowded: Takes the first places of blocks that overlap something, one more than wanted.
    """
    parts = iter(others)
    nothing = end + length, end + length
    start, stop = next(parts, nothing)
    last = -length  # a block there ends at 0
    for place in places:
        while stop <= place:
            start, stop = next(parts, nothing)
        distance = place - last
        if distance > length:
            yield from others.gaps(last + length, place)
        is_near = distance < length
        if (is_near or start < place + length) and len(crowded) <= MOST_CROWDED:
            if is_near and crowded[-1:] != [last]:
                crowded.append(last)
            if crowded[-1:] != [place]:
                crowded.append(place)
        last = place
    yield from others.gaps(last + length, end)


def _foremost(
    image: Image, end: int, places: set[int], compared: int | None
) -> tuple[list[tuple[int, int]], int]:
    """Return the blocks at some places, the first in the file when there are many.

    Args:
        image: The image.
        end: The MiB after the last of the file.
        places: The places.
        compared: The last place that was compared; None when all were.

    Returns:
        Numbers and entries of blocks, and how many others there are, those after that place
        among them.
    """
    found: list[tuple[int, int, int]] = []
    rest = 0
    for first, entries in payload_entries(image) if places else ():
        for block, entry in enumerate(entries, first):
            place = entry >> PLACE_SHIFT
            if place in places and classes.occupies(entry, end):
                found.append((place, block, entry))
            elif compared is not None and compared < place and classes.occupies(entry, end):
                rest += 1
        if len(found) > 2 * MOST_CROWDED:
            rest += len(found) - MOST_CROWDED
            found = sorted(found)[:MOST_CROWDED]
    found.sort()
    rest += max(0, len(found) - MOST_CROWDED)
    return [(block, entry) for _, block, entry in found[:MOST_CROWDED]], rest


# -- places in order ------------------------------------------------------------------------------


def _places(image: Image, end: int) -> Iterator[int]:
    """Yield the places of blocks before a MiB of the file in order, twice where several begin."""
    are_few = image.geometry.payload_blocks <= _MOST_SORTED
    return (_sorted if are_few or end > classes.LONGEST else _marked)(image, end)


def _marked(image: Image, end: int) -> Iterator[int]:
    marks = bytearray(end)
    for _, entries in payload_entries(image):
        for place in _in_range(entries, 1, end):
            marks[place] = 1 + (marks[place] > 0)
    for place in compress(range(end), marks):
        yield place
        if marks[place] > 1:
            yield place


def _sorted(image: Image, end: int) -> Iterator[int]:
    start = 1
    while start < end:
        least, start = _least(image, start, end)
        yield from least


def _least(image: Image, start: int, stop: int) -> tuple[list[int], int]:
    """Return the least of some places in order, and where the others begin."""
    kept: list[int] = []
    for _, entries in payload_entries(image):
        kept += _in_range(entries, start, stop)
        if len(kept) > 2 * _MOST_SORTED:
            kept = _twice_at_most(kept)
            if len(kept) > _MOST_SORTED:
                stop = kept[_MOST_SORTED]
                del kept[bisect_left(kept, stop) :]
    return _twice_at_most(kept), stop


def _in_range(entries: array[int], start: int, stop: int) -> list[int]:
    """Return the places from one on and before another that entries take up."""
    low, high = start << PLACE_SHIFT, stop << PLACE_SHIFT
    return [
        entry >> PLACE_SHIFT
        for entry in entries
        if low <= entry < high and entry & STATE_MASK in classes.OCCUPYING_STATES
    ]


def _twice_at_most(places: list[int]) -> list[int]:
    """Return places in order, none of them more than twice."""
    places.sort()
    return places[:2] + [
        place for before, place in zip(places, places[2:], strict=False) if before != place
    ]
