"""What becomes of the space of a file, and what of the disk is lost or shared, in numbers."""

from __future__ import annotations

from collections.abc import Callable

from ..format.bat import FULLY_PRESENT, PLACE_SHIFT, RESERVED_MASK, STATE_MASK, UNDEFINED, UNMAPPED
from ..ranges import overlap
from ..reading.image import Image
from ..records import NamedTuple
from ..text import counted
from ..units import MIB
from . import classes
from .classes import Survey
from .losses import is_refused, length_of, losses
from .order import payload_entries
from .overlaps import sharing_blocks
from .shift import shifted_pages
from .space import check_unused_space
from .survey import survey
from .told import Sentence

_NAMED = 1  # the blocks are counted; which they are nobody asks here
_ZEROS = bytes(MIB)


class Usage(NamedTuple):
    """Where the bytes are.

    Attributes:
        stored: Bytes of the disk in blocks that are stored by what the BAT says.
        kept: Bytes of the file that UNMAPPED and UNDEFINED blocks keep.
        unreferenced: Bytes of the file that nothing refers to; None when it is too long to tell.
        lost: How many of the stored ones a reader refuses.
    """

    stored: int
    kept: int
    unreferenced: int | None
    lost: int


def usage(image: Image) -> Usage:
    """Return where the bytes are; reads the whole BAT."""
    found = survey(image, _NAMED)
    samples = found.payload.items()
    stored = sum(length_of(image, c, sample) for c, sample in samples if classes.is_stored(c))
    kept = sum(
        sample.total * image.geometry.block_size
        for code, sample in samples
        if code & STATE_MASK in (UNDEFINED, UNMAPPED)
        and not code & (classes.NO_PLACE | classes.PAST_THE_END)
    )
    readable = losses(image, found).readable - _covering(image, found) * image.geometry.block_size
    gaps = found.gaps and found.gaps.length(image.source.size)
    return Usage(stored, kept, gaps, stored - max(0, readable))


def about_losses(image: Image) -> str | None:
    """Return in one line which stored blocks are lost or shared; None when none is.

    Reads the whole BAT.
    """
    found = survey(image, _NAMED)
    refused = [
        (code, sample.total)
        for code, sample in found.payload.items()
        if is_refused(code, is_child=image.geometry.is_differencing)
    ]
    lost = sum(total for code, total in refused if classes.is_stored(code))
    lost += _covering(image, found)
    unknown = sum(total for code, total in refused if not classes.is_stored(code))
    bitmaps = sum(_is_bitmap_lost(image, found, chunk) for chunk in found.needy_chunks)
    sharing = sharing_blocks(image, found) + found.uncompared
    parts = [
        f"{lost} of {found.stored} stored blocks are lost, wholly or partly" * bool(lost),
        f"{counted(unknown, 'entry', 'entries')} of the BAT cannot be read" * bool(unknown),
        f"{counted(bitmaps, 'sector bitmap is', 'sector bitmaps are')} lost" * bool(bitmaps),
        f"{sharing} blocks share space of the file" * bool(sharing),
        "the BAT looks shifted by one entry" * bool(shifted_pages(image, found)),
        "the BAT is empty, but the file has data that nothing refers to" * _is_wiped(image, found),
    ]
    told = "; ".join(filter(None, parts))
    return f"{told} (`check` says which)" if told else None


def _is_wiped(image: Image, survey: Survey) -> bool:
    """Tell whether all entries of the BAT are 0 although the file has data."""
    return not survey.stored and any(
        isinstance(news, Sentence) for news in check_unused_space(image, survey)
    )


def _covering(image: Image, survey: Survey) -> int:
    """Return how many stored blocks lie over regions or the log, and are refused for that alone."""
    size = image.geometry.block_size
    is_child = image.geometry.is_differencing
    return sum(
        classes.is_stored(entry)
        and not is_refused(classes.class_of(entry, survey.limits), is_child=is_child)
        and _is_taken(image, (entry >> PLACE_SHIFT) * MIB, size)
        for _, entry in survey.pieces
    )


def _is_taken(image: Image, offset: int, length: int) -> bool:
    """Tell whether regions or the log have some of a range of the file."""
    block = (offset, offset + length)
    return any(overlap(block, (other.start, other.end)) for other in image.occupied)


def _is_bitmap_lost(image: Image, survey: Survey, chunk: int) -> bool:
    """Tell whether a reader refuses the sector bitmap of a chunk."""
    entry = survey.bitmaps.get(chunk, 0)
    return (
        bool(entry & RESERVED_MASK)
        or not classes.is_bitmap_inside(entry, image.source.size)
        or _is_taken(image, (entry >> PLACE_SHIFT) * MIB, MIB)
    )


def zeros_in_blocks(
    image: Image, progress: Callable[[int], object] = lambda _end: None
) -> int | None:
    """Return how many bytes of the file blocks take that hold nothing but zeros.

    Reads all blocks that are wholly stored, but for holes of the file.

    Args:
        image: The image.
        progress: Told up to which file offset they were read.

    Returns:
        The bytes; None when the file is too long to tell.
    """
    limits = classes.bounds(image)
    if limits.end > classes.LONGEST:
        return None
    marks = bytearray(limits.last_start + 1)  # so that each place is looked at once
    for _, entries in payload_entries(image):
        for entry in entries:
            place = entry >> PLACE_SHIFT
            if entry & (STATE_MASK | RESERVED_MASK) == FULLY_PRESENT and place <= limits.last_start:
                marks[place] = 1
    size, total = image.geometry.block_size, 0
    place = marks.find(1, 1)
    while place >= 0:
        total += size if _is_zero(image, place * MIB, size) else 0
        progress(place * MIB + size)
        place = marks.find(1, place + 1)
    return total


def _is_zero(image: Image, offset: int, length: int) -> bool:
    """Tell whether a range of the file holds nothing but zeros."""
    end = offset + length
    file = image.source.local_file(offset, end)
    stored = [(offset, end)] if file is None else file.stored_ranges(offset, end)
    return all(
        image.source.read(at, min(MIB, high - at)) == _ZEROS[: high - at]
        for low, high in stored
        for at in range(low, high, MIB)
    )
