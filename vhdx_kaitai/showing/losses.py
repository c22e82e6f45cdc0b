"""What is lost, as a sentence, and as a map that viewers of GNU ddrescue show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from .._version import __version__
from ..reading.losses import Losses, LostRange
from ..text import counted, human_size
from .document import Document

_SAVED, _LOST, _NOT_TRIED = "+", "-", "?"


def losses_text(losses: Losses, *, are_zeros: bool, is_assumed: bool = False) -> str:
    """Return the sentence about what is lost of a range of a disk.

    Args:
        losses: What is lost.
        are_zeros: Whether there are zeros in its place.
        is_assumed: Whether anything had to be assumed, so that more may be lost than is known.
    """
    if not losses.ranges:
        known = "if what was assumed is right, " * is_assumed
        if not losses.stored:
            return f"{known}nothing is lost: nothing is stored, as far as the BAT says"
        return f"{known}nothing is lost: all {human_size(losses.stored)} stored can be read"
    saved = losses.stored - losses.lost
    ranges = [f"{lost.start:#x} to {lost.end:#x} [{lost.rule}]" for lost in losses.first]
    if losses.ranges > len(ranges):
        ranges.append(f"and {losses.ranges - len(ranges)} more")
    outcome = (
        f"there are zeros in their place; {human_size(saved)} are saved"
        if are_zeros
        else (f"{human_size(saved)} can be read")
    )
    what = []
    if losses.lost:
        what.append(f"{human_size(losses.lost)} of the {human_size(losses.stored)} stored are lost")
    if losses.orphaned:
        what.append(f"{human_size(losses.orphaned)} belong to a parent that cannot be had")
    return (
        f"{' and '.join(what)}, {outcome}. "
        f"Lost {counted(losses.ranges, 'range')}: {', '.join(ranges)}"
    )


def losses_document(losses: Losses) -> Document:
    """Return what documents say of what is lost of a range of a disk."""
    first = [lost._asdict() for lost in losses.first]
    return {**losses._asdict(), "first": first}


def lost_map(lost: Iterable[LostRange], offset: int, end: int, size: int) -> Iterator[str]:
    """Yield the lines of a map of the disk, as GNU ddrescue has it.

    Args:
        lost: What is lost of the range that was read, in order.
        offset: Virtual offset of that range in bytes.
        end: Virtual offset after it.
        size: Size of the disk in bytes.
    """
    yield f"# Mapfile of a virtual disk. Created by vhdx-kaitai {__version__}"
    yield "# current_pos  current_status  current_pass"
    yield f"0x{end:08X}     {_SAVED}               1"
    yield "#      pos        size  status"
    before, after = (0, offset, _NOT_TRIED), (end, size, _NOT_TRIED)
    for start, stop, status in chain([before], _marked(lost, offset, end), [after]):
        if start < stop:
            yield f"0x{start:08X}  0x{stop - start:08X}  {status}"


def _marked(lost: Iterable[LostRange], position: int, end: int) -> Iterator[tuple[int, int, str]]:
    """Yield a range in parts that are saved or lost; neighbours of one kind are one part."""
    begin = position  # of what is lost, up to the position
    for start, stop, _rule in lost:
        if start > position:
            yield begin, position, _LOST
            yield position, start, _SAVED
            begin = start
        position = stop
    yield begin, position, _LOST
    yield position, end, _SAVED
