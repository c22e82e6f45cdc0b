"""`vhdx-kaitai metadump`: a dump as a file, and its manifest."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Files, Run
from tests.images.structures import MIB
from tests.support import assert_valid

DONE, FAILED, NOT_VHDX = 0, 1, 63


@pytest.mark.parametrize("options", [[], ["--sparse"], ["--redact"], ["--all"]])
@pytest.mark.parametrize("name", ["differencing-plain", "dirty-everything"])
def test_the_manifest_follows_its_schema(
    name: str, options: list[str], files: Files, tmp_path: Path, run: Run
) -> None:
    path, output = files.good(name), tmp_path / "dump.vhdx"
    outcome = run("metadump", path, output, "--json", *options)
    found = json.loads(outcome.out)
    assert_valid(found, "metadump")
    assert (found["path"], found["output"]) == (str(path), str(output))
    assert found["length"] == output.stat().st_size
    assert found["form"] == ("sparse" if "--sparse" in options else "cut")
    assert found["redacted"] is bool(found["blanked"]) is ("--redact" in options)


def test_the_text_lists_what_is_kept_and_what_was_not_found(
    files: Files, tmp_path: Path, run: Run
) -> None:
    output = tmp_path / "dump.vhdx"
    text = run("metadump", files.good("differencing-plain"), output, "--redact").out
    assert text.startswith(f"{output}: ")
    for words in ("Kept", "sector bitmap 0 (BAT)", "Blanked", "paths in Parent Locator"):
        assert words in text
    assert "Not found" not in text
    damaged = files.damaged("both-header-signatures-wrong")
    assert "Not found" in run("metadump", damaged, output, "--force").out


def test_a_dump_is_not_written_to_standard_output(
    files: Files, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run("metadump", files.good("dynamic-plain"), "-")
    assert (outcome.status, outcome.out) == (64, "")
    assert "standard output" in outcome.err
    assert not list(tmp_path.iterdir())


def test_dumping_imports_no_numpy(files: Files, tmp_path: Path) -> None:
    code = (
        "import sys; from vhdx_kaitai.commands.main import main; status = main(sys.argv[1:]);"
        "assert 'numpy' not in sys.modules; sys.exit(status)"
    )
    arguments = ["metadump", str(files.good("dynamic-plain")), str(tmp_path / "dump.vhdx")]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)


def test_something_else_is_refused(tmp_path: Path, run: Run) -> None:
    for name, data in (("empty", b""), ("text", b"some text"), ("zeros", bytes(2 * MIB))):
        path = tmp_path / name
        path.write_bytes(data)
        outcome = run("metadump", path, tmp_path / "dump.vhdx", "--json")
        assert outcome.status == NOT_VHDX
        assert_valid(json.loads(outcome.out), "error")
        assert not (tmp_path / "dump.vhdx").exists()


# -- files ----------------------------------------------------------------------------------------


def test_the_image_is_neither_written_nor_replaced(files: Files, tmp_path: Path, run: Run) -> None:
    path = tmp_path / "image.vhdx"
    shutil.copy(files.good("dynamic-plain"), path)
    before = path.read_bytes()
    link = tmp_path / "link.vhdx"
    link.symlink_to(path)
    hard = tmp_path / "hard.vhdx"
    os.link(path, hard)
    for output in (path, link, hard):
        outcome = run("metadump", path, output, "--force")
        assert outcome.status == FAILED
        assert "is an image of the disk itself" in outcome.err
    assert path.read_bytes() == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "hard.vhdx",
        "image.vhdx",
        "link.vhdx",
    ]


def test_a_file_that_is_there_is_replaced_only_by_force(
    files: Files, tmp_path: Path, run: Run
) -> None:
    path, output = files.good("dynamic-plain"), tmp_path / "dump.vhdx"
    output.write_text("precious")
    outcome = run("metadump", path, output)
    assert outcome.status == FAILED
    assert "--force" in outcome.err
    assert output.read_text() == "precious"
    assert run("metadump", path, output, "--force").status == DONE
    assert output.read_bytes()[:8] == b"vhdxfile"


def test_half_a_dump_never_has_its_name(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    calls = []

    write = os.pwrite

    def full(fd: int, view: memoryview, offset: int) -> int:
        calls.append(offset)
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, view, offset)

    monkeypatch.setattr(os, "pwrite", full)
    outcome = run("metadump", files.good("dynamic-plain"), tmp_path / "dump.vhdx")
    assert outcome.status == FAILED
    assert "No space" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_a_directory_or_a_pipe_is_no_place_for_a_dump(
    files: Files, tmp_path: Path, run: Run
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder", "nowhere/dump.vhdx"):
        outcome = run("metadump", files.good("dynamic-plain"), tmp_path / name, "--force")
        assert outcome.status == FAILED, name
        assert outcome.out == ""
