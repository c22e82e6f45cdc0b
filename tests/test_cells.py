"""Cells say how much of each part of a range is what, and it adds up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vhdx_kaitai.cells import Cells


def listed(cells: Cells) -> list[dict[int, int]]:
    """What is in each cell, one by one."""
    return [dict(parts) for count, parts in cells.alike() for _ in range(count)]


@given(st.data(), st.integers(0, 200), st.integers(1, 9), st.integers(1, 9))
def test_each_cell_has_what_its_bytes_are(
    data: st.DataObject, size: int, most: int, unit: int
) -> None:
    kinds = data.draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
    cells = Cells(size, most, unit)
    for at, kind in enumerate(kinds):
        cells.add(kind, at, at + 1)
    assert cells.length % unit == 0
    assert cells.count <= most
    assert cells.length == unit or (cells.length - unit) * most < size  # none is needlessly long
    pieces = [kinds[at : at + cells.length] for at in range(0, size, cells.length)]
    assert listed(cells) == [{kind: piece.count(kind) for kind in {*piece}} for piece in pieces]
    assert [cells.total(kind) for kind in range(5)] == [kinds.count(kind) for kind in range(5)]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=5))
def test_a_part_is_added_as_its_bytes_are(parts: list[tuple[int, int]]) -> None:
    whole, single = Cells(50, 7, 2), Cells(50, 7, 2)
    for one, two in parts:
        start, end = min(one, two, 50), min(max(one, two), 50)
        whole.add(1, start, end)
        for at in range(start, end):
            single.add(1, at, at + 1)
    assert listed(whole) == listed(single)


def test_what_is_left_of_cells_is_of_another_kind() -> None:
    cells = Cells(25, 3, 10)
    cells.add(0, 5, 12)
    cells.add_amounts(1, 2, [4, 9])  # of which there is one cell
    cells.fill(7, 25)
    assert listed(cells) == [{0: 5, 7: 5}, {0: 2, 7: 8}, {1: 4, 7: 1}]
