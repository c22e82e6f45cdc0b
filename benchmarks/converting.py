"""`convert` to a raw image as a whole process, against `cp` of the same contents and `qemu-img`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np

from . import images, processes
from .framework import OURS, Bench, Benchmark, Goal, Runner, at_most
from .images import ABSENT, GIB, KIB, MIB, TIB, Made
from .reading import dense

_CP, _QEMU = "cp", "qemu-img"
_PLAIN = "plain convert"

_GOALS = [at_most(1.2, _CP), at_most(1.25, _QEMU, is_best=True)]

# The largest piece in which a converter has reason to read, and what else it may need.
_MEMORY_LIMIT = 2 * 256 * KIB + 2 * MIB

_ALTERNATING_LIMIT = 1  # seconds, a third of which Python and numpy take to start


def convert_dynamic(bench: Bench) -> None:
    """A dense dynamic image, and the memory it takes beyond that of a tiny one."""
    made = dense(bench)
    _race(bench, made, "convert, dynamic", _GOALS, rounds=bench.pick(7, 3))
    tiny = images.image(bench.folder / "tiny.vhdx", MIB, MIB, images.in_order(1))
    peaks = [_convert(image, bench.folder / "peak.raw").peak for image in (made, tiny)]
    limit = _MEMORY_LIMIT / MIB
    bench.judge("convert, memory above that of 1 MiB", peaks[0] - peaks[1], limit, "MiB")


def convert_fixed(bench: Bench) -> None:
    """A fixed image."""
    made = dense(bench, "fixed")
    _race(bench, made, "convert, fixed", _GOALS, rounds=bench.pick(7, 3))


def convert_empty(bench: Bench) -> None:
    """A disk of 10 GiB with three blocks, of which a piece each is in use."""
    size, block_size = 10 * GIB, 32 * MIB
    places = np.full(size // block_size, ABSENT)
    used = [0, 100, 319]
    places[used] = range(len(used))
    path = bench.folder / "empty.vhdx"
    made = images.image(path, size, block_size, places, is_filled=False)
    with path.open("r+b") as file:
        for block in used:
            file.seek(made.payload + int(places[block]) * block_size + MIB)
            file.write(images.content(0, 64 * KIB, tag=1))
    goals = [at_most(0.7, _QEMU)]
    _race(bench, made, "convert, 10 GiB almost empty", goals, rounds=bench.pick(15, 5))


def convert_zeros(bench: Bench) -> None:
    """Zeros written into blocks, in runs of 4 to 128 KiB: what they take in the result."""
    size, block_size = bench.pick(256 * MIB, 64 * MIB), 32 * MIB
    places = images.in_order(size // block_size)
    made = images.image(bench.folder / "zeros.vhdx", size, block_size, places)
    choice = np.random.default_rng(4)
    with made.path.open("r+b") as file:
        offset = 0
        while offset < size - MIB:
            data, zeros = (int(count) * 4 * KIB for count in choice.integers(1, 33, 2))
            file.seek(made.payload + offset + data)
            file.write(bytes(zeros))
            offset += data + zeros
    makers = bench.present(
        {
            OURS: lambda: _command(made, bench.folder / "ours.raw"),
            _QEMU: lambda: _qemu(made, bench.folder / "qemu.raw"),
        }
    )
    runners = {name: _allocated(argv) for name, argv in makers.items()}
    task = "convert, explicit zeros, allocated size"
    bench.race(task, runners, [at_most(1.1, _QEMU)], rounds=1, unit="MiB", warm_up=False)


def convert_stored_zeros(bench: Bench) -> None:
    """Blocks that are full of zeros, which have to be read and take nothing in the result."""
    size, block_size = bench.pick(2 * GIB, 256 * MIB), 32 * MIB
    places = images.in_order(size // block_size)
    path = bench.folder / "stored-zeros.vhdx"
    made = images.image(path, size, block_size, places, is_filled=False)
    zeros = bytes(MIB)
    with path.open("r+b", buffering=0) as file:
        file.seek(made.payload)
        for _ in range(size // MIB):
            file.write(zeros)
        os.fsync(file.fileno())
    images.warm(made)
    task = "convert, blocks of stored zeros"
    _race(bench, made, task, [at_most(0.9, _QEMU)], rounds=bench.pick(9, 3))


def convert_scattered(bench: Bench) -> None:
    """64 KiB in every MiB: thousands of pieces, and holes between them."""
    size = bench.pick(16 * GIB, GIB)
    twin = images.sparse_raw(bench.folder / "twin.raw", 64 * KIB, MIB, size)
    path, output = bench.folder / "scattered.vhdx", bench.folder / "result.raw"
    made = images.image(path, size, MIB, images.in_order(size // MIB), is_filled=False)
    with path.open("r+b", buffering=0) as file:
        for start in range(0, size, MIB):
            file.seek(made.payload + start)
            file.write(images.content(start, 64 * KIB, tag=1))
        os.fsync(file.fileno())
    makers = bench.present(
        {
            OURS: lambda: _command(made, output),
            _CP: lambda: cp(twin, output),
            _QEMU: lambda: _qemu(made, output),
        }
    )
    runners = {name: writing(argv) for name, argv in makers.items()}
    goals, rounds = [at_most(1.5, _CP), at_most(1.0, _QEMU)], bench.pick(7, 3)
    bench.race("convert, 64 KiB per MiB", runners, goals, rounds=rounds, unit="s")
    output.unlink()


def convert_salvage(bench: Bench) -> None:
    """A dense dynamic image of which nothing is lost, with and without --salvage."""
    made = dense(bench)
    output = bench.folder / "result.raw"
    plain = _command(made, output)
    runners = {
        OURS: writing([*plain[:-2], "--salvage", *plain[-2:]]),
        _PLAIN: writing(plain),
    }
    goals = [at_most(1.02, _PLAIN)]
    bench.race("convert --salvage", runners, goals, rounds=bench.pick(15, 3), unit="s")


def copy_alternating(bench: Bench) -> None:
    """Every second block of 1 TiB present, and a hole: there are as many extents as blocks.

    Time is processor time, which does not grow when others use the machine as well.
    """
    count = TIB // MIB
    numbers = images.in_order(count)
    twins = []
    for name, is_here in (("even", numbers % 2 == 0), ("odd", numbers % 2 == 1)):
        places = np.where(is_here, numbers // 2, ABSENT).astype("i4")
        path = bench.folder / f"{name}.vhdx"
        twins.append(images.image(path, count * MIB, MIB, places, is_filled=False))
    output = bench.folder / "result.raw"
    for task, argv in (
        ("convert", _command(twins[0], output)),
        ("compare", processes.vhdx_kaitai("compare", *(made.path for made in twins))),
    ):
        usages = [processes.run(argv).processor for _ in range(bench.pick(5, 3))]
        bench.judge(f"{task}, 1 TiB, blocks alternate", median(usages), _ALTERNATING_LIMIT, "s")


def _command(made: Made, output: Path) -> list[str]:
    return processes.vhdx_kaitai("convert", "--force", made.path, output)


def _convert(made: Made, output: Path) -> processes.Usage:
    output.unlink(missing_ok=True)
    return processes.run(_command(made, output))


def _qemu(made: Made, output: Path) -> list[str]:
    return processes.program(_QEMU, "convert", "-f", "vhdx", "-O", "raw", made.path, output)


def cp(twin: Path, output: Path) -> list[str]:
    """Return the command line of `cp`, which copies all that is no hole."""
    # A file system that shares blocks between files would copy nothing.
    options = ["--reflink=never"] if sys.platform == "linux" else []
    return processes.program(_CP, *options, twin, output)


def _race(bench: Bench, made: Made, task: str, goals: Sequence[Goal], *, rounds: int) -> None:
    """Let all that is among the goals make the same raw image, each anew every time."""
    output = bench.folder / "result.raw"
    makers = {OURS: lambda: _command(made, output)}
    peers = {goal.peer for goal in goals}
    if _CP in peers:
        twin = images.raw(bench.folder / "twin.raw", made.size)
        makers[_CP] = lambda: cp(twin, output)
    if _QEMU in peers:
        makers[_QEMU] = lambda: _qemu(made, output)
    runners = {name: writing(argv) for name, argv in bench.present(makers).items()}
    bench.race(task, runners, goals, rounds=rounds, unit="s")
    output.unlink()


def writing(argv: list[str]) -> Runner:
    """Return a runner that tells how long a program takes to write the file it names last."""

    def run() -> float:
        Path(argv[-1]).unlink(missing_ok=True)
        os.sync()  # nobody waits for what others have left to be written
        return processes.run(argv).seconds

    return run


def _allocated(argv: list[str]) -> Runner:
    """Return a runner that tells how much of the disk the file takes that a program writes."""

    def run() -> float:
        processes.run(argv)
        with open(argv[-1], "rb") as file:
            os.fsync(file.fileno())
            return os.fstat(file.fileno()).st_blocks * 512

    return run


BENCHMARKS: dict[str, Benchmark] = {
    "convert-dynamic": convert_dynamic,
    "convert-fixed": convert_fixed,
    "convert-empty": convert_empty,
    "convert-zeros": convert_zeros,
    "convert-stored-zeros": convert_stored_zeros,
    "convert-scattered": convert_scattered,
    "convert-salvage": convert_salvage,
    "copy-alternating": copy_alternating,
}
