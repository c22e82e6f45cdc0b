"""Which of many runs of a disk hold data, with numpy.

A disk whose blocks alternate has an extent for each of them, and to ask the system
for holes in each takes a second for every hundred thousand. Blocks that follow each
other in a file, whether they do on the disk or not, can be asked for at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy

from ..reading import bulk
from ..reading.disk import Disk
from ..reading.layers import LOST
from ..reading.runs import Runs
from ..records import TYPE_CHECKING, NamedTuple
from ..storage.source import Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[numpy.int64]

# More ranges than these are not held at once.
_MOST_RANGES = 1 << 17

NOWHERE = -1


class Ranges(NamedTuple):
    """Ranges of a disk; one element of each array a range.

    Attributes:
        start: Virtual offset in bytes.
        end: Virtual offset after it.
        depth: Index in the chain of the image whose local file it is in, or `NOWHERE`.
        distance: From virtual offsets to those of the file.
    """

    start: Numbers
    end: Numbers
    depth: Numbers
    distance: Numbers


def data_ranges(disk: Disk, offset: int, end: int) -> Iterator[tuple[Ranges | None, int]]:
    """Yield the ranges of a disk that may hold something else than zeros, thousands at a time.

    Args:
        disk: The disk.
        offset: Virtual offset in bytes.
        end: Virtual offset after the range.

    Yields:
        Ranges in order, or None when they are too many to be held at once; and the virtual
        offset up to which these are all.

    Raises:
        FormatError: An image does not say rightly where some of it is.
    """
    for runs, stop in bulk.runs_of(disk, offset, end):
        yield _of_runs(disk, runs, numpy.append(runs.start[1:], stop)), stop


def _of_runs(disk: Disk, runs: Runs, end: Numbers) -> Ranges | None:
    is_stored = runs.place >= 0
    # What belongs to a parent that was not opened, or is lost, is no zero, as reading will tell.
    is_known = is_stored | runs.is_zero
    if disk.zeroes_lost:
        is_known |= runs.place <= LOST
    missing = numpy.flatnonzero(~is_known)
    nothing = numpy.zeros_like(missing)
    parts = [Ranges(runs.start[missing], end[missing], nothing + NOWHERE, nothing)]
    for depth in numpy.unique(runs.depth[is_stored]).tolist():
        chosen = is_stored & (runs.depth == depth)
        source = disk.chain[depth].source
        part = _stored(source, depth, runs.start[chosen], end[chosen], runs.place[chosen])
        if part is None:
            return None
        parts.append(part)
    whole = Ranges(*map(numpy.concatenate, zip(*parts, strict=True)))
    order = whole.start.argsort()
    return Ranges(*(array[order] for array in whole))


def _stored(
    source: Source, depth: int, start: Numbers, end: Numbers, place: Numbers
) -> Ranges | None:
    """Return what of some ranges of one image is no hole; None when that is too much.

    Args:
        source: The file of the image as it reads.
        depth: Index of the image in the chain.
        start: Virtual offsets in bytes.
        end: Virtual offsets after the ranges.
        place: Where they are in the file.
    """
    order = place.argsort()
    distance, place = (place - start)[order], place[order]
    place_end = end[order] + distance
    found = _stored_places(source, place, place_end)
    if found is None:
        return None
    low, high, is_local = found
    first = high.searchsorted(place, "right")
    count = low.searchsorted(place_end) - first
    if count.sum() > _MOST_RANGES:  # many blocks share one place, with many holes
        return None
    # Each range of the disk with each stored range of the file that meets it.
    owner = numpy.arange(len(place)).repeat(count)
    stored = numpy.arange(len(owner)) - (count.cumsum() - count - first).repeat(count)
    distance = distance[owner]
    return Ranges(
        numpy.maximum(low[stored], place[owner]) - distance,
        numpy.minimum(high[stored], place_end[owner]) - distance,
        numpy.where(is_local[stored], depth, NOWHERE),
        distance,
    )


def _stored_places(source: Source, place: Numbers, end: Numbers) -> Numbers | None:
    """Return where a file holds data: starts, ends, and whether it is the local file that does.

    Args:
        source: The file as it reads.
        place: File offsets in bytes, in order, of ranges that may overlap.
        end: File offsets after these.
    """
    reach = numpy.maximum.accumulate(end)
    firsts = numpy.flatnonzero(numpy.append(True, place[1:] > reach[:-1]))
    found: list[tuple[int, int, bool]] = []
    for low, high in zip(
        place[firsts].tolist(),
        reach[numpy.append(firsts[1:], len(reach)) - 1].tolist(),
        strict=True,
    ):
        file = source.local_file(low, high)
        if file is None:
            found.append((low, high, False))
        else:
            ranges = islice(file.stored_ranges(low, high), _MOST_RANGES + 1)
            found += [(start, stop, True) for start, stop in ranges]
        if len(found) > _MOST_RANGES:
            return None
    return numpy.array(found, "i8").reshape(-1, 3).T
