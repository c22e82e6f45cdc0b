"""The grammar keeps Kaitai's style guide and the rules by which it compiles and works everywhere.

The compiler itself refuses unknown keys and badly named counts and lengths; what it lets pass is
checked here, on the YAML. What the style guide and the format gallery ask for is in
`tools/gallery.py`; the rules here are this project's own. An offence is told as
`type.attribute: what is wrong`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import vhdx_kaitai
from tests.support import ROOT, tool

KSY = ROOT / "vhdx.ksy"

GALLERY = tool("gallery")
attributes = GALLERY.attributes
enums = GALLERY.enums
expressions = GALLERY.expressions
grammar = GALLERY.grammar
nodes = GALLERY.nodes
structs = GALLERY.structs
types = GALLERY.types
views = GALLERY.views

# Sections of [MS-VHDX], revision 8.0, that describe something on disk.
SECTIONS = {
    *("2", "2.1", "2.2", "2.2.1", "2.2.2", "2.2.2.1", "2.2.3", "2.2.3.1", "2.2.3.2"),
    *("2.3", "2.3.1", "2.3.1.1", "2.3.1.2", "2.3.1.3", "2.3.1.4", "2.3.2", "2.3.3"),
    *("2.4", "2.5", "2.5.1", "2.5.1.1", "2.5.1.2"),
    *("2.6", "2.6.1", "2.6.1.1", "2.6.1.2", "2.6.2", "2.6.2.1", "2.6.2.2", "2.6.2.3"),
    *("2.6.2.4", "2.6.2.5", "2.6.2.6", "2.6.2.6.1", "2.6.2.6.2", "2.6.2.6.3"),
}

# Fields for which the specification has no name of their own.
UNNAMED = {
    "guid.raw",
    "utf16_field.units",
    "region_table.entries",
    "log_entry.header",
    "log_entry.descriptors",
    "log_entry.padding",
    "log_entry.data_sectors",
    "log_descriptor.body",
    "log_slot.raw",
    "log_entry_sector.header",
    "log_entry_sector.rest",
    "unused_sector.signature",
    "unused_sector.rest",
    "unknown_item.raw",
    "metadata_item.entry",
    "payload_block.raw_entry",
    "sector_bitmap_block.raw_entry",
    "unrecognized_descriptor_body.raw",
    "metadata_table.entries",
    "parent_locator_item.key_values",
    "locator_text.raw",
    "payload_bat_entry.file_offset_mb_low",  # FileOffsetMB is cut in two here
    "payload_bat_entry.file_offset_mb_high",
    "sector_bitmap_bat_entry.file_offset_mb_low",
    "sector_bitmap_bat_entry.file_offset_mb_high",
}

# Fields whose id is not the specification's name in snake_case, and not by num_, len_ or ofs_.
RENAMED = {
    "vhdx.file_identifier": "File type identifier",
    "file_type_identifier.raw_creator": "Creator",  # `creator` is the text
    "log_data_sector.signature": "DataSignature",  # one name for all signatures
}


def assert_none(offences: Iterable[str]) -> None:
    found = list(offences)
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def snake_case(name: str) -> str:
    """`SequenceNumber` and `File Parameters` as the grammar writes them."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[A-Z])(?=[A-Z][a-z])| ", "_", name)
    return re.sub(r"_+", "_", words).lower()


# --- The gallery ---


@pytest.mark.parametrize("rule", GALLERY.RULES)
def test_the_grammar_keeps_the_rules_of_the_gallery(rule: str) -> None:
    assert_none(GALLERY.RULES[rule]())


def test_what_is_submitted_is_what_the_package_ships(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    assert GALLERY.main() == 0
    submitted, said = capsysbinary.readouterr()
    for field in ("Title", "Samples", "Checked with"):
        assert f"{field}: ".encode() in said
    assert submitted == vhdx_kaitai.grammar_text() == KSY.read_bytes()


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        ("CC0-1.0", "public domain", "the_licence_is_one_of_the_recommended"),
        ("  id: vhdx\n", "  id: vhd2\n", "meta_is_complete_and_in_order"),
        ("justsolve", "wikipedia", "cross_references_are_known_and_sorted"),
        ("    - avhdx\n", "", "extensions_are_lower_case_and_a_list_only_when_several"),
        ("      - id: raw\n        size: 16", "      - size: 16\n        id: raw", "keys_of_an"),
        ("id: checksum", "id: checkSum", "every_name_is_in_snake_case"),
        ("meta:\n", "---\nmeta:\n", "the_file_is_tidy_text"),
        ("version 2)", "version\u00a02)", "the_file_is_ascii"),
        ("doc-ref: 'https", "doc-ref: 'see https", "references_begin_with_a_link"),
    ],
)
def test_what_breaks_a_rule_is_not_submitted(
    before: str,
    after: str,
    rule: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = KSY.read_text(encoding="utf-8")
    assert before in text
    broken = tmp_path / "vhdx.ksy"
    broken.write_text(text.replace(before, after, 1), encoding="utf-8")
    gallery = tool("gallery")  # a second one, which has read nothing yet
    monkeypatch.setattr(gallery, "KSY", broken)
    assert gallery.main() == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert rule in printed.err


# --- The Web IDE ---


def test_only_what_the_web_ide_reads_is_said_to_it() -> None:
    """It looks for representations at types, and for parse modes at instances."""
    offences = [a.name for a in attributes() if "-webide-representation" in a.spec]
    offences += [a.name for a in attributes("params", "seq") if "-webide-parse-mode" in a.spec]
    assert_none(offences)
    # What is computed is there without being told, what is read is not.
    modes = {"value": "lazy", "pos": "eager"}
    for attribute in attributes("instances"):
        mode = attribute.spec.get("-webide-parse-mode")
        key = "value" if "value" in attribute.spec else "pos"
        assert mode in (None, modes[key]), attribute.name


def test_every_type_has_a_representation_that_sees_what_it_names() -> None:
    """Only what is loaded with an object can be seen: an instance in it has to be eager."""
    offences = []
    for name, spec in types().items():
        text = spec.get("-webide-representation", "")
        seen = {a.id for a in attributes("params", "seq") if a.owner == name}
        for attribute in attributes("instances"):
            is_computed = "value" in attribute.spec
            mode = "eager" if is_computed else "lazy"
            is_seen = attribute.spec.get("-webide-parse-mode", mode) == "eager"
            if attribute.owner == name and is_seen:
                seen.add(attribute.id)
        names = re.findall(r"\{(\w+)", text)
        if not names and name != "vhdx":
            offences.append(f"{name}: nothing")
        offences += [f"{name}: {missing}" for missing in names if missing not in seen]
    assert_none(offences)


# --- The file ---


def test_hexadecimal_numbers_are_in_lower_case() -> None:
    numbers = re.findall(r"\b0[xX][0-9a-fA-F]+", KSY.read_text(encoding="utf-8"))
    assert_none([number for number in numbers if number != number.lower()])


def test_places_and_sizes_in_whole_pages_are_hexadecimal() -> None:
    offences = [
        f"line {value.start_mark.line + 1}: {value.value}"
        for key, value in nodes()
        if key.value in ("pos", "size") and re.fullmatch(r"\d+", value.value)
        if int(value.value) > 0 and int(value.value) % 4096 == 0
    ]
    assert_none(offences)


# --- Meta ---


def test_meta_names_the_compiler_that_the_project_pins() -> None:
    pom = ElementTree.parse(ROOT / "pom.xml")
    version = pom.findtext(".//{*}dependency[{*}groupId='io.kaitai']/{*}version")
    assert version is not None
    assert version.split(".")[:2] == str(grammar()["meta"]["ks-version"]).split(".")


def test_only_the_top_level_has_types_and_enums() -> None:
    offences = [name for name, spec in grammar()["types"].items() if {"types", "enums"} & set(spec)]
    assert_none(offences)


# --- Order and names ---


def test_names_do_not_clash_in_any_language() -> None:
    """C# has no member named as its class, Nim no field `block`, Rust no label `unknown`.

    In Nim, labels of all enums are names of the module, as instances are.
    """
    offences = [
        attribute.name
        for attribute in attributes()
        if attribute.id in (attribute.owner, "block")
        or (attribute.owner == "vhdx" and attribute.id in types())
    ]
    labels = [spec["id"] for _, spec in enums()]
    offences += [name for name, spec in enums() if spec["id"] == "unknown"]
    offences += [name for name, spec in enums() if labels.count(spec["id"]) > 1]
    instances = {attribute.id for attribute in attributes("instances")}
    offences += [name for name, spec in enums() if spec["id"] in instances]
    assert_none(offences)


# --- Documentation ---


def test_every_type_says_what_it_is_and_where_that_is_specified() -> None:
    offences = [name for name, spec in types().items() if not {"doc", "doc-ref"} <= set(spec)]
    assert_none(offences)


def test_every_attribute_is_documented_unless_its_type_or_enum_says_it_all() -> None:
    def needs_no_doc(attribute: Any) -> bool:
        said = set(grammar()["types"]) | set(grammar()["enums"])
        names = [*attribute.type_names, attribute.spec.get("enum")]
        # A name such as `has_bat` is a sentence already, raw bytes are bytes, contents tell all.
        is_plain = re.match(r"(is|has)_|raw$", attribute.id) or "contents" in attribute.spec
        return bool(is_plain or said & set(names))

    offences = [
        attribute.name
        for attribute in attributes()
        if not {"doc", "doc-ref"} & set(attribute.spec) and not needs_no_doc(attribute)
    ]
    assert_none(offences)


def test_references_name_sections_that_exist() -> None:
    offences = []
    specs = [*types().items(), *((a.name, a.spec) for a in attributes()), *enums()]
    for name, spec in specs:
        references = spec.get("doc-ref", [])
        for reference in [references] if isinstance(references, str) else references:
            if name == "vhdx" and reference.startswith("https://"):
                continue
            section = re.fullmatch(r"https://\S+ \[MS-VHDX\] ([0-9.]+)", reference)
            if section is None or section[1] not in SECTIONS:
                offences.append(f"{name}: {reference}")
    assert_none(offences)


def test_fields_carry_the_name_that_the_specification_gives_them() -> None:
    fields = {a.name: a for a in attributes("seq")}
    without = {name for name, field in fields.items() if "-orig-id" not in field.spec}
    assert without == UNNAMED

    offences = []
    for name, field in fields.items():
        original = field.spec.get("-orig-id")
        if original is None or RENAMED.get(name) == original:
            continue
        allowed = {snake_case(original)}
        for prefix, suffix in (("num_", "Count"), ("len_", "Length"), ("ofs_", "Offset")):
            if original.endswith(suffix) and field.id.startswith(prefix):
                # EntryCount counts `entries`: the stem is enough.
                stem = snake_case(original.removesuffix(suffix)).rstrip("y")
                allowed |= {field.id} if field.id.startswith(prefix + stem) else set()
        if field.id not in allowed:
            offences.append(f"{name}: {original}")
    assert_none(offences)


# --- Structs and views ---


def test_a_type_is_a_struct_or_a_view() -> None:
    assert_none([name for name, spec in structs().items() if "seq" not in spec])
    assert "params" not in grammar()
    assert_none([name for name, spec in views().items() if not spec["doc"].startswith("View; ")])
    assert_none([name for name, spec in structs().items() if spec["doc"].startswith("View; ")])


def test_nothing_reaches_out_of_its_type() -> None:
    """Neither `_root` nor `_parent` nor `io`, so that every type can be used alone."""
    offences = [
        attribute.name
        for attribute in attributes()
        if "io" in attribute.spec
        or any(re.search(r"\b_(root|parent)\b", text) for text in expressions(attribute))
    ]
    assert_none(offences)


def test_a_struct_that_looks_around_lies_in_a_substream() -> None:
    """`pos` in a struct counts from the start of the struct's own bytes, never of the file."""
    at_the_start = grammar()["seq"][0]["type"]
    users: dict[str, list[Any]] = {name: [] for name in types()}
    for attribute in attributes():
        for name in attribute.type_names:
            if name in users:
                users[name].append(attribute)

    def is_enclosed(name: str) -> bool:
        return bool(users[name]) and all(
            {"size", "size-eos"} & set(user.spec)
            or (user.owner in structs() and is_enclosed(user.owner))
            for user in users[name]
        )

    offences = [
        attribute.name
        for attribute in attributes("instances")
        if attribute.owner in structs() and "pos" in attribute.spec
        if not is_enclosed(attribute.owner) and attribute.owner != at_the_start
    ]
    assert_none(offences)


def test_structs_do_not_use_views() -> None:
    offences = [
        attribute.name
        for attribute in attributes()
        if attribute.owner in structs() and set(attribute.type_names) & set(views())
    ]
    assert_none(offences)


def test_every_parameter_is_s8_or_bool() -> None:
    """Other integers fail in Go, C# or Nim as soon as an expression is passed."""
    offences = [
        attribute.name
        for attribute in attributes("params")
        if attribute.spec.get("type") not in ("s8", "bool")
    ]
    assert_none(offences)


# --- What does not work everywhere ---


def test_no_expression_names_an_instance_of_a_user_type_twice() -> None:
    """Rust reads it anew each time, and panics over the second one while it holds the first."""
    offences = []
    for attribute in attributes():
        users = {
            other.id
            for other in attributes("instances")
            if other.owner == attribute.owner and set(other.type_names) & set(types())
            if "repeat" not in other.spec
        }
        for text in expressions(attribute):
            names = re.findall(r"(?<![\w.:])[a-z]\w*", re.sub('"[^"]*"', "", text))
            offences += [f"{attribute.name}: {n}" for n in users if names.count(n) > 1]
    assert_none(offences)


def test_two_computed_numbers_are_not_compared_for_equality() -> None:
    """Java compares where they are, not what they are: `a >= b and b >= a` is what works."""
    offences = []
    for attribute in attributes():
        numbers = {
            name
            for name, spec in types()[attribute.owner].get("instances", {}).items()
            if ".as<" in str(spec.get("value", ""))
        }
        for text in expressions(attribute):
            pairs = re.findall(r"(?<![\w.])(\w+) [!=]= (\w+)(?![\w.])", text)
            offences += [attribute.name for pair in pairs if set(pair) <= numbers]
    assert_none(offences)


def test_a_name_that_has_64_bits_is_not_cast() -> None:
    """Parameters and computed numbers are `s8` already: a cast of one does nothing."""
    offences = []
    for attribute in attributes():
        owner = types()[attribute.owner]
        wide = {param["id"] for param in owner.get("params", [])}
        wide |= {
            name
            for name, spec in owner.get("instances", {}).items()
            if str(spec.get("value", "")).endswith(".as<s8>")
        }
        for text in expressions(attribute):
            cast = re.findall(r"(?<![\w.:])([a-z]\w*)\.as<s8>", text)
            offences += [f"{attribute.name}: {name}" for name in cast if name in wide]
    assert_none(offences)


def test_bit_fields_are_narrow_and_fill_whole_bytes() -> None:
    """JavaScript reads at most 32 bits at once; bits left over would be skipped silently."""
    offences = []
    for name, spec in structs().items():
        bits = 0
        for field in [*spec["seq"], {"id": "the end"}]:
            width = re.fullmatch(r"b(\d+)", str(field.get("type", "")))
            if width is None:
                if bits % 8:
                    offences.append(f"{name}.{field['id']}: after {bits} bits")
                bits = 0
            else:
                bits += int(width[1])
                if int(width[1]) > 32:
                    offences.append(f"{name}.{field['id']}: {width[1]} bits")
    assert_none(offences)


def test_nothing_is_shifted_or_masked() -> None:
    """These operators work on 32 bits in JavaScript."""
    offences = [
        f"{attribute.name}: {text}"
        for attribute in attributes()
        for text in expressions(attribute)
        if re.search(r"<<|>>|[&|^~]", text)
    ]
    assert_none(offences)


def test_an_index_is_cast_and_never_ends_a_repetition() -> None:
    """`_index` has a type of its own in Go and Nim, and is off by one in a `repeat-until`."""
    offences = []
    for attribute in attributes():
        for text in expressions(attribute):
            if re.search(r"\b_index\b(?!\.as<s8>)", text):
                offences.append(attribute.name)
        if "_index" in str(attribute.spec.get("repeat-until", "")):
            offences.append(attribute.name)
    assert_none(offences)


def test_every_repetition_is_bounded_by_a_count_or_a_place() -> None:
    offences = []
    for attribute in attributes():
        spec = attribute.spec
        if spec.get("repeat") == "until":
            if not re.search(r" or _io\.(eof|pos >= end_of_\w+)$", spec["repeat-until"]):
                offences.append(attribute.name)
        elif spec.get("repeat") not in (None, "expr"):
            offences.append(attribute.name)
    assert_none(offences)


def test_value_instances_are_never_absent() -> None:
    """A boolean that may be missing does not compile in C#: `cond ? expression : false`."""
    offences = [a.name for a in attributes("instances") if "value" in a.spec and "if" in a.spec]
    assert_none(offences)


def test_text_is_utf_16le_and_decoded_only_when_asked_for() -> None:
    """Bad UTF-16 raises an error that is not one of Kaitai's."""
    text = KSY.read_text(encoding="utf-8")
    assert set(re.findall(r"encoding: *(\S+)", text)) <= {"UTF-16LE"}
    assert set(re.findall(r"utf-?16\w*", text, re.IGNORECASE)) <= {
        "UTF-16LE",
        "UTF-16",
        "utf16_field",
    }
    offences = [
        attribute.name
        for attribute in attributes()
        if {"str", "strz"} & set(attribute.type_names)
        if attribute.section != "instances" or "strz" in attribute.type_names
    ]
    assert_none(offences)


def test_checks_that_stop_a_parse_are_few() -> None:
    """Elsewhere a second copy or a scan makes a wrong value a normal event."""
    stopping = {a.name for a in attributes() if {"contents", "valid"} & set(a.spec)}
    assert stopping == {"file_type_identifier.signature"}


def test_nothing_of_64_bits_is_checked_by_valid() -> None:
    """Rust rejects good files then, and Nim does not compile `valid/expr`."""
    offences = []
    for attribute in attributes():
        valid = attribute.spec.get("valid")
        if valid is not None and (
            set(attribute.type_names) & {"u8", "s8"}
            or (isinstance(valid, dict) and set(valid) - {"eq", "min", "max", "any-of"})
        ):
            offences.append(attribute.name)
    assert_none(offences)
