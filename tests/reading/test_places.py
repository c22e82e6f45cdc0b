"""Volumes have the numbers that other programs give them, and the one that is meant is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.images.image import Block, dynamic
from tests.images.partitioned import gpt, logical, mbr
from tests.images.structures import MIB
from tests.serving.making import blank, image_of, tool
from vhdx_kaitai.errors import UnsupportedError
from vhdx_kaitai.reading.disk import Disk
from vhdx_kaitai.reading.places import Place, chosen_place, places

SIZE = 8 * MIB
XFS, SWAP = b"XFSB", bytes(4086) + b"SWAPSPACE2"


def disk_with(*pieces: tuple[int, bytes]) -> Disk:
    """Return a disk with pieces at some of its sectors."""
    data = bytearray(SIZE)
    for at, piece in pieces:
        data[at * 512 : at * 512 + len(piece)] = piece
    blocks = {n: Block(data=bytes(data[n * MIB : (n + 1) * MIB])) for n in range(SIZE // MIB)}
    return vhdx_kaitai.open(dynamic(SIZE, blocks=blocks).build().to_bytes())


def told(found: list[Place]) -> list[tuple[int | None, int, str]]:
    return [(place.number, place.volume.start // 512, place.kind) for place in found]


def test_without_a_table_the_whole_disk_is_the_place() -> None:
    assert told(places(disk_with())[1]) == [(0, 0, "")]
    assert told(places(disk_with((0, XFS)))[1]) == [(0, 0, "XFS")]


def test_partitions_come_in_the_order_of_place_with_their_numbers() -> None:
    table = mbr((0x83, 4000, 100), (0x82, 1000, 100), (0x0F, 6000, 2000))
    chain = logical(6000, (6000, 8, 100), (7000, 8, 100))
    disk = disk_with((0, table), *chain.items(), (4000, XFS), (1000, SWAP), (7008, XFS))
    kind, found = places(disk)
    assert kind is not None
    assert kind.kind == "MBR"
    assert told(found) == [(2, 1000, "swap"), (1, 4000, "XFS"), (5, 6008, ""), (6, 7008, "XFS")]
    assert [place.partition.kind for place in found if place.partition] == [
        *("0x82", "0x83", "0x83", "0x83")
    ]


def test_a_partition_that_only_an_mbr_beside_a_gpt_names_has_no_number() -> None:
    pieces = gpt(SIZE // 512, [(100, 199), (300, 399)])
    pieces[0] = mbr((0xEE, 1, 99), (0x83, 300, 100), (0x83, 500, 7))
    assert told(places(disk_with(*pieces.items()))[1]) == [
        (1, 100, ""),
        (2, 300, ""),
        (None, 500, ""),
    ]


def test_a_disk_that_is_a_file_system_and_has_partitions_is_both() -> None:
    ext = bytes(1080) + b"\x53\xef"
    disk = disk_with((0, mbr((0x83, 4000, 100)) + ext[512:]), (4000, XFS))
    assert told(places(disk)[1]) == [(0, 0, "ext"), (1, 4000, "XFS")]


def test_what_is_past_the_end_is_no_place() -> None:
    disk = disk_with((0, mbr((0x83, 8, 100), (0x83, SIZE // 512 - 1, 2))))
    assert told(places(disk)[1]) == [(1, 8, "")]


READABLE = {"XFS", "ext"}


def test_the_only_file_system_is_meant() -> None:
    table = mbr((0x82, 1000, 100), (0x83, 4000, 100))
    disk = disk_with((0, table), (1000, SWAP), (4000, XFS))
    assert chosen_place(disk, None, READABLE).number == 2
    assert chosen_place(disk, 2, READABLE).number == 2
    assert chosen_place(disk_with((0, XFS)), 0, READABLE).number == 0


def test_who_means_none_is_told_what_there_is() -> None:
    table = mbr((0x82, 1000, 100), (0x83, 4000, 2048), (0x83, 8000, 100))
    disk = disk_with((0, table), (1000, SWAP), (4000, XFS), (8000, XFS))
    two = r"2 \(XFS, 1 MiB\); 3 \(XFS, 50 KiB\)"
    with pytest.raises(UnsupportedError, match=rf"several .*, --partition says which: {two}$"):
        chosen_place(disk, None, READABLE)
    with pytest.raises(UnsupportedError, match=rf"no partition 4; there are: {two}$"):
        chosen_place(disk, 4, READABLE)
    with pytest.raises(UnsupportedError, match=r"can be read in 1 \(swap, 50 KiB\); there are: "):
        chosen_place(disk, 1, READABLE)
    with pytest.raises(UnsupportedError, match=r"; there are: 0 \(not known here, 8 MiB\)$"):
        chosen_place(disk_with(), None, READABLE)
    lost = disk_with((0, mbr((0xEE, 1, 0xFFFFFFFF))))
    with pytest.raises(UnsupportedError, match="neither copy of the GPT is valid"):
        chosen_place(lost, None, READABLE)


@pytest.mark.slow
@pytest.mark.parametrize("label", ["dos", "gpt"])
def test_numbers_are_those_of_sfdisk(label: str, tmp_path: Path) -> None:
    lines = {
        "dos": "2048,2048,83\n4096,8192,5\n6144,1024,83\n10240,1024,82\n",
        "gpt": 'start=2048,size=2048,name="ü"\nstart=8192,size=64\nstart=5000,size=100,name="x"\n',
    }[label]
    raw = blank(tmp_path / "disk.raw", SIZE)
    tool("sfdisk", "-q", raw, text=f"label: {label}\n{lines}")
    listed = json.loads(tool("sfdisk", "-J", raw))["partitiontable"]["partitions"]
    expected = {
        (int(part["node"].removeprefix(str(raw))), part["start"] * 512, part["size"] * 512)
        for part in listed
        if part["type"] != "5"
    }
    with vhdx_kaitai.open(image_of(raw)) as disk:
        _, found = places(disk)
    assert {
        (place.number, place.volume.start, place.volume.end - place.volume.start) for place in found
    } == expected
    if label == "gpt":
        told = {
            place.number: (place.partition.name, place.partition.guid, place.partition.kind)
            for place in found
            if place.partition is not None
        }
        assert told == {
            number: (part.get("name", ""), part["uuid"].lower(), part["type"].lower())
            for number, part in enumerate(listed, 1)
        }
