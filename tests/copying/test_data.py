"""Ranges of data are all that is not zero, in their files, told one by one or in bulk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

import pytest

import vhdx_kaitai
from tests.conftest import Files
from tests.images.chain import GOOD_CHAINS
from tests.images.goods import GOODS
from tests.images.image import Block, Layout, differencing, dynamic
from tests.images.model import Model
from tests.images.sparse import Sparse
from tests.images.structures import FULLY_PRESENT, KIB, MIB, ZERO
from tests.reading_fixtures import (
    allocated,
    assert_same,
    contents,
    good_chain,
    model_extents,
    opened,
    run_program,
)
from tests.support import damaged, good, silent
from vhdx_kaitai import fast
from vhdx_kaitai.copying import bulk, data, raw
from vhdx_kaitai.copying.compare import Difference, compare
from vhdx_kaitai.copying.data import DataRange, data_ranges
from vhdx_kaitai.copying.rawdisk import RawDisk
from vhdx_kaitai.errors import FormatError, ParentNotFoundError
from vhdx_kaitai.reading import runs
from vhdx_kaitai.reading.disk import Disk

COMPLETE = [name for name in GOODS if good(name).model.parent or not good(name).image.has_parent]
T = TypeVar("T")

SMALL = [name for name in COMPLETE if good(name).model.size <= 64 * MIB]


WAYS = ["one by one", "without numpy", "in bulk", "in bulk, few at once", "more than can be held"]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Tell extents one by one to the end, or in bulk from the first or the fourth on."""
    if request.param != "one by one":
        monkeypatch.setattr(data, "_MANY_EXTENTS", 0)
    if request.param == "without numpy":
        monkeypatch.setattr(data, "_MANY_EXTENTS", 3)
        monkeypatch.setattr(fast, "has_numpy", lambda: False)
    if request.param == "in bulk, few at once":
        monkeypatch.setattr(data, "_MANY_EXTENTS", 3)
        monkeypatch.setattr(runs, "_MOST_BLOCKS", 5)
        monkeypatch.setattr(runs, "_MOST_SECTORS", 320)
    if request.param == "more than can be held":
        monkeypatch.setattr(bulk, "_MOST_RANGES", 1)
    return str(request.param)


def assert_right(disk: Disk, model: Model, offset: int, end: int) -> None:
    """Show that ranges are in order, what is between them is zero, and files hold what is in them.

    What images say is zero is in none of them.
    """
    whole = contents(model)
    extents = model_extents(model, offset, end - offset)
    is_zero = {row[0]: row[1] for row in extents if row[5] == "zero"}
    position = offset
    for start, stop, file, distance in data_ranges(disk, offset, end):
        assert position <= start < stop <= end
        assert_same(whole[position:start], bytes(start - position), position)
        if file is not None:
            stored = os.pread(file.fd, stop - start, start + distance)
            assert_same(stored, whole[start:stop], start)
        for low, length in is_zero.items():
            assert stop <= low or low + length <= start
        position = stop
    assert_same(whole[position:end], bytes(end - position), position)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", SMALL)
def test_ranges_hold_what_is_not_zero(name: str, files: Files) -> None:
    model = good(name).model
    with vhdx_kaitai.open(files.good(name)) as disk:
        assert_right(disk, model, 0, disk.size)
        third = disk.size // 3
        assert_right(disk, model, third, max(third, disk.size - 512))
        assert list(data_ranges(disk, 512, 512)) == []


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", SMALL[::3])
def test_so_do_those_of_what_is_no_local_file(name: str) -> None:
    built = good(name)
    with opened(built) as disk:
        assert_right(disk, built.model, 0, disk.size)
        assert {piece.file for piece in data_ranges(disk, 0, disk.size)} <= {None}


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", GOOD_CHAINS)
def test_ranges_of_a_chain_are_in_the_files_of_its_images(name: str, tmp_path: Path) -> None:
    made = good_chain(name).write(tmp_path)
    with vhdx_kaitai.open(made.path) as disk:
        assert_right(disk, made.model, 0, disk.size)


@pytest.mark.usefixtures("way")
def test_blocks_that_share_a_place_are_told_each(tmp_path: Path) -> None:
    """Which reading does not refuse; nor that one begins inside another."""
    size = 2 * MIB
    blocks = {
        0: Block(data=Sparse(size, {MIB - 4096: b"x" * 4096, size - 4096: b"x" * 4096})),
        1: Block(data=Sparse(size, {0: b"y" * 4096, MIB: b"y" * 4096})),
        2: Block(data=Sparse(size, {MIB: b"z" * MIB})),
    }
    layout = dynamic(11 * size, block_size=size, blocks=blocks).layout()
    first = layout.payload[0]
    assert [place - first for place in layout.payload.values()] == [0, size, 2 * size]
    places = {0: 0, 1: size, 2: 2 * size, 4: 0, 6: size, 7: MIB, 9: 0}
    for number, place in places.items():
        layout.set_entry(number, FULLY_PRESENT, first + place)
    path = layout.build().write(tmp_path / "image.vhdx")
    stored = path.read_bytes()[first:]
    whole = b"".join(
        stored[places[number] :][:size] if number in places else bytes(size) for number in range(11)
    )
    covered = bytearray(len(whole))
    with vhdx_kaitai.open(path) as disk:
        for start, end, file, distance in data_ranges(disk, 0, disk.size):
            assert file is not None
            assert start < end
            assert os.pread(file.fd, end - start, start + distance) == whole[start:end]
            assert covered.count(1, start, end) == 0
            covered[start:end] = b"\1" * (end - start)
    for page in range(0, len(whole), 4096):
        is_data = any(whole[page : page + 4096])
        assert covered[page : page + 4096] == bytes([is_data]) * 4096


@pytest.mark.usefixtures("way")
def test_what_a_missing_parent_has_is_told_and_read_in_vain() -> None:
    blocks = {number: Block(ZERO) for number in range(0, 12, 2)}
    built = differencing(12 * MIB, blocks=blocks).build()
    with opened(built, resolve_parents=False) as disk:
        ranges = list(data_ranges(disk, 0, disk.size))
        odd = range(1, 12, 2)
        assert ranges == [DataRange(n * MIB, (n + 1) * MIB, None, 0) for n in odd]
        with pytest.raises(ParentNotFoundError):
            disk.pread(512, ranges[-1].start)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", ["bat-state-4", "bat-block-past-the-end"])
def test_what_is_lost_is_told_and_read_in_vain(name: str) -> None:
    with opened(damaged(name)) as disk:
        (lost,) = disk.lost()
        ranges = list(data_ranges(disk, 0, disk.size))
        assert DataRange(lost.offset, lost.offset + lost.length, None, 0) in ranges
        with pytest.raises(FormatError) as caught:
            disk.pread(lost.length, lost.offset)
        assert caught.value.finding == lost.finding


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", ["bat-state-4", "bat-block-past-the-end"])
def test_what_is_lost_is_left_out_where_it_reads_as_zeros(name: str) -> None:
    with opened(damaged(name)) as disk:
        (lost,) = disk.lost()
        others = [row for row in data_ranges(disk, 0, disk.size) if row.start != lost.offset]
    with opened(damaged(name), lost="zero") as disk:
        assert [row[:2] for row in data_ranges(disk, 0, disk.size)] == [row[:2] for row in others]
        assert disk.pread(lost.length, lost.offset) == bytes(lost.length)


# -- a disk in many parts -----------------------------------------------------------------------


COUNT = 20_000
STORED = {0: b"x" * 4096, 8_194: b"y" * 8192, 12_000: b"z" * 4096, COUNT - 2: b"end"}


def alternating(stored: dict[int, bytes] = STORED) -> Layout:
    """Return a disk of which each second block is stored, nearly all of them as holes."""
    hole = Sparse(MIB)
    blocks = {
        number: Block(data=Sparse(MIB, {0: stored[number]}) if number in stored else hole)
        for number in range(0, COUNT, 2)
    }
    return dynamic(COUNT * MIB, blocks=blocks).layout()


@pytest.fixture(scope="module")
def many_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk of 20,000 extents."""
    return alternating().build().write(tmp_path_factory.mktemp("alternating") / "one.vhdx")


def test_a_disk_in_many_parts_is_converted(many_parts: Path, tmp_path: Path) -> None:
    assert COUNT > 2 * data._MANY_EXTENTS
    out = tmp_path / "out.raw"
    with vhdx_kaitai.open(many_parts) as disk:
        raw.convert(disk, str(out), 0, disk.size, silent)
    assert out.stat().st_size == COUNT * MIB
    assert allocated(out) <= 64 * KIB
    for number, stored in STORED.items():
        with out.open("rb") as file:
            file.seek(number * MIB)
            assert file.read(MIB) == stored.ljust(MIB, b"\0")


def test_disks_in_many_parts_are_compared(many_parts: Path, tmp_path: Path) -> None:
    """Up to a difference in the last of them."""
    changed = {**STORED, COUNT - 2: b"and"}
    path = alternating(changed).build().write(tmp_path / "two.vhdx")
    out = tmp_path / "out.raw"
    run_program("truncate", "-s", str(COUNT * MIB), out)
    with out.open("r+b") as file:
        for number, stored in STORED.items():
            file.seek(number * MIB)
            file.write(stored)
    raw_disk = RawDisk(str(out))
    with vhdx_kaitai.open(many_parts) as one, vhdx_kaitai.open(path) as two:
        assert compare(one, one, silent) is None
        assert compare(one, raw_disk, silent) is None
        assert compare(raw_disk, one, silent) is None
        at = (COUNT - 2) * MIB
        assert compare(one, two, silent) == Difference(at, "0x65 against 0x61")
        assert compare(two, raw_disk, silent) == Difference(at, "0x61 against 0x65")
    raw_disk.close()


@pytest.mark.parametrize("bad", [9_001, COUNT - 1])
def test_damage_in_one_of_many_parts_is_told_after_a_difference_before_it(
    bad: int, many_parts: Path, tmp_path: Path
) -> None:
    layouts = [alternating(), alternating({**STORED, 8_194: b"Y" * 8192})]
    paths = []
    for number, layout in enumerate(layouts):
        layout.set_entry(bad, 4)
        paths.append(layout.build().write(tmp_path / f"{number}.vhdx"))
    same, other = paths
    with vhdx_kaitai.open(many_parts) as sound:
        with vhdx_kaitai.open(same) as disk:
            with pytest.raises(FormatError, match=f"of block {bad} at .*: State 4"):
                compare(sound, disk, silent)
            with pytest.raises(FormatError, match=f"of block {bad} at .*: State 4"):
                raw.convert(disk, str(tmp_path / "out.raw"), 0, disk.size, silent)
        with vhdx_kaitai.open(other) as disk:
            assert compare(sound, disk, silent) == Difference(8_194 * MIB, "0x79 against 0x59")
    assert not (tmp_path / "out.raw").exists()
