"""Metadata items that get other contents, in their place or in another one of their region.

Whatever changes goes through the log as pages, which a crash leaves as they were or as they
are to be, all of them together. So an item may take the place that it had.
"""

from __future__ import annotations

from ..errors import UnsupportedError
from ..format import encode
from ..format.metadata import ITEMS_FROM
from ..format.place import Place
from ..format.structures import MetadataEntry
from ..ranges import Ranges
from .editor import Editor


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
