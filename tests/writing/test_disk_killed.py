"""A process that writes is killed at some moment, again and again, and the file goes on.

The system keeps what the process has written; what it acknowledged as flushed has to be there.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.crash.model import Shape
from tests.images.chain import chain
from tests.images.image import Block, dynamic, fixed
from tests.images.structures import MIB

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "SIGKILL"), reason="processes are not killed so"
)

UNIT = 16 << 10  # each is filled with the number of its write, so that it tells which that was
SIZE = 6 * MIB + 512

# Tells each operation before it begins, and each flush after it has returned.
_WRITER = """
import random, sys
import vhdx_kaitai
seed, unit = int(sys.argv[2]), int(sys.argv[3])
chance = random.Random(seed)
with vhdx_kaitai.open(sys.argv[1], writable=True) as disk:
    print("open", flush=True)
    number = 0
    while True:
        number += 1
        verb = chance.choices(("write", "zero", "discard", "flush"), (8, 1, 1, 4))[0]
        if verb == "flush":
            disk.flush()
            print("flushed", flush=True)
            continue
        start = chance.randrange(disk.size // 512) * 512
        length = min(chance.choice((512, 4096, unit, 1 << 20)), disk.size - start)
        print(verb, start, length, number % 251 + 1, flush=True)
        if verb == "write":
            disk.pwrite(bytes([number % 251 + 1]) * length, start)
        else:
            getattr(disk, verb)(start, length)
"""


class Sectors:
    """What each sector may hold: bytes that are all the same, or those of an image."""

    def __init__(self, shape: Shape, contents: bytes) -> None:
        self.shape = shape
        self.may = [{contents[at : at + 512]} for at in range(0, shape.size, 512)]

    def begin(self, verb: str, start: int, length: int, fill: int) -> None:
        """Let an operation have begun: its sectors may hold what they do afterwards."""
        if verb == "discard":
            size = self.shape.block_size
            end = start + length
            start = -(-start // size) * size
            end = end if end == self.shape.size else end // size * size
            length = 0 if self.shape.is_fixed else max(0, end - start)
        data = bytes([fill if verb == "write" else 0]) * 512
        for number in range(start // 512, (start + length) // 512):
            self.may[number].add(data)
            self.last[number] = data

    def promise(self) -> None:
        """Let a flush have returned, after which nothing had begun."""
        for number, data in self.last.items():
            self.may[number] = {data}
        self.last = {}

    last: dict[int, bytes]

    def see(self, held: bytes) -> None:
        """Show that a disk holds what it may; from now on it holds nothing else."""
        for number, may in enumerate(self.may):
            data = held[number * 512 : number * 512 + 512]
            assert data in may, f"sector {number} was never so"
            self.may[number] = {data}
        self.last = {}


def killed(path: Path, seed: int, after: float) -> list[str]:
    """Let a process write, kill it after some seconds, and return what it told."""
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, path, str(seed), str(UNIT)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        timer = threading.Timer(after, process.kill)
        timer.start()
        lines = process.stdout.read().split("\n")
        timer.join()
        process.wait()
    assert process.returncode == -signal.SIGKILL
    return lines[:-1]


def rounds(path: Path, contents: bytes, count: int, seed: int) -> int:
    """Kill writers of a file, and return how many flushes were acknowledged."""
    with vhdx_kaitai.open(path) as disk:
        is_fixed = disk.disk_type == "fixed"
        shape = Shape(disk.size, disk.block_size, disk.logical_sector_size, is_fixed)
    sectors = Sectors(shape, contents)
    sectors.last = {}
    chance = random.Random(seed)
    flushes = 0
    for number in range(count):
        for line in killed(path, seed * 1000 + number, chance.uniform(0, 0.25)):
            verb, *numbers = line.split()
            if verb == "flushed":
                sectors.promise()
                flushes += 1
            elif len(numbers) == 3:
                sectors.begin(verb, *map(int, numbers))
        with vhdx_kaitai.open(path) as disk:
            sectors.see(disk.pread(disk.size, 0))
        report = vhdx_kaitai.check(path)
        assert [str(f) for f in report.findings if f.level == "error"] == []
    return flushes


def image(kind: str, folder: Path) -> tuple[Path, bytes]:
    """Write an image, and return its path and what its disk holds."""
    if kind == "child":
        made = chain(2, base=dynamic(SIZE)).write(folder)
        return made.path, bytes(made.model.read(0, SIZE))
    blocks = {0: Block(), 3: Block()}
    built = (fixed(SIZE) if kind == "fixed" else dynamic(SIZE, blocks=blocks)).build()
    return built.write(folder / "disk.vhdx"), bytes(built.model.read(0, SIZE))


@pytest.mark.parametrize(("kind", "count"), [("dynamic", 3), ("child", 2)])
def test_a_file_goes_on_after_its_writers_were_killed(
    kind: str, count: int, tmp_path: Path
) -> None:
    began = time.monotonic()
    flushes = rounds(*image(kind, tmp_path), count, seed=int(began))
    assert flushes > 0


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "count"), [("dynamic", 90), ("child", 90), ("fixed", 20)])
def test_a_file_goes_on_after_very_many_writers_were_killed(
    kind: str, count: int, tmp_path: Path
) -> None:
    assert rounds(*image(kind, tmp_path), count, seed=time.monotonic_ns() % 1000) > count
