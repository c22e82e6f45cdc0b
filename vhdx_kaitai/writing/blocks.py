"""Writing into the blocks of one image, each by its state [MS-VHDX 2.4, 2.5.1.1].

Payload comes first, then the bits or the entry that lead to it. What is on the medium
after a crash may be the one without the other, and of payload any part; so `Editor.
needs_barrier` is set where the sectors would not read then as they did before: where
they were the parent's, or where the space has held something else.

A block that does not show its parent becomes fully present, never partially: a bit that
is not set would show the parent again.
"""

from __future__ import annotations

from ..format.bat import (
    FULLY_PRESENT,
    NOT_PRESENT,
    OFFSET_MASK,
    PARTIALLY_PRESENT,
    SECTORS_PER_BITMAP,
    STATE_MASK,
    UNDEFINED,
    UNMAPPED,
    ZERO,
)
from ..reading.layers import Layer
from ..reading.reader import Reader
from ..units import MIB
from .editor import Editor
from .space import Room

_ZEROS = memoryview(bytes(MIB))

# What discarding a block leaves as it is, when there is no parent that could be seen.
_WITHOUT_PLACE = (ZERO, UNDEFINED, NOT_PRESENT)

# Partially present blocks that are kept, some two hundred bytes each.
_KEPT_PARTIAL = 1 << 13


class Partial:
    """A block of which some sectors are here, and others are the parent's.

    Attributes:
        offset: File offset of the block in bytes.
        bitmap: That of its chunk's sector bitmap.
        missing: How many sectors are the parent's.
    """

    __slots__ = ("bitmap", "missing", "offset")

    def __init__(self, offset: int, bitmap: int, missing: int) -> None:
        self.offset = offset
        self.bitmap = bitmap
        self.missing = missing


class Blocks:
    """The blocks of an image that is being changed. Ranges are inside the disk.

    Args:
        editor: The image.
        layer: The same as the first of its chain.
        reader: Reads the disk; it is told what it has to look up anew.
        partial: Where partially present blocks are kept that are wholly on the disk, by their
            numbers. It is to be emptied before blocks lose their places, and when somebody else
            may have changed one.

    Errors of the system leave the disk as it was, but for what was written before. Readers look
    up what was changed of the map anew, however that went.
    """

    def __init__(
        self, editor: Editor, layer: Layer, reader: Reader, partial: dict[int, Partial]
    ) -> None:
        geometry = editor.geometry
        self._editor = editor
        self._session = editor.session
        self._file = editor.session.file
        self._layer = layer
        self._reader = reader
        self._size = geometry.virtual_disk_size
        self._block_size = geometry.block_size
        self._sector = geometry.logical_sector_size
        self._chunk_ratio = geometry.chunk_ratio
        self._is_fixed = editor.image.metadata.disk_type == "fixed"
        self._partial = partial

    def write(self, data: memoryview, start: int) -> int | None:
        """Write at a virtual offset in one block.

        Returns:
            The file offset of the block, if all of it is on the disk and in the file now.
        """
        block, at = divmod(start, self._block_size)
        partial = self._partial.get(block)
        if partial is not None:
            self.write_partial(data, start, partial)
            return None
        entry = self._editor.entry(block)
        state, offset = entry & STATE_MASK, entry & OFFSET_MASK
        is_parents = self._is_parents(block, state)
        if state == FULLY_PRESENT:
            self._put(data, offset + at)
        elif state == PARTIALLY_PRESENT:
            self.write_partial(data, start, self._found_partial(block, offset))
            return None
        elif is_parents and len(data) < self._length_of(block):
            self._store_partial(data, start)
            return None
        else:
            offset = self._store(data, start, entry, is_parents=is_parents)
        return offset if self._length_of(block) == self._block_size else None

    def zero(self, start: int, end: int) -> None:
        """Let a range in one block read as zeros."""
        block, at = divmod(start, self._block_size)
        entry = self._editor.entry(block)
        state = entry & STATE_MASK
        if state == FULLY_PRESENT:
            self._session.attempt(self._file.zero, (entry & OFFSET_MASK) + at, end - start)
        elif state == PARTIALLY_PRESENT or self._is_parents(block, state):
            for first in range(start, end, MIB):
                self.write(_ZEROS[: end - first], first)
        elif not self._is_fixed:  # other programs may read something else from such a block
            self.zero_whole(block, block + 1)

    def zero_whole(self, first: int, end: int) -> None:
        """Let blocks of one run read as zeros, and take their space back."""
        self._drop(first, end, ZERO, kept=())

    def discard(self, first: int, end: int) -> None:
        """Take the space of blocks of one run back; they show no parent then."""
        kept = (ZERO, UNDEFINED) if self._layer.has_parent else _WITHOUT_PLACE
        self._drop(first, end, UNMAPPED, kept)

    def _drop(self, first: int, end: int, state: int, kept: tuple[int, ...]) -> None:
        try:
            self._editor.drop_blocks(first, end, state, kept)
        finally:
            start, after = first * self._block_size, end * self._block_size
            self._reader.forget(start, min(self._size, after))

    def _put(self, data: memoryview, position: int) -> None:
        """Write payload at a file offset."""
        self._session.attempt(self._file.write, data, position)

    def _is_parents(self, block: int, state: int) -> bool:
        """Tell whether a block in some state reads as what a parent has there."""
        parent = self._layer.parent if state == NOT_PRESENT else None
        return parent is not None and block * self._block_size < parent.size

    def _length_of(self, block: int) -> int:
        """Return how many bytes of a block are on the disk."""
        return min(self._block_size, self._size - block * self._block_size)

    def _store(self, data: memoryview, start: int, entry: int, *, is_parents: bool) -> int:
        """Store a block that was not stored, with zeros around what is written.

        Args:
            data: What is written.
            start: Its virtual offset.
            entry: The block's entry.
            is_parents: Whether the block has read as the parent's up to now.

        Returns:
            The file offset of the block.
        """
        block, at = divmod(start, self._block_size)
        editor, kept = self._editor, entry & OFFSET_MASK
        is_kept = kept > 0 and entry & STATE_MASK in (UNDEFINED, UNMAPPED)
        room = Room(kept, is_new=False) if is_kept else editor.new_room(self._block_size)
        try:
            if not room.is_new:
                after = at + len(data)
                self._session.attempt(self._file.zero, room.offset, at)
                self._session.attempt(
                    self._file.zero, room.offset + after, self._block_size - after
                )
            self._put(data, room.offset + at)
            if is_parents or not room.is_new:
                editor.needs_barrier = True
            try:
                editor.set_entry(block, FULLY_PRESENT, room.offset)
            finally:
                self._reader.forget(start - at, start - at + self._length_of(block))
        except OSError:
            if not is_kept:
                editor.space.put_back(room, self._block_size)
            raise
        return room.offset

    def _store_partial(self, data: memoryview, start: int) -> None:
        """Store some sectors of a block that reads as the parent's."""
        block, editor = start // self._block_size, self._editor
        low, data = self._whole_sectors(data, start)
        high = low + len(data)
        bitmap = editor.sector_bitmap(block // self._chunk_ratio)
        room = editor.new_room(self._block_size)
        first, end = self._bits(block * self._block_size, (block + 1) * self._block_size)
        try:
            self._put(data, room.offset + low % self._block_size)
            editor.needs_barrier = True
            editor.set_bits(bitmap, first, end, is_set=False)  # there may be some of former times
            editor.set_bits(bitmap, *self._bits(low, high), is_set=True)
            try:
                editor.set_entry(block, PARTIALLY_PRESENT, room.offset)
            finally:
                self._reader.forget(low, high)
        except OSError:  # when the entry is in place all the same, the session is at its end
            editor.space.put_back(room, self._block_size)
            raise
        length = self._length_of(block)
        missing = (length - len(data)) // self._sector
        self._keep(block, length, Partial(room.offset, bitmap, missing))

    def _found_partial(self, block: int, offset: int) -> Partial:
        """Return what is known of a partially present block, and keep it."""
        bitmap = self._editor.sector_bitmap(block // self._chunk_ratio)
        start, length = block * self._block_size, self._length_of(block)
        first, end = self._bits(start, start + length)
        missing = end - first - self._editor.bits(bitmap, first, end).bit_count()
        return self._keep(block, length, Partial(offset, bitmap, missing))

    def _keep(self, block: int, length: int, partial: Partial) -> Partial:
        """Keep a block, unless not all of it is on the disk, and return it."""
        if length == self._block_size:
            if len(self._partial) >= _KEPT_PARTIAL:
                self._partial.clear()
            self._partial[block] = partial
        return partial

    def write_partial(self, data: memoryview, start: int, partial: Partial) -> None:
        """Write into a block of which some sectors are here, and others are the parent's.

        Args:
            data: What is written.
            start: Its virtual offset.
            partial: The block.
        """
        editor, sector = self._editor, self._sector
        low, end = start - start % sector, start + len(data)
        high = end + -end % sector
        first, stop = self._bits(low, high)
        if (
            high - low > len(data)
            and editor.bits(partial.bitmap, first, stop).bit_count() < stop - first
        ):
            start, data = self._whole_sectors(data, start)
        self._put(data, partial.offset + start % self._block_size)
        new = -1  # some, when it gets no further
        try:
            new = editor.set_bits(partial.bitmap, first, stop, is_set=True)
            if new:
                editor.needs_barrier = True
                partial.missing -= new
                if not partial.missing:
                    block = low // self._block_size
                    self._partial.pop(block, None)
                    editor.set_entry(block, FULLY_PRESENT, partial.offset)
        except OSError:
            editor.needs_barrier = True
            self._partial.clear()
            raise
        finally:
            if new:
                self._reader.forget(low, high)

    def _whole_sectors(self, data: memoryview, start: int) -> tuple[int, memoryview]:
        """Return where whole sectors begin, and them: some data, and around it what is there."""
        before, after = start % self._sector, -(start + len(data)) % self._sector
        if before or after:
            head = self._session.attempt(self._reader.pread, before, start - before)
            tail = self._session.attempt(self._reader.pread, after, start + len(data))
            data = memoryview(b"".join((head, data, tail)))
        return start - before, data

    def _bits(self, start: int, end: int) -> tuple[int, int]:
        """Return which bits of its chunk's sector bitmap a range of whole sectors has."""
        first = start // self._sector % SECTORS_PER_BITMAP
        return first, first + (end - start) // self._sector
