"""What a parser compiled from `vhdx.ksy` has to say of an image, taken from its description.

Nothing here reads an image through a parser: values come from the records of `tests/images`, and
bytes are those that the records pack. Every function gives the values of one type of the grammar,
by the grammar's own names, as (path, kind, value); the README describes kinds and values.

Tables, logs and BATs are shown in part: the elements that say something, and those at the ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from tests.images.image import Layout
from tests.images.log import SECTOR, Data, Placed, Zero
from tests.images.sparse import Sparse
from tests.images.structures import (
    BAT_REGION,
    FILE_PARAMETERS,
    FULLY_PRESENT,
    HEADER_OFFSETS,
    IS_REQUIRED,
    IS_USER,
    IS_VIRTUAL_DISK,
    KIB,
    LOGICAL_SECTOR_SIZE,
    METADATA_REGION,
    MIB,
    PARENT_LOCATOR,
    PARTIALLY_PRESENT,
    PHYSICAL_SECTOR_SIZE,
    REGION_TABLE_OFFSETS,
    SB_PRESENT,
    STATE_NAMES,
    TIB,
    VHDX_LOCATOR_TYPE,
    VIRTUAL_DISK_ID,
    VIRTUAL_DISK_SIZE,
    Header,
    Locator,
    LocatorEntry,
    MetadataItem,
    RegionEntry,
    RegionTable,
    utf16,
)

Value = tuple[str, str, str]
Values = Iterator[Value]

MAX_ENTRIES = 2047
BITMAP_STATE_NAMES = {0: "not_present", SB_PRESENT: "present"}
ITEM_KINDS = {
    FILE_PARAMETERS: "file_parameters",
    VIRTUAL_DISK_SIZE: "virtual_disk_size",
    VIRTUAL_DISK_ID: "virtual_disk_id",
    LOGICAL_SECTOR_SIZE: "logical_sector_size",
    PHYSICAL_SECTOR_SIZE: "physical_sector_size",
    PARENT_LOCATOR: "parent_locator",
}
# Numbers of the kinds in `item_kind`, which is how a look-up names the one it wants.
KIND_CODES = {"file_parameters": 1, "virtual_disk_size": 2, "logical_sector_size": 4}


# -- kinds of values ------------------------------------------------------------------------------


def number(path: str, value: int) -> Value:
    """Say that a number is this one; always as decimal digits, so that no reader rounds it."""
    return path, "int", str(value)


def flag(path: str, value: bool) -> Value:
    """Say that a boolean is this one."""
    return path, "bool", "true" if value else "false"


def text(path: str, value: str) -> Value:
    """Say that a string is this one."""
    return path, "str", value


def label(path: str, enum: str, value: str) -> Value:
    """Say that a field of an enum has this label, or this number when the enum has none for it."""
    return path, enum, value


def size(path: str, value: int) -> Value:
    """Say that an array has so many elements."""
    return path, "size", str(value)


def absent(path: str) -> Value:
    """Say that the `if` of an instance is false."""
    return path, "absent", ""


def error(path: str, reason: str) -> Value:
    """Say that reading this fails."""
    return path, "error", reason


def raw(path: str, data: bytes) -> Value:
    """Say that bytes are these."""
    return path, "bytes", packed(data)


def utf16_text(path: str, data: bytes) -> Value:
    """Say what these bytes are as text; that of broken text has U+FFFD, or is an error."""
    try:
        return text(path, data.decode("utf-16-le"))
    except UnicodeDecodeError:
        return path, "broken_text", data.decode("utf-16-le", "replace")


def packed(data: bytes) -> str:
    """Return bytes as hexadecimal digits; a run of 16 or more of a byte is written 00*16."""
    words: list[str] = []
    plain = bytearray()
    position = 0
    while position < len(data):
        byte = data[position : position + 1]
        run = len(data) - position - len(data[position:].lstrip(byte))
        if run >= 16:
            if plain:
                words.append(plain.hex())
                plain.clear()
            words.append(f"{byte.hex()}*{run}")
        else:
            plain += byte * run
        position += run
    if plain:
        words.append(plain.hex())
    return " ".join(words)


def shown(count: int, telling: Iterable[int] = ()) -> list[int]:
    """Return which elements of an array are told: the telling ones, the first two, the last."""
    return sorted(index for index in {0, 1, count - 1, *telling} if 0 <= index < count)


def guid(path: str, value: UUID) -> Values:
    """Yield `guid`."""
    yield raw(f"{path}.raw", value.bytes_le)


# -- the parts of the header section --------------------------------------------------------------


def _units(data: bytes) -> list[int]:
    units: list[int] = []
    for position in range(0, len(data), 2):
        units.append(int.from_bytes(data[position : position + 2], "little"))
        if units[-1] == 0:
            break
    return units


@dataclass
class Expectation:
    """All values of one image: `layout` describes it, `file` is what was stored of it."""

    layout: Layout
    file: Sparse

    def values(self) -> Values:
        """Yield everything that is told of the image, in the order of the grammar."""
        yield from self.file_identifier()
        if not self.is_identified:
            return
        for copy in (1, 2):
            yield from self.header(copy)
        for copy in (1, 2):
            yield from self.region_table(copy)
        yield from self.preview()
        yield from self.log()
        yield from self.regions()
        yield from self.metadata()
        yield from self.bat()

    @property
    def length(self) -> int:
        """Bytes of the file."""
        return self.file.length

    @property
    def is_identified(self) -> bool:
        """Whether the parser gets past the file type identifier."""
        return self.length >= 520 and self.layout.identifier.signature == b"vhdxfile"

    def file_identifier(self) -> Values:
        """Yield `file_type_identifier`."""
        path = "file_identifier"
        if not self.is_identified:
            yield error(path, "end of file" if self.length < 520 else "signature")
            return
        creator = utf16(self.layout.identifier.creator).ljust(512, b"\0")
        yield raw(f"{path}.signature", b"vhdxfile")
        yield raw(f"{path}.raw_creator", creator)
        if self.length < 64 * KIB:
            yield error(f"{path}.reserved", "end of file")
        else:
            yield raw(f"{path}.reserved", self.layout.identifier.reserved.ljust(65016, b"\0"))
        units = _units(creator)
        yield size(f"{path}.creator.units", len(units))
        for index in shown(len(units), range(16)):
            yield number(f"{path}.creator.units[{index}]", units[index])
        length = 2 * (len(units) - (units[-1] == 0))
        yield number(f"{path}.creator.len_text", length)
        yield utf16_text(f"{path}.creator.text", creator[:length])

    def header(self, copy: int) -> Values:
        """Yield `header`."""
        path, header = f"header_{copy}", self.layout.headers[copy - 1]
        if self.length < HEADER_OFFSETS[copy - 1] + 4096:
            yield error(path, "end of file")
            return
        yield raw(f"{path}.signature", header.signature)
        yield number(f"{path}.checksum", _checksum(header))
        yield number(f"{path}.sequence_number", header.sequence_number)
        yield from guid(f"{path}.file_write_guid", header.file_write_guid)
        yield from guid(f"{path}.data_write_guid", header.data_write_guid)
        yield from guid(f"{path}.log_guid", header.log_guid)
        yield number(f"{path}.log_version", header.log_version)
        yield number(f"{path}.version", header.version)
        yield number(f"{path}.log_length", header.log_length)
        yield number(f"{path}.log_offset", header.log_offset)
        yield raw(f"{path}.reserved", header.reserved.ljust(4016, b"\0"))
        yield flag(f"{path}.is_signature_valid", header.signature == b"head")
        yield number(f"{path}.sequence_number_low", header.sequence_number & 0xFFFFFFFF)
        yield number(f"{path}.sequence_number_high", header.sequence_number >> 32)
        yield number(f"{path}.rank_high", -1 if self.rank(copy) < 0 else self.rank(copy) >> 32)

    def rank(self, copy: int) -> int:
        """Return the sequence number of a copy with the right signature, otherwise -1."""
        header = self.layout.headers[copy - 1]
        return header.sequence_number if header.signature == b"head" else -1

    def region_table(self, copy: int) -> Values:
        """Yield `region_table`."""
        path, table = f"region_table_{copy}", self.layout.region_tables[copy - 1]
        if self.length < REGION_TABLE_OFFSETS[copy - 1] + 64 * KIB:
            yield error(path, "end of file")
            return
        entries = region_entries(table)
        yield raw(f"{path}.signature", table.signature)
        yield number(f"{path}.checksum", _checksum(table))
        yield number(f"{path}.num_entries", stored_count(table))
        yield number(f"{path}.reserved", table.reserved)
        yield size(f"{path}.entries", len(entries))
        for index in shown(len(entries), range(6)):
            yield from region_entry(f"{path}.entries[{index}]", entries[index])
        yield raw(f"{path}.unused", table.pack()[16 + 32 * len(entries) :])
        yield flag(f"{path}.is_signature_valid", table.signature == b"regi")

    # -- the views that choose --------------------------------------------------------------------

    @property
    def current_header(self) -> int:
        """The copy of the header that the preview takes, 0 for none."""
        first, second = self.rank(1), self.rank(2)
        if first < 0 and second < 0:
            return 0
        return 2 if second > first else 1

    @property
    def table_copy(self) -> int:
        """The copy of the region table that the preview takes."""
        return 1 if self.layout.region_tables[0].signature == b"regi" else 2

    @property
    def has_preview(self) -> bool:
        """Whether everything that the preview looks at is in the file."""
        return self.length >= REGION_TABLE_OFFSETS[0] + 64 * KIB

    def preview(self) -> Values:
        """Yield `copy_choice`."""
        if not self.has_preview:
            yield error("preview", "end of file")
            return
        for copy in (1, 2):
            rank = self.rank(copy)
            low = self.layout.headers[copy - 1].sequence_number & 0xFFFFFFFF
            yield number(f"preview.rank_{copy}_high", -1 if rank < 0 else rank >> 32)
            yield number(f"preview.number_{copy}_low", low)
        table = self.layout.region_tables[0]
        yield flag("preview.is_region_table_1_valid", table.signature == b"regi")
        yield number("preview.current_header", self.current_header)
        yield number("preview.region_table", self.table_copy)

    @property
    def region_list(self) -> list[RegionEntry]:
        """The entries of the table that the preview takes."""
        return region_entries(self.layout.region_tables[self.table_copy - 1])

    def regions(self) -> Values:
        """Yield `region_lookup`."""
        path = "regions"
        if not self.has_preview:
            yield error(path, "end of file")
            return
        start = REGION_TABLE_OFFSETS[self.table_copy - 1]
        table = self.layout.region_tables[self.table_copy - 1]
        yield number(f"{path}.ofs_table", start)
        if self.length < start + 12:
            yield error(f"{path}.num_stored_entries", "end of file")
            return
        entries = self.region_list
        yield number(f"{path}.num_stored_entries", stored_count(table))
        yield number(f"{path}.num_entries", len(entries))
        yield number(f"{path}.end_of_entries", start + 16 + 32 * len(entries))
        kinds = [entry.guid for entry in entries]
        for name, kind in (("bat", BAT_REGION), ("metadata", METADATA_REGION)):
            found = kind in kinds
            passed = entries[: kinds.index(kind) + 1] if found else entries
            if passed:
                yield size(f"{path}.up_to_{name}", len(passed))
                for index in shown(len(passed)):
                    yield from region_entry(f"{path}.up_to_{name}[{index}]", passed[index])
            else:
                yield absent(f"{path}.up_to_{name}")
            yield flag(f"{path}.has_{name}", found)
            yield number(f"{path}.ofs_{name}", passed[-1].file_offset if found else 0)
            yield number(f"{path}.len_{name}", passed[-1].length if found else 0)
        has_both = BAT_REGION in kinds and METADATA_REGION in kinds
        yield flag(f"{path}.has_bat_and_metadata", has_both)

    def region(self, kind: UUID) -> RegionEntry | None:
        """Return the first entry for a region."""
        return next((entry for entry in self.region_list if entry.guid == kind), None)

    # -- the log ----------------------------------------------------------------------------------

    def log(self) -> Values:
        """Yield `log_ring`."""
        if not self.has_preview:
            yield error("log", "end of file")
            return
        if self.current_header == 0:
            yield absent("log")
            return
        header = self.layout.headers[self.current_header - 1]
        start, length = header.log_offset, header.log_length
        yield number("log.ofs_log", start)
        yield number("log.len_log", length)
        slots = length // SECTOR if start + length <= self.length else 0
        yield number("log.num_slots", slots)
        yield size("log.slots", slots)
        placed = {} if self.layout.log is None else self.beginnings()
        ends = [(item.at + item.length) // SECTOR - 1 for item in placed.values()]
        for index in shown(slots, [*placed, *ends]):
            yield from self.log_slot(f"log.slots[{index}]", index, start, length, placed)

    def beginnings(self) -> dict[int, Placed]:
        """Return the entries whose first sector no later entry has overwritten, by slot."""
        log = self.layout.log
        assert log is not None
        owners: dict[int, tuple[Placed, int]] = {}
        for item in log.placed():
            for index in range(item.length // SECTOR):
                owners[(item.at // SECTOR + index) % (log.length // SECTOR)] = item, index
        return {slot: item for slot, (item, index) in owners.items() if index == 0}

    def log_slot(
        self, path: str, index: int, start: int, length: int, placed: dict[int, Placed]
    ) -> Values:
        """Yield `log_slot`."""
        at = start + index * SECTOR
        signature = self.file.read(at, 4)
        item = placed.get(index)
        is_entry = item is not None and item.entry.signature == b"loge"
        yield number(f"{path}.ofs_slot", at)
        yield number(f"{path}.end_of_log", start + length)
        yield raw(f"{path}.signature", signature)
        yield flag(f"{path}.is_entry", is_entry)
        yield flag(f"{path}.is_data_sector", signature == b"data")
        if item is None or not is_entry:
            yield absent(f"{path}.header")
            yield number(f"{path}.len_entry", 0)
            yield flag(f"{path}.is_entry_whole", False)
            yield absent(f"{path}.entry")
            return
        stated = entry_length(item)
        whole = SECTOR <= stated <= length - index * SECTOR
        yield from log_entry_header(f"{path}.header", item)
        yield number(f"{path}.len_entry", stated)
        yield flag(f"{path}.is_entry_whole", whole)
        if whole:
            yield from self.log_entry(f"{path}.entry", item, at)
        else:
            yield absent(f"{path}.entry")

    def log_entry(self, path: str, item: Placed, at: int) -> Values:
        """Yield `log_entry`."""
        stated, count = entry_length(item), descriptor_count(item)
        used = count if 64 + 32 * count <= stated else 0
        if -(-(64 + 32 * used) // SECTOR) * SECTOR > stated:
            yield error(path, "end of file")
            return
        yield from log_entry_header(f"{path}.header", item)
        yield number(f"{path}.len_header_and_descriptors", 64 + 32 * count)
        yield number(f"{path}.num_descriptors", used)
        yield number(f"{path}.len_used", 64 + 32 * used)
        whole = -(-(64 + 32 * used) // SECTOR) * SECTOR
        yield number(f"{path}.len_padding", whole - 64 - 32 * used)
        yield number(f"{path}.len_descriptor_sectors", whole)
        sectors = (stated - whole) // SECTOR if stated > whole else 0
        yield number(f"{path}.num_data_sectors", sectors)
        yield size(f"{path}.descriptors", used)
        descriptors = item.entry.descriptors
        telling = [n for n, one in enumerate(descriptors) if isinstance(one, Data)]
        for index in shown(used, [2, 3, *telling[:4], *telling[-2:]]):
            yield from log_descriptor(f"{path}.descriptors[{index}]", descriptors[index], item)
        yield raw(f"{path}.padding", self.file.read(at + 64 + 32 * used, whole - 64 - 32 * used))
        yield size(f"{path}.data_sectors", sectors)
        for index in shown(sectors):
            sector = self.file.read(at + whole + index * SECTOR, SECTOR)
            yield from log_data_sector(f"{path}.data_sectors[{index}]", sector)

    # -- metadata ---------------------------------------------------------------------------------

    @property
    def items(self) -> list[tuple[int, MetadataItem]]:
        """The entries of the metadata table as a parser gets them, with their offsets."""
        table = self.layout.metadata
        placed = table.placed()
        count = len(placed) if table.entry_count is None else table.entry_count
        if count > MAX_ENTRIES:
            return []
        if count > len(placed):
            raise ValueError("no vector counts more items than it describes")
        return placed[:count]

    def has_table(self) -> bool:
        """Whether the metadata table is where the region table says, as it should be."""
        region = self.region(METADATA_REGION)
        return (
            region is not None
            and region.file_offset == self.layout.metadata_offset
            and region.file_offset + 64 * KIB <= self.length
            and self.layout.metadata.signature == b"metadata"
        )

    def metadata(self) -> Values:
        """Yield `metadata_region`."""
        path = "metadata"
        if not self.has_preview:
            yield error(path, "end of file")
            return
        region = self.region(METADATA_REGION)
        if region is None:
            yield absent(path)
            return
        start, length = region.file_offset, region.length
        yield number(f"{path}.ofs_region", start)
        yield number(f"{path}.len_region", length)
        if not self.has_table():
            cut = start + 64 * KIB > self.length
            for name in ("table", "num_items", "block_size"):
                yield error(f"{path}.{name}", "end of file" if cut else "signature")
            return
        yield from self.metadata_table(f"{path}.table")
        items = self.items
        yield number(f"{path}.num_items", len(items))
        yield size(f"{path}.items", len(items))
        for index in shown(len(items), range(24)):
            yield from self.metadata_item(f"{path}.items[{index}]", index, start, length)
        for kind in KIND_CODES:
            yield from self.item_lookup(f"{path}.{kind}_place", kind, start, length)
        for kind in KIND_CODES:
            name = kind if kind == "file_parameters" else f"{kind}_item"
            found = self.usable(kind)
            if found is None:
                yield absent(f"{path}.{name}")
            else:
                yield from known_item(f"{path}.{name}", kind, found)
        geometry = self.geometry
        yield number(f"{path}.block_size", geometry.block_size)
        yield flag(f"{path}.has_parent", geometry.has_parent)
        yield number(f"{path}.virtual_disk_size", geometry.virtual_disk_size)
        yield number(f"{path}.logical_sector_size", geometry.logical_sector_size)
        yield flag(f"{path}.is_geometry_possible", geometry.is_possible)
        yield number(f"{path}.num_payload_blocks", geometry.num_payload_blocks)
        yield number(f"{path}.chunk_ratio", geometry.chunk_ratio)

    def metadata_table(self, path: str) -> Values:
        """Yield `metadata_table`."""
        table, items = self.layout.metadata, self.items
        count = len(table.items) if table.entry_count is None else table.entry_count
        yield raw(f"{path}.signature", table.signature)
        yield number(f"{path}.reserved", table.reserved)
        yield number(f"{path}.num_entries", count)
        yield raw(f"{path}.reserved_2", table.reserved2.ljust(20, b"\0"))
        yield size(f"{path}.entries", len(items))
        for index in shown(len(items), range(24)):
            yield from metadata_entry(f"{path}.entries[{index}]", *items[index])
        packed_table = table.pack()[0][1].ljust(64 * KIB, b"\0")
        yield raw(f"{path}.unused", packed_table[32 + 32 * len(items) :])

    def metadata_item(self, path: str, index: int, start: int, length: int) -> Values:
        """Yield `metadata_item`."""
        offset, item = self.items[index]
        yield number(f"{path}.ofs_region", start)
        yield number(f"{path}.len_region", length)
        yield number(f"{path}.ofs_entry", start + 32 + 32 * index)
        yield from metadata_entry(f"{path}.entry", offset, item)
        size_of_item = item.stated_length
        yield number(f"{path}.ofs_item", start + offset)
        yield number(f"{path}.len_item", size_of_item)
        usable = 0 < size_of_item <= MIB and 64 * KIB <= offset <= length - size_of_item
        yield flag(f"{path}.is_usable", usable)
        kind = item_kind(item)
        if not usable:
            yield absent(f"{path}.data")
        elif start + offset + size_of_item > self.length or is_short(kind, item):
            yield error(f"{path}.data", "end of file")
        elif kind == "other":
            yield raw(f"{path}.data", self.file.read(start + offset, size_of_item))
        elif kind == "parent_locator":
            yield from self.parent_locator(f"{path}.data", start + offset, size_of_item)
        else:
            yield from known_item(f"{path}.data", kind, item)

    def parent_locator(self, path: str, at: int, length: int) -> Values:
        """Yield `parent_locator_item`."""
        locator = self.layout.image.resolved_locator()
        assert locator is not None
        count = len(locator.entries) if locator.count is None else locator.count
        fits = 20 + 12 * count <= length
        yield from guid(f"{path}.locator_type", locator.locator_type)
        yield number(f"{path}.reserved", locator.reserved)
        yield number(f"{path}.num_key_values", count)
        yield size(f"{path}.key_values", count if fits else 0)
        yield number(f"{path}.len_table", 20 + 12 * count)
        yield flag(f"{path}.is_vhdx_type", locator.locator_type == VHDX_LOCATOR_TYPE)
        if fits:
            if count != len(locator.entries):
                raise ValueError("no vector counts other keys than it describes, if they fit")
            for index, places in enumerate(key_places(locator)):
                one = f"{path}.key_values[{index}]"
                yield from self.locator_entry(one, locator.entries[index], places, at, length)

    def locator_entry(
        self, path: str, entry: LocatorEntry, places: tuple[int, int], at: int, length: int
    ) -> Values:
        """Yield `parent_locator_entry`."""
        key, value = utf16(entry.key), utf16(entry.value)
        len_key = len(key) if entry.key_length is None else entry.key_length
        len_value = len(value) if entry.value_length is None else entry.value_length
        yield number(f"{path}.ofs_key", places[0])
        yield number(f"{path}.ofs_value", places[1])
        yield number(f"{path}.len_key", len_key)
        yield number(f"{path}.len_value", len_value)
        for name, place, count in (("key", places[0], len_key), ("value", places[1], len_value)):
            if place + count > length:
                yield error(f"{path}.{name}", "end of file")
                continue
            data = self.file.read(at + place, count)
            yield raw(f"{path}.{name}.raw", data)
            yield utf16_text(f"{path}.{name}.text", data)

    def item_lookup(self, path: str, kind: str, start: int, length: int) -> Values:
        """Yield `item_lookup`."""
        items = self.items
        kinds = [item_kind(item) for _, item in items]
        found = kind in kinds
        passed = items[: kinds.index(kind) + 1] if found else items
        yield number(f"{path}.ofs_region", start)
        yield number(f"{path}.len_region", length)
        yield number(f"{path}.num_entries", len(items))
        yield number(f"{path}.kind_code", KIND_CODES[kind])
        yield number(f"{path}.end_of_entries", start + 32 + 32 * len(items))
        if passed:
            yield size(f"{path}.up_to_item", len(passed))
            for index in shown(len(passed)):
                yield from metadata_entry(f"{path}.up_to_item[{index}]", *passed[index])
        else:
            yield absent(f"{path}.up_to_item")
        offset = passed[-1][0] if found else 0
        stated = passed[-1][1].stated_length if found else 0
        yield flag(f"{path}.is_found", found)
        yield number(f"{path}.offset", offset)
        yield number(f"{path}.length", stated)
        yield flag(f"{path}.is_usable", self.usable(kind) is not None)
        yield number(f"{path}.ofs_item", start + offset)

    def usable(self, kind: str) -> MetadataItem | None:
        """Return the first item of a kind when it lies inside the region."""
        region = self.region(METADATA_REGION)
        assert region is not None
        for offset, item in self.items:
            if item_kind(item) == kind:
                stated = item.stated_length
                inside = stated > 0 and 64 * KIB <= offset <= region.length - stated
                return item if inside else None
        return None

    @property
    def geometry(self) -> _Geometry:
        """The sizes that the known items state, 0 for those that are absent."""
        parameters = self.usable("file_parameters")
        disk_size = self.usable("virtual_disk_size")
        sector_size = self.usable("logical_sector_size")
        return _Geometry(
            block_size=0 if parameters is None else _le(parameters.data[:4]),
            has_parent=parameters is not None and bool(_le(parameters.data[4:8]) & 2),
            virtual_disk_size=0 if disk_size is None else _le(disk_size.data[:8]),
            logical_sector_size=0 if sector_size is None else _le(sector_size.data[:4]),
        )

    # -- the block allocation table ---------------------------------------------------------------

    def bat(self) -> Values:
        """Yield `bat_region`."""
        path = "bat"
        if not self.has_preview:
            yield error(path, "end of file")
            return
        region = self.region(BAT_REGION)
        if region is None or self.region(METADATA_REGION) is None:
            yield absent(path)
            return
        if not self.has_table():
            yield error(path, "end of file or signature")
            return
        geometry = self.geometry
        yield number(f"{path}.ofs_region", region.file_offset)
        yield number(f"{path}.block_size", geometry.block_size)
        yield number(f"{path}.num_payload_blocks", geometry.num_payload_blocks)
        yield number(f"{path}.chunk_ratio", geometry.chunk_ratio)
        yield flag(f"{path}.has_parent", geometry.has_parent)
        yield number(f"{path}.num_chunks", geometry.num_chunks)
        yield size(f"{path}.chunks", geometry.num_chunks)
        for index in shown(geometry.num_chunks):
            yield from self.chunk(f"{path}.chunks[{index}]", index, region.file_offset, geometry)

    def chunk(self, path: str, index: int, start: int, geometry: _Geometry) -> Values:
        """Yield `bat_chunk`."""
        ratio, total = geometry.chunk_ratio, geometry.num_payload_blocks
        first = index * ratio
        blocks = min(ratio, total - first)
        ofs_entries = start + index * (ratio + 1) * 8
        yield number(f"{path}.chunk_index", index)
        yield number(f"{path}.ofs_region", start)
        yield number(f"{path}.block_size", geometry.block_size)
        yield number(f"{path}.num_disk_blocks", total)
        yield number(f"{path}.chunk_ratio", ratio)
        yield flag(f"{path}.has_parent", geometry.has_parent)
        yield number(f"{path}.first_block", first)
        yield number(f"{path}.num_blocks_from_here", total - first)
        yield number(f"{path}.num_payload_blocks", blocks)
        yield number(f"{path}.ofs_entries", ofs_entries)
        yield number(f"{path}.ofs_sector_bitmap_entry", ofs_entries + 8 * ratio)
        has_bitmap = geometry.has_parent or first + ratio < total
        yield flag(f"{path}.has_sector_bitmap_entry", has_bitmap)
        if ofs_entries + 8 * blocks > self.length:
            yield error(f"{path}.raw_entries", "end of file")
        else:
            entries = [self.layout.bat.get(index * (ratio + 1) + n, 0) for n in range(blocks)]
            data = b"".join(entry.to_bytes(8, "little") for entry in entries)
            yield raw(f"{path}.raw_entries", data)
        yield size(f"{path}.payload_blocks", blocks)
        own = range(index * (ratio + 1), index * (ratio + 1) + blocks)
        telling = [n - own.start for n in sorted(self.layout.bat) if n in own]
        for number_in_chunk in shown(blocks, telling[:24]):
            one = f"{path}.payload_blocks[{number_in_chunk}]"
            entry = self.layout.bat.get(own.start + number_in_chunk, 0)
            place = ofs_entries + 8 * number_in_chunk
            yield from self.block(one, entry, place, geometry.block_size)
        if has_bitmap:
            entry = self.layout.bat.get(index * (ratio + 1) + ratio, 0)
            yield from self.block(f"{path}.sector_bitmap", entry, ofs_entries + 8 * ratio)
        else:
            yield absent(f"{path}.sector_bitmap")

    def block(self, path: str, entry: int, at: int, block_size: int | None = None) -> Values:
        """Yield `payload_block`, or `sector_bitmap_block` when no block size is given."""
        state, place = entry & 7, entry >> 20
        if block_size is None:
            enum, names, stored = "sector_bitmap_state", BITMAP_STATE_NAMES, state == SB_PRESENT
        else:
            enum, names = "payload_block_state", STATE_NAMES
            stored = state in (FULLY_PRESENT, PARTIALLY_PRESENT)
        yield number(f"{path}.ofs_entry", at)
        if block_size is not None:
            yield number(f"{path}.len_data", block_size)
        if at + 8 > self.length:
            yield error(f"{path}.entry", "end of file")
            return
        yield label(f"{path}.entry.state", enum, names.get(state, str(state)))
        yield number(f"{path}.entry.reserved", entry >> 3 & 0x1FFFF)
        yield number(f"{path}.entry.file_offset_mb_low", entry >> 20 & 0xFFF)
        yield number(f"{path}.entry.file_offset_mb_high", entry >> 32)
        yield number(f"{path}.entry.file_offset_mb", place)
        yield flag(f"{path}.entry.is_stored", stored)
        yield flag(f"{path}.is_stored", stored)
        yield number(f"{path}.file_offset_mb", place)
        length = MIB if block_size is None else block_size
        has_data = stored and place * MIB + length <= self.length
        yield flag(f"{path}.has_data", has_data)
        if has_data:
            yield raw(f"{path}.data", self.file.read(place * MIB, length))
        else:
            yield absent(f"{path}.data")


@dataclass(frozen=True)
class _Geometry:
    """What the grammar computes from the sizes that the metadata states [MS-VHDX 2.4, 2.5]."""

    block_size: int
    has_parent: bool
    virtual_disk_size: int
    logical_sector_size: int

    @property
    def is_possible(self) -> bool:
        return (
            MIB <= self.block_size <= 256 * MIB
            and self.logical_sector_size in (512, 4096)
            and 0 < self.virtual_disk_size <= 64 * TIB
        )

    @property
    def num_payload_blocks(self) -> int:
        return -(-self.virtual_disk_size // self.block_size) if self.is_possible else 0

    @property
    def chunk_ratio(self) -> int:
        return (self.logical_sector_size << 23) // self.block_size if self.is_possible else 0

    @property
    def num_chunks(self) -> int:
        return -(-self.num_payload_blocks // self.chunk_ratio) if self.chunk_ratio else 0


def _le(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _checksum(record: Header | RegionTable) -> int:
    return _le(record.pack()[4:8]) if record.checksum is None else record.checksum


# -- region tables --------------------------------------------------------------------------------


def stored_count(table: RegionTable) -> int:
    """Return the count that a region table states."""
    return len(table.entries) if table.entry_count is None else table.entry_count


def region_entries(table: RegionTable) -> list[RegionEntry]:
    """Return the entries that a parser takes from a region table."""
    count = stored_count(table)
    if count > MAX_ENTRIES:
        return []
    if count > len(table.entries):
        raise ValueError("no vector counts more regions than it describes")
    return table.entries[:count]


def region_entry(path: str, entry: RegionEntry) -> Values:
    """Yield `region_table_entry`."""
    kinds = {BAT_REGION: "bat", METADATA_REGION: "metadata"}
    yield from guid(f"{path}.guid", entry.guid)
    yield number(f"{path}.file_offset", entry.file_offset)
    yield number(f"{path}.length", entry.length)
    yield number(f"{path}.required", entry.required)
    yield label(f"{path}.kind", "region_kind", kinds.get(entry.guid, "other"))


# -- log entries ----------------------------------------------------------------------------------


def entry_length(item: Placed) -> int:
    """Return the length that a log entry states."""
    return item.length if item.entry.entry_length is None else item.entry.entry_length


def descriptor_count(item: Placed) -> int:
    """Return the count that a log entry states."""
    count = item.entry.descriptor_count
    return len(item.entry.descriptors) if count is None else count


def log_entry_header(path: str, item: Placed) -> Values:
    """Yield `log_entry_header`."""
    checksum = item.entry.checksum
    yield raw(f"{path}.signature", item.entry.signature)
    yield number(f"{path}.checksum", _le(item.pack()[4:8]) if checksum is None else checksum)
    yield number(f"{path}.entry_length", entry_length(item))
    yield number(f"{path}.tail", item.tail)
    yield number(f"{path}.sequence_number", item.sequence_number)
    yield number(f"{path}.num_descriptors", descriptor_count(item))
    yield number(f"{path}.reserved", item.entry.reserved)
    yield from guid(f"{path}.log_guid", item.log_guid)
    yield number(f"{path}.flushed_file_offset", item.flushed_file_offset)
    yield number(f"{path}.last_file_offset", item.last_file_offset)
    yield flag(f"{path}.is_signature_valid", item.entry.signature == b"loge")


def log_descriptor(path: str, descriptor: Data | Zero, item: Placed) -> Values:
    """Yield `log_descriptor`."""
    kinds = {b"zero": "zero", b"desc": "data"}
    kind = kinds.get(descriptor.signature, "other")
    stated = descriptor.sequence_number
    yield raw(f"{path}.signature", descriptor.signature)
    yield label(f"{path}.kind", "descriptor_kind", kind)
    body = descriptor.pack(item.sequence_number)[4:16]
    if kind == "other":
        yield raw(f"{path}.body.raw", body)
    elif isinstance(descriptor, Zero):
        yield number(f"{path}.body.reserved", descriptor.reserved)
        yield number(f"{path}.body.zero_length", descriptor.length)
    else:
        yield raw(f"{path}.body.trailing_bytes", body[:4])
        yield raw(f"{path}.body.leading_bytes", body[4:])
    yield number(f"{path}.file_offset", descriptor.file_offset)
    yield number(f"{path}.sequence_number", item.sequence_number if stated is None else stated)


def log_data_sector(path: str, sector: bytes) -> Values:
    """Yield `log_data_sector`, going by what the log holds in the end."""
    yield raw(f"{path}.signature", sector[:4])
    yield number(f"{path}.sequence_high", _le(sector[4:8]))
    yield raw(f"{path}.data", sector[8:4092])
    yield number(f"{path}.sequence_low", _le(sector[4092:]))
    yield flag(f"{path}.is_signature_valid", sector[:4] == b"data")


# -- metadata items -------------------------------------------------------------------------------

ITEM_LENGTHS = {
    "file_parameters": 8,
    "virtual_disk_size": 8,
    "virtual_disk_id": 16,
    "logical_sector_size": 4,
    "physical_sector_size": 4,
    "parent_locator": 20,
}


def item_kind(item: MetadataItem) -> str:
    """Return the kind of an item; one of a user is never a known one."""
    return "other" if item.flags & IS_USER else ITEM_KINDS.get(item.item_id, "other")


def is_short(kind: str, item: MetadataItem) -> bool:
    """Whether an item states fewer bytes than its kind has."""
    return item.stated_length < ITEM_LENGTHS.get(kind, 0)


def metadata_entry(path: str, offset: int, item: MetadataItem) -> Values:
    """Yield `metadata_table_entry`."""
    yield from guid(f"{path}.item_id", item.item_id)
    yield number(f"{path}.offset", offset)
    yield number(f"{path}.length", item.stated_length)
    yield flag(f"{path}.is_user", bool(item.flags & IS_USER))
    yield flag(f"{path}.is_virtual_disk", bool(item.flags & IS_VIRTUAL_DISK))
    yield flag(f"{path}.is_required", bool(item.flags & IS_REQUIRED))
    yield number(f"{path}.reserved", item.flags >> 3)
    yield number(f"{path}.reserved_2", item.reserved2)
    yield label(f"{path}.kind", "item_kind", item_kind(item))


def known_item(path: str, kind: str, item: MetadataItem) -> Values:
    """Yield the item of a kind, the parent locator excepted."""
    if kind == "file_parameters":
        flags = _le(item.data[4:8])
        yield number(f"{path}.block_size", _le(item.data[:4]))
        yield flag(f"{path}.leave_block_allocated", bool(flags & 1))
        yield flag(f"{path}.has_parent", bool(flags & 2))
        yield number(f"{path}.reserved", flags >> 2)
    elif kind == "virtual_disk_id":
        yield raw(f"{path}.virtual_disk_id.raw", item.data[:16])
    else:
        yield number(f"{path}.{kind}", _le(item.data[: ITEM_LENGTHS[kind]]))


def key_places(locator: Locator) -> list[tuple[int, int]]:
    """Return the offsets of every key and value, as the locator states them."""
    places = []
    cursor = 20 + 12 * len(locator.entries)
    for entry in locator.entries:
        at_key, at_value = cursor, cursor + len(utf16(entry.key))
        cursor = at_value + len(utf16(entry.value))
        places.append(
            (
                at_key if entry.key_offset is None else entry.key_offset,
                at_value if entry.value_offset is None else entry.value_offset,
            )
        )
    return places


def expected(layout: Layout, file: Sparse) -> list[Value]:
    """Return all values of an image."""
    return list(Expectation(layout, file).values())
