"""Every rule on one image: good ones, several damages at once, and what cannot be looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.checking.reports import (
    LEVELS,
    VERDICTS,
    assert_no_complaint,
    damage_report,
    good_report,
    report_on,
    rules_of,
    skipped_of,
)
from tests.images.bases import BASES, OTHER_GUID, base_differencing
from tests.images.damage import DAMAGES
from tests.images.goods import GOODS
from tests.images.image import Layout, dynamic
from tests.images.structures import BAT_REGION, GIB, METADATA_REGION, MIB, PARENT_LOCATOR
from tests.support import Sample, SparseSource, Watched, damaged, good
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.errors import FormatError
from vhdx_kaitai.reading.image import Image as OpenedImage

# -- good images ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOODS)
def test_a_good_image_shows_what_it_declares_and_notes_besides(name: str) -> None:
    case, report = GOODS[name], good_report(name)
    levels = {f.rule: f.level for f in report.findings}
    assert {rule: levels.get(rule) for rule in case.findings} == case.findings
    assert rules_of(report, "error") == set()
    assert rules_of(report, "warning") == {
        r for r, level in case.findings.items() if level == "warning"
    }
    assert report.verdict == case.verdict
    assert [skipped.what for skipped in skipped_of(report)] == NOT_LOOKED_AT.get(name, [])


# What is a hole in a file takes no time to be looked at; here it is not known to be one.
NOT_LOOKED_AT = {"blocks-far-away": ["space that belongs to nothing, about 1024 GiB in all"]}


def test_a_real_image_is_clean(sample: tuple[Sample, Path]) -> None:
    known, path = sample
    report = check(path)
    assert_no_complaint(report)
    assert report.path == str(path)
    assert ("LOG-01" in rules_of(report)) == known.is_dirty


HABITS = {
    "test-disk2vhd.vhdx.bz2": {"GEN-08", "HDR-06"},
    # It has lost 8 MiB of what it once held.
    "iotest-dirtylog-10G-4M.vhdx.bz2": {"HDR-27", "REG-18", "LOG-01", "BLK-13"},
}


def test_habits_of_producers_are_notes(sample: tuple[Sample, Path]) -> None:
    known, path = sample
    assert rules_of(check(path)) == HABITS.get(known.name, set())


# -- several at once ------------------------------------------------------------------------------


# Damages that can be done to one image side by side, in the order in which a reader comes to them.
WARNINGS_AND_NOTES = (
    "identifier-reserved-not-zero",
    "header-1-checksum-wrong",
    "header-reserved-not-zero",
    "data-write-guid-zero",
    "region-table-2-signature-wrong",
    "region-table-reserved-not-zero",
    "region-required-3",
    "metadata-reserved-not-zero",
    "metadata-reserved2-not-zero",
    "item-flags-reserved-bit",
    "item-reserved2-not-zero",
    "file-parameters-not-required",
    "file-parameters-reserved-bit",
    "bat-zero-with-an-offset",
    "bat-entries-after-the-last",
)


REFUSALS = (
    "unknown-region-unaligned",
    "unknown-item-required",
    "logical-sector-size-1024",
    "physical-sector-size-1024",
    "disk-size-0",
)


BLOCKS = ("bat-state-4", "bat-reserved-bit-low", "bat-undefined-over-the-log")


def done_together(names: Sequence[str]) -> Layout:
    layout = BASES["dynamic"]()
    layout.file_length = layout.pack().length
    for name in names:
        DAMAGES[name].apply(layout)
    return layout


@given(
    st.sets(st.sampled_from(WARNINGS_AND_NOTES)),
    st.sets(st.sampled_from(REFUSALS)),
    st.sets(st.sampled_from(BLOCKS)),
)
@example(set(WARNINGS_AND_NOTES), set(REFUSALS), {"bat-state-4"})
@example(set(WARNINGS_AND_NOTES), set(), set(BLOCKS))
def test_damages_are_found_whatever_else_is_damaged(
    harmless: set[str], refusals: set[str], blocks: set[str]
) -> None:
    names = sorted({*harmless, *refusals, *blocks}, key=list(DAMAGES).index)
    report = report_on(done_together(names))
    levels: dict[str, set[str]] = {}
    for finding in report.findings:
        levels.setdefault(finding.rule, set()).add(finding.level)
    for name in names:
        case = DAMAGES[name]
        if refusals and case.main_rule.startswith(("BAT", "OVL")):
            continue  # where the blocks are cannot be known
        assert any(case.level in levels.get(rule, set()) for rule in case.visible), name
    worst = max((DAMAGES[name].level for name in names), key=LEVELS.index, default="note")
    assert report.verdict == VERDICTS[worst]
    assert bool(report.skipped) == bool(refusals)


def test_what_is_ignored_hides_nothing_else() -> None:
    layout = done_together(["bat-state-4", "bat-reserved-bit-low", "region-required-3"])
    assert rules_of(report_on(layout, ignore=["BAT-03"])) == {"BAT-02", "REG-15"}
    assert report_on(layout, ignore={"BAT-02", "BAT-03"}).verdict == "warnings"
    assert report_on(layout, ignore=("BAT-02", "BAT-03", "REG-15")).verdict == "clean"


def test_all_overlaps_of_regions_are_told() -> None:
    """Opening stops at the first; log, metadata and BAT are all in one place."""
    layout = dynamic(8 * MIB).layout()
    place = layout.metadata_offset
    layout.set_headers(log_offset=place)
    layout.set_tables(lambda table: setattr(table.find(BAT_REGION), "file_offset", place))
    counts = Counter(f.rule for f in report_on(layout).findings if f.level == "error")
    assert counts == {"OVL-01": 1, "OVL-03": 2}


# -- what is left to be looked at -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("file-shorter-than-the-header-section", "everything else"),
        ("both-header-checksums-wrong", "log, regions, metadata, BAT"),
        ("version-2", "log, regions, metadata, BAT"),
        ("log-empty-although-dirty", "regions, metadata, BAT"),
        ("both-region-table-checksums-wrong", "regions, metadata, BAT"),
        ("metadata-region-missing", "metadata, BAT"),
        ("metadata-signature-wrong", "metadata items, BAT"),
        ("disk-size-0", "the whole BAT, overlaps of blocks"),
    ],
)
def test_what_cannot_be_looked_at_is_skipped_with_a_reason(name: str, what: str) -> None:
    reasons = dict(damage_report(name).skipped)
    assert what in reasons
    assert reasons[what]


def test_items_are_checked_although_the_region_tables_are_damaged() -> None:
    layout = done_together(["bat-region-missing", "logical-sector-size-1024", "disk-size-odd"])
    assert rules_of(report_on(layout), "error") == {"REG-16", "ITEM-15"}


def test_a_metadata_region_past_the_end_is_found_once_and_not_read() -> None:
    layout = BASES["dynamic"]()
    layout.file_length = layout.pack().length
    layout.set_tables(lambda table: setattr(table.find(METADATA_REGION), "file_offset", GIB))
    report = report_on(layout)
    assert rules_of(report) == {"REG-13"}
    assert "metadata, BAT" in dict(report.skipped)


def test_a_metadata_region_at_the_end_of_the_file_is_looked_at_whatever_the_table_lacks() -> None:
    layout = dynamic(8 * MIB, order=("log", "bat", "regions", "blocks", "metadata")).layout()
    layout.file_length = layout.metadata_offset + MIB
    for name in ("bat-region-missing", "logical-sector-size-1024"):
        DAMAGES[name].apply(layout)
    assert rules_of(report_on(layout), "error") == {"REG-16", "ITEM-15"}


def test_a_locator_is_checked_although_the_blocks_are_damaged() -> None:
    layout = BASES["differencing"]()
    DAMAGES["locator-linkage-zero"].apply(layout)
    DAMAGES["bat-bitmap-missing"].apply(layout)
    report = report_on(layout)
    assert {"LOC-23", "BAT-07"} <= rules_of(report)


def test_a_locator_that_nobody_reads_cannot_be_an_error() -> None:
    """HasParent is not set, so opening passes over the locator, whatever it holds (ITEM-20)."""
    layout = DAMAGES["locator-without-parent"].layout()
    locator = base_differencing().resolved_locator()
    assert locator is not None
    locator.locator_type = OTHER_GUID
    layout.metadata.find(PARENT_LOCATOR).data = locator.pack()
    OpenedImage(SparseSource(layout.build().file))
    report = report_on(layout)
    assert report.verdict == "warnings", [str(f) for f in report.findings]


def test_a_log_without_an_entry_of_its_own_says_why() -> None:
    report = damage_report("log-guid-of-another-session")
    assert rules_of(report, "error") == {"LOG-31"}
    text = next(str(f) for f in report.findings if f.rule == "LOG-31")
    assert "no entry was ever written under this LogGuid; `--as-stored` reads the disk" in text
    with pytest.raises(FormatError):
        OpenedImage(SparseSource(damaged("log-guid-of-another-session").file))


# -- each once ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dynamic-plain", "dirty-everything", "log-of-windows"])
def test_headers_region_tables_and_the_ring_of_a_log_are_gone_through_once(name: str) -> None:
    """What begins like an entry of the log is read again, by itself."""
    built = good(name)
    source = Watched(built.file)
    check(source)
    log = built.layout.log_offset
    pieces = Counter(
        (start, end)
        for start, end in source.ranges
        if end <= MIB or (start, end) == (log, log + MIB)
    )
    assert ((log, log + MIB) in pieces) == (built.model.log.state == "dirty")
    assert {piece for piece, count in pieces.items() if count > 1} == set()


# -- the header that is not current ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "fields"),
    [
        ("HDR-08", {"version": 2}),
        ("HDR-09", {"log_version": 1, "log_guid": OTHER_GUID}),
        ("HDR-10", {"log_length": MIB + 4096}),
        ("HDR-11", {"log_offset": MIB + 4096}),
        ("HDR-12", {"log_offset": 0}),
        ("HDR-15", {"log_length": 0, "log_guid": OTHER_GUID}),
    ],
)
def test_an_older_header_that_could_not_take_over_is_a_warning(
    rule: str, fields: dict[str, object]
) -> None:
    layout = dynamic(4 * MIB).layout()
    for field, value in fields.items():
        setattr(layout.headers[0], field, value)
    report = report_on(layout)
    assert report.verdict == "warnings"
    assert rules_of(report, "warning") == {rule}
    (finding,) = (f for f in report.findings if f.level == "warning")
    assert "header 1" in finding.where


def test_an_older_header_that_is_damaged_says_nothing_else() -> None:
    layout = dynamic(4 * MIB).layout()
    layout.headers[0].version, layout.headers[0].checksum = 2, 1
    assert rules_of(report_on(layout), "warning") == {"HDR-03"}


@pytest.mark.parametrize("copy", [0, 1])
def test_a_damaged_header_tells_nothing_about_updates(copy: int) -> None:
    layout = BASES["dynamic"]()
    header = layout.headers[copy]
    header.data_write_guid, header.sequence_number, header.checksum = OTHER_GUID, 100, 1
    assert rules_of(report_on(layout)) == {"HDR-03"}
