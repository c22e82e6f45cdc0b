"""Where in its file the many blocks of an image are, with numpy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy

from ..cells import Cells
from ..format.bat import FULLY_PRESENT, STATE_MASK
from ..reading.image import Image
from ..records import TYPE_CHECKING
from ..units import MIB
from .tally import batches, occupying, places_of

if TYPE_CHECKING:
    from .tally import Numbers

_ANYWHERE = 1 << 62  # no place is as far


def places_in_bulk(image: Image) -> Iterator[tuple[int, bool]]:
    """Yield the place of each block that has one, in MiB, and whether the block is stored there."""
    for places, is_stored in _places(image):
        yield from ((place, is_stored) for place in places.tolist())


def _places(image: Image) -> Iterator[tuple[Numbers, bool]]:
    """Yield places of blocks, those of stored ones and of others apart."""
    for batch in batches(image):
        entries = batch.payload() if batch.bitmaps.any() else batch.entries  # which are all 0 then
        places = places_of(entries)
        is_stored = (entries & STATE_MASK) >= FULLY_PRESENT
        stored = places[is_stored]
        if len(stored) and not stored.all():
            stored = stored[stored > 0]
        if len(stored):
            yield stored, True
        if numpy.count_nonzero(places) > len(stored):
            kept = places[occupying(entries, _ANYWHERE) & ~is_stored]
            if len(kept):
                yield kept, False


def add_blocks(image: Image, cells: Cells, stored: int, kept: int) -> tuple[int, int]:
    """Add all blocks; return how many of the stored ones are past the end, and how far.

    Args:
        image: The image.
        cells: Parts of its file.
        stored: The number of what is stored.
        kept: The number of what is kept only.
    """
    length = image.geometry.block_size // MIB
    last = image.source.size // MIB - length  # where the last block that is not past it begins
    amounts = {kind: numpy.zeros(cells.count + 1, numpy.int64) for kind in (stored, kept)}
    count, furthest = 0, 0
    for places, is_stored in _places(image):
        highest = int(places.max())
        if is_stored and highest > last:
            count += int(numpy.count_nonzero(places > last))
            furthest = max(furthest, highest + length)
        _add(amounts[stored if is_stored else kept], places, length, cells.length // MIB)
    for kind, found in amounts.items():
        cells.add_amounts(kind, 0, (found[:-1] * MIB).tolist())
    return count, furthest * MIB


def _add(amounts: Numbers, places: Numbers, length: int, cell: int) -> None:
    """Add how many MiB of some blocks are in each cell; what is past the last one gets its own.

    Args:
        amounts: What there is in each cell.
        places: Where the blocks begin, in MiB as all of this.
        length: How long they are, which is no longer than a cell.
        cell: How long a cell is.
    """
    past = len(amounts) - 1
    number = numpy.minimum(places // cell, past)
    amounts += numpy.bincount(number, minlength=len(amounts)) * length
    if length == 1:
        return
    over = places + length - (number + 1) * cell
    spills = numpy.flatnonzero((over > 0) & (number < past))
    if len(spills):
        numpy.subtract.at(amounts, number[spills], over[spills])
        numpy.add.at(amounts, number[spills] + 1, over[spills])
