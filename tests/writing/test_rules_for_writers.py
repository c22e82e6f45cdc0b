"""What the format demands of writers, held against everything that a session does to a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.crash.recorder import Event, Flush, Length, Recorder, Write, apply
from tests.crash.replaying import HEADERS, NO_GUID, Stored
from tests.images.goods import GOODS
from tests.images.image import Block, Image, differencing, dynamic, fixed, partial
from tests.images.structures import KIB, MIB, NOT_PRESENT, UNMAPPED
from tests.support import good
from tests.writing.writing_fixtures import BLOCK, Case, parent
from vhdx_kaitai.reading.image import Image as Opened
from vhdx_kaitai.writing.disk import WritableDisk

PAGE = 4 * KIB
LOG = range(MIB, 2 * MIB)


class Session(NamedTuple):
    """A whole session: the image, what was in the file before, and what was done."""

    image: Image
    before: bytes
    events: list[Event]
    payload: bytes


def session_of(name: str) -> Session:
    """Write all over a disk, with flushes, zeros and discards, and close it."""
    above = parent(6 * BLOCK)
    blocks = {0: Block(), 1: Block(UNMAPPED), 2: partial(3) if name == "child" else Block()}
    makers = {
        "dynamic": lambda: dynamic(6 * BLOCK, blocks=blocks),
        "child": lambda: differencing(parent=above, blocks=blocks),
        "fixed": lambda: fixed(6 * BLOCK),
    }
    image = makers[name]()
    case = Case(image, *([above] if name == "child" else []))
    payload = bytes(range(1, 256)) * 40
    for step in range(30):
        case.disk.pwrite(payload, step * 123_457 % (5 * BLOCK))
        if step % 3 == 0:
            case.disk.flush()
        if step % 7 == 0:
            case.disk.discard(step % 6 * BLOCK, BLOCK)
        if step % 11 == 0:
            case.disk.zero(step % 5 * BLOCK + 100, BLOCK)
    case.disk.close()
    return Session(image, case.before, case.file.events, payload)


NAMES = ("dynamic", "child", "fixed")


@pytest.fixture(scope="module", params=NAMES)
def session(request: pytest.FixtureRequest) -> Session:
    """A session of each kind of disk."""
    return session_of(str(request.param))


def writes(session: Session) -> Iterator[tuple[int, Write]]:
    """Each write with its number among the events."""
    return ((n, event) for n, event in enumerate(session.events) if isinstance(event, Write))


def metadata_of(session: Session) -> list[range]:
    """Where region tables, metadata, BAT and sector bitmaps are at the end."""
    layout = session.image.layout()
    known = [(192 * KIB, 128 * KIB), (layout.metadata_offset, MIB)]
    known.append((layout.bat_offset, layout.bat_length))
    found = [range(start, start + length) for start, length in known]
    if session.image.has_parent:
        data = bytearray(session.before)
        for event in session.events:
            apply(data, event)
        index = session.image.geometry.bitmap_index(0)
        at = layout.bat_offset + 8 * index
        place = int.from_bytes(data[at : at + 8], "little") & ~(MIB - 1)
        found.append(range(place, place + MIB))
    return found


def logged_pages(session: Session) -> Iterator[tuple[int, int, bytes]]:
    """What entries of the log say, read out of what was written: when, where to, and a page."""
    ring = bytearray(MIB)
    for number, event in writes(session):
        if event.offset not in LOG:
            continue
        at = event.offset - MIB
        ring[at : at + len(event.data)] = event.data
        entry = event.data
        if entry[:4] != b"loge":
            continue
        count = int.from_bytes(entry[24:28], "little")
        for index in range(count):
            descriptor = entry[64 + 32 * index :][:32]
            assert descriptor[:4] == b"desc"
            sector = entry[PAGE * (1 + index) :][:PAGE]
            assert sector[:4] == b"data"
            offset = int.from_bytes(descriptor[16:24], "little")
            yield number, offset, descriptor[8:16] + sector[8:4092] + descriptor[4:8]


def flushed_after(session: Session, number: int) -> int:
    """The number of the flush after an event."""
    return next(
        n for n, event in enumerate(session.events) if n > number and isinstance(event, Flush)
    )


def test_metadata_changes_by_pages_that_the_log_had_before_and_that_were_flushed(
    session: Session,
) -> None:
    logged: dict[tuple[int, bytes], int] = {}
    for number, offset, page in logged_pages(session):
        logged.setdefault((offset, page), flushed_after(session, number))
    found = 0
    places = metadata_of(session)
    data = bytearray(session.before)
    for number, event in enumerate(session.events):
        if isinstance(event, Write) and any(event.offset in place for place in places):
            if len(event.data) > PAGE:  # a new sector bitmap in space that was used is made zeros
                assert not any(event.data)
                continue
            found += 1
            assert len(event.data) == PAGE
            assert event.offset % PAGE == 0
            assert logged[event.offset, event.data] < number
        apply(data, event)
    assert found or session.image.disk_type == "fixed"


def test_the_first_64_kib_are_never_written_to(session: Session) -> None:
    assert all(event.offset >= 64 * KIB for _, event in writes(session))
    assert all(event.length > 64 * KIB for event in session.events if isinstance(event, Length))


def test_payload_is_never_in_the_log(session: Session) -> None:
    sample = session.payload[:64]
    in_log = b"".join(event.data for _, event in writes(session) if event.offset in LOG)
    assert sample not in in_log
    assert any(sample in event.data for _, event in writes(session))


def test_a_new_data_write_guid_comes_before_what_a_reader_may_see(session: Session) -> None:
    before = Stored(session.before, 1).data_write_guid
    data = bytearray(session.before)
    for event in session.events:
        if isinstance(event, Write) and event.offset not in HEADERS:
            current = max((Stored(data, copy) for copy in (1, 2)), key=lambda header: header.number)
            assert current.data_write_guid != before
            break
        apply(data, event)
    for event in session.events:
        apply(data, event)
    guids = {Stored(data, copy).data_write_guid for copy in (1, 2)}
    assert len(guids) == 1
    assert guids != {before}


def test_the_log_has_a_guid_of_its_own_from_its_first_entry_on(session: Session) -> None:
    """Entries bear a new one; the header names it when the first is there, and zero at the end."""
    guids = {event.data[32:48] for _, event in writes(session) if event.data[:4] == b"loge"}
    assert len(guids) <= 1
    old = {session.before[at + 32 : at + 48] for at in range(MIB, 2 * MIB, PAGE)}
    assert not guids & {*old, NO_GUID.bytes_le}
    named = [
        event.data[48:64]
        for _, event in writes(session)
        if event.offset in HEADERS and event.data[48:64] != NO_GUID.bytes_le
    ]
    assert set(named) == guids
    last = [event.data[48:64] for _, event in writes(session) if event.offset in HEADERS][-2:]
    assert last == [NO_GUID.bytes_le] * 2


def test_lengths_in_the_log_are_true_and_as_tight_as_may_be(session: Session) -> None:
    size, flushed = len(session.before), 0
    for event in session.events:
        if isinstance(event, Flush):
            flushed = size
        elif isinstance(event, Length):
            size = event.length
        elif isinstance(event, Write):
            size = max(size, event.offset + len(event.data))
            if event.data[:4] == b"loge":
                stated = [int.from_bytes(event.data[at : at + 8], "little") for at in (48, 56)]
                assert stated == [flushed // MIB * MIB, size]


def test_the_file_gets_shorter_only_when_the_log_is_clean(session: Session) -> None:
    data = bytearray(session.before)
    for event in session.events:
        if isinstance(event, Length) and event.length < len(data):
            assert {Stored(data, copy).log_guid for copy in (1, 2)} == {NO_GUID}
        apply(data, event)
    assert len(data) >= len(session.before)


def test_log_space_is_used_again_when_the_entries_there_are_not_needed() -> None:
    """Of what is on the medium, the tail of the newest entry says from where on they are."""
    case = Case(dynamic(6 * BLOCK, blocks={n: Block() for n in range(6)}))
    needed: set[int] = set()
    newest = tail = end = 0
    for step in range(700):
        case.disk.zero(step % 6 * BLOCK, BLOCK)
        case.disk.pwrite(b"x", step % 6 * BLOCK)
        first = len(case.file.events)
        case.disk.flush()
        for event in case.file.events[first:]:
            if isinstance(event, Flush) and newest:
                needed = {at % MIB for at in range(tail, end if end > tail else end + MIB, PAGE)}
            if isinstance(event, Write) and event.offset in LOG and event.data[:4] == b"loge":
                start = event.offset - MIB
                own = {(start + at) % MIB for at in range(0, len(event.data), PAGE)}
                assert not own & needed
                fields = [int.from_bytes(event.data[at : at + 4], "little") for at in (8, 12, 16)]
                length, tail, newest = fields
                end = (start + length) % MIB
    assert newest > MIB // (2 * PAGE)  # all around the ring


def test_a_fixed_disk_keeps_all_its_blocks_and_its_length() -> None:
    case = Case(fixed(4 * BLOCK))
    entries = case.file.data[case.bat_offset : case.bat_offset + 64]
    case.disk.discard(0, 4 * BLOCK)
    case.disk.zero(0, 4 * BLOCK)
    case.disk.pwrite(b"x" * BLOCK, BLOCK // 2)
    case.disk.close()
    assert case.file.data[case.bat_offset : case.bat_offset + 64] == entries
    assert case.file.size == len(case.before)


def test_no_block_of_a_disk_goes_back_to_not_present(session: Session) -> None:
    count = session.image.geometry.entry_count
    start = session.image.layout().bat_offset
    data = bytearray(session.before)
    for event in session.events:
        before = data[start : start + 8 * count]
        apply(data, event)
        for at in range(0, 8 * count, 8):
            if before[at] & 7 != NOT_PRESENT:
                assert data[start + at] & 7 != NOT_PRESENT


@pytest.mark.parametrize("name", ["unknown-region-optional", "items-of-all-kinds"])
def test_what_nobody_here_knows_stays_as_it_is(name: str) -> None:
    built = good(name)
    assert name in GOODS
    file = Recorder(built.to_bytes())
    with WritableDisk([Opened(file)]) as disk:
        for block in range(disk.size // disk.block_size):
            disk.pwrite(b"#" * disk.block_size, block * disk.block_size)
    layout = built.layout
    kept = [(layout.metadata_offset, MIB)]
    kept += [(e.file_offset, e.length) for e in layout.region_tables[0].entries[2:]]
    for start, length in kept:
        assert file.data[start : start + length] == built.to_bytes()[start : start + length]
