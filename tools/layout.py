"""Make generated/layout.py: where the fields of every struct stand, for those who write them.

All that writing takes is a table of places. For structs that each stand alone it is plain
arithmetic over their `seq`; what this arithmetic does not know ends it: a table is right, or none
is made.

    python tools/layout.py vhdx.ksy generated/layout.py
"""

from __future__ import annotations

import json
import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import yaml

HEAD = '''\
"""Where the fields of every struct of `vhdx.ksy` stand, and of its top level, `vhdx`.

Made from the grammar by tools/layout.py; not edited by hand. Offsets count from the start of the
struct, offsets and lengths are in bytes. What there is nothing to say of is left out.

    signature  bytes that the struct begins with when it is what it should be
    length     of the piece that the grammar cuts out for the struct, else of its fields
    format     of the fields, for the module `struct`; neighbours of some bits each are one number
    fields     (offset, length) of those that are always in the same place; of bits, their number's
    bits       (lowest bit, count) of each field of bits in its number
    varying    (offset, type) of all after those, in order; an offset is known for the first alone,
               the type is that of the elements or of the whole, None for plain bytes
    cases      (type, signature) that a field may have, by its kind
    instances  (offset, length) of what is read besides the fields, always in the same place
"""

STRUCTS = {
'''

NUMBERS = {"u1": "B", "u2": "H", "u4": "I", "u8": "Q"}

# What an attribute of the grammar may say of its place, beside words for people.
KNOWN = {"id", "type", "size", "size-eos", "contents", "enum", "if"}
KNOWN |= {"repeat", "repeat-expr", "repeat-until", "doc", "doc-ref"}

Attribute = dict[str, Any]
Struct = dict[str, Any]


def unknown(where: str, what: object) -> NoReturn:
    """End the program: the grammar has something of which the place is not known here."""
    raise SystemExit(f"vhdx.ksy: {where}: tools/layout.py does not know {what}")


class Grammar:
    """The grammar, and the structs that have been worked out of it."""

    def __init__(self, ksy: dict[str, Any]) -> None:
        meta = ksy["meta"]
        if (meta["endian"], meta["bit-endian"]) != ("le", "le"):
            unknown("meta", "numbers that are not little-endian")
        self._types: dict[str, dict[str, Any]] = {meta["id"]: ksy, **ksy["types"]}
        self._pieces = dict(self._cut_out())

    def structs(self) -> Iterator[tuple[str, Struct]]:
        """Yield everything that lies on disk, in the order of the grammar."""
        for name, spec in self._types.items():
            if "params" not in spec:
                yield name, self.struct(name)

    def struct(self, name: str) -> Struct:
        """Return what is to be said of a struct; the docstring of the result has the words."""
        spec = self._types[name]
        fields = _Fields()
        for attribute in spec["seq"]:
            self._add(fields, f"{name}.{attribute['id']}", attribute)
        fields.end_bits(name)
        found = {
            "signature": _signature(spec),
            "length": self._pieces.get(name) or struct.calcsize(fields.format),
            "format": fields.format if fields.places else None,
            "fields": fields.places,
            "bits": fields.bits,
            "varying": fields.varying,
            "cases": self._cases(spec),
            "instances": dict(self._instances(name)),
        }
        return {key: value for key, value in found.items() if value}

    def _cut_out(self) -> Iterator[tuple[str, int]]:
        """Yield types of which the grammar cuts out pieces, with the size of these."""
        sizes: dict[str, set[object]] = {}
        for spec in self._types.values():
            for attribute in [*spec.get("seq", []), *spec.get("instances", {}).values()]:
                kind = attribute.get("type")
                if isinstance(kind, str) and kind in self._types and "size" in attribute:
                    sizes.setdefault(kind, set()).add(attribute["size"])
        for name, found in sizes.items():
            (size, *others) = found
            if isinstance(size, int) and not others:
                yield name, size

    def _add(self, fields: _Fields, where: str, attribute: Attribute) -> None:
        strange = {key for key in attribute if key not in KNOWN and not key.startswith("-")}
        if strange:
            unknown(where, ", ".join(sorted(strange)))
        name, kind = attribute["id"], attribute.get("type")
        bits = re.fullmatch(r"b(\d+)", kind) if isinstance(kind, str) else None
        if bits:
            fields.add_bits(where, name, int(bits[1]))
            return
        fields.end_bits(where)
        is_fixed = not (fields.varying or "repeat" in attribute or "if" in attribute)
        code = self._code(where, attribute) if is_fixed else None
        if code is None:
            fields.add_varying(name, kind)
        else:
            fields.add(name, code)

    def _code(self, where: str, attribute: Attribute) -> str | None:
        """Return the format of a field, None when it is not always as long."""
        kind, size = attribute.get("type"), attribute.get("size")
        if "contents" in attribute:
            return f"{len(_contents(attribute))}s"
        if isinstance(size, int):
            return f"{size}s"
        if size is not None or "size-eos" in attribute:
            return None
        if isinstance(kind, dict):
            codes = {self._nested(where, case) for case in kind["cases"].values()}
            if len(codes) != 1:
                unknown(where, "cases of different lengths")
            return codes.pop()
        return NUMBERS.get(str(kind)) or self._nested(where, kind)

    def _nested(self, where: str, kind: object) -> str | None:
        if kind not in self._types:
            unknown(where, f"type {kind}")
        inner = self.struct(str(kind))
        return None if "varying" in inner else f"{struct.calcsize(inner['format'])}s"

    def _cases(self, spec: dict[str, Any]) -> dict[str, tuple[str, bytes | None]]:
        """Return the structs that a field may be, and the signature of each."""
        found: dict[str, tuple[str, bytes | None]] = {}
        for attribute in spec["seq"]:
            if isinstance(attribute.get("type"), dict):
                switch = attribute["type"]
                choice = spec["instances"][switch["switch-on"]]["value"]
                signatures = re.findall(r"signature == (\[[^]]*\]) \? (\w+::\w+)", choice)
                by_label = {label: _bytes(raw) for raw, label in signatures}
                for label, kind in switch["cases"].items():
                    found[label.rpartition("::")[2]] = kind, by_label.get(label)
        return found

    def _instances(self, name: str) -> Iterator[tuple[str, tuple[int, int]]]:
        for instance, attribute in self._types[name].get("instances", {}).items():
            if isinstance(attribute.get("pos"), int) and "repeat" not in attribute:
                size = attribute.get("size")
                if attribute.get("type") in NUMBERS:
                    size = struct.calcsize(NUMBERS[attribute["type"]])
                if isinstance(size, int):
                    yield instance, (attribute["pos"], size)


class _Fields:
    """The fields of a struct, put one after the other."""

    def __init__(self) -> None:
        self.format = "<"
        self.places: dict[str, tuple[int, int]] = {}
        self.bits: dict[str, tuple[int, int]] = {}
        self.varying: dict[str, tuple[int | None, str | None]] = {}
        self._open: dict[str, int] = {}

    def add(self, name: str, code: str) -> None:
        """Add a field of its own."""
        self.places[name] = struct.calcsize(self.format), struct.calcsize(f"<{code}")
        self.format += code

    def add_bits(self, where: str, name: str, count: int) -> None:
        """Add a field that shares its bytes with its neighbours."""
        if self.varying:
            unknown(where, "bits after what varies")
        self._open[name] = count

    def add_varying(self, name: str, kind: str | None) -> None:
        """Add a field that is not always as long: nobody knows where the next one begins."""
        self.varying[name] = None if self.varying else struct.calcsize(self.format), kind

    def end_bits(self, where: str) -> None:
        """Make one number of the fields of bits since the last other field."""
        if not self._open:
            return
        total = sum(self._open.values())
        codes = {8 * struct.calcsize(code): code for code in NUMBERS.values()}
        if total not in codes:
            unknown(where, f"{total} bits in a row")
        first = 0
        place = struct.calcsize(self.format), total // 8
        for name, count in self._open.items():
            self.places[name] = place
            self.bits[name] = first, count
            first += count
        self.format += codes[total]
        self._open = {}


def _signature(spec: dict[str, Any]) -> bytes | None:
    """Return the bytes that a struct insists on, or by which an instance tells that it is valid."""
    for attribute in spec["seq"]:
        if "contents" in attribute:
            return _contents(attribute)
    valid = spec.get("instances", {}).get("is_signature_valid", {}).get("value", "")
    match = re.fullmatch(r"signature == (\[.*\])", valid)
    return _bytes(match[1]) if match else None


def _contents(attribute: Attribute) -> bytes:
    contents = attribute["contents"]
    if not isinstance(contents, str):
        unknown(attribute["id"], f"contents {contents!r}")
    return contents.encode("ascii")


def _bytes(text: str) -> bytes:
    """Return the bytes that a list in an expression of the grammar stands for."""
    return bytes(int(number, 0) for number in text.strip("[]").split(","))


def _literal(value: object) -> str:
    """Return a value as the formatter of our code would write it."""
    if isinstance(value, bytes):
        return "b" + json.dumps(value.decode("ascii"))
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, tuple):
        return f"({', '.join(map(_literal, value))})"
    if isinstance(value, int) and value and value % 4096 == 0:
        return hex(value)
    return repr(value)


def _lines(key: str, value: object, indent: int) -> Iterator[str]:
    space = "    " * indent
    if not isinstance(value, dict):
        yield f"{space}{json.dumps(key)}: {_literal(value)},"
        return
    yield f"{space}{json.dumps(key)}: {{"
    for inner, item in value.items():
        yield from _lines(inner, item, indent + 1)
    yield f"{space}}},"


def layout(text: str) -> str:
    """Return the module for a grammar."""
    grammar = Grammar(yaml.safe_load(text))
    lines = (line for name, found in grammar.structs() for line in _lines(name, found, 1))
    return HEAD + "\n".join(lines) + "\n}\n"


def main() -> None:
    """Make the module that is named second from the grammar that is named first."""
    source, target = map(Path, sys.argv[1:])
    target.write_text(layout(source.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
