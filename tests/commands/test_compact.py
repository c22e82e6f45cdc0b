"""`vhdx-kaitai compact`: says what is won, and makes the file smaller."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

import vhdx_kaitai
from tests.commands.launching import assert_failed, document_of
from tests.conftest import Run
from tests.images.image import Block, dynamic, fixed
from tests.images.partitioned import mbr
from tests.images.structures import MIB
from tests.reading.extfs_fixtures import make_ext
from vhdx_kaitai.writing import compact as room


@pytest.fixture
def path(tmp_path: Path) -> Path:
    blocks = {0: Block(data=b""), 1: Block(), 2: Block()}
    return dynamic(3 * MIB, blocks=blocks).build().write(tmp_path / "a.vhdx")


def test_it_says_what_it_has_won(path: Path, run: Run) -> None:
    outcome = run("compact", path)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [
        f"{path}: changed",
        "  blocks of zeros: 1 block of 1048576 bytes -> ZERO",
        "  last blocks: 1 block of 1048576 bytes -> in holes of the file",
        "  length of the file: 7340032 bytes -> 6291456 bytes",
    ]
    assert path.stat().st_size == 6 * MIB
    again = run("compact", path)
    assert (again.status, again.err) == (0, "")
    assert again.out == f"{path}: it is so already, and nothing was changed\n"


def test_a_dry_run_changes_nothing_and_documents_say_so(path: Path, run: Run) -> None:
    before = path.read_bytes()
    told = document_of(run("compact", path, "--dry-run", "--json"), "changed")
    assert path.read_bytes() == before
    done = document_of(run("compact", path, "--json"), "changed")
    assert told["changes"] == done["changes"]
    assert (told["dry_run"], told["changed"], told["verdict"]) == (True, False, None)
    assert (done["dry_run"], done["changed"], done["verdict"]) == (False, True, "clean")


def test_holes_are_made_on_request(path: Path, run: Run) -> None:
    path.write_bytes(dynamic(MIB, blocks={0: Block(data=b"data")}).build().to_bytes())
    outcome = run("compact", path, "--punch", "--no-lock")
    assert (outcome.status, outcome.err) == (0, "")
    assert "pages of zeros in blocks: 1044480 bytes stored -> holes" in outcome.out
    assert path.stat().st_blocks * 512 < 5 * MIB - 4096


def test_of_a_fixed_disk_it_says_why_nothing_is_won(tmp_path: Path, run: Run) -> None:
    path = fixed(2 * MIB, others=Block(data=b"")).build().write(tmp_path / "a.vhdx")
    outcome = run("compact", path)
    assert outcome.status == 0
    assert outcome.err == f"vhdx-kaitai: {path}: a fixed disk keeps all of its blocks\n"
    assert "nothing was changed" in outcome.out
    assert_failed(run("compact", path, "--to", tmp_path / "new.vhdx"), 1, "fixed disk")


def test_what_is_no_image_is_refused(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "a.vhdx"
    path.write_bytes(bytes(4 * MIB))
    assert run("compact", path).status == 63
    assert_failed(run("compact", tmp_path / "b.vhdx"), 1, "No such file")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent to one's own process")
def test_a_request_to_end_is_heard_between_steps(
    path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves = room._Work._moves

    def ask(self: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return moves(self)

    monkeypatch.setattr(room._Work, "_moves", ask)
    monkeypatch.setattr(room, "_MOST_COPIED", MIB)
    with vhdx_kaitai.open(path) as disk:
        held = disk.pread(disk.size, 0)
    outcome = run("compact", path)
    assert_failed(outcome, 128 + signal.SIGTERM, "stopped", "in order")
    with vhdx_kaitai.open(path, replay="refuse") as disk:
        assert disk.pread(disk.size, 0) == held


def test_a_packed_copy_leaves_the_file_as_it_is(path: Path, tmp_path: Path, run: Run) -> None:
    before, new = path.read_bytes(), tmp_path / "new.vhdx"
    told = document_of(run("compact", path, "--to", new, "--dry-run", "--json"), "changed")
    assert not new.exists()
    document = document_of(run("compact", path, "--to", new, "--json"), "changed")
    assert (document["path"], document["changed"], document["verdict"]) == (str(new), True, "clean")
    assert document["changes"] == told["changes"]
    assert (path.read_bytes(), new.stat().st_size) == (before, 6 * MIB)
    assert_failed(run("compact", path, "--to", new), 1, "exists")
    assert run("compact", path, "--to", "-").status == 64


@pytest.mark.slow
def test_file_systems_that_are_left_alone_are_told(tmp_path: Path, run: Run) -> None:
    known = make_ext(tmp_path / "a", "-t", "ext4", "-b", "4096", size=20 * MIB).read_bytes()
    head = mbr((0x83, 2048, 2048), (0x83, 4096, 40960)).ljust(MIB, b"\0")
    (tmp_path / "raw").write_bytes(head + b"XFSB".ljust(MIB, b"\0") + known)
    path = tmp_path / "a.vhdx"
    vhdx_kaitai.convert(tmp_path / "raw", path, raw=True, block_size=MIB, durable=False)
    outcome = run("compact", path, "--free-space")
    assert outcome.status == 0
    assert f"{path}: what XFS at {MIB} has free is not known here, and stays" in outcome.err
    assert run("compact", path, "--free-space", "-q").err == ""


def test_free_space_needs_a_file_system_that_is_known(path: Path, run: Run) -> None:
    before = path.read_bytes()
    assert_failed(run("compact", path, "--free-space"), 1, "no file system is known")
    assert path.read_bytes() == before
