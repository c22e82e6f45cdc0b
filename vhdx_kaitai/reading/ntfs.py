"""Which clusters of an NTFS file system are free, by its file $Bitmap.

What is taken for free is lost, so what contradicts itself is refused.

Facts that force the design:

* A bitmap has no checksum, and its record no second copy. So where system files lie, nothing may
  be free by it.
* Fast startup, as hibernation, leaves a file system that only looks unmounted: what Windows
  has in memory is in hiberfil.sys, and goes on from there.
* A shadow copy keeps what was deleted where it was, in clusters that are free, until they
  are written to.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from ..errors import UnsupportedError
from ..ranges import Ranges
from ..units import KIB, MIB, ceil_div
from .disk import Disk
from .ntfsfiles import DATA, NUMBER, NtfsFiles, Stream
from .volumes import Volume

_MAGIC_AT, _MAGIC = 3, b"NTFS    "

# Files that are known by their numbers, and all whose clusters have to be in use.
_MFT, _LOG_FILE, _VOLUME, _ROOT, _BITMAP = 0, 2, 3, 5, 6
_SYSTEM_FILES = (0, 1, 2, 3, 4, 5, 6, 7, 10)
_INFORMATION, _INDEX_ROOT, _INDEX = 0x70, 0x90, 0xA0  # attributes

# Dirty, its log to be resized, to be upgraded, checked just now: with these Linux does not write.
_UNCLEAN = 0xC027
_VERSIONS = (1, 3)

_RESTART = struct.Struct("<4s12xI4xH")  # page of $LogFile: magic, its size, place of the area
_AREA = struct.Struct("<q4xHH")  # current LSN, first client in use, flags
_NO_CLIENT, _IS_CLEAN = 0xFFFF, 0x2

_HIBERFIL = "hiberfil.sys".encode("utf-16-le")
_NAME_AT = 0x52  # in an entry of a directory
_AWAKE = (b"wake", b"WAKE")
_MOST_DIRECTORY = 256 * MIB

_SHADOWS_AT = 0x1E00
_SHADOWS = bytes.fromhex("6b870838 76c1 484e b7ae 04046e6cc752")
_CATALOG_AT = 48

_PIECE = 64 * KIB  # of a bitmap
_FREE = re.compile("0+")


class NtfsFileSystem:
    """A file system of this kind on a disk.

    Args:
        disk: The disk.
        volume: The part of it in which the file system is.

    Raises:
        UnsupportedError: It is damaged, or the library is missing that reads it.

    Attributes:
        doubt: Why what it says of free space may not be true; None when it is.
    """

    def __init__(self, disk: Disk, volume: Volume) -> None:
        self._disk, self._files = disk, NtfsFiles(disk, volume)
        self._bitmap = self._checked_bitmap()
        self.doubt = self._doubt()

    @staticmethod
    def is_in(disk: Disk, volume: Volume) -> bool:
        """Tell whether a volume begins as such a file system does."""
        magic = disk.pread(len(_MAGIC), volume.start + _MAGIC_AT)
        return volume.end - volume.start >= 16 * KIB and magic == _MAGIC

    def free(self) -> Iterator[tuple[int, int]]:
        """Yield the ranges of the disk that are free in the file system; virtual offsets.

        Raises:
            UnsupportedError: It contradicts itself.
        """
        self._refuse_free_system()
        boot, volume = self._files.boot, self._files.volume
        last = volume.end - boot.sector  # there is a copy of the boot sector
        for first, end in self._free_clusters():
            start, stop = first * boot.cluster, end * boot.cluster
            yield volume.start + start, min(volume.start + stop, last)

    def _free_clusters(self) -> Iterator[tuple[int, int]]:
        for at in range(0, ceil_div(self._files.boot.clusters, 8), _PIECE):
            first = at * 8
            count = min(_PIECE * 8, self._files.boot.clusters - first)
            data = self._files.read(self._bitmap, at, ceil_div(count, 8))
            bits = int.from_bytes(data, "little")
            text = f"{bits & (1 << count) - 1:0{count}b}"[::-1]
            for run in _FREE.finditer(text):
                yield first + run.start(), first + run.end()

    def _refuse_free_system(self) -> None:
        """Refuse a bitmap by which anything is free that cannot be."""
        for start, end in Ranges(self._system_clusters()):
            for at in range(start, end, _PIECE * 8):
                stop, first = min(at + _PIECE * 8, end), at // 8
                data = self._files.read(self._bitmap, first, ceil_div(stop, 8) - first)
                used = int.from_bytes(data, "little") >> at - first * 8
                if ~used & (1 << stop - at) - 1:
                    message = f"a system file is in clusters {at} to {stop}, and some are free"
                    raise self._files.error(message)

    def _system_clusters(self) -> Iterator[tuple[int, int]]:
        """Yield the clusters that cannot be free, whatever the bitmap says."""
        boot = self._files.boot
        yield 0, min(ceil_div(8 * KIB, boot.cluster), boot.clusters)
        for number in _SYSTEM_FILES:
            for header in self._files.headers(number):
                if not header.resident:
                    for lcn, count in self._files.runs([header]):
                        if lcn is not None:
                            yield lcn, lcn + count

    def _checked_bitmap(self) -> Stream:
        """Return the bitmap, which has to be about all clusters."""
        bitmap = self._files.stream(self._files.named(_BITMAP, DATA))
        needed = ceil_div(self._files.boot.clusters, 8)
        is_whole = bitmap.valid >= needed and None not in (lcn for lcn, _ in bitmap.runs)
        if bitmap.value is not None or not bitmap.is_plain or not is_whole:
            raise self._files.error("its file $Bitmap is damaged")
        return bitmap

    # -- whether it is to be believed -------------------------------------------------------------

    def _doubt(self) -> str | None:
        value = self._files.stream(self._files.named(_VOLUME, _INFORMATION)).value
        if value is None or len(value) < 12 or value[8] not in _VERSIONS:
            raise self._files.error("it is of a version that is not known here")
        if int.from_bytes(value[10:12], "little") & _UNCLEAN or not self._is_log_clean():
            return "was not cleanly unmounted"
        if self._is_hibernated():
            return "belongs to a Windows that is hibernated, or was shut down for a fast startup"
        if self._has_shadows():
            return "has shadow copies, which keep what was deleted in free space"
        return None

    def _is_log_clean(self) -> bool:
        """Tell whether no transaction in $LogFile waits for its end.

        It is in order after an unmount, by the newer one of its two restart pages, or all
        of it is 0xFF: so Linux, mkntfs and ntfsfix leave it.
        """
        log = self._files.stream(self._files.named(_LOG_FILE, DATA))
        if log.value is not None or not log.is_plain or log.size < 128 * KIB:
            return False
        places = [0, *(512 << shift for shift in range(8))]
        if all(self._files.read(log, at, 4) == b"\xff" * 4 for at in places):
            return True
        size = _RESTART.unpack(self._files.read(log, 0, _RESTART.size))[1]
        if size not in places[1:]:
            return False
        pages = [self._restart(self._files.read(log, at, size)) for at in (0, size)]
        whole = [page for page in pages if page is not None]
        if len(whole) < 2:
            return False
        _, client, flags = max(whole)
        return client == _NO_CLIENT or bool(flags & _IS_CLEAN)

    def _restart(self, page: bytes) -> tuple[int, int, int] | None:
        """Return LSN, first client and flags of a restart page; None when it is none."""
        magic, size, at = _RESTART.unpack_from(page)
        if magic != b"RSTR" or size != len(page) or not 30 <= at <= 512 - _AREA.size:
            return None
        try:
            whole = self._files.unprotected(page)
        except UnsupportedError:
            return None
        lsn, client, flags = _AREA.unpack_from(whole, at)
        return lsn, client, flags

    def _is_hibernated(self) -> bool:
        """Tell whether memory of Windows is in hiberfil.sys.

        Entries of the root directory that are not in use any more are looked at like others:
        what they lead to tells whether it is still that file.
        """
        for data in self._directory():
            folded = data.lower()  # ASCII alone
            at = folded.find(_HIBERFIL)
            while at >= 0:
                if at >= _NAME_AT and data[at - 2] == len(_HIBERFIL) // 2:
                    entry = data[at - _NAME_AT : at - _NAME_AT + 8]
                    if self._is_asleep(int.from_bytes(entry, "little")):
                        return True
                at = folded.find(_HIBERFIL, at + 2)
        return False

    def _is_asleep(self, reference: int) -> bool:
        """Tell whether a file begins as one that holds memory."""
        number = reference & NUMBER
        record = self._files.record(number, may_be_free=True)
        if record is None or record.header.SequenceNumber != reference >> 48:
            return False
        headers = self._files.named(number, DATA)
        if not headers:
            return False
        stream = self._files.stream(headers)
        head = self._files.read(stream, 0, min(4096, stream.size))
        return not stream.is_plain or (any(head) and head[:4] not in _AWAKE)

    def _directory(self) -> Iterator[bytes]:
        """Yield what may hold entries of the root directory."""
        root = self._files.stream(self._files.named(_ROOT, _INDEX_ROOT, "$I30")).value
        if root is None or len(root) < 16:
            raise self._files.error("its root directory is damaged")
        yield root
        headers = self._files.named(_ROOT, _INDEX, "$I30")
        if not headers:
            return
        stream, size = self._files.stream(headers), int.from_bytes(root[8:12], "little")
        if size not in (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536) or not stream.is_plain:
            raise self._files.error("its root directory is damaged")
        if stream.size > _MOST_DIRECTORY:
            raise self._files.error("its root directory is too large to be looked through")
        for at in range(0, stream.size - size + 1, size):
            block = self._files.read(stream, at, size)
            if block[:4] == b"INDX":
                yield self._files.unprotected(block)

    def _has_shadows(self) -> bool:
        head = self._disk.pread(_CATALOG_AT + 8, self._files.volume.start + _SHADOWS_AT)
        return head[: len(_SHADOWS)] == _SHADOWS and any(head[_CATALOG_AT:])
