"""The map of a large disk, and the BAT behind it, with numpy.

Plain Python takes about a microsecond for each block and for each run of
sectors, which is fine for a million of them. A disk of 64 TiB may have 67
million blocks, and a child of it 137 thousand million sectors. Here a window of
the disk is looked at with a few operations on arrays, whatever the chain behind
it; a window is as long as some ten thousand runs allow, so memory stays the
same. What looks wrong is left to `Disk.extents` to judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import FormatError
from ..format import bat
from ..format.bat import (
    FULLY_PRESENT,
    NOT_PRESENT,
    OFFSET_MASK,
    PARTIALLY_PRESENT,
    RESERVED_MASK,
    STATE_MASK,
    STATE_NAMES,
    UNMAPPED,
)
from ..units import MIB, ceil_div
from . import resolve

if TYPE_CHECKING:
    from .disk import Disk, Extent
    from .image import Image

# With fewer blocks and extents the import of numpy takes longer than it saves.
WORTHWHILE_BLOCKS = 500_000
WORTHWHILE_EXTENTS = 1 << 15

# Blocks in a window, and sectors of partially present ones among them.
_MOST_BLOCKS = 1 << 16
_MOST_SECTORS = 1 << 17
_WORD = 64  # bits of a sector bitmap that are looked at as one number

# Places of runs that are not in a file. That of the parent has all bits set, as masks have.
_PARENT, _ZERO, _SUSPECT = -1, -2, -3

Array = Any  # numpy's types would have to be imported for their names


class Columns(NamedTuple):
    """Some extents; one element of each list an extent.

    Attributes:
        start: Virtual offset in bytes.
        length: Bytes.
        what: State of the block, depth, and kind.
        place: Offset in the file, None for what is not in it.
    """

    start: list[int]
    length: list[int]
    what: list[tuple[str, int, str]]
    place: list[int | None]


class Runs(NamedTuple):
    """What a window of the disk is made of; one element of each array a run.

    Attributes:
        start: Virtual offset in bytes; a run ends where the next begins.
        state: State of the block it comes from.
        depth: Index in the chain of the image that it comes from.
        place: Offset in the file of that image, or one of the places above.
    """

    start: Array
    state: Array
    depth: Array
    place: Array

    @property
    def is_zero(self) -> Array:
        """Which of them read as zeros, whatever a file holds."""
        return self.place == _ZERO

    def only(self, index: Array | slice) -> Runs:
        """Return some of the runs."""
        return Runs(*(array[index] for array in self))

    @staticmethod
    def together(*parts: Runs) -> Runs:
        """Return runs that follow each other."""
        import numpy

        return Runs(*map(numpy.concatenate, zip(*parts, strict=True)))


def _run(start: int, state: int, depth: int, place: int) -> Runs:
    import numpy

    return Runs(
        numpy.array([start]),
        numpy.array([state], "u1"),
        numpy.array([depth], "u2"),
        numpy.array([place]),
    )


def is_large(disk: Disk) -> bool:
    """Tell whether a disk has so many blocks that its map is better made here."""
    return any(image.geometry.payload_blocks >= WORTHWHILE_BLOCKS for image in disk.chain)


def columns(rows: Sequence[Extent]) -> Columns:
    """Return extents as columns."""
    return Columns(
        [row.offset for row in rows],
        [row.length for row in rows],
        [(row.state, row.depth, row.kind) for row in rows],
        [row.file_offset for row in rows],
    )


def extents(disk: Disk, offset: int, length: int) -> Iterator[Columns]:
    """Yield what `Disk.extents` yields, thousands at a time.

    Raises:
        FormatError: An image does not say rightly where some of it is; all that
            stands before that was yielded.
    """
    import numpy

    end = offset + length
    try:
        for runs, following in runs_of(disk, offset, end):
            place = runs.place.astype(object)
            place[runs.place < 0] = None
            yield Columns(
                runs.start.tolist(),
                numpy.diff(runs.start, append=following).tolist(),
                _what(runs),
                place.tolist(),
            )
            offset = following
    except FormatError:  # plain Python finds what is left before that
        yield from _one_by_one(disk.extents(offset, end - offset))


def runs_of(disk: Disk, offset: int, end: int) -> Iterator[tuple[Runs, int]]:
    """Yield the runs of a range, thousands at a time, and where the last of them ends.

    Raises:
        FormatError: An image does not say rightly where some of it is. Not all runs before
            that were yielded.
    """
    return _with_next(_merged(disk, offset, end), end)


def _one_by_one(extents: Iterable[Extent]) -> Iterator[Columns]:
    """Yield extents, thousands at a time, even if what follows them cannot be told."""
    rows: list[Extent] = []
    try:
        for row in extents:
            rows.append(row)
            if len(rows) == WORTHWHILE_EXTENTS:
                yield columns(rows)
                rows = []
    except FormatError:
        if rows:
            yield columns(rows)
        raise
    if rows:
        yield columns(rows)


def _what(runs: Runs) -> list[tuple[str, int, str]]:
    """Return state, depth and kind of runs; there are few different ones."""
    import numpy

    kind = -numpy.minimum(runs.place, 0)
    depth = runs.depth + (kind == -_PARENT)
    code = (depth * len(_KINDS) + kind) * len(_STATES) + runs.state
    table = numpy.empty(int(code.max()) + 1, object)
    for number in numpy.flatnonzero(numpy.bincount(code)).tolist():
        rest, state = divmod(number, len(_STATES))
        table[number] = (_STATES[state], rest // len(_KINDS), _KINDS[rest % len(_KINDS)])
    what: list[tuple[str, int, str]] = table[code].tolist()
    return what


_KINDS = ("data", "parent", "zero")  # in a file, or by the places above
_STATES = [STATE_NAMES.get(state, "") for state in range(STATE_MASK + 1)]


def count_extents(disk: Disk, offset: int, length: int) -> int:
    """Return how many extents `Disk.extents` yields.

    Raises:
        FormatError: An image does not say rightly where some of it is.
    """
    import numpy

    marked = _marked(disk, offset, offset + length)
    return sum(int(numpy.count_nonzero(begins)) for _runs, begins in marked)


def _with_next(batches: Iterator[Runs], end: int) -> Iterator[tuple[Runs, int]]:
    """Yield runs, and where the last of them ends."""
    held = next(batches, None)
    for runs in batches:
        if held is not None:
            yield held, int(runs.start[0])
        held = runs
    if held is not None:
        yield held, end


def _merged(disk: Disk, offset: int, end: int) -> Iterator[Runs]:
    """Yield the runs of a range; neighbours of one kind are one, even across windows."""
    for runs, begins in _marked(disk, offset, end):
        if begins.all():
            yield runs
        elif begins.any():
            yield runs.only(begins)


def _marked(disk: Disk, offset: int, end: int) -> Iterator[tuple[Runs, Array]]:
    """Yield the runs of a range, and which of them do not go on with the one before."""
    resolve.refuse_sharing(disk._top, offset, end)
    _let_memory_be_reused()
    last: Runs | None = None
    for runs in _windows(disk, offset, end):
        begins = _beginnings(runs)
        if last is not None:
            begins[0] = _beginnings(Runs.together(last, runs.only(slice(1))))[1]
        last = runs.only(slice(-1, None))
        yield runs, begins


def _let_memory_be_reused() -> None:
    """Make the C library keep what is freed for the arrays that follow.

    Glibc hands pieces of some size back to the system, which has to clear them
    when they are asked for again: a third of all the time. It keeps them when it
    has seen a larger one come and go. That one is never touched, so it takes no
    memory.
    """
    import numpy

    numpy.empty(8 * MIB, "u1")


def _beginnings(runs: Runs) -> Array:
    """Return which runs do not go on with the one before."""
    import numpy

    begins = numpy.ones(len(runs.start), bool)
    step = numpy.diff(runs.start)
    step &= _mask(runs.place[:-1] >= 0)
    begins[1:] = numpy.diff(runs.place) != step
    begins[1:] |= runs.state[1:] != runs.state[:-1]
    begins[1:] |= runs.depth[1:] != runs.depth[:-1]
    return begins


def _mask(is_chosen: Array, dtype: str = "i8") -> Array:
    """Return numbers with all their bits set where something is chosen, and 0 elsewhere.

    With them a choice between two arrays takes a tenth of the usual time, when what
    is chosen changes all the time: processors cannot guess it.
    """
    import numpy

    mask = is_chosen.view("i1").astype(dtype)
    return numpy.negative(mask, out=mask)


def _put(array: Array, other: Array, is_chosen: Array) -> None:
    """Put elements of another array into one where they are chosen."""
    change = array ^ other
    change &= _mask(is_chosen, array.dtype)
    array ^= change


def _windows(disk: Disk, start: int, end: int) -> Iterator[Runs]:
    """Yield the runs of a range window by window, not merged, nothing suspect among them."""
    span = end - start
    while start < end:
        runs, reached = _window(disk, start, min(end, start + span))
        if (runs.place == _SUSPECT).any():
            runs = _judged(disk, start, reached)
        yield runs
        span = 2 * (reached - start)  # a deeper image may have stopped this one
        start = reached


def _window(disk: Disk, start: int, end: int) -> tuple[Runs, int]:
    """Return the runs from an offset on, and where they end: not behind `end`."""
    runs: Runs | None = None
    for depth, image in enumerate(disk.chain):
        size = image.geometry.virtual_disk_size
        inside = min(end, size)
        if start < inside:
            found, reached = _runs_of(image, depth, start, inside)
            end = reached if reached < inside else end
        else:
            found = _run(start, NOT_PRESENT, depth - 1, _ZERO)
        if start < size < end:  # its child has zeros behind the end of a parent (CHAIN-04)
            found = Runs.together(found, _run(size, NOT_PRESENT, depth - 1, _ZERO))
        if runs is None:
            runs = found
        else:
            runs = runs.only(slice(0, int(runs.start.searchsorted(end))))
            runs = _with_parent(runs, found.only(_beginnings(found)))
        if not (runs.place == _PARENT).any():
            break
    assert runs is not None
    return runs, end


def _with_parent(runs: Runs, parent: Runs) -> Runs:
    """Return runs with what belongs to the parent replaced by its runs in the same window."""
    import numpy

    # Where the parent has a new run inside such a one, it is cut.
    at = runs.start.searchsorted(parent.start, "right") - 1
    cuts = (runs.place[at] == _PARENT) & (runs.start[at] != parent.start)
    if cuts.any():
        at = at[cuts]
        runs = runs.only(numpy.insert(numpy.arange(len(runs.start)), at + 1, at))
        runs.start[at + numpy.arange(1, len(at) + 1)] = parent.start[cuts]
    is_theirs = runs.place == _PARENT
    below = parent  # one run stands for all; many are told apart
    if len(parent.start) > 1:
        below = parent.only(parent.start.searchsorted(runs.start, "right") - 1)
    place = runs.start - below.start
    place &= _mask(below.place >= 0)
    place += below.place
    _put(runs.state, below.state, is_theirs)
    _put(runs.depth, below.depth, is_theirs)
    _put(runs.place, place, is_theirs)
    return runs


def _judged(disk: Disk, start: int, end: int) -> Runs:
    """Return the runs of a window as plain Python finds them, which raises what is wrong."""
    import numpy

    states = {name: state for state, name in STATE_NAMES.items()}
    places = {"zero": _ZERO, "parent": _PARENT}
    rows = [
        (
            row.offset,
            states[row.state],
            row.depth - (row.kind == "parent"),
            places.get(row.kind, row.file_offset),
        )
        for row in disk.extents(start, end - start)
    ]
    columns = zip(*rows, strict=True)
    return Runs(*map(numpy.array, columns, ("i8", "u1", "u2", "i8")))


def _runs_of(image: Image, depth: int, start: int, end: int) -> tuple[Runs, int]:
    """Return the runs of one image from an offset on, and where they end: not behind `end`."""
    import numpy

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
    is_suspect = _is_suspect(image, entries, state, place)
    place[state < FULLY_PRESENT] = _ZERO
    if geometry.is_differencing:
        place[state == NOT_PRESENT] = _PARENT
    place[is_suspect] = _SUSPECT
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


def _is_suspect(image: Image, entries: Array, state: Array, place: Array) -> Array:
    """Return which blocks may not be read, or not as a whole."""
    import numpy

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
    return bad


def _sectors(image: Image, blocks: Runs, start: int, end: int) -> Runs:
    """Return the runs of sectors in blocks that are partially present, from about `start` on.

    Bits of the sector bitmap count from the least significant one; 1 stands
    for a sector in this file [MS-VHDX 2.4].
    """
    import numpy

    size, sector = image.geometry.block_size, image.geometry.logical_sector_size
    words, is_bad = _bitmaps(image, blocks.start // size)
    change = words ^ words << numpy.uint64(1)
    change[:, 1:] ^= words[:, :-1] >> numpy.uint64(_WORD - 1)
    change[:, 0] |= numpy.uint64(1)  # a run begins with each block,
    ahead = (start - int(blocks.start[0])) // (_WORD * sector)
    if ahead > 0:  # and not far ahead of the window
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
    place |= _mask(~is_here)  # _PARENT
    if is_bad.any():
        place[is_bad.repeat(count)] = _SUSPECT
    offset += _each(blocks.start - before, count)
    state = is_here * numpy.uint8(PARTIALLY_PRESENT)
    depth = numpy.full(len(state), blocks.depth[0])
    return Runs(offset, state, depth, place).only(slice(0, int(offset.searchsorted(end))))


def _each(values: Array, count: Array) -> Array | int:
    """Return each value so many times, or a single one when all are the same."""
    return int(values[0]) if (values == values[0]).all() else values.repeat(count)


def _bits(words: Array) -> Array:
    import numpy

    return numpy.unpackbits(words.view("u1"), bitorder="little").view(bool)


def _bitmaps(image: Image, numbers: Array) -> tuple[Array, Array]:
    """Return the sector bitmaps of some blocks, a row of words each, and which have none."""
    import numpy

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
        and not any(o.start < offset + MIB and offset < o.end for o in image.occupied)
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


def _entries(image: Image, first: int, end: int) -> Array:
    """Return the entries of payload blocks, none of sector bitmaps."""
    import numpy

    geometry = image.geometry
    index = geometry.payload_index(first)
    entries = numpy.empty(geometry.payload_index(end - 1) + 1 - index, "<u8")
    image.bat.readinto(entries.data.cast("B"), index)
    period = geometry.chunk_ratio + 1
    return numpy.delete(entries, slice(period - 1 - index % period, None, period))
