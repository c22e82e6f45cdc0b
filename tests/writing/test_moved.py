"""Pages of the BAT that QEMU has moved: back to the byte where that is certain, or left alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import pytest

from tests.checking.test_shift import shift_page, shifted_small
from tests.crash.machine import cuts
from tests.crash.recorder import applied
from tests.images.image import Layout, dynamic
from tests.images.structures import FULLY_PRESENT, GIB, MIB
from tests.writing.repairing import tried
from vhdx_kaitai import Disk, Image, repair

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


def data_write_guid(path: Path) -> UUID:
    with Image(path) as image:
        return image.headers.current.data_write_guid


def places(data: bytes) -> tuple[tuple[int, int | None], ...]:
    """Which ranges of a disk are stored, and where."""
    with Disk([Image(data)]) as disk:
        rows = [row for row in disk.extents() if row.kind == "data"]
    return tuple((row.offset, row.file_offset) for row in rows)


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
    guid = data_write_guid(path)
    done = repair(path, write=True)
    assert done.verdict == "clean"
    assert bat_of(path, layout) == before
    ((offset, length, place),) = done.items[0].doubtful
    with path.open("rb") as file:  # which block that is the BAT says
        file.seek(layout.bat_offset + last_of(page) * 8)
        assert int.from_bytes(file.read(8), "little") == place | FULLY_PRESENT
    assert layout.image.geometry.index(offset // _BLOCK) == last_of(page)
    assert length == _BLOCK
    assert data_write_guid(path) != guid


def test_a_cut_leaves_the_page_as_it_was_or_as_it_is_to_be() -> None:
    built = shifted_small().build()
    stored = built.to_bytes()
    file, outcome = tried(built)
    assert [item.rule for item in outcome.items] == ["BAT-15"]
    seen = {places(bytes(cut.data)) for cut in cuts(stored, file.events, 200, 1)}
    assert seen == {places(stored), places(bytes(applied(stored, file.events)))}
    assert len(seen) == 2


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
