"""Entries of the BAT, and where their blocks lie."""

from __future__ import annotations

from tests.images.image import Layout, differencing
from tests.images.structures import FULLY_PRESENT, GIB, KIB, MIB, ZERO, bat_entry

from .registry import ONCE, bare, small, vector


@vector
def bat_far_away() -> Layout:
    """BAT entries with offsets past 2^53 bytes, reserved bits, and states without a name."""
    layout = bare(small(blocks={}).but(virtual_disk_size=12 * MIB))
    entries = [
        0xFFFFFFFFFFFFFFFF,
        0x00000000000FFFF8,
        0xA5A5A5A5A5A00006,
        0x123456789ABCDEF6,
        bat_entry(FULLY_PRESENT, 1 << 53),
        bat_entry(FULLY_PRESENT, (1 << 53) + MIB),
        bat_entry(7, (1 << 63) + MIB),
        bat_entry(6, (1 << 64) - MIB),
        bat_entry(4, 5 * MIB, reserved=1),
        bat_entry(5, 4095 * MIB, reserved=1 << 16),
        bat_entry(6, 4096 * MIB),
        bat_entry(ZERO, 4097 * MIB),
    ]
    layout.bat = dict(enumerate(entries))
    return layout


@vector
def sector_bitmaps_of_every_state() -> Layout:
    """Chunks whose sector bitmap entries have every state, named or not, reserved bits and offsets
    past 2^53 bytes; the last one is stored in the file."""
    layout = bare(differencing(32 * GIB, block_size=256 * MIB), 5 * MIB)
    states = [0, bat_entry(6, 1 << 53, reserved=0x15555), 0, 0, 0, 0, 0, bat_entry(6, 4 * MIB)]
    for chunk, entry in enumerate(states):
        layout.bat[17 * chunk + 16] = entry
    layout.patch(4 * MIB, ONCE)
    return layout


@vector
def sector_bitmap_states_without_a_name() -> Layout:
    """Two chunks whose sector bitmap entries have states that the specification does not know."""
    layout = bare(differencing(8 * GIB, block_size=256 * MIB))
    layout.bat[16] = bat_entry(7, 3 * MIB, reserved=0x1FFFF)
    layout.bat[33] = bat_entry(1, (1 << 64) - MIB)
    return layout


@vector
def blocks_at_the_end_of_the_file() -> Layout:
    """Blocks that end with the file, one byte past it, and that lie wholly past it."""
    layout = bare(small(blocks={}), 5 * MIB + 1)
    for number, place in enumerate((4, 5, 6, 0)):
        layout.bat[number] = bat_entry(FULLY_PRESENT, place * MIB)
    return layout


@vector
def blocks_larger_than_the_file() -> Layout:
    """Blocks that the file is half a MiB too short for, wherever they are."""
    layout = bare(small(blocks={}, block_size=4 * MIB), 4 * MIB - 512 * KIB)
    layout.bat[0] = bat_entry(FULLY_PRESENT)
    return layout
