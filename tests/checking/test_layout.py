"""What a file is made of is what its builder has put there, and what nobody has put is nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.images.goods import GOODS
from tests.images.image import Block, Built, Layout, differencing, dynamic, partial
from tests.images.structures import FULLY_PRESENT, KIB, MIB, PARTIALLY_PRESENT, UNDEFINED, UNMAPPED
from tests.support import SparseSource, damaged, good
from vhdx_kaitai import fast
from vhdx_kaitai.checking import layout as laying
from vhdx_kaitai.checking.layout import KINDS, Past, layout
from vhdx_kaitai.errors import FormatError
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.storage.source import open_source

SMALL = [name for name in GOODS if good(name).length < 256 * MIB]


def found_in(made: Layout | Built) -> laying.Layout:
    built = made.build() if isinstance(made, Layout) else made
    image = Image(SparseSource(built.file))
    return layout(image.stored, image)


def totals(found: laying.Layout) -> dict[str, int]:
    return {k: found.cells.total(n) for n, k in enumerate(KINDS) if found.cells.total(n)}


def ranges_by_kind(made: Layout) -> Iterator[tuple[str, int, int]]:
    """What the builder has put where, as far as the layout knows it."""
    header = made.headers[0]
    yield "log", header.log_offset or 0, header.log_length or 0
    for kind, name in (("bat", "bat"), ("metadata", "metadata"), ("sector_bitmap", "bitmaps")):
        yield from ((kind, *place) for place in made.ranges(name))
    for block in range(made.image.geometry.payload_blocks):
        state, place = made.entry(block) & 7, made.entry(block) >> 20
        if place and state in (UNDEFINED, UNMAPPED, FULLY_PRESENT, PARTIALLY_PRESENT):
            kind = "payload" if state >= FULLY_PRESENT else "kept"
            yield kind, place * MIB, made.image.block_size


@pytest.mark.parametrize("name", SMALL)
def test_parts_are_what_the_builder_has_put_there_and_cover_the_file(name: str) -> None:
    built = good(name)
    found = found_in(built)
    assert found.is_exact
    assert found.parts is not None
    assert [part.start for part in found.parts] == [0, *(part.end for part in found.parts[:-1])]
    assert found.parts[-1].end == found.size
    assert sum(totals(found).values()) == found.size
    for kind, start, length in ranges_by_kind(built.layout):
        for part in found.parts:
            if part.start < start + length and start < part.end:
                assert part.kind in (kind, "several"), (kind, part)
    assert [part.name for part in found.parts if part.kind == "headers"][:9] == [
        "file type identifier",
        "reserved",
        "header 1",
        "reserved",
        "header 2",
        "reserved",
        "region table 1",
        "region table 2",
        "reserved",
    ]


def test_what_nothing_refers_to_is_nothing() -> None:
    made = dynamic(8 * MIB, blocks={0: Block(), 5: Block()}, gap=3 * MIB).layout()
    taken = {
        at // MIB
        for _, start, length in ranges_by_kind(made)
        for at in range(start, start + length, MIB)
    }
    found = found_in(made)
    assert found.parts is not None
    free = [part for part in found.parts if part.kind == "nothing"]
    empty = {at // MIB for part in free for at in range(part.start, part.end, MIB)}
    assert empty == set(range(1, found.size // MIB)) - taken
    assert empty


def test_what_several_things_claim_belongs_to_none_of_them() -> None:
    made = dynamic(4 * MIB, blocks={number: Block() for number in range(4)}).layout()
    made.set_entry(1, FULLY_PRESENT, made.payload[0])
    made.set_entry(2, FULLY_PRESENT, made.log_offset)
    found = found_in(made)
    assert found.parts is not None
    several = [(part.start, part.end, part.name) for part in found.parts if part.kind == "several"]
    first, log = made.payload[0], made.log_offset
    assert several == [(log, log + MIB, "log, payload"), (first, first + MIB, "payload")]


def test_what_lies_past_the_end_is_counted_with_how_far_it_reaches() -> None:
    made = dynamic(4 * MIB, blocks={number: Block() for number in range(4)}).layout()
    made.set_entry(1, FULLY_PRESENT, 1 << 40)
    made.set_entry(2, FULLY_PRESENT, 1 << 50)
    made.set_entry(3, UNMAPPED, made.pack().length)
    found = found_in(made)
    end = found.size + MIB
    assert found.past == [Past("payload", 2, (1 << 50) + MIB), Past("kept", 1, end)]


@pytest.fixture(params=["with numpy", "without"])
def many(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way in which images with many blocks are looked at."""
    monkeypatch.setattr(laying, "FEW_BLOCKS", 1)
    monkeypatch.setattr("vhdx_kaitai.checking.survey.WORTHWHILE_ENTRIES", 0)
    if request.param == "without":
        monkeypatch.setitem(sys.modules, "numpy", None)
        monkeypatch.setattr(fast, "_is_missed", False)
    return str(request.param)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("name", SMALL)
def test_many_blocks_come_to_the_same_amounts(name: str) -> None:
    built = good(name)
    found = found_in(built)
    expected = dict.fromkeys(KINDS, 0)
    for kind, _, length in ranges_by_kind(built.layout):
        expected[kind] += length
    found_kinds = totals(found)
    for kind in ("payload", "kept", "sector_bitmap", "log", "bat", "metadata"):
        assert found_kinds.get(kind, 0) == expected[kind], kind


@pytest.mark.usefixtures("many")
def test_many_parts_are_told_in_cells_which_have_each_block_where_it_is() -> None:
    count = 3 * laying.MOST_CELLS
    blocks = {number: Block(data=b"") for number in range(count)}
    order = [number * 7 % count for number in range(count)]
    made = dynamic(count * 2 * MIB, block_size=2 * MIB, blocks=blocks, block_order=order).layout()
    made.set_entry(5, FULLY_PRESENT, 1 << 45)
    found = found_in(made)
    assert found.parts is None
    assert not found.is_exact
    assert found.past == [Past("payload", 1, (1 << 45) + 2 * MIB)]
    length = found.cells.length
    payload = [0] * found.cells.count
    for block, offset in made.payload.items():
        for at in range(offset, offset + 2 * MIB, MIB) if block != 5 else ():
            payload[at // length] += MIB
    cells = [dict(parts) for number, parts in found.cells.alike() for _ in range(number)]
    assert [cell.get(KINDS.index("payload"), 0) for cell in cells] == payload
    assert found.cells.total(KINDS.index("nothing")) == 2 * MIB + -found.size % (2 * MIB)


def test_a_file_with_more_parts_than_are_listed_is_told_in_cells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(laying, "MOST_PARTS", 5)
    found = found_in(dynamic(blocks={0: Block()}).layout())
    assert found.parts is None
    assert found.is_exact


def test_sector_bitmaps_are_told() -> None:
    image = differencing(4 * MIB, blocks={0: partial(range(8))})
    assert totals(found_in(image.layout()))["sector_bitmap"] == MIB


@pytest.mark.parametrize(
    "name", ["both-header-checksums-wrong", "both-region-table-checksums-wrong"]
)
def test_of_a_file_that_does_not_open_is_told_what_can_be_found(name: str) -> None:
    built = damaged(name)
    found = layout(SparseSource(built.file), None)
    assert found.unknown == ("blocks, and what nothing refers to", "the image does not open")
    assert totals(found)["headers"] == MIB
    assert "nothing" not in totals(found)
    assert totals(found)["unknown"] > 0


def test_what_is_no_image_has_no_layout() -> None:
    with pytest.raises(FormatError, match="FTI-01"):
        layout(open_source(b"MZ" * KIB), None)
