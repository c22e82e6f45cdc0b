"""Writes accessors.nim from the grammar: Nim finds nothing by its name at run time."""

import sys
from pathlib import Path
from typing import Any

import yaml


def type_name(name: str) -> str:
    return "Vhdx" if name == "vhdx" else f"Vhdx_{name.title().replace('_', '')}"


def camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def node(name: str, spec: dict[str, Any]) -> str:
    fields = {item["id"]: item for item in (*spec.get("params", ()), *spec.get("seq", ()))}
    fields |= spec.get("instances", {})
    lines = []
    for field, item in fields.items():
        value = f"node.{camel_case(field)}"
        if isinstance(item.get("type"), dict):
            cases = dict.fromkeys(item["type"]["cases"].values())
            names = [type_name(case.split("(")[0]) for case in cases]
            tests = [f"if it of {one}: show({one}(it))" for one in names]
            choice = " el".join(tests) + ' else: nothing("another type")'
            lines.append(
                f'  of "{field}":\n    let it = {value}\n    if it.isNil: absent() el{choice}'
            )
        else:
            lines.append(f'  of "{field}": show({value})')
    return f"""
proc get(node: {type_name(name)}, name: string): Value =
  case name
{chr(10).join(lines)}
  else: nothing("no " & name)"""


def main(ksy: str) -> None:
    grammar = yaml.safe_load(Path(ksy).read_text(encoding="utf-8"))
    types = {"vhdx": grammar, **grammar["types"]}
    parts = [f"proc get(node: {type_name(name)}, name: string): Value" for name in types]
    parts += [
        f"""
proc show(node: {type_name(name)}): Value =
  if node.isNil: return absent()
  result = Value(kind: "object")
  result.step = proc (name: string): Value = get(node, name)"""
        for name in types
    ]
    parts += [node(name, spec) for name, spec in types.items()]
    Path("accessors.nim").write_text("\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
