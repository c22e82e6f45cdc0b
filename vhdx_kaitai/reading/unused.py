"""What of a disk nobody needs, by the file systems that are on it.

Those are known: ext2, ext3 and ext4, in partitions or all over the disk. Everything else counts
as needed, as does what is in no file system.
"""

from __future__ import annotations

from ..errors import UnsafeError, UnsupportedError
from ..ranges import Ranges
from .disk import Disk
from .extfs import ExtFileSystem
from .volumes import Volume, volumes


def unused(disk: Disk, *, force: bool = False) -> Ranges:
    """Return the ranges of a disk that its file systems have free, as virtual offsets in bytes.

    Args:
        disk: The disk.
        force: Whether to believe a file system that was not cleanly unmounted.

    Raises:
        UnsupportedError: There is none that is known, or one is damaged.
        UnsafeError: One was not cleanly unmounted.
    """
    whole = Volume(0, disk.size)
    parts = volumes(disk)
    if parts and ExtFileSystem.is_in(disk, whole):
        message = "there are partitions on the disk, and a file system over all of it, too"
        raise _of_disk(disk, UnsupportedError(message))
    found = [part for part in parts or [whole] if ExtFileSystem.is_in(disk, part)]
    if not found:
        raise _of_disk(disk, UnsupportedError("no file system is known here that is on the disk"))
    free: list[tuple[int, int]] = []
    for volume in found:
        system = ExtFileSystem(disk, volume)
        if not (system.is_clean or force):
            message = (
                f"the file system at {volume.start} was not cleanly unmounted, so what it says "
                "of free space may be old; --force (force=True) believes it all the same"
            )
            raise _of_disk(disk, UnsafeError(message))
        free += system.free()
    return Ranges(free)


def _of_disk(disk: Disk, error: UnsupportedError | UnsafeError) -> UnsupportedError | UnsafeError:
    error.path = disk.image.path
    return error
