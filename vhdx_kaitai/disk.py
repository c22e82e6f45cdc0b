"""The virtual disk: a chain of images behind one address space."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import TracebackType
from uuid import UUID

from .image import Image, Replay
from .metadata import DiskType
from .source import SourceLike


class Disk:
    """A virtual disk, read-only.

    Attributes:
        image: The image that was opened.
        chain: That image, its parent, and so on to the base.
    """

    def __init__(self, chain: Sequence[Image]) -> None:
        self.image = chain[0]
        self.chain = tuple(chain)

    @property
    def size(self) -> int:
        """Size of the virtual disk in bytes."""
        return self.image.metadata.virtual_disk_size

    @property
    def block_size(self) -> int:
        """Size of a payload block in bytes."""
        return self.image.metadata.block_size

    @property
    def logical_sector_size(self) -> int:
        """Size of the sectors by which the disk is addressed, in bytes."""
        return self.image.metadata.logical_sector_size

    @property
    def physical_sector_size(self) -> int:
        """Size of the sectors that the disk claims to have inside, in bytes."""
        return self.image.metadata.physical_sector_size

    @property
    def disk_type(self) -> DiskType:
        """`fixed`, `dynamic` or `differencing`."""
        return self.image.metadata.disk_type

    @property
    def virtual_disk_id(self) -> UUID:
        """Identity of the virtual disk."""
        return self.image.metadata.virtual_disk_id

    def close(self) -> None:
        """Close all files of the chain. Closing twice is harmless."""
        for image in self.chain:
            image.close()

    def __enter__(self) -> Disk:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_disk(
    source: SourceLike,
    *,
    parent: SourceLike | None = None,
    search: Sequence[str | os.PathLike[str]] = (),
    follow_absolute: bool = False,
    replay: Replay = "memory",
    resolve_parents: bool = True,
) -> Disk:
    """Open a virtual disk."""
    return Disk([Image(source, replay=replay)])
