"""Every damage that the builder declares is found, and nothing else is blamed for it.

What has to be found stands in the declarations of the builder, `tests.images`; nothing here is
taken from what the checker says.
"""

from __future__ import annotations

import re

import pytest

from tests.checking.reports import (
    VERDICTS,
    assert_no_complaint,
    base,
    base_report,
    damage_report,
    rules_of,
)
from tests.images.bases import BASES
from tests.images.damage import DAMAGES
from tests.images.structures import GIB, KIB, MIB
from tests.support import damaged
from vhdx_kaitai.errors import Finding
from vhdx_kaitai.text import quoted


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
    assert damage_report(name).verdict == VERDICTS[case.level]


# What follows from a damage beyond what it declares, and cannot be otherwise.
FOLLOWS = {
    "ITEM-16": {"ITEM-18"},  # sectors of 0 bytes are smaller than the logical ones
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
    "incomplete-file-marker-optional": {"MET-11"},
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


# -- what a finding says --------------------------------------------------------------------------


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
            assert finding.actual in finding.message or quoted(finding.actual) in finding.message
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
