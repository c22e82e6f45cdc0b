"""Two threads that take turns at the pieces of a copy: one reads while the other writes.

Of small pieces one thread copies many, while the other waits: with so much to do for each of them
and so few bytes, both would get into each other's way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, Protocol, TypeVar

from ..units import KIB, MIB
from .data import Progress
from .sparse import PIECE

_SMALL = 128 * KIB  # shorter pieces are small: for them two threads are slower than one
_MOST_TOGETHER, _MOST_BYTES = 1024, 16 * MIB  # of them


class _Piece(Protocol):
    """What has a length in bytes."""

    @property
    def length(self) -> int: ...


_P = TypeVar("_P", bound=_Piece)


def together(pieces: Iterable[_P]) -> Iterator[list[_P]]:
    """Yield pieces, small ones that follow each other together."""
    small: list[_P] = []
    left = _MOST_BYTES
    for piece in pieces:
        small.append(piece)
        left -= piece.length
        if piece.length >= _SMALL or left <= 0 or len(small) == _MOST_TOGETHER:
            yield small
            small, left = [], _MOST_BYTES
    if small:
        yield small


class _Turn:
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
    take: Callable[[bytearray], Sequence[Any] | None],
    copy: Callable[[Any, bytearray, AbstractContextManager[None]], int],
    progress: Progress,
    afterwards: Callable[[], object] | None = None,
) -> None:
    """Let two threads take turns at pieces until there are none, or one has failed.

    Args:
        take: Returns the next piece, or some that one thread copies, nothing after the last one;
            one thread at a time calls it. It may put what a single piece holds into the buffer.
        copy: Copies a piece by way of the same buffer, in any order, and returns how far that
            is. What it does in its turn is done in the order of the pieces, if each has its turn.
        progress: Told how far it is, by the calling thread.
        afterwards: Called by each thread when it has copied a piece, or some, and the other need
            not wait for that.

    Raises:
        Exception: What one of these has raised.
    """
    work = _Work(take, copy, afterwards)
    helper = threading.Thread(target=work.run, daemon=True)
    helper.start()
    try:
        work.run(progress)
        helper.join()
    except BaseException as error:  # interrupted between the pieces
        work.failures.append(error)
        helper.join()
    if work.failures:
        raise work.failures[0]


class _Work:
    """What two threads do with pieces; the arguments are those of `by_two`.

    Attributes:
        failures: What was raised; no further piece is begun then.
    """

    def __init__(
        self,
        take: Callable[[bytearray], Sequence[Any] | None],
        copy: Callable[[Any, bytearray, AbstractContextManager[None]], int],
        afterwards: Callable[[], object] | None,
    ) -> None:
        self._take, self._copy, self._afterwards = take, copy, afterwards
        self._lock = threading.Lock()
        self._last: threading.Event | None = None
        self._small: threading.Event | None = None  # set when the small pieces are copied
        self.failures: list[BaseException] = []

    def run(self, progress: Progress | None = None) -> None:
        """Copy pieces until there are none."""
        buffer = bytearray(PIECE)
        try:
            while not self.failures:
                done = self._next(buffer)
                if done is None:
                    return
                if progress is not None:
                    progress(done)
        except BaseException as error:
            self.failures.append(error)

    def _next(self, buffer: bytearray) -> int | None:
        """Copy the next pieces and return how far that is; None when there are none."""
        turn, done = _Turn(), None
        try:
            with self._lock:
                if self._small is not None:  # to find the next ones is as much work again
                    self._small.wait()
                pieces = self._take(buffer) or ()
                self._small = turn.is_over if len(pieces) > 1 else None
                turn.before, self._last = self._last, turn.is_over
            if len(pieces) == 1:
                done = self._copy(pieces[0], buffer, turn)
            else:
                with turn:
                    for piece in pieces:
                        done = self._copy(piece, buffer, nullcontext())
            if self._afterwards is not None:
                self._afterwards()
            return done
        finally:
            turn.is_over.set()  # also for a piece that has no use for it, or failed
