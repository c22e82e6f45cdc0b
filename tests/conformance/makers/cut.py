"""Files that end early."""

from __future__ import annotations

from tests.images.image import Layout
from tests.images.structures import MIB

from .registry import bare, small, vector


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
def cut_in_the_metadata_table() -> Layout:
    """A file that ends one byte before the metadata table does."""
    return bare(small(), 2 * MIB + 0xFFFF)


@vector
def cut_in_the_bat() -> Layout:
    """A file that ends inside the third of four BAT entries."""
    return bare(small(), 3 * MIB + 20)
