"""Make `vhdx_kaitai/explorer.html.gz`: the page that opens VHDX files in a browser, in one file.

    java ... -t javascript --debug --outdir build/explorer vhdx.ksy
    python -m tools.explorer build/explorer vhdx_kaitai/explorer.html.gz

The page is made of what is in `explorer/`, the compiled grammar, the official runtime, unmodified,
and of what the grammar says for people: names, docs and representations.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from vhdx_kaitai import __version__

ROOT = Path(__file__).parent.parent
PARTS = ROOT / "explorer"
RUNTIME = Path("node_modules", "kaitai-struct")

# What the compiled grammar reads from, and by what it defines its getters.
_SURROUNDINGS = " const require = () => PagedStream, Object = ForgetfulObject;"

Spec = dict[str, Any]


def grammar(spec: Spec) -> Spec:
    """Return what the page knows of the grammar: its types, their fields, its enumerations."""
    types = {spec["meta"]["id"]: spec, **spec["types"]}
    return {
        "id": spec["meta"]["id"],
        "types": [
            {
                "id": name,
                "doc": _text(of_type),
                "reference": of_type.get("doc-ref"),
                "representation": of_type.get("-webide-representation"),
                "fields": list(_fields(of_type)),
            }
            for name, of_type in types.items()
        ],
        "enums": {name: _labels(labels) for name, labels in spec["enums"].items()},
    }


def _fields(of_type: Spec) -> Iterator[Spec]:
    params, stored = of_type.get("params", []), of_type.get("seq", [])
    instances = [{"id": name, **field} for name, field in of_type.get("instances", {}).items()]
    for field in [*params, *stored, *instances]:
        yield {
            "id": field["id"],
            "doc": _text(field),
            "reference": field.get("doc-ref"),
            "original": field.get("-orig-id"),
            "enum": field.get("enum") or _enum(field.get("value")),
            "types": list(_types(field)),
            "isRepeated": "repeat" in field,
            "isStored": field in stored,
            "isEager": field.get("-webide-parse-mode") == "eager",
        }


def _enum(value: object) -> str | None:
    """Return the enumeration of an expression that ends in one of its labels."""
    found = re.search(r":\s*(\w+)::\w+\s*$", str(value))
    return found[1] if found else None


def _types(field: Spec) -> Iterator[str]:
    """Yield the types of the grammar that a field may have."""
    stated = field.get("type")
    for name in stated["cases"].values() if isinstance(stated, dict) else [stated]:
        plain = str(name).strip().partition("(")[0]
        if name is not None and not re.fullmatch(r"[us][1248]|b\d+|str|bool", plain):
            yield plain


def _labels(labels: Spec) -> Spec:
    return {
        str(value): {"id": label["id"], "original": label.get("-orig-id"), "doc": _text(label)}
        for value, label in labels.items()
    }


def _text(part: Spec) -> str | None:
    """Return a doc as paragraphs, each on a line."""
    doc = part.get("doc")
    return None if doc is None else re.sub(r"(?<!\n)\n(?!\n)", " ", doc.strip())


def script(folder: Path) -> str:
    """Return the program of the page.

    Args:
        folder: The compiled grammar `Vhdx.js`, and npm's `node_modules` with the runtime.
    """
    runtime = folder / RUNTIME
    licence = (runtime / "LICENSE").read_text(encoding="utf-8")
    about = json.loads((runtime / "package.json").read_text(encoding="utf-8"))
    spec = yaml.safe_load((ROOT / "vhdx.ksy").read_text(encoding="utf-8"))
    known = json.dumps(grammar(spec), ensure_ascii=False, separators=(",", ":"))
    names = ("reading", "words", "places", "tree", "hex", "details", "main")
    return "\n".join(
        [
            "'use strict';",
            f"/* {about['description']} {about['version']}, {about['homepage']}\n\n{licence}*/",
            _module("KaitaiStream", runtime / "KaitaiStream.js", "module.exports", ""),
            *(_part(f"{name}.js") for name in ("pages", "stream")),
            "// The grammar, vhdx.ksy, compiled; released under CC0-1.0.",
            _module("Vhdx", folder / "Vhdx.js", "module.exports.Vhdx", _SURROUNDINGS),
            f"const GRAMMAR = {known};",
            *(_part(f"{name}.js") for name in names),
        ]
    )


def _part(name: str) -> str:
    return (PARTS / name).read_text(encoding="utf-8")


def _module(name: str, path: Path, result: str, surroundings: str) -> str:
    """Return a CommonJS module as an expression, in which names mean what surrounds it."""
    return (
        f"const {name} = (() => {{\n"
        f"const module = {{ exports: {{}} }}, {{ exports }} = module;{surroundings}\n"
        f"{path.read_text(encoding='utf-8')}\nreturn {result};\n}})();"
    )


def page(folder: Path) -> str:
    """Return the page; its arguments are those of `script`."""
    style, program = _part("page.css"), script(folder)
    if re.search("<!--|</?script", program, re.IGNORECASE):
        raise ValueError("the program would end in the middle of the page")
    policy = (
        f"default-src 'none'; base-uri 'none'; form-action 'none'; connect-src http: https:; "
        f"style-src {_hash(style)}; script-src {_hash(program)}"
    )
    parts = {"POLICY": policy, "STYLE": style, "SCRIPT": program, "VERSION": __version__}
    return re.sub(r"%([A-Z]+)%", lambda match: parts[match[1]], _part("page.html"))


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


if __name__ == "__main__":
    made = page(Path(sys.argv[1])).encode()
    Path(sys.argv[1], "explorer.html").write_bytes(made)  # for tests, and to be looked at
    Path(sys.argv[2]).write_bytes(gzip.compress(made, mtime=0))
