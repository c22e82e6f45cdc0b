"""Where on a disk file systems may be: in its partitions, or all over it."""

from __future__ import annotations

from ..errors import UnsupportedError
from ..ranges import overlapping
from ..records import NamedTuple
from .disk import Disk
from .partitions import partition_table


class Volume(NamedTuple):
    """A range of a disk that may hold a file system; virtual offsets in bytes.

    Attributes:
        start: Its first byte.
        end: After its last byte.
    """

    start: int
    end: int


def volumes(disk: Disk) -> list[Volume]:
    """Return the partitions of a disk in order; none when it has no table, or an empty one.

    Args:
        disk: The disk.

    Raises:
        UnsupportedError: The table is in doubt, or partitions overlap: nobody knows then
            whose the bytes are.
        FormatError: What is read of the disk is lost.
    """
    table = partition_table(disk)
    if table is None:
        return []
    if table.doubt:
        raise UnsupportedError(f"it is not certain where partitions are: {table.doubt}")
    inside = {Volume(*part[:2]) for part in table.parts if 0 < part.start < part.end <= disk.size}
    found = sorted(inside)  # a hybrid table may name one twice
    for one, other in overlapping((*volume, None) for volume in found):
        message = f"partitions overlap: {one[0]} to {one[1]}, and {other[0]} to {other[1]}"
        raise UnsupportedError(message)
    return found
