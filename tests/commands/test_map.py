"""`vhdx-kaitai map`: what the disk is made of, as the model says and as qemu-img would."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

import vhdx_kaitai
from tests.commands.launching import assert_failed, assert_maps
from tests.conftest import Files, Run
from tests.images.chain import Chain, child_of
from tests.images.damage import DAMAGES
from tests.images.goods import GOODS
from tests.images.image import Block, Layout, dynamic
from tests.images.model import Model
from tests.images.structures import (
    FULLY_PRESENT,
    GIB,
    MIB,
    NOT_PRESENT,
    TIB,
    UNDEFINED,
    UNMAPPED,
    ZERO,
)
from tests.reading_fixtures import (
    good_chain,
    model_extents,
    qemu_img,
    rows_in_bulk,
    run_program,
)
from tests.support import assert_valid, good
from vhdx_kaitai.reading import map as mapping
from vhdx_kaitai.reading import runs


@pytest.mark.parametrize("name", [name for name in GOODS if name != "largest-disk"])
def test_a_map_shows_the_extents_of_the_model(name: str, files: Files, run: Run) -> None:
    outcome = run("map", "--json", "--no-parent", files.good(name))
    assert_maps(outcome, model_extents(good(name).model))


@pytest.mark.parametrize("name", ["three-levels", "child-larger-than-parent", "dirty-parent"])
def test_a_map_of_a_chain_shows_the_extents_of_the_model(
    name: str, tmp_path: Path, run: Run
) -> None:
    made = good_chain(name).write(tmp_path)
    outcome = run("map", "--json", made.path)
    assert_maps(outcome, model_extents(made.model))


@pytest.mark.parametrize(
    ("options", "offset", "length"),
    [
        (["--offset", "512"], 512, None),
        (["--offset", "1M", "--length", "1"], MIB, 1),
        (["--offset", "1000", "--length", "2M"], 1000, 2 * MIB),
        (["--length", "0"], 0, 0),
        (["--offset", "8M"], 8 * MIB, 0),
    ],
)
def test_a_map_may_be_of_a_range(
    options: list[str], offset: int, length: int | None, files: Files, run: Run
) -> None:
    outcome = run("map", "--json", *options, files.good("dynamic-plain"))
    assert_maps(outcome, model_extents(good("dynamic-plain").model, offset, length))


def test_the_text_of_a_map_has_a_line_for_each_extent(files: Files, run: Run) -> None:
    outcome = run("map", files.good("dynamic-plain"))
    assert (outcome.status, outcome.err) == (0, "")
    head, *lines = outcome.out.splitlines()
    assert head.split() == ["start", "length", "depth", "file", "offset", "state"]
    shown = []
    for line in lines:
        start, length, depth, *rest = line.split()
        place = int(rest.pop(0), 0) if rest[0].startswith("0x") else None
        shown.append((int(start, 0), int(length, 0), rest[0], int(depth), place))
    assert shown == [row[:5] for row in model_extents(good("dynamic-plain").model)]


@pytest.mark.parametrize("name", ["dynamic-plain", "differencing-plain", "fixed-past-one-chunk"])
def test_a_map_counts_its_extents(name: str, files: Files, run: Run) -> None:
    outcome = run("map", "--count", "--no-parent", files.good(name))
    assert outcome == (0, f"{len(model_extents(good(name).model))}\n", "")


@pytest.mark.parametrize("name", ["bat-state-4", "bat-block-past-the-end", "bat-reserved-bit-low"])
def test_a_map_of_a_damaged_disk_says_what_is_lost(name: str, files: Files, run: Run) -> None:
    rule = DAMAGES[name].main_rule
    outcome = run("map", files.damaged(name))
    assert_failed(outcome, 3, rule, "lost")
    assert sum(f"(lost: {rule})" in line for line in outcome.out.splitlines()) == 1
    outcome = run("map", "--count", files.damaged(name))
    assert_failed(outcome, 3, rule)
    count = int(outcome.out)
    outcome = run("map", "--json", files.damaged(name))
    assert_failed(outcome, 3, rule)
    document = json.loads(outcome.out)
    assert_valid(document, "map")
    assert len(document) == count
    assert [entry["lost"] for entry in document if "lost" in entry] == [rule]


def test_a_map_has_the_fields_of_qemu_and_they_mean_the_same(tmp_path: Path, run: Run) -> None:
    """The same chain as qcow2, of which qemu-img tells more than of VHDX (all of it is data)."""
    base, top = tmp_path / "base.qcow2", tmp_path / "top.qcow2"
    options = ("-q", "-f", "qcow2", "-o", "cluster_size=1M")
    qemu_img("create", *options, base, "12M")
    run_program("qemu-io", "-c", "write 1M 1M", "-c", "write 2M 1M", "-c", "write -z 4M 2M", base)
    qemu_img("create", *options, "-F", "qcow2", "-b", base, top)
    run_program("qemu-io", "-c", "write 2M 1M", "-c", "write -z 7M 1M", top)
    theirs = json.loads(qemu_img("map", "--output=json", top))

    blocks = {1: Block(), 2: Block(), 4: Block(ZERO), 5: Block(ZERO)}
    parent = dynamic(12 * MIB, blocks=blocks).build()
    parent.write(tmp_path / "base.vhdx")
    child = child_of(parent, "base.vhdx", blocks={2: Block(), 7: Block(ZERO)}).build()
    path = child.write(tmp_path / "child.vhdx")
    ours = json.loads(run("map", "--json", path).out)

    for entry in ours:
        assert entry.pop("state") in ("not_present", "zero", "fully_present")
    for entry in (*ours, *theirs):  # places differ, but not in whether there is one
        entry["offset"] = "offset" in entry
        entry.pop("compressed", None)  # later versions of qemu-img say so
    assert ours == theirs


@pytest.mark.parametrize("bad", [1, 300, 9000, 70_000])
@pytest.mark.parametrize("in_bulk", [False, True])
def test_the_text_of_a_map_has_all_that_is_not_damaged(
    in_bulk: bool, bad: int, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every second block is of zeros; how many are looked up at once does not show."""
    monkeypatch.setattr(mapping, "WORTHWHILE_BLOCKS", 0 if in_bulk else 1 << 30)
    monkeypatch.setattr(runs, "_MOST_BLOCKS", 4096)
    blocks = {number: Block(ZERO) for number in range(0, bad, 2)}
    layout = dynamic(80_000 * MIB, blocks=blocks).layout()
    layout.set_entry(bad, 4)
    path = layout.build().write(tmp_path / "image.vhdx")
    outcome = run("map", path)
    assert_failed(outcome, 3, "BAT-03")
    *lines, last = outcome.out.splitlines()[1:]
    assert [int(line.split()[0], 0) for line in lines] == [n * MIB for n in range(bad + 1)]
    assert {int(line.split()[1], 0) for line in lines} == {MIB}
    assert [line.split()[3:] for line in lines[bad:]] == [["reserved", "(lost:", "BAT-03)"]]
    assert int(last.split()[1], 0) == (80_000 - bad - 1) * MIB
    assert run("map", "--count", path).out == f"{bad + 2}\n"


@pytest.mark.parametrize("in_bulk", [False, True])
@pytest.mark.parametrize("sizes", [(4, 8), (4, 8, 12), (4, 8, 8), (8, 4, 12), (4, 6, 12, 12)])
def test_what_is_past_the_end_of_a_parent_has_the_depth_that_qemu_gives_it(
    sizes: tuple[int, ...],
    in_bulk: bool,
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same chain as qcow2; sizes in MiB, the base first."""
    if in_bulk:
        monkeypatch.setattr(mapping, "WORTHWHILE_BLOCKS", 0)
    options = ("create", "-q", "-f", "qcow2")
    made = Chain([], [])
    for number, size in enumerate(sizes):
        backing = ("-F", "qcow2", "-b", tmp_path / f"{number - 1}.qcow2") if number else ()
        qemu_img(*options, *backing, tmp_path / f"{number}.qcow2", f"{size}M")
        if number:
            image = child_of(made.images[-1], made.names[-1], blocks={})
            image = image.but(virtual_disk_size=size * MIB)
        else:
            image = dynamic(size * MIB, blocks={})
        made.images.append(image.build())
        made.names.append(f"{number}.vhdx")
    theirs = json.loads(qemu_img("map", "--output=json", tmp_path / f"{number}.qcow2"))
    ours = json.loads(run("map", "--json", made.write(tmp_path).path).out)
    shown = ("start", "length", "depth", "present", "zero", "data")
    assert [[e[k] for k in shown] for e in ours] == [[e[k] for k in shown] for e in theirs]


# -- large disks, all at once ----------------------------------------------------------------------


def large_disk(size: int = 1 * TIB, **fields: Any) -> Layout:
    """Return a disk large enough to be mapped in bulk, with blocks stored here and there."""
    total = -(-size // MIB)
    chance = random.Random(8)
    layout = dynamic(size, blocks={}, **fields).layout()
    image, at, number = layout.image, 16 * MIB, 0  # after the BAT
    while number < total:
        state = chance.choice((FULLY_PRESENT, ZERO, UNMAPPED, UNDEFINED, FULLY_PRESENT))
        for number in range(number, min(total, number + chance.choice((1, 1, 2, 9)))):  # noqa: B020
            place = at if state == FULLY_PRESENT else None
            image.blocks[number] = Block(state, place, data=b"")
            if place is not None:
                layout.payload[number] = place
                at += MIB
            layout.set_entry(number, state, place or 0)
        at += chance.choice((0, 0, MIB))
        number += chance.choice((1, 5, 4000, 9000))
    layout.file_length = at + MIB
    return layout


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Model]:
    """A disk of 1 TiB less a sector in blocks of 1 MiB, and its model."""
    built = large_disk(TIB - 512).build()
    path = built.write(tmp_path_factory.mktemp("large") / "large.vhdx")
    assert built.model.geometry.payload_blocks >= mapping.WORTHWHILE_BLOCKS
    return path, built.model


def test_a_large_disk_is_mapped_like_a_small_one(large: tuple[Path, Model], run: Run) -> None:
    path, model = large
    expected = model_extents(model)
    assert len(expected) > 500
    assert_maps(run("map", "--json", path), expected)
    assert run("map", "--count", path) == (0, f"{len(expected)}\n", "")
    with vhdx_kaitai.open(path) as disk:
        assert rows_in_bulk(disk, 0, disk.size) == expected


def bulk_ranges() -> list[tuple[int, int]]:
    chance = random.Random(2)
    ranges = [(0, MIB), (0, 1), (4096 * MIB - 1, 2), (TIB - 1024, 512), (4095 * MIB, 3 * MIB)]
    ranges += [(0, 0), (5 * MIB, 0), (5 * MIB + 7, 0), (TIB - 512, 0)]
    for _ in range(15):
        offset = chance.randrange(TIB - 512)
        ranges.append((offset, chance.randrange(min(TIB - 512 - offset, 40 * GIB))))
    return ranges


@pytest.mark.parametrize(("offset", "length"), bulk_ranges())
def test_a_range_of_a_large_disk_is_mapped_like_one_of_a_small_one(
    offset: int, length: int, large: tuple[Path, Model], run: Run
) -> None:
    path, model = large
    expected = model_extents(model, offset, length)
    options = ("--offset", offset, "--length", length)
    assert_maps(run("map", "--json", path, *options), expected)
    assert run("map", "--count", path, *options) == (0, f"{len(expected)}\n", "")


@pytest.mark.parametrize("number", [0, 1, 4095, 4096, 65535, 65536, 70000, 600_000])
@pytest.mark.parametrize("entry", ["state 4", "reserved bits", "past the end", "offset 0"])
def test_damage_anywhere_in_a_large_disk_is_found(
    entry: str, number: int, tmp_path: Path, run: Run
) -> None:
    layout = dynamic(700_000 * MIB, blocks={}).layout()
    layout.file_length = 64 * MIB
    values: dict[str, tuple[int, int, int, str]] = {
        "state 4": (4, 0, 0, "BAT-03"),
        "reserved bits": (NOT_PRESENT, 0, 1, "BAT-02"),
        "past the end": (FULLY_PRESENT, 64 * MIB, 0, "BAT-10"),
        "offset 0": (FULLY_PRESENT, 0, 0, "BAT-09"),
    }
    state, place, reserved, rule = values[entry]
    layout.set_entry(number, state, place, reserved)
    path = layout.build().write(tmp_path / "large.vhdx")
    outcome = run("map", "--json", path)
    assert_failed(outcome, 3, rule)
    entries = json.loads(outcome.out)
    assert_valid(entries, "map")
    lost = [entry for entry in entries if "lost" in entry]
    assert [(e["start"], e["length"], e["lost"]) for e in lost] == [(number * MIB, MIB, rule)]
    assert run("map", "--count", path).out == f"{len(entries)}\n"
    if number:
        outcome = run("map", "--json", path, "--length", number * MIB)
        assert_maps(outcome, [(0, number * MIB, "not_present", 0, None, "zero")])


def test_the_last_block_of_a_large_disk_may_be_cut_where_the_disk_ends(
    tmp_path: Path, run: Run
) -> None:
    size = 600_000 * MIB + 512
    layout = dynamic(size, blocks={600_000: Block(FULLY_PRESENT, 20 * MIB)}).layout()
    layout.file_length = 20 * MIB + 512
    path = layout.build().write(tmp_path / "large.vhdx")
    assert_maps(run("map", "--json", path), model_extents(layout.build().model))


def test_a_map_of_many_sectors_is_made_in_bulk(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = good_chain("three-levels").write(tmp_path)
    expected = model_extents(made.model)
    monkeypatch.setattr(mapping, "WORTHWHILE_EXTENTS", len(expected))
    monkeypatch.setattr(runs, "_MOST_SECTORS", 512)
    assert_maps(run("map", "--json", made.path), expected)
    assert run("map", "--count", made.path) == (0, f"{len(expected)}\n", "")


@pytest.mark.slow
def test_the_largest_disk_is_mapped(files: Files, run: Run) -> None:
    outcome = run("map", "--json", files.good("largest-disk"))
    assert_maps(outcome, model_extents(good("largest-disk").model))
