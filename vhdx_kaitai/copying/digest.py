"""Hashes of a virtual disk, and of the files that it is in.

Several algorithms take one pass. Each of them has a thread then, since hashlib lets others run
meanwhile, and the calling thread reads. One alone is the business of the calling thread: what
was just read is in its processor's cache, and all that two would save is the time of that copy.

Zeros that are known to be some are hashed without being read.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from itertools import cycle
from operator import index as to_int
from typing import TypeAlias

from ..reading.disk import Disk
from ..records import TYPE_CHECKING, NamedTuple
from ..storage.buffers import bulk_buffer
from ..storage.source import FileSource, Source
from ..units import KIB, MIB
from .data import Progress, adjoined, data_ranges

if TYPE_CHECKING:
    from hashlib import _Hash

_Read: TypeAlias = Callable[[memoryview, int], object]  # fills a buffer from an offset on
_Lengths: TypeAlias = Generator[int, None, None]  # of pieces that are done

# Those that every Python has, and whose hashes are of one length.
ALGORITHMS = tuple(sorted(n for n in hashlib.algorithms_guaranteed if not n.startswith("shake")))

_PIECE = MIB  # what is read at once
_BUFFERS = 4  # pieces that are read ahead, or hashed
_ZEROS = memoryview(bytes(_PIECE))
_MOST_ZEROS = 64 * MIB  # what is hashed at once, without a word on how far that is
_SMALL_HOLE = 64 * KIB  # what is rather read than made a piece of its own


class Digest(NamedTuple):
    """Hashes as hexadecimal text, by the name of the algorithm.

    Attributes:
        disk: Those of the virtual disk, or of a range of it.
        layers: Those of each file of the chain as it is stored, child first; none unless
            they were asked for.
    """

    disk: dict[str, str]
    layers: tuple[dict[str, str], ...] = ()


def digest(
    disk: Disk,
    algorithms: Sequence[str] = ("sha256",),
    *,
    offset: int = 0,
    length: int | None = None,
    layers: bool = False,
    progress: Progress | None = None,
) -> Digest:
    """Return the hashes of a virtual disk, which are those of the raw image that it would be.

    What is lost of a disk that was opened with `lost="zero"` is hashed as zeros;
    `disk.lost` says where that is.

    Args:
        disk: The disk.
        algorithms: Names of algorithms of `hashlib`; those of `shake` are none of these.
        offset: Virtual offset in bytes.
        length: Bytes, up to the end of the disk; None for all the rest.
        layers: Whether the files of the chain are to be hashed, too.
        progress: Told how many bytes of all that are done, now and then.

    Raises:
        FormatError: An image should hold some of the bytes and does not.
        LimitError: A sector bitmap stands for too many chunks of the range.
        ParentNotFoundError: Some of them belong to a parent that was not opened.
        OSError: A file cannot be read.
        ValueError: There is no such algorithm, or the range is not inside the disk.
    """
    names = tuple(dict.fromkeys(map(algorithm, algorithms)))
    if not names:
        raise ValueError("no algorithm is named, expected at least one")
    progress = progress or (lambda _done: None)
    offset = to_int(offset)
    end = disk.size if length is None else offset + to_int(length)
    disk.extents(offset, end - offset)  # refuses what is no range of the disk
    found = [_hashed(names, _of_disk(disk, offset, end), disk.readinto_at, progress)]
    done = end - offset
    for image in disk.chain if layers else ():
        tell = partial(_tell_more, progress, done)
        found.append(_hashed(names, _of_file(image.stored), image.stored.readinto, tell))
        done += image.stored.size
    return Digest(found[0], tuple(found[1:]))


def file_digest(
    source: Source, algorithms: Sequence[str] = ("sha256",), progress: Progress | None = None
) -> dict[str, str]:
    """Return the hashes of a file as it is stored, whatever is in it.

    Args:
        source: The file.
        algorithms: Names of algorithms, as `digest` takes them.
        progress: Told how many bytes are done, now and then.

    Raises:
        OSError: It cannot be read.
        ValueError: There is no such algorithm.
    """
    names = tuple(dict.fromkeys(map(algorithm, algorithms)))
    return _hashed(names, _of_file(source), source.readinto, progress or (lambda _done: None))


def _tell_more(progress: Progress, before: int, done: int) -> None:
    progress(before + done)


def algorithm(name: str) -> str:
    """Return the name of an algorithm as `hashlib` spells it: `sha3_256` for SHA3-256.

    Raises:
        ValueError: There is none of that name; the message lists those that there are.
    """
    plain = _plain(name)
    for known in ALGORITHMS:
        if _plain(known) == plain:
            return known
    raise ValueError(f"no algorithm {name!r}, expected one of {', '.join(ALGORITHMS)}")


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


class _Piece(NamedTuple):
    start: int
    length: int
    is_zero: bool


def _of_disk(disk: Disk, offset: int, end: int) -> Iterator[_Piece]:
    """Yield a range of a disk in pieces."""
    ranges = adjoined(data_ranges(disk, offset, end), _SMALL_HOLE)
    return _pieces(((start, stop) for start, stop, _, _ in ranges), offset, end)


def _of_file(source: Source) -> Iterator[_Piece]:
    """Yield a file in pieces."""
    ranges: Iterable[tuple[int, int]] = [(0, source.size)]
    if isinstance(source, FileSource):
        ranges = source.stored_ranges(0, source.size)
    return _pieces(ranges, 0, source.size)


def _pieces(ranges: Iterable[tuple[int, int]], offset: int, end: int) -> Iterator[_Piece]:
    """Yield all of a range, those parts of it that are given in pieces that fit a buffer."""
    position = offset
    for start, stop in ranges:
        yield from _cut(position, start, _MOST_ZEROS, is_zero=True)
        yield from _cut(start, stop, _PIECE, is_zero=False)
        position = stop
    yield from _cut(position, end, _MOST_ZEROS, is_zero=True)


def _cut(start: int, end: int, step: int, *, is_zero: bool) -> Iterator[_Piece]:
    for position in range(start, end, step):
        yield _Piece(position, min(step, end - position), is_zero)


def _hashed(
    names: Sequence[str], pieces: Iterable[_Piece], read: _Read, progress: Progress
) -> dict[str, str]:
    """Return hashes of pieces that follow each other, by algorithm.

    Args:
        names: The algorithms.
        pieces: The pieces.
        read: Fills a buffer from an offset on.
        progress: Told how far it is, by the calling thread.
    """
    hashes = {name: hashlib.new(name, usedforsecurity=False) for name in names}
    hash_all = _by_threads if len(hashes) > 1 else _by_itself
    done = 0
    with closing(hash_all(list(hashes.values()), pieces, read)) as lengths:
        for length in lengths:
            done += length
            progress(done)
    return {name: one.hexdigest() for name, one in hashes.items()}


def _by_itself(hashes: list[_Hash], pieces: Iterable[_Piece], read: _Read) -> _Lengths:
    """Hash pieces by one algorithm, and yield the length of each when that is done."""
    (one,) = hashes
    for data, length in _filled(pieces, read, 1):
        _feed(one, data, length)
        yield length


def _by_threads(hashes: list[_Hash], pieces: Iterable[_Piece], read: _Read) -> _Lengths:
    """Hash pieces by several algorithms, each of which has a thread; yield the length of each."""
    under_way: deque[tuple[int, list[Future[None]]]] = deque()
    with ExitStack() as stack:
        threads = [(stack.enter_context(ThreadPoolExecutor(1)), one) for one in hashes]
        for data, length in _filled(pieces, read, _BUFFERS):
            jobs = [thread.submit(_feed, one, data, length) for thread, one in threads]
            under_way.append((length, jobs))
            if len(under_way) == _BUFFERS:  # before the first of them is filled again
                yield _finish(*under_way.popleft())
        for piece in under_way:
            yield _finish(*piece)


def _filled(pieces: Iterable[_Piece], read: _Read, count: int) -> Iterator[tuple[memoryview, int]]:
    """Yield pieces as a buffer, and how many bytes that buffer stands for, again and again.

    Args:
        pieces: The pieces.
        read: Fills a buffer from an offset on.
        count: How many buffers take turns.
    """
    buffers = [bulk_buffer(_PIECE) for _ in range(count)]
    for buffer, (start, length, is_zero) in zip(cycle(buffers), pieces, strict=False):
        if is_zero:
            yield _ZEROS, length
        else:
            read(buffer[:length], start)
            yield buffer, length


def _feed(hash_: _Hash, data: memoryview, length: int) -> None:
    """Hash as many bytes as are wanted, which are a buffer again and again."""
    while length > len(data):
        hash_.update(data)
        length -= len(data)
    hash_.update(data[:length])


def _finish(length: int, jobs: Iterable[Future[None]]) -> int:
    """Wait until a piece is hashed, and return its length."""
    for job in jobs:
        job.result()
    return length
