"""Files that commands write: asked for, whole, and never what is being read."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Files, Outcome, Run
from tests.images.chain import chain
from tests.reading_fixtures import few_runs
from tests.support import files_in

# The words of each command that writes a file, and what it is called.
WAYS = {
    "convert": ["convert", "IMAGE", "OUT"],
    "read": ["read", "IMAGE", "-o", "OUT"],
    "metadump": ["metadump", "IMAGE", "OUT"],
    "check --sarif": ["check", "IMAGE", "--sarif", "OUT"],
    "ksy": ["ksy", "-o", "OUT"],
}


def words(way: str, image: Path, out: Path) -> list[str]:
    names = {"IMAGE": str(image), "OUT": str(out)}
    return [names.get(word, word) for word in WAYS[way]]


def assert_failed(outcome: Outcome, *parts: str) -> None:
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.count("\n") == 1
    for part in ("vhdx-kaitai: ", *parts):
        assert part in outcome.err


@pytest.mark.parametrize("way", WAYS)
def test_a_file_is_replaced_when_that_is_asked_for(
    way: str, files: Files, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "out"
    out.write_bytes(b"precious")
    command = words(way, files.good("odd-sectors"), out)
    assert_failed(run(*command), f"{out}: ", "--force")
    assert out.read_bytes() == b"precious"
    assert run(*command, "--force").status == 0
    replaced = out.read_bytes()
    out.unlink()
    assert run(*command).status == 0
    assert out.read_bytes() == replaced != b"precious"
    assert files_in(tmp_path) == {"out"}


@pytest.mark.parametrize("way", WAYS)
def test_a_link_stays_and_the_mode_of_what_it_leads_to_does(
    way: str, files: Files, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "real").write_bytes(b"before")
    (tmp_path / "real").chmod(0o604)
    (tmp_path / "link").symlink_to("real")
    command = words(way, files.good("odd-sectors"), tmp_path / "link")
    assert_failed(run(*command), "--force")
    assert run(*command, "--force").status == 0
    assert os.readlink(tmp_path / "link") == "real"
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o604
    assert (tmp_path / "real").read_bytes() != b"before"


@pytest.mark.parametrize("way", WAYS)
def test_what_cannot_be_written_wholly_leaves_what_was_there(
    way: str, files: Files, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    out = tmp_path / "out"
    out.write_bytes(b"precious")
    monkeypatch.setattr(os, "pwrite", fill)
    outcome = run(*words(way, files.good("fixed-plain"), out), "--force")
    assert outcome.status == 1
    assert outcome.err == f"vhdx-kaitai: {out}: No space left on device\n"
    assert out.read_bytes() == b"precious"
    assert files_in(tmp_path) == {"out"}


@pytest.mark.parametrize("way", WAYS)
def test_nor_is_a_file_replaced_that_appears_meanwhile(
    way: str, files: Files, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    write = os.pwrite

    def write_beside(fd: int, data: bytes, at: int) -> int:
        out.write_bytes(b"of another program")
        return write(fd, data, at)

    monkeypatch.setattr(os, "pwrite", write_beside)
    outcome = run(*words(way, files.good("fixed-plain"), out))
    assert outcome.status == 1
    assert outcome.err == f"vhdx-kaitai: {out}: exists already\n"
    assert out.read_bytes() == b"of another program"
    assert files_in(tmp_path) == {"out"}


@pytest.mark.parametrize("way", WAYS)
def test_a_folder_that_is_not_there_is_told_by_the_name_of_the_file(
    way: str, files: Files, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "nowhere" / "out"
    outcome = run(*words(way, files.good("odd-sectors"), out))
    assert outcome.status == 1
    assert outcome.err == f"vhdx-kaitai: {out}: No such file or directory\n"


def test_a_report_that_has_no_place_is_told_before_the_check(
    files: Files, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "out").touch()
    outcome = run("check", "--json", files.good("odd-sectors"), "--sarif", tmp_path / "out")
    assert outcome.status == 1
    assert json.loads(outcome.out)["error"]["type"] == "FileExistsError"


@pytest.mark.parametrize("way", ["check --sarif", "ksy"])
def test_a_report_does_not_take_the_place_of_an_image(
    way: str, files: Files, tmp_path: Path, run: Run
) -> None:
    """Not even when it may replace a file."""
    path = tmp_path / "image.vhdx"
    shutil.copyfile(files.good("dynamic-plain"), path)
    before = path.read_bytes()
    for options in ([], ["--force"]):
        assert_failed(run(*words(way, path, path), *options), "is a VHDX file, and stays one")
        assert path.read_bytes() == before


# -- standard output ----------------------------------------------------------------------------


READERS = [
    ["info"],
    ["info", "--json"],
    ["check"],
    ["check", "--sarif", "-"],
    ["map"],
    ["read"],
    ["convert", "-"],
    ["compare", "odd-sectors.vhdx"],
    ["chain"],
    ["log"],
    ["tree"],
]


def append(path: Path, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    """Run a command whose standard output is at the end of a file."""
    command = [sys.executable, "-m", "vhdx_kaitai", *map(str, arguments)]
    with path.open("ab") as output:
        return subprocess.run(
            command, stdout=output, stderr=subprocess.PIPE, check=False, timeout=60
        )


@pytest.mark.parametrize("reader", READERS, ids=" ".join)
def test_an_image_is_not_written_into_while_it_is_read(
    reader: list[str], files: Files, tmp_path: Path
) -> None:
    """`cat a >> a` is refused in the same way."""
    path, link = tmp_path / "a.vhdx", tmp_path / "link"
    shutil.copyfile(files.good("dynamic-plain"), path)
    link.symlink_to(path)
    before = path.read_bytes()
    command, *options = reader
    if command == "compare":
        options = [str(files.good("odd-sectors"))]
    for name in (path, link):
        ended = append(path, command, name, *options)
        assert ended.returncode == (4 if command == "compare" else 1)
        expected = f"vhdx-kaitai: standard output: is {name}, which is read\n"
        assert ended.stderr.decode() == expected
        assert path.read_bytes() == before


@pytest.mark.parametrize("reader", [["read"], ["convert", "-"], ["map"]], ids=" ".join)
def test_nor_is_its_parent(reader: list[str], tmp_path: Path) -> None:
    made = chain(3, blocks=few_runs).write(tmp_path)
    command, *options = reader
    for parent in made.paths[:-1]:
        before = parent.read_bytes()
        ended = append(parent, command, made.path, *options)
        assert ended.returncode == 1
        assert f"{parent}, which is read" in ended.stderr.decode()
        assert parent.read_bytes() == before


def test_another_file_may_be_appended_to(files: Files, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_bytes(b"before")
    assert append(out, "read", files.good("odd-sectors"), "--length", 100).returncode == 0
    assert out.stat().st_size == 106
