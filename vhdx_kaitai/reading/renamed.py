"""Parents under another name: files of the folders to search, by their DataWriteGuid.

What a parent is called says nothing about what it is; the DataWriteGuid does
[MS-VHDX 2.6.2.6.3]. So when names lead to nothing, the files of folders that the
caller names are looked at, not those below. The folder of the child is not one of
them unless it is named, too: to open all that lies beside an image is more than
anybody expects who only opens that image. It may be a folder of downloads, or one
whose files are fetched over the network when they are first read.

Whoever put a file there may have put there anything. So a file that is no VHDX file
costs one read of its first bytes, of a VHDX file the two headers are read and nothing
else, and the number of files that are looked at is bounded.
"""

from __future__ import annotations

import contextlib
import heapq
import os
from collections.abc import Collection, Iterator, Sequence

from ..errors import VhdxError
from ..format.grammar import HeaderSection
from ..format.headers import SIGNATURE, choose_current, judge_copies, probe
from ..format.locator import Locator, matching_key
from ..format.place import TOP_LEVEL
from ..storage.source import Opener, open_source
from ..storage.urls import below, is_url
from ..text import counted
from .parents import NO_SUCH_FILE, Candidate, Folder, is_plain, names_at

# What stands in the place of the key of the locator that led to a parent.
BY_GUID = "data_write_guid"

# At most this many files of a folder are looked at: ours. Those whose names end as those of VHDX
# files do come first.
MOST_FILES = 1024

_END_OF_HEADERS = sum(TOP_LEVEL["header_2"])


def renamed(
    locator: Locator, folders: Sequence[Folder], opener: Opener | None
) -> Iterator[Candidate]:
    """Yield files whose DataWriteGuid is one that a child recorded.

    Args:
        locator: The locator of the child.
        folders: The folders in which parents are looked for.
        opener: Opens files, in the place of `os.open`.

    Yields:
        Such files; and after those of a folder, a candidate without path that says what
        was looked at.
    """
    named = {folder.real: folder for folder in folders if folder.child is None}
    own = {_path_of(folder.real, folder.child) for folder in folders if folder.child}
    for folder in named.values():
        yield from _in_folder(locator, folder, own, opener)


def _in_folder(
    locator: Locator, folder: Folder, own: Collection[str], opener: Opener | None
) -> Iterator[Candidate]:
    """Yield what `renamed` does of one folder.

    Args:
        locator: The locator of the child.
        folder: The folder.
        own: Path of the child, without links; none for a child in memory.
        opener: Opens files.
    """
    try:
        names = heapq.nsmallest(MOST_FILES + 1, _names(folder, own), key=_rank)
    except OSError as error:
        reason = f"cannot be looked into: {error.strerror}"
        yield Candidate(BY_GUID, folder.path, None, reason)
        return
    looked_at, closed = names[:MOST_FILES], 0
    for name in looked_at:
        path = _path_of(folder.path, name)
        try:
            is_wanted = _is_wanted(path, locator, opener)
        except OSError as error:
            closed += error.errno not in NO_SUCH_FILE
        else:
            if is_wanted:
                yield Candidate(BY_GUID, folder.path, path)
    if len(names) > len(looked_at):
        reason = f"none of {MOST_FILES} files has it; there are more (our limit)"
    elif looked_at:
        reason = f"none of {counted(len(looked_at), 'file')} has it"
    else:
        reason = "there is no file to look at"
    if closed:
        reason += f", but {counted(closed, 'file')} cannot be opened"
    yield Candidate(BY_GUID, folder.path, None, reason)


def _names(folder: Folder, own: Collection[str]) -> Iterator[str]:
    """Yield the names of the files of a folder that may be the parent.

    Args:
        folder: The folder.
        own: Path of the child, without links.

    Raises:
        OSError: It cannot be looked into.
    """
    if is_url(folder.path):
        names = filter(is_plain, names_at(folder.path))
        yield from (name for name in names if _path_of(folder.real, name) not in own)
        return
    with os.scandir(folder.path) as entries:
        files = (entry.name for entry in entries if is_plain(entry.name) and _is_file(entry))
        yield from (name for name in files if _path_of(folder.real, name) not in own)


def _path_of(folder: str, name: str) -> str:
    return below(folder, [name]) if is_url(folder) else os.path.join(folder, name)


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link that leads nowhere
        return False


def _rank(name: str) -> tuple[bool, str]:
    """Return by what names are put in order: .vhdx and .avhdx before others."""
    return not name.lower().endswith("vhdx"), name


def _is_wanted(path: str, locator: Locator, opener: Opener | None) -> bool:
    """Tell whether the current header of a file has the DataWriteGuid that a child recorded.

    Raises:
        OSError: The file cannot be opened.
    """
    try:
        with contextlib.closing(open_source(path, opener)) as source:
            if not probe(source.read(0, len(SIGNATURE))):
                return False
            source.prefetch(0, _END_OF_HEADERS)
            copies = judge_copies(HeaderSection(source))
    except VhdxError:  # it is too short
        return False
    current = choose_current(copies)
    if current is None:
        return False
    return matching_key(locator, copies[current - 1].header.data_write_guid) is not None
