"""Which file is taken for the parent, what is said when none is, and where chains end."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import vhdx_kaitai
from tests.images.chain import CHAIN_DAMAGES, GOOD_CHAINS, Chain, chain, child_of, write_guid
from tests.images.dirty import dirty
from tests.images.image import Block, Image, Layout, dynamic, partial
from tests.images.sparse import pattern
from tests.images.structures import MIB, ZERO_GUID, Locator, braced
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
    assert_same,
    few_runs,
    good_chain,
    mapped,
    needs_proc,
    open_descriptors,
)
from vhdx_kaitai.errors import (
    FormatError,
    LimitError,
    ParentError,
    ParentMismatchError,
    ParentNotFoundError,
    ReplayRequiredError,
)

# -- the caller names the parent ------------------------------------------------------------------


class Somewhere:
    """A path-like object."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


PARENTS: dict[str, Callable[[Path], Any]] = {
    "str": str,
    "Path": Path,
    "path-like object": Somewhere,
    "bytes": Path.read_bytes,
    "memoryview": lambda path: memoryview(path.read_bytes()),
    "file object": lambda path: path.open("rb"),
    "file object in memory": lambda path: io.BytesIO(path.read_bytes()),
    "mmap": mapped,
}


@pytest.mark.parametrize("kind", PARENTS)
def test_the_caller_names_the_parent_in_any_way(kind: str, tmp_path: Path) -> None:
    """And no file is looked for, not even one beside the child."""
    put(parent(2), tmp_path, "parent.vhdx")
    named = put(parent(3), tmp_path, "elsewhere", "other name")
    path = put(child(relative_path="parent.vhdx"), tmp_path, "child.vhdx")
    source = PARENTS[kind](named)
    with vhdx_kaitai.open(path, parent=source) as disk:
        assert tag_of(disk) == 3
        assert disk.links == ((None, "parent_linkage"),)
    if hasattr(source, "close"):
        source.close()


@pytest.mark.parametrize("kind", ["bytes", "file object", "file object in memory"])
def test_a_child_without_a_folder_finds_its_parent_by_name_or_search(
    kind: str, tmp_path: Path
) -> None:
    named = put(parent(3), tmp_path, "store", "parent.vhdx")
    path = put(child(relative_path="parent.vhdx"), tmp_path, "child.vhdx")
    ways: list[dict[str, Any]] = [{"parent": named}, {"search": [tmp_path / "store"]}]
    for options in ways:
        source = PARENTS[kind](path)
        with vhdx_kaitai.open(source, **options) as disk:
            assert tag_of(disk) == 3
        if hasattr(source, "close"):
            source.close()


def test_a_child_in_memory_without_a_hint_says_which_options_would_help() -> None:
    with pytest.raises(ParentNotFoundError, match=r"no folder to look in.*--search.*--parent"):
        vhdx_kaitai.open(child(relative_path="parent.vhdx").to_bytes())


def test_images_inside_an_archive_can_be_parent_and_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such file objects have names, but those are no names of files."""
    archive = tmp_path / "images.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("in/child.vhdx", child(relative_path="parent.vhdx").to_bytes())
        file.writestr("in/parent.vhdx", parent(3).to_bytes())
    put(parent(2), tmp_path, "in", "parent.vhdx")
    monkeypatch.chdir(tmp_path)
    with (
        zipfile.ZipFile(archive) as file,
        file.open("in/child.vhdx") as one,
        file.open("in/parent.vhdx") as two,
        vhdx_kaitai.open(one, parent=two) as disk,
    ):
        assert tag_of(disk) == 3


def test_a_file_without_parents_does_not_mind_a_named_one(tmp_path: Path) -> None:
    path = put(parent(3), tmp_path, "base.vhdx")
    with vhdx_kaitai.open(path, parent=tmp_path / "none") as disk:
        assert len(disk.chain) == 1


def test_a_named_parent_has_to_be_the_right_one(tmp_path: Path) -> None:
    put(parent(2), tmp_path, "parent.vhdx")
    other = put(parent(1, WRONG), tmp_path, "other.vhdx")
    path = put(child(relative_path="parent.vhdx"), tmp_path, "child.vhdx")
    with pytest.raises(ParentMismatchError) as caught:
        vhdx_kaitai.open(path, parent=other)
    for part in (str(other), str(WRONG), str(RIGHT), "CHAIN-01"):
        assert part in str(caught.value)
    with pytest.raises(FileNotFoundError):
        vhdx_kaitai.open(path, parent=tmp_path / "none")
    (tmp_path / "text").write_text("text")
    with pytest.raises(FormatError) as refused:
        vhdx_kaitai.open(path, parent=tmp_path / "text")
    assert refused.value.finding.rule == "FTI-01"
    assert refused.value.path == str(tmp_path / "text")


# -- identity -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("linkage", "linkage_2", "guid", "matched_by"),
    [
        (RIGHT, ZERO_GUID, RIGHT, "parent_linkage"),
        (WRONG, RIGHT, RIGHT, "parent_linkage2"),
        (RIGHT, WRONG, RIGHT, "parent_linkage"),
        (RIGHT, RIGHT, RIGHT, "parent_linkage"),
        (ZERO_GUID, RIGHT, RIGHT, "parent_linkage2"),
        (WRONG, WRONG, RIGHT, None),
        (WRONG, ZERO_GUID, RIGHT, None),
        (WRONG, ZERO_GUID, ZERO_GUID, None),
        (ZERO_GUID, ZERO_GUID, ZERO_GUID, None),
        (ZERO_GUID, WRONG, ZERO_GUID, None),
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_a_parent_is_recognised_by_either_linkage_and_zero_matches_nothing(
    linkage: UUID, linkage_2: UUID, guid: UUID, matched_by: str | None, named: bool, tmp_path: Path
) -> None:
    other = put(parent(3, guid), tmp_path, "parent.vhdx")
    path = put(child(linkage, linkage_2, relative_path="parent.vhdx"), tmp_path, "child.vhdx")
    options: dict[str, Any] = {"parent": other} if named else {}
    if matched_by is None:
        with pytest.raises(ParentMismatchError) as caught:
            vhdx_kaitai.open(path, **options)
        assert ("LOC-23" if guid == ZERO_GUID else "CHAIN-01") in str(caught.value)
        return
    with vhdx_kaitai.open(path, **options) as disk:
        assert tag_of(disk) == 3
        assert disk.links[0].matched_by == matched_by


def test_a_mismatch_names_both_linkages_that_would_do(tmp_path: Path) -> None:
    other = UUID(int=0xABC)
    put(parent(3, WRONG), tmp_path, "parent.vhdx")
    path = put(child(RIGHT, other, relative_path="parent.vhdx"), tmp_path, "child.vhdx")
    with pytest.raises(ParentMismatchError) as caught:
        vhdx_kaitai.open(path)
    for guid in (WRONG, RIGHT, other):
        assert str(guid) in str(caught.value)


def test_that_zero_matches_nothing_is_said_by_its_rule(tmp_path: Path) -> None:
    """Rather than that zero was found and zero expected."""
    put(parent(3, ZERO_GUID), tmp_path, "parent.vhdx")
    path = put(child(ZERO_GUID, relative_path="parent.vhdx"), tmp_path, "child.vhdx")
    with pytest.raises(ParentMismatchError, match="LOC-23"):
        vhdx_kaitai.open(path)


# -- what is said ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHAIN_DAMAGES)
def test_a_broken_chain_is_refused_as_it_should_be(name: str, tmp_path: Path) -> None:
    case = CHAIN_DAMAGES[name]
    made = case.build().write(tmp_path)
    kinds = {
        "mismatch": ParentMismatchError,
        "not found": ParentNotFoundError,
        "too much": LimitError,
    }
    expected = kinds.get(str(case.outcome), FormatError)
    with pytest.raises(expected) as caught:
        vhdx_kaitai.open(made.path)
    assert type(caught.value) is expected
    if isinstance(caught.value, (FormatError, LimitError)):
        assert caught.value.finding.rule == case.rules[0]
    elif case.outcome == "mismatch":
        assert isinstance(caught.value, ParentError)
        assert case.rules[0] in str(caught.value)


@needs_proc
@pytest.mark.parametrize("name", CHAIN_DAMAGES)
def test_all_files_of_a_broken_chain_are_closed(name: str, tmp_path: Path) -> None:
    made = CHAIN_DAMAGES[name].build().write(tmp_path)
    before = open_descriptors()
    with pytest.raises(vhdx_kaitai.VhdxError):
        vhdx_kaitai.open(made.path)
    assert open_descriptors() == before


@needs_proc
def test_all_files_are_closed_when_a_named_parent_will_not_do(tmp_path: Path) -> None:
    path = put(child(relative_path="parent.vhdx"), tmp_path, "child.vhdx")
    put(parent(1), tmp_path, "right.vhdx")
    put(parent(1, WRONG), tmp_path, "wrong.vhdx")
    (tmp_path / "text").write_text("text")
    before = open_descriptors()
    for name in ("wrong.vhdx", "none", "text", "."):
        with pytest.raises((vhdx_kaitai.VhdxError, OSError)):
            vhdx_kaitai.open(path, parent=tmp_path / name)
        assert open_descriptors() == before
    vhdx_kaitai.open(path, parent=tmp_path / "right.vhdx").close()
    assert open_descriptors() == before


def test_a_failure_names_every_path_that_was_tried_and_why_it_was_rejected(tmp_path: Path) -> None:
    own, search = tmp_path / "own", tmp_path / "search"
    put(parent(1, WRONG), own, "one.vhdx")
    search.mkdir()
    (search / "one.vhdx").write_text("text")
    paths = {
        RELATIVE: "one.vhdx",
        VOLUME: IN_VOLUME + "two.vhdx",
        ABSOLUTE: "\\\\server\\share\\nul",
    }
    path = put(child(**paths), own, "child.vhdx")
    with pytest.raises(ParentMismatchError) as caught:
        vhdx_kaitai.open(path, search=[search])
    text = str(caught.value)
    for tried, why in (
        (own / "one.vhdx", str(WRONG)),
        (search / "one.vhdx", "FTI-01"),
        (own / "two.vhdx", "no such file"),
        (search / "two.vhdx", "no such file"),
    ):
        assert why in text.partition(f"{tried}: ")[2].partition(";")[0]
    for key, value in paths.items():
        assert key in text
        if key != RELATIVE:
            assert repr(value) in text
    assert "a path of Windows" in text.partition(repr(paths[VOLUME]))[2].partition(";")[0]
    assert "--follow-absolute" not in text  # which would not help here
    for option in ("--parent", "--search"):
        assert option in text
    assert "\n" not in text


def test_a_link_that_was_not_followed_is_named_once_with_the_option_that_would(
    tmp_path: Path,
) -> None:
    outside = put(parent(6), tmp_path, "outside", "real.vhdx").parent
    paths = {RELATIVE: "link.vhdx", VOLUME: IN_VOLUME + "link.vhdx"}
    path = put(child(**paths), tmp_path, "own", "child.vhdx")
    link = tmp_path / "own" / "link.vhdx"
    link.symlink_to(outside / "real.vhdx")
    with pytest.raises(ParentNotFoundError) as caught:
        vhdx_kaitai.open(path, search=[tmp_path / "elsewhere"])
    text = str(caught.value)
    assert text.count(repr(str(link))) == 1
    reason = text.partition(f"{str(link)!r}: ")[2].partition(";")[0]
    assert reason == "a link that leads out of the folder (--follow-absolute would allow it)"
    for options in (
        {"follow_absolute": True},
        {"follow_absolute": True, "search": [outside]},
        {"search": [tmp_path / "elsewhere", outside]},  # in which it leads
    ):
        with vhdx_kaitai.open(path, **options) as disk:
            assert tag_of(disk) == 6


def test_a_name_that_files_cannot_have_here_is_no_candidate(tmp_path: Path) -> None:
    """Some locales know no other characters than those of ASCII."""
    put(parent(6), tmp_path, "own", "parent.vhdx")
    text = "..\\\u00fc\\\u00fc\\\u00fc.vhdx"
    path = put(child(relative_path=text), tmp_path, "own", "child.vhdx")
    found = put(
        child(relative_path="\u00fc.vhdx", volume_path=IN_VOLUME + "\u00fc\\parent.vhdx"),
        tmp_path,
        "own",
        "other.vhdx",
    )
    program = (
        "import sys, vhdx_kaitai\n"
        "vhdx_kaitai.open(sys.argv[2]).close()\n"
        "for follow in (False, True):\n"
        "    try:\n"
        "        vhdx_kaitai.open(sys.argv[1], follow_absolute=follow)\n"
        "    except vhdx_kaitai.ParentNotFoundError as error:\n"
        "        print(ascii(str(error)))\n"
    )
    names = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-c", program, path, found],
        env=os.environ | names,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    for line, count in zip(done.stdout.splitlines(), (1, 2), strict=True):
        assert line.count("a name that files cannot have under this locale") == count


def test_a_dirty_stranger_does_not_end_the_search(tmp_path: Path) -> None:
    """Not even where replay is refused: it is not the parent."""
    stranger = dirty(dynamic(MIB, data_write_guid=WRONG)).build()
    put(stranger, tmp_path, "own", "parent.vhdx")
    put(parent(6), tmp_path, "store", "parent.vhdx")
    path = put(child(relative_path="parent.vhdx"), tmp_path, "own", "child.vhdx")
    with vhdx_kaitai.open(path, search=tmp_path / "store", replay="refuse") as disk:
        assert tag_of(disk) == 6


def test_the_file_whose_parent_is_missing_is_named(tmp_path: Path) -> None:
    """It need not be the first; the parent of another one is named with all before it."""
    made = chain(3).write(tmp_path)
    made.paths[0].unlink()
    with pytest.raises(ParentNotFoundError) as caught:
        vhdx_kaitai.open(made.path)
    assert caught.value.path == str(made.paths[1])
    assert "--search" in str(caught.value)
    assert "--parent PATH, once for each level, names it" in str(caught.value)
    with vhdx_kaitai.open(made.path, resolve_parents=False) as disk:
        with pytest.raises(ParentNotFoundError) as caught:
            disk.pread(disk.size, 0)
        assert caught.value.path == str(made.path)


def test_the_file_whose_log_is_dirty_is_named(tmp_path: Path) -> None:
    def change(depth: int, image: Image) -> Image | Layout:
        return dirty(image) if depth == 0 else image

    made = chain(2, change=change).write(tmp_path)
    with pytest.raises(ReplayRequiredError) as caught:
        vhdx_kaitai.open(made.path, replay="refuse")
    assert caught.value.path == str(made.paths[0])
    with pytest.raises(ReplayRequiredError):
        vhdx_kaitai.open(made.path, parent=made.paths[0], replay="refuse")


def test_a_link_in_a_folder_to_search_is_followed_on_demand(tmp_path: Path) -> None:
    put(parent(6), tmp_path, "outside", "real.vhdx")
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "link.vhdx").symlink_to(tmp_path / "outside" / "real.vhdx")
    path = put(child(relative_path="link.vhdx"), tmp_path, "own", "child.vhdx")
    with pytest.raises(ParentNotFoundError, match="--follow-absolute"):
        vhdx_kaitai.open(path, search=tmp_path / "search")
    with vhdx_kaitai.open(path, search=tmp_path / "search", follow_absolute=True) as disk:
        assert tag_of(disk) == 6


@pytest.mark.parametrize("text", ["NUL", "sub\\NUL", "..\\NUL"])
def test_no_reason_is_given_twice(text: str, tmp_path: Path) -> None:
    path = put(child(relative_path=text), tmp_path, "own", "child.vhdx")
    with pytest.raises(ParentNotFoundError) as caught:
        vhdx_kaitai.open(path, search=[tmp_path, tmp_path / "other"])
    reasons = str(caught.value).partition(" (--parent")[0].split("; ")
    assert len(reasons) == len(set(reasons))
    assert str(caught.value).count("not the name of a plain file") == 1


# -- cycles, depth, sectors -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["itself", "symbolic link", "hard link"])
def test_a_child_is_not_its_own_parent_under_any_name(kind: str, tmp_path: Path) -> None:
    values = {"parent_linkage": braced(RIGHT), RELATIVE: "other.vhdx"}
    image = child_of(parent(), locator=Locator.of(values), data_write_guid=RIGHT)
    name = "other.vhdx" if kind == "itself" else "child.vhdx"
    path = put(image.build(), tmp_path, name)
    if kind == "symbolic link":
        (tmp_path / "other.vhdx").symlink_to("child.vhdx")
    elif kind == "hard link":
        (tmp_path / "other.vhdx").hardlink_to(path)
    with pytest.raises(FormatError) as caught:
        vhdx_kaitai.open(path)
    assert caught.value.finding.rule == "CHAIN-06"
    assert str(tmp_path / "other.vhdx") in str(caught.value)


@pytest.mark.parametrize("length", [2, 3, 7])
def test_a_circle_of_any_length_is_refused_when_it_closes(
    length: int, tmp_path: Path, opened_paths: list[str]
) -> None:
    """Also one that the first child is no part of."""
    for number in range(length):
        following = (number + 1) % length
        values = {"parent_linkage": braced(write_guid(following)), RELATIVE: f"{following}.vhdx"}
        image = child_of(parent(), locator=Locator.of(values), data_write_guid=write_guid(number))
        put(image.build(), tmp_path, f"{number}.vhdx")
    values = {"parent_linkage": braced(write_guid(0)), RELATIVE: "0.vhdx"}
    image = child_of(parent(), locator=Locator.of(values), data_write_guid=UUID(int=7))
    put(image.build(), tmp_path, "outside.vhdx")
    for number in ("outside", *range(length)):
        opened_paths.clear()
        with pytest.raises(FormatError) as caught:
            vhdx_kaitai.open(tmp_path / f"{number}.vhdx")
        assert caught.value.finding.rule == "CHAIN-06"
        assert len(opened_paths) <= length + 2


def test_a_copy_of_the_child_is_no_circle_until_it_repeats(tmp_path: Path) -> None:
    """Copies with one GUID lead on and on, so only the same file closes the circle."""
    values = {"parent_linkage": braced(RIGHT), RELATIVE: "copy.vhdx"}
    image = child_of(parent(), locator=Locator.of(values), data_write_guid=RIGHT)
    path = put(image.build(), tmp_path, "child.vhdx")
    shutil.copy(path, tmp_path / "copy.vhdx")
    with pytest.raises(FormatError) as caught:
        vhdx_kaitai.open(path)
    assert caught.value.finding.rule == "CHAIN-06"


@pytest.fixture(scope="module")
def long_chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """A chain of 257 files, the base first."""
    made = chain(257, base=dynamic(MIB, blocks={0: Block()}), blocks=lambda *_: {})
    return made.write(tmp_path_factory.mktemp("long"))


def test_a_chain_of_256_files_opens_and_reads(long_chain: Chain) -> None:
    with vhdx_kaitai.open(long_chain.paths[255]) as disk:
        assert len(disk.chain) == 256
        assert [image.path for image in disk.chain] == [
            str(path) for path in long_chain.paths[255::-1]
        ]
        assert_same(disk.pread(MIB, 0), pattern(1, 0, MIB))
        (extent,) = disk.extents()
        assert extent.depth == 255


def test_a_chain_of_257_files_is_refused(long_chain: Chain) -> None:
    with pytest.raises(LimitError) as caught:
        vhdx_kaitai.open(long_chain.path)
    assert caught.value.finding.rule == "CHAIN-06"
    assert "256" in str(caught.value)
    with vhdx_kaitai.open(long_chain.path, resolve_parents=False) as disk:
        assert len(disk.chain) == 1


@pytest.mark.parametrize("named", [False, True])
def test_parent_and_child_have_sectors_of_one_size(named: bool, tmp_path: Path) -> None:
    other = put(parent(1), tmp_path, "parent.vhdx")
    values = {"parent_linkage": braced(RIGHT), RELATIVE: "parent.vhdx"}
    image = child_of(parent(), locator=Locator.of(values), logical_sector_size=4096)
    path = put(image.build(), tmp_path, "child.vhdx")
    with pytest.raises(FormatError) as caught:
        vhdx_kaitai.open(path, parent=other if named else None)
    assert caught.value.finding.rule == "CHAIN-02"
    assert str(other) in str(caught.value)


# -- logs of parents ------------------------------------------------------------------------------


def dirty_at(level: int) -> Chain:
    """Return a chain of three in which one image is dirty."""

    def change(depth: int, image: Image) -> Image | Layout:
        return dirty(image, hide=("metadata", "bat")) if depth == level else image

    return chain(3, blocks=few_runs, change=change)


@pytest.mark.parametrize("level", [0, 1])
def test_a_dirty_parent_is_replayed_in_memory_and_not_changed(level: int, tmp_path: Path) -> None:
    made = dirty_at(level).write(tmp_path)
    before = made.paths[level].read_bytes()
    with vhdx_kaitai.open(made.path) as disk:
        assert disk.chain[2 - level].replayed is not None
        assert_reads_throughout(disk, made.model)
    assert made.paths[level].read_bytes() == before


@pytest.mark.parametrize("level", [0, 1, 2])
def test_where_replay_is_refused_a_dirty_parent_is_as_well(level: int, tmp_path: Path) -> None:
    """A parent that is there is not said to be missing."""
    made = dirty_at(level).write(tmp_path)
    with pytest.raises(ReplayRequiredError) as caught:
        vhdx_kaitai.open(made.path, replay="refuse")
    assert caught.value.summary.entries


def test_a_named_parent_that_is_dirty_is_refused_where_replay_is(tmp_path: Path) -> None:
    made = dirty_at(1).write(tmp_path)
    with pytest.raises(ReplayRequiredError):
        vhdx_kaitai.open(made.path, parent=made.paths[1], replay="refuse")


@pytest.mark.parametrize("name", GOOD_CHAINS)
def test_every_good_chain_is_found_and_says_how(name: str, tmp_path: Path) -> None:
    made = good_chain(name).write(tmp_path)
    with vhdx_kaitai.open(made.path) as disk:
        assert [image.path for image in disk.chain] == [str(path) for path in made.paths[::-1]]
        assert len(disk.links) == len(disk.chain) - 1
        for child_image, link in zip(reversed(made.images), disk.links, strict=False):
            locator = child_image.image.resolved_locator()
            assert locator is not None
            assert link.key in locator.text
            assert link.matched_by is not None
            stored = locator.text[link.matched_by].strip("{}").lower()
            assert stored in {
                str(built.model.current_header.data_write_guid) for built in made.images
            }


def test_a_partial_block_of_a_child_shows_its_parent_and_itself(tmp_path: Path) -> None:
    """The smallest chain there is, by hand: sector 1 is the child's."""
    put(parent(1), tmp_path, "base.vhdx")
    values = {"parent_linkage": braced(RIGHT), RELATIVE: "base.vhdx"}
    image = child_of(parent(), locator=Locator.of(values), tag=2, blocks={0: partial(1)})
    path = put(image.build(), tmp_path, "child.vhdx")
    with vhdx_kaitai.open(path) as disk:
        expected = pattern(1, 0, 512) + pattern(2, 512, 512) + pattern(1, 1024, 512)
        assert disk.pread(1536, 0) == expected
