"""What a file was before it was repaired, in a file beside it, and the way back.

All numbers are little-endian:

| offset | bytes | what |
|---|---|---|
| 0 | 8 | `vhdxundo` |
| 8 | 4 | 1, the version of this layout |
| 12 | 4 | how many ranges follow |
| 16 | 8 | length of the file in bytes |
| 24 | 8 | the greatest length that the repair gives it |
| 32 | 4 | how many writes follow the ranges |
| 36 | | each range: its file offset (8), its length in bytes (8), and the bytes that it had |
| then | | what each step of the repair writes there: likewise, in order |
| at the end | 4 | CRC-32, as in zip files, of all before it |

In the file that was repaired each byte is that of the range, or of one of the writes: be the
repair done, or cut off by a failure of the power, or taken back, wholly or partly. Whoever
writes to an image gives both headers new GUIDs, so other bytes tell that it is another file,
or was written to since.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from ..errors import UnsafeError, UnsupportedError
from ..records import NamedTuple
from ..storage.source import Source
from ..storage.target import Target, new_file
from .rehearsal import Rehearsal

_MAGIC, _VERSION = b"vhdxundo", 1
_HEAD = struct.Struct("<8sIIQQI")
_RANGE = struct.Struct("<QQ")
_SUM = struct.Struct("<I")
_MOST = 1 << 30  # bytes of a dump; metadata are far less
_PART = 512  # bytes that are compared at once


class Undo(NamedTuple):
    """What a file was.

    Attributes:
        length: Its length in bytes.
        longest: The greatest length that the repair gives it.
        ranges: File offsets, and the bytes that were there.
        written: File offsets, and the bytes that the steps write there, in order.
    """

    length: int
    longest: int
    ranges: tuple[tuple[int, bytes], ...]
    written: tuple[tuple[int, bytes], ...]

    @classmethod
    def of(cls, rehearsal: Rehearsal) -> Undo:
        """Return what a file is to which nothing has been done yet."""
        base = rehearsal.base
        changed = rehearsal.changed()
        ranges = tuple((start, base.read(start, end - start)) for start, end in changed)
        written = ((offset, data[: base.size - offset]) for data, offset in rehearsal.writes())
        kept = tuple((offset, data) for offset, data in written if offset < base.size)
        return cls(base.size, rehearsal.size, ranges, kept)

    def save(self, path: str) -> None:
        """Write a dump, which is on the medium when this returns.

        Raises:
            OSError: There is a file of that name, or the dump cannot be written.
            UnsupportedError: It would be longer than any that is read.
        """
        counts = len(self.ranges), self.length, self.longest, len(self.written)
        parts = [_HEAD.pack(_MAGIC, _VERSION, *counts)]
        for offset, data in (*self.ranges, *self.written):
            parts += (_RANGE.pack(offset, len(data)), data)
        data = b"".join(parts)
        if len(data) + _SUM.size > _MOST:
            raise UnsupportedError("what is to be repaired is too much for an undo dump")
        with new_file(path, replace=False, is_durable=True) as out:
            out.write(data + _SUM.pack(zlib.crc32(data)), 0)

    def refuse_other(self, file: Source) -> None:
        """Raise unless a file is the one that was repaired, to which nothing was written since.

        Raises:
            UnsafeError: It is not.
        """
        if not self.length <= file.size <= self.longest:
            _refuse(f"the file is {file.size} bytes long, which it never was in the repair")
        writes: dict[int, list[tuple[int, bytes]]] = {}
        for offset, data in self.written:
            for start, _ in _parts(offset, offset + len(data)):
                writes.setdefault(start // _PART, []).append((offset, data))
        for offset, stored in self.ranges:
            found = file.read(offset, len(stored))
            for start, end in _parts(offset, offset + len(stored)):
                piece, before = (data[start - offset : end - offset] for data in (found, stored))
                if piece != before:
                    _refuse_bytes(start, piece, before, writes.get(start // _PART, []))

    def bring_back(self, file: Target) -> None:
        """Make a file what it was. When that is interrupted, it can be done once more."""
        for offset, stored in self.ranges:
            file.write(stored, offset)
        file.set_length(self.length)
        file.flush()


def _parts(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of a range."""
    for at in range(start // _PART * _PART, end, _PART):
        yield max(at, start), min(at + _PART, end)


def _refuse_bytes(start: int, piece: bytes, before: bytes, writes: list[tuple[int, bytes]]) -> None:
    """Raise when one of some bytes is neither what it was nor what was written there.

    A medium may have written some bytes of a sector and not others.

    Args:
        start: File offset of the bytes.
        piece: The bytes.
        before: What was there.
        writes: What was written there and beside it.
    """
    if any(data.startswith(piece, start - at) for at, data in writes if at <= start):
        return
    for place, (byte, former) in enumerate(zip(piece, before, strict=False), start):
        if byte != former and not any(
            at <= place < at + len(data) and data[place - at] == byte for at, data in writes
        ):
            _refuse(f"what is at {place:#x} is none of the repair")


def _refuse(why: str) -> None:
    message = f"{why}: the dump is of another file, or this one was written to since; "
    raise UnsafeError(message + "--force (force=True) restores it all the same")


def read_undo(source: Source) -> Undo:
    """Return what a dump holds.

    Raises:
        UnsupportedError: It is none, or is damaged.
    """
    size = source.size
    if not _HEAD.size + _SUM.size <= size <= _MOST:
        raise UnsupportedError("this is no undo dump")
    data = source.read(0, size - _SUM.size)
    magic, version, count, length, longest, writes = _HEAD.unpack_from(data)
    if (magic, version) != (_MAGIC, _VERSION):
        raise UnsupportedError("this is no undo dump")
    if _SUM.unpack(source.read(len(data), _SUM.size))[0] != zlib.crc32(data):
        raise UnsupportedError("the undo dump is damaged: its checksum is wrong")
    ranges = tuple(_ranges(data, count + writes))
    return Undo(length, longest, ranges[:count], ranges[count:])


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
