"""The quick part of a check: whether stored blocks are lost or shared, in one line.

Nearly all images are in order, and a few sums over the sorted places of their blocks show it. What
those do not settle is looked at closely; so they need not know why something is wrong, only never
take anything wrong for right.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from itertools import pairwise
from operator import sub

from ..errors import FormatError
from ..format.bat import (
    FULLY_PRESENT,
    NOT_PRESENT,
    PARTIALLY_PRESENT,
    PLACE_SHIFT,
    PRESENT,
    RESERVED_MASK,
    STATE_MASK,
    UNDEFINED,
    UNMAPPED,
    ZERO,
)
from ..format.headers import HEADER_SECTION_LENGTH
from ..reading.image import Image
from ..units import MIB, ceil_div

# BATs of up to this many entries are gone through in milliseconds, without numpy.
MOST_IN_PASSING = 1 << 15

_LOW_BITS = STATE_MASK | RESERVED_MASK
# The lowest bits of entries that no reader refuses for these alone.
_OF_ANY = {NOT_PRESENT, UNDEFINED, ZERO, UNMAPPED, FULLY_PRESENT}
_OF_A_CHILD = {*_OF_ANY, PARTIALLY_PRESENT}


def losses_in_passing(image: Image) -> str | None:
    """Return what `quick` does, of images whose BAT is read in milliseconds; None of others."""
    return quick(image) if image.geometry.entry_count <= MOST_IN_PASSING else None


def quick(image: Image) -> str | None:
    """Return in one line which stored blocks are lost or shared; None when none is.

    Reads the whole BAT, that of a large disk with numpy. What keeps it from being
    read is for those to tell who need it.
    """
    try:
        if image.geometry.entry_count <= MOST_IN_PASSING and _is_right(image):
            return None
        from .usage import about_losses  # most images are in order

        return about_losses(image)
    except (FormatError, OSError):
        return None


def _is_right(image: Image) -> bool:
    """Tell whether no stored block can be lost or shared; False also where that is not obvious."""
    geometry = image.geometry
    ratio, is_child = geometry.chunk_ratio, geometry.is_differencing
    entries = image.bat.numbers(0, geometry.entry_count)
    bitmaps = entries[ratio :: ratio + 1]
    del entries[ratio :: ratio + 1]
    del entries[geometry.payload_blocks :]
    kinds = {entry & _LOW_BITS for entry in entries if entry}
    if not kinds <= (_OF_A_CHILD if is_child else _OF_ANY):
        return False
    if any(bitmaps) if not is_child else {b & _LOW_BITS for b in bitmaps if b} - {PRESENT}:
        return False
    if PARTIALLY_PRESENT in kinds and not _have_bitmaps(entries, bitmaps, ratio):
        return False
    places = sorted(entry >> PLACE_SHIFT for entry in entries if entry & STATE_MASK >= PRESENT)
    if not places and image.source.size > max(other.end for other in image.occupied):
        return False  # there is something else in the file, perhaps data
    others = [(0, HEADER_SECTION_LENGTH // MIB)]
    others += [(other.start // MIB, ceil_div(other.end, MIB)) for other in image.occupied]
    others += [(entry >> PLACE_SHIFT, (entry >> PLACE_SHIFT) + 1) for entry in bitmaps if entry]
    return _are_apart(places, geometry.block_size // MIB, sorted(others), image.source.size // MIB)


def _have_bitmaps(entries: array[int], bitmaps: array[int], ratio: int) -> bool:
    """Tell whether each chunk with a partially present block has a sector bitmap."""
    return not any(
        not bitmap
        and any(entry & STATE_MASK == PARTIALLY_PRESENT for entry in entries[at : at + ratio])
        for at, bitmap in zip(range(0, len(entries), ratio), bitmaps, strict=False)
    )


def _are_apart(places: list[int], length: int, others: list[tuple[int, int]], end: int) -> bool:
    """Tell whether blocks overlap neither each other nor anything else, and all is inside the file.

    Args:
        places: Where blocks begin, in order; in MiB as all of this.
        length: How long they are.
        others: Start and end of what else is in the file, in order.
        end: Where the file ends.
    """
    if places and places[-1] + length > end:
        return False
    if min(map(sub, places[1:], places), default=length) < length:
        return False
    for start, stop in others:
        at = bisect_left(places, start - length + 1)
        if stop > end or (at < len(places) and places[at] < stop):
            return False
    return all(one[1] <= two[0] for one, two in pairwise(others))
