"""The first page of every document works, as written, with the wheel and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import venv
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.test_build import build, tree
from tests.test_documents import PAGES, blocks, printed_by, steps

pytestmark = pytest.mark.slow

# What takes more than the wheel says so on its first page.
WITH_EXTRAS = {"docs/files.md": "files", "docs/remote.md": "remote"}
WITH_PROGRAMS = {"docs/files.md": ("mke2fs", "sfdisk")}
FIRST = [name for name, page in PAGES.items() if blocks("console", page)]


def installed(wheel: Path, folder: Path, extra: str = "") -> Path:
    """Return where programs are in a new environment with the wheel."""
    venv.create(folder, with_pip=True)
    wanted = f"{wheel}[{extra}]" if extra else str(wheel)
    words = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", wanted]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if re.search("No matching distribution|Could not find a version", done.stderr):
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    return folder / "bin"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("build", reason="the packaging tools are not installed")
    folder = tmp_path_factory.mktemp("packages")
    build(tree(folder / "source"), folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def plain(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(wheel, tmp_path_factory.mktemp("plain"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with what builds images, as the repository has it, and no package to be imported."""
    shutil.copytree(ROOT / "tests" / "images", tmp_path / "tests" / "images")
    (tmp_path / "tests" / "__init__.py").touch()
    (tmp_path / "build").mkdir()
    return tmp_path


def run(command: str, programs: Path, place: Path) -> str:
    """Run a command as it is written, with the programs of an environment first."""
    path = f"{programs}{os.pathsep}{os.environ['PATH']}{os.pathsep}/usr/sbin"
    env = {"PATH": path, "HOME": str(place), "LANG": "C.UTF-8"}
    return printed_by(command, place, env)


@pytest.mark.parametrize("name", [name for name in FIRST if name != "docs/remote.md"])
def test_its_commands_print_what_it_says(
    name: str, wheel: Path, plain: Path, place: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for program in WITH_PROGRAMS.get(name, ()):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is None:
            pytest.skip(f"{program} is not installed")
    programs = plain
    if extra := WITH_EXTRAS.get(name):
        first = PAGES[name].partition("```")[0]
        assert f"pip install 'vhdx-kaitai[{extra}]'" in first
        programs = installed(wheel, tmp_path_factory.mktemp("extra"), extra)
    run("python -m tests.images.demo build/demo.vhdx", programs, place)
    for command, printed in steps(blocks("console", PAGES[name])[0]):
        assert run(command, programs, place) == printed, command


def test_the_first_program_of_the_library_guide_prints_what_it_says(
    plain: Path, place: Path
) -> None:
    run("python -m tests.images.demo build/demo.vhdx", plain, place)
    guide = PAGES["docs/library.md"]
    (place / "program.py").write_text(blocks("python", guide)[0], encoding="utf-8")
    assert run("python program.py", plain, place) == blocks("text", guide)[0]
