"""`files`: what is on the disk: partitions, and the file systems in them."""

from __future__ import annotations

import argparse

from ..errors import FormatError, ParentError, UnsupportedError
from ..reading.disk import Disk
from ..reading.entries import FileSystem
from ..reading.places import Place, places
from ..serving.dissected import LIBRARIES
from ..serving.files import Files
from ..showing.document import plain_message
from ..showing.files import Described, files_document, files_text
from .arguments import Parser, add_file, add_json, add_parents, add_rescue
from .disks import open_disk
from .inside import Told
from .output import print_result
from .status import OF_FILES


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
        table, found = places(disk)
        described = [_described(disk, place, told) for place in found]
        document = files_document(arguments.file, disk.size, table, described, disk.assumed)
        print_result(arguments, document, files_text)
    return told.conclude()


def _described(disk: Disk, place: Place, told: Told) -> Described:
    system: FileSystem | None = None
    error: str | None = None
    if place.kind in LIBRARIES:
        try:
            system = Files(disk, place.volume, place.kind, told).describe()
        except (UnsupportedError, FormatError, ParentError) as caught:
            error = plain_message(caught)
    return Described(place, system, error)
