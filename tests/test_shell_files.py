"""Man pages and completion say what the commands take, and shells and readers take them."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("shtab", reason="shtab is not installed")

from tests.support import tool
from vhdx_kaitai.commands.main import COMMANDS
from vhdx_kaitai.rules import catalogue

TOOL = tool("shell_files")
FILES: dict[str, str] = TOOL.shell_files()
PARSERS: dict[str, argparse.ArgumentParser] = TOOL.loaded_parser()[2]
PAGES = {name: text for name, text in FILES.items() if name.endswith(".1")}
BASH = "bash-completion/completions/vhdx-kaitai"
ZSH = "zsh/site-functions/_vhdx-kaitai"


@pytest.fixture
def share(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def run(*argv: object) -> subprocess.CompletedProcess[str]:
    """Run a program, or skip the test where there is none."""
    if shutil.which(str(argv[0])) is None:
        pytest.skip(f"{argv[0]} is not installed")
    words = [str(word) for word in argv]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    return {name for action in parser._actions for name in action.option_strings}


def test_the_program_and_each_command_have_a_page() -> None:
    names = {"vhdx-kaitai", *(f"vhdx-kaitai-{command}" for command in COMMANDS)}
    assert PAGES.keys() == {f"man/man1/{name}.1" for name in names}
    assert FILES.keys() - PAGES.keys() == {BASH, ZSH}


def test_they_are_the_same_every_time() -> None:
    assert TOOL.shell_files() == FILES


@pytest.mark.parametrize("command", COMMANDS)
def test_a_page_says_what_a_command_takes(command: str) -> None:
    text = PAGES[f"man/man1/vhdx-kaitai-{command}.1"].replace("\\-", "-")
    parser = PARSERS[command]
    named = set(re.findall(r"\\fB(-[\w-]+)\\fR", text))
    assert named == options_of(parser)
    for action in parser._actions:
        assert " ".join((action.help or "").split()) in " ".join(text.split())
    assert COMMANDS[command] in " ".join(text.split())
    assert re.search(r"^\.SH EXIT STATUS\n\.nf\n0 \w", text, re.MULTILINE)
    assert text.endswith(".SH SEE ALSO\n.BR vhdx-kaitai (1)\n")


@pytest.mark.parametrize("page", PAGES)
def test_readers_of_pages_have_nothing_to_say(page: str, share: Path) -> None:
    """But that there is no date: the same tree makes the same page on every day."""
    said = run("mandoc", "-Tlint", share / page)
    lines = [line for line in said.stdout.splitlines() if "missing date" not in line]
    assert lines == []


@pytest.mark.parametrize("page", PAGES)
def test_nor_has_groff(page: str, share: Path) -> None:
    ended = run("groff", "-ww", "-man", "-Tutf8", share / page)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "vhdx-kaitai" in ended.stdout


# -- completion ---------------------------------------------------------------------------------


def completed(share: Path, *words: str) -> set[str]:
    """Return what bash makes of the last of some words."""
    script = (
        f"source {share / BASH}; COMP_WORDS=(vhdx-kaitai {' '.join(map(repr, words))}); "
        f"COMP_CWORD={len(words)}; _shtab_vhdx_kaitai; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    ended = run("bash", "--norc", "-c", f"cd {share}; {script}")
    assert ended.returncode == 0, ended.stderr
    return {word.strip() for word in ended.stdout.splitlines()} - {""}


def test_bash_completes_commands_and_options(share: Path) -> None:
    assert completed(share, "") == set(COMMANDS)
    assert completed(share, "ch") == {"check", "chain"}
    assert completed(share, "check", "--all") == {"--all-findings"}
    for command in COMMANDS:
        assert completed(share, command, "--") == {
            name for name in options_of(PARSERS[command]) if name.startswith("--")
        }


def test_bash_completes_what_options_take(share: Path) -> None:
    (share / "disk.vhdx").touch()
    (share / "disks").mkdir()
    assert completed(share, "check", "--explain", "LOG-3") == {
        rule for rule in catalogue() if rule.startswith("LOG-3")
    }
    assert completed(share, "info", "--color", "a") == {"auto", "always"}
    assert completed(share, "help", "ch") == {"check", "chain"}
    assert completed(share, "info", "--parent", "disk.") == {"disk.vhdx"}
    assert completed(share, "info", "--search", "d") == {"disks"}
    assert completed(share, "convert", "disk.vhdx", "--lost-map", "disk.") == {"disk.vhdx"}


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"explorer", "ksy", "help"}))
def test_bash_completes_files(command: str, share: Path) -> None:
    (share / "disk.vhdx").touch()
    assert completed(share, command, "disk") == {"disk.vhdx"}


def test_whatever_is_the_name_of_a_file_is_known_as_one() -> None:
    """By what stands for it in the help; the path of a field is none."""
    named = {"FILE": "files", "OUT": "files", "A": "files", "B": "files", "DIR": "folders"}
    known = {"files": TOOL._FILES, "folders": TOOL._FOLDERS}
    unknown = {
        (command, action.dest)
        for command, parser in PARSERS.items()
        for action in parser._actions
        if action.metavar in named and action.dest not in known[named[str(action.metavar)]]
    }
    assert unknown == set()


def test_zsh_takes_its_file(share: Path) -> None:
    ended = run("zsh", "-f", "-n", share / ZSH)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert FILES[ZSH].startswith("#compdef vhdx-kaitai\n")
