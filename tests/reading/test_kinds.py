"""What is in a volume is told by how it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

import vhdx_kaitai
from tests.images.image import Block, dynamic
from tests.images.structures import MIB
from tests.reading_fixtures import run_program
from tests.serving.making import blank, image_of
from vhdx_kaitai.reading.kinds import kinds_in
from vhdx_kaitai.reading.volumes import Volume


def kinds_of(data: bytes, start: int = 0, end: int = 2 * MIB) -> list[str]:
    """What a volume of a disk looks like that begins with some bytes at its start."""
    whole = (bytes(start) + data).ljust(MIB, b"\0")
    image = dynamic(2 * MIB, blocks={0: Block(data=whole)})
    with vhdx_kaitai.open(image.build().to_bytes()) as disk:
        return list(kinds_in(disk, Volume(start, end)))


MARKS = {
    "ext": (1080, b"\x53\xef"),
    "NTFS": (3, b"NTFS    "),
    "XFS": (0, b"XFSB"),
    "Btrfs": (0x10040, b"_BHRfS_M"),
    "ReFS": (3, b"ReFS\0\0\0\0"),
    "exFAT": (3, b"EXFAT   "),
    "FAT": (82, b"FAT32   "),
    "BitLocker": (3, b"-FVE-FS-"),
    "LUKS": (0, b"LUKS\xba\xbe"),
    "LVM": (512, b"LABELONE"),
    "swap": (4086, b"SWAPSPACE2"),
}


@pytest.mark.parametrize("kind", MARKS)
@pytest.mark.parametrize("start", [0, 64 << 10])
def test_each_kind_has_its_mark(kind: str, start: int) -> None:
    at, mark = MARKS[kind]
    assert kinds_of(bytes(at) + mark, start) == [kind]
    assert kinds_of(bytes(at) + mark, start, start + at + len(mark)) == [kind]
    assert kinds_of(bytes(at) + mark, start, start + at + len(mark) - 1) == []


def test_nothing_and_several_are_told() -> None:
    assert kinds_of(b"") == []
    assert kinds_of(b"XFSB".ljust(1080, b"\0") + b"\x53\xef") == ["ext", "XFS"]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("FAT", ["mkfs.vfat", "-F", "12"]),
        ("FAT", ["mkfs.vfat", "-F", "16"]),
        ("FAT", ["mkfs.vfat", "-F", "32"]),
        ("swap", ["mkswap"]),
        ("ext", ["mke2fs", "-q", "-F"]),
        ("NTFS", ["mkntfs", "-q", "-F", "-Q"]),
    ],
)
def test_what_programs_make_has_the_mark(kind: str, words: list[str], tmp_path: Path) -> None:
    raw = blank(tmp_path / "disk.raw", (4 if "12" in words else 64) * MIB)
    run_program(*words, raw)
    with vhdx_kaitai.open(image_of(raw)) as disk:
        assert list(kinds_in(disk, Volume(0, disk.size))) == [kind]
