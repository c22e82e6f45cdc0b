"""A file in memory that remembers what was written to it, when it was flushed, and why."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

from vhdx_kaitai.storage.target import Target

_ZEROS = memoryview(bytes(64 << 20))


class Write(NamedTuple):
    """Bytes that were written at a file offset."""

    offset: int
    data: bytes

    @property
    def end(self) -> int:
        """The file offset after them."""
        return self.offset + len(self.data)

    @property
    def length(self) -> int:
        """How many they are."""
        return len(self.data)

    def part(self, start: int, end: int) -> bytes:
        """Return some of them."""
        return self.data[start:end]


class Zero(NamedTuple):
    """A range that was made zeros, as a hole or by writing them."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """The file offset after it."""
        return self.offset + self.length

    def part(self, start: int, end: int) -> memoryview:
        """Return some of the zeros."""
        return zeros(end - start)


class Length(NamedTuple):
    """A length, in bytes, that the file was given."""

    length: int


class Flush(NamedTuple):
    """A flush that returned: all before it is on the medium."""


class Began(NamedTuple):
    """An operation began after which a range of the virtual disk reads otherwise.

    Attributes:
        offset: Virtual offset in bytes.
        length: Bytes.
        data: What it reads then; zeros when it is None.
    """

    offset: int
    length: int
    data: bytes | None

    def part(self, start: int, end: int) -> bytes | memoryview:
        """Return some of what it reads then."""
        return zeros(end - start) if self.data is None else self.data[start:end]


class Promised(NamedTuple):
    """A flush of the disk returned: what all operations before it did is there for good."""


Mark: TypeAlias = Began | Promised
Event: TypeAlias = Write | Zero | Length | Flush | Mark


def zeros(length: int) -> memoryview:
    """Return zeros without making them, unless they are very many."""
    return _ZEROS[:length] if length <= len(_ZEROS) else memoryview(bytes(length))


def apply(data: bytearray, event: Event) -> None:
    """Do to the bytes of a file what was done to the file."""
    if isinstance(event, Write | Zero):
        if len(data) < event.end:
            data.extend(bytes(event.end - len(data)))
        data[event.offset : event.end] = event.part(0, event.length)
    elif isinstance(event, Length):
        del data[event.length :]
        data.extend(bytes(event.length - len(data)))


def applied(before: bytes, events: Iterable[Event]) -> bytearray:
    """Return the bytes of a file after all that was done to it."""
    data = bytearray(before)
    for event in events:
        apply(data, event)
    return data


class Recorder(Target):
    """A file in memory with the verbs of the real one, each of which is remembered.

    Args:
        before: What is in it.

    Attributes:
        events: What was done to it, in order, and the marks that were made meanwhile.
    """

    def __init__(self, before: bytes | bytearray | memoryview) -> None:
        self.data = bytearray(before)
        self.size = len(self.data)
        self.events: list[Event] = []
        self._lock = threading.Lock()  # while somebody reads, the file cannot become longer

    def _fill(self, buffer: memoryview, offset: int) -> None:
        with self._lock, memoryview(self.data) as data:
            buffer[:] = data[offset : offset + len(buffer)]

    def write(self, data: bytes | memoryview, offset: int) -> None:
        self._do(Write(offset, bytes(data)))

    def zero(self, offset: int, length: int) -> None:
        assert offset + length <= self.size
        self._do(Zero(offset, length))

    def set_length(self, length: int) -> None:
        self._do(Length(length))

    def flush(self) -> None:
        self._do(Flush())

    def mark(self, mark: Mark) -> None:
        """Remember something that is known at this moment."""
        self.events.append(mark)

    def _do(self, event: Event) -> None:
        with self._lock:
            self.events.append(event)
            apply(self.data, event)
            self.size = len(self.data)

    @property
    def pending(self) -> list[Event]:
        """What was done after the last flush, and may still be lost."""
        done = without_marks(self.events)
        flushes = [index for index, event in enumerate(done) if isinstance(event, Flush)]
        return done[flushes[-1] + 1 if flushes else 0 :]


class Faulty(Recorder):
    """A file of which one call fails, or all from one on, after a part of it was done.

    Args:
        before: What is in it.
        fails_at: Which call fails, from 0.
        error: How.
        part: How much of what is to be written gets there all the same, from 0 to 1.
        counts: Which calls count; all when it is None. The others succeed.
        for_ever: Whether those after it fail, too.

    Attributes:
        failed: The first call that failed; None when there was none.
        calls_after: How many calls came after that.
    """

    def __init__(
        self,
        before: bytes,
        fails_at: int,
        error: BaseException,
        part: float = 0.0,
        *,
        counts: Callable[[Event], bool] | None = None,
        for_ever: bool = False,
    ) -> None:
        super().__init__(before)
        self._left = fails_at
        self._counts = counts
        self._for_ever = for_ever
        self.error = error
        self.part = part
        self.failed: Event | None = None
        self.calls_after = 0

    @property
    def has_failed(self) -> bool:
        """Whether a call has failed."""
        return self.failed is not None

    def _do(self, event: Event) -> None:
        self.calls_after += self.has_failed
        may_fail = self._counts is None or self._counts(event)
        self._left -= may_fail
        if not may_fail or self._left >= 0 or (self.has_failed and not self._for_ever):
            super()._do(event)
            return
        self.failed = self.failed or event
        if isinstance(event, Write | Zero) and self.part:
            done = int(event.length * self.part)
            super()._do(Write(event.offset, bytes(event.part(0, done))))
        raise self.error


def without_marks(events: Sequence[Event]) -> list[Event]:
    """Return what was done to a file, and nothing of why."""
    return [event for event in events if not isinstance(event, Began | Promised)]
