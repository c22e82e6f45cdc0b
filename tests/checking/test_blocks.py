"""The rules about entries, and the order in which a check tells of blocks."""

from __future__ import annotations

import pytest

from tests.checking.judging import assert_both_ways_agree, image_of
from tests.checking.reports import assert_no_complaint, counted, report_on, rules_of
from tests.images.damage import DAMAGES
from tests.images.image import Block, Layout, dynamic, fixed
from tests.images.structures import FULLY_PRESENT, MIB, ZERO
from tests.support import damaged, good


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


@pytest.mark.parametrize("missing", [0, MIB])
def test_a_fixed_disk_needs_room_for_its_blocks_and_no_more(missing: int) -> None:
    layout = fixed(4 * MIB, others=Block(ZERO), order=("log", "metadata", "bat")).layout()
    taken = sum(entry.length for entry in layout.region_tables[0].entries)
    layout.file_length = MIB + layout.image.log_length + taken + 4 * MIB - missing
    rules = {rule for rule, *_ in assert_both_ways_agree(layout).findings}
    assert ("ITEM-10" in rules) == bool(missing)


def test_what_stands_after_the_bat_is_said_to_begin_there() -> None:
    layout = DAMAGES["bat-entries-after-the-last"].layout()
    (finding,) = report_on(layout).findings
    assert finding.offset == layout.bat_offset + layout.image.geometry.entry_count * 8


# -- skeletons ------------------------------------------------------------------------------------


def cut_after_the_bat() -> Layout:
    """All the metadata of an image, and no payload; some of its blocks are damaged, too."""
    blocks = {number: Block() for number in range(5)}
    layout = dynamic(8 * MIB, blocks=blocks).layout()
    layout.file_length = layout.bat_offset + MIB
    layout.set_entry(7, 4)
    return layout


def test_a_skeleton_may_lack_its_payload_and_nothing_else() -> None:
    whole = report_on(cut_after_the_bat())
    assert counted(whole) == {"BAT-03": 1, "BAT-10": 5}
    assert len(whole.diagnosis) == 2
    skeleton = report_on(cut_after_the_bat(), skeleton=True)
    assert counted(skeleton) == {"BAT-03": 1}
    assert skeleton.diagnosis == ()


def test_blocks_that_a_fixed_disk_lacks_are_told_of_its_skeleton_too() -> None:
    """Only the length of the file is not its own."""
    report = report_on(damaged("fixed-block-not-present"), skeleton=True)
    assert rules_of(report) == {"ITEM-09"}
    assert "ITEM-10" not in rules_of(report_on(damaged("fixed-file-shrunk"), skeleton=True))


def test_blocks_of_a_skeleton_overlap_wherever_they_are() -> None:
    """A dump of an image may come from any file; its own length says nothing."""
    layout = dynamic(4 * MIB).layout()
    for block in (0, 3):
        layout.set_entry(block, FULLY_PRESENT, (1 << 64) - 2 * MIB)
    assert rules_of(report_on(layout, skeleton=True), "error") == {"BAT-08"}


def test_a_good_image_is_good_as_a_skeleton_too() -> None:
    for name in ("dynamic-plain", "fixed-plain", "differencing-plain", "dirty-bat"):
        assert_no_complaint(report_on(good(name), skeleton=True))
