"""The bytes shown with a finding are those of the file that it is about."""

from __future__ import annotations

import pytest

from tests.images.bases import base_dynamic
from tests.images.damage import DAMAGES
from tests.images.dirty import dirty
from tests.images.structures import FULLY_PRESENT
from tests.support import SparseSource, damaged
from vhdx_kaitai.checking import evidence as showing
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.checking.evidence import Evidence, evidence
from vhdx_kaitai.errors import Finding


def shown(name: str, rule: str) -> tuple[Finding, Evidence]:
    """The first finding of a rule in a damaged image, and its bytes."""
    source = SparseSource(damaged(name).file)
    findings = check(source).findings
    found = {one.finding: one for one in evidence(findings, source)}
    number = next(number for number, finding in enumerate(findings) if finding.rule == rule)
    return findings[number], found[number]


def test_a_field_of_a_header_is_shown_with_what_is_around_it() -> None:
    finding, found = shown("header-2-checksum-wrong", "HDR-03")
    assert (finding.offset, finding.length) == (0x20004, 4)
    assert found[1:4] == ("header", ("checksum",), 0x1FFF0)
    assert found.data[:24] == bytes(16) + b"head\x78\x56\x34\x12"
    assert not found.is_replayed


def test_a_structure_has_no_field_in_question() -> None:
    finding, found = shown("header-2-missing", "HDR-02")
    assert finding.where == "header 2 at 0x20000"
    assert found.structure == "header"


def test_bytes_are_as_the_replay_makes_them_and_that_is_told() -> None:
    after = base_dynamic().layout()
    after.set_entry(7, FULLY_PRESENT, 1 << 40)
    built = dirty(after).build()
    source = SparseSource(built.file)
    findings = check(source).findings
    number = next(number for number, finding in enumerate(findings) if finding.rule == "BAT-10")
    found = {one.finding: one for one in evidence(findings, source)}[number]
    assert found.is_replayed
    at = (findings[number].offset or 0) - found.start
    assert found.data[at : at + 8] == ((1 << 40) | FULLY_PRESENT).to_bytes(8, "little")
    assert built.file.read(found.start, len(found.data)) != found.data


@pytest.mark.parametrize("name", DAMAGES)
def test_few_bytes_are_shown_and_the_finding_is_about_the_first_of_them(name: str) -> None:
    built = damaged(name)
    source = SparseSource(built.file)
    findings = check(source).findings
    for found in evidence(findings, source):
        offset = findings[found.finding].offset
        assert offset is not None
        assert found.start <= offset < found.start + len(found.data)
        assert found.start % 16 == 0
        assert len(found.data) <= showing.MOST_BYTES + 48
        if not found.is_replayed:
            assert built.file.read(found.start, len(found.data)) == found.data


def test_bytes_of_so_many_findings_are_shown_as_somebody_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(showing, "MOST_SHOWN", 1)
    source = SparseSource(damaged("both-header-checksums-wrong").file)
    assert len([*evidence([*check(source).findings] * 3, source)]) == 1
