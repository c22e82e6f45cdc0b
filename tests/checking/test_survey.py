"""The look at the whole BAT: plainly and in bulk alike."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.checking.judging import (
    Table,
    assert_both_ways_agree,
    image_of,
    tables,
    without_numpy,
)
from tests.images.image import Layout, dynamic
from tests.images.structures import (
    FULLY_PRESENT,
    GIB,
    MIB,
    PARTIALLY_PRESENT,
    TIB,
)
from tests.reading_fixtures import measured_memory
from tests.support import SparseSource
from vhdx_kaitai.checking.chain import check


@given(tables(), st.sampled_from((1, 20, 1000)))
def test_both_ways_find_the_same(table: Table, batch: int) -> None:
    assert_both_ways_agree(table.layout, batch)


def test_a_partial_block_among_whole_ones_needs_its_sector_bitmap() -> None:
    """Among blocks that are all stored and follow each other, too."""
    layout = image_of(4, MIB, 20, has_parent=True)
    for block, state in enumerate((6, 7, 6, 6)):
        layout.set_entry(block, state, (10 + block) * MIB)
    judgement = assert_both_ways_agree(layout, 1000)
    assert judgement.needy_chunks == {0}
    assert {rule for rule, *_ in judgement.findings} == {"BAT-07"}


def test_what_stands_after_the_last_entry_is_no_block() -> None:
    """Nor is it taken for one where the last chunk is a part of one."""
    layout = image_of(40, 256 * MIB, 20)
    index = layout.image.geometry.entry_count
    for after in range(3):
        layout.bat[index + after] = FULLY_PRESENT | (10 + after) * MIB
    judgement = assert_both_ways_agree(layout)
    assert judgement.findings == Counter()
    assert judgement.counts.get(FULLY_PRESENT) is None


def test_only_a_child_has_the_last_sector_bitmap() -> None:
    """What stands where it would be is after the BAT, whatever it looks like."""
    layout = image_of(4, MIB, 20)
    index = layout.image.geometry.bitmap_index(0)
    assert index >= layout.image.geometry.entry_count
    layout.bat[index] = 6 | 10 * MIB
    judgement = assert_both_ways_agree(layout)
    assert judgement.findings == Counter()
    assert judgement.bitmaps == {}


@pytest.mark.parametrize("moved", [1, 5, -1])
def test_a_chunk_that_lies_elsewhere_is_seen_among_chunks_in_order(moved: int) -> None:
    """Its blocks follow each other as those before and after it do, but not these."""
    layout = image_of(6 * 16, 256 * MIB, 200 * 256, has_parent=False)
    for block in range(6 * 16):
        place = 10 + block + (moved if block // 16 == 1 else 0)
        layout.set_entry(block, FULLY_PRESENT, place * 256 * MIB)
    assert {rule for rule, *_ in assert_both_ways_agree(layout, 1000).findings} == {"BAT-08"}


def large(*, has_parent: bool) -> Layout:
    """Return an image whose BAT is worth numpy by its own size: 147 chunks of 4096 blocks."""
    return image_of(600_000, MIB, 64, has_parent=has_parent)


@pytest.mark.parametrize("chunk", [0, 1, 14, 15, 16, 31, 32, 145, 146])
def test_every_sector_bitmap_of_a_large_disk_is_seen(chunk: int) -> None:
    layout = large(has_parent=True)
    layout.set_entry(chunk * 4096, PARTIALLY_PRESENT, 20 * MIB)
    index = layout.image.geometry.bitmap_index(chunk)
    layout.bat[index] = 6 | 21 * MIB
    assert check(SparseSource(layout.build().file)).verdict == "clean"
    del layout.bat[index]
    report = check(SparseSource(layout.build().file))
    assert {f.rule for f in report.findings if f.level == "error"} == {"BAT-07"}


@pytest.mark.parametrize("chunk", [0, 1, 14, 15, 16, 31, 32, 145])
def test_a_sector_bitmap_of_a_large_dynamic_disk_is_seen(chunk: int) -> None:
    layout = large(has_parent=False)
    layout.bat[layout.image.geometry.bitmap_index(chunk)] = 6 | 20 * MIB
    report = check(SparseSource(layout.build().file))
    assert {f.rule for f in report.findings} == {"BAT-06"}


def test_what_stands_between_holes_of_a_bat_is_seen(tmp_path: Path) -> None:
    """Entries in a hole of the file are not read; those beside it are."""
    layout = large(has_parent=False)
    blocks = [0, 1000, 70_000, 131_071, 131_072, 200_000, 599_999]
    for block in blocks:
        layout.set_entry(block, 4)
    report = check(layout.build().write(tmp_path / "holes.vhdx"))
    found = [int(finding.where.split()[4]) for finding in report.findings]
    assert found == blocks


_CHILD = """
    import json, resource, sys
    from vhdx_kaitai.checking.chain import check
    import numpy

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    before = peak()
    report = check(sys.argv[1])
    rules = [finding.rule for finding in report.findings]
    print(json.dumps([report.verdict, rules, report.more, peak() - before]))
"""


def write_mapped(path: Path, size: int, order: str) -> None:
    """Write a sparse image of a disk that is stored throughout, its BAT filled with numpy."""
    layout = dynamic(size).layout()
    geometry = layout.image.geometry
    blocks = numpy.arange(geometry.payload_blocks, dtype=numpy.uint64)
    start = layout.pack().length
    layout.file_length = start + size
    layout.build().write(path)
    places = blocks.copy()
    if order == "shuffled":
        numpy.random.default_rng(7).shuffle(places)
    if order == "one shared place":
        places[-1] = places[0]
    entries = numpy.zeros(geometry.entry_count, "<u8")
    entries[blocks + blocks // numpy.uint64(geometry.chunk_ratio)] = (
        numpy.uint64(start) + places * numpy.uint64(MIB) + numpy.uint64(FULLY_PRESENT)
    )
    with path.open("r+b") as file:
        file.seek(layout.bat_offset)
        entries.tofile(file)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "order", "verdict", "rules"),
    [
        (8 * TIB, "in order", "clean", []),
        (8 * TIB, "shuffled", "clean", []),
        (8 * TIB, "one shared place", "corrupt", ["BAT-08"]),
        (490_000 * MIB, "shuffled", "clean", []),
        (100_000 * MIB, "one shared place", "corrupt", ["BAT-08"]),
    ],
)
def test_memory_stays_small_whatever_the_size_of_the_bat(
    size: int, order: str, verdict: str, rules: list[str], tmp_path: Path
) -> None:
    """Of 8 TiB in blocks of 1 MiB there are 8 million entries, a BAT of 65 MiB."""
    path = tmp_path / "mapped.vhdx"
    try:
        write_mapped(path, size, order)
    except OSError as error:
        pytest.skip(f"no file of {size} bytes here: {error}")
    argv = [sys.executable, "-c", textwrap.dedent(_CHILD), str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    path.unlink()
    found = json.loads(done.stdout)
    assert found[:3] == [verdict, rules, {}]
    assert found[3] < 40 * MIB


@pytest.mark.parametrize("order", ["in order", "shuffled"])
def test_a_small_image_is_checked_without_numpy(order: str, tmp_path: Path) -> None:
    path = tmp_path / "mapped.vhdx"
    write_mapped(path, 4 * GIB, order)
    code = "import sys, vhdx_kaitai as v; v.check(sys.argv[1]); sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 0


# -- without numpy --------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_large_bat_is_looked_at_without_numpy_too() -> None:
    """With blocks that overlap each other, and others that are past the end of the file."""
    layout = large(has_parent=True)
    for block in range(0, 600_000, 1000):
        layout.set_entry(block, FULLY_PRESENT, (20 + block // 1000) * MIB)
    layout.set_entry(599_001, FULLY_PRESENT, 20 * MIB)
    layout.set_entry(300_001, PARTIALLY_PRESENT, 621 * MIB)
    layout.file_length = 620 * MIB
    with_numpy = check(SparseSource(layout.build().file))
    with without_numpy():
        assert check(SparseSource(layout.build().file)) == with_numpy
    rules = {f.rule for f in with_numpy.findings if f.level == "error"}
    assert rules == {"BAT-07", "BAT-08", "BAT-10"}


@pytest.mark.slow
def test_memory_stays_small_without_numpy_as_well(tmp_path: Path) -> None:
    """Of 256 GiB in blocks of 1 MiB there are 262144 entries: no object is kept of each."""
    path = tmp_path / "mapped.vhdx"
    try:
        write_mapped(path, 256 * GIB, "one shared place")
    except OSError as error:
        pytest.skip(f"no file of that length here: {error}")
    with without_numpy(), measured_memory() as peak:
        report = check(path)
    assert [finding.rule for finding in report.findings] == ["BAT-08"]
    assert peak.bytes < 5 * MIB
