"""Which ranges of a disk hold data: not what images say is zero, nor holes of their files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..reading.disk import Disk
from ..reading.extents import Extent
from ..storage.source import FileSource


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


def data_ranges(disk: Disk, offset: int, end: int) -> Iterator[DataRange]:
    """Yield the ranges of a disk that may hold something else than zeros.

    Holes in the files below are left out, where the system tells.

    Args:
        disk: The disk.
        offset: Virtual offset in bytes.
        end: Virtual offset after the range.
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
