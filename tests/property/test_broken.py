"""Of what people come with, all that was not damaged comes out, and the rest is told."""

from __future__ import annotations

from typing import Any

import pytest

import vhdx_kaitai
from tests.images.broken import BLOCK, BROKEN
from tests.images.model import Model
from tests.images.structures import KIB
from tests.reading_fixtures import assert_same
from tests.support import SparseSource
from vhdx_kaitai.errors import FormatError
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
