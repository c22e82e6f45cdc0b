"""URLs as text: which paths are some, what of one may be told, and what lies beside it.

Nothing is asked of anybody here. Only `remote` knows what is at a URL.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import cache

from ..errors import UnsupportedError
from ..records import NamedTuple

# One letter would be a drive of Windows.
_SCHEME = "[A-Za-z][A-Za-z0-9+.-]+://"


@cache
def _url(no: str) -> re.Pattern[str]:
    """Return the pattern of a URL in four parts, the second and last of which are told to nobody.

    They are the scheme; user and password; host and path; and the rest, which may hold a
    signature. A URL that goes on after `::`, as that of a file in an archive does, is two.

    Args:
        no: Characters that it does not have, as a set of a pattern has them.
    """
    more = f"(?!::{_SCHEME})"
    return re.compile(f"({_SCHEME})([^/?#{no}]*@)?((?:{more}[^?#{no}])*)([?#](?:{more}[^{no}])*)?")


_ALONE, _IN_TEXT = r"\0", r"\s'\"<>"  # what a URL does not have when it is a path, or in a text
_LEFT_OUT = "..."

_SHORTEST_SECRET = 4

# In these a container stands where others have a user.
_WITH_CONTAINER = ("abfs://", "abfss://", "wasb://", "wasbs://")

# Those whose paths are quoted, and may be followed by a query.
_OF_THE_WEB = ("http://", "https://")


def is_url(path: str) -> bool:
    """Tell whether a path is a URL; a local file of that name stays one."""
    return "://" in path and bool(re.match(_SCHEME, path)) and not os.path.lexists(path)


def scheme_of(url: str) -> str:
    """Return the scheme of a URL."""
    return url.partition("://")[0].lower()


def shown(path: str) -> str:
    """Return a path as it may be told to anybody: a URL without credentials and query."""
    return _url(_ALONE).sub(_without_secrets, path) if is_url(path) else path


def refuse_url(path: str) -> None:
    """Raise when a path is a URL, for what is there is only read.

    Raises:
        UnsupportedError: It is one.
    """
    if is_url(path):
        error = UnsupportedError("files at URLs are read only: nothing is written there")
        error.path = shown(path)
        raise error


def told(text: str) -> str:
    """Return a text in which no URL has credentials or a query."""
    return _url(_IN_TEXT).sub(_without_secrets, text) if "://" in text else text


def _without_secrets(match: re.Match[str]) -> str:
    scheme, user, place, query = match.groups()
    if user and (":" in user or scheme.lower() not in _WITH_CONTAINER):
        user = f"{_LEFT_OUT}@"
    return f"{scheme}{user or ''}{place}{query[0] + _LEFT_OUT if query else ''}"


def without(text: str, url: str) -> str:
    """Return a text in which neither a URL nor that one in another form tells a secret."""
    for scheme, user, _, query in _url(_ALONE).findall(url):
        parts = [query[1:]]
        if scheme.lower() not in _WITH_CONTAINER:
            parts += [user[:-1], user[:-1].partition(":")[2]]
        for part in parts:
            if len(part) >= _SHORTEST_SECRET:  # others stand in many a word
                text = text.replace(part, _LEFT_OUT)
    return told(text)


class _Parts(NamedTuple):
    """A URL, taken apart where the path of its file ends.

    Attributes:
        path: Scheme, host and path.
        rest: The query, and what the file is in when that is a file of its own.
    """

    path: str
    rest: str


def _parts(url: str) -> _Parts:
    path, mark, outer = url.partition("::")
    rest = mark + outer
    if path.lower().startswith(_OF_THE_WEB):
        found = re.search(r"[?#]", path)
        if found is not None:
            path, rest = path[: found.start()], path[found.start() :] + rest
    return _Parts(path, rest)


def split(url: str) -> tuple[str, str]:
    """Return the URL of the folder in which a file is, and its name in there."""
    path, rest = _parts(url)
    folder, _, name = path.rpartition("/")
    return f"{folder}/{rest}", _plain(path, name)


def below(folder: str, names: Sequence[str]) -> str:
    """Return the URL to which names lead from that of a folder down.

    A query goes along: what opens a file may open those beside it.
    """
    path, rest = _parts(folder)
    between = "" if path.endswith("/") else "/"
    if path.lower().startswith(_OF_THE_WEB):
        from urllib.parse import quote  # takes time, and few children are there

        names = [quote(name) for name in names]
    return path + between + "/".join(names) + rest


def above(folder: str, steps: int) -> str:
    """Return the URL some steps above that of a folder, on the same host or in the same bucket."""
    path, rest = _parts(folder)
    scheme, _, place = path.partition("://")
    names = place.rstrip("/").split("/")
    kept = names[: max(1, len(names) - steps)]
    return f"{scheme}://{'/'.join(kept)}/{rest}"


def names_on_the_way(url: str) -> list[str]:
    """Return the host or bucket of a URL and the names that lead from there to its file."""
    path, _ = _parts(url)
    return [_plain(path, name) for name in path.partition("://")[2].split("/") if name]


def _plain(path: str, name: str) -> str:
    if not path.lower().startswith(_OF_THE_WEB):
        return name
    from urllib.parse import unquote

    return unquote(name)
