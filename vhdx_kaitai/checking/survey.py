"""The look at the whole BAT: entry by entry while it is small, with numpy when it is large.

Where numpy cannot be had, as in the Python of nbdkit, a large one takes seconds for every million
of stored blocks.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from ..errors import UnsupportedError
from ..format.bat import OFFSET_MASK, PARTIALLY_PRESENT, PLACE_SHIFT, STATE_MASK
from ..format.headers import HEADER_SECTION_LENGTH
from ..reading.image import Image
from ..units import MIB, ceil_div
from . import classes
from .classes import Bounds, Classes, Gaps, Places, Survey

# With fewer entries the import of numpy takes longer than it saves.
WORTHWHILE_ENTRIES = 1 << 15

# Without numpy: entries that are looked at, and blocks that are compared when some overlap.
_MOST_ENTRIES = 1 << 22
_MOST_PIECES = 1 << 15


def survey(image: Image, most: int) -> Survey:
    """Look at every entry of the BAT.

    Args:
        image: The image.
        most: How many entries of a class to keep.

    Raises:
        UnsupportedError: There are too many of them to do without numpy, and it is not there.
    """
    limits = classes.bounds(image)
    if is_large(image):
        return _survey_in_bulk(image, limits, most)
    return _survey_plainly(image, limits, most)


def is_large(image: Image) -> bool:
    """Tell whether a BAT is so large that it is better looked at in bulk."""
    return image.geometry.entry_count >= WORTHWHILE_ENTRIES


def payload_entries(image: Image) -> Iterator[tuple[int, array[int]]]:
    """Yield the payload entries of each chunk, with the number of its first block."""
    geometry = image.geometry
    for first in range(0, geometry.payload_blocks, geometry.chunk_ratio):
        count = min(geometry.chunk_ratio, geometry.payload_blocks - first)
        yield first, image.bat.numbers(geometry.payload_index(first), count)


def _survey_plainly(image: Image, limits: Bounds, most: int) -> Survey:
    geometry = image.geometry
    by_class = Classes(most)
    needy: set[int] = set()
    past = Places()
    for first, entries in payload_entries(image):
        codes = [classes.class_of(entry, limits) for entry in entries]
        for code, count in Counter(codes).items():
            at = [index for index, other in enumerate(codes) if other == code]
            named = at[:most]
            by_class.add(code, count, [first + i for i in named], [entries[i] for i in named])
            if code & STATE_MASK == PARTIALLY_PRESENT and geometry.is_differencing:
                needy.add(first // geometry.chunk_ratio)
            if classes.is_past(code, is_child=geometry.is_differencing):
                places = (entries[index] >> PLACE_SHIFT for index in at)
                past = Places.of(places, limits).and_more(past)
    bitmaps = bitmap_entries(image)
    length = geometry.block_size // MIB
    taken = _others(image, bitmaps)
    starts = [entry >> PLACE_SHIFT for _, entry in _occupying(image, limits)]
    taken += [(start, start + length) for start in starts]
    taken.sort()  # what follows sorts, too, which takes no time then
    pieces: list[tuple[int, int]] = []
    uncompared = 0
    if not classes.are_apart(taken):
        pieces = list(islice(_occupying(image, limits), _MOST_PIECES))
        uncompared = max(0, len(starts) - len(pieces))
    gaps = Gaps.between(taken, limits.end)
    samples = _with_cut_block_apart(image, by_class, limits)
    return Survey(limits, samples, bitmaps, needy, past, pieces, uncompared, gaps)


def _occupying(image: Image, limits: Bounds) -> Iterator[tuple[int, int]]:
    """Yield number and entry of each block that takes up a place in the file."""
    for first, entries in payload_entries(image):
        for block, entry in enumerate(entries, first):
            if entry and classes.occupies(entry, limits.end):
                yield block, entry


def _survey_in_bulk(image: Image, limits: Bounds, most: int) -> Survey:
    try:
        from .crowds import crowds  # these take time to import, which only a large BAT is worth
        from .tally import tally
    except ImportError:
        if image.geometry.entry_count > _MOST_ENTRIES:
            message = f"it takes numpy to look at {image.geometry.entry_count} entries of a BAT"
            raise UnsupportedError(message) from None
        return _survey_plainly(image, limits, most)
    whole = tally(image, limits, most)
    pieces, uncompared, gaps = crowds(image, whole, limits, _others(image, whole.bitmaps))
    samples = _with_cut_block_apart(image, whole.by_class, limits)
    return Survey(limits, samples, whole.bitmaps, whole.needy, whole.past, pieces, uncompared, gaps)


def bitmap_entries(image: Image) -> dict[int, int]:
    """Return the entries of sector bitmaps that are not zero, by chunk."""
    geometry = image.geometry
    chunks = geometry.sector_bitmap_blocks - (not geometry.is_differencing)
    entries = (
        (chunk, image.bat.entry(geometry.sector_bitmap_index(chunk))) for chunk in range(chunks)
    )
    return {chunk: entry for chunk, entry in entries if entry}


def _others(image: Image, bitmaps: dict[int, int]) -> list[tuple[int, int]]:
    """Return start and end in MiB of what takes up the file besides payload blocks."""
    others = [(0, HEADER_SECTION_LENGTH // MIB)]
    others += [(other.start // MIB, ceil_div(other.end, MIB)) for other in image.occupied]
    size = image.source.size
    inside = (entry for entry in bitmaps.values() if classes.is_bitmap_inside(entry, size))
    return others + [(entry >> PLACE_SHIFT, (entry >> PLACE_SHIFT) + 1) for entry in inside]


def _with_cut_block_apart(
    image: Image, by_class: Classes, limits: Bounds
) -> dict[int, classes.Sample]:
    """Return the classes, the last block in one of its own when the disk ends inside it.

    The file need not hold all of it, so where it begins does not tell whether
    it is there.
    """
    geometry = image.geometry
    last = geometry.payload_blocks - 1
    needed = geometry.virtual_disk_size - last * geometry.block_size
    if needed < geometry.block_size:
        entry = image.bat.entry(geometry.payload_index(last))
        code = classes.class_of(entry, limits)
        by_class.remove(code, last)
        is_lost = (entry & OFFSET_MASK) + needed > image.source.size
        code = code & ~classes.PAST_THE_END | is_lost * classes.PAST_THE_END | classes.CUT
        by_class.add(code, 1, [last], [entry])
    return by_class.samples()
