"""Programs that speak NBD, and what serves them."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket as sockets
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from tests.commands.launching import VHDX_KAITAI
from tests.reading_fixtures import program

# The Python of the distribution, which has libnbd, and is nbdkit's.
PYTHON = "/usr/bin/python3"


def _answers(*words: str) -> bool:
    """Tell whether a program is there and does what it is asked for."""
    if shutil.which(words[0]) is None:
        return False
    return subprocess.run(words, capture_output=True, check=False, timeout=60).returncode == 0


@cache
def has_nbdkit() -> bool:
    """Tell whether there is an nbdkit that runs plugins in Python."""
    return _answers("nbdkit", "--dump-plugin", "python")


@cache
def has_libnbd() -> bool:
    """Tell whether the distribution's Python has libnbd."""
    return _answers(PYTHON, "-c", "import nbd")


needs_nbdkit = pytest.mark.skipif(not has_nbdkit(), reason="nbdkit with Python is not installed")
needs_libnbd = pytest.mark.skipif(
    not (has_nbdkit() and has_libnbd()), reason="nbdkit or libnbd for Python is not installed"
)


def served_to(
    path: Path, command: str | Sequence[object], *options: object, check: bool = True
) -> subprocess.CompletedProcess[bytes]:
    """Serve a disk to a command of the shell, or to words, and return what became of it."""
    text = command if isinstance(command, str) else shlex.join(map(str, command))
    done = subprocess.run(
        [*VHDX_KAITAI, "serve", path, *map(str, options), "--run", text],
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert not check or done.returncode == 0, done.stderr.decode(errors="replace")
    return done


def script(text: str, *arguments: object) -> str:
    """Return the command that runs a script with libnbd; `h` is connected to the disk."""
    head = "import nbd, os, sys; h = nbd.NBD(); h.set_strict_mode(0); h.connect_uri(sys.argv[1])\n"
    words = shlex.join([PYTHON, "-c", head + text])
    return f'{words} "$uri" {shlex.join(map(str, arguments))}'


def nbd_map(path: Path, *options: object) -> list[tuple[int, int, bool]]:
    """Return what a client hears of a disk: offset, length, and whether it reads as zeros."""
    printed = served_to(path, 'nbdinfo --map --json "$uri"', *options).stdout
    rows = json.loads(printed)
    assert {row["type"] for row in rows} <= {0, 3}  # data, or a hole that reads as zeros
    return [(row["offset"], row["length"], row["type"] == 3) for row in rows]


def merged(rows: Sequence[tuple[int, int, bool]]) -> list[tuple[int, int, bool]]:
    """Return rows, neighbours of one kind as one."""
    found: list[tuple[int, int, bool]] = []
    for offset, length, is_zero in rows:
        if found and found[-1][2] == is_zero:
            found[-1] = (found[-1][0], found[-1][1] + length, is_zero)
        else:
            found.append((offset, length, is_zero))
    return found


@contextmanager
def serving(*words: object) -> Iterator[subprocess.Popen[str]]:
    """Run a command that serves a disk, once that is ready; kill what is left of it in the end."""
    with subprocess.Popen(
        [*VHDX_KAITAI, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"LC_ALL": "C.UTF-8"},
    ) as process:
        assert process.stdout is not None
        try:
            place = process.stdout.readline()
            assert place, process.communicate()[1]
            yield process
        finally:
            process.terminate()


def descendants(pid: int) -> Iterator[tuple[int, str]]:
    """Yield number and name of each process below another."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid,comm"], capture_output=True, text=True)
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()[1:]]
    for child, parent, name in rows:
        if int(parent) == pid:
            yield int(child), name
            yield from descendants(int(child))


def wait_until_gone(path: Path) -> None:
    """Wait until a file is not there any more."""
    for _ in range(100):
        if not path.exists():
            return
        time.sleep(0.05)
    pytest.fail(f"{path} is still there")


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="it is a file system of Linux")


@contextmanager
def served_by_qemu(path: Path, *options: str) -> Iterator[str]:
    """Let qemu-nbd serve an image, and yield the address once the image is open."""
    place = path.with_name("qemu-nbd.sock")
    words = [program("qemu-nbd"), "-t", *options, "-f", "vhdx", "-k", str(place), str(path)]
    with subprocess.Popen(words) as process:
        try:
            while not _greets(place):
                assert process.poll() is None
                time.sleep(0.01)
            yield f"nbd+unix:///?socket={place}"
        finally:
            process.terminate()
    place.unlink(missing_ok=True)


def _greets(place: Path) -> bool:
    """Tell whether a server greets: it may have made its socket before it opens what it serves."""
    with sockets.socket(sockets.AF_UNIX) as client:
        client.settimeout(60)
        try:
            client.connect(str(place))
        except OSError:
            return False
        return client.recv(8) == b"NBDMAGIC"
