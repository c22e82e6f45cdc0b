"""Structures and fields stand where the tables of the specification put them."""

from __future__ import annotations

import pytest

from tests.fields import ELEMENTS, FIELDS, LENGTHS
from tests.images.structures import HEADER_OFFSETS, MIB, REGION_TABLE_OFFSETS
from vhdx_kaitai.format.place import HEADERS, IDENTIFIER, REGION_TABLES, Place, mask_of


@pytest.mark.parametrize(
    ("type_name", "field", "offset", "length"),
    [(name, *field) for name, fields in FIELDS.items() for field in fields],
)
def test_a_field_stands_where_the_specification_puts_it(
    type_name: str, field: str, offset: int, length: int
) -> None:
    place = Place("structure", type_name, 7 * MIB).field(field)
    assert (place.offset, place.length) == (7 * MIB + offset, length)
    assert place.text == f"structure at {7 * MIB:#x}"


@pytest.mark.parametrize("type_name", LENGTHS)
def test_a_structure_is_as_long_as_the_specification_says(type_name: str) -> None:
    place = Place("structure", type_name, 0)
    assert (place.offset, place.length) == (0, LENGTHS[type_name])


@pytest.mark.parametrize(("type_name", "field"), ELEMENTS)
@pytest.mark.parametrize("index", [0, 1, 2046])
def test_an_element_stands_after_those_before_it(type_name: str, field: str, index: int) -> None:
    first, element_type = ELEMENTS[type_name, field]
    size = LENGTHS[element_type]
    place = Place("table", type_name, 3 * MIB).element(field, index, "element")
    assert place.base == 3 * MIB + first + index * size
    assert place.text == f"element at {place.base:#x}"
    for name, offset, length in FIELDS[element_type]:
        assert place.field(name).offset == place.base + offset
        assert place.field(name).length == length


def test_headers_and_region_tables_stand_where_the_specification_puts_them() -> None:
    assert tuple(place.base for place in HEADERS) == HEADER_OFFSETS
    assert tuple(place.base for place in REGION_TABLES) == REGION_TABLE_OFFSETS
    assert (IDENTIFIER.offset, IDENTIFIER.length) == (0, 8)


def test_a_place_that_is_nowhere_in_the_file_has_no_offset() -> None:
    place = Place("log entry", "log_entry_header", None)
    assert (place.text, place.offset, place.length) == ("log entry", None, 64)


@pytest.mark.parametrize(
    ("type_name", "field", "mask"),
    [
        ("payload_bat_entry", "state", 0x7),
        ("payload_bat_entry", "reserved", 0xFFFF8),
        ("payload_bat_entry", "file_offset_mb_low", 0xFFF00000),
        ("payload_bat_entry", "file_offset_mb_high", 0xFFFFFFFF00000000),
        ("file_parameters_item", "block_size", 0xFFFFFFFF),
        ("file_parameters_item", "has_parent", 1 << 33),
        ("parent_locator_entry", "len_value", 0xFFFF << 80),
    ],
)
def test_a_field_has_its_bits_in_the_number_that_the_structure_is(
    type_name: str, field: str, mask: int
) -> None:
    assert mask_of(type_name, field) == mask
