"""Writing with holes: what is a page of zeros need not be written into a new file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..storage.buffers import bulk_buffer
from ..storage.source import FileSource, Source
from ..storage.target import OutFile
from ..units import KIB, MIB

PIECE = MIB  # what is read at once

_PAGE = 4 * KIB  # a run of zeros this long becomes a hole
_ZEROS = bytes(PIECE)
_ZERO_PAGE = bytes(_PAGE)


def written_ranges(buffer: memoryview, count: int, begin: int = 0) -> Iterator[tuple[int, int]]:
    """Yield what of some bytes of a buffer is not a page of zeros, by places from the first on.

    Args:
        buffer: The buffer, at most a piece.
        count: How many of its bytes are meant.
        begin: The first of them.
    """
    if count == PIECE and _ZEROS.startswith(buffer):
        return
    start = 0
    # A page of zeros begins with one, and most pages of data do not.
    first = bytes(buffer[begin : begin + count : _PAGE])
    number = first.find(0)
    while number >= 0:
        page = number * _PAGE
        if _ZERO_PAGE.startswith(buffer[begin + page : begin + min(page + _PAGE, count)]):
            if start < page:
                yield start, page
            start = page + _PAGE
        number = first.find(0, number + 1)
    if start < count:
        yield start, count


def copy_range(source: Source, out: OutFile, start: int, end: int) -> int:
    """Write a range of a file at the same place of another one, with holes for zeros.

    Args:
        source: The file.
        out: The other one, in which there is nothing but zeros.
        start: File offset in bytes.
        end: File offset after the range.

    Returns:
        Bytes that were written.
    """
    ranges: Iterable[tuple[int, int]] = [(start, end)]
    if isinstance(source, FileSource):
        ranges = source.stored_ranges(start, end)
    buffer = bulk_buffer(PIECE)
    written = 0
    for low, high in ranges:
        position = low
        while position < high:
            count = min(PIECE - position % PIECE, high - position)
            source.readinto(buffer[:count], position)
            for first, last in written_ranges(buffer, count):
                out.write(buffer[first:last], position + first)
                written += last - first
            position += count
    return written
