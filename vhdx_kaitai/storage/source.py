"""Exact, bounded reads of a file.

A source never returns fewer bytes than asked for: what is not there raises.
Its size is taken once, when it is opened, so that every bound which is checked
later is checked against the same number. Reading is positional and needs no
lock, except for file objects, which have only one position.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from _thread import allocate_lock  # `threading` takes time to import
from collections.abc import Callable, Iterator
from warnings import warn

from ..errors import Finding, Span, TruncatedError
from ..records import TYPE_CHECKING
from .urls import is_url, shown

if TYPE_CHECKING:
    from typing import Any, Protocol, SupportsIndex, TypeAlias

    from typing_extensions import Buffer, TypeIs  # which type checkers have, wherever they run

    class BinaryFile(Protocol):
        """What a binary file object has to have."""

        def read(self, length: int, /) -> bytes:
            """Return that many bytes from the position on, fewer only at the end."""

        def seek(self, offset: int, whence: int = 0, /) -> object:
            """Move the position."""

        def tell(self) -> int:
            """Return the position."""


# What `open_source` takes.
SourceLike: TypeAlias = "Source | str | os.PathLike[str] | Buffer | BinaryFile"

# What opens a file in the place of `os.open`: it is called with a path and flags.
Opener: TypeAlias = Callable[[str, int], int]


class Uncopied:
    """Something that is open: neither copied nor pickled, since a copy would close it, too."""

    def __reduce_ex__(self, _protocol: SupportsIndex, /) -> Any:
        name = type(self).__name__
        raise TypeError(f"cannot copy or pickle {name!r} object, which is open: open it again")


class Source(Uncopied):
    """Bytes of one image, readable at any offset.

    Attributes:
        size: Length in bytes.
        path: Path of the file, None when the bytes come from somewhere else. That of a URL
            is what of it may be told.
        stamp: What tells the file that was opened from another one in its place, and from
            what becomes of it; None when nothing does.
    """

    size: int
    path: str | None = None
    stamp: object = None

    def readinto(self, buffer: memoryview, offset: int) -> None:
        """Fill a buffer with the bytes from a file offset on.

        Raises:
            TruncatedError: Not all of the bytes are there.
        """
        self._check_inside(offset, len(buffer))
        self._fill(buffer, offset)

    def _fill(self, buffer: memoryview, offset: int) -> None:
        raise NotImplementedError

    def _check_inside(self, offset: int, length: int) -> None:
        if not 0 <= offset <= self.size - length:
            raise self._short(offset, length, max(0, self.size - offset) if offset >= 0 else 0)

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from a file offset on.

        The caller has bounded the length.

        Raises:
            TruncatedError: Not all of the bytes are there.
        """
        self._check_inside(offset, length)
        buffer = bytearray(length)
        self.readinto(memoryview(buffer), offset)
        return bytes(buffer)

    def local_file(self, _start: int, _end: int, /) -> FileSource | None:
        """Return the local file that holds a range just as it reads; None when there is none.

        Args:
            _start: File offset in bytes, the same in that file.
            _end: File offset after the range.
        """
        return None

    def data_start(self, offset: int, _end: int, /) -> int:
        """Return where the first data of a range may be, which is not read for that.

        Args:
            offset: File offset in bytes.
            _end: File offset after the range; it is the answer when there are none.
        """
        return offset

    @property
    def location(self) -> str | None:
        """The path by which it was opened, or the URL with what is told to nobody."""
        return self.path

    def address(self) -> str | None:
        """Return by what `open_source` opens the file again; None when nothing does."""
        return None

    def prefetch(self, _start: int, _end: int, /) -> None:
        """Fetch a range at once that is about to be read in parts, where that saves time.

        Args:
            _start: File offset in bytes.
            _end: File offset after the range, which may be past the end of the file.
        """

    def status(self) -> os.stat_result | None:
        """Return what the system says of the file; None when there is none."""
        return None

    def is_same_file(self, other: Source) -> bool:
        """Tell whether another source is over the same file."""
        status, others = self.status(), other.status()
        if status is None or others is None:
            return self is other
        return os.path.samestat(status, others)

    def close(self) -> None:
        """Release what the source holds. Closing twice is harmless."""

    def _short(self, offset: int, length: int, found: int) -> TruncatedError:
        place = Span(f"file at {offset:#x}", offset, length)
        message = f"{found} bytes there, expected {length}"
        return TruncatedError(
            Finding("GEN-09", "error", place, message, f"{length} bytes", f"{found} bytes"),
            self.path,
        )


class _Descriptor(Uncopied, int):
    """The number of an open file, which is closed when nobody holds it any more.

    A thread that reads holds it. Were the file closed meanwhile, the system could
    give the number to another one, and that would be read.
    """

    def __del__(self) -> None:
        os.close(self)


class _NoDescriptor:
    """What is left of it when a file is closed: it refuses to be used as a number."""

    def __index__(self) -> int:
        raise ValueError("the file is closed")


class FileSource(Source):
    """A file or block device, read with positional system calls.

    Attributes:
        fd: Its descriptor; to use it when the file is closed is a ValueError.
    """

    def __init__(self, path: str, opener: Opener | None = None) -> None:
        # Non-blocking, or opening a named pipe would wait for a writer.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
        self.fd: int = _Descriptor((opener or os.open)(path, flags))
        self.path = path
        try:
            status = os.fstat(self.fd)
            mode = status.st_mode
            if stat.S_ISDIR(mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
            if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
                raise OSError(errno.ESPIPE, "not a regular file or block device", path)
            self.size = os.lseek(self.fd, 0, os.SEEK_END)
            self.stamp = _stamp_of(status, self.size)
        except BaseException:
            self.close()
            raise

    def has_changed(self) -> bool:
        """Tell whether somebody has written to the file since it was opened."""
        return _stamp_of(os.fstat(self.fd), os.lseek(self.fd, 0, os.SEEK_END)) != self.stamp

    def address(self) -> str | None:
        """Return its absolute path."""
        return None if self.path is None else os.path.abspath(self.path)

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from a file offset on."""
        if 0 <= offset <= self.size - length:
            data = os.pread(self.fd, length, offset)
            if len(data) == length:
                return data
        return super().read(offset, length)

    def _fill(self, buffer: memoryview, offset: int) -> None:
        wanted = len(buffer)
        done = os.preadv(self.fd, [buffer], offset)
        while done < wanted:  # the end of the file, or more than one call may read
            count = os.preadv(self.fd, [buffer[done:]], offset + done)
            if count == 0:
                raise self._short(offset, wanted, done)
            done += count

    def local_file(self, _start: int, _end: int, /) -> FileSource:
        """Return this file."""
        return self

    def status(self) -> os.stat_result:
        """Return what the system says of the file."""
        return os.fstat(self.fd)

    def hole_end(self, offset: int, end: int) -> int:
        """Return how far a hole goes that begins at an offset; that offset when there is none.

        What was cut off is no hole, and the system does not tell it from one. So the length
        of the file is asked after the hole.

        Args:
            offset: File offset in bytes.
            end: File offset at which the hole ends at the latest.
        """
        try:
            stop = min(end, os.lseek(self.fd, offset, os.SEEK_DATA))
        except OSError as error:
            stop = end if error.errno == errno.ENXIO else offset
        is_there = stop > offset and os.fstat(self.fd).st_size >= stop
        return stop if is_there else offset

    def data_start(self, offset: int, end: int, /) -> int:
        """Return where the first data of a range may be, which is not read for that."""
        return self.hole_end(offset, end)

    def stored_ranges(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield what of a range is no hole, where the system tells.

        Args:
            start: File offset in bytes.
            end: File offset after the range.
        """
        while True:
            start = self.hole_end(start, end)
            if start >= end:
                return
            try:
                stop = min(end, os.lseek(self.fd, start, os.SEEK_HOLE))
            except OSError:  # it cannot tell
                stop = end
            if stop <= start:  # no hole, and yet one: the file was cut, as reading will find
                stop = end
            yield start, stop
            start = stop

    def close(self) -> None:
        """Close the file, as soon as no thread reads it any more."""
        closed: Any = _NoDescriptor()
        self.fd = closed

    def __del__(self) -> None:
        if isinstance(getattr(self, "fd", None), int):
            warn(f"{self.path!r} was not closed", ResourceWarning, source=self, stacklevel=2)


def _stamp_of(status: os.stat_result, size: int) -> object:
    """Return what tells a file of a size in bytes from another one."""
    return size, status.st_ino, status.st_mtime_ns


class RemoteSource(Source):
    """A file at a URL, read by ranges."""

    def __init__(self, url: str) -> None:
        from .remote import Remote  # takes time, and most files are here

        self.path = shown(url)
        self._url = url
        self._remote = Remote(url)
        self.size, self.stamp = self._remote.size, self._remote.stamp
        self._is_closed = False

    def _fill(self, buffer: memoryview, offset: int) -> None:
        if self._is_closed:
            raise ValueError("the file is closed")
        self._remote.fill(buffer, offset)

    @property
    def location(self) -> str:
        """The URL with what is told to nobody."""
        return self._url

    def address(self) -> str:
        """Return the URL."""
        return self._url

    def stamp_text(self) -> str:
        """Return what tells the file that was opened from another one as a text."""
        return ", ".join(f"{name} {value}" for name, value in self._remote.stamp)

    def prefetch(self, start: int, end: int, /) -> None:
        """Fetch a range at once that is about to be read in parts."""
        self._remote.prefetch(start, end)

    def is_same_file(self, other: Source) -> bool:
        """Tell whether another source is over the same URL."""
        return self.location == other.location

    def close(self) -> None:
        """Let nothing be read any more."""
        self._is_closed = True


class BufferSource(Source):
    """Bytes in memory: bytes, a memoryview, an mmap."""

    def __init__(self, data: Any) -> None:
        self._view = memoryview(data).cast("B")
        self.size = len(self._view)

    def _fill(self, buffer: memoryview, offset: int) -> None:
        buffer[:] = self._view[offset : offset + len(buffer)]

    def close(self) -> None:
        """Let go of the buffer, so that an mmap can be closed."""
        self._view.release()


class FileObjectSource(Source):
    """A binary file object. It has one position, so a lock guards seek and read."""

    def __init__(self, file: BinaryFile) -> None:
        self._file = file
        self._lock = allocate_lock()
        self.path = _name_of(file)
        file.seek(0, io.SEEK_END)  # which some do not answer
        self.size = file.tell()

    def _fill(self, buffer: memoryview, offset: int) -> None:
        done = 0
        with self._lock:
            self._file.seek(offset)
            while done < len(buffer):
                data = self._file.read(len(buffer) - done)
                if not data:
                    raise self._short(offset, len(buffer), done)
                if len(data) > len(buffer) - done:
                    raise OSError(errno.EIO, "read() of the file object gives more than asked for")
                buffer[done : done + len(data)] = data
                done += len(data)

    def status(self) -> os.stat_result | None:
        """Return what the system says of the file; None when it is none of the system's."""
        return _status_of(self._file)


def _name_of(file: BinaryFile) -> str | None:
    """Return the path of a file object; members of archives have names that are none."""
    name, status = getattr(file, "name", None), _status_of(file)
    if not isinstance(name, str) or status is None:
        return None
    try:
        return name if os.path.samestat(status, os.stat(name)) else None
    except (OSError, ValueError):
        return None


def _status_of(file: BinaryFile) -> os.stat_result | None:
    try:
        return os.fstat(file.fileno())  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):  # it has no descriptor
        return None


class Cursor:
    """A position in a source: the file object that the Kaitai runtime needs.

    Reading past the end gives fewer bytes, as files do; the runtime turns that
    into an error of its own.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._position = 0

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position and return it."""
        self._position = offset + (0, self._position, self._source.size)[whence]
        return self._position

    def read(self, length: int = -1) -> bytes:
        """Return up to `length` bytes from the position on, and move it."""
        left = max(0, self._source.size - self._position)
        length = left if length < 0 else min(length, left)
        if length == 0:  # wherever the position is
            return b""
        data = self._source.read(self._position, length)
        self._position += length
        return data

    def close(self) -> None:
        """Do nothing: the source belongs to somebody else."""


def open_source(source: SourceLike, opener: Opener | None = None) -> Source:
    """Return a source for a path, a URL, a buffer or a binary file object.

    Args:
        source: Which.
        opener: Opens the file at a path, in the place of `os.open`; not that at a URL.

    Raises:
        OSError: The file cannot be opened.
        UnsupportedError: What is needed for the URL is not installed.
        TypeError: It is none of these.
    """
    if isinstance(source, Source):
        return source
    if isinstance(source, (str, os.PathLike)):
        path = os.fsdecode(source)
        if is_url(path):
            return RemoteSource(path)
        if hasattr(os, "preadv"):
            return FileSource(path, opener)
        return _OwnedFileSource(path, opener)
    if _is_buffer(source):
        return BufferSource(source)
    if hasattr(source, "read") and hasattr(source, "seek"):
        return FileObjectSource(source)
    raise TypeError(f"{type(source).__name__} is no path, buffer or binary file object")


class _OwnedFileSource(FileObjectSource):
    """A file on a system without positional reads."""

    def __init__(self, path: str, opener: Opener | None = None) -> None:
        self._opened = open(path, "rb", opener=opener)  # noqa: SIM115 - closed by close()
        super().__init__(self._opened)
        self.path = path
        status = self.status()
        assert status is not None
        self.stamp = _stamp_of(status, self.size)

    def address(self) -> str | None:
        return None if self.path is None else os.path.abspath(self.path)

    def close(self) -> None:
        self._opened.close()


def _is_buffer(source: Buffer | BinaryFile) -> TypeIs[Buffer]:
    # An mmap has both read() and the buffer protocol; the latter needs no lock.
    try:
        memoryview(source).release()  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


class errors_named:  # noqa: N801 - it is used as a function
    """Lets errors of the system name the file that the user named, and no other."""

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, self._path) from error
