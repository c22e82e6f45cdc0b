"""Damage by name: each entry of `DAMAGES` does exactly one wrong thing to a good image.

Checksums are made right again unless the checksum is the thing that is wrong.

Levels. A rule whose breach a reader must refuse is an error. A copy that is bad while the other is
good is a warning. Breaches that are only reported are

* notes, where a known producer does it (Required 0, unaligned log offsets, an odd file length) or
  where the text tells readers to ignore the field or leaves the space undefined (reserved header
  bytes, space behind identifier, headers and table entries, offsets in states without a place);
* warnings, where a field must be zero or hold one of few values, nobody is known to write anything
  else and the text does not say "ignore": such a file reads right, yet something has touched it.

Refusal. "open": opening must raise. "read": opening may succeed, because a reader need not walk
the whole BAT, but then reading at `read_at` must raise. "check": only a reader that looks at all
entries together can know what is wrong; opening and reading may succeed, checking must report it.

A damaged log entry just ends a run, so what shows is that no valid sequence is left: such damages
name the rule of the entry first and LOG-31 second. `visible` holds the rules of which at least one
must be reported at `level`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from .dirty import dirty
from .image import (
    PARENT_GUID,
    Block,
    Built,
    Image,
    Layout,
    differencing,
    dynamic,
    fixed,
    partial,
)
from .log import Data, Entry, Log, Zero
from .structures import (
    BAT_REGION,
    CHS_PARAMETERS,
    FILE_PARAMETERS,
    FULLY_PRESENT,
    GIB,
    INCOMPLETE_FILE,
    IS_REQUIRED,
    IS_USER,
    IS_VIRTUAL_DISK,
    KIB,
    LOGICAL_SECTOR_SIZE,
    METADATA_REGION,
    MIB,
    PARENT_LOCATOR,
    PARTIALLY_PRESENT,
    PHYSICAL_SECTOR_SIZE,
    TIB,
    UNDEFINED,
    UNMAPPED,
    VIRTUAL_DISK_ID,
    VIRTUAL_DISK_SIZE,
    ZERO,
    ZERO_GUID,
    Locator,
    LocatorEntry,
    MetadataItem,
    RegionEntry,
    braced,
)

Level = Literal["error", "warning", "note"]
Refusal = Literal["open", "read", "check"]
Apply = Callable[[Layout], None]

UNKNOWN_REGION = UUID("0e610000-aaaa-4aaa-8aaa-0123456789ab")
UNKNOWN_ITEM = UUID("17e30000-bbbb-4bbb-8bbb-0123456789ab")
OTHER_GUID = UUID("07be0000-cccc-4ccc-8ccc-0123456789ab")
END = 1 << 64


# -- images to start from -----------------------------------------------------------------------


def base_dynamic() -> Image:
    """8 MiB dynamic; blocks 0, 1 and 5 stored; 1 MiB free behind every structure."""
    blocks = {0: Block(), 1: Block(), 2: Block(ZERO), 3: Block(UNMAPPED), 4: Block(UNDEFINED)}
    return dynamic(8 * MIB, blocks=blocks | {5: Block()}, gap=MIB)


def base_two_mib() -> Image:
    """16 MiB dynamic in blocks of 2 MiB; blocks 0 and 1 stored."""
    return dynamic(16 * MIB, block_size=2 * MIB, blocks={0: Block(), 1: Block()}, gap=MIB)


def base_chunks() -> Image:
    """6 GiB dynamic in blocks of 256 MiB, so that entry 16 is a sector bitmap slot."""
    return dynamic(6 * GIB, block_size=256 * MIB, blocks={17: Block()}, gap=MIB)


def base_fixed() -> Image:
    """4 MiB fixed, every block stored."""
    return fixed(4 * MIB, gap=MIB)


def base_differencing() -> Image:
    """8 MiB differencing, parent.vhdx beside it; blocks 0 stored, 1 partly, 2 zero, 3 parent."""
    blocks = {0: Block(), 1: partial(range(16)), 2: Block(ZERO), 6: Block()}
    return differencing(8 * MIB, blocks=blocks, gap=MIB)


def by_the_letter() -> Locator:
    """Return a locator with what the text asks for, and nothing else."""
    path = "\\\\?\\C:\\images\\parent.vhdx"
    return Locator.of({"parent_linkage": braced(PARENT_GUID), "absolute_win32_path": path})


def base_by_the_letter() -> Image:
    """The differencing image, its locator free of what Windows makes of it."""
    return base_differencing().but(locator=by_the_letter())


def base_wide() -> Image:
    """200 GiB dynamic in blocks of 1 MiB, whose BAT needs more than 1 MiB; block 0 stored."""
    return dynamic(200 * GIB, blocks={0: Block()}, gap=MIB)


def base_huge() -> Image:
    """64 TiB dynamic in blocks of 256 MiB with a BAT larger than needed."""
    return dynamic(64 * TIB, block_size=256 * MIB, bat_length=4 * MIB, gap=MIB)


def base_items() -> Image:
    """8 MiB dynamic with a metadata region of 4 MiB."""
    return dynamic(8 * MIB, metadata_length=4 * MIB, blocks={0: Block()}, gap=MIB)


BASES: dict[str, Callable[[], Layout]] = {
    "dynamic": lambda: base_dynamic().layout(),
    "two-mib": lambda: base_two_mib().layout(),
    "chunks": lambda: base_chunks().layout(),
    "fixed": lambda: base_fixed().layout(),
    "differencing": lambda: base_differencing().layout(),
    "by-the-letter": lambda: base_by_the_letter().layout(),
    "wide": lambda: base_wide().layout(),
    "huge": lambda: base_huge().layout(),
    "items": lambda: base_items().layout(),
    # One entry at the start of the ring: a data and a zero descriptor that restore the BAT.
    "dirty": lambda: dirty(base_dynamic()),
}


@dataclass(frozen=True)
class Damage:
    """One thing wrong with one image, the rules it breaks and what a reader has to do."""

    name: str
    description: str
    base: str
    apply: Apply
    rules: tuple[str, ...]
    level: Level
    refusal: Refusal | None
    visible: tuple[str, ...]
    read_at: int | None = None

    @property
    def main_rule(self) -> str:
        """The rule it is about."""
        return self.rules[0]

    @property
    def open_refuses(self) -> bool:
        """Whether opening the file must raise."""
        return self.refusal == "open"

    def layout(self) -> Layout:
        """Return the damaged layout, the file as long as the good one."""
        layout = BASES[self.base]()
        if layout.file_length is None:
            layout.file_length = layout.pack().length
        self.apply(layout)
        return layout

    def build(self) -> Built:
        """Return the damaged image; its model holds for warnings and notes only."""
        return self.layout().build()


DAMAGES: dict[str, Damage] = {}


def damage(
    *rules: str,
    level: Level = "error",
    base: str = "dynamic",
    refusal: Refusal = "open",
    visible: tuple[str, ...] | None = None,
    read_at: int | None = None,
    name: str | None = None,
) -> Callable[[Apply], Apply]:
    """Enter a function into `DAMAGES`; its docstring says what is wrong."""

    def enter(apply: Apply) -> Apply:
        title = name or str(getattr(apply, "__name__", "")).replace("_", "-")
        if title in DAMAGES:
            raise ValueError(f"two damages are called {title}")
        shown = visible
        if shown is None:
            shown = ("LOG-31",) if "LOG-31" in rules[1:] else rules[:1]
        DAMAGES[title] = Damage(
            name=title,
            description=(apply.__doc__ or "").strip(),
            base=base,
            apply=apply,
            rules=rules,
            level=level,
            refusal=refusal if level == "error" else None,
            visible=shown,
            read_at=read_at,
        )
        return apply

    return enter


def _enter(name: str, description: str, apply: Apply, *rules: str, **fields: object) -> None:
    """Enter one of a family of damages."""

    def named(layout: Layout) -> None:
        apply(layout)

    named.__doc__ = description
    damage(*rules, name=name, **fields)(named)  # type: ignore[arg-type]


# -- the file as a whole ------------------------------------------------------------------------


@damage("HDR-03", "GEN-03", level="warning")
def header_1_with_zip_crc(layout: Layout) -> None:
    """Header 1 carries the CRC-32 of zip files instead of CRC-32C."""
    header = layout.headers[0]
    header.checksum = 0
    header.checksum = zlib.crc32(header.pack()[:4096])


@damage("REG-09", "GEN-04")
def bat_region_unaligned(layout: Layout) -> None:
    """The BAT region begins 4 KiB behind a MiB boundary."""
    layout.set_tables(lambda table: _move(table.find(BAT_REGION), 4 * KIB))
    layout.bat_offset += 4 * KIB


@damage("GEN-07")
def file_shorter_than_the_header_section(layout: Layout) -> None:
    """The file is cut behind the second region table, at 320 KiB."""
    layout.file_length = 320 * KIB


@damage("GEN-07", visible=("GEN-07", "HDR-05"))
def file_cut_inside_the_identifier(layout: Layout) -> None:
    """Nothing but the signature and some creator bytes is left."""
    layout.file_length = 100


@damage("GEN-08", level="note")
def file_length_odd(layout: Layout) -> None:
    """The file ends 512 bytes behind a MiB boundary."""
    layout.file_length = (layout.file_length or 0) + 512


@damage("REG-13", "GEN-09")
def region_wraps_around(layout: Layout) -> None:
    """An unknown region begins 1 MiB below 2**64 and is 2 MiB long."""
    _add_region(layout, END - MIB, 2 * MIB)


# -- file type identifier -----------------------------------------------------------------------


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
    """A byte behind Creator is not zero."""
    layout.identifier.reserved = bytes(100) + b"\x01"


@damage("FTI-03", level="note")
def creator_no_text(layout: Layout) -> None:
    """The third unit of Creator is half a surrogate pair."""
    layout.identifier.creator = b"A\0B\0\x3d\xd8C\0"


# -- headers ------------------------------------------------------------------------------------


@damage("HDR-02", "HDR-01", level="warning")
def header_2_missing(layout: Layout) -> None:
    """Header 2 is all zeros; header 1 is good."""
    layout.headers[1].raw = bytes(4096)


@damage("HDR-02", level="warning")
def header_1_signature_wrong(layout: Layout) -> None:
    """Header 1 begins with hea?, its checksum is right; header 2 is good."""
    layout.headers[0].signature = b"hea?"


@damage("HDR-03", level="warning")
def header_1_checksum_wrong(layout: Layout) -> None:
    """The checksum of the older header is wrong."""
    layout.headers[0].checksum = 0x12345678


@damage("HDR-03", level="warning")
def header_2_checksum_wrong(layout: Layout) -> None:
    """The checksum of the newer header is wrong, so the older one is current."""
    layout.headers[1].checksum = 0x12345678


@damage("HDR-05", "HDR-03")
def both_header_checksums_wrong(layout: Layout) -> None:
    """Neither header has a right checksum."""
    layout.set_headers(checksum=0x12345678)


@damage("HDR-05", "HDR-02")
def both_header_signatures_wrong(layout: Layout) -> None:
    """Neither header has a right signature."""
    layout.set_headers(signature=b"HEAD")


@damage("HDR-06", "HDR-04", "HDR-05", visible=("HDR-06", "HDR-05"))
def headers_differ_under_one_sequence_number(layout: Layout) -> None:
    """Both headers are valid with the same sequence number and different DataWriteGuids."""
    layout.set_headers(sequence_number=7)
    layout.headers[1].data_write_guid = OTHER_GUID


@damage("HDR-06", level="note")
def headers_identical(layout: Layout) -> None:
    """Both headers are the same, sequence number included, as Disk2vhd writes them."""
    layout.set_headers(sequence_number=1)


@damage("HDR-08")
def version_2(layout: Layout) -> None:
    """Both headers state Version 2."""
    layout.set_headers(version=2)


@damage("HDR-08")
def version_0(layout: Layout) -> None:
    """Both headers state Version 0."""
    layout.set_headers(version=0)


@damage("HDR-08")
def current_header_version_2(layout: Layout) -> None:
    """The newer header states Version 2, the older one 1; the choice is made before."""
    layout.headers[1].version = 2


@damage("HDR-09", base="dirty")
def log_version_1(layout: Layout) -> None:
    """Both headers state LogVersion 1 and the log is not empty."""
    layout.set_headers(log_version=1)


@damage("HDR-10")
def log_length_not_mib(layout: Layout) -> None:
    """LogLength is 1 MiB and 4 KiB."""
    layout.set_headers(log_length=MIB + 4 * KIB)


@damage("HDR-11", "GEN-04")
def log_offset_not_mib(layout: Layout) -> None:
    """LogOffset is 4 KiB behind a MiB boundary."""
    layout.set_headers(log_offset=layout.log_offset + 4 * KIB)


@damage("HDR-12", "OVL-04", visible=("HDR-12", "OVL-04"))
def log_inside_the_header_section(layout: Layout) -> None:
    """LogOffset is 0."""
    layout.set_headers(log_offset=0)


@damage("OVL-04", "HDR-12", visible=("OVL-04", "HDR-12"))
def log_at_zero_and_long(layout: Layout) -> None:
    """LogOffset is 0 and LogLength reaches over the header section's end."""
    layout.set_headers(log_offset=0, log_length=2 * MIB)


@damage("HDR-13")
def log_behind_the_end(layout: Layout) -> None:
    """The log lies behind the end of the file."""
    layout.set_headers(log_offset=GIB)


@damage("HDR-13")
def log_over_the_end(layout: Layout) -> None:
    """The log begins in the last MiB of free space and ends 1 MiB behind the file."""
    end = layout.file_length or 0
    layout.file_length = end + MIB
    layout.set_headers(log_offset=end, log_length=2 * MIB)


@damage("HDR-13", "GEN-09")
def log_wraps_around(layout: Layout) -> None:
    """LogOffset plus LogLength passes 2**64."""
    layout.set_headers(log_offset=END - MIB, log_length=2 * MIB)


@damage("HDR-15")
def dirty_without_a_log(layout: Layout) -> None:
    """LogGuid is not zero and LogLength is."""
    layout.set_headers(log_guid=OTHER_GUID, log_length=0)


@damage("HDR-16", level="note")
def header_reserved_not_zero(layout: Layout) -> None:
    """The last reserved byte of both headers is not zero; the checksums are right."""
    layout.set_headers(reserved=bytes(4015) + b"\x01")


@damage("HDR-17", level="note")
def header_slack_not_zero(layout: Layout) -> None:
    """A byte between header 1 and the next 64 KiB boundary is not zero."""
    layout.headers[0].slack = bytes(1000) + b"\x01"


@damage("HDR-20", level="note")
def data_write_guid_zero(layout: Layout) -> None:
    """DataWriteGuid is all zero in both headers."""
    layout.set_headers(data_write_guid=ZERO_GUID)


@damage("HDR-20", level="note")
def file_write_guid_zero(layout: Layout) -> None:
    """FileWriteGuid is all zero in both headers."""
    layout.set_headers(file_write_guid=ZERO_GUID)


@damage("HDR-26", level="note")
def header_numbers_far_apart(layout: Layout) -> None:
    """The newer header's SequenceNumber is 5 more than that of the older one."""
    layout.headers[1].sequence_number = layout.headers[0].sequence_number + 5


@damage("HDR-27", level="note")
def header_updated_once(layout: Layout) -> None:
    """The older header has another DataWriteGuid, as QEMU leaves it."""
    layout.headers[0].data_write_guid = OTHER_GUID


@damage("HDR-29", "OVL-03", visible=("HDR-29", "OVL-03"))
def log_over_the_metadata_region(layout: Layout) -> None:
    """The log has the place of the metadata region."""
    layout.set_headers(log_offset=layout.metadata_offset)


@damage("OVL-03", "HDR-29", visible=("OVL-03", "HDR-29"))
def log_end_over_the_bat_region(layout: Layout) -> None:
    """The log's last MiB is the BAT region's first."""
    layout.set_headers(log_offset=layout.bat_offset - MIB, log_length=2 * MIB)


# -- region tables ------------------------------------------------------------------------------


def _move(entry: RegionEntry, by: int) -> None:
    entry.file_offset += by


def _add_region(layout: Layout, offset: int, length: int, guid: UUID = UNKNOWN_REGION) -> None:
    layout.set_tables(lambda table: table.entries.append(RegionEntry(guid, offset, length, 0)))


def _free(layout: Layout, length: int = MIB) -> int:
    """Make the file longer and return the offset of the new space."""
    end = -(-(layout.file_length or 0) // MIB) * MIB
    layout.file_length = end + length
    return end


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
    layout.region_tables[1].find(BAT_REGION).file_offset = _free(layout)


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
    _add_region(layout, _free(layout), MIB)
    _add_region(layout, _free(layout), MIB)


@damage("REG-08")
def bat_region_listed_twice(layout: Layout) -> None:
    """The BAT region is listed twice, at two places."""
    _add_region(layout, _free(layout), MIB, BAT_REGION)


@damage("REG-09", "GEN-04")
def unknown_region_unaligned(layout: Layout) -> None:
    """An unknown optional region begins 512 bytes behind a MiB boundary."""
    _add_region(layout, _free(layout, 2 * MIB) + 512, MIB)


@damage("REG-10", "OVL-02", visible=("REG-10", "OVL-02"))
def unknown_region_at_zero(layout: Layout) -> None:
    """An unknown optional region begins at offset 0."""
    _add_region(layout, 0, MIB)


@damage("OVL-02", "REG-10", visible=("OVL-02", "REG-10"))
def bat_region_in_the_header_section(layout: Layout) -> None:
    """The BAT region begins at offset 0."""
    layout.set_tables(lambda table: setattr(table.find(BAT_REGION), "file_offset", 0))


@damage("REG-11")
def unknown_region_length_odd(layout: Layout) -> None:
    """An unknown optional region is 1 MiB and 4 KiB long."""
    _add_region(layout, _free(layout, 2 * MIB), MIB + 4 * KIB)


@damage("REG-11")
def bat_region_length_odd(layout: Layout) -> None:
    """The BAT region is 4 KiB long."""
    layout.set_tables(lambda table: setattr(table.find(BAT_REGION), "length", 4 * KIB))


@damage("REG-12")
def unknown_region_empty(layout: Layout) -> None:
    """An unknown optional region has length 0."""
    _add_region(layout, _free(layout), 0)


@damage("REG-12", "BAT-01", visible=("REG-12", "BAT-01"))
def bat_region_empty(layout: Layout) -> None:
    """The BAT region has length 0."""
    layout.set_tables(lambda table: setattr(table.find(BAT_REGION), "length", 0))


@damage("REG-12")
def metadata_region_empty(layout: Layout) -> None:
    """The metadata region has length 0."""
    layout.set_tables(lambda table: setattr(table.find(METADATA_REGION), "length", 0))


@damage("REG-13")
def bat_region_behind_the_end(layout: Layout) -> None:
    """The BAT region lies behind the end of the file."""
    layout.set_tables(lambda table: setattr(table.find(BAT_REGION), "file_offset", GIB))


@damage("REG-13")
def metadata_region_over_the_end(layout: Layout) -> None:
    """The metadata region begins inside the file and ends behind it."""
    offset = _free(layout)
    layout.set_tables(lambda table: setattr(table.find(METADATA_REGION), "file_offset", offset))
    layout.set_tables(lambda table: setattr(table.find(METADATA_REGION), "length", 2 * MIB))
    layout.metadata_offset = offset


@damage("REG-14")
def unknown_region_required(layout: Layout) -> None:
    """An unknown region is required."""
    _add_region(layout, _free(layout), MIB)
    layout.set_tables(lambda table: setattr(table.find(UNKNOWN_REGION), "required", 1))


@damage("REG-15", level="warning")
def region_required_3(layout: Layout) -> None:
    """Required of the BAT region is 3."""
    layout.set_tables(lambda table: setattr(table.find(BAT_REGION), "required", 3))


@damage("REG-15", level="warning")
def unknown_region_required_2(layout: Layout) -> None:
    """Required of an unknown region is 2: bit 0 is clear, so the region is optional."""
    _add_region(layout, _free(layout), MIB)
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
    """Both tables have a byte behind their last entry; the checksums are right."""
    layout.set_tables(lambda table: setattr(table, "tail", bytes(100) + b"\x01"))


@damage("OVL-01", "REG-19", visible=("OVL-01", "REG-19"))
def metadata_region_reaches_into_the_bat(layout: Layout) -> None:
    """The metadata region's last MiB is the BAT region's first."""
    length = layout.bat_offset + MIB - layout.metadata_offset
    layout.set_tables(lambda table: setattr(table.find(METADATA_REGION), "length", length))


@damage("OVL-08", "OVL-01", "REG-19", visible=("OVL-08", "OVL-01", "REG-19"))
def unknown_region_over_the_bat(layout: Layout) -> None:
    """An unknown optional region has the place of the BAT."""
    _add_region(layout, layout.bat_offset, MIB)


@damage("OVL-08", "OVL-03", "REG-19", visible=("OVL-08", "OVL-03", "HDR-29", "REG-19"))
def unknown_region_over_the_log(layout: Layout) -> None:
    """An unknown optional region has the place of the log."""
    _add_region(layout, layout.log_offset, MIB)


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
    _add_region(layout, layout.payload[0], MIB)


# -- metadata table -----------------------------------------------------------------------------


def _add_item(layout: Layout, data: bytes = b"user", flags: int = IS_USER) -> MetadataItem:
    item = MetadataItem(UNKNOWN_ITEM, data, flags)
    layout.metadata.items.append(item)
    return item


@damage("MET-01")
def metadata_signature_wrong(layout: Layout) -> None:
    """The metadata table begins with metadatb."""
    layout.metadata.signature = b"metadatb"


@damage("MET-02", level="warning")
def metadata_reserved_not_zero(layout: Layout) -> None:
    """Reserved of the metadata table header is 1."""
    layout.metadata.reserved = 1


@damage("MET-03")
def metadata_entry_count_2048(layout: Layout) -> None:
    """The metadata table states 2048 entries."""
    layout.metadata.entry_count = 2048


@damage("MET-03")
def metadata_entry_count_max(layout: Layout) -> None:
    """The metadata table states 65535 entries."""
    layout.metadata.entry_count = 65535


@damage("MET-04", level="warning")
def metadata_reserved2_not_zero(layout: Layout) -> None:
    """The last byte of Reserved2 of the metadata table header is 1."""
    layout.metadata.reserved2 = bytes(19) + b"\x01"


@damage("MET-05")
def known_item_listed_twice(layout: Layout) -> None:
    """Virtual Disk Size is listed twice, with the same value at two places."""
    size = layout.metadata.find(VIRTUAL_DISK_SIZE)
    layout.metadata.items.append(MetadataItem(size.item_id, size.data, size.flags))


@damage("MET-05")
def user_item_listed_twice(layout: Layout) -> None:
    """A user item is listed twice."""
    _add_item(layout, b"one")
    _add_item(layout, b"two")


@damage("MET-06")
def item_inside_the_table(layout: Layout) -> None:
    """A user item begins at 32 KiB, inside the space of the table."""
    _add_item(layout).offset = 32 * KIB


@damage("MET-07")
def item_behind_the_region(layout: Layout) -> None:
    """A user item begins where the metadata region ends."""
    _add_item(layout).offset = MIB


@damage("MET-07")
def item_over_the_end_of_the_region(layout: Layout) -> None:
    """A user item ends one byte behind the metadata region."""
    _add_item(layout).offset = MIB - 3


@damage("MET-07", "GEN-09")
def item_offset_wraps_around(layout: Layout) -> None:
    """Offset plus Length of a user item passes 2**32."""
    _add_item(layout).offset = (1 << 32) - 2


@damage("MET-08")
def items_overlap(layout: Layout) -> None:
    """A user item has the place of the Virtual Disk ID's last byte."""
    offset = next(at for at, item in layout.metadata.placed() if item.item_id == VIRTUAL_DISK_ID)
    item = _add_item(layout, b"")
    item.offset, item.length = offset + 15, 4


@damage("MET-09", base="items")
def item_longer_than_a_mib(layout: Layout) -> None:
    """A user item is 1 MiB and 1 byte long."""
    item = _add_item(layout, b"long")
    item.offset, item.length = 2 * MIB, MIB + 1


@damage("MET-10")
def empty_item_with_an_offset(layout: Layout) -> None:
    """A user item of length 0 has an offset."""
    _add_item(layout, b"").offset = 128 * KIB


@damage("MET-11", level="note")
def empty_item(layout: Layout) -> None:
    """A user item has length 0 and offset 0."""
    _add_item(layout, b"")


@damage("MET-12")
def user_items_1025(layout: Layout) -> None:
    """1025 entries are user metadata."""
    for index in range(1025):
        layout.metadata.items.append(MetadataItem(UUID(int=index + 1), b"", IS_USER))


@damage("MET-13")
def unknown_item_required(layout: Layout) -> None:
    """An unknown system item is required."""
    _add_item(layout, flags=IS_REQUIRED)


@damage("MET-13", "MET-19")
def user_item_required(layout: Layout) -> None:
    """An unknown user item is required."""
    _add_item(layout, flags=IS_USER | IS_REQUIRED)


@damage("MET-14", level="warning")
def item_flags_reserved_bit(layout: Layout) -> None:
    """Bit 3 of the flags of Virtual Disk ID is set."""
    layout.metadata.find(VIRTUAL_DISK_ID).flags |= 8


@damage("MET-14", level="warning")
def item_flags_highest_bit(layout: Layout) -> None:
    """Bit 31 of the flags of an optional item is set."""
    _add_item(layout, flags=1 << 31)


@damage("MET-15", level="warning")
def item_reserved2_not_zero(layout: Layout) -> None:
    """Reserved2 of the entry of Logical Sector Size is 4."""
    layout.metadata.find(LOGICAL_SECTOR_SIZE).reserved2 = 4


@damage("MET-20", level="warning")
def item_id_zero(layout: Layout) -> None:
    """An optional item has an all-zero ItemID."""
    _add_item(layout, flags=0).item_id = ZERO_GUID


# -- metadata items -----------------------------------------------------------------------------

_KNOWN = {
    "file-parameters": FILE_PARAMETERS,
    "virtual-disk-size": VIRTUAL_DISK_SIZE,
    "virtual-disk-id": VIRTUAL_DISK_ID,
    "logical-sector-size": LOGICAL_SECTOR_SIZE,
    "physical-sector-size": PHYSICAL_SECTOR_SIZE,
}


def _remove_item(item_id: UUID) -> Apply:
    return lambda layout: layout.metadata.items.remove(layout.metadata.find(item_id))


def _resize_item(item_id: UUID, by: int) -> Apply:
    def apply(layout: Layout) -> None:
        item = layout.metadata.find(item_id)
        item.data = item.data[:by] if by < 0 else item.data + bytes(by)

    return apply


def _flag_item(item_id: UUID, flag: int) -> Apply:
    def apply(layout: Layout) -> None:
        layout.metadata.find(item_id).flags ^= flag

    return apply


def _set_item(item_id: UUID, value: int) -> Apply:
    def apply(layout: Layout) -> None:
        item = layout.metadata.find(item_id)
        item.data = value.to_bytes(len(item.data), "little")

    return apply


for _name, _item in _KNOWN.items():
    _title = _name.replace("-", " ")
    _enter(f"{_name}-missing", f"There is no {_title} item.", _remove_item(_item), "ITEM-01")
    _enter(
        f"{_name}-too-long",
        f"The {_title} item is four bytes longer than defined.",
        _resize_item(_item, 4),
        "ITEM-02",
    )
    _enter(
        f"{_name}-too-short",
        f"The {_title} item is one byte shorter than defined.",
        _resize_item(_item, -1),
        "ITEM-02",
    )
    _enter(
        f"{_name}-not-required",
        f"The {_title} item is not marked as required.",
        _flag_item(_item, IS_REQUIRED),
        "ITEM-03",
        level="warning",
    )
    _enter(
        f"{_name}-virtual-disk-flag-wrong",
        f"IsVirtualDisk of the {_title} item is the opposite of what the table says.",
        _flag_item(_item, IS_VIRTUAL_DISK),
        "ITEM-03",
        level="warning",
    )


@damage("ITEM-01", "ITEM-04", "MET-13", visible=("ITEM-01", "MET-13"))
def virtual_disk_size_only_as_user_item(layout: Layout) -> None:
    """Virtual Disk Size has IsUser set, so it is user metadata and the size is missing."""
    layout.metadata.find(VIRTUAL_DISK_SIZE).flags = IS_USER


for _rule, _name, _what, _value in (
    ("ITEM-05", "block-size-half-a-mib", "BlockSize is 512 KiB.", MIB // 2),
    ("ITEM-05", "block-size-0", "BlockSize is 0.", 0),
    ("ITEM-05", "block-size-512-mib", "BlockSize is 512 MiB.", 512 * MIB),
    ("ITEM-06", "block-size-3-mib", "BlockSize is 3 MiB.", 3 * MIB),
    ("ITEM-06", "block-size-1-mib-and-1", "BlockSize is 1 MiB and one byte.", MIB + 1),
):
    _enter(_name, _what, _set_item(FILE_PARAMETERS, _value), _rule)

for _rule, _name, _what, _item, _value in (
    ("ITEM-11", "disk-size-odd", "VirtualDiskSize is 100 bytes too large.", VIRTUAL_DISK_SIZE,
     8 * MIB - 412),
    ("ITEM-13", "disk-size-0", "VirtualDiskSize is 0.", VIRTUAL_DISK_SIZE, 0),
    ("ITEM-15", "logical-sector-size-1024", "LogicalSectorSize is 1024.", LOGICAL_SECTOR_SIZE,
     1024),
    ("ITEM-15", "logical-sector-size-0", "LogicalSectorSize is 0.", LOGICAL_SECTOR_SIZE, 0),
    ("ITEM-16", "physical-sector-size-1024", "PhysicalSectorSize is 1024.",
     PHYSICAL_SECTOR_SIZE, 1024),
    ("ITEM-16", "physical-sector-size-0", "PhysicalSectorSize is 0.", PHYSICAL_SECTOR_SIZE, 0),
):  # fmt: skip
    _enter(_name, _what, _set_item(_item, _value), _rule)


@damage("ITEM-11")
def disk_size_not_whole_4096_sectors(layout: Layout) -> None:
    """VirtualDiskSize is a multiple of 512, LogicalSectorSize is 4096."""
    _set_item(LOGICAL_SECTOR_SIZE, 4096)(layout)
    _set_item(VIRTUAL_DISK_SIZE, 8 * MIB - 512)(layout)


@damage("ITEM-07", level="warning")
def file_parameters_reserved_bit(layout: Layout) -> None:
    """Bit 2 of the flags in File Parameters is set."""
    item = layout.metadata.find(FILE_PARAMETERS)
    item.data = item.data[:4] + b"\x04\0\0\0"


_enter(
    "disk-size-over-64-tib",
    "VirtualDiskSize is 64 TiB and 512 bytes; the BAT would be large enough.",
    _set_item(VIRTUAL_DISK_SIZE, 64 * TIB + 512),
    "ITEM-12",
    base="huge",
)
_enter(
    "disk-size-max",
    "VirtualDiskSize is 2**64 - 512.",
    _set_item(VIRTUAL_DISK_SIZE, END - 512),
    "ITEM-12",
    "BAT-01",
)


@damage("ITEM-19", base="differencing")
def differencing_without_locator(layout: Layout) -> None:
    """HasParent is set and there is no Parent Locator item."""
    _remove_item(PARENT_LOCATOR)(layout)


@damage("ITEM-20", level="warning")
def locator_without_parent(layout: Layout) -> None:
    """A dynamic image has a Parent Locator item."""
    locator = base_differencing().resolved_locator()
    assert locator is not None
    layout.metadata.items.append(MetadataItem(PARENT_LOCATOR, locator.pack(), IS_REQUIRED))


@damage("ITEM-21", "MET-13", visible=("ITEM-21", "MET-13"))
def incomplete_file_marker(layout: Layout) -> None:
    """The file carries the required marker of a file whose creation was not finished."""
    _add_item(layout, b"", IS_REQUIRED).item_id = INCOMPLETE_FILE


@damage("ITEM-21", "MET-13", visible=("ITEM-21", "MET-13"))
def chs_parameters_required(layout: Layout) -> None:
    """The item CHS parameters, unknown to the specification, is required."""
    _add_item(layout, bytes(16), IS_REQUIRED).item_id = CHS_PARAMETERS


@damage("ITEM-09", base="fixed", level="note")
def fixed_block_not_present(layout: Layout) -> None:
    """A block of a fixed disk is NOT_PRESENT; the file still has room for it."""
    layout.image = layout.image.but(blocks={2: Block(0)})
    del layout.bat[layout.image.geometry.index(2)], layout.payload[2]


@damage("ITEM-10", base="fixed", level="note")
def fixed_file_shrunk(layout: Layout) -> None:
    """All blocks of a fixed disk are ZERO, and the file ends behind the BAT."""
    layout.image = layout.image.but(blocks={number: Block(ZERO) for number in range(4)})
    for number in range(4):
        layout.set_entry(number, ZERO)
    layout.payload.clear()
    layout.file_length = layout.bat_offset + MIB


# -- parent locator -----------------------------------------------------------------------------


def _locator(
    name: str,
    description: str,
    change: Callable[[Locator], object],
    *rules: str,
    level: Level = "error",
    visible: tuple[str, ...] | None = None,
) -> None:
    """Enter a damage that changes the parent locator of the differencing image."""

    def apply(layout: Layout) -> None:
        locator = base_differencing().resolved_locator()
        assert locator is not None
        change(locator)
        layout.set_locator(locator)

    _enter(name, description, apply, *rules, base="differencing", level=level, visible=visible)


def _first(**fields: object) -> Callable[[Locator], None]:
    def change(locator: Locator) -> None:
        for name, value in fields.items():
            setattr(locator.find("relative_path"), name, value)

    return change


def _without(*keys: str) -> Callable[[Locator], None]:
    def change(locator: Locator) -> None:
        for key in keys:
            locator.remove(key)

    return change


_PATHS = ("relative_path", "volume_path", "absolute_win32_path")

_locator(
    "locator-count-too-large",
    "KeyValueCount is 65535, far more than the item can hold.",
    lambda locator: setattr(locator, "count", 65535),
    "LOC-01",
    visible=("LOC-01", "LOC-04"),
)
_locator(
    "locator-type-unknown",
    "LocatorType is a GUID nobody knows.",
    lambda locator: setattr(locator, "locator_type", OTHER_GUID),
    "LOC-02",
)
_locator(
    "locator-reserved-not-zero",
    "Reserved of the locator header is 1.",
    lambda locator: setattr(locator, "reserved", 1),
    "LOC-03",
    level="warning",
)
_locator(
    "locator-without-entries",
    "KeyValueCount is 0.",
    lambda locator: setattr(locator, "count", 0),
    "LOC-04",
    "LOC-13",
    "LOC-16",
)
_locator(
    "locator-key-offset-0", "A KeyOffset is 0.", _first(key_offset=0), "LOC-05",
    visible=("LOC-05", "LOC-09"),
)  # fmt: skip
_locator(
    "locator-value-offset-0", "A ValueOffset is 0.", _first(value_offset=0), "LOC-06",
    visible=("LOC-06", "LOC-09"),
)  # fmt: skip
_locator("locator-key-empty", "A KeyLength is 0.", _first(key_length=0), "LOC-07")
_locator("locator-value-empty", "A ValueLength is 0.", _first(value_length=0), "LOC-08")
_locator(
    "locator-value-behind-the-item",
    "A ValueOffset lies behind the item.",
    _first(value_offset=0x10000),
    "LOC-09",
)
_locator(
    "locator-value-wraps-around",
    "ValueOffset plus ValueLength passes 2**32.",
    _first(value_offset=0xFFFFFFFE),
    "LOC-09",
    "GEN-09",
)
_locator(
    "locator-key-in-the-entry-table",
    "A key lies in the table of entries.",
    _first(key_offset=20),
    "LOC-09",
)
_locator(
    "locator-value-length-odd",
    "A ValueLength is odd.",
    _first(value_length=7),
    "LOC-10",
)
_locator(
    "locator-value-lone-surrogate",
    "A value holds half a surrogate pair.",
    lambda locator: locator.set("volume_path", "\\\\?\\Volume{x}\\\ud800"),
    "LOC-10",
)
_locator(
    "locator-key-lone-surrogate",
    "A key is half a surrogate pair.",
    lambda locator: locator.set("\udc00", "value"),
    "LOC-10",
)
_locator(
    "locator-value-with-nul",
    "A value holds a NUL.",
    lambda locator: locator.set("relative_path", ".\\par\0ent.vhdx"),
    "LOC-11",
)
_locator(
    "locator-value-ends-with-nul",
    "The length of a value counts a trailing NUL.",
    lambda locator: locator.set("relative_path", ".\\parent.vhdx\0"),
    "LOC-11",
)
_locator(
    "locator-key-ends-with-nul",
    "The length of an unknown key counts a trailing NUL.",
    lambda locator: locator.set("extra\0", "value"),
    "LOC-11",
)
_locator(
    "locator-key-unknown",
    "A key is none of the specification.",
    lambda locator: locator.set("colour", "blue"),
    "LOC-22",
    level="note",
)
_locator(
    "locator-key-in-capitals",
    "A key is written in capitals, which makes it an unknown one.",
    lambda locator: locator.set("RELATIVE_PATH", ".\\parent.vhdx"),
    "LOC-24",
    "LOC-22",
    level="note",
)
_locator(
    "locator-key-twice",
    "relative_path is there twice, with different values.",
    lambda locator: locator.entries.append(LocatorEntry("relative_path", ".\\other.vhdx")),
    "LOC-12",
)
_locator(
    "locator-without-linkage",
    "There is no parent_linkage.",
    _without("parent_linkage"),
    "LOC-13",
)
_locator(
    "locator-linkage-no-guid",
    "parent_linkage is no GUID.",
    lambda locator: locator.set("parent_linkage", "{parent}"),
    "LOC-15",
)
_locator(
    "locator-linkage-without-braces",
    "parent_linkage lacks its braces.",
    lambda locator: locator.set("parent_linkage", str(OTHER_GUID)),
    "LOC-15",
)
_locator(
    "locator-linkage-no-hexadecimal",
    "parent_linkage holds a letter that is no hexadecimal digit.",
    lambda locator: locator.set("parent_linkage", braced(OTHER_GUID).replace("0", "g", 1)),
    "LOC-15",
)
_locator("locator-without-paths", "There is no path at all.", _without(*_PATHS), "LOC-16")
_locator(
    "locator-relative-path-absolute",
    "relative_path is an absolute path.",
    lambda locator: locator.set("relative_path", "C:\\images\\parent.vhdx"),
    "LOC-18",
    level="warning",
)
_locator(
    "locator-volume-path-other-form",
    "volume_path names a drive letter.",
    lambda locator: locator.set("volume_path", "D:\\images\\parent.vhdx"),
    "LOC-19",
    level="warning",
)


@damage("LOC-14", base="by-the-letter", level="note")
def locator_with_a_second_linkage(layout: Layout) -> None:
    """There is a parent_linkage2, and it is zero, as Windows writes it."""
    locator = by_the_letter()
    locator.set("parent_linkage2", braced(ZERO_GUID))
    layout.set_locator(locator)


@damage("LOC-20", base="by-the-letter", level="note")
def locator_absolute_path_without_prefix(layout: Layout) -> None:
    """absolute_win32_path has no prefix, as Windows writes it."""
    locator = by_the_letter()
    locator.set("absolute_win32_path", "C:\\images\\parent.vhdx")
    layout.set_locator(locator)


_locator(
    "locator-linkage-zero",
    "parent_linkage is all zero, so no parent can ever match.",
    lambda locator: locator.set("parent_linkage", braced(ZERO_GUID)),
    "LOC-23",
    level="warning",
)


@damage("LOC-01", "ITEM-02", base="differencing", visible=("LOC-01", "ITEM-02"))
def locator_shorter_than_its_header(layout: Layout) -> None:
    """The Parent Locator item is 19 bytes long."""
    item = layout.locator_item()
    item.data = item.data[:19]


@damage("LOC-01", base="differencing")
def locator_cut_in_its_table(layout: Layout) -> None:
    """The Parent Locator item ends inside its fifth entry."""
    item = layout.locator_item()
    item.data = item.data[: 20 + 12 * 4 + 5]


# -- log ----------------------------------------------------------------------------------------


def _log(layout: Layout) -> Log:
    assert layout.log is not None
    return layout.log


def _entry(layout: Layout) -> Entry:
    return _log(layout).entries[0]


def _data(layout: Layout) -> Data:
    return _entry(layout).updates[0]


def _zero(layout: Layout) -> Zero:
    return next(item for item in _entry(layout).descriptors if isinstance(item, Zero))


for _rule, _name, _what, _fields in (
    ("LOG-05", "log-signature-wrong", "The entry begins with logf.", {"signature": b"logf"}),
    ("LOG-06", "log-checksum-wrong", "The entry's checksum is wrong.", {"checksum": 0x12345678}),
    ("LOG-07", "log-entry-length-odd", "EntryLength is no multiple of 4 KiB.",
     {"entry_length": 8192 + 512}),
    ("LOG-08", "log-entry-length-0", "EntryLength is 0.", {"entry_length": 0}),
    ("LOG-08", "log-entry-longer-than-the-log", "EntryLength is larger than LogLength.",
     {"entry_length": 2 * MIB}),
    ("LOG-09", "log-tail-odd", "Tail is 512.", {"tail": 512}),
    ("LOG-10", "log-tail-behind-the-log", "Tail is LogLength.", {"tail": MIB}),
    ("LOG-11", "log-sequence-number-0", "The entry has sequence number 0.",
     {"sequence_number": 0}),
    ("LOG-12", "log-descriptor-count-too-large", "There is no room for so many descriptors.",
     {"descriptor_count": 1000}),
    ("LOG-12", "log-descriptor-count-max", "DescriptorCount is 2**32 - 1.",
     {"descriptor_count": 0xFFFFFFFF}),
    ("LOG-14", "log-guid-of-another-session", "The entry's LogGuid is not that of the header.",
     {"log_guid": OTHER_GUID}),
    ("LOG-23", "log-data-sector-too-many", "There is a data sector without a descriptor.",
     {"extra_sectors": [b"data"]}),
    ("LOG-23", "log-data-sector-missing", "A data descriptor has no data sector.",
     {"drop_sectors": 1}),
    ("LOG-29", "log-tail-outside-the-sequence", "Tail names a place where no entry is.",
     {"tail": 64 * KIB}),
):  # fmt: skip

    def _set_entry_fields(layout: Layout, fields: Mapping[str, object] = _fields) -> None:
        for name, value in fields.items():
            setattr(_entry(layout), name, value)

    _enter(_name, _what, _set_entry_fields, _rule, "LOG-31", base="dirty")

for _rule, _name, _what, _which, _fields in (
    ("LOG-17", "log-descriptor-signature-unknown", "A descriptor begins with what.", "data",
     {"signature": b"what"}),
    ("LOG-19", "log-zero-length-odd", "ZeroLength is no multiple of 4 KiB.", "zero",
     {"length": 512}),
    ("LOG-20", "log-zero-offset-odd", "FileOffset of a zero descriptor is odd.", "zero",
     {"file_offset": 6 * MIB + 512}),
    ("LOG-21", "log-data-offset-odd", "FileOffset of a data descriptor is odd.", "data",
     {"file_offset": 6 * MIB + 512}),
    ("LOG-22", "log-data-sequence-number-wrong", "A data descriptor has another number.", "data",
     {"sequence_number": 99}),
    ("LOG-22", "log-zero-sequence-number-wrong", "A zero descriptor has another number.", "zero",
     {"sequence_number": 99}),
    ("LOG-25", "log-sector-signature-wrong", "A data sector begins with date.", "data",
     {"sector_signature": b"date"}),
    ("LOG-26", "log-sector-low-wrong", "SequenceLow is another number.", "data",
     {"sector_low": 99}),
    ("LOG-26", "log-sector-high-wrong", "SequenceHigh is another number.", "data",
     {"sector_high": 99}),
):  # fmt: skip

    def _set_descriptor_fields(
        layout: Layout, which: str = _which, fields: Mapping[str, object] = _fields
    ) -> None:
        target = _data(layout) if which == "data" else _zero(layout)
        for name, value in fields.items():
            setattr(target, name, value)

    _enter(_name, _what, _set_descriptor_fields, _rule, "LOG-31", base="dirty")


@damage("LOG-31", "LOG-04", base="dirty")
def log_entry_unaligned(layout: Layout) -> None:
    """The only entry begins 512 bytes behind a 4 KiB boundary."""
    _entry(layout).at = 512


@damage("LOG-31", base="dirty")
def log_empty_although_dirty(layout: Layout) -> None:
    """LogGuid is not zero and the log is all zeros."""
    _log(layout).entries.clear()


@damage("LOG-13", level="warning", base="dirty")
def log_entry_reserved_not_zero(layout: Layout) -> None:
    """Reserved of the entry header is 1; the entry is replayed all the same."""
    _entry(layout).reserved = 1


@damage("LOG-15", level="note", base="dirty")
def log_flushed_offset_odd(layout: Layout) -> None:
    """FlushedFileOffset is no multiple of 1 MiB, as QEMU may write it."""
    _entry(layout).flushed_file_offset = (layout.file_length or 0) - 512


@damage("LOG-16", level="note", base="dirty")
def log_last_offset_odd(layout: Layout) -> None:
    """LastFileOffset is no multiple of 1 MiB, as QEMU may write it."""
    _entry(layout).last_file_offset = (layout.file_length or 0) - 512


@damage("LOG-18", level="warning", base="dirty")
def log_zero_reserved_not_zero(layout: Layout) -> None:
    """Reserved of a zero descriptor is 1; it is replayed all the same."""
    _zero(layout).reserved = 1


@damage("LOG-42", level="note", base="dirty")
def log_writes_payload(layout: Layout) -> None:
    """A data descriptor writes the first bytes of a stored block, as they are anyway."""
    first = layout.image.payload(0).read(0, 4 * KIB)
    _entry(layout).descriptors.append(Data(layout.payload[0], first))


@damage("LOG-28", "LOG-29", "LOG-31", base="dirty")
def log_sequence_number_skipped(layout: Layout) -> None:
    """The head's number is two more than its tail's, whose own tail is long overwritten."""
    log = _log(layout)
    old = Entry(log.entries[0].descriptors, sequence_number=5, tail=512 * KIB)
    log.entries[:] = [old, Entry([], sequence_number=7, tail=0)]


@damage("LOG-49", "LOG-25", "LOG-31", base="dirty")
def log_entry_in_the_middle_bad(layout: Layout) -> None:
    """Of three entries that only make sense together the second has a bad data sector."""
    log = _log(layout)
    data, zero = _data(layout), _zero(layout)
    data.sector_signature = b"date"
    log.entries[:] = [
        Entry([zero], sequence_number=5, tail=512 * KIB),
        Entry([data], tail=0),
        Entry([], tail=0),
    ]


@damage("LOG-32", base="dirty")
def log_file_truncated(layout: Layout) -> None:
    """FlushedFileOffset of the head is 1 MiB larger than the file."""
    _entry(layout).flushed_file_offset = (layout.file_length or 0) + MIB


for _name, _what, _offset in (
    ("log-aims-at-the-identifier", "A data descriptor overwrites the identifier.", 0),
    ("log-aims-at-header-1", "A data descriptor overwrites header 1.", 64 * KIB),
    ("log-aims-at-header-2", "A data descriptor overwrites header 2.", 128 * KIB),
):

    def _aim(layout: Layout, offset: int = _offset) -> None:
        _entry(layout).descriptors.append(Data(offset, b"x"))

    _enter(_name, _what, _aim, "LOG-36", "LOG-31", base="dirty", visible=("LOG-36", "LOG-31"))


@damage("LOG-37", "LOG-31", base="dirty", visible=("LOG-37", "LOG-31"))
def log_aims_at_itself(layout: Layout) -> None:
    """A data descriptor overwrites a sector of the log."""
    _entry(layout).descriptors.append(Data(layout.log_offset + 512 * KIB, b"x"))


@damage("LOG-37", "LOG-31", base="dirty", visible=("LOG-37", "LOG-31"))
def log_zeroes_over_itself(layout: Layout) -> None:
    """A zero descriptor begins behind the header section and runs into the log."""
    _entry(layout).descriptors.append(Zero(layout.log_offset - 4 * KIB, 8 * KIB))


@damage("LOG-37", "LOG-31", "GEN-09", base="dirty", visible=("LOG-37", "LOG-38", "LOG-31"))
def log_zero_range_wraps_around(layout: Layout) -> None:
    """FileOffset plus ZeroLength passes 2**64."""
    _entry(layout).descriptors.append(Zero(END - 4 * KIB, 8 * KIB))


@damage("LOG-38", "LOG-31", base="dirty", visible=("LOG-38", "LOG-31"))
def log_zero_length_absurd(layout: Layout) -> None:
    """A zero descriptor extends the file to an exbibyte; LastFileOffset says otherwise."""
    _entry(layout).descriptors.append(Zero(layout.file_length or 0, 1 << 60))


@damage("LOG-38", "LOG-31", base="dirty", visible=("LOG-38", "LOG-31"))
def log_data_offset_absurd(layout: Layout) -> None:
    """A data descriptor extends the file to an exbibyte; LastFileOffset says otherwise."""
    _entry(layout).descriptors.append(Data(1 << 60, b"x"))


# -- block allocation table ---------------------------------------------------------------------


@damage("BAT-01", base="wide")
def bat_region_too_small(layout: Layout) -> None:
    """The BAT region has room for 131072 of 204849 entries."""
    layout.set_tables(lambda table: setattr(table.find(BAT_REGION), "length", MIB))


@damage("BAT-02", refusal="read", read_at=0)
def bat_reserved_bit_low(layout: Layout) -> None:
    """Bit 3 of the entry of a stored block is set."""
    layout.set_entry(0, FULLY_PRESENT, layout.payload[0], reserved=1)


@damage("BAT-02", refusal="read", read_at=0)
def bat_reserved_bit_high(layout: Layout) -> None:
    """Bit 19 of the entry of a stored block is set."""
    layout.set_entry(0, FULLY_PRESENT, layout.payload[0], reserved=1 << 16)


@damage("BAT-03", refusal="read", read_at=7 * MIB)
def bat_state_4(layout: Layout) -> None:
    """A payload entry has the reserved state 4."""
    layout.set_entry(7, 4)


@damage("BAT-03", refusal="read", read_at=MIB)
def bat_state_5(layout: Layout) -> None:
    """A payload entry with a place has the reserved state 5."""
    layout.set_entry(1, 5, layout.payload[1])


@damage("BAT-04", base="differencing", refusal="read", read_at=MIB)
def bat_bitmap_state_1(layout: Layout) -> None:
    """The sector bitmap entry of a chunk with a partly present block has state 1."""
    index = layout.image.geometry.bitmap_index(0)
    layout.bat[index] = layout.bat[index] & ~7 | 1


@damage("BAT-04", base="chunks", refusal="check")
def bat_bitmap_state_7(layout: Layout) -> None:
    """The sector bitmap entry of a dynamic image has state 7."""
    layout.bat[16] = 7 | _free(layout)


@damage("BAT-05", refusal="read", read_at=0)
def bat_partial_in_dynamic(layout: Layout) -> None:
    """A block of a dynamic image is PARTIALLY_PRESENT."""
    layout.set_entry(0, PARTIALLY_PRESENT, layout.payload[0])


@damage("BAT-05", base="fixed", refusal="read", read_at=0)
def bat_partial_in_fixed(layout: Layout) -> None:
    """A block of a fixed image is PARTIALLY_PRESENT."""
    layout.set_entry(0, PARTIALLY_PRESENT, layout.payload[0])


@damage("BAT-06", base="chunks", refusal="check")
def bat_bitmap_in_dynamic(layout: Layout) -> None:
    """A dynamic image has a present sector bitmap block."""
    layout.bat[16] = 6 | _free(layout)


@damage("BAT-07", base="differencing", refusal="read", read_at=MIB)
def bat_bitmap_missing(layout: Layout) -> None:
    """A block is PARTIALLY_PRESENT and its chunk has no sector bitmap."""
    del layout.bat[layout.image.geometry.bitmap_index(0)]


@damage("BAT-08", "OVL-06", refusal="check", visible=("BAT-08", "OVL-06"))
def bat_two_blocks_in_one_place(layout: Layout) -> None:
    """Two payload blocks have the same place in the file."""
    layout.set_entry(1, FULLY_PRESENT, layout.payload[0])


@damage("BAT-08", "OVL-06", base="differencing", refusal="check", visible=("BAT-08", "OVL-06"))
def bat_bitmap_over_a_block(layout: Layout) -> None:
    """The sector bitmap block has the place of payload block 6."""
    layout.bat[layout.image.geometry.bitmap_index(0)] = 6 | layout.payload[6]


@damage("BAT-09", "OVL-07", refusal="read", read_at=0, visible=("BAT-09", "OVL-07"))
def bat_block_at_zero(layout: Layout) -> None:
    """A present block has FileOffsetMB 0, which is the header section."""
    layout.set_entry(0, FULLY_PRESENT, 0)


@damage("OVL-07", "BAT-09", base="fixed", refusal="read", read_at=0, visible=("OVL-07", "BAT-09"))
def bat_block_of_fixed_at_zero(layout: Layout) -> None:
    """A present block of a fixed image has FileOffsetMB 0, which is the header section."""
    layout.set_entry(0, FULLY_PRESENT, 0)


@damage("BAT-09", base="differencing", refusal="read", read_at=MIB, visible=("BAT-09", "OVL-07"))
def bat_bitmap_at_zero(layout: Layout) -> None:
    """A present sector bitmap has FileOffsetMB 0, which is the header section."""
    layout.bat[layout.image.geometry.bitmap_index(0)] = 6


@damage("BAT-10", refusal="read", read_at=0)
def bat_block_behind_the_end(layout: Layout) -> None:
    """A present block lies wholly behind the end of the file."""
    layout.set_entry(0, FULLY_PRESENT, GIB)


@damage("BAT-10", base="two-mib", refusal="read", read_at=MIB)
def bat_block_over_the_end(layout: Layout) -> None:
    """The second half of a present block, not the disk's last one, is behind the file's end."""
    layout.set_entry(0, FULLY_PRESENT, _free(layout))


@damage("BAT-10", base="fixed", refusal="read", read_at=4 * MIB - 512)
def bat_last_block_cut_in_its_data(layout: Layout) -> None:
    """The file ends in the last block, one sector before the disk does."""
    layout.file_length = layout.payload[3] + MIB - 512


@damage("BAT-10", "GEN-09", base="two-mib", refusal="read", read_at=0)
def bat_block_wraps_around(layout: Layout) -> None:
    """FileOffsetMB is all ones, so the block passes 2**64."""
    layout.set_entry(0, FULLY_PRESENT, END - MIB)


@damage("BAT-10", base="differencing", refusal="read", read_at=MIB)
def bat_bitmap_behind_the_end(layout: Layout) -> None:
    """A present sector bitmap lies behind the end of the file."""
    layout.bat[layout.image.geometry.bitmap_index(0)] = 6 | GIB


@damage("BAT-11", level="note")
def bat_zero_with_an_offset(layout: Layout) -> None:
    """A ZERO block has a file offset, which means nothing."""
    layout.set_entry(2, ZERO, GIB)


@damage("BAT-11", level="note")
def bat_not_present_with_an_offset(layout: Layout) -> None:
    """A NOT_PRESENT block has the file offset of a stored one, which means nothing."""
    layout.set_entry(7, 0, layout.payload[0])


@damage("BAT-02", "BAT-05", "BAT-10", base="wide", refusal="check")
def bat_page_of_ones(layout: Layout) -> None:
    """All bits of the second page of the BAT are set."""
    layout.bat |= dict.fromkeys(range(512, 1024), END - 1)


@damage("BAT-10", base="fixed", refusal="check")
def bat_counts_sectors(layout: Layout) -> None:
    """The places of all blocks are in sectors of 512 bytes instead of MiB."""
    for block, place in layout.payload.items():
        layout.set_entry(block, FULLY_PRESENT, place * (MIB // 512))


@damage("BAT-15", base="differencing", level="note")
def bat_entries_past_the_disk(layout: Layout) -> None:
    """Of the last chunk of a differencing disk, two entries for blocks that it has not are set."""
    layout.bat |= {8: FULLY_PRESENT | _free(layout), 10: ZERO}


@damage("BAT-15", level="note")
def bat_entries_behind_the_last(layout: Layout) -> None:
    """An entry behind the computed count is not zero."""
    layout.bat[layout.image.geometry.entry_count] = 6 | layout.payload[0]


@damage("BLK-07", base="differencing", level="note")
def bitmap_without_a_bit(layout: Layout) -> None:
    """A PARTIALLY_PRESENT block has no sector in this file."""
    layout.bitmaps[0].runs = ()


@damage("BLK-13", level="note")
def data_of_nothing(layout: Layout) -> None:
    """There are old data in the free MiB after the log."""
    layout.patch(layout.log_offset + layout.image.log_length + 1000, b"old data")


@damage("BLK-10", base="differencing", level="note")
def bitmap_bits_behind_the_end(layout: Layout) -> None:
    """The sector bitmap has bits for the 8 sectors behind the end of the disk."""
    bitmap, end = layout.bitmaps[0], 8 * MIB // 512
    bitmap.runs = (*bitmap.runs, (end, end + 8))


@damage("OVL-05", "REG-19", refusal="read", read_at=0, visible=("OVL-05", "REG-19"))
def bat_block_over_the_metadata(layout: Layout) -> None:
    """A present block has the place of the metadata region."""
    layout.set_entry(0, FULLY_PRESENT, layout.metadata_offset)


@damage("OVL-05", "HDR-29", refusal="read", read_at=0, visible=("OVL-05", "HDR-29"))
def bat_block_over_the_log(layout: Layout) -> None:
    """A present block has the place of the log."""
    layout.set_entry(0, FULLY_PRESENT, layout.log_offset)


@damage("OVL-05", "REG-19", base="two-mib", refusal="read", read_at=0, visible=("OVL-05", "REG-19"))
def bat_block_reaches_into_the_bat(layout: Layout) -> None:
    """The second half of a present block is the BAT region."""
    layout.set_entry(0, FULLY_PRESENT, layout.bat_offset - MIB)


@damage(
    "OVL-05",
    "REG-19",
    base="differencing",
    refusal="read",
    read_at=MIB,
    visible=("OVL-05", "REG-19"),
)
def bat_bitmap_over_the_metadata(layout: Layout) -> None:
    """A present sector bitmap has the place of the metadata region."""
    layout.bat[layout.image.geometry.bitmap_index(0)] = 6 | layout.metadata_offset


@damage("OVL-06", base="two-mib", refusal="check")
def bat_blocks_overlap_partly(layout: Layout) -> None:
    """Half of a present block is half of another one; their offsets differ."""
    layout.set_entry(1, FULLY_PRESENT, layout.payload[0] + MIB)


@damage("OVL-09", "BAT-12", base="two-mib", refusal="check", visible=("OVL-09", "OVL-06"))
def bat_unmapped_over_a_block(layout: Layout) -> None:
    """An UNMAPPED block keeps a range that a present block now has half of."""
    layout.set_entry(3, UNMAPPED, layout.payload[0] + MIB)


@damage("OVL-09", "BAT-12", refusal="check", visible=("OVL-09", "OVL-05"))
def bat_undefined_over_the_log(layout: Layout) -> None:
    """An UNDEFINED block keeps the range of the log."""
    layout.set_entry(4, UNDEFINED, layout.log_offset)


# -- rules no file can break --------------------------------------------------------------------

_READING = "says how to read; every file allows it"
_ALLOWED = "allows what it speaks of; see the good images"
_SHOWS = "cannot be told from a breach of another rule"
_OWN = "asks the reader to bound its own work; the file itself is legal"

NOT_BREACHABLE: dict[str, str] = {
    "GEN-01": f"{_SHOWS}: numbers of the other byte order are just wrong numbers",
    "GEN-02": _READING,
    "GEN-06": _READING,
    "FTI-02": _READING,
    "HDR-07": _READING,
    "HDR-14": f"{_READING}: clean-with-old-entries",
    "HDR-18": _OWN,
    "HDR-19": f"{_ALLOWED}: headers-of-two-states",
    "HDR-28": f"{_ALLOWED}, for reading: sequence-number-max",
    "REG-22": f"{_READING}: dirty-region-tables",
    "REG-23": f"{_SHOWS}: REG-11 or REG-12",
    "MET-16": "is about what users may ask for",
    "MET-21": f"{_ALLOWED}: stale-metadata-entry",
    "MET-22": f"{_ALLOWED}: items-in-another-order",
    "MET-23": _OWN,
    "ITEM-08": f"{_READING}: differencing-leave-block-allocated",
    "ITEM-14": f"{_ALLOWED}: every GUID is acceptable",
    "ITEM-17": "is about what a reader supports",
    "ITEM-18": f"{_ALLOWED}: physical-smaller-than-logical",
    "ITEM-22": _READING,
    "LOC-17": _READING,
    "LOG-01": _READING,
    "LOG-02": "is about what a reader can do",
    "LOG-03": _READING,
    "LOG-24": f"{_SHOWS}: LOG-12, LOG-17, LOG-23 or LOG-25",
    "LOG-27": _READING,
    "LOG-30": f"{_READING}: log-two-sequences",
    "LOG-33": f"{_READING}: log-run-longer-than-the-sequence",
    "LOG-34": f"{_READING}: log-extends-the-file",
    "LOG-35": f"{_READING}: log-last-offset-extends-the-file",
    "LOG-39": f"{_READING}: log-one-entry-fills-the-ring, log-many-entries-fill-the-ring",
    "LOG-40": f"{_READING}: log-entry-wraps",
    "LOG-47": _READING,
    "LOG-48": f"{_ALLOWED}: every entry of the builder is aligned to 4 KiB only",
    "BAT-13": _READING,
    "BAT-14": _READING,
    "BAT-16": f"{_ALLOWED}: bat-larger-than-needed",
    "BAT-17": f"{_ALLOWED}: fixed-with-absent-blocks",
    "BAT-18": f"{_OWN}: largest-disk",
    "BAT-19": _READING,
    "BLK-01": _READING,
    "BLK-02": _READING,
    "BLK-03": _READING,
    "BLK-04": _READING,
    "BLK-05": _READING,
    "BLK-06": _READING,
    "BLK-08": _READING,
    "BLK-09": _READING,
    "BLK-11": f"{_ALLOWED}: fixed-last-block-cut, odd-sectors",
    "BLK-12": _READING,
}
