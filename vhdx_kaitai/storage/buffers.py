"""Buffers for what is copied in bulk."""

from __future__ import annotations

import mmap


def bulk_buffer(length: int) -> memoryview:
    """Return a buffer of zeros that begins with a page.

    Large byte arrays and numpy's arrays begin 16 bytes after one, as a rule. The system may take
    twice as long to copy to such a place, and a fifth longer to copy from there.

    Args:
        length: Bytes.
    """
    if length == 0:  # of which there are no pages
        return memoryview(bytearray())
    private = getattr(mmap, "MAP_PRIVATE", None)
    if private is None:  # on Windows
        return memoryview(mmap.mmap(-1, length))
    return memoryview(mmap.mmap(-1, length, private | mmap.MAP_ANONYMOUS))
