"""Requests to end: what becomes of them while a command must not be left amid its work."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn


@contextmanager
def interruptible() -> Iterator[None]:
    """Let requests to end be exceptions, so that no partial file is left."""

    def end(number: int, _frame: object) -> NoReturn:
        sys.exit(128 + number)

    with hearing(end, but=("SIGINT",)):  # which is one anyhow
        yield


@contextmanager
def hearing(hear: Callable[[int, object], object], but: Sequence[str] = ()) -> Iterator[None]:
    """Let requests to end go to a handler of signals meanwhile.

    Args:
        hear: The handler.
        but: Names of those that do not go there.
    """
    names = {"SIGINT", "SIGTERM", "SIGHUP"}.difference(but)
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]  # as Windows lacks
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:  # as nohup wants it
            signal.signal(number, hear)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
