"""`check` of disks with many blocks as a whole process, against `qemu-img check`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from . import images, processes
from .framework import OURS, AbsentError, Bench, Benchmark, at_most
from .images import MIB, TIB, Array

_QEMU = "qemu-img"
_SHARED_MEMORY = Path("/dev/shm")

_MOST = 64 * TIB // MIB  # blocks


def check_in_order(bench: Bench) -> None:
    """Sixty-seven million entries, blocks in the order of the file."""
    _race(bench, "64 TiB mapped, in order", 0.8, images.in_order(_MOST))


def check_shuffled(bench: Bench) -> None:
    """The same, blocks in no order."""
    _race(bench, "64 TiB mapped, shuffled", 1.6, images.shuffled(_MOST))


def check_empty(bench: Bench) -> None:
    """The same, no block stored; all of them ZERO, as QEMU makes such a disk."""
    _race(bench, "64 TiB empty, as QEMU's", 1.0, images.none(_MOST), absent=images.ZERO)


def check_hole(bench: Bench) -> None:
    """The same, no block stored, and nothing of the BAT either."""
    _race(bench, "64 TiB empty, a hole", 1.0, None)


def check_alternating(bench: Bench) -> None:
    """Ten million entries, every other block stored."""
    _race(bench, "every other block", 2.0, images.alternating(10**7))


def _race(bench: Bench, disk: str, limit: float, places: Array | None, *, absent: int = 0) -> None:
    processes.run(processes.vhdx_kaitai("check", "--help"))  # absent, if there is no such command
    size = (_MOST if places is None else len(places)) * MIB
    with tempfile.TemporaryDirectory(dir=roomy(bench.folder, size + size // 8)) as folder:
        path = Path(folder) / "mapped.vhdx"
        images.image(path, size, MIB, places, is_filled=False, absent=absent)
        commands = bench.present(
            {
                OURS: lambda: processes.vhdx_kaitai("check", path),
                _QEMU: lambda: processes.program(_QEMU, "check", path),
            }
        )
        task = f"check, {disk}"
        runners = {name: processes.seconds(argv) for name, argv in commands.items()}
        rounds = bench.pick(5, 1)
        bench.race(task, runners, [at_most(limit, _QEMU)], rounds=rounds, unit="s")
        bench.judge(f"{task}, peak", processes.run(commands[OURS]).peak, 128, "MiB")


def roomy(folder: Path, size: int) -> Path:
    """Return a folder that can hold a file of that many bytes, nearly all of them a hole.

    ext4 ends at 16 TiB, a file system in memory does not.
    """
    for place in (folder, _SHARED_MEMORY):
        if place.is_dir():
            with tempfile.TemporaryFile(dir=place) as file:
                try:
                    os.ftruncate(file.fileno(), size)
                except OSError:
                    continue
                return place
    raise AbsentError("no folder can hold a file of 64 TiB; --folder may name one")


BENCHMARKS: dict[str, Benchmark] = {
    "check-in-order": check_in_order,
    "check-shuffled": check_shuffled,
    "check-empty": check_empty,
    "check-hole": check_hole,
    "check-alternating": check_alternating,
}
