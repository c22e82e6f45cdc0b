"""What other programs make of disks that were written here, and who may write when."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import vhdx_kaitai
from tests.crash.disks import DISKS
from tests.crash.machine import cuts
from tests.crash.recorder import applied
from tests.crash.working import Subject
from tests.differential.test_readers import READERS
from tests.images.image import Block, dynamic, fixed
from tests.images.structures import MIB
from tests.reading_fixtures import qemu_img, run_program
from tests.serving.clients import served_by_qemu
from tests.storage.test_locks import opened_by_qemu
from vhdx_kaitai.errors import InUseError

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="QEMU locks bytes there")

# Disks of gigabytes, all of which these tests would read.
_LARGE = ("many pages", "more pages than the ring holds", "chunks without bitmaps")
_WITHOUT_PARENTS = [
    name for name in DISKS if "child" not in name and name not in ("ring that wraps", *_LARGE)
]
_FOR_QEMU = [name for name in _WITHOUT_PARENTS if name != "sectors of 4096"]

_ITEMS = "it refuses items that it does not know, or that are empty"
_ODD = "it refuses some odd sizes"
_NOT_FOR = {
    "libvhdi": {"unknown regions and items": _ITEMS, "unknown region at the end": _ITEMS},
    "dissect": {"unknown regions and items": _ITEMS, "unknown region at the end": _ITEMS},
    "7-Zip": {
        "dynamic without gaps": _ODD,
        "dynamic whose last block is cut": _ODD,
        "sectors of 4096": _ODD,
        "fixed whose last block is cut": _ODD,
    },
}


def held_in(path: Path) -> bytes:
    with vhdx_kaitai.open(path) as disk:
        return bytes(disk.pread(disk.size, 0))


def assert_in_order(path: Path) -> None:
    report = vhdx_kaitai.check(path)
    assert [str(f) for f in report.findings if f.level == "error"] == []


# -- readers --------------------------------------------------------------------------------------


def has_header_alone(data: memoryview) -> bool:
    """Tell whether a log entry in a file is torn amid the sector of its header."""
    heads = (bytes(data[at : at + 68]) for at in range(0, len(data), 4096))
    return any(h.startswith(b"loge") and not h.endswith((b"desc", b"zero")) for h in heads)


def assert_qemu_reads_cuts_alike(name: str, count: int, folder: Path) -> int:
    """Cut the power, let QEMU repair what is left, and return how often the log was dirty."""
    subject = Subject(DISKS[name]())
    path, raw = folder / "cut.vhdx", folder / "cut.raw"
    dirty = 0
    for cut in cuts(subject.before, subject.events(1), count, 1):
        path.write_bytes(cut.data)
        with vhdx_kaitai.open(path) as disk:
            held = disk.pread(disk.size, 0)
            is_dirty, size = disk.image.log_state != "clean", disk.image.source.size
        # QEMU makes no file as long as LastFileOffset says, and refuses a torn entry, even if
        # it is not active, of which it finds the header alone.
        if size > len(cut.data) or has_header_alone(cut.data):
            continue
        dirty += is_dirty
        qemu_img("check", "-q", "-r", "all", "-f", "vhdx", path)
        qemu_img("convert", "-f", "vhdx", "-O", "raw", path, raw)
        assert raw.read_bytes() == held, cut.what
    return dirty


@pytest.mark.slow
@pytest.mark.parametrize("name", _FOR_QEMU)
def test_qemu_repairs_what_a_cut_has_left_and_reads_the_same(name: str, tmp_path: Path) -> None:
    dirty = assert_qemu_reads_cuts_alike(name, 40, tmp_path)
    assert dirty > 3 or name.startswith("fixed")  # where nothing gets into the log


@pytest.mark.parametrize("name", ["dynamic", "space that is used again"])
def test_qemu_repairs_some_cuts(name: str, tmp_path: Path) -> None:
    assert assert_qemu_reads_cuts_alike(name, 5, tmp_path) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", _WITHOUT_PARENTS)
@pytest.mark.parametrize("reader", READERS)
def test_other_readers_read_a_disk_that_was_closed(reader: str, name: str, tmp_path: Path) -> None:
    if name in _NOT_FOR[reader]:
        pytest.skip(_NOT_FOR[reader][name])
    subject = Subject(DISKS[name]())
    path = tmp_path / "disk.vhdx"
    path.write_bytes(applied(subject.before, subject.events(2)))
    with READERS[reader]([path]) as view:
        assert view.size == subject.shape.size
        assert view.read(0, view.size) == held_in(path)


# -- turns ----------------------------------------------------------------------------------------


class Turn(NamedTuple):
    """A range that gets bytes of one value."""

    offset: int
    length: int
    value: int


def some_turns(size: int, chance: random.Random) -> Iterator[Turn]:
    for _ in range(chance.randint(1, 5)):
        offset = chance.randrange(size // 512) * 512
        length = min(size - offset, chance.choice((512, 4096, 70 * 512, MIB, 2 * MIB)))
        yield Turn(offset, length, chance.randrange(4) * 85)


def by_qemu(path: str, turns: list[Turn], *options: str) -> None:
    words = []
    for turn in turns:
        words += ["-c", f"write -P {turn.value} {turn.offset} {turn.length}"]
    run_program("qemu-io", *options, *words, path)


def by_us(path: Path, turns: list[Turn], chance: random.Random) -> None:
    with vhdx_kaitai.open(path, writable=True) as disk:
        for turn in turns:
            if turn.value:
                disk.pwrite(bytes([turn.value]) * turn.length, turn.offset)
            elif chance.random() < 0.5:
                disk.zero(turn.offset, turn.length)
            else:
                disk.discard(turn.offset, turn.length)
                disk.pwrite(bytes(turn.length), turn.offset)
            if chance.random() < 0.3:
                disk.flush()


def take_turns(path: Path, rounds: int, through: str) -> None:
    held = bytearray(held_in(path))
    chance = random.Random(rounds)
    for number in range(rounds):
        turns = list(some_turns(len(held), chance))
        if number % 2 == 0:
            by_us(path, turns, chance)
        elif through == "qemu-io":
            by_qemu(str(path), turns, "-f", "vhdx")
        else:
            with served_by_qemu(path) as address:
                by_qemu(address, turns, "-f", "raw")
        for turn in turns:
            held[turn.offset : turn.offset + turn.length] = bytes([turn.value]) * turn.length
        assert held_in(path) == held
        assert_in_order(path)
        qemu_img("check", "-q", "-f", "vhdx", path)


@pytest.fixture(params=["dynamic", "fixed", "by QEMU"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An image into which several programs write."""
    path = tmp_path / "disk.vhdx"
    if request.param == "by QEMU":
        qemu_img("create", "-q", "-f", "vhdx", "-o", "block_size=1M", path, "9M")
        return path
    blocks = {0: Block(), 3: Block()}
    image = dynamic(9 * MIB, blocks=blocks) if request.param == "dynamic" else fixed(5 * MIB)
    return image.build().write(path)


def test_we_and_qemu_write_into_one_image_in_turns(shared: Path) -> None:
    take_turns(shared, 4, "qemu-io")


@pytest.mark.slow
@pytest.mark.parametrize("through", ["qemu-io", "qemu-nbd"])
def test_we_and_qemu_write_into_one_image_in_many_turns(shared: Path, through: str) -> None:
    take_turns(shared, 40, through)


# -- locks ----------------------------------------------------------------------------------------


@pytest.fixture
def image(tmp_path: Path) -> str:
    """An image of 8 MiB."""
    if shutil.which("qemu-io") is None:
        pytest.skip("qemu-io is not installed")
    return str(dynamic(8 * MIB, blocks={0: Block()}).build().write(tmp_path / "disk.vhdx"))


@on_linux
@pytest.mark.parametrize("options", [(), ("-r",)], ids=["to write", "to read"])
def test_a_disk_that_qemu_has_open_is_not_opened_to_be_written(
    image: str, options: tuple[str, ...]
) -> None:
    before = Path(image).read_bytes()
    with opened_by_qemu(image, *options):
        for lock in ("auto", True):
            with pytest.raises(InUseError) as caught:
                vhdx_kaitai.open(image, writable=True, lock=lock)
            assert caught.value.path == image
        with vhdx_kaitai.open(image) as disk:  # which asks for no lock
            disk.pread(512, 0)
    assert Path(image).read_bytes()[MIB:] == before[MIB:]
    vhdx_kaitai.open(image, writable=True, lock=True).close()


@on_linux
@pytest.mark.parametrize("is_changed", [False, True])
@pytest.mark.parametrize(
    "command",
    [["qemu-io", "-c", "write 0 512"], ["qemu-io", "-r", "-c", "read 0 512"], ["qemu-img", "info"]],
    ids=["to write", "to read", "to look at it"],
)
def test_qemu_does_not_get_a_disk_that_is_written_here(
    image: str, command: list[str], is_changed: bool
) -> None:
    words = [*command, "-f", "vhdx", image]
    with vhdx_kaitai.open(image, writable=True) as disk:
        assert disk.is_locked
        if is_changed:
            disk.pwrite(b"x", MIB)
            disk.flush()
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert "lock" in done.stderr
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0


@on_linux
def test_qemu_reads_a_parent_while_its_child_is_written_here(tmp_path: Path) -> None:
    """Parents are only read, and may be by others."""
    parent = tmp_path / "parent.vhdx"
    vhdx_kaitai.create(parent, 8 * MIB)
    vhdx_kaitai.create(tmp_path / "child.vhdx", 8 * MIB, parent=parent)
    with vhdx_kaitai.open(tmp_path / "child.vhdx", writable=True) as disk:
        disk.pwrite(b"x", 0)
        qemu_img("info", "-f", "vhdx", parent)
