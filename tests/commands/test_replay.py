"""`vhdx-kaitai replay`: says what it changes, and changes that."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from tests.commands.launching import assert_failed, assert_one_line, document_of, launch
from tests.conftest import Run
from tests.images.structures import MIB
from tests.support import damaged, good
from vhdx_kaitai.storage import locks
from vhdx_kaitai.storage.target import FileTarget


@pytest.fixture
def dirty(tmp_path: Path) -> Path:
    """An image with a dirty log."""
    return good("log-of-windows").write(tmp_path / "disk.vhdx")


def changes_of(lines: list[str]) -> list[str]:
    return lines[next(i for i, line in enumerate(lines) if line.startswith("replay changes ")) :]


def test_it_says_what_log_says_and_that_it_is_done(dirty: Path, run: Run) -> None:
    told = run("log", dirty).out.splitlines()
    outcome = run("replay", dirty)
    assert (outcome.status, outcome.err) == (0, "")
    first, *rest = outcome.out.splitlines()
    assert first == f"{dirty}: the log was replayed, and is clean"
    assert rest == changes_of(told)
    assert run("log", dirty).out.startswith(f"{dirty}: clean log")


def test_a_dry_run_says_the_same_and_changes_nothing(dirty: Path, run: Run) -> None:
    before = dirty.read_bytes()
    outcome = run("replay", dirty, "--dry-run")
    assert (outcome.status, outcome.err) == (0, "")
    first, *rest = outcome.out.splitlines()
    assert first == f"{dirty}: the log is dirty, and nothing was changed (--dry-run)"
    assert rest == run("replay", dirty).out.splitlines()[1:]
    assert before != dirty.read_bytes()


def test_a_clean_image_is_left_alone(dirty: Path, run: Run) -> None:
    run("replay", dirty)
    before = dirty.read_bytes()
    for words in ([], ["--dry-run"]):
        outcome = run("replay", dirty, *words)
        assert (outcome.status, outcome.err) == (0, "")
        assert outcome.out == f"{dirty}: the log is clean, and nothing was changed\n"
    assert dirty.read_bytes() == before


def test_documents_say_so(dirty: Path, run: Run) -> None:
    told = document_of(run("log", dirty, "--json"), "log")["replay"]
    planned = document_of(run("replay", dirty, "--dry-run", "--json"), "replay")
    assert (planned["dry_run"], planned["changed"], planned["locked"]) == (True, False, False)
    done = document_of(run("replay", dirty, "--json"), "replay")
    assert (done["dry_run"], done["changed"], done["locked"]) == (False, True, True)
    assert planned["replay"] == done["replay"] == told != None  # noqa: E711 - in a chain
    again = document_of(run("replay", dirty, "--json"), "replay")
    assert (again["changed"], again["replay"]) == (False, None)
    assert again["path"] == str(dirty)


def test_an_image_that_is_refused_is_left_alone(tmp_path: Path, run: Run) -> None:
    path = damaged("log-file-truncated").write(tmp_path / "disk.vhdx")
    before = path.read_bytes()
    outcome = run("replay", path)
    assert_failed(outcome, 2, f"{path}: ", "[LOG-32, MS-VHDX 2.3.3]")
    assert path.read_bytes() == before
    assert document_of(run("replay", path, "--json"), "error")["error"]["rule"] == "LOG-32"


def test_an_image_in_use_is_left_alone(dirty: Path, run: Run) -> None:
    with closing(FileTarget(str(dirty))):
        outcome = run("replay", dirty)
        assert_failed(outcome, 1, f"{dirty}: in use")
        assert document_of(run("replay", dirty, "--json"), "error")["error"]["type"] == "InUseError"
        assert run("replay", dirty, "--dry-run").status == 0


def test_it_is_said_when_the_file_could_not_be_locked(
    dirty: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "fcntl", None)
    outcome = run("replay", dirty)
    assert outcome.status == 0
    assert_one_line(outcome.err)
    assert "no other program was kept away" in outcome.err
    assert run("replay", dirty, "--quiet").err == ""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
@pytest.mark.parametrize("name", ["none", "folder", "pipe"])
def test_what_is_no_file_is_told_in_one_line(name: str, tmp_path: Path, run: Run) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert_failed(run("replay", tmp_path / name), 1, f"{tmp_path / name}: ")


def test_a_file_that_grows_is_said_to(tmp_path: Path, run: Run) -> None:
    path = good("log-extends-the-file").write(tmp_path / "disk.vhdx")
    before = path.stat().st_size
    document = document_of(run("replay", path, "--json"), "replay")
    assert document["replay"]["file_size"] == path.stat().st_size > before
    assert path.stat().st_size % MIB == 0


def test_a_file_that_may_not_grow_is_dirty_still_and_can_be_replayed_later(
    tmp_path: Path, run: Run
) -> None:
    """The limit is the system's own; the headers are written by then."""
    resource = pytest.importorskip("resource")
    path = good("log-extends-the-file").write(tmp_path / "disk.vhdx")
    size = path.stat().st_size

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    ended = launch("replay", path, preexec_fn=limit)
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert_one_line(ended.stderr.decode())
    assert f"{path}: File too large" in ended.stderr.decode()
    assert path.stat().st_size == size
    assert run("log", path).out.startswith(f"{path}: dirty log")
    assert run("replay", path).status == 0
    assert run("check", path).status == 0
