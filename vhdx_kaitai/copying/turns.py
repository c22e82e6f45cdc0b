"""Two threads that take turns at the pieces of a copy: one reads while the other writes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Protocol, TypeVar

from ..storage.buffers import bulk_buffer
from .data import Progress
from .sparse import PIECE


class _Piece(Protocol):
    """What has a length in bytes."""

    @property
    def length(self) -> int: ...


# More small pieces are not begun by a thread that has yet to see that the other one has failed.
_MOST_TOGETHER = 16

_P = TypeVar("_P", bound=_Piece)


def together(pieces: Iterable[_P]) -> Iterator[list[_P]]:
    """Yield pieces, as many at once as fit into a buffer, and not very many.

    Small ones cost less when together.

    Raises:
        Exception: What the iterable raises, after all pieces that came before it.
    """
    batch: list[_P] = []
    left = PIECE
    try:
        for piece in pieces:
            if batch and (piece.length > left or len(batch) == _MOST_TOGETHER):
                yield batch
                batch, left = [], PIECE
            batch.append(piece)
            left -= piece.length
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


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
    take: Callable[[memoryview], Any],
    copy: Callable[[Any, memoryview, Turn], int],
    progress: Progress,
) -> None:
    """Let two threads take turns at pieces until there are none, or one has failed.

    Args:
        take: Returns the next piece, or some, nothing after the last one; one thread at a time
            calls it. It may put what the piece holds into the buffer.
        copy: Copies what was taken by way of the same buffer, in any order, and returns how far
            that is. What it does in its turn is done in the order of the pieces.
        progress: Told how far it is, by the calling thread.

    Raises:
        Exception: What one of these has raised.
    """
    work = _Work(take, copy)
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
        take: Callable[[memoryview], Any],
        copy: Callable[[Any, memoryview, Turn], int],
    ) -> None:
        self._take, self._copy = take, copy
        self._lock = threading.Lock()
        self._last: threading.Event | None = None
        self.failures: list[BaseException] = []

    def run(self, progress: Progress | None = None) -> None:
        """Copy pieces until there are none."""
        buffer = bulk_buffer(PIECE)
        try:
            while not self.failures:
                done = self._next(buffer)
                if done is None:
                    return
                if progress is not None:
                    progress(done)
        except BaseException as error:
            self.failures.append(error)

    def _next(self, buffer: memoryview) -> int | None:
        """Copy the next piece and return how far that is; None when there is none."""
        turn = Turn()
        try:
            with self._lock:
                piece = self._take(buffer)
                turn.before, self._last = self._last, turn.is_over
            return self._copy(piece, buffer, turn) if piece else None
        finally:
            turn.is_over.set()  # also for a piece that has no use for it, or failed
