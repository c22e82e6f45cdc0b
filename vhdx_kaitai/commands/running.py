"""Running a command: what becomes of errors and of requests to end."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from typing import NoReturn

from ..errors import FormatError, VhdxError
from ..showing.document import error_document, plain_message
from .output import complain, print_document
from .status import CORRUPT, NOT_VHDX
from .streams import OutputError, flush, forget, refuse_input


def run(arguments: argparse.Namespace) -> int:
    """Run the command that was asked for and return its exit status."""
    try:
        for path in _inputs(arguments):
            with contextlib.suppress(OSError, ValueError):  # that is told when it is opened
                refuse_input(path, os.stat(path))
        try:
            status: int = arguments.command(arguments)
        except BrokenPipeError:
            raise
        except (VhdxError, OSError) as error:
            status = failure(arguments, error)
        flush()
    except OutputError as error:
        complain(None, f"standard output: {error}")
        forget()
        return int(arguments.failed)
    return status


def _inputs(arguments: argparse.Namespace) -> list[str]:
    """Return the files that are named to be read."""
    named = [getattr(arguments, name, None) for name in ("file", "other")]
    return [path for path in (*named, *getattr(arguments, "files", ())) if path is not None]


def failure(arguments: argparse.Namespace, error: Exception, indent: int | None = 2) -> int:
    """Tell people about an error, and programs that want a document; return its exit status."""
    path = _path_of(error)
    if path is None:
        path = getattr(arguments, "file", None)
    if arguments.json:
        print_document(error_document(path, error), indent)
    complain(path, plain_message(error))
    if isinstance(error, FormatError):
        return NOT_VHDX if error.finding.rule == "FTI-01" else CORRUPT
    return int(arguments.failed)


def _path_of(error: Exception) -> str | None:
    """Return the file that an error is about, which need not be the one that was named."""
    path = error.filename if isinstance(error, OSError) else getattr(error, "path", None)
    return path if isinstance(path, str) else None


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let requests to end be exceptions, so that no partial file is left."""
    import signal  # takes time, and `info` needs none of it

    def end(number: int, _frame: object) -> NoReturn:
        sys.exit(128 + number)

    numbers = [signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)]  # Windows has no SIGHUP
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:  # as nohup wants it
            signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
