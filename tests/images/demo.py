"""Build the image that `make demo` and the README show: `python -m tests.images.demo OUT`."""

from __future__ import annotations

import sys
from pathlib import Path

from .dirty import dirty
from .image import Block, dynamic
from .structures import MIB, UNMAPPED, ZERO


def demo(path: Path) -> None:
    """Write a small dynamic disk whose log has to be replayed before its blocks are found."""
    blocks = {0: Block(), 1: Block(ZERO), 2: Block(), 7: Block(UNMAPPED)}
    image = dynamic(64 * MIB, blocks=blocks, creator="vhdx-kaitai demo")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    dirty(image).build().write(path)


if __name__ == "__main__":
    demo(Path(sys.argv[1]))
