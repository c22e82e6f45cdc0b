"""`replay`: what the log holds gets into its place in the file."""

from __future__ import annotations

import argparse

from ..showing.replay import outcome_document, outcome_text
from ..writing.replay import replay
from .arguments import Parser, add_file, add_json
from .output import note, print_result
from .status import DONE


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    add_file(command)
    command.add_argument(
        "--dry-run", action="store_true", help="say what would be changed, and change nothing"
    )
    add_json(command)


def run(arguments: argparse.Namespace) -> int:
    """Replay the log of a file, and say what that changed."""
    outcome = replay(arguments.file, dry_run=arguments.dry_run)
    if not (outcome.is_locked or arguments.dry_run):
        message = "the file system has no locks, so no other program was kept away"
        note(arguments, arguments.file, message)
    document = outcome_document(arguments.file, outcome, arguments.dry_run)
    print_result(arguments, document, outcome_text)
    return DONE
