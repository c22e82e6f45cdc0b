"""The virtual disk: a chain of images behind one address space.

A request is first resolved into pieces, each of which lies in one file, is
zero, or belongs to a parent that is not there; then the pieces are read,
straight into the caller's buffer. Nothing is invented: bytes that should be in
a file and are not there raise an error [MS-VHDX 2.4, 2.5].
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from types import TracebackType
from typing import Any, Literal, NamedTuple
from uuid import UUID

from . import bat, parents
from .bat import (
    FULLY_PRESENT,
    NOT_PRESENT,
    OFFSET_MASK,
    PAGE_ENTRIES,
    PAGE_SHIFT,
    PARTIALLY_PRESENT,
    RESERVED_MASK,
    SECTORS_PER_BITMAP,
    STATE_MASK,
    STATE_NAMES,
)
from .errors import (
    Finding,
    FormatError,
    ParentMismatchError,
    ParentNotFoundError,
    ReplayRequiredError,
    Span,
    VhdxError,
    mismatch,
    quoted,
    refuse,
)
from .guids import NIL
from .image import Image, Replay
from .metadata import DiskType
from .source import FileSource, Source, SourceLike
from .units import KIB, MIB

MAX_CHAIN_LENGTH = 256  # ours, and that of others

ExtentKind = Literal["data", "zero", "parent"]


class Extent(NamedTuple):
    """A range of the virtual disk that is the same thing throughout.

    Attributes:
        offset: Virtual offset in bytes.
        length: Bytes.
        state: State of the block it comes from, `fully_present` for example.
        depth: Index in the chain of the image that it comes from.
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


# Places of pieces that are not in a file.
_ZERO, _MISSING, _UNRESOLVED = -1, -2, -3

# Virtual start and end, the layer it comes from, the state of its block, and its
# file offset or one of the places above. A tuple, because they are made by the million.
_Piece = tuple[int, int, "_Layer", int, int]

# A look-up stops at so many.
_MANY_PIECES = 1 << 10

# Bits of a sector bitmap that are looked at as one number.
_BITMAP_WINDOW = 4096
_BITMAP_PAGE = 16 * KIB
_CACHED_BITMAP_PAGES = 32

# Blocks ahead from which on it pays to look for a run of equal entries.
_LONG_RUN = 8

# Blocks whose place is kept for the next request; they take about a MiB.
_KNOWN_BLOCKS = 1 << 13

_ZEROS = memoryview(bytes(MIB))


class _Layer:
    """One image of a chain, ready to resolve ranges of the disk."""

    def __init__(self, image: Image, depth: int, parent: _Layer | None) -> None:
        geometry = image.geometry
        self.image = image
        self.depth = depth
        self.parent = parent
        self.size = geometry.virtual_disk_size
        self.source = image.source
        self._has_parent = geometry.is_differencing
        # Before this, a block may lie over something else; behind it, it cannot.
        self._free_from = max(other.end for other in image.occupied)
        self._block_shift = geometry.block_size.bit_length() - 1
        self._ratio_shift = geometry.chunk_ratio.bit_length() - 1
        self._sector_shift = geometry.logical_sector_size.bit_length() - 1
        self._page = image.bat.page
        load = partial(_load_bitmap_page, self.source)
        self._bitmap_page = lru_cache(maxsize=_CACHED_BITMAP_PAGES)(load)

    def look_up(self, start: int, end: int, pieces: list[_Piece]) -> int:
        """Append what this image has of a range, in order, and return where it stopped.

        Ranges of the parent are left as they are, for the parent to look up. It
        stops early when there are many pieces, so that they take little memory.

        Args:
            start: Virtual offset in bytes.
            end: Virtual offset behind the range, not behind the end of the disk.
            pieces: Where to append them.
        """
        shift = self._block_shift
        while start < end and len(pieces) < _MANY_PIECES:
            block = start >> shift
            block_start = block << shift
            stop = min(end, block_start + (1 << shift))
            index = block + (block >> self._ratio_shift)
            entry = self._page(index >> PAGE_SHIFT)[index & PAGE_ENTRIES - 1]
            state = entry & STATE_MASK
            if state in (FULLY_PRESENT, PARTIALLY_PRESENT):
                offset = entry & OFFSET_MASK
                position = offset + start - block_start
                if (
                    entry & RESERVED_MASK
                    or offset < self._free_from
                    or position + stop - start > self.source.size
                    or (state == PARTIALLY_PRESENT and not self._has_parent)
                ):
                    self._refuse_bad_entry(block, entry, stop - block_start)
                if state == FULLY_PRESENT:
                    pieces.append((start, stop, self, state, position))
                else:
                    stop = self._look_up_partial(block, start, stop, position, pieces)
            elif entry & RESERVED_MASK or state not in STATE_NAMES:
                self._refuse_bad_entry(block, entry, 0)
            else:
                if end - stop >= _LONG_RUN << shift:
                    stop = min(end, self._run_end(block, entry) << shift)
                if state == NOT_PRESENT and self._has_parent:
                    self._append_parent(start, stop, pieces)
                else:
                    pieces.append((start, stop, self, state, _ZERO))
            start = stop
        return start

    def _run_end(self, block: int, entry: int) -> int:
        """Return the block behind those of this chunk that have the same entry as this one."""
        ratio = 1 << self._ratio_shift
        index = block + (block >> self._ratio_shift)
        last = min((block | ratio - 1) + 1, self.image.geometry.payload_blocks)
        limit = index + last - block
        pattern = entry.to_bytes(bat.ENTRY_LENGTH, "little")
        at, step = index + 1, _LONG_RUN
        while at < limit and step:
            count = min(step, limit - at)
            if self.image.bat.raw(at, count) == pattern * count:
                at += count
                step *= _LONG_RUN
            else:  # it ends among these
                step = count // _LONG_RUN
        return block + at - index

    def _append_parent(self, start: int, end: int, pieces: list[_Piece]) -> None:
        parent = self.parent
        if parent is None:
            pieces.append((start, end, self, NOT_PRESENT, _MISSING))
            return
        inside = min(end, parent.size)
        if start < inside:
            pieces.append((start, inside, parent, NOT_PRESENT, _UNRESOLVED))
        if inside < end:  # what is behind a parent's end reads as zeros (CHAIN-04)
            pieces.append((max(start, inside), end, parent, NOT_PRESENT, _ZERO))

    def _look_up_partial(
        self, block: int, start: int, end: int, position: int, pieces: list[_Piece]
    ) -> int:
        """Append the pieces of a range of a partially present block, and return where it stopped.

        Bits of the sector bitmap count from the least significant one; 1 stands
        for a sector in this file [MS-VHDX 2.4].
        """
        shift = self._sector_shift
        bitmap = self._bitmap_offset(block >> self._ratio_shift)
        first, last = start >> shift, (end - 1 >> shift) + 1
        to_position = position - start
        while first < last and len(pieces) < _MANY_PIECES:
            count = min(_BITMAP_WINDOW, last - first)
            bits = self._bits(bitmap, first % SECTORS_PER_BITMAP, count)
            at, done = first, first + count
            while at < done:
                # How many bits are like the first one; ~bits has ones behind the last bit.
                is_here = bits & 1
                other = ~bits if is_here else bits
                run = (other & -other).bit_length() - 1 if other else done - at
                stop = min(at + run, done)
                low, high = max(start, at << shift), min(end, stop << shift)
                if is_here:
                    pieces.append((low, high, self, PARTIALLY_PRESENT, to_position + low))
                else:
                    self._append_parent(low, high, pieces)
                bits >>= run
                at = stop
            first = done
        return min(end, first << shift)

    def _bitmap_offset(self, chunk: int) -> int:
        """Return the file offset of a chunk's sector bitmap."""
        index = self.image.geometry.sector_bitmap_index(chunk)
        entry = self.image.bat.entry(index)
        place = bat.entry_span(self.image.regions.bat, index, f"BAT entry of sector bitmap {chunk}")
        size = self.source.size
        offset = entry & OFFSET_MASK
        is_present = entry & (STATE_MASK | RESERVED_MASK) == bat.PRESENT
        if not is_present or offset < self._free_from or offset + MIB > size:
            self._refuse(
                bat.check_sector_bitmap_entry(
                    entry, place, size, is_differencing=True, is_needed=True
                )
            )
            self._refuse(bat.check_place(offset, MIB, self.image.occupied, place))
        return offset

    def _bits(self, bitmap: int, first: int, count: int) -> int:
        """Return some bits of a sector bitmap as a number."""
        start, end = first >> 3, first + count + 7 >> 3
        page = start // _BITMAP_PAGE
        data = self._bitmap_page(bitmap + page * _BITMAP_PAGE)
        low, high = start - page * _BITMAP_PAGE, end - page * _BITMAP_PAGE
        piece = data[low:high]
        if high > _BITMAP_PAGE:
            piece += self._bitmap_page(bitmap + (page + 1) * _BITMAP_PAGE)[: high - _BITMAP_PAGE]
        return int.from_bytes(piece, "little") >> (first & 7) & (1 << count) - 1

    def _refuse_bad_entry(self, block: int, entry: int, needed: int) -> None:
        """Raise what is wrong with an entry, if anything is: it may be suspected wrongly."""
        image = self.image
        index = image.geometry.payload_index(block)
        place = bat.entry_span(image.regions.bat, index, f"BAT entry of block {block}")
        self._refuse(
            bat.check_payload_entry(
                entry, place, needed, self.source.size, is_differencing=self._has_parent
            )
        )
        offset = entry & OFFSET_MASK
        self._refuse(bat.check_place(offset, image.geometry.block_size, image.occupied, place))

    def _refuse(self, findings: Iterable[Finding]) -> None:
        try:
            refuse(findings)
        except FormatError as error:
            error.path = self.image.path
            raise


def _resolved(layer: _Layer, start: int, end: int) -> Iterator[_Piece]:
    """Yield the pieces of a range, parents looked up where they are asked for.

    A stack instead of recursion: chains may be deep, and so may the caller be.
    """
    stack: list[_Piece] = [(start, end, layer, NOT_PRESENT, _UNRESOLVED)]
    while stack:
        piece = stack.pop()
        if piece[4] != _UNRESOLVED:
            yield piece
            continue
        start, end, layer, state, _ = piece
        found: list[_Piece] = []
        reached = layer.look_up(start, end, found)
        if reached < end:
            stack.append((reached, end, layer, state, _UNRESOLVED))
        if layer.parent is None:
            yield from found
        else:
            found.reverse()
            stack += found


def _load_bitmap_page(source: Source, offset: int) -> bytes:
    return source.read(offset, _BITMAP_PAGE)


def _merged(pieces: Iterable[_Piece]) -> Iterator[_Piece]:
    """Yield pieces, neighbours of one kind as one.

    Data merges when it follows each other in the file, too.
    """
    iterator = iter(pieces)
    for piece in iterator:
        start, end, layer, state, position = piece
        for following in iterator:
            if (
                following[2] is layer
                and following[3] == state
                and following[4] == (position + end - start if position >= 0 else position)
            ):
                end = following[1]
                continue
            yield start, end, layer, state, position
            start, end, layer, state, position = following
        yield start, end, layer, state, position


class Disk:
    """A virtual disk, read-only; safe to be read from many threads.

    Attributes:
        image: The image that was opened.
        chain: That image, its parent, and so on to the base.
        readinto_at: `readinto_at(buffer, offset)` fills a buffer from a virtual
            offset on, and returns how many bytes that were: all, unless the
            disk ends before.
        pread: `pread(length, offset)` returns bytes from a virtual offset on,
            fewer than asked for only at the end of the disk.

    Both raise `FormatError` when an image should hold the bytes and does not,
    `ParentNotFoundError` when they belong to a parent that was not opened, and
    `ValueError` for a negative offset or length.
    """

    readinto_at: Callable[[Any, int], int]
    pread: Callable[[int, int], bytes]

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
        layer: _Layer | None = None
        for depth in range(len(chain) - 1, -1, -1):
            layer = _Layer(chain[depth], depth, layer)
        assert layer is not None
        self._top = layer
        self.readinto_at, self.pread, self._close = _reader(layer)

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

    def extents(self, offset: int = 0, length: int | None = None) -> Iterator[Extent]:
        """Yield what a range of the disk is made of: adjacent extents, merged, in order.

        Args:
            offset: Virtual offset in bytes.
            length: Bytes, up to the end of the disk; None for all the rest.

        Raises:
            FormatError: The image does not say rightly where some of it is.
            ValueError: The range is not inside the disk.
        """
        end = self.size if length is None else offset + length
        if not 0 <= offset <= end <= self.size:
            raise ValueError(f"{offset} to {end} is not inside the disk of {self.size} bytes")
        for start, stop, layer, state, position in _merged(_resolved(self._top, offset, end)):
            if position >= 0:
                kind: ExtentKind = "data"
            else:
                kind = "zero" if position == _ZERO else "parent"
            yield Extent(
                start,
                stop - start,
                STATE_NAMES[state],
                layer.depth + (kind == "parent"),
                position if position >= 0 else None,
                kind,
            )

    def open(self) -> DiskFile:
        """Return a file object over the disk. Any number of them may be used at once."""
        return DiskFile(self)

    def close(self) -> None:
        """Close all files of the chain. Closing twice is harmless."""
        self._close()
        for image in self.chain:
            image.close()

    def __enter__(self) -> Disk:
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


class _Reader(NamedTuple):
    readinto_at: Callable[[Any, int], int]
    pread: Callable[[int, int], bytes]
    close: Callable[[], None]


def _reader(layer: _Layer) -> _Reader:
    """Return the functions that read a disk, with all they need at hand.

    A request inside one fully present block of a local file, which is nearly
    every small one, has to cost little more than its system call. So the places
    of such blocks are kept once they are known.
    """
    geometry = layer.image.geometry
    size = geometry.virtual_disk_size
    block_size = geometry.block_size
    shift = block_size.bit_length() - 1
    mask = block_size - 1
    # Through a replayed log even one block may come from several places.
    file: Any = layer.source if isinstance(layer.source, FileSource) else None
    free_from = max(other.end for other in layer.image.occupied)
    # For a block: what has to be added to a virtual offset in it to get the file offset.
    known: dict[int, int] = {}
    get_known, preadv, pread_file = known.get, os.preadv, os.pread
    is_closed = False

    def readinto_at(buffer: Any, offset: int) -> int:
        length = len(buffer) if type(buffer) is bytearray else memoryview(buffer).nbytes
        distance = get_known(offset >> shift)
        if (
            distance is not None
            and (offset & mask) + length <= block_size
            and preadv(file.fd, (buffer,), offset + distance) == length
        ):
            return length
        length = clipped(offset, length)
        read_slowly(memoryview(buffer).cast("B")[:length], offset)
        return length

    def pread(length: int, offset: int) -> bytes:
        distance = get_known(offset >> shift)
        if distance is not None and 0 <= length <= block_size - (offset & mask):
            data: bytes = pread_file(file.fd, length, offset + distance)
            if len(data) == length:
                return data
        if length < 0:
            raise ValueError(f"length is {length}, expected at least 0")
        buffer = bytearray(clipped(offset, length))
        read_slowly(memoryview(buffer), offset)
        return bytes(buffer)

    def clipped(offset: int, length: int) -> int:
        if offset < 0:
            raise ValueError(f"offset is {offset}, expected at least 0")
        return max(0, min(length, size - offset))

    def read_slowly(view: memoryview, offset: int) -> None:
        if is_closed:
            raise ValueError("the disk is closed")
        pieces = list(_merged(_resolved(layer, offset, offset + len(view))))
        _read_pieces(pieces, view, offset)
        if file is not None and len(pieces) == 1:
            learn(*pieces[0])

    def close() -> None:
        nonlocal is_closed
        is_closed = True
        known.clear()

    def learn(start: int, _end: int, source: _Layer, state: int, position: int) -> None:
        block = start >> shift
        distance = position - start
        block_end = (block + 1) << shift
        is_whole = block_end <= size and block_end + distance <= file.size
        is_free = block_end + distance - block_size >= free_from
        if state == FULLY_PRESENT and source is layer and is_whole and is_free:
            if len(known) >= _KNOWN_BLOCKS:
                known.clear()
            known[block] = distance

    return _Reader(readinto_at, pread, close)


def _read_pieces(pieces: list[_Piece], view: memoryview, offset: int) -> None:
    """Fill a buffer with the pieces of a range that begins at a virtual offset."""
    for start, end, layer, _state, position in pieces:
        part = view[start - offset : end - offset]
        if position >= 0:
            layer.source.readinto(part, position)
        elif position == _ZERO:
            _fill_with_zeros(part)
        else:
            raise ParentNotFoundError(
                f"bytes {start:#x} to {end:#x} of the disk belong to a parent that was not opened"
            )


def _fill_with_zeros(view: memoryview) -> None:
    for start in range(0, len(view), len(_ZEROS)):
        length = min(len(_ZEROS), len(view) - start)
        view[start : start + length] = _ZEROS[:length]


class DiskFile(io.RawIOBase):
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
        position = (0, self._position, self.size)[whence] + offset
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
        length = left if size is None or size < 0 else min(size, left)
        data = self._disk.pread(length, self._position)
        self._position += length
        return data

    def readall(self) -> bytes:
        """Return everything from the position to the end of the disk."""
        return self.read()

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
        OSError: The file cannot be read.
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
        yield mismatch("CHAIN-06", "error", place, "length of the chain", str(len(chain)), expected)
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
        expected = f"{child.virtual_disk_size} as in its child; behind its end are zeros"
        yield mismatch("CHAIN-04", "note", place, "VirtualDiskSize", actual, expected)
    if child.virtual_disk_id != parent.virtual_disk_id:
        expected = f"{child.virtual_disk_id} as in its child"
        yield mismatch(
            "CHAIN-05", "note", place, "VirtualDiskId", str(parent.virtual_disk_id), expected
        )


def _is_same_file(one: Image, other: Image) -> bool:
    if one.path is None or other.path is None:
        return one.stored is other.stored
    try:
        return os.path.samefile(one.path, other.path)
    except OSError:  # one of them is gone by now
        return False


def find_parent(
    child: Image,
    *,
    parent: SourceLike | None = None,
    search: parents.Search = (),
    follow_absolute: bool = False,
    replay: Replay = "memory",
) -> tuple[Image, Link]:
    """Return the parent of a differencing image, opened, and how it was found.

    Args:
        child: The image; it has a parent locator.
        parent: The parent, instead of looking for it.
        search: Folders in which it is looked for by name, or one folder.
        follow_absolute: Follow paths that lead out of the folder of the child.
        replay: What is to be done with a dirty log of the parent.

    Raises:
        ParentNotFoundError: No parent was found.
        ParentMismatchError: Only other files were found in its place.
        VhdxError: The parent that the caller named cannot be opened.
    """
    locator = child.locator
    assert locator is not None
    if parent is not None:
        image = Image(parent, replay=replay)
        key = parents.matching_key(locator, image.headers.current.data_write_guid)
        if key is None:
            image.close()
            raise ParentMismatchError(
                f"{image.path or 'the parent'}: {_wrong_guid(image, locator)}"
            )
        return image, Link(None, key)
    rejected: list[str] = []
    found_another = False
    folder = None if child.path is None else os.path.dirname(os.path.realpath(child.path))
    folders = parents.search_folders(search)
    for candidate in parents.candidates(locator, folder, folders, follow_absolute=follow_absolute):
        if candidate.path is None:
            rejected.append(f"{candidate.key} {quoted(candidate.text)}: {candidate.reason}")
            continue
        try:
            image = Image(candidate.path, replay=replay)
        except FileNotFoundError:
            rejected.append(f"{candidate.key}: {candidate.path}: no such file")
            continue
        except ReplayRequiredError:
            raise
        except (VhdxError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            rejected.append(f"{candidate.key}: {candidate.path}: {reason}")
            continue
        key = parents.matching_key(locator, image.headers.current.data_write_guid)
        if key is not None:
            return image, Link(candidate.key, key)
        rejected.append(f"{candidate.key}: {candidate.path}: {_wrong_guid(image, locator)}")
        found_another = True
        image.close()
    kind = ParentMismatchError if found_another else ParentNotFoundError
    hint = "--parent PATH names it outright, --search DIR adds a folder to look in"
    raise kind(f"no parent found: {'; '.join(rejected)} ({hint})")


def _wrong_guid(image: Image, locator: parents.Locator) -> str:
    found = image.headers.current.data_write_guid
    if found == NIL:
        return "DataWriteGuid is zero, which matches nothing [CHAIN-01, LOC-23]"
    wanted = [str(guid) for guid in (locator.linkage, locator.linkage_2) if guid not in (None, NIL)]
    if not wanted:
        return f"DataWriteGuid {found}, but the child names none but zero [CHAIN-01, LOC-23]"
    return f"DataWriteGuid {found}, expected {' or '.join(wanted)} [CHAIN-01]"
