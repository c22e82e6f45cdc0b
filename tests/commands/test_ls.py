"""`ls` and `cat` show what is in a file system on a disk; what is hostile is shown as text."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands.launching import assert_failed, document_of, launch
from tests.conftest import Run
from tests.images.structures import MIB
from tests.serving.making import image_of, make_ext, patch, tool, with_times
from vhdx_kaitai.commands.inside import Told

pytest.importorskip("dissect.extfs")

PLAIN = make_ext("ext4", "-O", "^metadata_csum,^has_journal", "-b", "1024", size=4 * MIB)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "folder").mkdir(parents=True)
    (tree / "folder" / "file").write_bytes(b"\x00\xff\x1b contents \r\n")
    (tree / "folder" / "empty").touch()
    (tree / "escape-me").write_bytes(b"1")
    (tree / "link").symlink_to("folder/file")
    (tree / "bad-link").symlink_to("/x\x1b[2J")
    return PLAIN(tmp_path / "disk.raw", with_times(tree))


@pytest.fixture
def image(raw: Path) -> Path:
    patch(raw, b"escape-me", b"a\x1b[2J\n\xe2\x80\xae")
    return image_of(raw)


def test_a_name_takes_a_line(image: Path, run: Run) -> None:
    expected = "a\\x1b[2J\\x0a\\u202e\nbad-link\nfolder/\nlink\nlost+found/\n"
    assert run("ls", image) == (0, expected, "")
    assert run("ls", image, "folder") == (0, "empty\nfile\n", "")
    assert run("ls", image, "/folder/file") == (0, "file\n", "")


def test_below_a_folder_paths_are_listed(image: Path, run: Run) -> None:
    outcome = run("ls", "-R", image)
    assert outcome.status == 0
    assert "folder/\nfolder/empty\nfolder/file\n" in outcome.out


def test_a_long_line_has_all_that_is_known(image: Path, run: Run) -> None:
    outcome = run("ls", "-l", image)
    assert outcome.status == 0
    assert outcome.out.splitlines()[:-1] == [
        "-rw-r-----    1               1 2026-01-02 03:04:05 a\\x1b[2J\\x0a\\u202e",
        "lrwxrwxrwx    1               0 2026-01-02 03:04:05 bad-link -> /x\\x1b[2J",
        "drwxr-xr-x    2               0 2026-01-02 03:04:05 folder/",
        "lrwxrwxrwx    1               0 2026-01-02 03:04:05 link -> folder/file",
    ]


def test_a_document_follows_its_schema(image: Path, run: Run) -> None:
    outcome = run("ls", image, "folder", "--json", "-R")
    document = document_of(outcome, "ls")
    assert (document["partition"], document["top"]) == (0, "/folder")
    assert [entry["path"] for entry in document["entries"]] == ["empty", "file"]
    assert document["entries"][1] == {
        "path": "file",
        "type": "file",
        "size": 15,
        "mode": "0640",
        "modified": "2026-01-02T03:04:05.000000000Z",
        "names": 1,
        "target": None,
    }
    assert document["left_out"] == []
    assert document_of(run("ls", image, "folder/empty", "--json"), "ls")["entries"][0]["size"] == 0


def test_what_is_left_out_is_in_the_document_and_told(raw: Path, run: Run) -> None:
    patch(raw, b"escape-me", b"../../etc")
    tool("debugfs", "-w", "-R", "link <2> folder/again", raw)
    outcome = run("ls", image_of(raw), "-R", "--json")
    assert outcome.status == 3
    document = document_of(outcome, "ls")
    assert [one["path"] for one in document["left_out"]] == ["/", "/folder/again"]
    assert outcome.err.count("\n") == 2
    assert "is called '../../etc': left out" in outcome.err


def test_no_more_than_a_screen_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    told = Told("a.vhdx")
    for number in range(1000):
        told(f"/{number}", "why")
    assert told.conclude() == 3
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 21
    assert lines[-1] == "vhdx-kaitai: a.vhdx: and 980 other files left out, or not as they were"


@pytest.mark.parametrize("path", ["folder/file", "/link"])
def test_cat_writes_bytes_as_they_are(path: str, image: Path) -> None:
    ended = launch("cat", image, path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"\x00\xff\x1b contents \r\n", b"")


def test_cat_writes_the_zeros_of_holes(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    with (tree / "file").open("wb") as file:
        file.truncate(3 * MIB + 1)
        file.seek(2 * MIB + 7)
        file.write(b"x")
    expected = (tree / "file").read_bytes()
    image = image_of(PLAIN(tmp_path / "disk.raw", tree))
    assert launch("cat", image, "file").stdout == expected


def test_what_is_no_file_is_told_in_one_line(image: Path, run: Run) -> None:
    assert_failed(run("cat", image, "folder"), 1, "/folder: is a folder")
    assert_failed(run("cat", image, "nothing"), 1, "/nothing: there is no such file")
    assert_failed(run("ls", image, "x\x1by"), 1, "/x\\x1by: there is no such file")
    assert_failed(run("ls", image, "--partition", "7"), 1, "there is no partition 7; there are: 0")
    assert document_of(run("ls", image, "nothing", "--json"), "error")["error"]["type"] == (
        "UnsupportedError"
    )


def test_files_of_a_real_btrfs_have_the_hashes_in_their_names(
    samples: Callable[[str], Path],
) -> None:
    """Those two whose names are hashes; of the others those that Linux reads there."""
    pytest.importorskip("dissect.btrfs")
    image = samples("btrfs.vhdx.gz")
    names = ["f64464c2024778f347277de6fa26fe87", "fa121c8b73cf3b01a4840b1041b35e9f"]
    expected = {name: name for name in names} | {
        "compressed": "b0d5fae237588b6641f974459404d197",
        "lzo": "b0d5fae237588b6641f974459404d197",
    }
    found = {
        name: hashlib.md5(launch("cat", image, f"/folder/subfolder/{name}").stdout).hexdigest()
        for name in expected
    }
    assert found == expected
    assert launch("cat", image, "/folder/symlink").stdout == b"test\n"
