"""What a check found: findings as they come, and the report on all of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Literal, TypeAlias

from ..errors import Finding, FormatError
from ..format.judge import Check, Judge, Refusal
from ..records import NamedTuple
from .told import Sentence, Several, Skipped, Told

Verdict: TypeAlias = Literal["clean", "warnings", "unusable", "corrupt", "not-vhdx"]

# Findings of one rule that are reported; more of them would tell nobody anything.
MOST_PER_RULE = 20
# And when all are asked for: ours, since a BAT has room for 67 million.
MOST_OF_ALL = 1 << 17

_GRAVITY = ("error", "warning", "note")


class Report(NamedTuple):
    """What a check found.

    Attributes:
        path: Path of the file; None when its bytes come from somewhere else.
        verdict: `clean`: nothing but notes. `warnings`: the disk reads rightly,
            but something is damaged. `unusable`: nothing worse than that is wrong with
            the file, but its parents were asked for, and the disk cannot be read for want
            of one. `corrupt`: a reader refuses the file or some of its data.
            `not-vhdx`: it is something else.
        findings: Broken rules, in the order of reading.
        skipped: What was not checked.
        is_incomplete: Whether something else than the file itself kept some of it from
            being checked: its parents cannot be had, or a limit of our own is passed.
        more: How many findings of a rule were left out, by rule.
        diagnosis: Sentences that say what the findings mean together, the most serious first.
        parents: Reports on the parents, nearest first; their verdicts are their own.
        unused: What the caller said of parents and was for nothing, in sentences.
    """

    path: str | None
    verdict: Verdict
    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]
    more: dict[str, int]
    diagnosis: tuple[str, ...]
    parents: tuple[Report, ...] = ()
    is_incomplete: bool = False
    unused: tuple[str, ...] = ()

    @property
    def reports(self) -> tuple[Report, ...]:
        """This report and those on the parents."""
        return (self._replace(parents=()), *self.parents)


class Collector(Judge):
    """Takes what is told as it comes, not too many findings of a rule. This judge goes on.

    Args:
        ignore: Ids of rules that do not count.
        most: How many findings of a rule are wanted.
    """

    def __init__(self, ignore: Collection[str], most: int = MOST_PER_RULE) -> None:
        self._ignore = ignore
        self.most = most
        self._is_vhdx = True
        self._is_incomplete = False
        self._unusable: str | None = None
        self._apart: set[int] = set()  # numbers of findings that the verdict leaves out
        self._seen: set[tuple[str, str, str]] = set()
        self._counts: dict[str, int] = {}
        self.findings: list[Finding] = []
        self.skipped: list[Skipped] = []
        self.more: dict[str, int] = {}
        self.diagnosis: list[Sentence] = []

    def take(self, told: Iterable[Told]) -> bool:
        """Take what is told, and tell whether there is no error in it."""
        is_right = True
        try:
            for news in told:
                is_right &= self.add(news)
        except FormatError as error:  # something that it is about cannot be parsed, or read
            return self.add(error.finding)
        return is_right

    def assume_identifier(self, overwritten: Finding) -> bool:
        """Take the finding, and the file for a VHDX file all the same."""
        self._add(overwritten, 0)
        self._is_vhdx = True
        return True

    def remark(self, check: Check, *about: Any) -> None:
        """Take what a check yields."""
        self.take(check(*about))

    def lost(self, _layer: str, error: Refusal) -> None:
        """Take the finding because of which a layer cannot be had."""
        self.add(error.finding)

    def add(self, news: Told) -> bool:
        """Take one thing, and tell whether it is no error."""
        match news:
            case Skipped(what, why):
                self.skip(what, why)
            case Sentence():
                self._diagnose(news)
            case Several(finding, more):
                return self._add(finding, more)
            case _:
                return self._add(news, 0)
        return True

    def _add(self, finding: Finding, more: int) -> bool:
        if finding.level == "limit":
            self.fail(finding.where, f"{finding.message} [{finding.rule}]")
            return False
        self._is_vhdx &= finding.rule != "FTI-01"
        if finding.rule not in self._ignore:
            self._keep(finding, more)
        return finding.level != "error"

    def _keep(self, finding: Finding, more: int) -> None:
        key = (finding.rule, finding.where, finding.message)
        if key in self._seen:
            return
        count = self._counts.get(finding.rule, 0)
        if count < self.most:
            self._seen.add(key)
            self._counts[finding.rule] = count + 1
            self.findings.append(finding)
        else:
            more += 1
        if more:
            self.more[finding.rule] = self.more.get(finding.rule, 0) + more

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
        self.add(finding)
        self._apart.update(range(before, len(self.findings)))

    def give_up(self, why: str) -> None:
        """Say in a sentence why the disk cannot be read, whatever the file is like."""
        self._unusable = why

    def _diagnose(self, sentence: Sentence) -> None:
        # When none of the rules counts, nor does what they mean together.
        if not self._ignore or not all(rule in self._ignore for rule in sentence.rules):
            self.diagnosis.append(sentence)

    def _sentences(self) -> Iterator[str]:
        """Yield what the findings mean, beginning with what the worst of them do."""
        if self._unusable is not None:
            yield self._unusable
        worst: dict[str, int] = {}
        for finding in self.findings:
            gravity = _GRAVITY.index(finding.level)
            worst[finding.rule] = min(worst.get(finding.rule, gravity), gravity)

        def gravity_of(sentence: Sentence) -> int:
            return min(worst.get(rule, len(_GRAVITY)) for rule in sentence.rules)

        for sentence in sorted(self.diagnosis, key=gravity_of):
            yield sentence.text

    def report(self, path: str | None) -> Report:
        """Return the report on what was taken."""
        return Report(
            path,
            self._verdict(),
            tuple(self.findings),
            tuple(self.skipped),
            self.more,
            tuple(self._sentences()),
            is_incomplete=self._is_incomplete,
        )

    def _verdict(self) -> Verdict:
        if not self._is_vhdx:
            return "not-vhdx"
        levels = {f.level for number, f in enumerate(self.findings) if number not in self._apart}
        if "error" in levels:
            return "corrupt"
        if self._unusable is not None:
            return "unusable"
        return "warnings" if "warning" in levels else "clean"
