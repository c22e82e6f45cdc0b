"""`log`: what is in the log, and what its replay changes."""

from __future__ import annotations

import argparse
from contextlib import closing

from ..format.descent import state_of_log
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
    with closing(open_source(arguments.file)) as source:
        state = state_of_log(source)
        document = log_document(arguments.file, *state)
    print_result(arguments, document, log_text)
    if state.error is None:
        return DONE
    complain(arguments.file, str(state.error))
    return CORRUPT
