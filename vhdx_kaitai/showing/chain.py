"""The images of a chain, as text, as a document and as a graph."""

from __future__ import annotations

from collections.abc import Iterator

from ..reading.image import Image
from ..records import TYPE_CHECKING
from ..text import human_size, printable
from .document import Document, assumed_document, error_fields, headed

if TYPE_CHECKING:
    from ..reading.disk import Disk
    from ..reading.links import Link


def chain_document(disk: Disk, path: str) -> Document:
    """Return what `chain --json` prints."""
    links = [None, *disk.links]
    return headed(
        path=path,
        chain=[
            _link_document(depth, image, links[depth] if depth < len(links) else None)
            for depth, image in enumerate(disk.chain)
        ],
        missing=_missing_document(disk),
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


def _missing_document(disk: Disk) -> Document | None:
    """Return what there is to say of the parent that cannot be had; None when there is none."""
    locator = disk.image.locator if disk.missing is None else disk.chain[-1].locator
    if disk.missing is None or locator is None:
        return None
    return {
        "depth": len(disk.chain),
        "data_write_guids": [str(guid) for guid in locator.linkages],
        "error": error_fields(disk.missing.error) | {"message": disk.missing.finding.message},
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
        if image["depth"]:
            found = f"found by {image['found_by']}" if image["found_by"] else "named by the caller"
            yield f"   {found}, {_match(image)}"
    missing = document["missing"]
    if missing:
        yield f"{missing['depth']}  MISSING"
        for guid in missing["data_write_guids"]:
            yield f"   wanted: data write GUID {guid}"
        for reason in printable(missing["error"]["message"]).split("; "):
            yield f"   {reason}"


def _match(image: Document) -> str:
    """Return how well an image fits its child."""
    if image["matched_by"]:
        return f"matches {image['matched_by']} of its child"
    return "does NOT match its child, and was taken all the same"


def chain_dot(document: Document) -> Iterator[str]:
    """Yield the lines of `chain --dot`, a graph for Graphviz."""
    yield "digraph chain {"
    yield "  rankdir=BT;"
    yield "  node [shape=box];"
    for image in document["chain"]:
        label = f"{image['path'] or '(in memory)'}\n{image['disk_type']}, {image['log']} log"
        yield f"  {image['depth']} [label={_dot_string(label)}];"
        if image["depth"]:
            label = image["matched_by"] or "does not match"
            yield f"  {image['depth'] - 1} -> {image['depth']} [label={_dot_string(label)}];"
    missing = document["missing"]
    if missing:
        depth, wanted = missing["depth"], missing["data_write_guids"]
        label = "\n".join(["missing", *(f"data write GUID {guid}" for guid in wanted)])
        why = _dot_string(missing["error"]["message"])
        yield f"  {depth} [label={_dot_string(label)}, tooltip={why}, style=dashed];"
        yield f"  {depth - 1} -> {depth} [style=dashed];"
    yield "}"


def _dot_string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "\\n".join(printable(line) for line in escaped.split("\n")) + '"'
