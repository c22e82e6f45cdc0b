"""Who looks at images: processes of this machine, or the workers of a Dask cluster."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from ..errors import UnsupportedError

_T = TypeVar("_T")

_CONNECTING = 10  # seconds
_RETRIES = 2  # of an image whose worker was lost, besides those that the cluster makes


class Processes(ProcessPoolExecutor):
    """Worker processes that end when this one does, by whatever, or when nobody waits for them.

    Each holds the end of a pipe. The other end is closed with the process that has it, even when
    that is killed, and no image can keep a worker from noticing.

    Args:
        jobs: How many; None for one for each processor.
    """

    def __init__(self, jobs: int | None = None) -> None:
        # A fork of a process with threads may never get anywhere.
        can_fork = "forkserver" in multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("forkserver" if can_fork else "spawn")
        ending, self._lifeline = context.Pipe(duplex=False)
        super().__init__(jobs, context, _begin, (ending,))

    def submit(self, work: Callable[..., _T], /, *about: Any, **options: Any) -> Future[_T]:
        """Return what will be the result of some work; workers are started for it."""
        with _undisturbed():
            return super().submit(work, *about, **options)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers: when all is done, or now; return when they have ended."""
        if not wait:
            self._lifeline.close()
        super().shutdown(cancel_futures=cancel_futures)
        self._lifeline.close()


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Let Ctrl-C wait, so that no worker is half begun then, and none that begins hears of it."""
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(ending: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # which the process that has the pool takes
    threading.Thread(target=_end_with, args=(ending,), daemon=True).start()


def _end_with(ending: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        ending.recv()
    os._exit(1)


@contextlib.contextmanager
def dask_workers(address: str) -> Iterator[tuple[Executor, int]]:
    """Connect to a Dask cluster, and cancel what is left to do there at the end.

    Args:
        address: Address of its scheduler.

    Yields:
        Its workers as an executor, which goes on when one of them dies, and how many images
        they can look at at once.

    Raises:
        UnsupportedError: Dask is not installed.
        OSError: Nobody answers at the address.
    """
    try:
        from distributed import Client  # few have a cluster
    except ImportError as error:
        message = "this takes Dask: pip install 'vhdx-kaitai[dask]'"
        raise UnsupportedError(message) from error
    with Client(address, timeout=_CONNECTING, set_as_default=False) as client:
        executor = client.get_executor(retries=_RETRIES, pure=False)
        try:
            yield executor, sum(client.nthreads().values())
        finally:
            executor.shutdown(wait=False)
