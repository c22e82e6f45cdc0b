"""The map of a disk: what a range of it is made of, told in the quicker of two ways.

Plain Python is quicker where there is little to tell: numpy takes longer to import
than a hundred thousand extents to be found. This is the door to it, and goes on without
it where it cannot be had.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from .. import fast
from ..errors import FormatError
from .disk import Disk
from .extents import Columns, Extent

# With fewer blocks and extents the import of numpy takes longer than it saves.
WORTHWHILE_BLOCKS = 500_000
WORTHWHILE_EXTENTS = 1 << 15


class Map:
    """What a range of a disk is made of.

    Args:
        disk: The disk.
        offset: Virtual offset in bytes.
        length: Bytes, not past the end of the disk.

    Raises:
        LimitError: A sector bitmap stands for too many chunks of the range.

    Attributes:
        has_lost: Whether any of what was told of it up to now is lost.
    """

    def __init__(self, disk: Disk, offset: int, length: int) -> None:
        self.has_lost = False
        self._range = disk, offset, length
        self._few = _few_extents(disk, offset, length)

    @property
    def is_large(self) -> bool:
        """Whether the extents are better looked at in bulk, for their number."""
        return self._few is None

    def count(self) -> int:
        """Return how many extents there are.

        Raises:
            FormatError: An image does not say rightly where some of the range is.
        """
        if self._few is None and fast.has_numpy():
            from .bulk import count_extents

            count, self.has_lost = count_extents(*self._range)
            return count
        return sum(len(some.start) for some in self.columns())

    def columns(self) -> Iterator[Columns]:
        """Yield the extents, thousands at a time.

        Raises:
            FormatError: An image does not say rightly where some of the range is; all
                that stands before that was yielded.
        """
        few = self._few
        for some in _many_extents(*self._range) if few is None else [Columns.of(few)]:
            self.has_lost = self.has_lost or some.has_lost
            yield some


def _few_extents(disk: Disk, offset: int, length: int) -> list[Extent] | None:
    """Return all extents of a range; None when numpy pays for them, or not all can be told."""
    if any(image.geometry.payload_blocks >= WORTHWHILE_BLOCKS for image in disk.chain):
        return None
    sample = WORTHWHILE_EXTENTS // 8
    try:
        found = disk.extents(offset, length)
        extents = list(islice(found, sample))
        if len(extents) == sample and 8 * (extents[-1].offset - offset) < length:
            return None  # there will be too many, when these cover little of the range
        extents += islice(found, WORTHWHILE_EXTENTS - len(extents))
    except FormatError:
        return None
    return extents if len(extents) < WORTHWHILE_EXTENTS else None


def _many_extents(disk: Disk, offset: int, length: int) -> Iterator[Columns]:
    """Yield all extents of a range, thousands at a time."""
    if fast.has_numpy():
        from .bulk import extents

        return extents(disk, offset, length)
    return Columns.some_of(disk.extents(offset, length))
