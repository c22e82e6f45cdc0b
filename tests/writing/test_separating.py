"""Blocks that share space of the file get each its own, and the disk reads the same meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

import vhdx_kaitai
from tests.crash.machine import cuts
from tests.crash.recorder import Recorder, Write, applied
from tests.images.image import Block, Built, dynamic
from tests.images.structures import FULLY_PRESENT, GIB, MIB, UNMAPPED
from tests.support import damaged
from tests.writing.repairing import EVERYTHING
from vhdx_kaitai import repair, undo_repair
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.writing.rehearsal import Rehearsal
from vhdx_kaitai.writing.repair import _plan
from vhdx_kaitai.writing.undo import Undo

SIZE = 2 * MIB  # of a block


def sharing() -> tuple[Built, bytes]:
    """An image whose blocks 0 and 1 are in one place, as are halves of 2 and 3, and its disk."""
    blocks = {number: Block() for number in range(4)}
    layout = dynamic(5 * SIZE, block_size=SIZE, blocks=blocks).layout()
    built = layout.build()
    disk = bytearray(built.model.read(0, 5 * SIZE))
    disk[SIZE : 2 * SIZE] = disk[:SIZE]
    disk[3 * SIZE :] = disk[2 * SIZE + MIB : 3 * SIZE + MIB] + bytes(SIZE)
    layout.set_entry(1, FULLY_PRESENT, layout.payload[0])
    layout.set_entry(3, FULLY_PRESENT, layout.payload[2] + MIB)
    assert layout.payload[3] == layout.payload[2] + SIZE
    return layout.build(), bytes(disk)


def disk_of(source: Path | bytes) -> bytes:
    with vhdx_kaitai.open(source) as disk:
        return disk.pread(disk.size, 0)


def places_of(path: Path, count: int) -> list[int]:
    with Image(path, replay="refuse") as image:
        return [image.bat.entry(image.geometry.payload_index(n)) >> 20 << 20 for n in range(count)]


def test_each_gets_its_own_copy_only_when_asked_for(tmp_path: Path) -> None:
    built, disk = sharing()
    path = built.write(tmp_path / "disk.vhdx")
    before = path.read_bytes()
    refused = repair(path, write=True, fill_cut=True, forget_lost=True)
    assert (refused.items, path.read_bytes()) == ((), before)
    why = "4 blocks share space with others; --split (split=True) gives each a copy of its own"
    reasons = {left.rule: left.why for left in refused.left}
    assert (reasons["BAT-08"], reasons["OVL-06"]) == (why, why)
    told = repair(path, split=True)
    assert path.read_bytes() == before
    done = repair(path, write=True, split=True)
    assert (done.items, done.verdict) == (told.items, "clean")
    assert disk_of(path) == disk
    first, second, third, fourth = places_of(path, 4)
    payload = built.layout.payload
    assert (first, third) == (payload[0], payload[2])
    assert (second, fourth) == (len(before), len(before) + SIZE)
    undo_repair(path, f"{path}.undo")
    assert path.read_bytes() == before


def test_what_is_doubtful_is_told_for_each_block(tmp_path: Path) -> None:
    built, _ = sharing()
    (item,) = repair(built.write(tmp_path / "disk.vhdx"), split=True).items
    payload = built.layout.payload
    assert item.doubtful == (
        (0, SIZE, payload[0]),
        (SIZE, SIZE, payload[0]),
        (2 * SIZE + MIB, MIB, payload[2] + MIB),
        (3 * SIZE, MIB, payload[2] + MIB),
    )
    assert item.lost_ranges == ()
    assert "at most one" in item.lost


def test_what_is_written_to_one_is_not_seen_in_the_other(tmp_path: Path) -> None:
    built, before = sharing()
    path = built.write(tmp_path / "disk.vhdx")
    repair(path, write=True, split=True)
    disk = bytearray(before)
    with vhdx_kaitai.open(path, writable=True) as writer:
        for block in range(4):
            data = bytes([block + 1]) * 4096
            writer.pwrite(data, block * SIZE + MIB)
            disk[block * SIZE + MIB : block * SIZE + MIB + 4096] = data
    assert disk_of(path) == disk


def test_children_keep_their_parent(tmp_path: Path) -> None:
    built, _ = sharing()
    path = built.write(tmp_path / "disk.vhdx")
    path.with_name("disk.vhdx.rct").touch()
    assert repair(path, write=True, split=True).is_changed
    with Image(path) as image:
        guid = image.headers.current.data_write_guid
    assert guid == built.model.current_header.data_write_guid


def test_a_sector_bitmap_stays_where_it_is(tmp_path: Path) -> None:
    built = damaged("bat-bitmap-over-a-block")
    path = built.write(tmp_path / "disk.avhdx")
    place = built.layout.payload[6]
    stored = path.read_bytes()[place : place + MIB]
    outcome = repair(path, write=True, split=True)
    assert [item.rule for item in outcome.items] == ["BAT-08"]
    assert [(doubt.offset, doubt.file_offset) for doubt in outcome.items[0].doubtful] == [
        (6 * MIB, place)
    ]
    copy = places_of(path, 7)[6]
    assert copy == built.length
    assert path.read_bytes()[copy : copy + MIB] == stored == path.read_bytes()[place : place + MIB]


@pytest.mark.parametrize("state", [FULLY_PRESENT, UNMAPPED])
def test_nothing_is_put_where_something_past_the_end_has_its_place(
    state: int, tmp_path: Path
) -> None:
    layout = sharing()[0].layout
    layout.set_entry(4, state, GIB)
    path = layout.build().write(tmp_path / "disk.vhdx")
    outcome = repair(path, split=True)
    assert outcome.items == ()
    assert "past the end" in next(left.why for left in outcome.left if left.rule == "BAT-08")


def test_holes_are_copied_as_holes(tmp_path: Path) -> None:
    size = 256 * MIB
    blocks = {0: Block(data=b"first"), 1: Block(data=b"")}
    layout = dynamic(4 * size, block_size=size, blocks=blocks).layout()
    for block in (2, 3):
        layout.set_entry(block, FULLY_PRESENT, layout.payload[0])
    path = layout.build().write(tmp_path / "disk.vhdx")
    assert repair(path, write=True, split=True).verdict == "clean"
    with vhdx_kaitai.open(path) as disk:
        read = [disk.pread(5, block * size) for block in range(4)]
        assert (disk.pread(3, 4 * size - 3), read) == (
            bytes(3),
            [b"first", bytes(5), *2 * [b"first"]],
        )
    assert path.stat().st_size > 4 * size
    assert path.stat().st_blocks * 512 < 16 * MIB


def test_blocks_of_a_large_disk_that_are_in_order_are_no_obstacle(tmp_path: Path) -> None:
    blocks = {100 * number: Block(data=bytes([number + 1])) for number in range(64)}
    layout = dynamic(40 * GIB, blocks=blocks).layout()
    layout.set_entry(40_000, FULLY_PRESENT, layout.payload[300])
    path = layout.build().write(tmp_path / "disk.vhdx")
    outcome = repair(path, write=True, split=True)
    assert ([item.rule for item in outcome.items], outcome.verdict) == (["BAT-08"], "clean")
    with vhdx_kaitai.open(path) as disk:
        for block in (*blocks, 40_000):
            first = 3 if block == 40_000 else block // 100
            assert disk.pread(2, block * MIB) == bytes([first + 1, 0])
    assert path.stat().st_blocks * 512 < 4 * MIB


class StoppedError(Exception):
    """Whoever is told of progress wants no more."""


@pytest.mark.parametrize("when", range(5))
def test_it_is_stopped_amid_the_copies(when: int, tmp_path: Path) -> None:
    built, disk = sharing()
    path = built.write(tmp_path / "disk.vhdx")
    before = path.read_bytes()
    told: list[int] = []

    def stop(done: int) -> None:
        told.append(done)
        if done >= when * MIB > 0:
            raise StoppedError

    if when:
        with pytest.raises(StoppedError):
            repair(path, write=True, split=True, progress=stop)
    else:
        repair(path, write=True, split=True, progress=stop)
        assert [done for done in told if done] == [MIB, 2 * MIB, 3 * MIB, 4 * MIB, 4 * MIB]
    assert disk_of(path) == disk
    undo_repair(path, f"{path}.undo")
    assert path.read_bytes() == before


# -- the power fails ----------------------------------------------------------------------------


def separated() -> tuple[bytes, bytes, Recorder, Undo]:
    """Return a file, the disk in it, the file to which all was done, and what takes it back."""
    built, disk = sharing()
    stored = built.to_bytes()
    rehearsal, file = Rehearsal(Recorder(stored)), Recorder(stored)
    assert _plan(rehearsal, None, EVERYTHING._replace(split=True)).items
    for step in rehearsal.steps:
        step.do(file)
    return stored, disk, file, Undo.of(rehearsal)


def test_the_disk_reads_the_same_whatever_a_cut_leaves() -> None:
    stored, disk, file, undo = separated()
    for cut in cuts(stored, file.events, 15, 1):
        assert disk_of(bytes(cut.data)) == disk, cut.what
        errors = {f.rule for f in vhdx_kaitai.check(bytes(cut.data)).findings if f.level == "error"}
        assert errors <= {"BAT-08", "OVL-06"}, cut.what
        left = Recorder(bytes(cut.data))
        undo.refuse_other(left)
        undo.bring_back(left)
        assert bytes(applied(bytes(cut.data), left.events)) == stored, cut.what
    assert vhdx_kaitai.check(bytes(applied(stored, file.events))).verdict == "clean"


def test_without_the_copies_on_the_medium_a_cut_leaves_another_disk() -> None:
    """The mutant of the rule that copies are on the medium before an entry leads there."""
    stored, disk, file, _ = separated()
    copies = [e for e in file.events if isinstance(e, Write) and e.offset >= len(stored)]
    assert sum(copy.length for copy in copies) == 2 * SIZE
    mutant = [*(event for event in file.events if event not in copies), *copies]
    assert any(disk_of(bytes(cut.data)) != disk for cut in cuts(stored, mutant, 60, 1))
