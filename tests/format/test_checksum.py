"""CRC-32C as VHDX uses it, and that it is looked for where the grammar has it."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder

import pytest
from crc32c import crc32c
from hypothesis import example, given
from hypothesis import strategies as st

from tests.images import crc
from tests.images.log import Data, Entry, Log
from tests.images.structures import KIB, MIB
from tests.support import good
from vhdx_kaitai.errors import Span
from vhdx_kaitai.format import checksum
from vhdx_kaitai.format import crc as plain
from vhdx_kaitai.format.checksum import sealed, structure_checksum
from vhdx_kaitai.format.place import HEADERS, REGION_TABLES, Place


def test_the_check_value_is_that_of_crc_32c() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert structure_checksum(b"1234\0\0\0\0") == crc32c(b"1234\0\0\0\0")


@given(st.binary(max_size=300), st.integers(0, 2**32 - 1))
def test_the_function_is_that_of_the_package_however_it_was_loaded(data: bytes, crc: int) -> None:
    """It is loaded past the package, whose own start takes too long."""
    assert checksum.crc32c(data, crc) == crc32c(data, crc)


def test_a_package_that_is_laid_out_otherwise_is_imported_as_usual(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PathFinder, "find_spec", lambda *_arguments: None)
    assert checksum._load_crc32c() is crc32c


def test_where_nothing_compiled_can_be_loaded_it_is_computed_in_python(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PathFinder, "find_spec", lambda *_arguments: None)
    monkeypatch.setitem(sys.modules, "crc32c", None)
    assert checksum._load_crc32c() is plain.crc32c


@given(st.binary(min_size=8, max_size=200), st.binary(min_size=4, max_size=4))
@example(bytes(8), b"\xff\xff\xff\xff")
def test_the_field_of_the_checksum_counts_as_zero(data: bytes, field: bytes) -> None:
    stored = data[:4] + field + data[8:]
    assert structure_checksum(stored) == crc.crc32c(data[:4] + bytes(4) + data[8:])
    assert structure_checksum(memoryview(stored)) == structure_checksum(stored)


@given(st.binary(min_size=8, max_size=64), st.integers(0, 511), st.integers(0, 7))
def test_every_other_bit_counts(data: bytes, position: int, bit: int) -> None:
    position %= len(data)
    if 4 <= position < 8:
        return
    changed = bytearray(data)
    changed[position] ^= 1 << bit
    assert structure_checksum(bytes(changed)) != structure_checksum(data)


@pytest.mark.parametrize("length", [4096, 64 * KIB, MIB])
def test_long_structures_are_summed_whole(length: int) -> None:
    data = crc.sealed(b"head".ljust(length - 1, b"\0") + b"\x01")
    assert structure_checksum(data) == int.from_bytes(data[4:8], "little")


@pytest.mark.parametrize(
    "place", [*HEADERS, *REGION_TABLES, Place("log entry", "log_entry_header", 0)]
)
def test_the_checksum_stands_where_the_grammar_has_it(place: Place) -> None:
    """In headers, where it is looked for, and in the same place of all others."""
    field = place.field("checksum")
    assert place.base is not None
    assert field.offset == place.base + 4
    assert field.length == 4


@given(st.binary(min_size=8, max_size=200))
def test_a_sealed_structure_has_its_own_checksum_and_is_otherwise_the_same(data: bytes) -> None:
    expected = crc.sealed(data)
    assert sealed(data) == sealed(bytearray(data)) == expected
    assert structure_checksum(sealed(data)) == int.from_bytes(expected[4:8], "little")


def test_the_structures_of_an_image_have_the_checksums_that_the_builder_gave_them() -> None:
    layout = good("dynamic-plain").layout
    entry = Log(layout.headers[0].file_write_guid, [Entry([Data(5 * MIB, b"data")])]).placed()[0]
    structures = [
        *(header.pack() for header in layout.headers),
        *(table.pack() for table in layout.region_tables),
        entry.pack(),
    ]
    for data in structures:
        assert structure_checksum(data) == int.from_bytes(data[4:8], "little")


def test_a_wrong_checksum_is_told_as_stored_and_computed() -> None:
    data = crc.sealed(b"head".ljust(4096, b"\0"))
    right = int.from_bytes(data[4:8], "little")
    assert list(checksum.check("HDR-03", "warning", Span("it"), data, right)) == []
    (found,) = checksum.check("HDR-03", "warning", Span("it"), data, 5)
    assert found.message == f"checksum 0x00000005 stored, {right:#010x} computed"
    assert (found.rule, found.level, found.where) == ("HDR-03", "warning", "it")
    assert (found.actual, found.expected) == ("0x00000005", f"{right:#010x}")
