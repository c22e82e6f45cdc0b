"""What nobody needs of a disk is what its file systems have free, if they can be believed."""

from __future__ import annotations

from pathlib import Path

import pytest

import vhdx_kaitai
from tests.images.partitioned import mbr
from tests.reading.extfs_fixtures import e2fsprogs, free_in, make_ext
from tests.reading.ntfs_fixtures import free_in as free_in_ntfs
from tests.reading.ntfs_fixtures import make_ntfs
from tests.support import good
from vhdx_kaitai.errors import UnsafeError, UnsupportedError
from vhdx_kaitai.reading import unused as room
from vhdx_kaitai.reading.unused import left_alone, unused
from vhdx_kaitai.units import MIB

pytestmark = pytest.mark.slow

SIZE = 20 * MIB
OPTIONS = ("-t", "ext4", "-b", "4096")


def disk_of(data: bytes, path: Path) -> vhdx_kaitai.Disk:
    raw = path / "disk.raw"
    raw.write_bytes(data)
    vhdx_kaitai.convert(raw, path / "disk.vhdx", raw=True, replace=True, durable=False)
    return vhdx_kaitai.open(path / "disk.vhdx")


def test_of_a_disk_in_partitions_each_has_a_say(tmp_path: Path) -> None:
    one, two = (make_ext(tmp_path / f"{n}", *OPTIONS, size=SIZE) for n in range(2))
    sectors = SIZE // 512
    head = mbr((0x83, 2048, sectors), (0x83, 2048 + sectors, sectors)).ljust(MIB, b"\0")
    with disk_of(head + one.read_bytes() + two.read_bytes(), tmp_path) as disk:
        blocks = {at // 4096 for start, end in unused(disk) for at in range(start, end, 4096)}
    parts = ((MIB, one), (MIB + SIZE, two))
    assert blocks == {start // 4096 + block for start, path in parts for block in free_in(path)}


def test_of_file_systems_of_several_kinds_each_has_a_say(tmp_path: Path) -> None:
    one = make_ext(tmp_path / "one", *OPTIONS, size=SIZE)
    two = make_ntfs(tmp_path / "two", size=SIZE)
    sectors = SIZE // 512
    head = mbr((7, 2048 + sectors, sectors), (0x83, 2048, sectors)).ljust(MIB, b"\0")
    with disk_of(head + one.read_bytes() + two.read_bytes(), tmp_path) as disk:
        blocks = {at // 4096 for start, end in unused(disk) for at in range(start, end, 4096)}
    expected = {(MIB // 4096) + block for block in free_in(one)}
    assert blocks == expected | {(MIB + SIZE) // 4096 + cluster for cluster in free_in_ntfs(two)}


def test_of_very_many_ranges_only_the_first_are_unused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (make_ntfs(tmp_path / f"{n}", size=SIZE).read_bytes() for n in range(2))
    sectors = SIZE // 512
    head = mbr((7, 2048, sectors), (7, 2048 + sectors, sectors)).ljust(MIB, b"\0")
    with disk_of(head + one + two, tmp_path) as disk:
        everything = list(unused(disk))
        monkeypatch.setattr(room, "_MOST_RANGES", 2)
        assert list(unused(disk)) == everything[:2]


def test_where_two_file_systems_are_nothing_is_free(tmp_path: Path) -> None:
    path = make_ext(tmp_path / "a", *OPTIONS, size=SIZE)
    data = make_ntfs(tmp_path / "b", size=SIZE).read_bytes()[:1024] + path.read_bytes()[1024:]
    with disk_of(data, tmp_path) as disk, pytest.raises(UnsupportedError, match="more than one"):
        unused(disk)


def test_code_in_the_boot_sector_of_a_file_system_is_no_table(tmp_path: Path) -> None:
    """Text of Windows stands where a table has entries."""
    path = make_ntfs(tmp_path / "a", size=SIZE)
    data = bytearray(path.read_bytes())
    data[424:510] = b"\r\nBOOTMGR is compressed\0\r\nPress Ctrl+Alt+Del to restart\r\n".ljust(86)
    with disk_of(bytes(data), tmp_path) as disk:
        blocks = {at // 4096 for start, end in unused(disk) for at in range(start, end, 4096)}
    assert blocks == free_in_ntfs(path)
    data[446:510] = mbr((7, 2048, 4096))[446:510]
    with disk_of(bytes(data), tmp_path) as disk, pytest.raises(UnsupportedError, match="over all"):
        unused(disk)


def test_a_file_system_that_is_in_use_is_believed_only_by_force(tmp_path: Path) -> None:
    path = make_ext(tmp_path / "a", *OPTIONS, size=SIZE)
    e2fsprogs("debugfs", "-w", "-R", "dirty", path)
    with disk_of(path.read_bytes(), tmp_path) as disk:
        with pytest.raises(UnsafeError, match="--force"):
            unused(disk)
        assert list(unused(disk, force=True))


def test_who_has_no_file_system_is_told(tmp_path: Path) -> None:
    with (
        vhdx_kaitai.open(good("dynamic-plain").to_bytes()) as disk,
        pytest.raises(UnsupportedError, match="no file system is known"),
    ):
        unused(disk)
    path = make_ext(tmp_path / "a", *OPTIONS, size=SIZE)
    data = mbr((0x83, 2048, 2048)) + path.read_bytes()[512:]
    with disk_of(data, tmp_path) as disk, pytest.raises(UnsupportedError, match="partitions"):
        unused(disk)


def test_what_is_not_known_is_told_and_left_alone(tmp_path: Path) -> None:
    known = make_ext(tmp_path / "a", *OPTIONS, size=SIZE).read_bytes()
    sectors = SIZE // 512
    head = mbr((0x83, 2048, 2048), (0x83, 4096, sectors)).ljust(MIB, b"\0")
    with disk_of(head + b"XFSB".ljust(MIB, b"\0") + known, tmp_path) as disk:
        (told,) = left_alone(disk)
        assert told.startswith(f"what XFS at {MIB} has free is not known here")
        assert min(unused(disk))[0] > 2 * MIB
    with (
        disk_of(b"XFSB".ljust(MIB, b"\0"), tmp_path) as disk,
        pytest.raises(UnsupportedError, match=r"no file system is known .*XFS at 0"),
    ):
        unused(disk)


def test_what_is_locked_with_bitlocker_is_none(tmp_path: Path) -> None:
    path = make_ntfs(tmp_path / "a", size=SIZE)
    data = path.read_bytes()
    locked = data[:3] + b"-FVE-FS-" + data[11:]
    with disk_of(locked, tmp_path) as disk, pytest.raises(UnsupportedError, match="no file system"):
        unused(disk)
