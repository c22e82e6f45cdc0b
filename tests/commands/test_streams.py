"""Standard streams that are closed, full, gone, or of any encoding."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.launching import VHDX_KAITAI, assert_one_line, launch
from tests.conftest import Files


@pytest.mark.parametrize("arguments", [["ksy"], ["tree", "--depth", "6"], ["info", "--json"]])
def test_a_reader_that_goes_away_ends_a_command_quietly(arguments: list[str], files: Files) -> None:
    if arguments[0] != "ksy":
        arguments = [*arguments, str(files.good("user-items-1024"))]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = launch(*arguments, stdout=writer)
    finally:
        os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
@pytest.mark.parametrize(
    "arguments",
    [
        *(["ksy"], ["info"], ["info", "--json"]),
        *(["--help"], ["--version"], ["help"], ["help", "write"], ["info", "--help"]),
    ],
)
def test_a_full_disk_is_a_failure_without_a_traceback(arguments: list[str], files: Files) -> None:
    if arguments[0] == "info" and "--help" not in arguments:
        arguments = [*arguments, str(files.good("dynamic-plain"))]
    with open("/dev/full", "wb") as full:
        ended = launch(*arguments, stdout=full)
    assert ended.returncode == 1
    assert_one_line(ended.stderr.decode())


def test_a_full_disk_is_not_blamed_on_the_image(files: Files) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full on this system")
    with open("/dev/full", "wb") as full:
        ended = launch("info", files.good("dynamic-plain"), stdout=full)
    assert b"dynamic-plain.vhdx" not in ended.stderr


CLOSED = (
    ("info", 1),
    ("info --json", 1),
    ("read", 1),
    ("read -o -", 1),
    ("check", 1),
    ("check --sarif -", 1),
    ("compare $0", 4),
    ("log", 1),
    ("read -o out.raw", 0),  # it has nothing to say
    ("convert out2.raw", 0),
)


@pytest.mark.parametrize(("words", "status"), CLOSED)
def test_output_that_goes_nowhere_because_it_is_closed_is_a_failure(
    words: str, status: int, files: Files, tmp_path: Path
) -> None:
    path = files.good("dynamic-plain")
    command, _, options = words.partition(" ")
    first, second = ("", options) if command in ("convert", "compare") else (options, "")
    line = f'"{sys.executable}" -m vhdx_kaitai {command} {first} "$0" {second} >&-'
    ended = subprocess.run(
        ["sh", "-c", line, path], check=False, capture_output=True, timeout=60, cwd=tmp_path
    )
    assert ended.returncode == status
    if status:
        assert_one_line(ended.stderr.decode())
        assert ended.stderr.startswith(b"vhdx-kaitai: standard output: ")
    else:
        assert ended.stderr == b""


def test_a_full_disk_is_no_difference(files: Files) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full on this system")
    path = files.good("dynamic-plain")
    with open("/dev/full", "wb") as full:
        ended = launch("compare", path, path, stdout=full)
    assert ended.returncode == 4
    assert_one_line(ended.stderr.decode())


@pytest.mark.parametrize("redirection", [">&-", ">&- 2>&-"])
def test_closed_streams_are_no_reason_for_a_traceback(redirection: str, files: Files) -> None:
    path = files.good("dynamic-plain")
    command = f'"{sys.executable}" -m vhdx_kaitai info "{path}" {redirection}'
    ended = subprocess.run(["sh", "-c", command], check=False, capture_output=True, timeout=60)
    assert b"Traceback" not in ended.stderr
    assert ended.returncode in (0, 1)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_of_any_encoding_gets_all_of_the_text(
    encoding: str, tmp_path: Path, files: Files
) -> None:
    path = tmp_path / "größe 測試.vhdx"
    path.symlink_to(files.good("creator-broken"))
    ended = launch("info", path, env={"PYTHONIOENCODING": encoding})
    assert (ended.returncode, ended.stderr) == (0, b"")
    text = ended.stdout.decode(encoding)
    assert text.isascii() == (encoding == "ascii")
    assert r"\ud83dA" in text


def test_a_refusal_is_told_in_ascii_too(tmp_path: Path) -> None:
    path = tmp_path / "測試.vhdx"
    path.write_bytes(b"no")
    ended = launch("info", path, env={"PYTHONIOENCODING": "ascii"})
    assert ended.returncode == 63
    assert_one_line(ended.stderr.decode("ascii"))


def test_a_name_that_is_no_text_can_be_opened_and_told(tmp_path: Path, files: Files) -> None:
    path = os.fsencode(tmp_path) + b"/\xff\xfe.vhdx"
    os.symlink(os.fsencode(files.good("dynamic-plain")), path)
    for options in ([], ["--json"]):
        ended = subprocess.run(
            [*VHDX_KAITAI, "info", *options, path], check=False, capture_output=True, timeout=60
        )
        assert (ended.returncode, ended.stderr) == (0, b"")
        if options:
            said = json.loads(ended.stdout)["path"]
            assert said == f"{tmp_path}/" + r"\udcff\udcfe.vhdx"  # no surrogates, their numbers
        else:
            assert rb"\udcff\udcfe.vhdx" in ended.stdout
