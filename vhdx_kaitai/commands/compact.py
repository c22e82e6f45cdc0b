"""`compact`: the file of a disk becomes smaller, and the disk reads as before."""

from __future__ import annotations

import argparse
import os

from ..reading.disk import open_disk
from ..reading.image import Image
from ..reading.unused import left_alone
from ..showing.changed import changed_document, changed_text
from ..storage.urls import refuse_url
from ..writing.compact import compact
from .arguments import Parser, add_file, add_parents, file_name, parent_options
from .changing import (
    StoppedError,
    add_changing,
    add_force_to_change,
    between_steps,
    conclude,
    tell_unlocked,
    wanted_lock,
)
from .output import complain, note, print_result
from .progress import progress
from .status import DONE


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    add_file(command)
    command.add_argument(
        "--free-space",
        action="store_true",
        help="blocks go, too, that ext2, ext3, ext4 or NTFS on the disk has free",
    )
    command.add_argument(
        "--punch",
        action="store_true",
        help="make holes in the file of what reads as zeros, or belongs to nothing, too",
    )
    command.add_argument(
        "--to",
        metavar="NEW",
        type=file_name,
        help="make a packed copy, blocks in the order of the disk; FILE stays as it is",
    )
    add_force_to_change(command)
    add_changing(command)
    add_parents(command, may_lack=False)


def run(arguments: argparse.Namespace) -> int:
    """Make the file smaller, and check the image then."""
    refuse_url(arguments.file)
    try:
        with (
            progress(arguments, os.path.getsize(arguments.file)) as told,
            between_steps(told) as step,
        ):
            outcome = compact(
                arguments.file,
                free_space=arguments.free_space,
                punch=arguments.punch,
                to=arguments.to,
                force=arguments.force,
                dry_run=arguments.dry_run,
                lock=wanted_lock(arguments),
                progress=step,
                **parent_options(arguments),
            )
    except StoppedError as error:
        complain(arguments.file, "stopped; the disk reads as before, and the image is in order")
        return error.status
    if arguments.free_space:
        with open_disk(arguments.file, **parent_options(arguments)) as disk:
            for sentence in left_alone(disk):
                note(arguments, arguments.file, sentence)
    with Image(arguments.file) as image:
        if image.metadata.disk_type == "fixed":
            note(arguments, arguments.file, "a fixed disk keeps all of its blocks")
    if arguments.to is None:
        tell_unlocked(arguments, outcome.is_locked or not outcome.is_changed)
    else:
        arguments.file = arguments.to
    report, status = conclude(arguments) if outcome.is_changed else (None, DONE)
    verdict = report.verdict if report is not None else None
    document = changed_document(arguments.file, outcome, arguments.dry_run, verdict)
    print_result(arguments, document, changed_text)
    return status
