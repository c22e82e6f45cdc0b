"""Which of what an image stores it need not store, since the disk reads the same without.

That are blocks of zeros, partially present blocks of which no sector is here, sector bitmaps
that no block needs, and the space that blocks without data keep from former times
[MS-VHDX 2.5.1]. Blocks of zeros become ZERO, in a child, too: there they hide the parent as
before. Of a block that the end of the disk cuts only what is on the disk counts.

Whoever knows that nobody needs some ranges of the disk may say so. What is in them counts as
zeros then.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..checking.classes import Survey
from ..checking.order import payload_entries
from ..copying.data import Progress
from ..copying.sparse import PIECE, written_ranges
from ..format.bat import (
    FULLY_PRESENT,
    NOT_PRESENT,
    OFFSET_MASK,
    PARTIALLY_PRESENT,
    PRESENT,
    SECTORS_PER_BITMAP,
    STATE_MASK,
    UNDEFINED,
    UNMAPPED,
    ZERO,
)
from ..ranges import Ranges
from ..reading.image import Image
from ..records import NamedTuple
from ..storage.buffers import bulk_buffer
from ..text import counted
from ..units import KIB, MIB, ceil_div
from .packing import Piece
from .session import Change

_PAGE = 4 * KIB  # what file systems give back is a multiple of this
_FIRST = 128 * KIB  # bytes that are read of a block before the others
NOTHING = Ranges()


class Hole(NamedTuple):
    """A range of a stored block that might be a hole in the file.

    Attributes:
        block: The block.
        start: Its first byte, from the start of the block.
        end: The byte after it.
    """

    block: int
    start: int
    end: int


class Needless(NamedTuple):
    """What need not be stored, and what stays.

    Attributes:
        zeros: Blocks that hold zeros alone.
        unused: Blocks that hold nothing else but what nobody needs.
        empty: Partially present blocks without any sector.
        anchors: Blocks without data that keep a place, and the state that they have.
        bitmaps: Chunks whose sector bitmap no block needs.
        stays: The blocks that stay stored, sector bitmaps among them.
        holes: What of them might be holes; not looked for unless it is asked for.
    """

    zeros: list[int]
    unused: list[int]
    empty: list[int]
    anchors: list[tuple[int, int]]
    bitmaps: list[int]
    stays: list[Piece]
    holes: list[Hole]

    def dropped(self) -> Iterator[tuple[int, int]]:
        """Yield the blocks that need no place, each with the state that it gets."""
        yield from ((block, ZERO) for block in (*self.zeros, *self.unused))
        yield from ((block, NOT_PRESENT) for block in self.empty)
        yield from self.anchors

    def changes(self, block_size: int) -> Iterator[Change]:
        """Yield what is not stored any more, for people.

        Args:
            block_size: Bytes of a block.
        """
        for what, numbers, length, after in (
            ("blocks of zeros", self.zeros, block_size, "ZERO"),
            ("blocks that no file needs", self.unused, block_size, "ZERO"),
            ("partially present blocks without a sector", self.empty, block_size, "NOT_PRESENT"),
            ("places kept by blocks without data", self.anchors, block_size, "given up"),
            ("sector bitmaps that no block needs", self.bitmaps, MIB, "given up"),
        ):
            if numbers:
                yield Change(what, amount(len(numbers), len(numbers) * length), after)


def amount(count: int, length: int) -> str:
    """Return how many blocks there are, and how many bytes they have in all."""
    return f"{counted(count, 'block')} of {counted(length, 'byte')}"


def needless(
    image: Image,
    found: Survey,
    progress: Progress,
    *,
    unused: Ranges = NOTHING,
    with_holes: bool = False,
) -> Needless:
    """Look through all that an image stores; holes of its file are not read.

    Args:
        image: The image, in whose BAT nothing is wrong.
        found: The look at its BAT.
        progress: Told how many bytes of stored blocks were looked at.
        unused: Virtual ranges of the disk that nobody needs, in bytes.
        with_holes: Whether to look for pages of zeros in blocks that stay, too, which reads all
            of them; otherwise the first byte that is not zero is enough.

    Raises:
        OSError: The file cannot be read.
    """
    look = _Look(image, unused, with_holes)
    done, needy, result = 0, set(), look.result
    size = image.geometry.block_size
    for first, entries in payload_entries(image):
        if not any(entries):
            continue
        for block, entry in enumerate(entries, first):
            state, place = entry & STATE_MASK, entry & OFFSET_MASK
            if state in (UNDEFINED, UNMAPPED) and place:
                result.anchors.append((block, state))
            elif state in (FULLY_PRESENT, PARTIALLY_PRESENT):
                stays = look.at_full if state == FULLY_PRESENT else look.at_partial
                if stays(block, place):
                    result.stays.append(Piece(place, size, block, False))
                    if state == PARTIALLY_PRESENT:
                        needy.add(block // image.geometry.chunk_ratio)
                done += size
                progress(done)
    for chunk, entry in found.bitmaps.items():
        if entry & STATE_MASK == PRESENT and chunk in needy:
            result.stays.append(Piece(entry & OFFSET_MASK, MIB, chunk, True))
        elif entry & STATE_MASK == PRESENT:
            result.bitmaps.append(chunk)
    return result


class _Look:
    """The look at stored blocks, one after the other."""

    def __init__(self, image: Image, unused: Ranges, with_holes: bool) -> None:
        self.result = Needless([], [], [], [], [], [], [])
        self._image = image
        self._unused = unused
        self._with_holes = with_holes
        self._buffer = bulk_buffer(PIECE)

    def at_full(self, block: int, place: int) -> bool:
        """Look at a fully present block, and tell whether it stays."""
        start, length = self._on_disk(block)
        at, is_hidden, holes = 0, False, []
        for low, high in self._data(place, length):
            needed = list(self._unused.gaps(start + low, start + high))
            is_hidden = is_hidden or not needed
            for begin, stop in needed:
                if not self._with_holes:
                    return True
                holes.append(Hole(block, at, begin - start))
                at = stop - start
        if at == 0:
            (self.result.unused if is_hidden else self.result.zeros).append(block)
            return False
        self._add_holes(place, [*holes, Hole(block, at, length)])
        return True

    def at_partial(self, block: int, place: int) -> bool:
        """Look at a partially present block, and tell whether it stays."""
        start, length = self._on_disk(block)
        if not self._has_bits(block, length):
            self.result.empty.append(block)
            return False
        if self._unused.hold(start, start + length):
            self.result.unused.append(block)
            return False
        if self._with_holes:
            at, holes = 0, []
            for low, high in self._data(place, length):
                holes.append(Hole(block, at, low))
                at = high
            self._add_holes(place, [*holes, Hole(block, at, length)])
        return True

    def _on_disk(self, block: int) -> tuple[int, int]:
        """Return the virtual offset of a block, and how many bytes of it are on the disk."""
        geometry = self._image.geometry
        start = block * geometry.block_size
        return start, min(geometry.block_size, geometry.virtual_disk_size - start)

    def _data(self, place: int, length: int) -> Iterator[tuple[int, int]]:
        """Yield what of a stored block is no page of zeros, from its start on."""
        source, buffer = self._image.source, self._buffer
        file = source.local_file(place, place + length)
        stored = [(place, place + length)]
        for low, high in stored if file is None else file.stored_ranges(*stored[0]):
            begins = low + _FIRST  # most blocks hold something there, and the rest is not read
            for at in (low, *range(begins, high, PIECE)):
                count = min(PIECE if at >= begins else _FIRST, high - at)
                source.readinto(buffer[:count], at)
                for begin, stop in written_ranges(buffer, count):
                    yield at + begin - place, at + stop - place

    def _has_bits(self, block: int, length: int) -> bool:
        """Tell whether any sector of a partially present block is here."""
        geometry = self._image.geometry
        chunk, number = divmod(block, geometry.chunk_ratio)
        entry = self._image.bat.entry(geometry.sector_bitmap_index(chunk))
        bits = length // geometry.logical_sector_size
        start = number * (SECTORS_PER_BITMAP // geometry.chunk_ratio) // 8
        data = self._image.source.read((entry & OFFSET_MASK) + start, ceil_div(bits, 8))
        return int.from_bytes(data, "little") & (1 << bits) - 1 != 0

    def _add_holes(self, place: int, holes: list[Hole]) -> None:
        """Keep of some holes of a block what has whole pages and is stored."""
        source = self._image.source
        for block, start, end in holes:
            file = source.local_file(place + start, place + end) if start < end else None
            stored = [(place + start, place + end)]
            for low, high in stored if file is None else file.stored_ranges(*stored[0]):
                low, high = ceil_div(low, _PAGE) * _PAGE, high - high % _PAGE
                if low < high:
                    self.result.holes.append(Hole(block, low - place, high - place))
