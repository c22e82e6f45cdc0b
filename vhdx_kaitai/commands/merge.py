"""`merge`: what a child holds gets into its parent, or an ancestor."""

from __future__ import annotations

import argparse

from ..reading.disk import open_disk
from ..showing.changed import changed_document, changed_text
from ..storage.urls import refuse_url
from ..writing.merge import depth_of, merge
from ..writing.naming import leads_out
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
from .output import complain, note, print_result, tell_unused
from .progress import progress
from .status import DONE


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("file", metavar="CHILD", help="the child, which reads as before")
    command.add_argument(
        "--into",
        metavar="ANCESTOR",
        help="merge into this parent of a parent, and all between with the child",
    )
    command.add_argument(
        "--delete",
        action="store_true",
        help="remove at the end what was merged; else the child stays, a child of ANCESTOR",
    )
    add_force_to_change(command)
    add_changing(command)
    add_parents(command, may_lack=False)


def run(arguments: argparse.Namespace) -> int:
    """Merge, and check then what was merged into."""
    child, options = arguments.file, parent_options(arguments)
    refuse_url(child)
    with open_disk(child, **options) as disk:
        tell_unused(arguments, [disk.unused])
        total = disk.size
        target = str(disk.chain[depth_of(disk, arguments.into)].path)
    try:
        with progress(arguments, total) as told, between_steps(told) as step:
            outcome = merge(
                child,
                into=arguments.into,
                delete=arguments.delete,
                force=arguments.force,
                dry_run=arguments.dry_run,
                lock=wanted_lock(arguments),
                progress=step,
                **options,
            )
    except StoppedError as error:
        complain(child, "stopped: it reads as before; the same again goes on")
        return error.status
    arguments.file = target
    if arguments.into is not None and not arguments.delete and leads_out(child, target):
        message = "its parent is not in its folder now, nor below"
        note(arguments, child, f"{message}: readers need --follow-absolute, --search or --parent")
    tell_unlocked(arguments, outcome.is_locked)
    report, status = conclude(arguments) if outcome.is_changed else (None, DONE)
    verdict = report.verdict if report is not None else None
    document = changed_document(target, outcome, arguments.dry_run, verdict)
    print_result(arguments, document, changed_text)
    return status
