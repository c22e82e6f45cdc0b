"""Whether two disks are the same, as text and as a document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..copying.compare import Difference
from ..errors import Assumption
from .document import Document, assumed_document, headed


def compare_document(
    path: str, other: str, difference: Difference | None, assumed: Iterable[Assumption]
) -> Document:
    """Return what `compare --json` prints.

    Args:
        path: Path of the one.
        other: Path of the other.
        difference: Where they differ first; None when they do not.
        assumed: What was taken for granted of the images of both.
    """
    return headed(
        path=path,
        other=other,
        same=difference is None,
        offset=difference and difference.offset,
        reason=difference and difference.reason,
        assumed=assumed_document(assumed),
    )


def compare_text(difference: Difference | None) -> Iterator[str]:
    """Yield the line of `compare`."""
    if difference is None:
        yield "same"
    else:
        yield f"different at {difference.offset:#x}: {difference.reason}"
