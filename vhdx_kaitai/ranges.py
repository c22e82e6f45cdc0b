"""Half-open ranges of numbers: sets of them, what overlaps what, and what lies on top."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from operator import itemgetter

from .records import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")


class Ranges:
    """A set of numbers, kept as ranges in order, none of which touches another.

    A set is made of all its ranges at once in the time that sorting takes. Adding
    to one, or taking from it, moves the ranges after that place.

    Args:
        ranges: Start and end of each, in any order. They may overlap, and empty
            ones do not count.
    """

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted(ranges):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            elif start < end:
                self._starts.append(start)
                self._ends.append(end)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._ends, strict=True)

    def __repr__(self) -> str:
        return f"Ranges({list(self)})"

    def inside(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the parts of a range that are in the set, in order."""
        index = bisect_right(self._ends, start)
        while index < len(self._starts) and self._starts[index] < end:
            if start < end:
                yield max(start, self._starts[index]), min(end, self._ends[index])
            index += 1

    def gaps(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the parts of a range that are not in the set, in order."""
        for begin, stop in self.inside(start, end):
            if start < begin:
                yield start, begin
            start = stop
        if start < end:
            yield start, end

    def hold(self, start: int, end: int) -> bool:
        """Tell whether a range lies wholly in the set, as an empty one always does."""
        return next(self.gaps(start, end), None) is None

    def add(self, start: int, end: int) -> list[tuple[int, int]]:
        """Add a range and return the parts of it that were not in the set before."""
        new = list(self.gaps(start, end))
        if new:
            first = bisect_left(self._ends, start)  # of the ranges that overlap or touch it
            after = bisect_right(self._starts, end)
            if first < after:
                start, end = min(start, self._starts[first]), max(end, self._ends[after - 1])
            self._starts[first:after] = [start]
            self._ends[first:after] = [end]
        return new

    def subtract(self, start: int, end: int) -> list[tuple[int, int]]:
        """Take a range out and return the parts of it that were in the set before."""
        old = list(self.inside(start, end))
        if old:
            first = bisect_right(self._ends, start)  # of the ranges that overlap it
            after = bisect_left(self._starts, end)
            sides = (self._starts[first], start), (end, self._ends[after - 1])
            kept = [side for side in sides if side[0] < side[1]]
            self._starts[first:after] = [side[0] for side in kept]
            self._ends[first:after] = [side[1] for side in kept]
        return old


def overlap(one: tuple[int, int], two: tuple[int, int]) -> bool:
    """Tell whether two ranges overlap."""
    return one[0] < two[1] and two[0] < one[1]


def overlapping(
    items: Iterable[tuple[int, int, T]],
) -> Iterator[tuple[tuple[int, int, T], tuple[int, int, T]]]:
    """Yield each item that overlaps one before it, after the one before it that reaches furthest.

    So no overlap goes unmentioned, and as many pairs come as there are items at most.

    Args:
        items: Start, end and what has this range, in any order. They are gone through
            in the order of place, the shorter first where two begin together.
    """
    furthest: tuple[int, int, T] | None = None
    for item in sorted(items, key=itemgetter(0, 1)):
        if furthest is not None and item[0] < furthest[1]:
            yield furthest, item
        if furthest is None or item[1] > furthest[1]:
            furthest = item


def topmost(layers: Iterable[tuple[int, int, T]]) -> Iterator[tuple[int, int, T]]:
    """Yield what is to be seen of ranges that lie on each other, in the order of place.

    Each comes as one part wherever nothing lies on it. This takes the time that
    sorting takes, whatever the order and the number of parts.

    Args:
        layers: Start, end and what has this range; each lies on all those before it.
    """
    stack = list(layers)
    for number, group in groupby(_steps(stack), key=lambda step: step[2]):
        steps = list(group)
        yield steps[0][0], steps[-1][1], stack[number][2]


def _steps(stack: Sequence[tuple[int, int, object]]) -> Iterator[tuple[int, int, int]]:
    """Yield, from each start or end to the next, the number of the layer on top."""
    from heapq import heappop, heappush  # takes time, and little lies on anything

    bounds = sorted({bound for start, end, _ in stack for bound in (start, end)})
    waiting = sorted(range(len(stack)), key=lambda number: stack[number][0], reverse=True)
    begun: list[int] = []  # a heap of layers by negative number: the top one comes first
    for position, following in pairwise(bounds):
        while waiting and stack[waiting[-1]][0] == position:
            heappush(begun, -waiting.pop())
        while begun and stack[-begun[0]][1] <= position:
            heappop(begun)
        if begun:
            yield position, following, -begun[0]
