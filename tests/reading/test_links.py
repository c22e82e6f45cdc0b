"""Parents that are named for each level, taken all the same, or done without."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import pytest

import vhdx_kaitai
from tests.images.chain import CHAIN_DAMAGES, GOOD_CHAINS, Chain, chain, write_guid
from tests.images.dirty import dirty
from tests.images.image import Block, Image, Layout, dynamic
from tests.images.structures import MIB
from tests.parents_fixtures import RIGHT, WRONG, child, parent, put, tag_of
from tests.parents_models import OTHER, changed, orphaned_rows, without_parent
from tests.reading_fixtures import (
    assert_reads_throughout,
    disk_extents,
    few_runs,
    good_chain,
    needs_proc,
    open_descriptors,
    rows_in_bulk,
)
from vhdx_kaitai.errors import (
    FormatError,
    ParentMismatchError,
    ParentNotFoundError,
    ReplayRequiredError,
)

MISSING: tuple[Literal["zero", "lost"], ...] = ("zero", "lost")


def apart(made: Chain, folder: Path) -> list[Path]:
    """Write each file of a chain into a folder of its own; return them, child first."""
    return [
        put(built, folder, str(number), f"{number}.img")
        for number, built in enumerate(reversed(made.images))
    ]


# -- named ----------------------------------------------------------------------------------------


def test_each_level_may_be_named(tmp_path: Path) -> None:
    made = chain(4, blocks=few_runs)
    path, *above = apart(made, tmp_path)
    for named in (above, tuple(map(str, above)), [one.read_bytes() for one in above]):
        with vhdx_kaitai.open(path, parent=named) as disk:
            assert [link.key for link in disk.links] == [None] * 3
            assert_reads_throughout(disk, made.model)
            assert disk.unused == ()


def test_levels_that_are_not_named_are_looked_for(tmp_path: Path) -> None:
    made = chain(4, blocks=few_runs)
    path, *above = apart(made, tmp_path)
    for number in range(3):
        named: list[Path | None] = [*above]
        named[number] = None
        with vhdx_kaitai.open(path, parent=named, search=above[number].parent) as disk:
            assert [link.key is None for link in disk.links] == [n != number for n in range(3)]
            assert_reads_throughout(disk, made.model)
    with pytest.raises(
        ParentNotFoundError, match=f"wanted DataWriteGuid {write_guid(0)}"
    ) as caught:
        vhdx_kaitai.open(path, parent=above[:2])
    assert caught.value.path == str(above[1])


@pytest.mark.parametrize("depth", [1, 2])
def test_a_wrong_one_at_any_level_is_refused_by_its_name(depth: int, tmp_path: Path) -> None:
    made = chain(3, blocks=few_runs)
    path, *above = apart(made, tmp_path)
    wrong = put(parent(1, WRONG), tmp_path, "wrong.vhdx")
    above[depth - 1] = wrong
    with pytest.raises(ParentMismatchError, match=r"found wrong\.vhdx, but it was ch") as caught:
        vhdx_kaitai.open(path, parent=above)
    assert caught.value.path == str([path, *above][depth - 1])
    assert "--parent" not in str(caught.value)
    assert "--ignore-linkage" in str(caught.value)


@pytest.mark.parametrize(("levels", "unused"), [(1, 2), (2, 1), (3, 0)])
def test_parents_that_no_image_needs_are_told(levels: int, unused: int, tmp_path: Path) -> None:
    made = chain(levels, blocks=few_runs)
    path, *above = apart(made, tmp_path)
    more = [tmp_path / f"more {number}" for number in range(unused)]
    with vhdx_kaitai.open(path, parent=[*above, *more]) as disk:
        assert len(disk.unused) == unused
        for sentence, extra in zip(disk.unused, more, strict=True):
            assert f"the parent {extra} is not used" in sentence


def test_what_is_said_of_parents_to_no_use_is_told(tmp_path: Path) -> None:
    path = put(parent(), tmp_path, "base.vhdx")
    with vhdx_kaitai.open(path, search=tmp_path) as disk:
        assert disk.unused == ("no parent is looked for: the image has none",)
    with vhdx_kaitai.open(path, follow_absolute=True, parent=b"nothing") as disk:
        assert [sentence.partition(":")[0] for sentence in disk.unused] == [
            "the parent in memory is not used",
            "no parent is looked for",
        ]
    orphan = put(child(relative_path="base.vhdx"), tmp_path, "child.vhdx")
    folders = [tmp_path, tmp_path / "none", path]
    with vhdx_kaitai.open(orphan, search=folders) as disk:
        for folder, line in zip(folders[1:], disk.unused, strict=True):
            assert f" in {folder}: there is no such folder" in line


# -- taken all the same ---------------------------------------------------------------------------


@pytest.mark.parametrize("named", [False, True])
def test_a_parent_with_another_guid_is_taken_when_linkage_is_ignored(
    named: bool, tmp_path: Path
) -> None:
    other = put(parent(5, WRONG), tmp_path, "base.vhdx")
    path = put(child(relative_path="base.vhdx"), tmp_path, "child.vhdx")
    options: dict[str, Any] = {"parent": other} if named else {}
    with pytest.raises(ParentMismatchError, match="--ignore-linkage"):
        vhdx_kaitai.open(path, **options)
    with vhdx_kaitai.open(path, linkage="ignore", **options) as disk:
        assert tag_of(disk) == 5
        assert disk.links == ((None if named else "relative_path", None),)
        (assumption,) = disk.assumed
        assert (assumption.path, assumption.what) == (str(other), "linkage")
        for guid in (WRONG, RIGHT):
            assert str(guid) in assumption.message


def test_one_that_matches_comes_before_one_that_does_not(tmp_path: Path) -> None:
    put(parent(1, WRONG), tmp_path, "own", "base.vhdx")
    path = put(child(relative_path="base.vhdx"), tmp_path, "own", "child.vhdx")
    put(parent(2), tmp_path, "search", "renamed.vhdx")
    with vhdx_kaitai.open(path, linkage="ignore", search=tmp_path / "search") as disk:
        assert tag_of(disk) == 2
        assert disk.assumed == ()
    put(parent(3), tmp_path, "search", "base.vhdx")
    with vhdx_kaitai.open(path, linkage="ignore", search=tmp_path / "search") as disk:
        assert tag_of(disk) == 3
        assert disk.assumed == ()


def test_of_others_the_first_that_names_lead_to_is_taken(tmp_path: Path) -> None:
    for tag, folder in enumerate(("own", "search"), 1):
        put(parent(tag, WRONG), tmp_path, folder, "base.vhdx")
    path = put(child(relative_path="base.vhdx"), tmp_path, "own", "child.vhdx")
    with vhdx_kaitai.open(path, linkage="ignore", search=tmp_path / "search") as disk:
        assert tag_of(disk) == 1


@pytest.mark.parametrize(
    "name", [name for name, case in CHAIN_DAMAGES.items() if case.outcome == "refused"]
)
def test_nothing_else_is_relaxed(name: str, tmp_path: Path) -> None:
    made = CHAIN_DAMAGES[name].build().write(tmp_path)
    with pytest.raises(FormatError) as caught:
        vhdx_kaitai.open(made.path, linkage="ignore")
    assert caught.value.finding.rule in CHAIN_DAMAGES[name].rules


def test_a_child_that_names_itself_is_not_taken_for_its_parent(tmp_path: Path) -> None:
    path = put(child(WRONG, relative_path="child.vhdx"), tmp_path, "child.vhdx")
    with pytest.raises(FormatError) as caught:
        vhdx_kaitai.open(path, linkage="ignore")
    assert caught.value.finding.rule == "CHAIN-06"


@needs_proc
def test_what_was_opened_for_nothing_is_closed(tmp_path: Path) -> None:
    for folder in ("own", "search"):
        put(parent(1, WRONG), tmp_path, folder, "base.vhdx")
    path = put(child(relative_path="base.vhdx"), tmp_path, "own", "child.vhdx")
    before = open_descriptors()
    search = tmp_path / "search"
    with vhdx_kaitai.open(path, linkage="ignore", search=search):
        assert len(open_descriptors() - before) == 2
    for missing in MISSING:
        with vhdx_kaitai.open(path, search=search, missing_parent=missing):
            assert len(open_descriptors() - before) == 1
    put(parent(2), tmp_path, "search", "renamed.vhdx")
    with vhdx_kaitai.open(path, linkage="ignore", search=search):
        assert len(open_descriptors() - before) == 2
    assert open_descriptors() == before


# -- done without ---------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("name", [n for n in GOOD_CHAINS if len(good_chain(n).images) > 1])
def test_any_chain_without_its_base_is_mapped_alike_in_bulk(
    name: str, missing: Literal["zero", "lost"], tmp_path: Path
) -> None:
    made = good_chain(name).write(tmp_path)
    made.paths[0].unlink()
    left = without_parent(made.model, len(made.images) - 1)
    with vhdx_kaitai.open(made.path, missing_parent=missing) as disk:
        rows = orphaned_rows(left, missing)
        assert disk_extents(disk) == rows
        assert rows_in_bulk(disk, 0, disk.size) == rows
        for offset, length in ((0, 512), (MIB - 512, 1024), (disk.size // 2, disk.size // 3)):
            assert rows_in_bulk(disk, offset, length) == disk_extents(disk, offset, length)
        for row in disk.extents():
            assert (row.finding is not None and row.finding.rule == "CHAIN-10") == (
                row.kind == "lost"
            )


def test_every_cause_will_do(tmp_path: Path) -> None:
    """Found or not, damaged or refused as a parent."""
    for number, (name, case) in enumerate(CHAIN_DAMAGES.items()):
        if name == "too-deep":
            continue
        made = case.build().write(tmp_path / str(number))
        with pytest.raises((vhdx_kaitai.VhdxError, OSError)) as caught:
            vhdx_kaitai.open(made.path)
        with vhdx_kaitai.open(made.path, missing_parent="lost") as disk:
            assert disk.missing is not None
            assert type(disk.missing.error) is type(caught.value)
            assert str(disk.missing.error) == str(caught.value)
            assert disk.missing.finding.rule == "CHAIN-10"
            assert disk.missing.finding.where == f"parent of {disk.chain[-1].path}"
            assert str(caught.value) in disk.missing.finding.message
            assert list(disk.lost())


def test_zeros_in_its_place_are_told_and_losses_are_not_zeros(tmp_path: Path) -> None:
    path = put(child(relative_path="gone.vhdx"), tmp_path, "child.vhdx")
    with vhdx_kaitai.open(path, missing_parent="zero") as disk:
        assert disk.pread(disk.size, 0) == bytes(disk.size)
        (assumption,) = disk.assumed
        assert (assumption.path, assumption.what) == (str(path), "parent")
        assert "taken for zeros" in assumption.message
        assert f"wanted DataWriteGuid {RIGHT}" in assumption.message
    with vhdx_kaitai.open(path, missing_parent="lost") as disk:
        assert disk.assumed == ()
        buffer = bytearray(512)
        for read in (lambda: disk.pread(512, 0), lambda: disk.readinto_at(buffer, 0)):
            with pytest.raises(ParentNotFoundError, match="a parent that cannot be had") as caught:
                read()
            assert caught.value.path == str(path)
    with vhdx_kaitai.open(path, missing_parent="lost", lost="zero") as disk:
        assert disk.pread(disk.size, 0) == bytes(disk.size)
        assert [row[:2] for row in disk.lost()] == [(0, disk.size)]


def test_nothing_is_said_of_a_parent_that_is_there(tmp_path: Path) -> None:
    made = chain(3, blocks=few_runs).write(tmp_path)
    for missing in MISSING:
        with vhdx_kaitai.open(made.path, missing_parent=missing) as disk:
            assert disk.missing is None
            assert disk.assumed == ()
            assert_reads_throughout(disk, made.model)


def test_a_parent_that_was_not_looked_for_may_be_zeros(tmp_path: Path) -> None:
    made = chain(2, blocks=few_runs).write(tmp_path)
    left = without_parent(made.model, 1)
    with vhdx_kaitai.open(made.path, resolve_parents=False, missing_parent="zero") as disk:
        assert disk_extents(disk) == orphaned_rows(left, "zero")
        assert len(disk.chain) == 1
    with vhdx_kaitai.open(made.path, resolve_parents=False) as disk:
        assert disk.missing is None


def test_mistakes_of_the_caller_are_not_put_up_with(tmp_path: Path) -> None:
    path = put(child(relative_path="gone.vhdx"), tmp_path, "child.vhdx")
    with pytest.raises(FileNotFoundError):
        vhdx_kaitai.open(path, parent=tmp_path / "mistyped", missing_parent="zero")

    def change(depth: int, image: Image) -> Image | Layout:
        return dirty(image) if depth == 0 else image

    unclean = chain(2, change=change).write(tmp_path / "dirty")
    with pytest.raises(ReplayRequiredError):
        vhdx_kaitai.open(unclean.path, replay="refuse", missing_parent="zero")
    for option, value in (("linkage", "any"), ("missing_parent", "zeros")):
        with pytest.raises(ValueError, match=f"{option} is '{value}', expected 'refuse'"):
            vhdx_kaitai.open(path, **{option: value})  # type: ignore[call-overload]


def test_a_parent_that_the_system_refuses_counts_as_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = chain(2, blocks=few_runs).write(tmp_path)
    system = os.open

    def refused(name: Any, *rest: Any, **options: Any) -> int:
        if str(name).endswith("base.vhdx"):
            raise PermissionError(13, "Permission denied", name)
        return system(name, *rest, **options)

    monkeypatch.setattr(os, "open", refused)
    with vhdx_kaitai.open(made.path, missing_parent="zero") as disk:
        (assumption,) = disk.assumed
        assert f"{made.paths[0]}: Permission denied" in assumption.message


def test_losses_of_the_last_file_are_told_beside_those_of_its_parent(tmp_path: Path) -> None:
    """A block past the end of the file is lost for that, and read as such."""
    image = child(relative_path="gone").image
    built = image.but(virtual_disk_size=3 * MIB, blocks={1: Block()}).layout()
    built.file_length = built.payload[1] + 512
    path = put(built.build(), tmp_path, "child.vhdx")
    with vhdx_kaitai.open(path, missing_parent="lost") as disk:
        assert [(row[0], row.finding and row.finding.rule) for row in disk.lost()] == [
            (0, "CHAIN-10"),
            (MIB + 512, "BAT-10"),
            (2 * MIB, "CHAIN-10"),
        ]
        assert rows_in_bulk(disk, 0, disk.size) == disk_extents(disk)
        with pytest.raises(FormatError) as caught:
            disk.pread(512, MIB + 512)
        assert caught.value.finding.rule == "BAT-10"


def test_a_changed_base_is_named_with_what_became_of_it(tmp_path: Path) -> None:
    made = chain(2, base=dynamic(4 * MIB)).write(tmp_path)
    changed(made.images[0]).write(made.paths[0])
    with pytest.raises(ParentMismatchError) as caught:
        vhdx_kaitai.open(made.path)
    why = "found base.vhdx, but it was changed after the child was made, or is another disk"
    assert why in str(caught.value)
    for part in (str(OTHER), str(write_guid(0)), str(made.paths[0]), "[CHAIN-01]"):
        assert part in str(caught.value)
