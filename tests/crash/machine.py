"""What a cut of the power may leave of a file.

What is assumed of the medium: whatever was done before a flush that returned is there. Of what
was done after it there may be anything: nothing, all, a later write without an earlier one, some
sectors of a write and not others, and of a sector its first bytes alone; and the length may be
any that the file had since.

A cut during an operation is a cut before the next flush returns: the operations after it are
those of which nothing is left. So the file is looked at between two flushes, an *epoch*.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, product
from typing import NamedTuple

from .recorder import Event, Flush, Length, Write, applied

SECTORS = (512, 4096)  # what most media write wholly or not at all
_FIRST_BYTES = 96  # where a header has its fields
_SPLITS = (16, 48, 512)  # amid the fields of a header, and after the sector that they are in
_ALL_SUBSETS_UP_TO = 10  # of no more pieces than these every subset is tried


class Epoch(NamedTuple):
    """What was done between two flushes.

    Attributes:
        number: How many flushes were before it.
        durable: The file as it is on the medium at the beginning.
        events: What was done, in order.
    """

    number: int
    durable: bytes
    events: tuple[Write | Length, ...]

    @property
    def writes(self) -> tuple[Write, ...]:
        """The writes among it, in order."""
        return tuple(event for event in self.events if isinstance(event, Write))

    @property
    def lengths(self) -> list[int]:
        """Every length that the file had."""
        lengths = [len(self.durable)]
        for event in self.events:
            now = event.length if isinstance(event, Length) else max(lengths[-1], event.end)
            if now != lengths[-1]:
                lengths.append(now)
        return lengths


class Cut(NamedTuple):
    """A file that a cut may leave.

    Attributes:
        what: Which cut it was.
        data: The file, until the next cut is asked for.
    """

    what: str
    data: memoryview


def epochs(before: bytes, events: Sequence[Event]) -> list[Epoch]:
    """Return what was done to a file, from flush to flush; the last is what was not flushed."""
    found: list[Epoch] = []
    durable = before
    pending: list[Write | Length] = []
    for event in [*events, Flush()]:
        if isinstance(event, Flush):
            found.append(Epoch(len(found), durable, tuple(pending)))
            durable = bytes(applied(durable, pending))
            pending = []
        else:
            pending.append(event)
    return found


# For each write the parts of it that are there, as ranges in its data.
Kept = list[list[tuple[int, int]]]
Way = Callable[[Epoch, random.Random], Kept]


def _whole(epoch: Epoch, chosen: Sequence[bool]) -> Kept:
    """Keep some writes and no others."""
    return [
        [(0, len(write.data))] if is_kept else []
        for write, is_kept in zip(epoch.writes, chosen, strict=True)
    ]


def _nothing(epoch: Epoch, _: random.Random) -> Kept:
    return _whole(epoch, [False] * len(epoch.writes))


def _all(epoch: Epoch, _: random.Random) -> Kept:
    return _whole(epoch, [True] * len(epoch.writes))


def _all_but_one(epoch: Epoch, chance: random.Random) -> Kept:
    lost = chance.randrange(len(epoch.writes))
    return _whole(epoch, [index != lost for index in range(len(epoch.writes))])


def _only_one(epoch: Epoch, chance: random.Random) -> Kept:
    kept = chance.randrange(len(epoch.writes))
    return _whole(epoch, [index == kept for index in range(len(epoch.writes))])


def _up_to_one(epoch: Epoch, chance: random.Random) -> Kept:
    last = chance.randrange(len(epoch.writes))
    return _whole(epoch, [index <= last for index in range(len(epoch.writes))])


def _from_one_on(epoch: Epoch, chance: random.Random) -> Kept:
    first = chance.randrange(len(epoch.writes))
    return _whole(epoch, [index >= first for index in range(len(epoch.writes))])


def _some(epoch: Epoch, chance: random.Random) -> Kept:
    return _whole(epoch, [chance.random() < 0.5 for _ in epoch.writes])


def _one_torn(epoch: Epoch, chance: random.Random) -> Kept:
    """Tear one write, among others of which all, none or some are there."""
    torn = chance.randrange(len(epoch.writes))
    kept = chance.choice((_all, _nothing, _some, _up_to_one))(epoch, chance)
    data, sector = epoch.writes[torn].data, chance.choice((1, *SECTORS))
    at = chance.randrange(0, len(data) + 1, min(sector, len(data)) or 1)
    kept[torn] = chance.choice(([(0, at)], [(at, len(data))]))
    return kept


def _every_one_torn(epoch: Epoch, chance: random.Random) -> Kept:
    """Tear every write at some byte, mostly one of those in which headers differ."""
    kept: Kept = []
    for write in epoch.writes:
        length = len(write.data)
        at = chance.randrange(length + 1)
        kept.append([(0, chance.choice((at, at % _FIRST_BYTES)))])
    return kept


def _sectors(epoch: Epoch, chance: random.Random) -> Kept:
    """Keep some sectors of everything, few or many."""
    sector, share = chance.choice(SECTORS), chance.choice((0.1, 0.5, 0.9))
    return [_some_sectors(write, sector, share, chance) for write in epoch.writes]


def _some_sectors(
    write: Write, sector: int, share: float, chance: random.Random
) -> list[tuple[int, int]]:
    starts = range(-(write.offset % sector), len(write.data), sector)
    return [
        (max(0, start), min(start + sector, len(write.data)))
        for start in starts
        if chance.random() < share
    ]


WAYS: tuple[Way, ...] = (
    *(_nothing, _all, _all_but_one, _only_one, _up_to_one, _from_one_on),
    *(_some, _one_torn, _every_one_torn, _sectors),
)


class _Remains:
    """The file at the beginning of an epoch, to which parts of the epoch are done and undone.

    A file has millions of bytes, and a cut changes few of them.
    """

    def __init__(self, epoch: Epoch) -> None:
        self._epoch = epoch
        self._size = max(epoch.lengths)
        self._fresh = epoch.durable.ljust(self._size, b"\0")
        self._data = bytearray(self._fresh)
        self._touched: list[tuple[int, int]] = []

    def left(self, kept: Kept, length: int) -> memoryview:
        """Return the file of which these parts are there, and which has this length.

        It stays what it is until the next one is asked for.
        """
        for start, end in self._touched:
            self._data[start:end] = self._fresh[start:end]
        self._touched = []
        for write, parts in zip(self._epoch.writes, kept, strict=True):
            for start, end in parts:
                begin, stop = write.offset + start, min(write.offset + end, length)
                if begin < stop:
                    self._data[begin:stop] = write.data[start : start + stop - begin]
                    self._touched.append((begin, stop))
        return memoryview(self._data)[:length]


def every_cut(epoch: Epoch) -> Iterator[Cut]:
    """Yield every file that a cut in a small epoch may leave: each subset of its pieces.

    The pieces are parts of writes when those are few, whole writes otherwise; there is no
    cut of an epoch with many writes.
    """
    pieces = [
        (index, start, min(end, len(write.data)))
        for index, write in enumerate(epoch.writes)
        for start, end in pairwise((0, *_SPLITS, max(len(write.data), _SPLITS[-1])))
        if start < len(write.data)
    ]
    if len(pieces) > _ALL_SUBSETS_UP_TO:
        pieces = [(index, 0, len(write.data)) for index, write in enumerate(epoch.writes)]
    if len(pieces) > _ALL_SUBSETS_UP_TO:
        return
    remains = _Remains(epoch)
    for length, chosen in product(epoch.lengths, product((False, True), repeat=len(pieces))):
        kept: Kept = [[] for _ in epoch.writes]
        for (index, start, end), is_kept in zip(pieces, chosen, strict=True):
            if is_kept:
                kept[index].append((start, end))
        marks = "".join("-+"[is_kept] for is_kept in chosen)
        yield Cut(f"epoch {epoch.number}: {marks}, {length} bytes", remains.left(kept, length))


def cuts(all_epochs: Sequence[Epoch], seed: int) -> Iterator[Cut]:
    """Yield files that cuts may leave, at random and without an end: the same for a seed."""
    chance = random.Random(seed)
    busy = [(epoch, _Remains(epoch)) for epoch in all_epochs if epoch.writes]
    while True:
        (epoch, remains), way = chance.choice(busy), chance.choice(WAYS)
        length = chance.choice(epoch.lengths)
        data = remains.left(way(epoch, chance), length)
        yield Cut(f"epoch {epoch.number}: {way.__name__}, {length} bytes, seed {seed}", data)
