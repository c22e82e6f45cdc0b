"""Writes accessors.h from the grammar: C++ finds nothing by its name at run time."""

import sys
from pathlib import Path
from typing import Any

import yaml


def class_name(name: str) -> str:
    return "vhdx_t" if name == "vhdx" else f"vhdx_t::{name}_t"


def is_plain(item: dict[str, Any], types: dict[str, Any]) -> bool:
    """Whether a value is no pointer, so that only a function beside it knows that it is absent."""
    kind = item.get("type")
    is_struct = isinstance(kind, dict) or str(kind).split("(")[0].strip() in types
    return not (is_struct or "repeat" in item)


def node(name: str, spec: dict[str, Any], types: dict[str, Any]) -> str:
    fields = {item["id"]: item for item in (*spec.get("params", ()), *spec.get("seq", ()))}
    fields |= spec.get("instances", {})
    lines = []
    for field, item in fields.items():
        show = f"show(node->{field}())"
        if isinstance(item.get("type"), dict):
            cases = dict.fromkeys(item["type"]["cases"].values())
            names = ", ".join(class_name(case.split("(")[0]) for case in cases)
            show = f"show_one_of<{names}>(node->{field}())"
        if "if" in item and is_plain(item, types):
            show = f"(node->{field}(), node->_is_null_{field}()) ? Value::absent() : {show}"
        lines.append(f'    if (name == "{field}") return {show};')
    return f"""
inline Value get({class_name(name)} *node, const std::string &name) {{
{chr(10).join(lines)}
    return Value::nothing("no " + name);
}}"""


def enumeration(name: str, labels: dict[int, Any]) -> str:
    cases = [
        f'        case {number}: return Value("{name}", "{label["id"]}");'
        for number, label in labels.items()
    ]
    return f"""
inline Value show(vhdx_t::{name}_t value) {{
    switch (static_cast<int>(value)) {{
{chr(10).join(cases)}
    }}
    return Value("{name}", std::to_string(static_cast<int>(value)));
}}"""


def main(ksy: str) -> None:
    grammar = yaml.safe_load(Path(ksy).read_text(encoding="utf-8"))
    types = {"vhdx": grammar, **grammar["types"]}
    parts = [
        f"inline Value get({class_name(name)} *node, const std::string &name);" for name in types
    ]
    parts += [enumeration(name, labels) for name, labels in grammar["enums"].items()]
    parts += [node(name, spec, types) for name, spec in types.items()]
    Path("accessors.h").write_text("\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
