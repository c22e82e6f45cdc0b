"""An image and its parents: each has its own findings and its own verdict."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.checking.reports import assert_no_complaint, good_report, limits_of, rules_of
from tests.images.chain import CHAIN_DAMAGES, GOOD_CHAINS, Chain, ChainCase, chain
from tests.images.image import Block, Image, Layout
from tests.support import SparseSource, damaged, good
from vhdx_kaitai.checking.chain import check


def chain_cases(cases: dict[str, ChainCase]) -> list[object]:
    slow = {"too-deep"}
    return [
        pytest.param(case, marks=pytest.mark.slow if name in slow else (), id=name)
        for name, case in cases.items()
    ]


@pytest.mark.parametrize("case", chain_cases(GOOD_CHAINS))
def test_a_good_chain_is_clean(case: ChainCase, tmp_path: Path) -> None:
    made = case.build().write(tmp_path)
    report = check(made.path, chain=True)
    assert [part.path for part in report.reports] == list(map(str, reversed(made.paths)))
    for part in report.reports:
        assert_no_complaint(part)
    if case.level is not None:
        levels = {f.level for part in report.reports for f in part.findings if f.rule in case.rules}
        assert levels == {case.level}


@pytest.mark.parametrize("case", chain_cases(CHAIN_DAMAGES))
def test_a_damaged_chain_is_told_when_it_is_asked_for(case: ChainCase, tmp_path: Path) -> None:
    path = case.build().write(tmp_path).path
    report = check(path, chain=True)
    alone = check(path)
    broken = [rules_of(part, "error") | {r for r, *_ in limits_of(part)} for part in report.reports]
    assert len(broken[-1]) == 1
    assert broken[-1] <= set(case.rules)
    assert not set().union(*broken[:-1])
    assert alone.verdict == ("warnings" if "LOC-23" in case.rules else "clean")
    assert alone.parents == ()
    # Where the parent is another file or none, nothing is wrong with this one; but no disk of
    # the chain can be read.
    last = report.reports[-1]
    assert last.is_incomplete == (case.outcome != "refused")
    if last.is_incomplete:
        assert last.verdict == "unusable"
        assert any("parent" in what for what, _ in last.skipped)
    else:
        assert last.verdict == "corrupt"
    for part in report.reports[:-1]:
        assert part.verdict == "unusable"
    for part in report.reports:
        assert part.diagnosis[0].startswith("The disk cannot be read: ")


@pytest.mark.parametrize("name", ["differencing-plain", "dynamic-plain"])
def test_parents_that_nobody_asked_for_are_not_taken_for_good(name: str) -> None:
    skipped = {what for what, _ in good_report(name).skipped}
    assert skipped == ({"the parents"} if name.startswith("diff") else set())


# -- damage in one of them ------------------------------------------------------------------------


def damaged_chain(*changes: Callable[[Layout], object]) -> Chain:
    """Return a chain whose images, base first, are each damaged by one of the changes."""

    def change(depth: int, image: Image) -> Layout:
        layout = image.layout()
        changes[depth](layout)
        return layout

    return chain(len(changes), change=change)


def leave(_layout: Layout) -> None:
    """Change nothing."""


def damage_header_1(layout: Layout) -> None:
    layout.headers[0].checksum = 1


def damage_bat(layout: Layout) -> None:
    layout.set_entry(1, 5)


def test_a_damage_of_the_parent_is_found_only_with_the_chain(tmp_path: Path) -> None:
    made = damaged_chain(damage_bat, leave).write(tmp_path)
    assert check(made.path).verdict == "clean"
    report = check(made.path, chain=True)
    assert report.verdict == "clean"
    (above,) = report.parents
    assert (above.verdict, rules_of(above, "error")) == ("corrupt", {"BAT-03"})
    assert above.path == str(made.paths[0])


def test_a_parent_that_is_cut_is_told(tmp_path: Path) -> None:
    """Where a parent ends counts, as it does for the child."""
    made = chain(2, blocks=lambda _depth, _image: {0: Block()}).write(tmp_path)
    os.truncate(made.paths[0], made.paths[0].stat().st_size - 512)
    (above,) = check(made.path, chain=True).parents
    assert (above.verdict, rules_of(above, "error")) == ("corrupt", {"BAT-10"})


def test_each_file_of_a_chain_has_its_own_findings(tmp_path: Path) -> None:
    made = damaged_chain(damage_header_1, damage_bat, damage_header_1).write(tmp_path)
    reports = check(made.path, chain=True).reports
    assert [part.verdict for part in reports] == ["warnings", "corrupt", "warnings"]
    assert [part.path for part in reports] == list(map(str, reversed(made.paths)))
    rules = [rules_of(part, "warning", "error") for part in reports]
    assert rules == [{"HDR-03"}, {"BAT-03"}, {"HDR-03"}]
    assert [len(part.diagnosis) for part in reports] == [1, 1, 1]


def test_what_is_ignored_is_ignored_in_parents_too(tmp_path: Path) -> None:
    path = damaged_chain(damage_bat, damage_header_1).write(tmp_path).path
    reports = check(path, chain=True, ignore=["BAT-03", "HDR-03"]).reports
    assert [part.verdict for part in reports] == ["clean", "clean"]


# -- which parent ---------------------------------------------------------------------------------


def test_the_parent_may_be_named_or_searched_for(tmp_path: Path) -> None:
    made = chain(2)
    for name in ("above", "child"):
        (tmp_path / name).mkdir()
    made.images[0].write(tmp_path / "above" / "base.vhdx")
    child = made.images[1].write(tmp_path / "child" / "child1.vhdx")
    assert rules_of(check(child, chain=True), "error") == {"CHAIN-10"}
    assert check(child, chain=True, search=[tmp_path / "above"]).verdict == "clean"
    assert check(child, chain=True, parent=tmp_path / "above" / "base.vhdx").verdict == "clean"


def test_a_parent_that_was_named_and_is_not_there_is_an_error_of_the_caller(tmp_path: Path) -> None:
    made = chain(2).write(tmp_path)
    with pytest.raises(FileNotFoundError) as caught:
        check(made.path, chain=True, parent=tmp_path / "mistyped.vhdx")
    assert caught.value.filename == str(tmp_path / "mistyped.vhdx")


@pytest.mark.parametrize("in_memory", [(0,), (1,), (0, 1)])
def test_a_chain_may_be_in_memory_wholly_or_partly(
    in_memory: tuple[int, ...], tmp_path: Path
) -> None:
    made = chain(2).write(tmp_path)
    parent, child = (
        path.read_bytes() if number in in_memory else path for number, path in enumerate(made.paths)
    )
    report = check(child, chain=True, parent=parent)
    assert [part.verdict for part in report.reports] == ["clean", "clean"]


def test_paths_that_were_not_followed_are_told_only_where_a_parent_was_looked_for(
    tmp_path: Path,
) -> None:
    made = GOOD_CHAINS["paths-lead-out"].build().write(tmp_path)
    assert "CHAIN-07" in rules_of(check(made.path, chain=True))
    named = check(made.path, chain=True, parent=made.paths[0])
    assert "CHAIN-07" not in rules_of(named)


def test_a_parent_that_cannot_be_opened_is_told_and_skipped(tmp_path: Path) -> None:
    made = chain(2).write(tmp_path)
    made.paths[0].write_bytes(b"no image")
    report = check(made.path, chain=True)
    assert rules_of(report, "error") == {"CHAIN-10"}
    assert "the parents" in {what for what, _ in report.skipped}


def test_a_parent_that_was_named_and_is_no_image_does_not_make_the_child_none(
    tmp_path: Path,
) -> None:
    made = chain(2).write(tmp_path)
    made.paths[0].write_bytes(b"no image")
    report = check(made.path, chain=True, parent=made.paths[0])
    assert (report.verdict, report.is_incomplete) == ("unusable", True)
    assert any("base.vhdx" in str(f) for f in report.findings if f.level == "error")


# -- files ----------------------------------------------------------------------------------------


_IMPORT_EVERYTHING = """
    import importlib, pkgutil, types, vhdx_kaitai
    for module in pkgutil.iter_modules(vhdx_kaitai.__path__):
        if module.name != "__main__":
            importlib.import_module(f"vhdx_kaitai.{module.name}")
    names = [name for name in vhdx_kaitai.__all__ if not name.startswith("_")]
    print([n for n in names if isinstance(getattr(vhdx_kaitai, n), types.ModuleType)])
    print(vhdx_kaitai.check(b"no image").verdict)
"""


def test_the_function_can_be_called_whatever_was_imported_before() -> None:
    """Python makes modules attributes of their package, over functions of the same name."""
    argv = [sys.executable, "-c", textwrap.dedent(_IMPORT_EVERYTHING)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\nnot-vhdx\n", "")


def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        check(tmp_path / "nothing.vhdx")


def test_a_check_leaves_what_is_not_its_own_open(tmp_path: Path) -> None:
    path = good("dynamic-plain").write(tmp_path / "good.vhdx")
    with path.open("rb") as file:
        assert check(file).verdict == "clean"
        assert not file.closed
        assert check(file).verdict == "clean"
    source = SparseSource(good("dynamic-plain").file)
    check(source)
    assert not source.is_closed


def test_a_check_closes_what_it_opened(tmp_path: Path) -> None:
    paths = [chain(3).write(tmp_path).path, damaged("version-2").write(tmp_path / "damaged.vhdx")]
    before = len(os.listdir("/proc/self/fd"))
    for path in paths:
        check(path, chain=True)
    assert len(os.listdir("/proc/self/fd")) == before
