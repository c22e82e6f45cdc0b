"""A file becomes as small as it can, the disk reads as before, and nothing else is touched."""

from __future__ import annotations

import contextlib
import errno
import os
import random
from pathlib import Path
from typing import Any

import pytest

import vhdx_kaitai
from tests.crash.compacting import IMAGES, OWN, events_of, is_smaller, least_length
from tests.crash.recorder import Faulty, Flush, Recorder, applied
from tests.crash.working import Subject
from tests.images.chain import chain
from tests.images.image import Block, dynamic, fixed
from tests.images.structures import MIB
from tests.reading_fixtures import qemu_img, run_program
from tests.support import damaged
from vhdx_kaitai import compact
from vhdx_kaitai.errors import FormatError, InUseError, UnsupportedError
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.storage import filesystems
from vhdx_kaitai.storage.target import FileTarget
from vhdx_kaitai.writing import compact as room
from vhdx_kaitai.writing.editor import begin_editing
from vhdx_kaitai.writing.session import Session

ZEROS = Block(data=b"")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Four blocks of zeros, four of data after them."""
    blocks = {n: ZEROS if n < 4 else Block() for n in range(8)}
    return dynamic(8 * MIB, blocks=blocks).build().write(tmp_path / "a.vhdx")


def held_in(path: Path) -> bytes:
    with vhdx_kaitai.open(path) as disk:
        return disk.pread(disk.size, 0)


def guids_of(path: Path) -> tuple[Any, Any]:
    with Image(path) as image:
        header = image.headers.current
        return header.file_write_guid, header.data_write_guid


@pytest.mark.parametrize("name", IMAGES)
def test_a_file_is_as_long_as_it_has_to_be(name: str) -> None:
    """With blocks of a MiB that is all that it needs; larger ones may fit into no hole."""
    written = IMAGES[name]()
    if not is_smaller(written):
        return
    subject = Subject(written)
    after = bytes(applied(subject.before, events_of(subject)))
    assert subject.read(Image(after)) == subject.contents
    length = least_length(written.image)
    if written.image.image.block_size == MIB:
        assert len(after) == length
    assert length <= len(after) < len(subject.before) + MIB
    assert vhdx_kaitai.check(after).verdict == "clean"


@pytest.mark.parametrize("name", ["shuffled", "child whose bitmaps go"])
def test_a_second_time_there_is_nothing_to_do(name: str) -> None:
    subject = Subject(OWN[name]())
    after = bytes(applied(subject.before, events_of(subject)))
    how = room._How(False, room._nothing, room._silent)
    assert room._plan(Image(after), how).changes == ()


def test_it_says_what_is_won_and_by_what(path: Path) -> None:
    before, held, guids = path.read_bytes(), held_in(path), guids_of(path)
    told = compact(path, dry_run=True)
    assert (told.is_changed, path.read_bytes()) == (False, before)
    assert [(change.what, change.before, change.after) for change in told.changes] == [
        ("blocks of zeros", "4 blocks of 4194304 bytes", "ZERO"),
        ("last blocks", "4 blocks of 4194304 bytes", "in holes of the file"),
        ("length of the file", "12582912 bytes", "8388608 bytes"),
    ]
    done = compact(path)
    assert (done.is_changed, done.is_locked, done.changes) == (True, True, told.changes)
    assert path.stat().st_size == 8 * MIB
    assert held_in(path) == held
    after = guids_of(path)
    assert after[0] != guids[0]
    assert after[1] == guids[1]
    before = path.read_bytes()
    assert compact(path).changes == ()
    assert path.read_bytes() == before


def test_children_keep_their_parent(tmp_path: Path) -> None:
    made = chain(3).write(tmp_path)
    held = held_in(made.path)
    for level in made.paths:
        compact(level)
        assert held_in(made.path) == held


def test_a_fixed_disk_is_left_alone(tmp_path: Path) -> None:
    path = fixed(3 * MIB, others=ZEROS).build().write(tmp_path / "a.vhdx")
    before = path.read_bytes()
    assert compact(path, punch=True).changes == ()
    assert path.read_bytes() == before


def test_what_is_refused_stays_as_it_is(path: Path, tmp_path: Path) -> None:
    broken = damaged("bat-reserved-bit-low").write(tmp_path / "broken.vhdx")
    before = broken.read_bytes()
    with pytest.raises(FormatError, match="BAT-02"):
        compact(broken)
    assert broken.read_bytes() == before
    with vhdx_kaitai.open(path, writable=True), pytest.raises(InUseError):
        compact(path)


# -- holes ----------------------------------------------------------------------------------------


def test_pages_of_zeros_become_holes(tmp_path: Path) -> None:
    size = 4 * MIB
    data = bytearray(size)
    data[MIB : MIB + 8192] = b"d" * 8192
    blocks = {0: ZEROS, 1: Block(data=bytes(data)), 2: Block(data=bytes(data))}
    image = dynamic(12 * MIB, block_size=size, blocks=blocks)
    path = tmp_path / "a.vhdx"
    path.write_bytes(image.build().to_bytes())  # nothing of it is a hole
    held, stored = held_in(path), path.stat().st_blocks
    told = compact(path, punch=True, dry_run=True).changes
    assert ("pages of zeros in blocks", f"{2 * (size - 8192)} bytes stored", "holes") in told
    assert path.stat().st_blocks == stored
    assert compact(path, punch=True).changes == told
    assert path.stat().st_blocks * 512 < 5 * MIB
    assert held_in(path) == held
    assert compact(path, punch=True).changes == ()


def test_space_that_belongs_to_nothing_becomes_a_hole(tmp_path: Path) -> None:
    blocks = {0: ZEROS, 1: Block(), 2: Block()}
    image = dynamic(12 * MIB, block_size=4 * MIB, blocks=blocks, gap=MIB, bat_offset=25 * MIB)
    path = tmp_path / "a.vhdx"
    path.write_bytes(image.build().to_bytes())
    held = held_in(path)
    changes = {change.what for change in compact(path, punch=True).changes}
    assert "space that belongs to nothing" in changes
    assert held_in(path) == held
    assert path.stat().st_blocks * 512 <= 13 * MIB
    assert compact(path, punch=True).changes == ()


def test_where_windows_refuses_holes_none_are_made(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()
    monkeypatch.setattr(filesystems, "refuses_holes", lambda _fd: True)
    for dry_run in (True, False):
        with pytest.raises(UnsupportedError, match="holes"):
            compact(path, punch=True, dry_run=dry_run)
    assert path.read_bytes() == before


def test_a_file_system_without_holes_is_told_and_all_else_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.vhdx"
    blocks = {0: ZEROS, 1: Block(data=b"data")}
    path.write_bytes(dynamic(2 * MIB, blocks=blocks).build().to_bytes())
    held = held_in(path)
    monkeypatch.setattr(FileTarget, "punch", lambda *_: False)
    with pytest.raises(UnsupportedError, match="all else was done"):
        compact(path, punch=True)
    assert path.stat().st_size == 5 * MIB
    assert held_in(path) == held


# -- when something is in the way -----------------------------------------------------------------


class _StopError(Exception):
    pass


@pytest.mark.parametrize("after", [0, 5, 8, 9, 10, 12])
def test_who_stops_it_finds_the_image_in_order(
    path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first eight calls come from the look at the blocks; nothing is changed by then."""
    monkeypatch.setattr(room, "_MOST_COPIED", MIB)
    before, held, calls = path.read_bytes(), held_in(path), []

    def stop(done: int) -> None:
        calls.append(done)
        if len(calls) > after:
            raise _StopError

    with pytest.raises(_StopError):
        compact(path, progress=stop)
    assert calls == sorted(calls)
    assert held_in(path) == held
    assert (path.read_bytes() == before) == (after < 8)
    report = vhdx_kaitai.check(path)
    assert report.verdict == "clean"
    with Image(path) as image:
        assert image.replayed is None
    compact(path)
    assert path.stat().st_size == 8 * MIB


@pytest.mark.parametrize("kind", ["copy", "any"])
def test_errors_of_the_system_leave_the_disk_as_it_was(kind: str) -> None:
    """A copy that fails for want of space ends the work in good order."""
    subject = Subject(OWN["shuffled"]())
    chance = random.Random(1)
    count = len([event for event in events_of(subject) if not isinstance(event, Flush)])
    for number in range(count):
        counts = (lambda event: getattr(event, "length", 0) == MIB) if kind == "copy" else None
        error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        file = Faulty(subject.before, number, error, chance.random(), counts=counts)
        with contextlib.suppress(OSError):
            _compact(file)
        image = Image(bytes(file.data))
        assert subject.read(image) == subject.contents
        assert vhdx_kaitai.check(bytes(file.data)).verdict in ("clean", "warnings")
        if kind == "copy":
            assert image.replayed is None
        if not file.has_failed:
            break


def _compact(file: Recorder) -> None:
    image = Image(file)
    how = room._How(False, room._nothing, room._silent)
    plan = room._plan(image, how)
    session = Session(file, image.headers)
    editor = begin_editing(session, image, for_data=False)
    stopped: list[BaseException] = []
    with session.critical():
        room._carry_out(editor, plan, how, stopped)
        editor.end()
    if stopped:
        raise stopped[0]


# -- others ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("punch", [False, True])
def test_others_read_the_same_disk(tmp_path: Path, punch: bool) -> None:
    path = tmp_path / "a.vhdx"
    chance = random.Random(5)
    vhdx_kaitai.create(path, 64 * MIB, block_size=MIB)
    with vhdx_kaitai.open(path, writable=True) as disk:
        for block in chance.sample(range(64), 40):
            disk.pwrite(chance.randbytes(5000), block * MIB + chance.randrange(MIB - 5000))
        for block in range(0, 64, 3):
            disk.pwrite(bytes(MIB), block * MIB)
        disk.discard(7 * MIB, 20 * MIB)
    held = held_in(path)
    qemu_img("convert", "-f", "vhdx", "-O", "raw", path, tmp_path / "before.raw")
    compact(path, punch=punch)
    assert held_in(path) == held
    qemu_img("check", "-q", path)
    qemu_img("compare", "-f", "vhdx", "-F", "raw", path, tmp_path / "before.raw")
    run_program(("7z", "7zz"), "t", "-tVHDX", path)
