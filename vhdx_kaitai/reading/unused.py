"""What of a disk nobody needs, by the file systems that are on it.

Those are known: ext2, ext3, ext4 and NTFS, in partitions or all over the disk. Everything else
counts as needed, as does what is in no file system.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from ..errors import UnsafeError, UnsupportedError
from ..ranges import Ranges
from .disk import Disk
from .extfs import ExtFileSystem
from .ntfs import NtfsFileSystem
from .volumes import Volume, volumes


class _FileSystem(Protocol):
    """What is asked of a file system, whatever its kind."""

    doubt: str | None

    def free(self) -> Iterator[tuple[int, int]]:
        """Yield what it has free."""


_KINDS = (ExtFileSystem, NtfsFileSystem)


def unused(disk: Disk, *, force: bool = False) -> Ranges:
    """Return the ranges of a disk that its file systems have free, as virtual offsets in bytes.

    Args:
        disk: The disk.
        force: Whether to believe a file system that was not cleanly unmounted, is that of a
            hibernated Windows, or has shadow copies.

    Raises:
        UnsupportedError: There is none that is known, or one is damaged.
        UnsafeError: What one says may not be true.
    """
    whole = Volume(0, disk.size)
    parts = volumes(disk)
    if parts and any(kind.is_in(disk, whole) for kind in _KINDS):
        message = "there are partitions on the disk, and a file system over all of it, too"
        raise _of_disk(disk, UnsupportedError(message))
    found = [(kind, part) for part in parts or [whole] for kind in _KINDS if kind.is_in(disk, part)]
    if not found:
        raise _of_disk(disk, UnsupportedError("no file system is known here that is on the disk"))
    if len({volume for _, volume in found}) < len(found):
        message = "there is more than one file system in the same place"
        raise _of_disk(disk, UnsupportedError(message))
    free: list[tuple[int, int]] = []
    for kind, volume in found:
        free += _free(disk, kind(disk, volume), volume, force=force)
    return Ranges(free)


def _free(
    disk: Disk, system: _FileSystem, volume: Volume, *, force: bool
) -> Iterator[tuple[int, int]]:
    """Return what a file system has free, if that is to be believed."""
    if system.doubt is not None and not force:
        message = (
            f"the file system at {volume.start} {system.doubt}, so what it says of free space may "
            "not be all; --force (force=True) believes it all the same"
        )
        raise _of_disk(disk, UnsafeError(message))
    return system.free()


def _of_disk(disk: Disk, error: UnsupportedError | UnsafeError) -> UnsupportedError | UnsafeError:
    error.path = disk.image.path
    return error
