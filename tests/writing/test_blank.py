"""What a new image consists of: the BAT in all its shapes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.images.image import Block, dynamic
from tests.images.structures import FULLY_PRESENT, GIB, MIB, TIB
from vhdx_kaitai.format.bat import Geometry
from vhdx_kaitai.writing.blank import bat_pieces


def assembled(pieces: Iterable[tuple[int, bytes]]) -> dict[int, int]:
    """Return the entries that are not zero, by their index."""
    found = {}
    ends = [(0, 0)]
    for offset, data in pieces:
        ends.append((offset, offset + len(data)))
        for at in range(0, len(data), 8):
            entry = int.from_bytes(data[at : at + 8], "little")
            if entry:
                found[(offset + at) // 8] = entry
    assert all(end <= start for (_, end), (start, _) in pairwise(ends))
    return found


def runs_of(blocks: Iterable[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for block in blocks:
        if runs and runs[-1][1] == block:
            runs[-1] = (runs[-1][0], block + 1)
        else:
            runs.append((block, block + 1))
    return runs


@given(
    st.sampled_from([MIB, 32 * MIB, 256 * MIB]),
    st.sampled_from([512, 4096]),
    st.sets(st.integers(0, 70_000), max_size=60),
    st.booleans(),
)
def test_entries_stand_where_the_builder_puts_them(
    block_size: int, sector: int, chosen: set[int], are_runs: bool
) -> None:
    """Of blocks by themselves, and of runs that go from chunk to chunk."""
    count = min(70_001, 64 * TIB // block_size)
    blocks = sorted({(b + more) % count for b in chosen for more in range(70 if are_runs else 1)})
    places = {block: 5 * MIB + n * block_size for n, block in enumerate(blocks)}
    image = dynamic(
        count * block_size,
        block_size=block_size,
        logical_sector_size=sector,
        blocks={block: Block(file_offset=place) for block, place in places.items()},
    )
    geometry = Geometry(image.virtual_disk_size, block_size, sector, False)
    assert assembled(bat_pieces(geometry, runs_of(blocks), 5 * MIB)) == image.layout().bat


@pytest.mark.parametrize("blocks", [1, 4096, 4097, 100_000])
def test_a_bat_of_all_blocks_is_made_in_pieces(blocks: int) -> None:
    geometry = Geometry(blocks * MIB, MIB, 512, False)
    pieces = [*bat_pieces(geometry, [(0, blocks)], 4 * MIB)]
    assert max(len(data) for _, data in pieces) <= 64 << 10
    entries = assembled(pieces)
    assert len(entries) == blocks
    for block in (0, blocks // 2, blocks - 1):
        index = block + block // 4096
        assert entries[index] == (4 + block) * MIB | FULLY_PRESENT


def test_nothing_is_made_of_a_bat_without_blocks() -> None:
    assert [*bat_pieces(Geometry(64 * TIB, MIB, 512, False), (), 4 * GIB)] == []
