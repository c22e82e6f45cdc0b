"""A disk that is written to a block device: zeros are written, too, and what was there goes."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.commands.launching import assert_failed
from tests.conftest import Files, Run
from tests.copying.devices import BEFORE, SIZE, device, fake, loop, loop_device
from tests.images.image import Block, Built, dynamic
from tests.images.sparse import Sparse, pattern
from tests.images.structures import KIB, MIB
from tests.reading_fixtures import assert_same, contents, needs_proc, open_descriptors
from tests.support import files_in
from vhdx_kaitai.storage import filesystems

__all__ = ["device", "fake", "loop"]  # fixtures


def disk() -> Built:
    """Return a disk of 10 MiB: data, zeros that are stored, and zeros that are not."""
    page: dict[int, Any] = {64 * KIB: pattern(3, 64 * KIB, 4096)}
    blocks = {
        1: Block(),
        2: Block(data=Sparse(MIB, {0: bytes(MIB)})),
        5: Block(data=Sparse(MIB, {0: bytes(MIB), **page})),
    }
    return dynamic(10 * MIB, blocks=blocks).build()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return disk().write(tmp_path / "disk.vhdx")


def test_a_device_holds_the_disk_and_after_it_what_it_held(
    path: Path, device: Path, run: Run
) -> None:
    assert run("convert", path, device, "--force") == (0, "", "")
    whole = contents(disk().model)
    assert_same(device.read_bytes(), whole + BEFORE[len(whole) :])


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 1), (MIB - 1, 2), (5, 4 * MIB), (5 * MIB + 77, 5 * MIB - 77)]
)
def test_so_it_does_with_a_range(
    offset: int, length: int, path: Path, device: Path, run: Run
) -> None:
    options = ("--offset", offset, "--length", length)
    assert run("read", path, "-o", device, *options, "--force") == (0, "", "")
    part = contents(disk().model)[offset : offset + length]
    assert_same(device.read_bytes(), part + BEFORE[length:])


def test_zeros_are_written_where_a_device_cannot_make_them(
    path: Path, device: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystems, "_request", lambda *_: False)
    assert run("convert", path, device, "--force").status == 0
    whole = contents(disk().model)
    assert_same(device.read_bytes(), whole + BEFORE[len(whole) :])


def test_what_is_lost_becomes_zeros(tmp_path: Path, device: Path, run: Run) -> None:
    path = dynamic(blocks={0: Block(), 1: Block()}).build().write(tmp_path / "cut.vhdx")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - MIB)
    assert run("convert", path, device, "--force", "--salvage").status == 3
    assert run("convert", path, tmp_path / "raw", "--salvage").status == 3
    whole = (tmp_path / "raw").read_bytes()
    assert whole.count(0) > MIB
    assert_same(device.read_bytes(), whole + BEFORE[len(whole) :])


def test_it_is_overwritten_when_that_is_asked_for(path: Path, device: Path, run: Run) -> None:
    assert_failed(run("convert", path, device), 1, f"{device}: ", "--force")
    assert device.read_bytes() == BEFORE


def test_a_link_to_a_device_will_do(tmp_path: Path, path: Path, device: Path, run: Run) -> None:
    link = tmp_path / "by-name"
    link.symlink_to(device)
    assert run("convert", path, link, "--force").status == 0
    assert link.is_symlink()
    assert_same(device.read_bytes()[: 10 * MIB], contents(disk().model))


def test_a_device_that_is_too_small_stays_as_it_is(tmp_path: Path, device: Path, run: Run) -> None:
    path = dynamic(SIZE + MIB, blocks={0: Block()}).build().write(tmp_path / "large.vhdx")
    outcome = run("convert", path, device, "--force")
    said = f"{device}: the device is {SIZE} bytes long, expected at least {SIZE + MIB}"
    assert_failed(outcome, 1, said)
    assert device.read_bytes() == BEFORE
    assert run("read", path, "-o", device, "--length", SIZE, "--force").status == 0


def test_so_does_one_that_is_mounted(
    tmp_path: Path, path: Path, device: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mounts"
    link = tmp_path / "by name"
    link.symlink_to(device)
    name = str(link).replace(" ", "\\040")
    mounts.write_text(
        f"proc /proc proc rw 0 0\n/nowhere /a ext4 rw 0 0\n{name} /my\\040disk ext4 rw 0 0\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(filesystems, "_MOUNTS", str(mounts))
    if not device.is_block_device():
        monkeypatch.setattr(filesystems, "is_same_device", os.path.samestat)
    assert_failed(run("convert", path, device, "--force"), 1, f"{device}: is mounted at /my disk")
    assert device.read_bytes() == BEFORE


def test_the_system_need_not_tell_what_is_mounted(
    path: Path, device: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystems, "_MOUNTS", "/nowhere/mounts")
    assert run("convert", path, device, "--force").status == 0


def test_a_mounted_file_system_is_not_overwritten(tmp_path: Path, path: Path, run: Run) -> None:
    backing, place = tmp_path / "backing", tmp_path / "mounted"
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("a file system takes mkfs.ext4")
    with backing.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.ext4", "-q", backing], check=True)
    before = backing.read_bytes()
    device = loop_device(backing)
    place.mkdir()
    mounted = subprocess.run(["mount", "-o", "ro", device, place], capture_output=True, check=False)
    try:
        if mounted.returncode:
            pytest.skip(f"nothing can be mounted: {mounted.stderr.decode().strip()}")
        try:
            outcome = run("convert", path, device, "--force")
            assert_failed(outcome, 1, f"{device}: is mounted at {place}")
        finally:
            subprocess.run(["umount", place], check=True)
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)
    assert backing.read_bytes() == before


def test_so_does_one_that_is_in_use(path: Path, loop: Path, run: Run) -> None:
    """As the part of a RAID is, or a disk with a partition that is mounted."""
    holder = os.open(loop, os.O_RDONLY | os.O_EXCL)
    try:
        outcome = run("convert", path, loop, "--force")
    finally:
        os.close(holder)
    assert_failed(outcome, 1, f"{loop}: the device or a part of it is in use")
    assert loop.read_bytes() == BEFORE


@pytest.mark.parametrize("writer", [["convert"], ["read", "-o"]], ids=" ".join)
def test_an_image_on_a_device_is_not_overwritten_with_itself(
    writer: list[str], tmp_path: Path, path: Path, loop: Path, run: Run
) -> None:
    """Nor by another name of the device."""
    with loop.open("r+b") as file:
        file.write(path.read_bytes())
    before = loop.read_bytes()
    node = tmp_path / "node"
    os.mknod(node, 0o600 | loop.stat().st_mode, loop.stat().st_rdev)
    command, *rest = writer
    for name in (loop, node):
        outcome = run(command, loop, *rest, name, "--force")
        assert_failed(outcome, 1, f"{name}: is an image of the disk itself")
    assert loop.read_bytes() == before


@pytest.mark.parametrize(
    "words",
    [["metadump", "IMAGE", "OUT"], ["check", "IMAGE", "--sarif", "OUT"], ["ksy", "-o", "OUT"]],
    ids=lambda words: words[0],
)
def test_nothing_else_is_written_to_a_device(
    words: list[str], files: Files, loop: Path, run: Run
) -> None:
    names = {"IMAGE": files.good("odd-sectors"), "OUT": loop}
    outcome = run(*(names.get(word, word) for word in words), "--force")
    assert_failed(outcome, 1, f"{loop}: not a regular file")
    assert loop.read_bytes() == BEFORE


def test_all_is_on_the_device_at_the_end(
    path: Path, device: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []

    def fail(fd: int) -> None:
        synced.append(os.fstat(fd).st_ino)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    assert_failed(run("convert", path, device, "--force"), 1, f"{device}: Input/output error")
    assert synced == [device.stat().st_ino]


@needs_proc
def test_what_was_written_before_a_failure_stays(
    tmp_path: Path, path: Path, device: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.pwrite
    before = open_descriptors()

    def fail(fd: int, data: bytes, at: int) -> int:
        if at >= 5 * MIB:
            raise OSError(errno.EIO, "Input/output error")
        return write(fd, data, at)

    monkeypatch.setattr(os, "pwrite", fail)
    others = files_in(tmp_path)
    assert_failed(run("convert", path, device, "--force"), 1, f"{device}: Input/output error")
    assert_same(device.read_bytes()[MIB : 2 * MIB], contents(disk().model)[MIB : 2 * MIB])
    assert device.read_bytes()[10 * MIB :] == BEFORE[10 * MIB :]
    assert open_descriptors() == before
    assert files_in(tmp_path) == others
