"""The map of a disk: what a range of it is made of, told in the quicker of two ways.

Plain Python is quicker where there is little to tell: numpy takes longer to import
than a hundred thousand extents to be found. This is the door to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from types import ModuleType

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
    """

    def __init__(self, disk: Disk, offset: int, length: int) -> None:
        self._range = disk, offset, length
        self._few = _few_extents(disk, offset, length)

    def count(self) -> int:
        """Return how many extents there are.

        Raises:
            FormatError: An image does not say rightly where some of the range is.
        """
        if self._few is not None:
            return len(self._few)
        count: int = _bulk().count_extents(*self._range)
        return count

    def has_lost(self) -> bool:
        """Tell whether any of the range is lost."""
        if self._few is not None:
            return any(extent.kind == "lost" for extent in self._few)
        has_lost: bool = _bulk().has_lost(*self._range)
        return has_lost

    def columns(self) -> Iterator[Columns]:
        """Yield the extents, thousands at a time.

        Raises:
            FormatError: An image does not say rightly where some of the range is; all
                that stands before that was yielded.
        """
        if self._few is not None:
            yield Columns.of(self._few)
        else:
            yield from _bulk().extents(*self._range)


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


def _bulk() -> ModuleType:
    from . import bulk

    return bulk
