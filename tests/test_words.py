"""Words that make a stranger stop: *after*, *past* and *before* say where something is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WORDS = re.compile(
    r"(?<![A-Za-z])(?:behind|in[\s#]+front|so[\s#]+(?:many|much|few)|unless[\s#]+(?:told|given|named))"
    r"(?![A-Za-z])",
    re.IGNORECASE,
)
FOLDERS = ("vhdx_kaitai", "generated", "docs", "tests", "benchmarks", "tools", "fuzz")
TEXTS = {".py", ".md", ".json", ".ksy", ".svg", ".dot", ".js", ".java", ".cs", ".rs", ".rb", ".cpp"}

# Where the words are not ours.
QUOTED = {
    "tests/test_words.py": "these words",
    "tests/test_rules.py": "the words of the demands",
    "tests/data": "files made by others",
}


def texts() -> dict[str, Path]:
    """All files of the repository that somebody reads, by their names in it."""
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    paths += [path for path in ROOT.iterdir() if path.is_file()]
    chosen = {
        path.relative_to(ROOT).as_posix(): path
        for path in paths
        if path.suffix in TEXTS or path.name in ("Makefile", "pyproject.toml")
    }
    return {
        name: path
        for name, path in chosen.items()
        if not any(name == quoted or name.startswith(f"{quoted}/") for quoted in QUOTED)
    }


TEXTS_BY_NAME = texts()


def test_everything_that_is_read_is_looked_at() -> None:
    for name in ("README.md", "vhdx.ksy", "vhdx_kaitai/rules.json", "docs/rules.md", "Makefile"):
        assert name in TEXTS_BY_NAME


def test_place_and_order_are_told_in_plain_words() -> None:
    found = [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
        for name, path in TEXTS_BY_NAME.items()
        for text in [path.read_text(encoding="utf-8")]
        for match in WORDS.finditer(text)
    ]
    assert found == []


@pytest.mark.parametrize(
    "text",
    ["behind the end", "log-behind-the-end", "so many of them", "in\n# front of", "2 unless told"],
)
def test_such_words_are_found(text: str) -> None:
    assert WORDS.search(text)


@pytest.mark.parametrize("text", ["past the end", "after the table", "unless HasParent is set"])
def test_other_words_are_not(text: str) -> None:
    assert not WORDS.search(text)
