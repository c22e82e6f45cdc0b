"""The metadata table and its items. Damages to them are in `reading.test_image`."""

from __future__ import annotations

import struct
from itertools import chain
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.images import strategies as drawn
from tests.images.bases import UNKNOWN_ITEM, base_differencing, base_dynamic
from tests.images.image import Layout, dynamic
from tests.images.structures import (
    CHS_PARAMETERS,
    FILE_PARAMETERS,
    INCOMPLETE_FILE,
    IS_REQUIRED,
    IS_USER,
    IS_VIRTUAL_DISK,
    KIB,
    LOGICAL_SECTOR_SIZE,
    MIB,
    PARENT_LOCATOR,
    PHYSICAL_SECTOR_SIZE,
    TIB,
    VIRTUAL_DISK_ID,
    VIRTUAL_DISK_SIZE,
    MetadataItem,
)
from tests.support import SparseSource, fewer, good, opened
from vhdx_kaitai.errors import FormatError
from vhdx_kaitai.format import metadata
from vhdx_kaitai.format.grammar import metadata_table
from vhdx_kaitai.format.structures import RegionEntry
from vhdx_kaitai.guids import METADATA_REGION
from vhdx_kaitai.reading.image import Image


def layout(*items: MetadataItem, **fields: Any) -> Layout:
    """Return an image with these items and the known ones."""
    return base_dynamic().but(items=list(items), **fields).layout()


def with_item(item_id: UUID, data: bytes, **fields: Any) -> Layout:
    """Return an image with other contents of a known item."""
    made = layout(**fields)
    made.metadata.find(item_id).data = data
    return made


def refusal_of(made: Layout) -> FormatError:
    with pytest.raises(FormatError) as caught:
        opened(made)
    return caught.value


def refused_with(made: Layout) -> str:
    return refusal_of(made).finding.rule


# -- the table ------------------------------------------------------------------------------------


def test_all_entries_are_kept_and_listed_in_their_order() -> None:
    built = good("items-of-all-kinds")
    with opened(built) as image:
        assert [(entry.item_id, entry.is_user) for entry in image.metadata.entries] == [
            (item.item_id, bool(item.flags & IS_USER)) for item in built.layout.metadata.items
        ]


def test_items_are_found_by_id_wherever_they_stand() -> None:
    """7-Zip and others count on an order that nothing promises."""
    built = good("items-in-another-order")
    with opened(built) as image:
        assert image.metadata.virtual_disk_size == built.model.size
        assert image.metadata.virtual_disk_id == built.model.virtual_disk_id


def test_entries_past_the_count_are_not_looked_at() -> None:
    """Windows leaves a stale copy of an entry there."""
    made = layout()
    stale = MetadataItem(VIRTUAL_DISK_SIZE, bytes(8), IS_REQUIRED, 3).pack(3)
    made.metadata.tail = stale * 20
    with opened(made) as image:
        assert len(image.metadata.entries) == 5


def test_the_same_id_may_stand_for_a_user_item_and_another_one() -> None:
    two = (MetadataItem(UNKNOWN_ITEM, b"a", 0), MetadataItem(UNKNOWN_ITEM, b"b", IS_USER))
    with opened(layout(*two)) as image:
        assert len(image.metadata.entries) == 7
    assert refused_with(layout(*two, MetadataItem(UNKNOWN_ITEM, b"c", IS_USER))) == "MET-05"


def test_a_known_id_on_a_user_item_is_not_the_known_item() -> None:
    """QEMU takes it for that."""
    other = MetadataItem(VIRTUAL_DISK_SIZE, (3 * MIB).to_bytes(8, "little"), IS_USER)
    with opened(layout(other)) as image:
        assert image.metadata.virtual_disk_size == 8 * MIB


def test_1024_user_items_are_allowed() -> None:
    with opened(good("user-items-1024")) as image:
        assert sum(entry.is_user for entry in image.metadata.entries) == 1024


def test_2047_entries_fill_the_table() -> None:
    items = [MetadataItem(UUID(int=n + 1), b"", 0) for n in range(2042)]
    with opened(layout(*items)) as image:
        assert len(image.metadata.entries) == 2047


def test_an_empty_item_is_legal_and_has_no_place() -> None:
    """libvhdi refuses it."""
    with opened(layout(MetadataItem(UNKNOWN_ITEM, b"", 0))) as image:
        assert image.metadata.entries[-1][2:4] == (0, 0)
    made = layout(MetadataItem(UNKNOWN_ITEM, b"", 0, offset=64 * KIB))
    assert refused_with(made) == "MET-10"


@pytest.mark.parametrize(
    ("offset", "length", "rule"),
    [
        (64 * KIB - 1, 4, "MET-06"),
        (1, 4, "MET-06"),
        (MIB - 3, 4, "MET-07"),
        (2**32 - 1, 2**32 - 1, "MET-07"),
        (2**32 - 2, 4, "MET-07"),
        (64 * KIB + 9, 1, "MET-08"),
    ],
)
def test_the_place_of_every_item_is_judged(offset: int, length: int, rule: str) -> None:
    made = layout(MetadataItem(UNKNOWN_ITEM, b"", 0, offset=offset, length=length))
    error = refusal_of(made)
    assert error.finding.rule == rule
    entry = made.metadata_offset + 32 + 5 * 32
    assert error.finding.where == f"metadata table, entry 5 at {entry:#x}"


@pytest.mark.parametrize("length", [1, 4])
def test_an_item_may_end_with_its_region_and_stand_anywhere(length: int) -> None:
    made = layout(MetadataItem(UNKNOWN_ITEM, b"x" * length, 0, offset=MIB - length))
    with opened(made) as image:
        assert image.metadata.entries[-1].offset == MIB - length


def test_an_item_of_1_mib_is_the_longest() -> None:
    made = layout(
        MetadataItem(UNKNOWN_ITEM, b"", 0, offset=MIB, length=MIB), metadata_length=4 * MIB
    )
    with opened(made) as image:
        assert image.metadata.entries[-1].length == MIB
    made.metadata.items[-1].length = MIB + 1
    assert refused_with(made) == "MET-09"


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 5)), min_size=1, max_size=5))
def test_overlaps_of_items_are_found_whatever_their_order(places: list[tuple[int, int]]) -> None:
    items = [
        MetadataItem(UUID(int=n + 1), b"", 0, 128 * KIB + start, length)
        for n, (start, length) in enumerate(places)
    ]
    made = layout(*items)
    units = [unit for start, length in places for unit in range(start, start + length)]
    if len(units) == len(set(units)):
        opened(made).close()
    else:
        assert refused_with(made) == "MET-08"


def test_an_item_that_holds_several_others_overlaps_each_of_them() -> None:
    places = [(128 * KIB, 9), (128 * KIB + 2, 1), (128 * KIB + 5, 1)]
    made = layout(*(MetadataItem(UUID(int=n + 1), b"", 0, *at) for n, at in enumerate(places)))
    table = metadata_table(SparseSource(made.build().file), made.metadata_offset)
    found = [f for f in metadata.check_table(table, MIB) if f.rule == "MET-08"]
    assert [f.where.partition(" at")[0] for f in found] == [
        "metadata table, entry 6",
        "metadata table, entry 7",
    ]
    assert all("overlaps that of entry 5 at 0x20000 to 0x20009" in f.message for f in found)


# -- unknown items --------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [0, IS_USER, IS_VIRTUAL_DISK, IS_USER | IS_VIRTUAL_DISK])
def test_an_unknown_item_that_is_not_required_is_accepted(flags: int) -> None:
    """cloud-hypervisor refuses it."""
    with opened(layout(MetadataItem(UNKNOWN_ITEM, b"x", flags))) as image:
        entry = image.metadata.entries[-1]
        assert (entry.is_user, entry.is_virtual_disk) == (bool(flags & 1), bool(flags & 2))


@pytest.mark.parametrize("flags", [IS_REQUIRED, IS_REQUIRED | IS_USER, 7])
def test_an_unknown_item_that_is_required_is_refused(flags: int) -> None:
    error = refusal_of(layout(MetadataItem(UNKNOWN_ITEM, b"x", flags)))
    assert error.finding.rule == "MET-13"
    assert str(UNKNOWN_ITEM) in str(error)


@pytest.mark.parametrize("item_id", [CHS_PARAMETERS, INCOMPLETE_FILE])
def test_items_of_microsoft_that_are_not_in_the_text_have_names(item_id: UUID) -> None:
    error = refusal_of(layout(MetadataItem(item_id, b"", IS_REQUIRED)))
    assert error.finding.rule == "ITEM-21"
    word = "incomplete" if item_id == INCOMPLETE_FILE else "CHS"
    assert word in str(error)
    with opened(layout(MetadataItem(item_id, b"", 0))) as image:
        assert len(image.metadata.entries) == 6


# -- known items ----------------------------------------------------------------------------------

KNOWN = {
    FILE_PARAMETERS: 8,
    VIRTUAL_DISK_SIZE: 8,
    VIRTUAL_DISK_ID: 16,
    LOGICAL_SECTOR_SIZE: 4,
    PHYSICAL_SECTOR_SIZE: 4,
}


@pytest.mark.parametrize("item_id", KNOWN)
def test_every_required_item_has_to_be_there(item_id: UUID) -> None:
    made = layout()
    made.metadata.items.remove(made.metadata.find(item_id))
    assert refused_with(made) == "ITEM-01"


@pytest.mark.parametrize("item_id", KNOWN)
@pytest.mark.parametrize("by", [-4, -1, 1, 100])
def test_every_known_item_has_to_have_its_length(item_id: UUID, by: int) -> None:
    made = layout()
    item = made.metadata.find(item_id)
    item.data = item.data.ljust(200, b"\0")[: len(item.data) + by]
    error = refusal_of(made)
    assert error.finding.rule == "ITEM-02"
    assert (error.finding.actual, error.finding.expected) == (
        str(KNOWN[item_id] + by),
        str(KNOWN[item_id]),
    )


@pytest.mark.parametrize("item_id", KNOWN)
def test_the_checks_of_the_items_look_at_the_length_of_each(item_id: UUID) -> None:
    made = layout()
    made.metadata.find(item_id).data += b"\0"
    source = SparseSource(made.build().file)
    table = metadata_table(source, made.metadata_offset)
    region = RegionEntry(METADATA_REGION, made.metadata_offset, MIB, 1)
    items = metadata.Items(source, region, table)
    with pytest.raises(FormatError) as caught:
        list(chain.from_iterable(metadata.check_items(items, table)))
    assert caught.value.finding.rule == "ITEM-02"


@pytest.mark.parametrize(
    ("flags", "disk_type"),
    [(0, "dynamic"), (1, "fixed"), (2, "differencing"), (3, "differencing")],
)
def test_two_bits_tell_the_type_of_the_disk(flags: int, disk_type: str) -> None:
    """LeaveBlockAllocated means nothing beside HasParent; libvhdi refuses both together."""
    made = base_differencing().layout()
    made.metadata.find(FILE_PARAMETERS).data = struct.pack("<II", MIB, flags)
    with opened(made) as image:
        assert image.metadata.disk_type == disk_type
        assert (image.locator is not None) == (disk_type == "differencing")


BLOCK_SIZES = [MIB << shift for shift in range(9)]


@pytest.mark.parametrize("size", BLOCK_SIZES)
def test_every_power_of_two_from_1_to_256_mib_is_a_block_size(size: int) -> None:
    with opened(dynamic(size, block_size=size).build()) as image:
        assert image.metadata.block_size == size


@pytest.mark.parametrize(
    ("size", "rule"),
    [
        (0, "ITEM-05"),
        (1, "ITEM-05"),
        (512 * KIB, "ITEM-05"),
        (512 * MIB, "ITEM-05"),
        (2**31, "ITEM-05"),
        (3 * MIB, "ITEM-06"),
        (MIB + 1, "ITEM-06"),
        (256 * MIB - MIB, "ITEM-06"),
        (2**32 - 1, "ITEM-05"),
    ],
)
def test_nothing_else_is_a_block_size(size: int, rule: str) -> None:
    assert refused_with(with_item(FILE_PARAMETERS, struct.pack("<II", size, 0))) == rule


@pytest.mark.parametrize("logical", [512, 4096])
@pytest.mark.parametrize("physical", [512, 4096])
def test_sectors_have_512_or_4096_bytes(logical: int, physical: int) -> None:
    made = dynamic(8 * MIB, logical_sector_size=logical, physical_sector_size=physical)
    with opened(made.build()) as image:
        assert image.metadata.logical_sector_size == logical
        assert image.metadata.physical_sector_size == physical


@pytest.mark.parametrize("size", [0, 1, 256, 520, 1024, 2048, 8192, 2**32 - 1])
@pytest.mark.parametrize(
    ("item_id", "rule"), [(LOGICAL_SECTOR_SIZE, "ITEM-15"), (PHYSICAL_SECTOR_SIZE, "ITEM-16")]
)
def test_and_no_other_number_of_bytes(item_id: UUID, rule: str, size: int) -> None:
    """Whatever it is, nobody has divided by it before."""
    assert refused_with(with_item(item_id, size.to_bytes(4, "little"))) == rule


@pytest.mark.parametrize(
    ("size", "logical", "rule"),
    [
        (0, 512, "ITEM-13"),
        (511, 512, "ITEM-11"),
        (8 * MIB + 1, 512, "ITEM-11"),
        (8 * MIB + 512, 4096, "ITEM-11"),
        (64 * TIB + 512, 512, "ITEM-12"),
        (2**64 - 512, 512, "ITEM-12"),
        (2**63, 4096, "ITEM-12"),
    ],
)
def test_the_size_of_the_disk_is_judged(size: int, logical: int, rule: str) -> None:
    made = with_item(VIRTUAL_DISK_SIZE, size.to_bytes(8, "little"))
    made.metadata.find(LOGICAL_SECTOR_SIZE).data = logical.to_bytes(4, "little")
    assert refused_with(made) == rule


@pytest.mark.parametrize(("size", "logical"), [(512, 512), (8 * MIB + 512, 512), (4096, 4096)])
def test_a_disk_has_any_whole_number_of_sectors(size: int, logical: int) -> None:
    """7-Zip refuses an odd number of sectors."""
    with opened(dynamic(size, logical_sector_size=logical).build()) as image:
        assert image.metadata.virtual_disk_size == size


def test_the_largest_disk_has_64_tib() -> None:
    built = dynamic(64 * TIB, block_size=256 * MIB).build()
    with opened(built) as image:
        assert image.metadata.virtual_disk_size == 64 * TIB


@pytest.mark.parametrize("value", [UUID(int=0), UUID(int=2**128 - 1)])
def test_any_disk_id_will_do(value: UUID) -> None:
    with opened(dynamic(virtual_disk_id=value).build()) as image:
        assert image.metadata.virtual_disk_id == value


def test_has_parent_and_the_parent_locator_belong_together() -> None:
    made = base_differencing().layout()
    made.metadata.items.remove(made.metadata.find(PARENT_LOCATOR))
    assert refused_with(made) == "ITEM-19"


def test_a_locator_of_1_mib_is_the_longest() -> None:
    made = base_differencing().but(metadata_length=4 * MIB).layout()
    item = made.metadata.find(PARENT_LOCATOR)
    item.data, item.offset = item.data.ljust(MIB, b"\0"), MIB
    with opened(made) as image:
        assert image.metadata.parent_locator is not None
        assert len(image.metadata.parent_locator.raw) == MIB


def test_a_locator_without_has_parent_is_not_even_parsed() -> None:
    """QEMU refuses a file that lists one."""
    made = layout(MetadataItem(PARENT_LOCATOR, b"\xff" * 5, IS_REQUIRED))
    with opened(made) as image:
        assert image.metadata.disk_type == "dynamic"
        assert image.locator is None


def test_opening_reads_the_table_and_the_known_items_and_nothing_else() -> None:
    huge = [MetadataItem(UUID(int=n + 1), b"", 0, MIB * (n + 1), MIB) for n in range(100)]
    built = layout(*huge, metadata_length=200 * MIB).build()
    source = SparseSource(built.file)
    Image(source).close()
    assert source.bytes_read < MIB


@fewer(3)
@given(drawn.images())
def test_any_drawn_image_says_what_its_model_says(built: Any) -> None:
    with opened(built) as image:
        known = image.metadata
        model = built.model
        assert known.disk_type == model.disk_type
        assert known.virtual_disk_size == model.size
        assert known.virtual_disk_id == model.virtual_disk_id
        assert known.block_size == model.block_size
        assert known.logical_sector_size == model.logical_sector_size
        assert known.physical_sector_size == model.physical_sector_size
