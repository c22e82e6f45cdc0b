"""A parent outside of the folders is never opened, whatever is replaced while it is looked for."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import vhdx_kaitai
from tests.parents_fixtures import RIGHT, child, parent, put, tag_of
from tests.reading_fixtures import needs_proc, open_descriptors
from vhdx_kaitai.errors import ParentNotFoundError
from vhdx_kaitai.reading import parents
from vhdx_kaitai.storage.source import FileSource

INSIDE, OUTSIDE = 3, 6  # tags of the parents, both of which have the right DataWriteGuid

# What asks the system for something by the name of a file.
CALLS = ("stat", "lstat", "readlink", "listdir", "open")


@contextmanager
def interrupted(before: Callable[[int], object]) -> Iterator[None]:
    """Call a function before each call of the system that is about one of our names."""
    with pytest.MonkeyPatch.context() as patch:
        numbers = count()

        def hook(name: str) -> None:
            real = getattr(os, name)

            def call(path: Any, *arguments: Any, **options: Any) -> Any:
                if "work" in str(path) or "dir_fd" in options:
                    before(next(numbers))
                return real(path, *arguments, **options)

            patch.setattr(os, name, call)

        for name in CALLS:
            hook(name)
        yield


class Scene:
    """A child, a parent in its folder, another one outside, and something that can be replaced.

    Args:
        folder: Where all that is made.
        what: What is replaced: the parent, a link to it, a folder on the way to it, a link to
            such a folder, the link that is the child's name, or its folder.
    """

    def __init__(self, folder: Path, what: str) -> None:
        own, outside = folder / "work" / "own", folder / "outside"
        name = "sub\\parent.vhdx" if "on the way" in what else "parent.vhdx"
        for path in (outside / "parent.vhdx", outside / "sub" / "parent.vhdx"):
            put(parent(OUTSIDE), path)
        for path in (own / "child.vhdx", own / "store" / "child.vhdx", outside / "child.vhdx"):
            put(child(relative_path=name), path)
        place, here, inside, there = {
            "the parent": ("parent.vhdx", None, "parent.vhdx", "parent.vhdx"),
            "a link to the parent": ("parent.vhdx", "store/p.vhdx", "store/p.vhdx", "parent.vhdx"),
            "a folder on the way": ("sub", None, "sub/parent.vhdx", "sub"),
            "a link on the way": ("sub", "store", "store/parent.vhdx", "sub"),
            "the child": ("child.vhdx", "store/child.vhdx", "store/parent.vhdx", "child.vhdx"),
            "its folder": ("", None, "parent.vhdx", ""),
        }[what]
        put(parent(INSIDE), own / inside)
        self.path = own / "child.vhdx"
        self.place, self.there = own / place, outside / there
        self.spare = folder / "spare"
        if here is not None:
            self.place.unlink(missing_ok=True)
            self.place.symlink_to(here)

    def replace(self) -> None:
        """Let the link, or what was a folder, lead out."""
        _rename(self.place, self.spare)
        _symlink(self.there, self.place)

    def restore(self) -> None:
        """Let everything be again what it was."""
        _unlink(self.place)
        _rename(self.spare, self.place)


# As they are, since those of `Path` ask for more.
_rename, _symlink, _unlink = os.rename, os.symlink, os.unlink

IN_ITS_FOLDER = ("the parent", "a link to the parent", "a folder on the way", "a link on the way")
REPLACED = (*IN_ITS_FOLDER, "the child", "its folder")


def number_of_calls(path: Path) -> int:
    """Return how often the system is asked about names until a disk is open."""
    numbers: list[int] = []
    with interrupted(numbers.append), vhdx_kaitai.open(path):
        pass
    return len(numbers)


def opened_tag(scene: Scene, before: Callable[[int], object]) -> int | None:
    """Return the tag of the parent that is found, while something is done before each call."""
    try:
        with interrupted(before), vhdx_kaitai.open(scene.path) as disk:
            return tag_of(disk)
    except (vhdx_kaitai.VhdxError, OSError):
        return None


def replaced(scene: Scene, moment: int, *, stays: bool = True) -> Callable[[int], None]:
    """Return what replaces something before one call, and restores it before the next one."""

    def step(number: int) -> None:
        if number == moment:
            scene.replace()
        elif number == moment + 1 and not stays:
            scene.restore()

    return step


@pytest.mark.parametrize("stays", [True, False], ids=["for good", "for a moment"])
@pytest.mark.parametrize("what", REPLACED)
def test_what_is_replaced_at_any_moment_never_leads_out(
    what: str, stays: bool, tmp_path: Path
) -> None:
    """The caller opened the child; whoever put it there may do with its folder what he likes."""
    scene = Scene(tmp_path, what)
    tags = set()
    for moment in range(1, number_of_calls(scene.path)):
        tags.add(opened_tag(scene, replaced(scene, moment, stays=stays)))
        if os.path.lexists(scene.spare):
            scene.restore()
    assert tags <= {INSIDE, None}
    assert opened_tag(scene, lambda _: None) == INSIDE


@pytest.mark.parametrize("what", IN_ITS_FOLDER)
def test_what_is_replaced_for_good_never_leads_out_where_no_steps_can_be_taken(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parents, "_GOES_STEP_BY_STEP", False)
    scene = Scene(tmp_path, what)
    tags = set()
    for moment in range(1, number_of_calls(scene.path)):
        tags.add(opened_tag(scene, replaced(scene, moment)))
        scene.restore()
    assert tags <= {INSIDE, None}
    assert opened_tag(scene, lambda _: None) == INSIDE


@needs_proc
@pytest.mark.parametrize("steps", [True, False])
def test_no_file_stays_open_whatever_is_replaced(
    steps: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parents, "_GOES_STEP_BY_STEP", steps)
    scene = Scene(tmp_path, "a link on the way")
    before = open_descriptors()
    for moment in range(1, number_of_calls(scene.path)):
        opened_tag(scene, replaced(scene, moment))
        assert open_descriptors() == before
        scene.restore()


@pytest.mark.parametrize("steps", [True, False])
def test_a_link_that_leads_out_when_it_is_opened_is_refused_with_the_reason(
    steps: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one is that led out all the time."""
    monkeypatch.setattr(parents, "_GOES_STEP_BY_STEP", steps)
    own = str(tmp_path / "own")
    opened = parents.confined([parents.Folder(own, own)])
    put(parent(INSIDE), tmp_path, "own", "parent.vhdx")
    put(parent(OUTSIDE), tmp_path, "outside", "parent.vhdx")
    for name in ("link", "store"):
        (tmp_path / "own" / name).symlink_to(tmp_path / "outside")
    os.close(opened(str(tmp_path / "own" / "parent.vhdx"), os.O_RDONLY))
    for path in (tmp_path / "own" / "link" / "parent.vhdx", tmp_path / "outside" / "parent.vhdx"):
        with pytest.raises(OSError, match=r"a link that leads out .*\(--follow-absolute") as caught:
            opened(str(path), os.O_RDONLY)
        assert caught.value.filename == str(path)
        assert caught.value.errno in parents.NO_SUCH_FILE


def test_a_parent_is_found_below_a_folder_that_may_be_passed_and_not_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may not know what is in a folder may still know the name of one file in it."""
    put(parent(INSIDE), tmp_path, "sub", "parent.vhdx")
    path = put(child(relative_path="sub\\parent.vhdx"), tmp_path, "child.vhdx")

    def refuse(folder: str) -> list[str]:
        raise PermissionError(errno.EACCES, "Permission denied", folder)

    monkeypatch.setattr(os, "listdir", refuse)
    with vhdx_kaitai.open(path) as disk:
        assert tag_of(disk) == INSIDE


def test_a_child_that_was_moved_away_has_no_folder_any_more(tmp_path: Path) -> None:
    put(parent(INSIDE), tmp_path, "own", "parent.vhdx")
    path = put(child(relative_path="parent.vhdx"), tmp_path, "own", "child.vhdx")
    with path.open("rb") as file:
        path.rename(tmp_path / "child.vhdx")
        put(child(RIGHT, relative_path="other.vhdx"), path)
        with pytest.raises(ParentNotFoundError, match="no folder to look in"):
            vhdx_kaitai.open(file)


def test_parents_are_confined_where_files_have_but_one_position(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, which has no positional reads, and cannot be led step by step either."""
    monkeypatch.delattr(os, "preadv")
    monkeypatch.setattr(parents, "_GOES_STEP_BY_STEP", False)
    put(parent(INSIDE), tmp_path, "own", "parent.vhdx")
    put(parent(OUTSIDE), tmp_path, "outside", "parent.vhdx")
    path = put(child(relative_path="parent.vhdx"), tmp_path, "own", "child.vhdx")
    with vhdx_kaitai.open(path) as disk:
        assert tag_of(disk) == INSIDE
        assert type(disk.chain[1].stored) is not FileSource
    (tmp_path / "own" / "parent.vhdx").unlink()
    (tmp_path / "own" / "parent.vhdx").symlink_to(tmp_path / "outside" / "parent.vhdx")
    with pytest.raises(ParentNotFoundError, match="a link that leads out"):
        vhdx_kaitai.open(path)
