"""Rules about the log."""

from __future__ import annotations

from .case import Example

EXAMPLES = [
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
        "log-tail-past-the-log",
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
]
