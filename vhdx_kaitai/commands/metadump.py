"""`metadump`: a copy of the metadata, without what is on the disk."""

from __future__ import annotations

import argparse

from ..copying.files import refuse_to_replace
from ..copying.metadump import metadump
from ..showing.dump import dump_document, dump_text, too_long
from .arguments import Parser, add_file, add_force, add_json, file_name
from .interrupts import interruptible
from .output import note, print_result
from .status import DONE


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    add_file(command)
    command.add_argument("output", metavar="OUT", type=file_name, help="the dump")
    command.add_argument(
        "--sparse", action="store_true", help="as long as the image, not cut after the metadata"
    )
    choice = command.add_mutually_exclusive_group()
    choice.add_argument(
        "--redact", action="store_true", help="blank creator, paths and items of unknown meaning"
    )
    choice.add_argument(
        "--all", action="store_true", help="keep unused bytes of header section and regions, too"
    )
    add_force(command)
    add_json(command)
    hint = "compare a dump with its image by info, log, tree and check --skeleton"
    command.epilog = f"{hint}\n\n{command.epilog}"


def run(arguments: argparse.Namespace) -> int:
    """Write a dump and say what is in it."""
    refuse_to_replace(arguments.output, arguments.force)
    with interruptible():
        manifest = metadump(
            arguments.file,
            arguments.output,
            form="sparse" if arguments.sparse else "cut",
            redact=arguments.redact,
            slack=arguments.all,
            replace=arguments.force,
        )
    print_result(arguments, dump_document(manifest, arguments.file, arguments.output), dump_text)
    warning = too_long(manifest)
    if warning is not None:
        note(arguments, arguments.output, warning)
    return DONE
