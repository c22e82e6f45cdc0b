"""What is said of a disk changes by a stroke, with the power cut or not."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

import vhdx_kaitai
from tests.crash.machine import cuts
from tests.crash.recorder import Recorder, applied
from tests.images.chain import chain
from tests.images.image import DISK_ID, dynamic
from tests.images.structures import FULLY_PRESENT, MIB
from tests.reading_fixtures import qemu_img
from tests.support import good
from vhdx_kaitai import edit
from vhdx_kaitai.errors import FormatError, UnsafeError, VhdxError
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.writing.edit import _carry_out, _plan
from vhdx_kaitai.writing.editor import begin_editing
from vhdx_kaitai.writing.session import Change, Session

NEW_ID = UUID("12345678-9abc-4def-8123-456789abcdef")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return good("dynamic-plain").write(tmp_path / "disk.vhdx")


def said_by(path: Path) -> tuple[UUID, int]:
    with vhdx_kaitai.open(path, resolve_parents=False) as disk:
        return disk.virtual_disk_id, disk.physical_sector_size


def test_a_disk_gets_another_identity_and_other_sectors(path: Path) -> None:
    built = good("dynamic-plain")
    outcome = edit(path, disk_id=NEW_ID, physical_sector_size=512)
    assert outcome.is_changed
    assert outcome.is_locked
    assert outcome.changes == (
        Change("identity of the disk", str(DISK_ID), str(NEW_ID)),
        Change("physical sectors", "4096 bytes", "512 bytes"),
    )
    assert said_by(path) == (NEW_ID, 512)
    with vhdx_kaitai.open(path, replay="refuse") as disk:
        assert disk.pread(disk.size, 0) == built.model.read(0, disk.size)
        guid = disk.image.headers.current.data_write_guid
    assert guid != built.model.current_header.data_write_guid
    assert vhdx_kaitai.check(path).verdict == "clean"


def test_what_is_so_already_is_left_as_it_is(path: Path) -> None:
    before = path.read_bytes()
    for options in ({}, {"disk_id": DISK_ID}, {"physical_sector_size": 4096}):
        outcome = edit(path, **options)
        assert (outcome.is_changed, outcome.changes) == (False, ())
    assert path.read_bytes() == before


def test_a_dry_run_says_the_same_and_changes_nothing(path: Path) -> None:
    before = path.read_bytes()
    told = edit(path, disk_id=NEW_ID, dry_run=True)
    assert (told.is_changed, told.is_locked) == (False, False)
    assert path.read_bytes() == before
    assert edit(path, disk_id=NEW_ID).changes == told.changes


def test_a_dry_run_says_of_a_dirty_log_what_becomes_of_it(tmp_path: Path) -> None:
    """Where nothing is to be changed it is left as it is."""
    path = good("dirty-everything").write(tmp_path / "disk.vhdx")
    before = path.read_bytes()
    said = said_by(path)[0]
    for identity in (said, NEW_ID):
        told = edit(path, disk_id=identity, dry_run=True)
        assert path.read_bytes() == before
        done = edit(path, disk_id=identity)
        assert (told.replayed, told.changes) == (done.replayed, done.changes)
        assert (path.read_bytes() != before) is done.is_changed is (done.replayed is not None)


@pytest.mark.parametrize("what", ["no log", "no number left", "a block without a place"])
def test_a_dry_run_refuses_what_is_refused(what: str, tmp_path: Path) -> None:
    layout = dynamic(4 * MIB).layout()
    if what == "no log":
        layout.set_headers(log_length=0, log_offset=0)
    elif what == "no number left":
        for header in layout.headers:
            header.sequence_number += 2**64 - 4
    else:
        layout.set_entry(1, FULLY_PRESENT, 0)
    path = layout.build().write(tmp_path / "disk.vhdx")
    before = path.read_bytes()
    told = []
    for dry_run in (True, False):
        edit(path, disk_id=said_by(path)[0], dry_run=dry_run)  # nothing is to be changed
        with pytest.raises(VhdxError) as caught:
            edit(path, disk_id=NEW_ID, dry_run=dry_run)
        told.append(str(caught.value))
    assert told[0] == told[1]
    assert path.read_bytes() == before


@pytest.mark.parametrize("size", [0, 513, 1024, 2**32])
def test_no_sector_has_another_size(path: Path, size: int) -> None:
    before = path.read_bytes()
    with pytest.raises(FormatError, match="ITEM-16"):
        edit(path, physical_sector_size=size)
    assert path.read_bytes() == before


def test_a_parent_keeps_its_identity_unless_it_is_forced(tmp_path: Path) -> None:
    made = chain(2).write(tmp_path)
    before = made.paths[0].read_bytes()
    for dry_run in (True, False):
        with pytest.raises(UnsafeError):
            edit(made.paths[0], disk_id=NEW_ID, dry_run=dry_run)
    assert made.paths[0].read_bytes() == before
    edit(made.paths[0], disk_id=NEW_ID, force=True)
    assert said_by(made.paths[0])[0] == NEW_ID


def test_a_child_is_changed_without_its_parent(tmp_path: Path) -> None:
    made = chain(2).write(tmp_path)
    made.paths[0].unlink()
    edit(made.path, disk_id=NEW_ID)
    assert said_by(made.path)[0] == NEW_ID


@pytest.mark.parametrize(
    "name", ["dirty-everything", "items-in-another-order", "items-of-all-kinds"]
)
def test_images_of_all_kinds_are_changed(name: str, tmp_path: Path) -> None:
    built = good(name)
    path = built.write(tmp_path / "disk.vhdx")
    edit(path, disk_id=NEW_ID)
    with vhdx_kaitai.open(path, replay="refuse") as disk:
        assert disk.virtual_disk_id == NEW_ID
        assert disk.pread(disk.size, 0) == built.model.read(0, disk.size)
    report = vhdx_kaitai.check(path)
    assert [f for f in report.findings if f.level in ("error", "warning")] == []


@pytest.mark.parametrize("name", ["dynamic-plain", "dirty-everything", "items-up-to-the-limits"])
def test_a_cut_leaves_all_as_it_was_or_as_it_is_to_be(name: str) -> None:
    built = good(name)
    file = Recorder(built.to_bytes())
    image = Image(file)
    plan = _plan(image, NEW_ID, 512)
    editor = begin_editing(Session(file, image.headers), image, for_data=True)
    _carry_out(editor, plan)
    editor.end()
    before = image.metadata.virtual_disk_id, image.metadata.physical_sector_size
    held = built.model.read(0, built.model.virtual_disk_size)
    seen = set()
    for number, cut in enumerate(cuts(built.to_bytes(), file.events, 400, 1)):
        with vhdx_kaitai.open(cut.data) as disk:
            seen.add((disk.virtual_disk_id, disk.physical_sector_size))
            if number % 20 == 0:
                assert disk.pread(disk.size, 0) == held, cut.what
                report = vhdx_kaitai.check(bytes(cut.data))
                assert not any(f.level == "error" for f in report.findings), cut.what
    assert seen == {before, (NEW_ID, 512)}
    with vhdx_kaitai.open(applied(built.to_bytes(), file.events), replay="refuse") as disk:
        assert disk.virtual_disk_id == NEW_ID


@pytest.mark.slow
def test_qemu_takes_it_for_the_same_disk(path: Path, tmp_path: Path) -> None:
    edit(path, disk_id=NEW_ID, physical_sector_size=512)
    qemu_img("check", "-q", path)
    qemu_img("convert", "-f", "vhdx", "-O", "raw", path, tmp_path / "raw")
    model = good("dynamic-plain").model
    assert (tmp_path / "raw").read_bytes() == model.read(0, model.virtual_disk_size)
