"""`vhdx-kaitai repair`: says what it would repair, repairs that, and takes it back."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.commands.launching import assert_failed, document_of
from tests.conftest import Run
from tests.support import damaged
from vhdx_kaitai.writing.undo import Undo


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return damaged("region-table-1-missing").write(tmp_path / "disk.vhdx")


def test_a_plan_changes_nothing_and_has_the_status_of_a_check(path: Path, run: Run) -> None:
    before = path.read_bytes()
    outcome = run("repair", path)
    assert (outcome.status, outcome.err) == (3, "")
    assert outcome.out.splitlines() == [
        f"{path}: nothing was changed; with --write this would be",
        "  region table 1 becomes a copy of region table 2 [REG-02]",
        "    lost: nothing",
        "Check now: warnings; after that: clean",
    ]
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_it_repairs_and_takes_it_back(path: Path, run: Run) -> None:
    before, dump = path.read_bytes(), path.with_name("before")
    outcome = run("repair", path, "--write", "--undo", dump)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.splitlines()[0] == f"{path}: repaired; {dump} holds what it was"
    assert outcome.out.splitlines()[-1] == "Check: clean"
    assert run("check", path).status == 0
    assert run("repair", path).out == f"{path}: nothing to repair\nCheck: clean\n"
    assert run("repair", path, "--restore", dump).status == 0
    assert path.read_bytes() == before


def test_documents_say_the_same(path: Path, run: Run) -> None:
    told = document_of(run("repair", path, "--json"), "repair")
    done = document_of(run("repair", path, "--json", "--write"), "repair")
    assert told["items"] == done["items"]
    assert (told["changed"], told["verdict"], told["undo"]) == (False, "warnings", None)
    assert (done["changed"], done["verdict"], done["undo"]) == (True, "clean", f"{path}.undo")


def test_rules_are_picked(path: Path, run: Run) -> None:
    outcome = run("repair", path, "--only", "gen-08,HDR-02", "--write")
    assert outcome.status == 3
    assert "no repair can be made" in outcome.out
    assert "  REG-02: it was not asked for" in outcome.out
    assert run("repair", path, "--only", "REG-99").status == 64
    assert run("repair", path, "--restore", path, "--write").status == 64


def test_what_is_lost_is_listed(tmp_path: Path, run: Run) -> None:
    lost = damaged("bat-block-past-the-end").write(tmp_path / "lost.vhdx")
    plan = run("repair", lost)
    assert plan.status == 2
    assert "--forget-lost" in plan.out
    outcome = run("repair", lost, "--forget-lost", "--write")
    assert outcome.status == 0
    assert "      0x0 to 0x100000 of the disk" in outcome.out.splitlines()


def test_what_is_in_doubt_is_listed(tmp_path: Path, run: Run) -> None:
    shared = damaged("bat-two-blocks-in-one-place").write(tmp_path / "shared.vhdx")
    plan = run("repair", shared)
    assert plan.status == 2
    assert "--split" in plan.out
    (item,) = document_of(run("repair", shared, "--split", "--json"), "repair")["items"]
    place = item["doubtful"][0]["file_offset"]
    outcome = run("repair", shared, "--split", "--write")
    assert outcome.status == 0
    for start, end in ((0, 1 << 20), (1 << 20, 2 << 20)):
        line = f"      {start:#x} to {end:#x} of the disk: in doubt, found at {place:#x}"
        assert line in outcome.out.splitlines()


def test_others_that_rely_on_the_image_are_told_of(tmp_path: Path, run: Run) -> None:
    lost = damaged("bat-block-past-the-end").write(tmp_path / "lost.vhdx")
    (tmp_path / "lost.vhdx.rct").touch()
    refused = run("repair", lost, "--forget-lost", "--write")
    assert refused.status == 2
    assert "lost.vhdx.rct records changes for backups" in refused.out
    assert run("repair", lost, "--forget-lost", "--write", "--force").status == 0


def test_a_file_that_was_written_to_since_is_restored_by_force(path: Path, run: Run) -> None:
    before = path.read_bytes()
    run("repair", path, "--write")
    assert run("set", path, "--physical-sector-size", "512").status == 0
    refused = run("repair", path, "--restore", f"{path}.undo")
    assert_failed(refused, 1, "this one was written to since; --force")
    assert run("repair", path, "--restore", f"{path}.undo", "--force").status == 0
    assert path.read_bytes()[: 1 << 20] == before[: 1 << 20]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent to one's own process")
def test_a_request_to_end_is_heard_between_repairs(
    path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()

    def save(_undo: Undo, _dump: str) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Undo, "save", save)
    outcome = run("repair", path, "--write")
    assert_failed(outcome, 128 + signal.SIGTERM, "stopped; each repair is done or not")
    assert path.read_bytes() != before
    assert run("check", path).status == 0


def test_what_is_no_dump_is_refused(path: Path, run: Run) -> None:
    before = path.read_bytes()
    assert_failed(run("repair", path, "--restore", path), 1, f"{path}: this is no undo dump")
    other = path.with_name("other")
    other.write_bytes(b"x" * 100)
    assert_failed(run("repair", path, "--restore", other), 1, f"{other}: this is no undo dump")
    other.unlink()
    assert run("repair", path, "--write", "--undo", "-").status == 64
    assert path.read_bytes() == before
