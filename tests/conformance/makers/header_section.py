"""Identifier, headers and region tables."""

from __future__ import annotations

from uuid import UUID

from tests.images.image import Layout
from tests.images.structures import (
    BAT_REGION,
    METADATA_REGION,
    MIB,
    ZERO_GUID,
    Header,
    RegionEntry,
    RegionTable,
)

from .registry import GUID_A, GUID_B, LAST, ONCE, bare, small, vector


@vector
def creator_full() -> Layout:
    """A creator of 256 units without a zero at the end, among them one beyond the BMP."""
    return bare(small(creator="0123456789abcd\U0001f4bd" * 16))


@vector
def creator_empty() -> Layout:
    """No creator, but bytes after the zero at its start."""
    return bare(small(creator="\0after the end"))


@vector
def creator_broken() -> Layout:
    """A creator that is not UTF-16: half a surrogate pair, then noise after a zero."""
    return bare(small(creator=b"\x3d\xd8A\0\0\0\xff\xdf\x01\xd8"))


@vector
def not_a_vhdx_file() -> Layout:
    """Another signature: nothing is parsed."""
    layout = bare(small(), MIB)
    layout.identifier.signature = b"vhdxFile"
    return layout


@vector
def header_1_damaged() -> Layout:
    """Header 1 and region table 1 have lost their signatures, though header 1 is the newer."""
    layout = bare(small())
    layout.headers[0].sequence_number = 99
    layout.headers[0].signature = b"Head"
    layout.region_tables[0].signature = b"regI"
    layout.region_tables[0].entries[0].file_offset = 0x7F00000
    layout.region_tables[1].reserved = 0x01020304
    return layout


@vector
def header_2_damaged() -> Layout:
    """Header 2 and region table 2 are all zeros."""
    layout = bare(small(sequence_number=5))
    zeros = ZERO_GUID
    layout.headers[1] = Header(0, zeros, zeros, zeros, 0, 0, 0, 0, signature=bytes(4), checksum=0)
    layout.region_tables[1] = RegionTable([], signature=bytes(4), checksum=0)
    return layout


@vector
def headers_damaged() -> Layout:
    """No header has its signature: there is no log, everything else is still there."""
    layout = bare(small())
    layout.set_headers(signature=b"daeh")
    return layout


@vector
def region_tables_damaged() -> Layout:
    """No region table has its signature: the second one is taken for want of a better."""
    layout = bare(small())
    layout.set_tables(lambda table: setattr(table, "signature", b"iger"))
    layout.region_tables[0].entries.pop()
    return layout


@vector
def checksums_wrong() -> Layout:
    """Wrong checksums everywhere, which a grammar does not look at."""
    layout = bare(small())
    layout.set_headers(checksum=0xFEDCBA98)
    layout.set_tables(lambda table: setattr(table, "checksum", 0x89ABCDEF))
    return layout


@vector
def headers_alike() -> Layout:
    """Both headers have the same sequence number: the first one counts."""
    layout = bare(small())
    layout.set_headers(sequence_number=1 << 32)
    layout.headers[1].log_offset = 2 * MIB
    return layout


@vector
def sequence_numbers_past_2_32() -> Layout:
    """Sequence numbers of which the greater one has the smaller lower half."""
    layout = bare(small())
    layout.headers[0].sequence_number = 1 << 32
    layout.headers[1].sequence_number = (1 << 32) - 1
    layout.headers[1].log_offset = 2 * MIB
    return layout


@vector
def sequence_numbers_past_2_53() -> Layout:
    """Sequence numbers that differ only beyond the 53 bits of a double."""
    layout = bare(small())
    layout.headers[0].sequence_number = 1 << 53
    layout.headers[1].sequence_number = (1 << 53) + 1
    layout.headers[1].log_offset = 2 * MIB
    return layout


@vector
def sequence_numbers_past_2_63() -> Layout:
    """Sequence numbers that are negative where there are no unsigned numbers of 64 bits."""
    layout = bare(small())
    layout.headers[0].sequence_number = 1 << 63
    layout.headers[1].sequence_number = LAST
    layout.headers[1].log_offset = 2 * MIB
    return layout


@vector
def regions_unknown() -> Layout:
    """Regions of no known kind before, between and after the known ones, required and not, and
    second regions of known kinds; reserved fields and the rest of the tables are filled."""
    layout = bare(small())
    for number, table in enumerate(layout.region_tables):
        bat, metadata = table.entries
        near = UUID(bytes_le=BAT_REGION.bytes_le[:-1] + b"\x09")
        table.entries = [
            RegionEntry(GUID_A, 0x0102030405060708, 0x090A0B0C, 0x8D0E0F10),
            RegionEntry(near, LAST, 0xFFFFFFFF, 0),
            metadata,
            RegionEntry(GUID_B, 1 << 63, 1 << 31, 1),
            bat,
            RegionEntry(METADATA_REGION, 77 * MIB, MIB, 1),
            RegionEntry(BAT_REGION, 78 * MIB, MIB, 0),
        ]
        table.reserved = 0xA0B0C0D0 + number
        table.tail = ONCE
    return layout


def _regions(count: int, stated: int) -> Layout:
    layout = bare(small())
    for table in layout.region_tables:
        others = [RegionEntry(UUID(int=n + 1), n * MIB, MIB, n % 2) for n in range(count - 2)]
        table.entries = others + table.entries[::-1]
        table.entry_count = stated
    return layout


@vector
def regions_2047() -> Layout:
    """As many regions as a table holds, the known ones at the end."""
    return _regions(2047, 2047)


@vector
def regions_2048() -> Layout:
    """One region more than a table holds: the count is impossible, no region is found."""
    return _regions(2047, 2048)


@vector
def regions_too_many() -> Layout:
    """A count of regions with something in each of its bytes."""
    layout = bare(small())
    layout.set_tables(lambda table: setattr(table, "entry_count", 0x81828384))
    return layout


@vector
def region_table_1_counts_too_many() -> Layout:
    """Region table 1 has its signature and an impossible count: the second one is taken."""
    layout = bare(small())
    layout.region_tables[0].entry_count = 0xFFFFFFFF
    layout.region_tables[1].reserved = 0x01020304
    return layout


@vector
def regions_none() -> Layout:
    """Empty region tables."""
    layout = bare(small())
    layout.set_tables(lambda table: table.entries.clear())
    return layout


@vector
def region_bat_missing() -> Layout:
    """There is a metadata region but no BAT."""
    layout = bare(small())
    layout.set_tables(lambda table: table.entries.remove(table.find(BAT_REGION)))
    return layout


@vector
def region_metadata_missing() -> Layout:
    """There is a BAT region but no metadata."""
    layout = bare(small())
    layout.set_tables(lambda table: table.entries.remove(table.find(METADATA_REGION)))
    return layout
