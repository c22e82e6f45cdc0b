"""`ls`: what is in a folder of a file system on the disk."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from ..reading.entries import Entry
from ..serving.files import Files, Found
from ..showing.document import assumed_document
from ..showing.files import ls_json, ls_text
from .arguments import Parser, add_json
from .disks import open_disk
from .inside import Told, add_inside, open_files
from .output import print_lines
from .streams import write


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    add_inside(command, "?")
    command.add_argument(
        "-l", "--long", action="store_true", help="with type, mode, names, size, time, and target"
    )
    command.add_argument(
        "-R", "--recursive", action="store_true", help="and what is in the folders below"
    )
    add_json(command)


def run(arguments: argparse.Namespace) -> int:
    """List a folder, or a file."""
    told = Told(arguments.file)
    with open_disk(arguments) as disk:
        files = open_files(arguments, disk, told)
        top = files.find(arguments.path)
        entries = _listed(files, top, recursive=arguments.recursive)
        if arguments.json:
            head = {
                "path": arguments.file,
                "partition": arguments.partition,
                "top": top.path,
                "assumed": assumed_document(disk.assumed),
            }
            for piece in ls_json(head, entries, told.all):
                write(piece)
        else:
            print_lines(ls_text(entries, long=arguments.long))
    return told.conclude()


def _listed(files: Files, top: Found, *, recursive: bool) -> Iterator[Entry]:
    """Yield what is in a folder; of a file itself, under its own name."""
    for entry in files.entries(top, recursive=recursive):
        if entry.path:
            yield entry
        elif entry.status.kind != "folder":
            yield entry._replace(path=top.path.rpartition("/")[2])
