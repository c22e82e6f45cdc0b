"""Reports on images that are never written anywhere, and what they say."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

from tests.images.bases import BASES
from tests.images.image import Built, Image, Layout
from tests.support import SparseSource, damaged, good
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.checking.findings import MOST_PER_RULE, Report
from vhdx_kaitai.checking.told import Skipped

LEVELS = ("note", "warning", "error")


def report_on(image: Built | Layout | Image, **options: object) -> Report:
    """Check an image that is never written anywhere."""
    built = image if isinstance(image, Built) else image.build()
    return check(SparseSource(built.file), **options)  # type: ignore[arg-type]


def rules_of(report: Report, *levels: str) -> set[str]:
    """Return the rules that a report names, at these levels or at any."""
    return {f.rule for f in report.findings if f.level in (levels or LEVELS)}


def assert_no_complaint(report: Report) -> None:
    """Show that there are notes at most, and that nothing was left out."""
    assert [str(f) for f in report.findings if f.level != "note"] == []
    assert report.verdict == "clean"
    assert not report.is_incomplete
    assert skipped_of(report) == []
    assert report.more == {}


def skipped_of(report: Report) -> list[Skipped]:
    """Return what was not checked, but for parents that nobody asked for."""
    return [skipped for skipped in report.skipped if "not asked for" not in skipped.why]


def only_sentence(report: Report) -> str:
    assert len(report.diagnosis) == 1
    return report.diagnosis[0]


def counted(report: Report) -> Counter[str]:
    """Return how many findings of each rule a report stands for."""
    counts = Counter(f.rule for f in report.findings)
    assert all(count <= MOST_PER_RULE for count in counts.values())
    assert all(counts[rule] == MOST_PER_RULE for rule in report.more)
    return counts + Counter(report.more)


VERDICTS = {"note": "clean", "warning": "warnings", "error": "corrupt"}


@cache
def damage_report(name: str) -> Report:
    return report_on(damaged(name))


@cache
def good_report(name: str) -> Report:
    return report_on(good(name))


@cache
def base(name: str) -> Built:
    """Return the good image that damages start from."""
    return BASES[name]().build()


@cache
def base_report(name: str) -> Report:
    return report_on(base(name))


def limits_of(report: Report) -> set[tuple[str, str, str]]:
    """Return which limits of our own are passed, in the form of findings."""
    matches = (_LIMIT.fullmatch(why) for _, why in report.skipped)
    return {(match[2], "limit", match[1]) for match in matches if match}


_LIMIT = re.compile(r"(.* \(our limit\)) \[([A-Z]+-[0-9]+)\]")


def messages_of(report: Report) -> set[tuple[str, str, str]]:
    return {(f.rule, f.level, f.message) for f in report.findings} | limits_of(report)
