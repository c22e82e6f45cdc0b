"""Rooms, tests and functions that can be read at a sitting, and few imports that wait for a call.

What goes past a measure stands here with its reason.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache

from tests.test_layers import FLOORS, PACKAGE, ROOT, dotted

TESTS = ROOT / "tests"

MODULES = {
    dotted(path): path.read_text(encoding="utf-8")
    for path in sorted(PACKAGE.rglob("*.py"))
    if dotted(path) not in FLOORS
}

# -- lines ----------------------------------------------------------------------------------------

MAX_ROOM = 500
LARGE_ROOMS: dict[str, str] = {}

MAX_TESTS = 600

MAX_FUNCTION = 50
LONG_FUNCTIONS = {
    "writing.convert.convert": "it says what each of its arguments does",
    "writing.compact.compact": "it says what each of its arguments does",
    "writing.create.create": "it says what each of its arguments does",
    "writing.resize.resize": "it says what each of its arguments does",
    "reading.reader._by_window": "two closures, which keep the hot path free of attributes",
    "writing.merge.merge": "it says what each of its arguments does",
    "writing.rebase.rebase": "it says what each of its arguments does",
    "writing.repair.repair": "it says what each of its arguments does",
    "writing.opening.open": "the front door: it says what each of its arguments does",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(node: ast.AST, scope: str) -> Iterator[tuple[str, Function]]:
    """Every function below a syntax tree that is in no other function, by its dotted name."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            yield f"{scope}.{child.name}", child
        else:
            name = f"{scope}.{child.name}" if isinstance(child, ast.ClassDef) else scope
            yield from functions(child, name)


@cache
def all_functions() -> dict[str, Function]:
    return {
        name: function
        for module, text in MODULES.items()
        for name, function in functions(ast.parse(text), module)
    }


def test_a_room_can_be_read_at_a_sitting() -> None:
    large = {name for name, text in MODULES.items() if text.count("\n") > MAX_ROOM}
    assert large == LARGE_ROOMS.keys()


def test_a_file_of_tests_can_be_read_at_a_sitting() -> None:
    lengths = {
        path.relative_to(TESTS).as_posix(): path.read_text(encoding="utf-8").count("\n")
        for path in TESTS.rglob("*.py")
    }
    assert {name: lines for name, lines in lengths.items() if lines > MAX_TESTS} == {}


def test_a_function_fits_on_a_screen() -> None:
    lengths = {name: (f.end_lineno or 0) - f.lineno + 1 for name, f in all_functions().items()}
    long = {name for name, length in lengths.items() if length > MAX_FUNCTION}
    assert long == LONG_FUNCTIONS.keys()


# -- imports that wait ----------------------------------------------------------------------------

MAX_LATE_IMPORTS = 54
_START = "starting takes time, and not everything needs it"
_LARGE = "numpy is for large disks"
_REMOTE = "most files are here, and what reads others takes long to start"
LATE_IMPORTS = {
    "__init__: importlib": "names of the face come when they are used",
    "__init__: importlib.resources": _START,
    "checking.layout: .": _LARGE,
    "checking.logged: .crowds": _LARGE,
    "checking.quick: .usage": "most images are in order",
    "checking.survey: .crowds": _LARGE,
    "checking.survey: .tally": _LARGE,
    "copying.data: .": _LARGE,
    "commands.arguments: ..storage.urls": "help needs nothing of files",
    "commands.arguments: difflib": "only what is mistyped gets a guess",
    "commands.check: ..showing.sarif": _START,
    "commands.info: ..reading.links": _START,
    "commands.info: .disks": _START,
    "commands.info: .progress": _START,
    "commands.main: .running": "help and version run nothing",
    "commands.main: importlib": "only the command that was asked for is loaded",
    "commands.running: ..reading.layers": "only a refusal has a hint",
    "commands.several: ..reading.folders": "most files are named themselves",
    "errors: .rules": "a finding that nobody prints needs no catalogue",
    "fast: numpy": _LARGE,
    "format.checksum: .crc": "what is compiled is quicker",
    "format.checksum: crc32c": _START,
    "format.headers: .": "most files are what they are taken for",
    "format.descent: .locator": "only differencing disks have one",
    "format.descent: .log": "only a log that is not empty is looked at",
    "format.descent: .replay": "only a dirty log is replayed",
    "reading.allocation: .shares": _LARGE,
    "reading.image: ..format.rescue": "most images need no rescue",
    "ranges: heapq": "little lies on anything",
    "reading.map: .bulk": _LARGE,
    "reading.ntfsfiles: dissect": "few disks have a file system that it reads",
    "reading.parents: ..storage.remote": _REMOTE,
    "reading.parents: unicodedata": _START,
    "records: inspect": "few ask what a record takes",
    "rules: importlib.resources": _START,
    "rules: json": _START,
    "serving.tables: pyarrow.parquet": "few want tables",
    "serving.workers: distributed": "few have a cluster",
    "showing.document: json": _START,
    "storage.objects: obstore": _REMOTE,
    "storage.objects: obstore.exceptions": _REMOTE,
    "storage.objects: obstore.store": _REMOTE,
    "storage.remote: fsspec.core": _REMOTE,
    "storage.source: .remote": _REMOTE,
    "storage.urls: urllib.parse": _REMOTE,
    "showing.info: ..checking.usage": "few ask for it",
    "showing.info: textwrap": _START,
    "writing.opening: .disk": "who reads needs no writer",
}


def late_imports() -> Iterator[str]:
    """Each import inside a function: the module it is in, and the module it imports."""
    for name, text in MODULES.items():
        for _, function in functions(ast.parse(text), name):
            for node in ast.walk(function):
                if isinstance(node, ast.ImportFrom):
                    yield f"{name}: {'.' * node.level}{node.module or ''}"
                elif isinstance(node, ast.Import):
                    yield from (f"{name}: {alias.name}" for alias in node.names)


def test_few_imports_wait_for_a_call_and_each_has_its_reason() -> None:
    late = list(late_imports())
    assert set(late) == LATE_IMPORTS.keys()
    assert len(late) <= MAX_LATE_IMPORTS
