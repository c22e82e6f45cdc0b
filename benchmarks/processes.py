"""Whole processes: how long they take and how much memory they need at their peak.

The peak of a process that was started by a large one is that of the large one: the system counts
what the process was before it became another program. So a small launcher stands between.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .framework import AbsentError, FailedError, Runner

# Variables that would make Python start or print more slowly than it does for users.
_UNWANTED = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONDEVMODE", "PYTHONTRACEMALLOC")

USAGE = 64  # exit status of `vhdx-kaitai` for options that it does not know

# Arguments: where standard output goes, the program, its arguments.
_LAUNCHER = """
import os, sys, time
output = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
start = time.perf_counter()
pid = os.posix_spawn(
    sys.argv[2], sys.argv[2:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, output, 1)]
)
_, status, usage = os.wait4(pid, 0)
seconds = time.perf_counter() - start
processor = usage.ru_utime + usage.ru_stime
print(seconds, processor, usage.ru_maxrss, os.waitstatus_to_exitcode(status))
"""


class Usage(NamedTuple):
    """What a process took.

    Attributes:
        seconds: From its start to its end.
        processor: Seconds of processor time, its own and the system's for it.
        peak: Most memory it had resident, in bytes.
    """

    seconds: float
    processor: float
    peak: float


def run(argv: Sequence[str], output: str | os.PathLike[str] = os.devnull) -> Usage:
    """Run a program and return what it took.

    Args:
        argv: Path of the program and its arguments.
        output: A file for its standard output.

    Raises:
        AbsentError: It does not know its arguments, or the system cannot measure processes.
        FailedError: It failed.
    """
    if not hasattr(os, "wait4") or not hasattr(os, "posix_spawn"):
        raise AbsentError("this system does not tell what a process used")
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, os.fspath(output), *argv]
    result = _output_of(launcher)
    words = result.stdout.split()
    if len(words) != 4 or words[3] != "0":
        if words[3:] == [str(USAGE)]:
            words = [word for word in argv[1:] if not os.path.isabs(word)]
            raise AbsentError(f"this version does not know `{' '.join(words)}`")
        raise FailedError(f"{' '.join(argv)}: {_last_line(result.stderr)}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Usage(float(words[0]), float(words[1]), float(words[2]) * unit)


def seconds(argv: Sequence[str]) -> Runner:
    """Return a runner that tells how long a program takes."""
    return lambda: run(argv).seconds


def peak(argv: Sequence[str]) -> Runner:
    """Return a runner that tells how much memory a program needs at its peak."""
    return lambda: run(argv).peak


def vhdx_kaitai(*arguments: str | os.PathLike[str]) -> list[str]:
    """Return the command line of `vhdx-kaitai` as users have it."""
    beside = Path(interpreter()[0]).with_name("vhdx-kaitai")
    found = str(beside) if beside.exists() else shutil.which("vhdx-kaitai")
    if found is None:
        raise AbsentError("the command vhdx-kaitai is not installed")
    return [found, *(os.fspath(argument) for argument in arguments)]


def interpreter() -> list[str]:
    """Return the Python of an environment with nothing but what users install, and its options.

    `make bench` names its folder in USERS_BIN; otherwise it is the one that runs this.
    """
    folder = os.environ.get("USERS_BIN")
    python = str(Path(folder).resolve() / "python") if folder else sys.executable
    return [python, "-P"]  # or it would import from the folder that it is started in


def program(name: str, *arguments: str | os.PathLike[str]) -> list[str]:
    """Return the command line of a program, or say that it is absent."""
    found = shutil.which(name)
    if found is None:
        raise AbsentError("not installed")
    return [found, *(os.fspath(argument) for argument in arguments)]


def growth(action: str, *arguments: str | os.PathLike[str] | int) -> float:
    """Return by how many bytes memory grows during an action of `benchmarks.growth`."""
    words = [str(argument) for argument in arguments]
    root = Path(__file__).parent.parent
    argv = [sys.executable, "-m", f"{__package__}.growth", action, *words]
    result = _output_of(argv, root)
    if result.returncode:
        raise FailedError(f"{' '.join(argv)}: {_last_line(result.stderr)}")
    return float(result.stdout)


def _output_of(argv: Sequence[str], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in _UNWANTED}
    return subprocess.run(
        argv, capture_output=True, text=True, check=False, cwd=folder, env=environment
    )


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]
