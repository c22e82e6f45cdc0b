"""The runtime's stream, over bytes that are in memory already.

The runtime's own takes four calls and a file object for every number, which is
most of the time of opening an image; this one takes one call.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from kaitaistruct import EndOfStreamError, KaitaiStream


def _number_reader(code: str) -> Callable[[BytesStream], int]:
    """Return a method that reads one number of a kind that `struct` knows."""
    kind = struct.Struct(code)
    unpack, length = kind.unpack_from, kind.size

    def read(self: BytesStream) -> int:
        start = self._position
        try:
            (value,) = unpack(self._data, start)
        except struct.error:
            raise self._end(length) from None
        self._position = start + length
        self.bits_left = 0
        return value  # type: ignore[no-any-return]

    return read


class BytesStream(KaitaiStream):  # type: ignore[misc]
    """A stream that reads from bytes what the runtime's own would read from a file."""

    bits = bits_left = 0
    bits_le = False

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def pos(self) -> int:
        """Return the position in bytes."""
        return self._position

    def seek(self, n: int) -> None:
        """Move the position."""
        self._position = n

    def size(self) -> int:
        """Return the number of bytes."""
        return len(self._data)

    def is_eof(self) -> bool:
        """Return whether there is nothing left."""
        return self.bits_left == 0 and self._position >= len(self._data)

    read_u2le = _number_reader("<H")
    read_u4le = _number_reader("<I")
    read_u8le = _number_reader("<Q")

    def read_bits_int_le(self, n: int) -> int:
        """Return the next bits of the bytes that are begun, and of as many more as it takes."""
        left, bits = self.bits_left, self.bits
        if n > left:
            start = self._position
            self._position = end = start + (n - left + 7 >> 3)
            data = self._data[start:end]
            if len(data) != end - start:
                self._position = start
                raise self._end(end - start)
            bits = int.from_bytes(data, "little") << left | (bits if left else 0)
            left += 8 * (end - start)
        self.bits = bits >> n
        self.bits_left = left - n
        return bits & (1 << n) - 1

    def read_bytes(self, n: int) -> bytes:
        """Return the next bytes."""
        self.bits_left = 0
        start = self._position
        self._position = end = start + n
        data = self._data[start:end]
        if len(data) != n:
            self._position = start
            raise self._end(n)
        return data

    def _end(self, wanted: int) -> EndOfStreamError:
        found = max(0, len(self._data) - self._position)
        return EndOfStreamError(f"{wanted} bytes wanted, {found} there", wanted, found)

    def read_bytes_full(self) -> bytes:
        """Return all bytes that are left."""
        return self.read_bytes(max(0, len(self._data) - self._position))
