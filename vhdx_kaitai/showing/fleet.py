"""What many images come to, as text."""

from __future__ import annotations

from collections.abc import Iterator

from ..text import counted, human_size, printable
from .document import Document

_MOST_LINES = 20
_WORDS = {
    "clean": "clean",
    "warnings": "usable, with warnings",
    "corrupt": "corrupt",
    "not-vhdx": "not VHDX",
    "failed": "failed",
}


def record_text(record: Document) -> str | None:
    """Return what is wrong with an image, in a line; None when it is clean.

    Args:
        record: What `scan_one` returned.
    """
    if record["error_type"] is not None:
        return f"{record['error_message']} ({record['error_type']})"
    word = _WORDS[record["verdict"]]
    if record["verdict"] != "clean" and record["findings"]:
        worst = record["findings"][0]  # there is none when its rule does not count
        return f"{word}: {worst['where']}: {worst['message']} [{worst['rule']}]"
    if record["is_incomplete"]:
        skipped = "; ".join(f"{one['what']}: {one['why']}" for one in record["skipped"])
        return f"{word} as far as it was checked, not {skipped}"
    return None if record["verdict"] == "clean" else word


def summary_text(document: Document) -> Iterator[str]:
    """Yield the lines of a summary: verdicts, what is wrong, chains.

    Args:
        document: What `summarize` returned.
    """
    counts = ((document["verdicts"][name], word) for name, word in _WORDS.items())
    verdicts = ", ".join(f"{count} {word}" for count, word in counts if count)
    yield f"{counted(document['images'], 'image')}: {verdicts or 'none'}"
    files, disks = (human_size(document[name]) for name in ("file_size", "virtual_disk_size"))
    yield f"  files of {files}, disks of {disks}"
    if document["errors"]:
        yield f"  failed: {_counts(document['errors'])}"
    if document["rules"]:
        yield f"  broken rules, by images: {_counts(document['rules'])}"
    if document["children"]:
        children = counted(document["children"], "child", "children")
        yield f"  {children}, {document['whole']} with all parents in order"
    findings = document["chain_findings"]
    for finding in findings[:_MOST_LINES]:
        where, message = finding["where"], finding["message"]
        yield printable(f"  {finding['path']}: {where}: {message} [{finding['rule']}]")
    if len(findings) > _MOST_LINES:
        yield f"  ... and {len(findings) - _MOST_LINES} more, see --json"


def _counts(counts: dict[str, int]) -> str:
    shown = ", ".join(f"{name} {count}" for name, count in list(counts.items())[:_MOST_LINES])
    return f"{shown}{', ...' if len(counts) > _MOST_LINES else ''}"
