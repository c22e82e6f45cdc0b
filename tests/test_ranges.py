"""Sets of ranges do what a set of numbers does; overlaps are those of all pairs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhdx_kaitai.ranges import Ranges, overlap, overlapping, topmost

END = 40  # of the numbers that are tried


@st.composite
def any_range(draw: st.DrawFn) -> tuple[int, int]:
    start = draw(st.integers(0, END))
    return start, draw(st.integers(start, END))


MANY_RANGES = st.lists(any_range(), max_size=12)


def numbers(ranges: Iterator[tuple[int, int]] | Ranges | list[tuple[int, int]]) -> set[int]:
    """All numbers in some ranges, which have to be in order and apart from each other."""
    found = list(ranges)
    assert all(start < end for start, end in found)
    assert all(one[1] < two[0] for one, two in pairwise(found))
    return {number for start, end in found for number in range(start, end)}


@given(MANY_RANGES)
def test_a_set_holds_the_numbers_of_its_ranges(ranges: list[tuple[int, int]]) -> None:
    assert numbers(Ranges(ranges)) == {n for start, end in ranges for n in range(start, end)}


@given(st.lists(st.tuples(st.booleans(), any_range()), max_size=20))
def test_adding_and_taking_away_tell_what_changed(
    steps: list[tuple[bool, tuple[int, int]]],
) -> None:
    ranges = Ranges()
    model: set[int] = set()
    for is_addition, (start, end) in steps:
        span = set(range(start, end))
        if is_addition:
            assert numbers(ranges.add(start, end)) == span - model
            model |= span
        else:
            assert numbers(ranges.subtract(start, end)) == span & model
            model -= span
        assert numbers(ranges) == model


@given(MANY_RANGES, any_range())
def test_a_range_is_divided_into_what_is_inside_and_gaps(
    ranges: list[tuple[int, int]], part: tuple[int, int]
) -> None:
    held = Ranges(ranges)
    span = set(range(*part))
    inside, gaps = numbers(held.inside(*part)), numbers(held.gaps(*part))
    assert inside == span & numbers(held)
    assert gaps == span - inside
    assert held.hold(*part) is (not gaps)


def test_ranges_that_touch_become_one() -> None:
    ranges = Ranges([(4, 6), (0, 2)])
    assert ranges.add(2, 4) == [(2, 4)]
    assert list(ranges) == [(0, 6)]
    assert repr(ranges) == "Ranges([(0, 6)])"


def test_numbers_past_64_bits_are_numbers() -> None:
    ranges = Ranges([(2**64 - 1, 2**70)])
    assert ranges.subtract(2**64, 2**64 + 1) == [(2**64, 2**64 + 1)]
    assert list(ranges) == [(2**64 - 1, 2**64), (2**64 + 1, 2**70)]


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ((0, 2), (2, 4), False),
        ((0, 3), (2, 4), True),
        ((0, 9), (2, 4), True),
        ((2, 4), (2, 4), True),
        ((0, 0), (0, 4), False),
    ],
)
def test_ranges_overlap_that_share_a_number(
    one: tuple[int, int], two: tuple[int, int], expected: bool
) -> None:
    assert overlap(one, two) is overlap(two, one) is expected


@given(MANY_RANGES)
def test_each_that_overlaps_one_before_it_is_named_with_the_furthest(
    ranges: list[tuple[int, int]],
) -> None:
    in_order = sorted((start, end, number) for number, (start, end) in enumerate(ranges))
    expected = []
    for index, item in enumerate(in_order):
        before = in_order[:index]
        if any(overlap(item[:2], other[:2]) for other in before):
            expected.append((max(before, key=lambda other: other[1]), item))
    items = [(start, end, number) for number, (start, end) in enumerate(ranges)]
    assert list(overlapping(items)) == expected


def test_what_overlaps_need_not_be_comparable() -> None:
    one, two = object(), object()
    assert list(overlapping([(0, 2, one), (0, 2, two)])) == [((0, 2, one), (0, 2, two))]


@given(MANY_RANGES)
def test_of_layers_the_topmost_is_seen(ranges: list[tuple[int, int]]) -> None:
    """Compared with painting number by number."""
    painted: dict[int, int] = {}
    for layer, (start, end) in enumerate(ranges):
        painted |= dict.fromkeys(range(start, end), layer)
    parts = list(topmost((start, end, layer) for layer, (start, end) in enumerate(ranges)))
    assert {n: layer for start, end, layer in parts for n in range(start, end)} == painted
    assert all(start < end for start, end, _ in parts)
    for (_, end, layer), (start, _, other) in pairwise(parts):
        assert end <= start
        assert end < start or layer != other, "parts of one layer that touch are one"
