"""What one image of a chain has of a range of the disk, block by block and sector by sector.

Each look at the block allocation table and at sector bitmaps judges what was asked
for and nothing else. Nothing is invented: what an image should say and does not is
refused [MS-VHDX 2.4, 2.5].
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from ..errors import Finding, FormatError, TruncatedError, VhdxError, refuse
from ..format import bat
from ..format.bat import (
    FULLY_PRESENT,
    LARGE_PAGE_MASK,
    LARGE_PAGE_SHIFT,
    NOT_PRESENT,
    OFFSET_MASK,
    PARTIALLY_PRESENT,
    RESERVED_MASK,
    RESERVED_STATES,
    SECTORS_PER_BITMAP,
    STATE_MASK,
    STATE_NAMES,
    UNMAPPED,
)
from ..records import NamedTuple
from ..storage.source import FileSource, Source, Uncopied
from ..units import MIB
from .image import Image

# Places of what is not in the file of an image: it is the parent's, or zeros. The first
# has all bits set, as masks have.
PARENTS, ZEROS = -1, -2
# The place of a piece that its layer has yet to look up.
UNRESOLVED = -3
# The first of the places of what is lost, one for each rule because of which that may be.
LOST = -4
LOST_RULES = (
    "BAT-02",
    "BAT-03",
    "BAT-04",
    "BAT-05",
    "BAT-07",
    "BAT-09",
    "BAT-10",
    "OVL-05",
    "OVL-08",
    "CHAIN-10",
)

# Virtual start and end, the layer it comes from, the state of its block, and its
# file offset or one of the places above. A tuple, because they are made by the million.
Piece = tuple[int, int, "Layer", int, int]

# Where bytes come from: their source, None for zeros, and what has to be added to
# a virtual offset to get the file offset. When a local file has them, it comes first,
# to be read without the detour through the source.
Origin = tuple[FileSource | None, int, Source | None]
FROM_NOWHERE: Origin = (None, 0, None)

# Pieces in order: where each starts and the last one ends, counted from the start of
# the range that they make up; and where their bytes come from, one fewer.
Pieces = tuple[Sequence[int], Sequence[Origin]]

# What `Layer.block_finder` says of a block that reads as zeros, and of one to be looked at
# more closely.
BLOCK_OF_ZEROS, UNKNOWN_BLOCK = -1, 0

# A look-up stops at this many.
_MANY_PIECES = 1 << 10

# Bits of a sector bitmap that are looked at as one number.
_MANY_BITS = 4096

# Blocks from which on it pays to look for a run of equal entries.
_LONG_RUN = 8

# Of more, it is quicker to look at the number as text.
_FEW_CHANGES = 64

_LOW_BITS = STATE_MASK | RESERVED_MASK


def place_of_lost(rule: str) -> int:
    """Return the place of what is lost because of a rule."""
    return LOST - LOST_RULES.index(rule)


_PAST_THE_END = place_of_lost("BAT-10")
ORPHANED = place_of_lost("CHAIN-10")  # what belongs to a parent that cannot be had


class MissingParent(NamedTuple):
    """A parent that cannot be had.

    Attributes:
        finding: Why, as a finding about its child.
        is_zero: Whether its ranges read as zeros; they are lost otherwise.
        error: What would have been raised.
    """

    finding: Finding
    is_zero: bool
    error: Exception

    @property
    def place(self) -> int:
        """The place of its ranges."""
        return ZEROS if self.is_zero else ORPHANED


class Layer(Uncopied):
    """One image of a chain, ready to resolve ranges of the disk.

    Attributes:
        image: The image.
        depth: Its index in the chain.
        parent: The layer of its parent; None when there is none, or it was not opened.
        size: Bytes of the virtual disk that it describes.
        source: Its file after log replay.
        file: The local file that its blocks are in; None when there is none, or
            when the log changes something after all structures.
        has_parent: Whether it has one, opened or not.
        missing: Its parent, when that cannot be had and the caller puts up with it.
    """

    def __init__(
        self, image: Image, depth: int, parent: Layer | None, missing: MissingParent | None = None
    ) -> None:
        geometry = image.geometry
        self.image = image
        self.depth = depth
        self.parent = parent
        self.missing = missing
        self.size = geometry.virtual_disk_size
        self.source = image.source
        self.has_parent = geometry.is_differencing
        self._block_size = geometry.block_size
        self._block_shift = geometry.block_size.bit_length() - 1
        self._ratio_shift = geometry.chunk_ratio.bit_length() - 1
        self._sector_shift = geometry.logical_sector_size.bit_length() - 1
        # Log and regions do not overlap, so their ends are in order, too.
        occupied = sorted(image.occupied)
        self._occupied_starts = [other.start for other in occupied]
        self._occupied_ends = [other.end for other in occupied]
        self._free_from = self._occupied_ends[-1]
        self.file = self.source.local_file(self._free_from, self.source.size)

    def look_up(self, start: int, end: int, pieces: list[Piece]) -> int:
        """Append what this image has of a range, in order, and return where it stopped.

        Ranges of the parent are left as they are, for the parent to look up. It
        stops early when there are many pieces, so that they take little memory.
        What is wrong makes a lost piece.

        Args:
            start: Virtual offset in bytes.
            end: Virtual offset after the range, not past the end of the disk.
            pieces: Where to append them.
        """
        shift = self._block_shift
        while start < end and len(pieces) < _MANY_PIECES:
            block = start >> shift
            stop = min(end, (block + 1) << shift)
            try:
                entry = self._entry(start, stop)
                state = entry & STATE_MASK
                position = (entry & OFFSET_MASK) + start - (block << shift)
                if state == PARTIALLY_PRESENT:
                    stop = self._look_up_partial(start, stop, entry, pieces)
            except FormatError as error:
                start = self._append_lost(start, stop, error, pieces)
                continue
            if state == FULLY_PRESENT:
                pieces.append((start, stop, self, state, position))
            elif state != PARTIALLY_PRESENT:
                if end - stop >= _LONG_RUN << shift:
                    stop = min(end, self._run_end(block, entry) << shift)
                if state == NOT_PRESENT and self.has_parent:
                    self._append_parent(start, stop, pieces)
                else:
                    pieces.append((start, stop, self, state, ZEROS))
            start = stop
        return start

    def _entry(self, start: int, stop: int) -> int:
        """Return the BAT entry of the block in which a range lies, good enough for that range.

        Of a partially present block, some of which may be its parent's, that says
        nothing about whether the file is long enough.
        """
        block = start >> self._block_shift
        entry = self.image.bat.entry(block + (block >> self._ratio_shift))
        state = entry & STATE_MASK
        if state in (FULLY_PRESENT, PARTIALLY_PRESENT):
            offset = entry & OFFSET_MASK
            needed = stop - (block << self._block_shift)
            if (
                entry & RESERVED_MASK
                or (offset < self._free_from and not self._is_free(offset, self._block_size))
                or (state == PARTIALLY_PRESENT and not self.has_parent)
            ):
                self._refuse_bad_entry(block, entry, needed)
            if state == FULLY_PRESENT and offset + needed > self.source.size:
                self._refuse_bad_entry(block, entry, needed)
        elif entry & RESERVED_MASK or state not in STATE_NAMES:
            self._refuse_bad_entry(block, entry, 0)
        return entry

    def _append_lost(self, start: int, stop: int, error: FormatError, pieces: list[Piece]) -> int:
        """Append what is wrong with a range that lies in one block, and return its end.

        Args:
            start: Virtual offset in bytes.
            stop: Virtual offset after the range.
            error: What is wrong with it.
            pieces: Where to append.

        Raises:
            FormatError: The BAT itself cannot be read any more.
        """
        if error.finding.rule not in LOST_RULES:
            raise error
        block = start >> self._block_shift
        entry = self.image.bat.entry(block + (block >> self._ratio_shift))
        end_in_file = (block << self._block_shift) + self.source.size - (entry & OFFSET_MASK)
        if start < end_in_file < stop:  # the bytes that are there are in order, perhaps
            return self.look_up(start, end_in_file, pieces)
        state = entry & STATE_MASK
        if state not in STATE_NAMES:
            state = RESERVED_STATES[0]
        pieces.append((start, stop, self, state, place_of_lost(error.finding.rule)))
        return stop

    def why_lost(self, start: int, end: int, place: int) -> Finding:
        """Return what is wrong with the start of a lost piece of this layer.

        Args:
            start: Virtual offset in bytes.
            end: Virtual offset after the piece.
            place: Its place, one of those above.
        """
        if place == ORPHANED:
            assert self.missing is not None
            return self.missing.finding
        shift = self._block_shift
        block = start >> shift
        stop = min(end, (block + 1) << shift)
        try:
            entry = self._entry(start, stop)
            if entry & STATE_MASK == PARTIALLY_PRESENT:
                self._bitmap_offset(block >> self._ratio_shift)
            self._refuse_bad_entry(block, entry, stop - (block << shift))
        except FormatError as error:
            return error.finding
        span = bat.entry_span(
            self.image.regions.bat,
            self.image.geometry.payload_index(block),
            f"BAT entry of block {block}",
        )
        return Finding("GEN-07", "error", span, "it was another one a moment ago")

    def block_finder(self) -> tuple[Callable[[int], int], Callable[[], None]]:
        """Return a function that says where in a local file a block begins, if it is wholly there.

        It is for disks with many blocks, each of which is asked for once: it looks
        them up in pages of the table that it keeps, and does little else. It
        returns `BLOCK_OF_ZEROS` for a block of zeros, and `UNKNOWN_BLOCK` for one that
        is not wholly on the disk, or not to be read as a whole, or that has to be
        looked at more closely.

        Returns:
            That function, and another one after whose call it knows no block any more.
        """
        file, free_from = self.file, self._free_from
        if file is None or self.has_parent:
            return lambda _block: UNKNOWN_BLOCK, lambda: None
        pages: dict[int, array[int]] = {}
        get_page, ratio_shift = pages.get, self._ratio_shift
        bat_entry = self.image.bat.entry_in_large_page
        last_offset = file.size - self._block_size
        whole_blocks = self.size >> self._block_shift

        def find(block: int) -> int:
            if not 0 <= block < whole_blocks:
                return UNKNOWN_BLOCK
            index = block + (block >> ratio_shift)
            page = get_page(index >> LARGE_PAGE_SHIFT)
            try:
                entry = page[index & LARGE_PAGE_MASK] if page else bat_entry(index, pages)
            except TruncatedError:
                return UNKNOWN_BLOCK
            low_bits = entry & _LOW_BITS
            if low_bits == FULLY_PRESENT:
                offset = entry - FULLY_PRESENT
                return offset if free_from <= offset <= last_offset else UNKNOWN_BLOCK
            return BLOCK_OF_ZEROS if low_bits <= UNMAPPED else UNKNOWN_BLOCK

        def forget() -> None:
            nonlocal whole_blocks
            whole_blocks = 0
            pages.clear()

        return find, forget

    def _is_free(self, offset: int, length: int) -> bool:
        """Tell whether a range before the last region is free, and after the headers."""
        following = bisect_right(self._occupied_ends, offset)
        return offset >= MIB and self._occupied_starts[following] >= offset + length

    def _run_end(self, block: int, entry: int) -> int:
        """Return the block after those of this chunk that have the same entry as this one."""
        ratio = 1 << self._ratio_shift
        index = block + (block >> self._ratio_shift)
        last = min((block | ratio - 1) + 1, self.image.geometry.payload_blocks)
        limit = index + last - block
        pattern = entry.to_bytes(bat.ENTRY_LENGTH, "little")
        at, step = index + 1, _LONG_RUN
        while at < limit and step:
            count = min(step, limit - at)
            if self.image.bat.raw(at, count) == pattern * count:
                at += count
                step *= _LONG_RUN
            else:  # it ends among these
                step = count // _LONG_RUN
        return block + at - index

    def _append_parent(self, start: int, end: int, pieces: list[Piece]) -> None:
        parent = self.parent
        if parent is None:
            place = PARENTS if self.missing is None else self.missing.place
            pieces.append((start, end, self, NOT_PRESENT, place))
            return
        inside = min(end, parent.size)
        if start < inside:
            pieces.append((start, inside, parent, NOT_PRESENT, UNRESOLVED))
        if inside < end:  # what is past a parent's end reads as zeros (CHAIN-04)
            pieces.append((max(start, inside), end, self, NOT_PRESENT, ZEROS))

    def _look_up_partial(self, start: int, end: int, entry: int, pieces: list[Piece]) -> int:
        """Append the first pieces of a range of a partially present block; return their end.

        The file may have been cut inside the block: what was after that is lost,
        unless it is the parent's.
        """
        stop = min(end, start + (_MANY_BITS << self._sector_shift))
        to_position = (entry & OFFSET_MASK) - (start >> self._block_shift << self._block_shift)
        file_end = self.source.size - to_position
        is_here, changes = self._changes(start, stop)
        for low, high in pairwise(
            [start, *self.offsets(start - self.in_sector(start), changes), stop]
        ):
            if is_here:
                inside = min(high, max(low, file_end))
                if low < inside:
                    pieces.append((low, inside, self, PARTIALLY_PRESENT, to_position + low))
                if inside < high:
                    pieces.append((inside, high, self, PARTIALLY_PRESENT, _PAST_THE_END))
            else:
                self._append_parent(low, high, pieces)
            is_here = not is_here
        return stop

    def at_once(self, start: int, end: int) -> tuple[int, Origin, bool, int]:
        """Return what this image has of a range that lies in one block.

        Returns:
            The state of the block; where what of it is in this file comes from; for a
            partially present block whether its first sector is, and where that
            changes, as `_changes` says it.
        """
        entry = self._entry(start, end)
        state = entry & STATE_MASK
        distance = (entry & OFFSET_MASK) - (start >> self._block_shift << self._block_shift)
        if state == PARTIALLY_PRESENT and end + distance > self.source.size:
            block = start >> self._block_shift
            self._refuse_bad_entry(block, entry, end - (block << self._block_shift))
        origin = self.origin(distance, start, end)
        is_here, changes = self._changes(start, end) if state == PARTIALLY_PRESENT else (True, 0)
        return state, origin, is_here, changes

    def origin(self, distance: int, start: int, end: int) -> Origin:
        """Return where the bytes of a range come from that is in this file, by their distance."""
        return self.source.local_file(start + distance, end + distance), distance, self.source

    def _changes(self, start: int, end: int) -> tuple[bool, int]:
        """Return which sectors of a range of a partially present block are in this file.

        That is said by whether the first one is, and by a number whose bit n is
        set where sector n of the range differs from the next one in that. Bits of
        the sector bitmap itself count from the least significant one, too; 1
        stands for a sector in this file [MS-VHDX 2.4].
        """
        shift = self._sector_shift
        first = start >> shift
        count = (end - 1 >> shift) - first + 1
        bitmap = self._bitmap_offset(start >> self._block_shift + self._ratio_shift)
        low, skipped = divmod(first % SECTORS_PER_BITMAP, 8)
        data = self.source.read(bitmap + low, skipped + count + 7 >> 3)
        bits = int.from_bytes(data, "little") >> skipped
        return bool(bits & 1), (bits ^ bits >> 1) & (1 << count - 1) - 1

    def in_sector(self, offset: int) -> int:
        """Return how far a virtual offset is past the start of its sector."""
        return offset & (1 << self._sector_shift) - 1

    def offsets(self, first: int, changes: int) -> list[int]:
        """Return where the changes in a range are, given the offset of its first sector."""
        shift = self._sector_shift
        offsets = []
        if changes.bit_count() <= _FEW_CHANGES:
            while changes:
                sectors = changes.bit_length()
                offsets.append(first + (sectors << shift))
                changes ^= 1 << sectors - 1
            offsets.reverse()
        else:
            sectors = 0
            for zeros in bin(changes)[:1:-1].split("1")[:-1]:  # sectors in order
                sectors += len(zeros) + 1
                offsets.append(first + (sectors << shift))
        return offsets

    def _bitmap_offset(self, chunk: int) -> int:
        """Return the file offset of a chunk's sector bitmap."""
        index = self.image.geometry.sector_bitmap_index(chunk)
        entry = self.image.bat.entry(index)
        offset = entry & OFFSET_MASK
        if (
            entry & (STATE_MASK | RESERVED_MASK) != bat.PRESENT
            or (offset < self._free_from and not self._is_free(offset, MIB))
            or offset + MIB > self.source.size
        ):
            region = self.image.regions.bat
            place = bat.entry_span(region, index, f"BAT entry of sector bitmap {chunk}")
            self._refuse(
                bat.check_sector_bitmap_entry(
                    entry, place, self.source.size, is_differencing=True, is_needed=True
                )
            )
            self._refuse(bat.check_place(offset, MIB, self.image.occupied, place))
        return offset

    def _refuse_bad_entry(self, block: int, entry: int, needed: int) -> None:
        """Raise what is wrong with an entry."""
        image = self.image
        index = image.geometry.payload_index(block)
        place = bat.entry_span(image.regions.bat, index, f"BAT entry of block {block}")
        self._refuse(
            bat.check_payload_entry(
                entry, place, needed, self.source.size, is_differencing=self.has_parent
            )
        )
        offset = entry & OFFSET_MASK
        self._refuse(bat.check_place(offset, self._block_size, image.occupied, place))

    def refuse_sharing(self, start: int, end: int) -> None:
        """Raise when too many chunks of a range of the disk have one sector bitmap.

        Raises:
            LimitError: They have.
        """
        if self.has_parent and start < end:
            shift = self._block_shift + self._ratio_shift
            chunks = start >> shift, (end - 1 >> shift) + 1
            self._refuse(bat.check_sharing(self.image.bat, *chunks))

    def _refuse(self, findings: Iterable[Finding]) -> None:
        try:
            refuse(findings)
        except VhdxError as error:
            error.path = self.image.path
            raise
