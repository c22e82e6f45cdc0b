"""Copying a virtual disk into a raw file, and comparing two disks.

Holes stay holes: what is zero is not written, whether the image says so, the
file below has a hole there, or the bytes themselves are zero. Where the file
system lets files share blocks, a copy shares those of the images.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ..reading.disk import Disk, Extent
from ..storage.source import FileSource, Source, open_source
from ..storage.target import OutFile, new_file
from ..units import KIB, MIB
from .files import refuse_source

Progress = Callable[[int], object]
"""Called with the number of bytes of the disk that are done, now and then."""

# Pieces of more than 512 KiB can be ten times slower to write on ext4.
_PIECE = 512 * KIB
_PAGE = 4 * KIB  # a run of zeros this long becomes a hole
_ZERO_PAGE = bytes(_PAGE)


class RawDisk:
    """A raw image, with as much of `Disk` as is needed to compare it.

    Attributes:
        size: Length in bytes.
    """

    def __init__(self, path: str) -> None:
        self._source = open_source(path)
        self.size = self._source.size

    def start(self, length: int) -> bytes:
        """Return so many bytes from the start of the file, fewer when it has no more."""
        return self._source.read(0, min(length, self.size))

    def readinto_at(self, buffer: bytearray, offset: int) -> int:
        """Fill a buffer from an offset on; the caller stays inside the file."""
        self._source.readinto(memoryview(buffer), offset)
        return len(buffer)

    def zero_end(self, offset: int, end: int) -> int:
        """Return how far a hole goes that begins at an offset; that offset when there is none."""
        source = self._source
        return source.hole_end(offset, end) if isinstance(source, FileSource) else offset

    def close(self) -> None:
        """Close the file."""
        self._source.close()


class DataRange(NamedTuple):
    """A range of a disk that may hold something else than zeros; virtual offsets in bytes.

    Attributes:
        start: Its first byte.
        end: Behind its last byte.
        file: The local file it is in; None when that is no single one.
        distance: From virtual offsets to those of the file.
    """

    start: int
    end: int
    file: FileSource | None = None
    distance: int = 0


def data_ranges(disk: Disk, offset: int, end: int) -> Iterator[DataRange]:
    """Yield the ranges of a disk that may hold something else than zeros.

    Holes in the files below are left out, where the system tells.

    Args:
        disk: The disk.
        offset: Virtual offset in bytes.
        end: Virtual offset behind the range.
    """
    for extent in disk.extents(offset, end - offset):
        if extent.kind == "zero":
            continue
        start, stop = extent.offset, extent.offset + extent.length
        file = _local_file(disk, extent)
        if file is None or extent.file_offset is None:
            yield DataRange(start, stop)
            continue
        distance = extent.file_offset - start
        for low, high in file.stored_ranges(start + distance, stop + distance):
            yield DataRange(low - distance, high - distance, file, distance)


def _local_file(disk: Disk, extent: Extent) -> FileSource | None:
    """Return the local file that an extent is in; None when there is none."""
    if extent.file_offset is None:
        return None
    end = extent.file_offset + extent.length
    return disk.chain[extent.depth].source.local_file(extent.file_offset, end)


def write_raw(disk: Disk, out: OutFile, offset: int, length: int, progress: Progress) -> None:
    """Write a range of a disk to the start of an empty file, with holes for zeros.

    Two threads take turns at the pieces: one reads and looks for zeros while
    the other writes. What was read is written from the buffer, since looking
    for zeros has brought it there; a copy by the kernel would read it again. So
    the kernel copies only between files that can share blocks.

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
    pieces = _pieces(ranges if sharing else _adjoined(ranges))
    turn = threading.Lock()
    failures: list[BaseException] = []

    def work(progress: Progress | None = None) -> None:
        buffer = bytearray(_PIECE)
        view = memoryview(buffer)
        try:
            while not failures:
                with turn:
                    piece = next(pieces, None)
                if piece is None:
                    return
                start, end, file, distance = piece
                disk.readinto_at(view[: end - start], start)
                for low, high in _written_ranges(buffer, end - start):
                    at = start - offset + low
                    if file in sharing:
                        shared = out.share(file, start + low + distance, high - low, at)
                        low, at = low + shared, at + shared
                    out.write(view[low:high], at)
                if progress is not None:
                    progress(end - offset)
        except BaseException as error:
            failures.append(error)

    helper = threading.Thread(target=work, daemon=True)
    helper.start()
    try:
        work(progress)
        helper.join()
    except BaseException as error:  # interrupted between the pieces
        failures.append(error)
        helper.join()
    if failures:
        raise failures[0]
    progress(length)


def _pieces(ranges: Iterable[DataRange]) -> Iterator[DataRange]:
    """Yield ranges in pieces that fit into a buffer."""
    for start, end, file, distance in ranges:
        for stop in range(start - start % _PIECE + _PIECE, end + _PIECE, _PIECE):
            yield DataRange(start, min(stop, end), file, distance)
            start = stop


def _adjoined(ranges: Iterable[DataRange]) -> Iterator[DataRange]:
    """Yield ranges, those that follow each other as one."""
    begin = end = 0
    for start, stop, _file, _distance in ranges:
        if start != end:
            if begin < end:
                yield DataRange(begin, end)
            begin = start
        end = stop
        if end - begin >= MIB:  # a long one need not be known to its end
            yield DataRange(begin, end)
            begin = end
    if begin < end:
        yield DataRange(begin, end)


def write_stream(
    disk: Disk, write: Callable[[memoryview], object], offset: int, length: int, progress: Progress
) -> None:
    """Hand a range of a disk to a function that writes it, zeros included."""
    buffer = memoryview(bytearray(min(_PIECE, length)))
    end = offset + length
    for position in range(offset, end, _PIECE):
        piece = buffer[: min(_PIECE, end - position)]
        disk.readinto_at(piece, position)
        write(piece)
        progress(position + len(piece) - offset)


def _written_ranges(buffer: bytearray, count: int) -> Iterator[tuple[int, int]]:
    """Yield what of a buffer is not a page of zeros."""
    start = 0
    # A page of zeros begins with one, and most pages of data do not.
    first = buffer[:count:_PAGE]
    number = first.find(0)
    while number >= 0:
        page = number * _PAGE
        if buffer.startswith(_ZERO_PAGE[: count - page], page):
            if start < page:
                yield start, page
            start = page + _PAGE
        number = first.find(0, number + 1)
    if start < count:
        yield start, count


def convert(
    disk: Disk, path: str, offset: int, length: int, progress: Progress, *, replace: bool = True
) -> None:
    """Write a range of a disk to a raw file, which appears under its name when it is whole.

    Args:
        disk: The disk.
        path: Path of the file.
        offset: Virtual offset in bytes.
        length: Bytes.
        progress: Told how far it is.
        replace: Whether a file that is there may be replaced.

    Raises:
        FormatError: The image should hold bytes and does not.
        OSError: The file cannot be written.
    """
    with contextlib.suppress(FileNotFoundError):
        refuse_source((image.stored for image in disk.chain), os.stat(path), path)
    with new_file(path, replace=replace) as out:
        write_raw(disk, out, offset, length, progress)


def copy_range(source: Source, out: OutFile, start: int, end: int) -> int:
    """Write a range of a file at the same place of another one, with holes for zeros.

    Args:
        source: The file.
        out: The other one, in which there is nothing but zeros.
        start: File offset in bytes.
        end: File offset behind the range.

    Returns:
        Bytes that were written.
    """
    ranges: Iterable[tuple[int, int]] = [(start, end)]
    if isinstance(source, FileSource):
        ranges = source.stored_ranges(start, end)
    buffer = bytearray(_PIECE)
    view = memoryview(buffer)
    written = 0
    for low, high in ranges:
        position = low
        while position < high:
            count = min(_PIECE - position % _PIECE, high - position)
            source.readinto(view[:count], position)
            for first, last in _written_ranges(buffer, count):
                out.write(view[first:last], position + first)
                written += last - first
            position += count
    return written


class Difference(NamedTuple):
    """Where two disks differ first.

    Attributes:
        offset: Virtual offset in bytes; the smaller size when the sizes differ.
        reason: What is different there.
    """

    offset: int
    reason: str


def compare(one: Disk | RawDisk, two: Disk | RawDisk, progress: Progress) -> Difference | None:
    """Return the first difference between two disks, None when their contents are the same.

    Disks of different sizes differ, even if one is the start of the other; a
    difference before that is found first.
    """
    end = min(one.size, two.size)
    left, right = bytearray(MIB), bytearray(MIB)
    zeros = (_zero_ranges(one, end), _zero_ranges(two, end))
    position = 0
    while position < end:
        skipped = min(zeros[0](position), zeros[1](position))
        if skipped > position:
            position = skipped
            continue
        count = min(MIB, end - position)
        if count < len(left):
            del left[count:], right[count:]
        one.readinto_at(left, position)
        two.readinto_at(right, position)
        if left != right:
            at = _first_difference(left, right)
            return Difference(position + at, f"{left[at]:#04x} against {right[at]:#04x}")
        position += count
        progress(position)
    if one.size != two.size:
        return Difference(end, f"sizes {one.size} against {two.size} bytes")
    return None


def _zero_ranges(disk: Disk | RawDisk, end: int) -> Callable[[int], int]:
    """Return a function that tells how far zeros go from an offset on, for growing offsets."""
    if isinstance(disk, RawDisk):
        return lambda offset: disk.zero_end(offset, end)
    ranges = data_ranges(disk, 0, end)
    current = DataRange(0, 0)

    def zero_end(offset: int) -> int:
        nonlocal current
        while current.end <= offset:
            current = next(ranges, DataRange(end, end + 1))
        return max(offset, min(current.start, end))

    return zero_end


def _first_difference(left: bytearray, right: bytearray) -> int:
    low, high = 0, len(left)
    while high - low > 1:
        middle = (low + high) // 2
        if left[low:middle] != right[low:middle]:
            high = middle
        else:
            low = middle
    return low
