"""The one way down into a VHDX file.

A layer can be found only when those above it are known: the identifier, the
headers, the log that one of them places; then, as the file reads after the
replay of that log, the region tables, the metadata, the BAT and the parent
locator [MS-VHDX 2.2 to 2.6]. That order is written here and nowhere else.
`Descent` goes from the identifier to the log, `Contents` from the region tables
to the locator.

What follows from a broken rule is for a judge to say. Opening refuses the file,
checking collects findings and goes on as far as that makes sense, and who wants
to save what can be saved follows the best that is left. Each layer is looked at
when it is first asked for, once, after all above it. What nobody asks for is
not read.
"""

from __future__ import annotations

from ..errors import FormatError, LimitError
from ..records import TYPE_CHECKING, NamedTuple
from ..storage.source import Source
from . import bat, grammar, headers, metadata, regions
from .bat import Bat, Geometry
from .headers import Headers
from .judge import REFUSE, Judge
from .metadata import ITEMS_FROM, Items, Metadata
from .place import TOP_LEVEL
from .regions import Regions, TableCopy
from .structures import Header, RegionEntry

_END_OF_TABLES = sum(TOP_LEVEL["region_table_2"])

if TYPE_CHECKING:
    from functools import cached_property as layer

    from .locator import Locator
    from .log import JudgedEntry, Log
    from .replay import ReplaySummary
else:

    class layer:  # noqa: N801 - a decorator
        """A layer of the way down; None when it is lost, of which the judge is told why."""

        def __init__(self, find):
            self._find = find
            self.__doc__ = find.__doc__

        def __set_name__(self, owner, name):
            self._name = name

        def __get__(self, way, owner=None):
            if way is None:
                return self
            try:
                found = self._find(way)
            except (FormatError, LimitError) as error:
                way.judge.lost(self._name, error)
                found = None
            setattr(way, self._name, found)  # which is looked at before this descriptor
            return found


class Replayed(NamedTuple):
    """The file as it reads after log replay.

    Attributes:
        source: The file.
        summary: What the replay changes.
    """

    source: Source
    summary: ReplaySummary


class Descent:
    """The way from the identifier to the log.

    Args:
        stored: The file as it is stored.
        judge: Says what follows from findings.
    """

    def __init__(self, stored: Source, judge: Judge) -> None:
        self.stored = stored
        self.judge = judge

    @layer
    def identifier(self) -> bytes | None:
        """The bytes of the file type identifier of a VHDX file that is long enough to be one."""
        judge, section = self.judge, grammar.HeaderSection(self.stored)
        self.stored.prefetch(0, _END_OF_TABLES)
        identifier = section.identifier()
        is_right = headers.probe(identifier) > 0
        if not is_right and (judge.assumes_everything or has_structures(self.stored)):
            if not judge.assume_identifier(headers.overwritten(identifier)):
                return None
        elif not judge.take(headers.check_identifier(identifier, self.stored)):
            return None
        if not judge.take(headers.check_file_length(self.stored.size)):
            return None
        if is_right:
            judge.remark(headers.check_creator, identifier)
        judge.remark(headers.check_slack, section)
        return identifier

    @layer
    def headers(self) -> Headers | None:
        """Both copies of the header, and the one to go by."""
        if self.identifier is None:
            return None
        judge = self.judge
        copies = headers.judge_copies(grammar.HeaderSection(self.stored))
        current = headers.choose_current(copies)
        if current is None:
            assumed = judge.assume_headers(copies, self.stored.size)
            if assumed is None:
                judge.take(headers.check_copies(copies))
            return assumed
        judge.remark(headers.check_copies, copies)
        judge.remark(headers.check_update, copies)
        judge.remark(headers.check_other, copies, current)
        return judge.assume_log(Headers(copies, current), self.stored.size)

    @layer
    def header(self) -> Header | None:
        """The header to go by, when no field of it is wrong."""
        if self.headers is None:
            return None
        header = self.headers.current
        return header if self.judge.take(headers.check_current(header, self.stored.size)) else None

    @layer
    def log(self) -> Log | None:
        """The log, clean or dirty; None when the file has none, too."""
        if self.header is None:
            return None
        from .log import read_log  # a clean one takes no part in opening

        start = self.header.log_offset
        self.stored.prefetch(start, start + self.header.log_length)
        return read_log(self.stored, self.header)

    @property
    def is_dirty(self) -> bool:
        """Whether the log has to be replayed before anything else is read."""
        headers = self.headers
        return self.header is not None and headers is not None and headers.is_log_dirty

    @layer
    def sequence(self) -> tuple[JudgedEntry, ...] | None:
        """The entries that a dirty log asks to be replayed, if any are valid."""
        if not self.is_dirty or self.log is None:
            return None
        from .log import check_ring

        self.judge.remark(check_ring, self.log)
        return self.log.active_sequence

    @layer
    def replayed(self) -> Replayed | None:
        """The file as the replay of a dirty log makes it."""
        if self.sequence is None or self.log is None:
            return None
        from .replay import check_sequence, replay

        is_right = self.judge.take_sequence(check_sequence(self.log, self.stored.size))
        return Replayed(*replay(self.stored, self.log)) if is_right else None

    @layer
    def source(self) -> Source | None:
        """The file as it reads after log replay, if there is anything to be replayed."""
        if self.header is not None:
            if not self.is_dirty:
                return self.stored
            if self.replayed is not None:
                return self.replayed.source
        return self.judge.assume_source(self.stored)

    def contents(self) -> Contents | None:
        """Return the way on from there."""
        return None if self.source is None else self.contents_of(self.source, self.judge)

    def contents_of(self, source: Source, judge: Judge) -> Contents:
        """Return the way on, through the file as it reads before or after log replay."""
        header = self.headers.current if self.headers is not None else None
        place_of_log = (header.log_offset, header.log_length) if header is not None else (0, 0)
        return Contents(source, place_of_log, judge)


class Layers(NamedTuple):
    """What a way down has found when nothing refused the file."""

    regions: Regions
    metadata: Metadata
    bat: Bat
    locator: Locator | None


class Contents:
    """The way from the region tables to the locator.

    Args:
        source: The file, as it reads after log replay.
        place_of_log: File offset and length of the log in bytes.
        judge: Says what follows from findings.
    """

    def __init__(self, source: Source, place_of_log: tuple[int, int], judge: Judge) -> None:
        self.source = source
        self.judge = judge
        self._place_of_log = place_of_log
        self.tables = regions.Tables(grammar.HeaderSection(source))

    @layer
    def table(self) -> TableCopy | None:
        """The region table to go by; it has a defect if it is only assumed to be right."""
        judge, tables = self.judge, self.tables
        copy = tables.current()
        if copy is None:
            copy = judge.assume_table(tables, self.source, self._place_of_log)
        if copy is None:
            judge.take(regions.check_copies(tables))
        else:
            judge.remark(regions.check_copies, tables)
        return copy

    @layer
    def regions(self) -> Regions | None:
        """The regions, when all that the table says is right."""
        judge, copy = self.judge, self.table
        if copy is None:
            return None
        is_right = judge.take(regions.check_table(copy.table, self.source.size))
        is_right &= judge.take(regions.check_overlaps(copy.table, self._place_of_log))
        judge.remark(regions.check_unused, copy.table)
        return regions.judged(copy) if is_right else None

    @layer
    def metadata_region(self) -> RegionEntry | None:
        """The metadata region, as far as that can be read."""
        found, copy = self.regions, self.table
        if found is not None:
            return found.metadata
        if copy is None:
            return None
        usable = regions.usable_metadata(copy.table, self.source.size)
        return usable or self.judge.assume_metadata_region(copy.table)

    @layer
    def items(self) -> Items | None:
        """The metadata table and the items that it names, right or wrong."""
        region = self.metadata_region
        if region is None:
            return None
        start = region.file_offset
        self.source.prefetch(start, start + min(region.length, 2 * ITEMS_FROM))
        table = grammar.metadata_table(self.source, start)
        return Items(self.source, region, table)

    @layer
    def metadata(self) -> Metadata | None:
        """What the metadata says, when all of it is right."""
        judge, items = self.judge, self.items
        if items is None:
            return None
        is_right = judge.take(metadata.check_table(items.table, items.region.length))
        for findings in metadata.check_items(items, items.table):
            is_right &= judge.take(findings)
        return metadata.judged(items) if is_right else None

    @layer
    def geometry(self) -> Geometry | None:
        """The sizes that fix the shape of the BAT."""
        found, items = self.metadata, self.items
        if found is None:
            return None if items is None else self.judge.assume_geometry(items)
        return Geometry.of(found)

    @layer
    def bat(self) -> Bat | None:
        """The BAT, when its region has room for all entries."""
        found, geometry = self.regions, self.geometry
        if found is None or geometry is None:
            return None
        is_right = self.judge.take(bat.check_size(geometry, found.bat))
        if not is_right:
            return None
        start = found.bat.file_offset
        self.source.prefetch(start, start + geometry.entry_count * bat.ENTRY_LENGTH)
        return self.judge.assume_bat(Bat(self.source, found.bat, geometry), self.source.size)

    @layer
    def locator(self) -> Locator | None:
        """The parent locator of a differencing disk, whatever else may be wrong."""
        found = None if self.items is None else self.items.parent_locator()
        if found is None:
            return None
        from .locator import check_locator, judged  # most images have no parent

        return judged(found) if self.judge.take(check_locator(found)) else None

    def layers(self) -> Layers | None:
        """Go all the way down and return what is there; None when anything is wrong."""
        found, metadata, bat, locator = self.regions, self.metadata, self.bat, self.locator
        if found is None or metadata is None or bat is None:
            return None
        if metadata.parent_locator is not None and locator is None:
            return None
        return Layers(found, metadata, bat, locator)


def has_structures(stored: Source) -> bool:
    """Tell whether a file has a valid copy of the headers, or of the region table."""
    if stored.size < headers.HEADER_SECTION_LENGTH:
        return False
    section = grammar.HeaderSection(stored)
    copies = headers.judge_copies(section)
    return any(copy.is_valid for copy in copies) or bool(regions.Tables(section).current())


class LogState(NamedTuple):
    """The log of a file, and what follows from it.

    Attributes:
        log: The log; None when the file has none.
        replayed: What its replay changes; None when it is clean or must not be replayed.
        error: Why it must not be replayed.
    """

    log: Log | None
    replayed: ReplaySummary | None
    error: FormatError | None


def state_of_log(stored: Source) -> LogState:
    """Return the log of a file, whether or not it can be replayed.

    Args:
        stored: The file as it is stored.

    Raises:
        FormatError: What is above the log refuses the file.
        LimitError: A limit of our own is passed.
    """
    way = Descent(stored, REFUSE)
    log = way.log
    try:
        replayed = way.replayed
    except FormatError as error:
        return LogState(log, None, error)
    return LogState(log, replayed.summary if replayed is not None else None, None)
