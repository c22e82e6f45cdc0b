"""What a disk is made of, as the models of built images say it."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.conftest import Files
from tests.images.chain import GOOD_CHAINS, Chain, chain, child_of
from tests.images.goods import GOODS
from tests.images.image import (
    Block,
    differencing,
    dynamic,
    partial,
)
from tests.images.structures import (
    GIB,
    MIB,
    NOT_PRESENT,
    TIB,
    UNDEFINED,
    ZERO,
)
from tests.reading_fixtures import (
    CountingSource,
    assert_adjacent,
    assert_same,
    checkerboard,
    disk_extents,
    good_chain,
    measured_memory,
    model_extents,
    opened,
    opened_chain,
    places,
)
from tests.support import good
from vhdx_kaitai.errors import FormatError, ParentNotFoundError
from vhdx_kaitai.reading import extents
from vhdx_kaitai.reading.layers import FROM_NOWHERE, Layer
from vhdx_kaitai.storage.source import Source

# -- two ways of resolving ------------------------------------------------------------------------

Spelled = list[tuple[int, int, Source | None, int | None]]


def spelled(pieces: Iterable[tuple[int, int, Source | None, int | None]]) -> Spelled:
    """Return pieces, those that go on with the one before as one: start, end, file, file offset."""
    found: Spelled = []
    for start, end, source, position in pieces:
        if found:
            before = found[-1]
            follows = None if before[3] is None else before[3] + start - before[0]
            if before[2] is source and position == follows:
                found[-1] = (before[0], end, source, before[3])
                continue
        found.append((start, end, source, position))
    return found


def by_window(top: Layer, start: int, end: int) -> Spelled | None:
    """Return what a range is made of when it is resolved at once."""
    found = extents.window(top, start, end)
    if found is None:
        return None
    bounds, origins = found
    assert (bounds[0], bounds[-1]) == (0, end - start)
    return spelled(
        (start + low, start + high, source, None if source is None else start + low + distance)
        for (low, high), (_, distance, source) in zip(pairwise(bounds), origins, strict=True)
    )


def by_pieces(top: Layer, start: int, end: int) -> Spelled:
    """Return what a range is made of when it is resolved piece by piece."""
    return spelled(
        (low, high, layer.source if place >= 0 else None, place if place >= 0 else None)
        for low, high, layer, _state, place in extents.resolved(top, start, end)
    )


@pytest.mark.parametrize("name", GOOD_CHAINS)
def test_a_window_is_made_of_what_is_found_piece_by_piece(name: str) -> None:
    made = good_chain(name)
    with opened_chain(made) as disk:
        compared = 0
        for number in range(-(-disk.size // extents.WINDOW)):
            start = number * extents.WINDOW
            end = min(disk.size, start + extents.WINDOW)
            for low, high in ((start, end), (start + 512, end), (start, start + 512)):
                at_once = by_window(disk._top, low, high)
                if at_once is not None:
                    assert at_once == by_pieces(disk._top, low, high)
                    compared += 1
        assert compared > 0


@pytest.mark.parametrize("runs", [1, 2, 63, 64, 65, 2048])
def test_a_window_has_no_more_pieces_than_it_may_have(runs: int) -> None:
    """It is then left to be resolved piece by piece, as far as somebody asks for it."""
    base = dynamic(2 * MIB, blocks={0: Block()}).build()
    here = [range(first, first + 1) for first in range(0, runs, 2)]
    image = child_of(base, blocks={0: partial(*here)})
    with opened_chain(Chain([base, image.build()], [])) as disk:
        pieces = len(by_pieces(disk._top, 0, MIB))
        for at_most in (pieces - 1, pieces, pieces + 1):
            found = extents.window(disk._top, 0, MIB, at_most)
            assert (found is None) == (pieces > at_most)


def test_pieces_tell_of_a_parent_that_is_not_there_only_where_it_is_asked_for() -> None:
    base = dynamic(2 * MIB).build()
    image = child_of(base, blocks={0: partial(range(4)), 1: Block(ZERO)})
    with opened(image.build(), resolve_parents=False) as disk:
        assert extents.window(disk._top, 0, MIB) is None
        assert extents.pieces(disk._top, 0, 2048)[0] == [0, 2048]
        assert extents.pieces(disk._top, MIB, 2 * MIB) == ([0, MIB], [FROM_NOWHERE])
        with pytest.raises(ParentNotFoundError, match="bytes 0x800 to 0xa00"):
            extents.pieces(disk._top, 0, 2560)


# -- extents --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in GOODS if name != "largest-disk"])
def test_extents_are_those_of_the_model(name: str) -> None:
    model = good(name).model
    with opened(good(name), resolve_parents=False) as disk:
        extents = disk_extents(disk)
        assert extents == model_extents(model)
        assert_adjacent(extents, 0, disk.size)


@pytest.mark.parametrize("name", GOOD_CHAINS)
def test_extents_of_a_chain_are_those_of_the_model(name: str) -> None:
    made = good_chain(name)
    with opened_chain(made) as disk:
        assert disk_extents(disk) == model_extents(made.model)
        for offset, length in places(disk.size, 25, 3 * MIB):
            assert disk_extents(disk, offset, length) == model_extents(made.model, offset, length)


@pytest.mark.parametrize(
    "name",
    [
        "dynamic-past-one-chunk",
        "differencing-past-one-chunk",
        "fixed-past-one-chunk",
        "largest-disk",
    ],
)
def test_extents_of_a_part_of_a_large_disk_are_those_of_the_model(name: str) -> None:
    model = good(name).model
    chance = random.Random(3)
    edges = [number * model.block_size for number in (1, 15, 16, 17, 18) if number < 18]
    with opened(good(name), resolve_parents=False) as disk:
        for edge in (*edges, 4 * GIB, model.size - MIB):
            offset = max(0, edge - chance.randrange(3 * MIB))
            length = min(chance.randrange(6 * MIB), model.size - offset)
            assert disk_extents(disk, offset, length) == model_extents(model, offset, length)


def test_the_bytes_of_an_extent_are_where_it_says(tmp_path: Path) -> None:
    """Read with nothing but `open`."""
    made = chain(3, base=dynamic(8 * MIB, logical_sector_size=4096)).write(tmp_path)
    with vhdx_kaitai.open(made.path) as disk:
        for extent in disk.extents():
            expected = made.model.read(extent.offset, extent.length)
            if extent.kind == "zero":
                assert extent.file_offset is None
                assert not any(expected)
            else:
                path = disk.chain[extent.depth].path
                assert path is not None
                assert extent.file_offset is not None
                with open(path, "rb") as file:
                    file.seek(extent.file_offset)
                    assert_same(file.read(extent.length), expected, extent.offset)


@pytest.mark.parametrize(
    ("offset", "length"), [(-1, 1), (0, 8 * MIB + 1), (8 * MIB + 1, None), (512, -1), (8 * MIB, 1)]
)
def test_extents_outside_the_disk_are_a_mistake_of_the_caller(
    offset: int, length: int | None
) -> None:
    with opened(good("dynamic-plain")) as disk, pytest.raises(ValueError, match="not inside"):
        list(disk.extents(offset, length))


@pytest.mark.parametrize("offset", [0, 100, 8 * MIB])
def test_an_empty_range_has_no_extents(offset: int) -> None:
    with opened(good("dynamic-plain")) as disk:
        assert list(disk.extents(offset, 0)) == []
        assert list(disk.extents(8 * MIB)) == []


def stored_here_and_there() -> dict[int, Block]:
    """Return some thirty blocks of a disk with 64 Mi of them, in runs and alone."""
    last = 64 * TIB // MIB - 1
    chance = random.Random(5)
    alone = {chance.randrange(last): Block(data=b"x") for _ in range(20)}
    return alone | {n: Block(data=b"x") for n in (0, 1, 2, 4095, 4096, 4097, last - 1, last)}


@pytest.mark.slow
@pytest.mark.parametrize(("disk_type", "blocks"), [("dynamic", "none"), ("differencing", "some")])
def test_a_disk_of_64_tib_is_mapped_at_small_expense(
    disk_type: str, blocks: str, tmp_path: Path
) -> None:
    """Its BAT of 513 MiB is read once at most, and runs are merged."""
    stored = stored_here_and_there() if blocks == "some" else {}
    make = differencing if disk_type == "differencing" else dynamic
    built = make(64 * TIB, blocks=stored).build()
    expected = model_extents(built.model)
    assert len(expected) <= 2 * len(stored) + 1
    source = CountingSource(str(built.write(tmp_path / "large.vhdx")))
    with vhdx_kaitai.open(source, resolve_parents=False) as disk:
        source.bytes_read = 0
        assert disk_extents(disk) == expected
    source.close()
    assert source.bytes_read < 1.25 * built.layout.bat_length


@pytest.mark.parametrize("state", [NOT_PRESENT, ZERO])
def test_a_disk_of_eight_mi_blocks_without_data_is_mapped_in_little_memory(
    state: int, tmp_path: Path
) -> None:
    """There is no object per block."""
    layout = dynamic(8 * TIB, blocks={}).layout()
    if state == ZERO:
        page = struct.pack("<Q", ZERO) * 512
        for offset in range(0, layout.bat_length, 4096):
            layout.patch(layout.bat_offset + offset, page)
        for chunk in range(2047):
            layout.patch(layout.bat_offset + (chunk * 4097 + 4096) * 8, bytes(8))
    path = layout.build().write(tmp_path / "large.vhdx")
    with vhdx_kaitai.open(path) as disk, measured_memory() as peak:
        (extent,) = disk.extents()
    assert extent[:3] == (0, 8 * TIB, "zero" if state == ZERO else "not_present")
    assert peak.bytes < 2 * MIB


@pytest.mark.parametrize("where", ["first", "last"])
def test_part_of_a_disk_of_64_tib_is_mapped_without_reading_all_of_its_bat(
    where: str, files: Files
) -> None:
    source = CountingSource(str(files.good("largest-disk")))
    model = good("largest-disk").model
    with vhdx_kaitai.open(source) as disk:
        source.bytes_read = 0
        offset = 0 if where == "first" else disk.size - GIB
        assert disk_extents(disk, offset, GIB) == model_extents(model, offset, GIB)
        assert source.bytes_read < MIB
    source.close()


def test_runs_of_sectors_are_mapped_in_little_memory() -> None:
    """2**16 runs of one sector each; nobody asked for more than one at a time."""
    size = 32 * MIB
    with opened_chain(checkerboard(size)) as disk, measured_memory() as peak:
        extents = disk.extents()
        assert next(extents)[:4] == (0, 512, "partially_present", 0)
        assert next(extents)[:4] == (512, 512, "fully_present", 1)
    assert peak.bytes < 2 * MIB


def test_runs_of_sectors_are_all_there() -> None:
    size = 24 * MIB
    position = 0
    with opened_chain(checkerboard(size)) as disk:
        for extent in disk.extents(0, MIB):
            assert (extent.offset, extent.length) == (position, 512)
            assert extent.depth == position // 512 % 2
            position += extent.length
        for extent in disk.extents(MIB):
            assert (extent.offset, extent.length) == (position, 512)
            expected = (
                (1, "zero", "zero") if position // 512 % 2 else (0, "partially_present", "data")
            )
            assert (extent.depth, extent.state, extent.kind) == expected
            position += extent.length
    assert position == size


# -- what is lost ---------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [1, 2, 1000, 1023, 1024, 1025, 3000])
def test_a_bad_block_is_lost_and_no_other(bad: int) -> None:
    """Every second block is undefined, so each is an extent, more than are looked up at once."""
    blocks = {number: Block(UNDEFINED) for number in range(0, 4000, 2)}
    layout = dynamic(4000 * MIB, blocks=blocks).layout()
    expected = model_extents(layout.build().model)
    expected[bad] = (bad * MIB, MIB, "reserved", 0, None, "lost")
    layout.set_entry(bad, 4)
    with opened(layout.build()) as disk:
        for offset in (0, (bad - 1) * MIB, bad * MIB):
            assert disk_extents(disk, offset) == expected[offset // MIB :]
        (lost,) = disk.lost()
        assert lost.finding is not None
        assert (lost.finding.rule, lost.finding.offset) == ("BAT-03", layout.bat_offset + bad * 8)


@pytest.mark.parametrize("entries", [{3: (4, 0), 4: (5, 0)}, {3: (4, 0), 4: (6, 0)}])
def test_what_is_lost_for_one_reason_is_one_extent(entries: dict[int, tuple[int, int]]) -> None:
    layout = dynamic(8 * MIB, blocks={}).layout()
    for number, entry in entries.items():
        layout.set_entry(number, *entry)
    with opened(layout.build()) as disk:
        rules = [row.finding and row.finding.rule for row in disk.lost()]
        assert rules == (["BAT-03"] if entries[4][0] == 5 else ["BAT-03", "BAT-09"])


@pytest.mark.parametrize("lost", [1, 512, 5000, MIB, 2 * MIB - 1])
@pytest.mark.parametrize("is_partial", [False, True])
def test_extents_of_a_cut_block_go_as_far_as_the_file(
    is_partial: bool, lost: int, tmp_path: Path
) -> None:
    block = partial(range(1, 4096)) if is_partial else Block()
    base = dynamic(4 * MIB, block_size=2 * MIB, blocks={0: Block()}).build()
    image = child_of(base, "base.vhdx", blocks={0: Block(), 1: block}, block_size=2 * MIB)
    made = Chain([base, image.build()], ["base.vhdx", "child.vhdx"]).write(tmp_path)
    with vhdx_kaitai.open(made.path) as disk:
        whole = disk_extents(disk)
        position = disk.chain[0].source.size - lost
        assert whole[-1][4] is not None
    os.truncate(made.path, position)
    expected = made.model.read(0, made.model.size)
    with vhdx_kaitai.open(made.path) as disk:
        gone = max(4 * MIB - lost, 2 * MIB + 512 * is_partial)
        assert [(row.offset, row.length) for row in disk.lost()] == [(gone, 4 * MIB - gone)]
        assert_adjacent(disk_extents(disk), 0, disk.size)
        assert_same(disk.pread(gone, 0), expected[:gone])
    with vhdx_kaitai.open(made.path, lost="zero") as disk:
        assert_same(disk.pread(disk.size, 0), expected[:gone] + bytes(disk.size - gone))


def test_what_a_cut_block_leaves_to_the_parent_is_still_read(tmp_path: Path) -> None:
    """Whatever there is past the end of the file."""
    sectors = (*range(100), 300, *range(1000, 1100), 2000)
    base = dynamic(4 * MIB, tag=7, others=Block()).build()
    image = child_of(base, "base.vhdx", blocks={1: Block(), 2: partial(*sectors)})
    made = Chain([base, image.build()], ["base.vhdx", "child.vhdx"]).write(tmp_path)
    whole = made.model.read(2 * MIB, MIB)
    with vhdx_kaitai.open(made.path) as disk:
        block = next(row.file_offset for row in disk.extents(2 * MIB))
        assert block is not None
    for left in (512 * 1050 + 100, 200, 0):
        os.truncate(made.path, block + left)
        with vhdx_kaitai.open(made.path) as disk:
            for sector in range(2048):
                start, stop = sector * 512, sector * 512 + 512
                if sector in sectors and stop > left:
                    with pytest.raises(FormatError, match="BAT-10"):
                        disk.pread(512, 2 * MIB + start)
                    if start < left:
                        assert disk.pread(left - start, 2 * MIB + start) == whole[start:left]
                else:
                    assert disk.pread(512, 2 * MIB + start) == whole[start:stop]
            assert_same(disk.pread(MIB, 3 * MIB), made.model.read(3 * MIB, MIB))
            gone = {n for n in sectors if n * 512 + 512 > left}
            found = {
                at // 512
                for row in disk.lost()
                for at in range(row.offset - 2 * MIB, row.offset + row.length - 2 * MIB, 512)
            }
            assert found == gone
            assert_adjacent(disk_extents(disk), 0, disk.size)
