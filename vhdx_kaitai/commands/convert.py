"""`convert`: a whole virtual disk as a raw image, or as a new VHDX file."""

from __future__ import annotations

import argparse
import contextlib
from uuid import UUID

from ..copying.files import refuse_to_replace
from ..names import OF_IMAGES
from ..reading.disk import Disk
from ..records import TYPE_CHECKING
from ..writing.convert import convert
from . import read
from .arguments import (
    Parser,
    add_force,
    add_new_disk,
    add_parents,
    add_rescue,
    output,
    size,
)
from .disks import conclude_salvage, open_either, prepare_salvage, tell_in_passing
from .interrupts import interruptible
from .output import note
from .progress import progress
from .status import DONE
from .streams import standard_input

if TYPE_CHECKING:
    from typing import BinaryIO

    from ..copying.rawdisk import RawDisk
    from ..writing.blank import Created

_STREAM = "-"

# Formats that others write, by the ends of names, as qemu-img calls them.
_OF_OTHERS = {
    ".qcow": "qcow",
    ".qcow2": "qcow2",
    ".qed": "qed",
    ".vdi": "vdi",
    ".vhd": "vpc",
    ".vmdk": "vmdk",
}

# What can be said of a new VHDX file alone, and what it is when nobody says so.
_OF_NEW_FILES = {
    "type": "dynamic",
    "block_size": None,
    "sector_size": None,
    "physical_sector_size": None,
    "disk_id": None,
    "size": None,
    "round": 1,
    "raw": False,
    "no_flush": False,
}


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument(
        "file",
        metavar="FILE",
        help="the VHDX file; for a new one also a raw image, or - for one on standard input",
    )
    command.add_argument(
        "output",
        metavar="OUT",
        type=output,
        help="the raw image, or a block device, and - is standard output; a name that ends in"
        " .vhdx or .avhdx is a new VHDX file",
    )
    command.add_argument(
        "-O", "--output-format", choices=("raw", "vhdx"), help="what OUT is, whatever its name"
    )
    add_force(command)
    group = add_new_disk(command, ("dynamic", "fixed"), "dynamic")
    group.add_argument(
        "--size",
        type=size,
        metavar="N",
        help="size of the disk, if it is to be larger; what is read from standard input need not"
        " have one",
    )
    group.add_argument(
        "--round",
        type=size,
        metavar="N",
        default=1,
        help="round the size up to a multiple, as Azure demands with 1MiB",
    )
    group.add_argument(
        "--raw",
        action="store_true",
        help="take what is no VHDX file as a raw image, even if it seems to be something else",
    )
    group.add_argument(
        "--no-flush",
        action="store_true",
        help="do not wait until all is on the medium: quicker, but a cut of the power soon after"
        " may leave less than the whole under the name",
    )
    add_parents(command)
    add_rescue(command)
    command.set_defaults(offset=0, length=None, misused=command.error)


def run(arguments: argparse.Namespace) -> int:
    """Write a raw image or a VHDX file."""
    if _is_vhdx(arguments):
        if arguments.output is None:
            arguments.misused("a VHDX file is written in no order, so - will not do as its name")
        return _to_vhdx(arguments)
    for name, usual in _OF_NEW_FILES.items():
        if getattr(arguments, name) != usual:
            arguments.misused(f"--{name.replace('_', '-')} is about a new VHDX file")
    if arguments.file == _STREAM:
        arguments.misused("standard input becomes a VHDX file only; -O vhdx writes one")
    return read.run(arguments)  # of everything there is


def _is_vhdx(arguments: argparse.Namespace) -> bool:
    """Tell whether the output is a VHDX file."""
    if arguments.output_format is not None:
        return bool(arguments.output_format == "vhdx")
    name = str(arguments.output).lower()
    kind = next((kind for end, kind in _OF_OTHERS.items() if name.endswith(end)), None)
    if kind is not None:
        other = f"""vhdx-kaitai serve FILE --run 'qemu-img convert -f raw -O {kind} "$uri" OUT'"""
        arguments.misused(
            f"OUT has a name of another format ({kind}), which is not written here: -O raw or -O "
            f"vhdx says what it is; `{other}` writes the other one"
        )
    return name.endswith(OF_IMAGES)


def _to_vhdx(arguments: argparse.Namespace) -> int:
    refuse_to_replace(arguments.output, arguments.force)
    prepare_salvage(arguments)
    if arguments.file == _STREAM:
        created = _convert(arguments, standard_input(), arguments.size or 0)
        if arguments.size is None:
            note(arguments, arguments.output, f"the disk has {created.size} bytes")
        return DONE
    with contextlib.closing(open_either(arguments)) as disk:
        if isinstance(disk, Disk) and not arguments.salvage:
            tell_in_passing(arguments, disk, disk.size)
        created = _convert(arguments, disk, disk.size)
        if created.size > disk.size and arguments.size is None:
            message = f"the disk has {created.size} bytes, rounded up from {disk.size}"
            note(arguments, arguments.output, message)
        if isinstance(disk, Disk) and arguments.salvage:
            return conclude_salvage(arguments, disk, 0, disk.size)
    return DONE


def _convert(
    arguments: argparse.Namespace, source: Disk | RawDisk | BinaryIO, length: int
) -> Created:
    try:
        with progress(arguments, length) as done, interruptible():
            return convert(
                source,
                arguments.output,
                size=arguments.size,
                round_to=arguments.round,
                disk_type=arguments.type,
                block_size=arguments.block_size,
                logical_sector_size=arguments.sector_size,
                physical_sector_size=arguments.physical_sector_size,
                disk_id=arguments.disk_id and UUID(arguments.disk_id),
                raw=arguments.raw,
                replace=arguments.force,
                durable=not arguments.no_flush,
                progress=done,
            )
    except ValueError as error:
        arguments.misused(str(error))
        raise
