"""What blocks and sector bitmaps overlap: regions, the log, or each other [MS-VHDX 2.5.1]."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..errors import Finding, Span
from ..format import bat
from ..format.bat import PLACE_SHIFT
from ..ranges import overlapping
from ..reading.image import Image
from ..records import NamedTuple
from ..units import MIB
from . import classes
from .classes import Survey


class Piece(NamedTuple):
    """Something that takes up MiBs of the file.

    Attributes:
        start: First MiB.
        end: The MiB after the last.
        is_former: Whether it is the place that a block had in former times.
        name: What it is called in messages.
        place: Where the file says so.
    """

    start: int
    end: int
    is_former: bool
    name: str
    place: Span


def check_overlaps(image: Image, survey: Survey) -> Iterator[Finding]:
    """Yield what blocks and sector bitmaps overlap.

    Regions and the log are compared with each other by `regions`.
    """
    pieces = sorted(_pieces(image, survey), key=lambda piece: piece[:2])
    for piece in pieces:
        length = (piece.end - piece.start) * MIB
        for finding in bat.check_place(piece.start * MIB, length, image.occupied, piece.place):
            yield _of_former(finding, piece.name) if piece.is_former else finding
    stored = [piece for piece in pieces if not piece.is_former]
    for one, two in _overlapping(stored):
        yield _overlap("BAT-08" if one.start == two.start else "OVL-06", one, two)
    if len(stored) < len(pieces):
        for one, two in _overlapping(pieces):
            former = [piece.name for piece in (one, two) if piece.is_former]
            if former:
                yield _of_former(_overlap("OVL-06", one, two), " and ".join(former))


def sharing_blocks(image: Image, survey: Survey) -> int:
    """Return how many stored blocks and sector bitmaps overlap one another."""
    stored = (piece for piece in _pieces(image, survey) if not piece.is_former)
    return len({piece.name for pair in _overlapping(stored) for piece in pair})


def _pieces(image: Image, survey: Survey) -> Iterator[Piece]:
    geometry = image.geometry
    length = geometry.block_size // MIB
    for block, entry in survey.pieces:
        name = f"block {block}"
        place = bat.entry_span(
            image.regions.bat, geometry.payload_index(block), f"BAT entry of {name}"
        )
        start = entry >> PLACE_SHIFT
        is_former = not classes.is_stored(entry)
        yield Piece(start, start + length, is_former, name, place)
    for chunk, entry in survey.bitmaps.items():
        if classes.is_bitmap_inside(entry, image.source.size):
            name = f"sector bitmap {chunk}"
            place = bat.entry_span(
                image.regions.bat, geometry.sector_bitmap_index(chunk), f"BAT entry of {name}"
            )
            yield Piece(entry >> PLACE_SHIFT, (entry >> PLACE_SHIFT) + 1, False, name, place)


def _overlapping(pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Piece]]:
    for one, two in overlapping((piece.start, piece.end, piece) for piece in pieces):
        yield one[2], two[2]


def _overlap(rule: str, one: Piece, two: Piece) -> Finding:
    message = (
        f"{two.name} at {two.start} to {two.end} MiB overlaps "
        f"{one.name} at {one.start} to {one.end} MiB"
    )
    return Finding(rule, "error", two.place, message)


def _of_former(finding: Finding, names: str) -> Finding:
    """Return what an overlap comes to of places from which no data is read."""
    message = f"{finding.message}; no data of {names} is read from there"
    return finding._replace(rule="OVL-09", level="warning", message=message)
