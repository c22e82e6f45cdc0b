"""Findings as they come: not too many of a rule, and none that the caller ignores."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest

from tests.checking.reports import counted, damage_report, report_on, rules_of
from tests.images.damage import DAMAGES
from tests.images.dirty import log_only
from tests.images.image import dynamic
from tests.images.log import Entry, Zero
from tests.images.structures import FULLY_PRESENT, KIB, MIB, ZERO, RegionEntry
from tests.support import damaged
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.checking.findings import Collector
from vhdx_kaitai.errors import Finding, FormatError, Level, LimitError, Span


@pytest.mark.parametrize("count", [1, 19, 20, 21, 22, 40, 100])
def test_findings_of_a_rule_are_capped_and_the_rest_is_counted(count: int) -> None:
    layout = dynamic(128 * MIB).layout()
    for block in range(count):
        layout.set_entry(block, 4)
    report = report_on(layout)
    assert counted(report) == {"BAT-03": count}
    assert report.more == ({"BAT-03": count - 20} if count > 20 else {})


def test_findings_of_several_kinds_of_entries_are_counted_together() -> None:
    """One rule, entries of several kinds; each kind alone has fewer than the cap, or more."""
    layout = dynamic(256 * MIB).layout()
    layout.file_length = 300 * MIB
    for block in range(15):
        layout.set_entry(block, ZERO, reserved=1)  # BAT-02
    for block in range(15, 45):
        layout.set_entry(block, 5, reserved=1)  # BAT-02, BAT-03
    for block in range(45, 95):
        layout.set_entry(block, 4, 250 * MIB)  # BAT-03
    for block in range(95, 96):
        layout.set_entry(block, FULLY_PRESENT, 200 * MIB, reserved=2)  # BAT-02
    assert counted(report_on(layout)) == {"BAT-02": 46, "BAT-03": 80}


def test_blocks_in_one_place_are_counted() -> None:
    layout = dynamic(128 * MIB).layout()
    layout.file_length = 20 * MIB
    for block in range(100):
        layout.set_entry(block, FULLY_PRESENT, 10 * MIB)
    assert counted(report_on(layout)) == {"BAT-08": 99}


def test_unaligned_regions_are_counted() -> None:
    layout = dynamic(4 * MIB).layout()
    layout.file_length = 100 * MIB

    def add(table: object) -> None:
        for number in range(50):
            entry = RegionEntry(UUID(int=number + 1), (10 + number) * MIB + 512, MIB, 0)
            table.entries.append(entry)  # type: ignore[attr-defined]

    layout.set_tables(add)
    counts = counted(report_on(layout))
    assert counts["REG-09"] == 50
    assert counts["OVL-08"] == 0


def test_bad_entries_of_a_log_are_counted() -> None:
    good_entry = Entry([Zero(8 * MIB, 4 * KIB)], at=0, sequence_number=100, tail=0)
    bad = [Entry([], at=(10 + n) * 4 * KIB, checksum=1) for n in range(70)]
    image = dynamic(4 * MIB, file_length=16 * MIB)
    report = report_on(log_only(image, [*bad, good_entry]))
    assert counted(report) == {"LOG-01": 1, "LOG-06": 70}
    assert report.verdict == "clean"


# -- what is ignored ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [name for name, case in DAMAGES.items() if case.level == "warning"]
)
def test_a_warning_that_is_ignored_does_not_count(name: str) -> None:
    rules = rules_of(damage_report(name), "warning")
    report = report_on(damaged(name), ignore=rules)
    assert report.verdict == "clean"
    kept = [str(f) for f in damage_report(name).findings if f.rule not in rules]
    assert [str(f) for f in report.findings] == kept


def test_an_error_that_is_ignored_still_ends_the_check() -> None:
    report = report_on(damaged("version-2"), ignore=["HDR-08"])
    assert report.findings == ()
    assert report.skipped


def test_what_is_ignored_is_not_counted_either() -> None:
    layout = dynamic(128 * MIB).layout()
    for block in range(100):
        layout.set_entry(block, 4)
    assert report_on(layout, ignore=["BAT-03"]).more == {}


def test_a_file_of_another_kind_is_none_whatever_is_ignored() -> None:
    report = check(b"text" * MIB, ignore=["FTI-01", "GEN-07"])
    assert (report.verdict, report.findings) == ("not-vhdx", ())


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        ("header-1-checksum-wrong", "HDR-03"),
        ("region-table-1-checksum-wrong", "REG-03"),
        ("bat-block-past-the-end", "BAT-10"),
    ],
)
def test_nothing_is_said_about_what_is_ignored(damage: str, rule: str) -> None:
    said = damage_report(damage).diagnosis
    assert said
    assert report_on(damaged(damage), ignore=[rule]).diagnosis == ()
    assert report_on(damaged(damage), ignore=["HDR-16"]).diagnosis == said


def test_what_is_ignored_keeps_nothing_from_being_checked() -> None:
    layout = dynamic(8 * MIB).layout()
    layout.set_headers(data_write_guid=UUID(int=0))
    layout.set_entry(1, 5)
    report = report_on(layout, ignore=["HDR-20"])
    assert rules_of(report) == {"BAT-03"}
    assert report.skipped == ()


def test_an_error_that_is_ignored_is_still_in_the_way_of_what_is_after_it() -> None:
    """A header that cannot be used cannot be followed, whether that counts or not."""
    layout = dynamic(8 * MIB).layout()
    layout.set_headers(version=2)
    whole, ignored = report_on(layout), report_on(layout, ignore=["HDR-08"])
    assert rules_of(whole, "error") == {"HDR-08"}
    assert ignored.findings == ()
    assert ignored.skipped == whole.skipped != ()


# -- the judge that goes on -----------------------------------------------------------------------


def finding(rule: str, level: Level, where: str = "somewhere") -> Finding:
    return Finding(rule, level, Span(where, 0, 1), "something")


def test_who_collects_goes_on_after_an_error_and_tells_that_there_was_one() -> None:
    take = Collector(())
    told = [finding("HDR-16", "warning"), finding("REG-09", "error"), finding("REG-11", "error")]
    assert not take.take(told)
    assert take.take([finding("REG-15", "warning")])
    assert [f.rule for f in take.findings] == ["HDR-16", "REG-09", "REG-11", "REG-15"]
    assert take.report(None).verdict == "corrupt"


def test_what_cannot_be_parsed_ends_a_check_and_is_told_by_its_rule() -> None:
    def check(place: str) -> Iterator[Finding]:
        yield finding("MET-02", "warning", place)
        raise FormatError(finding("MET-01", "error", place))

    take = Collector(())
    assert not take.take(check("one"))
    take.remark(check, "two")
    take.lost("metadata", FormatError(finding("GEN-09", "error")))
    told = [(f.rule, f.where) for f in take.findings]
    assert told[:2] == [("MET-02", "one"), ("MET-01", "one")]
    assert told[2:] == [("MET-02", "two"), ("MET-01", "two"), ("GEN-09", "somewhere")]


def test_the_same_is_told_once() -> None:
    take = Collector(())
    for _ in range(3):
        take.take([finding("REG-09", "error"), finding("REG-09", "error", "elsewhere")])
        take.skip("BAT", "it is lost")
    report = take.report(None)
    assert [f.where for f in report.findings] == ["somewhere", "elsewhere"]
    assert report.more == {}
    assert [tuple(skipped) for skipped in report.skipped] == [("BAT", "it is lost")]


def test_a_limit_of_our_own_is_no_finding_and_leaves_the_verdict_alone() -> None:
    take = Collector(())
    assert not take.take([finding("LOG-39", "limit", "log")])
    take.lost("sequence", LimitError(finding("LOG-38", "limit", "file")))
    report = take.report("image.vhdx")
    assert (report.verdict, report.findings, report.is_incomplete) == ("clean", (), True)
    assert [skipped.what for skipped in report.skipped] == ["log", "file"]
    assert [why for _, why in report.skipped] == ["something [LOG-39]", "something [LOG-38]"]


def test_an_error_that_is_ignored_is_an_error_for_what_comes_below() -> None:
    take = Collector(["REG-09"])
    assert not take.take([finding("REG-09", "error")])
    assert take.report(None).verdict == "clean"


def test_a_finding_apart_says_nothing_about_the_file() -> None:
    take = Collector(())
    take.add_apart(finding("CHAIN-10", "error"))
    take.add(finding("HDR-16", "warning"))
    assert take.report(None).verdict == "warnings"
    assert len(take.findings) == 2
