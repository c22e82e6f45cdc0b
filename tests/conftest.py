"""Fixtures of several test modules, and how many examples hypothesis draws.

HYPOTHESIS_PROFILE=nightly draws many more of them than fit into a working day.
"""

from __future__ import annotations

import bz2
import gzip
import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.compiling import fetched_compiler
from tests.support import REAL_IMAGES, SAMPLES, Sample, damaged, good
from vhdx_kaitai.commands import main

# Processes that tests start look at what is installed, too, not at the folder that they start in.
os.environ["PYTHONSAFEPATH"] = "1"

# Time is measured by the tests that promise some; a busy machine must not fail the others.
# Images are large, so finding the smallest one that fails takes minutes: left to the night.
settings.register_profile(
    "default",
    deadline=None,
    max_examples=60,
    suppress_health_check=list(HealthCheck),
    phases=set(Phase) - {Phase.shrink, Phase.explain},
)
settings.register_profile(
    "nightly", settings.get_profile("default"), max_examples=3000, phases=set(Phase)
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


class Outcome(NamedTuple):
    """What a command came to."""

    status: int
    out: str
    err: str


Run = Callable[..., Outcome]

_PARSER = cache(main.build_parser)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in this process; its parser is made once for all tests."""
    monkeypatch.setattr(main, "build_parser", _PARSER)

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        try:
            status = main.main([str(argument) for argument in arguments])
        except SystemExit as end:  # argparse ends --help and usage errors so
            status = int(end.code or 0)
        return Outcome(status, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def compiler() -> Path:
    """The folder of the Kaitai Struct compiler."""
    return fetched_compiler()


class Files:
    """Images as files, each written once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def good(self, name: str) -> Path:
        """Return the path of a good image."""
        path = self.folder / f"{name}.vhdx"
        return path if path.exists() else good(name).write(path)

    def damaged(self, name: str) -> Path:
        """Return the path of a damaged image."""
        path = self.folder / f"damaged-{name}.vhdx"
        return path if path.exists() else damaged(name).write(path)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The images of the builder, as files."""
    return Files(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    """The real images, each unpacked when first asked for."""
    folder = tmp_path_factory.mktemp("samples")

    def unpacked(name: str) -> Path:
        packed = SAMPLES / name
        if not packed.is_file():
            pytest.skip(f"no {name} in ../shared/samples")
        path = folder / packed.stem
        if not path.exists():
            opener = gzip.open if packed.suffix == ".gz" else bz2.open
            with cast(IO[bytes], opener(packed, "rb")) as source, path.open("wb") as target:
                _copy_sparse(source, target)
        return path

    yield unpacked
    shutil.rmtree(folder)


def _copy_sparse(source: IO[bytes], target: IO[bytes]) -> None:
    while piece := source.read(1 << 20):
        if piece.count(0) == len(piece):
            target.seek(len(piece), os.SEEK_CUR)
        else:
            target.write(piece)
    target.truncate()


@pytest.fixture(params=REAL_IMAGES)
def sample(request: pytest.FixtureRequest, samples: Callable[[str], Path]) -> tuple[Sample, Path]:
    """Each real image: what is known about it, and its file."""
    return REAL_IMAGES[request.param], samples(request.param)


@pytest.fixture
def opened_paths(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The path of every file that is opened from now on, in order; of folders none."""
    paths: list[str] = []
    folders: dict[int, str] = {}
    real = os.open

    def note(path: Any, flags: int, *arguments: Any, dir_fd: int | None = None) -> int:
        whole = os.path.join("" if dir_fd is None else folders[dir_fd], os.fspath(path))
        if not flags & os.O_DIRECTORY:
            paths.append(whole)
        fd = real(path, flags, *arguments, dir_fd=dir_fd)
        folders[fd] = whole
        return fd

    monkeypatch.setattr(os, "open", note)
    return paths
