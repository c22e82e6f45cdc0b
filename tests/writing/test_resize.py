"""Disks get another size: what both have stays, what is new reads as zeros."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vhdx_kaitai
from tests.crash.recorder import Faulty, Length
from tests.crash.sizes import MAKERS, larger, larger_fixed, larger_with_a_new_bat, smaller
from tests.images.chain import chain
from tests.images.image import Block, dynamic, fixed
from tests.images.partitioned import LINUX, gpt, mbr
from tests.images.structures import GIB, MIB, TIB, ZERO
from tests.support import damaged, fewer, good
from vhdx_kaitai import resize
from vhdx_kaitai.errors import FailedError, FormatError, ParentNotFoundError, UnsafeError
from vhdx_kaitai.format.metadata import DiskType
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.writing.session import Change


def new(path: Path, size: int, data: bytes = b"", **options: Any) -> Path:
    """Make an image on whose disk something is stored from its start."""
    vhdx_kaitai.create(path, size, **options)
    write(path, data, 0)
    return path


def write(path: Path, data: bytes, offset: int) -> None:
    with vhdx_kaitai.open(path, writable=True) as disk:
        disk.pwrite(data, offset)


def contents(path: Path) -> bytes:
    with vhdx_kaitai.open(path, replay="refuse") as disk:
        return disk.pread(disk.size, 0)


def size_of(path: Path) -> int:
    with vhdx_kaitai.open(path, resolve_parents=False) as disk:
        return disk.size


@pytest.mark.parametrize("disk_type", ["dynamic", "fixed"])
@pytest.mark.parametrize("sector", [512, 4096])
def test_a_disk_grows_and_shrinks(tmp_path: Path, disk_type: str, sector: int) -> None:
    size = 5 * MIB + sector
    data = bytes(range(1, 255)) * (size // 254)
    options = {"disk_type": disk_type, "block_size": MIB, "logical_sector_size": sector}
    path = new(tmp_path / "a.vhdx", size, data, **options)
    for wanted in (5 * MIB + 2 * sector, 9 * MIB, 40 * MIB + sector, 3 * MIB - sector, 8 * MIB):
        assert resize(path, wanted, force=True).is_changed
        data = data[:wanted].ljust(wanted, b"\0")
        assert contents(path) == data
        report = vhdx_kaitai.check(path)
        assert [str(f) for f in report.findings if f.rule != "BLK-13"] == []
        write(path, b"more", wanted - 4)
        data = data[:-4] + b"more"
    assert contents(path) == data


def test_it_says_what_it_changes(tmp_path: Path) -> None:
    path = new(tmp_path / "a.vhdx", 127 * GIB, b"x", block_size=MIB)
    with Image(path) as image:
        before = image.headers.current.data_write_guid
    told = resize(path, 200 * GIB, dry_run=True)
    assert (told.is_changed, size_of(path)) == (False, 127 * GIB)
    outcome = resize(path, 200 * GIB)
    assert outcome.changes == told.changes
    assert outcome.changes == (
        Change("size of the disk", "127 GiB (136365211648 bytes)", "200 GiB (214748364800 bytes)"),
        Change("blocks", "130048", "204800"),
        Change(
            "block allocation table",
            "1 MiB (1048576 bytes)",
            "2 MiB (2097152 bytes), at another place",
        ),
    )
    assert (outcome.is_changed, outcome.is_locked, outcome.replayed) == (True, True, None)
    with Image(path) as image:
        assert image.headers.current.data_write_guid != before
    assert vhdx_kaitai.check(path).findings == ()


def test_what_has_that_size_is_left_as_it_is(tmp_path: Path) -> None:
    path = new(tmp_path / "a.vhdx", 5 * MIB, b"x")
    before = path.read_bytes()
    assert resize(path, 5 * MIB) == (False, True, None, ())
    assert path.read_bytes() == before


def test_a_disk_of_64_tib_costs_neither_time_nor_room(tmp_path: Path) -> None:
    path = new(tmp_path / "a.vhdx", GIB, b"x" * MIB, block_size=MIB)
    resize(path, 64 * TIB)
    assert path.stat().st_blocks * 512 < 8 * MIB
    write(path, b"the end", 64 * TIB - 7)
    with vhdx_kaitai.open(path) as disk:
        assert disk.pread(10, MIB - 1) == b"x" + bytes(9)
        assert disk.pread(10, 64 * TIB - 8) == b"\0the end"
    resize(path, GIB, force=True)
    with vhdx_kaitai.open(path) as disk:
        assert disk.pread(10, MIB - 1) == b"x" + bytes(9)


@pytest.mark.parametrize("make", MAKERS[:4] + MAKERS[-5:], ids=lambda make: make.__name__)
def test_a_shrunk_disk_gives_back_the_end_of_its_file(make: Any) -> None:
    resized = make()
    file = Faulty(resized.before, 1 << 30, OSError())
    resized.do(file)
    is_smaller = resized.size < resized.old_size
    assert (len(file.data) < len(resized.before)) is is_smaller


@given(st.data())
@fewer(4)
def test_a_disk_is_what_was_done_to_it(data: st.DataObject) -> None:
    """Sizes come and go, and something is written between."""
    block = data.draw(st.sampled_from([MIB, 2 * MIB]))
    disk_type: DiskType = data.draw(st.sampled_from(["dynamic", "fixed"]))
    held = bytearray(data.draw(st.integers(1, 6 * 2048)) * 512)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.vhdx"
        vhdx_kaitai.create(path, len(held), disk_type=disk_type, block_size=block)
        for _ in range(data.draw(st.integers(1, 5))):
            with vhdx_kaitai.open(path, writable=True) as disk:
                at = data.draw(st.integers(0, len(held) - 1))
                piece = b"\xaa" * data.draw(st.integers(1, len(held) - at))
                disk.pwrite(piece, at)
                held[at : at + len(piece)] = piece
            size = data.draw(st.integers(1, 8 * 2048)) * 512
            resize(path, size, force=True)
            held = held[:size].ljust(size, b"\0")
            assert contents(path) == held
            report = vhdx_kaitai.check(path)
            assert [f for f in report.findings if f.level in ("error", "warning")] == []


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "rule"), [(0, "ITEM-13"), (5 * MIB + 1, "ITEM-11"), (64 * TIB + 512, "ITEM-12")]
)
def test_no_disk_has_such_a_size(tmp_path: Path, size: int, rule: str) -> None:
    path = new(tmp_path / "a.vhdx", 5 * MIB, b"x")
    before = path.read_bytes()
    with pytest.raises(ValueError, match=rule):
        resize(path, size, force=True)
    assert path.read_bytes() == before


def test_either_a_size_or_the_minimum(tmp_path: Path) -> None:
    for options in ({}, {"size": 5, "minimum": True}):
        with pytest.raises(ValueError, match="either"):
            resize(tmp_path / "a.vhdx", **options)  # type: ignore[arg-type]


def test_a_damaged_image_is_left_as_it_is(tmp_path: Path) -> None:
    path = damaged("bat-reserved-bit-low").write(tmp_path / "a.vhdx")
    before = path.read_bytes()
    for dry_run in (True, False):
        with pytest.raises(FormatError, match="BAT-02"):
            resize(path, 64 * MIB, dry_run=dry_run)
    assert path.read_bytes() == before


def test_a_parent_keeps_its_size_unless_it_is_forced(tmp_path: Path) -> None:
    made = chain(2).write(tmp_path)
    size = size_of(made.paths[0])
    with pytest.raises(UnsafeError, match="1 child of it"):
        resize(made.paths[0], size + MIB)
    resize(made.paths[0], size + MIB, force=True)
    assert size_of(made.paths[0]) == size + MIB


def test_a_child_needs_its_parent(tmp_path: Path) -> None:
    made = chain(2).write(tmp_path)
    parent = made.paths[0].rename(tmp_path / "elsewhere.bin")
    before = made.path.read_bytes()
    with pytest.raises(ParentNotFoundError):
        resize(made.path, 64 * MIB)
    assert made.path.read_bytes() == before
    size = size_of(made.path)
    resize(made.path, 64 * MIB, parent=parent)
    with vhdx_kaitai.open(made.path, parent=parent) as disk:
        assert disk.pread(size, 0) == made.model.read(0, size)
        assert not any(disk.pread(64 * MIB, size))


@pytest.mark.parametrize("name", ["dirty-everything", "items-in-another-order", "fixed-plain"])
def test_images_of_all_kinds_get_another_size(name: str, tmp_path: Path) -> None:
    built = good(name)
    path = built.write(tmp_path / "a.vhdx")
    size = built.model.size
    resize(path, size + 3 * MIB)
    assert contents(path) == built.model.read(0, size) + bytes(3 * MIB)
    resize(path, MIB, force=True)
    assert contents(path) == built.model.read(0, MIB)


# -- what would be lost ---------------------------------------------------------------------------


def test_without_partitions_only_zeros_are_cut_off(tmp_path: Path) -> None:
    path = new(tmp_path / "a.vhdx", 9 * MIB, bytes(5 * MIB - 1) + b"x", block_size=MIB)
    with pytest.raises(UnsafeError, match=r"no partition table.* stored at 5242879.*--force"):
        resize(path, 5 * MIB - 512)
    with pytest.raises(UnsafeError, match="give a size"):
        resize(path, minimum=True, force=True)
    resize(path, 5 * MIB)
    resize(path, 2 * MIB, force=True)
    assert contents(path) == bytes(2 * MIB)


def test_no_partition_is_cut_unless_that_is_forced(tmp_path: Path) -> None:
    path = new(tmp_path / "a.vhdx", 64 * MIB, mbr((LINUX, 2048, 10000)), block_size=MIB)
    end = 12048 * 512
    with pytest.raises(UnsafeError, match=rf"ends at {end}, past the new end at {end - 512}"):
        resize(path, end - 512)
    assert size_of(path) == 64 * MIB
    resize(path, end)
    assert size_of(path) == end
    resize(path, minimum=True)
    assert size_of(path) == end
    resize(path, MIB, force=True)
    assert size_of(path) == MIB


def test_the_minimum_leaves_room_for_the_backup_of_a_gpt(tmp_path: Path) -> None:
    path = new(tmp_path / "a.vhdx", 64 * MIB, block_size=MIB)
    for at, data in gpt(64 * 2048, [(2048, 8191)]).items():
        write(path, data, at * 512)
    least = 4 * MIB + 33 * 512
    with pytest.raises(UnsafeError, match="backup of the GPT takes 16896 more"):
        resize(path, least - 512)
    told = resize(path, least, dry_run=True)
    assert told.changes[-1].what == "backup of the GPT"
    assert "sgdisk -e" in told.changes[-1].after
    resize(path, minimum=True)
    assert size_of(path) == 5 * MIB
    assert resize(path, 6 * MIB).changes[-1].after.startswith("before the end")


def test_a_damaged_gpt_leaves_the_size_as_it_is(tmp_path: Path) -> None:
    path = new(tmp_path / "a.vhdx", 64 * MIB, gpt(9999, [(64, 99)])[0], block_size=MIB)
    with pytest.raises(UnsafeError, match="neither copy of the GPT"):
        resize(path, 63 * MIB)
    assert resize(path, minimum=True).changes == ()
    resize(path, 63 * MIB, force=True)


def test_a_parent_says_where_the_partitions_of_a_child_end(tmp_path: Path) -> None:
    parent = new(tmp_path / "p.vhdx", 64 * MIB, mbr((LINUX, 2048, 10000)), block_size=MIB)
    child = tmp_path / "c.vhdx"
    vhdx_kaitai.create(child, parent=parent)
    with pytest.raises(UnsafeError, match="last partition"):
        resize(child, MIB)
    resize(child, minimum=True)
    assert size_of(child) == 6 * MIB
    with vhdx_kaitai.open(child) as disk:
        assert disk.pread(512, 0) == mbr((LINUX, 2048, 10000))


# -- what fails -----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [larger, larger_with_a_new_bat, larger_fixed, smaller])
def test_after_any_failure_the_image_is_in_order(make: Any) -> None:
    resized = make()
    count = len(resized.events())
    for number in range(count):
        file = Faulty(resized.before, number, OSError(errno.EIO, "no"), 0.5)
        with pytest.raises((OSError, FailedError)):
            resized.do(file)
        wrong = resized.wrong_with(file.data, thoroughly=True)
        assert wrong is None, (number, file.failed, wrong)


def test_without_space_the_disk_keeps_its_size_and_the_file_its_length() -> None:
    resized = larger_fixed()
    error = OSError(errno.ENOSPC, "no")
    file = Faulty(resized.before, 0, error, counts=lambda event: isinstance(event, Length))
    with pytest.raises(OSError, match="no"):
        resized.do(file)
    assert len(file.data) == len(resized.before)
    assert resized.wrong_with(file.data, thoroughly=True) is None
    assert Image(file.data, replay="refuse").metadata.virtual_disk_size == resized.old_size


def test_who_stops_it_keeps_the_old_size(tmp_path: Path) -> None:
    path = tmp_path / "a.vhdx"
    blocks = {number: Block(ZERO) for number in range(0, 100000, 1000)}
    dynamic(127 * GIB, blocks=blocks).build().write(path)
    length = path.stat().st_size

    def stop(_done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        resize(path, 200 * GIB, progress=stop)
    assert (size_of(path), path.stat().st_size) == (127 * GIB, length)
    assert vhdx_kaitai.check(path).verdict == "clean"
    assert resize(path, 200 * GIB).is_changed


def test_a_fixed_disk_gets_its_room_at_once(tmp_path: Path) -> None:
    path = fixed(3 * MIB).build().write(tmp_path / "a.vhdx")
    resize(path, 40 * MIB)
    assert path.stat().st_blocks * 512 >= 40 * MIB
    with vhdx_kaitai.open(path) as disk:
        assert disk.image.bat.count_states()[6] == 40
