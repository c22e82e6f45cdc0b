"""Nothing is changed in an image that qemu-nbd has open; the line names the way around."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.commands.launching import assert_failed
from tests.conftest import Run
from tests.images.chain import Chain, chain
from tests.serving.clients import served_by_qemu

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such locks"),
    pytest.mark.skipif(shutil.which("qemu-nbd") is None, reason="qemu-nbd is not installed"),
]

# What comes after the command: CHILD and PARENT stand for the files of a chain. QEMU opens no
# child, so `rebase`, which changes one, meets a writer of ours below.
WORDS = {
    "replay": ["PARENT"],
    "write": ["PARENT", "--zero", "--length", "4096"],
    "resize": ["PARENT", "+64MiB"],
    "compact": ["PARENT"],
    "merge": ["CHILD"],
    "set": ["PARENT", "--disk-id", "new"],
    "repair": ["PARENT", "--write"],
}
GUARDED = ("write", "resize", "compact", "set")  # without --force: the image has a child


@pytest.fixture
def made(tmp_path: Path) -> Chain:
    return chain(2).write(tmp_path)


@pytest.mark.parametrize("options", [(), ("-r",)], ids=["to write", "to read"])
@pytest.mark.parametrize("command", WORDS)
def test_what_qemu_nbd_has_open_is_left_alone(
    command: str, options: tuple[str, ...], made: Chain, run: Run
) -> None:
    files = {"CHILD": made.path, "PARENT": made.paths[0]}
    path = made.paths[0]
    force = ["--force"] if command in GUARDED else []
    before = {file: file.read_bytes() for file in files.values()}
    words = [files.get(word, word) for word in WORDS[command]]
    with served_by_qemu(path, *options):
        outcome = run(command, *words, *force)
    assert_failed(outcome, 1, f"{path}: in use", "--no-lock")
    assert {file: file.read_bytes() for file in files.values()} == before


def test_a_child_that_is_open_to_be_written_is_left_alone(made: Chain, run: Run) -> None:
    before = made.path.read_bytes()
    with vhdx_kaitai.open(made.path, writable=True):
        outcome = run("rebase", made.path, made.paths[0])
    assert_failed(outcome, 1, f"{made.path}: in use", "--no-lock")
    assert made.path.read_bytes() == before
