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
        named = re.match(r"\d+\. ((?:`\w+`(?:, )?)+) ", line)
        if heading:
            floor = f"{heading[1]}." if heading[1] else ""
        elif named:
            rooms += [floor + name for name in re.findall(r"\w+", named[1])]
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
    """Types included, so nothing goes in circles."""
    below = {"generated", "_version", *ROOMS[: ROOMS.index(module)]}
    if module.startswith("commands."):
        below |= {"__init__"}  # a command may use what every caller may
    assert set(imported(module, with_types=True)) - below == set()


def test_records_come_from_one_door_to_the_compiled_grammar() -> None:
    """`place` is that to its layout; `tree` is no reader: it shows what the grammar says."""
    importers = [module for module in MODULES if "generated" in set(imported(module))]
    assert importers == ["format.grammar", "format.place", "showing.tree"]


# -- who writes ---------------------------------------------------------------------------------

WRITERS = ("storage.target", "storage.tree")  # files; folders, links and what is said of them

# Names by which a program changes files, besides `open`, whose mode tells; and those of `os`
# that mean something else elsewhere.
CHANGES = {
    *("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND", "fdopen"),
    *("ftruncate", "fallocate", "posix_fallocate", "copy_file_range"),
    *("sendfile", "splice", "renames", "symlink", "unlink", "rmdir", "removedirs", "mkdir"),
    *("makedirs", "mknod", "mkfifo", "chmod", "fchmod", "chown", "fchown", "utime", "setxattr"),
    *("write_text", "write_bytes", "touch", "symlink_to", "hardlink_to"),
    *("mkstemp", "mkdtemp", "NamedTemporaryFile", "TemporaryFile", "tempfile", "shutil"),
}
CHANGES_OF_OS = {
    "write",
    "writev",
    "pwrite",
    "pwritev",
    "replace",
    "rename",
    "link",
    "remove",
    "truncate",
}


def changes(node: ast.AST) -> Iterator[str]:
    """What of a syntax tree may change a file or opens one to do so; not the null device."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            if child.args and ast.unparse(child.args[0]) == "os.devnull":
                continue
            if _opens_to_write(child):
                yield ast.unparse(child)
        elif isinstance(child, ast.Attribute):
            of_os = isinstance(child.value, ast.Name) and child.value.id == "os"
            if child.attr in CHANGES or (of_os and child.attr in CHANGES_OF_OS):
                yield ast.unparse(child)
        elif isinstance(child, ast.Import | ast.ImportFrom):
            of_os = isinstance(child, ast.ImportFrom) and child.module == "os"
            found = {name.name for name in child.names}
            if found & (CHANGES | CHANGES_OF_OS if of_os else CHANGES):
                yield ast.unparse(child)
        yield from changes(child)


def _opens_to_write(call: ast.Call) -> bool:
    """Tell whether a call is one of `open` with a mode to write, or with one that is unknown."""
    function = call.func
    name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", None)
    if name != "open":
        return False
    if isinstance(function, ast.Name) and len(call.args) > 1:
        modes = [call.args[1]]
    else:  # a method may have the mode first
        modes = [argument for argument in call.args[:2] if isinstance(argument, ast.Constant)]
    modes += [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    return any(
        not isinstance(mode, ast.Constant) or not {*"wax+"}.isdisjoint(str(mode.value))
        for mode in modes
    )


@pytest.mark.parametrize(
    "text",
    [
        "open(path, 'w')",
        "open(path, mode='ab')",
        "open(path, 'r+b')",
        "open(path, how)",
        "path.open('x')",
        "io.open(path, 'wb')",
        "os.open(path, os.O_RDWR)",
        "os.fdopen(fd, 'w')",
        "path.write_text('')",
        "os.replace(one, two)",
        "from os import rename",
        "import tempfile",
        "with suppress(OSError):\n    os.unlink(path)",
    ],
)
def test_what_changes_a_file_is_seen(text: str) -> None:
    assert list(changes(ast.parse(text)))


@pytest.mark.parametrize(
    "text",
    [
        "open(path)",
        "open(path, 'rb')",
        "path.open('rb')",
        "disk.open()",
        "open(os.devnull, 'w')",
        "os.open(os.devnull, os.O_WRONLY)",
        "os.open(path, os.O_RDONLY)",
        "text.replace('a', 'b')",
        "sys.stdout.write(text)",
    ],
)
def test_what_changes_no_file_is_let_pass(text: str) -> None:
    assert list(changes(ast.parse(text))) == []


@pytest.mark.parametrize("module", sorted({*MODULES, *APART} - {*WRITERS}))
def test_two_modules_make_and_change_files(module: str) -> None:
    assert list(changes(tree_of(module))) == []


def test_a_reader_cannot_reach_the_writer() -> None:
    """Only copying and writing may, which no reader imports, since they stand below all of them."""
    assert all(list(changes(tree_of(writer))) for writer in WRITERS)
    importers = {
        module
        for module in MODULES
        if module not in WRITERS and {*WRITERS} & set(imported(module, with_types=True))
    }
    assert {module.partition(".")[0] for module in importers} == {"copying", "writing"}


def test_what_shows_does_not_write() -> None:
    """It stands below the writers, and takes from them what they say they did."""
    for module in MODULES:
        if module.startswith("showing."):
            of_writers = {name for name in imported(module) if name.startswith("writing.")}
            assert of_writers <= {"writing.session"}, module


# -- tests ----------------------------------------------------------------------------------------

# Rooms that are tested together with one that they are made for.
TESTED_WITH = {
    "format.structures": "format/test_grammar",
    "reading.runs": "reading/test_bulk",
    "reading.entries": "serving/test_files",
    "checking.told": "checking/test_findings",
    "checking.classes": "checking/test_survey",
    "checking.order": "checking/test_crowds",
    "checking.tally": "checking/test_survey",
    "copying.bulk": "copying/test_data",
    "copying.rawdisk": "copying/test_compare",
    "showing.chain": "commands/test_chain",
    "showing.map": "commands/test_map",
    "showing.dump": "commands/test_metadump",
    "showing.compare": "copying/test_compare",
    "showing.digest": "commands/test_hash",
    "showing.files": "commands/test_files",
    "showing.replay": "commands/test_replay",
    "showing.repaired": "commands/test_repair",
    "showing.written": "commands/test_write",
    "showing.changed": "commands/test_set",
    "showing.served": "commands/test_serve",
    "writing.operation": "writing/test_edit",
    "writing.tables": "writing/test_resize",
    "writing.rehearsal": "writing/test_repair",
    "writing.mending": "writing/test_repair",
    "writing.repairs": "writing/test_repair",
    "writing.undo": "writing/test_repair",
    "writing.naming": "writing/test_create",
    "showing.created": "commands/test_create",
    "showing.fleet": "serving/test_summary",
    "checking.spread": "checking/test_layout",
    "reading.shares": "reading/test_allocation",
    "commands.status": "commands/test_running",
    "commands.disks": "commands/test_read",
    "commands.changing": "commands/test_write",
    "commands.attending": "commands/test_serve",
    "commands.inside": "commands/test_ls",
    "commands.cat": "commands/test_ls",
    "commands.compare": "copying/test_compare",
}


def name_of_tests(room: str) -> str:
    """What the names of the test files about a room begin with."""
    floor, _, name = room.rpartition(".")
    return f"{floor}/test_{name}" if floor else f"test_{name}"


TESTS = {
    path.relative_to(ROOT / "tests").with_suffix("").as_posix()
    for path in (ROOT / "tests").rglob("test_*.py")
}


def are_about(test: str, room: str) -> bool:
    return f"{test}_".startswith(f"{name_of_tests(room)}_")


def test_every_room_has_a_test_file() -> None:
    rooms = {room for room in ROOMS if not any(are_about(test, room) for test in TESTS)}
    assert rooms == TESTED_WITH.keys()
    assert set(TESTED_WITH.values()) <= TESTS
