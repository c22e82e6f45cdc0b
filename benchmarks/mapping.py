"""`map` as a whole process: twenty million runs, counted and as JSON, and its peak of memory.

There is no peer to take turns with, so time is processor time, which does not grow when others use
the machine as well. `map` has one thread and waits for nothing.
"""

from __future__ import annotations

import os
from statistics import median

import numpy as np

from . import images, processes
from .framework import AbsentError, Bench, Benchmark
from .images import ABSENT, MIB, SECTOR, TIB, Made

_COUNT_LIMIT, _JSON_LIMIT = 0.05, 1.2  # microseconds
_PEAK_LIMIT = 80  # MiB

_ROUNDS = 3
_LONG = 10  # seconds from which on one round has to do


def map_blocks(bench: Bench) -> None:
    """Every second block of a disk of 20 TiB present: the runs are in the BAT."""
    count = bench.pick(20_000_000, 4_000_000)
    numbers = images.in_order(count)
    places = np.where(numbers % 2, ABSENT, numbers // 2).astype("i4")
    made = images.image(bench.folder / "blocks.vhdx", count * MIB, MIB, places, is_filled=False)
    _measure(bench, made, count, "blocks")


def map_sectors(bench: Bench) -> None:
    """A child in which each sector may be present or not: the runs are in the sector bitmaps."""
    size = bench.pick(20_000, 1_000) * MIB
    parent = images.image(bench.folder / "parent.vhdx", size, 32 * MIB, is_filled=False)
    is_here = np.random.default_rng(5).integers(0, 2, size // SECTOR, "u1").astype(bool)
    path = bench.folder / "sectors.vhdx"
    made = images.child(path, parent, 2 * MIB, is_here, is_filled=False)
    _measure(bench, made, 1 + int(np.count_nonzero(np.diff(is_here))), "sectors")


def map_large(bench: Bench) -> None:
    """Memory for a disk of 64 TiB, an empty one and one with a block here and there."""
    count = 64 * TIB // MIB
    empty = images.image(bench.folder / "empty.vhdx", 64 * TIB, MIB)
    places = np.full(count, ABSENT, "i4")
    used = np.random.default_rng(6).choice(count, 1000, replace=False)
    places[used] = np.arange(len(used))
    sparse = images.image(bench.folder / "sparse.vhdx", 64 * TIB, MIB, places, is_filled=False)
    for made in (empty, sparse):
        usage = processes.run(processes.vhdx_kaitai("map", "--json", made.path))
        bench.judge(f"map, 64 TiB, {made.path.stem}, peak", usage.peak, _PEAK_LIMIT, "MiB")


def _measure(bench: Bench, made: Made, runs: int, name: str) -> None:
    """Add rows for time and memory of a map with a number of runs."""
    output = bench.folder / "count"
    for form, option, limit in (
        ("counted", "--count", _COUNT_LIMIT),
        ("as JSON", "--json", _JSON_LIMIT),
    ):
        argv = processes.vhdx_kaitai("map", option, made.path)
        is_count = option == "--count"
        try:
            usages = [processes.run(argv, output if is_count else os.devnull)]
        except AbsentError as reason:
            bench.table.note(f"map, {form}, is skipped: {reason}")
            continue
        if is_count and int(output.read_text()) != runs:
            bench.table.note(f"counted {int(output.read_text())} runs, there are {runs}")
        while len(usages) < _ROUNDS and usages[0].processor < _LONG:
            usages.append(processes.run(argv))
        task = f"map, {runs / 1e6:.0f} million, {name}, {form}"
        per_run = median(usage.processor for usage in usages) / runs
        bench.judge(f"{task}, a run", per_run, limit, "us")
        bench.judge(f"{task}, peak", max(usage.peak for usage in usages), _PEAK_LIMIT, "MiB")


BENCHMARKS: dict[str, Benchmark] = {
    "map-blocks": map_blocks,
    "map-sectors": map_sectors,
    "map-64tib": map_large,
}
