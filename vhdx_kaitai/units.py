"""Units of size, and numbers that are multiples of them."""

from __future__ import annotations

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40


def is_aligned(value: int, unit: int) -> bool:
    """Tell whether a value is a multiple of a unit."""
    return value % unit == 0


def ceil_div(dividend: int, divisor: int) -> int:
    """Return the quotient of two natural numbers, rounded up."""
    return -(-dividend // divisor)
