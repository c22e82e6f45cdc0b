"""The exception tree, and how a finding reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Files
from tests.support import RULES, SparseSource, damaged, opened
from vhdx_kaitai import errors
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.errors import Finding, FormatError, Level, Span, TruncatedError, refuse
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.rules import catalogue as rule_catalogue


def finding(rule: str, level: Level = "error") -> Finding:
    return Finding(rule, level, Span("somewhere"), f"message of {rule}")


def test_every_error_of_the_package_is_a_vhdx_error() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    exceptions = [kind for kind in kinds if issubclass(kind, Exception)]
    assert len(exceptions) == 14
    assert all(issubclass(kind, errors.VhdxError) for kind in exceptions)
    assert not issubclass(errors.VhdxError, OSError)


@pytest.mark.parametrize(
    ("kind", "parent"),
    [
        (errors.FormatError, errors.VhdxError),
        (errors.TruncatedError, errors.FormatError),
        (errors.UnsupportedError, errors.VhdxError),
        (errors.ReplayRequiredError, errors.UnsupportedError),
        (errors.ParentError, errors.VhdxError),
        (errors.ParentNotFoundError, errors.ParentError),
        (errors.ParentMismatchError, errors.ParentError),
    ],
)
def test_an_error_stands_where_the_interface_says(kind: type, parent: type) -> None:
    assert kind.__bases__ == (parent,)


def test_a_finding_says_where_what_and_by_which_rule() -> None:
    with pytest.raises(FormatError) as caught:
        opened(damaged("both-header-checksums-wrong"))
    text = str(caught.value)
    assert text.startswith("headers: neither copy is valid (header 1: checksum 0x12345678 stored, ")
    assert text.endswith(" computed) [HDR-05, MS-VHDX 2.2.2]")


def test_a_finding_about_a_field_names_its_structure_and_the_place_of_that() -> None:
    with pytest.raises(FormatError) as caught:
        opened(damaged("current-header-version-2"))
    assert str(caught.value) == (
        "header 2 at 0x20000: Version 2, expected 1 [HDR-08, MS-VHDX 2.2.2]"
    )
    found = caught.value.finding
    assert (found.offset, found.length) == (0x20000 + 66, 2)
    assert (found.actual, found.expected) == ("2", "1")
    assert found.where == "header 2 at 0x20000"


def test_a_checksum_is_told_as_stored_and_computed() -> None:
    """As the style guide shows it."""
    image = opened(damaged("header-1-checksum-wrong"))
    defect = image.headers.copies[0].defect
    assert defect is not None
    assert re.fullmatch(
        r"header 1 at 0x10000: checksum 0x12345678 stored, 0x[0-9a-f]{8} computed "
        r"\[HDR-03, MS-VHDX 2\.2\.2\]",
        str(defect),
    )
    assert (defect.offset, defect.length) == (0x10004, 4)


def test_refusing_passes_over_notes_and_warnings_and_stops_at_the_first_error() -> None:
    asked = []

    def findings() -> Iterator[Finding]:
        for rule, level in (("HDR-16", "note"), ("HDR-03", "warning"), ("HDR-08", "error")):
            asked.append(rule)
            yield finding(rule, level)  # type: ignore[arg-type]
        raise AssertionError("nothing after the first error is looked at")

    with pytest.raises(FormatError) as caught:
        refuse(findings())
    assert caught.value.finding.rule == "HDR-08"
    assert asked == ["HDR-16", "HDR-03", "HDR-08"]
    refuse([finding("HDR-16", "note"), finding("HDR-03", "warning")])


@pytest.mark.parametrize("rule", ["GEN-07", "HDR-13", "REG-13", "LOG-32", "BAT-10"])
def test_bytes_that_are_missing_make_a_truncated_error(rule: str) -> None:
    with pytest.raises(TruncatedError):
        refuse([finding(rule)])


@pytest.mark.parametrize("rule", ["HDR-08", "REG-09", "MET-07", "LOG-31", "BAT-01", "LOC-09"])
def test_anything_else_does_not(rule: str) -> None:
    with pytest.raises(FormatError) as caught:
        refuse([finding(rule)])
    assert type(caught.value) is FormatError


def test_an_error_knows_the_file_it_was_found_in(files: Files) -> None:
    path = files.damaged("version-2")
    with pytest.raises(FormatError) as caught:
        Image(path)
    assert caught.value.path == str(path)
    assert str(path) not in str(caught.value)
    with pytest.raises(FormatError) as caught:
        Image(path.read_bytes())
    assert caught.value.path is None


def rules_of_the_catalogue(path: Path) -> dict[str, str]:
    """Return the section of each rule in a catalogue."""
    text = path.read_text(encoding="utf-8")
    return dict(re.findall(r"^- id: (\S+)\n  section: '?([0-9.]+)'?$", text, re.MULTILINE))


@pytest.mark.skipif(not RULES.is_file(), reason="the rules are not at ../shared/spec")
def test_every_rule_of_the_catalogue_has_its_section() -> None:
    catalogue = rules_of_the_catalogue(RULES)
    assert len(catalogue) == 242
    assert catalogue == {rule.id: rule.section for rule in rule_catalogue().values()}


def test_every_rule_named_in_the_code_is_in_the_catalogue() -> None:
    package = Path(errors.__file__).parent
    for path in package.rglob("*.py"):
        named = re.findall(r'"([A-Z]{3,5}-\d\d)"', path.read_text(encoding="utf-8"))
        assert set(named) <= set(rule_catalogue()), path.name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("header-2-missing", "signature 00 00 00 00, expected 'head'"),
        ("header-1-signature-wrong", "signature 'hea?', expected 'head'"),
        ("region-table-1-missing", "signature 00 00 00 00, expected 'regi'"),
        ("metadata-signature-wrong", "signature 'metadatb', expected 'metadata'"),
        (
            "identifier-signature-wrong",
            "but headers or region tables are whole, so it was overwritten",
        ),
        ("log-descriptor-signature-unknown", "signature unknown, expected 'zero' or 'desc'"),
        ("log-entry-in-the-middle-bad", "signature unknown, expected 'data'"),
    ],
)
def test_messages_about_signatures_are_no_program_text(name: str, message: str) -> None:
    messages = [found.message for found in check(SparseSource(damaged(name).file)).findings]
    assert any(one.endswith(message) for one in messages)
    assert not any(" b'" in one or "\\x" in one for one in messages)


def test_a_file_that_ends_at_once_has_few_bytes_for_a_signature() -> None:
    with pytest.raises(FormatError, match="signature 'v', expected 'vhdxfile'"):
        Image(b"v")
