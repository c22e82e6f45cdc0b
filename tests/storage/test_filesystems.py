"""What is asked of the system about file systems, and what is made of its answers."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.images.structures import KIB, MIB
from vhdx_kaitai.storage import filesystems
from vhdx_kaitai.storage.target import FileTarget

_LINE = "36 35 {device} / /mnt rw,noatime shared:1 - {kind} /dev/sdx1 rw\n"


def device_of(path: Path) -> str:
    number = os.stat(path).st_dev
    return f"{os.major(number)}:{os.minor(number)}"


def mounted_as(kind: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the system say that a file is on a file system of some kind."""
    mounts = path.with_name("mountinfo")
    others = _LINE.format(device="0:99999", kind="ntfs3") + "malformed\n"
    mounts.write_text(others + _LINE.format(device=device_of(path), kind=kind), encoding="utf-8")
    monkeypatch.setattr(filesystems, "_MOUNTS_BY_DEVICE", str(mounts))


@pytest.mark.parametrize(
    ("kind", "refuses"),
    [("ext4", False), ("xfs", False), ("ntfs3", True), ("fuseblk", True), ("9p", True)],
)
def test_windows_refuses_holes_on_its_own_file_systems(
    kind: str, refuses: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * MIB)
    mounted_as(kind, path, monkeypatch)
    with path.open("rb") as file:
        assert filesystems.refuses_holes(file.fileno()) == refuses
    target = FileTarget(str(path))
    target.set_length(5 * MIB)
    has_holes = os.fstat(target.fd).st_blocks * 512 < 5 * MIB
    assert has_holes != refuses
    assert target.read(0, 5 * MIB) == b"x" * MIB + bytes(4 * MIB)
    target.set_length(2 * MIB)
    assert path.stat().st_size == target.size == 2 * MIB
    target.close()


def test_where_the_system_does_not_tell_files_may_have_holes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystems, "_MOUNTS_BY_DEVICE", "/nowhere")
    with (tmp_path / "file").open("wb") as file:
        assert not filesystems.refuses_holes(file.fileno())


def test_a_range_has_room_when_it_is_allocated_and_reads_as_before(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    target = FileTarget(str(path))
    target.set_length(4 * MIB)
    target.write(b"y", 2 * MIB)
    target.allocate(0, 4 * MIB)
    assert os.fstat(target.fd).st_blocks * 512 >= 4 * MIB
    held = (b"x" * 100).ljust(2 * MIB, b"\0") + b"y"
    assert target.read(0, 4 * MIB) == held.ljust(4 * MIB, b"\0")
    target.close()


@pytest.mark.parametrize("can", [True, False])
def test_zeros_take_the_place_of_data_whether_or_not_the_system_helps(
    can: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * MIB)
    if not can:
        monkeypatch.setattr(filesystems, "_request", lambda *_: False)
    target = FileTarget(str(path))
    held = bytearray(b"x" * MIB)
    for offset, length in ((0, 4 * KIB), (8 * KIB, 256 * KIB), (300 * KIB + 1, 100 * KIB), (9, 1)):
        target.zero(offset, length)
        held[offset : offset + length] = bytes(length)
        assert target.read(0, MIB) == held
    assert os.fstat(target.fd).st_blocks * 512 >= MIB  # the space stays the file's
    target.close()


def test_a_full_medium_is_told_with_the_name_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    path = tmp_path / "file"
    path.write_bytes(bytes(100))
    target = FileTarget(str(path))
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="full") as raised:
        target.allocate(0, 100)
    assert raised.value.filename == str(path)
    target.close()
