"""BAT and metadata are found by what is there, when no region table names them, or not at all."""

from __future__ import annotations

import pytest

from tests.format.test_rescue import CLEAN, assert_rescued, damaged, opened
from tests.images.image import Block, Layout, dynamic
from tests.images.sparse import Sparse
from tests.images.structures import KIB, MIB, REGION_TABLE_OFFSETS
from tests.reading_fixtures import assert_reads_throughout
from tests.support import good
from vhdx_kaitai.errors import FormatError


@pytest.mark.parametrize(
    "name",
    [name for name in CLEAN if any(block.is_stored for block in good(name).image.blocks.values())],
)
def test_tables_of_which_nothing_is_left(name: str) -> None:
    built = good(name)
    pieces = [(offset, 64 * KIB) for offset in REGION_TABLE_OFFSETS]
    message = assert_rescued(built, damaged(built, *pieces), "regions", "region table")
    assert f"BAT at {built.layout.bat_offset:#x}" in message


def nested() -> Layout:
    """Return an image whose first block is another image, metadata and BAT included."""
    inner = dynamic(9 * MIB, blocks={n: Block() for n in range(9)}).build()
    data = inner.file.read(0, inner.length)
    size = 16 * MIB
    block = Block(data=Sparse(size, {0: data[:size]}))
    return dynamic(64 * MIB, block_size=size, blocks={0: block, 2: Block()}).layout()


def test_an_image_in_an_image_is_not_taken_for_it() -> None:
    """Its metadata stand at a multiple of 1 MiB, too, but later in the file."""
    built = nested().build()
    file = damaged(built, *[(offset, 64 * KIB) for offset in REGION_TABLE_OFFSETS])
    with opened(file, regions="assume") as disk:
        assert disk.image.regions.bat.file_offset == built.layout.bat_offset
        assert_reads_throughout(disk, built.model)


@pytest.mark.parametrize("edit", ["no metadata", "no BAT", "nothing stored"])
def test_what_is_not_found_is_not_invented(edit: str) -> None:
    blocks = {} if edit == "nothing stored" else {0: Block(), 3: Block()}
    built = dynamic(8 * MIB, blocks=blocks).build()
    pieces: list[tuple[int, bytes | int]] = [(at, 64 * KIB) for at in REGION_TABLE_OFFSETS]
    if edit == "no metadata":
        pieces.append((built.layout.metadata_offset, 8))
    if edit == "no BAT":
        pieces.append((built.layout.bat_offset, b"\xff" * 8))
    with pytest.raises(FormatError, match="REG-04"):
        opened(damaged(built, *pieces), regions="assume")
