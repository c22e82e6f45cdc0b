"""Where the partitions of a disk are, by its MBR or its GPT.

Of a disk that is made smaller nothing but that tells what is needed of it, and file systems
are looked for nowhere else. Whatever is in doubt counts as needed: a table that is damaged
needs the whole disk.

Facts that force the design:

* A partition table is made by strangers. Counts and chains are bounded, nothing is followed
  past the end of the disk, and a chain that comes back to itself ends there.
* A file system without a partition table may begin with the signature of an MBR, and has a
  program where the partitions would be. So what cannot be partitions is no table.
* The GPT has a copy at the end of the disk, which needs room there, too.
"""

from __future__ import annotations

import itertools
import struct
from binascii import crc32
from collections.abc import Iterator
from uuid import UUID

from ..records import NamedTuple
from ..units import MIB, ceil_div
from .disk import Disk

_SECTOR_SIZES = (512, 4096)
_MBR_LENGTH = 512
_MBR_SIGNATURE = b"\x55\xaa"
_MBR_ENTRIES, _MBR_ENTRY = 446, struct.Struct("<B3xB3xII")
_FIRST_LOGICAL = 5  # the number of the first logical partition; four entries have those before
_EXTENDED = (0x05, 0x0F, 0x85)
_PROTECTIVE = 0xEE
_DYNAMIC = 0x42  # of Windows' dynamic disks, whose database is in the last MiB of the disk

# Logical partitions that are followed: ours. Linux takes 60, Windows fewer than there are letters.
_MOST_LOGICAL = 256

# Signature, revision, header size, checksum, own sector, that of the copy, first and last
# sector for partitions, GUID, first sector of the entries, their number, size and checksum.
_GPT = struct.Struct("<8sIII4xQQQQ16sQIII")
_GPT_SIGNATURE = b"EFI PART"
_GPT_CHECKSUM = slice(16, 20)
_GPT_ENTRY = struct.Struct("<16s16sQQ8x72s")
_LEAST_GPT_ENTRY = 128
_MOST_GPT_BYTES = MIB  # of entries: ours; 128 of 128 bytes are usual


class Partition(NamedTuple):
    """A range of a disk that a partition table names; virtual offsets in bytes.

    Attributes:
        start: Its first byte.
        end: After its last byte.
        number: Its number, by which Linux, nbdkit and libguestfs call it; None of one that an
            MBR has beside a GPT.
        kind: Its type: a GUID, or the byte of an MBR in hexadecimal, `0x83` for example.
        name: Its name, as it stands in a GPT.
        guid: Its own GUID in a GPT.
    """

    start: int
    end: int
    number: int | None = None
    kind: str = ""
    name: str = ""
    guid: str | None = None


class _Slot(NamedTuple):
    """An entry of an MBR, in sectors."""

    number: int
    kind: int
    first: int
    sectors: int

    @property
    def end(self) -> int:
        """The sector after the last one."""
        return self.first + self.sectors


class PartitionTable(NamedTuple):
    """What a partition table needs of a disk; sizes in bytes.

    Attributes:
        kind: `MBR` or `GPT`.
        end: Virtual offset after the last partition; the end of the disk, or more, when that
            is in doubt.
        backup_length: What the copy of a GPT takes at the end of the disk; 0 of an MBR.
        doubt: Why the whole disk is needed; empty when it is not.
        parts: The partitions, in any order; of an extended one those that are in it.
    """

    kind: str
    end: int
    backup_length: int = 0
    doubt: str = ""
    parts: tuple[Partition, ...] = ()

    @property
    def needed(self) -> int:
        """Bytes that the disk needs to have."""
        return self.end + self.backup_length


def partition_table(disk: Disk) -> PartitionTable | None:
    """Return what the partition table of a disk says; None when there is none.

    Args:
        disk: The disk.

    Raises:
        FormatError: What is read of the disk is lost.
    """
    entries = _mbr(disk, 0)
    own = disk.logical_sector_size
    for sector in (own, *(size for size in _SECTOR_SIZES if size != own)):
        table = _gpt(disk, sector)
        if table is not None:
            return _with_hybrid(table, entries or [], own)
    if not entries:
        return None
    if any(slot.kind == _PROTECTIVE for slot in entries):
        return PartitionTable("GPT", disk.size, doubt="neither copy of the GPT is valid")
    if any(slot.kind == _DYNAMIC for slot in entries):
        return PartitionTable("MBR", disk.size, doubt="it is one of Windows' dynamic disks")
    parts = list(_parts(disk, entries))
    ends = [slot.end for slot in entries]  # extended ones are needed themselves
    end = max(*ends, *(part.end for part in parts), 0)
    return PartitionTable("MBR", end * own, parts=_in_bytes(parts, own))


def _with_hybrid(table: PartitionTable, entries: list[_Slot], sector: int) -> PartitionTable:
    """Return a GPT with those partitions that an MBR has besides."""
    others = [slot for slot in entries if slot.kind != _PROTECTIVE]
    end = max(table.end, *(slot.end * sector for slot in others), 0)
    parts = _in_bytes([slot for slot in others if slot.kind not in _EXTENDED], sector)
    unnumbered = (part._replace(number=None) for part in parts)
    return table._replace(end=end, parts=(*table.parts, *unnumbered))


def _in_bytes(slots: list[_Slot], sector: int) -> tuple[Partition, ...]:
    return tuple(
        Partition(slot.first * sector, slot.end * sector, slot.number, f"{slot.kind:#04x}")
        for slot in slots
    )


# -- MBR ------------------------------------------------------------------------------------------


def _mbr(disk: Disk, sector: int) -> list[_Slot] | None:
    """Return the partitions that a sector names.

    Args:
        disk: The disk.
        sector: The number of the sector.

    Returns:
        None when the sector names none, or is past the end of the disk.
    """
    data = disk.pread(_MBR_LENGTH, sector * disk.logical_sector_size)
    if len(data) < _MBR_LENGTH or data[-len(_MBR_SIGNATURE) :] != _MBR_SIGNATURE:
        return None
    raw = data[_MBR_ENTRIES : -len(_MBR_SIGNATURE)]
    entries = list(_MBR_ENTRY.iter_unpack(raw))
    if any(status not in (0, 0x80) for status, *_ in entries):
        return None
    slots = [_Slot(number, *entry[1:]) for number, entry in enumerate(entries, 1)]
    found = [slot for slot in slots if slot.kind and slot.sectors]
    return found if all(slot.first or slot.kind in _EXTENDED for slot in found) else None


def _parts(disk: Disk, entries: list[_Slot]) -> Iterator[_Slot]:
    """Yield each partition that is no extended one; logical ones are numbered from 5 on."""
    numbers = itertools.count(_FIRST_LOGICAL)
    for slot in entries:
        if slot.kind in _EXTENDED:
            for logical in _logical(disk, slot.first):
                yield logical._replace(number=next(numbers))
        else:
            yield slot


def _logical(disk: Disk, start: int) -> Iterator[_Slot]:
    """Yield each logical partition, its first sector counted from the start of the disk.

    Args:
        disk: The disk.
        start: The first sector of the extended partition, from which links count.
    """
    at, seen = start, set[int]()
    while at not in seen and len(seen) < _MOST_LOGICAL:
        seen.add(at)
        following = at
        for slot in _mbr(disk, at) or ():
            if slot.kind in _EXTENDED:
                following = start + slot.first
            else:
                yield slot._replace(first=at + slot.first)
        at = following


# -- GPT ------------------------------------------------------------------------------------------


def _gpt(disk: Disk, sector: int) -> PartitionTable | None:
    """Return what a GPT needs: the first copy, or the last when that is damaged.

    Args:
        disk: The disk.
        sector: Bytes of its sectors, by which a GPT counts.
    """
    for number in (1, disk.size // sector - 1):
        found = _copy_of_gpt(disk, number, sector)
        if found is not None:
            return found
    return None


def _copy_of_gpt(disk: Disk, number: int, sector: int) -> PartitionTable | None:
    data = disk.pread(sector, number * sector) if number > 0 else b""
    if len(data) < sector:
        return None
    signature, _, length, checksum, own, _, first, _, _, start, count, size, of_entries = (
        _GPT.unpack_from(data)
    )
    if signature != _GPT_SIGNATURE or own != number or not _GPT.size <= length <= sector:
        return None
    head = bytearray(data[:length])
    head[_GPT_CHECKSUM] = bytes(4)
    if crc32(head) != checksum:
        return None
    if size < _LEAST_GPT_ENTRY or size % 8 or not 0 < count * size <= _MOST_GPT_BYTES:
        return None
    entries = disk.pread(count * size, start * sector)
    if len(entries) < count * size or crc32(entries) != of_entries:
        return None
    length_of_entries = ceil_div(count * size, sector)
    end = max(first, 2 + length_of_entries)  # of a disk without partitions
    parts = []
    for number, at in enumerate(range(0, count * size, size), 1):
        kind, guid, low, high, name = _GPT_ENTRY.unpack_from(entries, at)
        if any(kind):
            own = low * sector, (high + 1) * sector
            parts.append(Partition(*own, number, _guid(kind), _name(name), _guid(guid)))
            end = max(end, low + 1, high + 1)
    backup = (length_of_entries + 1) * sector
    return PartitionTable("GPT", end * sector, backup, parts=tuple(parts))


def _guid(data: bytes) -> str:
    return str(UUID(bytes_le=data))


def _name(data: bytes) -> str:
    """Return a name, up to its end, with surrogates as they stand."""
    return data.decode("utf-16-le", "surrogatepass").partition("\0")[0]
