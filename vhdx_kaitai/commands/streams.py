"""The standard streams: results go to standard output, and failures of that are told apart."""

from __future__ import annotations

import errno
import os
import sys

TYPE_CHECKING = False  # as in `typing`, for which help and version need not wait

if TYPE_CHECKING:
    from io import BufferedReader
    from typing import IO

_closed_at_start = False


class OutputError(Exception):
    """Standard output cannot be written, which says nothing about the image."""


def prepare() -> None:
    """Make the standard streams such that every text can be written, and no file gets into them."""
    # A stream that was closed before the start is None; no file may get its number.
    global _closed_at_start
    _closed_at_start = sys.stdout is None
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    _use_replacement(sys.stdout)
    _use_replacement(sys.stderr)


def _use_replacement(stream: IO[str]) -> None:
    # A terminal that cannot show a character gets its number instead of a traceback.
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def standard_input() -> BufferedReader:
    """Return the bytes of standard input.

    Raises:
        OSError: It was closed at the start.
    """
    if sys.stdin is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF), "standard input")
    stream: BufferedReader = sys.stdin.buffer  # type: ignore[assignment] # typeshed is wider
    return stream


def forget() -> None:
    """Drop what is left to be written, which the interpreter would try once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def refuse_input(path: str | None, status: os.stat_result | None) -> None:
    """Refuse to write into a file that is read: not even what failed can be told there."""
    try:
        output = os.fstat(sys.stdout.fileno())
    except (OSError, ValueError):  # it is no file of the system's
        return
    if status is not None and os.path.samestat(status, output):
        raise OutputError(f"is {path}, which is read")


def refuse_to_write_into(path: str) -> None:
    """Refuse to write into a file of that name, which is read; what is no file is told later."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # when it is opened
        return
    refuse_input(path, status)


def write(data: str | bytes | memoryview) -> None:
    """Write text, or bytes as they are, to standard output."""
    try:
        if _closed_at_start:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if isinstance(data, str):
            sys.stdout.write(data)
        else:
            sys.stdout.buffer.write(data)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(error.strerror) from error


def flush() -> None:
    """Hand everything written to the operating system."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(error.strerror) from error
