"""`map`: what the disk is made of."""

from __future__ import annotations

import argparse
from itertools import islice

from ..errors import FormatError
from ..reading import bulk
from ..reading.disk import Disk, Extent
from ..showing.map import map_json, map_text
from .arguments import Parser, add_file, add_json, add_parents, add_range
from .disks import chosen_range, open_disk
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


def run(arguments: argparse.Namespace) -> int:
    """List the extents of a range, or count them."""
    with open_disk(arguments) as disk:
        offset, length = chosen_range(arguments, disk.size)
        few = _few_extents(disk, offset, length)
        if arguments.count or (arguments.json and few is None):
            # Counting many takes little time, and what cannot be mapped has to be known before
            # the first word of a document.
            count = bulk.count_extents(disk, offset, length) if few is None else len(few)
        extents = bulk.extents(disk, offset, length) if few is None else [bulk.columns(few)]
        if arguments.count:
            print_lines([str(count)])
        elif arguments.json:
            for piece in map_json(extents):
                write(piece)
        else:
            print_lines(map_text(extents))
    return DONE


def _few_extents(disk: Disk, offset: int, length: int) -> list[Extent] | None:
    """Return all extents of a range; None when numpy is quicker or some cannot be told."""
    if bulk.is_large(disk):
        return None
    sample = bulk.WORTHWHILE_EXTENTS // 8
    try:
        found = disk.extents(offset, length)
        extents = list(islice(found, sample))
        if len(extents) == sample > 0 and 8 * (extents[-1].offset - offset) < length:
            return None  # there will be too many, when these cover a small part of the range
        extents += islice(found, bulk.WORTHWHILE_EXTENTS - len(extents))
    except FormatError:
        return None
    return extents if len(extents) < bulk.WORTHWHILE_EXTENTS else None
