"""What is committed, built and shipped is what the grammar compiles to, and nothing is left out."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
KSY = ROOT / "vhdx.ksy"


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a command; MAKEFLAGS would tie it to the `make` that runs the tests."""
    environment = {key: value for key, value in os.environ.items() if "MAKE" not in key}
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


# --- The compiler ---


@pytest.fixture(scope="module")
def compiler() -> Path:
    """Have `make` fetch the compiler, or skip; on a CI machine it has to be there."""
    missing = [tool for tool in ("make", "java", "mvn") if shutil.which(tool) is None]
    if missing and not os.environ.get("CI"):
        pytest.skip(f"compiling the grammar takes {' and '.join(missing)}")
    fetched = run("make", "compiler")
    if fetched.returncode and not os.environ.get("CI"):
        pytest.skip(f"the compiler cannot be fetched: {fetched.stdout.strip().splitlines()[-1]}")
    assert fetched.returncode == 0, fetched.stdout
    return ROOT / "build" / "compiler"


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


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a new sdist, and a wheel built from it."""
    pytest.importorskip("build", reason="the packaging tools are not installed")
    folder = tmp_path_factory.mktemp("packages")
    unwanted = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build", "dist")
    shutil.copytree(ROOT, folder / "source", symlinks=True, ignore=unwanted)
    built = run(
        *(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, folder / "source")
    )
    assert built.returncode == 0, built.stdout
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
    wanted |= {f"vhdx_kaitai/generated/{path.name}" for path in ROOT.glob("generated/*.py")}
    wanted |= {"vhdx_kaitai/generated/vhdx.ksy"}
    names = set(wheel.namelist())
    assert wanted - names == set()
    assert {name for name in names if ".dist-info/" not in name} == wanted

    licences = {name.partition("/licenses/")[2] for name in names if "/licenses/" in name}
    assert licences == {"LICENSE", "LICENSES/CC0-1.0.txt"}


@pytest.mark.slow
def test_the_wheel_carries_the_very_grammar(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    assert wheel.read("vhdx_kaitai/generated/vhdx.ksy") == KSY.read_bytes()

    # And finds it from where a wheel is installed to.
    wheel.extractall(tmp_path)
    found = run(
        *(sys.executable, "-c"),
        "from importlib.resources import files; import vhdx_kaitai.generated.vhdx;"
        "print(files('vhdx_kaitai.generated').joinpath('vhdx.ksy'))",
        cwd=tmp_path,
    )
    assert found.stdout.strip() == str(tmp_path / "vhdx_kaitai" / "generated" / "vhdx.ksy")


@pytest.mark.slow
def test_the_sdist_can_be_tested_and_compiled(packages: Path) -> None:
    with tarfile.open(next(packages.glob("*.tar.gz"))) as sdist:
        names = {name.partition("/")[2]: sdist.getmember(name) for name in sdist.getnames()}
    assert {"vhdx.ksy", "Makefile", "pom.xml", "tests/test_build.py", "LICENSE"} <= set(names)
    # Unpacking has to work where links do not.
    assert [name for name, member in names.items() if not (member.isfile() or member.isdir())] == []
