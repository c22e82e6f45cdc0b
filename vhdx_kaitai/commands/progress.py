"""How far a long command is, on a terminal."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..units import MIB
from .arguments import columns
from .output import show

_SHOWN_FOR = 0.1  # seconds


@contextmanager
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


@contextmanager
def ticker(arguments: argparse.Namespace) -> Iterator[Callable[[str], object]]:
    """Show a text that says how far it is, where nobody knows how far it goes; as `progress`."""
    if arguments.quiet or not sys.stderr.isatty():
        yield lambda _text: None
        return
    following = 0.0

    def tick(text: str) -> None:
        nonlocal following
        if time.monotonic() >= following:
            show(text[: columns(2) - 1])
            following = time.monotonic() + _SHOWN_FOR

    try:
        yield tick
    finally:
        show("")
