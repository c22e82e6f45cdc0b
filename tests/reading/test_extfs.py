"""Blocks that ext file systems have free are those that e2fsprogs says, and none besides."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.reading.extfs_fixtures import e2fsprogs, free_in, make_ext
from vhdx_kaitai.errors import UnsupportedError
from vhdx_kaitai.reading.extfs import ExtFileSystem
from vhdx_kaitai.reading.volumes import Volume

SUPERBLOCK = 1024


def free_by_us(path: Path, block_size: int) -> set[int]:
    """Blocks that are free, as a disk says that holds the file system alone."""
    image = path.with_suffix(".vhdx")
    vhdx_kaitai.convert(path, image, raw=True, replace=True, block_size=1 << 20, durable=False)
    with vhdx_kaitai.open(image) as disk:
        system = ExtFileSystem(disk, Volume(0, disk.size))
        assert ExtFileSystem.is_in(disk, Volume(0, disk.size))
        return {
            block
            for start, end in system.free()
            for block in range(start // block_size, end // block_size)
        }


KINDS = {
    "ext4": ("-t", "ext4", "-b", "4096"),
    "ext3": ("-t", "ext3", "-b", "4096"),
    "ext2": ("-t", "ext2", "-b", "4096"),
    "old": ("-t", "ext2", "-b", "4096", "-r", "0"),
    "32 bit": ("-t", "ext4", "-b", "4096", "-O", "^64bit"),
    "flags without checksums of all": (
        "-t",
        "ext4",
        "-b",
        "4096",
        "-O",
        "^metadata_csum,uninit_bg",
    ),
    "many groups": ("-t", "ext4", "-b", "4096", "-g", "1024"),
    "no copies": ("-t", "ext4", "-b", "4096", "-g", "1024", "-O", "sparse_super2"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_free_is_what_others_say(kind: str, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    chance = random.Random(kind)
    for number in range(30):
        (files / f"{number}").write_bytes(chance.randbytes(chance.randrange(300_000)))
    path = make_ext(tmp_path / "a.raw", *KINDS[kind], files=files)
    ours, theirs = free_by_us(path, 4096), free_in(path)
    assert ours <= theirs
    if kind not in ("no copies", "many groups"):  # there, copies are taken to be everywhere
        assert ours == theirs
    assert len(ours) > len(theirs) * 0.8


@pytest.mark.slow
@pytest.mark.parametrize("size", [1024, 2048])
def test_small_blocks_count_from_another_one(size: int, tmp_path: Path) -> None:
    path = make_ext(tmp_path / "a.raw", "-t", "ext4", "-b", size)
    ours, theirs = free_by_us(path, size), free_in(path)
    assert ours <= theirs
    assert len(ours) > len(theirs) * 0.9


@pytest.mark.slow
def test_who_was_not_unmounted_is_not_clean(tmp_path: Path) -> None:
    path = make_ext(tmp_path / "a.raw")
    for command, is_clean in (("", True), ("feature needs_recovery", False), ("dirty", False)):
        if command:
            e2fsprogs("debugfs", "-w", "-R", command, path)
        image = tmp_path / "a.vhdx"
        vhdx_kaitai.convert(path, image, raw=True, replace=True, durable=False)
        with vhdx_kaitai.open(image) as disk:
            doubt = ExtFileSystem(disk, Volume(0, disk.size)).doubt
            assert (doubt is None) == is_clean


@pytest.mark.slow
def test_what_is_damaged_or_unknown_is_refused_and_nothing_else_raised(tmp_path: Path) -> None:
    """Any bytes give ranges inside the volume, or a refusal."""
    path = make_ext(tmp_path / "a.raw", "-t", "ext4", "-b", "4096", size=20 << 20)
    image = tmp_path / "a.vhdx"
    vhdx_kaitai.convert(path, image, raw=True, block_size=1 << 20, durable=False)
    chance, refused = random.Random(1), 0
    with vhdx_kaitai.open(image, writable=True) as disk:
        volume = Volume(0, disk.size)
        head = disk.pread(8192, 0)
        for number in range(600):
            at = SUPERBLOCK + number if number < 400 else 4096 + number - 400
            disk.pwrite(bytes([head[at] ^ chance.randrange(1, 256)]), at)
            try:
                free = list(ExtFileSystem(disk, volume).free())
            except UnsupportedError:
                refused += 1
            else:
                assert all(0 <= start < end <= disk.size for start, end in free)
            disk.pwrite(head[at : at + 1], at)
    assert refused > 50


@pytest.mark.slow
def test_a_bitmap_that_contradicts_its_descriptor_is_refused(tmp_path: Path) -> None:
    path = make_ext(tmp_path / "a.raw", "-t", "ext4", "-b", "4096")
    data = bytearray(path.read_bytes())
    bitmap = int.from_bytes(data[4096:4100], "little") * 4096
    data[bitmap + 900] ^= 1
    path.write_bytes(data)
    with pytest.raises(UnsupportedError, match="by its bitmap"):
        free_by_us(path, 4096)


@pytest.mark.slow
@pytest.mark.parametrize("options", [("-O", "bigalloc"), ("-O", "meta_bg,^resize_inode")])
def test_what_is_not_known_is_refused(options: tuple[str, ...], tmp_path: Path) -> None:
    path = make_ext(tmp_path / "a.raw", "-t", "ext4", "-b", "4096", *options)
    with pytest.raises(UnsupportedError, match=r"not known here(?! \(0x0\))"):
        free_by_us(path, 4096)
