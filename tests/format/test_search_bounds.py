"""The search for BAT and metadata takes no longer than reading the file does, whatever is in it."""

from __future__ import annotations

import struct

import pytest

from tests.format.test_rescue import damaged, opened
from tests.images.crc import sealed
from tests.images.dirty import dirty
from tests.images.image import Block, Built, dynamic
from tests.images.sparse import Sparse
from tests.images.structures import KIB, MIB, REGION_TABLE_OFFSETS
from tests.reading_fixtures import assert_reads_throughout
from tests.support import SparseSource
from vhdx_kaitai.errors import FormatError
from vhdx_kaitai.format import search
from vhdx_kaitai.reading.disk import open_disk

TABLES = [(offset, 64 * KIB) for offset in REGION_TABLE_OFFSETS]
LARGE_DISK = 16 << 40


def extended(built: Built, length: int) -> Sparse:
    """Return the file of an image without its region tables, with zeros at the end."""
    file = damaged(built, *TABLES)
    file.length = length
    return file


def test_zeros_are_read_once_however_long_the_bat_may_be() -> None:
    built = dynamic(LARGE_DISK, block_size=MIB, blocks={0: Block()}).build()
    assert built.layout.bat_length > 128 * MIB
    source = SparseSource(extended(built, built.length + 64 * MIB))
    with open_disk(source, regions="assume") as disk:
        assert disk.image.regions.bat.file_offset == built.layout.bat_offset
    assert source.bytes_read < 3 * source.size


def test_a_file_that_replay_makes_long_is_searched_where_it_has_data() -> None:
    built = dirty(dynamic(8 * MIB, blocks={0: Block(), 3: Block()})).build()
    data = bytearray(built.file.read(0, built.length))
    for at in range(MIB, 2 * MIB, 4 * KIB):  # LastFileOffset of all entries
        if data[at : at + 4] == b"loge":
            length = int.from_bytes(data[at + 8 : at + 12], "little")
            struct.pack_into("<Q", data, at + 56, 250 << 40)
            data[at : at + length] = sealed(bytes(data[at : at + length]))
    source = SparseSource(damaged(built, (0, bytes(data)), *TABLES))
    with open_disk(source, regions="assume") as disk:
        assert disk.image.replayed is not None
        assert disk.image.source.size >= 250 << 40
        assert_reads_throughout(disk, built.model)


def test_so_many_signatures_of_metadata_are_looked_at() -> None:
    built = dynamic(8 * MIB, blocks={0: Block()}).build()
    file = extended(built, 300 * MIB)
    for place in (built.layout.metadata_offset, *range(built.length, file.length, MIB)):
        file.put(place, b"metadata" + b"\xff" * 32)
    source = SparseSource(file)
    with pytest.raises(FormatError, match="REG-04"):
        open_disk(source, regions="assume")
    assert source.bytes_read < 2 * search._MOST_SIGNATURES * 64 * KIB


@pytest.mark.parametrize("is_found", [False, True])
def test_so_many_pages_are_taken_for_a_bat(is_found: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    built = dynamic(4096 * MIB, block_size=MIB, blocks={0: Block(), 4000: Block()}).build()
    pages = -(-4096 // 512)
    monkeypatch.setattr(search, "_MOST_PAGES", pages if is_found else pages - 1)
    file = damaged(built, *TABLES)
    if is_found:
        with opened(file, regions="assume") as disk:
            assert_reads_throughout(disk, built.model)
    else:
        with pytest.raises(FormatError, match="REG-04"):
            opened(file, regions="assume")
