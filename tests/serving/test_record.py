"""The record of one image: the same fields whatever it is, with a bound, and never an error."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from tests.checking.reports import VERDICTS
from tests.commands.test_check import everything_at_once, many_bad_blocks
from tests.conftest import Files
from tests.images.chain import chain, child_of, write_guid
from tests.images.damage import DAMAGES
from tests.support import assert_valid, good
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.serving import record as room
from vhdx_kaitai.serving.record import failed, is_current, report_of, scan_one
from vhdx_kaitai.showing.findings import check_document
from vhdx_kaitai.showing.info import info_document


def scanned(path: Path, **options: Any) -> dict[str, Any]:
    """Return a record, which is what its schema says, after a journey to another machine."""
    record = pickle.loads(pickle.dumps(scan_one(path, **options)))
    assert_valid(record, "scan")
    assert record["path"] == str(path)
    return dict(record)


def test_a_record_says_what_its_maker_knows(files: Files) -> None:
    model = good("dynamic-plain").model
    path = files.good("dynamic-plain")
    record = scanned(path)
    status = path.stat()
    assert record["seconds"] > 0
    assert {name: record[name] for name in list(record)[3:] if name != "seconds"} == {
        "file_size": status.st_size,
        "modified": str(status.st_mtime_ns),
        "etag": None,
        "error_type": None,
        "error_message": None,
        "verdict": "clean",
        "is_incomplete": False,
        "ignored": [],
        "creator": good("dynamic-plain").image.creator,
        "disk_type": "dynamic",
        "virtual_disk_size": model.virtual_disk_size,
        "virtual_disk_id": str(good("dynamic-plain").image.virtual_disk_id),
        "block_size": model.block_size,
        "logical_sector_size": 512,
        "physical_sector_size": 4096,
        "log_state": "clean",
        "file_write_guid": str(model.current_header.file_write_guid),
        "data_write_guid": str(model.current_header.data_write_guid),
        "parent_linkage": None,
        "parent_linkage2": None,
        "relative_path": None,
        "volume_path": None,
        "absolute_win32_path": None,
        "findings": [],
        "more": {},
        "skipped": [],
        "diagnosis": [],
    }


def test_a_child_says_who_its_parent_is(tmp_path: Path) -> None:
    made = chain(2).write(tmp_path)
    record = scanned(made.path)
    assert record["disk_type"] == "differencing"
    assert record["parent_linkage"] == str(write_guid(0))
    assert record["parent_linkage2"] == "00000000-0000-0000-0000-000000000000"
    assert "base.vhdx" in record["relative_path"]


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_is_a_record_with_the_verdict_that_its_maker_declares(
    name: str, files: Files
) -> None:
    record = scanned(files.damaged(name))
    assert record["error_type"] is None
    assert record["verdict"] == VERDICTS[DAMAGES[name].level]
    assert {finding["rule"] for finding in record["findings"]} & {*DAMAGES[name].visible}


@pytest.mark.parametrize("name", ["dirty-everything", "header-2-missing", "log-of-windows"])
def test_it_says_what_check_and_info_say(name: str, files: Files) -> None:
    path = str(files.good(name))
    record = scanned(Path(path))
    document = check_document(check(path), path)
    assert {**document, "findings": None} == {
        **{field: record[field] for field in document},
        "findings": None,
    }
    assert sorted(map(str, document["findings"])) == sorted(map(str, record["findings"]))
    with Image(path) as image:
        info = info_document(image, path)
    for field in record.keys() & info.keys():
        assert record[field] == info[field]
    assert record["log_state"] == info["log"]["state"]


def test_an_ignored_rule_does_not_count_and_is_told(files: Files) -> None:
    record = scanned(files.good("header-2-missing"), ignore=("HDR-02", "HDR-03", "HDR-01"))
    assert record["ignored"] == ["HDR-01", "HDR-02", "HDR-03"]
    assert not {*record["ignored"]} & {finding["rule"] for finding in record["findings"]}


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("missing.vhdx", "FileNotFoundError"),
        ("folder.vhdx", "IsADirectoryError"),
        ("pipe.vhdx", "OSError"),
        ("loop.vhdx", "OSError"),
        ("zero\0.vhdx", "ValueError"),
    ],
)
def test_what_cannot_be_read_has_a_record(name: str, error: str, tmp_path: Path) -> None:
    (tmp_path / "folder.vhdx").mkdir()
    os.mkfifo(tmp_path / "pipe.vhdx")
    (tmp_path / "loop.vhdx").symlink_to(tmp_path / "loop.vhdx")
    record = scanned(tmp_path / name)
    assert (record["verdict"], record["error_type"]) == (None, error)
    assert record["error_message"]
    assert "Errno" not in record["error_message"]


def test_a_mistake_of_our_own_has_a_record_too(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "check_image", lambda *_: 1 // 0)
    record = scanned(files.good("dynamic-plain"))
    assert (record["verdict"], record["error_type"]) == (None, "ZeroDivisionError")
    assert record["file_size"] == files.good("dynamic-plain").stat().st_size


def test_an_image_has_its_time_and_no_more(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        while True:
            try:
                while True:
                    pass
            except Exception:
                continue

    monkeypatch.setattr(room, "check_image", never)
    record = scanned(files.good("dynamic-plain"), time_limit=0.05)
    assert (record["error_type"], record["error_message"]) == (
        "TimeoutError",
        "not done within 0.05 s",
    )
    monkeypatch.undo()
    assert scanned(files.good("dynamic-plain"), time_limit=60)["verdict"] == "clean"


def test_findings_are_bounded_and_the_worst_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = everything_at_once().build().write(tmp_path / "image.vhdx")
    whole = scanned(path)
    levels = [finding["level"] for finding in whole["findings"]]
    assert levels == sorted(levels, key=["error", "warning", "note"].index)
    monkeypatch.setattr(room, "MOST_FINDINGS", 3)
    record = scanned(path)
    assert record["findings"] == whole["findings"][:3]
    total = len(whole["findings"]) + sum(whole["more"].values())
    assert len(record["findings"]) + sum(record["more"].values()) == total


def test_what_a_check_leaves_out_is_counted(tmp_path: Path) -> None:
    record = scanned(many_bad_blocks().build().write(tmp_path / "image.vhdx"))
    assert record["more"] == {"BAT-03": 80}


def test_texts_of_an_image_are_bounded(tmp_path: Path) -> None:
    image = child_of(good("dynamic-plain"))
    locator = image.resolved_locator()
    assert locator is not None
    locator.set("relative_path", "x" * 30000)
    record = scanned(image.but(locator=locator).build().write(tmp_path / "child.vhdx"))
    assert record["relative_path"] == "x" * 1024 + "..."
    assert len(json.dumps(record)) < 20000


def test_a_record_is_good_as_long_as_the_file_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = good("dynamic-plain").write(tmp_path / "image.vhdx")
    record = scanned(path)
    assert is_current(record, str(path))
    assert not is_current(record, str(path), ["HDR-03"])
    assert not is_current({**record, "tool": {"name": "vhdx-kaitai", "version": "0"}}, str(path))
    assert not is_current({**record, "schema_version": 2}, str(path))
    assert not is_current(record, str(tmp_path / "other"))
    assert not is_current(record, "zero\0")
    with monkeypatch.context() as patch:  # as an object in a store would have one
        patch.setattr(room, "state_of", lambda _path: {**_state(record), "etag": "2"})
        assert not is_current(record, str(path))
        assert is_current({**record, "etag": "2"}, str(path))
    os.utime(path, ns=(0, int(record["modified"]) + 1))
    assert not is_current(record, str(path))


def _state(record: dict[str, Any]) -> dict[str, Any]:
    return {name: record[name] for name in ("file_size", "modified", "etag")}


def test_what_failed_is_tried_again(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.vhdx"
    os.mkfifo(pipe)
    assert not is_current(scanned(pipe), str(pipe))


@pytest.mark.parametrize("name", ["version-2", "bat-state-4", "log-checksum-wrong"])
def test_the_report_can_be_had_back(name: str, files: Files) -> None:
    path = str(files.damaged(name))
    record = json.loads(json.dumps(scan_one(path)))
    report, expected = report_of(record), check(path)
    assert report.verdict == expected.verdict
    assert {str(finding) for finding in report.findings} == set(map(str, expected.findings))
    assert (report.skipped, report.diagnosis) == (expected.skipped, expected.diagnosis)


def test_the_report_on_a_failure_says_so() -> None:
    report = report_of(failed("a.vhdx", PermissionError(13, "Permission denied")))
    assert report.verdict == "unusable"
    assert report.skipped[-1].why == "PermissionError: Permission denied"
