"""Records in, bytes out: the inverse of `grammar`, on the layout that is made of the same grammar.

Every number, GUID and reserved field is packed as the record has it, so that
what was parsed comes out as it was. Signatures and checksums alone are not
taken from records but made right. Nobody writes by mistake what does not fit:
a value that its field cannot hold, and a count that is not that of the
elements, is a ValueError.

What is packed has still to be judged: parse it, and run the checks of its room.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache, lru_cache, partial
from itertools import chain, groupby, repeat
from operator import attrgetter
from typing import Any, TypeAlias
from uuid import UUID

from ..records import NamedTuple
from .checksum import sealed
from .place import STRUCTS, length_of, mask_of, span_of
from .structures import (
    BatEntry,
    DataSector,
    FileParameters,
    FileTypeIdentifier,
    Header,
    KeyValue,
    LogDescriptor,
    LogEntry,
    LogEntryHeader,
    MetadataEntry,
    MetadataTable,
    ParentLocator,
    RegionEntry,
    RegionTable,
)


def file_type_identifier(identifier: FileTypeIdentifier) -> bytes:
    """Return the file type identifier without the reserved rest of its 64 KiB [MS-VHDX 2.2.1]."""
    return _pack("file_type_identifier", identifier)


def raw_creator(creator: str) -> bytes:
    """Return the field of a creator, filled up with zeros.

    Raises:
        ValueError: It is longer than 256 UTF-16 units.
    """
    length = span_of("file_type_identifier", "raw_creator")[1]
    raw = creator.encode("utf-16-le", "surrogatepass")
    if len(raw) > length:
        raise ValueError(f"the creator takes {len(raw)} bytes of {length}")
    return raw.ljust(length, b"\0")


def header(record: Header) -> bytes:
    """Return a copy of the header, sealed [MS-VHDX 2.2.2]."""
    return sealed(_pack("header", record))


def region_table(table: RegionTable, unused: bytes = b"") -> bytes:
    """Return a copy of the region table, sealed [MS-VHDX 2.2.3.1].

    Args:
        table: The table.
        unused: What stands after the last entry; zeros from its end on.
    """
    return sealed(_table("region_table", table, map(region_entry, table.entries), unused))


def region_entry(entry: RegionEntry) -> bytes:
    """Return an entry of the region table [MS-VHDX 2.2.3.2]."""
    return _pack("region_table_entry", entry)


def metadata_table(table: MetadataTable, unused: bytes = b"") -> bytes:
    """Return the metadata table [MS-VHDX 2.6.1.1].

    Args:
        table: The table.
        unused: What stands after the last entry; zeros from its end on.
    """
    return _table("metadata_table", table, map(metadata_entry, table.entries), unused)


def metadata_entry(entry: MetadataEntry) -> bytes:
    """Return an entry of the metadata table [MS-VHDX 2.6.1.2]."""
    return _pack("metadata_table_entry", entry)


def file_parameters(item: FileParameters) -> bytes:
    """Return the File Parameters item [MS-VHDX 2.6.2.1]."""
    return _pack("file_parameters_item", item)


def virtual_disk_size(size: int) -> bytes:
    """Return the Virtual Disk Size item, the size in bytes [MS-VHDX 2.6.2.2]."""
    return _pack("virtual_disk_size_item", virtual_disk_size=size)


def virtual_disk_id(disk_id: UUID) -> bytes:
    """Return the Virtual Disk ID item [MS-VHDX 2.6.2.3]."""
    return _pack("virtual_disk_id_item", virtual_disk_id=disk_id)


def logical_sector_size(size: int) -> bytes:
    """Return the Logical Sector Size item, the size in bytes [MS-VHDX 2.6.2.4]."""
    return _pack("logical_sector_size_item", logical_sector_size=size)


def physical_sector_size(size: int) -> bytes:
    """Return the Physical Sector Size item, the size in bytes [MS-VHDX 2.6.2.5]."""
    return _pack("physical_sector_size_item", physical_sector_size=size)


def parent_locator(locator: ParentLocator) -> bytes:
    """Return a parent locator; what stands after its table is as in `raw` [MS-VHDX 2.6.2.6]."""
    _agree("num_key_values", locator.num_key_values, len(locator.entries))
    table = b"".join(map(key_value, locator.entries))
    return _pack("parent_locator_item", locator) + table + locator.raw[locator.len_table :]


def new_parent_locator(locator_type: UUID, texts: Iterable[tuple[str, str]]) -> bytes:
    """Return a parent locator with these keys and values, one after the other [MS-VHDX 2.6.2.6].

    Args:
        locator_type: Kind of the parent.
        texts: Each key with its value.

    Raises:
        ValueError: A text is longer than 32,767 UTF-16 units, or there are too many.
    """
    pairs = [(key.encode("utf-16-le"), value.encode("utf-16-le")) for key, value in texts]
    position = length_of("parent_locator_item") + len(pairs) * length_of("parent_locator_entry")
    entries = []
    for key, value in pairs:
        entries.append(KeyValue(position, position + len(key), len(key), len(value)))
        position += len(key) + len(value)
    head = _pack(
        "parent_locator_item", locator_type=locator_type, reserved=0, num_key_values=len(pairs)
    )
    return head + b"".join(map(key_value, entries)) + b"".join(map(b"".join, pairs))


def key_value(entry: KeyValue) -> bytes:
    """Return an entry of the parent locator [MS-VHDX 2.6.2.6.2]."""
    return _pack("parent_locator_entry", entry)


def log_entry(entry: LogEntry) -> bytes:
    """Return a whole log entry, sealed, as it stands in a log that it does not wrap around.

    [MS-VHDX 2.3.1]
    """
    head = entry.header
    pieces = [
        log_entry_header(head),
        *_descriptors(entry.descriptors),
        entry.padding,
        *_data_sectors(entry.data_sectors),
    ]
    data = b"".join(pieces)
    _agree("num_descriptors", head.num_descriptors, len(entry.descriptors))
    _agree("entry_length", head.entry_length, len(data))
    return sealed(data)


def log_entry_header(head: LogEntryHeader) -> bytes:
    """Return the head of a log entry; its checksum, that of the entry, as it is in the record.

    [MS-VHDX 2.3.1.1]
    """
    return _pack("log_entry_header", head)


def descriptor(change: LogDescriptor) -> bytes:
    """Return a zero or a data descriptor [MS-VHDX 2.3.1.2, 2.3.1.3].

    Raises:
        ValueError: It is of neither kind.
    """
    return next(_descriptors([change]))


def _descriptors(changes: Iterable[LogDescriptor]) -> Iterator[bytes]:
    """Pack the descriptors of an entry, those of one kind that follow each other at once."""
    cases = STRUCTS["log_descriptor"]["cases"]
    for kind, group in groupby(changes, attrgetter("kind")):
        if kind.name not in cases:
            raise ValueError(f"no descriptor is of kind {kind.name}")
        alike = [*group]
        type_name, signature = cases[kind.name]
        lengths = [*map(attrgetter("length"), alike)]
        bodies = _pack_all(type_name, alike, zero_length=lengths)
        yield from _pack_all(
            "log_descriptor", alike, signature=[signature] * len(alike), body=bodies
        )


def data_sector(sector: DataSector) -> bytes:
    """Return a data sector [MS-VHDX 2.3.1.4]."""
    high, low = _parts("log_data_sector", "sequence_low", sector.sequence_number)
    return _pack("log_data_sector", sector, sequence_high=high, sequence_low=low)


def _data_sectors(sectors: Sequence[DataSector]) -> Iterator[bytes]:
    """Return the data sectors of an entry in pieces: all but what they hold is the same in each."""
    start, length = span_of("log_data_sector", "data")
    contents = [*map(attrgetter("data"), sectors)]
    if len({*map(attrgetter("sequence_number"), sectors)}) > 1 or {*map(len, contents)} != {length}:
        return map(data_sector, sectors)
    frame = data_sector(sectors[0])
    before, after = frame[:start], frame[start + length :]
    return chain.from_iterable(zip(repeat(before), contents, repeat(after)))


def bat_entry(entry: BatEntry) -> bytes:
    """Return an entry of the BAT, be it for a payload or a sector bitmap block [MS-VHDX 2.5.1]."""
    high, low = _parts("payload_bat_entry", "file_offset_mb_low", entry.file_offset_mb)
    return _pack("payload_bat_entry", entry, file_offset_mb_high=high, file_offset_mb_low=low)


def _table(
    type_name: str,
    table: RegionTable | MetadataTable,
    entries: Iterable[bytes],
    unused: bytes,
) -> bytes:
    """Return a table in its fixed length."""
    _agree("num_entries", table.num_entries, len(table.entries))
    data = b"".join((_pack(type_name, table), *entries, unused))
    length = length_of(type_name)
    if len(data) > length:
        raise ValueError(f"{type_name}: {len(data)} bytes, expected at most {length}")
    return data.ljust(length, b"\0")


def _agree(name: str, stated: int, actual: int) -> None:
    if stated != actual:
        raise ValueError(f"{name} {stated}, expected {actual}")


def _parts(type_name: str, low: str, number: int) -> tuple[int, int]:
    """Return what two fields hold of a number, the lower of which is named."""
    width = _width(type_name, low)
    return number >> width, number & (1 << width) - 1


@cache
def _width(type_name: str, field: str) -> int:
    """Return the bits of a field."""
    return mask_of(type_name, field).bit_count()


# Name of a field, its place in bytes, its first bit there, and the least number that has no room.
_Field: TypeAlias = tuple[str, tuple[int, int], int, int]


class _Plan(NamedTuple):
    """How a struct is packed.

    Attributes:
        fields: Its fields.
        signature: Its signature, if it has one.
        pack: Packs what its places hold.
        pack_rest: The same, but for the signature, which comes first where there is one.
        rest: Names of the fields for that, when each has a place of its own; else none.
        take_rest: Takes them all from a record.
        texts: Which of them are bytes, and how many.
    """

    fields: tuple[_Field, ...]
    signature: bytes | None
    pack: Callable[..., bytes]
    pack_rest: Callable[..., bytes]
    rest: tuple[str, ...]
    take_rest: Callable[[object], tuple[Any, ...]]
    texts: tuple[tuple[int, int], ...]


def _pack(type_name: str, record: object = None, **values: Any) -> bytes:
    """Return the fields of a struct that always stand in the same place.

    Args:
        type_name: The struct's type in the grammar.
        record: Has attributes that are named as the fields.
        values: Fields that the record has not, or not so.
    """
    plan = _plan(type_name)
    if plan.rest:  # few have fields of some bits, and a log entry is packed for each flush
        if values:
            row = [values[at] if at in values else getattr(record, at) for at in plan.rest]
        else:
            row = [*plan.take_rest(record)]
        for at, length in plan.texts:
            value = row[at]
            if type(value) is UUID:
                value = row[at] = _stored(value)
            if len(value) != length:
                break
        else:
            try:
                return plan.pack_rest(*row)
            except struct.error:  # which field it is comes to light below
                pass
    return _pack_fields(type_name, record, values)


def _pack_all(type_name: str, records: Sequence[object], **columns: Sequence[Any]) -> list[bytes]:
    """Do the same for many records, without a step of Python for each: a log entry has a hundred.

    Args:
        type_name: The struct's type in the grammar; its fields have places of their own, and
            none is a GUID.
        records: Have attributes that are named as the fields.
        columns: Fields that the records have not, or not so, each with a value for every record.
    """
    plan = _plan(type_name)
    rows = [columns.get(field) or [*map(attrgetter(field), records)] for field in plan.rest]
    if all({*map(len, rows[at])} <= {length} for at, length in plan.texts):
        with suppress(struct.error):
            return [*map(plan.pack_rest, *rows)]
    values = [dict(zip(columns, each, strict=True)) for each in zip(*columns.values(), strict=True)]
    return [*map(_pack_fields, repeat(type_name), records, values)]


def _pack_fields(type_name: str, record: object, values: dict[str, Any]) -> bytes:
    """Do the same field by field, and say which of them does not fit."""
    plan = _plan(type_name)
    values.setdefault("signature", plan.signature)
    packed: dict[tuple[int, int], Any] = {}
    for field, place, first, end in plan.fields:
        value: Any = values[field] if field in values else getattr(record, field)
        if type(value) is UUID:
            value = value.bytes_le
        if type(value) is bytes:
            fits = len(value) == place[1]
        else:
            fits = 0 <= value < end
            value = packed.get(place, 0) | value << first
        if not fits:
            raise ValueError(f"{type_name}: {field} does not fit into its field")
        packed[place] = value
    return plan.pack(*packed.values())


@cache
def _plan(type_name: str) -> _Plan:
    """Return how a struct is packed."""
    layout = STRUCTS[type_name]
    bits = layout.get("bits", {})
    fields = []
    for field, place in layout["fields"].items():
        first, count = bits.get(field, (0, 8 * place[1]))
        fields.append((field, place, first, 1 << count))
    packer = struct.Struct(layout["format"])
    signature: bytes | None = layout.get("signature")
    head = () if signature is None else (signature,)
    rest = [] if bits else [*layout["fields"]][len(head) :]
    examples = packer.unpack(bytes(packer.size))[len(head) :]
    texts = [(at, len(one)) for at, one in enumerate(examples) if type(one) is bytes]
    take_rest = attrgetter(*rest) if len(rest) > 1 else lambda record: (getattr(record, rest[0]),)
    return _Plan(
        tuple(fields),
        signature,
        packer.pack,
        partial(packer.pack, *head),
        tuple(rest),
        take_rest,
        tuple(texts),
    )


@lru_cache(maxsize=16)
def _stored(guid: UUID) -> bytes:
    """Return a GUID as it is stored; a session writes the same ones again and again."""
    return guid.bytes_le
