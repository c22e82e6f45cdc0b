"""A replay on disk, done or only planned, as text and as a document."""

from __future__ import annotations

from collections.abc import Iterator

from ..text import printable
from ..writing.session import Outcome
from .document import Document, headed
from .log import replay_document, replay_text


def outcome_document(path: str, outcome: Outcome, dry_run: bool, verdict: str | None) -> Document:
    """Return what `replay --json` prints.

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
        replay=replay_document(outcome.replayed) if outcome.replayed else None,
    )


def outcome_text(document: Document) -> Iterator[str]:
    """Yield the lines of `replay`.

    Args:
        document: What `outcome_document` returned.
    """
    path = printable(document["path"])
    if document["replay"] is None:
        yield f"{path}: the log is clean, and nothing was changed"
        return
    if document["dry_run"]:
        yield f"{path}: the log is dirty, and nothing was changed (--dry-run)"
    else:
        yield f"{path}: the log was replayed, and is clean"
    yield from replay_text(document["replay"])
