"""Serving a disk over NBD, against `qemu-nbd`, with the same clients."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from . import images, processes
from .framework import OURS, AbsentError, Bench, Benchmark, FailedError, Runner, at_least
from .images import KIB, Made
from .reading import dense, half_empty

_QEMU = "qemu-nbd"
_DEPTH = 8
_SMALL = 4 * KIB
# Far from each other, so that none is read ahead of.
_STEP = 1028 * KIB

_SEQUENTIAL = [at_least(0.9, _QEMU)]
_AT_DEPTH = [at_least(0.6, _QEMU)]


def serve_dynamic(bench: Bench) -> None:
    """A dense dynamic image: all of it with 4 connections, and 4 KiB at depth 8."""
    _race(bench, dense(bench), "dynamic")


def serve_half_empty(bench: Bench) -> None:
    """Every second block absent, which a client hears of and does not read."""
    _race(bench, half_empty(bench), "half-empty")


def _race(bench: Bench, made: Made, name: str) -> None:
    images.warm(made)
    servers = {OURS: _ours(made.path), _QEMU: _qemu(made.path, "vhdx")}
    rounds = bench.pick(9, 3)
    with _servers(bench, servers) as uris:
        runners = {
            server: processes.seconds(_client("nbdcopy", "--connections=4", uri, "null:"))
            for server, uri in uris.items()
        }
        bench.race(f"4 connections, {name}", runners, _SEQUENTIAL, rounds=rounds, unit="s")
        count = bench.pick(20_000, 2000)
        words = ("-f", "raw", "-c", count, "-d", _DEPTH, "-s", _SMALL, "-S", _STEP)
        runners = {
            server: _scaled(processes.seconds(_client("qemu-img", "bench", *words, uri)), count)
            for server, uri in uris.items()
        }
        task = f"4 KiB at depth {_DEPTH}, {name}"
        bench.race(task, runners, _AT_DEPTH, rounds=rounds, unit="us")


def _client(program: str, *words: object) -> list[str]:
    return processes.program(program, *map(str, words))


def _scaled(runner: Runner, count: int) -> Runner:
    return lambda: runner() / count


def _ours(path: Path) -> list[str]:
    return [*processes.vhdx_kaitai("serve", "--quiet", path), "--socket"]


def _qemu(path: Path, kind: str) -> list[str]:
    words = ("--read-only", "--persistent", "--shared=8", "-f", kind, path, "--socket")
    return processes.program("qemu-nbd", *map(str, words))


@contextmanager
def _servers(bench: Bench, commands: Mapping[str, Sequence[str]]) -> Iterator[dict[str, str]]:
    """Run servers, and yield the URI of each."""
    with ExitStack() as stack:
        makers = {
            name: partial(_started, stack, [*command, str(bench.folder / f"{number}.sock")])
            for number, (name, command) in enumerate(commands.items())
        }
        yield bench.present(makers)


def _started(stack: ExitStack, command: Sequence[str]) -> str:
    process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.DEVNULL))
    stack.callback(process.terminate)
    socket = Path(command[-1])
    for _ in range(200):
        if socket.exists():
            return f"nbd+unix:///?socket={socket}"
        if process.poll() is not None:
            raise AbsentError("it does not serve")
        time.sleep(0.05)
    raise FailedError(f"{command[0]} does not begin to serve")


BENCHMARKS: dict[str, Benchmark] = {
    "serve-dynamic": serve_dynamic,
    "serve-half-empty": serve_half_empty,
}
