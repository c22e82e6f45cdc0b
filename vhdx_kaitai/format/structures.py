"""Records of the structures: what the bytes say, as they stand in the file.

Nothing is judged here. `grammar` makes them of bytes, `encode` makes bytes of them.
"""

from __future__ import annotations

from codecs import utf_16_le_decode
from enum import Enum
from uuid import UUID

from ..records import NamedTuple
from .place import Place


class FileTypeIdentifier(NamedTuple):
    """What the file begins with [MS-VHDX 2.2.1]."""

    raw_creator: bytes

    @property
    def creator(self) -> str | None:
        """The creator, up to the first NUL; None when the field is empty.

        Surrogates without a partner are kept: the field is for diagnosis, and
        decoding it must not fail.
        """
        # As `decode` does it, but for a search in Python's table of encodings, which takes longer.
        text, _ = utf_16_le_decode(self.raw_creator, "surrogatepass", True)
        return text.partition("\0")[0] or None


class Header(NamedTuple):
    """One copy of the header [MS-VHDX 2.2.2].

    Attributes:
        place: Where it stands.
        raw: All of its bytes.
        is_signature_valid: Whether it begins as a header does.
        checksum: The CRC-32C that it holds, right or wrong.
        sequence_number: Of two valid copies the greater one is current.
        file_write_guid: Changes when the file is opened for writing.
        data_write_guid: Changes when what a reader of the disk sees may change.
        log_guid: That of the entries to be replayed; zero when there are none.
        log_version: Version of the log's format.
        version: Version of the file's format.
        log_length: Size of the log in bytes.
        log_offset: File offset of the log in bytes.
        reserved: The rest of it.
    """

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
    """Place of one region [MS-VHDX 2.2.3.2].

    Attributes:
        guid: What region it is.
        file_offset: Where it begins, in bytes.
        length: Bytes.
        required: Bit 0 says that who does not know the region must not open the file.
    """

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


class MetadataEntry(NamedTuple):
    """Place and nature of one metadata item [MS-VHDX 2.6.1.2].

    Attributes:
        kind: The grammar's name of a known item's type, `other` for the rest.
        item_id: What item it is, together with `is_user`.
        offset: Bytes from the start of the metadata region.
        length: Bytes.
        is_user: Whether it belongs to a user and not to the system.
        is_virtual_disk: Whether it belongs to the disk and not to the file.
        is_required: Whether who does not know it must not open the file.
        reserved: The other bits of the flags.
        reserved_2: The last field.
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
    """Places of one key and its value in the parent locator, in bytes [MS-VHDX 2.6.2.6.2].

    Attributes:
        ofs_key: Where the key begins, from the start of the locator.
        ofs_value: Where the value begins, likewise.
        len_key: Length of the key.
        len_value: Length of the value.
    """

    ofs_key: int
    ofs_value: int
    len_key: int
    len_value: int


class ParentLocator(NamedTuple):
    """Parent Locator item [MS-VHDX 2.6.2.6.1].

    Attributes:
        place: Where it stands.
        locator_type: Kind of the parent.
        reserved: Reserved field.
        num_key_values: How many entries it says it has.
        len_table: Bytes up to the end of that many entries.
        raw: All of its bytes.
        entries: Those entries; none when their count does not fit.
    """

    place: Place
    locator_type: UUID
    reserved: int
    num_key_values: int
    len_table: int
    raw: bytes
    entries: tuple[KeyValue, ...]


class LogEntryHeader(NamedTuple):
    """Head of a log entry; offsets and lengths in bytes [MS-VHDX 2.3.1.1].

    Attributes:
        is_signature_valid: Whether it begins as an entry does.
        checksum: The CRC-32C of the whole entry that it holds, right or wrong.
        entry_length: Length of the entry.
        tail: Where in the log the oldest entry is that has to be replayed with it.
        sequence_number: One more than that of the entry before.
        num_descriptors: How many changes it makes.
        reserved: Reserved field.
        log_guid: The header's when it was written.
        flushed_file_offset: How long the file has to be at least.
        last_file_offset: How long it has to be made.
    """

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


class LogDescriptor(NamedTuple):
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

    kind: Enum
    file_offset: int
    sequence_number: int
    length: int = 0
    reserved: int = 0
    leading_bytes: bytes = b""
    trailing_bytes: bytes = b""


class DataSector(NamedTuple):
    """Bytes 8 to 4091 of an update, and what surrounds them [MS-VHDX 2.3.1.4]."""

    is_signature_valid: bool
    sequence_number: int
    data: bytes


class LogEntry(NamedTuple):
    """A whole log entry [MS-VHDX 2.3.1].

    Attributes:
        header: Its head.
        descriptors: What it changes.
        padding: Rest of the last descriptor sector.
        data_sectors: One for each data descriptor, if all is well.
        len_descriptor_sectors: Bytes of head, descriptors and padding.
    """

    header: LogEntryHeader
    descriptors: tuple[LogDescriptor, ...]
    padding: bytes
    data_sectors: tuple[DataSector, ...]
    len_descriptor_sectors: int


class BatEntry(NamedTuple):
    """One entry of the BAT; the offset in MiB [MS-VHDX 2.5.1]."""

    state: int
    reserved: int
    file_offset_mb: int
