"""A disk with NTFS on which much was written and deleted becomes small again."""

from __future__ import annotations

import hashlib
import random
import shutil
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.images.partitioned import gpt, mbr
from tests.reading.ntfs_fixtures import make_ntfs, mounted_ntfs, ntfs3g
from vhdx_kaitai import compact
from vhdx_kaitai.errors import UnsafeError
from vhdx_kaitai.units import MIB

pytestmark = pytest.mark.slow

SIZE = 128 * MIB


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """A file system with files of which half were deleted, and hashes of those that stay."""
    path = make_ntfs(tmp_path_factory.mktemp("ntfs") / "system.raw", size=SIZE)
    chance, kept = random.Random(11), {}
    with mounted_ntfs(path) as folder:
        for number in range(12):
            data = chance.randbytes(5 * MIB)
            (folder / f"{number}").write_bytes(data)
            if number % 3 == 0:
                kept[f"{number}"] = hashlib.sha256(data).digest()
        for number in range(12):
            if f"{number}" not in kept:
                (folder / f"{number}").unlink()
    return path, kept


def assert_files_are_there(image: Path, start: int, kept: dict[str, bytes]) -> None:
    """Show that the file system is in order, and that each kept file has its bytes."""
    system = image.with_suffix(".system")
    with vhdx_kaitai.open(image) as disk, open(system, "wb") as file:
        for at in range(start, start + SIZE, MIB):
            file.write(disk.pread(MIB, at))
    ntfs3g("ntfsfix", "-n", system)
    ntfs3g("ntfsresize", "-i", "-f", system)  # which compares the bitmap with all files
    for name, digest in kept.items():
        assert hashlib.sha256(ntfs3g("ntfscat", "-f", system, name)).digest() == digest, name


def on_a_disk(tmp_path: Path, head: bytes, system: Path) -> Path:
    """An image of a disk on which a file system follows a table of partitions, or nothing."""
    raw = tmp_path / "disk.raw"
    with open(raw, "wb") as file:
        file.write(head)
        file.write(system.read_bytes())
        file.write(bytes(MIB if head else 0))
    image = tmp_path / "disk.vhdx"
    vhdx_kaitai.convert(raw, image, raw=True, block_size=MIB, durable=False)
    return image


def head_of_gpt() -> bytes:
    """The first MiB of a disk with one partition; the copy of the table is not there."""
    sectors = (MIB + SIZE) // 512 + 34
    pieces = gpt(sectors, [(2048, 2047 + SIZE // 512)])
    return b"".join(pieces[at].ljust(512, b"\0") for at in (0, 1, 2)).ljust(MIB, b"\0")


HEADS = {
    "whole disk": b"",
    "MBR": mbr((7, 2048, SIZE // 512)).ljust(MIB, b"\0"),
    "GPT": head_of_gpt(),
}


@pytest.mark.parametrize("where", HEADS)
def test_files_stay_and_deleted_ones_take_no_space(
    where: str, filled: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    system, kept = filled
    image = on_a_disk(tmp_path, HEADS[where], system)
    before = image.stat().st_size
    compact(image, free_space=True, punch=where == "MBR")
    assert image.stat().st_size < before - 35 * MIB
    assert_files_are_there(image, len(HEADS[where]), kept)
    assert vhdx_kaitai.check(image).verdict == "clean"


def test_who_is_in_doubt_is_compacted_only_by_force(
    filled: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    system = shutil.copyfile(filled[0], tmp_path / "system.raw")
    kept = filled[1]
    ntfs3g("ntfsfix", system)
    image = on_a_disk(tmp_path, b"", system)
    before = image.read_bytes()
    with pytest.raises(UnsafeError, match=r"at 0 was not cleanly unmounted, so .* --force"):
        compact(image, free_space=True)
    assert image.read_bytes() == before
    compact(image, free_space=True, force=True)
    assert image.stat().st_size < len(before) - 35 * MIB
    assert_files_are_there(image, 0, kept)
