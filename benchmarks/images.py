"""Images for the benchmarks, and where everything in them lies.

Headers, tables and metadata come from the builder of the test images. The BAT, the sector bitmaps
and the payload are written here, in bulk. Nothing comes from the package that is measured, so what
is known here about the layout may serve as the plan that a reader at its best would follow.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.images.chain import child_of
from tests.images.dirty import dirty
from tests.images.image import Built, DiskType, Image
from tests.images.log import Zero
from tests.images.structures import (
    FULLY_PRESENT,
    GIB,
    KIB,
    MIB,
    NOT_PRESENT,
    PARTIALLY_PRESENT,
    SB_PRESENT,
    TIB,
    ZERO,
)

__all__ = ["GIB", "KIB", "MIB", "TIB", "DiskType"]  # for the benchmarks, and what is made here
__all__ += ["ABSENT", "SECTOR", "ZERO", "Array", "Made"]
__all__ += ["alternating", "child", "empty_child", "image", "in_order", "none", "raw", "shuffled"]

Array = NDArray[Any]

SECTOR = 512
ABSENT = -1  # place of a block, and owner of an extent, that is not stored anywhere

_PIECE = 256 * KIB  # larger ones can be ten times slower to write on ext4
_POOL = 8 * MIB
_ENTRIES_AT_ONCE = 1 << 20


class Extents(NamedTuple):
    """What a disk is made of, extent by extent.

    Attributes:
        starts: Virtual offsets, the first one 0.
        owners: Which file of the chain holds the extent, the child's being 0; ABSENT for zeros.
        positions: Offset in that file.
    """

    starts: Array
    owners: Array
    positions: Array


@dataclass(frozen=True)
class Made:
    """An image, and what its maker knows of it.

    Attributes:
        path: Where it is.
        built: Its structures.
        payload: File offset of the first place for a block.
        places: For each block which place it takes; empty when no block is present.
        parent: The image of its parent.
        is_here: For each sector whether it is in this image; None without a parent.
    """

    path: Path
    built: Built
    payload: int
    places: Array
    parent: Made | None = None
    is_here: Array | None = None

    @property
    def size(self) -> int:
        """Bytes of the virtual disk."""
        return self.built.image.virtual_disk_size

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the chain, its own first."""
        return (self.path, *(self.parent.files if self.parent else ()))

    @cached_property
    def extents(self) -> Extents:
        """What the disk is made of, parents included; neighbours are not merged."""
        if self.parent is None or self.is_here is None:
            if not len(self.places):
                return Extents(np.array([0]), np.array([ABSENT]), np.array([0]))
            block_size = self.built.image.block_size
            starts = np.arange(len(self.places)) * block_size
            owners = np.where(self.places == ABSENT, ABSENT, 0)
            return Extents(starts, owners, self.payload + self.places.astype("i8") * block_size)
        below = self.parent.extents
        changes = np.flatnonzero(np.diff(self.is_here, prepend=~self.is_here[:1])) * SECTOR
        starts = np.union1d(changes, below.starts)
        mine = self.is_here[starts // SECTOR]
        index = np.searchsorted(below.starts, starts, "right") - 1
        owners = below.owners[index] + (below.owners[index] != ABSENT)
        positions = below.positions[index] + starts - below.starts[index]
        # The blocks of a child are all there, in order.
        return Extents(
            starts, np.where(mine, 0, owners), np.where(mine, self.payload + starts, positions)
        )


def in_order(count: int) -> Array:
    """Return places for blocks that lie in the file as they do on the disk."""
    return np.arange(count, dtype="i4")


def shuffled(count: int) -> Array:
    """Return places for blocks that lie in the file in no order."""
    return np.random.default_rng(count).permutation(in_order(count))


def alternating(count: int) -> Array:
    """Return places for blocks of which every other one is absent, the others in order."""
    return np.where(np.arange(count) % 2, ABSENT, np.arange(count) // 2).astype("i4")


def none(count: int) -> Array:
    """Return the places of blocks that are all absent."""
    return np.full(count, ABSENT, "i4")


def image(
    path: Path,
    size: int,
    block_size: int,
    places: Array | None = None,
    *,
    disk_type: DiskType = "dynamic",
    is_filled: bool = True,
    is_after: bool = False,
    is_dirty: bool = False,
    absent: int = NOT_PRESENT,
) -> Made:
    """Make a fixed or dynamic image.

    Args:
        path: Where to.
        size: Bytes of the disk.
        block_size: Bytes of a block.
        places: For each block which place in the file it takes, ABSENT for one that is not
            present; None when none is, and then nothing of the BAT is stored.
        disk_type: `fixed` or `dynamic`.
        is_filled: Whether blocks hold anything; else they are holes in the file.
        is_after: Whether log, metadata and BAT lie after the blocks.
        is_dirty: Whether the log has to be replayed, which clears the end of the BAT region.
        absent: State of the blocks that are not present, where any place is given.
    """
    described = Image(size, disk_type, block_size=block_size)
    if is_after and places is not None:
        end = MIB + (int(places.max()) + 1) * block_size
        described = described.but(
            log_offset=end, metadata_offset=end + MIB, bat_offset=end + 2 * MIB
        )
    layout = described.layout()
    if is_dirty:
        cleared = Zero(layout.bat_offset + MIB - 4 * KIB, 4 * KIB)
        layout = dirty(layout, hide=(), extra=[cleared])
    built = layout.build()
    built.write(path)
    if places is None:
        return Made(path, built, built.length, in_order(0))
    made = Made(path, built, MIB if is_after else built.length, places)
    _write(path, built.layout.bat_offset, _bat(made, FULLY_PRESENT, absent=absent))
    _write_payload(made, tag=1, is_filled=is_filled)
    return made


def child(
    path: Path, parent: Made, block_size: int, is_here: Array, *, is_filled: bool = True
) -> Made:
    """Make a differencing image all of whose blocks are partially present.

    Args:
        path: Where to, in the folder of the parent.
        parent: Its parent.
        block_size: Bytes of a block.
        is_here: For each sector of the disk whether it is in this image.
        is_filled: Whether sectors hold anything; else they are holes in the file.
    """
    built = child_of(parent.built, parent.path.name, block_size=block_size).build()
    built.write(path)
    geometry = built.image.geometry
    bitmaps = built.length
    payload = bitmaps + geometry.sector_bitmap_blocks * MIB
    made = Made(path, built, payload, in_order(geometry.payload_blocks), parent, is_here)
    _write(path, built.layout.bat_offset, _bat(made, PARTIALLY_PRESENT, bitmaps))
    _write(path, bitmaps, [np.packbits(is_here, bitorder="little")])
    _write_payload(made, tag=2, is_filled=is_filled)
    return made


def empty_child(path: Path, parent: Made, block_size: int) -> None:
    """Make a differencing image that has nothing of its own, in the folder of its parent."""
    path.unlink(missing_ok=True)
    child_of(parent.built, parent.path.name, block_size=block_size, blocks={}).build().write(path)


def raw(path: Path, size: int) -> Path:
    """Make a raw image with the contents of a dense image of the same size."""
    with path.open("wb", buffering=0) as file:
        for start in range(0, size, _PIECE):
            file.write(content(start, min(_PIECE, size - start), tag=1))
        os.fsync(file.fileno())
    return path


def sparse_raw(path: Path, data: int, period: int, size: int) -> Path:
    """Make a raw image with some bytes of data at the start of each period, and holes."""
    with path.open("wb", buffering=0) as file:
        for start in range(0, size, period):
            file.seek(start)
            for at in range(start, start + data, min(data, _PIECE)):
                file.write(content(at, min(data, _PIECE), tag=1))
        file.truncate(size)
        os.fsync(file.fileno())
    return path


def content(offset: int, length: int, tag: int) -> memoryview:
    """Return what images hold at a virtual offset, which is noise.

    Args:
        offset: Virtual offset in bytes.
        length: Bytes, not beyond the end of the piece of 256 KiB.
        tag: 1 for images without a parent, 2 for children.
    """
    piece, inside = divmod(offset, _PIECE)
    start = (piece * 40961 + tag * 8191) * SECTOR % (_POOL - _PIECE) + inside
    return _pool()[start : start + length]


@cache
def _pool() -> memoryview:
    return memoryview(random.Random(1).randbytes(_POOL))


def warm(made: Made) -> None:
    """Read what the files hold once, so that it is in memory."""
    buffer = bytearray(MIB)
    for path in made.files:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def _bat(made: Made, state: int, bitmaps: int = 0, absent: int = NOT_PRESENT) -> Iterator[Array]:
    """Yield the BAT in pieces of whole chunks, `bitmaps` being the offset of the first bitmap."""
    geometry = made.built.image.geometry
    ratio = geometry.chunk_ratio
    step = max(1, _ENTRIES_AT_ONCE // ratio)
    for first in range(0, geometry.sector_bitmap_blocks, step):
        places = made.places[first * ratio : (first + step) * ratio].astype("i8")
        chunks = -(-len(places) // ratio)
        entries = np.zeros((chunks, ratio + 1), "<u8")
        payload = np.zeros(chunks * ratio, "<u8")
        offsets = made.payload + places * geometry.block_size
        payload[: len(places)] = np.where(places == ABSENT, absent, offsets | state)
        entries[:, :ratio] = payload.reshape(chunks, ratio)
        if bitmaps:
            entries[:, ratio] = bitmaps + (first + np.arange(chunks)) * MIB | SB_PRESENT
        yield entries.reshape(-1)[: geometry.entry_count - first * (ratio + 1)]


def _write(path: Path, offset: int, arrays: Iterator[Array] | list[Array]) -> None:
    with path.open("r+b", buffering=0) as file:
        file.seek(offset)
        for array in arrays:
            data = array.tobytes()
            for start in range(0, len(data), _PIECE):
                file.write(data[start : start + _PIECE])


def _write_payload(made: Made, tag: int, *, is_filled: bool) -> None:
    """Make the file as long as it has to be, and write what it holds of the disk."""
    end = made.payload + (int(made.places.max()) + 1) * made.built.image.block_size
    end = max(end, made.built.length)
    with made.path.open("r+b", buffering=0) as file:
        fd = file.fileno()
        file.truncate(end)
        if is_filled:
            starts, owners, positions = made.extents
            own = owners == 0
            stops = np.append(starts[1:], made.size)
            runs = zip(starts[own], stops[own], positions[own], strict=True)
            for start, stop, position in (map(int, run) for run in runs):
                at = start
                while at < stop:
                    length = min(_PIECE - at % _PIECE, stop - at)
                    os.pwrite(fd, content(at, length, tag), position + at - start)
                    at += length
        os.fsync(fd)  # nothing is left to be written while something is measured
