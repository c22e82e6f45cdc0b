"""The whole BAT, judged: plainly and in bulk alike, and overlaps of every kind."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.images.damage import UNKNOWN_REGION
from tests.images.dirty import log_only
from tests.images.image import Block, Layout, Region, differencing, dynamic, fixed, partial
from tests.images.log import Data, Entry, Zero
from tests.images.structures import (
    FULLY_PRESENT,
    GIB,
    MIB,
    NOT_PRESENT,
    PARTIALLY_PRESENT,
    TIB,
    UNDEFINED,
    UNMAPPED,
    VIRTUAL_DISK_SIZE,
    ZERO,
)
from tests.support import SparseSource
from vhdx_kaitai.checking import blocks, crowds, tally
from vhdx_kaitai.checking import survey as looking
from vhdx_kaitai.checking.bitmaps import check_bitmap_end, check_empty_slices
from vhdx_kaitai.checking.checks import check
from vhdx_kaitai.checking.classes import Gaps, Places
from vhdx_kaitai.checking.logged import check_logged_blocks
from vhdx_kaitai.checking.losses import Losses, losses
from vhdx_kaitai.checking.overlaps import check_overlaps
from vhdx_kaitai.checking.shift import shifted_pages
from vhdx_kaitai.checking.survey import survey
from vhdx_kaitai.checking.told import Several, Told
from vhdx_kaitai.errors import Finding
from vhdx_kaitai.reading.image import Image as OpenedImage

EVERY = 10**9  # more findings of a kind than there are


class Judgement(NamedTuple):
    """All that is found by looking at a BAT, in a form that can be compared."""

    findings: Counter[tuple[str, str, str, str]]
    counts: dict[int, int]
    bitmaps: dict[int, int]
    needy_chunks: set[int]
    past: Places
    gaps: Gaps | None
    losses: Losses
    shifted: list[int]


@contextmanager
def in_bulk(batch: int = 1) -> Iterator[None]:
    """Take the way of large BATs for small ones, with so many entries at a time (or a chunk)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looking, "WORTHWHILE_ENTRIES", 0)
        patch.setattr(tally, "_BATCH", batch)
        patch.setattr(crowds, "_STEP", 2)
        yield


@contextmanager
def by_sorting(most: int) -> Iterator[None]:
    """Take the way of files that claim absurd lengths, with so many places in each pass."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tally, "_MAX_MARKS", 0)
        patch.setattr(crowds, "_MOST_SORTED", most)
        yield


def judged(layout: Layout) -> Judgement:
    image = OpenedImage(SparseSource(layout.build().file))
    found = survey(image, EVERY)
    told: list[Told] = [*blocks.check_payload_entries(image, found, EVERY)]
    told += blocks.check_sector_bitmap_entries(image, found)
    told += check_overlaps(image, found)
    told += blocks.check_allocated(image, found)
    told += blocks.check_length(image)
    told += check_bitmap_end(image, found)
    told += check_empty_slices(image, found, image.source.size, EVERY)
    told += check_logged_blocks(image, EVERY)
    findings = [one.finding if isinstance(one, Several) else one for one in told]
    return Judgement(
        Counter((f.rule, f.level, f.where, f.message) for f in findings if isinstance(f, Finding)),
        {code: sample.total for code, sample in found.payload.items()},
        found.bitmaps,
        found.needy_chunks,
        found.past,
        found.gaps,
        losses(image, found),
        shifted_pages(image, found),
    )


def assert_both_ways_agree(layout: Layout, batch: int = 1) -> Judgement:
    plain = judged(layout)
    with in_bulk(batch):
        bulky = judged(layout)
        with by_sorting(5):
            far = judged(layout)
    assert bulky == plain
    assert far._replace(gaps=None) == plain._replace(gaps=None)
    assert far.gaps in (plain.gaps, None)
    return plain


def image_of(
    blocks: int, block_size: int, megabytes: int, *, has_parent: bool = False, **fields: Any
) -> Layout:
    """Return an image without blocks in a file of so many MiB."""
    make = differencing if has_parent else dynamic
    layout = make(blocks * block_size, block_size=block_size, **fields).layout()
    layout.file_length = max(layout.pack().length, megabytes * MIB)
    return layout


# -- plainly and in bulk --------------------------------------------------------------------------

STATES = (NOT_PRESENT, UNDEFINED, ZERO, UNMAPPED, 4, 5, FULLY_PRESENT, PARTIALLY_PRESENT)
_LAST_PLACE = (1 << 44) - 1


class Table(NamedTuple):
    """An image that shows itself by what matters here."""

    layout: Layout

    def __repr__(self) -> str:
        image, length = self.layout.image, self.layout.file_length or 0
        entries = ", ".join(f"{index}: {entry:#x}" for index, entry in self.layout.bat.items())
        return (
            f"<{image.disk_type}, {image.virtual_disk_size / MIB} MiB in blocks of "
            f"{image.block_size // MIB}, file of {length / MIB} MiB, BAT at "
            f"{self.layout.bat_offset // MIB}, {len(image.regions)} regions more, {{{entries}}}>"
        )


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Draw an image whose BAT holds anything: runs, shuffled blocks, and entries of every kind."""
    block_size = draw(st.sampled_from((MIB, 2 * MIB, 32 * MIB, 256 * MIB)))
    sector_size = draw(st.sampled_from((512, 4096)))
    total = draw(st.integers(1, 70))
    has_parent = draw(st.booleans())
    regions = [Region(UNKNOWN_REGION)] if draw(st.booleans()) else []
    length = draw(st.integers(0, total * (block_size // MIB) + 8))
    layout = image_of(
        total,
        block_size,
        length,
        has_parent=has_parent,
        logical_sector_size=sector_size,
        regions=regions,
        gap=MIB * draw(st.integers(0, 2)),
    )
    if draw(st.booleans()):
        layout.image = layout.image.but(virtual_disk_size=total * block_size - 4096)
        size = layout.metadata.find(VIRTUAL_DISK_SIZE)
        size.data = layout.image.virtual_disk_size.to_bytes(8, "little")
    room = (layout.file_length or 0) // MIB
    for _ in range(draw(st.integers(0, 3))):
        _draw_run(draw, layout, room)
    places = st.integers(0, room + 1) | st.sampled_from((0, 1, room - 1, room, _LAST_PLACE))
    for _ in range(draw(st.integers(0, 12))):
        block = draw(st.integers(0, total - 1))
        reserved = draw(st.sampled_from((0, 0, 0, 1, 1 << 16)))
        place = draw(places)
        layout.set_entry(block, draw(st.sampled_from(STATES)), max(0, place) * MIB, reserved)
    geometry = layout.image.geometry
    chunks = geometry.sector_bitmap_blocks - (not has_parent)
    for _ in range(draw(st.integers(0, 4)) if chunks else 0):
        index = geometry.bitmap_index(draw(st.integers(0, chunks - 1)))
        place = max(0, draw(places))
        layout.bat[index] = draw(st.sampled_from((0, 1, 6, 6, 7))) | place * MIB
    return Table(layout)


def _draw_run(draw: st.DrawFn, layout: Layout, room: int) -> None:
    """Store some neighbouring blocks one behind the other, in order or not."""
    geometry = layout.image.geometry
    first = draw(st.integers(0, geometry.payload_blocks - 1))
    count = draw(st.integers(1, geometry.payload_blocks - first))
    start = draw(st.integers(1, room))
    step = geometry.block_size // MIB
    order = list(range(count))
    if draw(st.booleans()):
        order = draw(st.permutations(order))
    state = draw(st.sampled_from((FULLY_PRESENT, FULLY_PRESENT, UNMAPPED, PARTIALLY_PRESENT)))
    for number, at in enumerate(order):
        layout.set_entry(first + number, state, (start + at * step) * MIB)


@given(tables(), st.sampled_from((1, 20, 1000)))
def test_both_ways_find_the_same(table: Table, batch: int) -> None:
    assert_both_ways_agree(table.layout, batch)


@given(tables())
def test_a_block_that_overlaps_anything_is_named(table: Table) -> None:
    """Whatever else overlaps it, too, and only then."""
    expected = overlapping(table.layout)
    assert named_in_overlaps(judged(table.layout)) == expected
    with in_bulk():
        assert named_in_overlaps(judged(table.layout)) == expected
    with in_bulk(), by_sorting(3):
        assert named_in_overlaps(judged(table.layout)) == expected


def named_in_overlaps(judgement: Judgement) -> set[str]:
    """Return names of the blocks and sector bitmaps that are said to overlap something."""
    found = [(where, text) for _, _, where, text in judgement.findings if " overlaps " in text]
    return {name for pair in found for text in pair for name in _NAME.findall(text)}


_NAME = re.compile(r"\b(?:block|sector bitmap) [0-9]+\b")


def overlapping(layout: Layout) -> set[str]:
    """Return names of the blocks and sector bitmaps that share a MiB with anything else.

    Compares everything with everything, by the builder's description alone.
    """
    image, geometry = layout.image, layout.image.geometry
    size = layout.file_length or 0
    step = image.block_size
    taken = [(0, MIB, ""), (layout.log_offset, layout.log_offset + image.log_length, "")]
    taken += [
        (r.file_offset, r.file_offset + r.length, "") for r in layout.region_tables[0].entries
    ]
    for block in range(geometry.payload_blocks):
        entry = layout.entry(block)
        start = entry >> 20 << 20
        has_place = entry & 7 in (UNDEFINED, UNMAPPED, FULLY_PRESENT, PARTIALLY_PRESENT)
        if has_place and 0 < start < size:
            taken.append((start, start + step, f"block {block}"))
    for chunk in range(geometry.sector_bitmap_blocks):
        index = geometry.bitmap_index(chunk)
        entry = layout.bat.get(index, 0) if index < geometry.entry_count else 0
        start = entry >> 20 << 20
        if entry & 7 == 6 and 0 < start <= size - MIB:
            taken.append((start, start + MIB, f"sector bitmap {chunk}"))
    found = set()
    for number, (start, end, name) in enumerate(taken):
        for other_start, other_end, other in taken[number + 1 :]:
            if start < other_end and other_start < end:
                found |= {name, other} - {""}
    return found


# -- overlaps of every kind -----------------------------------------------------------------------


def overlaps(layout: Layout) -> set[tuple[str, str, str]]:
    """Return the overlaps, found in both ways: rule, who overlaps, and what."""
    findings = assert_both_ways_agree(layout).findings
    found = set()
    for rule, level, where, message in findings:
        if " overlaps " in message:
            assert level == "error"
            other = message.partition(" overlaps ")[2].partition(" at ")[0]
            found.add((rule, where.removeprefix("BAT entry of ").partition(" at ")[0], other))
    return found


def roomy(**fields: Any) -> Layout:
    return image_of(16, 4 * MIB, 100, regions=[Region(UNKNOWN_REGION)], **fields)


def test_blocks_that_touch_do_not_overlap() -> None:
    layout = roomy()
    for block in range(10):
        layout.set_entry(block, FULLY_PRESENT, (10 + 4 * (9 - block)) * MIB)
    assert overlaps(layout) == set()


def test_two_blocks_in_one_place() -> None:
    layout = roomy()
    layout.set_entry(7, FULLY_PRESENT, 20 * MIB)
    layout.set_entry(3, FULLY_PRESENT, 20 * MIB)
    assert overlaps(layout) == {("BAT-08", "block 7", "block 3")}


@pytest.mark.parametrize("distance", [1, 2, 3])
def test_blocks_that_overlap_partly(distance: int) -> None:
    layout = roomy()
    layout.set_entry(3, FULLY_PRESENT, 20 * MIB)
    layout.set_entry(7, FULLY_PRESENT, (20 + distance) * MIB)
    assert overlaps(layout) == {("OVL-06", "block 7", "block 3")}


@pytest.mark.parametrize("distance", [-3, 0, 3])
def test_the_cut_last_block_overlaps_with_what_the_file_has_of_it(distance: int) -> None:
    """Its rest, which the disk does not need, is not in the file."""
    layout = image_of(2, 4 * MIB, 0, gap=4 * MIB)
    layout.image = layout.image.but(virtual_disk_size=5 * MIB)
    layout.metadata.find(VIRTUAL_DISK_SIZE).data = (5 * MIB).to_bytes(8, "little")
    layout.set_entry(0, FULLY_PRESENT, 20 * MIB)
    layout.set_entry(1, FULLY_PRESENT, (20 + distance) * MIB)
    layout.file_length = 24 * MIB
    first, second = ("block 1", "block 0") if distance < 0 else ("block 0", "block 1")
    rule = "OVL-06" if distance else "BAT-08"
    assert overlaps(layout) == {(rule, second, first)}
    assert check(SparseSource(layout.build().file)).verdict == "corrupt"


@pytest.mark.parametrize("state", [UNDEFINED, UNMAPPED, FULLY_PRESENT])
def test_a_block_that_reaches_past_the_end_overlaps_with_what_the_file_has_of_it(
    state: int,
) -> None:
    layout = image_of(4, 4 * MIB, 24)
    layout.set_entry(0, FULLY_PRESENT, 20 * MIB)
    layout.set_entry(1, state, 22 * MIB)
    rule = "OVL-06" if state == FULLY_PRESENT else "OVL-09"
    assert overlaps(layout) == {(rule, "block 1", "block 0")}
    assert check(SparseSource(layout.build().file)).verdict == "corrupt"


@pytest.mark.parametrize("distance", [-3, -1, 0])
def test_a_block_over_a_region(distance: int) -> None:
    layout = roomy(bat_offset=40 * MIB)
    layout.set_entry(3, FULLY_PRESENT, (40 + distance) * MIB)
    assert overlaps(layout) == {("OVL-05", "block 3", "the BAT region")}


@pytest.mark.parametrize("distance", [-4, 1])
def test_a_block_beside_a_region(distance: int) -> None:
    layout = roomy(bat_offset=40 * MIB)
    layout.set_entry(3, FULLY_PRESENT, (40 + distance) * MIB)
    assert overlaps(layout) == set()


def test_a_block_over_an_unknown_region() -> None:
    layout = roomy()
    start = layout.region_tables[0].find(UNKNOWN_REGION).file_offset
    layout.set_entry(3, FULLY_PRESENT, start)
    ((rule, block, other),) = overlaps(layout)
    assert (rule, block) == ("OVL-08", "block 3")
    assert str(UNKNOWN_REGION) in other


def test_a_block_over_the_log() -> None:
    layout = roomy(log_offset=40 * MIB, log_length=8 * MIB)
    layout.set_entry(3, FULLY_PRESENT, 42 * MIB)
    assert overlaps(layout) == {("OVL-05", "block 3", "the log")}


@pytest.mark.parametrize("state", [UNDEFINED, UNMAPPED])
def test_a_former_block_over_another_one_and_over_the_log(state: int) -> None:
    layout = roomy(log_offset=40 * MIB, log_length=8 * MIB)
    layout.set_entry(3, FULLY_PRESENT, 20 * MIB)
    layout.set_entry(7, state, 22 * MIB)
    layout.set_entry(8, state, 42 * MIB)
    assert overlaps(layout) == {("OVL-09", "block 7", "block 3"), ("OVL-09", "block 8", "the log")}


@pytest.mark.parametrize("state", [NOT_PRESENT, ZERO])
def test_a_place_that_means_nothing_overlaps_nothing(state: int) -> None:
    layout = roomy()
    layout.set_entry(3, FULLY_PRESENT, 20 * MIB)
    layout.set_entry(7, state, 20 * MIB)
    assert overlaps(layout) == set()


def test_a_sector_bitmap_over_a_block_a_region_and_another_bitmap() -> None:
    layout = image_of(40, 256 * MIB, 2000, has_parent=True)
    geometry = layout.image.geometry
    layout.set_entry(0, FULLY_PRESENT, 500 * MIB)
    for chunk, place in enumerate((600, 600, layout.bat_offset // MIB)):
        layout.bat[geometry.bitmap_index(chunk)] = 6 | place * MIB
    rules = Counter(rule for rule, *_ in overlaps(layout))
    assert rules["OVL-05"] == 1
    assert rules["OVL-06"] + rules["BAT-08"] >= 2


def test_sector_bitmaps_without_a_place_overlap_nothing() -> None:
    """That they have none is said already."""
    layout = image_of(40, 256 * MIB, 20, has_parent=True)
    for chunk in (0, 1):
        layout.bat[layout.image.geometry.bitmap_index(chunk)] = 6
    assert overlaps(layout) == set()


def test_a_former_block_does_not_hide_that_two_blocks_share_a_place() -> None:
    layout = roomy()
    layout.set_entry(1, UNMAPPED, 20 * MIB)
    layout.set_entry(2, FULLY_PRESENT, 20 * MIB)
    layout.set_entry(3, FULLY_PRESENT, 20 * MIB)
    assert {rule for rule, *_ in overlaps(layout)} == {"BAT-08", "OVL-09"}


@pytest.mark.slow
def test_more_sector_bitmaps_in_one_place_than_a_byte_can_count() -> None:
    layout = image_of(256 * 16 + 1, 256 * MIB, 1024, has_parent=True)
    for chunk in range(256):
        layout.bat[layout.image.geometry.bitmap_index(chunk)] = 6 | 600 * MIB
    layout.set_entry(0, FULLY_PRESENT, 400 * MIB)
    assert any("block 0" in names for _, *names in overlaps(layout))


def pairs_far_apart(pairs: int) -> Layout:
    """Return an image in which block n and block n + pairs share a place, for all n."""
    layout = image_of(2 * pairs, MIB, pairs + 10)
    for block in range(2 * pairs):
        layout.set_entry(block, FULLY_PRESENT, (5 + block % pairs) * MIB)
    return layout


@pytest.mark.parametrize("pairs", [100, 1000, 1001, 2500])
def test_blocks_far_apart_that_share_their_places_are_found_however_many_they_are(
    pairs: int,
) -> None:
    layout = pairs_far_apart(pairs)
    with in_bulk():
        report = check(SparseSource(layout.build().file))
    assert report.verdict == "corrupt"
    counts = Counter(f.rule for f in report.findings) + Counter(report.more)
    assert counts == {"BAT-08": pairs}


def test_a_file_shorter_than_a_block_has_lost_none_that_has_no_place() -> None:
    layout = image_of(4, 256 * MIB, 0)
    layout.set_entry(0, FULLY_PRESENT, 0)
    assert assert_both_ways_agree(layout).losses.cut == (0, 0, 0)


def test_the_last_block_is_not_lost_when_the_disk_needs_less_of_it() -> None:
    image = dynamic(3 * MIB, block_size=2 * MIB)
    layout = image.layout()
    place = layout.pack().length
    layout.file_length = place + MIB
    layout.set_entry(1, FULLY_PRESENT, place)
    judgement = assert_both_ways_agree(layout)
    assert judgement.losses.cut == (0, 0, 0)
    assert {rule for rule, *_ in judgement.findings} == {"BLK-11"}


@pytest.mark.parametrize("bad", [0, 1, 3])
def test_a_stored_block_without_a_place_is_told_among_good_ones(bad: int) -> None:
    """Whether it is the first of a batch or not, which is taken to stand for the others."""
    layout = image_of(4, MIB, 20)
    for block in range(4):
        layout.set_entry(block, FULLY_PRESENT, (10 + block) * MIB)
    layout.set_entry(bad, FULLY_PRESENT, 0)
    findings = assert_both_ways_agree(layout, 1000).findings
    ((rule, level, where, _),) = findings
    assert (rule, level) == ("BAT-09", "error")
    assert where.startswith(f"BAT entry of block {bad} ")


def test_a_partial_block_among_whole_ones_needs_its_sector_bitmap() -> None:
    """Among blocks that are all stored and follow each other, too."""
    layout = image_of(4, MIB, 20, has_parent=True)
    for block, state in enumerate((6, 7, 6, 6)):
        layout.set_entry(block, state, (10 + block) * MIB)
    judgement = assert_both_ways_agree(layout, 1000)
    assert judgement.needy_chunks == {0}
    assert {rule for rule, *_ in judgement.findings} == {"BAT-07"}


@pytest.mark.parametrize("sectors", [8, 12, 15, 16, 2048, 4095])
@pytest.mark.parametrize("behind", [0, 1, 3])
def test_bits_are_behind_the_end_of_the_disk_from_its_last_sector_on(
    sectors: int, behind: int
) -> None:
    """Bits of all sectors that the disk has are no matter."""
    image = differencing(sectors * 512, blocks={(sectors - 1) // 2048: partial(range(2048))})
    layout = image.layout()
    (bitmap,) = layout.bitmaps.values()
    bitmap.runs = ((0, sectors + behind),)
    findings = assert_both_ways_agree(layout).findings
    told = [message for rule, _, _, message in findings if rule == "BLK-10"]
    assert len(told) == bool(behind)
    assert all(f" {behind}," in message for message in told)


def test_a_sector_bitmap_right_behind_the_headers_is_looked_at() -> None:
    image = differencing(MIB, order=("blocks", "log", "metadata", "bat"), blocks={0: partial(0)})
    layout = image.layout()
    assert layout.bat[layout.image.geometry.bitmap_index(0)] == 6 | MIB
    (bitmap,) = layout.bitmaps.values()
    bitmap.runs = ((0, 2049),)
    assert {rule for rule, *_ in assert_both_ways_agree(layout).findings} == {"BLK-10"}


def test_what_stands_behind_the_last_entry_is_no_block() -> None:
    """Nor is it taken for one where the last chunk is a part of one."""
    layout = image_of(40, 256 * MIB, 20)
    index = layout.image.geometry.entry_count
    for behind in range(3):
        layout.bat[index + behind] = FULLY_PRESENT | (10 + behind) * MIB
    judgement = assert_both_ways_agree(layout)
    assert judgement.findings == Counter()
    assert judgement.counts.get(FULLY_PRESENT) is None


def test_only_a_child_has_the_last_sector_bitmap() -> None:
    """What stands where it would be is behind the BAT, whatever it looks like."""
    layout = image_of(4, MIB, 20)
    index = layout.image.geometry.bitmap_index(0)
    assert index >= layout.image.geometry.entry_count
    layout.bat[index] = 6 | 10 * MIB
    judgement = assert_both_ways_agree(layout)
    assert judgement.findings == Counter()
    assert judgement.bitmaps == {}


@pytest.mark.parametrize("missing", [0, MIB])
def test_a_fixed_disk_needs_room_for_its_blocks_and_no_more(missing: int) -> None:
    layout = fixed(4 * MIB, others=Block(ZERO), order=("log", "metadata", "bat")).layout()
    taken = sum(entry.length for entry in layout.region_tables[0].entries)
    layout.file_length = MIB + layout.image.log_length + taken + 4 * MIB - missing
    rules = {rule for rule, *_ in assert_both_ways_agree(layout).findings}
    assert ("ITEM-10" in rules) == bool(missing)


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


# -- large ones -----------------------------------------------------------------------------------

_CHILD = """
    import json, resource, sys
    from vhdx_kaitai.checking.checks import check
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


@pytest.mark.parametrize("distance", [0, 1, 2])
def test_blocks_are_compared_in_a_file_that_claims_more_than_any_disk_needs(distance: int) -> None:
    layout = image_of(4, 2 * MIB, 0)
    layout.file_length = 1 << 60
    layout.set_entry(0, FULLY_PRESENT, 1 << 59)
    layout.set_entry(1, FULLY_PRESENT, (1 << 59) + distance * MIB)
    verdict = "clean" if distance == 2 else "corrupt"
    with in_bulk():
        report = check(SparseSource(layout.build().file))
    assert report.verdict == verdict
    assert [what for what, _ in report.skipped] == ["what of the file belongs to nothing"]
    assert check(SparseSource(layout.build().file)).verdict == verdict


@pytest.mark.parametrize("most", [2, 3, 8])
def test_sorting_finds_what_lies_on_both_sides_of_a_pass(most: int) -> None:
    """However few places a pass takes, and however many blocks have the last of them."""
    layout = image_of(40, 4 * MIB, 1000)
    places = [100, 104, 108, 111, 200, 200, 200, 200, 200, 300, 304, 307, 310, 400]
    for block, place in enumerate(places):
        layout.set_entry(39 - block * 2, FULLY_PRESENT, place * MIB)
    expected = {39 - 2 * n for n in (2, 3, 4, 5, 6, 7, 8, 10, 11, 12)}
    with in_bulk(), by_sorting(most):
        image = OpenedImage(SparseSource(layout.build().file))
        pieces = survey(image, EVERY).pieces
    assert {block for block, _ in pieces} == expected


@pytest.mark.parametrize("most_sorted", [None, 64])
def test_of_a_great_many_overlaps_those_in_front_are_named(
    most_sorted: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are not passed over in silence."""
    monkeypatch.setattr(crowds, "_MAX_CROWDED", 50)
    layout = pairs_far_apart(100)
    with in_bulk(), by_sorting(most_sorted) if most_sorted else nullcontext():
        image = OpenedImage(SparseSource(layout.build().file))
        found = survey(image, EVERY)
        report = check(SparseSource(layout.build().file))
    assert sorted({entry >> 20 for _, entry in found.pieces}) == list(range(5, 30))
    assert found.uncompared == 150
    assert report.verdict == "corrupt"
    assert report.skipped[0].what == "overlaps of 150 blocks"


def test_only_blocks_that_overlap_count_as_crowded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many others there are in front of them."""
    monkeypatch.setattr(crowds, "_MAX_CROWDED", 10)
    layout = image_of(100, MIB, 110)
    for block in range(100):
        layout.set_entry(block, FULLY_PRESENT, (5 + min(block, 98)) * MIB)
    with in_bulk():
        found = survey(OpenedImage(SparseSource(layout.build().file)), EVERY)
    assert [block for block, _ in found.pieces] == [98, 99]
    assert found.uncompared == 0


# -- blocks that the log writes to ----------------------------------------------------------------


def logged(*targets: Zero | Data, size: int = 8 * MIB, **fields: Any) -> Layout:
    """Return an image of four stored blocks at 4 MiB and behind, with these things to be replayed.

    The BAT is at 3 MiB, and the file has room for what lies behind the blocks.
    """
    image = dynamic(size, blocks={number: Block() for number in range(4)}, **fields)
    layout = log_only(image.but(file_length=16 * MIB), [Entry(list(targets))])
    assert layout.payload[0] == 4 * MIB
    return layout


def logged_blocks(layout: Layout) -> list[str]:
    found = assert_both_ways_agree(layout).findings
    assert all(level == "note" for rule, level, _, _ in found if rule == "LOG-42")
    return sorted(message for rule, _, _, message in found if rule == "LOG-42")


def message_about(block: int, block_size: int = MIB) -> str:
    place = 4 * MIB + block * block_size
    return f"the log writes to block {block} at {place:#x}, expected metadata only"


@pytest.mark.parametrize(
    ("target", "blocks"),
    [
        (Data(4 * MIB, b"x"), [0]),
        (Data(5 * MIB - 4096, b"x"), [0]),
        (Data(5 * MIB, b"x"), [1]),
        (Zero(4 * MIB - 4096, 4096), []),
        (Zero(4 * MIB - 4096, 8192), [0]),
        (Zero(5 * MIB - 4096, 8192), [0, 1]),
        (Zero(4 * MIB + 4096, 3 * MIB), [0, 1, 2, 3]),
        (Zero(7 * MIB, MIB), [3]),
        (Data(8 * MIB, b"x"), []),
        (Zero(8 * MIB, 4 * MIB), []),
    ],
)
def test_blocks_that_the_log_writes_to_are_named(target: Zero | Data, blocks: list[int]) -> None:
    assert logged_blocks(logged(target)) == [message_about(block) for block in blocks]


def test_blocks_between_two_updates_are_not_named() -> None:
    layout = logged(Data(4 * MIB, b"x"), Data(7 * MIB, b"x"))
    assert logged_blocks(layout) == [message_about(0), message_about(3)]


def test_blocks_of_several_mib_are_named_too() -> None:
    layout = logged(Zero(7 * MIB, 4096), size=8 * MIB, block_size=2 * MIB)
    assert logged_blocks(layout) == [message_about(1, 2 * MIB)]


def test_blocks_that_the_log_writes_to_are_counted() -> None:
    image = OpenedImage(SparseSource(logged(Zero(4 * MIB, 4 * MIB)).build().file))
    plain = list(check_logged_blocks(image, 3))
    with in_bulk():
        assert list(check_logged_blocks(image, 3)) == plain
    assert [more for _, more in plain] == [0, 0, 1]


def test_blocks_that_the_log_writes_to_are_counted_across_chunks_too() -> None:
    """Of each of three chunks of 16 blocks, two blocks are written to."""
    written = [0, 1, 16, 17, 32, 33]
    image = dynamic(48 * 256 * MIB, block_size=256 * MIB, blocks={n: Block() for n in written})
    places = image.layout().payload
    layout = log_only(image, [Entry([Data(places[n], b"x") for n in written])])
    opened = OpenedImage(SparseSource(layout.build().file))
    plain = list(check_logged_blocks(opened, 3))
    with in_bulk():
        assert list(check_logged_blocks(opened, 3)) == plain
    assert [more for _, more in plain] == [0, 0, 3]
