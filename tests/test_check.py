"""Every rule on built, real and QEMU's images: what is broken is found, what is good is not blamed.

What has to be found stands in the declarations of the builder, `tests.images`; nothing here is
taken from what the checker says.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.checking.reports import (
    LEVELS,
    assert_no_complaint,
    counted,
    only_sentence,
    report_on,
    rules_of,
    skipped_of,
)
from tests.images import strategies
from tests.images.bases import BASES, OTHER_GUID, base_differencing
from tests.images.chain import CHAIN_DAMAGES, GOOD_CHAINS, Chain, ChainCase, chain
from tests.images.damage import DAMAGES
from tests.images.dirty import log_only
from tests.images.examples import EXAMPLES, OWN_LIMITS, Example, layout_of
from tests.images.goods import GOODS
from tests.images.image import Block, Built, Image, Layout, differencing, dynamic
from tests.images.log import Entry, Zero
from tests.images.structures import (
    BAT_REGION,
    FULLY_PRESENT,
    GIB,
    KIB,
    METADATA_REGION,
    MIB,
    PARENT_LOCATOR,
    ZERO,
    RegionEntry,
)
from tests.support import Sample, SparseSource, damaged, good
from vhdx_kaitai.checking import survey
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.checking.findings import Report
from vhdx_kaitai.errors import Finding, FormatError, LimitError
from vhdx_kaitai.format.headers import MAX_REPLAYED_LOG_LENGTH
from vhdx_kaitai.reading.disk import Disk
from vhdx_kaitai.reading.image import Image as OpenedImage
from vhdx_kaitai.rules import catalogue

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


# -- every damage is found, and nothing else ------------------------------------------------------


def visible_findings(name: str) -> list[Finding]:
    """Return the findings that the declaration of a damage asks for."""
    case = DAMAGES[name]
    findings = damage_report(name).findings
    return [f for f in findings if f.rule in case.visible and f.level == case.level]


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_is_found_at_its_level(name: str) -> None:
    assert visible_findings(name), rules_of(damage_report(name))


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_decides_the_verdict(name: str) -> None:
    case = DAMAGES[name]
    expected = "not-vhdx" if case.main_rule == "FTI-01" else VERDICTS[case.level]
    assert damage_report(name).verdict == expected


# What follows from a damage beyond what it declares, and cannot be otherwise.
FOLLOWS = {
    "ITEM-16": {"ITEM-18"},  # sectors of 0 bytes are smaller than the logical ones
    "ITEM-20": {"LOC-14", "LOC-20"},  # the locator is one that Windows would write
    "LOC-05": {"LOC-09"},  # offset 0 is inside the head of the locator
    "LOC-06": {"LOC-09"},
    "LOG-37": {"LOG-38"},  # what passes 2**64 passes our own limit, too
    "LOG-49": {"LOG-29"},  # the entries after the bad one have their tail before it
    "MET-03": {"ITEM-01"},  # none of the entries is read
    "REG-06": {"REG-16", "REG-17", "REG-20"},
    # The older header is left as it was, and the bitmap is full of other bytes:
    "current-header-version-2": {"HDR-27"},
    "bat-bitmap-over-a-block": {"BLK-10"},
    "bat-bitmap-over-the-metadata": {"BLK-10"},
    # By the way in which the builder does it:
    "bat-last-block-cut-in-its-data": {"GEN-08"},  # the file has an odd length
    "bat-region-listed-twice": {"REG-18"},  # the second one is not marked as required
    "empty-item-with-an-offset": {"MET-11"},  # the items have no contents
    "incomplete-file-marker": {"MET-11"},
    "user-items-1025": {"MET-11"},
}

# The entry of a block or sector bitmap was changed, which still is where it was: it belongs to
# nothing now.
LEFT_ALONE = {
    *("bat-state-5", "bat-bitmap-state-1", "bat-bitmap-missing", "bat-bitmap-at-zero"),
    *("bat-two-blocks-in-one-place", "bat-block-at-zero", "bat-block-of-fixed-at-zero"),
    *("bat-block-past-the-end", "bat-block-over-the-end", "bat-block-wraps-around"),
    *("bat-bitmap-past-the-end", "bat-block-over-the-metadata", "bat-counts-sectors"),
    *("bat-block-over-the-log", "bat-block-reaches-into-the-bat", "bat-blocks-overlap-partly"),
    *("bat-bitmap-over-a-block", "bat-bitmap-over-the-metadata"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_nothing_else_is_blamed_for_a_damage(name: str) -> None:
    case = DAMAGES[name]
    allowed = {*case.rules, *case.visible, *FOLLOWS.get(case.main_rule, set())}
    allowed |= FOLLOWS.get(name, set()) | ({"BLK-13"} if name in LEFT_ALONE else set())
    assert rules_of(damage_report(name)) - allowed <= rules_of(base_report(case.base))


@pytest.mark.parametrize("name", BASES)
def test_the_good_neighbours_of_the_damages_are_clean(name: str) -> None:
    assert_no_complaint(base_report(name))


@pytest.mark.parametrize("name", DAMAGES)
def test_the_good_neighbour_of_a_damage_does_not_break_its_rules(name: str) -> None:
    case = DAMAGES[name]
    broken = {f.rule for f in visible_findings(name)}
    assert broken.isdisjoint(rules_of(base_report(case.base)))


# Messages that compare with something else than an expected value.
COMPARISONS = re.compile(
    r"expected|stored, .* computed|overlaps|neither copy is valid|differ, copy 1|not all zero|"
    r"is not UTF-16|although|marked as incomplete|matches no parent|Windows writes it|"
    r"but empty|is ignored"
)


@pytest.mark.parametrize("name", DAMAGES)
def test_a_finding_says_where_what_was_found_and_what_was_expected(name: str) -> None:
    for finding in visible_findings(name):
        text = str(finding)
        assert text == (
            f"{finding.where}: {finding.message} [{finding.rule}, MS-VHDX {finding.section}]"
        )
        assert finding.where
        assert COMPARISONS.search(finding.message), text
        if finding.expected is not None and finding.actual is not None:
            assert finding.expected in finding.message
            assert finding.actual in finding.message
        assert text.isprintable()


# What the builder puts where: log at 1, metadata at 3, BAT at 5, blocks from 7 MiB on, end at 12.
NUMBERS = {
    "log-past-the-end": [GIB + MIB, 12 * MIB],
    "log-over-the-end": [14 * MIB, 13 * MIB],
    "log-end-over-the-bat-region": [5 * MIB, 6 * MIB, 4 * MIB, 6 * MIB],
    "bat-region-past-the-end": [GIB + MIB, 12 * MIB],
    "bat-and-metadata-in-one-place": [3 * MIB, 4 * MIB, 3 * MIB, 4 * MIB],
    "metadata-region-reaches-into-the-bat": [5 * MIB, 6 * MIB, 3 * MIB, 6 * MIB],
    "items-overlap": [0x10027, 0x1002B, 0x10018, 0x10028],
    "item-over-the-end-of-the-region": [MIB + 1, MIB],
    "bat-block-past-the-end": [GIB + MIB, 12 * MIB],
    "bat-block-over-the-log": [MIB, 2 * MIB, MIB, 2 * MIB],
    "bat-reserved-bit-high": [1 << 16],
    "log-file-truncated": [12 * MIB, 13 * MIB],
    "log-aims-at-itself": [MIB + 512 * KIB, MIB + 516 * KIB, MIB, 2 * MIB],
    "log-aims-at-header-2": [128 * KIB, 132 * KIB, 192 * KIB],
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_finding_has_its_numbers_right(name: str) -> None:
    message = visible_findings(name)[0].message
    numbers = [int(text, 16) for text in re.findall(r"\b0x[0-9a-f]+", message)]
    assert numbers == NUMBERS[name], message


def test_a_finding_names_the_flags_that_are_wrong_and_those_that_are_right() -> None:
    (finding,) = visible_findings("file-parameters-virtual-disk-flag-wrong")
    assert (finding.actual, finding.expected) == ("IsVirtualDisk+IsRequired", "IsRequired")
    (finding,) = visible_findings("virtual-disk-size-not-required")
    assert (finding.actual, finding.expected) == ("IsVirtualDisk", "IsVirtualDisk+IsRequired")


@pytest.mark.parametrize("name", DAMAGES)
def test_a_finding_names_bytes_of_the_file(name: str) -> None:
    length = damaged(name).length
    for finding in damage_report(name).findings:
        if finding.offset is None:
            assert finding.length is None
            continue
        assert finding.length is None or finding.length > 0, str(finding)
        assert 0 <= finding.offset <= length - (finding.length or 0), str(finding)


# Damages whose findings rightly name bytes other than those that the damage changed.
ELSEWHERE = {
    "nothing is changed but the length": [
        "file-shorter-than-the-header-section",
        "file-cut-inside-the-identifier",
        "file-length-odd",
        "bat-last-block-cut-in-its-data",
    ],
    "no single place is to blame": [
        "both-header-checksums-wrong",
        "both-header-signatures-wrong",
        "both-region-table-checksums-wrong",
    ],
    "the checksum is named, or the other one of two fields that contradict each other": [
        "region-table-1-last-byte-changed",
        "log-writes-payload",
        "log-past-the-end",
        "log-over-the-metadata-region",
        "log-end-over-the-bat-region",
        "bat-region-past-the-end",
        "bat-and-metadata-in-one-place",
        "metadata-region-reaches-into-the-bat",
        "unknown-region-over-a-block",
        "bat-region-too-small",
    ],
    "the value is zero, as what was there before": [
        "unknown-region-at-zero",
        "unknown-region-empty",
        "item-id-zero",
        "empty-item",
    ],
    "the item is named, whose entry was changed": [
        *(name for name in DAMAGES if name.endswith(("-too-long", "-too-short"))),
        "locator-shorter-than-its-header",
        "locator-cut-in-its-table",
        "virtual-disk-size-only-as-user-item",
    ],
    "the head or the entry of a locator is named, whose text was changed": [
        name for name, case in DAMAGES.items() if re.match("LOC-(1[0-9]|2)", case.main_rule)
    ],
}


WITHOUT_CHANGE = {name for names in ELSEWHERE.values() for name in names}


def changed_bytes(name: str) -> set[int]:
    """Return file offsets of the bytes that a damage changed."""
    bad, other = damaged(name).file, base(DAMAGES[name].base).file
    changed: set[int] = set()
    for start in range(0, min(bad.length, other.length, 14 * MIB), 64 * KIB):
        one, two = bad.read(start, 64 * KIB), other.read(start, 64 * KIB)
        if one != two:
            changed.update(start + at for at in range(64 * KIB) if one[at] != two[at])
    return changed


@pytest.mark.parametrize("name", [name for name in DAMAGES if name not in WITHOUT_CHANGE])
def test_a_finding_names_the_bytes_that_are_wrong(name: str) -> None:
    changed = changed_bytes(name)
    ranges = [(f.offset, f.length) for f in visible_findings(name)]
    assert any(
        offset is not None
        and any(offset <= at and (length is None or at < offset + length) for at in changed)
        for offset, length in ranges
    ), ranges


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


# -- what QEMU writes -----------------------------------------------------------------------------


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def qemu_img(*arguments: str | Path) -> None:
    argv = [program("qemu-img"), *map(str, arguments)]
    subprocess.run(argv, check=True, capture_output=True)


def qemu_io(path: Path, *commands: str) -> int:
    """Run commands of qemu-io and return its exit status."""
    options = [option for command in commands for option in ("-c", command)]
    argv = [program("qemu-io"), "-f", "vhdx", *options, str(path)]
    return subprocess.run(argv, check=False, capture_output=True).returncode


@pytest.mark.parametrize("zeroed", ["on", "off"])
@pytest.mark.parametrize("subformat", ["dynamic", "fixed"])
@pytest.mark.parametrize("megabytes", [1 << shift for shift in range(9)])
def test_what_qemu_creates_and_writes_is_clean(
    subformat: str, megabytes: int, zeroed: str, tmp_path: Path
) -> None:
    path = tmp_path / "disk.vhdx"
    options = f"subformat={subformat},block_size={megabytes}M,block_state_zero={zeroed}"
    qemu_img("create", "-q", "-f", "vhdx", "-o", options, path, "600M")
    assert_no_complaint(check(path))
    # In the order of the disk: QEMU before 8.0 may damage a page of the BAT when it writes the
    # block that comes first in it after others.
    commands = ["write -P 1 0 4k", f"write -P 2 {megabytes * 3 // 2}M 64k", "write -z 300M 1M"]
    assert qemu_io(path, *commands, "write -P 3 599M 1M") == 0
    report = check(path)
    assert_no_complaint(report)
    assert "REG-18" in rules_of(report)


@pytest.mark.parametrize("subformat", ["dynamic", "fixed"])
def test_what_qemu_converts_is_clean(subformat: str, tmp_path: Path) -> None:
    raw, path = tmp_path / "disk.raw", tmp_path / "disk.vhdx"
    with raw.open("wb") as file:
        file.truncate(40 * MIB + 512)
        for offset in (0, 7 * MIB, 40 * MIB):
            file.seek(offset)
            file.write(b"data" * 128)
    qemu_img("convert", "-O", "vhdx", "-o", f"subformat={subformat},block_size=1M", raw, path)
    report = check(path)
    assert_no_complaint(report)
    assert rules_of(report) <= {"HDR-27", "REG-18", "GEN-08", "BLK-11", "BAT-11"}


def test_what_a_killed_qemu_leaves_is_clean(tmp_path: Path) -> None:
    path = tmp_path / "disk.vhdx"
    qemu_img("create", "-q", "-f", "vhdx", "-o", "block_size=1M", path, "64M")
    assert qemu_io(path, "write -P 1 0 4k", "write -P 2 5M 4k", "flush", "sigraise 9") != 0
    assert_no_complaint(check(path))


# -- chains ---------------------------------------------------------------------------------------


def chain_cases(cases: dict[str, ChainCase]) -> list[object]:
    slow = {"too-deep"}
    return [
        pytest.param(case, marks=pytest.mark.slow if name in slow else (), id=name)
        for name, case in cases.items()
    ]


@pytest.mark.parametrize("case", chain_cases(GOOD_CHAINS))
def test_a_good_chain_is_clean(case: ChainCase, tmp_path: Path) -> None:
    made = case.build().write(tmp_path)
    report = check(made.path, chain=True)
    assert [part.path for part in report.reports] == list(map(str, reversed(made.paths)))
    for part in report.reports:
        assert_no_complaint(part)
    if case.level is not None:
        levels = {f.level for part in report.reports for f in part.findings if f.rule in case.rules}
        assert levels == {case.level}


@pytest.mark.parametrize("case", chain_cases(CHAIN_DAMAGES))
def test_a_damaged_chain_is_told_when_it_is_asked_for(case: ChainCase, tmp_path: Path) -> None:
    path = case.build().write(tmp_path).path
    report = check(path, chain=True)
    alone = check(path)
    broken = [rules_of(part, "error") | {r for r, *_ in limits_of(part)} for part in report.reports]
    assert len(broken[-1]) == 1
    assert broken[-1] <= set(case.rules)
    assert not set().union(*broken[:-1])
    assert alone.verdict == ("warnings" if "LOC-23" in case.rules else "clean")
    assert alone.parents == ()
    # Where the parent is another file or none, nothing is wrong with this one.
    last = report.reports[-1]
    assert last.is_incomplete == (case.outcome != "refused")
    if last.is_incomplete:
        assert last.verdict == ("warnings" if "LOC-23" in case.rules else "clean")
        assert any("parent" in what for what, _ in last.skipped)
    else:
        assert last.verdict == "corrupt"


@pytest.mark.parametrize("name", ["differencing-plain", "dynamic-plain"])
def test_parents_that_nobody_asked_for_are_not_taken_for_good(name: str) -> None:
    skipped = {what for what, _ in good_report(name).skipped}
    assert skipped == ({"the parents"} if name.startswith("diff") else set())


def test_a_parent_that_was_named_and_is_not_there_is_an_error_of_the_caller(tmp_path: Path) -> None:
    made = chain(2).write(tmp_path)
    with pytest.raises(FileNotFoundError) as caught:
        check(made.path, chain=True, parent=tmp_path / "mistyped.vhdx")
    assert caught.value.filename == str(tmp_path / "mistyped.vhdx")


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


# -- what is ignored ------------------------------------------------------------------------------


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
    damage_bat(layout)
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


def test_all_overlaps_of_regions_are_told() -> None:
    """Opening stops at the first; log, metadata and BAT are all in one place."""
    layout = dynamic(8 * MIB).layout()
    place = layout.metadata_offset
    layout.set_headers(log_offset=place)
    layout.set_tables(lambda table: setattr(table.find(BAT_REGION), "file_offset", place))
    counts = Counter(f.rule for f in report_on(layout).findings if f.level == "error")
    assert counts == {"OVL-01": 1, "OVL-03": 2}


def damaged_chain(*changes: Callable[[Layout], object]) -> Chain:
    """Return a chain whose images, base first, are each damaged by one of the changes."""

    def change(depth: int, image: Image) -> Layout:
        layout = image.layout()
        changes[depth](layout)
        return layout

    return chain(len(changes), change=change)


def leave(_layout: Layout) -> None:
    """Change nothing."""


def damage_header_1(layout: Layout) -> None:
    layout.headers[0].checksum = 1


def damage_bat(layout: Layout) -> None:
    layout.set_entry(1, 5)


def test_a_damage_of_the_parent_is_found_only_with_the_chain(tmp_path: Path) -> None:
    made = damaged_chain(damage_bat, leave).write(tmp_path)
    assert check(made.path).verdict == "clean"
    report = check(made.path, chain=True)
    assert report.verdict == "clean"
    (above,) = report.parents
    assert (above.verdict, rules_of(above, "error")) == ("corrupt", {"BAT-03"})
    assert above.path == str(made.paths[0])


def test_a_parent_that_is_cut_is_told(tmp_path: Path) -> None:
    """Where a parent ends counts, as it does for the child."""
    made = chain(2, blocks=lambda _depth, _image: {0: Block()}).write(tmp_path)
    os.truncate(made.paths[0], made.paths[0].stat().st_size - 512)
    (above,) = check(made.path, chain=True).parents
    assert (above.verdict, rules_of(above, "error")) == ("corrupt", {"BAT-10"})


def test_each_file_of_a_chain_has_its_own_findings(tmp_path: Path) -> None:
    made = damaged_chain(damage_header_1, damage_bat, damage_header_1).write(tmp_path)
    reports = check(made.path, chain=True).reports
    assert [part.verdict for part in reports] == ["warnings", "corrupt", "warnings"]
    assert [part.path for part in reports] == list(map(str, reversed(made.paths)))
    rules = [rules_of(part, "warning", "error") for part in reports]
    assert rules == [{"HDR-03"}, {"BAT-03"}, {"HDR-03"}]
    assert [len(part.diagnosis) for part in reports] == [1, 0, 1]


def test_what_is_ignored_is_ignored_in_parents_too(tmp_path: Path) -> None:
    path = damaged_chain(damage_bat, damage_header_1).write(tmp_path).path
    reports = check(path, chain=True, ignore=["BAT-03", "HDR-03"]).reports
    assert [part.verdict for part in reports] == ["clean", "clean"]


def test_the_parent_may_be_named_or_searched_for(tmp_path: Path) -> None:
    made = chain(2)
    for name in ("above", "child"):
        (tmp_path / name).mkdir()
    made.images[0].write(tmp_path / "above" / "base.vhdx")
    child = made.images[1].write(tmp_path / "child" / "child1.vhdx")
    assert rules_of(check(child, chain=True), "error") == {"CHAIN-10"}
    assert check(child, chain=True, search=[tmp_path / "above"]).verdict == "clean"
    assert check(child, chain=True, parent=tmp_path / "above" / "base.vhdx").verdict == "clean"


@pytest.mark.parametrize("in_memory", [(0,), (1,), (0, 1)])
def test_a_chain_may_be_in_memory_wholly_or_partly(
    in_memory: tuple[int, ...], tmp_path: Path
) -> None:
    made = chain(2).write(tmp_path)
    parent, child = (
        path.read_bytes() if number in in_memory else path for number, path in enumerate(made.paths)
    )
    report = check(child, chain=True, parent=parent)
    assert [part.verdict for part in report.reports] == ["clean", "clean"]


def test_paths_that_were_not_followed_are_told_only_where_a_parent_was_looked_for(
    tmp_path: Path,
) -> None:
    made = GOOD_CHAINS["paths-lead-out"].build().write(tmp_path)
    assert "CHAIN-07" in rules_of(check(made.path, chain=True))
    named = check(made.path, chain=True, parent=made.paths[0])
    assert "CHAIN-07" not in rules_of(named)


def test_a_parent_that_cannot_be_opened_is_told_and_skipped(tmp_path: Path) -> None:
    made = chain(2).write(tmp_path)
    made.paths[0].write_bytes(b"no image")
    report = check(made.path, chain=True)
    assert rules_of(report, "error") == {"CHAIN-10"}
    assert "the parents" in {what for what, _ in report.skipped}


def test_a_parent_that_was_named_and_is_no_image_does_not_make_the_child_none(
    tmp_path: Path,
) -> None:
    made = chain(2).write(tmp_path)
    made.paths[0].write_bytes(b"no image")
    report = check(made.path, chain=True, parent=made.paths[0])
    assert (report.verdict, report.is_incomplete) == ("clean", True)
    assert any("base.vhdx" in str(f) for f in report.findings if f.level == "error")


# -- every rule has its image ---------------------------------------------------------------------


SLOW = {"entries-over-each-other"}


def examples(*, chains: bool) -> list[object]:
    return [
        pytest.param(e, marks=pytest.mark.slow if e.image in SLOW else (), id=e.rule)
        for e in EXAMPLES
        if e.is_chain == chains
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("more", "rules"), [(0, {"LOG-31"}), (MIB, set())])
def test_a_log_as_long_as_our_limit_is_looked_at(more: int, rules: set[str]) -> None:
    """It holds nothing, which is wrong for another reason."""
    layout = dynamic(4 * MIB, log_length=MAX_REPLAYED_LOG_LENGTH + more).layout()
    layout.set_headers(log_guid=OTHER_GUID)
    report = report_on(layout)
    assert rules_of(report, "error") == rules
    assert {rule for rule, *_ in limits_of(report)} == (set() if rules else {"HDR-18"})


@cache
def example_report(name: str) -> Report:
    if name in DAMAGES:
        return damage_report(name)
    return good_report(name) if name in GOODS else report_on(layout_of(name))


def neighbour_report(name: str) -> Report:
    """Return the report on a good image that is like that of an example."""
    if name in DAMAGES:
        return base_report(DAMAGES[name].base)
    return good_report(f"{layout_of(name).image.disk_type}-plain")


def messages_of(report: Report) -> set[tuple[str, str, str]]:
    return {(f.rule, f.level, f.message) for f in report.findings} | limits_of(report)


# Rules that need more than a file that is checked.
SHOWN_OTHERWISE = {"GEN-09": "test_a_file_that_becomes_shorter_is_told_like_a_damage"}


def test_every_rule_that_is_checked_has_an_example() -> None:
    rules = [e.rule for e in EXAMPLES]
    checked = [rule.id for rule in catalogue().values() if rule.status == "checked"]
    assert rules == [rule for rule in checked if rule not in SHOWN_OTHERWISE]
    assert all(name in globals() for name in SHOWN_OTHERWISE.values())


@pytest.mark.parametrize("example", examples(chains=False))
def test_an_image_breaks_one_rule_and_its_good_neighbour_does_not(example: Example) -> None:
    report, neighbour = example_report(example.image), neighbour_report(example.image)
    assert (example.rule, example.level, example.message) in messages_of(report)
    assert_no_complaint(neighbour)
    broken = {rule for rule, *_ in messages_of(report)} - rules_of(neighbour)
    assert broken == {example.rule, *example.besides}


@pytest.mark.parametrize("example", examples(chains=True))
def test_a_chain_breaks_one_rule_and_a_good_one_does_not(example: Example, tmp_path: Path) -> None:
    case = (GOOD_CHAINS | CHAIN_DAMAGES)[example.image]
    report = check(case.build().write(tmp_path / "bad").path, chain=True)
    neighbour = check(GOOD_CHAINS["three-levels"].build().write(tmp_path / "good").path, chain=True)
    message = example.message.replace("{folder}", str(tmp_path / "bad"))
    assert (example.rule, example.level, message) in messages_of(report)
    for part in neighbour.reports:
        assert_no_complaint(part)
    assert rules_of(report) - rules_of(neighbour) == {example.rule, *example.besides}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in OWN_LIMITS]
)
def test_what_passes_our_own_limits_is_refused_without_much_work(name: str) -> None:
    built = OWN_LIMITS[name]().build()
    source = SparseSource(built.file)
    report = check(source)
    assert source.bytes_read < GIB
    assert (report.verdict, report.is_incomplete) == ("clean", True)
    with pytest.raises(LimitError) as caught:
        OpenedImage(SparseSource(built.file))
    assert {caught.value.finding.rule} == {rule for rule, *_ in limits_of(report)}


@pytest.mark.parametrize("ignore", [(), ("HDR-18",)])
def test_what_we_do_not_look_at_is_not_taken_for_good(ignore: tuple[str, ...]) -> None:
    report = report_on(OWN_LIMITS["log-of-3-gib"](), ignore=ignore)
    assert report.is_incomplete
    assert limits_of(report)


def test_a_last_file_offset_that_no_system_has_is_no_fault_of_the_image() -> None:
    image = dynamic(4 * MIB)
    built = log_only(image, [Entry([Zero(70 * MIB, 4 * KIB)], last_file_offset=1 << 50)])
    report = report_on(built)
    assert (report.verdict, report.is_incomplete) == ("clean", True)
    assert {rule for rule, *_ in limits_of(report)} == {"LOG-38"}


def test_what_keeps_our_own_limits_to_the_byte_is_good() -> None:
    entry = Entry([Zero(70 * MIB, 4 * KIB)])
    built = log_only(dynamic(4 * MIB, log_length=64 * MIB), [entry])
    assert rules_of(report_on(built)) == {"LOG-01"}
    layout = dynamic(4 * MIB).layout()
    layout.set_tables(lambda table: setattr(table.find(METADATA_REGION), "length", 3 * GIB))
    layout.set_tables(lambda table: setattr(table.find(BAT_REGION), "file_offset", 4 * GIB))
    layout.file_length = 5 * GIB
    report = report_on(layout)
    assert (report.verdict, report.is_incomplete) == ("clean", False)


def test_what_stands_after_the_bat_is_said_to_begin_there() -> None:
    layout = DAMAGES["bat-entries-after-the-last"].layout()
    (finding,) = report_on(layout).findings
    assert finding.offset == layout.bat_offset + layout.image.geometry.entry_count * 8


@pytest.mark.parametrize("copy", [0, 1])
def test_a_damaged_header_tells_nothing_about_updates(copy: int) -> None:
    layout = BASES["dynamic"]()
    header = layout.headers[copy]
    header.data_write_guid, header.sequence_number, header.checksum = OTHER_GUID, 100, 1
    assert rules_of(report_on(layout)) == {"HDR-03"}


def test_a_metadata_region_at_the_end_of_the_file_is_looked_at_whatever_the_table_lacks() -> None:
    layout = dynamic(8 * MIB, order=("log", "bat", "regions", "blocks", "metadata")).layout()
    layout.file_length = layout.metadata_offset + MIB
    for name in ("bat-region-missing", "logical-sector-size-1024"):
        DAMAGES[name].apply(layout)
    assert rules_of(report_on(layout), "error") == {"REG-16", "ITEM-15"}


@pytest.mark.parametrize("worthwhile", [0, survey.WORTHWHILE_ENTRIES])
def test_only_sector_bitmaps_that_are_present_take_up_their_place(
    worthwhile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "WORTHWHILE_ENTRIES", worthwhile)
    layout = differencing(8 * MIB, blocks={0: Block()}).layout()
    index = layout.image.geometry.bitmap_index(0)
    layout.bat[index] = layout.payload[0]
    assert rules_of(report_on(layout)) == {"BAT-11", "LOC-14", "LOC-20"}
    layout.bat[index] = FULLY_PRESENT | layout.log_offset
    assert rules_of(report_on(layout), "error") == {"OVL-05"}
    assert layout.log_offset == MIB  # the first place there is


@pytest.mark.parametrize("rule", [rule.id for rule in catalogue().values() if rule.by])
def test_an_image_that_breaks_a_covered_rule_is_found_under_another_id(rule: str) -> None:
    covering = set(catalogue()[rule].by)
    for name, case in DAMAGES.items():
        if rule in case.rules and not set(case.rules) - {rule} & rules_of(damage_report(name)):
            assert covering & rules_of(damage_report(name)), name


def test_no_finding_carries_an_id_that_is_not_in_the_catalogue() -> None:
    reports = [*map(damage_report, DAMAGES), *map(good_report, GOODS)]
    for rule in set().union(*map(rules_of, reports)):
        assert catalogue()[rule].status == "checked", rule


def test_a_log_without_an_entry_of_its_own_says_why() -> None:
    report = damage_report("log-guid-of-another-session")
    assert rules_of(report, "error") == {"LOG-31"}
    text = next(str(f) for f in report.findings if f.rule == "LOG-31")
    assert str(OTHER_GUID) in text
    with pytest.raises(FormatError):
        OpenedImage(SparseSource(damaged("log-guid-of-another-session").file))


class _Shrinking(SparseSource):
    """A file that somebody cuts while it is read, so that its size is no longer true."""

    def readinto(self, buffer: memoryview, offset: int) -> None:
        if offset + len(buffer) > 2 * MIB:
            raise self._short(offset, len(buffer), max(0, 2 * MIB - offset))
        super().readinto(buffer, offset)


def test_a_file_that_becomes_shorter_is_told_like_a_damage() -> None:
    report = check(_Shrinking(good("dynamic-plain").file))
    assert rules_of(report, "error") == {"GEN-09"}
    assert report.verdict == "corrupt"


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


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("identifier-signature-wrong", "everything else"),
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


# -- a few of each ------------------------------------------------------------------------------


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


# -- what callers may leave out -------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [name for name, case in DAMAGES.items() if case.level == "warning"]
)
def test_a_warning_that_is_ignored_does_not_count(name: str) -> None:
    rules = rules_of(damage_report(name), "warning")
    report = report_on(damaged(name), ignore=rules)
    assert report.verdict == "clean"
    kept = [str(f) for f in damage_report(name).findings if f.rule not in rules]
    assert [str(f) for f in report.findings] == kept


def test_what_is_ignored_hides_nothing_else() -> None:
    layout = done_together(["bat-state-4", "bat-reserved-bit-low", "region-required-3"])
    assert rules_of(report_on(layout, ignore=["BAT-03"])) == {"BAT-02", "REG-15"}
    assert report_on(layout, ignore={"BAT-02", "BAT-03"}).verdict == "warnings"
    assert report_on(layout, ignore=("BAT-02", "BAT-03", "REG-15")).verdict == "clean"


def test_an_error_that_is_ignored_still_ends_the_check() -> None:
    report = report_on(damaged("version-2"), ignore=["HDR-08"])
    assert report.findings == ()
    assert report.skipped


def test_what_is_ignored_is_not_counted_either() -> None:
    layout = dynamic(128 * MIB).layout()
    for block in range(100):
        layout.set_entry(block, 4)
    assert report_on(layout, ignore=["BAT-03"]).more == {}


def cut_after_the_bat() -> Layout:
    """All the metadata of an image, and no payload; some of its blocks are damaged, too."""
    blocks = {number: Block() for number in range(5)}
    layout = dynamic(8 * MIB, blocks=blocks).layout()
    layout.file_length = layout.bat_offset + MIB
    layout.set_entry(7, 4)
    return layout


def test_a_skeleton_may_lack_its_payload_and_nothing_else() -> None:
    whole = report_on(cut_after_the_bat())
    assert counted(whole) == {"BAT-03": 1, "BAT-10": 5}
    assert len(whole.diagnosis) == 1
    skeleton = report_on(cut_after_the_bat(), skeleton=True)
    assert counted(skeleton) == {"BAT-03": 1}
    assert skeleton.diagnosis == ()


def test_blocks_that_a_fixed_disk_lacks_are_told_of_its_skeleton_too() -> None:
    """Only the length of the file is not its own."""
    report = report_on(damaged("fixed-block-not-present"), skeleton=True)
    assert rules_of(report) == {"ITEM-09"}
    assert "ITEM-10" not in rules_of(report_on(damaged("fixed-file-shrunk"), skeleton=True))


def test_blocks_of_a_skeleton_overlap_wherever_they_are() -> None:
    """A dump of an image may come from any file; its own length says nothing."""
    layout = dynamic(4 * MIB).layout()
    for block in (0, 3):
        layout.set_entry(block, FULLY_PRESENT, (1 << 64) - 2 * MIB)
    assert rules_of(report_on(layout, skeleton=True), "error") == {"BAT-08"}


def test_a_good_image_is_good_as_a_skeleton_too() -> None:
    for name in ("dynamic-plain", "fixed-plain", "differencing-plain", "dirty-bat"):
        assert_no_complaint(report_on(good(name), skeleton=True))


# -- diagnosis ------------------------------------------------------------------------------------


def test_an_ordinary_image_needs_no_explanation() -> None:
    for name in ("dynamic-plain", "fixed-plain", "differencing-plain", "fixed-last-block-cut"):
        assert good_report(name).diagnosis == ()


@pytest.mark.parametrize("copy", [1, 2])
def test_a_damaged_header_is_explained(copy: int) -> None:
    layout = BASES["dynamic"]()
    layout.headers[copy - 1].checksum = 1
    assert only_sentence(report_on(layout)).startswith(
        f"Header {copy} is damaged and header {3 - copy} is used"
    )


@pytest.mark.parametrize("copy", [1, 2])
def test_a_damaged_region_table_is_explained(copy: int) -> None:
    layout = BASES["dynamic"]()
    layout.region_tables[copy - 1].checksum = 1
    sentence = only_sentence(report_on(layout))
    assert sentence.startswith(f"Region table {copy} is damaged and table {3 - copy} is used")
    assert "QEMU" in sentence


def test_a_dirty_log_is_explained() -> None:
    sentence = only_sentence(good_report("log-of-windows"))
    assert sentence.startswith("The log is dirty: replay changes 1 MiB of the file")


def test_regions_that_are_not_required_are_explained() -> None:
    sentence = only_sentence(good_report("regions-not-required"))
    assert "not marked as required" in sentence
    assert "Hyper-V and VirtualBox" in sentence


@pytest.mark.parametrize("name", ["metadata", "bat"])
def test_a_file_cut_before_a_region_says_what_is_missing(name: str) -> None:
    layout = BASES["dynamic"]()
    ((start, length),) = layout.ranges(name)
    layout.file_length = start + 300 * KIB
    found = report_on(layout)
    assert rules_of(found, "error") == {"REG-13"}
    title = {"metadata": "Metadata", "bat": "BAT"}[name]
    assert (
        f"The file is cut short: it ends at {start + 300 * KIB:#x}, the {title} region at "
        f"{start + length:#x}, so at least 724 KiB are missing. Without that nothing of the disk "
        "can be read."
    ) in found.diagnosis


def test_a_file_cut_in_its_log_says_what_is_missing() -> None:
    layout = BASES["dynamic"]()
    layout.file_length = layout.log_offset + 512 * KIB
    assert only_sentence(report_on(layout)).startswith(
        f"The file is cut short: it ends at {layout.log_offset + 512 * KIB:#x}, the log at "
        f"{layout.log_offset + MIB:#x}, so at least 512 KiB are missing."
    )


def test_a_file_shorter_than_its_log_knows_it_says_what_is_missing() -> None:
    assert only_sentence(damage_report("log-file-truncated")).endswith(
        "so at least 1 MiB are missing. Without that nothing of the disk can be read."
    )


@pytest.mark.parametrize("name", ["region-wraps-around", "log-wraps-around", "log-past-the-end"])
def test_an_absurd_place_is_not_taken_for_a_cut_file(name: str) -> None:
    sentences = damage_report(name).diagnosis
    assert all("cut short" not in s for s in sentences) == (name != "log-past-the-end")


# -- any bytes ------------------------------------------------------------------------------------

# Broken only when blocks are looked at together, or where nobody reads.
_OF_BLOCKS = re.compile("BAT-|OVL-0[5-9]|BLK-")


@given(strategies.wild_files() | strategies.wild_files(types=("differencing",)))
def test_checking_and_opening_agree_on_any_file(built: Built) -> None:
    report = check(SparseSource(built.file))
    errors = rules_of(report, "error")
    assert (report.verdict in ("corrupt", "not-vhdx")) == bool(errors)
    opened = opened_or_refused(built)
    if isinstance(opened, LimitError):
        assert report.is_incomplete
        return
    if isinstance(opened, FormatError):
        assert opened.finding.rule in errors
        assert report.skipped
        return
    assert skipped_of(report) == []
    assert not [rule for rule in errors if not _OF_BLOCKS.match(rule)]
    if not errors:
        assert_every_extent_can_be_read(opened)


def opened_or_refused(built: Built) -> OpenedImage | FormatError | LimitError:
    try:
        return OpenedImage(SparseSource(built.file))
    except (FormatError, LimitError) as refusal:
        return refusal


def assert_every_extent_can_be_read(image: OpenedImage) -> None:
    disk = Disk([image])
    at = 0
    for extent in disk.extents():
        assert extent.offset == at
        at += extent.length
        if extent.kind == "data":
            for part in (extent.offset, extent.offset + extent.length - 512):
                assert len(disk.pread(512, part)) == 512
    assert at == disk.size


@given(
    st.binary(max_size=2000),
    st.sampled_from([b"", b"vhdxfile"]),
    st.sampled_from([0, MIB, 4 * MIB]),
)
def test_no_bytes_make_a_check_raise(data: bytes, head: bytes, room: int) -> None:
    report = check(head + data + bytes(room))
    is_vhdx = (head + data).startswith(b"vhdxfile")
    assert report.verdict == ("corrupt" if is_vhdx else "not-vhdx")
    assert report.findings
    assert report.path is None


_IMPORT_EVERYTHING = """
    import importlib, pkgutil, types, vhdx_kaitai
    for module in pkgutil.iter_modules(vhdx_kaitai.__path__):
        if module.name != "__main__":
            importlib.import_module(f"vhdx_kaitai.{module.name}")
    names = [name for name in vhdx_kaitai.__all__ if not name.startswith("_")]
    print([n for n in names if isinstance(getattr(vhdx_kaitai, n), types.ModuleType)])
    print(vhdx_kaitai.check(b"no image").verdict)
"""


def test_the_function_can_be_called_whatever_was_imported_before() -> None:
    """Python makes modules attributes of their package, over functions of the same name."""
    argv = [sys.executable, "-c", textwrap.dedent(_IMPORT_EVERYTHING)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\nnot-vhdx\n", "")


def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        check(tmp_path / "nothing.vhdx")


def test_a_check_leaves_what_is_not_its_own_open(tmp_path: Path) -> None:
    path = good("dynamic-plain").write(tmp_path / "good.vhdx")
    with path.open("rb") as file:
        assert check(file).verdict == "clean"
        assert not file.closed
        assert check(file).verdict == "clean"
    source = SparseSource(good("dynamic-plain").file)
    check(source)
    assert not source.is_closed


def test_a_check_closes_what_it_opened(tmp_path: Path) -> None:
    paths = [chain(3).write(tmp_path).path, damaged("version-2").write(tmp_path / "damaged.vhdx")]
    before = len(os.listdir("/proc/self/fd"))
    for path in paths:
        check(path, chain=True)
    assert len(os.listdir("/proc/self/fd")) == before
