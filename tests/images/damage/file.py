"""Damage to the file as a whole, and to its identifier."""

from __future__ import annotations

import zlib

from tests.images.bases import END
from tests.images.image import Layout
from tests.images.structures import BAT_REGION, KIB, MIB

from .case import damage
from .editing import add_region, move

# -- the file as a whole -----------------------------------------------------------------------


@damage("HDR-03", "GEN-03", level="warning")
def header_1_with_zip_crc(layout: Layout) -> None:
    """Header 1 carries the CRC-32 of zip files instead of CRC-32C."""
    header = layout.headers[0]
    header.checksum = 0
    header.checksum = zlib.crc32(header.pack()[:4096])


@damage("REG-09", "GEN-04")
def bat_region_unaligned(layout: Layout) -> None:
    """The BAT region begins 4 KiB past a MiB boundary."""
    layout.set_tables(lambda table: move(table.find(BAT_REGION), 4 * KIB))
    layout.bat_offset += 4 * KIB


@damage("GEN-07")
def file_shorter_than_the_header_section(layout: Layout) -> None:
    """The file is cut after the second region table, at 320 KiB."""
    layout.file_length = 320 * KIB


@damage("GEN-07", visible=("GEN-07", "HDR-05"))
def file_cut_inside_the_identifier(layout: Layout) -> None:
    """Nothing but the signature and some creator bytes is left."""
    layout.file_length = 100


@damage("GEN-08", level="note")
def file_length_odd(layout: Layout) -> None:
    """The file ends 512 bytes past a MiB boundary."""
    layout.file_length = (layout.file_length or 0) + 512


@damage("REG-13", "GEN-09")
def region_wraps_around(layout: Layout) -> None:
    """An unknown region begins 1 MiB below 2**64 and is 2 MiB long."""
    add_region(layout, END - MIB, 2 * MIB)


# -- file type identifier ----------------------------------------------------------------------


@damage("FTI-01")
def identifier_signature_wrong(layout: Layout) -> None:
    """The file begins with vhdxfilf."""
    layout.identifier.signature = b"vhdxfilf"


@damage("FTI-01")
def identifier_signature_reversed(layout: Layout) -> None:
    """The signature is stored as a little-endian integer."""
    layout.identifier.signature = b"vhdxfile"[::-1]


@damage("FTI-05", level="note")
def identifier_reserved_not_zero(layout: Layout) -> None:
    """A byte after Creator is not zero."""
    layout.identifier.reserved = bytes(100) + b"\x01"


@damage("FTI-03", level="note")
def creator_no_text(layout: Layout) -> None:
    """The third unit of Creator is half a surrogate pair."""
    layout.identifier.creator = b"A\0B\0\x3d\xd8C\0"
