"""One sector bitmap cannot be made the sectors of a whole disk: no map takes hours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.conftest import Run
from tests.images.chain import Chain, child_of
from tests.images.image import Block, Layout, dynamic, partial
from tests.images.structures import GIB, MIB
from tests.reading_fixtures import assert_same, opened_chain
from tests.support import SparseSource
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.errors import LimitError
from vhdx_kaitai.reading import bulk
from vhdx_kaitai.reading.disk import Disk

CHUNK, BLOCK = 4 * GIB, 256 * MIB
CHUNKS = 20


def sharing(count: int, block_size: int = BLOCK, first: int = 1) -> Layout:
    """Return a child with a block in each chunk, some of which have one sector bitmap."""
    base = dynamic(CHUNKS * CHUNK, blocks={}, block_size=BLOCK).build()
    blocks = {
        chunk * (CHUNK // block_size): partial(chunk, data=b"x" * MIB) for chunk in range(CHUNKS)
    }
    layout = child_of(base, blocks=blocks, block_size=block_size).layout()
    index = layout.image.geometry.bitmap_index
    for chunk in range(first, first + count):
        layout.bat[index(chunk)] = layout.bat[index(first)]
    return layout


def disk_of(layout: Layout) -> Disk:
    return opened_chain(Chain([dynamic(CHUNKS * CHUNK, blocks={}).build(), layout.build()], []))


WAYS: dict[str, Callable[[Disk, int, int], object]] = {
    "extents": lambda disk, offset, length: list(disk.extents(offset, length)),
    "columns": lambda disk, offset, length: list(bulk.extents(disk, offset, length)),
    "a count": lambda disk, offset, length: bulk.count_extents(disk, offset, length),
}


@pytest.mark.parametrize("block_size", [MIB, 16 * MIB, BLOCK])
@pytest.mark.parametrize("way", WAYS)
def test_a_sector_bitmap_of_more_than_16_chunks_is_not_mapped(way: str, block_size: int) -> None:
    with disk_of(sharing(17, block_size)) as disk:
        with pytest.raises(LimitError) as caught:
            WAYS[way](disk, 0, disk.size)
        found = caught.value.finding
        assert (found.rule, found.level, found.actual) == ("BAT-08", "limit", "17")
        assert "sector bitmap 1 " in found.where
        # In what is asked for there are no more of them than that.
        assert WAYS[way](disk, 0, 17 * CHUNK)
        assert WAYS[way](disk, 2 * CHUNK, disk.size - 2 * CHUNK)
        with pytest.raises(LimitError):
            WAYS[way](disk, 2 * CHUNK - BLOCK, 16 * CHUNK + 2 * BLOCK)


@pytest.mark.parametrize("way", WAYS)
def test_a_sector_bitmap_of_16_chunks_is_mapped_as_it_is_read(way: str) -> None:
    with disk_of(sharing(16)) as disk:
        assert WAYS[way](disk, 0, disk.size)
        assert len(list(disk.extents())) == bulk.count_extents(disk, 0, disk.size)[0]


def test_reading_judges_a_sector_bitmap_for_itself() -> None:
    """Whoever asks for some bytes gets them. Of each block the second sector is here."""
    with disk_of(sharing(17)) as disk:
        for chunk in (1, 2, 17):
            assert_same(disk.pread(1536, chunk * CHUNK), bytes(512) + b"x" * 512 + bytes(512))
        assert_same(disk.pread(512, 18 * CHUNK + 18 * 512), b"x" * 512)


def test_a_parent_is_no_way_around_that() -> None:
    layout = sharing(17)
    parent = layout.build()
    child = child_of(parent, blocks={3: Block()}, block_size=BLOCK)
    base = dynamic(CHUNKS * CHUNK, blocks={}, block_size=BLOCK).build()
    with opened_chain(Chain([base, parent, child.build()], [])) as disk:
        for way in WAYS.values():
            with pytest.raises(LimitError):
                way(disk, 0, disk.size)


def test_a_parent_counts_as_far_as_it_goes() -> None:
    """Its entries past the end of its disk are those of no chunk."""
    base = sharing(17)
    child = child_of(base.build(), blocks={}, block_size=BLOCK).but(virtual_disk_size=30 * CHUNK)
    with opened_chain(Chain([base.build(), child.build()], [])) as disk:
        assert len(disk.chain) == 2
        assert list(disk.extents(17 * CHUNK, 13 * CHUNK))


def test_check_tells_each_of_them_by_the_rule() -> None:
    report = check(SparseSource(sharing(17).build().file))
    assert report.verdict == "corrupt"
    assert sum(finding.rule == "BAT-08" for finding in report.findings) == 16


def test_commands_that_go_through_the_disk_say_whose_limit_it_is(tmp_path: Path, run: Run) -> None:
    layout = sharing(17)
    path = layout.build().write(tmp_path / "child.vhdx")
    for command in (
        ("map", "--no-parent", path),
        ("map", "--no-parent", "--json", path),
        ("map", "--no-parent", "--count", path),
        ("convert", "--no-parent", path, tmp_path / "out.raw"),
    ):
        outcome = run(*command)
        assert outcome.status == 1
        assert "(our limit)" in outcome.err
        assert str(path) in outcome.err
    assert not (tmp_path / "out.raw").exists()


def test_no_more_of_the_table_is_read_than_there_are_chunks() -> None:
    with vhdx_kaitai.open(SparseSource(sharing(2).build().file), resolve_parents=False) as disk:
        source = disk.image.stored
        assert isinstance(source, SparseSource)
        source.bytes_read = 0
        list(disk.image.bat.sector_bitmaps(0, CHUNKS))
        assert source.bytes_read <= CHUNKS * 17 * 8
