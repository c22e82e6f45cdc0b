"""What a repair has changed is taken back in the file to which it belongs, and in no other."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

import vhdx_kaitai
from tests.crash.machine import cuts
from tests.crash.recorder import Recorder, applied
from tests.images.damage import DAMAGES
from tests.images.image import Built
from tests.images.structures import MIB
from tests.support import damaged
from tests.writing.repairing import rehearsed
from vhdx_kaitai import repair, undo_repair
from vhdx_kaitai.errors import UnsafeError
from vhdx_kaitai.storage.source import open_source
from vhdx_kaitai.writing.undo import Undo, read_undo

# Of each kind: a header, a region table, the length, and pages by the log.
KINDS = ["header-2-missing", "region-table-1-missing", "bat-block-over-the-end"]
KINDS += ["file-length-odd", "bat-reserved-bit-low", "metadata-reserved2-not-zero"]


def repaired(name: str, path: Path) -> bytes:
    """Repair an image, and return what it was; the dump is in the file `dump` beside it."""
    before = damaged(name).write(path).read_bytes()
    assert repair(path, write=True, fill_cut=True, undo=path.with_name("dump")).is_changed
    return before


def refused(path: Path) -> str:
    """Take back what the dump says, which is refused and changes nothing; return why."""
    before = path.read_bytes()
    with pytest.raises(UnsafeError) as raised:
        undo_repair(path, path.with_name("dump"))
    assert path.read_bytes() == before
    assert raised.value.path == str(path)
    assert "--force (force=True) restores it all the same" in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("name", KINDS)
def test_another_name_does_not_matter_and_once_more_does_no_harm(name: str, tmp_path: Path) -> None:
    path = tmp_path / "disk.vhdx"
    before = repaired(name, path)
    moved = path.rename(tmp_path / "moved.vhdx")
    for _ in range(2):
        undo_repair(moved, tmp_path / "dump")
        assert moved.read_bytes() == before


@pytest.mark.parametrize("name", KINDS)
def test_another_file_is_left_alone(name: str, tmp_path: Path) -> None:
    before = repaired(name, tmp_path / "disk.vhdx")
    layout = DAMAGES[name].build().layout  # not the one that other tests have
    for number, header in enumerate(layout.headers):
        header.file_write_guid = UUID(int=number + 1)
    other = tmp_path / "other.vhdx"
    other.write_bytes(layout.pack().to_bytes())
    for _ in range(2):  # as damaged as the other one, then repaired, too
        assert "the dump is of another file, or this one was written to since" in refused(other)
        repair(other, write=True, fill_cut=True)
    undo_repair(other, tmp_path / "dump", force=True)
    assert other.read_bytes()[64 * 1024 : 68 * 1024] == before[64 * 1024 : 68 * 1024]


@pytest.mark.parametrize("name", KINDS)
def test_what_was_written_to_since_is_left_alone(name: str, tmp_path: Path) -> None:
    path = tmp_path / "disk.vhdx"
    before = repaired(name, path)
    with vhdx_kaitai.open(path, writable=True) as disk:
        disk.pwrite(b"new", 3 * MIB)
    refused(path)
    undo_repair(path, tmp_path / "dump", force=True)
    assert path.read_bytes()[: MIB // 2] == before[: MIB // 2]


def test_a_length_or_a_byte_that_is_none_of_the_repair_tells(tmp_path: Path) -> None:
    path = tmp_path / "disk.vhdx"
    repaired("bat-block-over-the-end", path)
    whole = path.read_bytes()
    for wrong in (whole + bytes(512), whole[: len(whole) - 2 * MIB]):
        path.write_bytes(wrong)
        assert f"the file is {len(wrong)} bytes long" in refused(path)
    flipped = bytearray(whole)
    flipped[(64 << 10) + 100] ^= 1
    path.write_bytes(flipped)
    assert "what is at 0x10064 is none of the repair" in refused(path)


def test_a_copy_that_is_as_damaged_as_the_image_was_stays_so(tmp_path: Path) -> None:
    path, copy = tmp_path / "disk.vhdx", tmp_path / "copy.vhdx"
    damaged("region-table-1-missing").write(path)
    shutil.copy(path, copy)
    repair(path, write=True, undo=tmp_path / "dump")
    before = copy.read_bytes()
    undo_repair(copy, tmp_path / "dump")
    assert copy.read_bytes() == before


def test_a_dump_reads_as_it_was_saved(tmp_path: Path) -> None:
    undo = Undo.of(rehearsed(damaged("bat-reserved-bit-low"))[0])
    undo.save(str(tmp_path / "dump"))
    with closing(open_source(tmp_path / "dump")) as source:
        assert read_undo(source) == undo
    assert undo.ranges
    assert undo.written


# -- the power fails ----------------------------------------------------------------------------


def repaired_in_memory(built: Built) -> tuple[Undo, Recorder]:
    """Return the dump of a repair, and the file to which it was done."""
    rehearsal, _ = rehearsed(built)
    undo, file = Undo.of(rehearsal), Recorder(built.to_bytes())
    for step in rehearsal.steps:
        step.do(file)
    return undo, file


@pytest.mark.parametrize("name", KINDS)
def test_a_repair_that_was_cut_off_is_taken_back(name: str) -> None:
    built = damaged(name)
    stored = built.to_bytes()
    undo, file = repaired_in_memory(built)
    for cut in cuts(stored, file.events, 20, 1):
        left = Recorder(bytes(cut.data))
        undo.refuse_other(left)
        undo.bring_back(left)
        assert bytes(applied(bytes(cut.data), left.events)) == stored, cut.what


@pytest.mark.parametrize("name", KINDS)
def test_a_return_that_was_cut_off_is_made_once_more(name: str) -> None:
    built = damaged(name)
    stored = built.to_bytes()
    undo, file = repaired_in_memory(built)
    done = bytes(applied(stored, file.events))
    back = Recorder(done)
    undo.bring_back(back)
    for cut in cuts(done, back.events, 20, 1):
        left = Recorder(bytes(cut.data))
        undo.refuse_other(left)
        undo.bring_back(left)
        assert bytes(applied(bytes(cut.data), left.events)) == stored, cut.what


def test_a_dump_that_tells_of_no_writes_is_of_another_file(tmp_path: Path) -> None:
    """Whoever has made it."""
    path = damaged("header-2-missing").write(tmp_path / "disk.vhdx")
    size = path.stat().st_size
    Undo(size, size, ((0, b"#" * 1024),), ()).save(str(tmp_path / "dump"))
    assert "none of the repair" in refused(path)
