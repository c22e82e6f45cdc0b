"""Reading of the virtual disk, in process: requests of 1 MiB, of 64 KiB, and of 4 KiB at random."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from functools import partial

import numpy as np

from vhdx_kaitai.text import human_size

from . import images, processes
from .framework import OURS, Bench, Benchmark, Goal, Runner, at_least, at_most, timed
from .images import ABSENT, GIB, KIB, MIB, SECTOR, TIB, Array, DiskType, Made
from .readers import DISSECT, LIBVHDI, PLANNED, READERS, Reader, Work

# Contenders take turns after this many bytes, or random requests.
_TURN = 256 * MIB
_RANDOM_TURN = 4000

_SEQUENTIAL = [at_most(1.10, PLANNED), at_most(1.15, LIBVHDI)]
_SMALL = [at_most(1.20, PLANNED), at_most(0.65, DISSECT)]
_RANDOM = [at_least(1.5, LIBVHDI), at_least(5, DISSECT), at_least(0.65, PLANNED)]
_ZEROS = [at_most(1.10, PLANNED), at_most(1.15, LIBVHDI)]


def _size(bench: Bench) -> int:
    return bench.pick(2 * GIB, 256 * MIB)


def dense(bench: Bench, disk_type: DiskType = "dynamic") -> Made:
    """Make an image whose blocks are all present, in the file in the order of the disk."""
    size, block_size = _size(bench), 32 * MIB  # what Hyper-V makes
    places = images.in_order(size // block_size)
    path = bench.folder / f"{disk_type}.vhdx"
    return images.image(path, size, block_size, places, disk_type=disk_type)


def half_empty(bench: Bench) -> Made:
    """Make an image in which every second block is not present."""
    block_size = 2 * MIB
    count = _size(bench) // block_size
    places = np.where(np.arange(count) % 2, ABSENT, np.arange(count) // 2)
    return images.image(bench.folder / "half-empty.vhdx", _size(bench), block_size, places)


def shuffled(bench: Bench) -> Made:
    """Make an image whose blocks lie in the file in no order."""
    block_size = 2 * MIB
    places = images.shuffled(_size(bench) // block_size)
    return images.image(bench.folder / "shuffled.vhdx", _size(bench), block_size, places)


def checkerboard(bench: Bench) -> Made:
    """Make a child over a dense parent, their sectors in turn, in runs of 4 to 128 KiB."""
    parent = dense(bench)
    choice = np.random.default_rng(1)
    # On average a run has 66 KiB.
    runs = choice.integers(1, 33, parent.size // (64 * KIB)) * (4 * KIB // SECTOR)
    is_here: Array = np.repeat(np.arange(len(runs)) % 2 == 0, runs)
    count = parent.size // SECTOR
    is_here = np.resize(is_here, count)
    return images.child(bench.folder / "child.vhdx", parent, 2 * MIB, is_here)


def read_dynamic(bench: Bench) -> None:
    """A dense dynamic image, blocks in the order of the file."""
    _read(bench, dense(bench), "dynamic", random_goals=_RANDOM)


def read_fixed(bench: Bench) -> None:
    """A fixed image."""
    _read(bench, dense(bench, "fixed"), "fixed", random_goals=_RANDOM)


def read_half_empty(bench: Bench) -> None:
    """Every second block absent: what zeros cost, put into a buffer or returned."""
    made, name, random_goals = half_empty(bench), "half-empty", [at_least(1.7, LIBVHDI)]
    _read(bench, made, name, goals=_ZEROS, small_goals=_ZEROS, random_goals=random_goals)
    readers = _open(bench, made, [*_ZEROS, *random_goals])
    for length in (MIB, 64 * KIB):
        task = f"pread {human_size(length)}, {name}"
        _race_in_order(bench, readers, made, length, task, _ZEROS, is_returned=True)
    _race_at_random(bench, readers, made, f"pread, {name}", random_goals, is_returned=True)


def read_shuffled(bench: Bench) -> None:
    """Blocks in the file in no order."""
    _read(bench, shuffled(bench), "shuffled blocks")


def read_after(bench: Bench) -> None:
    """A dynamic image whose log, metadata and BAT lie after its blocks."""
    size, block_size = _size(bench), 32 * MIB
    places = images.in_order(size // block_size)
    path = bench.folder / "after.vhdx"
    made = images.image(path, size, block_size, places, is_after=True)
    _read(bench, made, "structures after", random_goals=_RANDOM)


def read_dirty(bench: Bench) -> None:
    """A dynamic image whose log has to be replayed, and changes nothing of the blocks."""
    size, block_size = _size(bench), 32 * MIB
    places = images.in_order(size // block_size)
    made = images.image(bench.folder / "dirty.vhdx", size, block_size, places, is_dirty=True)
    _read(bench, made, "dirty log", random_goals=_RANDOM)


def read_child(bench: Bench) -> None:
    """A child over its parent, a checkerboard of runs of 4 to 128 KiB."""
    goals = [at_most(1.3, PLANNED), at_most(0.35, DISSECT)]
    _read(
        bench,
        checkerboard(bench),
        "child",
        goals=goals,
        small_goals=goals,
        random_goals=[at_least(2, LIBVHDI), at_least(3.5, DISSECT)],
    )


def read_1tib(bench: Bench) -> None:
    """Random requests on a disk of 1 TiB in blocks of 1 MiB, shuffled: what the BAT costs.

    The blocks are holes in the file, which the system keeps as pages of zeros.
    """
    size, block_size = bench.pick(TIB, 64 * GIB), MIB
    places = images.shuffled(size // block_size)
    made = images.image(bench.folder / "1tib.vhdx", size, block_size, places, is_filled=False)
    readers = _open(bench, made, [at_least(1.2, LIBVHDI)])
    _race_at_random(bench, readers, made, "1 TiB, shuffled 1 MiB", [at_least(1.2, LIBVHDI)])


def read_memory(bench: Bench) -> None:
    """By how much memory grows at the peak of a read, whatever the disk: 2 x the request + 2 MiB.

    The request is made with `pread`, so that what it returns counts, too. In the last image every
    sector may come from somewhere else. What thousands of reads leave in memory is told, too: of a
    disk with many blocks, up to 8 MiB of its BAT are kept.
    """
    size = bench.pick(GIB, 128 * MIB)
    parent = images.image(bench.folder / "parent.vhdx", size, 32 * MIB)
    is_here = np.random.default_rng(2).integers(0, 2, size // SECTOR).astype(bool)
    scattered = images.child(
        bench.folder / "scattered.vhdx", parent, 2 * MIB, is_here, is_filled=False
    )
    places = images.shuffled(TIB // MIB)
    path = bench.folder / "large.vhdx"
    large = images.image(path, TIB, MIB, places, is_filled=False)
    for name, made, kept in (("1 TiB", large, 8), ("scattered sectors", scattered, 0)):
        for length, count in ((4 * KIB, 20000), (MIB, 300), (64 * MIB, 2)):
            limit = 2 * length / MIB + 2
            task = f"memory, {name}, {length // KIB} KiB"
            bench.judge(task, processes.growth("read", made.path, length, 1), limit, "MiB")
            growth = processes.growth("read", made.path, length, count)
            bench.judge(f"{task}, {count} times", growth, limit + kept, "MiB")


def _read(
    bench: Bench,
    made: Made,
    name: str,
    *,
    goals: Sequence[Goal] = _SEQUENTIAL,
    small_goals: Sequence[Goal] = _SMALL,
    random_goals: Sequence[Goal] = (),
) -> None:
    images.warm(made)
    readers = _open(bench, made, [*goals, *small_goals, *random_goals])
    _check(bench, readers, made)
    _race_in_order(bench, readers, made, MIB, f"sequential 1 MiB, {name}", goals)
    _race_in_order(bench, readers, made, 64 * KIB, f"sequential 64 KiB, {name}", small_goals)
    if random_goals:
        _race_at_random(bench, readers, made, name, random_goals)


def _open(bench: Bench, made: Made, goals: Sequence[Goal]) -> dict[str, Reader]:
    names = [OURS, PLANNED, *(goal.peer for goal in goals if goal.peer)]
    return bench.present({name: partial(READERS[name], made) for name in dict.fromkeys(names)})


def _check(bench: Bench, readers: dict[str, Reader], made: Made) -> None:
    """Note which readers return other bytes than those that were written; leave out who fails."""
    choice = random.Random(2)
    for _ in range(50):
        offset = choice.randrange(0, made.size - 3 * MIB, SECTOR)
        length = choice.randrange(SECTOR, 3 * MIB, SECTOR)
        expected = readers[PLANNED].read(offset, length)
        for name, reader in list(readers.items()):
            try:
                is_right = reader.read(offset, length) == expected
            except Exception as error:
                if name in (OURS, PLANNED):
                    raise
                bench.table.note(f"{name} is skipped, it fails on {made.path.name}: {error}")
                del readers[name]
            else:
                if not is_right:
                    bench.table.note(f"{name} reads some of {made.path.name} wrongly")


def _race_in_order(
    bench: Bench,
    readers: dict[str, Reader],
    made: Made,
    length: int,
    task: str,
    goals: Sequence[Goal],
    *,
    is_returned: bool = False,
) -> None:
    turn = min(_TURN, made.size // 2)
    turns = [range(start, start + turn, length) for start in range(0, made.size, turn)]
    rounds = bench.pick(24, 6)
    _race(bench, readers, turns, length, task, goals, rounds=rounds, is_returned=is_returned)


def _race_at_random(
    bench: Bench,
    readers: dict[str, Reader],
    made: Made,
    name: str,
    goals: Sequence[Goal],
    *,
    is_returned: bool = False,
) -> None:
    length = 4 * KIB
    choice = random.Random(3)
    turns = [
        [choice.randrange(0, made.size, length) for _ in range(_RANDOM_TURN)] for _ in range(8)
    ]
    for offset in itertools.chain.from_iterable(turns):  # into memory, all of them
        readers[PLANNED].read(offset, length)
    task, rounds = f"random 4 KiB, {name}", bench.pick(32, 8)
    _race(bench, readers, turns, length, task, goals, rounds=rounds, is_returned=is_returned)


def _race(
    bench: Bench,
    readers: dict[str, Reader],
    turns: Sequence[Sequence[int]],
    length: int,
    task: str,
    goals: Sequence[Goal],
    *,
    rounds: int,
    is_returned: bool = False,
) -> None:
    """Let the readers make the same requests, a turn of them in each round."""
    wanted = {OURS, *(goal.peer for goal in goals)}
    before = [readers[PLANNED].prepared(turn, length) for turn in turns]
    runners = {}
    for name, reader in readers.items():
        if name in wanted:
            prepare = reader.returning if is_returned else reader.prepared
            works = [prepare(turn, length) for turn in turns]
            runners[name] = _per_request(before, works, len(turns[0]))
    bench.race(task, runners, goals, rounds=rounds, unit="us")


def _per_request(before: Sequence[Work], works: Sequence[Work], count: int) -> Runner:
    """Return a runner that tells how long a request takes, each run with the next of these works.

    Processors keep some of what was read last: whoever came first in a round would pay a quarter
    more than the others. So the same requests are made before each run, by the plan.
    """
    in_turn = itertools.cycle(zip(before, works, strict=True))

    def run() -> float:
        warm_up, work = next(in_turn)
        warm_up()
        return timed(work)() / count

    return run


BENCHMARKS: dict[str, Benchmark] = {
    "read-dynamic": read_dynamic,
    "read-fixed": read_fixed,
    "read-half-empty": read_half_empty,
    "read-shuffled": read_shuffled,
    "read-after": read_after,
    "read-dirty": read_dirty,
    "read-child": read_child,
    "read-1tib": read_1tib,
    "read-memory": read_memory,
}
