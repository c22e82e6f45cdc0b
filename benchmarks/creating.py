"""New VHDX files as whole processes: `create`, and `convert` against `cp` and `qemu-img`.

Ours are on the medium when they have their name, unless --no-flush is given. `cp` leaves that to
the system, and so does `qemu-img`, unless it is told to go past the cache (`-t none`). So those
who wait for the medium are compared with each other, and those who do not.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from . import converting, images, processes
from .converting import writing
from .framework import OURS, AbsentError, Bench, Benchmark, at_most
from .images import GIB, KIB, MIB
from .reading import dense, half_empty

_CP, _CP_SYNC, _QEMU_NONE, _LOOP = "cp", "cp, sync", "qemu -t", "pread loop"
_QEMU = {"qemu": [], "qemu -W": ["-W", "-m", "16"], _QEMU_NONE: ["-W", "-m", "16", "-t", "none"]}

_WAITING = [at_most(1.1, _CP_SYNC), at_most(1.0, _QEMU_NONE, is_best=True)]
_NOT_WAITING = [at_most(1.1, _CP)]
_NOT_WAITING += [at_most(1.0, name, is_best=True) for name in ("qemu", "qemu -W")]


def create_large(bench: Bench) -> None:
    """A dynamic image of 64 TiB with blocks of 1 MiB: 513 MiB of BAT."""
    output = bench.folder / "new.vhdx"
    ours = processes.vhdx_kaitai("create", "--quiet", "--size", "64T", "--block-size", "1M", output)
    makers: dict[str, Callable[[], list[str]]] = {
        OURS: lambda: ours,
        "qemu": lambda: processes.program(
            "qemu-img", "create", "-q", "-f", "vhdx", "-o", "block_size=1M,size=64T", output
        ),
    }
    present = bench.present(makers)
    runners = {name: writing(argv) for name, argv in present.items()}
    goals, rounds = [at_most(0.15, "qemu")], bench.pick(9, 3)
    bench.race("create, 64 TiB", runners, goals, rounds=rounds, unit="s")

    def peak(argv: list[str]) -> Callable[[], float]:
        def run() -> float:
            output.unlink(missing_ok=True)
            return processes.run(argv).peak

        return run

    runners = {name: peak(argv) for name, argv in present.items()}
    bench.race("create, 64 TiB, memory", runners, goals, rounds=1, unit="MiB", warm_up=False)
    output.unlink()


def to_vhdx_dense(bench: Bench) -> None:
    """A raw image full of data."""
    size = bench.pick(2 * GIB, 256 * MIB)
    _race(bench, images.raw(bench.folder / "disk.raw", size), "to VHDX, dense")


def to_vhdx_half_empty(bench: Bench) -> None:
    """A raw image of which every second 2 MiB are a hole."""
    size = bench.pick(2 * GIB, 256 * MIB)
    source = images.sparse_raw(bench.folder / "disk.raw", 2 * MIB, 4 * MIB, size)
    _race(bench, source, "to VHDX, half empty")


# What it takes to read each piece and to write it, with nothing else done: whoever looks for zeros
# has to have the bytes. `cp` lets the kernel copy them, unseen.
_READ_AND_WRITE = """
import mmap, os, sys
source, target = os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[2], os.O_CREAT | os.O_WRONLY)
size, end, buffer = os.fstat(source).st_size, 0, memoryview(mmap.mmap(-1, 1 << 20))
while True:
    try:
        start = os.lseek(source, end, os.SEEK_DATA)
    except OSError:
        break
    end = os.lseek(source, start, os.SEEK_HOLE)
    for at in range(start, end, len(buffer)):
        piece = buffer[: end - at]
        os.preadv(source, [piece], at)
        os.pwrite(target, piece, at)
os.truncate(target, size)
"""


def to_vhdx_scattered(bench: Bench) -> None:
    """A raw image with 64 KiB in every MiB, as much data as in the others."""
    size = bench.pick(16 * GIB, GIB)
    source = images.sparse_raw(bench.folder / "disk.raw", 64 * KIB, MIB, size)
    task, output = "to VHDX, 64 KiB per MiB", bench.folder / "result.vhdx"
    _race(bench, source, task)
    floor = [sys.executable, "-c", _READ_AND_WRITE, str(source), str(output)]
    runners = {
        OURS: writing(_convert("--no-flush", source, output)),
        _LOOP: writing(floor),
    }
    bench.race(
        f"{task} --no-flush", runners, [at_most(1.5, _LOOP)], rounds=bench.pick(7, 3), unit="s"
    )
    output.unlink()


def vhdx_to_vhdx(bench: Bench) -> None:
    """A dense dynamic image, and one that is half empty."""
    for make, task in ((dense, "VHDX to VHDX, dense"), (half_empty, "VHDX to VHDX, half empty")):
        made = make(bench)
        _race(bench, made.path, task)
        made.path.unlink()


def to_vhdx_shared(bench: Bench) -> None:
    """Where the file system lets files share blocks: nothing is copied."""
    size = bench.pick(4 * GIB, 256 * MIB)
    with _sharing(bench.folder, 3 * size + GIB) as folder:
        source, output = images.raw(folder / "disk.raw", size), folder / "new.vhdx"
        runners = {
            OURS: writing(_convert(source, output)),
            _CP: writing(converting.cp(source, output)),
        }
        goals, rounds = [at_most(0.1, _CP)], bench.pick(5, 3)
        bench.race("to VHDX, shared", runners, goals, rounds=rounds, unit="s")


def _convert(*words: str | Path) -> list[str]:
    return processes.vhdx_kaitai("convert", "--quiet", *words)


def _qemu(options: list[str], source: Path, output: Path) -> list[str]:
    kind = "vhdx" if source.suffix == ".vhdx" else "raw"
    words = ("-f", kind, "-O", "vhdx", source, output)
    return processes.program("qemu-img", "convert", *options, *words)


def _race(bench: Bench, source: Path, task: str) -> None:
    """Let all make a VHDX file of the same source, each anew every time."""
    output = bench.folder / "result.vhdx"
    script = f'{" ".join(converting.cp(source, output)[:-2])} "$1" "$2" && sync "$2"'
    makers: dict[str, Callable[[], list[str]]] = {
        _CP: lambda: converting.cp(source, output),
        _CP_SYNC: lambda: processes.program("sh", "-c", script, "sh", source, output),
        **{name: partial(_qemu, options, source, output) for name, options in _QEMU.items()},
    }
    for option, goals in (((), _WAITING), (("--no-flush",), _NOT_WAITING)):
        chosen: dict[str, Callable[[], list[str]]] = {
            OURS: partial(_convert, *option, source, output)
        }
        chosen |= {goal.peer: makers[goal.peer] for goal in goals if goal.peer}
        runners = {name: writing(argv) for name, argv in bench.present(chosen).items()}
        name = " ".join((task, *option))
        bench.race(name, runners, goals, rounds=bench.pick(7, 3), unit="s")
    output.unlink()


@contextmanager
def _sharing(folder: Path, size: int) -> Iterator[Path]:
    """Make a file system whose files may have blocks in common; yield a folder on it."""
    image, place = folder / "xfs", folder / "mounted"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(size)
    for argv in (
        processes.program("mkfs.xfs", "-q", image),
        processes.program("mount", "-o", "loop", image, place),
    ):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise AbsentError(f"no XFS can be mounted: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


BENCHMARKS: dict[str, Benchmark] = {
    "create-large": create_large,
    "to-vhdx-dense": to_vhdx_dense,
    "to-vhdx-half-empty": to_vhdx_half_empty,
    "to-vhdx-scattered": to_vhdx_scattered,
    "to-vhdx-shared": to_vhdx_shared,
    "vhdx-to-vhdx": vhdx_to_vhdx,
}
