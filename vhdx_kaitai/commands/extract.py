"""`extract`: a file, or a folder with all that is in it, out of a file system on the disk."""

from __future__ import annotations

import argparse

from ..copying.extract import extract_file, extract_tree
from ..copying.files import refuse_to_replace
from ..text import counted, human_size
from .arguments import Parser, add_force, file_name
from .disks import open_disk
from .inside import Told, add_inside, open_files
from .interrupts import interruptible
from .output import note
from .progress import progress


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    add_inside(command)
    command.add_argument(
        "output",
        metavar="OUT",
        type=file_name,
        help="a new file; for a folder a new folder, or an empty one",
    )
    command.add_argument(
        "--all-links", action="store_true", help="make links that lead out of OUT, too"
    )
    add_force(command)


def run(arguments: argparse.Namespace) -> int:
    """Write what is under a path."""
    told, special = Told(arguments.file), 0
    with open_disk(arguments) as disk:
        files = open_files(arguments, disk, told)
        top = files.find(arguments.path)
        if top.status.kind != "folder":
            refuse_to_replace(arguments.output, arguments.force)
            entry = next(files.entries(top))
            with progress(arguments, top.status.size) as done, interruptible():
                extract_file(entry, arguments.output, done, replace=arguments.force)
        else:
            with progress(arguments, None) as done, interruptible():
                made = extract_tree(
                    files.entries(top),
                    arguments.output,
                    lambda path, why: told(f"{top.path.rstrip('/')}/{path}", why),
                    done,
                    all_links=arguments.all_links,
                    go_on=arguments.salvage,
                )
            special = made.special
            counts = (
                counted(made.files, "file"),
                counted(made.folders, "folder"),
                counted(made.links, "link"),
            )
            note(arguments, arguments.output, f"{', '.join(counts)}, {human_size(made.size)}")
    return told.conclude(special)
