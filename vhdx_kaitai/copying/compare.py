"""Whether two disks hold the same, up to their first difference."""

from __future__ import annotations

from collections.abc import Callable

from ..reading.disk import Disk
from ..records import NamedTuple
from ..units import MIB
from .data import DataRange, Progress, data_ranges
from .rawdisk import RawDisk


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
