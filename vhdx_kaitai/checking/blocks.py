"""The door to the blocks of an image: all rules about them, in the order of a report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from ..errors import Finding
from ..format import bat
from ..reading.image import Image
from ..storage.overlay import Overlay
from ..text import human_size
from . import allocation

# So long an image is taken to be of which only the metadata is there, wherever it ends: as far
# as a BAT entry can point.
_SKELETON_LENGTH = 1 << 64


class Several(NamedTuple):
    """A finding that stands for others like it.

    Attributes:
        finding: The finding.
        more: How many others.
    """

    finding: Finding
    more: int


class NotCompared(NamedTuple):
    """Something that was not checked, and why."""

    what: str
    why: str


class Sentence(NamedTuple):
    """What broken rules mean together.

    Attributes:
        text: The sentence.
        rules: The rules; when none of them counts, nor does the sentence.
    """

    text: str
    rules: tuple[str, ...]


Told: TypeAlias = Finding | Several | NotCompared | Sentence


def check_blocks(image: Image, most: int, *, is_skeleton: bool) -> Iterator[Told]:
    """Yield what is wrong with the BAT, blocks and sector bitmaps, and what that means.

    Args:
        image: The image. Of a skeleton the source is replaced by a longer one.
        most: How many findings of a kind are wanted.
        is_skeleton: Whether blocks may lie past the end of the file.
    """
    yield from bat.check_unused(image.bat)
    if is_skeleton:
        image.source = Overlay(image.source, (), _SKELETON_LENGTH)
    yield from allocation.check_shift(image)
    survey = allocation.survey(image, most)
    for finding, more in allocation.check_payload_entries(image, survey, most):
        yield Several(finding, more)
    yield from allocation.check_sector_bitmap_entries(image, survey)
    if survey.uncompared:
        yield NotCompared(f"overlaps of {survey.uncompared} blocks", "too many overlap")
    yield from allocation.check_overlaps(image, allocation.block_pieces(image, survey))
    for finding in allocation.check_allocated(image, survey):
        if not (is_skeleton and finding.rule == "ITEM-10"):
            yield finding
    yield from allocation.check_bitmap_end(image, survey)
    for finding, more in allocation.check_logged_blocks(image, most):
        yield Several(finding, more)
    if not is_skeleton:
        yield from _losses(image, survey)
    for page in allocation.shifted_pages(image, survey):
        yield Sentence(
            f"The BAT page at {page:#x} looks shifted by one entry, as left by QEMU before 8.0 "
            "(its issue 727): blocks behind its first entry are read from the wrong place.",
            ("BAT-06", "BAT-15"),
        )


def _losses(image: Image, survey: allocation.Survey) -> Iterator[Sentence]:
    lost = allocation.behind_the_end(image, survey)
    if lost.blocks:
        rest = human_size(image.geometry.virtual_disk_size - lost.length)
        yield Sentence(
            f"The file is cut short: {lost.blocks} of {survey.stored} stored blocks, "
            f"{human_size(lost.length)} of the disk, lie wholly or partly behind its end and are "
            f"lost. The other {rest} can be read.",
            ("BAT-10",),
        )
    if lost.bitmaps:
        yield Sentence(
            f"The file is cut short: sector bitmaps behind its end: {lost.bitmaps}. Which "
            "sectors of their PARTIALLY_PRESENT blocks are the file's own is lost.",
            ("BAT-10",),
        )
