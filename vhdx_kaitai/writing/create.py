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
from ..errors import ParentError, VhdxError
from ..format import encode
from ..format.locator import LINKAGE, PATH_KEYS
from ..format.metadata import DiskType
from ..guids import NIL, VHDX_PARENT_LOCATOR_TYPE
from ..reading.disk import Disk, open_disk
from ..reading.image import Image, check_choice
from ..reading.links import Sought, find_parent
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

_IS_WINDOWS = os.name == "nt"


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
        given = (logical_sector_size, physical_sector_size, disk_id)
        disk = _child_of(opened, size, block_size, given)
        return _create_child(name, disk, opened, replace=replace)


def leads_out(path: str | os.PathLike[str], parent: str | os.PathLike[str]) -> bool:
    """Tell whether a parent is neither in the folder of its child nor below.

    Readers do not go there unless they are allowed to.

    Args:
        path: Path of the child.
        parent: Path of the parent.
    """
    folder = os.path.dirname(_place_of(os.fsdecode(path)))
    try:
        way = os.path.relpath(_without_links(os.fsdecode(parent)), folder)
    except ValueError:  # it is on another drive
        return True
    return way.split(os.sep)[0] == os.pardir


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
        locator=_locator(path, parent.image),
        others=_items_of_the_disk(parent.image),
    )
    length = blank.file_length(0)
    with new_file(path, replace=replace, is_durable=True) as out:
        out.lengthen(length)
        blank.write(out)
        child = judge(out)
        with contextlib.closing(child.stored):
            _refuse_lost(child, parent.image)
        return blank.created(length)


def _items_of_the_disk(parent: Image) -> Iterator[Item]:
    """Yield the items that belong to the disk, beside those of the specification (MET-17)."""
    for entry in parent.metadata.entries:
        if entry.is_virtual_disk and entry.kind == "other":
            offset = parent.regions.metadata.file_offset + entry.offset
            read = partial(parent.source.read, offset, entry.length)
            yield Item(entry._replace(reserved=0, reserved_2=0), read)


def _locator(path: str, parent: Image) -> bytes:
    """Return the parent locator of a child, packed [MS-VHDX 2.6.2.6.3].

    Keys stand in the order of Windows, but for `parent_linkage2`, which says nothing in a
    new child and, by the text, must not be there (LOC-14). The parent's log need not be
    replayed: its replay, be it ours or that of Windows, leaves the DataWriteGuid (HDR-23).

    Raises:
        VhdxError: No child can name this parent.
    """
    linkage = parent.headers.current.data_write_guid
    if linkage == NIL:
        raise _error(parent, "its DataWriteGuid is zero, by which no child can recognise it")
    assert parent.path is not None
    absolute = _without_links(parent.path)
    texts = [(LINKAGE, f"{{{linkage}}}")]
    if _IS_WINDOWS:
        texts.append((PATH_KEYS[2], absolute if absolute[:2] == "\\\\" else f"\\\\?\\{absolute}"))
    with contextlib.suppress(ValueError):  # there is none from one drive to another
        texts.append((PATH_KEYS[0], _relative(absolute, os.path.dirname(_place_of(path)))))
    try:
        return encode.new_parent_locator(VHDX_PARENT_LOCATOR_TYPE, texts)
    except ValueError as error:
        raise _error(parent, "its path cannot be written as UTF-16, or is too long") from error


def _relative(path: str, folder: str) -> str:
    """Return the way to a file from a folder, as Windows writes it."""
    way = os.path.relpath(path, folder).replace(os.sep, "\\")
    return way if way.startswith("..\\") else f".\\{way}"


def _without_links(path: str) -> str:
    """Return the absolute path of a file by its own name, its folder without links."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(os.path.realpath(folder), name)


def _place_of(path: str) -> str:
    """Return the absolute path at which a new file comes to be."""
    return os.path.realpath(path) if os.path.islink(path) else _without_links(path)


def _refuse_lost(child: Image, parent: Image) -> None:
    """Raise unless the paths of a child lead to its parent.

    Raises:
        VhdxError: They do not.
    """
    nowhere = _error(parent, "no path that a child could have leads to it")
    try:
        found, link = find_parent(child, Sought(follow_absolute=True))
    except ParentError as error:
        raise nowhere from error
    with contextlib.closing(found):
        one, other = found.stored.status(), parent.stored.status()
        assert one is not None
        assert other is not None
        if link.key not in PATH_KEYS or not os.path.samestat(one, other):
            raise nowhere


def _error(image: Image, message: str) -> VhdxError:
    error = VhdxError(message)
    error.path = image.path
    return error
