"""The vectors: which images the kit has, and how they are written.

    python -m tests.conformance.make

Every image is described by the tests' builder and stored as `vectors/NAME.vhdx.gz`, cut behind its
last structure where its payload does not matter; `vectors/NAME.json` is what `expect` says of it.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from tests.conformance.expect import expected
from tests.images.image import (
    Block,
    Image,
    Layout,
    differencing,
    dynamic,
    fixed,
    partial,
    windows_locator,
)
from tests.images.log import SECTOR, Data, Descriptor, Entry, Log, Zero
from tests.images.structures import (
    BAT_REGION,
    CHS_PARAMETERS,
    FILE_PARAMETERS,
    FULLY_PRESENT,
    GIB,
    IS_REQUIRED,
    IS_USER,
    IS_VIRTUAL_DISK,
    KIB,
    LOGICAL_SECTOR_SIZE,
    METADATA_REGION,
    MIB,
    PHYSICAL_SECTOR_SIZE,
    TIB,
    UNDEFINED,
    UNMAPPED,
    VIRTUAL_DISK_ID,
    VIRTUAL_DISK_SIZE,
    ZERO,
    ZERO_GUID,
    Header,
    Locator,
    LocatorEntry,
    MetadataItem,
    RegionEntry,
    RegionTable,
    bat_entry,
)

VECTORS = Path(__file__).parent / "vectors"
LICENSE = "CC0-1.0"

# Every byte of these differs from every other, so that no two fields can be mistaken.
GUID_A = UUID("a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf")
GUID_B = UUID("b0b1b2b3-b4b5-b6b7-b8b9-babbbcbdbebf")
GUID_C = UUID("c0c1c2c3-c4c5-c6c7-c8c9-cacbcccdcecf")
GUID_D = UUID("d0d1d2d3-d4d5-d6d7-d8d9-dadbdcdddedf")
ONCE = bytes(range(256))
CUT = 3 * MIB + 64 * KIB
LAST = (1 << 64) - 1

Make = Callable[[], Layout]
MAKERS: dict[str, tuple[str, Make]] = {}


def vector(make: Make) -> Make:
    """Enter a function into `MAKERS`; its docstring describes the vector."""
    name = str(getattr(make, "__name__", "")).replace("_", "-")
    MAKERS[name] = (" ".join((make.__doc__ or "").split()), make)
    return make


def _bare(image: Image, length: int = CUT) -> Layout:
    """Return a layout whose file ends behind the structures, or wherever is said."""
    layout = image.layout()
    layout.file_length = length
    return layout


def _hole(state: int = FULLY_PRESENT) -> Block:
    return Block(state, data=b"")


def _small(**fields: object) -> Image:
    values: dict[str, object] = {"blocks": {0: _hole(), 2: Block(ZERO)}}
    return dynamic(4 * MIB, **(values | fields))


# -- whole images ---------------------------------------------------------------------------------


@vector
def dynamic_512() -> Layout:
    """A dynamic disk with payload blocks in every state, one of them stored in the file."""
    blocks = {
        1: Block(UNDEFINED),
        2: Block(ZERO),
        3: Block(UNMAPPED),
        4: Block(data=ONCE),
        5: _hole(),
        7: Block(UNMAPPED, file_offset=5 * MIB),
    }
    image = dynamic(7 * MIB + 512, blocks=blocks, creator="conformance kit")
    layout = _bare(image, 5 * MIB + 300)
    layout.headers[0] = Header(
        7, GUID_A, GUID_B, GUID_C, 0x93A4, 0xB5C6, 0x81828384, 0x9192939495969798, reserved=ONCE
    )
    layout.headers[1] = Header(9, GUID_D, GUID_C, ZERO_GUID)
    layout.identifier.reserved = ONCE
    return layout


@vector
def fixed_4096() -> Layout:
    """A fixed disk of 4096-byte sectors, stored up to the middle of its second block."""
    blocks = {0: Block(data=ONCE * 2), 1: _hole()}
    image = fixed(
        2 * MIB, blocks=blocks, logical_sector_size=4096, physical_sector_size=512, required=0
    )
    return _bare(image, 5 * MIB + 512 * KIB)


@vector
def differencing_512() -> Layout:
    """A differencing disk with blocks in every state, a sector bitmap, and a parent locator with
    every key that the specification names."""
    blocks = {
        0: _hole(),
        1: partial(0, range(5, 20), 2047, data=ONCE),
        2: Block(ZERO),
        3: Block(UNMAPPED),
        4: Block(UNDEFINED),
    }
    image = differencing(
        6 * MIB,
        blocks=blocks,
        locator=windows_locator(GUID_A, "ältere Fassung.vhdx", relative="..\\ältere Fassung.vhdx"),
    )
    return _bare(image, 7 * MIB)


@vector
def differencing_4096() -> Layout:
    """A differencing disk of 4096-byte sectors in two chunks, only the second of which has a
    sector bitmap; everything behind the BAT is missing."""
    size = 129 * 256 * MIB + 4096
    blocks = {0: _hole(), 127: Block(ZERO), 128: partial(0, 3, data=b""), 129: Block(UNMAPPED)}
    image = differencing(size, blocks=blocks, block_size=256 * MIB, logical_sector_size=4096)
    return _bare(image)


@vector
def chunks_of_a_dynamic_disk() -> Layout:
    """Three chunks of 16 blocks each, the last one with a single block and no sector bitmap;
    entries of sector bitmaps hold something all the same."""
    blocks = {n: _hole() if n % 3 else Block(ZERO) for n in range(33)}
    layout = _bare(dynamic(8 * GIB + 512, blocks=blocks, block_size=256 * MIB))
    layout.bat[16] = bat_entry(6, 77 * MIB)
    layout.bat[33] = bat_entry(3, 0, reserved=5)
    return layout


@vector
def blocks_of_3_mib() -> Layout:
    """Sizes that are no powers of two: the chunk ratio is rounded down, the blocks up."""
    layout = _bare(_small())
    items = layout.metadata
    items.find(FILE_PARAMETERS).data = (3 * MIB).to_bytes(4, "little") + b"\xfe\xff\xff\xff"
    items.find(VIRTUAL_DISK_SIZE).data = (4096 * MIB + 512).to_bytes(8, "little")
    return layout


@vector
def largest_disk() -> Layout:
    """A disk of 64 TiB in blocks of 1 MiB, whose BAT is missing but for its start."""
    return _bare(dynamic(64 * TIB, blocks={0: _hole(), 2: Block(ZERO), 4095: _hole()}))


# -- identifier -----------------------------------------------------------------------------------


@vector
def creator_full() -> Layout:
    """A creator of 256 units without a zero at the end, among them one beyond the BMP."""
    return _bare(_small(creator="0123456789abcd\U0001f4bd" * 16))


@vector
def creator_empty() -> Layout:
    """No creator, but bytes behind the zero at its start."""
    return _bare(_small(creator="\0behind the end"))


@vector
def creator_broken() -> Layout:
    """A creator that is not UTF-16: half a surrogate pair, then noise behind a zero."""
    return _bare(_small(creator=b"\x3d\xd8A\0\0\0\xff\xdf\x01\xd8"))


@vector
def not_a_vhdx_file() -> Layout:
    """Another signature: nothing is parsed."""
    layout = _bare(_small(), MIB)
    layout.identifier.signature = b"vhdxFile"
    return layout


# -- headers and region tables --------------------------------------------------------------------


@vector
def header_1_damaged() -> Layout:
    """Header 1 and region table 1 have lost their signatures, though header 1 is the newer."""
    layout = _bare(_small())
    layout.headers[0].sequence_number = 99
    layout.headers[0].signature = b"Head"
    layout.region_tables[0].signature = b"regI"
    layout.region_tables[0].entries[0].file_offset = 0x7F00000
    layout.region_tables[1].reserved = 0x01020304
    return layout


@vector
def header_2_damaged() -> Layout:
    """Header 2 and region table 2 are all zeros."""
    layout = _bare(_small(sequence_number=5))
    zeros = ZERO_GUID
    layout.headers[1] = Header(0, zeros, zeros, zeros, 0, 0, 0, 0, signature=bytes(4), checksum=0)
    layout.region_tables[1] = RegionTable([], signature=bytes(4), checksum=0)
    return layout


@vector
def headers_damaged() -> Layout:
    """No header has its signature: there is no log, everything else is still there."""
    layout = _bare(_small())
    layout.set_headers(signature=b"daeh")
    return layout


@vector
def region_tables_damaged() -> Layout:
    """No region table has its signature: the second one is taken for want of a better."""
    layout = _bare(_small())
    layout.set_tables(lambda table: setattr(table, "signature", b"iger"))
    layout.region_tables[0].entries.pop()
    return layout


@vector
def checksums_wrong() -> Layout:
    """Wrong checksums everywhere, which a grammar does not look at."""
    layout = _bare(_small())
    layout.set_headers(checksum=0xFEDCBA98)
    layout.set_tables(lambda table: setattr(table, "checksum", 0x89ABCDEF))
    return layout


@vector
def headers_alike() -> Layout:
    """Both headers have the same sequence number: the first one counts."""
    layout = _bare(_small())
    layout.set_headers(sequence_number=1 << 32)
    layout.headers[1].log_offset = 2 * MIB
    return layout


@vector
def sequence_numbers_past_2_32() -> Layout:
    """Sequence numbers of which the greater one has the smaller lower half."""
    layout = _bare(_small())
    layout.headers[0].sequence_number = 1 << 32
    layout.headers[1].sequence_number = (1 << 32) - 1
    layout.headers[1].log_offset = 2 * MIB
    return layout


@vector
def sequence_numbers_past_2_53() -> Layout:
    """Sequence numbers that differ only beyond the 53 bits of a double."""
    layout = _bare(_small())
    layout.headers[0].sequence_number = 1 << 53
    layout.headers[1].sequence_number = (1 << 53) + 1
    layout.headers[1].log_offset = 2 * MIB
    return layout


@vector
def sequence_numbers_past_2_63() -> Layout:
    """Sequence numbers that are negative where there are no unsigned numbers of 64 bits."""
    layout = _bare(_small())
    layout.headers[0].sequence_number = 1 << 63
    layout.headers[1].sequence_number = LAST
    layout.headers[1].log_offset = 2 * MIB
    return layout


@vector
def regions_unknown() -> Layout:
    """Regions of no known kind before, between and behind the known ones, required and not, and
    second regions of known kinds; reserved fields and the rest of the tables are filled."""
    layout = _bare(_small())
    for number, table in enumerate(layout.region_tables):
        bat, metadata = table.entries
        near = UUID(bytes_le=BAT_REGION.bytes_le[:-1] + b"\x09")
        table.entries = [
            RegionEntry(GUID_A, 0x0102030405060708, 0x090A0B0C, 0x8D0E0F10),
            RegionEntry(near, LAST, 0xFFFFFFFF, 0),
            metadata,
            RegionEntry(GUID_B, 1 << 63, 1 << 31, 1),
            bat,
            RegionEntry(METADATA_REGION, 77 * MIB, MIB, 1),
            RegionEntry(BAT_REGION, 78 * MIB, MIB, 0),
        ]
        table.reserved = 0xA0B0C0D0 + number
        table.tail = ONCE
    return layout


def _regions(count: int, stated: int) -> Layout:
    layout = _bare(_small())
    for table in layout.region_tables:
        others = [RegionEntry(UUID(int=n + 1), n * MIB, MIB, n % 2) for n in range(count - 2)]
        table.entries = others + table.entries[::-1]
        table.entry_count = stated
    return layout


@vector
def regions_2047() -> Layout:
    """As many regions as a table holds, the known ones at the end."""
    return _regions(2047, 2047)


@vector
def regions_2048() -> Layout:
    """One region more than a table holds: the count is impossible, no region is found."""
    return _regions(2047, 2048)


@vector
def regions_too_many() -> Layout:
    """A count of regions with something in each of its bytes."""
    layout = _bare(_small())
    layout.set_tables(lambda table: setattr(table, "entry_count", 0x81828384))
    return layout


@vector
def regions_none() -> Layout:
    """Empty region tables."""
    layout = _bare(_small())
    layout.set_tables(lambda table: table.entries.clear())
    return layout


@vector
def region_bat_missing() -> Layout:
    """There is a metadata region but no BAT."""
    layout = _bare(_small())
    layout.set_tables(lambda table: table.entries.remove(table.find(BAT_REGION)))
    return layout


@vector
def region_metadata_missing() -> Layout:
    """There is a BAT region but no metadata."""
    layout = _bare(_small())
    layout.set_tables(lambda table: table.entries.remove(table.find(METADATA_REGION)))
    return layout


# -- metadata -------------------------------------------------------------------------------------


@vector
def items_of_all_kinds() -> Layout:
    """Items of no known kind and of users, with every flag and reserved bit, empty, too large, and
    outside the region; a user's item with the id of a known one before that one."""
    everything = IS_USER | IS_VIRTUAL_DISK | IS_REQUIRED
    own = [
        MetadataItem(VIRTUAL_DISK_SIZE, b"a user's own", IS_USER),
        MetadataItem(GUID_A, ONCE, IS_USER | IS_VIRTUAL_DISK),
        MetadataItem(GUID_B, b"\x01", 0xA5A5A5A0 | IS_REQUIRED),
    ]
    items = [
        MetadataItem(
            CHS_PARAMETERS, b"\x0a\x0b\x0c\x0d", 0x5A5A5A58 | everything, reserved2=0xF1020304
        ),
        MetadataItem(GUID_C, b"", IS_USER),
        MetadataItem(GUID_D, b"table", 0, offset=64 * KIB - 1),
        MetadataItem(GUID_A, b"", 0, offset=64 * KIB, length=MIB + 1),
        MetadataItem(GUID_A, b"", 0, offset=0xFFFFFFFF, length=0xFFFFFFFF),
        MetadataItem(GUID_A, b"", 0, offset=MIB - 4, length=5),
        MetadataItem(GUID_A, b"", 0, offset=MIB - 4, length=4),
        MetadataItem(VIRTUAL_DISK_ID, bytes(range(16)), IS_VIRTUAL_DISK, offset=512 * KIB),
    ]
    layout = _bare(_small(physical_sector_size=512))
    table = layout.metadata
    table.items = own + table.items + items
    table.reserved, table.reserved2 = 0x8384, bytes(range(1, 21))
    table.tail = ONCE
    return layout


def _items(count: int, stated: int) -> Layout:
    layout = _bare(_small())
    known = layout.metadata.items
    others = [MetadataItem(UUID(int=n + 1), b"", IS_USER) for n in range(count - len(known))]
    layout.metadata.items = others + known
    layout.metadata.entry_count = stated
    return layout


@vector
def items_2047() -> Layout:
    """As many metadata items as the table holds, the known ones at the end."""
    return _items(2047, 2047)


@vector
def items_2048() -> Layout:
    """One item more than the table holds: the count is impossible, no item is found."""
    return _items(2047, 2048)


@vector
def items_too_many() -> Layout:
    """A count of items with something in each of its bytes."""
    return _items(5, 0x8182)


@vector
def items_misplaced() -> Layout:
    """Known items that lie outside the region or are too short for what they are."""
    layout = _bare(_small())
    table = layout.metadata
    table.find(FILE_PARAMETERS).length = 7
    table.find(VIRTUAL_DISK_SIZE).offset = MIB - 7
    table.find(LOGICAL_SECTOR_SIZE).offset = 64 * KIB - 4
    table.find(PHYSICAL_SECTOR_SIZE).length = 3
    table.find(PHYSICAL_SECTOR_SIZE).offset = 256 * KIB
    table.find(VIRTUAL_DISK_ID).offset = 257 * KIB
    return layout


@vector
def items_missing() -> Layout:
    """A metadata table without items."""
    layout = _bare(_small())
    layout.metadata.items.clear()
    return layout


def _sizes(block_size: int, sector_size: int, disk_size: int) -> Layout:
    layout = _bare(_small())
    table = layout.metadata
    table.find(FILE_PARAMETERS).data = block_size.to_bytes(4, "little") + bytes(4)
    table.find(LOGICAL_SECTOR_SIZE).data = sector_size.to_bytes(4, "little")
    table.find(VIRTUAL_DISK_SIZE).data = disk_size.to_bytes(8, "little")
    return layout


@vector
def block_size_too_small() -> Layout:
    """Blocks one byte smaller than 1 MiB: there is nothing to count."""
    return _sizes(MIB - 1, 512, 4 * MIB)


@vector
def sizes_of_every_byte() -> Layout:
    """Sizes with something in each of their bytes, none of them possible."""
    layout = _sizes(0x81828384, 0x91929394, 0xA1A2A3A4A5A6A7A8)
    layout.metadata.find(PHYSICAL_SECTOR_SIZE).data = 0xB1B2B3B4.to_bytes(4, "little")
    return layout


@vector
def block_size_too_large() -> Layout:
    """Blocks one byte larger than 256 MiB."""
    return _sizes(256 * MIB + 1, 512, 4 * MIB)


@vector
def sector_size_odd() -> Layout:
    """Sectors of 520 bytes."""
    return _sizes(MIB, 520, 4 * MIB)


@vector
def disk_size_0() -> Layout:
    """A disk of no bytes."""
    return _sizes(MIB, 512, 0)


@vector
def disk_size_past_64_tib() -> Layout:
    """A disk of one byte more than 64 TiB."""
    return _sizes(MIB, 512, 64 * TIB + 1)


@vector
def disk_size_past_2_63() -> Layout:
    """A disk of 2^64-1 bytes."""
    return _sizes(MIB, 4096, LAST)


@vector
def metadata_signature_wrong() -> Layout:
    """The metadata table has another signature: it cannot be parsed, and hides nothing else."""
    layout = _bare(_small())
    layout.metadata.signature = b"metaData"
    return layout


# -- parent locator -------------------------------------------------------------------------------


def _located(locator: Locator) -> Layout:
    return _bare(differencing(4 * MIB, blocks={1: _hole()}, locator=locator))


@vector
def locator_texts() -> Layout:
    """Keys and values of every sort: beyond the BMP, empty, shared, with zeros, not UTF-16, of an
    odd number of bytes, in disorder, and outside the item."""
    entries = [
        LocatorEntry("relative_path", "..\\\U0001f4be\u00e4\u20ac\ufeff.vhdx"),
        LocatorEntry("\U00010348", ""),
        LocatorEntry("", "value of no key"),
        LocatorEntry("lone high", b"a\0\x3d\xd8b\0"),
        LocatorEntry("lone low", b"\xbe\xdcz\0"),
        LocatorEntry("high at the end", b"q\0\x3d\xd8"),
        LocatorEntry("zeros\0inside", "\0between\0"),
        LocatorEntry("odd", b"o\0d\0d"),
        LocatorEntry("shared", b"", value_offset=20 + 12 * 11, value_length=26),
        LocatorEntry(
            "outside", "", value_offset=0xFFFFFFF0, value_length=0x9192, key_length=0xFFFF
        ),
        LocatorEntry("far away", "", key_offset=0x81828384),
    ]
    return _located(Locator(entries, locator_type=GUID_A, reserved=0x8586, tail=b"tail"))


@vector
def locator_count_too_large() -> Layout:
    """A parent locator that counts one key more than its item has room for."""
    locator = Locator.of({"parent_linkage": "{" + str(GUID_A) + "}"})
    room = len(locator.pack())
    locator.count = (room - 20) // 12 + 1
    return _located(locator)


@vector
def locator_count_of_every_byte() -> Layout:
    """A parent locator that counts keys with something in each byte of the count."""
    return _located(Locator([LocatorEntry("key", "value")], count=0x8182))


@vector
def locator_empty() -> Layout:
    """A parent locator without a key."""
    return _located(Locator([]))


# -- log ------------------------------------------------------------------------------------------


def _logged(entries: list[Entry], slots: int = 256, **fields: object) -> Layout:
    layout = _small(**fields).layout()
    layout.file_length = CUT
    layout.set_headers(log_guid=GUID_A)
    layout.log = Log(GUID_A, entries, file_length=4 * MIB, last_length=5 * MIB)
    layout.log.length = slots * SECTOR
    return layout


def _sector(seed: int) -> bytes:
    return bytes((seed + n * 7 + (n >> 8)) & 0xFF for n in range(SECTOR))


@vector
def log_entries_of_every_shape() -> Layout:
    """An empty entry, zeros, data, both, descriptors in two and three sectors, and an entry that
    runs over the end of the ring; sequence numbers beyond 2^53."""
    mixed: list[Descriptor] = [
        Data(3 * MIB, _sector(1)),
        Zero(4 * MIB, 8192),
        Data(3 * MIB + 4096, _sector(2)),
    ]
    many: list[Descriptor] = [Zero(n * 4096, 4096 * n) for n in range(1, 127)]
    entries = [
        Entry(at=250 * SECTOR, sequence_number=(1 << 53) + 1),
        Entry([Zero(0x8182838485868788, 0x9192939495969798)]),
        Entry([Data(1 << 63, _sector(3), leading=bytes(range(8)), trailing=b"tail")]),
        Entry([Data(3 * MIB, _sector(4)), Data(3 * MIB, _sector(5))]),
        Entry(mixed, flushed_file_offset=0x9192939495969798, last_file_offset=0xA1A2A3A4A5A6A7A8),
        Entry(many),
        Entry([*many, Zero(4096, 4096)]),
        Entry([Data(3 * MIB, _sector(6)), *many, *many, *many[:2], Data(3 * MIB, _sector(7))]),
        Entry([Data(2 * MIB, _sector(8))], sequence_number=LAST, tail=4096 * 255),
    ]
    return _logged(entries)


@vector
def log_entries_damaged() -> Layout:
    """What a scan comes across: stale GUIDs, wrong checksums, descriptors and data sectors without
    their signature, reserved fields, other sequence numbers, lengths and counts that do not fit."""
    entries = [
        Entry([Zero(MIB, 4096)], log_guid=GUID_B, sequence_number=7),
        Entry([Zero(MIB, 4096)], checksum=1, reserved=0x81828384, tail=0x91929394),
        Entry(
            [
                Zero(MIB, 4096, signature=b"Zero", reserved=0x11121314),
                Data(MIB, _sector(1), signature=b"Desc"),
                Zero(MIB, 4096, reserved=0xA1A2A3A4, sequence_number=LAST),
            ]
        ),
        Entry([Data(MIB, _sector(2), sector_signature=b"Data", sector_high=1, sector_low=2)]),
        Entry([Data(MIB, _sector(3))], drop_sectors=1),
        Entry([Zero(MIB, 4096)], extra_sectors=[ONCE, b"data" + ONCE]),
        Entry([Zero(MIB, 4096)], descriptor_count=0xFFFFFFFF, checksum=1),
        Entry([Zero(MIB, 4096)], descriptor_count=127, checksum=1),
        Entry([Zero(MIB, 4096)], entry_length=0, checksum=2),
        Entry([Zero(MIB, 4096)], entry_length=4095, checksum=2),
        Entry([Zero(MIB, 4096)], entry_length=4097, checksum=2),
        Entry([Zero(MIB, 4096)] * 127, entry_length=8191, checksum=2),
        Entry([Zero(MIB, 4096)], entry_length=0xFFFFFFFF, checksum=2),
        Entry([Zero(MIB, 4096)], signature=b"logE"),
        Entry([Data(MIB, _sector(4))], at=240 * SECTOR),
        Entry([Zero(MIB, 4096)], at=241 * SECTOR),
        Entry([Zero(MIB, 4096)], at=255 * SECTOR, entry_length=8192, checksum=2),
    ]
    return _logged(entries)


@vector
def log_of_3_slots_and_a_half() -> Layout:
    """A log whose length is no multiple of 4096."""
    layout = _logged([Entry([Zero(MIB, 4096)])])
    layout.set_headers(log_length=3 * SECTOR + 100)
    return layout


@vector
def log_outside_the_file() -> Layout:
    """A log that ends one byte behind the file."""
    layout = _bare(_small())
    layout.set_headers(log_offset=CUT - MIB + 1)
    return layout


@vector
def log_far_away() -> Layout:
    """A log at an offset that is negative where there are no unsigned numbers of 64 bits."""
    layout = _bare(_small())
    layout.set_headers(log_offset=LAST - MIB + 1, log_length=0xFFFFFFFF)
    return layout


# -- BAT ------------------------------------------------------------------------------------------


@vector
def bat_far_away() -> Layout:
    """BAT entries with offsets past 2^53 bytes, reserved bits, and states without a name."""
    layout = _bare(_small(blocks={}).but(virtual_disk_size=12 * MIB))
    entries = [
        0xFFFFFFFFFFFFFFFF,
        0x00000000000FFFF8,
        0xA5A5A5A5A5A00006,
        0x123456789ABCDEF6,
        bat_entry(FULLY_PRESENT, 1 << 53),
        bat_entry(FULLY_PRESENT, (1 << 53) + MIB),
        bat_entry(7, (1 << 63) + MIB),
        bat_entry(6, (1 << 64) - MIB),
        bat_entry(4, 5 * MIB, reserved=1),
        bat_entry(5, 4095 * MIB, reserved=1 << 16),
        bat_entry(6, 4096 * MIB),
        bat_entry(ZERO, 4097 * MIB),
    ]
    layout.bat = dict(enumerate(entries))
    return layout


@vector
def sector_bitmaps_of_every_state() -> Layout:
    """Chunks whose sector bitmap entries have every state, named or not, reserved bits and offsets
    past 2^53 bytes; the last one is stored in the file."""
    layout = _bare(differencing(32 * GIB, block_size=256 * MIB), 5 * MIB)
    states = [0, bat_entry(6, 1 << 53, reserved=0x15555), 0, 0, 0, 0, 0, bat_entry(6, 4 * MIB)]
    for chunk, entry in enumerate(states):
        layout.bat[17 * chunk + 16] = entry
    layout.patch(4 * MIB, ONCE)
    return layout


@vector
def sector_bitmap_states_without_a_name() -> Layout:
    """Two chunks whose sector bitmap entries have states that the specification does not know."""
    layout = _bare(differencing(8 * GIB, block_size=256 * MIB))
    layout.bat[16] = bat_entry(7, 3 * MIB, reserved=0x1FFFF)
    layout.bat[33] = bat_entry(1, (1 << 64) - MIB)
    return layout


@vector
def blocks_at_the_end_of_the_file() -> Layout:
    """Blocks that end with the file, one byte behind it, and that lie wholly behind it."""
    layout = _bare(_small(blocks={}), 5 * MIB + 1)
    for number, place in enumerate((4, 5, 6, 0)):
        layout.bat[number] = bat_entry(FULLY_PRESENT, place * MIB)
    return layout


@vector
def blocks_larger_than_the_file() -> Layout:
    """Blocks that the file is half a MiB too short for, wherever they are."""
    layout = _bare(_small(blocks={}, block_size=4 * MIB), 4 * MIB - 512 * KIB)
    layout.bat[0] = bat_entry(FULLY_PRESENT)
    return layout


# -- files that end early -------------------------------------------------------------------------


@vector
def cut_at_0() -> Layout:
    """An empty file."""
    return _bare(_small(), 0)


@vector
def cut_in_the_identifier() -> Layout:
    """A file that ends one byte before the creator does."""
    return _bare(_small(), 519)


@vector
def cut_behind_the_identifier() -> Layout:
    """A file that ends behind the creator."""
    return _bare(_small(), 520)


@vector
def cut_in_header_2() -> Layout:
    """A file that ends one byte before header 2 does."""
    return _bare(_small(), 0x20FFF)


@vector
def cut_in_region_table_1() -> Layout:
    """A file that ends one byte before region table 1 does."""
    return _bare(_small(), 0x3FFFF)


@vector
def cut_behind_region_table_1() -> Layout:
    """A file that ends with region table 1, which is enough to find everything else missing."""
    return _bare(_small(), 0x40000)


@vector
def cut_in_the_metadata_table() -> Layout:
    """A file that ends one byte before the metadata table does."""
    return _bare(_small(), 2 * MIB + 0xFFFF)


@vector
def cut_in_the_bat() -> Layout:
    """A file that ends inside the third of four BAT entries."""
    return _bare(_small(), 3 * MIB + 20)


# -- writing --------------------------------------------------------------------------------------


def image_bytes(name: str) -> bytes:
    """Return the image of a vector."""
    return MAKERS[name][1]().pack().to_bytes()


def document(name: str) -> str:
    """Return the expected values of a vector as JSON, one value a line."""
    description, make = MAKERS[name]
    layout = make()
    file = layout.pack()
    values = [f"    {json.dumps(value)}" for value in expected(layout, file)]
    head = {"description": description, "license": LICENSE, "size": file.length}
    fields = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    fields.append('  "values": [\n' + ",\n".join(values) + "\n  ]")
    return "{\n" + ",\n".join(fields) + "\n}\n"


def write() -> None:
    """Write every vector that is not there or not as it should be; remove all others."""
    VECTORS.mkdir(exist_ok=True)
    for path in VECTORS.iterdir():
        if path.name.partition(".")[0] not in MAKERS:
            path.unlink()
    for name in MAKERS:
        path, data = VECTORS / f"{name}.vhdx.gz", image_bytes(name)
        # Other versions of zlib compress the same bytes otherwise: leave alone what says the same.
        if not path.exists() or gzip.decompress(path.read_bytes()) != data:
            path.write_bytes(gzip.compress(data, 9, mtime=0))
        (VECTORS / f"{name}.json").write_text(document(name), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write()
