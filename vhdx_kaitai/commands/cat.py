"""`cat`: the contents of a file of a file system on the disk, to standard output."""

from __future__ import annotations

import argparse

from ..copying.extract import contents
from .arguments import Parser
from .disks import open_disk
from .inside import Told, add_inside, open_files
from .streams import flush, write


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    add_inside(command)


def run(arguments: argparse.Namespace) -> int:
    """Write the contents of a file."""
    told = Told(arguments.file)
    with open_disk(arguments) as disk:
        files = open_files(arguments, disk, told)
        entry = next(files.entries(files.find(arguments.path), recursive=False))
        flush()
        for piece in contents(entry):
            write(piece)
    return told.conclude()
