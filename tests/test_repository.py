"""What the repository says of itself is so: what is checked, and what is cited."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support import ROOT

# Made, not written.
_MADE = {"build", "dist", "generated"}


@cache
def files() -> tuple[Path, ...]:
    """All files of the repository; a clone has more, which the tools made."""
    tops = [
        path for path in ROOT.iterdir() if path.name not in _MADE and path.suffix != ".egg-info"
    ]
    shown = [top for top in tops if top.name[0] != "." or top.name == ".github"]
    below = [path for top in shown for path in (top, *top.rglob("*"))]
    return tuple(sorted(path for path in below if path.is_file()))


PYTHON = [path for path in files() if path.suffix == ".py"]
PROSE = [path for path in files() if path.suffix in (".md", ".ksy", ".toml")]


def prose_of(path: Path) -> Iterator[str]:
    """Comments and docstrings of a module, the whole of anything else."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield text
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            yield ast.get_docstring(node) or ""


def test_types_are_checked_of_all_python_that_there_is() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    checked = re.findall(r"^CODE +:= (.*)$", makefile, re.MULTILINE)
    assert {path.relative_to(ROOT).parts[0] for path in PYTHON} == set(checked[0].split())


_CITED = re.compile(r"(?<![\w./:-])[\w./-]*\w\.(?:docx|md|pdf|rst|yaml|yml)\b|\.\./shared")


def test_files_that_are_cited_are_in_the_repository() -> None:
    """The format is cited by the sections of [MS-VHDX]."""
    names = {file.name for file in files()}
    missing = [
        f"{path.relative_to(ROOT)} cites {cited}"
        for path in (*PYTHON, *PROSE)
        for text in prose_of(path)
        for cited in _CITED.findall(text)
        if cited not in names and not any((top / cited).is_file() for top in (ROOT, path.parent))
    ]
    assert missing == []
