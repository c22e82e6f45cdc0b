"""An image and its parents, checked."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from itertools import takewhile

from ..errors import Finding, FormatError, ParentMismatchError, Span, VhdxError
from ..format import metadata
from ..reading import parents
from ..reading.chain import Link, check_likeness, check_link, check_way, find_parent
from ..reading.image import Image
from ..storage.source import SourceLike, open_source
from .findings import MOST_OF_ALL, MOST_PER_RULE, Collector, Report
from .image import check_image

# About what a metadata dump does not have: blocks, bytes after headers and BAT entries.
_LEFT_OUT = ("BAT-10", "HDR-17", "BAT-15")


def check(
    source: SourceLike,
    *,
    chain: bool = False,
    skeleton: bool = False,
    ignore: Collection[str] = (),
    all_findings: bool = False,
    parent: SourceLike | None = None,
    search: parents.Search = (),
    follow_absolute: bool = False,
) -> Report:
    """Check an image against every rule that a file can show to be broken.

    Whatever the bytes, this returns; it raises only what the operating system does.

    Args:
        source: Path, buffer or binary file object.
        chain: Check the parents of a differencing disk, too.
        skeleton: The file is a metadata dump, or to be compared with one: blocks may
            lie past its end, and bytes that a dump leaves out do not count.
        ignore: Ids of rules that do not count.
        all_findings: Report all findings of a rule, up to 131072 of them, and not only the first
            20. How many are left out is counted in either case.
        parent: The parent, instead of looking for it.
        search: Folders in which parents are looked for by name, or one folder.
        follow_absolute: Follow paths of parents that lead out of the folder.

    Raises:
        OSError: The file, or the parent that was named, cannot be read.
    """
    stored = open_source(source)
    try:
        most = MOST_OF_ALL if all_findings else MOST_PER_RULE
        collector = Collector({*ignore, *_LEFT_OUT} if skeleton else ignore, most)
        image = check_image(stored, collector, is_skeleton=skeleton)
        above: tuple[Report, ...] = ()
        if image is not None and image.locator is not None and not chain:
            collector.skip("the parents", "not asked for; --chain (chain=True) checks them, too")
        elif image is not None and image.locator is not None:
            chained = _Chain(image, collector, search, follow_absolute=follow_absolute)
            above = tuple(chained.reports(parent, ignore))
        return collector.report(stored.path)._replace(parents=above)
    finally:
        if stored is not source:
            stored.close()


class _Chain:
    """The parents of an image, one after the other."""

    def __init__(
        self,
        image: Image,
        collector: Collector,
        search: parents.Search,
        *,
        follow_absolute: bool,
    ) -> None:
        self._chain = [image]
        self._take = collector  # of the last image of the chain
        self._search = search
        self._follow_absolute = follow_absolute

    def reports(self, parent: SourceLike | None, ignore: Collection[str]) -> list[Report]:
        """Check the parents and return a report on each.

        Args:
            parent: The first of them, instead of looking for it.
            ignore: Ids of rules that do not count.
        """
        collectors = []
        try:
            while self._chain[-1].locator is not None and self._found_next(parent):
                parent = None
                self._take = Collector(ignore, self._take.most)
                collectors.append(self._take)
                check_image(self._chain[-1].stored, self._take)
            paths = [image.path for image in self._chain[1:]]
        finally:
            for image in self._chain[1:]:
                image.close()
        # Each may have had a say about the next, so none was done before the end.
        return [take.report(path) for take, path in zip(collectors, paths, strict=False)]

    def _found_next(self, parent: SourceLike | None) -> bool:
        """Add the next parent to the chain, and tell whether there is one that may be used."""
        child = self._chain[-1]
        try:
            found, link = find_parent(
                child,
                parent=parent,
                search=self._search,
                follow_absolute=self._follow_absolute,
                may_be_named=len(self._chain) == 1,
            )
        except VhdxError as error:
            place = Span(f"parent of {child.path or 'the image'}")
            rule = "CHAIN-01" if isinstance(error, ParentMismatchError) else "CHAIN-10"
            name = f"{error.path}: " if isinstance(error, FormatError) and error.path else ""
            # That says nothing about the file: its parent may just be somewhere else.
            self._take.add_apart(Finding(rule, "error", place, name + str(error)))
            self._take.fail("the parents", f"no parent that can be used was found [{rule}]")
            return False
        except OSError as error:
            if parent is not None:
                raise
            self._take.fail("the parents", f"{error.filename}: {error.strerror}")
            return False
        self._chain.append(found)
        may_be_used = self._take.take(check_link(self._chain))
        self._take.take(check_likeness(self._chain))
        place = Span(f"parent {found.path or 'in memory'}")
        self._take.take(metadata.check_fork(child.metadata, found.metadata, place))
        if child.path is not None and found.path is not None:
            self._take.take(self._check_way(found.path, link, place))
        return may_be_used

    def _check_way(self, parent: str, link: Link, place: Span) -> Iterator[Finding]:
        locator = self._chain[-2].locator
        assert locator is not None  # there is a parent
        folders = parents.folders_of(self._chain[-2].stored, self._search)
        tried: Iterator[parents.Candidate] = iter(())
        is_beside = os.path.realpath(parent).startswith(os.path.join(folders[0].path, ""))
        if link.key is not None and is_beside and not self._follow_absolute:
            all_candidates = parents.candidates(locator, folders, follow_absolute=False)
            tried = takewhile(lambda candidate: candidate.path != parent, all_candidates)
        return check_way(locator, folders[0].path, parent, tried, place)
