"""The whole BAT of a large disk, with numpy: entries counted by class, and what they take up.

Nearly all batches of a large BAT are of a few kinds: all entries the same, blocks that follow each
other in the file, blocks and absent ones mixed. Those are told by some comparisons, cheap ones
first; the others take their time. What a batch looks like only decides how it is counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

import numpy

from ..format.bat import (
    ENTRY_LENGTH,
    FULLY_PRESENT,
    NOT_PRESENT,
    PARTIALLY_PRESENT,
    RESERVED_MASK,
    STATE_MASK,
    UNDEFINED,
    UNMAPPED,
    ZERO,
)
from ..reading.image import Image
from ..units import MIB, ceil_div
from . import classes
from .classes import Bounds, Classes, Places

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Entries = NDArray[numpy.uint64]
    Numbers = NDArray[numpy.int64]
    Marks = NDArray[numpy.uint8]

# Payload blocks in a batch, whose entries and what is made of them stay in the processor's cache.
_BATCH = 1 << 16

# Places up to here, in MiB, have a byte each: a disk of 64 TiB, its sector bitmaps and metadata.
_MAX_MARKS = (1 << 26) + (1 << 16)

_LOW_BITS = MIB - 1  # of an entry: all but its place
_PLACE_SHIFT = numpy.uint64(20)


class Batch(NamedTuple):
    """Entries that follow each other, good until the next batch is asked for.

    Attributes:
        first: Number of the first payload block.
        payload: Entries of payload blocks: a row for each of some whole chunks, or a single one
            for a part of a chunk.
        bitmaps: The entry of the sector bitmap of each whole chunk.
    """

    first: int
    payload: Entries
    bitmaps: Entries


def batches(image: Image, first: int = 0, end: int | None = None) -> Iterator[Batch]:
    """Yield the entries of payload blocks.

    Args:
        image: The image.
        first: Number of the first block, which begins a chunk.
        end: Number of the block after the last; None for all there are.
    """
    let_memory_be_reused()
    geometry = image.geometry
    ratio = geometry.chunk_ratio
    end = geometry.payload_blocks if end is None else end
    step = max(1, _BATCH // ratio) * ratio
    buffer = numpy.empty(step // ratio * (ratio + 1), "<u8")
    for start in range(first, end, step):
        stop = min(end, start + step)
        index = geometry.payload_index(start)
        # A whole chunk at the end of the step comes with its sector bitmap's entry.
        entries = buffer[: min(geometry.payload_index(stop), geometry.entry_count) - index]
        _fill(image, entries, index)
        chunks = len(entries) // (ratio + 1)
        table = entries[: chunks * (ratio + 1)].reshape(chunks, ratio + 1)
        if chunks:
            yield Batch(start, table[:, :ratio], table[:, ratio])
        rest = entries[chunks * (ratio + 1) :]
        if len(rest):
            yield Batch(start + chunks * ratio, rest.reshape(1, -1), table[:0, ratio])


def _fill(image: Image, entries: Entries, index: int) -> None:
    """Read entries; those in a hole of the file are zero without being read."""
    start = image.regions.bat.file_offset + index * ENTRY_LENGTH
    end = start + len(entries) * ENTRY_LENGTH
    file = image.source.local_file(start, end)
    if file is not None and file.hole_end(start, end) == end:
        entries.fill(0)
    else:
        image.bat.readinto(entries.data.cast("B"), index)


def let_memory_be_reused() -> None:
    """Make the C library keep what is freed for the arrays that follow.

    Glibc hands pieces of some size back to the system, which has to clear them
    when they are asked for again: a third of all the time. It keeps them when it
    has seen a larger one come and go. That one is never touched, so it takes no
    memory.
    """
    numpy.empty(8 * MIB, "u1")


def occupying(entries: Entries, end: int) -> NDArray[numpy.bool_]:
    """Return which payload entries take up a place that begins before a MiB of the file."""
    place = entries >> _PLACE_SHIFT
    has_meaning = numpy.zeros(STATE_MASK + 1, bool)
    has_meaning[list(classes.OCCUPYING_STATES)] = True
    state = (entries & STATE_MASK).view(numpy.int64)
    taken: NDArray[numpy.bool_] = has_meaning[state] & (place > 0) & (place < end)
    return taken


def places_of(entries: Entries) -> Numbers:
    """Return the places of entries in MiB."""
    return (entries >> _PLACE_SHIFT).view(numpy.int64)


def tally(image: Image, limits: Bounds, most: int) -> Tally:
    """Return the tally of a whole BAT, the halves of which are gone through at the same time.

    Marking takes much of the time, waits for memory, and lets other threads run.

    Args:
        image: The image.
        limits: How far its blocks may lie.
        most: How many entries of a class to keep.
    """
    geometry = image.geometry
    marks = numpy.zeros(min(limits.end, _MAX_MARKS) + 1, numpy.uint8)
    middle = ceil_div(geometry.payload_blocks, 2 * geometry.chunk_ratio) * geometry.chunk_ratio
    halves = [Tally(image, limits, most, marks), Tally(image, limits, most, marks)]
    errors: list[BaseException] = []

    def run(half: Tally, first: int, end: int) -> None:
        try:
            for batch in batches(image, first, end):
                half.add(batch)
        except BaseException as error:  # raised again by who waits for it
            errors.append(error)

    other = Thread(target=run, args=(halves[1], middle, geometry.payload_blocks))
    other.start()
    run(halves[0], 0, min(middle, geometry.payload_blocks))
    other.join()
    if errors:
        raise errors[0]
    whole = halves[0].joined(halves[1])
    whole.add_last_bitmap()
    return whole


class Tally:
    """Payload entries, counted by class, and where the blocks begin that take up a place.

    Args:
        image: The image.
        limits: How far its blocks may lie.
        most: How many entries of a class to keep.
        marks: A byte for each MiB of the file, which may be shared with another tally.

    Attributes:
        by_class: The entries by class.
        bitmaps: Entries of sector bitmaps that are not zero, by chunk.
        needy: Chunks with a partially present block.
        past: Places of stored blocks past the end of the file.
        runs: Start and end in MiB of blocks that follow each other, and are not marked.
        marks: The bytes: 1 where a block begins. The first one means nothing.
        marked: How many blocks were marked, some perhaps in one place.
        is_marked: Whether there is a byte for each of them.
    """

    def __init__(self, image: Image, limits: Bounds, most: int, marks: Marks) -> None:
        self._image = image
        self._limits = limits
        self._most = most
        self._length = image.geometry.block_size // MIB
        self._chunk_ratio = image.geometry.chunk_ratio
        self._is_child = image.geometry.is_differencing
        self.by_class = Classes(most)
        self.bitmaps: dict[int, int] = {}
        self.needy: set[int] = set()
        self.past = Places()
        self.runs: list[tuple[int, int]] = []
        self.marks = marks
        self.marked = 0
        self.is_marked = True

    def joined(self, following: Tally) -> Tally:
        """Return this tally with that of the blocks after its own added to it."""
        self.by_class.update(following.by_class)
        self.bitmaps.update(following.bitmaps)
        self.needy |= following.needy
        self.past = self.past.and_more(following.past)
        for run in following.runs:
            self._add_range(*run)
        self.marked += following.marked
        self.is_marked &= following.is_marked
        return self

    def add(self, batch: Batch) -> None:
        """Count the entries of a batch."""
        if not self._add_run(batch):
            low, high = int(batch.payload.min()), int(batch.payload.max())
            is_counted = self._add_same(batch, low, high) or self._add_plain(batch, low, high)
            if not is_counted:
                self._add_any(batch)
        first = batch.first // self._image.geometry.chunk_ratio
        for number in batch.bitmaps.nonzero()[0].tolist():
            self.bitmaps[first + number] = int(batch.bitmaps[number])

    def add_last_bitmap(self) -> None:
        """Count the entry of the last sector bitmap, which may stand after a part of a chunk."""
        geometry = self._image.geometry
        last = geometry.sector_bitmap_blocks - 1
        if geometry.is_differencing and last not in self.bitmaps:
            entry = self._image.bat.entry(geometry.sector_bitmap_index(last))
            self.bitmaps |= {last: entry} if entry else {}

    def _add_run(self, batch: Batch) -> bool:
        """Count blocks that follow each other in the file as well; False when they do not."""
        entries = batch.payload
        low, high = int(entries[0, 0]), int(entries[-1, -1])
        step = self._length << 20
        is_plain = low & _LOW_BITS == FULLY_PRESENT and self._is_inside(low, high)
        if not is_plain or high - low != step * (entries.size - 1):
            return False
        if ((entries[:, 1:] - entries[:, :-1]) != step).any():
            return False
        if ((entries[1:, 0] - entries[:-1, -1]) != step).any():
            return False
        self._count(low, entries.size, batch.first)
        self._add_range(low >> 20, (high >> 20) + self._length)
        return True

    def _is_inside(self, low: int, high: int) -> bool:
        return low >= MIB and high >> 20 <= self._limits.last_start

    def _add_range(self, start: int, end: int) -> None:
        if self.runs and self.runs[-1][1] == start:
            start, _ = self.runs.pop()
        self.runs.append((start, end))

    def _count(self, entry: int, count: int, first: int) -> None:
        """Count entries of the class of one, from a block on."""
        named = range(first, first + min(count, self._most))
        code = classes.class_of(entry, self._limits)
        self.by_class.add(code, count, named, [entry] * len(named))

    def _add_same(self, batch: Batch, low: int, high: int) -> bool:
        """Count entries that are all the same and have no place; False when they are not so."""
        if low != high or low >= MIB or low & STATE_MASK == PARTIALLY_PRESENT:
            return False
        self._count(low, batch.payload.size, batch.first)
        return True

    def _add_plain(self, batch: Batch, low: int, high: int) -> bool:
        """Count stored blocks and absent ones in any order; False when an entry is odd."""
        entries = batch.payload
        if not self._is_inside(MIB, high):
            return False
        state = entries & _LOW_BITS
        partial = state == PARTIALLY_PRESENT if self._is_child else None
        stored = state & ~numpy.uint64(1) if self._is_child else state
        absent = entries.size - int(numpy.count_nonzero(stored == FULLY_PRESENT))
        counts = self._absent(entries, absent) if absent else {} if low >= MIB else None
        if counts is None:
            return False
        counts[PARTIALLY_PRESENT] = 0
        if partial is not None:
            counts[PARTIALLY_PRESENT] = int(numpy.count_nonzero(partial))
            chunks = partial.any(axis=1).nonzero()[0] + batch.first // self._chunk_ratio
            self.needy.update(chunks.tolist())
        counts[FULLY_PRESENT] = entries.size - absent - counts[PARTIALLY_PRESENT]
        for kind, count in counts.items():
            code = kind | (classes.NO_PLACE if kind < FULLY_PRESENT else 0)
            if count:  # no rule complains about any of them, so one is enough
                named = [] if code in self.by_class else [int((state == kind).argmax())]
                numbers = [batch.first + at for at in named]
                self.by_class.add(code, count, numbers, [int(entries.flat[at]) for at in named])
        self._mark(entries, entries.size - absent, high)
        return True

    @staticmethod
    def _absent(entries: Entries, count: int) -> dict[int, int] | None:
        """Return how many entries have each of the states of blocks that are not stored.

        They are nothing but that state, and all others have a place; None when it is not so.

        Args:
            entries: The entries.
            count: How many are not stored.
        """
        if int(numpy.count_nonzero(entries < MIB)) != count:
            return None
        counts = {}
        for state in (NOT_PRESENT, ZERO, UNMAPPED, UNDEFINED):
            if count:
                counts[state] = int(numpy.count_nonzero(entries == state))
                count -= counts[state]
        return None if count else counts

    def _add_any(self, batch: Batch) -> None:
        """Count entries of all kinds."""
        entries = batch.payload.reshape(-1)
        state = entries & STATE_MASK
        place = entries >> _PLACE_SHIFT
        code = state.astype(numpy.uint8)
        for flag, is_set in (
            (classes.RESERVED, (entries & RESERVED_MASK) != 0),
            (classes.NO_PLACE, place == 0),
            (classes.PAST_THE_END, place > self._limits.last_start),
            (classes.TOO_FAR, place > self._limits.furthest_start),
        ):
            code |= is_set.view(numpy.uint8) * numpy.uint8(flag)
        counts = numpy.bincount(code, minlength=256)
        for kind in numpy.flatnonzero(counts).tolist():
            room = self._most if self.by_class.has_room(kind) else 0
            at = numpy.flatnonzero(code == kind)[:room]
            numbers = (at + batch.first).tolist()
            self.by_class.add(kind, int(counts[kind]), numbers, entries[at].tolist())
            if classes.is_past(kind, is_child=self._is_child):
                past = place[code == kind]
                bits = int(numpy.bitwise_or.reduce(past))
                self.past = self.past.and_more(Places(bits, int(past.max())))
        if self._is_child:
            partial = numpy.flatnonzero(state == PARTIALLY_PRESENT) + batch.first
            self.needy.update((partial // self._chunk_ratio).tolist())
        taken = entries[occupying(entries, self._limits.end)]
        if len(taken):
            self._mark(taken, len(taken), int(taken.max()))

    def _mark(self, entries: Entries, count: int, highest: int) -> None:
        """Set the bytes where blocks begin; entries without a place set the first one."""
        self.marked += count
        self.is_marked &= highest >> 20 < len(self.marks)
        if self.is_marked:
            self.marks[places_of(entries)] = 1
