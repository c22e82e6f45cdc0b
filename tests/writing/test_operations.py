"""A disk with a file system on it goes through all operations, and all others still read it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest

import vhdx_kaitai
from tests.differential.test_readers import READERS
from tests.reading.extfs_fixtures import e2fsprogs, make_ext
from tests.reading_fixtures import qemu_img, run_program
from vhdx_kaitai.units import MIB

pytestmark = pytest.mark.slow

SIZE = 48 * MIB
NAMES = [f"file-{number}" for number in range(6)]


class FileSystem(NamedTuple):
    """What makes a file system with files in a raw image, and tells that it is in order.

    Attributes:
        fill: Makes the image, with the files of a folder.
        digests: Checks the file system of an image, and returns the digest of each file.
    """

    fill: Callable[[Path, Path], None]
    digests: Callable[[Path], dict[str, str]]


def _fill_ext(raw: Path, folder: Path) -> None:
    make_ext(raw, "-t", "ext4", size=SIZE, files=folder)


def _digests_of_ext(raw: Path) -> dict[str, str]:
    e2fsprogs("e2fsck", "-fn", raw)
    found = {}
    for name in NAMES:
        e2fsprogs("debugfs", "-R", f"dump {name} {raw}.out", raw)
        found[name] = digest(Path(f"{raw}.out").read_bytes())
    return found


def _fill_ntfs(raw: Path, folder: Path) -> None:
    with raw.open("wb") as file:
        file.truncate(SIZE)
    run_program("mkntfs", "-F", "-Q", "-q", raw)
    for name in NAMES:
        run_program("ntfscp", "-q", raw, folder / name, name)


def _digests_of_ntfs(raw: Path) -> dict[str, str]:
    run_program("ntfsfix", "-n", raw)
    return {name: digest(run_program("ntfscat", raw, name)) for name in NAMES}


FILE_SYSTEMS = {
    "ext4": FileSystem(_fill_ext, _digests_of_ext),
    "ntfs": FileSystem(_fill_ntfs, _digests_of_ntfs),
}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Life:
    """A disk, and what has to be on it whatever is done to its images."""

    def __init__(self, folder: Path, kind: FileSystem) -> None:
        files, self.raw, self.kind = folder / "files", folder / "disk.raw", kind
        files.mkdir()
        chance = random.Random(3)
        for name in NAMES:
            (files / name).write_bytes(chance.randbytes(chance.randrange(1, 5 * MIB)))
        kind.fill(self.raw, files)
        self.bytes = self.raw.read_bytes()
        self.digests = {name: digest((files / name).read_bytes()) for name in NAMES}

    def assert_is_on(self, *chain: Path, size: int = SIZE, but: str = "") -> None:
        """Show that readers find in an image, with its parents after it, what has to be there.

        Args:
            chain: The files.
            size: Of the disk, in bytes.
            but: A reader that cannot read it.
        """
        assert [f for f in vhdx_kaitai.check(chain[0]).findings if f.level != "note"] == []
        with vhdx_kaitai.open(chain[0]) as disk:
            held = disk.pread(disk.size, 0)
        assert len(held) == size
        assert digest(held) == digest(self.bytes.ljust(size, b"\0"))
        for name in set(READERS) - {but}:
            with READERS[name](list(reversed(chain))) as view:
                assert digest(view.read(0, view.size)) == digest(held), name
        raw = chain[0].with_suffix(".after")
        if len(chain) == 1:
            qemu_img("convert", "-f", "vhdx", "-O", "raw", chain[0], raw)
            assert digest(raw.read_bytes()) == digest(held)
        raw.write_bytes(held[:SIZE])
        assert self.kind.digests(raw) == self.digests


@pytest.fixture(params=FILE_SYSTEMS)
def life(request: pytest.FixtureRequest, tmp_path: Path) -> Life:
    return Life(tmp_path, FILE_SYSTEMS[request.param])


@pytest.mark.parametrize("disk_type", ["dynamic", "fixed"])
def test_a_disk_goes_through_all_operations(
    life: Life, tmp_path: Path, disk_type: vhdx_kaitai.DiskType
) -> None:
    path = tmp_path / "disk.vhdx"
    vhdx_kaitai.convert(life.raw, path, raw=True, block_size=MIB, disk_type=disk_type)
    life.assert_is_on(path)
    vhdx_kaitai.resize(path, SIZE + 20 * MIB)
    life.assert_is_on(path, size=SIZE + 20 * MIB)
    vhdx_kaitai.resize(path, SIZE, force=True)
    life.assert_is_on(path)
    vhdx_kaitai.edit(path, disk_id=uuid4(), physical_sector_size=512)
    life.assert_is_on(path)
    vhdx_kaitai.compact(path, punch=True)
    life.assert_is_on(path)
    with path.open("r+b") as file:  # the header that is not current
        file.seek(0x10000)
        file.write(b"gone")
    vhdx_kaitai.repair(path, write=True)
    life.assert_is_on(path)


def test_a_chain_goes_through_all_operations(life: Life, tmp_path: Path) -> None:
    base, child = tmp_path / "base.vhdx", tmp_path / "child.avhdx"
    vhdx_kaitai.convert(life.raw, base, raw=True, block_size=2 * MIB)
    vhdx_kaitai.create(child, parent=base, block_size=MIB)
    with vhdx_kaitai.open(child, writable=True) as disk:
        disk.pwrite(b"#" * (3 * MIB), 5 * MIB + 512)
        disk.zero(20 * MIB, 4 * MIB)
        disk.pwrite(life.bytes[5 * MIB : 9 * MIB], 5 * MIB)
        disk.pwrite(life.bytes[20 * MIB : 24 * MIB], 20 * MIB)
    life.assert_is_on(child, base)
    vhdx_kaitai.compact(child)  # no sector bitmap is left: libvhdi takes the file's start for one
    life.assert_is_on(child, base, but="libvhdi")
    packed = tmp_path / "packed.vhdx"
    vhdx_kaitai.compact(base, to=packed)
    life.assert_is_on(packed)
    vhdx_kaitai.rebase(child, packed)
    life.assert_is_on(child, packed, but="libvhdi")
    empty = tmp_path / "empty.vhdx"
    vhdx_kaitai.create(empty, SIZE)
    vhdx_kaitai.rebase(child, empty, copy=True)
    life.assert_is_on(child, empty)
    vhdx_kaitai.convert(child, tmp_path / "one.vhdx")
    life.assert_is_on(tmp_path / "one.vhdx")
