"""What is lost of a disk is added up and listed, in order, with the reason."""

from __future__ import annotations

import pytest

from tests.images.image import Block, Layout, dynamic
from tests.images.structures import MIB
from tests.reading_fixtures import opened
from vhdx_kaitai.reading import map as mapping
from vhdx_kaitai.reading.losses import MOST_LISTED, Losses, LostRange, losses, lost_ranges


def with_lost(*numbers: int) -> Layout:
    layout = dynamic(100 * MIB, blocks={number: Block() for number in range(0, 100, 4)}).layout()
    for number in numbers:
        layout.set_entry(number, 4)
    return layout


@pytest.fixture(params=["one by one", "in bulk"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways in which a disk is mapped."""
    if request.param == "in bulk":
        monkeypatch.setattr(mapping, "WORTHWHILE_BLOCKS", 0)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((), []),
        ((0,), [(0, 1)]),
        ((4, 5, 6), [(4, 7)]),
        ((8, 50, 99), [(8, 9), (50, 51), (99, 100)]),
    ],
)
def test_lost_ranges_are_listed(numbers: tuple[int, ...], expected: list[tuple[int, int]]) -> None:
    """Block 0 and each fourth after it are stored; a lost one counts as stored, whatever it was."""
    with opened(with_lost(*numbers).build()) as disk:
        ranges = [LostRange(start * MIB, end * MIB, "BAT-03") for start, end in expected]
        assert list(lost_ranges(disk, 0, disk.size)) == ranges
        stored = len({*numbers, *range(0, 100, 4)})
        found = losses(disk, 0, disk.size)
        assert found[:4] == (stored * MIB, len(numbers) * MIB, len(ranges), tuple(ranges))


def test_a_range_has_its_own_losses() -> None:
    with opened(with_lost(4, 5).build()) as disk:
        half = MIB // 2
        assert losses(disk, 5 * MIB + half, MIB)[:4] == (
            half,
            half,
            1,
            (LostRange(5 * MIB + half, 6 * MIB, "BAT-03"),),
        )
        assert losses(disk, 6 * MIB, MIB) == Losses(0, 0, 0, ())


def test_only_the_first_ranges_are_listed_with_the_sum() -> None:
    numbers = range(1, 99, 4)
    with opened(with_lost(*numbers).build()) as disk:
        found = losses(disk, 0, disk.size)
        assert found.ranges == len(numbers)
        assert [lost.start // MIB for lost in found.first] == [*numbers][:MOST_LISTED]
        assert len(list(lost_ranges(disk, 0, disk.size))) == len(numbers)
