"""What is printed looks as the terminal and its owner want it."""

from __future__ import annotations

import re
import sys

import pytest

from tests.conftest import Files, Run


@pytest.mark.parametrize(
    ("choice", "no_color", "is_terminal", "is_colored"),
    [
        ("auto", "", False, False),
        ("auto", "", True, True),
        ("auto", "1", True, False),
        ("never", "", True, False),
        ("always", "1", False, True),
    ],
)
def test_colour_is_for_terminals_whose_owner_has_nothing_against_it(
    choice: str,
    no_color: str,
    is_terminal: bool,
    is_colored: bool,
    files: Files,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    outcome = run("info", "--color", choice, files.good("dirty-bat"))
    assert outcome.status == 0
    assert ("\x1b[" in outcome.out) == is_colored
    plain = re.sub(r"\x1b\[\d*m", "", outcome.out)
    assert plain == run("info", "--color", "never", files.good("dirty-bat")).out
