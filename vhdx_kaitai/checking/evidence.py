"""The bytes that findings are about, with some of those around them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..errors import Finding, FormatError
from ..format.descent import Descent
from ..format.judge import Salvage
from ..format.place import Place
from ..records import NamedTuple
from ..storage.source import Source

# Ours: findings whose bytes are shown, and how many of each. A structure may have a MiB of them.
MOST_SHOWN = 128
MOST_BYTES = 64
_ROW = 16


class Evidence(NamedTuple):
    """Bytes of a file that a finding is about.

    Attributes:
        finding: Index of the finding in its report.
        structure: Type of the structure in the grammar; None when it is none that has one.
        fields: Names of the fields in question; none when it is the whole structure.
        start: File offset of the bytes.
        data: The bytes; some before and after those in question are among them.
        is_replayed: Whether any of them are as the replay of the log makes them.
    """

    finding: int
    structure: str | None
    fields: tuple[str, ...]
    start: int
    data: bytes
    is_replayed: bool


def evidence(findings: Sequence[Finding], stored: Source) -> Iterator[Evidence]:
    """Yield the bytes that findings are about, as the file reads after log replay if it can be.

    Args:
        findings: The findings.
        stored: The file as it is stored.
    """
    source = _replayed(stored)
    shown = 0
    for number, finding in enumerate(findings):
        if finding.offset is None or shown == MOST_SHOWN:
            continue
        start = max(0, finding.offset // _ROW - 1) * _ROW
        length = min(finding.length or 1, MOST_BYTES)
        end = min(source.size, (finding.offset + length + _ROW - 1) // _ROW * _ROW + _ROW)
        if finding.offset >= end:
            continue
        data = source.read(start, end - start)
        is_replayed = end > stored.size or stored.read(start, end - start) != data
        shown += 1
        yield Evidence(number, *_names(finding), start, data, is_replayed)


def _replayed(stored: Source) -> Source:
    """Return the file as it reads after log replay; as it is stored when nobody can tell that."""
    try:
        return Descent(stored, Salvage(lambda _what, _why: None)).source or stored
    except FormatError:
        return stored


def _names(finding: Finding) -> tuple[str | None, tuple[str, ...]]:
    place = finding.place
    return (place.type_name, place.field_names) if isinstance(place, Place) else (None, ())
