"""The virtual disk, compared with the models of built images and with real ones."""

from __future__ import annotations

import array
import hashlib
import io
import mmap
import os
import random
import re
import shutil
import struct
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import pytest

import vhdx_kaitai
from tests.conftest import Files
from tests.images.chain import GOOD_CHAINS, Chain, chain, child_of
from tests.images.damage import DAMAGES
from tests.images.dirty import STRUCTURES, dirty
from tests.images.goods import GOODS
from tests.images.image import (
    Block,
    Image,
    Layout,
    differencing,
    dynamic,
    fixed,
    partial,
)
from tests.images.log import Zero
from tests.images.sparse import Pattern, Sparse, pattern
from tests.images.structures import (
    FULLY_PRESENT,
    GIB,
    KIB,
    MIB,
    NOT_PRESENT,
    TIB,
    UNDEFINED,
    UNMAPPED,
    ZERO,
    bat_entry,
)
from tests.reading_fixtures import (
    CANARY,
    CountingSource,
    assert_adjacent,
    assert_reads,
    assert_reads_throughout,
    assert_same,
    deep_stack,
    disk_extents,
    few_runs,
    good_chain,
    measured_memory,
    model_extents,
    needs_proc,
    open_descriptors,
    opened,
    opened_chain,
    places,
)
from tests.support import SHARED, Sample, SparseSource, damaged, good
from vhdx_kaitai.errors import FormatError, ParentNotFoundError, TruncatedError, VhdxError
from vhdx_kaitai.reading import image as reader
from vhdx_kaitai.reading.disk import Disk

README = SHARED / "samples" / "README.md"
DIRTY = [name for name in GOODS if good(name).model.log.state == "dirty"]
UNREADABLE = [name for name, case in DAMAGES.items() if case.refusal == "read"]


# -- contents -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOODS)
def test_a_good_image_reads_as_its_model_says(name: str) -> None:
    built = good(name)
    with opened(built, resolve_parents=False) as disk:
        assert_reads_throughout(disk, built.model)


@pytest.mark.parametrize("name", GOODS)
def test_a_good_image_reads_from_a_file_as_its_model_says(name: str, files: Files) -> None:
    with vhdx_kaitai.open(files.good(name), resolve_parents=False) as disk:
        assert_reads_throughout(disk, good(name).model)


@pytest.mark.parametrize("name", GOOD_CHAINS)
def test_a_good_chain_reads_as_its_model_says(name: str, tmp_path: Path) -> None:
    made = good_chain(name).write(tmp_path)
    with vhdx_kaitai.open(made.path) as disk:
        assert_reads_throughout(disk, made.model)
        for offset, length in places(disk.size, 40, 5 * MIB):
            assert_reads(disk, made.model, offset, length)


def hashes() -> dict[str, str]:
    """Return the hash of each real image's virtual disk, from the table in their README."""
    if not README.is_file():
        return {}
    text = README.read_text(encoding="utf-8")
    return dict(re.findall(r"^\| ([\w-]+) \|.*\| ([0-9a-f]{64})\b", text, re.MULTILINE))


@pytest.mark.slow
def test_a_real_image_holds_the_bytes_its_hash_stands_for(sample: tuple[Sample, Path]) -> None:
    """Also the dirty one, after replay."""
    known, path = sample
    digest = hashlib.sha256()
    buffer = bytearray(4 * MIB)
    with vhdx_kaitai.open(path) as disk:
        assert disk.size == known.virtual_disk_size
        for offset in range(0, disk.size, len(buffer)):
            assert disk.readinto_at(buffer, offset) == len(buffer)
            digest.update(buffer)
    assert digest.hexdigest() == hashes()[known.name.partition(".")[0]]


# -- states -------------------------------------------------------------------------------------

OWN, PARENTS, NOTHING = "own", "parent's", "zeros"
# What a block in each state reads as: fixed and dynamic, differencing [MS-VHDX 2.5.1.1].
READS = {
    NOT_PRESENT: (NOTHING, PARENTS),
    UNDEFINED: (NOTHING, NOTHING),
    ZERO: (NOTHING, NOTHING),
    UNMAPPED: (NOTHING, NOTHING),
    FULLY_PRESENT: (OWN, OWN),
}


@pytest.mark.parametrize("bits", ["no bits set", "all bits set"])
@pytest.mark.parametrize("place", ["no place", "the place of old contents"])
@pytest.mark.parametrize("state", READS)
@pytest.mark.parametrize("disk_type", ["fixed", "dynamic", "differencing"])
def test_a_block_in_any_state_reads_as_the_text_says(
    disk_type: str, state: int, place: str, bits: str
) -> None:
    """Old contents never show, and bits of the sector bitmap do not count."""
    base = dynamic(3 * MIB, tag=7, blocks={n: Block() for n in range(3)}).build()
    present = ((0, 2048),) if bits == "all bits set" else ()
    blocks = {0: Block(), 1: Block(state, present=present), 2: Block()}
    if disk_type == "differencing":
        layout = child_of(base, blocks=blocks, tag=5).layout()
    else:
        make = {"fixed": fixed, "dynamic": dynamic}[disk_type]
        layout = make(3 * MIB, blocks=blocks, tag=5).layout()
    if place != "no place" and state != FULLY_PRESENT:
        old = layout.pack().length
        layout.patch(old, Sparse(0, {0: Pattern(9, 0, MIB)}))
        layout.file_length = old + MIB
        layout.set_entry(1, state, old)
    what = READS[state][disk_type == "differencing"]
    middle = {
        OWN: pattern(5, MIB, MIB),
        PARENTS: pattern(7, MIB, MIB),
        NOTHING: bytes(MIB),
    }[what]
    parent = SparseSource(base.file) if disk_type == "differencing" else None
    with opened(layout.build(), parent=parent) as disk:
        assert disk.disk_type == disk_type
        expected = pattern(5, 0, MIB) + middle + pattern(5, 2 * MIB, MIB)
        assert_same(disk.pread(3 * MIB, 0), expected)
        assert_same(disk.pread(MIB, MIB), middle)


@pytest.mark.parametrize("bit", [0, 1, 6, 7, 8, 15, 100, 255])
@pytest.mark.parametrize("sector_size", [512, 4096])
@pytest.mark.parametrize("block", [0, 1])
def test_bits_of_a_sector_bitmap_count_from_the_least_significant_one(
    sector_size: int, block: int, bit: int
) -> None:
    """Sector k of the chunk is bit k mod 8 of byte k // 8; one sector of 1 MiB is the child's."""
    stored = {0: Block(), 1: Block()}
    base = dynamic(2 * MIB, logical_sector_size=sector_size, blocks=stored, tag=7).build()
    layout = child_of(base, tag=5, blocks={0: partial(), 1: partial()}).layout()
    sector = block * (MIB // sector_size) + bit
    layout.patch(layout.bitmaps[0].file_offset + sector // 8, bytes([1 << sector % 8]))
    expected = bytearray(pattern(7, 0, 2 * MIB))
    start = sector * sector_size
    expected[start : start + sector_size] = pattern(5, start, sector_size)
    with opened(layout.build(), parent=SparseSource(base.file)) as disk:
        assert_same(disk.pread(2 * MIB, 0), bytes(expected))
        around = slice(max(0, start - 1), start + sector_size + 1)
        data = disk.pread(around.stop - around.start, around.start)
        assert_same(data, bytes(expected[around]))


@pytest.mark.parametrize("chunk", [0, 1, 2])
def test_each_chunk_has_its_own_sector_bitmap(chunk: int) -> None:
    """Block 16 of 256 MiB begins the second chunk of 4 GiB."""
    base = dynamic(9 * GIB, block_size=256 * MIB, tag=7, blocks={chunk * 16 + 3: Block()}).build()
    stored = {number * 16 + 3: partial(range(number + 1)) for number in range(3) if number < 2}
    stored[35] = partial(range(3))
    image = child_of(base, tag=5, block_size=256 * MIB, blocks=stored)
    with opened(image.build(), parent=SparseSource(base.file)) as disk:
        start = (chunk * 16 + 3) * 256 * MIB
        own = (chunk + 1) * 512
        expected = pattern(5, start, own) + pattern(7, start + own, 4096 - own)
        assert_same(disk.pread(4096, start), expected)


BITS = random.Random(9).randbytes(2048)
FIRST_BIT = 131072 - 8192  # of those that are set at random, in the middle of a bitmap of 1 MiB


@cache
def far_bits() -> bytes:
    """Return a child of one block of 64 MiB and a bit, sectors of which are its own at random."""
    image = child_of(
        dynamic(72 * MIB, blocks={}).build(),
        block_size=128 * MIB,
        blocks={0: partial(data=Sparse(128 * MIB, {0: Pattern(5, 0, 72 * MIB)}))},
    )
    layout = image.layout()
    layout.patch(layout.bitmaps[0].file_offset + FIRST_BIT // 8, BITS)
    layout.file_length = layout.payload[0] + 72 * MIB
    return layout.build().to_bytes()


@pytest.mark.parametrize("start", [131072 - 5, 131072 - 64, 131072 - 4097, 131072 - 3, 131072])
@pytest.mark.parametrize("count", [4, 10, 129, 8000])
def test_bits_far_into_a_sector_bitmap_are_found(start: int, count: int) -> None:
    """Whatever parts of a bitmap a reader keeps, a request may begin in any of them."""
    expected = b"".join(
        pattern(5, sector * 512, 512)
        if BITS[(sector - FIRST_BIT) // 8] >> sector % 8 & 1
        else bytes(512)
        for sector in range(start, start + count)
    )
    parent = dynamic(72 * MIB, blocks={}).build().to_bytes()
    with vhdx_kaitai.open(far_bits(), parent=parent) as disk:
        assert_same(disk.pread(count * 512, start * 512), expected, start * 512)


def test_blocks_and_sector_bitmaps_may_be_the_last_thing_in_a_file() -> None:
    """They end where it does, to the byte."""
    blocks = {0: partial(range(4)), 1: Block(ZERO)}
    bitmap_last = differencing(2 * MIB, blocks=blocks, bitmap_offsets={0: 20 * MIB}, tag=5).build()
    assert bitmap_last.length == 21 * MIB
    with opened(bitmap_last, resolve_parents=False) as disk:
        assert_same(disk.pread(2048, 0), pattern(5, 0, 2048))
        assert disk.pread(MIB, MIB) == bytes(MIB)
    for block in (Block(FULLY_PRESENT, 20 * MIB), partial(range(2048), file_offset=20 * MIB)):
        block_last = differencing(MIB, blocks={0: block}, tag=5).build()
        assert block_last.length == 21 * MIB
        with opened(block_last, resolve_parents=False) as disk:
            assert_same(disk.pread(MIB, 0), pattern(5, 0, MIB))


@pytest.mark.parametrize("first", range(2032, 2048, 5))
def test_the_last_bits_of_a_sector_bitmap_may_be_the_last_thing_in_a_file(first: int) -> None:
    """A whole chunk is 4 GiB, so that the bitmap has a bit for the last sector."""
    blocks = {4095: partial(range(first, 2048))}
    built = differencing(4 * GIB, blocks=blocks, bitmap_offsets={0: 20 * MIB}, tag=5).build()
    assert built.length == 21 * MIB
    start = 4095 * MIB + first * 512
    with opened(built, resolve_parents=False) as disk:
        for offset in (start, 4 * GIB - 512):
            assert_same(disk.pread(MIB, offset), pattern(5, offset, 4 * GIB - offset))
        assert disk_extents(disk, start, 4 * GIB - start)[0][1] == 4 * GIB - start


# -- parents ------------------------------------------------------------------------------------


def parent_of_type(disk_type: str, size: int, **fields: Any) -> Chain:
    """Return a base, or a base and a child, every block of which is stored in the newest."""
    if disk_type != "differencing":
        make = {"fixed": fixed, "dynamic": dynamic}[disk_type]
        return Chain([make(size, tag=1, blocks={}, others=Block(), **fields).build()], ["a.vhdx"])
    base = dynamic(size, tag=9, others=Block(), **fields).build()
    middle = child_of(base, "a.vhdx", tag=1, others=Block()).build()
    return Chain([base, middle], ["a.vhdx", "b.vhdx"])


@pytest.mark.parametrize("child_size", [2 * MIB + 512, 4 * MIB, 6 * MIB + 1536])
@pytest.mark.parametrize("block_size", [MIB, 2 * MIB])
@pytest.mark.parametrize("disk_type", ["fixed", "dynamic", "differencing"])
def test_a_child_smaller_or_larger_than_its_parent_of_any_type_sees_zeros_after_it(
    disk_type: str, block_size: int, child_size: int
) -> None:
    size = 4 * MIB + 1024
    made = parent_of_type(disk_type, size)
    blocks = {0: Block(NOT_PRESENT), 1: partial(2, 4)}
    image = child_of(
        made.images[-1], made.names[-1], tag=5, block_size=block_size, blocks=blocks
    ).but(virtual_disk_size=child_size)
    made.images.append(image.build())
    common = min(size, child_size)
    expected = bytearray(pattern(1, 0, common) + bytes(child_size - common))
    for sector in (2, 4):
        start = block_size + sector * 512
        expected[start : start + 512] = pattern(5, start, 512)
    del expected[child_size:]
    with opened_chain(made) as disk:
        assert disk.size == child_size
        assert_same(disk.pread(child_size + MIB, 0), bytes(expected))
        for offset, length in places(child_size, 30, 3 * MIB):
            assert_same(
                disk.pread(length, offset), bytes(expected[offset : offset + length]), offset
            )


def test_the_end_of_a_parent_inside_a_partially_present_block_is_followed_by_zeros() -> None:
    base = dynamic(MIB + 512, tag=7, others=Block()).build()
    image = child_of(base, tag=5, blocks={1: partial(5)}).but(virtual_disk_size=2 * MIB)
    expected = pattern(7, MIB, 512) + bytes(2048) + pattern(5, MIB + 2560, 512) + bytes(512)
    with opened(image.build(), parent=SparseSource(base.file)) as disk:
        assert_same(disk.pread(3584, MIB), expected)
        assert_same(disk.pread(MIB - 3584, MIB + 3584), bytes(MIB - 3584))


def test_a_chain_as_deep_as_allowed_can_be_read_from_deep_inside_a_program() -> None:
    """256 images, each with a partially present block that leads on to its parent."""
    first = dynamic(2 * MIB, blocks={0: Block(), 1: Block()}, metadata_length=MIB).build()
    built = [first]
    for depth in range(1, 256):
        own = {0: partial(), 1: partial(depth)}
        built.append(child_of(built[-1], tag=depth + 1, blocks=own).build())
    expected = bytearray(pattern(1, 0, 2 * MIB))
    for depth in range(1, 256):
        start = MIB + depth * 512
        expected[start : start + 512] = pattern(depth + 1, start, 512)
    with Disk([reader.Image(SparseSource(one.file)) for one in reversed(built)]) as disk:
        assert len(disk.chain) == 256
        with deep_stack(500):
            assert_same(disk.pread(2 * MIB, 0), bytes(expected))
            assert sum(extent.length for extent in disk.extents()) == disk.size


# -- requests of all shapes ---------------------------------------------------------------------


@cache
def mixed_chain() -> Chain:
    """Return a chain of three with blocks in every state, the middle image dirty."""

    def change(depth: int, image: Image) -> Image | Layout:
        return dirty(image, hide=("bat", "bitmaps")) if depth == 1 else image

    return chain(3, base=dynamic(12 * MIB + 512), blocks=few_runs, change=change)


@pytest.mark.parametrize("length", [1, 511, 512, 513, 4096, 65536, MIB, MIB + 1, 5 * MIB])
def test_a_request_of_any_length_reads_as_the_model_says(length: int) -> None:
    made = mixed_chain()
    with opened_chain(made) as disk:
        for border in range(0, disk.size, MIB):
            for offset in {border, border - length, border - length // 2, border - 1, border + 511}:
                if 0 <= offset <= disk.size - length:
                    assert_reads(disk, made.model, offset, length)


@pytest.mark.parametrize("kind", ["path", "bytes", "file object"])
def test_a_read_is_short_only_at_the_end_of_the_disk(kind: str, files: Files) -> None:
    """Although its last block goes on in the file, and has been read from before."""
    model = good("odd-sectors").model
    source = SOURCES[kind](files.good("odd-sectors"))
    with vhdx_kaitai.open(source) as disk:
        size = disk.size
        assert size == 3 * MIB + 512
        last = model.read(size - 100, 100)
        assert disk.pread(100, size - 100) == last
        assert disk.pread(1000, size - 100) == last
        assert disk.pread(10**15, size - 100) == last
        buffer = bytearray([CANARY]) * 1000
        assert disk.readinto_at(buffer, size - 100) == 100
        assert buffer == last + bytes([CANARY]) * 900
        for offset in (size, size + 1, 1 << 62):
            assert disk.pread(512, offset) == b""
            assert disk.readinto_at(buffer, offset) == 0
    if hasattr(source, "close"):
        source.close()


@pytest.mark.parametrize("offset", [0, MIB, 100])
def test_a_request_for_nothing_gives_nothing(offset: int) -> None:
    with opened(good("dynamic-plain")) as disk:
        assert disk.pread(0, offset) == b""
        assert disk.readinto_at(bytearray(), offset) == 0


@pytest.mark.parametrize(("length", "offset"), [(512, -1), (-1, 0), (-512, 512), (0, -1)])
def test_a_negative_offset_or_length_is_a_mistake_of_the_caller(length: int, offset: int) -> None:
    with opened(good("dynamic-plain")) as disk:
        with pytest.raises(ValueError, match="expected at least 0"):
            disk.pread(length, offset)
        if offset < 0:
            with pytest.raises(ValueError, match="expected at least 0"):
                disk.readinto_at(bytearray(max(0, length)), offset)


def buffers(length: int) -> Iterator[tuple[str, Any]]:
    """Yield things that bytes can be read into."""
    yield "bytearray", bytearray(length)
    yield "memoryview", memoryview(bytearray(length))
    yield "middle of a bytearray", memoryview(bytearray(length + 64))[32:-32]
    yield "array", array.array("Q", bytes(length))
    yield "mmap", mmap.mmap(-1, length)
    yield "matrix", memoryview(bytearray(length)).cast("B", (length // 64, 64))


@pytest.mark.parametrize("kind", [kind for kind, _ in buffers(4096)])
@pytest.mark.parametrize("name", ["dynamic-plain", "dirty-bat"])
def test_bytes_are_read_into_any_kind_of_buffer(name: str, kind: str, files: Files) -> None:
    model = good(name).model
    with vhdx_kaitai.open(files.good(name)) as disk:
        for offset in (0, 512, MIB - 4096, MIB, 2 * MIB - 2048, 8 * MIB - 4096):
            buffer = dict(buffers(8192))[kind]
            length = min(8192, disk.size - offset)
            assert disk.readinto_at(buffer, offset) == length
            assert_same(memoryview(buffer).tobytes()[:length], model.read(offset, length), offset)


@pytest.mark.parametrize("offset", [0, MIB])
def test_a_buffer_that_must_not_be_written_is_refused(offset: int, files: Files) -> None:
    """Whether the disk holds data there or zeros."""
    with vhdx_kaitai.open(files.good("dynamic-plain")) as disk:
        buffer = bytes(512)
        with pytest.raises((TypeError, BufferError)):
            disk.readinto_at(buffer, offset)
        assert not any(buffer)


def test_nothing_is_written_around_the_part_of_a_buffer_that_was_handed_over() -> None:
    with opened(good("dynamic-plain")) as disk:
        buffer = bytearray([CANARY]) * 4096
        for offset in (0, MIB - 512, MIB, 4 * MIB):
            assert disk.readinto_at(memoryview(buffer)[1024:2048], offset) == 1024
            assert set(buffer[:1024]) == set(buffer[2048:]) == {CANARY}


# -- kinds of sources ---------------------------------------------------------------------------


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
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("name", ["dynamic-plain", "dirty-everything", "log-extends-the-file"])
def test_a_disk_reads_the_same_from_every_kind_of_source(
    name: str, kind: str, files: Files
) -> None:
    source = SOURCES[kind](files.good(name))
    with vhdx_kaitai.open(source) as disk:
        assert_reads_throughout(disk, good(name).model)
    if hasattr(source, "close"):
        source.close()


# -- the log ------------------------------------------------------------------------------------


@pytest.mark.parametrize("structure", [*STRUCTURES, "payload"])
def test_replay_concerns_every_structure(structure: str) -> None:
    """What is stored there is junk, and reading gives what the log holds."""
    base = dynamic(2 * MIB, others=Block()).build()
    data = pattern(5, 0, 16 * KIB)
    image = child_of(base, blocks={0: Block(data=data), 1: partial(range(7), data=data)})
    layout = dirty(image, hide=(structure,), junk=structure != "payload")
    built = layout.build()
    for offset, length in layout.ranges(structure):
        assert built.file.read(offset, length) != built.replayed().read(offset, length)
    with opened(built, parent=SparseSource(base.file)) as disk:
        assert disk.image.replayed is not None
        assert_reads_throughout(disk, built.model)
        assert disk_extents(disk) == model_extents(built.model)


def test_a_zero_descriptor_inside_a_block_reads_as_zeros() -> None:
    layout = dynamic(2 * MIB, blocks={0: Block(), 1: Block()}).layout()
    place = layout.payload[1]
    built = dirty(layout, extra=[Zero(place + 8192, 12288)]).build()
    stored = pattern(1, MIB, MIB)
    expected = stored[:8192] + bytes(12288) + stored[20480:]
    with opened(built) as disk:
        assert_same(disk.pread(MIB, MIB), expected)
        for offset, length in places(MIB, 50, MIB):
            assert_same(disk.pread(length, MIB + offset), expected[offset : offset + length])


@pytest.mark.parametrize("levels", [{0}, {1}, {2}, {0, 1, 2}])
def test_every_image_of_a_chain_may_be_dirty(levels: set[int], tmp_path: Path) -> None:
    def change(depth: int, image: Image) -> Image | Layout:
        return dirty(image, hide=STRUCTURES, split=5) if depth in levels else image

    made = chain(3, blocks=few_runs, change=change).write(tmp_path)
    with vhdx_kaitai.open(made.path) as disk:
        dirty_ones = {2 - depth for depth, image in enumerate(disk.chain) if image.replayed}
        assert dirty_ones == levels
        assert_reads_throughout(disk, made.model)
        assert disk_extents(disk) == model_extents(made.model)


def test_reading_changes_no_file(tmp_path: Path) -> None:
    made = mixed_chain().write(tmp_path)
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in made.paths]
    with vhdx_kaitai.open(made.path) as disk:
        assert disk.pread(disk.size, 0)
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in made.paths] == before


# -- damage -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["file", "memory"])
@pytest.mark.parametrize("name", UNREADABLE)
def test_damaged_bytes_raise_by_the_rule(name: str, kind: str, files: Files) -> None:
    case = DAMAGES[name]
    assert case.read_at is not None
    source = files.damaged(name) if kind == "file" else SparseSource(damaged(name).file)
    with vhdx_kaitai.open(source, resolve_parents=False) as disk:
        for length in (1, 512, disk.size - case.read_at):
            with pytest.raises(FormatError) as caught:
                disk.pread(length, case.read_at)
            assert caught.value.finding.rule in case.visible
            with pytest.raises(FormatError):
                disk.readinto_at(bytearray(length), case.read_at)
        with pytest.raises(FormatError):
            list(disk.extents(case.read_at, 512))
        with pytest.raises(FormatError):
            list(disk.extents())


@pytest.mark.parametrize("name", UNREADABLE)
def test_the_rest_of_a_damaged_disk_stays_readable(name: str) -> None:
    case, model = DAMAGES[name], damaged(name).model
    assert case.read_at is not None
    lost = case.read_at // model.block_size
    with opened(damaged(name), resolve_parents=False) as disk:
        for number in range(model.geometry.payload_blocks):
            start = number * model.block_size
            length = min(model.block_size, model.size - start)
            (state,) = {extent.state for extent in model.extents(start, 1)}
            if number != lost and state != "not_present":
                assert_reads(disk, model, start, length)


@pytest.mark.parametrize("missing", [1, 511, 512, 4096, MIB - 1, MIB, MIB + 1, 2 * MIB + 512])
@pytest.mark.parametrize("kind", ["path", "bytes", "file object"])
def test_a_cut_file_gives_what_it_holds_and_refuses_the_rest(
    kind: str, missing: int, tmp_path: Path
) -> None:
    """The last three blocks of the file are cut to and fro; two requests tell where."""
    built = dynamic(8 * MIB, blocks={n: Block() for n in (6, 1, 3)}, block_order=(6, 1, 3)).build()
    layout, model = built.layout, built.model
    end = layout.payload[3] + MIB - missing
    path = built.write(tmp_path / "cut.vhdx")
    os.truncate(path, end)
    source = SOURCES[kind](path)
    with vhdx_kaitai.open(source) as disk:
        for number in (6, 1, 3):
            start = number * MIB
            there = max(0, min(MIB, end - layout.payload[number]))
            if there:
                assert_reads(disk, model, start, there)
                assert_reads(disk, model, start + there - 1, 1)
            if there < MIB:
                for offset, length in (
                    (start + there, 1),
                    (start + max(0, there - 1), 2),
                    (start, MIB),
                ):
                    with pytest.raises(TruncatedError) as caught:
                        disk.pread(length, offset)
                    assert caught.value.finding.rule == "BAT-10"
        assert_reads(disk, model, 0, MIB)
        assert_reads(disk, model, 7 * MIB, MIB)
        with pytest.raises(TruncatedError):
            disk.pread(8 * MIB, 0)
    if hasattr(source, "close"):
        source.close()


@pytest.mark.parametrize("kind", ["path", "file object"])
@pytest.mark.parametrize("offset", [0, MIB - 1000, 2 * MIB])
def test_a_file_cut_while_it_is_open_gives_no_zeros(kind: str, offset: int, tmp_path: Path) -> None:
    """Whether a request is one block or several, and whether some of it is still there."""
    built = dynamic(3 * MIB, blocks={n: Block() for n in range(3)}).build()
    path = built.write(tmp_path / "cut.vhdx")
    source = SOURCES[kind](path)
    with vhdx_kaitai.open(source) as disk:
        assert_reads(disk, built.model, 0, 3 * MIB)
        os.truncate(path, built.layout.payload[0] + 512)
        assert_reads(disk, built.model, 0, 512)
        for length in (1000, MIB, 3 * MIB):
            with pytest.raises(TruncatedError):
                disk.pread(min(length + 512, disk.size - offset), offset)
            with pytest.raises(TruncatedError):
                disk.readinto_at(bytearray(min(length + 512, disk.size - offset)), offset)
    if hasattr(source, "close"):
        source.close()


def test_a_sector_bitmap_that_is_cut_is_refused_and_whole_blocks_are_not(tmp_path: Path) -> None:
    blocks = {0: partial(0), 1: Block(), 2: Block(ZERO)}
    order = ("log", "metadata", "bat", "blocks")
    built = differencing(4 * MIB, blocks=blocks, order=order, bitmap_offsets={0: 20 * MIB}).build()
    path = built.write(tmp_path / "cut.vhdx")
    os.truncate(path, 21 * MIB - 1)
    with vhdx_kaitai.open(path, resolve_parents=False) as disk:
        with pytest.raises(TruncatedError) as caught:
            disk.pread(512, 0)
        assert caught.value.finding.rule == "BAT-10"
        assert_reads(disk, built.model, MIB, 2 * MIB)


@pytest.mark.parametrize("reserved", [1, 2, 1 << 8, 1 << 16])
@pytest.mark.parametrize("state", [NOT_PRESENT, UNDEFINED, ZERO, UNMAPPED, FULLY_PRESENT])
def test_reserved_bits_are_refused_in_every_state(state: int, reserved: int) -> None:
    layout = dynamic(8 * MIB, blocks={n: Block() for n in (0, 1, 2)}).layout()
    layout.set_entry(1, state, layout.payload[1], reserved)
    with opened(layout.build()) as disk:
        with pytest.raises(FormatError) as caught:
            disk.pread(512, MIB)
        assert caught.value.finding.rule == "BAT-02"
        assert_reads(disk, layout.build().model, 0, MIB)
        assert_reads(disk, layout.build().model, 2 * MIB, 6 * MIB)


@pytest.mark.parametrize("reserved", [1, 1 << 16])
def test_reserved_bits_of_a_needed_sector_bitmap_are_refused(reserved: int) -> None:
    layout = differencing(4 * MIB, blocks={0: partial(range(2048)), 1: Block()}).layout()
    index = layout.image.geometry.bitmap_index(0)
    layout.bat[index] = bat_entry(6, layout.bitmaps[0].file_offset, reserved)
    with opened(layout.build(), resolve_parents=False) as disk:
        with pytest.raises(FormatError) as caught:
            disk.pread(512, 0)
        assert caught.value.finding.rule == "BAT-02"
        assert_reads(disk, layout.build().model, MIB, MIB)


@pytest.mark.parametrize("number", [1, 9, 100, 4999])
def test_damage_in_the_middle_of_a_long_run_of_equal_blocks_is_not_passed_over(number: int) -> None:
    layout = dynamic(5000 * MIB, blocks={}).layout()
    layout.set_entry(number, 4)
    with opened(layout.build()) as disk:
        with pytest.raises(FormatError) as caught:
            list(disk.extents())
        assert caught.value.finding.rule == "BAT-03"
        assert disk.pread(MIB, (number - 1) * MIB) == bytes(MIB)
        if number < 4999:
            assert disk.pread(MIB, (number + 1) * MIB) == bytes(MIB)
        with pytest.raises(FormatError):
            disk.pread(2 * MIB, (number - 1) * MIB)


def test_damage_in_a_parent_concerns_only_what_is_read_from_it(tmp_path: Path) -> None:
    def change(depth: int, image: Image) -> Image | Layout:
        if depth:
            return image
        layout = image.layout()
        layout.set_entry(1, 5, layout.payload[1])
        return layout

    base = dynamic(4 * MIB, blocks={n: Block() for n in range(4)})
    own = {0: Block(), 1: partial(0), 2: Block(NOT_PRESENT), 3: Block()}
    made = chain(2, base=base, blocks=lambda *_: own, change=change).write(tmp_path)
    with vhdx_kaitai.open(made.path) as disk:
        with pytest.raises(FormatError) as caught:
            disk.pread(1024, MIB)
        assert caught.value.finding.rule == "BAT-03"
        assert caught.value.path == str(made.paths[0])
        assert_reads(disk, made.model, MIB, 512)
        assert_reads(disk, made.model, 0, MIB)
        assert_reads(disk, made.model, 2 * MIB, 2 * MIB)


# -- without parents ----------------------------------------------------------------------------


def test_without_parents_only_their_ranges_are_refused() -> None:
    blocks = {0: Block(), 1: partial(3), 2: Block(ZERO), 3: Block(NOT_PRESENT), 4: Block(UNMAPPED)}
    built = differencing(5 * MIB, blocks=blocks, tag=5).build()
    with opened(built, resolve_parents=False) as disk:
        assert disk.chain == (disk.image,)
        assert_same(disk.pread(MIB, 0), pattern(5, 0, MIB))
        assert_same(disk.pread(512, MIB + 1536), pattern(5, MIB + 1536, 512))
        assert disk.pread(MIB, 2 * MIB) == disk.pread(MIB, 4 * MIB) == bytes(MIB)
        for offset, length in (
            (MIB, 1),
            (MIB + 1535, 1),
            (MIB + 1535, 2),
            (MIB + 2048, 1),
            (MIB - 1, 2),
            (3 * MIB, 1),
            (2 * MIB, 2 * MIB),
            (0, 5 * MIB),
        ):
            with pytest.raises(ParentNotFoundError):
                disk.pread(length, offset)
            with pytest.raises(ParentNotFoundError):
                disk.readinto_at(bytearray(length), offset)
        assert disk_extents(disk) == model_extents(built.model)


def test_no_parent_is_looked_for_where_none_is_wanted(tmp_path: Path) -> None:
    made = chain(2).write(tmp_path)
    with vhdx_kaitai.open(made.path, resolve_parents=False) as disk:
        assert len(disk.chain) == 1
        kinds = {extent.kind for extent in disk.extents()}
    assert kinds == {"data", "zero", "parent"}


def test_a_child_that_holds_everything_needs_no_parent() -> None:
    built = differencing(4 * MIB, others=Block()).build()
    with opened(built, resolve_parents=False) as disk:
        assert_reads_throughout(disk, built.model)


# -- closing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("read_before", [True, False])
@pytest.mark.parametrize("offset", [0, MIB, 2 * MIB - 512], ids=["data", "zeros", "both"])
@pytest.mark.parametrize("kind", ["path", "bytes", "mmap", "file object"])
def test_a_closed_disk_cannot_be_read(
    kind: str, offset: int, read_before: bool, files: Files
) -> None:
    source = SOURCES[kind](files.good("dynamic-plain"))
    disk = vhdx_kaitai.open(source)
    file = disk.open()
    if read_before:
        assert len(disk.pread(8 * MIB, 0)) == 8 * MIB
    disk.close()
    try:
        with pytest.raises((ValueError, OSError)):
            disk.pread(1024, offset)
        with pytest.raises((ValueError, OSError)):
            disk.readinto_at(bytearray(1024), offset)
        file.seek(offset)
        with pytest.raises((ValueError, OSError)):
            file.read(1024)
    finally:
        if hasattr(source, "close"):
            source.close()


@pytest.mark.parametrize("length", [512, 3 * MIB])
def test_a_closed_disk_does_not_read_the_file_that_has_its_descriptor_now(
    length: int, tmp_path: Path
) -> None:
    built = dynamic(3 * MIB, others=Block()).build()
    path = built.write(tmp_path / "disk.vhdx")
    other = tmp_path / "other"
    shutil.copy(path, other)
    disk = vhdx_kaitai.open(path)
    assert_reads(disk, built.model, 0, length)
    disk.close()
    with other.open("rb"), other.open("rb"), other.open("rb"):
        with pytest.raises((ValueError, OSError)):
            disk.pread(length, 0)
        with pytest.raises((ValueError, OSError)):
            disk.readinto_at(bytearray(length), 0)


@needs_proc
def test_closing_closes_the_whole_chain_and_twice_does_no_harm(tmp_path: Path) -> None:
    made = chain(3).write(tmp_path)
    before = open_descriptors()
    with vhdx_kaitai.open(made.path) as disk:
        assert len(open_descriptors() - before) == 3
    assert open_descriptors() == before
    disk.close()


def test_what_the_caller_opened_is_the_callers_to_close(files: Files) -> None:
    with files.good("dynamic-plain").open("rb") as file:
        vhdx_kaitai.open(file).close()
        assert file.seek(0) == 0
        assert file.read(8) == b"vhdxfile"


# -- properties ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOODS)
def test_a_disk_has_the_properties_its_model_has(name: str) -> None:
    model = good(name).model
    with opened(good(name), resolve_parents=False) as disk:
        assert disk.size == model.virtual_disk_size
        assert disk.block_size == model.block_size
        assert disk.logical_sector_size == model.logical_sector_size
        assert disk.physical_sector_size == model.physical_sector_size
        assert disk.disk_type == model.disk_type
        assert disk.virtual_disk_id == model.virtual_disk_id
        assert disk.chain == (disk.image,)


def test_the_chain_goes_from_child_to_base(tmp_path: Path) -> None:
    made = chain(4).write(tmp_path)
    with vhdx_kaitai.open(made.path) as disk:
        assert [image.path for image in disk.chain] == [str(path) for path in made.paths[::-1]]
        assert disk.image is disk.chain[0]
        assert [image.metadata.disk_type for image in disk.chain] == ["differencing"] * 3 + [
            "dynamic"
        ]
        assert str(made.path) in repr(disk)


# -- extents ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in GOODS if name != "largest-disk"])
def test_extents_are_those_of_the_model(name: str) -> None:
    model = good(name).model
    with opened(good(name), resolve_parents=False) as disk:
        extents = disk_extents(disk)
        assert extents == model_extents(model)
        assert_adjacent(extents, 0, disk.size)


@pytest.mark.parametrize("name", GOOD_CHAINS)
def test_extents_of_a_chain_are_those_of_the_model(name: str) -> None:
    made = good_chain(name)
    with opened_chain(made) as disk:
        assert disk_extents(disk) == model_extents(made.model)
        for offset, length in places(disk.size, 25, 3 * MIB):
            assert disk_extents(disk, offset, length) == model_extents(made.model, offset, length)


@pytest.mark.parametrize(
    "name",
    [
        "dynamic-past-one-chunk",
        "differencing-past-one-chunk",
        "fixed-past-one-chunk",
        "largest-disk",
    ],
)
def test_extents_of_a_part_of_a_large_disk_are_those_of_the_model(name: str) -> None:
    model = good(name).model
    chance = random.Random(3)
    edges = [number * model.block_size for number in (1, 15, 16, 17, 18) if number < 18]
    with opened(good(name), resolve_parents=False) as disk:
        for edge in (*edges, 4 * GIB, model.size - MIB):
            offset = max(0, edge - chance.randrange(3 * MIB))
            length = min(chance.randrange(6 * MIB), model.size - offset)
            assert disk_extents(disk, offset, length) == model_extents(model, offset, length)


def test_the_bytes_of_an_extent_are_where_it_says(tmp_path: Path) -> None:
    """Read with nothing but `open`."""
    made = chain(3, base=dynamic(8 * MIB, logical_sector_size=4096)).write(tmp_path)
    with vhdx_kaitai.open(made.path) as disk:
        for extent in disk.extents():
            expected = made.model.read(extent.offset, extent.length)
            if extent.kind == "zero":
                assert extent.file_offset is None
                assert not any(expected)
            else:
                path = disk.chain[extent.depth].path
                assert path is not None
                assert extent.file_offset is not None
                with open(path, "rb") as file:
                    file.seek(extent.file_offset)
                    assert_same(file.read(extent.length), expected, extent.offset)


@pytest.mark.parametrize(
    ("offset", "length"), [(-1, 1), (0, 8 * MIB + 1), (8 * MIB + 1, None), (512, -1), (8 * MIB, 1)]
)
def test_extents_outside_the_disk_are_a_mistake_of_the_caller(
    offset: int, length: int | None
) -> None:
    with opened(good("dynamic-plain")) as disk, pytest.raises(ValueError, match="not inside"):
        list(disk.extents(offset, length))


@pytest.mark.parametrize("offset", [0, 100, 8 * MIB])
def test_an_empty_range_has_no_extents(offset: int) -> None:
    with opened(good("dynamic-plain")) as disk:
        assert list(disk.extents(offset, 0)) == []
        assert list(disk.extents(8 * MIB)) == []


def stored_here_and_there() -> dict[int, Block]:
    """Return some thirty blocks of a disk with 64 Mi of them, in runs and alone."""
    last = 64 * TIB // MIB - 1
    chance = random.Random(5)
    alone = {chance.randrange(last): Block(data=b"x") for _ in range(20)}
    return alone | {n: Block(data=b"x") for n in (0, 1, 2, 4095, 4096, 4097, last - 1, last)}


@pytest.mark.slow
@pytest.mark.parametrize(("disk_type", "blocks"), [("dynamic", "none"), ("differencing", "some")])
def test_a_disk_of_64_tib_is_mapped_at_small_expense(
    disk_type: str, blocks: str, tmp_path: Path
) -> None:
    """Its BAT of 513 MiB is read once at most, and runs are merged."""
    stored = stored_here_and_there() if blocks == "some" else {}
    make = differencing if disk_type == "differencing" else dynamic
    built = make(64 * TIB, blocks=stored).build()
    expected = model_extents(built.model)
    assert len(expected) <= 2 * len(stored) + 1
    source = CountingSource(str(built.write(tmp_path / "large.vhdx")))
    with vhdx_kaitai.open(source, resolve_parents=False) as disk:
        source.bytes_read = 0
        assert disk_extents(disk) == expected
    source.close()
    assert source.bytes_read < 1.25 * built.layout.bat_length


@pytest.mark.parametrize("state", [NOT_PRESENT, ZERO])
def test_a_disk_of_eight_mi_blocks_without_data_is_mapped_in_little_memory(
    state: int, tmp_path: Path
) -> None:
    """There is no object per block."""
    layout = dynamic(8 * TIB, blocks={}).layout()
    if state == ZERO:
        page = struct.pack("<Q", ZERO) * 512
        for offset in range(0, layout.bat_length, 4096):
            layout.patch(layout.bat_offset + offset, page)
        for chunk in range(2047):
            layout.patch(layout.bat_offset + (chunk * 4097 + 4096) * 8, bytes(8))
    path = layout.build().write(tmp_path / "large.vhdx")
    with vhdx_kaitai.open(path) as disk, measured_memory() as peak:
        (extent,) = disk.extents()
    assert extent[:3] == (0, 8 * TIB, "zero" if state == ZERO else "not_present")
    assert peak.bytes < 2 * MIB


@pytest.mark.parametrize("where", ["first", "last"])
def test_part_of_a_disk_of_64_tib_is_mapped_without_reading_all_of_its_bat(
    where: str, files: Files
) -> None:
    source = CountingSource(str(files.good("largest-disk")))
    model = good("largest-disk").model
    with vhdx_kaitai.open(source) as disk:
        source.bytes_read = 0
        offset = 0 if where == "first" else disk.size - GIB
        assert disk_extents(disk, offset, GIB) == model_extents(model, offset, GIB)
        assert source.bytes_read < MIB
    source.close()


def checkerboard(size: int) -> Chain:
    """Return a child, every second sector of which is in its parent."""
    base = dynamic(size, blocks={0: Block()}, others=Block(ZERO)).build()
    layout = child_of(base, blocks={n: partial() for n in range(size // MIB)}).layout()
    layout.patch(layout.bitmaps[0].file_offset, b"\x55" * (size // 512 // 8))
    return Chain([base, layout.build()], [])


def test_runs_of_sectors_are_mapped_in_little_memory() -> None:
    """2**16 runs of one sector each; nobody asked for more than one at a time."""
    size = 32 * MIB
    with opened_chain(checkerboard(size)) as disk, measured_memory() as peak:
        extents = disk.extents()
        assert next(extents)[:4] == (0, 512, "partially_present", 0)
        assert next(extents)[:4] == (512, 512, "fully_present", 1)
    assert peak.bytes < 2 * MIB


def test_runs_of_sectors_are_all_there() -> None:
    size = 24 * MIB
    position = 0
    with opened_chain(checkerboard(size)) as disk:
        for extent in disk.extents(0, MIB):
            assert (extent.offset, extent.length) == (position, 512)
            assert extent.depth == position // 512 % 2
            position += extent.length
        for extent in disk.extents(MIB):
            assert (extent.offset, extent.length) == (position, 512)
            expected = (
                (1, "zero", "zero") if position // 512 % 2 else (0, "partially_present", "data")
            )
            assert (extent.depth, extent.state, extent.kind) == expected
            position += extent.length
    assert position == size


# -- memory of reading --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["zeros", "data", "checkerboard", "dirty", "past the end"])
@pytest.mark.parametrize("length", [64 * KIB, 10 * MIB])
def test_reading_takes_little_more_memory_than_the_request(name: str, length: int) -> None:
    """At most twice the request and 2 MiB, the request's own buffer included."""
    image = dynamic(24 * MIB, others=Block(), block_size=8 * MIB)
    made = {
        "zeros": lambda: Chain([image.but(others=Block(ZERO)).build()], []),
        "data": lambda: Chain([image.build()], []),
        "checkerboard": lambda: checkerboard(24 * MIB),
        "dirty": lambda: Chain([dirty(image).build()], []),
        "past the end": lambda: Chain([extended_by_its_log(image).build()], []),
    }[name]()
    with opened_chain(made) as disk:
        disk.pread(length, 0)  # what is kept between requests is not theirs
        with measured_memory() as peak:
            assert len(disk.pread(length, 0)) == length
        assert peak.bytes <= 2 * length + 2 * MIB


def extended_by_its_log(image: Image) -> Layout:
    """Return an image whose last block is past the end of the stored file, and zeros."""
    blocks = {0: Block(), 1: Block(data=b""), 2: Block(data=b"")}
    after = image.but(blocks=blocks)
    return dirty(after, file_length=after.layout().payload[1])


# -- threads ------------------------------------------------------------------------------------


def disks_for_threads(folder: Path) -> dict[str, Callable[[], tuple[Disk, bytes]]]:
    """Return ways to get a disk, and all of its bytes."""

    def from_path(made: Chain) -> tuple[Disk, bytes]:
        made.write(folder)
        return vhdx_kaitai.open(made.path), made.model.read(0, made.model.size)

    def from_file_object() -> tuple[Disk, bytes]:
        built = dynamic(8 * MIB, blocks={n: Block() for n in (0, 1, 5)}).build()
        return vhdx_kaitai.open(built.open()), built.model.read(0, built.model.size)

    def dirty_one(_depth: int, image: Image) -> Image | Layout:
        return dirty(image, hide=STRUCTURES)

    single = dynamic(8 * MIB, blocks={n: Block() for n in (0, 1, 5)})
    return {
        "file": lambda: from_path(chain(1, base=single)),
        "file object": from_file_object,
        "dirty log": lambda: from_path(chain(1, base=single, change=dirty_one)),
        "chain": lambda: from_path(chain(4)),
        "dirty chain": lambda: from_path(mixed_chain()),
    }


@pytest.mark.parametrize("kind", ["file", "file object", "dirty log", "chain", "dirty chain"])
def test_eight_threads_read_at_random_what_one_would(kind: str, tmp_path: Path) -> None:
    disk, whole = disks_for_threads(tmp_path)[kind]()
    start = threading.Barrier(8)
    failures: list[str] = []

    def work(seed: int) -> None:
        try:
            start.wait()
            for offset, length in places(disk.size, 120, 300 * KIB, seed):
                if disk.pread(length, offset) != whole[offset : offset + length]:
                    failures.append(f"pread({length}, {offset})")
                buffer = bytearray([CANARY]) * length
                disk.readinto_at(buffer, offset)
                if buffer != whole[offset : offset + length]:
                    failures.append(f"readinto_at({length}, {offset})")
        except BaseException as error:
            failures.append(repr(error))
            raise

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    disk.close()
    assert failures == []


# -- the class ----------------------------------------------------------------------------------


def test_what_a_disk_can_do_is_said_by_its_class() -> None:
    for name in ("readinto_at", "pread", "extents", "open", "close"):
        assert getattr(Disk, name).__doc__


def test_a_disk_may_be_another_one(files: Files) -> None:
    class Loud(Disk):
        def pread(self, length: int, offset: int) -> bytes:
            return super().pread(length, offset).upper()

        def readinto_at(self, buffer: Any, offset: int) -> int:
            return -super().readinto_at(buffer, offset)

    model = good("dynamic-plain").model
    buffer = bytearray(100)
    with Loud([reader.Image(files.good("dynamic-plain"))]) as disk:
        assert disk.pread(100, 0) == model.read(0, 100).upper()
        assert disk.readinto_at(buffer, 0) == -100
        assert buffer == model.read(0, 100)


# -- the file object ----------------------------------------------------------------------------


@pytest.fixture(params=["path", "bytes"])
def disk(request: pytest.FixtureRequest, files: Files) -> Iterator[Disk]:
    """A disk of 3 MiB and one sector: data, zeros, zeros, data."""
    with vhdx_kaitai.open(SOURCES[request.param](files.good("odd-sectors"))) as disk:
        yield disk


@pytest.fixture
def whole() -> bytes:
    """All of its bytes, by the model."""
    return good("odd-sectors").model.read(0, 3 * MIB + 512)


def test_a_disk_file_is_read_from_start_to_end(disk: Disk, whole: bytes) -> None:
    with disk.open() as file:
        assert file.size == len(whole)
        assert file.tell() == 0
        assert file.read(100) == whole[:100]
        assert file.tell() == 100
        assert file.read(MIB) == whole[100 : MIB + 100]
        assert file.read() == whole[MIB + 100 :]
        assert file.tell() == len(whole)
        assert file.read() == file.read(1) == b""


def test_a_disk_file_cannot_be_written(disk: Disk) -> None:
    with disk.open() as file:
        assert not file.writable()
        uses: list[Callable[[], object]] = [lambda: file.write(b"x"), file.truncate, file.fileno]
        for use in uses:
            with pytest.raises(io.UnsupportedOperation):
                use()


@pytest.mark.parametrize("size", [-1, None])
def test_a_disk_file_reads_all_the_rest_on_demand(
    size: int | None, disk: Disk, whole: bytes
) -> None:
    file = disk.open()
    file.seek(1000)
    assert file.read(size) == whole[1000:]
    file.seek(0)
    assert file.readall() == whole


def test_a_disk_file_is_short_only_at_the_end(disk: Disk, whole: bytes) -> None:
    file = disk.open()
    file.seek(-100, io.SEEK_END)
    assert file.read(1000) == whole[-100:]
    file.seek(-100, io.SEEK_END)
    buffer = bytearray([CANARY]) * 200
    assert file.readinto(buffer) == 100
    assert buffer == whole[-100:] + bytes([CANARY]) * 100
    assert file.readinto(buffer) == 0
    file.seek(0)
    large = bytearray(3 * MIB)
    assert file.readinto(large) == 3 * MIB
    assert_same(large, whole[: 3 * MIB])
    assert file.read(0) == b""


def test_a_disk_file_seeks_from_start_position_and_end(disk: Disk, whole: bytes) -> None:
    file = disk.open()
    assert file.seek(700) == 700
    assert file.seek(50, io.SEEK_CUR) == file.tell() == 750
    assert file.seek(-250, io.SEEK_CUR) == 500
    assert file.read(4) == whole[500:504]
    assert file.seek(-4, io.SEEK_END) == len(whole) - 4
    assert file.read(4) == whole[-4:]
    assert file.seek(0, io.SEEK_END) == len(whole)
    assert file.seek(10, io.SEEK_END) == len(whole) + 10
    assert file.read(1) == b""
    assert file.readinto(bytearray(1)) == 0
    assert file.seek(0) == 0


@pytest.mark.parametrize(("offset", "whence"), [(-1, 0), (-11, 1), (-(3 * MIB + 513), 2), (0, 7)])
def test_a_disk_file_does_not_seek_to_nowhere(disk: Disk, offset: int, whence: int) -> None:
    file = disk.open()
    file.seek(10)
    with pytest.raises(ValueError, match="expected"):
        file.seek(offset, whence)
    assert file.tell() == 10


def test_disk_files_have_positions_of_their_own(disk: Disk, whole: bytes) -> None:
    one, two = disk.open(), disk.open()
    one.seek(1000)
    assert two.read(4) == whole[:4]
    assert one.read(4) == whole[1000:1004]


def test_a_disk_file_says_what_it_can_do(disk: Disk) -> None:
    file = disk.open()
    assert isinstance(file, io.RawIOBase)
    assert file.readable()
    assert file.seekable()
    assert not file.writable()
    assert not file.isatty()
    with pytest.raises(io.UnsupportedOperation):
        file.fileno()
    with pytest.raises((OSError, NotImplementedError)):
        file.write(b"x")
    with pytest.raises((OSError, NotImplementedError)):
        file.truncate(0)


def test_a_closed_disk_file_is_of_no_more_use_and_leaves_the_disk_open(
    disk: Disk, whole: bytes
) -> None:
    file = disk.open()
    file.close()
    assert file.closed
    file.close()
    for call in (
        lambda: file.read(1),
        lambda: file.read(),
        lambda: file.readall(),
        lambda: file.readinto(bytearray(1)),
        lambda: file.seek(0),
        lambda: file.tell(),
    ):
        with pytest.raises(ValueError, match="closed"):
            call()
    assert disk.pread(4, 0) == whole[:4]
    assert disk.open().read(4) == whole[:4]


def test_a_disk_file_can_be_buffered(disk: Disk, whole: bytes) -> None:
    with io.BufferedReader(disk.open(), 4096) as file:
        assert file.read(10) == whole[:10]
        assert file.peek(1)[:1] == whole[10:11]
        file.seek(MIB - 5)
        assert file.read(5000) == whole[MIB - 5 : MIB + 4995]
        file.seek(-10, io.SEEK_END)
        assert file.read() == whole[-10:]
        file.seek(0)
        assert_same(file.read(), whole)


def test_a_disk_file_can_be_copied(disk: Disk, whole: bytes) -> None:
    target = io.BytesIO()
    shutil.copyfileobj(disk.open(), target)
    assert_same(target.getvalue(), whole)


def test_lines_can_be_read_from_a_disk_file() -> None:
    with opened(dynamic(MIB, blocks={0: Block(data=b"one\ntwo\n")}).build()) as disk:
        file: BinaryIO = io.BufferedReader(disk.open())
        assert file.readline() == b"one\n"
        assert next(file) == b"two\n"


def test_a_disk_file_raises_what_its_disk_raises() -> None:
    with opened(damaged("bat-state-4")) as disk:
        file = disk.open()
        file.seek(7 * MIB - 10)
        with pytest.raises(VhdxError):
            file.read(100)
        assert file.tell() == 7 * MIB - 10
        assert file.read(10) == bytes(10)
