"""Large disks: blocks that overlap are found among all others, and what is between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest

from tests.checking.judging import (
    EVERY,
    assert_both_ways_agree,
    by_sorting,
    image_of,
    in_bulk,
    without_numpy,
)
from tests.images.image import Layout
from tests.images.structures import (
    FULLY_PRESENT,
    MIB,
)
from tests.support import SparseSource
from vhdx_kaitai.checking import order
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.checking.survey import survey
from vhdx_kaitai.reading.image import Image as OpenedImage

Way = Callable[[], AbstractContextManager[None]]
WAYS = (in_bulk, without_numpy)


@pytest.mark.slow
def test_more_sector_bitmaps_in_one_place_than_a_byte_can_count() -> None:
    layout = image_of(256 * 16 + 1, 256 * MIB, 1024, has_parent=True)
    for chunk in range(256):
        layout.bat[layout.image.geometry.bitmap_index(chunk)] = 6 | 600 * MIB
    layout.set_entry(0, FULLY_PRESENT, 400 * MIB)
    told = [text for rule, *_, text in assert_both_ways_agree(layout).findings if rule == "OVL-06"]
    assert any("block 0 " in text for text in told)


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
    assert [what for what, _ in report.skipped] == ["space that belongs to nothing"]
    assert check(SparseSource(layout.build().file)).verdict == verdict


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("most", [2, 3, 8])
def test_sorting_finds_what_lies_on_both_sides_of_a_pass(most: int, way: Way) -> None:
    """However few places a pass takes, and however many blocks have the last of them."""
    layout = image_of(40, 4 * MIB, 1000)
    places = [100, 104, 108, 111, 200, 200, 200, 200, 200, 300, 304, 307, 310, 400]
    for block, place in enumerate(places):
        layout.set_entry(39 - block * 2, FULLY_PRESENT, place * MIB)
    expected = {39 - 2 * n for n in (2, 3, 4, 5, 6, 7, 8, 10, 11, 12)}
    with way(), by_sorting(most):
        image = OpenedImage(SparseSource(layout.build().file))
        pieces = survey(image, EVERY).pieces
    assert {block for block, _ in pieces} == expected


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("most_sorted", [None, 64])
def test_of_a_great_many_overlaps_those_in_front_are_named(
    most_sorted: int | None, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are not passed over in silence."""
    monkeypatch.setattr(order, "MOST_CROWDED", 50)
    layout = pairs_far_apart(100)
    with way(), by_sorting(most_sorted) if most_sorted else nullcontext():
        image = OpenedImage(SparseSource(layout.build().file))
        found = survey(image, EVERY)
        report = check(SparseSource(layout.build().file))
    assert sorted({entry >> 20 for _, entry in found.pieces}) == list(range(5, 30))
    assert found.uncompared == 150
    assert report.verdict == "corrupt"
    assert report.skipped[0].what == "overlaps of 150 blocks"


@pytest.mark.parametrize("way", WAYS)
def test_only_blocks_that_overlap_count_as_crowded(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many others come before them."""
    monkeypatch.setattr(order, "MOST_CROWDED", 10)
    layout = image_of(100, MIB, 110)
    for block in range(100):
        layout.set_entry(block, FULLY_PRESENT, (5 + min(block, 98)) * MIB)
    with way():
        found = survey(OpenedImage(SparseSource(layout.build().file)), EVERY)
    assert [block for block, _ in found.pieces] == [98, 99]
    assert found.uncompared == 0


@pytest.mark.parametrize("way", WAYS)
def test_a_block_past_the_end_of_the_file_overlaps_nothing(way: Way) -> None:
    layout = image_of(1, 32 * MIB, 60)
    layout.set_entry(0, FULLY_PRESENT, 40 * MIB)
    with way():
        found = survey(OpenedImage(SparseSource(layout.build().file)), EVERY)
    assert found.pieces == []
