"""`--quiet`: no progress, notes and hints; results, warnings and errors stay."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.conftest import Files, Outcome, Run
from tests.images.image import Block, dynamic
from tests.images.structures import MIB


def both(run: Run, *words: object) -> tuple[Outcome, Outcome]:
    """Run a command as usual, and quietly; where the option stands is the same."""
    quiet = run(*words, "--quiet")
    assert run("-q", *words) == quiet
    return run(*words), quiet


def test_notes_are_not_told(files: Files, tmp_path: Path, run: Run) -> None:
    path, raw = files.good("dynamic-plain"), tmp_path / "raw"
    assert run("convert", path, raw).status == 0
    loud, quiet = both(run, "compare", path, raw)
    assert "taken as a raw image" in loud.err
    assert quiet == (loud.status, loud.out, "")


def test_what_was_assumed_is_told(files: Files, tmp_path: Path, run: Run) -> None:
    """A warning, not a note: most commands have no document that would say it."""
    path = files.good("dirty-payload")
    for words in (("info", path), ("map", path), ("convert", path, tmp_path / "raw", "--force")):
        loud, quiet = both(run, *words, "--as-stored")
        assert f"{path}: assumed log: " in quiet.err
        assert quiet == loud


def test_hints_are_not_told_and_errors_are(files: Files, tmp_path: Path, run: Run) -> None:
    loud, quiet = both(run, "convert", files.damaged("bat-state-4"), tmp_path / "raw")
    head, hint = loud.err.rstrip("\n").split(" (--salvage ")
    assert hint
    assert quiet == (2, "", f"{head}\n")


def test_a_loss_is_told(tmp_path: Path, run: Run) -> None:
    """A warning, not a note; that nothing is lost is one."""
    path = dynamic(blocks={0: Block(), 1: Block()}).build().write(tmp_path / "disk.vhdx")
    words = ("convert", path, tmp_path / "raw", "--salvage", "--force")
    loud, quiet = both(run, *words)
    assert loud.status == 0
    assert loud.err
    assert quiet == (0, "", "")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - MIB)
    loud, quiet = both(run, *words)
    assert loud.status == 3
    assert quiet == loud
    assert quiet.err


def test_no_progress_is_shown(
    files: Files, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = files.good("dynamic-plain"), tmp_path / "out"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert run("convert", path, out, "--quiet") == (0, "", "")
