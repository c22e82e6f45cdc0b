"""Pages of the BAT that QEMU moved by one entry read as they did before, all but the last entry."""

from __future__ import annotations

import pytest

from tests.checking.test_shift import shift_page, shifted_small, stored_everywhere
from tests.images.image import Block, Layout, differencing
from tests.images.structures import FULLY_PRESENT, GIB, MIB, bat_entry
from tests.reading_fixtures import opened

SIZE = 32 * MIB  # 128 blocks make a chunk; four sector bitmaps have their entries in each page


def offsets(layout: Layout) -> dict[int, int | None]:
    """Return where the blocks of a disk are by its reader, None for what is lost."""
    with opened(layout.build(), bat="assume") as disk:
        return {
            row.offset // SIZE + number: None
            if row.file_offset is None
            else row.file_offset + number * SIZE
            for row in disk.extents()
            for number in range(row.length // SIZE)
        }


@pytest.mark.parametrize("pages", [(0,), (1,), (2,), (0, 1, 2)])
def test_moved_pages_are_moved_back(pages: tuple[int, ...]) -> None:
    layout = stored_everywhere(40 * GIB, SIZE)
    expected: dict[int, int | None] = dict(offsets(layout))
    geometry = layout.image.geometry
    for page in pages:
        first = layout.bat[page * 512]
        shift_page(layout, page)
        layout.bat[page * 512] = first
        for number in expected:  # the last entry of a page is lost, if it is that of a block
            if geometry.index(number) == page * 512 + 511:
                expected[number] = None
    assert offsets(layout) == expected
    with opened(layout.build(), bat="assume") as disk:
        assert [assumption.what for assumption in disk.assumed] == ["BAT"]
        lost = [row.offset // SIZE for row in disk.lost()]
        assert lost == [number for number, place in expected.items() if place is None]


def test_the_entry_after_the_last_is_that_of_the_last_block() -> None:
    layout = shifted_small()
    block = layout.payload
    with opened(layout.build(), bat="assume") as disk:
        rows = [row for row in disk.extents() if row.kind == "data"]
        assert [(row.offset, row.file_offset) for row in rows] == [(598 * MIB, block[598])]
        assert rows[0].length == 2 * MIB
        assert not list(disk.lost())


def test_the_entry_that_was_written_stays() -> None:
    layout = stored_everywhere(40 * GIB, SIZE)
    place = layout.payload.get(0, 0) + 5 * SIZE + (layout.file_length or 0)
    shift_page(layout, 1)
    layout.bat[512] = bat_entry(FULLY_PRESENT, place - place % MIB)
    layout.file_length = place + 2 * SIZE
    number = next(n for n in range(1280) if layout.image.geometry.index(n) == 512)
    assert offsets(layout)[number] == place - place % MIB


def test_a_table_that_was_not_moved_stays_as_it_is() -> None:
    child = differencing(40 * GIB, block_size=SIZE, blocks={3: Block()}).layout()
    for layout in (stored_everywhere(40 * GIB, SIZE), child):
        with opened(layout.build(), bat="assume", resolve_parents=False) as disk:
            assert disk.assumed == ()
