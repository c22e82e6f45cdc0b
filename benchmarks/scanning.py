"""`scan` of many small images, against a loop of the shell that runs `qemu-img info` on each."""

from __future__ import annotations

from tests.images.goods import GOODS

from . import processes
from .framework import OURS, Bench, Benchmark, at_most

_QEMU = "qemu-img"
_LOOP = 'for image in "$0"/*.vhdx; do qemu-img info --output=json "$image" || exit; done'

_KINDS = ("dynamic-plain", "fixed-plain", "dynamic-empty")  # qemu-img refuses a dirty log


def scan_many(bench: Bench) -> None:
    """A folder of small images: one `scan`, which checks every rule, against `qemu-img info`."""
    count = bench.pick(400, 50)
    folder = bench.folder / "fleet"
    folder.mkdir()
    for number in range(count):
        GOODS[_KINDS[number % len(_KINDS)]].build().write(folder / f"{number:04}.vhdx")
    commands = bench.present(
        {
            OURS: lambda: processes.vhdx_kaitai("scan", folder, "-o", "-"),
            _QEMU: lambda: _loop(str(folder)),
        }
    )
    seconds = {name: processes.seconds(argv) for name, argv in commands.items()}
    runners = {name: (lambda run=run: run() / count) for name, run in seconds.items()}
    rounds = bench.pick(5, 1)
    bench.race(
        f"scan, an image of {count}", runners, [at_most(1.0, _QEMU)], rounds=rounds, unit="ms"
    )


def _loop(folder: str) -> list[str]:
    processes.program(_QEMU)  # absent, if it is not installed
    return processes.program("sh", "-c", _LOOP, folder)


BENCHMARKS: dict[str, Benchmark] = {"scan-many": scan_many}
