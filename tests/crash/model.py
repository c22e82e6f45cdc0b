"""What a virtual disk holds, from the operations alone.

Nothing is shared with what writes or reads images: what a disk held at first comes from the
builder of the images, and what it holds since from what was asked for.

After a cut each byte is what it was when the last flush returned, or something that was written
to it since. A sector whose write was cut off may be any mix of these: media tear sectors, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from .recorder import Began, Event, Promised

_SHOWN = 16


class Operation(NamedTuple):
    """Something that is asked of a disk.

    Attributes:
        verb: One of those that scripts have habits of.
        offset: Virtual offset in bytes.
        length: Bytes.
        data: What is written.
    """

    verb: str
    offset: int = 0
    length: int = 0
    data: bytes = b""


class Shape(NamedTuple):
    """What decides about an operation: sizes in bytes, and the type of the disk."""

    size: int
    block_size: int
    sector_size: int
    is_fixed: bool

    def change(self, operation: Operation) -> Began:
        """Return what an operation makes of the disk."""
        start, end = operation.offset, operation.offset + operation.length
        if operation.verb in ("write", "fail"):
            return Began(start, operation.length, operation.data)
        if operation.verb == "discard":  # whole blocks, of the last one what is on the disk
            start = -(-start // self.block_size) * self.block_size
            end = end if end == self.size else end // self.block_size * self.block_size
            end = start if self.is_fixed else max(start, end)
        return Began(start, end - start, None)


class Readable(Protocol):
    """A disk that can be read."""

    def readinto_at(self, buffer: memoryview, offset: int) -> int:
        """Fill a buffer from a virtual offset on, and return how many bytes that were."""


class View:
    """Those ranges of a virtual disk that are looked at, one after the other.

    Args:
        windows: Each from a virtual offset to another, in order, and in multiples of 512 bytes.

    Attributes:
        length: How many bytes they are.
    """

    def __init__(self, windows: Sequence[tuple[int, int]]) -> None:
        self.windows = tuple(windows)
        self.length = sum(end - start for start, end in windows)

    def parts(self, offset: int, length: int) -> Iterator[tuple[int, int, int]]:
        """Yield what of a range is looked at: its place here, its place there, and its length."""
        at = 0
        for start, end in self.windows:
            first, last = max(start, offset), min(end, offset + length)
            if first < last:
                yield at + first - start, first - offset, last - first
            at += end - start

    def read(self, disk: Readable, buffer: bytearray) -> None:
        """Fill a buffer with what there is of a disk."""
        with memoryview(buffer) as view:
            for at, start, length in self.parts(0, self.windows[-1][1]):
                assert disk.readinto_at(view[at : at + length], start) == length

    def offset_of(self, at: int) -> int:
        """Return the virtual offset of a place here."""
        for start, end in self.windows:
            if at < end - start:
                return start + at
            at -= end - start
        raise IndexError(at)


class Held:
    """What a disk holds for good at some moment, and what it may hold besides.

    Args:
        view: What of it is looked at.
        contents: What it held at first.
        events: What was done, with marks.

    Attributes:
        events: What was done, with marks.
        durable: What it held when the last flush returned.
    """

    def __init__(self, view: View, contents: bytes | bytearray, events: Sequence[Event]) -> None:
        self.view = view
        self.durable = bytearray(contents)
        self.events = events
        self._next = 0
        self._since: list[tuple[int, Began]] = []

    def move_to(self, end: int) -> None:
        """Go on to the moment after the events before this one."""
        for number in range(self._next, end):
            event = self.events[number]
            if isinstance(event, Began):
                self._since.append((number, event))
            elif isinstance(event, Promised):
                self.durable = self.now()
                self._since = []
        self._next = max(self._next, end)

    def now(self) -> bytearray:
        """Return what the disk holds after all that has been begun."""
        held = bytearray(self.durable)
        for _, change in self._since:
            self._put(held, change)
        return held

    def changed_parts(self) -> list[tuple[int, int, int]]:
        """Return what something has been done to since the flush, each byte of it once.

        Returns:
            For each part its place in the view, its virtual offset and its length.
        """
        changed: list[tuple[int, int]] = []
        for start, end in sorted((c.offset, c.offset + c.length) for _, c in self._since):
            if changed and start <= changed[-1][1]:
                changed[-1] = changed[-1][0], max(changed[-1][1], end)
            else:
                changed.append((start, end))
        return [
            (at, start + inside, length)
            for start, end in changed
            for at, inside, length in self.view.parts(start, end - start)
        ]

    def wrong_with(self, seen: bytearray, reached: int) -> str | None:
        """Return what is wrong with what a disk holds after a cut; None when nothing is.

        Args:
            seen: What it holds.
            reached: How many events had been done by then.
        """
        if seen == self.durable:
            return None
        found = np.frombuffer(seen, np.uint8)
        may = found == np.frombuffer(self.durable, np.uint8)
        for number, change in self._since:
            if number < reached:
                for at, start, length in self.view.parts(change.offset, change.length):
                    part = np.frombuffer(change.part(start, start + length), np.uint8)
                    may[at : at + length] |= found[at : at + length] == part
        if may.all():
            return None
        at, last = int(np.argmin(may)), len(may) - 1 - int(np.argmin(may[::-1]))
        return (
            f"{len(may) - int(np.count_nonzero(may))} bytes from {self.view.offset_of(at)} to "
            f"{self.view.offset_of(last)} were never there: {seen[at : at + _SHOWN].hex()} for "
            f"{self.durable[at : at + _SHOWN].hex()}"
        )

    def _put(self, held: bytearray, change: Began) -> None:
        for at, start, length in self.view.parts(change.offset, change.length):
            held[at : at + length] = change.part(start, start + length)
