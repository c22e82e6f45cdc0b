"""`convert`: the whole virtual disk as a raw image."""

from __future__ import annotations

from . import read
from .arguments import Parser, add_file, add_force, add_parents, output


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    add_file(command)
    command.add_argument(
        "output", metavar="OUT", type=output, help="the raw image; - is standard output"
    )
    add_force(command)
    add_parents(command)
    command.set_defaults(offset=0, length=None)


run = read.run  # of everything there is
