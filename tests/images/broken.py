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


def _guid(number: int) -> UUID:
    return UUID(f"da7a0001-000{number}-4222-8222-0123456789ab")


def chain() -> dict[str, Built]:
    """Return a disk, a checkpoint of it, and one of that, by the names they had."""
    base = disk(GIB).but(data_write_guid=_guid(1)).build()
    changed = {1: Block(data=Sparse(BLOCK, {0: b"changed\n"}))}
    middle = child_of(base, "base.vhdx", block_size=BLOCK, blocks=changed, tag=2)
    built = middle.but(data_write_guid=_guid(2)).build()
    changed = {2: Block(data=Sparse(BLOCK, {0: b"changed again\n"}))}
    top = child_of(built, "middle.avhdx", block_size=BLOCK, blocks=changed, tag=3)
    return {
        "base.vhdx": base,
        "middle.avhdx": built,
        "top.avhdx": top.but(data_write_guid=_guid(3)).build(),
    }


def changed_base() -> Built:
    """Return the disk of that chain after somebody has used it: one block is another one."""
    image = disk(GIB)
    other = Block(data=Sparse(BLOCK, {0: b"written after the checkpoint\n"}))
    return image.but(data_write_guid=_guid(9), blocks={**image.blocks, 5: other}).build()


def write_all(folder: Path) -> None:
    """Write all of them into a folder."""
    for name, make in BROKEN.items():
        _write(make()[0], folder / name)
    made = chain()
    for name in ("middle.avhdx", "top.avhdx"):
        _write(made[name].file, folder / "renamed" / name)
    _write(made["base.vhdx"].file, folder / "renamed" / "backup of base.vhdx")
    _write(made["middle.avhdx"].file, folder / "changed" / "middle.avhdx")
    _write(changed_base().file, folder / "changed" / "base.vhdx")
    _write(made["top.avhdx"].file, folder / "orphan" / "checkpoint.avhdx")


def _write(file: Sparse, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    file.write(path)


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
