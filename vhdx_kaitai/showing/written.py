"""A range of a disk that was written to, or was only to be, as text and as a document."""

from __future__ import annotations

from collections.abc import Iterator

from ..text import counted, printable
from .document import Document, headed

_DONE = {"data": "written", "zero": "zeroed", "discard": "discarded"}


def written_document(
    path: str,
    kind: str,
    offset: int,
    length: int | None,
    *,
    dry_run: bool,
    locked: bool,
    verdict: str,
) -> Document:
    """Return what `write --json` prints.

    Args:
        path: What to call the file.
        kind: `data`, `zero` or `discard`.
        offset: Virtual offset in bytes.
        length: How many bytes; None when only the end of the input would tell.
        dry_run: Whether it was not to be done.
        locked: Whether other programs were kept away.
        verdict: What a check of the image says.
    """
    return headed(
        path=path,
        dry_run=dry_run,
        kind=kind,
        offset=offset,
        length=length,
        locked=locked,
        verdict=verdict,
    )


def written_text(document: Document) -> Iterator[str]:
    """Yield the line of `write`.

    Args:
        document: What `written_document` returned.
    """
    length = document["length"]
    what = "the input" if length is None else counted(length, "byte")
    done = _DONE[document["kind"]]
    would = "would be " if document["dry_run"] else ""
    tail = "; nothing was changed (--dry-run)" if document["dry_run"] else ""
    yield f"{printable(document['path'])}: {what} at {document['offset']} {would}{done}{tail}"
