"""What commands print: lines, documents and complaints."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence

from .. import fast
from ..records import TYPE_CHECKING
from ..showing.document import json_text
from ..storage.urls import shown
from ..text import printable
from .streams import write

if TYPE_CHECKING:
    import argparse

    from ..errors import Assumption
    from ..showing.document import Document

_BOLD, _RED, _PLAIN = "\x1b[1m", "\x1b[31m", "\x1b[m"
_WARNINGS = ("DIRTY", "NOT VALID")
_MAY_WARN = ("  log ", "  other header ")

_on_terminal = ""  # what tells how far a command is, and goes when anything else is told


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
    show("")
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


def tell_quicker(arguments: argparse.Namespace) -> None:
    """Tell a person who has waited for what numpy makes quicker."""
    if fast.is_missed() and sys.stderr.isatty():
        note(arguments, None, f"numpy makes this quicker: {fast.INSTALL}")


def show(text: str) -> None:
    """Show a text in the place of the one that was shown before, until something is printed."""
    global _on_terminal
    if text or _on_terminal:
        sys.stderr.write(f"\r{text.ljust(len(_on_terminal))}\r{text}")
        sys.stderr.flush()
    _on_terminal = text
