"""Chains of any shape are merged: the target is the disk of the child, wherever it was cut."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.crash.merging import Merged, merging
from tests.images.chain import chain
from tests.images.image import Block, Image, dynamic, fixed, partial
from tests.images.structures import MIB, UNDEFINED, UNMAPPED, ZERO
from tests.support import fewer


def _blocks(image: Image, chance: random.Random) -> dict[int, Block]:
    """Return blocks of all kinds, some of which are not there."""
    blocks = {}
    per_block = image.block_size // image.logical_sector_size
    for number in range(image.geometry.payload_blocks):
        kinds = [None, Block(), Block(ZERO), Block(UNDEFINED), Block(UNMAPPED)]
        if image.has_parent:
            starts = [chance.randrange(per_block) for _ in range(chance.randrange(5))]
            here = {n for at in starts for n in range(at, min(at + 9, per_block))}
            kinds += [partial(*sorted(here)), partial(range(per_block)), None]
        block = chance.choice(kinds)
        if block is not None:
            blocks[number] = block
    return blocks


@pytest.mark.slow
@given(st.integers(0, 2**32))
@fewer(5)
def test_a_chain_of_any_shape_is_merged_into_any_of_it(seed: int) -> None:
    chance = random.Random(seed)
    sector, depth = chance.choice((512, 4096)), chance.choice((2, 2, 3, 4))
    into = chance.randrange(depth - 1)

    def size() -> int:
        inside = chance.choice((0, 0, sector, MIB // 2, MIB - sector))
        return chance.randrange(6) * MIB + inside or sector

    sizes = [size() for _ in range(depth)]
    sizes[-1] = max(sizes[-1], sizes[into])  # the child does not cut the target off

    def change(number: int, image: Image) -> Image:
        block_size = chance.choice((MIB, MIB, 2 * MIB, 4 * MIB))
        image = image.but(virtual_disk_size=sizes[number], block_size=block_size)
        image = image.but(gap=chance.choice((0, MIB)))
        is_fixed = image.disk_type == "fixed"
        return image if is_fixed else image.but(blocks=_blocks(image, chance))

    make = chance.choice((dynamic, fixed))
    made = chain(depth, base=make(MIB, logical_sector_size=sector), blocks=None, change=change)
    merged = Merged(made, into)
    assert list(merged.complaints(merging, 12, seed=seed, often=4)) == []
