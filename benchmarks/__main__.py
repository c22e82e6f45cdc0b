"""Runs benchmarks and prints their table: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from . import (
    changing,
    checking,
    converting,
    creating,
    hashing,
    mapping,
    opening,
    reading,
    remote,
    reporting,
    scanning,
    serving,
    writing,
)
from .framework import Benchmark, Table, run

BENCHMARKS: dict[str, Benchmark] = {
    **opening.BENCHMARKS,
    **reading.BENCHMARKS,
    **converting.BENCHMARKS,
    **creating.BENCHMARKS,
    **hashing.BENCHMARKS,
    **mapping.BENCHMARKS,
    **checking.BENCHMARKS,
    **reporting.BENCHMARKS,
    **remote.BENCHMARKS,
    **scanning.BENCHMARKS,
    **writing.BENCHMARKS,
    **changing.BENCHMARKS,
    **serving.BENCHMARKS,
}

_ROOT = Path(__file__).parent.parent
_PACKAGES = ("vhdx-kaitai", "libvhdi-python", "dissect.hypervisor")

_BUSY = 0.7  # processes that want to run, before the first benchmark does


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="What a VHDX costs its readers and writers, against others. A goal that is"
        " missed is no failure, unless --strict; on a busy machine look at the column +/-.",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="benchmarks whose names begin so; all by default"
    )
    parser.add_argument("--list", action="store_true", help="list the benchmarks and stop")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="small images and few rounds, which say little about the goals",
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a goal is missed")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures there, too")
    parser.add_argument(
        "--folder",
        type=Path,
        default=_ROOT / "build" / "bench",
        help="where images are made, up to 7 GiB at a time, and removed (%(default)s)",
    )
    return parser


def _environment() -> dict[str, object]:
    """Return what the figures depend on."""
    versions: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    qemu = shutil.which("qemu-img")
    if qemu:
        text = subprocess.run(
            [qemu, "--version"], capture_output=True, text=True, check=False
        ).stdout
        versions["qemu-img"] = text.splitlines()[0].removeprefix("qemu-img version ")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "versions": versions,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for and return the exit status."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    names = [
        name
        for name in BENCHMARKS
        if not arguments.names or any(name.startswith(wanted) for wanted in arguments.names)
    ]
    for wanted in arguments.names:
        if not any(name.startswith(wanted) for name in BENCHMARKS):
            parser.error(f"no benchmark begins with {wanted!r}; --list shows them")
    if arguments.list:
        for name in names:
            print(f"{name:<16} {(BENCHMARKS[name].__doc__ or '').splitlines()[0]}")
        return 0
    environment = _environment()
    versions = environment["versions"]
    assert isinstance(versions, dict)
    print(f"Python {environment['python']}, {environment['processors']} processors;", end=" ")
    print(", ".join(f"{name} {version or '(absent)'}" for name, version in versions.items()))
    if hasattr(os, "getloadavg") and os.getloadavg()[0] > _BUSY:
        print(f"The machine is busy (load {os.getloadavg()[0]:.1f}): figures will scatter.")
    table = Table()
    table.head()
    start = time.monotonic()
    try:
        chosen = {name: BENCHMARKS[name] for name in names}
        run(chosen, arguments.folder, table, is_quick=arguments.quick)
    except KeyboardInterrupt:
        table.note("interrupted")
    print(f"\n{table.summary()}, in {time.monotonic() - start:.0f} s")
    if arguments.json:
        document = {**environment, "quick": arguments.quick, "rows": table.as_json()}
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")
    return int(arguments.strict and not table.is_good)


if __name__ == "__main__":
    sys.exit(main())
