"""`log`: what is in the log, and what its replay changes."""

from __future__ import annotations

import argparse

from ..errors import FormatError
from ..format import log
from ..format.headers import read_headers
from ..format.replay import replay
from ..showing.log import log_document, log_text
from ..storage.source import open_source
from .arguments import Parser, add_file, add_json
from .output import complain, print_result
from .status import CORRUPT, DONE


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    add_file(command)
    add_json(command)


def run(arguments: argparse.Namespace) -> int:
    """List the entries of a log; one that must not be replayed is listed, too."""
    source = open_source(arguments.file)
    try:
        headers = read_headers(source)
        ring = log.read_log(source, headers.current)
        replayed = error = None
        if ring is not None and headers.is_log_dirty:
            try:
                replayed = replay(source, ring)[1]
            except FormatError as refusal:
                error = refusal
        document = log_document(arguments.file, ring, replayed, error)
    finally:
        source.close()
    print_result(arguments, document, log_text)
    if error is None:
        return DONE
    complain(arguments.file, str(error))
    return CORRUPT
