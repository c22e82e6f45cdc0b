"""What tests of NTFS share: file systems of ntfs-3g, and what its programs say of them."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

SIZE = 32 << 20


def ntfs3g(*arguments: object, status: int = 0) -> bytes:
    """Run a program of ntfs-3g, which has to end as it should, and return what it prints."""
    name = str(arguments[0])
    path = shutil.which(name) or shutil.which(f"/usr/sbin/{name}")
    if path is None:
        pytest.skip(f"{name} is not installed")
    words = [path, *map(str, arguments[1:])]
    done = subprocess.run(words, check=False, capture_output=True)
    assert done.returncode == status, (words, done.stdout[-500:], done.stderr[-500:])
    return done.stdout


def make_ntfs(path: Path, *options: object, size: int = SIZE) -> Path:
    """Make a file that holds a file system, and nothing else; or skip the test."""
    pytest.importorskip("dissect.ntfs")
    with open(path, "wb") as file:
        file.truncate(size)
    ntfs3g("mkntfs", "-F", "-Q", "-q", *options, path)
    return path


@contextmanager
def mounted_ntfs(path: Path, *options: str, by: str = "ntfs-3g") -> Iterator[Path]:
    """Mount a file system, or skip the test; yield the folder."""
    if not os.access("/dev/fuse", os.W_OK) or shutil.which(by) is None:
        pytest.skip(f"{by} cannot mount anything")
    folder = path.with_suffix(".mounted")
    folder.mkdir(exist_ok=True)
    words = [by, "-o", ",".join(("no_detach", *options)), str(path), str(folder)]
    # It goes on writing after the unmount, so its end is waited for.
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as program:
        while program.poll() is None and not folder.is_mount():
            time.sleep(0.01)
        if program.poll() is not None:
            pytest.skip(f"no file system can be mounted: {program.communicate()[1].strip()}")
        try:
            yield folder
        finally:
            subprocess.run(["umount", folder], check=True)
            program.wait(60)


def copy_in(path: Path, files: Mapping[str, Path]) -> None:
    """Copy files into a file system that is not mounted."""
    for name, source in files.items():
        ntfs3g("ntfscp", "-q", path, source, name)


def free_in(path: Path) -> set[int]:
    """Return the numbers of clusters that are free, as `ntfsclone` says by not copying them."""
    data = ntfs3g("ntfsclone", "-q", "-f", "-s", "-o", "-", path)
    magic, cluster, clusters, at = struct.unpack_from("<16s2xI8xq8xI", data)
    assert magic == b"\0ntfsclone-image"
    found: set[int] = set()
    number = 0
    while at < len(data) and number < clusters:
        if data[at] == 1:
            at, number = at + 1 + cluster, number + 1
        else:
            count = int.from_bytes(data[at + 1 : at + 9], "little")
            found.update(range(number, number + count))
            at, number = at + 9, number + count
    return {number for number in found if number < clusters}


def place_of(path: Path, number: int, kind: str = "0x80") -> int:
    """Return the byte at which the first run of a file is, as `ntfscluster` says."""
    told = ntfs3g("ntfscluster", "-q", "-f", "-I", number, path).decode()
    runs = told.partition(f"{kind} - non-resident")[2].splitlines()[2]
    return int(runs.split()[1]) * cluster_of(path)


def cluster_of(path: Path) -> int:
    """Return how many bytes a cluster has, by the boot sector."""
    with open(path, "rb") as file:
        sector, factor = struct.unpack_from("<HB", file.read(64), 11)
    return int(sector) * int(factor)


def records_at(path: Path) -> tuple[int, int]:
    """Return where $MFT and $MFTMirr begin, by the boot sector."""
    with open(path, "rb") as file:
        first, second = struct.unpack_from("<QQ", file.read(64), 48)
    return first * cluster_of(path), second * cluster_of(path)


def patch(path: Path, at: int, data: bytes) -> None:
    """Write some bytes into a file."""
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)
