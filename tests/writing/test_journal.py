"""Pages get into their places whole: what an entry of the log promises holds wherever one stops.

That the order of writes is right is shown by the machine that cuts the power; here it is what
the log consists of.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.crash.recorder import Event, Faulty, Flush, Recorder, Write
from tests.crash.replaying import HEADERS, NO_GUID, Stored
from tests.images.bases import base_dynamic
from tests.images.structures import KIB, MIB
from tests.support import good, read_headers
from vhdx_kaitai.errors import FailedError, LimitError, UnsupportedError
from vhdx_kaitai.format.log import JudgedEntry
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.writing.journal import MOST_PAGES, Journal, Page, refuse_without_log
from vhdx_kaitai.writing.session import Session

PAGE = 4 * KIB
BAT = 3 * MIB


def started(file: Recorder) -> Journal:
    session = Session(file, read_headers(file))
    session.begin()
    return Journal(session)


@pytest.fixture
def file() -> Recorder:
    return Recorder(good("dynamic-plain").to_bytes())


def page(number: int, at: int = 0) -> Page:
    """A page of the BAT's region past its entries, where there may be anything."""
    return Page(BAT + (1 + at) * PAGE, number.to_bytes(8, "little") * (PAGE // 8))


def writes(events: list[Event]) -> Iterator[str]:
    """What was done, by where."""
    for event in events:
        if isinstance(event, Flush):
            yield "flush"
        elif isinstance(event, Write):
            place = event.offset
            yield "header" if place in HEADERS else "log" if MIB <= place < 2 * MIB else "page"


def sequence_of(data: bytes | bytearray) -> tuple[JudgedEntry, ...]:
    replayed = Image(bytes(data)).replayed
    assert replayed is not None
    return replayed.entries


def test_the_first_entry_is_on_the_medium_before_a_header_names_it(file: Recorder) -> None:
    journal = started(file)
    first = len(file.events)
    journal.write([page(1)], file.size)
    order = list(writes(file.events[first:]))
    assert order == ["log", "flush", "header", "flush", "header"]
    second = len(file.events)
    journal.write([page(2), page(3, at=1)], file.size)
    assert list(writes(file.events[second:])) == ["log", "flush"]


def test_pages_that_wait_get_into_their_places_together(file: Recorder) -> None:
    journal = started(file)
    journal.write([page(1), page(2, at=1), page(3, at=3)], file.size)
    journal.write([page(4)], file.size)
    first = len(file.events)
    journal.place()
    written = [event for event in file.events[first:] if isinstance(event, Write)]
    together = page(4).data + page(2).data
    assert [(event.offset, event.data) for event in written] == [
        (page(4).offset, together),
        (page(3, at=3).offset, page(3).data),
    ]
    journal.place()
    assert len(file.events) == first + 2


def test_a_reader_finds_the_pages_in_the_log_and_then_in_their_places(file: Recorder) -> None:
    journal = started(file)
    for number in range(1, 4):
        pages = [page(number), page(number + 100, at=2)]
        journal.write(pages, file.size)
        image = Image(bytes(file.data))
        assert [image.source.read(wanted.offset, PAGE) for wanted in pages] == [
            wanted.data for wanted in pages
        ]
        journal.place()
        assert [file.read(wanted.offset, PAGE) for wanted in pages] == [
            wanted.data for wanted in pages
        ]


def test_an_entry_needs_the_one_before_until_its_pages_are_there_for_certain(
    file: Recorder,
) -> None:
    journal = started(file)
    numbers = []
    for number in range(1, 6):
        journal.write([page(number)], file.size)
        journal.place()
        numbers.append([entry.header.sequence_number for entry in sequence_of(file.data)])
    # The flush that brings an entry to the medium is the one after the pages of the last.
    assert numbers == [[1], [1, 2], [2, 3], [3, 4], [4, 5]]


def test_an_entry_is_needed_as_long_as_its_pages_wait(file: Recorder) -> None:
    journal = started(file)
    for number in range(1, 6):
        journal.write([page(number)], file.size)
    assert [entry.header.sequence_number for entry in sequence_of(file.data)] == [1, 2, 3, 4, 5]
    journal.place()
    journal.flush()
    journal.write([page(6)], file.size)
    assert [entry.header.sequence_number for entry in sequence_of(file.data)] == [6]


def test_it_is_time_to_place_pages_when_half_of_the_ring_is_needed(file: Recorder) -> None:
    journal = started(file)
    count = 0
    while not journal.is_half_full:
        journal.write([page(count)], file.size)
        count += 1
    assert count == MIB // 2 // (2 * PAGE) + 1


@pytest.mark.parametrize("count", [1, 30, MOST_PAGES])
def test_the_ring_is_used_again_and_again(file: Recorder, count: int) -> None:
    journal = started(file)
    places = set()
    for number in range(1, 2000 // count):
        pages = [page(number * 1000 + at, at) for at in range(count)]
        journal.write(pages, file.size)
        if number % 7 == 0:
            entries = sequence_of(file.data)
            places.add(entries[-1].offset)
            image = Image(bytes(file.data))
            assert [image.source.read(p.offset, PAGE) for p in pages] == [p.data for p in pages]
            for one, two in pairwise(entries):
                assert (one.offset + one.header.entry_length - two.offset) % MIB == 0
    assert len(places) > 1 or count == MOST_PAGES


def test_more_pages_than_the_ring_holds_get_there_in_beginnings(file: Recorder) -> None:
    data = file.data + bytes(5 * MIB)
    file = Recorder(data)
    journal = started(file)
    first = len(file.events)
    pages = [page(number, at=number) for number in range(1000)]
    journal.write(pages, file.size)
    journal.place()
    assert [file.read(p.offset, PAGE) for p in pages] == [p.data for p in pages]
    placed = [e for e in file.events[first:] if isinstance(e, Write) and e.offset >= BAT]
    ends = [event.offset + len(event.data) for event in placed]
    assert [event.offset for event in placed] == [pages[0].offset, *ends[:-1]]
    lengths = [e.header.entry_length for e in sequence_of(file.data)]
    assert max(lengths) <= MIB // 2


def test_lengths_are_those_that_are_certain_and_those_that_are_needed(file: Recorder) -> None:
    journal = started(file)
    before = file.size
    file.set_length(before + 3 * MIB)
    journal.write([page(1)], file.size)
    head = sequence_of(file.data)[-1].header
    assert (head.flushed_file_offset, head.last_file_offset) == (before, before + 3 * MIB)
    journal.write([page(2)], file.size)
    head = sequence_of(file.data)[-1].header
    assert (head.flushed_file_offset, head.last_file_offset) == (file.size, file.size)


def test_the_headers_say_that_the_log_has_entries(file: Recorder) -> None:
    journal = started(file)
    has_begun = journal.has_begun
    assert not has_begun
    assert {Stored(file.data, copy).log_guid for copy in (1, 2)} == {NO_GUID}
    journal.write([page(1)], file.size)
    assert journal.has_begun
    guids = {Stored(file.data, copy).log_guid for copy in (1, 2)}
    assert len(guids) == 1
    assert NO_GUID not in guids


def test_a_file_without_a_log_is_refused() -> None:
    header = read_headers(Recorder(good("log-length-0").to_bytes())).current
    with pytest.raises(UnsupportedError, match="has no log"):
        refuse_without_log(header, 8 * MIB)


def test_a_log_that_nobody_would_replay_is_refused() -> None:
    header = read_headers(Recorder(base_dynamic().layout().build().to_bytes())).current
    long = header._replace(log_length=1025 * MIB)
    with pytest.raises(LimitError, match="HDR-18"):
        refuse_without_log(long, 2048 * MIB)


@pytest.mark.parametrize("after", range(8))
def test_nothing_more_is_logged_after_a_failure(after: int) -> None:
    data = good("dynamic-plain").to_bytes()
    whole = Recorder(data)
    journal = started(whole)
    begun = len(whole.events)
    journal.write([page(1)], whole.size)
    journal.place()
    journal.write([page(2)], whole.size)
    error = OSError(errno.EIO, "no")
    file = Faulty(data, begun + after, error)
    journal = started(file)
    with pytest.raises(OSError, match="no") as raised:  # noqa: PT012 - which of them it is depends
        journal.write([page(1)], file.size)
        journal.place()
        journal.write([page(2)], file.size)
    assert raised.value is error
    with pytest.raises(FailedError):
        journal.write([page(3)], file.size)
    assert file.calls_after == 0
