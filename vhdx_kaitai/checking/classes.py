"""BAT entries in classes, and what a look at all of them finds.

Of the 67 million entries that a BAT may have no rule can tell more than a few classes apart. So
they are counted by class, and the rules are asked about the first few of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_

from ..format.bat import (
    ENTRY_LENGTH,
    FULLY_PRESENT,
    PARTIALLY_PRESENT,
    PLACE_SHIFT,
    PRESENT,
    RESERVED_MASK,
    STATE_MASK,
    UNDEFINED,
    UNMAPPED,
)
from ..format.headers import HEADER_SECTION_LENGTH
from ..format.metadata import MAX_VIRTUAL_DISK_SIZE
from ..ranges import Ranges, overlapping
from ..reading.image import Image
from ..records import NamedTuple
from ..units import MIB, ceil_div

# What tells classes apart besides the state, which is in the lowest bits of the entry and of the
# number of its class. All of them make one byte.
RESERVED = 1 << 3  # reserved bits are set
NO_PLACE = 1 << 4  # the place is 0
PAST_THE_END = 1 << 5  # a whole block does not fit between its place and the end of the file
TOO_FAR = 1 << 6  # no file of such a disk was ever long enough for its place
CUT = 1 << 7  # the last block, when the disk ends inside it

# A block in any of these states has a place, be it from former times.
OCCUPYING_STATES = (UNDEFINED, UNMAPPED, FULLY_PRESENT, PARTIALLY_PRESENT)

# No disk needs a longer file, in MiB: one of 64 TiB with its sector bitmaps and metadata.
LONGEST = (1 << 26) + (1 << 16)

# How many gaps between what is in a file are kept by place; others are only counted.
MOST_GAPS = 1024


class Bounds(NamedTuple):
    """How far from the start of the file blocks may lie; all in MiB but its length.

    Attributes:
        last_start: The last place at which the file holds a whole block; 0 when there is none.
        furthest_start: The last place at which a block could ever have been.
        end: The MiB after the last in which the file has anything.
        size: Length of the file in bytes.
    """

    last_start: int
    furthest_start: int
    end: int
    size: int


def bounds(image: Image) -> Bounds:
    """Return how far blocks of an image may lie."""
    size = image.source.size
    block_size = image.geometry.block_size
    return Bounds(
        max(0, size - block_size) // MIB,
        (furthest_end(image) - block_size) // MIB,
        ceil_div(size, MIB),
        size,
    )


def furthest_end(image: Image) -> int:
    """Return how long the file of such an image may ever have been, in bytes.

    That is the sum of everything that it may hold, the BAT being full: a disk that was made
    smaller has blocks where its larger one ended, and programs leave it the larger BAT.
    """
    geometry = image.geometry
    entries = image.regions.bat.length // ENTRY_LENGTH
    bitmaps = entries // (geometry.chunk_ratio + 1) + 1
    blocks = min(entries, ceil_div(MAX_VIRTUAL_DISK_SIZE, geometry.block_size))
    others = sum(other.end - other.start for other in image.occupied)
    return HEADER_SECTION_LENGTH + others + bitmaps * MIB + blocks * geometry.block_size


def class_of(entry: int, limits: Bounds) -> int:
    """Return the class of a payload entry."""
    place = entry >> PLACE_SHIFT
    return (
        entry & STATE_MASK
        | bool(entry & RESERVED_MASK) * RESERVED
        | (place == 0) * NO_PLACE
        | (place > limits.last_start) * PAST_THE_END
        | (place > limits.furthest_start) * TOO_FAR
    )


def is_stored(code: int) -> bool:
    """Tell whether the blocks of a class are stored, wholly or partly."""
    return code & STATE_MASK in (FULLY_PRESENT, PARTIALLY_PRESENT)


def is_past(code: int, *, is_child: bool) -> bool:
    """Tell whether the entries of a class say plainly that stored blocks are past the end."""
    is_plain = code & STATE_MASK == FULLY_PRESENT or (
        is_child and code & STATE_MASK == PARTIALLY_PRESENT
    )
    return is_plain and bool(code & PAST_THE_END) and not code & RESERVED


def occupies(entry: int, end: int) -> bool:
    """Tell whether a payload entry takes up a place that begins before a MiB of the file.

    Where it ends does not count: the last block may be cut, and a block of
    which only a part is there can overlap others with that.
    """
    return entry & STATE_MASK in OCCUPYING_STATES and 0 < entry >> PLACE_SHIFT < end


def is_bitmap_inside(entry: int, size: int) -> bool:
    """Tell whether the entry of a sector bitmap has a place for all of it in a file."""
    return entry & STATE_MASK == PRESENT and 0 < entry >> PLACE_SHIFT < size // MIB


def are_apart(ranges: Iterable[tuple[int, int]]) -> bool:
    """Tell whether no two of some ranges overlap."""
    return next(overlapping((start, end, None) for start, end in ranges), None) is None


class Sample(NamedTuple):
    """BAT entries that no rule tells apart.

    Attributes:
        total: How many there are.
        numbers: Numbers of some blocks among them in order, the first one included: of as many as
            are wanted, but for classes that no rule complains about.
        entries: Their entries.
    """

    total: int
    numbers: list[int]
    entries: list[int]


class Classes:
    """BAT entries, sorted into classes.

    Args:
        most: How many entries of a class to keep.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: dict[int, int] = {}
        self._samples: dict[int, tuple[list[int], list[int]]] = {}

    def add(self, code: int, count: int, numbers: Sequence[int], entries: Sequence[int]) -> None:
        """Add entries of a class, of which the first few may be named."""
        self._counts[code] = self._counts.get(code, 0) + count
        kept, kept_entries = self._samples.setdefault(code, ([], []))
        room = self._most - len(kept)
        kept += numbers[:room]
        kept_entries += entries[:room]

    def update(self, following: Classes) -> None:
        """Add the entries of the blocks after these."""
        for code, count in following._counts.items():
            self.add(code, count, *following._samples[code])

    def remove(self, code: int, number: int) -> None:
        """Take out one entry of a class, the last that was added."""
        if not self._counts.get(code):  # the file is no longer what it was when it was gone through
            return
        self._counts[code] -= 1
        kept, kept_entries = self._samples[code]
        if kept[-1:] == [number]:
            del kept[-1], kept_entries[-1]

    def __contains__(self, code: int) -> bool:
        """Tell whether there are entries of a class."""
        return code in self._samples

    def room(self, code: int) -> int:
        """Return how many more entries of a class may be named."""
        return self._most - len(self._samples[code][0]) if code in self._samples else self._most

    def samples(self) -> dict[int, Sample]:
        """Return the classes."""
        return {
            code: Sample(self._counts[code], *kept)
            for code, kept in self._samples.items()
            if self._counts[code]
        }


class Places(NamedTuple):
    """Some places in MiB, of which three things are remembered.

    Attributes:
        bits: The bits that are set in any of them.
        highest: The highest of them.
        inside: How many bytes there are from each to the end of the file, in all.
    """

    bits: int = 0
    highest: int = 0
    inside: int = 0

    @classmethod
    def of(cls, places: Iterable[int], limits: Bounds) -> Places:
        """Return what is remembered of some places."""
        kept = list(places)
        inside = sum(limits.size - place * MIB for place in kept if place < limits.end)
        return cls(reduce(or_, kept, 0), max(kept, default=0), inside)

    def and_more(self, other: Places) -> Places:
        """Return these and other places."""
        highest = max(self.highest, other.highest)
        return Places(self.bits | other.bits, highest, self.inside + other.inside)


class Gaps(NamedTuple):
    """What of a file nothing refers to; in MiB.

    Attributes:
        total: How much in all.
        first: Start and end of the first gaps.
        is_at_the_end: Whether the last MiB of the file, which may not be whole, is in a gap.
    """

    total: int
    first: list[tuple[int, int]]
    is_at_the_end: bool

    @classmethod
    def between(cls, taken: Iterable[tuple[int, int]], end: int) -> Gaps:
        """Return the gaps that some ranges leave.

        Args:
            taken: Start and end of what is referred to, in any order.
            end: The MiB after the last of the file.
        """
        return cls.of(Ranges(taken).gaps(0, end), end)

    @classmethod
    def of(cls, gaps: Iterable[tuple[int, int]], end: int) -> Gaps:
        """Return gaps that come in order.

        Args:
            gaps: Start and end of each.
            end: The MiB after the last of the file.
        """
        first: list[tuple[int, int]] = []
        total = stop = 0
        for start, stop in gaps:
            total += stop - start
            if len(first) < MOST_GAPS:
                first.append((start, stop))
        return cls(total, first, total > 0 and stop == end)

    def length(self, size: int) -> int:
        """Return how many bytes of a file of some length they are."""
        return self.total * MIB - (-size % MIB if self.is_at_the_end else 0)


class Survey(NamedTuple):
    """What a look at the whole BAT found.

    Attributes:
        limits: How far blocks may lie.
        payload: Entries of payload blocks by class.
        bitmaps: Entries of sector bitmaps that are not zero, by chunk.
        needy_chunks: Chunks with a partially present block.
        past: The places of stored blocks that are past the end of the file.
        pieces: Numbers and entries of the blocks that take part in some overlap; others may be
            among them.
        uncompared: How many blocks were not compared; 0 unless a great many overlap.
        gaps: What of the file nothing refers to; None when it is too long to tell.
    """

    limits: Bounds
    payload: dict[int, Sample]
    bitmaps: dict[int, int]
    needy_chunks: set[int]
    past: Places
    pieces: list[tuple[int, int]]
    uncompared: int
    gaps: Gaps | None

    @property
    def stored(self) -> int:
        """How many blocks are stored, wholly or partly."""
        return sum(sample.total for code, sample in self.payload.items() if is_stored(code))
