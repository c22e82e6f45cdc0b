"""What tests of file systems share: file systems of e2fsprogs, and what that says of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

SIZE = 40 << 20


def e2fsprogs(*arguments: object) -> str:
    """Run a program of e2fsprogs, and return what it prints."""
    name = str(arguments[0])
    path = shutil.which(name) or shutil.which(f"/usr/sbin/{name}")
    if path is None:
        pytest.skip(f"{name} is not installed")
    words = [path, *map(str, arguments[1:])]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return done.stdout


def make_ext(path: Path, *options: object, size: int = SIZE, files: Path | None = None) -> Path:
    """Make a file that holds a file system with some files, and nothing else."""
    with open(path, "wb") as file:
        file.truncate(size)
    filled = () if files is None else ("-d", files)
    e2fsprogs("mke2fs", "-q", "-F", *(options or ("-t", "ext4")), *filled, path)
    return path


def free_in(path: Path) -> set[int]:
    """Return the numbers of blocks that are free in a file system, as `dumpe2fs` says."""
    found: set[int] = set()
    for line in re.findall(r"^  Free blocks: (.+)$", e2fsprogs("dumpe2fs", path), re.MULTILINE):
        for part in line.split(", "):
            first, _, last = part.partition("-")
            found.update(range(int(first), int(last or first) + 1))
    return found
