"""Two threads that take turns at the pieces of a copy: one reads while the other writes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from .data import Progress
from .sparse import PIECE


class Turn:
    """The turn of a piece: `with` it, a thread is where all earlier pieces have been before it."""

    def __init__(self) -> None:
        self.is_over = threading.Event()
        self.before: threading.Event | None = None

    def __enter__(self) -> None:
        if self.before is not None:
            self.before.wait()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.is_over.set()


def by_two(
    take: Callable[[bytearray], Any],
    copy: Callable[[Any, bytearray, Turn], int],
    progress: Progress,
) -> None:
    """Let two threads take turns at pieces until there are none, or one has failed.

    Args:
        take: Returns the next piece, None after the last one; one thread at a time calls it.
            It may put what the piece holds into the buffer.
        copy: Copies a piece by way of the same buffer, in any order, and returns how far that
            is. What it does in its turn is done in the order of the pieces.
        progress: Told how far it is, by the calling thread.

    Raises:
        Exception: What one of these has raised.
    """
    lock = threading.Lock()
    failures: list[BaseException] = []
    last: threading.Event | None = None

    def work(progress: Progress | None = None) -> None:
        nonlocal last
        buffer = bytearray(PIECE)
        try:
            while not failures:
                turn = Turn()
                try:
                    with lock:
                        piece = take(buffer)
                        turn.before, last = last, turn.is_over
                    if piece is None:
                        return
                    done = copy(piece, buffer, turn)
                finally:
                    turn.is_over.set()  # also for a piece that has no use for it, or failed
                if progress is not None:
                    progress(done)
        except BaseException as error:
            failures.append(error)

    helper = threading.Thread(target=work, daemon=True)
    helper.start()
    try:
        work(progress)
        helper.join()
    except BaseException as error:  # interrupted between the pieces
        failures.append(error)
        helper.join()
    if failures:
        raise failures[0]
