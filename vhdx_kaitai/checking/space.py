"""Space of the file that belongs to nothing, and whether it holds anything.

No rule forbids it: a block that is given up leaves its bytes where they are, until something else
is put there. So they may be data that somebody thinks deleted.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import Finding, Span
from ..format.bat import NOT_PRESENT
from ..reading.image import Image
from ..storage.source import Source
from ..text import human_size
from ..units import MIB
from . import classes
from .classes import Survey
from .told import Sentence, Skipped, Told

# Bytes that are read in search of the first that is not zero. Holes of the file do not count.
_MOST_READ = 64 * MIB
_ZEROS = bytes(MIB)


def check_unused_space(image: Image, survey: Survey) -> Iterator[Told]:
    """Yield whether there is anything in the space of a file that belongs to nothing.

    Args:
        image: The image.
        survey: The look at its BAT.
    """
    gaps = survey.gaps
    if gaps is None:
        why = "the file is longer than any disk needs"
        yield Skipped("space that belongs to nothing", why)
        return
    size = image.source.size
    ranges = [(start * MIB, min(end * MIB, size)) for start, end in gaps.first]
    length = gaps.length(size)
    offset, is_all = _first_byte(image.source, ranges)
    if offset is not None:
        space = f"space that belongs to nothing, {human_size(length)} in all"
        message = f"data in {space}, expected zeros"
        yield Finding("BLK-13", "note", Span(f"file at {offset:#x}", offset), message)
        if survey.payload.keys() == {NOT_PRESENT | classes.NO_PLACE}:
            yield Sentence(
                "All entries of the BAT are 0, as on a disk that was never written to, but the "
                f"file has data from {offset:#x} on that nothing refers to: the BAT may have been "
                "wiped.",
                ("BLK-13",),
            )
    elif not is_all or gaps.total > sum(end - start for start, end in gaps.first):
        what = f"space that belongs to nothing, {human_size(length)} in all"
        limits = f"{human_size(_MOST_READ)} or {classes.MOST_GAPS} gaps"
        yield Skipped(what, f"the first {limits} of them hold zeros alone")


def _first_byte(source: Source, ranges: list[tuple[int, int]]) -> tuple[int | None, bool]:
    """Return the file offset of the first byte that is not zero, and whether all were looked at."""
    left = _MOST_READ
    for start, end in ranges:
        file = source.local_file(start, end)
        stored = [(start, end)] if file is None else file.stored_ranges(start, end)
        for low, high in stored:
            for offset in range(low, high, MIB):
                piece = source.read(offset, min(MIB, high - offset))
                if piece != _ZEROS[: len(piece)]:
                    return offset + len(piece) - len(piece.lstrip(b"\0")), False
                left -= len(piece)
                if left <= 0:
                    return None, False
    return None, True
