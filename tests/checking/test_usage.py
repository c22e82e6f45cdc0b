"""Where the bytes of a file are: stored, kept, lost, unreferenced, and zeros."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checking.judging import in_bulk, of_blocks, opened
from tests.images.image import Block, dynamic
from tests.images.sparse import Sparse, Zeros
from tests.images.structures import (
    FULLY_PRESENT,
    GIB,
    MIB,
    PARTIALLY_PRESENT,
    UNDEFINED,
    UNMAPPED,
    ZERO,
)
from vhdx_kaitai.checking.usage import usage, zeros_in_blocks
from vhdx_kaitai.reading.image import Image


def test_bytes_are_counted_by_what_they_are() -> None:
    layout = dynamic(15 * MIB, block_size=2 * MIB, gap=MIB).layout()
    layout.file_length = 40 * MIB
    layout.set_entry(0, FULLY_PRESENT, 10 * MIB)
    layout.set_entry(1, FULLY_PRESENT, 39 * MIB)  # half of it is past the end
    layout.set_entry(2, UNMAPPED, 20 * MIB)
    layout.set_entry(3, UNDEFINED, 22 * MIB)
    layout.set_entry(4, ZERO)
    layout.set_entry(7, FULLY_PRESENT, 30 * MIB)  # the disk needs half of it
    used = 4 * MIB  # header section, log, metadata and BAT
    for batch in (False, True):
        with in_bulk() if batch else pytest.MonkeyPatch.context():
            found = usage(opened(layout))
        assert (found.stored, found.kept, found.lost) == (5 * MIB, 4 * MIB, MIB)
        assert found.unreferenced == 40 * MIB - used - 2 * MIB - MIB - 4 * MIB - 2 * MIB


def test_stored_zeros_are_counted_in_whole_blocks_each_place_once() -> None:
    blocks = {number: Block() for number in range(4)}
    layout = dynamic(8 * MIB, blocks=blocks).layout()
    assert zeros_in_blocks(opened(layout)) == 0
    layout.patch(layout.payload[1], Sparse(MIB, {0: Zeros(MIB)}))
    layout.patch(layout.payload[2], Sparse(MIB - 1, {0: Zeros(MIB - 1)}))
    assert zeros_in_blocks(opened(layout)) == MIB
    layout.set_entry(5, FULLY_PRESENT, layout.payload[1])
    layout.set_entry(6, FULLY_PRESENT, GIB)
    layout.set_entry(7, PARTIALLY_PRESENT, layout.payload[1])
    assert zeros_in_blocks(opened(layout)) == MIB


def test_holes_of_a_file_are_zeros_that_are_not_read(tmp_path: Path) -> None:
    layout = of_blocks(*range(10, 30, 2))
    path = layout.build().write(tmp_path / "sparse.vhdx")
    read_up_to: list[int] = []
    with Image(path) as image:
        assert zeros_in_blocks(image, read_up_to.append) == 20 * MIB
    assert read_up_to == [place * MIB for place in range(12, 32, 2)]
