"""The disk that a command is about, and the range of it."""

from __future__ import annotations

import argparse

from ..checking.quick import losses_in_passing, quick
from ..errors import VhdxError
from ..reading import disk as reading
from ..reading.disk import Disk
from .arguments import parent_options
from .output import complain
from .streams import refuse_input


def open_disk(arguments: argparse.Namespace, path: str | None = None) -> Disk:
    """Return the disk of a file with the parents that the options say.

    Args:
        arguments: What was asked for.
        path: The file, where a command is about several.

    Raises:
        OutputError: Standard output is one of the parents.
    """
    disk = reading.open_disk(
        path or arguments.file,
        resolve_parents=not arguments.no_parent,
        **parent_options(arguments),
    )
    try:
        for image in disk.chain[1:]:
            refuse_input(image.path, image.stored.status())
    except BaseException:
        disk.close()
        raise
    return disk


def tell_losses(arguments: argparse.Namespace, disk: Disk, length: int) -> None:
    """Say on standard error which blocks of the images are lost or shared, in a line for each.

    Args:
        arguments: What was asked for.
        disk: The disk.
        length: How many bytes of it are wanted. For less than all of them no large BAT is
            gone through.
    """
    look = quick if length == disk.size else losses_in_passing
    for image in disk.chain:
        sentence = look(image)
        if sentence is not None:
            complain(image.path or arguments.file, sentence)


def chosen_range(arguments: argparse.Namespace, disk_size: int) -> tuple[int, int]:
    """Return offset and length of the wanted range, which ends where the disk does."""
    offset: int = arguments.offset
    if offset > disk_size:
        raise VhdxError(f"offset {offset} is past the end of the disk at {disk_size}")
    left = disk_size - offset
    return offset, left if arguments.length is None else min(arguments.length, left)
