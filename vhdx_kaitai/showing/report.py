"""All that is told of an image in one document, which becomes a page.

Most of it are the documents of other commands. What is only here: what the file is made of, what
the disk is made of by state and image, and the bytes that findings are about.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ..cells import Cells
from ..checking.evidence import Evidence
from ..checking.findings import Report
from ..checking.layout import KINDS, Layout
from ..errors import Assumption, VhdxError
from ..reading.allocation import Allocation
from ..rules import catalogue
from .document import Document, assumed_document, error_fields, headed
from .findings import check_document
from .rules import rules_document

# Ours: a log has room for 16384 entries, and millions of changes.
MOST_ENTRIES = 512
MOST_CHANGES = 1024


def report_document(
    path: str, created: datetime, file_size: int, checks: Iterable[Report], **parts: object
) -> Document:
    """Return what `report --json` prints, but for what is assumed or left out.

    Args:
        path: What to call the file.
        created: When the report is made, in UTC.
        file_size: Length of the file as it is stored, in bytes.
        checks: What the check found in the file and its parents, child first.
        **parts: The documents of other commands, by their names.
    """
    reports = list(checks)
    named = {finding.rule for report in reports for finding in report.findings}
    rules = rules_document(rule for rule in catalogue().values() if rule.id in named)["rules"]
    return headed(
        path=path,
        created=f"{created:%Y-%m-%dT%H:%M:%SZ}",
        file_size=file_size,
        checks=[check_document(report, report.path or path) for report in reports],
        rules=rules,
        **parts,
    )


def refused_document(error: VhdxError | None) -> Document | None:
    """Return why a disk does not open; None when it does."""
    return None if error is None else error_fields(error)


def closing_document(
    left_out: Iterable[tuple[str, str]], assumed: Iterable[Assumption]
) -> Document:
    """Return the end of the document: what is left out and why, and what was taken for granted."""
    return {
        "left_out": [{"what": what, "why": why} for what, why in left_out],
        "assumed": assumed_document(assumed),
    }


def layout_document(layout: Layout) -> Document:
    """Return what a report says of what a file is made of."""
    cells = layout.cells
    return {
        "file_size": layout.size,
        "is_exact": layout.is_exact,
        "kinds": [
            {"kind": kind, "bytes": cells.total(number)} for number, kind in enumerate(KINDS)
        ],
        **_cells_document(cells),
        "parts": layout.parts
        and [
            {"start": start, "length": end - start, "kind": kind, "name": name}
            for start, end, kind, name in layout.parts
        ],
        "past_the_end": [past._asdict() for past in layout.past],
    }


def allocation_document(allocation: Allocation) -> Document:
    """Return what a report says of what a disk is made of."""
    cells = allocation.cells
    return {
        "kinds": [
            {
                "state": state,
                "depth": depth,
                "kind": kind,
                "rule": rule,
                "bytes": cells.total(number),
            }
            for number, (state, depth, kind, rule) in enumerate(allocation.kinds)
        ],
        **_cells_document(cells),
        "runs": None
        if allocation.runs is None
        else [
            {"start": start, "length": end - start, "kind": kind}
            for start, end, kind in allocation.runs
        ],
        "end": allocation.end,
    }


def _cells_document(cells: Cells) -> Document:
    return {
        "cell_length": cells.length,
        "cells": [
            {"count": count, "bytes": [[kind, amount] for kind, amount in parts]}
            for count, parts in cells.alike()
        ],
    }


def evidence_document(depth: int, evidence: Evidence) -> Document:
    """Return what a report says of the bytes of a finding.

    Args:
        depth: Index of the file in the chain.
        evidence: The bytes.
    """
    return {
        "depth": depth,
        "finding": evidence.finding,
        "structure": evidence.structure,
        "fields": list(evidence.fields),
        "offset": evidence.start,
        "hex": evidence.data.hex(),
        "is_replayed": evidence.is_replayed,
    }


def shorten_log(log: Document) -> Iterable[tuple[str, str]]:
    """Cut the document of a log where nobody reads on, and return what is left out, and why.

    Entries that are replayed stay as long as there is room.
    """
    entries = sorted(log["entries"], key=lambda entry: not entry["active"])[MOST_ENTRIES:]
    if entries:
        log["more_entries"] += len(entries)
        log["entries"] = [entry for entry in log["entries"] if entry not in entries]
        yield f"{len(entries)} entries of the log", f"{MOST_ENTRIES} are listed"
    replay = log["replay"]
    if replay and len(replay["changes"]) > MOST_CHANGES:
        what = f"{len(replay['changes']) - MOST_CHANGES} of the changes that the replay makes"
        yield what, f"the first {MOST_CHANGES} are listed"
        del replay["changes"][MOST_CHANGES:]
