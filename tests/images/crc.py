"""CRC-32C for the test images, quick on the long runs of zeros that VHDX structures consist of.

The polynomial is 0x1EDC6F41, reflected 0x82F63B78; the register starts at all ones and the result
is inverted [MS-VHDX 2]. Appending one zero byte is a linear map of the 32-bit register, so a run of
n zeros costs one 32x32 bit matrix for each bit set in n instead of n table look-ups.
"""

from __future__ import annotations

import re
from functools import lru_cache

_POLYNOMIAL = 0x82F63B78
_ZERO_RUN = re.compile(rb"\x00{64,}")


def _table() -> list[int]:
    table = []
    for byte in range(256):
        register = byte
        for _ in range(8):
            register = (register >> 1) ^ (_POLYNOMIAL if register & 1 else 0)
        table.append(register)
    return table


_TABLE = _table()


def _apply(matrix: tuple[int, ...], register: int) -> int:
    result = 0
    bit = 0
    while register:
        if register & 1:
            result ^= matrix[bit]
        register >>= 1
        bit += 1
    return result


@lru_cache(maxsize=64)
def _zeros_matrix(exponent: int) -> tuple[int, ...]:
    """Return the map of the register over 2**exponent zero bytes, as the images of its 32 bits."""
    if exponent == 0:
        return tuple(_TABLE[(1 << bit) & 0xFF] ^ ((1 << bit) >> 8) for bit in range(32))
    half = _zeros_matrix(exponent - 1)
    return tuple(_apply(half, column) for column in half)


def _append_zeros(register: int, count: int) -> int:
    exponent = 0
    while count:
        if count & 1:
            register = _apply(_zeros_matrix(exponent), register)
        count >>= 1
        exponent += 1
    return register


def _append(register: int, data: bytes) -> int:
    table = _TABLE
    for byte in data:
        register = (register >> 8) ^ table[(register ^ byte) & 0xFF]
    return register


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of `data`; that of small structures is remembered."""
    return _remembered(data) if len(data) <= 1 << 16 else _crc32c(data)


@lru_cache(maxsize=256)
def _remembered(data: bytes) -> int:
    return _crc32c(data)


def _crc32c(data: bytes) -> int:
    register = 0xFFFFFFFF
    position = 0
    for run in _ZERO_RUN.finditer(data):
        register = _append(register, data[position : run.start()])
        register = _append_zeros(register, run.end() - run.start())
        position = run.end()
    return _append(register, data[position:]) ^ 0xFFFFFFFF


def sealed(data: bytes, checksum_offset: int = 4) -> bytes:
    """Return `data` with its CRC-32C stored at `checksum_offset`, those four bytes counted as 0."""
    before, after = data[:checksum_offset], data[checksum_offset + 4 :]
    checksum = crc32c(before + bytes(4) + after)
    return before + checksum.to_bytes(4, "little") + after
