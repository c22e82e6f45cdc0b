"""Units of size and their arithmetic; how sizes read is in `test_text`."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhdx_kaitai import units


def test_the_units_are_binary() -> None:
    sizes = (units.KIB, units.MIB, units.GIB, units.TIB)
    assert sizes == (1024, 1048576, 1073741824, 1099511627776)


@given(st.integers(0, 2**70), st.integers(1, 2**40))
def test_a_quotient_is_rounded_up(dividend: int, divisor: int) -> None:
    assert units.ceil_div(dividend, divisor) == math.ceil(Fraction(dividend, divisor))


@pytest.mark.parametrize(
    ("value", "unit", "aligned"),
    [
        (0, 4096, True),
        (4095, 4096, False),
        (4096, 4096, True),
        (2**64 - 2**20, 2**20, True),
        (2**64 - 1, 2**20, False),
    ],
)
def test_aligned_means_a_whole_number_of_units(value: int, unit: int, aligned: bool) -> None:
    assert units.is_aligned(value, unit) is aligned
