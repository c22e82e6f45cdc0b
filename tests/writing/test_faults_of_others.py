"""Faults that another engine has, each of which loses data, and none of which is here.

Where a writer with the fault can be made of this one, it fails the same test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

import pytest

from tests.crash.disks import garbage
from tests.crash.recorder import Event, Flush, Recorder, Write, Zero, applied
from tests.crash.replaying import HEADERS, NO_GUID, Stored
from tests.crash.writer_mutants import MUTANTS
from tests.images.dirty import dirty
from tests.images.image import Block, Built, Region, dynamic
from tests.images.structures import (
    FULLY_PRESENT,
    GIB,
    MIB,
    NOT_PRESENT,
    PARTIALLY_PRESENT,
    UNMAPPED,
    ZERO,
)
from tests.writing.writing_fixtures import BLOCK, PLACE, SECTOR, STATE, Case, child, lone, parent
from vhdx_kaitai.errors import FormatError, VhdxError
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.writing.disk import WritableDisk

UNKNOWN = UUID(int=81)


def reopened(case: Case, *parents: Built) -> None:
    """Close the disk and open it again, over the same file."""
    case.disk.close()
    case.disk = WritableDisk([Image(case.file), *(Image(above.to_bytes()) for above in parents)])


def index_of(events: Sequence[Event], start: int, end: int, *, first: int = 0) -> int:
    """The number of the first event that writes into a range of the file."""
    return next(
        number
        for number, event in enumerate(events)
        if number >= first
        and isinstance(event, Write | Zero)
        and event.offset < end
        and start < event.end
    )


def is_flushed_between(events: Sequence[Event], first: int, last: int) -> bool:
    return any(isinstance(event, Flush) for event in events[first:last])


def log_of(case: Case) -> tuple[int, int]:
    """Where the log begins and ends."""
    header = case.disk.image.headers.current
    return header.log_offset, header.log_offset + header.log_length


def test_the_bytes_that_a_block_had_are_not_seen_in_another_after_reopening() -> None:
    """Space inside the file is no zeros only because nothing refers to it."""
    case = lone({0: Block(), 1: Block()})
    place = case.entry(0) & PLACE
    case.write(b"secret" * 100, 700)
    case.disk.discard(0, BLOCK)
    case.held[:BLOCK] = bytes(BLOCK)
    reopened(case)
    case.write(b"x", 2 * BLOCK + 5)
    assert case.entry(2) & PLACE == place
    reopened(case)
    case.assert_held()


def test_bits_from_before_a_discard_show_nothing() -> None:
    above, stale = parent(), ((0, 900),)
    blocks = {0: Block(PARTIALLY_PRESENT, present=stale), 1: Block(NOT_PRESENT, present=stale)}
    case = child(blocks, above=above)
    case.disk.discard(0, BLOCK)
    case.held[:BLOCK] = bytes(BLOCK)
    for block in (0, 1):
        case.write(b"x" * SECTOR, block * BLOCK + 5 * SECTOR)
    assert case.entry(0) & STATE == FULLY_PRESENT
    assert case.entry(1) & STATE == PARTIALLY_PRESENT
    assert case.bits(1).count("1") == 1
    reopened(case, above)
    case.assert_held()


def test_no_page_is_in_place_before_its_log_entry_is_on_the_medium() -> None:
    case = lone({0: Block()})
    case.write(b"x", BLOCK)
    case.disk.flush()
    start = len(case.file.events)
    case.write(b"x", 2 * BLOCK)
    case.disk.close()  # when no page waits any more
    events = case.file.events
    entry = index_of(events, *log_of(case), first=start)
    page = index_of(events, case.bat_offset, case.bat_offset + MIB, first=start)
    assert entry < page
    assert is_flushed_between(events, entry, page)


def test_no_entry_is_on_the_medium_before_the_zeros_around_its_payload() -> None:
    case = lone({0: Block(), 1: Block(UNMAPPED, 7 * MIB)}, file_length=8 * MIB)
    case.file.data[7 * MIB : 8 * MIB] = garbage(MIB, 1)
    case.write(b"x", BLOCK + 5000)
    case.disk.flush()
    events = case.file.events
    payload = [
        number
        for number, event in enumerate(events)
        if isinstance(event, Write | Zero) and event.offset >= 7 * MIB
    ]
    entry = index_of(events, *log_of(case))
    assert sum(event.length for n in payload if isinstance(event := events[n], Zero)) >= MIB - 1
    assert is_flushed_between(events, payload[-1], entry)


def test_last_file_offset_grows_with_the_file() -> None:
    case = lone({0: Block()})
    ends = []
    for block in (1, 2, 3):
        first = len(case.file.events)
        case.write(b"x", block * BLOCK)
        case.disk.flush()
        entry = case.file.events[index_of(case.file.events, *log_of(case), first=first)]
        assert isinstance(entry, Write)
        assert entry.data[:4] == b"loge"
        last_file_offset = int.from_bytes(entry.data[56:64], "little")
        ends.append(case.entry(block) & PLACE)
        assert last_file_offset == ends[-1] + BLOCK == case.file.size
    assert len(set(ends)) == 3


def test_a_full_ring_is_not_taken_for_an_empty_one() -> None:
    """Four entries of half a MiB go into a log of a MiB: after each flush a reader finds them."""
    before = dynamic(200 * GIB, blocks={0: Block()}).build().to_bytes()
    file = Recorder(before)
    disk = WritableDisk([Image(file)])
    disk.zero(0, disk.size)
    disk.flush()
    flushes = [n for n, event in enumerate(file.events) if isinstance(event, Flush)]
    counts = []
    for number in flushes:
        image = Image(applied(before, file.events[:number]))
        counts.append(sum(entry & STATE == ZERO for entry in image.bat.numbers(0, 200 << 10)))
    assert counts == sorted(counts)
    assert len(set(counts)) > 2
    disk.close()


def test_the_file_is_measured_after_the_replay() -> None:
    image = dynamic(6 * MIB, blocks={0: Block(), 1: Block(), 3: Block(data=b"")})
    end = image.layout().payload[3]
    case = Case(dirty(image, file_length=end))
    case.write(b"x", 2 * BLOCK)
    case.write(b"y", 4 * BLOCK)
    places = [case.entry(block) & PLACE for block in (2, 3, 4)]
    assert places == [end + BLOCK, end, end + 2 * BLOCK]
    reopened(case)
    case.assert_held()


def test_no_block_is_placed_into_a_region_that_nobody_knows() -> None:
    data = garbage(MIB, 3)
    region = Region(UNKNOWN, MIB, 6 * MIB, data=data)
    case = lone({0: Block()}, regions=[region], file_length=8 * MIB)
    for block in range(4):
        case.write(b"#" * BLOCK, block * BLOCK)
    places = {case.entry(block) & PLACE for block in range(4)}
    assert 6 * MIB not in places
    assert {5 * MIB, 7 * MIB} <= places
    case.disk.close()
    assert case.file.data[6 * MIB : 7 * MIB] == data


def test_a_replay_begins_with_new_guids_in_both_headers() -> None:
    """The other engine writes one header, after the replay, with the old FileWriteGuid."""
    case = Case(dirty(dynamic(4 * MIB, blocks={0: Block()}), hide=("bat",)))
    before = Stored(case.before, 1).file_write_guid
    case.write(b"x", 0)
    events = case.file.events
    headers = [
        number
        for number, event in enumerate(events)
        if isinstance(event, Write) and event.offset in HEADERS
    ]
    first = index_of(events, case.bat_offset, case.bat_offset + MIB)
    assert headers[1] < first
    assert {event.offset for n in headers[:2] if isinstance(event := events[n], Write)} == set(
        HEADERS
    )
    assert is_flushed_between(events, headers[0], headers[1])
    case.disk.close()
    for copy in (1, 2):
        stored = Stored(case.file.data, copy)
        assert stored.file_write_guid != before
        assert stored.log_guid == NO_GUID


@pytest.mark.parametrize(
    "entry", [3 * MIB | PARTIALLY_PRESENT, FULLY_PRESENT], ids=["partial", "at the start"]
)
def test_what_no_entry_can_mean_is_refused_and_not_guessed(entry: int) -> None:
    """Partially present without a parent, and a block where the identifier is."""
    layout = dynamic(4 * MIB, blocks={0: Block(), 1: Block()}).layout()
    place = entry & PLACE and layout.payload[1]
    layout.patch(layout.bat_offset + 8, (place | entry & STATE).to_bytes(8, "little"))
    file = Recorder(layout.build().to_bytes())
    disk = WritableDisk([Image(file)])
    with pytest.raises(FormatError):
        disk.pwrite(b"x", 0)
    disk.close()
    assert [event for event in file.events if not isinstance(event, Flush)] == []


FAULTY: list[tuple[Callable[[], None], str]] = [
    (
        test_the_bytes_that_a_block_had_are_not_seen_in_another_after_reopening,
        "old space is taken for zeros",
    ),
    (test_bits_from_before_a_discard_show_nothing, "bits from former times stay"),
    (
        test_no_page_is_in_place_before_its_log_entry_is_on_the_medium,
        "pages are in place before their entry is flushed",
    ),
    (
        test_no_entry_is_on_the_medium_before_the_zeros_around_its_payload,
        "no barrier for old space",
    ),
    (test_last_file_offset_grows_with_the_file, "LastFileOffset never grows"),
    (test_a_full_ring_is_not_taken_for_an_empty_one, "a full ring is taken for an empty one"),
    (test_the_file_is_measured_after_the_replay, "the file is measured before the replay"),
    (
        test_no_block_is_placed_into_a_region_that_nobody_knows,
        "unknown regions are free space",
    ),
    (test_a_replay_begins_with_new_guids_in_both_headers, "the FileWriteGuid stays"),
    (test_a_replay_begins_with_new_guids_in_both_headers, "one header alone is updated"),
]


@pytest.mark.parametrize(("test", "mutant"), FAULTY, ids=[mutant for _, mutant in FAULTY])
def test_a_writer_with_the_fault_fails(test: Callable[[], None], mutant: str) -> None:
    with MUTANTS[mutant].make(), pytest.raises((AssertionError, VhdxError)):
        test()
