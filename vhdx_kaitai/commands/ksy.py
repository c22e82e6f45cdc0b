"""`ksy`: the grammar itself."""

from __future__ import annotations

import argparse

from .. import grammar_text
from .arguments import Parser, output
from .output import refuse_image
from .status import DONE
from .streams import flush, write


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("-o", "--output", metavar="OUT", type=output, help="a file to write it to")


def run(arguments: argparse.Namespace) -> int:
    """Print the grammar, or copy it."""
    text = grammar_text()
    if arguments.output is not None:
        refuse_image(arguments.output)
        with open(arguments.output, "wb") as file:
            file.write(text)
    else:
        flush()
        write(text)
    return DONE
