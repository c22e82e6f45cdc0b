"""The images of a chain, as text, as a document and as a graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..reading.image import Image
from ..text import human_size, printable
from .document import Document, assumed_document, headed

if TYPE_CHECKING:
    from ..reading.chain import Link
    from ..reading.disk import Disk


def chain_document(disk: Disk, path: str) -> Document:
    """Return what `chain --json` prints."""
    links = [None, *disk.links]
    return headed(
        path=path,
        chain=[
            _link_document(depth, image, links[depth] if depth < len(links) else None)
            for depth, image in enumerate(disk.chain)
        ],
        assumed=assumed_document(disk.assumed),
    )


def _link_document(depth: int, image: Image, link: Link | None) -> Document:
    locator = image.locator
    return {
        "depth": depth,
        "path": image.path,
        "disk_type": image.metadata.disk_type,
        "virtual_disk_size": image.metadata.virtual_disk_size,
        "block_size": image.metadata.block_size,
        "virtual_disk_id": str(image.metadata.virtual_disk_id),
        "data_write_guid": str(image.headers.current.data_write_guid),
        "log": image.log_state,
        "found_by": link.key if link else None,
        "matched_by": link.matched_by if link else None,
        "parent_linkage": str(locator.linkage) if locator else None,
        "parent_linkage2": str(locator.linkage_2) if locator and locator.linkage_2 else None,
    }


def chain_text(document: Document) -> Iterator[str]:
    """Yield the lines of `chain`.

    Args:
        document: What `chain_document` returned.
    """
    for image in document["chain"]:
        path = printable(image["path"] or "(in memory)")
        yield f"{image['depth']}  {path}"
        blocks = human_size(image["block_size"])
        size = human_size(image["virtual_disk_size"])
        yield f"   {image['disk_type']}, {size} in blocks of {blocks}, {image['log']} log"
        yield f"   data write GUID {image['data_write_guid']}"
        if image["matched_by"]:
            found = f"found by {image['found_by']}" if image["found_by"] else "named by the caller"
            yield f"   {found}, matches {image['matched_by']} of its child"


def chain_dot(document: Document) -> Iterator[str]:
    """Yield the lines of `chain --dot`, a graph for Graphviz."""
    yield "digraph chain {"
    yield "  rankdir=BT;"
    yield "  node [shape=box];"
    for image in document["chain"]:
        label = f"{image['path'] or '(in memory)'}\n{image['disk_type']}, {image['log']} log"
        yield f"  {image['depth']} [label={_dot_string(label)}];"
        if image["matched_by"]:
            label = image["matched_by"]
            yield f"  {image['depth'] - 1} -> {image['depth']} [label={_dot_string(label)}];"
    yield "}"


def _dot_string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "\\n".join(printable(line) for line in escaped.split("\n")) + '"'
