"""What a file was before it was repaired, in a file beside it, and the way back.

All numbers are little-endian:

| offset | bytes | what |
|---|---|---|
| 0 | 8 | `vhdxundo` |
| 8 | 4 | 1, the version of this layout |
| 12 | 4 | how many ranges follow |
| 16 | 8 | length of the file in bytes |
| 24 | | each range: its file offset (8), its length in bytes (8), and the bytes that it had |
| at the end | 4 | CRC-32, as in zip files, of all before it |
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from ..errors import UnsupportedError
from ..storage.source import Source
from ..storage.target import Target, new_file
from .rehearsal import Rehearsal

_MAGIC, _VERSION = b"vhdxundo", 1
_HEAD = struct.Struct("<8sIIQ")
_RANGE = struct.Struct("<QQ")
_SUM = struct.Struct("<I")
_MOST = 1 << 30  # bytes of a dump; metadata are far less


class Undo(NamedTuple):
    """What a file was.

    Attributes:
        length: Its length in bytes.
        ranges: File offsets, and the bytes that were there.
    """

    length: int
    ranges: tuple[tuple[int, bytes], ...]

    @classmethod
    def of(cls, rehearsal: Rehearsal) -> Undo:
        """Return what a file is to which nothing has been done yet."""
        base = rehearsal.base
        ranges = ((start, base.read(start, end - start)) for start, end in rehearsal.changed())
        return cls(base.size, tuple(ranges))

    def save(self, path: str) -> None:
        """Write a dump, which is on the medium when this returns.

        Raises:
            OSError: There is a file of that name, or the dump cannot be written.
        """
        data = _HEAD.pack(_MAGIC, _VERSION, len(self.ranges), self.length)
        for offset, stored in self.ranges:
            data += _RANGE.pack(offset, len(stored)) + stored
        with new_file(path, replace=False, is_durable=True) as out:
            out.write(data + _SUM.pack(zlib.crc32(data)), 0)

    def bring_back(self, file: Target) -> None:
        """Make a file what it was. When that is interrupted, it can be done once more."""
        for offset, stored in self.ranges:
            file.write(stored, offset)
        file.set_length(self.length)
        file.flush()


def read_undo(source: Source) -> Undo:
    """Return what a dump holds.

    Raises:
        UnsupportedError: It is none, or is damaged.
    """
    size = source.size
    if not _HEAD.size + _SUM.size <= size <= _MOST:
        raise UnsupportedError("this is no undo dump")
    data = source.read(0, size - _SUM.size)
    magic, version, count, length = _HEAD.unpack_from(data)
    if (magic, version) != (_MAGIC, _VERSION):
        raise UnsupportedError("this is no undo dump")
    if _SUM.unpack(source.read(len(data), _SUM.size))[0] != zlib.crc32(data):
        raise UnsupportedError("the undo dump is damaged: its checksum is wrong")
    return Undo(length, tuple(_ranges(data, count)))


def _ranges(data: bytes, count: int) -> Iterator[tuple[int, bytes]]:
    at = _HEAD.size
    for _ in range(count):
        if len(data) - at < _RANGE.size:
            raise UnsupportedError("the undo dump is damaged: ranges are missing")
        offset, length = _RANGE.unpack_from(data, at)
        at += _RANGE.size
        if length > len(data) - at:
            raise UnsupportedError("the undo dump is damaged: a range is cut")
        yield offset, data[at : at + length]
        at += length
