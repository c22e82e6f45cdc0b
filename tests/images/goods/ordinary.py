"""Images as they are made every day."""

from __future__ import annotations

from tests.images.image import Block, Image, differencing, dynamic, fixed, partial
from tests.images.structures import MIB, UNDEFINED, UNMAPPED, ZERO

from .case import good, small


@good()
def dynamic_plain() -> Image:
    """A dynamic image with blocks in every state it may have."""
    return small(blocks={0: Block(), 1: Block(ZERO), 2: Block(UNMAPPED), 3: Block(UNDEFINED)})


@good()
def dynamic_empty() -> Image:
    """A dynamic image in which no block is stored."""
    return dynamic(8 * MIB)


@good()
def fixed_plain() -> Image:
    """A fixed image, every block stored."""
    return fixed(4 * MIB)


@good()
def differencing_plain() -> Image:
    """A differencing image as Windows writes it, with blocks in every state."""
    blocks = {0: Block(), 1: partial(0, range(5, 20), 2047), 2: Block(ZERO), 3: Block(UNMAPPED)}
    return differencing(8 * MIB, blocks=blocks | {4: Block(UNDEFINED)})


@good()
def one_sector() -> Image:
    """A disk of one sector of 512 bytes."""
    return dynamic(512, blocks={0: Block()})


@good()
def odd_sectors() -> Image:
    """A disk with an odd number of 512-byte sectors, which ends inside its last block."""
    return dynamic(3 * MIB + 512, blocks={0: Block(), 3: Block()})


@good()
def sectors_of_4096() -> Image:
    """Logical and physical sectors of 4096 bytes."""
    return small(logical_sector_size=4096)


@good()
def sectors_of_512() -> Image:
    """Logical and physical sectors of 512 bytes."""
    return small(physical_sector_size=512)


@good(ITEM_18="note")
def physical_smaller_than_logical() -> Image:
    """Physical sectors of 512 bytes under logical ones of 4096."""
    return small(logical_sector_size=4096, physical_sector_size=512)


@good()
def blocks_in_disorder() -> Image:
    """BAT, metadata and log after the blocks, which lie in reverse order with gaps."""
    order = ("blocks", "bat", "regions", "metadata", "log")
    return small(order=order, block_order=(2, 0), gap=3 * MIB)
