"""`map`: what the disk is made of."""

from __future__ import annotations

import argparse

from ..reading.map import Map
from ..showing.map import map_json, map_text
from .arguments import (
    Parser,
    add_file,
    add_force,
    add_json,
    add_parents,
    add_range,
    add_rescue,
)
from .disks import chosen_range, conclude_salvage, open_disk, prepare_salvage, tell_in_passing
from .output import print_lines
from .status import DONE
from .streams import write


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    add_file(command)
    form = command.add_mutually_exclusive_group()
    add_json(form)
    form.add_argument("--count", action="store_true", help="print how many there are")
    add_range(command)
    add_parents(command)
    add_rescue(command)
    add_force(command)


def run(arguments: argparse.Namespace) -> int:
    """List the extents of a range, or count them; what is lost is among them."""
    prepare_salvage(arguments)
    with open_disk(arguments) as disk:
        offset, length = chosen_range(arguments, disk.size)
        found = Map(disk, offset, length)
        if arguments.count:
            print_lines([str(found.count())])
        elif arguments.json:
            for piece in map_json(found.columns()):
                write(piece)
        else:
            print_lines(map_text(found.columns()))
        if not arguments.salvage and not found.has_lost:
            tell_in_passing(arguments, disk, length)
            return DONE
        return conclude_salvage(arguments, disk, offset, length)
