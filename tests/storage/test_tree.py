"""A new folder gets what it is given, and nothing gets anywhere else."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support import files_in
from vhdx_kaitai.errors import UnsupportedError
from vhdx_kaitai.storage.tree import NewTree, NotMadeError, give_status

TIME = 1_767_323_045 * 10**9 + 123_456_789


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def tree(tmp_path: Path) -> NewTree:
    return NewTree(str(tmp_path / "out"))


def fill(tree: NewTree, name: str, data: bytes = b"data", mode: int | None = 0o640) -> None:
    with tree.new_file(name, mode, TIME) as out:
        out.write(data, 0)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_folders_files_and_links_are_made(tree: NewTree, tmp_path: Path) -> None:
    tree.add_folder("a", 0o750, TIME)
    tree.add_folder("a/b", None, None)
    fill(tree, "a/b/file")
    tree.add_name("a/other", "a/b/file")
    tree.set_modified(TIME + 1)
    assert list(tree.finish(iter([("a/link", "b/file")]))) == []
    out = tmp_path / "out"
    assert (out / "a/link").read_bytes() == b"data"
    assert (out / "a/other").samefile(out / "a/b/file")
    assert [mode_of(out / name) for name in ("a", "a/b", "a/b/file")] == [0o750, 0o755, 0o640]
    assert [(out / name).stat().st_mtime_ns for name in (".", "a", "a/b/file")] == [
        *(TIME + 1, TIME, TIME)
    ]


def test_modes_give_nobody_more_than_the_user_wants(tree: NewTree, tmp_path: Path) -> None:
    tree.add_folder("folder", 0o7777, None)
    tree.add_folder("shut", 0, None)
    fill(tree, "file", mode=0o7777)
    fill(tree, "secret", mode=0)
    fill(tree, "shut/file", mode=None)
    out = tmp_path / "out"
    found = [mode_of(out / name) for name in ("folder", "shut", "file", "secret", "shut/file")]
    assert found == [0o755, 0o700, 0o755, 0o400, 0o644]


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "/x", "a\0b", "folder/..", "folder/../../x", "nothing/x", "folder/"],
)
def test_what_is_no_name_in_it_is_not_made(name: str, tree: NewTree, tmp_path: Path) -> None:
    tree.add_folder("folder", None, None)
    with pytest.raises(NotMadeError):
        fill(tree, name)
    with pytest.raises(NotMadeError):
        tree.add_folder(name, None, None)
    with pytest.raises(NotMadeError):
        tree.add_name(name, "folder")
    assert [told for told, _ in tree.finish(iter([(name, "x")]))] == [name]
    assert files_in(tmp_path) == {"out"}
    assert files_in(tmp_path / "out") == {"folder"}
    assert files_in(tmp_path / "out" / "folder") == set()


def test_nothing_is_made_twice(tree: NewTree, tmp_path: Path) -> None:
    tree.add_folder("folder", None, None)
    fill(tree, "file")
    for name in ("folder", "file"):
        with pytest.raises(NotMadeError, match="takes its name for one that is there"):
            fill(tree, name, b"other")
        with pytest.raises(NotMadeError, match="takes its name for one that is there"):
            tree.add_folder(name, None, None)
    with pytest.raises(NotMadeError, match="its folder was not made"):
        fill(tree, "file/x")
    assert [name for name, _ in tree.finish(iter([("file", "x"), ("folder", "/")]))] == [
        *("file", "folder")
    ]
    assert (tmp_path / "out" / "file").read_bytes() == b"data"


def test_nothing_gets_into_a_folder_that_was_not_made_here(tree: NewTree, tmp_path: Path) -> None:
    """As one is for which another name stands already."""
    (tmp_path / "out" / "there").mkdir()
    with pytest.raises(NotMadeError):
        tree.add_folder("there", None, None)
    with pytest.raises(NotMadeError, match="its folder was not made"):
        fill(tree, "there/file")


def test_nothing_is_written_through_a_link(tree: NewTree, tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "out" / "link").symlink_to(tmp_path / "precious")
    with pytest.raises(NotMadeError):
        fill(tree, "link")
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_a_file_is_there_whole_or_not_at_all(tree: NewTree, tmp_path: Path) -> None:
    with suppress(ZeroDivisionError), tree.new_file("file", None, None) as out:
        out.write(b"half", 0)
        raise ZeroDivisionError
    assert files_in(tmp_path / "out") == set()


def test_a_name_may_have_characters_that_no_system_has(tree: NewTree) -> None:
    """As NTFS lets it: half of a pair of surrogates."""
    with pytest.raises(NotMadeError):
        fill(tree, "a\ud800")
    told = list(tree.finish(iter([("a\ud800", "x"), ("b", "\ud800")])))
    assert [name for name, _ in told] == ["a\ud800", "b"]


def test_a_name_may_be_too_long(tree: NewTree) -> None:
    with pytest.raises(NotMadeError, match="File name too long"):
        fill(tree, "n" * 300)


@pytest.mark.parametrize("modified", [-(10**18), 2**63, 2**70])
def test_a_time_that_no_system_has_is_left_out(
    modified: int, tree: NewTree, tmp_path: Path
) -> None:
    with tree.new_file("file", None, modified):
        pass
    assert (tmp_path / "out" / "file").exists()


def test_nothing_is_made_at_a_url() -> None:
    with pytest.raises(UnsupportedError, match="nothing is written there"):
        NewTree("s3://bucket/out")


def test_an_empty_folder_may_be_there(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    fill(NewTree(str(tmp_path / "out")), "file")
    assert files_in(tmp_path / "out") == {"file"}


@pytest.mark.parametrize("what", ["file", "full", "link"])
def test_what_is_there_already_stays(what: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    if what == "file":
        out.write_bytes(b"data")
    elif what == "full":
        out.mkdir()
        (out / "file").touch()
    else:
        (tmp_path / "elsewhere").mkdir()
        out.symlink_to("elsewhere")
    with pytest.raises(FileExistsError, match="is no empty folder"):
        NewTree(str(out))


@pytest.mark.parametrize(
    ("mode", "expected"), [(0o4777, 0o755), (0o600, 0o600), (0, 0o400), (None, 0o644)]
)
def test_a_single_file_gets_mode_and_time(mode: int | None, expected: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    give_status(str(path), mode, TIME)
    assert (mode_of(path), path.stat().st_mtime_ns) == (expected, TIME)
