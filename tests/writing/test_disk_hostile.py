"""Files of an adversary are opened to be written: refused without a byte changed, or in order.

Nothing but a `VhdxError` comes of what is in a file, in bounded time and memory.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vhdx_kaitai
from tests.crash.recorder import Recorder
from tests.images.damage import DAMAGES
from tests.images.image import Block, dynamic
from tests.images.structures import MIB
from tests.property.hostile import Hostile, mutations, wild
from tests.reading_fixtures import allocated, measured_memory
from tests.support import damaged, fewer
from vhdx_kaitai.checking.chain import check
from vhdx_kaitai.errors import FailedError, VhdxError
from vhdx_kaitai.reading.disk import Disk
from vhdx_kaitai.reading.image import Image
from vhdx_kaitai.writing.disk import WritableDisk

TIB = 1 << 40
SMALL = [name for name in DAMAGES if damaged(name).length <= 64 * MIB]
_LOOKED_AT = 4 * MIB
SECONDS = 20


def errors_of(data: bytes | bytearray) -> set[str]:
    return {f.rule for f in check(data).findings if f.level in ("error", "limit")}


def parents_of(image: Image) -> list[Image]:
    """Return a parent for an image that wants one."""
    if not image.geometry.is_differencing:
        return []
    sizes = image.metadata
    parent = dynamic(
        min(sizes.virtual_disk_size, _LOOKED_AT),
        logical_sector_size=sizes.logical_sector_size,
        blocks={0: Block()},
    )
    return [Image(parent.build().to_bytes())]


def written(data: bytes) -> bool:
    """Write to an image if it can be, and return whether it could.

    Either not a byte of it was changed, or what was written is there, the rest is as it was,
    and no rule finds an error that it had not found before.
    """
    file = Recorder(data)
    try:
        image = Image(file)
        disk = WritableDisk([image, *parents_of(image)])
        looked_at = min(disk.size, _LOOKED_AT)
        held = bytearray(disk.pread(looked_at, 0))
        assert file.events == []
        disk.pwrite(b"w" * min(700, disk.size), 0)
    except VhdxError as error:
        if isinstance(error, FailedError) or file.events:
            raise
        return False
    held[: min(700, looked_at)] = b"w" * min(700, looked_at)
    block = disk.block_size
    for verb, start, length in (("zero", 300, 100), ("discard", 0, disk.size)):
        if start + length <= disk.size and disk.size <= 1 << 34:
            getattr(disk, verb)(start, length)
            if verb == "zero":
                held[start : min(start + length, looked_at)] = bytes(
                    max(0, min(start + length, looked_at) - start)
                )
            elif disk.disk_type != "fixed":
                held[:] = bytes(looked_at)
            disk.flush()
    last = max(0, disk.size - block - 5)
    disk.pwrite(b"e", last)
    if last < looked_at:
        held[last : last + 1] = b"e"
    assert disk.pread(looked_at, 0) == held
    disk.close()
    with Disk([Image(file.data, replay="refuse"), *disk.chain[1:]]) as closed:
        assert closed.pread(looked_at, 0) == held
    assert errors_of(file.data) <= errors_of(data)
    return True


@pytest.mark.parametrize("name", SMALL)
def test_a_damaged_image_is_refused_as_it_is_or_written_rightly(name: str) -> None:
    case = DAMAGES[name]
    was_written = written(damaged(name).to_bytes())
    assert not was_written or case.refusal is None or case.level != "error"


@pytest.mark.parametrize("kind", ["mutations", "wild files"])
def test_any_image_is_refused_as_it_is_or_written_rightly(kind: str) -> None:
    strategy: st.SearchStrategy[Hostile] = {"mutations": mutations(), "wild files": wild()}[kind]
    counts = {True: 0, False: 0}

    @fewer(1)
    @given(strategy)
    def try_it(hostile: Hostile) -> None:
        began = time.monotonic()
        counts[written(hostile.data)] += 1
        assert time.monotonic() - began < SECONDS

    try_it()
    assert counts[True] > 0


# -- large disks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("block_size", [MIB, 256 * MIB])
def test_the_first_write_to_the_largest_disk_takes_neither_long_nor_much_memory(
    block_size: int, tmp_path: Path
) -> None:
    path = tmp_path / "large.vhdx"
    vhdx_kaitai.create(path, 64 * TIB, block_size=block_size)
    with vhdx_kaitai.open(path, writable=True) as disk, measured_memory() as peak:
        began = time.monotonic()
        disk.pwrite(b"x" * 4096, 40 * TIB + 5)
        disk.flush()
        assert time.monotonic() - began < 5  # most of it is what measuring takes
        assert disk.pread(4097, 40 * TIB + 4) == b"\0" + b"x" * 4096
    assert peak.bytes < 16 * MIB
    assert allocated(path) < 4 * MIB


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["discard", "zero"])
def test_all_of_a_large_disk_is_given_back_in_bounded_memory(verb: str, tmp_path: Path) -> None:
    path = tmp_path / "large.vhdx"
    vhdx_kaitai.create(path, 64 * TIB, block_size=64 * MIB)
    with vhdx_kaitai.open(path, writable=True) as disk:
        for number in range(100):
            disk.pwrite(b"x", number * 600 * (MIB << 10))
        with measured_memory() as peak:
            getattr(disk, verb)(0, disk.size)
            disk.flush()
        assert peak.bytes < 40 * MIB
        for number in range(100):
            assert disk.pread(1, number * 600 * (MIB << 10)) == b"\0"
    assert path.stat().st_size < 64 * MIB
