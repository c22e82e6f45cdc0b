"""What is in a volume, by the marks with which file systems and other things begin."""

from __future__ import annotations

from collections.abc import Iterator

from .disk import Disk
from .volumes import Volume

EXT, NTFS, XFS, BTRFS, FAT = "ext", "NTFS", "XFS", "Btrfs", "FAT"

# The name of each kind, what stands in it, and where.
_MARKS = (
    (EXT, b"\x53\xef", 1080),
    (NTFS, b"NTFS    ", 3),
    (XFS, b"XFSB", 0),
    (BTRFS, b"_BHRfS_M", 0x10040),
    ("ReFS", b"ReFS\0\0\0\0", 3),
    ("exFAT", b"EXFAT   ", 3),
    (FAT, b"FAT32   ", 82),
    (FAT, b"FAT16   ", 54),
    (FAT, b"FAT12   ", 54),
    ("BitLocker", b"-FVE-FS-", 3),
    ("LUKS", b"LUKS\xba\xbe", 0),
    ("LVM", b"LABELONE", 512),
    ("swap", b"SWAPSPACE2", 4086),
)


def kinds_in(disk: Disk, volume: Volume) -> Iterator[str]:
    """Yield what a volume looks like; nothing when it is none of what is known here.

    Args:
        disk: The disk.
        volume: The part of it that is looked at.

    Raises:
        FormatError: What is read of the disk is lost.
    """
    for name, mark, at in _MARKS:
        is_inside = at + len(mark) <= volume.end - volume.start
        if is_inside and disk.pread(len(mark), volume.start + at) == mark:
            yield name
