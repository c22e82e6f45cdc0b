"""Files of object stores, where obstore is installed and what fsspec would take is not.

The store itself refuses a range of another file than the one that was opened, so nothing
has to be asked after it.
"""

from __future__ import annotations

import errno
from importlib.util import find_spec
from typing import Any

from ..errors import ReplacedError
from .urls import scheme_of, split

_SCHEMES = frozenset({"s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "adl"})


def knows(url: str) -> bool:
    """Tell whether a file at a URL can be read this way."""
    return scheme_of(url) in _SCHEMES and find_spec("obstore") is not None


def names_of_objects(folder: str) -> list[str]:
    """Return the names of what is in the folder at a URL."""
    import obstore
    from obstore.store import from_url

    found = obstore.list_with_delimiter(from_url(folder))
    paths = [*(entry["path"] for entry in found["objects"]), *found["common_prefixes"]]
    return sorted(path.rstrip("/").rpartition("/")[2] for path in paths)


class ObjectFile:
    """A file of an object store.

    Attributes:
        size: Its length in bytes.
        stamp: What tells it from one that takes its place.
        first: Nothing of it, since it was only asked about.
    """

    first = b""

    def __init__(self, url: str) -> None:
        import obstore
        from obstore.store import from_url

        folder, self._name = split(url)
        self._store = from_url(folder)
        meta = obstore.head(self._store, self._name)
        self.size: int = meta["size"]
        self._tag = meta["e_tag"]
        self.stamp = _stamp_of(meta)

    def fetch(self, start: int, end: int) -> bytes:
        """Return the bytes from a file offset to another."""
        import obstore
        from obstore.exceptions import PreconditionError

        wanted: Any = {"range": (start, end), "if_match": self._tag}
        try:
            answer = obstore.get(self._store, self._name, options=wanted)
        except PreconditionError:
            raise ReplacedError from None
        if _stamp_of(answer.meta) != self.stamp:  # a store without tags
            raise ReplacedError
        if answer.range != (start, end):
            raise OSError(errno.EIO, "the store sends another range than was asked for")
        return bytes(answer.bytes())


def _stamp_of(meta: Any) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(meta[name])) for name in ("e_tag", "last_modified", "size", "version"))
