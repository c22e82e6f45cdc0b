"""Rules about the file, its identifier, headers and region tables."""

from __future__ import annotations

from .case import Example

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
        "signature 'vhdxfilf', expected 'vhdxfile'; but headers or region tables are whole, "
        "so it was overwritten",
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
        "log-past-the-end",
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
        "older copy with another DataWriteGuid, expected the same, as after two updates; "
        "OpenVMM makes one",
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
]
