"""Threads that write, zero, discard, read and flush one disk at once, as fast as they can switch.

What two of them do at once may be done in either order, so each range that several write has many
contents that are right; but every read sees one that somebody has written.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.crash.disks import DISKS
from tests.crash.recorder import Flush, Recorder, applied
from tests.crash.working import Subject
from tests.images.chain import chain
from tests.images.image import Block, dynamic
from tests.images.structures import MIB
from vhdx_kaitai import WritableDisk
from vhdx_kaitai.reading.disk import Disk
from vhdx_kaitai.reading.image import Image

SECTOR = 512
BLOCKS = 8


@pytest.fixture(autouse=True)
def quick_switches() -> Iterator[None]:
    """Let threads take turns after a microsecond."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def image(kind: str, folder: Path) -> Path:
    if kind == "child":
        return chain(2, base=dynamic(BLOCKS * MIB)).write(folder).path
    blocks = {number: Block() for number in range(0, BLOCKS, 2)}
    return dynamic(BLOCKS * MIB, blocks=blocks).build().write(folder / "disk.vhdx")


def at_once(*works: Callable[[], None]) -> None:
    """Do things in threads, and raise what any of them has raised."""
    failures: list[BaseException] = []

    def watched(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=watched, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive(), "a thread waits for ever"
    if failures:
        raise failures[0]


class Owner:
    """Who alone writes to every so manieth MiB of a disk, and knows what is in it.

    Args:
        disk: The disk.
        number: Which of them.
        count: How many there are.
    """

    def __init__(self, disk: WritableDisk, number: int, count: int) -> None:
        self.disk, self.number = disk, number
        self.parts = range(number * MIB, disk.size, count * MIB)
        self.held = {at: bytearray(disk.pread(MIB, at)) for at in self.parts}

    def work(self, steps: int) -> None:
        chance = random.Random(self.number)
        for _ in range(steps):
            at = chance.choice(self.parts)
            held = self.held[at]
            verb = chance.choices(("write", "zero", "discard", "flush"), (8, 2, 2, 1))[0]
            if verb == "write":
                start = chance.randrange(MIB)
                length = min(MIB - start, chance.choice((1, 100, 512, 5000, MIB)))
                data = chance.randbytes(length)
                self.disk.pwrite(data, at + start)
                held[start : start + length] = data
            elif verb == "flush":
                self.disk.flush()
            elif verb == "zero" and chance.random() < 0.6:
                start = chance.randrange(MIB - 5000)
                self.disk.zero(at + start, 5000)
                held[start : start + 5000] = bytes(5000)
            else:
                getattr(self.disk, verb)(at, MIB)
                held[:] = bytes(MIB)
            assert self.disk.pread(MIB, at) == held


@pytest.mark.parametrize("kind", ["dynamic", "child"])
@pytest.mark.parametrize("steps", [60, pytest.param(1500, marks=pytest.mark.slow)])
def test_who_owns_blocks_reads_in_them_what_he_wrote(kind: str, steps: int, tmp_path: Path) -> None:
    path = image(kind, tmp_path)
    with vhdx_kaitai.open(path, writable=True) as disk:
        owners = [Owner(disk, number, 4) for number in range(4)]
        at_once(*(partial(owner.work, steps) for owner in owners))
        held = {at: data for owner in owners for at, data in owner.held.items()}
        assert disk.pread(disk.size, 0) == b"".join(held[at] for at in sorted(held))
    with vhdx_kaitai.open(path, replay="refuse") as closed:
        assert closed.pread(closed.size, 0) == b"".join(held[at] for at in sorted(held))
    report = vhdx_kaitai.check(path)
    assert [str(f) for f in report.findings if f.level in ("error", "warning")] == []


@pytest.mark.parametrize("kind", ["dynamic", "child"])
@pytest.mark.parametrize("steps", [60, pytest.param(1500, marks=pytest.mark.slow)])
def test_each_read_sees_sectors_that_somebody_has_written(
    kind: str, steps: int, tmp_path: Path
) -> None:
    """Every sector is of one byte, which says who wrote it to which block."""
    path = image(kind, tmp_path)
    with vhdx_kaitai.open(path, writable=True) as disk:
        for block in range(BLOCKS):
            disk.pwrite(bytes([block * 8]) * MIB, block * MIB)
        disk.flush()

        def write(number: int) -> None:
            chance = random.Random(number)
            for _ in range(steps):
                block = chance.randrange(BLOCKS)
                start = block * MIB + chance.randrange(2000) * SECTOR
                verb = chance.choices(("write", "zero", "discard", "flush"), (8, 1, 2, 1))[0]
                if verb == "write":
                    disk.pwrite(bytes([block * 8 + number]) * (SECTOR * 40), start)
                elif verb == "flush":
                    disk.flush()
                elif verb == "zero":
                    disk.zero(start, SECTOR * 40)
                else:
                    disk.discard(block * MIB, MIB)

        def read(number: int) -> None:
            chance = random.Random(number)
            buffer = bytearray(64 << 10)
            for _ in range(steps * 3):
                block = chance.randrange(BLOCKS)
                disk.readinto_at(buffer, block * MIB + chance.randrange(15) * len(buffer))
                found = set(buffer)
                assert found <= {0, *range(block * 8, block * 8 + 8)}, (block, found)

        writers = [partial(write, number) for number in range(1, 4)]
        at_once(*writers, partial(read, 11), partial(read, 12))
        held = disk.pread(disk.size, 0)
    with vhdx_kaitai.open(path, replay="refuse") as closed:
        assert closed.pread(closed.size, 0) == held


@pytest.mark.parametrize("name", ["dynamic", "child", "space of a child that is used again"])
@pytest.mark.parametrize("rounds", [2, pytest.param(60, marks=pytest.mark.slow)])
def test_a_flush_covers_what_had_been_written_before_it_by_whomever(name: str, rounds: int) -> None:
    """After it the power is cut, while others go on writing."""
    subject = Subject(DISKS[name]())
    for number in range(rounds):
        cut_after_flushes(subject, number)


def cut_after_flushes(subject: Subject, seed: int) -> None:
    """Let writers count in sectors of their own, and cut the power after flushes."""
    file = Recorder(subject.before)
    disk = subject.open(file)
    flushed: dict[int, int] = {}
    left: list[tuple[dict[int, int], int]] = []  # what was flushed, and how much had been done

    def work(number: int) -> None:
        chance = random.Random(seed * 10 + number)
        offset = chance.randrange(subject.shape.size // 4096) * 4096 + number * SECTOR
        for count in range(1, 13):
            disk.pwrite(bytes([count]) * SECTOR, offset)
            if count % 3 == 0:
                disk.flush()
                flushed[offset] = count
                left.append((dict(flushed), len(file.events)))

    at_once(*(partial(work, number) for number in range(4)))
    for promised, done in left:
        events = file.events[:done]
        last = max(index for index, event in enumerate(events) if isinstance(event, Flush))
        found = Disk([Image(applied(subject.before, events[:last])), *subject.parent_images])
        for offset, least in promised.items():
            sector = found.pread(SECTOR, offset)
            assert len(set(sector)) == 1
            assert sector[0] >= least
    disk.close()
