"""What a new image consists of: everything but what is on its disk, placed and packed.

The layout is that of Windows: the log at 1 MiB, the metadata at 2 MiB, then the BAT,
then blocks; two headers whose numbers follow each other, both regions required, items in
the order and with the flags that Windows gives them [MS-VHDX 2.2, 2.6].

Facts that force the design:

* A file that begins as a VHDX file is taken for one. So the identifier is written last,
  when all that it promises is on the medium.
* The BAT of a large disk takes hundreds of MiB. A new file is zeros, and an entry of
  zeros is a block that is not present: what no block needs is neither made nor written.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from uuid import UUID, uuid4

from .._version import __version__
from ..errors import Finding, VhdxError
from ..format import encode, metadata
from ..format.bat import ENTRY_LENGTH, FULLY_PRESENT, Geometry
from ..format.headers import HEADER_SECTION_LENGTH
from ..format.metadata import ITEMS_FROM, DiskType
from ..format.place import HEADERS, IDENTIFIER, REGION_TABLES, TOP_LEVEL, Place, span_of
from ..format.structures import (
    FileParameters,
    FileTypeIdentifier,
    Header,
    MetadataEntry,
    MetadataTable,
    RegionEntry,
    RegionTable,
)
from ..guids import (
    BAT_REGION,
    FILE_PARAMETERS,
    LOGICAL_SECTOR_SIZE,
    METADATA_REGION,
    NIL,
    PARENT_LOCATOR,
    PHYSICAL_SECTOR_SIZE,
    VIRTUAL_DISK_ID,
    VIRTUAL_DISK_SIZE,
)
from ..reading.image import Image
from ..records import NamedTuple
from ..storage.source import open_source
from ..storage.target import OutFile
from ..units import KIB, MIB, ceil_div

CREATOR = f"vhdx-kaitai {__version__}"

USUAL_BLOCK_SIZE = 32 * MIB  # of Windows
USUAL_BLOCK_SIZE_OF_A_CHILD = 2 * MIB

_LOG_OFFSET, _LOG_LENGTH = HEADER_SECTION_LENGTH, MIB
METADATA_OFFSET = _LOG_OFFSET + _LOG_LENGTH

_BAT_PIECE = 64 * KIB  # of the BAT is written at once


class NewDisk(NamedTuple):
    """What a disk is to be; sizes in bytes.

    Attributes:
        size: Size of the disk.
        disk_type: `fixed`, `dynamic` or `differencing`.
        block_size: Size of a payload block.
        logical_sector_size: Size of the sectors by which it is addressed.
        physical_sector_size: Size of those that it claims to have inside.
        disk_id: Its identity.
    """

    size: int
    disk_type: DiskType
    block_size: int
    logical_sector_size: int
    physical_sector_size: int
    disk_id: UUID

    @property
    def geometry(self) -> Geometry:
        """The sizes that fix the shape of the BAT."""
        is_child = self.disk_type == "differencing"
        return Geometry(self.size, self.block_size, self.logical_sector_size, is_child)


class Created(NamedTuple):
    """A new image; sizes in bytes.

    Attributes:
        size: Size of the virtual disk.
        disk_type: `fixed`, `dynamic` or `differencing`.
        block_size: Size of a payload block.
        logical_sector_size: Size of the sectors by which the disk is addressed.
        physical_sector_size: Size of those that it claims to have inside.
        disk_id: Identity of the virtual disk.
        file_size: Length of the file.
    """

    size: int
    disk_type: DiskType
    block_size: int
    logical_sector_size: int
    physical_sector_size: int
    disk_id: UUID
    file_size: int


class Item(NamedTuple):
    """A metadata item that is to be.

    Attributes:
        entry: Its entry, which does not say yet where it is.
        read: Returns its bytes.
    """

    entry: MetadataEntry
    read: Callable[[], bytes]


def refuse_impossible(disk: NewDisk) -> None:
    """Raise unless a disk can be what it is to be, by the rules that are for readers.

    Raises:
        ValueError: A size is none that the format allows.
    """
    parameters = FileParameters(disk.block_size, False, False, 0)
    place = Place("file parameters", "file_parameters_item", None)
    sectors = Place("sector size", "logical_sector_size_item", None)
    checks: Iterable[Iterable[Finding]] = (
        metadata.check_file_parameters(parameters, place),
        metadata.check_sector_size(
            "ITEM-15", "LogicalSectorSize", disk.logical_sector_size, sectors
        ),
        metadata.check_sector_size(
            "ITEM-16", "PhysicalSectorSize", disk.physical_sector_size, sectors
        ),
    )
    for findings in checks:
        _refuse(findings)
    refuse_size(disk.size, disk.logical_sector_size)


def refuse_size(size: int, sector_size: int) -> None:
    """Raise unless a disk can have a size.

    Args:
        size: The size in bytes.
        sector_size: The logical sector size of the disk in bytes.

    Raises:
        ValueError: The format allows no such disk.
    """
    place = Place("size", "virtual_disk_size_item", None)
    _refuse(metadata.check_virtual_disk_size(size, sector_size, place))


def _refuse(findings: Iterable[Finding]) -> None:
    for finding in findings:
        raise ValueError(f"{finding.message} [{finding.rule}, MS-VHDX {finding.section}]")


class Blank:
    """A new image of a disk on which nothing is yet.

    Args:
        disk: What the disk is to be; `refuse_impossible` has nothing against it.
        locator: The parent locator of a differencing disk, packed.
        others: Further metadata items.
        has_bat_last: Whether the BAT comes after the payload, since nobody knows yet how
            large it will be.
        data_write_guid: The DataWriteGuid, by which children know the disk; by default a new one.
    """

    def __init__(
        self,
        disk: NewDisk,
        *,
        locator: bytes | None = None,
        others: Iterable[Item] = (),
        has_bat_last: bool = False,
        data_write_guid: UUID | None = None,
    ) -> None:
        self.disk = disk
        self._data_write_guid = data_write_guid or uuid4()
        self._items = [*_known_items(disk, locator), *others]
        end = ITEMS_FROM + sum(item.entry.length for item in self._items)
        self._metadata_length = _whole(end)
        end = METADATA_OFFSET + self._metadata_length
        self.payload_offset = end if has_bat_last else end + self.bat_length
        self._bat_offset = None if has_bat_last else end

    @property
    def bat_length(self) -> int:
        """Bytes of the region of the BAT."""
        return _whole(self.disk.geometry.entry_count * ENTRY_LENGTH)

    def file_length(self, blocks: int) -> int:
        """Return how long the file is in bytes.

        Args:
            blocks: How many blocks are stored.
        """
        end = self.payload_offset + blocks * self.disk.block_size
        return end + self.bat_length if self._bat_offset is None else end

    def write(
        self,
        out: OutFile,
        runs: Iterable[tuple[int, int]] = (),
        blocks: int = 0,
        *,
        rows: Iterable[tuple[int, array[int]]] | None = None,
        is_durable: bool = True,
    ) -> None:
        """Write everything but the payload, and last the identifier.

        Args:
            out: The file, as long as it has to be. Its payload is there.
            runs: Which blocks of the disk are stored, one after the other and in order:
                the first block of each run, and the one after its last.
            blocks: How many these are.
            rows: The BAT, when there is more in it than these: rows of little-endian entries in
                order, each with the index of its first one.
            is_durable: Whether there is a flush before the identifier.
        """
        bat_offset = self._bat_offset
        if bat_offset is None:
            bat_offset = self.payload_offset + blocks * self.disk.block_size
        if rows is None:
            rows = _rows(self.disk.geometry, runs, self.payload_offset)
        for offset, data in _pieces(rows):
            out.write(data, bat_offset + offset)
        for offset, data in self._structures(bat_offset):
            out.write(data, offset)
        if is_durable:
            out.flush()
        identifier = FileTypeIdentifier(encode.raw_creator(CREATOR))
        assert IDENTIFIER.base is not None
        out.write(encode.file_type_identifier(identifier), IDENTIFIER.base)

    def _structures(self, bat_offset: int) -> Iterator[tuple[int, bytes]]:
        """Yield the structures but for identifier and BAT, each with its file offset."""
        offset, entries = ITEMS_FROM, []
        for item in self._items:
            length = item.entry.length
            entries.append(item.entry._replace(offset=offset if length else 0))
            yield METADATA_OFFSET + offset, item.read()
            offset += length
        place = Place("metadata table", "metadata_table", METADATA_OFFSET)
        reserved = bytes(span_of("metadata_table", "reserved_2")[1])
        table = MetadataTable(place, 0, len(entries), reserved, tuple(entries))
        yield METADATA_OFFSET, encode.metadata_table(table)
        regions = (
            RegionEntry(BAT_REGION, bat_offset, self.bat_length, 1),
            RegionEntry(METADATA_REGION, METADATA_OFFSET, self._metadata_length, 1),
        )
        for place in REGION_TABLES:
            assert place.base is not None
            copy = RegionTable(place, b"", True, 0, len(regions), 0, regions)
            yield place.base, encode.region_table(copy)
        yield from _headers(self._data_write_guid)

    def created(self, file_size: int) -> Created:
        """Return what the image is, given the length of its file in bytes."""
        return Created(*self.disk, file_size)


def judge(out: OutFile) -> Image:
    """Return a new image, which has no name yet, as whoever opens it will judge it.

    Raises:
        VhdxError: It is refused. Nobody gets to see it then.
    """
    assert out.place is not None
    source = open_source(out.place, out.reopen)
    try:
        return Image(source, replay="refuse")
    except VhdxError as error:
        error.path = out.path
        source.close()
        raise
    except BaseException:
        source.close()
        raise


def bat_pieces(
    geometry: Geometry, runs: Iterable[tuple[int, int]], payload_offset: int
) -> Iterator[tuple[int, bytes]]:
    """Yield what of a BAT is not zeros, each piece with its place in the BAT.

    Args:
        geometry: Its shape.
        runs: Which blocks are stored, as `Blank.write` takes them.
        payload_offset: File offset of the first of them in bytes; the others follow.
    """
    return _pieces(_rows(geometry, runs, payload_offset))


def _pieces(rows: Iterable[tuple[int, array[int]]]) -> Iterator[tuple[int, bytes]]:
    """Yield rows of a BAT as pieces of it."""
    page, entries = 0, bytearray()
    for first, numbers in rows:
        at, data = first * ENTRY_LENGTH, numbers.tobytes()
        if at + len(data) > page + _BAT_PIECE:
            if entries:
                yield page, bytes(entries)
            page, entries = at, bytearray()
        entries.extend(bytes(at - page - len(entries)))
        entries += data
    if entries:
        yield page, bytes(entries)


def _rows(
    geometry: Geometry, runs: Iterable[tuple[int, int]], offset: int
) -> Iterator[tuple[int, array[int]]]:
    """Yield entries of blocks that follow each other in the BAT, with the index of the first."""
    size, ratio = geometry.block_size, geometry.chunk_ratio
    for start, stop in runs:
        while start < stop:
            end = min(stop, start - start % ratio + ratio)
            length = (end - start) * size
            numbers = range(offset + FULLY_PRESENT, offset + length + FULLY_PRESENT, size)
            yield geometry.payload_index(start), little_endian(array("Q", numbers))
            start, offset = end, offset + length


def little_endian(numbers: array[int]) -> array[int]:
    """Return numbers as they stand in a file, whatever the order of the machine is."""
    if array("H", [1]).tobytes()[0] == 0:
        numbers.byteswap()
    return numbers


def _whole(length: int) -> int:
    """Return the length of a region that has to hold some bytes; it takes whole MiBs."""
    return ceil_div(length, MIB) * MIB


def _known_items(disk: NewDisk, locator: bytes | None) -> Iterator[Item]:
    """Yield the items of the specification, in the order of Windows [MS-VHDX 2.6.2]."""
    is_fixed, is_child = disk.disk_type == "fixed", locator is not None
    parameters = FileParameters(disk.block_size, is_fixed, is_child, 0)
    of_the_disk = (
        (VIRTUAL_DISK_SIZE, encode.virtual_disk_size(disk.size)),
        (LOGICAL_SECTOR_SIZE, encode.logical_sector_size(disk.logical_sector_size)),
        (PHYSICAL_SECTOR_SIZE, encode.physical_sector_size(disk.physical_sector_size)),
        (VIRTUAL_DISK_ID, encode.virtual_disk_id(disk.disk_id)),
    )
    yield _known_item(FILE_PARAMETERS, encode.file_parameters(parameters), is_of_disk=False)
    for guid, data in of_the_disk:
        yield _known_item(guid, data, is_of_disk=True)
    if locator is not None:
        yield _known_item(PARENT_LOCATOR, locator, is_of_disk=False)


def _known_item(guid: UUID, data: bytes, *, is_of_disk: bool) -> Item:
    entry = MetadataEntry("known", guid, 0, len(data), False, is_of_disk, True, 0, 0)
    return Item(entry, lambda: data)


def _headers(data_write_guid: UUID) -> Iterator[tuple[int, bytes]]:
    """Yield both headers, which say the same but for their numbers (HDR-27)."""
    file_write_guid = uuid4()
    for number, place in enumerate(HEADERS, 1):
        header = Header(
            place=place,
            raw=b"",
            is_signature_valid=True,
            checksum=0,
            sequence_number=number,
            file_write_guid=file_write_guid,
            data_write_guid=data_write_guid,
            log_guid=NIL,
            log_version=0,
            version=1,
            log_length=_LOG_LENGTH,
            log_offset=_LOG_OFFSET,
            reserved=bytes(span_of("header", "reserved")[1]),
        )
        yield TOP_LEVEL[f"header_{number}"][0], encode.header(header)
