"""`vhdx-kaitai merge`: says what it changes of the target, and changes that."""

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
from tests.images.chain import Chain, chain
from vhdx_kaitai.writing.merge import Work


@pytest.fixture
def made(tmp_path: Path) -> Chain:
    return chain(3).write(tmp_path)


def read(path: Path) -> bytes:
    with vhdx_kaitai.open(path) as disk:
        return bytes(disk.pread(disk.size, 0))


def test_a_child_gets_into_its_parent(made: Chain, run: Run) -> None:
    held = read(made.path)
    outcome = run("merge", made.path)
    assert (outcome.status, outcome.err) == (0, "")
    first, *rest = outcome.out.splitlines()
    assert first == f"{made.paths[1]}: changed"
    assert any("of the child, and 2 MiB of zeros" in line for line in rest)
    assert read(made.path) == read(made.paths[1]) == held


def test_a_dry_run_says_the_same(made: Chain, run: Run) -> None:
    held = [path.read_bytes() for path in made.paths]
    words = ("merge", made.path, "--into", made.paths[0], "--delete", "--json")
    told = document_of(run(*words, "--dry-run"), "changed")
    assert (told["dry_run"], told["changed"], told["verdict"]) == (True, False, None)
    assert told["path"] == str(made.paths[0])
    assert [path.read_bytes() for path in made.paths] == held
    done = document_of(run(*words), "changed")
    assert (done["changes"], done["changed"], done["verdict"]) == (told["changes"], True, "clean")
    assert [path.exists() for path in made.paths] == [True, False, False]


def test_what_cannot_be_is_said(made: Chain, run: Run) -> None:
    assert_failed(run("merge", made.paths[0]), 1, f"{made.paths[0]}: the image has no parent")
    outcome = run("merge", made.path, "--into", made.path)
    assert_failed(outcome, 1, "is no parent of it, nor of its parents")
    assert_failed(run("merge", made.path, "--into", made.path.with_name("none")), 1, "none: ")
    outcome = run("merge", made.paths[1])
    assert outcome.status == 0  # the child that stays keeps its own child
    outcome = run("merge", made.paths[1], "--delete")
    assert_failed(outcome, 1, "1 child of it (child2.vhdx)", "--force")


def test_a_parent_elsewhere_is_noted(tmp_path: Path, run: Run) -> None:
    made = chain(3, names=["base.vhdx", "a/child1.vhdx", "a/child2.vhdx"]).write(tmp_path)
    for child, parent in ((1, 0), (2, 1)):
        vhdx_kaitai.rebase(made.paths[child], made.paths[parent], follow_absolute=True)
    outcome = run("merge", made.path, "--into", made.paths[0], "--follow-absolute")
    assert outcome.status == 0
    assert f"{made.path}: its parent is not in its folder now" in outcome.err


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent to one's own process")
def test_a_request_to_end_is_heard_between_two_steps(
    made: Chain, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = read(made.path)
    copy = Work.copy

    def asked(*arguments: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        copy(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Work, "copy", asked)
        outcome = run("merge", made.path, "--delete")
    assert_failed(outcome, 128 + signal.SIGTERM, "stopped: it reads as before")
    assert read(made.path) == held
    assert run("merge", made.path, "--delete").status == 0
    assert read(made.paths[1]) == held
