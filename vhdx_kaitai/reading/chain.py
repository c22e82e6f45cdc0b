"""Images that are each the parent of the one before: how one is found, and what has to fit.

A file is taken for the parent when its DataWriteGuid is the one that the child
recorded, whatever its name [MS-VHDX 2.6.2.6.3].
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ..errors import (
    Finding,
    ParentMismatchError,
    ParentNotFoundError,
    ReplayRequiredError,
    Span,
    VhdxError,
    Where,
    mismatch,
    mismatched_text,
    refuse,
)
from ..format.judge import NOTHING, Assumable
from ..format.locator import PATH_KEYS, Locator, is_absolute, matching_key
from ..guids import NIL
from ..storage.source import Opener, SourceLike
from ..text import quoted
from .image import Image, Replay
from .parents import NO_SUCH_FILE, Candidate, Search, candidates, confined, folded, folders_of

MAX_CHAIN_LENGTH = 256  # ours, and that of others


class Link(NamedTuple):
    """How a parent was found.

    Attributes:
        key: Key of the locator that led to it; None when the caller named it.
        matched_by: Key of the locator that its DataWriteGuid equals.
    """

    key: str | None
    matched_by: str


def open_chain(
    source: SourceLike,
    *,
    parent: SourceLike | None,
    search: Search,
    follow_absolute: bool,
    replay: Replay,
    resolve_parents: bool,
    assumable: Assumable = NOTHING,
) -> tuple[list[Image], list[Link]]:
    """Return an image with all its parents, child first, and how each of them was found.

    The arguments and errors are those of `open_disk`.
    """
    chain = [Image(source, replay=replay, assumable=assumable)]
    links: list[Link] = []
    try:
        while resolve_parents and chain[-1].locator is not None:
            image, link = find_parent(
                chain[-1],
                parent=parent if len(chain) == 1 else None,
                search=search,
                follow_absolute=follow_absolute,
                replay=replay,
                may_be_named=len(chain) == 1,
                assumable=assumable,
            )
            chain.append(image)
            links.append(link)
            refuse(check_link(chain))
    except BaseException:
        for image in chain:
            image.close()
        raise
    return chain, links


def find_parent(
    child: Image,
    *,
    parent: SourceLike | None = None,
    search: Search = (),
    follow_absolute: bool = False,
    replay: Replay = "memory",
    may_be_named: bool = True,
    assumable: Assumable = NOTHING,
) -> tuple[Image, Link]:
    """Return the parent of a differencing image, opened, and how it was found.

    Args:
        child: The image; it has a parent locator.
        parent: The parent, instead of looking for it.
        search: Folders in which it is looked for by name, or one folder.
        follow_absolute: Follow paths that lead out of the folder of the child.
        replay: What is to be done with a dirty log of the parent.
        may_be_named: Whether it would be for the caller to name it, as it is for the
            parent of the first image.
        assumable: What may be assumed of the parent.

    Raises:
        ParentNotFoundError: No parent was found.
        ParentMismatchError: Only other files were found in its place.
        VhdxError: The parent that the caller named cannot be opened.
        OSError: The system keeps what may be the parent from being opened, and no other
            file is the parent.
    """
    locator = child.locator
    assert locator is not None
    if parent is not None:
        return _named_parent(child, locator, parent, replay, assumable)
    folders = folders_of(child.stored, search)
    opener = None if follow_absolute else confined(folders)
    tried = _Tried()
    for candidate in candidates(locator, folders, follow_absolute=follow_absolute):
        image = tried.opened(candidate, opener, assumable)
        if image is not None:
            key = matching_key(locator, image.headers.current.data_write_guid)
            if key is not None:
                return _accepted(image, replay), Link(candidate.key, key)
            tried.reject_another(candidate, _wrong_guid(image, locator))
            image.close()
    raise tried.failure(child, may_be_named=may_be_named)


def _named_parent(
    child: Image, locator: Locator, parent: SourceLike, replay: Replay, assumable: Assumable
) -> tuple[Image, Link]:
    image = Image(parent, assumable=assumable)
    key = matching_key(locator, image.headers.current.data_write_guid)
    if key is not None:
        return _accepted(image, replay), Link(None, key)
    image.close()
    name = image.path or "the parent"
    refusal = ParentMismatchError(f"{name}: {_wrong_guid(image, locator)}")
    refusal.path = child.path
    raise refusal


class _Tried:
    """What was tried in the search for a parent, and why it was rejected."""

    def __init__(self) -> None:
        self._rejected: list[str] = []
        self._has_another = False
        self._error: OSError | None = None  # the first of the system

    def opened(
        self, candidate: Candidate, opener: Opener | None, assumable: Assumable
    ) -> Image | None:
        """Return the image that a candidate is; None when it is rejected."""
        path = candidate.path
        if path is None:
            reason = f"{quoted(candidate.text)}: {candidate.reason}"
            self._rejected.append(f"{candidate.key} {reason}")
            return None
        try:
            if candidate.error is not None:
                raise candidate.error
            return Image(path, opener=opener, assumable=assumable)
        except FileNotFoundError:
            reason = "no such file"
        except OSError as error:
            reason = str(error.strerror)
            if error.errno not in NO_SUCH_FILE:  # it may be the parent
                self._error = self._error or _naming(error, path)
        except VhdxError as error:
            reason = str(error)
        self._rejected.append(f"{candidate.key}: {path}: {reason}")
        return None

    def reject_another(self, candidate: Candidate, reason: str) -> None:
        """Note that a candidate is an image, and not the parent."""
        self._rejected.append(f"{candidate.key}: {candidate.path}: {reason}")
        self._has_another = True

    def failure(self, child: Image, *, may_be_named: bool) -> Exception:
        """Return what to raise when the search has come to nothing."""
        if self._error is not None:
            return self._error
        kind = ParentMismatchError if self._has_another else ParentNotFoundError
        hint = "--search DIR adds a folder to look in"
        if may_be_named:
            hint = f"--parent PATH names it outright, {hint}"
        error = kind(f"no parent found: {'; '.join(self._rejected)} ({hint})")
        error.path = child.path
        return error


def _naming(error: OSError, path: str) -> OSError:
    """Return an error of the system that names the file it is about."""
    return error if error.filename is not None else OSError(error.errno, error.strerror, path)


def _accepted(image: Image, replay: Replay) -> Image:
    """Return a parent, unless its log is dirty and that is refused."""
    if replay == "refuse":
        try:
            image.refuse_replay()
        except ReplayRequiredError:
            image.close()
            raise
    return image


def _wrong_guid(image: Image, locator: Locator) -> str:
    found = image.headers.current.data_write_guid
    if found == NIL:
        return "DataWriteGuid is zero, which matches nothing [CHAIN-01, LOC-23]"
    wanted = [str(guid) for guid in (locator.linkage, locator.linkage_2) if guid not in (None, NIL)]
    if not wanted:
        return f"DataWriteGuid {found}, but the child names none but zero [CHAIN-01, LOC-23]"
    return f"DataWriteGuid {found}, expected {' or '.join(wanted)} [CHAIN-01]"


def check_link(chain: Sequence[Image]) -> Iterator[Finding]:
    """Yield what forbids the last image of a chain as the parent of the one before it."""
    child, parent = chain[-2:]
    place = Span(f"parent {parent.path or 'in memory'}")
    if any(_is_same_file(parent, other) for other in chain[:-1]):
        yield Finding("CHAIN-06", "error", place, "is in the chain already, expected no cycle")
    if len(chain) > MAX_CHAIN_LENGTH:
        expected = f"at most {MAX_CHAIN_LENGTH} (our limit)"
        yield mismatch("CHAIN-06", "limit", place, "length of the chain", str(len(chain)), expected)
    own, theirs = child.metadata.logical_sector_size, parent.metadata.logical_sector_size
    if own != theirs:
        expected = f"{own} as in its child"
        yield mismatch("CHAIN-02", "error", place, "LogicalSectorSize", str(theirs), expected)


def check_likeness(chain: Sequence[Image]) -> Iterator[Finding]:
    """Yield what is unusual about the last image of a chain as the parent of the one before it."""
    child, parent = (image.metadata for image in chain[-2:])
    place = Span(f"parent {chain[-1].path or 'in memory'}")
    if child.virtual_disk_size != parent.virtual_disk_size:
        actual = f"{parent.virtual_disk_size} bytes"
        expected = f"{child.virtual_disk_size} as in its child; past its end are zeros"
        yield mismatch("CHAIN-04", "note", place, "VirtualDiskSize", actual, expected)
    if child.virtual_disk_id != parent.virtual_disk_id:
        expected = f"{child.virtual_disk_id} as in its child"
        yield mismatch(
            "CHAIN-05", "note", place, "VirtualDiskId", str(parent.virtual_disk_id), expected
        )


def _is_same_file(one: Image, other: Image) -> bool:
    status, others = one.stored.status(), other.stored.status()
    if status is None or others is None:
        return one.stored is other.stored
    return os.path.samestat(status, others)


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
        target = folded(os.path.normpath(os.path.join(folder, *names)))
        if target not in {folded(os.path.abspath(path)), folded(os.path.realpath(path))}:
            expected = "a path to the parent in use"
            name = PATH_KEYS[0]
            yield mismatched_text("LOC-21", "note", place, name, relative, expected)
