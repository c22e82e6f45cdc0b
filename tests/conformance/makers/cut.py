"""Files that end early."""

from __future__ import annotations

from tests.images.image import Layout, differencing
from tests.images.log import SECTOR, Data, Entry, Log, Zero
from tests.images.structures import METADATA_REGION, MIB

from .registry import GUID_A, bare, small, vector


@vector
def cut_at_0() -> Layout:
    """An empty file."""
    return bare(small(), 0)


@vector
def cut_in_the_identifier() -> Layout:
    """A file that ends one byte before the creator does."""
    return bare(small(), 519)


@vector
def cut_after_the_identifier() -> Layout:
    """A file that ends after the creator."""
    return bare(small(), 520)


@vector
def cut_in_header_2() -> Layout:
    """A file that ends one byte before header 2 does."""
    return bare(small(), 0x20FFF)


@vector
def cut_in_region_table_1() -> Layout:
    """A file that ends one byte before region table 1 does."""
    return bare(small(), 0x3FFFF)


@vector
def cut_after_region_table_1() -> Layout:
    """A file that ends with region table 1, which is enough to find everything else missing."""
    return bare(small(), 0x40000)


@vector
def cut_in_region_table_2() -> Layout:
    """Region table 1 is damaged, and the file ends in the second entry of region table 2."""
    layout = bare(small(), 0x40000 + 16 + 32 + 31)
    layout.region_tables[0].signature = b"regI"
    layout.region_tables[1].entries.sort(key=lambda entry: entry.guid != METADATA_REGION)
    return layout


@vector
def cut_in_the_log() -> Layout:
    """A file that ends in the third slot of a log that holds an entry of one and one of two."""
    layout = small().layout()
    layout.file_length = MIB + 2 * SECTOR + 2048
    layout.set_headers(log_guid=GUID_A)
    entries = [Entry([Zero(MIB, 4096)]), Entry([Data(MIB, bytes(SECTOR))])]
    layout.log = Log(GUID_A, entries, file_length=4 * MIB, last_length=5 * MIB)
    return layout


@vector
def cut_in_the_metadata_items() -> Layout:
    """A file that ends in the third of five entries of the metadata table."""
    return bare(small(), 2 * MIB + 32 + 2 * 32 + 31)


@vector
def cut_in_the_metadata_table() -> Layout:
    """A file that ends one byte before the metadata table does."""
    return bare(small(), 2 * MIB + 0xFFFF)


@vector
def cut_in_a_sector_bitmap_entry() -> Layout:
    """A differencing disk whose file ends one byte before the entry of a sector bitmap does."""
    return bare(differencing(6 * MIB), 3 * MIB + 4096 * 8 + 7)


@vector
def cut_in_the_bat() -> Layout:
    """A file that ends inside the third of four BAT entries."""
    return bare(small(), 3 * MIB + 20)
