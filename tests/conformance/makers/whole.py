"""Whole images: each kind of disk, and the largest."""

from __future__ import annotations

from tests.images.image import Block, Layout, differencing, dynamic, fixed, partial, windows_locator
from tests.images.structures import (
    FILE_PARAMETERS,
    GIB,
    KIB,
    MIB,
    TIB,
    UNDEFINED,
    UNMAPPED,
    VIRTUAL_DISK_SIZE,
    ZERO,
    ZERO_GUID,
    Header,
    bat_entry,
)

from .registry import GUID_A, GUID_B, GUID_C, GUID_D, ONCE, bare, hole, small, vector


@vector
def dynamic_512() -> Layout:
    """A dynamic disk with payload blocks in every state, one of them stored in the file."""
    blocks = {
        1: Block(UNDEFINED),
        2: Block(ZERO),
        3: Block(UNMAPPED),
        4: Block(data=ONCE),
        5: hole(),
        7: Block(UNMAPPED, file_offset=5 * MIB),
    }
    image = dynamic(7 * MIB + 512, blocks=blocks, creator="conformance kit")
    layout = bare(image, 5 * MIB + 300)
    layout.headers[0] = Header(
        7, GUID_A, GUID_B, GUID_C, 0x93A4, 0xB5C6, 0x81828384, 0x9192939495969798, reserved=ONCE
    )
    layout.headers[1] = Header(9, GUID_D, GUID_C, ZERO_GUID)
    layout.identifier.reserved = ONCE
    return layout


@vector
def fixed_4096() -> Layout:
    """A fixed disk of 4096-byte sectors, stored up to the middle of its second block."""
    blocks = {0: Block(data=ONCE * 2), 1: hole()}
    image = fixed(
        2 * MIB, blocks=blocks, logical_sector_size=4096, physical_sector_size=512, required=0
    )
    return bare(image, 5 * MIB + 512 * KIB)


@vector
def differencing_512() -> Layout:
    """A differencing disk with blocks in every state, a sector bitmap, and a parent locator with
    every key that the specification names."""
    blocks = {
        0: hole(),
        1: partial(0, range(5, 20), 2047, data=ONCE),
        2: Block(ZERO),
        3: Block(UNMAPPED),
        4: Block(UNDEFINED),
    }
    image = differencing(
        6 * MIB,
        blocks=blocks,
        locator=windows_locator(GUID_A, "ältere Fassung.vhdx", relative="..\\ältere Fassung.vhdx"),
    )
    return bare(image, 7 * MIB)


@vector
def differencing_4096() -> Layout:
    """A differencing disk of 4096-byte sectors in two chunks, only the second of which has a
    sector bitmap; everything after the BAT is missing."""
    size = 129 * 256 * MIB + 4096
    blocks = {0: hole(), 127: Block(ZERO), 128: partial(0, 3, data=b""), 129: Block(UNMAPPED)}
    image = differencing(size, blocks=blocks, block_size=256 * MIB, logical_sector_size=4096)
    return bare(image)


@vector
def chunks_of_a_dynamic_disk() -> Layout:
    """Three chunks of 16 blocks each, the last one with a single block and no sector bitmap;
    entries of sector bitmaps hold something all the same."""
    blocks = {n: hole() if n % 3 else Block(ZERO) for n in range(33)}
    layout = bare(dynamic(8 * GIB + 512, blocks=blocks, block_size=256 * MIB))
    layout.bat[16] = bat_entry(6, 77 * MIB)
    layout.bat[33] = bat_entry(3, 0, reserved=5)
    return layout


@vector
def chunk_that_is_full() -> Layout:
    """A dynamic disk that ends with its chunk, after which there is no entry of a sector bitmap,
    though the file has something there."""
    layout = bare(dynamic(4 * GIB, blocks={15: Block(ZERO)}, block_size=256 * MIB))
    layout.bat[16] = bat_entry(6, 77 * MIB)
    return layout


@vector
def blocks_of_3_mib() -> Layout:
    """Sizes that are no powers of two: the chunk ratio is rounded down, the blocks up."""
    layout = bare(small())
    items = layout.metadata
    items.find(FILE_PARAMETERS).data = (3 * MIB).to_bytes(4, "little") + b"\xfe\xff\xff\xff"
    items.find(VIRTUAL_DISK_SIZE).data = (4096 * MIB + 512).to_bytes(8, "little")
    return layout


@vector
def largest_disk() -> Layout:
    """A disk of 64 TiB in blocks of 1 MiB, whose BAT is missing but for its start."""
    return bare(dynamic(64 * TIB, blocks={0: hole(), 2: Block(ZERO), 4095: hole()}))
