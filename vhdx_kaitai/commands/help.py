"""`help`: what a command does and takes, as its `--help` says it."""

from __future__ import annotations

import argparse

from .arguments import Parser
from .main import build_parser
from .status import DONE


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("topic", metavar="COMMAND", nargs="?", help="which; all by default")


def run(arguments: argparse.Namespace) -> int:
    """Print the help of a command, or of all."""
    words = ["--help"] if arguments.topic is None else [arguments.topic, "--help"]
    build_parser().parse_args(words)  # which ends the process
    return DONE
