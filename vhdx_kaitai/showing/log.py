"""The log, its entries and sequences, and what its replay changes, as text and as a document."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from ..errors import FormatError, VhdxError
from ..format import log
from ..format.grammar import DescriptorKind
from ..format.replay import ReplaySummary
from ..text import counted, full_size, human_size, printable
from .document import Document, error_fields, headed

# As many as a log has room for that may have to be replayed; a clean one may be larger.
_MOST_ENTRIES = 1 << 14


def log_document(
    path: str, ring: log.Log | None, replayed: ReplaySummary | None, error: VhdxError | None
) -> Document:
    """Return what `log --json` prints.

    Args:
        path: What to call the file.
        ring: The log; None when the file has none.
        replayed: What its replay changes; None when it is clean or must not be replayed.
        error: Why it must not be replayed.
    """
    dirty = replayed is not None or error is not None
    sequence = ring.active_sequence if ring and dirty else ()
    active = {entry.offset for entry in sequence}
    entries, more = _entry_documents(ring, active) if ring else ([], 0)
    return headed(
        path=path,
        state="dirty" if dirty else "clean",
        log_guid=str(ring.guid) if ring else None,
        file_offset=ring.offset if ring else None,
        length=ring.length if ring else None,
        entries=entries,
        more_entries=more,
        sequences=_sequence_documents(ring, sequence, error) if ring and dirty else [],
        replay=replay_document(replayed) if replayed else None,
        error=error_fields(error) if error else None,
    )


def _entry_documents(ring: log.Log, active: set[int]) -> tuple[list[Document], int]:
    """Return the first entries of a log, and how many more of its sectors begin like one."""
    offsets = ring.offsets()
    entries = (ring.entry(offset) for offset in islice(offsets, _MOST_ENTRIES))
    documents = [_entry_document(entry, ring, active) for entry in entries if entry]
    return documents, sum(1 for _ in offsets)


def _entry_document(entry: log.JudgedEntry, ring: log.Log, active: set[int]) -> Document:
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
    ring: log.Log, active: tuple[log.JudgedEntry, ...], error: VhdxError | None
) -> list[Document]:
    documents = []
    for run in ring.runs:
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


def _why_not_used(run: log.LogRun, active: tuple[log.JudgedEntry, ...]) -> str:
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


def replay_document(summary: ReplaySummary) -> Document:
    """Return what documents say of a replay."""
    changes = []
    for entry in summary.entries:
        for descriptor in entry.descriptors:
            is_data = descriptor.kind == DescriptorKind.data_descriptor
            changes.append(
                {
                    "sequence_number": str(entry.header.sequence_number),
                    "kind": "data" if is_data else "zero",
                    "file_offset": descriptor.file_offset,
                    "length": log.SECTOR if is_data else descriptor.length,
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
        yield from replay_text(replay)


def replay_text(replay: Document) -> Iterator[str]:
    """Yield the lines that say what a replay changes.

    Args:
        replay: What `replay_document` returned.
    """
    changed = human_size(replay["changed_bytes"])
    size = full_size(replay["file_size"])
    yield f"replay changes {changed} of the file, which is {size} long then:"
    for change in replay["changes"]:
        end = change["file_offset"] + change["length"]
        yield f"  {change['kind']:<4} {change['file_offset']:#14x} to {end:#14x}"
