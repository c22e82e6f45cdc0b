"""File systems of their own, where the system lets the tests mount any."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.images.structures import MIB
from tests.reading_fixtures import run_program


@contextmanager
def mounted(folder: Path, size: int, *maker: str) -> Iterator[Path]:
    """Make a file system of a size in bytes, or skip the test; yield a folder on it."""
    for program in (maker[0], "mount", "umount"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    image, place = folder / "file system", folder / "mounted"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(size)
    run_program(maker[0], *maker[1:], image)
    done = subprocess.run(
        ["mount", "-o", "loop", image, place], check=False, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted: {done.stderr.strip()}")
    try:
        yield place
    finally:
        run_program("umount", place)


@pytest.fixture
def sharing_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system whose files may have blocks in common."""
    with mounted(tmp_path, 512 * MIB, "mkfs.xfs", "-q", "-m", "reflink=1") as folder:
        yield folder


@pytest.fixture
def small_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system with room for less than 24 MiB."""
    with mounted(tmp_path, 24 * MIB, "mkfs.ext4", "-q", "-O", "^has_journal") as folder:
        yield folder


def room_taken(folder: Path) -> int:
    """Return how many bytes of a file system are taken."""
    os.sync()
    system = os.statvfs(folder)
    return (system.f_blocks - system.f_bfree) * system.f_frsize
