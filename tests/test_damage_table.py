"""docs/damage.md and the script that makes it: 23 kinds of damage, all of them found."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support import ROOT, SparseSource, tool
from vhdx_kaitai.checking.chain import check

# In the order in which they were asked for.
KINDS = {
    "stale header: wrong CRC": "HDR-03",
    "current header: wrong CRC": "HDR-03",
    "header wiped": "HDR-02",
    "region table 1: wrong CRC": "REG-03",
    "region table 2 wiped": "REG-02",
    "unknown required region": "REG-14",
    "unknown required metadata": "MET-13",
    "BAT entry on a region": "OVL-05",
    "BAT entry past the end of the file": "BAT-10",
    "half a block cut": "BAT-10",
    "two BAT entries with one offset": "BAT-08",
    "partly overlapping blocks": "OVL-06",
    "reserved BAT bits": "BAT-02",
    "reserved block states": "BAT-03",
    "PARTIALLY_PRESENT without parent": "BAT-05",
    "region overlap": "OVL-01",
    "region inside the header section": "REG-10",
    "misaligned region": "REG-09",
    "bad block size": "ITEM-06",
    "virtual size not a multiple of the sector size": "ITEM-11",
    "physical sector size 1000": "ITEM-16",
    "metadata item below 64 KiB": "MET-06",
    "log GUID without entries": "LOG-31",
}
COPIES = ("HDR-02", "HDR-03", "REG-02", "REG-03")

# What QEMU 7.2 finds or refuses; later versions may find more.
QEMU_FINDS = {
    "region table 1: wrong CRC",
    "unknown required region",
    "unknown required metadata",
    "BAT entry on a region",
    "BAT entry past the end of the file",
    "half a block cut",
    "region overlap",
    "region inside the header section",
    "bad block size",
    "log GUID without entries",
}


SCRIPT = tool("damage_table")
BY_NAME = {kind.name: kind for kind in SCRIPT.KINDS}


def table() -> list[list[str]]:
    """Return the rows of the page, cell by cell."""
    page = (ROOT / "docs" / "damage.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[1:]]


def test_all_kinds_are_there_with_their_rules() -> None:
    assert len(KINDS) == 23
    assert {kind.name: kind.rule for kind in SCRIPT.KINDS} == KINDS


@pytest.mark.parametrize("name", KINDS)
def test_we_find_each_kind_and_nothing_worse(name: str) -> None:
    kind = BY_NAME[name]
    report = check(SparseSource(kind.make().build().file))
    levels = {f.rule: f.level for f in report.findings}
    assert levels[kind.rule] == ("warning" if kind.rule in COPIES else "error")
    assert report.verdict == ("warnings" if kind.rule in COPIES else "corrupt")
    assert SCRIPT.verdict_of(report, kind.rule) == SCRIPT.FOUND
    assert SCRIPT.verdict_of(report, "HDR-99") == SCRIPT.NOT_FOUND


def test_the_page_has_the_same_kinds_and_rules() -> None:
    assert {row[0]: row[1] for row in table()} == KINDS
    assert len(table()) == len(KINDS)


def test_the_page_says_that_we_find_all_of_them() -> None:
    for name, rule, ours, *_ in table():
        assert ours == ("found (warning)" if rule in COPIES else "found (error)"), name


def test_the_page_says_with_what_it_was_made() -> None:
    page = (ROOT / "docs" / "damage.md").read_text(encoding="utf-8")
    assert "`make docs`" in page
    for program in ("vhdx-kaitai", "qemu-img", "7-Zip"):
        assert any(program in line for line in page.splitlines() if line.startswith("Made with"))
    peers = {cell for row in table() for cell in row[3:]}
    assert peers <= {SCRIPT.FOUND, SCRIPT.NOT_FOUND, SCRIPT.REFUSES}


def test_a_program_that_is_not_installed_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path = BY_NAME["bad block size"].make().build().write(tmp_path / "image.vhdx")
    assert SCRIPT.qemu(path) == SCRIPT.seven_zip(path) == SCRIPT.ABSENT
    assert list(SCRIPT.versions())[1:] == ["qemu-img (absent)", "7-Zip (absent)"]


def test_a_page_that_would_miss_a_program_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["damage_table", "-o", str(page)])
    SCRIPT.main()
    said = capsys.readouterr().err
    assert said == f"{page} stays as it is: qemu-img (absent), 7-Zip (absent)\n"
    assert not page.exists()


@pytest.mark.slow
def test_the_page_is_what_the_programs_say(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "damage.md").read_text(encoding="utf-8")
    if f"Made with {', '.join(SCRIPT.versions())} by" not in page:
        pytest.skip("made with programs of other versions")
    assert page == SCRIPT.page(tmp_path), "run 'make docs'"


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")
@pytest.mark.parametrize("name", sorted(QEMU_FINDS))
def test_qemu_finds_or_refuses_what_it_did_before(name: str, tmp_path: Path) -> None:
    path = BY_NAME[name].make().build().write(tmp_path / "image.vhdx")
    assert SCRIPT.qemu(path) in (SCRIPT.FOUND, SCRIPT.REFUSES)
