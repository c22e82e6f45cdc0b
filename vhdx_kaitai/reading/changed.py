"""What of a disk its newest images hold themselves: the changed blocks of a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator

from ..records import NamedTuple
from .disk import Disk
from .map import Map


class Changed(NamedTuple):
    """A range of the disk that was written to since an image of the chain was left alone.

    Attributes:
        offset: Virtual offset in bytes.
        length: Bytes.
        is_zero: Whether all of it reads as zeros, and nothing has to be copied.
    """

    offset: int
    length: int
    is_zero: bool


def changed(disk: Disk, since: int = 1) -> Iterator[Changed]:
    """Yield which ranges of a disk do not come from an older image of its chain, in order.

    A backup that has the disk as that image shows it needs these and no others. What was written
    again with the same bytes is among them, by sectors where the image has them, else by blocks;
    so is what is lost, and what the disk is larger than it was.

    Args:
        disk: The disk.
        since: Index in `disk.chain` of the older image, 1 for the parent.

    Raises:
        FormatError: A file is not as long any more as when it was opened.
        LimitError: A sector bitmap stands for too many chunks.
        ValueError: There is no such image, or the disk is closed.
    """
    last = max(1, len(disk.chain) - (disk.chain[-1].locator is None))
    if not 1 <= since <= last:
        raise ValueError(f"since is {since}, expected 1 to {last}")
    return _merged(disk, since)


def _merged(disk: Disk, since: int) -> Iterator[Changed]:
    start = end = 0
    was_zero = False
    for some in Map(disk, 0, disk.size).columns():
        for offset, length, (_, depth, kind, _) in zip(
            some.start, some.length, some.what, strict=True
        ):
            if depth >= since or kind == "parent":
                continue
            is_zero = kind == "zero"
            if end == offset and was_zero == is_zero:
                end += length
                continue
            if start < end:
                yield Changed(start, end - start, was_zero)
            start, end, was_zero = offset, offset + length, is_zero
    if start < end:
        yield Changed(start, end - start, was_zero)
