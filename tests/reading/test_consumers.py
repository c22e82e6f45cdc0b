"""What people use works on a disk of this package: partition tables and files of real volumes.

An ext4 and an NTFS volume, made by mkfs.ext4 and mkntfs and filled without being mounted, lie
after a partition table inside a VHDX; forensic libraries read the files through `disk.open()` and
`disk.pread`. The two programs at the end are those of docs/library.md.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vhdx_kaitai
from tests.images.chain import child_of
from tests.images.image import Block, Image, dynamic, partial
from tests.images.structures import KIB, MIB
from tests.reading_fixtures import qemu_img, run_program
from tests.support import ROOT
from vhdx_kaitai.reading.disk import Disk

EXT4, NTFS, SIZE = (1 * MIB, 20 * MIB), (22 * MIB, 12 * MIB), 36 * MIB
REPORT = b"What is in this file came a long way.\n"

TABLES = {
    "MBR": "label: dos\nstart={0}, size={1}, type=83\nstart={2}, size={3}, type=7\n",
    "GPT": (
        "label: gpt\n"
        "start={0}, size={1}, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4\n"
        "start={2}, size={3}, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7\n"
    ),
}


def contents() -> dict[str, bytes]:
    """Return the files of both volumes: of no length, small, of several fragments, with zeros."""
    chance = random.Random(11)
    sparse = bytearray(400 * KIB)
    sparse[200 * KIB : 200 * KIB + 5] = b"found"
    return {
        "report.txt": REPORT,
        "empty": b"",
        "sector.bin": chance.randbytes(512),
        "random.bin": chance.randbytes(1_500_001),
        "zeros.bin": bytes(sparse),
    }


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ext4.img and ntfs.img."""
    folder = tmp_path_factory.mktemp("volumes")
    files = folder / "files"
    files.mkdir()
    for name, data in contents().items():
        (files / name).write_bytes(data)
    ext4, ntfs = folder / "ext4.img", folder / "ntfs.img"
    for path, (_, size) in ((ext4, EXT4), (ntfs, NTFS)):
        with path.open("wb") as file:
            file.truncate(size)
    run_program("mkfs.ext4", "-q", "-F", "-d", files, ext4)
    run_program("mkntfs", "-q", "-F", "-f", "-s", "512", "-p", str(NTFS[0] // 512), ntfs)
    for name in contents():
        if name != "empty":  # ntfscp makes no file that it has nothing to put into
            run_program("ntfscp", "-q", ntfs, files / name, name)
    return folder


def raw_disk(volumes: Path, table: str, folder: Path) -> Path:
    """Return a raw disk with both volumes after a partition table."""
    path = folder / "disk.raw"
    with path.open("wb") as file:
        file.truncate(SIZE)
        for name, (start, _) in (("ext4.img", EXT4), ("ntfs.img", NTFS)):
            file.seek(start)
            file.write((volumes / name).read_bytes())
    numbers = [number // 512 for number in (*EXT4, *NTFS)]
    script = TABLES[table].format(*numbers).encode()
    run_program("sfdisk", "-q", "--no-reread", "--wipe", "never", path, input=script)
    return path


def by_qemu(options: str) -> Callable[[Path, Path], Path]:
    def make(raw: Path, folder: Path) -> Path:
        path = folder / "disk.vhdx"
        qemu_img("convert", "-f", "raw", "-O", "vhdx", "-o", options, raw, path)
        return path

    return make


def as_chain(raw: Path, folder: Path) -> Path:
    """Return a child that holds some runs of sectors of each block; in its parent is the rest.

    What the other one holds is junk here, so every sector has to come from the right file.
    """
    data = raw.read_bytes()
    junk = b"\xa5" * MIB
    runs = [(start, start + 7) for start in range(3, 2048, 64)]
    own: dict[int, Block] = {}
    parents: dict[int, Block] = {}
    for number in range(SIZE // MIB):
        block = data[number * MIB : (number + 1) * MIB]
        below, above = bytearray(block), bytearray(junk)
        for first, stop in runs:
            below[first * 512 : stop * 512] = junk[: (stop - first) * 512]
            above[first * 512 : stop * 512] = block[first * 512 : stop * 512]
        parents[number] = Block(data=bytes(below))
        own[number] = partial(*runs, data=bytes(above))
    base: Image = dynamic(SIZE, blocks=parents)
    built = base.build()
    built.write(folder / "base.vhdx")
    return child_of(built, "base.vhdx", blocks=own).build().write(folder / "disk.vhdx")


FORMS: dict[str, Callable[[Path, Path], Path]] = {
    "dynamic": by_qemu("block_size=1M"),
    "fixed": by_qemu("subformat=fixed"),
    "chain": as_chain,
}


@pytest.fixture(scope="module", params=[("MBR", "dynamic"), ("GPT", "fixed"), ("MBR", "chain")])
def image(
    request: pytest.FixtureRequest, volumes: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A VHDX with both volumes, in different forms."""
    table, form = request.param
    folder = tmp_path_factory.mktemp("image")
    return FORMS[form](raw_disk(volumes, table, folder), folder)


@pytest.fixture
def disk(image: Path) -> Any:
    """Its virtual disk."""
    with vhdx_kaitai.open(image) as disk:
        yield disk


def digests(files: dict[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


EXPECTED = {
    "ext4": digests(contents()),
    "ntfs": digests({name: data for name, data in contents().items() if name != "empty"}),
}


# -- dissect ------------------------------------------------------------------------------------


def test_dissect_finds_the_partitions(disk: Disk) -> None:
    volume = pytest.importorskip("dissect.volume.disk")
    found = [(part.offset, part.size) for part in volume.Disk(disk.open()).partitions]
    assert [offset for offset, _ in found] == [EXT4[0], NTFS[0]]
    for (_, size), (_, expected) in zip(found, (EXT4, NTFS), strict=True):
        assert 0 <= expected - size <= 512  # it leaves out the last sector of a GPT partition


def test_dissect_reads_every_file(disk: Disk) -> None:
    volume = pytest.importorskip("dissect.volume.disk")
    extfs = pytest.importorskip("dissect.extfs")
    ntfs = pytest.importorskip("dissect.ntfs")
    one, two = (partition.open() for partition in volume.Disk(disk.open()).partitions)
    ext4 = extfs.ExtFS(one)
    names = set(ext4.get("/").listdir())
    assert names >= {*contents()}
    read = {name: ext4.get(f"/{name}").open().read() for name in contents()}
    assert digests(read) == EXPECTED["ext4"]
    mft = ntfs.NTFS(two).mft
    read = {name: mft.get(name).open().read() for name in EXPECTED["ntfs"]}
    assert digests(read) == EXPECTED["ntfs"]


# -- The Sleuth Kit -----------------------------------------------------------------------------


def sleuthkit_image(disk: Disk) -> tuple[Any, Any]:
    pytsk3 = pytest.importorskip("pytsk3")

    class Image(pytsk3.Img_Info):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__(url="", type=pytsk3.TSK_IMG_TYPE_EXTERNAL)

        def read(self, offset: int, length: int) -> bytes:
            return disk.pread(length, offset)

        def get_size(self) -> int:
            return disk.size

    return pytsk3, Image()


def test_the_sleuth_kit_finds_the_partitions(disk: Disk) -> None:
    pytsk3, image = sleuthkit_image(disk)
    assert [
        (part.start * 512, part.len * 512)
        for part in pytsk3.Volume_Info(image)
        if part.flags == pytsk3.TSK_VS_PART_FLAG_ALLOC
    ] == [EXT4, NTFS]


@pytest.mark.parametrize(("name", "place"), [("ext4", EXT4), ("ntfs", NTFS)])
def test_the_sleuth_kit_reads_every_file(name: str, place: tuple[int, int], disk: Disk) -> None:
    pytsk3, image = sleuthkit_image(disk)
    volume = pytsk3.FS_Info(image, offset=place[0])
    names = {entry.info.name.name.decode() for entry in volume.open_dir("/")}
    assert names >= {*EXPECTED[name]}
    read = {}
    for file_name in EXPECTED[name]:
        file = volume.open(f"/{file_name}")
        size = file.info.meta.size
        read[file_name] = file.read_random(0, size) if size else b""
    assert digests(read) == EXPECTED[name]


# -- libyal -------------------------------------------------------------------------------------


class Window:
    """A part of a file object, as libyal's libraries want it."""

    def __init__(self, file: Any, start: int, size: int) -> None:
        self.file, self.start, self.size = file, start, size
        self.file.seek(start)

    def get_size(self) -> int:
        return self.size

    def tell(self) -> int:
        return int(self.file.tell() - self.start)

    def seek(self, offset: int, whence: int = 0) -> None:
        base = (self.start, self.file.tell(), self.start + self.size)[whence]
        self.file.seek(base + offset)

    def read(self, size: int) -> bytes:
        data: bytes = self.file.read(min(size, self.start + self.size - self.file.tell()))
        return data


@pytest.mark.parametrize(
    ("module", "name", "place", "root"),
    [("pyfsext", "ext4", EXT4, "/"), ("pyfsntfs", "ntfs", NTFS, "\\")],
)
def test_libyal_reads_every_file(
    module: str, name: str, place: tuple[int, int], root: str, disk: Disk
) -> None:
    library = pytest.importorskip(module)
    volume = library.volume()
    volume.open_file_object(Window(disk.open(), *place))
    read = {}
    for file_name in EXPECTED[name]:
        entry = volume.get_file_entry_by_path(f"{root}{file_name}")
        read[file_name] = entry.read_buffer_at_offset(entry.get_size(), 0) or b""
    assert digests(read) == EXPECTED[name]
    volume.close()


@pytest.mark.parametrize("image", [("GPT", "fixed")], indirect=True)
def test_libyal_opens_a_disk_file_by_itself(disk: Disk) -> None:
    library = pytest.importorskip("pyvsgpt")
    volume = library.volume()
    volume.open_file_object(disk.open())
    partitions = [volume.get_partition(index) for index in range(volume.number_of_partitions)]
    found = [(partition.volume_offset, partition.size) for partition in partitions]
    assert found == [EXT4, NTFS]
    assert partitions[1].read_buffer_at_offset(8, 0)[3:] == b"NTFS "
    volume.close()


# -- the recipes of the guide ------------------------------------------------------------------

DISSECT = """\
from dissect.extfs import ExtFS
from dissect.ntfs import NTFS
from dissect.volume.disk import Disk
from dissect.volume.exceptions import DiskError

import vhdx_kaitai

with vhdx_kaitai.open("disk.vhdx") as disk:
    try:
        volumes = [partition.open() for partition in Disk(disk.open()).partitions]
    except DiskError:  # no partition table, as WSL and Docker have it: the volume is the disk
        volumes = [disk.open()]
    for volume in volumes:
        if volume.read(8)[3:7] == b"NTFS":
            file = NTFS(volume).mft.get("report.txt")
        else:
            file = ExtFS(volume).get("/report.txt")
        print(file.open().read())
"""

SLEUTH_KIT = """\
import pytsk3

import vhdx_kaitai


class Image(pytsk3.Img_Info):
    def __init__(self, disk):
        self.disk = disk
        super().__init__(url="", type=pytsk3.TSK_IMG_TYPE_EXTERNAL)

    def read(self, offset, length):
        return self.disk.pread(length, offset)

    def get_size(self):
        return self.disk.size


with vhdx_kaitai.open("disk.vhdx") as disk:
    image = Image(disk)
    try:
        table = pytsk3.Volume_Info(image)
        starts = [part.start for part in table if part.flags == pytsk3.TSK_VS_PART_FLAG_ALLOC]
    except OSError:  # no partition table: the volume is the disk
        starts = [0]
    for start in starts:
        volume = pytsk3.FS_Info(image, offset=start * disk.logical_sector_size)
        file = volume.open("/report.txt")
        print(file.read_random(0, file.info.meta.size))
"""

RECIPES = {
    "dissect": (DISSECT, ("dissect.volume", "dissect.extfs", "dissect.ntfs")),
    "The Sleuth Kit": (SLEUTH_KIT, ("pytsk3",)),
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_prints_the_same_file_of_both_volumes(
    recipe: str, image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text, modules = RECIPES[recipe]
    for module in modules:
        pytest.importorskip(module)
    monkeypatch.chdir(image.parent)
    exec(compile(text, recipe, "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out == f"{REPORT!r}\n" * 2


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_prints_the_file_of_a_volume_that_is_the_whole_disk(
    recipe: str,
    volumes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text, modules = RECIPES[recipe]
    for module in modules:
        pytest.importorskip(module)
    by_qemu("block_size=1M")(volumes / "ext4.img", tmp_path)
    monkeypatch.chdir(tmp_path)
    exec(compile(text, recipe, "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out == f"{REPORT!r}\n"


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_stands_in_the_guide_as_it_is_run(recipe: str) -> None:
    guide = (ROOT / "docs/library.md").read_text(encoding="utf-8")
    programs = re.findall(r"^```python\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    assert RECIPES[recipe][0] in programs
