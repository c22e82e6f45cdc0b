"""Replays that leave out a rule of the order of writes, each of which the machine has to catch.

What a replay does is, in order: flush, a header, flush, the other header, length and updates,
flush, a header without LogGuid, flush, the other header, flush.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple
from uuid import UUID

from tests.images.crc import sealed
from tests.images.image import FILE_WRITE_GUID

from .recorder import Event, Flush, Length, Write
from .replaying import HEADERS, writes_of_headers

Mutation = Callable[[Sequence[Event]], list[Event]]


class Mutant(NamedTuple):
    """A replay with a fault.

    Attributes:
        mutation: Makes it of the events of a right one.
        complaint: What the machine has to say of one of its cuts.
    """

    mutation: Mutation
    complaint: str


class _Steps(NamedTuple):
    begin: list[Event]  # header, flush, header
    updates: list[Event]
    end: list[Event]  # flush, header, flush, header, flush


def _steps(events: Sequence[Event]) -> _Steps:
    headers = writes_of_headers(events)
    assert len(headers) == 4
    begin, end = headers[1] + 1, headers[2] - 1
    return _Steps(list(events[:begin]), list(events[begin:end]), list(events[end:]))


def _without_flush(number: int) -> Mutation:
    def mutation(events: Sequence[Event]) -> list[Event]:
        flushes = [index for index, event in enumerate(events) if isinstance(event, Flush)]
        assert len(flushes) == 5
        return [event for index, event in enumerate(events) if index != flushes[number]]

    return mutation


def _log_cleared_first(events: Sequence[Event]) -> list[Event]:
    begin, updates, end = _steps(events)
    return [*begin, *end, *updates, Flush()]


def _updates_before_headers(events: Sequence[Event]) -> list[Event]:
    begin, updates, end = _steps(events)
    return [*updates, Flush(), *begin, *end]


def _length_last(events: Sequence[Event]) -> list[Event]:
    lengths = [event for event in events if isinstance(event, Length)]
    assert lengths
    # The updates past the old end make the file longer by themselves.
    return [*(event for event in events if not isinstance(event, Length)), *lengths, Flush()]


def _current_header_first(events: Sequence[Event]) -> list[Event]:
    """Write each header over the one that is current, instead of over the other one."""
    return [
        Write(sum(HEADERS) - event.offset, event.data)
        if isinstance(event, Write) and event.offset in HEADERS
        else event
        for event in events
    ]


def _one_header_alone(events: Sequence[Event]) -> list[Event]:
    """Leave the second of each two updates out."""
    left_out = writes_of_headers(events)[1::2]
    return [event for index, event in enumerate(events) if index not in left_out]


def _without_last_update(events: Sequence[Event]) -> list[Event]:
    begin, updates, end = _steps(events)
    return [*begin, *updates[:-1], *end]


def _updates_after_the_last_flush(events: Sequence[Event]) -> list[Event]:
    begin, updates, end = _steps(events)
    return [*begin, *end, *updates]


def _with_guid(place: slice) -> Mutation:
    """Change a GUID in every header that is written, as drawing a new one would."""

    def mutation(events: Sequence[Event]) -> list[Event]:
        return [_changed(event, place, UUID(int=77).bytes_le) for event in events]

    return mutation


def _old_file_write_guid(events: Sequence[Event]) -> list[Event]:
    """Write the GUID that all images of the builder have."""
    return [_changed(event, slice(16, 32), FILE_WRITE_GUID.bytes_le) for event in events]


def _changed(event: Event, place: slice, value: bytes) -> Event:
    if not (isinstance(event, Write) and event.offset in HEADERS):
        return event
    data = bytearray(event.data)
    data[place] = value
    return Write(event.offset, sealed(bytes(data)))


MUTANTS = {
    "no flush between the headers of the beginning": Mutant(_without_flush(1), "old FileWriteGuid"),
    "no flush after the updates": Mutant(_without_flush(2), "neither before nor after"),
    "no flush between the headers of the end": Mutant(_without_flush(3), "neither copy is valid"),
    "no flush at the end": Mutant(_without_flush(4), "not all was flushed"),
    "the log is cleared before the updates": Mutant(_log_cleared_first, "neither before nor"),
    "the updates come after all flushes": Mutant(_updates_after_the_last_flush, "neither before"),
    "the updates come before the headers": Mutant(_updates_before_headers, "old FileWriteGuid"),
    "the header that is current is overwritten": Mutant(_current_header_first, "refused"),
    "one header alone is updated": Mutant(_one_header_alone, "follow each other"),
    "an update is forgotten": Mutant(_without_last_update, "neither before nor after"),
    "the FileWriteGuid stays": Mutant(_old_file_write_guid, "old FileWriteGuid"),
    "the DataWriteGuid is a new one": Mutant(_with_guid(slice(32, 48)), "children"),
    "the file gets its length last": Mutant(_length_last, "bytes long"),
}
