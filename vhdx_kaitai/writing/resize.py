"""A disk becomes larger or smaller in the image as it stands.

The size of the disk is one metadata item, and it changes by one entry of the log, together
with all that has to change with it. What lies past the end of the disk has no meaning, so

* before the disk becomes larger, what it gets is made ready there and flushed: zeros after
  its end in the last block, entries of new blocks, or a whole new BAT where the old one has
  no room [MS-VHDX 2.5];
* after it has become smaller, entries and places of the blocks that are past its end are
  given up, and the end of the file is cut off when the log is clean.

A crash leaves the old size or the new one, and in the range that both have nothing changes.
"""

from __future__ import annotations

import os
from contextlib import closing
from functools import partial

from ..checking.classes import OCCUPYING_STATES
from ..checking.order import payload_entries
from ..copying.data import Progress, data_ranges, in_pieces
from ..errors import UnsafeError, VhdxError
from ..format import encode
from ..format.bat import (
    ENTRY_LENGTH,
    FULLY_PRESENT,
    NOT_PRESENT,
    OFFSET_MASK,
    PARTIALLY_PRESENT,
    PRESENT,
    SECTORS_PER_BITMAP,
    STATE_MASK,
    Geometry,
)
from ..format.headers import HEADER_SECTION_LENGTH
from ..reading.chain import open_chain
from ..reading.disk import Disk
from ..reading.image import Image
from ..reading.links import USUAL, Sought
from ..reading.parents import Search
from ..reading.partitions import PartitionTable, partition_table
from ..records import TYPE_CHECKING, NamedTuple
from ..storage.locks import Lock
from ..storage.overlay import PAGE
from ..text import full_size
from ..units import MIB, ceil_div
from .blank import refuse_size
from .editor import Editor, survey_to_write
from .items import put_item
from .operation import Terms, change
from .session import Change, Outcome
from .tables import NewBlocks, Surplus, copy_of_bat, length_of_bat, name_bat

if TYPE_CHECKING:
    from ..reading.links import Named


class _Wanted(NamedTuple):
    """What the caller wants.

    Attributes:
        size: The size in bytes; None for the least that partitions leave.
        force: Whether the disk becomes smaller although something of it may be lost.
        sought: Where parents are looked for.
        progress: Told how far it is.
    """

    size: int | None
    force: bool
    sought: Sought
    progress: Progress


class _Plan(NamedTuple):
    """What is to become of the disk.

    Attributes:
        size: Its size in bytes.
        parent_size: That of its parent; 0 when there is none.
        changes: The changes, for people.
    """

    size: int
    parent_size: int
    changes: tuple[Change, ...]


def resize(
    path: str | os.PathLike[str],
    size: int | None = None,
    *,
    minimum: bool = False,
    force: bool = False,
    dry_run: bool = False,
    lock: Lock = "auto",
    progress: Progress | None = None,
    parent: Named = None,
    search: Search = (),
    follow_absolute: bool = False,
) -> Outcome:
    """Give a disk another size [MS-VHDX 2.6.2.2]; what is new of it reads as zeros.

    The size changes at one moment: a crash leaves the old one or the new one.

    Args:
        path: The file.
        size: The size in bytes, a multiple of the logical sector size, at most 64 TiB.
        minimum: Whether the disk gets the least size instead that its partitions leave, in
            whole MiBs.
        force: Whether to do it although something may be lost past the new end, or children
            or records of backups rely on the image.
        dry_run: Whether to say only what would be changed; nothing is written then.
        lock: Whether the file has to be locked, as QEMU does it: `auto` goes on without
            where the file system has no locks, True refuses, False does not ask.
        progress: Told how many bytes are done of what is read past a new end, or of a larger
            BAT, now and then; when it raises, the disk has its old size.
        parent: The parent, or one for each level, as `open` takes it.
        search: Folders in which parents are looked for, or one folder.
        follow_absolute: Follow absolute paths of parents.

    Returns:
        What was changed, or would be.

    Raises:
        FormatError: A rule refuses the image.
        InUseError: Another program has the file open.
        ParentNotFoundError: No parent was found.
        UnsafeError: Something would be lost, or others rely on the image.
        OSError: There is no space, or the medium fails.
        ValueError: Neither a size is given nor `minimum`, or both; or the format allows no disk
            of that size.
    """
    if (size is None) is not minimum:
        raise ValueError("either a size is wanted, or the minimum")
    sought = Sought.of(parent, search, follow_absolute=follow_absolute)
    told = progress or (lambda _done: None)
    plan = partial(_plan, wanted=_Wanted(size, force, sought, told))
    carry_out = partial(_carry_out, progress=told)
    return change(path, plan, carry_out, Terms(True, force, dry_run, lock))


# -- the plan -------------------------------------------------------------------------------------


def _plan(image: Image, wanted: _Wanted) -> _Plan:
    """Return what is to become of the disk, which is read for that, with its parents."""
    chain = open_chain(image.stored, wanted.sought, USUAL)
    with closing(Disk(chain.images, chain.links)) as disk:
        parent_size = chain.images[1].metadata.virtual_disk_size if len(chain.images) > 1 else 0
        size, table = wanted.size, _table_of(disk)
        if size is None:
            size = _least_size(disk, table)
        refuse_size(size, disk.logical_sector_size)
        if size < disk.size and not wanted.force:
            _refuse_loss(disk, table, size, wanted.progress)
        return _Plan(size, parent_size, tuple(_changes(image, size, table)))


def _table_of(disk: Disk) -> PartitionTable | None:
    """Return what partitions need of a disk; what cannot be read of it is needed, too."""
    try:
        return partition_table(disk)
    except VhdxError as error:
        return PartitionTable("partition table", disk.size, doubt=f"it is not readable: {error}")


def _least_size(disk: Disk, table: PartitionTable | None) -> int:
    if table is None:
        raise UnsafeError("there is no partition table that says what is needed: give a size")
    return min(disk.size, ceil_div(table.needed, MIB) * MIB)


def _refuse_loss(disk: Disk, table: PartitionTable | None, size: int, progress: Progress) -> None:
    """Raise when something would be lost because a disk becomes smaller.

    Raises:
        UnsafeError: There are partitions past the new end, or, where there is no partition
            table, there is anything.
    """
    if table is None:
        at = _data_past(disk, size, progress)
        if at is not None:
            raise _unsafe(
                f"there is no partition table, so a file system may take the whole disk, and "
                f"something is stored at {at}, past the new end at {size}"
            )
    elif table.doubt:
        raise _unsafe(f"what is needed of the disk cannot be told, since {table.doubt}")
    elif size < table.needed:
        backup = f" and the backup of the GPT takes {table.backup_length} more"
        raise _unsafe(
            f"the last partition ends at {table.end}{backup if table.backup_length else ''}, past "
            f"the new end at {size}; make it smaller first, by the system that uses it"
        )


def _unsafe(why: str) -> UnsafeError:
    return UnsafeError(f"{why}; --force (force=True) cuts it off all the same")


def _data_past(disk: Disk, start: int, progress: Progress) -> int | None:
    """Return the virtual offset of something past an offset that is not zeros."""
    for low, high, *_ in in_pieces(data_ranges(disk, start, disk.size), MIB):
        data = disk.pread(high - low, low)
        if any(data):
            return low + len(data) - len(data.lstrip(b"\0"))
        progress(high - start)
    return None


def _changes(image: Image, size: int, table: PartitionTable | None) -> list[Change]:
    """Return the changes, for people."""
    before, region = image.metadata.virtual_disk_size, image.regions.bat
    if size == before:
        return []
    geometry = image.geometry._replace(virtual_disk_size=size)
    changes = [Change("size of the disk", full_size(before), full_size(size))]
    if geometry.payload_blocks != image.geometry.payload_blocks:
        counts = image.geometry.payload_blocks, geometry.payload_blocks
        changes.append(Change("blocks", *map(str, counts)))
    if geometry.entry_count * ENTRY_LENGTH > region.length:
        length = length_of_bat(geometry)
        moved = f"{full_size(length)}, at another place"
        changes.append(Change("block allocation table", full_size(region.length), moved))
    if table is not None and table.kind == "GPT" and not table.doubt:
        now = "cut off" if size < before else "before the end"
        told = f"{now}; `sgdisk -e` in the system that uses the disk puts it in order"
        changes.append(Change("backup of the GPT", "at the end of the disk", told))
    return changes


# -- the work -------------------------------------------------------------------------------------


def make_larger(editor: Editor, size: int, parent_size: int, progress: Progress) -> None:
    """Give the disk of an image that is being changed a larger size, at one moment.

    Args:
        editor: The image.
        size: The size in bytes.
        parent_size: That of its parent; 0 when there is none.
        progress: Told how many bytes of a larger BAT are written.
    """
    _carry_out(editor, _Plan(size, parent_size, ()), progress=progress)


def _carry_out(editor: Editor, plan: _Plan, *, progress: Progress) -> None:
    is_larger = plan.size > editor.geometry.virtual_disk_size
    surplus, end = _surplus(editor, plan.size), editor.space.used_end
    bits = None if is_larger else _SurplusBits(editor, plan.size)
    try:
        if bits is None:
            _make_room(editor, plan, surplus, progress)
        else:
            surplus.zero_shared()
            bits.clear_shared()
        put_item(editor, "virtual_disk_size", encode.virtual_disk_size(plan.size))
        image = editor.judge()
        survey_to_write(image)
    except BaseException:
        if not editor.session.has_failed:  # the disk has its old size, and the image is in order
            editor.forget()
            editor.used_end, editor.given_up = end, []
            editor.end()
        raise
    editor.commit()
    if bits is not None:
        surplus.zero_others()
        bits.clear_others()
        editor.used_end = _used_end(image)


def _surplus(editor: Editor, size: int) -> Surplus:
    """Return what of the BAT has a meaning with only one of two sizes of the disk, or with none.

    Args:
        editor: The image.
        size: Another size of the disk.
    """
    one = editor.geometry
    other = one._replace(virtual_disk_size=size)
    less, more = sorted((one, other), key=lambda geometry: geometry.virtual_disk_size)
    start = (less.payload_index(less.payload_blocks - 1) + 1) * ENTRY_LENGTH
    end = ceil_div(more.entry_count * ENTRY_LENGTH, PAGE) * PAGE
    kept = less.sector_bitmap_index(less.sector_bitmap_blocks - 1) * ENTRY_LENGTH
    return Surplus(editor, start, end, kept if less.is_differencing else None)


def _make_room(editor: Editor, plan: _Plan, surplus: Surplus, progress: Progress) -> None:
    """Make all ready for a larger disk, so that its size is what is left to be changed.

    Raises:
        OSError: There is no space.
    """
    old = editor.geometry
    new = old._replace(virtual_disk_size=plan.size)
    editor.needs_barrier = True
    _settle_last_block(editor, plan)
    first, count = old.payload_blocks, new.payload_blocks - old.payload_blocks
    place = _stored(editor, new, count * old.block_size)
    zero_end = min(new.payload_blocks, ceil_div(plan.parent_size, old.block_size))
    blocks = NewBlocks(first, max(first, zero_end), place)
    if new.entry_count * ENTRY_LENGTH <= editor.image.regions.bat.length:
        surplus.zero_shared()
        surplus.zero_others()
        for at, data in blocks.pieces(new):
            surplus.write(at, data)
        return
    length = length_of_bat(new)
    end = (old.payload_index(first - 1) + 1) * ENTRY_LENGTH
    offset = copy_of_bat(editor, end, length, progress)
    session = editor.session
    for at, data in blocks.pieces(new):
        session.attempt(session.file.write, data, offset + at)
    if old.is_differencing:
        index = old.sector_bitmap_index(old.sector_bitmap_blocks - 1)
        session.attempt(session.file.write, editor.image.bat.raw(index, 1), _at(offset, index))
    name_bat(editor, offset, length)
    former = editor.image.regions.bat
    editor.given_up.append((former.file_offset, former.length))


def _at(offset: int, index: int) -> int:
    """Return the file offset of an entry of a BAT."""
    return offset + index * ENTRY_LENGTH


def _stored(editor: Editor, geometry: Geometry, length: int) -> int:
    """Return the file offset of space for new blocks of a fixed disk, all of which is zeros.

    It is at the end of the file: space amid it may be kept for blocks without a place
    [MS-VHDX 2.6.2.1].

    Args:
        editor: The image.
        geometry: The sizes that the disk is to have.
        length: Bytes of the new blocks.

    Returns:
        Nothing but 0 when the disk is another one, or has no new blocks.
    """
    if editor.image.metadata.disk_type != "fixed":
        return 0
    kept = _kept_end(editor.image, geometry.virtual_disk_size)
    needed = max(length, kept - editor.space.end)
    if needed == 0:
        return 0
    session, room = editor.session, editor.new_room(needed, is_new=True)
    session.attempt(session.file.allocate, room.offset, needed)
    return room.offset if length else 0


def _kept_end(image: Image, size: int) -> int:
    """Return how long the file of a fixed disk has to be, to keep all blocks (ITEM-10).

    Args:
        image: The image.
        size: Bytes of the disk.
    """
    taken = sum(other.end - other.start for other in image.occupied)
    return ceil_div(HEADER_SECTION_LENGTH + taken + size, MIB) * MIB


def _settle_last_block(editor: Editor, plan: _Plan) -> None:
    """Let what is past the end of the disk in its last block read as zeros.

    Args:
        editor: The image.
        plan: What is to become of the disk. A parent may go on past the end that it has.
    """
    geometry = editor.geometry
    size, block_size = geometry.virtual_disk_size, geometry.block_size
    block, inside = divmod(size, block_size)
    if not inside:
        return
    entry = editor.entry(block)
    state, offset = entry & STATE_MASK, entry & OFFSET_MASK
    is_parents = state == NOT_PRESENT and plan.parent_size > size
    if is_parents:
        room = editor.new_room(block_size)
        offset = room.offset
    elif state not in OCCUPYING_STATES or not offset:
        return
    session = editor.session
    session.attempt(session.file.zero, offset + inside, block_size - inside)
    if not (is_parents or state == PARTIALLY_PRESENT):
        return
    chunk, number = divmod(block, geometry.chunk_ratio)
    bitmap, sector = editor.sector_bitmap(chunk), geometry.logical_sector_size
    first = number * block_size // sector
    middle, after = first + inside // sector, first + block_size // sector
    end = min(after, middle + (plan.size - size) // sector)
    if is_parents:
        editor.set_bits(bitmap, first, middle, is_set=False)
    editor.set_bits(bitmap, middle, end, is_set=True)
    editor.set_bits(bitmap, end, after, is_set=False)
    is_whole = editor.bits(bitmap, first, middle) == (1 << middle - first) - 1
    editor.set_entry(block, FULLY_PRESENT if is_whole else PARTIALLY_PRESENT, offset)


class _SurplusBits:
    """Bits of sectors past the end that a disk is to have, in the sector bitmap of its last chunk.

    They have no meaning then.

    Args:
        editor: The image, whose disk has its old size.
        size: The size that it is to have, in bytes.
    """

    def __init__(self, editor: Editor, size: int) -> None:
        geometry = editor.geometry
        chunk_size = SECTORS_PER_BITMAP * geometry.logical_sector_size
        chunk, inside = divmod(size, chunk_size)
        self._editor, self._offset = editor, 0
        self._first = inside // geometry.logical_sector_size
        self._page = ceil_div(self._first, _BITS_OF_A_PAGE)  # the first without others
        if inside and geometry.is_differencing:
            entry = editor.image.bat.entry(geometry.sector_bitmap_index(chunk))
            self._offset = entry & OFFSET_MASK if entry & STATE_MASK == PRESENT else 0

    def clear_shared(self) -> None:
        """Clear those in a page with others that have a meaning."""
        end = self._page * _BITS_OF_A_PAGE
        if self._offset and self._first < end:
            self._editor.set_bits(self._offset, self._first, end, is_set=False)

    def clear_others(self) -> None:
        """Clear the rest of them, of which a crash may leave some."""
        if self._offset:
            session, at = self._editor.session, self._page * PAGE
            session.attempt(session.file.zero, self._offset + at, MIB - at)


_BITS_OF_A_PAGE = PAGE * 8


def _used_end(image: Image) -> int:
    """Return the file offset after all that is used of a file, places that are kept included."""
    geometry, block_size = image.geometry, image.geometry.block_size
    end = max(other.end for other in image.occupied)
    if image.metadata.disk_type == "fixed":
        end = max(end, _kept_end(image, geometry.virtual_disk_size))
    for _, entries in payload_entries(image):
        if max(entries) > end - block_size:
            places = (e & OFFSET_MASK for e in entries if e & STATE_MASK in OCCUPYING_STATES)
            end = max([end, *(place + block_size for place in places if place)])
    chunks = geometry.sector_bitmap_blocks if geometry.is_differencing else 0
    for entry in image.bat.sector_bitmaps(0, chunks):
        if entry & STATE_MASK == PRESENT:
            end = max(end, (entry & OFFSET_MASK) + MIB)
    return end
