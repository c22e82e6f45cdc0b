"""With one file of a chain missing, changed or renamed, what is not that file's comes out."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import vhdx_kaitai
from tests.images.chain import Chain
from tests.parents_models import changed, orphaned_rows, without_parent
from tests.property.test_reading import any_chains, share
from tests.reading_fixtures import assert_same, contents, disk_extents, rows_in_bulk
from vhdx_kaitai.reading.losses import lost_ranges

MISSING: tuple[Literal["zero", "lost"], ...] = ("zero", "lost")


def written(made: Chain, folder: str, data: st.DataObject) -> int:
    """Write a chain with more than one file, and choose one of them that is a parent."""
    assume(len(made.images) > 1)
    made.write(folder)
    return data.draw(st.integers(1, len(made.images) - 1))


def file_at(made: Chain, depth: int) -> Path:
    return made.paths[len(made.paths) - 1 - depth]


@share(3)
@given(st.data(), any_chains(max_depth=4), st.sampled_from(["missing", "changed", "no image"]))
def test_what_is_not_of_the_missing_file_comes_out(
    data: st.DataObject, made: Chain, damage: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        depth = written(made, folder, data)
        path = file_at(made, depth)
        if damage == "changed":
            changed(made.images[len(made.images) - 1 - depth]).write(path)
        elif damage == "missing":
            path.unlink()
        else:
            path.write_bytes(b"no image")
        whole, left = contents(made.model), without_parent(made.model, depth)
        with pytest.raises(vhdx_kaitai.ParentError):
            vhdx_kaitai.open(made.path)
        orphaned = [row[:2] for row in orphaned_rows(left, "lost") if row[5] == "lost"]
        for missing in MISSING:
            with vhdx_kaitai.open(made.path, missing_parent=missing, lost="zero") as disk:
                assert len(disk.chain) == depth
                assert disk_extents(disk) == orphaned_rows(left, missing)
                assert rows_in_bulk(disk, 0, disk.size) == orphaned_rows(left, missing)
                expected = bytearray(whole)
                for start, length in orphaned:
                    expected[start : start + length] = bytes(length)
                assert_same(disk.pread(disk.size, 0), bytes(expected))
                assert bool(disk.assumed) == (missing == "zero")
        with vhdx_kaitai.open(made.path, missing_parent="lost") as disk:
            lost = [(row.start, row.end - row.start) for row in lost_ranges(disk, 0, disk.size)]
            assert lost == orphaned
            assert {row.rule for row in lost_ranges(disk, 0, disk.size)} <= {"CHAIN-10"}
            for start, length in orphaned:
                with pytest.raises(vhdx_kaitai.ParentNotFoundError):
                    disk.pread(length, start)
            for row in disk.extents():
                if row.kind != "lost":
                    end = row.offset + row.length
                    assert_same(disk.pread(row.length, row.offset), whole[row.offset : end])


@share(3)
@given(st.data(), any_chains(max_depth=4), st.booleans())
def test_a_file_that_was_renamed_is_found_where_it_is_searched_for(
    data: st.DataObject, made: Chain, has_moved: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        depth = written(made, folder, data)
        place = Path(folder, "elsewhere") if has_moved else Path(folder)
        place.mkdir(exist_ok=True)
        file_at(made, depth).rename(place / "renamed.img")
        with pytest.raises(vhdx_kaitai.ParentNotFoundError):
            vhdx_kaitai.open(made.path)
        with vhdx_kaitai.open(made.path, search=[place, folder]) as disk:
            assert disk.links[depth - 1].key == "data_write_guid"
            assert_same(disk.pread(disk.size, 0), contents(made.model))
            assert disk.assumed == ()
        above = [file_at(made, number) for number in range(1, len(made.paths))]
        above[depth - 1] = place / "renamed.img"
        with vhdx_kaitai.open(made.path, parent=above) as disk:
            assert [link.key for link in disk.links] == [None] * len(above)
            assert_same(disk.pread(disk.size, 0), contents(made.model))


@share(3)
@given(st.data(), any_chains(max_depth=4))
def test_a_file_that_was_changed_is_taken_when_linkage_is_ignored(
    data: st.DataObject, made: Chain
) -> None:
    """Only its GUID is another one here, so all bytes are those of the chain."""
    with tempfile.TemporaryDirectory() as folder:
        depth = written(made, folder, data)
        changed(made.images[len(made.images) - 1 - depth]).write(file_at(made, depth))
        with pytest.raises(vhdx_kaitai.ParentMismatchError):
            vhdx_kaitai.open(made.path)
        with vhdx_kaitai.open(made.path, linkage="ignore") as disk:
            assert_same(disk.pread(disk.size, 0), contents(made.model))
            (assumption,) = disk.assumed
            assert (assumption.path, assumption.what) == (str(file_at(made, depth)), "linkage")
