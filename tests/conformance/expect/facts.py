"""What decides which values an image has: where a parser looks, and what it finds there.

A fact comes from the description of the image, not from its bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from tests.images.image import Layout
from tests.images.log import SECTOR, Placed
from tests.images.sparse import Sparse
from tests.images.structures import (
    FILE_PARAMETERS,
    HEADER_OFFSETS,
    IS_USER,
    KIB,
    LOGICAL_SECTOR_SIZE,
    METADATA_REGION,
    MIB,
    PARENT_LOCATOR,
    PHYSICAL_SECTOR_SIZE,
    REGION_TABLE_OFFSETS,
    TIB,
    VIRTUAL_DISK_ID,
    VIRTUAL_DISK_SIZE,
    Header,
    MetadataItem,
    RegionEntry,
    RegionTable,
)

from .values import le

MAX_ENTRIES = 2047
ITEM_KINDS = {
    FILE_PARAMETERS: "file_parameters",
    VIRTUAL_DISK_SIZE: "virtual_disk_size",
    VIRTUAL_DISK_ID: "virtual_disk_id",
    LOGICAL_SECTOR_SIZE: "logical_sector_size",
    PHYSICAL_SECTOR_SIZE: "physical_sector_size",
    PARENT_LOCATOR: "parent_locator",
}
# Numbers of the kinds in `item_kind`, which is how a look-up names the one it wants.
KIND_CODES = {"file_parameters": 1, "virtual_disk_size": 2, "logical_sector_size": 4}
ITEM_LENGTHS = {
    "file_parameters": 8,
    "virtual_disk_size": 8,
    "virtual_disk_id": 16,
    "logical_sector_size": 4,
    "physical_sector_size": 4,
    "parent_locator": 20,
}


@dataclass
class Facts:
    """One image: `layout` describes it, `file` is what was stored of it."""

    layout: Layout
    file: Sparse

    @property
    def length(self) -> int:
        """Bytes of the file."""
        return self.file.length

    @property
    def is_identified(self) -> bool:
        """Whether the parser gets past the file type identifier."""
        return self.length >= 520 and self.layout.identifier.signature == b"vhdxfile"

    def rank(self, copy: int) -> int:
        """Return the sequence number of a copy with the right signature, otherwise -1."""
        header = self.layout.headers[copy - 1]
        return header.sequence_number if self.has_header(copy, b"head") else -1

    def has_header(self, copy: int, signature: bytes | None = None) -> bool:
        """Whether all of a copy of the header is in the file, with this signature or with any."""
        found = self.layout.headers[copy - 1].signature
        is_there = self.length >= HEADER_OFFSETS[copy - 1] + 4 * KIB
        return is_there and signature in (None, found)

    @property
    def current_header(self) -> int:
        """The copy of the header that is taken for the current one, 0 for none."""
        first, second = self.rank(1), self.rank(2)
        if first < 0 and second < 0:
            return 0
        return 2 if second > first else 1

    @property
    def table_copy(self) -> int:
        """The copy of the region table that is taken for the current one."""
        first = self.layout.region_tables[0]
        is_usable = first.signature == b"regi" and stored_count(first) <= MAX_ENTRIES
        return 1 if is_usable and self.length >= REGION_TABLE_OFFSETS[0] + 16 else 2

    @property
    def ofs_table(self) -> int:
        """File offset of this copy in bytes."""
        return REGION_TABLE_OFFSETS[self.table_copy - 1]

    @property
    def region_list(self) -> list[RegionEntry]:
        """The entries of this copy, as far as the file has them."""
        entries = region_entries(self.layout.region_tables[self.table_copy - 1])
        return entries[: room(self.ofs_table + 16, self.length, 32)]

    def region(self, kind: UUID) -> RegionEntry | None:
        """Return the first entry for a region."""
        return next((entry for entry in self.region_list if entry.guid == kind), None)

    def ofs_region_entry(self, kind: UUID) -> int:
        """Return the file offset in bytes of this entry, of the first one when there is none."""
        kinds = [entry.guid for entry in self.region_list]
        return self.ofs_table + 16 + 32 * (kinds.index(kind) if kind in kinds else 0)

    def beginnings(self) -> dict[int, Placed]:
        """Return the entries whose first sector no later entry has overwritten, by slot."""
        log = self.layout.log
        assert log is not None
        owners: dict[int, tuple[Placed, int]] = {}
        for item in log.placed():
            for index in range(item.length // SECTOR):
                owners[(item.at // SECTOR + index) % (log.length // SECTOR)] = item, index
        return {slot: item for slot, (item, index) in owners.items() if index == 0}

    @property
    def listed_items(self) -> list[tuple[int, MetadataItem]]:
        """The entries of the metadata table as a parser of all of it gets them."""
        table = self.layout.metadata
        placed = table.placed()
        count = self.item_count
        if count > MAX_ENTRIES:
            return []
        if count > len(placed):
            raise ValueError("no vector counts more items than it describes")
        return placed[:count]

    @property
    def item_count(self) -> int:
        """The count that the metadata table states."""
        count = self.layout.metadata.entry_count
        return len(self.layout.metadata.placed()) if count is None else count

    @property
    def item_room(self) -> int:
        """Entries of the metadata table that the file has room for."""
        return room(self.metadata_offset + 32, self.length, 32)

    @property
    def metadata_offset(self) -> int:
        """File offset of the metadata region in bytes, which is where the image has it."""
        region = self.region(METADATA_REGION)
        assert region is not None
        assert region.file_offset == self.layout.metadata_offset
        return region.file_offset

    @property
    def items(self) -> list[tuple[int, MetadataItem]]:
        """The entries of the metadata table, as far as the file has them, with their offsets."""
        return self.listed_items[: self.item_room]

    def usable(self, kind: str) -> MetadataItem | None:
        """Return the first item of a kind when it lies inside the region."""
        region = self.region(METADATA_REGION)
        assert region is not None
        for offset, item in self.items:
            if item_kind(item) == kind:
                stated = item.stated_length
                inside = stated > 0 and 64 * KIB <= offset <= region.length - stated
                is_there = region.file_offset + offset + 8 <= self.length
                return item if inside and is_there else None
        return None

    @property
    def geometry(self) -> Geometry:
        """The sizes that the known items state, 0 for those that are absent."""
        parameters = self.usable("file_parameters")
        disk_size = self.usable("virtual_disk_size")
        sector_size = self.usable("logical_sector_size")
        return Geometry(
            block_size=0 if parameters is None else le(parameters.data[:4]),
            has_parent=parameters is not None and bool(le(parameters.data[4:8]) & 2),
            virtual_disk_size=0 if disk_size is None else le(disk_size.data[:8]),
            logical_sector_size=0 if sector_size is None else le(sector_size.data[:4]),
        )


@dataclass(frozen=True)
class Geometry:
    """What the grammar computes from the sizes that the metadata states [MS-VHDX 2.4, 2.5]."""

    block_size: int
    has_parent: bool
    virtual_disk_size: int
    logical_sector_size: int

    @property
    def is_possible(self) -> bool:
        return (
            MIB <= self.block_size <= 256 * MIB
            and self.logical_sector_size in (512, 4096)
            and 0 < self.virtual_disk_size <= 64 * TIB
        )

    @property
    def num_payload_blocks(self) -> int:
        return -(-self.virtual_disk_size // self.block_size) if self.is_possible else 0

    @property
    def chunk_ratio(self) -> int:
        return (self.logical_sector_size << 23) // self.block_size if self.is_possible else 0

    @property
    def num_chunks(self) -> int:
        return -(-self.num_payload_blocks // self.chunk_ratio) if self.chunk_ratio else 0


def room(start: int, end: int, length: int) -> int:
    """Return how many pieces of a length fit between two places, 0 when these are the wrong way."""
    return max(0, end - start) // length


def stored_count(table: RegionTable) -> int:
    """Return the count that a region table states."""
    return len(table.entries) if table.entry_count is None else table.entry_count


def region_entries(table: RegionTable) -> list[RegionEntry]:
    """Return the entries that a parser takes from a region table."""
    count = stored_count(table)
    if count > MAX_ENTRIES:
        return []
    if count > len(table.entries):
        raise ValueError("no vector counts more regions than it describes")
    return table.entries[:count]


def entry_length(item: Placed) -> int:
    """Return the length that a log entry states."""
    return item.length if item.entry.entry_length is None else item.entry.entry_length


def descriptor_count(item: Placed) -> int:
    """Return the count that a log entry states."""
    count = item.entry.descriptor_count
    return len(item.entry.descriptors) if count is None else count


def item_kind(item: MetadataItem) -> str:
    """Return the kind of an item; one of a user is never a known one."""
    return "other" if item.flags & IS_USER else ITEM_KINDS.get(item.item_id, "other")


def is_short(kind: str, item: MetadataItem) -> bool:
    """Whether an item states fewer bytes than its kind has."""
    return item.stated_length < ITEM_LENGTHS.get(kind, 0)


def checksum_of(record: Header | RegionTable) -> int:
    return le(record.pack()[4:8]) if record.checksum is None else record.checksum
