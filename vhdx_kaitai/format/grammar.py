"""The one door to the compiled grammar: bytes in, frozen records out.

Nothing else imports the generated parser to read an image. Records are what
the bytes say, nothing is judged here except that they could be parsed at all;
Kaitai's errors become findings. The layout lives in the grammar alone: where a
field stands in the file is asked of a second compilation of it, which records
positions and is imported only when somebody wants to know (`Place`).
"""

from __future__ import annotations

import contextlib
import struct as struct_module
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from io import BytesIO
from uuid import UUID

from kaitaistruct import EndOfStreamError, KaitaiStream, KaitaiStructError

from ..errors import Finding, Span, mismatch, refusal
from ..generated.vhdx import Vhdx
from ..records import TYPE_CHECKING, NamedTuple
from ..storage.source import Source
from ..text import signature_text
from ..units import MIB

if TYPE_CHECKING:
    from typing import Any

    from ..errors import Where

DescriptorKind = Vhdx.DescriptorKind


def _number_reader(code: str) -> Callable[[_Buffer], int]:
    """Return a method that reads one number of a kind that `struct` knows."""
    kind = struct_module.Struct(code)
    unpack, length = kind.unpack_from, kind.size

    def read(self: _Buffer) -> int:
        start = self._position
        try:
            (value,) = unpack(self._data, start)
        except struct_module.error:
            raise self._end(length) from None
        self._position = start + length
        self.bits_left = 0
        return value  # type: ignore[no-any-return]

    return read


class _Buffer(KaitaiStream):  # type: ignore[misc]
    """The runtime's stream over bytes that are in memory already.

    The runtime's own takes four calls and a file object for every number, which
    is most of the time of opening an image; this one takes one.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        self.bits = self.bits_left = 0
        self.bits_le = False

    def pos(self) -> int:
        return self._position

    def seek(self, n: int) -> None:
        self._position = n

    def size(self) -> int:
        return len(self._data)

    def is_eof(self) -> bool:
        return self.bits_left == 0 and self._position >= len(self._data)

    read_u2le = _number_reader("<H")
    read_u4le = _number_reader("<I")
    read_u8le = _number_reader("<Q")

    def read_bits_int_le(self, n: int) -> int:
        left, bits = self.bits_left, self.bits
        if n > left:
            count = n - left + 7 >> 3
            more = int.from_bytes(self.read_bytes(count), "little")
            bits = more << left | bits if left else more
            left += 8 * count
        self.bits = bits >> n
        self.bits_left = left - n
        return bits & (1 << n) - 1

    def read_bytes(self, n: int) -> bytes:
        self.bits_left = 0
        start = self._position
        end = start + n
        data = self._data[start:end]
        if len(data) != n:
            raise self._end(n)
        self._position = end
        return data

    def _end(self, wanted: int) -> EndOfStreamError:
        found = max(0, len(self._data) - self._position)
        return EndOfStreamError(f"{wanted} bytes wanted, {found} there", wanted, found)

    def read_bytes_full(self) -> bytes:
        return self.read_bytes(max(0, len(self._data) - self._position))


class Identifier(NamedTuple):
    """File type identifier: its bytes, fewer where the file ends [MS-VHDX 2.2.1]."""

    raw: bytes

    @property
    def creator(self) -> str | None:
        """The creator, up to the first NUL; None when the field is empty, or not there.

        Surrogates without a partner are kept: the field is for diagnosis, and
        decoding it must not fail.
        """
        try:
            raw: bytes = Vhdx.FileTypeIdentifier(_Buffer(self.raw)).raw_creator
        except KaitaiStructError:
            return None
        return raw.decode("utf-16-le", "surrogatepass").partition("\0")[0] or None


class Header(NamedTuple):
    """One copy of the header [MS-VHDX 2.2.2]."""

    place: Place
    raw: bytes
    is_signature_valid: bool
    checksum: int
    sequence_number: int
    file_write_guid: UUID
    data_write_guid: UUID
    log_guid: UUID
    log_version: int
    version: int
    log_length: int
    log_offset: int
    reserved: bytes


class RegionEntry(NamedTuple):
    """Place of one region; offsets and lengths in bytes [MS-VHDX 2.2.3.2]."""

    guid: UUID
    file_offset: int
    length: int
    required: int


class RegionTable(NamedTuple):
    """One copy of the region table [MS-VHDX 2.2.3.1]."""

    place: Place
    raw: bytes
    is_signature_valid: bool
    checksum: int
    num_entries: int
    reserved: int
    entries: tuple[RegionEntry, ...]

    @property
    def unused(self) -> bytes:
        """What is behind the last entry."""
        unused: bytes = Vhdx.RegionTable(_Buffer(self.raw)).unused
        return unused


class MetadataEntry(NamedTuple):
    """Place and nature of one metadata item [MS-VHDX 2.6.1.2].

    Attributes:
        kind: The grammar's name of a known item's type, `other` for the rest.
        offset: Bytes from the start of the metadata region.
        length: Bytes.
    """

    kind: str
    item_id: UUID
    offset: int
    length: int
    is_user: bool
    is_virtual_disk: bool
    is_required: bool
    reserved: int
    reserved_2: int


class MetadataTable(NamedTuple):
    """Metadata table [MS-VHDX 2.6.1.1]."""

    place: Place
    reserved: int
    num_entries: int
    reserved_2: bytes
    entries: tuple[MetadataEntry, ...]


class FileParameters(NamedTuple):
    """File Parameters item; the block size in bytes [MS-VHDX 2.6.2.1]."""

    block_size: int
    leave_block_allocated: bool
    has_parent: bool
    reserved: int


class KeyValue(NamedTuple):
    """Places of one key and its value in the parent locator, in bytes [MS-VHDX 2.6.2.6.2]."""

    ofs_key: int
    ofs_value: int
    len_key: int
    len_value: int


class ParentLocator(NamedTuple):
    """Parent Locator item [MS-VHDX 2.6.2.6.1]."""

    place: Place
    locator_type: UUID
    reserved: int
    num_key_values: int
    len_table: int
    raw: bytes
    entries: tuple[KeyValue, ...]


class LogEntryHeader(NamedTuple):
    """Head of a log entry; offsets and lengths in bytes [MS-VHDX 2.3.1.1]."""

    is_signature_valid: bool
    checksum: int
    entry_length: int
    tail: int
    sequence_number: int
    num_descriptors: int
    reserved: int
    log_guid: UUID
    flushed_file_offset: int
    last_file_offset: int


class Descriptor(NamedTuple):
    """One change that a log entry makes [MS-VHDX 2.3.1.2, 2.3.1.3].

    Attributes:
        kind: Zero, data, or other when the signature is neither.
        file_offset: Where the change goes, in bytes.
        sequence_number: That of the entry, if all is well.
        length: Bytes that a zero descriptor clears; 0 for the others.
        reserved: Reserved field of a zero descriptor.
        leading_bytes: First 8 bytes of a data update.
        trailing_bytes: Last 4 bytes of a data update.
    """

    kind: Vhdx.DescriptorKind
    file_offset: int
    sequence_number: int
    length: int = 0
    reserved: int = 0
    leading_bytes: bytes = b""
    trailing_bytes: bytes = b""


class DataSector(NamedTuple):
    """What surrounds the data in a data sector [MS-VHDX 2.3.1.4]."""

    is_signature_valid: bool
    sequence_number: int


class LogEntry(NamedTuple):
    """A whole log entry [MS-VHDX 2.3.1]."""

    header: LogEntryHeader
    descriptors: tuple[Descriptor, ...]
    data_sectors: tuple[DataSector, ...]
    len_descriptor_sectors: int


# The structures of the header section behind the identifier, in the order of place.
_IN_ORDER = ("header_1", "header_2", "region_table_1", "region_table_2")


class Root:
    """The structures at fixed places of an image.

    Args:
        source: The file. All but the identifier can be had only when it is as long as the
            header section.
    """

    def __init__(self, source: Source) -> None:
        self._source = source

    def identifier(self) -> Identifier:
        """Return the file type identifier, or as much of it as the file has."""
        return Identifier(self._source.read(0, min(self._source.size, _end_of_identifier())))

    def slack(self) -> Iterator[tuple[str, Where, bytes]]:
        """Yield reserved bytes of the header section: the rule about them, place, bytes."""
        begin = _end_of_identifier()
        for name in _IN_ORDER:
            offset, length = _top_level(name)
            if begin < offset:
                rule = "FTI-05" if name == _IN_ORDER[0] else "HDR-17"
                place = Span(f"reserved at {begin:#x}", begin, offset - begin)
                yield rule, place, self._source.read(begin, offset - begin)
            begin = offset + length

    def header(self, copy: int) -> Header:
        """Return copy 1 or 2 of the header."""
        data = self._source.read(*_top_level(f"header_{copy}"))
        struct = Vhdx.Header(_Buffer(data))
        return Header(
            HEADERS[copy - 1],
            data,
            struct.is_signature_valid,
            struct.checksum,
            struct.sequence_number,
            _guid(struct.file_write_guid.raw),
            _guid(struct.data_write_guid.raw),
            _guid(struct.log_guid.raw),
            struct.log_version,
            struct.version,
            struct.log_length,
            struct.log_offset,
            struct.reserved,
        )

    def region_table(self, copy: int) -> RegionTable:
        """Return copy 1 or 2 of the region table."""
        data = self._source.read(*_top_level(f"region_table_{copy}"))
        return _region_table(data, REGION_TABLES[copy - 1])


def _region_table(data: bytes, place: Place) -> RegionTable:
    struct = Vhdx.RegionTable(_Buffer(data))
    entries = [
        RegionEntry(_guid(entry.guid.raw), entry.file_offset, entry.length, entry.required)
        for entry in struct.entries
    ]
    return RegionTable(
        place,
        data,
        struct.is_signature_valid,
        struct.checksum,
        struct.num_entries,
        struct.reserved,
        tuple(entries),
    )


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
    offset, length = _metadata_table_place()
    data = source.read(ofs_region + offset, _BEGIN_OF_TABLE)
    try:
        try:
            struct = Vhdx.MetadataTable(_Buffer(data))
        except EndOfStreamError:
            data = source.read(ofs_region + offset, length)
            struct = Vhdx.MetadataTable(_Buffer(data))
    except KaitaiStructError:
        signature = place.field("signature")
        raise refusal(
            mismatch(
                "MET-01",
                "error",
                signature,
                "signature",
                signature_text(data[: signature.length]),
                signature_text(_STUBS["metadata_table"]),
            )
        ) from None
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
    return MetadataTable(
        place, struct.reserved, struct.num_entries, struct.reserved_2, tuple(entries)
    )


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
    return _guid(_item(Vhdx.VirtualDiskIdItem, data, place).virtual_disk_id.raw)


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
        struct = Vhdx.ParentLocatorItem(_Buffer(data))
    except KaitaiStructError:
        expected = f"at least {_positions(place.type_name)[None][1]}"
        raise refusal(
            mismatch("ITEM-02", "error", place, "Length", str(len(data)), expected)
        ) from None
    return ParentLocator(
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


def log_entry_header(data: bytes) -> LogEntryHeader:
    """Return the head of a log entry from its first bytes; a log slot has enough of them."""
    return _log_entry_header(Vhdx.LogEntryHeader(_Buffer(data)))


def log_entry(data: bytes) -> LogEntry | None:
    """Return a whole log entry, None when its counts do not fit its bytes.

    Args:
        data: All bytes of the entry; one that wraps around the ring has been
            put together.
    """
    try:
        struct = Vhdx.LogEntry(_Buffer(data))
    except KaitaiStructError:
        return None
    return LogEntry(
        _log_entry_header(struct.header),
        tuple(_descriptor(descriptor) for descriptor in struct.descriptors),
        tuple(
            DataSector(
                sector.is_signature_valid, (sector.sequence_high << 32) | sector.sequence_low
            )
            for sector in struct.data_sectors
        ),
        struct.len_descriptor_sectors,
    )


class BatEntry(NamedTuple):
    """One entry of the BAT; the offset in MiB [MS-VHDX 2.5.1]."""

    state: int
    reserved: int
    file_offset_mb: int


def bat_entry(data: bytes) -> BatEntry:
    """Return a BAT entry as the grammar sees it. Bulk readers decode by themselves."""
    struct = Vhdx.PayloadBatEntry(_Buffer(data))
    return BatEntry(int(struct.state), struct.reserved, struct.file_offset_mb)


@lru_cache(maxsize=256)
def _guid(raw: bytes) -> UUID:
    # Most GUIDs of an image are those of the specification, over and over.
    return UUID(bytes_le=raw)


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


def _descriptor(struct: Vhdx.LogDescriptor) -> Descriptor:
    kind = struct.kind
    common = (kind, struct.file_offset, struct.sequence_number)
    if kind == DescriptorKind.zero:
        return Descriptor(*common, struct.body.zero_length, struct.body.reserved)
    if kind == DescriptorKind.data:
        return Descriptor(*common, 0, 0, struct.body.leading_bytes, struct.body.trailing_bytes)
    return Descriptor(*common)


def _item(struct: Callable[[KaitaiStream], Any], data: bytes, place: Place) -> Any:
    stream = _Buffer(data)
    try:
        item = struct(stream)
    except KaitaiStructError:
        item = None
    if item is None or not stream.is_eof():
        expected = _positions(place.type_name)[None][1]
        message = f"Length {len(data)}, expected {expected}"
        raise refusal(Finding("ITEM-02", "error", place, message, str(expected), str(len(data))))
    return item


class Place:
    """Where a structure or one of its fields stands in the file.

    Reading needs no such thing, only people who are told about a finding do;
    so the numbers are worked out when they are asked for.

    Args:
        name: What the structure is called in messages.
        type_name: Its type in the grammar.
        origin: File offset of the structure in bytes; or the name of the
            grammar's top-level instance that says so; or None when it does not
            stand in the file as one piece.
        field: A field of it.
        index: Number of an element, when the field is repeated.
    """

    __slots__ = ("field_name", "index", "name", "origin", "type_name")

    def __init__(
        self,
        name: str,
        type_name: str,
        origin: int | str | Place | None,
        field: str | None = None,
        index: int | None = None,
    ) -> None:
        self.name = name
        self.type_name = type_name
        self.origin = origin
        self.field_name = field
        self.index = index

    def field(self, name: str) -> Place:
        """Return the place of one field of the structure."""
        return Place(self.name, self.type_name, self.origin, name)

    def element(self, field: str, index: int, name: str, type_name: str) -> Place:
        """Return the place of one element of a repeated field, itself a structure."""
        parent = Place(self.name, self.type_name, self.origin, field, index)
        return Place(name, type_name, parent)

    @property
    def base(self) -> int | None:
        """File offset of the structure in bytes."""
        if isinstance(self.origin, Place):
            return self.origin.offset
        if isinstance(self.origin, str):
            return _top_level(self.origin)[0]
        return self.origin

    @property
    def text(self) -> str:
        """The structure and its file offset, for people."""
        base = self.base
        return self.name if base is None else f"{self.name} at {base:#x}"

    @property
    def offset(self) -> int | None:
        """File offset of the field, or of the structure when no field is named, in bytes."""
        base = self.base
        return None if base is None else base + self._span[0]

    @property
    def length(self) -> int:
        """Bytes of the field, or of the structure when no field is named."""
        start, end = self._span
        return end - start

    @property
    def _span(self) -> tuple[int, int]:
        spans = _positions(self.type_name)
        start, end = spans[self.field_name]
        if self.index is None:
            return start, end
        element = _positions(_ELEMENTS[self.type_name, self.field_name])[None][1]
        return start + self.index * element, start + (self.index + 1) * element


IDENTIFIER = Place("file type identifier", "file_type_identifier", 0, "signature")
HEADERS = tuple(Place(f"header {copy}", "header", f"header_{copy}") for copy in (1, 2))
REGION_TABLES = tuple(
    Place(f"region table {copy}", "region_table", f"region_table_{copy}") for copy in (1, 2)
)

# Repeated fields have no elements in a buffer of zeros, so their type is needed.
_ELEMENTS: dict[tuple[str, str | None], str] = {
    ("region_table", "entries"): "region_table_entry",
    ("metadata_table", "entries"): "metadata_table_entry",
    ("parent_locator_item", "key_values"): "parent_locator_entry",
    ("log_entry", "descriptors"): "log_descriptor",
}

# Types that check what they see are parsed from these, all others from zeros.
_STUBS = {"file_type_identifier": b"vhdxfile", "metadata_table": b"metadata"}

# Fields of some bits share their bytes.
_BIT_FIELDS = {
    "metadata_table_entry": ("is_user", "is_virtual_disk", "is_required", "reserved"),
    "file_parameters_item": ("leave_block_allocated", "has_parent", "reserved"),
}


@cache
def _positions(type_name: str) -> dict[str | None, tuple[int, int]]:
    """Return start and end of every field of a struct; None names the whole of it."""
    from ..generated.vhdx_positions import Vhdx as Positions

    stream = KaitaiStream(BytesIO(_STUBS.get(type_name, b"").ljust(MIB, b"\0")))
    class_name = "".join(word.capitalize() for word in type_name.split("_"))
    struct = getattr(Positions, class_name)(stream)
    spans: dict[str | None, tuple[int, int]] = {
        name: (span["start"], span["end"]) for name, span in struct._debug.items()
    }
    bits = _BIT_FIELDS.get(type_name, ())
    if bits:
        spans |= dict.fromkeys(bits, (spans[bits[0]][0], spans[bits[-1]][1]))
    spans[None] = (0, _whole_lengths().get(type_name) or stream.pos())
    return spans


@cache
def _whole_lengths() -> dict[str, int]:
    """Return lengths of the structs that end with bytes which are no field of theirs."""
    return {
        "region_table": _top_level("region_table_1")[1],
        "metadata_table": _metadata_table_place()[1],
    }


class _Probe(_Buffer):
    """An empty file, which notes what the grammar reads last."""

    def __init__(self) -> None:
        super().__init__(_STUBS["file_type_identifier"])
        self.last_read = (0, 0)

    def read_bytes(self, n: int) -> bytes:
        start = self._position
        self._position += n
        self.last_read = (start, n)
        return self._data[start : start + n].ljust(n, b"\0")


@cache
def _top_level(name: str) -> tuple[int, int]:
    """Return file offset and length, in bytes, of a structure at the grammar's top level."""
    probe = _Probe()
    getattr(Vhdx(probe), name)
    return probe.last_read


@cache
def _end_of_identifier() -> int:
    """Return how many bytes the fields of the file type identifier take."""
    probe = _Probe()
    Vhdx(probe)
    return probe.pos()


@cache
def _metadata_table_place() -> tuple[int, int]:
    """Return where the metadata table begins in its region, and its length, in bytes."""
    probe = _Probe()
    with contextlib.suppress(KaitaiStructError):  # there is no signature
        _ = Vhdx.MetadataRegion(0, 0, probe).table
    return probe.last_read
