"""`read`: bytes of the virtual disk, to standard output or into a file."""

from __future__ import annotations

import argparse

from ..copying import raw
from ..copying.files import refuse_to_replace
from .arguments import (
    Parser,
    add_file,
    add_force,
    add_parents,
    add_range,
    add_rescue,
    output,
)
from .disks import chosen_range, conclude_salvage, open_disk, prepare_salvage, tell_in_passing
from .interrupts import interruptible
from .progress import progress
from .status import DONE
from .streams import flush, write


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    add_file(command)
    command.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=output,
        help="a file, sparse where there are zeros, or a block device; - is standard output",
    )
    add_force(command)
    add_range(command)
    add_parents(command)
    add_rescue(command)


def run(arguments: argparse.Namespace) -> int:
    """Write a range of the disk."""
    if arguments.output is not None:
        refuse_to_replace(arguments.output, arguments.force)
    prepare_salvage(arguments)
    with open_disk(arguments) as disk:
        offset, length = chosen_range(arguments, disk.size)
        if not arguments.salvage:
            tell_in_passing(arguments, disk, length)
        with progress(arguments, length) as done, interruptible():
            if arguments.output is not None:
                raw.convert(disk, arguments.output, offset, length, done, replace=arguments.force)
            else:
                flush()
                raw.write_stream(disk, write, offset, length, done)
        return conclude_salvage(arguments, disk, offset, length) if arguments.salvage else DONE
