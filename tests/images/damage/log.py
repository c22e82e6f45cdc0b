"""Damage to the log."""

from __future__ import annotations

from collections.abc import Mapping

from tests.images.bases import END, OTHER_GUID
from tests.images.image import Layout
from tests.images.log import Data, Entry, Log, Zero
from tests.images.structures import KIB, MIB

from .case import damage, enter


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
    ("LOG-10", "log-tail-past-the-log", "Tail is LogLength.", {"tail": MIB}),
    ("LOG-11", "log-sequence-number-0", "The entry has sequence number 0.",
     {"sequence_number": 0}),
    ("LOG-12", "log-descriptor-count-too-large", "There is no room for the descriptors.",
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

    enter(_name, _what, _set_entry_fields, _rule, "LOG-31", base="dirty")

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

    enter(_name, _what, _set_descriptor_fields, _rule, "LOG-31", base="dirty")


@damage("LOG-31", "LOG-04", base="dirty")
def log_entry_unaligned(layout: Layout) -> None:
    """The only entry begins 512 bytes past a 4 KiB boundary."""
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

    enter(_name, _what, _aim, "LOG-36", "LOG-31", base="dirty", visible=("LOG-36", "LOG-31"))


@damage("LOG-37", "LOG-31", base="dirty", visible=("LOG-37", "LOG-31"))
def log_aims_at_itself(layout: Layout) -> None:
    """A data descriptor overwrites a sector of the log."""
    _entry(layout).descriptors.append(Data(layout.log_offset + 512 * KIB, b"x"))


@damage("LOG-37", "LOG-31", base="dirty", visible=("LOG-37", "LOG-31"))
def log_zeroes_over_itself(layout: Layout) -> None:
    """A zero descriptor begins after the header section and runs into the log."""
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
