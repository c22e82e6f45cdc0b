"""Who waits at a terminal sees how far a command is, and nothing of it in the end."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import pytest

from tests.conftest import Files, Run
from vhdx_kaitai.commands import output, progress


def screen(err: str) -> list[str]:
    """Return the lines that are on a terminal in the end: what comes after \r is put over them."""
    lines = []
    for line in err.split("\n"):
        shown = ""
        for part in line.split("\r"):
            shown = part + shown[len(part) :]
        lines.append(shown.rstrip())
    return lines


def test_a_terminal_shows_how_far_a_command_is_and_nothing_of_it_in_the_end(
    files: Files, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = files.good("dynamic-plain")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(progress, "_SHOWN_FOR", 0)
    outcome = run("convert", path, tmp_path / "disk.raw")
    assert (outcome.status, outcome.out, screen(outcome.err)) == (0, "", [""])
    shown = [part for part in outcome.err.split("\r") if part.startswith("[")]
    assert all(
        re.fullmatch(r"\[#*\.*\] +\d+% of \d+ MiB(, \d+:\d\d left)?", part) for part in shown
    )
    assert shown[-1].startswith("[" + 30 * "#" + "] 100% of ")


def test_how_far_a_command_is_goes_out_of_the_way_of_a_message(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    arguments = argparse.Namespace(quiet=False)
    with progress.ticker(arguments) as tick:
        tick("0123456789" * 20)
        output.complain(None, "one")
        tick("too soon after the first")
    err = capsys.readouterr().err
    assert screen(err) == ["vhdx-kaitai: one", ""]
    assert "0123456789" in err
    assert "0123456789" * 8 not in err  # it stays on its line
    assert "too soon" not in err
