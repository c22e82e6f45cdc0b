"""The disk that a command is about, and the range of it."""

from __future__ import annotations

import argparse
from typing import Any

from ..checking.quick import losses_in_passing, quick
from ..copying.files import (
    refuse_image,
    refuse_same,
    refuse_to_replace,
    refuse_unwritable,
    write_lines,
)
from ..copying.rawdisk import RawDisk
from ..errors import VhdxError
from ..reading import disk as reading
from ..reading.disk import Disk
from ..reading.losses import Losses, losses, lost_ranges
from ..showing.losses import losses_text, lost_map
from ..text import counted
from .arguments import assumable, parent_options
from .output import complain, note, tell_assumed, tell_unused
from .status import DONE, LOST
from .streams import refuse_input

_NOT_THE_MAP = "and cannot be the map, too"


def open_disk(arguments: argparse.Namespace, path: str | None = None, **options: Any) -> Disk:
    """Return the disk of a file with the parents that the options say.

    Args:
        arguments: What was asked for.
        path: The file, where a command is about several, which tells by itself what options
            were for nothing.
        **options: What a command wants of the disk, whatever was asked for, and tells then.

    Raises:
        OutputError: Standard output is one of the parents.
        OSError: An image would be replaced by the map of what is lost.
    """
    disk = reading.open_disk(path or arguments.file, **(opening_options(arguments) | options))
    try:
        tell_assumed(disk.assumed)
        if (
            disk.missing is not None
            and not disk.missing.is_zero
            and "missing_parent" not in options
        ):
            complain(disk.chain[-1].path, disk.missing.finding.message)
        if path is None:
            tell_unused(arguments, [disk.unused])
        for image in disk.chain[1:]:
            refuse_input(image.path, image.stored.status())
        place = getattr(arguments, "lost_map", None)
        for image in disk.chain:
            if place is not None and image.path is not None:
                refuse_same(image.path, place, f"is an image that is read, {_NOT_THE_MAP}")
    except BaseException:
        disk.close()
        raise
    return disk


def opening_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return how a disk is opened to be read, as everything that opens disks takes it."""
    return {
        "resolve_parents": not arguments.no_parent,
        "lost": "zero" if getattr(arguments, "salvage", False) else "refuse",
        **assumable(arguments),
        **parent_options(arguments),
    }


def open_either(arguments: argparse.Namespace, path: str | None = None) -> Disk | RawDisk:
    """Return the disk of a file, which may be a raw image, too.

    What is known to be neither is refused, unless --raw is given.

    Args:
        arguments: What was asked for.
        path: The file, where a command is about several.
    """
    name = path or arguments.file
    raw = RawDisk(name)  # refuses what is no file, a pipe for example, at once
    if raw.is_vhdx() or (raw.is_other() and not arguments.raw):
        raw.close()
        return open_disk(arguments, path)  # which says what else it is
    note(arguments, name, "no VHDX file, taken as a raw image")
    return raw


def tell_in_passing(arguments: argparse.Namespace, disk: Disk, length: int) -> None:
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
    length = left if arguments.length is None else arguments.length
    if length > left:
        there = f"{counted(left, 'byte')} from offset {offset} to its end"
        note(arguments, arguments.file, f"--length {length} is more than the disk has: {there}")
    return offset, min(length, left)


def prepare_salvage(arguments: argparse.Namespace) -> None:
    """See to the options of `add_rescue`: who wants a map of what is lost goes on past that.

    Raises:
        OSError: The map cannot be written, or would replace a file without leave.
    """
    path, output = arguments.lost_map, getattr(arguments, "output", None)
    if path is not None:
        arguments.salvage = True
        refuse_image(path)
        if output is not None:
            refuse_same(output, path, f"is the output, {_NOT_THE_MAP}")
        refuse_to_replace(path, arguments.force)
        refuse_unwritable(path, replace=arguments.force)


def conclude_salvage(
    arguments: argparse.Namespace,
    disk: Disk,
    offset: int,
    length: int,
    found: Losses | None = None,
) -> int:
    """Tell people what is lost of a range of a disk, and return the exit status for that.

    Args:
        arguments: What was asked for.
        disk: The disk.
        offset: Virtual offset in bytes.
        length: Bytes.
        found: What is lost, when that is known already.
    """
    if arguments.lost_map is not None:
        lost = lost_ranges(disk, offset, length)
        lines = lost_map(lost, offset, offset + length, disk.size)
        write_lines(arguments.lost_map, lines, replace=arguments.force)
    found = found or losses(disk, offset, length)
    text = losses_text(found, are_zeros=disk.zeroes_lost, is_assumed=bool(disk.assumed))
    if found.ranges:
        complain(disk.image.path, text)
    elif arguments.salvage:
        note(arguments, disk.image.path, text)
        tell_in_passing(arguments, disk, length)  # of a BAT that was wiped, for example
    return LOST if found.ranges else DONE
