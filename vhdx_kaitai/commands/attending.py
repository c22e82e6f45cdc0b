"""What commands have in common that serve a disk to other programs, until they are asked to end.

What can be refused is refused before the server starts. That opens the disk on its own.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..errors import UnsupportedError, VhdxError
from ..reading.disk import Disk
from ..reading.partitions import partition_table
from ..serving.nbdkit import environment, refuse_without, serving
from ..storage.urls import is_url, shown
from ..writing.disk import WritableDisk, open_writable
from ..writing.editor import survey_to_begin
from ..writing.guards import refuse_what_others_need
from .arguments import Parser, add_file, add_parents, add_rescue, number, parent_options
from .changing import add_force_to_change, add_no_lock, conclude, wanted_lock
from .disks import conclude_salvage, open_disk, opening_options, tell_in_passing
from .interrupts import hearing
from .output import complain, note, tell_unused
from .status import DONE, FAILED

_SECTOR_OF_PARTITIONS = 512  # in which nbdkit looks for them

End = Callable[["subprocess.Popen[bytes]"], object]


def add_serving(command: Parser) -> None:
    """Add what all of them take."""
    add_file(command)
    command.add_argument(
        "--writable",
        action="store_true",
        help="let others write to the disk, in the image as it is",
    )
    command.add_argument(
        "--partition", type=number, metavar="N", help="the one partition of this number, from 1 on"
    )
    add_force_to_change(command)
    add_no_lock(command)
    add_parents(command)
    add_rescue(command, has_map=False)


@contextlib.contextmanager
def opened(arguments: argparse.Namespace) -> Iterator[Disk]:
    """Yield the disk that is to be served, after all was refused and told that there is.

    Raises:
        UnsupportedError: nbdkit is missing, or does not find partitions on such a disk.
        VhdxError: It cannot be served as was asked for.
    """
    refuse_without("nbdkit")
    for path in (arguments.file, *arguments.parent, *arguments.search):
        if is_url(path):  # what reads one takes more than nbdkit's Python has
            raise UnsupportedError(f"only local files are served: {shown(path)} is a URL")
    with _open_writable(arguments) if arguments.writable else open_disk(arguments) as disk:
        if isinstance(disk, WritableDisk):
            _refuse_to_change(arguments, disk)
        elif arguments.salvage:
            conclude_salvage(arguments, disk, 0, disk.size)
        else:
            tell_in_passing(arguments, disk, disk.size)
        if arguments.partition is not None:
            _refuse_partition(arguments.partition, disk)
        yield disk


def _open_writable(arguments: argparse.Namespace) -> WritableDisk:
    parents = parent_options(arguments)
    rest = {key: value for key, value in opening_options(arguments).items() if key not in parents}
    if not set(rest.values()) <= {True, "memory", "refuse"}:
        raise VhdxError("--writable takes no disk of which something is missing, lost or assumed")
    return open_writable(arguments.file, lock=wanted_lock(arguments), **parents)


def _refuse_to_change(arguments: argparse.Namespace, disk: WritableDisk) -> None:
    tell_unused(arguments, [disk.unused])
    if not arguments.force:
        refuse_what_others_need(disk.image)
    survey_to_begin(disk.image)
    if not (disk.is_locked or arguments.no_lock):
        note(arguments, arguments.file, "the file system has no locks: keep other programs away")


def _refuse_partition(partition: int, disk: Disk) -> None:
    if disk.logical_sector_size != _SECTOR_OF_PARTITIONS:
        size = disk.logical_sector_size
        raise UnsupportedError(f"nbdkit finds no partitions in sectors of {size} bytes")
    table = partition_table(disk)
    if table is None:
        raise VhdxError(f"no partition {partition}: there is no partition table")
    numbers = sorted(part.number for part in table.parts if part.number is not None)
    if not partition or (partition not in numbers and not table.doubt):
        there = f"there are: {', '.join(map(str, numbers))}" if numbers else "there is none"
        raise VhdxError(f"no partition {partition}: {there}")


def served_by(arguments: argparse.Namespace, *how: str) -> list[str]:
    """Return the command line of nbdkit that serves the disk.

    Args:
        arguments: What was asked for.
        *how: Options of nbdkit that say to whom.
    """
    options: dict[str, Any] = opening_options(arguments)
    if arguments.writable:
        options = {"writable": True, "lock": wanted_lock(arguments), **parent_options(arguments)}
    return serving(arguments.file, options, *how, partition=arguments.partition)


def attend(
    arguments: argparse.Namespace,
    server: Sequence[str],
    tell: Callable[[], object],
    end: End,
    clear: Callable[[], object] = lambda: None,
) -> int:
    """Run a server until it ends, or somebody asks for that, and return the exit status.

    Ctrl-C comes here alone, so that not all parts of a server end at once and in any order.

    Args:
        arguments: What was asked for.
        server: Its command line.
        tell: Is called when it can be reached.
        end: Asks it to end.
        clear: Takes away what it left when it has ended, which nobody can interrupt.
    """
    reading, writing = os.pipe()
    ready = ["--pidfile", f"/dev/fd/{writing}"]
    with subprocess.Popen(
        [server[0], *ready, *server[1:]],
        stdin=subprocess.DEVNULL,
        env=environment(),
        pass_fds=[writing],
        start_new_session=True,
    ) as process:
        os.close(writing)
        try:
            with hearing(lambda _number, _frame: process.poll() is None and end(process)):
                if os.read(reading, 1):
                    tell()
                process.wait()
                clear()
        except BaseException:
            process.terminate()
            raise
        finally:
            os.close(reading)
    return ended(arguments, server[0], process.returncode)


def ended(arguments: argparse.Namespace, name: str, status: int) -> int:
    """Return the exit status of a server that has ended; check the image that it wrote to.

    Args:
        arguments: What was asked for.
        name: What to call the server.
        status: Its own status, negative when a signal has ended it.
    """
    if status < 0:
        complain(arguments.file, f"{name} was ended by signal {-status}")
    checked = conclude(arguments)[1] if arguments.writable else DONE
    return FAILED if status < 0 else status or checked
