"""A file that is cut while it is copied: what is missing is an error, and never zeros."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.images.image import Block, Layout, dynamic, fixed
from tests.images.sparse import Sparse
from tests.images.structures import MIB, TIB, ZERO
from tests.reading_fixtures import allocated, contents
from vhdx_kaitai.copying import raw
from vhdx_kaitai.copying.compare import compare
from vhdx_kaitai.copying.metadump import metadump
from vhdx_kaitai.copying.rawdisk import RawDisk
from vhdx_kaitai.errors import TruncatedError
from vhdx_kaitai.storage import target

SIZE = 64 * MIB

# Where the file ends then: inside a piece, in a hole, where data begins, after the first block.
CUTS = [1, 5, 6, 11.5, 12, 40, 63.5]


def image() -> Layout:
    """Return a disk that is stored in one piece: data in every fourth block, the others holes."""
    hole = Sparse(MIB)
    blocks = {number: Block(data=hole) for number in range(SIZE // MIB) if number % 4}
    return fixed(SIZE, block_size=MIB, blocks=blocks, others=Block()).layout()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return image().build().write(tmp_path / "image.vhdx")


def cutter(path: Path, length: float) -> Callable[[int], None]:
    """Return what cuts a file when the first piece is done."""
    is_cut = False

    def cut(_done: int) -> None:
        nonlocal is_cut
        if not is_cut:
            is_cut = True
            os.truncate(path, int(length))

    return cut


@pytest.mark.parametrize("shares", [False, True])
@pytest.mark.parametrize("kept", CUTS)
def test_no_raw_image_is_made_of_it(
    kept: float, shares: bool, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the program writes or the kernel copies."""
    monkeypatch.setattr(target.OutFile, "can_share", lambda *_: shares)
    cut, turn = cutter(path, image().payload[0] + kept * MIB), threading.Lock()
    with vhdx_kaitai.open(path) as disk:
        read = disk.readinto_at

        def read_and_cut(buffer: memoryview, offset: int) -> int:
            with turn:  # nobody reads more before it is cut
                count = read(buffer, offset)
                cut(offset)
                return count

        monkeypatch.setattr(disk, "readinto_at", read_and_cut)
        with pytest.raises(TruncatedError):
            raw.convert(disk, str(path.parent / "out.raw"), 0, disk.size, lambda _done: None)
    assert {entry.name for entry in path.parent.iterdir()} == {"image.vhdx"}


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("kept", CUTS)
def test_it_is_not_the_same_as_what_is_zero_there(kept: float, side: int, path: Path) -> None:
    layout = image()
    raw = path.parent / "raw"
    data = contents(layout.build().model)
    raw.write_bytes(data[: int(kept * MIB)])
    os.truncate(raw, SIZE)
    other = RawDisk(str(raw))
    with vhdx_kaitai.open(path) as disk, contextlib.closing(other):
        one, two = (disk, other) if side == 0 else (other, disk)
        with pytest.raises(TruncatedError):
            compare(one, two, cutter(path, layout.payload[0] + kept * MIB))


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("kept", [1, 1.5, 3, 7])
def test_nor_is_a_raw_file(kept: float, side: int, tmp_path: Path) -> None:
    """The disk is zeros, and so would be what was cut off: in a hole, and where data was."""
    built = dynamic(8 * MIB, blocks={0: Block()}).build()
    path = built.write(tmp_path / "image.vhdx")
    raw = tmp_path / "raw"
    raw.write_bytes(contents(built.model)[:MIB])
    os.truncate(raw, 8 * MIB)
    other = RawDisk(str(raw))
    with vhdx_kaitai.open(path) as disk, contextlib.closing(other):
        one, two = (disk, other) if side == 0 else (other, disk)
        with pytest.raises(TruncatedError):
            compare(one, two, cutter(raw, kept * MIB))


@pytest.mark.parametrize("kept", [0.5, 1, 3.5, 7])
def test_no_metadata_dump_is_made_of_it(
    kept: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a BAT of 8 MiB the first page has been copied, the rest is a hole."""
    layout = dynamic(TIB, blocks={}, order=("log", "metadata", "bat")).layout()
    layout.set_entry(7, ZERO)
    path = layout.build().write(tmp_path / "image.vhdx")
    assert allocated(path) < 3 * MIB
    cut = cutter(path, layout.bat_offset + kept * MIB)
    write = os.pwrite

    def write_and_cut(fd: int, data: bytes, at: int) -> int:
        if at >= layout.bat_offset:
            cut(at)
        return write(fd, data, at)

    monkeypatch.setattr(os, "pwrite", write_and_cut)
    with pytest.raises(TruncatedError):
        metadump(path, tmp_path / "dump")
    assert {entry.name for entry in tmp_path.iterdir()} == {"image.vhdx"}
