"""Every rule, on one image and on the chain behind it, in the order of reading.

The rules themselves stand beside their structures; opening runs the same ones
and stops at the first that refuses. Here nothing stops: what cannot be looked
at because something before it is broken is listed as skipped, with the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import takewhile
from typing import Literal, NamedTuple

from ..errors import Finding, FormatError, LimitError, ParentMismatchError, Span, VhdxError
from ..format import grammar, headers, locator, log, metadata, regions, replay
from ..guids import NIL, REGION_NAMES
from ..reading import disk, parents
from ..reading.image import Image
from ..storage.source import Source, SourceLike, open_source
from ..text import human_size
from . import blocks

Verdict = Literal["clean", "warnings", "corrupt", "not-vhdx"]

# Findings of one rule that are reported; more of them would tell nobody anything.
MOST_PER_RULE = 20

# About what a metadata dump does not have: blocks, bytes behind headers and BAT entries.
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
            lie behind its end, and bytes that a dump leaves out do not count.
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


class _Collector:
    """Findings as they come, so many of each rule."""

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

    def add(self, findings: Iterable[Finding]) -> bool:
        """Take findings and tell whether none of them is an error."""
        good = True
        for finding in findings:
            good &= self.add_one(finding)
        return good

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
        try:
            section = headers.read_header_section(self._stored)
        except FormatError as error:
            self._take.add_one(error.finding)
            self._take.skip("everything else", "the file is not long enough or no VHDX file")
            return None
        self._take.add(headers.check_file_length(self._stored.size))
        self._take.add(headers.check_creator(section))
        self._take.add(headers.check_slack(section))
        header = self._headers(section)
        if header is None:
            self._take.skip(
                "log, regions, metadata, BAT", "no header is current, or it cannot be used"
            )
            return None
        source = self._log(header)
        if source is None:
            self._take.skip(
                "regions, metadata, BAT", "the log has to be replayed first and cannot be"
            )
            return None
        self._layers(grammar.HeaderSection(source), source, header)
        return self._opened()

    def _opened(self) -> Image | None:
        try:
            image = Image(self._stored)
        except (FormatError, LimitError) as error:
            # Whatever opening refuses has been found before; this is for what has not.
            self._take.add_one(error.finding)
            self._take.skip("the whole BAT, overlaps of blocks", "the image cannot be opened")
            return None
        self._blocks(image)
        return image

    def _headers(self, section: grammar.HeaderSection) -> grammar.Header | None:
        copies = headers.judge_copies(section)
        self._take.add(headers.check_copies(copies))
        self._take.add(headers.check_update(copies))
        current = headers.choose_current(copies)
        if current is None:
            return None
        self._take.add(headers.check_other(copies, current))
        for copy in copies:
            if copy.defect is not None:
                self._take.diagnose(
                    f"Header {copy.copy} is damaged and header {3 - copy.copy} is used; "
                    "a program that opens the file for writing makes both good again.",
                    copy.defect.rule,
                )
        header = copies[current - 1].header
        end = header.log_offset + header.log_length
        self._diagnose_end("the log", end, self._stored.size, "HDR-13")
        return header if self._take.add(headers.check_current(header, self._stored.size)) else None

    def _log(self, header: grammar.Header) -> Source | None:
        """Return the file as it reads after replay, None when the log forbids it."""
        if header.log_guid == NIL:
            return self._stored
        ring = log.Log(self._stored, header)
        try:
            self._take.add(log.check_ring(ring))
            sequence = ring.active_sequence
        except LimitError as error:
            self._take.add_one(error.finding)
            return None
        if not self._take.add(replay.check_sequence(ring, self._stored.size)):
            if sequence:
                flushed = sequence[-1].header.flushed_file_offset
                name = "what its log was written for"
                self._diagnose_end(name, flushed, self._stored.size, "LOG-32")
            return None
        source, summary = replay.replay(self._stored, ring)
        self._take.diagnose(
            f"The log is dirty: replay changes {human_size(summary.changed_bytes)} of the file. "
            "Programs that do not replay it see an older or torn state.",
            "LOG-01",
        )
        return source

    def _layers(
        self, section: grammar.HeaderSection, source: Source, header: grammar.Header
    ) -> None:
        tables = (section.region_table(1), section.region_table(2))
        defects = (regions.defect(tables[0]), regions.defect(tables[1]))
        self._take.add(regions.check_copies(tables, defects))
        copy = regions.choose_copy(defects)
        if copy is None:
            self._take.skip("regions, metadata, BAT", "neither region table is valid")
            return
        for found in filter(None, defects):
            self._take.diagnose(
                f"Region table {3 - copy} is damaged and table {copy} is used; "
                "QEMU reads table 1 alone and refuses the file when that is the damaged one.",
                found.rule,
            )
        table = tables[copy - 1]
        self._take.add(regions.check_table(table, source.size))
        self._take.add(regions.check_overlaps(table, (header.log_offset, header.log_length)))
        self._take.add(regions.check_unused(table))
        for entry in filter(regions.is_known, table.entries):
            name = f"the {REGION_NAMES[entry.guid]} region"
            self._diagnose_end(name, entry.file_offset + entry.length, source.size, "REG-13")
        if any(not entry.required & 1 for entry in table.entries if regions.is_known(entry)):
            self._take.diagnose(
                "The BAT or metadata region is not marked as required, as in files that QEMU "
                "makes. They read rightly, but Hyper-V and VirtualBox are said to refuse them.",
                "REG-18",
            )
        region = regions.usable_metadata(table, source.size)
        if region is None:
            self._take.skip("metadata, BAT", "the metadata region cannot be found")
            return
        try:
            content = grammar.metadata_table(source, region.file_offset)
        except FormatError as error:
            self._take.add_one(error.finding)
            self._take.skip("metadata items, BAT", "there is no metadata table")
            return
        self._take.add(metadata.check_table(content, region.length))
        items = metadata.Items(source, region.file_offset, content)
        for findings in metadata.check_items(items, content):
            self._take_carefully(findings)
        self._take_carefully(self._check_locator(items))

    def _check_locator(self, items: metadata.Items) -> Iterator[Finding]:
        # Without HasParent a locator is ignored, right or wrong.
        has_both = {"file_parameters", "parent_locator"} <= items.kinds
        if has_both and items.get("file_parameters").has_parent:
            yield from locator.check_locator(items.get("parent_locator"))

    def _take_carefully(self, findings: Iterator[Finding]) -> None:
        try:
            self._take.add(findings)
        except FormatError as error:  # an item that cannot be parsed
            self._take.add_one(error.finding)

    def _blocks(self, image: Image) -> None:
        for told in blocks.check_blocks(image, MOST_PER_RULE, is_skeleton=self._skeleton):
            match told:
                case Finding():
                    self._take.add_one(told)
                case blocks.Several(finding, more):
                    self._take.add_one(finding, more)
                case blocks.NotCompared(what, why):
                    self._take.skip(what, why)
                case blocks.Sentence(text, rules):
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
