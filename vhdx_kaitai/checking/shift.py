"""Whether pages of the BAT look moved by one entry, and what that means."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import Finding
from ..format import bat, shift
from ..reading.image import Image
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
    is_from_qemu = (image.creator or "").startswith("QEMU")
    return is_from_qemu and shift.is_last_pushed_out(image.bat, image.source.size)


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
    if image.geometry.is_differencing:
        return []
    pages = set(shift.pages_with_a_bitmap(image.bat, survey.bitmaps.items()))
    if _is_last_pushed_out(image):
        pages.add(shift.last_page(image.bat))
    return [image.regions.bat.file_offset + first * bat.ENTRY_LENGTH for first in sorted(pages)]
