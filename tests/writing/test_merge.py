"""A child is merged: the target is its disk then, and whatever stops that leaves the child."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import vhdx_kaitai
from tests.images.chain import CHAIN_DAMAGES, GOOD_CHAINS, Chain, chain
from tests.images.image import Block, Image, dynamic, fixed, partial
from tests.images.structures import IS_USER, IS_VIRTUAL_DISK, MIB, ZERO, MetadataItem
from vhdx_kaitai import merge
from vhdx_kaitai.errors import (
    FormatError,
    InUseError,
    ParentError,
    ParentMismatchError,
    UnsafeError,
    UnsupportedError,
    VhdxError,
)
from vhdx_kaitai.reading.disk import open_disk
from vhdx_kaitai.reading.image import Image as Opened
from vhdx_kaitai.storage.target import FileTarget, remove_file
from vhdx_kaitai.writing import merge as module


@pytest.fixture
def made(tmp_path: Path) -> Chain:
    """A base, its child, and a child of that."""
    return chain(3).write(tmp_path / "disks")


def read(path: Path, **options: Any) -> bytes:
    with vhdx_kaitai.open(path, **options) as disk:
        return bytes(disk.pread(disk.size, 0))


def assert_in_order(*paths: Path) -> None:
    for path in paths:
        report = vhdx_kaitai.check(path)
        assert [f for f in report.findings if f.level in ("error", "warning")] == []


def bytes_of(made: Chain) -> list[bytes]:
    return [path.read_bytes() for path in made.paths]


SMALLER = ("child-smaller-than-parent",)
REFUSED = [name for name, case in CHAIN_DAMAGES.items() if case.outcome != "too much"]
MERGED = sorted(GOOD_CHAINS.keys() - set(SMALLER))


@pytest.mark.parametrize("delete", [False, True])
@pytest.mark.parametrize("name", MERGED)
def test_the_parent_is_the_disk_of_the_child_then(name: str, delete: bool, tmp_path: Path) -> None:
    made = GOOD_CHAINS[name].build().write(tmp_path)
    held = made.model.read(0, made.model.size)
    told: list[int] = []
    planned = merge(made.path, dry_run=True)
    assert not planned.is_changed
    outcome = merge(made.path, delete=delete, progress=told.append)
    assert outcome.is_changed
    assert (planned.changes == outcome.changes) is not delete
    assert told[-1] == len(held)
    assert told == sorted(told)
    target = made.paths[-2]
    assert read(target) == held
    assert_in_order(target)
    assert made.path.exists() is not delete
    if not delete:
        assert read(made.path) == held
        assert_in_order(made.path)
        with vhdx_kaitai.open(made.path) as disk:
            assert disk.links[0].matched_by == "parent_linkage"
            assert disk.image.locator is not None
            assert "parent_linkage2" not in disk.image.locator.entries
            assert disk.virtual_disk_id == made.model.image.virtual_disk_id


@pytest.mark.parametrize("name", REFUSED)
def test_a_chain_that_does_not_open_is_left_as_it_is(name: str, tmp_path: Path) -> None:
    made = CHAIN_DAMAGES[name].build().write(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.vhdx")}
    with pytest.raises(VhdxError):
        merge(made.path, force=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.vhdx")} == before


@pytest.mark.parametrize("delete", [False, True])
def test_all_between_goes_into_an_ancestor(made: Chain, delete: bool) -> None:
    held = read(made.path)
    outcome = merge(made.path, into=made.paths[0], delete=delete)
    assert read(made.paths[0]) == held
    assert_in_order(made.paths[0])
    assert [path.exists() for path in made.paths] == [True, not delete, not delete]
    if not delete:
        assert ("image between", made.names[1]) in {c[:2] for c in outcome.changes}
        with vhdx_kaitai.open(made.path) as disk:
            assert [image.path for image in disk.chain] == [str(made.path), str(made.paths[0])]
            assert disk.pread(disk.size, 0) == held
        with pytest.raises(ParentMismatchError):  # it would read otherwise than before
            read(made.paths[1])


def test_a_child_in_another_folder_names_the_ancestor(tmp_path: Path) -> None:
    ways = (".\\b\\base.vhdx", ".\\a\\child1.vhdx")

    def change(depth: int, image: Image) -> Image:
        if image.locator is not None:
            image.locator.set("relative_path", ways[depth - 1])
        return image

    names = ["a/b/base.vhdx", "a/child1.vhdx", "child2.vhdx"]
    made = chain(3, names=names, change=change).write(tmp_path)
    held = read(made.path)
    merge(made.path, into=made.paths[0])
    assert read(made.path) == held
    with Opened(str(made.path)) as image:
        assert image.locator is not None
        assert image.locator.entries["relative_path"] == ".\\a\\b\\base.vhdx"


def test_images_below_the_target_stay(made: Chain) -> None:
    held, below = read(made.path), made.paths[0].read_bytes()
    merge(made.path, delete=True)
    assert made.paths[0].read_bytes() == below
    assert read(made.paths[1]) == held


def test_a_merge_may_be_done_again(made: Chain) -> None:
    held = read(made.path)
    for _ in range(3):
        merge(made.path)
        assert read(made.path) == read(made.paths[1]) == held


def test_a_larger_child_makes_the_target_larger(tmp_path: Path) -> None:
    blocks = {n: Block() for n in range(4)}

    def change(depth: int, image: Image) -> Image:
        larger = {1: partial(7), 4: Block(), 6: Block(ZERO)}
        return image.but(virtual_disk_size=9 * MIB, blocks=larger) if depth else image

    for name, base in (("dynamic", dynamic(4 * MIB - 512)), ("fixed", fixed(4 * MIB))):
        made = chain(2, base=base.but(blocks=blocks), change=change).write(tmp_path / name)
        held = made.model.read(0, made.model.size)
        outcome = merge(made.path)
        assert "size of the disk" in {change.what for change in outcome.changes}
        assert read(made.path) == read(made.paths[0]) == held
        assert_in_order(*made.paths)


def test_a_smaller_child_is_made_as_large_first(tmp_path: Path) -> None:
    made = GOOD_CHAINS[SMALLER[0]].build().write(tmp_path)
    before = bytes_of(made)
    with pytest.raises(UnsupportedError, match=r"`resize` to 8388608"):
        merge(made.path)
    assert bytes_of(made) == before
    vhdx_kaitai.resize(made.path, 8 * MIB)
    held = read(made.path)
    merge(made.path)
    assert read(made.paths[0]) == held


def test_the_items_of_the_disk_are_those_of_the_child(tmp_path: Path) -> None:
    of_disk, of_user = IS_VIRTUAL_DISK, IS_VIRTUAL_DISK | IS_USER
    theirs = [
        MetadataItem(UUID(int=1), b"the same", of_disk),
        MetadataItem(UUID(int=2), b"another one", of_disk),
        MetadataItem(UUID(int=3), b"x" * 9999, of_user),
        MetadataItem(UUID(int=5), b"", of_disk),
        MetadataItem(UUID(int=6), b"of the child's file", 0),
        MetadataItem(UUID(int=8), b"the disk's now", of_disk),
    ]
    own = [
        MetadataItem(UUID(int=1), b"the same", of_disk),
        MetadataItem(UUID(int=2), b"as it was", of_disk),
        MetadataItem(UUID(int=4), b"gone", of_user),
        MetadataItem(UUID(int=7), b"of the file", 0),
        MetadataItem(UUID(int=8), b"of the file, once", 0),
    ]

    def change(depth: int, image: Image) -> Image:
        return image.but(
            items=theirs if depth else own,
            virtual_disk_id=UUID(int=100 + depth),
            physical_sector_size=4096 if depth else 512,
        )

    made = chain(2, change=change).write(tmp_path)
    outcome = merge(made.path)
    changes = {change.what: change[1:] for change in outcome.changes}
    assert changes["other items of the disk"] == ("3 of the target", "4 copied")
    assert changes["physical sectors"] == ("512 bytes", "4096 bytes")
    with Opened(str(made.paths[0])) as image:
        start = image.regions.metadata.file_offset
        found = {
            entry.item_id.int: image.source.read(start + entry.offset, entry.length)
            for entry in image.metadata.entries
            if entry.kind == "other"
        }
        assert image.metadata.virtual_disk_id == UUID(int=101)
        assert image.metadata.physical_sector_size == 4096
    assert found == {
        **{item.item_id.int: item.data for item in theirs if item.flags & of_disk},
        7: b"of the file",
    }
    assert not merge_changes_items(made)
    assert_in_order(*made.paths)


def merge_changes_items(made: Chain) -> bool:
    changes = merge(made.path, dry_run=True).changes
    return bool({"other items of the disk", "identity of the disk"} & {c.what for c in changes})


def test_items_for_which_there_is_no_room_are_refused_before_anything(tmp_path: Path) -> None:
    items = [MetadataItem(UUID(int=n + 1), bytes([n]) * MIB, IS_VIRTUAL_DISK) for n in range(2)]

    def change(depth: int, image: Image) -> Image:
        return image.but(items=items, metadata_length=4 * MIB) if depth else image

    made = chain(2, change=change).write(tmp_path)
    before = bytes_of(made)
    with pytest.raises(UnsupportedError, match="no room for an item"):
        merge(made.path)
    assert bytes_of(made) == before


# -- what is refused ------------------------------------------------------------------------------


def test_who_relies_on_it_is_asked_first(made: Chain) -> None:
    held = read(made.path)
    other = made.path.with_name("other.avhdx")
    vhdx_kaitai.create(other, parent=made.paths[0])
    before = bytes_of(made)
    with pytest.raises(UnsafeError, match=r"1 child of it \(other.avhdx\)"):
        merge(made.path, into=made.paths[0])
    tracked = made.path.with_name("child1.vhdx.rct")
    tracked.touch()
    with pytest.raises(UnsafeError, match="records changes for backups"):
        merge(made.path)
    tracked.unlink()
    with pytest.raises(UnsafeError, match=r"1 child of it \(child2.vhdx\)"):
        merge(made.paths[1], delete=True, force=False)
    assert bytes_of(made) == before
    merge(made.path, into=made.paths[0], force=True)
    assert read(made.path) == held
    with pytest.raises(ParentMismatchError):
        read(other)


def test_a_child_that_stays_keeps_its_children(made: Chain) -> None:
    other = made.path.with_name("other.avhdx")
    vhdx_kaitai.create(other, parent=made.path)
    held = read(other)
    merge(made.path)
    assert read(other) == held


def test_an_image_amid_a_chain_is_merged_and_goes(made: Chain) -> None:
    held = read(made.path)
    merge(made.paths[1])
    vhdx_kaitai.rebase(made.path, made.paths[0], ignore_mismatch=True)
    made.paths[1].unlink()
    assert read(made.path) == held


def test_only_a_parent_is_merged_into(made: Chain, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="no parent that it could"):
        merge(made.paths[0])
    for wrong in (made.path, Path(__file__)):
        with pytest.raises(UnsupportedError, match="is no parent of it"):
            merge(made.path, into=wrong)
    with pytest.raises(FileNotFoundError):
        merge(made.path, into=tmp_path / "none")
    with pytest.raises(UnsupportedError, match="is no path"):
        merge(made.path, parent=[made.paths[1].read_bytes(), made.paths[0]])
    with pytest.raises(TypeError, match="bytes is no path"):
        merge(made.path.read_bytes())  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_file_that_is_in_use_is_left_alone(made: Chain, number: int) -> None:
    before = bytes_of(made)
    file = FileTarget(str(made.paths[number]), True)
    try:
        with pytest.raises(InUseError):
            merge(made.path, into=made.paths[0])
    finally:
        file.close()
    assert bytes_of(made) == before
    merge(made.path, into=made.paths[0])


@pytest.mark.parametrize("number", [0, 1, 2])
def test_damage_in_any_of_them_is_refused(made: Chain, number: int) -> None:
    layout = made.images[number].layout
    index = layout.image.geometry.index(7)
    with made.paths[number].open("r+b") as file:
        file.seek(layout.bat_offset + 8 * index)
        file.write(((1 << 40) + 6).to_bytes(8, "little"))
    before = bytes_of(made)
    with pytest.raises(FormatError) as caught:
        merge(made.path, into=made.paths[0])
    assert caught.value.path == str(made.paths[number])
    assert bytes_of(made) == before


def test_a_file_that_was_replaced_is_not_written(
    made: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_disk

    def replaced(*arguments: Any, **options: Any) -> Any:
        disk = opened(*arguments, **options)
        data = made.paths[1].read_bytes()
        made.paths[1].rename(made.path.with_name("kept"))
        made.paths[1].write_bytes(data)
        return disk

    monkeypatch.setattr(module, "open_disk", replaced)
    with pytest.raises(VhdxError, match="replaced meanwhile"):
        merge(made.path)


def test_an_image_that_was_changed_is_not_written(
    made: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_disk

    def changed(*arguments: Any, **options: Any) -> Any:
        disk = opened(*arguments, **options)
        vhdx_kaitai.edit(made.paths[1], disk_id=UUID(int=5), force=True)
        return disk

    monkeypatch.setattr(module, "open_disk", changed)
    with pytest.raises(VhdxError, match="changed meanwhile"):
        merge(made.path)


# -- what stops it --------------------------------------------------------------------------------


class StopError(Exception):
    """Somebody wants it to end."""


@pytest.mark.parametrize("delete", [False, True])
def test_it_goes_on_wherever_it_was_stopped(made: Chain, delete: bool) -> None:
    held = read(made.path)
    for stops in (0, 1, 5, 300, 301, 900):
        left = stops

        def stop(_done: int) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise StopError

        with pytest.raises(StopError):
            merge(made.path, into=made.paths[0], delete=delete, progress=stop)
        assert read(made.path) == held
        assert_in_order(*made.paths)
    merge(made.path, into=made.paths[0], delete=delete)
    assert read(made.paths[0]) == held


@pytest.mark.slow
def test_no_step_that_fails_costs_the_child_anything(
    made: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = read(made.path)
    flush, flushes, fails_at = FileTarget.flush, 0, 0

    def failing(self: FileTarget) -> None:
        nonlocal flushes
        flushes += 1
        if flushes == fails_at:
            raise OSError(errno.EIO, "no")
        flush(self)

    monkeypatch.setattr(FileTarget, "flush", failing)
    for fails_at in range(1, 100):
        flushes = 0
        try:
            merge(made.path, into=made.paths[0], delete=True)
        except OSError:
            assert read(made.path) == held, fails_at
            assert made.paths[1].exists()
        else:
            break
    assert 10 < fails_at < 99
    assert read(made.paths[0]) == held
    assert not made.path.exists()


def test_files_go_only_after_all_else(made: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    held, gone = read(made.path), []
    remove = remove_file

    def told(path: str, status: Any) -> None:
        assert read(made.paths[0]) == held
        gone.append(Path(path))
        remove(path, status)

    monkeypatch.setattr(module, "remove_file", told)
    merge(made.path, into=made.paths[0], delete=True)
    assert gone == [made.path, made.paths[1]]  # whatever has a name has its parents


def test_a_link_goes_with_what_it_leads_to(made: Chain) -> None:
    link = made.path.with_name("link.vhdx")
    link.symlink_to(made.path)
    merge(link, delete=True)
    assert not link.is_symlink()
    assert not made.path.exists()


@pytest.mark.parametrize("where", ["bare name", "linked folder"])
def test_a_file_goes_by_whatever_way_it_was_named(
    made: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.chdir(made.path.parent)
    (tmp_path / "folder").symlink_to(made.path.parent, target_is_directory=True)
    name = {"bare name": Path(), "linked folder": tmp_path / "folder"}[where] / made.path.name
    merge(name, delete=True)
    assert not made.path.exists()


def test_a_parent_that_is_lost_is_told(made: Chain) -> None:
    made.paths[0].unlink()
    with pytest.raises(ParentError):
        merge(made.path)
