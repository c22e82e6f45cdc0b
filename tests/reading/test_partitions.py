"""Where partitions end, whatever a stranger has put there."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vhdx_kaitai
from tests.images.image import Block, dynamic
from tests.images.partitioned import DYNAMIC, EXTENDED, LINUX, PROTECTIVE, gpt, logical, mbr
from tests.images.sparse import Sparse
from tests.images.structures import MIB
from tests.reading_fixtures import run_program
from vhdx_kaitai.reading import partitions
from vhdx_kaitai.reading.disk import Disk
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.reading.partitions import PartitionTable

SIZE = 16 * MIB
SECTORS = SIZE // 512
_BACKUP = 33 * 512  # 128 entries of 128 bytes, and a header


def disk_with(pieces: dict[int, bytes], *, sector: int = 512, unit: int | None = None) -> Disk:
    """Return a disk with pieces at some of its sectors."""
    contents = Sparse(SIZE)
    for at, data in pieces.items():
        contents.put(at * (unit or sector), data)
    blocks = {
        number: Block(data=contents.slice(number * MIB, MIB)) for number in range(SIZE // MIB)
    }
    image = dynamic(SIZE, blocks=blocks, logical_sector_size=sector)
    return Disk([Image(image.build().to_bytes())])


def partition_table(disk: Disk) -> PartitionTable | None:
    """What a table needs; where the partitions are is looked at in `test_volumes`."""
    table = partitions.partition_table(disk)
    return None if table is None else table._replace(parts=())


def test_a_disk_without_anything_has_no_table() -> None:
    assert partition_table(disk_with({})) is None


@pytest.mark.parametrize("sector", [512, 4096])
def test_partitions_of_an_mbr(sector: int) -> None:
    disk = disk_with({0: mbr((LINUX, 8, 100), (LINUX, 1000, 17), (0, 2000, 0))}, sector=sector)
    assert partition_table(disk) == PartitionTable("MBR", 1017 * sector)


def test_logical_partitions_of_an_mbr() -> None:
    chain = logical(2000, (2000, 63, 100), (3000, 63, 200), (4000, 63, 5000))
    disk = disk_with({0: mbr((LINUX, 8, 100), (EXTENDED, 2000, 3000)), **chain})
    assert partition_table(disk) == PartitionTable("MBR", 9063 * 512)


def test_an_extended_partition_is_needed_itself() -> None:
    disk = disk_with({0: mbr((EXTENDED, 2000, 3000)), **logical(2000, (2000, 63, 100))})
    assert partition_table(disk) == PartitionTable("MBR", 5000 * 512)


def test_a_chain_of_logical_partitions_that_comes_back_ends() -> None:
    link = mbr((LINUX, 63, 7000), (0x05, 0, 100))
    assert partition_table(disk_with({0: mbr((EXTENDED, 2000, 10)), 2000: link})) == (
        PartitionTable("MBR", 9063 * 512)
    )
    pair = {2000: mbr((LINUX, 1, 1), (5, 8, 1)), 2008: mbr((LINUX, 1, 1), (5, 0, 1))}
    assert partition_table(disk_with({0: mbr((EXTENDED, 2000, 10)), **pair})) is not None


def test_a_chain_without_an_end_is_followed_only_so_far() -> None:
    chain = logical(10, *((10 + 2 * number, 1, 1) for number in range(1000)))
    found = partition_table(disk_with({0: mbr((EXTENDED, 10, 1)), **chain}))
    assert found is not None
    assert found.end == (10 + 2 * 255 + 2) * 512


@pytest.mark.parametrize("start", [SECTORS - 1, SECTORS, 2**32 - 1])
def test_a_chain_past_the_end_is_none(start: int) -> None:
    found = partition_table(disk_with({0: mbr((EXTENDED, start, 2**32 - 1))}))
    assert found == PartitionTable("MBR", (start + 2**32 - 1) * 512)


@pytest.mark.parametrize(
    "sector",
    [
        mbr((LINUX, 8, 100), status=0x41),  # a boot sector with a program there
        mbr((LINUX, 0, 100)),
        mbr((LINUX, 8, 100), signature=b"\x55\xab"),
        mbr(),
    ],
)
def test_what_cannot_be_partitions_is_no_table(sector: bytes) -> None:
    assert partition_table(disk_with({0: sector})) is None


def test_a_dynamic_disk_of_windows_is_needed_wholly() -> None:
    found = partition_table(disk_with({0: mbr((DYNAMIC, 63, 100))}))
    assert found is not None
    assert (found.end, "dynamic disks" in found.doubt) == (SIZE, True)


@pytest.mark.parametrize(("sector", "unit"), [(512, 512), (4096, 4096), (512, 4096), (4096, 512)])
def test_partitions_of_a_gpt(sector: int, unit: int) -> None:
    sectors = SIZE // unit
    pieces = gpt(sectors, [(64, 99), (200, 1999), (100, 150)], sector=unit)
    found = partition_table(disk_with(pieces, sector=sector, unit=unit))
    assert found == PartitionTable("GPT", 2000 * unit, 16384 + unit)
    assert found.needed == found.end + found.backup_length


@pytest.mark.parametrize("lost", [0, 1, 2, SECTORS - 1, SECTORS - 33])
def test_one_damaged_copy_of_a_gpt_does_no_harm(lost: int) -> None:
    pieces = gpt(SECTORS, [(64, 1999)])
    pieces[lost] = b"\xff" + pieces[lost][1:]
    found = partition_table(disk_with(pieces))
    assert found == PartitionTable("GPT", 2000 * 512, _BACKUP)


@pytest.mark.parametrize(
    "fields",
    [
        *({"length": 91}, {"length": 513}, {"length": 2**32 - 1}, {"own": 5}),
        *({"count": 0}, {"count": 2**32 - 1}, {"size": 0}, {"size": 2**31}, {"size": 130}),
        *({"start": 2**64 - 1}, {"start": SECTORS}, {"of_entries": 1}),
    ],
)
def test_what_no_gpt_has_leaves_the_whole_disk_in_doubt(fields: dict[str, int]) -> None:
    pieces = gpt(SECTORS, [(64, 1999)], other_fields=fields)
    found = partition_table(disk_with(pieces))
    assert found is not None
    assert (found.end, found.doubt) == (SIZE, "neither copy of the GPT is valid")


def test_a_gpt_without_partitions_needs_itself() -> None:
    assert partition_table(disk_with(gpt(SECTORS, []))) == PartitionTable("GPT", 34 * 512, _BACKUP)


@pytest.mark.parametrize("part", [(64, 2**64 - 1), (2**64 - 1, 3)])
def test_a_partition_that_ends_nowhere_needs_more_than_there_is(part: tuple[int, int]) -> None:
    found = partition_table(disk_with(gpt(SECTORS, [part])))
    assert found is not None
    assert found.end > SIZE


def test_partitions_that_only_the_mbr_of_a_gpt_names_count() -> None:
    pieces = gpt(SECTORS, [(64, 1999)])
    pieces[0] = mbr((PROTECTIVE, 1, 1000), (LINUX, 3000, 500))
    assert partition_table(disk_with(pieces)) == PartitionTable("GPT", 3500 * 512, _BACKUP)


@given(st.integers(0, 2**32))
def test_whatever_bytes_there_are_something_is_said(seed: int) -> None:
    chance = random.Random(seed)
    chain = logical(2000, (2000, 63, 100), (3000, 63, 200))
    pieces = {0: mbr((LINUX, 8, 100), (EXTENDED, 2000, 3000)), **chain}
    if chance.random() < 0.5:
        pieces = gpt(SECTORS, [(64, 99), (200, 1999)])
    for at in list(pieces):
        data = bytearray(pieces[at])
        for _ in range(chance.choice((0, 1, 4))):
            data[chance.randrange(len(data))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
        pieces[at] = bytes(data)
    found = partition_table(disk_with(pieces))
    assert found is None or found.needed > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "kind", "end"),
    [
        ("label: dos\n2048,4096,83\n8192,8192,5\n10240,2048,83\n14336,1024,83\n", "MBR", 16384),
        ("label: gpt\n2048,4096\n8192,8192\n", "GPT", 16384),
    ],
)
def test_programs_that_make_tables_mean_the_same(
    script: str, kind: str, end: int, tmp_path: Path
) -> None:
    raw, image = tmp_path / "raw", tmp_path / "a.vhdx"
    raw.write_bytes(bytes(SIZE))
    run_program("sfdisk", "-q", raw, input=script.encode())
    vhdx_kaitai.convert(raw, image)
    with vhdx_kaitai.open(image) as disk:
        found = partition_table(disk)
    assert found is not None
    assert (found.kind, found.end, found.doubt) == (kind, end * 512, "")
