"""Check vhdx.ksy by the rules of Kaitai's format gallery, and print it as it would be submitted.

What the pull request should say comes on standard error.

    python -m tools.gallery > filesystem/vhdx.ksy

The rules are those of the gallery's page for contributors and of the style guide for ksy files
(doc.kaitai.io/ksy_style_guide.html). An offence is told as `type.attribute: what is wrong`, on
standard error, and then nothing is printed. `tests/test_grammar_style.py` runs the same rules, and
those that are this project's own.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parent.parent
KSY = ROOT / "vhdx.ksy"
PLACE = "filesystem/vhdx.ksy"  # in the gallery

# Catalogues that the gallery links to.
XREFS = {"forensicswiki", "iso", "justsolve", "loc", "mime", "pronom", "rfc", "wikidata"}

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
        """Return a mapping, each key of which stands once."""
        keys = [key.value for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"twice: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


@cache
def grammar() -> Spec:
    """Return the grammar as YAML has it."""
    spec: Spec = yaml.load(KSY.read_text(encoding="utf-8"), UniqueKeyLoader)
    return spec


def types() -> dict[str, Spec]:
    """All types by name, the top level under the name of the grammar."""
    return {"vhdx": grammar(), **grammar()["types"]}


def structs() -> dict[str, Spec]:
    """The types of what lies on disk, without the top level."""
    return {name: spec for name, spec in grammar()["types"].items() if "params" not in spec}


def views() -> dict[str, Spec]:
    """Return the types that find their way through the file."""
    return {name: spec for name, spec in grammar()["types"].items() if "params" in spec}


def attributes(*sections: str) -> Iterator[Attribute]:
    """Yield the attributes of all types, from all sections or from these."""
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


def is_in_order(keys: list[str], order: list[str]) -> bool:
    """Whether these keys stand in this order, and no others are there."""
    return set(keys) <= set(order) and keys == sorted(keys, key=order.index)


Rule = Callable[[], Iterator[str]]
RULES: dict[str, Rule] = {}


def rule(check: Rule) -> Rule:
    """Enter a function into `RULES`; it yields offences."""
    RULES[check.__name__] = check
    return check


# --- The file ---


@rule
def the_file_is_tidy_text() -> Iterator[str]:
    """UTF-8, LF, a newline at the end, one document without directives."""
    data = KSY.read_bytes()
    text = data.decode("utf-8")
    if b"\r" in data or b"\t" in data:
        yield "carriage returns or tabs"
    if not text.endswith("\n") or text.endswith("\n\n"):
        yield "not one newline at the end"
    for number, line in enumerate(text.splitlines(), 1):
        if line != line.rstrip():
            yield f"line {number}: blanks at the end"
        if re.match(r"---|\.\.\.|%", line):
            yield f"line {number}: a document marker or directive"


@rule
def the_file_is_ascii() -> Iterator[str]:
    """What else there is comes out as something else in some editor."""
    for number, line in enumerate(KSY.read_text(encoding="utf-8").splitlines(), 1):
        if not line.isascii():
            yield f"line {number}"


@rule
def references_begin_with_a_link() -> Iterator[str]:
    """So that the documentation made of the grammar leads there."""
    for key, value in nodes():
        if key.value == "doc-ref" and not value.value.startswith("https://"):
            yield f"line {key.start_mark.line + 1}"


@rule
def every_level_is_indented_by_two() -> Iterator[str]:
    """Sequences included."""
    for key, value in nodes():
        is_block = isinstance(value, yaml.CollectionNode) and not value.flow_style
        if is_block and value.start_mark.column != key.start_mark.column + 2:
            yield f"line {value.start_mark.line + 1}"


@rule
def yaml_is_written_in_blocks() -> Iterator[str]:
    """Lists of bytes may stand on one line."""
    for key, value in nodes():
        if isinstance(value, yaml.CollectionNode) and value.flow_style and key.value != "contents":
            yield f"line {value.start_mark.line + 1}"


@rule
def documentation_fits_into_80_columns() -> Iterator[str]:
    """Counted with its indentation."""
    lines = KSY.read_text(encoding="utf-8").splitlines()
    for _, place in documentation():
        for number in place:
            if len(lines[number]) > 80:
                yield f"line {number + 1} has {len(lines[number])}"


@rule
def documentation_of_one_line_is_plain_and_of_several_literal() -> Iterator[str]:
    """No quotes, no folding."""
    for value, place in documentation():
        if value.style != ("|" if len(place) > 1 else None):
            yield f"line {place.start + 1}"


# --- Meta ---


@rule
def meta_is_complete_and_in_order() -> Iterator[str]:
    """What the gallery's index shows, and what it must have."""
    meta = grammar()["meta"]
    if not is_in_order(list(meta), META_KEYS):
        yield f"order of {list(meta)}"
    if meta.get("id") != KSY.stem or Path(PLACE).stem != meta.get("id"):
        yield f"id is {meta.get('id')}, the file {KSY.name}"
    for key in ("title", "application", "file-extension", "license", "ks-version", "endian"):
        if not meta.get(key):
            yield f"no {key}"
    if not {"doc", "doc-ref"} <= set(grammar()):
        yield "no doc or doc-ref"


@rule
def the_licence_is_one_of_the_recommended() -> Iterator[str]:
    """An SPDX identifier; the gallery recommends these two."""
    if grammar()["meta"].get("license") not in ("CC0-1.0", "MIT"):
        yield str(grammar()["meta"].get("license"))


@rule
def extensions_are_lower_case_and_a_list_only_when_several() -> Iterator[str]:
    """Without the dot."""
    extensions = grammar()["meta"]["file-extension"]
    if isinstance(extensions, list) and len(extensions) < 2:
        yield "a list of one"
    for extension in [extensions] if isinstance(extensions, str) else extensions:
        if not re.fullmatch(r"[a-z0-9]+", extension):
            yield extension


@rule
def cross_references_are_known_and_sorted() -> Iterator[str]:
    """By the name of the catalogue."""
    names = list(grammar()["meta"].get("xref", {}))
    if names != sorted(names):
        yield f"order of {names}"
    yield from (name for name in names if name not in XREFS)


@rule
def only_the_top_level_has_meta() -> Iterator[str]:
    """Defaults of an inner type would be allowed; none is needed."""
    yield from (name for name, spec in grammar()["types"].items() if "meta" in spec)


# --- Order and names ---


@rule
def sections_of_a_type_are_in_order() -> Iterator[str]:
    """`instances`, `types` and `enums` come last, in any order."""
    for name, spec in types().items():
        first = [key for key in spec if key not in TYPE_KEYS_IN_ANY_ORDER]
        if list(spec)[: len(first)] != first or not is_in_order(first, TYPE_KEYS):
            yield f"{name}: {list(spec)}"


@rule
def keys_of_an_attribute_are_in_order() -> Iterator[str]:
    """Labels of enums too."""
    for attribute in attributes():
        if not is_in_order(list(attribute.spec), ATTRIBUTE_KEYS):
            yield f"{attribute.name}: {list(attribute.spec)}"
    for name, spec in enums():
        if not is_in_order(list(spec), LABEL_KEYS):
            yield f"{name}: {list(spec)}"


@rule
def every_name_is_in_snake_case() -> Iterator[str]:
    """Types, enums, attributes and labels."""
    names = [*types(), *grammar()["enums"]]
    names += [attribute.id for attribute in attributes()]
    names += [spec["id"] for _, spec in enums()]
    for name in names:
        if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
            yield name


@rule
def repeated_attributes_have_plural_names() -> Iterator[str]:
    """A search is named after its goal."""
    for attribute in attributes():
        is_plural = attribute.id.endswith("s") or attribute.id.startswith("up_to_")
        if "repeat" in attribute.spec and not is_plural:
            yield attribute.name


@rule
def counts_lengths_and_offsets_are_named_so() -> Iterator[str]:
    """`num_`, `len_`, `ofs_`."""
    for key, prefix in (("repeat-expr", "num_"), ("size", "len_"), ("pos", "ofs_")):
        for attribute in attributes():
            path = str(attribute.spec.get(key, ""))
            is_name = re.fullmatch(r"[a-z_][a-z0-9_.]*", path) is not None
            if is_name and not path.split(".")[-1].startswith(prefix):
                yield f"{attribute.name}: {key}: {path}"


@rule
def no_field_is_mere_padding_up_to_the_end() -> Iterator[str]:
    """A field that takes the rest of a substream would be read for nothing."""
    for name, spec in structs().items():
        if "size-eos" in spec["seq"][-1] and len(spec["seq"]) > 1:
            yield f"{name}.{spec['seq'][-1]['id']}"


PULL_REQUEST = """\
What the pull request should say:

Title: Add VHDX, the virtual hard disk format of Hyper-V

A grammar of every structure of [MS-VHDX], as `{place}`: file type identifier, headers, region
tables, log, metadata, parent locator, BAT, payload and sector bitmap blocks.

* Only the file type identifier has `contents`. Other signatures are named as the specification
  names them, and compared by `is_signature_valid`: two headers, two region tables and stale log
  entries are normal, and a damaged structure hides no other.
* `.as<s8>` stands where the 32 bits that Java, C++ and C# compute with would not do, or where Rust
  and Go would not compile; the head of the grammar says more.
* Views have parameters and take file offsets, because the places of most structures are not known
  before others have been read.

Licence: CC0-1.0
Cross-references: Just Solve and Wikidata; PRONOM has no entry for the extension.
Samples: `tests/conformance/vectors/` of the grammar's project, CC0-1.0, small images of every kind
with the values that a parser has to find in them.
Checked with: compiler 0.11, all targets without a warning; the values of these images in Python,
JavaScript, Java, Go, Rust, Ruby, PHP, C++, C#, Lua and Nim (`docs/conformance.md`).
"""


def main() -> int:
    """Print the grammar; 1 when it breaks a rule."""
    broken = [f"{name}: {offence}" for name, check in RULES.items() for offence in check()]
    if broken:
        sys.stderr.write("".join(f"{line}\n" for line in broken))
        return 1
    sys.stdout.buffer.write(KSY.read_bytes())
    sys.stderr.write(f"{PLACE} keeps {len(RULES)} rules of the gallery\n\n")
    sys.stderr.write(PULL_REQUEST.format(place=PLACE))
    return 0


if __name__ == "__main__":
    sys.exit(main())
