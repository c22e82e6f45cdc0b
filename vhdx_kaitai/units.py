"""Sizes, and ranges of bytes: aligned, inside, overlapping, readable."""

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


def human_size(size: int) -> str:
    """Return a number of bytes in the largest binary unit that keeps it readable."""
    value = float(size)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.4g} {unit}" if unit != "bytes" else f"{size} {unit}"
        value /= 1024
    return f"{value:.4g} TiB" if value < 1024 else f"{value / 1024:.4g} PiB"
