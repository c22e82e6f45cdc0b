"""Modules import only from layers below their own, in the order that CONTRIBUTING.md gives."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "vhdx_kaitai"
LAYERS = re.findall(
    r"^\d+\. `(\w+)` ", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE
)

# Outside the layers: the public face, the command, and one constant.
APART = {"__init__", "__main__", "_version"}
KNOWN = {"generated", *(path.stem for path in PACKAGE.glob("*.py"))}


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """All of a syntax tree but what only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from executed(child)


def imported_modules(path: Path) -> Iterator[str]:
    """Names of the package's own modules that a module imports, anywhere in it."""
    for node in executed(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level == 0:
                if source.partition(".")[0] != "vhdx_kaitai":
                    continue
                source = source.partition(".")[2]
            names = [source.split(".")[0]] if source else [name.name for name in node.names]
            yield from (name if name in KNOWN else "__init__" for name in names)
        elif isinstance(node, ast.Import):
            for name in node.names:
                if name.name.startswith("vhdx_kaitai."):
                    yield name.name.split(".")[1]


def modules() -> list[str]:
    return sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem not in APART)


def test_every_module_has_its_layer_and_every_layer_its_module() -> None:
    assert modules() == sorted(LAYERS)


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_only_from_layers_below(module: str) -> None:
    position = LAYERS.index(module) if module in LAYERS else 0
    below = {"generated", "_version", *LAYERS[:position]}
    if module == LAYERS[-1]:
        below |= {"__init__"}  # the command may use what every caller may
    assert set(imported_modules(PACKAGE / f"{module}.py")) - below == set()


def test_records_come_from_one_door_to_the_compiled_grammar() -> None:
    """`tree` is no reader: it shows what the grammar says."""
    importers = [
        module
        for module in modules()
        if "generated" in set(imported_modules(PACKAGE / f"{module}.py"))
    ]
    assert importers == ["grammar", "tree"]
