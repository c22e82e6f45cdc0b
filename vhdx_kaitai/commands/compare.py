"""`compare`: whether two images hold the same disk."""

from __future__ import annotations

import argparse
import contextlib

from ..copying.compare import compare
from ..reading.disk import Disk
from ..showing.compare import compare_document, compare_text
from .arguments import Parser, add_assumptions, add_json, add_missing_parent, add_parents
from .disks import open_either, tell_in_passing
from .output import print_document, print_lines, tell_unused
from .progress import progress
from .status import DIFFERENT, DONE, IO_FAILED

_EXIT_STATUS = """\
exit status:
  0 same   1 different   4 failed (I/O, permission, parent, unsupported)
  2 corrupt: a rule refuses   63 not a VHDX file
  64 usage   130 interrupted   141 the pipe's reader is gone
"""


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("file", metavar="A", help="a VHDX file or a raw image")
    command.add_argument("other", metavar="B", help="another one")
    command.add_argument(
        "--raw",
        action="store_true",
        help="take what is no VHDX file as a raw image, even if it seems to be something else",
    )
    add_json(command)
    add_parents(command)
    add_assumptions(command)
    add_missing_parent(command)
    command.epilog = _EXIT_STATUS
    command.set_defaults(failed=IO_FAILED)


def run(arguments: argparse.Namespace) -> int:
    """Compare two disks up to their first difference."""
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(contextlib.closing(open_either(arguments, arguments.file)))
        two = stack.enter_context(contextlib.closing(open_either(arguments, arguments.other)))
        disks = [disk for disk in (one, two) if isinstance(disk, Disk)]
        tell_unused(arguments, [disk.unused for disk in disks])
        with progress(arguments, min(one.size, two.size)) as done:
            difference = compare(one, two, done)
        for disk in disks:  # what is lost has been told by now, unless it reads as zeros
            tell_in_passing(arguments, disk, disk.size if difference is None else 0)
    if arguments.json:
        assumed = [what for disk in disks for what in disk.assumed]
        print_document(compare_document(arguments.file, arguments.other, difference, assumed))
    else:
        print_lines(compare_text(difference))
    return DONE if difference is None else DIFFERENT
