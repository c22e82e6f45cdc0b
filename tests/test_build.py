"""What is committed, built and shipped is what the grammar compiles to, and nothing is left out."""

from __future__ import annotations

import ast
import base64
import hashlib
import os
import re
import shutil
import site
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from tests.compiling import run
from tests.support import tool
from vhdx_kaitai.commands import main

ROOT = Path(__file__).parent.parent
KSY = ROOT / "vhdx.ksy"

# What an empty environment of Python 3.11 has.
TOOLS = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence")


# --- The compiler ---


@pytest.fixture
def project(compiler: Path, tmp_path: Path) -> Path:
    """A copy of that part of the project that compiling takes."""
    for name in ("Makefile", "pom.xml", "pyproject.toml", "vhdx.ksy"):
        shutil.copy2(ROOT / name, tmp_path)
    for name in ("generated", "tools"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True)
    # The Python that runs the tests has everything, and nothing is to be installed.
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    (tmp_path / ".venv" / ".installed-dev").touch()
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "compiler").symlink_to(compiler)
    return tmp_path


@pytest.mark.slow
def test_the_grammar_compiles_for_every_target_without_a_warning(project: Path) -> None:
    compiled = run("make", "compile-all", cwd=project)
    assert compiled.returncode == 0, compiled.stdout
    targets = {path.name for path in (project / "build" / "all").iterdir()}
    assert targets >= {"cpp_stl_11", "csharp", "go", "java", "javascript", "python", "rust"}
    assert targets >= {"graphviz", "java-rw", "python-rw"}


@pytest.mark.slow
def test_a_warning_of_the_compiler_fails(project: Path) -> None:
    ksy = project / "vhdx.ksy"
    text = ksy.read_text(encoding="utf-8")
    ksy.write_text(text.replace("len_key", "key_length"), encoding="utf-8")
    compiled = run("make", "compile-all", cwd=project)
    assert compiled.returncode != 0
    assert "warning" in compiled.stdout


@pytest.mark.slow
def test_generated_code_is_what_the_grammar_compiles_to(project: Path) -> None:
    checked = run("make", "check-generated", cwd=project)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("vhdx.py", "class Vhdx("),
        ("vhdx_positions.py", "class Vhdx("),
        ("layout.py", '"format": "<16sQII",'),
    ],
)
def test_generated_code_that_differs_is_shown_and_mended(
    project: Path, name: str, right: str
) -> None:
    module = project / "generated" / name
    before = module.read_text(encoding="utf-8")
    module.write_text(before.replace(right, "edited"), encoding="utf-8")

    checked = run("make", "check-generated", cwd=project)
    assert checked.returncode != 0
    assert re.search(rf"^-\s*edited.*\n\+\s*{re.escape(right)}", checked.stdout, re.MULTILINE)
    assert "run 'make generated'" in checked.stdout

    assert run("make", "generated", cwd=project).returncode == 0
    assert module.read_text(encoding="utf-8") == before


# --- Generated code ---


def outline(module: str) -> set[str]:
    """Every class, method, enum label and attribute of a generated module, by its full name."""
    names = set()

    def walk(node: ast.AST, scope: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef):
                names.add(f"{scope}.{child.name}")
                walk(child, f"{scope}.{child.name}")
            elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                names.add(f"{scope}.{child.id}")
            elif isinstance(child, ast.Attribute) and isinstance(child.ctx, ast.Store):
                names.add(f"{scope}.self.{child.attr}")
            else:
                walk(child, scope)

    source = resources.files("vhdx_kaitai.generated").joinpath(module)
    walk(ast.parse(source.read_text(encoding="utf-8")), "")
    return names


def test_both_generated_modules_are_alike_but_for_recorded_positions() -> None:
    plain = outline("vhdx.py")
    recording = outline("vhdx_positions.py")
    assert plain - recording == set()
    assert {name.rpartition(".")[2] for name in recording - plain} == {"SEQ_FIELDS", "_debug"}
    assert {".Vhdx.LogEntry._read.self.data_sectors", ".Vhdx.ItemKind.file_parameters"} <= plain


def test_the_installed_grammar_is_the_grammar() -> None:
    shipped = resources.files("vhdx_kaitai.generated").joinpath("vhdx.ksy")
    assert shipped.read_bytes() == KSY.read_bytes()


# --- Packages ---


def tree(folder: Path) -> Path:
    """A copy of the project as one has it who just got it."""
    made = (".git", ".venv", ".coverage", ".hypothesis", ".*_cache", "*.egg-info", "__pycache__")
    unwanted = shutil.ignore_patterns(*made, "build", "dist")
    return Path(shutil.copytree(ROOT, folder, symlinks=True, ignore=unwanted))


def build(source: Path, target: Path, umask: int = 0o022) -> None:
    """Build an sdist, and a wheel from it, into a folder."""
    here = ("--no-isolation", "--outdir", target, source)
    built = run(sys.executable, "-m", "build", *here, umask=umask)
    assert built.returncode == 0, built.stdout


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a new sdist, and a wheel built from it."""
    pytest.importorskip("build", reason="the packaging tools are not installed")
    folder = tmp_path_factory.mktemp("packages")
    build(tree(folder / "source"), folder)
    return folder


@pytest.fixture(scope="module")
def wheel(packages: Path) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(next(packages.glob("*.whl"))) as archive:
        yield archive


@pytest.mark.slow
def test_the_wheel_has_all_modules_schemas_and_licences(wheel: zipfile.ZipFile) -> None:
    package = ROOT / "vhdx_kaitai"
    wanted = {"vhdx_kaitai/py.typed", "vhdx_kaitai/rules.json"}
    wanted |= {f"vhdx_kaitai/{path.relative_to(package)}" for path in package.rglob("*.py")}
    wanted |= {f"vhdx_kaitai/schemas/{path.name}" for path in package.glob("schemas/*.json")}
    wanted |= {f"vhdx_kaitai/page/{path.name}" for path in package.glob("page/*")}
    wanted |= {f"vhdx_kaitai/generated/{path.name}" for path in ROOT.glob("generated/*.py")}
    wanted |= {"vhdx_kaitai/generated/vhdx.ksy"}
    wanted |= {f"vhdx_kaitai/{path.name}" for path in package.glob("explorer.html.gz")}
    names = set(wheel.namelist())
    assert wanted - names == set()
    ours = {name for name in names if not re.search(r"\.(?:dist-info|data)/", name)}
    assert ours == wanted

    licences = {name.partition("/licenses/")[2] for name in names if "/licenses/" in name}
    assert licences == {"LICENSE", "LICENSES/CC0-1.0.txt"}


@pytest.mark.slow
def test_the_wheel_has_man_pages_and_completion(wheel: zipfile.ZipFile, packages: Path) -> None:
    shell_files = tool("shell_files").shell_files()
    (name,) = packages.glob("*.whl")
    data = f"{'-'.join(name.name.split('-')[:2])}.data/data/share/"
    found = {name: wheel.read(name).decode() for name in wheel.namelist() if ".data/" in name}
    assert found == {f"{data}{name}": text for name, text in shell_files.items()}


@pytest.mark.slow
def test_the_wheel_lists_all_of_its_files(wheel: zipfile.ZipFile) -> None:
    (record,) = (name for name in wheel.namelist() if name.endswith("/RECORD"))
    rows = [line.split(",") for line in wheel.read(record).decode().splitlines()]
    assert {name for name, *_ in rows} == set(wheel.namelist())
    assert len(rows) == len(wheel.namelist())
    for name, digest, size in rows:
        data = wheel.read(name)
        if name == record:
            assert (digest, size) == ("", "")
        else:
            code = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
            assert (digest, size) == (f"sha256={code}", str(len(data)))


@pytest.mark.slow
def test_packages_are_such_as_an_index_wants_them(packages: Path) -> None:
    pytest.importorskip("twine", reason="twine is not installed")
    pytest.importorskip("check_wheel_contents", reason="check-wheel-contents is not installed")
    checked = run(sys.executable, "-m", "twine", "check", "--strict", *packages.glob("*.*"))
    assert checked.returncode == 0, checked.stdout
    checked = run(sys.executable, "-m", "check_wheel_contents", *packages.glob("*.whl"))
    assert checked.returncode == 0, checked.stdout


@pytest.mark.slow
def test_man_pages_are_installed_where_man_finds_them(packages: Path, tmp_path: Path) -> None:
    python = environment(tmp_path, next(packages.glob("*.whl")))
    assert (tmp_path / "share" / "man" / "man1" / "vhdx-kaitai.1").is_file()
    assert (tmp_path / "share" / "bash-completion" / "completions" / "vhdx-kaitai").is_file()
    assert (tmp_path / "share" / "zsh" / "site-functions" / "_vhdx-kaitai").is_file()
    removed = run(sys.executable, "-m", "pip", "--python", python, "uninstall", "-y", "vhdx-kaitai")
    assert removed.returncode == 0, removed.stdout
    assert not (tmp_path / "share" / "man" / "man1" / "vhdx-kaitai.1").exists()


@pytest.mark.slow
def test_a_plain_environment_installs_the_package_from_its_source(tmp_path: Path) -> None:
    """As `pip install .` does: what builds the wheel comes from an index, and nothing else."""
    venv.create(tmp_path / "plain", with_pip=True)
    binaries = tmp_path / "plain" / "bin"
    source = tree(tmp_path / "source")
    installed = run(binaries / "python", "-m", "pip", "install", source)
    if re.search("No matching distribution|Could not find a version", installed.stdout):
        pytest.skip("no package index can be reached")
    assert installed.returncode == 0, installed.stdout
    for command in main.COMMANDS:
        helped = run(binaries / "vhdx-kaitai", command, "--help")
        assert helped.returncode == 0, helped.stdout
    assert (tmp_path / "plain" / "share" / "man" / "man1" / "vhdx-kaitai.1").is_file()
    (packages,) = (tmp_path / "plain").glob("lib/python*/site-packages")
    own = {path for path in packages.iterdir() if not path.name.startswith(TOOLS)}
    names = {path.name.partition("-")[0] for path in own if path.suffix == ".dist-info"}
    assert names == {"vhdx_kaitai", "kaitaistruct", "crc32c"}
    files = [file for path in own for file in (path, *path.rglob("*")) if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 6_000_000


@pytest.mark.slow
def test_the_wheel_carries_the_very_grammar(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    assert wheel.read("vhdx_kaitai/generated/vhdx.ksy") == KSY.read_bytes()

    # And finds it from where a wheel is installed to.
    wheel.extractall(tmp_path)
    found = run(
        *(sys.executable, "-c"),
        "import sys; sys.path.insert(0, ''); import vhdx_kaitai.generated.vhdx;"
        "from importlib.resources import files;"
        "print(files('vhdx_kaitai.generated').joinpath('vhdx.ksy'))",
        cwd=tmp_path,
    )
    assert found.stdout.strip() == str(tmp_path / "vhdx_kaitai" / "generated" / "vhdx.ksy")


@pytest.mark.slow
def test_the_sdist_is_the_repository(packages: Path) -> None:
    with tarfile.open(next(packages.glob("*.tar.gz"))) as sdist:
        members = {member.name.partition("/")[2]: member for member in sdist}
    # Unpacking has to work where links do not.
    assert all(member.isfile() or member.isdir() for member in members.values())

    files = {name for name, member in members.items() if member.isfile()}
    made = {name for name in files if name in ("PKG-INFO", "setup.cfg") or ".egg-info/" in name}
    made |= {name for name in files if name == "vhdx_kaitai/explorer.html.gz"}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no clone")
    assert files - made == set(listed.stdout.splitlines())


@pytest.mark.slow
def test_the_sdist_passes_its_own_tests(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unpacked where there is no clone, with the package installed from it."""
    monkeypatch.delenv("CI", raising=False)  # what can only be fetched may be missing there
    with tarfile.open(next(packages.glob("*.tar.gz"))) as sdist:
        sdist.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    python = environment(tmp_path / "environment", next(packages.glob("*.whl")))
    where = run(python, "-P", "-c", "import vhdx_kaitai; print(vhdx_kaitai.__file__)", cwd=source)
    assert Path(where.stdout).is_relative_to(tmp_path / "environment")

    pytest_there = (python, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rfE")
    collected = run(*pytest_there, "--collect-only", cwd=source)
    assert collected.returncode == 0, collected.stdout[-3000:]
    tested = run(*pytest_there, "-m", "not slow", cwd=source)
    assert tested.returncode == 0, tested.stdout[-3000:]


def environment(folder: Path, wheel: Path) -> Path:
    """An environment with a wheel, and what the tests use from the one that runs this.

    A line in a `.pth` file adds a folder without reading that folder's own `.pth` files, by which
    an editable install would make itself known.
    """
    venv.create(folder)
    python = folder / "bin" / "python"
    installed = run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", wheel)
    assert installed.returncode == 0, installed.stdout
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "tests.pth").write_text("\n".join(site.getsitepackages()), encoding="utf-8")
    return python


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a folder, by name."""
    files = (path for path in folder.iterdir() if path.is_file())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.slow
def test_packages_have_the_same_bytes_wherever_and_whenever_they_are_built(
    packages: Path, tmp_path: Path
) -> None:
    """Another folder, umask and time, by a user who has built before and closes files to others."""
    source = tree(tmp_path / "elsewhere")
    for path in (source, *source.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)
            os.utime(path, (1e9, 1e9))
    for left in ("build/lib/vhdx_kaitai/gone.py", "build/bdist.any/wheel/gone.py", "gone.txt"):
        (source / left).parent.mkdir(parents=True, exist_ok=True)
        (source / left).touch()
    (source / "vhdx_kaitai.egg-info").mkdir()
    (source / "vhdx_kaitai.egg-info" / "SOURCES.txt").write_text("gone.txt\n", encoding="utf-8")

    build(source, tmp_path, umask=0o077)
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel"]
    assert run(*command, "--outdir", tmp_path / "direct", source).returncode == 0

    first, second, direct = map(digests, (packages, tmp_path, tmp_path / "direct"))
    assert sorted(Path(name).suffix for name in first) == [".gz", ".whl"]
    assert second == first
    assert direct.items() <= first.items()


@pytest.mark.slow
def test_packages_say_nothing_of_who_built_them(packages: Path, wheel: zipfile.ZipFile) -> None:
    with tarfile.open(next(packages.glob("*.tar.gz"))) as sdist:
        members = sdist.getmembers()
    assert {(member.uid, member.gid, member.uname, member.gname) for member in members} == {
        (0, 0, "", "")
    }
    assert {member.mode for member in members} == {0o644, 0o755}
    assert len({member.mtime for member in members}) == 1
    assert {entry.external_attr >> 16 for entry in wheel.infolist()} == {0o100644}
    assert len({entry.date_time for entry in wheel.infolist()}) == 1


@pytest.mark.slow
def test_a_date_can_be_given_to_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("build", reason="the packaging tools are not installed")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    build(tree(tmp_path / "source"), tmp_path)
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as sdist:
        assert {member.mtime for member in sdist} == {1700000000}
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        assert {entry.date_time for entry in wheel.infolist()} == {(2023, 11, 14, 22, 13, 20)}
