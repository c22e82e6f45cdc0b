"""What has to be true of a file while its log is replayed, wherever the power is cut.

The file after the replay is what the builder of the images says; it shares no code with the
product. Headers are taken apart here, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import TypeAlias
from uuid import UUID

from tests.images.goods import GOODS
from tests.images.image import Built
from tests.images.structures import KIB, MIB
from tests.support import good
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.errors import VhdxError
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.writing.replay import replay_target

from .machine import cuts, epochs
from .recorder import Event, Recorder, Write, applied

HEADERS = (64 * KIB, 128 * KIB)
END_OF_HEADERS = 192 * KIB

NO_GUID = UUID(int=0)

Bytes: TypeAlias = bytes | bytearray | memoryview


class Stored:
    """The fields of a header, as they stand in a file."""

    def __init__(self, data: Bytes, copy: int) -> None:
        raw = bytes(data[HEADERS[copy - 1] :][: 4 * KIB])
        self.number = int.from_bytes(raw[8:16], "little")
        self.file_write_guid = UUID(bytes_le=raw[16:32])
        self.data_write_guid = UUID(bytes_le=raw[32:48])
        self.log_guid = UUID(bytes_le=raw[48:64])
        self.rest = raw[64:]


class Subject:
    """An image with a dirty log, and what is true of it before, during and after a replay.

    Args:
        built: The image.
        is_other_lost: Whether the header that is not current is one no more.
    """

    def __init__(self, built: Built, *, is_other_lost: bool = False) -> None:
        self.before = built.to_bytes()
        if is_other_lost:
            copy = built.model.current_copy
            assert copy is not None
            self.before = bytes(applied(self.before, [Write(HEADERS[2 - copy], bytes(4 * KIB))]))
        self.after = built.replayed().to_bytes()
        header = built.model.current_header
        self._guids = (header.file_write_guid, header.data_write_guid)
        self._log = (header.log_offset, header.log_offset + header.log_length)
        self._seen = bytearray(len(self.after))
        self._expected = self._but_headers(bytearray(self.after))

    @cached_property
    def events(self) -> list[Event]:
        """What a replay does to the file."""
        file = Recorder(self.before)
        assert replay_target(file) is not None
        return file.events

    def wrong_with(self, data: Bytes, *, thoroughly: bool = False) -> str | None:
        """Return what is wrong with what a cut has left; None when nothing is."""
        try:
            image = Image(data)
        except VhdxError as error:
            return f"refused: {error}"
        size = image.source.size
        if size != len(self.after):
            return f"the file is {size} bytes long, and {len(self.after)} before and after"
        image.source.readinto(memoryview(self._seen), 0)
        if self._but_headers(self._seen) != self._expected:
            return "it reads as neither before nor after"
        current = image.headers.current
        file_write_guid, data_write_guid = self._guids
        if current.data_write_guid != data_write_guid:
            return "children do not recognise it any more"
        if current.file_write_guid == file_write_guid and self._is_modified(data):
            return "it was modified under its old FileWriteGuid"
        if thoroughly and check(data).verdict not in ("clean", "warnings"):
            return "check finds an error"
        return None

    def wrong_at_the_end(self, file: Bytes) -> str | None:
        """Return what is wrong with the file after a replay has returned."""
        one, two = Stored(file, 1), Stored(file, 2)
        if abs(one.number - two.number) != 1:
            return "the headers do not have numbers that follow each other"
        for name in ("file_write_guid", "data_write_guid", "log_guid", "rest"):
            if getattr(one, name) != getattr(two, name):
                return f"the headers have another {name}"
        if one.log_guid != NO_GUID:
            return "the log is dirty"
        if self._but_headers(bytearray(file)) != self._expected:
            return "the file is not what replay makes of it"
        return self.wrong_with(file, thoroughly=True)

    def wrong_after_another_replay(self, data: Bytes, seed: int) -> str | None:
        """Replay what a cut has left, and cut the power while that is done, too.

        Returns:
            What is wrong; None when nothing is.
        """
        again = Recorder(data)
        if replay_target(again) is None:  # the cut came after the log was clean
            return "a clean file is written to" if again.events else None
        wrong = self.wrong_at_the_end(again.data)
        if wrong or again.pending:
            return f"replayed again: {wrong or 'not all was flushed'}"
        for cut in cuts(data, again.events, 3, seed):
            wrong = self.wrong_with(cut.data)
            if wrong:
                return f"cut again, {cut.what}: {wrong}"
        return None

    def _but_headers(self, data: bytearray) -> bytearray:
        """Blank headers and log, and return all the rest: what a reader sees of a file."""
        for start, end in (self._log, (HEADERS[0], END_OF_HEADERS)):
            data[start:end] = bytes(end - start)
        return data

    def _is_modified(self, data: Bytes) -> bool:
        return bytes(data[END_OF_HEADERS:]) != self.before[END_OF_HEADERS:]


def complaints(
    subject: Subject, events: Sequence[Event], count: int, *, seed: int = 0
) -> Iterator[str]:
    """Yield what is wrong with the files that cuts leave.

    Args:
        subject: The image.
        events: What was done to it.
        count: How many cuts to make, more or less.
        seed: Chooses them.
    """
    if epochs(len(subject.before), events)[-1].events:
        yield "at the end: not all was flushed"
    wrong = subject.wrong_at_the_end(applied(subject.before, events))
    if wrong:
        yield f"at the end: {wrong}"
    for number, cut in enumerate(cuts(subject.before, events, count, seed)):
        wrong = subject.wrong_with(cut.data, thoroughly=number % 32 == 0)
        if wrong is None and number % 32 == 0:
            wrong = subject.wrong_after_another_replay(cut.data, number)
        if wrong:
            yield f"{cut.what}: {wrong}"


def writes_of_headers(events: Sequence[Event]) -> list[int]:
    """Return which events write a header."""
    return [
        index
        for index, event in enumerate(events)
        if isinstance(event, Write) and event.offset in HEADERS
    ]


_MOST = 16 * MIB


def _subjects() -> dict[str, Callable[[], Subject]]:
    """Return every small image of the builder whose log is dirty, also with one header lost."""
    found: dict[str, Callable[[], Subject]] = {}
    for name in GOODS:
        if not name.startswith(("dirty", "log")):
            continue
        built = good(name)
        if built.length > _MOST or built.model.current_header.log_guid == NO_GUID:
            continue
        found[name] = partial(Subject, built)
        found[f"{name}, one header lost"] = partial(Subject, built, is_other_lost=True)
    return found


SUBJECTS = _subjects()
