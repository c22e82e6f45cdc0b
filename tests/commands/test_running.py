"""Results on stdout, words for people on stderr, statuses for scripts."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.commands.launching import assert_one_line, document_of, launch
from tests.conftest import Files, Run
from tests.images.damage import DAMAGES
from tests.images.image import Block, dynamic
from tests.images.structures import MIB

REFUSED = [name for name, case in DAMAGES.items() if case.open_refuses]

CORRUPT = "version-2"

OF_ONE_FILE = ("info", "log", "tree")


@pytest.mark.parametrize("command", OF_ONE_FILE)
@pytest.mark.parametrize("name", ["dynamic-plain", "differencing-plain", "dirty-everything"])
def test_a_command_prints_text_or_a_document(
    name: str, command: str, files: Files, run: Run
) -> None:
    path = files.good(name)
    text = run(command, path)
    assert (text.status, text.err) == (0, "")
    assert text.out.endswith("\n")
    assert text.out.replace("\n", "").isprintable()
    document = run(command, "--json", path)
    assert (document.status, document.err) == (0, "")
    assert document_of(document, command)["path"] == str(path)


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_image_takes_one_line_that_says_why(name: str, files: Files, run: Run) -> None:
    path = files.damaged(name)
    outcome = run("info", path)
    assert outcome.out == ""
    assert_one_line(outcome.err)
    assert outcome.err.startswith(f"vhdx-kaitai: {path}: ")
    rule = outcome.err.rpartition("[")[2].partition(",")[0]
    assert rule in DAMAGES[name].visible
    assert outcome.status == 2


@pytest.mark.parametrize("name", REFUSED[::6])
def test_a_refused_image_is_a_document_when_asked_for_one(
    name: str, files: Files, run: Run
) -> None:
    path = files.damaged(name)
    outcome = run("info", "--json", path)
    assert_one_line(outcome.err)
    document = document_of(outcome, "error")
    assert document["path"] == str(path)
    error = document["error"]
    assert error["rule"] in DAMAGES[name].visible
    assert error["message"] in outcome.err
    assert outcome.status == 2


@pytest.mark.parametrize("command", OF_ONE_FILE)
def test_a_file_that_is_no_vhdx_has_a_status_of_its_own(
    command: str, tmp_path: Path, run: Run
) -> None:
    for content in (b"", b"vhdxfil", b"conectix" + bytes(2 * MIB), b"\0" * 512):
        path = tmp_path / "other.img"
        path.write_bytes(content)
        outcome = run(command, path)
        assert outcome.status == 63
        assert outcome.out == ""
        assert_one_line(outcome.err)
        assert "FTI-01" in outcome.err


def test_a_lost_start_of_an_image_has_a_hint_that_reads_it(tmp_path: Path, run: Run) -> None:
    built = dynamic(8 * MIB, blocks={2: Block()}).build()
    path = built.write(tmp_path / "disk.vhdx")
    with path.open("r+b") as file:
        file.write(bytes(MIB))
    out = tmp_path / "out.raw"
    for options in ([], ["--assume-vhdx"]):
        outcome = run("convert", path, out, *options)
        assert outcome.status in (2, 63)
        assert "--assume-header" in outcome.err
    last = run("convert", path, out).err.splitlines()[-1]
    wanted = re.findall(r"--assume-\w+", last)
    assert wanted == ["--assume-regions", "--assume-vhdx", "--assume-header"]
    assert run("convert", path, out, *wanted).status == 0
    assert out.read_bytes() == built.model.read(0, 8 * MIB)
    other = tmp_path / "disk.img"
    path.rename(other)
    assert "--assume" not in run("convert", other, out).err


@pytest.mark.parametrize("command", OF_ONE_FILE)
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_failure_of_the_system_is_a_failure(
    command: str, options: list[str], tmp_path: Path, run: Run
) -> None:
    path = tmp_path / "none.vhdx"
    outcome = run(command, *options, path)
    assert outcome.status == 1
    assert_one_line(outcome.err)
    assert outcome.err == f"vhdx-kaitai: {path}: No such file or directory\n"
    if options:
        error = document_of(outcome, "error")["error"]
        assert (error["type"], error["rule"]) == ("FileNotFoundError", None)
    else:
        assert outcome.out == ""


def test_a_folder_is_no_image(tmp_path: Path, run: Run) -> None:
    outcome = run("log", tmp_path)
    assert outcome.status == 1
    assert_one_line(outcome.err)


def test_a_path_is_escaped_where_people_read_it(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "a\x1b[31m\u202eb\nc.vhdx"
    path.write_bytes(b"no")
    outcome = run("info", path)
    assert_one_line(outcome.err)
    assert r"a\x1b[31m\u202eb\x0ac.vhdx" in outcome.err


def test_an_interrupted_command_says_so(
    files: Files, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vhdx_kaitai.commands.info.info_document", interrupted)
    outcome = run("info", files.good("dynamic-plain"))
    assert outcome.status == 130
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("command", ["info", "check", "read", "log", "tree"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_called_so(kind: str, command: str, tmp_path: Path, run: Run) -> None:
    path = Path(os.devnull)
    if kind == "pipe":
        path = tmp_path / "pipe"
        os.mkfifo(path)
    outcome = run(command, path)
    assert outcome.status == 1
    assert outcome.err == f"vhdx-kaitai: {path}: not a regular file or block device\n"


def test_a_name_without_a_letter_can_be_seen(run: Run) -> None:
    assert run("info", "").err == "vhdx-kaitai: '': No such file or directory\n"


@pytest.mark.parametrize("status", [0, 2, 63])
def test_a_process_ends_with_the_status_of_the_command(status: int, files: Files) -> None:
    paths = {
        0: files.good("dynamic-plain"),
        2: files.damaged(CORRUPT),
        63: files.folder / "another-kind.vhdx",
    }
    paths[63].write_bytes(b"conectix" + bytes(2 * MIB))
    ended = launch("info", paths[status])
    assert ended.returncode == status
    assert bool(ended.stdout) == (status == 0)
    assert ended.stderr.count(b"\n") == (0 if status == 0 else 1)
