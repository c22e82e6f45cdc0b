"""One record for each image of a fleet, whoever looks at it and whatever becomes of the workers."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import vhdx_kaitai
from tests.images.chain import chain
from tests.serving.fleets import Fleet, assert_told, make_fleet, timeless
from tests.support import ROOT, assert_valid, good
from tests.test_documents import blocks
from vhdx_kaitai.serving.fleet import scan
from vhdx_kaitai.serving.record import scan_one
from vhdx_kaitai.serving.workers import Processes

PAGE = (ROOT / "docs" / "fleets.md").read_text(encoding="utf-8")


def kill_one_worker() -> None:
    """Kill a worker of this process, as the system does when memory runs out."""
    pid = multiprocessing.active_children()[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
def test_threads_tell_the_same(fleet: Fleet, expected: list[dict[str, Any]]) -> None:
    with ThreadPoolExecutor(4) as executor:
        assert timeless(scan(fleet, executor=executor)) == expected


@pytest.mark.slow
def test_processes_tell_the_same(fleet: Fleet, expected: list[dict[str, Any]]) -> None:
    assert timeless(vhdx_kaitai.scan(map(Path, fleet))) == expected
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_no_record(
    fleet: Fleet, expected: list[dict[str, Any]]
) -> None:
    records = []
    for record in scan(fleet, executor=lambda: Processes(2)):
        records.append(record)
        if len(records) in (50, 300):
            kill_one_worker()
    assert timeless(records) == expected


# -- small fleets ---------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Fleet:
    return make_fleet(tmp_path, 16)


# What a worker does when it begins: from then on it dies over some images.
_DEADLY = """
import os
from vhdx_kaitai.serving import record

def open_source(path, open_source=record.open_source):
    if path.endswith(NAMES):
        os._exit(9)
    return open_source(path)

record.open_source = open_source
"""


def deadly(*names: str) -> Callable[[], Executor]:
    """Return what makes processes that die over images with these names."""
    context = multiprocessing.get_context("forkserver")
    return lambda: ProcessPoolExecutor(2, context, exec, (_DEADLY, {"NAMES": names}))


@pytest.mark.slow
def test_an_image_that_kills_its_worker_has_an_error_and_the_others_their_records(
    small: Fleet,
) -> None:
    names = ("dynamic-plain.vhdx", "version-2.vhdx")
    found = {r["path"]: r for r in scan(small, executor=deadly(*names))}
    assert sorted(found) == sorted(small)
    killers = {path for path in small if path.endswith(names)}
    assert len(killers) == 2
    for path in killers:
        record = found.pop(path)
        assert_valid(record, "scan")
        assert (record["verdict"], record["error_type"]) == (None, "BrokenProcessPool")
        assert "died again" in record["error_message"]
    assert_told(found.values(), {path: small[path] for path in small.keys() - killers})


@pytest.mark.slow
def test_an_executor_that_nobody_can_make_again_costs_errors_and_no_record(small: Fleet) -> None:
    with deadly("dynamic-plain.vhdx")() as executor:
        records = list(scan(small, executor=executor, window=2))
    assert sorted(record["path"] for record in records) == sorted(small)
    assert {record["error_type"] for record in records} >= {"BrokenProcessPool"}


class Here(Executor):
    """Looks at images in this process."""

    def __init__(self, failing: Exception | None = None) -> None:
        self.failing = failing
        self.is_shut = False
        self._threads = ThreadPoolExecutor(1)

    def submit(self, work: Any, /, *arguments: Any, **options: Any) -> Any:
        if self.failing is not None:
            return self._threads.submit(self._fail, self.failing)
        return self._threads.submit(work, *arguments, **options)

    def _fail(self, error: Exception) -> None:
        raise error

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.is_shut = True
        self._threads.shutdown(wait, cancel_futures=cancel_futures)


def test_the_window_bounds_what_is_with_the_executor(small: Fleet) -> None:
    asked: list[str] = []

    def paths() -> Iterator[str]:
        for path in small:
            asked.append(path)
            yield path

    executor = Here()
    records = scan(paths(), executor=executor, window=3)
    told = []
    for record in records:
        told.append(record)
        assert len(asked) - len(told) < 3
    assert_told(told, small)
    assert not executor.is_shut  # it is the caller's


def test_what_is_done_is_told_while_the_next_path_is_awaited(small: Fleet) -> None:
    executor = Here()

    def paths() -> Iterator[str]:
        yield next(iter(small))
        executor.submit(int).result()  # what was begun before it is done
        yield "missing"
        assert told

    told = []
    for record in scan(paths(), executor=executor):
        told.append(record["path"])
    assert sorted(told) == sorted([next(iter(small)), "missing"])


def test_what_an_executor_raises_is_the_record(small: Fleet) -> None:
    records = list(scan(small, executor=Here(LookupError("no such worker"))))
    assert {(record["error_type"], record["error_message"]) for record in records} == {
        ("LookupError", "no such worker")
    }
    assert sorted(record["path"] for record in records) == sorted(small)


def test_an_executor_of_our_own_is_shut(small: Fleet) -> None:
    made: list[Here] = []

    def make() -> Here:
        made.append(Here())
        return made[-1]

    assert_told(scan(small, executor=make), small)
    records = scan(small, executor=make)
    next(records)
    records.close()
    assert [executor.is_shut for executor in made] == [True, True]


def test_a_window_of_nothing_is_refused(small: Fleet) -> None:
    with pytest.raises(ValueError, match="expected at least 1"):
        next(scan(small, window=0))


def test_of_no_image_there_is_no_record() -> None:
    assert list(scan([], executor=Here())) == []


def test_what_goes_to_a_worker_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(scan_one)) is scan_one


def test_the_example_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "build" / "fleet" / "vms"
    folder.mkdir(parents=True)
    good("dirty-everything").write(folder / "web.vhdx")
    made = chain(2).write(folder)
    made.path.rename(folder / "child.avhdx")
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks("python", PAGE)[0], "fleets.md", "exec"), {"__name__": "__main__"})
    *records, rule = capsys.readouterr().out.splitlines()
    assert sorted(records) == ["differencing clean clean", "dynamic clean dirty"]
    assert rule == "CHAIN-10"
