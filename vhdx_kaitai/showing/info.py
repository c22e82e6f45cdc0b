"""What `info` says of an image, as text and as a document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from ..checking.quick import losses_in_passing, quick
from ..format.bat import STATE_NAMES
from ..format.headers import HeaderCopy
from ..format.structures import Header, MetadataEntry, RegionEntry
from ..guids import ITEM_NAMES, REGION_NAMES, UNSPECIFIED_ITEM_NAMES
from ..reading.image import Image
from ..records import TYPE_CHECKING
from ..text import counted, full_size, human_size, printable
from .document import Document, assumed_document, headed

if TYPE_CHECKING:
    from ..errors import Assumption
    from ..reading.disk import Disk
    from ..reading.links import Link

# What `identity_document` has.
IDENTITY = (
    "creator",
    "disk_type",
    "virtual_disk_size",
    "virtual_disk_id",
    "block_size",
    "logical_sector_size",
    "physical_sector_size",
)

_VALUE_WIDTH = 80 - 23  # of a value, on a screen of 80 columns
# More lines would push everything else off the screen; --json has them all.
_MOST_LINES = 12


def info_document(
    image: Image,
    path: str,
    *,
    allocation: bool = False,
    zeros: Callable[[int], object] | None = None,
) -> Document:
    """Return what `info --json` prints; everything after `headers` is as after log replay.

    Args:
        image: The image.
        path: What to call it.
        allocation: Count blocks by state, and bytes, which reads the whole BAT.
        zeros: Count bytes of stored blocks that are all zeros, too, which reads the data; this is
            told up to which file offset. Takes `allocation`.
    """
    return headed(
        path=path,
        file_size=image.file_size,
        **identity_document(image),
        current_header=image.headers.current_copy or None,
        headers=[
            _header_document(copy, is_followed=copy.copy == image.headers.current_copy)
            for copy in image.headers.copies
        ],
        log=_log_state(image),
        region_table=image.regions.copy or None,
        regions=[_region_document(entry) for entry in image.regions.entries],
        metadata=[_item_document(entry) for entry in image.metadata.entries],
        bat=_bat_document(image, allocation=allocation, zeros=zeros),
        losses=quick(image) if allocation else losses_in_passing(image),
        parent=_parent_document(image),
        parents=None,
        assumed=assumed_document(image.assumed),
    )


def identity_document(image: Image) -> Document:
    """Return which disk an image is of: who made it, its type, its sizes, its identifier."""
    metadata = image.metadata
    values = {name: getattr(metadata, name) for name in IDENTITY if name != "creator"}
    return {"creator": image.creator, **values, "virtual_disk_id": str(metadata.virtual_disk_id)}


def _header_document(copy: HeaderCopy, *, is_followed: bool) -> Document:
    document: Document = {
        "copy": copy.copy,
        "valid": copy.is_valid,
        "reason": copy.defect.message if copy.defect else None,
    }
    # Without its signature a copy is no header and its numbers mean nothing, unless it is followed.
    has_meaning = is_followed or copy.header.is_signature_valid
    document.update(_header_fields(copy.header if has_meaning else None))
    return document


def _header_fields(header: Header | None) -> Document:
    guids = ("file_write_guid", "data_write_guid", "log_guid")
    numbers = ("log_version", "version", "log_offset", "log_length")
    if header is None:
        return dict.fromkeys(("sequence_number", *guids, *numbers))
    return {
        "sequence_number": str(header.sequence_number),
        **{name: str(getattr(header, name)) for name in guids},
        **{name: getattr(header, name) for name in numbers},
    }


def _log_state(image: Image) -> Document:
    summary = image.replayed
    if summary is None:
        fields = (
            "entries",
            "first_sequence_number",
            "last_sequence_number",
            "tail",
            "changed_bytes",
        )
        return {"state": image.log_state, **dict.fromkeys(fields)}
    return {
        "state": "dirty",
        "entries": len(summary.entries),
        "first_sequence_number": str(summary.entries[0].header.sequence_number),
        "last_sequence_number": str(summary.head.header.sequence_number),
        "tail": summary.head.header.tail,
        "changed_bytes": summary.changed_bytes,
    }


def _region_document(entry: RegionEntry) -> Document:
    return {
        "guid": str(entry.guid),
        "name": REGION_NAMES.get(entry.guid),
        "file_offset": entry.file_offset,
        "length": entry.length,
        "required": bool(entry.required & 1),
    }


def _item_document(entry: MetadataEntry) -> Document:
    return {
        "item_id": str(entry.item_id),
        "name": _item_name(entry),
        "offset": entry.offset,
        "length": entry.length,
        "is_user": entry.is_user,
        "is_virtual_disk": entry.is_virtual_disk,
        "is_required": entry.is_required,
    }


def _item_name(entry: MetadataEntry) -> str | None:
    """Return the name of a metadata item, None when nobody has given it one."""
    if entry.is_user:
        return None
    return ITEM_NAMES.get(entry.item_id) or UNSPECIFIED_ITEM_NAMES.get(entry.item_id)


def _bat_document(
    image: Image, *, allocation: bool, zeros: Callable[[int], object] | None
) -> Document:
    geometry = image.geometry
    document: Document = {
        "file_offset": image.regions.bat.file_offset,
        "length": image.regions.bat.length,
        "entry_count": geometry.entry_count,
        "payload_blocks": geometry.payload_blocks,
        "sector_bitmap_blocks": geometry.sector_bitmap_blocks,
        "chunk_ratio": geometry.chunk_ratio,
    }
    if allocation:
        counts = image.bat.count_states()
        document["states"] = {name: counts.pop(state) for state, name in STATE_NAMES.items()}
        document["reserved"] = sum(counts.values())
        document["bytes"] = _bytes_document(image, zeros)
    return document


def _bytes_document(image: Image, zeros: Callable[[int], object] | None) -> Document:
    from ..checking.usage import usage, zeros_in_blocks  # few ask for it

    document: Document = usage(image)._asdict()
    return document if zeros is None else document | {"zeros": zeros_in_blocks(image, zeros)}


def _parent_document(image: Image) -> Document | None:
    locator = image.locator
    if locator is None:
        return None
    return {
        "locator_type": str(locator.locator_type),
        "entries": locator.entries,
        "path": None,
        "matched_by": None,
        "error": None,
    }


def add_parent(
    document: Document, path: str | None, link: Link, assumed: Iterable[Assumption] = ()
) -> None:
    """Put into a document of `info_document` which parent was found, and what was assumed of it."""
    document["parent"].update(path=path, matched_by=link.matched_by)
    document["assumed"] += assumed_document(assumed)


def add_links(documents: Sequence[Document], disk: Disk) -> None:
    """Put into documents of the images of a chain how these hang together.

    The first has the others, and says all that was assumed of the chain.

    Args:
        documents: What `info_document` returned for each.
        disk: The disk.
    """
    for document, link, parent in zip(documents, disk.links, disk.chain[1:], strict=False):
        add_parent(document, parent.path, link)
    if disk.missing is not None:
        documents[-1]["parent"]["error"] = disk.missing.finding.message
    documents[0].update(parents=[*documents[1:]], assumed=assumed_document(disk.assumed))


def info_text(document: Document) -> Iterator[str]:
    """Yield the lines of `info`: one screen about an image.

    Args:
        document: What `info_document` returned.
    """
    size = human_size(document["virtual_disk_size"])
    yield f"{printable(document['path'])}: {document['disk_type']} virtual disk of {size}"
    yield ""
    yield from _section("Virtual disk", _disk_lines(document))
    yield from _section("File", _file_lines(document))
    table = document["region_table"]
    title = "Regions (found by what is there)" if table is None else f"Regions (table {table})"
    yield from _section(title, _region_lines(document))
    yield from _section("Metadata", _metadata_lines(document))
    if document["parent"]:
        yield from _section("Parent", _parent_lines(document["parent"]))


def _section(title: str, lines: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield title
    for name, value in lines:
        yield f"  {name:<20} {value}".rstrip()


def _wrapped(name: str, value: str) -> Iterator[tuple[str, str]]:
    """Yield a row; several when the value is longer than a screen is wide."""
    if len(value) <= _VALUE_WIDTH:
        yield name, value
        return
    from textwrap import wrap

    for line in wrap(value, _VALUE_WIDTH, break_long_words=False, break_on_hyphens=False):
        yield name, line
        name = ""


def _disk_lines(document: Document) -> Iterator[tuple[str, str]]:
    bat = document["bat"]
    yield "size", full_size(document["virtual_disk_size"])
    logical, physical = document["logical_sector_size"], document["physical_sector_size"]
    yield "sectors", f"{logical} bytes logical, {physical} bytes physical"
    blocks = f"{bat['payload_blocks']} of {human_size(document['block_size'])}"
    yield "blocks", f"{blocks}, chunk ratio {bat['chunk_ratio']}"
    if "states" in bat:
        yield from _wrapped("allocation", _allocation(bat["states"]))
        if bat["reserved"]:
            yield (
                "",
                f"{counted(bat['reserved'], 'block')} in RESERVED STATES, which cannot be read",
            )
        yield from _wrapped("bytes", _bytes(bat["bytes"]))
    if document["losses"]:
        yield from _wrapped("damage", document["losses"])
    yield "identifier", document["virtual_disk_id"]


def _allocation(states: dict[str, int]) -> str:
    present = (f"{count} {name.replace('_', ' ')}" for name, count in states.items() if count)
    return ", ".join(present) or "no block in a valid state"


def _bytes(counts: dict[str, int | None]) -> str:
    """Return how many bytes there are of what; what cannot be told is left out."""
    words = {
        "stored": "stored",
        "zeros": "of them in blocks of zeros",
        "lost": "of them lost",
        "kept": "kept by blocks without data",
        "unreferenced": "that nothing refers to",
    }
    sizes = {words[name]: counts.get(name) for name in words}
    return ", ".join(f"{human_size(size)} {word}" for word, size in sizes.items() if size) or "none"


def _file_lines(document: Document) -> Iterator[tuple[str, str]]:
    yield "length", full_size(document["file_size"])
    creator = document["creator"]
    yield "created by", printable(creator) if creator is not None else "(not stated)"
    if document["current_header"] is None:
        yield "current header", "none, neither copy makes sense"
        return
    current = document["headers"][document["current_header"] - 1]
    yield "current header", _header_line(current)
    if not current["valid"]:
        yield "", current["reason"]
    other = document["headers"][2 - document["current_header"]]
    yield "other header", _header_line(other)
    if not other["valid"]:
        yield "", other["reason"]
    yield "file write GUID", current["file_write_guid"]
    yield "data write GUID", current["data_write_guid"]
    yield from _log_lines(document["log"], current)


def _header_line(header: Document) -> str:
    if not header["valid"]:
        return f"{header['copy']}, NOT VALID"
    return f"{header['copy']}, sequence number {header['sequence_number']}"


def _log_lines(state: Document, header: Document) -> Iterator[tuple[str, str]]:
    if not header["log_length"]:
        yield "log", "none"
        return
    place = f"{human_size(header['log_length'])} at {header['log_offset']:#x}"
    if state["state"] == "clean":
        yield "log", f"clean, {place}"
        return
    if state["state"] == "ignored":
        yield "log", f"DIRTY, {place}"
        yield "replay", "none, as was asked for; what you see is the file as it is stored"
        return
    yield "log", f"DIRTY, {place}"
    entries = counted(state["entries"], "entry changes", "entries change")
    changed = human_size(state["changed_bytes"])
    yield from _wrapped("replay", f"{entries} {changed}; what you see is the state after it")


def _region_lines(document: Document) -> Iterator[tuple[str, str]]:
    for region in document["regions"][:_MOST_LINES]:
        required = "required" if region["required"] else "not required"
        place = f"{human_size(region['length'])} at {region['file_offset']:#x}, {required}"
        if region["name"] == "BAT":
            place += f", {counted(document['bat']['entry_count'], 'entry', 'entries')}"
        if region["name"] is None:
            place += f", {region['guid']}"
        yield from _wrapped(region["name"] or "(unknown)", place)
    yield from _rest(document["regions"])


def _metadata_lines(document: Document) -> Iterator[tuple[str, str]]:
    items = document["metadata"]
    for item in items[:_MOST_LINES]:
        flags = [
            word
            for word, name in (
                ("user", "is_user"),
                ("virtual disk", "is_virtual_disk"),
                ("required", "is_required"),
            )
            if item[name]
        ]
        name = item["name"] or ("(user item)" if item["is_user"] else "(unknown)")
        place = f"{counted(item['length'], 'byte')} at {item['offset']:#x}"
        unknown = "" if item["name"] else f", {item['item_id']}"
        yield from _wrapped(name, ", ".join([place, *flags]) + unknown)
    yield from _rest(items)


def _rest(rows: list[Document]) -> Iterator[tuple[str, str]]:
    if len(rows) > _MOST_LINES:
        yield "...", f"{len(rows) - _MOST_LINES} more, see --json"


def _parent_lines(parent: Document) -> Iterator[tuple[str, str]]:
    for key, value in parent["entries"].items():
        yield printable(key), printable(value)
    if parent["path"]:
        yield "found at", printable(parent["path"])
        yield "matched by", parent["matched_by"] or "nothing, and taken all the same"
    if parent["error"]:
        name = "not found"
        for reason in printable(parent["error"]).split("; "):  # a line for each path
            yield from _wrapped(name, reason)
            name = ""
