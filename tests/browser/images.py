"""Images for the page of a report: a chain with much to show, and one whose texts are hostile."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from tests.images.chain import Chain, chain, child_of
from tests.images.dirty import dirty
from tests.images.image import Image, Layout, dynamic
from tests.images.log import Entry
from tests.images.structures import FULLY_PRESENT, MIB

STALE_GUID = UUID("57a1e000-7777-4777-8777-0123456789ab")

# What runs when a page takes text for markup, and what turns the text after it around.
ATTACKS = (
    "<script>window.attacked = 1</script>",
    "</script><script>window.attacked = 2</script>",
    '<img src=x onerror="window.attacked = 3">',
    "\u202egnp.exe\u2066",
    "\x1b[2J\x07",
)


def dirty_over_damaged(folder: Path) -> Chain:
    """Write a child whose log is dirty, over a parent that is damaged.

    Of the parent header 2 is broken, blocks 0 and 1 share their space, block 2 reaches into the
    log, and block 3 lies past the end of the file.
    """

    def change(depth: int, image: Image) -> Image | Layout:
        if depth:
            stale = Entry(at=512 * 1024, sequence_number=3, log_guid=STALE_GUID)
            return dirty(image, hide=("bat",), at=256 * 1024, stale=[stale])
        layout = image.layout()
        layout.headers[1].checksum = 0x12345678
        layout.set_entry(1, FULLY_PRESENT, layout.payload[0])
        layout.set_entry(2, FULLY_PRESENT, layout.log_offset)
        layout.set_entry(3, FULLY_PRESENT, 1 << 40)
        return layout

    return chain(2, base=dynamic(24 * MIB), change=change).write(folder)


def hostile(folder: Path) -> Chain:
    """Write a child and its parent, with attacks wherever an image has text, and as their names."""
    parent, name = (
        f"{ATTACKS[0].replace('/', '')}{ATTACKS[3]}{ATTACKS[4]}.vhdx",
        f"{ATTACKS[2]}.vhdx",
    )
    base = dynamic(8 * MIB, creator="".join(ATTACKS)).build()
    child = child_of(base, parent, creator="".join(ATTACKS))
    assert child.locator is not None
    for number, text in enumerate(ATTACKS):
        child.locator.set(f"{number}{text}", text)
    child.locator.set("volume_path", "".join(ATTACKS))
    return Chain([base, child.build()], [parent, name]).write(folder)
