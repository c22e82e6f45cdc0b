"""`help` says what `--help` does, and what is mistyped gets a guess."""

from __future__ import annotations

import pytest

from tests.conftest import Files, Run
from vhdx_kaitai.commands.main import COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_is_what_the_command_says(command: str, run: Run) -> None:
    asked = run("help", command)
    assert asked == run(command, "--help")
    assert asked.status == 0
    assert asked.out.startswith(f"usage: vhdx-kaitai {command} ")


def test_help_alone_lists_the_commands(run: Run) -> None:
    assert run("help") == run("--help")
    assert run("--color", "never", "help").status == 0
    assert "None" not in run("--help").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["chek", "x"], "vhdx-kaitai: unknown command 'chek', did you mean check?"),
        (["INFO", "x"], "vhdx-kaitai: unknown command 'INFO', did you mean info?"),
        (["help", "conver"], "vhdx-kaitai: unknown command 'conver', did you mean convert?"),
        (["xyzzy"], "vhdx-kaitai: unknown command 'xyzzy', see --help"),
        (["info", "--jsn", "x"], "vhdx-kaitai info: unknown option --jsn, did you mean --json?"),
        (["info", "--jsn"], "vhdx-kaitai info: unknown option --jsn, did you mean --json?"),
        (
            ["map", "--ofset=1", "x"],
            "vhdx-kaitai map: unknown option --ofset, did you mean --offset?",
        ),
        (["map", "--xyzzy", "x"], "vhdx-kaitai map: unknown option --xyzzy"),
        (["map", "x", "-x"], "vhdx-kaitai map: unknown option -x"),
        (["map", "x", "y"], "vhdx-kaitai map: unexpected argument y"),
        (
            ["create", "x", "10G"],
            "vhdx-kaitai create: unexpected argument 10G; --size N says how large the disk is",
        ),
        (["--colr", "never"], "vhdx-kaitai: unknown option --colr, did you mean --color?"),
        (
            ["--allocation", "info", "x"],
            "vhdx-kaitai: unknown option --allocation; those of a command are written after it",
        ),
        (["info\x1b[31m"], r"vhdx-kaitai: unknown command 'info\x1b[31m', did you mean info?"),
        (["map", "x", "-\x1b"], r"vhdx-kaitai map: unknown option -\x1b"),
    ],
)
def test_what_is_mistyped_is_called_so(words: list[str], said: str, run: Run) -> None:
    outcome = run(*words)
    assert (outcome.status, outcome.out) == (64, "")
    assert outcome.err.startswith("usage: vhdx-kaitai")
    assert outcome.err.splitlines()[-1] == said


@pytest.mark.parametrize("option", ["--js", "--alloc", "--no-p"])
def test_an_option_has_one_name(option: str, files: Files, run: Run) -> None:
    """What is short for one option today would be short for two tomorrow."""
    outcome = run("info", option, files.good("dynamic-plain"))
    assert (outcome.status, outcome.out) == (64, "")
    assert f"unknown option {option}" in outcome.err


def test_what_follows_two_dashes_is_no_option(run: Run) -> None:
    assert run("info", "--", "--jsn").err == "vhdx-kaitai: --jsn: No such file or directory\n"
