"""Good images whose blocks are out of the ordinary."""

from __future__ import annotations

from tests.images.image import Block, Image, differencing, dynamic, fixed, partial
from tests.images.structures import MIB, UNDEFINED, UNMAPPED, ZERO

from .case import good, small


@good()
def bat_larger_than_needed() -> Image:
    """The BAT region has room for far more entries."""
    return small(bat_length=5 * MIB)


@good(REG_18="note")
def fixed_of_qemu() -> Image:
    """QEMU's fixed image: every block ZERO without a place, nothing marked as required."""
    return fixed(4 * MIB, others=Block(ZERO), required=0, file_length=8 * MIB)


@good()
def fixed_with_absent_blocks() -> Image:
    """A fixed image with blocks in states 0 to 3."""
    return fixed(8 * MIB, blocks={n: Block(n % 4) for n in range(1, 6)})


@good(BLK_11="note", GEN_08="note")
def fixed_last_block_cut() -> Image:
    """The file ends in the last block, where the disk ends too, as in QEMU's fixed images."""
    image = fixed(3 * MIB + 512)
    return image.but(file_length=image.layout().payload[3] + 512)


@good()
def unmapped_and_undefined_keep_places() -> Image:
    """UNMAPPED and UNDEFINED blocks keep a place of their own, full of old data; they are zeros."""
    blocks = {0: Block(), 1: Block(UNMAPPED, 30 * MIB), 2: Block(UNDEFINED, 31 * MIB)}
    return dynamic(8 * MIB, blocks=blocks, file_length=32 * MIB)


@good(BLK_07="note")
def bitmap_bits_nobody_heeds() -> Image:
    """Bits are set for blocks in all states, and for none of those in state 7."""
    every = ((0, 2048),)
    blocks = {
        0: Block(present=((3, 50),)),
        1: Block(ZERO, present=every),
        2: Block(UNMAPPED, present=every),
        3: Block(UNDEFINED, present=every),
        4: partial(),
        5: Block(0, present=every),
    }
    return differencing(8 * MIB, blocks=blocks)


@good()
def bitmap_bits_past_the_end() -> Image:
    """Bits are set for sectors past the end of the disk."""
    return differencing(MIB + 512, blocks={1: partial(range(2048))})


@good()
def bitmap_present_and_unused() -> Image:
    """The sector bitmap block is present although no block is PARTIALLY_PRESENT."""
    return differencing(8 * MIB, blocks={0: Block()}, bitmap_chunks=frozenset({0}))


@good(BLK_07="note")
def partial_without_sectors() -> Image:
    """Blocks in state 7 of which no sector, one sector or every sector is in this file."""
    blocks = {0: partial(), 1: partial(7), 2: partial(range(2048))}
    return differencing(4 * MIB, blocks=blocks)
