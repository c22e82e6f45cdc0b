"""A file seen through updates that are not in it: those of a log, or of a writer."""

from __future__ import annotations

import os
from _thread import allocate_lock
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from ..records import NamedTuple
from ..units import KIB
from .source import FileSource, Source

PAGE = 4 * KIB  # what a writer keeps until it is in the file, and the log takes at once


class Update(NamedTuple):
    """One range of a file that reads otherwise than it is stored.

    Attributes:
        start: File offset of its first byte.
        end: File offset after its last byte.
        origin: File offset of the stored bytes that stand for `prefix` and
            `suffix`, too; None when the range reads as zeros.
        prefix: Replaces the first bytes.
        suffix: Replaces the last bytes.
    """

    start: int
    end: int
    origin: int | None = None
    prefix: bytes = b""
    suffix: bytes = b""


class Overlay(Source):
    """A source seen through updates that were never written into it.

    The updates do not overlap and stand in order. Updates with data name the
    place where the source itself holds them, so memory is needed for their
    number, not for their length.
    """

    def __init__(self, base: Source, updates: Sequence[Update], size: int) -> None:
        self.base = base
        self.path = base.path
        self.size = size
        self._updates = updates
        self._starts = [update.start for update in updates]
        self._settling = allocate_lock()
        self._is_settled = False

    def settle(self) -> None:
        """Read the source as it is from now on: all updates have been written into it.

        Who reads an update meanwhile is done when this returns, so the place where the source
        has held it may get something else.
        """
        with self._settling:
            self._is_settled = True
            self._updates, self._starts = (), []

    @property
    def updates(self) -> Sequence[Update]:
        """The updates in the order of their place."""
        return self._updates

    def local_file(self, start: int, end: int, /) -> FileSource | None:
        """Return the local file that holds a range just as it reads; None when there is none."""
        updates = self._updates
        index = bisect_left(self._starts, end) - 1  # the last update that begins before the end
        is_updated = 0 <= index < len(updates) and updates[index].end > start
        return None if is_updated or end > self.base.size else self.base.local_file(start, end)

    def data_start(self, offset: int, end: int, /) -> int:
        """Return where the first data of a range may be, which is not read for that."""
        updates = self._updates
        index = max(0, bisect_right(self._starts, offset) - 1)
        while offset < end:
            update = updates[index] if index < len(updates) else None
            if update is not None and update.end <= offset:
                index += 1
            elif update is not None and update.start <= offset:
                if update.origin is not None:
                    return offset
                offset = min(end, update.end)
            else:
                stop = end if update is None else min(end, update.start)
                stored = min(stop, self.base.size)
                start = self.base.data_start(offset, stored) if offset < stored else stored
                if start < stored:
                    return start
                offset = stop
        return end

    def _fill(self, buffer: memoryview, offset: int) -> None:
        end = offset + len(buffer)
        updates, starts = self._updates, self._starts
        index = max(0, bisect_right(starts, offset) - 1)
        position = offset
        while position < end:
            update = updates[index] if index < len(updates) else None
            if update is not None and update.end <= position:
                index += 1
            elif update is None or update.start > position:
                stop = end if update is None else min(end, update.start)
                self._read_base(buffer[position - offset : stop - offset], position)
                position = stop
            else:
                stop = min(end, update.end)
                self._read_update(buffer[position - offset : stop - offset], position, update)
                position = stop

    def prefetch(self, start: int, end: int, /) -> None:
        """Fetch a range at once that is about to be read in parts, where that saves time."""
        self.base.prefetch(start, min(end, self.base.size))

    def status(self) -> os.stat_result | None:
        """Return what the system says of the file below."""
        return self.base.status()

    def close(self) -> None:
        """Close the source below."""
        self.base.close()

    def _read_base(self, buffer: memoryview, offset: int) -> None:
        # The replay may have made the file longer; the new part is zeros.
        stored = max(0, min(len(buffer), self.base.size - offset))
        if stored:
            self.base.readinto(buffer[:stored], offset)
        if stored < len(buffer):
            buffer[stored:] = bytes(len(buffer) - stored)

    def _read_update(self, buffer: memoryview, offset: int, update: Update) -> None:
        length = update.end - update.start
        with self._settling:
            if self._is_settled:
                self.base.readinto(buffer, offset)
                return
            if update.origin is None:
                buffer[:] = bytes(len(buffer))
                return
            stored = self.base.read(update.origin, length)
        inner = stored[len(update.prefix) : length - len(update.suffix)]
        whole = update.prefix + inner + update.suffix
        start = offset - update.start
        buffer[:] = whole[start : start + len(buffer)]


class Edited(Source):
    """A file seen through pages that were changed and are not in it yet.

    Several threads may read it while one changes it. A reader looks for pages before it
    reads the file below, so a page that gets into the file meanwhile is in either.

    Attributes:
        base: The file.
        size: Its length in bytes; whoever gives the file another length says so here.
        pages: The pages that were changed, by file offset, each as long as `PAGE`.
    """

    def __init__(self, base: Source) -> None:
        self.base = base
        self.path = base.path
        self.size = base.size
        self.pages: dict[int, bytearray] = {}

    def page(self, offset: int) -> bytearray:
        """Return a page to be changed.

        Args:
            offset: Its file offset in bytes.
        """
        page = self.pages.get(offset)
        if page is None:
            page = self.pages[offset] = bytearray(self.base.read(offset, PAGE))
        return page

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from a file offset on, quickly when they are in one page."""
        start = offset % PAGE
        if start + length > PAGE:
            return super().read(offset, length)
        page = self.pages.get(offset - start)
        if page is None:
            return self.base.read(offset, length)
        return bytes(page[start : start + length])

    def local_file(self, start: int, end: int, /) -> FileSource | None:
        """Return the local file that holds a range just as it reads; None when there is none."""
        is_changed = next(iter(self._changed(start, end)), None) is not None
        return None if is_changed else self.base.local_file(start, end)

    def data_start(self, offset: int, end: int, /) -> int:
        """Return where the first data of a range may be, which is not read for that."""
        return min([self.base.data_start(offset, end), *self._changed(offset, end)])

    def status(self) -> os.stat_result | None:
        """Return what the system says of the file below."""
        return self.base.status()

    def _changed(self, start: int, end: int) -> list[int]:
        """Return the file offsets of the pages that have some of a range, but none before it."""
        first = start - start % PAGE
        if end - first <= PAGE * len(self.pages):
            found = (at for at in range(first, end, PAGE) if at in self.pages)
        else:
            found = (at for at in list(self.pages) if first <= at < end)
        return [max(at, start) for at in found]

    def _fill(self, buffer: memoryview, offset: int) -> None:
        end = offset + len(buffer)
        pages = [(at, self.pages.get(at - at % PAGE)) for at in self._changed(offset, end)]
        self.base.readinto(buffer, offset)
        for at, page in pages:
            if page is not None:
                stop = min(at - at % PAGE + PAGE, end)
                buffer[at - offset : stop - offset] = page[at % PAGE : at % PAGE + stop - at]
