"""Where BAT and metadata are, found by what is there, when no region table says it.

The metadata region begins with a signature. The BAT has none; but its entries
point into the file at what is nothing else, each at a place of its own, and there
are as many as the metadata asks for. Both begin at multiples of 1 MiB
[MS-VHDX 2.2.3, 2.5, 2.6].
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import FormatError, LimitError, refuse
from ..guids import BAT_REGION, METADATA_REGION
from ..ranges import overlap
from ..storage.source import FileSource, Source
from ..units import MIB, ceil_div
from . import bat, grammar, metadata
from .bat import Geometry
from .metadata import Items
from .place import signature_of
from .regions import Tables
from .structures import RegionEntry, RegionTable

_PAGE = bat.PAGE_ENTRIES * bat.ENTRY_LENGTH
_EMPTY_PAGE = bytes(_PAGE)

# Of more stored blocks nobody looks whether two are at one place.
_MOST_COMPARED = 1 << 16


def found_table(
    tables: Tables, source: Source, place_of_log: tuple[int, int]
) -> RegionTable | None:
    """Return a region table that says what was found; None when BAT or metadata were not.

    Args:
        tables: Both copies, neither of which makes sense.
        source: The file, as it reads after log replay.
        place_of_log: File offset and length of the log in bytes.
    """
    for region, geometry in _metadata_regions(source):
        offset = _place_of_bat(source, geometry, region, place_of_log)
        if offset is not None:
            length = ceil_div(geometry.entry_count * bat.ENTRY_LENGTH, MIB) * MIB
            entries = (RegionEntry(BAT_REGION, offset, length, 1), region)
            return tables.copy(1).table._replace(entries=entries, num_entries=2, reserved=0)
    return None


def _metadata_regions(source: Source) -> Iterator[tuple[RegionEntry, Geometry]]:
    """Yield where a metadata region may be, with the shape of the BAT that follows from it."""
    signature = signature_of("metadata_table")
    for offset in _places(source):
        if source.read(offset, len(signature)) == signature:
            found = _metadata(source, offset)
            if found is not None:
                yield found


def _places(source: Source) -> Iterator[int]:
    """Yield the multiples of 1 MiB after the header section at which there is any data."""
    end = source.size - source.size % MIB
    offset = MIB
    while offset < end:
        file = source.local_file(offset, end)
        if isinstance(file, FileSource):
            hole_end = file.hole_end(offset, end)
            offset = max(offset, hole_end - hole_end % MIB)
            if offset >= end:
                return
        yield offset
        offset += MIB


def _metadata(source: Source, offset: int) -> tuple[RegionEntry, Geometry] | None:
    """Return the metadata region at a file offset, when it is one and right."""
    try:
        table = grammar.metadata_table(source, offset)
        length = max([MIB, *(entry.offset + entry.length for entry in table.entries)])
        region = RegionEntry(METADATA_REGION, offset, ceil_div(length, MIB) * MIB, 1)
        items = Items(source, region, table)
        refuse(metadata.check_table(table, region.length))
        for findings in metadata.check_items(items, table):
            refuse(findings)
        return region, Geometry.of(metadata.judged(items))
    except (FormatError, LimitError):
        return None


def _place_of_bat(
    source: Source, geometry: Geometry, region: RegionEntry, place_of_log: tuple[int, int]
) -> int | None:
    """Return where the BAT is: where most entries are those of stored blocks, and none is wrong."""
    length = geometry.entry_count * bat.ENTRY_LENGTH
    taken = [(region.file_offset, region.file_offset + region.length)]
    if place_of_log[1]:
        taken.append((place_of_log[0], sum(place_of_log)))
    best, most = None, 0
    for offset in _places(source):
        own = offset, offset + length
        if own[1] <= source.size and not any(overlap(own, other) for other in taken):
            count = _stored_blocks(source, offset, geometry, [*taken, own])
            if count > most:
                best, most = offset, count
    return best


def _stored_blocks(
    source: Source, offset: int, geometry: Geometry, taken: list[tuple[int, int]]
) -> int:
    """Return how many stored blocks a BAT at some place would have in the file; 0 if it is none.

    Args:
        source: The file, as it reads after log replay.
        offset: The place, a file offset in bytes.
        geometry: The shape of the BAT.
        taken: Ranges of the file in which there is no block.
    """
    length = geometry.entry_count * bat.ENTRY_LENGTH
    found: set[int] = set()
    count = 0
    for start in range(0, length, _PAGE):
        page = source.read(offset + start, min(_PAGE, length - start))
        if page == _EMPTY_PAGE[: len(page)]:
            continue
        for index, entry in enumerate(bat.numbers_of(page), start // bat.ENTRY_LENGTH):
            place = _place_of(entry, index, geometry)
            if place is None:
                return 0
            if place == 0:
                continue
            end = place + geometry.block_size
            if place in found or any(overlap((place, end), other) for other in taken):
                return 0
            if len(found) < _MOST_COMPARED:
                found.add(place)
            count += end <= source.size
    return count


def _place_of(entry: int, index: int, geometry: Geometry) -> int | None:
    """Return the file offset that an entry names, 0 for none; None when it is no such entry.

    Args:
        entry: What may be an entry.
        index: Which it would be.
        geometry: The shape of the BAT.
    """
    period = geometry.chunk_ratio + 1
    is_bitmap = index % period == period - 1
    state, offset = entry & bat.STATE_MASK, entry & bat.OFFSET_MASK
    possible = (bat.NOT_PRESENT, bat.PRESENT) if is_bitmap else bat.STATE_NAMES
    if state not in possible or entry & bat.RESERVED_MASK:
        return None
    if state < bat.FULLY_PRESENT:
        return 0
    if (is_bitmap or state == bat.PARTIALLY_PRESENT) and not geometry.is_differencing:
        return None
    return offset if offset >= MIB else None
