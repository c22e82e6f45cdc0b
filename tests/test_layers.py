"""Floors import from floors below, rooms from rooms below, as CONTRIBUTING.md lists them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "vhdx_kaitai"

# Outside the floors: the public face, the command, and one constant.
APART = {"__init__", "__main__", "_version"}


def listed_rooms() -> list[str]:
    """Dotted names of all modules, floor by floor, as CONTRIBUTING.md lists them."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.partition("\n## Floors\n")[2].partition("\n## ")[0]
    floor, rooms = "", []
    for line in section.splitlines():
        heading = re.match(r"### (?:`(\w+)/`|The ground) ", line)
        room = re.match(r"\d+\. `(\w+)` ", line)
        if heading:
            floor = f"{heading[1]}." if heading[1] else ""
        elif room:
            rooms.append(floor + room[1])
    return rooms


ROOMS = listed_rooms()


def dotted(path: Path) -> str:
    """The name of a module in the package, that of the folder for its `__init__`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


FLOORS = {dotted(path) for path in PACKAGE.glob("*/__init__.py")}
MODULES = sorted({dotted(path) for path in PACKAGE.rglob("*.py")} - APART - FLOORS)


def tree_of(module: str) -> ast.Module:
    path = PACKAGE.joinpath(*module.split(".")).with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"))


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """All of a syntax tree but what only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from executed(child)


def imported(module: str, *, with_types: bool = False) -> Iterator[str]:
    """Dotted names of the package's own modules that a module imports, anywhere in it."""
    tree = tree_of(module)
    for node in ast.walk(tree) if with_types else executed(tree):
        if isinstance(node, ast.ImportFrom):
            yield from _imported_from(module, node)
        elif isinstance(node, ast.Import):
            for name in node.names:
                if name.name.partition(".")[0] == "vhdx_kaitai":
                    yield name.name.partition(".")[2] or "__init__"


def _imported_from(module: str, node: ast.ImportFrom) -> Iterator[str]:
    if node.level == 0:
        package, _, source = (node.module or "").partition(".")
        if package != "vhdx_kaitai":
            return
        base = source.split(".") if source else []
    else:
        steps = module.split(".")
        assert node.level <= len(steps), f"{module} imports from outside the package"
        base = steps[: len(steps) - node.level] + (node.module.split(".") if node.module else [])
    for name in node.names:
        whole = ".".join([*base, name.name])
        if whole in MODULES:
            yield whole
        elif (base and base[0] == "generated") or (name.name == "generated" and not base):
            yield "generated"
        else:
            yield ".".join(base) or ("_version" if name.name == "_version" else "__init__")


def test_every_module_has_its_room_and_every_room_its_module() -> None:
    assert sorted(ROOMS) == MODULES


def test_floors_have_nothing_of_their_own() -> None:
    for floor in FLOORS:
        assert (PACKAGE / floor / "__init__.py").read_text(encoding="utf-8") == ""


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_below(module: str) -> None:
    below = {"generated", "_version", *ROOMS[: ROOMS.index(module)]}
    if module.startswith("commands."):
        below |= {"__init__"}  # a command may use what every caller may
    assert set(imported(module)) - below == set()


def test_records_come_from_one_door_to_the_compiled_grammar() -> None:
    """`place` and `encode` know its layout; `tree` is no reader: it shows what the grammar says."""
    importers = [module for module in MODULES if "generated" in set(imported(module))]
    assert importers == ["format.grammar", "format.place", "showing.tree"]
