"""A new image, as text and as a document."""

from __future__ import annotations

from collections.abc import Iterator

from ..records import TYPE_CHECKING
from ..text import human_size, printable
from .document import Document, headed

if TYPE_CHECKING:
    from ..writing.blank import Created


def created_document(path: str, parent: str | None, created: Created) -> Document:
    """Return what `create --json` prints.

    Args:
        path: What to call the file.
        parent: The same for its parent; None when there is none.
        created: What was made.
    """
    return headed(
        path=path,
        file_size=created.file_size,
        disk_type=created.disk_type,
        virtual_disk_size=created.size,
        virtual_disk_id=str(created.disk_id),
        block_size=created.block_size,
        logical_sector_size=created.logical_sector_size,
        physical_sector_size=created.physical_sector_size,
        parent=parent,
    )


def created_text(document: Document) -> Iterator[str]:
    """Yield the line of `create`.

    Args:
        document: What `created_document` returned.
    """
    size = document["virtual_disk_size"]
    logical, physical = document["logical_sector_size"], document["physical_sector_size"]
    text = f"{document['disk_type']} virtual disk of {human_size(size)}"
    text += f", blocks of {human_size(document['block_size'])}"
    text += f", sectors of {logical} bytes logical, {physical} bytes physical"
    if document["parent"] is not None:
        text += f", child of {printable(document['parent'])}"
    yield f"{printable(document['path'])}: {text}"
