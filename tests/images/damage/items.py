"""Damage to metadata items."""

from __future__ import annotations

from uuid import UUID

from tests.images.bases import END, base_differencing
from tests.images.image import Block, Layout
from tests.images.structures import (
    CHS_PARAMETERS,
    FILE_PARAMETERS,
    INCOMPLETE_FILE,
    IS_REQUIRED,
    IS_USER,
    IS_VIRTUAL_DISK,
    LOGICAL_SECTOR_SIZE,
    MIB,
    PARENT_LOCATOR,
    PHYSICAL_SECTOR_SIZE,
    TIB,
    VIRTUAL_DISK_ID,
    VIRTUAL_DISK_SIZE,
    ZERO,
    MetadataItem,
)

from .case import Apply, damage, enter
from .editing import add_item

_KNOWN = {
    "file-parameters": FILE_PARAMETERS,
    "virtual-disk-size": VIRTUAL_DISK_SIZE,
    "virtual-disk-id": VIRTUAL_DISK_ID,
    "logical-sector-size": LOGICAL_SECTOR_SIZE,
    "physical-sector-size": PHYSICAL_SECTOR_SIZE,
}


def _remove_item(item_id: UUID) -> Apply:
    return lambda layout: layout.metadata.items.remove(layout.metadata.find(item_id))


def _resize_item(item_id: UUID, by: int) -> Apply:
    def apply(layout: Layout) -> None:
        item = layout.metadata.find(item_id)
        item.data = item.data[:by] if by < 0 else item.data + bytes(by)

    return apply


def _flag_item(item_id: UUID, flag: int) -> Apply:
    def apply(layout: Layout) -> None:
        layout.metadata.find(item_id).flags ^= flag

    return apply


def _set_item(item_id: UUID, value: int) -> Apply:
    def apply(layout: Layout) -> None:
        item = layout.metadata.find(item_id)
        item.data = value.to_bytes(len(item.data), "little")

    return apply


for _name, _item in _KNOWN.items():
    _title = _name.replace("-", " ")
    enter(f"{_name}-missing", f"There is no {_title} item.", _remove_item(_item), "ITEM-01")
    enter(
        f"{_name}-too-long",
        f"The {_title} item is four bytes longer than defined.",
        _resize_item(_item, 4),
        "ITEM-02",
    )
    enter(
        f"{_name}-too-short",
        f"The {_title} item is one byte shorter than defined.",
        _resize_item(_item, -1),
        "ITEM-02",
    )
    enter(
        f"{_name}-not-required",
        f"The {_title} item is not marked as required.",
        _flag_item(_item, IS_REQUIRED),
        "ITEM-03",
        level="warning",
    )
    enter(
        f"{_name}-virtual-disk-flag-wrong",
        f"IsVirtualDisk of the {_title} item is the opposite of what the table says.",
        _flag_item(_item, IS_VIRTUAL_DISK),
        "ITEM-03",
        level="warning",
    )


@damage("ITEM-01", "ITEM-04", "MET-13", visible=("ITEM-01", "MET-13"))
def virtual_disk_size_only_as_user_item(layout: Layout) -> None:
    """Virtual Disk Size has IsUser set, so it is user metadata and the size is missing."""
    layout.metadata.find(VIRTUAL_DISK_SIZE).flags = IS_USER


for _rule, _name, _what, _value in (
    ("ITEM-05", "block-size-half-a-mib", "BlockSize is 512 KiB.", MIB // 2),
    ("ITEM-05", "block-size-0", "BlockSize is 0.", 0),
    ("ITEM-05", "block-size-512-mib", "BlockSize is 512 MiB.", 512 * MIB),
    ("ITEM-06", "block-size-3-mib", "BlockSize is 3 MiB.", 3 * MIB),
    ("ITEM-06", "block-size-1-mib-and-1", "BlockSize is 1 MiB and one byte.", MIB + 1),
):
    enter(_name, _what, _set_item(FILE_PARAMETERS, _value), _rule)

for _rule, _name, _what, _item, _value in (
    ("ITEM-11", "disk-size-odd", "VirtualDiskSize is 100 bytes too large.", VIRTUAL_DISK_SIZE,
     8 * MIB - 412),
    ("ITEM-13", "disk-size-0", "VirtualDiskSize is 0.", VIRTUAL_DISK_SIZE, 0),
    ("ITEM-15", "logical-sector-size-1024", "LogicalSectorSize is 1024.", LOGICAL_SECTOR_SIZE,
     1024),
    ("ITEM-15", "logical-sector-size-0", "LogicalSectorSize is 0.", LOGICAL_SECTOR_SIZE, 0),
    ("ITEM-16", "physical-sector-size-1024", "PhysicalSectorSize is 1024.",
     PHYSICAL_SECTOR_SIZE, 1024),
    ("ITEM-16", "physical-sector-size-0", "PhysicalSectorSize is 0.", PHYSICAL_SECTOR_SIZE, 0),
):  # fmt: skip
    enter(_name, _what, _set_item(_item, _value), _rule)


@damage("ITEM-11")
def disk_size_not_whole_4096_sectors(layout: Layout) -> None:
    """VirtualDiskSize is a multiple of 512, LogicalSectorSize is 4096."""
    _set_item(LOGICAL_SECTOR_SIZE, 4096)(layout)
    _set_item(VIRTUAL_DISK_SIZE, 8 * MIB - 512)(layout)


@damage("ITEM-07", level="warning")
def file_parameters_reserved_bit(layout: Layout) -> None:
    """Bit 2 of the flags in File Parameters is set."""
    item = layout.metadata.find(FILE_PARAMETERS)
    item.data = item.data[:4] + b"\x04\0\0\0"


enter(
    "disk-size-over-64-tib",
    "VirtualDiskSize is 64 TiB and 512 bytes; the BAT would be large enough.",
    _set_item(VIRTUAL_DISK_SIZE, 64 * TIB + 512),
    "ITEM-12",
    base="huge",
)
enter(
    "disk-size-max",
    "VirtualDiskSize is 2**64 - 512.",
    _set_item(VIRTUAL_DISK_SIZE, END - 512),
    "ITEM-12",
    "BAT-01",
)


@damage("ITEM-19", base="differencing")
def differencing_without_locator(layout: Layout) -> None:
    """HasParent is set and there is no Parent Locator item."""
    _remove_item(PARENT_LOCATOR)(layout)


@damage("ITEM-20", level="warning")
def locator_without_parent(layout: Layout) -> None:
    """A dynamic image has a Parent Locator item."""
    locator = base_differencing().resolved_locator()
    assert locator is not None
    layout.metadata.items.append(MetadataItem(PARENT_LOCATOR, locator.pack(), IS_REQUIRED))


@damage("ITEM-21", "MET-13", visible=("ITEM-21", "MET-13"))
def incomplete_file_marker(layout: Layout) -> None:
    """The file carries the required marker of a file whose creation was not finished."""
    add_item(layout, b"", IS_REQUIRED).item_id = INCOMPLETE_FILE


@damage("ITEM-21", level="warning")
def incomplete_file_marker_optional(layout: Layout) -> None:
    """The marker of a file whose creation was not finished is there, and not required."""
    add_item(layout, b"", 0).item_id = INCOMPLETE_FILE


@damage("ITEM-21", "MET-13", visible=("ITEM-21", "MET-13"))
def chs_parameters_required(layout: Layout) -> None:
    """The item CHS parameters, unknown to the specification, is required."""
    add_item(layout, bytes(16), IS_REQUIRED).item_id = CHS_PARAMETERS


@damage("ITEM-09", base="fixed", level="note")
def fixed_block_not_present(layout: Layout) -> None:
    """A block of a fixed disk is NOT_PRESENT; the file still has room for it."""
    layout.image = layout.image.but(blocks={2: Block(0)})
    del layout.bat[layout.image.geometry.index(2)], layout.payload[2]


@damage("ITEM-10", base="fixed", level="note")
def fixed_file_shrunk(layout: Layout) -> None:
    """All blocks of a fixed disk are ZERO, and the file ends after the BAT."""
    layout.image = layout.image.but(blocks={number: Block(ZERO) for number in range(4)})
    for number in range(4):
        layout.set_entry(number, ZERO)
    layout.payload.clear()
    layout.file_length = layout.bat_offset + MIB
