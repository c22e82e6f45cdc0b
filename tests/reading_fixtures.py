"""What the tests of reading share: opened images, comparing with a model, other programs."""

from __future__ import annotations

import io
import mmap
import os
import random
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import pytest

import vhdx_kaitai
from tests.images.chain import GOOD_CHAINS, Chain, chain, child_of
from tests.images.dirty import dirty
from tests.images.image import Block, Built, Image, Layout, dynamic, partial
from tests.images.model import Model
from tests.images.structures import FULLY_PRESENT, KIB, MIB, NOT_PRESENT, UNMAPPED, ZERO
from tests.support import SparseSource
from vhdx_kaitai.reading import bulk
from vhdx_kaitai.reading import image as reader
from vhdx_kaitai.reading.disk import Disk
from vhdx_kaitai.storage.source import FileSource

# A buffer is filled with this beforehand, so that a byte nobody wrote shows.
CANARY = 0xAA

needs_proc = pytest.mark.skipif(
    not os.path.isdir("/proc/self/fd"), reason="open files are listed in /proc"
)


_SMALL = 64 * MIB


def source_of(built: Built) -> bytes | SparseSource:
    """Return the bytes of an image, or something that computes them when they would be many."""
    return SparseSource(built.file) if built.length > _SMALL else built.to_bytes()


def opened(built: Built, **options: Any) -> Disk:
    """Return the disk of an image without a file in between."""
    return vhdx_kaitai.open(source_of(built), **options)


def opened_chain(made: Chain) -> Disk:
    """Return the disk of a chain without files in between."""
    return Disk([reader.Image(source_of(built)) for built in reversed(made.images)])


@cache
def _good_images(name: str) -> Chain:
    return GOOD_CHAINS[name].build()


def good_chain(name: str) -> Chain:
    """Return a good chain, built once for all tests, and written nowhere yet."""
    made = _good_images(name)
    return Chain(made.images, made.names)


class CountingSource(FileSource):
    """A file that counts what is read from it."""

    bytes_read = 0

    def read(self, offset: int, length: int) -> bytes:
        self.bytes_read += length
        return super().read(offset, length)

    def readinto(self, buffer: memoryview, offset: int) -> None:
        self.bytes_read += len(buffer)
        super().readinto(buffer, offset)


def open_descriptors() -> set[str]:
    """Return the numbers of the files this process has open."""
    return set(os.listdir("/proc/self/fd"))


# -- disks and where they come from -------------------------------------------------------------


def mixed_chain() -> Chain:
    """Return a chain of three with blocks in every state, the middle image dirty."""

    def change(depth: int, image: Image) -> Image | Layout:
        return dirty(image, hide=("bat", "bitmaps")) if depth == 1 else image

    return chain(3, base=dynamic(12 * MIB + 512), blocks=few_runs, change=change)


class Unbuffered(io.RawIOBase):
    """A file object that gives few bytes at a time, as raw ones may."""

    def __init__(self, data: bytes) -> None:
        self.data, self.position = data, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self.position = (0, self.position, len(self.data))[whence] + offset
        return self.position

    def readinto(self, buffer: Any) -> int:
        data = self.data[self.position : self.position + min(len(buffer), 1000)]
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)


SOURCES: dict[str, Callable[[Path], Any]] = {
    "path": str,
    "bytes": Path.read_bytes,
    "memoryview": lambda path: memoryview(path.read_bytes()),
    "mmap": lambda path: mapped(path),
    "file object": lambda path: path.open("rb"),
    "raw file object": lambda path: path.open("rb", buffering=0),
    "file object in memory": lambda path: io.BytesIO(path.read_bytes()),
    "file object of short reads": lambda path: Unbuffered(path.read_bytes()),
}


def mapped(path: Path) -> mmap.mmap:
    """Return a file as it is mapped into memory."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


# Log, metadata and BAT stand before, between and after the places for blocks.
ORDERS = (
    ("log", "metadata", "bat", "blocks"),
    ("blocks", "log", "metadata", "bat"),
    ("bat", "blocks", "metadata", "log"),
)


def checkerboard(size: int) -> Chain:
    """Return a child, every second sector of which is in its parent."""
    base = dynamic(size, blocks={0: Block()}, others=Block(ZERO)).build()
    layout = child_of(base, blocks={n: partial() for n in range(size // MIB)}).layout()
    layout.patch(layout.bitmaps[0].file_offset, b"\x55" * (size // 512 // 8))
    return Chain([base, layout.build()], [])


# -- comparing ----------------------------------------------------------------------------------


def assert_same(actual: bytes | bytearray, expected: bytes, offset: int = 0) -> None:
    """Show that bytes are as expected, and otherwise where they are not, in few words."""
    assert len(actual) == len(expected)
    if actual != expected:
        at = next(
            i for i, pair in enumerate(zip(actual, expected, strict=True)) if len({*pair}) > 1
        )
        wrong, right = bytes(actual[at : at + 24]), expected[at : at + 24]
        pytest.fail(f"at {offset + at:#x} of the disk: {wrong!r}, expected {right!r}")


@lru_cache(maxsize=4)
def contents(model: Model) -> bytes:
    """Return the whole of a small disk, by its model."""
    return model.read(0, model.size)


def is_complete(model: Model) -> bool:
    """Tell whether a model has all of its parents."""
    return not model.image.has_parent or (model.parent is not None and is_complete(model.parent))


def assert_reads(disk: Disk, model: Model, offset: int, length: int) -> None:
    """Show that a range reads as the model says, in both ways of reading."""
    if model.size <= _SMALL and is_complete(model):
        expected = contents(model)[offset : offset + length]
    else:
        expected = model.read(offset, length)
    buffer = bytearray([CANARY]) * length
    assert disk.readinto_at(buffer, offset) == length
    assert_same(buffer, expected, offset)
    assert_same(disk.pread(length, offset), expected, offset)


def assert_reads_throughout(disk: Disk, model: Model) -> None:
    """Show that a disk reads as its model says: wholly, or at the edges of what a large one holds.

    Ranges that belong to a parent the model does not have must be refused as such.
    """
    for offset, length in windows(model):
        if is_complete(model):
            assert_reads(disk, model, offset, length)
            continue
        extents = model.extents(offset, length)
        for extent in extents[:60] + extents[60:][-10:]:
            if extent.kind == "parent":
                with pytest.raises(vhdx_kaitai.ParentNotFoundError):
                    disk.pread(extent.length, extent.offset)
            else:
                assert_reads(disk, model, extent.offset, extent.length)


def windows(model: Model) -> Iterator[tuple[int, int]]:
    if model.size <= _SMALL:
        step = 3 * MIB + 1536
        for offset in range(0, model.size, step):
            yield offset, min(step, model.size - offset)
        return
    blocks, size = model.geometry.payload_blocks, model.block_size
    numbers = {0, 1, blocks // 2, blocks - 1}
    for number in [*model.image.blocks, *range(blocks)[:20]]:
        numbers |= {number - 1, number, number + 1}
    for number in sorted(number for number in numbers if 0 <= number < blocks):
        for at in (number * size, number * size + size // 2, (number + 1) * size):
            start = max(0, at - 32 * KIB)
            stop = min(model.size, at + 32 * KIB)
            if start < stop:
                yield start, stop - start


Row = tuple[int, int, str, int, int | None, str]


def model_extents(model: Model, offset: int = 0, length: int | None = None) -> list[Row]:
    """Return the extents that a model expects."""
    return [
        (extent.offset, extent.length, extent.state, extent.depth, extent.file_offset, extent.kind)
        for extent in model.extents(offset, length)
    ]


def disk_extents(disk: Disk, offset: int = 0, length: int | None = None) -> list[Row]:
    """Return the extents that a disk has, as tuples."""
    return [
        (extent.offset, extent.length, extent.state, extent.depth, extent.file_offset, extent.kind)
        for extent in disk.extents(offset, length)
    ]


def rows_in_bulk(disk: Disk, offset: int, length: int) -> list[Row]:
    """Return the extents of a range as they are found with numpy."""
    return [
        (start, length, state, depth, place, kind)
        for some in bulk.extents(disk, offset, length)
        for start, length, (state, depth, kind, _), place in some.rows()
    ]


def assert_adjacent(extents: Iterable[Row], offset: int, length: int) -> None:
    """Show that extents follow each other and add up to a range, and none is empty."""
    position = offset
    for start, size, *_ in extents:
        assert start == position
        assert size > 0
        position += size
    assert position == offset + length


def places(size: int, count: int, longest: int, seed: int = 1) -> Iterator[tuple[int, int]]:
    """Yield ranges all over a disk, of one byte and more, aligned and not."""
    chance = random.Random(seed)
    for _ in range(count):
        length = min(size, chance.choice((1, 511, 512, 4096, 65537, longest)))
        offset = chance.randrange(size - length + 1)
        if chance.random() < 0.5:
            offset -= offset % min(4096, length)
        yield offset, length


def few_runs(depth: int, image: Image) -> dict[int, Block]:
    """Return blocks in every state, different at every depth, with few runs of sectors each."""
    if not image.has_parent:
        return {
            n: Block((FULLY_PRESENT, ZERO, FULLY_PRESENT, NOT_PRESENT)[n % 4]) for n in range(9)
        }
    cycle = [
        partial(depth, range(10, 90), (1000, 2000)),
        Block(NOT_PRESENT),
        partial((0, 1024 + depth)),
        Block(FULLY_PRESENT),
        Block(UNMAPPED),
        partial(2047),
        Block(NOT_PRESENT),
        Block(ZERO),
    ]
    return {n: cycle[(n + 3 * depth) % len(cycle)] for n in range(image.geometry.payload_blocks)}


# -- memory -------------------------------------------------------------------------------------


class Peak:
    """How many bytes were taken at most."""

    bytes: int = 0


@contextmanager
def measured_memory() -> Iterator[Peak]:
    """Measure the memory that is taken, above what there was, at its peak."""
    peak = Peak()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        yield peak
        peak.bytes = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


# -- other programs -----------------------------------------------------------------------------


def program(*names: str) -> str:
    """Return the path of a program, by the first of its names that is there."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    for name in names:
        found = shutil.which(name, path=path)
        if found is not None:
            return found
    pytest.skip(f"{names[0]} is not installed")


def run_program(names: str | tuple[str, ...], *arguments: str | Path, **options: Any) -> bytes:
    """Run a program and return what it printed."""
    names = (names,) if isinstance(names, str) else names
    command = [program(*names), *map(str, arguments)]
    done: subprocess.CompletedProcess[bytes]
    done = subprocess.run(command, capture_output=True, check=False, **options)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def qemu_img(*arguments: str | Path) -> bytes:
    """Run qemu-img and return what it printed."""
    return run_program("qemu-img", *arguments)


def allocated(path: Path) -> int:
    """Return how many bytes of the disk below a file takes."""
    return path.stat().st_blocks * 512


@contextmanager
def deep_stack(depth: int) -> Iterator[None]:
    """Leave no more frames than that, as a program that calls from deep inside does."""
    frames, frame = 0, sys._getframe()
    while frame.f_back is not None:
        frames, frame = frames + 1, frame.f_back
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(frames + depth)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
