"""What of the disk is lost: because the file was cut, or by a damaged BAT.

An entry says by itself that no cut explains it when reserved bits are set, when its state needs a
parent and there is none, or when its place is further than any file of such a disk was ever long.
Bits that are set in an entry by accident are hardly ever among those of a place alone; and how long
a file may have been is counted generously, since one that was cut must not be taken for damaged.

A program that counts sectors where it should count MiB writes places that are 2,048 times too
large. Such entries look good each by itself; but no program leaves 2 GiB between all its blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from ..format.bat import (
    OFFSET_MASK,
    PARTIALLY_PRESENT,
    PLACE_SHIFT,
    PRESENT,
    RESERVED_MASK,
    STATE_MASK,
    STATE_NAMES,
)
from ..reading.image import Image
from ..records import NamedTuple
from ..text import counted, human_size
from ..units import MIB
from . import classes
from .classes import Sample, Survey
from .told import Sentence

_SECTORS_PER_MIB = MIB // 512
# At least this many blocks show that a program has counted sectors. That the place of a single one
# is a multiple of 2 GiB is no more than an accident.
_FEWEST_IN_SECTORS = 4


class Reason(Enum):
    """What is wrong with an entry, so that no cut explains it: what it has."""

    SECTORS = "a place in sectors"
    RESERVED = "reserved bits that are set"
    NO_PARENT = "a state that needs a parent"
    TOO_FAR = "a place where no file of such a disk ends"
    NO_STATE = "a state that no block has"
    NO_PLACE = "no place for a stored block"


class Loss(NamedTuple):
    """Something that is lost.

    Attributes:
        blocks: Blocks that are, wholly or partly.
        length: Bytes of the disk in them.
        bitmaps: Sector bitmaps that are.
    """

    blocks: int
    length: int
    bitmaps: int


class Losses(NamedTuple):
    """What is past the end of the file, or has an entry that is refused for itself.

    Attributes:
        cut: What is past the end, and a cut explains it.
        wild: What is, and none explains it.
        reasons: Why not.
        damaged: What is not, but has an entry that says nothing to a reader.
        damages: What is wrong with those.
        stored: Stored blocks whose entries may be right.
        length: Bytes of the disk in them.
        readable: How many of these a reader does not refuse.
    """

    cut: Loss
    wild: Loss
    reasons: set[Reason]
    damaged: Loss
    damages: set[Reason]
    stored: int
    length: int
    readable: int


def losses(image: Image, survey: Survey) -> Losses:
    """Return what is lost by the entries of the BAT."""
    geometry = image.geometry
    is_child = geometry.is_differencing
    counts_sectors = _counts_sectors(survey, is_child=is_child)
    found: set[Reason] = set()
    damages: set[Reason] = set()
    blocks, lengths, stored, whole, refused = [0, 0, 0], [0, 0, 0], 0, 0, 0
    for code, sample in survey.payload.items():
        length, is_stored = length_of(image, code, sample), classes.is_stored(code)
        is_lost, reasons = is_refused(code, is_child=is_child), _reasons(code, is_child=is_child)
        if is_stored and code & classes.PAST_THE_END:
            reasons = {Reason.SECTORS} if counts_sectors else reasons
            found |= reasons
            blocks[bool(reasons)] += sample.total
            lengths[bool(reasons)] += length
        elif is_lost:
            damages |= reasons
            blocks[2] += sample.total
            lengths[2] += length
        if is_stored and not reasons:
            stored += sample.total
            whole += length
            refused += length if is_lost else 0
    bitmaps = [0, 0, 0]
    for code in _bitmaps_past_the_end(image, survey):
        reasons = {Reason.SECTORS} if counts_sectors else _reasons(code, is_child=True)
        found |= reasons
        bitmaps[bool(reasons)] += 1
    cut, wild, damaged = map(Loss, blocks, lengths, bitmaps)
    readable = whole - refused + _begun(image, survey)
    return Losses(cut, wild, found, damaged, damages, stored, whole, readable)


def _begun(image: Image, survey: Survey) -> int:
    """Return how many bytes the file has of blocks that reach past its end."""
    begun = survey.past.inside
    for code, sample in survey.payload.items():
        # Of this one all is there that the disk needs.
        if code & classes.CUT and not code & classes.PAST_THE_END:
            offset = sample.entries[0] & OFFSET_MASK
            seems = classes.class_of(sample.entries[0], survey.limits)
            if classes.is_past(seems, is_child=image.geometry.is_differencing):
                begun -= survey.limits.size - offset
    return begun


def _reasons(code: int, *, is_child: bool) -> set[Reason]:
    """Return what is wrong with the entries of a class, whatever the length of the file."""
    is_partial = code & STATE_MASK == PARTIALLY_PRESENT
    is_stored = classes.is_stored(code)
    reasons = {
        Reason.RESERVED: code & classes.RESERVED,
        Reason.NO_PARENT: is_partial and not is_child,
        Reason.TOO_FAR: is_stored and code & classes.TOO_FAR,
        Reason.NO_STATE: code & STATE_MASK not in STATE_NAMES,
        Reason.NO_PLACE: is_stored and code & classes.NO_PLACE,
    }
    return {reason for reason, is_given in reasons.items() if is_given}


def _counts_sectors(survey: Survey, *, is_child: bool) -> bool:
    """Tell whether all blocks past the end would be in the file if the BAT counted sectors."""
    past = sum(
        sample.total
        for code, sample in survey.payload.items()
        if classes.is_past(code, is_child=is_child)
    )
    return (
        past >= _FEWEST_IN_SECTORS
        and survey.past.bits % _SECTORS_PER_MIB == 0
        and survey.past.highest // _SECTORS_PER_MIB < survey.limits.end
    )


def length_of(image: Image, code: int, sample: Sample) -> int:
    """Return how many bytes of the disk are in the blocks of a class."""
    geometry = image.geometry
    length = sample.total * geometry.block_size
    if code & classes.CUT:
        length += geometry.virtual_disk_size - geometry.payload_blocks * geometry.block_size
    return length


def is_refused(code: int, *, is_child: bool) -> bool:
    """Tell whether a reader refuses blocks of a class because of their entries alone."""
    state = code & STATE_MASK
    if code & classes.RESERVED or state not in STATE_NAMES:
        return True
    is_elsewhere = bool(code & (classes.NO_PLACE | classes.PAST_THE_END))
    return classes.is_stored(code) and (
        is_elsewhere or (state == PARTIALLY_PRESENT and not is_child)
    )


def _bitmaps_past_the_end(image: Image, survey: Survey) -> Iterator[int]:
    """Yield the classes of a child's sector bitmaps that are past the end of the file."""
    furthest = classes.furthest_end(image) // MIB - 1
    for entry in survey.bitmaps.values() if image.geometry.is_differencing else ():
        place = entry >> PLACE_SHIFT
        if entry & STATE_MASK == PRESENT and (place + 1) * MIB > image.source.size:
            reserved = bool(entry & RESERVED_MASK) * classes.RESERVED
            yield PRESENT | reserved | (place > furthest) * classes.TOO_FAR


def explain_losses(image: Image, survey: Survey) -> Iterator[Sentence]:
    """Yield what it means that blocks or sector bitmaps are past the end, or entries damaged."""
    cut, wild, reasons, damaged, damages, stored, length, readable = losses(image, survey)
    rules = ("BAT-10",)
    if cut.blocks:
        yield Sentence(
            f"The file is cut short: {cut.blocks} of {stored} stored blocks lie wholly or partly "
            f"past its end; {_share(length, readable)}.",
            rules,
        )
    if cut.bitmaps:
        yield Sentence(
            f"The file is cut short: sector bitmaps past its end: {cut.bitmaps}. Which sectors "
            "of their PARTIALLY_PRESENT blocks are the file's own is lost.",
            rules,
        )
    if wild.blocks or wild.bitmaps:
        yield Sentence(_about_wild(wild, reasons), rules)
    if damaged.blocks:
        yield Sentence(
            f"The BAT is damaged: {counted(damaged.blocks, 'entry', 'entries')} with "
            f"{_listed(damages)}. {human_size(damaged.length)} of the disk cannot be read because "
            "of that.",
            ("BAT-02", "BAT-03", "BAT-05", "BAT-09"),
        )


def _share(stored: int, readable: int) -> str:
    """Return how much of what is stored can be read."""
    if not readable:
        return f"none of the {human_size(stored)} stored can be read"
    lost = f"{human_size(stored - readable)} of the {human_size(stored)} stored are lost"
    return f"{lost}, {human_size(readable)} can be read"


def _about_wild(wild: Loss, reasons: set[Reason]) -> str:
    entries = counted(wild.blocks + wild.bitmaps, "entry", "entries")
    lost = f"{human_size(wild.length)} of the disk cannot be read because of that."
    if Reason.SECTORS in reasons:
        return (
            f"The BAT seems to count sectors: {entries} of blocks past the end of the file, with "
            "places that are multiples of 2,048 MiB and would be inside it as sectors of 512 "
            f"bytes. No cut explains that. {lost}"
        )
    return (
        f"The BAT is damaged: {entries} of blocks past the end of the file, with "
        f"{_listed(reasons)}. No cut explains that. {lost}"
    )


def _listed(reasons: set[Reason]) -> str:
    *others, last = (reason.value for reason in Reason if reason in reasons)
    return f"{', '.join(others)} or {last}" if others else last
