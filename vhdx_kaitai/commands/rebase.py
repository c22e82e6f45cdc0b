"""`rebase`: a child gets another parent, or another way to the one that it has."""

from __future__ import annotations

import argparse

from ..reading.image import Image
from ..showing.changed import changed_document, changed_text
from ..writing.rebase import rebase
from .arguments import Parser, add_parents, parent_options
from .changing import (
    StoppedError,
    add_changing,
    add_force_to_change,
    between_steps,
    conclude,
    tell_unlocked,
    wanted_lock,
)
from .output import complain, print_result
from .progress import progress
from .status import DONE


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("file", metavar="CHILD", help="the child, whose parent locator changes")
    command.add_argument(
        "new_parent", metavar="PARENT", help="its parent from now on, which is only read"
    )
    what = command.add_mutually_exclusive_group()
    what.add_argument(
        "--copy",
        action="store_true",
        help="the disk stays as it reads: copy what the new parent has otherwise into the child;"
        " --parent and --search say where the old ones are",
    )
    what.add_argument(
        "--ignore-mismatch",
        action="store_true",
        help="take a parent that the child was not made for, as it is",
    )
    add_force_to_change(command)
    add_changing(command)
    add_parents(command, may_lack=False)


def run(arguments: argparse.Namespace) -> int:
    """Give a child its parent, and check the child then."""
    with Image(arguments.file) as image:
        total = image.metadata.virtual_disk_size if arguments.copy else 0
    options = parent_options(arguments)
    try:
        with progress(arguments, total) as told, between_steps(told) as step:
            outcome = rebase(
                arguments.file,
                arguments.new_parent,
                ignore_mismatch=arguments.ignore_mismatch,
                copy=arguments.copy,
                force=arguments.force,
                dry_run=arguments.dry_run,
                lock=wanted_lock(arguments),
                progress=step,
                **options,
            )
    except StoppedError as error:
        complain(arguments.file, "stopped: it reads as before, and has its old parent")
        return error.status
    tell_unlocked(arguments, outcome.is_locked)
    report, status = conclude(arguments) if outcome.is_changed else (None, DONE)
    verdict = report.verdict if report is not None else None
    document = changed_document(arguments.file, outcome, arguments.dry_run, verdict)
    print_result(arguments, document, changed_text)
    return status
