"""The one door to the compiled grammar: bytes in, frozen records out.

Nothing else imports the generated parser to read an image. Records are what
the bytes say, nothing is judged here except that they could be parsed at all;
Kaitai's errors become findings. `encode` is the inverse.
"""

from __future__ import annotations

import struct as structs
from collections.abc import Callable, Iterator
from functools import lru_cache
from uuid import UUID

from kaitaistruct import EndOfStreamError, KaitaiStream, KaitaiStruct, KaitaiStructError

from ..errors import Finding, FormatError, Span, Where, mismatch, mismatched_signature, refusal
from ..generated.vhdx import Vhdx
from ..guids import ITEM_NAMES, REGION_NAMES
from ..records import TYPE_CHECKING
from ..storage.source import Source
from .place import (
    END_OF_IDENTIFIER,
    HEADERS,
    IDENTIFIER,
    REGION_TABLES,
    STRUCTS,
    TOP_LEVEL,
    Place,
    length_of,
    signature_of,
)
from .stream import BytesStream
from .structures import (
    BatEntry,
    DataSector,
    FileParameters,
    FileTypeIdentifier,
    Header,
    KeyValue,
    LogDescriptor,
    LogEntry,
    LogEntryHeader,
    MetadataEntry,
    MetadataTable,
    ParentLocator,
    RegionEntry,
    RegionTable,
)

if TYPE_CHECKING:
    from typing import Any

DescriptorKind = Vhdx.DescriptorKind


# A header is a plain row of fields, and no image is opened without two of them: they are taken in
# one call by what `layout` has of the grammar. A test holds that to the compiled parser.
_header_fields = structs.Struct(STRUCTS["header"]["format"]).unpack
_HEADER_SIGNATURE = signature_of("header")


class HeaderSection:
    """The structures at fixed places of an image.

    Args:
        source: The file. All but the identifier can be had only when it is as long as the
            header section.
    """

    def __init__(self, source: Source) -> None:
        self._source = source

    def identifier(self) -> bytes:
        """Return the bytes of the file type identifier, fewer where the file ends."""
        return self._source.read(0, min(self._source.size, END_OF_IDENTIFIER))

    def slack(self) -> Iterator[tuple[str, Where, bytes]]:
        """Yield reserved bytes of the header section: the rule about them, place, bytes."""
        rule, begin = "FTI-05", END_OF_IDENTIFIER
        for offset, length in TOP_LEVEL.values():
            if begin < offset:
                place = Span(f"reserved at {begin:#x}", begin, offset - begin)
                yield rule, place, self._source.read(begin, offset - begin)
            rule, begin = "HDR-17", offset + length

    def header(self, copy: int) -> Header:
        """Return copy 1 or 2 of the header."""
        data = self._source.read(*TOP_LEVEL[f"header_{copy}"])
        signature, checksum, number, file_write, data_write, log, *rest = _header_fields(data)
        return Header(
            HEADERS[copy - 1],
            data,
            signature == _HEADER_SIGNATURE,
            checksum,
            number,
            _guid(file_write),
            _guid(data_write),
            _guid(log),
            *rest,
        )

    def region_table(self, copy: int) -> RegionTable:
        """Return copy 1 or 2 of the region table."""
        data = self._source.read(*TOP_LEVEL[f"region_table_{copy}"])
        struct = Vhdx.RegionTable(BytesStream(data))
        entries = [
            RegionEntry(_guid(entry.guid.raw), entry.file_offset, entry.length, entry.required)
            for entry in struct.entries
        ]
        table = RegionTable(
            REGION_TABLES[copy - 1],
            data,
            struct.is_signature_valid,
            struct.checksum,
            struct.num_entries,
            struct.reserved,
            tuple(entries),
        )
        _let_go(*struct.entries, struct)
        return table


def _let_go(*structs: KaitaiStruct) -> None:
    """Let parsed structures have nothing any more, when all that is wanted was taken out of them.

    One and its parts refer to each other. They would be there, with all bytes of them, until
    the collector of such cycles comes by, which takes longer than to parse them.
    """
    for struct in structs:
        struct.__dict__.clear()


def identifier(data: bytes) -> FileTypeIdentifier:
    """Return the file type identifier.

    Raises:
        FormatError: Its signature is wrong (FTI-01), or it is not all there.
    """
    try:
        struct = Vhdx.FileTypeIdentifier(BytesStream(data))
    except KaitaiStructError:
        raise wrong_signature("FTI-01", IDENTIFIER, data) from None
    return FileTypeIdentifier(struct.raw_creator)


def wrong_signature(rule: str, place: Place, data: bytes) -> FormatError:
    """Return the exception for a structure that does not begin as it has to.

    Args:
        rule: The rule that says so.
        place: The structure, or its signature.
        data: What stands there, from the first byte of the signature on.
    """
    signature = signature_of(place.type_name)
    actual, field = data[: len(signature)], place.field("signature")
    return refusal(mismatched_signature(rule, "error", field, actual, signature))


_ITEM_KINDS = {kind: kind.name for kind in Vhdx.ItemKind}

# Enough of a metadata table for 127 entries; only if it has more, all of it is read.
_BEGIN_OF_TABLE = 4096


def metadata_table(source: Source, ofs_region: int) -> MetadataTable:
    """Return the table at the start of the metadata region.

    Args:
        source: The file; the region lies inside it.
        ofs_region: File offset of the region in bytes.

    Raises:
        FormatError: The signature is wrong (MET-01).
    """
    place = Place("metadata table", "metadata_table", ofs_region)
    data = source.read(ofs_region, _BEGIN_OF_TABLE)
    if not data.startswith(signature_of(place.type_name)):
        raise wrong_signature("MET-01", place, data)
    try:
        struct = Vhdx.MetadataTable(BytesStream(data))
    except EndOfStreamError:
        struct = Vhdx.MetadataTable(BytesStream(source.read(ofs_region, place.length)))
    entries = [
        MetadataEntry(
            _ITEM_KINDS[entry.kind],
            _guid(entry.item_id.raw),
            entry.offset,
            entry.length,
            entry.is_user,
            entry.is_virtual_disk,
            entry.is_required,
            entry.reserved,
            entry.reserved_2,
        )
        for entry in struct.entries
    ]
    table = MetadataTable(
        place, struct.reserved, struct.num_entries, struct.reserved_2, tuple(entries)
    )
    _let_go(*struct.entries, struct)
    return table


def file_parameters(data: bytes, place: Place) -> FileParameters:
    """Return the File Parameters item."""
    item = _item(Vhdx.FileParametersItem, data, place)
    return FileParameters(
        item.block_size, item.leave_block_allocated, item.has_parent, item.reserved
    )


def virtual_disk_size(data: bytes, place: Place) -> int:
    """Return the size of the virtual disk in bytes."""
    size: int = _item(Vhdx.VirtualDiskSizeItem, data, place).virtual_disk_size
    return size


def virtual_disk_id(data: bytes, place: Place) -> UUID:
    """Return the identity of the virtual disk."""
    item = _item(Vhdx.VirtualDiskIdItem, data, place)
    disk_id = _guid(item.virtual_disk_id.raw)
    _let_go(item)
    return disk_id


def logical_sector_size(data: bytes, place: Place) -> int:
    """Return the logical sector size in bytes."""
    size: int = _item(Vhdx.LogicalSectorSizeItem, data, place).logical_sector_size
    return size


def physical_sector_size(data: bytes, place: Place) -> int:
    """Return the physical sector size in bytes."""
    size: int = _item(Vhdx.PhysicalSectorSizeItem, data, place).physical_sector_size
    return size


def parent_locator(data: bytes, place: Place) -> ParentLocator:
    """Return the parent locator; without entries when their count does not fit."""
    try:
        struct = Vhdx.ParentLocatorItem(BytesStream(data))
    except KaitaiStructError:
        expected = f"at least {length_of(place.type_name)}"
        raise refusal(
            mismatch("ITEM-02", "error", place, "Length", str(len(data)), expected)
        ) from None
    locator = ParentLocator(
        place,
        _guid(struct.locator_type.raw),
        struct.reserved,
        struct.num_key_values,
        struct.len_table,
        data,
        tuple(
            KeyValue(entry.ofs_key, entry.ofs_value, entry.len_key, entry.len_value)
            for entry in struct.key_values
        ),
    )
    _let_go(struct)
    return locator


def log_entry_header(data: bytes) -> LogEntryHeader:
    """Return the head of a log entry from its first bytes; a log slot has enough of them."""
    return _log_entry_header(Vhdx.LogEntryHeader(BytesStream(data)))


def log_entry(data: bytes) -> LogEntry | None:
    """Return a whole log entry, None when its counts do not fit its bytes.

    Args:
        data: All bytes of the entry; one that wraps around the ring has been
            put together.
    """
    try:
        struct = Vhdx.LogEntry(BytesStream(data))
    except KaitaiStructError:
        return None
    entry = LogEntry(
        _log_entry_header(struct.header),
        tuple(map(_descriptor, struct.descriptors)),
        struct.padding,
        tuple(map(_data_sector, struct.data_sectors)),
        struct.len_descriptor_sectors,
    )
    _let_go(struct)
    return entry


def bat_entry(data: bytes) -> BatEntry:
    """Return a BAT entry as the grammar sees it. Bulk readers decode by themselves."""
    struct = Vhdx.PayloadBatEntry(BytesStream(data))
    return BatEntry(int(struct.state), struct.reserved, struct.file_offset_mb)


@lru_cache(maxsize=256)
def _guid(raw: bytes) -> UUID:
    # Most GUIDs of an image are those of the specification, over and over, and what is the same
    # object is found to be equal the soonest.
    guid = UUID(bytes_le=raw)
    return _SPECIFIED.get(guid, guid)


_SPECIFIED = {guid: guid for guid in (*REGION_NAMES, *ITEM_NAMES)}


def _log_entry_header(struct: Vhdx.LogEntryHeader) -> LogEntryHeader:
    return LogEntryHeader(
        struct.is_signature_valid,
        struct.checksum,
        struct.entry_length,
        struct.tail,
        struct.sequence_number,
        struct.num_descriptors,
        struct.reserved,
        _guid(struct.log_guid.raw),
        struct.flushed_file_offset,
        struct.last_file_offset,
    )


def _descriptor(struct: Vhdx.LogDescriptor) -> LogDescriptor:
    kind = struct.kind
    common = (kind, struct.file_offset, struct.sequence_number)
    if kind == DescriptorKind.zero_descriptor:
        return LogDescriptor(*common, struct.body.zero_length, struct.body.reserved)
    if kind == DescriptorKind.data_descriptor:
        return LogDescriptor(*common, 0, 0, struct.body.leading_bytes, struct.body.trailing_bytes)
    return LogDescriptor(*common)


def _data_sector(struct: Vhdx.LogDataSector) -> DataSector:
    number = (struct.sequence_high << 32) | struct.sequence_low
    return DataSector(struct.is_signature_valid, number, struct.data)


def _item(struct: Callable[[KaitaiStream], Any], data: bytes, place: Place) -> Any:
    stream = BytesStream(data)
    try:
        item = struct(stream)
    except KaitaiStructError:
        item = None
    if item is None or not stream.is_eof():
        expected = length_of(place.type_name)
        message = f"Length {len(data)}, expected {expected}"
        raise refusal(Finding("ITEM-02", "error", place, message, str(expected), str(len(data))))
    return item


def unused_of(table: RegionTable) -> bytes:
    """Return what is after the last entry of a region table."""
    unused: bytes = Vhdx.RegionTable(BytesStream(table.raw)).unused
    return unused
