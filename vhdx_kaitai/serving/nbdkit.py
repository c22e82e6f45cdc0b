"""The command lines of nbdkit and nbdfuse, by which a disk is served, and what these need.

nbdkit runs our plugin in the Python that it was built with. That finds this package, and what it
needs, where this process has found them.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any
from urllib.parse import quote

from ..errors import UnsupportedError

PLUGIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "plugin.py")
_LEAST_PYTHON = (3, 11)

# What to install where a program is missing: Debian's packages, and Fedora's.
_PACKAGES = {
    "nbdkit": ("nbdkit nbdkit-plugin-python", "nbdkit nbdkit-python-plugin"),
    "nbdfuse": ("libnbd-bin fuse3", "nbdfuse fuse3"),
}

# Requests of a connection that are worked on at once. More only wait for each other in Python.
_THREADS = "2"

LOOPBACK = "127.0.0.1"


def refuse_without(program: str) -> None:
    """Raise when a program is missing, or the part of nbdkit that runs plugins in Python.

    Args:
        program: `nbdkit` or `nbdfuse`.

    Raises:
        UnsupportedError: It is; the message says what to install.
    """
    words = {"nbdkit": ["--dump-plugin", "python"], "nbdfuse": ["--version"]}[program]
    try:
        done = subprocess.run(
            [program, *words], capture_output=True, check=False, encoding="utf-8", errors="replace"
        )
    except FileNotFoundError:
        raise _missing(program, f"{program} is not installed") from None
    if program == "nbdfuse":
        return
    version = re.search(r"^python_version=(\d+)\.(\d+)", done.stdout, re.MULTILINE)
    if version is None:
        raise _missing(program, "nbdkit runs no plugins in Python")
    if tuple(map(int, version.groups())) < _LEAST_PYTHON:
        wanted = ".".join(map(str, _LEAST_PYTHON))
        found = ".".join(version.groups())
        raise UnsupportedError(f"nbdkit runs plugins in Python {found}, expected {wanted} or later")


def _missing(program: str, what: str) -> UnsupportedError:
    debian, fedora = _PACKAGES[program]
    return UnsupportedError(f"{what}: `apt install {debian}`, or on Fedora `dnf install {fedora}`")


def environment() -> dict[str, str]:
    """Return the environment in which the plugin finds this package and what it needs."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(PLUGIN)))
    runtime = find_spec("kaitaistruct")
    folders = [package, *([os.path.dirname(runtime.origin)] if runtime and runtime.origin else [])]
    # Whatever the locale, names of files are UTF-8 as nbdkit hands them over.
    wanted = {"PYTHONPATH": os.pathsep.join(dict.fromkeys(folders)), "PYTHONUTF8": "1"}
    return {key: value for key, value in os.environ.items() if key != "PYTHONHOME"} | wanted


def serving(
    path: str,
    options: Mapping[str, Any],
    *how: str,
    partition: int | None = None,
) -> list[str]:
    """Return the command line of nbdkit that serves a disk.

    Args:
        path: The image.
        options: Arguments of `vhdx_kaitai.open`.
        *how: Options of nbdkit that say to whom.
        partition: The number of the one partition that is served.

    Raises:
        UnsupportedError: nbdkit takes no such name.
    """
    words = ["nbdkit", "--exit-with-parent", "--threads", _THREADS, *how]
    if not options.get("writable"):
        words.append("--read-only")
    if partition is not None:
        words.append("--filter=partition")
    words += ["python", PLUGIN, f"file={path}", *_settings(options)]
    if partition is not None:
        words.append(f"partition={partition}")
    try:
        "".join(words).encode()
    except UnicodeEncodeError:
        raise UnsupportedError("nbdkit takes no names that are not UTF-8") from None
    return words


def _settings(options: Mapping[str, Any]) -> list[str]:
    """Return options as words, those that are lists item by item."""
    words = []
    for key, value in options.items():
        for item in value if isinstance(value, list) else [value]:
            words.append(f"{key}={str(item).lower() if isinstance(item, bool) else item}")
    return words


def mounting(file: str, server: Sequence[str], *how: str) -> list[str]:
    """Return the command line of nbdfuse that shows a disk as a file.

    Args:
        file: Where: the file of that name, in a folder that is there.
        server: What `serving` returned.
        *how: Options of nbdfuse.
    """
    return ["nbdfuse", *how, file, "--command", *server]


def port_uri(port: int) -> str:
    """Return the URI of what is served at a port of this machine."""
    return f"nbd://{LOOPBACK}:{port}"


def socket_uri(path: str) -> str:
    """Return the URI of what is served at a Unix socket."""
    return f"nbd+unix:///?socket={quote(os.path.abspath(path))}"
