"""The door to the compiled grammar: records are what the bytes say."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kaitaistruct import KaitaiStream
from vhdx_kaitai.generated.vhdx import Vhdx

from tests.images.goods import GOODS
from tests.images.image import Block, differencing, dynamic
from tests.images.log import Data, Descriptor, Entry, Log, Zero
from tests.images.structures import (
    IS_REQUIRED,
    IS_USER,
    IS_VIRTUAL_DISK,
    KIB,
    MIB,
    TIB,
    Header,
    RegionTable,
)
from tests.support import SparseSource, damaged, good
from vhdx_kaitai.errors import FormatError
from vhdx_kaitai.format import grammar, structures
from vhdx_kaitai.format.place import HEADERS, REGION_TABLES, Place
from vhdx_kaitai.storage.source import BufferSource

SMALL_GOODS = [name for name in GOODS if not name.startswith(("regions-", "user-items", "dirty-"))]


# -- records: what the builder packed --------------------------------------------------------------


def is_header(record: structures.Header, packed: Header) -> bool:
    return record[3:] == (
        packed.checksum if packed.checksum is not None else record.checksum,
        packed.sequence_number,
        packed.file_write_guid,
        packed.data_write_guid,
        packed.log_guid,
        packed.log_version,
        packed.version,
        packed.log_length,
        packed.log_offset,
        packed.reserved.ljust(4016, b"\0"),
    )


@pytest.mark.parametrize("name", SMALL_GOODS)
def test_headers_say_what_the_builder_packed(name: str) -> None:
    built = good(name)
    section = grammar.HeaderSection(SparseSource(built.file))
    for copy, packed in enumerate(built.layout.headers, 1):
        record = section.header(copy)
        raw = packed.pack()[:4096].ljust(4096, b"\0")
        assert record.raw == raw
        assert record.checksum == int.from_bytes(raw[4:8], "little")
        assert record.is_signature_valid == (raw[:4] == b"head")
        assert record.place is HEADERS[copy - 1]
        if packed.raw is None:
            assert is_header(record, packed)


@given(st.binary(min_size=80, max_size=120), st.booleans())
def test_a_header_that_is_taken_in_one_call_is_what_the_compiled_grammar_reads(
    data: bytes, is_right: bool
) -> None:
    data = (b"head" + data[4:] if is_right else data).ljust(4096, b"\1")
    record = grammar.HeaderSection(BufferSource(bytes(64 * KIB) + data)).header(1)
    parsed = Vhdx.Header(KaitaiStream(BytesIO(data)))
    for name in record._fields[2:]:
        wanted = getattr(parsed, name)
        assert getattr(record, name) == (
            UUID(bytes_le=wanted.raw) if isinstance(wanted, Vhdx.Guid) else wanted
        )


def assert_is_table(record: structures.RegionTable, packed: RegionTable) -> None:
    raw = packed.pack()
    assert record.raw == raw
    assert record.is_signature_valid == (raw[:4] == b"regi")
    assert record.checksum == int.from_bytes(raw[4:8], "little")
    if packed.raw is None:
        assert record.reserved == packed.reserved
        assert record.num_entries == (
            len(packed.entries) if packed.entry_count is None else packed.entry_count
        )
        assert [tuple(entry) for entry in record.entries[: len(packed.entries)]] == [
            (entry.guid, entry.file_offset, entry.length, entry.required)
            for entry in packed.entries
        ]


@pytest.mark.parametrize(
    "name", ["dynamic-plain", "region-table-2-missing", "regions-2047", "unknown-region-optional"]
)
def test_region_tables_say_what_the_builder_packed(name: str) -> None:
    built = good(name)
    section = grammar.HeaderSection(SparseSource(built.file))
    tables = section.region_table(1), section.region_table(2)
    for copy, (record, packed) in enumerate(zip(tables, built.layout.region_tables, strict=True)):
        assert_is_table(record, packed)
        assert record.place is REGION_TABLES[copy]


@pytest.mark.parametrize("name", ["region-entry-count-2048", "region-entry-count-max"])
def test_a_region_table_never_has_more_entries_than_room_for_them(name: str) -> None:
    table = grammar.HeaderSection(SparseSource(damaged(name).file)).region_table(1)
    assert table.num_entries > 2047
    assert len(table.entries) <= 2047


@pytest.mark.parametrize("name", SMALL_GOODS)
def test_the_creator_is_what_the_builder_wrote(name: str) -> None:
    built = good(name)
    expected = built.layout.identifier.creator
    if isinstance(expected, bytes):
        expected = expected.decode("utf-16-le", "surrogatepass").partition("\0")[0]
    section = grammar.HeaderSection(SparseSource(built.file))
    assert grammar.identifier(section.identifier()).creator == (expected or None)


@pytest.mark.parametrize(
    "name",
    ["dynamic-plain", "items-of-all-kinds", "items-in-another-order", "stale-metadata-entry"],
)
def test_the_metadata_table_says_what_the_builder_packed(name: str) -> None:
    built = good(name)
    packed = built.layout.metadata
    offset = built.layout.metadata_offset
    record = grammar.metadata_table(SparseSource(built.file), offset)
    assert record.place.base == offset
    assert record.num_entries == len(packed.items)
    assert (record.reserved, record.reserved_2) == (packed.reserved, bytes(20))
    assert [entry[1:] for entry in record.entries] == [
        (
            item.item_id,
            at,
            item.stated_length,
            bool(item.flags & IS_USER),
            bool(item.flags & IS_VIRTUAL_DISK),
            bool(item.flags & IS_REQUIRED),
            item.flags >> 3,
            item.reserved2,
        )
        for at, item in packed.placed()
    ]


def test_a_user_item_is_never_a_known_one() -> None:
    built = good("items-of-all-kinds")
    record = grammar.metadata_table(SparseSource(built.file), built.layout.metadata_offset)
    kinds = {(entry.item_id, entry.is_user): entry.kind for entry in record.entries}
    assert sorted(set(kinds.values()) - {"other"}) == [
        "file_parameters",
        "logical_sector_size",
        "physical_sector_size",
        "virtual_disk_id",
        "virtual_disk_size",
    ]
    assert {kind for (_, is_user), kind in kinds.items() if is_user} == {"other"}


@pytest.mark.parametrize("flags", range(16))
def test_file_parameters_are_a_size_and_bits(flags: int) -> None:
    data = struct.pack("<II", 32 * MIB, flags | 0x80000000)
    item = grammar.file_parameters(data, Place("x", "file_parameters_item", 0))
    assert item == (32 * MIB, bool(flags & 1), bool(flags & 2), (flags | 0x80000000) >> 2)


def test_items_of_one_number_or_guid_are_that() -> None:
    place = Place("x", "virtual_disk_size_item", 0)
    assert grammar.virtual_disk_size((64 * TIB).to_bytes(8, "little"), place) == 64 * TIB
    assert grammar.logical_sector_size(b"\0\x10\0\0", place) == 4096
    assert grammar.physical_sector_size(b"\0\2\0\0", place) == 512
    value = UUID("00112233-4455-6677-8899-aabbccddeeff")
    assert grammar.virtual_disk_id(value.bytes_le, place) == value


def test_the_parent_locator_says_what_the_builder_packed() -> None:
    locator = differencing().resolved_locator()
    assert locator is not None
    data = locator.pack()
    record = grammar.parent_locator(data, Place("x", "parent_locator_item", MIB))
    assert record.locator_type == locator.locator_type
    assert record.num_key_values == len(record.entries) == len(locator.entries)
    assert record.len_table == 20 + 12 * len(locator.entries)
    assert record.raw == data
    for entry, packed in zip(record.entries, locator.entries, strict=True):
        key = data[entry.ofs_key : entry.ofs_key + entry.len_key].decode("utf-16-le")
        value = data[entry.ofs_value : entry.ofs_value + entry.len_value].decode("utf-16-le")
        assert (key, value) == (packed.key, packed.value)


def test_a_log_entry_says_what_the_builder_packed() -> None:
    first = Data(5 * MIB, b"\x01" * 4096, leading=b"12345678", trailing=b"abcd")
    items: list[Descriptor] = [first, Zero(6 * MIB, 8192, reserved=7), Data(7 * MIB, b"x")]
    entry = Entry(items, sequence_number=(5 << 32) + 6, reserved=9, tail=4096)
    placed = Log(UUID(int=77), [entry], file_length=3 * MIB, last_length=4 * MIB).placed()[0]
    record = grammar.log_entry(placed.pack())
    assert record is not None
    assert record.header[2:] == (
        placed.length,
        4096,
        (5 << 32) + 6,
        3,
        9,
        UUID(int=77),
        3 * MIB,
        4 * MIB,
    )
    assert record.header == grammar.log_entry_header(placed.pack()[:4096])
    number = (5 << 32) + 6
    kind = grammar.DescriptorKind
    assert record.descriptors == (
        (kind.data_descriptor, 5 * MIB, number, 0, 0, b"12345678", b"abcd"),
        (kind.zero_descriptor, 6 * MIB, number, 8192, 7, b"", b""),
        (kind.data_descriptor, 7 * MIB, number, 0, 0, b"x" + bytes(7), bytes(4)),
    )
    assert record.data_sectors == ((True, number, b"\x01" * 4084), (True, number, bytes(4084)))
    assert record.padding == bytes(4096 - 64 - 3 * 32)
    assert record.len_descriptor_sectors == 4096


@given(st.integers(0, 2**64 - 1))
def test_a_bat_entry_is_state_reserved_bits_and_offset(value: int) -> None:
    entry = grammar.bat_entry(value.to_bytes(8, "little"))
    assert entry == (value & 7, value >> 3 & 0x1FFFF, value >> 20)


# -- any bytes ----------------------------------------------------------------------------------

DOORS: dict[str, Callable[[bytes], object]] = {
    "log entry": grammar.log_entry,
    "parent locator": lambda data: grammar.parent_locator(
        data, Place("x", "parent_locator_item", 0)
    ),
    "file parameters": lambda data: grammar.file_parameters(
        data, Place("x", "file_parameters_item", 0)
    ),
    "virtual disk size": lambda data: grammar.virtual_disk_size(
        data, Place("x", "virtual_disk_size_item", 0)
    ),
    "virtual disk id": lambda data: grammar.virtual_disk_id(
        data, Place("x", "virtual_disk_id_item", 0)
    ),
    "logical sector size": lambda data: grammar.logical_sector_size(
        data, Place("x", "logical_sector_size_item", 0)
    ),
    "physical sector size": lambda data: grammar.physical_sector_size(
        data, Place("x", "physical_sector_size_item", 0)
    ),
    "metadata table": lambda data: grammar.metadata_table(
        BufferSource(data.ljust(64 * KIB, b"\0")), 0
    ),
    "header": lambda data: grammar.HeaderSection(BufferSource(data.ljust(MIB, b"\0"))).header(1),
    "region table": lambda data: grammar.HeaderSection(
        BufferSource(bytes(192 * KIB) + data.ljust(MIB, b"\0"))
    ).region_table(1),
}


@pytest.mark.parametrize("name", DOORS)
@given(st.sampled_from((b"", b"loge", b"metadata", b"regi")), st.binary(max_size=300))
@example(b"loge", bytes(20) + b"\xff" * 4 + bytes(36))
@example(b"metadata", b"\0\0\xff\xff" + b"\xff" * 200)
@example(b"regi", bytes(4) + b"\xff" * 200)
def test_any_bytes_give_a_record_or_an_error_of_ours(name: str, start: bytes, rest: bytes) -> None:
    with suppress(FormatError):
        DOORS[name](start + rest)


@pytest.mark.parametrize("length", [0, 7, 9, 12])
def test_an_item_of_another_length_says_which_it_has_to_have(length: int) -> None:
    place = Place("Virtual Disk Size", "virtual_disk_size_item", 0x210008)
    with pytest.raises(FormatError) as caught:
        grammar.virtual_disk_size(bytes(length), place)
    assert str(caught.value) == (
        f"Virtual Disk Size at 0x210008: Length {length}, expected 8 [ITEM-02, MS-VHDX 2.6.2]"
    )
    assert caught.value.finding.offset == 0x210008


def test_a_metadata_region_without_its_signature_is_refused() -> None:
    built = dynamic(blocks={0: Block()}).build()
    with pytest.raises(FormatError) as caught:
        grammar.metadata_table(SparseSource(built.file), built.layout.bat_offset)
    assert caught.value.finding.rule == "MET-01"
    assert caught.value.finding.offset == built.layout.bat_offset


@pytest.mark.parametrize("count", [1, 5, 0xFFFF])
def test_counts_that_do_not_fit_make_no_entries(count: int) -> None:
    data = bytes(18) + count.to_bytes(2, "little")
    record = grammar.parent_locator(data, Place("x", "parent_locator_item", 0))
    assert (record.num_key_values, record.entries) == (count, ())
    assert record.len_table == 20 + 12 * count


def test_an_identifier_without_its_signature_is_refused() -> None:
    with pytest.raises(FormatError) as caught:
        grammar.identifier(b"vhdxfilm" + bytes(512))
    assert str(caught.value) == (
        "file type identifier at 0x0: signature 'vhdxfilm', expected 'vhdxfile'"
        " [FTI-01, MS-VHDX 2.2.1]"
    )
