"""Partitions are found where the tables of a disk say that they are."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest

import vhdx_kaitai
from tests.images.image import Block, dynamic
from tests.images.structures import MIB
from vhdx_kaitai.errors import UnsupportedError
from vhdx_kaitai.reading.volumes import volumes

SIZE = 8 * MIB

Entry = tuple[int, int, int]  # type, first sector, sectors


def table(entries: Sequence[Entry]) -> bytes:
    """A sector with a partition table."""
    packed = b"".join(struct.pack("<4xB3xII", *entry) for entry in entries)
    return bytes(446) + packed.ljust(64, b"\0") + b"\x55\xaa"


def gpt(entries: Sequence[tuple[int, int]], sector: int, *, length: int = 128) -> bytes:
    """The start of a disk with a GPT; the entries stand in the third sector."""
    head = struct.pack("<8s64xQII", b"EFI PART", 2, 128, length)
    packed = b"".join(
        struct.pack("<16s16xQQ", b"t" * 16, first, last).ljust(length, b"\0")
        for first, last in entries
    )
    protective = table([(0xEE, 1, 0xFFFFFFFF)])
    return protective.ljust(sector, b"\0") + head.ljust(sector, b"\0") + packed


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
    assert found_in({0: table(entries)}, sector=sector) == [(16, 116), (256, 320)]
    assert found_in({0: gpt([(100, 199), (40, 50)], sector)}, sector=sector) == [
        *((40, 51), (100, 200)),
    ]


def test_logical_partitions_are_found() -> None:
    pieces = {
        0: table([(0x83, 8, 8), (0x0F, 1000, 3000)]),
        1000: table([(0x83, 8, 92), (5, 100, 200)]),
        1100: table([(0x83, 8, 192)]),
    }
    assert found_in(pieces) == [(8, 16), (1008, 1100), (1108, 1300)]


def test_a_table_that_leads_back_comes_to_an_end() -> None:
    pieces = {0: table([(5, 1000, 3000)]), 1000: table([(0x83, 8, 92), (5, 0, 200)])}
    assert found_in(pieces) == [(1008, 1100)]


def test_without_a_table_there_are_none() -> None:
    assert found_in({}) == []
    assert found_in({0: b"\xff" * 510}) == []
    assert found_in({0: table([(0xEE, 1, 0xFFFFFFFF)])}) == []
    assert found_in({0: gpt([(40, 50)], 512, length=64)[: 512 + 80]}) == []


def test_what_is_not_inside_the_disk_is_none() -> None:
    end = SIZE // 512
    assert found_in({0: table([(7, end - 4, 4), (7, end - 4, 5)][1:])}) == []
    assert found_in({0: gpt([(end, end + 8), (50, 40), (60, 69)], 512)}) == [(60, 70)]


def test_partitions_that_overlap_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="overlap"):
        found_in({0: table([(7, 10, 10), (7, 19, 4)])})
