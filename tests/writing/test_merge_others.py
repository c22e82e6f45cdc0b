"""What other programs read of a disk into which a child was merged."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

import vhdx_kaitai
from tests.images.structures import MIB
from tests.reading_fixtures import qemu_img, run_program
from tests.writing.making import assert_clean, assert_others_open
from vhdx_kaitai import merge
from vhdx_kaitai.format.metadata import DiskType

pytestmark = pytest.mark.slow

SIZE = 12 * MIB


def written(path: Path, seed: int, held: bytearray) -> Path:
    """Write to a disk, and to what it has to hold."""
    chance = random.Random(seed)
    with vhdx_kaitai.open(path, writable=True) as disk:
        for _ in range(12):
            start = chance.randrange(0, SIZE - 1)
            end = min(SIZE, start + chance.randrange(1, 2 * MIB))
            data = chance.randbytes(end - start) if chance.random() < 0.7 else bytes(end - start)
            if any(data):
                disk.pwrite(data, start)
            else:
                disk.zero(start, end - start)
            held[start:end] = data
    return path


def family(folder: Path, disk_type: DiskType, **options: Any) -> tuple[list[Path], bytes]:
    """Make a disk, its child and a child of that, and return them with what the last one holds."""
    held = bytearray(SIZE)
    paths = [folder / name for name in ("base.vhdx", "one.avhdx", "two.avhdx")]
    vhdx_kaitai.create(paths[0], SIZE, disk_type=disk_type, block_size=MIB, **options)
    written(paths[0], 1, held)
    for number in (1, 2):
        vhdx_kaitai.create(paths[number], parent=paths[number - 1], block_size=2 * MIB)
        written(paths[number], number + 1, held)
    return paths, bytes(held)


@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("disk_type", ["dynamic", "fixed"])
def test_others_read_what_was_merged(tmp_path: Path, disk_type: DiskType, sector: int) -> None:
    paths, held = family(tmp_path, disk_type, logical_sector_size=sector)
    merge(paths[2], into=paths[0], delete=True)
    assert [path.exists() for path in paths] == [True, False, False]
    assert_clean(paths[0])
    assert_others_open(paths[0], SIZE, sector=sector)
    if sector == 512:
        raw = tmp_path / "raw"
        qemu_img("convert", "-f", "vhdx", "-O", "raw", paths[0], raw)
        assert raw.read_bytes() == held
    if disk_type == "dynamic":
        run_program(("7z", "7zz"), "x", "-tVHDX", f"-o{tmp_path / 'x'}", paths[0])
        (out,) = (tmp_path / "x").iterdir()
        assert out.read_bytes() == held


def test_a_parent_that_qemu_has_made_is_merged_into(tmp_path: Path) -> None:
    base, child, raw = (tmp_path / name for name in ("base.vhdx", "child.avhdx", "raw"))
    options = "subformat=dynamic,block_size=1M"
    qemu_img("create", "-q", "-f", "vhdx", "-o", options, base, str(SIZE))
    run_program("qemu-io", "-f", "vhdx", "-c", "write -P 7 1M 3M", base)
    vhdx_kaitai.create(child, parent=base)
    held = bytearray(SIZE)
    held[MIB : 4 * MIB] = b"\7" * (3 * MIB)
    written(child, 5, held)
    merge(child)
    qemu_img("convert", "-f", "vhdx", "-O", "raw", base, raw)
    assert raw.read_bytes() == held
    with vhdx_kaitai.open(child) as disk:
        assert disk.pread(SIZE, 0) == held
    run_program("qemu-io", "-f", "vhdx", "-c", "write -P 8 0 1M", base)
    with pytest.raises(vhdx_kaitai.ParentMismatchError):
        vhdx_kaitai.open(child)
