"""What follows from findings on the way down into a file: the judges of `descent`.

Opening refuses; whoever wants what can still be had salvages. Checking has a
judge of its own, which collects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from ..errors import Finding, FormatError, LimitError, refuse
from ..guids import METADATA_REGION
from ..storage.source import Source
from . import headers, metadata, regions
from .bat import Geometry
from .headers import HeaderCopy
from .metadata import Items
from .regions import TableCopy, Tables
from .structures import RegionEntry, RegionTable

Check: TypeAlias = Callable[..., Iterable[Finding]]
Refusal: TypeAlias = FormatError | LimitError


class Judge:
    """Says what follows from findings. This judge refuses, as opening does.

    Where a layer is lost and the judge puts up with that, it is asked what to go
    by instead. None ends the way there.
    """

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

    def assume_header(self, _copies: tuple[HeaderCopy, HeaderCopy], _size: int) -> int | None:
        """Return which copy of the header to go by, 1 or 2, when none is current.

        Args:
            _copies: Both of them.
            _size: Length of the file in bytes.
        """
        return None

    def assume_source(self, _stored: Source) -> Source | None:
        """Return what to read when it is not known how the file reads after log replay.

        Args:
            _stored: The file as it is stored.
        """
        return None

    def assume_table(self, _tables: Tables, _size: int) -> TableCopy | None:
        """Return which region table to go by when neither copy is valid.

        Args:
            _tables: Both of them.
            _size: Length of the file in bytes.
        """
        return None

    def assume_metadata_region(self, _table: RegionTable) -> RegionEntry | None:
        """Return where the metadata is when the region table names no place that can be read."""
        return None

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

    def assume_header(self, copies: tuple[HeaderCopy, HeaderCopy], size: int) -> int | None:
        """Return the newer one of those that have their signature, if it makes sense."""
        what = "the current header"
        signed = [copy for copy in copies if copy.header.is_signature_valid]
        newest = max(signed, key=lambda copy: copy.header.sequence_number, default=None)
        if newest is None:
            self._tell(what, "neither copy has its signature; so the log is not known")
        elif _first_error(headers.check_current(newest.header, size)):
            self._tell(what, "no copy is current or makes sense; so the log is not known")
        else:
            self._tell(what, f"no copy is current; header {newest.copy} is followed all the same")
            return newest.copy
        return None

    def assume_source(self, stored: Source) -> Source | None:
        """Return the file as it is stored."""
        return stored

    def assume_table(self, tables: Tables, size: int) -> TableCopy | None:
        """Return the first that has its signature and makes sense."""
        for copy in tables.both():
            table = copy.table
            is_table = table.is_signature_valid and bool(table.entries)
            if is_table and not _first_error(regions.check_table(table, size)):
                why = f"neither region table is valid; {table.place.name} is followed all the same"
                self._tell("regions", why)
                return copy
        self._tell("regions", "neither region table is valid or makes sense")
        return None

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


def _first_error(findings: Iterable[Finding]) -> Finding | None:
    return next((finding for finding in findings if finding.level == "error"), None)


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
