"""The block allocation table: chunk arithmetic, paging, counts; damages in `reading.test_image`."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.images import model
from tests.images import strategies as drawn
from tests.images.image import Block, Built, Image, differencing, dynamic, fixed, partial
from tests.images.structures import (
    FULLY_PRESENT,
    GIB,
    MIB,
    PARTIALLY_PRESENT,
    STATE_NAMES,
    TIB,
    UNDEFINED,
    UNMAPPED,
    ZERO,
)
from tests.support import SparseSource, fewer, good, opened
from vhdx_kaitai.errors import Finding, FormatError, Span
from vhdx_kaitai.format import bat, grammar
from vhdx_kaitai.format.place import Place
from vhdx_kaitai.reading.image import Image as Opened

# Blocks per chunk by sector size and block size, worked out by hand [MS-VHDX 2.4].
CHUNK_RATIOS = {
    512: (4096, 2048, 1024, 512, 256, 128, 64, 32, 16),
    4096: (32768, 16384, 8192, 4096, 2048, 1024, 512, 256, 128),
}


# -- arithmetic -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sector", "block", "ratio"),
    [
        (sector, MIB << shift, ratio)
        for sector, ratios in CHUNK_RATIOS.items()
        for shift, ratio in enumerate(ratios)
    ],
)
def test_the_chunk_ratio_is_that_of_the_table(sector: int, block: int, ratio: int) -> None:
    assert bat.Geometry(GIB, block, sector, False).chunk_ratio == ratio


@pytest.mark.parametrize(
    ("size", "block", "is_differencing", "blocks", "bitmaps", "entries"),
    [
        (64 * TIB, MIB, True, 67_108_864, 16_384, 67_125_248),
        (64 * TIB, MIB, False, 67_108_864, 16_384, 67_125_247),
        (6 * GIB, 256 * MIB, False, 24, 2, 25),
        (6 * GIB, 256 * MIB, True, 24, 2, 34),
        (4 * GIB, 256 * MIB, False, 16, 1, 16),
        (4 * GIB, 256 * MIB, True, 16, 1, 17),
        (4 * GIB + 512, 256 * MIB, False, 17, 2, 18),
        (512, MIB, False, 1, 1, 1),
        (512, MIB, True, 1, 1, 4097),
    ],
)
def test_the_numbers_of_blocks_and_entries_are_those_of_the_formulas(
    size: int, block: int, is_differencing: bool, blocks: int, bitmaps: int, entries: int
) -> None:
    geometry = bat.Geometry(size, block, 512, is_differencing)
    assert geometry.payload_blocks == blocks
    assert geometry.sector_bitmap_blocks == bitmaps
    assert geometry.entry_count == entries


@st.composite
def geometries(draw: st.DrawFn) -> tuple[bat.Geometry, model.Geometry]:
    """Draw the same sizes for the package and for the builder."""
    sector = draw(st.sampled_from((512, 4096)))
    block = MIB << draw(st.integers(0, 8))
    size = sector * draw(st.integers(1, 64 * TIB // sector))
    has_parent = draw(st.booleans())
    return (
        bat.Geometry(size, block, sector, has_parent),
        model.Geometry(size, block, sector, has_parent),
    )


@given(geometries(), st.data())
def test_indices_interleave_payload_and_sector_bitmaps(
    both: tuple[bat.Geometry, model.Geometry], data: st.DataObject
) -> None:
    ours, theirs = both
    assert ours.chunk_ratio == theirs.chunk_ratio
    assert ours.payload_blocks == theirs.payload_blocks
    assert ours.sector_bitmap_blocks == theirs.sector_bitmap_blocks
    assert ours.entry_count == theirs.entry_count
    block = data.draw(st.integers(0, ours.payload_blocks - 1))
    chunk = data.draw(st.integers(0, ours.sector_bitmap_blocks - 1))
    ratio = ours.chunk_ratio
    assert ours.payload_index(block) == theirs.index(block)
    assert ours.sector_bitmap_index(chunk) == theirs.bitmap_index(chunk)
    assert ours.payload_index(block) % (ratio + 1) != ratio
    assert ours.sector_bitmap_index(chunk) % (ratio + 1) == ratio
    assert ours.payload_index(ours.payload_blocks - 1) < ours.entry_count
    last = ours.sector_bitmap_index(ours.sector_bitmap_blocks - 1)
    if ours.is_differencing:
        assert last == ours.entry_count - 1
    else:
        assert ours.payload_index(ours.payload_blocks - 1) == ours.entry_count - 1


# -- decoding -------------------------------------------------------------------------------------


@given(st.integers(0, 2**64 - 1))
def test_the_masks_take_an_entry_apart_as_the_grammar_does(value: int) -> None:
    entry = grammar.bat_entry(value.to_bytes(bat.ENTRY_LENGTH, "little"))
    assert value & bat.STATE_MASK == entry.state
    assert (value & bat.RESERVED_MASK) >> 3 == entry.reserved
    assert value & bat.OFFSET_MASK == entry.file_offset_mb * MIB
    parts = (value & bat.STATE_MASK, value & bat.RESERVED_MASK, value & bat.OFFSET_MASK)
    assert sum(parts) == value


def test_an_entry_is_as_long_as_in_the_grammar() -> None:
    for type_name in ("payload_bat_entry", "sector_bitmap_bat_entry"):
        assert Place("x", type_name, 0).length == bat.ENTRY_LENGTH


def test_the_states_have_the_numbers_and_names_of_the_specification() -> None:
    assert bat.STATE_NAMES == STATE_NAMES
    assert (bat.NOT_PRESENT, bat.UNDEFINED, bat.ZERO, bat.UNMAPPED) == (0, 1, 2, 3)
    assert (bat.FULLY_PRESENT, bat.PARTIALLY_PRESENT, bat.PRESENT) == (6, 7, 6)


@fewer(2)
@given(drawn.images())
def test_entries_are_those_that_the_builder_put_there(built: Built) -> None:
    with opened(built) as image:
        for index, entry in built.layout.bat.items():
            assert image.bat.entry(index) == entry
        for block in range(image.geometry.payload_blocks):
            entry = image.bat.entry(image.geometry.payload_index(block))
            assert entry & bat.STATE_MASK == built.image.block(block).state


@pytest.mark.parametrize("name", ["differencing-past-one-chunk", "fixed-past-one-chunk"])
def test_entries_after_the_first_chunk_are_found(name: str) -> None:
    """libvhdi forgets that fixed disks have places for sector bitmaps, too."""
    built = good(name)
    with opened(built) as image:
        assert image.geometry.sector_bitmap_blocks > 1
        for block, offset in built.layout.payload.items():
            entry = image.bat.entry(image.geometry.payload_index(block))
            assert entry & bat.OFFSET_MASK == offset


# -- the size of the region -----------------------------------------------------------------------


@pytest.mark.parametrize("has_parent", [False, True])
def test_a_region_needs_room_for_every_entry(has_parent: bool) -> None:
    """31 chunks of 4096 blocks: dynamic 126976 + 30 entries, differencing 31 * 4097."""
    size = 31 * 4096 * MIB
    make = differencing if has_parent else dynamic
    built = make(size).build()
    assert built.model.geometry.entry_count == (31 * 4097 if has_parent else 127_006)
    assert built.layout.bat_length == MIB
    opened(built).close()
    layout = make(size + 5 * 1024 * MIB, bat_length=MIB).layout()
    with pytest.raises(FormatError) as caught:
        opened(layout)
    assert caught.value.finding.rule == "BAT-01"
    assert str(layout.image.geometry.entry_count) in str(caught.value)


def test_a_region_may_be_filled_to_the_last_byte() -> None:
    """131041 blocks with 31 sector bitmap entries among them are a MiB."""
    built = dynamic(131041 * MIB).build()
    assert built.model.geometry.entry_count * 8 == built.layout.bat_length == MIB
    opened(built).close()
    with pytest.raises(FormatError, match="BAT-01"):
        opened(dynamic(131042 * MIB, bat_length=MIB).layout())


def test_a_region_may_be_larger() -> None:
    with opened(good("bat-larger-than-needed")) as image:
        assert image.regions.bat.length > MIB


# -- paging ---------------------------------------------------------------------------------------


def test_opening_the_largest_disk_reads_none_of_its_bat() -> None:
    """513 MiB of it."""
    source = SparseSource(good("largest-disk").file)
    with Opened(source) as image:
        assert image.geometry.entry_count == 67_125_247
        assert image.regions.bat.length == 513 * MIB
    assert source.bytes_read < 300_000


def test_opening_the_largest_disk_costs_no_more_than_a_small_one(tmp_path: Path) -> None:
    largest = good("largest-disk").write(tmp_path / "largest.vhdx")
    small = good("dynamic-plain").write(tmp_path / "small.vhdx")
    Opened(small).close()  # what is made once for all
    peaks = []
    for path in (small, largest):
        tracemalloc.start()
        with Opened(path) as image:
            image.bat.entry(image.geometry.entry_count - 1)
            peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + MIB // 4
    assert peaks[1] < MIB


def test_looking_up_entries_everywhere_takes_bounded_memory() -> None:
    built = good("largest-disk")
    source = SparseSource(built.file)
    random = Random(1)
    with Opened(source) as image:
        opening = source.bytes_read
        tracemalloc.start()
        for _ in range(3000):
            image.bat.entry(random.randrange(image.geometry.entry_count))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 4 * MIB
    assert source.bytes_read - opening <= 3000 * 64 * 1024


def test_one_look_up_reads_one_entry() -> None:
    """Who jumps about in a large BAT does not pay for pages of it."""
    source = SparseSource(good("dynamic-plain").file)
    with Opened(source) as image:
        before = source.bytes_read
        image.bat.entry(0)
        assert source.bytes_read == before + 8


def test_entries_around_one_that_was_looked_at_twice_are_not_read_again() -> None:
    source = SparseSource(good("dynamic-plain").file)
    with Opened(source) as image:
        image.bat.entry(0)
        image.bat.entry(0)
        before = source.bytes_read
        for index in range(image.geometry.entry_count):
            image.bat.entry(index)
        assert source.bytes_read == before


def test_no_entry_after_the_last_is_ever_read() -> None:
    """The rest of the region has no meaning, and may not even be in a file that was cut."""
    built = dynamic(8 * MIB, blocks={7: Block()}, order=("log", "metadata", "blocks", "bat"))
    layout = built.layout()
    layout.patch(layout.bat_offset + 8 * 8, b"\xff" * 4096)
    source = SparseSource(layout.build().file)
    with Opened(source) as image:
        before = source.bytes_read
        for _ in range(3):  # the second time with all around it
            assert image.bat.entry(7) & bat.STATE_MASK == FULLY_PRESENT
        assert source.bytes_read == before + 8 + 8 * 8


def test_many_threads_may_look_up_entries() -> None:
    built = good("differencing-past-one-chunk")
    expected = dict(built.layout.bat)
    with opened(built) as image, ThreadPoolExecutor(8) as pool:
        indices = [*expected, *range(0, image.geometry.entry_count, 97)] * 4
        Random(2).shuffle(indices)
        for index, entry in zip(indices, pool.map(image.bat.entry, indices), strict=True):
            assert entry == expected.get(index, 0)


# -- counting -------------------------------------------------------------------------------------


def counted(built: Built) -> dict[str, int]:
    with opened(built) as image:
        counts = image.bat.count_states()
    assert set(counts) == set(range(8))
    assert sum(counts.values()) == built.model.geometry.payload_blocks
    return {name: counts[state] for state, name in STATE_NAMES.items()}


STATES = (0, UNDEFINED, ZERO, UNMAPPED, FULLY_PRESENT, PARTIALLY_PRESENT)


def chunks(make: str, blocks: int) -> Image:
    """Return an image of a number of blocks of 256 MiB, 16 to a chunk, in all states in turn."""
    has_parent = make == "differencing"
    states = STATES if has_parent else STATES[:-1]
    described = {}
    for number in range(blocks):
        state = states[number % len(states)]
        if state == PARTIALLY_PRESENT:
            described[number] = partial(5, file_offset=(100 + number) * GIB)
        else:
            stored = state == FULLY_PRESENT
            offset = (100 + number) * GIB if stored else None
            described[number] = Block(state, file_offset=offset)
    makers = {"fixed": fixed, "dynamic": dynamic, "differencing": differencing}
    return makers[make](blocks * 256 * MIB, block_size=256 * MIB, blocks=described)


@pytest.mark.parametrize("make", ["fixed", "dynamic", "differencing"])
@pytest.mark.parametrize("blocks", [1, 15, 16, 17, 31, 32, 33, 50])
def test_states_are_counted_over_chunks_without_the_sector_bitmaps(make: str, blocks: int) -> None:
    built = chunks(make, blocks).build()
    assert counted(built) == built.model.state_counts()


def test_entries_for_blocks_past_the_end_of_a_differencing_disk_do_not_count() -> None:
    """Its last chunk has a place for every block of a full chunk."""
    layout = chunks("differencing", 17).layout()
    for slot in range(1, 16):
        layout.bat[17 + slot] = FULLY_PRESENT | GIB
    assert layout.build().model.geometry.entry_count == 34
    assert counted(layout.build()) == layout.build().model.state_counts()


def test_reserved_states_are_counted_as_themselves() -> None:
    layout = dynamic(8 * MIB).layout()
    layout.set_entry(1, 4)
    layout.set_entry(2, 5)
    layout.set_entry(3, 5)
    with opened(layout) as image:
        counts = image.bat.count_states()
    assert (counts[0], counts[4], counts[5]) == (5, 1, 2)


@pytest.mark.parametrize("has_parent", [False, True])
def test_pieces_of_a_bat_of_several_mib_are_counted_alike(has_parent: bool) -> None:
    """131072 entries to a MiB, which is no multiple of a chunk."""
    blocks = {number: Block(ZERO) for number in range(0, 300_000, 7)}
    make = differencing if has_parent else dynamic
    built = make(300_000 * MIB, blocks=blocks).build()
    assert built.layout.bat_length == 3 * MIB
    assert counted(built) == built.model.state_counts()


@fewer(2)
@given(drawn.wide_images())
def test_any_drawn_image_has_the_states_of_its_model(built: Built) -> None:
    assert counted(built) == built.model.state_counts()


def test_counting_takes_memory_for_a_piece_and_not_for_the_whole() -> None:
    built = dynamic(2_000_000 * MIB, blocks={1_999_999: Block(ZERO)}).build()
    assert built.layout.bat_length == 16 * MIB
    with opened(built) as image:
        tracemalloc.start()
        counts = image.bat.count_states()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert counts[ZERO] == 1
    assert peak < 8 * MIB


# -- what stands where no block is ----------------------------------------------------------------


def told(findings: Iterable[Finding]) -> list[tuple[str, str, str]]:
    return [(finding.rule, finding.level, finding.message) for finding in findings]


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 2**21), max_size=40))
def test_entries_of_stored_blocks_are_counted_as_the_grammar_reads_them(values: list[int]) -> None:
    data = b"".join(value.to_bytes(8, "little") for value in values)
    entries = [grammar.bat_entry(data[at : at + 8]) for at in range(0, len(data), 8)]
    expected = sum(entry.state in (6, 7) and entry.reserved == 0 for entry in entries)
    assert bat.count_stored(data) == expected


@pytest.mark.parametrize(
    ("entries", "more"),
    [
        ((), None),
        ((1,), ""),
        ((0xFFFF_FFFF_FFFF_FFFF, 2), ""),
        ((6 | 7 * MIB,), ", 1 entry of stored blocks among them"),
        ((0, 6 | 7 * MIB, 0, 7 | GIB, 5), ", 2 entries of stored blocks among them"),
    ],
)
@pytest.mark.parametrize("distance", [0, 140_000, 262_136])
def test_what_stands_after_the_last_entry_is_told(
    entries: tuple[int, ...], more: str | None, distance: int
) -> None:
    """Wherever it is: the region has a room of 2 MiB, of which 64 bytes are wanted."""
    layout = dynamic(8 * MIB, bat_length=2 * MIB).layout()
    first = 8 + min(distance, 2 * MIB // 8 - 8 - len(entries))
    layout.bat |= dict(enumerate(entries, first))
    with opened(layout) as image:
        found = told(bat.check_unused(image.bat))
    message = f"bytes after the last entry are not all zero{more}"
    assert found == ([] if more is None else [("BAT-15", "note", message)])


def test_entries_past_the_end_of_a_differencing_disk_are_told() -> None:
    """Of a chunk of 16 blocks it has one; the entry of the sector bitmap comes after all."""
    layout = chunks("differencing", 17).layout()
    with opened(layout) as image:
        assert list(bat.check_surplus(image.bat)) == []
    layout.bat |= {18: FULLY_PRESENT | GIB, 20: ZERO, 32: PARTIALLY_PRESENT | 2 * GIB}
    with opened(layout) as image:
        (finding,) = bat.check_surplus(image.bat)
    assert (finding.rule, finding.level) == ("BAT-15", "note")
    assert finding.message == (
        "entries of blocks past the end of the disk that are not 0: 3 (2 of stored blocks), "
        "expected none"
    )
    assert finding.offset == layout.bat_offset + 18 * 8
    assert finding.where.startswith("BAT entry of block 17 at ")


@pytest.mark.parametrize("blocks", [16, 32])
def test_a_disk_of_whole_chunks_has_no_entries_to_spare(blocks: int) -> None:
    layout = chunks("differencing", blocks).layout()
    with opened(layout) as image:
        assert list(image.bat.surplus()[1]) == []
        assert list(bat.check_surplus(image.bat)) == []


def test_other_disks_have_no_entries_to_spare() -> None:
    """What stands there is after the last."""
    layout = chunks("dynamic", 17).layout()
    layout.bat[20] = 1
    with opened(layout) as image:
        assert list(bat.check_surplus(image.bat)) == []
        assert told(bat.check_unused(image.bat)) == [
            ("BAT-15", "note", "bytes after the last entry are not all zero")
        ]


@pytest.mark.parametrize(
    ("size", "is_told"), [(12 * MIB - 513, False), (12 * MIB - 512, True), (13 * MIB, False)]
)
def test_a_file_may_end_inside_the_last_block_past_what_the_disk_needs(
    size: int, is_told: bool
) -> None:
    entry, place = FULLY_PRESENT | 11 * MIB, Span("entry")
    needed = MIB - 512
    found = bat.check_end_of_disk(entry, place, needed, size, block_size=2 * MIB)
    assert [finding.rule for finding in found] == ["BLK-11"] * is_told
