"""For every rule that is checked, one image that breaks it, and what a check has to say then.

The images are damages, good images that show a habit of some producer, and chains, all of them by
name, and a few that are too large to be damages. A finding has to carry the rule, the level and the
message word for word; numbers in messages are those that the builder put into the image, or left
there. `besides` holds what cannot but break along with it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from .chain import CHAIN_DAMAGES, GOOD_CHAINS
from .damage import DAMAGES
from .dirty import log_only
from .goods import GOODS
from .image import Layout, dynamic
from .log import Entry, Zero
from .structures import GIB, KIB, MIB


class Example(NamedTuple):
    """A rule and an image that breaks it.

    Attributes:
        rule: The rule.
        image: Name of the image.
        level: What it amounts to; a limit is one of our own and no fault of the image.
        message: What a finding says, `{folder}` standing for where a chain lies.
        besides: Other rules that are broken then.
    """

    rule: str
    image: str
    level: Literal["error", "warning", "note", "limit"]
    message: str
    besides: tuple[str, ...] = ()

    @property
    def is_chain(self) -> bool:
        """Whether the image is a chain of several."""
        return self.image in CHAIN_DAMAGES or self.image in GOOD_CHAINS


def log_of_3_gib() -> Layout:
    """A log that has to be replayed and is longer than anybody's."""
    entry = Entry([Zero(3 * GIB + 2 * MIB, 4 * KIB)])
    return log_only(dynamic(4 * MIB, log_length=3 * GIB), [entry])


def entries_over_each_other() -> Layout:
    """The first sectors of a large log each begin an entry that is as long as the log."""
    image = dynamic(4 * MIB, log_length=32 * MIB)
    layout = log_only(image, [Entry([Zero(40 * MIB, 4 * KIB)])])
    assert layout.log is not None
    head = bytearray(layout.log.pack().read(0, 64))
    head[8:12] = (32 * MIB).to_bytes(4, "little")
    for sector in range(30):
        layout.patch(layout.log_offset + sector * 4 * KIB, bytes(head))
    return layout


# Images that break limits of our own, too large for what all damages go through.
OWN_LIMITS = {
    "log-of-3-gib": log_of_3_gib,
    "entries-over-each-other": entries_over_each_other,
}


def layout_of(name: str) -> Layout:
    """Return the image of an example that is no chain."""
    case = DAMAGES.get(name) or GOODS.get(name)
    return case.layout() if case else OWN_LIMITS[name]()


EXAMPLES = [
    Example(
        "GEN-07",
        "file-shorter-than-the-header-section",
        "error",
        "length 327680 bytes, expected at least 1 MiB",
    ),
    Example(
        "GEN-08",
        "file-length-odd",
        "note",
        "length 12583424 bytes, expected a multiple of 1 MiB",
    ),
    Example(
        "FTI-01",
        "identifier-signature-wrong",
        "error",
        "signature 'vhdxfilf', expected 'vhdxfile'",
    ),
    Example(
        "FTI-03",
        "creator-no-text",
        "note",
        "Creator is not UTF-16 at its character 2, expected text",
    ),
    Example(
        "FTI-05",
        "identifier-reserved-not-zero",
        "note",
        "number of reserved bytes that are not zero 1, expected 0",
    ),
    Example(
        "HDR-02",
        "header-2-missing",
        "warning",
        "signature 00 00 00 00, expected 'head'",
    ),
    Example(
        "HDR-03",
        "header-1-with-zip-crc",
        "warning",
        "checksum 0xf6f2cbe7 stored, 0xe7c1e834 computed",
    ),
    Example(
        "HDR-05",
        "both-header-checksums-wrong",
        "error",
        "neither copy is valid (header 1: checksum 0x12345678 stored, 0xe7c1e834 "
        "computed; header 2: checksum 0x12345678 stored, 0x65243a5c computed)",
        besides=("HDR-03",),
    ),
    Example(
        "HDR-06",
        "headers-differ-under-one-sequence-number",
        "error",
        "different copies with the same sequence number 7, expected one to be newer",
    ),
    Example(
        "HDR-08",
        "version-2",
        "error",
        "Version 2, expected 1",
    ),
    Example(
        "HDR-09",
        "log-version-1",
        "error",
        "LogVersion 1, expected 0",
    ),
    Example(
        "HDR-10",
        "log-length-not-mib",
        "error",
        "LogLength 0x101000, expected a multiple of 1 MiB",
    ),
    Example(
        "HDR-11",
        "log-offset-not-mib",
        "error",
        "LogOffset 0x101000, expected a multiple of 1 MiB",
    ),
    Example(
        "HDR-12",
        "log-inside-the-header-section",
        "error",
        "LogOffset 0x0, expected at least 1 MiB",
    ),
    Example(
        "HDR-13",
        "log-behind-the-end",
        "error",
        "end of log 0x40100000, expected at most the file's length 0xc00000",
    ),
    Example(
        "HDR-15",
        "dirty-without-a-log",
        "error",
        "LogLength 0 with a LogGuid, expected a log",
    ),
    Example(
        "HDR-16",
        "header-reserved-not-zero",
        "note",
        "number of reserved bytes that are not zero 1, expected 0",
    ),
    Example(
        "HDR-17",
        "header-slack-not-zero",
        "note",
        "number of reserved bytes that are not zero 1, expected 0",
    ),
    Example(
        "HDR-18",
        "log-of-3-gib",
        "limit",
        "LogLength 0xc0000000, expected at most 0x40000000 in a log to be replayed (our limit)",
    ),
    Example(
        "HDR-20",
        "data-write-guid-zero",
        "note",
        "DataWriteGuid zero, expected a unique value",
    ),
    Example(
        "HDR-26",
        "header-numbers-far-apart",
        "note",
        "SequenceNumber 6, expected 2, one more than header 1 has",
    ),
    Example(
        "HDR-27",
        "header-updated-once",
        "note",
        "older copy with another DataWriteGuid, expected the same, as after two updates",
    ),
    Example(
        "HDR-28",
        "sequence-number-max",
        "note",
        "SequenceNumber is the greatest there is, so no newer header can be written",
    ),
    Example(
        "REG-02",
        "region-table-1-missing",
        "warning",
        "signature 00 00 00 00, expected 'regi'",
    ),
    Example(
        "REG-03",
        "region-table-1-checksum-wrong",
        "warning",
        "checksum 0x12345678 stored, 0x955c3eda computed",
    ),
    Example(
        "REG-04",
        "both-region-table-checksums-wrong",
        "error",
        "neither copy is valid (region table 1: checksum 0x12345678 stored, "
        "0x955c3eda computed; region table 2: checksum 0x12345678 stored, 0x955c3eda "
        "computed)",
        besides=("REG-03",),
    ),
    Example(
        "REG-05",
        "region-tables-differ",
        "warning",
        "both copies are valid but they differ, copy 1 is used",
    ),
    Example(
        "REG-06",
        "region-entry-count-2048",
        "error",
        "EntryCount 2048, expected at most 2047",
        besides=(
            "REG-16",
            "REG-17",
            "REG-20",
        ),
    ),
    Example(
        "REG-07",
        "region-table-reserved-not-zero",
        "note",
        "Reserved 0x1, expected 0",
    ),
    Example(
        "REG-08",
        "region-listed-twice",
        "error",
        "Guid 0e610000-aaaa-4aaa-8aaa-0123456789ab a second time, expected each only once",
    ),
    Example(
        "REG-09",
        "bat-region-unaligned",
        "error",
        "FileOffset 0x501000, expected a multiple of 1 MiB",
    ),
    Example(
        "REG-10",
        "unknown-region-at-zero",
        "error",
        "FileOffset 0x0, expected at least 1 MiB",
    ),
    Example(
        "REG-11",
        "unknown-region-length-odd",
        "error",
        "Length 0x101000, expected a multiple of 1 MiB",
    ),
    Example(
        "REG-12",
        "unknown-region-empty",
        "error",
        "Length 0, expected at least 1 MiB",
    ),
    Example(
        "REG-13",
        "region-wraps-around",
        "error",
        "end of region 0x10000000000100000, expected at most the file's length 0xc00000",
    ),
    Example(
        "REG-14",
        "unknown-region-required",
        "error",
        "unknown region 0e610000-aaaa-4aaa-8aaa-0123456789ab is required, expected "
        "only known ones to be",
    ),
    Example(
        "REG-15",
        "region-required-3",
        "warning",
        "Required 0x3, expected 0 or 1",
    ),
    Example(
        "REG-16",
        "bat-region-missing",
        "error",
        "no BAT region, expected an entry 2dc27766-f623-4200-9d64-115e9bfd4a08",
    ),
    Example(
        "REG-17",
        "metadata-region-missing",
        "error",
        "no Metadata region, expected an entry 8b7ca206-4790-4b9a-b8fe-575f050f886e",
    ),
    Example(
        "REG-18",
        "known-regions-not-required",
        "note",
        "BAT region: Required 0x0, expected 1",
    ),
    Example(
        "REG-20",
        "region-table-tail-not-zero",
        "note",
        "number of bytes after the last entry that are not zero 1, expected 0",
    ),
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
        "item-behind-the-region",
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
    Example(
        "LOC-01",
        "locator-cut-in-its-table",
        "error",
        "length 73 bytes, expected 80 for 5 keys",
    ),
    Example(
        "LOC-02",
        "locator-type-unknown",
        "error",
        "LocatorType 07be0000-cccc-4ccc-8ccc-0123456789ab, expected "
        "b04aefb7-d19e-4a81-b789-25b8e9445913",
    ),
    Example(
        "LOC-03",
        "locator-reserved-not-zero",
        "warning",
        "Reserved 0x1, expected 0",
    ),
    Example(
        "LOC-04",
        "locator-without-entries",
        "error",
        "KeyValueCount 0, expected at least 1",
    ),
    Example(
        "LOC-05",
        "locator-key-offset-0",
        "error",
        "KeyOffset 0, expected more than 0",
        besides=("LOC-09",),
    ),
    Example(
        "LOC-06",
        "locator-value-offset-0",
        "error",
        "ValueOffset 0, expected more than 0",
        besides=("LOC-09",),
    ),
    Example(
        "LOC-07",
        "locator-key-empty",
        "error",
        "KeyLength 0, expected more than 0",
    ),
    Example(
        "LOC-08",
        "locator-value-empty",
        "error",
        "ValueLength 0, expected more than 0",
    ),
    Example(
        "LOC-09",
        "locator-value-behind-the-item",
        "error",
        "Value 0x10000 to 0x1001a, expected inside 0x50 to 0x242",
    ),
    Example(
        "LOC-10",
        "locator-value-length-odd",
        "error",
        "ValueLength 7, expected even",
    ),
    Example(
        "LOC-11",
        "locator-value-with-nul",
        "error",
        "value holds a NUL, expected none",
    ),
    Example(
        "LOC-12",
        "locator-key-twice",
        "error",
        "key 'relative_path' a second time, expected each only once",
    ),
    Example(
        "LOC-13",
        "locator-without-linkage",
        "error",
        "no key parent_linkage, expected one",
    ),
    Example(
        "LOC-14",
        "locator-with-a-second-linkage",
        "note",
        "key parent_linkage2 is there; Windows writes it",
    ),
    Example(
        "LOC-15",
        "locator-linkage-no-guid",
        "error",
        "parent_linkage '{parent}', expected a GUID in braces",
    ),
    Example(
        "LOC-16",
        "locator-without-paths",
        "error",
        "no path, expected one of relative_path, volume_path, absolute_win32_path",
    ),
    Example(
        "LOC-18",
        "locator-relative-path-absolute",
        "warning",
        "relative_path 'C:\\\\images\\\\parent.vhdx', expected a path relative to "
        "the folder of the file",
    ),
    Example(
        "LOC-19",
        "locator-volume-path-other-form",
        "warning",
        "volume_path 'D:\\\\images\\\\parent.vhdx', expected \\\\?\\Volume{GUID}\\...",
    ),
    Example(
        "LOC-20",
        "locator-absolute-path-without-prefix",
        "note",
        "absolute_win32_path 'C:\\\\images\\\\parent.vhdx', expected \\\\?\\ at its start",
    ),
    Example(
        "LOC-21",
        "relative-path-stale",
        "note",
        "relative_path '.\\\\old\\\\moved.vhdx', expected a path to the parent in use",
        besides=("CHAIN-07",),
    ),
    Example(
        "LOC-22",
        "locator-key-unknown",
        "note",
        "unknown key 'colour', which is ignored",
    ),
    Example(
        "LOC-23",
        "locator-linkage-zero",
        "warning",
        "parent_linkage is zero, which matches no parent",
    ),
    Example(
        "LOC-24",
        "locator-key-in-capitals",
        "note",
        "key 'RELATIVE_PATH', expected lower case",
        besides=("LOC-22",),
    ),
    Example(
        "LOG-01",
        "dirty-bat",
        "note",
        "the log has to be replayed before use",
    ),
    Example(
        "LOG-06",
        "log-checksum-wrong",
        "note",
        "checksum 0x12345678 stored, 0x430b8183 computed",
        besides=("LOG-31",),
    ),
    Example(
        "LOG-07",
        "log-entry-length-odd",
        "note",
        "EntryLength 0x2200, expected a multiple of 4 KiB",
        besides=("LOG-31",),
    ),
    Example(
        "LOG-08",
        "log-entry-length-0",
        "note",
        "EntryLength 0x0, expected from 4 KiB to the log's length 0x100000",
        besides=("LOG-31",),
    ),
    Example(
        "LOG-09",
        "log-tail-odd",
        "note",
        "Tail 0x200, expected a multiple of 4 KiB",
        besides=("LOG-31",),
    ),
    Example(
        "LOG-10",
        "log-tail-behind-the-log",
        "note",
        "Tail 0x100000, expected less than the log's length 0x100000",
        besides=("LOG-31",),
    ),
    Example(
        "LOG-11",
        "log-sequence-number-0",
        "note",
        "SequenceNumber 0, expected more than 0",
        besides=("LOG-31",),
    ),
    Example(
        "LOG-12",
        "log-descriptor-count-too-large",
        "note",
        "DescriptorCount 1000, expected no more than 8192 bytes have room for",
        besides=("LOG-31",),
    ),
    Example(
        "LOG-13",
        "log-entry-reserved-not-zero",
        "warning",
        "Reserved 0x1, expected 0",
    ),
    Example(
        "LOG-14",
        "log-guid-of-another-session",
        "note",
        "LogGuid 07be0000-cccc-4ccc-8ccc-0123456789ab, expected the current header's "
        "106e0001-4444-4444-8444-0123456789ab",
        besides=("LOG-31",),
    ),
    Example(
        "LOG-15",
        "log-flushed-offset-odd",
        "note",
        "FlushedFileOffset 0xbffe00, expected a multiple of 1 MiB",
    ),
    Example(
        "LOG-16",
        "log-last-offset-odd",
        "note",
        "LastFileOffset 0xbffe00, expected a multiple of 1 MiB",
    ),
    Example(
        "LOG-17",
        "log-descriptor-signature-unknown",
        "note",
        "descriptor 0: signature unknown, expected 'zero' or 'desc'",
        besides=("LOG-31",),
    ),
    Example(
        "LOG-18",
        "log-zero-reserved-not-zero",
        "warning",
        "descriptor 1: Reserved 0x1, expected 0",
    ),
    Example(
        "LOG-19",
        "log-zero-length-odd",
        "note",
        "descriptor 1: ZeroLength 0x200, expected a multiple of 4 KiB",
        besides=("LOG-31",),
    ),
    Example(
        "LOG-20",
        "log-zero-offset-odd",
        "note",
        "descriptor 1: FileOffset 0x600200, expected a multiple of 4 KiB",
        besides=("LOG-31",),
    ),
    Example(
        "LOG-21",
        "log-data-offset-odd",
        "note",
        "descriptor 0: FileOffset 0x600200, expected a multiple of 4 KiB",
        besides=("LOG-31",),
    ),
    Example(
        "LOG-22",
        "log-data-sequence-number-wrong",
        "note",
        "descriptor 0: SequenceNumber 99, expected 1",
        besides=("LOG-31",),
    ),
    Example(
        "LOG-23",
        "log-data-sector-too-many",
        "note",
        "number of data sectors 2, expected 1, one for each data descriptor",
        besides=("LOG-31",),
    ),
    Example(
        "LOG-25",
        "log-sector-signature-wrong",
        "note",
        "data sector 0: signature unknown, expected 'data'",
        besides=("LOG-31",),
    ),
    Example(
        "LOG-26",
        "log-sector-low-wrong",
        "note",
        "data sector 0: sequence number 99, expected 1",
        besides=("LOG-31",),
    ),
    Example(
        "LOG-28",
        "log-sequence-number-skipped",
        "note",
        "SequenceNumber 7, expected 6 after the entry before it",
        besides=(
            "LOG-29",
            "LOG-31",
        ),
    ),
    Example(
        "LOG-29",
        "log-tail-outside-the-sequence",
        "note",
        "Tail 0x10000 of a run's last entry, expected one of the run's own entries",
        besides=("LOG-31",),
    ),
    Example(
        "LOG-30",
        "log-two-sequences",
        "note",
        "the sequence that ends with 10 is older than the active one",
        besides=("LOG-01",),
    ),
    Example(
        "LOG-31",
        "log-entry-unaligned",
        "error",
        "no valid sequence of entries, expected one because the header has a LogGuid; "
        "there is no entry in the log",
    ),
    Example(
        "LOG-32",
        "log-file-truncated",
        "error",
        "file length 0xc00000, expected at least FlushedFileOffset 0xd00000",
    ),
    Example(
        "LOG-36",
        "log-aims-at-the-identifier",
        "error",
        "descriptor 2: target 0x0 to 0x1000, expected at least 0x30000, after "
        "identifier and headers",
    ),
    Example(
        "LOG-37",
        "log-aims-at-itself",
        "error",
        "descriptor 2: target 0x180000 to 0x181000, expected a range outside the log "
        "at 0x100000 to 0x200000",
    ),
    Example(
        "LOG-38",
        "log-zero-length-absurd",
        "error",
        "descriptor 2: target 0xc00000 to 0x1000000000c00000, expected an end of "
        "at most LastFileOffset 0xc00000",
    ),
    Example(
        "LOG-39",
        "entries-over-each-other",
        "limit",
        "the log holds more entries or descriptors than any writer makes (our limit)",
        besides=("LOG-01",),
    ),
    Example(
        "LOG-42",
        "log-writes-payload",
        "note",
        "the log writes to block 0 at 0x700000, expected metadata only",
    ),
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
        "bat-block-behind-the-end",
        "error",
        "end of block 0x40100000, expected at most the file's length 0xc00000",
        besides=("BLK-13",),
    ),
    Example(
        "BAT-11",
        "bat-zero-with-an-offset",
        "note",
        "FileOffsetMB 1024, expected 0 in this state",
    ),
    Example(
        "BAT-15",
        "bat-entries-behind-the-last",
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
        "bitmap-bits-behind-the-end",
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
        "5 MiB of the file belong to nothing and are not all zeros",
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
        "error",
        "block 3 at 8 to 10 MiB overlaps block 0 at 7 to 9 MiB",
    ),
    Example(
        "CHAIN-01",
        "linkage-of-another-parent",
        "error",
        "no parent found: relative_path: {folder}/base.vhdx: DataWriteGuid "
        "da7a0000-2222-4222-8222-0123456789ab, expected "
        "00000000-0000-0000-0000-000000000063 [CHAIN-01]; volume_path "
        "'\\\\\\\\?\\\\Volume{0f5c3e2a-0000-0000-0000-100000000000}\\\\images\\\\base.vhdx': "
        "leads out of the folder (--follow-absolute would allow it); "
        "absolute_win32_path 'C:\\\\images\\\\base.vhdx': leads out of the folder "
        "(--follow-absolute would allow it) (--parent PATH names it outright, "
        "--search DIR adds a folder to look in)",
    ),
    Example(
        "CHAIN-02",
        "other-sector-size",
        "error",
        "LogicalSectorSize 512, expected 4096 as in its child",
    ),
    Example(
        "CHAIN-04",
        "child-larger-than-parent",
        "note",
        "VirtualDiskSize 3146240 bytes, expected 6291456 as in its child; behind its end are zeros",
    ),
    Example(
        "CHAIN-05",
        "other-disk-id",
        "note",
        "VirtualDiskId 00000000-0000-0000-0000-000000000001, expected "
        "00000000-0000-0000-0000-000000000002 as in its child",
    ),
    Example(
        "CHAIN-06",
        "child-is-its-own-parent",
        "error",
        "is in the chain already, expected no cycle",
    ),
    Example(
        "CHAIN-07",
        "paths-lead-out",
        "note",
        "volume_path "
        "'\\\\\\\\?\\\\Volume{0f5c3e2a-0000-0000-0000-100000000000}\\\\images\\\\base.vhdx' "
        "was not followed: it leads out of the folder (--follow-absolute would allow "
        "it)",
    ),
    Example(
        "CHAIN-10",
        "parent-missing",
        "error",
        "no parent found: relative_path: {folder}/base.vhdx: no such file; "
        "volume_path "
        "'\\\\\\\\?\\\\Volume{0f5c3e2a-0000-0000-0000-100000000000}\\\\images\\\\base.vhdx': "
        "leads out of the folder (--follow-absolute would allow it); "
        "absolute_win32_path 'C:\\\\images\\\\base.vhdx': leads out of the folder "
        "(--follow-absolute would allow it) (--parent PATH names it outright, "
        "--search DIR adds a folder to look in)",
    ),
]
