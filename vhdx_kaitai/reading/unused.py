"""What of a disk nobody needs, by the file systems that are on it.

Those are known: ext2, ext3, ext4 and NTFS, in partitions or all over the disk. Everything else
counts as needed, as does what is in no file system.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Protocol

from ..errors import UnsafeError, UnsupportedError
from ..ranges import Ranges
from .disk import Disk
from .extfs import ExtFileSystem
from .kinds import EXT, NTFS, kinds_in
from .ntfs import NtfsFileSystem
from .volumes import Volume, volumes


class _FileSystem(Protocol):
    """What is asked of a file system, whatever its kind."""

    doubt: str | None

    def free(self) -> Iterator[tuple[int, int]]:
        """Yield what it has free."""


_KINDS = (ExtFileSystem, NtfsFileSystem)
_KNOWN = (EXT, NTFS)

_MOST_RANGES = 2 << 20  # which take half a GiB of memory


def unused(disk: Disk, *, force: bool = False) -> Ranges:
    """Return the ranges of a disk that its file systems have free, as virtual offsets in bytes.

    Of millions of ranges only the first are returned: what comes after counts as needed.

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
        seen = ", ".join(f"{name} at {volume.start}" for name, volume in _others(disk))
        message = "no file system is known here that is on the disk"
        raise _of_disk(disk, UnsupportedError(f"{message} ({seen})" if seen else message))
    if len({volume for _, volume in found}) < len(found):
        message = "there is more than one file system in the same place"
        raise _of_disk(disk, UnsupportedError(message))
    free: list[tuple[int, int]] = []
    for kind, volume in found:
        of_volume = _free(disk, kind(disk, volume), volume, force=force)
        free += islice(of_volume, _MOST_RANGES - len(free))
    return Ranges(free)


def left_alone(disk: Disk) -> Iterator[str]:
    """Yield sentences about parts of a disk that count as needed, for all that is known here.

    Args:
        disk: The disk.

    Raises:
        UnsupportedError: Partitions overlap.
    """
    for name, volume in _others(disk):
        yield f"what {name} at {volume.start} has free is not known here, and stays"


def _others(disk: Disk) -> Iterator[tuple[str, Volume]]:
    """Yield what is on a disk besides file systems that are known."""
    for volume in volumes(disk) or [Volume(0, disk.size)]:
        for name in kinds_in(disk, volume):
            if name not in _KNOWN:
                yield name, volume


def _free(
    disk: Disk, system: _FileSystem, volume: Volume, *, force: bool
) -> Iterator[tuple[int, int]]:
    """Return what a file system has free, if that is to be believed."""
    if system.doubt is not None and not force:
        message = (
            f"the file system at {volume.start} {system.doubt}, so what it says of free space may "
            "not be true; --force (force=True) believes it all the same"
        )
        raise _of_disk(disk, UnsafeError(message))
    return system.free()


def _of_disk(disk: Disk, error: UnsupportedError | UnsafeError) -> UnsupportedError | UnsafeError:
    error.path = disk.image.path
    return error
