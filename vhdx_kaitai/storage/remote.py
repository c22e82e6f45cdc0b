"""Files at URLs, read by ranges through fsspec, which knows HTTP, object stores and much else.

Nobody can keep a file at a URL from being replaced while it is read, and bytes of two files
are none of either. So what tells a file from its successor is asked for once, and held:
entity tag, time of modification, generation, length. Over HTTP each answer has to agree
with that, and a server that knows If-Match refuses by itself; other backends are asked
again after each range.

A server may answer anything. So no answer is taken that is not, to the byte, what was
asked for, nor is one read that says it is longer. Whatever goes wrong is an OSError, whose
text has no part of the URL that is a secret.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, TypeAlias

from ..errors import ReplacedError, UnsupportedError, VhdxError
from ..units import KIB, MIB
from .objects import ObjectFile, knows, names_of_objects
from .pages import Pages
from .urls import scheme_of, shown, without

_FIRST = 320 * KIB  # what every image is opened by: headers and region tables
_MOST_ANNOUNCED = 4 * MIB  # what is fetched because it is said to be read

_NUMBER = "([0-9]{1,19})"
_RANGE = re.compile(f"bytes {_NUMBER}-{_NUMBER}/{_NUMBER}")

_QUOTED = re.compile("[!-~]*%[!-~]*")  # not whatever has characters that no URL has

_SECONDS = 300.0  # that a web server may take for a range

_OF_WEB = ("http", "https")

# What file systems of fsspec say of a file and is another thing after a change, each in its way.
_STAMPS = frozenset(
    {
        *("size", "etag", "lastmodified", "modified", "mtime", "updated", "generation"),
        *("versionid", "version", "ino", "sha", "md5hash", "contentmd5", "checksum"),
    }
)
_BEGIN = "created"  # changes with the mode of a local file, too, and is all that some have

# What tells a file from the one that takes its place.
Stamp: TypeAlias = tuple[tuple[str, str], ...]


class Remote:
    """The file at a URL; safe to be read by many threads.

    Attributes:
        size: Its length in bytes.
        stamp: What tells it from one that takes its place.

    Raises:
        UnsupportedError: What knows the scheme is not installed.
        OSError: The file cannot be read, or not by ranges.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        with _told(url):
            file = _file_at(url)
            _refuse_other_length(file.first, min(len(file.first) and _FIRST, file.size))
        self.size, self.stamp = file.size, file.stamp
        self._file = file
        self._pages = Pages(self.size, self._fetch)
        self._pages.keep(file.first)

    def fill(self, view: memoryview, offset: int) -> None:
        """Fill a buffer with the bytes from a file offset on, which are in the file.

        Raises:
            ReplacedError: The file is not the one any more that was opened.
            OSError: They cannot be read.
        """
        self._pages.fill(view, offset)

    def prefetch(self, start: int, end: int) -> None:
        """Fetch a range at once that is about to be read in parts, unless it is a long one."""
        if 0 < end - start <= _MOST_ANNOUNCED:
            self._pages.prefetch(start, end)

    def _fetch(self, start: int, end: int) -> bytes:
        with _told(self._url):
            data = self._file.fetch(start, end)
            _refuse_other_length(data, end - start)
            return data


def _refuse_other_length(data: bytes, length: int) -> None:
    if len(data) != length:
        raise OSError(errno.EIO, f"{length} bytes were asked for, and {len(data)} came")


def names_in(url: str) -> list[str]:
    """Return the names of what is in a folder; none where a file system has no folders.

    Raises:
        OSError: It cannot be looked into.
    """
    if scheme_of(url) in _OF_WEB:
        return []
    with _told(url):
        try:
            system, path = _file_system(url)
        except UnsupportedError:
            if not knows(url):
                raise
            return names_of_objects(url)
        system.invalidate_cache()
        found = system.ls(path, detail=False)
        return sorted(name.rstrip("/").rpartition("/")[2] for name in found)


def _file_at(url: str) -> _OfWeb | _OfStore | ObjectFile:
    try:
        system, path = _file_system(url)
    except UnsupportedError:
        if not knows(url):
            raise
        return ObjectFile(url)
    return (_OfWeb if scheme_of(url) in _OF_WEB else _OfStore)(system, path)


def _file_system(url: str) -> tuple[Any, str]:
    """Return the file system of fsspec that a URL is about, and the path of its file there."""
    scheme = scheme_of(url)
    try:
        from fsspec.core import url_to_fs  # takes time, and most files are here

        # A signature is about the very letters of a URL that is quoted already.
        is_quoted = scheme in _OF_WEB and _QUOTED.fullmatch(url) is not None
        system, path = url_to_fs(url, **({"encoded": True} if is_quoted else {}))
    except ImportError as error:
        install = "pip install 'vhdx-kaitai[remote]'"
        if error.name != "fsspec":
            install = f"{without(str(error), url)}, and {install}"
        raise UnsupportedError(f"what reads {scheme}:// is not installed: {install}") from None
    except ValueError as error:
        raise UnsupportedError(f"no way to read {scheme}://: {without(str(error), url)}") from None
    return system, path


class _OfStore:
    """A file that fsspec has; before and after each range it is asked which it is."""

    first = b""

    def __init__(self, system: Any, path: str) -> None:
        self._system, self._path = system, path
        info = self._info()
        if info.get("type") == "directory":
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        size = info.get("size")
        if not isinstance(size, int) or size < 0:
            raise OSError(errno.EIO, "it is not said how long the file is")
        self.size, self.stamp = size, _stamp_of(info)

    def fetch(self, start: int, end: int) -> bytes:
        try:
            data: bytes = self._system.cat_file(self._path, start=start, end=end)
            return data
        finally:  # an answer out of order has its reason there, too
            if _stamp_of(self._info()) != self.stamp:
                raise ReplacedError from None

    def _info(self) -> Mapping[str, Any]:
        self._system.invalidate_cache()
        info: Mapping[str, Any] = self._system.info(self._path)
        return info


def _stamp_of(info: Mapping[str, Any]) -> Stamp:
    """Return what of the information on a file tells it from its successor."""
    plain = {re.sub("[^a-z0-9]", "", key.lower()): str(value) for key, value in info.items()}
    found = plain.keys() & _STAMPS
    if found == {"size"}:
        found |= plain.keys() & {_BEGIN}
    return tuple((key, plain[key]) for key in sorted(found))


class _OfWeb:
    """A file that a web server has, which says with each range which it is.

    Attributes:
        first: The first bytes of it, which come with that answer.
    """

    size: int
    stamp: Stamp = ()

    def __init__(self, system: Any, url: str) -> None:
        self._system, self._url = system, url
        self._headers = {**system.kwargs.get("headers", {}), "Accept-Encoding": "identity"}
        try:
            self.first = self.fetch(0, _FIRST)
        except _EmptyError:
            self.first, self.size = b"", 0

    def fetch(self, start: int, end: int) -> bytes:
        data: bytes = self._system.cat_file(
            self._url,
            start,
            end,
            headers=self._headers,
            raise_for_status=partial(self._judge, start, end),
            timeout=_SECONDS,
        )
        return data

    async def _judge(self, start: int, end: int, answer: Any) -> None:
        """Refuse an answer that is not the range, before anything of that is read."""
        try:
            self._refuse_status(answer.status, f"{answer.status} {answer.reason}", answer.headers)
            self._refuse_other_range(start, end, answer)
        except BaseException:
            answer.close()
            raise

    def _refuse_status(self, status: int, text: str, headers: Mapping[str, str]) -> None:
        if not self.stamp and (
            status == 416 or (status, headers.get("Content-Length")) == (200, "0")
        ):
            raise _EmptyError
        if status in (412, 416):
            raise ReplacedError
        if status in (404, 410):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if status in (401, 403):
            raise PermissionError(errno.EACCES, f"the server answers {text}")
        if status == 200:
            raise OSError(errno.EIO, "the server does not know ranges, and would send all of it")
        if status != 206:
            raise OSError(errno.EIO, f"the server answers {text}")

    def _refuse_other_range(self, start: int, end: int, answer: Any) -> None:
        headers: Mapping[str, str] = answer.headers
        found = _RANGE.fullmatch(headers.get("Content-Range", ""))
        if found is None:
            raise OSError(errno.EIO, "the server does not say which range it sends")
        low, last, size = map(int, found.groups())
        stamp = _stamp_of(
            {
                "size": size,
                "etag": headers.get("ETag"),
                "last_modified": headers.get("Last-Modified"),
            }
        )
        if not self.stamp:
            self._hold(size, stamp, headers)
            end = min(end, size)
        elif stamp != self.stamp:
            raise ReplacedError
        is_plain = headers.get("Content-Encoding", "identity") == "identity"
        if (low, last + 1, answer.content_length) != (start, end, end - start) or not is_plain:
            raise OSError(errno.EIO, "the server sends another range than was asked for")

    def _hold(self, size: int, stamp: Stamp, headers: Mapping[str, str]) -> None:
        """Demand this file from now on; a weak tag is the same for other bytes, too."""
        self.size, self.stamp = size, stamp
        tag, time = headers.get("ETag"), headers.get("Last-Modified")
        if tag and not tag.startswith("W/"):
            self._headers["If-Match"] = tag
        elif time:
            self._headers["If-Unmodified-Since"] = time


class _EmptyError(Exception):
    """There are no bytes in the file."""


@contextlib.contextmanager
def _told(url: str) -> Iterator[None]:
    """Let whatever a backend raises be an error of ours or the system's, without secrets."""
    try:
        yield
    except VhdxError as error:
        error.path = shown(url)
        raise
    except OSError as error:
        raise _as_of_system(error, url) from None
    except Exception as error:  # each backend has its own
        message = without(str(error).partition("\n")[0], url) or "it fails"
        raise OSError(errno.EIO, f"{type(error).__name__}: {message}", shown(url)) from None


# What backends raise without the number that the system would give.
_NUMBERS: tuple[tuple[type[OSError], int], ...] = (
    (FileNotFoundError, errno.ENOENT),
    (PermissionError, errno.EACCES),
    (IsADirectoryError, errno.EISDIR),
    (TimeoutError, errno.ETIMEDOUT),
)


def _as_of_system(error: OSError, url: str) -> OSError:
    """Return an error with a number, and with the URL as the name of the file."""
    for kind, number in _NUMBERS:
        if isinstance(error, kind) and error.errno is None:
            return OSError(number, os.strerror(number), shown(url))
    message = without(error.strerror or str(error) or type(error).__name__, url)
    return OSError(error.errno or errno.EIO, message, shown(url))
