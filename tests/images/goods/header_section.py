"""Good images whose header section is out of the ordinary."""

from __future__ import annotations

from uuid import UUID

from tests.images.bases import OTHER_GUID, UNKNOWN_REGION
from tests.images.image import Image, Layout, Region, dynamic
from tests.images.structures import KIB, MIB

from .case import JUNK, LAST, good, small

# -- file and identifier -----------------------------------------------------------------------


@good(GEN_08="note")
def file_length_odd() -> Image:
    """The file ends 512 bytes past a MiB boundary, as Disk2vhd's do."""
    layout = small().layout()
    return small(file_length=layout.pack().length + 512)


@good()
def creator_empty() -> Image:
    """There is no Creator string."""
    return small(creator="")


@good()
def creator_full() -> Image:
    """Creator takes all of its 256 units, without a NUL."""
    return small(creator="0123456789abcdef" * 16)


@good()
def creator_broken() -> Image:
    """Creator is half a surrogate pair and then noise after a NUL."""
    return small(creator=b"\x3d\xd8A\0\0\0\xff\xdf\x01\xd8")


# -- headers -----------------------------------------------------------------------------------


@good(HDR_06="note")
def headers_identical() -> Layout:
    """Both headers are the same, sequence number included, as Disk2vhd writes them."""
    layout = small().layout()
    layout.set_headers(sequence_number=1)
    return layout


@good(HDR_03="warning")
def header_1_damaged() -> Layout:
    """Header 1 is damaged, header 2 is good and older."""
    layout = small().layout()
    layout.headers[0].sequence_number = 9
    layout.headers[0].checksum = 1
    return layout


@good(HDR_02="warning")
def header_2_missing() -> Layout:
    """Header 2 is all zeros."""
    layout = small().layout()
    layout.headers[1].raw = bytes(4096)
    return layout


@good()
def header_1_newer() -> Layout:
    """Header 1 is the newer one; they are far apart and differ in every GUID."""
    layout = small().layout()
    layout.headers[0].sequence_number = 1 << 40
    layout.headers[1].data_write_guid = OTHER_GUID
    layout.headers[1].file_write_guid = OTHER_GUID
    return layout


@good()
def headers_of_two_states() -> Layout:
    """The older header still names a log, the newer one says it is clean."""
    layout = small().layout()
    layout.headers[0].log_guid = OTHER_GUID
    layout.headers[0].log_offset = 64 * MIB
    return layout


@good()
def sequence_number_0() -> Image:
    """The older header has sequence number 0."""
    return small(sequence_number=0)


@good()
def sequence_number_max() -> Image:
    """The newer header has sequence number 2**64 - 1; nobody can write to this file again."""
    return small(sequence_number=LAST)


@good()
def log_version_1_while_clean() -> Layout:
    """LogVersion is 1, which matters only where LogGuid is not zero."""
    layout = small().layout()
    layout.set_headers(log_version=1)
    return layout


@good()
def log_length_0() -> Layout:
    """There is no log at all: LogGuid, LogOffset and LogLength are 0."""
    layout = small().layout()
    layout.set_headers(log_length=0, log_offset=0)
    return layout


@good(HDR_08="warning")
def old_header_version_0() -> Layout:
    """The older header, which nobody has to obey and nobody could fall back on, has Version 0."""
    layout = small().layout()
    layout.headers[0].version = 0
    return layout


# -- region tables -----------------------------------------------------------------------------


@good(REG_03="warning")
def region_table_1_damaged() -> Layout:
    """Only region table 2 has a right checksum."""
    layout = small().layout()
    layout.region_tables[0].checksum = 1
    return layout


@good(REG_02="warning")
def region_table_2_missing() -> Layout:
    """Region table 2 is all zeros."""
    layout = small().layout()
    layout.region_tables[1].raw = bytes(64 * KIB)
    return layout


@good(REG_18="note")
def regions_not_required() -> Image:
    """Required of both regions is 0, as QEMU writes it."""
    return small(required=0)


@good()
def unknown_region_optional() -> Image:
    """Two unknown optional regions with contents."""
    regions = [Region(UNKNOWN_REGION, 2 * MIB, data=JUNK), Region(OTHER_GUID, data=JUNK)]
    return small(regions=regions)


@good()
def regions_2047() -> Layout:
    """The region table is full: 2045 unknown optional regions beside the known ones."""
    regions = [Region(UUID(int=index + 1)) for index in range(2045)]
    return dynamic(4 * MIB, regions=regions).layout()
