"""What sector bitmaps say of the sectors of a differencing disk [MS-VHDX 2.4]."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import Finding, Span, mismatch
from ..format.bat import (
    ENTRY_LENGTH,
    OFFSET_MASK,
    PARTIALLY_PRESENT,
    SECTORS_PER_BITMAP,
    STATE_MASK,
)
from ..ranges import overlap
from ..reading.image import Image
from ..units import MIB
from . import classes
from .classes import Survey
from .told import Several, Skipped, Told

# Sector bitmaps, and blocks that they are about, in which empty slices are looked for.
_MOST_BITMAPS = 256
_MOST_BLOCKS = 1 << 20

_STATE_OF_BYTE = bytes(value & STATE_MASK for value in range(256))


def check_bitmap_end(image: Image, survey: Survey) -> Iterator[Finding]:
    """Yield whether the last sector bitmap has bits for sectors that the disk has not."""
    geometry = image.geometry
    chunk = geometry.sector_bitmap_blocks - 1
    entry = survey.bitmaps.get(chunk, 0)
    if not (geometry.is_differencing and classes.is_bitmap_inside(entry, image.source.size)):
        return
    offset = entry & OFFSET_MASK
    first = _sectors_from(image, chunk)
    bits = int.from_bytes(image.source.read(offset + first // 8, MIB - first // 8), "little")
    count = (bits >> first % 8).bit_count()
    if count:
        place = Span(f"sector bitmap {chunk} at {offset:#x}", offset + first // 8, MIB - first // 8)
        name = "bits for sectors past the end of the disk"
        yield mismatch("BLK-10", "note", place, name, str(count), "none")


def _sectors_from(image: Image, chunk: int) -> int:
    """Return how many sectors the disk has from the start of a chunk on."""
    sectors = image.geometry.virtual_disk_size // image.geometry.logical_sector_size
    return sectors - chunk * SECTORS_PER_BITMAP


def check_empty_slices(image: Image, survey: Survey, size: int, most: int) -> Iterator[Told]:
    """Yield which partially present blocks have no sector in this file.

    Such a block reads as its parent does and takes up space for nothing.

    Args:
        image: The image.
        survey: The look at its BAT.
        size: Bytes of the file in which sector bitmaps are; others are not read.
        most: How many findings are wanted.
    """
    bitmaps = {
        chunk: survey.bitmaps[chunk] & OFFSET_MASK
        for chunk in sorted(survey.needy_chunks & survey.bitmaps.keys())
        if classes.is_bitmap_inside(survey.bitmaps[chunk], size)
    }
    bitmaps = {
        chunk: offset
        for chunk, offset in bitmaps.items()
        if not any(overlap((offset, offset + MIB), (o.start, o.end)) for o in image.occupied)
    }
    limit = max(1, min(_MOST_BITMAPS, _MOST_BLOCKS // image.geometry.chunk_ratio))
    found: list[Finding] = []
    total = 0
    for chunk in list(bitmaps)[:limit]:
        for block, place in _empty_slices(image, chunk, bitmaps[chunk]):
            total += 1
            if total <= most:
                name = f"bits for the PARTIALLY_PRESENT block {block}"
                found.append(mismatch("BLK-07", "note", place, name, "all 0", "some set"))
    for number, finding in enumerate(found, 1):
        yield Several(finding, total - number if number == most else 0)
    if len(bitmaps) > limit:
        what = f"{len(bitmaps) - limit} sector bitmaps"
        yield Skipped(what, f"only {limit} are searched for blocks without a sector")


def _empty_slices(image: Image, chunk: int, offset: int) -> Iterator[tuple[int, Span]]:
    """Yield the partially present blocks of a chunk that have no bit, with the place of the bits.

    Args:
        image: The image.
        chunk: Number of the chunk.
        offset: File offset of its sector bitmap.
    """
    geometry = image.geometry
    first = chunk * geometry.chunk_ratio
    count = min(geometry.chunk_ratio, geometry.payload_blocks - first)
    width = MIB // geometry.chunk_ratio
    entries = image.bat.raw(geometry.payload_index(first), count)
    states = entries[::ENTRY_LENGTH].translate(_STATE_OF_BYTE)
    bits = _of_the_disk(image.source.read(offset, count * width), _sectors_from(image, chunk))
    empty = bytes(width)
    number = states.find(PARTIALLY_PRESENT)
    while number >= 0:
        start = number * width
        if bits[start : start + width] == empty:
            place = Span(f"sector bitmap {chunk} at {offset:#x}", offset + start, width)
            yield first + number, place
        number = states.find(PARTIALLY_PRESENT, number + 1)


def _of_the_disk(bits: bytes, sectors: int) -> bytes:
    """Return bits without those for sectors that the disk has not, which nobody heeds."""
    whole, rest = divmod(sectors, 8)
    if whole >= len(bits):
        return bits
    last = bits[whole] & (1 << rest) - 1
    return bits[:whole] + bytes([last]) + bytes(len(bits) - whole - 1)
