"""Large good images: write() them, they are sparse."""

from __future__ import annotations

from tests.images.image import Block, Image, differencing, dynamic, fixed, partial
from tests.images.structures import FULLY_PRESENT, GIB, MIB, TIB, ZERO

from .case import good


@good()
def dynamic_past_one_chunk() -> Image:
    """10 GiB in blocks of 256 MiB, 16 to a chunk; blocks on both sides of each slot."""
    return dynamic(10 * GIB, block_size=256 * MIB, blocks={n: Block() for n in (0, 15, 16, 32, 39)})


@good()
def fixed_past_one_chunk() -> Image:
    """4.5 GiB fixed: the BAT has an unused sector bitmap slot after 16 blocks."""
    return fixed(4 * GIB + 512 * MIB, block_size=256 * MIB)


@good()
def differencing_past_one_chunk() -> Image:
    """6 GiB differencing with partly present blocks in both chunks."""
    blocks = {
        0: partial((0, 64), (500000, 500008)),
        15: partial((524287, 524288)),
        16: partial(range(8)),
        17: Block(),
        23: Block(ZERO),
    }
    return differencing(6 * GIB, block_size=256 * MIB, blocks=blocks)


@good()
def differencing_past_one_chunk_of_4096() -> Image:
    """40 GiB differencing with sectors of 4096 bytes: 128 blocks of 256 MiB make a chunk."""
    blocks = {
        0: partial(range(4)),
        127: partial((65535, 65536)),
        128: partial(range(9)),
        130: Block(),
    }
    return differencing(40 * GIB, block_size=256 * MIB, logical_sector_size=4096, blocks=blocks)


@good()
def largest_disk() -> Image:
    """64 TiB in blocks of 1 MiB: the BAT is 513 MiB; first and last block are stored."""
    last = 64 * TIB // MIB - 1
    return dynamic(64 * TIB, blocks={0: Block(), 4096: Block(), last: Block()})


@good()
def blocks_far_away() -> Image:
    """A block lies 1 TiB into the file."""
    return dynamic(8 * MIB, blocks={0: Block(FULLY_PRESENT, TIB), 1: Block()})
