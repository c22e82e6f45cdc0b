"""A summary counts what the maker of a fleet knows."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import vhdx_kaitai
from tests.serving.fleets import DAMAGED, Fleet, make_fleet
from tests.support import assert_valid
from vhdx_kaitai.serving.record import failed, scan_one
from vhdx_kaitai.serving.summary import Summary, summarize
from vhdx_kaitai.showing.fleet import record_text, summary_text

FINDING = {"where": "header 1", "message": "wrong", "rule": "HDR-03"}


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return make_fleet(tmp_path, 32)


def test_it_counts_verdicts_errors_and_children(fleet: Fleet) -> None:
    document = vhdx_kaitai.summarize(map(scan_one, fleet))
    assert_valid(document, "scan-summary")
    assert document["images"] == 32
    counts = Counter(expected.verdict or "failed" for expected in fleet.values())
    assert document["verdicts"] == dict(counts)
    assert document["errors"] == {"OSError": 2, "FileNotFoundError": 2}
    assert (document["children"], document["whole"]) == (4, 4)
    assert document["chain_findings"] == []
    assert document["rules"]["FTI-01"] == 2
    sizes = (path.stat().st_size for path in map(Path, fleet) if path.is_file())
    assert document["file_size"] == sum(sizes)


def test_it_is_made_of_records_that_were_written_down(fleet: Fleet) -> None:
    records = list(map(scan_one, fleet))
    again = [json.loads(json.dumps(record)) for record in records]
    assert summarize(again) == summarize(records)


def test_what_is_wrong_between_images_is_in_it(fleet: Fleet) -> None:
    records = [scan_one(path) for path in fleet if not path.endswith("base.vhdx")]
    document = summarize(records)
    assert_valid(document, "scan-summary")
    rules = {
        (finding["rule"], Path(finding["path"]).name) for finding in document["chain_findings"]
    }
    assert rules == {("CHAIN-10", "child1.vhdx")}
    assert (document["children"], document["whole"]) == (4, 0)


def test_chains_are_left_out_where_nobody_wants_them(fleet: Fleet) -> None:
    summary = Summary()
    for path in fleet:
        summary.add(scan_one(path))
    assert summary.document()["children"] == 0
    assert str(summary) == f"32 images, {32 - 16} of them not clean"


def test_of_no_image_it_is_empty() -> None:
    document = summarize([])
    assert_valid(document, "scan-summary")
    assert list(summary_text(document)) == [
        "0 images: none",
        "  files of 0 bytes, disks of 0 bytes",
    ]


def test_the_text_says_it_in_lines_that_a_terminal_can_have(tmp_path: Path) -> None:
    folder = tmp_path / "a\x1b[2J\u202e"
    fleet = make_fleet(folder, 16)
    records = [scan_one(path) for path in fleet if not path.endswith("base.vhdx")]
    lines = list(summary_text(summarize(records)))
    assert lines[0] == (
        "15 images: 7 clean, 1 usable, with warnings, 4 corrupt, 1 not VHDX, 2 failed"
    )
    assert "  failed: OSError 1, FileNotFoundError 1" in lines
    assert "  2 children, 0 with all parents in order" in lines
    assert all(line.isprintable() for line in lines)
    assert lines[-1].endswith("[CHAIN-10]")
    assert len(DAMAGED) == 4


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"verdict": "clean"}, None),
        ({"error_type": "OSError", "error_message": "no"}, "no (OSError)"),
        ({"verdict": "corrupt", "findings": [FINDING]}, "corrupt: header 1: wrong [HDR-03]"),
        ({"verdict": "not-vhdx"}, "not VHDX"),  # the rule does not count
        (
            {"verdict": "clean", "is_incomplete": True, "skipped": [{"what": "a", "why": "b"}]},
            "clean as far as it was checked, not a: b",
        ),
    ],
)
def test_what_is_wrong_with_an_image_is_a_line(fields: dict[str, Any], line: str | None) -> None:
    record = failed("a.vhdx", OSError()) | {"error_type": None, "error_message": None}
    assert record_text(record | fields) == line
