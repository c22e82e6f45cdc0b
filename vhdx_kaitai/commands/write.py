"""`write`: a range of the disk gets other contents, in the image as it stands."""

from __future__ import annotations

import argparse
import contextlib
import os
import stat
from contextlib import closing

from ..errors import VhdxError
from ..records import TYPE_CHECKING
from ..showing.written import written_document, written_text
from ..text import counted
from ..writing.disk import WritableDisk, open_writable
from ..writing.editor import survey_to_begin
from ..writing.filling import fill_from, fill_with_nothing, readinto_of, refuse_input
from ..writing.guards import refuse_what_others_need
from .arguments import Parser, add_parents, add_range, parent_options
from .changing import (
    StoppedError,
    add_changing,
    add_force_to_change,
    between_steps,
    conclude,
    tell_unlocked,
    wanted_lock,
)
from .disks import chosen_range
from .output import complain, print_result, tell_unused
from .progress import progress
from .streams import standard_input

if TYPE_CHECKING:
    from io import BufferedReader


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("file", metavar="FILE", help="the VHDX file that is changed")
    what = command.add_mutually_exclusive_group()
    what.add_argument(
        "-i",
        "--input",
        metavar="IN",
        default="-",
        help="the bytes to write, from a file; - is standard input, and taken by default",
    )
    what.add_argument(
        "--zero",
        action="store_true",
        help="let the range of --length bytes read as zeros; whole blocks of it give their space"
        " back",
    )
    what.add_argument(
        "--discard",
        action="store_true",
        help="give the space of whole blocks of the range back, which read as zeros then; leave the"
        " rest alone",
    )
    add_range(command)
    add_force_to_change(command)
    add_changing(command)
    add_parents(command, may_lack=False)
    command.set_defaults(misused=command.error)


def run(arguments: argparse.Namespace) -> int:
    """Write to a range of the disk, and check the image then."""
    kind = "zero" if arguments.zero else "discard" if arguments.discard else "data"
    if kind != "data" and arguments.length is None:
        arguments.misused(f"--{kind} needs --length, so that the whole disk is no accident")
    stopped: StoppedError | None = None
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(_open_input(arguments.input)) if kind == "data" else None
        options = parent_options(arguments)
        disk = stack.enter_context(
            open_writable(arguments.file, lock=wanted_lock(arguments), **options)
        )
        tell_unused(arguments, [disk.unused])
        if not arguments.force:
            refuse_what_others_need(disk.image)
        offset, length = _range(arguments, disk, source)
        survey_to_begin(disk.image)
        is_locked = disk.is_locked
        if not arguments.dry_run:
            try:
                length = _fill(arguments, disk, source, kind, offset, length)
            except StoppedError as error:
                stopped, length = error, error.done
    tell_unlocked(arguments, is_locked)
    report, status = conclude(arguments)
    document = written_document(
        arguments.file,
        kind,
        offset,
        length,
        dry_run=arguments.dry_run,
        locked=is_locked,
        verdict=report.verdict,
    )
    print_result(arguments, document, written_text)
    if stopped is not None:
        how_far = f"stopped after {counted(stopped.done, 'byte')}; the image is in order"
        complain(arguments.file, how_far)
        return stopped.status
    return status


def _open_input(name: str) -> contextlib.AbstractContextManager[BufferedReader]:
    """Return what is read; standard input stays open."""
    return contextlib.nullcontext(standard_input()) if name == "-" else open(name, "rb")


def _range(
    arguments: argparse.Namespace, disk: WritableDisk, source: BufferedReader | None
) -> tuple[int, int | None]:
    """Return offset and length of what is to be written; None when only the input knows.

    Raises:
        VhdxError: The disk ends before it.
        OSError: The input is one of the images.
    """
    if source is None:
        return chosen_range(arguments, disk.size)
    refuse_input(disk, source)
    length: int | None = arguments.length
    left = _left_of(source)
    if left is not None:
        length = left if length is None else min(length, left)
    end = arguments.offset + (length or 0)
    if end > disk.size:
        raise VhdxError(f"{end} is past the end of the disk at {disk.size}; nothing was written")
    return arguments.offset, length


def _left_of(source: BufferedReader) -> int | None:
    """Return how many bytes there are to be read; None when nobody knows that before."""
    status = os.fstat(source.fileno())
    if not stat.S_ISREG(status.st_mode):
        return None
    left = status.st_size - source.tell()
    if left <= 0:  # so it is, or the system makes the bytes only when they are read
        return None if source.peek(1) else 0
    return left


def _fill(
    arguments: argparse.Namespace,
    disk: WritableDisk,
    source: BufferedReader | None,
    kind: str,
    offset: int,
    length: int | None,
) -> int:
    """Fill the range, close the disk, and return how many bytes were written.

    Raises:
        StoppedError: Somebody has asked for the end; what was written is on the medium.
    """
    total = disk.size - offset if length is None else length
    with progress(arguments, total) as told, between_steps(told) as step, closing(disk):
        if source is not None:
            return fill_from(disk, step.reading(readinto_of(source)), offset, length, step)
        fill_with_nothing(disk.zero if kind == "zero" else disk.discard, offset, total, step)
        return total
