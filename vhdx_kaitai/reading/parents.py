"""Where a parent locator lets a parent be looked for [MS-VHDX 2.6.2.6.3].

Unless the caller allows more, that is the folder of the child and below, and
folders that the caller names. Nothing here opens a file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence

from ..errors import Finding, mismatch
from ..format.locator import PATH_KEYS, Locator, is_absolute
from ..records import TYPE_CHECKING, NamedTuple
from ..text import quoted

if TYPE_CHECKING:
    from typing import TypeAlias

    from ..errors import Where

# Folders to look in, or a single one.
Search: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]]"


class Candidate(NamedTuple):
    """A file that may be the parent, or a path that is not followed.

    Attributes:
        key: Key of the locator that leads to it.
        text: Value of the key, or the link that it leads to.
        path: Path of the file; None when it is not followed or there is none.
        reason: Why there is no path.
    """

    key: str
    text: str
    path: str | None
    reason: str | None = None


# Names that Windows gives to devices, in whatever folder and with whatever extension.
_DEVICES = re.compile(
    r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(\..*)?", re.IGNORECASE
)
_EXTENDED_PREFIX = "\\\\?\\"
_LEADS_OUT = "leads out of the folder (--follow-absolute would allow it)"


def search_folders(search: Search) -> list[str]:
    """Return the folders to look in; a path that stands alone is one of them, not many."""
    if isinstance(search, (str, bytes, os.PathLike)):
        search = [search]
    return [os.fsdecode(folder) for folder in search]


def candidates(
    locator: Locator, folder: str | None, search: Sequence[str], *, follow_absolute: bool
) -> Iterator[Candidate]:
    """Yield where the parent may be, in the order in which it is to be tried.

    Args:
        locator: The locator of the child.
        folder: Folder of the child; None when the child is not a file with a path.
        search: Further folders.
        follow_absolute: Follow absolute paths and such that leave the folder.
    """
    seen = set()
    for key, text in locator.paths:
        for candidate in _candidates_of(key, text, folder, search, follow=follow_absolute):
            if candidate.path is not None and not _is_encodable(candidate.path):
                reason = "a name that files cannot have under this locale"
                candidate = Candidate(key, candidate.path, None, reason)
            mark = candidate.path or (candidate.text, candidate.reason)
            if mark not in seen:
                yield candidate
            seen.add(mark)


def _candidates_of(
    key: str, text: str, folder: str | None, search: Sequence[str], *, follow: bool
) -> Iterator[Candidate]:
    plain = text.removeprefix(_EXTENDED_PREFIX)
    names = [name for name in re.split(r"[\\/]", plain) if name not in ("", ".")]
    folders = ([] if folder is None else [folder]) + list(search)
    if key == "relative_path" and not is_absolute(text):
        for place in folders:
            yield from _relative(key, text, place, names, folders, follow=follow)
    elif follow:
        yield from _absolute(key, text, plain, names)
    else:
        yield Candidate(key, text, None, _LEADS_OUT)
    for place in folders:
        yield from _below(key, text, place, names[-1:], folders, follow=follow)
    if not folders:
        yield Candidate(
            key, text, None, "no folder to look in (--search or --parent would name one)"
        )


def _relative(
    key: str, text: str, folder: str, names: list[str], folders: list[str], *, follow: bool
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
    left = os.path.realpath(folder).split(os.sep)[-up:] if up else []
    if [_folded(name) for name in left] == [_folded(name) for name in down[:up]]:
        yield from _below(key, text, folder, down[up:], folders, follow=follow)
    elif follow:
        above = os.path.normpath(os.path.join(os.path.realpath(folder), *steps[:up]))
        for path in _descended(above, down):
            yield Candidate(key, text, path)
    else:
        yield Candidate(key, text, None, _LEADS_OUT)


def _absolute(key: str, text: str, plain: str, names: list[str]) -> Iterator[Candidate]:
    """Yield where an absolute path leads when it is followed to wherever it wants."""
    if os.name == "nt":
        yield Candidate(key, text, text)
    elif plain.startswith("/"):
        for path in _descended("/", names):
            yield Candidate(key, text, path)
    else:
        reason = "a path of Windows, which means nothing on this system"
        yield Candidate(key, text, None, reason)


def _below(
    key: str, text: str, folder: str, names: list[str], folders: list[str], *, follow: bool
) -> Iterator[Candidate]:
    """Yield files in a folder or below; links out of all folders are not followed unasked."""
    if not names or not all(_is_plain(name) for name in names):
        yield Candidate(key, text, None, "not the name of a plain file")
        return
    for path in _descended(folder, names):
        if follow or any(_is_inside(path, place) for place in folders):
            yield Candidate(key, text, path)
        else:
            yield Candidate(key, path, None, f"a link that {_LEADS_OUT}")


def _is_plain(name: str) -> bool:
    return name != ".." and ":" not in name and name.isprintable() and not _DEVICES.fullmatch(name)


def _is_encodable(path: str) -> bool:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def _is_inside(path: str, folder: str) -> bool:
    if not os.path.exists(path):
        return True
    real, root = (os.path.join(os.path.realpath(place), "") for place in (path, folder))
    return real.startswith(root)


def _descended(folder: str, names: list[str]) -> Iterator[str]:
    """Yield the files that are so many steps below a folder.

    The first has exactly these names; others differ in case, or in the way of
    composing characters. When there is none, the exact one is yielded all the same.
    """
    exact = os.path.join(folder, *names)
    is_there = os.path.lexists(exact)
    if is_there:
        yield exact
    paths = [folder]
    for name in names:
        paths = [os.path.join(path, step) for path in paths for step in _same_names(path, name)]
    if paths:
        yield from (path for path in paths if path != exact)
    elif not is_there:
        yield exact


def _same_names(folder: str, name: str) -> list[str]:
    wanted = _folded(name)
    try:
        return sorted(entry for entry in os.listdir(folder) if _folded(entry) == wanted)
    except (OSError, UnicodeEncodeError):
        return []


def _folded(name: str) -> str:
    """Return what names have in common that differ only in case or composition."""
    if name.isascii():
        return name.lower()
    from unicodedata import normalize

    return normalize("NFC", normalize("NFC", name).casefold())


def check_way(
    locator: Locator, folder: str, path: str, tried: Iterable[Candidate], place: Where
) -> Iterator[Finding]:
    """Yield what is wrong with the paths of a locator, given the parent that was found.

    Where absolute paths lead depends on the machine, so only the relative one
    can be called stale. Nothing is looked up in the file system for that.

    Args:
        locator: The locator of the child.
        folder: Folder of the child.
        path: Path of the parent in use.
        tried: Candidates that were tried, or passed over, before it was found.
        place: The parent.
    """
    for candidate in tried:
        if candidate.path is None:
            message = f"{candidate.key} {quoted(candidate.text)} was not followed: it "
            reason = candidate.reason or ""
            message += reason if reason.startswith("leads") else f"is {reason}"
            yield Finding("CHAIN-07", "note", place, message)
    relative = locator.entries.get(PATH_KEYS[0])
    if relative is not None and not is_absolute(relative):
        names = re.split(r"[\\/]", relative)
        target = _folded(os.path.normpath(os.path.join(folder, *names)))
        if target not in {_folded(os.path.abspath(path)), _folded(os.path.realpath(path))}:
            expected = "a path to the parent in use"
            yield mismatch("LOC-21", "note", place, "relative_path", quoted(relative), expected)
