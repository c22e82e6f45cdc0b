"""The whole BAT, judged: states, bounds, and what overlaps what [MS-VHDX 2.5].

Reading takes one entry at a time and trusts it as far as `bat` does. Here all
of them are looked at, which may be 67 million, so they are sorted into the few
classes that a rule can tell apart; the rules are asked once for each class.
Overlaps are found exactly: with a byte for each MiB of the file, or by sorting
in a file that claims more length than its disk can need.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ..errors import Finding, Span, mismatch
from ..format import bat
from ..format.bat import (
    FULLY_PRESENT,
    NOT_PRESENT,
    OFFSET_MASK,
    PARTIALLY_PRESENT,
    RESERVED_MASK,
    STATE_MASK,
    UNDEFINED,
    UNMAPPED,
    ZERO,
)
from ..format.headers import HEADER_SECTION_LENGTH
from ..reading import bulk
from ..reading.image import Image
from ..storage.overlay import Overlay, Update
from ..units import MIB, ceil_div

# Places up to here, in MiB, have a byte each: a disk of 64 TiB, its sector bitmaps and
# metadata. Those further on are sorted, so many at a time.
_MAX_MAP = (1 << 26) + (1 << 16)
_MOST_SORTED = 1 << 23
_STEP = 1 << 16
# So many blocks that overlap something are looked at closely; the rest is counted.
_MAX_CROWDED = 1 << 15

Array = Any  # numpy's types would have to be imported for their names


class Sample(NamedTuple):
    """BAT entries that no rule tells apart.

    Attributes:
        total: How many there are.
        numbers: Numbers of the first blocks (or chunks) among them.
        entries: Their entries.
    """

    total: int
    numbers: list[int]
    entries: list[int]


class Piece(NamedTuple):
    """Something that takes up MiBs of the file.

    Attributes:
        start: First MiB.
        end: MiB behind it.
        kind: `payload block`, `sector bitmap` or `former block`.
        name: What it is called in messages.
        place: Where the file says so.
    """

    start: int
    end: int
    kind: str
    name: str
    place: Span


class Survey(NamedTuple):
    """What a look at the whole BAT found.

    Attributes:
        payload: Entries of payload blocks by class.
        bitmaps: Entries of sector bitmaps that are not all zero, with the number of the chunk.
        needy_chunks: Chunks with a partially present block.
        pieces: The places of blocks that take part in some overlap, and all others
            when there are few.
        stored: How many blocks are stored, wholly or partly.
        uncompared: How many blocks were not compared; 0 unless a great many overlap.
    """

    payload: dict[int, Sample]
    bitmaps: dict[int, int]
    needy_chunks: set[int]
    pieces: list[tuple[int, int]]
    stored: int
    uncompared: int


_PAST_THE_END = 1 << 5  # in the number of a class
_CUT_BLOCK = 1 << 6  # the class of the last block, when the disk ends inside it


def class_of(entry: int, last_start: int) -> int:
    """Return the class of a payload entry.

    Args:
        entry: The entry.
        last_start: The last MiB of the file at which a block may begin.
    """
    place = entry >> 20
    return (
        entry & STATE_MASK
        | bool(entry & RESERVED_MASK) << 3
        | (place == 0) << 4
        | (place > last_start) * _PAST_THE_END
    )


def _set_cut_block_apart(image: Image, classes: _Classes) -> None:
    """Put the last block into a class of its own when the disk ends inside it.

    The file need not hold all of it, so where it begins does not tell whether
    it is there.
    """
    geometry = image.geometry
    last = geometry.payload_blocks - 1
    needed = geometry.virtual_disk_size - last * geometry.block_size
    if needed == geometry.block_size:
        return
    entry = image.bat.entry(geometry.payload_index(last))
    classes.remove(class_of(entry, last_start(image)), last)
    is_lost = (entry & OFFSET_MASK) + needed > image.source.size
    code = _CUT_BLOCK | entry & STATE_MASK | is_lost * _PAST_THE_END
    classes.add(code, 1, [last], [entry])


def check_payload_entries(image: Image, survey: Survey, most: int) -> Iterator[tuple[Finding, int]]:
    """Yield what is wrong with the entries of payload blocks, and how many more are like each.

    Args:
        image: The image.
        survey: The look at its BAT.
        most: How many findings of a kind are wanted.
    """
    for sample in survey.payload.values():
        rest = sample.total - min(most, len(sample.numbers))
        for number, entry in zip(sample.numbers[:most], sample.entries, strict=False):
            for finding in _check_block(image, number, entry):
                yield finding, rest
            rest = 0


def _check_block(image: Image, block: int, entry: int) -> Iterator[Finding]:
    geometry = image.geometry
    start = block * geometry.block_size
    needed = min(geometry.block_size, geometry.virtual_disk_size - start)
    index = geometry.payload_index(block)
    place = bat.entry_span(image.regions.bat, index, f"BAT entry of block {block}")
    size = image.source.size
    yield from bat.check_payload_entry(
        entry, place, needed, size, is_differencing=geometry.is_differencing
    )
    offset, state = entry & OFFSET_MASK, entry & STATE_MASK
    if state in (NOT_PRESENT, ZERO) and offset:
        yield mismatch(
            "BAT-11", "note", place, "FileOffsetMB", f"{offset >> 20}", "0 in this state"
        )
    is_stored = state in (FULLY_PRESENT, PARTIALLY_PRESENT)
    if (
        is_stored
        and needed < geometry.block_size
        and offset + needed <= size < offset + geometry.block_size
    ):
        message = "the file ends inside the last block, behind what the disk needs of it"
        yield Finding("BLK-11", "note", place, message)


def check_sector_bitmap_entries(image: Image, survey: Survey) -> Iterator[Finding]:
    """Yield what is wrong with the entries of sector bitmaps [MS-VHDX 2.5.1.2]."""
    geometry = image.geometry
    for chunk in sorted(survey.bitmaps.keys() | survey.needy_chunks):
        entry = survey.bitmaps.get(chunk, 0)
        index = geometry.sector_bitmap_index(chunk)
        place = bat.entry_span(image.regions.bat, index, f"BAT entry of sector bitmap {chunk}")
        yield from bat.check_sector_bitmap_entry(
            entry,
            place,
            image.source.size,
            is_differencing=geometry.is_differencing,
            is_needed=chunk in survey.needy_chunks,
        )
        if entry & STATE_MASK == NOT_PRESENT and entry & OFFSET_MASK:
            actual = f"{entry >> 20}"
            yield mismatch("BAT-11", "note", place, "FileOffsetMB", actual, "0 in this state")


def check_allocated(image: Image, survey: Survey) -> Iterator[Finding]:
    """Yield what a fixed disk lacks of its blocks [MS-VHDX 2.6.2.1].

    Such a disk reads rightly, and some programs make theirs so.
    """
    geometry = image.geometry
    if image.metadata.disk_type != "fixed":
        return
    absent = [s for code, s in survey.payload.items() if code & STATE_MASK == NOT_PRESENT]
    if absent:
        block = min(sample.numbers[0] for sample in absent)
        index = geometry.payload_index(block)
        place = bat.entry_span(image.regions.bat, index, f"BAT entry of block {block}")
        count = f"{sum(sample.total for sample in absent)} of {geometry.payload_blocks}"
        name, expected = "NOT_PRESENT blocks of a fixed disk", "none, all space being kept"
        yield mismatch("ITEM-09", "note", place, name, count, expected)
    taken = sum(other.end - other.start for other in image.occupied)
    needed = HEADER_SECTION_LENGTH + taken + geometry.virtual_disk_size
    if image.source.size < needed:
        expected = f"at least {needed:#x} to keep all blocks of a fixed disk"
        place = Span("file", 0, image.file_size)
        yield mismatch("ITEM-10", "note", place, "length", f"{image.source.size:#x}", expected)


def check_bitmap_end(image: Image, survey: Survey) -> Iterator[Finding]:
    """Yield whether the last sector bitmap has bits for sectors that the disk has not."""
    geometry = image.geometry
    chunk = geometry.sector_bitmap_blocks - 1
    entry = survey.bitmaps.get(chunk, 0)
    offset = entry & OFFSET_MASK
    is_there = entry & STATE_MASK == bat.PRESENT and MIB <= offset <= image.source.size - MIB
    if not (geometry.is_differencing and is_there):
        return
    sectors = geometry.virtual_disk_size // geometry.logical_sector_size
    first = sectors - chunk * bat.SECTORS_PER_BITMAP
    bits = int.from_bytes(image.source.read(offset + first // 8, MIB - first // 8), "little")
    count = (bits >> first % 8).bit_count()
    if count:
        place = Span(f"sector bitmap {chunk} at {offset:#x}", offset + first // 8, MIB - first // 8)
        name = "bits for sectors behind the end of the disk"
        yield mismatch("BLK-10", "note", place, name, str(count), "none")


def check_logged_blocks(image: Image, most: int) -> Iterator[tuple[Finding, int]]:
    """Yield which stored blocks the log writes to, and how many more after the last.

    Payload is never logged. The space may have had another use when the entry
    was written, so this is no proof.

    Args:
        image: The image.
        most: How many findings are wanted.
    """
    if not isinstance(image.source, Overlay) or not image.source.updates:
        return
    blocks, total = _logged_blocks(image, image.source.updates, most)
    for number, (block, offset) in enumerate(blocks, 1):
        index = image.geometry.payload_index(block)
        place = bat.entry_span(image.regions.bat, index, f"BAT entry of block {block}")
        message = f"the log writes to block {block} at {offset:#x}, expected metadata only"
        yield Finding("LOG-42", "note", place, message), (number == most) * (total - most)


def _logged_blocks(
    image: Image, updates: Sequence[Update], most: int
) -> tuple[list[tuple[int, int]], int]:
    """Return the first blocks with logged bytes, with their places, and how many there are."""
    starts, ends = [update.start for update in updates], [update.end for update in updates]
    if image.geometry.entry_count >= bulk.WORTHWHILE_BLOCKS:
        return _logged_blocks_in_bulk(image, starts, ends, most)
    size = image.geometry.block_size
    found = []
    for first, entries in _plain_payload_entries(image):
        for block, entry in enumerate(entries, first):
            offset = entry & OFFSET_MASK
            if entry & STATE_MASK in (FULLY_PRESENT, PARTIALLY_PRESENT):
                at = bisect_right(ends, offset)
                if at < len(starts) and starts[at] < offset + size:
                    found.append((block, offset))
    return found[:most], len(found)


def _logged_blocks_in_bulk(
    image: Image, starts: list[int], ends: list[int], most: int
) -> tuple[list[tuple[int, int]], int]:
    import numpy

    geometry = image.geometry
    size = geometry.block_size
    begins = numpy.array(starts, numpy.int64)
    # Only blocks that begin in this range of MiBs can have logged bytes.
    low, high = max(starts[0] - size, 0) // MIB, ceil_div(ends[-1], MIB)
    found: list[tuple[int, int]] = []
    total = 0
    for first, entries, _ in bulk.chunks(image):
        place = entries >> numpy.uint64(20)
        is_near = (entries & STATE_MASK >= FULLY_PRESENT) & (place >= low) & (place < high)
        blocks = numpy.flatnonzero(is_near)
        offset = place[blocks].astype(numpy.int64) * MIB
        at = numpy.searchsorted(ends, offset, "right")
        hit = at < len(starts)
        hit[hit] = begins[at[hit]] < offset[hit] + size
        total += int(numpy.count_nonzero(hit))
        room = most - len(found)
        pairs = zip(blocks[hit][:room].tolist(), offset[hit][:room].tolist(), strict=True)
        found += [(first + block, place) for block, place in pairs]
    return found, total


def block_pieces(image: Image, survey: Survey) -> Iterator[Piece]:
    """Yield the places of blocks and sector bitmaps that a survey has kept."""
    geometry = image.geometry
    length = geometry.block_size // MIB
    for block, entry in survey.pieces:
        is_stored = entry & STATE_MASK in (FULLY_PRESENT, PARTIALLY_PRESENT)
        kind = "payload block" if is_stored else "former block"
        place = bat.entry_span(
            image.regions.bat, geometry.payload_index(block), f"BAT entry of block {block}"
        )
        start = entry >> 20
        yield Piece(start, start + length, kind, f"block {block}", place)
    yield from _bitmap_pieces(image, survey.bitmaps)


def _bitmap_pieces(image: Image, bitmaps: dict[int, int]) -> Iterator[Piece]:
    for chunk, entry in bitmaps.items():
        start = entry >> 20
        if entry & STATE_MASK == bat.PRESENT and 0 < start < image.source.size // MIB:
            index = image.geometry.sector_bitmap_index(chunk)
            place = bat.entry_span(image.regions.bat, index, f"BAT entry of sector bitmap {chunk}")
            yield Piece(start, start + 1, "sector bitmap", f"sector bitmap {chunk}", place)


def check_overlaps(image: Image, pieces: Iterable[Piece]) -> Iterator[Finding]:
    """Yield what blocks and sector bitmaps overlap: regions, the log, or each other.

    Regions and the log are compared with each other by `regions`.
    """
    in_order = sorted(pieces, key=lambda piece: (piece.start, piece.end))
    for piece in in_order:
        length = (piece.end - piece.start) * MIB
        found = bat.check_place(piece.start * MIB, length, image.occupied, piece.place)
        if piece.kind == "former block":
            yield from (finding._replace(rule="OVL-09") for finding in found)
        else:
            yield from found
    stored = [piece for piece in in_order if piece.kind != "former block"]
    for one, two in _overlapping_pairs(stored):
        yield _overlap("BAT-08" if one.start == two.start else "OVL-06", one, two)
    if len(stored) < len(in_order):
        for one, two in _overlapping_pairs(in_order):
            if "former block" in (one.kind, two.kind):
                yield _overlap("OVL-09", one, two)


def _overlapping_pairs(pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Piece]]:
    """Yield each piece that overlaps one before it, after that one; in the order of place."""
    furthest: Piece | None = None
    for piece in pieces:
        if furthest is not None and piece.start < furthest.end:
            yield furthest, piece
        if furthest is None or piece.end > furthest.end:
            furthest = piece


def _overlap(rule: str, one: Piece, two: Piece) -> Finding:
    message = (
        f"{two.name} at {two.start} to {two.end} MiB overlaps "
        f"{one.name} at {one.start} to {one.end} MiB"
    )
    return Finding(rule, "error", two.place, message)


def survey(image: Image, most: int) -> Survey:
    """Look at every entry of the BAT.

    Args:
        image: The image.
        most: How many entries of a class to keep.
    """
    if image.geometry.entry_count < bulk.WORTHWHILE_BLOCKS:
        return _survey_plainly(image, most)
    return _survey_in_bulk(image, most)


def last_start(image: Image) -> int:
    """Return the last MiB of the file at which a whole block may begin; 0 when none may."""
    return max(0, image.source.size - image.geometry.block_size) // MIB


def file_end(image: Image) -> int:
    """Return the MiB behind the last one in which the file has anything."""
    return ceil_div(image.source.size, MIB)


# A block in any of these has a place, be it from former times.
_OCCUPYING_STATES = (UNDEFINED, UNMAPPED, FULLY_PRESENT, PARTIALLY_PRESENT)


def occupies(entry: int, end: int) -> bool:
    """Tell whether a payload entry takes up a place that begins in front of a MiB of the file.

    Where it ends does not count: the last block may be cut, and a block of
    which only a part is there can overlap others with that.
    """
    return entry & STATE_MASK in _OCCUPYING_STATES and 0 < entry >> 20 < end


class _Classes:
    """BAT entries, sorted into classes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: dict[int, int] = {}
        self._samples: dict[int, tuple[list[int], list[int]]] = {}

    def add(self, code: int, count: int, numbers: list[int], entries: list[int]) -> None:
        """Add entries of a class, of which the first few may be named."""
        self._counts[code] = self._counts.get(code, 0) + count
        kept, kept_entries = self._samples.setdefault(code, ([], []))
        room = self._most - len(kept)
        kept += numbers[:room]
        kept_entries += entries[:room]

    def update(self, following: _Classes) -> None:
        """Add the entries of the blocks behind these."""
        for code, count in following._counts.items():
            self.add(code, count, *following._samples[code])

    def remove(self, code: int, number: int) -> None:
        """Take out one entry of a class, the last that was added."""
        self._counts[code] -= 1
        kept, kept_entries = self._samples[code]
        if kept[-1:] == [number]:
            del kept[-1], kept_entries[-1]

    def has_room(self, code: int) -> bool:
        """Tell whether more entries of a class are to be named."""
        return code not in self._samples or len(self._samples[code][0]) < self._most

    def samples(self) -> dict[int, Sample]:
        """Return the classes."""
        return {
            code: Sample(self._counts[code], *kept)
            for code, kept in self._samples.items()
            if self._counts[code]
        }


def _survey_plainly(image: Image, most: int) -> Survey:
    geometry = image.geometry
    limit, end = last_start(image), file_end(image)
    classes = _Classes(most)
    needy: set[int] = set()
    pieces: list[tuple[int, int]] = []
    stored = 0
    for first, entries in _plain_payload_entries(image):
        for block, entry in enumerate(entries, first):
            classes.add(class_of(entry, limit), 1, [block], [entry])
            state = entry & STATE_MASK
            if state in (FULLY_PRESENT, PARTIALLY_PRESENT):
                stored += 1
                if state == PARTIALLY_PRESENT and geometry.is_differencing:
                    needy.add(block // geometry.chunk_ratio)
            if occupies(entry, end):
                pieces.append((block, entry))
    _set_cut_block_apart(image, classes)
    return Survey(classes.samples(), _bitmap_entries(image), needy, pieces, stored, 0)


def _plain_payload_entries(image: Image) -> Iterator[tuple[int, array[int]]]:
    """Yield the payload entries of each chunk, with the number of the first block."""
    geometry = image.geometry
    for first in range(0, geometry.payload_blocks, geometry.chunk_ratio):
        count = min(geometry.chunk_ratio, geometry.payload_blocks - first)
        yield first, image.bat.numbers(geometry.payload_index(first), count)


def _bitmap_entries(image: Image) -> dict[int, int]:
    """Return the entries of sector bitmaps that are not zero, by chunk."""
    geometry = image.geometry
    has_last = geometry.is_differencing
    chunks = geometry.sector_bitmap_blocks - (not has_last)
    entries = (
        (chunk, image.bat.entry(geometry.sector_bitmap_index(chunk))) for chunk in range(chunks)
    )
    return {chunk: entry for chunk, entry in entries if entry}


def _survey_in_bulk(image: Image, most: int) -> Survey:
    import numpy

    geometry = image.geometry
    marks = numpy.zeros(min(file_end(image), _MAX_MAP) + geometry.block_size // MIB, numpy.uint8)
    tally = _tallied(image, most, marks)
    last = geometry.sector_bitmap_blocks - 1
    if geometry.is_differencing and last not in tally.bitmaps:  # it may be behind a part of a chunk
        entry = image.bat.entry(geometry.sector_bitmap_index(last))
        tally.bitmaps.update({last: entry} if entry else {})
    others = [(o.start // MIB, ceil_div(o.end, MIB)) for o in image.occupied]
    others += [(piece.start, piece.end) for piece in _bitmap_pieces(image, tally.bitmaps)]
    pieces, uncompared = _crowded_blocks(image, tally, marks, others)
    _set_cut_block_apart(image, tally.classes)
    samples = tally.classes.samples()
    return Survey(samples, tally.bitmaps, tally.needy, pieces, tally.stored, uncompared)


def _tallied(image: Image, most: int, marks: Array) -> _Tally:
    """Return the tally of a whole BAT, the halves of which are gone through at the same time.

    Marking takes most of the time, waits for memory, and lets other threads run.
    """
    from threading import Thread

    geometry = image.geometry
    middle = ceil_div(geometry.payload_blocks, 2 * geometry.chunk_ratio) * geometry.chunk_ratio
    halves = [_Tally(image, most, marks), _Tally(image, most, marks)]
    errors: list[BaseException] = []

    def run(tally: _Tally, first: int, end: int) -> None:
        try:
            for batch in bulk.chunks(image, first, end):
                tally.add(*batch)
        except BaseException as error:  # raised again by who waits for it
            errors.append(error)

    other = Thread(target=run, args=(halves[1], middle, geometry.payload_blocks))
    other.start()
    run(halves[0], 0, min(middle, geometry.payload_blocks))
    other.join()
    if errors:
        raise errors[0]
    return halves[0].joined(halves[1])


def _occupying(entries: Array, end: int) -> Array:
    """Return which payload entries take up a place that begins in front of a MiB of the file."""
    import numpy

    place = entries >> numpy.uint64(20)
    has_meaning = numpy.zeros(STATE_MASK + 1, bool)
    has_meaning[list(_OCCUPYING_STATES)] = True
    state = (entries & STATE_MASK).view(numpy.int64)
    return has_meaning[state] & (place > 0) & (place < end)


class _Tally:
    """Payload entries, counted by class, and a byte set for each MiB that they take up.

    Nearly all batches of a large BAT are of one kind: nothing stored, or all of
    it. Those are told by a few comparisons, and the others take their time.

    Args:
        image: The image.
        most: How many entries of a class to keep.
        marks: The bytes, which may be shared with other tallies: all set the same.

    Attributes:
        classes: The entries by class.
        bitmaps: Entries of sector bitmaps that are not zero, by chunk.
        needy: Chunks with a partially present block.
        stored: How many blocks are stored, wholly or partly.
        occupying: How many take up a place that begins inside the file.
        is_marked: Whether all of these were marked, and none is too far away.
    """

    def __init__(self, image: Image, most: int, marks: Array) -> None:
        self._image = image
        self._most = most
        self._marks = marks
        self._length = image.geometry.block_size // MIB
        self._limit = last_start(image)
        self._end = file_end(image)
        self.classes = _Classes(most)
        self.bitmaps: dict[int, int] = {}
        self.needy: set[int] = set()
        self.stored = 0
        self.occupying = 0
        self.is_marked = True

    def joined(self, following: _Tally) -> _Tally:
        """Return this tally with that of the blocks behind added to it."""
        self.classes.update(following.classes)
        self.bitmaps.update(following.bitmaps)
        self.needy |= following.needy
        self.stored += following.stored
        self.occupying += following.occupying
        self.is_marked &= following.is_marked
        return self

    def add(self, first: int, entries: Array, bitmap_entries: Array) -> None:
        """Count the entries of a range of blocks.

        Args:
            first: Number of the first block.
            entries: Their entries.
            bitmap_entries: Those of the sector bitmaps of the whole chunks among them.
        """
        geometry = self._image.geometry
        if not entries.any():
            self.classes.add(class_of(0, self._limit), len(entries), [first], [0])
        elif not (self._add_consecutive(first, entries) or self._add_stored(first, entries)):
            self._add_any(first, entries)
            if geometry.is_differencing:
                partial = ((entries & STATE_MASK) == PARTIALLY_PRESENT).nonzero()[0]
                self.needy.update(((partial + first) // geometry.chunk_ratio).tolist())
        for number in bitmap_entries.nonzero()[0].tolist():
            self.bitmaps[first // geometry.chunk_ratio + number] = int(bitmap_entries[number])

    def _add_consecutive(self, first: int, entries: Array) -> bool:
        """Count blocks that follow each other in the file as well; False when they do not."""
        start, end = int(entries[0]), int(entries[-1])
        step = self._length << 20
        if end - start != step * (len(entries) - 1) or not self._is_plain(start, end):
            return False
        if ((entries[1:] - entries[:-1]) != step).any():
            return False
        self._count_stored(first, entries)
        if self._has_room(end):
            self._marks[start >> 20 : (end >> 20) + self._length] = 1
        return True

    def _add_stored(self, first: int, entries: Array) -> bool:
        """Count blocks that are all stored, in any order; False when they are not."""
        low_bits = OFFSET_MASK & 2**64 - 1 ^ 2**64 - 1
        if ((entries & low_bits) != FULLY_PRESENT).any():
            return False
        if not self._is_plain(int(entries.min()), int(entries.max())):
            return False
        self._count_stored(first, entries)
        self._mark(entries)
        return True

    def _is_plain(self, low: int, high: int) -> bool:
        return (
            low & (STATE_MASK | RESERVED_MASK) == FULLY_PRESENT
            and low >= MIB
            and high >> 20 <= self._limit
        )

    def _count_stored(self, first: int, entries: Array) -> None:
        self.classes.add(FULLY_PRESENT, len(entries), [first], [int(entries[0])])
        self.stored += len(entries)
        self.occupying += len(entries)

    def _add_any(self, first: int, entries: Array) -> None:
        import numpy

        state = entries & STATE_MASK
        place = entries >> numpy.uint64(20)
        code = state.astype(numpy.uint8)
        code |= ((entries & RESERVED_MASK) != 0).view(numpy.uint8) << 3
        code |= (place == 0).view(numpy.uint8) << 4
        code |= (place > self._limit).view(numpy.uint8) << 5
        counts = numpy.bincount(code, minlength=64)
        for kind in numpy.flatnonzero(counts).tolist():
            room = self._most if self.classes.has_room(kind) else 0
            at = numpy.flatnonzero(code == kind)[:room]
            self.classes.add(kind, int(counts[kind]), (at + first).tolist(), entries[at].tolist())
        self.stored += int(numpy.count_nonzero(state >= FULLY_PRESENT))
        occupying = entries[_occupying(entries, self._end)]
        self.occupying += len(occupying)
        self._mark(occupying)

    def _mark(self, entries: Array) -> None:
        import numpy

        if len(entries) and self._has_room(int(entries.max())):
            starts = (entries >> numpy.uint64(20)).view(numpy.int64)
            for step in range(self._length):
                self._marks[starts + step if step else starts] = 1

    def _has_room(self, highest: int) -> bool:
        """Tell whether the bytes reach to an entry's block, or note that they do not."""
        self.is_marked &= (highest >> 20) + self._length <= len(self._marks)
        return self.is_marked


def _crowded_blocks(
    image: Image, tally: _Tally, marks: Array, others: list[tuple[int, int]]
) -> tuple[list[tuple[int, int]], int]:
    """Return blocks that overlap something, with their entries, and how many more may do.

    Args:
        image: The image.
        tally: The tally of its BAT.
        marks: A byte for each MiB of the file, set where the tally has blocks; it is used up.
        others: First MiB, and the MiB behind it, of what else takes up the file.
    """
    import numpy

    if tally.is_marked:
        taken = tally.occupying * (image.geometry.block_size // MIB)
        is_clear = int(numpy.count_nonzero(marks)) == taken
        if is_clear and not any(marks[start:end].any() for start, end in others):
            return [], 0
        _count_places(image, marks, others)
        found, rest = _foremost(_blocks_at_marks(image, marks))
    else:
        marks.resize(0, refcheck=False)
        places, rest = _crowded_places(image, tally.occupying, others)
        found, more = _foremost(_blocks_at(image, places))
        rest += more
    index = image.geometry.payload_index
    return [(block, image.bat.entry(index(block))) for block in found.tolist()], rest


def _places(image: Image) -> Iterator[tuple[Array, Array]]:
    """Yield numbers and places of the blocks that take up a place inside the file."""
    import numpy

    end = file_end(image)
    for first, entries, _ in bulk.chunks(image):
        wanted = numpy.flatnonzero(_occupying(entries, end))
        yield wanted + first, (entries[wanted] >> numpy.uint64(20)).view(numpy.int64)


def _count_places(image: Image, marks: Array, others: list[tuple[int, int]]) -> None:
    """Set each byte to how much takes up that MiB of the file: 0, 1, or 2 for more."""
    import numpy

    marks[:] = 0
    for start, end in others:
        marks[start:end] = numpy.minimum(marks[start:end] + 1, 2)
    for _, place in _places(image):
        place = numpy.sort(place.astype(numpy.uint32))  # quicker than sorting wider numbers
        for step in range(image.geometry.block_size // MIB):
            taken = (place + step).astype(numpy.int64)
            marks[taken] = numpy.minimum(marks[taken] + 1, 2)
            marks[taken[1:][taken[1:] == taken[:-1]]] = 2


def _blocks_at_marks(image: Image, marks: Array) -> Iterator[tuple[Array, Array]]:
    """Yield numbers and places of the blocks at places that are taken twice."""
    import numpy

    for blocks, place in _places(image):
        crowded = numpy.zeros(len(place), bool)
        for step in range(image.geometry.block_size // MIB):
            crowded |= marks[place + step] > 1
        yield blocks[crowded], place[crowded]


def _crowded_places(
    image: Image, occupying: int, others: list[tuple[int, int]]
) -> tuple[Array, int]:
    """Return places of blocks that overlap something, in order, in a file of any length.

    Each pass over the BAT takes the next few million places in the order of the
    file and sorts them. It ends when enough are found.

    Args:
        image: The image.
        occupying: How many blocks take up a place.
        others: First MiB, and the MiB behind it, of what else takes up the file.

    Returns:
        The places, and how many blocks were not compared.
    """
    import numpy

    length = image.geometry.block_size // MIB
    begins, ends = numpy.array(others, numpy.int64).T
    found = numpy.empty(0, numpy.int64)
    buffer = numpy.empty(1 + _MOST_SORTED, numpy.int64)
    buffer[0] = -length  # the last place of the pass before; a block there ends at 0
    while occupying > 0 and len(found) < _MAX_CROWDED:
        count, shared = _next_places(image, buffer)
        if not count:
            break
        occupying -= count
        places = buffer[: count + 1]
        parts = [found, numpy.array(shared, numpy.int64)]
        for at in range(0, count, _STEP):
            part = places[at : at + _STEP + 1]
            near = numpy.diff(part) < length
            parts += [part[:-1][near], part[1:][near]]
        low, high = places.searchsorted(begins - length, "right"), places.searchsorted(ends)
        parts += [places[a:b][:_MAX_CROWDED] for a, b in zip(low, high, strict=True) if a < b]
        found = numpy.unique(numpy.concatenate(parts))
        buffer[0] = places[-1]
    return found[found > 0], max(0, occupying) if len(found) >= _MAX_CROWDED else 0


def _next_places(image: Image, buffer: Array) -> tuple[int, list[int]]:
    """Put the least places behind that in front of a buffer into it, in order.

    Returns:
        How many, and some of them that several blocks have: those of which not
        all had room.
    """
    kept, highest, shared = 0, (1 << 44), []
    room = buffer[1:]
    for _, place in _places(image):
        new = place[(place > buffer[0]) & (place <= highest)]
        while len(new):
            count = min(len(new), len(room) - kept)
            room[kept : kept + count] = new[:count]
            kept, new = kept + count, new[count:]
            if kept == len(room):
                kept //= 2
                room.partition(kept)
                highest = int(room[:kept].max())
                if int(room[kept:].min()) == highest:
                    shared.append(highest)
                new = new[new <= highest]
    room[:kept].sort()
    return kept, shared


def _blocks_at(image: Image, places: Array) -> Iterator[tuple[Array, Array]]:
    """Yield numbers and places of the blocks at some places, which are in order."""
    if not len(places):
        return
    for blocks, place in _places(image):
        at = places.searchsorted(place)
        at[at == len(places)] = 0
        is_there = places[at] == place
        yield blocks[is_there], place[is_there]


def _foremost(batches: Iterator[tuple[Array, Array]]) -> tuple[Array, int]:
    """Return the blocks, those in front in the file when there are many, and how many are left."""
    import numpy

    found = numpy.empty((2, 0), numpy.int64)
    rest = 0
    for batch in batches:
        found = numpy.concatenate((found, batch), axis=1)
        if found.shape[1] > _MAX_CROWDED:
            rest += found.shape[1] - _MAX_CROWDED
            found = found[:, numpy.argpartition(found[1], _MAX_CROWDED)[:_MAX_CROWDED]]
    return found[0], rest


class Loss(NamedTuple):
    """What of a disk lies behind the end of its file.

    Attributes:
        blocks: Stored blocks that do, wholly or partly.
        length: Bytes of the disk in them.
        bitmaps: Sector bitmaps that do.
    """

    blocks: int
    length: int
    bitmaps: int


def behind_the_end(image: Image, survey: Survey) -> Loss:
    """Return what is lost because the file is too short."""
    geometry, size = image.geometry, image.source.size
    blocks = length = 0
    for code, sample in survey.payload.items():
        if code & STATE_MASK >= FULLY_PRESENT and code & _PAST_THE_END:
            blocks += sample.total
            length += sample.total * geometry.block_size
            if code & _CUT_BLOCK:
                length -= geometry.payload_blocks * geometry.block_size
                length += geometry.virtual_disk_size
    bitmaps = sum(
        entry & STATE_MASK == bat.PRESENT and (entry & OFFSET_MASK) + MIB > size
        for entry in survey.bitmaps.values()
    )
    return Loss(blocks, length, bitmaps if geometry.is_differencing else 0)


def shifted_pages(image: Image, survey: Survey) -> list[int]:
    """Return file offsets of BAT pages whose entries look moved by one.

    QEMU before 8.0 does that when it updates the first entry of a page of
    4 KiB: the others follow it one place late, and the last is lost. What
    gives it away is a sector bitmap's entry that holds a block's, with the
    empty one of the sector bitmap behind it, or a block's entry behind the
    last of the BAT.
    """
    geometry = image.geometry
    if geometry.is_differencing:
        return []
    pages = set()
    for chunk, entry in survey.bitmaps.items():
        index = geometry.sector_bitmap_index(chunk)
        within = index % bat.PAGE_ENTRIES
        has_next = within < bat.PAGE_ENTRIES - 1 and index + 1 < geometry.entry_count
        is_block = entry & STATE_MASK == FULLY_PRESENT and within > 0
        if is_block and has_next and image.bat.entry(index + 1) == 0:
            pages.add(index - within)
    if _is_last_pushed_out(image):
        pages.add(geometry.entry_count - geometry.entry_count % bat.PAGE_ENTRIES)
    return [image.regions.bat.file_offset + first * bat.ENTRY_LENGTH for first in sorted(pages)]


def _is_last_pushed_out(image: Image) -> bool:
    """Tell whether the entry of a block stands where the BAT's last would be moved to.

    Only in files made by QEMU: other programs may leave such an entry when
    they make a disk smaller, which QEMU cannot do.
    """
    count = image.geometry.entry_count
    within = count % bat.PAGE_ENTRIES
    rest = image.bat.unused(bat.PAGE_ENTRIES - within)
    if within == 0 or not rest or any(rest[1:]) or not (image.creator or "").startswith("QEMU"):
        return False
    is_stored = rest[0] & (STATE_MASK | RESERVED_MASK) == FULLY_PRESENT
    is_inside = 0 < rest[0] >> 20 <= last_start(image)
    return is_stored and is_inside and rest[0] not in image.bat.numbers(count - within, within)


def check_shift(image: Image) -> Iterator[Finding]:
    """Yield whether a block's entry was pushed out of the BAT, with what it stood for."""
    if not image.geometry.is_differencing and _is_last_pushed_out(image):
        count = image.geometry.entry_count
        place = bat.entry_span(image.regions.bat, count, "entry behind the last of the BAT")
        message = "the entry of a stored block, expected 0; the page looks shifted by one entry"
        yield Finding("BAT-15", "warning", place, message)
