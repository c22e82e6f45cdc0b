"""Whoever changes a file keeps others away who ask, QEMU above all, and is kept away by them."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.images.structures import MIB
from vhdx_kaitai.errors import InUseError, UnsupportedError
from vhdx_kaitai.storage.locks import Lock, lock_parent
from vhdx_kaitai.storage.source import FileSource
from vhdx_kaitai.storage.target import FileTarget

pytestmark = pytest.mark.skipif(not hasattr(os, "preadv"), reason="nothing is written in place")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="QEMU locks bytes there")


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A file."""
    (tmp_path / "file").write_bytes(bytes(MIB))
    return str(tmp_path / "file")


def open_to_change(path: str, lock: Lock = "auto") -> bool:
    """Open a file to be changed, close it, and tell whether it was locked."""
    with closing(FileTarget(path, lock)) as file:
        return file.is_locked


def assert_in_use(path: str, lock: Lock = "auto") -> None:
    with pytest.raises(InUseError, match="in use: another program has the file open") as caught:
        open_to_change(path, lock)
    assert caught.value.path == path


@pytest.mark.parametrize("are_bytes_locked", [True, False])
def test_two_writers_do_not_get_a_file_at_once(
    path: str, are_bytes_locked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the system has locks of bytes or not."""
    if not are_bytes_locked:
        monkeypatch.delattr("fcntl.F_OFD_SETLK", raising=False)
    with closing(FileTarget(path)) as file:
        assert file.is_locked
        assert_in_use(path)
        assert_in_use(path, lock=True)
        assert not open_to_change(path, lock=False)
    assert open_to_change(path)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_where_there_are_no_locks_a_writer_goes_on_unless_one_is_demanded(
    path: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.fcntl", fail)
    monkeypatch.setattr("fcntl.flock", fail)
    with closing(FileTarget(path)) as file:
        assert not file.is_locked
    with pytest.raises(UnsupportedError, match="cannot be locked") as caught:
        FileTarget(path, lock=True)
    assert caught.value.path == path


def test_another_failure_is_told_with_the_name_of_the_file(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("fcntl.fcntl", fail)
    monkeypatch.setattr("fcntl.flock", fail)
    with pytest.raises(OSError, match="Input/output") as caught:
        FileTarget(path)
    assert caught.value.filename == path


# -- parents --------------------------------------------------------------------------------------


def keep(path: str, lock: Lock = "auto") -> FileSource:
    """Open a file to be read, and keep others from writing to it."""
    file = FileSource(path)
    try:
        is_locked = lock_parent(int(file.fd), path, lock)
    except BaseException:
        file.close()
        raise
    assert is_locked is (lock is not False)
    return file


@pytest.mark.parametrize("are_bytes_locked", [True, False])
def test_a_parent_is_kept_as_it_is_by_any_number(
    path: str, are_bytes_locked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not are_bytes_locked:
        monkeypatch.delattr("fcntl.F_OFD_SETLK", raising=False)
    with closing(keep(path)), closing(keep(path, True)), closing(keep(path, False)):
        assert_in_use(path)
    with closing(FileTarget(path)):
        with pytest.raises(InUseError, match="is changing the file") as caught:
            keep(path)
        assert caught.value.path == path
        keep(path, False).close()
    keep(path).close()
    assert open_to_change(path)


# -- QEMU -----------------------------------------------------------------------------------------


@pytest.fixture
def image(tmp_path: Path) -> str:
    """An image of QEMU's own."""
    if shutil.which("qemu-img") is None or shutil.which("qemu-io") is None:
        pytest.skip("qemu-img and qemu-io are not installed")
    path = str(tmp_path / "disk.vhdx")
    subprocess.run(["qemu-img", "create", "-q", "-f", "vhdx", path, "8M"], check=True)
    return path


@contextmanager
def opened_by_qemu(image: str, *options: str) -> Iterator[None]:
    """Let qemu-io have an image open."""
    with subprocess.Popen(
        ["qemu-io", *options, "-f", "vhdx", image],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"length\n")
        process.stdin.flush()
        while b"8 MiB" not in process.stdout.readline():
            assert process.poll() is None
        yield
        process.stdin.close()


@on_linux
@pytest.mark.parametrize("options", [(), ("-r",)], ids=["to write", "to read"])
def test_an_image_that_qemu_has_open_is_in_use(image: str, options: tuple[str, ...]) -> None:
    with opened_by_qemu(image, *options):
        assert_in_use(image)
    assert open_to_change(image)


@on_linux
def test_qemu_may_read_a_parent_that_is_kept_and_not_write_to_it(image: str) -> None:
    with closing(keep(image)):
        for options, is_refused in (("-r",), False), ((), True):
            words = ["qemu-io", *options, "-f", "vhdx", "-c", "length", image]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            assert (done.returncode != 0, "lock" in done.stderr) == (is_refused, is_refused)
        with opened_by_qemu(image, "-r"):
            keep(image).close()
    with opened_by_qemu(image), pytest.raises(InUseError):
        keep(image)


@on_linux
@pytest.mark.parametrize(
    "command", [["qemu-io", "-c", "write 0 512"], ["qemu-img", "info"]], ids=["to write", "to read"]
)
def test_qemu_does_not_get_an_image_that_is_changed_here(image: str, command: list[str]) -> None:
    words = [*command, "-f", "vhdx", image]
    with closing(FileTarget(image)):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert "lock" in done.stderr
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0
