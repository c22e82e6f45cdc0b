"""Clusters that NTFS has free are those that ntfs-3g says, and it is believed when that is."""

from __future__ import annotations

import contextlib
import random
import struct
import sys
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.reading.ntfs_fixtures import (
    cluster_of,
    copy_in,
    free_in,
    make_ntfs,
    mounted_ntfs,
    ntfs3g,
    patch,
    place_of,
    records_at,
)
from vhdx_kaitai.errors import UnsupportedError
from vhdx_kaitai.reading.ntfs import NtfsFileSystem
from vhdx_kaitai.reading.volumes import Volume

pytestmark = pytest.mark.slow

# Exit statuses of ntfs-3g.probe
READY, HIBERNATED, UNCLEAN = 0, 14, 15


def seen(path: Path) -> tuple[str | None, set[int]]:
    """Why a file system is in doubt, and which clusters are free, as a disk says that holds it."""
    image = path.with_suffix(".vhdx")
    vhdx_kaitai.convert(path, image, raw=True, replace=True, block_size=1 << 20, durable=False)
    size = cluster_of(path)
    with vhdx_kaitai.open(image) as disk:
        whole = Volume(0, disk.size)
        assert NtfsFileSystem.is_in(disk, whole)
        system = NtfsFileSystem(disk, whole)
        free = {
            cluster for start, end in system.free() for cluster in range(start // size, end // size)
        }
        return system.doubt, free


KINDS = {
    "usual": (),
    "small clusters": ("-c", "512"),
    "large clusters": ("-c", "65536"),
    "large sectors": ("-s", "4096"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_free_is_what_others_say(kind: str, tmp_path: Path) -> None:
    chance = random.Random(kind)
    path = make_ntfs(tmp_path / "a.raw", *KINDS[kind])
    files = {}
    for number in range(8):
        files[f"{number}"] = tmp_path / f"{number}"
        files[f"{number}"].write_bytes(chance.randbytes(chance.randrange(600_000)))
    copy_in(path, files)
    doubt, ours = seen(path)
    assert doubt is None
    assert ours == free_in(path)
    assert len(ours) * cluster_of(path) > 16 << 20


def test_files_of_all_kinds_are_in_use(tmp_path: Path) -> None:
    """Compressed, sparse and deleted ones, and a root directory in hundreds of pieces."""
    path = make_ntfs(tmp_path / "a.raw", "-C", size=12 << 20)
    with mounted_ntfs(path) as folder:
        with open(folder / "sparse", "wb") as file:
            file.truncate(4 << 20)
            file.seek(1 << 20)
            file.write(b"x" * 5000)
        (folder / "text").write_bytes(b"compresses well " * 20_000)
        (folder / "small").mkdir()
        for number in range(600):
            (folder / "small" / f"{number}").write_bytes(bytes([number % 255 + 1]) * 4096)
        with open(folder / "rest", "wb") as file, contextlib.suppress(OSError):
            while True:
                file.write(b"r" * 65536)
        for number in range(0, 600, 2):
            (folder / "small" / f"{number}").unlink()
        with contextlib.suppress(OSError):
            for number in range(900):
                (folder / f"{number} {'long name ' * 20}").write_bytes(b"")
        (folder / "rest").unlink()
        (folder / "hiberfil.sys").write_bytes(b"hibr" + bytes(8192))
    assert "0x20" in ntfs3g("ntfscluster", "-q", "-f", "-I", 5, path).decode()
    doubt, ours = seen(path)
    assert "hibernated" in str(doubt)
    assert ours == free_in(path)


def test_who_was_not_unmounted_is_in_doubt(tmp_path: Path) -> None:
    path = make_ntfs(tmp_path / "a.raw")
    assert seen(path)[0] is None
    ntfs3g("ntfsfix", path)  # Windows shall check it
    assert seen(path)[0] == "was not cleanly unmounted"
    ntfs3g("ntfsfix", "-d", path)
    assert seen(path)[0] is None


def restart_page(lsn: int, client: int, flags: int) -> bytes:
    """A restart page of $LogFile with one client, as Windows writes it."""
    page = bytearray(4096)
    struct.pack_into("<4sHHQIIHHH", page, 0, b"RSTR", 30, 9, 0, 4096, 4096, 48, 1, 1)
    free = 0 if client == 0xFFFF else 0xFFFF
    area = (lsn, 1, free, client, flags, 45, 224, 64, 2 << 20, 0, 48, 64, 1)
    struct.pack_into("<QHHHHIHHQIHHI", page, 48, *area)
    struct.pack_into("<QQHHHHI", page, 48 + 64, 0, lsn, 0xFFFF, 0xFFFF, 0, 0, 8)
    page[48 + 64 + 32 : 48 + 64 + 40] = "NTFS".encode("utf-16-le")
    page[30:32] = b"\x01\0"
    for end in range(512, 4097, 512):
        at = 30 + end // 256
        page[at : at + 2], page[end - 2 : end] = page[end - 2 : end], page[30:32]
    return bytes(page)


IN_USE, AFTER_UNMOUNT = (0, 0), (0xFFFF, 2)

LOGS = {
    "unmounted": (restart_page(9, *AFTER_UNMOUNT), restart_page(8, *AFTER_UNMOUNT), READY),
    "flagged": (restart_page(9, 0, 2), restart_page(8, 0, 2), READY),
    "in use": (restart_page(9, *IN_USE), restart_page(8, *IN_USE), UNCLEAN),
    "in use lately": (restart_page(8, *AFTER_UNMOUNT), restart_page(9, *IN_USE), UNCLEAN),
    "unmounted lately": (restart_page(8, *IN_USE), restart_page(9, *AFTER_UNMOUNT), READY),
    "no pages": (b"junk" * 1024, b"junk" * 1024, UNCLEAN),
}


@pytest.mark.parametrize("log", LOGS)
def test_a_log_that_has_to_be_replayed_is_in_doubt(log: str, tmp_path: Path) -> None:
    first, second, status = LOGS[log]
    path = make_ntfs(tmp_path / "a.raw")
    patch(path, place_of(path, 2), first + second)
    ntfs3g("ntfs-3g.probe", "--readwrite", path, status=status)
    assert (seen(path)[0] is None) == (status == READY)


def test_a_torn_page_of_the_log_is_in_doubt(tmp_path: Path) -> None:
    path = make_ntfs(tmp_path / "a.raw")
    pages = bytearray(restart_page(9, *AFTER_UNMOUNT) + restart_page(8, *AFTER_UNMOUNT))
    pages[1022] ^= 1
    patch(path, place_of(path, 2), bytes(pages))
    assert seen(path)[0] == "was not cleanly unmounted"


@pytest.mark.parametrize("others", [0, 300])
def test_memory_in_hiberfil_is_in_doubt(others: int, tmp_path: Path) -> None:
    """In small root directories, whose entries are in the record, and in large ones."""
    path = make_ntfs(tmp_path / "a.raw")
    contents = {b"hibr": HIBERNATED, b"HIBR": HIBERNATED, b"wake": READY, b"\0\0\0\0": READY}
    for number, (magic, status) in enumerate(contents.items()):
        with mounted_ntfs(path) as folder:
            for other in range(others if number == 0 else 0):
                (folder / f"another file {other}").write_bytes(b"")
            (folder / "hiberfil.sys").write_bytes(magic + bytes(8192))
        ntfs3g("ntfs-3g.probe", "--readwrite", path, status=status)
        doubt = seen(path)[0]
        assert (doubt is None) == (status == READY)
        assert doubt is None or "hibernated" in doubt
        with mounted_ntfs(path, "remove_hiberfile") as folder:
            (folder / "hiberfil.sys").unlink(missing_ok=True)
        assert seen(path)[0] is None


def test_how_the_name_of_hiberfil_is_written_does_not_matter(tmp_path: Path) -> None:
    path = make_ntfs(tmp_path / "a.raw")
    with mounted_ntfs(path) as folder:
        (folder / "unHiberFil.sys").write_bytes(b"hibr" + bytes(8192))
        (folder / "HiberFil.sys.old").write_bytes(b"hibr" + bytes(8192))
    assert seen(path)[0] is None
    with mounted_ntfs(path) as folder:
        (folder / "HiberFil.sys").write_bytes(b"hibr" + bytes(8192))
    assert "hibernated" in str(seen(path)[0])


def in_two_parts(path: Path) -> None:
    """Let record 15 tell of all of $MFT but its first records, as when it is in many pieces."""
    first, second = records_at(path)
    data = path.read_bytes()[first : first + 16 * 1024]
    record, other = bytearray(data[:1024]), bytearray(data[15 * 1024 :])
    at, attributes = int.from_bytes(record[20:22], "little"), []
    while record[at] != 0xFF:
        length = int.from_bytes(record[at + 4 : at + 8], "little")
        attributes.append(bytearray(record[at : at + length]))
        at += length
    (contents,) = (one for one in attributes if one[0] == 0x80)
    lcn, last = first // 4096, int.from_bytes(contents[24:32], "little")
    parts = []
    for start, end in ((0, 4), (4, last + 1)):
        part = contents[:64] + bytes([0x42]) + struct.pack("<HIB", end - start, lcn + start, 0)
        struct.pack_into("<QQ", part, 16, start, end - 1)
        struct.pack_into("<I", part, 4, len(part))
        parts.append(part)
    rows = [
        *((one, 0, 0) for one in attributes if one[0] <= 0x80),
        (contents, 4, 15),
        *((one, 0, 0) for one in attributes if one[0] > 0x80),
    ]
    listed = b"".join(
        struct.pack("<I4BQQ", one[0], 32, 0, 0, 26, start, number | max(number, 1) << 48)
        + one[14:16].ljust(8, b"\0")  # which of the attributes it is
        for one, start, number in rows
    )
    head = (0x20, 24 + len(listed), 0, 0, 24, 0, 9, len(listed), 24, 0)
    attributes[attributes.index(contents)] = parts[0]
    attributes.insert(1, bytearray(struct.pack("<IIBBHHHIHH", *head)) + listed)
    for changed, inside in ((record, attributes), (other, parts[1:])):
        at = int.from_bytes(changed[20:22], "little")
        body = b"".join(inside) + b"\xff" * 4 + bytes(4)
        stamp = changed[48:50]
        changed[at:] = body.ljust(1024 - at, b"\0")
        assert len(changed) == 1024
        struct.pack_into("<I", changed, 24, at + len(body))
        for place, end in ((50, 510), (52, 1022)):
            changed[place : place + 2], changed[end : end + 2] = changed[end : end + 2], stamp
    struct.pack_into("<Q", other, 32, 1 << 48)  # it belongs to record 0
    patch(path, first, bytes(record))
    patch(path, second, bytes(record))
    patch(path, first + 15 * 1024, bytes(other))


def test_a_table_of_files_in_several_parts_is_followed(tmp_path: Path) -> None:
    path = make_ntfs(tmp_path / "a.raw")
    with mounted_ntfs(path) as folder:
        for number in range(40):
            (folder / f"{number}").write_bytes(b"")
        (folder / "hiberfil.sys").write_bytes(b"hibr" + bytes(8192))
    in_two_parts(path)
    ntfs3g("ntfs-3g.probe", "--readwrite", path, status=HIBERNATED)
    doubt, ours = seen(path)
    assert "hibernated" in str(doubt)
    assert ours == free_in(path)


def test_shadow_copies_are_in_doubt(tmp_path: Path) -> None:
    """They are told by their header near the start, which leads to a catalogue."""
    path = make_ntfs(tmp_path / "a.raw")
    name = bytes.fromhex("6b87083876c1484eb7ae04046e6cc752")
    head = struct.pack("<16sII3Q8xQ", name, 1, 1, 0x1E00, 0x1E00, 0, 1 << 30)
    patch(path, 0x1E00, head)
    assert seen(path)[0] is None
    patch(path, 0x1E00 + 48, struct.pack("<Q", 1 << 20))
    assert "shadow" in str(seen(path)[0])


def test_who_lacks_the_library_is_told_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_ntfs(tmp_path / "a.raw")
    monkeypatch.setitem(sys.modules, "dissect", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'vhdx-kaitai\[files\]'"):
        seen(path)
