"""What several damages do to a layout."""

from __future__ import annotations

from uuid import UUID

from tests.images.bases import UNKNOWN_ITEM, UNKNOWN_REGION
from tests.images.image import Layout
from tests.images.structures import IS_USER, MIB, MetadataItem, RegionEntry


def move(entry: RegionEntry, by: int) -> None:
    entry.file_offset += by


def add_region(layout: Layout, offset: int, length: int, guid: UUID = UNKNOWN_REGION) -> None:
    layout.set_tables(lambda table: table.entries.append(RegionEntry(guid, offset, length, 0)))


def free_space(layout: Layout, length: int = MIB) -> int:
    """Make the file longer and return the offset of the new space."""
    end = -(-(layout.file_length or 0) // MIB) * MIB
    layout.file_length = end + length
    return end


def add_item(layout: Layout, data: bytes = b"user", flags: int = IS_USER) -> MetadataItem:
    item = MetadataItem(UNKNOWN_ITEM, data, flags)
    layout.metadata.items.append(item)
    return item
