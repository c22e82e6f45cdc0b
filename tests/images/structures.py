"""The structures of a VHDX file as plain records that pack themselves with `struct`.

Every record holds every field. A field that normally follows from the others (a checksum, a count,
a length) is None for "the right one", so a test that wants it wrong just sets it. `raw` replaces
the whole structure.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from uuid import UUID

from .crc import sealed

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40

ZERO_GUID = UUID(int=0)
BAT_REGION = UUID("2DC27766-F623-4200-9D64-115E9BFD4A08")
METADATA_REGION = UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E")
FILE_PARAMETERS = UUID("CAA16737-FA36-4D43-B3B6-33F0AA44E76B")
VIRTUAL_DISK_SIZE = UUID("2FA54224-CD1B-4876-B211-5DBED83BF4B8")
VIRTUAL_DISK_ID = UUID("BECA12AB-B2E6-4523-93EF-C309E000C746")
LOGICAL_SECTOR_SIZE = UUID("8141BF1D-A96F-4709-BA47-F233A8FAAB5F")
PHYSICAL_SECTOR_SIZE = UUID("CDA348C7-445D-4471-9CC9-E9885251C556")
PARENT_LOCATOR = UUID("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C")
VHDX_LOCATOR_TYPE = UUID("B04AEFB7-D19E-4A81-B789-25B8E9445913")
# Known to Microsoft code, absent from the specification.
CHS_PARAMETERS = UUID("DA02D7BC-3D3A-423C-AC88-2A36AB21479B")
INCOMPLETE_FILE = UUID("71CC85F0-1B69-4E28-9558-C3BF83AE75D3")
PMEM_LABEL_STORAGE = UUID("10E1AE8A-4B7E-4169-A40F-CD70DE928393")

HEADER_OFFSETS = (64 * KIB, 128 * KIB)
REGION_TABLE_OFFSETS = (192 * KIB, 256 * KIB)
HEADER_SECTION = MIB

IS_USER, IS_VIRTUAL_DISK, IS_REQUIRED = 1, 2, 4

NOT_PRESENT, UNDEFINED, ZERO, UNMAPPED, FULLY_PRESENT, PARTIALLY_PRESENT = 0, 1, 2, 3, 6, 7
STATE_NAMES = {
    NOT_PRESENT: "not_present",
    UNDEFINED: "undefined",
    ZERO: "zero",
    UNMAPPED: "unmapped",
    FULLY_PRESENT: "fully_present",
    PARTIALLY_PRESENT: "partially_present",
}
SB_NOT_PRESENT, SB_PRESENT = 0, 6


def utf16(text: str | bytes) -> bytes:
    """Return UTF-16LE without byte order mark; bytes pass as they are."""
    return text if isinstance(text, bytes) else text.encode("utf-16-le", "surrogatepass")


def braced(value: UUID) -> str:
    """Return a GUID as parent locators spell it: in braces, lower case."""
    return "{" + str(value) + "}"


def _overlay(size: int, parts: list[tuple[int, bytes]]) -> bytes:
    out = bytearray(size)
    for offset, data in parts:
        out[offset : offset + len(data)] = data
    if len(out) != size:
        raise ValueError(f"a structure of {size} bytes became {len(out)} bytes long")
    return bytes(out)


@dataclass
class Identifier:
    """The file type identifier at offset 0 [2.2.1]; `reserved` starts at byte 520."""

    creator: str | bytes = "vhdx test images"
    signature: bytes = b"vhdxfile"
    reserved: bytes = b""

    def pack(self) -> bytes:
        """Return the bytes up to the last one that is in use."""
        creator = utf16(self.creator)
        if len(creator) > 512:
            raise ValueError("Creator has room for 256 UTF-16 units")
        return _overlay(
            520 + len(self.reserved), [(0, self.signature), (8, creator), (520, self.reserved)]
        )

    @property
    def creator_text(self) -> str | None:
        """The Creator string up to its first NUL; None when there is none."""
        if isinstance(self.creator, bytes):
            text = self.creator.decode("utf-16-le", "surrogatepass")
        else:
            text = self.creator
        return text.partition("\0")[0] or None


@dataclass
class Header:
    """One of the two 4 KiB headers [2.2.2]; `slack` lies between it and the next 64 KiB."""

    sequence_number: int
    file_write_guid: UUID
    data_write_guid: UUID
    log_guid: UUID = ZERO_GUID
    log_version: int = 0
    version: int = 1
    log_length: int = MIB
    log_offset: int = MIB
    signature: bytes = b"head"
    checksum: int | None = None
    reserved: bytes = b""
    slack: bytes = b""
    raw: bytes | None = None

    @property
    def is_valid(self) -> bool:
        """Whether signature and checksum are right, which is all that validity asks [2.2.2]."""
        return self.raw is None and self.signature == b"head" and self.checksum is None

    def pack(self) -> bytes:
        """Return the header and its slack."""
        if self.raw is not None:
            return self.raw
        fields = struct.pack(
            "<4sIQ16s16s16sHHIQ",
            self.signature,
            self.checksum or 0,
            self.sequence_number,
            self.file_write_guid.bytes_le,
            self.data_write_guid.bytes_le,
            self.log_guid.bytes_le,
            self.log_version,
            self.version,
            self.log_length,
            self.log_offset,
        )
        data = _overlay(4096, [(0, fields), (80, self.reserved)])
        return (sealed(data) if self.checksum is None else data) + self.slack


@dataclass
class RegionEntry:
    """An entry of the region table [2.2.3.2]."""

    guid: UUID
    file_offset: int
    length: int
    required: int = 1

    def pack(self) -> bytes:
        """Return its 32 bytes."""
        return struct.pack(
            "<16sQII", self.guid.bytes_le, self.file_offset, self.length, self.required
        )


@dataclass
class RegionTable:
    """One of the two 64 KiB region tables [2.2.3]; `tail` lies after the last entry."""

    entries: list[RegionEntry]
    entry_count: int | None = None
    reserved: int = 0
    signature: bytes = b"regi"
    checksum: int | None = None
    tail: bytes = b""
    raw: bytes | None = None

    @property
    def is_valid(self) -> bool:
        """Whether signature and checksum are right."""
        return self.raw is None and self.signature == b"regi" and self.checksum is None

    def pack(self) -> bytes:
        """Return its 65536 bytes."""
        if self.raw is not None:
            return self.raw
        count = len(self.entries) if self.entry_count is None else self.entry_count
        head = struct.pack("<4sIII", self.signature, self.checksum or 0, count, self.reserved)
        body = b"".join(entry.pack() for entry in self.entries)
        data = _overlay(64 * KIB, [(0, head + body + self.tail)])
        return sealed(data) if self.checksum is None else data

    def copy(self) -> RegionTable:
        """Return an independent copy."""
        return replace(self, entries=[replace(entry) for entry in self.entries])

    def find(self, guid: UUID) -> RegionEntry:
        """Return the first entry with that GUID."""
        return next(entry for entry in self.entries if entry.guid == guid)


@dataclass
class MetadataItem:
    """A metadata item and its table entry [2.6.1.2]; `offset` counts from the region's start.

    An offset of None puts the item right after the one before it, the first one at 64 KiB;
    an empty item gets offset 0.
    """

    item_id: UUID
    data: bytes
    flags: int
    offset: int | None = None
    length: int | None = None
    reserved2: int = 0

    @property
    def stated_length(self) -> int:
        """The Length field."""
        return len(self.data) if self.length is None else self.length

    def pack(self, offset: int) -> bytes:
        """Return the 32 bytes of the table entry."""
        return struct.pack(
            "<16sIIII",
            self.item_id.bytes_le,
            offset,
            self.stated_length,
            self.flags,
            self.reserved2,
        )


@dataclass
class MetadataTable:
    """The metadata table with its items [2.6.1.1]; `tail` lies after the last entry."""

    items: list[MetadataItem]
    entry_count: int | None = None
    signature: bytes = b"metadata"
    reserved: int = 0
    reserved2: bytes = b""
    tail: bytes = b""

    def placed(self) -> list[tuple[int, MetadataItem]]:
        """Return every item with the offset its entry states."""
        result = []
        cursor = 64 * KIB
        for item in self.items:
            offset = item.offset
            if offset is None:
                offset = cursor if item.data else 0
            if 0 < offset <= 256 * MIB:
                cursor = offset + len(item.data)
            result.append((offset, item))
        return result

    def pack(self) -> list[tuple[int, bytes]]:
        """Return the pieces of the region: the table, then the items."""
        count = len(self.items) if self.entry_count is None else self.entry_count
        head = struct.pack("<8sHH20s", self.signature, self.reserved, count, self.reserved2)
        placed = self.placed()
        table = head + b"".join(item.pack(offset) for offset, item in placed) + self.tail
        pieces = [(0, table)]
        # Items an entry places into the table or far outside have no bytes of their own.
        pieces += [
            (offset, item.data) for offset, item in placed if 64 * KIB <= offset <= 256 * MIB
        ]
        return pieces

    def find(self, item_id: UUID, is_user: bool = False) -> MetadataItem:
        """Return the item with that ItemID and IsUser flag."""
        return next(
            item
            for item in self.items
            if item.item_id == item_id and bool(item.flags & IS_USER) == is_user
        )

    def end(self) -> int:
        """Return where the last item ends, at least 64 KiB."""
        return max([64 * KIB, *(offset + len(item.data) for offset, item in self.placed())])


@dataclass
class LocatorEntry:
    """A key and a value; text or raw bytes; None puts them one after the other [2.6.2.6.2]."""

    key: str | bytes
    value: str | bytes
    key_offset: int | None = None
    value_offset: int | None = None
    key_length: int | None = None
    value_length: int | None = None


@dataclass
class Locator:
    """A parent locator item [2.6.2.6]."""

    entries: list[LocatorEntry]
    locator_type: UUID = VHDX_LOCATOR_TYPE
    reserved: int = 0
    count: int | None = None
    tail: bytes = b""

    @classmethod
    def of(cls, pairs: dict[str, str]) -> Locator:
        """Return a locator with these keys and values, in this order."""
        return cls([LocatorEntry(key, value) for key, value in pairs.items()])

    @property
    def text(self) -> dict[str, str]:
        """Keys and values as text."""
        return {
            utf16(entry.key).decode("utf-16-le", "replace"): utf16(entry.value).decode(
                "utf-16-le", "replace"
            )
            for entry in self.entries
        }

    def find(self, key: str) -> LocatorEntry:
        """Return the entry with that key."""
        return next(entry for entry in self.entries if entry.key == key)

    def set(self, key: str, value: str | bytes) -> None:
        """Give a key a new value, at its place or at the end."""
        for entry in self.entries:
            if entry.key == key:
                entry.value = value
                return
        self.entries.append(LocatorEntry(key, value))

    def remove(self, key: str) -> None:
        """Take an entry out."""
        self.entries.remove(self.find(key))

    def pack(self) -> bytes:
        """Return the item."""
        count = len(self.entries) if self.count is None else self.count
        head = struct.pack("<16sHH", self.locator_type.bytes_le, self.reserved, count)
        cursor = 20 + 12 * len(self.entries)
        table, strings = b"", b""
        for entry in self.entries:
            key, value = utf16(entry.key), utf16(entry.value)
            at_key, at_value = cursor, cursor + len(key)
            strings += key + value
            cursor += len(key) + len(value)
            table += struct.pack(
                "<IIHH",
                at_key if entry.key_offset is None else entry.key_offset,
                at_value if entry.value_offset is None else entry.value_offset,
                len(key) if entry.key_length is None else entry.key_length,
                len(value) if entry.value_length is None else entry.value_length,
            )
        return head + table + strings + self.tail


def bat_entry(state: int, file_offset: int = 0, reserved: int = 0) -> int:
    """Return a BAT entry [2.5.1]; `file_offset` in bytes, `reserved` are bits 3 to 19."""
    if file_offset % MIB:
        raise ValueError("a BAT entry counts in MiB")
    return state | reserved << 3 | file_offset


def windows_locator(
    linkage: UUID, name: str, *, folder: str = "C:\\images", relative: str | None = None
) -> Locator:
    """Return a locator with the five entries Windows writes, in its order and its spelling."""
    volume = "\\\\?\\Volume{0f5c3e2a-0000-0000-0000-100000000000}"
    return Locator.of(
        {
            "parent_linkage": braced(linkage),
            "absolute_win32_path": f"{folder}\\{name}",
            "relative_path": f".\\{name}" if relative is None else relative,
            "volume_path": f"{volume}{folder[2:]}\\{name}",
            "parent_linkage2": braced(ZERO_GUID),
        }
    )
