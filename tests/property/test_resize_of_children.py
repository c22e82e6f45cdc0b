"""Children get another size: nothing of a parent shows in what is new, whatever its size."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.crash.disks import littered
from tests.crash.recorder import Recorder
from tests.crash.resizing import Resized
from tests.images.chain import child_of
from tests.images.image import Block, Built, dynamic, fixed, partial
from tests.images.structures import MIB, UNDEFINED, UNMAPPED, ZERO
from tests.support import fewer

_SECTORS = (512, 4096)


def _blocks(
    count: int, per_block: int, chance: random.Random, *, is_child: bool
) -> dict[int, Block]:
    """Return blocks of all kinds, few of which are not there."""
    blocks = {}
    for number in range(count):
        kinds = [None, Block(), Block(ZERO), Block(UNDEFINED), Block(UNMAPPED)]
        if is_child:
            share = chance.choice((0.01, 0.5, 1.0))
            here = [sector for sector in range(per_block) if chance.random() < share]
            kinds += [partial(*here)] * 4
        block = chance.choice(kinds)
        if block is not None:
            blocks[number] = block
    return blocks


def _parent(size: int, sector: int, block_size: int, chance: random.Random) -> Built:
    blocks = {number: Block() for number in range(-(-size // block_size)) if chance.random() < 0.9}
    make = chance.choice((dynamic, fixed))
    return make(
        size, blocks=blocks, block_size=block_size, logical_sector_size=sector, tag=9
    ).build()


@given(st.integers(0, 2**32))
@fewer(2)
def test_a_disk_of_any_shape_gets_any_size(seed: int) -> None:
    chance = random.Random(seed)
    sector, block_size = chance.choice(_SECTORS), chance.choice((MIB, 2 * MIB))

    def size() -> int:
        blocks = chance.randrange(5) * block_size
        inside = chance.choice((0, 0, sector, block_size // 2, block_size - sector))
        return blocks + inside or sector

    now = size()
    is_child = chance.random() < 0.7
    count = -(-now // block_size)
    blocks = _blocks(count, block_size // sector, chance, is_child=is_child)
    fields: dict[str, Any] = {"blocks": blocks, "gap": chance.choice((0, MIB))}
    parents = []
    if is_child:
        parents = [_parent(size(), sector, chance.choice((MIB, 2 * MIB)), chance)]
        image = child_of(
            parents[0], block_size=block_size, logical_sector_size=sector, **fields
        ).but(virtual_disk_size=now)
    else:
        make = chance.choice((dynamic, fixed))
        image = make(now, block_size=block_size, logical_sector_size=sector, **fields)
    wanted = size()
    if wanted == now:
        wanted += sector
    resized = Resized(littered(image).build(), wanted, parents)
    file = Recorder(resized.before)
    resized.do(file)
    assert resized.wrong_at_the_end(file.data) is None
    assert resized.wrong_with(file.data, thoroughly=True) is None
    assert list(resized.complaints(10, file.events, often=4)) == []
