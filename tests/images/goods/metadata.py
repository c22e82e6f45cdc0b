"""Good images whose metadata is out of the ordinary."""

from __future__ import annotations

from uuid import UUID

from tests.images.bases import OTHER_GUID, UNKNOWN_ITEM
from tests.images.image import Block, Image, Layout, differencing, windows_locator
from tests.images.structures import (
    CHS_PARAMETERS,
    IS_USER,
    IS_VIRTUAL_DISK,
    KIB,
    MIB,
    PMEM_LABEL_STORAGE,
    VIRTUAL_DISK_SIZE,
    MetadataItem,
    braced,
)

from .case import JUNK, good, small

# -- metadata ----------------------------------------------------------------------------------


@good()
def stale_metadata_entry() -> Layout:
    """After the counted entries is an old copy of one of them, as Windows leaves it."""
    layout = small().layout()
    offset, item = layout.metadata.placed()[-1]
    layout.metadata.tail = item.pack(offset)
    return layout


@good()
def items_of_all_kinds() -> Image:
    """Unknown optional, user and empty items, and a known GUID as user metadata."""
    items = [
        MetadataItem(UNKNOWN_ITEM, b"optional", 0),
        MetadataItem(OTHER_GUID, b"travels with the disk", IS_VIRTUAL_DISK),
        MetadataItem(UNKNOWN_ITEM, b"user", IS_USER),
        MetadataItem(UUID(int=7), b"", IS_USER),
        MetadataItem(UUID(int=8), b"", 0),
        MetadataItem(VIRTUAL_DISK_SIZE, bytes(8), IS_USER),
        MetadataItem(CHS_PARAMETERS, bytes(16), 0),
        MetadataItem(PMEM_LABEL_STORAGE, bytes(64), 0),
    ]
    return small(items=items)


@good()
def items_in_another_order() -> Layout:
    """The table lists the items backwards, and they lie scattered and unaligned."""
    layout = small().layout()
    layout.metadata.items.reverse()
    for index, item in enumerate(layout.metadata.items):
        item.offset = 64 * KIB + 7 + (index * 5 % 7) * 4099
    return layout


@good()
def items_up_to_the_limits() -> Layout:
    """An item of 1 MiB, and one that ends with the region."""
    image = small(metadata_length=3 * MIB)
    layout = image.layout()
    layout.metadata.items.append(MetadataItem(UNKNOWN_ITEM, b"last", IS_USER, 3 * MIB - 4))
    layout.metadata.items.append(MetadataItem(OTHER_GUID, b"x" * MIB, IS_USER, MIB))
    return layout


@good()
def user_items_1024() -> Image:
    """As many user items as are allowed."""
    return small(items=[MetadataItem(UUID(int=n + 1), b"", IS_USER) for n in range(1024)])


@good()
def metadata_slack() -> Layout:
    """Free space of the metadata region holds noise."""
    layout = small().layout()
    layout.patch(layout.metadata_offset + 512 * KIB, JUNK)
    return layout


# -- parent locator ----------------------------------------------------------------------------


_PARENT = UUID("9A5E0001-5555-4555-8555-0123456789AB")


@good()
def linkage_in_upper_case() -> Image:
    """parent_linkage is written in upper case."""
    locator = windows_locator(_PARENT, "parent.vhdx")
    locator.set("parent_linkage", braced(_PARENT).upper())
    return differencing(4 * MIB, blocks={0: Block()}, locator=locator)


@good()
def linkage_in_parent_linkage2() -> Image:
    """parent_linkage2 names a GUID of its own, as in the middle of a merge."""
    locator = windows_locator(_PARENT, "parent.vhdx")
    locator.set("parent_linkage2", braced(OTHER_GUID))
    return differencing(4 * MIB, blocks={0: Block()}, locator=locator)


@good()
def locator_by_the_letter() -> Image:
    """Only what the text asks for: parent_linkage and one path, absolute and with its prefix."""
    locator = windows_locator(_PARENT, "parent.vhdx")
    for key in ("relative_path", "volume_path", "parent_linkage2"):
        locator.remove(key)
    locator.set("absolute_win32_path", "\\\\?\\C:\\images\\parent.vhdx")
    return differencing(4 * MIB, blocks={0: Block()}, locator=locator)


@good()
def locator_unknown_key() -> Image:
    """The locator has a key nobody knows and one that differs from a known one in case only."""
    locator = windows_locator(_PARENT, "parent.vhdx")
    locator.set("later_invention", "value")
    locator.set("Relative_Path", ".\\nobody.vhdx")
    return differencing(4 * MIB, blocks={0: Block()}, locator=locator)


@good()
def locator_shared_strings() -> Image:
    """Three values share one range at an odd offset, after space that belongs to nobody."""
    locator = windows_locator(_PARENT, "parent.vhdx")
    shared = ".\\parent.vhdx"
    for key in ("relative_path", "one", "two"):
        locator.set(key, shared)
    locator.tail = bytes(7) + shared.encode("utf-16-le")
    offset = len(locator.pack()) - 2 * len(shared)
    for key in ("relative_path", "one", "two"):
        locator.find(key).value_offset = offset
    return differencing(4 * MIB, blocks={0: Block()}, locator=locator)


@good()
def differencing_leave_block_allocated() -> Image:
    """LeaveBlockAllocated is set beside HasParent, which makes it meaningless."""
    return differencing(4 * MIB, blocks={0: Block()}, leave_block_allocated=True)
