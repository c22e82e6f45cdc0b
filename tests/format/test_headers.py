"""The two headers, and which of them is believed. Damages to them are in `reading.test_image`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kaitaistruct import KaitaiStructError
from vhdx_kaitai.generated.vhdx import Vhdx

from tests.images.bases import OTHER_GUID, base_dynamic
from tests.images.dirty import dirty
from tests.images.image import Layout, dynamic
from tests.images.structures import MIB, ZERO_GUID, Header
from tests.support import SparseSource, good, opened, read_headers
from vhdx_kaitai import probe
from vhdx_kaitai.errors import FormatError, TruncatedError
from vhdx_kaitai.format import headers
from vhdx_kaitai.format.grammar import HeaderSection
from vhdx_kaitai.format.place import IDENTIFIER
from vhdx_kaitai.storage.source import BufferSource


def layout() -> Layout:
    """Return an image whose header 1 has number 1 and whose header 2 has number 2."""
    return base_dynamic().layout()


def chosen(made: Layout) -> int:
    """Return which header an opened image believes."""
    with opened(made) as image:
        return image.headers.current_copy


def refused_with(made: Layout) -> str:
    with pytest.raises(FormatError) as caught:
        opened(made)
    return caught.value.finding.rule


# -- identifier -----------------------------------------------------------------------------------


def test_the_signature_is_the_one_the_grammar_demands() -> None:
    assert (IDENTIFIER.offset, IDENTIFIER.length) == (0, len(headers.SIGNATURE))
    Vhdx.from_bytes(headers.SIGNATURE + bytes(MIB))
    for position in range(len(headers.SIGNATURE)):
        wrong = bytearray(headers.SIGNATURE)
        wrong[position] ^= 0x20
        with pytest.raises(KaitaiStructError, match="expected b'vhdxfile'"):
            Vhdx.from_bytes(bytes(wrong) + bytes(MIB))


@given(st.binary(max_size=20))
def test_a_probe_looks_at_the_signature_alone(data: bytes) -> None:
    assert probe(data) == (100 if data.startswith(b"vhdxfile") else 0)
    assert probe(b"vhdxfile" + data) == 100
    assert probe(memoryview(b"vhdxfile" + data)) == 100
    assert probe(bytearray(b"vhdxfil" + data[:0])) == 0


@given(st.integers(0, 63))
def test_one_wrong_bit_makes_it_another_file(bit: int) -> None:
    wrong = bytearray(b"vhdxfile")
    wrong[bit // 8] ^= 1 << bit % 8
    assert probe(bytes(wrong)) == 0
    with pytest.raises(FormatError) as caught:
        read_headers(BufferSource(bytes(wrong) + bytes(MIB)))
    assert caught.value.finding.rule == "FTI-01"
    text = wrong.decode("latin-1")
    shown = f"'{text}'" if text.isascii() and text.isprintable() else wrong.hex(" ")
    assert f"signature {shown}, expected 'vhdxfile'" in str(caught.value)


# -- the choice -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "two", "copy"),
    [(1, 2, 2), (2, 1, 1), (0, 1, 2), (1, 0, 1), (2**64 - 1, 0, 1), (2**63, 2**63 - 1, 1)],
)
def test_the_valid_copy_with_the_greater_number_is_current(one: int, two: int, copy: int) -> None:
    made = layout()
    made.headers[0].sequence_number, made.headers[1].sequence_number = one, two
    assert chosen(made) == copy


@pytest.mark.parametrize("copy", [1, 2])
@pytest.mark.parametrize(
    "damage", [{"checksum": 1}, {"signature": b"heaD"}, {"raw": bytes(4096)}, {"raw": b"\xff" * 64}]
)
def test_the_only_valid_copy_is_current_whatever_its_number(
    copy: int, damage: dict[str, Any]
) -> None:
    made = layout()
    made.headers[copy - 1].sequence_number = 1000
    for name, value in damage.items():
        setattr(made.headers[copy - 1], name, value)
    assert chosen(made) == 3 - copy


def test_identical_copies_are_accepted_and_the_first_is_used() -> None:
    """Disk2vhd writes two of them; by the letter neither would be current."""
    made = layout()
    made.set_headers(sequence_number=7)
    assert chosen(made) == 1


@pytest.mark.parametrize(
    "difference",
    [
        {"file_write_guid": OTHER_GUID},
        {"data_write_guid": OTHER_GUID},
        {"log_offset": 64 * MIB},
        {"reserved": bytes(4015) + b"\x01"},
    ],
)
def test_different_copies_with_the_same_number_are_refused(difference: dict[str, Any]) -> None:
    """QEMU compares 80 bytes only, others nothing; all 4096 are one structure."""
    made = layout()
    made.set_headers(sequence_number=7)
    for name, value in difference.items():
        setattr(made.headers[1], name, value)
    assert refused_with(made) == "HDR-06"


def test_the_version_is_judged_after_the_choice() -> None:
    """QEMU takes a copy with another version for a damaged one and uses the other."""
    made = layout()
    made.headers[1].version = 2
    assert refused_with(made) == "HDR-08"
    made = layout()
    made.headers[0].version = 2
    assert chosen(made) == 2


def test_a_damaged_copy_with_a_wrong_version_does_not_count() -> None:
    made = layout()
    made.headers[1].version = 2
    made.headers[1].checksum = 1
    assert chosen(made) == 1


def test_only_fields_of_the_current_header_are_used() -> None:
    made = layout()
    made.headers[0] = replace(made.headers[0], log_offset=3, log_length=5, log_guid=OTHER_GUID)
    with opened(made) as image:
        assert image.headers.current.log_guid == ZERO_GUID
        assert image.replayed is None


@given(st.data())
def test_the_choice_is_that_of_the_model(data: st.DataObject) -> None:
    built = good("dynamic-plain")
    made = built.image.layout()
    for header in made.headers:
        header.sequence_number = data.draw(st.integers(0, 3))
        if data.draw(st.booleans()):
            header.data_write_guid = OTHER_GUID
        if data.draw(st.integers(0, 3)) == 0:
            header.checksum = data.draw(st.integers(0, 1))
    expected = made.build().model.current_copy
    if expected is None:
        assert refused_with(made) in ("HDR-05", "HDR-06")
    else:
        assert chosen(made) == expected


def test_neither_copy_valid_tells_the_reason_of_each() -> None:
    made = layout()
    made.headers[0].signature = b"HEAD"
    made.headers[1].checksum = 0xDEADBEEF
    with pytest.raises(FormatError) as caught:
        opened(made)
    text = str(caught.value)
    assert "HDR-05" in text
    assert "signature 'HEAD', expected 'head'" in text
    assert "0xdeadbeef" in text


# -- the current header ---------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 0xFFFF])
def test_the_log_version_matters_only_where_there_is_a_log_guid(version: int) -> None:
    """QEMU refuses it always, vhdx-forensic demands 1."""
    made = layout()
    made.set_headers(log_version=version)
    assert chosen(made) == 2
    made = dirty(base_dynamic())
    made.set_headers(log_version=version)
    assert refused_with(made) == "HDR-09"


def test_a_log_of_no_length_has_no_place() -> None:
    """QEMU wants LogOffset to be at least 1 MiB even then."""
    made = layout()
    made.set_headers(log_length=0, log_offset=0)
    with opened(made) as image:
        assert image.log is None


def test_a_clean_log_of_any_length_is_accepted() -> None:
    """LogLength without a LogGuid is the normal state; vhdx-forensic calls it dirty."""
    with opened(dynamic(4 * MIB, log_length=7 * MIB).build()) as image:
        assert image.replayed is None
        assert image.log is not None
        assert image.log.length == 7 * MIB


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"log_length": MIB + 512}, "HDR-10"),
        ({"log_offset": MIB + 512}, "HDR-11"),
        ({"log_offset": 0}, "HDR-12"),
        ({"log_offset": 100 * MIB}, "HDR-13"),
        ({"log_offset": 2**64 - MIB, "log_length": 4 * MIB}, "HDR-13"),
        ({"log_guid": OTHER_GUID, "log_length": 0}, "HDR-15"),
        ({"log_length": 2**32 - MIB, "log_guid": OTHER_GUID}, "HDR-13"),
    ],
)
def test_the_place_of_the_log_is_judged(fields: dict[str, Any], rule: str) -> None:
    made = layout()
    made.set_headers(**fields)
    with pytest.raises(FormatError) as caught:
        opened(made)
    assert caught.value.finding.rule == rule
    assert isinstance(caught.value, TruncatedError) == (rule == "HDR-13")
    assert caught.value.finding.where == "header 2 at 0x20000"


@pytest.mark.parametrize(
    ("newer", "expected"), [(7, []), (8, []), (9, ["HDR-26"]), (10, ["HDR-26"])]
)
def test_one_update_makes_the_number_greater_by_one(newer: int, expected: list[str]) -> None:
    made = layout()
    made.headers[0].sequence_number, made.headers[1].sequence_number = newer, 7
    copies = headers.judge_copies(HeaderSection(SparseSource(made.build().file)))
    assert [found.rule for found in headers.check_update(copies)] == expected


def test_of_several_fields_that_an_update_left_the_first_is_pointed_at() -> None:
    made = layout()
    made.headers[0] = replace(made.headers[0], file_write_guid=OTHER_GUID, log_offset=3 * MIB)
    copies = headers.judge_copies(HeaderSection(SparseSource(made.build().file)))
    (found,) = headers.check_update(copies)
    assert (found.rule, found.offset, found.length) == ("HDR-27", 0x10000 + 16, 16)


@pytest.mark.parametrize(("field", "offset"), [("file_write_guid", 16), ("data_write_guid", 32)])
def test_a_guid_that_is_zero_is_pointed_at(field: str, offset: int) -> None:
    made = layout()
    made.set_headers(**{field: ZERO_GUID})
    with opened(made) as image:
        (found,) = headers.check_current(image.headers.current, image.file_size)
    assert (found.rule, found.offset, found.length) == ("HDR-20", 0x20000 + offset, 16)


@pytest.mark.parametrize(
    ("unit", "is_text"), [(0xD7FF, True), (0xD800, False), (0xDFFF, False), (0xE000, True)]
)
def test_half_a_surrogate_pair_is_no_text(unit: int, is_text: bool) -> None:
    made = layout()
    made.identifier.creator = b"A\0" + unit.to_bytes(2, "little") + b"B\0"
    identifier = HeaderSection(SparseSource(made.build().file)).identifier()
    assert [f.rule for f in headers.check_creator(identifier)] == ([] if is_text else ["FTI-03"])


def test_the_finding_about_a_field_points_at_the_field() -> None:
    made = layout()
    made.set_headers(log_offset=MIB + 512)
    with pytest.raises(FormatError) as caught:
        opened(made)
    found = caught.value.finding
    assert (found.offset, found.length) == (0x20000 + 72, 8)
    assert (found.actual, found.expected) == ("0x100200", "a multiple of 1 MiB")


@pytest.mark.parametrize("size", [0, 8, MIB - 1])
def test_a_file_without_room_for_the_header_section_is_truncated(size: int) -> None:
    findings = list(headers.check_file_length(size))
    assert [(f.rule, f.level) for f in findings] == [("GEN-07", "error")]


@pytest.mark.parametrize("size", [MIB, 3 * MIB, 1 << 46])
def test_a_length_of_whole_mib_is_not_worth_a_word(size: int) -> None:
    assert list(headers.check_file_length(size)) == []
    findings = list(headers.check_file_length(size + 512))
    assert [(f.rule, f.level) for f in findings] == [("GEN-08", "note")]
    assert (findings[0].offset, findings[0].length) == (size, 512)


def test_headers_are_read_from_where_they_are_and_nothing_else_is() -> None:
    source = SparseSource(good("dynamic-plain").file)
    read_headers(source)
    assert source.bytes_read <= 520 + 2 * 4096


@pytest.mark.parametrize("name", ["sequence_number", "file_write_guid", "log_length"])
def test_every_bit_of_a_header_is_under_its_checksum(name: str) -> None:
    made = layout()
    packed = bytearray(made.headers[1].pack())
    offset = {"sequence_number": 8, "file_write_guid": 16, "log_length": 68}[name]
    packed[offset] ^= 1
    made.headers[1] = Header(0, ZERO_GUID, ZERO_GUID, raw=bytes(packed))
    with opened(made) as image:
        assert image.headers.current_copy == 1
        defect = image.headers.copies[1].defect
    assert defect is not None
    assert defect.rule == "HDR-03"
