"""What a file system says of itself, and of each file in it, whatever its kind."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Literal, TypeAlias

from ..records import NamedTuple

Kind: TypeAlias = Literal["file", "folder", "link", "device", "pipe", "socket", "other"]


class Status(NamedTuple):
    """What a file system says of a file, its name apart.

    Attributes:
        kind: What it is; `other` is what has contents of a kind that is not known here.
        size: Bytes of a file; 0 of everything else.
        mode: Who may do what, the twelve bits of Unix; None where the file system has none.
        modified: When its contents were changed last, in nanoseconds since 1970, UTC; None where
            no time stands there.
        identity: The same for all names of a file, and for no other file.
        names: How many names it has, as the file system counts them.
        target: Where a link leads, as it says itself.
    """

    kind: Kind
    size: int
    mode: int | None
    modified: int | None
    identity: Hashable
    names: int = 1
    target: str | None = None


class Entry(NamedTuple):
    """A file under one of its names.

    Attributes:
        path: Its name, after those of all folders that it is in, with `/` between them; no name
            is empty, `.`, or `..`, or has a `/` or a NUL in it. It is empty for the folder, or
            the file, with which a search began.
        status: What the file system says of it.
        pieces: Reads a file: yields the place of each piece that may be something else than
            zeros, and its bytes, in order.
    """

    path: str
    status: Status
    pieces: Callable[[], Iterator[tuple[int, bytes]]]


class FileSystem(NamedTuple):
    """What a file system says of itself; sizes in bytes.

    Attributes:
        kind: Which one it is, `ext4` for example.
        label: The name that people gave it; empty when it has none.
        uuid: What tells it from others, in the form that `blkid` has it.
        size: How much it manages.
        free: How much of that is free; None when that cannot be said.
        doubt: Why what it says may not be what was written last; None when it is.
    """

    kind: str
    label: str
    uuid: str
    size: int
    free: int | None
    doubt: str | None = None
