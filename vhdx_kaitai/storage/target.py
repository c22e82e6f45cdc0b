"""Files that are written: one appears under its name when it is whole, or not at all.

Only this module opens files for writing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
import threading
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

from ..units import KIB
from .source import FileSource

# The request to share blocks, and how many bytes are tried: whole blocks of any file
# system, and no more than the headers of an image. `fcntl` has its name from Python 3.13 on.
_CLONE_RANGE = 0x4020940D
_TRIED = 64 * KIB

_MOST = 512 * KIB  # written at once: more can be ten times slower on ext4

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)

_position = threading.Lock()  # guards those of files where the system writes nowhere else


class OutFile(NamedTuple):
    """A file that is being written.

    Attributes:
        fd: Its descriptor.
        path: What errors of writing call it.
    """

    fd: int
    path: str

    def set_length(self, length: int) -> None:
        """Give the file a length in bytes; what is new of it is a hole."""
        with _errors_named(self.path):
            os.ftruncate(self.fd, length)

    def write(self, data: bytes | memoryview, offset: int) -> None:
        """Write all bytes at an offset."""
        view = memoryview(data)
        done = 0
        with _errors_named(self.path):
            while done < len(view):
                done += _write_at(self.fd, view[done : done + _MOST], offset + done)

    def can_share(self, file: FileSource) -> bool:
        """Tell whether this file, still empty, can have blocks in common with another one."""
        try:
            from fcntl import ioctl

            ioctl(self.fd, _CLONE_RANGE, struct.pack("=qQQQ", file.fd, 0, _TRIED, 0))
        except (ImportError, OSError):
            return False
        self.set_length(0)
        return True

    def share(self, file: FileSource, position: int, length: int, offset: int) -> int:
        """Let a range be that of another file, and return how many bytes that worked for."""
        done = 0
        with contextlib.suppress(OSError):
            while done < length:
                shared = os.copy_file_range(
                    file.fd, self.fd, length - done, position + done, offset + done
                )
                if shared == 0:  # it has been cut
                    break
                done += shared
        return done


def _write_at(fd: int, data: memoryview, offset: int) -> int:
    if hasattr(os, "pwrite"):
        return os.pwrite(fd, data, offset)
    with _position:
        os.lseek(fd, offset, os.SEEK_SET)
        return os.write(fd, data)


@contextlib.contextmanager
def new_file(path: str, *, replace: bool = True) -> Iterator[OutFile]:
    """Open a file for writing that appears under its name when it is whole, or not at all.

    A file that it replaces passes on its mode and its owner, as far as the system
    allows; a symbolic link stays one, and what it leads to is replaced.

    Args:
        path: Path of the file.
        replace: Whether a file that is there may be replaced.

    Yields:
        The file.

    Raises:
        OSError: The file cannot be written; its name is `path`.
    """
    with _errors_named(path):
        if not replace:
            _refuse_existing(path)
        former = _regular_file(path)
        target = os.path.realpath(path) if os.path.islink(path) else path
        fd, partial = _create(os.path.dirname(target), 0o666 if former is None else 0o600)
    try:
        try:
            with _errors_named(path):
                if former is not None:
                    _take_over(fd, former)
            yield OutFile(fd, path)
        finally:
            with _errors_named(path):
                os.close(fd)
        with _errors_named(path):
            if not replace:
                _refuse_existing(path)  # it may have appeared meanwhile
            os.replace(partial, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


def _refuse_existing(path: str) -> None:
    if os.path.lexists(path):
        raise OSError(errno.EEXIST, "exists already")


def _regular_file(path: str) -> os.stat_result | None:
    """Return what the system says of a file that is there; only regular ones can be replaced."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        if not path:  # which would be found out at the end
            raise
        return None
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    return status


def _create(folder: str, mode: int) -> tuple[int, str]:
    """Create a file in a folder under a name that nobody else has; return descriptor and path."""
    for number in count():  # others may be at work here, or were killed
        path = os.path.join(folder, f".vhdx-kaitai-{os.getpid()}-{number}.partial")
        with contextlib.suppress(FileExistsError):
            return os.open(path, _FLAGS, mode), path
    raise AssertionError


def _take_over(fd: int, former: os.stat_result) -> None:
    """Give a file the owner, the group and the mode of the one it is to replace.

    Most users cannot give files away. Then a new group may do what everybody might.
    """
    if not hasattr(os, "fchown"):
        return
    mode = stat.S_IMODE(former.st_mode)
    try:
        os.fchown(fd, former.st_uid, former.st_gid)
    except OSError:
        mode &= ~(stat.S_ISUID | stat.S_ISGID)
        try:
            os.fchown(fd, -1, former.st_gid)
        except OSError:
            mode = mode & ~stat.S_IRWXG | (mode & stat.S_IRWXO) << 3
    os.fchmod(fd, mode)


@contextlib.contextmanager
def _errors_named(path: str) -> Iterator[None]:
    """Let errors of the system name the file that the user named, and no other."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
