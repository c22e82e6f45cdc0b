"""Locks on a file that is changed in place, which QEMU sees and whose locks we see.

QEMU has a byte of the file for each thing that it may do to it, and locks it for
reading: 100 and the number of the thing while it does that itself, 200 and the
number while nobody else may. These are 0 to read what has to be consistent, 1 to
write, and 3 to change the length. Whoever writes does all three and shares none. Whoever
relies on a parent reads it, and lets nobody else write to it or change its length.
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

_OF_WRITERS = (100, 101, 103, 200, 201, 203)
_OF_CHILDREN = (100, 201, 203)
_AGAINST_CHILDREN = (101, 103, 200)

_IN_USE = "in use: another program has the file open, or is changing it"
_CHANGING = "in use: another program is changing the file, which has to stay as it is for its child"

# What can be done where whoever asks may do without the lock.
HINT = "; --no-lock (lock=False) does not ask"

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
    return _locked(fd, path, lock, _IN_USE + HINT, is_shared=False)


def lock_parent(fd: int, path: str, lock: Lock, *, hint: str = "") -> bool:
    """Keep others from writing to a file that a child relies on, until it is closed.

    Any number may do that at once.

    Args:
        fd: Its descriptor, with which it can be read.
        path: What errors call it.
        lock: Whether it has to be locked.
        hint: What can be done when it cannot be, for the message.

    Returns:
        Whether it is locked.

    Raises:
        InUseError: Somebody has it open to write to it.
        UnsupportedError: There are no locks, and one is demanded.
    """
    return _locked(fd, path, lock, _CHANGING + hint, is_shared=True)


def _locked(fd: int, path: str, lock: Lock, in_use: str, *, is_shared: bool) -> bool:
    if lock not in ("auto", True, False):
        raise ValueError(f"lock is {lock!r}, expected 'auto', True or False")
    if lock is False:
        return False
    try:
        if not hasattr(fcntl, "F_OFD_SETLK"):
            _lock_all(fd, is_shared=is_shared)
        elif is_shared:
            _lock_bytes(fd, _OF_CHILDREN, _AGAINST_CHILDREN)
        else:
            _lock_bytes(fd, _OF_WRITERS, _OF_WRITERS)
    except OSError as error:
        if error.errno in _HELD:
            raise _of(path, InUseError(in_use)) from None
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


def _lock_bytes(fd: int, own: tuple[int, ...], others: tuple[int, ...]) -> None:
    """Lock some bytes of those that QEMU locks, and look whether others have locked some."""
    for byte in own:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _request(fcntl.F_RDLCK, byte))
    for byte in others:  # own locks do not count
        answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _request(fcntl.F_WRLCK, byte))
        if struct.unpack_from("h", answer)[0] != fcntl.F_UNLCK:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def _request(kind: int, byte: int) -> bytes:
    """Return the system's `struct flock` for one byte."""
    return struct.pack("hhqqi0q", kind, os.SEEK_SET, byte, 1, 0)


def _lock_all(fd: int, *, is_shared: bool) -> None:
    if fcntl is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    fcntl.flock(fd, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
