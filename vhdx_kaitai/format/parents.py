"""The parent locator, and where it lets a parent be looked for [MS-VHDX 2.6.2.6].

The text of a locator comes from the file and is not to be trusted: unless the
caller allows more, it leads to files in the folder of the child and below, and
to those in folders that the caller names. Nothing here opens a file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

from ..errors import Finding, Level, mismatch, quoted, refuse
from ..guids import NIL, VHDX_PARENT_LOCATOR_TYPE
from ..records import TYPE_CHECKING, NamedTuple
from .grammar import KeyValue, ParentLocator, Place

if TYPE_CHECKING:
    from typing import TypeAlias

    from ..errors import Where

# Ours: Windows writes five keys, and each may claim 128 KiB of text.
MAX_KEYS = 256

LINKAGE, LINKAGE_2 = "parent_linkage", "parent_linkage2"
# In the order in which they are to be tried [MS-VHDX 2.6.2.6.3].
PATH_KEYS = ("relative_path", "volume_path", "absolute_win32_path")

_GUID = re.compile(r"\{([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\}", re.ASCII)
_VOLUME_PATH = re.compile(r"\\\\\?\\Volume\{[0-9a-fA-F-]{36}\}\\", re.ASCII | re.IGNORECASE)
_ABSOLUTE = re.compile(r"[A-Za-z]:|\\")

# Folders to look in, or a single one.
Search: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]]"


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


def entry_place(locator: ParentLocator, index: int) -> Place:
    """Return the place of an entry of the locator."""
    name = f"{locator.place.name}, entry {index}"
    return locator.place.element("key_values", index, name, "parent_locator_entry")


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
    if LINKAGE_2 in entries:
        yield Finding("LOC-14", "note", place, f"key {LINKAGE_2} is there; Windows writes it")
    for key in (LINKAGE, LINKAGE_2):
        value = entries.get(key)
        if value is not None and not _GUID.fullmatch(value):
            level: Level = "error" if key == LINKAGE else "note"
            yield mismatch("LOC-15", level, place, key, quoted(value), "a GUID in braces")
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
    if relative is not None and _ABSOLUTE.match(relative):
        expected = "a path relative to the folder of the file"
        yield mismatch("LOC-18", "warning", place, "relative_path", quoted(relative), expected)
    if volume is not None and not _VOLUME_PATH.match(volume):
        expected = r"\\?\Volume{GUID}\..."
        yield mismatch("LOC-19", "warning", place, "volume_path", quoted(volume), expected)
    if absolute is not None and not absolute.startswith("\\\\?\\"):
        expected = "\\\\?\\ in front"
        yield mismatch("LOC-20", "note", place, "absolute_win32_path", quoted(absolute), expected)


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


def read_locator(locator: ParentLocator) -> Locator:
    """Return what a parent locator says.

    Raises:
        FormatError: The locator refuses the file.
    """
    refuse(check_locator(locator))
    entries = _entries(locator)
    linkage = parse_linkage(entries[LINKAGE])
    assert linkage is not None  # check_locator refuses any other value
    return Locator(locator.locator_type, entries, linkage, parse_linkage(entries.get(LINKAGE_2)))


class Candidate(NamedTuple):
    """A file that may be the parent, or a path that is not followed.

    Attributes:
        key: Key of the locator that leads to it.
        text: Value of the key, or the link that it leads to.
        path: Path of the file; None when it is not followed or there is none.
        reason: Why there is no path.
    """

    key: str
    text: str
    path: str | None
    reason: str | None = None


# Names that Windows gives to devices, in whatever folder and with whatever extension.
_DEVICES = re.compile(
    r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(\..*)?", re.IGNORECASE
)
_EXTENDED_PREFIX = "\\\\?\\"
_LEADS_OUT = "leads out of the folder (--follow-absolute would allow it)"


def search_folders(search: Search) -> list[str]:
    """Return the folders to look in; a path that stands alone is one of them, not many."""
    if isinstance(search, (str, bytes, os.PathLike)):
        search = [search]
    return [os.fsdecode(folder) for folder in search]


def candidates(
    locator: Locator, folder: str | None, search: Sequence[str], *, follow_absolute: bool
) -> Iterator[Candidate]:
    """Yield where the parent may be, in the order in which it is to be tried.

    Args:
        locator: The locator of the child.
        folder: Folder of the child; None when the child is not a file with a path.
        search: Further folders.
        follow_absolute: Follow absolute paths and such that leave the folder.
    """
    seen = set()
    for key, text in locator.paths:
        for candidate in _candidates_of(key, text, folder, search, follow=follow_absolute):
            if candidate.path is not None and not _is_encodable(candidate.path):
                reason = "a name that files cannot have under this locale"
                candidate = Candidate(key, candidate.path, None, reason)
            mark = candidate.path or (candidate.text, candidate.reason)
            if mark not in seen:
                yield candidate
            seen.add(mark)


def _candidates_of(
    key: str, text: str, folder: str | None, search: Sequence[str], *, follow: bool
) -> Iterator[Candidate]:
    plain = text.removeprefix(_EXTENDED_PREFIX)
    names = [name for name in re.split(r"[\\/]", plain) if name not in ("", ".")]
    folders = ([] if folder is None else [folder]) + list(search)
    if key == "relative_path" and not _ABSOLUTE.match(text):
        for place in folders:
            yield from _relative(key, text, place, names, folders, follow=follow)
    elif follow:
        yield from _absolute(key, text, plain, names)
    else:
        yield Candidate(key, text, None, _LEADS_OUT)
    for place in folders:
        yield from _below(key, text, place, names[-1:], folders, follow=follow)
    if not folders:
        yield Candidate(
            key, text, None, "no folder to look in (--search or --parent would name one)"
        )


def _relative(
    key: str, text: str, folder: str, names: list[str], folders: list[str], *, follow: bool
) -> Iterator[Candidate]:
    """Yield where a relative path leads; up and down again into the same folder is inside it.

    Like Windows, this takes `..` back from the text, whatever there is on the disk.
    """
    steps: list[str] = []
    for name in names:
        if name == ".." and steps and steps[-1] != "..":
            steps.pop()
        else:
            steps.append(name)
    up = steps.count("..")
    down = steps[up:]
    left = os.path.realpath(folder).split(os.sep)[-up:] if up else []
    if [_folded(name) for name in left] == [_folded(name) for name in down[:up]]:
        yield from _below(key, text, folder, down[up:], folders, follow=follow)
    elif follow:
        above = os.path.normpath(os.path.join(os.path.realpath(folder), *steps[:up]))
        for path in _descended(above, down):
            yield Candidate(key, text, path)
    else:
        yield Candidate(key, text, None, _LEADS_OUT)


def _absolute(key: str, text: str, plain: str, names: list[str]) -> Iterator[Candidate]:
    """Yield where an absolute path leads when it is followed to wherever it wants."""
    if os.name == "nt":
        yield Candidate(key, text, text)
    elif plain.startswith("/"):
        for path in _descended("/", names):
            yield Candidate(key, text, path)
    else:
        reason = "a path of Windows, which means nothing on this system"
        yield Candidate(key, text, None, reason)


def _below(
    key: str, text: str, folder: str, names: list[str], folders: list[str], *, follow: bool
) -> Iterator[Candidate]:
    """Yield files in a folder or below; links out of all folders are not followed unasked."""
    if not names or not all(_is_plain(name) for name in names):
        yield Candidate(key, text, None, "not the name of a plain file")
        return
    for path in _descended(folder, names):
        if follow or any(_is_inside(path, place) for place in folders):
            yield Candidate(key, text, path)
        else:
            yield Candidate(key, path, None, f"a link that {_LEADS_OUT}")


def _is_plain(name: str) -> bool:
    return name != ".." and ":" not in name and name.isprintable() and not _DEVICES.fullmatch(name)


def _is_encodable(path: str) -> bool:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def _is_inside(path: str, folder: str) -> bool:
    if not os.path.exists(path):
        return True
    real, root = (os.path.join(os.path.realpath(place), "") for place in (path, folder))
    return real.startswith(root)


def _descended(folder: str, names: list[str]) -> Iterator[str]:
    """Yield the files that are so many steps below a folder.

    The first has exactly these names; others differ in case, or in the way of
    composing characters. When there is none, the exact one is yielded all the same.
    """
    exact = os.path.join(folder, *names)
    is_there = os.path.lexists(exact)
    if is_there:
        yield exact
    paths = [folder]
    for name in names:
        paths = [os.path.join(path, step) for path in paths for step in _same_names(path, name)]
    if paths:
        yield from (path for path in paths if path != exact)
    elif not is_there:
        yield exact


def _same_names(folder: str, name: str) -> list[str]:
    wanted = _folded(name)
    try:
        return sorted(entry for entry in os.listdir(folder) if _folded(entry) == wanted)
    except (OSError, UnicodeEncodeError):
        return []


def _folded(name: str) -> str:
    """Return what names have in common that differ only in case or composition."""
    if name.isascii():
        return name.lower()
    from unicodedata import normalize

    return normalize("NFC", normalize("NFC", name).casefold())


def check_way(
    locator: Locator, folder: str, path: str, tried: Iterable[Candidate], place: Where
) -> Iterator[Finding]:
    """Yield what is wrong with the paths of a locator, given the parent that was found.

    Where absolute paths lead depends on the machine, so only the relative one
    can be called stale. Nothing is looked up in the file system for that.

    Args:
        locator: The locator of the child.
        folder: Folder of the child.
        path: Path of the parent in use.
        tried: Candidates that were tried, or passed over, before it was found.
        place: The parent.
    """
    for candidate in tried:
        if candidate.path is None:
            message = f"{candidate.key} {quoted(candidate.text)} was not followed: it "
            reason = candidate.reason or ""
            message += reason if reason.startswith("leads") else f"is {reason}"
            yield Finding("CHAIN-07", "note", place, message)
    relative = locator.entries.get(PATH_KEYS[0])
    if relative is not None and not _ABSOLUTE.match(relative):
        names = re.split(r"[\\/]", relative)
        target = _folded(os.path.normpath(os.path.join(folder, *names)))
        if target not in {_folded(os.path.abspath(path)), _folded(os.path.realpath(path))}:
            expected = "a path to the parent in use"
            yield mismatch("LOC-21", "note", place, "relative_path", quoted(relative), expected)


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
