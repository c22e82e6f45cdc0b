"""Where blocks go so that a file ends earlier: the last one into the first hole that it fits.

Only what is last is moved, and always towards the start, so what a move frees lies past all
that is still to be moved: no move ever needs space that another one has freed, and the file
may end after any of them. Log, regions and metadata stay where they are; when one of them is
last, the file ends there.

Blocks of a file have two lengths: those of payload, and sector bitmaps of a MiB, which go
first into what is left of holes where no block of payload fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter

from ..ranges import Ranges
from ..records import NamedTuple
from ..units import MIB


class Piece(NamedTuple):
    """A block that may be moved.

    Attributes:
        place: Its file offset in bytes.
        length: Its length in bytes.
        number: The block; for a sector bitmap its chunk.
        is_bitmap: Whether it is a sector bitmap.
    """

    place: int
    length: int
    number: int
    is_bitmap: bool

    @property
    def end(self) -> int:
        """The file offset after it."""
        return self.place + self.length


class Move(NamedTuple):
    """A block that is moved.

    Attributes:
        piece: The block where it is.
        to: The file offset in bytes at which it comes to be.
        end: File offset after all that is used then.
    """

    piece: Piece
    to: int
    end: int


class Packing(NamedTuple):
    """How the blocks of a file are moved.

    Attributes:
        end: File offset after all that is used before anything is moved.
        moves: The moves, one after the other.
        free: What is free between the start and the end when all are done, in order.
    """

    end: int
    moves: list[Move]
    free: list[tuple[int, int]]

    @property
    def last_end(self) -> int:
        """File offset after all that is used when all moves are done."""
        return self.moves[-1].end if self.moves else self.end


def packing(pieces: Iterable[Piece], fixed: Sequence[tuple[int, int]]) -> Packing:
    """Return how blocks are moved so that a file ends as early as that makes it.

    Args:
        pieces: The blocks, none of which overlaps another one or what is fixed.
        fixed: Start and end of what stays where it is, in bytes and any order.
    """
    waiting = sorted(pieces, key=attrgetter("place"))
    fixed_end = max(end for _, end in fixed)
    end = first_end = max([fixed_end, *(piece.end for piece in waiting[-1:])])
    taken = Ranges([*fixed, *((piece.place, piece.end) for piece in waiting)])
    holes = _Holes(taken.gaps(0, end), max((p.length for p in waiting), default=MIB))
    moves, least = [], fixed_end  # before which the file cannot end
    while waiting and waiting[-1].end > least:
        piece = waiting[-1]
        to = holes.take(piece)
        if to is None:
            break
        del waiting[-1]
        least = max(least, to + piece.length)
        end = max([least, *(other.end for other in waiting[-1:])])
        moves.append(Move(piece, to, end))
    return Packing(first_end, moves, holes.left(end))


class _Holes:
    """Holes of a file in order, of which those too small for payload are apart."""

    def __init__(self, holes: Iterable[tuple[int, int]], length: int) -> None:
        self._length = length
        self._large: list[tuple[int, int]] = []
        self._small: list[tuple[int, int]] = []
        for start, end in holes:
            whole = end - (end - start) % length
            if start < whole:
                self._large.append((start, whole))
            if whole < end:
                self._small.append((whole, end))
        self._large.reverse()  # they are taken from the end of the list
        self._small.reverse()

    def take(self, piece: Piece) -> int | None:
        """Return the first place before a block that has room for it; None when there is none."""
        holes = self._large
        if piece.is_bitmap and self._small and self._small[-1][0] < piece.place:
            holes = self._small
        if not holes or holes[-1][0] + piece.length > piece.place:
            return None
        start, end = holes.pop()
        if start + piece.length < end:
            holes.append((start + piece.length, end))
            self._keep_whole()
        return start

    def _keep_whole(self) -> None:
        """Let what is large have room for whole blocks of payload, after a bitmap went there."""
        start, end = self._large[-1] if self._large else (0, 0)
        rest = (end - start) % self._length
        if rest:
            del self._large[-1]
            if start + rest < end:
                self._large.append((start + rest, end))
            self._small.append((start, start + rest))
            self._small.sort(reverse=True)

    def left(self, end: int) -> list[tuple[int, int]]:
        """Return what is left of the holes before a file offset, in order."""
        return [
            (start, min(stop, end))
            for start, stop in Ranges([*self._large, *self._small])
            if start < end
        ]
