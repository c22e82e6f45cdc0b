"""Where a map of what is lost may be written: never over what is read or written, and that is found
out before hours of work.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.commands.launching import assert_failed
from tests.conftest import Run
from tests.images.chain import Chain, child_of
from tests.images.image import Block, dynamic
from tests.images.structures import MIB
from tests.support import files_in

COMMANDS = ["map", "hash", "convert", "read"]


def words(command: str, path: Path) -> list[Any]:
    out = path.with_name("out.raw")
    options: dict[str, list[Any]] = {"convert": [out], "read": ["-o", out]}
    return [command, path, *options.get(command, []), "--force"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return an image that nobody knows by its first bytes."""
    path = dynamic(4 * MIB, blocks={1: Block()}).build().write(tmp_path / "disk.vhdx")
    with path.open("r+b") as file:
        file.write(bytes(512))
    return path


@pytest.mark.parametrize("name", ["disk.vhdx", "link.vhdx", "also.vhdx"])
@pytest.mark.parametrize("command", COMMANDS)
def test_an_image_without_its_identifier_is_no_place(
    command: str, name: str, path: Path, run: Run
) -> None:
    path.with_name("link.vhdx").symlink_to(path)
    os.link(path, path.with_name("also.vhdx"))
    before = path.read_bytes()
    lost_map = path.with_name(name)
    outcome = run(*words(command, path), "--assume-vhdx", "--lost-map", lost_map)
    assert outcome.status == 1
    assert outcome.err.splitlines()[-1].endswith(
        f"{path}: is an image that is read, and cannot be the map, too"
    )
    assert path.read_bytes() == before
    assert files_in(path.parent) == {"disk.vhdx", "link.vhdx", "also.vhdx"}


def test_nor_is_a_parent(tmp_path: Path, run: Run) -> None:
    base = dynamic(4 * MIB, blocks={1: Block()}).build()
    child = child_of(base, "base.vhdx").build()
    made = Chain([base, child], ["base.vhdx", "child.vhdx"]).write(tmp_path)
    parent = tmp_path / "base.vhdx"
    before = parent.read_bytes()
    assert_failed(run("map", made.path, "--force", "--lost-map", parent), 1, "stays one")
    assert parent.read_bytes() == before


@pytest.mark.parametrize("name", ["out.raw", "link.raw", "./out.raw"])
@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("command", ["convert", "read"])
def test_the_output_itself_is_no_place(
    command: str, exists: bool, name: str, path: Path, run: Run
) -> None:
    out = path.with_name("out.raw")
    path.with_name("link.raw").symlink_to(out)
    if exists:
        out.write_bytes(b"before")
    lost_map = f"{path.parent}/{name}"
    outcome = run(*words(command, path), "--assume-vhdx", "--lost-map", lost_map)
    assert_failed(outcome, 1, "is the output, and cannot be the map, too")
    assert (out.read_bytes() if out.exists() else None) == (b"before" if exists else None)


@pytest.mark.parametrize("place", ["missing/lost.map", "folder"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_map_that_cannot_be_written_is_told_first(
    command: str, place: str, path: Path, run: Run
) -> None:
    path.with_name("folder").mkdir()
    lost_map = path.parent / place
    assert_failed(run(*words(command, path), "--assume-vhdx", "--lost-map", lost_map), 1, place)
    assert files_in(path.parent) == {"disk.vhdx", "folder"}


def test_a_report_takes_the_place_of_no_file_that_was_checked(path: Path, run: Run) -> None:
    before = path.read_bytes()
    outcome = run("check", path, "--sarif", path, "--force")
    assert outcome.status == 1
    assert "is a file that was checked" in outcome.err
    assert path.read_bytes() == before


def test_an_option_that_did_not_help_is_not_advised_again(path: Path, run: Run) -> None:
    with path.open("r+b") as file:
        for offset in (3, 4, 3 * 16, 3 * 16 + 16):  # in KiB x 64: both tables, metadata, and BAT
            file.seek(offset * 65536)
            file.write(bytes(65536))
    options = ["--assume-vhdx", "--assume-regions"]
    outcome = run("convert", path, path.with_name("out.raw"), *options)
    assert outcome.status == 2
    last = outcome.err.splitlines()[-1]
    assert "REG-04" in last
    assert "--assume" not in last
