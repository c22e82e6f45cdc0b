"""Hypothesis strategies: images with their models, and files gone wild.

`images()` gives small images of every type, state and sector size; `wide_images()` sparse ones
with large blocks and several chunks, to be written to a file; `chains()` chains; `wild_files()`
images in which anything may be wrong, most of it under right checksums.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from .chain import Chain, child_of, write_guid
from .dirty import STRUCTURES, dirty
from .image import (
    Block,
    Built,
    DiskType,
    Image,
    Layout,
    Region,
    differencing,
    dynamic,
    fixed,
    partial,
)
from .log import Data, Entry, Log, Zero
from .structures import (
    FULLY_PRESENT,
    GIB,
    IS_USER,
    IS_VIRTUAL_DISK,
    MIB,
    NOT_PRESENT,
    PARTIALLY_PRESENT,
    UNDEFINED,
    UNMAPPED,
    ZERO,
    ZERO_GUID,
    MetadataItem,
)

TYPES: tuple[DiskType, ...] = ("fixed", "dynamic", "differencing")
_ABSENT = (NOT_PRESENT, UNDEFINED, ZERO, UNMAPPED)


def guids() -> st.SearchStrategy[UUID]:
    """Return GUIDs that are not all zero."""
    return st.integers(1, (1 << 128) - 1).map(lambda number: UUID(int=number))


@st.composite
def sector_runs(draw: st.DrawFn, /, total: int) -> tuple[tuple[int, int], ...]:
    """Draw which of a block's `total` sectors are in this file, as merged runs."""
    cuts = draw(st.lists(st.integers(0, total), min_size=0, max_size=8, unique=True))
    cuts.sort()
    if len(cuts) % 2:
        cuts.append(total)
    pairs = zip(cuts[::2], cuts[1::2], strict=True)
    return tuple((first, stop) for first, stop in pairs if first < stop)


@st.composite
def block_maps(draw: st.DrawFn, /, image: Image, max_stored: int = 4) -> dict[int, Block]:
    """Draw blocks for an image, at most `max_stored` of them with contents."""
    total = image.geometry.payload_blocks
    per_block = image.block_size // image.logical_sector_size
    edges = {0, total - 1, image.geometry.chunk_ratio - 1, image.geometry.chunk_ratio}
    numbers = draw(
        st.lists(
            st.one_of(
                st.integers(0, total - 1),
                st.sampled_from(sorted(edge for edge in edges if 0 <= edge < total)),
            ),
            max_size=8,
            unique=True,
        )
    )
    blocks: dict[int, Block] = {}
    stored = 0
    for number in numbers:
        present = [FULLY_PRESENT, PARTIALLY_PRESENT] if image.has_parent else [FULLY_PRESENT]
        states = [*_ABSENT, *present] if stored < max_stored else list(_ABSENT)
        state = draw(st.sampled_from(states))
        stored += state in present
        if state == PARTIALLY_PRESENT:
            blocks[number] = partial(*draw(sector_runs(per_block)))
        else:
            bits = draw(sector_runs(per_block)) if image.has_parent and draw(st.booleans()) else ()
            blocks[number] = Block(state, present=bits)
    return blocks


@st.composite
def descriptions(
    draw: st.DrawFn,
    /,
    types: tuple[DiskType, ...] = TYPES,
    block_sizes: tuple[int, ...] = (MIB, 2 * MIB),
    max_blocks: int = 8,
    max_stored: int = 4,
    **fields: Any,
) -> Image:
    """Draw the description of an image without a log; `fields` are fixed beforehand."""
    disk_type = draw(st.sampled_from(types))
    logical = draw(st.sampled_from((512, 4096)))
    block_size = draw(st.sampled_from(block_sizes))
    sectors = max_blocks * block_size // logical
    size = logical * draw(st.integers(1, sectors) | st.just(sectors))
    values: dict[str, Any] = {
        "block_size": block_size,
        "logical_sector_size": logical,
        "physical_sector_size": draw(st.sampled_from((512, 4096))),
        "virtual_disk_id": draw(guids()),
        "data_write_guid": draw(guids()),
        "sequence_number": draw(st.integers(0, (1 << 64) - 1)),
        "order": draw(st.permutations(("log", "metadata", "bat", "regions", "blocks"))),
        "gap": MIB * draw(st.integers(0, 2)),
        "log_length": MIB * draw(st.integers(1, 2)),
        "metadata_length": MIB * draw(st.integers(1, 2)),
        "required": draw(st.sampled_from((0, 1))),
        "regions": draw(_regions()),
        "items": draw(_items()),
    }
    values |= fields
    make = {"fixed": fixed, "dynamic": dynamic, "differencing": differencing}[disk_type]
    if disk_type == "fixed":
        values.setdefault("others", draw(st.sampled_from((Block(ZERO), Block(NOT_PRESENT)))))
    image = make(size, **values)
    if "blocks" not in fields:
        image = image.but(blocks=draw(block_maps(image, max_stored)))
    if "block_order" not in fields:
        image = image.but(block_order=draw(st.permutations(stored_blocks(image))))
    return image


def stored_blocks(image: Image) -> list[int]:
    """Return the numbers of the named blocks with contents in the file."""
    return [number for number, block in sorted(image.blocks.items()) if block.is_stored]


@st.composite
def _regions(draw: st.DrawFn) -> list[Region]:
    ids = draw(st.lists(guids(), max_size=2, unique=True))
    return [Region(guid, MIB, data=b"unknown") for guid in ids]


@st.composite
def _items(draw: st.DrawFn) -> list[MetadataItem]:
    ids = draw(st.lists(guids(), max_size=3, unique=True))
    flags = st.sampled_from((0, IS_USER, IS_VIRTUAL_DISK, IS_USER | IS_VIRTUAL_DISK))
    return [MetadataItem(item, draw(st.binary(max_size=40)), draw(flags)) for item in ids]


@st.composite
def layouts(
    draw: st.DrawFn, /, image: Image | None = None, *, may_be_dirty: bool = True, **fields: Any
) -> Layout:
    """Draw a layout: an image with either header newer, and a clean, stale or dirty log."""
    description = draw(descriptions(**fields)) if image is None else image
    kind = draw(st.sampled_from(("clean", "stale", "dirty", "dirty")))
    if kind != "dirty" or not may_be_dirty:
        layout = description.layout()
        if kind == "stale":
            junk = Entry([Data(layout.bat_offset, b"\xa5" * 4096)], sequence_number=5)
            at = 4096 * draw(st.integers(0, description.log_length // 4096 - 1))
            junk.at = at
            layout.log = Log(draw(guids()), [junk], description.log_length)
    else:
        layout = dirty(
            description,
            hide=draw(st.sets(st.sampled_from(STRUCTURES))),
            junk=draw(st.booleans()),
            split=draw(st.sampled_from((None, 1, 2, 7))),
            at=4096 * draw(st.integers(0, description.log_length // 4096 - 1)),
            first_sequence_number=draw(st.integers(1, (1 << 64) - 1000)),
            guid=draw(guids()),
            empty_first=draw(st.booleans()),
        )
    if draw(st.booleans()):
        layout.headers.reverse()
    return layout


@st.composite
def images(draw: st.DrawFn, /, **fields: Any) -> Built:
    """Draw a good image of at most some 20 MiB; `.model` says what it means.

    Differencing images have no parent: their model raises `NoParentError` where one is needed.
    Keywords are those of `layouts` and `descriptions`, or fields of `Image` to fix.
    """
    return draw(layouts(**fields)).build()


@st.composite
def wide_images(draw: st.DrawFn, /, **fields: Any) -> Built:
    """Draw a sparse image of up to 48 blocks of up to 256 MiB, several chunks long."""
    sizes = (MIB, 32 * MIB, 256 * MIB)
    return draw(layouts(block_sizes=sizes, max_blocks=48, max_stored=6, **fields)).build()


@st.composite
def chains(draw: st.DrawFn, /, max_depth: int = 4) -> Chain:
    """Draw a chain of 2 to `max_depth` files, written nowhere yet."""
    depth = draw(st.integers(2, max_depth))
    base = draw(layouts(types=("fixed", "dynamic"), data_write_guid=write_guid(0), tag=1))
    built = [base.build()]
    names = ["base.vhdx"]
    for index in range(1, depth):
        image = child_of(
            built[-1],
            names[-1],
            tag=index + 1,
            block_size=draw(st.sampled_from((MIB, 2 * MIB))),
            data_write_guid=write_guid(index),
            file_write_guid=write_guid(1000 + index),
        )
        image = image.but(blocks=draw(block_maps(image)))
        built.append(draw(layouts(image)).build())
        names.append(f"child{index}.vhdx")
    return Chain(built, names)


# -- anything may be wrong ----------------------------------------------------------------------


def _numbers(bits: int) -> st.SearchStrategy[int]:
    """Return numbers that fit, those near limits and MiB boundaries more often."""
    last = (1 << bits) - 1
    near = [0, 1, 7, 511, 512, 4095, 4096, 65535, 65536, MIB - 1, MIB, 2 * MIB, 3 * MIB, 5 * MIB]
    near += [8 * MIB, 512 * MIB, 4 * GIB, 1 << 46, (1 << 46) + 512, last - MIB + 1, last - 4095]
    near += [last]
    fitting = sorted({number for number in near if 0 <= number <= last})
    return st.sampled_from(fitting) | st.integers(0, last)


_HEADER_FIELDS = {
    "sequence_number": 64,
    "log_version": 16,
    "version": 16,
    "log_length": 32,
    "log_offset": 64,
    "checksum": 32,
}
_REGION_FIELDS = {"file_offset": 64, "length": 32, "required": 32}
_TABLE_FIELDS = {"entry_count": 32, "reserved": 32, "checksum": 32}
_ITEM_FIELDS = {"offset": 32, "length": 32, "flags": 32, "reserved2": 32}
_ENTRY_FIELDS = {
    "entry_length": 32,
    "tail": 32,
    "sequence_number": 64,
    "descriptor_count": 32,
    "reserved": 32,
    "flushed_file_offset": 64,
    "last_file_offset": 64,
    "checksum": 32,
}
_DATA_FIELDS = {"file_offset": 64, "sequence_number": 64, "sector_high": 32, "sector_low": 32}
_ZERO_FIELDS = {"file_offset": 64, "sequence_number": 64, "length": 64, "reserved": 32}


def _set_one(draw: st.DrawFn, record: object, fields: dict[str, int]) -> None:
    name = draw(st.sampled_from(sorted(fields)))
    setattr(record, name, draw(_numbers(fields[name])))


def _spoil_headers(draw: st.DrawFn, layout: Layout) -> None:
    header = draw(st.sampled_from(layout.headers))
    if draw(st.integers(0, 5)) == 0:
        header.log_guid = draw(st.sampled_from((ZERO_GUID, UUID(int=9))))
    else:
        _set_one(draw, header, _HEADER_FIELDS)


def _spoil_tables(draw: st.DrawFn, layout: Layout) -> None:
    both = draw(st.booleans())
    tables = layout.region_tables if both else [draw(st.sampled_from(layout.region_tables))]
    name = draw(st.sampled_from(sorted(_TABLE_FIELDS) + sorted(_REGION_FIELDS) * 2))
    if name in _TABLE_FIELDS:
        value = draw(_numbers(_TABLE_FIELDS[name]))
        for table in tables:
            setattr(table, name, value)
        return
    value = draw(_numbers(_REGION_FIELDS[name]))
    index = draw(st.integers(0, len(layout.region_tables[0].entries) - 1))
    for table in tables:
        setattr(table.entries[index], name, value)


def _spoil_metadata(draw: st.DrawFn, layout: Layout) -> None:
    item = draw(st.sampled_from(layout.metadata.items))
    if draw(st.booleans()) and item.data:
        data = bytearray(item.data)
        for _ in range(draw(st.integers(1, 4))):
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
        item.data = bytes(data)
    else:
        _set_one(draw, item, _ITEM_FIELDS)


def _spoil_bat(draw: st.DrawFn, layout: Layout) -> None:
    index = draw(st.integers(0, min(200, layout.image.geometry.entry_count)))
    layout.bat[index] = draw(
        st.integers(0, 40).map(lambda number: number * MIB | 6) | st.integers(0, 7) | _numbers(64)
    )


def _spoil_log(draw: st.DrawFn, layout: Layout) -> None:
    if layout.log is None or not layout.log.entries:
        return
    entry = draw(st.sampled_from(layout.log.entries))
    choice = draw(st.integers(0, 2))
    if choice == 0 or not entry.descriptors:
        _set_one(draw, entry, _ENTRY_FIELDS)
        return
    descriptor = draw(st.sampled_from(entry.descriptors))
    _set_one(draw, descriptor, _ZERO_FIELDS if isinstance(descriptor, Zero) else _DATA_FIELDS)


def _spoil_bytes(draw: st.DrawFn, layout: Layout) -> None:
    ranges = [(0, MIB), (layout.log_offset, 64 * 1024), (layout.metadata_offset, 128 * 1024)]
    start, length = draw(st.sampled_from([*ranges, (layout.bat_offset, 4096)]))
    layout.patch(start + draw(st.integers(0, length - 1)), draw(st.binary(min_size=1, max_size=9)))


def _spoil_length(draw: st.DrawFn, layout: Layout) -> None:
    layout.file_length = draw(st.integers(0, layout.file_length or 0))


_SPOILERS = (
    _spoil_headers,
    _spoil_tables,
    _spoil_metadata,
    _spoil_metadata,
    _spoil_bat,
    _spoil_log,
    _spoil_log,
    _spoil_bytes,
    _spoil_length,
)


@st.composite
def wild_files(draw: st.DrawFn, /, max_changes: int = 4, **fields: Any) -> Built:
    """Draw an image with 1 to `max_changes` things wrong, most of it under right checksums.

    It has no model to speak of; take `to_bytes()`, at most 64 MiB. (Drawn values live long, so
    this is not the bytes themselves.)
    """
    layout = draw(layouts(**fields))
    layout.file_length = layout.pack().length
    for _ in range(draw(st.integers(1, max_changes))):
        draw(st.sampled_from(_SPOILERS))(draw, layout)
    layout.file_length = min(layout.file_length or 0, 64 * MIB)
    return layout.build()
