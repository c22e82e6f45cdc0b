"""The rules about entries, and the order in which a check tells of blocks."""

from __future__ import annotations

import pytest

from tests.checking.judging import (
    assert_both_ways_agree,
    image_of,
)
from tests.images.image import Block, fixed
from tests.images.structures import (
    FULLY_PRESENT,
    MIB,
    ZERO,
)


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
