"""Blocks that the log writes to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.checking.judging import (
    assert_both_ways_agree,
    in_bulk,
)
from tests.images.dirty import log_only
from tests.images.image import Block, Layout, dynamic
from tests.images.log import Data, Entry, Zero
from tests.images.structures import (
    MIB,
)
from tests.support import SparseSource
from vhdx_kaitai.checking.logged import check_logged_blocks
from vhdx_kaitai.reading.image import Image as OpenedImage


def logged(*targets: Zero | Data, size: int = 8 * MIB, **fields: Any) -> Layout:
    """Return an image of four stored blocks at 4 MiB and after, with these things to be replayed.

    The BAT is at 3 MiB, and the file has room for what lies after the blocks.
    """
    image = dynamic(size, blocks={number: Block() for number in range(4)}, **fields)
    layout = log_only(image.but(file_length=16 * MIB), [Entry(list(targets))])
    assert layout.payload[0] == 4 * MIB
    return layout


def logged_blocks(layout: Layout) -> list[str]:
    found = assert_both_ways_agree(layout).findings
    assert all(level == "note" for rule, level, _, _ in found if rule == "LOG-42")
    return sorted(message for rule, _, _, message in found if rule == "LOG-42")


def message_about(block: int, block_size: int = MIB) -> str:
    place = 4 * MIB + block * block_size
    return f"the log writes to block {block} at {place:#x}, expected metadata only"


@pytest.mark.parametrize(
    ("target", "blocks"),
    [
        (Data(4 * MIB, b"x"), [0]),
        (Data(5 * MIB - 4096, b"x"), [0]),
        (Data(5 * MIB, b"x"), [1]),
        (Zero(4 * MIB - 4096, 4096), []),
        (Zero(4 * MIB - 4096, 8192), [0]),
        (Zero(5 * MIB - 4096, 8192), [0, 1]),
        (Zero(4 * MIB + 4096, 3 * MIB), [0, 1, 2, 3]),
        (Zero(7 * MIB, MIB), [3]),
        (Data(8 * MIB, b"x"), []),
        (Zero(8 * MIB, 4 * MIB), []),
    ],
)
def test_blocks_that_the_log_writes_to_are_named(target: Zero | Data, blocks: list[int]) -> None:
    assert logged_blocks(logged(target)) == [message_about(block) for block in blocks]


def test_blocks_between_two_updates_are_not_named() -> None:
    layout = logged(Data(4 * MIB, b"x"), Data(7 * MIB, b"x"))
    assert logged_blocks(layout) == [message_about(0), message_about(3)]


def test_blocks_of_several_mib_are_named_too() -> None:
    layout = logged(Zero(7 * MIB, 4096), size=8 * MIB, block_size=2 * MIB)
    assert logged_blocks(layout) == [message_about(1, 2 * MIB)]


def test_blocks_that_the_log_writes_to_are_counted() -> None:
    image = OpenedImage(SparseSource(logged(Zero(4 * MIB, 4 * MIB)).build().file))
    plain = list(check_logged_blocks(image, 3))
    with in_bulk():
        assert list(check_logged_blocks(image, 3)) == plain
    assert [more for _, more in plain] == [0, 0, 1]


def test_blocks_that_the_log_writes_to_are_counted_across_chunks_too() -> None:
    """Of each of three chunks of 16 blocks, two blocks are written to."""
    written = [0, 1, 16, 17, 32, 33]
    image = dynamic(48 * 256 * MIB, block_size=256 * MIB, blocks={n: Block() for n in written})
    places = image.layout().payload
    layout = log_only(image, [Entry([Data(places[n], b"x") for n in written])])
    opened = OpenedImage(SparseSource(layout.build().file))
    plain = list(check_logged_blocks(opened, 3))
    with in_bulk():
        assert list(check_logged_blocks(opened, 3)) == plain
    assert [more for _, more in plain] == [0, 0, 3]
