"""`vhdx-kaitai rebase`: says what it changes of a child, and changes that."""

from __future__ import annotations

from pathlib import Path

import pytest

import vhdx_kaitai
from tests.commands.launching import assert_failed, document_of
from tests.conftest import Run
from tests.images.chain import Chain, chain


@pytest.fixture
def made(tmp_path: Path) -> Chain:
    return chain(3).write(tmp_path)


def read(path: Path) -> bytes:
    with vhdx_kaitai.open(path) as disk:
        return bytes(disk.pread(disk.size, 0))


def test_a_parent_under_another_name(made: Chain, run: Run) -> None:
    held = read(made.path)
    moved = made.paths[1].rename(made.path.parent / "moved.avhdx")
    outcome = run("rebase", made.path, moved)
    assert (outcome.status, outcome.err) == (0, "")
    first, *rest = outcome.out.splitlines()
    assert first == f"{made.path}: changed"
    assert any(line.endswith("-> .\\moved.avhdx") for line in rest)
    assert read(made.path) == held
    again = run("rebase", made.path, moved)
    assert again.out == f"{made.path}: it is so already, and nothing was changed\n"


def test_another_parent_is_refused_copied_or_taken(made: Chain, run: Run) -> None:
    held = read(made.path)
    outcome = run("rebase", made.path, made.paths[0])
    assert_failed(outcome, 1, f"{made.path}: the child was made for a parent", "--copy")
    words = ("rebase", made.path, made.paths[0], "--copy", "--json")
    told = document_of(run(*words, "--dry-run"), "changed")
    assert (told["dry_run"], told["changed"]) == (True, False)
    done = document_of(run(*words), "changed")
    assert (done["changes"], done["changed"], done["verdict"]) == (told["changes"], True, "clean")
    assert read(made.path) == held
    assert run("rebase", made.path, made.paths[1], "--ignore-mismatch").status == 0
    assert run("rebase", made.path, made.paths[1], "--ignore-mismatch", "--copy").status == 64


def test_what_cannot_be_is_said(made: Chain, run: Run) -> None:
    assert_failed(run("rebase", made.paths[0], made.path), 1, "the image has no parent")
    outcome = run("rebase", made.paths[1], made.path, "--ignore-mismatch", "--force")
    assert_failed(outcome, 2, "CHAIN-06")
    assert_failed(run("rebase", made.path, made.path.parent / "none"), 1, "none: ")
