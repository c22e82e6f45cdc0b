"""The changed blocks of a checkpoint: what has to be copied to bring a backup up to date."""

from __future__ import annotations

from pathlib import Path

import pytest

import vhdx_kaitai
from tests.images.chain import GOOD_CHAINS, chain
from tests.images.image import Block, partial
from tests.images.structures import MIB, ZERO
from vhdx_kaitai.reading.changed import Changed


def test_it_is_what_the_child_holds_by_sectors_or_blocks(tmp_path: Path) -> None:
    blocks = {1: Block(), 2: Block(), 3: Block(ZERO), 5: partial(0, range(8, 16))}
    made = chain(2, blocks=lambda depth, _: blocks if depth else {0: Block()}).write(tmp_path)
    with vhdx_kaitai.open(made.path) as disk:
        size = disk.block_size
        assert list(vhdx_kaitai.changed(disk)) == [
            Changed(size, 2 * size, False),
            Changed(3 * size, size, True),
            Changed(5 * size, 512, False),
            Changed(5 * size + 8 * 512, 8 * 512, False),
        ]


@pytest.mark.parametrize("name", [name for name in GOOD_CHAINS if name != "eight-levels"])
def test_a_backup_of_an_older_image_becomes_the_disk(name: str, tmp_path: Path) -> None:
    made = GOOD_CHAINS[name].make().write(tmp_path)
    with vhdx_kaitai.open(made.path) as disk:
        for since in range(1, len(disk.chain)):
            older = made.images[-1 - since].model
            kept = min(older.size, disk.size)
            backup = bytearray(older.read(0, kept).ljust(disk.size, b"\xee"))
            end = 0
            for offset, length, is_zero in vhdx_kaitai.changed(disk, since):
                assert end <= offset
                end = offset + length
                backup[offset:end] = bytes(length) if is_zero else disk.pread(length, offset)
            assert backup == made.model.read(0, disk.size)


def test_a_disk_without_parent_is_all_there_is(tmp_path: Path) -> None:
    with vhdx_kaitai.open(chain(1).write(tmp_path).path) as disk:
        assert sum(piece.length for piece in vhdx_kaitai.changed(disk)) == disk.size


def test_the_parent_need_not_be_there(tmp_path: Path) -> None:
    made = chain(2).write(tmp_path)
    with vhdx_kaitai.open(made.path) as disk:
        expected = list(vhdx_kaitai.changed(disk))
    made.paths[0].unlink()
    with vhdx_kaitai.open(made.path, resolve_parents=False) as disk:
        assert list(vhdx_kaitai.changed(disk)) == expected


@pytest.mark.parametrize("since", [0, 3, -1])
def test_only_images_of_the_chain_can_be_older(since: int, tmp_path: Path) -> None:
    with vhdx_kaitai.open(chain(3).write(tmp_path).path) as disk:
        with pytest.raises(ValueError, match="expected 1 to 2"):
            vhdx_kaitai.changed(disk, since)
        assert disk.size % MIB == 0
