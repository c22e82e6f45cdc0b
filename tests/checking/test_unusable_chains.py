"""A chain that cannot be used is never called clean, whatever its files are like."""

from __future__ import annotations

import lzma
from pathlib import Path
from typing import Any

import pytest

from tests.images.chain import Chain, chain, write_guid
from tests.images.dirty import dirty
from tests.images.image import Block, Image, Layout
from tests.parents_models import OTHER, changed
from tests.support import SHARED
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.checking.findings import Report


def few_blocks(_depth: int, _image: Image) -> dict[int, Block]:
    return {0: Block()}


def gone(made: Chain, number: int) -> None:
    made.paths[number].unlink()


def written_to(made: Chain, number: int) -> None:
    changed(made.images[number]).write(made.paths[number])


def without_headers(made: Chain, number: int) -> None:
    with made.paths[number].open("r+b") as file:
        for offset in (64 << 10, 128 << 10):
            file.seek(offset)
            file.write(b"XXXX")


def no_image(made: Chain, number: int) -> None:
    made.paths[number].write_bytes(b"no image" * 9999)


WAYS = {
    gone: ("CHAIN-10", "base.vhdx: no such file"),
    written_to: ("CHAIN-01", "found base.vhdx, but it was changed after the child was made, or is"),
    without_headers: ("CHAIN-10", "base.vhdx: found, but it is damaged: headers: neither copy"),
    no_image: ("CHAIN-10", "base.vhdx: "),
}


@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize("way", WAYS)
def test_no_report_on_a_chain_without_its_base_is_clean(
    way: Any, levels: int, tmp_path: Path
) -> None:
    rule, why = WAYS[way]
    made = chain(levels, blocks=few_blocks).write(tmp_path)
    assert {part.verdict for part in check(made.path, chain=True).reports} == {"clean"}
    way(made, 0)
    report = check(made.path, chain=True)
    assert [part.verdict for part in report.reports] == ["unusable"] * (levels - 1)
    assert [errors(part) for part in report.reports[:-1]] == [[]] * (levels - 2)
    (finding,) = [f for f in report.reports[-1].findings if f.level == "error"]
    assert finding.rule == rule
    assert why in finding.message
    assert finding.where == f"parent of {made.paths[1]}"
    for part in report.reports:
        assert part.diagnosis[0] == (
            f"The disk cannot be read: {made.paths[1]} has no parent to be used."
        )
    assert check(made.path).verdict == "clean"  # nobody asked for the parents


def errors(report: Report) -> list[str]:
    return [finding.rule for finding in report.findings if finding.level == "error"]


def test_the_guid_that_is_wanted_is_named(tmp_path: Path) -> None:
    made = chain(2, blocks=few_blocks).write(tmp_path)
    gone(made, 0)
    (finding,) = [f for f in check(made.path, chain=True).findings if f.level == "error"]
    assert f"no parent found, wanted DataWriteGuid {write_guid(0)}" in finding.message
    written_to(made, 0)
    (finding,) = [f for f in check(made.path, chain=True).findings if f.level == "error"]
    assert f"DataWriteGuid {OTHER}, expected {write_guid(0)}" in finding.message


def test_no_hint_is_given_that_cannot_help(tmp_path: Path) -> None:
    """To name the file that was found, or to follow paths of Windows elsewhere."""
    made = chain(2, blocks=few_blocks).write(tmp_path)
    written_to(made, 0)
    (finding,) = [f for f in check(made.path, chain=True).findings if f.level == "error"]
    assert "--parent PATH names another one" in finding.message
    assert "outright" not in finding.message
    assert "--follow-absolute" not in finding.message
    named = check(made.path, chain=True, parent=made.paths[0])
    (finding,) = [f for f in named.findings if f.level == "error"]
    assert "--parent" not in finding.message
    assert "--search" not in finding.message


def test_what_is_wrong_with_the_file_itself_weighs_more(tmp_path: Path) -> None:
    def change(depth: int, image: Image) -> Layout:
        layout = image.layout()
        if depth == 2:
            layout.set_entry(1, 5)
        elif depth == 1:
            layout.headers[0].checksum = 1
        return layout

    made = chain(3, blocks=few_blocks, change=change).write(tmp_path)
    gone(made, 0)
    child, parent = check(made.path, chain=True).reports
    assert (child.verdict, parent.verdict) == ("corrupt", "unusable")
    assert "HDR-03" in {finding.rule for finding in parent.findings}


def test_a_rule_that_does_not_count_makes_no_chain_whole(tmp_path: Path) -> None:
    made = chain(2, blocks=few_blocks).write(tmp_path)
    gone(made, 0)
    report = check(made.path, chain=True, ignore=["CHAIN-10"])
    assert (report.verdict, report.findings) == ("unusable", ())


def test_those_before_a_parent_that_does_not_fit_cannot_be_used_either(tmp_path: Path) -> None:
    def change(depth: int, image: Image) -> Image:
        return image.but(logical_sector_size=4096, blocks={}) if depth else image

    made = chain(3, blocks=few_blocks, change=change).write(tmp_path)
    child, parent = check(made.path, chain=True).reports
    assert (child.verdict, parent.verdict) == ("unusable", "corrupt")
    assert errors(parent) == ["CHAIN-02"]


def test_a_chain_whose_parent_is_found_under_another_name_is_clean(tmp_path: Path) -> None:
    """That the paths lead nowhere is told once, and as a note."""
    made = chain(3, blocks=few_blocks).write(tmp_path)
    (tmp_path / "store").mkdir()
    made.paths[0].rename(tmp_path / "store" / "renamed")
    report = check(made.path, chain=True, search=tmp_path / "store")
    assert [part.verdict for part in report.reports] == ["clean"] * 3
    assert {f.rule for part in report.reports for f in part.findings} <= {"LOC-21"}


def test_parents_may_be_given_for_each_level(tmp_path: Path) -> None:
    made = chain(3, blocks=few_blocks).write(tmp_path)
    (tmp_path / "store").mkdir()
    above = [path.rename(tmp_path / "store" / path.name[::-1]) for path in made.paths[1::-1]]
    report = check(made.path, chain=True, parent=above)
    assert [part.verdict for part in report.reports] == ["clean"] * 3
    assert [part.path for part in report.parents] == list(map(str, above))
    assert report.unused == ()
    more = check(made.path, chain=True, parent=[*above, "more"])
    assert more.unused == ("the parent more is not used: no image of the chain needs it",)
    with pytest.raises(FileNotFoundError):
        check(made.path, chain=True, parent=[above[0], "mistyped"])


def test_options_about_parents_of_an_image_without_any_are_told(tmp_path: Path) -> None:
    base = chain(1).write(tmp_path).path
    report = check(base, chain=True, search=tmp_path / "none")
    assert report.unused == (
        "no parent is looked for: the image has none",
        f"nothing is looked for in {tmp_path / 'none'}: there is no such folder",
    )
    (tmp_path / "text").write_text("text")
    assert check(tmp_path / "text", chain=True, search=tmp_path).unused == ()


def test_a_dirty_parent_is_no_reason(tmp_path: Path) -> None:
    def change(depth: int, image: Image) -> Image | Layout:
        return dirty(image) if depth == 0 else image

    made = chain(2, change=change).write(tmp_path)
    assert [part.verdict for part in check(made.path, chain=True).reports] == ["clean"] * 2


def test_the_orphan_that_others_made_is_not_clean(tmp_path: Path) -> None:
    packed = SHARED / "cases" / "parent-missing-child.avhdx.xz"
    if not packed.is_file():
        pytest.skip("no parent-missing-child in ../shared/cases")
    path = tmp_path / "child.avhdx"
    path.write_bytes(lzma.decompress(packed.read_bytes()))
    report = check(path, chain=True)
    assert report.verdict == "unusable"
    wanted = "wanted DataWriteGuid 52593c7a-99d3-5eea-a7ba-3b77149127bd"
    assert [wanted in f.message for f in report.findings if f.level == "error"] == [True]
