"""The command line as a whole: help, start-up, and that nothing is written."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.commands.launching import GRAMMAR, HEAVY, imported, launch
from tests.conftest import Files, Run
from tests.support import REAL_IMAGES
from vhdx_kaitai.commands import main


def statuses_in(text: str) -> set[int]:
    """Return the numbers of exit statuses that a help text explains."""
    return {
        int(word)
        for word in re.findall(r"(?:^|\s)(\d+)(?= [a-z])", text.partition("exit status")[2])
    }


ALL_STATUSES = {0, 1, 2, 63, 64, 130, 141}


# Commands that may go on past what is lost.
OF_DISKS = ("map", "read", "convert", "hash", "files", "ls", "cat", "extract")


@pytest.mark.parametrize("command", ["", *main.COMMANDS])
def test_help_tells_every_exit_status(command: str) -> None:
    ended = launch(*command.split(), "--help", env={"COLUMNS": "80"})
    text = ended.stdout.decode()
    more = {"": {3, 4}, "compare": {4}}.get(command, set())
    if command in ("check", "scan", "repair", *OF_DISKS):
        more = {3}
    assert statuses_in(text) == ALL_STATUSES | more
    assert all(len(line) <= 80 for line in text.splitlines())


EVERY_COMMAND = (
    ["info"],
    ["info", "--json", "--allocation"],
    ["log"],
    ["log", "--json"],
    ["tree", "--depth", "3"],
    ["tree", "--json"],
    ["check"],
    ["map"],
    ["chain"],
)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.mark.parametrize("name", REAL_IMAGES)
def test_no_command_changes_a_byte_of_a_real_image(
    name: str, samples: Callable[[str], Path], run: Run
) -> None:
    path = samples(name)
    before, status = digest(path), path.stat()
    for command in EVERY_COMMAND:
        assert run(*command, path).status == 0
    assert digest(path) == before
    assert path.stat().st_mtime_ns == status.st_mtime_ns
    assert sorted(path.parent.glob(f"{path.name}*")) == [path]


@pytest.mark.parametrize(
    "name", ["dirty-everything", "differencing-plain", "log-extends-the-file", "dirty-payload"]
)
def test_no_command_changes_a_byte_of_an_image(name: str, files: Files, run: Run) -> None:
    path = files.good(name)
    before = digest(path)
    for command in EVERY_COMMAND:
        alone = ["--no-parent"] if command[0] in ("map", "chain") else []
        assert run(*command, *alone, path).status == 0
    assert digest(path) == before


def test_no_command_changes_a_byte_of_what_it_refuses(files: Files, run: Run) -> None:
    path = files.damaged("log-checksum-wrong")
    before = digest(path)
    for command in EVERY_COMMAND:
        assert run(*command, path).status in (0, 2)
    assert digest(path) == before


MODULES = {f"vhdx_kaitai.commands.{name}": name for name in main.COMMANDS}


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_help_imports_nothing_that_takes_time(option: str, tmp_path: Path) -> None:
    modules = (*HEAVY, *MODULES, "typing")
    assert imported(option, cwd=tmp_path, modules=modules) == set()


@pytest.mark.parametrize("command", main.COMMANDS)
def test_help_of_a_command_loads_that_one_alone(command: str, tmp_path: Path) -> None:
    names = imported(command, "--help", cwd=tmp_path, modules=(*HEAVY, *MODULES)) - GRAMMAR
    needed = {command, "read"} if command == "convert" else {command}  # which reads all of a disk
    assert {MODULES.get(name, name) for name in names} == needed


def test_the_version_is_that_of_the_package(run: Run) -> None:
    outcome = run("--version")
    assert outcome.status == 0
    assert outcome.out.split()[-1] == vhdx_kaitai.__version__


def test_the_script_is_the_module() -> None:
    script = Path(sys.executable).with_name("vhdx-kaitai")
    if not script.exists():
        pytest.skip("the package is not installed with its script")
    ended = subprocess.run([script, "--version"], check=True, capture_output=True, timeout=60)
    assert ended.stdout == launch("--version").stdout


def parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield the parsers of all commands by name."""
    for action in main.build_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def test_every_command_and_option_says_what_it_is_for() -> None:
    listed = main.build_parser().format_help()
    for name, parser in parsers():
        assert parser.description, name
        assert f"\n    {name} " in listed
        for action in parser._actions:
            assert action.help, f"{name} {action.dest}"


def test_what_an_argument_cannot_be_is_said_in_words() -> None:
    """argparse calls what it expects by the name of a function, unless that finds words itself."""
    for name, parser in parsers():
        parser.load()  # type: ignore[attr-defined]
        for action in parser._actions:
            if callable(action.type):
                called = getattr(action.type, "__name__", "")
                try:
                    action.type("what nothing is called")
                except ValueError:
                    assert called[0].isalpha(), f"{name} {action.dest}"
                except argparse.ArgumentTypeError:
                    pass


def test_the_commands_are_there() -> None:
    assert {name for name, _ in parsers()} >= {"info", "log", "tree", "ksy"}


@pytest.mark.parametrize("name", [name for name, _ in parsers()])
def test_help_of_a_command_fits_a_terminal(name: str, run: Run) -> None:
    outcome = run(name, "--help")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith(f"usage: vhdx-kaitai {name}")
    assert max(map(len, outcome.out.splitlines())) <= 100


def test_help_lists_every_exit_status(run: Run) -> None:
    text = run("--help").out
    for status in (0, 1, 2, 63, 64, 130, 141):
        assert f"{status} " in text


def python(code: str) -> subprocess.CompletedProcess[bytes]:
    """Run code in a process of its own, which has no settings of this one."""
    environment = {key: text for key, text in os.environ.items() if "OPENBLAS" not in key}
    argv = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(argv, check=False, env=environment, capture_output=True)


_STATE = """
    import gc, gettext, os, platform, sys
    {before}
    state = gc.get_threshold(), os.environ.get("OPENBLAS_NUM_THREADS"), gettext, platform
    from vhdx_kaitai.commands.main import main
    try:
        main(["--version"])
    except SystemExit:
        pass
    import gettext, platform
    after = gc.get_threshold(), os.environ.get("OPENBLAS_NUM_THREADS"), gettext, platform
    sys.exit(state != after)
"""


def test_whoever_calls_the_command_line_has_a_process_with_settings_of_its_own() -> None:
    assert python(_STATE.format(before="")).returncode == 0


_PUT_OFF = """
    import sys
    import vhdx_kaitai.__main__
    for name in ("gettext", "platform"):
        assert type(sys.modules[name]).__name__ == "_Late", name
    import argparse, uuid  # which ask for what is there
    for name in ("gettext", "platform"):
        assert type(sys.modules[name]).__name__ == "_Late", name
    from platform import python_version
    import gettext, platform
    assert python_version() == ".".join(map(str, sys.version_info[:3]))
    assert platform.__file__.endswith("platform.py")
    assert gettext.NullTranslations().gettext("text") == "text"
    import gettext
    assert gettext.__file__.endswith("gettext.py")
"""


def test_what_the_program_puts_off_is_there_when_it_is_asked_for() -> None:
    done = python(_PUT_OFF)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("extra", [[], ["-X", "dev"]])
@pytest.mark.parametrize(
    ("words", "status"), [(["--version"], 0), (["info", "/dev/null"], 1), (["nothing"], 64)]
)
def test_the_end_of_the_program_tells_its_status_and_all_it_printed(
    words: list[str], status: int, extra: list[str]
) -> None:
    ended = "import atexit, sys; atexit.register(print, 'the end', file=sys.stderr)"
    code = f"{ended}; from vhdx_kaitai.__main__ import main; sys.exit(main())"
    argv = [sys.executable, *extra, "-c", code, *words]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert done.returncode == status
    assert done.stderr.endswith("the end\n")
    assert bool(done.stdout) == (status == 0)
