"""The map of a large disk in bulk, with numpy.

Plain Python takes about a microsecond for each block and for each run of
sectors, which is fine for a million of them. A disk of 64 TiB may have 67
million blocks, and a child of it 137 thousand million sectors. Here a window of
the disk is looked at with a few operations on arrays, whatever the chain below
it; a window is as long as some ten thousand runs allow, so memory stays the
same. What looks wrong is left to `Disk.extents` to judge.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy

from ..errors import FormatError
from ..format.bat import NOT_PRESENT, RESERVED_STATE, STATE_MASK, STATE_NAMES
from ..records import TYPE_CHECKING
from .disk import Disk
from .extents import Columns, Extent
from .layers import LOST, LOST_RULES, PARENTS, ZEROS, place_of_lost
from .runs import (
    ALIKE,
    SUSPECT,
    Runs,
    beginnings,
    let_memory_be_reused,
    mask,
    one_run,
    put,
    runs_of_image,
)

if TYPE_CHECKING:
    from .runs import Choice, Numbers

# What stands at a place, in a file or one of those of `layers`, by the number below 0.
_KINDS = ("data", "parent", "zero", "", *["lost"] * len(LOST_RULES))
_RULES = (*[None] * -LOST, *LOST_RULES)
_STATES = [STATE_NAMES.get(state, RESERVED_STATE) for state in range(STATE_MASK + 1)]
_STATE_NUMBERS = {name: _STATES.index(name) for name in _STATES}


def extents(disk: Disk, offset: int, length: int) -> Iterator[Columns]:
    """Yield what `Disk.extents` yields, thousands at a time.

    Raises:
        FormatError: An image does not say rightly where some of it is; all that
            stands before that was yielded.
    """
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
                _has_lost(runs),
            )
            offset = following
    except FormatError:  # plain Python finds what is left before that
        yield from Columns.some_of(disk.extents(offset, end - offset))


def runs_of(disk: Disk, offset: int, end: int) -> Iterator[tuple[Runs, int]]:
    """Yield the runs of a range, thousands at a time, and where the last of them ends.

    Raises:
        FormatError: An image does not say rightly where some of it is. Not all runs before
            that were yielded.
    """
    return with_next(_merged(disk, offset, end), end)


def _what(runs: Runs) -> list[tuple[str, int, str, str | None]]:
    """Return state, depth, kind and rule of runs; there are few different ones."""
    code = codes_of(runs)
    table = numpy.empty(int(code.max()) + 1, object)
    for number in numpy.flatnonzero(numpy.bincount(code)).tolist():
        table[number] = what_of(number)
    what: list[tuple[str, int, str, str | None]] = table[code].tolist()
    return what


def codes_of(runs: Runs) -> Numbers:
    """Return a number for state, depth, kind and rule of each run."""
    kind = -numpy.minimum(runs.place, 0)
    depth = runs.depth + (kind == -PARENTS)
    codes: Numbers = (depth * len(_KINDS) + kind) * len(_STATES) + runs.state
    return codes


def what_of(code: int) -> tuple[str, int, str, str | None]:
    """Return state, depth, kind and rule for which a number stands."""
    rest, state = divmod(code, len(_STATES))
    depth, kind = divmod(rest, len(_KINDS))
    return _STATES[state], depth, _KINDS[kind], _RULES[kind]


def count_extents(disk: Disk, offset: int, length: int) -> tuple[int, bool]:
    """Return how many extents `Disk.extents` yields, and whether any of them is lost.

    Raises:
        FormatError: An image does not say rightly where some of it is.
    """
    count, has_lost = 0, False
    for runs, begins in _marked(disk, offset, offset + length):
        count += int(numpy.count_nonzero(begins))
        has_lost = has_lost or _has_lost(runs)
    return count, has_lost


def _has_lost(runs: Runs) -> bool:
    return bool((runs.place <= LOST).any())


def with_next(batches: Iterator[Runs], end: int) -> Iterator[tuple[Runs, int]]:
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


def _marked(disk: Disk, offset: int, end: int) -> Iterator[tuple[Runs, Choice]]:
    """Yield the runs of a range, and which of them do not go on with the one before."""
    last: Runs | None = None
    for runs in windows(disk, offset, end):
        begins = beginnings(runs)
        if last is not None:
            begins[0] = beginnings(Runs.together(last, runs.only(slice(1))))[1]
        last = runs.only(slice(-1, None))
        yield runs, begins


def windows(disk: Disk, start: int, end: int) -> Iterator[Runs]:
    """Yield the runs of a range window by window, not merged, nothing suspect among them."""
    disk.extents(start, end - start)  # judges the range as a whole
    let_memory_be_reused()
    span = end - start
    while start < end:
        runs, reached = _window(disk, start, min(end, start + span))
        _judge_alike(disk, runs, reached)
        if (runs.place == SUSPECT).any():
            runs = _judged(disk, start, reached)
        yield runs
        span = 2 * (reached - start)  # a deeper image may have stopped this one
        start = reached


def _window(disk: Disk, start: int, end: int) -> tuple[Runs, int]:
    """Return the runs from an offset on, and where they end: not past `end`."""
    runs: Runs | None = None
    for depth, image in enumerate(disk.chain):
        size = image.geometry.virtual_disk_size
        inside = min(end, size)
        if start < inside:
            found, reached = runs_of_image(image, depth, start, inside)
            end = reached if reached < inside else end
        else:
            found = one_run(start, NOT_PRESENT, depth - 1, ZEROS)
        if start < size < end:  # its child has zeros past the end of a parent (CHAIN-04)
            found = Runs.together(found, one_run(size, NOT_PRESENT, depth - 1, ZEROS))
        if runs is None:
            runs = found
        else:
            runs = runs.only(slice(0, int(runs.start.searchsorted(end))))
            runs = _with_parent(runs, found.only(beginnings(found)))
        if not (runs.place == PARENTS).any():
            break
    assert runs is not None
    if disk.missing is not None:
        runs.place[runs.place == PARENTS] = disk.missing.place
    return runs, end


def _with_parent(runs: Runs, parent: Runs) -> Runs:
    """Return runs with what belongs to the parent replaced by its runs in the same window."""
    # Where the parent has a new run inside such a one, it is cut.
    at = runs.start.searchsorted(parent.start, "right") - 1
    cuts = (runs.place[at] == PARENTS) & (runs.start[at] != parent.start)
    if cuts.any():
        at = at[cuts]
        runs = runs.only(numpy.insert(numpy.arange(len(runs.start)), at + 1, at))
        runs.start[at + numpy.arange(1, len(at) + 1)] = parent.start[cuts]
    is_theirs = runs.place == PARENTS
    below = parent  # one run stands for all; many are told apart
    if len(parent.start) > 1:
        below = parent.only(parent.start.searchsorted(runs.start, "right") - 1)
    place = runs.start - below.start
    place &= mask(below.place >= 0)
    place += below.place
    put(runs.state, below.state, is_theirs)
    put(runs.depth, below.depth, is_theirs)
    put(runs.place, place, is_theirs)
    return runs


def _judge_alike(disk: Disk, runs: Runs, end: int) -> None:
    """Give suspect runs of the same class their place, as plain Python finds it for the first."""
    suspects = numpy.flatnonzero(runs.place <= ALIKE)
    if not len(suspects):
        return
    codes = runs.place[suspects] * len(disk.chain) - runs.depth[suspects]
    _, firsts, which = numpy.unique(codes, return_index=True, return_inverse=True)
    places = []
    for first in suspects[firsts].tolist():
        start = int(runs.start[first])
        stop = int(runs.start[first + 1]) if first + 1 < len(runs.start) else end
        (row,) = disk.extents(start, stop - start)
        places.append(_place_of(row))
    runs.place[suspects] = numpy.array(places)[which]


def _judged(disk: Disk, start: int, end: int) -> Runs:
    """Return the runs of a window as plain Python finds them, which knows what is wrong."""
    rows = list(disk.extents(start, end - start))
    return Runs(
        numpy.array([row.offset for row in rows], "i8"),
        numpy.array([_STATE_NUMBERS[row.state] for row in rows], "u1"),
        numpy.array([row.depth - (row.kind == "parent") for row in rows], "u2"),
        numpy.array(list(map(_place_of, rows)), "i8"),
    )


def _place_of(row: Extent) -> int:
    """Return the file offset of an extent, or its place of `layers`."""
    if row.file_offset is not None:
        return row.file_offset
    if row.finding is not None:
        return place_of_lost(row.finding.rule)
    return ZEROS if row.kind == "zero" else PARENTS
