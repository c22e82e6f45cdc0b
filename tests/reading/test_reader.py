"""What makes reading fast, held together with what makes it right.

What is kept between requests is bounded, and is forgotten when the disk is closed.
"""

from __future__ import annotations

import array
import mmap
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import vhdx_kaitai
from tests.conftest import Files
from tests.images.chain import Chain, chain, child_of
from tests.images.dirty import STRUCTURES, dirty
from tests.images.goods import GOODS
from tests.images.image import (
    Block,
    Image,
    Layout,
    dynamic,
    partial,
)
from tests.images.log import Zero
from tests.images.sparse import pattern
from tests.images.structures import (
    FULLY_PRESENT,
    GIB,
    KIB,
    MIB,
    NOT_PRESENT,
    UNDEFINED,
    UNMAPPED,
    ZERO,
)
from tests.reading_fixtures import (
    CANARY,
    ORDERS,
    SOURCES,
    assert_reads,
    assert_reads_throughout,
    assert_same,
    checkerboard,
    measured_memory,
    mixed_chain,
    opened,
    opened_chain,
    places,
)
from tests.support import good
from vhdx_kaitai.errors import FormatError, TruncatedError
from vhdx_kaitai.reading.disk import Disk
from vhdx_kaitai.storage.overlay import Overlay

# -- requests of all shapes -----------------------------------------------------------------------


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


@pytest.mark.parametrize("kind", ["files", "memory"])
def test_a_request_for_nothing_gives_nothing(kind: str, tmp_path: Path) -> None:
    """Wherever that is: in blocks of any state, at the end of the disk, or past it."""
    made = mixed_chain().write(tmp_path)
    with vhdx_kaitai.open(made.path) if kind == "files" else opened_chain(made) as disk:
        for offset in (*range(0, disk.size, MIB // 4), disk.size - 1, disk.size, disk.size + 1):
            assert disk.pread(0, offset) == b""
            for nothing in (bytearray(), array.array("Q"), memoryview(bytearray())):
                assert disk.readinto_at(nothing, offset) == 0


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


# -- disks with more blocks than are kept ---------------------------------------------------------


@pytest.fixture(params=[False, True], ids=["few blocks", "many blocks"])
def block_count(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a disk of a few blocks be read as one of more than are kept."""
    if request.param:
        monkeypatch.setattr("vhdx_kaitai.reading.reader._KEPT_WINDOWS", 0)


SMALL = [
    name
    for name in GOODS
    if good(name).length <= 64 * MIB and not good(name).model.image.has_parent
]


@pytest.mark.usefixtures("block_count")
@pytest.mark.parametrize("name", SMALL)
def test_a_file_reads_as_its_model_says(name: str, files: Files) -> None:
    model = good(name).model
    with vhdx_kaitai.open(files.good(name)) as disk:
        assert_reads_throughout(disk, model)
        for offset in (0, model.size // 2 - 100, model.size - 300):
            for length in (0, 1, 300):
                assert_reads(disk, model, offset, length)
        assert disk.pread(10, model.size - 4) == model.read(model.size - 4, 4)
        assert disk.pread(10, model.size) == disk.pread(10, model.size + 5) == b""
        assert disk.readinto_at(array.array("Q", bytes(64)), 8) == 64
        for length, offset in ((1, -1), (-1, 0)):
            with pytest.raises(ValueError, match="expected at least 0"):
                disk.pread(length, offset)


@pytest.mark.usefixtures("block_count")
def test_zeros_fill_any_buffer(tmp_path: Path) -> None:
    built = dynamic(4 * MIB, blocks={0: Block(), 3: Block()}).build()
    with vhdx_kaitai.open(built.write(tmp_path / "zeros.vhdx")) as disk:
        for length in (1, 511, 4096, 65536, MIB, 2 * MIB):
            buffer = bytearray(b"x") * (length + 2)
            assert disk.readinto_at(memoryview(buffer)[1:-1], MIB) == length
            assert buffer == b"x" + bytes(length) + b"x"
        numbers = array.array("I", [7] * 1000)
        assert disk.readinto_at(numbers, MIB + 8) == 4000
        assert set(numbers) == {0}
        bad_ones: tuple[object, ...] = (bytes(8), memoryview(bytearray(8))[::2])
        for bad in bad_ones:
            with pytest.raises((TypeError, ValueError, BufferError)):
                disk.readinto_at(bad, MIB)


@pytest.mark.usefixtures("block_count")
@pytest.mark.parametrize("state", [NOT_PRESENT, UNDEFINED, ZERO, UNMAPPED])
def test_zeros_are_read_from_no_file(state: int, tmp_path: Path) -> None:
    """Nor is more looked up for them than the entry of their block, and that once."""
    image = dynamic(6 * MIB, blocks={0: Block(), 5: Block()}, others=Block(state))
    with vhdx_kaitai.open(image.build().write(tmp_path / "zeros.vhdx")) as disk:
        for offset in range(0, 6 * MIB, MIB):
            assert disk.pread(1, offset) == pattern(1, offset, 1) or MIB <= offset < 5 * MIB
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(disk.image.stored, "fd", NoFile())
            for length in (1, 512, 4096, 65536, MIB, 3 * MIB):
                for offset in (MIB, 5 * MIB - length):
                    assert disk.pread(length, offset) == bytes(length)
                    buffer = bytearray(b"x") * length
                    assert disk.readinto_at(buffer, offset) == length
                    assert not any(buffer)


class NoFile:
    """In the place of a descriptor: whoever uses it reads from a file."""

    def __index__(self) -> int:
        raise AssertionError("a file was read")


def test_zeros_that_are_kept_are_few(tmp_path: Path) -> None:
    """Whoever holds on to them holds what he asked for, and nobody else does."""
    built = dynamic(64 * MIB, blocks={}, block_size=32 * MIB).build()
    with vhdx_kaitai.open(built.write(tmp_path / "zeros.vhdx")) as disk:
        assert disk.pread(512, 0) is disk.pread(512, 4096)
        with measured_memory() as peak:
            for length in (16 * MIB, 8 * MIB, MIB, 512 * KIB):
                assert len(disk.pread(length, 0)) == length
        assert peak.bytes < 18 * MIB
        with measured_memory() as left:
            disk.pread(512, 0)
        assert left.bytes < MIB


@pytest.mark.usefixtures("block_count")
def test_a_file_cut_while_it_is_open_fills_no_buffer(tmp_path: Path) -> None:
    """Not even that part of it which is still there, as if that were all."""
    built = dynamic(3 * MIB, blocks={n: Block() for n in range(3)}).build()
    path = built.write(tmp_path / "cut.vhdx")
    with vhdx_kaitai.open(path) as disk:
        assert_reads(disk, built.model, 0, 3 * MIB)
        os.truncate(path, built.layout.payload[0] + 512)
        assert_reads(disk, built.model, 0, 512)
        for offset, length in ((0, 1000), (0, MIB), (MIB, 512), (MIB, MIB), (0, 3 * MIB)):
            with pytest.raises(TruncatedError):
                disk.pread(length, offset)
            with pytest.raises(TruncatedError):
                disk.readinto_at(bytearray(length), offset)


@pytest.mark.usefixtures("block_count")
@pytest.mark.parametrize("kind", ["uint8", "int16", "uint32", "int64", "uint64"])
def test_offsets_may_be_numbers_of_any_kind(kind: str, files: Files) -> None:
    """Those of few bits would not count as far as a disk goes."""
    numpy = pytest.importorskip("numpy")
    part: Any = 1.0
    offset = numpy.dtype(kind).type(100)
    model = good("dynamic-plain").model
    expected, buffer = model.read(100, 50), bytearray(50)
    with vhdx_kaitai.open(files.good("dynamic-plain")) as disk, disk.open() as file:
        assert disk.readinto_at(buffer, offset) == 50
        assert buffer == expected
        assert disk.pread(offset, offset) == model.read(100, 100)
        rows = list(disk.extents(offset, offset))
        assert rows == list(disk.extents(100, 100))
        assert {type(row.offset) for row in rows} == {type(row.length) for row in rows} == {int}
        assert type(file.seek(offset)) is int
        assert file.read(numpy.dtype(kind).type(50)) == expected
        for use in (
            lambda: disk.readinto_at(buffer, part),
            lambda: disk.pread(10, part),
            lambda: disk.pread(part, 1),
            lambda: disk.extents(part),
            lambda: file.seek(part),
            lambda: file.read(part),
        ):
            with pytest.raises(TypeError):
                use()


# -- what is kept ---------------------------------------------------------------------------------


def test_windows_that_are_kept_take_little_memory_whatever_the_disk(tmp_path: Path) -> None:
    """A disk of 16384 blocks, a stored one and two of zeros in turn, each asked for twice."""
    blocks = {number: Block(data=b"") for number in range(0, 16384, 3)}
    built = dynamic(16 * GIB, blocks=blocks).build()
    buffer = bytearray(512)
    path = built.write(tmp_path / "large.vhdx")
    with vhdx_kaitai.open(path) as disk, measured_memory() as peak:
        for number in range(16384):
            for offset in (0, MIB // 2):
                assert disk.readinto_at(buffer, number * MIB + offset) == 512
    assert peak.bytes < 2 * MIB


def test_pieces_that_are_kept_take_little_memory(tmp_path: Path) -> None:
    """Sixty pieces, nearly the most that are kept, in each of 3000 windows."""
    base = dynamic(3 * GIB, others=Block(ZERO)).build()
    sectors = range(0, 2048, 70)
    bits = partial(*sectors, data=b"")
    image = child_of(base, "base.vhdx", blocks=dict.fromkeys(range(3000), bits))
    made = Chain([base, image.build()], ["base.vhdx", "child.vhdx"]).write(tmp_path)
    buffer = bytearray(512)
    with vhdx_kaitai.open(made.path) as disk:
        disk.readinto_at(buffer, 0)
        with measured_memory() as peak:
            for number in range(3000):
                disk.readinto_at(buffer, number * MIB)
    assert peak.bytes < 2 * MIB


def structure_places(layout: Layout) -> dict[str, int]:
    return {
        "log": layout.log_offset,
        "metadata": layout.metadata_offset,
        "BAT": layout.bat_offset,
    }


@pytest.mark.usefixtures("block_count")
@pytest.mark.parametrize("read_before", [False, True])
@pytest.mark.parametrize("over", ["log", "metadata", "BAT"])
@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order[0])
def test_a_block_over_a_structure_is_refused_when_it_is_read(
    order: tuple[str, ...], over: str, read_before: bool, tmp_path: Path
) -> None:
    """Wherever the structure is: the other blocks are read as ever."""
    layout = dynamic(4 * MIB, blocks={0: Block(), 1: Block(), 3: Block()}, order=order).layout()
    layout.set_entry(2, FULLY_PRESENT, structure_places(layout)[over])
    with vhdx_kaitai.open(layout.build().write(tmp_path / "image.vhdx")) as disk:
        buffer = bytearray(512)
        for _ in range(2):
            if read_before:
                assert disk.readinto_at(buffer, MIB) == 512
            with pytest.raises(FormatError, match="overlaps"):
                disk.readinto_at(buffer, 2 * MIB + 512)
            with pytest.raises(FormatError, match="overlaps"):
                disk.pread(512, 2 * MIB + 512)
            for number in (0, 1, 3):
                assert_same(disk.pread(512, number * MIB), pattern(1, number * MIB, 512))


# -- dirty logs -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("block_count")
@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order[0])
def test_what_a_dirty_log_does_not_change_is_read_from_the_file(
    order: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = dynamic(8 * MIB, blocks={number: Block() for number in range(8)}, order=order)
    path = dirty(image).build().write(tmp_path / "dirty.vhdx")
    with vhdx_kaitai.open(path) as disk:
        assert disk.image.replayed is not None
        for number in range(8):
            disk.pread(1, number * MIB)
        monkeypatch.setattr(Overlay, "_fill", lambda *_: pytest.fail("a detour"))
        for offset in range(0, 8 * MIB, 4096):
            assert_same(disk.pread(4096, offset), pattern(1, offset, 4096), offset)


@pytest.mark.usefixtures("block_count")
@pytest.mark.parametrize("at", [0, 4096, MIB - 4096])
def test_what_a_dirty_log_changes_of_a_block_is_read_from_the_log(at: int, tmp_path: Path) -> None:
    layout = dynamic(8 * MIB, blocks={number: Block() for number in range(8)}).layout()
    image = dirty(layout, extra=[Zero(layout.payload[5] + at, 4096)]).build()
    expected = bytearray(pattern(1, 0, 8 * MIB))
    expected[5 * MIB + at : 5 * MIB + at + 4096] = bytes(4096)
    with vhdx_kaitai.open(image.write(tmp_path / "dirty.vhdx")) as disk:
        for length in (4096, 2 * MIB):
            for offset in range(0, 8 * MIB, length):
                wanted = expected[offset : offset + length]
                assert_same(disk.pread(length, offset), bytes(wanted), offset)


# -- a closed disk --------------------------------------------------------------------------------


@pytest.mark.usefixtures("block_count")
def test_nothing_can_be_had_from_a_closed_disk(files: Files) -> None:
    disk = vhdx_kaitai.open(files.good("dynamic-plain"))
    disk.pread(512, 0)
    begun = disk.extents()
    next(begun)
    disk.close()
    for use in (
        lambda: disk.extents(),
        lambda: next(begun),
        disk.open,
        disk.__enter__,
        lambda: disk.pread(512, 0),
        lambda: disk.pread(512, MIB),
        lambda: disk.readinto_at(bytearray(512), 0),
        lambda: disk.readinto_at(bytearray(3 * MIB), 0),
    ):
        with pytest.raises(ValueError, match="the disk is closed"):
            use()


# -- memory of reading ----------------------------------------------------------------------------


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


# -- threads --------------------------------------------------------------------------------------


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
