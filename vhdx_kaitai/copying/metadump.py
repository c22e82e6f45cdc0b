"""Metadata dumps: all metadata of an image at its own offsets, and no payload.

A dump shows what an image shows, fits into a bug report, and tells nothing
about what is on the disk. What is kept is what the grammar has names for:
the header section's structures, the log, the metadata table and its items, the
entries of the BAT, and the sector bitmaps of a differencing disk, without which
a chain could not be mapped. Everything else is a hole.

Facts that force the design:

* Bug reports are about damaged files, so finding what to keep must not need a
  good one. Each step goes as far as it can and says what it could not find.
* A dirty log may change where everything is. What is kept is what stands in
  the file as it is stored, and as it reads after replay.
* The bytes are copied as they are, so that damage stays what it was. Only
  redaction rewrites some, and log entries that hold copies of those.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Literal

from ..errors import FormatError, LimitError
from ..format import bat, headers, log, metadata
from ..format.descent import Contents, Descent
from ..format.judge import Salvage
from ..format.place import HEADERS, IDENTIFIER, REGION_TABLES, Place, length_of
from ..format.structures import MetadataEntry, RegionEntry, RegionTable
from ..guids import BAT_REGION, ITEM_NAMES, REGION_NAMES
from ..ranges import Ranges
from ..records import NamedTuple
from ..storage.source import Source, SourceLike, open_source
from ..storage.target import OutFile, new_file
from ..units import GIB, MIB, ceil_div
from .files import refuse_source
from .redact import LogRedactor, entry_heads, redacted_item
from .sparse import copy_range

Form = Literal["cut", "sparse"]

TOO_LONG_FOR_WEB_IDE = 2 * GIB  # browsers cannot load more at once


class Kept(NamedTuple):
    """A range of the image that is in the dump, or was blanked there.

    Attributes:
        name: What stands there.
        offset: File offset in bytes.
        length: Bytes.
        reason: What says that it stands there.
    """

    name: str
    offset: int
    length: int
    reason: str


class Missing(NamedTuple):
    """Something that was not found, or not wholly.

    Attributes:
        what: What.
        why: Why not.
    """

    what: str
    why: str


class Manifest(NamedTuple):
    """What a dump consists of; sizes in bytes.

    Attributes:
        form: `cut`: it ends after the last structure. `sparse`: as long as the image.
        is_redacted: Whether creator, paths and unknown items are blanked.
        file_size: Length of the image.
        length: Length of the dump.
        ends_with: What it could not be shorter for.
        kept_bytes: How much of that is in a kept range.
        written_bytes: How much was written; the rest is holes.
        kept: Ranges that are in the dump. They may overlap.
        blanked: Ranges that redaction has blanked or replaced.
        missing: What was not found.
    """

    form: Form
    is_redacted: bool
    file_size: int
    length: int
    ends_with: str
    kept_bytes: int
    written_bytes: int
    kept: tuple[Kept, ...]
    blanked: tuple[Kept, ...]
    missing: tuple[Missing, ...]


def metadump(
    source: SourceLike,
    path: str | os.PathLike[str],
    *,
    form: Form = "cut",
    redact: bool = False,
    slack: bool = False,
    replace: bool = True,
) -> Manifest:
    """Write the metadata of an image to a file, which appears under its name when it is whole.

    Args:
        source: Path, buffer or binary file object; it is only read.
        path: Path of the dump.
        form: `cut` ends after the last structure, `sparse` is as long as the image.
        redact: Blank creator, paths, and items that the specification does not name.
        slack: Keep the rest of the header section and of all regions, unknown ones
            included; never what lies between them, which may be former payload.
        replace: Whether a file that is there may be replaced.

    Raises:
        FormatError: It is no VHDX file (FTI-01).
        OSError: The image cannot be read or the dump cannot be written.
    """
    if redact and slack:
        raise ValueError("slack may hold anything, so a dump with it cannot be redacted")
    path = os.fspath(path)
    stored = open_source(source)
    try:
        with suppress(FileNotFoundError):
            refuse_source((stored,), os.stat(path), path)
        plan = _Plan(stored, redact=redact, slack=slack)
        plan.make()
        with new_file(path, replace=replace) as out:
            return plan.write(out, form)
    except FormatError as error:
        error.path = stored.path
        raise
    finally:
        if stored is not source:
            stored.close()


class _View:
    """What a dump takes from a file as it reads before, or after, log replay.

    Attributes:
        source: The file as it reads.
        copied: Ranges to be copied.
        replaced: Bytes that stand instead of what was copied, with their file offsets.
        numbers: Those of the copied ranges that cannot hold text.
    """

    def __init__(self, source: Source, note: str) -> None:
        self.source = source
        self.note = note
        self.copied: list[tuple[int, int]] = []
        self.replaced: list[tuple[int, bytes]] = []
        self.numbers: list[tuple[int, int]] = []


class _Plan:
    """What to keep of a file; made first, then written.

    Args:
        stored: The file as it is stored.
        redact: Blank what may tell about people and places.
        slack: Keep bytes that have no meaning, too.
    """

    def __init__(self, stored: Source, *, redact: bool, slack: bool) -> None:
        self._stored = stored
        self._redact = redact
        self._slack = slack
        self._views: list[_View] = []
        self._ring: log.Log | None = None
        self._log_range: tuple[int, int] | None = None
        self._occupied = Ranges()
        self._seen: set[tuple[int, int]] = set()
        self._reach = 0
        self._ends_with = "the identifier"
        self._kept: list[Kept] = []
        self._blanked: list[Kept] = []
        self._missing: list[Missing] = []

    # -- finding ----------------------------------------------------------------------------------

    def make(self) -> None:
        """Find everything there is to be kept."""
        judge = Salvage(self._miss)
        way = Descent(self._stored, judge)
        is_long_enough = way.identifier is not None
        view = self._view(self._stored, "")
        self._keep_header_section(view)
        if not is_long_enough:
            why = f"the file has only {self._stored.size} bytes"
            self._miss("everything after the header section", why)
            return
        self._keep_log(view, way)
        replayed = self._replayed(way, judge)
        if replayed is not None:
            complaints = len(self._missing)
            self._keep_contents(view, way)
            del self._missing[complaints:]  # the log brings what is not there yet
            view = self._view(replayed, ", after log replay")
            tables = [(place.offset or 0, place.length) for place in REGION_TABLES]
            view.copied += [(offset, offset + length) for offset, length in tables]
            view.numbers += view.copied
        self._keep_contents(view, way)

    def _view(self, source: Source, note: str) -> _View:
        self._views.append(_View(source, note))
        return self._views[-1]

    def _miss(self, what: str, why: str) -> None:
        self._missing.append(Missing(what, why))

    def _keep(
        self,
        view: _View,
        name: str,
        offset: int,
        length: int,
        reason: str,
        *,
        is_numbers: bool = False,
    ) -> None:
        """Keep a range, as far as it lies in the file."""
        end = min(offset + length, view.source.size)
        if end < offset + length:
            there = max(0, end - offset)
            self._miss(name, f"{there} of {length} bytes at {offset:#x} are in the file")
        if offset >= end:
            return
        view.copied.append((offset, end))
        if is_numbers:
            view.numbers.append((offset, end))
        stored_end = min(end, self._stored.size)  # after that it is in the log alone
        if offset < stored_end:
            self._list(Kept(name, offset, stored_end - offset, reason + view.note))

    def _list(self, kept: Kept) -> None:
        self._extend(kept.offset + kept.length, kept.name)
        if (kept.offset, kept.length) not in self._seen:
            self._seen.add((kept.offset, kept.length))
            self._kept.append(kept)

    def _keep_header_section(self, view: _View) -> None:
        identifier = IDENTIFIER
        end = HEADERS[0].offset or 0
        if self._redact:
            self._keep(view, identifier.name, 0, identifier.length, "signature")
            creator = identifier.field("raw_creator")
            offset = creator.offset or 0
            self._blanked.append(Kept("creator", offset, creator.length, identifier.name))
        else:
            self._keep(view, identifier.name, 0, end, "fixed place")
        for place in (*HEADERS, *REGION_TABLES):
            offset = place.offset or 0
            self._keep(view, place.name, offset, place.length, "fixed place", is_numbers=True)
        if self._slack:
            length = headers.HEADER_SECTION_LENGTH
            self._keep(view, "header section", 0, length, "slack")

    def _keep_log(self, view: _View, way: Descent) -> None:
        """Keep the log that the header to go by places, even if that header may not be believed."""
        if way.headers is None:
            return
        header = way.headers.current
        if header.log_length:
            before = len(view.copied)
            self._keep(view, "log", header.log_offset, header.log_length, header.place.name)
            self._log_range = next(iter(view.copied[before:]), None)
            if self._redact and self._log_range is not None:  # it is written in its own way
                start, end = view.copied.pop()
                name = "data in log entries"
                self._blanked.append(Kept(name, start, end - start, header.place.name))
        self._ring = way.log

    def _replayed(self, way: Descent, judge: Salvage) -> Source | None:
        """Return the file as it reads after log replay, None when nothing is replayed."""
        if way.sequence:  # a shorter file must not be replayed (LOG-32)
            end = way.sequence[-1].header.flushed_file_offset
            self._extend(end, "the length that the log demands")
        if way.replayed is not None:
            return way.replayed.source
        errors = [judge.errors.get(layer) for layer in ("header", "sequence", "replayed")]
        for error in filter(None, errors):
            # What else is wrong with the header is no news to who dumps a damaged file.
            if isinstance(error, LimitError) or error is not errors[0]:
                self._miss("the state after log replay", str(error))
        return None

    def _extend(self, end: int, name: str) -> None:
        """Make the dump so long at least, if the image is."""
        end = min(end, self._stored.size)
        if end > self._reach:
            self._reach, self._ends_with = end, name

    def _keep_contents(self, view: _View, way: Descent) -> None:
        """Keep what the region tables lead to."""
        judge = Salvage(self._miss)
        contents = way.contents_of(view.source, judge)
        if contents.table is not None:
            self._keep_regions(view, contents, contents.table.table, judge)

    def _keep_regions(
        self, view: _View, contents: Contents, table: RegionTable, judge: Salvage
    ) -> None:
        places = [(entry.file_offset, entry.file_offset + entry.length) for entry in table.entries]
        self._occupied = Ranges([*places, *filter(None, [self._log_range])])
        for entry in table.entries:
            name = f"{REGION_NAMES.get(entry.guid, entry.guid)} region"
            self._extend(entry.file_offset + entry.length, name)
            if self._slack:
                self._keep(view, name, entry.file_offset, entry.length, "slack")
        region = contents.metadata_region
        if region is not None:
            self._keep_metadata(view, contents, region, judge)
        else:
            self._miss("metadata region", f"{table.place.name} does not name it")
        geometry = contents.geometry
        bats = [entry for entry in table.entries if entry.guid == BAT_REGION]
        if bats:
            self._keep_bat(view, bats[0], geometry, table.place.name)
        else:
            self._miss("BAT", f"{table.place.name} does not name it")

    def _keep_metadata(
        self, view: _View, contents: Contents, region: RegionEntry, judge: Salvage
    ) -> None:
        """Keep the metadata table and its items."""
        assert contents.table is not None  # it names the region
        reason = contents.table.table.place.name
        place = Place("metadata table", "metadata_table", region.file_offset)
        table = contents.items.table if contents.items is not None else None
        length = place.length
        if self._redact and table is None:
            length = place.field("signature").length
        elif self._redact and table is not None:  # what is after the entries may be anything
            end = metadata.entry_place(table, len(table.entries)).offset or 0
            length = end - region.file_offset
        self._keep(view, place.name, region.file_offset, length, reason)
        if table is None:
            self._miss("metadata items", str(judge.errors["items"]))
            return
        for entry in table.entries:
            self._keep_item(view, region, entry)
        if table.num_entries > len(table.entries):
            why = f"EntryCount {table.num_entries}, expected at most {metadata.MAX_ENTRIES}"
            self._miss("metadata items", why)

    def _keep_item(self, view: _View, region: RegionEntry, entry: MetadataEntry) -> None:
        length = min(entry.length, metadata.MAX_ITEM_LENGTH, max(0, region.length - entry.offset))
        if length <= 0:
            return
        offset = region.file_offset + entry.offset
        name = ITEM_NAMES.get(entry.item_id) if entry.kind != "other" else None
        name = name or f"{'user ' if entry.is_user else ''}item {entry.item_id}"
        if self._redact and entry.kind == "other":
            self._blanked.append(Kept(name, offset, length, "not named by the specification"))
            return
        if self._redact and entry.kind != "parent_locator":  # a longer one may be anything
            length = min(length, length_of(f"{entry.kind}_item"))
        self._keep(view, name, offset, length, "metadata table")
        if self._redact and entry.kind == "parent_locator":
            self._blanked.append(Kept("paths in " + name, offset, length, "metadata table"))
            view.replaced.append((offset, redacted_item(view.source, offset, length)))

    def _keep_bat(
        self, view: _View, region: RegionEntry, geometry: bat.Geometry | None, reason: str
    ) -> None:
        needed = geometry.entry_count * bat.ENTRY_LENGTH if geometry else region.length
        length = min(needed, region.length)
        self._keep(view, "BAT", region.file_offset, length, reason, is_numbers=True)
        if geometry is None or not geometry.is_differencing:
            return
        if length < needed:
            self._miss("sector bitmaps", "the BAT region is too small for the disk")
            return
        table = bat.Bat(view.source, region, geometry)
        try:
            for chunk in range(geometry.sector_bitmap_blocks):
                self._keep_bitmap(view, chunk, table.entry(geometry.sector_bitmap_index(chunk)))
        except FormatError as error:
            self._miss("sector bitmaps", str(error))

    def _keep_bitmap(self, view: _View, chunk: int, entry: int) -> None:
        offset = entry & bat.OFFSET_MASK
        if entry & bat.STATE_MASK != bat.PRESENT or offset < MIB:
            return
        name = f"sector bitmap {chunk}"
        if self._redact and any(self._occupied.inside(offset, offset + MIB)):
            self._miss(name, f"at {offset:#x} it lies over a region or the log, so it is none")
        else:
            self._keep(view, name, offset, MIB, "BAT", is_numbers=True)

    # -- writing ----------------------------------------------------------------------------------

    def _cut_length(self) -> int:
        """Return where the cut form ends, in bytes.

        That is after the last structure, at the end of a MiB; if the image does
        not end at one, neither does the dump (GEN-08).
        """
        size = self._stored.size
        return min(size, ceil_div(self._reach, MIB) * MIB + size % MIB)

    def _kept_bytes(self) -> int:
        """Return how many bytes are in a kept range."""
        ranges = Ranges((kept.offset, kept.offset + kept.length) for kept in self._kept)
        return sum(end - start for start, end in ranges)

    def write(self, out: OutFile, form: Form) -> Manifest:
        """Write the dump into an empty file."""
        length = self._stored.size if form == "sparse" else self._cut_length()
        out.set_length(length)
        written = sum(self._write_view(out, view) for view in self._views)
        if self._redact:
            written += sum(self._write(out, data, offset) for offset, data in self._redacted_log())
        return Manifest(
            form,
            self._redact,
            self._stored.size,
            length,
            self._ends_with if form == "cut" else "the image",
            self._kept_bytes(),
            written,
            tuple(self._kept),
            tuple(self._blanked),
            tuple(self._missing),
        )

    def _write_view(self, out: OutFile, view: _View) -> int:
        """Write what is taken from a view, and return how many bytes that were."""
        # Redacted, the stored bytes below an update must not show through.
        source = view.source if self._redact else self._stored
        ranges = Ranges(view.copied)
        if self._redact and self._log_range is not None:
            ranges.subtract(*self._log_range)  # where nothing else has a right to be
        written = 0
        for start, end in ranges:
            written += copy_range(source, out, start, min(end, self._stored.size))
        for offset, data in view.replaced:
            written += self._write(out, data, offset)
        return written

    def _write(self, out: OutFile, data: bytes, offset: int) -> int:
        view = memoryview(data)[: max(0, self._stored.size - offset)]
        out.write(view, offset)
        return len(view)

    def _redacted_log(self) -> Iterator[tuple[int, bytes]]:
        """Yield the log without what may be text: heads of entries, and valid ones whole."""
        if self._log_range is None:
            return
        yield from entry_heads(self._stored, *self._log_range)
        if self._ring is not None:
            view = self._views[-1]
            copied, numbers = Ranges(view.copied), Ranges(view.numbers)
            yield from LogRedactor(
                self._ring, view.source, copied, numbers, view.replaced
            ).entries()
