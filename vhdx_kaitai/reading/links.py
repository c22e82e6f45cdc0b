"""How a parent is found: named by the caller, by the paths of a locator, or by its DataWriteGuid.

A file is taken for the parent when its DataWriteGuid is the one that the child
recorded, whatever its name [MS-VHDX 2.6.2.6.3].
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Literal, TypeAlias

from ..errors import (
    Assumption,
    FormatError,
    ParentMismatchError,
    ParentNotFoundError,
    ReplayRequiredError,
    VhdxError,
)
from ..format.judge import NOTHING, Assumable
from ..format.locator import Locator, matching_key
from ..guids import NIL
from ..records import TYPE_CHECKING, NamedTuple
from ..storage.source import Opener, SourceLike
from ..storage.urls import is_url, shown
from ..text import quoted
from .image import Image, Replay
from .parents import NO_SUCH_FILE, Candidate, Search, candidates, confined, folders_of, paths_of
from .renamed import renamed

if TYPE_CHECKING:
    from collections.abc import Sequence

    # The parent, or that of each level, nearest first; None for one that is to be looked for.
    Named: TypeAlias = SourceLike | Sequence[SourceLike | None] | None

Linkage: TypeAlias = Literal["refuse", "ignore"]


class Link(NamedTuple):
    """How a parent was found.

    Attributes:
        key: Key of the locator that led to it; `data_write_guid` when it has another name
            and was found by that; None when the caller named it.
        matched_by: Key of the locator that its DataWriteGuid equals; None when it equals
            none, and was taken all the same.
    """

    key: str | None
    matched_by: str | None


class Sought(NamedTuple):
    """Where parents are looked for, and which are taken.

    Attributes:
        named: The parents that the caller names, nearest first; None for one that is to
            be looked for.
        search: Folders in which they are looked for, paths or URLs, or one folder.
        follow_absolute: Whether paths are followed that lead out of the folder of the child.
        any_linkage: Whether a parent is taken although its DataWriteGuid is another one.
    """

    named: tuple[SourceLike | None, ...] = ()
    search: Search = ()
    follow_absolute: bool = False
    any_linkage: bool = False

    @classmethod
    def of(
        cls, parent: Named, search: Search, *, follow_absolute: bool, linkage: Linkage = "refuse"
    ) -> Sought:
        """Return what callers say of parents."""
        if not isinstance(parent, (list, tuple)):
            parent = [parent]  # type: ignore[list-item]  # no other sequence is one of parents
        return cls(tuple(parent), search, follow_absolute, linkage == "ignore")

    def name_at(self, depth: int) -> SourceLike | None:
        """Return the parent that the caller names for the image at some depth of a chain."""
        return self.named[depth] if depth < len(self.named) else None

    def unused(self, levels: int) -> Iterator[str]:
        """Yield what of this is for nothing.

        Args:
            levels: How many images of the chain have a parent.
        """
        for parent in self.named[levels:]:
            if parent is not None:
                name = "in memory"
                if isinstance(parent, (str, os.PathLike)):
                    name = shown(os.fsdecode(parent))
                yield f"the parent {name} is not used: no image of the chain needs it"
        folders = paths_of(self.search)
        if not levels and (folders or self.follow_absolute):
            yield "no parent is looked for: the image has none"
        for folder in folders:
            if not (is_url(folder) or os.path.isdir(folder)):
                yield f"nothing is looked for in {folder}: there is no such folder"


NOWHERE_ELSE = Sought()


class Terms(NamedTuple):
    """How the images of a chain are opened.

    Attributes:
        replay: What is to be done with a dirty log.
        assumable: What may be assumed of each.
    """

    replay: Replay = "memory"
    assumable: Assumable = NOTHING


USUAL = Terms()


def find_parent(
    child: Image, sought: Sought = NOWHERE_ELSE, terms: Terms = USUAL, depth: int = 0
) -> tuple[Image, Link]:
    """Return the parent of a differencing image, opened, and how it was found.

    Args:
        child: The image; it has a parent locator.
        sought: Where parents are looked for.
        terms: How they are opened.
        depth: Index of the child in its chain.

    Raises:
        ParentNotFoundError: No parent was found.
        ParentMismatchError: Only other files were found in its place.
        VhdxError: The parent that the caller named cannot be opened.
        OSError: The system keeps what may be the parent from being opened, and no other
            file is the parent.
    """
    locator = child.locator
    assert locator is not None
    named = sought.name_at(depth)
    if named is not None:
        return _named_parent(child, locator, named, sought, terms)
    folders = folders_of(child.stored, sought.search)
    opener = None if sought.follow_absolute else confined(folders)
    tried = _Tried(locator, sought)
    try:
        by_name = candidates(locator, folders, follow_absolute=sought.follow_absolute)
        by_guid = renamed(locator, folders, opener)
        image, link = tried.first_of(chain(by_name, by_guid), opener, terms.assumable)
    except BaseException:
        tried.close()
        raise
    if image is None:
        raise tried.failure(child, depth)
    return _accepted(image, terms.replay), link


def _named_parent(
    child: Image, locator: Locator, parent: SourceLike, sought: Sought, terms: Terms
) -> tuple[Image, Link]:
    image = Image(parent, assumable=terms.assumable)
    key = matching_key(locator, image.headers.current.data_write_guid)
    if key is None and not sought.any_linkage:
        image.close()
        place = f"{image.path}: " if image.path else ""
        why = f"{place}{_another(image, locator)} ({_TAKE_IT_ALL_THE_SAME})"
        refusal = ParentMismatchError(why)
        refusal.path = child.path
        raise refusal
    return _accepted(image, terms.replay), Link(None, key)


class _Tried:
    """What was tried in the search for a parent, and why it was rejected.

    Args:
        locator: The locator of the child.
        sought: What is looked for.
    """

    def __init__(self, locator: Locator, sought: Sought) -> None:
        self._locator = locator
        self._keeps_others = sought.any_linkage
        self._paths: set[str] = set()
        self._rejected: list[str] = []
        self._others: list[str] = []  # images that are not the parent
        self._other: tuple[Image | None, Link] = None, Link(None, None)  # the first of them
        self._error: OSError | None = None  # the first of the system

    def first_of(
        self, found: Iterable[Candidate], opener: Opener | None, assumable: Assumable
    ) -> tuple[Image | None, Link]:
        """Return the first candidate that is the parent, or what is to be taken for it."""
        for candidate in found:
            image = self._opened(candidate, opener, assumable)
            if image is None:
                continue
            key = matching_key(self._locator, image.headers.current.data_write_guid)
            if key is not None:
                self.close()
                return image, Link(candidate.key, key)
            place = f"{candidate.key}: {image.path}"
            self._others.append(f"{place}: {_another(image, self._locator)}")
            if self._keeps_others and self._other[0] is None:
                self._other = image, Link(candidate.key, None)
            else:
                image.close()
        return self._other

    def _opened(
        self, candidate: Candidate, opener: Opener | None, assumable: Assumable
    ) -> Image | None:
        """Return the image that a candidate is; None when it is rejected."""
        path = candidate.path
        if path is None:
            reason = f"{quoted(shown(candidate.text))}: {candidate.reason}"
            self._rejected.append(f"{candidate.key} {reason}")
            return None
        if path in self._paths:  # by its GUID, too
            return None
        self._paths.add(path)
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
        except FormatError as error:
            is_other = error.finding.rule == "FTI-01"
            reason = str(error) if is_other else f"found, but it is damaged: {error}"
        except VhdxError as error:
            reason = str(error)
        self._rejected.append(f"{candidate.key}: {shown(path)}: {reason}")
        return None

    def failure(self, child: Image, depth: int) -> Exception:
        """Return what to raise when the search has come to nothing."""
        if self._error is not None:
            return self._error
        told = "; ".join([*self._others, *self._rejected])
        each = ", once for each level," if depth else ""
        error: ParentMismatchError | ParentNotFoundError
        if self._others:
            hint = f"--parent PATH{each} names another one, {_SEARCH}, {_TAKE_IT_ALL_THE_SAME}"
            error = ParentMismatchError(f"no parent that fits: {told} ({hint})")
        else:
            hint = f"--parent PATH{each} names it outright, {_SEARCH}"
            wanted = _wanted(self._locator) or "none but zero, which matches nothing"
            what = f"no parent found, wanted DataWriteGuid {wanted}"
            error = ParentNotFoundError(f"{what}: {told} ({hint})")
        error.path = child.path
        return error

    def close(self) -> None:
        """Close the image that was kept in case that there is no better one."""
        if self._other[0] is not None:
            self._other[0].close()


_SEARCH = "--search DIR looks in a folder, for other names, too"
_TAKE_IT_ALL_THE_SAME = "--ignore-linkage takes this one all the same, to read it"


def _naming(error: OSError, path: str) -> OSError:
    """Return an error of the system that names the file it is about."""
    if error.filename is not None:
        return error
    return OSError(error.errno, error.strerror, shown(path))


def _accepted(image: Image, replay: Replay) -> Image:
    """Return a parent, unless its log is dirty and that is refused."""
    if replay == "refuse":
        try:
            image.refuse_replay()
        except ReplayRequiredError:
            image.close()
            raise
    return image


def _another(image: Image, locator: Locator) -> str:
    """Return that an image is not the parent, and why."""
    name = os.path.basename(image.path) if image.path else "the parent"
    why = "it was changed after the child was made, or is another disk"
    return f"found {name}, but {why}: {_mismatch(image, locator)}"


def _mismatch(image: Image, locator: Locator) -> str:
    """Return what is wrong with the DataWriteGuid of an image that is not the parent."""
    guid, wanted = image.headers.current.data_write_guid, _wanted(locator)
    if guid == NIL:
        return "DataWriteGuid is zero, which matches nothing [CHAIN-01, LOC-23]"
    if not wanted:
        return f"DataWriteGuid {guid}, but the child names none but zero [CHAIN-01, LOC-23]"
    return f"DataWriteGuid {guid}, expected {wanted} [CHAIN-01]"


def _wanted(locator: Locator) -> str:
    """Return which GUIDs a child wants its parent to have."""
    return " or ".join(map(str, locator.linkages))


def assumed_of(link: Link, child: Image, parent: Image) -> Iterator[Assumption]:
    """Yield what was taken for granted of a parent because it is linked to its child wrongly."""
    if link.matched_by is None and child.locator is not None:
        why = _mismatch(parent, child.locator)
        message = f"it is taken for the parent, and the disk may be a garbled mixture; {why}"
        yield Assumption(parent.path, "linkage", message)
