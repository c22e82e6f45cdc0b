"""The file system is full, really: a small one, of which an image takes all there is."""

from __future__ import annotations

import errno
import gc
import os
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.copying.mounted import mounted
from tests.images.image import dynamic
from tests.images.structures import MIB
from vhdx_kaitai import WritableDisk

pytestmark = pytest.mark.slow

SYSTEMS: dict[str, tuple[int, list[str]]] = {
    "ext4": (24 * MIB, ["mkfs.ext4", "-q", "-O", "^has_journal"]),
    "ext4 with small blocks": (24 * MIB, ["mkfs.ext4", "-q", "-b", "1024", "-O", "^has_journal"]),
    "ext4 with a journal": (32 * MIB, ["mkfs.ext4", "-q"]),
    "xfs": (320 * MIB, ["mkfs.xfs", "-q"]),
}
_SIZE = 600 * MIB


def new_image(kind: str, folder: Path, block_size: int) -> Path:
    path = folder / "disk.vhdx"
    if kind == "dynamic":
        vhdx_kaitai.create(path, _SIZE, block_size=block_size)
        return path
    parent = dynamic(_SIZE, block_size=block_size).build()
    parent.write(folder / "parent.vhdx")
    vhdx_kaitai.create(path, _SIZE, parent=folder / "parent.vhdx", block_size=block_size)
    return path


def filled(disk: WritableDisk, held: dict[int, bytes], step: int, flushes: int) -> None:
    """Write until the file system is full."""
    for number, offset in enumerate(range(0, disk.size, step)):
        data = bytes([number % 251 + 1]) * (MIB if step == MIB else 70_000)
        try:
            disk.pwrite(data, offset)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return
        held[offset] = data
        if flushes and number % flushes == flushes - 1:
            disk.flush()
    raise AssertionError("the file system has more room than the disk takes")


def store_log(path: Path) -> None:
    """Let no part of the log be a hole, nor of the metadata and the BAT."""
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, 4 * MIB)


def fills_the_file_system(path: Path, step: int, flushes: int) -> None:
    held: dict[int, bytes] = {}
    with vhdx_kaitai.open(path, writable=True) as disk:
        filled(disk, held, step, flushes)
        held[0] = b"again" * 100
        disk.pwrite(held[0], 0)
        disk.flush()
        disk.discard(MIB, 2 * MIB)
        held = {at: data for at, data in held.items() if not MIB - 70_000 < at < 3 * MIB}
        disk.flush()
        last = max(held)
        held[last] = b"late" * 100
        disk.pwrite(held[last], last)
    report = vhdx_kaitai.check(path)
    assert [str(f) for f in report.findings if f.level in ("error", "warning")] == []
    with vhdx_kaitai.open(path, replay="refuse") as disk:
        assert disk.pread(2 * MIB, MIB) == bytes(2 * MIB)
        for offset, data in held.items():
            assert disk.pread(len(data), offset) == data


@pytest.mark.parametrize("flushes", [0, 4])
@pytest.mark.parametrize("kind", ["dynamic", "child"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_disk_goes_on_with_what_is_there_when_the_file_system_is_full(
    system: str, kind: str, flushes: int, tmp_path: Path
) -> None:
    size, maker = SYSTEMS[system]
    with mounted(tmp_path, size, *maker) as folder:
        path = new_image(kind, folder, MIB)
        store_log(path)
        fills_the_file_system(path, MIB if system == "xfs" else 100_000, flushes)
        gc.collect()  # errors may hold files


@pytest.mark.parametrize("kind", ["dynamic", "child"])
def test_a_new_image_has_room_for_its_log(kind: str, tmp_path: Path) -> None:
    size, maker = SYSTEMS["ext4"]
    with mounted(tmp_path, size, *maker) as folder:
        path = new_image(kind, folder, MIB)
        try:
            fills_the_file_system(path, 100_000, 0)
        except OSError as error:
            raise error.with_traceback(None) from None
        finally:
            gc.collect()
