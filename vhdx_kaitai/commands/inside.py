"""What commands have in common that are about the files on a disk."""

from __future__ import annotations

import argparse

from ..reading.disk import Disk
from ..reading.places import chosen_place
from ..serving.dissected import LIBRARIES
from ..serving.files import Files
from ..text import counted
from .arguments import Parser, add_file, add_parents, add_rescue, number
from .disks import tell_in_passing
from .output import complain
from .status import DONE, LOST, OF_FILES

_MOST_TOLD = 20


def add_inside(command: Parser, path: str | None = None) -> None:
    """Add the image, the place on its disk, and what can be done about losses and parents.

    Args:
        command: The parser.
        path: How many paths in the file system there may be; None for one.
    """
    add_file(command)
    command.add_argument(
        "path",
        metavar="PATH",
        nargs=path,
        default="/",
        help="in the file system, with / between names; links are followed",
    )
    command.add_argument(
        "--partition",
        type=number,
        metavar="N",
        help="the number of the partition that `files` shows, 0 for the whole disk; needed where "
        "there is more than one file system",
    )
    add_parents(command)
    add_rescue(command, has_map=False)
    command.epilog = OF_FILES


class Told:
    """What is left out, or not as it was: told to people, the first of it one by one.

    Args:
        path: The image.

    Attributes:
        all: Path in the file system and reason of each.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.all: list[tuple[str, str]] = []

    def __call__(self, path: str, why: str) -> None:
        """Tell one."""
        why = why.removeprefix(f"{path}: ")
        self.all.append((path, why))
        if len(self.all) <= _MOST_TOLD:
            complain(self._path, f"{path}: {why}")

    def conclude(self, harmless: int = 0) -> int:
        """Say how many were not told one by one, and return the exit status.

        Args:
            harmless: How many of all are as they have to be.
        """
        more = len(self.all) - _MOST_TOLD
        if more > 0:
            complain(self._path, f"and {counted(more, 'other file')} left out, or not as they were")
        return LOST if len(self.all) > harmless else DONE


def open_files(arguments: argparse.Namespace, disk: Disk, told: Told) -> Files:
    """Return the files of the file system that is meant; why they may be others is told.

    Args:
        arguments: What was asked for.
        disk: The disk.
        told: Hears what is left out.
    """
    tell_in_passing(arguments, disk, 0)
    place = chosen_place(disk, arguments.partition, LIBRARIES)
    arguments.partition = place.number
    files = Files(disk, place.volume, place.kind, told, go_on=arguments.salvage)
    doubt = files.doubt()
    if doubt is not None:
        complain(arguments.file, f"the file system {doubt}; files may not be what was written last")
    return files
