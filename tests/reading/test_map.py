"""The map of a disk is the same in either way, and numpy is imported where it pays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.images.chain import GOOD_CHAINS
from tests.images.image import Block, dynamic
from tests.images.structures import MIB
from tests.reading_fixtures import (
    Row,
    disk_extents,
    good_chain,
    model_extents,
    opened,
    opened_chain,
)
from vhdx_kaitai import fast
from vhdx_kaitai.reading import extents
from vhdx_kaitai.reading import map as mapping
from vhdx_kaitai.reading.map import Map


def rows_of(found: Map) -> list[Row]:
    """Return the extents of a map, one by one."""
    return [
        (start, length, state, depth, place, kind)
        for some in found.columns()
        for start, length, (state, depth, kind, _), place in some.rows()
    ]


@pytest.fixture(
    params=["one by one", "in bulk", "without numpy", "few of many blocks", "many of few"]
)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way in which a map is made, or which it is begun in."""
    name: str = request.param
    if name in ("in bulk", "without numpy"):
        monkeypatch.setattr(mapping, "WORTHWHILE_BLOCKS", 0)
        monkeypatch.setattr(fast, "has_numpy", lambda: name == "in bulk")
        monkeypatch.setattr(extents, "_EXTENTS_AT_ONCE", 7)
    elif name != "one by one":
        monkeypatch.setattr(mapping, "WORTHWHILE_EXTENTS", 8 if name.startswith("few") else 64)
    return name


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", GOOD_CHAINS)
def test_a_map_shows_the_extents_of_the_model(name: str) -> None:
    made = good_chain(name)
    with opened_chain(made) as disk:
        for offset, length in ((0, disk.size), (512, disk.size - 1024), (disk.size, 0)):
            found = Map(disk, offset, length)
            expected = model_extents(made.model, offset, length) if length else []
            assert rows_of(found) == expected
            assert found.count() == len(expected)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("bad", [0, 5, 99])
def test_what_is_lost_is_shown_and_counted_as_well_as_the_rest(bad: int) -> None:
    layout = dynamic(100 * MIB, blocks={number: Block() for number in range(0, 100, 2)}).layout()
    layout.set_entry(bad, 4)
    with opened(layout.build()) as disk:
        found = Map(disk, 0, disk.size)
        assert rows_of(found) == disk_extents(disk)
        assert found.count() == 100
        whats = {what for some in found.columns() for what in some.what if what[2] == "lost"}
        assert whats == {("reserved", 0, "lost", "BAT-03")}


@pytest.mark.parametrize(("blocks", "is_imported"), [(2000, False), (500_000, True)])
def test_numpy_is_imported_for_large_disks_alone(
    blocks: int, is_imported: bool, tmp_path: Path
) -> None:
    image = dynamic(blocks * MIB, blocks={number: Block(data=b"") for number in range(0, 40, 2)})
    path = image.build().write(tmp_path / "image.vhdx")
    program = (
        "import sys, vhdx_kaitai\n"
        "from vhdx_kaitai.reading.map import Map\n"
        "with vhdx_kaitai.open(sys.argv[1]) as disk:\n"
        "    assert Map(disk, 0, disk.size).count() == 40\n"
        "print('numpy' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{is_imported}\n"


def test_a_disk_with_a_great_many_extents_is_given_up_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When an eighth of as many as pay for numpy is less than an eighth of the range."""
    monkeypatch.setattr(mapping, "WORTHWHILE_EXTENTS", 80)
    asked: list[int] = []
    image = dynamic(200 * MIB, blocks={number: Block(data=b"") for number in range(0, 200, 2)})
    with vhdx_kaitai.open(image.build().write(tmp_path / "image.vhdx")) as disk:
        extents = disk.extents

        def counted(offset: int, length: int) -> object:
            for extent in extents(offset, length):
                asked.append(extent.offset)
                yield extent

        monkeypatch.setattr(disk, "extents", counted)
        assert mapping._few_extents(disk, 0, disk.size) is None
        assert len(asked) == 10
