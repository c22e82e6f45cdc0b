"""Chains of any shape are merged: the target is the disk of the child, wherever it was cut."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vhdx_kaitai
from tests.crash.merging import Merged, merging
from tests.images.chain import chain
from tests.images.image import Block, Image, dynamic, fixed, partial
from tests.images.structures import KIB, MIB, UNDEFINED, UNMAPPED, ZERO
from tests.support import fewer
from vhdx_kaitai import merge
from vhdx_kaitai.errors import VhdxError


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


_CHAIN = chain(3)


@pytest.mark.slow
@given(st.integers(0, 2**32))
@fewer(4)
def test_damage_is_refused_or_does_no_harm(seed: int) -> None:
    """Whatever bytes of the metadata are others, the child reads as before, or it did not open."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        made = _CHAIN.write(folder)
        number = chance.randrange(3)
        layout, data = made.images[number].layout, bytearray(made.paths[number].read_bytes())
        start, length = chance.choice(
            [
                *((offset, 150) for offset in (0, 64 * KIB, 128 * KIB, 192 * KIB, 256 * KIB)),
                (layout.metadata_offset, 400),
                (layout.metadata_offset + 64 * KIB, 800),
                (layout.bat_offset, 80),
            ]
        )
        for _ in range(chance.choice((1, 2, 8))):
            data[start + chance.randrange(length)] = chance.randrange(256)
        made.paths[number].write_bytes(data)
        held = _read(made.path)
        try:
            into = chance.choice(made.paths[:2])
            merge(made.path, into=into, delete=chance.random() < 0.3, force=True)
        except VhdxError:
            assert _read(made.path) == held
        else:
            assert _read(into) == held
            assert not made.path.exists() or _read(made.path) == held


def _read(path: Path) -> bytes | None:
    try:
        with vhdx_kaitai.open(path) as disk:
            return disk.pread(disk.size, 0)
    except VhdxError:
        return None
