"""The metadata table and the known items.

Everything that is used in arithmetic later is judged here: block size, sector
sizes and disk size are within their limits and powers of two or multiples
before anybody divides by them [MS-VHDX 2.6].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID

from ..errors import Finding, Level, Where, mismatch, refuse
from ..guids import (
    FILE_PARAMETERS,
    INCOMPLETE_FILE,
    ITEM_NAMES,
    LOGICAL_SECTOR_SIZE,
    NIL,
    PARENT_LOCATOR,
    PHYSICAL_SECTOR_SIZE,
    UNSPECIFIED_ITEM_NAMES,
    VIRTUAL_DISK_ID,
    VIRTUAL_DISK_SIZE,
)
from ..ranges import overlapping
from ..records import TYPE_CHECKING, NamedTuple
from ..storage.source import Source
from ..units import MIB, TIB, is_aligned
from . import grammar
from .place import Place, length_of
from .structures import FileParameters, MetadataEntry, MetadataTable, ParentLocator, RegionEntry

if TYPE_CHECKING:
    from typing import Any, Literal, TypeAlias

MAX_ENTRIES = 2047  # [MS-VHDX 2.6.1.1]
MAX_USER_ENTRIES = 1024  # [MS-VHDX 2.6.1.2]
MAX_ITEM_LENGTH = MIB  # [MS-VHDX 2.6.1.2]
ITEMS_FROM = length_of("metadata_table")  # [MS-VHDX 2.6.1.2]
_NEAR = 4096  # bytes that are read at once from the first item on
MIN_BLOCK_SIZE, MAX_BLOCK_SIZE = MIB, 256 * MIB  # [MS-VHDX 2.6.2.1]
MAX_VIRTUAL_DISK_SIZE = 64 * TIB  # [MS-VHDX 2.6.2.2]
SECTOR_SIZES = (512, 4096)  # [MS-VHDX 2.6.2.4, 2.6.2.5]

DiskType: TypeAlias = 'Literal["fixed", "dynamic", "differencing"]'

# The known items by the names that the grammar has for their kinds: GUID and parser.
_KINDS = {
    "file_parameters": (FILE_PARAMETERS, grammar.file_parameters),
    "virtual_disk_size": (VIRTUAL_DISK_SIZE, grammar.virtual_disk_size),
    "virtual_disk_id": (VIRTUAL_DISK_ID, grammar.virtual_disk_id),
    "logical_sector_size": (LOGICAL_SECTOR_SIZE, grammar.logical_sector_size),
    "physical_sector_size": (PHYSICAL_SECTOR_SIZE, grammar.physical_sector_size),
    "parent_locator": (PARENT_LOCATOR, grammar.parent_locator),
}
_NAMES = {kind: (ITEM_NAMES[guid], f"{kind}_item") for kind, (guid, _) in _KINDS.items()}
_REQUIRED_KINDS = tuple(kind for kind in _KINDS if kind != "parent_locator")
# File Parameters and Parent Locator belong to the file, the others to the disk.
FILE_KINDS = ("file_parameters", "parent_locator")


class Metadata(NamedTuple):
    """What the metadata says, judged; sizes in bytes.

    Attributes:
        entries: All entries of the table, unknown and user items included.
        disk_type: `fixed`, `dynamic` or `differencing`.
        virtual_disk_size: Size of the disk, a multiple of its logical sectors.
        virtual_disk_id: Identity of the disk, the same in all images of a chain.
        block_size: Size of a payload block, a power of two from 1 MiB to 256 MiB.
        logical_sector_size: 512 or 4096.
        physical_sector_size: 512 or 4096.
        parent_locator: The locator of a differencing disk, None for others.
    """

    entries: tuple[MetadataEntry, ...]
    disk_type: DiskType
    virtual_disk_size: int
    virtual_disk_id: UUID
    block_size: int
    logical_sector_size: int
    physical_sector_size: int
    parent_locator: ParentLocator | None


def entry_place(table: MetadataTable, index: int) -> Place:
    """Return the place of an entry of the metadata table."""
    return table.place.element("entries", index, f"metadata table, entry {index}")


def check_table(table: MetadataTable, region_length: int) -> Iterator[Finding]:
    """Yield what is wrong with the metadata table.

    Args:
        table: The table.
        region_length: Size of the metadata region in bytes.
    """
    place = table.place.field
    if table.reserved:
        yield mismatch(
            "MET-02", "warning", place("reserved"), "Reserved", f"{table.reserved:#x}", "0"
        )
    if table.num_entries > MAX_ENTRIES:
        actual, expected = str(table.num_entries), f"at most {MAX_ENTRIES}"
        yield mismatch("MET-03", "error", place("num_entries"), "EntryCount", actual, expected)
    if table.reserved_2.strip(b"\0"):
        yield mismatch(
            "MET-04", "warning", place("reserved_2"), "Reserved2", table.reserved_2.hex(), "zeros"
        )
    seen = set()
    for index, entry in enumerate(table.entries):
        key = (entry.item_id.int, entry.is_user)
        if key in seen:
            message = f"ItemId {entry.item_id} a second time, expected each only once"
            yield Finding("MET-05", "error", entry_place(table, index).field("item_id"), message)
        seen.add(key)
        yield from _check_entry(table, index, region_length)
    yield from _check_overlaps(table)
    users = len([entry for entry in table.entries if entry.is_user])
    if users > MAX_USER_ENTRIES:
        name, expected = "number of user items", f"at most {MAX_USER_ENTRIES}"
        yield mismatch("MET-12", "error", place("num_entries"), name, str(users), expected)


def _check_entry(table: MetadataTable, index: int, region_length: int) -> Iterator[Finding]:
    entry = table.entries[index]
    offset, length = entry.offset, entry.length

    def field(name: str) -> Place:
        return entry_place(table, index).field(name)

    if length == 0:
        yield Finding("MET-11", "note", field("length"), "Length 0: the item is there but empty")
        if offset != 0:
            name = "Offset of an empty item"
            yield mismatch("MET-10", "error", field("offset"), name, f"{offset:#x}", "0")
    elif offset < ITEMS_FROM:
        actual = f"{offset:#x}"
        yield mismatch("MET-06", "error", field("offset"), "Offset", actual, "at least 64 KiB")
    if length and offset + length > region_length:
        expected = f"at most the region's length {region_length:#x}"
        actual = f"{offset + length:#x}"
        yield mismatch("MET-07", "error", field("length"), "end of item", actual, expected)
    if length > MAX_ITEM_LENGTH:
        yield mismatch(
            "MET-09", "error", field("length"), "Length", f"{length:#x}", "at most 1 MiB"
        )
    if entry.reserved:
        actual = f"{entry.reserved:#x}"
        yield mismatch("MET-14", "warning", field("reserved"), "Reserved", actual, "0")
    if entry.reserved_2:
        actual = f"{entry.reserved_2:#x}"
        yield mismatch("MET-15", "warning", field("reserved_2"), "Reserved2", actual, "0")
    if entry.kind == "other":
        yield from _check_unknown(entry, entry_place(table, index))
    elif not entry.is_required or entry.is_virtual_disk == (entry.kind in FILE_KINDS):
        name = f"{ITEM_NAMES[entry.item_id]}: flags"
        actual = _flags(entry.is_virtual_disk, entry.is_required)
        expected = _flags(entry.kind not in FILE_KINDS, True)
        yield mismatch("ITEM-03", "warning", field("is_virtual_disk"), name, actual, expected)


def _check_unknown(entry: MetadataEntry, place: Place) -> Iterator[Finding]:
    if entry.is_user and entry.is_required:
        message = "IsUser and IsRequired both set, expected no user item to be required"
        yield Finding("MET-19", "note", place.field("is_required"), message)
    if entry.item_id == NIL:
        yield mismatch("MET-20", "warning", place.field("item_id"), "ItemId", "zero", "a GUID")
    if entry.is_user and entry.item_id in ITEM_NAMES:
        name = ITEM_NAMES[entry.item_id]
        message = f"the GUID of {name} on a user item, which is not that item"
        yield Finding("ITEM-04", "note", place.field("item_id"), message)
    if entry.item_id == INCOMPLETE_FILE:
        level: Level = "error" if entry.is_required else "warning"
        message = "the file is marked as incomplete: its creation never ended"
        yield Finding("ITEM-21", level, place.field("item_id"), message)
    elif entry.is_required:
        special = UNSPECIFIED_ITEM_NAMES.get(entry.item_id)
        rule = "ITEM-21" if special else "MET-13"
        name = f"{special} item" if special else "item"
        message = f"unknown {name} {entry.item_id} is required, expected only known ones to be"
        yield Finding(rule, "error", place.field("item_id"), message)


def _flags(is_virtual_disk: bool, is_required: bool) -> str:
    flags = {"IsVirtualDisk": is_virtual_disk, "IsRequired": is_required}
    return "+".join(name for name, is_set in flags.items() if is_set) or "none"


def _check_overlaps(table: MetadataTable) -> Iterator[Finding]:
    stored = [
        (entry.offset, entry.offset + entry.length, index)
        for index, entry in enumerate(table.entries)
        if entry.length
    ]
    for one, (start, end, index) in overlapping(stored):
        message = (
            f"item at {start:#x} to {end:#x} overlaps that of entry {one[2]} "
            f"at {one[0]:#x} to {one[1]:#x}"
        )
        yield Finding("MET-08", "error", entry_place(table, index).field("offset"), message)


def check_presence(kinds: set[str], table: MetadataTable) -> Iterator[Finding]:
    """Yield which required items are missing."""
    for kind in _REQUIRED_KINDS:
        if kind not in kinds:
            message = f"no {kind.replace('_', ' ')} item, expected one"
            yield Finding("ITEM-01", "error", table.place, message)


def check_file_parameters(item: FileParameters, place: Place) -> Iterator[Finding]:
    """Yield what is wrong with the File Parameters item [MS-VHDX 2.6.2.1]."""
    size = item.block_size
    field = place.field("block_size")
    if not MIN_BLOCK_SIZE <= size <= MAX_BLOCK_SIZE:
        yield mismatch(
            "ITEM-05", "error", field, "BlockSize", f"{size:#x}", "from 1 MiB to 256 MiB"
        )
    if size & (size - 1):
        yield mismatch("ITEM-06", "error", field, "BlockSize", f"{size:#x}", "a power of two")
    if item.reserved:
        actual = f"{item.reserved:#x}"
        yield mismatch("ITEM-07", "warning", place.field("reserved"), "Reserved", actual, "0")


def check_sector_size(rule: str, name: str, size: int, place: Place) -> Iterator[Finding]:
    """Yield what is wrong with a sector size, logical or physical [MS-VHDX 2.6.2.4, 2.6.2.5]."""
    if size not in SECTOR_SIZES:
        yield mismatch(rule, "error", place, name, str(size), "512 or 4096")


def check_virtual_disk_size(size: int, sector_size: int, place: Place) -> Iterator[Finding]:
    """Yield what is wrong with the size of the disk [MS-VHDX 2.6.2.2].

    Args:
        size: Size of the disk in bytes.
        sector_size: Logical sector size in bytes.
        place: Where the item is.
    """
    if size > MAX_VIRTUAL_DISK_SIZE:
        yield mismatch("ITEM-12", "error", place, "VirtualDiskSize", str(size), "at most 64 TiB")
    if size == 0:
        yield mismatch("ITEM-13", "error", place, "VirtualDiskSize", "0", "more than 0")
    if sector_size in SECTOR_SIZES and not is_aligned(size, sector_size):
        expected = f"a multiple of LogicalSectorSize {sector_size}"
        yield mismatch("ITEM-11", "error", place, "VirtualDiskSize", str(size), expected)


def check_physical_size(physical: int, logical: int, place: Place) -> Iterator[Finding]:
    """Yield what is unusual about the two sector sizes together."""
    if physical < logical:
        expected = f"at least LogicalSectorSize {logical}"
        yield mismatch("ITEM-18", "note", place, "PhysicalSectorSize", str(physical), expected)


def check_parent(has_parent: bool, has_locator: bool, table: MetadataTable) -> Iterator[Finding]:
    """Yield whether HasParent and the parent locator contradict each other [MS-VHDX 2.6.2.6]."""
    if has_parent and not has_locator:
        message = "no parent locator item, expected one because HasParent is set"
        yield Finding("ITEM-19", "error", table.place, message)
    if has_locator and not has_parent:
        message = "a parent locator item although HasParent is not set; it is ignored"
        yield Finding("ITEM-20", "warning", table.place, message)


def check_fork(child: Metadata, parent: Metadata, place: Where) -> Iterator[Finding]:
    """Yield what a child has not taken over from its parent [MS-VHDX 2.6.1.2].

    Disk size, disk id and logical sector size have rules of their own. Contents
    of other items are not compared: the child may have changed them since.

    Args:
        child: Metadata of the child.
        parent: Metadata of its parent.
        place: The parent.
    """
    if child.physical_sector_size != parent.physical_sector_size:
        actual, expected = str(parent.physical_sector_size), str(child.physical_sector_size)
        expected += " as in its child"
        yield mismatch("MET-17", "note", place, "PhysicalSectorSize", actual, expected)
    taken = {(entry.item_id, entry.is_user) for entry in child.entries}
    for entry in parent.entries:
        if entry.is_virtual_disk and (entry.item_id, entry.is_user) not in taken:
            message = f"item {entry.item_id} is a part of the disk, expected it in the child, too"
            yield Finding("MET-17", "note", place, message)


class Items:
    """The known items of a table, each parsed when it is asked for.

    Args:
        source: The file after log replay.
        region: The metadata region.
        table: Its table.

    Attributes:
        region: The metadata region.
        table: The table.
        kinds: Which items it names, by the names that the grammar has for them.
    """

    def __init__(self, source: Source, region: RegionEntry, table: MetadataTable) -> None:
        self.region = region
        self.table = table
        self._source = source
        self._by_kind = {entry.kind: entry for entry in table.entries if entry.kind in _KINDS}
        self._parsed: dict[str, Any] = {}
        self._places: dict[str, Place] = {}
        self._near, self._near_offset = b"", 0
        self.kinds = set(self._by_kind)

    def place(self, kind: str) -> Place:
        """Return the place of a known item that was asked for before."""
        return self._places[kind]

    def get(self, kind: str) -> Any:
        """Return a known item."""
        if kind in self._parsed:
            return self._parsed[kind]
        entry = self._by_kind[kind]
        offset = self.region.file_offset + entry.offset
        place = Place(*_NAMES[kind], offset)
        if entry.length > MAX_ITEM_LENGTH:  # whoever goes on after MET-09 must not read it
            actual = f"{entry.length:#x}"
            refuse([mismatch("MET-09", "error", place, "Length", actual, "at most 1 MiB")])
        parse: Callable[[bytes, Place], Any] = _KINDS[kind][1]
        self._places[kind] = place
        self._parsed[kind] = item = parse(self._read(offset, entry.length), place)
        return item

    def _read(self, offset: int, length: int) -> bytes:
        """Return bytes of an item; most images have all items side by side, read at once."""
        start = offset - self._near_offset
        if not 0 <= start <= len(self._near) - length:
            end = self.region.file_offset + self.region.length
            there = min(_NEAR, end - offset, self._source.size - offset)
            self._near = self._source.read(offset, max(length, there))
            self._near_offset, start = offset, 0
        return self._near[start : start + length]

    def parent_locator(self) -> ParentLocator | None:
        """Return the parent locator, which without HasParent is ignored, right or wrong."""
        if not {"file_parameters", "parent_locator"} <= self.kinds:
            return None
        if not self.get("file_parameters").has_parent:
            return None
        locator: ParentLocator = self.get("parent_locator")
        return locator


def check_items(items: Items, table: MetadataTable) -> Iterator[Iterator[Finding]]:
    """Yield the checks of the known items, in an order in which each may be used by the next.

    A check raises `FormatError` when an item that it needs has not the right length.
    """
    yield check_presence(items.kinds, table)
    if "file_parameters" in items.kinds:
        yield _check_parameters_item(items)
    if "logical_sector_size" in items.kinds:
        yield _check_sector_size_item(items, "ITEM-15", "LogicalSectorSize", "logical_sector_size")
    if "physical_sector_size" in items.kinds:
        yield _check_sector_size_item(
            items, "ITEM-16", "PhysicalSectorSize", "physical_sector_size"
        )
    if {"logical_sector_size", "physical_sector_size"} <= items.kinds:
        yield _check_both_sector_sizes(items)
    if {"logical_sector_size", "virtual_disk_size"} <= items.kinds:
        yield _check_size_item(items)
    if "virtual_disk_id" in items.kinds:
        yield _check_id_item(items)
    if "file_parameters" in items.kinds:
        yield _check_parent_item(items, table)


def check_sizes(items: Items) -> Iterator[Finding]:
    """Yield what is wrong with the items that fix the shape of the BAT, all of which are there."""
    yield from _check_parameters_item(items)
    yield from _check_sector_size_item(items, "ITEM-15", "LogicalSectorSize", "logical_sector_size")
    yield from _check_size_item(items)


def _check_parameters_item(items: Items) -> Iterator[Finding]:
    parameters = items.get("file_parameters")
    yield from check_file_parameters(parameters, items.place("file_parameters"))


def _check_sector_size_item(items: Items, rule: str, name: str, kind: str) -> Iterator[Finding]:
    yield from check_sector_size(rule, name, items.get(kind), items.place(kind))


def _check_both_sector_sizes(items: Items) -> Iterator[Finding]:
    physical, logical = items.get("physical_sector_size"), items.get("logical_sector_size")
    yield from check_physical_size(physical, logical, items.place("physical_sector_size"))


def _check_size_item(items: Items) -> Iterator[Finding]:
    size, logical = items.get("virtual_disk_size"), items.get("logical_sector_size")
    yield from check_virtual_disk_size(size, logical, items.place("virtual_disk_size"))


def _check_id_item(items: Items) -> Iterator[Finding]:
    items.get("virtual_disk_id")  # any value will do, but it has to have its length
    yield from ()


def _check_parent_item(items: Items, table: MetadataTable) -> Iterator[Finding]:
    has_parent = items.get("file_parameters").has_parent
    yield from check_parent(has_parent, "parent_locator" in items.kinds, table)


def judged(items: Items) -> Metadata:
    """Return what table and items say, with which no check has found an error."""
    parameters = items.get("file_parameters")
    return Metadata(
        items.table.entries,
        _disk_type(parameters),
        items.get("virtual_disk_size"),
        items.get("virtual_disk_id"),
        parameters.block_size,
        items.get("logical_sector_size"),
        items.get("physical_sector_size"),
        items.parent_locator(),
    )


def _disk_type(parameters: FileParameters) -> DiskType:
    """Return the type of the disk; HasParent makes LeaveBlockAllocated meaningless (ITEM-08)."""
    if parameters.has_parent:
        return "differencing"
    return "fixed" if parameters.leave_block_allocated else "dynamic"
