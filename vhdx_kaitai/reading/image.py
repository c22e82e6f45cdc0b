"""One VHDX file, opened and judged, layer by layer in the order in which it may be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from types import TracebackType

from ..errors import ReplayRequiredError, VhdxError, refuse
from ..format import bat, grammar, headers, metadata, regions
from ..guids import REGION_NAMES
from ..records import TYPE_CHECKING
from ..storage.source import Opener, Source, SourceLike, Uncopied, open_source
from ..text import counted, human_size

if TYPE_CHECKING:
    from typing import Literal, TypeAlias

    from ..format.locator import Locator
    from ..format.log import Log
    from ..format.replay import ReplaySummary

Replay: TypeAlias = 'Literal["memory", "refuse"]'


class Image(Uncopied):
    """One VHDX file, read-only; its parents are not looked at.

    Attributes:
        path: Path of the file; None when its bytes come from somewhere else.
        file_size: Length of the file as it is stored, in bytes.
        stored: The file as it is stored.
        source: The file as it reads after log replay; `size` is its length then.
        headers: Both headers.
        replayed: What the replay of the log changes; None when the log is clean.
        regions: The regions.
        metadata: What the metadata says.
        geometry: The sizes that fix the shape of the BAT.
        occupied: What is no place for blocks: the log and all regions.
        bat: The BAT, read by page.
        locator: The parent locator; None unless the disk is a differencing disk.
    """

    def __init__(
        self, source: SourceLike, *, replay: Replay = "memory", opener: Opener | None = None
    ) -> None:
        """Open a file.

        Args:
            source: Path, buffer or binary file object.
            replay: `memory` applies a dirty log in memory, `refuse` raises instead.
            opener: Opens the file at a path, in the place of `os.open`.

        Raises:
            FormatError: A rule refuses the file.
            ReplayRequiredError: The log is dirty and `replay` is `refuse`.
            OSError: The file cannot be read.
        """
        if replay not in ("memory", "refuse"):
            raise ValueError(f"replay is {replay!r}, expected 'memory' or 'refuse'")
        self._owned = not isinstance(source, Source)
        self.stored = open_source(source, opener)
        self.path = self.stored.path
        try:
            self._open(replay)
        except BaseException as error:
            if isinstance(error, VhdxError):
                error.path = self.path
            self.close()
            raise

    def _open(self, replay: Replay) -> None:
        self.file_size = self.stored.size
        self.headers = headers.read_headers(self.stored)
        self.source: Source = self.stored
        self.replayed: ReplaySummary | None = None
        if self.headers.is_log_dirty:
            self._replay(replay)
        header = self.headers.current
        place_of_log = (header.log_offset, header.log_length)
        section = grammar.HeaderSection(self.source)
        self.regions = regions.read_regions(section, self.source.size, place_of_log)
        self.metadata = metadata.read_metadata(self.source, self.regions.metadata)
        self.geometry = bat.Geometry(
            self.metadata.virtual_disk_size,
            self.metadata.block_size,
            self.metadata.logical_sector_size,
            self.metadata.disk_type == "differencing",
        )
        refuse(bat.check_size(self.geometry, self.regions.bat))
        self.occupied = tuple(self._occupied())
        self.bat = bat.Bat(self.source, self.regions.bat, self.geometry)
        self.locator = self._read_locator()

    @cached_property
    def log(self) -> Log | None:
        """The log, clean or dirty; None when the file has none."""
        from ..format.log import read_log  # a clean log takes no part in opening

        return read_log(self.stored, self.headers.current)

    def _replay(self, replay: Replay) -> None:
        from ..format.replay import replay as replayed

        assert self.log is not None  # no header with a LogGuid and without a log is current
        self.source, self.replayed = replayed(self.stored, self.log)
        if replay == "refuse":
            self.refuse_replay()

    def refuse_replay(self) -> None:
        """Raise when the log had to be replayed.

        Raises:
            ReplayRequiredError: It had to be.
        """
        if self.replayed is not None:
            entries = counted(len(self.replayed.entries), "entry changes", "entries change")
            changed = human_size(self.replayed.changed_bytes)
            message = f"the log is dirty: {entries} {changed} of the file, and replay is refused"
            error = ReplayRequiredError(message, self.replayed)
            error.path = self.path
            raise error

    def _read_locator(self) -> Locator | None:
        locator = self.metadata.parent_locator
        if locator is None:
            return None
        from ..format.locator import read_locator  # most images have no parent

        return read_locator(locator)

    def _occupied(self) -> Iterator[bat.Occupied]:
        header = self.headers.current
        if header.log_length:
            end = header.log_offset + header.log_length
            yield bat.Occupied(header.log_offset, end, "OVL-05", "the log")
        for entry in self.regions.entries:
            known_as = REGION_NAMES.get(entry.guid)
            rule = "OVL-05" if known_as else "OVL-08"
            name = f"the {known_as or entry.guid} region"
            yield bat.Occupied(entry.file_offset, entry.file_offset + entry.length, rule, name)

    @property
    def creator(self) -> str | None:
        """Who made the file, for diagnosis only; None when it does not say."""
        return grammar.HeaderSection(self.stored).identifier().creator

    def close(self) -> None:
        """Close the file, unless it was the caller who opened it."""
        if self._owned:
            self.stored.close()

    def __enter__(self) -> Image:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Image {self.path or 'in memory'}: {self.metadata.disk_type}>"
