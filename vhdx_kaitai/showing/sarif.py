"""Findings as SARIF 2.1.0, the format in which analysis tools hand over their results.

Text of an image reaches viewers through here, so it is escaped as for a
terminal, and nothing in it can become a link or a placeholder. Section numbers
with a paragraph sign are those of the SARIF standard.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from ..records import TYPE_CHECKING
from ..rules import Rule, catalogue
from ..storage.urls import is_url
from ..text import as_markdown, printable
from .document import TOOL

if TYPE_CHECKING:
    from ..checking.findings import Report
    from ..errors import Finding

Object = dict[str, Any]

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)

# Numbers above this are not the same to every reader of JSON.
_MAX_INTEGER = 2**53 - 1


def sarif_document(reports: Iterable[Report]) -> Object:
    """Return the SARIF log of some checks, all of them as one run.

    Args:
        reports: What `check` returned; their paths should differ.
    """
    reports = list(reports)
    used = {finding.rule for report in reports for finding in report.findings}
    used.update(rule for report in reports for rule in report.more)
    rules = [rule for rule in catalogue().values() if rule.id in used]
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [_Run(rules).document(reports)]}


class _Run:
    """One run, with what its results refer to by number."""

    def __init__(self, rules: list[Rule]) -> None:
        self._rules = rules
        self._rule_numbers = {rule.id: number for number, rule in enumerate(rules)}
        self._artifacts: list[Object] = []
        self._numbers: dict[str, int] = {}

    def document(self, reports: list[Report]) -> Object:
        """Return the run."""
        results: list[Object] = []
        notifications: list[Object] = []
        for report in reports:
            location = self._artifact_location(report)
            results += (self._result(finding, location) for finding in report.findings)
            notifications += self._notifications(report, location)
        invocation = {"executionSuccessful": True, "toolExecutionNotifications": notifications}
        return {
            "tool": {"driver": _driver(self._rules)},
            "invocations": [invocation],
            "artifacts": self._artifacts,
            "results": results,
            "columnKind": "unicodeCodePoints",  # there are none, but it has to be said (§3.14.17)
        }

    def _artifact_location(self, report: Report) -> Object:
        """Return how results refer to an image, which becomes an artifact of the run."""
        number = len(self._artifacts)
        if report.path is None:
            location: Object = {"description": _message(f"image {number + 1}, in memory")}
        else:
            number = self._numbers.setdefault(report.path, number)
            location = {"uri": artifact_uri(report.path)}
        if number == len(self._artifacts):
            self._artifacts.append(_artifact(report, location))
        return location | {"index": number}

    def _result(self, finding: Finding, location: Object) -> Object:
        physical: Object = {"artifactLocation": location}
        region = _region(finding)
        if region:
            physical["region"] = region
        where = {
            "physicalLocation": physical,
            "logicalLocations": [{"fullyQualifiedName": printable(finding.where)}],
        }
        values = {"expected": finding.expected, "actual": finding.actual}
        return {
            "ruleId": finding.rule,
            "ruleIndex": self._rule_numbers[finding.rule],
            "level": finding.level,
            "message": _message(f"{finding.where}: {finding.message}"),
            "locations": [where],
            "partialFingerprints": {"findingHash/v1": _fingerprint(finding)},
            "properties": {
                name: printable(value) for name, value in values.items() if value is not None
            },
        }

    def _notifications(self, report: Report, location: Object) -> Iterator[Object]:
        """Yield what was not checked, and how many findings were left out."""
        where = [{"physicalLocation": {"artifactLocation": location}}]
        for what, why in report.skipped:
            text = _message(f"not checked: {what}: {why}")
            yield {"level": "warning", "message": text, "locations": where}
        for rule, count in report.more.items():
            yield {
                "level": "note",
                "message": _message(f"further findings of {rule}, left out: {count}"),
                "locations": where,
                "associatedRule": {"id": rule, "index": self._rule_numbers[rule]},
            }


def _driver(rules: list[Rule]) -> Object:
    return {
        **TOOL,
        "semanticVersion": TOOL["version"],
        "rules": [_descriptor(rule) for rule in rules],
    }


def _descriptor(rule: Rule) -> Object:
    help_text = f"{rule.why}\nOthers: {rule.others}.\n[MS-VHDX] {rule.section}"
    why, others = as_markdown(rule.why), as_markdown(rule.others)
    markdown = f"{why}\n\n*Others:* {others}.\n\n\\[MS-VHDX\\] {rule.section}"
    return {
        "id": rule.id,
        "shortDescription": {"text": _undemanding(_first_sentence(rule.rule))},
        "fullDescription": {"text": _undemanding(rule.rule)},
        "help": {"text": _undemanding(help_text), "markdown": _undemanding(markdown)},
        "properties": {
            "section": rule.section,
            "requirement": rule.requirement,
            "appliesTo": rule.applies_to,
        },
    }


def _first_sentence(text: str) -> str:
    """Return a text up to the first full stop before a capital letter."""
    return re.split(r"(?<=\.)\s(?=[A-Z])", text, maxsplit=1)[0]


def _artifact(report: Report, location: Object) -> Object:
    properties = {
        "verdict": report.verdict,
        "diagnosis": [printable(sentence) for sentence in report.diagnosis],
    }
    return {"location": location, "roles": ["analysisTarget"], "properties": properties}


def artifact_uri(path: str) -> str:
    """Return the URI of a file: relative when its path is, and itself when it has a URL."""
    if is_url(path):
        return path
    if os.path.isabs(path):
        return Path(path).as_uri()
    return quote(os.fsencode(PurePath(path).as_posix()))


def _region(finding: Finding) -> Object:
    """Return the bytes in question, nothing when they are nowhere (§3.30)."""
    offset, length = finding.offset, finding.length
    if offset is None or not 0 <= offset <= _MAX_INTEGER:
        return {}
    if length is None or not 0 <= length <= _MAX_INTEGER:
        return {"byteOffset": offset}
    return {"byteOffset": offset, "byteLength": length}


def _fingerprint(finding: Finding) -> str:
    """Return what stays the same as long as the finding does, wherever the file is."""
    parts = (finding.rule, str(finding.offset), printable(finding.message))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _message(text: str) -> Object:
    return {"text": _undemanding(printable(text))}


def _undemanding(text: str) -> str:
    """Return text without placeholders, braces being doubled, and without links (§3.11.5, §3.11.6).

    The standard has no way to escape what looks like a link, so it gets a space.
    """
    return text.replace("](", "] (").replace("{", "{{").replace("}", "}}")
