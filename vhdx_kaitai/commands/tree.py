"""`tree`: every field of the grammar."""

from __future__ import annotations

import argparse
from contextlib import closing

from ..showing.tree import Tree, tree_document, tree_text
from ..storage.source import open_source
from .arguments import Parser, add_file, add_json, number
from .output import print_document, print_lines
from .status import DONE


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    add_file(command)
    command.add_argument(
        "path", nargs="?", default="", metavar="PATH", help="a field, header_1.checksum for example"
    )
    add_json(command)
    command.add_argument(
        "--depth", type=number, metavar="N", help="levels below PATH (default: 2)", default=2
    )


def run(arguments: argparse.Namespace) -> int:
    """Show a field and what is below it."""
    with closing(open_source(arguments.file)) as source:
        tree = Tree(source)
        node = tree.find(arguments.path)
        if arguments.json:
            print_document(tree_document(arguments.file, tree, node, arguments.depth))
        else:
            print_lines(tree_text(tree, node, arguments.depth))
    return DONE
