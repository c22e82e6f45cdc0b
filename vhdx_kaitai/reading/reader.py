"""The two functions that read a disk, quick about what they were asked for before.

A request inside one block of a local file, which is nearly every small one, has
to cost little more than its system call. So it is kept what a window of the disk
is made of: a block, or less of a disk with parents, whose blocks and sectors may
come from several files. All that is kept are places; what is damaged, or is in
too many pieces, is resolved anew with each request.

A window has one of these forms, told apart by as few looks as can be:

    =================  ==============================================================
    in one file        file, distance to it, limit, None
    zeros              None, `_ALL_ZEROS`, limit, None
    in pieces          None, `_NO_DISTANCE`, limit, pieces
    not kept           None, `_NO_DISTANCE`, limit, None
    not on the disk    None, `_NO_DISTANCE`, `_NO_LIMIT`, None
    =================  ==============================================================

The limit says how many of its bytes are on the disk.
"""

from __future__ import annotations

import io
import os
import struct
import sys
from _thread import allocate_lock, get_ident  # `threading` takes longer to import than all else
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import lru_cache
from operator import index as to_int
from types import CodeType, FrameType
from typing import Any

from ..errors import FormatError
from ..records import NamedTuple
from ..storage.source import FileSource, Source
from ..units import MIB
from . import extents
from .layers import BLOCK_OF_ZEROS, UNKNOWN_BLOCK, Layer, Pieces

Window = tuple[FileSource | None, int, int, Pieces | None]
_NO_DISTANCE, _ALL_ZEROS = 0, 1  # where there is no file that has one
_NO_LIMIT = -1

CLOSED = "the disk is closed"

# Of a window in more pieces it is quicker to find those of a request than to find all of them.
_MOST_PIECES = 64

# What is kept takes about 1.5 MiB: pieces 16 bytes each, windows some 300 more.
_KEPT_WINDOWS = 1 << 12
_KEPT_PIECES = 1 << 16

# Systems without these have no sources that are local files.
_preadv: Any = getattr(os, "preadv", None)
_pread: Any = getattr(os, "pread", None)


class Reader(NamedTuple):
    """The functions that read a disk. `Disk` says what they do, but for this.

    Attributes:
        readinto_at: Fills a buffer.
        pread: Returns bytes.
        close: Lets the other two raise a ValueError from now on.
        change: Lets them read another layer from now on.
        forget: Lets them look up a range anew, from a virtual offset to another.
    """

    readinto_at: Callable[[Any, int], int]
    pread: Callable[[int, int], bytes]
    close: Callable[[], None]
    change: Callable[[Layer], None]
    forget: Callable[[int, int], None]


def reader(top: Layer, *, zeroes_lost: bool = False) -> Reader:
    """Return the functions that read a disk.

    Of a disk with more blocks than are kept, each is looked up in the table instead.

    Args:
        top: The layer of its first image.
        zeroes_lost: Whether what is lost reads as zeros.
    """
    windows = _Windows(top, zeroes_lost=zeroes_lost)
    readinto_at, pread = _by_window(windows)
    if top.file is not None and not top.has_parent and top.size >> windows.shift > _KEPT_WINDOWS:
        readinto_at, pread = _by_block(windows, top.file, readinto_at, pread)
    _READING.add(readinto_at.__code__)
    _READING.add(pread.__code__)
    return Reader(readinto_at, pread, windows.close, windows.change, windows.forget)


def reads_elsewhere() -> frozenset[tuple[int, int]]:
    """Return which reads, of whatever disk, other threads are in the midst of.

    They may have found out already where the bytes are. To ask the system which function
    each thread is in costs readers nothing, other than to be counted.

    Returns:
        Numbers that no other read has at the same time; one that comes later may.
    """
    own = get_ident()
    return frozenset(
        (ident, id(frame))
        for ident, top in sys._current_frames().items()
        if ident != own
        for frame in _stack(top)
        if frame.f_code in _READING
    )


def _stack(top: FrameType) -> Iterator[FrameType]:
    frame: FrameType | None = top
    while frame is not None:
        yield frame
        frame = frame.f_back


class _Windows:
    """What windows of a disk are made of, kept for the next request.

    Attributes:
        size: Bytes of the disk.
        shift: Binary logarithm of the size of a window.
        kept: The windows that are kept, by number.
        find_block: Where a block is, as `Layer.block_finder` says it.
    """

    def __init__(self, top: Layer, *, zeroes_lost: bool) -> None:
        self._top = top
        self._zeroes_lost = zeroes_lost
        self.size = top.size
        self._length = extents.WINDOW if top.has_parent else top.image.geometry.block_size
        self.shift = self._length.bit_length() - 1
        self.kept: dict[int, Window] = {}
        self._kept_pieces = 0
        self.find_block, self._forget_blocks = top.block_finder()
        self._is_closed = False
        self._changes = 0  # how often a range was forgotten
        self._changing = allocate_lock()

    def close(self) -> None:
        """Forget all windows, and learn none any more."""
        self._is_closed = True
        self._forget_blocks()
        self.kept.clear()

    def change(self, top: Layer) -> None:
        """Read another layer, of a disk of the same shape, from now on."""
        with self._changing:
            self._changes += 1
            self._forget_blocks()
            self._top = top
            self.find_block = _unknown
            self.kept.clear()

    def forget(self, start: int, end: int) -> None:
        """Look up a range anew, because it is made of something else now.

        Args:
            start: Virtual offset in bytes.
            end: Virtual offset after the range.
        """
        numbers = range(start >> self.shift, ((end - 1) >> self.shift) + 1)
        with self._changing:
            self._changes += 1
            if len(numbers) > len(self.kept):
                self.kept.clear()
            else:
                for number in numbers:
                    self.kept.pop(number, None)

    def learn(self, number: int) -> Window:
        """Return what a window is made of, and keep it."""
        if self._is_closed:
            raise ValueError(CLOSED)
        changes = self._changes
        window = self._find(number)
        with self._changing:
            if len(self.kept) >= _KEPT_WINDOWS or self._kept_pieces >= _KEPT_PIECES:
                self._kept_pieces = 0
                self.kept.clear()
            if self._changes == changes:  # or it may be wrong already
                self.kept[number] = window
                if window[3] is not None:
                    self._kept_pieces += len(window[3][1])
        return window

    def _find(self, number: int) -> Window:
        start = number << self.shift
        limit = min(self._length, self.size - start)
        position = self.find_block(number)
        if position > UNKNOWN_BLOCK:
            return self._top.file, position - start, limit, None
        if position == BLOCK_OF_ZEROS:
            return None, _ALL_ZEROS, limit, None
        if start < 0 or limit <= 0:
            return None, _NO_DISTANCE, _NO_LIMIT, None
        try:
            pieces = extents.window(self._top, start, start + limit, _MOST_PIECES)
        except FormatError:  # some of it is damaged, and perhaps not what was asked for
            pieces = None
        if pieces is None:
            return None, _NO_DISTANCE, limit, None
        bounds, origins = pieces
        file, distance, source = origins[0]
        if bounds[1] == limit:
            if source is None:
                return None, _ALL_ZEROS, limit, None
            if file is not None:
                return file, distance, limit, None
        return None, _NO_DISTANCE, limit, (list(map(_shared, bounds)), tuple(origins))

    def at(self, offset: int) -> Window:
        """Return the window in which a virtual offset is."""
        return self.kept.get(offset >> self.shift) or self.learn(offset >> self.shift)

    def fill(self, view: memoryview, offset: int, *, is_zeroed: bool = False) -> int:
        """Fill a buffer window by window, or less of it at the end of the disk.

        Args:
            view: The buffer, a view of bytes.
            offset: Virtual offset in bytes.
            is_zeroed: Whether there are zeros in it already.

        Returns:
            How many bytes that were.
        """
        end = min(_not_negative("offset", offset) + len(view), self.size)
        start, mask = offset, self._length - 1
        while start < end:
            stop = min(end, (start | mask) + 1)
            window = file, distance, _, pieces = self.at(start)
            if file is not None:  # as many as follow each other in the file are read at once
                while stop < end and self.at(stop) == window:
                    stop = min(end, (stop | mask) + 1)
                file.readinto(view[start - offset : stop - offset], start + distance)
            elif pieces is not None:
                at = start & mask
                index = bisect_right(pieces[0], at)
                _read_pieces(view[start - offset : stop - offset], start, at, pieces, index)
            elif distance == _NO_DISTANCE:
                pieces = extents.pieces(self._top, start, stop, zeroes_lost=self._zeroes_lost)
                _read_pieces(view[start - offset : stop - offset], start, 0, pieces, 1)
            elif not is_zeroed:
                _fill_from(None, view[start - offset : stop - offset], 0)
            start = stop
        return max(0, end - offset)


_READING: set[CodeType] = set()  # that of the functions that readers are


def _unknown(_block: int) -> int:
    return UNKNOWN_BLOCK


def _by_window(windows: _Windows) -> tuple[Callable[[Any, int], int], Callable[[int, int], bytes]]:
    """Return `readinto_at` and `pread`, which look at the windows that are kept first.

    They are closures, since attributes would take a third of the time of a small
    request; so they stand in one function, which is as long as both.
    """
    size, shift, mask = windows.size, windows.shift, (1 << windows.shift) - 1
    get_window, learn, fill = windows.kept.get, windows.learn, windows.fill
    preadv, pread_file = _preadv, _pread

    def readinto_at(buffer: Any, offset: int) -> int:
        if type(offset) is not int:  # others may have few bits
            offset = to_int(offset)
        length = len(buffer) if type(buffer) is bytearray else memoryview(buffer).nbytes
        start = offset & mask  # in its window
        file, distance, limit, pieces = get_window(offset >> shift) or learn(offset >> shift)
        if start + length <= limit:
            if file is not None:
                if preadv(file.fd, (buffer,), offset + distance) == length:
                    return length
            elif pieces is not None and length:
                bounds, origins = pieces
                index = bisect_right(bounds, start)
                file, distance, _ = origins[index - 1]
                if (
                    file is not None
                    and start + length <= bounds[index]
                    and preadv(file.fd, (buffer,), offset + distance) == length
                ):
                    return length
                view = memoryview(buffer) if type(buffer) is bytearray else bytes_of(buffer)
                return _read_pieces(view, offset, start, pieces, index)
            elif distance:  # _ALL_ZEROS
                _zeros_into(length)(buffer, 0)
                return length
        return fill(bytes_of(buffer), offset)

    def pread(length: int, offset: int) -> bytes:
        if type(offset) is not int or type(length) is not int:
            length, offset = to_int(length), to_int(offset)
        start = offset & mask
        file, distance, limit, pieces = get_window(offset >> shift) or learn(offset >> shift)
        if 0 < length <= limit - start:
            if pieces is not None:
                bounds, origins = pieces
                index = bisect_right(bounds, start)
                if start + length <= bounds[index]:
                    file, distance, source = origins[index - 1]
                    if file is None:
                        distance = _ALL_ZEROS if source is None else _NO_DISTANCE
            if file is not None:
                data: bytes = pread_file(file.fd, length, offset + distance)
                if len(data) == length:
                    return data
            elif distance:  # _ALL_ZEROS
                return _zeros(length)
        _not_negative("length", length)
        left = max(0, size - _not_negative("offset", offset))
        # A buffer whose bytes can be taken out of it without a copy.
        stream = io.BytesIO(bytes(min(length, left)))
        with stream.getbuffer() as view:
            fill(view, offset, is_zeroed=True)
        return stream.getvalue()

    return readinto_at, pread


def _by_block(
    windows: _Windows,
    file: FileSource,
    readinto_window: Callable[[Any, int], int],
    pread_window: Callable[[int, int], bytes],
) -> tuple[Callable[[Any, int], int], Callable[[int, int], bytes]]:
    """Return `readinto_at` and `pread` for a disk of which every block is as good as new.

    Args:
        windows: What blocks are made of that have to be looked at more closely.
        file: The local file of the disk's image.
        readinto_window: Fills a buffer by looking at these.
        pread_window: Returns bytes by looking at them.
    """
    shift, mask, length_of_block = windows.shift, (1 << windows.shift) - 1, 1 << windows.shift
    find_block, preadv, pread_file = windows.find_block, _preadv, _pread

    def readinto_at(buffer: Any, offset: int) -> int:
        if type(offset) is not int:
            offset = to_int(offset)
        position = find_block(offset >> shift)
        if position:
            start = offset & mask
            length = len(buffer) if type(buffer) is bytearray else memoryview(buffer).nbytes
            if start + length <= length_of_block:
                if position == BLOCK_OF_ZEROS:
                    _zeros_into(length)(buffer, 0)
                    return length
                if preadv(file.fd, (buffer,), position + start) == length:
                    return length
        return readinto_window(buffer, offset)

    def pread(length: int, offset: int) -> bytes:
        if type(offset) is not int or type(length) is not int:
            length, offset = to_int(length), to_int(offset)
        position = find_block(offset >> shift)
        if position and 0 <= length <= length_of_block - (offset & mask):
            if position == BLOCK_OF_ZEROS:
                return _zeros(length)
            data: bytes = pread_file(file.fd, length, position + (offset & mask))
            if len(data) == length:
                return data
        return pread_window(length, offset)

    return readinto_at, pread


def _read_pieces(view: memoryview, offset: int, start: int, pieces: Pieces, index: int) -> int:
    """Fill a buffer from pieces, each of them to its end, and return how many bytes that were.

    Args:
        view: The buffer, a view of bytes.
        offset: Its virtual offset in bytes.
        start: The same, counted like the bounds of the pieces.
        pieces: The pieces.
        index: Number of the bound at which the first of them ends.
    """
    length, preadv = len(view), _preadv
    bounds, origins = pieces
    done = 0
    while done < length:
        file, distance, source = origins[index - 1]
        stop = bounds[index] - start
        part = view[done:stop]
        position = offset + done + distance
        # The system may stop anywhere.
        if file is None or preadv(file.fd, (part,), position) != len(part):
            _fill_from(source, part, position)
        done = stop
        index += 1
    return length


def _fill_from(source: Source | None, view: memoryview, position: int) -> None:
    """Fill a buffer from a file offset on, or with zeros where there is no source."""
    if source is None:
        _zeros_into(len(view))(view, 0)
    else:
        source.readinto(view, position)


def bytes_of(buffer: Any) -> memoryview:
    """Return a view of the bytes of a buffer; an empty one has none that could be cast."""
    view = memoryview(buffer)
    return view.cast("B") if view.nbytes else memoryview(b"")


def _not_negative(name: str, value: int) -> int:
    """Return a number that a caller gave, unless it is less than 0."""
    if value < 0:
        raise ValueError(f"{name} is {value}, expected at least 0")
    return value


@lru_cache(maxsize=64)
def _zeros_into(length: int) -> Callable[[Any, int], None]:
    # The quickest way that Python has to fill memory in place.
    return struct.Struct(f"{length}x").pack_into


def _zeros(length: int) -> bytes:
    """Return zeros, the same ones again and again when they are few."""
    return _same_zeros(length) if length <= MIB else bytes(length)


_same_zeros = lru_cache(maxsize=1)(bytes)


@lru_cache(maxsize=1 << 12)
def _shared(number: int) -> int:
    """Return a number that equals this one, the same for all."""
    return number
