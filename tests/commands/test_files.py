"""`files` lists what is on a disk, whatever state it is in."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands.launching import assert_failed, document_of
from tests.conftest import Run
from tests.images.image import Block, dynamic
from tests.images.partitioned import gpt, mbr
from tests.images.structures import MIB
from tests.serving.making import blank, image_of, tool

pytest.importorskip("dissect.extfs")


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A disk with a GPT, an ext4 with a hostile label, swap, and something unknown."""
    raw = blank(tmp_path / "disk.raw", 40 * MIB)
    script = (
        'label: gpt\n2048,32768\nstart=34816,size=8192,name="sw\\x07ap"\nstart=43008,size=2048\n'
    )
    tool("sfdisk", "-q", raw, text=script)
    ext = blank(tmp_path / "ext.raw", 16 * MIB)
    tool(
        "mke2fs",
        "-q",
        "-F",
        "-t",
        "ext4",
        "-L",
        "La\x1b[2Jbel",
        "-U",
        "11111111-2222-4333-8444-555555555555",
        ext,
    )
    with raw.open("r+b") as file:
        file.seek(MIB)
        file.write(ext.read_bytes())
        file.seek(17 * MIB + 4086)
        file.write(b"SWAPSPACE2")
    return image_of(raw)


def test_a_document_follows_its_schema(two: Path, run: Run) -> None:
    outcome = run("files", two, "--json")
    assert (outcome.status, outcome.err) == (0, "")
    document = document_of(outcome, "files")
    assert (document["partition_table"], document["virtual_disk_size"]) == ("GPT", 40 * MIB)
    assert [
        (one["partition"], one["offset"], one["length"], one["content"])
        for one in document["volumes"]
    ] == [(1, MIB, 16 * MIB, "ext"), (2, 17 * MIB, 4 * MIB, "swap"), (3, 21 * MIB, MIB, None)]
    system = document["volumes"][0]["file_system"]
    assert (system["kind"], system["label"]) == ("ext4", "La\x1b[2Jbel")
    assert system["uuid"] == "11111111-2222-4333-8444-555555555555"
    assert system["used"] + system["free"] == system["size"] == 16 * MIB


def test_text_has_a_line_for_each_and_no_escapes_of_the_disk(two: Path, run: Run) -> None:
    outcome = run("files", two)
    assert (outcome.status, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0] == f"{two}: disk of 40 MiB, GPT"
    assert [line.split()[0] for line in lines[1:]] == ["partition", "1", "2", "3"]
    assert re.search(r"ext4 +16 MiB .* 'La\\x1b\[2Jbel'$", lines[2])
    assert re.search(r"swap +'sw\\x07ap'$", lines[3])
    assert "\x1b" not in outcome.out
    assert "\x07" not in outcome.out


def test_an_empty_disk_has_one_unknown_volume(tmp_path: Path, run: Run) -> None:
    path = dynamic(8 * MIB).build().write(tmp_path / "a.vhdx")
    document = document_of(run("files", path, "--json"), "files")
    assert (document["partition_table"], document["doubt"]) == (None, None)
    (volume,) = document["volumes"]
    assert (volume["partition"], volume["content"], volume["file_system"]) == (0, None, None)


def test_a_table_in_doubt_is_told(tmp_path: Path, run: Run) -> None:
    block = Block(data=mbr((0xEE, 1, 0xFFFFFFFF)).ljust(MIB, b"\0"))
    path = dynamic(8 * MIB, blocks={0: block}).build().write(tmp_path / "a.vhdx")
    document = document_of(run("files", path, "--json"), "files")
    assert "neither copy" in document["doubt"]


def test_a_damaged_file_system_keeps_nobody_from_the_others(tmp_path: Path, run: Run) -> None:
    pieces = gpt(40 * MIB // 512, [(2048, 4095), (4096, 6143)])
    raw = blank(tmp_path / "disk.raw", 40 * MIB)
    with raw.open("r+b") as file:
        for at, data in pieces.items():
            file.seek(at * 512)
            file.write(data)
        file.seek(MIB + 1080)
        file.write(b"\x53\xef")
        file.seek(2 * MIB)
        file.write(b"XFSB")
    outcome = run("files", image_of(raw), "--json")
    assert outcome.status == 0
    document = document_of(outcome, "files")
    assert [one["content"] for one in document["volumes"]] == ["ext", "XFS"]
    for volume in document["volumes"]:
        assert volume["file_system"] is None
        assert f"at {volume['offset']}: " in volume["error"]


def test_a_chain_is_looked_through(two: Path, tmp_path: Path, run: Run) -> None:
    child = tmp_path / "child.avhdx"
    assert run("create", child, "--parent", two).status == 0
    assert run("files", child, "--json").status == 0
    shown = [json.loads(run("files", path, "--json").out)["volumes"] for path in (child, two)]
    assert shown[0] == shown[1]
    two.unlink()
    assert_failed(run("files", child), 1, "missing-parent")


def test_a_real_btrfs_of_windows_is_described(samples: Callable[[str], Path], run: Run) -> None:
    pytest.importorskip("dissect.btrfs")
    document = document_of(run("files", samples("btrfs.vhdx.gz"), "--json"), "files")
    (volume,) = document["volumes"]
    assert (document["partition_table"], volume["partition"], volume["offset"]) == ("MBR", 1, MIB)
    assert (volume["type"], volume["file_system"]["kind"]) == ("0x83", "Btrfs")


def test_a_real_swap_is_named(samples: Callable[[str], Path], run: Run) -> None:
    document = document_of(run("files", samples("swap.vhdx.gz"), "--json"), "files")
    assert [one["content"] for one in document["volumes"]] == ["swap"]
