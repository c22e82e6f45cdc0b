"""Values of the metadata region: its table, its items, and the view of the known ones."""

from __future__ import annotations

from tests.images.structures import (
    IS_REQUIRED,
    IS_USER,
    IS_VIRTUAL_DISK,
    KIB,
    METADATA_REGION,
    MIB,
    MetadataItem,
)

from .facts import ITEM_LENGTHS, KIND_CODES, MAX_ENTRIES, Facts, is_short, item_kind
from .header_section import region_entry
from .locator import parent_locator_item
from .values import Values, absent, error, flag, guid, label, le, number, raw, shown, size


def metadata_view(facts: Facts) -> Values:
    """Yield `metadata_view`."""
    path, region = "metadata", facts.region(METADATA_REGION)
    if region is None:
        yield absent(path)
        return
    yield number(f"{path}.ofs_region_entry", facts.ofs_region_entry(METADATA_REGION))
    yield from region_entry(f"{path}.region", region)
    start, length = facts.metadata_offset, region.length
    yield number(f"{path}.ofs_region", start)
    yield number(f"{path}.len_region", length)
    has_count = start + 32 <= facts.length
    yield flag(f"{path}.has_count", has_count)
    if start + 12 > facts.length:
        yield error(f"{path}.num_stated_items", "end of file")
    else:
        yield number(f"{path}.num_stated_items", facts.item_count)
    possible = facts.item_count if has_count and facts.item_count <= MAX_ENTRIES else 0
    yield number(f"{path}.num_possible_items", possible)
    yield number(f"{path}.end_of_possible_items", start + 32 + 32 * possible)
    items = facts.items
    yield number(f"{path}.num_items", len(items))
    if items:
        yield size(f"{path}.items", len(items))
    else:
        yield absent(f"{path}.items")
    for index in shown(len(items), range(24)):
        yield from metadata_item(facts, f"{path}.items[{index}]", index, start, length)
    if start + 64 * KIB > facts.length:
        yield error(f"{path}.table", "end of file")
    else:
        yield from metadata_table(facts, f"{path}.table")


def disk_geometry(facts: Facts, path: str) -> Values:
    """Yield `disk_geometry`."""
    region = facts.region(METADATA_REGION)
    assert region is not None
    start, length = facts.metadata_offset, region.length
    yield number(f"{path}.ofs_region_entry", facts.ofs_region_entry(METADATA_REGION))
    yield number(f"{path}.metadata.num_items", len(facts.items))
    yield number(f"{path}.ofs_region", start)
    yield number(f"{path}.len_region", length)
    yield number(f"{path}.num_items", len(facts.items))
    for kind in KIND_CODES:
        yield from item_lookup(facts, f"{path}.{kind}_place", kind, start, length)
    for kind in KIND_CODES:
        found = facts.usable(kind)
        if found is None:
            yield absent(f"{path}.{kind}_item")
        else:
            yield from known_item(f"{path}.{kind}_item", kind, found)
    geometry = facts.geometry
    yield number(f"{path}.block_size", geometry.block_size)
    yield flag(f"{path}.has_parent", geometry.has_parent)
    yield number(f"{path}.disk_size", geometry.virtual_disk_size)
    yield number(f"{path}.sector_size", geometry.logical_sector_size)
    yield flag(f"{path}.is_possible", geometry.is_possible)
    yield number(f"{path}.num_payload_blocks", geometry.num_payload_blocks)
    yield number(f"{path}.chunk_ratio", geometry.chunk_ratio)


def metadata_table(facts: Facts, path: str) -> Values:
    """Yield `metadata_table`."""
    table, items = facts.layout.metadata, facts.listed_items
    yield raw(f"{path}.signature", table.signature)
    yield number(f"{path}.reserved", table.reserved)
    yield number(f"{path}.num_entries", facts.item_count)
    yield raw(f"{path}.reserved_2", table.reserved2.ljust(20, b"\0"))
    yield size(f"{path}.entries", len(items))
    for index in shown(len(items), range(24)):
        yield from metadata_entry(f"{path}.entries[{index}]", *items[index])
    packed_table = table.pack()[0][1].ljust(64 * KIB, b"\0")
    yield raw(f"{path}.unused", packed_table[32 + 32 * len(items) :])
    yield flag(f"{path}.is_signature_valid", table.signature == b"metadata")


def metadata_item(facts: Facts, path: str, index: int, start: int, length: int) -> Values:
    """Yield `metadata_item`."""
    offset, item = facts.items[index]
    yield number(f"{path}.ofs_region", start)
    yield number(f"{path}.len_region", length)
    yield from metadata_entry(f"{path}.entry", offset, item)
    size_of_item = item.stated_length
    yield number(f"{path}.ofs_item", start + offset)
    yield number(f"{path}.len_item", size_of_item)
    usable = 0 < size_of_item <= MIB and 64 * KIB <= offset <= length - size_of_item
    yield flag(f"{path}.is_usable", usable)
    kind = item_kind(item)
    if not usable:
        yield absent(f"{path}.data")
    elif start + offset + size_of_item > facts.length or is_short(kind, item):
        yield error(f"{path}.data", "end of file")
    elif kind == "other":
        yield raw(f"{path}.data.raw", facts.file.read(start + offset, size_of_item))
    elif kind == "parent_locator":
        yield from parent_locator_item(facts, f"{path}.data", start + offset, size_of_item)
    else:
        yield from known_item(f"{path}.data", kind, item)


def item_lookup(facts: Facts, path: str, kind: str, start: int, length: int) -> Values:
    """Yield `item_lookup`."""
    items = facts.items
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
    yield number(f"{path}.num_passed", len(passed) - 1 if found else 0)
    if found:
        yield from metadata_entry(f"{path}.entry", *passed[-1])
    else:
        yield absent(f"{path}.entry")
    yield number(f"{path}.offset", offset)
    yield number(f"{path}.length", stated)
    yield flag(f"{path}.is_usable", facts.usable(kind) is not None)
    yield number(f"{path}.ofs_item", start + offset)


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
        flags = le(item.data[4:8])
        yield number(f"{path}.block_size", le(item.data[:4]))
        yield flag(f"{path}.leave_block_allocated", bool(flags & 1))
        yield flag(f"{path}.has_parent", bool(flags & 2))
        yield number(f"{path}.reserved", flags >> 2)
    elif kind == "virtual_disk_id":
        yield raw(f"{path}.virtual_disk_id.raw", item.data[:16])
    else:
        yield number(f"{path}.{kind}", le(item.data[: ITEM_LENGTHS[kind]]))
