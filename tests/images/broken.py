"""Images that do not open, or not wholly, as `docs/rescue.md` shows them.

`python -m tests.images.broken FOLDER` writes them. Each is what people come with: a copy that was
cut, a log that is gone, headers or region tables that were overwritten, a BAT that QEMU moved, a
checkpoint whose parent was renamed or is gone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from .chain import child_of
from .dirty import dirty
from .image import Block, Built, Image, dynamic
from .sparse import Sparse, Zeros
from .structures import GIB, HEADER_OFFSETS, KIB, MIB, REGION_TABLE_OFFSETS

BLOCK = 32 * MIB
STORED = tuple(range(0, 640, 5))  # of the 640 blocks of a disk of 20 GiB


def disk(size: int = 20 * GIB, creator: str = "Microsoft Windows 10.0.26100.0") -> Image:
    """Return a dynamic disk, each fifth block of which is stored, with a text at its start."""
    blocks = {
        number: Block(data=Sparse(BLOCK, {0: b"block %d of the disk\n" % number}))
        for number in STORED
        if number * BLOCK < size
    }
    return dynamic(size, block_size=BLOCK, blocks=blocks, creator=creator)


def cut() -> tuple[Sparse, Built]:
    """Return the file without its last 64 MiB, and the image that it was."""
    built = disk().build()
    file = built.file.copy()
    file.length -= 64 * MIB
    return file, built


def _wiped(built: Built, *ranges: tuple[int, int]) -> tuple[Sparse, Built]:
    file = built.file.copy()
    for offset, length in ranges:
        file.put(offset, Zeros(length))
    return file, built


def log_wiped() -> tuple[Sparse, Built]:
    """Return a file whose log was to be replayed and is gone, and the image before that."""
    before = disk()
    built = dirty(disk(), before=before).build()
    header = built.model.current_header
    return _wiped(built, (header.log_offset, header.log_length))[0], before.build()


def headers_wiped() -> tuple[Sparse, Built]:
    """Return a file whose headers are gone, both of them."""
    return _wiped(disk().build(), *[(offset, 4 * KIB) for offset in HEADER_OFFSETS])


def tables_wiped() -> tuple[Sparse, Built]:
    """Return a file whose region tables are gone, both of them."""
    return _wiped(disk().build(), *[(offset, 64 * KIB) for offset in REGION_TABLE_OFFSETS])


def start_overwritten() -> tuple[Sparse, Built]:
    """Return a file over whose first sector something else was written."""
    return _wiped(disk().build(), (0, 512))


def page_moved() -> tuple[Sparse, Built]:
    """Return a file of which QEMU moved the second page of the BAT by one entry."""
    image = disk(40 * GIB, creator="QEMU v7.2.0")
    built = image.but(others=Block(data=b"another block\n")).build()
    layout = image.but(others=Block(data=b"another block\n")).layout()
    for index in range(1023, 512, -1):
        layout.bat[index] = layout.bat.get(index - 1, 0)
    return layout.build().file, built


BROKEN: dict[str, Callable[[], tuple[Sparse, Built]]] = {
    "cut.vhdx": cut,
    "log-wiped.vhdx": log_wiped,
    "headers-wiped.vhdx": headers_wiped,
    "tables-wiped.vhdx": tables_wiped,
    "start-overwritten.vhdx": start_overwritten,
    "page-moved.vhdx": page_moved,
}


def chain() -> dict[str, Built]:
    """Return a disk, a checkpoint of it, and one of that, by the names they had."""
    base = disk(GIB).build()
    middle = child_of(
        base,
        "base.vhdx",
        block_size=BLOCK,
        blocks={1: Block(data=b"changed\n")},
        tag=2,
        data_write_guid=UUID("da7a0001-0002-4222-8222-0123456789ab"),
    ).build()
    top = child_of(
        middle, "middle.avhdx", block_size=BLOCK, blocks={2: Block(data=b"changed again\n")}, tag=3
    ).build()
    return {"base.vhdx": base, "middle.avhdx": middle, "top.avhdx": top}


def write_all(folder: Path) -> None:
    """Write all of them into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in BROKEN.items():
        (folder / name).unlink(missing_ok=True)
        make()[0].write(folder / name)
    names = {"base.vhdx": "backup of base.vhdx"}  # somebody has renamed it
    for name, built in chain().items():
        path = folder / "renamed" / names.get(name, name)
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        built.write(path)
    orphan = folder / "orphan" / "checkpoint.avhdx"
    orphan.parent.mkdir(exist_ok=True)
    orphan.unlink(missing_ok=True)
    chain()["top.avhdx"].write(orphan)


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
