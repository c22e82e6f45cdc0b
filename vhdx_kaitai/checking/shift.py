"""Pages of the BAT whose entries were moved by one place.

QEMU before 8.0 does that when it updates the first entry of a page of 4 KiB: the others follow it
one place late, and the last is lost.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import Finding
from ..format import bat
from ..format.bat import FULLY_PRESENT, PLACE_SHIFT, RESERVED_MASK, STATE_MASK
from ..reading.image import Image
from . import classes
from .classes import Survey
from .told import Sentence


def check_shift(image: Image) -> Iterator[Finding]:
    """Yield whether a block's entry was pushed out of the BAT, with what it stood for."""
    if not image.geometry.is_differencing and _is_last_pushed_out(image):
        count = image.geometry.entry_count
        place = bat.entry_span(image.regions.bat, count, "entry after the last of the BAT")
        message = "the entry of a stored block, expected 0; the page looks shifted by one entry"
        yield Finding("BAT-15", "warning", place, message)


def _is_last_pushed_out(image: Image) -> bool:
    """Tell whether the entry of a block stands where the BAT's last would be moved to.

    Only in files made by QEMU: other programs may leave such an entry when
    they make a disk smaller, which QEMU cannot do.
    """
    count = image.geometry.entry_count
    within = count % bat.PAGE_ENTRIES
    rest = image.bat.unused(bat.PAGE_ENTRIES - within)
    if within == 0 or not rest or any(rest[1:]) or not (image.creator or "").startswith("QEMU"):
        return False
    is_stored = rest[0] & (STATE_MASK | RESERVED_MASK) == FULLY_PRESENT
    is_inside = 0 < rest[0] >> PLACE_SHIFT <= classes.bounds(image).last_start
    return is_stored and is_inside and rest[0] not in image.bat.numbers(count - within, within)


def explain_shift(image: Image, survey: Survey) -> Iterator[Sentence]:
    """Yield which pages look shifted, and what that means."""
    for page in shifted_pages(image, survey):
        yield Sentence(
            f"The BAT page at {page:#x} looks shifted by one entry, as left by QEMU before 8.0 "
            "(its issue 727): blocks after its first entry are read from the wrong place.",
            ("BAT-06", "BAT-15"),
        )


def shifted_pages(image: Image, survey: Survey) -> list[int]:
    """Return file offsets of BAT pages whose entries look moved by one.

    What gives them away is a sector bitmap's entry that holds a block's, with the
    empty one of the sector bitmap after it, or a block's entry after the last of
    the BAT.
    """
    geometry = image.geometry
    if geometry.is_differencing:
        return []
    pages = set()
    for chunk, entry in survey.bitmaps.items():
        index = geometry.sector_bitmap_index(chunk)
        within = index % bat.PAGE_ENTRIES
        has_next = within < bat.PAGE_ENTRIES - 1 and index + 1 < geometry.entry_count
        is_block = entry & STATE_MASK == FULLY_PRESENT and within > 0
        if is_block and has_next and image.bat.entry(index + 1) == 0:
            pages.add(index - within)
    if _is_last_pushed_out(image):
        pages.add(geometry.entry_count - geometry.entry_count % bat.PAGE_ENTRIES)
    return [image.regions.bat.file_offset + first * bat.ENTRY_LENGTH for first in sorted(pages)]
