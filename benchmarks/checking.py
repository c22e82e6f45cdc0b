"""`check` of a fully mapped disk of 64 TiB as a whole process, against `qemu-img check`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from . import images, processes
from .framework import OURS, AbsentError, Bench, Benchmark, at_most
from .images import MIB, TIB, Array

_QEMU = "qemu-img"
_SHARED_MEMORY = Path("/dev/shm")


def check_in_order(bench: Bench) -> None:
    """Sixty-seven million entries, blocks in the order of the file."""
    _race(bench, "in order", images.in_order(64 * TIB // MIB), 0.8)


def check_shuffled(bench: Bench) -> None:
    """The same, blocks in no order."""
    _race(bench, "shuffled", images.shuffled(64 * TIB // MIB), 1.6)


def _race(bench: Bench, order: str, places: Array, limit: float) -> None:
    processes.run(processes.vhdx_kaitai("check", "--help"))  # absent, if there is no such command
    size = len(places) * MIB
    with tempfile.TemporaryDirectory(dir=_roomy(bench.folder, size + size // 8)) as folder:
        path = Path(folder) / "mapped.vhdx"
        images.image(path, size, MIB, places, is_filled=False)
        commands = bench.present(
            {
                OURS: lambda: processes.vhdx_kaitai("check", path),
                _QEMU: lambda: processes.program(_QEMU, "check", path),
            }
        )
        task = f"check, 64 TiB mapped, {order}"
        runners = {name: processes.seconds(argv) for name, argv in commands.items()}
        rounds = bench.pick(3, 1)
        bench.race(task, runners, [at_most(limit, _QEMU)], rounds=rounds, unit="s")
        bench.judge(f"{task}, peak", processes.run(commands[OURS]).peak, 128, "MiB")


def _roomy(folder: Path, size: int) -> Path:
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
}
