"""What an image means: the values and the virtual disk a correct reader has to report.

A `Model` is computed from the description of an image, never from its bytes, so it can be held
against any reader of those bytes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .structures import (
    BAT_REGION,
    FULLY_PRESENT,
    IS_REQUIRED,
    IS_USER,
    IS_VIRTUAL_DISK,
    NOT_PRESENT,
    PARTIALLY_PRESENT,
    STATE_NAMES,
    ZERO_GUID,
    Header,
)

if TYPE_CHECKING:
    from .image import Block, Image, Layout


class NoParentError(LookupError):
    """The range belongs to the parent and the model has none."""


@dataclass(frozen=True)
class Geometry:
    """The arithmetic of the block allocation table [MS-VHDX 2.4, 2.5]."""

    virtual_disk_size: int
    block_size: int
    logical_sector_size: int
    has_parent: bool

    @property
    def chunk_ratio(self) -> int:
        """Payload blocks per sector bitmap block."""
        return (self.logical_sector_size << 23) // self.block_size

    @property
    def payload_blocks(self) -> int:
        """Payload blocks of the disk."""
        return -(-self.virtual_disk_size // self.block_size)

    @property
    def sector_bitmap_blocks(self) -> int:
        """Chunks of the disk."""
        return -(-self.payload_blocks // self.chunk_ratio)

    @property
    def entry_count(self) -> int:
        """Entries the table must hold."""
        if self.has_parent:
            return self.sector_bitmap_blocks * (self.chunk_ratio + 1)
        return self.payload_blocks + (self.payload_blocks - 1) // self.chunk_ratio

    def index(self, block: int) -> int:
        """Return the index of a payload block's entry."""
        return block + block // self.chunk_ratio

    def bitmap_index(self, chunk: int) -> int:
        """Return the index of a chunk's sector bitmap entry."""
        return chunk * (self.chunk_ratio + 1) + self.chunk_ratio


@dataclass(frozen=True)
class Extent:
    """A range of the virtual disk that comes from one place; `depth` 0 is the newest file."""

    offset: int
    length: int
    state: str
    depth: int
    file_offset: int | None
    kind: str

    def continues_in(self, other: Extent) -> bool:
        """Whether the extent that follows is more of the same."""
        if (self.state, self.depth, self.kind) != (other.state, other.depth, other.kind):
            return False
        if self.file_offset is None or other.file_offset is None:
            return self.file_offset == other.file_offset
        return self.file_offset + self.length == other.file_offset


@dataclass(frozen=True)
class LogModel:
    """The log after the rules of [MS-VHDX 2.3.3]; all None when it is clean."""

    state: str
    entries: int | None = None
    first_sequence_number: int | None = None
    last_sequence_number: int | None = None
    tail: int | None = None
    run_entries: int | None = None
    target_bytes: int | None = None

    def info(self) -> dict[str, Any]:
        """Return the fields of `info --json`, changed_bytes left out."""
        return {
            "state": self.state,
            "entries": self.entries,
            "first_sequence_number": _decimal(self.first_sequence_number),
            "last_sequence_number": _decimal(self.last_sequence_number),
            "tail": self.tail,
        }


def _decimal(number: int | None) -> str | None:
    return None if number is None else str(number)


class Model:
    """The meaning of one built image, through its parents."""

    def __init__(self, layout: Layout) -> None:
        """Take the values over from a layout that is consistent; call `info()` for the rest."""
        self._layout = layout
        self.image: Image = layout.image
        self.parent: Model | None = layout.image.parent_model
        self.disk_type = self.image.disk_type
        self.virtual_disk_size = self.image.virtual_disk_size
        self.virtual_disk_id = self.image.virtual_disk_id
        self.block_size = self.image.block_size
        self.logical_sector_size = self.image.logical_sector_size
        self.physical_sector_size = self.image.physical_sector_size
        self.creator = layout.identifier.creator_text
        self.geometry = self.image.geometry

    @property
    def size(self) -> int:
        """Bytes of the virtual disk."""
        return self.virtual_disk_size

    @property
    def file_size(self) -> int:
        """Bytes of the stored file."""
        return self._layout.pack().length

    # -- headers and log ------------------------------------------------------------------------

    @property
    def current_copy(self) -> int | None:
        """1 or 2, or None where the file has no current header [2.2.2]."""
        first, second = self._layout.headers
        if first.is_valid and second.is_valid:
            if first.sequence_number == second.sequence_number:
                return 1 if first.pack()[:4096] == second.pack()[:4096] else None
            return 1 if first.sequence_number > second.sequence_number else 2
        if first.is_valid:
            return 1
        return 2 if second.is_valid else None

    @property
    def current_header(self) -> Header:
        """The header that counts."""
        copy = self.current_copy
        if copy is None:
            raise ValueError("this image has no current header")
        return self._layout.headers[copy - 1]

    @property
    def log(self) -> LogModel:
        """The state of the log and its active sequence."""
        guid = self.current_header.log_guid
        if guid == ZERO_GUID:
            return LogModel("clean")
        log = self._layout.log
        active = None if log is None else log.active(guid)
        if active is None:
            raise ValueError("this image has a dirty log without a valid sequence")
        targets: list[tuple[int, int]] = []
        for placed in active.entries:
            for item in placed.entry.descriptors:
                length = getattr(item, "length", 4096)
                targets.append((item.file_offset, item.file_offset + length))
        return LogModel(
            state="dirty",
            entries=len(active.entries),
            first_sequence_number=active.entries[0].sequence_number,
            last_sequence_number=active.head.sequence_number,
            tail=active.head.tail,
            run_entries=len(active.run),
            target_bytes=_union(targets),
        )

    # -- the virtual disk -----------------------------------------------------------------------

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes of the virtual disk, zeros where [2.5.1.1] leaves the choice.

        Past the end of the disk there is nothing: a longer request raises `ValueError`.
        """
        if offset < 0 or length < 0 or offset + length > self.virtual_disk_size:
            raise ValueError("outside the virtual disk")
        return b"".join(self._read_parts(offset, length))

    def extents(self, offset: int = 0, length: int | None = None) -> list[Extent]:
        """Return the extents of a range, adjacent and adding up to it, merged where possible.

        Two neighbours are one extent when they have state, depth and kind in common and, for data,
        follow each other in the file. Ranges of a parent the model does not have are of the kind
        "parent"; those past a parent's end are zeros of its child in state not_present.
        """
        end = self.virtual_disk_size if length is None else offset + length
        merged: list[Extent] = []
        for extent in self._extents(offset, end, 0):
            last = merged[-1] if merged else None
            if last is not None and last.continues_in(extent):
                merged[-1] = replace(last, length=last.length + extent.length)
            else:
                merged.append(extent)
        return merged

    def state_counts(self) -> dict[str, int]:
        """Return how many payload blocks are in each state, by the names of `info --json`."""
        counts = dict.fromkeys(STATE_NAMES.values(), 0)
        total = self.geometry.payload_blocks
        named = 0
        for block, description in self.image.blocks.items():
            if block < total:
                counts[STATE_NAMES[description.state]] += 1
                named += 1
        counts[STATE_NAMES[self.image.others.state]] += total - named
        return counts

    def _extents(self, offset: int, end: int, depth: int) -> Iterator[Extent]:
        named = sorted(self.image.blocks)
        while offset < end:
            number, inside = divmod(offset, self.block_size)
            block = self.image.block(number)
            stop = (number + 1) * self.block_size
            if number not in self.image.blocks and not block.is_stored:
                following = bisect_right(named, number)
                stop = named[following] * self.block_size if following < len(named) else end
            length = min(stop, end) - offset
            place = self._layout.payload.get(number)
            state = STATE_NAMES[block.state]
            if block.state == FULLY_PRESENT and place is not None:
                yield Extent(offset, length, state, depth, place + inside, "data")
            elif block.state == PARTIALLY_PRESENT and place is not None:
                size = self.logical_sector_size
                start = number * self.block_size
                for first, last, present in block.sector_runs(self.block_size // size):
                    at = max(start + first * size, offset)
                    to = min(start + last * size, offset + length)
                    if at < to and present:
                        yield Extent(at, to - at, state, depth, place + at - start, "data")
                    elif at < to:
                        yield from self._parent_extents(at, to, depth)
            elif block.state == NOT_PRESENT and self.image.has_parent:
                yield from self._parent_extents(offset, offset + length, depth)
            else:
                yield Extent(offset, length, state, depth, None, "zero")
            offset += length

    def _parent_extents(self, offset: int, end: int, depth: int) -> Iterator[Extent]:
        state = STATE_NAMES[NOT_PRESENT]
        if self.parent is None:
            yield Extent(offset, end - offset, state, depth + 1, None, "parent")
            return
        inside = max(offset, min(end, self.parent.virtual_disk_size))
        yield from self.parent._extents(offset, inside, depth + 1)
        if inside < end:
            yield Extent(inside, end - inside, state, depth, None, "zero")

    def _read_parts(self, offset: int, length: int) -> Iterator[bytes]:
        end = offset + length
        while offset < end:
            number, inside = divmod(offset, self.block_size)
            step = min(self.block_size - inside, end - offset)
            block = self.image.block(number)
            if block.state == FULLY_PRESENT:
                yield self.image.payload(number).read(inside, step)
            elif block.state == PARTIALLY_PRESENT:
                yield from self._read_partial(number, block, inside, step)
            elif block.state == NOT_PRESENT and self.image.has_parent:
                yield self._read_parent(offset, step)
            else:
                yield bytes(step)
            offset += step

    def _read_partial(self, number: int, block: Block, inside: int, length: int) -> Iterator[bytes]:
        size = self.logical_sector_size
        base = number * self.block_size
        payload = self.image.payload(number)
        position = inside
        for first, last, present in block.sector_runs(self.block_size // size):
            stop = min(last * size, inside + length)
            if first * size > position or stop <= position:
                continue
            if present:
                yield payload.read(position, stop - position)
            else:
                yield self._read_parent(base + position, stop - position)
            position = stop

    def _read_parent(self, offset: int, length: int) -> bytes:
        if self.parent is None:
            raise NoParentError(f"{length} bytes at {offset} belong to the parent")
        inside = max(0, min(length, self.parent.virtual_disk_size - offset))
        data = self.parent.read(offset, inside) if inside else b""
        return data + bytes(length - inside)

    # -- info -----------------------------------------------------------------------------------

    def info(self, allocation: bool = False) -> dict[str, Any]:
        """Return what `info --json` has to show, without path, names, reasons and parent search."""
        layout = self._layout
        table = self.region_table_copy
        locator = self.image.resolved_locator()
        bat = layout.region_tables[table - 1].find(BAT_REGION)
        counts: dict[str, Any] = {
            "file_offset": bat.file_offset,
            "length": bat.length,
            "entry_count": self.geometry.entry_count,
            "payload_blocks": self.geometry.payload_blocks,
            "sector_bitmap_blocks": self.geometry.sector_bitmap_blocks,
            "chunk_ratio": self.geometry.chunk_ratio,
        }
        if allocation:
            counts |= {"states": self.state_counts(), "reserved": 0}
        return {
            "file_size": self.file_size,
            "creator": self.creator,
            "disk_type": self.disk_type,
            "virtual_disk_size": self.virtual_disk_size,
            "virtual_disk_id": str(self.virtual_disk_id),
            "block_size": self.block_size,
            "logical_sector_size": self.logical_sector_size,
            "physical_sector_size": self.physical_sector_size,
            "current_header": self.current_copy,
            "headers": [
                _header_info(copy, header) for copy, header in enumerate(layout.headers, 1)
            ],
            "log": self.log.info(),
            "region_table": table,
            "regions": [
                {
                    "guid": str(entry.guid),
                    "file_offset": entry.file_offset,
                    "length": entry.length,
                    "required": bool(entry.required & 1),
                }
                for entry in layout.region_tables[table - 1].entries
            ],
            "metadata": [
                {
                    "item_id": str(item.item_id),
                    "offset": offset,
                    "length": item.stated_length,
                    "is_user": bool(item.flags & IS_USER),
                    "is_virtual_disk": bool(item.flags & IS_VIRTUAL_DISK),
                    "is_required": bool(item.flags & IS_REQUIRED),
                }
                for offset, item in layout.metadata.placed()
            ],
            "bat": counts,
            "parents": None,
            "assumed": [],
            "parent": None
            if locator is None or not self.image.has_parent
            else {"locator_type": str(locator.locator_type), "entries": locator.text},
        }

    @property
    def region_table_copy(self) -> int:
        """1 or 2: the copy a reader uses."""
        return 1 if self._layout.region_tables[0].is_valid else 2


def _header_info(copy: int, header: Header) -> dict[str, Any]:
    info: dict[str, Any] = {"copy": copy, "valid": header.is_valid}
    if header.raw is None:
        info |= {
            "sequence_number": str(header.sequence_number),
            "file_write_guid": str(header.file_write_guid),
            "data_write_guid": str(header.data_write_guid),
            "log_guid": str(header.log_guid),
            "log_version": header.log_version,
            "version": header.version,
            "log_offset": header.log_offset,
            "log_length": header.log_length,
        }
    return info


def _union(ranges: list[tuple[int, int]]) -> int:
    total, reached = 0, 0
    for start, stop in sorted(ranges):
        total += max(0, stop - max(start, reached))
        reached = max(reached, stop)
    return total
