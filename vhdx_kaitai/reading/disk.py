"""The virtual disk: a chain of images behind one address space.

A request is first resolved into pieces, each of which lies in one file, is
zero, or belongs to a parent that is not there; then the pieces are read,
straight into the caller's buffer. Nothing is invented: bytes that should be in
a file and are not there raise an error [MS-VHDX 2.4, 2.5].
"""

from __future__ import annotations

import io
import os
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from operator import index as to_int
from types import TracebackType
from typing import Any, Literal, NamedTuple
from uuid import UUID

from ..errors import (
    Finding,
    FormatError,
    ParentMismatchError,
    ParentNotFoundError,
    ReplayRequiredError,
    Span,
    VhdxError,
    mismatch,
    refuse,
)
from ..format.bat import STATE_NAMES
from ..format.locator import Locator, matching_key
from ..format.metadata import DiskType
from ..guids import NIL
from ..storage.source import Source, SourceLike, Uncopied
from ..text import quoted
from . import parents, resolve
from .image import Image, Replay
from .resolve import Layer, Pieces, Window

_CLOSED = "the disk is closed"

MAX_CHAIN_LENGTH = 256  # ours, and that of others

ExtentKind = Literal["data", "zero", "parent"]


class Extent(NamedTuple):
    """A range of the virtual disk that is the same thing throughout.

    Attributes:
        offset: Virtual offset in bytes.
        length: Bytes.
        state: State of the block it comes from, `fully_present` for example.
        depth: Index in the chain of the image that it comes from; of the child
            for zeros behind the end of a smaller parent, as in `qemu-img map`.
        file_offset: Where the bytes are in the file of that image; None for zeros.
        kind: `data` or `zero`; `parent` when it belongs to a parent that was
            not opened.
    """

    offset: int
    length: int
    state: str
    depth: int
    file_offset: int | None
    kind: ExtentKind


class Disk(Uncopied):
    """A virtual disk, read-only; safe to be read from many threads.

    Attributes:
        image: The image that was opened.
        chain: That image, its parent, and so on to the base.
        links: How each parent was found, nearest first; none for images put together by hand.

    Between requests a disk keeps up to 2 MiB of places. One without parents and with
    more than 4096 blocks keeps up to 8 MiB of its BAT besides.
    """

    def __init__(self, chain: Sequence[Image], links: Sequence[Link] = ()) -> None:
        """Put a chain of images together.

        Args:
            chain: The image, its parent, and so on. A differencing image at the
                end has no parent here: its ranges of the parent cannot be read.
            links: How each parent was found.
        """
        self.image = chain[0]
        self.chain = tuple(chain)
        self.links = tuple(links)
        layer: Layer | None = None
        for depth in range(len(chain) - 1, -1, -1):
            layer = Layer(chain[depth], depth, layer)
        assert layer is not None
        self._top = layer
        self._is_closed = False
        self._reader = _reader(layer)
        # What an object has itself is called without the detour through its class.
        for name in ("readinto_at", "pread"):
            if getattr(type(self), name) is getattr(Disk, name):
                vars(self)[name] = getattr(self._reader, name)

    @property
    def size(self) -> int:
        """Size of the virtual disk in bytes."""
        return self.image.metadata.virtual_disk_size

    @property
    def block_size(self) -> int:
        """Size of a payload block in bytes."""
        return self.image.metadata.block_size

    @property
    def logical_sector_size(self) -> int:
        """Size of the sectors by which the disk is addressed, in bytes."""
        return self.image.metadata.logical_sector_size

    @property
    def physical_sector_size(self) -> int:
        """Size of the sectors that the disk claims to have inside, in bytes."""
        return self.image.metadata.physical_sector_size

    @property
    def disk_type(self) -> DiskType:
        """`fixed`, `dynamic` or `differencing`."""
        return self.image.metadata.disk_type

    @property
    def virtual_disk_id(self) -> UUID:
        """Identity of the virtual disk."""
        return self.image.metadata.virtual_disk_id

    def readinto_at(self, buffer: Any, offset: int) -> int:
        """Fill a buffer from a virtual offset on.

        Args:
            buffer: A writable, contiguous buffer.
            offset: Virtual offset in bytes.

        Returns:
            How many bytes that were: all, unless the disk ends before.

        Raises:
            FormatError: An image should hold some of the bytes and does not.
            ParentNotFoundError: Some of them belong to a parent that was not opened.
            ValueError: The offset is negative, or the disk is closed.
        """
        return self._reader.readinto_at(buffer, offset)

    def pread(self, length: int, offset: int) -> bytes:
        """Return bytes from a virtual offset on, fewer only at the end of the disk.

        Args:
            length: How many.
            offset: Virtual offset in bytes.

        Raises:
            FormatError: An image should hold some of the bytes and does not.
            ParentNotFoundError: Some of them belong to a parent that was not opened.
            ValueError: The length or the offset is negative, or the disk is closed.
        """
        return self._reader.pread(length, offset)

    def extents(self, offset: int = 0, length: int | None = None) -> Iterator[Extent]:
        """Yield what a range of the disk is made of: adjacent extents, merged, in order.

        Args:
            offset: Virtual offset in bytes.
            length: Bytes, up to the end of the disk; None for all the rest.

        Raises:
            FormatError: The image does not say rightly where some of it is; all
                extents before that were yielded.
            LimitError: A sector bitmap stands for too many chunks of the range.
            ValueError: The range is not inside the disk, or the disk is closed.
        """
        self._check_open()
        offset = to_int(offset)
        end = self.size if length is None else offset + to_int(length)
        if not 0 <= offset <= end <= self.size:
            raise ValueError(f"{offset} to {end} is not inside the disk of {self.size} bytes")
        resolve.refuse_sharing(self._top, offset, end)
        return self._extents(offset, end)

    def _extents(self, offset: int, end: int) -> Iterator[Extent]:
        for start, stop, layer, state, position in resolve.merged(
            resolve.resolved(self._top, offset, end)
        ):
            if position >= 0:
                kind: ExtentKind = "data"
            else:
                kind = "zero" if position == resolve.ZERO else "parent"
            self._check_open()
            yield Extent(
                start,
                stop - start,
                STATE_NAMES[state],
                layer.depth + (kind == "parent"),
                position if position >= 0 else None,
                kind,
            )

    def open(self) -> DiskFile:
        """Return a file object over the disk. Any number of them may be used at once.

        Raises:
            ValueError: The disk is closed.
        """
        self._check_open()
        return DiskFile(self)

    def close(self) -> None:
        """Close all files of the chain. Closing twice is harmless."""
        self._is_closed = True
        self._reader.close()
        for image in self.chain:
            image.close()

    def _check_open(self) -> None:
        if self._is_closed:
            raise ValueError(_CLOSED)

    def __enter__(self) -> Disk:
        self._check_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Disk of {self.size} bytes: {' < '.join(map(repr, self.chain))}>"


_ALL_ZEROS = 1  # instead of the distance to a file

# More pieces than these are not kept: finding all takes longer than finding those of a request.
_MANY_PIECES = 64

# What is kept takes about 1.5 MiB: pieces 16 bytes each, windows some 300 besides.
_KEPT_WINDOWS = 1 << 12
_KEPT_PIECES = 1 << 16


class _Reader(NamedTuple):
    readinto_at: Callable[[Any, int], int]
    pread: Callable[[int, int], bytes]
    close: Callable[[], None]


def _reader(top: Layer) -> _Reader:
    """Return the functions that read a disk, with all they need at hand.

    A request inside one block of a local file, which is nearly every small one,
    has to cost little more than its system call. So it is kept what a window is
    made of: a block, or less of a disk with parents, whose blocks and sectors
    may come from several files. All that is kept are places; what is damaged,
    or is in too many pieces, is resolved anew with each request. Of a disk with
    more blocks than are kept, each is looked up in the table instead.
    """
    size = top.size
    window_size = resolve.WINDOW if top.has_parent else top.image.geometry.block_size
    shift = window_size.bit_length() - 1
    mask = window_size - 1
    windows: dict[int, Window] = {}
    get_window = windows.get
    find_block = top.block_finder()
    top_file: Any = top.file
    kept = 0
    is_closed = False
    # Systems without these have no sources that are local files.
    preadv: Any = getattr(os, "preadv", None)
    pread_file: Any = getattr(os, "pread", None)

    def readinto_at(buffer: Any, offset: int) -> int:
        if type(offset) is not int:  # others may have few bits
            offset = to_int(offset)
        length = len(buffer) if type(buffer) is bytearray else memoryview(buffer).nbytes
        start = offset & mask  # in its window
        file, distance, limit, pieces = get_window(offset >> shift) or learn(offset >> shift)
        if start + length > limit:
            return fill(memoryview(buffer).cast("B"), offset)
        if file is not None and preadv(file.fd, (buffer,), offset + distance) == length:
            return length
        if pieces is None or not length:
            if distance and file is None:  # _ALL_ZEROS
                _zeros(length)(buffer, 0)
                return length
            if not length:
                return 0
            return read_pieces(buffer, offset, 0, resolve.pieces(top, offset, offset + length))
        bounds, places = pieces
        index = bisect_right(bounds, start)
        file, distance, source = places[index - 1]
        stop = bounds[index] - start
        if file is not None and stop >= length:
            count = preadv(file.fd, (buffer,), offset + distance)
        else:
            view = memoryview(buffer)
            if type(buffer) is not bytearray:
                view = view.cast("B")
            done = count = 0
            while True:
                if file is not None:
                    count += preadv(file.fd, (view[done:stop],), offset + done + distance)
                else:
                    count += fill_from(source, view[done:stop], offset + done + distance)
                if stop >= length:
                    break
                done = stop
                file, distance, source = places[index]
                index += 1
                stop = bounds[index] - start
        if count != length:  # the system may stop anywhere
            return read_pieces(buffer, offset, start, pieces)
        return length

    def read_pieces(buffer: Any, offset: int, start: int, pieces: Pieces) -> int:
        """Fill a buffer from pieces, each of them to its end.

        Args:
            buffer: The buffer, not an empty one.
            offset: Its virtual offset in bytes.
            start: The same, counted like the bounds of the pieces.
            pieces: The pieces.
        """
        view = memoryview(buffer).cast("B")
        bounds, places = pieces
        index = bisect_right(bounds, start)
        done = 0
        while done < len(view):
            _, distance, source = places[index - 1]
            stop = bounds[index] - start
            fill_from(source, view[done:stop], offset + done + distance)
            done = stop
            index += 1
        return len(view)

    def pread(length: int, offset: int) -> bytes:
        if type(offset) is not int or type(length) is not int:
            length, offset = to_int(length), to_int(offset)
        file, distance, limit, _ = get_window(offset >> shift) or learn(offset >> shift)
        if file is not None and 0 <= length <= limit - (offset & mask):
            data: bytes = pread_file(file.fd, length, offset + distance)
            if len(data) == length:
                return data
        if length < 0:
            raise ValueError(f"length is {length}, expected at least 0")
        # A buffer whose bytes can be taken out of it without a copy.
        stream = io.BytesIO(bytes(max(0, min(length, size - not_negative(offset)))))
        with stream.getbuffer() as view:
            readinto_at(view, offset)
        return stream.getvalue()

    def readinto_large(buffer: Any, offset: int) -> int:
        """Fill a buffer as `readinto_at` does, where every block is as good as new."""
        if type(offset) is not int:
            offset = to_int(offset)
        position = find_block(offset >> shift)
        if position:
            start = offset & mask
            length = len(buffer) if type(buffer) is bytearray else memoryview(buffer).nbytes
            is_one = start + length <= window_size
            if is_one and preadv(top_file.fd, (buffer,), position + start) == length:
                return length
        return readinto_at(buffer, offset)

    def pread_large(length: int, offset: int) -> bytes:
        if type(offset) is not int or type(length) is not int:
            length, offset = to_int(length), to_int(offset)
        position = find_block(offset >> shift)
        if position and 0 <= length <= window_size - (offset & mask):
            data: bytes = pread_file(top_file.fd, length, position + (offset & mask))
            if len(data) == length:
                return data
        return pread(length, offset)

    def not_negative(offset: int) -> int:
        if offset < 0:
            raise ValueError(f"offset is {offset}, expected at least 0")
        return offset

    def fill(view: memoryview, offset: int) -> int:
        """Fill a buffer window by window, or less of it at the end of the disk."""
        end = min(not_negative(offset) + len(view), size)
        start = offset
        while start < end:
            stop = min(end, (start | mask) + 1)
            window = file, distance, _, _ = window_at(start)
            if file is not None:  # as many as follow each other in the file are read at once
                while stop < end and window_at(stop) == window:
                    stop = min(end, (stop | mask) + 1)
                file.readinto(view[start - offset : stop - offset], start + distance)
            else:
                readinto_at(view[start - offset : stop - offset], start)
            start = stop
        return max(0, end - offset)

    def window_at(offset: int) -> Window:
        return get_window(offset >> shift) or learn(offset >> shift)

    def learn(number: int) -> Window:
        """Return what a window is made of, and keep it."""
        nonlocal kept
        if is_closed:
            raise ValueError(_CLOSED)
        if len(windows) >= _KEPT_WINDOWS or kept >= _KEPT_PIECES:
            kept = 0
            windows.clear()
        windows[number] = window = find_window(number)
        if window[3] is not None:
            kept += len(window[3][1])
        return window

    def find_window(number: int) -> Window:
        start = number << shift
        limit = min(window_size, size - start)
        position = find_block(number)
        if position:
            return top_file, position - start, limit, None
        if start < 0 or limit <= 0:
            return None, 0, -1, None  # not on the disk
        try:
            pieces = resolve.window(top, start, start + limit, _MANY_PIECES)
        except FormatError:  # some of it is damaged, and perhaps not what was asked for
            pieces = None
        if pieces is None:
            return None, 0, limit, None
        bounds, places = pieces
        file, distance, source = places[0]
        if bounds[1] == limit:
            if source is None:
                return None, _ALL_ZEROS, limit, None
            if file is not None:
                return file, distance, limit, None
        return None, 0, limit, (list(map(_shared, bounds)), tuple(places))

    def close() -> None:
        nonlocal is_closed, find_block
        is_closed = True
        find_block = refuse
        windows.clear()

    def refuse(_block: int) -> int:
        raise ValueError(_CLOSED)

    if top_file is not None and not top.has_parent and size >> shift > _KEPT_WINDOWS:
        return _Reader(readinto_large, pread_large, close)
    return _Reader(readinto_at, pread, close)


@lru_cache(maxsize=1 << 12)
def _shared(number: int) -> int:
    """Return a number that equals this one, the same for all."""
    return number


@lru_cache(maxsize=64)
def _zeros(length: int) -> Callable[[Any, int], None]:
    # The quickest way that Python has to fill memory in place.
    return struct.Struct(f"{length}x").pack_into


def fill_from(source: Source | None, view: memoryview, position: int) -> int:
    """Fill a buffer from a file offset on, or with zeros, and return how many bytes that were."""
    if source is None:
        _zeros(len(view))(view, 0)
    else:
        source.readinto(view, position)
    return len(view)


class DiskFile(Uncopied, io.RawIOBase):
    """A position in a virtual disk: a binary, seekable, read-only file object.

    Reads are full, short only at the end of the disk. Closing it leaves the
    disk open.

    Attributes:
        size: Size of the disk in bytes.
    """

    def __init__(self, disk: Disk) -> None:
        super().__init__()
        self._disk = disk
        self._position = 0
        self.size = disk.size

    def readable(self) -> bool:
        """Return True."""
        self._check_open()
        return True

    def seekable(self) -> bool:
        """Return True."""
        self._check_open()
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position, which may lie behind the end, and return it."""
        self._check_open()
        if whence not in (io.SEEK_SET, io.SEEK_CUR, io.SEEK_END):
            raise ValueError(f"whence is {whence}, expected 0, 1 or 2")
        position = (0, self._position, self.size)[whence] + to_int(offset)
        if position < 0:
            raise ValueError(f"position would be {position}, expected at least 0")
        self._position = position
        return position

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from the position on, move it, and return how many bytes that were."""
        self._check_open()
        count = self._disk.readinto_at(buffer, self._position)
        self._position += count
        return count

    def read(self, size: int | None = -1) -> bytes:
        """Return `size` bytes from the position on, or all the rest, and move it."""
        self._check_open()
        left = max(0, self.size - self._position)
        wanted = -1 if size is None else to_int(size)
        length = left if wanted < 0 else min(wanted, left)
        data = self._disk.pread(length, self._position)
        self._position += length
        return data

    def readall(self) -> bytes:
        """Return everything from the position to the end of the disk."""
        return self.read()

    def write(self, _data: Any) -> int:
        """Refuse to write."""
        raise io.UnsupportedOperation("write")

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")


class Link(NamedTuple):
    """How a parent was found.

    Attributes:
        key: Key of the locator that led to it; None when the caller named it.
        matched_by: Key of the locator that its DataWriteGuid equals.
    """

    key: str | None
    matched_by: str


def open_disk(
    source: SourceLike,
    *,
    parent: SourceLike | None = None,
    search: parents.Search = (),
    follow_absolute: bool = False,
    replay: Replay = "memory",
    resolve_parents: bool = True,
) -> Disk:
    """Open a virtual disk with all its parents, read-only.

    Args:
        source: Path, bytes, memoryview, mmap or binary file object of the image.
        parent: The same for its parent, instead of looking for it.
        search: Folders in which parents are looked for by name, or one folder.
        follow_absolute: Follow absolute paths of parents, and such that lead
            out of the folder of their child.
        replay: `memory` applies a dirty log in memory, `refuse` raises instead.
        resolve_parents: False opens the one file; ranges that belong to its
            parent cannot be read then.

    Raises:
        FormatError: A rule refuses an image of the chain.
        ReplayRequiredError: A log is dirty and `replay` is `refuse`.
        ParentNotFoundError: No parent was found; the message names all that was tried.
        ParentMismatchError: Only other files were found in its place.
        OSError: The file cannot be read, or what may be a parent.
    """
    chain = [Image(source, replay=replay)]
    links: list[Link] = []
    try:
        while resolve_parents and chain[-1].locator is not None:
            named = parent if len(chain) == 1 else None
            image, link = find_parent(
                chain[-1],
                parent=named,
                search=search,
                follow_absolute=follow_absolute,
                replay=replay,
                may_be_named=len(chain) == 1,
            )
            chain.append(image)
            links.append(link)
            refuse(check_link(chain))
    except BaseException:
        for image in chain:
            image.close()
        raise
    return Disk(chain, links)


def check_link(chain: Sequence[Image]) -> Iterator[Finding]:
    """Yield what forbids the last image of a chain as the parent of the one before it."""
    child, parent = chain[-2:]
    place = Span(f"parent {parent.path or 'in memory'}")
    if any(_is_same_file(parent, other) for other in chain[:-1]):
        yield Finding("CHAIN-06", "error", place, "is in the chain already, expected no cycle")
    if len(chain) > MAX_CHAIN_LENGTH:
        expected = f"at most {MAX_CHAIN_LENGTH} (our limit)"
        yield mismatch("CHAIN-06", "limit", place, "length of the chain", str(len(chain)), expected)
    own, theirs = child.metadata.logical_sector_size, parent.metadata.logical_sector_size
    if own != theirs:
        expected = f"{own} as in its child"
        yield mismatch("CHAIN-02", "error", place, "LogicalSectorSize", str(theirs), expected)


def check_likeness(chain: Sequence[Image]) -> Iterator[Finding]:
    """Yield what is unusual about the last image of a chain as the parent of the one before it."""
    child, parent = (image.metadata for image in chain[-2:])
    place = Span(f"parent {chain[-1].path or 'in memory'}")
    if child.virtual_disk_size != parent.virtual_disk_size:
        actual = f"{parent.virtual_disk_size} bytes"
        expected = f"{child.virtual_disk_size} as in its child; past its end are zeros"
        yield mismatch("CHAIN-04", "note", place, "VirtualDiskSize", actual, expected)
    if child.virtual_disk_id != parent.virtual_disk_id:
        expected = f"{child.virtual_disk_id} as in its child"
        yield mismatch(
            "CHAIN-05", "note", place, "VirtualDiskId", str(parent.virtual_disk_id), expected
        )


def _is_same_file(one: Image, other: Image) -> bool:
    status, others = one.stored.status(), other.stored.status()
    if status is None or others is None:
        return one.stored is other.stored
    return os.path.samestat(status, others)


def find_parent(
    child: Image,
    *,
    parent: SourceLike | None = None,
    search: parents.Search = (),
    follow_absolute: bool = False,
    replay: Replay = "memory",
    may_be_named: bool = True,
) -> tuple[Image, Link]:
    """Return the parent of a differencing image, opened, and how it was found.

    Args:
        child: The image; it has a parent locator.
        parent: The parent, instead of looking for it.
        search: Folders in which it is looked for by name, or one folder.
        follow_absolute: Follow paths that lead out of the folder of the child.
        replay: What is to be done with a dirty log of the parent.
        may_be_named: Whether it would be for the caller to name it, as it is for the
            parent of the first image.

    Raises:
        ParentNotFoundError: No parent was found.
        ParentMismatchError: Only other files were found in its place.
        VhdxError: The parent that the caller named cannot be opened.
        OSError: The system keeps what may be the parent from being opened, and no other
            file is the parent.
    """
    locator = child.locator
    assert locator is not None
    if parent is not None:
        image = Image(parent)
        key = matching_key(locator, image.headers.current.data_write_guid)
        if key is None:
            image.close()
            refusal = ParentMismatchError(
                f"{image.path or 'the parent'}: {_wrong_guid(image, locator)}"
            )
            refusal.path = child.path
            raise refusal
        return _accepted(image, replay), Link(None, key)
    folders = parents.folders_of(child.stored, search)
    opener = None if follow_absolute else parents.confined(folders)
    rejected: list[str] = []
    found_another = False
    failure: Exception | None = None
    for candidate in parents.candidates(locator, folders, follow_absolute=follow_absolute):
        if candidate.path is None:
            rejected.append(f"{candidate.key} {quoted(candidate.text)}: {candidate.reason}")
            continue
        try:
            if candidate.error is not None:
                raise candidate.error
            image = Image(candidate.path, opener=opener)
        except FileNotFoundError:
            rejected.append(f"{candidate.key}: {candidate.path}: no such file")
        except OSError as error:
            rejected.append(f"{candidate.key}: {candidate.path}: {error.strerror}")
            if error.errno not in parents.NO_SUCH_FILE:  # it may be the parent
                failure = failure or _named(error, candidate.path)
        except VhdxError as error:
            rejected.append(f"{candidate.key}: {candidate.path}: {error}")
        else:
            key = matching_key(locator, image.headers.current.data_write_guid)
            if key is not None:
                return _accepted(image, replay), Link(candidate.key, key)
            rejected.append(f"{candidate.key}: {candidate.path}: {_wrong_guid(image, locator)}")
            found_another = True
            image.close()
    if failure is not None:
        raise failure
    kind = ParentMismatchError if found_another else ParentNotFoundError
    hint = "--search DIR adds a folder to look in"
    if may_be_named:
        hint = f"--parent PATH names it outright, {hint}"
    none_found = kind(f"no parent found: {'; '.join(rejected)} ({hint})")
    none_found.path = child.path
    raise none_found


def _named(error: OSError, path: str) -> OSError:
    """Return an error of the system that names the file it is about."""
    return error if error.filename is not None else OSError(error.errno, error.strerror, path)


def _accepted(image: Image, replay: Replay) -> Image:
    """Return a parent, unless its log is dirty and that is refused."""
    if replay == "refuse":
        try:
            image.refuse_replay()
        except ReplayRequiredError:
            image.close()
            raise
    return image


def _wrong_guid(image: Image, locator: Locator) -> str:
    found = image.headers.current.data_write_guid
    if found == NIL:
        return "DataWriteGuid is zero, which matches nothing [CHAIN-01, LOC-23]"
    wanted = [str(guid) for guid in (locator.linkage, locator.linkage_2) if guid not in (None, NIL)]
    if not wanted:
        return f"DataWriteGuid {found}, but the child names none but zero [CHAIN-01, LOC-23]"
    return f"DataWriteGuid {found}, expected {' or '.join(wanted)} [CHAIN-01]"
