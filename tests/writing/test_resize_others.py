"""What other programs see of disks that got another size, and file systems that stand on them."""

from __future__ import annotations

from pathlib import Path

import pytest

import vhdx_kaitai
from tests.images.structures import GIB, MIB
from tests.reading_fixtures import program, qemu_img, run_program
from tests.writing.making import assert_others_open
from vhdx_kaitai import resize
from vhdx_kaitai.errors import UnsafeError
from vhdx_kaitai.format.metadata import DiskType

pytestmark = pytest.mark.slow


def made(path: Path, size: int, data: bytes, disk_type: DiskType = "dynamic") -> Path:
    vhdx_kaitai.create(path, size, disk_type=disk_type, block_size=MIB)
    with vhdx_kaitai.open(path, writable=True) as disk:
        disk.pwrite(data, 0)
    return path


@pytest.mark.parametrize("disk_type", ["dynamic", "fixed"])
def test_others_open_a_disk_of_another_size(tmp_path: Path, disk_type: DiskType) -> None:
    data = bytes(range(1, 256)) * (5 * MIB // 255)
    path = made(tmp_path / "a.vhdx", 5 * MIB + 512, data, disk_type)
    for size in (9 * MIB, 6 * MIB, 20 * MIB):
        resize(path, size, force=True)
        assert_others_open(path, size)
        raw = tmp_path / "raw"
        qemu_img("convert", "-f", "vhdx", "-O", "raw", path, raw)
        assert raw.read_bytes() == data.ljust(size, b"\0")


def test_others_open_a_disk_with_another_bat(tmp_path: Path) -> None:
    path = made(tmp_path / "a.vhdx", 127 * GIB, b"x" * MIB)
    resize(path, 1000 * GIB)
    assert_others_open(path, 1000 * GIB)


def test_a_disk_of_qemu_gets_another_size(tmp_path: Path) -> None:
    for subformat in ("dynamic", "fixed"):
        path = tmp_path / f"{subformat}.vhdx"
        options = f"subformat={subformat},block_size=1M"
        qemu_img("create", "-q", "-f", "vhdx", "-o", options, path, "10M")
        run_program("qemu-io", "-f", "vhdx", "-c", "write -P 7 9M 1M", path)
        resize(path, 30 * MIB)
        assert b"No errors were found" in qemu_img("check", path)
        run_program("qemu-io", "-f", "vhdx", "-c", "write -P 8 29M 1M", path)
        resize(path, 10 * MIB - 512, force=True)
        assert b"No errors were found" in qemu_img("check", path)
        with vhdx_kaitai.open(path) as disk:
            assert disk.pread(disk.size, 0) == bytes(9 * MIB) + b"\7" * (MIB - 512)


def test_a_file_system_grows_with_its_disk(tmp_path: Path) -> None:
    """A whole disk of ext4, as `mkfs.ext4` makes it, and a file in it."""
    for name in ("mkfs.ext4", "debugfs", "resize2fs", "e2fsck"):
        program(name)
    raw, path, text = tmp_path / "raw", tmp_path / "a.vhdx", tmp_path / "text"
    text.write_bytes(b"a file that has to stay " * 9999)
    run_program("mkfs.ext4", "-q", "-F", raw, "24M")
    run_program("debugfs", "-w", "-R", f"write {text} text", raw)
    vhdx_kaitai.convert(raw, path, block_size=MIB)
    resize(path, 90 * MIB)
    raw.unlink()
    qemu_img("convert", "-f", "vhdx", "-O", "raw", path, raw)
    run_program("e2fsck", "-f", "-y", raw)
    run_program("resize2fs", raw)
    run_program("e2fsck", "-f", "-n", raw)
    assert run_program("debugfs", "-R", "cat text", raw) == text.read_bytes()


def test_a_file_system_on_the_whole_disk_keeps_its_end(tmp_path: Path) -> None:
    raw, path = tmp_path / "raw", tmp_path / "a.vhdx"
    run_program("mkfs.ext4", "-q", "-F", raw, "300M")
    vhdx_kaitai.convert(raw, path)
    with pytest.raises(UnsafeError, match="a file system may take the whole disk"):
        resize(path, 100 * MIB)


def test_a_gpt_is_put_in_order_by_who_made_it(tmp_path: Path) -> None:
    raw, path = tmp_path / "raw", tmp_path / "a.vhdx"
    raw.write_bytes(bytes(64 * MIB))
    run_program("sgdisk", "-n", "1:2048:20000", raw)
    vhdx_kaitai.convert(raw, path, block_size=MIB)
    for minimum, size in ((False, 100 * MIB), (True, None)):
        resize(path, size, minimum=minimum)
        raw.unlink()
        qemu_img("convert", "-f", "vhdx", "-O", "raw", path, raw)
        run_program("sgdisk", "-e", raw)
        assert b"No problems found" in run_program("sgdisk", "-v", raw)
        assert b"20000" in run_program("sgdisk", "-p", raw)
        path.unlink()
        vhdx_kaitai.convert(raw, path, block_size=MIB)
