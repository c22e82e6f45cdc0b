"""What the tests of looking for parents share: small parents and children, and where they lie."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from uuid import UUID

from tests.images.chain import child_of, write_guid
from tests.images.image import Block, Built, dynamic
from tests.images.sparse import pattern
from tests.images.structures import MIB, ZERO_GUID, Locator, braced
from vhdx_kaitai.reading.disk import Disk

RELATIVE, VOLUME, ABSOLUTE = "relative_path", "volume_path", "absolute_win32_path"
IN_VOLUME = "\\\\?\\Volume{0f5c3e2a-0000-0000-0000-100000000000}\\"
RIGHT, WRONG = write_guid(0), UUID(int=0xBAD)


@cache
def parent(tag: int = 1, guid: UUID = RIGHT) -> Built:
    """Return a parent of 1 MiB whose contents tell its tag."""
    return dynamic(MIB, tag=tag, data_write_guid=guid, blocks={0: Block()}).build()


@cache
def child(linkage: UUID = RIGHT, linkage_2: UUID = ZERO_GUID, /, **paths: str) -> Built:
    """Return a child without contents, with these paths and no others to its parent."""
    values = {"parent_linkage": braced(linkage), "parent_linkage2": braced(linkage_2)}
    return child_of(
        parent(), locator=Locator.of(values | paths), data_write_guid=UUID(int=7)
    ).build()


def put(built: Built, *names: str | Path) -> Path:
    """Write an image, with the folders it needs, and return its path."""
    path = Path(*names)
    path.parent.mkdir(parents=True, exist_ok=True)
    return built.write(path)


def tag_of(disk: Disk) -> int:
    """Return the tag of the parent whose contents a disk shows."""
    return next(tag for tag in range(1, 20) if disk.pread(512, 0) == pattern(tag, 0, 512))
