"""Damage to region tables."""

from __future__ import annotations

from tests.images.bases import UNKNOWN_REGION
from tests.images.image import Layout
from tests.images.structures import BAT_REGION, GIB, KIB, METADATA_REGION, MIB

from .case import damage
from .editing import add_region, free_space


@damage("REG-02", "REG-01", level="warning")
def region_table_1_missing(layout: Layout) -> None:
    """Region table 1 is all zeros; table 2 is good."""
    layout.region_tables[0].raw = bytes(64 * KIB)


@damage("REG-02", level="warning")
def region_table_1_signature_wrong(layout: Layout) -> None:
    """Region table 1 begins with regj, its checksum is right; table 2 is good."""
    layout.region_tables[0].signature = b"regj"


@damage("REG-02", level="warning")
def region_table_2_signature_wrong(layout: Layout) -> None:
    """Region table 2 begins with regj, its checksum is right; table 1 is good."""
    layout.region_tables[1].signature = b"regj"


@damage("REG-03", level="warning")
def region_table_1_checksum_wrong(layout: Layout) -> None:
    """The checksum of region table 1 is wrong; table 2 is good."""
    layout.region_tables[0].checksum = 0x12345678


@damage("REG-03", level="warning")
def region_table_2_checksum_wrong(layout: Layout) -> None:
    """The checksum of region table 2 is wrong; table 1 is good."""
    layout.region_tables[1].checksum = 0x12345678


@damage("REG-03", level="warning")
def region_table_1_last_byte_changed(layout: Layout) -> None:
    """The last of the 65536 bytes of region table 1 is not what the checksum covered."""
    layout.patch(256 * KIB - 1, b"\x01")
    layout.region_tables[0].raw = layout.region_tables[0].pack()


@damage("REG-04", "REG-03")
def both_region_table_checksums_wrong(layout: Layout) -> None:
    """Neither region table has a right checksum."""
    layout.set_tables(lambda table: setattr(table, "checksum", 0x12345678))


@damage("REG-05", level="warning")
def region_tables_differ(layout: Layout) -> None:
    """Region table 2 is valid and puts the BAT somewhere else."""
    layout.region_tables[1].find(BAT_REGION).file_offset = free_space(layout)


@damage("REG-06")
def region_entry_count_2048(layout: Layout) -> None:
    """Both tables state 2048 entries."""
    layout.set_tables(lambda table: setattr(table, "entry_count", 2048))


@damage("REG-06")
def region_entry_count_max(layout: Layout) -> None:
    """Both tables state 2**32 - 1 entries."""
    layout.set_tables(lambda table: setattr(table, "entry_count", 0xFFFFFFFF))


@damage("REG-07", level="note")
def region_table_reserved_not_zero(layout: Layout) -> None:
    """The reserved field of both region table headers is 1."""
    layout.set_tables(lambda table: setattr(table, "reserved", 1))


@damage("REG-08")
def region_listed_twice(layout: Layout) -> None:
    """An unknown optional region is listed twice, at two places."""
    add_region(layout, free_space(layout), MIB)
    add_region(layout, free_space(layout), MIB)


@damage("REG-08")
def bat_region_listed_twice(layout: Layout) -> None:
    """The BAT region is listed twice, at two places."""
    add_region(layout, free_space(layout), MIB, BAT_REGION)


@damage("REG-09", "GEN-04")
def unknown_region_unaligned(layout: Layout) -> None:
    """An unknown optional region begins 512 bytes past a MiB boundary."""
    add_region(layout, free_space(layout, 2 * MIB) + 512, MIB)


@damage("REG-10", "OVL-02", visible=("REG-10", "OVL-02"))
def unknown_region_at_zero(layout: Layout) -> None:
    """An unknown optional region begins at offset 0."""
    add_region(layout, 0, MIB)


@damage("OVL-02", "REG-10", visible=("OVL-02", "REG-10"))
def bat_region_in_the_header_section(layout: Layout) -> None:
    """The BAT region begins at offset 0."""
    layout.set_tables(lambda table: setattr(table.find(BAT_REGION), "file_offset", 0))


@damage("REG-11")
def unknown_region_length_odd(layout: Layout) -> None:
    """An unknown optional region is 1 MiB and 4 KiB long."""
    add_region(layout, free_space(layout, 2 * MIB), MIB + 4 * KIB)


@damage("REG-11")
def bat_region_length_odd(layout: Layout) -> None:
    """The BAT region is 4 KiB long."""
    layout.set_tables(lambda table: setattr(table.find(BAT_REGION), "length", 4 * KIB))


@damage("REG-12")
def unknown_region_empty(layout: Layout) -> None:
    """An unknown optional region has length 0."""
    add_region(layout, free_space(layout), 0)


@damage("REG-12", "BAT-01", visible=("REG-12", "BAT-01"))
def bat_region_empty(layout: Layout) -> None:
    """The BAT region has length 0."""
    layout.set_tables(lambda table: setattr(table.find(BAT_REGION), "length", 0))


@damage("REG-12")
def metadata_region_empty(layout: Layout) -> None:
    """The metadata region has length 0."""
    layout.set_tables(lambda table: setattr(table.find(METADATA_REGION), "length", 0))


@damage("REG-13")
def bat_region_past_the_end(layout: Layout) -> None:
    """The BAT region lies past the end of the file."""
    layout.set_tables(lambda table: setattr(table.find(BAT_REGION), "file_offset", GIB))


@damage("REG-13")
def metadata_region_over_the_end(layout: Layout) -> None:
    """The metadata region begins inside the file and ends past it."""
    offset = free_space(layout)
    layout.set_tables(lambda table: setattr(table.find(METADATA_REGION), "file_offset", offset))
    layout.set_tables(lambda table: setattr(table.find(METADATA_REGION), "length", 2 * MIB))
    layout.metadata_offset = offset


@damage("REG-14")
def unknown_region_required(layout: Layout) -> None:
    """An unknown region is required."""
    add_region(layout, free_space(layout), MIB)
    layout.set_tables(lambda table: setattr(table.find(UNKNOWN_REGION), "required", 1))


@damage("REG-15", level="warning")
def region_required_3(layout: Layout) -> None:
    """Required of the BAT region is 3."""
    layout.set_tables(lambda table: setattr(table.find(BAT_REGION), "required", 3))


@damage("REG-15", level="warning")
def unknown_region_required_2(layout: Layout) -> None:
    """Required of an unknown region is 2: bit 0 is clear, so the region is optional."""
    add_region(layout, free_space(layout), MIB)
    layout.set_tables(lambda table: setattr(table.find(UNKNOWN_REGION), "required", 2))


@damage("REG-16")
def bat_region_missing(layout: Layout) -> None:
    """No BAT region is listed."""
    layout.set_tables(lambda table: table.entries.remove(table.find(BAT_REGION)))


@damage("REG-17")
def metadata_region_missing(layout: Layout) -> None:
    """No metadata region is listed."""
    layout.set_tables(lambda table: table.entries.remove(table.find(METADATA_REGION)))


@damage("REG-18", level="note")
def known_regions_not_required(layout: Layout) -> None:
    """Required of BAT and metadata region is 0, as QEMU writes it."""
    for table in layout.region_tables:
        for entry in table.entries:
            entry.required = 0


@damage("REG-19", "OVL-01", visible=("REG-19", "OVL-01"))
def bat_and_metadata_in_one_place(layout: Layout) -> None:
    """The BAT region has the place of the metadata region."""
    offset = layout.metadata_offset
    layout.set_tables(lambda table: setattr(table.find(BAT_REGION), "file_offset", offset))


@damage("REG-20", level="note")
def region_table_tail_not_zero(layout: Layout) -> None:
    """Both tables have a byte after their last entry; the checksums are right."""
    layout.set_tables(lambda table: setattr(table, "tail", bytes(100) + b"\x01"))


@damage("OVL-01", "REG-19", visible=("OVL-01", "REG-19"))
def metadata_region_reaches_into_the_bat(layout: Layout) -> None:
    """The metadata region's last MiB is the BAT region's first."""
    length = layout.bat_offset + MIB - layout.metadata_offset
    layout.set_tables(lambda table: setattr(table.find(METADATA_REGION), "length", length))


@damage("OVL-08", "OVL-01", "REG-19", visible=("OVL-08", "OVL-01", "REG-19"))
def unknown_region_over_the_bat(layout: Layout) -> None:
    """An unknown optional region has the place of the BAT."""
    add_region(layout, layout.bat_offset, MIB)


@damage("OVL-08", "OVL-03", "REG-19", visible=("OVL-08", "OVL-03", "HDR-29", "REG-19"))
def unknown_region_over_the_log(layout: Layout) -> None:
    """An unknown optional region has the place of the log."""
    add_region(layout, layout.log_offset, MIB)


@damage(
    "OVL-08",
    "OVL-05",
    "REG-19",
    refusal="read",
    read_at=0,
    visible=("OVL-08", "OVL-05", "REG-19"),
)
def unknown_region_over_a_block(layout: Layout) -> None:
    """An unknown optional region has the place of payload block 0."""
    add_region(layout, layout.payload[0], MIB)
