"""`repair`: what is wrong with an image is put right, as far as the file says how."""

from __future__ import annotations

import argparse
import os

from ..rules import catalogue
from ..showing.repaired import repaired_document, repaired_text
from ..storage.urls import refuse_url
from ..writing.repair import repair, undo_repair
from .arguments import Parser, add_file, add_json, file_name
from .changing import StoppedError, between_steps, tell_unlocked, wanted_lock
from .output import complain, note, print_result
from .progress import progress
from .status import DONE, OF_VERDICT

_EPILOG = """\
the exit status is that of a check of the image as it is then

exit status:
  0 clean   3 usable, with warnings   2 corrupt: a rule refuses
  63 not a VHDX file   1 failed (I/O, permission, unsupported)
  64 usage   130 interrupted   141 the pipe's reader is gone
"""


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    add_file(command)
    command.add_argument(
        "--write", action="store_true", help="make the repairs; otherwise they are only listed"
    )
    command.add_argument(
        "--only", metavar="RULE[,RULE]", help="the rules that count; check says which are broken"
    )
    command.add_argument(
        "--undo", metavar="DUMP", type=file_name, help="save what is overwritten there (FILE.undo)"
    )
    command.add_argument(
        "--restore", metavar="DUMP", help="make the image what it was, by what --undo has saved"
    )
    command.add_argument(
        "--fill-cut",
        action="store_true",
        help="let the missing end of a block that was cut be zeros",
    )
    command.add_argument(
        "--forget-lost",
        action="store_true",
        help="give up blocks whose place is past the end of the file; they are listed",
    )
    command.add_argument(
        "--discard-log",
        action="store_true",
        help="give up a log of which nothing is valid; or what looks like one, without headers",
    )
    command.add_argument(
        "--split",
        action="store_true",
        help="give each of several blocks that share space a copy of its own; they are listed",
    )
    command.add_argument(
        "--force",
        action="store_true",
        help="do it although children of it, or records for backups, rely on the image; "
        "restore it although it was written to since",
    )
    command.add_argument(
        "--no-lock",
        action="store_true",
        help="do not lock the file; whoever else writes to it meanwhile destroys it",
    )
    add_json(command)
    command.epilog = _EPILOG
    command.set_defaults(misused=command.error)


def run(arguments: argparse.Namespace) -> int:
    """Plan repairs, make them if that is wanted, and check the image then."""
    refuse_url(arguments.file)
    if arguments.restore is not None:
        return _restore(arguments)
    only = _rules(arguments)
    try:
        with (
            progress(arguments, os.path.getsize(arguments.file)) as told,
            between_steps(told) as step,
        ):
            outcome = repair(
                arguments.file,
                write=arguments.write,
                only=only,
                undo=arguments.undo,
                fill_cut=arguments.fill_cut,
                forget_lost=arguments.forget_lost,
                discard_log=arguments.discard_log,
                split=arguments.split,
                force=arguments.force,
                lock=wanted_lock(arguments),
                progress=step,
            )
    except StoppedError as error:
        undone = "each repair is done or not, and the undo dump, if there is one, takes all back"
        complain(arguments.file, f"stopped; {undone}" if arguments.write else "stopped")
        return error.status
    arguments.dry_run = not arguments.write
    tell_unlocked(arguments, outcome.is_locked)
    print_result(arguments, repaired_document(arguments.file, outcome), repaired_text)
    return OF_VERDICT[outcome.verdict]


def _rules(arguments: argparse.Namespace) -> list[str] | None:
    """Return the rules that were named; None when all count."""
    if arguments.only is None:
        return None
    rules = [name.strip().upper() for name in arguments.only.split(",")]
    for rule in rules:
        if rule not in catalogue():
            arguments.misused(f"no rule {rule}; check --rules lists them")
    return rules


def _restore(arguments: argparse.Namespace) -> int:
    """Make an image what it was; it may be as damaged as it was, so that is no failure."""
    if arguments.write or arguments.only or arguments.undo or arguments.json:
        arguments.misused("--restore goes with no other options but --force and --no-lock")
    undo_repair(
        arguments.file, arguments.restore, force=arguments.force, lock=wanted_lock(arguments)
    )
    note(arguments, arguments.file, "it is what it was before it was repaired")
    return DONE
