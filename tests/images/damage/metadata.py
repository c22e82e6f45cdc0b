"""Damage to the metadata table."""

from __future__ import annotations

from uuid import UUID

from tests.images.image import Layout
from tests.images.structures import (
    IS_REQUIRED,
    IS_USER,
    KIB,
    LOGICAL_SECTOR_SIZE,
    MIB,
    VIRTUAL_DISK_ID,
    VIRTUAL_DISK_SIZE,
    ZERO_GUID,
    MetadataItem,
)

from .case import damage
from .editing import add_item


@damage("MET-01")
def metadata_signature_wrong(layout: Layout) -> None:
    """The metadata table begins with metadatb."""
    layout.metadata.signature = b"metadatb"


@damage("MET-02", level="warning")
def metadata_reserved_not_zero(layout: Layout) -> None:
    """Reserved of the metadata table header is 1."""
    layout.metadata.reserved = 1


@damage("MET-03")
def metadata_entry_count_2048(layout: Layout) -> None:
    """The metadata table states 2048 entries."""
    layout.metadata.entry_count = 2048


@damage("MET-03")
def metadata_entry_count_max(layout: Layout) -> None:
    """The metadata table states 65535 entries."""
    layout.metadata.entry_count = 65535


@damage("MET-04", level="warning")
def metadata_reserved2_not_zero(layout: Layout) -> None:
    """The last byte of Reserved2 of the metadata table header is 1."""
    layout.metadata.reserved2 = bytes(19) + b"\x01"


@damage("MET-05")
def known_item_listed_twice(layout: Layout) -> None:
    """Virtual Disk Size is listed twice, with the same value at two places."""
    size = layout.metadata.find(VIRTUAL_DISK_SIZE)
    layout.metadata.items.append(MetadataItem(size.item_id, size.data, size.flags))


@damage("MET-05")
def user_item_listed_twice(layout: Layout) -> None:
    """A user item is listed twice."""
    add_item(layout, b"one")
    add_item(layout, b"two")


@damage("MET-06")
def item_inside_the_table(layout: Layout) -> None:
    """A user item begins at 32 KiB, inside the space of the table."""
    add_item(layout).offset = 32 * KIB


@damage("MET-07")
def item_past_the_region(layout: Layout) -> None:
    """A user item begins where the metadata region ends."""
    add_item(layout).offset = MIB


@damage("MET-07")
def item_over_the_end_of_the_region(layout: Layout) -> None:
    """A user item ends one byte past the metadata region."""
    add_item(layout).offset = MIB - 3


@damage("MET-07", "GEN-09")
def item_offset_wraps_around(layout: Layout) -> None:
    """Offset plus Length of a user item passes 2**32."""
    add_item(layout).offset = (1 << 32) - 2


@damage("MET-08")
def items_overlap(layout: Layout) -> None:
    """A user item has the place of the Virtual Disk ID's last byte."""
    offset = next(at for at, item in layout.metadata.placed() if item.item_id == VIRTUAL_DISK_ID)
    item = add_item(layout, b"")
    item.offset, item.length = offset + 15, 4


@damage("MET-09", base="items")
def item_longer_than_a_mib(layout: Layout) -> None:
    """A user item is 1 MiB and 1 byte long."""
    item = add_item(layout, b"long")
    item.offset, item.length = 2 * MIB, MIB + 1


@damage("MET-10")
def empty_item_with_an_offset(layout: Layout) -> None:
    """A user item of length 0 has an offset."""
    add_item(layout, b"").offset = 128 * KIB


@damage("MET-11", level="note")
def empty_item(layout: Layout) -> None:
    """A user item has length 0 and offset 0."""
    add_item(layout, b"")


@damage("MET-12")
def user_items_1025(layout: Layout) -> None:
    """1025 entries are user metadata."""
    for index in range(1025):
        layout.metadata.items.append(MetadataItem(UUID(int=index + 1), b"", IS_USER))


@damage("MET-13")
def unknown_item_required(layout: Layout) -> None:
    """An unknown system item is required."""
    add_item(layout, flags=IS_REQUIRED)


@damage("MET-13", "MET-19")
def user_item_required(layout: Layout) -> None:
    """An unknown user item is required."""
    add_item(layout, flags=IS_USER | IS_REQUIRED)


@damage("MET-14", level="warning")
def item_flags_reserved_bit(layout: Layout) -> None:
    """Bit 3 of the flags of Virtual Disk ID is set."""
    layout.metadata.find(VIRTUAL_DISK_ID).flags |= 8


@damage("MET-14", level="warning")
def item_flags_highest_bit(layout: Layout) -> None:
    """Bit 31 of the flags of an optional item is set."""
    add_item(layout, flags=1 << 31)


@damage("MET-15", level="warning")
def item_reserved2_not_zero(layout: Layout) -> None:
    """Reserved2 of the entry of Logical Sector Size is 4."""
    layout.metadata.find(LOGICAL_SECTOR_SIZE).reserved2 = 4


@damage("MET-20", level="warning")
def item_id_zero(layout: Layout) -> None:
    """An optional item has an all-zero ItemID."""
    add_item(layout, flags=0).item_id = ZERO_GUID
