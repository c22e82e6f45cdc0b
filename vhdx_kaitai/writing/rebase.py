"""A child gets another parent, or another way to the one that it has.

The way and the linkage are in one item, so a child has its old parent or its new one,
whenever the power fails. Where the new one reads otherwise and the disk is to stay as
it is, what differs is first copied into the child, which hides it from both.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

from ..copying.data import Progress
from ..errors import ParentMismatchError, UnsupportedError, refuse
from ..format.locator import LINKAGE, LINKAGE_2, PATH_KEYS, matching_key
from ..reading.chain import check_link
from ..reading.disk import Disk, open_disk
from ..reading.image import Image
from ..records import TYPE_CHECKING, NamedTuple
from ..storage.locks import HINT, Lock
from ..text import human_size
from ..units import KIB, MIB
from .disk import WritableDisk, open_writable
from .editor import Editor, survey_to_begin
from .guards import lock_parents
from .items import put_item
from .naming import locator_texts, packed_locator, refuse_lost
from .operation import Terms, change
from .session import Change, Outcome

if TYPE_CHECKING:
    from ..reading.links import Named
    from ..reading.parents import Search

_PIECE = MIB
_PAGE = 4 * KIB  # what differs is copied by pages, which have whole sectors of both sizes

# What a rebase says anew; other keys stay as they are.
_OURS = (LINKAGE, LINKAGE_2, *PATH_KEYS)


class _Plan(NamedTuple):
    """What becomes of a child.

    Attributes:
        locator: Its new parent locator.
        changes: The changes, for people.
    """

    locator: bytes
    changes: tuple[Change, ...]


def rebase(
    path: str | os.PathLike[str],
    new_parent: str | os.PathLike[str],
    *,
    ignore_mismatch: bool = False,
    copy: bool = False,
    parent: Named = None,
    search: Search = (),
    follow_absolute: bool = False,
    force: bool = False,
    dry_run: bool = False,
    lock: Lock = "auto",
    progress: Progress | None = None,
) -> Outcome:
    """Give a child another parent, or another way to its parent [MS-VHDX 2.6.2.6].

    Where the new parent is the one that the child was made for, only the paths change, and
    all children of the child keep it. A parent that is another one is refused, unless the
    caller knows that it reads the same, or wants to copy what differs first.

    Args:
        path: The child.
        new_parent: The file of its parent from now on; it is only read.
        ignore_mismatch: Whether a parent is taken that the child was not made for, as it
            is. What the child does not store reads as that parent has it.
        copy: Whether the disk stays as it reads: what the new parent has otherwise is first
            copied into the child. The old parents have to be there for that.
        parent: The old parent, or one for each level; only for `copy`.
        search: Folders in which parents are looked for: the old ones, and those of the new.
        follow_absolute: Follow absolute paths of parents.
        force: Whether that is done although children or records of backups rely on the image
            and its disk may read otherwise.
        dry_run: Whether to say only what would be changed; nothing is written then.
        lock: Whether the file has to be locked, as QEMU does it: `auto` goes on without
            where the file system has no locks, True refuses, False does not ask.
        progress: Told how many bytes of the disk were compared; only with `copy`. When it
            raises, the child has its old parent still.

    Returns:
        What was changed, or would be.

    Raises:
        FormatError: A rule refuses an image, or the new parent as the child's.
        ParentMismatchError: The child was not made for the new parent.
        UnsafeError: Others rely on the image, and its disk may read otherwise.
        InUseError: Another program has the file open, or writes to the new parent.
        OSError: There is no space, or the medium fails.
    """
    name = os.fsdecode(path)
    sought: dict[str, Any] = {"search": search, "follow_absolute": follow_absolute}
    with open_disk(new_parent, **sought) as above:
        new = _NewParent(above, False if dry_run else lock)
        if not copy:
            plan = partial(_plan, name, new=new, ignore_mismatch=ignore_mismatch)
            carry_out = partial(_carry_out, above=above.image)
            return change(name, plan, carry_out, Terms(ignore_mismatch, force, dry_run, lock))
        if dry_run:
            with open_disk(name, parent=parent, **sought) as disk:
                return _planned_with_copies(name, disk, new, progress)
        with open_writable(name, parent=parent, lock=lock, for_data=False, **sought) as disk:
            return _done_with_copies(name, disk, new, progress)


class _NewParent(NamedTuple):
    """The new parent of a child.

    Attributes:
        disk: Its disk.
        lock: Whether it has to be locked while the child gets it.
    """

    disk: Disk
    lock: Lock


def _plan(name: str, image: Image, new: _NewParent, *, ignore_mismatch: bool) -> _Plan:
    """Return what changes of a child, which has its new parent already or is to take it as it is.

    Nobody writes to that from now on.

    Raises:
        FormatError: The new parent cannot be one.
        ParentMismatchError: The child was not made for it.
        UnsupportedError: The image has no parent.
    """
    locator, above = image.locator, new.disk
    if locator is None:
        raise UnsupportedError("the image has no parent, and gets none")
    for count in range(1, len(above.chain) + 1):
        refuse(check_link([image, *above.chain[:count]]))
    linkage = above.image.headers.current.data_write_guid
    if matching_key(locator, linkage) is None and not ignore_mismatch:
        message = f"the child was made for a parent with the DataWriteGuid {locator.linkage}"
        message += f", and {above.image.path} has {linkage}; --copy (copy=True) first copies what"
        message += " differs, --ignore-mismatch (ignore_mismatch=True) takes it as it is"
        raise ParentMismatchError(message)
    lock_parents(above.chain, new.lock, hint=HINT)
    others = [item for item in locator.entries.items() if item[0] not in _OURS]
    texts = [*locator_texts(name, above.image), *others]
    if dict(texts) == locator.entries:
        return _Plan(b"", ())
    return _Plan(packed_locator(texts, above.image), tuple(_changes(locator.entries, dict(texts))))


def _changes(before: dict[str, str], after: dict[str, str]) -> Iterator[Change]:
    for key in dict.fromkeys((*before, *after)):
        one, two = before.get(key, "none"), after.get(key, "none")
        if one != two:
            yield Change(key, one, two)


def _carry_out(editor: Editor, plan: _Plan, above: Image) -> None:
    """Let a child name its parent, which it is asked for before that is in its file."""
    put_item(editor, "parent_locator", plan.locator)
    refuse_lost(editor.judge(), above)


def _planned_with_copies(
    name: str, disk: Disk, new: _NewParent, progress: Progress | None
) -> Outcome:
    plan = _plan(name, disk.image, new, ignore_mismatch=True)
    survey_to_begin(disk.image)
    copied = sum(end - start for start, end in _differences(disk, new.disk, progress))
    changes = (*plan.changes, *_about_copies(copied))
    return Outcome(False, False, disk.image.replayed if changes else None, changes)


def _about_copies(copied: int) -> Iterator[Change]:
    if copied:
        yield Change("stored in the child", "the old parent's", f"{human_size(copied)} more")


def _done_with_copies(
    name: str, disk: WritableDisk, new: _NewParent, progress: Progress | None
) -> Outcome:
    image, above = disk.image, new.disk
    plan = _plan(name, image, new, ignore_mismatch=True)
    copied = 0
    for start, end in _differences(disk, above, progress):
        disk.pwrite(disk.pread(end - start, start), start)
        copied += end - start
    changes = (*plan.changes, *_about_copies(copied))
    if plan.changes:
        with disk.editing() as editor:
            editor.commit()
            _carry_out(editor, plan, above.image)
    is_changed = bool(changes)
    return Outcome(is_changed, disk.is_locked, image.replayed if is_changed else None, changes)


def _differences(disk: Disk, above: Disk, progress: Progress | None) -> Iterator[tuple[int, int]]:
    """Yield where a child, as it reads by its old parents, reads otherwise by its new ones.

    Only what it does not store itself can do that.

    Args:
        disk: The child.
        above: The new parent.
        progress: Told how many bytes of the disk were compared.
    """
    for extent in disk.extents():
        stop = extent.offset + extent.length
        is_parents = extent.depth > 0 or extent.state == "not_present"
        for start in range(extent.offset, stop, _PIECE) if is_parents else ():
            length = min(_PIECE, stop - start)
            here = disk.pread(length, start)
            there = above.pread(length, start).ljust(length, b"\0")
            if here != there:
                yield from _pages(start, here, there)
        if progress is not None:
            progress(stop)


def _pages(start: int, here: bytes, there: bytes) -> Iterator[tuple[int, int]]:
    """Yield runs of pages in which two pieces of a disk differ."""
    begun: int | None = None
    for at in range(0, len(here), _PAGE):
        is_same = here[at : at + _PAGE] == there[at : at + _PAGE]
        if begun is None and not is_same:
            begun = at
        elif begun is not None and is_same:
            yield start + begun, start + at
            begun = None
    if begun is not None:
        yield start + begun, start + len(here)
