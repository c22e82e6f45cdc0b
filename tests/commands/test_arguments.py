"""Command lines that are refused."""

from __future__ import annotations

import pytest

from tests.conftest import Files, Run


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["info"],
        ["info", "--nonsense", "x"],
        ["log", "a", "b"],
        ["tree", "x", "--depth", "-1"],
        ["tree", "x", "--depth", "deep"],
        ["ksy", "--json"],
    ],
)
def test_a_wrong_command_line_is_a_status_of_its_own(arguments: list[str], run: Run) -> None:
    outcome = run(*arguments)
    assert outcome.status == 64
    assert outcome.out == ""
    assert outcome.err.startswith("usage: vhdx-kaitai")


def test_a_wrong_number_is_told_in_words(run: Run) -> None:
    """argparse names the function that it calls, which means nothing to a caller."""
    assert "_natural" not in run("tree", "x", "--depth", "-1").err


@pytest.mark.parametrize("option", [("--parent", "x"), ("--search", "."), ("--follow-absolute",)])
@pytest.mark.parametrize("command", ["info", "check", "map", "read", "chain"])
def test_options_about_parents_need_parents(
    command: str, option: tuple[str, ...], files: Files, run: Run
) -> None:
    outcome = run(command, "--no-parent", *option, files.good("dynamic-plain"))
    assert (outcome.status, outcome.out) == (64, "")
    assert option[0] in outcome.err
    assert "--no-parent" in outcome.err
