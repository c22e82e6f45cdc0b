"""Requests to end are heard where a command must not be left amid its work, and only there."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from vhdx_kaitai.commands.interrupts import hearing, interruptible

REQUESTS = [signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Have the same handlers before and after."""
    before = {number: signal.getsignal(number) for number in (*REQUESTS, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def ask(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", REQUESTS)
def test_a_request_to_end_is_an_exception_that_cleans_up(number: signal.Signals) -> None:
    steps = []

    def work() -> None:
        try:
            ask(number)
            steps.append("went on")
        finally:
            steps.append("cleaned up")

    with pytest.raises(SystemExit) as ended, interruptible():
        work()
    assert (ended.value.code, steps) == (128 + number, ["cleaned up"])


def test_ctrl_c_stays_what_it_is() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt), interruptible():
        ask(signal.SIGINT)


@pytest.mark.parametrize("number", REQUESTS)
def test_what_is_ignored_stays_ignored_as_nohup_wants_it(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)
    with interruptible():
        ask(number)
    assert signal.getsignal(number) == signal.SIG_IGN


def test_whoever_hears_goes_on_and_all_is_as_before() -> None:
    before = {number: signal.getsignal(number) for number in (*REQUESTS, signal.SIGINT)}
    heard = []
    with hearing(lambda number, _frame: heard.append(number)):
        for number in before:
            ask(number)
    assert heard == list(before)
    assert {number: signal.getsignal(number) for number in before} == before
