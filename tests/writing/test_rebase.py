"""A child gets another parent: at one moment, and what it reads as is what was asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.crash.machine import cuts
from tests.crash.recorder import Event, Flush, Recorder
from tests.images.chain import Chain, chain
from tests.images.image import Block, dynamic
from tests.images.structures import MIB
from vhdx_kaitai import rebase
from vhdx_kaitai.errors import (
    FormatError,
    ParentMismatchError,
    UnsafeError,
    UnsupportedError,
    VhdxError,
)
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.writing import rebase as module
from vhdx_kaitai.writing.disk import WritableDisk
from vhdx_kaitai.writing.editor import begin_editing
from vhdx_kaitai.writing.items import put_item
from vhdx_kaitai.writing.session import Session


@pytest.fixture
def made(tmp_path: Path) -> Chain:
    """A base, its child, and a child of that."""
    return chain(3).write(tmp_path / "disks")


def read(path: Path, **options: object) -> bytes:
    with vhdx_kaitai.open(path, **options) as disk:  # type: ignore[call-overload]
        return bytes(disk.pread(disk.size, 0))


def guid_of(path: Path) -> object:
    with Image(str(path)) as image:
        return image.headers.current.data_write_guid


def test_a_parent_that_was_renamed_is_named_anew(made: Chain) -> None:
    held, guid = read(made.path), guid_of(made.path)
    moved = made.paths[1].rename(made.path.parent / "another name.avhdx")
    with pytest.raises(vhdx_kaitai.ParentNotFoundError):
        read(made.path)
    outcome = rebase(made.path, moved)
    assert {change.what for change in outcome.changes} >= {"relative_path"}
    assert read(made.path) == held
    assert guid_of(made.path) == guid  # it reads as before, so its children keep it
    with vhdx_kaitai.open(made.path) as disk:
        assert disk.links[0].key == "relative_path"
        assert disk.image.locator is not None
        assert disk.image.locator.entries["relative_path"] == ".\\another name.avhdx"
    report = vhdx_kaitai.check(made.path, chain=True)
    assert [f for f in report.findings if f.level in ("error", "warning")] == []


def test_what_is_so_already_is_left_as_it_is(made: Chain) -> None:
    rebase(made.path, made.paths[1])
    before = made.path.read_bytes()
    outcome = rebase(made.path, made.paths[1])
    assert (outcome.is_changed, outcome.changes) == (False, ())
    assert made.path.read_bytes() == before


def test_a_dry_run_says_the_same_and_changes_nothing(made: Chain) -> None:
    moved = made.paths[1].rename(made.path.parent / "other.avhdx")
    before = made.path.read_bytes()
    told = rebase(made.path, moved, dry_run=True)
    assert made.path.read_bytes() == before
    assert rebase(made.path, moved).changes == told.changes != ()


def test_a_parent_that_it_was_not_made_for_is_refused(made: Chain) -> None:
    before = made.path.read_bytes()
    with pytest.raises(ParentMismatchError, match="--copy"):
        rebase(made.path, made.paths[0])
    assert made.path.read_bytes() == before


def test_such_a_parent_is_taken_when_the_caller_knows_it(made: Chain) -> None:
    guid = guid_of(made.path)
    outcome = rebase(made.path, made.paths[0], ignore_mismatch=True)
    assert "parent_linkage" in {change.what for change in outcome.changes}
    with vhdx_kaitai.open(made.path) as disk:
        assert [image.path for image in disk.chain] == [str(made.path), str(made.paths[0])]
    assert guid_of(made.path) != guid


def test_who_relies_on_a_child_is_asked_before_it_reads_otherwise(made: Chain) -> None:
    other = dynamic(made.model.virtual_disk_size).build().write(made.path.parent / "other.vhdx")
    with pytest.raises(UnsafeError, match="1 child of it"):
        rebase(made.paths[1], other, ignore_mismatch=True)
    rebase(made.paths[1], other, ignore_mismatch=True, force=True)
    with pytest.raises(vhdx_kaitai.ParentMismatchError):
        read(made.path)


@pytest.mark.parametrize("new", ["base", "empty", "other", "shorter", "longer"])
def test_with_copies_the_disk_stays_as_it_reads(made: Chain, new: str) -> None:
    held, guid = read(made.path), guid_of(made.path)
    size = made.model.virtual_disk_size
    folder = made.path.parent
    makers = {
        "empty": lambda: dynamic(size),
        "other": lambda: dynamic(size, blocks={n: Block() for n in range(8)}, tag=77),
        "shorter": lambda: dynamic(3 * MIB, blocks={n: Block() for n in range(3)}, tag=78),
        "longer": lambda: dynamic(size + 4 * MIB, blocks={n: Block() for n in range(12)}, tag=79),
    }
    parent = made.paths[0] if new == "base" else makers[new]().build().write(folder / "new.vhdx")
    before = parent.read_bytes()
    told: list[int] = []
    planned = rebase(made.path, parent, copy=True, dry_run=True)
    outcome = rebase(made.path, parent, copy=True, progress=told.append)
    assert outcome.changes == planned.changes
    assert told[-1] == size
    made.paths[1].unlink()
    with vhdx_kaitai.open(made.path) as disk:
        assert len(disk.chain) == 2
        assert disk.pread(disk.size, 0) == held
    assert parent.read_bytes() == before
    assert guid_of(made.path) == guid
    report = vhdx_kaitai.check(made.path)
    assert [f for f in report.findings if f.level in ("error", "warning")] == []


def test_the_old_parents_may_be_named_when_they_are_needed(made: Chain, tmp_path: Path) -> None:
    held = read(made.path)
    away = made.paths[1].rename(tmp_path / "old.avhdx")
    with pytest.raises(vhdx_kaitai.ParentNotFoundError):
        rebase(made.path, made.paths[0], copy=True)
    rebase(made.path, made.paths[0], copy=True, parent=[away, made.paths[0]])
    assert read(made.path) == held


def test_a_child_is_no_parent_of_its_own(made: Chain) -> None:
    before = made.paths[1].read_bytes()
    for wrong in (made.paths[1], made.path):
        with pytest.raises(FormatError, match="CHAIN-06"):
            rebase(made.paths[1], wrong, ignore_mismatch=True, force=True)
    assert made.paths[1].read_bytes() == before


def test_sectors_have_to_be_of_one_size(made: Chain) -> None:
    size = made.model.virtual_disk_size
    other = dynamic(size, logical_sector_size=4096).build().write(made.path.parent / "new.vhdx")
    with pytest.raises(FormatError, match="CHAIN-02"):
        rebase(made.path, other, ignore_mismatch=True)


def test_an_image_without_a_parent_gets_none(made: Chain) -> None:
    with pytest.raises(UnsupportedError, match="has no parent"):
        rebase(made.paths[0], made.paths[1], ignore_mismatch=True, force=True)


def test_other_keys_of_the_locator_stay(made: Chain) -> None:
    with Image(str(made.path)) as image:
        assert image.locator is not None
        before = dict(image.locator.entries)
    moved = made.paths[1].rename(made.path.parent / "other.avhdx")
    rebase(made.path, moved)
    with Image(str(made.path)) as image:
        assert image.locator is not None
        after = dict(image.locator.entries)
    ours = {"parent_linkage", "parent_linkage2", "relative_path", "volume_path"}
    ours.add("absolute_win32_path")
    assert {k: v for k, v in after.items() if k not in ours} == {
        k: v for k, v in before.items() if k not in ours
    }
    assert after["parent_linkage"].lower() == before["parent_linkage"].lower()


def events_of_relinking(data: bytes, child: Path, parent: Path) -> list[Event]:
    """What a rebase without copies does to a child."""
    file = Recorder(data)
    file.path = str(child)
    image = Image(file)
    with vhdx_kaitai.open(parent) as above:
        plan = module._plan(
            str(child), image, module._NewParent(above, False), ignore_mismatch=True
        )
        editor = begin_editing(Session(file, image.headers), image, for_data=True)
        put_item(editor, "parent_locator", plan.locator)
        editor.judge()
        editor.end()
    return file.events


def linkage_in(data: bytes | memoryview) -> str:
    locator = Image(data).locator
    assert locator is not None
    return str(locator.entries["relative_path"]) + locator.entries["parent_linkage"]


def test_a_cut_leaves_the_old_parent_or_the_new_one(made: Chain) -> None:
    data = made.path.read_bytes()
    events = events_of_relinking(data, made.path, made.paths[0])
    seen = set()
    for number, cut in enumerate(cuts(data, events, 600, 1)):
        seen.add(linkage_in(cut.data))
        if number % 25 == 0:
            report = vhdx_kaitai.check(bytes(cut.data))
            assert not any(f.level == "error" for f in report.findings), cut.what
    assert len(seen) == 2


def test_without_the_flush_before_the_header_that_would_be_seen(made: Chain) -> None:
    data = made.path.read_bytes()
    events = events_of_relinking(data, made.path, made.paths[0])
    flushes = [n for n, event in enumerate(events) if isinstance(event, Flush)]
    refused = 0
    for left_out in flushes[1:4]:
        broken = [event for n, event in enumerate(events) if n != left_out]
        for cut in cuts(data, broken, 600, 1):
            try:
                linkage_in(cut.data)
            except VhdxError:
                refused += 1
    assert refused


def test_a_cut_amid_copies_leaves_a_disk_that_reads_as_before(made: Chain, tmp_path: Path) -> None:
    """Its old parent, or when the copies are all there its new one."""
    held = read(made.path)
    new = dynamic(made.model.virtual_disk_size, blocks={n: Block() for n in range(8)}, tag=5)
    parent = new.build().write(made.path.parent / "new.vhdx")
    data = made.path.read_bytes()
    file = Recorder(data)
    file.path = str(made.path)
    below = [Image(str(path)) for path in (made.paths[1], made.paths[0])]
    disk = WritableDisk([Image(file), *below], for_data=False)
    with vhdx_kaitai.open(parent) as above:
        module._done_with_copies(str(made.path), disk, module._NewParent(above, False), None)
    disk.close()
    place = tmp_path / "cut" / made.path.name
    shutil.copytree(made.path.parent, place.parent)
    seen = set()
    for cut in cuts(data, file.events, 40, 2):
        place.write_bytes(cut.data)
        with vhdx_kaitai.open(place) as child:
            assert child.pread(child.size, 0) == held, cut.what
            seen.add(len(child.chain))
    assert seen == {3, 2}
