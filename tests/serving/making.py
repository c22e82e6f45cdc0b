"""What tests of file systems share: trees of files, file systems made by others, models."""

from __future__ import annotations

import os
import random
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import vhdx_kaitai
from tests.images.structures import KIB, MIB

WHEN = 1_767_323_045  # 2026-01-02T03:04:05Z


def tool(*words: object, text: str | None = None) -> str:
    """Run a program, which has to succeed, and return what it prints; or skip the test."""
    name = str(words[0])
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed")
    done = subprocess.run(
        [path, *map(str, words[1:])], check=False, capture_output=True, text=True, input=text
    )
    assert done.returncode == 0, (words, done.stdout[-500:], done.stderr[-500:])
    return done.stdout


def blank(path: Path, size: int) -> Path:
    """Make a file of zeros."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


def image_of(raw: Path) -> Path:
    """Make a VHDX file of a raw disk, in blocks of 1 MiB."""
    path = raw.with_suffix(".vhdx")
    vhdx_kaitai.convert(raw, path, raw=True, durable=False, replace=True, block_size=MIB)
    return path


def patch(path: Path, old: bytes, new: bytes, count: int = 1) -> None:
    """Replace bytes of a raw disk by others, wherever they stand, which has to be so often."""
    data = path.read_bytes()
    assert len(old) == len(new)
    assert data.count(old) == count
    path.write_bytes(data.replace(old, new))


class Model(NamedTuple):
    """What is known of a file by whoever made it."""

    kind: str
    data: bytes = b""
    target: str | None = None


def model_of(folder: Path) -> dict[str, Model]:
    """What is in a folder of this machine, by path."""
    found = {}
    for top, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(top, name)
            mode = path.lstat().st_mode
            inside = path.relative_to(folder).as_posix()
            if stat.S_ISLNK(mode):
                found[inside] = Model("link", target=os.readlink(path))
            elif stat.S_ISDIR(mode):
                found[inside] = Model("folder")
            elif stat.S_ISREG(mode):
                found[inside] = Model("file", path.read_bytes())
            else:
                found[inside] = Model("pipe")
    return found


def plain_tree(folder: Path) -> Path:
    """Make a small tree that every file system takes: names, sizes, holes, a folder in another."""
    chance = random.Random(8)
    (folder / "Some Folder" / "deeper").mkdir(parents=True)
    files = {
        "report.txt": b"What is in this file came a long way.\n",
        "a long name with spaces, and äöü.bin": chance.randbytes(70 * KIB + 1),
        "Some Folder/sector.bin": chance.randbytes(512),
        "Some Folder/deeper/random.bin": chance.randbytes(1_500_001),
        "Some Folder/deeper/zeros.bin": bytes(40_000) + b"found" + bytes(200_000),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def with_times(folder: Path) -> Path:
    """Give all that is in a folder one time, and modes that do not depend on the user."""
    for top, folders, files in os.walk(folder, topdown=False):
        for name in (*folders, *files, "."):
            path = Path(top, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() else 0o640)
            os.utime(path, (WHEN, WHEN), follow_symlinks=False)
    return folder


# -- makers: each puts a tree into a file system that is the whole of a raw disk ------------------


def make_ext(kind: str, *options: str, size: int = 24 * MIB) -> Callable[[Path, Path], Path]:
    def make(raw: Path, tree: Path) -> Path:
        tool("mke2fs", "-q", "-F", "-t", kind, *options, "-d", tree, blank(raw, size))
        return raw

    return make


def make_btrfs(raw: Path, tree: Path) -> Path:
    tool("mkfs.btrfs", "-q", "-L", "Label", "--rootdir", tree, blank(raw, 128 * MIB))
    return raw


def make_xfs(raw: Path, tree: Path) -> Path:
    """Put a tree into XFS by a prototype file, in which no name has a space."""

    def lines(folder: Path) -> list[str]:
        found = []
        for path in sorted(folder.iterdir()):
            if path.is_symlink():
                found.append(f"{path.name} l--777 0 0 {os.readlink(path)}")
            elif path.is_dir():
                found += [f"{path.name} d--755 0 0", *lines(path), "$"]
            else:
                found.append(f"{path.name} ---640 0 0 {path}")
        return found

    proto = raw.with_suffix(".proto")
    proto.write_text("\n".join(["/dev/null", "0 0", "d--755 0 0", *lines(tree), "$", ""]))
    tool("mkfs.xfs", "-q", "-L", "Label", "-p", proto, blank(raw, 320 * MIB))
    return raw


def make_ntfs(raw: Path, tree: Path) -> Path:
    """Put the files of a tree into NTFS; ntfscp makes no folders."""
    tool("mkntfs", "-q", "-F", "-Q", "-L", "Label", blank(raw, 24 * MIB))
    for path in sorted(tree.iterdir()):
        if path.is_file():
            tool("ntfscp", "-q", raw, path, path.name)
    return raw


def make_fat(bits: int, size: int) -> Callable[[Path, Path], Path]:
    def make(raw: Path, tree: Path) -> Path:
        tool("mkfs.vfat", "-F", bits, "-n", "LABEL", blank(raw, size))
        for path in sorted(tree.iterdir()):
            tool("mcopy", "-Q", "-m", "-s", "-i", raw, path, "::")
        return raw

    return make


MAKERS: dict[str, Callable[[Path, Path], Path]] = {
    "ext2": make_ext("ext2", "-b", "1024", "-L", "Label"),
    "ext3": make_ext("ext3", "-b", "4096", "-L", "Label"),
    "ext4": make_ext("ext4", "-L", "Label"),
    "XFS": make_xfs,
    "Btrfs": make_btrfs,
    "NTFS": make_ntfs,
    "FAT12": make_fat(12, 4 * MIB),
    "FAT16": make_fat(16, 24 * MIB),
    "FAT32": make_fat(32, 64 * MIB),
}
