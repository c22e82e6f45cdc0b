"""A packed copy of an image: the same disk in a new file that holds what it has to, in order.

It has the DataWriteGuid and the identity of the image, all of its metadata items, and the
blocks in the same states, so that children and parents take the one for the other. Blocks
stand in the order of the disk, the sector bitmap of a chunk before its blocks; pages of zeros
in them are holes. The file appears under its name when it is whole and on the medium.
"""

from __future__ import annotations

import contextlib
import os
from array import array
from collections.abc import Iterator
from functools import partial
from uuid import UUID, uuid4

from ..checking.order import payload_entries
from ..checking.quick import quick
from ..copying.data import Progress
from ..copying.sparse import PIECE, written_ranges
from ..copying.turns import Turn, by_two, together
from ..errors import UnsupportedError, VhdxError
from ..format.bat import FULLY_PRESENT, NOT_PRESENT, PARTIALLY_PRESENT, PRESENT, STATE_MASK
from ..format.structures import MetadataEntry
from ..guids import REGION_NAMES
from ..reading.image import Image
from ..records import NamedTuple
from ..storage.target import OutFile, new_file
from .blank import Blank, Item, NewDisk, judge, little_endian
from .needless import Needless
from .packing import Piece


class _Job(NamedTuple):
    """Some bytes that are copied.

    Attributes:
        start: File offset in bytes.
        length: How many, at most a piece.
        to: File offset in the new file.
        done: How many bytes of blocks are copied with them.
    """

    start: int
    length: int
    to: int
    done: int


class PackedCopy:
    """A packed copy that may be written.

    Args:
        image: The image.
        idle: What of it need not be stored.
        is_other: Whether the disk reads otherwise, so that it has to have another DataWriteGuid.

    Raises:
        UnsupportedError: The image has something that a copy would lose.

    Attributes:
        length: How long the file is going to be in bytes.
    """

    def __init__(self, image: Image, idle: Needless, *, is_other: bool) -> None:
        self._image, self._idle = image, idle
        self._blank = _blank(image, uuid4() if is_other else None)
        self._places: dict[tuple[bool, int], int] = {}
        at = self._blank.payload_offset
        self._pieces = sorted(idle.stays, key=self._order)
        for piece in self._pieces:
            self._places[piece.is_bitmap, piece.number] = at
            at += piece.length
        self.length = at

    def _order(self, piece: Piece) -> tuple[int, bool, int]:
        ratio = self._image.geometry.chunk_ratio
        chunk = piece.number if piece.is_bitmap else piece.number // ratio
        return chunk, not piece.is_bitmap, piece.number

    def write(self, path: str, progress: Progress) -> None:
        """Write the file.

        Args:
            path: Its path; a file that is there is not replaced.
            progress: Told how many bytes of blocks are copied; when it raises, there is no file.

        Raises:
            OSError: There is a file of that name, or it cannot be written.
        """
        self._refuse_another_folder(path)
        with new_file(path, replace=False, is_durable=True) as out:
            out.lengthen(self.length)
            batches = together(self._jobs())
            copy = partial(self._copy, out)
            by_two(lambda _buffer: next(batches, None), copy, progress)
            self._blank.write(out, rows=self._rows())
            image = judge(out)
            with contextlib.closing(image.stored):
                told = quick(image)
                if told is not None:
                    raise VhdxError(f"what was written is not in order: {told}")

    def _refuse_another_folder(self, path: str) -> None:
        """Raise when the paths to a parent would lead elsewhere.

        Raises:
            UnsupportedError: They would.
        """
        if self._image.locator is None or self._image.path is None:
            return
        folders = (os.path.dirname(os.path.realpath(name)) for name in (path, self._image.path))
        if len(set(folders)) > 1:
            raise UnsupportedError(
                "the way to its parent begins in the folder of the image, so the copy has to be "
                "there, too"
            )

    def _jobs(self) -> Iterator[_Job]:
        """Yield what is copied, a piece at a time, but for holes."""
        source, done = self._image.source, 0
        for piece in self._pieces:
            end = min(piece.end, source.size)  # the last block may be cut where the disk ends
            file = source.local_file(piece.place, end)
            distance = self._places[piece.is_bitmap, piece.number] - piece.place
            stored = [(piece.place, end)]
            for low, high in stored if file is None else file.stored_ranges(*stored[0]):
                for at in range(low, high, PIECE):
                    count = min(PIECE, high - at)
                    yield _Job(at, count, at + distance, done + at + count - piece.place)
            done += piece.length

    def _copy(self, out: OutFile, jobs: list[_Job], buffer: memoryview, _turn: Turn) -> int:
        for job in jobs:
            self._image.source.readinto(buffer[: job.length], job.start)
            for low, high in written_ranges(buffer, job.length):
                out.write(buffer[low:high], job.to + low)
        return jobs[-1].done

    def _rows(self) -> Iterator[tuple[int, array[int]]]:
        """Yield the BAT, a chunk at a time, each with the index of its first entry."""
        geometry = self._image.geometry
        dropped = dict(self._idle.dropped())
        for first, entries in payload_entries(self._image):
            if not any(entries):
                continue
            row = array("Q", bytes(len(entries) * entries.itemsize))
            for at, entry in enumerate(entries):
                block, state = first + at, entry & STATE_MASK
                if state in (FULLY_PRESENT, PARTIALLY_PRESENT):
                    state = dropped.get(block, state)
                row[at] = state | self._places.get((False, block), NOT_PRESENT)
            yield geometry.payload_index(first), little_endian(row)
            chunk = first // geometry.chunk_ratio
            place = self._places.get((True, chunk))
            if place is not None:
                index = geometry.sector_bitmap_index(chunk)
                yield index, little_endian(array("Q", [place | PRESENT]))


def _blank(image: Image, data_write_guid: UUID | None) -> Blank:
    """Return what a new image consists of that has all the metadata of another one."""
    unknown = [entry.guid for entry in image.regions.entries if entry.guid not in REGION_NAMES]
    if unknown:
        message = f"nobody here knows the region {unknown[0]}, so a copy would lose it"
        raise UnsupportedError(message)
    metadata = image.metadata
    disk = NewDisk(
        metadata.virtual_disk_size,
        metadata.disk_type,
        metadata.block_size,
        metadata.logical_sector_size,
        metadata.physical_sector_size,
        metadata.virtual_disk_id,
    )
    locators = (entry for entry in metadata.entries if entry.kind == "parent_locator")
    locator = next((_read(image, entry) for entry in locators), None)
    return Blank(
        disk,
        locator=locator if image.locator is not None else None,
        others=[
            Item(entry._replace(reserved=0, reserved_2=0), partial(_read, image, entry))
            for entry in metadata.entries
            if entry.kind == "other"
        ],
        data_write_guid=data_write_guid or image.headers.current.data_write_guid,
    )


def _read(image: Image, entry: MetadataEntry) -> bytes:
    """Return the bytes of a metadata item."""
    if not entry.length:
        return b""
    return image.source.read(image.regions.metadata.file_offset + entry.offset, entry.length)
