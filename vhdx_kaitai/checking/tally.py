"""The whole BAT of a large disk, with numpy: entries counted by class, and what they take up.

Nearly all batches of a large BAT are of a few kinds: all entries the same, blocks that follow each
other in the file, blocks and absent ones mixed. Those are told by some comparisons, cheap ones
first; the others take their time. What a batch looks like only decides how it is counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread

import numpy

from ..format.bat import (
    ENTRY_LENGTH,
    FULLY_PRESENT,
    NOT_PRESENT,
    PARTIALLY_PRESENT,
    PLACE_SHIFT,
    RESERVED_MASK,
    STATE_MASK,
    UNDEFINED,
    UNMAPPED,
    ZERO,
)
from ..reading.image import Image
from ..reading.runs import let_memory_be_reused
from ..records import TYPE_CHECKING, NamedTuple
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

_LOW_BITS = STATE_MASK | RESERVED_MASK  # of an entry: all but its place
_PLACE_SHIFT = numpy.uint64(PLACE_SHIFT)


class Batch(NamedTuple):
    """Entries that follow each other, good until the next batch is asked for.

    Attributes:
        first: Number of the first payload block, which begins a chunk.
        entries: Entries as the BAT has them, those of sector bitmaps among them.
        bitmaps: The entries of sector bitmaps.
        chunk_ratio: Payload blocks of a chunk, after each of which comes one of these.
    """

    first: int
    entries: Entries
    bitmaps: Entries
    chunk_ratio: int

    def payload(self) -> Entries:
        """Return a copy of the entries of payload blocks."""
        return numpy.delete(self.entries, slice(self.chunk_ratio, None, self.chunk_ratio + 1))


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
        yield Batch(start, entries, entries[ratio :: ratio + 1], ratio)


def _fill(image: Image, entries: Entries, index: int) -> None:
    """Read entries; those in a hole of the file are zero without being read."""
    start = image.regions.bat.file_offset + index * ENTRY_LENGTH
    end = start + len(entries) * ENTRY_LENGTH
    file = image.source.local_file(start, end)
    if file is not None and file.hole_end(start, end) == end:
        entries.fill(0)
    else:
        image.bat.readinto(entries.data.cast("B"), index)


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
    marks = numpy.zeros(min(limits.end, classes.LONGEST) + 1, numpy.uint8)
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
        if batch.bitmaps.any():
            first = batch.first // batch.chunk_ratio
            for number in batch.bitmaps.nonzero()[0].tolist():
                self.bitmaps[first + number] = int(batch.bitmaps[number])
            entries, bitmaps = batch.payload(), 0
        else:  # they look like those of absent blocks, so the batch need not be copied
            entries, bitmaps = batch.entries, len(batch.bitmaps)
        part = _Part(batch, entries, bitmaps)
        if not (self._add_same(part) or self._add_run(part) or self._add_plain(part)):
            self._add_any(batch.first, batch.payload() if bitmaps else entries)

    def add_last_bitmap(self) -> None:
        """Count the entry of the last sector bitmap, which may stand after a part of a chunk."""
        geometry = self._image.geometry
        last = geometry.sector_bitmap_blocks - 1
        if geometry.is_differencing and last not in self.bitmaps:
            entry = self._image.bat.entry(geometry.sector_bitmap_index(last))
            self.bitmaps |= {last: entry} if entry else {}

    def _add_same(self, part: _Part) -> bool:
        """Count entries that are all the same and have no place; False when they are not so."""
        entry = int(part.entries[0])
        is_partial = entry & STATE_MASK == PARTIALLY_PRESENT
        if entry != int(part.entries[part.last]) or entry > _LOW_BITS or is_partial:
            return False
        same = int(numpy.count_nonzero(part.entries == entry))
        if same != len(part.entries) - (part.bitmaps if entry else 0):
            return False
        named = range(part.first, part.first + min(part.count, self._most))
        code = classes.class_of(entry, self._limits)
        self.by_class.add(code, part.count, named, [entry] * len(named))
        return True

    def _add_run(self, part: _Part) -> bool:
        """Count blocks that follow each other in the file as well; False when they do not."""
        entries = part.entries
        low, high = int(entries[0]), int(entries[part.last])
        step = self._length << PLACE_SHIFT
        is_plain = low & _LOW_BITS == FULLY_PRESENT and self._is_inside(low, high)
        if not is_plain or high - low != step * (part.count - 1):
            return False
        before, after = part.around_bitmaps()
        follows = int(numpy.count_nonzero(entries[1:] - entries[:-1] == step))
        if follows != part.count - 1 - len(after) or ((after - before) != step).any():
            return False
        self.by_class.add(FULLY_PRESENT, part.count, [part.first], [low])
        self._add_range(low >> PLACE_SHIFT, (high >> PLACE_SHIFT) + self._length)
        return True

    def _is_inside(self, low: int, high: int) -> bool:
        return low > _LOW_BITS and high >> PLACE_SHIFT <= self._limits.last_start

    def _add_range(self, start: int, end: int) -> None:
        if self.runs and self.runs[-1][1] == start:
            start, _ = self.runs.pop()
        self.runs.append((start, end))

    def _add_plain(self, part: _Part) -> bool:
        """Count stored blocks and absent ones in any order; False when an entry is odd.

        No rule complains about any of them, so it is enough to name one of a class.
        """
        low_bits = part.entries & _LOW_BITS
        is_stored = low_bits == FULLY_PRESENT
        partial = low_bits == PARTIALLY_PRESENT if self._is_child else None
        if partial is not None:
            is_stored |= partial
        places = places_of(part.entries)
        if ((places > 0) != is_stored).any() or int(places.max()) > self._limits.last_start:
            return False
        stored = int(numpy.count_nonzero(is_stored))
        counts = part.absent_states(len(part.entries) - stored)
        if counts is None:
            return False
        partly = 0 if partial is None else int(numpy.count_nonzero(partial))
        if partial is not None and partly:
            self.needy.update(part.chunks_with(partial))
        counts[FULLY_PRESENT], counts[PARTIALLY_PRESENT] = stored - partly, partly
        for state, count in counts.items():
            code = state | (classes.NO_PLACE if state < FULLY_PRESENT else 0)
            if count and code not in self.by_class:
                at = int((low_bits == state).argmax())
                self.by_class.add(code, count, [part.block(at)], [int(part.entries[at])])
            elif count:
                self.by_class.add(code, count, [], [])
        self._mark(places, stored)
        return True

    def _add_any(self, first: int, entries: Entries) -> None:
        """Count entries of all kinds, from a block on."""
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
            at = numpy.flatnonzero(code == kind)[: self.by_class.room(kind)]
            numbers = (at + first).tolist()
            self.by_class.add(kind, int(counts[kind]), numbers, entries[at].tolist())
            if classes.is_past(kind, is_child=self._is_child):
                past = place[code == kind]
                bits = int(numpy.bitwise_or.reduce(past))
                begun = past[past < self._limits.end]
                inside = len(begun) * self._limits.size - int(begun.sum()) * MIB
                self.past = self.past.and_more(Places(bits, int(past.max()), inside))
        if self._is_child:
            partial = numpy.flatnonzero(state == PARTIALLY_PRESENT) + first
            self.needy.update((partial // self._chunk_ratio).tolist())
        taken = entries[occupying(entries, self._limits.end)]
        if len(taken):
            self._mark(places_of(taken), len(taken))

    def _mark(self, places: Numbers, count: int) -> None:
        """Set the bytes where blocks begin; those without a place set the first one."""
        self.marked += count
        self.is_marked &= int(places.max()) < len(self.marks)
        if self.is_marked:
            self.marks[places] = 1


class _Part:
    """The entries of a batch: of payload blocks alone, or with empty ones of sector bitmaps.

    Attributes:
        first: Number of the first payload block.
        entries: The entries.
        bitmaps: How many of them are those of sector bitmaps, all 0.
        count: How many payload blocks there are.
        last: Index of the last entry of a payload block.
    """

    def __init__(self, batch: Batch, entries: Entries, bitmaps: int) -> None:
        self.first = batch.first
        self.entries = entries
        self.bitmaps = bitmaps
        self.count = len(entries) - bitmaps
        # From one chunk to the next; a batch without sector bitmaps may be a part of a chunk.
        self._step = batch.chunk_ratio + bool(bitmaps)
        self._chunk_ratio = batch.chunk_ratio
        self.last = len(entries) - 1 - (bitmaps > 0 and len(entries) % self._step == 0)

    def block(self, index: int) -> int:
        """Return the number of the block that an entry is about."""
        return self.first + index - (index // self._step if self.bitmaps else 0)

    def around_bitmaps(self) -> tuple[Entries, Entries]:
        """Return the entries of the blocks before and after the sector bitmaps."""
        if not self.bitmaps:
            return self.entries[:0], self.entries[:0]
        after = self.entries[self._step :: self._step]
        before = self.entries[self._chunk_ratio - 1 :: self._step]
        return before[: len(after)], after

    def chunks_with(self, is_chosen: NDArray[numpy.bool_]) -> list[int]:
        """Return the chunks in which some entries are chosen."""
        starts = numpy.arange(0, len(is_chosen), self._step)
        chosen = numpy.logical_or.reduceat(is_chosen, starts).nonzero()[0]
        chunks: list[int] = (chosen + self.first // self._chunk_ratio).tolist()
        return chunks

    def absent_states(self, count: int) -> dict[int, int] | None:
        """Return how many blocks have each state of those that are not stored.

        Args:
            count: How many entries are not those of stored blocks; they have no place.

        Returns:
            Counts by state; None when some of these entries hold anything else.
        """
        counts = {}
        for state in (NOT_PRESENT, ZERO, UNMAPPED, UNDEFINED):
            if count:
                found = int(numpy.count_nonzero(self.entries == state))
                counts[state] = found - (self.bitmaps if state == NOT_PRESENT else 0)
                count -= found
        return None if count else counts
