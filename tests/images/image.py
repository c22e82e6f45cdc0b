"""Images: a description (`Image`), the structures it comes to (`Layout`), the file (`Built`).

`Image` says what the disk is. `Image.layout()` decides where everything lies and returns mutable
records of every structure, ready to be changed in one place. `Layout.build()` packs them.

    built = dynamic(8 * MIB, blocks={0: Block(), 3: Block(ZERO)}).build()
    built.write(tmp_path / "a.vhdx")
    assert reader.pread(512, 0) == built.model.read(0, 512)
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from .blocks import Bitmap, SectorRange, default_payload
from .blocks import Block as Block  # what describes an image is had here
from .blocks import partial as partial
from .blocks import sectors as sectors
from .log import Log, replay
from .model import Geometry, Model
from .sparse import Sparse
from .structures import (
    BAT_REGION,
    FILE_PARAMETERS,
    HEADER_OFFSETS,
    IS_REQUIRED,
    IS_VIRTUAL_DISK,
    KIB,
    LOGICAL_SECTOR_SIZE,
    METADATA_REGION,
    MIB,
    NOT_PRESENT,
    PARENT_LOCATOR,
    PARTIALLY_PRESENT,
    PHYSICAL_SECTOR_SIZE,
    REGION_TABLE_OFFSETS,
    SB_PRESENT,
    VIRTUAL_DISK_ID,
    VIRTUAL_DISK_SIZE,
    ZERO_GUID,
    Header,
    Identifier,
    Locator,
    MetadataItem,
    MetadataTable,
    RegionEntry,
    RegionTable,
    bat_entry,
)
from .structures import windows_locator as windows_locator

DiskType = Literal["fixed", "dynamic", "differencing"]

FILE_WRITE_GUID = UUID("f11e0001-1111-4111-8111-0123456789ab")
DATA_WRITE_GUID = UUID("da7a0001-2222-4222-8222-0123456789ab")
DISK_ID = UUID("d15c0001-3333-4333-8333-0123456789ab")
LOG_GUID = UUID("106e0001-4444-4444-8444-0123456789ab")
PARENT_GUID = UUID("9a5e0001-5555-4555-8555-0123456789ab")
_NOT_PRESENT = Block(NOT_PRESENT)


@dataclass
class Region:
    """A further region: `file_offset` None is placed after the known ones."""

    guid: UUID
    length: int = MIB
    file_offset: int | None = None
    required: int = 0
    data: bytes = b""


@dataclass
class Image:
    """The description of one VHDX image. Offsets and lengths in bytes; None means: decide."""

    virtual_disk_size: int = 8 * MIB
    disk_type: DiskType = "dynamic"
    block_size: int = MIB
    logical_sector_size: int = 512
    physical_sector_size: int = 4096
    virtual_disk_id: UUID = DISK_ID
    blocks: dict[int, Block] = field(default_factory=dict)
    others: Block = _NOT_PRESENT
    tag: int = 1
    creator: str | bytes = "vhdx test images"

    file_write_guid: UUID = FILE_WRITE_GUID
    data_write_guid: UUID = DATA_WRITE_GUID
    log_guid: UUID = ZERO_GUID
    sequence_number: int = 1
    leave_block_allocated: bool | None = None
    required: int = 1

    log_offset: int | None = None
    log_length: int = MIB
    metadata_offset: int | None = None
    metadata_length: int = MIB
    bat_offset: int | None = None
    bat_length: int | None = None
    regions: list[Region] = field(default_factory=list)
    items: list[MetadataItem] = field(default_factory=list)
    order: Sequence[str] = ("log", "metadata", "bat", "regions", "blocks")
    block_order: Sequence[int] | None = None
    gap: int = 0
    bitmap_offsets: dict[int, int] = field(default_factory=dict)
    bitmap_chunks: frozenset[int] = frozenset()
    file_length: int | None = None

    parent: Built | Model | None = None
    locator: Locator | None = None

    @property
    def has_parent(self) -> bool:
        """Whether the disk is differencing."""
        return self.disk_type == "differencing"

    @property
    def geometry(self) -> Geometry:
        """Its block arithmetic."""
        return Geometry(
            self.virtual_disk_size, self.block_size, self.logical_sector_size, self.has_parent
        )

    @property
    def parent_model(self) -> Model | None:
        """The model of the parent."""
        return self.parent.model if isinstance(self.parent, Built) else self.parent

    def but(self, **changes: Any) -> Image:
        """Return a copy with other values."""
        return replace(self, **changes)

    def block(self, number: int) -> Block:
        """Return the description of a block."""
        return self.blocks.get(number, self.others)

    def payload(self, number: int) -> Sparse:
        """Return what the file holds for a stored block."""
        data = self.block(number).data
        if data is None:
            return default_payload(self.tag, number, self.block_size)
        if isinstance(data, bytes):
            return Sparse(self.block_size, {0: data})
        return data

    def file_parameters(self) -> bytes:
        """Return the File Parameters item."""
        keep = self.disk_type == "fixed"
        if self.leave_block_allocated is not None:
            keep = self.leave_block_allocated
        flags = int(keep) | int(self.has_parent) << 1
        return self.block_size.to_bytes(4, "little") + flags.to_bytes(4, "little")

    def known_items(self) -> list[MetadataItem]:
        """Return the items of the specification, in the order and with the flags Windows uses."""
        disk = IS_VIRTUAL_DISK | IS_REQUIRED
        items = [
            MetadataItem(FILE_PARAMETERS, self.file_parameters(), IS_REQUIRED),
            MetadataItem(VIRTUAL_DISK_SIZE, self.virtual_disk_size.to_bytes(8, "little"), disk),
            MetadataItem(LOGICAL_SECTOR_SIZE, self.logical_sector_size.to_bytes(4, "little"), disk),
            MetadataItem(
                PHYSICAL_SECTOR_SIZE, self.physical_sector_size.to_bytes(4, "little"), disk
            ),
            MetadataItem(VIRTUAL_DISK_ID, self.virtual_disk_id.bytes_le, disk),
        ]
        locator = self.resolved_locator()
        if locator is not None:
            items.append(MetadataItem(PARENT_LOCATOR, locator.pack(), IS_REQUIRED))
        return items

    def resolved_locator(self) -> Locator | None:
        """Return the parent locator: the given one, or one for `parent.vhdx` beside the child."""
        if self.locator is not None or not self.has_parent:
            return self.locator
        parent = self.parent_model
        linkage = PARENT_GUID if parent is None else parent.current_header.data_write_guid
        return windows_locator(linkage, "parent.vhdx")

    def layout(self) -> Layout:
        """Return the structures of the image, every one placed, ready to be changed."""
        return _Planner(self).layout()

    def build(self) -> Built:
        """Return the image as a file with its model."""
        return self.layout().build()


@dataclass
class Layout:
    """Every structure of an image, placed; change what you like, then `build()`.

    `bat` holds the raw entries by index, absent ones are 0. `patches` are written over everything
    else, in order. `file_length` cuts or extends the file; None leaves it as long as its contents,
    rounded up to 1 MiB.
    """

    image: Image
    identifier: Identifier
    headers: list[Header]
    region_tables: list[RegionTable]
    metadata: MetadataTable
    metadata_offset: int
    bat: dict[int, int]
    bat_offset: int
    bitmaps: dict[int, Bitmap]
    payload: dict[int, int]
    log: Log | None = None
    log_offset: int = MIB
    patches: list[tuple[int, Sparse]] = field(default_factory=list)
    file_length: int | None = None

    @property
    def bat_length(self) -> int:
        """Bytes of the BAT region as the first region table states them."""
        return self.region_tables[0].find(BAT_REGION).length

    def set_headers(self, **fields: Any) -> None:
        """Set fields of both headers."""
        for header in self.headers:
            for name, value in fields.items():
                setattr(header, name, value)

    def set_tables(self, change: Callable[[RegionTable], object]) -> None:
        """Change both region tables alike."""
        for table in self.region_tables:
            change(table)

    def entry(self, block: int) -> int:
        """Return the BAT entry of a payload block."""
        return self.bat.get(self.image.geometry.index(block), 0)

    def set_entry(self, block: int, state: int, file_offset: int = 0, reserved: int = 0) -> None:
        """Set the BAT entry of a payload block; the model keeps what the image says."""
        index = self.image.geometry.index(block)
        self.bat[index] = bat_entry(state, file_offset, reserved)

    def patch(self, offset: int, data: bytes | Sparse) -> None:
        """Write bytes over whatever is there in the end."""
        self.patches.append((offset, data if isinstance(data, Sparse) else Sparse(0, {0: data})))

    def locator_item(self) -> MetadataItem:
        """Return the parent locator's metadata item."""
        return self.metadata.find(PARENT_LOCATOR)

    def set_locator(self, locator: Locator) -> None:
        """Give the parent locator item other contents."""
        self.image = self.image.but(locator=locator)
        self.locator_item().data = locator.pack()

    def ranges(self, *names: str) -> list[tuple[int, int]]:
        """Return the (offset, length) ranges of structures by name.

        Names: region_tables, metadata, bat, bitmaps, payload.
        """
        table = self.region_tables[0]
        found: list[tuple[int, int]] = []
        for name in names:
            if name == "region_tables":
                found.append((REGION_TABLE_OFFSETS[0], 128 * KIB))
            elif name == "metadata":
                found.append((self.metadata_offset, table.find(METADATA_REGION).length))
            elif name == "bat":
                found.append((self.bat_offset, table.find(BAT_REGION).length))
            elif name == "bitmaps":
                found += [(bitmap.file_offset, MIB) for bitmap in self.bitmaps.values()]
            elif name == "payload":
                found += [(offset, self.image.block_size) for offset in self.payload.values()]
            else:
                raise ValueError(f"no structure is called {name!r}")
        return found

    def pack_body(self) -> Sparse:
        """Return the file without log and patches."""
        file = Sparse()
        file.put(0, self.identifier.pack())
        for offset, header in zip(HEADER_OFFSETS, self.headers, strict=True):
            file.put(offset, header.pack())
        for offset, table in zip(REGION_TABLE_OFFSETS, self.region_tables, strict=True):
            file.put(offset, table.pack())
        for region in self.image.regions:
            if region.data:
                where = self.region_tables[0].find(region.guid).file_offset
                file.put(where, region.data)
        for number, offset in self.payload.items():
            file.put_all(offset, self.image.payload(number), self._stored_length(number))
        for bitmap in self.bitmaps.values():
            file.put_all(bitmap.file_offset, bitmap.pack())
        pages: dict[int, bytearray] = {}
        for index, entry in self.bat.items():
            page, slot = divmod(index * 8, 4096)
            pages.setdefault(page, bytearray(4096))[slot : slot + 8] = entry.to_bytes(8, "little")
        for page, entries in pages.items():
            file.put(self.bat_offset + page * 4096, bytes(entries))
        for offset, data in self.metadata.pack():
            file.put(self.metadata_offset + offset, data)
        return file

    def pack(self) -> Sparse:
        """Return the file."""
        file = self.pack_body()
        if self.log is not None:
            file.put_all(self.log_offset, self.log.pack())
        for offset, data in self.patches:
            file.put_all(offset, data)
        file.truncate(self.final_length(file.length))
        return file

    def final_length(self, packed: int = 0) -> int:
        """Return the length of the stored file."""
        if self.file_length is not None:
            return self.file_length
        ends = [packed, MIB, self.log_offset + self.image.log_length]
        for entry in self.region_tables[0].entries:
            if entry.file_offset < 1 << 48:
                ends.append(entry.file_offset + entry.length)
        ends += [offset + self.image.block_size for offset in self.payload.values()]
        ends += [bitmap.file_offset + MIB for bitmap in self.bitmaps.values()]
        return -(-max(ends) // MIB) * MIB

    def build(self) -> Built:
        """Return the image as a file with its model; do not change the layout afterwards."""
        return Built(self)

    def _stored_length(self, number: int) -> int | None:
        if self.file_length is None:
            return None
        return max(0, self.file_length - self.payload[number])


class Built:
    """A finished image: `file` as sparse pieces, `model` for what it means."""

    def __init__(self, layout: Layout) -> None:
        """Pack the layout when first asked for."""
        self.layout = layout

    @cached_property
    def file(self) -> Sparse:
        """The stored file."""
        return self.layout.pack()

    @cached_property
    def model(self) -> Model:
        """The meaning of the image; that of the undamaged one where the layout was damaged."""
        return Model(self.layout)

    @property
    def image(self) -> Image:
        """The description it was built from."""
        return self.layout.image

    @property
    def length(self) -> int:
        """Bytes of the file."""
        return self.file.length

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the file, sparse, and return its path."""
        return self.file.write(path)

    def to_bytes(self) -> bytes:
        """Return the whole file; up to 1 GiB."""
        return self.file.to_bytes()

    def open(self) -> io.BytesIO:
        """Return the whole file as a binary file object."""
        return io.BytesIO(self.to_bytes())

    def replayed(self) -> Sparse:
        """Return the file after replay of its active sequence."""
        guid = self.model.current_header.log_guid
        log = self.layout.log
        if guid == ZERO_GUID or log is None:
            return self.file
        active = log.active(guid)
        if active is None:
            raise ValueError("no valid sequence")
        return replay(self.file, active.entries)


class _Planner:
    """Finds a place for every structure of an image."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.cursor = MIB
        self.taken: list[tuple[int, int]] = []
        geometry = image.geometry
        needed = max(1, geometry.entry_count) * 8
        self.bat_length = -(-needed // MIB) * MIB if image.bat_length is None else image.bat_length
        self.log_offset = MIB
        self.metadata_offset = 2 * MIB
        self.bat_offset = 3 * MIB
        self.region_offsets: list[int] = []
        self.block_offsets: dict[int, int] = {}
        self.bitmap_offsets: dict[int, int] = dict(image.bitmap_offsets)
        self._reserve()

    def _reserve(self) -> None:
        image = self.image
        fixed = [
            (image.log_offset, image.log_length),
            (image.metadata_offset, image.metadata_length),
            (image.bat_offset, self.bat_length),
            *((region.file_offset, region.length) for region in image.regions),
            *((offset, MIB) for offset in image.bitmap_offsets.values()),
            *(
                (block.file_offset, image.block_size)
                for block in image.blocks.values()
                if block.file_offset
            ),
        ]
        self.taken = sorted(
            (offset, offset + length) for offset, length in fixed if offset is not None
        )

    def place(self, length: int) -> int:
        """Return the next free place for `length` bytes."""
        length = max(length, MIB)
        start = self.cursor
        for first, stop in self.taken:
            if first < start + length and stop > start:
                start = -(-stop // MIB) * MIB
        self.cursor = start + -(-length // MIB) * MIB + self.image.gap
        return start

    def place_at(self, offset: int | None, length: int) -> int:
        """Return the offset that is wished for, or the next free place."""
        return self.place(length) if offset is None else offset

    def layout(self) -> Layout:
        image = self.image
        for name in image.order:
            if name == "log":
                self.log_offset = self.place_at(image.log_offset, image.log_length)
            elif name == "metadata":
                self.metadata_offset = self.place_at(image.metadata_offset, image.metadata_length)
            elif name == "bat":
                self.bat_offset = self.place_at(image.bat_offset, self.bat_length)
            elif name == "regions":
                places = ((region.file_offset, region.length) for region in image.regions)
                self.region_offsets += [self.place_at(*place) for place in places]
            elif name == "blocks":
                self._place_blocks()
            else:
                raise ValueError(f"nothing is called {name!r}")
        return self._records()

    def _place_blocks(self) -> None:
        image = self.image
        total = image.geometry.payload_blocks
        if image.others.is_stored:
            if total > 1 << 20:
                raise ValueError("too many blocks to store them all; name them")
            stored: Iterable[int] = range(total)
        else:
            stored = sorted(image.blocks)
        if image.block_order is not None:
            stored = [*image.block_order, *sorted(set(stored) - set(image.block_order))]
        for number in stored:
            block = image.block(number)
            chunk = number // image.geometry.chunk_ratio
            wants_bitmap = block.state == PARTIALLY_PRESENT or bool(block.present)
            if image.has_parent and wants_bitmap:
                self._place_bitmap(chunk)
            if block.is_stored:
                self.block_offsets[number] = self.place_at(block.file_offset, image.block_size)
        for chunk in sorted(image.bitmap_chunks):
            self._place_bitmap(chunk)

    def _place_bitmap(self, chunk: int) -> None:
        if chunk not in self.bitmap_offsets:
            self.bitmap_offsets[chunk] = self.place(MIB)

    def _records(self) -> Layout:
        image = self.image
        header = Header(
            sequence_number=image.sequence_number,
            file_write_guid=image.file_write_guid,
            data_write_guid=image.data_write_guid,
            log_guid=image.log_guid,
            log_length=image.log_length,
            log_offset=self.log_offset,
        )
        second = replace(header, sequence_number=min(image.sequence_number + 1, (1 << 64) - 1))
        if second.sequence_number == header.sequence_number:
            header.sequence_number -= 1
        entries = [
            RegionEntry(BAT_REGION, self.bat_offset, self.bat_length, image.required),
            RegionEntry(
                METADATA_REGION, self.metadata_offset, image.metadata_length, image.required
            ),
            *(
                RegionEntry(region.guid, offset, region.length, region.required)
                for region, offset in zip(image.regions, self.region_offsets, strict=True)
            ),
        ]
        table = RegionTable(entries)
        bat = self._bat()
        return Layout(
            image=image,
            identifier=Identifier(image.creator),
            headers=[header, second],
            region_tables=[table, table.copy()],
            metadata=MetadataTable([*image.known_items(), *map(replace, image.items)]),
            metadata_offset=self.metadata_offset,
            bat=bat,
            bat_offset=self.bat_offset,
            bitmaps=self._bitmaps(),
            payload=self.block_offsets,
            log_offset=self.log_offset,
            file_length=image.file_length,
        )

    def _bat(self) -> dict[int, int]:
        image, geometry = self.image, self.image.geometry
        bat: dict[int, int] = {}
        if image.others.state != NOT_PRESENT:
            numbers: Iterable[int] = range(geometry.payload_blocks)
        else:
            numbers = image.blocks
        for number in numbers:
            block = image.block(number)
            offset = self.block_offsets.get(number, block.file_offset or 0)
            entry = bat_entry(block.state, offset)
            if entry:
                bat[geometry.index(number)] = entry
        for chunk, offset in self.bitmap_offsets.items():
            bat[geometry.bitmap_index(chunk)] = bat_entry(SB_PRESENT, offset)
        return bat

    def _bitmaps(self) -> dict[int, Bitmap]:
        image, geometry = self.image, self.image.geometry
        per_block = image.block_size // image.logical_sector_size
        runs: dict[int, list[SectorRange]] = {chunk: [] for chunk in self.bitmap_offsets}
        for number, block in image.blocks.items():
            chunk, slot = divmod(number, geometry.chunk_ratio)
            if chunk in runs:
                base = slot * per_block
                runs[chunk] += [(base + first, base + stop) for first, stop in block.present]
        return {
            chunk: Bitmap(offset, sectors(*runs[chunk]))
            for chunk, offset in self.bitmap_offsets.items()
        }


def dynamic(virtual_disk_size: int = 8 * MIB, **fields: Any) -> Image:
    """Return a dynamic image; blocks not named are NOT_PRESENT."""
    return Image(virtual_disk_size, "dynamic", **fields)


def fixed(virtual_disk_size: int = 4 * MIB, **fields: Any) -> Image:
    """Return a fixed image; blocks not named are FULLY_PRESENT."""
    fields.setdefault("others", Block())
    return Image(virtual_disk_size, "fixed", **fields)


def differencing(
    virtual_disk_size: int = 8 * MIB, *, parent: Built | Model | None = None, **fields: Any
) -> Image:
    """Return a differencing image; size, sector sizes and disk id follow the parent, if given."""
    if parent is not None:
        model = parent.model if isinstance(parent, Built) else parent
        virtual_disk_size = model.virtual_disk_size
        fields.setdefault("logical_sector_size", model.logical_sector_size)
        fields.setdefault("physical_sector_size", model.physical_sector_size)
        fields.setdefault("virtual_disk_id", model.virtual_disk_id)
    fields.setdefault("tag", 2)
    return Image(virtual_disk_size, "differencing", parent=parent, **fields)
