"""Threads that use a disk at once, one of them held back where it hurts most."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import vhdx_kaitai
from tests.images.dirty import dirty
from tests.images.image import Block, Built, dynamic
from tests.images.structures import MIB
from vhdx_kaitai import WritableDisk
from vhdx_kaitai.storage.overlay import Overlay
from vhdx_kaitai.storage.target import FileTarget
from vhdx_kaitai.writing import disk as disk_module

BLOCK = MIB
_MANY = 3000  # blocks, for some pages of the BAT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return dynamic(8 * BLOCK, blocks={0: Block(), 3: Block()}).build().write(tmp_path / "a.vhdx")


@pytest.fixture
def disk(path: Path) -> Iterator[WritableDisk]:
    with vhdx_kaitai.open(path, writable=True) as disk:
        yield disk


@pytest.fixture
def dirty_image() -> Built:
    """The BAT is in the log, and every third block is stored."""
    blocks = {number: Block() for number in range(0, _MANY, 3)}
    return dirty(dynamic(_MANY * BLOCK, blocks=blocks), hide=("bat",)).build()


class Held:
    """A function that threads other than the one that made this wait in, until they may go on."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.owner = threading.get_ident()
        self.begun, self.may_go = threading.Event(), threading.Event()

    def method(self) -> Callable[..., Any]:
        """Return it as a function, which a class takes for a method."""

        def call(*arguments: Any) -> Any:
            if threading.get_ident() != self.owner:
                self.begun.set()
                assert self.may_go.wait(20)
            return self.function(*arguments)

        return call


def fill_log(disk: WritableDisk) -> None:
    """Write so often that the log has something else everywhere."""
    for number in range(150):
        disk.pwrite(b"y" * 512, (3 * number + 1) * BLOCK)
        disk.flush()


@pytest.mark.slow
def test_who_reads_what_a_dirty_log_holds_is_done_before_the_log_is_overwritten(
    dirty_image: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = dirty_image.write(tmp_path / "a.vhdx")
    held = Held(Overlay._read_update)
    found: list[object] = []
    with vhdx_kaitai.open(path, writable=True) as disk:
        monkeypatch.setattr(Overlay, "_read_update", held.method())
        offset = 1539 * BLOCK
        reader = threading.Thread(target=lambda: found.append(disk.pread(4096, offset)))
        reader.start()
        assert held.begun.wait(10)
        writer = threading.Thread(target=fill_log, args=(disk,))  # it may wait for the reader
        held.owner = 0
        monkeypatch.setattr(Overlay, "_read_update", held.function)
        writer.start()
        writer.join(5)
        held.may_go.set()
        reader.join()
        writer.join()
    assert found == [dirty_image.model.read(offset, 4096)]


@pytest.mark.slow
def test_extents_that_were_asked_for_before_the_first_write_are_not_taken_from_the_log(
    dirty_image: Built, tmp_path: Path
) -> None:
    path = dirty_image.write(tmp_path / "a.vhdx")
    with vhdx_kaitai.open(path) as unchanged:
        expected = [(e.offset, e.length, e.kind) for e in unchanged.extents()]
    found = []
    with vhdx_kaitai.open(path, writable=True) as disk:
        for extent in disk.extents():
            found.append((extent.offset, extent.length, extent.kind))
            if extent.kind == "data":  # where that changes no extent
                disk.pwrite(b"x" * 512, extent.offset)
            elif len(found) % 20 == 2:  # before the place that is looked at now
                disk.pwrite(b"y" * 512, extent.offset)
                disk.flush()
    assert found == expected


def test_a_file_object_that_is_collected_amid_a_write_does_not_wait_for_it(
    disk: WritableDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cycle:
        def __init__(self) -> None:
            self.own, self.file = self, disk.open("r+b")

    write = FileTarget.write
    is_over = threading.Event()
    has_waited: list[bool] = []

    class Lock:
        """The lock of the disk, which tells instead of waiting for itself."""

        def __init__(self) -> None:
            self.lock = disk._map

        def __enter__(self) -> None:
            if not self.lock.acquire(timeout=2):
                has_waited.append(True)
                raise RuntimeError("it waits for itself")

        def __exit__(self, *_: object) -> None:
            self.lock.release()

    def collecting(self: FileTarget, data: bytes, offset: int) -> None:
        gc.collect()
        write(self, data, offset)

    monkeypatch.setattr(FileTarget, "write", collecting)
    monkeypatch.setattr(disk, "_map", Lock())
    monkeypatch.setattr("sys.unraisablehook", lambda _: is_over.set())
    Cycle()
    disk.pwrite(b"abcd", BLOCK)
    assert not has_waited


def test_what_is_written_from_a_finalizer_amid_a_write_is_refused(
    disk: WritableDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting for itself a thread would wait for ever."""
    write, raised = FileTarget.write, []

    def finalizing(self: FileTarget, data: bytes, offset: int) -> None:
        try:
            disk.pwrite(b"x", 2 * BLOCK)
        except RuntimeError as error:
            raised.append(str(error))
        write(self, data, offset)

    monkeypatch.setattr(FileTarget, "write", finalizing)
    disk.pwrite(b"abcd", BLOCK)
    assert set(raised) == {"the disk is being changed by this thread already"}
    assert disk.pread(4, BLOCK) == b"abcd"


# -- what an error holds --------------------------------------------------------------------------


def fails(number: int) -> Callable[..., Any]:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_after_an_error_the_buffer_of_the_caller_is_free(
    disk: WritableDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray(b"abcd")
    disk.pwrite(b"x", 0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fails(errno.ENOSPC))
        with contextlib.suppress(OSError):
            disk.pwrite(data, BLOCK)
    data.append(1)  # which is refused while somebody looks at it
    assert len(data) == 5


def test_a_disk_that_met_an_error_is_closed_when_it_is_closed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gc.collect()
    gc.disable()
    try:
        disk = vhdx_kaitai.open(path, writable=True)
        disk.pwrite(b"x", 0)
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", fails(errno.ENOSPC))
            with contextlib.suppress(OSError):
                disk.pwrite(b"abcd", BLOCK)
        disk.close()
        vhdx_kaitai.open(path, writable=True).close()  # nobody has it locked
    finally:
        gc.enable()


def test_an_error_of_a_write_in_place_names_the_file(
    disk: WritableDisk, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.pwrite(b"x", 0)
    monkeypatch.setattr(disk_module, "pwrite_file", fails(errno.EIO))
    with pytest.raises(OSError, match="Input/output") as caught:
        disk.pwrite(b"x", 0)
    assert caught.value.filename == str(path)


def test_a_buffer_with_gaps_is_refused_alike_wherever_it_is_written(disk: WritableDisk) -> None:
    for offset in (0, 0, BLOCK):  # a new place, one that is known, another new one
        with pytest.raises(TypeError, match="contiguous"):
            disk.pwrite(memoryview(bytearray(8))[::2], offset)
        disk.pwrite(b"x", offset)


# -- space ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_space_is_used_again_while_new_reads_begin_all_the_time(
    disk: WritableDisk, path: Path
) -> None:
    """Those that matter began before it was given back, and are long gone."""
    is_over = threading.Event()

    def read() -> None:
        buffer = bytearray(4 * BLOCK)
        while not is_over.is_set():
            disk.readinto_at(buffer, 3 * BLOCK)

    for block in range(3, 7):
        disk.pwrite(b"x" * BLOCK, block * BLOCK)
    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    before = path.stat().st_size
    for number in range(40):
        disk.pwrite(bytes([number + 1]) * BLOCK, BLOCK)
        disk.discard(BLOCK, BLOCK)
        disk.flush()
    grown = path.stat().st_size - before
    is_over.set()
    for reader in readers:
        reader.join()
    assert grown < 30 * MIB  # and not 39, one for each block
