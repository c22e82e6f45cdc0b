"""Every field of the grammar, where the builder put it, and nothing hidden by what is broken."""

from __future__ import annotations

import json
import time
import tracemalloc
from typing import Any
from uuid import UUID

import pytest

from tests.fields import ELEMENTS, FIELDS
from tests.images.bases import base_differencing
from tests.images.goods import GOODS
from tests.images.image import Block, Built, Layout, differencing, dynamic, partial, windows_locator
from tests.images.structures import (
    GIB,
    HEADER_OFFSETS,
    KIB,
    LOGICAL_SECTOR_SIZE,
    METADATA_REGION,
    MIB,
    REGION_TABLE_OFFSETS,
    UNMAPPED,
    VIRTUAL_DISK_SIZE,
    ZERO,
)
from tests.support import SparseSource, assert_valid, damaged, good
from vhdx_kaitai.errors import FormatError, VhdxError
from vhdx_kaitai.showing.tree import (
    MAX_ELEMENTS,
    MAX_RAW,
    MAX_TEXT,
    Node,
    PathError,
    Tree,
    node_document,
    tree_document,
    tree_text,
)


def tree_of(built: Built | Layout) -> Tree:
    """Return the tree of an image, without a file in between."""
    made = built.build() if isinstance(built, Layout) else built
    return Tree(SparseSource(made.file))


def place(node: Node) -> tuple[int | None, int | None]:
    return node.offset, node.length


def nodes(tree: Tree, node: Node, depth: int) -> list[Node]:
    """Return a node and what is below it, down to a depth."""
    found = [node]
    if depth:
        for child in tree.children(node):
            found += nodes(tree, child, depth - 1)
    return found


# -- places ---------------------------------------------------------------------------------------


def assert_fields(tree: Tree, path: str, type_name: str, offset: int) -> None:
    """Show that every field of a structure stands where the specification puts it."""
    assert tree.find(path).offset == offset
    for name, start, length in FIELDS[type_name]:
        assert place(tree.find(f"{path}.{name}")) == (offset + start, length), name


def test_the_fields_of_headers_and_tables_stand_where_the_specification_puts_them() -> None:
    tree = tree_of(good("unknown-region-optional"))
    assert_fields(tree, "file_identifier", "file_type_identifier", 0)
    for copy in (0, 1):
        assert_fields(tree, f"header_{copy + 1}", "header", HEADER_OFFSETS[copy])
        table = f"region_table_{copy + 1}"
        assert_fields(tree, table, "region_table", REGION_TABLE_OFFSETS[copy])
        for index in range(4):
            offset = REGION_TABLE_OFFSETS[copy] + ELEMENTS["region_table", "entries"][0]
            path = f"{table}.entries[{index}]"
            assert_fields(tree, path, "region_table_entry", offset + 32 * index)


def test_the_fields_of_the_metadata_stand_where_the_builder_put_them() -> None:
    built = good("items-in-another-order")
    tree = tree_of(built)
    base = built.layout.metadata_offset
    assert_fields(tree, "metadata.table", "metadata_table", base)
    for index, (offset, item) in enumerate(built.layout.metadata.placed()):
        path = f"metadata.table.entries[{index}]"
        assert_fields(tree, path, "metadata_table_entry", base + 32 + 32 * index)
        data = tree.find(f"metadata.items[{index}].data")
        assert data.offset == base + offset
        assert tree.raw(data) == item.data[:MAX_RAW]


def test_the_fields_of_a_locator_stand_where_the_builder_put_them() -> None:
    built = good("differencing-plain")
    tree = tree_of(built)
    index, offset = next(
        (index, offset)
        for index, (offset, item) in enumerate(built.layout.metadata.placed())
        if item is built.layout.locator_item()
    )
    base = built.layout.metadata_offset + offset
    path = f"metadata.items[{index}].data"
    assert_fields(tree, path, "parent_locator_item", base)
    locator = built.image.resolved_locator()
    assert locator is not None
    cursor = base + 20 + 12 * len(locator.entries)
    for number, entry in enumerate(locator.entries):
        assert_fields(
            tree, f"{path}.key_values[{number}]", "parent_locator_entry", base + 20 + 12 * number
        )
        for name, text in (("key", entry.key), ("value", entry.value)):
            assert isinstance(text, str)
            node = tree.find(f"{path}.key_values[{number}].{name}")
            document = node_document(tree, node, 0)
            assert document["meaning"] == text
            raw = tree.find(f"{path}.key_values[{number}].{name}.raw")
            assert place(raw) == (cursor, 2 * len(text))
            cursor += 2 * len(text)


@pytest.mark.parametrize(
    "name", ["dynamic-plain", "fixed-past-one-chunk", "differencing-past-one-chunk"]
)
def test_the_entries_of_the_bat_stand_where_the_builder_put_them(name: str) -> None:
    built = good(name)
    tree = tree_of(built)
    geometry = built.model.geometry
    chunks = tree.find("bat.chunks").value
    assert len(chunks) == geometry.sector_bitmap_blocks
    for block in {*built.image.blocks, 0, geometry.payload_blocks - 1}:
        chunk, slot = divmod(block, geometry.chunk_ratio)
        path = f"bat.chunks[{chunk}].payload_blocks[{slot}]"
        entry = tree.find(f"{path}.entry")
        assert place(entry) == (built.layout.bat_offset + 8 * geometry.index(block), 8)
        assert tree.raw(entry) == built.layout.entry(block).to_bytes(8, "little")
        if block in built.layout.payload:
            data = tree.find(f"{path}.data")
            assert place(data) == (built.layout.payload[block], built.model.block_size)


def test_sector_bitmaps_stand_where_the_builder_put_them() -> None:
    built = good("differencing-past-one-chunk")
    tree = tree_of(built)
    for chunk, bitmap in built.layout.bitmaps.items():
        path = f"bat.chunks[{chunk}].sector_bitmap"
        index = built.model.geometry.bitmap_index(chunk)
        assert place(tree.find(f"{path}.entry")) == (built.layout.bat_offset + 8 * index, 8)
        assert place(tree.find(f"{path}.data")) == (bitmap.file_offset, MIB)


def test_the_slots_of_the_log_stand_one_after_the_other() -> None:
    built = good("log-of-windows")
    tree = tree_of(built)
    ring = built.layout.log
    assert ring is not None
    assert len(tree.find("log.slots").value) == MIB // 4096
    for placed in ring.placed():
        path = f"log.slots[{placed.at // 4096}].entry"
        assert_fields(
            tree, f"{path}.header", "log_entry_header", built.layout.log_offset + placed.at
        )
        for index in range(len(placed.entry.descriptors)):
            offset = built.layout.log_offset + placed.at + 64 + 32 * index
            assert_fields(tree, f"{path}.descriptors[{index}]", "log_descriptor", offset)
        for index in range(len(placed.entry.updates)):
            offset = built.layout.log_offset + placed.at + 4096 * (1 + index)
            assert_fields(tree, f"{path}.data_sectors[{index}]", "log_data_sector", offset)


@pytest.mark.parametrize("name", ["dynamic-plain", "differencing-plain", "items-of-all-kinds"])
def test_the_raw_bytes_of_a_node_are_those_at_its_place(name: str) -> None:
    built = good(name)
    tree = tree_of(built)
    for node in nodes(tree, tree.root, 5):
        if node.offset is not None and node.length is not None:
            length = min(node.length, MAX_RAW)
            assert tree.raw(node) == built.file.read(node.offset, length), node.path


@pytest.mark.parametrize("name", ["dynamic-plain", "differencing-plain"])
def test_the_path_of_every_node_leads_back_to_it(name: str) -> None:
    tree = tree_of(good(name))
    for node in nodes(tree, tree.root, 4):
        again = tree.find(node.path)
        assert (again.path, place(again), again.error) == (node.path, place(node), node.error)


# -- values ---------------------------------------------------------------------------------------


def value_of(tree: Tree, path: str) -> Any:
    return node_document(tree, tree.find(path), 0)["value"]


def test_values_are_those_of_the_builder() -> None:
    built = good("sequence-number-max")
    tree = tree_of(built)
    assert value_of(tree, "header_1.version") == 1
    assert value_of(tree, "header_1.sequence_number") == str(2**64 - 2)
    assert value_of(tree, "header_1.is_signature_valid") is True
    small = tree_of(good("dynamic-plain"))
    numbers = {copy.sequence_number for copy in good("dynamic-plain").layout.headers}
    values = [value_of(small, f"header_{copy}.sequence_number") for copy in (1, 2)]
    assert set(values) == {str(number) for number in numbers}  # always text, as everywhere
    assert value_of(tree, "bat.block_size") == MIB
    assert value_of(tree, "bat.geometry.disk_size") == built.model.size
    assert value_of(tree, "bat.chunks[0].payload_blocks[1].entry.state") == ZERO
    meaning = node_document(tree, tree.find("header_1.data_write_guid"), 0)["meaning"]
    assert meaning == str(built.layout.headers[0].data_write_guid)


def test_a_known_guid_is_told_by_its_name() -> None:
    tree = tree_of(good("dynamic-plain"))
    names = [
        node_document(tree, tree.find(f"region_table_1.entries[{index}].guid"), 0)["meaning"]
        for index in (0, 1)
    ]
    assert [name.partition(" ")[2] for name in names] == ["(BAT)", "(Metadata)"]


@pytest.mark.parametrize("name", [*list(GOODS)[::3], "dirty-region-tables-moved"])
def test_the_document_of_any_good_image_is_what_the_schema_says(name: str) -> None:
    tree = tree_of(good(name))
    document = tree_document("x", tree, tree.root, 2)
    assert_valid(document, "tree")
    assert len(document["tree"]["children"]) >= 8


@pytest.mark.parametrize("name", ["dynamic-plain", "creator-broken", "locator-unknown-key"])
def test_the_text_is_printable_and_has_a_line_for_every_node(name: str) -> None:
    tree = tree_of(good(name))
    lines = list(tree_text(tree, tree.root, 4))
    assert all(line.isprintable() for line in lines)
    more = sum("more, by" in line for line in lines)
    assert len(lines) - more == len(nodes(tree, tree.root, 4))


def test_a_long_list_is_cut_and_its_elements_can_be_asked_for() -> None:
    tree = tree_of(good("dynamic-plain"))
    slots = tree.find("log.slots")
    assert len(list(tree.children(slots))) == MAX_ELEMENTS < len(slots.value)
    last = list(tree_text(tree, slots, 1))[-1]
    assert f"{len(slots.value) - MAX_ELEMENTS} more" in last
    assert tree.find("log.slots[255]").value is not None
    assert node_document(tree, slots, 0)["count"] == 256


def test_a_long_text_is_cut() -> None:
    """Many keys may share one text; every key that is shown would show it again."""
    layout = base_differencing().layout()
    made = windows_locator(UUID(int=7), "parent.vhdx")
    made.set("as long as may be", "x" * MAX_TEXT)
    made.set("longer", "y" * (MAX_TEXT + 1))
    layout.set_locator(made)
    tree = tree_of(layout)
    items = [item for _, item in layout.metadata.placed()]
    number = items.index(layout.locator_item())
    entries = tree.find(f"metadata.items[{number}].data.key_values")
    lines = "\n".join(tree_text(tree, entries, 4))
    assert "x" * MAX_TEXT in lines
    assert "y" * MAX_TEXT + "..." in lines
    assert "y" * (MAX_TEXT + 1) not in lines
    document = json.dumps(node_document(tree, entries, 4))
    assert document.count("y" * MAX_TEXT + "...") == lines.count("y" * MAX_TEXT + "...")
    assert "y" * (MAX_TEXT + 1) not in document


@pytest.mark.parametrize(
    "path",
    [
        "nothing",
        "header_1.nothing",
        "header_1.checksum.nothing",
        "header_1[0]",
        "log.slots[256]",
        "log.slots[0][0]",
        "region_table_1.entries[2]",
        "_io",
        "header_1._root",
        "header_1._read",
        "header_1.from_bytes",
        "header_1[",
        "[0]",
        "-",
        "log.slots[-1]",
        "log.slots[99999999999999999999]",
    ],
)
def test_a_path_that_leads_nowhere_is_an_error_of_ours(path: str) -> None:
    tree = tree_of(good("dynamic-plain"))
    with pytest.raises(PathError):
        tree.find(path)
    assert issubclass(PathError, VhdxError)


# -- damage ---------------------------------------------------------------------------------------


def test_what_is_no_vhdx_file_has_no_tree() -> None:
    for name in ("identifier-signature-wrong", "file-shorter-than-the-header-section"):
        with pytest.raises(FormatError):
            tree_of(damaged(name))


# Nothing in a file that has the signature can keep these from being shown.
ALWAYS = (
    *("file_identifier", "header_1", "header_2", "region_table_1", "region_table_2"),
    *("current_header", "current_region_table", "region_of_bat", "region_of_metadata"),
)


def broken(**changes: Any) -> Layout:
    layout = dynamic(8 * MIB, blocks={0: Block(), 1: Block(UNMAPPED)}).layout()
    for name, value in changes.items():
        if name == "metadata_at":
            layout.set_tables(
                lambda table, at=value: setattr(table.find(METADATA_REGION), "file_offset", at)  # type: ignore[misc]
            )
        else:
            setattr(layout.metadata, name, value)
    return layout


BROKEN: dict[str, Layout | Built] = {
    "metadata without its signature": broken(signature=b"METADATA"),
    "metadata past the end": broken(metadata_at=GIB),
    "metadata far past the end": broken(metadata_at=1 << 63),
    "metadata over the end": broken(metadata_at=7 * MIB - 32 * KIB),
    "no header": damaged("both-header-signatures-wrong"),
    "no region table": damaged("both-region-table-checksums-wrong"),
    "log past the end": damaged("log-past-the-end"),
    "log that wraps around": damaged("log-wraps-around"),
    "items past the region": damaged("item-past-the-region"),
    "item that wraps around": damaged("item-offset-wraps-around"),
    "block size of 0": damaged("block-size-0"),
    "disk size of 0": damaged("disk-size-0"),
    "largest disk size": damaged("disk-size-max"),
    "sector size of 0": damaged("logical-sector-size-0"),
    "item too short": damaged("virtual-disk-size-too-short"),
    "locator cut": damaged("locator-cut-in-its-table"),
    "locator of 65535 keys": damaged("locator-count-too-large"),
    "locator that wraps around": damaged("locator-value-wraps-around"),
    "half a surrogate pair": damaged("locator-key-lone-surrogate"),
    "odd text": damaged("locator-value-length-odd"),
    "entries too many": damaged("metadata-entry-count-max"),
    "regions too many": damaged("region-entry-count-max"),
    "reserved states": damaged("bat-state-4"),
    "block past the end": damaged("bat-block-past-the-end"),
    "block that wraps around": damaged("bat-block-wraps-around"),
    "descriptors too many": damaged("log-descriptor-count-max"),
    "entry longer than the log": damaged("log-entry-longer-than-the-log"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_hides_nothing_else(name: str) -> None:
    tree = tree_of(BROKEN[name])
    children = {child.name: child for child in tree.children(tree.root)}
    assert set(children) >= set(ALWAYS)
    for top in ALWAYS:
        assert children[top].error is None
    assert_valid(tree_document("x", tree, tree.root, 1), "tree")
    assert all(line.isprintable() for line in tree_text(tree, tree.root, 6))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("metadata far past the end", "metadata.table"),
        ("locator that wraps around", "metadata.items[5].data.key_values[2].value"),
    ],
)
def test_what_cannot_be_parsed_is_shown_as_an_error(name: str, path: str) -> None:
    tree = tree_of(BROKEN[name])
    node = tree.find(path)
    assert node.value is None
    assert node.error
    lines = list(tree_text(tree, node, 0))
    assert len(lines) == 1
    assert "cannot be parsed" in lines[0]
    assert node_document(tree, node, 0)["error"] == node.error


def test_a_wrong_signature_of_the_metadata_hides_no_item() -> None:
    tree = tree_of(BROKEN["metadata without its signature"])
    assert value_of(tree, "metadata.table.is_signature_valid") is False
    assert len(tree.find("metadata.items").value) == 5
    assert value_of(tree, "bat.geometry.disk_size") == 8 * MIB


def test_a_count_that_cannot_be_in_table_1_hides_no_region() -> None:
    layout = dynamic(8 * MIB, blocks={0: Block()}).layout()
    layout.region_tables[0].entry_count = 0xFFFFFFFF
    tree = tree_of(layout)
    assert value_of(tree, "current_region_table.ofs_table") == REGION_TABLE_OFFSETS[1]
    assert value_of(tree, "bat.ofs_region") == layout.bat_offset


def test_a_bat_that_is_cut_has_the_blocks_that_are_there() -> None:
    layout = dynamic(8 * MIB, blocks={0: Block()}).layout()
    layout.file_length = layout.bat_offset + 20
    tree = tree_of(layout)
    assert len(tree.find("bat.chunks[0].payload_blocks").value) == 2


def test_a_block_past_the_end_of_the_file_has_an_entry_and_no_data() -> None:
    tree = tree_of(damaged("bat-block-past-the-end"))
    block = "bat.chunks[0].payload_blocks[0]"
    assert tree.find(f"{block}.entry.is_stored").value is True
    assert tree.find(f"{block}.entry.file_offset_mb").value == GIB // MIB
    data = tree.find(f"{block}.data")
    assert (data.value, data.error) == (None, None)


# -- bounds ---------------------------------------------------------------------------------------


def test_payload_data_is_not_read() -> None:
    blocks = {0: Block(), 1: partial(3)}
    built = differencing(1 * GIB, block_size=256 * MIB, blocks=blocks).build()
    source = SparseSource(built.file)
    tree = Tree(source)
    before = source.bytes_read
    for path in (
        "bat.chunks[0].payload_blocks[0].data",
        "bat.chunks[0].payload_blocks[1].data",
        "bat.chunks[0].sector_bitmap.data",
    ):
        node = tree.find(path)
        assert node.length in (256 * MIB, MIB)
        assert len(tree.raw(node)) == MAX_RAW
    list(tree_text(tree, tree.find("bat"), 8))
    assert source.bytes_read - before < 2 * MIB


def cost(built: Built, path: str = "", depth: int = 3) -> tuple[float, int]:
    """Return seconds of work and the peak of memory of showing a tree."""
    source = SparseSource(built.file)
    start = time.process_time()
    tracemalloc.start()
    tree = Tree(source)
    for _ in tree_text(tree, tree.find(path), depth):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return time.process_time() - start, peak


def test_the_tree_of_the_largest_disk_takes_bounded_memory() -> None:
    seconds, peak = cost(good("largest-disk"))
    assert seconds < 20
    assert peak < 64 * MIB


def test_blocks_are_let_go_of_when_their_chunk_has_been_shown() -> None:
    """Chunks have up to 32768 blocks, and one at a time is enough."""
    chunk = 32768 * MIB
    peaks = [
        cost(dynamic(count * chunk, logical_sector_size=4096).build(), "bat", 5)[1]
        for count in (1, 6)
    ]
    assert peaks[1] < 1.5 * peaks[0] < 64 * MIB


def test_the_tree_of_the_longest_log_takes_bounded_memory() -> None:
    """A log of 4 GiB has a million slots; what 64 MiB of it cost tells the rest."""
    seconds, peak = cost(dynamic(8 * MIB, log_length=64 * MIB).build(), "log", 1)
    assert seconds * 64 < 60
    assert peak * 64 < GIB


@pytest.mark.parametrize(
    "name", ["metadata-entry-count-max", "region-entry-count-max", "log-descriptor-count-max"]
)
def test_counts_from_a_hostile_file_take_bounded_memory(name: str) -> None:
    seconds, peak = cost(damaged(name), depth=5)
    assert seconds < 30
    assert peak < 128 * MIB


def test_sizes_that_cannot_be_give_a_bat_without_chunks() -> None:
    for item, value in ((VIRTUAL_DISK_SIZE, 2**64 - 512), (LOGICAL_SECTOR_SIZE, 0)):
        layout = dynamic(8 * MIB).layout()
        found = layout.metadata.find(item)
        found.data = value.to_bytes(len(found.data), "little")
        tree = tree_of(layout)
        assert tree.find("bat.chunks").value == []


def test_an_entry_of_the_log_that_wraps_is_not_put_together() -> None:
    """The tree shows the file as it is; `log` puts entries together."""
    built = good("log-entry-wraps")
    tree = tree_of(built)
    assert tree.find("log.slots[255].is_entry").value is True
    assert tree.find("log.slots[255].entry").value is None


def test_the_slots_say_where_an_entry_begins() -> None:
    built = good("log-stale-entries-around")
    tree = tree_of(built)
    ring = built.layout.log
    assert ring is not None
    starts = [node.path for node in tree.children(tree.find("log.slots")) if node.value.is_entry]
    placed = {item.at // 4096 for item in ring.placed() if item.at < MAX_ELEMENTS * 4096}
    overwritten = {0}  # by the last one, which wraps around
    assert starts == [f"log.slots[{number}]" for number in sorted(placed - overwritten)]
