"""Metadata items that get other contents, in their place or in another one of their region.

Whatever changes goes through the log as pages, which a crash leaves as they were or as they
are to be, all of them together. So an item may take the place that it had.

The items of a disk that are replaced by those of another one may be too many for that. So
what is new goes where nothing is, and then the table changes as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import UnsupportedError, refuse
from ..format import encode
from ..format.metadata import ITEMS_FROM, check_table
from ..format.place import Place, span_of
from ..format.structures import MetadataEntry, MetadataTable
from ..ranges import Ranges
from ..reading.image import Image
from ..records import NamedTuple
from .editor import Editor

_MOST_PAGES = 64  # of items that are changed in a step


def put_item(editor: Editor, kind: str, data: bytes) -> None:
    """Give an item that is there other contents.

    Args:
        editor: The image, all of whose other changes are in the file already.
        kind: The grammar's name of the kind of item.
        data: What is to be in it.

    Raises:
        UnsupportedError: There is no room for it in the metadata region; nothing was changed.
    """
    region, entries = editor.image.regions.metadata, editor.image.metadata.entries
    index = next(number for number, entry in enumerate(entries) if entry.kind == kind)
    entry = entries[index]
    if len(data) != entry.length:
        others = [other for other in entries if other is not entry]
        offset = _room(others, len(data), region.length)
        entry = entry._replace(offset=offset, length=len(data))
        table = Place("metadata table", "metadata_table", region.file_offset)
        place = table.element("entries", index, f"metadata table, entry {index}").offset
        assert place is not None
        editor.write(place, encode.metadata_entry(entry))
    editor.write(region.file_offset + entry.offset, data)


def _room(others: list[MetadataEntry], length: int, end: int) -> int:
    """Return where in a metadata region there is room for an item, in bytes from its start."""
    taken = Ranges((other.offset, other.offset + other.length) for other in others)
    for start, stop in taken.gaps(ITEMS_FROM, end):
        if stop - start >= length:
            return start
    raise UnsupportedError(f"the metadata region has no room for an item of {length} bytes")


class DiskItems(NamedTuple):
    """What becomes of the metadata items of an image that belong to the disk (MET-18).

    Attributes:
        known: New contents of items by their kind in the grammar.
        entries: Entries of the metadata table; none when it stays as it is.
        copied: Entries of the table that get their contents from an item of the other image,
            each with the entry of that.
        gone: How many items go, or get other contents.
    """

    known: dict[str, bytes]
    entries: tuple[MetadataEntry, ...]
    copied: tuple[tuple[MetadataEntry, MetadataEntry], ...]
    gone: int


def items_of_another(image: Image, other: Image) -> DiskItems:
    """Return what is to be done that an image has the items of another disk, but for its size.

    Args:
        image: The image.
        other: The one that has the items.

    Raises:
        FormatError: Together with those of the file they are too many.
        UnsupportedError: There is no room for them in the metadata region.
    """
    known = {}
    one, two = image.metadata, other.metadata
    if one.virtual_disk_id != two.virtual_disk_id:
        known["virtual_disk_id"] = encode.virtual_disk_id(two.virtual_disk_id)
    if one.physical_sector_size != two.physical_sector_size:
        known["physical_sector_size"] = encode.physical_sector_size(two.physical_sector_size)
    theirs = {_key(entry): entry for entry in two.entries if _is_other(entry)}
    kept, is_same = [], set()
    for entry in one.entries:
        twin = theirs.get(_key(entry))
        if twin is not None and _is_other(entry) and _is_like(image, entry, other, twin):
            is_same.add(_key(entry))
            kept.append(entry)
        elif twin is None and not _is_other(entry):
            kept.append(entry)
    wanted = [entry for key, entry in theirs.items() if key not in is_same]
    gone = len(one.entries) - len(kept)
    if not (wanted or gone):
        return DiskItems(known, (), (), 0)
    copied = tuple(zip(_placed(wanted, image), wanted, strict=True))
    entries = (*kept, *(entry for entry, _ in copied))
    refuse(check_table(_table_of(image, entries), image.regions.metadata.length))
    return DiskItems(known, entries, copied, gone)


def put_items_of_another(editor: Editor, items: DiskItems, other: Image) -> None:
    """Do it; a crash leaves the items as they were, or as they are to be.

    Args:
        editor: The image, all of whose other changes are in the file already.
        items: What is to be done.
        other: The image that has the items.
    """
    region, theirs = editor.image.regions.metadata, other.regions.metadata
    for entry, twin in items.copied:
        data = other.source.read(theirs.file_offset + twin.offset, twin.length)
        editor.write(region.file_offset + entry.offset, data)
        if editor.changed_pages >= _MOST_PAGES:
            editor.commit()
    editor.commit()
    if items.entries:
        table = encode.metadata_table(_table_of(editor.image, items.entries))
        editor.write(region.file_offset, table)
    for kind, data in items.known.items():
        put_item(editor, kind, data)
    editor.judge()


def _key(entry: MetadataEntry) -> tuple[int, bool]:
    """Return by what an item is that one and no other (MET-05)."""
    return entry.item_id.int, entry.is_user


def _is_other(entry: MetadataEntry) -> bool:
    """Tell whether an item belongs to the disk, and is none of the specification."""
    return entry.is_virtual_disk and entry.kind == "other"


def _is_like(image: Image, entry: MetadataEntry, other: Image, twin: MetadataEntry) -> bool:
    """Tell whether two images have the same in an item."""
    if (entry.length, entry.is_required) != (twin.length, twin.is_required):
        return False
    places = (
        (each, each.regions.metadata.file_offset + item.offset, item.length)
        for each, item in ((image, entry), (other, twin))
    )
    one, two = (each.source.read(offset, length) for each, offset, length in places)
    return bool(one == two)


def _placed(wanted: list[MetadataEntry], image: Image) -> Iterator[MetadataEntry]:
    """Yield entries with places at which nothing is now.

    Raises:
        UnsupportedError: There is no room.
    """
    taken = [entry for entry in image.metadata.entries if entry.length]
    for entry in wanted:
        offset = 0
        if entry.length:
            offset = _room(taken, entry.length, image.regions.metadata.length)
        placed = entry._replace(offset=offset, reserved=0, reserved_2=0)
        taken += [placed] * bool(entry.length)
        yield placed


def _table_of(image: Image, entries: tuple[MetadataEntry, ...]) -> MetadataTable:
    """Return the metadata table of an image with other entries."""
    place = Place("metadata table", "metadata_table", image.regions.metadata.file_offset)
    reserved = bytes(span_of("metadata_table", "reserved_2")[1])
    return MetadataTable(place, 0, len(entries), reserved, entries)
