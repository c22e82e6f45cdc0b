"""docs/vhdx.svg, the structure of the format on one page, is what the grammar says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.compiling import compile_grammar
from tests.support import ROOT, tool

TOOL = tool("diagram")

DOT = (ROOT / "docs" / "vhdx.dot").read_text(encoding="utf-8")
SVG = (ROOT / "docs" / "vhdx.svg").read_text(encoding="utf-8")


def boxes() -> dict[str, list[str]]:
    """Fields by type, as drawn."""
    found = re.findall(r"^  (\w+) \[label=<(.*?)>\];", DOT, re.MULTILINE | re.DOTALL)
    return {owner: re.findall(r'LEFT" PORT="(\w+)"', rows) for owner, rows in found}


@pytest.mark.slow
def test_the_drawing_is_made_from_the_grammar(compiler: Path, tmp_path: Path) -> None:
    compile_grammar(compiler, tmp_path, "-t", "graphviz")
    drawn = TOOL.diagram((tmp_path / "vhdx.dot").read_text(encoding="utf-8"))
    assert drawn == DOT, "run 'make docs'"


def test_every_type_and_every_field_of_the_file_is_drawn() -> None:
    grammar = yaml.safe_load((ROOT / "vhdx.ksy").read_text(encoding="utf-8"))
    drawn = boxes()
    types = {"vhdx": grammar, **grammar["types"]}
    assert drawn.keys() == types.keys() - TOOL.HELPERS
    for owner, names in drawn.items():
        fields = [field["id"] for field in types[owner].get("seq", [])]
        assert [name for name in names if name in fields] == fields
    for shortcut in TOOL.SHORTCUTS:
        owner, field = shortcut.split(".")
        assert field in types[owner]["instances"], shortcut


def test_the_picture_is_made_from_the_drawing() -> None:
    """Layout differs between versions of Graphviz; boxes, texts and arrows do not."""
    texts = set(re.findall(r"<text[^>]*>(.*?)</text>", SVG))
    for owner, names in boxes().items():
        assert owner in texts
        for name in names:
            assert name in texts or f"{name} [ ]" in texts, f"{owner}.{name}"
    assert SVG.count('class="edge"') == DOT.count("->")
    assert SVG.count('class="node"') == len(boxes())
