"""The vectors by name, and what their makers have in common."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from tests.images.image import Block, Image, Layout, dynamic
from tests.images.structures import FULLY_PRESENT, KIB, MIB, ZERO

GUID_A = UUID("a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf")
GUID_B = UUID("b0b1b2b3-b4b5-b6b7-b8b9-babbbcbdbebf")
GUID_C = UUID("c0c1c2c3-c4c5-c6c7-c8c9-cacbcccdcecf")
GUID_D = UUID("d0d1d2d3-d4d5-d6d7-d8d9-dadbdcdddedf")
ONCE = bytes(range(256))
CUT = 3 * MIB + 64 * KIB
LAST = (1 << 64) - 1

Make = Callable[[], Layout]


MAKERS: dict[str, tuple[str, Make]] = {}


def vector(make: Make) -> Make:
    """Enter a function into `MAKERS`; its docstring describes the vector."""
    name = str(getattr(make, "__name__", "")).replace("_", "-")
    MAKERS[name] = (" ".join((make.__doc__ or "").split()), make)
    return make


def bare(image: Image, length: int = CUT) -> Layout:
    """Return a layout whose file ends after the structures, or wherever is said."""
    layout = image.layout()
    layout.file_length = length
    return layout


def hole(state: int = FULLY_PRESENT) -> Block:
    """Return a block of zeros that takes no place in the packed vector."""
    return Block(state, data=b"")


def small(**fields: object) -> Image:
    """Return a dynamic disk of 4 MiB: blocks 0 stored, 2 zero."""
    values: dict[str, object] = {"blocks": {0: hole(), 2: Block(ZERO)}}
    return dynamic(4 * MIB, **(values | fields))
