"""Rules about the metadata table and its items."""

from __future__ import annotations

from .case import Example

EXAMPLES = [
    Example(
        "MET-01",
        "metadata-signature-wrong",
        "error",
        "signature 'metadatb', expected 'metadata'",
    ),
    Example(
        "MET-02",
        "metadata-reserved-not-zero",
        "warning",
        "Reserved 0x1, expected 0",
    ),
    Example(
        "MET-03",
        "metadata-entry-count-2048",
        "error",
        "EntryCount 2048, expected at most 2047",
        besides=("ITEM-01",),
    ),
    Example(
        "MET-04",
        "metadata-reserved2-not-zero",
        "warning",
        "Reserved2 0000000000000000000000000000000000000001, expected zeros",
    ),
    Example(
        "MET-05",
        "known-item-listed-twice",
        "error",
        "ItemId 2fa54224-cd1b-4876-b211-5dbed83bf4b8 a second time, expected each only once",
    ),
    Example(
        "MET-06",
        "item-inside-the-table",
        "error",
        "Offset 0x8000, expected at least 64 KiB",
    ),
    Example(
        "MET-07",
        "item-past-the-region",
        "error",
        "end of item 0x100004, expected at most the region's length 0x100000",
    ),
    Example(
        "MET-08",
        "items-overlap",
        "error",
        "item at 0x10027 to 0x1002b overlaps that of entry 4 at 0x10018 to 0x10028",
    ),
    Example(
        "MET-09",
        "item-longer-than-a-mib",
        "error",
        "Length 0x100001, expected at most 1 MiB",
    ),
    Example(
        "MET-10",
        "empty-item-with-an-offset",
        "error",
        "Offset of an empty item 0x20000, expected 0",
        besides=("MET-11",),
    ),
    Example(
        "MET-11",
        "empty-item",
        "note",
        "Length 0: the item is there but empty",
    ),
    Example(
        "MET-12",
        "user-items-1025",
        "error",
        "number of user items 1025, expected at most 1024",
        besides=("MET-11",),
    ),
    Example(
        "MET-13",
        "unknown-item-required",
        "error",
        "unknown item 17e30000-bbbb-4bbb-8bbb-0123456789ab is required, expected "
        "only known ones to be",
    ),
    Example(
        "MET-14",
        "item-flags-reserved-bit",
        "warning",
        "Reserved 0x1, expected 0",
    ),
    Example(
        "MET-15",
        "item-reserved2-not-zero",
        "warning",
        "Reserved2 0x4, expected 0",
    ),
    Example(
        "MET-17",
        "disk-item-only-in-the-parent",
        "note",
        "item 00000000-0000-0000-0000-000000000007 is a part of the disk, expected "
        "it in the child, too",
    ),
    Example(
        "MET-19",
        "user-item-required",
        "note",
        "IsUser and IsRequired both set, expected no user item to be required",
        besides=("MET-13",),
    ),
    Example(
        "MET-20",
        "item-id-zero",
        "warning",
        "ItemId zero, expected a GUID",
    ),
    Example(
        "ITEM-01",
        "file-parameters-missing",
        "error",
        "no file parameters item, expected one",
    ),
    Example(
        "ITEM-02",
        "file-parameters-too-long",
        "error",
        "Length 12, expected 8",
    ),
    Example(
        "ITEM-03",
        "file-parameters-not-required",
        "warning",
        "File Parameters: flags none, expected IsRequired",
    ),
    Example(
        "ITEM-04",
        "virtual-disk-size-only-as-user-item",
        "note",
        "the GUID of Virtual Disk Size on a user item, which is not that item",
        besides=("ITEM-01",),
    ),
    Example(
        "ITEM-05",
        "block-size-half-a-mib",
        "error",
        "BlockSize 0x80000, expected from 1 MiB to 256 MiB",
    ),
    Example(
        "ITEM-06",
        "block-size-3-mib",
        "error",
        "BlockSize 0x300000, expected a power of two",
    ),
    Example(
        "ITEM-07",
        "file-parameters-reserved-bit",
        "warning",
        "Reserved 0x1, expected 0",
    ),
    Example(
        "ITEM-09",
        "fixed-block-not-present",
        "note",
        "NOT_PRESENT blocks of a fixed disk 1 of 4, expected none, all space being kept",
    ),
    Example(
        "ITEM-10",
        "fixed-file-shrunk",
        "note",
        "length 0x600000, expected at least 0x800000 to keep all blocks of a fixed disk",
    ),
    Example(
        "ITEM-11",
        "disk-size-odd",
        "error",
        "VirtualDiskSize 8388196, expected a multiple of LogicalSectorSize 512",
    ),
    Example(
        "ITEM-12",
        "disk-size-over-64-tib",
        "error",
        "VirtualDiskSize 70368744178176, expected at most 64 TiB",
    ),
    Example(
        "ITEM-13",
        "disk-size-0",
        "error",
        "VirtualDiskSize 0, expected more than 0",
    ),
    Example(
        "ITEM-15",
        "logical-sector-size-1024",
        "error",
        "LogicalSectorSize 1024, expected 512 or 4096",
    ),
    Example(
        "ITEM-16",
        "physical-sector-size-1024",
        "error",
        "PhysicalSectorSize 1024, expected 512 or 4096",
    ),
    Example(
        "ITEM-18",
        "physical-smaller-than-logical",
        "note",
        "PhysicalSectorSize 512, expected at least LogicalSectorSize 4096",
    ),
    Example(
        "ITEM-19",
        "differencing-without-locator",
        "error",
        "no parent locator item, expected one because HasParent is set",
    ),
    Example(
        "ITEM-20",
        "locator-without-parent",
        "warning",
        "a parent locator item although HasParent is not set; it is ignored",
    ),
    Example(
        "ITEM-21",
        "chs-parameters-required",
        "error",
        "unknown CHS parameters item da02d7bc-3d3a-423c-ac88-2a36ab21479b is "
        "required, expected only known ones to be",
    ),
]
