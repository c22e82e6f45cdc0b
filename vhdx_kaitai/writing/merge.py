"""A merge: what a child holds, and all between it and an ancestor, goes into the ancestor.

The child reads the same at every moment, since it hides from itself what is written to the
ancestor, the target. What could go wrong is that it loses its parent. So

1. the image right above the target says that its parent may have another DataWriteGuid, too
   (`parent_linkage2`, CHAIN-09);
2. the target gets that DataWriteGuid, and the size of the child if that is larger;
3. sectors that the child, or an image between, holds are written to the target;
4. the target gets the metadata items of the child that belong to the disk (MET-18);
5. the child has the target for its only parent; or all files that were merged go.

Each step is on the medium before the next one begins. A merge that was stopped goes on when
it is begun again: it takes the DataWriteGuid that the target has by then for the old one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

from ..copying.data import Progress
from ..errors import UnsupportedError, VhdxError, refusal
from ..format.locator import LINKAGE, LINKAGE_2, PATH_KEYS, matching_key
from ..reading.disk import Disk, open_disk
from ..reading.extents import Extent
from ..reading.image import Image
from ..reading.map import Map
from ..reading.parents import Search
from ..records import TYPE_CHECKING, NamedTuple
from ..storage.locks import Lock
from ..storage.target import FileTarget, Target, remove_file
from ..text import full_size, human_size
from ..units import KIB, MIB
from .disk import WritableDisk
from .editor import begin_editing, survey_to_begin, survey_to_write
from .guards import refuse_what_others_need
from .items import DiskItems, items_of_another, put_item, put_items_of_another
from .naming import locator_texts, packed_locator, refuse_lost
from .resize import make_larger
from .session import Change, Outcome, Session

if TYPE_CHECKING:
    from ..reading.links import Named

_PIECE = MIB  # of data
_NEAR = 64 * KIB  # bytes that are read in vain rather than by another call
_STEP = 1024 * MIB  # of zeros; whole blocks of every size

# What another parent lets the child say anew.
_OURS = (LINKAGE, LINKAGE_2, *PATH_KEYS)


class Plan(NamedTuple):
    """What becomes of the target.

    Attributes:
        size: The size of its disk in bytes.
        items: What becomes of its metadata items.
        changes: The changes, for people.
    """

    size: int
    items: DiskItems
    changes: tuple[Change, ...]


def merge(
    path: str | os.PathLike[str],
    *,
    into: str | os.PathLike[str] | None = None,
    delete: bool = False,
    force: bool = False,
    dry_run: bool = False,
    lock: Lock = "auto",
    progress: Progress | None = None,
    parent: Named = None,
    search: Search = (),
    follow_absolute: bool = False,
) -> Outcome:
    """Write what a child holds into its parent, or an ancestor, which has the same disk then.

    The child reads the same at every moment, wherever a crash comes. A merge that was stopped
    goes on when it is begun again. [MS-VHDX 2.6.1.2, 2.6.2.6.3]

    Args:
        path: The child.
        into: The file of the ancestor, the target; its parent by default. What images between
            hold goes there, too, and they are no parents of anybody any more.
        delete: Whether the files that were merged are removed at the end. Otherwise the child
            stays, with the target for its parent.
        force: Whether that is done although other children, or records of backups, rely on the
            target, or children on what does not stay as it is.
        dry_run: Whether to say only what would be changed; nothing is written then.
        lock: Whether the files have to be locked, as QEMU does it: `auto` goes on without
            where the file system has no locks, True refuses, False does not ask.
        progress: Told how many bytes of the disk are done, now and then. When it raises, the
            child reads as before, and the target holds a part of it.
        parent: The parent, or one for each level, as `open` takes it.
        search: Folders in which parents are looked for, or one folder.
        follow_absolute: Follow absolute paths of parents.

    Returns:
        What was changed, or would be; the replay is that of the target's log.

    Raises:
        FormatError: A rule refuses an image, or it is not to be written to.
        InUseError: Another program has a file open.
        ParentError: A parent was not found.
        UnsafeError: Others rely on the target, or on what does not stay as it is.
        UnsupportedError: There is no such ancestor, or the target has a larger disk.
        OSError: There is no space, or the medium fails.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{type(path).__name__} is no path, and only files are written")
    sought: dict[str, Any] = {"search": search, "follow_absolute": follow_absolute}
    with open_disk(path, parent=parent, **sought) as disk, ExitStack() as stack:
        depth = depth_of(disk, into)
        merged, above = disk.chain[: depth + 1], disk.chain[depth + 1 :]
        if not force:
            _refuse_needed(merged, delete=delete)
        if dry_run:
            changes = planned(merged, delete=delete).changes
            return Outcome(False, False, merged[-1].replayed, changes)
        files = [stack.enter_context(closing(_locked(image, lock))) for image in merged]
        images = [Image(file) for file in files]
        _refuse_changed(images)
        plan = planned(images, delete=delete)
        Work(files, above, plan).run(progress or _silent, keeps_child=not delete)
        if delete:
            _remove(files[:-1])
        is_locked = all(file.is_locked for file in files)
        return Outcome(True, is_locked, images[-1].replayed, plan.changes)


def depth_of(disk: Disk, into: str | os.PathLike[str] | None) -> int:
    """Return where in its chain the target of a merge is.

    Args:
        disk: The child.
        into: The file of the target; None for the parent.

    Raises:
        UnsupportedError: It is no ancestor of the child.
        OSError: There is no such file.
    """
    error = UnsupportedError("the image has no parent that it could be merged into")
    if len(disk.chain) > 1:
        if into is None:
            return 1
        status = os.stat(into)
        for depth, image in enumerate(disk.chain[1:], 1):
            own = image.stored.status()
            if own is not None and os.path.samestat(own, status):
                return depth
        error = UnsupportedError(f"{os.fsdecode(into)} is no parent of it, nor of its parents")
    error.path = disk.image.path
    raise error


# -- the plan -------------------------------------------------------------------------------------


def planned(images: Sequence[Image], *, delete: bool) -> Plan:
    """Return what a merge is going to do; nothing is written.

    Args:
        images: The child, the images between, and the target.
        delete: Whether all but the target go at the end.

    Raises:
        FormatError: An image is not to be written to, or something of it is lost.
        UnsupportedError: The target has a larger disk, or no room for the items.
    """
    child, target = images[0], images[-1]
    size, before = child.metadata.virtual_disk_size, target.metadata.virtual_disk_size
    if before > size:
        message = f"the disk has {size} bytes, and that of {target.path} has {before}: make it as"
        message += f" large first (`resize` to {before})"
        raise _about(child, UnsupportedError(message))
    for image in images:
        try:
            survey_to_begin(image)
        except VhdxError as error:
            raise _about(image, error) from None
    try:
        items = items_of_another(target, child)
    except VhdxError as error:
        raise _about(target, error) from None
    amounts = {"data": 0, "zero": 0}
    for extent in _held(Disk(images[:-1])):
        amounts[extent.kind] += extent.length
    changes = (*_changes(child, target, items, **amounts), *_about_files(images, delete=delete))
    return Plan(size, items, changes)


def _held(upper: Disk) -> Iterator[Extent]:
    """Yield what images hold whose last one's parent is not there.

    Raises:
        FormatError: Some of it is lost.
    """
    for columns in Map(upper, 0, upper.size).columns():
        for start, length, (state, depth, kind, _), place in columns.rows():
            if kind == "lost":
                finding = next(upper.lost(start, length)).finding
                assert finding is not None
                raise _about(upper.chain[depth], refusal(finding))
            if kind != "parent":
                yield Extent(start, length, state, depth, place, "data" if place else "zero")


def _pieces(extents: Iterable[Extent]) -> Iterator[Extent]:
    """Yield extents in pieces that are not too long to be read, or zeroed, at once."""
    for extent in extents:
        most = _PIECE if extent.kind == "data" else _STEP
        at, end, place = extent.offset, extent.offset + extent.length, extent.file_offset
        if end - at <= most - at % most:  # as nearly all are
            yield extent
            continue
        while end - at > most - at % most:
            length = most - at % most
            yield extent._replace(offset=at, length=length, file_offset=place)
            at, place = at + length, None if place is None else place + length
        yield extent._replace(offset=at, length=end - at, file_offset=place)


def _with_bytes(upper: Disk) -> Iterator[tuple[Extent, bytes | None]]:
    """Yield what images hold, with the bytes; what is near each other in a file is read at once."""
    near: list[Extent] = []
    first = end = 0
    for extent in _pieces(_held(upper)):
        start = extent.file_offset or 0
        goes_on = (
            bool(near)
            and (extent.kind, extent.depth) == (near[0].kind, near[0].depth)
            and 0 <= start - end <= _NEAR
            and start + extent.length - first <= _PIECE
        )
        if not goes_on:
            yield from _read(upper, near)
            near, first = [], start
        near.append(extent)
        end = start + extent.length
    yield from _read(upper, near)


def _read(upper: Disk, near: Sequence[Extent]) -> Iterator[tuple[Extent, bytes | None]]:
    if not near or near[0].file_offset is None:
        yield from ((extent, None) for extent in near)
        return
    first, last = near[0].file_offset, near[-1]
    assert last.file_offset is not None
    source = upper.chain[last.depth].source
    data = source.read(first, last.file_offset + last.length - first)
    for extent in near:
        assert extent.file_offset is not None
        start = extent.file_offset - first
        yield extent, data[start : start + extent.length]


def _changes(
    child: Image, target: Image, items: DiskItems, data: int, zero: int
) -> Iterator[Change]:
    """Yield what changes of the target, for people."""
    one, two = target.metadata, child.metadata
    before, after = one.virtual_disk_size, two.virtual_disk_size
    if before != after:
        yield Change("size of the disk", full_size(before), full_size(after))
    held = f"{human_size(data)} of the child, and {human_size(zero)} of zeros"
    yield Change("written to the target", "nothing", held)
    if "virtual_disk_id" in items.known:
        yield Change("identity of the disk", str(one.virtual_disk_id), str(two.virtual_disk_id))
    if "physical_sector_size" in items.known:
        sizes = one.physical_sector_size, two.physical_sector_size
        yield Change("physical sectors", *(f"{size} bytes" for size in sizes))
    if items.gone or items.copied:
        count = len(items.copied)
        yield Change("other items of the disk", f"{items.gone} of the target", f"{count} copied")


def _about_files(images: Sequence[Image], *, delete: bool) -> Iterator[Change]:
    """Yield what becomes of the images that are merged, for people."""
    names = [os.path.basename(image.path or "") for image in images]
    if delete:
        for name in names[:-1]:
            yield Change("merged file", name, "removed")
        return
    if len(names) == 2:
        linkage = images[-1].headers.current.data_write_guid
        yield Change("parent_linkage of the child", str(linkage), "a new one, that of the target")
    else:
        yield Change("parent of the child", names[1], names[-1])
    for name in names[1:-1]:
        yield Change("image between", name, "stale: what its parent was has changed")


def _refuse_needed(images: Sequence[Image], *, delete: bool) -> None:
    """Raise when others rely on what changes or goes.

    Raises:
        UnsafeError: They do.
    """
    own = {os.path.realpath(image.path) for image in images if image.path is not None}
    for image in images if delete else images[1:]:  # the child, when it stays, reads as before
        refuse_what_others_need(image, own)


def _locked(image: Image, lock: Lock) -> FileTarget:
    """Return the file of an image, opened to be changed.

    Raises:
        InUseError: Another program has it open.
        UnsupportedError: The caller has named no file.
        VhdxError: It was replaced meanwhile.
    """
    if image.path is None:
        raise UnsupportedError("a parent was named that is no path, and only files are written")
    file = FileTarget(image.path, lock)
    status = image.stored.status()
    if status is None or not os.path.samestat(file.status(), status):
        file.close()
        raise _about(image, VhdxError("the file was replaced meanwhile"))
    return file


def _refuse_changed(images: Sequence[Image]) -> None:
    """Raise unless images that are locked now are still each the parent of the one before."""
    for child, parent in pairwise(images):
        guid = parent.headers.current.data_write_guid
        if child.locator is None or matching_key(child.locator, guid) is None:
            raise _about(child, VhdxError("the image or its parent was changed meanwhile"))


# -- the work -------------------------------------------------------------------------------------


class Work:
    """The steps of a merge, each of which leaves all on the medium.

    Args:
        files: Of the child, of the images between, and of the target; they stay open.
        above: The parents of the target.
        plan: What is to be done.
    """

    def __init__(self, files: Sequence[Target], above: Sequence[Image], plan: Plan) -> None:
        self._files = files
        self._above = above
        self._plan = plan
        self._guid = uuid4()

    def run(self, progress: Progress, *, keeps_child: bool) -> None:
        """Do all of it.

        Args:
            progress: Told how many bytes of the disk are done.
            keeps_child: Whether the child is to have the target for its parent.
        """
        self.announce()
        self.enlarge(progress)
        self.fill(progress)
        if keeps_child:
            self.relink()

    def announce(self) -> None:
        """Let the image above the target accept its new DataWriteGuid, too (CHAIN-09)."""
        image = Image(self._files[-2])
        assert image.locator is not None
        now = Image(self._files[-1]).headers.current.data_write_guid
        texts = image.locator.entries | {LINKAGE: _braced(now), LINKAGE_2: _braced(self._guid)}
        self._put_locator(image, texts)

    def enlarge(self, progress: Progress) -> None:
        """Let the disk of the target be as large as that of the child."""
        file = self._files[-1]
        image = Image(file)
        if image.metadata.virtual_disk_size >= self._plan.size:
            return
        parent_size = self._above[0].metadata.virtual_disk_size if self._above else 0
        session = Session(file, image.headers, self._guid)
        editor = begin_editing(session, image, for_data=True)
        with session.critical():
            make_larger(editor, self._plan.size, parent_size, lambda _done: progress(0))
            editor.end()

    def fill(self, progress: Progress) -> None:
        """Let the target have its new DataWriteGuid, what the child holds, and its items."""
        sources = [Image(file) for file in self._files[:-1]]
        upper, target = Disk(sources), Image(self._files[-1])
        is_new = target.headers.current.data_write_guid != self._guid
        with WritableDisk(
            [target, *self._above],
            for_data=is_new,
            data_write_guid=self._guid,
            keeps_file=True,
        ) as disk:
            self.copy(upper, disk, progress)
            with disk.editing() as editor:
                editor.commit()
                put_items_of_another(editor, self._plan.items, sources[0])
        survey_to_write(Image(self._files[-1], replay="refuse"))  # as it is now, it opens

    def copy(self, upper: Disk, disk: WritableDisk, progress: Progress) -> None:
        """Write what images hold to the disk of the target, sector by sector."""
        for extent, data in _with_bytes(upper):
            if data is None:
                disk.zero(extent.offset, extent.length)
            else:
                disk.pwrite(data, extent.offset)
            progress(extent.offset + extent.length)
        progress(disk.size)

    def relink(self) -> None:
        """Let the child have the target for its only parent, as it is now."""
        child, target = Image(self._files[0]), Image(self._files[-1])
        assert child.locator is not None
        entries = child.locator.entries
        if len(self._files) == 2:
            texts = entries | {LINKAGE: _braced(self._guid)}
            texts.pop(LINKAGE_2, None)
            self._put_locator(child, texts)
            return
        others = {key: value for key, value in entries.items() if key not in _OURS}
        ours = dict(locator_texts(child.path or "", target))
        self._put_locator(child, ours | others, parent=target)
        # The one above the target names a DataWriteGuid that is gone: it reads otherwise by now.
        last = Image(self._files[-2])
        assert last.locator is not None
        texts = dict(last.locator.entries)
        texts.pop(LINKAGE_2, None)
        self._put_locator(last, texts)

    def _put_locator(
        self, image: Image, texts: dict[str, str], parent: Image | None = None
    ) -> None:
        """Give a child another parent locator, by one entry of its log.

        Args:
            image: The child, over a `Target`; it reads as before, so its own children keep it.
            texts: Keys and values.
            parent: The parent to which the paths have to lead, when they are new.
        """
        file = image.stored
        assert isinstance(file, Target)
        locator = packed_locator(texts.items(), image)
        session = Session(file, image.headers)
        editor = begin_editing(session, image, for_data=False)
        with session.critical():
            put_item(editor, "parent_locator", locator)
            found = editor.judge()
            if parent is not None and parent.stored.status() is not None:
                refuse_lost(found, parent)
            editor.end()
        Image(file, replay="refuse")  # as it is now, it opens


def _remove(files: Sequence[FileTarget]) -> None:
    """Remove what was merged: the child first, so that whatever has a name has its parents."""
    for file in files:
        assert file.path is not None
        remove_file(file.path, file.status())


def _braced(guid: UUID) -> str:
    """Return a GUID as locators have it."""
    return f"{{{guid}}}"


def _about(image: Image, error: VhdxError) -> VhdxError:
    """Return an error that names the file it is about."""
    error.path = error.path or image.path
    return error


def _silent(_done: int) -> None:
    """Say nothing of how far it is."""
