"""A change that is tried before it is made: the file stays, and what is done to it is kept.

What is tried can be read and checked as if it were in the file, taken back, and in the
end be done to the file step by step, in the same order and with the same flushes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from ..ranges import Ranges
from ..records import NamedTuple
from ..storage.overlay import PAGE
from ..storage.source import Source
from ..storage.target import Target
from ..units import MIB, ceil_div


class Step(NamedTuple):
    """One thing that is done to a file.

    Attributes:
        verb: The method of a target, or `copy`.
        arguments: What it takes.
    """

    verb: str
    arguments: tuple[Any, ...]

    def do(self, target: Target) -> None:
        """Do it to a file."""
        for _ in self.parts(target):
            pass

    def parts(self, target: Target) -> Iterator[int]:
        """Do it to a file; after each MiB that is copied yield how many bytes that were."""
        if self.verb == "copy":
            yield from _copy(target, *self.arguments)
        else:
            getattr(target, self.verb)(*self.arguments)


def _copy(file: Target, source: int, to: int, length: int) -> Iterator[int]:
    """Copy a range of a file to where it reads as zeros, a MiB at a time.

    What follows the last byte of a MiB that is not zero stays a hole.
    """
    at, end = source, min(source + length, file.size)
    while (start := file.data_start(at, end)) < end:
        data = file.read(start, min(MIB, end - start))
        used = len(data.rstrip(b"\0"))
        if used:
            file.write(data[: ceil_div(used, PAGE) * PAGE], to + start - source)
        yield start + len(data) - at
        at = start + len(data)


class Moment(NamedTuple):
    """What was tried up to a moment, to go back to."""

    steps: int
    size: int
    pages: dict[int, bytearray]
    copies: int


class Rehearsal(Target):
    """A file to which nothing is done, and which reads as if it were.

    It only becomes longer. Pages that were changed are kept in memory, so it is for
    changes of metadata and not for payload, which is only copied from place to place.

    Args:
        base: The file.

    Attributes:
        steps: What was done, in order.
        pauses: After how many of them there may be a pause, and what was done is whole.
    """

    def __init__(self, base: Source) -> None:
        self.base = base
        self.path = base.path
        self.size = base.size
        self.steps: list[Step] = []
        self.pauses: list[int] = []
        self._pages: dict[int, bytearray] = {}
        self._copies: list[tuple[int, int, int]] = []  # where, its end, and of what

    def moment(self) -> Moment:
        """Return what was tried up to now."""
        pages = {at: bytearray(page) for at, page in self._pages.items()}
        return Moment(len(self.steps), self.size, pages, len(self._copies))

    def go_back(self, moment: Moment) -> None:
        """Forget what was tried after a moment."""
        del self.steps[moment.steps :]
        del self._copies[moment.copies :]
        self.size, self._pages = moment.size, moment.pages

    def pause(self) -> None:
        """Say that what was done up to now is whole."""
        self.pauses.append(len(self.steps))

    def changed(self) -> Iterator[tuple[int, int]]:
        """Yield the ranges that the steps write to, in order, as far as the file has them."""
        written = Ranges(
            (offset, min(offset + len(data), self.base.size))
            for data, offset in self.writes()
            if offset < self.base.size
        )
        yield from written

    def writes(self) -> Iterator[tuple[bytes, int]]:
        """Yield what the steps write, and where, in order."""
        for step in self.steps:
            if step.verb == "write":
                data, offset = step.arguments
                yield data, offset

    def write(self, data: bytes | memoryview, offset: int) -> None:
        """Write all bytes at a file offset; the file becomes longer to hold them."""
        kept = bytes(data)
        self.steps.append(Step("write", (kept, offset)))
        end = offset + len(kept)
        self.size = max(self.size, end)
        for at in range(offset - offset % PAGE, end, PAGE):
            start, stop = max(at, offset), min(at + PAGE, end)
            if at not in self._pages:
                page = bytearray(PAGE)
                self._read_base(memoryview(page), at)
                self._pages[at] = page
            self._pages[at][start - at : stop - at] = kept[start - offset : stop - offset]

    def zero(self, offset: int, length: int) -> None:
        """Let a range read as zeros."""
        self.write(bytes(length), offset)

    def set_length(self, length: int) -> None:
        """Make the file longer; what is new of it reads as zeros."""
        if length < self.size:
            raise ValueError("what is rehearsed makes no file shorter")
        self.steps.append(Step("set_length", (length,)))
        self.size = length

    def copy(self, source: int, to: int, length: int) -> None:
        """Let a range that reads as zeros be a copy of one that the steps do not write to.

        Args:
            source: File offset of what is copied.
            to: Where the copy is to be, past the end that the file had at first.
            length: Bytes.
        """
        assert to >= self.base.size
        self.steps.append(Step("copy", (source, to, length)))
        self._copies.append((to, to + length, source))

    def allocate(self, offset: int, length: int) -> None:
        """Have room on the medium for a range, when the steps are done."""
        self.steps.append(Step("allocate", (offset, length)))

    def flush(self) -> None:
        """Have all on the medium that was written, when the steps are done."""
        self.steps.append(Step("flush", ()))

    def data_start(self, offset: int, end: int, /) -> int:
        """Return where the first data of a range may be, which is not read for that."""
        stored = min(end, self.base.size)
        start = self.base.data_start(offset, stored) if offset < stored else end
        if start == stored < end:
            start = end
        kept = [at for at, stop, _ in self._copies if at < end and offset < stop]
        return min([start, *(max(at, offset) for at in (*kept, *self._pages_in(offset, end)))])

    def status(self) -> os.stat_result | None:
        """Return what the system says of the file."""
        return self.base.status()

    def _fill(self, buffer: memoryview, offset: int) -> None:
        end = offset + len(buffer)
        self._read_base(buffer, offset)
        for at in self._pages_in(offset, end):
            start, stop = max(at, offset), min(at + PAGE, end)
            buffer[start - offset : stop - offset] = self._pages[at][start - at : stop - at]

    def _read_base(self, buffer: memoryview, offset: int) -> None:
        stored = max(0, min(len(buffer), self.base.size - offset))
        if stored:
            self.base.readinto(buffer[:stored], offset)
        buffer[stored:] = bytes(len(buffer) - stored)
        end = offset + len(buffer)
        for to, stop, source in self._copies if end > self.base.size else ():
            start, stop = max(to, offset), min(stop, end, to + self.base.size - source)
            if start < stop:
                part = buffer[start - offset : stop - offset]
                self.base.readinto(part, source + start - to)

    def _pages_in(self, start: int, end: int) -> list[int]:
        return [at for at in self._pages if at < end and start < at + PAGE]
