"""All findings of a rule, where they are asked for, and no more than memory has room for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checking.judging import image_of, in_bulk
from tests.checking.reports import counted, report_on, rules_of
from tests.images.image import Layout
from tests.images.sparse import Sparse
from tests.images.structures import FULLY_PRESENT, GIB, MIB
from vhdx_kaitai.checking import chain, findings
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.commands.main import main


def with_bad_blocks(count: int) -> Layout:
    """Return an image of 100 blocks, some of which are in a state that is reserved."""
    layout = image_of(100, MIB, 0)
    for block in range(count):
        layout.set_entry(block, 4 + block % 2)
    return layout


@pytest.mark.parametrize("count", [20, 21, 100])
def test_all_findings_are_reported_when_they_are_asked_for(count: int) -> None:
    few = report_on(with_bad_blocks(count))
    every = report_on(with_bad_blocks(count), all_findings=True)
    assert counted(few) == {"BAT-03": count}
    assert len(few.findings) == 20
    assert (len(every.findings), every.more) == (count, {})
    assert {f.where.split(" at ")[0] for f in every.findings} == {
        f"BAT entry of block {block}" for block in range(count)
    }
    assert (every.verdict, every.diagnosis, every.skipped) == few[1:2] + few[5:6] + few[3:4]


def test_those_of_a_large_bat_are_reported_too() -> None:
    with in_bulk():
        assert len(report_on(with_bad_blocks(70), all_findings=True).findings) == 70


def test_there_is_an_end_even_to_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (chain, findings):
        monkeypatch.setattr(module, "MOST_OF_ALL", 50)
    report = report_on(with_bad_blocks(70), all_findings=True)
    assert (len(report.findings), report.more) == (50, {"BAT-03": 20})


def test_the_command_lists_all_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = with_bad_blocks(70).build().write(tmp_path / "bad.vhdx")
    assert main(["check", str(path)]) == 2
    assert "  ... and 50 more [BAT-03], see --all-findings" in capsys.readouterr().out
    assert main(["check", "--all-findings", str(path)]) == 2
    out = capsys.readouterr().out
    assert out.count("[BAT-03,") == 70
    assert "more [" not in out


# -- what comes first ----------------------------------------------------------------------------


def test_the_most_serious_sentence_comes_first() -> None:
    """The header that is damaged is met long before the blocks that are lost."""
    layout = image_of(4, MIB, 0)
    layout.headers[0].checksum = 1
    layout.set_entry(0, FULLY_PRESENT, GIB)
    report = report_on(layout)
    assert rules_of(report, "error", "warning") == {"HDR-03", "BAT-10"}
    first, second = report.diagnosis
    assert first.startswith("The file is cut short: 1 of 1 stored blocks")
    assert second.startswith("Header 1 is damaged")


def test_a_bat_of_zeros_beside_data_is_told() -> None:
    layout = image_of(4, MIB, 20)
    assert report_on(layout).diagnosis == ()
    place = (layout.file_length or 0) - MIB
    layout.set_entry(0, FULLY_PRESENT, place)
    layout.bat.clear()
    layout.patch(place + 4096, data_of(b"left"))
    report = check(layout.build().to_bytes())
    assert (report.verdict, rules_of(report)) == ("clean", {"BLK-13"})
    (sentence,) = report.diagnosis
    assert sentence.startswith("All entries of the BAT are 0, as on a disk that was never written")
    assert f"data from {place + 4096:#x} on that nothing refers to" in sentence
    layout.set_entry(1, 2)  # ZERO: something wrote to this disk
    assert check(layout.build().to_bytes()).diagnosis == ()


def data_of(data: bytes) -> Sparse:
    return Sparse(len(data), {0: data})
