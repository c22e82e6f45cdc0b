"""`explorer`: the page that opens VHDX files in a browser."""

from __future__ import annotations

import argparse
import gzip
from importlib.resources import files

from ..copying.files import refuse_image, refuse_to_replace, write_file
from ..errors import UnsupportedError
from .arguments import Parser, add_force, output
from .status import DONE
from .streams import flush, write

_PAGE = "explorer.html.gz"  # made by `make explorer`, and in every wheel that `make build` builds


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument(
        "-o", "--output", metavar="OUT", type=output, required=True, help="a file to write it to"
    )
    add_force(command)


def run(arguments: argparse.Namespace) -> int:
    """Copy the page."""
    page = files("vhdx_kaitai") / _PAGE
    if not page.is_file():
        why = "the page was not built into this installation"
        raise UnsupportedError(f"{why}: run 'make explorer' in a checkout, and install that")
    text = gzip.decompress(page.read_bytes())
    if arguments.output is not None:
        refuse_image(arguments.output)
        refuse_to_replace(arguments.output, arguments.force)
        write_file(arguments.output, text, replace=arguments.force)
    else:
        flush()
        write(text)
    return DONE
