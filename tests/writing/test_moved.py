"""Pages of the BAT that QEMU has moved: back to the byte where that is certain, or left alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.checking.test_shift import shift_page
from tests.images.image import Layout, dynamic
from tests.images.structures import FULLY_PRESENT, GIB, MIB
from vhdx_kaitai import repair

_ENTRIES = 512  # of a page
_BLOCK = 32 * MIB  # 128 of them make a chunk


def stored_but(absent: Sequence[int] = (), *, size: int = 80 * GIB) -> Layout:
    """A disk all of whose blocks are stored, without room between them, but for some."""
    image = dynamic(size, block_size=_BLOCK, creator="QEMU v7.0.0")
    layout = image.layout()
    geometry = image.geometry
    at = layout.pack().length
    layout.file_length = at
    for block in range(geometry.payload_blocks):
        if geometry.index(block) not in absent:
            layout.set_entry(block, FULLY_PRESENT, layout.file_length)
            layout.file_length += _BLOCK
    return layout


def bat_of(path: Path, layout: Layout) -> bytes:
    with path.open("rb") as file:
        file.seek(layout.bat_offset)
        return file.read(MIB)


def damaged(folder: Path, layout: Layout, pages: Sequence[int]) -> tuple[Path, bytes]:
    """Write the image, the pages moved, and return what its BAT was before."""
    before = bat_of(layout.build().write(folder / "whole.vhdx"), layout)
    for page in pages:
        shift_page(layout, page)
    return layout.build().write(folder / "disk.vhdx"), before


def last_of(page: int) -> int:
    return page * _ENTRIES + _ENTRIES - 1


def test_five_pages_are_moved_back_to_the_byte(tmp_path: Path) -> None:
    """Four of them have lost the entry of a block that is not stored, the last one none."""
    pages = (0, 1, 2, 3, 5)
    layout = stored_but([last_of(page) for page in pages])
    path, before = damaged(tmp_path, layout, pages)
    assert bat_of(path, layout) != before
    done = repair(path, write=True)
    assert done.verdict == "clean"
    assert bat_of(path, layout) == before


@pytest.mark.parametrize("page", range(5))
def test_a_block_that_lies_where_only_it_can_is_found_again(tmp_path: Path, page: int) -> None:
    path, before = damaged(tmp_path, layout := stored_but(), [page])
    done = repair(path, write=True)
    assert done.verdict == "clean"
    assert bat_of(path, layout) == before


@pytest.mark.parametrize(("pages", "absent"), [((1, 3), ()), ((1, 3), (1023,))])
def test_where_two_are_lost_it_is_not_certain_which_is_where(
    tmp_path: Path, pages: tuple[int, ...], absent: tuple[int, ...]
) -> None:
    path, _ = damaged(tmp_path, layout := stored_but(absent), pages)
    moved = bat_of(path, layout)
    told = repair(path, write=True)
    assert told.items == ()
    assert any("may be what it led to" in left.why for left in told.left)
    assert bat_of(path, layout) == moved
