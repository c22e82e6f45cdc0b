"""Files of a file system on a disk become files of this one: one file, or a tree of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Iterator

from ..errors import VhdxError
from ..names import leads_inside
from ..reading.entries import Entry, Status
from ..records import NamedTuple
from ..storage.target import OutFile, new_file
from ..storage.tree import NewTree, NotMadeError, give_status
from .data import Progress
from .sparse import written_ranges

Tell = Callable[[str, str], object]
"""Called with the path of something that is not there as it was, and why."""

_SPECIAL = {
    "device": "is a device",
    "pipe": "is a pipe",
    "socket": "is a socket",
}


class Extracted(NamedTuple):
    """What became of a tree.

    Attributes:
        files: How many files there are now.
        folders: How many folders are in the one that was made.
        links: How many links.
        size: Bytes of the files.
        special: How many devices, pipes and sockets were left out, as they always are.
        missing: How much else is not there, or not as it was.
    """

    files: int = 0
    folders: int = 0
    links: int = 0
    size: int = 0
    special: int = 0
    missing: int = 0


def extract_file(entry: Entry, path: str, progress: Progress, *, replace: bool) -> None:
    """Write the contents of a file to a new one, with holes for zeros.

    It gets the time of the file, and its mode where it replaces none.

    Args:
        entry: The file.
        path: The path of the new one.
        progress: Called with the number of bytes that are done.
        replace: Whether a file that is there may be replaced.

    Raises:
        VhdxError: It cannot be read.
        OSError: The new one cannot be written.
    """
    is_new = not os.path.lexists(path)
    with new_file(path, replace=replace) as out:
        _write(entry, out, progress)
    give_status(path, entry.status.mode if is_new else None, entry.status.modified)


def extract_tree(
    entries: Iterable[Entry],
    path: str,
    tell: Tell,
    progress: Progress,
    *,
    all_links: bool = False,
    go_on: bool = False,
) -> Extracted:
    """Make a new folder with what is in a folder of a file system.

    Nothing gets out of it, and nothing is written through a link: those are made last, and
    none that leads out of the folder.

    Args:
        entries: The folder, under an empty path, and all that is in it, each folder before what
            it holds.
        path: The path of the new folder, which is not there yet, or is empty.
        tell: Called with what is left out, and why.
        progress: Called with the number of bytes that are done.
        all_links: Whether links are made that lead out of the folder.
        go_on: Whether files that cannot be read are left out and told.

    Raises:
        VhdxError: Something cannot be read.
        OSError: Something cannot be written; what was written before stays.
    """
    work = _Extraction(NewTree(path), tell, progress, all_links=all_links, go_on=go_on)
    for entry in entries:
        work.add(entry)
    return work.finish()


class _Extraction:
    """A tree that is being written."""

    def __init__(
        self, tree: NewTree, tell: Tell, progress: Progress, *, all_links: bool, go_on: bool
    ) -> None:
        self._tree, self._tell, self._progress = tree, tell, progress
        self._all_links, self._go_on = all_links, go_on
        self._links: list[tuple[str, str]] = []
        self._several: dict[Hashable, str] = {}  # files with several names, by the first of them
        self._counts = dict.fromkeys(Extracted._fields, 0)

    def add(self, entry: Entry) -> None:
        """Make what an entry is; a link later."""
        path, status = entry.path, entry.status
        try:
            if status.kind == "folder":
                self._add_folder(path, status)
            elif status.kind == "file":
                self._add_file(entry)
            elif status.kind == "link":
                self._add_link(path, status.target or "")
            elif status.kind in _SPECIAL:
                self._counts["special"] += 1
                self._tell(path, f"{_SPECIAL[status.kind]}, which is left out")
            else:
                raise NotMadeError("its contents are of a kind that is not known here")
        except NotMadeError as error:
            self._leave_out(path, str(error))
        except VhdxError as error:
            if not self._go_on:
                raise
            self._leave_out(path, str(error))

    def _leave_out(self, path: str, why: str) -> None:
        self._counts["missing"] += 1
        self._tell(path, f"{why}, so it is left out")

    def _add_folder(self, path: str, status: Status) -> None:
        if path:
            self._tree.add_folder(path, status.mode, status.modified)
            self._counts["folders"] += 1
        else:
            self._tree.set_modified(status.modified)

    def _add_link(self, path: str, target: str) -> None:
        if not self._all_links and not leads_inside(path, target):
            raise NotMadeError(f"it leads to {target!r}, out of the folder")
        self._links.append((path, target))

    def _add_file(self, entry: Entry) -> None:
        path, status = entry.path, entry.status
        if status.names > 1 and self._add_name(path, status.identity):
            return
        with self._tree.new_file(path, status.mode, status.modified) as out:
            _write(entry, out, self._told_progress())
        if status.names > 1:
            self._several[status.identity] = path
        self._counts["files"] += 1
        self._counts["size"] += status.size

    def _add_name(self, path: str, identity: Hashable) -> bool:
        """Give a file that was written another name, and tell whether that could be done."""
        if identity not in self._several:
            return False
        try:
            self._tree.add_name(path, self._several[identity])
        except NotMadeError:
            return False  # a copy will do
        self._counts["files"] += 1
        return True

    def _told_progress(self) -> Progress:
        before = self._counts["size"]
        return lambda done: self._progress(before + done)

    def finish(self) -> Extracted:
        """Make the links, and return what there is."""
        self._counts["links"] = len(self._links)
        for path, why in self._tree.finish(iter(self._links)):
            self._counts["links"] -= 1
            self._leave_out(path, why)
        return Extracted(**self._counts)


def _write(entry: Entry, out: OutFile, progress: Progress) -> None:
    """Write a file, with holes where it has zeros."""
    try:
        out.set_length(entry.status.size)
    except (OSError, OverflowError) as error:
        raise NotMadeError(f"it cannot be {entry.status.size} bytes long here") from error
    for offset, data in entry.pieces():
        view = memoryview(data)
        for first, last in written_ranges(view, len(view)):
            out.write(view[first:last], offset + first)
        progress(offset + len(data))


def contents(entry: Entry) -> Iterator[bytes]:
    """Yield the bytes of a file, one piece after the other, with the zeros of its holes.

    Raises:
        VhdxError: It cannot be read.
    """
    position = 0
    for offset, data in entry.pieces():
        yield from _zeros(offset - position)
        yield data
        position = offset + len(data)
    yield from _zeros(entry.status.size - position)


def _zeros(length: int) -> Iterator[bytes]:
    for at in range(0, length, len(_ZEROS)):
        yield _ZEROS[: length - at]


_ZEROS = bytes(1 << 20)
