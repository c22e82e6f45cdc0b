"""`convert`: the whole virtual disk as a raw image."""

from __future__ import annotations

from . import read
from .arguments import (
    Parser,
    add_file,
    add_force,
    add_parents,
    add_rescue,
    output,
)


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    add_file(command)
    command.add_argument(
        "output",
        metavar="OUT",
        type=output,
        help="the raw image, or a block device; - is standard output",
    )
    add_force(command)
    add_parents(command)
    add_rescue(command)
    command.set_defaults(offset=0, length=None)


run = read.run  # of everything there is
