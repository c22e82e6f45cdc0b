"""What is printed of sizes, of counts, and of text that a stranger wrote."""

from __future__ import annotations

import unicodedata
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.images.structures import MIB
from vhdx_kaitai.text import as_markdown, counted, human_size, printable, quoted, signature_text

TIB = 1 << 40
HOSTILE = "a\x1b[31mb\x07c\u202ed\u2066e\x9bf\ud800"


@given(st.text(st.characters()))
@example(HOSTILE)
@example("\u2028\u2029\u200f\u061c\ufeff\U000e0001\u00ad")
def test_escaped_text_is_printable_and_printable_text_is_left_alone(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in shown)
    if text.isprintable():
        assert shown == text


@given(st.text(st.sampled_from("a\x1b\u202e\ud800\U000e0001\n")))
def test_escapes_tell_which_character_was_there(text: str) -> None:
    def value(char: str) -> str:
        for width, letter in ((2, "x"), (4, "u"), (8, "U")):
            if ord(char) < 16**width:
                return f"\\{letter}{ord(char):0{width}x}"
        raise AssertionError(char)

    assert printable(text) == "".join(c if c == "a" else value(c) for c in text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", "''"),
        ("it's", '"it\'s"'),
        ("\x1b[2J", r"'\x1b[2J'"),
        ("a" * 120, f"'{'a' * 120}'"),
        ("a" * 121, f"'{'a' * 120}'..."),
    ],
)
def test_quoted_text_has_an_end_that_can_be_seen(text: str, shown: str) -> None:
    assert quoted(text) == shown


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"head", "'head'"),
        (b"vhdxfile", "'vhdxfile'"),
        (b"it's", "'it's'"),
        (b"", "no bytes"),
        (bytes(4), "00 00 00 00"),
        (b"hea\n", "68 65 61 0a"),
        (b"he\xe4d", "68 65 e4 64"),
        (b"\x1b[2J", "1b 5b 32 4a"),
    ],
)
def test_a_signature_is_text_when_it_can_be_and_numbers_otherwise(raw: bytes, text: str) -> None:
    assert signature_text(raw) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 entries"), (1, "1 entry"), (2, "2 entries"), (1000, "1000 entries")]
)
def test_a_number_comes_with_the_right_form_of_its_noun(count: int, text: str) -> None:
    assert counted(count, "entry", "entries") == text


def test_a_noun_without_a_plural_of_its_own_gets_an_s() -> None:
    assert counted(1, "byte") == human_size(1) == "1 byte"
    assert counted(2, "byte") == human_size(2) == "2 bytes"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (MIB, "1 MiB"),
        (3 * MIB + MIB // 2, "3.5 MiB"),
        (10 << 30, "10 GiB"),
        (64 * TIB, "64 TiB"),
        (1 << 60, "1 EiB"),
        (9 * MIB - 512, "about 9 MiB"),
        (9 * MIB + 512, "about 9 MiB"),
        (1025, "about 1.001 KiB"),
        (MIB - 1, "about 1024 KiB"),
        (64 * TIB - 512, "about 64 TiB"),
        ((1 << 52) * 11 // 10, "about 4.4 PiB"),
        (TIB + (1 << 30), "about 1.001 TiB"),
    ],
)
def test_a_size_is_told_in_the_largest_unit_that_keeps_it_readable(size: int, text: str) -> None:
    assert human_size(size) == text


@given(st.integers(0, 2**64))
def test_a_size_as_text_is_the_size_to_four_digits(size: int) -> None:
    *about, number, unit = human_size(size).split()
    factor = {
        "byte": 0,
        "bytes": 0,
        "KiB": 10,
        "MiB": 20,
        "GiB": 30,
        "TiB": 40,
        "PiB": 50,
        "EiB": 60,
    }[unit]
    assert abs(float(number) * 2.0**factor - size) <= size * 5e-4
    assert (Fraction(number) * 2**factor == size) == (about == [])
    assert float(number) < 1025


def test_what_markdown_would_act_on_is_escaped() -> None:
    assert as_markdown(r"\\?\Volume{GUID}\...") == r"\\\\?\\Volume{GUID}\\..."
    assert as_markdown("a|b *c* [d](e) `f` <g>") == r"a\|b \*c\* \[d](e) \`f\` \<g>"
    assert as_markdown("parent_linkage of _x_") == r"parent_linkage of \_x\_"
