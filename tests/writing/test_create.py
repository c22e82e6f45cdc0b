"""New images: what is in them, who opens them, and what is left when making them fails."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import vhdx_kaitai
from tests.copying.mounted import small_folder
from tests.images.chain import CHAIN_DAMAGES, GOOD_CHAINS, chain
from tests.images.image import Block, Built, differencing, dynamic, fixed
from tests.images.structures import (
    GIB,
    IS_USER,
    IS_VIRTUAL_DISK,
    KIB,
    MIB,
    TIB,
    Locator,
    MetadataItem,
    braced,
)
from tests.reading_fixtures import allocated, assert_same, contents, good_chain, measured_memory
from tests.support import files_in
from tests.writing.making import (
    CREATOR,
    Recording,
    assert_clean,
    assert_is,
    assert_others_open,
)
from vhdx_kaitai.errors import FormatError, ParentError, VhdxError
from vhdx_kaitai.storage import target
from vhdx_kaitai.writing import naming as module

__all__ = ["small_folder"]  # a fixture

create = vhdx_kaitai.create
BLOCK_SIZES = [MIB << power for power in range(9)]
DISK_ID = UUID("d15c0001-3333-4333-8333-0123456789ab")


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# -- what is in them ------------------------------------------------------------------------------


@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_a_dynamic_image_is_that_of_windows_to_the_byte(
    block_size: int, sector: int, tmp_path: Path
) -> None:
    path = tmp_path / "new.vhdx"
    size = 5 * GIB + MIB
    created = create(path, size, block_size=block_size, logical_sector_size=sector)
    assert (created.size, created.block_size, created.disk_type) == (size, block_size, "dynamic")
    assert created.file_size == path.stat().st_size

    def expected(file_write_guid: UUID, data_write_guid: UUID) -> Built:
        return dynamic(
            size,
            block_size=block_size,
            logical_sector_size=sector,
            virtual_disk_id=created.disk_id,
            creator=CREATOR,
            file_write_guid=file_write_guid,
            data_write_guid=data_write_guid,
        ).build()

    assert_is(path, expected)
    assert_clean(path)
    assert_others_open(path, size, sector=sector)


@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize(("size", "block_size"), [(3 * MIB + 4096, MIB), (12 * MIB, 8 * MIB)])
def test_a_fixed_image_is_that_of_windows_to_the_byte(
    size: int, block_size: int, sector: int, tmp_path: Path
) -> None:
    """Every block is there from the beginning, and so is the room for it (BLK-14)."""
    path = tmp_path / "new.vhdx"
    options = {"block_size": block_size, "logical_sector_size": sector, "disk_id": DISK_ID}
    create(path, size, disk_type="fixed", physical_sector_size=4096, **options)  # type: ignore[arg-type]

    def expected(file_write_guid: UUID, data_write_guid: UUID) -> Built:
        return fixed(
            size,
            block_size=block_size,
            logical_sector_size=sector,
            virtual_disk_id=DISK_ID,
            others=Block(data=b""),
            creator=CREATOR,
            file_write_guid=file_write_guid,
            data_write_guid=data_write_guid,
        ).build()

    assert_is(path, expected)
    assert allocated(path) >= path.stat().st_size
    assert_clean(path)
    assert_others_open(path, size, sector=sector)
    with vhdx_kaitai.open(path) as disk:
        assert disk.pread(size, 0) == bytes(size)


def test_what_nobody_says_is_as_windows_has_it(tmp_path: Path) -> None:
    created = create(tmp_path / "new.vhdx", 10 * GIB)
    assert created[:5] == (10 * GIB, "dynamic", 32 * MIB, 512, 4096)
    child = create(tmp_path / "child.vhdx", parent=tmp_path / "new.vhdx")
    assert child[:6] == (10 * GIB, "differencing", 2 * MIB, 512, 4096, created.disk_id)


@pytest.mark.parametrize("physical", [512, 4096])
@pytest.mark.parametrize("size", [512, 3 * MIB - 512, 64 * TIB])
def test_disks_of_any_size_are_clean(size: int, physical: int, tmp_path: Path) -> None:
    path = tmp_path / "new.vhdx"
    create(path, size, physical_sector_size=physical)
    assert_clean(path)
    with vhdx_kaitai.open(path) as disk:
        assert (disk.size, disk.physical_sector_size) == (size, physical)
        assert disk.pread(4096, size - 512) == bytes(512)


def test_the_largest_disk_takes_no_room_and_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "new.vhdx"
    with measured_memory() as peak:
        created = create(path, 64 * TIB, block_size=MIB)
    assert created.file_size == path.stat().st_size == (3 + 513) * MIB
    assert allocated(path) <= 512 * KIB
    assert peak.bytes <= MIB
    assert_clean(path)


@pytest.mark.parametrize(
    ("size", "options", "told"),
    [
        (0, {}, "VirtualDiskSize 0, expected more than 0 [ITEM-13"),
        (1000, {}, "a multiple of LogicalSectorSize 512 [ITEM-11"),
        (512, {"logical_sector_size": 4096}, "[ITEM-11"),
        (64 * TIB + 512, {}, "at most 64 TiB [ITEM-12"),
        (MIB, {"block_size": 3 * MIB}, "a power of two [ITEM-06"),
        (MIB, {"block_size": 512 * KIB}, "[ITEM-05"),
        (MIB, {"block_size": 512 * MIB}, "[ITEM-05"),
        (MIB, {"logical_sector_size": 1024}, "LogicalSectorSize 1024, expected 512 or 4096"),
        (MIB, {"physical_sector_size": 8192}, "PhysicalSectorSize 8192, expected 512 or 4096"),
        (MIB, {"disk_type": "differencing"}, "needs a parent"),
        (MIB, {"disk_type": "thin"}, "disk_type is 'thin'"),
        (None, {}, "needs a size"),
    ],
)
def test_a_disk_that_cannot_be_is_refused_before_anything_is_written(
    size: int | None, options: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        create(tmp_path / "new.vhdx", size, **options)
    assert files_in(tmp_path) == set()


# -- children -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOOD_CHAINS)
def test_a_child_reads_as_its_parent(name: str, tmp_path: Path) -> None:
    """Whose files stay as they are, and which it takes its linkage from (CHAIN-13)."""
    made = good_chain(name).write(tmp_path)
    before = {path: digest(path) for path in made.paths}
    child = made.path.parent / "new.vhdx"
    created = create(child, parent=made.path)
    assert {path: digest(path) for path in made.paths} == before
    assert_clean(child)
    with vhdx_kaitai.open(child) as disk:
        assert disk.image.locator is not None
        guid = made.images[-1].model.current_header.data_write_guid
        assert disk.image.locator.linkage == guid
        assert disk.links[0].key == "relative_path"
        assert_same(disk.pread(disk.size, 0), contents(made.model))
        assert created.disk_id == made.images[-1].image.virtual_disk_id


def test_a_child_is_as_the_text_has_it_to_the_byte(tmp_path: Path) -> None:
    """With keys in lower case (LOC-24), and every item of the disk (MET-17)."""
    items = [
        MetadataItem(UUID(int=7), b"of the disk", IS_VIRTUAL_DISK),
        MetadataItem(UUID(int=8), b"of the file", 0),
        MetadataItem(UUID(int=7), b"", IS_VIRTUAL_DISK | IS_USER),
        MetadataItem(UUID(int=9), bytes(range(256)) * 4096, IS_VIRTUAL_DISK | IS_USER),
    ]
    base = dynamic(8 * MIB, items=items, metadata_length=2 * MIB).build()
    base.write(tmp_path / "Base 1.vhdx")
    path = tmp_path / "new.avhdx"
    create(path, parent=tmp_path / "Base 1.vhdx")

    def expected(file_write_guid: UUID, data_write_guid: UUID) -> Built:
        linkage = base.model.current_header.data_write_guid
        locator = {"parent_linkage": braced(linkage), "relative_path": ".\\Base 1.vhdx"}
        return differencing(
            parent=base,
            block_size=2 * MIB,
            locator=Locator.of(locator),
            metadata_length=2 * MIB,
            items=[items[0], items[2], items[3]],
            creator=CREATOR,
            file_write_guid=file_write_guid,
            data_write_guid=data_write_guid,
        ).build()

    assert_is(path, expected)
    report = vhdx_kaitai.check(path, chain=True)
    told = {finding.rule for finding in report.findings}
    assert told <= {"MET-11"}  # the item that is empty in the parent is so in the child


def test_other_programs_open_a_child(tmp_path: Path) -> None:
    made = chain(2).write(tmp_path)
    create(tmp_path / "new.vhdx", parent=made.path)
    assert_others_open(tmp_path / "new.vhdx", made.model.size, is_alone=False)
    vhdx = pytest.importorskip("dissect.hypervisor.disk.vhdx")
    disk = vhdx.VHDX(tmp_path / "new.vhdx")
    try:
        assert_same(disk.read(made.model.size), contents(made.model))
    finally:
        while disk is not None:
            disk.fh.close()
            disk = disk.parent


def test_a_child_may_be_larger_and_reads_zeros_there(tmp_path: Path) -> None:
    made = chain(2).write(tmp_path)
    create(tmp_path / "new.vhdx", made.model.size + 3 * MIB, parent=made.path)
    with vhdx_kaitai.open(tmp_path / "new.vhdx") as disk:
        assert_same(disk.pread(disk.size, 0), contents(made.model) + bytes(3 * MIB))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"logical_sector_size": 4096}, "logical sectors of its parent, 512, not 4096"),
        ({"physical_sector_size": 512}, "physical sectors of its parent, 4096, not 512"),
        ({"disk_id": UUID(int=5)}, "identifier of its parent"),
        ({"size": MIB}, "would cut off its parent"),
        ({"disk_type": "fixed"}, "is differencing, not fixed"),
        ({"block_size": 5}, "[ITEM-05"),
    ],
)
def test_what_a_child_has_from_its_parent_is_no_choice(
    options: dict[str, Any], told: str, tmp_path: Path
) -> None:
    made = chain(1).write(tmp_path)
    with pytest.raises(ValueError, match=re.escape(told)):
        create(tmp_path / "new.vhdx", parent=made.path, **options)
    assert files_in(tmp_path) == {"base.vhdx"}


@pytest.mark.parametrize("name", [name for name in CHAIN_DAMAGES if name != "too-deep"])
def test_a_parent_whose_chain_is_refused_gets_no_child(name: str, tmp_path: Path) -> None:
    made = CHAIN_DAMAGES[name].build().write(tmp_path)
    before = files_in(tmp_path)
    with pytest.raises((ParentError, FormatError)):
        create(tmp_path / "new.vhdx", parent=made.path)
    assert files_in(tmp_path) == before


def test_a_parent_without_a_guid_gets_no_child(tmp_path: Path) -> None:
    path = dynamic(MIB, data_write_guid=UUID(int=0)).build().write(tmp_path / "base.vhdx")
    with pytest.raises(VhdxError, match="DataWriteGuid is zero") as caught:
        create(tmp_path / "new.vhdx", parent=path)
    assert caught.value.path == str(path)
    assert files_in(tmp_path) == {"base.vhdx"}


def test_a_child_does_not_take_the_place_of_a_parent(tmp_path: Path) -> None:
    made = chain(2).write(tmp_path)
    before = {path: digest(path) for path in made.paths}
    for path in made.paths:
        with pytest.raises(OSError, match="is an image of the disk itself"):
            create(path, parent=made.path, replace=True)
    assert {path: digest(path) for path in made.paths} == before


@pytest.mark.parametrize("where", ["beside", "below", "above", "through a link"])
def test_a_parent_is_found_wherever_it_is(where: str, tmp_path: Path) -> None:
    """Above only by those who may go there."""
    folder = tmp_path / "disks"
    (folder / "parents").mkdir(parents=True)
    place = {"below": folder / "parents", "above": tmp_path}.get(where, folder)
    base = dynamic(MIB, blocks={0: Block()}).build()
    parent = base.write(place / "base.vhdx")
    if where == "through a link":
        os.rename(parent, folder / "parents" / "elsewhere.vhdx")
        parent.symlink_to(Path("parents", "elsewhere.vhdx"))
    create(folder / "new.vhdx", parent=parent)
    assert module.leads_out(folder / "new.vhdx", parent) == (where == "above")
    if where == "above":
        with pytest.raises(vhdx_kaitai.ParentNotFoundError):
            vhdx_kaitai.open(folder / "new.vhdx")
    with vhdx_kaitai.open(folder / "new.vhdx", follow_absolute=where == "above") as disk:
        assert disk.links[0].key == "relative_path"
        assert_same(disk.pread(MIB, 0), contents(base.model))


def test_a_new_file_under_a_link_is_a_child_of_where_it_comes_to_be(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "link.vhdx").symlink_to("store/new.vhdx")
    parent = dynamic(MIB).build().write(tmp_path / "base.vhdx")
    create(tmp_path / "link.vhdx", parent=parent, replace=True)
    with vhdx_kaitai.open(tmp_path / "store" / "new.vhdx", follow_absolute=True) as disk:
        assert disk.image.locator is not None
        assert disk.image.locator.entries["relative_path"] == "..\\base.vhdx"


@pytest.mark.parametrize("name", ["back\\slash.vhdx", "half\udcff.vhdx"])
def test_a_parent_that_no_locator_can_name_gets_no_child(name: str, tmp_path: Path) -> None:
    try:
        parent = dynamic(MIB).build().write(tmp_path / name)
    except (OSError, UnicodeError):
        pytest.skip("the file system has no such names")
    with pytest.raises(VhdxError, match=r"no path that|cannot be written"):
        create(tmp_path / "new.vhdx", parent=parent)
    assert files_in(tmp_path) == {name}


def test_on_windows_the_absolute_path_is_told_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = "C:\\disks\\"
    monkeypatch.setattr(module, "_IS_WINDOWS", True)
    monkeypatch.setattr(module, "_without_links", lambda path: folder + os.path.basename(path))
    monkeypatch.setattr(module, "_relative", lambda path, _: path.replace(folder, ".\\"))
    parent = dynamic(MIB).build().write(tmp_path / "base.vhdx")
    create(tmp_path / "new.vhdx", parent=parent)
    with vhdx_kaitai.open(tmp_path / "new.vhdx") as disk:
        assert disk.image.locator is not None
        assert list(disk.image.locator.entries.items())[1:] == [
            ("absolute_win32_path", "\\\\?\\C:\\disks\\base.vhdx"),
            ("relative_path", ".\\base.vhdx"),
        ]
    assert_clean(tmp_path / "new.vhdx")


# -- whole or not at all --------------------------------------------------------------------------


def makers(folder: Path) -> dict[str, Callable[[], object]]:
    """Return what makes new images of each type, small ones."""
    path = folder / "new.vhdx"
    parent = dynamic(MIB).build().write(folder / "base.vhdx")
    return {
        "dynamic": partial(create, path, MIB),
        "fixed": partial(create, path, 2 * MIB, disk_type="fixed", block_size=MIB),
        "differencing": partial(create, path, parent=parent),
    }


KINDS = ["dynamic", "fixed", "differencing"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_identifier_is_written_last_between_two_flushes(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the file gets its name, and the folder is flushed (FTI-06)."""
    make = makers(tmp_path)[kind]
    recording = Recording(monkeypatch)
    make()
    assert recording.names[-5:] == ["fdatasync", "pwrite", "fdatasync", "replace", "fsync"]
    assert [*recording.complaints(400)] == []


@pytest.mark.parametrize("kind", KINDS)
def test_without_the_flush_before_it_that_would_be_seen(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = makers(tmp_path)[kind]
    recording = Recording(monkeypatch)
    flushes = iter([False])
    real = target.OutFile.flush
    monkeypatch.setattr(
        target.OutFile, "flush", lambda out: real(out) if next(flushes, True) else None
    )
    make()
    assert any("is none yet" in complaint for complaint in recording.complaints(400))


def errno_of(make: Callable[[], object]) -> int | None:
    """Return the number of the error of the system that a call raises; None when it raises none."""
    try:
        make()
    except OSError as error:
        return error.errno
    return None


CALLS = ["open", "pwrite", "ftruncate", "posix_fallocate", "fdatasync", "replace"]


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", KINDS)
def test_whichever_call_fails_nothing_is_left(
    kind: str, call: str, error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of them, the second, and so on."""
    make = makers(tmp_path)[kind]
    real = getattr(os, call)
    for turn in range(50):
        calls = 0

        def fail(*arguments: Any, turn: int = turn, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > turn:
                raise OSError(error, "failed")
            return real(*arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, fail)
            number = errno_of(make)
        if number is None:
            assert calls <= turn
            break
        assert number == error
        if call == "open" and "new.vhdx" in files_in(tmp_path):
            break  # only the folder could not be flushed: the file is whole
        assert files_in(tmp_path) == {"base.vhdx"}
    assert_clean(tmp_path / "new.vhdx")


def test_a_full_file_system_is_told_and_nothing_is_left(small_folder: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        create(small_folder / "new.vhdx", 64 * MIB, disk_type="fixed", block_size=MIB)
    assert (caught.value.errno, caught.value.filename) == (
        errno.ENOSPC,
        str(small_folder / "new.vhdx"),
    )
    assert files_in(small_folder) <= {"lost+found"}
    create(small_folder / "new.vhdx", 64 * MIB)
    assert_clean(small_folder / "new.vhdx")


@pytest.mark.parametrize("replace", [False, True])
def test_a_file_is_replaced_when_that_is_asked_for(replace: bool, tmp_path: Path) -> None:
    path = tmp_path / "new.vhdx"
    path.write_bytes(b"before")
    if replace:
        create(path, MIB, replace=True)
        assert_clean(path)
    else:
        with pytest.raises(FileExistsError):
            create(path, MIB)
        assert path.read_bytes() == b"before"
    assert files_in(tmp_path) == {"new.vhdx"}


def test_without_the_system_allocating_a_fixed_image_is_written_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fallocate")
    path = tmp_path / "new.vhdx"
    create(path, 2 * MIB, disk_type="fixed", block_size=MIB)
    assert allocated(path) >= path.stat().st_size == 6 * MIB
    assert_clean(path)


def test_what_a_reader_would_refuse_gets_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were there a mistake here, nobody would see the file."""
    monkeypatch.setattr("vhdx_kaitai.writing.blank._LOG_OFFSET", 3 * MIB)
    with pytest.raises(FormatError, match="OVL") as caught:
        create(tmp_path / "new.vhdx", MIB)
    assert caught.value.path == str(tmp_path / "new.vhdx")
    assert files_in(tmp_path) == set()
