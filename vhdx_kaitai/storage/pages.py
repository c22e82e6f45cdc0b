"""Pages of a file that is slow to ask, the least recently used of which go first.

Each request costs the way there and back, whatever its length. So pages that are asked
for together are fetched together, with what little is between them; what follows is
fetched while a reader who goes straight on is busy with what came before; and two
threads that want the same page fetch it once.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import TypeAlias

from ..units import KIB, MIB, ceil_div

PAGE = 64 * KIB
KEPT_PAGES = 512  # 32 MiB

# What is between two ranges is fetched with them, up to that; a request is not longer.
_GAP = MIB
_MOST_AT_ONCE = 8 * MIB

# How much of what follows is fetched at most before anybody asks for it.
_MOST_AHEAD = 16 * MIB
_SURE = 2  # steps straight on, after which there will be more
_AHEAD = "pages ahead"  # the name of threads

# Fetches the bytes from a file offset to another, neither more nor fewer.
Fetch: TypeAlias = Callable[[int, int], bytes]

_Claimed: TypeAlias = dict[int, "Future[bytes]"]


class Pages:
    """The bytes of a file, by page; safe to be used by many threads.

    Args:
        size: Length of the file in bytes.
        fetch: Fetches some of them. Several threads may call it at once.
    """

    def __init__(self, size: int, fetch: Fetch) -> None:
        self._size = size
        self._fetch = fetch
        self._pages: OrderedDict[int, Future[bytes]] = OrderedDict()
        self._lock = threading.Lock()
        # Of whoever goes straight on: where that is, for how many reads; how far ahead pages are
        # fetched, and up to where.
        self._position = -4 * _MOST_AT_ONCE
        self._steps = self._ahead = self._front = 0

    def fill(self, view: memoryview, offset: int) -> None:
        """Fill a buffer with the bytes from a file offset on, which are in the file."""
        start, end = offset, offset + len(view)
        while start < end:
            stop = min(end, start - start % _MOST_AT_ONCE + _MOST_AT_ONCE)
            pages, own = self._claim(range(start // PAGE, ceil_div(stop, PAGE)))
            try:
                self._go_ahead(start, stop, is_missed=bool(own))
            finally:  # others may be waiting for what is claimed
                self._fetch_pages(own)
            for number, page in pages.items():
                _copy(page.result(), number * PAGE, view, offset)
            start = stop

    def prefetch(self, start: int, end: int) -> None:
        """Fetch what is not there yet of a range that is about to be read."""
        _, own = self._claim(range(start // PAGE, ceil_div(min(end, self._size), PAGE)))
        self._fetch_pages(own)

    def keep(self, data: bytes) -> None:
        """Keep the first bytes of the file, which somebody has fetched already."""
        count = len(data) // PAGE if len(data) < self._size else ceil_div(self._size, PAGE)
        for number in range(count):
            page: Future[bytes] = Future()
            self._pages[number] = page
            page.set_result(data[number * PAGE : (number + 1) * PAGE])

    def _claim(self, numbers: Iterable[int]) -> tuple[_Claimed, _Claimed]:
        """Return pages by their numbers, and those of them that the caller has to fetch."""
        pages: _Claimed = {}
        own: _Claimed = {}
        with self._lock:
            for number in numbers:
                page = self._pages.get(number)
                if page is None:
                    page = own[number] = self._pages[number] = Future()
                else:
                    self._pages.move_to_end(number)
                pages[number] = page
            while len(self._pages) > KEPT_PAGES:
                self._pages.popitem(last=False)
        return pages, own

    def _go_ahead(self, start: int, end: int, *, is_missed: bool) -> None:
        """Begin to fetch what follows a range, the more the longer somebody goes straight on.

        Args:
            start: File offset of the range, which is being read.
            end: File offset after it.
            is_missed: Whether any of it was not there. What was announced and is there has
                nothing after it that will be read.
        """
        length = end - start
        with self._lock:
            goes_on = abs(start - self._position) <= 2 * length  # two may take turns
            self._position = end
            self._steps = self._steps + 1 if goes_on else 0
            if not goes_on:
                self._ahead = self._front = 0
            if self._steps < _SURE or not (is_missed or self._ahead):
                return
            if self._front - end > self._ahead // 2:
                return
            self._ahead = min(max(2 * self._ahead, length, PAGE), _MOST_AHEAD)
            first = ceil_div(max(self._front, end), PAGE)
            self._front = min(end + self._ahead, self._size)
            numbers = range(first, ceil_div(self._front, PAGE))
        _, own = self._claim(numbers)
        if own:
            try:
                threading.Thread(None, self._try_to_fetch, _AHEAD, (own,), daemon=True).start()
            except RuntimeError:  # there are too many
                self._try_to_fetch(own)

    def _try_to_fetch(self, own: _Claimed) -> None:
        """Fetch pages; whoever asks for one of them meanwhile hears of an error."""
        with contextlib.suppress(Exception):
            self._fetch_pages(own)

    def _fetch_pages(self, own: _Claimed) -> None:
        """Fetch pages for which others may be waiting already."""
        try:
            for first, end in _runs(own):
                data = self._fetch(first * PAGE, min(end * PAGE, self._size))
                for number in range(first, end):
                    if number in own:
                        at = (number - first) * PAGE
                        own[number].set_result(data[at : at + PAGE])
        except BaseException as error:
            with self._lock:
                for number, page in own.items():
                    if not page.done():
                        page.set_exception(error)
                        if self._pages.get(number) is page:
                            del self._pages[number]
            raise


def _copy(data: bytes, start: int, view: memoryview, offset: int) -> None:
    """Copy what two ranges of a file have in common.

    Args:
        data: The bytes of the one.
        start: Its file offset.
        view: A buffer for those of the other.
        offset: Its file offset.
    """
    low, high = max(offset, start), min(offset + len(view), start + len(data))
    view[low - offset : high - offset] = data[low - start : high - start]


def _runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield ranges of pages that have all of some in order, each to be fetched at once."""
    first = end = 0
    for number in numbers:
        is_near = (number - end) * PAGE <= _GAP and (number + 1 - first) * PAGE <= _MOST_AT_ONCE
        if first < end and not is_near:
            yield first, end
            first = end
        if first == end:
            first = number
        end = number + 1
    if first < end:
        yield first, end
