"""Where BAT and metadata are, found by what is there, when no region table says it.

The metadata region begins with a signature. The BAT has none; but its entries
point into the file at what is nothing else, each at a place of its own, and there
are as many as the metadata asks for. Both begin at multiples of 1 MiB
[MS-VHDX 2.2.3, 2.5, 2.6].
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from ..errors import FormatError, LimitError, refuse
from ..guids import BAT_REGION, METADATA_REGION
from ..ranges import overlap
from ..storage.source import Source
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

# How many places that begin like metadata are looked at, and for how many metadata a BAT is
# looked for: there may be images in an image, but its own metadata come before them.
_MOST_SIGNATURES, _MOST_METADATA = 64, 8

# No BAT has more pages than 1 << 17; a search ends without result after twice that many.
_MOST_PAGES = 1 << 18


def found_table(
    tables: Tables, source: Source, place_of_log: tuple[int, int]
) -> RegionTable | None:
    """Return a region table that says what was found; None when BAT or metadata were not.

    Args:
        tables: Both copies, neither of which makes sense.
        source: The file, as it reads after log replay.
        place_of_log: File offset and length of the log in bytes.
    """
    for region, geometry in islice(_metadata_regions(source), _MOST_METADATA):
        offset = _Search(source, geometry, region, place_of_log).place_of_bat()
        if offset is not None:
            length = ceil_div(geometry.entry_count * bat.ENTRY_LENGTH, MIB) * MIB
            entries = (RegionEntry(BAT_REGION, offset, length, 1), region)
            return tables.copy(1).table._replace(entries=entries, num_entries=2, reserved=0)
    return None


def _metadata_regions(source: Source) -> Iterator[tuple[RegionEntry, Geometry]]:
    """Yield where a metadata region may be, with the shape of the BAT that follows from it."""
    signature = signature_of("metadata_table")
    length = len(signature)
    places = (at for at in _places(source) if source.read(at, length) == signature)
    for offset in islice(places, _MOST_SIGNATURES):
        found = _metadata(source, offset)
        if found is not None:
            yield found


def _places(source: Source) -> Iterator[int]:
    """Yield the multiples of 1 MiB after the header section after which there may be any data."""
    end = source.size - source.size % MIB
    offset = MIB
    while offset < end:
        start = source.data_start(offset, end)
        offset = max(offset, start - start % MIB)
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


class _Search:
    """The search for a BAT.

    Args:
        source: The file, as it reads after log replay.
        geometry: The shape of the BAT.
        region: The metadata region.
        place_of_log: File offset and length of the log in bytes.
    """

    def __init__(
        self,
        source: Source,
        geometry: Geometry,
        region: RegionEntry,
        place_of_log: tuple[int, int],
    ) -> None:
        self._source = source
        self._geometry = geometry
        self._taken = [(region.file_offset, region.file_offset + region.length)]
        if place_of_log[1]:
            self._taken.append((place_of_log[0], sum(place_of_log)))
        self._length = geometry.entry_count * bat.ENTRY_LENGTH
        self._zeros_end = 0  # up to which there are zeros from the last place on
        self._pages = 0  # that were in order, zeros at the start not counted

    def place_of_bat(self) -> int | None:
        """Return where most entries are those of stored blocks, and none is wrong."""
        best, most = None, 0
        for offset in _places(self._source):
            own = offset, offset + self._length
            if own[1] <= self._source.size and not any(overlap(own, one) for one in self._taken):
                count = self._stored_blocks(offset)
                if count > most:
                    best, most = offset, count
                if self._pages > _MOST_PAGES:
                    return None
        return best

    def _stored_blocks(self, offset: int) -> int:
        """Return how many stored blocks a BAT at a file offset would have; 0 if it is none."""
        geometry, size = self._geometry, self._source.size
        taken = [*self._taken, (offset, offset + self._length)]
        found: set[int] = set()
        count = 0
        for first, page in self._used_pages(offset):
            for index, entry in enumerate(bat.numbers_of(page), first):
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
                count += end <= size
        return count

    def _used_pages(self, offset: int) -> Iterator[tuple[int, bytes]]:
        """Yield the pages of a possible BAT that are not all zeros, and which entry is the first.

        Zeros at the start are looked at once, however many possible BATs they are the start of.
        """
        end = offset + self._length
        start = max(offset, self._zeros_end)
        is_start = True
        while start < end:
            page = self._source.read(start, min(_PAGE, end - start))
            is_start &= page == _EMPTY_PAGE[: len(page)]
            if is_start:
                self._zeros_end = start + len(page)
            else:
                if page != _EMPTY_PAGE[: len(page)]:
                    yield (start - offset) // bat.ENTRY_LENGTH, page
                self._pages += 1
            start += len(page)


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
