"""`vhdx-kaitai ksy`: the grammar, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

import vhdx_kaitai
from tests.commands.launching import launch
from tests.conftest import Run
from tests.support import ROOT
from vhdx_kaitai.commands import main


def test_ksy_prints_the_grammar_byte_for_byte(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main.main(["ksy"]) == 0
    assert capsysbinary.readouterr().out == (ROOT / "vhdx.ksy").read_bytes()


def test_ksy_copies_the_grammar(tmp_path: Path, run: Run) -> None:
    outcome = run("ksy", "-o", tmp_path / "copy.ksy")
    assert outcome == (0, "", "")
    assert (tmp_path / "copy.ksy").read_bytes() == (ROOT / "vhdx.ksy").read_bytes()
    assert vhdx_kaitai.grammar_text() == (ROOT / "vhdx.ksy").read_bytes()


def test_a_file_may_be_called_a_dash_when_its_folder_is_named(tmp_path: Path) -> None:
    assert launch("ksy", "-o", "./-", cwd=tmp_path).stdout == b""
    assert launch("ksy", "-o", "-").stdout == (tmp_path / "-").read_bytes()
