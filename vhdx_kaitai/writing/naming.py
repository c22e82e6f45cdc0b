"""How a child names its parent: the keys and values of its locator [MS-VHDX 2.6.2.6.3]."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from ..errors import ParentError, VhdxError
from ..format import encode
from ..format.locator import LINKAGE, PATH_KEYS
from ..guids import NIL, VHDX_PARENT_LOCATOR_TYPE
from ..reading.image import Image
from ..reading.links import Sought, find_parent
from ..storage.urls import is_url

_IS_WINDOWS = os.name == "nt"


def leads_out(path: str | os.PathLike[str], parent: str | os.PathLike[str]) -> bool:
    """Tell whether a parent is neither in the folder of its child nor below.

    Readers do not go there unless they are allowed to.

    Args:
        path: Path of the child.
        parent: Path of the parent.
    """
    folder = os.path.dirname(_place_of(os.fsdecode(path)))
    try:
        way = os.path.relpath(_without_links(os.fsdecode(parent)), folder)
    except ValueError:  # it is on another drive
        return True
    return way.split(os.sep)[0] == os.pardir


def locator_texts(path: str, parent: Image) -> list[tuple[str, str]]:
    """Return keys and values of the parent locator of a child [MS-VHDX 2.6.2.6.3].

    They stand in the order of Windows, but for `parent_linkage2`, which says nothing in a
    new child and, by the text, must not be there (LOC-14). The parent's log need not be
    replayed: its replay, be it ours or that of Windows, leaves the DataWriteGuid (HDR-23).

    Args:
        path: Path of the child.
        parent: The parent.

    Raises:
        VhdxError: No child can recognise this parent.
    """
    linkage = parent.headers.current.data_write_guid
    if linkage == NIL:
        raise _error(parent, "its DataWriteGuid is zero, by which no child can recognise it")
    assert parent.path is not None
    if is_url(parent.path):
        raise _error(parent, "a parent at a URL cannot be named in a child")
    absolute = _without_links(parent.path)
    texts = [(LINKAGE, f"{{{linkage}}}")]
    if _IS_WINDOWS:
        texts.append((PATH_KEYS[2], absolute if absolute[:2] == "\\\\" else f"\\\\?\\{absolute}"))
    with contextlib.suppress(ValueError):  # there is none from one drive to another
        texts.append((PATH_KEYS[0], _relative(absolute, os.path.dirname(_place_of(path)))))
    return texts


def packed_locator(texts: Iterable[tuple[str, str]], parent: Image) -> bytes:
    """Return a parent locator.

    Args:
        texts: Its keys and values.
        parent: The parent that they name.

    Raises:
        VhdxError: A locator cannot hold them.
    """
    try:
        return encode.new_parent_locator(VHDX_PARENT_LOCATOR_TYPE, texts)
    except ValueError as error:
        raise _error(parent, "its path cannot be written as UTF-16, or is too long") from error


def _relative(path: str, folder: str) -> str:
    """Return the way to a file from a folder, as Windows writes it."""
    way = os.path.relpath(path, folder).replace(os.sep, "\\")
    return way if way.startswith("..\\") else f".\\{way}"


def _without_links(path: str) -> str:
    """Return the absolute path of a file by its own name, its folder without links."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(os.path.realpath(folder), name)


def _place_of(path: str) -> str:
    """Return the absolute path at which a new file comes to be."""
    return os.path.realpath(path) if os.path.islink(path) else _without_links(path)


def refuse_lost(child: Image, parent: Image) -> None:
    """Raise unless the paths of a child lead to its parent.

    Raises:
        VhdxError: They do not.
    """
    nowhere = _error(parent, "no path that a child could have leads to it")
    try:
        found, link = find_parent(child, Sought(follow_absolute=True))
    except ParentError as error:
        raise nowhere from error
    with contextlib.closing(found):
        one, other = found.stored.status(), parent.stored.status()
        assert one is not None
        assert other is not None
        if link.key not in PATH_KEYS or not os.path.samestat(one, other):
            raise nowhere


def _error(image: Image, message: str) -> VhdxError:
    error = VhdxError(message)
    error.path = image.path
    return error
