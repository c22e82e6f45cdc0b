"""The block allocation table: chunk arithmetic, entries, states.

The BAT of a 64 TiB disk with blocks of 1 MiB takes 513 MiB, so it is never read
as a whole: entries come one by one, or from pages of 4 KiB in a small cache. Payload and
sector bitmap entries are interleaved in the same way for fixed, dynamic and
differencing disks [MS-VHDX 2.5].
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Sequence
from functools import reduce
from operator import and_

from ..errors import Finding, Span, mismatch
from ..ranges import overlap
from ..records import TYPE_CHECKING, NamedTuple
from ..storage.source import Source, Uncopied
from ..text import counted
from ..units import MIB, ceil_div
from .place import Place, length_of, mask_of
from .structures import RegionEntry

if TYPE_CHECKING:
    from .metadata import Metadata

SECTORS_PER_BITMAP = MIB * 8  # a sector bitmap block has one bit per sector [MS-VHDX 2.4]

# Chunks that may have one sector bitmap when runs of sectors are listed: ours.
MAX_SHARING = 16

# Decoding of an entry [MS-VHDX 2.5.1]; the compiled grammar does it at a hundredth of
# the speed. FileOffsetMB takes the upper bits, so they alone are an offset in bytes.
ENTRY_LENGTH = length_of("payload_bat_entry")
STATE_MASK = mask_of("payload_bat_entry", "state")
RESERVED_MASK = mask_of("payload_bat_entry", "reserved")
OFFSET_MASK = ~(STATE_MASK | RESERVED_MASK)
PLACE_SHIFT = (STATE_MASK | RESERVED_MASK).bit_length()  # leaves FileOffsetMB, the place in MiB

# Payload block states [MS-VHDX 2.5.1.1]; PRESENT is also that of a sector bitmap [2.5.1.2].
NOT_PRESENT, UNDEFINED, ZERO, UNMAPPED = 0, 1, 2, 3
FULLY_PRESENT, PARTIALLY_PRESENT = 6, 7
PRESENT = FULLY_PRESENT

STATE_NAMES = {
    NOT_PRESENT: "not_present",
    UNDEFINED: "undefined",
    ZERO: "zero",
    UNMAPPED: "unmapped",
    FULLY_PRESENT: "fully_present",
    PARTIALLY_PRESENT: "partially_present",
}

# States that the text reserves, and what a block is called that is in one of them.
RESERVED_STATES = (4, 5)
RESERVED_STATE = "reserved"

# A page is read and kept when a second one of its entries is asked for. Who goes
# through the table pays one system call a page, who jumps about in a large one
# eight bytes a look-up. All pages that are kept take a quarter of a MiB.
PAGE_SHIFT = 9
PAGE_ENTRIES = 1 << PAGE_SHIFT
_KEPT_PAGES = 64
_ASKED_ONCE: array[int] = array("Q")

# Pages of 64 KiB for random reads, 8 MiB of them.
LARGE_PAGE_SHIFT = 13
LARGE_PAGE_MASK = (1 << LARGE_PAGE_SHIFT) - 1
_KEPT_LARGE_PAGES = 128


class Geometry(NamedTuple):
    """The sizes that fix the shape of the BAT, judged; in bytes.

    Attributes:
        virtual_disk_size: Size of the disk.
        block_size: Size of a payload block.
        logical_sector_size: Size of a sector.
        is_differencing: Whether the disk has a parent.
    """

    virtual_disk_size: int
    block_size: int
    logical_sector_size: int
    is_differencing: bool

    @classmethod
    def of(cls, found: Metadata) -> Geometry:
        """Return the sizes that metadata says."""
        return cls(
            found.virtual_disk_size,
            found.block_size,
            found.logical_sector_size,
            found.disk_type == "differencing",
        )

    @property
    def chunk_ratio(self) -> int:
        """Payload blocks that one sector bitmap block describes, from 16 to 32768."""
        return SECTORS_PER_BITMAP * self.logical_sector_size // self.block_size

    @property
    def payload_blocks(self) -> int:
        """Payload blocks of the disk."""
        return ceil_div(self.virtual_disk_size, self.block_size)

    @property
    def sector_bitmap_blocks(self) -> int:
        """Chunks of the disk, each with a place for a sector bitmap."""
        return ceil_div(self.payload_blocks, self.chunk_ratio)

    @property
    def entry_count(self) -> int:
        """Entries of the BAT; only a differencing disk has the last chunk's bitmap entry."""
        if self.is_differencing:
            return self.sector_bitmap_blocks * (self.chunk_ratio + 1)
        return self.payload_blocks + (self.payload_blocks - 1) // self.chunk_ratio

    def payload_index(self, block: int) -> int:
        """Return which entry of the BAT is that of a payload block."""
        return block + block // self.chunk_ratio

    def sector_bitmap_index(self, chunk: int) -> int:
        """Return which entry of the BAT is that of a chunk's sector bitmap."""
        return chunk * (self.chunk_ratio + 1) + self.chunk_ratio


def check_size(geometry: Geometry, region: RegionEntry) -> Iterator[Finding]:
    """Yield whether the BAT region is too small for the disk."""
    needed = geometry.entry_count * ENTRY_LENGTH
    if region.length < needed:
        place = Place("BAT region", "region_table_entry", region.file_offset)
        expected = f"at least {needed:#x} for {geometry.entry_count} entries"
        yield mismatch("BAT-01", "error", place, "Length", f"{region.length:#x}", expected)


def entry_span(region: RegionEntry, index: int, name: str) -> Span:
    """Return the place of an entry of the BAT."""
    offset = region.file_offset + index * ENTRY_LENGTH
    return Span(f"{name} at {offset:#x}", offset, ENTRY_LENGTH)


def check_payload_entry(
    entry: int, place: Span, needed: int, size: int, *, is_differencing: bool
) -> Iterator[Finding]:
    """Yield what is wrong with the BAT entry of a payload block [MS-VHDX 2.5.1.1].

    Args:
        entry: The entry.
        place: Where it is.
        needed: Bytes of the block that the file has to hold.
        size: Length of the file in bytes.
        is_differencing: Whether the disk has a parent.
    """
    state = entry & STATE_MASK
    yield from _check_reserved(entry, place)
    if state not in STATE_NAMES:
        yield mismatch("BAT-03", "error", place, "State", str(state), "0, 1, 2, 3, 6 or 7")
    if state == PARTIALLY_PRESENT and not is_differencing:
        actual = "PARTIALLY_PRESENT"
        yield mismatch("BAT-05", "error", place, "State", actual, "another one, without a parent")
    if state in (FULLY_PRESENT, PARTIALLY_PRESENT):
        yield from _check_offset(entry, place, needed, size)
    if state in (UNDEFINED, UNMAPPED):
        yield from _check_kept(entry, place, needed, size)
    if state in (NOT_PRESENT, ZERO):
        yield from _check_no_offset(entry, place)


def check_end_of_disk(
    entry: int, place: Span, needed: int, size: int, *, block_size: int
) -> Iterator[Finding]:
    """Yield whether the file lacks the part of a stored block that the disk does not need.

    Args:
        entry: The BAT entry of the block.
        place: Where it is.
        needed: Bytes of the block that the file has to hold.
        size: Length of the file in bytes.
        block_size: Bytes of a block.
    """
    offset = entry & OFFSET_MASK
    is_stored = entry & STATE_MASK in (FULLY_PRESENT, PARTIALLY_PRESENT)
    if is_stored and needed < block_size and offset + needed <= size < offset + block_size:
        message = "the file ends inside the last block, past what the disk needs of it"
        yield Finding("BLK-11", "note", place, message)


def check_sector_bitmap_entry(
    entry: int, place: Span, size: int, *, is_differencing: bool, is_needed: bool
) -> Iterator[Finding]:
    """Yield what is wrong with the BAT entry of a sector bitmap block [MS-VHDX 2.5.1.2].

    Args:
        entry: The entry.
        place: Where it is.
        size: Length of the file in bytes.
        is_differencing: Whether the disk has a parent.
        is_needed: Whether a block of the chunk is partially present.
    """
    state = entry & STATE_MASK
    yield from _check_reserved(entry, place)
    if state not in (NOT_PRESENT, PRESENT):
        yield mismatch("BAT-04", "error", place, "State", str(state), "0 or 6")
    elif state == PRESENT and not is_differencing:
        yield mismatch("BAT-06", "error", place, "State", "PRESENT", "NOT_PRESENT without a parent")
    elif state == NOT_PRESENT and is_needed:
        expected = "PRESENT, because a block of the chunk is PARTIALLY_PRESENT"
        yield mismatch("BAT-07", "error", place, "State", "NOT_PRESENT", expected)
    if state == PRESENT:
        yield from _check_offset(entry, place, MIB, size)
    if state == NOT_PRESENT:
        yield from _check_no_offset(entry, place)


class Occupied(NamedTuple):
    """A part of the file that is no place for blocks.

    Attributes:
        start: File offset of its first byte.
        end: File offset after its last byte.
        rule: What a block there breaks.
        name: What it is called in messages.
    """

    start: int
    end: int
    rule: str
    name: str


def check_place(
    offset: int, length: int, occupied: Sequence[Occupied], place: Span
) -> Iterator[Finding]:
    """Yield which regions or log a block or sector bitmap lies over.

    Args:
        offset: File offset of the block in bytes.
        length: Its length in bytes.
        occupied: What else is in the file.
        place: Where the entry of the block is.
    """
    for other in occupied:
        if overlap((offset, offset + length), (other.start, other.end)):
            message = (
                f"block at {offset:#x} to {offset + length:#x} overlaps {other.name} "
                f"at {other.start:#x} to {other.end:#x}"
            )
            yield Finding(other.rule, "error", place, message)


def _check_reserved(entry: int, place: Span) -> Iterator[Finding]:
    if entry & RESERVED_MASK:
        actual = f"{(entry & RESERVED_MASK) >> 3:#x}"
        yield mismatch("BAT-02", "error", place, "Reserved", actual, "0")


def _check_offset(entry: int, place: Span, needed: int, size: int) -> Iterator[Finding]:
    offset = entry & OFFSET_MASK
    if offset < MIB:
        yield mismatch("BAT-09", "error", place, "FileOffsetMB", "0", "at least 1")
    elif offset + needed > size:
        actual, expected = f"{offset + needed:#x}", f"at most the file's length {size:#x}"
        yield mismatch("BAT-10", "error", place, "end of the needed bytes", actual, expected)


def _check_kept(entry: int, place: Span, needed: int, size: int) -> Iterator[Finding]:
    """Yield whether the place that a block without data keeps is past the end of the file."""
    end = (entry & OFFSET_MASK) + needed
    if entry & OFFSET_MASK and end > size:
        name, expected = "end of the space it keeps", f"at most the file's length {size:#x}"
        yield mismatch("BAT-12", "warning", place, name, f"{end:#x}", expected)


def _check_no_offset(entry: int, place: Span) -> Iterator[Finding]:
    if entry & OFFSET_MASK:
        name, expected = "FileOffsetMB", "0 in this state"
        yield mismatch("BAT-11", "note", place, name, f"{entry >> PLACE_SHIFT}", expected)


def check_unused(table: Bat) -> Iterator[Finding]:
    """Yield whether there is anything after the last entry; it is ignored."""
    is_zero, stored = True, 0
    zeros = bytes(MIB)
    for piece in table.rest():
        if piece != zeros[: len(piece)]:
            is_zero = False
            stored += count_stored(piece)
    if not is_zero:
        start = table.region.file_offset + table.geometry.entry_count * ENTRY_LENGTH
        place = Span(f"BAT region at {table.region.file_offset:#x}", start, None)
        message = "bytes after the last entry are not all zero"
        if stored:
            message += f", {counted(stored, 'entry', 'entries')} of stored blocks among them"
        yield Finding("BAT-15", "note", place, message)


def check_surplus(table: Bat) -> Iterator[Finding]:
    """Yield whether the last chunk of a differencing disk has blocks past the end of the disk."""
    first, entries = table.surplus()
    taken = [number for number, entry in enumerate(entries) if entry]
    if taken:
        block = table.geometry.payload_blocks + taken[0]
        place = entry_span(table.region, first + taken[0], f"BAT entry of block {block}")
        low_bits = [entry & (STATE_MASK | RESERVED_MASK) for entry in entries]
        stored = low_bits.count(FULLY_PRESENT) + low_bits.count(PARTIALLY_PRESENT)
        name = "entries of blocks past the end of the disk that are not 0:"
        actual = f"{len(taken)} ({stored} of stored blocks)"
        yield mismatch("BAT-15", "note", place, name, actual, "none")


def check_sharing(table: Bat, first: int, end: int) -> Iterator[Finding]:
    """Yield whether more chunks than we allow have one sector bitmap.

    Each has to have one of its own (BAT-08). Reading takes no offence at that, but a MiB of the
    file, read again and again, could make up any number of runs of sectors.

    Args:
        table: The BAT of a differencing disk.
        first: The first chunk that is looked at.
        end: The chunk after the last.
    """
    if end - first <= MAX_SHARING:
        return
    chunks: dict[int, list[int]] = {}
    for chunk, entry in enumerate(table.sector_bitmaps(first, end), first):
        if entry & STATE_MASK == PRESENT:
            chunks.setdefault(entry & OFFSET_MASK, []).append(chunk)
    for offset, sharing in chunks.items():
        if len(sharing) > MAX_SHARING:
            index = table.geometry.sector_bitmap_index(sharing[0])
            place = entry_span(table.region, index, f"BAT entry of sector bitmap {sharing[0]}")
            name = f"chunks with the sector bitmap at {offset:#x}:"
            expected = f"at most {MAX_SHARING} (our limit)"
            yield mismatch("BAT-08", "limit", place, name, f"{len(sharing)}", expected)


class Bat(Uncopied):
    """The BAT of one file, read by page.

    Args:
        source: The file after log replay.
        region: The BAT region, judged.
        geometry: The sizes of the disk, judged, the region being large enough for them.
    """

    def __init__(self, source: Source, region: RegionEntry, geometry: Geometry) -> None:
        self.geometry = geometry
        self.region = region
        self.source = source
        self._pages: dict[int, array[int]] = {}

    def entry(self, index: int) -> int:
        """Return an entry of the BAT as a number of 64 bits."""
        number = index >> PAGE_SHIFT
        page = self._pages.get(number)
        if page is None:
            if len(self._pages) >= _KEPT_PAGES:
                self._pages.clear()
            self._pages[number] = _ASKED_ONCE
            offset = self.region.file_offset + index * ENTRY_LENGTH
            return int.from_bytes(self.source.read(offset, ENTRY_LENGTH), "little")
        if page is _ASKED_ONCE:
            page = self.numbers(number << PAGE_SHIFT, PAGE_ENTRIES)
            self._pages[number] = page
        return page[index & PAGE_ENTRIES - 1]

    def entry_in_large_page(self, index: int, pages: dict[int, array[int]]) -> int:
        """Return an entry whose page is not among those kept, and keep that page if there is room.

        Large pages are for random reads: those of a disk of 1 TiB with blocks of
        1 MiB are all kept. Of larger disks some are, and other entries are read
        by themselves.

        Args:
            index: Which entry.
            pages: The pages that are kept, by number.

        Raises:
            TruncatedError: Its page is not all in the file.
        """
        if len(pages) >= _KEPT_LARGE_PAGES:
            return int.from_bytes(self.raw(index, 1), "little")
        number = index >> LARGE_PAGE_SHIFT
        pages[number] = page = self.numbers(number << LARGE_PAGE_SHIFT, 1 << LARGE_PAGE_SHIFT)
        return page[index & LARGE_PAGE_MASK]

    def count_states(self) -> dict[int, int]:
        """Return how many payload blocks are in each of the eight states, reserved ones included.

        Reads the whole BAT, in pieces.
        """
        counts = dict.fromkeys(range(STATE_MASK + 1), 0)
        ratio = self.geometry.chunk_ratio
        for first, states in self._low_bytes():
            bitmaps = states[(ratio - first) % (ratio + 1) :: ratio + 1]
            for state in counts:
                counts[state] += states.count(state) - bitmaps.count(state)
        for entry in self.surplus()[1]:
            counts[entry & STATE_MASK] -= 1
        return counts

    def _low_bytes(self) -> Iterator[tuple[int, bytes]]:
        """Yield the states of all entries, a MiB of them at a time, with the index of the first."""
        step = MIB // ENTRY_LENGTH
        for first in range(0, self.geometry.entry_count, step):
            data = self.raw(first, step)
            yield first, data[::ENTRY_LENGTH].translate(_STATE_OF_BYTE)

    def raw(self, first: int, count: int) -> bytes:
        """Return the bytes of some entries, fewer at the end of the BAT.

        Args:
            first: Index of the first.
            count: How many.
        """
        length = min(count, self.geometry.entry_count - first) * ENTRY_LENGTH
        return self.source.read(self.region.file_offset + first * ENTRY_LENGTH, length)

    def readinto(self, buffer: memoryview, first: int) -> None:
        """Fill a buffer with the bytes of entries, the first of which is given by its index."""
        self.source.readinto(buffer, self.region.file_offset + first * ENTRY_LENGTH)

    def numbers(self, first: int, count: int) -> array[int]:
        """Return some entries as numbers, fewer at the end of the BAT."""
        return numbers_of(self.raw(first, count))

    def sector_bitmaps(self, first: int, end: int) -> Iterator[int]:
        """Yield the entries of sector bitmaps, from one chunk on up to another."""
        period = self.geometry.chunk_ratio + 1
        at_once = max(1, PAGE_ENTRIES // period)
        for chunk in range(first, end, at_once):
            count = (min(at_once, end - chunk) - 1) * period + 1
            yield from self.numbers(self.geometry.sector_bitmap_index(chunk), count)[::period]

    def unused(self, count: int) -> array[int]:
        """Return numbers that stand after the last entry, fewer at the end of the region."""
        start = self.geometry.entry_count * ENTRY_LENGTH
        length = min(count * ENTRY_LENGTH, self.region.length - start)
        return numbers_of(self.source.read(self.region.file_offset + start, length))

    def rest(self) -> Iterator[bytes]:
        """Yield what the region holds after the last entry, a MiB at a time."""
        start = self.region.file_offset + self.geometry.entry_count * ENTRY_LENGTH
        end = self.region.file_offset + self.region.length
        for offset in range(start, end, MIB):
            yield self.source.read(offset, min(MIB, end - offset))

    def surplus(self) -> tuple[int, array[int]]:
        """Return the entries of the last chunk for blocks past the end of a differencing disk.

        Returns:
            The index of the first, and the entries. Other disks have none.
        """
        geometry = self.geometry
        end = geometry.sector_bitmap_index(geometry.sector_bitmap_blocks - 1)
        first = geometry.payload_index(geometry.payload_blocks - 1) + 1
        return first, self.numbers(first, end - first)


_STATE_OF_BYTE = bytes(value & STATE_MASK for value in range(256))

# Of the bytes of an entry, least significant first: which values the entry of a stored block may
# have in its first three, all its reserved bits being 0.
_OF_STORED = [
    bytes(value in (FULLY_PRESENT, PARTIALLY_PRESENT) for value in range(256)),
    bytes(value == 0 for value in range(256)),
    bytes(value & 0xF == 0 for value in range(256)),
]


def count_stored(entries: bytes) -> int:
    """Return how many of some entries look like those of stored blocks.

    Args:
        entries: Their bytes, little-endian.
    """
    lanes = (entries[at::ENTRY_LENGTH].translate(good) for at, good in enumerate(_OF_STORED))
    return reduce(and_, (int.from_bytes(lane, "little") for lane in lanes)).bit_count()


def numbers_of(data: bytes) -> array[int]:
    """Return the entries that some bytes are."""
    entries = array("Q", data)
    if sys.byteorder == "big":
        entries.byteswap()
    return entries
