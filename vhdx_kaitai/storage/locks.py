"""Locks on a file that is changed in place, which QEMU sees and whose locks we see.

QEMU has a byte of the file for each thing that it may do to it, and locks it for
reading: 100 and the number of the thing while it does that itself, 200 and the
number while nobody else may. These are 0 to read what has to be consistent, 1 to
write, and 3 to change the length. Whoever writes does all three and shares none.
"""

from __future__ import annotations

import errno
import os
import struct
from typing import Literal, TypeAlias

try:
    import fcntl
except ImportError:  # on Windows, where nothing is written in place
    fcntl = None  # type: ignore[assignment]

from ..errors import InUseError, UnsupportedError, VhdxError

# Whether a file has to be locked: `auto` goes on where the file system has no locks.
Lock: TypeAlias = bool | Literal["auto"]

_BYTES = (100, 101, 103, 200, 201, 203)

_HELD = (errno.EAGAIN, errno.EACCES)
_NOT_THERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


def lock_file(fd: int, path: str, lock: Lock) -> bool:
    """Lock a file that is open for reading and writing, until it is closed.

    Args:
        fd: Its descriptor.
        path: What errors call it.
        lock: Whether it has to be locked.

    Returns:
        Whether it is locked.

    Raises:
        InUseError: Somebody else has it open.
        UnsupportedError: There are no locks, and one is demanded.
    """
    if lock not in ("auto", True, False):
        raise ValueError(f"lock is {lock!r}, expected 'auto', True or False")
    if lock is False:
        return False
    try:
        if hasattr(fcntl, "F_OFD_SETLK"):
            _lock_bytes(fd)
        else:
            _lock_all(fd)
    except OSError as error:
        if error.errno in _HELD:
            message = (
                "in use: another program has the file open, or is changing it; "
                "--no-lock (lock=False) does not ask"
            )
            raise _of(path, InUseError(message)) from None
        if error.errno not in _NOT_THERE:
            raise OSError(error.errno, error.strerror, path) from error
        if lock is True:
            message = "the file cannot be locked here, and a lock is demanded"
            raise _of(path, UnsupportedError(message)) from None
        return False
    return True


def _of(path: str, error: VhdxError) -> VhdxError:
    error.path = path
    return error


def _lock_bytes(fd: int) -> None:
    """Lock the bytes that QEMU locks, and look whether others have locked any of them."""
    for byte in _BYTES:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _request(fcntl.F_RDLCK, byte))
    for byte in _BYTES:  # own locks do not count
        answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _request(fcntl.F_WRLCK, byte))
        if struct.unpack_from("h", answer)[0] != fcntl.F_UNLCK:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def _request(kind: int, byte: int) -> bytes:
    """Return the system's `struct flock` for one byte."""
    return struct.pack("hhqqi0q", kind, os.SEEK_SET, byte, 1, 0)


def _lock_all(fd: int) -> None:
    if fcntl is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
