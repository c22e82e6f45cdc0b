"""Logs."""

from __future__ import annotations

from tests.images.image import Layout
from tests.images.log import SECTOR, Data, Descriptor, Entry, Log, Zero
from tests.images.structures import MIB, ZERO_GUID

from .registry import CUT, GUID_A, GUID_B, LAST, ONCE, bare, small, vector


def _logged(entries: list[Entry], slots: int = 256, **fields: object) -> Layout:
    layout = small(**fields).layout()
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
def log_without_a_guid() -> Layout:
    """A log that is not to be replayed, with an entry whose LogGuid is as zero as the header's."""
    layout = _logged([Entry([Zero(MIB, 4096)]), Entry([Zero(MIB, 4096)], log_guid=ZERO_GUID)])
    layout.set_headers(log_guid=ZERO_GUID)
    return layout


@vector
def log_outside_the_file() -> Layout:
    """A log that ends one byte past the file: its last slot is missing."""
    layout = bare(small())
    layout.set_headers(log_offset=CUT - MIB + 1)
    return layout


@vector
def log_far_away() -> Layout:
    """A log at an offset that is negative where there are no unsigned numbers of 64 bits."""
    layout = bare(small())
    layout.set_headers(log_offset=LAST - MIB + 1, log_length=0xFFFFFFFF)
    return layout
