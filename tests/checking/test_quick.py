"""What is lost or shared, in one line: what reading refuses, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given

from tests.checking.judging import Table, in_bulk, of_blocks, opened, tables
from tests.commands.launching import GRAMMAR, imported
from tests.conftest import Run
from tests.images.damage import DAMAGES
from tests.images.goods import GOODS
from tests.images.image import Block, Layout, differencing, dynamic, partial
from tests.images.structures import (
    FULLY_PRESENT,
    GIB,
    MIB,
    UNDEFINED,
    UNMAPPED,
)
from tests.support import SparseSource, damaged, good
from vhdx_kaitai.checking import quick as room
from vhdx_kaitai.checking.quick import losses_in_passing, quick
from vhdx_kaitai.checking.usage import about_losses
from vhdx_kaitai.errors import FormatError, ParentNotFoundError
from vhdx_kaitai.reading.disk import open_disk
from vhdx_kaitai.reading.image import Image


def refused_blocks(layout: Layout) -> set[int]:
    """Return the blocks of which something cannot be read, by reading them."""
    size, count = layout.image.block_size, layout.image.geometry.payload_blocks
    found = set()
    with open_disk(SparseSource(layout.build().file), resolve_parents=False) as disk:
        for block in range(count):
            start, end = block * size, min(disk.size, (block + 1) * size)
            for at in (start, end - 512):  # what is wrong with an entry refuses both ends, or one
                try:
                    disk.pread(512, at)
                except ParentNotFoundError:
                    pass
                except FormatError:
                    found.add(block)
    return found


@given(tables())
def test_what_is_quickly_taken_for_right_is_right(table: Table) -> None:
    """Nothing of it is refused, and nothing shared."""
    image = opened(table.layout)
    told = quick(image)
    assert told == about_losses(image)
    with in_bulk(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "MOST_IN_PASSING", -1)
        assert quick(image) == told
    if refused_blocks(table.layout):
        assert told is not None


@pytest.mark.parametrize("name", GOODS)
def test_good_images_have_lost_nothing_and_are_quickly_known(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = Image(SparseSource(good(name).file))
    assert quick(image) is None
    if image.geometry.entry_count > room.MOST_IN_PASSING or name in LOOKED_AT_CLOSELY:
        return
    monkeypatch.delattr("vhdx_kaitai.checking.usage.about_losses")
    assert quick(image) is None


# Whose end needs a closer look, or whose room without a stored block.
LOOKED_AT_CLOSELY = {"fixed-last-block-cut", "fixed-of-qemu"}


def test_what_is_lost_and_shared_is_counted() -> None:
    lost = "stored blocks are lost, wholly or partly"
    check = "(`check` says which)"
    assert quick(opened(of_blocks(10, 12, 14))) is None
    assert quick(opened(of_blocks(10, 12, 39, 50))) == f"2 of 4 {lost} {check}"
    assert quick(opened(of_blocks(10, 11, 20))) == f"2 blocks share space of the file {check}"
    assert quick(opened(of_blocks(10, 10, 11, 90))) == (
        f"1 of 4 {lost}; 3 blocks share space of the file {check}"
    )
    assert quick(opened(of_blocks(1, 10))) == f"1 of 2 {lost} {check}"  # over the log
    layout = of_blocks(10, 12)
    layout.set_entry(1, 5)
    assert quick(opened(layout)) == f"1 entry of the BAT cannot be read {check}"


def test_a_lost_sector_bitmap_is_counted() -> None:
    layout = differencing(8 * MIB, blocks={1: partial(range(16))}).layout()
    assert quick(opened(layout)) is None
    layout.bat[layout.image.geometry.bitmap_index(0)] = 6 | GIB
    assert quick(opened(layout)) == "1 sector bitmap is lost (`check` says which)"
    layout.bat[layout.image.geometry.bitmap_index(0)] = 0
    assert quick(opened(layout)) == "1 sector bitmap is lost (`check` says which)"


def test_former_places_are_no_loss() -> None:
    """No data is read from there, whatever else is."""
    layout = of_blocks(10, 12)
    layout.set_entry(1, UNMAPPED, 10 * MIB)
    assert quick(opened(layout)) is None
    layout.set_entry(1, UNDEFINED, GIB)
    assert quick(opened(layout)) is None


@pytest.mark.parametrize("name", [n for n, c in DAMAGES.items() if c.refusal == "read"])
def test_what_reading_refuses_is_told(name: str) -> None:
    assert quick(Image(SparseSource(damaged(name).file))) is not None


# -- commands ------------------------------------------------------------------------------------


def lossy(tmp_path: Path) -> Path:
    layout = dynamic(8 * MIB, blocks={0: Block(), 5: Block()}).layout()
    layout.file_length = layout.payload[5]
    return layout.build().write(tmp_path / "cut.vhdx")


TOLD = "1 of 2 stored blocks are lost, wholly or partly (`check` says which)"


def test_info_says_that_blocks_are_lost(tmp_path: Path, run: Run) -> None:
    path = lossy(tmp_path)
    for options in ((), ("--allocation",), ("--zeros",), ("--chain",)):
        shown = re.sub(r"\n {20,}", " ", run("info", path, *options).out)
        assert f"\n  damage               {TOLD}\n" in shown
    shown = run("info", "--zeros", path).out
    assert "  bytes                2 MiB stored, 1 MiB of them lost\n" in shown


def test_a_bat_that_takes_time_is_looked_at_when_that_is_asked_for(
    tmp_path: Path, run: Run
) -> None:
    layout = dynamic(40 * GIB).layout()
    layout.set_entry(30_000, FULLY_PRESENT, GIB * 1024)
    path = layout.build().write(tmp_path / "large.vhdx")
    assert "damage" not in run("info", path).out
    assert "damage" in run("info", "--allocation", path).out
    assert run("read", path, "--length", "0").err == ""
    assert imported("info", path, cwd=tmp_path) <= GRAMMAR


@pytest.mark.parametrize("options", [("--length", "512"), ("--offset", "1M", "--length", "1M")])
def test_reading_says_it_in_one_line_and_does_what_it_did(
    options: tuple[str, ...], tmp_path: Path, run: Run
) -> None:
    path = lossy(tmp_path)
    out = tmp_path / "out"
    assert run("read", path, "-o", out, *options) == (0, "", f"vhdx-kaitai: {path}: {TOLD}\n")
    assert out.stat().st_size in (512, MIB)


def test_converting_says_it_of_the_file_that_it_is_about(tmp_path: Path, run: Run) -> None:
    path = lossy(tmp_path)
    outcome = run("convert", path, tmp_path / "out")
    assert outcome.status == 2
    told, refused = outcome.err.splitlines()
    assert told == f"vhdx-kaitai: {path}: {TOLD}"
    assert "BAT-10" in refused


def test_an_image_that_cannot_be_looked_through_is_left_to_who_reads_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = opened(of_blocks(10))

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(image.bat, "numbers", fail)
    assert quick(image) is None
    assert losses_in_passing(image) is None


@pytest.mark.parametrize("size", [64 * MIB, 40 * GIB])
def test_a_bat_that_was_wiped_is_told_where_the_file_has_data(size: int) -> None:
    """Zeros in its place are those of a disk that was never written to."""
    layout = dynamic(size, blocks={3: Block()}).layout()
    assert quick(opened(layout)) is None
    layout.set_entry(3, 0)
    told = quick(opened(layout))
    assert told is not None
    assert told.startswith("the BAT is empty, but the file has data that nothing refers to")


def test_room_without_data_is_no_sign_of_a_bat_that_was_wiped() -> None:
    layout = dynamic(64 * MIB, blocks={}).layout()
    layout.file_length = layout.pack().length + 5 * MIB
    assert quick(opened(layout)) is None
