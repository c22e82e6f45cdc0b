"""Buffers for what is copied in bulk."""

from __future__ import annotations

import ctypes
import mmap

import pytest

from vhdx_kaitai.storage.buffers import bulk_buffer


@pytest.mark.parametrize("length", [1, 511, 4096, 1 << 20, (1 << 20) + 1])
def test_a_buffer_begins_with_a_page_and_has_its_length_of_zeros(length: int) -> None:
    buffer = bulk_buffer(length)
    assert ctypes.addressof(ctypes.c_char.from_buffer(buffer)) % mmap.PAGESIZE == 0
    assert buffer == bytes(length)
    buffer[-1] = 1
    assert buffer.tobytes() == bytes(length - 1) + b"\1"


def test_none_is_needed_for_nothing() -> None:
    assert len(bulk_buffer(0)) == 0
