"""CRC-32C as VHDX uses it: the checksum's own field counts as zero [MS-VHDX 2]."""

from __future__ import annotations

from crc32c import crc32c

# Headers, region tables and log entries all begin with a signature of four
# bytes and the checksum behind it; a test compares this with the grammar.
CHECKSUM_OFFSET = 4
CHECKSUM_LENGTH = 4

_ZEROS = bytes(CHECKSUM_LENGTH)


def structure_checksum(data: bytes | memoryview) -> int:
    """Return the CRC-32C of a whole header, region table or log entry.

    Args:
        data: The structure from its signature to its end.
    """
    view = memoryview(data)
    crc = crc32c(view[:CHECKSUM_OFFSET])
    crc = crc32c(_ZEROS, crc)
    return crc32c(view[CHECKSUM_OFFSET + CHECKSUM_LENGTH :], crc)
