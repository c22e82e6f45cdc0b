"""What one image of a large disk has of a window of it, with numpy.

A window is looked at with a few operations on arrays. What looks wrong is marked
as suspect, and left to plain Python, which says by which rule it is: block by block,
or for the first of a class of blocks that no rule can tell apart.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy

from ..format import bat
from ..format.bat import (
    FULLY_PRESENT,
    NOT_PRESENT,
    OFFSET_MASK,
    PARTIALLY_PRESENT,
    RESERVED_MASK,
    RESERVED_STATES,
    STATE_MASK,
    UNMAPPED,
)
from ..ranges import overlap
from ..records import TYPE_CHECKING, NamedTuple
from ..units import MIB, ceil_div
from .image import Image
from .layers import PARENTS, ZEROS

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    Numbers = NDArray[numpy.int64]
    Words = NDArray[numpy.uint64]
    Bytes = NDArray[numpy.uint8]
    Depths = NDArray[numpy.uint16]
    Choice = NDArray[numpy.bool_]

# The place of what may not be read, or not as a whole, beside those that `layers` has; and the
# first of the places of what no rule can tell apart, all of which may not be read.
SUSPECT = -3
ALIKE = -(1 << 10)
# Which class that is: the state of the block, and what is wrong with its entry.
_RESERVED, _NO_PLACE, _PAST_THE_END, _OCCUPIED = (1 << bit for bit in range(3, 7))

# Blocks in a window, and sectors of partially present ones among them.
_MOST_BLOCKS = 1 << 16
_MOST_SECTORS = 1 << 17
_WORD = 64  # bits of a sector bitmap that are looked at as one number


class Runs(NamedTuple):
    """What a window of the disk is made of; one element of each array a run.

    Attributes:
        start: Virtual offset in bytes; a run ends where the next begins.
        state: State of the block it comes from.
        depth: Index in the chain of the image that it comes from.
        place: Offset in the file of that image, or one of the places of `layers`, or `SUSPECT`.
    """

    start: Numbers
    state: Bytes
    depth: Depths
    place: Numbers

    @property
    def is_zero(self) -> Choice:
        """Which of them read as zeros, whatever a file holds."""
        is_zero: Choice = self.place == ZEROS
        return is_zero

    def only(self, index: Numbers | Choice | slice) -> Runs:
        """Return some of the runs."""
        return Runs(self.start[index], self.state[index], self.depth[index], self.place[index])

    @staticmethod
    def together(*parts: Runs) -> Runs:
        """Return runs that follow each other."""
        return Runs(*map(numpy.concatenate, zip(*parts, strict=True)))


def one_run(start: int, state: int, depth: int, place: int) -> Runs:
    """Return a single run."""
    return Runs(
        numpy.array([start]),
        numpy.array([state], "u1"),
        numpy.array([depth], "u2"),
        numpy.array([place]),
    )


def beginnings(runs: Runs) -> Choice:
    """Return which runs do not go on with the one before."""
    begins = numpy.ones(len(runs.start), bool)
    step = numpy.diff(runs.start)
    step &= mask(runs.place[:-1] >= 0)
    begins[1:] = numpy.diff(runs.place) != step
    begins[1:] |= runs.state[1:] != runs.state[:-1]
    begins[1:] |= runs.depth[1:] != runs.depth[:-1]
    return begins


def mask(is_chosen: Choice, dtype: DTypeLike = "i8") -> NDArray[Any]:
    """Return numbers with all their bits set where something is chosen, and 0 elsewhere.

    With them a choice between two arrays takes a tenth of the usual time, when what
    is chosen changes all the time: processors cannot guess it.
    """
    mask: NDArray[Any] = is_chosen.view("i1").astype(dtype)
    numpy.negative(mask, out=mask)
    return mask


def put(array: NDArray[Any], other: NDArray[Any], is_chosen: Choice) -> None:
    """Put elements of another array into one where they are chosen."""
    change = array ^ other
    change &= mask(is_chosen, array.dtype)
    array ^= change


def let_memory_be_reused() -> None:
    """Make the C library keep what is freed for the arrays that follow.

    Glibc hands pieces of some size back to the system, which has to clear them
    when they are asked for again: a third of all the time. It keeps them when it
    has seen a larger one come and go. That one is never touched, so it takes no
    memory.
    """
    numpy.empty(8 * MIB, "u1")


def runs_of_image(image: Image, depth: int, start: int, end: int) -> tuple[Runs, int]:
    """Return the runs of one image from an offset on, and where they end: not past `end`."""
    geometry = image.geometry
    size = geometry.block_size
    first = start // size
    stop = min(ceil_div(end, size), first + _MOST_BLOCKS)
    entries = _entries(image, first, stop)
    state = (entries & STATE_MASK).astype("u1")
    if geometry.is_differencing:
        is_partial = state == PARTIALLY_PRESENT
        # As many blocks as have room for their sectors; the first one may be too large.
        room = _MOST_SECTORS * geometry.logical_sector_size
        count = max(1, int(is_partial.cumsum().searchsorted(room // size, "right")))
        stop = min(stop, first + count)
        if is_partial[0]:
            end = min(end, start + room)
        entries, state, is_partial = entries[:count], state[:count], is_partial[:count]
    end = min(end, stop * size)
    place = (entries & numpy.uint64(OFFSET_MASK & 2**64 - 1)).view("i8")
    is_suspect, marks = _suspects(image, entries, state, place)
    place[state < FULLY_PRESENT] = ZEROS
    if geometry.is_differencing:
        place[state == NOT_PRESENT] = PARENTS
    place[is_suspect] = marks
    state[state == RESERVED_STATES[1]] = RESERVED_STATES[0]  # which have one name
    depths = numpy.full(len(place), depth, "u2")
    runs = Runs(numpy.arange(first, first + len(place)) * size, state, depths, place)
    if geometry.is_differencing:
        is_partial &= ~is_suspect
        if is_partial.all():
            runs = _sectors(image, runs, start, end)
        elif is_partial.any():
            sectors = _sectors(image, runs.only(is_partial), start, end)
            runs = Runs.together(runs.only(~is_partial), sectors)
            runs = runs.only(runs.start.argsort(kind="stable"))
    return _clipped(runs, start, end), end


def _suspects(image: Image, entries: Words, state: Bytes, place: Numbers) -> tuple[Choice, Numbers]:
    """Return which blocks may not be read, or not as a whole, and the place that marks each."""
    size = image.geometry.block_size
    is_stored = state >= FULLY_PRESENT
    # Offsets from 2**63 on are negative here.
    bad = is_stored & ((place < MIB) | (place > image.source.size - size))
    bad |= (entries & RESERVED_MASK) != 0
    bad |= (state > UNMAPPED) & ~is_stored
    if not image.geometry.is_differencing:
        bad |= state == PARTIALLY_PRESENT
    # Regions and the log do not overlap each other, so one of them is the nearest.
    others = sorted((other.start, other.end) for other in image.occupied)
    near = numpy.flatnonzero(is_stored & (place < others[-1][1]) & ~bad)
    if len(near):
        starts, ends = numpy.array(others).T
        nearest = ends.searchsorted(place[near], "right")
        bad[near] = starts[nearest] < place[near] + size
    return bad, _marks(image, entries[bad], state[bad], place[bad])


def _marks(image: Image, entries: Words, state: Bytes, place: Numbers) -> Numbers:
    """Return places for suspect blocks: of the class of each, or `SUSPECT` when it has none."""
    size, length = image.geometry.block_size, image.source.size
    is_stored = state >= FULLY_PRESENT
    is_past = is_stored & ((place >= length) | (place < 0))
    is_cut = is_stored & ~is_past & (place > length - size)
    is_whole = is_stored & ~is_past & ~is_cut
    is_wrong = (entries & RESERVED_MASK) != 0
    code = state.astype("i8")
    code += is_wrong * _RESERVED
    code += (is_stored & (place == 0)) * _NO_PLACE
    code += is_past * _PAST_THE_END
    code += (is_whole & (place > 0)) * _OCCUPIED
    # A block that is cut is lost in part; one over a region may be over another one, too; sectors
    # of a partially present one may be its parent's.
    is_single = is_cut & ~is_wrong
    if any(other.rule != image.occupied[0].rule for other in image.occupied):
        is_single |= code & _OCCUPIED != 0
    if image.geometry.is_differencing:
        is_single |= (state == PARTIALLY_PRESENT) & ~is_wrong
    marks = ALIKE - code
    marks[is_single] = SUSPECT
    return marks


def _sectors(image: Image, blocks: Runs, start: int, end: int) -> Runs:
    """Return the runs of sectors in blocks that are partially present, from about `start` on.

    Bits of the sector bitmap count from the least significant one; 1 stands
    for a sector in this file [MS-VHDX 2.4].
    """
    size, sector = image.geometry.block_size, image.geometry.logical_sector_size
    words, is_bad = _bitmaps(image, blocks.start // size)
    change = words ^ words << numpy.uint64(1)
    change[:, 1:] ^= words[:, :-1] >> numpy.uint64(_WORD - 1)
    change[:, 0] |= numpy.uint64(1)  # a run begins with each block,
    ahead = (start - int(blocks.start[0])) // (_WORD * sector)
    if ahead > 0:  # and not far before the window
        change[0, :ahead] = 0
        change[0, ahead] |= numpy.uint64(1)
    change, words = change.ravel(), words.ravel()
    where = numpy.flatnonzero(change)
    is_dense = len(where) == len(change)
    begins = numpy.flatnonzero(_bits(change if is_dense else change[where]))
    is_here = _bits(words if is_dense else words[where])[begins]
    # Offsets of the sectors, counted through the blocks as if these followed each other.
    number = begins if is_dense else where[begins // _WORD] * _WORD + begins % _WORD
    offset = number * sector
    before = numpy.arange(len(blocks.start)) * size
    count = numpy.diff(offset.searchsorted(before), append=len(offset))  # of each block
    place = offset + _each(blocks.place - before, count)
    place |= mask(~is_here)  # PARENTS
    if is_bad.any():
        place[is_bad.repeat(count)] = SUSPECT
    offset += _each(blocks.start - before, count)
    state = is_here * numpy.uint8(PARTIALLY_PRESENT)
    depth = numpy.full(len(state), blocks.depth[0])
    return Runs(offset, state, depth, place).only(slice(0, int(offset.searchsorted(end))))


def _each(values: Numbers, count: Numbers) -> Numbers | int:
    """Return each value as often as its count says, or a single one when all are the same."""
    return int(values[0]) if (values == values[0]).all() else values.repeat(count)


def _bits(words: Words) -> Choice:
    return numpy.unpackbits(words.view("u1"), bitorder="little").view(bool)


def _bitmaps(image: Image, numbers: Numbers) -> tuple[Words, Choice]:
    """Return the sector bitmaps of some blocks, a row of words each, and which have none."""
    geometry = image.geometry
    width = geometry.block_size // geometry.logical_sector_size // _WORD
    words = numpy.zeros((len(numbers), width), "<u8")
    is_bad = numpy.zeros(len(numbers), bool)
    chunks, within = numpy.divmod(numbers, geometry.chunk_ratio)
    # Blocks that follow each other are read at once.
    follows = (numpy.diff(numbers) == 1) & (numpy.diff(chunks) == 0)
    firsts = [0, *(numpy.flatnonzero(~follows) + 1).tolist()]
    for first, stop in pairwise([*firsts, len(numbers)]):
        offset = _bitmap_offset(image, int(chunks[first]))
        if offset is None:
            is_bad[first:stop] = True
        else:
            rows = words[first:stop].reshape(-1).view("u1")
            image.source.readinto(rows.data, offset + int(within[first]) * width * _WORD // 8)
    return words, is_bad


def _bitmap_offset(image: Image, chunk: int) -> int | None:
    """Return the file offset of a chunk's sector bitmap, None when it is not as it should be."""
    entry = image.bat.entry(image.geometry.sector_bitmap_index(chunk))
    offset = entry & OFFSET_MASK
    is_good = (
        entry & (STATE_MASK | RESERVED_MASK) == bat.PRESENT
        and MIB <= offset <= image.source.size - MIB
        and not any(overlap((offset, offset + MIB), (o.start, o.end)) for o in image.occupied)
    )
    return offset if is_good else None


def _clipped(runs: Runs, start: int, end: int) -> Runs:
    """Return the runs from an offset on, up to another; the first may begin before."""
    low = int(runs.start.searchsorted(start, "right")) - 1
    runs = runs.only(slice(low, int(runs.start.searchsorted(end))))
    ahead = start - int(runs.start[0])
    if ahead:
        runs.start[0] = start
        if runs.place[0] >= 0:
            runs.place[0] += ahead
    return runs


def _entries(image: Image, first: int, end: int) -> Words:
    """Return the entries of payload blocks, none of sector bitmaps."""
    geometry = image.geometry
    index = geometry.payload_index(first)
    entries = numpy.empty(geometry.payload_index(end - 1) + 1 - index, "<u8")
    image.bat.readinto(entries.data.cast("B"), index)
    period = geometry.chunk_ratio + 1
    return numpy.delete(entries, slice(period - 1 - index % period, None, period))
