"""Two disks are the same in whatever form, and their first difference is found to the byte."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.commands.launching import assert_failed
from tests.conftest import Files, Run
from tests.images.chain import chain, child_of
from tests.images.image import Block, Image, Layout, dynamic, fixed
from tests.images.sparse import pattern
from tests.images.structures import (
    MIB,
    NOT_PRESENT,
    TIB,
    ZERO,
)
from tests.reading_fixtures import (
    assert_same,
    contents,
    few_runs,
    opened,
    qemu_img,
)
from tests.support import assert_valid, silent
from vhdx_kaitai.copying.compare import compare
from vhdx_kaitai.copying.rawdisk import RawDisk

Maker = Callable[[Path], Path]


def representations() -> dict[str, Maker]:
    """Return ways to store one disk of 8 MiB: blocks 0 and 5 hold data, 2 holds zeros."""
    stored = {0: Block(), 2: Block(data=bytes(MIB)), 5: Block()}

    def raw(folder: Path, *, sparse: bool) -> Path:
        data = contents(dynamic(8 * MIB, blocks=stored).build().model)
        with (folder / f"raw{sparse}").open("wb") as file:
            for at in range(0, len(data), 4096):
                if sparse and not any(data[at : at + 4096]):
                    file.seek(4096, os.SEEK_CUR)
                else:
                    file.write(data[at : at + 4096])
            file.truncate()
        return folder / f"raw{sparse}"

    def child(folder: Path) -> Path:
        base = dynamic(8 * MIB, blocks={0: Block(), 1: Block()}).build()
        base.write(folder / "base.vhdx")
        blocks = {1: Block(ZERO), 5: Block()}
        image = child_of(base, "base.vhdx", tag=1, blocks=blocks)
        return image.build().write(folder / "child.vhdx")

    def vhdx(image: Image | Layout) -> Maker:
        return lambda folder: image.build().write(folder / f"{id(image)}.vhdx")

    return {
        "raw": lambda folder: raw(folder, sparse=False),
        "sparse raw": lambda folder: raw(folder, sparse=True),
        "dynamic": vhdx(dynamic(8 * MIB, blocks=stored)),
        "fixed": vhdx(fixed(8 * MIB, blocks=stored, others=Block(ZERO), gap=MIB)),
        "large sectors": vhdx(dynamic(8 * MIB, blocks=stored, logical_sector_size=4096)),
        "chain": child,
    }


def taken_as_raw(*paths: Path) -> str:
    """What people are told of those among some files that are no VHDX files."""
    raw = [path for path in paths if path.read_bytes()[:8] != b"vhdxfile"]
    return "".join(f"vhdx-kaitai: {path}: no VHDX file, taken as a raw image\n" for path in raw)


@pytest.mark.parametrize("one", representations())
@pytest.mark.parametrize("two", representations())
def test_one_disk_in_two_forms_is_the_same(one: str, two: str, tmp_path: Path, run: Run) -> None:
    paths = [representations()[name](tmp_path) for name in (one, two)]
    assert run("compare", *paths) == (0, "same\n", taken_as_raw(*paths))
    outcome = run("compare", "--json", *paths)
    assert outcome.status == 0
    document = json.loads(outcome.out)
    assert_valid(document, "compare")
    assert document == {
        "schema_version": 1,
        "tool": {"name": "vhdx-kaitai", "version": vhdx_kaitai.__version__},
        "path": str(paths[0]),
        "other": str(paths[1]),
        "same": True,
        "offset": None,
        "reason": None,
        "assumed": [],
    }


PLACES = [0, 1, 511, 4096, MIB - 1, MIB, 2 * MIB + 17, 3 * MIB, 5 * MIB + 777, 8 * MIB - 1]


@pytest.mark.parametrize("at", PLACES)
@pytest.mark.parametrize(
    ("other", "swapped"), [("dynamic", False), ("sparse raw", False), ("chain", True)]
)
def test_the_first_difference_is_found_to_the_byte(
    other: str, swapped: bool, at: int, tmp_path: Path, run: Run
) -> None:
    """In data, in zeros that are stored, and in zeros that are not."""
    changed = representations()["sparse raw"](tmp_path).rename(tmp_path / "changed")
    path = representations()[other](tmp_path)
    with changed.open("r+b") as file:
        for place in (at, *(later for later in PLACES if later > at)):
            file.seek(place)
            (byte,) = file.read(1)
            file.seek(place)
            file.write(bytes([byte ^ 0x40]))
            if place == at:
                old, new = f"{byte:#04x}", f"{byte ^ 0x40:#04x}"
    paths = (changed, path) if swapped else (path, changed)
    outcome = run("compare", *paths)
    assert outcome.status == 1
    assert f"{at:#x}" in outcome.out
    assert outcome.out.count("\n") == 1
    assert outcome.err == taken_as_raw(*paths)
    outcome = run("compare", "--json", *paths)
    assert outcome.status == 1
    document = json.loads(outcome.out)
    assert_valid(document, "compare")
    assert (document["same"], document["offset"]) == (False, at)
    assert document["reason"] == (f"{new} against {old}" if swapped else f"{old} against {new}")


@pytest.mark.parametrize("by", [1, 512, 3 * MIB])
@pytest.mark.parametrize("grows", [False, True])
@pytest.mark.parametrize("differs", [False, True])
def test_disks_of_different_sizes_differ_where_the_smaller_one_ends(
    differs: bool, grows: bool, by: int, tmp_path: Path, run: Run
) -> None:
    """Unless there is a difference before."""
    raw = representations()["sparse raw"](tmp_path)
    os.truncate(raw, 8 * MIB + (by if grows else -by))
    if differs:
        with raw.open("r+b") as file:
            file.seek(4 * MIB + 5)
            file.write(b"x")
    outcome = run("compare", "--json", raw, representations()["dynamic"](tmp_path))
    assert outcome.status == 1
    document = json.loads(outcome.out)
    assert_valid(document, "compare")
    assert document["offset"] == (4 * MIB + 5 if differs else min(8 * MIB, raw.stat().st_size))
    assert ("size" in document["reason"]) != differs


def test_an_empty_raw_file_is_a_disk_of_no_size(tmp_path: Path, run: Run) -> None:
    (tmp_path / "empty").touch()
    assert run("compare", tmp_path / "empty", tmp_path / "empty").status == 0
    path = representations()["dynamic"](tmp_path)
    document = json.loads(run("compare", "--json", tmp_path / "empty", path).out)
    assert (document["same"], document["offset"]) == (False, 0)


def test_what_is_known_to_be_something_else_is_not_taken_as_raw(tmp_path: Path, run: Run) -> None:
    """Unless that is wanted: disks may begin with anything."""
    packed = tmp_path / "packed.vhdx"
    packed.write_bytes(gzip.compress(b"x" * MIB))
    disk = representations()["dynamic"](tmp_path)
    for paths in ((packed, disk), (disk, packed), (packed, packed)):
        outcome = run("compare", *paths)
        assert_failed(outcome, 63, f"{packed}: ", "not a VHDX file: it is compressed with gzip (`")
        outcome = run("compare", "--json", *paths)
        assert outcome.status == 63
        assert "it is compressed with gzip" in json.loads(outcome.out)["error"]["message"]
    outcome = run("compare", "--raw", packed, packed)
    assert outcome == (0, "same\n", taken_as_raw(packed, packed))


@pytest.mark.parametrize("start", [bytes(512), b"\xfd7zXZ\0"], ids=["zeros", "as of xz"])
def test_an_image_whose_start_was_overwritten_is_no_raw_image(
    start: bytes, tmp_path: Path, run: Run
) -> None:
    disk = representations()["dynamic"](tmp_path)
    overwritten = tmp_path / "overwritten.vhdx"
    overwritten.write_bytes(start + disk.read_bytes()[len(start) :])
    for options in ([], ["--raw"]):
        outcome = run("compare", *options, overwritten, disk)
        assert outcome.out == ""
        assert_failed(outcome, 2, f"{overwritten}: ", "it was overwritten", "--assume-vhdx")
    outcome = run("compare", "--assume-vhdx", overwritten, disk)
    assert outcome[:2] == (0, "same\n")


def test_a_raw_disk_may_have_a_partition_table(tmp_path: Path, run: Run) -> None:
    raw = tmp_path / "raw"
    raw.write_bytes(bytes(512) + b"EFI PART".ljust(MIB, b"\0"))
    assert run("compare", raw, raw).status == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_not_waited_for(files: Files, tmp_path: Path, run: Run) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert_failed(run("compare", files.good("odd-sectors"), pipe), 4, str(pipe))
    assert_failed(run("compare", pipe, files.good("odd-sectors")), 4, str(pipe))


def test_holes_are_compared_without_being_read(tmp_path: Path, run: Run) -> None:
    """10 TiB on either side, in one case against a raw file that is one hole."""
    blocks = {5: Block(), 10 * TIB // MIB // 2: Block()}
    one = dynamic(10 * TIB, blocks=blocks).build().write(tmp_path / "one.vhdx")
    two = fixed(10 * TIB, block_size=32 * MIB, others=Block(NOT_PRESENT)).layout()
    two = two.build().write(tmp_path / "two.vhdx")  # type: ignore[assignment]
    raw = tmp_path / "raw"
    raw.touch()
    os.truncate(raw, 10 * TIB)
    assert run("compare", two, raw).status == 0
    outcome = run("compare", "--json", one, raw)
    assert json.loads(outcome.out)["offset"] == 5 * MIB


@pytest.mark.parametrize("by", [1, 2, 511])
def test_a_raw_file_may_end_inside_a_sector_after_all_data(by: int, tmp_path: Path) -> None:
    """Zeros that are written in it have to be read, up to its last byte."""
    path = dynamic(4 * MIB, blocks={0: Block()}).build().write(tmp_path / "image.vhdx")
    raw = tmp_path / "raw"
    raw.write_bytes(pattern(1, 0, MIB) + bytes(by))
    other = RawDisk(str(raw))
    with vhdx_kaitai.open(path) as disk, contextlib.closing(other):
        found = compare(disk, other, silent)
    assert found is not None
    assert found.offset == MIB + by
    assert "sizes" in found.reason


@pytest.mark.parametrize("side", [0, 1])
def test_what_keeps_two_disks_from_being_compared_has_its_status(
    side: int, files: Files, tmp_path: Path, run: Run
) -> None:
    good_one = files.good("dynamic-plain")
    made = chain(2, blocks=few_runs).write(tmp_path)
    (tmp_path / "base.vhdx").unlink()
    for other, status, part in (
        (tmp_path / "none", 4, "none"),
        (tmp_path, 4, str(tmp_path)),
        (files.damaged("version-2"), 2, "HDR-"),
        (files.damaged("bat-state-4"), 2, "BAT-03"),
        (made.path, 4, "base.vhdx"),  # 1 says that they differ
    ):
        pair = (good_one, other) if side else (other, good_one)
        if other == files.damaged("bat-state-4"):
            pair = (other, other)
        assert_failed(run("compare", *pair), status, part)
        outcome = run("compare", "--json", *pair)
        assert outcome.status == status
        document = json.loads(outcome.out)
        assert_valid(document, "error")
        assert document["path"] == str(other)


def test_of_two_disks_the_one_that_lacks_its_parent_is_named(
    files: Files, tmp_path: Path, run: Run
) -> None:
    made = chain(2, blocks=lambda *_: {}).write(tmp_path)
    outcome = run("compare", "--json", "--no-parent", files.good("fixed-plain"), made.path)
    assert outcome.status == 4
    assert json.loads(outcome.out)["path"] == str(made.path)


def test_copies_of_a_disk_compare_as_the_same_after_a_round_trip(tmp_path: Path, run: Run) -> None:
    """VHDX to raw with this package, raw to VHDX with qemu-img, and compared with either."""
    built = dynamic(9 * MIB + 512, blocks={0: Block(), 9: Block(), 4: Block(ZERO)}).build()
    path = built.write(tmp_path / "one.vhdx")
    raw, back = tmp_path / "raw", tmp_path / "two.vhdx"
    assert run("convert", path, raw).status == 0
    shutil.copy(raw, tmp_path / "copy")
    qemu_img("convert", "-f", "raw", "-O", "vhdx", tmp_path / "copy", back)
    assert run("compare", path, raw).status == 0
    with opened(built) as disk, vhdx_kaitai.open(back) as other:
        assert_same(other.pread(disk.size, 0), contents(built.model))
