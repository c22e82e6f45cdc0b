"""`create`: a new image on whose disk nothing is yet."""

from __future__ import annotations

import argparse
from uuid import UUID

from ..copying.files import refuse_to_replace
from ..showing.created import created_document, created_text
from ..writing.create import create
from ..writing.naming import leads_out
from .arguments import Parser, add_force, add_json, add_new_disk, file_name, size
from .interrupts import interruptible
from .output import note, print_result
from .status import DONE


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    command.hint_of_surplus = "; --size N says how large the disk is"
    command.add_argument("output", metavar="OUT", type=file_name, help="the new VHDX file")
    command.add_argument(
        "--size",
        type=size,
        metavar="N",
        help="size of the disk, 10GiB for example; a child has by default that of its parent",
    )
    add_new_disk(command, ("dynamic", "fixed", "differencing"), None)
    group = command.add_argument_group("differencing disks")
    group.add_argument(
        "--parent", metavar="PATH", help="the parent, which is only read; OUT is its child"
    )
    group.add_argument(
        "--search",
        metavar="DIR",
        action="append",
        default=[],
        help="a folder to look in for the parents of the parent; repeatable",
    )
    group.add_argument(
        "--follow-absolute", action="store_true", help="follow paths that lead out of the folder"
    )
    add_force(command)
    add_json(command)
    command.set_defaults(no_parent=False, misused=command.error)


def run(arguments: argparse.Namespace) -> int:
    """Make an image, and say what it is."""
    path, parent = arguments.output, arguments.parent
    refuse_to_replace(path, arguments.force)
    try:
        with interruptible():
            created = create(
                path,
                arguments.size,
                disk_type=arguments.type,
                block_size=arguments.block_size,
                logical_sector_size=arguments.sector_size,
                physical_sector_size=arguments.physical_sector_size,
                disk_id=arguments.disk_id and UUID(arguments.disk_id),
                parent=parent,
                search=arguments.search,
                follow_absolute=arguments.follow_absolute,
                replace=arguments.force,
            )
    except ValueError as error:
        arguments.misused(str(error))
        raise
    if parent is not None and leads_out(path, parent):
        message = "the parent is not in the folder of its child, nor below"
        note(arguments, path, f"{message}: readers need --follow-absolute, --search or --parent")
    print_result(arguments, created_document(path, parent, created), created_text)
    return DONE
