"""The files in a file system on a disk: found by a path, listed, read.

All of it may be made by a stranger. So names that no file has are left out, no folder is looked
into twice, depths and numbers are bounded, and whatever a library raises becomes one error, which
says about which file it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from operator import itemgetter

from ..errors import FormatError, LimitError, ParentError, UnsupportedError, VhdxError
from ..names import is_name
from ..reading.disk import Disk
from ..reading.entries import Entry, FileSystem, Status
from ..reading.places import Place
from ..reading.volumes import Volume
from ..records import NamedTuple
from ..showing.document import plain_message
from ..showing.files import Described
from ..units import MIB
from .dissected import LIBRARIES, Library, Node
from .window import TooLongError, Window, impatience

_LOGGER = logging.getLogger("dissect")

_PIECE = MIB  # what is read at once
_MOST_WARNINGS = 4  # of a step

# Ours: what is deeper, or more, is told and left out.
_MOST_DEPTH, _MOST_NAMES = 512, 1 << 20
_MOST_RATIO = 32  # of what a file holds to its file system; Btrfs packs 128 KiB into 4
_MOST_LINKS = 40  # that are followed to one file, as in Linux

Tell = Callable[[str, str], object]
"""Called with the path of something that cannot be had as it was, and why."""


class Found(NamedTuple):
    """A file.

    Attributes:
        path: Its path from the root folder, with `/` before each name.
        node: The file, as a library has it.
        status: What is said of it.
    """

    path: str
    node: Node
    status: Status

    def below(self, name: str) -> str:
        """Return the path of what is in this folder under a name."""
        return f"{self.path.rstrip('/')}/{name}"


class Files:
    """The files of one file system; for one thread.

    Args:
        disk: The disk.
        volume: The part of it with the file system.
        kind: Which kind it is, one of `LIBRARIES`.
        tell: Called with what is left out, and with what is lost and reads as zeros.
        go_on: Whether what cannot be read is left out and told.

    Raises:
        UnsupportedError: It is damaged, or its library is not installed.
        FormatError: What is read of it is lost.
    """

    def __init__(
        self, disk: Disk, volume: Volume, kind: str, tell: Tell, *, go_on: bool = False
    ) -> None:
        self._window = Window(disk, volume)
        self._tell, self._go_on = tell, go_on
        self._warnings = _Warnings()
        self._lost: str | None = None  # the last path of which that was told
        self._ended: str | None = None  # that of a step that took too long
        with self._about(f"{kind} at {volume.start}"):
            self._library: Library = LIBRARIES[kind](disk, volume, self._window)

    def describe(self) -> FileSystem:
        """Return what the file system says of itself."""
        with self._about("file system", is_short=False):  # bitmaps may be large
            return self._library.describe()

    def doubt(self) -> str | None:
        """Return why files may not be as they were written last; None when nothing says so."""
        with self._about("file system"):
            return self._library.doubt()

    # -- finding ----------------------------------------------------------------------------------

    def find(self, path: str) -> Found:
        r"""Return the file to which a path leads, with links on the way and at its end.

        Args:
            path: Names with `/` between them, or `\` on NTFS and FAT, from the root folder.

        Raises:
            UnsupportedError: There is none, or what is on the way is damaged.
        """
        way = [self._found("/", self._library.root)]
        steps, links = self._steps(path), 0
        while steps:
            step = steps.pop()
            if step == "..":
                del way[max(1, len(way) - 1) :]
                continue
            found = self._child(way[-1], step)
            if found.status.kind != "link":
                way.append(found)
                continue
            links += 1
            target = found.status.target or ""
            if links > _MOST_LINKS or not target or ":" in target[:2]:
                raise UnsupportedError(f"{found.path}: is a link to {target!r}, not followed here")
            if target.startswith("/"):
                del way[1:]
            steps += self._steps(target)
        return way[-1]

    def _steps(self, path: str) -> list[str]:
        """Return the steps of a path, the first one last."""
        if self._library.ignores_case:
            path = path.replace("\\", "/")
        return [step for step in reversed(path.split("/")) if step not in ("", ".")]

    def _child(self, folder: Found, name: str) -> Found:
        """Return a file in a folder by its name; where case counts for nothing, by any like it."""
        if folder.status.kind != "folder":
            raise UnsupportedError(f"{folder.path}: is no folder")
        path, alike = folder.below(name), None
        for other, node in self._names(folder):
            if other == name:
                return self._found(path, node)
            if self._library.ignores_case and other.casefold() == name.casefold():
                alike = folder.below(other), node
        if alike is None:
            raise UnsupportedError(f"{path}: there is no such file")
        return self._found(*alike)

    def _found(self, path: str, node: Node) -> Found:
        with self._about(path):
            return Found(path, node, self._library.status(node))

    def _names(self, folder: Found) -> Iterator[tuple[str, Node]]:
        """Yield what is in a folder under which name, as the file system has it."""
        with self._about(folder.path):
            names = iter(self._library.names(folder.node))
        for _ in range(_MOST_NAMES):
            with self._about(folder.path):
                name, node = next(names, (None, None))
            if name is None:
                return
            if name not in (".", ".."):
                yield name, node
        raise UnsupportedError(f"{folder.path}: has more than {_MOST_NAMES} names")

    # -- listing ----------------------------------------------------------------------------------

    def entries(self, top: Found, *, recursive: bool = True) -> Iterator[Entry]:
        """Yield a file, and what is in it if it is a folder, by name, each folder before that.

        Args:
            top: The file, whose entry has an empty path.
            recursive: Whether to look into the folders of a folder, too.

        Raises:
            UnsupportedError: Something is damaged, and nobody wants to go on without it.
            FormatError: What is read is lost.
        """
        seen = {top.status.identity}
        waiting: list[Iterator[Found]] = [iter([top])]
        while waiting:
            found = next(waiting[-1], None)
            if found is None:
                waiting.pop()
                continue
            inside = found.path[len(top.path) :].lstrip("/")
            yield Entry(inside, found.status, partial(self.pieces, found))
            if found.status.kind != "folder" or (found is not top and not recursive):
                continue
            if len(waiting) > _MOST_DEPTH:
                self._tell(found.path, "is too deep in other folders to be looked into here")
            elif found is not top and found.status.identity in seen:
                self._tell(found.path, "is a folder that is somewhere else, too: not looked into")
            else:
                seen.add(found.status.identity)
                waiting.append(self._listed(found))

    def _listed(self, folder: Found) -> Iterator[Found]:
        """Yield what is in a folder, by name."""
        names: list[tuple[str, Node]] = []
        try:
            for name, node in self._names(folder):
                if not is_name(name, of_windows=False):
                    self._tell(folder.path, f"has something that is called {name!r}: left out")
                elif not self._library.is_hidden(node):
                    names.append((name, node))
        except VhdxError as error:
            self._leave_out(folder.path, error)
        names.sort(key=itemgetter(0), reverse=True)
        while names:  # what a library knows of a file is much, and goes with it
            name, node = names.pop()
            path = folder.below(name)
            try:
                found = self._found(path, node)
            except VhdxError as error:
                self._leave_out(path, error)
            else:
                yield found

    def _leave_out(self, path: str, error: VhdxError) -> None:
        if not self._go_on:
            raise error
        self._tell(path, str(error))

    # -- reading ----------------------------------------------------------------------------------

    def pieces(self, found: Found) -> Iterator[tuple[int, bytes]]:
        """Yield places and bytes of all of a file that may be something else than zeros.

        Raises:
            UnsupportedError: It is no file that can be read, or is damaged.
            FormatError: What is read is lost.
        """
        path, node, status = found
        if status.kind == "folder":
            raise UnsupportedError(f"{path}: is a folder, whose files `ls` lists")
        if status.kind != "file":
            raise UnsupportedError(f"{path}: is no file whose contents can be read here")
        with self._about(path):
            stored = [(start, min(end, status.size)) for start, end in self._library.stored(node)]
            if sum(end - start for start, end in stored) > _MOST_RATIO * self._window.size:
                raise UnsupportedError("says that it holds more than its file system could")
            stream = self._library.open(node) if stored else None
        for start, end in stored:
            for at in range(start, end, _PIECE):
                wanted = min(_PIECE, end - at)
                with self._about(path):
                    assert stream is not None
                    stream.seek(at)
                    data: bytes = stream.read(wanted)
                    if len(data) != wanted:
                        raise UnsupportedError(f"it ends at {at + len(data)}, not at {status.size}")
                yield at, data

    # -- errors -----------------------------------------------------------------------------------

    @contextmanager
    def _about(self, path: str, *, is_short: bool = True) -> Iterator[None]:
        """Let a step be about a file: bound it, and make one error of all kinds.

        What was wrong with the disk counts, whatever a library made of it. What is lost and
        read as zeros is told, and what a library only warns of and passes over.

        Args:
            path: The path of the file.
            is_short: Whether the step takes no time to speak of.
        """
        if self._ended is not None:
            raise UnsupportedError(
                f"{path}: is not looked at any more, {self._ended} took too long"
            )
        self._window.begin()
        cause: Exception | None = None
        _LOGGER.addHandler(self._warnings)
        try:
            with impatience() if is_short else nullcontext():
                yield
        except Exception as error:
            cause = error
        finally:
            _LOGGER.removeHandler(self._warnings)
        for warning in self._warnings.taken():
            self._tell(path, f"is damaged, or not known here ({warning})")
        is_ours = self._window.error is not None
        cause = self._window.error or cause
        if self._window.met_lost and path != self._lost:
            self._tell(path, "some of it, or of what says where it is, is lost and read as zeros")
            self._lost = path
        self._window.met_lost = False
        if isinstance(cause, TooLongError):  # others might, too
            self._ended = path
        if isinstance(cause, OSError) and is_ours:
            raise cause
        if cause is not None:
            raise _named(path, cause) from cause


class _Warnings(logging.Handler):
    """What a library warns of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._sentences: dict[str, None] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning, the first few of a step."""
        if len(self._sentences) < _MOST_WARNINGS:
            self._sentences[record.getMessage()] = None

    def taken(self) -> list[str]:
        """Return the warnings since this was asked last."""
        sentences = list(self._sentences)
        self._sentences.clear()
        return sentences


def _named(path: str, error: Exception) -> VhdxError:
    """Return an error that says about which file of the disk it is."""
    if isinstance(error, FormatError):
        message = f"{error.finding.message}, which {path} needs"
        return type(error)(error.finding._replace(message=message), error.path)
    why = str(error)
    if isinstance(error, LimitError | UnsupportedError):
        return UnsupportedError(f"{path}: {why}")
    if isinstance(error, VhdxError):
        return type(error)(f"{path}: {why}")
    return UnsupportedError(
        f"{path}: is damaged, or not known here ({type(error).__name__}: {why})"
    )


def described(disk: Disk, place: Place, tell: Tell) -> Described:
    """Return what is said of a part of a disk, whatever is wrong with it.

    Args:
        disk: The disk.
        place: The part.
        tell: Called with what is left out.
    """
    system: FileSystem | None = None
    error: str | None = None
    if place.kind in LIBRARIES:
        try:
            system = Files(disk, place.volume, place.kind, tell).describe()
        except (UnsupportedError, FormatError, ParentError) as caught:
            error = plain_message(caught)
    return Described(place, system, error)
