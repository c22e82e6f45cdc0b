"""The conformance kit: vectors say what their images are, say enough, and every language agrees."""

from __future__ import annotations

import gzip
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.conformance import kit, make
from tests.conformance.kit import Answer, Mismatch, Value
from tests.conformance.makers import MAKERS

GRAMMAR: dict[str, Any] = yaml.safe_load(kit.KSY.read_text(encoding="utf-8"))
TYPES: dict[str, dict[str, Any]] = {"vhdx": GRAMMAR, **GRAMMAR["types"]}
KINDS = {"int", "bool", "bytes", "str", "size", "absent", "error", "broken_text"}


# -- vectors --------------------------------------------------------------------------------------


def test_there_is_a_vector_for_every_maker_and_no_other() -> None:
    assert [vector.name for vector in kit.vectors()] == sorted(MAKERS)
    images = {path.name.removesuffix(".vhdx.gz") for path in kit.VECTORS.glob("*.gz")}
    assert images == set(MAKERS)


@pytest.mark.parametrize("name", MAKERS)
def test_a_vector_is_what_the_builder_makes(name: str) -> None:
    stored = (kit.VECTORS / f"{name}.vhdx.gz").read_bytes()
    assert gzip.decompress(stored) == make.image_bytes(name)
    assert (kit.VECTORS / f"{name}.json").read_text(encoding="utf-8") == make.document(name)
    assert len(stored) < 32 << 10
    assert stored[4:8] == bytes(4), "a time in the file makes every copy differ"


@pytest.mark.parametrize("vector", kit.vectors(), ids=lambda vector: vector.name)
def test_a_vector_tells_values_of_known_kinds_once_each(vector: kit.Vector) -> None:
    assert vector.description.endswith(".")
    assert vector.size == len(vector.image())
    assert {value.kind for value in vector.values} <= KINDS | set(GRAMMAR["enums"])
    paths = [value.path for value in vector.values]
    assert len(paths) == len(set(paths))


# -- coverage -------------------------------------------------------------------------------------


def attributes(name: str) -> dict[str, dict[str, Any]]:
    """Return the parameters, fields and instances of a type."""
    spec = TYPES[name]
    listed = {one["id"]: one for one in (*spec.get("params", ()), *spec.get("seq", ()))}
    return {**listed, **spec.get("instances", {})}


class Seen(NamedTuple):
    """An attribute, and a value that is told of it; kind is `object` on the way to another."""

    owner: str
    name: str
    kind: str
    value: str


def types_of(attribute: dict[str, Any], below: set[str]) -> str | None:
    """Return the user type of an attribute, by what stands below it where it has several."""
    kind = attribute.get("type")
    if isinstance(kind, dict):
        cases = map(plain_name, kind["cases"].values())
        return next((case for case in cases if below and below <= set(attributes(case))), None)
    name = plain_name(str(kind))
    return name if name in TYPES else None


def plain_name(kind: str) -> str:
    """Return the name of a type without its arguments."""
    return kind.split("(", 1)[0].strip()


def seen_in(vector: kit.Vector) -> Iterator[Seen]:
    """Yield every attribute that the paths of a vector go through or end at."""
    below: defaultdict[str, set[str]] = defaultdict(set)
    for path, *_ in vector.values:
        names = path.split(".")
        for depth in range(1, len(names)):
            below[".".join(names[:depth])].add(names[depth].partition("[")[0])
    for path, kind, value, _ in vector.values:
        names = path.split(".")
        owner = "vhdx"
        for depth, step in enumerate(names, 1):
            name = step.partition("[")[0]
            attribute = attributes(owner)[name]
            if depth == len(names):
                yield Seen(owner, name, kind, value)
                break
            yield Seen(owner, name, "object", "")
            following = types_of(attribute, below[".".join(names[:depth])])
            assert following is not None, f"{path}: {name} has nothing below it"
            owner = following


@cache
def seen() -> frozenset[Seen]:
    return frozenset(one for vector in kit.vectors() for one in seen_in(vector))


def everything() -> list[tuple[str, str]]:
    return [(owner, name) for owner in TYPES for name in attributes(owner)]


def told(owner: str, name: str) -> set[tuple[str, str]]:
    """Return the kinds and values that are told of an attribute, errors left out."""
    mine = {(one.kind, one.value) for one in seen() if (one.owner, one.name) == (owner, name)}
    return {one for one in mine if one[0] != "error"}


def ids(one: object) -> str:
    return str(one)


@pytest.mark.parametrize(("owner", "name"), everything(), ids=ids)
def test_every_attribute_of_the_grammar_is_told(owner: str, name: str) -> None:
    assert {kind for kind, _ in told(owner, name)} - {"absent"}


CONDITIONAL = [one for one in everything() if "if" in attributes(one[0])[one[1]]]


@pytest.mark.parametrize(("owner", "name"), CONDITIONAL, ids=ids)
def test_what_has_a_condition_is_told_absent_and_present(owner: str, name: str) -> None:
    kinds = {kind for kind, _ in told(owner, name)}
    assert "absent" in kinds
    assert kinds - {"absent"}


# Booleans that have one value wherever a file shows them.
CONSTANT = {
    ("log_entry_header", "is_signature_valid"): "a slot shows a header where the signature is right"
}


def test_every_boolean_is_told_true_and_false() -> None:
    values: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for owner, name, kind, value in seen():
        if kind == "bool":
            values[owner, name].add(value)
    assert {one for one, told in values.items() if told != {"true", "false"}} == set(CONSTANT)
    assert len(values) > 30


@pytest.mark.parametrize("enum", GRAMMAR["enums"])
def test_every_label_of_an_enum_is_told(enum: str) -> None:
    labels = {label["id"] for label in GRAMMAR["enums"][enum].values()}
    assert {one.value for one in seen() if one.kind == enum} >= labels


SWITCHES = [
    (owner, name, plain_name(case))
    for owner, name in everything()
    if isinstance(attributes(owner)[name].get("type"), dict)
    for case in attributes(owner)[name]["type"]["cases"].values()
]


@pytest.mark.parametrize(("owner", "name", "case"), SWITCHES, ids=ids)
def test_every_case_of_a_switch_is_told(owner: str, name: str, case: str) -> None:
    assert any(one.owner == case for one in seen()), f"{owner}.{name}"


# -- what the values could not tell apart ---------------------------------------------------------

WIDTHS = {"u2": 2, "u4": 4, "u8": 8}
NUMBERS = [one for one in everything() if str(attributes(one[0])[one[1]].get("type")) in WIDTHS]


@pytest.mark.parametrize(("owner", "name"), NUMBERS, ids=ids)
def test_a_number_in_the_other_byte_order_or_with_a_sign_would_be_another(
    owner: str, name: str
) -> None:
    width = WIDTHS[attributes(owner)[name]["type"]]
    values = {int(value) for kind, value in told(owner, name) if kind == "int"}
    stored = [value.to_bytes(width, "little") for value in values]
    assert any(one != one[::-1] for one in stored)
    assert any(one[-1] & 0x80 for one in stored)


@pytest.mark.parametrize(("owner", "name"), NUMBERS, ids=ids)
def test_every_byte_of_a_number_is_something_somewhere(owner: str, name: str) -> None:
    width = WIDTHS[attributes(owner)[name]["type"]]
    values = {int(value) for kind, value in told(owner, name) if kind == "int"}
    for byte in range(width):
        assert any(value >> 8 * byte & 0xFF for value in values), f"byte {byte} is always zero"


BITS = [
    (*one, int(attributes(one[0])[one[1]]["type"][1:]))
    for one in everything()
    if re.fullmatch(r"b\d+", str(attributes(one[0])[one[1]].get("type")))
    and attributes(one[0])[one[1]]["type"] != "b1"
    and "enum" not in attributes(one[0])[one[1]]
]


@pytest.mark.parametrize(("owner", "name", "width"), BITS, ids=ids)
def test_every_bit_of_a_bit_field_is_told_both_ways(owner: str, name: str, width: int) -> None:
    values = {int(value) for kind, value in told(owner, name) if kind == "int"}
    for bit in range(width):
        assert {value >> bit & 1 for value in values} == {0, 1}, f"bit {bit}"


# -- comparing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        (("int", "5"), ("int", "5")),
        (("bytes", "0a0b 00*3 ff"), ("bytes", "0a0b000000ff")),
        (("str", "\U0001f4be\u0000"), ("str", '"\\ud83d\\udcbe\\u0000"')),
        (("absent", ""), ("absent", "")),
        (("error", "end of file"), ("error", "EOFError")),
        (("broken_text", "a\ufffd"), ("error", "UnicodeDecodeError")),
        (("broken_text", "a\ufffd"), ("str", '"a\\ufffd"')),
        (("item_kind", "other"), ("item_kind", "other")),
    ],
)
def test_what_is_the_same_agrees(expected: tuple[str, str], answer: tuple[str, str]) -> None:
    assert kit.agrees(Value("a", *expected), Answer(*answer))


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        (("int", "5"), ("int", "6")),
        (("int", "5"), ("size", "5")),
        (("int", "1"), ("bool", "true")),
        (("bytes", "00*3"), ("bytes", "0000")),
        (("str", "a"), ("str", '"b"')),
        (("str", "a"), ("bytes", "61")),
        (("absent", ""), ("bytes", "")),
        (("error", "end of file"), ("nothing", "no such name")),
        (("broken_text", "a\ufffd"), ("str", '"a"')),
        (("item_kind", "other"), ("region_kind", "other")),
        (("item_kind", "other"), ("nothing", "no answer")),
    ],
)
def test_what_differs_does_not_agree(expected: tuple[str, str], answer: tuple[str, str]) -> None:
    assert not kit.agrees(Value("a", *expected), Answer(*answer))


def test_what_was_not_answered_is_a_mismatch() -> None:
    vector = kit.Vector("v", "A vector.", 0, (Value("a", "int", "1"), Value("b", "int", "2")))
    left = list(kit.compare(vector, [Answer("int", "1")]))
    assert [mismatch.expected.path for mismatch in left] == ["b"]


def test_a_known_deviation_has_to_occur_as_it_is_known() -> None:
    value = Value("a", "int", "1")
    vector = kit.Vector("v", "A vector.", 0, (value,))
    mismatch = Mismatch("v", value, Answer("int", "2"))
    known: kit.Deviations = {"reason": [("v", "a", Answer("int", "2"))]}
    assert kit.judge([mismatch], known, [vector]) == ([], [])
    assert kit.judge([mismatch], {}, [vector]) == ([mismatch], [])
    assert kit.judge([], known, [vector]) == ([], known["reason"])
    otherwise = Mismatch("v", mismatch.expected, Answer("int", "3"))
    assert kit.judge([otherwise], known, [vector]) == ([otherwise], known["reason"])


def test_bytes_are_written_short_and_read_back() -> None:
    from tests.conformance.expect.values import packed

    for data in (b"", b"\1\2", bytes(15), bytes(16), b"\0\1" + b"\xff" * 70 + b"ab" + bytes(30)):
        assert kit.plain_bytes(packed(data)) == data.hex()
    assert packed(b"\1" + bytes(4016)) == "01 00*4016"


# -- languages ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("language", kit.languages())
def test_a_language_agrees_with_every_vector(language: str) -> None:
    runner = kit.Runner(language)
    missing = runner.missing
    if missing and (runner.is_optional or not os.environ.get("CI")):
        pytest.skip(f"not installed: {', '.join(missing)}")
    assert not missing
    result = kit.result(language, kit.vectors())
    assert [str(mismatch) for mismatch in result.unknown] == []
    assert result.gone == ()


def test_the_page_of_the_docs_is_what_languages_that_agree_come_to() -> None:
    page = (kit.ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    results = [kit.as_known(language) for language in kit.languages()]
    assert page == kit.page(results, kit.vectors()), "run 'make docs'"


def test_a_page_without_all_languages_is_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kit, "result", lambda language, *_: kit.Result(language, "not installed"))
    page = tmp_path / "page.md"
    shown: list[str] = []
    kit.main(["go", "--save", str(page)], shown.append)
    assert f"{page} stays as it is: go skipped" in shown
    assert not page.exists()


def test_python_and_javascript_are_among_the_languages() -> None:
    assert {"python", "javascript"} <= set(kit.languages())
    assert not (kit.DEVIATIONS / "python.json").exists()
