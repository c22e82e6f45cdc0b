"""A file in memory that remembers what was written to it, and when it was flushed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from vhdx_kaitai.storage.target import Target


class Write(NamedTuple):
    """Bytes that were written at a file offset."""

    offset: int
    data: bytes

    @property
    def end(self) -> int:
        """The file offset after them."""
        return self.offset + len(self.data)


class Length(NamedTuple):
    """A length, in bytes, that the file was given."""

    length: int


class Flush(NamedTuple):
    """A flush that returned: all before it is on the medium."""


Event = Write | Length | Flush


def apply(data: bytearray, event: Event) -> None:
    """Do to the bytes of a file what was done to the file."""
    if isinstance(event, Write):
        if len(data) < event.end:
            data.extend(bytes(event.end - len(data)))
        data[event.offset : event.end] = event.data
    elif isinstance(event, Length):
        del data[event.length :]
        data.extend(bytes(event.length - len(data)))


def applied(before: bytes, events: Sequence[Event]) -> bytearray:
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
        events: What was done to it, in order.
    """

    def __init__(self, before: bytes | bytearray | memoryview) -> None:
        self.data = bytearray(before)
        self.size = len(self.data)
        self.events: list[Event] = []

    def _fill(self, buffer: memoryview, offset: int) -> None:
        buffer[:] = memoryview(self.data)[offset : offset + len(buffer)]

    def write(self, data: bytes | memoryview, offset: int) -> None:
        self._do(Write(offset, bytes(data)))

    def zero(self, offset: int, length: int) -> None:
        assert offset + length <= self.size
        self._do(Write(offset, bytes(length)))

    def set_length(self, length: int) -> None:
        self._do(Length(length))

    def flush(self) -> None:
        self._do(Flush())

    def _do(self, event: Event) -> None:
        self.events.append(event)
        apply(self.data, event)
        self.size = len(self.data)

    @property
    def pending(self) -> list[Event]:
        """What was done after the last flush, and may still be lost."""
        flushes = [index for index, event in enumerate(self.events) if isinstance(event, Flush)]
        return self.events[flushes[-1] + 1 if flushes else 0 :]


class Faulty(Recorder):
    """A file of which one call fails, after a part of it was done.

    Args:
        before: What is in it.
        fails_at: Which call fails, from 0.
        error: How.
        part: How much of what is to be written gets there all the same, from 0 to 1.
    """

    def __init__(
        self, before: bytes, fails_at: int, error: BaseException, part: float = 0.0
    ) -> None:
        super().__init__(before)
        self.fails_at = fails_at
        self.error = error
        self.part = part
        self.has_failed = False
        self.calls_after = 0

    def _do(self, event: Event) -> None:
        if self.has_failed:
            self.calls_after += 1
        if len(self.events) != self.fails_at:
            super()._do(event)
            return
        self.has_failed = True
        if isinstance(event, Write) and self.part:
            super()._do(Write(event.offset, event.data[: int(len(event.data) * self.part)]))
        raise self.error
