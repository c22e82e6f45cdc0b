"""File systems of each kind, made by other programs, are read as these and their makers say."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.conftest import Run
from tests.copying.mounted import mounted
from tests.images.structures import MIB
from tests.reading.ntfs_fixtures import place_of, records_at
from tests.serving.making import (
    MAKERS,
    WHEN,
    Model,
    blank,
    image_of,
    make_ext,
    model_of,
    plain_tree,
    tool,
    with_times,
)
from tests.support import files_in
from vhdx_kaitai.copying.extract import contents
from vhdx_kaitai.reading.entries import Entry, FileSystem
from vhdx_kaitai.reading.places import chosen_place
from vhdx_kaitai.reading.volumes import Volume
from vhdx_kaitai.serving.dissected import LIBRARIES
from vhdx_kaitai.serving.files import Files

pytest.importorskip("dissect.xfs")  # one of those that only the extra brings

pytestmark = pytest.mark.slow


def fail(path: str, why: str) -> None:
    raise AssertionError(f"{path}: {why}")


def read_all(image: Path, path: str = "/") -> tuple[FileSystem, dict[str, tuple[Entry, bytes]]]:
    """What a file system says of itself, and all of its files with their contents."""
    with vhdx_kaitai.open(image) as disk:
        place = chosen_place(disk, None, LIBRARIES)
        files = Files(disk, place.volume, place.kind, fail)
        found = {
            entry.path: (entry, b"".join(contents(entry)) if entry.status.kind == "file" else b"")
            for entry in files.entries(files.find(path))
            if entry.path
        }
        return files.describe(), found


def as_model(found: dict[str, tuple[Entry, bytes]]) -> dict[str, Model]:
    return {
        path: Model(entry.status.kind, data, entry.status.target)
        for path, (entry, data) in found.items()
        if path != "lost+found"
    }


def blkid(raw: Path) -> dict[str, str]:
    """What util-linux says of a file system."""
    lines = shlex.split(tool("blkid", "-p", "-o", "export", raw))
    return dict(line.split("=", 1) for line in lines if "=" in line)


@pytest.fixture(scope="module", params=MAKERS)
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, Path]:
    """A kind, a raw disk with a file system of it, and the tree that was put into it."""
    folder = tmp_path_factory.mktemp("made")
    kind: str = request.param
    (folder / "tree").mkdir()
    tree = plain_tree(folder / "tree")
    if not kind.startswith(("NTFS", "FAT")):
        (tree / "link").symlink_to("report.txt")
        (tree / "Some Folder" / "up").symlink_to("../report.txt")
    if kind == "XFS":  # its prototypes have no spaces
        for path in sorted(tree.rglob("* *"), reverse=True):
            path.rename(path.with_name(path.name.replace(" ", "_")))
    with_times(tree)
    return kind, MAKERS[kind](folder / "disk.raw", tree), tree


def test_files_have_the_contents_that_they_were_given(made: tuple[str, Path, Path]) -> None:
    kind, raw, tree = made
    expected = model_of(tree)
    if kind == "NTFS":
        expected = {
            name: model
            for name, model in expected.items()
            if (tree / name).parent == tree and model.kind == "file"
        }
    _, found = read_all(image_of(raw))
    assert as_model(found) == expected
    for path, (entry, data) in found.items():
        if entry.status.kind == "file":
            assert entry.status.size == len(data)
        if kind in ("ext2", "ext3", "ext4", "Btrfs") and path in expected:
            assert entry.status.modified == WHEN * 10**9
            assert entry.status.mode == (tree / path).lstat().st_mode & 0o7777
        if kind.startswith("FAT"):
            assert entry.status.modified is not None
            assert entry.status.mode is None


def test_it_says_of_itself_what_other_programs_say(made: tuple[str, Path, Path]) -> None:
    kind, raw, _ = made
    system, _ = read_all(image_of(raw))
    told = blkid(raw)
    assert system.label == told["LABEL"]
    assert system.uuid == told["UUID"]
    assert system.kind == kind
    assert system.kind.lower().startswith(told["TYPE"].replace("vfat", "fat"))
    assert (system.size, system.free) == sizes(kind, raw)
    assert system.doubt is None


def sizes(kind: str, raw: Path) -> tuple[int, int]:
    """How large a file system is, and how much of it is free, as its own programs say."""
    if kind in ("ext2", "ext3", "ext4"):
        told = tool("dumpe2fs", "-h", raw)
        blocks, free, size = (
            int(re.findall(rf"^{name}: +(\d+)$", told, re.MULTILINE)[0])
            for name in ("Block count", "Free blocks", "Block size")
        )
        return blocks * size, free * size
    if kind == "XFS":
        told = tool("xfs_db", "-r", "-c", "sb 0", "-c", "p dblocks fdblocks blocksize", raw)
        blocks, free, size = map(int, re.findall(r" = (\d+)", told))
        return blocks * size, free * size
    if kind == "Btrfs":
        told = tool("btrfs", "inspect-internal", "dump-super", raw)
        total, used = (
            int(re.findall(rf"^{name}\t+(\d+)$", told, re.MULTILINE)[0])
            for name in ("total_bytes", "bytes_used")
        )
        return total, total - used
    if kind == "NTFS":
        told = tool("ntfsinfo", "-m", raw)
        size, total, free = (
            int(re.findall(rf"{name}: (\d+)", told)[0])
            for name in ("Cluster Size", "Volume Size in Clusters", "Free Clusters")
        )
        whole = raw.stat().st_size
        return whole - 512, free * size  # the last sector is a copy of the first
    told = tool("mdir", "-i", raw)
    free_text = re.findall(r"([\d ]+) bytes free", told)[0]
    return raw.stat().st_size, int(free_text.replace(" ", ""))


# -- holes, and what only looks like contents -----------------------------------------------------


def sparse(path: Path, size: int, *parts: tuple[int, bytes]) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
        for at, data in parts:
            file.seek(at)
            file.write(data)
    return path


@pytest.mark.parametrize("kind", ["ext2", "ext3", "ext4"])
def test_holes_of_huge_files_are_passed_over(kind: str, tmp_path: Path, run: Run) -> None:
    (tmp_path / "tree").mkdir()
    size = 1 << 40 if kind == "ext4" else 5 << 30
    sparse(tmp_path / "tree" / "huge", size, (size // 2, b"amid"), (size - 3, b"end"))
    sparse(tmp_path / "tree" / "last", 3 * MIB, (1_500_000, b"x"))  # and a hole to its end
    make = make_ext(kind, "-b", "4096")
    image = image_of(make(tmp_path / "disk.raw", tmp_path / "tree"))
    assert run("extract", image, "/", tmp_path / "out").status == 0
    with (tmp_path / "out" / "huge").open("rb") as file:
        assert os.fstat(file.fileno()).st_size == size
        assert os.fstat(file.fileno()).st_blocks * 512 < MIB
        assert [file.read(4) for at in (0, size // 2, size - 4) if file.seek(at) == at] == [
            bytes(4),
            b"amid",
            b"\0end",
        ]
    assert (tmp_path / "out" / "last").read_bytes() == (tmp_path / "tree" / "last").read_bytes()


@pytest.mark.parametrize(
    ("kind", "size", "maker"),
    [("XFS", 320 * MIB, ("mkfs.xfs", "-q")), ("Btrfs", 128 * MIB, ("mkfs.btrfs", "-q"))],
)
def test_what_linux_wrote_is_read_as_linux_reads_it(
    kind: str, size: int, maker: tuple[str, ...], tmp_path: Path
) -> None:
    """Holes, and what was reserved and never written; dirt is where that was reserved."""
    with mounted(tmp_path, size, *maker) as folder:
        sparse(
            folder / "holes", 5 * MIB, (0, b"a"), (2 * MIB, b"b" * 70_000), (5 * MIB - 3, b"end")
        )
        sparse(folder / "huge", 1 << 40, (1 << 39, b"amid"))
        (folder / "dirt").write_bytes(b"dirt" * (4 * MIB))
        os.sync()
        (folder / "dirt").unlink()
        os.sync()
        with (folder / "reserved").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 6 * MIB)
            file.seek(4 * MIB)
            file.write(b"amid")
        expected = {name: (folder / name).read_bytes() for name in ("holes", "reserved")}
    image = image_of(tmp_path / "file system")
    with vhdx_kaitai.open(image) as disk:
        files = Files(disk, Volume(0, disk.size), kind, fail)
        entries = {entry.path: entry for entry in files.entries(files.find("/"))}
        assert {name: b"".join(contents(entries[name])) for name in expected} == expected
        huge = list(entries["huge"].pieces())
    assert b"".join(data for _, data in huge).strip(b"\0") == b"amid"
    assert sum(len(data) for _, data in huge) <= MIB
    assert entries["huge"].status.size == 1 << 40


def test_what_was_reserved_and_never_written_is_zeros(tmp_path: Path) -> None:
    """On ext4; the blocks hold something else, from before."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_bytes(b"begin".ljust(4096, b"\0"))
    raw = make_ext("ext4", "-b", "4096")(tmp_path / "disk.raw", tmp_path / "tree")
    tool("debugfs", "-w", "-R", "sif file size 1048576", raw)
    tool("debugfs", "-w", "-R", "fallocate file 1 255", raw)
    told = tool("debugfs", "-R", "ex file", raw)
    first, last = map(int, re.findall(r"(\d+) - +(\d+) +\d+ Uninit", told)[0])
    with raw.open("r+b") as file:
        file.seek(first * 4096)
        file.write(b"\xee" * 4096 * (last + 1 - first))
    _, found = read_all(image_of(raw))
    assert found["file"][1] == b"begin".ljust(MIB, b"\0")


def test_what_ntfs_has_past_the_end_of_what_was_written_is_zeros(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_bytes(b"\xee" * 100_000)
    raw = MAKERS["NTFS"](tmp_path / "disk.raw", tmp_path / "tree")
    number = int(re.findall(r"Dumping Inode (\d+)", tool("ntfsinfo", "-F", "file", raw))[0])
    assert place_of(raw, number)
    at = records_at(raw)[0] + number * 1024
    data = bytearray(raw.read_bytes())
    sizes_at = data.index((100_000).to_bytes(8, "little") * 2, at, at + 1024)
    data[sizes_at + 8 : sizes_at + 16] = (70_000).to_bytes(8, "little")  # of valid data
    raw.write_bytes(data)
    _, found = read_all(image_of(raw))
    assert found["file"][1] == b"\xee" * 70_000 + bytes(30_000)


def test_what_stands_in_its_inode_is_read_rightly_or_not_at_all(tmp_path: Path, run: Run) -> None:
    (tmp_path / "tree" / "folder").mkdir(parents=True)
    (tmp_path / "tree" / "short").write_bytes(b"short")
    (tmp_path / "tree" / "longer").write_bytes(b"longer" * 20)
    (tmp_path / "tree" / "folder" / "file").touch()
    make = make_ext("ext4", "-O", "inline_data", "-I", "256")
    image = image_of(make(tmp_path / "disk.raw", tmp_path / "tree"))
    assert run("cat", image, "short") == (0, "short", "")
    for path in ("longer", "folder/file"):
        outcome = run("cat", image, path)
        assert (outcome.status, outcome.out) == (1, "")
    assert run("ls", image, "folder").status == 1
    outcome = run("extract", image, "/", tmp_path / "out", "--salvage")
    assert outcome.status == 3
    assert files_in(tmp_path / "out") == {"lost+found", "folder", "short"}


def test_encrypted_files_are_not_read(tmp_path: Path, run: Run) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "secret").write_bytes(b"\xee" * 5000)
    raw = make_ext("ext4", "-O", "encrypt")(tmp_path / "disk.raw", tmp_path / "tree")
    tool("debugfs", "-w", "-R", "sif secret flags 0x80800", raw)
    image = image_of(raw)
    outcome = run("cat", image, "secret")
    assert (outcome.status, outcome.out) == (1, "")
    assert "contents" in outcome.err
    outcome = run("extract", image, "/", tmp_path / "out")
    assert outcome.status == 3
    assert not (tmp_path / "out" / "secret").exists()


def test_a_journal_that_was_not_replayed_is_told(tmp_path: Path, run: Run) -> None:
    (tmp_path / "tree").mkdir()
    raw = make_ext("ext4")(tmp_path / "disk.raw", tmp_path / "tree")
    tool("debugfs", "-w", "-R", "ssv state 0", raw)
    image = image_of(raw)
    outcome = run("files", image)
    assert outcome.status == 0
    assert "was not cleanly unmounted" in outcome.out
    expected = (
        f"vhdx-kaitai: {image}: the file system was not cleanly unmounted; files may not be what "
        "was written last\n"
    )
    assert run("ls", image) == (0, "lost+found/\n", expected)


def test_a_missing_library_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    raw = blank(tmp_path / "disk.raw", 4 * MIB)
    tool("mke2fs", "-q", "-F", "-t", "ext2", raw)
    monkeypatch.setitem(__import__("sys").modules, "dissect.extfs", None)
    outcome = run("ls", image_of(raw))
    assert outcome.status == 1
    assert "pip install 'vhdx-kaitai[files]'" in outcome.err
    outcome = run("files", image_of(raw))
    assert (outcome.status, "pip install" in outcome.out) == (0, True)
