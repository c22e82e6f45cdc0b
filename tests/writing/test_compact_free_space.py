"""A disk as WSL and Docker have it, on which much was written and deleted, becomes small again."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.reading.extfs_fixtures import e2fsprogs, make_ext
from vhdx_kaitai import compact
from vhdx_kaitai.errors import UnsafeError
from vhdx_kaitai.units import MIB

pytestmark = pytest.mark.slow


def filled(tmp_path: Path, size: int, kept: int, deleted: int, *, block_size: int = MIB) -> Path:
    """An image of a file system, all over the disk, with files of MiBs of which some were deleted.

    Their sum is told in MiB. What is kept lies amid what was deleted, in files of a few MiB.
    """
    raw = make_ext(tmp_path / "disk.raw", "-t", "ext4", size=size)
    chance = random.Random(7)
    commands, left, number = [], {True: kept, False: deleted}, 0
    while any(left.values()):
        is_kept = chance.random() < left[True] / sum(left.values())
        length = min(left[is_kept], 10)
        name = f"{'kept' if is_kept else 'deleted'}-{number}"
        (tmp_path / name).write_bytes(chance.randbytes(length * MIB))
        commands.append(f"write {tmp_path / name} {name}")
        left[is_kept], number = left[is_kept] - length, number + 1
    commands += [f"rm {path.name}" for path in sorted(tmp_path.glob("deleted-*"))]
    script = tmp_path / "script"
    script.write_text("\n".join(commands) + "\n")
    e2fsprogs("debugfs", "-w", "-f", script, raw)
    image = tmp_path / "disk.vhdx"
    vhdx_kaitai.convert(raw, image, raw=True, block_size=block_size, durable=False)
    raw.unlink()
    return image


def assert_files_are_there(tmp_path: Path, image: Path) -> None:
    """Show that the file system is in order, and that each kept file has its bytes."""
    raw = tmp_path / "after.raw"
    with vhdx_kaitai.open(image) as disk, open(raw, "wb") as file:
        for extent in disk.extents():
            if extent.kind != "zero":
                for at in range(extent.offset, extent.offset + extent.length, MIB):
                    file.seek(at)
                    file.write(disk.pread(min(MIB, extent.offset + extent.length - at), at))
        file.truncate(disk.size)
    e2fsprogs("e2fsck", "-fn", raw)
    for path in tmp_path.glob("kept-*"):
        out = tmp_path / "out"
        e2fsprogs("debugfs", "-R", f"dump {path.name} {out}", raw)
        one, other = (hashlib.sha256(p.read_bytes()).digest() for p in (path, out))
        assert one == other, path.name


@pytest.mark.parametrize("punch", [False, True])
def test_files_stay_and_deleted_ones_take_no_space(tmp_path: Path, punch: bool) -> None:
    image = filled(tmp_path, 256 * MIB, 20, 60)
    before = image.stat().st_size
    told = compact(image, free_space=True, punch=punch, dry_run=True)
    assert "blocks that no file needs" in {change.what for change in told.changes}
    assert compact(image, free_space=True, punch=punch).changes == told.changes
    assert image.stat().st_size < before - 50 * MIB
    assert_files_are_there(tmp_path, image)
    assert vhdx_kaitai.check(image).verdict == "clean"


def test_large_blocks_are_punched(tmp_path: Path) -> None:
    """Of blocks of 32 MiB hardly one is free as a whole; their space goes all the same."""
    image = filled(tmp_path, 256 * MIB, 20, 60, block_size=32 * MIB)
    compact(image, free_space=True, punch=True)
    assert image.stat().st_blocks * 512 < 1.5 * 20 * MIB
    assert_files_are_there(tmp_path, image)


def test_a_child_gives_back_what_is_free(tmp_path: Path) -> None:
    base = filled(tmp_path, 256 * MIB, 20, 60)
    child = tmp_path / "child.vhdx"
    vhdx_kaitai.create(child, parent=base, block_size=MIB)
    with vhdx_kaitai.open(child, writable=True) as disk, open(base, "rb"):
        for extent in list(disk.extents()):
            if extent.kind != "zero":
                disk.pwrite(disk.pread(extent.length, extent.offset), extent.offset)
    before = child.stat().st_size
    with pytest.raises(UnsafeError, match="child"):
        compact(base, free_space=True)
    compact(child, free_space=True)
    assert child.stat().st_size < before - 50 * MIB
    assert_files_are_there(tmp_path, child)


def test_a_disk_of_two_gib_becomes_small(tmp_path: Path) -> None:
    """300 MiB were written and deleted, 200 MiB are in use; `docs/writing.md` says the sizes."""
    image = filled(tmp_path, 2048 * MIB, 200, 300)
    before = image.stat().st_size
    compact(image, free_space=True)
    after = image.stat().st_size
    print(f"{before / MIB:.0f} MiB before, {after / MIB:.0f} MiB after")
    assert before > 500 * MIB
    assert after < 1.15 * 200 * MIB
    assert_files_are_there(tmp_path, image)
