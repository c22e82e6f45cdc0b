"""Images at a URL, 20 ms away, against the same read through a file object of fsspec."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import vhdx_kaitai

from . import images, processes
from .framework import OURS, AbsentError, Bench, Benchmark, at_most, timed
from .images import KIB, MIB, TIB, Made

_FSSPEC = "fsspec"
_LATENCY = 0.02
_GOALS = [at_most(1.0, _FSSPEC)]


def _image(bench: Bench) -> Made:
    """Make an image whose blocks are all present."""
    size = bench.pick(512 * MIB, 128 * MIB)
    places = images.in_order(size // (32 * MIB))
    return images.image(bench.folder / "dynamic.vhdx", size, 32 * MIB, places)


@contextlib.contextmanager
def _far(folder: Path) -> Iterator[str]:
    """Serve the files of a folder from another process, each answer late."""
    argv = [sys.executable, "-m", "tests.web", str(folder), "0", str(_LATENCY)]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.stdin.close()


def _by_fsspec(url: str, work: Callable[[vhdx_kaitai.Disk], object]) -> Callable[[], None]:
    try:
        import fsspec
    except ImportError:
        raise AbsentError("fsspec is not installed") from None

    def run() -> None:
        file: Any
        with fsspec.open(url) as file, vhdx_kaitai.open(file) as disk:
            work(disk)

    return run


def _by_us(url: str, work: Callable[[vhdx_kaitai.Disk], object]) -> Callable[[], None]:
    def run() -> None:
        with vhdx_kaitai.open(url) as disk:
            work(disk)

    return run


def _race(
    bench: Bench, task: str, url: str, work: Callable[[vhdx_kaitai.Disk], object], rounds: int
) -> None:
    makers = {
        OURS: lambda: timed(_by_us(url, work)),
        _FSSPEC: lambda: timed(_by_fsspec(url, work)),
    }
    bench.race(task, bench.present(makers), _GOALS, rounds=rounds, unit="ms")


def _first_sectors(disk: vhdx_kaitai.Disk) -> None:
    disk.pread(34 * 512, 0)


def remote_open(bench: Bench) -> None:
    """Open an image and read its partition table; of 64 TiB, and `info` as a process, too."""
    made = _image(bench)
    images.image(bench.folder / "large.vhdx", 64 * TIB, MIB)
    with _far(bench.folder) as url:
        near = f"{url}/{made.path.name}"
        _race(bench, "20 ms away: open, 34 sectors", near, _first_sectors, bench.pick(15, 3))
        far = f"{url}/large.vhdx"
        _race(bench, "20 ms away: the same of 64 TiB", far, _first_sectors, bench.pick(15, 3))
        bench.race(
            "20 ms away: info, a process",
            {OURS: processes.seconds(processes.vhdx_kaitai("info", near))},
            [at_most(2.0)],
            rounds=bench.pick(9, 3),
            unit="s",
        )


def remote_read(bench: Bench) -> None:
    """Read 4 KiB at 100 places, and hash the whole disk."""
    made = _image(bench)

    def at_random(disk: vhdx_kaitai.Disk) -> None:
        places = random.Random(1)
        for _ in range(100):
            disk.pread(4 * KIB, places.randrange(disk.size // (4 * KIB)) * 4 * KIB)

    with _far(bench.folder) as url:
        url = f"{url}/{made.path.name}"
        _race(bench, "20 ms away: 4 KiB at 100 places", url, at_random, bench.pick(5, 1))
        task = f"20 ms away: hash of {made.size // MIB} MiB"
        _race(bench, task, url, vhdx_kaitai.digest, bench.pick(5, 1))


BENCHMARKS: dict[str, Benchmark] = {
    "remote-open": remote_open,
    "remote-read": remote_read,
}
