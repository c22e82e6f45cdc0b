"""What commands print: lines, documents, complaints, and how far they are."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from .. import fast
from ..records import TYPE_CHECKING
from ..showing.document import json_text
from ..storage.urls import shown
from ..text import printable
from ..units import MIB
from .arguments import columns
from .streams import write

if TYPE_CHECKING:
    import argparse

    from ..errors import Assumption
    from ..showing.document import Document

_BOLD, _RED, _PLAIN = "\x1b[1m", "\x1b[31m", "\x1b[m"
_WARNINGS = ("DIRTY", "NOT VALID")
_MAY_WARN = ("  log ", "  other header ")

_SHOWN_FOR = 0.1  # seconds
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
    _show("")
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


@contextlib.contextmanager
def progress(arguments: argparse.Namespace, total: int | None) -> Iterator[Callable[[int], object]]:
    """Show how far a long command is, on a terminal; anywhere else say nothing.

    Args:
        arguments: What was asked for.
        total: How many bytes it has to go through; None when nobody knows.
    """
    start = time.monotonic()
    with ticker(arguments) as tick:
        yield lambda done: tick(_how_far(done, total, time.monotonic() - start))


def _how_far(done: int, total: int | None, seconds: float) -> str:
    """Return how many bytes are done, as a bar too, and how long the others are going to take."""
    if not total:
        return f"{done / MIB:.0f} MiB"
    part = min(1.0, done / total)
    bar = ("#" * round(30 * part)).ljust(30, ".")
    text = f"[{bar}] {part:4.0%} of {total / MIB:.0f} MiB"
    minutes, rest = divmod(round(seconds / part - seconds), 60) if part else (0, 0)
    return f"{text}, {minutes}:{rest:02} left" if part else text


@contextlib.contextmanager
def ticker(arguments: argparse.Namespace) -> Iterator[Callable[[str], object]]:
    """Show a text that says how far it is, where nobody knows how far it goes; as `progress`."""
    if arguments.quiet or not sys.stderr.isatty():
        yield lambda _text: None
        return
    following = 0.0

    def tick(text: str) -> None:
        nonlocal following
        if time.monotonic() >= following:
            _show(text[: columns(2) - 1])
            following = time.monotonic() + _SHOWN_FOR

    try:
        yield tick
    finally:
        _show("")


def _show(text: str) -> None:
    """Show a text in the place of the one that was shown before, until something is printed."""
    global _on_terminal
    if text or _on_terminal:
        sys.stderr.write(f"\r{text.ljust(len(_on_terminal))}\r{text}")
        sys.stderr.flush()
    _on_terminal = text
