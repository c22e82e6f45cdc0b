"""Any call to the file of a disk fails, once or from then on, wholly or half done.

What cannot harm the map is an error of the system, and the disk goes on. After anything else
only closing works, and what is in the file is what a cut of the power would have left.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import pytest

from tests.crash.model import Operation
from tests.crash.recorder import Event, Faulty, Flush, Length, Recorder, Write, Zero, without_marks
from tests.crash.working import Subject
from tests.writing.trying import CLOSE, FLUSH, Trial, short_script, subject_of
from vhdx_kaitai.errors import FailedError

NAMES = (
    "dynamic",
    "sectors of 4096",
    "fixed with absent blocks",
    "child",
    "child of a child",
    "dirty",
    "dirty child",
    "space that is used again",
)
COUNT, SEED = 26, 5
_HEADERS_END = 192 << 10


class Way(NamedTuple):
    """How a call fails."""

    number: int
    part: float = 0.0
    for_ever: bool = False

    @property
    def error(self) -> OSError:
        """The error of the system."""
        return OSError(self.number, os.strerror(self.number))


WAYS = (
    Way(errno.ENOSPC, 0.5),
    Way(errno.EIO, for_ever=True),
    Way(errno.EIO),
    Way(errno.EINTR, 0.5),
    Way(errno.ENOSPC, for_ever=True),
    Way(errno.ENOSPC),
)


def asked(subject: Subject) -> list[Operation]:
    return [*short_script(subject, COUNT, SEED), FLUSH]


@cache
def calls(name: str) -> int:
    """How many calls a script makes when none of them fails."""
    subject = subject_of(name)
    trial = Trial(subject, Recorder(subject.before))
    for operation in (*asked(subject), CLOSE):
        assert trial.do(operation) is None
    assert trial.wrong_at_the_end() is None
    return len(without_marks(trial.file.events))


def is_begun(subject: Subject, events: list[Event]) -> bool:
    """Whether both headers have been written, and twice when a log had to be replayed."""
    headers = [event for event in events if isinstance(event, Write) and event.end <= _HEADERS_END]
    return len(headers) >= (2 if subject.built.model.log.state == "clean" else 4)


def is_harmless(subject: Subject, failed: Event, operation: Operation, events: list[Event]) -> bool:
    """Whether a call was about payload, or the length of the file while a block is made."""
    if isinstance(failed, Flush) or operation in (FLUSH, CLOSE) or not is_begun(subject, events):
        return False
    if not isinstance(failed, Write | Zero):
        return isinstance(failed, Length)
    image = subject.built
    start, end = failed.offset, failed.end
    bat = image.layout.bat_offset, image.layout.bat_offset + image.layout.bat_length
    log = image.layout.log_offset, image.layout.log_offset + image.image.log_length
    places = ((0, _HEADERS_END), bat, log)
    return not any(start < last and first < end for first, last in places)


def tried(name: str, fails_at: int, way: Way) -> None:
    """Let a call fail, and show that all is as it has to be then and afterwards."""
    subject = subject_of(name)
    file = Faulty(subject.before, fails_at, way.error, way.part, for_ever=way.for_ever)
    trial = Trial(subject, file)
    operations = iter((*asked(subject), CLOSE))
    for operation in operations:
        raised = trial.do(operation)
        if file.failed is not None:
            assert isinstance(raised, OSError)
            assert raised.errno == way.number
            if is_harmless(subject, file.failed, operation, file.events):
                goes_on(trial, operation, operations, way)
            else:
                has_ended(trial, operations)
            break
        assert raised is None
    else:
        raise AssertionError("no call has failed")


def goes_on(trial: Trial, again: Operation, others: Iterator[Operation], way: Way) -> None:
    """Show that a disk goes on: with what it can, when calls go on failing."""
    if not way.for_ever:
        for operation in (again, FLUSH, *others):
            assert trial.do(operation) is None
        assert trial.wrong_at_the_end() is None
        return
    assert isinstance(trial.do(FLUSH), OSError)
    has_ended(trial, others, is_counted=False)


def has_ended(trial: Trial, others: Iterator[Operation], *, is_counted: bool = True) -> None:
    """Show that nothing but closing and reading works, and what the file is worth."""
    file = trial.file
    assert isinstance(file, Faulty)
    done = without_marks(file.events)
    for operation in others:
        if operation != CLOSE:
            raised = trial.do(operation)
            changes = operation == FLUSH or trial.subject.shape.change(operation).length
            assert isinstance(raised, FailedError) or not changes
    trial.disk.close()
    assert without_marks(file.events) == done  # nothing more was written, nor flushed
    if is_counted:
        assert file.calls_after == 0
    assert trial.wrong_after_a_kill() is None
    assert list(trial.wrong_after_cuts(12, 1)) == []


@pytest.mark.parametrize("name", NAMES)
def test_some_calls_fail(name: str) -> None:
    count = calls(name)
    for number in range(7):
        tried(name, number * (count - 1) // 6, WAYS[(number + len(name)) % len(WAYS)])


@pytest.mark.slow
@pytest.mark.parametrize("first", [0, 3])
@pytest.mark.parametrize("name", NAMES)
def test_every_call_fails_in_one_way_and_in_another(name: str, first: int) -> None:
    for fails_at in range(calls(name)):
        tried(name, fails_at, WAYS[(first + fails_at) % len(WAYS)])


# -- reads ----------------------------------------------------------------------------------------


class Unreadable(Recorder):
    """A file of which one read fails, while it is written to."""

    def __init__(self, before: bytes, fails_at: int) -> None:
        super().__init__(before)
        self.left = fails_at
        self.counts = False

    def _fill(self, buffer: memoryview, offset: int) -> None:
        if self.counts:
            self.left -= 1
            if self.left == -1:
                raise OSError(errno.EIO, "cannot be read")
        super()._fill(buffer, offset)


def tried_to_read(name: str, fails_at: int) -> int:
    """Let a read fail, and return how many there were."""
    subject = subject_of(name)
    file = Unreadable(subject.before, fails_at)
    trial = Trial(subject, file)
    ask, has_ended = trial._ask, False

    def counted(operation: Operation) -> None:
        file.counts = True
        try:
            ask(operation)
        finally:
            file.counts = False

    trial._ask = counted  # type: ignore[method-assign]
    for operation in (*asked(subject), CLOSE):
        before = file.left
        if operation == CLOSE and has_ended:
            break
        raised = trial.do(operation)
        if before >= 0 > file.left:
            assert isinstance(raised, OSError)
            has_ended = operation == CLOSE or isinstance(trial.do(FLUSH), FailedError)
        elif operation == CLOSE:
            assert raised is None
            assert trial.wrong_at_the_end() is None
        else:
            changes = operation == FLUSH or subject.shape.change(operation).length
            assert has_ended == isinstance(raised, FailedError) or not changes
    trial.disk.close()
    assert trial.wrong_after_a_kill() is None
    return fails_at - file.left


@pytest.mark.parametrize("name", ["dynamic", "child", "dirty child"])
def test_some_reads_fail_and_either_the_disk_goes_on_or_it_has_failed(name: str) -> None:
    count = tried_to_read(name, 1 << 30)
    assert count > 20
    for number in range(6):
        tried_to_read(name, number * (count - 1) // 5)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_any_read_fails_and_either_the_disk_goes_on_or_it_has_failed(name: str) -> None:
    for fails_at in range(0, tried_to_read(name, 1 << 30), 5):
        tried_to_read(name, fails_at)
