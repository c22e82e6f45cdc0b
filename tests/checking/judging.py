"""A whole BAT, judged in all ways that there are, and images to be judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from hypothesis import strategies as st

from tests.images.bases import UNKNOWN_REGION
from tests.images.image import Layout, Region, differencing, dynamic
from tests.images.structures import (
    FULLY_PRESENT,
    MIB,
    NOT_PRESENT,
    PARTIALLY_PRESENT,
    UNDEFINED,
    UNMAPPED,
    VIRTUAL_DISK_SIZE,
    ZERO,
)
from tests.support import SparseSource
from vhdx_kaitai import fast
from vhdx_kaitai.checking import blocks, classes, crowds, order, tally
from vhdx_kaitai.checking import survey as looking
from vhdx_kaitai.checking.bitmaps import check_bitmap_end, check_empty_slices
from vhdx_kaitai.checking.classes import Gaps, Places
from vhdx_kaitai.checking.logged import check_logged_blocks
from vhdx_kaitai.checking.losses import Losses, losses
from vhdx_kaitai.checking.overlaps import check_overlaps
from vhdx_kaitai.checking.shift import shifted_pages
from vhdx_kaitai.checking.survey import survey
from vhdx_kaitai.checking.told import Several, Told
from vhdx_kaitai.errors import Finding
from vhdx_kaitai.reading.image import Image as OpenedImage

EVERY = 10**9  # more findings of a kind than there are


class Judgement(NamedTuple):
    """All that is found by looking at a BAT, in a form that can be compared."""

    findings: Counter[tuple[str, str, str, str]]
    counts: dict[int, int]
    bitmaps: dict[int, int]
    needy_chunks: set[int]
    past: Places
    gaps: Gaps | None
    losses: Losses
    shifted: list[int]


@contextmanager
def in_bulk(batch: int = 1) -> Iterator[None]:
    """Take the way of large BATs for small ones, with a few entries at a time (or a chunk)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looking, "WORTHWHILE_ENTRIES", 0)
        patch.setattr(tally, "_BATCH", batch)
        patch.setattr(crowds, "_STEP", 50)
        yield


@contextmanager
def by_sorting(most: int) -> Iterator[None]:
    """Take the way of files that claim absurd lengths, with a few places in each pass."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classes, "LONGEST", 0)
        patch.setattr(crowds, "_MOST_SORTED", most)
        patch.setattr(order, "_MOST_SORTED", most)
        yield


@contextmanager
def without_numpy(most_sorted: int = 0) -> Iterator[None]:
    """Look at BATs of any size without numpy, by default as at those of a great many blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "has_numpy", lambda: False)
        patch.setattr(order, "_MOST_SORTED", most_sorted)
        yield


def judged(layout: Layout) -> Judgement:
    image = OpenedImage(SparseSource(layout.build().file))
    found = survey(image, EVERY)
    told: list[Told] = [*blocks.check_payload_entries(image, found, EVERY)]
    told += blocks.check_sector_bitmap_entries(image, found)
    told += check_overlaps(image, found)
    told += blocks.check_allocated(image, found)
    told += blocks.check_length(image)
    told += check_bitmap_end(image, found)
    told += check_empty_slices(image, found, image.source.size, EVERY)
    told += check_logged_blocks(image, EVERY)
    findings = [one.finding if isinstance(one, Several) else one for one in told]
    return Judgement(
        Counter((f.rule, f.level, f.where, f.message) for f in findings if isinstance(f, Finding)),
        {code: sample.total for code, sample in found.payload.items()},
        found.bitmaps,
        found.needy_chunks,
        found.past,
        found.gaps,
        losses(image, found),
        shifted_pages(image, found),
    )


def assert_both_ways_agree(layout: Layout, batch: int = 1) -> Judgement:
    plain = judged(layout)
    with without_numpy():
        assert judged(layout) == plain
    far = plain._replace(gaps=None)
    with by_sorting(5):
        assert judged(layout) == far
    with in_bulk(batch):
        assert judged(layout) == plain
        with by_sorting(5):
            assert judged(layout) == far
    return plain


def image_of(
    blocks: int, block_size: int, megabytes: int, *, has_parent: bool = False, **fields: Any
) -> Layout:
    """Return an image without blocks in a file of a length in MiB."""
    make = differencing if has_parent else dynamic
    layout = make(blocks * block_size, block_size=block_size, **fields).layout()
    layout.file_length = max(layout.pack().length, megabytes * MIB)
    return layout


def opened(layout: Layout) -> OpenedImage:
    """Open an image that is never written anywhere."""
    return OpenedImage(SparseSource(layout.build().file))


def of_blocks(*places: int, length: int = 40) -> Layout:
    """Return an image of stored blocks of 2 MiB at places in MiB."""
    layout = image_of(len(places), 2 * MIB, length)
    for block, place in enumerate(places):
        layout.set_entry(block, FULLY_PRESENT, place * MIB)
    return layout


STATES = (NOT_PRESENT, UNDEFINED, ZERO, UNMAPPED, 4, 5, FULLY_PRESENT, PARTIALLY_PRESENT)


_LAST_PLACE = (1 << 44) - 1


class Table(NamedTuple):
    """An image that shows itself by what matters here."""

    layout: Layout

    def __repr__(self) -> str:
        image, length = self.layout.image, self.layout.file_length or 0
        entries = ", ".join(f"{index}: {entry:#x}" for index, entry in self.layout.bat.items())
        return (
            f"<{image.disk_type}, {image.virtual_disk_size / MIB} MiB in blocks of "
            f"{image.block_size // MIB}, file of {length / MIB} MiB, BAT at "
            f"{self.layout.bat_offset // MIB}, {len(image.regions)} regions more, {{{entries}}}>"
        )


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Draw an image whose BAT holds anything: runs, shuffled blocks, and entries of every kind."""
    block_size = draw(st.sampled_from((MIB, 2 * MIB, 32 * MIB, 256 * MIB)))
    sector_size = draw(st.sampled_from((512, 4096)))
    total = draw(st.integers(1, 70))
    has_parent = draw(st.booleans())
    regions = [Region(UNKNOWN_REGION)] if draw(st.booleans()) else []
    length = draw(st.integers(0, total * (block_size // MIB) + 8))
    layout = image_of(
        total,
        block_size,
        length,
        has_parent=has_parent,
        logical_sector_size=sector_size,
        regions=regions,
        gap=MIB * draw(st.integers(0, 2)),
    )
    if draw(st.booleans()):
        layout.image = layout.image.but(virtual_disk_size=total * block_size - 4096)
        size = layout.metadata.find(VIRTUAL_DISK_SIZE)
        size.data = layout.image.virtual_disk_size.to_bytes(8, "little")
    room = (layout.file_length or 0) // MIB
    for _ in range(draw(st.integers(0, 3))):
        _draw_run(draw, layout, room)
    places = st.integers(0, room + 1) | st.sampled_from((0, 1, room - 1, room, _LAST_PLACE))
    for _ in range(draw(st.integers(0, 12))):
        block = draw(st.integers(0, total - 1))
        reserved = draw(st.sampled_from((0, 0, 0, 1, 1 << 16)))
        place = draw(places)
        layout.set_entry(block, draw(st.sampled_from(STATES)), max(0, place) * MIB, reserved)
    geometry = layout.image.geometry
    chunks = geometry.sector_bitmap_blocks - (not has_parent)
    for _ in range(draw(st.integers(0, 4)) if chunks else 0):
        index = geometry.bitmap_index(draw(st.integers(0, chunks - 1)))
        place = max(0, draw(places))
        layout.bat[index] = draw(st.sampled_from((0, 1, 6, 6, 7))) | place * MIB
    return Table(layout)


def _draw_run(draw: st.DrawFn, layout: Layout, room: int) -> None:
    """Store some neighbouring blocks one after the other, in order or not."""
    geometry = layout.image.geometry
    first = draw(st.integers(0, geometry.payload_blocks - 1))
    count = draw(st.integers(1, geometry.payload_blocks - first))
    start = draw(st.integers(1, room))
    step = geometry.block_size // MIB
    order = list(range(count))
    if draw(st.booleans()):
        order = draw(st.permutations(order))
    state = draw(st.sampled_from((FULLY_PRESENT, FULLY_PRESENT, UNMAPPED, PARTIALLY_PRESENT)))
    for number, at in enumerate(order):
        layout.set_entry(first + number, state, (start + at * step) * MIB)
