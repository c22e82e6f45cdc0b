"""Compacting: what an image need not store goes, and its last blocks move into the holes.

The disk reads the same at every moment, so children keep their parent: the DataWriteGuid
stays (HDR-23), unless free space of file systems goes, too. The order of writes, each step
of which a crash leaves done or not:

1. entries of blocks that need no place, flush; then those of sector bitmaps that no block
   needs any more, flush;
2. blocks are copied into holes, flush; then their entries, flush; again until all are moved;
3. the end: the log is clean, flush; only then the file is cut.

Holes are space that nothing has referred to since before the first copy went there. No page
of theirs has been in the log of this session, since no bit of a sector bitmap changes, so no
replay puts anything there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial

from ..copying.data import Progress
from ..errors import UnsupportedError, VhdxError
from ..format.bat import OFFSET_MASK, STATE_MASK
from ..format.headers import HEADER_SECTION_LENGTH
from ..ranges import Ranges
from ..reading.disk import open_disk
from ..reading.image import Image
from ..reading.parents import Search
from ..reading.unused import unused
from ..records import TYPE_CHECKING, NamedTuple
from ..storage import filesystems
from ..storage.buffers import bulk_buffer
from ..storage.locks import Lock
from ..storage.source import FileSource
from ..text import counted
from ..units import MIB, ceil_div
from .editor import Editor, survey_to_write
from .needless import NOTHING, Hole, Needless, amount, needless
from .operation import Terms, change
from .packed import PackedCopy
from .packing import Move, Packing, packing
from .session import Change, Outcome

if TYPE_CHECKING:
    from ..reading.links import Named

_MOST_PAGES = 64  # of metadata that are changed in a step
_MOST_COPIED = 256 * MIB  # bytes of blocks that are copied in a step, more or less


def compact(
    path: str | os.PathLike[str],
    *,
    free_space: bool = False,
    punch: bool = False,
    to: str | os.PathLike[str] | None = None,
    force: bool = False,
    dry_run: bool = False,
    lock: Lock = "auto",
    progress: Progress | None = None,
    parent: Named = None,
    search: Search = (),
    follow_absolute: bool = False,
) -> Outcome:
    """Make the file of a dynamic or differencing disk smaller; the disk reads as before.

    Blocks of zeros become ZERO, partially present ones without any sector NOT_PRESENT; blocks
    without data give up the places that they keep, and sector bitmaps go that no block needs
    [MS-VHDX 2.5.1]. Then the last blocks move into the holes of the file, and it is cut.
    A crash at whatever moment leaves the same disk. A fixed disk is left as it is.

    Args:
        path: The file.
        free_space: Whether what the file systems on the disk have free counts as zeros: ext2,
            ext3, ext4 and NTFS (for which `dissect.ntfs` is needed), all over the disk or in
            partitions. It reads as zeros then, or as before. The DataWriteGuid is a new one
            (HDR-22).
        punch: Whether pages of zeros inside stored blocks, and space of the file that belongs
            to nothing, become holes of the file, too.
        to: Where to make a packed copy, which is no longer than it has to be and has its
            blocks in the order of the disk; the file stays as it is then, and what `changes`
            says is true of the copy. It is the same disk for children and by its identity.
        force: Whether free space goes although children or records of backups rely on the
            image, or a file system was not cleanly unmounted, belongs to a hibernated Windows
            or has shadow copies.
        dry_run: Whether to say only what would be changed; nothing is written then.
        lock: Whether the file has to be locked, as QEMU does it: `auto` goes on without
            where the file system has no locks, True refuses, False does not ask.
        progress: Told how many bytes of stored blocks were looked at and then moved, in all,
            now and then. When it raises, what was done is brought to its end first.
        parent: The parent, or one for each level, as `open` takes it; only to find free space.
        search: Folders in which parents are looked for, or one folder; likewise.
        follow_absolute: Follow absolute paths of parents; likewise.

    Returns:
        What was changed, or would be; with `to` what is different in the copy.

    Raises:
        FormatError: A rule refuses the image, or it is not to be written to.
        InUseError: Another program has the file open.
        ParentError: No parent was found in which to look for free space.
        UnsafeError: Others rely on the image, or free space may be none.
        UnsupportedError: There must be no holes in the file, or there can be none; no file
            system is known, or it is damaged.
        OSError: There is no space, or the medium fails.
    """

    def find_unused(_image: Image) -> Ranges:
        with open_disk(path, parent=parent, search=search, follow_absolute=follow_absolute) as disk:
            return unused(disk, force=force)

    how = _How(punch, find_unused if free_space else _nothing, progress or _silent)
    if to is not None:
        return _copy(os.fsdecode(path), os.fsdecode(to), how, free_space, dry_run=dry_run)
    stopped: list[BaseException] = []
    outcome = change(
        path,
        partial(_plan, how=how),
        partial(_carry_out, how=how, stopped=stopped),
        Terms(free_space, force, dry_run, lock),
    )
    if stopped:
        raise stopped[0]
    return outcome


def _copy(path: str, to: str, how: _How, is_other: bool, *, dry_run: bool) -> Outcome:
    """Make a packed copy, or say what it would be."""
    with Image(path) as image:
        try:
            if image.metadata.disk_type == "fixed":
                raise UnsupportedError("a fixed disk has all of its blocks, and keeps them")
            found = survey_to_write(image)
            idle = needless(image, found, how.progress, unused=how.unused(image))
            copy = PackedCopy(image, idle, is_other=is_other)
            size = image.geometry.block_size
            before, after = counted(image.source.size, "byte"), counted(copy.length, "byte")
            changes = (*idle.changes(size), Change("length of the file", before, after))
            if not dry_run:
                looked_at = found.stored * size
                copy.write(to, lambda done: how.progress(looked_at + done))
        except VhdxError as error:
            error.path = error.path or path
            raise
        return Outcome(not dry_run, False, None, changes)


class _How(NamedTuple):
    """How an image is compacted.

    Attributes:
        punch: Whether holes are made.
        unused: Returns the virtual ranges of a disk that nobody needs.
        progress: Told how far it is.
    """

    punch: bool
    unused: Callable[[Image], Ranges]
    progress: Progress


class _Plan(NamedTuple):
    """What becomes of the blocks of an image.

    Attributes:
        needless: What need not be stored.
        packing: Which blocks move.
        holes: What becomes a hole, of blocks and of what belongs to nothing.
        changes: The changes, for people.
        looked_at: Bytes of stored blocks.
    """

    needless: Needless
    packing: Packing
    holes: list[Hole]
    free: list[tuple[int, int]]
    changes: tuple[Change, ...]
    looked_at: int


def _plan(image: Image, how: _How) -> _Plan:
    if image.metadata.disk_type == "fixed":
        return _Plan(Needless([], [], [], [], [], [], []), Packing(0, [], []), [], [], (), 0)
    found = survey_to_write(image)
    if how.punch:
        _refuse_holes(image)
    idle = needless(image, found, how.progress, unused=how.unused(image), with_holes=how.punch)
    fixed = [(0, HEADER_SECTION_LENGTH), *((other.start, other.end) for other in image.occupied)]
    packed = packing(idle.stays, fixed)
    free = list(_stored(image, packed.free)) if how.punch else []
    changes = tuple(_changes(image, idle, packed, free))
    looked_at = found.stored * image.geometry.block_size
    return _Plan(idle, packed, idle.holes, free, changes, looked_at)


def _refuse_holes(image: Image) -> None:
    file = image.stored
    if isinstance(file, FileSource) and filesystems.refuses_holes(file.fd):
        error = UnsupportedError("Windows refuses files with holes on this file system")
        error.path = image.path
        raise error


def _stored(image: Image, ranges: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield what of some ranges of a file is no hole, where the system tells."""
    for start, end in ranges:
        stop = min(end, image.stored.size)
        file = image.stored.local_file(start, stop)
        if start < stop:
            yield from [(start, stop)] if file is None else file.stored_ranges(start, stop)


def _changes(
    image: Image, idle: Needless, packed: Packing, free: list[tuple[int, int]]
) -> Iterator[Change]:
    """Yield what is won, and by what."""
    size = image.geometry.block_size
    yield from idle.changes(size)
    moved = sum(move.piece.length for move in packed.moves)
    if moved:
        yield Change("last blocks", amount(len(packed.moves), moved), "in holes of the file")
    holes = sum(end - start for _, start, end in idle.holes)
    if holes:
        yield Change("pages of zeros in blocks", f"{counted(holes, 'byte')} stored", "holes")
    length = sum(end - start for start, end in free)
    if length:
        yield Change("space that belongs to nothing", f"{counted(length, 'byte')} stored", "holes")
    before = image.source.size
    if packed.last_end < ceil_div(before, MIB) * MIB:
        after = counted(packed.last_end, "byte")
        yield Change("length of the file", counted(before, "byte"), after)


def _carry_out(editor: Editor, plan: _Plan, how: _How, stopped: list[BaseException]) -> None:
    work = _Work(editor, plan)
    try:
        for done in work.steps(with_holes=how.punch):
            try:
                how.progress(plan.looked_at + done)
            except BaseException as error:  # whatever it is, the image is in order
                stopped.append(error)
                break
    except (OSError, UnsupportedError) as error:
        if editor.session.has_failed:
            raise
        stopped.append(error)
        editor.commit()
    if work.end is not None:
        editor.space.lower_end(work.end)


class _Work:
    """The changes to an image, step by step.

    Attributes:
        end: File offset after all that is used, for certain; None as long as nobody knows.
    """

    def __init__(self, editor: Editor, plan: _Plan) -> None:
        self.end: int | None = None
        self._editor = editor
        self._plan = plan
        self._buffer = bulk_buffer(MIB)

    def steps(self, *, with_holes: bool) -> Iterator[int]:
        """Do one thing after the other; after each all is on the medium, and sound.

        Yields:
            Bytes of blocks that were moved.
        """
        editor, plan = self._editor, self._plan
        for block, state in plan.needless.dropped():
            editor.drop_blocks(block, block + 1, state, ())
            if editor.changed_pages >= _MOST_PAGES:
                editor.commit()
                yield 0
        editor.commit()
        for chunk in plan.needless.bitmaps:
            editor.put_sector_bitmap(chunk, 0)
            if editor.changed_pages >= _MOST_PAGES:
                editor.commit()
        editor.commit()
        self.end = plan.packing.end
        yield 0
        yield from self._moves()
        if with_holes:
            self._punch()

    def _moves(self) -> Iterator[int]:
        editor, done, copied = self._editor, 0, 0
        for move in self._plan.packing.moves:
            self._copy(move)
            self._map(move)
            copied += move.piece.length
            if copied >= _MOST_COPIED or editor.changed_pages >= _MOST_PAGES:
                editor.commit()
                self.end = move.end
                done, copied = done + copied, 0
                yield done
        if copied:
            editor.commit()
            self.end = self._plan.packing.last_end
            yield done + copied

    def _copy(self, move: Move) -> None:
        """Copy a block into a hole, of which anything may be known."""
        session, piece = self._editor.session, move.piece
        file = session.file
        to, at = move.to - piece.place, piece.place
        local = file.local_file(piece.place, piece.end)
        whole = [(piece.place, piece.end)]
        for start, end in whole if local is None else local.stored_ranges(*whole[0]):
            session.attempt(file.zero, at + to, start - at)
            for at in range(start, end, MIB):
                part = self._buffer[: min(MIB, end - at)]
                session.attempt(file.readinto, part, at)
                session.attempt(file.write, part, at + to)
            at = end
        session.attempt(file.zero, at + to, piece.end - at)

    def _map(self, move: Move) -> None:
        """Let the copy be the block."""
        editor, piece = self._editor, move.piece
        editor.needs_barrier = True
        if piece.is_bitmap:
            editor.put_sector_bitmap(piece.number, move.to)
            return
        state = editor.entry(piece.number) & STATE_MASK
        editor.set_entry(piece.number, state, move.to)
        editor.space.give_back(piece.place, piece.length)

    def _punch(self) -> None:
        """Make holes of what reads as zeros, or belongs to nothing.

        Raises:
            UnsupportedError: The file system has no holes.
        """
        editor = self._editor
        ranges = list(self._plan.free)
        for block, start, end in self._plan.holes:
            place = editor.entry(block) & OFFSET_MASK
            ranges.append((place + start, place + end))
        for start, end in ranges:
            if not editor.session.attempt(editor.session.file.punch, start, end - start):
                raise UnsupportedError("the file system has no holes; all else was done")


def _nothing(_image: Image) -> Ranges:
    """Say that all of a disk is needed."""
    return NOTHING


def _silent(_done: int) -> None:
    """Say nothing of how far it is."""
