"""Make docs/api.md: every public name of the package, by its docstring.

python -m tools.api                     # prints the page
python -m tools.api -o docs/api.md      # writes it
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import vhdx_kaitai

_HEAD = """\
# Names of the library

Every public name of `vhdx_kaitai`, by its docstring. [library.md](library.md) shows how they are
used. Whatever the bytes, a call returns, or raises one of the errors below, or an `OSError` of the
system; a ValueError or TypeError says that the call itself makes no sense.

Made by `make docs`.
"""
# The sections of a docstring that list names, and those names with what is said of them.
_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):$")
_WIDTH = 100
_ITEM = re.compile(r"^(\*{0,2}\w+): (.*)$")


def page() -> str:
    """Return the page."""
    values = {name: getattr(vhdx_kaitai, name) for name in vhdx_kaitai.__all__}
    functions = {name: value for name, value in values.items() if inspect.isroutine(value)}
    classes = {name: value for name, value in values.items() if inspect.isclass(value)}
    errors = {name: value for name, value in classes.items() if issubclass(value, Exception)}
    records = {name: value for name, value in classes.items() if name not in errors}
    parts = [_HEAD, "\n## Functions\n", *map(_function, functions, functions.values())]
    parts += ["\n## Errors\n", *map(_error, errors, errors.values())]
    parts += ["\n## Objects\n", *map(_object, records, records.values())]
    text = "".join(parts)
    return f"{text}\n## Kinds of arguments\n\n{_aliases(text)}"


def _aliases(text: str) -> str:
    """Return what the names stand for that signatures in a text have for types."""
    called = set(re.findall(r"\w+", " ".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))))
    found = {}
    for path in sorted(Path(vhdx_kaitai.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.AnnAssign) and node.value and isinstance(node.target, ast.Name):
                name, value = node.target.id, ast.unparse(node.value)
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name, value = node.targets[0].id, ast.unparse(node.value)
            else:
                continue
            if name in called and name[0].isupper():
                found[name] = value.strip("'\"")
    return "".join(f"* `{name}`: `{found[name]}`\n" for name in sorted(found))


def _function(name: str, function: Callable[..., Any]) -> str:
    calls = typing.get_overloads(function) or [function]
    lines = "\n\n".join(_wrapped(f"{name}{_signature(call)}") for call in calls)
    return f"\n### {name}\n\n```python\n{lines}\n```\n\n{_text(function)}"


def _error(name: str, error: type[Exception]) -> str:
    [base, *_] = (parent.__name__ for parent in error.__mro__[1:])
    return f"\n### {name}\n\nA `{base}`. {_text(error)}"


def _object(name: str, public: type) -> str:
    text = f"\n### {name}\n\n{_text(public)}"
    methods = "".join(_methods(public))
    return text + (f"\n{methods}" if methods else "")


def _methods(public: type) -> Iterator[str]:
    """Yield a line for each method and property, which are many, by the first of its docstring."""
    for member_name, member in inspect.getmembers(public):
        owner = next((base for base in public.__mro__ if member_name in vars(base)), object)
        if member_name.startswith("_") or not owner.__module__.startswith("vhdx_kaitai"):
            continue
        first = (inspect.getdoc(member) or "").partition("\n")[0]
        if callable(member):
            yield f"* `{member_name}{_signature(member)}`: {first}\n"
        elif isinstance(member, property | cached_property):
            yield f"* `{member_name}`: {first}\n"


class _Annotation(str):
    """An annotation that is shown without quotes."""

    __repr__ = str.__str__


def _signature(function: Callable[..., Any]) -> str:
    """Return the arguments of a function, as whoever calls it has to give them."""
    signature = inspect.signature(function)
    arguments = [
        item.replace(annotation=_Annotation(item.annotation))
        for name, item in signature.parameters.items()
        if name not in ("self", "cls")
    ]
    returned = _Annotation(signature.return_annotation)
    return str(signature.replace(parameters=arguments, return_annotation=returned))


def _wrapped(call: str) -> str:
    """Return a call, with a line for each argument when it is long."""
    if len(call) <= _WIDTH:
        return call
    name, _, rest = call.partition("(")
    arguments, _, returned = rest.rpartition(") -> ")
    parts = re.split(r", (?=\*|\w+: )", arguments)
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f") -> {returned}"


def _text(public: Any) -> str:
    """Return a docstring as Markdown: sections that list names become lists."""
    lines: list[str] = []
    section = ""
    for line in (inspect.getdoc(public) or "").splitlines():
        heading = _SECTION.match(line)
        item = _ITEM.match(line.strip())
        if heading:
            section = heading[1]
            lines += [line, ""]
        elif section and line and not line.startswith(" "):
            section = ""
            lines += [line]
        elif section and item and len(line) - len(line.lstrip()) == 4:
            lines.append(f"* `{item[1]}`: {item[2]}")
        elif section:
            lines.append(f"  {line.strip()}" if line.startswith("    ") else line)
        else:
            lines.append(line)
    return "\n".join(lines).strip() + "\n"


def main() -> None:
    """Print the page or write it."""
    parser = argparse.ArgumentParser(description="make docs/api.md")
    parser.add_argument("-o", dest="output", metavar="OUT", type=Path, help="write it there")
    output = parser.parse_args().output
    if output is None:
        sys.stdout.write(page())
    else:
        output.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
