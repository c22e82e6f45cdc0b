"""Small things that are said of a disk, and change by a stroke: its identity, its sectors."""

from __future__ import annotations

import os
from functools import partial
from uuid import UUID

from ..errors import refuse
from ..format import encode
from ..format.metadata import check_physical_size, check_sector_size
from ..format.place import Place
from ..reading.image import Image
from ..records import NamedTuple
from ..storage.locks import Lock
from .editor import Editor
from .items import put_item
from .operation import Terms, change
from .session import Change, Outcome


class _Plan(NamedTuple):
    """What is to be said of the disk.

    Attributes:
        items: Contents of items by their kind in the grammar.
        changes: The changes, for people.
    """

    items: dict[str, bytes]
    changes: tuple[Change, ...]


def edit(
    path: str | os.PathLike[str],
    *,
    disk_id: UUID | None = None,
    physical_sector_size: int | None = None,
    force: bool = False,
    dry_run: bool = False,
    lock: Lock = "auto",
) -> Outcome:
    """Give a disk another identity, or other physical sectors [MS-VHDX 2.6.2.3, 2.6.2.5].

    All of it changes at one moment: a crash leaves it as it was or as it is to be.

    Args:
        path: The file.
        disk_id: The identity; two copies of a disk that are used at once need two.
        physical_sector_size: 512 or 4096 bytes: how the disk claims to be made inside.
        force: Whether that is done although children or records of backups rely on the image.
        dry_run: Whether to say only what would be changed; nothing is written then.
        lock: Whether the file has to be locked, as QEMU does it: `auto` goes on without
            where the file system has no locks, True refuses, False does not ask.

    Returns:
        What was changed, or would be.

    Raises:
        FormatError: A rule refuses the image, or the size.
        InUseError: Another program has the file open.
        UnsafeError: Others rely on the image.
        OSError: There is no space, or the medium fails.
    """
    plan = partial(_plan, disk_id=disk_id, physical_sector_size=physical_sector_size)
    return change(path, plan, _carry_out, Terms(True, force, dry_run, lock))


def _plan(image: Image, disk_id: UUID | None, physical_sector_size: int | None) -> _Plan:
    metadata = image.metadata
    items: dict[str, bytes] = {}
    changes = []
    if disk_id is not None and disk_id != metadata.virtual_disk_id:
        items["virtual_disk_id"] = encode.virtual_disk_id(disk_id)
        changes.append(Change("identity of the disk", str(metadata.virtual_disk_id), str(disk_id)))
    size, before = physical_sector_size, metadata.physical_sector_size
    if size is not None and size != before:
        place = Place("Physical Sector Size", "physical_sector_size_item", None)
        refuse(check_sector_size("ITEM-16", "PhysicalSectorSize", size, place))
        refuse(check_physical_size(size, metadata.logical_sector_size, place))
        items["physical_sector_size"] = encode.physical_sector_size(size)
        changes.append(Change("physical sectors", f"{before} bytes", f"{size} bytes"))
    return _Plan(items, tuple(changes))


def _carry_out(editor: Editor, plan: _Plan) -> None:
    for kind, data in plan.items.items():
        put_item(editor, kind, data)
    editor.judge()
