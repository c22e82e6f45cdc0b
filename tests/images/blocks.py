"""Blocks: what the disk holds of one and what the file does, and sector bitmap blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from .sparse import Pattern, Sparse
from .structures import FULLY_PRESENT, KIB, MIB, PARTIALLY_PRESENT

SectorRange = tuple[int, int]


def sectors(*items: int | range | SectorRange) -> tuple[SectorRange, ...]:
    """Return sorted, merged half-open (first, stop) runs from numbers, ranges and pairs."""
    runs = []
    for item in items:
        if isinstance(item, int):
            runs.append((item, item + 1))
        elif isinstance(item, range):
            if item.step != 1:
                runs.extend((number, number + 1) for number in item)
            elif len(item):
                runs.append((item.start, item.stop))
        else:
            runs.append(item)
    merged: list[SectorRange] = []
    for first, stop in sorted(runs):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
        elif first < stop:
            merged.append((first, stop))
    return tuple(merged)


@dataclass(frozen=True)
class Block:
    """A payload block: its state, place, contents and the bits its sector bitmap has for it.

    `file_offset` None means: the next free place for a present block, 0 for any other. `data` is
    bytes (zeros follow) or a `Sparse`; None is the image's pattern. `present` counts sectors
    inside the block; bits may be set for blocks in any state, a reader heeds them in state 7 only.
    """

    state: int = FULLY_PRESENT
    file_offset: int | None = None
    data: bytes | Sparse | None = None
    present: tuple[SectorRange, ...] = ()

    @property
    def is_stored(self) -> bool:
        """Whether the block's contents are in this file."""
        return self.state in (FULLY_PRESENT, PARTIALLY_PRESENT)

    def sector_runs(self, total: int) -> Iterator[tuple[int, int, bool]]:
        """Yield (first, stop, present) runs that cover the block's `total` sectors."""
        position = 0
        for first, stop in self.present:
            first, stop = min(first, total), min(stop, total)
            if first > position:
                yield position, first, False
            if stop > first:
                yield first, stop, True
            position = max(position, stop)
        if position < total:
            yield position, total, False


def partial(*present: int | range | SectorRange, **fields: Any) -> Block:
    """Return a PARTIALLY_PRESENT block with these sectors in this file."""
    return Block(PARTIALLY_PRESENT, present=sectors(*present), **fields)


def default_payload(tag: int, number: int, block_size: int) -> Sparse:
    """Return pattern bytes for a block: throughout up to 4 MiB, else at start, middle and end."""
    base = number * block_size
    if block_size <= 4 * MIB:
        return Sparse(block_size, {0: Pattern(tag, base, block_size)})
    islands = (0, 8 * KIB), (block_size // 2 - 512, 4 * KIB), (block_size - 8 * KIB, 8 * KIB)
    pieces = {start: Pattern(tag, base + start, length) for start, length in islands}
    return Sparse(block_size, dict(pieces))


@dataclass
class Bitmap:
    """A sector bitmap block: where it lies and which sectors of its chunk are set."""

    file_offset: int
    runs: tuple[SectorRange, ...] = ()

    def pack(self) -> Sparse:
        """Return its 1 MiB, least significant bit first [2.4]."""
        block = Sparse(MIB)
        pages: dict[int, bytearray] = {}
        for first, stop in self.runs:
            whole_first, whole_stop = -(-first // 8), stop // 8
            if whole_first < whole_stop:
                block.put(whole_first, b"\xff" * (whole_stop - whole_first))
        for first, stop in self.runs:
            whole_first, whole_stop = -(-first // 8), stop // 8
            edges: Iterable[int]
            if whole_first < whole_stop:
                edges = (*range(first, whole_first * 8), *range(whole_stop * 8, stop))
            else:
                edges = range(first, stop)
            for bit in edges:
                pages.setdefault(bit // 8, bytearray(1))[0] |= 1 << bit % 8
        for offset, byte in pages.items():
            block.put(offset, bytes(byte))
        return block
