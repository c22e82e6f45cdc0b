"""Blocks that the log writes to, although payload is never logged [MS-VHDX 2.3]."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from ..errors import Finding
from ..format import bat
from ..format.bat import FULLY_PRESENT, OFFSET_MASK, PARTIALLY_PRESENT, STATE_MASK
from ..reading.image import Image
from ..storage.overlay import Overlay, Update
from .order import payload_entries
from .survey import is_for_numpy
from .told import Several


def check_logged_blocks(image: Image, most: int) -> Iterator[Several]:
    """Yield which stored blocks the log writes to.

    The space may have had another use when the entry was written, so this is
    no proof.

    Args:
        image: The image.
        most: How many findings are wanted.
    """
    if not isinstance(image.source, Overlay) or not image.source.updates:
        return
    blocks, total = _logged_blocks(image, image.source.updates, most)
    for number, (block, offset) in enumerate(blocks, 1):
        index = image.geometry.payload_index(block)
        place = bat.entry_span(image.regions.bat, index, f"BAT entry of block {block}")
        message = f"the log writes to block {block} at {offset:#x}, expected metadata only"
        finding = Finding("LOG-42", "note", place, message)
        yield Several(finding, total - most if number == most else 0)


def _logged_blocks(
    image: Image, updates: Sequence[Update], most: int
) -> tuple[list[tuple[int, int]], int]:
    """Return the first blocks with logged bytes, with their places, and how many there are."""
    starts, ends = [update.start for update in updates], [update.end for update in updates]
    if is_for_numpy(image):
        from .crowds import blocks_in  # takes time to import, which only a large BAT is worth

        return blocks_in(image, starts, ends, most)
    size = image.geometry.block_size
    found: list[tuple[int, int]] = []
    total = 0
    for first, entries in payload_entries(image):
        for block, entry in enumerate(entries, first):
            offset = entry & OFFSET_MASK
            if entry & STATE_MASK in (FULLY_PRESENT, PARTIALLY_PRESENT):
                at = bisect_right(ends, offset)
                if at < len(starts) and starts[at] < offset + size:
                    total += 1
                    if len(found) < most:
                        found.append((block, offset))
    return found, total
