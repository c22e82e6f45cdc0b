"""Images to start from: what is damaged, one thing at a time."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from tests.images.dirty import dirty
from tests.images.image import (
    PARENT_GUID,
    Block,
    Image,
    Layout,
    differencing,
    dynamic,
    fixed,
    partial,
)
from tests.images.structures import GIB, MIB, TIB, UNDEFINED, UNMAPPED, ZERO, Locator, braced

UNKNOWN_REGION = UUID("0e610000-aaaa-4aaa-8aaa-0123456789ab")
UNKNOWN_ITEM = UUID("17e30000-bbbb-4bbb-8bbb-0123456789ab")
OTHER_GUID = UUID("07be0000-cccc-4ccc-8ccc-0123456789ab")
END = 1 << 64


def base_dynamic() -> Image:
    """8 MiB dynamic; blocks 0, 1 and 5 stored; 1 MiB free after every structure."""
    blocks = {0: Block(), 1: Block(), 2: Block(ZERO), 3: Block(UNMAPPED), 4: Block(UNDEFINED)}
    return dynamic(8 * MIB, blocks=blocks | {5: Block()}, gap=MIB)


def base_two_mib() -> Image:
    """16 MiB dynamic in blocks of 2 MiB; blocks 0 and 1 stored."""
    return dynamic(16 * MIB, block_size=2 * MIB, blocks={0: Block(), 1: Block()}, gap=MIB)


def base_chunks() -> Image:
    """6 GiB dynamic in blocks of 256 MiB, so that entry 16 is a sector bitmap slot."""
    return dynamic(6 * GIB, block_size=256 * MIB, blocks={17: Block()}, gap=MIB)


def base_fixed() -> Image:
    """4 MiB fixed, every block stored."""
    return fixed(4 * MIB, gap=MIB)


def base_differencing() -> Image:
    """8 MiB differencing, parent.vhdx beside it; blocks 0 stored, 1 partly, 2 zero, 3 parent."""
    blocks = {0: Block(), 1: partial(range(16)), 2: Block(ZERO), 6: Block()}
    return differencing(8 * MIB, blocks=blocks, gap=MIB)


def by_the_letter() -> Locator:
    """Return a locator with what the text asks for, and nothing else."""
    path = "\\\\?\\C:\\images\\parent.vhdx"
    return Locator.of({"parent_linkage": braced(PARENT_GUID), "absolute_win32_path": path})


def base_by_the_letter() -> Image:
    """The differencing image, its locator free of what Windows makes of it."""
    return base_differencing().but(locator=by_the_letter())


def base_wide() -> Image:
    """200 GiB dynamic in blocks of 1 MiB, whose BAT needs more than 1 MiB; block 0 stored."""
    return dynamic(200 * GIB, blocks={0: Block()}, gap=MIB)


def base_huge() -> Image:
    """64 TiB dynamic in blocks of 256 MiB with a BAT larger than needed."""
    return dynamic(64 * TIB, block_size=256 * MIB, bat_length=4 * MIB, gap=MIB)


def base_items() -> Image:
    """8 MiB dynamic with a metadata region of 4 MiB."""
    return dynamic(8 * MIB, metadata_length=4 * MIB, blocks={0: Block()}, gap=MIB)


BASES: dict[str, Callable[[], Layout]] = {
    "dynamic": lambda: base_dynamic().layout(),
    "two-mib": lambda: base_two_mib().layout(),
    "chunks": lambda: base_chunks().layout(),
    "fixed": lambda: base_fixed().layout(),
    "differencing": lambda: base_differencing().layout(),
    "by-the-letter": lambda: base_by_the_letter().layout(),
    "wide": lambda: base_wide().layout(),
    "huge": lambda: base_huge().layout(),
    "items": lambda: base_items().layout(),
    # One entry at the start of the ring: a data and a zero descriptor that restore the BAT.
    "dirty": lambda: dirty(base_dynamic()),
}
