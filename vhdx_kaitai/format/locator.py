"""The parent locator: what it says about the parent of a differencing disk [MS-VHDX 2.6.2.6].

Its text comes from the file and is not to be trusted; where it lets a parent be
looked for is the business of `reading.parents`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import UUID

from ..errors import Finding, Level, mismatch, mismatched_text
from ..guids import NIL, VHDX_PARENT_LOCATOR_TYPE
from ..records import NamedTuple
from ..text import quoted
from .metadata import MAX_ITEM_LENGTH
from .place import Place
from .structures import KeyValue, ParentLocator

# Ours: Windows writes five keys, and each may claim 128 KiB of text. Texts may share
# their bytes; only those that do can be longer together than an item can be.
MAX_KEYS = 256
MAX_TEXT_LENGTH = MAX_ITEM_LENGTH

LINKAGE, LINKAGE_2 = "parent_linkage", "parent_linkage2"
# In the order in which they are to be tried [MS-VHDX 2.6.2.6.3].
PATH_KEYS = ("relative_path", "volume_path", "absolute_win32_path")

_GUID = re.compile(r"\{([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\}", re.ASCII)
_VOLUME_PATH = re.compile(r"\\\\\?\\Volume\{[0-9a-fA-F-]{36}\}\\", re.ASCII | re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:\\")
_ABSOLUTE = re.compile(r"[A-Za-z]:|\\")


def is_absolute(path: str) -> bool:
    """Tell whether a path begins with a drive or a separator, as relative ones do not."""
    return bool(_ABSOLUTE.match(path))


class Locator(NamedTuple):
    """What a parent locator says, judged.

    Attributes:
        locator_type: Kind of the parent.
        entries: All keys and values in the order of the file.
        linkage: DataWriteGuid that the parent has to have.
        linkage_2: Another one that will do; None when absent or without a value.
    """

    locator_type: UUID
    entries: dict[str, str]
    linkage: UUID
    linkage_2: UUID | None

    @property
    def linkages(self) -> tuple[UUID, ...]:
        """DataWriteGuids of which the parent has to have one; zero matches nothing (LOC-23)."""
        both = dict.fromkeys((self.linkage, self.linkage_2))
        return tuple(guid for guid in both if guid is not None and guid != NIL)

    @property
    def paths(self) -> tuple[tuple[str, str], ...]:
        """Keys and values of the paths, in the order in which they are to be tried."""
        return tuple((key, self.entries[key]) for key in PATH_KEYS if key in self.entries)


def check_shape(locator: ParentLocator) -> Iterator[Finding]:
    """Yield what is wrong with the locator's head and with the places of its texts."""
    place = locator.place
    if locator.locator_type != VHDX_PARENT_LOCATOR_TYPE:
        actual, expected = str(locator.locator_type), str(VHDX_PARENT_LOCATOR_TYPE)
        yield mismatch(
            "LOC-02", "error", place.field("locator_type"), "LocatorType", actual, expected
        )
    if locator.reserved:
        actual = f"{locator.reserved:#x}"
        yield mismatch("LOC-03", "warning", place.field("reserved"), "Reserved", actual, "0")
    count = locator.num_key_values
    number = place.field("num_key_values")
    if count == 0:
        yield mismatch("LOC-04", "error", number, "KeyValueCount", "0", "at least 1")
    if locator.len_table > len(locator.raw):
        actual, expected = f"{len(locator.raw)} bytes", f"{locator.len_table} for {count} keys"
        yield mismatch("LOC-01", "error", place, "length", actual, expected)
    elif count > MAX_KEYS:
        expected = f"at most {MAX_KEYS} (our limit)"
        yield mismatch("LOC-04", "limit", number, "KeyValueCount", str(count), expected)
        return
    for index, entry in enumerate(locator.entries):
        yield from _check_entry(entry, locator, entry_place(locator, index))
    length = sum(entry.len_key + entry.len_value for entry in locator.entries)
    if length > MAX_TEXT_LENGTH:
        expected = f"at most {MAX_TEXT_LENGTH:#x} (our limit)"
        yield mismatch("LOC-09", "limit", place, "length of all texts", f"{length:#x}", expected)


def entry_place(locator: ParentLocator, index: int) -> Place:
    """Return the place of an entry of the locator."""
    name = f"{locator.place.name}, entry {index}"
    return locator.place.element("key_values", index, name)


def _check_entry(entry: KeyValue, locator: ParentLocator, place: Place) -> Iterator[Finding]:
    size = len(locator.raw)
    for name, rules, offset, length in (
        ("Key", ("LOC-05", "LOC-07"), entry.ofs_key, entry.len_key),
        ("Value", ("LOC-06", "LOC-08"), entry.ofs_value, entry.len_value),
    ):
        offset_place = place.field(f"ofs_{name.lower()}")
        length_place = place.field(f"len_{name.lower()}")
        if offset == 0:
            yield mismatch(rules[0], "error", offset_place, f"{name}Offset", "0", "more than 0")
        if length == 0:
            yield mismatch(rules[1], "error", length_place, f"{name}Length", "0", "more than 0")
        if not locator.len_table <= offset <= size - length:
            expected = f"inside {locator.len_table:#x} to {size:#x}"
            actual = f"{offset:#x} to {offset + length:#x}"
            yield mismatch("LOC-09", "error", offset_place, name, actual, expected)
        if length % 2:
            yield mismatch("LOC-10", "error", length_place, f"{name}Length", str(length), "even")


def _texts(locator: ParentLocator) -> Iterator[tuple[bytes, bytes]]:
    for entry in locator.entries:
        yield (
            locator.raw[entry.ofs_key : entry.ofs_key + entry.len_key],
            locator.raw[entry.ofs_value : entry.ofs_value + entry.len_value],
        )


def check_texts(locator: ParentLocator) -> Iterator[Finding]:
    """Yield what is wrong with the texts of a locator whose shape is in order."""
    keys = set()
    for index, texts in enumerate(_texts(locator)):
        place = entry_place(locator, index)
        for name, raw in zip(("key", "value"), texts, strict=True):
            try:
                text = raw.decode("utf-16-le")
            except UnicodeDecodeError as error:
                message = f"{name} is not UTF-16 at its byte {error.start}"
                yield Finding("LOC-10", "error", place.field(f"ofs_{name}"), message)
                continue
            if "\0" in text:
                message = f"{name} holds a NUL, expected none"
                yield Finding("LOC-11", "error", place.field(f"ofs_{name}"), message)
            if name == "key":
                if text in keys:
                    message = f"key {quoted(text)} a second time, expected each only once"
                    yield Finding("LOC-12", "error", place, message)
                keys.add(text)


def check_entries(entries: dict[str, str], place: Place) -> Iterator[Finding]:
    """Yield what is wrong with the keys and values themselves [MS-VHDX 2.6.2.6.3]."""
    if LINKAGE not in entries:
        yield Finding("LOC-13", "error", place, f"no key {LINKAGE}, expected one")
    if LINKAGE_2 in entries and not _is_of_windows(entries):
        yield Finding("LOC-14", "note", place, f"key {LINKAGE_2} is there; Windows writes it")
    for key in (LINKAGE, LINKAGE_2):
        value = entries.get(key)
        if value is not None and not _GUID.fullmatch(value):
            level: Level = "error" if key == LINKAGE else "note"
            yield mismatched_text("LOC-15", level, place, key, value, "a GUID in braces")
    for key in entries:
        if key not in (LINKAGE, LINKAGE_2, *PATH_KEYS):
            yield Finding("LOC-22", "note", place, f"unknown key {quoted(key)}, which is ignored")
        if key != key.lower():
            yield Finding("LOC-24", "note", place, f"key {quoted(key)}, expected lower case")
    linkage = parse_linkage(entries.get(LINKAGE))
    if linkage == NIL:
        yield Finding("LOC-23", "warning", place, f"{LINKAGE} is zero, which matches no parent")
    if not any(key in entries for key in PATH_KEYS):
        yield Finding("LOC-16", "error", place, f"no path, expected one of {', '.join(PATH_KEYS)}")
    yield from _check_paths(entries, place)


def _check_paths(entries: dict[str, str], place: Place) -> Iterator[Finding]:
    relative, volume, absolute = (entries.get(key) for key in PATH_KEYS)
    if relative is not None and is_absolute(relative):
        expected = "a path relative to the folder of the file"
        yield mismatched_text("LOC-18", "warning", place, "relative_path", relative, expected)
    if volume is not None and not _VOLUME_PATH.match(volume):
        expected = r"\\?\Volume{GUID}\..."
        yield mismatched_text("LOC-19", "warning", place, "volume_path", volume, expected)
    has_prefix = absolute is not None and absolute.startswith("\\\\?\\")
    if absolute is not None and not has_prefix and not _is_of_windows(entries):
        expected = "\\\\?\\ at its start"
        yield mismatched_text("LOC-20", "note", place, "absolute_win32_path", absolute, expected)


def _is_of_windows(entries: dict[str, str]) -> bool:
    """Tell whether a locator is unlike the text in the two ways that Windows is, and no other.

    Every checkpoint of Hyper-V has a second linkage, which is zero, and an absolute
    path, where it has one, that begins with a drive.
    """
    absolute = entries.get(PATH_KEYS[2])
    is_drive = absolute is None or bool(_DRIVE.match(absolute))
    return is_drive and parse_linkage(entries.get(LINKAGE_2)) == NIL


def parse_linkage(value: str | None) -> UUID | None:
    """Return the GUID of a linkage value, in either case; None when it is none."""
    match = _GUID.fullmatch(value) if value is not None else None
    return UUID(match[1]) if match else None


def check_locator(locator: ParentLocator) -> Iterator[Finding]:
    """Yield what is wrong with a parent locator, up to what makes the rest of it unreadable."""
    for check in (check_shape, check_texts):
        is_readable = True
        for finding in check(locator):
            is_readable &= finding.level not in ("error", "limit")
            yield finding
        if not is_readable:
            return
    yield from check_entries(_entries(locator), locator.place)


def _entries(locator: ParentLocator) -> dict[str, str]:
    return {key.decode("utf-16-le"): value.decode("utf-16-le") for key, value in _texts(locator)}


def judged(locator: ParentLocator) -> Locator:
    """Return what a parent locator says, with which no check has found an error."""
    entries = _entries(locator)
    linkage = parse_linkage(entries[LINKAGE])
    assert linkage is not None  # any other value is an error
    return Locator(locator.locator_type, entries, linkage, parse_linkage(entries.get(LINKAGE_2)))


def matching_key(locator: Locator, data_write_guid: UUID) -> str | None:
    """Return which key of a locator names a parent with this DataWriteGuid, None when none does.

    Zero matches nothing, not even a parent whose own GUID is zero (LOC-23).
    """
    if data_write_guid != NIL:
        if data_write_guid == locator.linkage:
            return LINKAGE
        if data_write_guid == locator.linkage_2:
            return LINKAGE_2
    return None
