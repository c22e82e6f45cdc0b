"""What a file is made of, from its first byte to its last, and what should be past that.

It is told of files that do not open, too: all that can be found in them. Where parts overlap,
nothing is decided: they belong to several things, and rules say who may have them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise
from types import ModuleType

from ..cells import Cells
from ..format.bat import OFFSET_MASK, PLACE_SHIFT
from ..format.descent import Descent
from ..format.headers import HEADER_SECTION_LENGTH
from ..format.judge import Salvage
from ..format.place import END_OF_IDENTIFIER, TOP_LEVEL
from ..format.structures import Header, RegionEntry
from ..guids import BAT_REGION, METADATA_REGION, REGION_NAMES
from ..reading.image import Image
from ..records import NamedTuple
from ..storage.source import Source
from ..units import MIB
from . import classes
from .order import payload_entries
from .survey import bitmap_entries, is_for_numpy

MOST_PARTS = 1 << 11
MOST_CELLS = 1 << 10

# With fewer blocks each of them is a part by itself, which shows what overlaps.
FEW_BLOCKS = 1 << 15

# `kept` is what blocks without data keep, `several` belongs to more than one thing, and nothing
# refers to `nothing`, or nobody knows whether anything does: `unknown`.
KINDS = (
    "headers",
    "log",
    "metadata",
    "bat",
    "region",
    "sector_bitmap",
    "payload",
    "kept",
    "several",
    "nothing",
    "unknown",
)
NUMBERS = {kind: number for number, kind in enumerate(KINDS)}
_OF_REGION = {BAT_REGION: "bat", METADATA_REGION: "metadata"}


class Part(NamedTuple):
    """A part of the file; offsets in bytes.

    Attributes:
        start: Where it begins.
        end: Where it ends.
        kind: One of `KINDS`.
        name: Which of that kind; empty where there is no more to say.
    """

    start: int
    end: int
    kind: str
    name: str = ""


class Past(NamedTuple):
    """What lies past the end of the file, wholly or partly.

    Attributes:
        kind: One of `KINDS`.
        number: How many of the kind.
        end: Where the furthest of them ends, in bytes.
    """

    kind: str
    number: int
    end: int


class Layout(NamedTuple):
    """What a file is made of.

    Attributes:
        size: Length of the file in bytes, as the rest of this after log replay if that is possible.
        cells: How much of each kind, by its number, is in equal parts of the file.
        parts: All parts in order; None when there are too many to be listed.
        is_exact: Whether overlaps are told apart. Else what several blocks have counts for each.
        past: What lies past the end.
        unknown: What is not told of, and why.
    """

    size: int
    cells: Cells
    parts: list[Part] | None
    is_exact: bool
    past: list[Past]
    unknown: tuple[str, str] | None = None


def layout(stored: Source, image: Image | None) -> Layout:
    """Return what a file is made of.

    Args:
        stored: The file as it is stored.
        image: The image in it; None when it does not open.

    Raises:
        FormatError: It is no VHDX file, or bytes are gone that were there a moment ago.
    """
    if image is None:
        found, size = _salvaged(stored)
        unknown = "blocks, and what nothing refers to", "the image does not open"
        return _in_parts(found, size, rest="unknown")._replace(unknown=unknown)
    items = [*_structures(image.headers.current, image.regions.entries), *_bitmaps(image)]
    blocks = _few_blocks(image)
    if blocks is None:
        return _in_cells(image, items)
    length, size = image.geometry.block_size, image.source.size
    parts = [Part(p * MIB, p * MIB + length, "payload" if s else "kept") for p, s in blocks]
    return _in_parts([*items, *parts], size)


# -- what there is --------------------------------------------------------------------------------


def _salvaged(stored: Source) -> tuple[list[Part], int]:
    """Return the structures of a file that does not open, and how long the file is."""
    way = Descent(stored, Salvage(lambda _what, _why: None))
    if way.identifier is None:
        return [], stored.size
    contents = way.contents()
    table = contents.table if contents is not None else None
    header = way.headers.current if way.headers is not None else None
    found = list(_structures(header, table.table.entries if table is not None else ()))
    return found, stored.size if way.source is None else way.source.size


def _structures(header: Header | None, regions: Iterable[RegionEntry]) -> Iterator[Part]:
    yield Part(0, END_OF_IDENTIFIER, "headers", "file type identifier")
    for name, (offset, length) in TOP_LEVEL.items():
        yield Part(offset, offset + length, "headers", name.replace("_", " "))
    if header is not None:
        yield Part(header.log_offset, header.log_offset + header.log_length, "log")
    for entry in regions:
        kind = _OF_REGION.get(entry.guid, "region")
        name = "" if entry.guid in REGION_NAMES else str(entry.guid)
        yield Part(entry.file_offset, entry.file_offset + entry.length, kind, name)


def _bitmaps(image: Image) -> Iterator[Part]:
    for entry in bitmap_entries(image).values():
        offset = entry & OFFSET_MASK
        if offset:
            yield Part(offset, offset + MIB, "sector_bitmap")


def _places(image: Image) -> Iterator[tuple[int, bool]]:
    """Yield the place of each block that has one, in MiB, and whether the block is stored there."""
    for _, entries in payload_entries(image):
        for entry in entries:
            if entry and classes.occupies(entry, 1 << 64):
                yield entry >> PLACE_SHIFT, classes.is_stored(entry)


def _few_blocks(image: Image) -> list[tuple[int, bool]] | None:
    """Return the place of each block; None when they are many."""
    bulk = _spread() if is_for_numpy(image) else None
    places = _places(image) if bulk is None else bulk.places_in_bulk(image)
    found = list(islice(places, FEW_BLOCKS))
    return found if len(found) < FEW_BLOCKS else None


def _spread() -> ModuleType:
    from . import spread

    return spread


# -- parts ----------------------------------------------------------------------------------------


def _in_parts(items: list[Part], size: int, rest: str = "nothing") -> Layout:
    cells = Cells(size, MOST_CELLS, MIB)
    parts: list[Part] = []
    for part in _joined(_swept(items, size, rest)):
        cells.add(NUMBERS[part.kind], part.start, part.end)
        if len(parts) <= MOST_PARTS:
            parts.append(part)
    listed = parts if len(parts) <= MOST_PARTS else None
    return Layout(size, cells, listed, True, _past(items, size))


def _swept(items: list[Part], size: int, rest: str) -> Iterator[Part]:
    """Yield what each stretch of the file belongs to, from each bound to the next.

    Args:
        items: What there is; it may overlap, or lie past the end.
        size: Length of the file in bytes.
        rest: The kind of all else.
    """
    begin, end = defaultdict(list), defaultdict(list)
    for item in items:
        if item.start < min(item.end, size):
            begin[item.start].append(item[2:])
            end[item.end].append(item[2:])
    there: Counter[tuple[str, str]] = Counter()
    number = 0
    bounds = {0, size, min(size, HEADER_SECTION_LENGTH), *begin, *end}
    for low, high in pairwise(sorted(bound for bound in bounds if bound <= size)):
        there.update(begin.get(low, ()))
        there.subtract(end.get(low, ()))
        there = +there if low in end else there
        number += len(begin.get(low, ())) - len(end.get(low, ()))
        kind, name = _what(there, number) or _reserved(low) or (rest, "")
        yield Part(low, high, kind, name)


def _what(there: Counter[tuple[str, str]], number: int) -> tuple[str, str] | None:
    """Return kind and name of what some things have together; None when there are none."""
    if number < 2:
        return next(iter(there), None)
    names = sorted({name or kind for kind, name in there})
    return "several", ", ".join(names[:4]) + ", ..." * (len(names) > 4)


def _reserved(start: int) -> tuple[str, str] | None:
    return ("headers", "reserved") if start < HEADER_SECTION_LENGTH else None


def _joined(parts: Iterable[Part]) -> Iterator[Part]:
    """Yield parts, neighbours of one kind and name as one."""
    last: Part | None = None
    for part in parts:
        if last is not None and part[2:] == last[2:]:
            last = last._replace(end=part.end)
            continue
        if last is not None:
            yield last
        last = part
    if last is not None:
        yield last


def _past(items: Iterable[Part], size: int) -> list[Past]:
    ends = defaultdict(list)
    for item in items:
        if item.end > size and item.start < item.end:
            ends[item.kind].append(item.end)
    return [Past(kind, len(found), max(found)) for kind, found in ends.items()]


# -- cells ----------------------------------------------------------------------------------------


def _in_cells(image: Image, items: list[Part]) -> Layout:
    """Return how much of each kind is where, of an image with many blocks."""
    size, length = image.source.size, image.geometry.block_size
    cells = Cells(size, MOST_CELLS, max(MIB, length))
    for part in _swept(items, size, "nothing"):
        if part.kind != "nothing":
            cells.add(NUMBERS[part.kind], part.start, part.end)
    stored, kept = NUMBERS["payload"], NUMBERS["kept"]
    add_blocks = _spread().add_blocks if is_for_numpy(image) else _add_blocks
    past = add_blocks(image, cells, stored, kept)
    cells.fill(NUMBERS["nothing"], size)
    of_blocks = [Past("payload", *past)] if past[0] else []
    return Layout(size, cells, None, False, [*_past(items, size), *of_blocks])


def _add_blocks(image: Image, cells: Cells, stored: int, kept: int) -> tuple[int, int]:
    """Add all blocks; return how many of the stored ones are past the end, and how far.

    Args:
        image: The image.
        cells: Parts of its file.
        stored: The number of what is stored.
        kept: The number of what is kept only.
    """
    length, count, furthest = image.geometry.block_size, 0, 0
    for place, is_stored in _places(image):
        start, end = place * MIB, place * MIB + length
        cells.add(stored if is_stored else kept, start, end)
        if is_stored and end > image.source.size:
            count, furthest = count + 1, max(furthest, end)
    return count, furthest
