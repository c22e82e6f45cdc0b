"""Hashes of the virtual disk, in process, against a loop over the raw image, or over zeros.

Where one thread does all, time is processor time, which does not grow when others use the machine
as well: everything is in memory, and nobody waits.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import vhdx_kaitai

from . import images
from .framework import OURS, Bench, Benchmark, Runner, at_least, timed
from .images import GIB, MIB, DiskType
from .reading import dense

_HASHLIB = "hashlib"
_GOALS = [at_least(0.9, _HASHLIB)]


def hash_dynamic(bench: Bench) -> None:
    """A dense dynamic image, against its raw twin."""
    _race_raw(bench, "dynamic", ("sha256",))


def hash_fixed(bench: Bench) -> None:
    """A fixed image, against its raw twin."""
    _race_raw(bench, "fixed", ("sha256",))


def hash_several(bench: Bench) -> None:
    """Three algorithms at once, against a loop that hashes each piece three times."""
    _race_raw(bench, "dynamic", ("md5", "sha1", "sha256"))


def hash_empty(bench: Bench) -> None:
    """A disk of which nothing is stored, against zeros."""
    size = bench.pick(4 * GIB, 512 * MIB)
    made = images.image(bench.folder / "empty.vhdx", size, MIB, images.none(size // MIB))
    zeros = bytes(MIB)

    def plain() -> None:
        found = hashlib.sha256()
        for _ in range(size // MIB):
            found.update(zeros)

    _race(bench, "hash, nothing stored", made.path, ("sha256",), plain)


def _race_raw(bench: Bench, disk_type: DiskType, algorithms: tuple[str, ...]) -> None:
    made = dense(bench, disk_type)
    twin = images.raw(bench.folder / "twin.raw", made.size)
    images.warm(made)

    def plain() -> None:
        found = [hashlib.new(name) for name in algorithms]
        buffer = memoryview(bytearray(MIB))
        with twin.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                for one in found:
                    one.update(buffer[:count])

    names = ", ".join(algorithms)
    _race(bench, f"hash, {disk_type}, {names}", made.path, algorithms, plain)


def _race(
    bench: Bench, task: str, path: Path, algorithms: tuple[str, ...], plain: Callable[[], object]
) -> None:
    with vhdx_kaitai.open(path) as disk:
        timer = timed if len(algorithms) > 1 else _used
        runners = {
            OURS: timer(lambda: vhdx_kaitai.digest(disk, algorithms)),
            _HASHLIB: timer(plain),
        }
        bench.race(task, runners, _GOALS, rounds=bench.pick(9, 3), unit="s")


def _used(work: Callable[[], object]) -> Runner:
    """Return a runner that tells how much processor time one call of a function takes."""

    def run() -> float:
        start = time.process_time()
        work()
        return time.process_time() - start

    return run


BENCHMARKS: dict[str, Benchmark] = {
    "hash-dynamic": hash_dynamic,
    "hash-fixed": hash_fixed,
    "hash-several": hash_several,
    "hash-empty": hash_empty,
}
