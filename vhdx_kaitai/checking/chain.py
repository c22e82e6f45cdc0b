"""An image and its parents, checked."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import takewhile

from ..errors import Finding, Span, VhdxError
from ..format import metadata
from ..reading import parents
from ..reading.chain import check_likeness, check_link, check_way, why_missing
from ..reading.image import Image
from ..reading.links import Link, Sought, find_parent
from ..reading.renamed import BY_GUID
from ..records import TYPE_CHECKING
from ..storage.source import SourceLike, open_source
from .findings import MOST_OF_ALL, MOST_PER_RULE, Collector, Report
from .image import check_image

if TYPE_CHECKING:
    from ..reading.links import Named

# About what a metadata dump does not have: blocks, bytes after headers and BAT entries.
_LEFT_OUT = ("BAT-10", "HDR-17", "BAT-15")


def check(
    source: SourceLike,
    *,
    chain: bool = False,
    skeleton: bool = False,
    ignore: Collection[str] = (),
    all_findings: bool = False,
    parent: Named = None,
    search: parents.Search = (),
    follow_absolute: bool = False,
) -> Report:
    """Check an image against every rule that a file can show to be broken.

    Whatever the bytes, this returns; it raises only what the system does, or a file at a URL.

    Args:
        source: Path, URL, buffer or binary file object.
        chain: Check the parents of a differencing disk, too.
        skeleton: The file is a metadata dump, or to be compared with one: blocks may
            lie past its end, and bytes that a dump leaves out do not count.
        ignore: Ids of rules that do not count.
        all_findings: Report all findings of a rule, up to 131072 of them, and not only the first
            20. How many are left out is counted in either case.
        parent: The parent, instead of looking for it; a list for that of each level.
        search: Folders in which parents are looked for, by name and by their
            DataWriteGuid, paths or URLs, or one folder.
        follow_absolute: Follow paths of parents that lead out of the folder.

    Raises:
        OSError: The file, or the parent that was named, cannot be read.
        VhdxError: A file at a URL was replaced meanwhile, or what reads it is not installed.
    """
    stored = open_source(source)
    try:
        most = MOST_OF_ALL if all_findings else MOST_PER_RULE
        collector = Collector({*ignore, *_LEFT_OUT} if skeleton else ignore, most)
        image = check_image(stored, collector, is_skeleton=skeleton)
        sought = Sought.of(parent, search, follow_absolute=follow_absolute)
        above: tuple[Report, ...] = ()
        unused: tuple[str, ...] = ()
        if image is not None and image.locator is None:
            unused = tuple(sought.unused(0))
        elif image is not None and chain:
            above, unused = _Chain(image, collector, sought).checked(ignore)
        elif image is not None:
            collector.skip("the parents", "not asked for; --chain (chain=True) checks them, too")
        return collector.report(stored.path)._replace(parents=above, unused=unused)
    finally:
        if stored is not source:
            stored.close()


class _Chain:
    """The parents of an image, one after the other.

    Args:
        image: The image.
        collector: Takes what is found of it.
        sought: Where parents are looked for.
    """

    def __init__(self, image: Image, collector: Collector, sought: Sought) -> None:
        self._chain = [image]
        self._take = collector  # of the last image of the chain
        self._sought = sought

    def checked(self, ignore: Collection[str]) -> tuple[tuple[Report, ...], tuple[str, ...]]:
        """Check the parents; return a report on each, and what of that is sought is for nothing.

        Args:
            ignore: Ids of rules that do not count.
        """
        takes = [self._take]
        try:
            while (child := self._chain[-1]).locator is not None:
                if not self._found_next():
                    name = child.path or "the image"
                    for take in takes:
                        take.give_up(f"The disk cannot be read: {name} has no parent to be used.")
                    break
                self._take = Collector(ignore, self._take.most)
                takes.append(self._take)
                check_image(self._chain[-1].stored, self._take)
            paths = [image.path for image in self._chain[1:]]
            levels = sum(image.locator is not None for image in self._chain[: len(takes)])
        finally:
            for image in self._chain[1:]:
                image.close()
        # Each may have had a say about the next, so none was done before the end.
        reports = [take.report(path) for take, path in zip(takes[1:], paths, strict=False)]
        return tuple(reports), tuple(self._sought.unused(levels))

    def _found_next(self) -> bool:
        """Add the next parent to the chain, and tell whether there is one that may be used."""
        child, depth = self._chain[-1], len(self._chain) - 1
        try:
            found, link = find_parent(child, self._sought, depth=depth)
        except (VhdxError, OSError) as error:
            if isinstance(error, OSError) and self._sought.name_at(depth) is not None:
                raise
            # None of that says anything about the file: its parent may just be somewhere else.
            finding = why_missing(child, error)
            if isinstance(error, OSError):
                self._take.fail("the parents", finding.message)
            else:
                self._take.add_apart(finding)
                why = f"no parent that can be used was found [{finding.rule}]"
                self._take.fail("the parents", why)
            return False
        self._chain.append(found)
        may_be_used = self._take.take(check_link(self._chain))
        self._take.take(check_likeness(self._chain))
        place = Span(f"parent {found.path or 'in memory'}")
        self._take.take(metadata.check_fork(child.metadata, found.metadata, place))
        way = found.stored.location
        if child.stored.location is not None and way is not None:
            self._take.take(self._check_way(way, link, place))
        return may_be_used

    def _check_way(self, parent: str, link: Link, place: Span) -> Iterator[Finding]:
        locator = self._chain[-2].locator
        assert locator is not None  # there is a parent
        folders = parents.folders_of(self._chain[-2].stored, self._sought.search)
        tried: Iterator[parents.Candidate] = iter(())
        is_beside = parents.is_below(folders[0], parent)
        if link.key not in (None, BY_GUID) and is_beside and not self._sought.follow_absolute:
            all_candidates = parents.candidates(locator, folders, follow_absolute=False)
            tried = takewhile(lambda candidate: candidate.path != parent, all_candidates)
        return check_way(locator, folders[0].path, parent, tried, place)
