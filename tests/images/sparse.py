"""Sparse files: pieces at offsets and a length, with zeros everywhere else.

Nothing here is ever as large as the file it describes, so a 64 TiB image costs as much as its
structures do. A piece is bytes, a `Pattern` (bytes computed from their position) or a run of zeros
that hides what earlier pieces put there. Later pieces win.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from io import RawIOBase
from pathlib import Path

PAGE = 4096
_STEP = 1 << 20
_RAMP = bytes((index * 167 + (index >> 4) * 13 + 1) & 0xFF for index in range(496))


@lru_cache(maxsize=16)
def _pattern(tag: int, first_sector: int, count: int) -> bytes:
    pack = struct.Struct("<8sQ").pack
    name = b"T" + tag.to_bytes(7, "big")
    return b"".join(
        pack(name, sector) + _RAMP for sector in range(first_sector, first_sector + count)
    )


def pattern(tag: int, position: int, length: int) -> bytes:
    """Return `length` bytes that name their tag and their 512-byte sector, from `position` on."""
    first = position // 512
    last = -(-(position + length) // 512)
    start = position - first * 512
    data = _pattern(tag, first, last - first)
    return data if len(data) == length else data[start : start + length]


@dataclass(frozen=True)
class Pattern:
    """A run of `length` pattern bytes; the first one is that of `position`."""

    tag: int
    position: int
    length: int


@dataclass(frozen=True)
class Zeros:
    """A run of `length` zeros that hides earlier pieces."""

    length: int


Source = bytes | Pattern | Zeros


def size_of(source: Source) -> int:
    """Return how many bytes of the file a piece covers."""
    return len(source) if isinstance(source, bytes) else source.length


def _cut(source: Source, offset: int, length: int) -> bytes:
    if isinstance(source, bytes):
        return source[offset : offset + length]
    if isinstance(source, Pattern):
        return pattern(source.tag, source.position + offset, length)
    return bytes(length)


class Sparse:
    """A file, or the contents of a block, as pieces over zeros."""

    def __init__(self, length: int = 0, pieces: dict[int, Source] | None = None) -> None:
        """Hold `pieces` by offset; the length grows to hold them all."""
        self.length = length
        self._pieces: list[tuple[int, Source]] = []
        for offset, source in (pieces or {}).items():
            self.put(offset, source)

    def __repr__(self) -> str:
        return f"Sparse(length={self.length}, pieces={len(self._pieces)})"

    def copy(self) -> Sparse:
        """Return an independent copy; the pieces themselves are immutable and shared."""
        other = Sparse(self.length)
        other._pieces = list(self._pieces)
        return other

    def put(self, offset: int, source: Source) -> None:
        """Place a piece; the file grows to hold it."""
        size = size_of(source)
        if size:
            self._pieces.append((offset, source))
            self.length = max(self.length, offset + size)

    def put_all(self, offset: int, other: Sparse, limit: int | None = None) -> None:
        """Place every piece of `other`, shifted by `offset` and cut at `limit` bytes of `other`."""
        for start, source in other._pieces:
            room = None if limit is None else limit - start
            if room is None or room >= size_of(source):
                self.put(offset + start, source)
            elif room > 0:
                self.put(offset + start, _part(source, 0, room))

    def pieces(self) -> Iterator[tuple[int, int]]:
        """Yield offset and length of every piece, zero runs included, in no order."""
        for offset, source in self._pieces:
            yield offset, size_of(source)

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes; what no piece covers is zeros, past the end too."""
        end = offset + length
        out: bytearray | None = None
        for start, source in self._pieces:
            first = max(start, offset)
            last = min(start + size_of(source), end)
            if first >= last:
                continue
            if first == offset and last == end and not isinstance(source, Zeros):
                out = bytearray(_cut(source, first - start, length))
                continue
            if out is None:
                if isinstance(source, Zeros):
                    continue
                out = bytearray(length)
            out[first - offset : last - offset] = _cut(source, first - start, last - first)
        return bytes(length) if out is None else bytes(out)

    def to_bytes(self) -> bytes:
        """Return the whole file; only for small ones."""
        if self.length > 1 << 30:
            raise ValueError(f"{self.length} bytes are too many to hold in memory; use write()")
        out = bytearray(self.length)
        for start, source in self._pieces:
            room = min(size_of(source), self.length - start)
            if room > 0:
                out[start : start + room] = _cut(source, 0, room)
        return bytes(out)

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write a sparse file of exactly `length` bytes and return its path."""
        target = Path(path)
        with target.open("wb", buffering=0) as file:
            file.truncate(self.length)
            for index, (start, source) in enumerate(self._pieces):
                stop = min(start + size_of(source), self.length)
                if isinstance(source, Zeros):
                    for first, last in self._hidden(index, start, stop):
                        _write_steps(file, first, Zeros(last - first), last)
                else:
                    _write_steps(file, start, source, stop)
        return target

    def pages(self, other: Sparse) -> Iterator[int]:
        """Yield, in order, the offsets of the 4 KiB pages in which the two files may differ."""
        numbers: set[int] = set()
        for start, source in [*self._pieces, *other._pieces]:
            if not isinstance(source, Zeros):
                numbers.update(range(start // PAGE, -(-(start + size_of(source)) // PAGE)))
        for number in sorted(numbers):
            yield number * PAGE

    def slice(self, offset: int, length: int) -> Sparse:
        """Return the pieces inside a range as a file of their own."""
        result = Sparse()
        for start, source in self._pieces:
            first, last = max(start, offset), min(start + size_of(source), offset + length)
            if first < last:
                result.put(first - offset, _part(source, first - start, last - first))
        result.length = length
        return result

    def truncate(self, length: int) -> None:
        """Cut or extend the file; what lay after the cut is gone."""
        if length < self.length:
            self._pieces = self.slice(0, length)._pieces
        self.length = length

    def _hidden(self, index: int, start: int, stop: int) -> Iterator[tuple[int, int]]:
        for other, source in self._pieces[:index]:
            first, last = max(start, other), min(stop, other + size_of(source))
            if first < last:
                yield first, last


def _part(source: Source, offset: int, length: int) -> Source:
    if isinstance(source, bytes):
        return source[offset : offset + length]
    if isinstance(source, Pattern):
        return Pattern(source.tag, source.position + offset, length)
    return Zeros(length)


def _write_steps(file: RawIOBase, start: int, source: Source, stop: int) -> None:
    position = start
    while position < stop:
        step = min(_STEP, stop - position)
        file.seek(position)
        position += file.write(_cut(source, position - start, step)) or 0
