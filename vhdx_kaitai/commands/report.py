"""`report`: all that is known of an image, as one page."""

from __future__ import annotations

import argparse

from ..copying.files import refuse_image, refuse_same, refuse_to_replace, write_file
from ..errors import Assumption
from ..serving.report import report
from ..showing.document import Document, json_text
from ..showing.page import report_page
from .arguments import (
    Parser,
    add_assumptions,
    add_file,
    add_force,
    add_missing_parent,
    add_parents,
    assumable,
    parent_options,
)
from .interrupts import interruptible
from .output import complain, tell_assumed
from .progress import progress
from .status import DONE, FAILED, USAGE, WARNINGS, status_of, worst
from .streams import flush, write


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    add_file(command)
    command.add_argument(
        "-o", "--output", metavar="OUT", help="the page to write; - is standard output"
    )
    command.add_argument(
        "--json",
        action="store_true",
        help="write a JSON document instead, to standard output unless OUT is given",
    )
    command.add_argument(
        "--hash",
        action="store_true",
        help="with the SHA-256 of the files of the chain and of the disk, which reads all of them",
    )
    add_force(command)
    add_parents(command)
    add_assumptions(command)
    add_missing_parent(command)


def run(arguments: argparse.Namespace) -> int:
    """Write a report, whatever is wrong with the image; the exit status says whether it opens."""
    path = "-" if arguments.output is None and arguments.json else arguments.output
    if path is None:
        complain(None, "report: no OUT given; -o OUT names the page, -o - is standard output")
        return USAGE
    if path != "-":
        refuse_image(path)
        refuse_to_replace(path, arguments.force)
    options = assumable(arguments) | {"resolve_parents": not arguments.no_parent}
    if options["missing_parent"] == "refuse":
        del options["missing_parent"]  # that it is missing is told, and what else there is
    with progress(arguments, None) as done, interruptible():
        document = report(
            arguments.file,
            hashes=arguments.hash,
            progress=done,
            **options,
            **parent_options(arguments),
        )
    tell_assumed(Assumption(**assumed) for assumed in document["assumed"])
    error = document["error"]
    if error is not None:
        rule = f" [{error['rule']}]" if error["rule"] else ""
        complain(arguments.file, f"does not open: {error['message']}{rule}")
    text = json_text(document, 2) + "\n" if arguments.json else report_page(document)
    if path == "-":
        flush()
        write(text)
    else:
        for check in document["checks"]:
            refuse_same(check["path"], path, "is a file that is read, and cannot be the report")
        write_file(path, text.encode(), replace=arguments.force)
    return _status(document)


def _status(document: Document) -> int:
    """Return the exit status: that of a check, but what is usable is no failure."""
    verdicts = [check["verdict"] for check in document["checks"]]
    status = worst(status_of(verdict, is_incomplete=False) for verdict in verdicts)
    if status in (DONE, WARNINGS):
        return DONE if document["error"] is None else FAILED
    return status
