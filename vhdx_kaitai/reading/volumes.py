"""Where on a disk file systems may be: in its partitions, or all over it.

Partition tables are those of the BIOS (MBR) with logical partitions, and of UEFI (GPT). They
say where to look, no more, so what is odd in one is left out; but of partitions that overlap
nobody knows whose the bytes are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from ..errors import UnsupportedError
from ..ranges import overlapping
from .disk import Disk

_MAGIC = b"\x55\xaa"
_MAGIC_AT = 510
_ENTRIES_AT, _ENTRY = 446, struct.Struct("<4xB3xII")  # type, first sector, sectors
_BOOTABLE = {0x00, 0x80}
_EXTENDED = (0x05, 0x0F, 0x85)
_PROTECTIVE = 0xEE
_MOST_LOGICAL = 128

_GPT = struct.Struct("<8s64xQII")  # signature; first sector of the entries, how many, their size
_GPT_SIGNATURE = b"EFI PART"
_GPT_ENTRY = struct.Struct("<16s16xQQ")  # type; first and last sector
_MOST_ENTRIES, _MOST_LENGTH = 1024, 4096


class Volume(NamedTuple):
    """A range of a disk that may hold a file system; virtual offsets in bytes.

    Attributes:
        start: Its first byte.
        end: After its last byte.
    """

    start: int
    end: int


def volumes(disk: Disk) -> list[Volume]:
    """Return the partitions of a disk in order; none when it has no table, or an empty one.

    Args:
        disk: The disk.

    Raises:
        UnsupportedError: Partitions overlap.
    """
    sector = disk.logical_sector_size
    found = []
    for first, count in _in_sectors(disk):
        start, end = first * sector, (first + count) * sector
        if 0 < start < end <= disk.size:
            found.append(Volume(start, end))
    found.sort()
    for one, other in overlapping((*volume, None) for volume in found):
        message = f"partitions overlap: {one[0]} to {one[1]}, and {other[0]} to {other[1]}"
        raise UnsupportedError(message)
    return found


def _in_sectors(disk: Disk) -> Iterator[tuple[int, int]]:
    """Yield the first sector of each partition, and how many it has.

    A boot sector of NTFS or FAT has the same magic, and code or text where a table has entries.
    So one that says neither yes nor no to whether it is bootable is none, as for Linux.
    """
    if not set(disk.pread(_MAGIC_AT, 0)[_ENTRIES_AT :: _ENTRY.size]) <= _BOOTABLE:
        return
    for kind, first, count in _entries(disk, 0):
        if kind == _PROTECTIVE:
            yield from _of_gpt(disk)
        elif kind in _EXTENDED:
            yield from _logical(disk, first)
        else:
            yield first, count


def _entries(disk: Disk, sector: int) -> list[tuple[int, int, int]]:
    """Return the entries of a table in a sector that are not empty: type, first, sectors."""
    data = disk.pread(512, sector * disk.logical_sector_size)
    if data[_MAGIC_AT:] != _MAGIC:
        return []
    whole = data[_ENTRIES_AT:_MAGIC_AT]
    return [entry for entry in _ENTRY.iter_unpack(whole) if entry[0] and entry[2]]


def _logical(disk: Disk, extended: int) -> Iterator[tuple[int, int]]:
    """Yield the logical partitions of an extended one, each of which has a table of its own."""
    at = extended
    for _ in range(_MOST_LOGICAL):
        following = None
        for kind, first, count in _entries(disk, at):
            if kind in _EXTENDED:
                following = extended + first
            else:
                yield at + first, count
        if following is None or following <= at:
            return
        at = following


def _of_gpt(disk: Disk) -> Iterator[tuple[int, int]]:
    sector = disk.logical_sector_size
    data = disk.pread(_GPT.size, sector)
    if len(data) < _GPT.size:
        return
    signature, first, count, length = _GPT.unpack(data)
    is_odd = length < _GPT_ENTRY.size or length > _MOST_LENGTH or first * sector >= disk.size
    if signature != _GPT_SIGNATURE or is_odd:
        return
    table = disk.pread(min(count, _MOST_ENTRIES) * length, first * sector)
    for at in range(0, len(table) - length + 1, length):
        kind, start, last = _GPT_ENTRY.unpack_from(table, at)
        if any(kind):
            yield start, last - start + 1
