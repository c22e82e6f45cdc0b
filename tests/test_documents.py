"""README and pages are executed; what they link to, list and name is there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.commands.test_main import ALL_STATUSES
from tests.support import tool
from vhdx_kaitai.commands import main
from vhdx_kaitai.format import bat, headers, locator, log, replay
from vhdx_kaitai.reading import chain, parents, renamed
from vhdx_kaitai.text import human_size

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [*ROOT.glob("*.md"), *DOCS.glob("*.md")]
}
README = PAGES["README.md"]
COMMANDS = PAGES["docs/commands.md"]
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)|^\[\w+\]: (\S+)$", re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
# What was measured is told in these units, or as a ratio.
_MEASURED = re.compile(r"\b\d[\d.,]*(?: (?:ms|µs|s|GB/s|times)\b| \N{MULTIPLICATION SIGN}(?! \d))")


def blocks(language: str, page: str = README) -> list[str]:
    """Return the fenced blocks of one language."""
    return [text for name, text in _FENCE.findall(page) if name == language]


def prose(page: str) -> str:
    """Return a page without its fenced blocks."""
    return _FENCE.sub("", page)


def steps(transcript: str) -> list[tuple[str, str]]:
    """Return the commands of a transcript with what they print."""
    parts = re.split(r"^\$ (.*)\n", transcript, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def run(command: str) -> str:
    """Run a command as a reader of the README would, in the project's folder."""
    scripts = str(Path(sys.executable).parent)
    env = dict(os.environ, PATH=f"{scripts}{os.pathsep}{os.environ['PATH']}", NO_COLOR="1")
    del env["PYTHONSAFEPATH"]  # which the reader has not set
    return printed_by(command, ROOT, env)


def printed_by(command: str, place: Path, env: dict[str, str]) -> str:
    """Return what a command prints in a folder.

    That folder is left out of what is printed: it has another name for everybody.
    """
    done = subprocess.run(
        command,
        shell=True,
        cwd=place,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
        timeout=60,
    )
    return done.stdout.replace(f"{place}{os.sep}", "")


QUICK = [
    f"docs/{name}.md" for name in ("getting-started", "report", "metadump", "fleets", "operations")
]
SLOW = ["docs/rescue.md", "docs/files.md"]


@pytest.mark.parametrize(
    "name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
)
def test_transcripts_are_what_the_commands_print(name: str) -> None:
    if name == "docs/files.md":
        pytest.importorskip("dissect.extfs")
        for program in ("mke2fs", "sfdisk"):
            if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is None:
                pytest.skip(f"{program} is not installed")
    transcripts = blocks("console", PAGES[name])
    assert transcripts
    if name == "docs/metadump.md":
        run("python -m tests.images.demo build/demo.vhdx")
    for transcript in transcripts:
        for command, printed in steps(transcript):
            assert run(command) == printed, command


def test_every_page_with_a_transcript_is_executed() -> None:
    """That of remote.md is, too, on a server: by `test_main_urls_page`."""
    executed = {*QUICK, *SLOW, "docs/remote.md"}
    assert {name for name, page in PAGES.items() if blocks("console", page)} == executed


def test_what_changes_an_image_is_told_alike_everywhere() -> None:
    told = re.search(r"^(`write`,.*?) are the only ones", COMMANDS, re.MULTILINE | re.DOTALL)
    assert told is not None
    changing = set(re.findall(r"`(\w+)`", told[1]))
    help_of_all = re.search(r"Only (.*?)\schange\san image", run("vhdx-kaitai --help"), re.DOTALL)
    assert help_of_all is not None
    assert set(re.findall(r"`(\w+)`", help_of_all[1])) == changing
    rows = re.findall(r"^\|.*\|$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    assert [name for name in changing if not any(f"`{name} " in row for row in rows)] == []


def test_the_programs_of_the_library_guide_print_what_it_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("python -m tests.images.demo build/demo.vhdx")
    monkeypatch.chdir(ROOT)
    guide = PAGES["docs/library.md"].partition("\n## Partitions and files inside\n")[0]
    names: dict[str, object] = {}
    printed = []
    for program in blocks("python", guide):
        exec(compile(program, "library.md", "exec"), names)
        if out := capsys.readouterr().out:
            printed.append(out)
    assert printed == blocks("text", guide)
    assert guide.count("\nprints\n") == len(printed)


def test_the_program_of_the_grammar_page_prints_what_it_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("python -m tests.images.demo build/demo.vhdx")
    monkeypatch.chdir(ROOT)
    (program,), printed = (blocks(kind, PAGES["docs/grammar.md"]) for kind in ("python", "text"))
    exec(compile(program, "grammar.md", "exec"), {})
    assert [capsys.readouterr().out] == printed


def test_the_two_commands_that_set_everything_up_are_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = re.findall(r"^    make (\w+)", README, re.MULTILINE)
    assert commands == ["demo", "test"]
    for target in commands:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_command_is_in_the_table_of_commands() -> None:
    listed = set(re.findall(r"^\| `(\w+)", COMMANDS, re.MULTILINE))
    helped = set(re.findall(r"^    (\w+) ", run("vhdx-kaitai --help"), re.MULTILINE))
    assert listed == helped - {"COMMAND"}


def test_every_exit_status_is_told() -> None:
    """With what help says of `check` and `compare` alone."""
    told = re.findall(r"^\| (\d+) \|", PAGES["docs/statuses.md"], re.MULTILINE)
    assert sorted(map(int, told)) == sorted(ALL_STATUSES | {3, 4})


def test_every_schema_is_told_with_its_title() -> None:
    rows = re.findall(
        r"^\| \[`(\S+)`\]\(\S+\) \| (.*) \|$", PAGES["docs/statuses.md"], re.MULTILINE
    )
    schemas = ROOT / "vhdx_kaitai" / "schemas"
    titles = {path.name: json.loads(path.read_text())["title"] for path in schemas.glob("*.json")}
    assert {name: re.sub(r"^vhdx-kaitai,? ", "", title) for name, title in titles.items()} == dict(
        rows
    )


def test_every_limit_of_our_own_is_told() -> None:
    section = (
        PAGES["docs/security.md"].partition("\n## Limits of our own\n")[2].partition("\n## ")[0]
    )
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


# -- links, commands and numbers -------------------------------------------------------------------


def anchors(page: str) -> set[str]:
    """Return what can be linked to in a page, as GitHub names headings."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    for inline, reference in _LINK.findall(prose(PAGES[name])):
        link = inline or reference
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {link.partition("#")[0] for link, _ in _LINK.findall(README)}
    assert {name for name in PAGES if name.startswith("docs/")} <= linked


@pytest.mark.parametrize("name", [name for name in PAGES if name != "CHANGELOG.md"])
def test_commands_and_options_that_are_named_are_there(name: str) -> None:
    text = PAGES[name]
    lines = re.findall(r"^(?:    |\$ )(.*)$", text, re.MULTILINE)
    for words in map(str.split, [*_SPAN.findall(prose(text)), *lines]):
        words = [word for word in words if word != "-q"]
        if len(words) < 2 or words[0] != "vhdx-kaitai" or not words[1].islower():
            continue
        assert words[1] in main.COMMANDS or words[1] == "help", words
        options = {word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)}
        assert options <= options_of(words[1]), words


@cache
def options_of(command: str) -> set[str]:
    """Return the long options of a command, as its help lists them."""
    return set(re.findall(r"--[a-z][\w-]*", run(f"vhdx-kaitai {command} --help")))


@pytest.mark.parametrize("name", [name for name in PAGES if name != "docs/rules.md"])
def test_what_was_measured_names_its_command(name: str) -> None:
    for section in re.split(r"^#+ ", prose(PAGES[name]), flags=re.MULTILINE):
        if _MEASURED.search(section):
            assert re.search(r"`(make|python -m) \w+", section), section


# -- pages that are made ---------------------------------------------------------------------------


def test_the_reference_is_what_docstrings_say() -> None:
    assert PAGES["docs/api.md"] == tool("api").page(), "run 'make docs'"


@pytest.mark.slow
def test_the_first_table_is_what_the_tools_say(tmp_path: Path) -> None:
    script = tool("one_chain")
    found = list(script.rows(tmp_path))
    assert found[0][2].startswith("**right**")
    lines = script.TABLE.search(README)[0].splitlines()[2:]
    told = dict(re.findall(r"^\| (.+) \d\S* \| (.*) \|$", "\n".join(lines), re.MULTILINE))
    assert list(told) == [name for name, _, _ in found]
    for name, version, verdict in found:
        if f"| {name} {version} |" in README:
            assert verdict == told[name], "run 'make docs'"
        elif version != "absent":
            kind = re.compile(r"\*\*right\*\*|\*\*silently wrong\*\*|refuses")
            assert kind.match(verdict)[0] == kind.match(told[name])[0], name  # type: ignore[index]
