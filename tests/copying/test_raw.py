"""A raw image holds what the disk does, takes no more room than that, and is whole or not there."""

from __future__ import annotations

import errno
import os
import random
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import vhdx_kaitai
from tests.conftest import Files, Run
from tests.copying.mounted import room_taken, sharing_folder
from tests.images.chain import GOOD_CHAINS, child_of
from tests.images.dirty import dirty
from tests.images.goods import GOODS
from tests.images.image import Block, Built, dynamic
from tests.images.sparse import Pattern, Sparse, pattern
from tests.images.structures import (
    KIB,
    MIB,
    UNDEFINED,
    UNMAPPED,
    ZERO,
)
from tests.reading_fixtures import (
    allocated,
    assert_same,
    contents,
    good_chain,
    measured_memory,
    qemu_img,
)
from tests.support import files_in, good, silent
from vhdx_kaitai.copying import raw
from vhdx_kaitai.storage import target

__all__ = ["sharing_folder"]  # a fixture

COMPLETE = [name for name in GOODS if good(name).model.parent or not good(name).image.has_parent]
SMALL = [name for name in COMPLETE if good(name).model.size <= 64 * MIB]
LARGE = ["dynamic-past-one-chunk", "fixed-past-one-chunk"]


@pytest.fixture(params=["written", "copied by the kernel"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the kernel copy, as it does on file systems that share blocks; or not, as on others."""
    monkeypatch.setattr(target.OutFile, "can_share", lambda *_: request.param != "written")
    return str(request.param)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", SMALL)
def test_a_raw_image_holds_what_the_model_says(
    name: str, files: Files, tmp_path: Path, run: Run
) -> None:
    assert run("convert", files.good(name), tmp_path / "out.raw") == (0, "", "")
    assert_same((tmp_path / "out.raw").read_bytes(), contents(good(name).model))
    assert files_in(tmp_path) == {"out.raw"}


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", GOOD_CHAINS)
def test_a_chain_is_converted_as_one_disk(name: str, tmp_path: Path, run: Run) -> None:
    made = good_chain(name).write(tmp_path)
    assert run("convert", made.path, tmp_path / "out.raw") == (0, "", "")
    assert_same((tmp_path / "out.raw").read_bytes(), contents(made.model))


@pytest.mark.parametrize("name", LARGE)
def test_a_large_disk_becomes_a_raw_image_that_takes_no_more_room(
    name: str, files: Files, tmp_path: Path, run: Run
) -> None:
    model = good(name).model
    out = tmp_path / "out.raw"
    assert run("convert", files.good(name), out) == (0, "", "")
    assert out.stat().st_size == model.size
    with out.open("rb") as file:
        for number in range(model.geometry.payload_blocks):
            start = number * model.block_size
            for at in (start, start + model.block_size // 2 - 8 * KIB, start + 256 * MIB - 9 * KIB):
                file.seek(at)
                assert_same(file.read(9 * KIB), model.read(at, 9 * KIB), at)
    assert allocated(out) <= allocated(files.good(name))


# -- room ------------------------------------------------------------------------------------------


def test_what_is_not_stored_becomes_holes(tmp_path: Path, run: Run) -> None:
    """Zeros by state, by the parent's end, and by holes of the image file."""
    base = dynamic(40 * MIB, blocks={3: Block(), 5: Block(data=b"one page")}).build()
    states = {10: Block(ZERO), 11: Block(UNMAPPED), 12: Block(UNDEFINED), 13: Block()}
    image = child_of(base, "base.vhdx", blocks=states).but(virtual_disk_size=80 * MIB)
    base.write(tmp_path / "base.vhdx")
    path = image.build().write(tmp_path / "child.vhdx")
    assert run("convert", path, tmp_path / "out.raw").status == 0
    assert_same((tmp_path / "out.raw").read_bytes(), contents(image.build().model))
    assert 2 * MIB <= allocated(tmp_path / "out.raw") <= 2 * MIB + 64 * KIB


def zeros_in_blocks() -> Built:
    """Return a disk of 16 MiB in stored blocks: zeros, but for some pages that are never holes."""
    data: dict[int, Any] = {at: pattern(3, at, 4096) for at in (4096, 64 * KIB, 900 * KIB)}
    blocks = {
        number: Block(data=Sparse(MIB, {0: bytes(MIB)} | (data if number % 4 == 0 else {})))
        for number in range(16)
    }
    return dynamic(16 * MIB, blocks=blocks).build()


@pytest.mark.usefixtures("way")
def test_zeros_that_are_stored_become_holes(tmp_path: Path, run: Run) -> None:
    built = zeros_in_blocks()
    path = built.write(tmp_path / "zeros.vhdx")
    assert allocated(path) > 16 * MIB
    assert run("convert", path, tmp_path / "out.raw").status == 0
    assert_same((tmp_path / "out.raw").read_bytes(), contents(built.model))
    assert 12 * 4096 <= allocated(tmp_path / "out.raw") <= 12 * 4096 + 64 * KIB


def patchwork(pages: dict[int, Any]) -> Built:
    """Return a disk of 4 MiB, stored throughout, that is zeros but for some pages."""
    block = Block(data=Sparse(4 * MIB, {0: bytes(4 * MIB)} | pages))
    return dynamic(4 * MIB, block_size=4 * MIB, blocks={0: block}).build()


@pytest.mark.parametrize("name", ["zeros", "half", "patchwork"])
def test_a_raw_image_takes_hardly_more_room_than_qemu_gives_it(
    name: str, tmp_path: Path, run: Run
) -> None:
    chance = random.Random(4)
    pages: dict[int, Any] = {
        page * 4096: pattern(1, page * 4096, 4096)
        for page in range(1, 1024)
        if chance.random() < 0.5
    }
    built: Built = {
        "zeros": lambda: zeros_in_blocks(),
        "half": lambda: dynamic(16 * MIB, blocks={n: Block() for n in range(0, 16, 2)}).build(),
        "patchwork": lambda: dynamic(
            4 * MIB,
            block_size=4 * MIB,
            blocks={0: Block(data=Sparse(4 * MIB, {0: bytes(4 * MIB)} | pages))},
        ).build(),
    }[name]()
    path = built.write(tmp_path / "image.vhdx")
    qemu_img("convert", "-O", "raw", path, tmp_path / "qemu.raw")
    assert run("convert", path, tmp_path / "out.raw").status == 0
    assert (tmp_path / "out.raw").read_bytes() == (tmp_path / "qemu.raw").read_bytes()
    assert allocated(tmp_path / "out.raw") <= 1.1 * allocated(tmp_path / "qemu.raw") + 8192


@pytest.mark.parametrize("size", [512, 4096, 4608, MIB - 512, 300 * KIB + 1536])
@pytest.mark.parametrize("what", ["data", "zeros", "data in the last sector"])
def test_the_last_page_of_a_disk_need_not_be_whole(
    size: int, what: str, tmp_path: Path, run: Run
) -> None:
    block = Sparse(MIB, {0: Pattern(1, 0, size) if what == "data" else bytes(size)})
    if what == "data in the last sector":
        block.put(size - 512, b"\x01" * 512)
    block.put(size, b"\xff" * (MIB - size))  # past the end of the disk
    built = dynamic(size, blocks={0: Block(data=block)}).build()
    path = built.write(tmp_path / "image.vhdx")
    assert run("convert", path, tmp_path / "out.raw").status == 0
    assert_same((tmp_path / "out.raw").read_bytes(), contents(built.model))


def test_converting_takes_little_memory(tmp_path: Path) -> None:
    built = dynamic(64 * MIB, block_size=32 * MIB, others=Block()).build()
    path = built.write(tmp_path / "image.vhdx")
    with vhdx_kaitai.open(path) as disk, measured_memory() as peak:
        raw.convert(disk, str(tmp_path / "out.raw"), 0, disk.size, silent)
    assert peak.bytes <= 3 * MIB


# -- file systems that share blocks ----------------------------------------------------------------


@pytest.mark.parametrize("is_dirty", [False, True])
def test_where_files_share_blocks_a_copy_takes_no_room(
    is_dirty: bool, sharing_folder: Path
) -> None:
    """That is, what is data. Zeros do not even share, and a dirty log does not get in the way."""
    zeros = Sparse(4 * MIB, {0: bytes(MIB), MIB: pattern(1, 0, 3 * MIB)})
    blocks = {number: Block() for number in range(15)} | {15: Block(data=zeros)}
    image = dynamic(64 * MIB, block_size=4 * MIB, blocks=blocks)
    built = dirty(image).build() if is_dirty else image.build()
    path = built.write(sharing_folder / "image.vhdx")
    before = room_taken(sharing_folder)
    out = sharing_folder / "out.raw"
    with vhdx_kaitai.open(path) as disk:
        raw.convert(disk, str(out), 0, disk.size, silent)
    assert_same(out.read_bytes(), contents(built.model))
    assert room_taken(sharing_folder) - before < MIB
    assert 63 * MIB <= allocated(out) < 64 * MIB


def test_a_parent_on_another_file_system_is_copied(sharing_folder: Path, tmp_path: Path) -> None:
    made = good_chain("three-levels")
    (tmp_path / "parents").mkdir()
    parents = made.write(tmp_path / "parents").path.parent
    child = sharing_folder / "child.vhdx"
    shutil.copyfile(made.path, child)
    out = sharing_folder / "out.raw"
    with vhdx_kaitai.open(child, search=[parents]) as disk:
        raw.convert(disk, str(out), 0, disk.size, silent)
    assert_same(out.read_bytes(), contents(made.model))


def test_what_cannot_be_shared_in_the_end_is_written(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel may stop anywhere, with an error or without."""
    copy, calls = os.copy_file_range, iter(range(10**6))

    def limp(source: int, target: int, count: int, start: int, at: int) -> int:
        turn = next(calls) % 4
        if turn == 0:
            raise OSError(errno.EXDEV, "not there")
        return 0 if turn == 1 else copy(source, target, min(count, 4096 * turn), start, at)

    monkeypatch.setattr(target.OutFile, "can_share", lambda *_: True)
    monkeypatch.setattr(os, "copy_file_range", limp)
    out = tmp_path / "out.raw"
    with vhdx_kaitai.open(files.good("fixed-plain")) as disk:
        raw.convert(disk, str(out), 0, disk.size, silent)
    assert_same(out.read_bytes(), contents(good("fixed-plain").model))


def test_a_kernel_that_shares_nothing_is_not_asked_for_ever(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says 0 where a file was cut, and would go on to say so."""
    calls = iter(range(1000))

    def nothing(*_: object) -> int:
        assert next(calls) < 100
        return 0

    monkeypatch.setattr(target.OutFile, "can_share", lambda *_: True)
    monkeypatch.setattr(os, "copy_file_range", nothing)
    out = tmp_path / "out.raw"
    with vhdx_kaitai.open(files.good("fixed-plain")) as disk:
        raw.convert(disk, str(out), 0, disk.size, silent)
    assert_same(out.read_bytes(), contents(good("fixed-plain").model))


# -- two threads -----------------------------------------------------------------------------------


def test_a_raw_image_is_whole_when_it_appears_whichever_thread_is_last(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The helper dwells on its first piece until the caller has done all the others."""
    write, has_begun = os.pwrite, threading.Event()

    def dwell(fd: int, data: Any, at: int) -> int:
        if threading.current_thread() is threading.main_thread():
            assert has_begun.wait(30)
        elif not has_begun.is_set():
            has_begun.set()
            time.sleep(0.3)
        return write(fd, data, at)

    monkeypatch.setattr(os, "pwrite", dwell)
    out = tmp_path / "out.raw"
    with vhdx_kaitai.open(files.good("fixed-plain")) as disk:
        raw.convert(disk, str(out), 0, disk.size, silent)
        assert_same(out.read_bytes(), contents(good("fixed-plain").model))


def test_an_interruption_leaves_no_thread_that_still_writes(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its descriptor may be that of another file by then."""
    write = os.pwrite
    helpers: list[threading.Thread] = []

    class Helper(threading.Thread):
        def join(self, timeout: float | None = None) -> None:
            if not helpers:
                helpers.append(self)
                raise KeyboardInterrupt
            super().join(timeout)

    def dwell(fd: int, data: Any, at: int) -> int:
        if threading.current_thread() is not threading.main_thread():
            time.sleep(0.3)
        return write(fd, data, at)

    monkeypatch.setattr(threading, "Thread", Helper)
    monkeypatch.setattr(os, "pwrite", dwell)
    with vhdx_kaitai.open(files.good("fixed-plain")) as disk, pytest.raises(KeyboardInterrupt):
        raw.convert(disk, str(tmp_path / "out.raw"), 0, disk.size, silent)
    assert not helpers[0].is_alive()
    assert files_in(tmp_path) == set()


class Interruption(BaseException):
    """Something that nobody expects, and that is no error."""


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Interruption(), OSError(errno.ENOSPC, "x")])
@pytest.mark.parametrize("existing", [False, True])
def test_an_interrupted_run_leaves_no_file_of_its_own(
    existing: bool, error: BaseException, files: Files, tmp_path: Path
) -> None:
    out = tmp_path / "out.raw"
    if existing:
        out.write_bytes(b"before")

    def interrupt(done: int) -> None:
        if done > MIB:
            raise error

    with vhdx_kaitai.open(files.good("fixed-plain")) as disk, pytest.raises(type(error)):
        raw.convert(disk, str(out), 0, disk.size, interrupt)
    assert files_in(tmp_path) == ({"out.raw"} if existing else set())
    assert not existing or out.read_bytes() == b"before"


@pytest.mark.parametrize("turn", range(4))
def test_damage_ends_a_conversion_whichever_thread_meets_it(
    turn: int, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vhdx_kaitai.open(files.good("fixed-plain")) as disk:
        read, calls = disk.readinto_at, iter(range(1000))

        def fail(buffer: Any, offset: int) -> int:
            if next(calls) == turn:
                raise vhdx_kaitai.VhdxError("no more")
            return read(buffer, offset)

        monkeypatch.setattr(disk, "readinto_at", fail)
        with pytest.raises(vhdx_kaitai.VhdxError, match="no more"):
            raw.convert(disk, str(tmp_path / "out.raw"), 0, disk.size, silent)
    assert files_in(tmp_path) == set()


def test_an_image_that_is_cut_while_it_is_converted_becomes_no_raw_image(tmp_path: Path) -> None:
    """What is not in the file any more is no hole in it."""
    built = dynamic(8 * MIB, blocks={n: Block() for n in range(8)}).build()
    path = built.write(tmp_path / "image.vhdx")
    with vhdx_kaitai.open(path) as disk:
        os.truncate(path, built.layout.payload[4])
        with pytest.raises(vhdx_kaitai.TruncatedError):
            raw.convert(disk, str(tmp_path / "out.raw"), 0, disk.size, silent)
    assert files_in(tmp_path) == {"image.vhdx"}


# -- progress --------------------------------------------------------------------------------------


def test_progress_grows_to_the_size_of_the_disk(files: Files, tmp_path: Path) -> None:
    heard: list[int] = []
    with vhdx_kaitai.open(files.good("dynamic-plain")) as disk:
        raw.convert(disk, str(tmp_path / "out.raw"), 0, disk.size, heard.append)
        assert heard == sorted(heard)
        assert heard[-1] == disk.size


@pytest.mark.parametrize("offset", [0, MIB + 512])
def test_progress_of_a_stream_stays_inside_its_range(offset: int, files: Files) -> None:
    whole, written, told = contents(good("fixed-plain").model), bytearray(), [0]
    length = len(whole) - MIB - 512

    def hear(done: int) -> None:
        assert told[-1] <= done <= len(written)
        told.append(done)

    with vhdx_kaitai.open(files.good("fixed-plain")) as disk:
        raw.write_stream(disk, written.extend, offset, length, hear)
    assert_same(written, whole[offset : offset + length])
    assert len(told) > 2
    assert told[-1] == length
