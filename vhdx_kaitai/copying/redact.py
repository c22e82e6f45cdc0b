"""Redaction: what an image may tell about people and places becomes something without meaning.

Lengths and places stay, and so does what the rules say: a redacted dump is
damaged where the image is, and its log replays to the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..errors import FormatError, LimitError
from ..format import encode, grammar, log
from ..format.grammar import DescriptorKind
from ..format.locator import LINKAGE, LINKAGE_2, MAX_KEYS, check_shape, parse_linkage
from ..format.place import Place, length_of
from ..format.structures import DataSector, LogDescriptor, ParentLocator
from ..guids import NIL
from ..ranges import Ranges
from ..storage.source import Source
from ..units import MIB

# -- the parent locator ---------------------------------------------------------------------------


def redacted_item(source: Source, offset: int, length: int) -> bytes:
    """Return the bytes of a parent locator item, as far as they are in the file, redacted.

    Args:
        source: The file.
        offset: File offset of the item in bytes.
        length: Its length in bytes.
    """
    data = source.read(offset, min(length, max(0, source.size - offset)))
    try:
        return redacted_locator(grammar.parent_locator(data, Place("", "parent_locator_item", 0)))
    except FormatError:  # not even its head is there
        return bytes(len(data))


def redacted_locator(locator: ParentLocator) -> bytes:
    """Return a parent locator in which only keys and linkages can still be read.

    Lengths stay the same, and so does what the rules say about it: a value keeps
    its separators, its prefix, and whatever makes it no text.
    """
    raw = locator.raw
    is_table_there = locator.entries and len(locator.entries) <= MAX_KEYS
    start = locator.len_table if is_table_there else length_of("parent_locator_item")
    data = bytearray(raw[:start].ljust(len(raw), b"\0"))
    if any(finding.level == "error" for finding in check_shape(locator)):
        return bytes(data)
    blanked = []
    for entry in locator.entries:
        key = raw[entry.ofs_key : entry.ofs_key + entry.len_key]
        value = raw[entry.ofs_value : entry.ofs_value + entry.len_value]
        data[entry.ofs_key : entry.ofs_key + entry.len_key] = key
        is_linkage = _text(key) in (LINKAGE, LINKAGE_2)
        if is_linkage and parse_linkage(_text(value)) is not None:
            data[entry.ofs_value : entry.ofs_value + entry.len_value] = value
        else:
            # An x makes no GUID out of what was none.
            blanked.append((entry.ofs_value, _blank_text(value, "x" if is_linkage else "a")))
    for offset, value in blanked:  # in the end, should they share bytes with something else
        data[offset : offset + len(value)] = value
    return bytes(data)


def _text(raw: bytes) -> str:
    return raw.decode("utf-16-le", "surrogatepass")


# The rules look at these: separators, prefixes, drive letters, GUIDs of volumes, NULs.
_PLAIN = frozenset("\\/:.?{}-\0")
_VOLUME = re.compile(r"\\\\\?\\Volume", re.IGNORECASE)


def _blank_text(raw: bytes, letter: str) -> bytes:
    """Return UTF-16 text of the same length in which all letters and digits are the same."""
    text = _text(raw)
    prefix = _VOLUME.match(text)
    start = prefix.end() if prefix else 0
    rest = "".join(_blank_character(char, letter) for char in text[start:])
    return (text[:start] + rest).encode("utf-16-le", "surrogatepass")


def _blank_character(char: str, letter: str) -> str:
    if char in _PLAIN or "\ud800" <= char <= "\udfff":  # half a character is an error (LOC-10)
        return char
    return letter * (2 if ord(char) > 0xFFFF else 1)


# -- the log --------------------------------------------------------------------------------------


def entry_heads(stored: Source, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield file offsets and bytes of the heads of all that begins like an entry of the log.

    Args:
        stored: The file as it is stored.
        start: File offset of the log in bytes.
        end: File offset of its end.
    """
    length = length_of("log_entry_header")
    for position in range(start, end, MIB):
        piece = stored.read(position, min(MIB, end - position))
        if piece.count(0) == len(piece):
            continue
        for slot in range(0, len(piece) - log.SECTOR + 1, log.SECTOR):
            head = piece[slot : slot + length]
            if grammar.log_entry_header(head).is_signature_valid:
                yield position + slot, head


class LogRedactor:
    """Replaces metadata in log entries by what the dump has in its place.

    What an entry brings to region tables, BAT and sector bitmaps is left alone.
    The rest of it, an old parent locator perhaps, becomes the state after
    replay, redacted: so replay has the same result, and nothing older is left.

    Args:
        ring: The log.
        final: The file as it reads after log replay.
        copied: What of it is in the dump.
        numbers: What of that cannot hold text.
        replaced: Bytes that stand instead of what was copied, with their file offsets.
    """

    def __init__(
        self,
        ring: log.Log,
        final: Source,
        copied: Ranges,
        numbers: Ranges,
        replaced: Sequence[tuple[int, bytes]],
    ) -> None:
        self._ring = ring
        self._source = final
        self._copied = copied
        self._numbers = numbers
        self._replaced = replaced

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """Yield file offsets and bytes of the valid log entries, in one or two parts each."""
        ring = self._ring
        if ring.guid == NIL:
            return
        try:
            entries = [entry for entry in ring.entries() if entry.is_valid]
        except LimitError:  # more than any writer makes (LOG-39)
            return
        for entry in entries:
            data = self.entry(entry)
            first = min(len(data), ring.length - entry.offset)
            yield ring.file_offset(entry.offset), data[:first]
            if first < len(data):
                yield ring.offset, data[first:]

    def entry(self, entry: log.JudgedEntry) -> bytes:
        """Return the bytes of a valid entry, redacted; none when it is not any more what it was."""
        whole = grammar.log_entry(self._ring.read(entry.offset, entry.header.entry_length))
        if whole is None or whole[:2] != (entry.header, entry.descriptors):
            return b""
        sectors = iter(whole.data_sectors)
        changes = [
            self._redacted(change, next(sectors))
            if change.kind == DescriptorKind.data_descriptor
            else (change, None)
            for change in whole.descriptors
        ]
        redacted = whole._replace(
            descriptors=tuple(change for change, _ in changes),
            padding=bytes(len(whole.padding)),
            data_sectors=tuple(sector for _, sector in changes if sector is not None),
        )
        return encode.log_entry(redacted)

    def _redacted(
        self, change: LogDescriptor, sector: DataSector
    ) -> tuple[LogDescriptor, DataSector]:
        """Return a data descriptor and its sector with an update that tells nothing."""
        start = change.file_offset
        if self._numbers.hold(start, start + log.SECTOR):
            return change, sector
        update = self._final(start, log.SECTOR)
        first, last = len(change.leading_bytes), log.SECTOR - len(change.trailing_bytes)
        return (
            change._replace(leading_bytes=update[:first], trailing_bytes=update[last:]),
            sector._replace(data=update[first:last]),
        )

    def _final(self, offset: int, length: int) -> bytes:
        """Return bytes of the file after replay, as far as they are kept, and redacted."""
        final = bytearray(length)
        for start, end in self._copied.inside(offset, offset + length):
            final[start - offset : end - offset] = self._source.read(start, end - start)
        for place, data in self._replaced:
            start, end = max(place, offset), min(place + len(data), offset + length)
            if start < end:
                final[start - offset : end - offset] = data[start - place : end - place]
        return bytes(final)
