"""`vhdx-kaitai read`, and `convert` to standard output."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.commands.launching import assert_failed, launch
from tests.conftest import Files, Run
from tests.images.chain import child_of
from tests.images.image import Block, dynamic, partial
from tests.images.sparse import pattern
from tests.images.structures import (
    KIB,
    MIB,
)
from tests.reading_fixtures import (
    allocated,
    assert_same,
    contents,
)
from tests.support import damaged, files_in, good


@pytest.mark.parametrize("words", [("read", "-o", "-"), ("convert", "-")])
def test_a_disk_is_written_to_standard_output(
    words: tuple[str, ...], files: Files, tmp_path: Path
) -> None:
    path = files.good("dirty-everything")
    command, *options = words
    if command == "convert":
        ended = launch(command, path, *options, cwd=tmp_path)
    else:
        ended = launch(command, *options, path, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, b"")
    with vhdx_kaitai.open(path) as disk:
        assert ended.stdout == disk.pread(disk.size, 0)
    assert list(tmp_path.iterdir()) == []


RANGES = [
    (["--offset", "1M", "--length", "64K"], MIB, 64 * KIB),
    (["--offset", "1m", "--length", "1k"], MIB, KIB),
    (["--offset", "0x100200", "--length", "0x201"], MIB + 512, 513),
    (["--offset", "3M"], 3 * MIB, 512),
    (["--length", "777"], 0, 777),
    (["--offset", "3145728", "--length", "512B"], 3 * MIB, 512),
    (["--offset", "3146240"], 3 * MIB + 512, 0),
    (["--length", "0"], 0, 0),
    (["--offset", "5", "--length", "2M"], 5, 2 * MIB),
]


@pytest.mark.parametrize(("options", "offset", "length"), RANGES, ids=str)
def test_a_range_is_written_to_a_file(
    options: list[str], offset: int, length: int, files: Files, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "out"
    assert run("read", files.good("odd-sectors"), "-o", out, *options) == (0, "", "")
    assert_same(out.read_bytes(), contents(good("odd-sectors").model)[offset : offset + length])


@pytest.mark.parametrize(
    ("options", "offset", "length"), RANGES[:6:2], ids=lambda value: str(value)
)
def test_a_range_is_written_to_standard_output(
    options: list[str], offset: int, length: int, files: Files
) -> None:
    done = launch("read", files.good("odd-sectors"), *options)
    assert (done.returncode, done.stderr) == (0, b"")
    assert_same(done.stdout, contents(good("odd-sectors").model)[offset : offset + length])


def test_a_range_in_a_file_is_sparse(tmp_path: Path, run: Run) -> None:
    built = dynamic(40 * MIB, blocks={20: Block(data=b"x" * 5000)}).build()
    path = built.write(tmp_path / "image.vhdx")
    out = tmp_path / "out"
    options = ("--offset", "10M", "--length", "20M")
    assert run("read", path, "-o", out, *options) == (0, "", "")
    assert_same(out.read_bytes(), built.model.read(10 * MIB, 20 * MIB))
    assert allocated(out) <= 64 * KIB


def test_a_range_past_the_end_is_a_failure(files: Files, tmp_path: Path, run: Run) -> None:
    outcome = run("read", files.good("odd-sectors"), "-o", tmp_path / "out", "--offset", "3146241")
    assert_failed(outcome, 1, "3146241", "3146240")
    assert files_in(tmp_path) == set()


@pytest.mark.parametrize("size", ["-1", "1.5M", "", "M", "1X", "0xg", "one", "1KB"])
@pytest.mark.parametrize("option", ["--offset", "--length"])
def test_what_is_no_size_is_a_mistake_of_the_user(
    option: str, size: str, files: Files, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "out"
    outcome = run("read", files.good("odd-sectors"), "-o", out, f"{option}={size}")
    assert outcome.status == 64
    assert outcome.out == ""
    assert option in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("to_file", [False, True])
def test_damage_ends_a_command_where_it_is_met(to_file: bool, files: Files, tmp_path: Path) -> None:
    """Block 7 of 8 is in a reserved state; what comes before it is all right."""
    path, model = files.damaged("bat-state-4"), damaged("bat-state-4").model
    options = ("-o", tmp_path / "out") if to_file else ()
    done = launch("read", path, *options)
    assert done.returncode == 2
    assert b"[BAT-03, MS-VHDX 2.5.1.1]" in done.stderr
    told, refused = done.stderr.splitlines(keepends=True)
    assert b"cannot be read" in told
    assert b"[BAT-03, " in refused
    assert files_in(tmp_path) == set()
    assert contents(model).startswith(done.stdout)
    done = launch("read", path, *options, "--length", 7 * MIB)
    assert (done.returncode, done.stderr) == (0, told)
    output = (tmp_path / "out").read_bytes() if to_file else done.stdout
    assert_same(output, contents(model)[: 7 * MIB])


def test_a_reader_that_goes_away_is_no_mistake(files: Files) -> None:
    command = [sys.executable, "-m", "vhdx_kaitai", "read", str(files.good("fixed-plain"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(100) == contents(good("fixed-plain").model)[:100]
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


def test_without_its_parent_a_childs_own_bytes_can_be_read(tmp_path: Path, run: Run) -> None:
    base = dynamic(4 * MIB, others=Block()).build()
    image = child_of(base, "none.vhdx", blocks={1: Block(), 2: partial(range(8))})
    path = image.build().write(tmp_path / "child.vhdx")
    out = tmp_path / "out"
    own = ("--no-parent", "-o", out, "--offset", "1M", "--length")
    assert run("read", path, *own, MIB + 4096) == (0, "", "")
    assert_same(out.read_bytes(), pattern(2, MIB, MIB + 4096))
    assert_failed(run("read", path, *own, MIB + 4097), 1, "parent")
