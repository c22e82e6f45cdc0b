"""Every rule, on one image and on its chain, in the order of reading.

The rules themselves stand beside their structures; opening runs the same ones
and stops at the first that refuses. Here nothing stops: what cannot be looked
at because something before it is broken is listed as skipped, with the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import takewhile
from typing import Any, Literal, NamedTuple

from ..errors import Finding, FormatError, ParentMismatchError, Span, VhdxError
from ..format import metadata, regions, replay
from ..format.descent import Contents, Descent
from ..format.judge import Check, Judge, Refusal
from ..guids import REGION_NAMES
from ..reading import disk, parents
from ..reading.image import Image
from ..storage.source import Source, SourceLike, open_source
from ..text import human_size
from . import blocks, told

Verdict = Literal["clean", "warnings", "corrupt", "not-vhdx"]

# Findings of one rule that are reported; more of them would tell nobody anything.
MOST_PER_RULE = 20

# About what a metadata dump does not have: blocks, bytes after headers and BAT entries.
_LEFT_OUT = ("BAT-10", "HDR-17", "BAT-15")


class Skipped(NamedTuple):
    """Something that was not checked.

    Attributes:
        what: What.
        why: Why not.
    """

    what: str
    why: str


class Report(NamedTuple):
    """What a check found.

    Attributes:
        path: Path of the file; None when its bytes come from somewhere else.
        verdict: `clean`: nothing but notes. `warnings`: the disk reads rightly,
            but something is damaged. `corrupt`: a reader refuses the file or
            some of its data. `not-vhdx`: it is something else.
        findings: Broken rules, in the order of reading.
        skipped: What was not checked.
        is_incomplete: Whether something else than the file itself kept some of it from
            being checked: its parents cannot be had, or a limit of our own is passed.
        more: How many findings of a rule were left out, by rule.
        diagnosis: Sentences that say what the findings mean together.
        parents: Reports on the parents, nearest first; their verdicts are their own.
    """

    path: str | None
    verdict: Verdict
    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]
    more: dict[str, int]
    diagnosis: tuple[str, ...]
    parents: tuple[Report, ...] = ()
    is_incomplete: bool = False

    @property
    def reports(self) -> tuple[Report, ...]:
        """This report and those on the parents."""
        return (self._replace(parents=()), *self.parents)


def check(
    source: SourceLike,
    *,
    chain: bool = False,
    skeleton: bool = False,
    ignore: Collection[str] = (),
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
        parent: The parent, instead of looking for it.
        search: Folders in which parents are looked for by name, or one folder.
        follow_absolute: Follow paths of parents that lead out of the folder.

    Raises:
        OSError: The file, or the parent that was named, cannot be read.
    """
    stored = open_source(source)
    try:
        collector = _Collector({*ignore, *_LEFT_OUT} if skeleton else ignore)
        image = _Check(stored, collector, skeleton=skeleton).run()
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


class _Collector(Judge):
    """Findings as they come, a limited number of each rule. As a judge it collects, and goes on."""

    def __init__(self, ignore: Collection[str]) -> None:
        self._ignore = ignore
        self._is_vhdx = True
        self._is_incomplete = False
        self._apart: set[int] = set()  # numbers of findings that the verdict leaves out
        self._seen: set[tuple[str, str, str]] = set()
        self._counts: dict[str, int] = {}
        self.findings: list[Finding] = []
        self.skipped: list[Skipped] = []
        self.more: dict[str, int] = {}
        self.diagnosis: list[str] = []

    def take(self, findings: Iterable[Finding]) -> bool:
        """Take findings and tell whether none of them is an error."""
        good = True
        try:
            for finding in findings:
                good &= self.add_one(finding)
        except FormatError as error:  # something that they are about cannot be parsed
            return self.add_one(error.finding)
        return good

    def remark(self, check: Check, *about: Any) -> None:
        """Take what a check yields."""
        self.take(check(*about))

    def lost(self, _layer: str, error: Refusal) -> None:
        """Take the finding because of which a layer cannot be had."""
        self.add_one(error.finding)

    add = take

    def add_one(self, finding: Finding, more: int = 0) -> bool:
        """Take a finding that stands for some more like it, and tell whether it is no error."""
        if finding.level == "limit":
            self.fail(finding.where, f"{finding.message} [{finding.rule}]")
            return False
        self._is_vhdx &= finding.rule != "FTI-01"
        if finding.rule in self._ignore:
            return finding.level != "error"
        key = (finding.rule, finding.where, finding.message)
        if key not in self._seen:
            if self._counts.get(finding.rule, 0) < MOST_PER_RULE:
                self._seen.add(key)
                self._counts[finding.rule] = self._counts.get(finding.rule, 0) + 1
                self.findings.append(finding)
            else:
                more += 1
            if more:
                self.more[finding.rule] = self.more.get(finding.rule, 0) + more
        return finding.level != "error"

    def skip(self, what: str, why: str) -> None:
        """Say that something is not checked."""
        if (what, why) not in self.skipped:
            self.skipped.append(Skipped(what, why))

    def fail(self, what: str, why: str) -> None:
        """Say that something is not checked for a reason that lies outside the file."""
        self.skip(what, why)
        self._is_incomplete = True

    def add_apart(self, finding: Finding) -> None:
        """Take a finding that says nothing about the file itself and leaves its verdict alone."""
        before = len(self.findings)
        self.add_one(finding)
        self._apart.update(range(before, len(self.findings)))

    def diagnose(self, sentence: str, *rules: str) -> None:
        """Say what broken rules mean together, unless none of them counts."""
        if not self._ignore or not all(rule in self._ignore for rule in rules):
            self.diagnosis.append(sentence)

    def report(self, path: str | None) -> Report:
        """Return the report on what was taken."""
        return Report(
            path,
            self._verdict(),
            tuple(self.findings),
            tuple(self.skipped),
            self.more,
            tuple(self.diagnosis),
            is_incomplete=self._is_incomplete,
        )

    def _verdict(self) -> Verdict:
        if not self._is_vhdx:
            return "not-vhdx"
        levels = {f.level for number, f in enumerate(self.findings) if number not in self._apart}
        return "corrupt" if "error" in levels else "warnings" if "warning" in levels else "clean"


class _Check:
    """One image, looked at layer by layer."""

    def __init__(self, stored: Source, collector: _Collector, *, skeleton: bool) -> None:
        self._stored = stored
        self._take = collector
        self._skeleton = skeleton

    def run(self) -> Image | None:
        """Check everything that can be got at, and return the image if it can be opened."""
        way = Descent(self._stored, self._take)
        contents = way.contents()
        layers = contents.layers() if contents is not None else None
        self._explain_start(way)
        if contents is not None:
            self._explain_contents(contents)
        for what, why in _unreached(way, contents):
            self._take.skip(what, why)
        if layers is None:
            return None
        image = Image.of(way, layers)
        self._blocks(image)
        return image

    def _explain_start(self, way: Descent) -> None:
        """Say what it means what is wrong with the headers and the log."""
        if way.headers is None:
            return
        for copy in way.headers.copies:
            if copy.defect is not None:
                self._take.diagnose(
                    f"Header {copy.copy} is damaged and header {3 - copy.copy} is used; "
                    "a program that opens the file for writing makes both good again.",
                    copy.defect.rule,
                )
        header = way.headers.current
        end = header.log_offset + header.log_length
        self._diagnose_end("the log", end, self._stored.size, "HDR-13")
        if way.replayed is not None:
            changed = human_size(way.replayed.summary.changed_bytes)
            self._take.diagnose(
                f"The log is dirty: replay changes {changed} of the file. "
                "Programs that do not replay it see an older or torn state.",
                "LOG-01",
            )
        elif way.sequence:
            flushed = way.sequence[-1].header.flushed_file_offset
            name = "what its log was written for"
            self._diagnose_end(name, flushed, self._stored.size, "LOG-32")

    def _explain_contents(self, contents: Contents) -> None:
        """Say what it means what is wrong with the region tables."""
        if contents.table is None:
            return
        for found in (copy.defect for copy in contents.tables.known()):
            if found is not None:
                copy = contents.table.copy
                self._take.diagnose(
                    f"Region table {3 - copy} is damaged and table {copy} is used; "
                    "QEMU reads table 1 alone and refuses the file when that is the damaged one.",
                    found.rule,
                )
        known = list(filter(regions.is_known, contents.table.table.entries))
        for entry in known:
            name = f"the {REGION_NAMES[entry.guid]} region"
            end = entry.file_offset + entry.length
            self._diagnose_end(name, end, contents.source.size, "REG-13")
        if any(not entry.required & 1 for entry in known):
            self._take.diagnose(
                "The BAT or metadata region is not marked as required, as in files that QEMU "
                "makes. They read rightly, but Hyper-V and VirtualBox are said to refuse them.",
                "REG-18",
            )

    def _blocks(self, image: Image) -> None:
        for news in blocks.check_blocks(image, MOST_PER_RULE, is_skeleton=self._skeleton):
            match news:
                case Finding():
                    self._take.add_one(news)
                case told.Several(finding, more):
                    self._take.add_one(finding, more)
                case told.NotLookedAt(what, why):
                    self._take.skip(what, why)
                case told.Sentence(text, rules):
                    self._take.diagnose(text, *rules)

    def _diagnose_end(self, name: str, end: int, size: int, rule: str) -> None:
        """Say what it means that a structure, without which nothing can be read, is cut."""
        if size < end <= replay.MAX_FILE_LENGTH:
            self._take.diagnose(
                f"The file is cut short: it ends at {size:#x}, {name} at {end:#x}, so at least "
                f"{human_size(end - size)} are missing. Without that nothing of the disk can be "
                "read.",
                rule,
            )


def _unreached(way: Descent, contents: Contents | None) -> Iterator[Skipped]:
    """Yield what is not checked because something above it is lost."""
    if way.identifier is None:
        yield Skipped("everything else", "the file is not long enough or no VHDX file")
    elif way.header is None:
        why = "no header is current, or it cannot be used"
        yield Skipped("log, regions, metadata, BAT", why)
    elif contents is None:
        why = "the log has to be replayed first and cannot be"
        yield Skipped("regions, metadata, BAT", why)
    else:
        if contents.table is None:
            yield Skipped("regions, metadata, BAT", "neither region table is valid")
        elif contents.metadata_region is None:
            yield Skipped("metadata, BAT", "the metadata region cannot be found")
        elif contents.items is None:
            yield Skipped("metadata items, BAT", "there is no metadata table")
        if contents.layers() is None:
            yield Skipped("the whole BAT, overlaps of blocks", "the image cannot be opened")


class _Chain:
    """The parents of an image, one after the other."""

    def __init__(
        self,
        image: Image,
        collector: _Collector,
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
                self._take = _Collector(ignore)
                collectors.append(self._take)
                _Check(self._chain[-1].stored, self._take, skeleton=False).run()
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
            found, link = disk.find_parent(
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
        may_be_used = self._take.add(disk.check_link(self._chain))
        self._take.add(disk.check_likeness(self._chain))
        place = Span(f"parent {found.path or 'in memory'}")
        self._take.add(metadata.check_fork(child.metadata, found.metadata, place))
        if child.path is not None and found.path is not None:
            self._take.add(self._check_way(found.path, link, place))
        return may_be_used

    def _check_way(self, parent: str, link: disk.Link, place: Span) -> Iterator[Finding]:
        locator = self._chain[-2].locator
        assert locator is not None  # there is a parent
        folders = parents.folders_of(self._chain[-2].stored, self._search)
        tried: Iterator[parents.Candidate] = iter(())
        if link.key is not None and not self._follow_absolute:
            all_candidates = parents.candidates(locator, folders, follow_absolute=False)
            tried = takewhile(lambda candidate: candidate.path != parent, all_candidates)
        return parents.check_way(locator, folders[0].path, parent, tried, place)
