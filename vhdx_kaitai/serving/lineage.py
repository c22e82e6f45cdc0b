"""Which images of a fleet are each other's parents, by their records alone.

A parent is known by its DataWriteGuid, whatever its name [MS-VHDX 2.6.2.6.3]. Names say only which
of several copies is meant, and what stands where the parent should be. Nothing is read.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain

from ..errors import Finding, Span
from ..format.locator import LINKAGE, LINKAGE_2, PATH_KEYS, is_absolute
from ..guids import NIL
from ..reading.parents import folded
from ..records import NamedTuple
from ..showing.document import Document
from ..storage.urls import is_url

_WITHOUT_USE = (None, "corrupt", "not-vhdx")  # verdicts of what is no parent to be relied on


class Chains(NamedTuple):
    """What the images of a fleet are to each other.

    Attributes:
        children: How many have a parent.
        whole: How many of these have all their parents in the fleet, none of them corrupt.
        findings: What is wrong between children and parents, with the path of the child.
    """

    children: int
    whole: int
    findings: list[tuple[str, Finding]]


class _Member(NamedTuple):
    """What is kept of a record.

    Attributes:
        path: Path of the image.
        guid: Its DataWriteGuid; None when it is zero or could not be had.
        linkages: DataWriteGuids of which its parent has one; none but of a child.
        is_child: Whether it has a parent.
        places: Where its parent may be, the likeliest first, as `_place` has them.
        is_usable: Whether it is not corrupt itself.
    """

    path: str
    guid: str | None
    linkages: tuple[str, ...]
    is_child: bool
    places: tuple[str, ...]
    is_usable: bool


class Lineage:
    """Takes the images of a fleet and puts them into chains."""

    def __init__(self) -> None:
        self._members: dict[str, _Member] = {}

    def add(self, record: Document) -> None:
        """Take an image."""
        linkages = map(_known, (record[LINKAGE], record[LINKAGE_2]))
        self._members[record["path"]] = _Member(
            record["path"],
            _known(record["data_write_guid"]),
            tuple(guid for guid in linkages if guid is not None),
            record[LINKAGE] is not None,
            tuple(_places(record)),
            record["verdict"] not in _WITHOUT_USE,
        )

    def chains(self) -> Chains:
        """Return what the images that were taken are to each other."""
        members = [self._members[path] for path in sorted(self._members)]
        children = [member for member in members if member.is_child]
        by_place = {_place(member.path): member for member in members}
        by_guid: dict[str | None, list[_Member]] = defaultdict(list)
        for member in members:
            by_guid[member.guid].append(member)
        parents: dict[str, _Member] = {}
        findings = []
        for child in children:
            named = [by_place[place] for place in child.places if place in by_place]
            others = chain.from_iterable(by_guid[guid] for guid in child.linkages)
            fitting = (one for one in chain(named, others) if one.guid in child.linkages)
            itself = child if child.guid in child.linkages else None
            parent = next((one for one in fitting if one is not child), itself)
            if parent is not None:
                parents[child.path] = parent
            else:
                findings.append((child.path, _why_missing(child, named)))
        whole = _whole(children, parents)
        findings += _cycles(children, parents)
        return Chains(len(children), sum(whole[child.path] for child in children), findings)


def _known(guid: str | None) -> str | None:
    """Return a GUID unless it is zero, which matches nothing (LOC-23)."""
    return guid if guid != str(NIL) else None


def _places(record: Document) -> Iterator[str]:
    """Yield where the paths of a locator lead, and where their last names do beside the child."""
    folder = os.path.dirname(record["path"])
    names = []
    for key in PATH_KEYS:
        if record[key]:
            parts = re.split(r"[\\/]", record[key])
            names.append(parts[-1])
            if not is_absolute(record[key]):
                yield _place(os.path.join(folder, *parts))
    for name in names:
        yield _place(os.path.join(folder, name))


def _place(path: str) -> str:
    """Return what two paths have in common that lead to one file, as far as names tell."""
    if not is_url(path):
        return folded(os.path.abspath(path))
    scheme, mark, rest = path.partition("://")
    return folded(scheme + mark + posixpath.normpath(rest))


def _why_missing(child: _Member, named: list[_Member]) -> Finding:
    """Return what is wrong with a child to which no image fits, not even one that it names."""
    wanted = " or ".join(child.linkages) or "none but zero, which matches nothing"
    place = Span(f"parent of {child.path}")
    other = next((one for one in named if one is not child), None)
    if other is None:
        message = f"no image with DataWriteGuid {wanted} among those that were looked at"
        return Finding("CHAIN-10", "error", place, message)
    if other.guid is None:
        message = f"found {other.path}, but it cannot be used, wanted DataWriteGuid {wanted}"
        return Finding("CHAIN-10", "error", place, message)
    why = "it was changed after the child was made, or is another disk"
    message = f"found {other.path}, but {why}: DataWriteGuid {other.guid}, expected {wanted}"
    return Finding("CHAIN-01", "error", place, message, wanted, other.guid)


def _whole(children: list[_Member], parents: dict[str, _Member]) -> dict[str, bool]:
    """Return of each child whether it and all its parents are there, and none is corrupt."""
    known: dict[str, bool] = {}
    for child in children:
        way: dict[str, _Member] = {}
        member: _Member | None = child
        while member is not None and member.path not in known and member.path not in way:
            way[member.path] = member
            member = parents.get(member.path)
        if member is None:  # the last one has no parent in the fleet, and need not have one
            is_good = not next(reversed(way.values())).is_child
        else:
            is_good = known.get(member.path, False)  # unknown is what closes a cycle
        for path, one in reversed(way.items()):
            is_good = known[path] = is_good and one.is_usable
    return known


def _cycles(children: list[_Member], parents: dict[str, _Member]) -> Iterator[tuple[str, Finding]]:
    """Yield a finding for each child that is its own ancestor."""
    seen: set[str] = set()
    for child in children:
        way: dict[str, _Member] = {}
        member: _Member | None = child
        while member is not None and member.path not in seen:
            seen.add(member.path)
            way[member.path] = member
            member = parents.get(member.path)
        if member is None or member.path not in way:
            continue
        paths = list(way)
        for path in paths[paths.index(member.path) :]:
            place = Span(f"parent {parents[path].path}")
            message = "is in the chain already, expected no cycle"
            yield path, Finding("CHAIN-06", "error", place, message)
