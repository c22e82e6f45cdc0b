"""Reading, for images nobody thought of: what comes out is what the model says, or an error.

Chains of one to five images of any type, state, sector and block size, each of its own length, each
with a clean, stale or dirty log; then the same with the block allocation table and the sector
bitmaps changed, held against a reader that is as slow and plain as the text [MS-VHDX 2.4, 2.5].
"""

from __future__ import annotations

import io
import tempfile
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

import vhdx_kaitai
from tests.images import strategies
from tests.images.chain import Chain, child_of, write_guid
from tests.images.dirty import dirty
from tests.images.image import Built, Layout
from tests.images.model import Model, NoParentError
from tests.images.structures import BAT_REGION, MIB, bat_entry
from tests.reading_fixtures import (
    CANARY,
    Row,
    assert_adjacent,
    assert_same,
    contents,
    disk_extents,
    model_extents,
    opened_chain,
)
from vhdx_kaitai.errors import ParentNotFoundError, VhdxError
from vhdx_kaitai.reading.disk import Disk

LONGEST = 5 * MIB


def share(part: int) -> settings:
    """Return settings for that part of the usual number of examples."""
    return settings(max_examples=max(10, settings().max_examples // part))


# -- what is drawn ------------------------------------------------------------------------------


@st.composite
def any_chains(draw: st.DrawFn, /, max_depth: int = 5) -> Chain:
    """Draw a chain of 1 to `max_depth` files; children may be larger or smaller than parents."""
    depth = draw(st.integers(1, max_depth))
    first: dict[str, Any] = {
        "types": ("fixed", "dynamic"),
        "data_write_guid": write_guid(0),
        "tag": 1,
    }
    built = [draw(strategies.layouts(max_blocks=6, max_stored=3, **first)).build()]
    names = ["base.vhdx"]
    for index in range(1, depth):
        image = child_of(
            built[-1],
            names[-1],
            tag=index + 1,
            block_size=draw(st.sampled_from((MIB, 2 * MIB, 4 * MIB))),
            data_write_guid=write_guid(index),
            file_write_guid=write_guid(1000 + index),
        )
        if draw(st.integers(0, 3)) == 0:
            sector = image.logical_sector_size
            image = image.but(virtual_disk_size=sector * draw(st.integers(1, 9 * MIB // sector)))
        image = image.but(blocks=draw(strategies.block_maps(image, max_stored=3)))
        built.append(draw(strategies.layouts(image)).build())
        names.append(f"child{index}.vhdx")
    return Chain(built, names)


class Request(NamedTuple):
    """A range that is asked for."""

    offset: int
    length: int


@st.composite
def requests(draw: st.DrawFn, /, size: int, count: int = 12) -> list[Request]:
    """Draw ranges of a disk: of a byte to 5 MiB, across sectors and blocks, or aligned."""
    drawn = []
    edges = st.integers(0, size // MIB).map(lambda number: number * MIB)
    nearby = st.sampled_from((-4096, -513, -512, -511, -1, 0, 1, 511, 512, 4095, 4096))
    for _ in range(count):
        around = draw(edges) + draw(nearby)
        offset = draw(st.sampled_from((around, draw(st.integers(0, size - 1)))))
        offset = min(max(0, offset), size - 1)
        length = draw(
            st.sampled_from((1, 2, 511, 512, 513, 4096, 65536, MIB, 3 * MIB + 5, LONGEST))
            | st.integers(1, LONGEST)
        )
        drawn.append(Request(offset, length))
    return drawn


def disk_of(made: Chain, kind: str, folder: str) -> Disk:
    """Open a chain: in memory, from files, or its newest image from a file object."""
    if kind == "memory":
        return opened_chain(made)
    made.write(folder)
    if kind == "files":
        return vhdx_kaitai.open(made.path)
    return vhdx_kaitai.open(io.BytesIO(made.path.read_bytes()), search=[folder])


KINDS = st.sampled_from(("memory", "files", "file object"))


# -- sound images -------------------------------------------------------------------------------


@given(st.data(), any_chains(), KINDS)
def test_every_request_reads_as_the_model_says(data: st.DataObject, made: Chain, kind: str) -> None:
    whole = contents(made.model)
    drawn = data.draw(requests(len(whole)))
    with tempfile.TemporaryDirectory() as folder, disk_of(made, kind, folder) as disk:
        assert disk.size == len(whole)
        file = disk.open()
        for offset, length in drawn:
            expected = whole[offset : offset + length]
            buffer = bytearray([CANARY]) * length
            assert disk.readinto_at(buffer, offset) == len(expected)
            assert_same(buffer, expected + bytes([CANARY]) * (length - len(expected)), offset)
            assert_same(disk.pread(length, offset), expected, offset)
            assert file.seek(offset) == offset
            assert_same(file.read(length), expected, offset)
            assert file.tell() == offset + len(expected)


def stored(made: Chain, extent: Row) -> bytes:
    """Return the bytes of an extent from the file that it says they are in, after replay."""
    built = made.images[-1 - extent[3]]
    assert extent[4] is not None
    return built.replayed().read(extent[4], extent[1])


@share(2)
@given(st.data(), any_chains())
def test_extents_are_those_of_the_model_and_the_bytes_are_there(
    data: st.DataObject, made: Chain
) -> None:
    whole = contents(made.model)
    with opened_chain(made) as disk:
        extents = disk_extents(disk)
        assert extents == model_extents(made.model)
        assert_adjacent(extents, 0, disk.size)
        for one, two in pairwise(extents):
            merges = one[2:4] == two[2:4] and one[5] == two[5]
            if merges:  # only a gap between them in the file keeps them apart
                assert one[4] is not None
                assert two[4] is not None
                assert one[4] + one[1] != two[4]
        for extent in extents:
            expected = whole[extent[0] : extent[0] + extent[1]]
            if extent[5] == "zero":
                assert not any(expected)
                assert extent[4] is None
            else:
                assert_same(stored(made, extent), expected, extent[0])
        for offset, length in data.draw(requests(disk.size)):
            length = min(length, disk.size - offset)
            part = disk_extents(disk, offset, length)
            assert part == model_extents(made.model, offset, length)
            assert_adjacent(part, offset, length)
            assert set(part) <= {cut(extent, offset, length) for extent in extents}


def cut(extent: Row, offset: int, length: int) -> Row:
    """Return what of an extent is in a range."""
    start, size, state, depth, place, kind = extent
    low, high = max(start, offset), min(start + size, offset + length)
    return low, high - low, state, depth, None if place is None else place + low - start, kind


@share(3)
@given(st.data(), strategies.images(types=("differencing",)))
def test_without_its_parent_an_image_gives_its_own_bytes_and_no_others(
    data: st.DataObject, built: Built
) -> None:
    source = built.to_bytes()
    with vhdx_kaitai.open(source, resolve_parents=False) as disk:
        assert disk_extents(disk) == model_extents(built.model)
        for offset, length in data.draw(requests(disk.size)):
            length = min(length, disk.size - offset)
            try:
                expected = built.model.read(offset, length)
            except NoParentError:
                raised = False
                try:
                    disk.pread(length, offset)
                except ParentNotFoundError:
                    raised = True
                assert raised
            else:
                assert_same(disk.pread(length, offset), expected, offset)


@share(3)
@given(st.data(), strategies.wide_images(types=("fixed", "dynamic")))
def test_disks_of_several_chunks_read_as_the_model_says(data: st.DataObject, built: Built) -> None:
    model = built.model
    blocks = [*built.image.blocks, *range(min(3, model.geometry.payload_blocks))]
    with tempfile.TemporaryDirectory() as folder:
        path = built.write(Path(folder) / "wide.vhdx")
        with vhdx_kaitai.open(path) as disk:
            assert disk_extents(disk) == model_extents(model)
            for _ in range(8):
                edge = model.block_size * data.draw(st.sampled_from(blocks))
                edge += data.draw(st.integers(-70000, 70000))
                offset = min(max(0, edge), disk.size - 1)
                length = min(data.draw(st.integers(1, 200_000)), disk.size - offset)
                assert_same(disk.pread(length, offset), model.read(offset, length), offset)


# -- damaged images -----------------------------------------------------------------------------


class Plain:
    """A reader of one image as slow and plain as the text, that knows nothing of the package.

    It takes the block allocation table and the sector bitmaps from the file, as they are, and the
    rest from the description.
    """

    def __init__(self, layout: Layout, parent: Model | None) -> None:
        built = layout.build()
        self.image = layout.image
        self.file = built.replayed().to_bytes()
        self.bat = layout.bat_offset
        self.parent = parent
        taken = [(0, MIB), (layout.log_offset, self.image.log_length)]
        taken += [(entry.file_offset, entry.length) for entry in layout.region_tables[0].entries]
        self.taken = taken

    def entry(self, index: int) -> int:
        """Return an entry of the table."""
        start = self.bat + index * 8
        return int.from_bytes(self.file[start : start + 8], "little")

    def read(self, offset: int, length: int) -> tuple[bytes, bool]:
        """Return the bytes of a range, and whether a reader may refuse them nevertheless.

        Raises:
            ValueError: It must refuse them.
        """
        parts, doubtful = [], False
        size = self.image.block_size
        while length:
            block = offset // size
            step = min(length, size - offset % size)
            data, doubt = self._read_block(block, offset, step)
            parts.append(data)
            doubtful |= doubt
            offset, length = offset + step, length - step
        return b"".join(parts), doubtful

    def _read_block(self, block: int, offset: int, length: int) -> tuple[bytes, bool]:
        entry = self.entry(self.image.geometry.index(block))
        state, place = entry & 7, entry >> 20 << 20
        if entry & 0xFFFF8 or state in (4, 5) or (state == 7 and not self.image.has_parent):
            raise ValueError("the entry is invalid")
        if state == 0 and self.image.has_parent:
            return self._parents(offset, length), False
        if state in (0, 1, 2, 3):
            return bytes(length), False
        inside = offset % self.image.block_size
        doubtful = self._overlaps(place, self.image.block_size)
        if place == 0:
            raise ValueError("the block has no place")
        if state == 6:
            return self._stored(place + inside, length), doubtful
        data, cut = self._partial(block, place, offset, length)
        return data, doubtful or cut

    def _stored(self, place: int, length: int) -> bytes:
        if place + length > len(self.file):
            raise ValueError("the bytes are not in the file")
        return self.file[place : place + length]

    def _partial(self, block: int, place: int, offset: int, length: int) -> tuple[bytes, bool]:
        chunk = block // self.image.geometry.chunk_ratio
        entry = self.entry(self.image.geometry.bitmap_index(chunk))
        bitmap = entry >> 20 << 20
        if entry & 0xFFFFF != 6 or bitmap == 0 or bitmap + MIB > len(self.file):
            raise ValueError("the sector bitmap is invalid")
        doubtful = self._overlaps(bitmap, MIB)
        sector_size = self.image.logical_sector_size
        start = block * self.image.block_size
        # Who refuses a block that is cut may refuse all of it, the parent's sectors included.
        doubtful |= place + offset - start + length > len(self.file)
        out = bytearray()
        while length:
            sector = offset // sector_size
            step = min(length, sector_size - offset % sector_size)
            bit = sector % (1 << 23)
            if self.file[bitmap + bit // 8] >> bit % 8 & 1:
                out += self._stored(place + offset - start, step)
            else:
                out += self._parents(offset, step)
            offset, length = offset + step, length - step
        return bytes(out), doubtful

    def _parents(self, offset: int, length: int) -> bytes:
        assert self.parent is not None
        whole = contents(self.parent)
        data = whole[offset : offset + length]
        return data + bytes(length - len(data))

    def _overlaps(self, place: int, length: int) -> bool:
        return any(start < place + length and place < start + size for start, size in self.taken)


@dataclass(frozen=True)
class Damaged:
    """An image whose table and bitmaps say what they like; its fields would fill a screen."""

    layout: Layout = field(repr=False)
    parent: Model | None = field(repr=False)
    changes: tuple[str, ...]


@st.composite
def damaged_images(draw: st.DrawFn) -> Damaged:
    """Draw an image with or without a parent, its table and bitmaps changed."""
    parent, changes = None, []
    if draw(st.booleans()):
        parent = draw(strategies.images(types=("fixed", "dynamic"), may_be_dirty=False)).model
        image = child_of(parent, block_size=draw(st.sampled_from((MIB, 2 * MIB))), tag=2)
        image = image.but(blocks=draw(strategies.block_maps(image)))
    else:
        image = draw(strategies.descriptions(types=("fixed", "dynamic")))
    layout = image.layout()
    geometry = image.geometry
    end = layout.pack().length
    indices = [geometry.index(block) for block in range(geometry.payload_blocks)]
    if image.has_parent:
        indices += [geometry.bitmap_index(chunk) for chunk in range(geometry.sector_bitmap_blocks)]
    places = st.sampled_from([*layout.payload.values(), 0, end - MIB, end, 1 << 44]) | st.integers(
        0, end // MIB + 1
    ).map(lambda number: number * MIB)
    for index in draw(st.lists(st.sampled_from(indices), min_size=1, max_size=4)):
        if draw(st.integers(0, 3)):
            state = draw(st.sampled_from((0, 1, 2, 3, 4, 5, 6, 6, 6, 7, 7)))
            reserved = draw(st.sampled_from((0, 0, 0, 0, 1, 1 << 16)))
            layout.bat[index] = bat_entry(state, draw(places), reserved)
        else:
            layout.bat[index] = draw(st.integers(0, (1 << 64) - 1))
        changes.append(f"entry {index} is {layout.bat[index]:#x}")
    for bitmap in layout.bitmaps.values():
        for noise in draw(st.lists(st.binary(min_size=1, max_size=40), max_size=3)):
            at = draw(st.integers(0, geometry.payload_blocks * image.block_size // 512 // 8))
            layout.patch(bitmap.file_offset + min(at, MIB - 40), noise)
            changes.append(f"bits from byte {at} on are {noise.hex()}")
    if draw(st.integers(0, 3)) == 0:
        layout.file_length = draw(st.integers(last_structure(layout), end))
        changes.append(f"the file is {layout.file_length} bytes long")
    elif draw(st.booleans()):
        layout = dirty(layout, hide=("bat",))
    return Damaged(layout, parent, tuple(changes))


def last_structure(layout: Layout) -> int:
    """Return where the part of the file ends without which it cannot be opened."""
    ends = [layout.log_offset + layout.image.log_length]
    ends += [entry.file_offset + entry.length for entry in layout.region_tables[0].entries]
    return max(ends)


@given(st.data(), damaged_images())
def test_a_damaged_table_gives_the_bytes_it_names_or_an_error(
    data: st.DataObject, damaged: Damaged
) -> None:
    """Never other bytes, never fewer, and no error where nothing is wrong."""
    layout, parent = damaged.layout, damaged.parent
    plain = Plain(layout, parent)
    options: dict[str, Any] = {}
    if parent is not None:
        options["parent"] = Built(parent._layout).to_bytes()
    with vhdx_kaitai.open(layout.build().to_bytes(), **options) as disk:
        size, block = disk.size, layout.image.block_size
        ranges = [Request(at, min(block, size - at)) for at in range(0, size, block)]
        for offset, length in [*ranges, *data.draw(requests(size, 6))]:
            length = min(length, size - offset)
            buffer = bytearray([CANARY]) * length
            try:
                expected, may_be_refused = plain.read(offset, length)
            except ValueError:
                expected, may_be_refused = None, True
            try:
                count = disk.readinto_at(buffer, offset)
            except VhdxError:
                assert may_be_refused
                continue
            assert expected is not None
            assert count == length
            assert_same(buffer, expected, offset)
            assert_same(disk.pread(length, offset), expected, offset)
            assert_adjacent(disk_extents(disk, offset, length), offset, length)


@share(3)
@given(st.data(), any_chains(max_depth=3))
def test_a_chain_of_cut_files_gives_right_bytes_or_an_error(
    data: st.DataObject, made: Chain
) -> None:
    """Whatever is cut off whichever file; requests that need nothing of it go on as before."""
    whole = contents(made.model)
    level = data.draw(st.integers(0, len(made.images) - 1))
    built = made.images[level]
    length = data.draw(st.integers(0, built.length))
    with tempfile.TemporaryDirectory() as folder:
        made.write(folder)
        with made.paths[level].open("r+b") as file:
            file.truncate(length)
        try:
            disk = vhdx_kaitai.open(made.path)
        except VhdxError:
            table = built.layout.region_tables[0].find(BAT_REGION)
            needed = max(last_structure(built.layout), table.file_offset + table.length)
            assert length < needed or built.model.log.state == "dirty"
            return
        with disk:
            for offset, size in data.draw(requests(len(whole))):
                expected = whole[offset : offset + size]
                try:
                    read = disk.pread(size, offset)
                except VhdxError:
                    assert needs_cut_bytes(made, level, length, offset, len(expected))
                else:
                    assert_same(read, expected, offset)


def needs_cut_bytes(made: Chain, level: int, length: int, offset: int, size: int) -> bool:
    """Tell whether a request meets a block or bitmap of one image that is not all in its file."""
    layout = made.images[level].layout
    block_size = layout.image.block_size
    if any(bitmap.file_offset + MIB > length for bitmap in layout.bitmaps.values()):
        return True
    for number, place in layout.payload.items():
        start = number * block_size
        if place + block_size > length and start < offset + size and offset < start + block_size:
            return True
    return False
