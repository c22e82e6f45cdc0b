"""A fleet on a Dask cluster of a scheduler and two workers, each a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("distributed", reason="distributed is not installed: pip install distributed")

from tests.conftest import Run
from tests.serving.fleets import Fleet, assert_told, make_fleet, timeless
from tests.support import ROOT
from tests.test_documents import blocks
from vhdx_kaitai.serving.fleet import scan
from vhdx_kaitai.serving.record import scan_one
from vhdx_kaitai.serving.tables import read_records
from vhdx_kaitai.serving.workers import dask_workers

pytestmark = pytest.mark.slow


class Cluster(NamedTuple):
    address: str
    workers: list[subprocess.Popen[bytes]]


def start(name: str, *options: str) -> subprocess.Popen[bytes]:
    """Start a part of a cluster, which is silent unless it fails."""
    argv = [sys.executable, "-m", f"distributed.cli.dask_{name}", *options]
    return subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    place = folder / "scheduler.json"
    where = ("--scheduler-file", str(place))
    plain = ("--host", "127.0.0.1", "--no-dashboard")
    with contextlib.ExitStack() as stack:
        parts = [start("scheduler", "--port", "0", *where, *plain)]
        stack.callback(end, parts)
        one = ("--nthreads", "1", "--no-nanny", "--local-directory", str(folder))
        parts += [start("worker", *where, *plain, *one) for _ in range(2)]
        yield Cluster(address_in(place, parts), parts[1:])


def address_in(place: Path, parts: list[subprocess.Popen[bytes]]) -> str:
    """Return the address of the scheduler once both workers are with it."""
    from distributed import Client

    while not place.is_file():
        assert all(part.poll() is None for part in parts)
        time.sleep(0.05)
    with Client(scheduler_file=str(place), set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        return str(client.scheduler.address)


def end(parts: list[subprocess.Popen[bytes]]) -> None:
    for part in reversed(parts):
        part.kill()
    for part in parts:
        part.wait()


def test_the_example_of_the_page_runs(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = make_fleet(tmp_path / "fleet", 4)
    page = (ROOT / "docs" / "fleets.md").read_text(encoding="utf-8")
    exec(blocks("python", page)[1], {"address": cluster.address, "paths": [*fleet]})
    told = {line.rpartition(" ")[0] for line in capsys.readouterr().out.splitlines()}
    assert told == set(fleet)


def test_the_command_takes_the_address(cluster: Cluster, tmp_path: Path, run: Run) -> None:
    fleet = make_fleet(tmp_path / "fleet", 16)
    (tmp_path / "list").write_text("\n".join(fleet))
    out = tmp_path / "out.jsonl"
    words = ("scan", "--from-file", tmp_path / "list", "-o", out)
    assert run(*words, "--dask", cluster.address).status == 1
    assert_told(read_records(str(out)), fleet)
    assert timeless(read_records(str(out))) == timeless(map(scan_one, fleet))


def test_a_worker_that_is_killed_costs_no_record(
    cluster: Cluster, fleet: Fleet, expected: list[dict[str, Any]]
) -> None:
    """The last test, since one worker is left after it."""
    records = []
    with dask_workers(cluster.address) as (executor, threads):
        assert threads == 2
        for record in scan(fleet, executor=executor):
            records.append(record)
            if len(records) == 50:
                os.kill(cluster.workers[0].pid, signal.SIGKILL)
    assert cluster.workers[0].wait() == -signal.SIGKILL
    assert cluster.workers[1].poll() is None
    assert timeless(records) == expected
