"""What records were parsed from is what they are packed into; Kaitai's own code writes the same."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any, get_type_hints
from uuid import UUID

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from kaitaistruct import KaitaiStream, KaitaiStruct
from vhdx_kaitai.generated.vhdx import Vhdx

from tests.compiling import compile_grammar
from tests.images import crc
from tests.images.goods import GOODS
from tests.images.structures import KIB, MIB
from tests.support import ROOT, Sample, good, opened
from vhdx_kaitai.errors import Finding, Span, refuse
from vhdx_kaitai.format import encode, grammar, locator
from vhdx_kaitai.format.grammar import DescriptorKind, HeaderSection
from vhdx_kaitai.format.place import Place
from vhdx_kaitai.format.structures import (
    BatEntry,
    DataSector,
    FileParameters,
    FileTypeIdentifier,
    Header,
    LogDescriptor,
    LogEntry,
    ParentLocator,
    RegionTable,
)
from vhdx_kaitai.guids import VHDX_PARENT_LOCATOR_TYPE
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.storage.source import BufferSource

# -- any structure whose signature, checksum and counts are in order -------------------------------


def number(value: int, length: int) -> bytes:
    return value.to_bytes(length, "little")


def a_header(random: Random) -> bytes:
    return crc.sealed(b"head" + random.randbytes(4092))


def a_region_table(random: Random) -> bytes:
    count = number(random.choice((0, 1, 7, 2047)), 4)
    return crc.sealed(b"regi" + bytes(4) + count + random.randbytes(64 * KIB - 12))


def a_metadata_table(random: Random) -> bytes:
    count = number(random.choice((0, 1, 7, 2047)), 2)
    return b"metadata" + random.randbytes(2) + count + random.randbytes(64 * KIB - 12)


def a_locator(random: Random) -> bytes:
    count = random.choice((0, 1, 5))
    return random.randbytes(18) + number(count, 2) + random.randbytes(12 * count + 50)


def a_log_entry(random: Random) -> bytes:
    """An entry with descriptors for as many sectors as it has, in more than one sector or not."""
    kinds = random.choices((b"zero", b"desc"), k=random.choice((0, 1, 5, 126, 127)))
    data = b"".join(kind + random.randbytes(28) for kind in kinds)
    data += random.randbytes(-(64 + len(data)) % 4096)
    data += b"".join(b"data" + random.randbytes(4092) for _ in range(kinds.count(b"desc")))
    head = number(64 + len(data), 4) + random.randbytes(12) + number(len(kinds), 4)
    return crc.sealed(b"loge" + bytes(4) + head + random.randbytes(36) + data)


Maker = Callable[[Random], bytes]


def of_bytes(length: int, start: bytes = b"") -> Maker:
    return lambda random: start + random.randbytes(length - len(start))


# -- there and back --------------------------------------------------------------------------------

# What a record says of its signature, its checksum and all of its bytes is not what it is packed
# into, so it may say anything.


def header_again(data: bytes) -> bytes:
    record = HeaderSection(BufferSource(bytes(64 * KIB) + data)).header(1)
    return encode.header(record._replace(raw=b"", is_signature_valid=False, checksum=0))


def region_table_again(data: bytes) -> bytes:
    table = HeaderSection(BufferSource(bytes(192 * KIB) + data)).region_table(1)
    unused = grammar.unused_of(table)
    table = table._replace(raw=b"", is_signature_valid=False, checksum=0)
    return encode.region_table(table, unused)


def metadata_table_again(data: bytes) -> bytes:
    table = grammar.metadata_table(BufferSource(data), 0)
    return encode.metadata_table(table, data[32 + 32 * len(table.entries) :])


def locator_again(data: bytes) -> bytes:
    return encode.parent_locator(grammar.parent_locator(data, place("parent_locator_item")))


def log_entry_again(data: bytes) -> bytes:
    entry = grammar.log_entry(data)
    assert entry is not None
    header = entry.header._replace(is_signature_valid=False, checksum=0)
    sectors = tuple(sector._replace(is_signature_valid=False) for sector in entry.data_sectors)
    return encode.log_entry(entry._replace(header=header, data_sectors=sectors))


def place(type_name: str) -> Place:
    return Place("structure", type_name, 0)


def item_again(kind: str) -> Callable[[bytes], bytes]:
    parse, pack = getattr(grammar, kind), getattr(encode, kind)
    return lambda data: pack(parse(data, place(f"{kind}_item")))


# By type in the grammar: something of it, and what it is parsed and packed into.
STRUCTURES: dict[str, tuple[Maker, Callable[[bytes], bytes]]] = {
    "file_type_identifier": (
        of_bytes(520, b"vhdxfile"),
        lambda data: encode.file_type_identifier(grammar.identifier(data)),
    ),
    "header": (a_header, header_again),
    "region_table": (a_region_table, region_table_again),
    "metadata_table": (a_metadata_table, metadata_table_again),
    "file_parameters_item": (of_bytes(8), item_again("file_parameters")),
    "virtual_disk_size_item": (of_bytes(8), item_again("virtual_disk_size")),
    "virtual_disk_id_item": (of_bytes(16), item_again("virtual_disk_id")),
    "logical_sector_size_item": (of_bytes(4), item_again("logical_sector_size")),
    "physical_sector_size_item": (of_bytes(4), item_again("physical_sector_size")),
    "parent_locator_item": (a_locator, locator_again),
    "log_entry": (a_log_entry, log_entry_again),
    "log_entry_header": (
        of_bytes(64, b"loge"),
        lambda data: encode.log_entry_header(grammar.log_entry_header(data)),
    ),
    "payload_bat_entry": (
        of_bytes(8),
        lambda data: encode.bat_entry(grammar.bat_entry(data)),
    ),
}


def test_every_record_of_the_grammar_can_be_packed() -> None:
    named = [getattr(grammar, name) for name in vars(grammar) if not name.startswith("_")]
    records = {kind for kind in named if isinstance(kind, type) and hasattr(kind, "_fields")}
    functions = [getattr(encode, name) for name in vars(encode) if not name.startswith("_")]
    hints = [get_type_hints(value) for value in functions if inspect.isfunction(value)]
    assert len(records) > 10
    assert records - {kind for hint in hints for kind in hint.values()} == {Finding, Span}


@pytest.mark.parametrize("name", STRUCTURES)
@given(st.integers(0, 2**32))
def test_what_was_parsed_is_packed_into_the_same_bytes(name: str, seed: int) -> None:
    make, again = STRUCTURES[name]
    data = make(Random(seed))
    assert again(data) == data


def test_a_table_ends_in_zeros_when_nothing_else_is_asked_for() -> None:
    random = Random(1)
    table = HeaderSection(BufferSource(bytes(192 * KIB) + a_region_table(random))).region_table(1)
    end = 16 + 32 * len(table.entries)
    assert encode.region_table(table)[end:] == bytes(64 * KIB - end)
    assert encode.region_table(table, b"old")[end : end + 4] == b"old\0"


def stored_structures(image: Image) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield every structure of an image that is as it should be: type, bytes, and packed anew."""
    section = HeaderSection(image.stored)
    identifier = encode.file_type_identifier(grammar.identifier(section.identifier()))
    yield "file_type_identifier", image.stored.read(0, 520), identifier
    for copy in (1, 2):
        header = section.header(copy)
        if header.raw == crc.sealed(b"head" + header.raw[4:]):
            yield "header", header.raw, encode.header(header)
        for source in (image.stored, image.source):
            table = HeaderSection(source).region_table(copy)
            if table.raw == crc.sealed(b"regi" + table.raw[4:]):
                yield (
                    "region_table",
                    table.raw,
                    encode.region_table(table, grammar.unused_of(table)),
                )
    ring = image.log
    if ring is not None:
        for entry in ring.entries():
            if entry.is_valid:
                data = ring.read(entry.offset, entry.header.entry_length)
                yield "log_entry", data, log_entry_again(data)
    yield from metadata_structures(image)
    data = image.bat.raw(0, 1000)
    entries = (grammar.bat_entry(data[at : at + 8]) for at in range(0, len(data), 8))
    yield "payload_bat_entry", data, b"".join(map(encode.bat_entry, entries))


def metadata_structures(image: Image) -> Iterator[tuple[str, bytes, bytes]]:
    source, start = image.source, image.regions.metadata.file_offset
    data = source.read(start, 64 * KIB)
    yield "metadata_table", data, metadata_table_again(data)
    for entry in grammar.metadata_table(source, start).entries:
        if entry.kind != "other":
            data = source.read(start + entry.offset, entry.length)
            yield f"{entry.kind}_item", data, STRUCTURES[f"{entry.kind}_item"][1](data)


# In every image that opens; a log and a parent locator are in some.
ALWAYS = {name for name in STRUCTURES if name not in ("log_entry_header", "log_entry")}
ALWAYS -= {"parent_locator_item"}


def packed_as_stored(image: Image) -> set[str]:
    """Show that all of an image is packed as it is stored, and return what there was."""
    found = set()
    for name, stored, packed in stored_structures(image):
        assert packed == stored, name
        found.add(name)
    assert found >= ALWAYS
    return found


@pytest.mark.parametrize("name", GOODS)
def test_structures_of_good_images_are_packed_as_they_are_stored(name: str) -> None:
    built = good(name)
    with opened(built) as image:
        found = packed_as_stored(image)
    locator = built.layout.image.resolved_locator()
    assert ("parent_locator_item" in found) == (locator is not None)
    if name.startswith("dirty-"):
        assert "log_entry" in found


def test_structures_of_real_images_are_packed_as_they_are_stored(
    sample: tuple[Sample, Path],
) -> None:
    known, path = sample
    with Image(path) as image:
        found = packed_as_stored(image)
    if known.is_dirty:
        assert "log_entry" in found


# -- what writers make ----------------------------------------------------------------------------


@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=300)), max_size=10))
def test_a_new_parent_locator_has_the_texts_that_it_was_given(
    texts: list[tuple[str, str]],
) -> None:
    data = encode.new_parent_locator(VHDX_PARENT_LOCATOR_TYPE, texts)
    record = grammar.parent_locator(data, place("parent_locator_item"))
    assert record.locator_type == VHDX_PARENT_LOCATOR_TYPE
    found = [
        tuple(
            data[at : at + length].decode("utf-16-le")
            for at, length in ((e.ofs_key, e.len_key), (e.ofs_value, e.len_value))
        )
        for e in record.entries
    ]
    assert found == texts
    assert encode.parent_locator(record) == data


def test_a_new_parent_locator_is_one_that_a_parent_can_be_found_by() -> None:
    texts = [
        ("parent_linkage", "{00112233-4455-6677-8899-aabbccddeeff}"),
        ("relative_path", ".\\parent.vhdx"),
    ]
    data = encode.new_parent_locator(VHDX_PARENT_LOCATOR_TYPE, texts)
    record = grammar.parent_locator(data, place("parent_locator_item"))
    refuse(locator.check_locator(record))
    read = locator.judged(record)
    assert read.entries == dict(texts)
    assert read.linkage == UUID("00112233-4455-6677-8899-aabbccddeeff")


@given(st.text(st.characters(codec="utf-16", exclude_characters="\0"), max_size=128))
def test_a_creator_is_packed_as_text(creator: str) -> None:
    identifier = FileTypeIdentifier(encode.raw_creator(creator))
    data = encode.file_type_identifier(identifier)
    assert data == b"vhdxfile" + creator.encode("utf-16-le").ljust(512, b"\0")
    assert grammar.identifier(data).creator == (creator or None)


# -- what cannot be packed ------------------------------------------------------------------------


def the_header() -> Header:
    return HeaderSection(BufferSource(bytes(64 * KIB) + a_header(Random(0)))).header(1)


def the_table() -> RegionTable:
    data = crc.sealed(b"regi" + bytes(4) + number(1, 4) + bytes(64 * KIB - 12))
    return HeaderSection(BufferSource(bytes(192 * KIB) + data)).region_table(1)


def the_entry() -> LogEntry:
    entry = grammar.log_entry(a_log_entry(Random(5)))
    assert entry is not None
    assert entry.data_sectors
    return entry


MISTAKES: dict[str, Callable[[], bytes]] = {
    "log_version": lambda: encode.header(the_header()._replace(log_version=1 << 16)),
    "log_offset": lambda: encode.header(the_header()._replace(log_offset=-1)),
    "header: reserved": lambda: encode.header(the_header()._replace(reserved=bytes(4015))),
    "raw_creator": lambda: encode.file_type_identifier(FileTypeIdentifier(bytes(513))),
    "the creator takes 514 bytes": lambda: encode.raw_creator(257 * "a"),
    "num_entries 2, expected 1": lambda: encode.region_table(the_table()._replace(num_entries=2)),
    "65537 bytes": lambda: encode.region_table(the_table(), bytes(64 * KIB - 47)),
    "item: reserved": lambda: encode.file_parameters(FileParameters(MIB, False, False, 1 << 30)),
    "block_size": lambda: encode.file_parameters(FileParameters(1 << 32, False, False, 0)),
    "virtual_disk_size": lambda: encode.virtual_disk_size(1 << 64),
    "num_key_values 1, expected 0": lambda: encode.parent_locator(
        ParentLocator(place("parent_locator_item"), UUID(int=1), 0, 1, 32, b"", ())
    ),
    "len_value": lambda: encode.new_parent_locator(UUID(int=1), [("key", 32768 * "v")]),
    "num_key_values": lambda: encode.new_parent_locator(UUID(int=1), 65536 * [("k", "v")]),
    "num_descriptors": lambda: encode.log_entry(the_entry()._replace(descriptors=())),
    "entry_length": lambda: encode.log_entry(the_entry()._replace(data_sectors=())),
    "entry_length .*, expected": lambda: encode.log_entry(the_entry()._replace(padding=b"")),
    "of kind other": lambda: encode.descriptor(
        LogDescriptor(DescriptorKind.other_descriptor, 0, 1)
    ),
    "leading_bytes": lambda: encode.descriptor(
        LogDescriptor(DescriptorKind.data_descriptor, 0, 1, 0, 0, bytes(7), bytes(4))
    ),
    "sequence_high": lambda: encode.data_sector(DataSector(True, 1 << 64, bytes(4084))),
    "file_offset_mb_high": lambda: encode.bat_entry(BatEntry(6, 0, 1 << 44)),
    "state": lambda: encode.bat_entry(BatEntry(8, 0, 1)),
}


@pytest.mark.parametrize("words", MISTAKES)
def test_what_does_not_fit_is_a_mistake_of_the_caller(words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MISTAKES[words]()


# -- Kaitai's own writer ---------------------------------------------------------------------------

TYPES: dict[str, Any] = yaml.safe_load((ROOT / "vhdx.ksy").read_bytes())["types"]


@pytest.fixture(scope="module")
def writer(compiler: Path, tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The grammar, compiled to read and write."""
    folder = tmp_path_factory.mktemp("read-write")
    compile_grammar(compiler, folder, "-w", "-t", "python")
    spec = importlib.util.spec_from_file_location("vhdx_read_write", folder / "vhdx.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def to_write(writer: ModuleType, value: Any, parent: Any = None) -> Any:
    """What Kaitai writes for something that was parsed, built field by field."""
    if isinstance(value, list):
        return [to_write(writer, element, parent) for element in value]
    if not isinstance(value, KaitaiStruct):
        return value
    class_name = type(value).__name__
    name = "".join(f"_{c.lower()}" if c.isupper() else c for c in class_name).strip("_")
    struct = getattr(writer.Vhdx, class_name)(None, parent, None)
    for attribute in TYPES[name]["seq"]:
        field = attribute["id"]
        setattr(struct, field, to_write(writer, getattr(value, field), struct))
    for instance, attribute in TYPES[name].get("instances", {}).items():
        if instance in ("unused", "key", "value"):
            setattr(struct, instance, to_write(writer, getattr(value, instance), struct))
        elif "pos" in attribute:  # bytes that a field has already
            setattr(struct, f"{instance}__enabled", False)
    struct._check()
    return struct


def written_by_kaitai(writer: ModuleType, name: str, data: bytes) -> bytes:
    class_name = "".join(word.capitalize() for word in name.split("_"))
    parsed = getattr(Vhdx, class_name)(KaitaiStream(BytesIO(data)))
    stream = KaitaiStream(BytesIO(bytes(len(data))))
    to_write(writer, parsed)._write(stream)
    return bytes(stream.to_byte_array())


@pytest.mark.slow
@pytest.mark.parametrize("name", STRUCTURES)
def test_kaitai_writes_the_same(name: str, writer: ModuleType) -> None:
    make, again = STRUCTURES[name]
    for seed in range(20):
        data = make(Random(seed))
        if name == "parent_locator_item":
            texts = [(f"key {n}", f"value {seed}") for n in range(seed)]
            data = encode.new_parent_locator(UUID(int=seed), texts)
        assert written_by_kaitai(writer, name, again(data)) == again(data)
