"""A disk is interrupted between any two statements of what writes it.

Afterwards it goes on rightly or it has failed, and a flush that returns has kept its promise.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from linecache import getline
from types import FrameType
from typing import Any

import pytest

from tests.crash.model import Operation
from tests.crash.recorder import Recorder
from tests.writing.trying import CLOSE, FLUSH, Trial, short_script, subject_of
from vhdx_kaitai.errors import FailedError

NAMES = ("child", "space that is used again", "dirty", "fixed with absent blocks")
COUNT, SEED = 9, 3
LATE = Operation("write", 1 << 20, 2 << 20, b"late" * (1 << 19))

_ROOMS = ("/vhdx_kaitai/writing/", "/vhdx_kaitai/storage/", "/reading/reader.py")

Trace = Callable[[FrameType, str, Any], Any]


class Interruption:
    """An interrupt before some statement of the rooms that write, counted from 0.

    Attributes:
        left: How many statements are left until then; less than 0 when it has come.
        where: Where it came.
    """

    def __init__(self, at: int) -> None:
        self.left = at
        self.where = ""

    def __call__(self, frame: FrameType, _event: str, _: object) -> Trace | None:
        name = frame.f_code.co_filename
        return self._count if any(room in name for room in _ROOMS) else None

    def _count(self, frame: FrameType, event: str, _: object) -> Trace:
        line = getline(frame.f_code.co_filename, frame.f_lineno)
        # At its end a `with` comes once more, and `try` is nothing that is done: the interpreter
        # lets no interrupt in there.
        if event == "line" and not line.lstrip().startswith(("with ", "try:")):
            self.left -= 1
            if self.left == -1:
                self.where = f"{frame.f_code.co_filename}:{frame.f_lineno} {line.strip()}"
                raise KeyboardInterrupt
        return self._count

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait for the statement."""
        before = sys.gettrace()
        sys.settrace(self)
        try:
            yield
        finally:
            sys.settrace(before)


def tried(name: str, at: int, late: Sequence[Operation] = ()) -> int:
    """Interrupt what is asked of a disk, and return how many statements that was.

    Args:
        name: Which disk.
        at: Which statement is interrupted.
        late: What is asked of it when closing it was interrupted and it is open still.
    """
    subject = subject_of(name)
    trial = Trial(subject, Recorder(subject.before))
    interruption = Interruption(at)
    ask = trial._ask

    def interrupted(operation: Any) -> None:
        with interruption.waiting():
            ask(operation)

    trial._ask = interrupted  # type: ignore[method-assign]
    script = iter([*short_script(subject, COUNT, SEED), FLUSH, CLOSE])
    for operation in script:
        raised = trial.do(operation)
        if interruption.left < 0:
            break
    assert (interruption.left < 0) == isinstance(raised, KeyboardInterrupt)
    is_held = trial.disk._map._is_owned()  # type: ignore[attr-defined]
    assert not is_held, interruption.where
    trial._ask = ask  # type: ignore[method-assign]
    try:
        goes_on_or_has_failed(trial, list(script) or [*late, CLOSE])
    except (AssertionError, ValueError) as error:
        raise AssertionError(f"interrupted at {interruption.where}") from error
    return at - interruption.left


def goes_on_or_has_failed(trial: Trial, others: list[Any]) -> None:
    """Show that all that is still done is done rightly, and that what was promised is there."""
    has_failed = trial.disk._is_closed  # amid closing it, so that its log is dirty
    if not has_failed:
        for operation in (FLUSH, *others):
            if operation == CLOSE and has_failed:
                trial.disk.close()
                continue
            raised = trial.do(operation)
            assert raised is None or isinstance(raised, FailedError)
            assert raised is not None or not has_failed or operation.verb != "flush"
            has_failed = has_failed or raised is not None
    assert trial.wrong_after_a_kill() is None
    assert list(trial.wrong_after_cuts(10, 1)) == []
    if not has_failed:
        assert trial.wrong_at_the_end() is None


@cache
def statements(name: str) -> int:
    return tried(name, 1 << 40)


@pytest.mark.parametrize("name", NAMES)
def test_some_statements_are_interrupted(name: str) -> None:
    chance = random.Random(7)
    for _ in range(6):
        tried(name, chance.randrange(statements(name)))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_few_statements_are_interrupted(name: str) -> None:
    for at in range(0, statements(name), 13):
        tried(name, at)


@pytest.mark.slow
def test_a_disk_that_is_open_still_after_an_interrupt_of_closing_it_writes_through_its_log() -> (
    None
):
    name = "child"
    for at in range(statements(name) - 40, statements(name)):
        tried(name, at, [LATE, FLUSH])
