"""What sector bitmaps say of sectors that are not there, and of blocks without any."""

from __future__ import annotations

import pytest

from tests.checking.judging import (
    assert_both_ways_agree,
)
from tests.checking.reports import counted, report_on, rules_of
from tests.images.image import Block, Layout, differencing, partial
from tests.images.structures import (
    GIB,
    MIB,
)
from vhdx_kaitai.checking import bitmaps


@pytest.mark.parametrize("sectors", [8, 12, 15, 16, 2048, 4095])
@pytest.mark.parametrize("after", [0, 1, 3])
def test_bits_are_past_the_end_of_the_disk_from_its_last_sector_on(
    sectors: int, after: int
) -> None:
    """Bits of all sectors that the disk has are no matter."""
    image = differencing(sectors * 512, blocks={(sectors - 1) // 2048: partial(range(2048))})
    layout = image.layout()
    (bitmap,) = layout.bitmaps.values()
    bitmap.runs = ((0, sectors + after),)
    findings = assert_both_ways_agree(layout).findings
    told = [message for rule, _, _, message in findings if rule == "BLK-10"]
    assert len(told) == bool(after)
    assert all(f" {after}," in message for message in told)


def test_a_sector_bitmap_right_after_the_headers_is_looked_at() -> None:
    image = differencing(MIB, order=("blocks", "log", "metadata", "bat"), blocks={0: partial(0)})
    layout = image.layout()
    assert layout.bat[layout.image.geometry.bitmap_index(0)] == 6 | MIB
    (bitmap,) = layout.bitmaps.values()
    bitmap.runs = ((0, 2049),)
    assert {rule for rule, *_ in assert_both_ways_agree(layout).findings} == {"BLK-10"}


# -- blocks without a sector ----------------------------------------------------------------------


def told_empty(layout: Layout) -> list[str]:
    """Return what is said about partially present blocks without a sector; all of it is notes."""
    found = assert_both_ways_agree(layout).findings
    assert {level for rule, level, *_ in found if rule == "BLK-07"} <= {"note"}
    return sorted(text for rule, _, _, text in found if rule == "BLK-07")


def message_about(block: int) -> str:
    return f"bits for the PARTIALLY_PRESENT block {block} all 0, expected some set"


def test_a_partially_present_block_without_a_sector_is_told() -> None:
    blocks = {0: partial(), 1: partial(2047), 2: partial(0), 3: Block(), 5: partial()}
    layout = differencing(8 * MIB, blocks=blocks).layout()
    assert told_empty(layout) == [message_about(0), message_about(5)]
    assert report_on(layout).verdict == "clean"


def test_a_block_without_a_sector_is_told_in_every_chunk() -> None:
    """Sixteen blocks make a chunk. The sectors of one do not count for another."""
    blocks = {15: partial(), 16: partial(0), 31: partial(1), 33: partial(), 47: partial(7)}
    layout = differencing(48 * 256 * MIB, block_size=256 * MIB, blocks=blocks).layout()
    assert told_empty(layout) == [message_about(15), message_about(33)]


@pytest.mark.parametrize(("sectors", "is_empty"), [((3, 4), False), ((4, 20), True)])
def test_sectors_that_the_disk_has_not_make_a_block_no_less_empty(
    sectors: tuple[int, int], is_empty: bool
) -> None:
    layout = differencing(MIB + 4 * 512, blocks={1: partial(sectors)}).layout()
    assert told_empty(layout) == [message_about(1)] * is_empty


def test_the_place_of_the_bits_is_named() -> None:
    layout = differencing(8 * MIB, blocks={3: partial()}).layout()
    (finding,) = (f for f in report_on(layout).findings if f.rule == "BLK-07")
    assert finding.offset == layout.bitmaps[0].file_offset + 3 * 256
    assert finding.length == 256


def test_blocks_without_a_sector_are_counted() -> None:
    layout = differencing(64 * MIB, blocks={number: partial() for number in range(50)}).layout()
    assert counted(report_on(layout))["BLK-07"] == 50


def test_a_bitmap_that_is_none_says_nothing() -> None:
    layout = differencing(8 * MIB, blocks={3: partial()}).layout()
    index = layout.image.geometry.bitmap_index(0)
    for place in (layout.metadata_offset, GIB):
        layout.bat[index] = 6 | place
        assert told_empty(layout) == []


def test_a_bitmap_that_a_skeleton_lacks_says_nothing() -> None:
    layout = differencing(8 * MIB, blocks={3: partial()}).layout()
    assert "BLK-07" in rules_of(report_on(layout, skeleton=True))
    layout.file_length = layout.bitmaps[0].file_offset
    assert "BLK-07" not in rules_of(report_on(layout, skeleton=True))


def test_bitmaps_that_are_not_searched_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bitmaps, "_MOST_BITMAPS", 1)
    layout = differencing(
        48 * 256 * MIB, block_size=256 * MIB, blocks={n: partial() for n in (0, 16, 32)}
    ).layout()
    report = report_on(layout)
    assert counted(report)["BLK-07"] == 1
    assert "2 sector bitmaps" in [skipped.what for skipped in report.skipped]
