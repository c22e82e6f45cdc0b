"""Whatever a public object has is said in a docstring."""

from __future__ import annotations

import ast
import doctest
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import vhdx_kaitai

CLASSES = [
    value
    for value in (getattr(vhdx_kaitai, name) for name in vhdx_kaitai.__all__)
    if inspect.isclass(value)
]


def ours(public: type) -> list[type]:
    """A class and those that it inherits from, without Python's own."""
    return [base for base in public.__mro__ if base.__module__.startswith("vhdx_kaitai")]


def attributes(base: type) -> Iterator[str]:
    """The fields of a record, and whatever methods set."""
    yield from inspect.get_annotations(base)
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(base)))):
        if isinstance(node, ast.AnnAssign | ast.Assign):
            targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
            for target in targets:
                if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self":
                    yield target.attr


def test_the_example_of_the_package_prints_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(vhdx_kaitai) == (0, 5)


@pytest.mark.parametrize("public", CLASSES, ids=lambda public: public.__name__)
def test_every_attribute_is_in_a_docstring(public: type) -> None:
    said = "\n".join(base.__doc__ or "" for base in ours(public))
    unsaid = {
        name
        for base in ours(public)
        for name in attributes(base)
        if not name.startswith("_") and not re.search(rf"^ +{name}: \S", said, re.MULTILINE)
    }
    assert unsaid == set()


@pytest.mark.parametrize("public", CLASSES, ids=lambda public: public.__name__)
def test_every_property_and_method_has_a_docstring(public: type) -> None:
    members = {name: member for base in ours(public) for name, member in vars(base).items()}
    unsaid = {
        name
        for name, member in members.items()
        if not name.startswith("_")
        and (isinstance(member, property) or inspect.isfunction(inspect.unwrap(member)))
        and not inspect.getdoc(getattr(public, name))
    }
    assert unsaid == set()
