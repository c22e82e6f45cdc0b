"""CRC-32C in plain Python is that of the package, however many zeros there are."""

from __future__ import annotations

import random

import crc32c as package
from hypothesis import example, given
from hypothesis import strategies as st

from vhdx_kaitai.format.crc import crc32c

# What there may be in a structure, piece by piece.
PIECES = st.one_of(
    st.binary(max_size=40),
    st.integers(0, 5000).map(bytes),
    st.sampled_from((1023, 1024, 1025, 65_536)).map(bytes),
)


def test_the_check_value_is_that_of_crc_32c() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"") == 0


@given(st.lists(PIECES, max_size=8).map(b"".join), st.integers(0, 2**32 - 1))
@example(bytes(1 << 20), 0)
def test_it_is_that_of_the_package(data: bytes, before: int) -> None:
    expected = package.crc32c(data, before)
    for kind in (bytes, bytearray, memoryview):
        assert crc32c(kind(data), before) == expected


@given(st.lists(PIECES, max_size=8))
def test_it_goes_on_where_it_stopped(pieces: list[bytes]) -> None:
    crc = 0
    for piece in pieces:
        crc = crc32c(piece, crc)
    assert crc == crc32c(b"".join(pieces))


def test_it_is_right_of_a_long_structure_without_zeros() -> None:
    data = random.Random(1).randbytes(100_000).replace(b"\0", b"\1")
    assert crc32c(data) == package.crc32c(data)
