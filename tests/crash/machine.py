"""What a cut of the power may leave of a file.

What is assumed of the medium: whatever was done before a flush that returned is there. Of what
was done after it there may be anything: nothing, all, a later write without an earlier one, some
sectors of a write and not others, and of a sector its first bytes alone; and the length may be
any that the file had since.

A cut during an operation is a cut before the next flush returns: the operations after it are
those of which nothing is left. So the file is looked at between two flushes, an *epoch*.

A file has millions of bytes, a cut changes few of them, and there are very many cuts. So there
is one copy of the file, to which the parts that are there are done, and undone again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, product
from operator import eq, ge, le, ne
from typing import NamedTuple

from .recorder import Event, Flush, Length, Write, Zero, zeros

SECTORS = (512, 4096)  # what most media write wholly or not at all
_FIRST_BYTES = 96  # where a header has its fields
_SPLITS = (16, 48, 512)  # amid the fields of a header, and after the sector that they are in
_FEW_PIECES = 8  # of which subsets are tried in any case, as many as there is time for
_MOST_WRITES = 16  # that count when it is shared out which epoch is cut how often


class Epoch(NamedTuple):
    """What was done between two flushes.

    Attributes:
        number: How many flushes were before it.
        first: The number of its first event, among all.
        events: What was done, in order.
        lengths: Every length that the file had, and how many events had been done by then.
    """

    number: int
    first: int
    events: tuple[Event, ...]
    lengths: tuple[tuple[int, int], ...]

    @property
    def end(self) -> int:
        """The number of the event after its last one."""
        return self.first + len(self.events)

    @property
    def writes(self) -> tuple[Write | Zero, ...]:
        """The writes among it, in order."""
        return tuple(event for event in self.events if isinstance(event, Write | Zero))


class Cut(NamedTuple):
    """A file that a cut may leave.

    Attributes:
        what: Which cut it was.
        data: The file, until the next cut is asked for.
        reached: How many events had been done by then, at least.
        end: How many events had been done at most, when the cut came as late as it can have.
    """

    what: str
    data: memoryview
    reached: int
    end: int


def epochs(length: int, events: Sequence[Event]) -> list[Epoch]:
    """Return what was done to a file, from flush to flush; the last is what was not flushed.

    Args:
        length: The length of the file in bytes.
        events: What was done to it.
    """
    found: list[Epoch] = []
    first, lengths = 0, [(length, 0)]
    for number, event in enumerate([*events, Flush()]):
        if isinstance(event, Flush):
            found.append(Epoch(len(found), first, tuple(events[first:number]), tuple(lengths)))
            first, lengths = number + 1, [(length, number + 1)]
        elif isinstance(event, Length) or (isinstance(event, Write | Zero) and event.end > length):
            length = event.length if isinstance(event, Length) else event.end
            lengths.append((length, number + 1))
    return found


# For each write the parts of it that are there, as ranges in its data.
Kept = list[list[tuple[int, int]]]
Way = Callable[[Epoch, random.Random], Kept]


def _whole(epoch: Epoch, chosen: Sequence[bool]) -> Kept:
    """Keep some writes and no others."""
    return [
        [(0, write.length)] if is_kept else []
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
    length, sector = epoch.writes[torn].length, chance.choice((1, *SECTORS))
    at = chance.randrange(0, length + 1, min(sector, length) or 1)
    kept[torn] = chance.choice(([(0, at)], [(at, length)]))
    return kept


def _every_one_torn(epoch: Epoch, chance: random.Random) -> Kept:
    """Tear every write at some byte, mostly one of those in which headers differ."""
    kept: Kept = []
    for write in epoch.writes:
        at = chance.randrange(write.length + 1)
        kept.append([(0, chance.choice((at, at % _FIRST_BYTES)))])
    return kept


def _some_pieces(epoch: Epoch, chance: random.Random) -> Kept:
    """Keep some of the parts of each write in which the fields of headers lie."""
    return [[piece for piece in _pieces(write) if chance.random() < 0.5] for write in epoch.writes]


def _sectors(epoch: Epoch, chance: random.Random) -> Kept:
    """Keep some sectors of everything, few or many."""
    sector, share = chance.choice(SECTORS), chance.choice((0.1, 0.5, 0.9))
    return [_some_sectors(write, sector, share, chance) for write in epoch.writes]


def _some_sectors(
    write: Write | Zero, sector: int, share: float, chance: random.Random
) -> list[tuple[int, int]]:
    starts = range(-(write.offset % sector), write.length, sector)
    return [
        (max(0, start), min(start + sector, write.length))
        for start in starts
        if chance.random() < share
    ]


WAYS: tuple[Way, ...] = (
    *(_nothing, _all, _all_but_one, _only_one, _up_to_one, _from_one_on),
    *(_some, _one_torn, _every_one_torn, _some_pieces, _sectors),
)


class _Medium:
    """The file as it is on the medium, to which parts of an epoch are done and undone."""

    def __init__(self, before: bytes | bytearray | memoryview, parts: Sequence[Epoch]) -> None:
        size = max(length for part in parts for length, _ in part.lengths)
        self._data = bytearray(before).ljust(size, b"\0")  # past the end there are zeros
        self._undo: list[tuple[int, bytes]] = []

    def left(self, epoch: Epoch, kept: Kept, length: tuple[int, int]) -> memoryview:
        """Return the file of which these parts are there, and which has this length.

        It stays what it is until the next one is asked for.
        """
        self._restore()
        now, which = epoch.lengths[0][0], iter(kept)
        for number, event in enumerate(epoch.events, epoch.first):
            if isinstance(event, Write | Zero):
                for start, end in next(which):
                    stop = min(event.offset + end, length[0])
                    if event.offset + start < stop:
                        part = event.part(start, stop - event.offset)
                        self._put(event.offset + start, part)
                now = max(now, event.end)
            elif isinstance(event, Length) and number < length[1]:
                if event.length < now:  # what is cut off does not come back
                    self._put(event.length, zeros(now - event.length))
                now = event.length
        return memoryview(self._data)[: length[0]]

    def settle(self, epoch: Epoch) -> None:
        """Let all of an epoch be there for good."""
        self._restore()
        last = epoch.lengths[-1]
        self.left(epoch, _whole(epoch, [True] * len(epoch.writes)), (len(self._data), last[1]))
        self._put(last[0], zeros(len(self._data) - last[0]))
        self._undo = []

    def _put(self, offset: int, data: bytes | memoryview) -> None:
        end = offset + len(data)
        self._undo.append((offset, bytes(self._data[offset:end])))
        self._data[offset:end] = data

    def _restore(self) -> None:
        for offset, data in reversed(self._undo):
            self._data[offset : offset + len(data)] = data
        self._undo = []


def cuts(
    before: bytes | bytearray | memoryview, events: Sequence[Event], count: int, seed: int
) -> Iterator[Cut]:
    """Yield files that cuts may leave, in the order of their time: the same for a seed.

    Args:
        before: The file.
        events: What was done to it.
        count: How many, more or less; each flush gets some of them.
        seed: Chooses them.
    """
    chance = random.Random(seed)
    parts = epochs(len(before), events)
    medium = _Medium(before, parts)
    for epoch, share in zip(parts, _shares(parts, count, chance), strict=True):
        for name, kept, length in _cuts_of(epoch, share, chance) if share else ():
            yield Cut(
                f"epoch {epoch.number}: {name}, {length[0]} bytes, seed {seed}",
                medium.left(epoch, kept, length),
                max(length[1], _reached(epoch, kept)),
                epoch.end,
            )
        medium.settle(epoch)


def _reached(epoch: Epoch, kept: Kept) -> int:
    """Return how many events had been done when the last one was that is there in part."""
    numbers = [
        number
        for number, event in enumerate(epoch.events, epoch.first)
        if isinstance(event, Write | Zero)
    ]
    there = (any(start < end for start, end in parts) for parts in kept)
    return max(
        (number + 1 for number, is_there in zip(numbers, there, strict=True) if is_there),
        default=epoch.first,
    )


def _shares(parts: Sequence[Epoch], count: int, chance: random.Random) -> list[int]:
    """Return how often each epoch is cut: more often when there is more to lose."""
    weights = [
        min(len(part.writes), _MOST_WRITES) + 2 if part.writes or len(part.lengths) > 1 else 0
        for part in parts
    ]
    total = sum(weights) or 1
    return [int(count * weight / total + chance.random()) for weight in weights]


def _cuts_of(
    epoch: Epoch, count: int, chance: random.Random
) -> Iterator[tuple[str, Kept, tuple[int, int]]]:
    """Yield ways to cut an epoch: half of them by plan, the others at random."""
    planned = list(_plan(epoch, count - count // 2))
    if len(planned) > count - count // 2:
        planned = chance.sample(planned, count - count // 2)
    for name, kept in planned:
        lengths = epoch.lengths if len(planned) * len(epoch.lengths) <= count else None
        for length in lengths or [chance.choice(epoch.lengths)]:
            yield name, kept, length
            count -= 1
    for _ in range(count):
        way = chance.choice(WAYS) if epoch.writes else _nothing
        yield way.__name__, way(epoch, chance), chance.choice(epoch.lengths)


def _plan(epoch: Epoch, most: int) -> Iterator[tuple[str, Kept]]:
    """Yield each subset of the pieces of an epoch when there are few, or the extremes of them.

    The pieces are parts of writes when those are few, as where headers are written, and whole
    writes otherwise.
    """
    whole = [[(0, write.length)] for write in epoch.writes]
    parts = [_pieces(write) for write in epoch.writes]
    for pieces in (parts, whole):
        flat = [(number, piece) for number, some in enumerate(pieces) for piece in some]
        if 1 << len(flat) <= most or len(flat) <= _FEW_PIECES:
            for chosen in product((False, True), repeat=len(flat)):
                kept: Kept = [[] for _ in epoch.writes]
                for (number, piece), is_kept in zip(flat, chosen, strict=True):
                    if is_kept:
                        kept[number].append(piece)
                yield "".join("-+"[is_kept] for is_kept in chosen), kept
            return
    count = len(whole)
    for at in range(count):
        for name, compare in (("all but", ne), ("only", eq), ("up to", le), ("from", ge)):
            yield f"{name} {at}", _whole(epoch, [compare(index, at) for index in range(count)])
    yield "nothing", _whole(epoch, [False] * count)


def _pieces(write: Write | Zero) -> list[tuple[int, int]]:
    bounds = (0, *_SPLITS, max(write.length, _SPLITS[-1]))
    return [
        (start, min(end, write.length)) for start, end in pairwise(bounds) if start < write.length
    ]
