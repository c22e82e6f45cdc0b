"""The virtual disk: a chain of images below one address space.

A request is first resolved into pieces, each of which lies in one file, is
zero, or belongs to a parent that is not there; then the pieces are read,
straight into the caller's buffer. Nothing is invented: bytes that should be in
a file and are not there raise an error [MS-VHDX 2.4, 2.5].
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import starmap
from operator import index as to_int
from types import TracebackType
from typing import Any, Literal, Self, SupportsIndex, TypeAlias
from uuid import UUID

from ..errors import Assumption
from ..format.judge import Assumable
from ..format.metadata import DiskType
from ..records import TYPE_CHECKING
from ..storage.source import SourceLike, Uncopied
from . import extents
from .chain import Chain, open_chain, why_missing
from .extents import Extent
from .image import Again, Image, Replay, check_choice, reopened
from .layers import Layer, MissingParent
from .links import USUAL, Link, Linkage, Sought, Terms
from .parents import Search
from .reader import CLOSED, reader

if TYPE_CHECKING:
    from .links import Named

Lost: TypeAlias = Literal["refuse", "zero"]
Assume: TypeAlias = Literal["refuse", "assume"]
Substitute: TypeAlias = Literal["refuse", "zero", "lost"]


class Disk(Uncopied):
    """A virtual disk, read-only; safe to be read from many threads.

    Attributes:
        image: The image that was opened.
        chain: That image, its parent, and so on to the base.
        links: How each parent was found, nearest first; none for images put together by hand.
        zeroes_lost: Whether what is lost reads as zeros.
        missing: What is there in the place of the parent of the last image, when it cannot
            be had and that was put up with.
        unused: What the caller said of parents and was for nothing, in sentences.

    One whose images were opened by paths or URLs can be copied and pickled: the copy opens the
    same files again, and raises a `ReplacedError` where one is not the same any more.

    Between requests a disk keeps up to 2 MiB of places. One without parents and with
    more than 4096 blocks keeps up to 8 MiB of its BAT as well, an image at a URL up to 32 MiB
    of its file. All disks together keep a MiB of zeros, which `pread` returns again and again.
    """

    def __init__(
        self,
        chain: Sequence[Image],
        links: Sequence[Link] = (),
        *,
        lost: Lost = "refuse",
        missing: MissingParent | None = None,
        assumed: Sequence[Assumption] = (),
        unused: Sequence[str] = (),
    ) -> None:
        """Put a chain of images together.

        Args:
            chain: The image, its parent, and so on. A differencing image at the
                end has no parent here: its ranges of the parent cannot be read.
            links: How each parent was found.
            lost: `refuse` raises where an image should hold bytes and does not, `zero`
                reads zeros there.
            missing: What to put in the place of the parent of the last image.
            assumed: What was taken for granted of how images belong together.
            unused: What the caller said of parents and was for nothing.
        """
        check_choice("lost", lost, ("refuse", "zero"))
        self.zeroes_lost = lost == "zero"
        self.image = chain[0]
        self.chain = tuple(chain)
        self.links = tuple(links)
        self.missing = missing
        self.unused = tuple(unused)
        self._assumed = tuple(assumed)
        layer: Layer | None = None
        for depth in range(len(chain) - 1, -1, -1):
            layer = Layer(chain[depth], depth, layer, missing if layer is None else None)
        assert layer is not None
        self._top = layer
        self._is_closed = False
        self._reader = reader(layer, zeroes_lost=self.zeroes_lost)
        # What an object has itself is called without the detour through its class.
        for name in ("readinto_at", "pread"):
            if getattr(type(self), name) is getattr(Disk, name):
                vars(self)[name] = getattr(self._reader, name)

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

    @property
    def assumed(self) -> tuple[Assumption, ...]:
        """What was taken for granted of the images because they do not say it rightly."""
        of_images = (assumption for image in self.chain for assumption in image.assumed)
        return (*of_images, *self._assumed)

    def readinto_at(self, buffer: Any, offset: int) -> int:
        """Fill a buffer from a virtual offset on.

        Args:
            buffer: A writable, contiguous buffer.
            offset: Virtual offset in bytes.

        Returns:
            How many bytes that were: all, unless the disk ends before.

        Raises:
            FormatError: An image should hold some of the bytes and does not.
            ParentNotFoundError: Some of them belong to a parent that was not opened.
            ValueError: The offset is negative, or the disk is closed.
        """
        return self._reader.readinto_at(buffer, offset)

    def pread(self, length: int, offset: int) -> bytes:
        """Return bytes from a virtual offset on, fewer only at the end of the disk.

        Args:
            length: How many.
            offset: Virtual offset in bytes.

        Raises:
            FormatError: An image should hold some of the bytes and does not.
            ParentNotFoundError: Some of them belong to a parent that was not opened.
            ValueError: The length or the offset is negative, or the disk is closed.
        """
        return self._reader.pread(length, offset)

    def extents(self, offset: int = 0, length: int | None = None) -> Iterator[Extent]:
        """Yield what a range of the disk is made of: adjacent extents, merged, in order.

        Args:
            offset: Virtual offset in bytes.
            length: Bytes, up to the end of the disk; None for all the rest.

        Raises:
            FormatError: A file is not as long any more as when it was opened; all extents
                before that were yielded.
            LimitError: A sector bitmap stands for too many chunks of the range.
            ValueError: The range is not inside the disk, or the disk is closed.
        """
        self._check_open()
        offset = to_int(offset)
        end = self.size if length is None else offset + to_int(length)
        if not 0 <= offset <= end <= self.size:
            raise ValueError(f"{offset} to {end} is not inside the disk of {self.size} bytes")
        extents.refuse_sharing(self._top, offset, end)
        return self._extents(offset, end)

    def _extents(self, offset: int, end: int) -> Iterator[Extent]:
        for extent in extents.extents(self._top, offset, end):
            self._check_open()
            yield extent

    def lost(self, offset: int = 0, length: int | None = None) -> Iterator[Extent]:
        """Yield what of a range of the disk is lost, in order, each with the reason.

        The arguments and errors are those of `extents`.
        """
        return (extent for extent in self.extents(offset, length) if extent.kind == "lost")

    def open(self) -> DiskFile:
        """Return a file object over the disk. Any number of them may be used at once.

        Raises:
            ValueError: The disk is closed.
        """
        self._check_open()
        return DiskFile(self)

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> Any:
        chain = [image.again() for image in self.chain]
        if None in chain:
            return super().__reduce_ex__(protocol)
        lost = "zero" if self.zeroes_lost else "refuse"
        rest = (self.links, lost, self.missing, self._assumed, self.unused)
        return _reopened, (chain, *rest)

    def close(self) -> None:
        """Close all files of the chain. Closing twice is harmless."""
        self._is_closed = True
        self._reader.close()
        for image in self.chain:
            image.close()

    def _check_open(self) -> None:
        if self._is_closed:
            raise ValueError(CLOSED)

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Disk of {self.size} bytes: {' < '.join(map(repr, self.chain))}>"


def _reopened(
    chain: Sequence[Again],
    links: Sequence[Link],
    lost: Lost,
    missing: MissingParent | None,
    assumed: Sequence[Assumption],
    unused: Sequence[str],
) -> Disk:
    """Return a disk whose images are opened once more; the others are what `Disk` takes."""
    images: list[Image] = []
    try:
        for again in chain:
            images.append(reopened(again))
        return Disk(images, links, lost=lost, missing=missing, assumed=assumed, unused=unused)
    except BaseException:
        for image in images:
            image.close()
        raise


class DiskFile(Uncopied, io.RawIOBase):
    """A position in a virtual disk: a binary, seekable, read-only file object.

    Reads are full, short only at the end of the disk. Closing it leaves the
    disk open.

    Attributes:
        size: Size of the disk in bytes.
    """

    def __init__(self, disk: Disk) -> None:
        super().__init__()
        self._disk = disk
        self._position = 0
        self.size = disk.size

    def readable(self) -> bool:
        """Return True."""
        self._check_open()
        return True

    def seekable(self) -> bool:
        """Return True."""
        self._check_open()
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position, which may lie past the end, and return it."""
        self._check_open()
        if whence not in (io.SEEK_SET, io.SEEK_CUR, io.SEEK_END):
            raise ValueError(f"whence is {whence}, expected 0, 1 or 2")
        position = (0, self._position, self.size)[whence] + to_int(offset)
        if position < 0:
            raise ValueError(f"position would be {position}, expected at least 0")
        self._position = position
        return position

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from the position on, move it, and return how many bytes that were."""
        self._check_open()
        count = self._disk.readinto_at(buffer, self._position)
        self._position += count
        return count

    def read(self, size: int | None = -1) -> bytes:
        """Return `size` bytes from the position on, or all the rest, and move it."""
        self._check_open()
        left = max(0, self.size - self._position)
        wanted = -1 if size is None else to_int(size)
        length = left if wanted < 0 else min(wanted, left)
        data = self._disk.pread(length, self._position)
        self._position += length
        return data

    def readall(self) -> bytes:
        """Return everything from the position to the end of the disk."""
        return self.read()

    def write(self, _data: Any) -> int:
        """Refuse to write."""
        raise io.UnsupportedOperation("write")

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")


def open_disk(
    source: SourceLike,
    *,
    parent: Named = None,
    search: Search = (),
    follow_absolute: bool = False,
    replay: Replay = "memory",
    resolve_parents: bool = True,
    lost: Lost = "refuse",
    identifier: Assume = "refuse",
    header: Assume = "refuse",
    regions: Assume = "refuse",
    bat: Assume = "refuse",
    linkage: Linkage = "refuse",
    missing_parent: Substitute = "refuse",
) -> Disk:
    """Open a virtual disk with all its parents, read-only.

    Arguments and errors are those of `vhdx_kaitai.open`, which is the same but for writing.
    """
    terms = USUAL
    if (replay, lost, identifier, header, regions, bat, linkage, missing_parent) != _USUAL_CHOICES:
        check_choice("linkage", linkage, ("refuse", "ignore"))
        check_choice("missing_parent", missing_parent, ("refuse", "zero", "lost"))
        check_choice("lost", lost, ("refuse", "zero"))
        names = ("identifier", "header", "regions", "bat")
        may = starmap(_may, zip(names, (identifier, header, regions, bat), strict=True))
        assumable = Assumable(*may)._replace(as_stored=replay == "ignore", cut=lost == "zero")
        terms = Terms(replay, assumable)
    sought = Sought.of(parent, search, follow_absolute=follow_absolute, linkage=linkage)
    chain = open_chain(
        source,
        sought,
        terms,
        resolve_parents=resolve_parents,
        may_lack=missing_parent != "refuse",
    )
    levels = len(chain.images) - (chain.images[-1].locator is None)
    missing, assumed = _missing(chain, is_zero=missing_parent == "zero")
    return Disk(
        chain.images,
        chain.links,
        lost=lost,
        missing=missing,
        assumed=[*chain.assumed, *assumed],
        unused=list(sought.unused(levels)),
    )


# In which nothing is assumed; most disks are opened so, and there is nothing to be looked at.
_USUAL_CHOICES = ("memory", *("refuse",) * 7)


def _missing(chain: Chain, *, is_zero: bool) -> tuple[MissingParent | None, list[Assumption]]:
    """Return what there is in the place of a missing parent, and what is assumed for that.

    Args:
        chain: The chain.
        is_zero: Whether its ranges read as zeros.
    """
    if chain.missing is None:
        return None, []
    last = chain.images[-1]
    finding = why_missing(last, chain.missing)._replace(rule="CHAIN-10")
    message = f"what belongs to it is taken for zeros; {finding.message}"
    assumed = [Assumption(last.path, "parent", message)] if is_zero else []
    return MissingParent(finding, is_zero, chain.missing), assumed


def _may(name: str, choice: Assume) -> bool:
    """Return whether a caller allows something to be assumed."""
    check_choice(name, choice, ("refuse", "assume"))
    return choice == "assume"
