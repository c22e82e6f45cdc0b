"""`set`: small things that are said of a disk, changed in the image as it stands."""

from __future__ import annotations

import argparse
from uuid import UUID, uuid4

from ..showing.changed import changed_document, changed_text
from ..writing.edit import edit
from .arguments import Parser, add_file, guid
from .changing import (
    add_changing,
    add_force_to_change,
    between_steps,
    conclude,
    tell_unlocked,
    wanted_lock,
)
from .output import print_result
from .status import DONE

_NEW = "new"


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    add_file(command)
    command.add_argument(
        "--disk-id",
        metavar="GUID",
        type=_guid_or_new,
        help="the identifier of the disk; new is one that nobody has",
    )
    command.add_argument(
        "--physical-sector-size",
        type=int,
        choices=(512, 4096),
        help="the physical sector size that the disk claims to have",
    )
    add_force_to_change(command)
    add_changing(command)
    command.set_defaults(misused=command.error)


def _guid_or_new(text: str) -> str:
    try:
        return text if text == _NEW else guid(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a GUID nor {_NEW}") from None


def run(arguments: argparse.Namespace) -> int:
    """Change what was asked for, and check the image then."""
    if arguments.disk_id is None and arguments.physical_sector_size is None:
        arguments.misused("nothing is to be set: --disk-id or --physical-sector-size says what")
    wanted = arguments.disk_id
    with between_steps(lambda _done: None):  # of which there is one
        outcome = edit(
            arguments.file,
            disk_id=uuid4() if wanted == _NEW else wanted and UUID(wanted),
            physical_sector_size=arguments.physical_sector_size,
            force=arguments.force,
            dry_run=arguments.dry_run,
            lock=wanted_lock(arguments),
        )
    tell_unlocked(arguments, outcome.is_locked)
    report, status = conclude(arguments) if outcome.is_changed else (None, DONE)
    verdict = report.verdict if report is not None else None
    document = changed_document(arguments.file, outcome, arguments.dry_run, verdict)
    print_result(arguments, document, changed_text)
    return status
