"""What is past the end of the file: because it was cut, or because the BAT is damaged."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.checking.judging import (
    assert_both_ways_agree,
    image_of,
)
from tests.checking.reports import counted, only_sentence, report_on, rules_of
from tests.images.bases import BASES
from tests.images.image import Block, Layout, differencing, dynamic, partial
from tests.images.structures import (
    FULLY_PRESENT,
    GIB,
    MIB,
    NOT_PRESENT,
    PARTIALLY_PRESENT,
    UNMAPPED,
    ZERO,
    bat_entry,
)
from tests.support import damaged
from vhdx_kaitai.checking.losses import Reason
from vhdx_kaitai.errors import FormatError
from vhdx_kaitai.reading.disk import open_disk
from vhdx_kaitai.text import human_size


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


@pytest.mark.parametrize("lost", [1, 2, 5])
def test_a_file_that_was_cut_says_how_much_is_lost_and_the_rest_can_be_read(
    lost: int, tmp_path: Path
) -> None:
    blocks = {number: Block() for number in range(5)} | {6: Block(ZERO)}
    image = dynamic(8 * MIB, block_size=MIB, blocks=blocks)
    layout = image.layout()
    layout.file_length = max(layout.payload.values()) + MIB - (lost - 1) * MIB - 512
    built = layout.build()
    report = report_on(built)
    assert rules_of(report, "error") == {"BAT-10"}
    gone, left = (lost - 1) * MIB + 512, (6 - lost) * MIB - 512
    assert only_sentence(report) == (
        f"The file is cut short: {lost} of 5 stored blocks lie wholly or partly past its end; "
        f"{human_size(gone)} of the 5 MiB stored are lost, {human_size(left)} can be read."
    )
    with open_disk(built.write(tmp_path / "cut.vhdx")) as disk:
        whole = image.build().model
        assert disk.pread(left, 0) == whole.read(0, left)
        with pytest.raises(FormatError):
            disk.pread(512, left)
        for number in range(8):
            if 5 - lost <= number < 5:
                with pytest.raises(FormatError):
                    disk.pread(MIB, number * MIB)
            else:
                assert disk.pread(MIB, number * MIB) == whole.read(number * MIB, MIB)


def test_the_last_block_of_a_cut_file_counts_with_what_the_disk_has_of_it() -> None:
    layout = dynamic(3 * MIB + 512, blocks={number: Block() for number in range(4)}).layout()
    layout.file_length = layout.payload[3]
    assert only_sentence(report_on(layout)) == (
        "The file is cut short: 1 of 4 stored blocks lie wholly or partly past its end; 512 bytes "
        "of the about 3 MiB stored are lost, 3 MiB can be read."
    )


def test_a_file_cut_before_a_sector_bitmap_says_so() -> None:
    layout = BASES["differencing"]()
    layout.bat[layout.image.geometry.bitmap_index(0)] = 6 | GIB
    sentence = only_sentence(report_on(layout))
    assert sentence.startswith("The file is cut short: sector bitmaps past its end: 1.")


def test_the_last_block_is_not_counted_as_lost_when_the_disk_needs_less_of_it() -> None:
    layout = dynamic(79 * MIB, block_size=2 * MIB).layout()
    layout.file_length = 10 * MIB
    for block in range(39):
        layout.set_entry(block, FULLY_PRESENT, (100 + 2 * block) * MIB)
    layout.set_entry(39, FULLY_PRESENT, 9 * MIB)
    report = report_on(layout)
    assert counted(report) == {"BAT-10": 39, "BLK-11": 1}
    assert [int(n) for n in re.findall(r"\d+", report.diagnosis[0])] == [39, 40, 78, 79, 1]


# -- what no cut explains -------------------------------------------------------------------------

TOO_FAR = 131_108  # MiB: 1 of headers, 3 of log and regions, 32 of bitmaps, 131072 blocks


def damaged_entries() -> Layout:
    """A disk of 16 MiB, ten blocks stored, whose entries of three others cannot be right."""
    blocks = {number: Block() for number in range(10)}
    layout = dynamic(16 * MIB, blocks=blocks).layout()
    layout.file_length = layout.pack().length
    layout.bat |= {11: (1 << 64) - 1, 13: bat_entry(FULLY_PRESENT, TOO_FAR * MIB)}
    layout.set_entry(12, PARTIALLY_PRESENT, GIB)
    return layout


def test_entries_that_cannot_be_right_are_not_taken_for_a_cut_file() -> None:
    layout = damaged_entries()
    losses = assert_both_ways_agree(layout).losses
    assert (losses.cut, losses.wild) == ((0, 0, 0), (3, 3 * MIB, 0))
    assert only_sentence(report_on(layout)) == (
        "The BAT is damaged: 3 entries of blocks past the end of the file, with reserved bits that "
        "are set, a state that needs a parent or a place where no file of such a disk ends. "
        "No cut explains that. 3 MiB of the disk cannot be read because of that."
    )


def test_what_a_cut_explains_and_what_it_does_not_are_counted_apart() -> None:
    layout = damaged_entries()
    layout.file_length = layout.payload[7]
    cut, wild = report_on(layout).diagnosis
    assert cut == (
        "The file is cut short: 3 of 10 stored blocks lie wholly or partly past its end; 3 MiB of "
        "the 10 MiB stored are lost, 7 MiB can be read."
    )
    assert wild.startswith("The BAT is damaged: 3 entries ")


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (bat_entry(FULLY_PRESENT, GIB, reserved=1), Reason.RESERVED),
        (bat_entry(FULLY_PRESENT, GIB, reserved=1 << 16), Reason.RESERVED),
        (bat_entry(PARTIALLY_PRESENT, GIB), Reason.NO_PARENT),
        (bat_entry(FULLY_PRESENT, TOO_FAR * MIB), Reason.TOO_FAR),
        (bat_entry(FULLY_PRESENT, (1 << 64) - MIB), Reason.TOO_FAR),
    ],
)
def test_each_reason_alone_is_enough(entry: int, reason: Reason) -> None:
    layout = dynamic(8 * MIB, blocks={0: Block()}).layout()
    layout.bat[1] = entry
    losses = assert_both_ways_agree(layout).losses
    assert (losses.cut, losses.wild, losses.reasons) == ((0, 0, 0), (1, MIB, 0), {reason})
    assert f" with {reason.value}. No cut " in only_sentence(report_on(layout))


def test_a_page_of_ones_is_no_cut_file() -> None:
    report = report_on(damaged("bat-page-of-ones"))
    sentence = only_sentence(report)
    assert sentence.startswith("The BAT is damaged: 512 entries ")
    assert sentence.endswith(" 512 MiB of the disk cannot be read because of that.")
    assert counted(report) == {"BAT-02": 512, "BAT-05": 512, "BAT-10": 512}


@pytest.mark.parametrize(("place", "is_wild"), [(TOO_FAR - 1, False), (TOO_FAR, True)])
def test_a_file_may_have_been_as_long_as_its_bat_allows(place: int, is_wild: bool) -> None:
    """The disk may have been larger, with blocks where no file of today's disk would end."""
    layout = dynamic(8 * MIB, blocks={0: Block()}).layout()
    layout.set_entry(1, FULLY_PRESENT, place * MIB)
    lost = (1, MIB, 0)
    losses = assert_both_ways_agree(layout).losses
    assert (losses.wild if is_wild else losses.cut) == lost


@pytest.mark.parametrize(("place", "is_wild"), [(TOO_FAR - 1, False), (TOO_FAR, True)])
@pytest.mark.parametrize("reserved", [0, 1])
def test_sector_bitmaps_that_cannot_be_right_are_counted_too(
    place: int, is_wild: bool, reserved: int
) -> None:
    layout = differencing(8 * MIB, blocks={1: partial(range(16))}).layout()
    index = layout.image.geometry.bitmap_index(0)
    layout.bat[index] = bat_entry(6, place * MIB, reserved)
    losses = assert_both_ways_agree(layout).losses
    cut, wild = (0, 0, 0), (0, 0, 1)
    assert (losses.cut, losses.wild) == ((cut, wild) if is_wild or reserved else (wild, cut))


def test_reserved_bits_in_the_entry_of_a_block_that_is_there_say_nothing_about_the_others() -> None:
    assert only_sentence(report_on(damaged("bat-reserved-bit-low"))) == (
        "The BAT is damaged: 1 entry with reserved bits that are set. 1 MiB of the disk cannot be "
        "read because of that."
    )


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (bat_entry(NOT_PRESENT, 0, reserved=1), Reason.RESERVED),
        (bat_entry(ZERO, 0, reserved=1 << 16), Reason.RESERVED),
        (bat_entry(UNMAPPED, GIB, reserved=1), Reason.RESERVED),
        (bat_entry(4, 0), Reason.NO_STATE),
        (bat_entry(5, GIB), Reason.NO_STATE),
        (bat_entry(PARTIALLY_PRESENT, 4 * MIB), Reason.NO_PARENT),
        (bat_entry(FULLY_PRESENT, 0), Reason.NO_PLACE),
    ],
)
def test_entries_that_a_reader_refuses_for_themselves_are_counted(
    entry: int, reason: Reason, tmp_path: Path
) -> None:
    layout = dynamic(8 * MIB, blocks={0: Block()}).layout()
    layout.file_length = 16 * MIB
    for block in (1, 5):
        layout.bat[block] = entry
    losses = assert_both_ways_agree(layout).losses
    nothing = (0, 0, 0)
    assert (losses.cut, losses.wild, losses.damaged) == (nothing, nothing, (2, 2 * MIB, 0))
    assert losses.damages == {reason}
    assert only_sentence(report_on(layout)) == (
        f"The BAT is damaged: 2 entries with {reason.value}. 2 MiB of the disk cannot be read "
        "because of that."
    )
    with open_disk(layout.pack().write(tmp_path / "damaged.vhdx"), lost="zero") as disk:
        assert sum(lost.length for lost in disk.lost()) == 2 * MIB


def in_sectors(*places: int, length: int = 50, block_size: int = MIB) -> Layout:
    """A file of a length in MiB, whose blocks have their places in sectors of 512 bytes."""
    layout = image_of(len(places), block_size, length)
    for block, place in enumerate(places):
        layout.set_entry(block, FULLY_PRESENT, place * 2048 * MIB)
    return layout


def test_a_bat_that_counts_sectors_is_recognised() -> None:
    layout = in_sectors(10, 12, 11, 30, 49)
    losses = assert_both_ways_agree(layout).losses
    assert (losses.reasons, losses.wild) == ({Reason.SECTORS}, (5, 5 * MIB, 0))
    assert only_sentence(report_on(layout)) == (
        "The BAT seems to count sectors: 5 entries of blocks past the end of the file, with places "
        "that are multiples of 2,048 MiB and would be inside it as sectors of 512 bytes. No cut "
        "explains that. 5 MiB of the disk cannot be read because of that."
    )


def test_a_bat_that_counts_sectors_is_recognised_however_far_it_points() -> None:
    losses = assert_both_ways_agree(in_sectors(10, 99, 70, 80, 60, length=100)).losses
    assert (losses.reasons, losses.wild.blocks) == ({Reason.SECTORS}, 5)


def other_far_places() -> dict[str, Layout]:
    one_elsewhere = in_sectors(10, 11, 12, 13)
    one_elsewhere.set_entry(3, FULLY_PRESENT, 20481 * MIB)
    return {
        "too few": in_sectors(10, 11, 12),
        "one is no multiple": one_elsewhere,
        "not in the file": in_sectors(10, 11, 12, 50),
    }


@pytest.mark.parametrize("name", other_far_places())
def test_not_all_that_is_far_away_counts_sectors(name: str) -> None:
    losses = assert_both_ways_agree(other_far_places()[name]).losses
    assert (losses.reasons, losses.wild.blocks) == (set(), 0)
    assert losses.cut.blocks >= 3


def test_what_can_be_read_is_what_no_entry_refuses() -> None:
    layout = dynamic(8 * MIB, blocks={number: Block() for number in range(4)}).layout()
    layout.file_length = layout.payload[3]
    layout.set_entry(4, 5)
    layout.set_entry(5, ZERO, reserved=1)
    layout.set_entry(6, FULLY_PRESENT, 0)
    cut, damaged = report_on(layout).diagnosis
    assert cut.endswith(
        " 1 of 4 stored blocks lie wholly or partly past its end; 1 MiB of the 4 MiB stored are "
        "lost, 3 MiB can be read."
    )
    assert damaged == (
        "The BAT is damaged: 3 entries with reserved bits that are set, a state that no block has "
        "or no place for a stored block. 3 MiB of the disk cannot be read because of that."
    )


@pytest.mark.parametrize("in_file", [0, MIB])
def test_a_file_that_ends_before_its_blocks_has_none_of_what_is_stored(in_file: int) -> None:
    """What is not stored cannot be lost, and says nothing about what can be read."""
    image = dynamic(64 * MIB, blocks={number: Block() for number in range(20)})
    layout = image.layout()
    layout.file_length = min(layout.payload.values()) + in_file
    sentence = only_sentence(report_on(layout))
    if in_file:
        assert sentence.endswith("; 19 MiB of the 20 MiB stored are lost, 1 MiB can be read.")
    else:
        assert sentence == (
            "The file is cut short: 20 of 20 stored blocks lie wholly or partly past its end; none "
            "of the 20 MiB stored can be read."
        )


def test_the_last_block_of_the_disk_counts_with_what_the_disk_has_of_it() -> None:
    """The file is as long as that block needs; the place tells nothing else."""
    layout = dynamic(3 * MIB, block_size=2 * MIB, blocks={0: Block(), 1: Block()}).layout()
    layout.file_length = layout.payload[1] + MIB
    layout.set_entry(0, FULLY_PRESENT, 100 * MIB)
    judgement = assert_both_ways_agree(layout)
    assert (judgement.losses.length, judgement.losses.readable) == (3 * MIB, MIB)
