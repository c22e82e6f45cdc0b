"""What a disk is made of by state and image is what the model says, in whatever way it is found."""

from __future__ import annotations

import sys
from itertools import groupby

import pytest

from tests.images.chain import GOOD_CHAINS
from tests.images.image import Block, dynamic
from tests.images.model import Model
from tests.images.structures import MIB, ZERO
from tests.reading_fixtures import good_chain, opened, opened_chain
from vhdx_kaitai import fast
from vhdx_kaitai.reading import allocation as allocating
from vhdx_kaitai.reading import map as mapping
from vhdx_kaitai.reading import shares as sharing
from vhdx_kaitai.reading.allocation import Allocation

Run = tuple[int, int, tuple[str, int, str, str | None]]


@pytest.fixture(params=["one by one", "in bulk", "without numpy"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way in which a disk is looked at."""
    name: str = request.param
    if name != "one by one":
        monkeypatch.setattr(mapping, "WORTHWHILE_BLOCKS", 0)
    if name == "without numpy":
        monkeypatch.setitem(sys.modules, "numpy", None)
        monkeypatch.setattr(fast, "_is_missed", False)
    return name


def runs_of(found: Allocation) -> list[Run]:
    assert found.runs is not None
    return [(start, end, found.kinds[kind]) for start, end, kind in found.runs]


def runs_of_model(model: Model) -> list[Run]:
    rows = [
        (extent.offset, extent.offset + extent.length, (extent.state, extent.depth, extent.kind))
        for extent in model.extents()
    ]
    groups = [(what, list(rows)) for what, rows in groupby(rows, key=lambda row: row[2])]
    return [(rows[0][0], rows[-1][1], (*what, None)) for what, rows in groups]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", GOOD_CHAINS)
def test_runs_and_cells_are_those_of_the_model(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocating, "MOST_RUNS", 1 << 20)
    made = good_chain(name)
    with opened_chain(made) as disk:
        found = Allocation(disk)
        expected = runs_of_model(made.model)
        assert runs_of(found) == expected
        assert (found.end, found.why) == (disk.size, None)
        cells = [dict(parts) for count, parts in found.cells.alike() for _ in range(count)]
        for number, cell in enumerate(cells):
            low, high = number * found.cells.length, (number + 1) * found.cells.length
            amounts: dict[int, int] = {}
            for start, end, what in expected:
                inside = min(end, high) - max(start, low)
                if inside > 0:
                    kind = found.kinds.index(what)
                    amounts[kind] = amounts.get(kind, 0) + inside
            assert cell == amounts
        assert len(cells) * found.cells.length >= disk.size


@pytest.mark.usefixtures("way")
def test_what_is_lost_is_a_kind_by_its_rule() -> None:
    layout = dynamic(9 * MIB, blocks={number: Block() for number in range(9)}).layout()
    layout.set_entry(4, 4)
    with opened(layout.build()) as disk:
        found = Allocation(disk)
    data, lost = ("fully_present", 0, "data", None), ("reserved", 0, "lost", "BAT-03")
    assert runs_of(found) == [
        (0, 4 * MIB, data),
        (4 * MIB, 5 * MIB, lost),
        (5 * MIB, 9 * MIB, data),
    ]


@pytest.mark.usefixtures("way")
def test_too_many_runs_are_not_listed_and_cells_have_them_all() -> None:
    count = 2 * allocating.MOST_RUNS
    blocks = {number: Block(data=b"") for number in range(0, count, 2)}
    image = dynamic(count * MIB, blocks=blocks, others=Block(ZERO))
    with opened(image.build()) as disk:
        found = Allocation(disk)
    assert found.runs is None
    assert found.kinds == [("fully_present", 0, "data", None), ("zero", 0, "zero", None)]
    assert [found.cells.total(kind) for kind in (0, 1)] == [count // 2 * MIB] * 2


@pytest.mark.usefixtures("way")
def test_a_disk_with_more_parts_than_anybody_can_wait_for_is_told_as_far_as_it_was_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(allocating, "MOST_EXTENTS", 3)
    monkeypatch.setattr(sharing, "_MOST_WINDOWS", 0)
    image = dynamic(64 * MIB, blocks={number: Block() for number in range(0, 64, 2)})
    with opened(image.build()) as disk:
        found = Allocation(disk)
    assert found.end < disk.size
    assert found.why == "it has more than 3 parts"
    assert sum(map(found.cells.total, range(len(found.kinds)))) == found.end
