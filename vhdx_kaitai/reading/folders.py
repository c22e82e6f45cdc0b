"""Which files of a folder are images."""

from __future__ import annotations

import os
from contextlib import closing

from ..format.headers import probe
from ..names import OF_IMAGES
from ..records import NamedTuple
from ..storage.source import open_source

_PERHAPS = ".vhd"  # that of another format, and of images that were given a wrong name
_LEN_SIGNATURE = 8


class Folder(NamedTuple):
    """What is in a folder, in the order of the names.

    Attributes:
        images: Paths of the VHDX files, which may be damaged.
        folders: Paths of the folders in it, without symbolic links.
    """

    images: list[str]
    folders: list[str]


def look_into(path: str) -> Folder:
    """Return which files of a folder are images, by their names.

    A file with the name of a VHD file is one when its signature says so, or when
    it cannot be read, so that whoever opens it is told why.

    Args:
        path: Path of the folder.

    Raises:
        OSError: It cannot be read.
    """
    found = Folder([], [])
    with os.scandir(path) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_dir():
                if not entry.is_symlink():
                    found.folders.append(entry.path)
            elif _is_image(entry.path):
                found.images.append(entry.path)
    return found


def _is_image(path: str) -> bool:
    suffix = os.path.splitext(path)[1].lower()
    if suffix != _PERHAPS:
        return suffix in OF_IMAGES
    try:
        with closing(open_source(path)) as source:
            return bool(probe(source.read(0, min(_LEN_SIGNATURE, source.size))))
    except OSError:
        return True
