"""A range gets what a file holds, zeros or nothing, and how far that is gets told."""

from __future__ import annotations

import errno
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vhdx_kaitai
from tests.images.image import Block, dynamic
from tests.images.structures import MIB
from vhdx_kaitai import WritableDisk
from vhdx_kaitai.writing.filling import fill_from, fill_with_nothing, refuse_input

SIZE = 6 * MIB
DATA = bytes(range(256)) * 12_000  # 3 MB, no multiple of a MiB


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[WritableDisk]:
    path = dynamic(SIZE, blocks={n: Block() for n in range(6)}).build().write(tmp_path / "a.vhdx")
    with vhdx_kaitai.open(path, writable=True) as disk:
        yield disk


class Pipe(io.BytesIO):
    """What gives fewer bytes than it is asked for."""

    def readinto(self, buffer: Any) -> int:
        return super().readinto(buffer[:1000])


@pytest.mark.parametrize("kind", [io.BytesIO, Pipe])
@pytest.mark.parametrize("offset", [0, 777, MIB])
def test_all_of_an_input_is_written(disk: WritableDisk, kind: type, offset: int) -> None:
    before = disk.pread(SIZE, 0)
    told: list[int] = []
    assert fill_from(disk, kind(DATA).readinto, offset, None, told.append) == len(DATA)
    end = offset + len(DATA)
    assert disk.pread(SIZE, 0) == before[:offset] + DATA + before[end:]
    assert told == sorted(told)
    assert told[-1] == len(DATA)


@pytest.mark.parametrize("length", [0, 5, 2 * MIB, len(DATA) + 5])
def test_no_more_is_written_than_is_wanted_or_there(disk: WritableDisk, length: int) -> None:
    before = disk.pread(SIZE, 0)
    done = min(length, len(DATA))
    assert fill_from(disk, io.BytesIO(DATA).readinto, 100, length, lambda _done: None) == done
    assert disk.pread(SIZE, 0) == before[:100] + DATA[:done] + before[100 + done :]


def test_an_input_that_is_too_long_fills_the_disk_and_fails(disk: WritableDisk) -> None:
    with pytest.raises(OSError, match=f"past the end of the disk at {SIZE}") as raised:
        fill_from(disk, io.BytesIO(DATA).readinto, SIZE - 1000, None, lambda _done: None)
    assert raised.value.errno == errno.ENOSPC
    assert disk.pread(1000, SIZE - 1000) == DATA[:1000]
    fill_from(disk, io.BytesIO(DATA[:1000]).readinto, SIZE - 1000, None, lambda _done: None)


class Stop(Exception):  # noqa: N818 - it is no error
    """Somebody wants no more of it."""


def test_what_was_told_is_done_when_somebody_stops_it(disk: WritableDisk) -> None:
    before = disk.pread(SIZE, 0)

    def progress(done: int) -> None:
        if done >= MIB:
            raise Stop(done)

    with pytest.raises(Stop) as raised:
        fill_from(disk, io.BytesIO(DATA).readinto, 0, None, progress)
    done = raised.value.args[0]
    assert disk.pread(SIZE, 0) == DATA[:done] + before[done:]
    with pytest.raises(Stop):
        fill_with_nothing(disk.zero, 3 * MIB, 2 * MIB, progress)
    assert not any(disk.pread(2 * MIB, 3 * MIB))


@pytest.mark.parametrize("offset", [0, 100])
def test_zeros_and_nothing_take_steps(tmp_path: Path, offset: int) -> None:
    size = 5 * 1024 * MIB
    path = dynamic(size, blocks={n: Block() for n in (0, 4)}).build().write(tmp_path / "a.vhdx")
    with vhdx_kaitai.open(path, writable=True) as disk:
        for change in (disk.zero, disk.discard):
            told: list[int] = []
            fill_with_nothing(change, offset, size - offset, told.append)
            assert told[-1] == size - offset
            assert len(told) == 5
        assert not any(disk.pread(MIB, 4 * MIB))


def test_no_image_of_the_disk_is_an_input_of_its_own(disk: WritableDisk, tmp_path: Path) -> None:
    with (
        (tmp_path / "a.vhdx").open("rb") as file,
        pytest.raises(OSError, match="of the disk"),
    ):
        refuse_input(disk, file)
    with (tmp_path / "b").open("w+b") as other:
        refuse_input(disk, other)
