"""What an operation has changed of an image, or would change, as text and as a document."""

from __future__ import annotations

from collections.abc import Iterator

from ..text import printable
from ..writing.session import Outcome
from .document import Document, headed
from .log import replay_document


def changed_document(path: str, outcome: Outcome, dry_run: bool, verdict: str | None) -> Document:
    """Return what commands print with `--json` that change an image in place.

    Args:
        path: What to call the file.
        outcome: What was done, or would be.
        dry_run: Whether it was not to be done.
        verdict: What a check of the image says after it was changed; None when it was not.
    """
    return headed(
        path=path,
        dry_run=dry_run,
        changed=outcome.is_changed,
        locked=outcome.is_locked,
        verdict=verdict,
        changes=[change._asdict() for change in outcome.changes],
        replay=replay_document(outcome.replayed) if outcome.replayed else None,
    )


def changed_text(document: Document) -> Iterator[str]:
    """Yield the lines of these commands.

    Args:
        document: What `changed_document` returned.
    """
    path = printable(document["path"])
    if not document["changes"]:
        yield f"{path}: it is so already, and nothing was changed"
        return
    would = "nothing was changed (--dry-run); this would be" if document["dry_run"] else "changed"
    yield f"{path}: {would}"
    for change in document["changes"]:
        yield f"  {change['what']}: {printable(change['before'])} -> {printable(change['after'])}"
