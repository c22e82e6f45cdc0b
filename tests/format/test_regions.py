"""The region tables: which copy is read, where they may lead; damages in `reading.test_image`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.images.bases import OTHER_GUID, UNKNOWN_REGION, base_dynamic
from tests.images.dirty import dirty
from tests.images.image import Layout, Region, dynamic
from tests.images.structures import BAT_REGION, METADATA_REGION, MIB, RegionEntry
from tests.support import SparseSource, good, opened
from vhdx_kaitai.errors import FormatError, TruncatedError
from vhdx_kaitai.format import grammar, regions
from vhdx_kaitai.format.place import REGION_TABLES
from vhdx_kaitai.format.structures import RegionTable


def layout(**fields: Any) -> Layout:
    return base_dynamic().but(**fields).layout()


def refused_with(made: Layout) -> str:
    with pytest.raises(FormatError) as caught:
        opened(made)
    return caught.value.finding.rule


def table(*entries: tuple[UUID, int, int]) -> RegionTable:
    """Return a table with these regions: GUID, offset and length in MiB."""
    from vhdx_kaitai.format.structures import RegionEntry as Entry

    made = tuple(Entry(guid, offset * MIB, length * MIB, 0) for guid, offset, length in entries)
    return RegionTable(REGION_TABLES[0], b"", True, 0, len(made), 0, made)


# -- the two copies -------------------------------------------------------------------------------


def test_copy_1_is_used_when_both_are_valid_even_if_they_differ() -> None:
    made = layout()
    made.region_tables[1].find(BAT_REGION).file_offset = 200 * MIB
    with opened(made) as image:
        assert image.regions.copy == 1
        assert image.regions.bat.file_offset == made.bat_offset


def test_of_two_copies_that_differ_the_one_that_is_not_used_is_pointed_at() -> None:
    made = layout()
    made.region_tables[1].find(BAT_REGION).file_offset = 200 * MIB
    root = grammar.HeaderSection(SparseSource(made.build().file))
    (found,) = regions.check_copies(regions.Tables(root))
    assert (found.rule, found.offset) == ("REG-05", 256 << 10)


@pytest.mark.parametrize(
    "damage", [{"checksum": 1}, {"signature": b"REGI"}, {"raw": bytes(64 << 10)}]
)
def test_copy_2_is_used_when_copy_1_is_not_valid(damage: dict[str, Any]) -> None:
    """QEMU and DiscUtils refuse the file, 7-Zip parses copy 1 a second time."""
    made = layout()
    made.region_tables[0].find(METADATA_REGION).file_offset = 500 * MIB
    for name, value in damage.items():
        setattr(made.region_tables[0], name, value)
    with opened(made) as image:
        assert image.regions.copy == 2
        assert image.regions.metadata.file_offset == made.metadata_offset


def test_a_damaged_copy_2_is_no_reason_to_refuse() -> None:
    """libvhdi wants both copies to be whole."""
    made = layout()
    made.region_tables[1].raw = b"\xff" * (64 << 10)
    with opened(made) as image:
        assert image.regions.copy == 1


def test_a_valid_copy_1_that_refuses_the_file_is_not_passed_over() -> None:
    made = layout()
    made.region_tables[0].find(BAT_REGION).file_offset += 512
    assert refused_with(made) == "REG-09"


def test_the_tables_are_read_after_replay() -> None:
    made = dirty(base_dynamic(), hide=("region_tables",))
    with opened(made) as image:
        assert image.replayed is not None
        assert image.regions.bat.file_offset == made.bat_offset
    made.log = None
    made.set_headers(log_guid=UUID(int=0))
    assert refused_with(made) == "REG-04"


# -- entries --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("required", "is_refused"), [(0, False), (1, True), (2, False), (3, True), (2**32 - 1, True)]
)
def test_bit_0_says_whether_an_unknown_region_is_required(required: int, is_refused: bool) -> None:
    """7-Zip takes any number but zero for it."""
    made = layout(regions=[Region(UNKNOWN_REGION, required=required)])
    if is_refused:
        assert refused_with(made) == "REG-14"
    else:
        with opened(made) as image:
            assert len(image.regions.entries) == 3


def test_regions_are_found_by_guid_whatever_their_order() -> None:
    made = layout()
    made.set_tables(lambda each: each.entries.reverse())
    with opened(made) as image:
        assert image.regions.bat.file_offset == made.bat_offset
        assert image.regions.metadata.file_offset == made.metadata_offset


def test_2047_regions_fill_a_table() -> None:
    with opened(good("regions-2047")) as image:
        assert len(image.regions.entries) == 2047


def test_entries_past_the_count_are_not_looked_at() -> None:
    made = layout()
    stray = RegionEntry(BAT_REGION, 3, 5).pack() * 3
    made.set_tables(lambda each: setattr(each, "tail", stray))
    with opened(made) as image:
        assert len(image.regions.entries) == 2


@pytest.mark.parametrize(
    ("offset", "length", "rule"),
    [
        (MIB + 512, MIB, "REG-09"),
        (0, MIB, "REG-10"),
        (50 * MIB, MIB - 4096, "REG-11"),
        (14 * MIB, 0, "REG-12"),
        (50 * MIB, MIB, "REG-13"),
        (14 * MIB, 2 * MIB, "REG-13"),
        (2**64 - MIB, 2 * MIB, "REG-13"),
    ],
)
def test_the_place_of_every_region_is_judged(offset: int, length: int, rule: str) -> None:
    made = layout(file_length=15 * MIB)
    made.set_tables(
        lambda each: each.entries.append(RegionEntry(UNKNOWN_REGION, offset, length, 0))
    )
    with pytest.raises(FormatError) as caught:
        opened(made)
    assert caught.value.finding.rule == rule
    assert caught.value.finding.where == f"region table 1, entry 2 at {0x30000 + 16 + 2 * 32:#x}"
    assert isinstance(caught.value, TruncatedError) == (rule == "REG-13")


def test_a_region_may_end_with_the_file() -> None:
    made = layout(order=("log", "metadata", "blocks", "bat"), gap=0)
    assert made.bat_offset + made.bat_length == made.final_length()
    with opened(made) as image:
        assert image.regions.bat.file_offset + image.regions.bat.length == image.file_size


# -- overlaps -------------------------------------------------------------------------------------


def overlapping(*entries: tuple[UUID, int, int], log: tuple[int, int] = (1, 1)) -> list[str]:
    found = regions.check_overlaps(table(*entries), (log[0] * MIB, log[1] * MIB))
    return [finding.rule for finding in found]


ONE, TWO, THREE = (UUID(int=number) for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("entries", "log", "rules"),
    [
        ([(ONE, 2, 1), (TWO, 3, 1)], (1, 1), []),
        ([(ONE, 3, 1), (TWO, 2, 1)], (4, 1), []),
        ([(ONE, 2, 1), (TWO, 2, 1)], (1, 1), ["OVL-01"]),
        ([(ONE, 2, 2), (TWO, 3, 2)], (1, 1), ["OVL-01"]),
        ([(ONE, 2, 9), (TWO, 5, 1)], (1, 1), ["OVL-01"]),
        ([(ONE, 2, 9), (TWO, 5, 1), (THREE, 8, 1)], (1, 1), ["OVL-01", "OVL-01"]),
        ([(ONE, 2, 1)], (2, 1), ["OVL-03"]),
        ([(ONE, 2, 4)], (3, 1), ["OVL-03"]),
        ([(ONE, 3, 1)], (2, 4), ["OVL-03"]),
        ([(ONE, 2, 1)], (1, 1), []),
        ([(ONE, 2, 1)], (3, 1), []),
    ],
)
def test_regions_overlap_neither_each_other_nor_the_log(
    entries: list[tuple[UUID, int, int]], log: tuple[int, int], rules: list[str]
) -> None:
    assert overlapping(*entries, log=log) == rules


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 4)), min_size=1, max_size=5))
def test_overlaps_are_found_whatever_the_order(places: list[tuple[int, int]]) -> None:
    entries = [(UUID(int=i), *place) for i, place in enumerate(places)]
    units = [unit for start, length in places for unit in range(start, start + length)]
    found = overlapping(*entries, log=(50, 1))
    assert bool(found) == (len(units) != len(set(units)))


def test_a_log_of_no_length_overlaps_nothing() -> None:
    """It has a LogOffset all the same, and that may lead anywhere."""
    made = layout(bat_length=4 * MIB)
    made.set_headers(log_length=0, log_offset=made.bat_offset + MIB)
    with opened(made) as image:
        assert image.log is None


def test_an_unknown_region_takes_part_in_every_overlap() -> None:
    """OpenVMM leaves unknown regions out of its map of the file."""
    made = layout()
    made.set_tables(
        lambda each: each.entries.append(RegionEntry(OTHER_GUID, made.bat_offset, MIB, 0))
    )
    assert refused_with(made) == "OVL-01"


def test_a_table_of_2047_regions_is_judged_quickly() -> None:
    """Neither looking for overlaps nor for doubles takes the square of their number."""
    entries = [(UUID(int=i), 2 + 2 * i, 1) for i in range(2047)]
    assert overlapping(*entries) == []
    made = dynamic(4 * MIB, regions=[Region(UUID(int=i + 1)) for i in range(2045)])
    with opened(made.layout()) as image:
        assert len(image.regions.entries) == 2047
