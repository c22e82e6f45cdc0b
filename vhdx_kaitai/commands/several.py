"""Files and folders, one after the other: their documents, the worst status, a summary."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from ..errors import VhdxError
from ..text import counted
from .output import note
from .running import failure
from .status import worst
from .streams import refuse_to_write_into

# What is done with one file, as `arguments.file`; returns its exit status.
Work = Callable[[argparse.Namespace], int]


def each(arguments: argparse.Namespace, work: Work, words: dict[int, str]) -> int:
    """Do something with every file, also of folders, and return the worst exit status.

    Of several files the documents take a line each, and a line on standard error
    says what became of how many.

    Args:
        arguments: What was asked for, with the names in `files`.
        work: What to do with each file.
        words: What a file is called that came to an exit status.
    """
    paths: list[str] = arguments.files
    are_several = len(paths) > 1 or any(map(os.path.isdir, paths))
    if are_several:
        arguments.indent = None
    statuses: Counter[int] = Counter()
    of_folders: set[int] = set()
    files = list(files_of(paths, recursive=arguments.recursive))
    for path, _ in files:  # before anything is printed, which may be into one of them
        refuse_to_write_into(path)
    for path, error in files:
        one = argparse.Namespace(**{**vars(arguments), "file": path})
        if error is not None:
            of_folders.add(failure(one, error))
        else:
            statuses[_try(one, work)] += 1
    if are_several and statuses:
        parts = [f"{statuses[status]} {word}" for status, word in words.items() if statuses[status]]
        note(arguments, None, f"{counted(statuses.total(), 'file')}: {', '.join(parts)}")
    return worst({*statuses, *of_folders})


def _try(one: argparse.Namespace, work: Work) -> int:
    try:
        return work(one)
    except BrokenPipeError:
        raise
    except (VhdxError, OSError) as error:
        return failure(one, error)


def files_of(paths: Iterable[str], *, recursive: bool) -> Iterator[tuple[str, Exception | None]]:
    """Yield paths of files, and those of folders with what is wrong with them."""
    for path in paths:
        if os.path.isdir(path):
            yield from _files_in(path, recursive=recursive)
        else:
            yield path, None


def _files_in(top: str, *, recursive: bool) -> Iterator[tuple[str, Exception | None]]:
    from ..reading.folders import look_into  # most are named themselves

    is_empty = True
    hint = ""
    folders = [top]
    while folders:
        path = folders.pop()
        try:
            found = look_into(path)
        except OSError as error:
            is_empty = False
            yield path, error
            continue
        for image in found.images:
            is_empty = False
            yield image, None
        if recursive:
            folders += reversed(found.folders)
        elif found.folders:
            hint = ", --recursive looks into the folders below"
    if is_empty:
        yield top, VhdxError(f"no VHDX file in this folder{hint}")
