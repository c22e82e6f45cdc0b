"""File systems as the libraries of dissect read them, each asked in the same way.

What a library raises, how long it takes, and what names it gives files are for the caller to
bound. Known here is what it takes for contents that are none: parts that were reserved and never
written, and what is encrypted or stands somewhere else.
"""

from __future__ import annotations

import stat
from array import array
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, Protocol

from ..errors import UnsupportedError
from ..ranges import Ranges
from ..reading.disk import Disk
from ..reading.entries import FileSystem, Kind, Status
from ..reading.extfs import ExtFileSystem
from ..reading.kinds import BTRFS, EXT, FAT, NTFS, XFS
from ..reading.ntfs import NtfsFileSystem
from ..reading.ntfsfiles import DATA
from ..reading.volumes import Volume
from ..units import MIB, ceil_div
from .window import Window

Node = Any  # a file, as a library has it

_OF_MODE: dict[int, Kind] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "link",
    stat.S_IFBLK: "device",
    stat.S_IFCHR: "device",
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
}

# Features of ext: without them it is ext2, with a journal ext3, with others ext4.
_HAS_JOURNAL = 0x4  # COMPAT
_OLD_INCOMPAT, _OLD_RO_COMPAT = 0x2 | 0x4 | 0x8 | 0x10, 0x1 | 0x2 | 0x4
_ENCRYPTED_INODE, _EXTENTS, _INLINE = 0x800, 0x80000, 0x10000000  # flags of an inode

_SYSTEM_RECORDS = 24  # of NTFS, the first ones; the root folder among them
_ROOT_RECORD = 5
_REPARSE_LINK, _REPARSE_MOUNT = 0xA000000C, 0xA0000003
_COMPRESSED, _ENCRYPTED = 0xFF, 0x4000  # flags of an attribute
_UNIT = 16  # clusters that are compressed together

_LOWER_BASE, _LOWER_EXTENSION = 0x08, 0x10  # of a short name of FAT

_MOST_FOLDER = 256 * MIB  # ours: more names than are listed
_MOST_BLOCKS = 1 << 22  # of a file of ext2 or ext3, which the library lists one by one


class Library(Protocol):
    """What is asked of a file system, whatever its kind.

    Attributes:
        root: Its root folder.
        ignores_case: Whether names that differ in case are one.
    """

    root: Node
    ignores_case: bool

    def describe(self) -> FileSystem:
        """Return what the file system says of itself."""

    def doubt(self) -> str | None:
        """Return why files may not be as they were written last; None when nothing says so."""

    def names(self, folder: Node) -> Iterator[tuple[str, Node]]:
        """Yield what is in a folder under which name, perhaps itself as `.` and its own as `..`."""

    def is_hidden(self, node: Node) -> bool:
        """Tell whether a file belongs to the file system, and is not listed."""

    def status(self, node: Node) -> Status:
        """Return what the file system says of a file."""

    def stored(self, node: Node) -> Iterable[tuple[int, int]]:
        """Return ranges of a file, in order, outside of which there are zeros."""

    def open(self, node: Node) -> Any:
        """Return a file object with the contents of a file, which can be read and sought."""


class _Unix:
    """What libraries of Linux file systems have in common."""

    ignores_case = False

    def doubt(self) -> str | None:
        return None

    def names(self, folder: Node) -> Iterator[tuple[str, Node]]:
        return ((child.filename, child) for child in folder.iterdir())

    def is_hidden(self, _node: Node) -> bool:
        return False

    def open(self, node: Node) -> Any:
        return node.open()

    def _status(self, node: Node, mode: int, names: int, identity: object) -> Status:
        kind = _OF_MODE.get(stat.S_IFMT(mode), "other")
        if kind in ("folder", "link") and node.size > _MOST_FOLDER:
            raise UnsupportedError(f"is a {kind} of {node.size} bytes, which no {kind} has")
        return Status(
            kind,
            node.size if kind == "file" else 0,
            stat.S_IMODE(mode),
            node.mtime_ns,
            identity,
            names,
            node.link if kind == "link" else None,
        )


class _Ext(_Unix):
    def __init__(self, disk: Disk, volume: Volume, window: Window) -> None:
        self._disk, self._volume = disk, volume
        self._system = _library("dissect.extfs").ExtFS(window)
        self.root = self._system.root

    def describe(self) -> FileSystem:
        system = self._system
        incompat, ro_compat = system.sb.s_feature_incompat, system.sb.s_feature_ro_compat
        if incompat & ~_OLD_INCOMPAT or ro_compat & ~_OLD_RO_COMPAT:
            kind = "ext4"
        else:
            kind = "ext3" if system.sb.s_feature_compat & _HAS_JOURNAL else "ext2"
        size = system.block_count * system.block_size
        free, doubt = _free(ExtFileSystem, self._disk, self._volume)
        return FileSystem(kind, system.volume_name, str(system.uuid), size, free, doubt)

    def doubt(self) -> str | None:
        return _doubt(ExtFileSystem, self._disk, self._volume)

    def names(self, folder: Node) -> Iterator[tuple[str, Node]]:
        if folder.inode.i_flags & _INLINE:
            raise UnsupportedError("is a folder that stands in its inode, which is not read here")
        return super().names(folder)

    def status(self, node: Node) -> Status:
        inode = node.inode
        found = self._status(node, inode.i_mode, inode.i_links_count, node.inum)
        is_encrypted = found.kind == "file" and inode.i_flags & _ENCRYPTED_INODE
        return found._replace(kind="other", size=0) if is_encrypted else found

    def stored(self, node: Node) -> Iterable[tuple[int, int]]:
        has_extents = node.inode.i_flags & _EXTENTS
        if not has_extents and node.size // self._system.block_size > _MOST_BLOCKS:
            raise UnsupportedError("it is larger than what is read here without extents")
        return _held(node.dataruns(), self._system.block_size)


class _Xfs(_Unix):
    def __init__(self, _disk: Disk, _volume: Volume, window: Window) -> None:
        self._system = _library("dissect.xfs").XFS(window)
        self.root = self._system.root

    def describe(self) -> FileSystem:
        system, sb = self._system, self._system.sb
        size, free = (count * system.block_size for count in (sb.sb_dblocks, sb.sb_fdblocks))
        return FileSystem("XFS", system.name, str(system.uuid), size, free)

    def status(self, node: Node) -> Status:
        inode = node.inode
        names = inode.di_onlink if inode.di_version == 1 else inode.di_nlink
        return self._status(node, inode.di_mode, names, node.inum)

    def stored(self, node: Node) -> Iterable[tuple[int, int]]:
        return _held(node.dataruns, self._system.block_size)


class _Btrfs(_Unix):
    def __init__(self, _disk: Disk, _volume: Volume, window: Window) -> None:
        self._system = _library("dissect.btrfs").Btrfs(window)
        self.root = self._system.fs_tree.root  # of all subvolumes, whichever is mounted by usual

    def describe(self) -> FileSystem:
        system, sb = self._system, self._system.sb
        free = sb.total_bytes - sb.bytes_used
        return FileSystem("Btrfs", system.label, str(system.uuid), sb.total_bytes, free)

    def names(self, folder: Node) -> Iterator[tuple[str, Node]]:
        for name, found in folder.iterdir():
            if name in (".", "..") or found.subvolume.objectid == folder.subvolume.objectid:
                yield name, found
            elif found.full_path == f"{folder.full_path}/{name}".lstrip("/"):
                yield name, found  # a subvolume in its place; in a snapshot of that it is not

    def status(self, node: Node) -> Status:
        identity = node.subvolume.objectid, node.inum
        return self._status(node, node.mode, node.inode.nlink, identity)

    def stored(self, node: Node) -> Iterable[tuple[int, int]]:
        extents = node.extents()
        if extents is None:  # it stands in the tree itself
            return [(0, node.size)]
        return _held(((extent.disk_offset, extent.length) for extent in extents), 1)


class _Ntfs:
    """NTFS; a node is the number of a record, and how often that was used."""

    ignores_case = True

    def __init__(self, disk: Disk, volume: Volume, window: Window) -> None:
        self._disk, self._volume = disk, volume
        self._system = _library("dissect.ntfs").NTFS(window)
        self.root = (_ROOT_RECORD, self._system.mft.root.header.SequenceNumber)

    def describe(self) -> FileSystem:
        system, boot = self._system, self._system.boot_sector
        free, doubt = _free(NtfsFileSystem, self._disk, self._volume)
        size = boot.NumberSectors * boot.Bpb.BytesPerSector
        serial = "" if system.serial is None else f"{system.serial:016X}"
        return FileSystem("NTFS", system.volume_name or "", serial, size, free, doubt)

    def doubt(self) -> str | None:
        return _doubt(NtfsFileSystem, self._disk, self._volume)

    def names(self, folder: Node) -> Iterator[tuple[str, Node]]:
        for entry in self._record(folder).iterdir(ignore_dos=True):
            at = entry.header.FileReference
            number = at.SegmentNumberLowPart | at.SegmentNumberHighPart << 32
            yield entry.attribute.file_name, (number, at.SequenceNumber)

    def is_hidden(self, node: Node) -> bool:
        return bool(node[0] < _SYSTEM_RECORDS)

    def _record(self, node: Node) -> Any:
        number, uses = node
        record = self._system.mft.get(number)
        if record.header.SequenceNumber != uses:
            raise UnsupportedError("another file is in its place by now")
        return record

    def status(self, node: Node) -> Status:
        record = self._record(node)
        kind, target = _kind_of_record(record)
        information = record.attributes.STANDARD_INFORMATION[0].attribute
        modified = information.last_modification_time_ns
        names = len(record.filenames(ignore_dos=True))
        size = record.size() if kind == "file" and record.has_stream() else 0
        return Status(kind, size, None, modified, node, names, target)

    def stored(self, node: Node) -> Iterable[tuple[int, int]]:
        record = self._record(node)
        if not record.has_stream():
            return []
        first = _first_data(record)
        if first.resident:
            return [(0, record.size())]
        # Cluster 0 is that of a file, $Boot.
        runs = [(None if lcn is None else lcn + 1, count) for lcn, count in record.dataruns()]
        held: Iterable[tuple[int, int]] = _held(runs, self._system.cluster_size)
        if first.header.flags & _COMPRESSED:  # of a unit only the first clusters are stored
            unit = _UNIT * self._system.cluster_size
            held = Ranges((start - start % unit, ceil_div(end, unit) * unit) for start, end in held)
        valid = first.header.header.Form.Nonresident.ValidDataLength
        return [(start, min(end, valid)) for start, end in held if start < valid]

    def open(self, node: Node) -> Any:
        return self._record(node).open()


def _kind_of_record(record: Any) -> tuple[Kind, str | None]:
    """Return what a file of NTFS is, and where it leads if it is a link."""
    if record.is_reparse_point():
        point = record.attributes.REPARSE_POINT[0].attribute
        if int(point.tag) in (_REPARSE_LINK, _REPARSE_MOUNT):
            name = point.print_name or point.substitute_name or ""
            return "link", name.replace("\\", "/") if point.relative else name
        return ("folder" if record.is_dir() else "other"), None
    if record.is_dir():
        return "folder", None
    is_encrypted = record.has_stream() and _first_data(record).header.flags & _ENCRYPTED
    return ("other" if is_encrypted else "file"), None


def _first_data(record: Any) -> Any:
    """Return the attribute of a file that has its contents, or the first of several."""
    found = record.attributes.find("", DATA)
    return min(found, key=lambda attribute: attribute.header.lowest_vcn or 0)


class _Fat:
    ignores_case = True

    def __init__(self, _disk: Disk, _volume: Volume, window: Window) -> None:
        self._window = window
        self._system = _library("dissect.fat.fat").FATFS(window)
        self.root = self._system.root

    def describe(self) -> FileSystem:
        system = self._system
        size = system.total_sectors * system.sector_size
        serial = system.volume_id.upper().rjust(8, "0")
        label = "" if system.volume_label == "NO NAME" else system.volume_label
        uuid = f"{serial[:4]}-{serial[4:]}"
        return FileSystem(system.type.name, label, uuid, size, self._free())

    def _free(self) -> int:
        """Return how many bytes are in clusters that no file has."""
        system, fat = self._system, self._system.fat
        clusters = (system.total_sectors - system.first_data_sector) * system.sector_size
        last = clusters // system.cluster_size + 2
        if fat.bits_per_entry == 12:
            free = sum(fat.get(number) == 0 for number in range(2, last))
        else:
            width = fat.bits_per_entry // 8
            fat.fh.seek(2 * width)
            left, free = (last - 2) * width, 0
            while left > 0:
                self._window.begin()  # there may be a GiB of it
                entries = array("H" if width == 2 else "I", fat.fh.read(min(left, MIB)))
                free += entries.count(0)
                left -= MIB
        return int(free * system.cluster_size)

    def doubt(self) -> str | None:
        return None

    def names(self, folder: Node) -> Iterator[tuple[str, Node]]:
        self._check_clusters(folder)
        return ((_fat_name(child), child) for child in folder.iterdir() if not child.is_volume_id())

    def is_hidden(self, _node: Node) -> bool:
        return False

    def status(self, node: Node) -> Status:
        kind: Kind = "folder" if node.is_directory() else "file"
        first = node.cluster or self.root.cluster or 0
        size = 0 if kind == "folder" else node.size
        return Status(kind, size, None, _of_local(node), first)

    def stored(self, node: Node) -> Iterable[tuple[int, int]]:
        self._check_clusters(node)
        return [(0, node.size)]

    def _check_clusters(self, node: Node) -> None:
        """Refuse clusters that lead in circles."""
        fat = self._system.fat
        cluster, left = node.cluster or 0, fat.entry_count
        while 2 <= cluster < fat.entry_count:  # others are the end, or no clusters
            left -= 1
            if left < 0:
                raise UnsupportedError("its clusters lead in circles")
            cluster = fat.get(cluster)

    def open(self, node: Node) -> Any:
        return node.open()


def _fat_name(node: Node) -> str:
    """Return the name of a file of FAT; a short one has flags for what of it is lower case."""
    name: str = node.name
    if node.ldirents:
        return name
    base, dot, extension = name.partition(".")
    flags = node.dirent.DIR_NTRes
    base = base.lower() if flags & _LOWER_BASE else base
    return base + dot + (extension.lower() if flags & _LOWER_EXTENSION else extension)


def _of_local(node: Node) -> int | None:
    """Return when a file of FAT was changed, whose time is that of no place, as if of UTC."""
    try:
        found: datetime = node.mtime
    except (ValueError, AttributeError):  # the root folder has none
        return None
    return int(found.replace(tzinfo=UTC).timestamp()) * 10**9


def _held(runs: Iterable[tuple[int | None, int]], unit: int) -> list[tuple[int, int]]:
    """Return the ranges of a file that are stored, of runs of blocks in order.

    Args:
        runs: Where each begins, and how many blocks it has. What begins nowhere is not stored,
            nor is what begins at 0, where no file system here has contents of files.
        unit: Bytes of a block.
    """
    found: list[tuple[int, int]] = []
    position = 0
    for place, count in runs:
        end = position + count * unit
        if place:
            if found and found[-1][1] == position:
                position = found.pop()[0]
            found.append((position, end))
        position = end
    return found


def _free(
    kind: type[ExtFileSystem] | type[NtfsFileSystem], disk: Disk, volume: Volume
) -> tuple[int | None, str | None]:
    """Return how many bytes are free by a bitmap, and why that may not be so."""
    try:
        system = kind(disk, volume)
        return sum(end - start for start, end in system.free()), system.doubt
    except UnsupportedError as error:
        return None, str(error)


def _doubt(
    kind: type[ExtFileSystem] | type[NtfsFileSystem], disk: Disk, volume: Volume
) -> str | None:
    """Return why a file system may not be as it was written last, as far as that is known."""
    try:
        return kind(disk, volume).doubt
    except UnsupportedError:  # of what is free nothing is known; files may be read all the same
        return None


def _library(name: str) -> Any:
    """Return a library.

    Raises:
        UnsupportedError: It is not installed.
    """
    try:
        return import_module(name)
    except ImportError:
        package = ".".join(name.split(".")[:2])
        message = f"it is read with {package}, which is missing: pip install 'vhdx-kaitai[files]'"
        raise UnsupportedError(message) from None


LIBRARIES: dict[str, Any] = {EXT: _Ext, NTFS: _Ntfs, XFS: _Xfs, BTRFS: _Btrfs, FAT: _Fat}
"""What reads a kind of file system: made of a disk, a volume and the window of that."""
