"""What follows from findings on the way down into a file: the judges of `descent`.

Opening refuses; whoever wants what can still be had salvages. Checking has a
judge of its own, which collects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..errors import Finding, FormatError, LimitError, OverwrittenError, refuse
from ..guids import METADATA_REGION, NIL
from ..records import TYPE_CHECKING, NamedTuple
from ..storage.source import Source
from . import headers, metadata, regions
from .bat import Bat, Geometry
from .headers import HeaderCopy, Headers
from .metadata import Items
from .regions import TableCopy, Tables
from .structures import RegionEntry, RegionTable

if TYPE_CHECKING:
    from typing import Any, TypeAlias

Check: TypeAlias = Callable[..., Iterable[Finding]]
Refusal: TypeAlias = FormatError | LimitError


class Assumable(NamedTuple):
    """What a rescue may assume.

    Attributes:
        identifier: That a file is a VHDX file, although its identifier was overwritten.
        headers: What no current header says.
        regions: Where BAT and metadata are, which no valid region table says.
        bat: That pages of the BAT which look moved by one entry were.
        as_stored: That the file may be read as it is stored, whatever is in its log.
        cut: That a file which is shorter than its log demands was cut after it was written.
    """

    identifier: bool = False
    headers: bool = False
    regions: bool = False
    bat: bool = False
    as_stored: bool = False
    cut: bool = False


NOTHING = Assumable()


class Judge:
    """Says what follows from findings. This judge refuses, as opening does.

    Where a layer is lost and the judge puts up with that, it is asked what to go
    by instead. None ends the way there.
    """

    # Whether the file is looked at, even if nothing is left by which it could be recognised.
    assumes_everything = False

    # Takes findings, and tells whether what they are about may be believed: none is an error.
    take: Callable[[Iterable[Finding]], bool] = staticmethod(refuse)

    def remark(self, check: Check, *about: Any) -> None:
        """Make a check that yields no errors, or leave it alone, as this judge does.

        Args:
            check: Yields findings.
            *about: What it is about.
        """

    def lost(self, _layer: str, error: Refusal) -> None:
        """Hear why a layer cannot be had, by the name it has in `descent`.

        Raises:
            FormatError: That refuses the file.
            LimitError: A limit of our own is passed.
        """
        raise error

    def assume_identifier(self, overwritten: Finding) -> bool:
        """Tell whether to take a file for a VHDX file, although its identifier was overwritten.

        Args:
            overwritten: What is wrong with the identifier; other structures are whole.

        Raises:
            OverwrittenError: That refuses the file.
        """
        raise OverwrittenError(overwritten)

    def assume_headers(self, _copies: tuple[HeaderCopy, HeaderCopy], _size: int) -> Headers | None:
        """Return the headers to go by when neither copy is current.

        Args:
            _copies: Both of them.
            _size: Length of the file in bytes.
        """
        return None

    def assume_log(self, headers: Headers, _size: int) -> Headers:
        """Return the headers to go by when the log is not to be taken as they say.

        Args:
            headers: The headers, one of which is current.
            _size: Length of the file in bytes.
        """
        return headers

    def take_sequence(self, findings: Iterable[Finding]) -> bool:
        """Take findings about the entries to be replayed, and tell whether they may be."""
        return self.take(findings)

    def assume_source(self, _stored: Source) -> Source | None:
        """Return what to read when it is not known how the file reads after log replay.

        Args:
            _stored: The file as it is stored.
        """
        return None

    def assume_table(
        self, _tables: Tables, _source: Source, _place_of_log: tuple[int, int]
    ) -> TableCopy | None:
        """Return the region table to go by when neither copy is valid.

        Args:
            _tables: Both of them.
            _source: The file, as it reads after log replay.
            _place_of_log: File offset and length of the log in bytes.
        """
        return None

    def assume_metadata_region(self, _table: RegionTable) -> RegionEntry | None:
        """Return where the metadata is when the region table names no place that can be read."""
        return None

    def assume_bat(self, table: Bat, _size: int) -> Bat:
        """Return the BAT to go by.

        Args:
            table: The BAT as it stands.
            _size: Length of the file after log replay, in bytes.
        """
        return table

    def assume_geometry(self, _items: Items) -> Geometry | None:
        """Return the shape of the BAT when not all of the metadata may be believed."""
        return None


REFUSE = Judge()


class Salvage(Judge):
    """Follows the best that is left, and says what it makes do with.

    An error ends the layer that it is about, not the way. What is no VHDX file is
    refused all the same.

    Args:
        tell: Told what is not as it should be, and what that means.

    Attributes:
        errors: Why layers are lost, by the name of the layer.
    """

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        self._tell = tell
        self.errors: dict[str, Refusal] = {}

    def lost(self, layer: str, error: Refusal) -> None:
        """Remember why a layer cannot be had.

        Raises:
            FormatError: It is no VHDX file.
        """
        if error.finding.rule == "FTI-01":
            raise error
        self.errors[layer] = error

    def assume_identifier(self, _overwritten: Finding) -> bool:
        """Take the file for a VHDX file."""
        self._tell("identifier", "it was overwritten; the rest is a VHDX file's all the same")
        return True

    def assume_headers(self, copies: tuple[HeaderCopy, HeaderCopy], size: int) -> Headers | None:
        """Return the copy that is most nearly right; where its log is, but not that it is dirty."""
        what = "the current header"
        copy = headers.most_nearly_right(copies, size)
        if copy is None:
            self._tell(what, "no copy is current or makes sense; so the log is not known")
            return None
        self._tell(what, f"no copy is current; header {copy.copy} is followed all the same")
        return Headers(copies, copy.copy, copy.header._replace(log_guid=NIL))

    def assume_source(self, stored: Source) -> Source | None:
        """Return the file as it is stored."""
        return stored

    def assume_table(
        self, tables: Tables, source: Source, _place_of_log: tuple[int, int]
    ) -> TableCopy | None:
        """Return the first that has its signature and makes sense."""
        copy = regions.most_nearly_right(tables, source.size)
        if copy is None:
            self._tell("regions", "neither region table is valid or makes sense")
            return None
        name = copy.table.place.name
        self._tell("regions", f"neither region table is valid; {name} is followed all the same")
        return copy

    def assume_metadata_region(self, table: RegionTable) -> RegionEntry | None:
        """Return the first place that is named, whatever it is."""
        return next((entry for entry in table.entries if entry.guid == METADATA_REGION), None)

    def assume_geometry(self, items: Items) -> Geometry | None:
        """Return the shape that follows from the three items that fix it."""
        try:
            geometry = _geometry(items)
        except KeyError as missing:
            why = f"no {missing.args[0].replace('_', ' ')} item"
        except FormatError as error:
            why = str(error)
        else:
            return geometry
        self._tell("the shape of the BAT", why)
        return None


def _geometry(items: Items) -> Geometry:
    """Return the shape of the BAT.

    Raises:
        FormatError: An item that fixes it is wrong.
        KeyError: Or missing.
    """
    parameters = items.get("file_parameters")
    sector_size = items.get("logical_sector_size")
    size = items.get("virtual_disk_size")
    refuse(metadata.check_sizes(items))
    return Geometry(size, parameters.block_size, sector_size, parameters.has_parent)
