"""A virtual disk as a raw file, or as a stream of bytes.

Holes stay holes: what is zero is not written into a file, whether the image says
so, the file below has a hole there, or the bytes themselves are zero. Where the
file system lets files share blocks, a copy shares those of the images.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from ..reading.disk import Disk
from ..records import NamedTuple
from ..storage.buffers import bulk_buffer
from ..storage.source import FileSource
from ..storage.target import OutFile, device, is_device, new_file
from ..units import MIB
from .data import DataRange, Progress, adjoined, data_ranges, in_pieces
from .files import refuse_source
from .sparse import PIECE, written_ranges
from .turns import Turn, by_two, together

_MOST_ZEROS = 64 * MIB  # as one piece


class Gap(NamedTuple):
    """A range of a disk between those that may hold something else than zeros.

    Attributes:
        start: Its first byte.
        end: After its last byte.
    """

    start: int
    end: int

    @property
    def length(self) -> int:
        """Its bytes."""
        return self.end - self.start


Piece: TypeAlias = DataRange | Gap
"""What is copied at once."""


def convert(
    disk: Disk, path: str, offset: int, length: int, progress: Progress, *, replace: bool = True
) -> None:
    """Write a range of a disk to a raw file, which appears under its name when it is whole.

    A block device is written where it stands, zeros included; what is past the
    range stays, and so does what was written before a failure.

    Args:
        disk: The disk.
        path: Path of the file, or of the device.
        offset: Virtual offset in bytes.
        length: Bytes.
        progress: Told how far it is.
        replace: Whether a file that is there may be replaced, or a device overwritten.

    Raises:
        FormatError: The image should hold bytes and does not.
        OSError: The file cannot be written.
    """
    with contextlib.suppress(FileNotFoundError):
        refuse_source((image.stored for image in disk.chain), os.stat(path), path)
    with device(path) if replace and is_device(path) else new_file(path, replace=replace) as out:
        write_raw(disk, out, offset, length, progress)


def write_raw(disk: Disk, out: OutFile, offset: int, length: int, progress: Progress) -> None:
    """Write a range of a disk to the start of an empty file, with holes for zeros, or a device.

    What was read is written from the buffer, since looking for zeros has brought
    it there; a copy by the kernel would read it again. So the kernel copies only
    between files that can share blocks.

    Args:
        disk: The disk.
        out: The file.
        offset: Virtual offset in bytes.
        length: Bytes.
        progress: Told how far it is, by the calling thread.
    """
    files = {image.stored for image in disk.chain}
    sharing = {file for file in files if isinstance(file, FileSource) and out.can_share(file)}
    out.set_length(length)
    ranges = data_ranges(disk, offset, offset + length)
    # Small ranges that follow each other are read together, unless each is to be shared.
    data = in_pieces(ranges if sharing else adjoined(ranges), PIECE)
    pieces: Iterator[Piece] = data if out.is_blank else _with_gaps(data, offset, offset + length)

    batches = together(pieces)

    def copy_piece(piece: Piece, buffer: memoryview) -> int:
        """Copy a piece, and return how far that is."""
        if isinstance(piece, Gap):
            out.write_zeros(piece.end - piece.start, piece.start - offset)
            return piece.end - offset
        start, end, file, distance = piece
        disk.readinto_at(buffer[: end - start], start)
        written = written_ranges(buffer, end - start) if out.is_blank else [(0, end - start)]
        for low, high in written:
            at = start - offset + low
            if file in sharing:
                shared = out.share(file, start + low + distance, high - low, at)
                low, at = low + shared, at + shared
            out.write(buffer[low:high], at)
        return end - offset

    def copy(batch: list[Piece], buffer: memoryview, _turn: Turn) -> int:
        return [copy_piece(piece, buffer) for piece in batch][-1]

    by_two(lambda _buffer: next(batches, None), copy, progress)
    progress(length)


def _with_gaps(pieces: Iterable[DataRange], start: int, end: int) -> Iterator[Piece]:
    """Yield pieces, and what is between them."""
    for piece in pieces:
        yield from _gaps(start, piece.start)
        yield piece
        start = piece.end
    yield from _gaps(start, end)


def _gaps(start: int, end: int) -> Iterator[Gap]:
    for low in range(start, end, _MOST_ZEROS):
        yield Gap(low, min(low + _MOST_ZEROS, end))


def write_stream(
    disk: Disk, write: Callable[[memoryview], object], offset: int, length: int, progress: Progress
) -> None:
    """Hand a range of a disk to a function that writes it, zeros included."""
    buffer = bulk_buffer(min(PIECE, length))
    end = offset + length
    for position in range(offset, end, PIECE):
        piece = buffer[: min(PIECE, end - position)]
        disk.readinto_at(piece, position)
        write(piece)
        progress(position + len(piece) - offset)
