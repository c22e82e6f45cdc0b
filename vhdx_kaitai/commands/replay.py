"""`replay`: what the log holds gets into its place in the file."""

from __future__ import annotations

import argparse

from ..reading.image import Image
from ..showing.replay import outcome_document, outcome_text
from ..writing.replay import replay
from .arguments import Parser, add_file
from .changing import (
    StoppedError,
    add_changing,
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
    add_file(command)
    add_changing(command)


def run(arguments: argparse.Namespace) -> int:
    """Replay the log of a file, say what that changed, and check the image then."""
    with Image(arguments.file) as image:
        total = image.replayed.changed_bytes if image.replayed else 0
    lock, dry_run = wanted_lock(arguments), arguments.dry_run
    try:
        with progress(arguments, total) as told, between_steps(told) as step:
            outcome = replay(arguments.file, dry_run=dry_run, lock=lock, progress=step)
    except StoppedError as error:
        message = "stopped: the log is dirty still, nothing is lost, and replay can be run again"
        complain(arguments.file, message)
        return error.status
    tell_unlocked(arguments, outcome.is_locked)
    report, status = conclude(arguments) if outcome.is_changed else (None, DONE)
    verdict = report.verdict if report is not None else None
    document = outcome_document(arguments.file, outcome, dry_run, verdict)
    print_result(arguments, document, outcome_text)
    return status
