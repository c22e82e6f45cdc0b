"""The door to the blocks of an image: all rules about them, in the order of a report.

The rules about an entry of the BAT stand in `bat`. They are asked about the first few entries of
each class, which no rule can tell apart.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import Finding, Span, mismatch
from ..format import bat
from ..format.bat import NOT_PRESENT, STATE_MASK
from ..format.headers import HEADER_SECTION_LENGTH
from ..reading.image import Image
from ..storage.overlay import Overlay
from .bitmaps import check_bitmap_end, check_empty_slices
from .classes import Survey
from .logged import check_logged_blocks
from .losses import explain_losses
from .overlaps import check_overlaps
from .shift import check_shift, explain_shift
from .space import check_unused_space
from .survey import survey
from .told import Several, Skipped, Told

# So long an image is taken to be of which only the metadata is there, wherever it ends: as far
# as a BAT entry can point.
_SKELETON_LENGTH = 1 << 64


def check_blocks(image: Image, most: int, *, is_skeleton: bool) -> Iterator[Told]:
    """Yield what is wrong with the BAT, blocks and sector bitmaps, and what that means.

    Args:
        image: The image. Of a skeleton the source is replaced by a longer one.
        most: How many findings of a kind are wanted.
        is_skeleton: Whether only the metadata is there, and blocks may lie past the end.
    """
    size = image.source.size
    yield from bat.check_unused(image.bat)
    yield from bat.check_surplus(image.bat)
    if is_skeleton:
        image.source = Overlay(image.source, (), _SKELETON_LENGTH)
    yield from check_shift(image)
    found = survey(image, most)
    yield from check_payload_entries(image, found, most)
    yield from check_sector_bitmap_entries(image, found)
    if found.uncompared:
        yield Skipped(f"overlaps of {found.uncompared} blocks", "too many overlap")
    yield from check_overlaps(image, found)
    yield from check_allocated(image, found)
    if not is_skeleton:
        yield from check_length(image)
    yield from check_bitmap_end(image, found)
    yield from check_empty_slices(image, found, size, most)
    yield from check_logged_blocks(image, most)
    if not is_skeleton:
        yield from check_unused_space(image, found)
        yield from explain_losses(image, found)
    yield from explain_shift(image, found)


def check_payload_entries(image: Image, survey: Survey, most: int) -> Iterator[Several]:
    """Yield what is wrong with the entries of payload blocks [MS-VHDX 2.5.1.1].

    Args:
        image: The image.
        survey: The look at its BAT.
        most: How many findings of a class are wanted.
    """
    for sample in survey.payload.values():
        rest = sample.total - min(most, len(sample.numbers))
        for number, entry in zip(sample.numbers[:most], sample.entries, strict=False):
            for finding in _check_block(image, number, entry):
                yield Several(finding, rest)
            rest = 0


def _check_block(image: Image, block: int, entry: int) -> Iterator[Finding]:
    geometry, size = image.geometry, image.source.size
    needed = min(geometry.block_size, geometry.virtual_disk_size - block * geometry.block_size)
    index = geometry.payload_index(block)
    place = bat.entry_span(image.regions.bat, index, f"BAT entry of block {block}")
    is_differencing, block_size = geometry.is_differencing, geometry.block_size
    yield from bat.check_payload_entry(entry, place, needed, size, is_differencing=is_differencing)
    yield from bat.check_end_of_disk(entry, place, needed, size, block_size=block_size)


def check_sector_bitmap_entries(image: Image, survey: Survey) -> Iterator[Finding]:
    """Yield what is wrong with the entries of sector bitmaps [MS-VHDX 2.5.1.2]."""
    geometry = image.geometry
    for chunk in sorted(survey.bitmaps.keys() | survey.needy_chunks):
        index = geometry.sector_bitmap_index(chunk)
        yield from bat.check_sector_bitmap_entry(
            survey.bitmaps.get(chunk, 0),
            bat.entry_span(image.regions.bat, index, f"BAT entry of sector bitmap {chunk}"),
            image.source.size,
            is_differencing=geometry.is_differencing,
            is_needed=chunk in survey.needy_chunks,
        )


def check_allocated(image: Image, survey: Survey) -> Iterator[Finding]:
    """Yield which blocks a fixed disk lacks [MS-VHDX 2.6.2.1].

    Such a disk reads rightly, and some programs make theirs so.
    """
    geometry = image.geometry
    absent = [s for code, s in survey.payload.items() if code & STATE_MASK == NOT_PRESENT]
    if image.metadata.disk_type == "fixed" and absent:
        block = min(sample.numbers[0] for sample in absent)
        index = geometry.payload_index(block)
        place = bat.entry_span(image.regions.bat, index, f"BAT entry of block {block}")
        count = f"{sum(sample.total for sample in absent)} of {geometry.payload_blocks}"
        name, expected = "NOT_PRESENT blocks of a fixed disk", "none, all space being kept"
        yield mismatch("ITEM-09", "note", place, name, count, expected)


def check_length(image: Image) -> Iterator[Finding]:
    """Yield whether the file of a fixed disk is too short for its blocks [MS-VHDX 2.6.2.1]."""
    taken = sum(other.end - other.start for other in image.occupied)
    needed = HEADER_SECTION_LENGTH + taken + image.geometry.virtual_disk_size
    if image.metadata.disk_type == "fixed" and image.source.size < needed:
        expected = f"at least {needed:#x} to keep all blocks of a fixed disk"
        place = Span("file", 0, image.file_size)
        yield mismatch("ITEM-10", "note", place, "length", f"{image.source.size:#x}", expected)
