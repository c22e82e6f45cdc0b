"""What a range of a disk is made of: bytes of a file, zeros, or a parent that is not there.

A chain of images is resolved in two ways, which share how one image judges its
block allocation table and its sector bitmaps. `resolved` goes piece by piece
and judges nothing but what was asked for, over any length. `window` does a
small range at once, for readers that keep the result, and costs a tenth.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Literal

from ..errors import Finding, FormatError, ParentNotFoundError, refusal
from ..format.bat import (
    FULLY_PRESENT,
    NOT_PRESENT,
    PARTIALLY_PRESENT,
    RESERVED_STATE,
    STATE_NAMES,
)
from ..records import NamedTuple
from ..units import MIB
from .layers import (
    FROM_NOWHERE,
    LOST,
    ORPHANED,
    PARENTS,
    UNRESOLVED,
    ZEROS,
    Layer,
    Origin,
    Piece,
    Pieces,
)

ExtentKind = Literal["data", "zero", "parent", "lost"]

# No block is smaller, so a range of this many bytes, aligned, lies in one block of each image.
WINDOW = MIB

# Extents that are made one by one, and yielded together.
_EXTENTS_AT_ONCE = 1 << 15


class Extent(NamedTuple):
    """A range of the virtual disk that is the same thing throughout.

    Attributes:
        offset: Virtual offset in bytes.
        length: Bytes.
        state: State of the block it comes from, `fully_present` for example.
        depth: Index in the chain of the image that it comes from; of the child
            for zeros past the end of a smaller parent, as in `qemu-img map`.
        file_offset: Where the bytes are in the file of that image; None unless it is data.
        kind: `data` or `zero`; `parent` when it belongs to a parent that was
            not opened; `lost` when that image does not say rightly where the
            bytes are, or they are past the end of its file.
        finding: Why it is lost, at its first byte; None for other kinds.
    """

    offset: int
    length: int
    state: str
    depth: int
    file_offset: int | None
    kind: ExtentKind
    finding: Finding | None = None


class Columns(NamedTuple):
    """Some extents; one element of each list an extent.

    Attributes:
        start: Virtual offset in bytes.
        length: Bytes.
        what: State of the block, depth, kind, and the rule because of which it is lost.
        place: Offset in the file, None for what is not in it.
        has_lost: Whether any of them is lost.
    """

    start: list[int]
    length: list[int]
    what: list[tuple[str, int, str, str | None]]
    place: list[int | None]
    has_lost: bool

    @classmethod
    def of(cls, rows: Sequence[Extent]) -> Columns:
        """Return extents as columns."""
        return cls(
            [row.offset for row in rows],
            [row.length for row in rows],
            [(row.state, row.depth, row.kind, row.finding and row.finding.rule) for row in rows],
            [row.file_offset for row in rows],
            any(row.kind == "lost" for row in rows),
        )

    @classmethod
    def some_of(cls, extents: Iterable[Extent]) -> Iterator[Columns]:
        """Yield extents, thousands at a time, even if what follows them cannot be told."""
        rows: list[Extent] = []
        try:
            for row in extents:
                rows.append(row)
                if len(rows) == _EXTENTS_AT_ONCE:
                    yield cls.of(rows)
                    rows = []
        except FormatError:
            if rows:
                yield cls.of(rows)
            raise
        if rows:
            yield cls.of(rows)

    def rows(self) -> Iterator[tuple[int, int, tuple[str, int, str, str | None], int | None]]:
        """Yield the extents: start, length, what and place of each."""
        return zip(self.start, self.length, self.what, self.place, strict=True)


def refuse_sharing(top: Layer, start: int, end: int) -> None:
    """Raise when a range of the disk may be made of more pieces than anybody can wait for.

    Raises:
        LimitError: A sector bitmap of an image of the chain stands for too many chunks.
    """
    layer: Layer | None = top
    while layer is not None:
        layer.refuse_sharing(start, min(end, layer.size))
        layer = layer.parent


def extents(top: Layer, start: int, end: int) -> Iterator[Extent]:
    """Yield what a range of the disk is made of: adjacent extents, merged, in order.

    Raises:
        FormatError: A BAT or sector bitmap cannot be read any more, although the file was long
            enough when it was opened; all extents before that were yielded.
    """
    for low, high, layer, state, place in merged(resolved(top, start, end)):
        length, name = high - low, STATE_NAMES.get(state, RESERVED_STATE)
        if place >= 0:
            yield Extent(low, length, name, layer.depth, place, "data")
        elif place == ZEROS:
            yield Extent(low, length, name, layer.depth, None, "zero")
        elif place == PARENTS:
            yield Extent(low, length, name, layer.depth + 1, None, "parent")
        else:
            finding = layer.why_lost(low, high, place)
            yield Extent(low, length, name, layer.depth, None, "lost", finding)


def resolved(layer: Layer, start: int, end: int) -> Iterator[Piece]:
    """Yield the pieces of a range, parents looked up where they are asked for.

    A stack instead of recursion: chains may be deep, and so may the caller be.
    """
    stack: list[Piece] = [(start, end, layer, NOT_PRESENT, UNRESOLVED)]
    while stack:
        piece = stack.pop()
        if piece[4] != UNRESOLVED:
            yield piece
            continue
        start, end, layer, state, _ = piece
        found: list[Piece] = []
        reached = layer.look_up(start, end, found)
        if reached < end:
            stack.append((reached, end, layer, state, UNRESOLVED))
        if layer.parent is None:
            yield from found
        else:
            found.reverse()
            stack += found


def merged(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Yield pieces, neighbours of one kind as one.

    Data merges when it follows each other in the file, too.
    """
    iterator = iter(pieces)
    for piece in iterator:
        start, end, layer, state, position = piece
        try:
            for following in iterator:
                if (
                    following[2] is layer
                    and following[3] == state
                    and following[4] == (position + end - start if position >= 0 else position)
                ):
                    end = following[1]
                    continue
                yield start, end, layer, state, position
                start, end, layer, state, position = following
        except FormatError:  # of the pieces that follow
            yield start, end, layer, state, position
            raise
        yield start, end, layer, state, position


def pieces(top: Layer, start: int, end: int, *, zeroes_lost: bool = False) -> Pieces:
    """Return what a range is made of, that lies in one block of each image of the chain.

    Args:
        top: The layer of the child.
        start: Virtual offset in bytes.
        end: Virtual offset after the range, not past the end of the disk.
        zeroes_lost: Whether what is lost reads as zeros.

    Raises:
        FormatError: An image does not say rightly where the range is.
        ParentNotFoundError: Some of it belongs to a parent that was not opened.
    """
    try:
        found = window(top, start, end)
    except FormatError:  # somewhere in the range, but perhaps under what covers it
        found = None
    if found is not None:
        return found
    bounds: list[int] = [0]
    origins: list[Origin] = []
    for low, high, layer, _state, position in merged(resolved(top, start, end)):
        is_lost = position <= LOST and not zeroes_lost
        if position == PARENTS or (is_lost and position == ORPHANED):
            raise _without_parent(layer, low, high)
        if is_lost:
            refused = refusal(layer.why_lost(low, high, position))
            refused.path = layer.image.path
            raise refused
        bounds.append(high - start)
        origin = FROM_NOWHERE if position < 0 else layer.origin(position - low, low, high)
        origins.append(origin)
    return bounds, origins


def _without_parent(layer: Layer, low: int, high: int) -> ParentNotFoundError:
    """Return the refusal of a range that belongs to a parent which is not there."""
    why = "was not opened"
    if layer.missing is not None:
        why = f"cannot be had: {layer.missing.finding.message}"
    message = f"bytes {low:#x} to {high:#x} of the disk belong to a parent that {why}"
    error = ParentNotFoundError(message)
    error.path = layer.image.path
    return error


def window(top: Layer, start: int, end: int, at_most: int = WINDOW // 512) -> Pieces | None:
    """Return what a range is made of, that lies in one block of each image of the chain.

    From the child down, each image is looked up once, until one leaves nothing
    to its parent. Then from there up, each covers some of what is below it.
    That judges more than what a reader of the range needs: also what a child covers.

    Args:
        top: The layer of the child.
        start: Virtual offset in bytes.
        end: Virtual offset after the range, not past the end of the disk.
        at_most: How many pieces there may be.

    Returns:
        None when there are more pieces, or when some of the range belongs to a
        parent that was not opened, or lies on both sides of the end of one.

    Raises:
        FormatError: An image does not say rightly where some of the range is.
    """
    layer: Layer | None = top
    covers: list[tuple[Layer, Origin, bool, int]] = []
    bottom = FROM_NOWHERE
    while True:
        if layer is None or start < layer.size < end:
            return None
        if layer.size <= start:  # what is past a parent's end reads as zeros (CHAIN-04)
            break
        state, origin, is_here, changes = layer.at_once(start, end)
        if state == FULLY_PRESENT or (is_here and state == PARTIALLY_PRESENT and not changes):
            bottom = origin
            break
        if state == PARTIALLY_PRESENT:
            if changes.bit_count() >= at_most:
                return None
            if is_here or changes:
                covers.append((layer, origin, is_here, changes))
        elif state != NOT_PRESENT or not layer.has_parent:
            break
        if layer.missing is not None and layer.missing.is_zero:
            break
        layer = layer.parent
    pieces: Pieces = ([0, end - start], [bottom])
    for layer, origin, is_here, changes in reversed(covers):
        offsets = layer.offsets(-layer.in_sector(start), changes)
        pieces = _covered(pieces, origin, is_here, [0, *offsets, end - start])
        if len(pieces[1]) > at_most:
            return None
    return pieces


def _covered(below: Pieces, origin: Origin, is_here: bool, bounds: list[int]) -> Pieces:
    """Return pieces, some of them covered by bytes of one origin: from bound to bound, in turn.

    Args:
        below: The pieces.
        origin: Where the bytes come from that cover them.
        is_here: Whether they do so after the first bound.
        bounds: Offsets as those of the pieces, the first and the last the same.
    """
    lower_bounds, lower_origins = below
    if len(lower_origins) == 1:
        pair = [origin, lower_origins[0]] if is_here else [lower_origins[0], origin]
        return bounds, (pair * (len(bounds) // 2))[: len(bounds) - 1]
    starts: list[int] = []
    origins: list[Origin] = []
    for low, high in pairwise(bounds):
        starts.append(low)
        if is_here:
            origins.append(origin)
        else:
            first, stop = bisect_right(lower_bounds, low) - 1, bisect_left(lower_bounds, high)
            starts += lower_bounds[first + 1 : stop]
            origins += lower_origins[first:stop]
        is_here = not is_here
    return [*starts, bounds[-1]], origins
