"""Descriptions of images as text for people and as documents for JSON.

Nothing here prints. Text that comes from an image is escaped before it gets
into a line for a terminal; documents keep it, and JSON escapes it by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from ..errors import Finding, FormatError, VhdxError
from ..format.bat import STATE_NAMES
from ..format.grammar import DescriptorKind, Header, MetadataEntry
from ..format.headers import HeaderCopy
from ..guids import ITEM_NAMES, REGION_NAMES, UNSPECIFIED_ITEM_NAMES
from ..reading.image import Image
from ..records import TYPE_CHECKING
from ..text import counted, human_size, printable

if TYPE_CHECKING:  # `info` needs none of them
    from typing import Any, TypeAlias

    from ..checking.checks import Report
    from ..format import log
    from ..reading.bulk import Columns
    from ..reading.disk import Disk, Link
    from ..rules import Rule

SCHEMA_VERSION = 1

Document: TypeAlias = "dict[str, Any]"


def json_text(document: object, indent: int | None = None) -> str:
    r"""Return a document as JSON that every parser takes.

    JSON has no place for a surrogate without a partner; it becomes the text of
    its number, `\ud800` for example. Names of files have such where their bytes
    are not UTF-8.
    """
    import json

    return json.dumps(_encodable(document), indent=indent)


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encodable(item) for item in value]
    return value


def error_document(path: str | None, error: Exception) -> Document:
    """Return the document for a file that could not be worked on."""
    finding = error.finding if isinstance(error, FormatError) else None
    return {
        "schema_version": SCHEMA_VERSION,
        "path": path,
        "error": {
            "type": type(error).__name__,
            "rule": finding and finding.rule,
            "section": finding and finding.section,
            "where": finding and finding.where,
            "offset": finding and finding.offset,
            "message": finding.message if finding else plain_message(error),
        },
    }


def plain_message(error: Exception) -> str:
    """Return what an error says, without the number and path that `OSError` adds."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def info_document(image: Image, path: str, *, allocation: bool = False) -> Document:
    """Return what `info --json` prints; everything after `headers` is as after log replay.

    Args:
        image: The image.
        path: What to call it.
        allocation: Count blocks by state, which reads the whole BAT.
    """
    metadata = image.metadata
    return {
        "schema_version": SCHEMA_VERSION,
        "path": path,
        "file_size": image.file_size,
        "creator": image.creator,
        "disk_type": metadata.disk_type,
        "virtual_disk_size": metadata.virtual_disk_size,
        "virtual_disk_id": str(metadata.virtual_disk_id),
        "block_size": metadata.block_size,
        "logical_sector_size": metadata.logical_sector_size,
        "physical_sector_size": metadata.physical_sector_size,
        "current_header": image.headers.current_copy,
        "headers": [_header_document(copy) for copy in image.headers.copies],
        "log": _log_state(image),
        "region_table": image.regions.copy,
        "regions": [
            {
                "guid": str(entry.guid),
                "name": REGION_NAMES.get(entry.guid),
                "file_offset": entry.file_offset,
                "length": entry.length,
                "required": bool(entry.required & 1),
            }
            for entry in image.regions.entries
        ],
        "metadata": [_item_document(entry) for entry in metadata.entries],
        "bat": _bat_document(image, allocation=allocation),
        "parent": _parent_document(image),
    }


def _header_document(copy: HeaderCopy) -> Document:
    document: Document = {
        "copy": copy.copy,
        "valid": copy.is_valid,
        "reason": copy.defect.message if copy.defect else None,
    }
    # Without its signature a copy is no header, and its numbers mean nothing.
    document.update(_header_fields(copy.header if copy.header.is_signature_valid else None))
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
        return {"state": "clean", **dict.fromkeys(fields)}
    return {
        "state": "dirty",
        "entries": len(summary.entries),
        "first_sequence_number": str(summary.entries[0].header.sequence_number),
        "last_sequence_number": str(summary.head.header.sequence_number),
        "tail": summary.head.header.tail,
        "changed_bytes": summary.changed_bytes,
    }


def item_name(entry: MetadataEntry) -> str | None:
    """Return the name of a metadata item, None when nobody has given it one."""
    if entry.is_user:
        return None
    return ITEM_NAMES.get(entry.item_id) or UNSPECIFIED_ITEM_NAMES.get(entry.item_id)


def _item_document(entry: MetadataEntry) -> Document:
    return {
        "item_id": str(entry.item_id),
        "name": item_name(entry),
        "offset": entry.offset,
        "length": entry.length,
        "is_user": entry.is_user,
        "is_virtual_disk": entry.is_virtual_disk,
        "is_required": entry.is_required,
    }


def _bat_document(image: Image, *, allocation: bool) -> Document:
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
    return document


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


def add_parent(document: Document, path: str | None, link: Link) -> None:
    """Put into a document of `info_document` which parent was found."""
    document["parent"].update(path=path, matched_by=link.matched_by)


def chain_document(disk: Disk, path: str) -> Document:
    """Return what `chain --json` prints."""
    links = [None, *disk.links]
    return {
        "schema_version": SCHEMA_VERSION,
        "path": path,
        "chain": [
            _link_document(depth, image, links[depth] if depth < len(links) else None)
            for depth, image in enumerate(disk.chain)
        ],
    }


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
        "log": "dirty" if image.replayed else "clean",
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


def check_document(report: Report, path: str) -> Document:
    """Return what `check --json` prints for one file."""
    return {
        "schema_version": SCHEMA_VERSION,
        "path": path,
        "verdict": report.verdict,
        "findings": [
            {
                "rule": finding.rule,
                "level": finding.level,
                "section": finding.section,
                "where": finding.where,
                "offset": finding.offset,
                "length": finding.length,
                "message": finding.message,
                "expected": finding.expected,
                "actual": finding.actual,
            }
            for finding in report.findings
        ],
        "skipped": [{"what": what, "why": why} for what, why in report.skipped],
        "more": report.more,
        "diagnosis": list(report.diagnosis),
    }


_VERDICTS = {
    "clean": "clean",
    "warnings": "usable, with warnings",
    "corrupt": "corrupt",
    "not-vhdx": "not a VHDX file",
}
_LEVELS = (("error", "Errors"), ("warning", "Warnings"), ("note", "Notes"))


def check_text(report: Report, path: str) -> Iterator[str]:
    """Yield the lines of `check` for one file: verdict, meaning, findings by level."""
    counts: Counter[str] = Counter(finding.level for finding in report.findings)
    counts.update({level: 0 for level, _ in _LEVELS})
    numbers = ", ".join(counted(counts[level], level) for level, _ in _LEVELS if counts[level])
    verdict = _VERDICTS[report.verdict]
    if report.is_incomplete and report.verdict != "corrupt":
        verdict += " as far as it was checked"
    yield f"{printable(path)}: {verdict}{f' ({numbers})' if numbers else ''}"
    for sentence in report.diagnosis:
        yield f"  {sentence}"
    for level, title in _LEVELS:
        findings = [finding for finding in report.findings if finding.level == level]
        if findings:
            yield title
            yield from _finding_lines(findings, report.more)
    if report.skipped:
        yield "Not checked"
        for what, why in report.skipped:
            yield f"  {what}: {why}"


def _finding_lines(findings: list[Finding], more: dict[str, int]) -> Iterator[str]:
    """Yield findings of one level, those of a rule together, and why it matters if it does."""
    from ..rules import catalogue

    for rule in dict.fromkeys(finding.rule for finding in findings):
        same = [finding for finding in findings if finding.rule == rule]
        for finding in same:
            yield f"  {printable(str(finding))}"
        if more.get(rule):
            yield f"  ... and {more[rule]} more [{rule}]"
        if same[0].level != "note":
            yield f"    {catalogue()[rule].why}"


def rule_text(rule: Rule) -> Iterator[str]:
    """Yield the lines of `check --explain`."""
    import textwrap

    yield f"{rule.id} [MS-VHDX {rule.section}], {rule.level}, for {_READERS[rule.applies_to]}"
    for title, text in (
        ("Rule", rule.rule),
        ("Why", rule.why),
        ("Others", rule.others),
        ("Status", f"{rule.status} {', '.join(rule.by)}".strip()),
        ("Reason", rule.reason),
    ):
        if text:
            yield from textwrap.wrap(
                f"{title + ':':<8}{text}", 96, initial_indent="  ", subsequent_indent=" " * 10
            )


def rules_document(rules: Iterable[Rule]) -> Document:
    """Return what `check --rules --json` and `check --explain RULE --json` print."""
    return {
        "schema_version": SCHEMA_VERSION,
        "rules": [rule._asdict() | {"by": list(rule.by)} for rule in rules],
    }


_READERS = {"reader": "readers", "writer": "writers", "both": "readers and writers"}


def map_text(extents: Iterable[Columns]) -> Iterator[str]:
    """Yield the lines of `map`."""
    yield f"{'start':>18} {'length':>16} {'depth':>5} {'file offset':>18} state"
    for start, length, what, place in chain.from_iterable(
        zip(*some, strict=True) for some in extents
    ):
        state, depth, kind = what
        offset = "" if place is None else f"{place:#x}"
        note = "" if state == kind else f" ({kind})"
        yield f"{start:#18x} {length:#16x} {depth:>5} {offset:>18} {state}{note}"


def map_json(extents: Iterable[Columns]) -> Iterator[str]:
    """Yield the pieces of `map --json`: a list with the names of fields that qemu-img uses."""
    separator = "["
    for some in extents:
        forms = {what: _map_form(*what) for what in set(some.what)}
        rows = zip(
            some.start, some.length, map(forms.__getitem__, some.what), some.place, strict=True
        )
        while lines := [
            f'{{"start": {start}, "length": {length}, {form}{"" if place is None else place}}}'
            for start, length, form, place in islice(rows, _LINES_AT_ONCE)
        ]:
            yield separator + ",\n".join(lines)
            separator = ",\n"
    yield "[]\n" if separator == "[" else "]\n"


_LINES_AT_ONCE = 4096


def _map_form(state: str, depth: int, kind: str) -> str:
    """Return what stands between the length of an extent and its place, if it has one."""
    present = kind == "data" or state != "not_present"
    place = ', "offset": ' if kind == "data" else ""
    return (
        f'"depth": {depth}, "present": {_json(present)}, "zero": {_json(kind == "zero")}, '
        f'"data": {_json(kind == "data")}, "state": "{state}"{place}'
    )


def _json(value: bool) -> str:
    return "true" if value else "false"


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
    yield from _section(f"Regions (table {document['region_table']})", _region_lines(document))
    yield from _section("Metadata", _metadata_lines(document))
    if document["parent"]:
        yield from _section("Parent", _parent_lines(document["parent"]))


_VALUE_WIDTH = 80 - 23  # of a value, on a screen of 80 columns


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


def _sized(size: int) -> str:
    return f"{human_size(size)} ({size} bytes)" if size >= 1024 else human_size(size)


def _disk_lines(document: Document) -> Iterator[tuple[str, str]]:
    bat = document["bat"]
    yield "size", _sized(document["virtual_disk_size"])
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
    yield "identifier", document["virtual_disk_id"]


def _allocation(states: dict[str, int]) -> str:
    present = (f"{count} {name.replace('_', ' ')}" for name, count in states.items() if count)
    return ", ".join(present) or "no block in a valid state"


def _file_lines(document: Document) -> Iterator[tuple[str, str]]:
    yield "length", _sized(document["file_size"])
    creator = document["creator"]
    yield "created by", printable(creator) if creator is not None else "(not stated)"
    current = document["headers"][document["current_header"] - 1]
    other = document["headers"][2 - document["current_header"]]
    yield "current header", f"{current['copy']}, sequence number {current['sequence_number']}"
    if other["valid"]:
        yield "other header", f"{other['copy']}, sequence number {other['sequence_number']}"
    else:
        yield "other header", f"{other['copy']}, NOT VALID"
        yield "", other["reason"]
    yield "file write GUID", current["file_write_guid"]
    yield "data write GUID", current["data_write_guid"]
    yield from _log_lines(document["log"], current)


def _log_lines(state: Document, header: Document) -> Iterator[tuple[str, str]]:
    if not header["log_length"]:
        yield "log", "none"
        return
    place = f"{human_size(header['log_length'])} at {header['log_offset']:#x}"
    if state["state"] == "clean":
        yield "log", f"clean, {place}"
        return
    yield "log", f"DIRTY, {place}"
    entries = counted(state["entries"], "entry changes", "entries change")
    changed = human_size(state["changed_bytes"])
    yield from _wrapped("replay", f"{entries} {changed}; what you see is the state after it")


# More lines would push everything else off the screen; --json has them all.
_MOST_LINES = 12


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


def _rest(rows: list[Document]) -> Iterator[tuple[str, str]]:
    if len(rows) > _MOST_LINES:
        yield "...", f"{len(rows) - _MOST_LINES} more, see --json"


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


def _parent_lines(parent: Document) -> Iterator[tuple[str, str]]:
    for key, value in parent["entries"].items():
        yield printable(key), printable(value)
    if parent["path"]:
        yield "found at", printable(parent["path"])
        yield "matched by", parent["matched_by"]
    if parent["error"]:
        name = "not found"
        for reason in printable(parent["error"]).split("; "):  # a line for each path
            yield from _wrapped(name, reason)
            name = ""


# As many as a log has room for that may have to be replayed; a clean one may be larger.
_MOST_ENTRIES = 1 << 14


def log_document(
    path: str, ring: log.Log | None, replayed: log.ReplaySummary | None, error: VhdxError | None
) -> Document:
    """Return what `log --json` prints.

    Args:
        path: What to call the file.
        ring: The log; None when the file has none.
        replayed: What its replay changes; None when it is clean or must not be replayed.
        error: Why it must not be replayed.
    """
    dirty = replayed is not None or error is not None
    sequence = ring.active_sequence() if ring and dirty else ()
    active = {entry.offset for entry in sequence}
    entries, more = _entry_documents(ring, active) if ring else ([], 0)
    return {
        "schema_version": SCHEMA_VERSION,
        "path": path,
        "state": "dirty" if dirty else "clean",
        "log_guid": str(ring.guid) if ring else None,
        "file_offset": ring.offset if ring else None,
        "length": ring.length if ring else None,
        "entries": entries,
        "more_entries": more,
        "sequences": _sequence_documents(ring, sequence, error) if ring and dirty else [],
        "replay": _replay_document(replayed) if replayed else None,
        "error": error_document(path, error)["error"] if error else None,
    }


def _entry_documents(ring: log.Log, active: set[int]) -> tuple[list[Document], int]:
    """Return the first entries of a log, and how many more of its sectors begin like one."""
    offsets = ring.offsets()
    entries = (ring.entry(offset) for offset in islice(offsets, _MOST_ENTRIES))
    documents = [_entry_document(entry, ring, active) for entry in entries if entry]
    return documents, sum(1 for _ in offsets)


def _entry_document(entry: log.Entry, ring: log.Log, active: set[int]) -> Document:
    header = entry.header
    return {
        "offset": entry.offset,
        "file_offset": ring.file_offset(entry.offset),
        "length": header.entry_length,
        "sequence_number": str(header.sequence_number),
        "tail": header.tail,
        "descriptors": header.num_descriptors,
        "log_guid": str(header.log_guid),
        "flushed_file_offset": header.flushed_file_offset,
        "last_file_offset": header.last_file_offset,
        "valid": entry.is_valid,
        "active": entry.offset in active,
        "rule": entry.defect.rule if entry.defect else None,
        "reason": entry.defect.message if entry.defect else None,
    }


def _sequence_documents(
    ring: log.Log, active: tuple[log.Entry, ...], error: VhdxError | None
) -> list[Document]:
    documents = []
    for run in ring.runs():
        entries = run.sequence or run.entries
        is_active = bool(run.sequence) and run.sequence == active
        documents.append(
            {
                "first_sequence_number": str(entries[0].header.sequence_number),
                "last_sequence_number": str(run.head.header.sequence_number),
                "entries": len(entries),
                "tail": run.head.header.tail,
                "active": is_active,
                "reason": _why_refused(error) if is_active else _why_not_used(run, active),
            }
        )
    return documents


def _why_not_used(run: log.Run, active: tuple[log.Entry, ...]) -> str:
    if not run.sequence:
        tail = f"{run.head.header.tail:#x}"
        return f"its last entry's Tail {tail} is not among its entries [LOG-29]"
    number = active[-1].header.sequence_number
    greater = "a greater" if number > run.head.header.sequence_number else "the same"
    return f"another sequence ends with {greater} sequence number, {number} [LOG-30]"


def _why_refused(error: VhdxError | None) -> str | None:
    """Return why the active sequence must not be replayed; None when it may be."""
    if isinstance(error, FormatError):
        return f"{error.finding.message} [{error.finding.rule}]"
    return str(error) if error else None


def _replay_document(summary: log.ReplaySummary) -> Document:
    from ..format.log import SECTOR

    changes = []
    for entry in summary.entries:
        for descriptor in entry.descriptors:
            is_data = descriptor.kind == DescriptorKind.data
            changes.append(
                {
                    "sequence_number": str(entry.header.sequence_number),
                    "kind": "data" if is_data else "zero",
                    "file_offset": descriptor.file_offset,
                    "length": SECTOR if is_data else descriptor.length,
                }
            )
    return {
        "entries": len(summary.entries),
        "changed_bytes": summary.changed_bytes,
        "file_size": summary.size,
        "changes": changes,
    }


def log_text(document: Document) -> Iterator[str]:
    """Yield the lines of `log`.

    Args:
        document: What `log_document` returned.
    """
    path = printable(document["path"])
    if document["length"] is None:
        yield f"{path}: no log"
        return
    place = f"{human_size(document['length'])} at {document['file_offset']:#x}"
    yield f"{path}: {document['state']} log, {place}"
    entries = document["entries"]
    if entries:
        yield ""
        yield f"  {'offset':>10} {'length':>9} {'tail':>10} {'descriptors':>11} sequence number"
    for entry in entries:
        mark = "*" if entry["active"] else " "
        note = "" if entry["valid"] else f"  {_entry_note(entry)}"
        yield (
            f"{mark} {entry['offset']:#10x} {entry['length']:#9x} {entry['tail']:#10x} "
            f"{entry['descriptors']:>11} {entry['sequence_number']}{note}"
        )
    if document["more_entries"]:
        yield f"  ... and {document['more_entries']} more that begin like entries"
    yield from _sequence_text(document)


def _entry_note(entry: Document) -> str:
    if entry["rule"] == "LOG-14":  # the normal case, so it gets few words
        return f"stale, LogGuid {entry['log_guid']}"
    return f"{entry['reason']} [{entry['rule']}]"


def _sequence_text(document: Document) -> Iterator[str]:
    if document["state"] == "clean":
        if document["entries"]:
            yield ""
            yield "The header has no LogGuid: nothing is to be replayed, the entries are stale."
        return
    yield ""
    for sequence in document["sequences"]:
        numbers = f"{sequence['first_sequence_number']} to {sequence['last_sequence_number']}"
        state = "active" if sequence["active"] else "not used"
        if sequence["reason"]:
            state += f", {'refused: ' if sequence['active'] else ''}{sequence['reason']}"
        yield f"sequence {numbers} ({counted(sequence['entries'], 'entry', 'entries')}): {state}"
    replay = document["replay"]
    if replay:
        changed = human_size(replay["changed_bytes"])
        size = _sized(replay["file_size"])
        yield f"replay changes {changed} of the file, which is {size} long then:"
        for change in replay["changes"]:
            end = change["file_offset"] + change["length"]
            yield f"  {change['kind']:<4} {change['file_offset']:#14x} to {end:#14x}"
