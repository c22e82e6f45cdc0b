"""`resize`: the disk becomes larger or smaller, in the image as it stands."""

from __future__ import annotations

import argparse
import re

from ..errors import VhdxError
from ..reading.disk import open_disk
from ..showing.changed import changed_document, changed_text
from ..writing.resize import resize
from .arguments import Parser, add_file, add_parents, parent_options
from .arguments import size as size_of
from .changing import (
    StoppedError,
    add_changing,
    between_steps,
    conclude,
    tell_unlocked,
    wanted_lock,
)
from .output import complain, print_result, tell_unused
from .status import DONE

# What begins with a minus, and is no option.
_LESS = re.compile(r"-[0-9]\w*$")


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    command._negative_number_matcher = _LESS
    add_file(command)
    size = command.add_argument(
        "size",
        metavar="SIZE",
        type=_size,
        help="the new size, 64GiB for example; +N and -N are more and less than the disk has; "
        "none with --minimum",
    )
    size.required = False  # with `nargs="?"` it could not stand after an option
    command.add_argument(
        "--minimum",
        action="store_true",
        help="make the disk as small as its partitions leave it, in whole MiBs",
    )
    command.add_argument(
        "--force",
        action="store_true",
        help="do it although what is past the new end is lost, or children or backups rely on it",
    )
    add_changing(command)
    add_parents(command, may_lack=False)
    command.set_defaults(misused=command.error)


def _size(text: str) -> tuple[str, int]:
    """Return the sign of a size, if it has one, and the number of bytes."""
    sign = text[:1] if text[:1] in ("+", "-") else ""
    return sign, size_of(text[len(sign) :])


def run(arguments: argparse.Namespace) -> int:
    """Change the size, and check the image then."""
    if (arguments.size is None) is not arguments.minimum:
        arguments.misused("either a SIZE is wanted, or --minimum")
    try:
        with between_steps(lambda _done: None) as step:
            outcome = resize(
                arguments.file,
                _wanted(arguments),
                minimum=arguments.minimum,
                force=arguments.force,
                dry_run=arguments.dry_run,
                lock=wanted_lock(arguments),
                progress=step,
                **parent_options(arguments),
            )
    except ValueError as error:
        arguments.misused(str(error))
        raise
    except StoppedError as error:
        complain(arguments.file, "stopped before the size was changed; the image is in order")
        return error.status
    tell_unlocked(arguments, outcome.is_locked)
    report, status = conclude(arguments) if outcome.is_changed else (None, DONE)
    verdict = report.verdict if report is not None else None
    document = changed_document(arguments.file, outcome, arguments.dry_run, verdict)
    print_result(arguments, document, changed_text)
    return status


def _wanted(arguments: argparse.Namespace) -> int | None:
    """Return the size that is wanted in bytes; None for the minimum.

    Raises:
        VhdxError: The disk has less than it is to lose.
    """
    with open_disk(arguments.file, **parent_options(arguments)) as disk:
        tell_unused(arguments, [disk.unused])
        now = disk.size
    if arguments.size is None:
        return None
    sign, size = arguments.size
    if sign == "-" and size >= now:
        raise VhdxError(f"the disk has {now} bytes, and cannot lose {size}")
    return int(now + size if sign == "+" else now - size if sign == "-" else size)
