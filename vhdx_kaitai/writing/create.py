"""New images on whose disk nothing is yet: fixed, dynamic, and children of a parent.

A file appears under its name when it is whole and on the medium, or not at all. What is
to get the name is opened before, by the rules of every reader [MS-VHDX 2.2 to 2.6].
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from functools import partial
from uuid import UUID, uuid4

from ..copying.files import refuse_source
from ..format.metadata import DiskType
from ..reading.disk import Disk, open_disk
from ..reading.image import Image, check_choice
from ..reading.parents import Search
from ..storage.target import new_file
from .blank import (
    USUAL_BLOCK_SIZE,
    USUAL_BLOCK_SIZE_OF_A_CHILD,
    Blank,
    Created,
    Item,
    NewDisk,
    judge,
    refuse_impossible,
)
from .guards import lock_parents
from .naming import locator_texts, packed_locator, refuse_lost


def create(
    path: str | os.PathLike[str],
    size: int | None = None,
    *,
    disk_type: DiskType | None = None,
    block_size: int | None = None,
    logical_sector_size: int | None = None,
    physical_sector_size: int | None = None,
    disk_id: UUID | None = None,
    parent: str | os.PathLike[str] | None = None,
    search: Search = (),
    follow_absolute: bool = False,
    replace: bool = False,
) -> Created:
    """Make a new image on whose disk nothing is yet, and return what it is.

    It reads as zeros, a child as its parent. The file appears under its name when all of it
    is on the medium; whatever fails before leaves nothing there [MS-VHDX 2.2 to 2.6].

    Args:
        path: The file.
        size: Size of the disk in bytes, a multiple of its logical sectors, at most 64 TiB; of
            a child at least, and by default, the size of its parent.
        disk_type: `fixed`, for which all of the space is allocated, or `dynamic`, which is the
            default; with a parent `differencing`.
        block_size: Bytes of a payload block, a power of two from 1 MiB to 256 MiB; 32 MiB by
            default, of a child 2 MiB.
        logical_sector_size: 512, which is the default, or 4096 bytes; a child has its parent's.
        physical_sector_size: 512 or 4096, which is the default; a child has its parent's.
        disk_id: Identity of the disk, by default a new one; a child has its parent's.
        parent: The file of the parent, which is opened with all its own parents and only read.
        search: Folders in which its parents are looked for, or one folder.
        follow_absolute: Follow absolute paths to its parents, and such that lead out of the
            folder of their child.
        replace: Whether a file that is there may be replaced.

    Raises:
        ValueError: The format allows no such disk, or the parent none.
        InUseError: Another program writes to the parent, which would change the child.
        VhdxError: The parent is refused, or no reader would find it.
        OSError: The file cannot be written, or the parent not be read.
    """
    if disk_type is not None:
        check_choice("disk_type", disk_type, ("fixed", "dynamic", "differencing"))
    name = os.fsdecode(path)
    if parent is None:
        if disk_type == "differencing":
            raise ValueError("a differencing disk needs a parent")
        if size is None:
            raise ValueError("a disk without a parent needs a size")
        disk = NewDisk(
            size,
            disk_type or "dynamic",
            USUAL_BLOCK_SIZE if block_size is None else block_size,
            logical_sector_size or 512,
            physical_sector_size or 4096,
            disk_id or uuid4(),
        )
        return _create(name, disk, replace=replace)
    if disk_type not in (None, "differencing"):
        raise ValueError(f"a disk with a parent is differencing, not {disk_type}")
    with open_disk(parent, search=search, follow_absolute=follow_absolute) as opened:
        lock_parents(opened.chain, "auto")
        given = (logical_sector_size, physical_sector_size, disk_id)
        disk = _child_of(opened, size, block_size, given)
        return _create_child(name, disk, opened, replace=replace)


def _create(path: str, disk: NewDisk, *, replace: bool) -> Created:
    refuse_impossible(disk)
    blank = Blank(disk)
    blocks = disk.geometry.payload_blocks if disk.disk_type == "fixed" else 0
    length = blank.file_length(blocks)
    with new_file(path, replace=replace, is_durable=True) as out:
        if blocks:
            out.allocate(length)
        else:
            out.lengthen(length)
        blank.write(out, [(0, blocks)], blocks)
        with contextlib.closing(judge(out).stored):
            return blank.created(length)


def _child_of(
    parent: Disk,
    size: int | None,
    block_size: int | None,
    given: tuple[int | None, int | None, UUID | None],
) -> NewDisk:
    """Return what a child has to be.

    Args:
        parent: The disk of its parent.
        size: Its size in bytes; None for that of the parent.
        block_size: Bytes of a payload block; None for the usual size.
        given: What the caller says of what a child has from its parent: the sector sizes in
            bytes, and the identity of the disk.

    Raises:
        ValueError: That is something else.
    """
    theirs = (parent.logical_sector_size, parent.physical_sector_size, parent.virtual_disk_id)
    names = ("logical sectors", "physical sectors", "identifier")
    for name, wanted, has in zip(names, given, theirs, strict=True):
        if wanted not in (None, has):
            raise ValueError(f"a child has the {name} of its parent, {has}, not {wanted}")
    if size is not None and size < parent.size:
        raise ValueError(f"a child of {size} bytes would cut off its parent of {parent.size}")
    return NewDisk(
        parent.size if size is None else size,
        "differencing",
        USUAL_BLOCK_SIZE_OF_A_CHILD if block_size is None else block_size,
        *theirs,
    )


def _create_child(path: str, disk: NewDisk, parent: Disk, *, replace: bool) -> Created:
    refuse_impossible(disk)
    with contextlib.suppress(FileNotFoundError):
        refuse_source((image.stored for image in parent.chain), os.stat(path), path)
    blank = Blank(
        disk,
        locator=packed_locator(locator_texts(path, parent.image), parent.image),
        others=_items_of_the_disk(parent.image),
    )
    length = blank.file_length(0)
    with new_file(path, replace=replace, is_durable=True) as out:
        out.lengthen(length)
        blank.write(out)
        child = judge(out)
        with contextlib.closing(child.stored):
            refuse_lost(child, parent.image)
        return blank.created(length)


def _items_of_the_disk(parent: Image) -> Iterator[Item]:
    """Yield the items that belong to the disk, beside those of the specification (MET-17)."""
    for entry in parent.metadata.entries:
        if entry.is_virtual_disk and entry.kind == "other":
            offset = parent.regions.metadata.file_offset + entry.offset
            read = partial(parent.source.read, offset, entry.length)
            yield Item(entry._replace(reserved=0, reserved_2=0), read)
