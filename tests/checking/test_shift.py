"""Pages of the BAT that QEMU moved by one entry."""

from __future__ import annotations

import re

import pytest

from tests.checking.judging import in_bulk
from tests.checking.reports import assert_no_complaint, report_on, rules_of
from tests.images.image import Block, Layout, dynamic
from tests.images.structures import (
    FULLY_PRESENT,
    GIB,
    KIB,
    MIB,
    UNMAPPED,
    ZERO,
    bat_entry,
)
from vhdx_kaitai.checking.findings import Report


def shift_page(layout: Layout, page: int) -> None:
    """Do to a page of the BAT what QEMU before 8.0 does when it updates its first entry.

    The page is put together from the new first entry and the old bytes from the start of the page
    on, instead of those after the entry: the others move by one place, the last is lost.
    """
    first = page * 512
    for index in range(first + 511, first, -1):
        layout.bat[index] = layout.bat.get(index - 1, 0)


def stored_everywhere(size: int, block_size: int) -> Layout:
    """Return an image whose blocks are all stored, none of them with any contents to speak of."""
    layout = dynamic(size, block_size=block_size).layout()
    total = layout.image.geometry.payload_blocks
    start = layout.file_length = layout.pack().length
    layout.file_length += total * block_size
    for block in range(total):
        layout.set_entry(block, FULLY_PRESENT, start + block * block_size)
    return layout


def pages_called_shifted(report: Report) -> list[int]:
    sentences = [s for s in report.diagnosis if "looks shifted" in s]
    assert all("QEMU" in s and "8.0" in s and "727" in s for s in sentences)
    return [int(match[0], 16) for s in sentences if (match := re.search("0x[0-9a-f]+", s))]


def test_a_shifted_page_of_the_bat_is_recognised() -> None:
    """128 blocks of 32 MiB make a chunk; four sector bitmaps have their entries in each page."""
    layout = stored_everywhere(40 * GIB, 32 * MIB)
    assert_no_complaint(report_on(layout))
    shift_page(layout, 1)
    report = report_on(layout)
    assert report.verdict == "corrupt"
    assert pages_called_shifted(report) == [layout.bat_offset + 4 * KIB]


def shifted_small(creator: str = "QEMU v7.0.0") -> Layout:
    """A disk of 600 blocks, the last two stored, whose second page of the BAT was moved."""
    image = dynamic(600 * MIB, creator=creator, blocks={598: Block(), 599: Block()})
    layout = image.layout()
    layout.file_length = layout.pack().length
    shift_page(layout, 1)
    layout.bat[512] = 0
    return layout


def test_a_page_that_was_shifted_out_of_the_bat_is_recognised() -> None:
    """There is no entry of a sector bitmap in so small a BAT, but one past its end."""
    layout = shifted_small()
    report = report_on(layout)
    assert report.verdict == "warnings"
    assert ("BAT-15", "warning") in {(f.rule, f.level) for f in report.findings}
    assert pages_called_shifted(report) == [layout.bat_offset + 4 * KIB]


def what_stands_after_the_bat_otherwise() -> dict[str, Layout]:
    other_maker, not_stored, used_twice, more, beyond = (
        shifted_small(creator) for creator in ("Microsoft Windows 10.0", *["QEMU v7.0.0"] * 4)
    )
    not_stored.bat[600] = ZERO
    used_twice.bat[600] = used_twice.bat[599]
    more.bat[602] = 1
    beyond.bat[600] = bat_entry(FULLY_PRESENT, GIB)
    return {
        "another maker": other_maker,
        "not stored": not_stored,
        "used twice": used_twice,
        "more after it": more,
        "past the end": beyond,
    }


@pytest.mark.parametrize("name", what_stands_after_the_bat_otherwise())
def test_not_all_that_stands_after_the_bat_was_shifted_there(name: str) -> None:
    report = report_on(what_stands_after_the_bat_otherwise()[name])
    assert report.verdict == "clean"
    assert rules_of(report) == {"BAT-15", "BLK-13"}  # nothing refers to the last block any more
    assert pages_called_shifted(report) == []


@pytest.mark.parametrize("entry", [1, 1 << 20, bat_entry(UNMAPPED, 8 * MIB)])
def test_an_entry_that_is_no_blocks_says_nothing_about_its_page(entry: int) -> None:
    """Where that of a sector bitmap should be 0, with 0 after it as in any disk with room left."""
    layout = dynamic(40 * GIB, block_size=32 * MIB).layout()
    layout.bat[layout.image.geometry.bitmap_index(2)] = entry
    assert pages_called_shifted(report_on(layout)) == []


def test_every_shifted_page_is_named_once() -> None:
    layout = stored_everywhere(60 * GIB, 32 * MIB)
    for page in (0, 2):
        shift_page(layout, page)
    pages = pages_called_shifted(report_on(layout))
    assert pages == [layout.bat_offset, layout.bat_offset + 8 * KIB]


def test_a_shifted_page_is_recognised_in_a_large_bat_too() -> None:
    layout = stored_everywhere(40 * GIB, 32 * MIB)
    shift_page(layout, 1)
    with in_bulk():
        assert pages_called_shifted(report_on(layout)) == [layout.bat_offset + 4 * KIB]


def test_a_sector_bitmap_of_a_dynamic_disk_is_not_taken_for_a_shifted_page() -> None:
    layout = stored_everywhere(40 * GIB, 32 * MIB)
    index = layout.image.geometry.bitmap_index(2)
    layout.bat[index] = bat_entry(FULLY_PRESENT, layout.file_length or 0)
    layout.file_length = (layout.file_length or 0) + MIB
    report = report_on(layout)
    assert rules_of(report, "error") == {"BAT-06"}
    assert pages_called_shifted(report) == []
