"""What makes reading fast, held together with what makes it right.

The look-up of a block for random reads judges an entry on its own; here it is held against the
exact one, over entries of any kind. What is kept between requests is bounded.
"""

from __future__ import annotations

import os
import struct
from array import array
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vhdx_kaitai
from tests.conftest import Files
from tests.images.chain import Chain, child_of
from tests.images.dirty import dirty
from tests.images.goods import GOODS
from tests.images.image import Block, Layout, dynamic, partial
from tests.images.log import Zero
from tests.images.sparse import pattern
from tests.images.structures import FULLY_PRESENT, GIB, MIB, UNDEFINED, ZERO
from tests.reading_fixtures import (
    assert_reads,
    assert_reads_throughout,
    assert_same,
    disk_extents,
    measured_memory,
    model_extents,
    opened,
)
from tests.support import good
from vhdx_kaitai.errors import FormatError, TruncatedError
from vhdx_kaitai.reading import resolve
from vhdx_kaitai.reading.disk import Disk
from vhdx_kaitai.reading.resolve import Layer
from vhdx_kaitai.storage.overlay import Overlay

# Log, metadata and BAT are before, between and after the places for blocks.
ORDERS = (
    ("log", "metadata", "bat", "blocks"),
    ("blocks", "log", "metadata", "bat"),
    ("bat", "blocks", "metadata", "log"),
)


def entries(file_length: int) -> st.SearchStrategy[int]:
    """Draw entries of a BAT: like those of images, and any number of 64 bits."""
    near = st.integers(0, file_length // MIB + 2)
    far = st.sampled_from(((1 << 44) - 1, 1 << 43, 1 << 31))
    reserved = st.sampled_from((0, 0, 0, 0, 1 << 3, 1 << 12, 1 << 19, 0xFFFF8))
    state = st.sampled_from((6, 6, 6, 6, 0, 1, 2, 3, 4, 5, 7))
    like = st.builds(lambda place, bits, low: place << 20 | bits | low, near | far, reserved, state)
    return like | st.integers(0, (1 << 64) - 1)


@pytest.fixture(scope="module", params=ORDERS, ids=lambda order: order[0])
def four_blocks(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, int]:
    """A disk whose last block is not whole, and where its BAT is."""
    image = dynamic(6 * MIB + 512, block_size=2 * MIB, order=request.param)
    image = image.but(blocks={number: Block() for number in range(4)})
    layout = image.layout()
    return layout.build().write(tmp_path_factory.mktemp("four") / "four.vhdx"), layout.bat_offset


@given(st.data())
def test_the_fast_look_up_of_a_block_finds_what_the_exact_one_does(
    four_blocks: tuple[Path, int], data: st.DataObject
) -> None:
    """It may leave a block to the exact one; what it finds is the same, and never too much."""
    path, bat_offset = four_blocks
    entry = data.draw(entries(path.stat().st_size))
    block = data.draw(st.integers(-1, 5))
    if 0 <= block < 4:
        with path.open("r+b") as file:
            file.seek(bat_offset + 8 * block)
            file.write(struct.pack("<Q", entry))
    with vhdx_kaitai.open(path) as disk:
        layer = Layer(disk.image, 0, None)
        found = layer.block_finder()(block)
        if not 0 <= block < 3:
            assert found == 0  # not on the disk, or not the whole of it
            return
        start = block * 2 * MIB
        try:
            exact = resolve.window(layer, start, start + 2 * MIB)
        except FormatError:
            exact = None
        is_stored = exact is not None and exact[1][0][0] is not None
        if found:
            assert is_stored
            assert exact is not None
            assert found - start == exact[1][0][1]
        elif is_stored:  # only what lies before a structure is left to the exact one
            assert entry >> 20 << 20 < max(other.end for other in disk.image.occupied)


def test_a_table_that_is_cut_in_an_entry_is_not_believed(tmp_path: Path) -> None:
    """Half of an entry could look like a whole one."""
    image = dynamic(4 * MIB, order=("blocks", "log", "metadata", "bat"))
    layout = image.but(blocks={number: Block() for number in range(4)}).layout()
    path = layout.build().write(tmp_path / "cut.vhdx")
    with vhdx_kaitai.open(path) as disk:
        layer = Layer(disk.image, 0, None)
        layer._free_from = MIB
        assert layer.block_finder()(3)
        os.truncate(path, layout.bat_offset + 8 * 3 + 4)
        assert not layer.block_finder()(3)


# -- disks with more blocks than are kept -------------------------------------------------------


@pytest.fixture(params=[False, True], ids=["few blocks", "many blocks"])
def block_count(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a disk of a few blocks be read as one of more than are kept."""
    if request.param:
        monkeypatch.setattr("vhdx_kaitai.reading.disk._KEPT_WINDOWS", 0)


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
        assert disk.readinto_at(array("Q", bytes(64)), 8) == 64
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
        numbers = array("I", [7] * 1000)
        assert disk.readinto_at(numbers, MIB + 8) == 4000
        assert set(numbers) == {0}
        bad_ones: tuple[object, ...] = (bytes(8), memoryview(bytearray(8))[::2])
        for bad in bad_ones:
            with pytest.raises((TypeError, ValueError, BufferError)):
                disk.readinto_at(bad, MIB)


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


# -- what is kept -------------------------------------------------------------------------------


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


# -- blocks and structures in one file ----------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order[0])
def test_a_block_is_looked_up_once_wherever_the_structures_are(
    order: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def window(top: Layer, start: int, *others: int) -> resolve.Pieces | None:
        asked.append(start)
        return found(top, start, *others)

    found = resolve.window
    monkeypatch.setattr(resolve, "window", window)
    image = dynamic(8 * MIB, blocks={number: Block() for number in range(8)}, order=order)
    with vhdx_kaitai.open(image.build().write(tmp_path / "image.vhdx")) as disk:
        buffer = bytearray(4096)
        for offset in (*range(0, 8 * MIB, 4096), *range(0, 8 * MIB, MIB)):
            assert disk.readinto_at(buffer, offset) == 4096
            assert_same(buffer, pattern(1, offset, 4096), offset)
    assert len(asked) == len(set(asked))


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


# -- dirty logs ----------------------------------------------------------------------------------


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


# -- extents before damage -----------------------------------------------------------------


def told(disk: Disk, offset: int = 0, length: int | None = None) -> list[tuple[object, ...]]:
    """Return the extents that come before the error, which has to come."""
    rows: list[tuple[object, ...]] = []
    with pytest.raises(FormatError):
        rows.extend(tuple(row) for row in disk.extents(offset, length))
    return rows


@pytest.mark.parametrize("bad", [1, 2, 1000, 1023, 1024, 1025, 3000])
def test_all_extents_before_a_bad_block_are_told(bad: int) -> None:
    """Every second block is undefined, so each is an extent, more than are looked up at once."""
    blocks = {number: Block(UNDEFINED) for number in range(0, 4000, 2)}
    layout = dynamic(4000 * MIB, blocks=blocks).layout()
    expected = model_extents(layout.build().model, 0, bad * MIB)
    layout.set_entry(bad, 4)
    with opened(layout.build()) as disk:
        for offset in (0, (bad - 1) * MIB):
            rows = told(disk, offset)
            assert len(rows) == len(expected) - offset // MIB
            assert [row[:2] for row in rows] == [(row[0], row[1]) for row in expected][-len(rows) :]


@pytest.mark.parametrize("lost", [1, 512, 5000, MIB, 2 * MIB - 1])
@pytest.mark.parametrize("is_partial", [False, True])
def test_extents_of_a_cut_block_go_as_far_as_the_file(
    is_partial: bool, lost: int, tmp_path: Path
) -> None:
    block = partial(range(1, 4096)) if is_partial else Block()
    base = dynamic(4 * MIB, block_size=2 * MIB, blocks={0: Block()}).build()
    image = child_of(base, "base.vhdx", blocks={0: Block(), 1: block}, block_size=2 * MIB)
    made = Chain([base, image.build()], ["base.vhdx", "child.vhdx"]).write(tmp_path)
    with vhdx_kaitai.open(made.path) as disk:
        whole = disk_extents(disk)
        position = disk.chain[0].source.size - lost
        assert whole[-1][4] is not None
    os.truncate(made.path, position)
    with vhdx_kaitai.open(made.path) as disk:
        rows = told(disk)
        own = 4 * MIB - lost
        assert sum(int(str(row[1])) for row in rows) == max(own, 2 * MIB + 512 * is_partial)
        for row in rows:
            disk.pread(int(str(row[1])), int(str(row[0])))


def test_what_a_cut_block_leaves_to_the_parent_is_still_read(tmp_path: Path) -> None:
    """Whatever there is past the end of the file."""
    sectors = (*range(100), 300, *range(1000, 1100), 2000)
    base = dynamic(4 * MIB, tag=7, others=Block()).build()
    image = child_of(base, "base.vhdx", blocks={1: Block(), 2: partial(*sectors)})
    made = Chain([base, image.build()], ["base.vhdx", "child.vhdx"]).write(tmp_path)
    whole = made.model.read(2 * MIB, MIB)
    with vhdx_kaitai.open(made.path) as disk:
        block = next(row.file_offset for row in disk.extents(2 * MIB))
        assert block is not None
    for left in (512 * 1050 + 100, 200, 0):
        os.truncate(made.path, block + left)
        with vhdx_kaitai.open(made.path) as disk:
            for sector in range(2048):
                start, stop = sector * 512, sector * 512 + 512
                if sector in sectors and stop > left:
                    with pytest.raises(FormatError, match="BAT-10"):
                        disk.pread(512, 2 * MIB + start)
                    if start < left:
                        assert disk.pread(left - start, 2 * MIB + start) == whole[start:left]
                else:
                    assert disk.pread(512, 2 * MIB + start) == whole[start:stop]
            assert_same(disk.pread(MIB, 3 * MIB), made.model.read(3 * MIB, MIB))
            rows = told(disk, 2 * MIB)
            first = min(512 * sector for sector in sectors if 512 * sector + 512 > left)
            assert sum(int(str(row[1])) for row in rows) == max(left, first)


# -- a closed disk ------------------------------------------------------------------------------


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
