"""Copying a virtual disk into a raw file, and comparing two disks.

Holes stay holes: what is zero is not written, whether the image says so, the
file below has a hole there, or the bytes themselves are zero.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .disk import Disk
from .source import FileSource, Source, open_source
from .units import KIB, MIB

Progress = Callable[[int], object]
"""Called with the number of bytes of the disk that are done, now and then."""

# Larger pieces can be ten times slower to write on ext4.
_PIECE = 256 * KIB
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

    def readinto_at(self, buffer: bytearray, offset: int) -> int:
        """Fill a buffer from an offset on; the caller stays inside the file."""
        self._source.readinto(memoryview(buffer), offset)
        return len(buffer)

    def zero_end(self, offset: int, end: int) -> int:
        """Return how far a hole goes that begins at an offset; that offset when there is none."""
        source = self._source
        return _hole_end(source.fd, offset, end) if isinstance(source, FileSource) else offset

    def close(self) -> None:
        """Close the file."""
        self._source.close()


def _hole_end(fd: int, offset: int, end: int) -> int:
    try:
        return min(end, os.lseek(fd, offset, os.SEEK_DATA))
    except OSError as error:
        return end if error.errno == errno.ENXIO else offset


def data_ranges(disk: Disk, offset: int, end: int) -> Iterator[tuple[int, int]]:
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
        source = None if extent.file_offset is None else disk.chain[extent.depth].source
        if isinstance(source, FileSource) and extent.file_offset is not None:
            shift = extent.offset - extent.file_offset
            stop = extent.file_offset + extent.length
            if os.fstat(source.fd).st_size < stop and source.size >= stop:
                # The file was cut after it was opened; that is no hole. Reading will tell.
                yield extent.offset, extent.offset + extent.length
                continue
            for start, finish in _stored_ranges(source.fd, extent.file_offset, stop):
                yield start + shift, finish + shift
        else:
            yield extent.offset, extent.offset + extent.length


def _stored_ranges(fd: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        start = _hole_end(fd, start, end)
        if start >= end:
            return
        try:
            stop = min(end, os.lseek(fd, start, os.SEEK_HOLE))
        except OSError:
            stop = end
        yield start, max(stop, start + 1)
        start = max(stop, start + 1)


def write_raw(disk: Disk, fd: int, offset: int, length: int, progress: Progress) -> None:
    """Write a range of a disk to the start of an empty file, with holes for zeros.

    Args:
        disk: The disk.
        fd: Descriptor of the file.
        offset: Virtual offset in bytes.
        length: Bytes.
        progress: Told how far it is.
    """
    os.ftruncate(fd, length)
    buffer = bytearray(_PIECE)
    view = memoryview(buffer)
    for start, end in data_ranges(disk, offset, offset + length):
        position = start
        while position < end:
            count = min(_PIECE - position % _PIECE, end - position)
            disk.readinto_at(view[:count], position)
            for low, high in _written_ranges(buffer, count):
                write_all(fd, view[low:high], position - offset + low)
            position += count
            progress(position - offset)
    progress(length)


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
        progress(position - offset)


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


def write_all(fd: int, view: memoryview, offset: int) -> None:
    """Write bytes at an offset of a file, all of them."""
    done = 0
    while done < len(view):
        done += os.pwrite(fd, view[done:], offset + done)


def convert(disk: Disk, path: str, offset: int, length: int, progress: Progress) -> None:
    """Write a range of a disk to a raw file, which appears under its name when it is whole.

    Args:
        disk: The disk.
        path: Path of the file; one that is there is replaced.
        offset: Virtual offset in bytes.
        length: Bytes.
        progress: Told how far it is.

    Raises:
        FormatError: The image should hold bytes and does not.
        OSError: The file cannot be written.
    """
    if os.path.exists(path) and any(
        image.path is not None and os.path.samefile(path, image.path) for image in disk.chain
    ):
        raise OSError(errno.EINVAL, "is an image of the disk itself", path)
    with new_file(path) as fd:
        write_raw(disk, fd, offset, length, progress)


@contextlib.contextmanager
def new_file(path: str) -> Iterator[int]:
    """Open a file for writing that appears under its name when it is whole, or not at all.

    Args:
        path: Path of the file; one that is there is replaced.

    Yields:
        Its descriptor.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        # A device or a pipe is written as it is; it cannot be replaced.
        raise OSError(errno.EINVAL, "not a regular file", path)
    partial = f"{path}.{os.getpid()}.partial"
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        try:
            yield fd
        finally:
            os.close(fd)
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


def copy_range(source: Source, fd: int, start: int, end: int) -> int:
    """Write a range of a file at the same place of another one, with holes for zeros.

    Args:
        source: The file.
        fd: Descriptor of the other one, in which there is nothing but zeros.
        start: File offset in bytes.
        end: File offset behind the range.

    Returns:
        Bytes that were written.
    """
    ranges = iter([(start, end)])
    # A file that was cut after it was opened has no hole there. Reading will tell.
    if isinstance(source, FileSource) and os.fstat(source.fd).st_size >= end:
        ranges = _stored_ranges(source.fd, start, end)
    buffer = bytearray(_PIECE)
    view = memoryview(buffer)
    written = 0
    for low, high in ranges:
        position = low
        while position < high:
            count = min(_PIECE - position % _PIECE, high - position)
            source.readinto(view[:count], position)
            for first, last in _written_ranges(buffer, count):
                write_all(fd, view[first:last], position + first)
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
    current = (0, 0)

    def zero_end(offset: int) -> int:
        nonlocal current
        while current[1] <= offset:
            current = next(ranges, (end, end + 1))
        return max(offset, min(current[0], end))

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
