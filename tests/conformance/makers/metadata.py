"""The metadata table and its items."""

from __future__ import annotations

from uuid import UUID

from tests.images.image import Layout
from tests.images.structures import (
    CHS_PARAMETERS,
    FILE_PARAMETERS,
    IS_REQUIRED,
    IS_USER,
    IS_VIRTUAL_DISK,
    KIB,
    LOGICAL_SECTOR_SIZE,
    MIB,
    PHYSICAL_SECTOR_SIZE,
    TIB,
    VIRTUAL_DISK_ID,
    VIRTUAL_DISK_SIZE,
    MetadataItem,
)

from .registry import GUID_A, GUID_B, GUID_C, GUID_D, LAST, ONCE, bare, small, vector


@vector
def items_of_all_kinds() -> Layout:
    """Items of no known kind and of users, with every flag and reserved bit, empty, too large, and
    outside the region; a user's item with the id of a known one before that one."""
    everything = IS_USER | IS_VIRTUAL_DISK | IS_REQUIRED
    own = [
        MetadataItem(VIRTUAL_DISK_SIZE, b"a user's own", IS_USER),
        MetadataItem(GUID_A, ONCE, IS_USER | IS_VIRTUAL_DISK),
        MetadataItem(GUID_B, b"\x01", 0xA5A5A5A0 | IS_REQUIRED),
    ]
    items = [
        MetadataItem(
            CHS_PARAMETERS, b"\x0a\x0b\x0c\x0d", 0x5A5A5A58 | everything, reserved2=0xF1020304
        ),
        MetadataItem(GUID_C, b"", IS_USER),
        MetadataItem(GUID_D, b"table", 0, offset=64 * KIB - 1),
        MetadataItem(GUID_A, b"", 0, offset=64 * KIB, length=MIB + 1),
        MetadataItem(GUID_A, b"", 0, offset=0xFFFFFFFF, length=0xFFFFFFFF),
        MetadataItem(GUID_A, b"", 0, offset=MIB - 4, length=5),
        MetadataItem(GUID_A, b"", 0, offset=MIB - 4, length=4),
        MetadataItem(VIRTUAL_DISK_ID, bytes(range(16)), IS_VIRTUAL_DISK, offset=512 * KIB),
    ]
    layout = bare(small(physical_sector_size=512))
    table = layout.metadata
    table.items = own + table.items + items
    table.reserved, table.reserved2 = 0x8384, bytes(range(1, 21))
    table.tail = ONCE
    return layout


def _items(count: int, stated: int) -> Layout:
    layout = bare(small())
    known = layout.metadata.items
    others = [MetadataItem(UUID(int=n + 1), b"", IS_USER) for n in range(count - len(known))]
    layout.metadata.items = others + known
    layout.metadata.entry_count = stated
    return layout


@vector
def items_2047() -> Layout:
    """As many metadata items as the table holds, the known ones at the end."""
    return _items(2047, 2047)


@vector
def items_2048() -> Layout:
    """One item more than the table holds: the count is impossible, no item is found."""
    return _items(2047, 2048)


@vector
def items_too_many() -> Layout:
    """A count of items with something in each of its bytes."""
    return _items(5, 0x8182)


@vector
def items_misplaced() -> Layout:
    """Known items that lie outside the region or are too short for what they are."""
    layout = bare(small())
    table = layout.metadata
    table.find(FILE_PARAMETERS).length = 7
    table.find(VIRTUAL_DISK_SIZE).offset = MIB - 7
    table.find(LOGICAL_SECTOR_SIZE).offset = 64 * KIB - 4
    table.find(PHYSICAL_SECTOR_SIZE).length = 3
    table.find(PHYSICAL_SECTOR_SIZE).offset = 256 * KIB
    table.find(VIRTUAL_DISK_ID).offset = 257 * KIB
    return layout


@vector
def items_missing() -> Layout:
    """A metadata table without items."""
    layout = bare(small())
    layout.metadata.items.clear()
    return layout


def _sizes(block_size: int, sector_size: int, disk_size: int) -> Layout:
    layout = bare(small())
    table = layout.metadata
    table.find(FILE_PARAMETERS).data = block_size.to_bytes(4, "little") + bytes(4)
    table.find(LOGICAL_SECTOR_SIZE).data = sector_size.to_bytes(4, "little")
    table.find(VIRTUAL_DISK_SIZE).data = disk_size.to_bytes(8, "little")
    return layout


@vector
def block_size_too_small() -> Layout:
    """Blocks one byte smaller than 1 MiB: there is nothing to count."""
    return _sizes(MIB - 1, 512, 4 * MIB)


@vector
def sizes_of_every_byte() -> Layout:
    """Sizes with something in each of their bytes, none of them possible."""
    layout = _sizes(0x81828384, 0x91929394, 0xA1A2A3A4A5A6A7A8)
    layout.metadata.find(PHYSICAL_SECTOR_SIZE).data = 0xB1B2B3B4.to_bytes(4, "little")
    return layout


@vector
def block_size_too_large() -> Layout:
    """Blocks one byte larger than 256 MiB."""
    return _sizes(256 * MIB + 1, 512, 4 * MIB)


@vector
def sector_size_odd() -> Layout:
    """Sectors of 520 bytes."""
    return _sizes(MIB, 520, 4 * MIB)


@vector
def disk_size_0() -> Layout:
    """A disk of no bytes."""
    return _sizes(MIB, 512, 0)


@vector
def disk_size_past_64_tib() -> Layout:
    """A disk of one byte more than 64 TiB."""
    return _sizes(MIB, 512, 64 * TIB + 1)


@vector
def disk_size_past_2_63() -> Layout:
    """A disk of 2^64-1 bytes."""
    return _sizes(MIB, 4096, LAST)


@vector
def metadata_signature_wrong() -> Layout:
    """The metadata table has another signature; its items are there all the same."""
    layout = bare(small())
    layout.metadata.signature = b"metaData"
    return layout
