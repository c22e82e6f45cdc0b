"""What of a disk is lost: ranges that an image should hold and does not, added up."""

from __future__ import annotations

from collections.abc import Iterator

from ..records import NamedTuple
from .disk import Disk
from .map import Map

# Ranges that are listed with their reasons.
MOST_LISTED = 8


class LostRange(NamedTuple):
    """A range of the disk that is lost.

    Attributes:
        start: Virtual offset in bytes.
        end: Virtual offset after it.
        rule: The broken rule because of which it is.
    """

    start: int
    end: int
    rule: str


class Losses(NamedTuple):
    """What of a range of a disk is lost; sizes in bytes.

    Attributes:
        stored: How much of it images of the chain hold, or should hold.
        lost: How much of that is lost.
        ranges: In how many ranges all that is lost is; neighbours with one reason are one.
        first: The first few of them.
        orphaned: How much belongs to a parent that cannot be had, and is lost beside that,
            whether or not anything of it was stored.
    """

    stored: int
    lost: int
    ranges: int
    first: tuple[LostRange, ...]
    orphaned: int = 0


def lost_ranges(disk: Disk, offset: int, length: int) -> Iterator[LostRange]:
    """Yield the ranges of a disk that are lost, in order.

    Args:
        disk: The disk.
        offset: Virtual offset in bytes.
        length: Bytes, not past the end of the disk.
    """
    for some in Map(disk, offset, length).columns():
        if some.has_lost:
            rows = zip(some.start, some.length, some.what, strict=True)
            for start, count, (_state, _depth, _kind, rule) in rows:
                if rule is not None:
                    yield LostRange(start, start + count, rule)


def losses(disk: Disk, offset: int, length: int) -> Losses:
    """Return what of a range of a disk is lost.

    The arguments are those of `lost_ranges`.
    """
    stored = lost = orphaned = ranges = 0
    first: list[LostRange] = []
    last = LostRange(0, 0, "")
    for some in Map(disk, offset, length).columns():
        kinds = {what: what[2] for what in set(some.what)}
        for start, size, what in zip(some.start, some.length, some.what, strict=True):
            if kinds[what] == "data":
                stored += size
            elif some.has_lost and kinds[what] == "lost":
                if what[3] == "CHAIN-10":
                    orphaned += size
                else:
                    stored += size
                    lost += size
                found = LostRange(start, start + size, what[3] or "")
                if (last.end, last.rule) == (start, found.rule):  # entries that differ, one range
                    found = found._replace(start=last.start)
                    first[ranges - 1 :] = first[ranges - 1 :] and [found]
                else:
                    ranges += 1
                    first += [found] if ranges <= MOST_LISTED else []
                last = found
    return Losses(stored, lost, ranges, tuple(first), orphaned)
