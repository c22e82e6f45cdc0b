"""Operations on images as they stand, against the copying or reading that they cannot do without.

What a run changes is made anew before it, which is not timed. All run in this process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

import vhdx_kaitai

from . import images
from .framework import OURS, Bench, Benchmark, Runner, at_most
from .images import ABSENT, GIB, KIB, MIB, TIB, Made

_COPYING, _READING, _SMALL = "copying", "reading", "128 GiB"


def compact_half_empty(bench: Bench) -> None:
    """Every other block of the file is free, so that a quarter of the places is copied."""
    count = bench.pick(8 * GIB, 512 * MIB) // MIB
    places = np.where(np.arange(count) % 2, ABSENT, np.arange(count)).astype("i4")
    path = bench.folder / "sparse.vhdx"
    make = partial(images.image, path, count * MIB, MIB, places)

    def copying(made: Made) -> float:
        """Copy the last blocks into the first holes, and wait for the medium once."""
        first, last = made.payload + MIB, made.payload + (count - 2) * MIB
        descriptor = os.open(path, os.O_RDWR)
        try:
            start = time.perf_counter()
            while first < last:
                os.pwrite(descriptor, os.pread(descriptor, MIB, last), first)
                first, last = first + 2 * MIB, last - 2 * MIB
            os.fdatasync(descriptor)
            return time.perf_counter() - start
        finally:
            os.close(descriptor)

    runners: dict[str, Runner] = {
        OURS: lambda: _seconds_on(make(), vhdx_kaitai.compact),
        _COPYING: lambda: copying(make()),
    }
    goals, rounds = [at_most(1.3, _COPYING)], bench.pick(3, 3)
    bench.race("compact, half empty", runners, goals, rounds=rounds, unit="s")


def compact_zeros(bench: Bench) -> None:
    """Blocks that are stored and hold zeros are looked for on the medium; nothing is changed."""
    count = bench.pick(GIB, 128 * MIB) // MIB
    made = images.image(
        bench.folder / "zeros.vhdx", count * MIB, MIB, images.in_order(count), is_filled=False
    )
    with made.path.open("r+b", buffering=0) as file:
        file.seek(made.payload)
        for _ in range(count):
            file.write(bytes(MIB))
        os.fsync(file.fileno())

    def reading() -> float:
        _forget(made)
        buffer = bytearray(MIB)
        with made.path.open("rb", buffering=0) as file:
            start = time.perf_counter()
            file.seek(made.payload)
            while file.readinto(buffer):
                pass
            return time.perf_counter() - start

    def scan() -> float:
        _forget(made)
        return _seconds_on(made, partial(vhdx_kaitai.compact, dry_run=True))

    runners: dict[str, Runner] = {OURS: scan, _READING: reading}
    goals, rounds = [at_most(1.15, _READING)], bench.pick(9, 5)
    bench.race("compact, zeros looked for", runners, goals, rounds=rounds, unit="s")


def merge_scattered(bench: Bench) -> None:
    """Every other 4 KiB of a disk are in the child, and get into the parent."""
    size = bench.pick(2 * GIB, 128 * MIB)
    is_here = np.arange(size // images.SECTOR) // 8 % 2 == 0

    def make() -> Made:
        places = images.in_order(size // (32 * MIB))
        parent = images.image(bench.folder / "parent.vhdx", size, 32 * MIB, places)
        made = images.child(bench.folder / "child.vhdx", parent, 2 * MIB, is_here)
        images.warm(made)
        return made

    def copying(made: Made) -> float:
        """Copy what is in the child to where the parent has it, and wait for the medium once."""
        child, parent = (os.open(path, os.O_RDWR) for path in made.files)
        assert made.parent is not None
        start = time.perf_counter()
        for offset in range(0, size, 8 * KIB):
            data = os.pread(child, 4 * KIB, made.payload + offset)
            os.pwrite(parent, data, made.parent.payload + offset)
        os.fdatasync(parent)
        seconds = time.perf_counter() - start
        os.close(child)
        os.close(parent)
        return seconds

    runners: dict[str, Runner] = {
        OURS: lambda: _seconds_on(make(), vhdx_kaitai.merge),
        _COPYING: lambda: copying(make()),
    }
    goals, rounds = [at_most(1.3, _COPYING)], bench.pick(5, 3)
    bench.race("merge, every other 4 KiB", runners, goals, rounds=rounds, unit="s")


def resize_large(bench: Bench) -> None:
    """A disk of 32 TiB becomes larger by 1 GiB, and so does one of 128 GiB with as many blocks."""
    _large_and_small(bench, "resize, 32 TiB", lambda made: made.size + GIB, vhdx_kaitai.resize)


def repair_large(bench: Bench) -> None:
    """The first header is damaged, and the second one takes its place."""

    def damage(made: Made) -> bool:
        with made.path.open("r+b", buffering=0) as file:
            file.seek(64 << 10)
            file.write(bytes(4))
        made.path.with_name(made.path.name + ".undo").unlink(missing_ok=True)
        return True

    def repair(path: Path, write: int) -> object:
        return vhdx_kaitai.repair(path, write=bool(write))

    _large_and_small(bench, "repair, 32 TiB", damage, repair)


def _large_and_small(
    bench: Bench,
    title: str,
    prepare: Callable[[Made], int],
    change: Callable[[Path, int], object],
) -> None:
    """Let an operation on a large disk race with the same on a small one, of as many blocks."""

    def runner(size: int, block_size: int) -> Runner:
        path = bench.folder / "large.vhdx"

        def run() -> float:
            made = images.image(path, size, block_size, None)
            argument = prepare(made)
            start = time.perf_counter()
            change(made.path, argument)
            return time.perf_counter() - start

        return run

    runners = {OURS: runner(32 * TIB, 256 * MIB), _SMALL: runner(128 * GIB, MIB)}
    bench.race(title, runners, [at_most(1.5, _SMALL)], rounds=bench.pick(9, 3), unit="ms")


def _forget(made: Made) -> None:
    """Let the system forget what it has read of a file, as far as it does that."""
    with made.path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _seconds_on(made: Made, change: Callable[[Path], object]) -> float:
    start = time.perf_counter()
    change(made.path)
    return time.perf_counter() - start


BENCHMARKS: dict[str, Benchmark] = {
    "compact-half-empty": compact_half_empty,
    "compact-zeros": compact_zeros,
    "merge-scattered": merge_scattered,
    "resize-large": resize_large,
    "repair-large": repair_large,
}
