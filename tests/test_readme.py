"""README and pages are executed: their transcripts show what the commands print."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.test_main import ALL_STATUSES
from vhdx_kaitai.format import bat, headers, locator, log, replay
from vhdx_kaitai.reading import chain, parents, renamed
from vhdx_kaitai.text import human_size

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str, page: str = README) -> list[str]:
    """Return the fenced blocks of one language."""
    return [text for name, text in _FENCE.findall(page) if name == language]


def steps(transcript: str) -> list[tuple[str, str]]:
    """Return the commands of a transcript with what they print."""
    parts = re.split(r"^\$ (.*)\n", transcript, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def run(command: str) -> str:
    """Run a command as a reader of the README would, in the project's folder.

    That folder is left out of what is printed: it has another name for everybody.
    """
    scripts = str(Path(sys.executable).parent)
    env = dict(os.environ, PATH=f"{scripts}{os.pathsep}{os.environ['PATH']}", NO_COLOR="1")
    del env["PYTHONSAFEPATH"]  # which the reader has not set
    done = subprocess.run(
        command,
        shell=True,
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
        timeout=60,
    )
    return done.stdout.replace(f"{ROOT}{os.sep}", "")


@pytest.mark.parametrize(
    "name",
    [
        *("README.md", "docs/fleets.md", "docs/operations.md"),
        *(pytest.param(f"docs/{name}.md", marks=pytest.mark.slow) for name in ("rescue", "files")),
    ],
)
def test_transcripts_are_what_the_commands_print(name: str) -> None:
    if name == "docs/files.md":
        pytest.importorskip("dissect.extfs")
        for program in ("mke2fs", "sfdisk"):
            if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is None:
                pytest.skip(f"{program} is not installed")
    transcripts = blocks("console", (ROOT / name).read_text(encoding="utf-8"))
    assert len(transcripts) >= 2
    for transcript in transcripts:
        for command, printed in steps(transcript):
            assert run(command) == printed, command


def test_what_changes_an_image_is_told_alike_everywhere() -> None:
    told = re.search(r"^(`write`,.*?) are the only ones", README, re.MULTILINE | re.DOTALL)
    assert told is not None
    changing = set(re.findall(r"`(\w+)`", told[1]))
    help_of_all = re.search(r"Only (.*?)\schange\san image", run("vhdx-kaitai --help"), re.DOTALL)
    assert help_of_all is not None
    assert set(re.findall(r"`(\w+)`", help_of_all[1])) == changing
    rows = re.findall(r"^\|.*\|$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    assert [name for name in changing if not any(f"`{name} " in row for row in rows)] == []


def test_the_python_example_prints_what_the_readme_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("python -m tests.images.demo build/demo.vhdx")
    monkeypatch.chdir(ROOT)
    exec(compile(blocks("python")[0], "README.md", "exec"), {})
    assert capsys.readouterr().out == blocks("text")[0]


def test_the_two_commands_that_set_everything_up_are_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = re.findall(r"^    make (\w+)", README, re.MULTILINE)
    assert {"demo", "test"} <= set(commands)
    for target in commands:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_command_is_in_the_table_of_the_readme() -> None:
    listed = set(re.findall(r"^\| `(\w+)", README, re.MULTILINE))
    helped = set(re.findall(r"^    (\w+) ", run("vhdx-kaitai --help"), re.MULTILINE))
    assert listed == helped - {"COMMAND"}


def test_every_exit_status_is_in_the_readme() -> None:
    """With what help says of `check` and `compare` alone."""
    paragraph = README.partition("\nExit status: ")[2].partition("\n\n")[0]
    for status in sorted(ALL_STATUSES | {3, 4}):
        assert re.search(rf"(?:^|[ \n]){status} [a-z]", paragraph), status


def test_every_limit_of_our_own_is_in_the_readme() -> None:
    section = README.partition("\n## Limits of our own\n")[2].partition("\n## ")[0]
    stated = re.findall(r"\| ([^|]+) \| ([A-Z]+-\d+) \|", section)
    expected = {
        "HDR-18": human_size(headers.MAX_REPLAYED_LOG_LENGTH),
        "LOG-39": (
            f"{human_size(log._MAX_BYTES)} or twice the log, "
            f"{human_size(log._MAX_ENTRY_LENGTH)} each, {log._MAX_ENTRIES} entries, "
            f"{log._MAX_DESCRIPTORS} descriptors"
        ),
        "LOG-38": human_size(replay.MAX_FILE_LENGTH),
        "LOC-04": str(locator.MAX_KEYS),
        "LOC-09": human_size(locator.MAX_TEXT_LENGTH),
        "BAT-08": str(bat.MAX_SHARING),
        "CHAIN-06": str(chain.MAX_CHAIN_LENGTH),
        "CHAIN-10": str(parents.MOST_ALIKE),
    }
    more = [(str(renamed.MOST_FILES), "CHAIN-10")]
    assert sorted(stated) == sorted([*((text, rule) for rule, text in expected.items()), *more])
    package = Path(log.__file__).parent.parent
    in_code = sum(path.read_text().count("(our limit)") for path in package.rglob("*.py"))
    assert in_code == len(stated)
