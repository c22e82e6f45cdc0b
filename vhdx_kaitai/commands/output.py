"""What commands print: lines, documents, complaints, and how far they are."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

from ..records import TYPE_CHECKING
from ..showing.document import json_text
from ..storage.urls import shown
from ..text import printable
from .streams import write

if TYPE_CHECKING:
    import argparse

    from rich.console import Console

    from ..errors import Assumption
    from ..showing.document import Document

_BOLD, _RED, _PLAIN = "\x1b[1m", "\x1b[31m", "\x1b[m"
_WARNINGS = ("DIRTY", "NOT VALID")
_MAY_WARN = ("  log ", "  other header ")


def print_lines(lines: Iterable[str]) -> None:
    """Print lines."""
    for line in lines:
        write(line + "\n")


def print_colored(arguments: argparse.Namespace, lines: Iterable[str]) -> None:
    """Print lines with titles in bold and warnings in red, when colour is wanted."""
    if not _wants_color(arguments.color):
        print_lines(lines)
        return
    for line in lines:
        if line and not line.startswith((" ", "*")):
            line = f"{_BOLD}{line}{_PLAIN}"
        elif line.startswith(_MAY_WARN):  # not what an image says of itself
            for word in _WARNINGS:
                line = line.replace(word, f"{_RED}{word}{_PLAIN}")
        write(line + "\n")


def _wants_color(choice: str) -> bool:
    if choice == "auto":
        return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return choice == "always"


def print_document(document: object, indent: int | None = 2) -> None:
    """Print a document as JSON; on one line without indent."""
    write(json_text(document, indent) + "\n")


def print_result(
    arguments: argparse.Namespace, document: Document, text: Callable[[Document], Iterable[str]]
) -> None:
    """Print a document, or the text that is made of it, as was asked for."""
    if arguments.json:
        print_document(document, arguments.indent)
    else:
        print_colored(arguments, text(document))


def complain(path: str | None, message: str) -> None:
    """Print one line for people to standard error."""
    place = "" if path is None else f"{shown(path) or repr(path)}: "
    sys.stderr.write(printable(f"vhdx-kaitai: {place}{message}") + "\n")


def note(arguments: argparse.Namespace, path: str | None, message: str) -> None:
    """Tell people something that is no failure, where they want to hear it."""
    if not arguments.quiet:
        complain(path, message)


def tell_assumed(assumed: Iterable[Assumption]) -> None:
    """Tell people what was taken for granted of images, however quiet it is to be."""
    for assumption in assumed:
        complain(assumption.path, str(assumption))


def tell_unused(arguments: argparse.Namespace, unused: Sequence[Sequence[str]]) -> None:
    """Tell people which of their options about parents were of no use to any file.

    Args:
        arguments: What was asked for.
        unused: What was of no use to each of them, in sentences.
    """
    for sentence in unused[0] if unused else ():
        if all(sentence in others for others in unused):
            note(arguments, None, sentence)


@contextlib.contextmanager
def progress(arguments: argparse.Namespace, total: int | None) -> Iterator[Callable[[int], object]]:
    """Show how far a long command is, on a terminal; anywhere else say nothing.

    Args:
        arguments: What was asked for.
        total: How far it has to go; None when nobody knows.
    """
    if arguments.quiet or not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), DownloadColumn(binary_units=True), TimeRemainingColumn())
    with Progress(*columns, console=_console(arguments), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)


@contextlib.contextmanager
def ticker(arguments: argparse.Namespace) -> Iterator[Callable[[str], object]]:
    """Show a text that says how far it is, where nobody knows how far it goes; as `progress`."""
    if arguments.quiet or not sys.stderr.isatty():
        yield lambda _text: None
        return
    with _console(arguments).status("") as status:
        yield status.update


def _console(arguments: argparse.Namespace) -> Console:
    from rich.console import Console

    return Console(stderr=True, no_color=arguments.color == "never" or None)
