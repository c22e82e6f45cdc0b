"""The look at the whole BAT: entry by entry while it is small, with numpy when it is large.

Where numpy cannot be had, a large one is looked at entry by entry as well, which takes some seconds
for every ten million.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter

from .. import fast
from ..format.bat import (
    FULLY_PRESENT,
    OFFSET_MASK,
    PARTIALLY_PRESENT,
    PLACE_SHIFT,
    RESERVED_MASK,
    STATE_MASK,
    UNMAPPED,
)
from ..format.headers import HEADER_SECTION_LENGTH
from ..reading.image import Image
from ..units import MIB, ceil_div
from . import classes
from .classes import Bounds, Classes, Places, Survey
from .order import crowds_plainly, payload_entries

# With fewer entries the import of numpy takes longer than it saves.
WORTHWHILE_ENTRIES = 1 << 15

_LOW_BITS = STATE_MASK | RESERVED_MASK  # of an entry: all but its place


def survey(image: Image, most: int) -> Survey:
    """Look at every entry of the BAT.

    Args:
        image: The image.
        most: How many entries of a class to keep.
    """
    limits = classes.bounds(image)
    if is_for_numpy(image):
        from .crowds import crowds  # these take time to import, which only a large BAT is worth
        from .tally import tally

        whole = tally(image, limits, most)
        by_class, bitmaps, needy, past = whole.by_class, whole.bitmaps, whole.needy, whole.past
        pieces, uncompared, gaps = crowds(image, whole, limits, _others(image, bitmaps))
    else:
        by_class, needy, past = _counted(image, limits, most)
        bitmaps = bitmap_entries(image)
        pieces, uncompared, gaps = crowds_plainly(image, limits, _others(image, bitmaps))
    if limits.end > classes.LONGEST:
        gaps = None
    samples = _with_cut_block_apart(image, by_class, limits)
    return Survey(limits, samples, bitmaps, needy, past, pieces, uncompared, gaps)


def is_for_numpy(image: Image) -> bool:
    """Tell whether a BAT is so large that it is better looked at with numpy, and that is there."""
    return image.geometry.entry_count >= WORTHWHILE_ENTRIES and fast.has_numpy()


def _counted(image: Image, limits: Bounds, most: int) -> tuple[Classes, set[int], Places]:
    """Return the entries by class, the chunks with a partially present block, and places past."""
    geometry = image.geometry
    is_child = geometry.is_differencing
    by_class = Classes(most)
    needy: set[int] = set()
    past = Places()
    for first, entries in payload_entries(image):
        counts = _plain_counts(entries, limits, is_child=is_child)
        if counts is None:
            past = _count_any(by_class, first, entries, limits, is_child=is_child).and_more(past)
            is_needy = any(entry & STATE_MASK == PARTIALLY_PRESENT for entry in entries)
        else:
            _count_plain(by_class, first, entries, counts)
            is_needy = PARTIALLY_PRESENT in counts
        if is_child and is_needy:
            needy.add(first // geometry.chunk_ratio)
    return by_class, needy, past


def _plain_counts(entries: array[int], limits: Bounds, *, is_child: bool) -> dict[int, int] | None:
    """Return how many entries are of each class; None when a rule may complain about any."""
    ordered = sorted(entries)
    if ordered[-1] >> PLACE_SHIFT > limits.last_start:
        return None
    with_place = bisect_left(ordered, 1 << PLACE_SHIFT)
    absent = Counter(ordered[:with_place])
    stored = Counter(map(_LOW_BITS.__and__, ordered[with_place:]))
    of_stored = {FULLY_PRESENT, PARTIALLY_PRESENT} if is_child else {FULLY_PRESENT}
    if max(absent, default=0) > UNMAPPED or not stored.keys() <= of_stored:
        return None
    return {state | classes.NO_PLACE: count for state, count in absent.items()} | stored


def _count_plain(
    by_class: Classes, first: int, entries: array[int], counts: dict[int, int]
) -> None:
    """Count entries from a block on that no rule complains about: one of a class is named."""
    for code, count in counts.items():
        if code in by_class:
            by_class.add(code, count, [], [])
        else:
            state = code & STATE_MASK
            at = next(at for at, entry in enumerate(entries) if entry & STATE_MASK == state)
            by_class.add(code, count, [first + at], [entries[at]])


def _count_any(
    by_class: Classes, first: int, entries: array[int], limits: Bounds, *, is_child: bool
) -> Places:
    """Count entries of all kinds, from a block on, and return the places past the end."""
    past: list[int] = []
    codes = [classes.class_of(entry, limits) for entry in entries]
    for code, count in Counter(codes).items():
        at = [index for index, other in enumerate(codes) if other == code]
        named = at[: by_class.room(code)]
        by_class.add(code, count, [first + i for i in named], [entries[i] for i in named])
        if classes.is_past(code, is_child=is_child):
            past += (entries[index] >> PLACE_SHIFT for index in at)
    return Places.of(past, limits)


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
