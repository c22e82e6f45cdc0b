"""Where parents are looked for, and which files are never touched.

The text of a locator comes from the file, so what counts is which files were opened: `opened_paths`
writes every one of them down.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vhdx_kaitai
from tests.images.chain import chain
from tests.images.structures import MIB
from tests.parents_fixtures import (
    ABSOLUTE,
    IN_VOLUME,
    RELATIVE,
    RIGHT,
    VOLUME,
    WRONG,
    child,
    parent,
    put,
    tag_of,
)
from tests.reading_fixtures import (
    assert_reads_throughout,
    few_runs,
)
from vhdx_kaitai.errors import (
    FormatError,
    ParentNotFoundError,
)

# -- order ----------------------------------------------------------------------------------------


ALL_THREE = {
    RELATIVE: ".\\relative.vhdx",
    VOLUME: IN_VOLUME + "x\\volume.vhdx",
    ABSOLUTE: "C:\\images\\absolute.vhdx",
}


@pytest.mark.parametrize(
    ("missing", "key"), [(0, RELATIVE), (1, VOLUME), (2, ABSOLUTE)], ids=lambda value: str(value)
)
def test_paths_are_tried_in_the_order_of_the_text_whatever_that_of_the_file(
    missing: int, key: str, tmp_path: Path, opened_paths: list[str]
) -> None:
    names = ["relative.vhdx", "volume.vhdx", "absolute.vhdx"]
    for tag, name in enumerate(names[missing:], missing + 1):
        put(parent(tag), tmp_path, name)
    backwards = dict(reversed(ALL_THREE.items()))
    path = put(child(**backwards), tmp_path, "child.vhdx")
    opened_paths.clear()
    with vhdx_kaitai.open(path) as disk:
        assert tag_of(disk) == missing + 1
        assert disk.links[0].key == key
    assert opened_paths == [str(path), str(tmp_path / names[missing])]


def test_a_candidate_with_another_guid_is_passed_over_for_the_next(tmp_path: Path) -> None:
    put(parent(1, WRONG), tmp_path, "relative.vhdx")
    put(parent(2, WRONG), tmp_path, "volume.vhdx")
    put(parent(3), tmp_path, "absolute.vhdx")
    path = put(child(**ALL_THREE), tmp_path, "child.vhdx")
    with vhdx_kaitai.open(path) as disk:
        assert tag_of(disk) == 3
        assert disk.links[0].key == ABSOLUTE


@pytest.mark.parametrize("what", ["a folder", "text", "nothing in it", "a damaged image", "a pipe"])
def test_a_candidate_that_cannot_be_opened_is_passed_over_for_the_next(
    what: str, tmp_path: Path
) -> None:
    first = tmp_path / "relative.vhdx"
    if what == "a folder":
        first.mkdir()
    elif what == "text":
        first.write_text("no image at all" * 9999)
    elif what == "a pipe":
        os.mkfifo(first)
    elif what == "nothing in it":
        first.touch()
    else:
        first.write_bytes(parent(1).to_bytes()[: 2 * MIB])
    put(parent(2), tmp_path, "volume.vhdx")
    path = put(child(**ALL_THREE), tmp_path, "child.vhdx")
    with vhdx_kaitai.open(path) as disk:
        assert tag_of(disk) == 2


def test_a_relative_path_leads_into_folders_below(tmp_path: Path) -> None:
    put(parent(1), tmp_path, "a", "b", "parent.vhdx")
    put(parent(2), tmp_path, "parent.vhdx")
    path = put(child(relative_path="a\\.\\b\\parent.vhdx"), tmp_path, "child.vhdx")
    with vhdx_kaitai.open(path) as disk:
        assert tag_of(disk) == 1


def test_the_last_part_of_a_path_is_looked_for_beside_the_child(tmp_path: Path) -> None:
    put(parent(2), tmp_path, "parent.vhdx")
    path = put(child(relative_path="a\\b\\parent.vhdx"), tmp_path, "child.vhdx")
    with vhdx_kaitai.open(path) as disk:
        assert tag_of(disk) == 2


@pytest.mark.parametrize(
    "text", ["parent.vhdx", ".\\parent.vhdx", "./parent.vhdx", ".\\\\.\\parent.vhdx"]
)
def test_separators_and_single_dots_come_to_the_same(text: str, tmp_path: Path) -> None:
    put(parent(4), tmp_path, "parent.vhdx")
    path = put(child(relative_path=text), tmp_path, "child.vhdx")
    with vhdx_kaitai.open(path) as disk:
        assert tag_of(disk) == 4


def test_the_folder_that_counts_is_that_of_the_child_and_not_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    put(parent(1), tmp_path, "elsewhere", "parent.vhdx")
    put(parent(2), tmp_path, "images", "parent.vhdx")
    put(child(relative_path="parent.vhdx"), tmp_path, "images", "child.vhdx")
    monkeypatch.chdir(tmp_path / "elsewhere")
    with vhdx_kaitai.open(os.path.join("..", "images", "child.vhdx")) as disk:
        assert tag_of(disk) == 2


# -- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "named"),
    [
        ("Parent.VHDX", "parent.vhdx"),
        ("parent.vhdx", "PARENT.vhdx"),
        ("Folder/Parent.vhdx", "fOLDER\\pARENT.vhdx"),
        ("Äpfel.vhdx", "äPFEL.vhdx"),
        ("ДИСК.vhdx", "диск.vhdx"),
    ],
)
def test_a_name_matches_in_any_case(stored: str, named: str, tmp_path: Path) -> None:
    put(parent(3), tmp_path, stored)
    path = put(child(relative_path=named), tmp_path, "child.vhdx")
    with vhdx_kaitai.open(path) as disk:
        assert tag_of(disk) == 3


def test_the_exact_name_is_preferred(tmp_path: Path, opened_paths: list[str]) -> None:
    put(parent(1), tmp_path, "PARENT.vhdx")
    put(parent(2), tmp_path, "parent.vhdx")
    put(parent(3), tmp_path, "Parent.vhdx")
    path = put(child(relative_path="parent.vhdx"), tmp_path, "child.vhdx")
    opened_paths.clear()
    with vhdx_kaitai.open(path) as disk:
        assert tag_of(disk) == 2
    assert opened_paths == [str(path), str(tmp_path / "parent.vhdx")]


@pytest.mark.parametrize(
    ("files", "named", "right"),
    [
        (["P.VHDX", "P.vhdx", "p.Vhdx"], "p.vhdx", "P.vhdx"),
        (["p.vhdx", "P.VHDX"], "p.vhdx", "P.VHDX"),
        (["A/p.vhdx", "a/P.vhdx", "a/p.VHDX"], "a\\p.vhdx", "A/p.vhdx"),
        (["A/p.vhdx", "a/P.vhdx", "a/p.VHDX"], "a\\p.vhdx", "a/p.VHDX"),
    ],
)
def test_all_names_that_differ_only_in_case_are_tried(
    files: list[str], named: str, right: str, tmp_path: Path
) -> None:
    for name in files:
        put(parent(3 if name == right else 1, RIGHT if name == right else WRONG), tmp_path, name)
    path = put(child(relative_path=named), tmp_path, "child.vhdx")
    with vhdx_kaitai.open(path) as disk:
        assert tag_of(disk) == 3
        assert disk.chain[1].path == str(tmp_path / right)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_name_matches_however_its_characters_are_composed(form: Any, tmp_path: Path) -> None:
    stored, named = (
        unicodedata.normalize(one, "\u00c5ngstr\u00f6m.vhdx") for one in ("NFC", "NFD")
    )
    if form == "NFC":
        stored, named = named, stored
    assert stored != named
    put(parent(3), tmp_path, stored)
    for text in (named, named.upper()):
        path = put(child(relative_path=text), tmp_path, "child.vhdx")
        with vhdx_kaitai.open(path) as disk:
            assert tag_of(disk) == 3


# -- folders to search ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [str, Path, os.fsencode])
def test_one_path_to_search_is_one_folder(
    kind: Callable[[Path], Any], tmp_path: Path, opened_paths: list[str]
) -> None:
    path = put(child(relative_path="parent.vhdx"), tmp_path, "own", "child.vhdx")
    put(parent(5), tmp_path, "search", "parent.vhdx")
    with vhdx_kaitai.open(path, search=kind(tmp_path / "search")) as disk:
        assert tag_of(disk) == 5
    opened_paths.clear()
    with pytest.raises(ParentNotFoundError) as caught:
        vhdx_kaitai.open(path, search=kind(tmp_path / "none"))  # no letter of it is a folder
    assert opened_paths == [str(path)]
    for folder in ("own", "none"):
        assert f"{tmp_path / folder / 'parent.vhdx'}: no such file" in str(caught.value)
    assert str(caught.value).count("no such file") == 2


def test_folders_are_searched_in_order_after_that_of_the_child(tmp_path: Path) -> None:
    path = put(child(absolute_win32_path="D:\\vm\\parent.vhdx"), tmp_path, "own", "child.vhdx")
    folders: list[str | Path] = [tmp_path / "none", tmp_path / "first", str(tmp_path / "second")]
    put(parent(3), folders[2], "parent.vhdx")
    with vhdx_kaitai.open(path, search=folders) as disk:
        assert tag_of(disk) == 3
    put(parent(2), folders[1], "PARENT.vhdx")
    with vhdx_kaitai.open(path, search=folders) as disk:
        assert tag_of(disk) == 2
    put(parent(1), tmp_path, "own", "parent.vhdx")
    with vhdx_kaitai.open(path, search=folders) as disk:
        assert tag_of(disk) == 1


def test_a_relative_path_is_followed_below_a_folder_to_search(tmp_path: Path) -> None:
    path = put(child(relative_path="a\\parent.vhdx"), tmp_path, "own", "child.vhdx")
    put(parent(5), tmp_path, "search", "a", "parent.vhdx")
    with vhdx_kaitai.open(path, search=[tmp_path / "search"]) as disk:
        assert tag_of(disk) == 5


def test_every_level_is_searched_in_the_same_folders(tmp_path: Path) -> None:
    made = chain(3, blocks=few_runs)
    path = put(made.images[2], tmp_path, "own", "child2.vhdx")
    put(made.images[1], tmp_path, "one", "child1.vhdx")
    put(made.images[0], tmp_path, "two", "base.vhdx")
    with pytest.raises(ParentNotFoundError):
        vhdx_kaitai.open(path, search=[tmp_path / "one"])
    with vhdx_kaitai.open(path, search=[tmp_path / "two", tmp_path / "one"]) as disk:
        assert_reads_throughout(disk, made.model)


def test_a_grandparent_is_looked_for_beside_the_parent(tmp_path: Path) -> None:
    made = chain(3, blocks=few_runs)
    path = put(made.images[2], tmp_path, "own", "child2.vhdx")
    put(made.images[1], tmp_path, "store", "child1.vhdx")
    put(made.images[0], tmp_path, "store", "base.vhdx")
    with vhdx_kaitai.open(path, search=[tmp_path / "store"]) as disk:
        assert [image.path for image in disk.chain[1:]] == [
            str(tmp_path / "store" / name) for name in ("child1.vhdx", "base.vhdx")
        ]
    with vhdx_kaitai.open(path, parent=tmp_path / "store" / "child1.vhdx") as disk:
        assert_reads_throughout(disk, made.model)


# -- confinement ----------------------------------------------------------------------------------


def escapes(outside: Path) -> dict[str, dict[str, str]]:
    """Return locators whose paths lead to `outside`/evil.vhdx, beside the folder of the child."""
    windows = str(outside / "evil.vhdx").replace("/", "\\")
    return {
        "dots": {RELATIVE: f"..\\{outside.name}\\evil.vhdx"},
        "dots in the middle": {RELATIVE: f"sub\\..\\..\\{outside.name}\\evil.vhdx"},
        "dots with slashes": {RELATIVE: f"../{outside.name}/evil.vhdx"},
        "absolute as relative": {RELATIVE: str(outside / "evil.vhdx")},
        "absolute as relative, backslashes": {RELATIVE: windows},
        "absolute": {ABSOLUTE: str(outside / "evil.vhdx")},
        "absolute, backslashes": {ABSOLUTE: windows},
        "absolute with prefix": {ABSOLUTE: f"\\\\?\\{outside / 'evil.vhdx'}"},
        "drive": {ABSOLUTE: f"C:{windows}"},
        "drive as relative": {RELATIVE: f"C:{windows}"},
        "volume": {VOLUME: IN_VOLUME[:-1] + windows},
        "volume path that is none": {VOLUME: str(outside / "evil.vhdx")},
        "UNC": {ABSOLUTE: f"\\\\server\\share{windows}"},
        "UNC as relative": {RELATIVE: f"\\\\server\\share{windows}"},
        "long UNC": {ABSOLUTE: f"\\\\?\\UNC\\server\\share{windows}"},
        "device": {ABSOLUTE: f"\\\\.\\GLOBALROOT{windows}"},
    }


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize("name", escapes(Path("outside")))
def test_a_path_out_of_the_folder_is_followed_only_on_demand(
    name: str, follow: bool, tmp_path: Path, opened_paths: list[str]
) -> None:
    """Unless it is one of Windows, which leads nowhere on this system."""
    outside = tmp_path / "outside"
    evil = put(parent(6), outside, "evil.vhdx")
    (tmp_path / "own" / "sub").mkdir(parents=True)
    path = put(child(**escapes(outside)[name]), tmp_path, "own", "child.vhdx")
    leads_there = name.startswith("dots") or name in (
        "absolute",
        "absolute with prefix",
        "volume path that is none",
    )
    opened_paths.clear()
    if follow and leads_there:
        with vhdx_kaitai.open(path, follow_absolute=True) as disk:
            assert tag_of(disk) == 6
            assert os.path.samefile(str(disk.chain[1].path), evil)
        return
    with pytest.raises(ParentNotFoundError) as caught:
        vhdx_kaitai.open(path, follow_absolute=follow)
    opened = {os.path.realpath(path) for path in opened_paths}
    assert str(evil) not in opened
    assert all(one.startswith(str(tmp_path / "own")) for one in opened)
    if not follow and leads_there:
        assert "--follow-absolute" in str(caught.value)


@pytest.mark.parametrize("name", escapes(Path("outside")))
def test_a_path_out_of_the_folder_still_names_a_file_beside_the_child(
    name: str, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    put(parent(6), outside, "evil.vhdx")
    put(parent(2), tmp_path, "own", "evil.vhdx")
    path = put(child(**escapes(outside)[name]), tmp_path, "own", "child.vhdx")
    with vhdx_kaitai.open(path) as disk:
        assert tag_of(disk) == 2


INSIDE = (
    "sub\\..\\sub\\parent.vhdx",
    "none\\..\\sub\\parent.vhdx",
    ".\\x\\y\\..\\..\\sub\\parent.vhdx",
    "..\\own\\sub\\parent.vhdx",
    "..\\OWN\\x\\..\\Sub\\parent.vhdx",
    "x\\..\\..\\own\\sub\\parent.vhdx",
    "..\\..\\above\\own\\sub\\parent.vhdx",
)


@pytest.mark.parametrize("folder", ["own", "search"])
@pytest.mark.parametrize("text", INSIDE)
def test_a_path_that_goes_up_and_comes_back_stays_in_the_folder(
    text: str, folder: str, tmp_path: Path
) -> None:
    """Windows takes `..` back from the text, whether or not there is such a folder."""
    place = tmp_path / "above" / "own"
    put(parent(4), place, "sub", "parent.vhdx")
    own = place if folder == "own" else tmp_path / "elsewhere"
    path = put(child(relative_path=text), own, "child.vhdx")
    with vhdx_kaitai.open(path, search=[] if folder == "own" else [place]) as disk:
        assert tag_of(disk) == 4


@pytest.mark.parametrize(
    "text",
    [
        "..\\own2\\parent.vhdx",
        "sub\\..\\..\\own2\\parent.vhdx",
        "..\\own\\..\\own2\\parent.vhdx",
        "..\\..\\own\\parent.vhdx",
        "..\\..\\above\\own2\\parent.vhdx",
        "..\\parent.vhdx",
    ],
)
def test_a_path_that_goes_up_and_comes_down_elsewhere_leads_out(
    text: str, tmp_path: Path, opened_paths: list[str]
) -> None:
    for folder in ("own", "above", "above/own2"):
        put(parent(6), tmp_path, folder, "parent.vhdx")
    own = tmp_path / "above" / "own"
    path = put(child(relative_path=text), own, "child.vhdx")
    opened_paths.clear()
    with pytest.raises(ParentNotFoundError, match="leads out of the folder"):
        vhdx_kaitai.open(path)
    assert opened_paths == [str(path)]
    with vhdx_kaitai.open(path, follow_absolute=True) as disk:
        assert tag_of(disk) == 6


@pytest.mark.parametrize("in_search", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        "CON",
        "nul",
        "Aux.vhdx",
        "prn.vhdx.vhdx",
        "COM1",
        "com9.vhdx",
        "lpt0",
        "COM\u00b9",
        "lpt\u00b3.vhdx",
        "CON .vhdx",
        "NUL ",
        "CONIN$",
        "sub\\nul",
        "C:parent.vhdx",
        "parent.vhdx:stream",
        "parent\n.vhdx",
        "parent\x1b[31m.vhdx",
        "parent\x7f.vhdx",
        "parent\u202excdhv.",
        "..",
        "sub\\..\\..",
        "\\",
        ".",
    ],
)
def test_devices_streams_and_control_characters_are_no_names_of_parents(
    text: str, in_search: bool, tmp_path: Path, opened_paths: list[str]
) -> None:
    """On Windows such names open something else; a file of that name here makes no difference."""
    folder = tmp_path / ("search" if in_search else "own")
    name = text.rpartition("\\")[2]
    if name not in ("", ".", ".."):
        put(parent(6), folder, name)
        put(parent(6), folder, "sub", name)
    path = put(child(relative_path=text), tmp_path, "own", "child.vhdx")
    opened_paths.clear()
    with pytest.raises(ParentNotFoundError) as caught:
        vhdx_kaitai.open(path, search=[folder])
    assert opened_paths == [str(path)]
    assert RELATIVE in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("key", [RELATIVE, VOLUME, ABSOLUTE])
def test_a_nul_in_a_path_is_refused_with_the_locator(key: str, tmp_path: Path) -> None:
    put(parent(6), tmp_path, "parent.vhdx")
    path = put(child(**{key: "parent.vhdx\0.txt"}), tmp_path, "child.vhdx")
    with pytest.raises(FormatError) as caught:
        vhdx_kaitai.open(path)
    assert caught.value.finding.rule == "LOC-11"


@pytest.mark.parametrize("outside", ["outside", "own2"])
@pytest.mark.parametrize("kind", ["file", "folder", "file by another case", "file over two links"])
def test_a_symbolic_link_out_of_the_folder_is_not_followed(
    kind: str, outside: str, tmp_path: Path, opened_paths: list[str]
) -> None:
    evil = put(parent(6), tmp_path, outside, "parent.vhdx")
    own = tmp_path / "own"
    text = "sub\\parent.vhdx" if kind == "folder" else "parent.vhdx"
    path = put(child(relative_path=text), own, "child.vhdx")
    if kind == "folder":
        (own / "sub").symlink_to(tmp_path / outside)
    elif kind == "file":
        (own / "parent.vhdx").symlink_to(evil)
    elif kind == "file by another case":
        (own / "PARENT.vhdx").symlink_to(evil)
    else:
        (own / "hop").symlink_to(evil)
        (own / "parent.vhdx").symlink_to("hop")
    opened_paths.clear()
    with pytest.raises(ParentNotFoundError, match="link that leads out of the folder"):
        vhdx_kaitai.open(path)
    assert opened_paths[0] == str(path)
    assert str(evil) not in {os.path.realpath(path) for path in opened_paths}
    for options in (
        {"parent": evil},
        {"search": [tmp_path / outside]},
        {"follow_absolute": True},
    ):
        with vhdx_kaitai.open(path, **options) as disk:
            assert tag_of(disk) == 6


def test_a_symbolic_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    put(parent(6), tmp_path, "own", "store", "real.vhdx")
    (tmp_path / "own" / "parent.vhdx").symlink_to(Path("store", "real.vhdx"))
    path = put(child(relative_path="parent.vhdx"), tmp_path, "own", "child.vhdx")
    with vhdx_kaitai.open(path) as disk:
        assert tag_of(disk) == 6


def test_a_folder_to_search_that_is_a_link_itself_is_the_callers_choice(tmp_path: Path) -> None:
    put(parent(6), tmp_path, "outside", "parent.vhdx")
    (tmp_path / "search").symlink_to(tmp_path / "outside")
    path = put(child(relative_path="parent.vhdx"), tmp_path, "own", "child.vhdx")
    with vhdx_kaitai.open(path, search=[tmp_path / "search"]) as disk:
        assert tag_of(disk) == 6


@pytest.mark.parametrize("text", ["a\\" * 16000 + "x", "..\\" * 10000 + "x", "A" * 32000])
@pytest.mark.parametrize("follow", [False, True])
def test_a_path_as_long_as_a_locator_can_hold_leads_nowhere(
    text: str, follow: bool, tmp_path: Path
) -> None:
    path = put(child(relative_path=text), tmp_path, "child.vhdx")
    with pytest.raises(ParentNotFoundError):
        vhdx_kaitai.open(path, follow_absolute=follow)
