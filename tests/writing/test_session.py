"""Headers are updated by the letter, and after a failure nothing more is written."""

from __future__ import annotations

import errno
from dataclasses import replace
from uuid import UUID

import pytest

from tests.crash.recorder import Event, Faulty, Recorder, Write
from tests.crash.replaying import HEADERS, NO_GUID, Stored
from tests.images.bases import base_dynamic
from tests.images.structures import KIB, MIB
from tests.support import good, read_headers
from vhdx_kaitai.errors import FailedError, FormatError
from vhdx_kaitai.writing.session import Session


def session_of(file: Recorder) -> Session:
    return Session(file, read_headers(file))


def begin_and_end(session: Session) -> None:
    session.begin()
    session.end()


def kinds(events: list[Event]) -> list[str]:
    """Return what was done, headers by the number of their copy."""
    names = {place: f"header {copy}" for copy, place in enumerate(HEADERS, 1)}
    return [
        names.get(event.offset, "write") if isinstance(event, Write) else type(event).__name__
        for event in events
    ]


@pytest.mark.parametrize("newer", [1, 2])
def test_a_session_begins_and_ends_with_both_headers_one_after_the_other(newer: int) -> None:
    """The one that is not current comes first."""
    layout = base_dynamic().layout()
    layout.headers = [
        replace(header, sequence_number=7 + (copy == newer))
        for copy, header in enumerate(layout.headers, 1)
    ]
    file = Recorder(layout.build().to_bytes())
    session = session_of(file)
    older = 3 - newer
    session.begin()
    begin = [f"header {older}", "Flush", f"header {newer}"]
    # Nobody knows whether the current header, which stays until then, is on the medium.
    assert kinds(file.events) == ["Flush", *begin]
    session.end()
    assert kinds(file.events) == ["Flush", *begin, "Flush", *begin, "Flush"]
    assert [Stored(file.data, copy).number for copy in (older, newer)] == [11, 12]


def test_a_session_has_a_file_write_guid_of_its_own() -> None:
    file = Recorder(good("dirty-everything").to_bytes())
    before = Stored(file.data, 1)
    guids = {before.file_write_guid}
    for _ in range(2):
        session = session_of(file)
        session.begin()
        for copy in (1, 2):
            now = Stored(file.data, copy)
            assert (now.log_guid, now.data_write_guid) == (before.log_guid, before.data_write_guid)
            assert now.rest == before.rest
            guids.add(now.file_write_guid)
        session.end()
        assert all(Stored(file.data, copy).log_guid == NO_GUID for copy in (1, 2))
        before = Stored(file.data, 1)
    assert len(guids) == 3


@pytest.mark.parametrize("lost", [1, 2])
def test_headers_are_made_of_the_current_one(lost: int) -> None:
    """QEMU makes them of what stands in the place of the other one, right or wrong."""
    data = bytearray(good("dynamic-plain").to_bytes())
    kept = Stored(data, 3 - lost)
    place = HEADERS[lost - 1]
    data[place : place + 4 * KIB] = b"j" * 4 * KIB
    file = Recorder(data)
    session_of(file).begin()
    for copy in (1, 2):
        now = Stored(file.data, copy)
        assert (now.data_write_guid, now.rest) == (kept.data_write_guid, kept.rest)
    assert read_headers(file).copies[lost - 1].is_valid


def test_what_is_reserved_is_written_as_zeros() -> None:
    layout = base_dynamic().layout()
    layout.set_headers(reserved=b"r" * 4016)
    file = Recorder(layout.build().to_bytes())
    session_of(file).begin()
    assert not any(file.read(HEADERS[0] + 80, 4016))
    assert not any(file.read(HEADERS[1] + 80, 4016))


@pytest.mark.parametrize("left", [0, 7, 8])
def test_a_session_begins_only_when_there_are_numbers_to_end_it(left: int) -> None:
    """A number that has come to its end would leave the log dirty for ever."""
    layout = base_dynamic().layout()
    one, two = layout.headers
    number = 2**64 - 1 - left
    layout.headers = [
        replace(one, sequence_number=number - 1),
        replace(two, sequence_number=number),
    ]
    file = Recorder(layout.build().to_bytes())
    session = session_of(file)
    if left == 8:
        session.begin()
        session.end()
        session.begin_log(UUID(int=5))
        session.end()
        assert max(Stored(file.data, copy).number for copy in (1, 2)) == 2**64 - 1
        return
    with pytest.raises(FormatError, match="SequenceNumber") as caught:
        session.begin()
    assert caught.value.finding.rule == "HDR-28"
    assert file.events == []


# -- failure --------------------------------------------------------------------------------------

ERRORS = [OSError(errno.ENOSPC, "full"), OSError(errno.EIO, "broken"), KeyboardInterrupt()]


@pytest.mark.parametrize("error", ERRORS, ids=["ENOSPC", "EIO", "interrupt"])
@pytest.mark.parametrize("fails_at", range(7))
def test_after_a_failure_nothing_more_is_written(fails_at: int, error: BaseException) -> None:
    file = Faulty(good("dynamic-plain").to_bytes(), fails_at, error)
    session = session_of(file)
    with pytest.raises(type(error)) as caught:
        begin_and_end(session)
    assert caught.value is error
    for call in (
        session.begin,
        session.end,
        session.flush,
        lambda: session.write(b"a", 0),
        lambda: session.zero(0, 1),
        lambda: session.set_length(0),
    ):
        with pytest.raises(FailedError, match="nothing more is written"):
            call()
    assert file.calls_after == 0


def test_what_a_reader_would_refuse_is_not_written() -> None:
    """Headers that fit the file when it was opened, and do not any more."""
    file = Recorder(good("dynamic-plain").to_bytes())
    session = session_of(file)
    file.set_length(MIB)  # the log lies past it
    with pytest.raises(FormatError, match="end of log") as caught:
        session.begin()
    assert caught.value.finding.rule == "HDR-13"
    assert [event for event in file.events if isinstance(event, Write)] == []
