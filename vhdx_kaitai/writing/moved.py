"""Pages of the BAT that QEMU has moved by one entry are moved back."""

from __future__ import annotations

from collections.abc import Sequence

from ..checking.findings import MOST_OF_ALL
from ..checking.survey import survey
from ..errors import UnsupportedError
from ..format import bat, shift
from ..reading.image import Image
from ..storage.target import Target
from ..text import counted
from ..units import MIB
from .mending import (
    Doubt,
    Leave,
    Mended,
    begun,
    refuse_dirty,
    refuse_others,
    through_log,
)
from .rehearsal import Rehearsal

_ENTRY = bat.ENTRY_LENGTH


def mend_shift(file: Target, leave: Leave) -> Mended:
    """Move the entries of pages of a BAT back that QEMU has moved by one.

    The last entry of such a page is lost, but for that of the last page, which stands after
    the end of the BAT. What it was has to be certain: that of a sector bitmap is empty, in a
    file in which there is no room for another block that of a block is, too; and if there
    is room for just one that nothing refers to, and one entry is lost, it was there.

    The disk reads otherwise then, so its DataWriteGuid is a new one (HDR-22).

    Raises:
        UnsafeError: Others rely on the image as it is.
        UnsupportedError: No page looks so, or it is not certain what an entry was.
    """
    refuse_dirty(file)
    image = Image(file)
    pages = shift.shifted_pages(image.bat, file.size)
    if not pages or not (image.creator or "").startswith("QEMU"):
        raise UnsupportedError("no page of the BAT looks moved by QEMU")
    pieces = _moved_back(image.bat, pages)
    lost = [index for index in map(_last_of, pages) if _is_of_a_block(index, image.bat)]
    found = _place_of_the_lost(_with(file, pieces), len(lost)) if lost else None
    if found is not None:
        place = image.regions.bat.file_offset + lost[0] * _ENTRY
        pieces[place] = (found | bat.FULLY_PRESENT).to_bytes(_ENTRY, "little")
    refuse_others(image, leave)
    through_log(file, pieces, session=begun(file, for_data=True))
    told = counted(len(pages), "page of the BAT is", "pages of the BAT are")
    what = f"{told} moved back by one entry"
    if found is None:
        return Mended(what)
    geometry = image.geometry
    start = (lost[0] - lost[0] // (geometry.chunk_ratio + 1)) * geometry.block_size
    length = min(geometry.block_size, geometry.virtual_disk_size - start)
    only = f"nothing, if the block at {found:#x}, to which nothing refers, is the one of the entry"
    return Mended(what, f"{only} that was lost", doubtful=(Doubt(start, length, found),))


def _moved_back(table: bat.Bat, pages: Sequence[int]) -> dict[int, bytes]:
    """Return what is to be in the file, by offset; entries that are lost are empty."""
    source, base, pieces = shift.moved_back(table, pages).source, table.region.file_offset, {}
    for first in pages:
        start = base + (first + 1) * _ENTRY
        count = min(bat.PAGE_ENTRIES, table.geometry.entry_count - first)
        kept = count - 1 if count < bat.PAGE_ENTRIES else count - 2
        pieces[start] = source.read(start, kept * _ENTRY) + bytes(_ENTRY)
    return pieces


def _last_of(first: int) -> int:
    return first + bat.PAGE_ENTRIES - 1


def _is_of_a_block(index: int, table: bat.Bat) -> bool:
    """Tell whether an entry is in the BAT, and not one of a sector bitmap."""
    geometry = table.geometry
    return index < geometry.entry_count and (index + 1) % (geometry.chunk_ratio + 1) != 0


def _with(file: Target, pieces: dict[int, bytes]) -> Image:
    """Return the image as it would be."""
    tried = Rehearsal(file)
    for offset, data in pieces.items():
        tried.write(data, offset)
    return Image(tried)


def _place_of_the_lost(image: Image, count: int) -> int | None:
    """Return the file offset of the block whose entry is lost; None when no block is.

    Args:
        image: What has the lost entries empty.
        count: How many are lost.

    Raises:
        UnsupportedError: That is not certain.
    """
    gaps, length = survey(image, MOST_OF_ALL).gaps, image.geometry.block_size // MIB
    if gaps is not None and gaps.total < length:
        return None
    if gaps is not None and count == 1 and gaps.total == length and len(gaps.first) == 1:
        return gaps.first[0][0] * MIB
    lost = counted(count, "entry of a block is", "entries of blocks are")
    raise UnsupportedError(f"{lost} lost, and more than one place may be what it led to")
