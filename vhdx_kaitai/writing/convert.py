"""Converting into a new VHDX file: from a raw image, a VHDX file with its parents, or a stream.

What is zero is left out: blocks of nothing else do not become part of a dynamic image, and
pages of zeros inside a stored block are holes in the file. Blocks stand in the order of the
disk. Where the file system lets files share blocks, the new file shares those of its source,
which are not even read then: zeros that are stored there cost nothing here either.

The file appears under its name when it is whole and on the medium, and has been opened as
every reader opens it. To wait for the medium takes longer than the copy; who can do without
that says so.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, TypeAlias
from uuid import UUID, uuid4

from ..checking.quick import quick
from ..copying.data import DataRange, Progress, adjoined, data_ranges, in_pieces
from ..copying.files import refuse_source
from ..copying.rawdisk import RawDisk, begins_as_vhdx, other_than_raw
from ..copying.sparse import PIECE, written_ranges
from ..copying.turns import Turn, by_two, together
from ..errors import VhdxError
from ..format.metadata import MAX_VIRTUAL_DISK_SIZE, DiskType
from ..reading.disk import Disk, open_disk
from ..reading.image import check_choice
from ..records import NamedTuple
from ..storage.buffers import bulk_buffer
from ..storage.source import BufferSource, FileSource, Source
from ..storage.target import OutFile, new_file
from ..units import KIB, MIB, ceil_div
from .blank import USUAL_BLOCK_SIZE, Blank, Created, NewDisk, judge, refuse_impossible
from .filling import filled, readinto_of

Convertible: TypeAlias = "Disk | RawDisk | str | os.PathLike[str] | BinaryIO"
"""What `convert` takes."""


def convert(
    source: Convertible,
    path: str | os.PathLike[str],
    *,
    size: int | None = None,
    round_to: int = 1,
    disk_type: DiskType = "dynamic",
    block_size: int | None = None,
    logical_sector_size: int | None = None,
    physical_sector_size: int | None = None,
    disk_id: UUID | None = None,
    raw: bool = False,
    replace: bool = False,
    durable: bool = True,
    progress: Progress | None = None,
) -> Created:
    """Make a VHDX file of something that holds the bytes of a disk, and return what it is.

    Args:
        source: A disk; the path of a raw image, or of a VHDX file, which is opened with its
            parents; or a binary file object, which is read from where it is to its end.
        path: The file.
        size: Size of the disk in bytes, at least that of what there is; the rest is zeros. By
            default it is that of what there is, rounded up to whole sectors. Of a stream it
            need not be known; the BAT comes after the payload then.
        round_to: The size is rounded up to a multiple of this many bytes.
        disk_type: `dynamic` or `fixed`, for which all of the space is allocated.
        block_size: Bytes of a payload block, a power of two from 1 MiB to 256 MiB; by default
            that of the oldest image of a VHDX file, else 32 MiB.
        logical_sector_size: 512 or 4096; by default that of a VHDX file, else 512.
        physical_sector_size: 512 or 4096; by default that of a VHDX file, else 4096.
        disk_id: Identity of the disk, by default a new one.
        raw: Whether a file or a stream is raw, even if it seems to be something else.
        replace: Whether a file that is there may be replaced.
        durable: Whether all of the file is on the medium before it has its name. Without
            that a cut of the power soon after may leave the name and not all of the bytes.
        progress: Told how many bytes of the disk are done, now and then.

    Raises:
        FormatError: The VHDX file is refused, or should hold bytes and does not.
        ValueError: The format allows no such disk.
        VhdxError: There is nothing to convert, or more than there may be; or something else
            than a disk.
        OSError: Reading or writing failed.
    """
    check_choice("disk_type", disk_type, ("dynamic", "fixed"))
    if round_to < 1:
        raise ValueError(f"round_to is {round_to}, expected at least 1")
    wishes = _Wishes(
        size,
        round_to,
        disk_type,
        block_size,
        logical_sector_size,
        physical_sector_size,
        disk_id or uuid4(),
    )
    name = os.fsdecode(path)
    with contextlib.ExitStack() as stack:
        if isinstance(source, (str, os.PathLike)):
            source = _opened(os.fsdecode(source), raw=raw)
            stack.enter_context(contextlib.closing(source))
        if not isinstance(source, (Disk, RawDisk)):
            inputs = _of_stream(source, size, raw=raw)
        else:
            with contextlib.suppress(FileNotFoundError):
                refuse_source(_files_of(source), os.stat(name), name)
            inputs = _of_disk(source) if isinstance(source, Disk) else _of_raw(source)
        how = _How(replace, durable, progress or _silent)
        return _convert(inputs, name, wishes, how)


class _Wishes(NamedTuple):
    """What the caller wants of the new disk; None where that is left to what there is."""

    size: int | None
    round_to: int
    disk_type: DiskType
    block_size: int | None
    logical_sector_size: int | None
    physical_sector_size: int | None
    disk_id: UUID

    def disk(self, inputs: _Inputs, length: int) -> NewDisk:
        """Return what the disk is to be, given how many bytes there are for it.

        Raises:
            ValueError: The format allows no such disk.
            VhdxError: It would be too small or too large.
        """
        usual = inputs.usual
        sector = self.logical_sector_size or usual.logical_sector_size
        size = length if self.size is None else self.size
        if size < length:
            raise VhdxError(f"there are {length} bytes, which is more than a size of {size}")
        if size == 0:
            raise VhdxError("there is nothing to convert: no byte for the disk")
        if self.size is None:
            size = ceil_div(size, sector) * sector
        size = ceil_div(size, self.round_to) * self.round_to
        disk = NewDisk(
            size,
            self.disk_type,
            usual.block_size if self.block_size is None else self.block_size,
            sector,
            self.physical_sector_size or usual.physical_sector_size,
            self.disk_id,
        )
        refuse_impossible(disk)
        return disk


class _How(NamedTuple):
    """How the file is written; as the arguments of `convert` of these names."""

    replace: bool
    durable: bool
    progress: Progress


class _Usual(NamedTuple):
    """Sizes in bytes that a new image has where nobody wants others."""

    block_size: int = USUAL_BLOCK_SIZE
    logical_sector_size: int = 512
    physical_sector_size: int = 4096


class _Inputs(NamedTuple):
    """What there is to convert.

    Attributes:
        size: Its bytes; None when nobody knows yet.
        files: The files it is in.
        ranges: Which of it may be something else than zeros.
        read: Fills a buffer from a virtual offset on; None of a stream.
        take: Fills a buffer with the next bytes of a stream; returns their range, or None.
        usual: What the new image has in common with it.
    """

    size: int | None
    files: frozenset[FileSource]
    ranges: Iterable[DataRange]
    read: Callable[[memoryview, int], object] | None
    take: Callable[[memoryview], DataRange | None] | None
    usual: _Usual


def _opened(path: str, *, raw: bool) -> Disk | RawDisk:
    disk = RawDisk(path)
    if raw or not (disk.is_vhdx() or disk.is_other()):
        return disk
    disk.close()
    return open_disk(path)  # which says what else it is


def _files_of(source: Disk | RawDisk) -> Iterator[Source]:
    if isinstance(source, Disk):
        yield from (image.stored for image in source.chain)
    else:
        yield source.source


def _of_disk(disk: Disk) -> _Inputs:
    files = frozenset(file for file in _files_of(disk) if isinstance(file, FileSource))
    block_size = disk.chain[-1].metadata.block_size
    usual = _Usual(block_size, disk.logical_sector_size, disk.physical_sector_size)
    ranges = data_ranges(disk, 0, disk.size)
    return _Inputs(disk.size, files, ranges, disk.readinto_at, None, usual)


def _of_raw(disk: RawDisk) -> _Inputs:
    files = frozenset(file for file in _files_of(disk) if isinstance(file, FileSource))
    return _Inputs(disk.size, files, disk.data_ranges(), disk.readinto_at, None, _Usual())


def _of_stream(file: BinaryIO, size: int | None, *, raw: bool) -> _Inputs:
    """Return what a stream holds, of which the first bytes are looked at.

    Raises:
        VhdxError: It is something else than a disk.
    """
    buffer = bulk_buffer(PIECE)
    head = buffer[: filled(readinto_of(file), buffer)]
    if not raw:
        start = BufferSource(head)
        if begins_as_vhdx(start):
            raise VhdxError("a VHDX file is not read from a stream, but by its name")
        other = other_than_raw(start)
        if other is not None:
            raise VhdxError(f"no raw image: it is {other} (--raw takes it for one)")
    limit = MAX_VIRTUAL_DISK_SIZE if size is None else size
    position = 0

    def take(buffer: memoryview) -> DataRange | None:
        nonlocal head, position
        if position == 0:
            buffer[: len(head)] = head
            count = len(head)
        else:
            count = filled(readinto_of(file), buffer)
        start, position = position, position + count
        if position > limit:
            raise VhdxError(f"the input has more than {limit} bytes")
        return DataRange(start, position) if count else None

    return _Inputs(size, frozenset(), (), None, take, _Usual())


def _convert(inputs: _Inputs, path: str, wishes: _Wishes, how: _How) -> Created:
    is_open = inputs.size is None
    if is_open and wishes.disk_type == "fixed":
        raise ValueError("a fixed disk of a stream needs a size")
    least = wishes.round_to if inputs.size is None else inputs.size
    disk = wishes.disk(inputs, max(1, least) if is_open else least)
    blank = Blank(disk, has_bat_last=is_open)
    with new_file(path, replace=how.replace, is_durable=how.durable) as out:
        sharing = frozenset(file for file in inputs.files if out.can_share(file))
        store = _Store(blank)
        if store.is_whole:
            out.allocate(blank.file_length(store.blocks))
        copier = _Copier(inputs, out, store, sharing, writes_out=how.durable)
        by_two(copier.take, copier.copy, how.progress)
        if is_open:
            disk = wishes.disk(inputs, copier.end)
            blank = Blank(disk, has_bat_last=True)
        length = blank.file_length(store.blocks)
        out.lengthen(length)
        blank.write(out, store.runs, store.blocks, is_durable=how.durable)
        image = judge(out)
        with contextlib.closing(image.stored):
            told = quick(image)
            if told is not None:
                raise VhdxError(f"what was written is not in order: {told}")
        how.progress(disk.size)
        return blank.created(length)


_PAGE = 4 * KIB  # what file systems share is a multiple of this

# The system is told to write out this many bytes at once, so that the flush at the end need not
# wait for all of them.
_WRITTEN_OUT = 8 * MIB


class _Store:
    """Where blocks of the disk come to be in the file: one after the other, as they are first used.

    Attributes:
        runs: Which blocks are stored, as `Blank.write` takes them.
        blocks: How many these are.
        is_whole: Whether that is all of them, from the beginning.
        block_size: Bytes of a block.
    """

    def __init__(self, blank: Blank) -> None:
        self._offset = blank.payload_offset
        self.block_size = blank.disk.block_size
        self.is_whole = blank.disk.disk_type == "fixed"
        self.blocks = blank.disk.geometry.payload_blocks if self.is_whole else 0
        self.runs: list[tuple[int, int]] = [(0, self.blocks)] if self.is_whole else []

    def place(self, start: int) -> int:
        """Return the file offset of a virtual offset, of which no block was asked for after it."""
        if self.is_whole:
            return self._offset + start
        block, inside = divmod(start, self.block_size)
        first, stop = self.runs[-1] if self.runs else (0, 0)
        if block >= stop:
            if self.runs and block == stop:
                self.runs[-1] = (first, block + 1)
            else:
                self.runs.append((block, block + 1))
            self.blocks += 1
        return self._offset + (self.blocks - 1) * self.block_size + inside


class _Copier:
    """Copies pieces of the disk into stored blocks.

    Args:
        inputs: What there is.
        out: The new file.
        store: Where blocks come to be in it.
        sharing: Files of which it can have blocks in common.
        writes_out: Whether the system is to write out what was copied as it goes on.

    Attributes:
        end: The virtual offset up to which there is anything, of what was taken.
    """

    def __init__(
        self,
        inputs: _Inputs,
        out: OutFile,
        store: _Store,
        sharing: frozenset[FileSource],
        *,
        writes_out: bool,
    ) -> None:
        self._read, self._take = inputs.read, inputs.take
        self._out, self._store, self._sharing = out, store, sharing
        self._block_size = store.block_size
        self._batches = self._in_batches(inputs.ranges)
        self._writes_out, self._begun = writes_out, 0
        self.end = 0

    def _in_batches(self, ranges: Iterable[DataRange]) -> Iterator[list[DataRange]]:
        """Yield ranges in pieces that are copied together; one by one where any is shared."""
        if not self._sharing:
            # Small ranges that follow each other are read together.
            yield from together(in_pieces(adjoined(ranges), PIECE))
            return
        for piece in ranges:  # what is shared up to the end of a block, the rest as is read
            length = self._block_size if piece.file in self._sharing else PIECE
            yield from ([part] for part in in_pieces([piece], length))

    def take(self, buffer: memoryview) -> list[DataRange] | None:
        """Return the next pieces, which fit into the buffer together; one of a stream is in it."""
        if self._take is None:
            batch = next(self._batches, None)
        else:
            piece = self._take(buffer)
            batch = None if piece is None else [piece]
        if batch:
            self.end = batch[-1].end
        return batch

    def copy(self, batch: list[DataRange], buffer: memoryview, turn: Turn) -> int:
        """Copy pieces by way of a buffer, and return the virtual offset after the last."""
        file = batch[0].file
        if file is not None and file in self._sharing:
            self._share(batch[0], file, buffer, turn)
            return batch[0].end
        found, begin = [], 0
        for start, end, *_ in batch:
            count = end - start
            if self._read is not None:
                self._read(buffer[begin : begin + count], start)
            written = list(written_ranges(buffer, count, begin))
            if written:
                found.append((start, begin, written))
            begin += count
        with turn:
            places = [self._store.place(start) for start, *_ in found]
        for place, (_, begin, written) in zip(places, found, strict=True):
            for low, high in written:
                self._out.write(buffer[begin + low : begin + high], place + low)
        if self._writes_out and places:
            self._begin_flush(places[-1])
        return batch[-1].end

    def _begin_flush(self, end: int) -> None:
        """Let the system begin to write out what was written up to a file offset, now and then.

        The other thread may be at it still, or do the same; neither does any harm.
        """
        window = end - end % _WRITTEN_OUT
        start, self._begun = self._begun, max(self._begun, window)
        if start < window:
            self._out.begin_flush(start, window)

    def _share(self, piece: DataRange, file: FileSource, buffer: memoryview, turn: Turn) -> None:
        """Let a piece be that of its file, unread; what the system does not share is copied."""
        with turn:
            place = self._store.place(piece.start)
        start, end = piece.start, piece.end
        shareable = (end - start) - (end - start) % _PAGE  # the rest would keep all from being it
        done = self._out.share(file, start + piece.distance, shareable, place)
        assert self._read is not None
        for at in range(start + done, end, PIECE):
            count = min(PIECE, end - at)
            self._read(buffer[:count], at)
            self._out.write(buffer[:count], place + at - start)


def _silent(_done: int) -> None:
    """Say nothing of how far it is."""
