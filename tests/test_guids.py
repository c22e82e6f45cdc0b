"""The GUIDs of the specification, as the bytes that stand in files."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.images.structures import BAT_REGION, METADATA_REGION, VIRTUAL_DISK_ID
from tests.support import good, opened
from vhdx_kaitai import guids

# Bytes as they were seen in images [MS-VHDX 2.2.3.2, 2.6.2].
ON_DISK = {
    "BAT_REGION": "66 77 C2 2D 23 F6 00 42 9D 64 11 5E 9B FD 4A 08",
    "METADATA_REGION": "06 A2 7C 8B 90 47 9A 4B B8 FE 57 5F 05 0F 88 6E",
    "FILE_PARAMETERS": "37 67 A1 CA 36 FA 43 4D B3 B6 33 F0 AA 44 E7 6B",
    "VIRTUAL_DISK_SIZE": "24 42 A5 2F 1B CD 76 48 B2 11 5D BE D8 3B F4 B8",
    "VIRTUAL_DISK_ID": "AB 12 CA BE E6 B2 23 45 93 EF C3 09 E0 00 C7 46",
    "LOGICAL_SECTOR_SIZE": "1D BF 41 81 6F A9 09 47 BA 47 F2 33 A8 FA AB 5F",
    "PHYSICAL_SECTOR_SIZE": "C7 48 A3 CD 5D 44 71 44 9C C9 E9 88 52 51 C5 56",
    "PARENT_LOCATOR": "2D 5F D3 A8 0B B3 4D 45 AB F7 D3 D8 48 34 AB 0C",
    "VHDX_PARENT_LOCATOR_TYPE": "B7 EF 4A B0 9E D1 81 4A B7 89 25 B8 E9 44 59 13",
    "CHS_PARAMETERS": "BC D7 02 DA 3A 3D 3C 42 AC 88 2A 36 AB 21 47 9B",
    "INCOMPLETE_FILE": "F0 85 CC 71 69 1B 28 4E 95 58 C3 BF 83 AE 75 D3",
    "PMEM_LABEL_STORAGE": "8A AE E1 10 7E 4B 69 41 A4 0F CD 70 DE 92 83 93",
    "NIL": "00 " * 16,
}


@pytest.mark.parametrize("name", ON_DISK)
def test_a_guid_is_stored_with_its_first_three_groups_little_endian(name: str) -> None:
    value: UUID = getattr(guids, name)
    assert value.bytes_le == bytes.fromhex(ON_DISK[name])


def test_no_guid_is_missing_from_the_table() -> None:
    named = {name for name, value in vars(guids).items() if isinstance(value, UUID)}
    assert named == set(ON_DISK)


def test_every_known_item_and_region_has_a_name() -> None:
    items = {UUID(bytes_le=bytes.fromhex(ON_DISK[name])) for name in list(ON_DISK)[2:8]}
    assert set(guids.ITEM_NAMES) == items
    assert set(guids.REGION_NAMES) == {BAT_REGION, METADATA_REGION}
    assert not set(guids.UNSPECIFIED_ITEM_NAMES) & items


def test_version_and_variant_bits_mean_nothing() -> None:
    """QEMU stores its GUIDs in the other byte order."""
    swapped = UUID(bytes=good("dynamic-plain").model.virtual_disk_id.bytes_le)
    layout = good("dynamic-plain").image.layout()
    layout.metadata.find(VIRTUAL_DISK_ID).data = swapped.bytes_le
    with opened(layout) as image:
        assert image.metadata.virtual_disk_id == swapped
