"""A search for a parent ends soon, whatever lies in the folder, and tells of a system's refusal."""

from __future__ import annotations

import errno
import itertools
import os
from pathlib import Path
from typing import Any

import pytest

import vhdx_kaitai
from tests.conftest import Run
from tests.images.chain import chain
from tests.parents_fixtures import (
    IN_VOLUME,
    RELATIVE,
    VOLUME,
    WRONG,
    child,
    parent,
    put,
    tag_of,
)
from tests.reading_fixtures import measured_memory, needs_proc, open_descriptors
from tests.support import good
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.errors import ParentMismatchError, ParentNotFoundError
from vhdx_kaitai.storage.source import FileSource

# -- names that differ only in case ---------------------------------------------------------------


@pytest.fixture
def listings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that are listed from now on."""
    paths: list[str] = []
    real = os.listdir

    def note(path: str) -> list[str]:
        paths.append(path)
        return real(path)

    monkeypatch.setattr(os, "listdir", note)
    return paths


def cases(name: str) -> list[str]:
    """Return a name in every case there is, sorted."""
    both = [sorted({letter.lower(), letter.upper()}) for letter in name]
    return ["".join(letters) for letters in itertools.product(*both)]


@pytest.mark.parametrize("steps", [2, 12, 30, 2000])
def test_links_into_the_folder_they_lie_in_are_no_more_ways_than_one(
    steps: int, tmp_path: Path, listings: list[str]
) -> None:
    """Each step has two names, so that there are 2**steps ways to the same file."""
    for name in "aA":
        (tmp_path / name).symlink_to(".")
    path = put(child(relative_path="a\\" * steps + "p.vhdx"), tmp_path, "child.vhdx")
    with measured_memory() as peak, pytest.raises(ParentNotFoundError) as caught:
        vhdx_kaitai.open(path)
    assert len(listings) == 2  # for `a` and for `p.vhdx`
    assert str(caught.value).count("no such file") <= 2
    assert peak.bytes < 8 << 20
    put(parent(5), tmp_path, "P.vhdx")
    with vhdx_kaitai.open(path) as disk:
        assert tag_of(disk) == 5


def test_folders_with_links_to_each_other_are_no_more_ways_than_folders(
    tmp_path: Path, listings: list[str]
) -> None:
    folders = ["ab", "Ab", "aB", "AB"]
    for one in folders:
        (tmp_path / one).mkdir()
        for other in folders:
            (tmp_path / one / other).symlink_to(f"../{other}")
    path = put(child(relative_path="ab\\" * 12 + "p.vhdx"), tmp_path, "child.vhdx")
    with pytest.raises(ParentNotFoundError):
        vhdx_kaitai.open(path)
    assert len(listings) <= 2 * (1 + len(folders))
    put(parent(5), tmp_path, "AB", "P.vhdx")
    with vhdx_kaitai.open(path) as disk:
        assert tag_of(disk) == 5


def test_a_great_many_names_that_differ_only_in_case_are_not_all_tried(tmp_path: Path) -> None:
    """256 of them are, in their order."""
    names = cases("parents.vhdx")[:1000]
    wrong = put(parent(1, WRONG), tmp_path, "stranger")
    for name in names:
        (tmp_path / name).hardlink_to(wrong)
    path = put(child(relative_path="parents.vhdx"), tmp_path, "child.vhdx")
    with pytest.raises(ParentMismatchError) as caught:
        vhdx_kaitai.open(path)
    text = str(caught.value)
    assert "more than 256 names that differ only in case (our limit)" in text
    assert [name for name in names if f"/{name}: " in text] == names[:256]
    for number, is_found in ((255, True), (256, False)):
        right = tmp_path / names[number]
        right.unlink()
        put(parent(5), right)
        if is_found:
            with vhdx_kaitai.open(path) as disk:
                assert disk.chain[1].path == str(right)
        else:
            with pytest.raises(ParentMismatchError):
                vhdx_kaitai.open(path)
        right.unlink()
        right.hardlink_to(wrong)


def test_the_bound_on_names_counts_those_of_folders_too(tmp_path: Path) -> None:
    for name in cases("folder-of-x")[:300]:
        (tmp_path / name).mkdir()
    path = put(child(relative_path="folder-of-x\\p.vhdx"), tmp_path, "child.vhdx")
    with pytest.raises(ParentNotFoundError, match="more than 256 names"):
        vhdx_kaitai.open(path)


@pytest.mark.parametrize("kind", ["file", "folder", "another case", "circle"])
def test_a_link_that_leads_nowhere_is_no_parent(kind: str, tmp_path: Path) -> None:
    text = "sub\\p.vhdx" if kind == "folder" else "p.vhdx"
    if kind == "folder":
        (tmp_path / "sub").symlink_to("sub")
    elif kind == "circle":
        (tmp_path / "p.vhdx").symlink_to("q.vhdx")
        (tmp_path / "q.vhdx").symlink_to("p.vhdx")
    else:
        (tmp_path / ("P.vhdx" if kind == "another case" else "p.vhdx")).symlink_to(
            "P.vhdx" if kind == "another case" else "p.vhdx"
        )
    put(parent(5), tmp_path, "other.vhdx")
    paths = {RELATIVE: text, VOLUME: IN_VOLUME + "other.vhdx"}
    path = put(child(**paths), tmp_path, "child.vhdx")
    with vhdx_kaitai.open(path) as disk:
        assert tag_of(disk) == 5
    (tmp_path / "other.vhdx").unlink()
    with pytest.raises(ParentNotFoundError):
        vhdx_kaitai.open(path)


# -- what the system refuses ----------------------------------------------------------------------

REFUSED = [
    errno.EMFILE,
    errno.ENFILE,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ENOMEM,
    errno.ESTALE,
]
NO_FILE = [errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR, errno.ENXIO]
NAMES = {number: errno.errorcode[number] for number in REFUSED + NO_FILE}


def refuse_to_open(name: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the system say no when a file of this name is opened."""
    real = os.open

    def opened(path: Any, *arguments: Any, **options: Any) -> int:
        if os.path.basename(path) == name:
            raise OSError(number, os.strerror(number), path)
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "open", opened)


@needs_proc
@pytest.mark.parametrize("number", REFUSED, ids=NAMES.get)
@pytest.mark.parametrize("name", ["parent.vhdx", "sub"])
def test_what_may_be_the_parent_and_cannot_be_opened_is_an_error_of_the_system(
    name: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(parent(2), tmp_path, "sub", "parent.vhdx")
    put(parent(2, WRONG), tmp_path, "parent2.vhdx")
    paths = {RELATIVE: "sub\\parent.vhdx", VOLUME: IN_VOLUME + "parent2.vhdx"}
    path = put(child(**paths), tmp_path, "child.vhdx")
    before = open_descriptors()
    refuse_to_open(name, number, monkeypatch)
    with pytest.raises(OSError, match=r".") as caught:
        vhdx_kaitai.open(path)
    assert caught.value.errno == number
    assert caught.value.filename == str(tmp_path / "sub" / "parent.vhdx")
    assert open_descriptors() == before


@pytest.mark.parametrize("number", NO_FILE, ids=NAMES.get)
def test_where_there_is_no_file_there_is_no_parent(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(parent(2), tmp_path, "parent.vhdx")
    path = put(child(relative_path="parent.vhdx"), tmp_path, "child.vhdx")
    refuse_to_open("parent.vhdx", number, monkeypatch)
    with pytest.raises(ParentNotFoundError):
        vhdx_kaitai.open(path)


@pytest.mark.parametrize("number", REFUSED + NO_FILE, ids=NAMES.get)
def test_a_candidate_that_the_system_refuses_is_passed_over_for_the_parent(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(parent(2), tmp_path, "one.vhdx")
    put(parent(5), tmp_path, "two.vhdx")
    paths = {RELATIVE: "one.vhdx", VOLUME: IN_VOLUME + "two.vhdx"}
    path = put(child(**paths), tmp_path, "child.vhdx")
    refuse_to_open("one.vhdx", number, monkeypatch)
    with vhdx_kaitai.open(path) as disk:
        assert tag_of(disk) == 5


def test_a_candidate_that_cannot_be_read_is_an_error_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading names no file by itself."""
    put(parent(2), tmp_path, "parent.vhdx")
    path = put(child(relative_path="parent.vhdx"), tmp_path, "child.vhdx")
    real = FileSource.read

    def read(source: FileSource, offset: int, length: int) -> bytes:
        if str(source.path).endswith("parent.vhdx"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(source, offset, length)

    monkeypatch.setattr(FileSource, "read", read)
    with pytest.raises(OSError, match=r"Input/output") as caught:
        vhdx_kaitai.open(path)
    assert caught.value.filename == str(tmp_path / "parent.vhdx")


@pytest.mark.parametrize("is_there", [True, False])
def test_a_folder_that_cannot_be_listed_may_hold_the_parent_under_another_case(
    is_there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_there:
        put(parent(2, WRONG), tmp_path, "parent.vhdx")
    path = put(child(relative_path="parent.vhdx"), tmp_path, "child.vhdx")

    def refuse(folder: str) -> list[str]:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(PermissionError) as caught:
        vhdx_kaitai.open(path)
    assert caught.value.filename == str(tmp_path)


@needs_proc
def test_a_process_without_descriptors_left_is_told_so(tmp_path: Path) -> None:
    """However many are left: a few are enough to open the child, some more for the parent."""
    resource = pytest.importorskip("resource")
    put(parent(2), tmp_path, "sub", "parent.vhdx")
    path = put(child(relative_path="sub\\PARENT.vhdx"), tmp_path, "child.vhdx")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    fillers = [os.open(os.devnull, os.O_RDONLY)]
    highest = max(map(int, open_descriptors()))
    while fillers[-1] < highest:  # until no number below the highest is free
        fillers.append(os.open(os.devnull, os.O_RDONLY))
    outcomes = []
    for spare in range(8):
        resource.setrlimit(resource.RLIMIT_NOFILE, (fillers[-1] + 1 + spare, limits[1]))
        try:
            vhdx_kaitai.open(path).close()
            outcomes.append(0)
        except OSError as error:
            outcomes.append(error.errno or -1)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    for filler in fillers:
        os.close(filler)
    assert set(outcomes) == {0, errno.EMFILE}
    assert outcomes == sorted(outcomes, reverse=True)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EACCES, errno.EIO], ids=NAMES.get)
def test_check_says_why_parents_were_not_checked_and_that_something_is_missing(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    """The file itself is fine, and nothing is said about whether its parent is there."""
    made = chain(2).write(tmp_path)
    refuse_to_open("base.vhdx", number, monkeypatch)
    report = check(made.path, chain=True)
    assert (report.verdict, report.is_incomplete, report.parents) == ("unusable", True, ())
    assert not any(finding.rule.startswith("CHAIN") for finding in report.findings)
    reason = f"{made.paths[0]}: {os.strerror(number)}"
    assert ("the parents", reason) in report.skipped
    outcome = run("check", "--chain", made.path)
    assert outcome.status == 1
    assert reason in outcome.out
    with pytest.raises(OSError, match=r".") as caught:  # the caller named it
        check(made.path, chain=True, parent=made.paths[0])
    assert caught.value.errno == number


@pytest.mark.parametrize("command", ["info", "map", "chain"])
def test_commands_tell_what_the_system_refuses(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    made = chain(2).write(tmp_path)
    refuse_to_open("base.vhdx", errno.EACCES, monkeypatch)
    outcome = run(command, made.path)
    assert outcome.status == (0 if command == "info" else 1)
    assert f"{made.paths[0]}" in outcome.out + outcome.err
    assert os.strerror(errno.EACCES) in outcome.out + outcome.err


def test_an_image_without_parents_lists_no_folder(tmp_path: Path, listings: list[str]) -> None:
    vhdx_kaitai.open(good("dynamic-plain").write(tmp_path / "base.vhdx")).close()
    assert listings == []
