"""Which space of a file is free, and what is known of the bytes there.

Free is what no structure, region or block uses, nor one that keeps the place that it
had; regions that nobody here knows are regions, too. There is *new* space past all that
is used, which the file did not have when it was opened, so it reads as zeros; and
*old* space amid the file, in which there may be anything.

Space that is given back is not free at once. After a crash the file may be as it was
before, so what was there has to be there still, until the change that gave it back is
on the medium. And a reader that has found out where a block is may be about to read it.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..ranges import Ranges
from ..reading.reader import reads_elsewhere
from ..records import NamedTuple


class Room(NamedTuple):
    """Space for a block.

    Attributes:
        offset: Its file offset in bytes.
        is_new: Whether it reads as zeros as soon as the file is long enough.
    """

    offset: int
    is_new: bool


class Space:
    """The free space of a file.

    Args:
        gaps: Free ranges amid the file, in bytes; there may be others.
        end: File offset of the end of the file, which is that of all that is used, too.

    Attributes:
        end: File offset after all that is used, and all that was.
    """

    def __init__(self, gaps: Iterable[tuple[int, int]], end: int) -> None:
        self.end = end
        self._first_end = end
        self._free = Ranges(gaps)
        self._too_long: int | None = None  # what no free range is long enough for
        self._given: list[tuple[int, int]] = []  # by changes that are not on the medium yet
        # For certain, and perhaps being read: by reads that were under way then.
        self._settled: list[tuple[list[tuple[int, int]], frozenset[tuple[int, int]]]] = []

    def take(self, length: int, *, is_new: bool = False) -> Room:
        """Return space of some length in bytes, old space if there is any.

        Args:
            length: Bytes.
            is_new: Whether only new space will do.
        """
        if self._settled:
            self._free_what_nobody_reads()
        if not is_new and (self._too_long is None or length < self._too_long):
            for start, end in self._free:
                if end - start >= length:
                    self._free.subtract(start, start + length)
                    return Room(start, is_new=False)
            self._too_long = length
        offset = self.end
        self.end += length
        return Room(offset, is_new=True)

    def put_back(self, room: Room, length: int) -> None:
        """Take space back that nothing has ever referred to; some of it may be written to."""
        self._add(room.offset, room.offset + length)

    def give_back(self, offset: int, length: int) -> None:
        """Take space back that a block has had up to now."""
        self._given.append((offset, offset + length))

    def settle(self) -> None:
        """Say that all changes which gave space back are on the medium."""
        if self._given:
            self._settled.append((self._given, reads_elsewhere()))
            self._given = []

    def lower_end(self, end: int) -> None:
        """Say that nothing past a file offset is used, so that the file may end there.

        What gave that space back is on the medium.
        """
        if end < self.end:
            self._settled.append(([(end, self.end)], reads_elsewhere()))
        self._first_end = min(self._first_end, end)

    @property
    def used_end(self) -> int:
        """File offset after all that is used and all that the file had when it was opened.

        What the file had does not count where it was said that nothing uses it. It is right when
        nothing is given back by changes that are not on the medium yet.
        """
        end = self.end
        settled = (piece for pieces, _ in self._settled for piece in pieces)
        free = Ranges([*self._free, *settled])
        for start, stop in free:
            if stop == end:
                end = max(start, self._first_end)
        return end

    def _free_what_nobody_reads(self) -> None:
        under_way = reads_elsewhere()
        waiting = []
        for pieces, reads in self._settled:
            if reads & under_way:
                waiting.append((pieces, reads))
            else:
                for start, end in pieces:
                    self._add(start, end)
        self._settled = waiting

    def _add(self, start: int, end: int) -> None:
        self._free.add(start, end)
        self._too_long = None
