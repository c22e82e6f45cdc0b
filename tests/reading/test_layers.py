"""What one image says of a range: states of blocks, bits of sector bitmaps, damage to either."""

from __future__ import annotations

import os
import random
import struct
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vhdx_kaitai
from tests.conftest import Files
from tests.images.chain import Chain, chain, child_of
from tests.images.damage import DAMAGES
from tests.images.image import (
    Block,
    Image,
    Layout,
    differencing,
    dynamic,
    fixed,
    partial,
)
from tests.images.sparse import Pattern, Sparse, pattern
from tests.images.structures import (
    FULLY_PRESENT,
    GIB,
    MIB,
    NOT_PRESENT,
    UNDEFINED,
    UNMAPPED,
    ZERO,
    bat_entry,
)
from tests.reading_fixtures import (
    ORDERS,
    SOURCES,
    assert_adjacent,
    assert_reads,
    assert_reads_throughout,
    assert_same,
    deep_stack,
    disk_extents,
    model_extents,
    opened,
    opened_chain,
    places,
)
from tests.support import SparseSource, damaged
from vhdx_kaitai.errors import FormatError, ParentNotFoundError, TruncatedError
from vhdx_kaitai.reading import extents
from vhdx_kaitai.reading import image as reader
from vhdx_kaitai.reading.disk import Disk
from vhdx_kaitai.reading.layers import BLOCK_OF_ZEROS, FROM_NOWHERE, UNKNOWN_BLOCK, Layer, Pieces

UNREADABLE = [name for name, case in DAMAGES.items() if case.refusal == "read"]

# -- states ---------------------------------------------------------------------------------------

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


# -- parents --------------------------------------------------------------------------------------


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


# -- damage ---------------------------------------------------------------------------------------


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
        (lost,) = disk.extents(case.read_at, 512)
        assert lost[4:6] == (None, "lost")
        assert lost.finding is not None
        assert lost.finding.rule in case.visible
        assert_adjacent(disk_extents(disk), 0, disk.size)
        assert [row for row in disk.extents() if row.kind == "lost"] == list(disk.lost())


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
        (lost,) = disk.lost()
        assert lost[:6] == (number * MIB, MIB, "reserved", 0, None, "lost")
        assert lost.finding is not None
        assert lost.finding.rule == "BAT-03"
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


# -- without parents ------------------------------------------------------------------------------


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


# -- the quick look at a block --------------------------------------------------------------------


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
        found = layer.block_finder()[0](block)
        if not 0 <= block < 3:
            assert found == UNKNOWN_BLOCK  # not on the disk, or not the whole of it
            return
        start = block * 2 * MIB
        try:
            exact = extents.window(layer, start, start + 2 * MIB)
        except FormatError:
            exact = None
        is_stored = exact is not None and exact[1][0][0] is not None
        if found == BLOCK_OF_ZEROS:
            assert exact is not None
            assert exact[1] == [FROM_NOWHERE]
        elif found:
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
        assert layer.block_finder()[0](3) > 0
        os.truncate(path, layout.bat_offset + 8 * 3 + 4)
        assert layer.block_finder()[0](3) == UNKNOWN_BLOCK


# -- blocks and structures in one file ------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order[0])
def test_a_block_is_looked_up_once_wherever_the_structures_are(
    order: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def window(top: Layer, start: int, *others: int) -> Pieces | None:
        asked.append(start)
        return found(top, start, *others)

    found = extents.window
    monkeypatch.setattr(extents, "window", window)
    image = dynamic(8 * MIB, blocks={number: Block() for number in range(8)}, order=order)
    with vhdx_kaitai.open(image.build().write(tmp_path / "image.vhdx")) as disk:
        buffer = bytearray(4096)
        for offset in (*range(0, 8 * MIB, 4096), *range(0, 8 * MIB, MIB)):
            assert disk.readinto_at(buffer, offset) == 4096
            assert_same(buffer, pattern(1, offset, 4096), offset)
    assert len(asked) == len(set(asked))
