"""What a check found, as text and as a document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ..checking.findings import MOST_PER_RULE, Report
from ..errors import Finding, Span
from ..rules import catalogue
from ..text import counted, printable
from .document import Document, headed

_VERDICTS = {
    "clean": "clean",
    "warnings": "usable, with warnings",
    "unusable": "cannot be used",
    "corrupt": "corrupt",
    "not-vhdx": "not a VHDX file",
}
_LEVELS = (("error", "Errors"), ("warning", "Warnings"), ("note", "Notes"))
_OF_A_FINDING = (
    "rule",
    "level",
    "section",
    "where",
    "offset",
    "length",
    "message",
    "expected",
    "actual",
)


def check_document(report: Report, path: str) -> Document:
    """Return what `check --json` prints for one file."""
    return headed(
        path=path,
        verdict=report.verdict,
        findings=[finding_document(finding) for finding in report.findings],
        skipped=[{"what": what, "why": why} for what, why in report.skipped],
        more=report.more,
        diagnosis=list(report.diagnosis),
    )


def finding_document(finding: Finding) -> Document:
    """Return what documents say of a finding."""
    return {name: getattr(finding, name) for name in _OF_A_FINDING}


def finding_of(document: Document) -> Finding:
    """Return the finding that `finding_document` has made a document of."""
    place = Span(document["where"], document["offset"], document["length"])
    values = (document[name] for name in ("message", "expected", "actual"))
    return Finding(document["rule"], document["level"], place, *values)


def check_text(report: Report, path: str) -> Iterator[str]:
    """Yield the lines of `check` for one file: verdict, meaning, findings by level."""
    counts: Counter[str] = Counter(finding.level for finding in report.findings)
    counts.update({level: 0 for level, _ in _LEVELS})
    numbers = ", ".join(counted(counts[level], level) for level, _ in _LEVELS if counts[level])
    verdict = _VERDICTS[report.verdict]
    if report.verdict == "clean" and any(finding.rule == "LOG-01" for finding in report.findings):
        verdict = "clean once its dirty log is replayed"
    if report.is_incomplete and report.verdict not in ("unusable", "corrupt"):
        verdict += " as far as it was checked"
    yield f"{printable(path)}: {verdict}{f' ({numbers})' if numbers else ''}"
    for sentence in report.diagnosis:
        yield f"  {printable(sentence)}"
    for level, title in _LEVELS:
        findings = [finding for finding in report.findings if finding.level == level]
        if findings:
            yield title
            yield from _finding_lines(findings, report.more)
    if report.skipped:
        yield "Not checked"
        for what, why in report.skipped:
            yield f"  {what}: {why}"


def _finding_lines(findings: list[Finding], more: dict[str, int]) -> Iterator[str]:
    """Yield findings of one level, those of a rule together, and why it matters if it does."""
    for rule in dict.fromkeys(finding.rule for finding in findings):
        same = [finding for finding in findings if finding.rule == rule]
        for finding in same:
            yield f"  {printable(str(finding))}"
        if more.get(rule):
            hint = ", see --all-findings" if len(same) <= MOST_PER_RULE else ", past our limit"
            yield f"  ... and {more[rule]} more [{rule}]{hint}"
        if same[0].level != "note":
            yield f"    {catalogue()[rule].why}"
