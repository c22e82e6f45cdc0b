"""What nobody has to install changes nothing that a command prints or writes, only how long."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Files, Run
from tests.images.chain import chain
from tests.images.dirty import dirty
from tests.images.image import Block, dynamic
from tests.images.structures import FULLY_PRESENT, MIB, ZERO
from tests.reading_fixtures import few_runs
from vhdx_kaitai import fast
from vhdx_kaitai.commands.main import COMMANDS

# What each command is told.
WORDS = {
    "info": ["--allocation", "--zeros", "image.vhdx", "child2.vhdx", "bad.vhdx"],
    "check": ["--chain", "image.vhdx", "child2.vhdx", "bad.vhdx"],
    "scan": ["-o", "out.jsonl", "--jobs", "1", "."],
    "map": ["child2.vhdx"],
    "read": ["child2.vhdx", "-o", "out.bytes", "--length", "1M"],
    "convert": ["child2.vhdx", "out.raw"],
    "report": ["child2.vhdx", "-o", "out.html"],
    "hash": ["child2.vhdx"],
    "files": ["image.vhdx"],
    "ls": ["image.vhdx", "/"],
    "cat": ["image.vhdx", "/"],
    "extract": ["image.vhdx", "/", "out.folder"],
    "compare": ["child2.vhdx", "image.vhdx"],
    "log": ["image.vhdx"],
    "chain": ["child2.vhdx"],
    "tree": ["image.vhdx", "header_1"],
    "metadump": ["child2.vhdx", "out.dump"],
    "create": ["out.vhdx", "--size", "4G"],
    "write": ["plain.vhdx", "--zero", "--offset", "0", "--length", "3M", "--force"],
    "compact": ["plain.vhdx"],
    "resize": ["plain.vhdx", "80M", "--force"],
    "set": ["plain.vhdx", "--disk-id", "new", "--force"],
    "replay": ["image.vhdx"],
    "rebase": ["child2.vhdx", "child1.vhdx"],
    "merge": ["child2.vhdx"],
    "repair": ["bad.vhdx"],
    "explorer": ["-o", "out.explorer.html"],
    "ksy": [],
    "help": ["map"],
}
WORKING = WORDS.keys() - {"check", "scan", "repair", "compare", "ls", "cat", "extract", "explorer"}
SERVING = {"serve", "mount"}  # run other programs, whose Python has none of it (test_plugin_alone)

# Runs command lines, taking the ways of large disks, and tells what they print and write.
_SCRIPT = """
import contextlib, datetime, hashlib, io, json, os, sys, uuid
for name in sys.argv[1:]:
    sys.modules[name] = None
numbers = iter(range(1, 1 << 20))
uuid.uuid4 = lambda: uuid.UUID(int=next(numbers))
from vhdx_kaitai.checking import quick, survey
from vhdx_kaitai.commands import main
from vhdx_kaitai.copying import data
from vhdx_kaitai.reading import map
from vhdx_kaitai.serving import report
class Clock(datetime.datetime):
    now = classmethod(lambda cls, zone: cls(2026, 1, 1, tzinfo=zone))
report.datetime = Clock
quick.MOST_IN_PASSING = survey.WORTHWHILE_ENTRIES = data._MANY_EXTENTS = map.WORTHWHILE_BLOCKS = 0
told = []
for words in json.load(sys.stdin):
    out, err = (io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main.main(words)
        except SystemExit as end:
            status = end.code
    printed = [stream.buffer.getvalue().decode() for stream in (out, err)]
    told.append([words, status, *printed])
hashes = {
    name: hashlib.sha256(open(name, "rb").read()).hexdigest()
    for name in sorted(os.listdir())
    if os.path.isfile(name) and name != "out.jsonl"  # which says when it was made
}
print(json.dumps([told, hashes, sys.modules.get("numpy") is not None]))
"""


def write_images(folder: Path) -> None:
    """Write a dirty image, a chain, an image in order, and one in which blocks overlap."""
    states = (FULLY_PRESENT, ZERO)
    blocks = {number: Block(states[number % 3 == 0]) for number in range(40)}
    dirty(dynamic(64 * MIB, blocks=blocks)).build().write(folder / "image.vhdx")
    chain(3, base=dynamic(12 * MIB + 512), blocks=few_runs).write(folder)
    layout = dynamic(64 * MIB, blocks=blocks).layout()
    layout.build().write(folder / "plain.vhdx")
    layout.set_entry(50, FULLY_PRESENT, layout.payload[1])
    layout.set_entry(51, 5)
    layout.build().write(folder / "bad.vhdx")


def told(folder: Path, *absent: str) -> Any:
    """Return what all commands come to in a folder of images, without some packages."""
    lines = [[command, *words] for command, words in WORDS.items()]
    lines += [[*line, "--json"] for line in (lines[0], lines[1], lines[3], lines[6])]
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, *absent],
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_every_command_prints_and_writes_the_same_without_numpy_and_rich(tmp_path: Path) -> None:
    assert WORDS.keys() == COMMANDS.keys() - SERVING
    folder, copy = tmp_path / "images", tmp_path / "copy"
    folder.mkdir()
    write_images(folder)
    shutil.copytree(folder, copy)
    with_all, written, has_numpy = told(folder)
    shutil.rmtree(folder)
    copy.rename(folder)  # messages name it
    without, written_without, has_none = told(folder, "numpy", "rich")
    assert (has_numpy, has_none) == (True, False)
    assert written_without == written
    for expected, found in zip(with_all, without, strict=True):
        assert found == expected
    working = {words[0] for words, status, *_ in without if status == 0}
    assert working - {"explorer"} == WORKING  # there is no page of it before it is made


@pytest.fixture
def no_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    monkeypatch.setattr(fast, "_is_missed", False)


@pytest.mark.usefixtures("no_numpy")
def test_that_it_was_missed_is_remembered() -> None:
    assert not fast.is_missed()
    assert not fast.has_numpy()
    assert fast.is_missed()


@pytest.mark.usefixtures("no_numpy")
@pytest.mark.parametrize(
    ("option", "is_terminal", "is_told"),
    [("--color=auto", True, True), ("--quiet", True, False), ("--color=auto", False, False)],
)
def test_a_person_is_told_once_how_to_be_quicker(
    option: str,
    is_terminal: bool,
    is_told: bool,
    files: Files,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vhdx_kaitai.checking.survey.WORTHWHILE_ENTRIES", 0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    paths = [files.good("dynamic-plain"), files.good("dirty-bat")]
    hint = "vhdx-kaitai: numpy makes this quicker: pip install 'vhdx-kaitai[fast]'\n"
    assert run("check", option, *paths).err.count(hint) == is_told
    assert run("help", "check", option).err == ""
