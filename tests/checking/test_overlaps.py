"""What overlaps what, by any way of finding it."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given

from tests.checking.judging import (
    Judgement,
    Table,
    assert_both_ways_agree,
    by_sorting,
    image_of,
    in_bulk,
    judged,
    tables,
)
from tests.checking.reports import report_on, rules_of
from tests.images.bases import UNKNOWN_REGION
from tests.images.image import Block, Layout, Region, differencing
from tests.images.structures import (
    FULLY_PRESENT,
    MIB,
    NOT_PRESENT,
    PARTIALLY_PRESENT,
    UNDEFINED,
    UNMAPPED,
    VIRTUAL_DISK_SIZE,
    ZERO,
)
from tests.support import SparseSource
from vhdx_kaitai.checking import survey
from vhdx_kaitai.checking.chain import check


@given(tables())
def test_a_block_that_overlaps_anything_is_named(table: Table) -> None:
    """Whatever else overlaps it, too, and only then."""
    expected = overlapping(table.layout)
    assert named_in_overlaps(judged(table.layout)) == expected
    with in_bulk():
        assert named_in_overlaps(judged(table.layout)) == expected
    with in_bulk(), by_sorting(3):
        assert named_in_overlaps(judged(table.layout)) == expected


def named_in_overlaps(judgement: Judgement) -> set[str]:
    """Return names of the blocks and sector bitmaps that are said to overlap something."""
    found = [(where, text) for _, _, where, text in judgement.findings if " overlaps " in text]
    return {name for pair in found for text in pair for name in _NAME.findall(text)}


_NAME = re.compile(r"\b(?:block|sector bitmap) [0-9]+\b")


def overlapping(layout: Layout) -> set[str]:
    """Return names of the blocks and sector bitmaps that share a MiB with anything else.

    Compares everything with everything, by the builder's description alone.
    """
    image, geometry = layout.image, layout.image.geometry
    size = layout.file_length or 0
    step = image.block_size
    taken = [(0, MIB, ""), (layout.log_offset, layout.log_offset + image.log_length, "")]
    taken += [
        (r.file_offset, r.file_offset + r.length, "") for r in layout.region_tables[0].entries
    ]
    for block in range(geometry.payload_blocks):
        entry = layout.entry(block)
        start = entry >> 20 << 20
        has_place = entry & 7 in (UNDEFINED, UNMAPPED, FULLY_PRESENT, PARTIALLY_PRESENT)
        if has_place and 0 < start < size:
            taken.append((start, start + step, f"block {block}"))
    for chunk in range(geometry.sector_bitmap_blocks):
        index = geometry.bitmap_index(chunk)
        entry = layout.bat.get(index, 0) if index < geometry.entry_count else 0
        start = entry >> 20 << 20
        if entry & 7 == 6 and 0 < start <= size - MIB:
            taken.append((start, start + MIB, f"sector bitmap {chunk}"))
    found = set()
    for number, (start, end, name) in enumerate(taken):
        for other_start, other_end, other in taken[number + 1 :]:
            if start < other_end and other_start < end:
                found |= {name, other} - {""}
    return found


def overlaps(layout: Layout) -> set[tuple[str, str, str]]:
    """Return the overlaps, found in both ways: rule, who overlaps, and what."""
    findings = assert_both_ways_agree(layout).findings
    found = set()
    for rule, level, where, message in findings:
        if " overlaps " in message:
            assert level == ("warning" if rule == "OVL-09" else "error")
            other = message.partition(" overlaps ")[2].partition(" at ")[0]
            found.add((rule, where.removeprefix("BAT entry of ").partition(" at ")[0], other))
    return found


def roomy(**fields: Any) -> Layout:
    return image_of(16, 4 * MIB, 100, regions=[Region(UNKNOWN_REGION)], **fields)


def test_blocks_that_touch_do_not_overlap() -> None:
    layout = roomy()
    for block in range(10):
        layout.set_entry(block, FULLY_PRESENT, (10 + 4 * (9 - block)) * MIB)
    assert overlaps(layout) == set()


def test_two_blocks_in_one_place() -> None:
    layout = roomy()
    layout.set_entry(7, FULLY_PRESENT, 20 * MIB)
    layout.set_entry(3, FULLY_PRESENT, 20 * MIB)
    assert overlaps(layout) == {("BAT-08", "block 7", "block 3")}


@pytest.mark.parametrize("distance", [1, 2, 3])
def test_blocks_that_overlap_partly(distance: int) -> None:
    layout = roomy()
    layout.set_entry(3, FULLY_PRESENT, 20 * MIB)
    layout.set_entry(7, FULLY_PRESENT, (20 + distance) * MIB)
    assert overlaps(layout) == {("OVL-06", "block 7", "block 3")}


@pytest.mark.parametrize("distance", [-3, 0, 3])
def test_the_cut_last_block_overlaps_with_what_the_file_has_of_it(distance: int) -> None:
    """Its rest, which the disk does not need, is not in the file."""
    layout = image_of(2, 4 * MIB, 0, gap=4 * MIB)
    layout.image = layout.image.but(virtual_disk_size=5 * MIB)
    layout.metadata.find(VIRTUAL_DISK_SIZE).data = (5 * MIB).to_bytes(8, "little")
    layout.set_entry(0, FULLY_PRESENT, 20 * MIB)
    layout.set_entry(1, FULLY_PRESENT, (20 + distance) * MIB)
    layout.file_length = 24 * MIB
    first, second = ("block 1", "block 0") if distance < 0 else ("block 0", "block 1")
    rule = "OVL-06" if distance else "BAT-08"
    assert overlaps(layout) == {(rule, second, first)}
    assert check(SparseSource(layout.build().file)).verdict == "corrupt"


@pytest.mark.parametrize("state", [UNDEFINED, UNMAPPED, FULLY_PRESENT])
def test_a_block_that_reaches_past_the_end_overlaps_with_what_the_file_has_of_it(
    state: int,
) -> None:
    layout = image_of(4, 4 * MIB, 24)
    layout.set_entry(0, FULLY_PRESENT, 20 * MIB)
    layout.set_entry(1, state, 22 * MIB)
    rule, verdict = ("OVL-06", "corrupt") if state == FULLY_PRESENT else ("OVL-09", "warnings")
    assert overlaps(layout) == {(rule, "block 1", "block 0")}
    assert check(SparseSource(layout.build().file)).verdict == verdict


def test_a_block_wholly_past_the_end_overlaps_nothing() -> None:
    """Nor does it when others are compared with more care, because two share a place."""
    layout = image_of(4, 4 * MIB, 30)
    for block, place in enumerate((10, 10, 27, 30)):
        layout.set_entry(block, FULLY_PRESENT, place * MIB)
    assert overlaps(layout) == {("BAT-08", "block 1", "block 0")}


@pytest.mark.parametrize("distance", [-3, -1, 0])
def test_a_block_over_a_region(distance: int) -> None:
    layout = roomy(bat_offset=40 * MIB)
    layout.set_entry(3, FULLY_PRESENT, (40 + distance) * MIB)
    assert overlaps(layout) == {("OVL-05", "block 3", "the BAT region")}


@pytest.mark.parametrize("distance", [-4, 1])
def test_a_block_beside_a_region(distance: int) -> None:
    layout = roomy(bat_offset=40 * MIB)
    layout.set_entry(3, FULLY_PRESENT, (40 + distance) * MIB)
    assert overlaps(layout) == set()


def test_a_block_over_an_unknown_region() -> None:
    layout = roomy()
    start = layout.region_tables[0].find(UNKNOWN_REGION).file_offset
    layout.set_entry(3, FULLY_PRESENT, start)
    ((rule, block, other),) = overlaps(layout)
    assert (rule, block) == ("OVL-08", "block 3")
    assert str(UNKNOWN_REGION) in other


def test_a_block_over_the_log() -> None:
    layout = roomy(log_offset=40 * MIB, log_length=8 * MIB)
    layout.set_entry(3, FULLY_PRESENT, 42 * MIB)
    assert overlaps(layout) == {("OVL-05", "block 3", "the log")}


@pytest.mark.parametrize("state", [UNDEFINED, UNMAPPED])
def test_a_former_block_over_another_one_and_over_the_log(state: int) -> None:
    layout = roomy(log_offset=40 * MIB, log_length=8 * MIB)
    layout.set_entry(3, FULLY_PRESENT, 20 * MIB)
    layout.set_entry(7, state, 22 * MIB)
    layout.set_entry(8, state, 42 * MIB)
    assert overlaps(layout) == {("OVL-09", "block 7", "block 3"), ("OVL-09", "block 8", "the log")}


@pytest.mark.parametrize("state", [NOT_PRESENT, ZERO])
def test_a_place_that_means_nothing_overlaps_nothing(state: int) -> None:
    layout = roomy()
    layout.set_entry(3, FULLY_PRESENT, 20 * MIB)
    layout.set_entry(7, state, 20 * MIB)
    assert overlaps(layout) == set()


def test_a_sector_bitmap_over_a_block_a_region_and_another_bitmap() -> None:
    layout = image_of(40, 256 * MIB, 2000, has_parent=True)
    geometry = layout.image.geometry
    layout.set_entry(0, FULLY_PRESENT, 500 * MIB)
    for chunk, place in enumerate((600, 600, layout.bat_offset // MIB)):
        layout.bat[geometry.bitmap_index(chunk)] = 6 | place * MIB
    rules = Counter(rule for rule, *_ in overlaps(layout))
    assert rules["OVL-05"] == 1
    assert rules["OVL-06"] + rules["BAT-08"] >= 2


def test_sector_bitmaps_without_a_place_overlap_nothing() -> None:
    """That they have none is said already."""
    layout = image_of(40, 256 * MIB, 20, has_parent=True)
    for chunk in (0, 1):
        layout.bat[layout.image.geometry.bitmap_index(chunk)] = 6
    assert overlaps(layout) == set()


def test_a_former_block_does_not_hide_that_two_blocks_share_a_place() -> None:
    layout = roomy()
    layout.set_entry(1, UNMAPPED, 20 * MIB)
    layout.set_entry(2, FULLY_PRESENT, 20 * MIB)
    layout.set_entry(3, FULLY_PRESENT, 20 * MIB)
    assert {rule for rule, *_ in overlaps(layout)} == {"BAT-08", "OVL-09"}


@pytest.mark.parametrize("worthwhile", [0, survey.WORTHWHILE_ENTRIES])
def test_only_sector_bitmaps_that_are_present_take_up_their_place(
    worthwhile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "WORTHWHILE_ENTRIES", worthwhile)
    layout = differencing(8 * MIB, blocks={0: Block()}).layout()
    index = layout.image.geometry.bitmap_index(0)
    layout.bat[index] = layout.payload[0]
    assert rules_of(report_on(layout)) == {"BAT-11"}
    layout.bat[index] = FULLY_PRESENT | layout.log_offset
    assert rules_of(report_on(layout), "error") == {"OVL-05"}
    assert layout.log_offset == MIB  # the first place there is
