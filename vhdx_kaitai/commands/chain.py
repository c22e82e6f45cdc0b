"""`chain`: an image and its parents."""

from __future__ import annotations

import argparse

from ..showing.chain import chain_document, chain_dot, chain_text
from .arguments import Parser, add_assumptions, add_file, add_json, add_parents
from .disks import open_disk
from .output import print_document, print_lines
from .running import tell_failure
from .status import DONE


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    add_file(command)
    form = command.add_mutually_exclusive_group()
    add_json(form)
    form.add_argument("--dot", action="store_true", help="print a graph for Graphviz")
    add_parents(command)
    add_assumptions(command)


def run(arguments: argparse.Namespace) -> int:
    """List the images of a chain, as far as there are any, and what is missing."""
    with open_disk(arguments, missing_parent="refuse" if arguments.no_parent else "lost") as disk:
        document = chain_document(disk, arguments.file)
    if arguments.json:
        print_document(document)
    else:
        print_lines(chain_dot(document) if arguments.dot else chain_text(document))
    return DONE if disk.missing is None else tell_failure(arguments, disk.missing.error)
