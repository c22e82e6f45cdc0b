"""What is lost is one sentence for people, and a map for viewers of GNU ddrescue."""

from __future__ import annotations

from itertools import count, islice

import pytest

from tests.images.structures import KIB, MIB
from vhdx_kaitai.reading.losses import Losses, LostRange
from vhdx_kaitai.showing.losses import losses_text, lost_map


def ranges(*places: tuple[int, int]) -> tuple[LostRange, ...]:
    return tuple(LostRange(start, end, "BAT-10") for start, end in places)


def test_a_sentence_says_how_much_of_what_was_stored_is_lost_and_where() -> None:
    found = Losses(4 * MIB, MIB, 2, ranges((0, 512 * KIB), (MIB, MIB + 512 * KIB)))
    assert losses_text(found, are_zeros=True) == (
        "1 MiB of the 4 MiB stored are lost, there are zeros in their place; 3 MiB are saved. "
        "Lost 2 ranges: 0x0 to 0x80000 [BAT-10], 0x100000 to 0x180000 [BAT-10]"
    )
    assert "3 MiB can be read" in losses_text(found, are_zeros=False)


def test_a_sentence_ends_with_how_many_ranges_it_leaves_out() -> None:
    found = Losses(9 * MIB, 9 * MIB, 9, ranges((0, MIB)))
    assert losses_text(found, are_zeros=True).endswith("and 8 more")


def test_a_sentence_says_that_nothing_is_lost() -> None:
    text = losses_text(Losses(3 * MIB, 0, 0, ()), are_zeros=True)
    assert text == "nothing is lost: all 3 MiB stored can be read"


def test_of_what_was_assumed_no_more_is_said_than_is_known() -> None:
    """A log that is not replayed may hold blocks that no BAT names."""
    text = losses_text(Losses(3 * MIB, 0, 0, ()), are_zeros=True, is_assumed=True)
    assert text == ("if what was assumed is right, nothing is lost: all 3 MiB stored can be read")
    text = losses_text(Losses(0, 0, 0, ()), are_zeros=True)
    assert text == "nothing is lost: nothing is stored, as far as the BAT says"


@pytest.mark.parametrize(
    ("lost", "offset", "end", "expected"),
    [
        ([], 0, 10, [(0, 10, "+")]),
        ([(0, 10)], 0, 10, [(0, 10, "-")]),
        ([(0, 3), (3, 4), (9, 10)], 0, 10, [(0, 4, "-"), (4, 9, "+"), (9, 10, "-")]),
        ([(5, 6)], 5, 9, [(0, 5, "?"), (5, 6, "-"), (6, 9, "+"), (9, 10, "?")]),
        ([], 4, 4, [(0, 4, "?"), (4, 10, "?")]),
    ],
)
def test_a_map_covers_the_disk_in_order(
    lost: list[tuple[int, int]], offset: int, end: int, expected: list[tuple[int, int, str]]
) -> None:
    head, names, status, columns, *lines = lost_map(ranges(*lost), offset, end, 10)
    assert all(line.startswith("# ") for line in (head, names, columns))
    assert status.split() == [f"0x{end:08X}", "+", "1"]
    found = []
    for line in lines:
        start, length, kind = line.split()
        found.append((int(start, 16), int(start, 16) + int(length, 16), kind))
    assert found == expected


def test_a_map_of_millions_of_ranges_is_never_in_memory() -> None:
    """There are more ranges here than any memory has room for."""
    endless = (LostRange(2 * number, 2 * number + 1, "BAT-10") for number in count(1))
    lines = [*islice(lost_map(endless, 1, 1 << 60, 1 << 61), 8)]
    assert [line.split()[2] for line in lines[4:]] == ["?", "+", "-", "+"]
