"""`hash`: what tells one virtual disk from another."""

from __future__ import annotations

import argparse

from ..copying import digest
from ..reading.losses import losses
from ..showing.digest import hash_document, hash_text
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
from .output import print_document, print_lines
from .progress import progress
from .status import DONE


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    add_file(command)
    command.add_argument(
        "--algorithm",
        metavar="NAME",
        action="append",
        type=_algorithm,
        help=f"{', '.join(digest.ALGORITHMS)}; repeatable, one pass is enough (default: sha256)",
    )
    command.add_argument(
        "--layers", action="store_true", help="hash the file and its parents as stored, too"
    )
    add_json(command)
    add_range(command)
    add_parents(command)
    add_rescue(command)
    add_force(command)


def _algorithm(text: str) -> str:
    try:
        return digest.algorithm(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(arguments: argparse.Namespace) -> int:
    """Hash a range of the disk, and the files of its chain if they are wanted."""
    prepare_salvage(arguments)
    with open_disk(arguments) as disk:
        offset, length = chosen_range(arguments, disk.size)
        if not arguments.salvage:
            tell_in_passing(arguments, disk, length)
        chain = disk.chain if arguments.layers else ()
        with progress(arguments, length + sum(image.file_size for image in chain)) as done:
            found = digest.digest(
                disk,
                arguments.algorithm or ["sha256"],
                offset=offset,
                length=length,
                layers=arguments.layers,
                progress=done,
            )
        layers = [
            (image.path or arguments.file, image.file_size, hashes)
            for image, hashes in zip(chain, found.layers, strict=True)
        ]
        lost = losses(disk, offset, length) if arguments.salvage else None
        document = hash_document(
            arguments.file, offset, length, found.disk, layers, lost=lost, assumed=disk.assumed
        )
        if arguments.json:
            print_document(document)
        else:
            print_lines(hash_text(document))
        if lost is None:
            return DONE
        return conclude_salvage(arguments, disk, offset, length, lost)
