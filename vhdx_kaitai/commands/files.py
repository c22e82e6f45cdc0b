"""`files`: what is on the disk: partitions, and the file systems in them."""

from __future__ import annotations

import argparse

from ..reading.places import places
from ..serving.files import described
from ..showing.files import files_document, files_text
from .arguments import Parser, add_file, add_json, add_parents, add_rescue
from .disks import conclude_salvage, open_disk, tell_in_passing
from .inside import Told
from .output import print_result
from .status import DONE, OF_FILES


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    add_file(command)
    add_json(command)
    add_parents(command)
    add_rescue(command, has_map=False)
    command.epilog = OF_FILES


def run(arguments: argparse.Namespace) -> int:
    """List the volumes of the disk; one that is damaged keeps nobody from the others."""
    told = Told(arguments.file)
    with open_disk(arguments) as disk:
        status = DONE
        if arguments.salvage:
            status = conclude_salvage(arguments, disk, 0, disk.size)
        else:
            tell_in_passing(arguments, disk, 0)
        table, found = places(disk)
        parts = [described(disk, place, told) for place in found]
        document = files_document(arguments.file, disk.size, table, parts, disk.assumed)
        print_result(arguments, document, files_text)
    return max(status, told.conclude())
