"""`vhdx-kaitai convert` into a new VHDX file: from files, chains and standard input."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.commands.launching import VHDX_KAITAI, assert_failed, assert_one_line
from tests.conftest import Files, Run
from tests.images.chain import chain
from tests.images.image import Block, dynamic
from tests.images.sparse import pattern
from tests.images.structures import MIB
from tests.reading_fixtures import assert_same, contents, few_runs
from tests.support import files_in, good
from tests.writing.making import assert_clean


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A raw image of two MiB and a bit."""
    path = tmp_path / "disk.raw"
    path.write_bytes(pattern(1, 0, 2 * MIB + 100))
    return path


def read(path: Path) -> bytes:
    with vhdx_kaitai.open(path) as disk:
        return disk.pread(disk.size, 0)


@pytest.mark.parametrize("name", ["new.vhdx", "NEW.VHDX", "new.avhdx"])
def test_a_name_says_what_a_file_is_to_be(name: str, raw: Path, run: Run) -> None:
    """What is taken for raw is told, and so is how its size is rounded."""
    out = raw.parent / name
    outcome = run("convert", raw, out)
    assert (outcome.status, outcome.out) == (0, "")
    assert outcome.err == (
        f"vhdx-kaitai: {raw}: no VHDX file, taken as a raw image\n"
        f"vhdx-kaitai: {out}: the disk has 2097664 bytes, rounded up from 2097252\n"
    )
    assert_same(read(out), raw.read_bytes() + bytes(412))
    assert_clean(out)
    assert run("convert", raw, out, "--force", "--quiet") == (0, "", "")


def test_an_option_says_it_whatever_the_name(raw: Path, run: Run) -> None:
    out = raw.parent / "new.img"
    assert run("convert", raw, out, "-O", "vhdx").status == 0
    assert_clean(out)
    back = raw.parent / "back.vhdx"
    assert run("convert", out, back, "--output-format", "raw") == (0, "", "")
    assert_same(back.read_bytes(), raw.read_bytes() + bytes(412))


def test_a_disk_is_what_it_is_told_to_be(raw: Path, run: Run) -> None:
    out = raw.parent / "new.vhdx"
    options = ("--type", "fixed", "--block-size", "1M", "--sector-size", "4096", "--round", "1M")
    identity = "d15c0001-3333-4333-8333-0123456789ab"
    assert run("convert", raw, out, *options, "--disk-id", f"{{{identity}}}").status == 0
    with vhdx_kaitai.open(out) as disk:
        assert (disk.size, disk.disk_type, disk.block_size) == (3 * MIB, "fixed", MIB)
        assert (disk.logical_sector_size, str(disk.virtual_disk_id)) == (4096, identity)


def test_it_need_not_be_on_the_medium(raw: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fdatasync")
    monkeypatch.delattr(os, "fsync")
    out = raw.parent / "new.vhdx"
    assert run("convert", raw, out, "--no-flush", "-q") == (0, "", "")
    assert_same(read(out), raw.read_bytes() + bytes(412))


def test_a_chain_becomes_one_image(tmp_path: Path, run: Run) -> None:
    made = chain(3, blocks=few_runs).write(tmp_path)
    out = tmp_path / "new.vhdx"
    assert run("convert", made.path, out) == (0, "", "")
    assert_same(read(out), contents(made.model))
    assert run("compare", made.path, out).status == 0


def test_what_is_lost_becomes_zeros_where_that_is_wanted(tmp_path: Path, run: Run) -> None:
    built = dynamic(4 * MIB, blocks={0: Block(), 2: Block()}).build()
    path = built.write(tmp_path / "cut.vhdx")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - MIB)
    out = tmp_path / "new.vhdx"
    outcome = run("convert", path, out)
    assert outcome.status == 2
    assert files_in(tmp_path) == {"cut.vhdx"}
    assert run("convert", path, out, "--lost-map", tmp_path / "map").status == 3
    assert_same(read(out), contents(built.model)[: 2 * MIB] + bytes(2 * MIB))
    assert files_in(tmp_path) == {"cut.vhdx", "new.vhdx", "map"}


def test_what_is_something_else_is_refused_unless_it_is_called_raw(
    tmp_path: Path, run: Run
) -> None:
    (tmp_path / "disk.gz").write_bytes(b"\x1f\x8b\x08" + bytes(2000))
    words = ("convert", tmp_path / "disk.gz", tmp_path / "new.vhdx")
    assert_failed(run(*words), 63, "compressed with gzip")
    assert files_in(tmp_path) == {"disk.gz"}
    assert run(*words, "--raw").status == 0
    assert read(tmp_path / "new.vhdx")[:3] == b"\x1f\x8b\x08"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["IN", "-", "-O", "vhdx"], "- will not do"),
        (["-", "out.raw"], "-O vhdx"),
        (["IN", "out.raw", "--block-size", "1M"], "--block-size is about a new VHDX file"),
        (["IN", "out.raw", "--raw"], "--raw is about"),
        (["IN", "out.raw", "--no-flush"], "--no-flush is about"),
        (["IN", "new.vhdx", "--block-size", "3M"], "a power of two"),
        (["IN", "new.vhdx", "--type", "differencing"], "invalid choice"),
        (["IN", "new.vhdx", "--round", "0"], "round_to"),
    ],
)
def test_what_cannot_be_is_a_matter_of_usage(
    words: list[str], told: str, files: Files, tmp_path: Path, run: Run
) -> None:
    source = files.good("odd-sectors")
    names = {"IN": source, "out.raw": tmp_path / "out.raw", "new.vhdx": tmp_path / "new.vhdx"}
    outcome = run("convert", *(names.get(word, word) for word in words))
    assert (outcome.status, outcome.out) == (64, "")
    assert told in outcome.err
    assert files_in(tmp_path) == set()


def test_a_raw_image_becomes_no_raw_image(raw: Path, run: Run) -> None:
    assert run("convert", raw, raw.parent / "copy.raw").status == 63
    assert files_in(raw.parent) == {"disk.raw"}


def test_a_file_that_is_there_stays_unless_told(raw: Path, run: Run) -> None:
    out = raw.parent / "new.vhdx"
    out.write_bytes(b"before")
    assert_failed(run("convert", raw, out), 1, f"{out}: ", "--force")
    assert out.read_bytes() == b"before"


def piped(data: bytes, *words: object) -> tuple[int, str]:
    """Run a conversion of what comes through a pipe; return its status and what it told."""
    done = subprocess.run(
        [*VHDX_KAITAI, "convert", "-", *map(str, words)],
        input=data,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == b""
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize("options", [[], ["--size", "3M"], ["--size", "3M", "--type", "fixed"]])
def test_standard_input_is_a_raw_image(options: list[str], tmp_path: Path) -> None:
    data = pattern(1, 0, 2 * MIB + 100)
    out = tmp_path / "new.vhdx"
    status, told = piped(data, out, *options)
    assert status == 0
    size = 3 * MIB if options else 2 * MIB + 512
    assert told == ("" if options else f"vhdx-kaitai: {out}: the disk has {size} bytes\n")
    assert_same(read(out), data + bytes(size - len(data)))
    assert_clean(out)


@pytest.mark.parametrize(
    ("data", "options", "told"),
    [
        (b"x" * 5000, ["--size", "4096"], "more than 4096 bytes"),
        (b"", [], "nothing to convert"),
        (b"vhdxfile" + bytes(5000), [], "not read from a stream"),
        (b"\x1f\x8b\x08" + bytes(500), [], "compressed with gzip"),
    ],
)
def test_what_standard_input_cannot_be_is_told(
    data: bytes, options: list[str], told: str, tmp_path: Path
) -> None:
    status, err = piped(data, tmp_path / "new.vhdx", *options)
    assert status == 1
    assert_one_line(err)
    assert told in err
    assert files_in(tmp_path) == set()


def test_a_copy_of_an_image_need_not_be_told_about(files: Files, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "new.vhdx"
    assert run("convert", files.good("dynamic-plain"), out) == (0, "", "")
    assert_same(read(out), contents(good("dynamic-plain").model))
