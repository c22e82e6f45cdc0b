"""What an image need not store is found, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.images.image import Block, Layout, differencing, dynamic, partial
from tests.images.image import Image as Made
from tests.images.structures import KIB, MIB, NOT_PRESENT, UNDEFINED, UNMAPPED, ZERO
from tests.writing.writing_fixtures import parent
from vhdx_kaitai.ranges import Ranges
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.writing.editor import survey_to_write
from vhdx_kaitai.writing.needless import Needless, needless

ZEROS = Block(data=b"")


def found_in(made: Made | Layout, **options: Any) -> Needless:
    image = Image(made.build().to_bytes())
    return needless(image, survey_to_write(image), lambda _done: None, **options)


def blocks_that_stay(found: Needless) -> list[int]:
    return [piece.number for piece in found.stays if not piece.is_bitmap]


def test_blocks_of_zeros_and_kept_places_are_found() -> None:
    blocks = {
        0: Block(),
        1: ZEROS,
        2: Block(data=bytes(MIB - 1) + b"\1"),
        3: Block(UNMAPPED, 20 * MIB),
        4: Block(UNDEFINED, 21 * MIB),
        5: Block(UNMAPPED),
        6: Block(ZERO),
        7: ZEROS,
    }
    found = found_in(dynamic(8 * MIB, blocks=blocks, file_length=22 * MIB))
    assert (found.zeros, found.anchors) == ([1, 7], [(3, UNMAPPED), (4, UNDEFINED)])
    assert blocks_that_stay(found) == [0, 2]
    assert list(found.dropped()) == [(1, ZERO), (7, ZERO), (3, UNMAPPED), (4, UNDEFINED)]
    assert (found.unused, found.empty, found.bitmaps, found.holes) == ([], [], [], [])


def test_of_the_last_block_only_what_is_on_the_disk_counts() -> None:
    layout = dynamic(MIB + 512, blocks={1: ZEROS}).layout()
    layout.patch(layout.payload[1] + 512, b"not on the disk")
    assert found_in(layout).zeros == [1]
    layout.patch(layout.payload[1] + 511, b"!")
    assert found_in(layout).zeros == []


@pytest.mark.parametrize("sector", [512, 4096])
def test_partial_blocks_without_a_sector_and_bitmaps_that_nobody_needs(sector: int) -> None:
    above = dynamic(4 * MIB, blocks={0: Block()}, logical_sector_size=sector).build()
    blocks = {0: partial(), 1: partial(0), 2: Block(NOT_PRESENT, present=((0, 9),)), 3: ZEROS}
    child = differencing(parent=above, blocks=blocks, logical_sector_size=sector)
    found = found_in(child)
    assert (found.empty, found.zeros, found.bitmaps) == ([0], [3], [])
    assert [(piece.number, piece.is_bitmap) for piece in found.stays] == [(1, False), (0, True)]
    found = found_in(child.but(blocks={**blocks, 1: partial()}))
    assert (found.empty, found.bitmaps, found.stays) == ([0, 1], [0], [])
    assert list(found.dropped())[-2:] == [(0, NOT_PRESENT), (1, NOT_PRESENT)]


def test_bits_past_the_end_of_the_disk_are_none() -> None:
    above = parent(2 * MIB + 512)
    blocks = {2: partial(1, 2)}
    child = differencing(parent=above, blocks=blocks).but(virtual_disk_size=2 * MIB + 512)
    assert found_in(child).empty == [2]
    assert found_in(child.but(blocks={2: partial(0, 2)})).empty == []


def test_what_nobody_needs_counts_as_zeros() -> None:
    blocks = {n: Block() for n in range(4)} | {3: ZEROS}
    unused = Ranges([(0, MIB), (MIB + 1, 3 * MIB), (3 * MIB, 4 * MIB)])
    found = found_in(dynamic(4 * MIB, blocks=blocks), unused=unused)
    assert (found.zeros, found.unused, blocks_that_stay(found)) == ([3], [0, 2], [1])
    half = Block(data=b"data" * (128 * KIB))
    found = found_in(dynamic(MIB, blocks={0: half}), unused=Ranges([(0, 512 * KIB)]))
    assert found.unused == [0]


def test_pages_of_zeros_are_found_on_request() -> None:
    data = bytearray(MIB)
    data[5000] = data[20 * KIB] = 1
    found = found_in(dynamic(2 * MIB, blocks={1: Block(data=bytes(data))}), with_holes=True)
    assert found.holes == [
        *((1, 0, 4 * KIB), (1, 8 * KIB, 20 * KIB), (1, 24 * KIB, MIB)),
    ]
    unused = Ranges([(MIB + 20 * KIB, 2 * MIB)])
    image = dynamic(2 * MIB, blocks={1: Block(data=bytes(data))})
    found = found_in(image, with_holes=True, unused=unused)
    assert found.holes == [(1, 0, 4 * KIB), (1, 8 * KIB, MIB)]
