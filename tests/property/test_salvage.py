"""What is lost is told to the byte, and everything else comes out, whatever the damage."""

from __future__ import annotations

import tempfile
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

import vhdx_kaitai
from tests.images.chain import Chain
from tests.images.image import Built
from tests.images.model import Model
from tests.images.structures import MIB
from tests.property.test_reading import (
    Damaged,
    Plain,
    any_chains,
    damaged_images,
    last_structure,
    share,
)
from tests.reading_fixtures import (
    assert_adjacent,
    assert_same,
    contents,
    disk_extents,
    rows_in_bulk,
)
from vhdx_kaitai.reading.disk import Disk
from vhdx_kaitai.reading.losses import LostRange, losses, lost_ranges


def opened(damaged: Damaged, **options: Any) -> Disk:
    if damaged.parent is not None:
        options["parent"] = Built(damaged.parent._layout).to_bytes()
    return vhdx_kaitai.open(damaged.layout.build().to_bytes(), **options)


def must_be_refused(plain: Plain, start: int, end: int) -> bool:
    """Tell whether a plain reader has to refuse a range, or may."""
    try:
        return plain.read(start, end - start)[1]
    except ValueError:
        return True


@given(damaged_images())
def test_of_a_damaged_table_all_that_can_be_read_is_saved_and_the_rest_told(
    damaged: Damaged,
) -> None:
    plain = Plain(damaged.layout, damaged.parent)
    with opened(damaged) as disk:
        rows = list(disk.extents())
        assert rows_in_bulk(disk, 0, disk.size) == disk_extents(disk)
        assert_adjacent(disk_extents(disk), 0, disk.size)
    with opened(damaged, lost="zero") as disk:
        whole = disk.pread(disk.size, 0)
        buffer = bytearray(b"\xcc") * disk.size
        assert disk.readinto_at(buffer, 0) == disk.size
        assert_same(buffer, whole)
        assert list(disk.extents()) == rows
    for row in rows:
        end = row.offset + row.length
        if row.kind != "lost":
            assert row.finding is None
            expected, _ = plain.read(row.offset, row.length)
            assert_same(whole[row.offset : end], expected, row.offset)
            continue
        assert row.finding is not None
        assert whole.count(0, row.offset, end) == row.length
        for start in {row.offset, end - 1, *range(-(-row.offset // MIB) * MIB, end, MIB)}:
            assert must_be_refused(plain, start, start + 1)


@given(damaged_images())
def test_what_is_lost_adds_up(damaged: Damaged) -> None:
    with opened(damaged) as disk:
        lost = [(row.offset, row.offset + row.length) for row in disk.lost()]
        stored = sum(row.length for row in disk.extents() if row.kind in ("data", "lost"))
        found = losses(disk, 0, disk.size)
        assert [row[:2] for row in lost_ranges(disk, 0, disk.size)] == lost
        assert found.stored == stored
        assert found.lost == sum(end - start for start, end in lost)
        joined: list[LostRange] = []  # what follows on another one with the same reason
        for row in lost_ranges(disk, 0, disk.size):
            if joined and (joined[-1].end, joined[-1].rule) == (row.start, row.rule):
                row = joined.pop()._replace(end=row.end)
            joined.append(row)
        assert found.ranges == len(joined)
        assert list(found.first) == joined[: len(found.first)]


@share(3)
@given(st.data(), any_chains(max_depth=3))
def test_of_a_chain_with_a_cut_file_all_that_is_left_is_saved(
    data: st.DataObject, made: Chain
) -> None:
    """One file is cut after its structures: what was past that is lost, and nothing else."""
    whole = contents(made.model)
    level = data.draw(st.integers(0, len(made.images) - 1))
    built = made.images[level]
    length = data.draw(st.integers(last_structure(built.layout), built.length))
    with tempfile.TemporaryDirectory() as folder:
        made.write(folder)
        with made.paths[level].open("r+b") as file:
            file.truncate(length)
        try:
            disk = vhdx_kaitai.open(made.path, lost="zero")
        except (vhdx_kaitai.FormatError, vhdx_kaitai.ParentNotFoundError):  # as it is a parent
            assert built.model.log.state == "dirty"  # it says how long the file has to be
            return
        with disk:
            for row in disk.extents():
                part = disk.pread(row.length, row.offset)
                expected = whole[row.offset : row.offset + row.length]
                assert_same(part, bytes(row.length) if row.kind == "lost" else expected, row.offset)
            if all(bitmap.file_offset + MIB <= length for bitmap in built.layout.bitmaps.values()):
                lost = [row[:2] for row in lost_ranges(disk, 0, disk.size)]
                expected_lost = cut_off(made.model, len(made.images) - 1 - level, length)
                assert joined(lost) == joined(expected_lost)


def cut_off(model: Model, depth: int, length: int) -> list[tuple[int, int]]:
    """Return the ranges of a disk that one of its files has past some length."""
    return [
        (extent.offset + max(0, length - extent.file_offset), extent.offset + extent.length)
        for extent in model.extents()
        if extent.depth == depth
        and extent.file_offset is not None
        and extent.file_offset + extent.length > length
    ]


def joined(ranges: list[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return ranges in order, neighbours as one."""
    found: list[tuple[int, int]] = []
    for start, end in ranges:
        if found and found[-1][1] == start:
            start = found.pop()[0]
        found.append((start, end))
    return set(found)
