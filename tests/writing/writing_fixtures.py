"""What tests of writing share: an image over a file that remembers, and what is in its BAT then."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from tests.crash.recorder import Recorder
from tests.images.image import Block, Built, Image, Layout, differencing, dynamic
from tests.images.structures import MIB
from vhdx_kaitai.reading.image import Image as Opened
from vhdx_kaitai.writing.disk import WritableDisk

BLOCK = MIB
SECTOR = 512

# Of an entry: its state and its place [MS-VHDX 2.5.1].
STATE, PLACE = 7, ~(MIB - 1)


class Case:
    """A small image that is written to, without a parent or with one.

    Args:
        layout: The image.
        parents: Files of its parents.
    """

    def __init__(self, layout: Layout | Image, *parents: Built) -> None:
        built = layout.build()
        self.geometry = built.layout.image.geometry
        self.bat_offset = built.layout.bat_offset
        self.file = Recorder(built.to_bytes())
        self.before = bytes(self.file.data)
        above = [Opened(parent.to_bytes()) for parent in parents]
        self.disk = WritableDisk([Opened(self.file), *above])
        self.held = bytearray(built.model.read(0, built.model.virtual_disk_size))

    def write(self, data: bytes, offset: int) -> None:
        """Write to the disk and to what it has to hold."""
        assert self.disk.pwrite(data, offset) == len(data)
        self.held[offset : offset + len(data)] = data
        self.assert_held()

    def assert_held(self) -> None:
        """Show that the disk reads as it has to."""
        assert self.disk.pread(self.disk.size + 1, 0) == self.held

    def entry(self, block: int) -> int:
        """Return the entry of a block as a reader finds it, after all was flushed."""
        self.disk.flush()
        return self._entry(self.geometry.index(block))

    def bitmap_entry(self, chunk: int) -> int:
        """Return the entry of a sector bitmap, likewise."""
        self.disk.flush()
        return self._entry(self.geometry.bitmap_index(chunk))

    def _entry(self, index: int) -> int:
        return int.from_bytes(self._read(self.bat_offset + 8 * index, 8), "little")

    def _read(self, offset: int, length: int) -> bytes:
        """Return metadata of the file, some of which may be in the log alone."""
        return Opened(bytes(self.file.data)).source.read(offset, length)

    def bits(self, block: int) -> str:
        """Return the bits that a sector bitmap has for a block, sector by sector."""
        chunk, number = divmod(block, self.geometry.chunk_ratio)
        length = MIB // self.geometry.chunk_ratio
        start = (self.bitmap_entry(chunk) & PLACE) + number * length
        data = int.from_bytes(self._read(start, length), "little")
        return f"{data:0{8 * length}b}"[::-1]


Maker: TypeAlias = Callable[[dict[int, Block]], Case]


def lone(blocks: dict[int, Block], **fields: Any) -> Case:
    """An image without a parent."""
    return Case(dynamic(4 * BLOCK, blocks=blocks, **fields))


def parent(size: int = 4 * BLOCK) -> Built:
    """An image whose blocks all hold something."""
    return dynamic(size, blocks={n: Block() for n in range(-(-size // BLOCK))}, tag=9).build()


def child(blocks: dict[int, Block], *, above: Built | None = None, **fields: Any) -> Case:
    """A child of an image whose blocks all hold something."""
    above = above or parent()
    size = fields.pop("virtual_disk_size", None)
    image = differencing(parent=above, blocks=blocks, **fields)
    return Case(image if size is None else image.but(virtual_disk_size=size), above)


def sectors_set(numbers: Iterable[int], count: int = BLOCK // SECTOR) -> str:
    """Return bits of which some are set."""
    wanted = set(numbers)
    return "".join("1" if number in wanted else "0" for number in range(count))


class Holed(Recorder):
    """A file in which some pages are holes, and a medium that is full."""

    holes: frozenset[int] = frozenset()

    def data_start(self, offset: int, end: int, /) -> int:
        return end if offset in self.holes else offset

    def allocate(self, offset: int, _length: int) -> None:
        if offset in self.holes:
            raise OSError(errno.ENOSPC, "full")
