"""What a disk is made of by state and by image, wherever in a file it is.

A disk of 67 million blocks may be a single run of these, or as many as it has blocks. So there
are as many runs as people look at, or none, and cells in any case.
"""

from __future__ import annotations

from itertools import islice
from typing import TypeAlias

from .. import fast
from ..cells import Cells
from ..errors import VhdxError
from ..records import NamedTuple
from .disk import Disk
from .map import Map

MOST_RUNS = 1 << 11
MOST_CELLS = 1 << 12

# Ours: extents that are looked at. A disk of 64 TiB has half of them in blocks, and a child may
# have a thousand times more in sectors.
MOST_EXTENTS = 1 << 27

# State of the block, index in the chain of the image that it comes from, what it reads as, and
# the rule because of which it is lost.
What: TypeAlias = tuple[str, int, str, str | None]


class Run(NamedTuple):
    """A part of the disk that is the same throughout; offsets in bytes.

    Attributes:
        start: Virtual offset.
        end: Virtual offset after it.
        kind: Index of what it is.
    """

    start: int
    end: int
    kind: int


class Allocation:
    """What a disk is made of.

    Args:
        disk: The disk.

    Attributes:
        kinds: What there is, in the order in which it comes.
        cells: How much of each is in equal parts of the disk.
        runs: The runs that there are; None when there are too many to be listed.
        end: Virtual offset up to which it is known, the size of the disk unless `why` says more.
        why: What kept the rest from being looked at; None when nothing did.
    """

    def __init__(self, disk: Disk) -> None:
        self.kinds: list[What] = []
        self.cells = Cells(disk.size, MOST_CELLS, disk.block_size)
        self.runs: list[Run] | None = []
        self.end = 0
        self.why: str | None = None
        self._numbers: dict[What, int] = {}
        try:
            self._look(disk)
        except VhdxError as error:
            self.why = str(error)
        if self.end < disk.size and self.why is None:
            self.why = f"it has more than {MOST_EXTENTS} parts"

    def _look(self, disk: Disk) -> None:
        found = Map(disk, 0, disk.size)
        if found.is_large and fast.has_numpy():
            self._look_in_bulk(disk)
        else:
            rows = (row for some in found.columns() for row in some.rows())
            for start, length, what, _place in islice(rows, MOST_EXTENTS):
                self.cells.add(self._number(what), start, start + length)
                self._add_run(start, start + length, what)
                self.end = start + length

    def _look_in_bulk(self, disk: Disk) -> None:
        from .shares import shares  # takes time to import

        for amounts, runs, end in shares(disk, self.cells.length, MOST_RUNS, MOST_EXTENTS):
            for what, first, some in amounts:
                self.cells.add_amounts(self._number(what), first, some)
            for run in runs or ():
                self._add_run(*run)
            self.runs = self.runs if runs is not None else None
            self.end = end

    def _number(self, what: What) -> int:
        """Return the index of what something is, which may be new."""
        if what not in self._numbers:
            self._numbers[what] = len(self.kinds)
            self.kinds.append(what)
        return self._numbers[what]

    def _add_run(self, start: int, end: int, what: What) -> None:
        """List a run, which may go on with the last one, while there are few."""
        if self.runs is None:
            return
        kind = self._number(what)
        if self.runs and self.runs[-1].kind == kind:
            self.runs[-1] = self.runs[-1]._replace(end=end)
        else:
            self.runs.append(Run(start, end, kind))
        if len(self.runs) > MOST_RUNS:
            self.runs = None
