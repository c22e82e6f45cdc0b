"""Values of the parent locator."""

from __future__ import annotations

from tests.images.structures import VHDX_LOCATOR_TYPE, Locator, LocatorEntry, utf16

from .facts import Facts
from .values import Values, error, flag, guid, number, raw, size, utf16_text


def parent_locator_item(facts: Facts, path: str, at: int, length: int) -> Values:
    """Yield `parent_locator_item`."""
    locator = facts.layout.image.resolved_locator()
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
            yield from parent_locator_entry(facts, one, locator.entries[index], places, at, length)


def parent_locator_entry(
    facts: Facts, path: str, entry: LocatorEntry, places: tuple[int, int], at: int, length: int
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
        data = facts.file.read(at + place, count)
        yield raw(f"{path}.{name}.raw", data)
        yield utf16_text(f"{path}.{name}.text", data)


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
