"""Records are the named tuples of `typing`, made faster."""

from __future__ import annotations

import ast
import importlib
import inspect
import pickle
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pytest

from vhdx_kaitai import errors, records
from vhdx_kaitai.format import headers


def record_of(base: Any) -> Any:
    """Return a record made by one kind of named tuple or the other."""

    class Record(base):  # type: ignore[misc]
        """A record."""

        first: int
        second: str | None = "two"
        third: bytes = b""

        @property
        def both(self) -> str:
            """Two fields in one."""
            return f"{self.first} {self.second}"

        def __str__(self) -> str:
            return f"<{self.both}>"

    return Record


Ours, Theirs = record_of(records.NamedTuple), record_of(typing.NamedTuple)


@pytest.mark.parametrize(
    "name", ["__doc__", "__module__", "__bases__", "__match_args__", "_fields", "_field_defaults"]
)
def test_a_record_is_a_named_tuple(name: str) -> None:
    assert getattr(Ours, name) == getattr(Theirs, name)


def test_it_is_called_like_one() -> None:
    assert inspect.signature(Ours.__new__).parameters.keys() == {
        "_cls",
        *inspect.signature(Theirs).parameters,
    }
    for arguments in ((1,), (1, None), (1, "x", b"y")):
        ours, theirs = Ours(*arguments), Theirs(*arguments)
        assert tuple(ours) == tuple(theirs)
        assert (str(ours), ours.both, ours.third) == (str(theirs), theirs.both, theirs.third)
    with pytest.raises(TypeError):
        Ours()
    with pytest.raises(AttributeError):
        Ours(1).other = 2


def test_records_can_be_pickled() -> None:
    span = errors.Span("header 1", 65536, 4096)
    again = pickle.loads(pickle.dumps(span))
    assert again == span
    assert type(again) is errors.Span


def test_annotations_are_kept() -> None:
    assert headers.Headers.__annotations__.keys() == set(headers.Headers._fields)


def test_what_describes_an_image_does_without_typing() -> None:
    code = (
        "import sys, vhdx_kaitai.commands.info, vhdx_kaitai.commands.main\n"
        "print(*(name for name in sys.modules if name.startswith('vhdx_kaitai.')))"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    names = shown.stdout.split()
    assert len(names) > 10
    for name in names:
        module = sys.modules.get(name) or importlib.import_module(name)
        source = Path(str(module.__file__)).read_text(encoding="utf-8")
        for node in ast.parse(source).body:  # what only type checkers read is inside an `if`
            if isinstance(node, ast.ImportFrom):
                assert node.module != "typing", name
            elif isinstance(node, ast.Import):
                assert "typing" not in [alias.name for alias in node.names], name
