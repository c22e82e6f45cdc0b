"""What may be assumed of a file that opening refuses: the judge of a rescue.

It refuses as opening does, but for what the caller has allowed; and whatever it
takes for granted instead, it tells.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import Assumption, Finding
from ..guids import REGION_NAMES
from ..storage.source import Source
from . import headers, regions, shift
from .bat import ENTRY_LENGTH, Bat
from .headers import HeaderCopy, Headers
from .judge import Assumable, Judge
from .regions import TableCopy, Tables
from .search import found_table


class Rescuer(Judge):
    """Refuses what the format refuses, but for what may be assumed.

    Args:
        path: The file that it is about; None when its bytes come from somewhere else.
        may: What may be assumed.

    Attributes:
        assumed: What was.
    """

    def __init__(self, path: str | None, may: Assumable) -> None:
        self._path = path
        self._may = may
        self.assumed: list[Assumption] = []
        self.assumes_everything = may.identifier and may.headers and may.regions

    def _tell(self, what: str, message: str) -> None:
        self.assumed.append(Assumption(self._path, what, message))

    def assume_identifier(self, overwritten: Finding) -> bool:
        """Take the file for a VHDX file, if that is allowed.

        Raises:
            OverwrittenError: It is not.
        """
        if not self._may.identifier:
            return super().assume_identifier(overwritten)
        self._tell("identifier", "it is none of a VHDX file; the file is taken for one")
        return True

    def assume_headers(self, copies: tuple[HeaderCopy, HeaderCopy], size: int) -> Headers | None:
        """Return the copy that is most nearly right, or one that says nothing.

        It may well say that the log is dirty: what is valid in the log is replayed then.
        """
        if not self._may.headers:
            return None
        copy = headers.most_nearly_right(copies, size)
        if copy is None:
            message = "neither copy makes sense; the log, if there is one, is taken as empty"
            self._tell("headers", message)
            return Headers(copies, 0, headers.without_anything(copies[0].header))
        why = copy.defect.message if copy.defect is not None else "it need not be the newer one"
        self._tell("headers", f"none is current; header {copy.copy} is followed, although: {why}")
        return self.assume_log(Headers(copies, copy.copy, copy.header), size)

    def assume_log(self, found: Headers, size: int) -> Headers:
        """Return headers that say the log is clean, or that there is none if its place is wrong."""
        header = found.current
        if not self._may.as_stored or not found.is_log_dirty:
            return found
        self._tell("log", "it is dirty and is not replayed; the file is read as it is stored")
        clean = headers.without_log(header)
        placed = clean._replace(log_length=header.log_length, log_offset=header.log_offset)
        is_placed = all(f.level != "error" for f in headers.check_current(placed, size))
        return found._replace(assumed=placed if is_placed else clean)

    def take_sequence(self, findings: Iterable[Finding]) -> bool:
        """Take the entries of a file that was cut, if that is allowed, although it is too short."""
        found = list(findings)
        too_short = [finding for finding in found if finding.rule == "LOG-32" and self._may.cut]
        is_right = self.take(finding for finding in found if finding not in too_short)
        if is_right and too_short:
            why = too_short[0].message
            self._tell("log", f"the file was cut, and its log is replayed all the same: {why}")
        return is_right

    def assume_table(
        self, tables: Tables, source: Source, place_of_log: tuple[int, int]
    ) -> TableCopy | None:
        """Return the copy that is most nearly right, or a table of what is found in the file."""
        if not self._may.regions:
            return None
        copy = regions.most_nearly_right(tables, source.size)
        if copy is not None and copy.defect is not None:
            message = f"neither is valid; {copy.copy} is followed, although: {copy.defect.message}"
            self._tell("region table", message)
            return copy
        table = found_table(tables, source, place_of_log)
        if table is not None:
            places = ", ".join(
                f"{REGION_NAMES[entry.guid]} at {entry.file_offset:#x}" for entry in table.entries
            )
            self._tell("region table", f"neither makes sense; found by what is there: {places}")
            copy = tables.copy(1)
            return TableCopy(0, table, copy.defect)
        return None

    def assume_bat(self, table: Bat, size: int) -> Bat:
        """Return the BAT with pages moved back that look moved by one entry."""
        pages = shift.shifted_pages(table, size) if self._may.bat else []
        if not pages:
            return table
        first = table.region.file_offset + pages[0] * ENTRY_LENGTH
        more = f" and {len(pages) - 1} more" if len(pages) > 1 else ""
        message = f"the page at {first:#x}{more} looks moved by one entry, and is read as before; "
        self._tell("BAT", message + "the last entry of each is lost unless it is the BAT's last")
        return shift.moved_back(table, pages)
