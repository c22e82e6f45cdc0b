"""The virtual disk that can be written to: a `Disk` whose first image is changed in place.

Nothing in the file changes before the first modification. Then the headers get new
GUIDs, a dirty log is replayed, and from there on every write goes by the state of its
block in the first image, never by where a reader finds the bytes: that may be in the
file of a parent [MS-VHDX 2.4, 2.5.1.1].

A write into a block that is there costs little more than its system call, and any
number of threads do that at once. What changes the map goes one at a time.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from _thread import get_ident
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from operator import index as to_int
from threading import RLock
from types import FrameType
from typing import Any
from uuid import UUID

from ..reading.chain import open_chain
from ..reading.disk import Disk, DiskFile
from ..reading.image import Image
from ..reading.layers import Layer
from ..reading.links import USUAL, Link, Sought
from ..reading.parents import Search
from ..reading.reader import bytes_of
from ..records import TYPE_CHECKING
from ..storage import locks
from ..storage.source import FileSource
from ..storage.target import FileTarget, Target, pwrite_file
from ..units import ceil_div
from .blocks import Blocks, Partial
from .editor import Editor, begin_editing
from .guards import lock_parents
from .session import Session

if TYPE_CHECKING:
    from ..reading.links import Named

# When this many pages of metadata are changed they get into the file, flush or no flush.
_MOST_PAGES = 2048

# Places of blocks that are kept for writing into them, a hundred bytes each.
_KEPT_PLACES = 1 << 14


class WritableDisk(Disk):
    """A virtual disk that is read and written, safe to be used by many threads.

    After a crash every sector holds what it held when `flush` returned the last time, or
    something that was written to it since. Parents are only read.

    `pwrite`, `zero` and `discard` have these errors in common:

    * ValueError: the range is not inside the disk, or the disk is closed;
    * FormatError: the image is not to be written to, though it may be read;
    * OSError: there is no space, or the medium fails; the disk goes on if it can, with
      what was written before;
    * FailedError: it cannot, since a write of metadata or a flush had failed before. What
      is in the file then is what a power cut would have left.
    """

    def __init__(
        self,
        chain: Sequence[Image],
        links: Sequence[Link] = (),
        *,
        unused: Sequence[str] = (),
        for_data: bool = True,
        data_write_guid: UUID | None = None,
        keeps_file: bool = False,
    ) -> None:
        """Put a chain of images together, the first of which can be written to.

        Args:
            chain: The image, over a `Target`, and all of its parents.
            links: How each parent was found.
            unused: What the caller said of parents and was for nothing.
            for_data: Whether what is written may let the disk read otherwise, so that the
                image gets a new DataWriteGuid.
            data_write_guid: Which one, when it is not to be any.
            keeps_file: Whether the file of the first image stays open, and locked, when the
                disk is closed.
        """
        file = chain[0].stored
        if not isinstance(file, Target):
            raise TypeError("the file of the first image was not opened to be written to")
        *children, base = (image.geometry.is_differencing for image in chain)
        if base or not all(children):
            raise ValueError("the images are not an image with all of its parents")
        super().__init__(chain, links, unused=unused)
        self._file: Any = file  # some have a descriptor
        self._has_descriptor = isinstance(file, FileSource)
        self._for_data = for_data
        self._map = RLock()  # held by whoever changes where anything is
        self._editor: Editor | None = None
        self._blocks: Blocks | None = None
        self._keeps_file = keeps_file
        self._session = Session(file, self.image.headers, data_write_guid)
        self._places: dict[int, int] = {}  # of blocks that are wholly on the disk and in the file
        self._partial: dict[int, Partial] = {}  # what `_blocks` keeps of those that are in part
        self._session.when_failed = self._places.clear  # nothing is written in place either
        # Flushes that began, and which of them has returned.
        self._begun_flushes = self._ended_flushes = 0
        self._get_place = self._places.get
        self._shift, self._mask = self.block_size.bit_length() - 1, self.block_size - 1

    @property
    def is_locked(self) -> bool:
        """Whether other programs that ask for locks are kept away."""
        return bool(self._file.is_locked)

    def pwrite(self, data: Any, offset: int) -> int:
        """Write all bytes of a buffer at a virtual offset, and return how many they are.

        Args:
            data: A contiguous buffer, aligned or not.
            offset: Virtual offset in bytes.
        """
        if type(offset) is not int:  # others may have few bits
            offset = to_int(offset)
        position = self._get_place(offset >> self._shift)
        if position is not None:
            length = len(data) if type(data) is bytes else len(bytes_of(data))
            start = offset & self._mask
            if start <= self._mask + 1 - length:
                try:
                    done: int = pwrite_file(self._file.fd, data, position + start)
                except OSError as error:
                    raise OSError(error.errno, error.strerror, self._file.path) from error
                if done == length:
                    return done
        return self._write(data, offset)

    def zero(self, offset: int, length: int) -> None:
        """Let a range read as zeros for certain; what is not needed for that is given back.

        Args:
            offset: Virtual offset in bytes.
            length: Bytes.
        """
        start, end = self._inside(offset, length)
        first, stop = (0, 0) if self.disk_type == "fixed" else self._whole_blocks(start, end)
        if start == end:
            return
        with self._changing() as blocks:
            if first < stop:
                self._in_parts(start, first * self.block_size, blocks.zero)
                self._in_runs(first, stop, blocks.zero_whole)
                start = min(end, stop * self.block_size)
            self._in_parts(start, end, blocks.zero)

    def discard(self, offset: int, length: int) -> None:
        """Say that nobody needs a range any more; whole blocks of it are given back.

        They read as zeros then, and nothing of a parent is seen there. The rest is left
        alone, and so is a fixed disk.

        Args:
            offset: Virtual offset in bytes.
            length: Bytes.
        """
        first, stop = self._whole_blocks(*self._inside(offset, length))
        if first < stop and self.disk_type != "fixed":
            with self._changing() as blocks:
                self._in_runs(first, stop, blocks.discard)

    def flush(self) -> None:
        """Return when all that was written before is on the medium.

        Threads that do so at once share the work.

        Raises:
            OSError: The medium fails, and nobody knows what is on it. Only closing works then.
            FailedError: It had failed before.
            ValueError: The disk is closed.
        """
        needed = self._begun_flushes + 1
        with self._alone():
            self._check_open()
            if self._ended_flushes < needed:
                self._begun_flushes += 1
                self._commit()
                self._ended_flushes = self._begun_flushes

    @contextmanager
    def editing(self) -> Iterator[Editor]:
        """Hold the lock, and yield the editor, for what changes more than bytes of the disk."""
        with self._changing():
            assert self._editor is not None
            try:
                yield self._editor
            finally:
                self._partial.clear()

    def open(self, mode: str = "rb") -> DiskFile:
        """Return a file object over the disk. Any number of them may be used at once.

        Args:
            mode: `rb` to read, `r+b` to write, too.

        Raises:
            ValueError: The disk is closed, or the mode is another one.
        """
        self._check_open()
        if mode not in ("rb", "r+b"):
            raise ValueError(f"mode is {mode!r}, expected 'rb' or 'r+b'")
        return DiskFile(self) if mode == "rb" else WritableDiskFile(self)

    def close(self) -> None:
        """Flush, let the log be clean, and close all files. Closing twice is harmless.

        Raises:
            OSError: The medium fails; the files are closed all the same.
        """
        with self._alone():
            try:
                if not self._is_closed:
                    self._is_closed = True  # nothing is written any more, wherever this stops
                    self._forget_blocks()
                    if not self._session.has_failed:
                        with self._session.critical():
                            self._session.flush() if self._editor is None else self._editor.end()
            finally:
                super().close()
                if not self._keeps_file:
                    self._file.close()

    # -- what changes the image -------------------------------------------------------------

    def _alone(self) -> RLock:
        """Return the lock, which no thread waits for when it holds it already.

        Python calls finalizers and signal handlers wherever a thread is. The lock is C: an
        interrupt comes before it is got or inside `with`, never in between.
        """
        if self._map._is_owned():  # type: ignore[attr-defined] # as `Condition` asks
            raise RuntimeError("the disk is being changed by this thread already")
        return self._map

    def _inside(self, offset: int, length: int) -> tuple[int, int]:
        """Return start and end of a range of the disk that a caller gave."""
        self._check_open()
        start, end = to_int(offset), to_int(offset) + to_int(length)
        if not 0 <= start <= end <= self.size:
            raise ValueError(f"{start} to {end} is not inside the disk of {self.size} bytes")
        return start, end

    def _write(self, data: Any, offset: int) -> int:
        """Write all bytes at a virtual offset, whatever blocks they are in."""
        view = bytes_of(data)
        if len(view) and offset >> self._shift in self._partial:
            with self._alone():
                partial = self._partial.get(offset >> self._shift)  # unless somebody was quicker
                if partial is not None and len(view) <= self._mask + 1 - (offset & self._mask):
                    self._check_usable()
                    with self._session.critical():
                        self._begun().write_partial(view, offset, partial)
                        self._spill()
                    return len(view)
        start, end = self._inside(offset, len(view))
        if start < end:
            with self._alone():  # as in `_changing`, which takes a tenth of a small write
                self._check_usable()
                with self._session.critical():
                    self._put(view, start, end)
        return len(view)

    def _put(self, view: memoryview, start: int, end: int) -> None:
        """Write the bytes of a range, block by block."""
        blocks, low = self._begun(), start
        while low < end:
            high = min(end, (low | self._mask) + 1)
            place = blocks.write(view[low - start : high - start], low)
            if place is not None and self._has_descriptor:
                self._keep(low >> self._shift, place)
            self._spill()
            low = high

    @contextmanager
    def _changing(self) -> Iterator[Blocks]:
        """Hold the lock, be ready to change the image, and yield its blocks."""
        with self._alone():
            self._check_usable()
            with self._session.critical():
                yield self._begun()

    def _check_usable(self) -> None:
        self._check_open()
        self._session.check()

    def _begun(self) -> Blocks:
        """Return the blocks of the image, which is made ready to be changed the first time."""
        if self._blocks is None:
            self._editor = editor = begin_editing(
                self._session, self.image, for_data=self._for_data
            )
            self._top = Layer(editor.image, 0, self._top.parent)
            self.image = editor.image
            self.chain = (self.image, *self.chain[1:])
            self._reader.change(self._top)
            self._blocks = Blocks(editor, self._top, self._reader, self._partial)
        return self._blocks

    def _commit(self) -> None:
        """Let all that was changed be on the medium."""
        self._session.check()
        with self._session.critical():
            self._session.flush() if self._editor is None else self._editor.commit(in_place=False)

    def _spill(self) -> None:
        """Let changed metadata get into the file when there is much of it."""
        assert self._editor is not None
        if self._editor.changed_pages >= _MOST_PAGES:
            self._commit()

    def _whole_blocks(self, start: int, end: int) -> tuple[int, int]:
        """Return the first block that is wholly in a range, and the one after the last."""
        size = self.block_size
        stop = self.image.geometry.payload_blocks if end == self.size else end // size
        return ceil_div(start, size), stop

    def _by_block(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the parts of a range, each of which lies in one block."""
        for first in range(start - start % self.block_size, end, self.block_size):
            yield max(start, first), min(end, first + self.block_size)

    def _in_parts(self, start: int, end: int, change: Callable[[int, int], None]) -> None:
        """Change a range block by block."""
        for low, high in self._by_block(start, end):
            change(low, high)
            self._spill()

    def _in_runs(self, first: int, stop: int, change: Callable[[int, int], None]) -> None:
        """Change whole blocks, which may lose their places, run by run."""
        assert self._editor is not None
        self._forget_blocks()
        for low, high in self._editor.runs(first, stop):
            change(low, high)
            self._spill()

    def _keep(self, block: int, place: int) -> None:
        """Keep the place of a block for writing into it."""
        if len(self._places) >= _KEPT_PLACES:
            self._places.clear()
        self._places[block] = place

    def _forget_blocks(self) -> None:
        """Keep nothing of blocks, and return when no thread is about to write into one of them.

        Whoever comes now does not find a place, and waits for the lock.
        """
        self._places.clear()
        self._partial.clear()
        while any(
            ident != get_ident() and _is_writing_in_place(frame)
            for ident, frame in sys._current_frames().items()
        ):
            time.sleep(1e-4)


class WritableDiskFile(DiskFile):
    """A position in a virtual disk that can be written to.

    Writes are full, short only at the end of the disk. `flush` flushes the disk, closing it
    does not, and leaves the disk open.
    """

    _disk: WritableDisk
    _is_closing = False

    def writable(self) -> bool:
        """Return True."""
        self._check_open()
        return True

    def write(self, data: Any) -> int:
        """Write at the position, move it, and return how many bytes that were.

        Raises:
            OSError: The position is at the end of the disk or past it.
        """
        self._check_open()
        self._disk._check_open()
        view = bytes_of(data)
        count = min(len(view), max(0, self.size - self._position))
        if count:
            self._disk.pwrite(view[:count], self._position)
            self._position += count
        elif len(view):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return count

    def flush(self) -> None:
        """Return when all that was written to the disk is on the medium."""
        if not (self._is_closing or self._disk._is_closed):
            self._check_open()
            self._disk.flush()

    def close(self) -> None:
        """Close it, and leave to the disk when that is flushed.

        An object that is dropped is closed wherever its thread is, be that amid a write.
        """
        self._is_closing = True
        super().close()


def _is_writing_in_place(frame: FrameType | None) -> bool:
    """Tell whether a stack has a write that has not gone on to look at the map."""
    above = None
    while frame is not None:
        code = frame.f_code
        if code is WritableDisk.pwrite.__code__ and above is not WritableDisk._write.__code__:
            return True
        above, frame = code, frame.f_back
    return False


def open_writable(
    path: str | os.PathLike[str],
    *,
    parent: Named = None,
    search: Search = (),
    follow_absolute: bool = False,
    lock: locks.Lock = "auto",
    for_data: bool = True,
) -> WritableDisk:
    """Open a virtual disk for reading and writing; its parents are only read, by others, too.

    Args:
        path: Path of the image. Nothing in the file is changed before the disk is.
        parent: The parent, or one for each level, as `open` takes it.
        search: Folders in which parents are looked for, or one folder.
        follow_absolute: Follow absolute paths of parents.
        lock: Whether the file has to be locked, as QEMU does it, and its parents against being
            written to: `auto` goes on without where the file system has no locks, True refuses,
            False does not ask.
        for_data: Whether what is written may let the disk read otherwise.

    Raises:
        FormatError: A rule refuses an image of the chain.
        InUseError: Another program has the file open, or writes to a parent.
        ParentNotFoundError: No parent was found; the message names all that was tried.
        ParentMismatchError: Only other files were found in its place.
        UnsupportedError: On this system no file is changed in place, or cannot be locked.
        OSError: The file cannot be opened for writing, or what may be a parent for reading.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{type(path).__name__} is no path, and only files are written")
    sought = Sought.of(parent, search, follow_absolute=follow_absolute)
    with ExitStack() as opened:
        file = FileTarget(os.fsdecode(path), lock)
        opened.callback(file.close)
        chain = open_chain(file, sought, USUAL)
        for image in chain.images[1:]:
            opened.callback(image.close)
        lock_parents(chain.images[1:], lock, hint=locks.HINT)
        levels = sum(image.locator is not None for image in chain.images)
        unused = list(sought.unused(levels))
        disk = WritableDisk(chain.images, chain.links, unused=unused, for_data=for_data)
        opened.pop_all()  # by now they are those of the disk
    return disk
