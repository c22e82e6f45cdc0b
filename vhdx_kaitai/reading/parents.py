"""Where a parent locator lets a parent be looked for, and opened [MS-VHDX 2.6.2.6.3].

Unless the caller allows more, that is the folder of the child and below, and
folders that the caller names. What is there may be replaced by something else
at any time, by whoever put the image there. So a name is looked at only to
know what to try; what counts is the way by which the file is then opened.
"""

from __future__ import annotations

import errno
import os
import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from ..format.locator import Locator, is_absolute
from ..records import NamedTuple
from ..storage.source import Opener, Source
from ..storage.urls import above, below, is_url, names_on_the_way, split

# Folders to look in, or a single one.
Search: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

# At most this many names that differ only in case, or in the way of composing characters, are
# looked at to follow one path: ours. A path has a few steps, and one or two such names each.
MOST_ALIKE = 256


class Folder(NamedTuple):
    """A folder in which a parent may be, there or below.

    Attributes:
        path: Its path, or its URL.
        real: The same without links, as it was when the search began.
        child: Name of the file that has to be in it; None for one that the caller named.
        status: What the system said of that file when it was opened.
    """

    path: str
    real: str
    child: str | None = None
    status: os.stat_result | None = None


class Candidate(NamedTuple):
    """A file that may be the parent, or a path that is not followed.

    Attributes:
        key: Key of the locator that leads to it.
        text: Value of the key, or the link that it leads to.
        path: Path of the file; None when it is not followed or there is none.
        reason: Why there is no path.
        error: Why the system does not let the folder `path` be looked into.
    """

    key: str
    text: str
    path: str | None
    reason: str | None = None
    error: OSError | None = None


# Names that Windows gives to devices, in whatever folder and with whatever extension.
_DEVICES = re.compile(
    r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(\..*)?", re.IGNORECASE
)
_EXTENDED_PREFIX = "\\\\?\\"
_LEADS_OUT = "leads out of the folder (--follow-absolute would allow it)"
_A_LINK_LEADS_OUT = f"a link that {_LEADS_OUT}"
_TOO_MANY_ALIKE = f"more than {MOST_ALIKE} names that differ only in case (our limit)"

# What the system says of a path at which there is no file that could be the parent. Whatever
# else it says, that it lacks a permission or descriptors, tells nothing about the parent.
NO_SUCH_FILE = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ELOOP,
        errno.EMLINK,  # ELOOP, as FreeBSD says it of a link that is not to be followed
        errno.ENAMETOOLONG,
        errno.EILSEQ,  # a name that the file system has no characters for
        errno.EINVAL,  # or does not allow
        errno.EISDIR,
        errno.ESPIPE,  # a pipe
        errno.ENXIO,  # a socket
        errno.EXDEV,  # ours: it leads out of the folder
    }
)

_DIRECTORY = (
    getattr(os, "O_PATH", os.O_RDONLY)  # so that it need not be readable
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_GOES_STEP_BY_STEP = {os.open, os.stat} <= os.supports_dir_fd  # Windows does not


def folders_of(child: Source, search: Search) -> list[Folder]:
    """Return the folders to look in: that of a child, if it has one, and those of the caller."""
    folders = []
    if child.location is not None:
        real = _real(child.location)
        folder, name = split(real) if is_url(real) else os.path.split(real)
        folders.append(Folder(folder, folder, name, child.status()))
    return folders + [Folder(path, _real(path)) for path in paths_of(search)]


def _real(path: str) -> str:
    return path if is_url(path) else os.path.realpath(path)


def paths_of(search: Search) -> list[str]:
    """Return the paths of the folders that a caller names."""
    if isinstance(search, (str, bytes, os.PathLike)):  # a path that stands alone is one of them
        search = [search]
    return [os.fsdecode(path) for path in search]


def candidates(
    locator: Locator, folders: Sequence[Folder], *, follow_absolute: bool
) -> Iterator[Candidate]:
    """Yield where the parent may be, in the order in which it is to be tried.

    Args:
        locator: The locator of the child.
        folders: The folders to look in.
        follow_absolute: Follow absolute paths and such that leave the folder.
    """
    seen = set()
    look = _Look(folders, follow=follow_absolute)
    for key, text in locator.paths:
        for candidate in look.candidates(key, text):
            if candidate.path is not None and not _is_encodable(candidate.path):
                reason = "a name that files cannot have under this locale"
                candidate = Candidate(key, candidate.path, None, reason)
            mark = candidate.path or (candidate.text, candidate.reason)
            if mark not in seen:
                yield candidate
            seen.add(mark)


class _Look:
    """A look for a parent, in some folders.

    Args:
        folders: The folders.
        follow: Whether paths may lead out of them.
    """

    def __init__(self, folders: Sequence[Folder], *, follow: bool) -> None:
        self._folders = folders
        self._follow = follow
        self._alike: dict[tuple[int, int, str], list[str]] = {}
        self._listed: dict[str, list[str]] = {}

    def candidates(self, key: str, text: str) -> Iterator[Candidate]:
        """Yield where the value of a key leads."""
        plain = text.removeprefix(_EXTENDED_PREFIX)
        names = [name for name in re.split(r"[\\/]", plain) if name not in ("", ".")]
        if key == "relative_path" and not is_absolute(text):
            for folder in self._folders:
                yield from self._relative(key, text, folder, names)
        else:
            yield from self._absolute(key, text, plain, names)
        for folder in self._folders:
            yield from self._below(key, text, folder, names[-1:])
        if not self._folders:
            reason = "no folder to look in (--search or --parent would name one)"
            yield Candidate(key, text, None, reason)

    def _relative(
        self, key: str, text: str, folder: Folder, names: list[str]
    ) -> Iterator[Candidate]:
        """Yield where a relative path leads; up and down again into the same folder is inside it.

        Like Windows, this takes `..` back from the text, whatever there is on the disk.
        """
        steps: list[str] = []
        for name in names:
            if name == ".." and steps and steps[-1] != "..":
                steps.pop()
            else:
                steps.append(name)
        up = steps.count("..")
        down = steps[up:]
        left = _steps(folder.real)[-up:] if up else []
        if [folded(name) for name in left] == [folded(name) for name in down[:up]]:
            yield from self._below(key, text, folder, down[up:])
        elif self._follow:
            top = _above(folder.real, up)
            yield from self._descended(key, text, top, down)
        else:
            yield Candidate(key, text, None, _LEADS_OUT)

    def _absolute(self, key: str, text: str, plain: str, names: list[str]) -> Iterator[Candidate]:
        """Yield where an absolute path leads, if that may be anywhere."""
        if is_url(plain) or (os.name != "nt" and not plain.startswith("/")):
            reason = "a path of Windows, which means nothing on this system"
            yield Candidate(key, text, None, reason)
        elif not self._follow:
            yield Candidate(key, text, None, _LEADS_OUT)
        elif any(folder.child is not None and is_url(folder.path) for folder in self._folders):
            yield Candidate(key, text, None, "a path on another machine")
        elif os.name == "nt":
            yield Candidate(key, text, text)
        else:
            yield from self._descended(key, text, "/", names)

    def _below(self, key: str, text: str, folder: Folder, names: list[str]) -> Iterator[Candidate]:
        """Yield files in a folder or below; links out of all folders are not followed unasked."""
        if not names or not all(is_plain(name) for name in names):
            yield Candidate(key, text, None, "not the name of a plain file")
            return
        for candidate in self._descended(key, text, folder.path, names):
            path = candidate.path
            if path is None or self._follow or self._is_inside(path):
                yield candidate
            else:
                yield Candidate(key, path, None, _A_LINK_LEADS_OUT)

    def _is_inside(self, path: str) -> bool:
        if is_url(path) or not os.path.exists(path):
            return True
        real = os.path.realpath(path)
        return any(_steps_below(folder, real) is not None for folder in self._folders)

    def _descended(self, key: str, text: str, folder: str, names: list[str]) -> Iterator[Candidate]:
        """Yield the files below a folder to which names lead, each a step further down.

        The first has exactly these names; others differ in case, or in the way of
        composing characters. When there is none, the exact one is yielded all the same.
        """
        if is_url(folder):
            yield from self._descended_at_url(key, text, folder, names)
            return
        exact = os.path.join(folder, *names)
        is_there = os.path.lexists(exact)
        if is_there:
            yield Candidate(key, text, exact)
        paths, left = [folder], MOST_ALIKE
        for name in names:
            found: list[str] = []
            seen: set[tuple[int, int]] = set()
            for path in paths:
                try:
                    found += self._same_names(path, name, seen)
                except OSError as error:
                    yield Candidate(key, text, path, error=error)
            paths = found[:left]
            left -= len(paths)
            if len(paths) < len(found):
                yield Candidate(key, text, None, _TOO_MANY_ALIKE)
        if paths:
            yield from (Candidate(key, text, path) for path in paths if path != exact)
        elif not is_there:
            yield Candidate(key, text, exact)

    def _descended_at_url(
        self, key: str, text: str, folder: str, names: list[str]
    ) -> Iterator[Candidate]:
        """Yield what `_descended` does; what is there is not asked for before the exact one."""
        exact = below(folder, names)
        yield Candidate(key, text, exact)
        urls = [folder]
        for name in names:
            found: list[str] = []
            for url in urls:
                try:
                    alike = (
                        other for other in self._names_at(url) if folded(other) == folded(name)
                    )
                    found += (below(url, [other]) for other in alike)
                except OSError as error:
                    yield Candidate(key, text, url, error=error)
            urls = found[:MOST_ALIKE]
            if len(urls) < len(found):
                yield Candidate(key, text, None, _TOO_MANY_ALIKE)
        yield from (Candidate(key, text, url) for url in urls if url != exact)

    def _names_at(self, url: str) -> list[str]:
        """Return the names in a folder, where its file system can tell.

        Raises:
            OSError: The folder is there and cannot be looked into.
        """
        if url not in self._listed:
            self._listed[url] = names_at(url)
        return self._listed[url]

    def _same_names(self, folder: str, name: str, seen: set[tuple[int, int]]) -> list[str]:
        """Return the paths in a folder whose names are the same but for case and composition.

        Args:
            folder: The folder.
            name: The name.
            seen: Folders that were looked into for this name. A second way into one of
                them, over a link, leads to nothing else. So there are never more ways
                than folders, whatever the number of steps.

        Raises:
            OSError: The folder is there and cannot be read.
        """
        wanted = folded(name)
        try:
            status = os.stat(folder)
            mark = status.st_dev, status.st_ino
            if mark in seen:
                return []
            seen.add(mark)
            if (*mark, wanted) not in self._alike:
                names = os.listdir(folder)
                alike = sorted(entry for entry in names if folded(entry) == wanted)
                self._alike[*mark, wanted] = alike
            return [os.path.join(folder, entry) for entry in self._alike[*mark, wanted]]
        except UnicodeEncodeError:
            return []
        except OSError as error:
            if error.errno in NO_SUCH_FILE:
                return []
            raise


def confined(folders: Sequence[Folder]) -> Opener:
    """Return what opens files in some folders and below, and nothing to which a link leads out.

    Where a path leads is looked up, and then followed from the folder down without
    any link. So it does not matter what becomes of a link meanwhile, nor of a
    folder on the way: what is opened lies below the folder.

    Args:
        folders: The folders.

    Returns:
        What is to be called like `os.open`, with a path and flags. It raises an
        OSError whose number is EXDEV when the path leads out.
    """

    def opened(path: str, flags: int) -> int:
        os.lstat(path)  # says best what is wrong with the path itself
        if not _GOES_STEP_BY_STEP:
            return _opened_by_name(path, flags, folders)
        real = os.path.realpath(path)
        for folder in folders:
            steps = _steps_below(folder, real)
            if steps is not None:
                try:
                    return _opened_below(folder, steps, flags)
                except OSError as error:
                    raise OSError(error.errno, error.strerror, path) from error
        raise OSError(errno.EXDEV, _A_LINK_LEADS_OUT, path)

    return opened


def names_at(url: str) -> list[str]:
    """Return the names in a folder at a URL; none where no folder is, or none can be listed.

    Raises:
        OSError: The folder is there and cannot be looked into.
    """
    from ..storage.remote import names_in  # takes time, and most files are here

    try:
        return names_in(url)
    except OSError as error:
        if error.errno in NO_SUCH_FILE:
            return []
        raise


def leads_to(folder: str, names: Sequence[str], path: str) -> bool:
    """Tell whether names lead from a folder to a file, whose name may differ in case.

    Args:
        folder: The folder.
        names: The names.
        path: The file.
    """
    if not is_url(folder):
        target = folded(os.path.normpath(os.path.join(folder, *names)))
        return target in {folded(os.path.abspath(path)), folded(os.path.realpath(path))}
    way = posixpath.normpath("/".join([*_steps(folder), *names]))
    return is_url(path) and folded(way) == folded("/".join(names_on_the_way(path)))


def is_below(folder: Folder, path: str) -> bool:
    """Tell whether a file is in a folder or below."""
    if is_url(path):
        return names_on_the_way(path)[:-1][: len(_steps(folder.real))] == _steps(folder.real)
    return _steps_below(folder, os.path.realpath(path)) is not None


def _steps(folder: str) -> list[str]:
    """Return the names that lead to a folder, without links."""
    return names_on_the_way(folder) if is_url(folder) else folder.split(os.sep)


def _above(folder: str, steps: int) -> str:
    """Return the folder some steps above another one, without links."""
    if is_url(folder):
        return above(folder, steps)
    return os.path.normpath(os.path.join(folder, *[os.pardir] * steps))


def _steps_below(folder: Folder, real: str) -> list[str] | None:
    """Return the names that lead from a folder to a path without links; None when none do."""
    if real == folder.real:
        return [os.curdir]
    root = os.path.join(folder.real, "")
    return real.removeprefix(root).split(os.sep) if real.startswith(root) else None


def _opened_below(folder: Folder, steps: list[str], flags: int) -> int:
    """Open a file some steps below a folder, none of them over a link."""
    fd = os.open(folder.path, _DIRECTORY)
    try:
        if folder.child is not None and not _holds_child(folder, fd):
            raise OSError(errno.EXDEV, "its child is not in that folder any more")
        for step in steps[:-1]:
            below = os.open(step, _DIRECTORY | _NO_LINK, dir_fd=fd)
            os.close(fd)
            fd = below
        return os.open(steps[-1], flags | _NO_LINK, dir_fd=fd)
    finally:
        os.close(fd)


def _holds_child(folder: Folder, fd: int) -> bool:
    """Tell whether an open folder is that of the child, from which the search started."""
    assert folder.child is not None
    try:
        status = os.stat(folder.child, dir_fd=fd, follow_symlinks=False)
    except OSError:
        return False
    return folder.status is not None and os.path.samestat(status, folder.status)


def _opened_by_name(path: str, flags: int, folders: Sequence[Folder]) -> int:
    """Open a file where the system cannot be led step by step, and see where it lies after that."""
    fd = os.open(path, flags)
    try:
        real = os.path.realpath(path)
        is_inside = any(_steps_below(folder, real) is not None for folder in folders)
        if is_inside and os.path.samestat(os.fstat(fd), os.lstat(real)):
            return fd
        raise OSError(errno.EXDEV, _A_LINK_LEADS_OUT, path)
    except BaseException:
        os.close(fd)
        raise


def is_plain(name: str) -> bool:
    """Tell whether a name is that of a file and of nothing else, on Windows too."""
    return name != ".." and ":" not in name and name.isprintable() and not _DEVICES.fullmatch(name)


def _is_encodable(path: str) -> bool:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def folded(name: str) -> str:
    """Return what names have in common that differ only in case or composition."""
    if name.isascii():
        return name.lower()
    from unicodedata import normalize

    return normalize("NFC", normalize("NFC", name).casefold())
