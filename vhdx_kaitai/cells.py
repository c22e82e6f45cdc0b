"""A long range in equal cells: how much of each is what.

Pictures of disks and files are made of these, where what there is in the range has more
parts than anybody can look at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from .units import ceil_div


class Cells:
    """Some kinds of things, and how much of them is in each cell; the last one may be short.

    Args:
        size: Bytes of the range.
        most: How many cells there may be.
        unit: Bytes of which a cell is a multiple.

    Attributes:
        length: Bytes of a cell.
        count: How many there are.
    """

    def __init__(self, size: int, most: int, unit: int) -> None:
        self.length = max(1, ceil_div(ceil_div(size, most), unit)) * unit
        self.count = ceil_div(size, self.length)
        self._amounts: dict[int, list[int]] = {}

    def add(self, kind: int, start: int, end: int) -> None:
        """Add a part of the range that is of one kind."""
        amounts = self._of(kind)
        for cell in range(start // self.length, min(self.count, ceil_div(end, self.length))):
            low, high = cell * self.length, (cell + 1) * self.length
            amounts[cell] += min(end, high) - max(start, low)

    def add_amounts(self, kind: int, first: int, amounts: Iterable[int]) -> None:
        """Add how many bytes of a kind there are in each of some cells, from one cell on."""
        mine = self._of(kind)
        for cell, amount in enumerate(amounts, first):
            if cell < self.count:
                mine[cell] += amount

    def _of(self, kind: int) -> list[int]:
        return self._amounts.setdefault(kind, [0] * self.count)

    def total(self, kind: int) -> int:
        """Return how many bytes of a kind there are."""
        return sum(self._amounts.get(kind, ()))

    def alike(self) -> Iterator[tuple[int, list[tuple[int, int]]]]:
        """Yield how many cells that follow each other have the same, and how much of each kind."""
        kinds = sorted(self._amounts)
        columns = [self._amounts[kind] for kind in kinds]
        rows = ([column[cell] for column in columns] for cell in range(self.count))
        for same, cells in groupby(rows):
            parts = [(kind, amount) for kind, amount in zip(kinds, same, strict=True) if amount]
            yield sum(1 for _ in cells), parts

    def fill(self, kind: int, size: int) -> None:
        """Add what is left of each cell that is not full to a kind.

        Args:
            kind: The kind.
            size: Bytes of the range, at the end of which the last cell ends.
        """
        for cell in range(self.count):
            whole = min(self.length, size - cell * self.length)
            rest = whole - sum(amounts[cell] for amounts in self._amounts.values())
            self.add_amounts(kind, cell, [max(0, rest)])
