"""The grammar in the Kaitai Web IDE: what its tree shows of good, damaged and real images.

The IDE's own compiler and runtime do the work (`tests/webide/panel.js`); what is expected comes
from the builder of the images, from the specification's table of fields, and, for the real
images, from the compiled Python.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from kaitaistruct import KaitaiStruct
from vhdx_kaitai.generated.vhdx import Vhdx

from tests.conftest import Files, Run
from tests.fields import ELEMENTS, FIELDS, LENGTHS
from tests.images.bases import BASES
from tests.images.damage import DAMAGES
from tests.images.goods import GOODS
from tests.images.image import Layout
from tests.images.structures import MIB
from tests.support import ROOT, damaged, good
from tests.webide import Node, WebIde, reason_for_absence
from tests.webide.page import PAGE, image, rendered

pytestmark = pytest.mark.slow

# Where [MS-VHDX] 2.2 puts the structures of which there are two.
COPIES = {
    "header_1": 1 << 16,
    "header_2": 2 << 16,
    "region_table_1": 3 << 16,
    "region_table_2": 4 << 16,
}

VIEWS_AT_THE_ROOT = {
    *("current_header", "current_region_table", "region_of_bat", "region_of_metadata"),
    *("log", "metadata", "bat"),
}

# Bytes of the views that are one thing of the file, or its entry in a table.
VIEW_LENGTHS = {
    "log_slot": 4096,
    "log_entry_sector": 4096,
    "metadata_item": 32,
    "payload_block": 8,
    "sector_bitmap_block": 8,
}

VECTORS = ROOT / "tests" / "conformance" / "vectors"

# Numbers of some bits each, and their bytes hold others, too.
BITS = {"reserved", "file_offset_mb_low"}

EXACT = 1 << 53  # no number up to this one is rounded in JavaScript
FEW = 16  # elements of an array that are looked at
SMALL = 64 * MIB

# What the file holds is only right once the log is replayed, which the IDE cannot do.
NEEDS_REPLAY = {"dirty-metadata", "dirty-region-tables-moved", "log-extends-the-file-by-a-bat"}

# Python refuses to decode the text, JavaScript puts U+FFFD for what is no text.
NOT_UTF_16 = {"creator-broken"}

# 64-bit numbers of files made by Windows and by QEMU that JavaScript rounds, because its numbers
# are exact up to 2^53 only. All of them are names of something, or noise; nothing is computed
# with them.
ROUNDED = {
    "log_descriptor.sequence_number",
    "log_entry_header.sequence_number",
}


@pytest.fixture(scope="session")
def ide() -> Iterator[WebIde]:
    reason = reason_for_absence()
    if reason is not None:
        pytest.skip(reason)
    with WebIde() as running:
        yield running


Shown = Callable[[str], dict[str, Node]]


@pytest.fixture(scope="session")
def shown(files: Files, ide: WebIde) -> Shown:
    """Trees of good images by path, each made once."""

    @cache
    def nodes(name: str) -> dict[str, Node]:
        if good(name).file.length > SMALL:
            pytest.skip("too large for a browser")
        return by_path(ide.show(files.good(name), limit=FEW))

    return nodes


@cache
def types() -> dict[str, dict[str, Any]]:
    """The grammar's types by name."""
    grammar = yaml.safe_load((ROOT / "vhdx.ksy").read_text(encoding="utf-8"))
    return {"vhdx": grammar, **grammar["types"]}


def by_path(nodes: list[Node]) -> dict[str, Node]:
    return {node.path: node for node in nodes}


def parent_of(path: str) -> str:
    return re.sub(r"(^|\.)\w+$|\[\d+\]$", "", path)


# --- Texts ---


@pytest.mark.parametrize("name", sorted(GOODS))
def test_every_line_of_a_good_image_is_readable(name: str, shown: Shown) -> None:
    for node in shown(name).values():
        assert name in NEEDS_REPLAY or node.error is None, node
        assert name in NEEDS_REPLAY or "NaN" not in node.text, node
        if node.type not in (None, "vhdx"):
            text = node.representation
            assert text is not None
            assert text or is_empty_text(name, node), node
            assert "undefined" not in text, node
            assert "[object" not in text, node
            assert "  " not in text or "creator" in node.path, node


def is_empty_text(name: str, node: Node) -> bool:
    """Whether a node is a text without any characters."""
    return name == "creator-empty" and node.path == "file_identifier.creator"


def test_what_a_person_meets_first_is_said_beside_it(tmp_path: Path, ide: WebIde) -> None:
    """Nothing was clicked: these lines are there when the file has been loaded."""
    nodes = by_path(ide.show(image("demo", tmp_path), []))
    assert {path: node.text for path, node in nodes.items() if node.depth == 0} == {
        "file_identifier": 'fileIdentifier [FileTypeIdentifier]: created by "vhdx-kaitai demo"',
        "bat": "bat [BatView]: 64 payload blocks in 1 chunks at 0x300000",
        "current_header": "currentHeader [HeaderChoice]: header 2",
        "current_region_table": "currentRegionTable [RegionTableChoice]: region table 1",
        "header_1": "header1 [Header]: sequence number 1, valid signature: true",
        "header_2": "header2 [Header]: sequence number 2, valid signature: true",
        "log": "log [LogRing]: 0x100000 bytes at 0x100000, has to be replayed: true",
        "metadata": "metadata [MetadataView]: 5 items in 0x100000 bytes at 0x200000",
        "region_of_bat": "regionOfBat [RegionLookup]: BAT_REGION at 0x300000, 0x100000 bytes",
        "region_of_metadata": "regionOfMetadata [RegionLookup]: "
        "METADATA_REGION at 0x200000, 0x100000 bytes",
        "region_table_1": "regionTable1 [RegionTable]: 2 regions, valid signature: true",
        "region_table_2": "regionTable2 [RegionTable]: 2 regions, valid signature: true",
    }


def test_the_page_shows_what_the_ide_shows(tmp_path: Path, ide: WebIde) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.count("<!-- panel ") >= 3
    assert rendered(page, ide, tmp_path) == page, "run 'make docs'"


# --- Places ---


@pytest.mark.parametrize("name", sorted(GOODS))
def test_everything_that_lies_in_the_file_has_its_place(name: str, shown: Shown) -> None:
    """The IDE marks these bytes when a line is selected."""
    nodes = shown(name)
    size = good(name).file.length
    seen = set()
    for node in nodes.values():
        if node.type is None or is_broken(node, nodes):
            continue
        base = node.start
        for field in types()[node.type].get("seq", []):
            place = nodes[f"{node.path}.{field['id']}".lstrip(".")]
            assert place.start is not None, place
            assert place.end is not None, place
            assert 0 <= place.start <= place.end <= size
        if base is None:
            continue
        for field, offset, length in FIELDS.get(node.type, []):
            place = nodes[f"{node.path}.{field}"]
            assert (place.start, place.end) == (base + offset, base + offset + length), place
            seen.add((node.type, field))
        if node.type in LENGTHS | VIEW_LENGTHS:
            assert node.end == base + (LENGTHS | VIEW_LENGTHS)[node.type], node
    for (kind, field), (offset, _) in ELEMENTS.items():
        for node in nodes.values():
            first = nodes.get(f"{node.path}.{field}[0]")
            if node.type == kind and first is not None and node.start is not None:
                assert first.start == node.start + offset
    for path, start in COPIES.items():
        assert nodes[path].start == start
    assert {kind for kind, _ in seen} >= {"header", "region_table", "file_type_identifier"}


def is_broken(node: Node, nodes: dict[str, Node]) -> bool:
    """Whether a node or anything above it could not be read."""
    path = node.path
    while path:
        if nodes[path].error is not None or nodes[path].kind == "nothing":
            return True
        path = parent_of(path)
    return False


# --- Values ---


@pytest.mark.parametrize("name", sorted(GOODS))
def test_values_are_those_of_the_builder(name: str, shown: Shown) -> None:
    layout = GOODS[name].layout()
    if layout.log is not None and layout.log.placed():
        pytest.skip("the log would have to be replayed")
    nodes = shown(name)
    expected = dict(model_values(layout))
    assert len(expected) > 30
    for path, value in expected.items():
        if path in nodes:
            node = nodes[path]
            found = node.representation if isinstance(value, UUID) else node.value
            assert found in (value, str(value), rounded(value)), path


def rounded(value: Any) -> str | None:
    """A number as JavaScript has it, when that is another one."""
    is_exact = not isinstance(value, int) or value <= EXACT
    return None if is_exact else str(int(float(value)))


def model_values(layout: Layout) -> Iterator[tuple[str, Any]]:
    """What the builder knows of an image, by the grammar's paths."""
    for copy, header in enumerate(layout.headers, 1):
        if header.raw is not None:
            continue
        for field in ("sequence_number", "log_version", "version", "log_length", "log_offset"):
            yield f"header_{copy}.{field}", getattr(header, field)
        for field in ("file_write_guid", "data_write_guid", "log_guid"):
            yield f"header_{copy}.{field}", getattr(header, field)
    for copy, table in enumerate(layout.region_tables, 1):
        for index, region in enumerate(table.entries):
            path = f"region_table_{copy}.entries[{index}]"
            yield f"{path}.guid", region.guid
            yield f"{path}.file_offset", region.file_offset
            yield f"{path}.length", region.length
            yield f"{path}.required", region.required
    for index, (offset, item) in enumerate(layout.metadata.placed()):
        path = f"metadata.items[{index}].entry"
        yield f"{path}.item_id", item.item_id
        yield f"{path}.offset", offset
        yield f"{path}.length", item.stated_length
    image = layout.image
    geometry = image.geometry
    yield "bat.geometry.disk_size", image.virtual_disk_size
    yield "bat.block_size", image.block_size
    yield "bat.geometry.sector_size", image.logical_sector_size
    yield "bat.has_parent", image.has_parent
    yield "bat.chunk_ratio", geometry.chunk_ratio
    yield "bat.num_payload_blocks", geometry.payload_blocks
    yield "bat.num_chunks", geometry.sector_bitmap_blocks
    for block in range(geometry.payload_blocks):
        chunk, index = divmod(block, geometry.chunk_ratio)
        entry = layout.bat.get(geometry.index(block), 0)
        path = f"bat.chunks[{chunk}].payload_blocks[{index}]"
        yield f"{path}.entry.state", entry % 8
        yield f"{path}.entry.file_offset_mb", entry >> 20
    if image.has_parent:
        for chunk in range(geometry.sector_bitmap_blocks):
            entry = layout.bat.get(geometry.bitmap_index(chunk), 0)
            yield f"bat.chunks[{chunk}].sector_bitmap.entry.state", entry % 8
            yield f"bat.chunks[{chunk}].sector_bitmap.entry.file_offset_mb", entry >> 20


def test_a_locator_reads_as_keys_and_values(files: Files, ide: WebIde) -> None:
    nodes = by_path(ide.show(files.good("differencing-plain")))
    locator = GOODS["differencing-plain"].layout().image.resolved_locator()
    assert locator is not None
    (item,) = [
        node
        for path, node in nodes.items()
        if node.type == "parent_locator_item" and path.startswith("metadata.items")
    ]
    for index, (key, value) in enumerate(locator.text.items()):
        assert nodes[f"{item.path}.key_values[{index}]"].representation == f"{key} = {value}"


@pytest.mark.parametrize("name", ["dynamic-plain", "differencing-plain", "fixed-plain"])
def test_reading_all_at_once_gives_the_same(name: str, files: Files, ide: WebIde) -> None:
    lazy = by_path(ide.show(files.good(name)))
    eager = by_path(ide.show(files.good(name), eager=True))
    assert lazy.keys() == eager.keys()
    for path, node in lazy.items():
        other = eager[path]
        assert (node.kind, node.value, node.start, node.end, node.error) == (
            (other.kind, other.value, other.start, other.end, other.error)
        )


def test_nothing_is_read_before_it_is_asked_for_or_said_to_be(files: Files, ide: WebIde) -> None:
    """`-webide-parse-mode` is heeded: blocks and long arrays wait for a click."""
    paths = ["bat.chunks[0].payload_blocks", "bat.chunks[0].payload_blocks[0]", "log"]
    nodes = by_path(ide.show(files.good("dynamic-plain"), paths))
    closed = {path for path, node in nodes.items() if node.kind == "closed"}
    assert "bat.chunks[0].payload_blocks[0].data" in closed
    assert "bat.chunks[0].raw_entries" in closed
    assert "log.slots" in closed
    assert nodes["bat.chunks[0].payload_blocks[0].entry"].kind == "object"


# --- Damage ---


@pytest.mark.parametrize("name", sorted(DAMAGES))
def test_damage_hides_nothing_else(
    name: str, files: Files, ide: WebIde, undamaged: Callable[[str], list[Node]]
) -> None:
    """Each copy in the header section is as it was, unless the damage is in its own bytes."""
    broken = damaged(name).file
    if broken.length > SMALL:
        pytest.skip("too large for a browser")
    whole = BASES[DAMAGES[name].base]().build().file
    # Hundreds of thousands of blocks take long to show and are all alike.
    opened = tuple(COPIES) if DAMAGES[name].base in ("wide", "huge") else "all"
    nodes = by_path(ide.show(files.damaged(name), opened, limit=FEW))
    for path in ("file_identifier", *VIEWS_AT_THE_ROOT, *COPIES):
        assert path in nodes
    for path, start in COPIES.items():
        length = LENGTHS[path[:-2]]
        if broken.length < start + length:
            assert nodes[path].error is not None
            continue
        assert nodes[path].error is None
        assert (nodes[path].start, nodes[path].end) == (start, start + length)
        if broken.read(start, length) == whole.read(start, length):
            same = {n.path: n for n in undamaged(DAMAGES[name].base)}
            inside = [p for p, n in same.items() if p.startswith(f"{path}.") and n.kind != "closed"]
            assert [nodes[p].text for p in inside] == [same[p].text for p in inside]


@pytest.fixture(scope="session")
def undamaged(files: Files, ide: WebIde) -> Callable[[str], list[Node]]:
    """The trees of the images to which damage is done, each made once."""

    @cache
    def nodes(base: str) -> list[Node]:
        image = BASES[base]().build().write(files.folder / f"base-{base}.vhdx")
        return ide.show(image, tuple(COPIES), limit=FEW)

    return nodes


@pytest.mark.parametrize(
    ("name", "where", "why"),
    [
        ("locator-value-past-the-item", "metadata.items[5].data.key_values[2].value", "EOFError"),
        ("physical-sector-size-too-short", "metadata.items[3].data", "requested 4 bytes"),
    ],
)
def test_damage_shows_where_it_is(
    name: str, where: str, why: str, files: Files, ide: WebIde
) -> None:
    nodes = by_path(ide.show(files.damaged(name), limit=FEW))
    assert why in str(nodes[where].error)
    siblings = [n for p, n in nodes.items() if parent_of(p) == parent_of(parent_of(where))]
    assert any(node.error is None for node in siblings)


@pytest.mark.parametrize(
    ("name", "wrong", "right", "current"),
    [
        ("header-1-signature-wrong", "header_1", "header_2", "header 2"),
        ("header-2-missing", "header_2", "header_1", "header 1"),
        ("region-table-1-missing", "region_table_1", "region_table_2", "region table 2"),
    ],
)
def test_a_wrong_signature_is_said_beside_the_copy(
    name: str, wrong: str, right: str, current: str, files: Files, ide: WebIde
) -> None:
    nodes = by_path(ide.show(files.damaged(name), []))
    assert nodes[wrong].text.endswith("valid signature: false")
    assert nodes[right].text.endswith("valid signature: true")
    assert nodes[f"current_{wrong[:-2]}"].representation == current
    assert "5 items" in nodes["metadata"].text


# --- The conformance kit, metadata dumps ---


@pytest.mark.parametrize("name", sorted(file.stem for file in VECTORS.glob("*.json")))
def test_a_vector_reads_as_the_kit_says(name: str, tmp_path: Path, ide: WebIde) -> None:
    image = tmp_path / f"{name}.vhdx"
    data = gzip.decompress((VECTORS / f"{name}.vhdx.gz").read_bytes())
    image.write_bytes(data)
    values = json.loads((VECTORS / f"{name}.json").read_bytes())["values"]
    nodes = by_path(ide.show(image, [path for path, *_ in values]))
    for path, kind, value, _ in values:
        if kind in ("error", "broken_text"):
            continue  # an error would be there, U+FFFD is
        node = nodes.get(path)
        if kind == "absent":
            assert node is None or node.kind == "nothing", path
        else:
            assert node is not None, path
            assert is_said(node, kind, value), (path, value, node)
            assert is_marked(node, kind, value, data), (path, value, node)
    for node in nodes.values():
        if node.type in VIEW_LENGTHS:
            assert node.start is not None, node
            assert node.end == node.start + VIEW_LENGTHS[node.type], node


def is_marked(node: Node, kind: str, value: str, data: bytes) -> bool:
    """Whether the bytes that a node marks are those of its value; what is computed marks none."""
    if node.start is None or kind not in ("int", "bytes") or is_of_bits(node.path):
        return True
    assert node.end is not None
    marked = data[node.start : node.end]
    if kind == "bytes":
        return shortened(marked) == node.value
    return int.from_bytes(marked, "little") == int(value)


def is_of_bits(path: str) -> bool:
    """Whether a field shares its bytes with its neighbours."""
    return path.rpartition(".")[2] in BITS


def is_said(node: Node, kind: str, value: str) -> bool:
    """Whether a node shows a value of the conformance kit."""
    if kind == "size":
        return str(node.length) == value
    if kind == "bytes":
        parts = re.findall(r"(\w\w)\*(\d+)|(\w\w)", value)
        data = bytes.fromhex("".join(byte * int(count or 1) or one for byte, count, one in parts))
        return node.value == shortened(data)
    if kind == "int":
        return node.value == value or (
            int(value) > EXACT and node.value == str(int(float(int(value))))
        )
    if kind in ("bool", "str"):
        return node.value == (value == "true" if kind == "bool" else value)
    label = node.text.partition(" = ")[2].partition(" (")[0]
    return value.upper() == label or value == node.value


def test_a_metadata_dump_shows_what_its_image_shows(
    sample: tuple[Any, Path], tmp_path: Path, run: Run, ide: WebIde
) -> None:
    if run("metadump", "--help").status != 0:
        pytest.skip("there is no command metadump")
    _, path = sample
    dump = tmp_path / "dump.vhdx"
    assert run("metadump", path, dump).status == 0
    assert dump.stat().st_size < 32 * MIB
    opened = ["header_1", "header_2", "metadata.items", "region_of_bat", "bat.chunks", "log.slots"]
    ours = ide.show(dump, [*opened, "bat.chunks[0].payload_blocks"], limit=FEW)
    theirs = ide.show(path, [*opened, "bat.chunks[0].payload_blocks"], limit=FEW)
    assert [node.line for node in ours] == [node.line for node in theirs]


# --- Python and JavaScript ---


def test_python_and_javascript_agree_on_the_real_images(
    sample: tuple[Any, Path], ide: WebIde
) -> None:
    """Value by value; numbers above 2^53 are rounded in JavaScript, and are these and no others."""
    _, path = sample
    assert disagreements(path, by_path(ide.show(path))) <= ROUNDED


def test_what_is_said_to_be_rounded_is_rounded(samples: Callable[[str], Path], ide: WebIde) -> None:
    image = samples("swap.vhdx.gz")
    assert disagreements(image, by_path(ide.show(image))) == ROUNDED


@pytest.mark.parametrize("name", sorted(set(GOODS) - NEEDS_REPLAY - NOT_UTF_16))
def test_python_and_javascript_agree_on_good_images(name: str, files: Files, shown: Shown) -> None:
    disagreements(files.good(name), shown(name), FEW)


def shortened(data: bytes) -> str:
    """Return bytes in the form of `Node.value`."""
    return data.hex() if len(data) <= 64 else hashlib.sha256(data).hexdigest()


def disagreements(image: Path, nodes: dict[str, Node], limit: int = 1 << 30) -> set[str]:
    """Return the attributes that JavaScript rounds; any other difference fails."""
    values = dict(python_values(image, limit))
    assert values.keys() == nodes.keys() - {""}
    rounded = set()
    for path, value in values.items():
        found = nodes[path].value
        if found == value:
            continue
        assert isinstance(value, str), path
        assert isinstance(found, str), path
        assert abs(int(value)) > EXACT, path
        assert int(found) == int(float(int(value))), path
        owner = nodes[parent_of(path)].type
        rounded.add(f"{owner}.{path.rpartition('.')[2]}")
    return rounded


def python_values(image: Path, limit: int = 1 << 30) -> Iterator[tuple[str, str | bool | None]]:
    """Every value of an image as Python reads it, in the form of `Node.value`."""
    with Vhdx.from_file(str(image)) as root:
        yield from _members(root, "", limit)


def _members(
    struct: KaitaiStruct, path: str, limit: int
) -> Iterator[tuple[str, str | bool | None]]:
    name = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", type(struct).__name__).lower()
    spec = types()[name]
    for member in [*spec.get("params", []), *spec.get("seq", [])]:
        below = f"{path}.{member['id']}".lstrip(".")
        yield from _value(getattr(struct, member["id"]), below, limit)
    for member in spec.get("instances", {}):
        below = f"{path}.{member}".lstrip(".")
        if name == "payload_block" and member == "data" and struct.len_data > MIB:
            yield below, None  # up to 256 MiB
        else:
            yield from _value(getattr(struct, member), below, limit)


def _value(value: Any, path: str, limit: int) -> Iterator[tuple[str, str | bool | None]]:
    if isinstance(value, KaitaiStruct):
        yield path, None
        yield from _members(value, path, limit)
    elif isinstance(value, list):
        yield path, None
        half = -(-limit // 2)
        for index, element in enumerate(value):
            if index < half or index >= len(value) - half:
                yield from _value(element, f"{path}[{index}]", limit)
    elif isinstance(value, bytes):
        yield path, shortened(value)
    elif isinstance(value, Enum):
        yield path, str(value.value)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield path, str(value)
    else:
        yield path, value
