"""What is asked of a disk, one thing after the other, from a seed.

A few blocks are hot, so that they are written, given back and written again, and what lies at
their edges is met more often than chance would have it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from .model import Operation, Shape

KIB = 1 << 10
_NEAR = (-4096, -513, -512, -1, 0, 0, 0, 1, 511, 512, 4096)


class Habits(NamedTuple):
    """How often something is asked for, as weights, and how much is written at most.

    Attributes:
        write: Writes of anything.
        zero: Ranges that are to read as zeros.
        discard: Ranges that nobody needs any more.
        flush: Flushes.
        reopen: The disk is closed and opened again.
        abandon: The process is killed and another one opens the disk.
        fail: Writes of which a part is there when the medium is full.
        hot: How many blocks are hot.
        longest: Bytes of the longest write.
        whole: The share of writes that are of whole blocks.
        wide: The share of zeros and discards that are of much of the disk.
    """

    write: float = 10
    zero: float = 2
    discard: float = 2
    flush: float = 5
    reopen: float = 0.5
    abandon: float = 0.3
    fail: float = 0
    hot: int = 5
    longest: int = 3 << 20
    whole: float = 0
    wide: float = 0


def script(
    shape: Shape,
    windows: tuple[tuple[int, int], ...],
    count: int,
    seed: int,
    habits: Habits,
) -> Iterator[Operation]:
    """Yield operations, always the same for a seed.

    Args:
        shape: The disk.
        windows: Where data is written: ranges of the disk, in bytes.
        count: How many operations.
        seed: Chooses them.
        habits: How often what comes.
    """
    chance = random.Random(seed)
    blocks = [
        block
        for start, end in windows
        for block in range(start // shape.block_size, -(-end // shape.block_size))
    ]
    hot = chance.sample(blocks, min(habits.hot, len(blocks)))
    verbs, weights = Habits._fields[:7], habits[:7]
    for _ in range(count):
        verb = chance.choices(verbs, weights)[0]
        if verb in ("flush", "reopen", "abandon"):
            yield Operation(verb)
            continue
        if verb in ("zero", "discard") and habits.wide and chance.random() < habits.wide:
            start = chance.randrange(shape.size) // shape.sector_size * shape.sector_size
            length = chance.choice((shape.size // 3, shape.size // 3, shape.size))
            yield Operation(verb, start, min(length, shape.size - start))
            continue
        block = chance.choice(hot) if chance.random() < 0.8 else chance.choice(blocks)
        if verb in ("zero", "discard") and chance.random() < 0.6:
            yield _blocks(verb, block, shape, chance)
            continue
        if verb == "write" and habits.whole and chance.random() < habits.whole:
            whole = _blocks(verb, block, shape, chance)
            yield whole._replace(data=chance.randbytes(whole.length))
            continue
        start, length = _range(block, shape, habits.longest, chance)
        start, length = _inside(windows, start, length)
        data = b""
        if verb in ("write", "fail"):
            data = chance.randbytes(length) if chance.random() < 0.95 else bytes(length)
        yield Operation(verb, start, length, data)


def _blocks(verb: str, block: int, shape: Shape, chance: random.Random) -> Operation:
    """Return an operation on whole blocks, one or a few, the last of which may be cut."""
    start = block * shape.block_size
    end = min(shape.size, start + shape.block_size * chance.choice((1, 1, 1, 2, 3)))
    return Operation(verb, start, end - start)


def _range(block: int, shape: Shape, longest: int, chance: random.Random) -> tuple[int, int]:
    sector = shape.sector_size
    edge = (block + chance.choice((0, 0, 1))) * shape.block_size + chance.choice(_NEAR)
    amid = block * shape.block_size + chance.randrange(shape.block_size)
    start = chance.choice((edge, amid, amid // sector * sector, amid // sector * sector))
    longer = chance.choice((64 * KIB, shape.block_size, longest))
    length = chance.choice(
        (1, chance.randint(1, sector), sector, sector, 4 * KIB, sector * chance.randint(1, 20))
        + ((chance.randint(1, longer),) if chance.random() < 0.5 else ())
    )
    return start, min(length, longest)


def _inside(windows: tuple[tuple[int, int], ...], start: int, length: int) -> tuple[int, int]:
    """Move a range into the window that is nearest, and make it fit there."""
    first, end = min(windows, key=lambda window: abs(min(max(start, window[0]), window[1]) - start))
    start = min(max(start, first), end - 1)
    return start, min(length, end - start)
