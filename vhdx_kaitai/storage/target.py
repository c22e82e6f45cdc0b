"""Files that are written: new ones, and those that are changed in place.

A new one appears under its name when it is whole, or not at all. One that is
changed in place has few verbs, for which tests have another file, that cuts the
power: read, write, zero, set_length, allocate, flush, close.
A block device is written where it stands: nothing can take its place. An image that is
on one is not changed in place. Only this module opens files for writing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import threading
from collections.abc import Iterator
from functools import cached_property
from itertools import count
from typing import Any

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

from ..errors import UnsupportedError
from ..records import NamedTuple
from ..units import KIB, MIB
from . import filesystems
from .locks import Lock, lock_file
from .source import FileSource, Source, errors_named
from .urls import refuse_url

_MOST_ZEROS = 64 * MIB  # asked for of a device at once, so that it can be interrupted
_MANY_ZEROS = 64 * KIB  # that are worth a request to a file system

_MOST = 512 * KIB  # written at once: more can be ten times slower on ext4

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_OF_DEVICES = os.O_WRONLY | os.O_EXCL  # refused when the system uses it or a part of it

# Writes at an offset what the system takes at once; who has found out where something stands
# in the file of a `FileTarget` writes there without a detour. Other systems have no such file.
pwrite_file: Any = getattr(os, "pwrite", None)

_position = threading.Lock()  # guards those of files where the system writes nowhere else


class OutFile(NamedTuple):
    """A file that is being written.

    Attributes:
        fd: Its descriptor.
        path: What errors of writing call it.
        place: Where it is until it is whole; None of what is written where it stands.
    """

    fd: int
    path: str
    place: str | None = None

    @property
    def is_blank(self) -> bool:
        """Whether what is not written of it is zeros."""
        return True

    def set_length(self, length: int) -> None:
        """Give the file a length in bytes; what is new of it is a hole."""
        with errors_named(self.path):
            os.ftruncate(self.fd, length)

    def write(self, data: bytes | memoryview, offset: int) -> None:
        """Write all bytes at an offset."""
        with errors_named(self.path):
            _write_all(self.fd, data, offset)

    def allocate(self, length: int) -> None:
        """Give the file a length in bytes, and the room for all of it; what is new is zeros."""
        with errors_named(self.path):
            _allocate(self.fd, 0, length)

    def lengthen(self, length: int) -> None:
        """Give an image its length in bytes; it has holes where Windows does not refuse them."""
        if filesystems.refuses_holes(self.fd):
            self.allocate(length)
        else:
            self.set_length(length)

    def flush(self) -> None:
        """Return when all that was written is on the medium, as far as the system knows."""
        with errors_named(self.path):
            _flush(self.fd)

    def begin_flush(self, start: int, end: int) -> None:
        """Let the system begin to write a range out, so that less is left for a flush.

        Linux does so when it is told that nobody wants the range any more; what it has not
        written out yet it keeps all the same.

        Args:
            start: Its place in bytes.
            end: The place after it.
        """
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                os.posix_fadvise(self.fd, start, end - start, os.POSIX_FADV_DONTNEED)

    def reopen(self, _path: str, _flags: int) -> int:
        """Return another descriptor of the file, to read it: an opener, as sources take one."""
        return os.dup(self.fd)

    def write_zeros(self, _length: int, _offset: int) -> None:
        """Make a range zeros that nothing has been written to, which it is in a new file.

        Args:
            _length: Bytes.
            _offset: Its place in bytes.
        """

    def can_share(self, file: FileSource) -> bool:
        """Tell whether this file, still empty, can have blocks in common with another one."""
        if not filesystems.can_share(self.fd, file.fd):
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


class Device(OutFile):
    """A block device that is being written; what is past the end of what is written stays."""

    @property
    def is_blank(self) -> bool:
        """Whether what is not written of it is zeros: what was on it stays."""
        return False

    def set_length(self, length: int) -> None:
        """Refuse a length in bytes that is more than the device has."""
        with errors_named(self.path):
            size = os.lseek(self.fd, 0, os.SEEK_END)
            if length > size:
                message = f"the device is {size} bytes long, expected at least {length}"
                raise OSError(errno.ENOSPC, message)

    def can_share(self, _file: FileSource) -> bool:
        """Return False: devices have no blocks in common with files."""
        return False

    def write_zeros(self, length: int, offset: int) -> None:
        """Make a range zeros, by the device itself where it can."""
        end = offset + length
        while offset < end:
            count = min(end, offset - offset % _MOST_ZEROS + _MOST_ZEROS) - offset
            if not filesystems.zero_of_device(self.fd, offset, count):
                count = min(count, _MOST - offset % _MOST)
                self.write(bytes(count), offset)
            offset += count


def _allocate(fd: int, offset: int, length: int) -> None:
    """Have room for a range of a file, which is made longer for that with zeros."""
    end = os.fstat(fd).st_size
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, offset, length)
    elif sys.platform == "win32":  # where files have no holes unless that is asked for
        os.ftruncate(fd, max(end, offset + length))
    else:
        for start in range(max(offset, end), offset + length, _MOST):
            _write_all(fd, bytes(min(_MOST, offset + length - start)), start)


def _write_all(fd: int, data: bytes | memoryview, offset: int) -> None:
    view = memoryview(data)
    done = _write_at(fd, view, offset) if len(view) <= _MOST else 0
    while done < len(view):
        done += _write_at(fd, view[done : done + _MOST], offset + done)


def _write_at(fd: int, data: memoryview, offset: int) -> int:
    if hasattr(os, "pwrite"):
        return os.pwrite(fd, data, offset)
    with _position:
        os.lseek(fd, offset, os.SEEK_SET)
        return os.write(fd, data)


class Target(Source):
    """A file that is changed in place.

    What was written may be lost when the power fails, all of it or any part, in
    any order, until a flush that began after it has returned.

    Attributes:
        is_locked: Whether other programs that ask are kept away from it.
    """

    is_locked = False

    def address(self) -> None:
        """Return None: a file is opened once to be written."""

    def write(self, data: bytes | memoryview, offset: int) -> None:
        """Write all bytes at a file offset; the file becomes longer to hold them."""
        raise NotImplementedError

    def zero(self, offset: int, length: int) -> None:
        """Let a range inside the file read as zeros; what does so already costs nothing."""
        raise NotImplementedError

    def punch(self, offset: int, length: int) -> bool:
        """Let a range inside the file be a hole, and tell whether that is possible.

        Args:
            offset: File offset in bytes, a multiple of 4096.
            length: Bytes, a multiple of 4096.
        """
        self.zero(offset, length)
        return True

    def set_length(self, length: int) -> None:
        """Give the file a length in bytes; what is new of it reads as zeros."""
        raise NotImplementedError

    def allocate(self, offset: int, length: int) -> None:
        """Have room on the medium for a range inside the file, so that writing it does not fail.

        It reads as before. A file without holes has that room.
        """

    def flush(self) -> None:
        """Return when all that was written is on the medium.

        It is not to be tried again when it fails: the system may have given up what it could
        not write, and say nothing of it the next time.
        """
        raise NotImplementedError


class FileTarget(Target, FileSource):
    """A file that is changed in place.

    Args:
        path: Its path; a symbolic link is followed.
        lock: Whether it has to be locked.

    Raises:
        InUseError: Somebody else has it open.
        OSError: It cannot be opened for reading and writing.
        UnsupportedError: That cannot be done on this system, or there, or not with a lock.
    """

    def __init__(self, path: str, lock: Lock = "auto") -> None:
        if not hasattr(os, "preadv"):
            raise UnsupportedError("on this system no file is changed in place yet")
        super().__init__(path, _open_to_change)
        self._name = path
        try:
            self.is_locked = lock_file(int(self.fd), path, lock)  # an error does not hold it
            self.size = os.lseek(self.fd, 0, os.SEEK_END)  # it may have changed before the lock
        except BaseException:
            self.close()
            raise

    def write(self, data: bytes | memoryview, offset: int) -> None:
        """Write all bytes at a file offset; the file becomes longer to hold them."""
        with errors_named(self._name):
            _write_all(self.fd, data, offset)
        self.size = max(self.size, offset + len(data))

    def zero(self, offset: int, length: int) -> None:
        """Let a range inside the file read as zeros; what is a hole stays one.

        What is stored keeps its space, which the next write needs perhaps.
        """
        zeros = memoryview(bytes(min(length, _MOST)))
        for start, end in self.stored_ranges(offset, offset + length):
            if end - start >= _MANY_ZEROS and filesystems.zero_of_file(self.fd, start, end - start):
                continue
            for position in range(start, end, _MOST):
                self.write(zeros[: end - position], position)

    def punch(self, offset: int, length: int) -> bool:
        """Let a range inside the file be a hole, and tell whether that is possible."""
        return filesystems.punch_hole(self.fd, offset, length)

    def set_length(self, length: int) -> None:
        """Give the file a length in bytes; what is new of it is a hole, where that may be."""
        with errors_named(self._name):
            if length > self.size and self._refuses_holes:
                _allocate(self.fd, self.size, length - self.size)
            else:
                os.ftruncate(self.fd, length)
        self.size = length

    def allocate(self, offset: int, length: int) -> None:
        """Have room on the medium for a range inside the file."""
        with errors_named(self._name):
            _allocate(self.fd, offset, length)

    @cached_property
    def _refuses_holes(self) -> bool:
        return filesystems.refuses_holes(self.fd)

    def flush(self) -> None:
        """Return when all that was written is on the medium, as far as the system knows."""
        with errors_named(self._name):
            _flush(self.fd)


def _open_to_change(path: str, flags: int) -> int:
    refuse_url(path)
    if is_device(path):
        raise UnsupportedError("an image on a block device is not changed in place: copy it first")
    return os.open(path, flags | os.O_RDWR)


def _flush(fd: int) -> None:
    """Write out what the system holds back of a file; macOS has another call for the medium."""
    if sys.platform == "darwin":
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        getattr(os, "fdatasync", os.fsync)(fd)


def _flush_folder(path: str) -> None:
    """Let a name that is new in a folder be on the medium, where the system has a way for that."""
    flags = getattr(os, "O_DIRECTORY", None)
    if flags is None:  # on Windows
        return
    fd = os.open(path or os.curdir, os.O_RDONLY | flags)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP):  # some do not do that
            raise
    finally:
        os.close(fd)


@contextlib.contextmanager
def device(path: str) -> Iterator[Device]:
    """Open a block device for writing, which nobody else uses; all is on it at the end.

    Args:
        path: Its path.

    Yields:
        The device. What is written to it stays, whatever fails later.

    Raises:
        OSError: It is mounted or in use, or cannot be written; its name is `path`.
    """
    with errors_named(path):
        mounted = filesystems.place_of_mount(os.stat(path))
        if mounted is not None:
            raise OSError(errno.EBUSY, f"is mounted at {mounted}")
        try:
            fd = os.open(path, _OF_DEVICES)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            raise OSError(errno.EBUSY, "the device or a part of it is in use") from error
    try:
        with errors_named(path):
            if not filesystems.is_block_device(os.fstat(fd)):
                raise OSError(errno.ENOTBLK, "is no block device any more")
        yield Device(fd, path)
        with errors_named(path):
            os.fsync(fd)
    finally:
        os.close(fd)


def is_device(path: str) -> bool:
    """Tell whether there is a block device under a name."""
    try:
        return filesystems.is_block_device(os.stat(path))
    except OSError:
        return False


@contextlib.contextmanager
def new_file(path: str, *, replace: bool = True, is_durable: bool = False) -> Iterator[OutFile]:
    """Open a file for writing that appears under its name when it is whole, or not at all.

    A file that it replaces passes on its mode and its owner, as far as the system
    allows; a symbolic link stays one, and what it leads to is replaced.

    Args:
        path: Path of the file.
        replace: Whether a file that is there may be replaced.
        is_durable: Whether all of it has to be on the medium before it has its name, and the
            name when this returns; otherwise a cut of the power may leave the name alone.

    Yields:
        The file.

    Raises:
        OSError: The file cannot be written; its name is `path`.
        UnsupportedError: The path is a URL.
    """
    with errors_named(path):
        if not replace:
            _refuse_existing(path)
        former = _regular_file(path)
        target = os.path.realpath(path) if os.path.islink(path) else path
        fd, partial = _create(os.path.dirname(target), 0o666 if former is None else 0o600)
    try:
        try:
            with errors_named(path):
                if former is not None:
                    _take_over(fd, former)
            out = OutFile(fd, path, partial)
            yield out
            if is_durable:
                out.flush()
        finally:
            with errors_named(path):
                os.close(fd)
        with errors_named(path):
            if not replace:
                _refuse_existing(path)  # it may have appeared meanwhile
            os.replace(partial, target)
            if is_durable:
                _flush_folder(os.path.dirname(target))
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


def remove_file(path: str, status: os.stat_result) -> None:
    """Remove a file and a link that leads to it, for good; another one in its place stays."""
    with errors_named(path):
        if not os.path.samestat(os.stat(path), status):
            raise OSError(errno.ESTALE, "is another file by now, and stays")
        for name in (os.path.realpath(path), *([path] if os.path.islink(path) else ())):
            os.unlink(name)
            _flush_folder(os.path.dirname(name))


def _refuse_existing(path: str) -> None:
    if os.path.lexists(path):
        raise OSError(errno.EEXIST, "exists already")


def _regular_file(path: str) -> os.stat_result | None:
    """Return what the system says of a file that is there; only regular ones can be replaced."""
    refuse_url(path)
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
