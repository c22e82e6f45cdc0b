"""`report` of the largest disks: how much longer it takes than `check`, and its page."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

from . import images, processes
from .checking import roomy
from .framework import Bench, Benchmark
from .images import MIB, TIB, Array

_BLOCKS = 64 * TIB // MIB


def report_in_order(bench: Bench) -> None:
    """Sixty-seven million blocks in the order of the file."""
    _judge(bench, "in order", images.in_order(_BLOCKS))


def report_shuffled(bench: Bench) -> None:
    """The same, blocks in no order."""
    _judge(bench, "shuffled", images.shuffled(_BLOCKS))


def report_alternating(bench: Bench) -> None:
    """The same, every other block stored."""
    _judge(bench, "every other block", images.alternating(_BLOCKS))


def _judge(bench: Bench, disk: str, places: Array) -> None:
    with tempfile.TemporaryDirectory(dir=roomy(bench.folder, 72 * TIB)) as folder:
        path, page = Path(folder) / "image.vhdx", Path(folder) / "page.html"
        images.image(path, 64 * TIB, MIB, places, is_filled=False)
        check = processes.seconds(processes.vhdx_kaitai("check", path))
        argv = processes.vhdx_kaitai("report", path, "-o", page, "--force")
        report = processes.seconds(argv)
        check(), report()  # so that all is in memory
        more = median(report() - check() for _ in range(bench.pick(5, 1)))
        task = f"report, 64 TiB {disk}"
        bench.judge(f"{task}, more than check", more, 3, "s")
        bench.judge(f"{task}, page", page.stat().st_size, 2, "MiB")
        bench.judge(f"{task}, peak", processes.run(argv).peak, 256, "MiB")


BENCHMARKS: dict[str, Benchmark] = {
    "report-in-order": report_in_order,
    "report-shuffled": report_shuffled,
    "report-alternating": report_alternating,
}
