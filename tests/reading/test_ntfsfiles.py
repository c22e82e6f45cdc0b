"""Whatever bytes an NTFS file system has, nothing is taken for free that is in use."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.reading.ntfs_fixtures import copy_in, make_ntfs, records_at
from vhdx_kaitai.errors import UnsupportedError
from vhdx_kaitai.ranges import Ranges
from vhdx_kaitai.reading.ntfs import NtfsFileSystem
from vhdx_kaitai.reading.ntfsfiles import NtfsFiles
from vhdx_kaitai.reading.volumes import Volume
from vhdx_kaitai.writing.disk import WritableDisk

pytestmark = pytest.mark.slow

RECORD = 1024


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file system with some files."""
    folder = tmp_path_factory.mktemp("ntfs")
    path = make_ntfs(folder / "a.raw", size=16 << 20)
    (folder / "file").write_bytes(random.Random(3).randbytes(700_000))
    copy_in(path, {"one": folder / "file", "two": folder / "file"})
    return path


@pytest.fixture
def disk(made: Path, tmp_path: Path) -> Iterator[WritableDisk]:
    image = tmp_path / "a.vhdx"
    vhdx_kaitai.convert(made, image, raw=True, block_size=1 << 20, durable=False)
    with vhdx_kaitai.open(image, writable=True) as disk:
        yield disk


def free_on(disk: vhdx_kaitai.Disk) -> Ranges:
    return Ranges(NtfsFileSystem(disk, Volume(0, disk.size)).free())


def fields(start: int, length: int) -> list[int]:
    return list(range(start, start + length, 4))


@pytest.mark.parametrize("where", ["boot sector", *(f"record {n}" for n in (0, 3, 5, 6))])
def test_what_is_damaged_is_refused_and_nothing_lost(
    where: str, disk: WritableDisk, made: Path
) -> None:
    """Each field of four bytes gets several other values."""
    table, mirror = records_at(made)
    number = int(where[-1]) if where[-1].isdigit() else None
    start, length = (0, 512) if number is None else (table + number * RECORD, RECORD)
    copies = [start] if number is None or number > 3 else [start, mirror + number * RECORD]
    truth, chance = free_on(disk), random.Random(where)
    refused = 0
    for at in fields(0, length):
        before = disk.pread(4, start + at)
        one = bytes([before[0] ^ 1]) + before[1:]
        for value in (one, b"\xff" * 4, chance.choice([bytes(4), chance.randbytes(4)])):
            # In both copies, so that what the first tells is believed as far as it can be.
            for copy in copies:
                disk.pwrite(value, copy + at)
            try:
                free = free_on(disk)
            except UnsupportedError:
                refused += 1
            else:
                assert all(truth.hold(*some) for some in free), (at, value)
        for copy in copies:
            disk.pwrite(before, copy + at)
    assert refused > 20
    assert list(free_on(disk)) == list(truth)


def test_the_first_records_have_to_be_as_their_copies(disk: WritableDisk, made: Path) -> None:
    table, mirror = records_at(made)
    for copy in (table, mirror):
        before = disk.pread(1, copy + 3 * RECORD + 64)
        disk.pwrite(bytes([before[0] ^ 1]), copy + 3 * RECORD + 64)
        with pytest.raises(UnsupportedError, match=r"record 3 of \$MFT is not what \$MFTMirr has"):
            free_on(disk)
        disk.pwrite(before, copy + 3 * RECORD + 64)


def test_a_bitmap_that_has_system_files_free_is_refused(disk: WritableDisk) -> None:
    files = NtfsFiles(disk, Volume(0, disk.size))
    (run,) = files.runs(files.named(6, 0x80))
    assert run[0] is not None
    at = run[0] * 4096
    before = disk.pread(512, at)
    disk.pwrite(bytes([before[0] & 0xFE]), at)
    with pytest.raises(UnsupportedError, match="system file"):
        free_on(disk)
    disk.pwrite(bytes(512), at)
    with pytest.raises(UnsupportedError, match="system file"):
        free_on(disk)


def test_no_list_of_attributes_costs_much(disk: WritableDisk, made: Path) -> None:
    """One of gigabytes, one that leads to itself, and one without an end."""
    table, _ = records_at(made)
    record = bytearray(disk.pread(RECORD, table + 6 * RECORD))
    at = struct.unpack_from("<H", record, 20)[0]

    def refused(attribute: bytes, message: str) -> None:
        changed = record[:at] + attribute + b"\xff" * 4
        changed = changed.ljust(RECORD, b"\0")
        struct.pack_into("<I", changed, 24, at + len(attribute) + 8)
        changed[510:512] = changed[1022:1024] = record[510:512]
        disk.pwrite(bytes(changed), table + 6 * RECORD)
        with pytest.raises(UnsupportedError, match=message):
            free_on(disk)

    def list_of(value: bytes) -> bytes:
        head = struct.pack("<IIBBHHHIHH", 0x20, 24 + len(value), 0, 0, 24, 0, 0, len(value), 24, 0)
        return head + value

    long = struct.pack("<IIBBHHHQQHH4xQQQ", 0x20, 72, 1, 0, 64, 0, 0, 0, 2**22, 64, 0, *[2**34] * 3)
    refused(long + b"\x03\x01\0\x40\0\0\0\0", "damaged|too long")
    itself = struct.pack("<IHBBQQH6x", 0x80, 32, 0, 26, 0, 6 | 6 << 48, 0)
    refused(list_of(itself), "no contents")
    others = b"".join(itself[:16] + struct.pack("<Q", n) + itself[24:] for n in (9, 7))
    refused(list_of(others), "has attributes in record 9")
    refused(list_of(bytes(32)), "a list of attributes is damaged")
