"""Data in space of a file that belongs to nothing."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.checking.judging import Table, assert_both_ways_agree, image_of, tables
from tests.checking.reports import report_on
from tests.images.image import Block, Layout, dynamic
from tests.images.structures import (
    FULLY_PRESENT,
    GIB,
    MIB,
    UNDEFINED,
    UNMAPPED,
    ZERO,
)
from vhdx_kaitai.checking import classes, space
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.checking.findings import Report


def told(layout: Layout) -> list[tuple[int | None, str]]:
    """Return where data that belong to nothing begin, and what is said of them; a note at most."""
    report = report_on(layout)
    assert report.verdict == "clean"
    return [(f.offset, f.message) for f in report.findings if f.rule == "BLK-13"]


def with_gap(**fields: object) -> Layout:
    """A disk of 8 MiB, one block stored; 3 MiB at 4 MiB are free, after log, metadata and BAT."""
    layout = dynamic(8 * MIB, blocks={0: Block(FULLY_PRESENT, 7 * MIB)}, **fields).layout()
    assert layout.bat_offset == 3 * MIB
    layout.file_length = 8 * MIB
    return layout


def message(size: str) -> str:
    return f"data in space that belongs to nothing, {size} in all, expected zeros"


def test_free_space_of_zeros_is_no_matter() -> None:
    assert told(with_gap()) == []


@pytest.mark.parametrize("offset", [4 * MIB, 5 * MIB - 1, 6 * MIB, 7 * MIB - 1])
def test_data_that_belong_to_nothing_are_told_from_their_first_byte_on(offset: int) -> None:
    layout = with_gap()
    layout.patch(offset, b"x")
    assert told(layout) == [(offset, message("3 MiB"))]


@pytest.mark.parametrize("offset", [4 * MIB - 1, 7 * MIB])
def test_data_beside_a_gap_belong_to_something(offset: int) -> None:
    """One is in the region of the BAT, where another rule has a say."""
    layout = with_gap()
    layout.patch(offset, b"x")
    assert told(layout) == []


@pytest.mark.parametrize("more", [1, 512, MIB])
def test_data_after_the_last_structure_are_told_with_what_there_is_of_them(more: int) -> None:
    layout = with_gap()
    layout.file_length = 8 * MIB + more
    layout.patch(8 * MIB, b"x")
    ((offset, text),) = told(layout)
    assert offset == 8 * MIB
    whole = {1: "about 3 MiB", 512: "about 3 MiB", MIB: "4 MiB"}[more]
    assert text == message(whole)


@pytest.mark.parametrize("state", [UNDEFINED, UNMAPPED])
def test_what_a_block_held_in_former_times_belongs_to_it(state: int) -> None:
    layout = with_gap()
    layout.patch(5 * MIB, b"x")
    layout.set_entry(3, state, 5 * MIB)
    assert told(layout) == []


@pytest.mark.parametrize("state", [0, ZERO])
def test_the_place_of_a_block_that_has_none_belongs_to_nothing(state: int) -> None:
    layout = with_gap()
    layout.patch(5 * MIB, b"x")
    layout.set_entry(3, state, 5 * MIB)
    assert told(layout) == [(5 * MIB, message("3 MiB"))]


def test_a_skeleton_has_no_data_of_its_own() -> None:
    layout = with_gap()
    layout.patch(5 * MIB, b"x")
    assert "BLK-13" not in {f.rule for f in report_on(layout, skeleton=True).findings}


def not_looked_at(report: Report) -> list[str]:
    return [skipped.what for skipped in report.skipped]


def test_what_was_not_looked_at_is_not_taken_for_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "_MOST_READ", 2 * MIB)
    layout = with_gap()
    layout.patch(6 * MIB, b"x")
    report = report_on(layout)
    assert "BLK-13" not in {f.rule for f in report.findings}
    assert not_looked_at(report) == ["space that belongs to nothing, 3 MiB in all"]
    layout.patch(6 * MIB - 1, b"x")
    assert told(layout) == [(6 * MIB - 1, message("3 MiB"))]


def many_gaps(count: int) -> Layout:
    """Blocks with a free MiB before each, and nothing else free."""
    layout = image_of(count, MIB, 0)
    layout.file_length = (4 + 2 * count) * MIB
    for block in range(count):
        layout.set_entry(block, FULLY_PRESENT, (5 + 2 * block) * MIB)
    return layout


def test_many_gaps_are_counted_and_the_first_ones_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(classes, "MOST_GAPS", 3)
    layout = many_gaps(10)
    gaps = assert_both_ways_agree(layout).gaps
    assert gaps is not None
    assert gaps.total == 10
    assert not_looked_at(report_on(layout)) == ["space that belongs to nothing, 10 MiB in all"]
    layout.patch(8 * MIB, b"x")
    assert told(layout) == [(8 * MIB, message("10 MiB"))]


def test_holes_of_a_file_are_passed_over(tmp_path: pytest.TempPathFactory) -> None:
    """However long they are."""
    layout = with_gap()
    layout.file_length = 3 * GIB
    layout.patch(2 * GIB, b"x")
    path = layout.build().write(tmp_path / "hole.vhdx")  # type: ignore[operator]
    if path.stat().st_blocks * 512 > 64 * MIB:
        pytest.skip("no holes here")
    report = check(path)
    (finding,) = report.findings
    assert (finding.rule, finding.offset) == ("BLK-13", 2 * GIB)
    assert report.skipped == ()


@given(tables())
def test_gaps_are_what_nothing_takes_up(table: Table) -> None:
    """By the builder's description alone."""
    layout = table.layout
    expected = set(range(-(-(layout.file_length or 0) // MIB))) - taken(layout)
    gaps = assert_both_ways_agree(layout).gaps
    assert gaps is not None
    assert gaps.total == len(expected)
    assert {number for start, end in gaps.first for number in range(start, end)} == expected


def taken(layout: Layout) -> set[int]:
    """Return the MiBs of a file that something takes up."""
    image, geometry = layout.image, layout.image.geometry
    size = layout.file_length or 0
    ranges = [(0, MIB), (layout.log_offset, image.log_length)]
    ranges += [(r.file_offset, r.length) for r in layout.region_tables[0].entries]
    for block in range(geometry.payload_blocks):
        entry = layout.entry(block)
        start = entry >> 20 << 20
        if entry & 7 in (UNDEFINED, UNMAPPED, 6, 7) and 0 < start < size:
            ranges.append((start, image.block_size))
    for chunk in range(geometry.sector_bitmap_blocks):
        index = geometry.bitmap_index(chunk)
        entry = layout.bat.get(index, 0) if index < geometry.entry_count else 0
        if entry & 7 == 6 and 0 < entry >> 20 << 20 <= size - MIB:
            ranges.append((entry >> 20 << 20, MIB))
    return {n for start, length in ranges for n in range(start // MIB, (start + length) // MIB)}
