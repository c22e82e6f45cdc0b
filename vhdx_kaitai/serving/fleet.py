"""Many images, one record each, by workers that may die.

A window slides over all of them: what is in it is with the workers, and the next image gets there
when one is done. Nothing else of a fleet is held, however large it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from functools import partial
from typing import TypeAlias

from ..showing.document import Document
from .record import failed, scan_one
from .workers import Processes

# Images that are with the workers at a time: enough for none of them to wait.
WINDOW = max(64, 4 * (os.cpu_count() or 1))

_DIED = "the worker that looked at it died, and died again when it looked at nothing else"

_Running: TypeAlias = "dict[Future[Document], str]"


def scan(
    paths: Iterable[str | os.PathLike[str]],
    *,
    executor: Executor | Callable[[], Executor] | None = None,
    window: int = WINDOW,
    ignore: Collection[str] = (),
    time_limit: float | None = None,
) -> Generator[Document, None, None]:
    """Yield a record of every image, in the order in which they are done.

    There is one for each, whatever is wrong with it: one that cannot be read, or whose worker
    dies twice, has an `error_type` and an `error_message`. A record is what
    `vhdx_kaitai/schemas/scan.json` says.

    Args:
        paths: Paths of the images; they are asked for as they are needed.
        executor: Who looks at them: an executor, whose workers see the same paths and have this
            package, or a function that returns one, which is called again when its workers
            died. By default processes, one for each processor.
        window: How many images are with the executor at a time.
        ignore: Ids of rules that do not count.
        time_limit: Seconds after which an image is given up; only where an executor runs its
            work in the main thread of a process.

    Raises:
        ValueError: The window is less than one image.
    """
    if window < 1:
        raise ValueError(f"window is {window}, expected at least 1")
    crew = _Crew(Processes if executor is None else executor, ignore, time_limit)
    running: _Running = {}
    try:
        for path in map(os.fsdecode, paths):
            running[crew.submit(path)] = path
            # What is done is told although there is room for more: the next path may take time.
            yield from crew.finished(running, None if len(running) >= window else 0)
        while running:
            yield from crew.finished(running)
    finally:
        crew.close(running)


class _Crew:
    """An executor, and another one in its place when its workers die.

    Args:
        executor: The executor, or what makes one.
        ignore: As `scan` takes it; `time_limit`, too.
    """

    def __init__(
        self,
        executor: Executor | Callable[[], Executor],
        ignore: Collection[str],
        time_limit: float | None,
    ) -> None:
        self._make = None if isinstance(executor, Executor) else executor
        self._executor = executor if isinstance(executor, Executor) else executor()
        self._work = partial(scan_one, ignore=ignore, time_limit=time_limit)
        self._ignore = ignore

    def submit(self, path: str) -> Future[Document]:
        """Return what will be the record of an image, or an error."""
        try:
            return self._executor.submit(self._work, path)
        except BrokenExecutor as error:
            if self._make is None:
                lost: Future[Document] = Future()
                lost.set_exception(error)
                return lost
            self._executor.shutdown(wait=False)
            self._executor = self._make()
            return self._executor.submit(self._work, path)

    def finished(self, running: _Running, timeout: float | None = None) -> Iterator[Document]:
        """Take out of what is running what is done, and yield the records.

        When a worker dies, nobody knows over which image. So each that was not done then is
        looked at alone, and the one over which a worker dies again has an error.

        Args:
            running: What is running.
            timeout: For how many seconds to wait until some is done; None for as long as it takes.
        """
        done, _ = wait(running, timeout, return_when=FIRST_COMPLETED)
        if any(isinstance(_error_of(future), BrokenExecutor) for future in done):
            done, _ = wait(running)  # they all end with it
        suspects = []
        for future in done:
            path, error = running.pop(future), _error_of(future)
            if isinstance(error, BrokenExecutor) and self._make is not None:
                suspects.append(path)
            else:
                yield self._record(path, future, error)
        for path in suspects:
            alone = self.submit(path)
            running[alone] = path
            wait([alone])
            del running[alone]
            error = _error_of(alone)
            if isinstance(error, BrokenExecutor):
                error = type(error)(_DIED)
            yield self._record(path, alone, error)

    def _record(self, path: str, future: Future[Document], error: BaseException | None) -> Document:
        return future.result() if error is None else failed(path, error, self._ignore)

    def close(self, running: _Running) -> None:
        """Give up what is running, and end the executor unless the caller has made it."""
        if self._make is not None:
            self._executor.shutdown(wait=not running, cancel_futures=True)
            return
        for future in running:
            future.cancel()


def _error_of(future: Future[Document]) -> BaseException | None:
    return CancelledError("it was given up") if future.cancelled() else future.exception()
