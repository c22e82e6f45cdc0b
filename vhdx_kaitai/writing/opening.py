"""The door: a disk is opened to be read, or to be written, too.

Readers do not come by here, and what writes is loaded when somebody wants to write.
"""

from __future__ import annotations

import os
from typing import Any, Literal, overload

from ..reading.disk import Assume, Disk, Lost, Substitute, open_disk
from ..reading.image import Replay
from ..reading.links import Linkage
from ..reading.parents import Search
from ..records import TYPE_CHECKING
from ..storage.locks import Lock
from ..storage.source import SourceLike

if TYPE_CHECKING:
    from ..reading.links import Named
    from .disk import WritableDisk


@overload
def open(
    source: SourceLike,
    *,
    writable: Literal[False] = False,
    parent: Named = None,
    search: Search = (),
    follow_absolute: bool = False,
    replay: Replay = "memory",
    resolve_parents: bool = True,
    lost: Lost = "refuse",
    identifier: Assume = "refuse",
    header: Assume = "refuse",
    regions: Assume = "refuse",
    bat: Assume = "refuse",
    linkage: Linkage = "refuse",
    missing_parent: Substitute = "refuse",
) -> Disk: ...


@overload
def open(
    source: str | os.PathLike[str],
    *,
    writable: Literal[True],
    parent: Named = None,
    search: Search = (),
    follow_absolute: bool = False,
    lock: Lock = "auto",
) -> WritableDisk: ...


def open(source: Any, *, writable: bool = False, **options: Any) -> Disk:
    """Open a virtual disk with all its parents, read-only unless it is said otherwise.

    A disk that is to be written is a `WritableDisk`. Its parents are only read, and nothing in
    its file changes before the first write.

    What the format refuses is refused, unless the caller allows something to be assumed
    instead, for reading. `Disk.assumed` says what was.

    Args:
        **options: The arguments below.
        source: Path, bytes, memoryview, mmap or binary file object of the image; or its URL,
            for reading.
        writable: Whether the disk is to be written, too. Then `source` is a path, and of the
            other arguments there are those about parents, and `lock`.
        parent: The same for its parent, instead of looking for it; a list for the parent
            of each level, nearest first, with None for one that is to be looked for.
        search: Folders in which parents are looked for, by name and by their
            DataWriteGuid, paths or URLs, or one folder.
        follow_absolute: Follow absolute paths of parents, and such that lead
            out of the folder of their child.
        replay: `memory` applies a dirty log in memory, `refuse` raises instead, `ignore`
            reads the file as it is stored.
        resolve_parents: False opens the one file; ranges that belong to its
            parent cannot be read then.
        lost: `zero` reads zeros where an image should hold bytes and does not. A log is
            replayed then although the file is shorter than it demands.
        identifier: `assume` takes a file for a VHDX file whose identifier was overwritten.
        header: `assume` goes by the header that is most nearly right when none is
            current, and by none when neither makes sense: the log is taken as empty then.
        regions: `assume` looks for BAT and metadata when no region table is valid.
        bat: `assume` moves pages of the BAT back that look moved by one entry, as QEMU left them.
        linkage: `ignore` takes the parent that was named, or the first that names lead to,
            although its DataWriteGuid is not the one that its child recorded.
        missing_parent: `zero` reads zeros in the place of a parent that cannot be had;
            with `lost` its ranges are lost.
        lock: Whether a file that is to be written has to be locked, as QEMU does it: `auto`
            goes on without where the file system has no locks, True refuses, False does not ask.

    Raises:
        FormatError: A rule refuses an image of the chain.
        ReplayRequiredError: A log is dirty and `replay` is `refuse`.
        ParentNotFoundError: No parent was found; the message names all that was tried.
        ParentMismatchError: Only other files were found in its place.
        InUseError: The file is to be written, and another program has it open.
        UnsupportedError: It is, and that cannot be done on this system, or not with a lock;
            or what is needed for a URL is not installed.
        ReplacedError: A file at a URL was replaced while it was read.
        OSError: The file cannot be read, or what may be a parent.
    """
    if writable:
        from .disk import open_writable  # nobody needs it to read

        return open_writable(source, **options)
    return open_disk(source, **options)
