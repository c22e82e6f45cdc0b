"""Damage to headers."""

from __future__ import annotations

from tests.images.bases import END, OTHER_GUID
from tests.images.image import Layout
from tests.images.structures import GIB, KIB, MIB, ZERO_GUID

from .case import damage


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
    """LogOffset is 4 KiB past a MiB boundary."""
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
def log_past_the_end(layout: Layout) -> None:
    """The log lies past the end of the file."""
    layout.set_headers(log_offset=GIB)


@damage("HDR-13")
def log_over_the_end(layout: Layout) -> None:
    """The log begins in the last MiB of free space and ends 1 MiB past the file."""
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
