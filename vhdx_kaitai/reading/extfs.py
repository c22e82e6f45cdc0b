"""Which blocks of an ext2, ext3 or ext4 file system are free, by its block bitmaps.

Read is what is needed for that: superblock, group descriptors, block bitmaps. A file system
whose features are not all known here, or whose numbers contradict each other, is refused:
what is taken for free is lost.

Facts that force the design:

* A group may have no bitmap yet (BLOCK_UNINIT). Then it holds nothing but metadata, of
  other groups, too, and copies of superblock and descriptors.
* A file system that was not unmounted cleanly has a journal whose bitmaps are newer.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from ..errors import UnsupportedError
from ..ranges import Ranges
from ..records import NamedTuple
from ..units import KIB, ceil_div
from .disk import Disk
from .volumes import Volume

_SUPERBLOCK_AT, _SUPERBLOCK_LENGTH = 1024, 1024
_MAGIC = 0xEF53

_IS_CLEAN, _HAS_ERRORS = 1, 2  # s_state
_RECOVER = 0x4  # INCOMPAT: the journal has to be replayed
_64BIT = 0x80
# FILETYPE, EXTENTS, 64BIT, FLEX_BG, EA_INODE, CSUM_SEED, LARGEDIR, INLINE_DATA, ENCRYPT, CASEFOLD:
# none of them changes what a block bitmap says, nor where it is.
_KNOWN = 0x2 | 0x40 | _64BIT | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000
_WITH_CHECKSUMS = 0x10 | 0x400  # RO_COMPAT: GDT_CSUM, METADATA_CSUM; groups have flags then
_BIGALLOC = 0x200  # a bit is about several blocks

_BLOCK_UNINIT = 0x2  # bg_flags
_MOST_DESCRIPTOR = 1024

_FREE = re.compile("0+")


class _Superblock(NamedTuple):
    """What of a superblock is needed, under the names that it has in Linux."""

    blocks_count: int
    first_data_block: int
    log_block_size: int
    blocks_per_group: int
    inodes_per_group: int
    state: int
    inode_size: int
    incompat: int
    ro_compat: int
    reserved_gdt_blocks: int
    desc_size: int

    @property
    def block_size(self) -> int:
        """Bytes of a block."""
        return KIB << self.log_block_size

    @property
    def groups(self) -> int:
        """How many groups of blocks there are."""
        return ceil_div(self.blocks_count - self.first_data_block, self.blocks_per_group)

    @property
    def is_clean(self) -> bool:
        """Whether it was unmounted cleanly, and without errors."""
        return self.state & 3 == _IS_CLEAN and not self.incompat & _RECOVER


class _Group(NamedTuple):
    """What of a group descriptor is needed; blocks are those of the file system."""

    block_bitmap: int
    inode_bitmap: int
    inode_table: int
    free_blocks: int
    flags: int


class ExtFileSystem:
    """A file system of this kind on a disk.

    Args:
        disk: The disk.
        volume: The part of it in which the file system is.

    Raises:
        UnsupportedError: It has features that nobody here knows, or is damaged.

    Attributes:
        doubt: Why what it says of free space may not be true; None when it is.
    """

    def __init__(self, disk: Disk, volume: Volume) -> None:
        self._disk, self._volume = disk, volume
        self._superblock = _superblock(disk, volume)
        is_clean = self._superblock.is_clean
        self.doubt = None if is_clean else "was not cleanly unmounted"
        self._refuse_unknown()

    @staticmethod
    def is_in(disk: Disk, volume: Volume) -> bool:
        """Tell whether a volume begins as such a file system does."""
        magic = disk.pread(2, volume.start + _SUPERBLOCK_AT + 56)
        is_long = volume.end - volume.start >= _SUPERBLOCK_AT + _SUPERBLOCK_LENGTH
        return is_long and int.from_bytes(magic, "little") == _MAGIC

    def free(self) -> Iterator[tuple[int, int]]:
        """Yield the ranges of the disk that are free in the file system; virtual offsets.

        Raises:
            UnsupportedError: It contradicts itself.
        """
        superblock = self._superblock
        size = superblock.block_size
        groups = list(self._groups())
        metadata = self._metadata(groups)
        for number, group in enumerate(groups):
            first = superblock.first_data_block + number * superblock.blocks_per_group
            count = min(superblock.blocks_per_group, superblock.blocks_count - first)
            if self._is_without_bitmap(group):
                free = list(metadata.gaps(first, first + count))
            else:
                free = self._by_bitmap(group, first, count, metadata)
            for start, end in free:
                yield self._volume.start + start * size, self._volume.start + end * size

    def _by_bitmap(
        self, group: _Group, first: int, count: int, metadata: Ranges
    ) -> list[tuple[int, int]]:
        """Return the free blocks of a group as its bitmap says them."""
        data = self._read(group.block_bitmap, ceil_div(count, 8))
        bits = int.from_bytes(data, "little") & (1 << count) - 1
        if count - bits.bit_count() != group.free_blocks:
            message = f"its group of blocks from {first} on has {count - bits.bit_count()} free"
            raise self._error(f"{message} by its bitmap, {group.free_blocks} by its descriptor")
        text = f"{bits:0{count}b}"[::-1]
        free = [(first + run.start(), first + run.end()) for run in _FREE.finditer(text)]
        if any(next(metadata.inside(*run), None) for run in free):
            raise self._error(f"its group of blocks from {first} on has metadata that is free")
        return free

    def _is_without_bitmap(self, group: _Group) -> bool:
        has_flags = bool(self._superblock.ro_compat & _WITH_CHECKSUMS)
        return has_flags and bool(group.flags & _BLOCK_UNINIT)

    def _metadata(self, groups: list[_Group]) -> Ranges:
        """Return the blocks that are metadata: of groups with a bitmap some, of others all.

        Not each group has copies of superblock and descriptors; where there is no bitmap
        their places are taken for metadata all the same.
        """
        superblock = self._superblock
        size, first_block = superblock.block_size, superblock.first_data_block
        table = ceil_div(superblock.inodes_per_group * superblock.inode_size, size)
        copies = 1 + superblock.reserved_gdt_blocks
        copies += ceil_div(superblock.groups * superblock.desc_size, size)
        found = [(0, first_block + copies)]
        for number, group in enumerate(groups):
            for start, count in (
                (group.block_bitmap, 1),
                (group.inode_bitmap, 1),
                (group.inode_table, table),
            ):
                if not first_block <= start <= start + count <= superblock.blocks_count:
                    raise self._error(f"metadata of its group {number} is past its end")
                found.append((start, start + count))
            if self._is_without_bitmap(group):
                first = first_block + number * superblock.blocks_per_group
                found.append((first, first + copies))
        return Ranges(found)

    def _groups(self) -> Iterator[_Group]:
        superblock = self._superblock
        length = superblock.desc_size
        data = self._read(superblock.first_data_block + 1, superblock.groups * length)
        for at in range(0, len(data), length):
            low = struct.unpack_from("<IIIHHHH", data, at)
            high = (0,) * 4
            if superblock.incompat & _64BIT and length >= 64:
                high = struct.unpack_from("<IIIH", data, at + 32)
            block_bitmap, inode_bitmap, inode_table = (
                one | other << 32 for one, other in zip(low[:3], high[:3], strict=True)
            )
            free_blocks = low[3] | high[3] << 16
            yield _Group(block_bitmap, inode_bitmap, inode_table, free_blocks, low[6])

    def _read(self, block: int, length: int) -> bytes:
        data = self._disk.pread(length, self._volume.start + block * self._superblock.block_size)
        if len(data) < length:
            raise self._error(f"block {block} is past the end of the disk")
        return data

    def _refuse_unknown(self) -> None:
        superblock = self._superblock
        unknown = superblock.incompat & ~_KNOWN & ~_RECOVER
        if unknown:
            raise self._error(f"it has features that are not known here ({unknown:#x})")
        if superblock.ro_compat & _BIGALLOC:
            raise self._error("it counts clusters (bigalloc), which is not known here")
        length = self._volume.end - self._volume.start
        is_sound = (
            superblock.log_block_size <= 6
            and superblock.first_data_block == (superblock.log_block_size == 0)
            and superblock.first_data_block < superblock.blocks_count
            and superblock.blocks_count * superblock.block_size <= length
            and 0 < superblock.blocks_per_group <= 8 * superblock.block_size
            and 0 < superblock.inodes_per_group <= 8 * superblock.block_size
            and 128 <= superblock.inode_size <= superblock.block_size
            and 32 <= superblock.desc_size <= _MOST_DESCRIPTOR
        )
        if not is_sound:
            raise self._error("its superblock is damaged, or it goes past the end of its volume")

    def _error(self, message: str) -> UnsupportedError:
        return UnsupportedError(f"ext file system at {self._volume.start}: {message}")


def _superblock(disk: Disk, volume: Volume) -> _Superblock:
    data = disk.pread(_SUPERBLOCK_LENGTH, volume.start + _SUPERBLOCK_AT)
    number = struct.Struct("<I").unpack_from
    half = struct.Struct("<H").unpack_from
    incompat, is_old = number(data, 96)[0], number(data, 76)[0] == 0
    is_64bit = bool(incompat & _64BIT)
    return _Superblock(
        blocks_count=number(data, 4)[0] | is_64bit * number(data, 0x150)[0] << 32,
        first_data_block=number(data, 20)[0],
        log_block_size=number(data, 24)[0],
        blocks_per_group=number(data, 32)[0],
        inodes_per_group=number(data, 40)[0],
        state=half(data, 58)[0],
        inode_size=128 if is_old else half(data, 88)[0],
        incompat=incompat,
        ro_compat=number(data, 100)[0],
        reserved_gdt_blocks=half(data, 0xCE)[0],
        desc_size=half(data, 0xFE)[0] if is_64bit else 32,
    )
