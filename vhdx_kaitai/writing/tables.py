"""Entries of the BAT past those that have a meaning, and region tables that name another BAT.

What stands after the last entry has no defined meaning [MS-VHDX 2.5], until the size of the
disk gives it one; so it is written without the log, and is on the medium before that. The
pages that hold entries with a meaning, too, go through the log with the change itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..copying.data import Progress
from ..format import encode, grammar
from ..format.bat import ENTRY_LENGTH, ZERO, Geometry
from ..format.place import TOP_LEVEL
from ..format.regions import Tables
from ..format.structures import RegionEntry
from ..guids import BAT_REGION
from ..records import NamedTuple
from ..storage.overlay import PAGE
from ..units import MIB, ceil_div
from .blank import bat_pieces
from .editor import Editor


class NewBlocks(NamedTuple):
    """Blocks that a disk gets at its end.

    Attributes:
        first: The first of them.
        zero_end: Those before this one are ZERO, since a parent would show otherwise.
        place: File offset of the first in bytes, the others following it; 0 when they are not
            stored.
    """

    first: int
    zero_end: int = 0
    place: int = 0

    def pieces(self, geometry: Geometry) -> Iterator[tuple[int, bytes]]:
        """Yield what of their entries is not zeros, each piece with its place in the BAT.

        Args:
            geometry: The shape of the BAT in which they are.
        """
        if self.place:
            start = geometry.payload_index(self.first) * ENTRY_LENGTH
            runs = [(self.first, geometry.payload_blocks)]
            for at, data in bat_pieces(geometry, runs, self.place):
                skipped = max(0, start - at)
                yield at + skipped, data[skipped:]
        ratio = geometry.chunk_ratio
        for low in range(self.first - self.first % ratio, self.zero_end, ratio):
            first, end = max(low, self.first), min(low + ratio, self.zero_end)
            if first < end:
                data = ZERO.to_bytes(ENTRY_LENGTH, "little") * (end - first)
                yield geometry.payload_index(first) * ENTRY_LENGTH, data


class Surplus:
    """The part of the BAT after the entries that have a meaning, before or after a change.

    Args:
        editor: The image.
        start: Its first byte, from the start of the region.
        end: The byte after it.
        kept: The place of an entry in it that has a meaning; none when it is None.
    """

    def __init__(self, editor: Editor, start: int, end: int, kept: int | None = None) -> None:
        self._editor = editor
        self._start, self._end, self._kept = start, end, kept
        self._offset = editor.image.regions.bat.file_offset
        # Pages that have other entries, too, and therefore go through the log.
        shared = (start if start % PAGE else None, kept)
        self._shared = {at - at % PAGE for at in shared if at is not None}

    def zero_shared(self) -> None:
        """Let all entries be zeros that are in a page with some that have a meaning."""
        for page in sorted(self._shared):
            start, end = max(page, self._start), min(page + PAGE, self._end)
            self._put(start, bytes(max(0, end - start)))

    def zero_others(self) -> None:
        """Let all other entries be zeros, which a crash may leave done in part."""
        at = self._start
        for page in (*sorted(self._shared), self._end):
            if at < page:
                self._change(at, page)
            at = max(at, page + PAGE)

    def write(self, at: int, data: bytes) -> None:
        """Write entries.

        Args:
            at: Their place in bytes from the start of the region.
            data: Their bytes.
        """
        session, left = self._editor.session, memoryview(data)
        while left:
            page = at - at % PAGE
            is_shared = page in self._shared
            stops = [page + PAGE] if is_shared else [stop for stop in self._shared if stop > at]
            length = min([len(left), *(stop - at for stop in stops)])
            if is_shared:
                self._put(at, bytes(left[:length]))
            else:
                session.attempt(session.file.write, left[:length], self._offset + at)
            at, left = at + length, left[length:]

    def _change(self, start: int, end: int) -> None:
        session = self._editor.session
        for at in range(start, end, _AT_ONCE):
            length = min(_AT_ONCE, end - at)
            session.attempt(session.file.zero, self._offset + at, length)

    def _put(self, at: int, data: bytes) -> None:
        """Write into a page that goes through the log; what has a meaning stays."""
        end, kept = at + len(data), self._kept
        if kept is not None and at <= kept < end:
            self._editor.write(self._offset + at, data[: kept - at])
            at, data = kept + ENTRY_LENGTH, data[kept + ENTRY_LENGTH - at :]
        if data:
            self._editor.write(self._offset + at, data)


_AT_ONCE = 64 * MIB


def copy_of_bat(editor: Editor, end: int, length: int, progress: Progress) -> int:
    """Copy the beginning of the BAT to another place, where zeros follow.

    Nothing leads to it yet. What is zeros becomes a hole, where files may have some.

    Args:
        editor: The image, the changes of which are in the copy.
        end: How many bytes of it are copied.
        length: How many the copy has; whole MiBs.
        progress: Told how many bytes of it are done.

    Returns:
        Its file offset.

    Raises:
        OSError: There is no space.
    """
    room = editor.new_room(length)
    session, source = editor.session, editor.image.source
    if not room.is_new:
        session.attempt(session.file.zero, room.offset, length)
    old = editor.image.regions.bat.file_offset
    at = 0
    while at < end:
        at = source.data_start(old + at, old + end) - old
        stop = min(end, at - at % MIB + MIB)
        data = source.read(old + at, stop - at)
        if any(data):
            session.attempt(session.file.write, data, room.offset + at)
        at = stop
        progress(at)
    editor.needs_barrier = True
    return room.offset


def name_bat(editor: Editor, offset: int, length: int) -> None:
    """Let both region tables name another BAT; a copy that is not valid becomes so.

    Args:
        editor: The image.
        offset: File offset of the BAT in bytes.
        length: Length of its region in bytes.
    """
    source = editor.image.source
    current = Tables(grammar.HeaderSection(source)).current()
    assert current is not None
    table = current.table
    entries = tuple(_moved(entry, offset, length) for entry in table.entries)
    data = encode.region_table(table._replace(entries=entries), grammar.unused_of(table))
    for number in (1, 2):
        start, _ = TOP_LEVEL[f"region_table_{number}"]
        for at in range(0, len(data), PAGE):
            page = data[at : at + PAGE]
            if source.read(start + at, len(page)) != page:
                editor.write(start + at, page)


def _moved(entry: RegionEntry, offset: int, length: int) -> RegionEntry:
    is_bat = entry.guid == BAT_REGION
    return entry._replace(file_offset=offset, length=length) if is_bat else entry


def length_of_bat(geometry: Geometry) -> int:
    """Return how many bytes a region needs for a BAT; it takes whole MiBs."""
    return ceil_div(geometry.entry_count * ENTRY_LENGTH, MIB) * MIB
