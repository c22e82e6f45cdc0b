"""The grammar keeps Kaitai's style guide and the rules by which it compiles and works everywhere.

The compiler itself refuses unknown keys and badly named counts and lengths; what it lets pass is
checked here, on the YAML. An offence is told as `type.attribute: what is wrong`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest
import yaml

ROOT = Path(__file__).parent.parent
KSY = ROOT / "vhdx.ksy"

# Order of keys as the style guide has it; keys it does not speak of stand where their kin stand.
META_KEYS = [
    "id",
    "title",
    "application",
    "file-extension",
    "xref",
    "tags",
    "license",
    "ks-version",
    "imports",
    "encoding",
    "endian",
    "bit-endian",
]
TYPE_KEYS = ["meta", "-webide-representation", "doc", "doc-ref", "params", "seq"]
TYPE_KEYS_IN_ANY_ORDER = {"instances", "types", "enums"}
ATTRIBUTE_KEYS = [
    "id",
    "-orig-id",
    "io",
    "pos",
    "value",
    "size",
    "size-eos",
    "type",
    "enum",
    "contents",
    "valid",
    "pad-right",
    "terminator",
    "include",
    "consume",
    "eos-error",
    "encoding",
    "process",
    "repeat",
    "repeat-expr",
    "repeat-until",
    "if",
    "doc",
    "doc-ref",
    "-webide-representation",
    "-webide-parse-mode",
]
LABEL_KEYS = ["id", "-orig-id", "doc", "doc-ref"]

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

Spec = dict[str, Any]


class Attribute(NamedTuple):
    """A parameter, field or instance of a type."""

    owner: str
    section: str
    id: str
    spec: Spec

    @property
    def name(self) -> str:
        """`type.attribute`, as offences are told."""
        return f"{self.owner}.{self.id}"

    @property
    def type_names(self) -> list[str]:
        """Names of all types the attribute can have, without arguments."""
        given = self.spec.get("type")
        choices = given["cases"].values() if isinstance(given, dict) else [given] if given else []
        return [choice.split("(")[0].strip() for choice in choices]


class UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a key that stands twice, which YAML forbids and PyYAML allows."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"twice: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


@cache
def grammar() -> Spec:
    spec: Spec = yaml.load(KSY.read_text(encoding="utf-8"), UniqueKeyLoader)
    return spec


def types() -> dict[str, Spec]:
    """All types by name, the top level under the name of the grammar."""
    return {"vhdx": grammar(), **grammar()["types"]}


def structs() -> dict[str, Spec]:
    """The types of what lies on disk, without the top level."""
    return {name: spec for name, spec in grammar()["types"].items() if "seq" in spec}


def views() -> dict[str, Spec]:
    return {name: spec for name, spec in grammar()["types"].items() if "seq" not in spec}


def attributes(*sections: str) -> Iterator[Attribute]:
    for owner, spec in types().items():
        for section in sections or ("params", "seq", "instances"):
            given = spec.get(section, {})
            if isinstance(given, list):
                given = {attribute["id"]: attribute for attribute in given}
            for attribute_id, attribute in given.items():
                yield Attribute(owner, section, attribute_id, attribute)


def enums() -> Iterator[tuple[str, Spec]]:
    """Every label of every enum, as `enum.label` and what is said of it."""
    for name, labels in grammar()["enums"].items():
        for label in labels.values():
            label = label if isinstance(label, dict) else {"id": label}
            yield f"{name}.{label['id']}", label


def expressions(attribute: Attribute) -> Iterator[str]:
    """All expressions of an attribute, as text."""
    spec = attribute.spec
    for key in ("io", "pos", "value", "size", "repeat-expr", "repeat-until", "if"):
        if key in spec:
            yield str(spec[key])
    given = spec.get("type", "")
    if isinstance(given, dict):
        yield given["switch-on"]
        yield from map(str, given["cases"])
        given = " ".join(given["cases"].values())
    yield from re.findall(r"\((.*)\)", given, re.DOTALL)


@cache
def nodes() -> list[tuple[yaml.Node, yaml.Node]]:
    """Every key of every mapping in the file with its value, and with their places."""

    def walk(node: yaml.Node | None) -> Iterator[tuple[yaml.Node, yaml.Node]]:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                yield key, value
                yield from walk(value)
        elif isinstance(node, yaml.SequenceNode):
            for value in node.value:
                yield from walk(value)

    return list(walk(yaml.compose(KSY.read_text(encoding="utf-8"), yaml.SafeLoader)))


def documentation() -> Iterator[tuple[yaml.ScalarNode, range]]:
    """Every `doc` of the file with the lines it takes, from 0, that of its key included."""
    for key, value in nodes():
        if key.value == "doc" and isinstance(value, yaml.ScalarNode):
            # A literal scalar ends where the next key begins.
            end = value.end_mark.line + (value.style != "|")
            yield value, range(key.start_mark.line, end)


def assert_none(offences: Iterable[str]) -> None:
    found = list(offences)
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def is_in_order(keys: list[str], order: list[str]) -> bool:
    return set(keys) <= set(order) and keys == sorted(keys, key=order.index)


def snake_case(name: str) -> str:
    """`SequenceNumber` and `File Parameters` as the grammar writes them."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[A-Z])(?=[A-Z][a-z])| ", "_", name)
    return re.sub(r"_+", "_", words).lower()


# --- The file ---


def test_the_file_is_tidy_text() -> None:
    data = KSY.read_bytes()
    text = data.decode("utf-8")
    assert b"\r" not in data
    assert b"\t" not in data
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert_none(
        [f"line {n}" for n, line in enumerate(text.splitlines(), 1) if line != line.rstrip()]
    )
    assert_none(
        [
            f"line {n}"
            for n, line in enumerate(text.splitlines(), 1)
            if re.match(r"---|\.\.\.|%", line)
        ]
    )


def test_every_level_is_indented_by_two() -> None:
    offences = [
        f"line {value.start_mark.line + 1}"
        for key, value in nodes()
        if isinstance(value, yaml.CollectionNode) and not value.flow_style
        if value.start_mark.column != key.start_mark.column + 2
    ]
    assert_none(offences)


def test_yaml_is_written_in_blocks() -> None:
    offences = [
        f"line {value.start_mark.line + 1}"
        for key, value in nodes()
        if isinstance(value, yaml.CollectionNode) and value.flow_style and key.value != "contents"
    ]
    assert_none(offences)


def test_documentation_fits_into_80_columns() -> None:
    lines = KSY.read_text(encoding="utf-8").splitlines()
    offences = [
        f"line {number + 1} has {len(lines[number])}"
        for _, place in documentation()
        for number in place
        if len(lines[number]) > 80
    ]
    assert_none(offences)


def test_documentation_of_one_line_is_plain_and_of_several_literal() -> None:
    offences = [
        f"line {place.start + 1}"
        for value, place in documentation()
        if value.style != ("|" if len(place) > 1 else None)
    ]
    assert_none(offences)


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


def test_meta_is_complete_and_in_order() -> None:
    meta = grammar()["meta"]
    assert is_in_order(list(meta), META_KEYS)
    assert meta["id"] == KSY.stem
    assert meta["title"]
    assert meta["license"] == "CC0-1.0"
    assert meta["endian"] == "le"
    assert meta["bit-endian"] == "le"
    assert list(meta.get("xref", {})) == sorted(meta.get("xref", {}))
    assert_none([ext for ext in meta["file-extension"] if not re.fullmatch(r"[a-z0-9]+", ext)])


def test_meta_names_the_compiler_that_the_project_pins() -> None:
    pom = ElementTree.parse(ROOT / "pom.xml")
    version = pom.findtext(".//{*}dependency[{*}groupId='io.kaitai']/{*}version")
    assert version is not None
    assert version.split(".")[:2] == str(grammar()["meta"]["ks-version"]).split(".")


def test_only_the_top_level_has_meta_types_and_enums() -> None:
    offences = [
        name for name, spec in grammar()["types"].items() if {"meta", "types", "enums"} & set(spec)
    ]
    assert_none(offences)


# --- Order and names ---


def test_sections_of_a_type_are_in_order() -> None:
    offences = []
    for name, spec in types().items():
        first = [key for key in spec if key not in TYPE_KEYS_IN_ANY_ORDER]
        if list(spec)[: len(first)] != first or not is_in_order(first, TYPE_KEYS):
            offences.append(f"{name}: {list(spec)}")
    assert_none(offences)


def test_keys_of_an_attribute_are_in_order() -> None:
    offences = [
        f"{attribute.name}: {list(attribute.spec)}"
        for attribute in attributes()
        if not is_in_order(list(attribute.spec), ATTRIBUTE_KEYS)
    ]
    offences += [
        f"{name}: {list(spec)}" for name, spec in enums() if not is_in_order(list(spec), LABEL_KEYS)
    ]
    assert_none(offences)


def test_every_name_is_in_snake_case() -> None:
    names = [*types(), *grammar()["enums"]]
    names += [attribute.id for attribute in attributes()]
    names += [spec["id"] for _, spec in enums()]
    assert_none([name for name in names if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name)])


def test_repeated_attributes_have_plural_names() -> None:
    offences = [
        attribute.name
        for attribute in attributes()
        if "repeat" in attribute.spec
        if not attribute.id.endswith("s") and not attribute.id.startswith("up_to_")
    ]
    assert_none(offences)


@pytest.mark.parametrize(
    ("key", "prefix"), [("repeat-expr", "num_"), ("size", "len_"), ("pos", "ofs_")]
)
def test_counts_lengths_and_offsets_are_named_so(key: str, prefix: str) -> None:
    offences = []
    for attribute in attributes():
        path = str(attribute.spec.get(key, ""))
        is_name = re.fullmatch(r"[a-z_][a-z0-9_.]*", path) is not None
        if is_name and not path.split(".")[-1].startswith(prefix):
            offences.append(f"{attribute.name}: {key}: {path}")
    assert_none(offences)


def test_names_do_not_clash_in_any_language() -> None:
    """C# has no member named as its class, Nim no field `block`, Rust no label `unknown`."""
    offences = [
        attribute.name
        for attribute in attributes()
        if attribute.id in (attribute.owner, "block")
        or (attribute.owner == "vhdx" and attribute.id in types())
    ]
    offences += [name for name, spec in enums() if spec["id"] == "unknown"]
    assert_none(offences)


# --- Documentation ---


def test_every_type_says_what_it_is_and_where_that_is_specified() -> None:
    offences = [name for name, spec in types().items() if not {"doc", "doc-ref"} <= set(spec)]
    assert_none(offences)


def test_every_attribute_is_documented_unless_its_type_or_enum_says_it_all() -> None:
    def needs_no_doc(attribute: Attribute) -> bool:
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
            section = re.fullmatch(r"\[MS-VHDX\] ([0-9.]+)", reference)
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
    both_or_neither = [
        name for name, spec in grammar()["types"].items() if ("seq" in spec) == ("params" in spec)
    ]
    assert_none(both_or_neither)
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
    users: dict[str, list[Attribute]] = {name: [] for name in types()}
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


def test_no_field_is_mere_padding_up_to_the_end() -> None:
    """A field that takes the rest of a substream would be read for nothing."""
    offences = [
        f"{name}.{spec['seq'][-1]['id']}"
        for name, spec in structs().items()
        if "size-eos" in spec["seq"][-1] and len(spec["seq"]) > 1
    ]
    assert_none(offences)


# --- What does not work everywhere ---


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
            if not re.search(r" or _io\.(eof|pos\.as<s8> >= end_of_\w+)$", spec["repeat-until"]):
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
    assert stopping == {"file_type_identifier.signature", "metadata_table.signature"}


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
