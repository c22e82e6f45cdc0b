"""CRC-32C in plain Python, for where nothing compiled can be loaded.

nbdkit runs plugins in a Python of its own, into which what was compiled for another does
not fit. Structures consist of zeros for the most part, and a run of them costs next to
nothing: to append n zero bytes is to multiply by x^8n modulo the polynomial.

Polynomials are reflected, as the checksum is: the highest bit stands for x^0.
"""

from __future__ import annotations

import re
from functools import lru_cache

_POLYNOMIAL = 0x82F63B78
_ONE = 1 << 31
_ALL = (1 << 32) - 1

# Of fewer zeros the product takes longer than they do byte by byte.
_ZEROS = re.compile(rb"\0{1024,}")


def crc32c(data: bytes | bytearray | memoryview, crc: int = 0) -> int:
    """Return the CRC-32C of what came before, and of some bytes.

    Args:
        data: The bytes.
        crc: The CRC-32C of what came before.
    """
    register = crc ^ _ALL
    start = 0
    for run in _ZEROS.finditer(data):
        register = _appended(register, data[start : run.start()])
        register = _product(register, _shift(run.end() - run.start()))
        start = run.end()
    return _appended(register, data[start:]) ^ _ALL


def _appended(register: int, data: bytes | bytearray | memoryview) -> int:
    """Return the register after some bytes, one by one."""
    table = _table()
    for byte in data:
        register = table[(register ^ byte) & 0xFF] ^ (register >> 8)
    return register


@lru_cache(maxsize=64)
def _shift(count: int) -> int:
    """Return x^8n modulo the polynomial, by which n zero bytes are appended."""
    power, square = _ONE, _ONE >> 8
    while count:
        if count & 1:
            power = _product(power, square)
        square = _product(square, square)
        count >>= 1
    return power


def _product(one: int, other: int) -> int:
    """Return the product of two polynomials modulo that of CRC-32C."""
    product = 0
    while one:
        if one & _ONE:
            product ^= other
        one = one << 1 & _ALL
        other = _times_x(other)
    return product


def _times_x(polynomial: int) -> int:
    return polynomial >> 1 ^ (_POLYNOMIAL if polynomial & 1 else 0)


@lru_cache(maxsize=1)
def _table() -> list[int]:
    """Return for each byte what it makes of an empty register."""
    table = []
    for register in range(256):
        for _ in range(8):
            register = _times_x(register)
        table.append(register)
    return table
