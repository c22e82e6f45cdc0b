"""`scan`: many images, one record each, and what they come to."""

from __future__ import annotations

import argparse
import contextlib
import glob
import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from typing import Any

from ..copying.files import (
    growing_file,
    refuse_image,
    refuse_same,
    refuse_to_replace,
    refuse_unwritable,
    write_file,
)
from ..errors import Finding
from ..rules import catalogue
from ..serving.fleet import WINDOW, scan
from ..serving.record import failed, is_current, report_of
from ..serving.summary import NO_CHAINS, Summary
from ..serving.tables import Table, is_parquet, read_records
from ..serving.workers import Processes, dask_workers
from ..showing.document import Document, headed, json_text
from ..showing.fleet import record_text, summary_text
from ..showing.sarif import sarif_document
from ..storage.urls import is_url
from .arguments import Parser, add_force, add_json, file_name, number, output
from .interrupts import interruptible
from .output import complain, note, print_document, print_lines
from .progress import ticker
from .several import files_of
from .status import DONE, FAILED, WARNINGS, status_of, worst
from .streams import flush, write

_EPILOG = """\
PATH may be an image, whatever its name, a folder, with all folders below it, or
a pattern (*, ?, [...], and ** for folders) that the shell has left as it is.
Records go to standard output, a line of JSON each, and the summary to standard
error; with -o the summary goes to standard output, and each image with which
something is wrong is named on standard error.

exit status:
  0 clean   3 usable, with warnings   2 corrupt: a rule refuses
  63 not a VHDX file   1 failed (I/O, permission, limit), or a child without
  its parent among the images
  64 usage   130 interrupted   141 the pipe's reader is gone
  of several images the worst counts, in the order 1, 2, 63, 3, 0
"""

_Files = Iterable[tuple[str, Exception | None]]  # paths, and what is wrong with a folder


def add_arguments(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument(
        "files", metavar="PATH", nargs="*", help="images, folders with images, or patterns"
    )
    command.add_argument(
        "--from-file", metavar="FILE", help="read more paths there, a line each; - is stdin"
    )
    command.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=output,
        help="write the records there: JSON Lines as they come, or Parquet at the end, when its"
        " name ends in .parquet",
    )
    command.add_argument(
        "--resume",
        action="store_true",
        help="keep what OUT holds of files that are the same by size and time, or ETag, unless"
        " it is of another version or a failure",
    )
    add_force(command)
    add_json(command)
    command.add_argument("--sarif", metavar="OUT", type=file_name, help="write SARIF 2.1.0, too")
    command.add_argument(
        "--fail-on",
        choices=("warning", "error", "never"),
        default="warning",
        help="what of the images makes the exit status differ from 0 (default: warning)",
    )
    command.add_argument(
        "--ignore", metavar="RULE", action="append", default=[], help="a rule that does not count"
    )
    command.add_argument(
        "--no-parent", action="store_true", help="put no chains together: a parent may be missing"
    )
    group = command.add_argument_group("who looks at the images")
    group.add_argument(
        "--jobs",
        type=number,
        metavar="N",
        help="how many processes; one for each processor",
    )
    group.add_argument("--dask", metavar="ADDRESS", help="the workers of this Dask scheduler")
    group.add_argument(
        "--time-limit", type=number, metavar="SECONDS", help="give an image up after that time"
    )
    command.epilog = _EPILOG
    command.set_defaults(misused=command.error)


def run(arguments: argparse.Namespace) -> int:
    """Scan images."""
    arguments.ignore = sorted({rule.upper() for rule in arguments.ignore})
    _refuse(arguments)
    files: _Files = _files(arguments)
    kept: list[Document] = []
    if arguments.resume and os.path.lexists(arguments.output):
        kept, files = _former(arguments, files)
    fleet = _Fleet(arguments)
    try:
        with (
            interruptible(),
            ticker(arguments) as tick,
            _workers(arguments) as workers,
            _output(arguments, kept) as put,
            contextlib.closing(_records(arguments, files, workers)) as records,
        ):
            for record in kept:
                fleet.add(record)
            for record in records:
                put(json_text(record))
                fleet.add(record)
                tick(str(fleet.summary))
    except (KeyboardInterrupt, SystemExit):
        fleet.conclude()  # with what is there
        raise
    return fleet.conclude()


def _refuse(arguments: argparse.Namespace) -> None:
    """Refuse what contradicts itself, and outputs that cannot be written."""
    for rule in arguments.ignore:
        if rule not in catalogue():
            arguments.misused(f"no rule {rule}; check --rules lists them")
    if not arguments.files and arguments.from_file is None:
        arguments.misused("no PATH given")
    if arguments.output is None and (arguments.json or arguments.resume):
        arguments.misused("--json is about the summary and --resume about OUT: -o OUT is missing")
    if arguments.dask is not None and (arguments.jobs or arguments.time_limit):
        arguments.misused("--jobs and --time-limit are about processes of this machine")
    if arguments.output is not None and arguments.sarif is not None:
        refuse_same(arguments.output, arguments.sarif, "is OUT, and cannot be the report, too")
    for path in (arguments.output, arguments.sarif):
        if path is not None:
            replace = arguments.force or (arguments.resume and path == arguments.output)
            refuse_image(path)
            refuse_to_replace(path, replace)
            refuse_unwritable(path, replace=replace)


def _files(arguments: argparse.Namespace) -> _Files:
    """Yield each image that was named, or is in a folder that was, once."""
    seen = set()
    for path, error in files_of(_named(arguments), recursive=True):
        if arguments.dask is not None and not is_url(path):
            path = os.path.abspath(path)  # workers have folders of their own
        if path not in seen:
            seen.add(path)
            yield path, error


def _named(arguments: argparse.Namespace) -> Iterator[str]:
    for path in arguments.files:
        if is_url(path) or os.path.lexists(path):
            yield path
        else:
            yield from sorted(glob.glob(path, recursive=True)) or [path]
    if arguments.from_file == "-":
        yield from _lines(sys.stdin.buffer)
    elif arguments.from_file is not None:
        with open(arguments.from_file, "rb") as file:
            yield from _lines(file)


def _lines(file: Iterable[bytes]) -> Iterator[str]:
    names = (line.rstrip(b"\r\n") for line in file)
    return (os.fsdecode(name) for name in names if name)


def _former(arguments: argparse.Namespace, files: _Files) -> tuple[list[Document], _Files]:
    """Return what OUT holds that need not be done again, and the files that are to be done."""
    known = {record["path"]: record for record in read_records(arguments.output)}
    kept, left = [], []
    for path, error in files:
        name = json.loads(json_text(headed(path=path)))["path"]  # as records have it
        record = known.get(name)
        if error is None and record and is_current(record, path, arguments.ignore):
            kept.append(record)
        else:
            left.append((path, error))
    return kept, left


@contextlib.contextmanager
def _output(
    arguments: argparse.Namespace, kept: Iterable[Document]
) -> Iterator[Callable[[str], object]]:
    """Yield what takes the lines of records."""
    path, replace = arguments.output, arguments.force or arguments.resume
    if path is None:
        yield _print
    elif is_parquet(path):
        table = Table()
        try:
            for record in kept:
                table.add(json_text(record))
            yield table.add
        finally:
            write_file(path, table.data(), replace=replace)
    else:
        with growing_file(path, map(json_text, kept), replace=replace) as add:
            yield add


def _print(line: str) -> None:
    write(f"{line}\n")
    flush()


@contextlib.contextmanager
def _workers(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield who looks at the images, as `scan` takes it."""
    if arguments.dask is None:
        processes = partial(Processes, arguments.jobs or None)
        window = max(WINDOW, 4 * (arguments.jobs or 0))
        limit = arguments.time_limit or None
        yield {"executor": processes, "window": window, "time_limit": limit}
    else:
        with dask_workers(arguments.dask) as (executor, threads):
            yield {"executor": executor, "window": max(WINDOW, 4 * threads)}


def _records(
    arguments: argparse.Namespace, files: _Files, workers: dict[str, Any]
) -> Generator[Document, None, None]:
    """Yield a record of each image, and one of each folder that has none."""
    failures: list[Document] = []

    def paths() -> Iterator[str]:
        for path, error in files:
            if error is None:
                yield path
            else:
                failures.append(failed(path, error, arguments.ignore))

    with contextlib.closing(scan(paths(), ignore=arguments.ignore, **workers)) as records:
        for record in records:
            yield from (record, *failures)
            failures.clear()
    yield from failures


class _Fleet:
    """All records of a scan, and what becomes of them at the end.

    Args:
        arguments: What was asked for.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._statuses = {DONE}
        self._records: list[Document] = []  # only where there is a report to be made of them
        self.summary = Summary()

    def add(self, record: Document) -> None:
        """Take a record, and name the image when something is wrong with it."""
        self.summary.add(record)
        if record["error_type"] is not None:
            self._statuses.add(FAILED)
        else:
            is_incomplete = record["is_incomplete"]
            self._statuses.add(status_of(record["verdict"], is_incomplete=is_incomplete))
        if self._arguments.sarif is not None:
            self._records.append(record)
        wrong = record_text(record)
        if wrong is not None and self._arguments.output is not None:
            complain(record["path"], wrong)

    def conclude(self) -> int:
        """Print the summary, write the report, and return the exit status."""
        chains = NO_CHAINS if self._arguments.no_parent else self.summary.chains()
        if chains.findings:
            self._statuses.add(FAILED)
        self._print(self.summary.document(chains))
        if self._arguments.sarif is not None:
            self._write_sarif(chains.findings)
        if self._arguments.fail_on == "never":
            return DONE
        return worst(self._statuses - ({WARNINGS} if self._arguments.fail_on == "error" else set()))

    def _print(self, document: Document) -> None:
        if self._arguments.json:
            print_document(document)
        elif self._arguments.output is not None:
            print_lines(summary_text(document))
        else:
            for line in summary_text(document):
                note(self._arguments, None, line.strip())

    def _write_sarif(self, findings: Iterable[tuple[str, Finding]]) -> None:
        more = defaultdict(list)
        for path, finding in findings:
            more[path].append(finding)
        reports = (report_of(record, more[record["path"]]) for record in self._records)
        text = json_text(sarif_document(reports), indent=2) + "\n"
        write_file(self._arguments.sarif, text.encode(), replace=self._arguments.force)
