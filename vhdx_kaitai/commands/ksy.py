"""`ksy`: the grammar itself."""

from __future__ import annotations

import argparse

from .. import grammar_text
from ..copying.files import refuse_image, refuse_to_replace, write_file
from .arguments import Parser, add_force, output
from .status import DONE
from .streams import flush, write


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("-o", "--output", metavar="OUT", type=output, help="a file to write it to")
    add_force(command)


def run(arguments: argparse.Namespace) -> int:
    """Print the grammar, or copy it."""
    text = grammar_text()
    if arguments.output is not None:
        refuse_image(arguments.output)
        refuse_to_replace(arguments.output, arguments.force)
        write_file(arguments.output, text, replace=arguments.force)
    else:
        flush()
        write(text)
    return DONE
