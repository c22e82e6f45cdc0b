"""Files of an NTFS file system by their numbers, and the bytes of their attributes.

What a record, an attribute or a run says is read with `dissect.ntfs`, one at a time and over
bytes in memory. What is followed from there is bounded here, as the ways of that package
through a whole file system are not.
"""

from __future__ import annotations

import contextlib
import io
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

from ..errors import UnsupportedError
from ..records import NamedTuple
from ..units import KIB, MIB, ceil_div
from .disk import Disk
from .volumes import Volume

_SECTORS = (512, 1024, 2048, 4096)
_MOST_CLUSTER = 2 * MIB
_RECORDS = (512, 1024, 2048, 4096)
_MFT, _MIRRORED = 0, 4

_LIST = 0x20  # an attribute that says where others are
DATA = 0x80
_NO_MORE = 0xFFFFFFFF
_HEADER = 24  # of an attribute
_LISTED = struct.Struct("<4xH10xQ")  # in a list of attributes: its length, the record
_MOST_LIST, _MOST_EXTENSIONS = 256 * KIB, 1024
NUMBER = (1 << 48) - 1  # of a reference, whose other bits say how often a record was used
_HIGHEST = (1 << 64) - 1


class Boot(NamedTuple):
    """What of a boot sector is needed; lengths in bytes, places in clusters."""

    sector: int
    cluster: int
    clusters: int
    mft: int
    mirror: int
    record: int


class Stream:
    """The contents of an attribute, or where they are.

    Args:
        value: The contents, if they stand in the record.
        runs: First cluster and number of clusters of each part, if they do not; a part that
            is not stored begins nowhere.
        size: Bytes.
        valid: Bytes that were ever written; what comes after reads as zeros.
        is_plain: Whether they are stored as they are.
    """

    def __init__(
        self,
        value: bytes | None,
        runs: list[tuple[int | None, int]],
        size: int,
        valid: int,
        is_plain: bool,
    ) -> None:
        self.value, self.runs, self.size = value, runs, size
        self.valid, self.is_plain = valid, is_plain
        self._ends = list(accumulate(count for _, count in runs))

    def parts(self, first: int, count: int) -> Iterator[tuple[int | None, int]]:
        """Yield where some clusters of it are."""
        number = bisect_right(self._ends, first)
        while count and number < len(self.runs):
            lcn, length = self.runs[number]
            skipped = first - (self._ends[number] - length)
            taken = min(length - skipped, count)
            yield (None if lcn is None else lcn + skipped), taken
            first, count, number = first + taken, count - taken, number + 1


class NtfsFiles:
    """The files of a file system.

    Args:
        disk: The disk.
        volume: The part of it in which the file system is.

    Raises:
        UnsupportedError: It is damaged, or the library is missing that reads it.

    Attributes:
        boot: What the boot sector says.
        volume: Where it is.
    """

    def __init__(self, disk: Disk, volume: Volume) -> None:
        self.volume, self._disk = volume, disk
        self._library = _library()
        self.boot = self._read_boot()
        self._mft = self._first_records()
        self._mft = self.stream(self.named(_MFT, DATA))
        self._refuse_other_mirror()

    def unprotected(self, data: bytes) -> bytes:
        """Return a structure of several sectors without the numbers that tell a torn one.

        Raises:
            UnsupportedError: It is torn.
        """
        with self._told():
            fixed: bytes = self._library.unprotected(data)
        return fixed

    def _refuse_other_mirror(self) -> None:
        """Refuse when the first records are not what their copies say."""
        size = self.boot.record
        mirror = Stream(None, [(self.boot.mirror, MIB)], 4 * size, 4 * size, True)
        for number in range(_MIRRORED):
            one = self.record(number)
            other = self._parsed(self.read(mirror, number * size, size), number)
            if one.data[: one.header.BytesInUse] != other.data[: one.header.BytesInUse]:
                raise self.error(f"record {number} of $MFT is not what $MFTMirr has")

    def _first_records(self) -> Stream:
        """Return what of $MFT its own first record leads to, without the others."""
        size = self.boot.record
        here = self.boot.clusters - self.boot.mft
        self._mft = Stream(None, [(self.boot.mft, here)], size, size, True)
        headers = self._in_record(self.record(_MFT))
        return self.stream(self._with_name(headers, DATA, ""), is_part=True)

    def named(self, number: int, kind: int, name: str = "") -> list[Any]:
        """Return the headers of an attribute of a file, of which each tells a part; or none.

        Raises:
            UnsupportedError: The file is damaged.
        """
        return self._with_name(self.headers(number), kind, name)

    def _with_name(self, headers: Iterable[Any], kind: int, name: str) -> list[Any]:
        with self._told():
            return [one for one in headers if int(one.type) == kind and one.name == name]

    def headers(self, number: int) -> list[Any]:
        """Return the headers of all attributes of a file, those in other records, too.

        Raises:
            UnsupportedError: The file is damaged.
        """
        found = self._in_record(self.record(number))
        lists = [header for header in found if int(header.type) == _LIST]
        seen = {number}
        for other in self._listed(lists):
            if other in seen:
                continue
            seen.add(other)
            record = self.record(other)
            reference = record.header.BaseFileRecordSegment
            base = reference.SegmentNumberLowPart | reference.SegmentNumberHighPart << 32
            if base != number or len(seen) > _MOST_EXTENSIONS:
                raise self.error(f"file {number} has attributes in record {other}")
            found += self._in_record(record)
            if number == _MFT:  # the next ones may lie in what this one is about
                part = self.stream(self._with_name(found, DATA, ""), is_part=True)
                self._mft = max(self._mft, part, key=lambda stream: stream.size)
        return found

    def _listed(self, lists: list[Any]) -> Iterator[int]:
        """Yield the records that have attributes of a file, as its list says."""
        for header in lists:
            stream = self.stream([header])
            if stream.size > _MOST_LIST or not stream.is_plain:
                raise self.error("a list of attributes is too long")
            data, at = self.read(stream, 0, stream.size), 0
            while at + _LISTED.size <= len(data):
                length, reference = _LISTED.unpack_from(data, at)
                if length < _LISTED.size:
                    raise self.error("a list of attributes is damaged")
                yield reference & NUMBER
                at += length

    def record(self, number: int, *, may_be_free: bool = False) -> Any:
        """Return a record of $MFT that is in use; or None when it may be free, and is.

        Raises:
            UnsupportedError: It is damaged, or not in use.
        """
        size = self.boot.record
        if (number + 1) * size > self._mft.size:
            if may_be_free:
                return None
            raise self.error(f"record {number} is past the end of $MFT")
        record = self._parsed(self.read(self._mft, number * size, size), number)
        if record.header.Flags & 1:
            return record
        if may_be_free:
            return None
        raise self.error(f"record {number} of $MFT is not in use")

    def _parsed(self, data: bytes, number: int) -> Any:
        with self._told():
            record = self._library.record(data)
        lengths = record.header.BytesInUse, record.header.BytesAllocated
        if lengths[1] != self.boot.record or not lengths[0] <= lengths[1]:
            raise self.error(f"record {number} of $MFT is damaged")
        return record

    def _in_record(self, record: Any) -> list[Any]:
        """Return the headers of the attributes that are in a record."""
        # At its end a header may be shorter than the longest kind of it.
        file = io.BytesIO(record.data[: record.header.BytesInUse] + bytes(64))
        at, found = record.header.FirstAttributeOffset, []
        while int.from_bytes(record.data[at : at + 4], "little") != _NO_MORE:
            with self._told():
                header = self._library.header(file, at)
            length = header.record_length
            if length < _HEADER or at + length > record.header.BytesInUse:
                raise self.error("a record of $MFT is damaged")
            found.append(header)
            at += length
        return found

    def stream(self, headers: list[Any], *, is_part: bool = False) -> Stream:
        """Return the contents that one or several headers tell of, each of a part.

        Args:
            headers: The headers, in any order.
            is_part: Whether others may be missing, and the end of the contents with them.

        Raises:
            UnsupportedError: There are none, or they are damaged.
        """
        if not headers:
            raise self.error("a file has no contents")
        first = min(headers, key=lambda header: header.lowest_vcn or 0)
        is_plain = not first.flags
        if first.resident:
            with self._told():
                value = first.data()
            if len(value) != first.size or len(headers) > 1:
                raise self.error("an attribute is damaged")
            return Stream(value, [], len(value), len(value), is_plain)
        runs = self.runs(headers)
        held = sum(count for _, count in runs) * self.boot.cluster
        size, valid = first.size, first.header.Form.Nonresident.ValidDataLength
        if is_part:
            size, valid = min(size, held), min(valid, held)
        if not 0 <= valid <= size <= held:
            raise self.error("an attribute is longer than its clusters")
        return Stream(None, runs, size, valid, is_plain)

    def runs(self, headers: list[Any]) -> list[tuple[int | None, int]]:
        """Return where the clusters of an attribute are, or of a part of it.

        Raises:
            UnsupportedError: That is damaged.
        """
        found: list[tuple[int | None, int]] = []
        if any(header.resident for header in headers):
            raise self.error("an attribute is damaged")
        following = min(header.lowest_vcn for header in headers)
        if len(headers) > 1 and following:
            raise self.error("an attribute lacks its first part")
        for header in sorted(headers, key=lambda header: header.lowest_vcn):
            with self._told():
                runs = header.dataruns()
            count = sum(length for _, length in runs)
            last = following + count - 1 & _HIGHEST
            is_sound = header.lowest_vcn == following and header.highest_vcn == last
            for lcn, length in runs:
                is_inside = lcn is None or 0 <= lcn <= lcn + length <= self.boot.clusters
                is_sound = is_sound and length > 0 and is_inside
            if not is_sound:
                raise self.error("the runs of an attribute are damaged")
            following += count
            found += runs
        return found

    # -- bytes ------------------------------------------------------------------------------------

    def read(self, stream: Stream, offset: int, length: int) -> bytes:
        """Return bytes of a stream as they are stored, fewer only at its end.

        Raises:
            UnsupportedError: They are past the end of the disk.
        """
        if stream.value is not None:
            return stream.value[offset : offset + length]
        size = self.boot.cluster
        first, skipped = divmod(offset, size)
        data = bytearray()
        for lcn, count in stream.parts(first, ceil_div(skipped + length, size)):
            wanted = min(count * size, skipped + length - len(data))
            data += bytes(wanted) if lcn is None else self._pread(lcn * size, wanted)
        written = data[: max(0, stream.valid - first * size)]
        return bytes(written.ljust(len(data), b"\0")[skipped : skipped + length])

    def _pread(self, offset: int, length: int) -> bytes:
        data = self._disk.pread(length, self.volume.start + offset)
        if len(data) < length:
            raise self.error(f"{offset} is past the end of the disk")
        return data

    def _read_boot(self) -> Boot:
        with self._told():
            sector = self._library.boot_sector(self._pread(0, 512))
        size, shift = sector.Bpb.BytesPerSector, sector.Bpb.SectorsPerCluster
        factor = shift & 0xFF if shift & 0xFF <= 0x80 else 1 << -shift
        cluster = size * factor
        record = sector.ClustersPerFileRecordSegment
        record = record * cluster if record >= 0 else 1 << -record
        length = self.volume.end - self.volume.start
        is_sound = (
            size in _SECTORS
            and 0 < factor == 1 << factor.bit_length() - 1
            and cluster <= _MOST_CLUSTER
            and record in _RECORDS
            and 0 < sector.NumberSectors * size <= length
        )
        clusters = sector.NumberSectors * size // cluster if is_sound else 0
        if not max(sector.MftStartLcn, sector.Mft2StartLcn) < clusters:
            raise self.error("its boot sector is damaged, or it goes past the end of its volume")
        return Boot(size, cluster, clusters, sector.MftStartLcn, sector.Mft2StartLcn, record)

    # -- errors -----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Make one error of all that the library raises, which may be of any kind."""
        try:
            yield
        except Exception as error:
            raise self.error(f"it is damaged ({type(error).__name__}: {error})") from error

    def error(self, message: str) -> UnsupportedError:
        """Return the exception that says what is wrong."""
        return UnsupportedError(f"NTFS file system at {self.volume.start}: {message}")


class _Library(NamedTuple):
    """What of `dissect.ntfs` is called."""

    boot_sector: Any
    record: Any
    header: Any
    unprotected: Any


def _library() -> _Library:
    """Return what knows the structures.

    Raises:
        UnsupportedError: It is not installed.
    """
    try:
        from dissect import ntfs  # few disks have a file system that it reads
    except ImportError:
        message = (
            "NTFS is read with dissect.ntfs, which is missing: pip install 'vhdx-kaitai[files]'"
        )
        raise UnsupportedError(message) from None
    return _Library(
        ntfs.c_ntfs.c_ntfs.BOOT_SECTOR,
        ntfs.MftRecord.from_bytes,
        ntfs.attr.AttributeHeader,
        ntfs.util.apply_fixup,
    )
