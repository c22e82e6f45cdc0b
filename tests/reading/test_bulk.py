"""Maps that are made in bulk are those that plain Python makes, extent by extent."""

from __future__ import annotations

import random

import pytest

from tests.images.chain import GOOD_CHAINS, Chain, child_of
from tests.images.damage import DAMAGES
from tests.images.goods import GOODS
from tests.images.image import Block, differencing, dynamic, partial
from tests.images.model import Model
from tests.images.structures import (
    FULLY_PRESENT,
    MIB,
    PARTIALLY_PRESENT,
    TIB,
    UNDEFINED,
)
from tests.reading_fixtures import (
    disk_extents,
    good_chain,
    measured_memory,
    model_extents,
    opened,
    opened_chain,
    rows_in_bulk,
)
from tests.support import damaged, good
from vhdx_kaitai.reading import bulk, runs
from vhdx_kaitai.reading.disk import Disk

WINDOWS = [(1, 64), (3, 192), (7, 4096), (1 << 16, 1 << 17)]


def assert_maps_alike(disk: Disk, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Show that numpy finds the extents of the model, wherever its windows end."""
    chance = random.Random(disk.size)
    ranges = [(0, disk.size)]
    ranges += [
        (at, chance.randrange(disk.size - at + 1)) for at in chance.sample(range(disk.size), 3)
    ]
    for blocks, sectors in WINDOWS:
        if disk.size // 64 > max(blocks, sectors) * MIB:
            continue  # that would be a great many windows
        monkeypatch.setattr(runs, "_MOST_BLOCKS", blocks)
        monkeypatch.setattr(runs, "_MOST_SECTORS", sectors)
        for offset, length in ranges:
            expected = model_extents(model, offset, length)
            assert rows_in_bulk(disk, offset, length) == expected
            assert bulk.count_extents(disk, offset, length) == (len(expected), False)


@pytest.mark.parametrize("name", [name for name in GOODS if name != "largest-disk"])
def test_any_disk_is_mapped_alike_in_bulk(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(good(name), resolve_parents=False) as disk:
        assert_maps_alike(disk, good(name).model, monkeypatch)


@pytest.mark.parametrize("name", GOOD_CHAINS)
def test_any_chain_is_mapped_alike_in_bulk(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = good_chain(name)
    with opened_chain(made) as disk:
        assert_maps_alike(disk, made.model, monkeypatch)


@pytest.mark.parametrize("name", [name for name, case in DAMAGES.items() if case.refusal == "read"])
def test_damage_is_lost_alike_in_bulk(name: str) -> None:
    with opened(damaged(name), resolve_parents=False) as disk:
        assert_lost_alike(disk)


def assert_lost_alike(disk: Disk) -> None:
    """Show that numpy finds the same extents as plain Python, lost ones among them."""
    rows = rows_in_bulk(disk, 0, disk.size)
    assert rows == disk_extents(disk)
    assert "lost" in {row[5] for row in rows}
    assert bulk.count_extents(disk, 0, disk.size) == (len(rows), True)
    rules = [what[3] for some in bulk.extents(disk, 0, disk.size) for what in some.what]
    assert rules == [row.finding and row.finding.rule for row in disk.extents()]


def test_what_is_lost_of_a_great_many_blocks_is_told_by_rule() -> None:
    """Blocks that no rule can tell apart are judged by their first; others each for itself."""
    layout = dynamic(4000 * MIB, blocks={0: Block(), 3999: Block()}).layout()
    end = layout.pack().length
    for number in range(1, 3999):
        state, place, reserved = [
            (4, 0, 0),
            (5, end - MIB, 0),
            (FULLY_PRESENT, end + number * MIB, 0),
            (FULLY_PRESENT, end - MIB, 1),
            (FULLY_PRESENT, 0, 0),
            (UNDEFINED, 0, 1),
            (FULLY_PRESENT, layout.bat_offset, 0),
            (PARTIALLY_PRESENT, layout.payload[0], 0),
            (FULLY_PRESENT, (1 << 64) - MIB, 0),
            (FULLY_PRESENT, layout.payload[0], 0),
        ][number * 7 // 5 % 10]
        layout.set_entry(number, state, place, reserved)
    with opened(layout.build()) as disk:
        assert_lost_alike(disk)
        rules = {row.finding and row.finding.rule for row in disk.lost()}
        assert rules == {"BAT-02", "BAT-03", "BAT-05", "BAT-09", "BAT-10", "OVL-05"}


@pytest.mark.parametrize("lost", [512, MIB - 4096])
def test_a_cut_sector_bitmap_is_lost_alike_in_bulk(lost: int) -> None:
    """Even if the bits that are asked for are still there."""
    image = differencing(2 * MIB, blocks={0: partial(range(4))}, bitmap_offsets={0: 20 * MIB})
    layout = image.layout()
    layout.file_length = 21 * MIB - lost
    with opened(layout.build(), resolve_parents=False) as disk:
        assert_lost_alike(disk)


def test_damage_in_a_parent_counts_where_the_parent_is_asked() -> None:
    """A block that the child has on its own is never looked up."""
    layout = dynamic(4 * MIB, blocks={0: Block(), 1: Block()}).layout()
    layout.set_entry(1, 4)
    parent = layout.build()
    for number, is_hidden in ((0, False), (1, True)):
        child = child_of(parent, "parent.vhdx", blocks={number: Block()}).build()
        with opened_chain(Chain([parent, child], ["parent.vhdx", "child.vhdx"])) as disk:
            if is_hidden:
                assert rows_in_bulk(disk, 0, disk.size) == disk_extents(disk)
                assert not list(disk.lost())
            else:
                assert_lost_alike(disk)
                assert [row.depth for row in disk.lost()] == [1]


@pytest.mark.parametrize("gap", [1, 2, 3])
def test_partial_blocks_with_others_between_them_are_mapped_alike_in_bulk(gap: int) -> None:
    """Their bits do not follow each other in the sector bitmap."""
    blocks = {n: partial(n, range(100 + n, 900 + 50 * n), 2000) for n in range(0, 12, gap)}
    parent = dynamic(12 * MIB, others=Block()).build()
    made = Chain([parent, child_of(parent, "p", blocks=blocks).build()], ["p", "child"])
    with opened_chain(made) as disk:
        assert rows_in_bulk(disk, 0, disk.size) == model_extents(made.model)


@pytest.mark.parametrize("offset", [4 * MIB - 512, 4 * MIB, 4 * MIB + 512, 6 * MIB])
def test_a_range_from_the_end_of_a_parent_on_is_mapped_alike_in_bulk(offset: int) -> None:
    base = dynamic(4 * MIB, blocks={3: Block()}).build()
    middle = child_of(base, "base", blocks={}).build()
    image = child_of(middle, "middle", blocks={6: Block()}).but(virtual_disk_size=8 * MIB)
    made = Chain([base, middle, image.build()], ["base", "middle", "child"])
    with opened_chain(made) as disk:
        for length in (512, MIB, 8 * MIB - offset):
            length = min(length, 8 * MIB - offset)
            expected = model_extents(made.model, offset, length)
            assert rows_in_bulk(disk, offset, length) == expected
            assert bulk.count_extents(disk, offset, length) == (len(expected), False)


def test_what_belongs_to_no_parent_is_mapped_alike_in_bulk_beside_a_cut_block() -> None:
    """Of the last block the file has no more than the disk needs, which has to be looked at."""
    image = differencing(5 * MIB, block_size=2 * MIB, blocks={0: Block(), 2: Block()})
    layout = image.layout()
    layout.file_length = layout.payload[2] + MIB
    built = layout.build()
    with opened(built, resolve_parents=False) as disk:
        rows = rows_in_bulk(disk, 0, disk.size)
    assert rows == model_extents(built.model)
    assert [row[5] for row in rows] == ["data", "parent", "data"]


def test_a_disk_of_many_blocks_is_mapped_in_bulk_in_little_memory() -> None:
    """A window holds some of the 8 million blocks, whatever their number."""
    with opened(dynamic(8 * TIB, blocks={}).build()) as disk:
        bulk.count_extents(disk, 0, MIB)
        with measured_memory() as peak:
            assert bulk.count_extents(disk, 0, disk.size) == (1, False)
    assert peak.bytes < 24 * MIB


@pytest.mark.parametrize(("state", "reserved"), [(UNDEFINED, 1), (PARTIALLY_PRESENT, 0)])
def test_bad_entries_are_lost_in_bulk_where_no_entry_is_good(state: int, reserved: int) -> None:
    layout = dynamic(4 * MIB, blocks={n: Block() for n in range(4)}).layout()
    for number in range(4):
        layout.set_entry(number, state, layout.payload[number], reserved)
    with opened(layout.build()) as disk:
        assert_lost_alike(disk)
        assert [row[:2] for row in disk.lost()] == [(0, 4 * MIB)]


def test_the_last_entry_of_a_table_may_be_the_last_thing_in_a_file() -> None:
    layout = dynamic(131041 * MIB, order=("log", "metadata", "bat"), blocks={}).layout()
    assert layout.image.geometry.entry_count * 8 == MIB
    layout.file_length = layout.bat_offset + MIB
    with opened(layout.build()) as disk:
        assert bulk.count_extents(disk, 0, disk.size) == (1, False)
