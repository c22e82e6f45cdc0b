"""Files that are changed in place: six verbs, and errors with the name of the file."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.images.structures import KIB, MIB
from tests.reading_fixtures import open_descriptors
from vhdx_kaitai.errors import TruncatedError, UnsupportedError
from vhdx_kaitai.storage.target import FileTarget

pytestmark = pytest.mark.skipif(not hasattr(os, "preadv"), reason="nothing is written in place")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file."""
    (tmp_path / "file").write_bytes(b"x" * 10_000)
    return tmp_path / "file"


@pytest.fixture
def file(path: Path) -> Iterator[FileTarget]:
    """That file, opened to be changed."""
    target = FileTarget(str(path))
    yield target
    target.close()


def tells_holes(file: FileTarget) -> bool:
    return file.hole_end(MIB, 2 * MIB) == 2 * MIB


def test_what_is_written_is_read(file: FileTarget, path: Path) -> None:
    file.write(b"abc", 5)
    assert file.read(4, 5) == b"xabcx"
    assert path.read_bytes() == b"x" * 5 + b"abc" + b"x" * 9992


def test_a_write_past_the_end_makes_the_file_longer(file: FileTarget, path: Path) -> None:
    with pytest.raises(TruncatedError):
        file.read(20_000, 1)
    file.write(memoryview(b"abc"), 20_000)
    assert file.size == path.stat().st_size == 20_003
    assert file.read(9_999, 10_004) == b"x" + bytes(10_000) + b"abc"


@pytest.mark.parametrize("length", [0, 3, 10_000, 3 * MIB])
def test_a_file_gets_the_length_that_it_is_given(length: int, file: FileTarget, path: Path) -> None:
    file.set_length(length)
    assert file.size == length
    assert path.read_bytes() == (b"x" * 10_000 + bytes(3 * MIB))[:length]


def test_zeros_take_the_place_of_data(file: FileTarget, path: Path) -> None:
    file.write(b"y" * 2 * MIB, 0)
    file.zero(10, MIB)
    assert path.read_bytes() == b"y" * 10 + bytes(MIB) + b"y" * (MIB - 10)


def test_zeros_cost_nothing_where_nothing_is_stored(
    file: FileTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hostile log may clear all of a file of any length, which is full of holes."""
    file.set_length(1 << 40)
    if not tells_holes(file):
        pytest.skip("the file system does not tell of holes")
    system, written = os.pwrite, []

    def note(fd: int, data: Any, at: int) -> int:
        written.append(len(data))
        return system(fd, data, at)

    monkeypatch.setattr(os, "pwrite", note)
    file.zero(0, 1 << 40)
    assert 10_000 <= sum(written) <= 64 * KIB
    assert not any(file.read(0, MIB))
    file.set_length(0)


def test_a_link_is_written_through_and_stays(path: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(path)
    target = FileTarget(str(tmp_path / "link"))
    target.write(b"abc", 0)
    target.close()
    assert (tmp_path / "link").is_symlink()
    assert path.read_bytes()[:4] == b"abcx"


@pytest.mark.parametrize("call", ["pwrite", "ftruncate", "fdatasync"])
def test_an_error_of_the_system_names_the_file(
    call: str, file: FileTarget, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def fail(*_: object) -> None:
        nonlocal calls
        calls += 1
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, call, fail)
    ways: dict[str, Any] = {
        "pwrite": lambda: file.write(b"a", 0),
        "ftruncate": lambda: file.set_length(0),
        "fdatasync": file.flush,
    }
    with pytest.raises(OSError, match="Input/output") as caught:
        ways[call]()
    assert caught.value.filename == str(path)
    assert calls == 1  # above all, a flush that failed is not tried again
    assert file.size == 10_000


@pytest.mark.parametrize("name", ["none", "folder", "pipe"])
def test_what_cannot_be_changed_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    before = open_descriptors()
    with pytest.raises(OSError) as caught:  # noqa: PT011 - which one varies
        FileTarget(str(tmp_path / name))
    assert caught.value.filename == str(tmp_path / name)
    assert open_descriptors() <= before
    assert not (tmp_path / "none").exists()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root is somebody else")
def test_who_may_only_read_a_file_may_not_change_it(path: Path) -> None:
    path.chmod(0o444)
    path.parent.chmod(0o755)
    code = """
        import os
        from vhdx_kaitai.storage.target import FileTarget
        os.setuid(65534)
        os.open("file", os.O_RDONLY)
        try:
            FileTarget("file")
        except PermissionError as error:
            assert error.filename == "file"
        else:
            raise SystemExit("it was opened")
    """
    words = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(words, capture_output=True, cwd=path.parent, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_system_without_positional_reads_changes_no_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "preadv")
    with pytest.raises(UnsupportedError, match="no file is changed in place"):
        FileTarget(str(path))
