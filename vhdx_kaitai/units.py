"""Sizes: units, alignment, and how they read."""

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


def counted(count: int, one: str, many: str = "") -> str:
    """Return a number with the noun it counts: `1 entry`, `2 entries`.

    Args:
        count: The number.
        one: The noun in the singular.
        many: In the plural; unless given, the singular with an s.
    """
    return f"{count} {one if count == 1 else many or one + 's'}"


def human_size(size: int) -> str:
    """Return a number of bytes in the largest binary unit that keeps it readable.

    What is rounded says so: `9 MiB` is exact, `about 9 MiB` is not.
    """
    power = min(max(0, size.bit_length() - 1) // 10, len(_UNITS))
    if power == 0:
        return counted(size, "byte")
    unit = 1 << 10 * power
    text = f"{size / unit:.4g}"
    whole, _, part = text.partition(".")
    is_exact = int(whole + part) * unit == size * 10 ** len(part)
    return f"{'' if is_exact else 'about '}{text} {_UNITS[power - 1]}"


_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
