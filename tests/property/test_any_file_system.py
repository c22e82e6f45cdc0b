"""Whatever stands in a file system, looking into it ends, and with nothing but an error of ours."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.images.structures import MIB
from tests.serving.making import blank, make_ext, tool
from tests.support import fewer
from vhdx_kaitai.errors import VhdxError
from vhdx_kaitai.names import is_name
from vhdx_kaitai.reading.disk import Disk
from vhdx_kaitai.reading.volumes import Volume
from vhdx_kaitai.serving.files import Files

pytest.importorskip("dissect.xfs")

pytestmark = pytest.mark.slow

_SECTOR = 512


class Bytes:
    """A disk that is nothing but bytes."""

    zeroes_lost, logical_sector_size = False, 512

    def __init__(self, data: bytes) -> None:
        self._data, self.size = data, len(data)

    def pread(self, length: int, offset: int) -> bytes:
        return self._data[offset : offset + length]


def ext(raw: Path, tree: Path) -> None:
    make_ext("ext4", "-b", "1024", "-O", "^has_journal", size=MIB)(raw, tree)


def old_ext(raw: Path, tree: Path) -> None:
    make_ext("ext2", "-b", "1024", size=MIB)(raw, tree)


def fat(raw: Path, tree: Path) -> None:
    tool("mkfs.vfat", "-F", "12", blank(raw, MIB))
    tool("mcopy", "-Q", "-s", "-i", raw, *sorted(tree.iterdir()), "::")


def ntfs(raw: Path, tree: Path) -> None:
    tool("mkntfs", "-q", "-F", "-Q", blank(raw, 2 * MIB))
    for path in tree.iterdir():
        if path.is_file():
            tool("ntfscp", "-q", raw, path, path.name)


SYSTEMS: dict[str, tuple[str, Callable[[Path, Path], None]]] = {
    "ext4": ("ext", ext),
    "ext2": ("ext", old_ext),
    "FAT": ("FAT", fat),
    "NTFS": ("NTFS", ntfs),
}


@pytest.fixture(scope="module", params=SYSTEMS)
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A kind of file system, the bytes of one, and where it has something."""
    folder = tmp_path_factory.mktemp("systems")
    tree = folder / "tree"
    (tree / "folder" / "below").mkdir(parents=True)
    for number in range(40):
        (tree / "folder" / f"a file with number {number}").write_bytes(b"x" * number)
    (tree / "large").write_bytes(b"large" * 30_000)
    kind, make = SYSTEMS[request.param]
    make(folder / "disk.raw", tree)
    data = (folder / "disk.raw").read_bytes()
    used = [at for at in range(0, len(data), _SECTOR) if any(data[at : at + _SECTOR])]
    return kind, data, [at for at in used if b"large" not in data[at : at + _SECTOR]]


def damaged(data: bytes, used: list[int], seed: int) -> bytes:
    """The bytes of a file system, some of them changed where there is something."""
    chance, changed = random.Random(seed), bytearray(data)
    for _ in range(chance.choice((1, 2, 5, 20))):
        at, width = chance.choice(used) + chance.randrange(_SECTOR), chance.choice((1, 2, 4))
        how = chance.randrange(4)
        if how == 0:
            changed[at] ^= 1 << chance.randrange(8)
        elif how == 1:
            changed[at : at + width] = chance.choice((b"\xff", b"\0")) * width
        elif how == 2:
            changed[at : at + width] = chance.randbytes(width)
        else:
            other = chance.choice(used)
            changed[at - at % _SECTOR : at - at % _SECTOR + _SECTOR] = data[other : other + _SECTOR]
    return bytes(changed[: len(data)])


@fewer(1)
@given(seed=st.integers(0, 2**64))
def test_looking_into_any_file_system_ends_with_an_answer(system: Any, seed: int) -> None:
    kind, data, used = system
    disk = cast(Disk, Bytes(damaged(data, used, seed)))
    told: list[str] = []
    with suppress(VhdxError):
        files = Files(
            disk, Volume(0, disk.size), kind, lambda path, _: told.append(path), go_on=True
        )
        with suppress(VhdxError):
            files.describe()
        for entry in files.entries(files.find("/")):
            assert all(map(is_name, entry.path.split("/"))) or not entry.path
            if entry.status.kind == "file":
                read = 0
                with suppress(VhdxError):
                    for at, piece in islice(entry.pieces(), 64):
                        assert read <= at <= at + len(piece) <= entry.status.size
                        read = at + len(piece)
