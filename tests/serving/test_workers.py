"""Processes end when nobody waits for them, and with the process that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from vhdx_kaitai.errors import UnsupportedError
from vhdx_kaitai.serving.workers import Processes, dask_workers


@pytest.fixture
def processes() -> Iterator[Processes]:
    pool = Processes(2)
    yield pool
    pool.shutdown(wait=False)


def test_they_are_others_than_this_one(processes: Processes) -> None:
    pids = {processes.submit(os.getpid).result() for _ in range(8)}
    assert 1 <= len(pids) <= 2
    assert os.getpid() not in pids


def test_they_leave_ctrl_c_to_this_one(processes: Processes) -> None:
    assert processes.submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN


HEARING = """
import signal
from vhdx_kaitai.serving.workers import Processes

pool = Processes(1)
print(signal.SIGINT in pool.submit(signal.pthread_sigmask, signal.SIG_BLOCK, []).result())
print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))
pool.shutdown()
"""


def test_nor_do_they_hear_of_it_before_they_have_begun() -> None:
    """In a process of its own, since the server that forks workers stays the same in one."""
    argv = [sys.executable, "-c", HEARING]
    ended = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60)
    assert ended.stdout.split() == ["True", "False"]


def test_they_end_at_once_when_nobody_waits(processes: Processes) -> None:
    future = processes.submit(time.sleep, 3600)
    while not future.running():
        time.sleep(0.01)
    processes.shutdown(wait=False, cancel_futures=True)
    assert future.exception() is not None
    for process in multiprocessing.active_children():
        process.join()


def test_what_is_begun_is_done_when_that_is_waited_for(processes: Processes) -> None:
    future = processes.submit(time.sleep, 0.1)
    processes.shutdown()
    assert future.result() is None


STARTED = """
import os, sys, time
from vhdx_kaitai.serving.workers import Processes

if __name__ == "__main__":
    pool = Processes(1)
    print(pool.submit(os.getpid).result(), flush=True)
    pool.submit(time.sleep, 3600)
    sys.stdin.read()
"""


@pytest.mark.slow
def test_they_end_with_a_process_that_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTED], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as starter:
        assert starter.stdout is not None
        worker = int(starter.stdout.readline())
        assert is_there(worker)
        starter.kill()
        starter.stdout.read()  # which the worker has open, too, until it ends
    while is_there(worker):
        time.sleep(0.01)


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_without_dask_people_are_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'vhdx-kaitai\[dask\]'"):  # noqa: SIM117
        with dask_workers("tcp://127.0.0.1:1"):
            raise AssertionError
