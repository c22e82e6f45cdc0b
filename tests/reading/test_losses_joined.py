"""Neighbours that are lost for the same reason are one range, whatever their entries are."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.images.image import Block, dynamic
from tests.images.structures import MIB
from tests.reading_fixtures import opened
from vhdx_kaitai.reading import map as mapping
from vhdx_kaitai.reading.losses import MOST_LISTED, LostRange, losses


@pytest.mark.parametrize("worthwhile", [0, mapping.WORTHWHILE_BLOCKS])
@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([4, 5, 4, 5], [(0, 4)]),
        ([4, 0, 5, 4, 0, 5], [(0, 1), (2, 4), (5, 6)]),
        ([4, 0] * MOST_LISTED + [4, 5, 4, 0, 4, 5], [(n, n + 1) for n in range(0, 16, 2)]),
        (
            [4, 0] * (MOST_LISTED - 1) + [4, 5, 4, 0],
            [*[(n, n + 1) for n in range(0, 14, 2)], (14, 17)],
        ),
    ],
)
def test_neighbours_are_one_range(
    states: Sequence[int],
    expected: Sequence[tuple[int, int]],
    worthwhile: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mapping, "WORTHWHILE_BLOCKS", worthwhile)
    layout = dynamic(100 * MIB, blocks={99: Block()}).layout()
    for number, state in enumerate(states):
        if state:
            layout.set_entry(number, state)
    with opened(layout.build()) as disk:
        found = losses(disk, 0, disk.size)
    lost = sum(map(bool, states))
    starts = [n for n, state in enumerate(states) if state and (n == 0 or not states[n - 1])]
    assert (found.stored, found.lost) == ((lost + 1) * MIB, lost * MIB)
    assert found.ranges == len(starts)
    assert found.first == tuple(LostRange(a * MIB, b * MIB, "BAT-03") for a, b in expected)
