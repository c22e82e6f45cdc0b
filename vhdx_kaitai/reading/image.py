"""One VHDX file, opened: what stands at the end of the way down when nothing refuses it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType

from ..errors import Assumption, ReplacedError, ReplayRequiredError, VhdxError
from ..format import bat
from ..format.descent import Descent, Layers
from ..format.grammar import identifier
from ..format.headers import probe
from ..format.judge import NOTHING, REFUSE, Assumable, Judge
from ..guids import NIL, REGION_NAMES
from ..records import TYPE_CHECKING, NamedTuple
from ..storage.source import Opener, Source, SourceLike, Uncopied, open_source
from ..text import counted, human_size

if TYPE_CHECKING:
    from typing import Any, Literal, SupportsIndex, TypeAlias

    from ..format.log import Log
    from ..format.replay import ReplaySummary

# Of a log that is dirty and was replayed, or was not because the caller wanted that.
LogState: TypeAlias = 'Literal["clean", "dirty", "ignored"]'
Replay: TypeAlias = 'Literal["memory", "refuse", "ignore"]'


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise a ValueError unless a caller has made one of the choices that there are."""
    if value not in choices:
        *others, last = map(repr, choices)
        raise ValueError(f"{name} is {value!r}, expected {', '.join(others)} or {last}")


class Image(Uncopied):
    """One VHDX file, read-only; its parents are not looked at.

    One that was opened by a path or URL can be copied and pickled: the copy opens the file again.

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
        assumed: What was taken for granted because the file does not say it rightly.
    """

    assumed: Sequence[Assumption] = ()
    _terms: tuple[Replay, Assumable] = "memory", NOTHING

    def __init__(
        self,
        source: SourceLike,
        *,
        replay: Replay = "memory",
        opener: Opener | None = None,
        assumable: Assumable = NOTHING,
    ) -> None:
        """Open a file.

        Args:
            source: Path, URL, buffer or binary file object.
            replay: `memory` applies a dirty log in memory, `refuse` raises instead,
                `ignore` reads the file as it is stored.
            opener: Opens the file at a path, in the place of `os.open`.
            assumable: What may be assumed of a file that is refused otherwise.

        Raises:
            FormatError: A rule refuses the file.
            ReplayRequiredError: The log is dirty and `replay` is `refuse`.
            OSError: The file cannot be read.
        """
        check_choice("replay", replay, ("memory", "refuse", "ignore"))
        if replay == "ignore":
            assumable = assumable._replace(as_stored=True)
        self._terms = replay, assumable
        self._owned = not isinstance(source, Source)
        self.stored = open_source(source, opener)
        self.path = self.stored.path
        try:
            self._open(replay, assumable)
        except BaseException as error:
            if isinstance(error, VhdxError):
                error.path = self.path
            self.close()
            raise

    def _open(self, replay: Replay, assumable: Assumable) -> None:
        way = Descent(self.stored, REFUSE if assumable == NOTHING else self._rescuer(assumable))
        self._replay(way)
        if replay == "refuse":
            self.refuse_replay()
        contents = way.contents()
        layers = contents.layers() if contents is not None else None
        assert layers is not None  # or the judge would have raised
        self._settle(layers)

    def _rescuer(self, assumable: Assumable) -> Judge:
        from ..format.rescue import Rescuer  # most images need none

        rescuer = Rescuer(self.path, assumable)
        self.assumed = rescuer.assumed
        return rescuer

    @classmethod
    def of(cls, way: Descent, layers: Layers) -> Image:
        """Return the image at the end of a way down that somebody has gone already.

        Args:
            way: The way from the identifier to the log.
            layers: What is below; nothing refused any of it.
        """
        image = cls.__new__(cls)
        image._owned = False
        image.stored = way.stored
        image.path = way.stored.path
        image._replay(way)
        image._settle(layers)
        return image

    def _replay(self, way: Descent) -> None:
        assert way.source is not None
        assert way.headers is not None
        assert way.identifier is not None
        self._way = way
        self._identifier = way.identifier
        self.file_size = self.stored.size
        self.headers = way.headers
        self.source = way.source
        self.replayed: ReplaySummary | None = None
        if way.source is not way.stored and way.replayed is not None:
            self.replayed = way.replayed.summary

    def _settle(self, layers: Layers) -> None:
        self.regions, self.metadata, self.bat, self.locator = layers
        self.geometry = self.bat.geometry
        self.occupied = tuple(self._occupied())

    @property
    def log(self) -> Log | None:
        """The log, clean or dirty; None when the file has none."""
        return self._way.log

    @property
    def log_state(self) -> LogState:
        """What became of the log: nothing, as it is clean; or it was replayed, or ignored."""
        if self.replayed is not None:
            return "dirty"
        copy = self.headers.current_copy
        is_clean = copy == 0 or self.headers.copies[copy - 1].header.log_guid == NIL
        return "clean" if is_clean else "ignored"

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
        """Who made the file, for diagnosis only; None when it does not say, or not any more."""
        return identifier(self._identifier).creator if probe(self._identifier) else None

    def again(self) -> Again | None:
        """Return what opens the same file in the same way; None when there is no way to it."""
        address = self.stored.address()
        return None if address is None else Again(address, self.stored.stamp, *self._terms)

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> Any:
        again = self.again()
        return super().__reduce_ex__(protocol) if again is None else (reopened, (again,))

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


class Again(NamedTuple):
    """What opens an image once more, here or in another process.

    Attributes:
        address: Its absolute path, or its URL.
        stamp: What tells its file from another one.
        replay: What is to be done with a dirty log.
        assumable: What may be assumed.
    """

    address: str
    stamp: object
    replay: Replay
    assumable: Assumable


def reopened(again: Again) -> Image:
    """Return an image that is opened once more.

    Raises:
        ReplacedError: Its file is another one, or was changed.
        OSError: It cannot be read.
    """
    image = Image(again.address, replay=again.replay, assumable=again.assumable)
    if image.stored.stamp != again.stamp:
        image.close()
        error = ReplacedError()
        error.path = image.path
        raise error
    return image
