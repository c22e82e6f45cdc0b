"""Writes src/accessors.rs from the grammar: Rust finds nothing by its name at run time."""

import sys
from pathlib import Path
from typing import Any

import yaml


def pascal_case(name: str) -> str:
    return name.title().replace("_", "")


def type_name(name: str) -> str:
    return "Vhdx" if name == "vhdx" else f"Vhdx_{pascal_case(name)}"


def node(name: str, spec: dict[str, Any]) -> str:
    """A type: parameters and fields are there, instances may fail."""
    fields = [item["id"] for item in (*spec.get("params", ()), *spec.get("seq", ()))]
    arms = [f'"{field}" => self.{field}().show(),' for field in fields]
    arms += [f'"{field}" => self.{field}()?.show(),' for field in spec.get("instances", ())]
    return f"""
impl Node for {type_name(name)} {{
    fn get(&self, name: &str) -> KResult<Value> {{
        Ok(match name {{
            {(chr(10) + 12 * " ").join(arms)}
            _ => Value::Nothing,
        }})
    }}
}}"""


def switch(owner: str, field: str, cases: dict[str, str]) -> str:
    """A field of one of several types; of bytes when nothing is said of the other cases."""
    types = [
        type_name(name) for name in dict.fromkeys(case.split("(")[0] for case in cases.values())
    ]
    types += [] if "_" in cases else ["Bytes"]
    choice = f"{type_name(owner)}_{pascal_case(field)}"
    arms = [f"{choice}::{name}(value) => value.show()," for name in types]
    return f"""
impl Show for {choice} {{
    fn show(&self) -> Value {{
        match self {{
            {(chr(10) + 12 * " ").join(arms)}
        }}
    }}
}}"""


def enumeration(name: str) -> str:
    return f"""
impl Show for {type_name(name)} {{
    fn show(&self) -> Value {{
        label("{name}", format!("{{:?}}", self))
    }}
}}"""


def main(ksy: str) -> None:
    grammar = yaml.safe_load(Path(ksy).read_text(encoding="utf-8"))
    types = {"vhdx": grammar, **grammar["types"]}
    parts = ["use crate::vhdx::*;\nuse crate::{label, Node, Show, Value};\nuse kaitai::KResult;"]
    for name, spec in types.items():
        parts.append(node(name, spec))
        fields = {item["id"]: item for item in spec.get("seq", ())} | spec.get("instances", {})
        for field, item in fields.items():
            if isinstance(item.get("type"), dict):
                parts.append(switch(name, field, item["type"]["cases"]))
    parts += [enumeration(name) for name in grammar["enums"]]
    Path("src/accessors.rs").write_text("\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
