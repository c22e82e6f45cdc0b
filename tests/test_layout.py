"""generated/layout.py says of every struct what the compiled grammar does, and says it of all."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import pytest
import yaml
from kaitaistruct import KaitaiStream
from vhdx_kaitai.generated.vhdx_positions import Vhdx as Positions

from tests.support import ROOT, tool
from vhdx_kaitai.format.place import STRUCTS

TOOL = tool("layout")
KSY: dict[str, Any] = yaml.safe_load((ROOT / "vhdx.ksy").read_bytes())
TYPES: dict[str, Any] = {"vhdx": KSY, **KSY["types"]}

# All structs, the top level among them.
NAMES = [name for name, spec in TYPES.items() if "params" not in spec]

# As many of every repeated field, so that there is something to see of what follows it.
COUNT = 3


def test_the_layout_in_generated_is_the_one_that_the_tool_makes() -> None:
    made = TOOL.layout((ROOT / "vhdx.ksy").read_text(encoding="utf-8"))
    assert (ROOT / "generated" / "layout.py").read_text(encoding="utf-8") == made


def test_every_struct_and_every_field_of_it_has_its_entry() -> None:
    assert list(STRUCTS) == NAMES
    for name, layout in STRUCTS.items():
        fields = [*layout.get("fields", {}), *layout.get("varying", {})]
        assert fields == [attribute["id"] for attribute in TYPES[name]["seq"]]


# -- equal to what Kaitai records ------------------------------------------------------------------


def kaitai(name: str) -> Any:
    """The class that the compiler makes of a struct."""
    if name == "vhdx":
        return Positions
    return getattr(Positions, "".join(word.capitalize() for word in name.split("_")))


def sample(name: str) -> bytearray:
    """Bytes that parse as the struct, with `COUNT` elements where it has any."""
    data = bytearray(bytes(STRUCTS[name].get("signature") or b"").ljust(1 << 20, b"\0"))
    inner = STRUCTS["log_entry_header"]["fields"] if name == "log_entry" else {}
    for field, (offset, length) in {**STRUCTS[name].get("fields", {}), **inner}.items():
        if field in ("num_entries", "num_key_values", "num_descriptors"):
            data[offset : offset + length] = COUNT.to_bytes(length, "little")
        if field == "entry_length":
            data[offset : offset + length] = (4096 * (1 + COUNT)).to_bytes(length, "little")
        if field == "file_identifier":
            data[:8] = b"vhdxfile"
    if name == "utf16_field":
        data[: 2 * COUNT - 2] = b"a\0" * (COUNT - 1)
    return data


def parsed(name: str, data: bytes | bytearray | None = None) -> Any:
    return kaitai(name)(KaitaiStream(BytesIO(sample(name) if data is None else data)))


def spans(name: str) -> dict[str, dict[str, Any]]:
    """Start and end of each field, as the compiled grammar records them."""
    return dict(parsed(name)._debug)


@pytest.mark.parametrize("name", NAMES)
def test_fields_stand_where_kaitai_reads_them(name: str) -> None:
    recorded = spans(name)
    layout = STRUCTS[name]
    bits = layout.get("bits", {})
    for field, (offset, length) in layout.get("fields", {}).items():
        if field not in bits:
            assert recorded[field] == {"start": offset, "end": offset + length}, field
    for offset, length in {layout["fields"][field] for field in bits}:
        shared = [recorded[f] for f in bits if layout["fields"][f] == (offset, length)]
        assert shared[0]["start"] == offset
        assert shared[-1]["end"] == offset + length


@pytest.mark.parametrize("name", [name for name in NAMES if "varying" in STRUCTS[name]])
def test_what_varies_begins_where_kaitai_reads_it(name: str) -> None:
    recorded = spans(name)
    end = struct.calcsize(STRUCTS[name].get("format", "<"))
    for index, (field, (offset, kind)) in enumerate(STRUCTS[name]["varying"].items()):
        assert offset == (end if index == 0 else None)
        assert recorded[field]["start"] == end
        end = recorded[field]["end"]
        if kind in STRUCTS:
            elements = recorded[field]["arr"]
            assert [e["end"] - e["start"] for e in elements] == COUNT * [STRUCTS[kind]["length"]]


@pytest.mark.parametrize(
    ("name", "field"),
    [(name, field) for name in NAMES for field in STRUCTS[name].get("bits", {})],
)
def test_bits_are_those_that_kaitai_reads(name: str, field: str) -> None:
    offset, length = STRUCTS[name]["fields"][field]
    first, count = STRUCTS[name]["bits"][field]
    for bit in range(8 * length):
        data = sample(name)
        data[offset : offset + length] = (1 << bit).to_bytes(length, "little")
        value = int(getattr(parsed(name, data), field))
        assert value == (1 << (bit - first) if first <= bit < first + count else 0)


@pytest.mark.parametrize("name", [name for name in NAMES if "instances" in STRUCTS[name]])
def test_instances_stand_where_kaitai_reads_them(name: str) -> None:
    seen = parsed(name)
    for instance, (offset, length) in STRUCTS[name]["instances"].items():
        getattr(seen, instance)
        recorded = seen._debug[f"_m_{instance}"]
        assert recorded["start"] == offset
        assert recorded["end"] == offset + length


@pytest.mark.parametrize("name", [name for name in NAMES if "format" in STRUCTS[name]])
def test_the_format_has_a_code_for_each_place(name: str) -> None:
    code, places = STRUCTS[name]["format"], set(STRUCTS[name]["fields"].values())
    length = struct.calcsize(code)
    assert length == sum(length for _, length in places)
    assert len(struct.unpack(code, bytes(length))) == len(places)


@pytest.mark.parametrize("name", [name for name in NAMES if "signature" in STRUCTS[name]])
def test_a_struct_with_its_signature_is_taken_for_one(name: str) -> None:
    signature = STRUCTS[name]["signature"]
    assert STRUCTS[name]["fields"]["signature"] == (0, len(signature))
    seen = parsed(name)
    assert bytes(seen.signature) == signature
    assert getattr(seen, "is_signature_valid", True)


def test_a_descriptor_with_its_signature_has_the_body_of_its_kind() -> None:
    cases = STRUCTS["log_descriptor"]["cases"]
    assert list(cases) == ["zero_descriptor", "data_descriptor", "_"]
    for kind, (body, signature) in cases.items():
        descriptor = parsed("log_descriptor", (signature or b"none") + bytes(60))
        assert descriptor.kind.name == ("other_descriptor" if kind == "_" else kind)
        assert type(descriptor.body) is kaitai(body)


# -- what the tool refuses -------------------------------------------------------------------------


def grammar_with(*attributes: dict[str, Any], **more: Any) -> str:
    meta = {"id": "small", "endian": "le", "bit-endian": "le"}
    seq = [{"id": f"field_{index}", **a} for index, a in enumerate(attributes)]
    return yaml.safe_dump({"meta": meta, "seq": seq, "types": {}, **more})


def made(*attributes: dict[str, Any]) -> dict[str, Any]:
    """The entry of a struct with these fields."""
    names: dict[str, Any] = {}
    exec(TOOL.layout(grammar_with(*attributes)), names)
    found: dict[str, Any] = names["STRUCTS"]["small"]
    return found


def test_fields_of_bits_make_one_number_up_to_the_next_other_field() -> None:
    entry = made({"type": "b4"}, {"type": "b12"}, {"type": "u1"}, {"type": "b8"})
    assert entry["format"] == "<HBB"
    assert entry["fields"]["field_1"] == (0, 2)
    assert entry["bits"] == {"field_0": (0, 4), "field_1": (4, 12), "field_3": (0, 8)}


@pytest.mark.parametrize(
    "varying",
    [
        {"size": "field_0"},
        {"size-eos": True},
        {"type": "u4", "repeat": "expr", "repeat-expr": "field_0"},
        {"type": "u4", "if": "field_0 > 0"},
    ],
)
def test_nothing_has_a_place_after_what_varies(varying: dict[str, Any]) -> None:
    entry = made({"type": "u2"}, varying, {"type": "u8"})
    assert list(entry["fields"]) == ["field_0"]
    assert entry["varying"] == {
        "field_1": (2, varying.get("type")),
        "field_2": (None, "u8"),
    }


@pytest.mark.parametrize(
    ("attributes", "word"),
    [
        ([{"type": "b3"}], "3 bits in a row"),
        ([{"type": "b24"}], "24 bits in a row"),
        ([{"type": "b3"}, {"type": "u4"}, {"type": "b5"}], "3 bits in a row"),
        ([{"size-eos": True}, {"type": "b8"}], "bits after what varies"),
        ([{"type": "f4"}], "type f4"),
        ([{"type": "u4be"}], "type u4be"),
        ([{"type": "str", "terminator": 0}], "terminator"),
        ([{"size": 4, "process": "xor(7)"}], "process"),
        ([{"contents": [1, 2]}], "contents"),
    ],
)
def test_a_grammar_that_is_not_understood_makes_no_layout(
    attributes: list[dict[str, Any]], word: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        TOOL.layout(grammar_with(*attributes))
    assert word in str(caught.value.code)


def test_numbers_of_the_other_order_make_no_layout() -> None:
    meta = {"id": "small", "endian": "be", "bit-endian": "le"}
    with pytest.raises(SystemExit) as caught:
        TOOL.layout(grammar_with(meta=meta))
    assert "little-endian" in str(caught.value.code)


def test_a_switch_over_lengths_makes_no_layout() -> None:
    types = {f"of_{n}": {"seq": [{"id": "x", "size": n}]} for n in (2, 4)}
    switch = {"type": {"switch-on": "kind", "cases": {"0": "of_2", "1": "of_4"}}}
    instances = {"kind": {"value": "0"}}
    with pytest.raises(SystemExit) as caught:
        TOOL.layout(grammar_with(switch, types=types, instances=instances))
    assert "cases of different lengths" in str(caught.value.code)
