"""The file type identifier, the two headers, and which of them is current.

Two copies exist so that one is whole at any moment; a damaged copy is a normal
event as long as the other one is good. Only the current header is believed,
and nothing else in the file is looked at before it is known
[MS-VHDX 2.2.1, 2.2.2].
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import Finding, Level, Span, check_zeros, mismatch, mismatched_signature
from ..guids import NIL
from ..records import NamedTuple
from ..storage.source import Source
from ..text import counted
from ..units import MIB, is_aligned
from . import checksum, grammar
from .place import IDENTIFIER, signature_of
from .structures import Header

HEADER_SECTION_LENGTH = MIB

SIGNATURE = signature_of("file_type_identifier")

# Ours, not the format's: logs are 1 MiB in practice, the field allows 4 GiB,
# and all of a log that has to be replayed is looked at.
MAX_REPLAYED_LOG_LENGTH = 1024 * MIB


class HeaderCopy(NamedTuple):
    """One copy of the header, judged.

    Attributes:
        copy: 1 or 2.
        header: What it says, right or wrong.
        defect: Why it is not valid; None when it is.
    """

    copy: int
    header: Header
    defect: Finding | None

    @property
    def is_valid(self) -> bool:
        """Whether signature and checksum are right; nothing else counts."""
        return self.defect is None


class Headers(NamedTuple):
    """Both copies, and which one is current.

    Attributes:
        copies: Copy 1, copy 2.
        current_copy: 1 or 2; 0 when neither is followed.
        assumed: What is taken for the current header instead of what that copy says.
    """

    copies: tuple[HeaderCopy, HeaderCopy]
    current_copy: int
    assumed: Header | None = None

    @property
    def current(self) -> Header:
        """The current header; the only one whose fields may be used."""
        return self.assumed or self.copies[self.current_copy - 1].header

    @property
    def is_assumed(self) -> bool:
        """Whether something else is taken for the current header than what a current copy says."""
        return self.assumed is not None

    @property
    def is_log_dirty(self) -> bool:
        """Whether the log has to be replayed before anything else is read (HDR-14)."""
        return self.current.log_guid != NIL


def check_file_length(size: int) -> Iterator[Finding]:
    """Yield what is wrong with the length of the file, in bytes."""
    if size < HEADER_SECTION_LENGTH:
        yield mismatch(
            "GEN-07", "error", Span("file", 0, size), "length", f"{size} bytes", "at least 1 MiB"
        )
    elif not is_aligned(size, MIB):
        place = Span("file", size - size % MIB, size % MIB)
        yield mismatch("GEN-08", "note", place, "length", f"{size} bytes", "a multiple of 1 MiB")


def judge_copy(copy: int, header: Header) -> HeaderCopy:
    """Return a copy of the header with the reason why it is not valid, if it is not."""
    return HeaderCopy(copy, header, next(check_copy(header), None))


def check_copy(header: Header) -> Iterator[Finding]:
    """Yield why a copy of the header is not valid."""
    field = header.place.field
    if not header.is_signature_valid:
        place, expected = field("signature"), signature_of("header")
        actual = header.raw[: place.length]
        yield mismatched_signature("HDR-02", "warning", place, actual, expected)
        return
    yield from checksum.check("HDR-03", "warning", field("checksum"), header.raw, header.checksum)


def choose_current(copies: tuple[HeaderCopy, HeaderCopy]) -> int | None:
    """Return the number of the current copy, None when there is none.

    The text gives equal sequence numbers no current header, but Disk2vhd wrote
    two identical copies; those cannot be taken wrongly.
    """
    one, two = copies
    if not (one.is_valid and two.is_valid):
        return 1 if one.is_valid else 2 if two.is_valid else None
    if one.header.sequence_number == two.header.sequence_number:
        return 1 if one.header.raw == two.header.raw else None
    return 1 if one.header.sequence_number > two.header.sequence_number else 2


def check_copies(copies: tuple[HeaderCopy, HeaderCopy]) -> Iterator[Finding]:
    """Yield what is wrong with the two copies as such."""
    one, two = copies
    for copy in copies:
        if copy.defect is not None:
            yield copy.defect
    if one.defect is not None and two.defect is not None:
        reasons = f"header 1: {one.defect.message}; header 2: {two.defect.message}"
        yield Finding("HDR-05", "error", Span("headers"), f"neither copy is valid ({reasons})")
    elif one.is_valid and two.is_valid and one.header.sequence_number == two.header.sequence_number:
        number = one.header.sequence_number
        same = choose_current(copies) is not None
        level: Level = "note" if same else "error"
        kind = "identical" if same else "different"
        message = f"{kind} copies with the same sequence number {number}, expected one to be newer"
        yield Finding("HDR-06", level, two.header.place.field("sequence_number"), message)


# What an update may leave different when only one of the two copies is written.
_PAIRED_FIELDS = {
    "file_write_guid": "FileWriteGuid",
    "data_write_guid": "DataWriteGuid",
    "log_guid": "LogGuid",
    "log_version": "LogVersion",
    "version": "Version",
    "log_length": "LogLength",
    "log_offset": "LogOffset",
    "reserved": "Reserved",
}


def check_update(copies: tuple[HeaderCopy, HeaderCopy]) -> Iterator[Finding]:
    """Yield what two valid copies tell about the writer that made the newer one.

    The older one may lawfully hold an older state, so none of it is wrong.
    """
    if not (copies[0].is_valid and copies[1].is_valid):
        return
    older, newer = sorted((copy.header for copy in copies), key=lambda h: h.sequence_number)
    if newer.sequence_number - older.sequence_number > 1:
        place = newer.place.field("sequence_number")
        actual, expected = str(newer.sequence_number), f"{older.sequence_number + 1}"
        expected += f", one more than {older.place.name} has"
        yield mismatch("HDR-26", "note", place, "SequenceNumber", actual, expected)
    fields = [field for field in _PAIRED_FIELDS if getattr(older, field) != getattr(newer, field)]
    if fields and newer.sequence_number != older.sequence_number:
        names = ", ".join(_PAIRED_FIELDS[field] for field in fields)
        message = (
            f"older copy with another {names}, expected the same, as after two updates; "
            "OpenVMM makes one"
        )
        yield Finding("HDR-27", "note", older.place.field(fields[0]), message)


# What no state of a file makes right, however old it is.
_RULES_OF_EVERY_COPY = ("HDR-08", "HDR-09", "HDR-10", "HDR-11", "HDR-12", "HDR-15")


def check_other(copies: tuple[HeaderCopy, HeaderCopy], current: int) -> Iterator[Finding]:
    """Yield why the copy that is not current would refuse the file, were it the only one left.

    Args:
        copies: Copy 1, copy 2.
        current: The current one, 1 or 2.
    """
    other, own = copies[2 - current], copies[current - 1]
    if other.is_valid and other.header.raw != own.header.raw:
        for finding in check_current(other.header, 2**64):
            if finding.level == "error" and finding.rule in _RULES_OF_EVERY_COPY:
                yield finding._replace(level="warning")


def check_identifier(data: bytes, stored: Source) -> Iterator[Finding]:
    """Yield whether this is no VHDX file, and what it is instead where that is known.

    Args:
        data: The bytes of the file type identifier.
        stored: The file.
    """
    if data.startswith(SIGNATURE):
        return
    from . import others  # most files are what they are taken for

    finding = grammar.wrong_signature("FTI-01", IDENTIFIER, data).finding
    other = others.recognise(stored)
    if other is not None:
        finding = finding._replace(message=f"not a VHDX file: it is {other}")
    yield finding


def overwritten(data: bytes) -> Finding:
    """Return what is wrong with the identifier of a file whose other structures are a VHDX file's.

    Args:
        data: The bytes of the file type identifier, wrong ones.
    """
    finding = grammar.wrong_signature("FTI-01", IDENTIFIER, data).finding
    message = f"{finding.message}; but headers or region tables are whole, so it was overwritten"
    return finding._replace(message=message)


def without_log(header: Header) -> Header:
    """Return a header that says the same, but that there is no log."""
    return header._replace(log_guid=NIL, log_version=0, log_length=0, log_offset=0)


def without_anything(header: Header) -> Header:
    """Return a header that says nothing: there is no log, and no GUID matches anything."""
    nothing = without_log(header)._replace(is_signature_valid=False, sequence_number=0, version=1)
    return nothing._replace(file_write_guid=NIL, data_write_guid=NIL)


def most_nearly_right(copies: tuple[HeaderCopy, HeaderCopy], size: int) -> HeaderCopy | None:
    """Return the copy to follow when none is current; None when neither makes sense.

    Args:
        copies: Copy 1, copy 2.
        size: Length of the file in bytes.
    """
    possible = [
        copy
        for copy in copies
        if all(finding.level != "error" for finding in check_current(copy.header, size))
    ]

    def rank(copy: HeaderCopy) -> tuple[bool, bool, int]:
        return copy.is_valid, copy.header.is_signature_valid, copy.header.sequence_number

    return max(possible, key=rank, default=None)


def check_creator(data: bytes) -> Iterator[Finding]:
    """Yield whether the name of the file's maker is no text; it is for diagnosis only.

    Args:
        data: The bytes of the file type identifier, right ones.
    """
    creator = grammar.identifier(data).creator or ""
    index = next((i for i, char in enumerate(creator) if "\ud800" <= char <= "\udfff"), None)
    if index is not None:
        message = f"Creator is not UTF-16 at its character {index}, expected text"
        yield Finding("FTI-03", "note", IDENTIFIER.field("raw_creator"), message)


def check_slack(section: grammar.HeaderSection) -> Iterator[Finding]:
    """Yield where reserved bytes of the header section are not zero; they are ignored."""
    for rule, place, data in section.slack():
        yield from check_zeros(rule, place, "reserved bytes", data)


def check_current(header: Header, size: int) -> Iterator[Finding]:
    """Yield what is wrong with the current header.

    Args:
        header: The current header.
        size: Length of the file in bytes.
    """
    place = header.place.field
    dirty = header.log_guid != NIL
    if header.version != 1:
        yield mismatch("HDR-08", "error", place("version"), "Version", str(header.version), "1")
    if header.log_version != 0:
        level: Level = "error" if dirty else "note"
        actual = str(header.log_version)
        yield mismatch("HDR-09", level, place("log_version"), "LogVersion", actual, "0")
    yield from _check_log_place(header, size)
    yield from check_zeros("HDR-16", place("reserved"), "reserved bytes", header.reserved)
    for name, guid in (
        ("FileWriteGuid", header.file_write_guid),
        ("DataWriteGuid", header.data_write_guid),
    ):
        if guid == NIL:
            field = "file_write_guid" if name == "FileWriteGuid" else "data_write_guid"
            yield mismatch("HDR-20", "note", place(field), name, "zero", "a unique value")
    if header.sequence_number == 2**64 - 1:
        message = "SequenceNumber is the greatest there is, so no newer header can be written"
        yield Finding("HDR-28", "note", place("sequence_number"), message)


def check_room(header: Header, count: int) -> Iterator[Finding]:
    """Yield whether no newer headers can be written, of which a writer needs some.

    Args:
        header: The current header.
        count: How many.
    """
    greatest = 2**64 - 1 - count
    if header.sequence_number > greatest:
        place, actual = header.place.field("sequence_number"), f"{header.sequence_number}"
        expected = f"at most {greatest} where {counted(count, 'newer header')} are to be written"
        yield mismatch("HDR-28", "error", place, "SequenceNumber", actual, expected)


def _check_log_place(header: Header, size: int) -> Iterator[Finding]:
    offset, length, field = header.log_offset, header.log_length, header.place.field
    for rule, of, name, value in (
        ("HDR-10", "log_length", "LogLength", length),
        ("HDR-11", "log_offset", "LogOffset", offset),
    ):
        if not is_aligned(value, MIB):
            yield mismatch(rule, "error", field(of), name, f"{value:#x}", "a multiple of 1 MiB")
    if length and offset < HEADER_SECTION_LENGTH:
        place, actual = field("log_offset"), f"{offset:#x}"
        yield mismatch("HDR-12", "error", place, "LogOffset", actual, "at least 1 MiB")
    place = field("log_length")
    if length and offset + length > size:
        actual, expected = f"{offset + length:#x}", f"at most the file's length {size:#x}"
        yield mismatch("HDR-13", "error", place, "end of log", actual, expected)
    if header.log_guid == NIL:
        return
    if length == 0:
        yield mismatch("HDR-15", "error", place, "LogLength", "0 with a LogGuid", "a log")
    if length > MAX_REPLAYED_LOG_LENGTH:
        expected = f"at most {MAX_REPLAYED_LOG_LENGTH:#x} in a log to be replayed (our limit)"
        yield mismatch("HDR-18", "limit", place, "LogLength", f"{length:#x}", expected)


def judge_copies(section: grammar.HeaderSection) -> tuple[HeaderCopy, HeaderCopy]:
    """Return both copies of the header, judged."""
    return judge_copy(1, section.header(1)), judge_copy(2, section.header(2))


def probe(data: bytes | bytearray | memoryview) -> int:
    """Return how certain it is that data is the start of a VHDX file: 100 or 0.

    Args:
        data: The first bytes of a file; eight are enough.
    """
    return 100 if bytes(data[: len(SIGNATURE)]) == SIGNATURE else 0
