"""What a parser compiled from `vhdx.ksy` has to say of an image, taken from its description.

Nothing here reads an image through a parser: values come from the records of `tests/images`, and
bytes are those that the records pack. Every function gives the values of one type of the grammar,
by the grammar's own names, as (path, kind, value); the README describes kinds and values.

Tables, logs and BATs are shown in part: the elements that say something, and those at the ends.
"""

from __future__ import annotations

from tests.images.image import Layout
from tests.images.sparse import Sparse
from tests.images.structures import BAT_REGION, METADATA_REGION

from .bat import bat_view
from .facts import Facts
from .header_section import (
    file_type_identifier,
    header,
    header_choice,
    region_lookup,
    region_table,
    region_table_choice,
)
from .log import log_ring
from .metadata import metadata_view
from .values import Value, Values


def expected(layout: Layout, file: Sparse) -> list[Value]:
    """Return all values of an image: `layout` describes it, `file` is what was stored of it."""
    return list(_values(Facts(layout, file)))


def _values(facts: Facts) -> Values:
    """Yield everything that is told of an image, in the order of the grammar."""
    yield from file_type_identifier(facts)
    if not facts.is_identified:
        return
    for copy in (1, 2):
        yield from header(facts, copy)
    for copy in (1, 2):
        yield from region_table(facts, copy)
    yield from header_choice(facts)
    yield from region_table_choice(facts)
    yield from region_lookup(facts, "bat", BAT_REGION, 1)
    yield from region_lookup(facts, "metadata", METADATA_REGION, 2)
    yield from log_ring(facts)
    yield from metadata_view(facts)
    yield from bat_view(facts)
