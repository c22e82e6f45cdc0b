"""A part of a disk as a library sees it that reads file systems: how much it reads, what it meets.

Such libraries are made for file systems that are whole. One that leads in circles would keep
them busy for ever, so what each step may read is bounded, and how long it may take, since they
remember what they have read. What they make of an error of ours, some of which they pass over,
does not count: it is kept here.
"""

from __future__ import annotations

import io
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from ..errors import UnsupportedError
from ..ranges import Ranges
from ..reading.disk import Disk
from ..reading.losses import lost_ranges
from ..reading.volumes import Volume
from ..units import MIB

# What a step may read: to open a file system, to find a file, or what is next in a folder.
_MOST_BYTES, _MOST_READS = 320 * MIB, 1 << 13

_MOST_SECONDS = 20.0  # of the processor for it; what is asked of a library takes milliseconds
_TOO_MUCH = "it leads in circles, or is too large to be looked through"


class TooLongError(UnsupportedError):
    """A step took too long."""


class Window:
    """A file object over a volume, as libraries take it; for one thread.

    Args:
        disk: The disk.
        volume: The part of it that there is.

    Attributes:
        size: Bytes of the volume.
        error: What went wrong first in this step, whatever became of it; None when nothing did.
        met_lost: Whether anything was read since this was last set that is lost.
    """

    def __init__(self, disk: Disk, volume: Volume) -> None:
        self._disk, self._start = disk, volume.start
        self.size = min(volume.end, disk.size) - volume.start
        lost = lost_ranges(disk, volume.start, self.size) if disk.zeroes_lost else ()
        self._lost = Ranges((found.start, found.end) for found in lost)
        self._position = 0
        self.met_lost = False
        self.begin()

    def begin(self) -> None:
        """Begin a step."""
        self.error: Exception | None = None
        self._bytes, self._reads = _MOST_BYTES, _MOST_READS

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position, and return it."""
        position = (0, self._position, self.size)[whence] + offset
        if position < 0:
            raise ValueError(f"position would be {position}, expected at least 0")
        self._position = position
        return position

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """Return bytes from the position on, fewer only at the end, and move it.

        Raises:
            UnsupportedError: It would be more than a step may read.
            FormatError: Some of them are lost.
        """
        left = max(0, self.size - self._position)
        length = left if size is None or size < 0 else min(size, left)
        self._bytes -= length
        self._reads -= 1
        try:
            if self._bytes < 0 or self._reads < 0:
                raise UnsupportedError(_TOO_MUCH)
            start = self._start + self._position
            data = self._disk.pread(length, start)
        except Exception as error:
            self.error = self.error or error
            raise
        self.met_lost = self.met_lost or any(self._lost.inside(start, start + length))
        self._position += length
        return data


@contextmanager
def impatience() -> Iterator[None]:
    """Let a step end with an error that takes too long, where the system has a clock for that.

    That is the main thread, not on Windows; elsewhere nothing ends a library that reads nothing.

    Raises:
        TooLongError: It took too long.
    """
    if threading.current_thread() is not threading.main_thread() or not _CLOCK:
        yield
        return
    before = signal.signal(signal.SIGVTALRM, _end)
    signal.setitimer(signal.ITIMER_VIRTUAL, _MOST_SECONDS, 1)  # and again, if that is passed over
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


_CLOCK = hasattr(signal, "setitimer")


def _end(_number: int, _frame: object) -> NoReturn:
    raise TooLongError(_TOO_MUCH)
