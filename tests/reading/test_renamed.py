"""Parents under another name: what is opened to find them, and what is not."""

from __future__ import annotations

import errno
import lzma
import os
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import vhdx_kaitai
from tests.images.chain import chain
from tests.images.image import Block, dynamic
from tests.images.structures import KIB, MIB, ZERO_GUID
from tests.parents_fixtures import RIGHT, WRONG, child, parent, put, tag_of
from tests.reading_fixtures import few_runs
from tests.support import SHARED
from vhdx_kaitai.errors import ParentMismatchError, ParentNotFoundError
from vhdx_kaitai.reading import renamed
from vhdx_kaitai.storage.source import FileSource


def orphan(folder: Path, **values: Any) -> Path:
    return put(child(relative_path="gone.vhdx", **values), folder, "own", "child.vhdx")


@pytest.mark.parametrize("name", ["a.vhdx", "A.AVHDX", "backup", "äöü.img", "child.vhdx"])
def test_a_parent_is_found_by_its_guid_whatever_its_name(name: str, tmp_path: Path) -> None:
    put(parent(4), tmp_path, "search", name)
    put(parent(1, WRONG), tmp_path, "search", "another.vhdx")
    with vhdx_kaitai.open(orphan(tmp_path), search=tmp_path / "search") as disk:
        assert tag_of(disk) == 4
        assert disk.links == (("data_write_guid", "parent_linkage"),)
        assert disk.chain[1].path == str(tmp_path / "search" / name)


def test_the_second_linkage_will_do(tmp_path: Path) -> None:
    put(parent(4), tmp_path, "search", "a")
    path = put(child(WRONG, RIGHT, relative_path="gone"), tmp_path, "own", "child.vhdx")
    with vhdx_kaitai.open(path, search=tmp_path / "search") as disk:
        assert disk.links == (("data_write_guid", "parent_linkage2"),)


def test_zero_finds_no_parent(tmp_path: Path) -> None:
    put(parent(4, ZERO_GUID), tmp_path, "search", "a")
    path = put(child(ZERO_GUID, relative_path="gone"), tmp_path, "own", "child.vhdx")
    with pytest.raises(ParentNotFoundError, match="wanted DataWriteGuid none but zero"):
        vhdx_kaitai.open(path, search=tmp_path / "search")


def test_a_name_that_leads_to_the_parent_comes_first(
    tmp_path: Path, opened_paths: list[str]
) -> None:
    path = orphan(tmp_path)
    named = put(parent(2), tmp_path, "second", "gone.vhdx")
    put(parent(1), tmp_path, "first", "a.vhdx")
    opened_paths.clear()
    with vhdx_kaitai.open(path, search=[tmp_path / "first", tmp_path / "second"]) as disk:
        assert tag_of(disk) == 2
    assert opened_paths == [str(path), str(named)]


def test_only_folders_that_the_caller_names_are_looked_through(
    tmp_path: Path, opened_paths: list[str]
) -> None:
    """Not that of the child, nor what is below those."""
    path = orphan(tmp_path)
    put(parent(1), tmp_path, "own", "renamed.vhdx")
    put(parent(2), tmp_path, "search", "below", "renamed.vhdx")
    opened_paths.clear()
    for search in ([], [tmp_path / "search"]):
        with pytest.raises(ParentNotFoundError, match=f"wanted DataWriteGuid {RIGHT}"):
            vhdx_kaitai.open(path, search=search)
    assert opened_paths == [str(path)] * 2
    with vhdx_kaitai.open(path, search=tmp_path / "own") as disk:
        assert tag_of(disk) == 1
    assert opened_paths.count(str(path)) == 3  # the child is not one of its own parents


def test_of_files_with_the_same_guid_the_first_that_opens_is_taken(tmp_path: Path) -> None:
    path = orphan(tmp_path)
    cut = put(parent(1), tmp_path, "search", "a.vhdx")
    os.truncate(cut, 2 << 20)
    put(parent(2), tmp_path, "search", "b.vhdx")
    put(parent(3), tmp_path, "search", "c.vhdx")
    with vhdx_kaitai.open(path, search=tmp_path / "search") as disk:
        assert tag_of(disk) == 2
    for name in ("b.vhdx", "c.vhdx"):
        (tmp_path / "search" / name).unlink()
    with pytest.raises(ParentNotFoundError, match=r"a\.vhdx: found, but it is damaged: "):
        vhdx_kaitai.open(path, search=tmp_path / "search")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple[int, int]]]:
    """What is read of each file: places and lengths, by name."""
    done: dict[str, list[tuple[int, int]]] = {}
    read = FileSource.read

    def noted(source: FileSource, offset: int, length: int) -> bytes:
        done.setdefault(os.path.basename(str(source.path)), []).append((offset, length))
        return read(source, offset, length)

    monkeypatch.setattr(FileSource, "read", noted)
    return done


def test_little_is_read_of_files_that_are_not_the_parent(
    tmp_path: Path, reads: dict[str, list[tuple[int, int]]]
) -> None:
    path = orphan(tmp_path)
    search = tmp_path / "search"
    put(parent(1, WRONG), search, "image.vhdx")
    (search / "text.vhdx").write_bytes(b"text" * 999999)
    (search / "short").write_bytes(b"vhd")
    with pytest.raises(ParentNotFoundError):
        vhdx_kaitai.open(path, search=search)
    assert reads["text.vhdx"] == [(0, 8)]
    assert reads["short"] == [(0, 8)]
    assert reads["image.vhdx"] == [(0, 8), (64 * KIB, 4 * KIB), (128 * KIB, 4 * KIB)]


def test_what_is_no_file_is_not_opened(tmp_path: Path, opened_paths: list[str]) -> None:
    path = orphan(tmp_path)
    search = tmp_path / "search"
    search.mkdir()
    (search / "folder.vhdx").mkdir()
    os.mkfifo(search / "pipe.vhdx")
    (search / "nowhere.vhdx").symlink_to("nothing")
    (search / "itself.vhdx").symlink_to("itself.vhdx")
    opened_paths.clear()
    with pytest.raises(ParentNotFoundError, match="there is no file to look at"):
        vhdx_kaitai.open(path, search=search)
    assert opened_paths == [str(path)]


def test_a_link_out_of_the_folders_is_not_followed(tmp_path: Path, opened_paths: list[str]) -> None:
    path = orphan(tmp_path)
    outside = put(parent(6), tmp_path, "outside", "real.vhdx")
    inside = put(parent(5), tmp_path, "search", "store", "real.vhdx")
    link = tmp_path / "search" / "link.vhdx"
    link.symlink_to(outside)
    opened_paths.clear()
    with pytest.raises(ParentNotFoundError):
        vhdx_kaitai.open(path, search=tmp_path / "search")
    assert str(outside) not in {os.path.realpath(path) for path in opened_paths}
    with vhdx_kaitai.open(path, search=tmp_path / "search", follow_absolute=True) as disk:
        assert tag_of(disk) == 6
    link.unlink()
    link.symlink_to(inside)
    with vhdx_kaitai.open(path, search=tmp_path / "search") as disk:
        assert tag_of(disk) == 5


def test_a_link_that_is_swapped_after_the_look_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = orphan(tmp_path)
    outside = put(parent(6), tmp_path, "outside", "real.vhdx")
    named = put(parent(5), tmp_path, "search", "renamed.vhdx")
    look = renamed._is_wanted

    def then_swapped(*about: Any) -> bool:
        is_wanted = look(*about)
        named.unlink()
        named.symlink_to(outside)
        return is_wanted

    monkeypatch.setattr(renamed, "_is_wanted", then_swapped)
    with pytest.raises(ParentNotFoundError, match="a link that leads out of the folder"):
        vhdx_kaitai.open(path, search=tmp_path / "search")


def test_no_more_than_a_limit_of_files_is_looked_at_and_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those with the usual endings come first."""
    monkeypatch.setattr(renamed, "MOST_FILES", 5)
    path = orphan(tmp_path)
    search = tmp_path / "search"
    search.mkdir()
    for number in range(9):
        (search / f"a{number}.txt").write_text("text")
    last = put(parent(3), search, "b0.txt")
    with pytest.raises(ParentNotFoundError) as caught:
        vhdx_kaitai.open(path, search=search)
    assert "none of 5 files has it; there are more (our limit)" in str(caught.value)
    last.rename(search / "z.avhdx")
    with vhdx_kaitai.open(path, search=search) as disk:
        assert tag_of(disk) == 3


def test_a_folder_of_a_great_many_files_takes_little_time(tmp_path: Path) -> None:
    path = orphan(tmp_path)
    search = tmp_path / "search"
    search.mkdir()
    for number in range(3000):
        (search / f"{number}.vhdx").touch()
    with pytest.raises(ParentNotFoundError, match="none of 1024 files has it; there are more"):
        vhdx_kaitai.open(path, search=search)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_files_that_the_system_refuses_are_counted(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = orphan(tmp_path)
    put(parent(3), tmp_path, "search", "a.vhdx")
    put(parent(3, WRONG), tmp_path, "search", "b.vhdx")
    system = os.open

    def refused(name: Any, *rest: Any, **options: Any) -> int:
        if str(name).endswith("a.vhdx"):
            raise OSError(number, os.strerror(number), name)
        return system(name, *rest, **options)

    monkeypatch.setattr(os, "open", refused)
    reason = "none of 2 files has it, but 1 file cannot be opened"
    with pytest.raises(ParentNotFoundError, match=reason):
        vhdx_kaitai.open(path, search=tmp_path / "search")


def test_folders_that_are_not_there_are_told(tmp_path: Path) -> None:
    path = orphan(tmp_path)
    with pytest.raises(ParentNotFoundError, match="cannot be looked into: No such file"):
        vhdx_kaitai.open(path, search=tmp_path / "none")
    with pytest.raises(ParentNotFoundError, match="cannot be looked into: Not a directory"):
        vhdx_kaitai.open(path, search=path)


def test_every_level_may_have_been_renamed(tmp_path: Path) -> None:
    made = chain(3, blocks=few_runs).write(tmp_path)
    for number, file in enumerate(made.paths[:-1]):
        file.rename(tmp_path / f"disk {number}")
    with vhdx_kaitai.open(made.path, search=tmp_path) as disk:
        assert [link.key for link in disk.links] == ["data_write_guid"] * 2
        assert disk.pread(disk.size, 0) == made.model.read(0, disk.size)


def test_a_parent_found_so_is_still_judged(tmp_path: Path) -> None:
    """A chain that leads back to itself is none, by whatever way."""
    own = child().model.current_header.data_write_guid
    for name in ("a", "b"):
        path = put(child(own, relative_path="gone"), tmp_path, name)
    (tmp_path / "c").hardlink_to(path)
    path = tmp_path / "c"
    (tmp_path / "a").unlink()
    with pytest.raises(vhdx_kaitai.FormatError) as caught:
        vhdx_kaitai.open(path, search=tmp_path)
    assert caught.value.finding.rule == "CHAIN-06"


def test_a_mismatch_by_name_is_told_when_no_other_name_leads_on(tmp_path: Path) -> None:
    path = put(child(relative_path="gone.vhdx"), tmp_path, "own", "child.vhdx")
    put(parent(1, WRONG), tmp_path, "own", "gone.vhdx")
    with pytest.raises(ParentMismatchError, match=r"found gone\.vhdx, but it was changed after"):
        vhdx_kaitai.open(path, search=tmp_path / "own")
    put(parent(4), tmp_path, "own", "before.vhdx")
    with vhdx_kaitai.open(path, search=tmp_path / "own") as disk:
        assert tag_of(disk) == 4


def test_the_parent_of_a_checkpoint_that_others_made_is_found_under_another_name(
    tmp_path: Path,
) -> None:
    packed = SHARED / "cases" / "parent-renamed-child.avhdx.xz"
    if not packed.is_file():
        pytest.skip("no parent-renamed-child in ../shared/cases")
    path = tmp_path / "child.avhdx"
    path.write_bytes(lzma.decompress(packed.read_bytes()))
    wanted = UUID("296a002d-c70f-5d80-b62c-98607b580213")
    base = dynamic(8 * MIB, data_write_guid=wanted, blocks={0: Block(), 5: Block()}).build()
    put(base, tmp_path, "images", "server1 (before the update).vhdx")
    with pytest.raises(ParentNotFoundError, match=f"wanted DataWriteGuid {wanted}"):
        vhdx_kaitai.open(path)
    with vhdx_kaitai.open(path, search=tmp_path / "images") as disk:
        assert disk.links == (("data_write_guid", "parent_linkage"),)
        assert disk.pread(MIB, 5 * MIB) == base.model.read(5 * MIB, MIB)
