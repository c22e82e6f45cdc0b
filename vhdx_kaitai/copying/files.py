"""Files that commands write: documents, whole or not at all; never over what is being read."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from ..format.headers import probe
from ..storage.filesystems import is_same_device
from ..storage.source import Source
from ..storage.target import FileTarget, new_file, remove_file

_LINES_AT_ONCE = 4096


def write_file(path: str, data: bytes, *, replace: bool) -> None:
    """Write a file, which appears under its name when it is whole.

    Args:
        path: Path of the file.
        data: What is in it.
        replace: Whether a file that is there may be replaced.

    Raises:
        OSError: The file cannot be written.
    """
    with new_file(path, replace=replace) as out:
        out.write(data, 0)


def write_lines(path: str, lines: Iterable[str], *, replace: bool) -> None:
    """Write a file of text, line by line, which appears under its name when it is whole.

    The other arguments and the errors are those of `write_file`.
    """
    offset = 0
    with new_file(path, replace=replace) as out:
        iterator = iter(lines)
        for some in iter(lambda: list(islice(iterator, _LINES_AT_ONCE)), []):
            data = "".join(f"{line}\n" for line in some).encode()
            out.write(data, offset)
            offset += len(data)


@contextlib.contextmanager
def growing_file(
    path: str, lines: Iterable[str], *, replace: bool
) -> Iterator[Callable[[str], None]]:
    """Write a file of text that is there at once and grows line by line; what is in it stays.

    Args:
        path: Path of the file.
        lines: What is in it at first.
        replace: Whether a file that is there may be replaced.

    Yields:
        What adds a line, which the system has when it returns.

    Raises:
        InUseError: Another process adds to it.
        UnsupportedError: This system cannot do that.
        OSError: It cannot be written.
    """
    if replace and os.path.lexists(path):
        FileTarget(path).close()  # raises when another process adds to it
    write_lines(path, lines, replace=replace)
    with contextlib.closing(FileTarget(path)) as file:
        yield lambda line: file.write(f"{line}\n".encode(), file.size)


def refuse_source(sources: Iterable[Source], output: os.stat_result, name: str) -> None:
    """Refuse to write to a file that is being read.

    Args:
        sources: What is being read.
        output: What the system says of the file that is to be written.
        name: Its name.

    Raises:
        OSError: It is one of the sources.
    """
    for source in sources:
        status = source.status()
        if status is not None and (
            os.path.samestat(status, output) or is_same_device(status, output)
        ):
            raise OSError(errno.EINVAL, "is an image of the disk itself", name)


def refuse_to_replace(path: str, force: bool) -> None:
    """Let no output replace a file that nobody allowed to be replaced, and none a folder."""
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if os.path.lexists(path) and not force:
        raise FileExistsError(errno.EEXIST, "output exists already, --force would replace it", path)


def refuse_unwritable(path: str, *, replace: bool) -> None:
    """Raise now what would keep a file from being written at the end; nothing is left of it.

    The arguments and the errors are those of `write_file`.
    """
    with contextlib.suppress(_WithdrawnError), new_file(path, replace=replace):
        raise _WithdrawnError


class _WithdrawnError(Exception):
    """A file is not wanted after all."""


def refuse_same(path: str, other: str, why: str) -> None:
    """Refuse to write two things to one file, or to write to one that is read.

    Args:
        path: The one file, which need not be there.
        other: The other one, which need not be there either.
        why: What the first one is, and the other one cannot be.

    Raises:
        OSError: They are the same.
    """
    with contextlib.suppress(FileNotFoundError):
        if os.path.realpath(path) == os.path.realpath(other) or os.path.samefile(path, other):
            raise OSError(errno.EINVAL, why, path)


def remove(path: str) -> None:
    """Remove a file that a command has made for a while; it may be gone already."""
    with contextlib.suppress(FileNotFoundError):
        remove_file(path, os.stat(path))


def refuse_image(path: str) -> None:
    """Let no report take the place of an image, which is hardly what is wanted."""
    if os.path.isfile(path):
        with open(path, "rb") as file:
            if probe(file.read(8)):
                raise FileExistsError(errno.EEXIST, "is a VHDX file, and stays one", path)
