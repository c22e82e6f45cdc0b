"""Partitions are found where the tables of a disk say that they are."""

from __future__ import annotations

import pytest

import vhdx_kaitai
from tests.images.image import Block, dynamic
from tests.images.partitioned import gpt, mbr
from tests.images.structures import MIB
from vhdx_kaitai.errors import UnsupportedError
from vhdx_kaitai.reading.volumes import volumes

SIZE = 8 * MIB


def found_in(pieces: dict[int, bytes], *, sector: int = 512) -> list[tuple[int, int]]:
    """What is found on a disk with some bytes on it, in sectors."""
    data = bytearray(SIZE)
    for at, piece in pieces.items():
        data[at * sector : at * sector + len(piece)] = piece
    blocks = {n: Block(data=bytes(data[n * MIB : (n + 1) * MIB])) for n in range(SIZE // MIB)}
    image = dynamic(SIZE, blocks=blocks, logical_sector_size=sector)
    with vhdx_kaitai.open(image.build().to_bytes()) as disk:
        return [(start // sector, end // sector) for start, end in volumes(disk)]


@pytest.mark.parametrize("sector", [512, 4096])
def test_partitions_of_both_kinds_are_found(sector: int) -> None:
    entries = [(0x83, 256, 64), (0, 5, 5), (7, 16, 100)]
    assert found_in({0: mbr(*entries)}, sector=sector) == [(16, 116), (256, 320)]
    parts = [(100, 199), (40, 50)]
    pieces = gpt(SIZE // sector, parts, sector=sector)
    assert found_in(pieces, sector=sector) == [(40, 51), (100, 200)]


def test_the_copy_of_a_gpt_is_used_when_it_is_damaged() -> None:
    pieces = gpt(SIZE // 512, [(100, 199)])
    pieces[1] = bytes(512)
    assert found_in(pieces) == [(100, 200)]


def test_what_an_mbr_has_besides_is_found_once() -> None:
    pieces = gpt(SIZE // 512, [(100, 199), (300, 399)])
    pieces[0] = mbr((0xEE, 1, 99), (0x83, 300, 100), (0x83, 500, 7))
    assert found_in(pieces) == [(100, 200), (300, 400), (500, 507)]


def test_logical_partitions_are_found() -> None:
    pieces = {
        0: mbr((0x83, 8, 8), (0x0F, 1000, 3000)),
        1000: mbr((0x83, 8, 92), (5, 100, 200)),
        1100: mbr((0x83, 8, 192)),
    }
    assert found_in(pieces) == [(8, 16), (1008, 1100), (1108, 1300)]


def test_a_table_that_leads_back_comes_to_an_end() -> None:
    pieces = {0: mbr((5, 1000, 3000)), 1000: mbr((0x83, 8, 92), (5, 0, 200))}
    assert found_in(pieces) == [(1008, 1100)]


def test_without_a_table_there_are_none() -> None:
    assert found_in({}) == []
    assert found_in({0: b"\xff" * 510}) == []


@pytest.mark.parametrize("first", [{}, {1: b"EFI PART"}])
def test_where_a_gpt_is_lost_nobody_knows_where_partitions_are(first: dict[int, bytes]) -> None:
    with pytest.raises(UnsupportedError, match="not certain where partitions are: neither copy"):
        found_in({0: mbr((0xEE, 1, 0xFFFFFFFF)), **first})


def test_what_is_not_inside_the_disk_is_none() -> None:
    end = SIZE // 512
    assert found_in({0: mbr((7, end - 4, 5))}) == []
    assert found_in(gpt(end, [(end, end + 8), (50, 40), (60, 69)])) == [(60, 70)]


def test_partitions_that_overlap_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="overlap"):
        found_in({0: mbr((7, 10, 10), (7, 19, 4))})
