"""The BAT of a large disk at once, with numpy.

Plain Python takes about a microsecond a block, which is fine for a million of
them. A disk of 64 TiB may have 67 million. Memory stays the same whatever
their number: entries are taken in whole chunks, some ten thousand at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from .bat import FULLY_PRESENT, OFFSET_MASK, RESERVED_MASK, STATE_MASK, STATE_NAMES, UNMAPPED
from .units import MIB, ceil_div

if TYPE_CHECKING:
    from .disk import Disk
    from .image import Image

# With fewer blocks the import of numpy takes longer than it saves.
WORTHWHILE_BLOCKS = 500_000

_BATCH = 1 << 16

Array = Any  # numpy's types would have to be imported for their names


class Runs(NamedTuple):
    """Neighbouring blocks of one kind; one element of each array a run.

    Attributes:
        first: Number of the first block.
        count: Blocks.
        state: State of the blocks.
        file_offset: Of the first block's bytes; of no meaning where none are stored.
    """

    first: Array
    count: Array
    state: Array
    file_offset: Array


def is_worthwhile(disk: Disk) -> bool:
    """Tell whether a disk is large, and of one image, so that `extents` here serves it."""
    geometry = disk.image.geometry
    return not geometry.is_differencing and geometry.payload_blocks >= WORTHWHILE_BLOCKS


def extents(
    disk: Disk, offset: int, length: int
) -> Iterator[tuple[int, int, str, int, int | None, str]]:
    """Yield what `Disk.extents` yields, as plain tuples, for a disk that is worth it."""
    size = disk.block_size
    end = offset + length
    for runs in _runs(disk, *_blocks(disk, offset, length)):
        starts = (runs.first * size).tolist()
        stops = ((runs.first + runs.count) * size).tolist()
        for start, stop, state, place in zip(
            starts, stops, runs.state.tolist(), runs.file_offset.tolist(), strict=True
        ):
            low = start if start > offset else offset
            span = (stop if stop < end else end) - low
            name = STATE_NAMES[state]
            if state == FULLY_PRESENT:
                yield low, span, name, 0, place + low - start, "data"
            else:
                yield low, span, name, 0, None, "zero"


def count_extents(disk: Disk, offset: int, length: int) -> int:
    """Return how many extents `Disk.extents` yields, for a disk that is worth it."""
    return sum(len(runs.first) for runs in _runs(disk, *_blocks(disk, offset, length)))


def _blocks(disk: Disk, offset: int, length: int) -> tuple[int, int]:
    """Return the first block of a range, and the one behind it."""
    first = offset // disk.block_size
    return first, ceil_div(offset + length, disk.block_size) if length else first


def _runs(disk: Disk, first: int, end: int) -> Iterator[Runs]:
    """Yield the runs of a range of blocks in batches; a run never ends where a batch does."""
    if first == end:
        return
    held: Runs | None = None  # the last run so far, which the next batch may go on with
    for start, entries in payload_entries(disk.image, first, end):
        _refuse_bad_entries(disk, start, entries)
        runs = _runs_of(entries, start, disk.block_size)
        if held is not None:
            if _goes_on(held, runs, disk.block_size):
                runs.first[0] = held.first[0]
                runs.count[0] += held.count[0]
                runs.file_offset[0] = held.file_offset[0]
            else:
                yield held
        held = Runs(*(array[-1:] for array in runs))
        yield Runs(*(array[:-1] for array in runs))
    if held is not None:
        yield held


def _goes_on(held: Runs, runs: Runs, block_size: int) -> bool:
    if held.state[0] != runs.state[0]:
        return False
    following = held.file_offset[0] + held.count[0] * block_size
    return bool(held.state[0] != FULLY_PRESENT or runs.file_offset[0] == following)


def payload_entries(image: Image, first: int, end: int) -> Iterator[tuple[int, Array]]:
    """Yield entries of payload blocks, with the number of the first; none of sector bitmaps.

    Args:
        image: The image.
        first: Number of the first block.
        end: Number behind the last block.
    """
    for start, payload, _ in chunks(image, first - first % image.geometry.chunk_ratio, end):
        skip = max(0, first - start)
        yield start + skip, payload[skip:]


def chunks(image: Image, first: int, end: int) -> Iterator[tuple[int, Array, Array]]:
    """Yield entries of whole chunks: number of the first block, payload, sector bitmaps.

    The arrays are good until the next ones are asked for. The last chunk may be
    a part of one, and has no sector bitmap then.

    Args:
        image: The image.
        first: Number of the first block, at the start of a chunk.
        end: Number behind the last block.
    """
    import numpy

    ratio = image.geometry.chunk_ratio
    step = max(1, _BATCH // ratio) * ratio
    buffer = numpy.empty(step // ratio * (ratio + 1), "<u8")
    for start in range(first, end, step):
        stop = min(end, start + step)
        index = image.geometry.payload_index(start)
        # A whole chunk at the end of the step comes with its sector bitmap's entry.
        after = image.geometry.payload_index(stop)
        entries = buffer[: min(after, image.geometry.entry_count) - index]
        image.bat.readinto(entries.data.cast("B"), index)
        whole = len(entries) // (ratio + 1) * (ratio + 1)
        table = entries[:whole].reshape(-1, ratio + 1)
        payload = table[:, :ratio].ravel() if whole else entries
        if 0 < whole < len(entries):
            payload = numpy.concatenate((payload, entries[whole:]))
        yield start, payload, table[:, ratio]


def _runs_of(entries: Array, start: int, block_size: int) -> Runs:
    """Return the runs of some entries, which are valid."""
    import numpy

    state = (entries & STATE_MASK).astype(numpy.uint8)
    offset = (entries & (OFFSET_MASK & 2**64 - 1)).astype(numpy.int64)
    same = state[1:] == state[:-1]
    same &= (state[1:] != FULLY_PRESENT) | (offset[1:] - offset[:-1] == block_size)
    begins = numpy.concatenate(([0], numpy.flatnonzero(~same) + 1))
    ends = numpy.concatenate((begins[1:], [len(entries)]))
    return Runs(begins + start, ends - begins, state[begins], offset[begins])


def _refuse_bad_entries(disk: Disk, start: int, entries: Array) -> None:
    """Raise what reading raises, if any block of these cannot be read."""
    import numpy

    state = entries & STATE_MASK
    bad = (entries & RESERVED_MASK) != 0
    bad |= (state > UNMAPPED) & (state != FULLY_PRESENT)
    stored = state == FULLY_PRESENT
    end_of_file = disk.image.source.size
    last_start = max(0, end_of_file - disk.block_size) // MIB
    place = entries >> numpy.uint64(20)
    bad |= stored & ((place == 0) | (place > last_start))
    # The end of the disk may lie inside the last block, so what seems bad need not be.
    for block in (numpy.flatnonzero(bad) + start).tolist():
        low = block * disk.block_size
        for _ in disk.extents(low, min(disk.block_size, disk.size - low)):
            pass
