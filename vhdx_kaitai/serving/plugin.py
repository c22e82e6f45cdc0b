"""What nbdkit runs: a virtual disk, read and written where it is.

    PYTHONPATH=... nbdkit python .../vhdx_kaitai/serving/plugin.py file=disk.vhdx [KEY=VALUE...]

The keys are the arguments of `vhdx_kaitai.open`: `parent` and `search` as often as wanted,
`writable=true`, `replay=ignore`. `vhdx-kaitai serve` knows them all, and refuses before what
cannot be served.

This runs in the Python that nbdkit was built with, which need not be that of the package:
nothing compiled is needed. nbdkit makes a flush of what a client wants to have on the medium
at once (FUA), and splits what is longer than 64 MiB.
"""

from __future__ import annotations

import errno
import os
import site
from collections.abc import Callable
from functools import wraps
from itertools import islice
from typing import Any

import nbdkit

# A package that is installed to be edited is found by a file beside the others, which Python
# reads in folders for packages, and not in those of PYTHONPATH.
for _folder in filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)):
    site.addsitedir(_folder)

from vhdx_kaitai.errors import VhdxError  # noqa: E402 # found in these folders
from vhdx_kaitai.writing import opening  # noqa: E402

API_VERSION = 2

_PATHS = ("parent", "search")
_SWITCHES = {"true": True, "false": False}
_MOST_EXTENTS = 1 << 16  # in an answer; who wants more asks again
_LONGEST = (1 << 32) - 1  # any length will do

_options: dict[str, Any] = {}
_disks: list[Any] = []  # the one that is served, when it is open


def thread_model() -> int:
    """Return that requests are answered by many threads at once, on each connection."""
    model: int = nbdkit.THREAD_MODEL_PARALLEL
    return model


def config(key: str, value: str) -> None:
    """Take an option. nbdkit may go to another folder afterwards, so paths are made whole."""
    if key in _PATHS:
        _options.setdefault(key, []).append(os.path.abspath(value))
    elif key == "file":
        _options["source"] = os.path.abspath(value)
    else:
        _options[key] = _SWITCHES.get(value, value)


def config_complete() -> None:
    """Refuse to begin without a file."""
    if "source" not in _options:
        raise ValueError("which disk? file=disk.vhdx is missing")


def after_fork() -> None:
    """Open the disk, in the process that serves it."""
    _disks.append(opening.open(**_options))


def cleanup() -> None:
    """Flush and close the disk, after the last connection has ended."""
    while _disks:
        _disks.pop().close()


def open(_is_readonly: bool) -> Any:
    """Return the disk, which is the same for all connections."""
    return _disks[0]


def get_size(disk: Any) -> int:
    """Return the size of the disk in bytes."""
    size: int = disk.size
    return size


def block_size(disk: Any) -> tuple[int, int, int]:
    """Return the shortest request, that which is best, and the longest, in bytes."""
    return 1, disk.physical_sector_size, _LONGEST


def can_multi_conn(_disk: Any) -> bool:
    """Return that a flush on one connection counts for all of them."""
    return True


def can_write(_disk: Any) -> bool:
    """Return whether the disk was opened to be written to."""
    return bool(_options.get("writable"))


def _telling(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return a call whose errors nbdkit logs without the way through the program.

    The client hears which error of the system it was; all else is an EIO.
    """

    @wraps(call)
    def told(*arguments: Any) -> Any:
        try:
            return call(*arguments)
        except (VhdxError, OSError) as error:
            nbdkit.set_error(getattr(error, "errno", None) or errno.EIO)
            raise error.with_traceback(None) from None

    return told


@_telling
def pread(disk: Any, buffer: Any, offset: int, _flags: int) -> None:
    """Fill the client's buffer in place."""
    disk.readinto_at(buffer, offset)


@_telling
def extents(disk: Any, count: int, offset: int, flags: int) -> list[tuple[int, int, int]]:
    """Return what reads as zeros; what is lost is called data, so that reading it fails."""
    zeros = nbdkit.EXTENT_HOLE | nbdkit.EXTENT_ZERO
    most = 1 if flags & nbdkit.FLAG_REQ_ONE else _MOST_EXTENTS
    return [
        (extent.offset, extent.length, zeros if extent.kind == "zero" else 0)
        for extent in islice(disk.extents(offset, count), most)
    ]


@_telling
def pwrite(disk: Any, buffer: Any, offset: int, _flags: int) -> None:
    """Write what the client sent."""
    disk.pwrite(buffer, offset)


@_telling
def zero(disk: Any, count: int, offset: int, flags: int) -> None:
    """Let a range read as zeros; its space is given back where the client allows that."""
    if flags & nbdkit.FLAG_MAY_TRIM:
        disk.zero(offset, count)
    else:
        nbdkit.set_error(errno.EOPNOTSUPP)  # nbdkit writes zeros then, which keep their space


@_telling
def trim(disk: Any, count: int, offset: int, _flags: int) -> None:
    """Give back what nobody needs any more."""
    disk.discard(offset, count)


@_telling
def flush(disk: Any, _flags: int) -> None:
    """Return when all that was written is on the medium."""
    disk.flush()
