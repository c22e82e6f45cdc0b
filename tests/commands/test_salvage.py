"""`--salvage` and `--lost-map`: what can be saved is, and what is lost is told."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.commands.launching import assert_failed, launch
from tests.conftest import Files, Run
from tests.images.chain import Chain, child_of
from tests.images.dirty import dirty
from tests.images.image import Block, Built, dynamic, partial
from tests.images.structures import HEADER_OFFSETS, KIB, MIB, REGION_TABLE_OFFSETS
from tests.reading_fixtures import assert_same, run_program
from tests.support import assert_valid, good

SIZE = 12 * MIB
LOST = ((2 * MIB, 4 * MIB), (9 * MIB + 512, 10 * MIB))


def damaged() -> Built:
    """Return a disk of twelve blocks, six stored: two of these are lost and most of a third."""
    layout = dynamic(SIZE, blocks={n: Block() for n in (0, 2, 3, 5, 7, 9)}).layout()
    layout.set_entry(2, 4)
    layout.set_entry(3, 5)
    layout.file_length = layout.payload[9] + 512
    return layout.build()


def expected_of(built: Built) -> bytes:
    whole = bytearray(built.model.read(0, SIZE))
    for start, end in LOST:
        whole[start:end] = bytes(end - start)
    return bytes(whole)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return damaged().write(tmp_path / "damaged.vhdx")


def statuses(text: str) -> list[tuple[int, int, str]]:
    """Return the ranges of a map file, as its manual describes them."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert re.fullmatch(r"0x[0-9A-F]+ +\+ +1", lines[0])
    found = []
    for line in lines[1:]:
        offset, length, status = line.split()
        found.append((int(offset, 0), int(offset, 0) + int(length, 0), status))
    return found


def test_a_damaged_disk_is_refused_with_the_way_on(path: Path, run: Run) -> None:
    out = path.with_name("out.raw")
    outcome = run("convert", path, out)
    assert outcome.status == 2
    last = outcome.err.splitlines()[-1]
    assert "BAT-03" in last
    assert "--salvage goes on past what is lost" in last
    assert not out.exists()


@pytest.mark.parametrize("command", ["convert", "read", "read to standard output"])
def test_what_can_be_saved_is_and_the_rest_told(command: str, path: Path) -> None:
    """In a file, with holes; or as a stream."""
    out, lost_map = path.with_name("out.raw"), path.with_name("lost.map")
    words: list[Any] = {
        "convert": ["convert", path, out],
        "read": ["read", path, "-o", out],
        "read to standard output": ["read", path],
    }[command]
    ended = launch(*words, "--salvage", "--lost-map", lost_map)
    assert ended.returncode == 3
    saved = ended.stdout if "standard" in command else out.read_bytes()
    assert_same(saved, expected_of(damaged()))
    message = ended.stderr.decode()
    assert message.count("\n") == 1
    assert "about 3 MiB of the 6 MiB stored are lost" in message
    assert "0x200000 to 0x400000 [BAT-03], 0x900200 to 0xa00000 [BAT-10]" in message
    marked = [row[:2] for row in statuses(lost_map.read_text()) if row[2] == "-"]
    assert marked == [*LOST]
    if out.exists():
        assert os.stat(out).st_blocks * 512 <= 4 * MIB


def test_a_damaged_disk_is_hashed_with_zeros_for_what_is_lost(path: Path, run: Run) -> None:
    assert run("hash", path).status == 2
    outcome = run("hash", path, "--salvage")
    assert_failed(outcome, 3, "0x200000 to 0x400000 [BAT-03], 0x900200 to 0xa00000 [BAT-10]")
    expected = hashlib.sha256(expected_of(damaged())).hexdigest()
    assert outcome.out == f"{expected}  {path}\n"
    outcome = run("hash", path, "--salvage", "--json")
    assert outcome.status == 3
    document = json.loads(outcome.out)
    assert_valid(document, "hash")
    assert document["hashes"] == {"sha256": expected}
    lost = [(row["start"], row["end"]) for row in document["lost"]["first"]]
    assert lost == [*LOST]


def test_without_the_log_nobody_says_that_nothing_is_lost(tmp_path: Path, run: Run) -> None:
    """The log has the entry of a block that the BAT does not name."""
    built = dirty(dynamic(8 * MIB, blocks={1: Block(), 3: Block()}), junk=False).build()
    path = built.write(tmp_path / "dirty.vhdx")
    outcome = run("convert", path, tmp_path / "out.raw", "--as-stored", "--salvage")
    assert outcome.status == 0
    assert "if what was assumed is right, nothing is lost: " in outcome.err


def test_of_a_good_disk_nothing_is_lost(files: Files, tmp_path: Path, run: Run) -> None:
    out, lost_map = tmp_path / "out.raw", tmp_path / "lost.map"
    name = "dynamic-plain"
    outcome = run("convert", files.good(name), out, "--salvage", "--lost-map", lost_map)
    assert outcome.status == 0
    assert "nothing is lost" in outcome.err
    model = good(name).model
    assert_same(out.read_bytes(), model.read(0, model.size))
    assert statuses(lost_map.read_text()) == [(0, model.size, "+")]


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [
        (0, 2 * MIB, "saved 0-2, not tried 2-12"),
        (3 * MIB, MIB, "not tried 0-3, lost 3-4, not tried 4-12"),
        (MIB, 4 * MIB, "not tried 0-1, saved 1-2, lost 2-4, saved 4-5, not tried 5-12"),
        (10 * MIB, 2 * MIB, "not tried 0-10, saved 10-12"),
    ],
)
def test_a_map_of_a_range_says_what_was_not_tried(
    offset: int, length: int, expected: str, path: Path, run: Run
) -> None:
    lost_map, out = path.with_name("lost.map"), path.with_name("out.raw")
    options = ["--offset", offset, "--length", length, "--lost-map", lost_map]
    outcome = run("read", path, "-o", out, *options)
    words = {"+": "saved", "-": "lost", "?": "not tried"}
    ranges = statuses(lost_map.read_text())
    told = [f"{words[status]} {low // MIB}-{high // MIB}" for low, high, status in ranges]
    assert ", ".join(told) == expected
    assert outcome.status == (3 if " lost" in f" {expected}" and "lost" in expected else 0)
    assert_same(out.read_bytes(), expected_of(damaged())[offset : offset + length])


def test_the_map_of_a_disk_is_written_by_map_too(path: Path, run: Run) -> None:
    lost_map = path.with_name("lost.map")
    outcome = run("map", "--json", path, "--lost-map", lost_map)
    assert outcome.status == 3
    document = json.loads(outcome.out)
    assert_valid(document, "map")
    lost = [(e["start"], e["start"] + e["length"]) for e in document if "lost" in e]
    assert lost == [*LOST]
    assert [row[:2] for row in statuses(lost_map.read_text()) if row[2] == "-"] == [*LOST]


def test_the_map_is_one_that_ddrescue_reads(path: Path, run: Run) -> None:
    lost_map = path.with_name("lost.map")
    run("map", path, "--lost-map", lost_map)
    listed = run_program("ddrescuelog", "--list-blocks=-", "--block-size=512", lost_map)
    sectors = [int(line) for line in listed.split()]
    assert sectors == [at for low, high in LOST for at in range(low // 512, high // 512)]


@pytest.mark.parametrize("command", ["map", "convert", "read"])
def test_a_map_replaces_no_file_unasked(command: str, path: Path, run: Run) -> None:
    lost_map, out = path.with_name("lost.map"), path.with_name("out.raw")
    lost_map.write_text("mine")
    options: dict[str, list[Any]] = {"map": [], "convert": [out], "read": ["-o", out]}
    words = options[command]
    assert_failed(run(command, path, *words, "--lost-map", lost_map), 1, "--force")
    assert lost_map.read_text() == "mine"
    assert not out.exists()
    assert run(command, path, *words, "--lost-map", lost_map, "--force").status == 3
    assert statuses(lost_map.read_text())
    assert_failed(run(command, path, *words, "--lost-map", path, "--force"), 1, "stays one")


def test_a_chain_is_salvaged_level_by_level(tmp_path: Path, run: Run) -> None:
    base = dynamic(4 * MIB, blocks={n: Block() for n in range(4)}).build()
    child = child_of(base, "base.vhdx", blocks={1: partial(range(100)), 3: Block()}).layout()
    child.file_length = child.payload[3] + 4096
    made = Chain([base, child.build()], ["base.vhdx", "child.vhdx"]).write(tmp_path)
    out = tmp_path / "out.raw"
    assert run("convert", made.path, out, "--salvage").status == 3
    expected = bytearray(made.model.read(0, 4 * MIB))
    expected[3 * MIB + 4096 :] = bytes(MIB - 4096)
    assert_same(out.read_bytes(), bytes(expected))


# -- what is assumed ------------------------------------------------------------------------------

WIPED = {
    "--assume-vhdx": (0, 512),
    "--assume-header": (HEADER_OFFSETS[0], 192 * KIB - HEADER_OFFSETS[0]),
    "--assume-regions": (REGION_TABLE_OFFSETS[0], 128 * KIB),
}


@pytest.mark.parametrize("option", WIPED)
def test_a_structure_that_was_wiped_is_assumed_on_request(
    option: str, tmp_path: Path, run: Run
) -> None:
    built = good("dynamic-plain")
    path = built.write(tmp_path / "wiped.vhdx")
    offset, length = WIPED[option]
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(bytes(length))
    before = path.read_bytes()
    out = tmp_path / "out.raw"
    for words in (["convert", path, out], ["info", path], ["map", path]):
        assert_failed(run(*words), 2, option)
        outcome = run(*words, option)
        assert_failed(outcome, 0, "assumed")
    assert_same(out.read_bytes(), built.model.read(0, built.model.size))
    document = json.loads(run("info", "--json", path, option).out)
    assert_valid(document, "info")
    assert len(document["assumed"]) == 1
    assert path.read_bytes() == before


def test_a_dirty_image_is_read_as_it_is_stored_on_request(tmp_path: Path, run: Run) -> None:
    before = dynamic(4 * MIB, blocks={0: Block()})
    after = dynamic(4 * MIB, blocks={0: Block(), 1: Block()})
    path = dirty(after, before=before).build().write(tmp_path / "dirty.vhdx")
    out = tmp_path / "out.raw"
    assert run("convert", path, out, "--as-stored").status == 0
    assert_same(out.read_bytes(), before.build().model.read(0, 4 * MIB))
    document = json.loads(run("info", "--json", path, "--as-stored").out)
    assert_valid(document, "info")
    assert document["log"]["state"] == "ignored"
    text = run("info", path, "--as-stored").out
    assert "the file as it is stored" in text


# -- what nobody can see from the disk ------------------------------------------------------------


@pytest.mark.parametrize("command", ["read", "convert", "hash", "map", "compare", "files", "ls"])
def test_every_command_that_reads_the_disk_tells_that_its_bat_was_wiped(
    command: str, tmp_path: Path, run: Run
) -> None:
    layout = dynamic(8 * MIB, blocks={3: Block()}).layout()
    layout.set_entry(3, 0)
    path = layout.build().write(tmp_path / "wiped.vhdx")
    outputs: dict[str, list[str | Path]] = {
        "convert": [tmp_path / "out.raw"],
        "read": ["-o", tmp_path / "out"],
    }
    words = [command, path, *outputs.get(command, [path] if command == "compare" else [])]
    told = "the BAT is empty, but the file has data that nothing refers to"
    assert told in run(*words).err
    if command != "compare":
        force = ["--force"] if command in outputs else []
        assert told in run(*words, "--salvage", *force).err


def test_a_list_of_what_is_on_a_disk_tells_what_of_it_is_lost(path: Path, run: Run) -> None:
    outcome = run("files", path, "--salvage")
    assert outcome.status == 3
    assert " stored are lost" in outcome.err
