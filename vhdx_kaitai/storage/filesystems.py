"""What a file system can do with a file, and where one is mounted: asked of the system."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import struct
from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

from ..units import KIB

# The request to share blocks, and how many bytes are tried: whole blocks of any file
# system, and no more than the headers of an image. `fcntl` has its name from Python 3.13 on.
_CLONE_RANGE = 0x4020940D
_TRIED = 64 * KIB

# The request to make a range of a device zeros, which some do without writing any; and those
# to make a range of a file zeros, one of which keeps the space that it takes, the other does not.
_ZERO_OUT = 0x127F
_ZERO_RANGE = 0x40305839
_PUNCH_HOLE = 0x4030582B

_PAGE = 4 * KIB  # what they take in whole

_MOUNTS = "/proc/mounts"
_MOUNTS_BY_DEVICE = "/proc/self/mountinfo"

# Windows finds files with holes on these, calls them sparse, and refuses them as disks.
_OF_WINDOWS = frozenset(
    ("ntfs", "ntfs3", "fuseblk", "exfat", "vfat", "9p", "drvfs", "cifs", "smb3")
)


def _request(fd: int, number: int, data: bytes) -> bool:
    """Ask the system something about an open file, and tell whether it has done that."""
    try:
        fcntl.ioctl(fd, number, data)
    except (AttributeError, OSError):  # without `fcntl`, too
        return False
    return True


def can_share(fd: int, other: int) -> bool:
    """Tell whether an empty file can have blocks in common with another one.

    Args:
        fd: The empty file, which has a length then.
        other: The other one.
    """
    return _request(fd, _CLONE_RANGE, struct.pack("=qQQQ", other, 0, _TRIED, 0))


def zero_of_device(fd: int, offset: int, length: int) -> bool:
    """Make a range of a block device zeros, and tell whether it can do that by itself."""
    is_aligned = offset % _PAGE == length % _PAGE == 0
    return is_aligned and _request(fd, _ZERO_OUT, struct.pack("=QQ", offset, length))


def zero_of_file(fd: int, offset: int, length: int) -> bool:
    """Make a range inside a file zeros, and tell whether the system can; the space stays its."""
    return _request_for_range(fd, _ZERO_RANGE, offset, length)


def punch_hole(fd: int, offset: int, length: int) -> bool:
    """Make a range inside a file a hole, and tell whether the system can."""
    return _request_for_range(fd, _PUNCH_HOLE, offset, length)


def _request_for_range(fd: int, number: int, offset: int, length: int) -> bool:
    is_aligned = offset % _PAGE == length % _PAGE == 0
    request = struct.pack("=hh4xqqiI16x", os.SEEK_SET, 0, offset, length, 0, 0)
    return is_aligned and _request(fd, number, request)


def refuses_holes(fd: int) -> bool:
    """Tell whether a file is on a file system whose files Windows refuses when they have holes."""
    number = os.fstat(fd).st_dev
    device = f"{os.major(number)}:{os.minor(number)}" if hasattr(os, "major") else None
    for line in _lines(_MOUNTS_BY_DEVICE):
        before, _, after = line.partition(" - ")
        if before.split(" ")[2:3] == [device]:
            return after.split(" ")[0] in _OF_WINDOWS
    return False


def is_block_device(status: os.stat_result) -> bool:
    """Tell whether the system says that something is a block device."""
    return stat.S_ISBLK(status.st_mode)


def is_same_device(one: os.stat_result, two: os.stat_result) -> bool:
    """Tell whether two names are those of one block device."""
    return is_block_device(one) and is_block_device(two) and one.st_rdev == two.st_rdev


def place_of_mount(status: os.stat_result) -> str | None:
    """Return where a device is mounted; None when it is not, as far as the system tells."""
    for line in _lines(_MOUNTS):
        name, place, *_ = line.split(" ")
        with contextlib.suppress(OSError):
            if name.startswith("/") and is_same_device(os.stat(_unescaped(name)), status):
                return _unescaped(place)
    return None


def _lines(path: str) -> Iterator[str]:
    """Yield the lines of a list of the system's; none where there is no such list."""
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="surrogateescape") as f:
        yield from f


def _unescaped(name: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), name)
