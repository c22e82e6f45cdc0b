"""What a chain shows when one of its files is not there, or is another one."""

from __future__ import annotations

import copy
from uuid import UUID

from tests.images.image import Built
from tests.images.model import Model
from tests.reading_fixtures import Row, model_extents

OTHER = UUID(int=0x0DD)


def without_parent(model: Model, depth: int) -> Model:
    """Return the model of a chain that ends before its image of some depth, which is missing."""
    left = copy.copy(model)
    assert model.parent is not None
    left.parent = None if depth == 1 else without_parent(model.parent, depth - 1)
    return left


def orphaned_rows(left: Model, kind: str) -> list[Row]:
    """Return the extents of a model, what belongs to a missing parent being zero or lost."""
    rows: list[Row] = []
    for start, length, state, depth, place, old in model_extents(left):
        row = (start, length, state, depth, place, old)
        if old == "parent":
            row = (start, length, state, depth - 1, None, kind)
        if rows and rows[-1][2:] == row[2:] and place is None:
            first = rows.pop()
            row = (first[0], first[1] + length, *row[2:])
        rows.append(row)
    return rows


def changed(built: Built) -> Built:
    """Return an image as somebody leaves it who writes to it: with another DataWriteGuid."""
    layout = copy.deepcopy(built.layout)
    for header in layout.headers:
        header.data_write_guid = OTHER
    return layout.build()
