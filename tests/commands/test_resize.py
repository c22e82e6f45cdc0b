"""`vhdx-kaitai resize`: says what it changes, and changes that."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.commands.launching import assert_failed, document_of
from tests.conftest import Run
from tests.images.chain import chain
from tests.images.image import Block, dynamic
from tests.images.partitioned import LINUX, mbr
from tests.images.structures import GIB, MIB
from vhdx_kaitai.writing import tables


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return dynamic(8 * MIB, blocks={0: Block()}).build().write(tmp_path / "disk.vhdx")


def size_of(path: Path) -> int:
    with vhdx_kaitai.open(path, resolve_parents=False) as disk:
        return disk.size


def test_it_says_what_it_has_changed(path: Path, run: Run) -> None:
    outcome = run("resize", path, "20M")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [
        f"{path}: changed",
        "  size of the disk: 8 MiB (8388608 bytes) -> 20 MiB (20971520 bytes)",
        "  blocks: 8 -> 20",
    ]
    assert size_of(path) == 20 * MIB
    again = run("resize", path, "20MiB")
    assert again.out == f"{path}: it is so already, and nothing was changed\n"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *(
            ("+1G", GIB + 8 * MIB),
            ("+0x200", 8 * MIB + 512),
            ("-1M", 7 * MIB),
            ("-512", 8 * MIB - 512),
        ),
        *(("-2MiB", 6 * MIB), ("+0", 8 * MIB), ("-0x100000", 7 * MIB), ("9437184", 9 * MIB)),
    ],
)
def test_sizes_may_be_more_or_less_than_there_is(
    path: Path, run: Run, text: str, size: int
) -> None:
    assert run("resize", path, text).status == 0
    assert size_of(path) == size


def test_options_may_stand_anywhere(path: Path, run: Run) -> None:
    assert run("resize", "--force", path, "-7M", "--json").status == 0
    assert run("resize", path, "--no-lock", "+1M").status == 0
    assert size_of(path) == 2 * MIB


@pytest.mark.parametrize(
    "words", [(), ("5X",), ("--5M",), ("5M", "--minimum"), ("5M", "6M"), ("-",), ("-x",), ("+",)]
)
def test_what_is_mistyped_is_refused(path: Path, run: Run, words: tuple[str, ...]) -> None:
    before = path.read_bytes()
    assert run("resize", path, *words).status == 64
    assert path.read_bytes() == before


def test_a_disk_cannot_lose_more_than_it_has(path: Path, run: Run) -> None:
    assert_failed(run("resize", path, "-8M"), 1, "8388608 bytes, and cannot lose 8388608")
    assert run("check", path).status == 0


@pytest.mark.parametrize(
    ("size", "rule"), [("5000001", "ITEM-11"), ("0", "ITEM-13"), ("65T", "ITEM-12")]
)
def test_a_size_that_no_disk_has_is_a_mistake_of_the_caller(
    path: Path, run: Run, size: str, rule: str
) -> None:
    outcome = run("resize", path, size)
    assert (outcome.status, outcome.out) == (64, "")
    assert f"[{rule}, " in outcome.err


def test_a_dry_run_changes_nothing_and_documents_say_so(path: Path, run: Run) -> None:
    before = path.read_bytes()
    outcome = run("resize", path, "200G", "--dry-run")
    assert outcome.out.startswith(f"{path}: nothing was changed (--dry-run); this would be\n")
    told = document_of(run("resize", path, "200G", "--dry-run", "--json"), "changed")
    assert path.read_bytes() == before
    done = document_of(run("resize", path, "200G", "--json"), "changed")
    assert told["changes"] == done["changes"]
    assert [change["what"] for change in done["changes"]] == [
        "size of the disk",
        "blocks",
        "block allocation table",
    ]
    assert (told["dry_run"], told["changed"], told["verdict"]) == (True, False, None)
    assert (done["dry_run"], done["changed"], done["verdict"]) == (False, True, "clean")


def test_what_would_be_lost_stays(path: Path, run: Run) -> None:
    with vhdx_kaitai.open(path, writable=True) as disk:
        disk.pwrite(b"x", 7 * MIB)
    assert_failed(run("resize", path, "7M"), 1, "no partition table", "--force")
    assert_failed(run("resize", path, "--minimum"), 1, "give a size")
    with vhdx_kaitai.open(path, writable=True) as disk:
        disk.pwrite(mbr((LINUX, 63, 4096 - 63)), 0)
    assert_failed(run("resize", path, "1M"), 1, "the last partition ends at 2097152", "--force")
    assert run("resize", path, "--minimum").status == 0
    assert size_of(path) == 2 * MIB
    assert run("resize", path, "1M", "--force").status == 0
    assert size_of(path) == MIB


def test_parents_are_looked_for_where_it_is_said(tmp_path: Path, run: Run) -> None:
    made = chain(2).write(tmp_path)
    assert_failed(run("resize", made.paths[0], "+1M"), 1, "1 child of it", "--force")
    (tmp_path / "elsewhere").mkdir()
    made.paths[0].rename(tmp_path / "elsewhere" / "base.bin")
    assert_failed(run("resize", made.path, "+1M"), 1, "parent")
    parent = tmp_path / "elsewhere" / "base.bin"
    size = size_of(made.path)
    assert run("resize", made.path, "+1M", "--parent", parent).status == 0
    assert size_of(made.path) == size + MIB
    outcome = run("resize", parent, "+1M", "--search", tmp_path, "--dry-run", "--force")
    assert "no parent is looked for" in outcome.err


def test_a_request_to_end_is_heard_before_the_switch(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = dynamic(127 * GIB, blocks={0: Block()}).build().write(tmp_path / "disk.vhdx")
    real = tables.copy_of_bat

    def copy(*arguments: object) -> object:
        os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("vhdx_kaitai.writing.resize.copy_of_bat", copy)
    outcome = run("resize", path, "200G")
    assert_failed(outcome, 128 + signal.SIGTERM, "stopped before the size was changed")
    assert size_of(path) == 127 * GIB
    assert vhdx_kaitai.check(path).verdict == "clean"
