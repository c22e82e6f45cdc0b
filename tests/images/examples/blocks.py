"""Rules about the BAT, blocks, and what overlaps."""

from __future__ import annotations

from .case import Example

EXAMPLES = [
    Example(
        "BAT-01",
        "bat-region-too-small",
        "error",
        "Length 0x100000, expected at least 0x190188 for 204849 entries",
    ),
    Example(
        "BAT-02",
        "bat-reserved-bit-low",
        "error",
        "Reserved 0x1, expected 0",
    ),
    Example(
        "BAT-03",
        "bat-state-4",
        "error",
        "State 4, expected 0, 1, 2, 3, 6 or 7",
    ),
    Example(
        "BAT-04",
        "bat-bitmap-state-1",
        "error",
        "State 1, expected 0 or 6",
        besides=("BLK-13",),
    ),
    Example(
        "BAT-05",
        "bat-partial-in-dynamic",
        "error",
        "State PARTIALLY_PRESENT, expected another one, without a parent",
    ),
    Example(
        "BAT-06",
        "bat-bitmap-in-dynamic",
        "error",
        "State PRESENT, expected NOT_PRESENT without a parent",
    ),
    Example(
        "BAT-07",
        "bat-bitmap-missing",
        "error",
        "State NOT_PRESENT, expected PRESENT, because a block of the chunk is PARTIALLY_PRESENT",
        besides=("BLK-13",),
    ),
    Example(
        "BAT-08",
        "bat-two-blocks-in-one-place",
        "error",
        "block 1 at 7 to 8 MiB overlaps block 0 at 7 to 8 MiB",
        besides=("BLK-13",),
    ),
    Example(
        "BAT-09",
        "bat-block-at-zero",
        "error",
        "FileOffsetMB 0, expected at least 1",
        besides=("BLK-13",),
    ),
    Example(
        "BAT-10",
        "bat-block-past-the-end",
        "error",
        "end of the needed bytes 0x40100000, expected at most the file's length 0xc00000",
        besides=("BLK-13",),
    ),
    Example(
        "BAT-11",
        "bat-zero-with-an-offset",
        "note",
        "FileOffsetMB 1024, expected 0 in this state",
    ),
    Example(
        "BAT-12",
        "bat-unmapped-past-the-end",
        "warning",
        "end of the space it keeps 0x40100000, expected at most the file's length 0xc00000",
    ),
    Example(
        "BAT-15",
        "bat-entries-after-the-last",
        "note",
        "bytes after the last entry are not all zero, 1 entry of stored blocks among them",
    ),
    Example(
        "BLK-07",
        "bitmap-without-a-bit",
        "note",
        "bits for the PARTIALLY_PRESENT block 1 all 0, expected some set",
    ),
    Example(
        "BLK-10",
        "bitmap-bits-past-the-end",
        "note",
        "bits for sectors past the end of the disk 8, expected none",
    ),
    Example(
        "BLK-11",
        "fixed-last-block-cut",
        "note",
        "the file ends inside the last block, past what the disk needs of it",
        besides=("GEN-08",),
    ),
    Example(
        "BLK-13",
        "data-of-nothing",
        "note",
        "data in space that belongs to nothing, 5 MiB in all, expected zeros",
    ),
    Example(
        "OVL-01",
        "metadata-region-reaches-into-the-bat",
        "error",
        "region at 0x500000 to 0x600000 overlaps that of entry 1 at 0x300000 to 0x600000",
    ),
    Example(
        "OVL-03",
        "log-end-over-the-bat-region",
        "error",
        "region at 0x500000 to 0x600000 overlaps the log at 0x400000 to 0x600000",
    ),
    Example(
        "OVL-05",
        "bat-block-over-the-metadata",
        "error",
        "block at 0x300000 to 0x400000 overlaps the Metadata region at 0x300000 to 0x400000",
        besides=("BLK-13",),
    ),
    Example(
        "OVL-06",
        "bat-blocks-overlap-partly",
        "error",
        "block 1 at 8 to 10 MiB overlaps block 0 at 7 to 9 MiB",
        besides=("BLK-13",),
    ),
    Example(
        "OVL-08",
        "unknown-region-over-a-block",
        "error",
        "block at 0x700000 to 0x800000 overlaps the "
        "0e610000-aaaa-4aaa-8aaa-0123456789ab region at 0x700000 to 0x800000",
    ),
    Example(
        "OVL-09",
        "bat-unmapped-over-a-block",
        "warning",
        "block 3 at 8 to 10 MiB overlaps block 0 at 7 to 9 MiB; no data of block 3 is read from "
        "there",
    ),
]
