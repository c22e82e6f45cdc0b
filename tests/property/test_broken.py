"""Of what people come with, all that was not damaged comes out, and the rest is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import vhdx_kaitai
from tests.images.broken import BLOCK, BROKEN, chain, changed_base, write_all
from tests.images.model import Model
from tests.images.structures import KIB
from tests.reading_fixtures import assert_same
from tests.support import SparseSource
from vhdx_kaitai.errors import FormatError, ParentMismatchError, ParentNotFoundError
from vhdx_kaitai.reading.disk import Disk

# What lets each be read, what is assumed then, and the numbers of the blocks that are lost.
WAYS: dict[str, tuple[dict[str, Any], list[str], set[int]]] = {
    "cut.vhdx": ({}, [], {630, 635}),
    "log-wiped.vhdx": ({"replay": "ignore"}, ["log"], set()),
    "headers-wiped.vhdx": ({"header": "assume"}, ["headers"], set()),
    "tables-wiped.vhdx": ({"regions": "assume"}, ["region table"], set()),
    "start-overwritten.vhdx": ({"identifier": "assume"}, ["identifier"], set()),
    "page-moved.vhdx": ({"bat": "assume"}, ["BAT"], {1016}),
}


def test_each_has_its_way() -> None:
    assert WAYS.keys() == BROKEN.keys()


@pytest.mark.parametrize("name", WAYS)
def test_what_is_not_damaged_comes_out_and_the_rest_is_told(name: str) -> None:
    file, built = BROKEN[name]()
    options, assumed, lost = WAYS[name]
    if options:
        try:
            refused = vhdx_kaitai.open(SparseSource(file))
        except FormatError:
            pass
        else:  # the BAT makes sense, but not that of the disk
            with refused:
                assert differs(refused, built.model)
    with vhdx_kaitai.open(SparseSource(file), lost="zero", **options) as disk:
        assert [assumption.what for assumption in disk.assumed] == assumed
        assert {row.offset // BLOCK for row in disk.lost()} == lost
        assert sum(row.length for row in disk.lost()) == len(lost) * BLOCK
        for number in range(disk.size // BLOCK):
            for at in (0, BLOCK // 2, BLOCK - 4 * KIB):
                offset = number * BLOCK + at
                expected = bytes(4096) if number in lost else built.model.read(offset, 4096)
                assert_same(disk.pread(4096, offset), expected, offset)


def differs(disk: Disk, model: Model) -> bool:
    """Tell whether a block of a disk begins with something else than its model says."""
    starts = range(0, disk.size, BLOCK)
    return any(disk.pread(64, start) != model.read(start, 64) for start in starts)


# -- chains ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the page is about."""
    path = tmp_path_factory.mktemp("broken")
    write_all(path)
    return path


def starts(disk: Disk | Model) -> list[bytes]:
    """Return how each block of a disk begins."""
    read = disk.pread if isinstance(disk, Disk) else lambda length, at: disk.read(at, length)
    return [read(64, at) for at in range(0, disk.size, BLOCK)]


def test_a_renamed_grandparent_is_found_by_its_identity(folder: Path) -> None:
    path = folder / "renamed" / "top.avhdx"
    with pytest.raises(ParentNotFoundError):
        vhdx_kaitai.open(path)
    with vhdx_kaitai.open(path, search=folder / "renamed") as disk:
        assert starts(disk) == starts(chain()["top.avhdx"].model)
        assert disk.assumed == ()


def test_of_a_changed_parent_comes_what_it_is_now_and_that_is_told(folder: Path) -> None:
    path = folder / "changed" / "middle.avhdx"
    with pytest.raises(ParentMismatchError):
        vhdx_kaitai.open(path)
    with vhdx_kaitai.open(path, linkage="ignore") as disk:
        assert [assumption.what for assumption in disk.assumed] == ["linkage"]
        expected = starts(changed_base().model)
        expected[1] = starts(chain()["middle.avhdx"].model)[1]
        assert starts(disk) == expected


def test_of_an_orphan_comes_what_it_has_itself_and_the_rest_is_told(folder: Path) -> None:
    path = folder / "orphan" / "checkpoint.avhdx"
    with vhdx_kaitai.open(path, missing_parent="lost", lost="zero") as disk:
        own = chain()["top.avhdx"].model.image.blocks.keys()
        lost = {
            number
            for row in disk.lost()
            for number in range(row.offset // BLOCK, (row.offset + row.length) // BLOCK)
        }
        assert lost == set(range(disk.size // BLOCK)) - own
        expected = starts(chain()["top.avhdx"].model)
        assert starts(disk) == [
            bytes(64) if number in lost else start for number, start in enumerate(expected)
        ]
