"""What keeps an image from being changed that others rely on, unless that is forced.

A new DataWriteGuid says that the disk reads otherwise than before. Then children do
not take the image for their parent any more [MS-VHDX 2.2.2], and what backups have
recorded of changed blocks is of no use, since they do not see these changes.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator

from ..errors import UnsafeError, VhdxError
from ..format.locator import matching_key
from ..reading.folders import look_into
from ..reading.image import Image
from ..text import counted

# Of change tracking, beside the image that it is about: Hyper-V writes them.
_TRACKING = (".rct", ".mrt")

_NAMED = 3  # children whose names are told


def refuse_what_others_need(image: Image, but: Container[str] = ()) -> None:
    """Raise when others rely on an image that is going to have a new DataWriteGuid, or to go.

    Looked at are the files in its folder, not those below.

    Args:
        image: The image.
        but: Children that are taken care of, by their real paths.

    Raises:
        UnsafeError: There are children of it, or records of change tracking.
    """
    if image.path is None:
        return
    folder, name = os.path.split(os.path.realpath(image.path))
    children = list(_children(image, folder, name, but))
    if children:
        names = ", ".join(children[:_NAMED]) + ", ..." * (len(children) > _NAMED)
        count = counted(len(children), "child", "children")
        _refuse(image, f"{count} of it ({names}) would have no parent any more")
    for suffix in _TRACKING:
        if os.path.lexists(os.path.join(folder, name + suffix)):
            _refuse(image, f"{name}{suffix} records changes for backups, and would miss this one")


def _refuse(image: Image, why: str) -> None:
    error = UnsafeError(f"{why}; --force (force=True) changes it all the same")
    error.path = image.path
    raise error


def _children(image: Image, folder: str, name: str, but: Container[str]) -> Iterator[str]:
    """Yield the names of files in a folder that are children of an image, by its DataWriteGuid."""
    guid = image.headers.current.data_write_guid
    for path in look_into(folder).images:
        if os.path.basename(path) == name or os.path.realpath(path) in but:
            continue
        try:
            with Image(path) as other:
                if other.locator is not None and matching_key(other.locator, guid) is not None:
                    yield os.path.basename(path)
        except (VhdxError, OSError):  # what cannot be opened has no parent now either
            continue
