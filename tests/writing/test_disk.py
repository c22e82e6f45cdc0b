"""A disk that is written to, on real files: what callers see, threads, ends, and errors."""

from __future__ import annotations

import errno
import io
import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import vhdx_kaitai
from tests.images.chain import chain
from tests.images.goods import GOODS
from tests.images.image import Block, dynamic
from tests.images.structures import KIB, MIB
from tests.reading_fixtures import qemu_img
from tests.support import good
from vhdx_kaitai import WritableDisk
from vhdx_kaitai.errors import FailedError, InUseError
from vhdx_kaitai.reading import reader as reader_module
from vhdx_kaitai.storage.target import FileTarget
from vhdx_kaitai.writing import disk as disk_module

BLOCK = MIB
SMALL = [
    name
    for name in ("dynamic-plain", "fixed-plain", "dirty-everything", "odd-sectors", "one-sector")
    if name in GOODS
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return dynamic(8 * BLOCK, blocks={0: Block(), 3: Block()}).build().write(tmp_path / "a.vhdx")


@pytest.fixture
def disk(path: Path) -> Iterator[WritableDisk]:
    with vhdx_kaitai.open(path, writable=True) as disk:
        yield disk


def held_in(path: Path, **options: str) -> bytes:
    with vhdx_kaitai.open(path, **options) as disk:  # type: ignore[call-overload]
        return bytes(disk.pread(disk.size, 0))


@pytest.mark.parametrize("name", SMALL)
def test_what_is_only_read_keeps_every_byte_and_its_time(name: str, tmp_path: Path) -> None:
    built = good(name)
    path = built.write(tmp_path / "a.vhdx")
    os.utime(path, (1, 1))
    with vhdx_kaitai.open(path, writable=True) as disk:
        assert disk.pread(disk.size, 0) == built.model.read(0, disk.size)
        with disk.open("r+b") as file:
            file.read(10)
        disk.pwrite(b"", 0)
        disk.zero(disk.size, 0)
        disk.discard(0, 0)
        disk.flush()
    assert path.stat().st_mtime == 1
    assert path.read_bytes() == built.to_bytes()


@pytest.mark.parametrize("name", SMALL)
def test_what_is_written_is_there_and_the_image_is_in_order(name: str, tmp_path: Path) -> None:
    built = good(name)
    path = built.write(tmp_path / "a.vhdx")
    held = bytearray(built.model.read(0, built.model.virtual_disk_size))
    chance = random.Random(name)
    with vhdx_kaitai.open(path, writable=True) as disk:
        for _ in range(40):
            length = min(len(held), chance.choice((1, 512, 5000, MIB + 7)))
            offset = chance.randrange(len(held) - length + 1)
            data = chance.randbytes(length)
            assert disk.pwrite(data, offset) == length
            held[offset : offset + length] = data
            assert disk.pread(length, offset) == data
        assert disk.pread(disk.size, 0) == held
    assert held_in(path, replay="refuse") == held
    report = vhdx_kaitai.check(path)
    assert [f for f in report.findings if f.level in ("error", "warning")] == []


def test_every_kind_of_buffer_is_written_whole(disk: WritableDisk) -> None:
    numbers = memoryview(bytearray(range(200))).cast("I")
    for offset in (0, BLOCK):  # in place, and into a new block
        for buffer in (b"abcd", bytearray(b"abcd"), memoryview(b"abcd"), numbers):
            assert disk.pwrite(buffer, offset) == memoryview(buffer).nbytes
            assert disk.pread(memoryview(buffer).nbytes, offset) == bytes(buffer)


@pytest.mark.parametrize(
    ("offset", "length"), [(-1, 1), (8 * BLOCK, 1), (8 * BLOCK - 1, 2), (0, 8 * BLOCK + 1)]
)
def test_nothing_is_written_when_not_all_of_it_is_on_the_disk(
    path: Path, offset: int, length: int
) -> None:
    before = path.read_bytes()
    with vhdx_kaitai.open(path, writable=True) as disk:
        for change in (disk.zero, disk.discard, lambda at, n: disk.pwrite(bytes(n), at)):
            with pytest.raises(ValueError, match="not inside the disk"):
                change(offset, length)
    assert path.read_bytes() == before


def test_functions_that_were_taken_before_the_first_write_see_it(disk: WritableDisk) -> None:
    pread, readinto_at, pwrite = disk.pread, disk.readinto_at, disk.pwrite
    assert pread(4, BLOCK) == bytes(4)
    pwrite(b"abcd", BLOCK)
    assert pread(4, BLOCK) == b"abcd"
    buffer = bytearray(4)
    readinto_at(buffer, BLOCK)
    assert buffer == b"abcd"
    disk.zero(BLOCK, BLOCK)
    assert pread(4, BLOCK) == bytes(4)
    pwrite(b"efgh", 0)
    disk.discard(0, BLOCK)
    assert pread(4, 0) == bytes(4)
    pwrite(b"ijkl", 0)
    assert pread(4, 0) == b"ijkl"


def test_a_disk_with_many_blocks_is_read_as_it_is_written(tmp_path: Path) -> None:
    """Its reader looks blocks up in pages of the BAT that it keeps."""
    path = dynamic(5000 * BLOCK, blocks={0: Block()}).build().write(tmp_path / "a.vhdx")
    with vhdx_kaitai.open(path, writable=True) as disk:
        pread = disk.pread
        for block in (0, 7, 4999):
            before = pread(4, block * BLOCK)
            disk.pwrite(b"abcd", block * BLOCK)
            assert pread(4, block * BLOCK) == b"abcd" != before
            disk.discard(block * BLOCK, BLOCK)
            assert pread(4, block * BLOCK) == bytes(4)


def test_a_file_object_reads_and_writes_at_one_position(disk: WritableDisk) -> None:
    with disk.open("r+b") as file:
        assert file.writable()
        assert file.seek(BLOCK - 2) == BLOCK - 2
        assert file.write(b"abcd") == 4
        assert file.tell() == BLOCK + 2
        file.seek(-4, io.SEEK_CUR)
        assert file.read(4) == b"abcd"
        file.seek(-2, io.SEEK_END)
        assert file.write(b"abcd") == 2
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            file.write(b"x")
        assert file.write(b"") == 0
        file.seek(100, io.SEEK_END)
        assert file.write(b"") == 0
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            file.write(b"x")
    with pytest.raises(ValueError, match="closed file"):
        file.write(b"x")
    assert disk.pread(4, disk.size - 2) == b"ab"


def test_a_buffered_file_writes_all_when_it_is_closed(disk: WritableDisk) -> None:
    with io.BufferedRandom(disk.open("r+b")) as file:
        for _ in range(1000):
            file.write(b"0123456789")
    assert disk.pread(10_000, 0) == b"0123456789" * 1000


def test_how_a_file_object_is_opened(disk: WritableDisk) -> None:
    with disk.open() as file, pytest.raises(io.UnsupportedOperation):
        file.write(b"x")
    with pytest.raises(ValueError, match="expected 'rb' or 'r\\+b'"):
        disk.open("w")


def test_what_is_closed_is_not_used(path: Path) -> None:
    disk = vhdx_kaitai.open(path, writable=True)
    disk.pwrite(b"abcd", 0)
    file, at_the_end = disk.open("r+b"), disk.open("r+b")
    at_the_end.seek(0, io.SEEK_END)
    pwrite = disk.pwrite
    disk.close()
    disk.close()
    for use in (
        lambda: pwrite(b"x", 0),
        lambda: disk.zero(0, 1),
        lambda: disk.discard(0, BLOCK),
        disk.flush,
        disk.open,
        lambda: file.write(b"x"),
        lambda: at_the_end.write(b"x"),
    ):
        with pytest.raises(ValueError, match="closed"):
            use()
    file.close()
    assert held_in(path)[:4] == b"abcd"


def test_leaving_by_an_exception_closes_too(path: Path) -> None:
    disk = vhdx_kaitai.open(path, writable=True)
    disk.pwrite(b"abcd", BLOCK)
    with pytest.raises(ValueError, match="not inside"), disk:
        disk.pwrite(b"abcd", disk.size)
    assert held_in(path, replay="refuse")[BLOCK : BLOCK + 4] == b"abcd"


def test_an_object_that_is_dropped_warns_and_its_log_says_the_truth(path: Path) -> None:
    disk = vhdx_kaitai.open(path, writable=True)
    disk.pwrite(b"abcd", BLOCK)
    disk.flush()
    disk.pwrite(b"efgh", 2 * BLOCK)
    with pytest.warns(ResourceWarning, match="was not closed"):
        del disk
    held = held_in(path)
    assert (held[BLOCK : BLOCK + 4], held[2 * BLOCK : 2 * BLOCK + 4]) == (b"abcd", bytes(4))
    assert vhdx_kaitai.check(path).verdict in ("clean", "warnings")


def test_two_writers_keep_out_of_each_others_way(path: Path) -> None:
    with vhdx_kaitai.open(path, writable=True) as disk:
        assert disk.is_locked
        with pytest.raises(InUseError):
            vhdx_kaitai.open(path, writable=True)
        with vhdx_kaitai.open(path, writable=True, lock=False) as other:
            assert not other.is_locked
    vhdx_kaitai.open(path, writable=True).close()


def test_a_child_is_written_and_its_parent_is_not(tmp_path: Path) -> None:
    made = chain(3).write(tmp_path)
    before = [path.read_bytes() for path in made.paths[:-1]]
    held = bytearray(made.model.read(0, made.model.virtual_disk_size))
    with vhdx_kaitai.open(made.path, writable=True) as disk:
        chance = random.Random(3)
        for _ in range(60):
            length = chance.choice((1, 512, 5000, MIB + 7))
            offset = chance.randrange(len(held) - length)
            data = chance.randbytes(length)
            disk.pwrite(data, offset)
            held[offset : offset + length] = data
        assert disk.pread(disk.size, 0) == held
    assert held_in(made.path, replay="refuse") == held
    assert [path.read_bytes() for path in made.paths[:-1]] == before
    report = vhdx_kaitai.check(made.path, chain=True)
    assert [f for f in report.findings if f.level in ("error", "warning")] == []


def test_a_parent_that_is_written_has_no_child_any_more(tmp_path: Path) -> None:
    made = chain(2).write(tmp_path)
    with vhdx_kaitai.open(made.paths[0], writable=True) as disk:
        disk.pwrite(b"x", 0)
    with pytest.raises(vhdx_kaitai.ParentMismatchError):
        vhdx_kaitai.open(made.path)


def test_many_threads_write_read_and_flush(tmp_path: Path) -> None:
    """Each has sectors of its own in blocks that all of them share."""
    size, threads, sector = 16 * BLOCK, 6, 512
    path = dynamic(size, blocks={0: Block()}).build().write(tmp_path / "a.vhdx")
    held = bytearray(size)
    held[:BLOCK] = held_in(path)[:BLOCK]
    failures: list[BaseException] = []
    disk = vhdx_kaitai.open(path, writable=True)

    def work(number: int) -> None:
        chance = random.Random(number)
        own = range(number, size // sector, threads)
        try:
            for step in range(400):
                offset = chance.choice(own) * sector
                data = chance.randbytes(sector)
                disk.pwrite(data, offset)
                held[offset : offset + sector] = data
                assert disk.pread(sector, offset) == data
                if step % 50 == 0:
                    disk.flush()
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []
    assert disk.pread(size, 0) == held
    disk.close()
    assert held_in(path, replay="refuse") == held


@pytest.mark.slow
def test_no_thread_reads_or_writes_what_is_in_a_place_after_a_block_has_left_it(
    tmp_path: Path,
) -> None:
    """Blocks are given back and their places get others, while other threads use the rest."""
    path = dynamic(8 * BLOCK, blocks={n: Block() for n in range(8)}).build().write(tmp_path / "a")
    failures: list[object] = []
    is_over = threading.Event()
    disk = vhdx_kaitai.open(path, writable=True)
    for block in range(8):
        disk.pwrite(bytes([block + 1]) * BLOCK, block * BLOCK)

    def use(block: int) -> None:
        own = {block + 1, 0}
        try:
            while not is_over.is_set():
                found = set(disk.pread(64 * KIB, block * BLOCK))
                if not found <= own:
                    failures.append((block, found))
                disk.pwrite(bytes([block + 1]) * 64, block * BLOCK + 4096)
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=use, args=(block,)) for block in range(4)]
    for worker in workers:
        worker.start()
    for _ in range(25):
        for block in range(4):
            disk.discard(block * BLOCK, BLOCK)
        disk.flush()
        for block in range(4, 8):
            disk.zero(block * BLOCK, BLOCK)
            disk.pwrite(bytes([block + 1]) * BLOCK, block * BLOCK)
        disk.flush()
    is_over.set()
    for worker in workers:
        worker.join()
    for block in range(4, 8):
        assert disk.pread(BLOCK, block * BLOCK) == bytes([block + 1]) * BLOCK
    assert failures == []
    disk.close()


class Slowly:
    """A function of the system that one thread waits in, before it is done."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.thread: threading.Thread | None = None
        self.begun, self.may_go = threading.Event(), threading.Event()

    def __call__(self, *arguments: Any) -> Any:
        if threading.current_thread() is self.thread:
            self.begun.set()
            assert self.may_go.wait(10)
        return self.function(*arguments)


def test_a_place_that_is_being_read_gets_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slowly = Slowly(os.pread)
    monkeypatch.setattr(reader_module, "_pread", slowly)
    found: list[bytes] = []
    with vhdx_kaitai.open(path, writable=True) as disk:
        disk.pwrite(b"a" * BLOCK, 0)
        disk.pread(1, 0)  # where it is, is known
        place = next(disk.extents()).file_offset
        slowly.thread = threading.Thread(target=lambda: found.append(disk.pread(4, 0)))
        slowly.thread.start()
        assert slowly.begun.wait(10)
        disk.discard(0, BLOCK)
        disk.flush()
        disk.pwrite(b"b" * BLOCK, BLOCK)
        slowly.may_go.set()
        slowly.thread.join()
        assert found == [b"aaaa"]
        disk.pwrite(b"c" * BLOCK, 2 * BLOCK)  # now it may be used
        assert next(disk.extents(2 * BLOCK)).file_offset == place


def test_a_block_is_not_given_back_while_it_is_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slowly = Slowly(os.pwrite)
    monkeypatch.setattr(disk_module, "pwrite_file", slowly)
    with vhdx_kaitai.open(path, writable=True) as disk:
        disk.pwrite(b"a" * BLOCK, 0)
        slowly.thread = threading.Thread(target=disk.pwrite, args=(b"b" * 512, 0))
        slowly.thread.start()
        assert slowly.begun.wait(10)
        other = threading.Thread(target=disk.discard, args=(0, BLOCK))
        other.start()
        other.join(0.2)
        assert other.is_alive()
        third = threading.Thread(target=disk.pwrite, args=(b"c", BLOCK))
        third.start()  # it waits for the second, which does not wait for it
        slowly.may_go.set()
        for thread in (slowly.thread, other, third):
            thread.join(10)
            assert not thread.is_alive()
        assert disk.pread(BLOCK, 0) == bytes(BLOCK)


def test_flushes_at_the_same_time_share_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = vhdx_kaitai.open(path, writable=True)
    disk.pwrite(b"x", 0)
    begun, may_go, count = threading.Event(), threading.Event(), 0
    flush = FileTarget.flush

    def slow(self: FileTarget) -> None:
        nonlocal count
        count += 1
        begun.set()
        assert may_go.wait(10)
        flush(self)

    monkeypatch.setattr(FileTarget, "flush", slow)
    first = threading.Thread(target=disk.flush)
    first.start()
    assert begun.wait(10)
    others = [threading.Thread(target=disk.flush) for _ in range(5)]
    for other in others:
        other.start()
    while sum(other.is_alive() for other in others) < 5:
        pass
    may_go.set()
    for thread in (first, *others):
        thread.join()
    assert count <= 1 + 5
    assert count >= 2  # one that began after they had come
    monkeypatch.undo()
    disk.close()


def test_after_a_flush_that_failed_only_closing_works(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = vhdx_kaitai.open(path, writable=True)
    disk.pwrite(b"abcd", 0)
    disk.flush()
    calls = 0

    def fails(_self: FileTarget) -> None:
        nonlocal calls
        calls += 1
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(FileTarget, "flush", fails)
    with pytest.raises(OSError, match="no"):
        disk.flush()
    for use in (disk.flush, lambda: disk.pwrite(b"x", 0), lambda: disk.zero(0, BLOCK)):
        with pytest.raises(FailedError, match="an earlier write or flush has failed"):
            use()
    assert disk.pread(4, 0) == b"abcd"
    disk.close()
    assert calls == 1  # what failed is not tried again


def test_when_payload_does_not_fit_the_disk_goes_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = vhdx_kaitai.open(path, writable=True)
    disk.pwrite(b"abcd", 0)
    write = FileTarget.write

    def full(self: FileTarget, data: bytes, offset: int) -> None:
        if len(data) == BLOCK:
            write(self, data[:1000], offset)
            raise OSError(errno.ENOSPC, "full")
        write(self, data, offset)

    monkeypatch.setattr(FileTarget, "write", full)
    with pytest.raises(OSError, match="full"):
        disk.pwrite(b"x" * BLOCK, BLOCK)
    assert disk.pread(BLOCK, BLOCK) == bytes(BLOCK)
    monkeypatch.undo()
    disk.pwrite(b"y", BLOCK)  # the same space, of which some was written
    held = disk.pread(disk.size, 0)
    assert held[BLOCK : 2 * BLOCK] == b"y".ljust(BLOCK, b"\0")
    disk.close()
    assert held_in(path, replay="refuse") == held


@pytest.mark.slow
def test_qemu_reads_what_was_written(path: Path, tmp_path: Path) -> None:
    with vhdx_kaitai.open(path, writable=True) as disk:
        for block in range(0, 8, 2):
            disk.pwrite(os.urandom(70_000), block * BLOCK + 1000)
        disk.zero(3 * BLOCK, BLOCK)
        held = disk.pread(disk.size, 0)
    qemu_img("check", "-q", path)
    qemu_img("convert", "-f", "vhdx", "-O", "raw", path, tmp_path / "a.raw")
    assert (tmp_path / "a.raw").read_bytes() == held
