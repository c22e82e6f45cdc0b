"""Writing into images as they stand, against `qemu-io`, `qemu-img bench`, `dd` and system calls.

Where others are programs, ours is one, too, and its start counts. What each run writes to is made
anew before it, where that matters, and is not timed.
"""

from __future__ import annotations

import mmap
import os
import random
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import vhdx_kaitai

from . import images, processes
from .checking import roomy
from .framework import OURS, AbsentError, Bench, Benchmark, Runner, at_most
from .images import GIB, KIB, MIB, TIB, Made
from .reading import dense

_RAW, _QEMU_IO, _QEMU_BENCH, _DD = "os.pwrite", "qemu-io", "qemu -w", "dd"
_SPARSE, _CHECK, _READ_ONLY = "sparse raw", "qemu check", "read-only"

# A session: path, how many writes, bytes of each, how far they are apart, and whether each is
# flushed.
_SESSION = """
import sys, vhdx_kaitai
path, count, size, step, flushes = sys.argv[1], *map(int, sys.argv[2:])
data = (bytes(range(1, 256)) * (size // 255 + 1))[:size]
with vhdx_kaitai.open(path, writable=True) as disk:
    for number in range(count):
        disk.pwrite(data, number * step)
        if flushes:
            disk.flush()
"""


def write_new_blocks(bench: Bench) -> None:
    """64 KiB, each into a new block of 1 MiB: with a flush after each, and without.

    There are enough of them that it is not the start of Python which is measured.
    """
    count = bench.pick(4000, 100)
    path = bench.folder / "new.vhdx"
    for task, flush, limit in (("flushed", "flush\n", 0.3), ("no flush", "", 0.1)):
        script = bench.folder / "script"
        script.write_text("".join(f"write {n * MIB} 64k\n{flush}" for n in range(count)))
        makers: dict[str, Callable[[], list[str]]] = {
            OURS: partial(_session, path, count, bool(flush)),
            _QEMU_IO: partial(_with_input, script, "qemu-io", "-f", "vhdx", path),
        }
        runners = {
            name: _after(lambda: _empty(path, count), processes.seconds(argv))
            for name, argv in bench.present(makers).items()
        }
        goals, rounds = [at_most(limit, _QEMU_IO)], bench.pick(7, 3)
        bench.race(f"64 KiB into new blocks, {task}", runners, goals, rounds=rounds, unit="s")


def write_syncs(bench: Bench) -> None:
    """How often the system is asked to flush, for each flush of a disk, seen from outside."""
    path, count = bench.folder / "new.vhdx", 50
    parent = images.image(
        bench.folder / "parent.vhdx", 2 * count * MIB, MIB, images.in_order(2 * count)
    )

    makers: dict[str, tuple[Callable[[], None], int]] = {
        "dynamic": (lambda: _empty(path, 2 * count), 1),
        "child": (lambda: images.empty_child(path, parent, MIB), 2),
    }
    for name, (make, limit) in makers.items():
        counts = []
        for number in (count, 2 * count):
            make()
            counts.append(_syncs(_session(path, number, True)))
        bench.judge(f"syncs for a flush, {name}", (counts[1] - counts[0]) / count, limit, "")


def write_in_place(bench: Bench) -> None:
    """4 KiB at random places, and 512 KiB in order, into blocks that are there."""
    made = dense(bench)
    raw = images.raw(bench.folder / "disk.raw", made.size)
    count = bench.pick(20_000, 2000)
    offsets = random.Random(1).choices(range(0, made.size, 4 * KIB), k=count)
    data = _page_aligned(os.urandom(512 * KIB))
    with _opened(raw) as fd, closing(vhdx_kaitai.open(made.path, writable=True)) as disk:
        small = data[: 4 * KIB]

        def write(function: Callable[[memoryview, int], object]) -> Callable[[], None]:
            def work() -> None:
                for offset in offsets:
                    function(small, offset)

            return work

        def write_raw(data: memoryview, offset: int) -> int:
            return os.pwrite(fd, data, offset)

        works = {OURS: write(disk.pwrite), _RAW: write(write_raw)}
        runners = {name: _seconds_each(work, count) for name, work in works.items()}
        peers = bench.present({_QEMU_BENCH: lambda: _qemu_bench(_copy(made), count)})
        for name, argv in peers.items():
            runners[name] = _scaled(processes.seconds(argv), count)
        goals = [at_most(1.5, _RAW), at_most(0.5, _QEMU_BENCH)]
        bench.race("4 KiB random in place", runners, goals, rounds=bench.pick(9, 3), unit="us")
        _sequential(bench, disk, raw, made.size)


def _copy(made: Made) -> Path:
    """Return a copy of an image for programs that cannot share one that is open."""
    path = made.path.with_name("copy.vhdx")
    if not path.exists():
        subprocess.run(["cp", "--sparse=always", made.path, path], check=True)
    return path


def write_in_order(bench: Bench) -> None:
    """512 KiB in order into new blocks of 32 MiB."""
    size = bench.pick(2 * GIB, 256 * MIB)
    path, raw = bench.folder / "new.vhdx", bench.folder / "disk.raw"
    data = _page_aligned(os.urandom(512 * KIB))

    def ours() -> float:
        images.image(path, size, 32 * MIB, None)
        with closing(vhdx_kaitai.open(path, writable=True)) as disk:
            start = time.perf_counter()
            for offset in range(0, size, len(data)):
                disk.pwrite(data, offset)
            return time.perf_counter() - start

    def theirs() -> float:
        raw.unlink(missing_ok=True)
        return processes.run(_dd(raw, size)).seconds

    runners: dict[str, Runner] = {OURS: ours, _DD: theirs}
    goals, rounds = [at_most(1.1, _DD)], bench.pick(7, 3)
    bench.race("512 KiB into new blocks", runners, goals, rounds=rounds, unit="s")


def write_child(bench: Bench) -> None:
    """4 KiB at random places of a child of a dense parent, with a flush after every 64.

    The file system finds room for what is written into a child, as into a sparse raw file; into a
    dense one it need not.
    """
    parent = dense(bench)
    path, raw = bench.folder / "child.vhdx", images.raw(bench.folder / "disk.raw", parent.size)
    sparse = bench.folder / "sparse.raw"
    count = bench.pick(6400, 640)
    offsets = random.Random(1).choices(range(0, parent.size, 4 * KIB), k=count)
    data = os.urandom(4 * KIB)

    def run(write: Callable[[bytes, int], object], flush: Callable[[], object]) -> float:
        start = time.perf_counter()
        for number, offset in enumerate(offsets, 1):
            write(data, offset)
            if number % 64 == 0:
                flush()
        return time.perf_counter() - start

    def ours() -> float:
        images.empty_child(path, parent, 2 * MIB)
        with closing(vhdx_kaitai.open(path, writable=True)) as disk:
            return run(disk.pwrite, disk.flush)

    def onto(raw: Path) -> float:
        with _opened(raw) as fd:
            return run(lambda data, at: os.pwrite(fd, data, at), lambda: os.fdatasync(fd))

    def onto_sparse() -> float:
        sparse.unlink(missing_ok=True)
        sparse.touch()
        os.truncate(sparse, parent.size)
        return onto(sparse)

    runners: dict[str, Runner] = {OURS: ours, _SPARSE: onto_sparse, _RAW: partial(onto, raw)}
    goals, rounds = [at_most(2.5, _SPARSE)], bench.pick(5, 3)
    bench.race("child, 4 KiB random, flushed", runners, goals, rounds=rounds, unit="s")


def write_begin(bench: Bench) -> None:
    """The first write into an image of 64 TiB with sixty-seven million stored blocks."""
    count = 64 * TIB // MIB
    size = count * MIB
    with tempfile.TemporaryDirectory(dir=roomy(bench.folder, size + size // 8)) as folder:
        path = Path(folder) / "mapped.vhdx"
        images.image(path, size, MIB, images.in_order(count), is_filled=False)
        ours = _session(path, 1, False)
        commands = bench.present(
            {OURS: lambda: ours, _CHECK: lambda: processes.program("qemu-img", "check", path)}
        )
        runners = {name: processes.seconds(argv) for name, argv in commands.items()}
        goals, rounds = [at_most(0.8, _CHECK)], bench.pick(5, 1)
        bench.race("first write, 64 TiB mapped", runners, goals, rounds=rounds, unit="s")
        bench.judge("first write, 64 TiB, peak", processes.run(ours).peak, 100, "MiB")


def read_writable(bench: Bench) -> None:
    """4 KiB at random places, read through a disk that could be written and was not."""
    made = dense(bench)
    count = bench.pick(20_000, 2000)
    offsets = random.Random(1).choices(range(0, made.size, 4 * KIB), k=count)

    def reading(disk: vhdx_kaitai.Disk) -> Callable[[], None]:
        def work() -> None:
            pread = disk.pread
            for offset in offsets:
                pread(4 * KIB, offset)

        return work

    with (
        closing(vhdx_kaitai.open(made.path, writable=True)) as writable,
        closing(vhdx_kaitai.open(made.path)) as plain,
    ):
        works = {OURS: reading(writable), _READ_ONLY: reading(plain)}
        runners = {name: _seconds_each(work, count) for name, work in works.items()}
        goals, rounds = [at_most(1.05, _READ_ONLY)], bench.pick(15, 5)
        bench.race("4 KiB random, disk writable", runners, goals, rounds=rounds, unit="us")


def _session(path: Path, count: int, flushes: bool) -> list[str]:
    numbers = (count, 64 * KIB, MIB, int(flushes))
    return [*processes.interpreter(), "-c", _SESSION, str(path), *map(str, numbers)]


def _empty(path: Path, blocks: int) -> None:
    path.unlink(missing_ok=True)
    images.image(path, blocks * MIB, MIB, None)


def _with_input(script: Path, program: str, *arguments: str | Path) -> list[str]:
    """Return the command line of a program that reads its commands from a file."""
    found = processes.program(program, *arguments)
    return processes.program("sh", "-c", 'input="$1"; shift; "$@" <"$input"', "sh", script, *found)


def _syncs(argv: list[str]) -> int:
    """Return how often a program asks the system to flush a file."""
    traced = processes.program("strace", "-f", "-qq", "-e", "trace=fsync,fdatasync,sync_file_range")
    done = subprocess.run([*traced, *argv], check=False, capture_output=True, text=True)
    if done.returncode:
        raise AbsentError("no process can be traced here")
    return len(re.findall(r"sync\(", done.stderr))


def _qemu_bench(path: Path, count: int) -> list[str]:
    words = ("-f", "vhdx", "-w", "-d", 1, "-s", 4 * KIB, "-S", 1028 * KIB, "-c", count, path)
    return processes.program("qemu-img", "bench", *map(str, words))


def _dd(path: Path, size: int) -> list[str]:
    count = size // (512 * KIB)
    words = ("if=/dev/zero", f"of={path}", "bs=512K", f"count={count}", "conv=notrunc")
    return processes.program("dd", *words, "status=none")


def _page_aligned(data: bytes) -> memoryview:
    """Return data in a buffer that begins a page, as that of `dd` does; it is copied quicker."""
    buffer = mmap.mmap(-1, len(data))
    buffer.write(data)
    return memoryview(buffer)


def _sequential(bench: Bench, disk: vhdx_kaitai.WritableDisk, raw: Path, size: int) -> None:
    data = _page_aligned(os.urandom(512 * KIB))

    def work() -> float:
        start = time.perf_counter()
        for offset in range(0, size, len(data)):
            disk.pwrite(data, offset)
        return time.perf_counter() - start

    works: dict[str, Runner] = {OURS: work, _DD: processes.seconds(_dd(raw, size))}
    # Nobody waits for what others have left to be written.
    runners = {name: _after(os.sync, work) for name, work in works.items()}
    goals, rounds = [at_most(1.05, _DD)], bench.pick(7, 3)
    bench.race("512 KiB in place", runners, goals, rounds=rounds, unit="s")


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDWR)
    try:
        yield fd
    finally:
        os.close(fd)


def _seconds_each(work: Callable[[], object], count: int) -> Runner:
    def run() -> float:
        start = time.perf_counter()
        work()
        return (time.perf_counter() - start) / count

    return run


def _scaled(runner: Runner, count: int) -> Runner:
    return lambda: runner() / count


def _after(prepare: Callable[[], object], runner: Runner) -> Runner:
    def run() -> float:
        prepare()
        return runner()

    return run


BENCHMARKS: dict[str, Benchmark] = {
    "write-new-blocks": write_new_blocks,
    "write-syncs": write_syncs,
    "write-in-place": write_in_place,
    "write-in-order": write_in_order,
    "write-child": write_child,
    "write-begin": write_begin,
    "read-writable": read_writable,
}
