"""How much of each part of a large disk is what, with numpy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy

from ..records import TYPE_CHECKING, NamedTuple
from .bulk import codes_of, what_of, windows, with_next
from .disk import Disk

if TYPE_CHECKING:
    from .runs import Numbers, Runs

# Ours: windows that are looked at. A disk of 64 TiB has a thousand of blocks, and a child as many
# of sectors in each of these.
_MOST_WINDOWS = 1 << 14

# State of the block, index in the chain of the image that it comes from, what it reads as, and
# the rule because of which it is lost.
What: TypeAlias = tuple[str, int, str, str | None]


class Share(NamedTuple):
    """What some of a disk is made of, wherever in a file it is; in bytes.

    Attributes:
        amounts: For each thing that it is made of, the first cell, and how much is in each from
            there on.
        runs: Start and end of each run, and what it is; None when there are too many.
        end: Where it ends.
    """

    amounts: list[tuple[What, int, list[int]]]
    runs: list[tuple[int, int, What]] | None
    end: int


def shares(disk: Disk, cell: int, most_runs: int, most_extents: int) -> Iterator[Share]:
    """Yield what a disk is made of, part by part, all of it or as much as anybody can wait for.

    Args:
        disk: The disk.
        cell: Bytes of a cell.
        most_runs: How many runs of a part are wanted.
        most_extents: How many extents are looked at.

    Raises:
        FormatError: An image does not say rightly where some of it is; what stands before that
            was yielded, but for a part.
    """
    looked_at = 0
    for number, (runs, end) in enumerate(with_next(windows(disk, 0, disk.size), disk.size)):
        looked_at += len(runs.start)
        if looked_at > most_extents or number == _MOST_WINDOWS:
            return
        yield _share(runs.only(_changes(runs)), end, cell, most_runs)


def _changes(runs: Runs) -> Numbers:
    """Return which runs are of another kind than the one before, wherever in a file they are."""
    begins = numpy.ones(len(runs.start), bool)
    begins[1:] = runs.state[1:] != runs.state[:-1]
    begins[1:] |= runs.depth[1:] != runs.depth[:-1]
    if int(runs.place.min()) < 0:
        place = numpy.minimum(runs.place, 0)
        begins[1:] |= place[1:] != place[:-1]
    return numpy.flatnonzero(begins)


def _share(runs: Runs, end: int, cell: int, most_runs: int) -> Share:
    starts, codes = runs.start, codes_of(runs)
    ends = numpy.append(starts[1:], end)
    found = numpy.flatnonzero(numpy.bincount(codes)).tolist()
    where = {code: numpy.flatnonzero(codes == code) for code in found}
    amounts = [
        (what_of(code), *_amounts(starts[index], ends[index], cell))
        for code, index in sorted(where.items(), key=lambda item: int(item[1][0]))
    ]
    if len(starts) > most_runs:
        return Share(amounts, None, end)
    rows = zip(starts.tolist(), ends.tolist(), codes.tolist(), strict=True)
    return Share(amounts, [(start, stop, what_of(code)) for start, stop, code in rows], end)


def _amounts(starts: Numbers, ends: Numbers, cell: int) -> tuple[int, list[int]]:
    """Return the first cell that has any of some ranges, and how many bytes each has from there on.

    Args:
        starts: Where the ranges start, in order.
        ends: Where they end; none overlaps another.
        cell: Bytes of a cell.
    """
    first = int(starts[0]) // cell
    bounds = numpy.arange(first, -(-int(ends[-1]) // cell) + 1) * cell
    # How much of them lies before a bound: all that begin before it, but for what is after it.
    before = numpy.append(0, (ends - starts).cumsum())
    number = starts.searchsorted(bounds)
    after = numpy.maximum(ends[numpy.maximum(number - 1, 0)] - bounds, 0)
    amounts: list[int] = numpy.diff(before[number] - after * (number > 0)).tolist()
    return first, amounts
