"""Pages that are fetched together, kept for a while, and fetched once for many threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from random import Random

import pytest

from tests.images.sparse import pattern
from tests.images.structures import KIB, MIB
from vhdx_kaitai.storage import pages
from vhdx_kaitai.storage.pages import PAGE, Pages

SIZE = 40 * MIB + 1000


class Slow:
    """What is fetched from a file, and how often."""

    def __init__(self, size: int = SIZE) -> None:
        self.ranges: list[tuple[int, int]] = []
        self.pages = Pages(size, self.fetch)
        self.error: Exception | None = None

    def fetch(self, start: int, end: int) -> bytes:
        self.ranges.append((start, end))
        if self.error is not None:
            raise self.error
        return pattern(1, start, end - start)

    def news(self) -> list[tuple[int, int]]:
        news, self.ranges = self.ranges, []
        return news

    def wait(self) -> None:
        """Return when nothing is fetched any more."""
        for thread in threading.enumerate():
            if thread.name == pages._AHEAD:
                thread.join(10)

    def read(self, offset: int, length: int) -> None:
        buffer = bytearray(length)
        self.pages.fill(memoryview(buffer), offset)
        assert buffer == pattern(1, offset, length)


def test_a_page_is_fetched_once() -> None:
    slow = Slow()
    slow.read(10, 20)
    slow.read(0, PAGE)
    slow.read(PAGE - 1, 1)
    slow.read(5, 0)
    assert slow.news() == [(0, PAGE)]


def test_the_last_page_ends_where_the_file_does() -> None:
    slow = Slow()
    slow.read(SIZE - 1, 1)
    assert slow.news() == [(40 * MIB, SIZE)]


def test_what_is_between_is_fetched_too_when_it_is_little() -> None:
    slow = Slow()
    slow.read(3 * PAGE, 1)
    slow.pages.prefetch(0, 9 * PAGE)
    assert slow.news() == [(3 * PAGE, 4 * PAGE), (0, 9 * PAGE)]


def test_far_pages_take_a_request_each() -> None:
    slow = Slow()
    slow.pages.prefetch(PAGE, 20 * PAGE)  # more than a MiB
    slow.news()
    slow.pages.prefetch(0, 21 * PAGE)
    assert slow.news() == [(0, PAGE), (20 * PAGE, 21 * PAGE)]


def test_a_range_that_is_about_to_be_read_is_fetched_at_once() -> None:
    slow = Slow()
    slow.pages.prefetch(100 * KIB, 300 * KIB)
    for offset in range(100 * KIB, 300 * KIB, 4 * KIB):
        slow.read(offset, 4 * KIB)
    assert slow.news() == [(PAGE, 5 * PAGE)]
    slow.pages.prefetch(SIZE - 10, SIZE + 10 * MIB)
    slow.pages.prefetch(2 * SIZE, 3 * SIZE)
    assert slow.news() == [(40 * MIB, SIZE)]


def test_what_was_fetched_by_somebody_else_is_kept() -> None:
    slow = Slow()
    slow.pages.keep(pattern(1, 0, 2 * PAGE + 10))  # the third is not whole
    slow.read(0, 2 * PAGE)
    assert slow.news() == []
    slow.read(2 * PAGE, 1)
    assert slow.news() == [(2 * PAGE, 3 * PAGE)]
    small = Slow(100)
    small.pages.keep(pattern(1, 0, 100))
    small.read(0, 100)
    assert small.news() == []


def test_a_long_read_takes_requests_of_bounded_length() -> None:
    slow = Slow(20 * MIB)
    slow.read(100, 20 * MIB - 100)
    slow.wait()
    whole = 8 * MIB
    assert sorted(slow.news()) == [(0, whole), (whole, 2 * whole), (2 * whole, 20 * MIB)]


def test_a_long_read_takes_what_is_there() -> None:
    slow = Slow()
    slow.pages.prefetch(0, 4 * MIB)
    slow.news()
    slow.read(0, 2 * MIB)
    assert slow.news() == []
    slow.read(3 * MIB, 2 * MIB)
    assert slow.news() == [(4 * MIB, 5 * MIB)]


# -- ahead ----------------------------------------------------------------------------------------


def go_straight_on(slow: Slow, start: int, end: int, step: int) -> list[tuple[int, int]]:
    """Read a range step by step, and return what was fetched for that."""
    for offset in range(start, end, step):
        slow.read(offset, min(step, end - offset))
        slow.wait()
    return slow.news()


@pytest.mark.parametrize("step", [4 * KIB, PAGE, MIB, 3 * MIB - 512])
def test_whoever_goes_straight_on_finds_what_follows(step: int) -> None:
    """Each byte is fetched once, by few requests of bounded length."""
    slow = Slow()
    ranges = sorted(go_straight_on(slow, 0, SIZE, step))
    assert ranges[0][0] == 0
    assert ranges[-1][1] == SIZE
    assert all(end == start for (_, end), (start, _) in pairwise(ranges))
    assert max(end - start for start, end in ranges) <= 8 * MIB
    assert len(ranges) <= 16


def test_two_who_take_turns_go_straight_on() -> None:
    slow = Slow()
    order = [number ^ 1 for number in range(40)]  # 1, 0, 3, 2
    for number in order:
        slow.read(number * MIB, MIB)
        slow.wait()
    assert len(slow.news()) <= 16


def test_whoever_jumps_about_gets_no_more_than_he_asked_for() -> None:
    slow = Slow()
    numbers = [(number * 7) % 40 for number in range(40)]
    for number in numbers:
        slow.read(number * MIB, 4 * KIB)
        slow.wait()
    assert slow.news() == [(n * MIB, n * MIB + PAGE) for n in numbers]


def test_what_was_announced_has_nothing_after_it() -> None:
    slow = Slow()
    slow.pages.prefetch(MIB, 3 * MIB)
    assert go_straight_on(slow, MIB, 3 * MIB, 4 * KIB) == [(MIB, 3 * MIB)]


def test_little_is_fetched_for_nothing() -> None:
    """About as much as was read before."""
    slow = Slow()
    for blocks in ([0, 1], [9, 10, 11, 12], [20, 21, 22, 23, 24, 25, 26, 27]):
        ranges = go_straight_on(slow, blocks[0] * MIB, (blocks[-1] + 1) * MIB, MIB)
        assert sum(end - start for start, end in ranges) <= 3 * MIB * len(blocks)


def test_without_threads_all_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    slow = Slow()
    for offset in range(0, 8 * MIB, MIB):
        slow.read(offset, MIB)


def test_an_error_ahead_is_told_to_whoever_comes_there() -> None:
    slow = Slow()
    fetch = slow.fetch

    def fail_far(start: int, end: int) -> bytes:
        if end > 3 * MIB:
            raise OSError("no route")
        return fetch(start, end)

    slow.pages = Pages(SIZE, fail_far)
    for offset in range(0, 2 * MIB, 512 * KIB):
        slow.read(offset, 512 * KIB)
    slow.wait()
    with pytest.raises(OSError, match="no route"):
        slow.read(3 * MIB, 1)


def test_the_least_recently_used_page_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "KEPT_PAGES", 3)
    slow = Slow()
    for number in (0, 10, 20, 0, 30):
        slow.read(number * PAGE, 1)
    slow.news()
    slow.read(0, 1)
    assert slow.news() == []
    slow.read(10 * PAGE, 1)
    assert slow.news() == [(10 * PAGE, 11 * PAGE)]


def test_memory_is_bounded() -> None:
    slow = Slow()
    go_straight_on(slow, 0, 40 * MIB, MIB)
    assert len(slow.pages._pages) == pages.KEPT_PAGES == 512


def test_what_fails_is_tried_again() -> None:
    slow = Slow()
    slow.error = OSError("no route")
    for _ in range(2):
        with pytest.raises(OSError, match="no route"):
            slow.read(0, 1)
    slow.wait()
    slow.error = None
    slow.news()
    slow.read(5 * MIB, 1)
    slow.read(0, 1)
    assert slow.news() == [(5 * MIB, 5 * MIB + PAGE), (0, PAGE)]


def test_threads_that_want_a_page_wait_for_the_one_that_fetches_it() -> None:
    slow = Slow()
    is_asked, may_go = threading.Event(), threading.Event()
    fetch = slow.fetch

    def late(start: int, end: int) -> bytes:
        is_asked.set()
        assert may_go.wait(10)
        return fetch(start, end)

    slow.pages = Pages(SIZE, late)
    with ThreadPoolExecutor(8) as pool:
        reads = [pool.submit(slow.read, 7, 9) for _ in range(8)]
        assert is_asked.wait(10)
        may_go.set()
        for read in reads:
            read.result()
    assert slow.news() == [(0, PAGE)]


def test_all_threads_hear_of_an_error_and_none_waits_for_ever() -> None:
    slow = Slow()
    slow.error = OSError("no route")
    with ThreadPoolExecutor(8) as pool:
        errors = [pool.submit(slow.read, 7, 9).exception() for _ in range(8)]
    assert [str(error) for error in errors] == ["no route"] * 8


def test_many_threads_read_what_is_there() -> None:
    slow = Slow()

    def reads(seed: int) -> None:
        random = Random(seed)
        for _ in range(60):
            offset = random.randrange(SIZE)
            slow.read(offset, min(random.choice((1, 5000, 200 * KIB, 2 * MIB)), SIZE - offset))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(reads, range(8)))
