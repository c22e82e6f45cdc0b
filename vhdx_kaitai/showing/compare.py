"""Whether two disks are the same, as text and as a document."""

from __future__ import annotations

from collections.abc import Iterator

from ..copying.compare import Difference
from .document import Document, headed


def compare_document(path: str, other: str, difference: Difference | None) -> Document:
    """Return what `compare --json` prints.

    Args:
        path: Path of the one.
        other: Path of the other.
        difference: Where they differ first; None when they do not.
    """
    return headed(
        path=path,
        other=other,
        same=difference is None,
        offset=difference and difference.offset,
        reason=difference and difference.reason,
    )


def compare_text(difference: Difference | None) -> Iterator[str]:
    """Yield the line of `compare`."""
    if difference is None:
        yield "same"
    else:
        yield f"different at {difference.offset:#x}: {difference.reason}"
