"""Which ranges of a disk hold data: not what images say is zero, nor holes of their files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import cast

from .. import fast
from ..errors import FormatError
from ..reading.disk import Disk
from ..reading.extents import Extent
from ..records import NamedTuple
from ..storage.source import FileSource
from ..units import MIB

Progress = Callable[[int], object]
"""Called with the number of bytes of a disk that are done, now and then."""

# After these what follows is looked at in bulk.
_MANY_EXTENTS = 1 << 13


class DataRange(NamedTuple):
    """A range of a disk that may hold something else than zeros; virtual offsets in bytes.

    Attributes:
        start: Its first byte.
        end: After its last byte.
        file: The local file it is in; None when that is no single one.
        distance: From virtual offsets to those of the file.
    """

    start: int
    end: int
    file: FileSource | None = None
    distance: int = 0

    @property
    def length(self) -> int:
        """Its bytes."""
        return self.end - self.start


def data_ranges(disk: Disk, offset: int, end: int) -> Iterator[DataRange]:
    """Yield the ranges of a disk that may hold something else than zeros.

    Holes in the files below are left out, where the system tells.

    Args:
        disk: The disk.
        offset: Virtual offset in bytes.
        end: Virtual offset after the range.

    Raises:
        FormatError: An image does not say rightly where some of it is; all ranges before
            that were yielded.
    """
    extents = disk.extents(offset, end - offset)
    for extent in islice(extents, _MANY_EXTENTS):
        yield from _of_extent(disk, extent)
        offset = extent.offset + extent.length
    if offset < end and fast.has_numpy():
        yield from _in_bulk(disk, offset, end)
    else:
        for extent in extents:
            yield from _of_extent(disk, extent)


def _in_bulk(disk: Disk, offset: int, end: int) -> Iterator[DataRange]:
    """Yield the ranges of a disk that is in many parts."""
    from . import bulk  # numpy takes longer to import than most disks to copy

    batches = bulk.data_ranges(disk, offset, end)
    while offset < end:
        try:
            ranges, stop = next(batches)
        except FormatError:  # plain Python finds what is left before that
            ranges, stop = None, end
        if ranges is None:
            for extent in disk.extents(offset, stop - offset):
                yield from _of_extent(disk, extent)
        else:
            rows = zip(*(array.tolist() for array in ranges), strict=True)
            for start, after, depth, distance in rows:
                file = None if depth == bulk.NOWHERE else disk.chain[depth].stored
                yield DataRange(start, after, cast("FileSource | None", file), distance)
        offset = stop


def _of_extent(disk: Disk, extent: Extent) -> Iterator[DataRange]:
    """Yield what of an extent may be something else than zeros."""
    if extent.kind == "zero" or (extent.kind == "lost" and disk.zeroes_lost):
        return
    start, end = extent.offset, extent.offset + extent.length
    file = None
    if extent.file_offset is not None:
        distance = extent.file_offset - start
        file = disk.chain[extent.depth].source.local_file(start + distance, end + distance)
    if file is None:
        yield DataRange(start, end)
        return
    for low, high in file.stored_ranges(start + distance, end + distance):
        yield DataRange(low - distance, high - distance, file, distance)


def adjoined(ranges: Iterable[DataRange], hole: int = 0) -> Iterator[DataRange]:
    """Yield ranges, those that follow each other as one.

    Args:
        ranges: Ranges in order.
        hole: Bytes that may be between two of them all the same.
    """
    begin = end = 0
    for start, stop, _file, _distance in ranges:
        if begin == end or start > end + hole:
            if begin < end:
                yield DataRange(begin, end)
            begin = start
        end = stop
        if end - begin >= MIB:  # a long one need not be known to its end
            yield DataRange(begin, end)
            begin = end
    if begin < end:
        yield DataRange(begin, end)


def in_pieces(ranges: Iterable[DataRange], length: int) -> Iterator[DataRange]:
    """Yield ranges in pieces none of which goes past a multiple of a length in bytes."""
    for start, end, file, distance in ranges:
        for stop in range(start - start % length + length, end + length, length):
            yield DataRange(start, min(stop, end), file, distance)
            start = stop
