"""SARIF documents, held against the schema of the standard."""

from __future__ import annotations

import hashlib
import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator, FormatChecker

from tests.conftest import Files, Run
from tests.images.damage import DAMAGES
from tests.images.goods import GOODS
from tests.support import ROOT, SparseSource, damaged, good
from vhdx_kaitai import __version__
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.checking.findings import Report
from vhdx_kaitai.checking.told import Skipped
from vhdx_kaitai.errors import Finding, Level, Span
from vhdx_kaitai.rules import catalogue
from vhdx_kaitai.showing.sarif import artifact_uri, sarif_document

SCHEMA = ROOT / "tests" / "data" / "sarif" / "sarif-schema-2.1.0.json"

_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:)?([A-Za-z0-9._~!$&'()*+,;=:@/?#-]|%[0-9A-F]{2})*")
_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("uri")
@_FORMATS.checks("uri-reference")
def is_uri(value: object) -> bool:
    """Tell whether a value is a URI, as far as its letters go."""
    return not isinstance(value, str) or _URI.fullmatch(value) is not None


@cache
def validator() -> Draft7Validator:
    return Draft7Validator(json.loads(SCHEMA.read_bytes()), format_checker=_FORMATS)


def run_of(*reports: Report) -> Any:
    """Return the one run of a document, as its reader gets it, after a look at the schema."""
    text = json.dumps(sarif_document(reports), ensure_ascii=False)
    document = json.loads(text.encode("utf-8"))
    errors = list(validator().iter_errors(document))
    assert not errors, "\n".join(f"{error.json_path}: {error.message}" for error in errors)
    (run,) = document["runs"]
    return run


HEADER_1 = Span("header 1 at 0x10000", 0x10004, 4)


def finding(
    rule: str = "HDR-03",
    message: str = "message",
    *,
    level: Level = "warning",
    place: Span = HEADER_1,
) -> Finding:
    return Finding(rule, level, place, message)


def report(*findings: Finding, path: str | None = "disk.vhdx") -> Report:
    return Report(path, "warnings", findings, (), {}, ())


@cache
def checked(name: str) -> Report:
    """Return what is found in an image of the builder."""
    built = damaged(name) if name in DAMAGES else good(name)
    return check(SparseSource(built.file))._replace(path=f"{name}.vhdx")


def messages(run: Any) -> list[str]:
    return [result["message"]["text"] for result in run["results"]]


# -- the document --------------------------------------------------------------------------------


def test_the_schema_is_that_of_the_standard() -> None:
    text = (SCHEMA.parent / "README.md").read_text(encoding="utf-8")
    assert hashlib.sha256(SCHEMA.read_bytes()).hexdigest() in text
    schema = json.loads(SCHEMA.read_bytes())
    Draft7Validator.check_schema(schema)
    assert "oasis-tcs/sarif-spec" in schema["$id"]


@pytest.mark.slow
def test_every_damaged_image_gives_a_valid_document() -> None:
    run_of(*map(checked, DAMAGES))


@pytest.mark.slow
def test_every_good_image_gives_a_valid_document_without_errors() -> None:
    run = run_of(*map(checked, GOODS))
    assert "error" not in {result["level"] for result in run["results"]}


@pytest.mark.parametrize(
    "name", ["header-1-checksum-wrong", "bat-state-4", "locator-value-with-nul", "items-overlap"]
)
def test_a_result_says_what_its_finding_says(name: str) -> None:
    source = checked(name)
    run = run_of(source)
    assert len(run["results"]) == len(source.findings) > 0
    for result, found in zip(run["results"], source.findings, strict=True):
        assert (result["ruleId"], result["level"]) == (found.rule, found.level)
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == found.rule
        (location,) = result["locations"]
        physical = location["physicalLocation"]
        assert physical["artifactLocation"] == {"uri": f"{name}.vhdx", "index": 0}
        region = physical.get("region", {})
        assert region.get("byteOffset") == found.offset
        assert region.get("byteLength") == found.length
        assert location["logicalLocations"] == [{"fullyQualifiedName": found.where}]
        assert result["message"]["text"].startswith(found.where)
        assert result["properties"].get("expected") == found.expected
        assert result["properties"].get("actual") == found.actual


def test_the_region_is_the_field_that_is_wrong() -> None:
    (result,) = run_of(checked("header-1-checksum-wrong"))["results"]
    (location,) = result["locations"]
    assert location["physicalLocation"]["region"] == {"byteOffset": 0x10004, "byteLength": 4}


def test_only_rules_with_results_are_described_each_once_in_the_order_of_the_catalogue() -> None:
    run = run_of(report(finding("REG-03"), finding("GEN-08"), finding("REG-03", "another")))
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["GEN-08", "REG-03"]
    assert [result["ruleIndex"] for result in run["results"]] == [1, 0, 1]


def test_a_rule_is_described_by_the_catalogue() -> None:
    (described,) = run_of(report(finding("HDR-06")))["tool"]["driver"]["rules"]
    rule = catalogue()["HDR-06"]
    assert described["fullDescription"]["text"] == rule.rule
    short = described["shortDescription"]["text"]
    assert short == "Two valid copies with equal SequenceNumber leave no current header."
    for text in described["help"].values():
        assert rule.why in text
        assert rule.others in text
    assert described["properties"] == {
        "section": "2.2.2",
        "requirement": "MUST",
        "appliesTo": "reader",
    }


def test_every_rule_can_be_described() -> None:
    run = run_of(report(*(finding(rule) for rule in catalogue())))
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(catalogue())
    assert all(rule["shortDescription"]["text"].endswith(".") for rule in rules)


def test_the_tool_says_its_name_and_version() -> None:
    run = run_of(report())
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("vhdx-kaitai", __version__)
    assert run["invocations"][0]["executionSuccessful"] is True
    assert run["columnKind"] == "unicodeCodePoints"


def test_nothing_found_is_an_empty_list_of_results() -> None:
    assert run_of(report())["results"] == []
    assert run_of()["artifacts"] == []


# -- images --------------------------------------------------------------------------------------


def test_each_image_is_an_artifact_of_one_run() -> None:
    clean = Report("b.vhdx", "clean", (), (), {}, ())
    run = run_of(report(finding(), path="a.vhdx"), clean, report(finding(), path="c d.vhdx"))
    artifacts = run["artifacts"]
    assert [one["location"]["uri"] for one in artifacts] == ["a.vhdx", "b.vhdx", "c%20d.vhdx"]
    assert [one["properties"]["verdict"] for one in artifacts] == ["warnings", "clean", "warnings"]
    places = [result["locations"][0]["physicalLocation"] for result in run["results"]]
    assert [place["artifactLocation"]["index"] for place in places] == [0, 2]


def test_an_image_that_is_checked_twice_is_one_artifact() -> None:
    run = run_of(report(finding()), report(finding()))
    assert len(run["artifacts"]) == 1
    assert len(run["results"]) == 2


def test_images_in_memory_have_no_uri_but_stay_apart() -> None:
    run = run_of(report(finding(), path=None), report(finding(), path=None))
    locations = [one["location"] for one in run["artifacts"]]
    assert locations[0] == {"description": {"text": "image 1, in memory"}}
    assert locations[0] != locations[1]


def test_what_was_skipped_and_left_out_is_told_about_the_run() -> None:
    skipped = (Skipped("metadata, BAT", "the metadata region cannot be found"),)
    source = Report("disk.vhdx", "corrupt", (finding("BAT-10"),), skipped, {"BAT-10": 7}, ("Why.",))
    run = run_of(source)
    first, second = run["invocations"][0]["toolExecutionNotifications"]
    expected = "not checked: metadata, BAT: the metadata region cannot be found"
    assert first["message"]["text"] == expected
    assert second["message"]["text"] == "further findings of BAT-10, left out: 7"
    assert second["associatedRule"] == {"id": "BAT-10", "index": 0}
    assert run["artifacts"][0]["properties"]["diagnosis"] == ["Why."]


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("disk.vhdx", "disk.vhdx"),
        ("./images/disk.vhdx", "images/disk.vhdx"),
        ("../disk 1.vhdx", "../disk%201.vhdx"),
        ("a:b.vhdx", "a%3Ab.vhdx"),
        ("100%#?.vhdx", "100%25%23%3F.vhdx"),
        ("größe.vhdx", "gr%C3%B6%C3%9Fe.vhdx"),
        ("{0}](x).vhdx", "%7B0%7D%5D%28x%29.vhdx"),
    ],
)
def test_a_relative_path_is_a_relative_uri(path: str, uri: str) -> None:
    assert artifact_uri(path) == uri


def test_an_absolute_path_is_a_file_uri(tmp_path: Path) -> None:
    uri = artifact_uri(str(tmp_path / "a b.vhdx"))
    assert uri.startswith("file:///")
    assert uri.endswith("/a%20b.vhdx")


@pytest.mark.skipif(os.name == "nt", reason="names of files are Unicode there")
def test_a_path_that_is_no_text_is_its_bytes() -> None:
    path = os.fsdecode(b"\xff\xfe.vhdx")
    assert artifact_uri(path) == "%FF%FE.vhdx"
    assert artifact_uri(f"/x/{path}") == "file:///x/%FF%FE.vhdx"
    run = run_of(report(finding(place=Span(f"parent {path}")), path=path))
    assert messages(run) == ["parent \\udcff\\udcfe.vhdx: message"]


# -- regions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "length", "region"),
    [
        (None, None, None),
        (0, 8, {"byteOffset": 0, "byteLength": 8}),
        (5, None, {"byteOffset": 5}),
        (5, 0, {"byteOffset": 5, "byteLength": 0}),
        (2**53 - 1, 2**53, {"byteOffset": 2**53 - 1}),
        (2**53, 1, None),
        (-1, 1, None),
    ],
)
def test_a_region_is_there_when_its_numbers_are(
    offset: int | None, length: int | None, region: dict[str, int] | None
) -> None:
    place = Span("somewhere", offset, length)
    (result,) = run_of(report(finding(place=place)))["results"]
    assert result["locations"][0]["physicalLocation"].get("region") == region


# -- text from images ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a {0} {guid}", "a {{0}} {{guid}}"),
        ("[click](0) [x](http://example.org)", "[click] (0) [x] (http://example.org)"),
        ("\x1b[31m\x00\n", "\\x1b[31m\\x00\\x0a"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\ud800 \udfff \U000e0001", "\\ud800 \\udfff \\U000e0001"),
        (r"C:\größe", r"C:\größe"),
    ],
)
def test_text_of_an_image_does_nothing_to_a_viewer(text: str, shown: str) -> None:
    assert messages(run_of(report(finding(message=text)))) == [f"header 1 at 0x10000: {shown}"]


@given(st.text(st.characters()), st.text(st.characters()), st.text(st.characters(), min_size=1))
def test_whatever_the_text_the_document_is_valid(message: str, where: str, path: str) -> None:
    found = Finding("LOC-18", "note", Span(where, 1, 2), message, where, message)
    path = path.replace("\0", "") or "x"
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        path = "x"
    (result,) = run_of(report(found, path=path))["results"]
    text = result["message"]["text"]
    assert text.isprintable()
    assert "](" not in text
    assert not re.search(r"(?<!\{)(\{\{)*\{(?!\{)", text)


# -- fingerprints --------------------------------------------------------------------------------


def fingerprints(run: Any) -> list[str]:
    return [result["partialFingerprints"]["findingHash/v1"] for result in run["results"]]


def test_a_fingerprint_is_the_same_in_every_run_and_for_every_path() -> None:
    one = fingerprints(run_of(checked("bat-state-4")))
    built = damaged("bat-state-4")
    again = check(SparseSource(built.file))._replace(path="/elsewhere/disk.vhdx")
    assert fingerprints(run_of(again)) == one
    assert fingerprints(run_of(report(finding()))) == [
        hashlib.sha256(b"HDR-03\x0065540\x00message").hexdigest()
    ]


@pytest.mark.parametrize("name", DAMAGES)
def test_no_two_findings_of_an_image_have_one_fingerprint(name: str) -> None:
    found = fingerprints(sarif_document([checked(name)])["runs"][0])
    assert len(set(found)) == len(found)


# -- the command ---------------------------------------------------------------------------------


def test_the_command_writes_the_document(run: Run, files: Files, tmp_path: Path) -> None:
    image, out = files.damaged("header-1-checksum-wrong"), tmp_path / "out.sarif"
    assert run("check", image, "--sarif", out).status == 3
    document = json.loads(out.read_bytes())
    assert not list(validator().iter_errors(document))
    (result,) = document["runs"][0]["results"]
    location = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert location["uri"] == image.as_uri()
