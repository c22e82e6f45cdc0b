"""What a repair has changed of an image, or would change, as text and as a document."""

from __future__ import annotations

from collections.abc import Iterator

from ..records import TYPE_CHECKING
from ..text import printable
from .document import Document, headed

if TYPE_CHECKING:
    from ..writing.repair import RepairOutcome

_RANGES_SHOWN = 20


def repaired_document(path: str, outcome: RepairOutcome) -> Document:
    """Return what `repair --json` prints.

    Args:
        path: What to call the file.
        outcome: What was done, or would be.
    """
    return headed(
        path=path,
        changed=outcome.is_changed,
        locked=outcome.is_locked,
        verdict=outcome.verdict,
        planned_verdict=outcome.planned,
        undo=outcome.undo,
        items=[
            {
                "rule": item.rule,
                "what": item.what,
                "lost": item.lost,
                "lost_ranges": [
                    {"offset": offset, "length": length} for offset, length in item.lost_ranges
                ],
                "doubtful": [doubt._asdict() for doubt in item.doubtful],
            }
            for item in outcome.items
        ],
        left=[left._asdict() for left in outcome.left],
    )


def repaired_text(document: Document) -> Iterator[str]:
    """Yield the lines of `repair`.

    Args:
        document: What `repaired_document` returned.
    """
    path = printable(document["path"])
    if not document["items"]:
        yield f"{path}: " + ("no repair can be made" if document["left"] else "nothing to repair")
    elif document["changed"]:
        yield f"{path}: repaired; {printable(document['undo'])} holds what it was"
    else:
        yield f"{path}: nothing was changed; with --write this would be"
    for item in document["items"]:
        yield f"  {item['what']} [{item['rule']}]"
        yield f"    lost: {item['lost']}"
        yield from _ranges(item["lost_ranges"], "of the disk")
        yield from _ranges(item["doubtful"], "of the disk: in doubt, found at {file_offset:#x}")
    if document["left"]:
        yield "Not repaired"
    for left in document["left"]:
        yield f"  {left['rule']}: {printable(left['why'])}"
        yield f"    {left['next_step']}"
    is_plan = document["items"] and not document["changed"]
    if is_plan:
        yield f"Check now: {document['verdict']}; after that: {document['planned_verdict']}"
    else:
        yield f"Check: {document['verdict']}"


def _ranges(ranges: list[Document], what: str) -> Iterator[str]:
    """Yield where the disk is not as it was or should be, unless that is too much to read."""
    for one in ranges[:_RANGES_SHOWN]:
        end = one["offset"] + one["length"]
        yield f"      {one['offset']:#x} to {end:#x} {what.format(**one)}"
    if len(ranges) > _RANGES_SHOWN:
        yield f"      ... and {len(ranges) - _RANGES_SHOWN} more ranges, see --json"
