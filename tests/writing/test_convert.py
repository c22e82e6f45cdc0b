"""Converting into a new VHDX file: it holds the disk, in the order of the disk, and no zeros."""

from __future__ import annotations

import io
import os
import random
import re
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vhdx_kaitai
from tests.copying.mounted import room_taken, sharing_folder, small_folder
from tests.images.chain import GOOD_CHAINS, Chain
from tests.images.goods import GOODS
from tests.images.image import Block, dynamic, fixed
from tests.images.sparse import Sparse, pattern
from tests.images.strategies import chains
from tests.images.structures import FULLY_PRESENT, KIB, MIB, ZERO
from tests.reading_fixtures import (
    Unbuffered,
    allocated,
    assert_same,
    contents,
    good_chain,
    measured_memory,
    qemu_img,
    run_program,
)
from tests.support import fewer, files_in, good
from tests.writing.making import (
    CREATOR,
    Recording,
    assert_clean,
    assert_is,
    assert_others_open,
)
from vhdx_kaitai.errors import FormatError, TruncatedError, VhdxError
from vhdx_kaitai.storage.source import FileSource
from vhdx_kaitai.storage.target import OutFile

__all__ = ["sharing_folder", "small_folder"]  # fixtures

convert = vhdx_kaitai.convert

# What a new image may have from another one, which is no fault of its own: sectors that are
# larger than physical ones, items that are empty or without an id.
OF_THE_DISK = {"ITEM-18", "MET-11", "MET-19", "MET-20", "ITEM-04", "ITEM-21"}

COMPLETE = [name for name in GOODS if not good(name).image.has_parent]
SMALL = [name for name in COMPLETE if good(name).model.size <= 64 * MIB]


def sparse_file(path: Path, size: int, pieces: dict[int, bytes]) -> Path:
    """Write a raw image with holes between its pieces."""
    return Sparse(size, dict(pieces)).write(path)


def states(path: Path) -> list[tuple[int, int, str, int | None]]:
    """Return what a disk is made of: offset, length, state, place in the file."""
    with vhdx_kaitai.open(path) as disk:
        return [(e.offset, e.length, e.state, e.file_offset) for e in disk.extents()]


# -- it holds the disk ----------------------------------------------------------------------------


@st.composite
def contents_of_disks(draw: st.DrawFn) -> tuple[int, dict[int, bytes]]:
    """A size in bytes, and what is not a hole: pages, sectors and odd bytes, zeros among them."""
    size = draw(st.integers(1, 9 * MIB))
    pieces = {}
    for offset in draw(st.lists(st.integers(0, size - 1), max_size=12)):
        start = offset - offset % draw(st.sampled_from([1, 512, 4096, 64 * KIB, MIB]))
        length = min(size - start, draw(st.sampled_from([1, 512, 4096, 4608, 300 * KIB])))
        is_zero = draw(st.booleans())
        pieces[start] = bytes(length) if is_zero else random.Random(start).randbytes(length)
    return size, pieces


@fewer(2)
@given(
    drawn=contents_of_disks(),
    block_size=st.sampled_from([MIB, 2 * MIB, 4 * MIB, 32 * MIB]),
    sector=st.sampled_from([512, 4096]),
    disk_type=st.sampled_from(["dynamic", "fixed"]),
    way=st.sampled_from(["file", "stream", "stream of known size"]),
)
def test_what_a_raw_image_holds_all_readers_find(
    drawn: tuple[int, dict[int, bytes]],
    block_size: int,
    sector: int,
    disk_type: Any,
    way: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Its size is rounded up to whole sectors."""
    size, pieces = drawn
    folder = tmp_path_factory.mktemp("disk")
    raw, path = sparse_file(folder / "disk.raw", size, pieces), folder / "new.vhdx"
    data = raw.read_bytes()
    options: dict[str, Any] = {"block_size": block_size, "logical_sector_size": sector}
    whole = data + bytes(-size % sector)
    if way == "file":
        created = convert(raw, path, disk_type=disk_type, **options)
    elif way == "stream" and disk_type == "dynamic":
        created = convert(io.BytesIO(data), path, raw=True, **options)
    else:
        stream = io.BytesIO(data)
        options |= {"size": len(whole), "raw": True}
        created = convert(stream, path, disk_type=disk_type, **options)
    assert created[:4] == (len(whole), disk_type, block_size, sector)
    assert created.file_size == path.stat().st_size
    assert_clean(path)
    with vhdx_kaitai.open(path) as disk:
        assert_same(disk.pread(disk.size, 0), whole)
    if sector == 512:
        qemu_img("convert", "-O", "raw", path, folder / "qemu.raw")
        assert_same((folder / "qemu.raw").read_bytes(), whole)
    if len(whole) % MIB == 0:  # 7-Zip refuses others
        assert_same(run_program(("7z", "7zz"), "x", "-so", "-tVHDX", path), whole)


@pytest.mark.parametrize("size", [3 * MIB, 7 * MIB])
def test_other_programs_open_it(size: int, tmp_path: Path) -> None:
    raw = sparse_file(tmp_path / "disk.raw", size, {MIB: pattern(1, 0, MIB)})
    convert(raw, tmp_path / "new.vhdx", block_size=MIB)
    assert_others_open(tmp_path / "new.vhdx", size)
    data = run_program(("7z", "7zz"), "x", "-so", "-tVHDX", tmp_path / "new.vhdx")
    assert_same(data, raw.read_bytes())


@pytest.mark.parametrize("name", SMALL)
def test_what_an_image_holds_its_copy_does(name: str, tmp_path: Path) -> None:
    """A dirty log is replayed for that, in memory; sectors and blocks are as large as before."""
    model = good(name).model
    source = good(name).write(tmp_path / "old.vhdx")
    created = convert(source, tmp_path / "new.vhdx")
    assert created[2:5] == (model.block_size, model.logical_sector_size, model.physical_sector_size)
    assert created.disk_id != model.image.virtual_disk_id
    assert_same(convert_back(tmp_path / "new.vhdx"), contents(model))
    report = vhdx_kaitai.check(tmp_path / "new.vhdx")
    assert {finding.rule for finding in report.findings} <= {"ITEM-18"}  # which is in the image


@pytest.mark.parametrize("name", GOOD_CHAINS)
def test_a_chain_becomes_one_image(name: str, tmp_path: Path) -> None:
    made = good_chain(name).write(tmp_path)
    convert(made.path, tmp_path / "new.vhdx")
    assert_clean(tmp_path / "new.vhdx")
    assert_same(convert_back(tmp_path / "new.vhdx"), contents(made.model))
    with vhdx_kaitai.open(tmp_path / "new.vhdx") as disk:
        assert len(disk.chain) == 1
        assert disk.block_size == made.images[0].image.block_size


@fewer(2)
@given(made=chains(), disk_type=st.sampled_from(["dynamic", "fixed"]))
def test_whatever_a_chain_holds_its_copy_and_its_child_do(
    made: Chain, disk_type: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("chain")
    made.write(folder)
    convert(made.path, folder / "new.vhdx", disk_type=disk_type, durable=False)
    assert_same(convert_back(folder / "new.vhdx"), contents(made.model))
    vhdx_kaitai.create(folder / "child.vhdx", parent=made.path)
    assert_same(convert_back(folder / "child.vhdx"), contents(made.model))
    for name in ("new.vhdx", "child.vhdx"):
        report = vhdx_kaitai.check(folder / name)
        told = {finding.rule for finding in report.findings}
        assert told <= OF_THE_DISK, name


def convert_back(path: Path) -> bytes:
    with vhdx_kaitai.open(path) as disk:
        return disk.pread(disk.size, 0)


def test_a_copy_is_what_the_builder_makes_to_the_byte(tmp_path: Path) -> None:
    blocks = {number: Block(tag) for number, tag in ((1, FULLY_PRESENT), (4, FULLY_PRESENT))}
    image = dynamic(6 * MIB, blocks=blocks)
    image.build().write(tmp_path / "old.vhdx")
    convert(tmp_path / "old.vhdx", tmp_path / "new.vhdx", disk_id=image.virtual_disk_id)
    guids = ("file_write_guid", "data_write_guid")
    assert_is(
        tmp_path / "new.vhdx",
        lambda *values: image.but(creator=CREATOR, **dict(zip(guids, values, strict=True))).build(),
    )


# -- zeros, holes and order -----------------------------------------------------------------------


def test_blocks_of_zeros_are_left_out_and_the_others_in_the_order_of_the_disk(
    tmp_path: Path,
) -> None:
    """Whether zeros are stored or not."""
    data = {MIB: bytes(MIB), 2 * MIB: pattern(1, 0, MIB), 7 * MIB: b"x", 9 * MIB - 1: b"y"}
    raw = sparse_file(tmp_path / "disk.raw", 12 * MIB, data)
    convert(raw, tmp_path / "new.vhdx", block_size=MIB)
    stored = [(offset, place) for offset, _, _, place in states(tmp_path / "new.vhdx") if place]
    assert stored == [(2 * MIB, 4 * MIB), (7 * MIB, 5 * MIB)]
    assert (tmp_path / "new.vhdx").stat().st_size == 7 * MIB


def test_the_order_is_that_of_the_disk_whichever_thread_is_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every other piece is zeros, and there is nothing to be done for it."""
    pieces = {n * MIB: (bytes if n % 2 else b"x".__mul__)(MIB) for n in range(16)}
    raw = sparse_file(tmp_path / "disk.raw", 16 * MIB, pieces)
    real = FileSource.readinto

    def slow(file: FileSource, buffer: memoryview, offset: int) -> None:
        real(file, buffer, offset)
        time.sleep(0.02 * (offset // MIB % 4 == 0))

    monkeypatch.setattr(FileSource, "readinto", slow)
    convert(raw, tmp_path / "new.vhdx", block_size=MIB)
    stored = [(offset, place) for offset, _, _, place in states(tmp_path / "new.vhdx") if place]
    assert stored == [(n * MIB, (4 + n // 2) * MIB) for n in range(0, 16, 2)]


def test_pages_of_zeros_are_holes_inside_a_block(tmp_path: Path) -> None:
    data = Sparse(32 * MIB, {0: bytes(20 * MIB), 5 * MIB: pattern(1, 0, 64 * KIB)})
    raw = data.write(tmp_path / "disk.raw")
    convert(raw, tmp_path / "new.vhdx")
    assert allocated(tmp_path / "new.vhdx") <= 64 * KIB + 512 * KIB
    assert_same(convert_back(tmp_path / "new.vhdx"), raw.read_bytes())


@pytest.mark.parametrize("block_size", [MIB, 32 * MIB])
def test_an_image_takes_no_more_room_than_that_of_qemu(block_size: int, tmp_path: Path) -> None:
    choice = random.Random(5)
    pieces = {n * 64 * KIB: choice.randbytes(4 * KIB) for n in choice.sample(range(1024), 100)}
    raw = sparse_file(tmp_path / "disk.raw", 64 * MIB, pieces)
    convert(raw, tmp_path / "new.vhdx", block_size=block_size)
    option = f"block_size={block_size}"
    qemu_img("convert", "-f", "raw", "-O", "vhdx", "-o", option, raw, tmp_path / "qemu.vhdx")
    assert allocated(tmp_path / "new.vhdx") <= allocated(tmp_path / "qemu.vhdx") + 64 * KIB


def test_a_fixed_copy_has_all_blocks_and_the_room_for_them(tmp_path: Path) -> None:
    raw = sparse_file(tmp_path / "disk.raw", 5 * MIB + 512, {3 * MIB: b"x"})
    convert(raw, tmp_path / "new.vhdx", disk_type="fixed", block_size=2 * MIB)
    assert allocated(tmp_path / "new.vhdx") >= (tmp_path / "new.vhdx").stat().st_size == 10 * MIB
    assert states(tmp_path / "new.vhdx") == [(0, 5 * MIB + 512, "fully_present", 4 * MIB)]
    expected = fixed(5 * MIB + 512, block_size=2 * MIB).layout().bat
    assert len(expected) == 3
    assert_clean(tmp_path / "new.vhdx")


def test_converting_takes_little_memory(tmp_path: Path) -> None:
    raw = sparse_file(tmp_path / "disk.raw", 64 * MIB, {n * MIB: b"x" * 64 for n in range(64)})
    with measured_memory() as peak:
        convert(raw, tmp_path / "new.vhdx", block_size=MIB)
    assert peak.bytes <= 4 * MIB


# -- sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "options", "expected"),
    [
        (MIB, {}, MIB),
        (MIB + 1, {}, MIB + 512),
        (MIB + 1, {"logical_sector_size": 4096}, MIB + 4096),
        (MIB + 1, {"round_to": MIB}, 2 * MIB),
        (2 * MIB, {"round_to": MIB}, 2 * MIB),
        (MIB, {"size": 3 * MIB}, 3 * MIB),
        (MIB, {"size": 3 * MIB - 512, "round_to": MIB}, 3 * MIB),
    ],
)
@pytest.mark.parametrize("is_stream", [False, True])
def test_sizes_are_rounded_up(
    is_stream: bool, size: int, options: dict[str, Any], expected: int, tmp_path: Path
) -> None:
    raw = sparse_file(tmp_path / "disk.raw", size, {size - 1: b"x"})
    source = io.BytesIO(raw.read_bytes()) if is_stream else raw
    assert convert(source, tmp_path / "new.vhdx", **options).size == expected
    data = convert_back(tmp_path / "new.vhdx")
    assert_same(data, raw.read_bytes() + bytes(expected - size))
    assert_clean(tmp_path / "new.vhdx")


@pytest.mark.parametrize(
    ("options", "kind", "told"),
    [
        ({"size": MIB}, VhdxError, "which is more than a size of 1048576"),
        ({"size": 2 * MIB + 5}, ValueError, "[ITEM-11"),
        ({"block_size": 5}, ValueError, "[ITEM-05"),
        ({"disk_type": "differencing"}, ValueError, "disk_type is 'differencing'"),
        ({"round_to": 0}, ValueError, "round_to is 0"),
        ({"round_to": 3 * MIB + 1}, ValueError, "[ITEM-11"),
    ],
)
def test_a_disk_that_cannot_be_is_refused(
    options: dict[str, Any], kind: type[Exception], told: str, tmp_path: Path
) -> None:
    raw = sparse_file(tmp_path / "disk.raw", 2 * MIB, {0: b"x"})
    with pytest.raises(kind, match=re.escape(told)):
        convert(raw, tmp_path / "new.vhdx", **options)
    assert files_in(tmp_path) == {"disk.raw"}


def test_nothing_is_no_disk(tmp_path: Path) -> None:
    (tmp_path / "disk.raw").touch()
    for source in (tmp_path / "disk.raw", io.BytesIO(b"")):
        with pytest.raises(VhdxError, match="nothing to convert"):
            convert(source, tmp_path / "new.vhdx")
    assert files_in(tmp_path) == {"disk.raw"}


# -- streams --------------------------------------------------------------------------------------


def test_a_stream_of_unknown_length_has_its_bat_last(tmp_path: Path) -> None:
    data = pattern(1, 0, 3 * MIB + 700)
    convert(Unbuffered(data), tmp_path / "new.vhdx", block_size=MIB)  # type: ignore[arg-type]
    with vhdx_kaitai.open(tmp_path / "new.vhdx") as disk:
        assert disk.image.regions.bat.file_offset == 7 * MIB
        assert_same(disk.pread(disk.size, 0), data + bytes(-len(data) % 512))
    assert_clean(tmp_path / "new.vhdx")
    qemu_img("check", tmp_path / "new.vhdx")
    qemu_img("convert", "-O", "raw", tmp_path / "new.vhdx", tmp_path / "qemu.raw")
    assert (tmp_path / "qemu.raw").read_bytes()[: len(data)] == data


@pytest.mark.parametrize("length", [2 * MIB + 1, 40 * MIB])
def test_a_stream_that_is_longer_than_it_should_be_is_refused(length: int, tmp_path: Path) -> None:
    with pytest.raises(VhdxError, match="more than 2097152 bytes"):
        convert(io.BytesIO(b"x" * length), tmp_path / "new.vhdx", size=2 * MIB)
    assert files_in(tmp_path) == set()


def test_a_stream_of_unknown_length_becomes_no_fixed_disk(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs a size"):
        convert(io.BytesIO(b"x"), tmp_path / "new.vhdx", disk_type="fixed")


def test_a_stream_that_fails_leaves_nothing(tmp_path: Path) -> None:
    class Failing(io.BytesIO):
        def readinto(self, buffer: Any) -> int:
            if self.tell() >= 3 * MIB:
                raise OSError(5, "the pipe broke")
            return super().readinto(buffer)

    with pytest.raises(OSError, match="the pipe broke"):
        convert(Failing(b"x" * 9 * MIB), tmp_path / "new.vhdx")
    assert files_in(tmp_path) == set()


# -- what is no disk ------------------------------------------------------------------------------


def test_what_is_something_else_is_called_that(tmp_path: Path) -> None:
    packed = tmp_path / "disk.raw"
    packed.write_bytes(b"\x1f\x8b\x08" + bytes(2000))
    with pytest.raises(FormatError, match="compressed with gzip"):
        convert(packed, tmp_path / "new.vhdx")
    data = packed.read_bytes()
    with pytest.raises(VhdxError, match="compressed with gzip"):
        convert(io.BytesIO(data), tmp_path / "new.vhdx")
    assert files_in(tmp_path) == {"disk.raw"}
    for source in (packed, io.BytesIO(data)):
        convert(source, tmp_path / "new.vhdx", raw=True, replace=True)
        assert convert_back(tmp_path / "new.vhdx")[:2003] == data


def test_an_image_is_no_stream(tmp_path: Path) -> None:
    data = dynamic(MIB).build().to_bytes()
    with pytest.raises(VhdxError, match="not read from a stream"):
        convert(io.BytesIO(data), tmp_path / "new.vhdx")


def test_a_source_is_not_replaced(tmp_path: Path) -> None:
    raw = sparse_file(tmp_path / "disk.raw", MIB, {0: b"x"})
    (tmp_path / "same.vhdx").hardlink_to(raw)
    image = dynamic(MIB, blocks={0: Block()}).build().write(tmp_path / "old.vhdx")
    for source, path in ((raw, raw), (raw, tmp_path / "same.vhdx"), (image, image)):
        before = source.read_bytes()
        with pytest.raises(OSError, match="is an image of the disk itself"):
            convert(source, path, replace=True)
        assert source.read_bytes() == before


def test_a_source_that_is_cut_meanwhile_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = sparse_file(tmp_path / "disk.raw", 8 * MIB, {0: b"x" * 8 * MIB})
    real = OutFile.write

    def cut(out: OutFile, data: bytes | memoryview, offset: int) -> None:
        os.truncate(raw, 5 * MIB)
        real(out, data, offset)

    monkeypatch.setattr(OutFile, "write", cut)
    with pytest.raises(TruncatedError):
        convert(raw, tmp_path / "new.vhdx")
    assert files_in(tmp_path) == {"disk.raw"}


# -- whole or not at all --------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"disk_type": "fixed"}])
def test_the_identifier_is_written_last_between_two_flushes(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = sparse_file(tmp_path / "disk.raw", 4 * MIB, {0: b"x", 3 * MIB: b"y"})
    recording = Recording(monkeypatch)
    convert(raw, tmp_path / "new.vhdx", block_size=MIB, **options)
    assert recording.names[-5:] == ["fdatasync", "pwrite", "fdatasync", "replace", "fsync"]
    assert [*recording.complaints(200)] == []


def test_who_can_do_without_waiting_for_the_medium_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = sparse_file(tmp_path / "disk.raw", 4 * MIB, {0: b"x", 3 * MIB: b"y"})
    recording = Recording(monkeypatch)
    convert(raw, tmp_path / "new.vhdx", durable=False)
    assert {"fdatasync", "fsync"}.isdisjoint(recording.names)
    assert recording.names[-2:] == ["pwrite", "replace"]
    assert_same(convert_back(tmp_path / "new.vhdx"), raw.read_bytes())


def test_a_full_file_system_is_told_and_nothing_is_left(small_folder: Path, tmp_path: Path) -> None:
    raw = sparse_file(tmp_path / "disk.raw", 64 * MIB, {0: random.Random(1).randbytes(64 * MIB)})
    for disk_type in ("dynamic", "fixed"):
        with pytest.raises(OSError, match="No space left") as caught:
            convert(raw, small_folder / "new.vhdx", disk_type=disk_type)
        assert caught.value.filename == str(small_folder / "new.vhdx")
        assert files_in(small_folder) <= {"lost+found"}


def test_what_a_reader_would_refuse_gets_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were there a mistake here, nobody would see the file."""
    raw = sparse_file(tmp_path / "disk.raw", 4 * MIB, {0: b"x", 3 * MIB: b"y"})
    monkeypatch.setattr("vhdx_kaitai.writing.blank.FULLY_PRESENT", FULLY_PRESENT + 8 * MIB)
    with pytest.raises(VhdxError, match="not in order"):
        convert(raw, tmp_path / "new.vhdx", block_size=MIB)
    assert files_in(tmp_path) == {"disk.raw"}


# -- file systems that share blocks ---------------------------------------------------------------


@pytest.mark.parametrize("kind", ["raw", "vhdx"])
@pytest.mark.parametrize("disk_type", ["dynamic", "fixed"])
def test_where_files_share_blocks_nothing_is_copied(
    disk_type: Any, kind: str, sharing_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor read; what is no whole page at the end of the disk is."""
    size = 24 * MIB + 4096 + 512
    data = {MIB: pattern(1, 0, 9 * MIB), 20 * MIB: pattern(2, 0, 4 * MIB + 4096 + 512)}
    if kind == "raw":
        source = sparse_file(sharing_folder / "disk.raw", size, data)
    else:
        blocks = {n: Block() for n in (1, 2, 3, 9, 24)} | {5: Block(ZERO)}
        source = dynamic(size, blocks=blocks).build().write(sharing_folder / "old.vhdx")
    with vhdx_kaitai.open(source) if kind == "vhdx" else source.open("rb") as file:
        expected = file.pread(size, 0) if kind == "vhdx" else file.read()  # type: ignore[union-attr]
    before, written = room_taken(sharing_folder), 0
    real = OutFile.write

    def count(out: OutFile, data: bytes | memoryview, offset: int) -> None:
        nonlocal written
        written += len(data)
        real(out, data, offset)

    monkeypatch.setattr(OutFile, "write", count)
    convert(source, sharing_folder / "new.vhdx", block_size=4 * MIB, disk_type=disk_type)
    assert written <= 512 * KIB
    if disk_type == "dynamic":
        # The system may set aside the rest of the last block, which it expects to be written.
        assert room_taken(sharing_folder) - before <= 4 * MIB + 512 * KIB
    assert_same(convert_back(sharing_folder / "new.vhdx"), expected)
    assert_clean(sharing_folder / "new.vhdx")
    assert source.stat().st_size > 0


@pytest.mark.parametrize("most", [0, 4096, MIB + 4096])
def test_what_the_system_does_not_share_is_copied(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pattern(1, 0, 5 * MIB + 512)
    raw = sparse_file(tmp_path / "disk.raw", 6 * MIB, {MIB: data})
    real = OutFile.share

    def share(out: OutFile, file: FileSource, position: int, length: int, offset: int) -> int:
        return real(out, file, position, min(length, most), offset)

    monkeypatch.setattr(OutFile, "can_share", lambda *_: True)
    monkeypatch.setattr(OutFile, "share", share)
    convert(raw, tmp_path / "new.vhdx", block_size=4 * MIB)
    assert_same(convert_back(tmp_path / "new.vhdx"), raw.read_bytes())
    assert_clean(tmp_path / "new.vhdx")


def test_progress_is_told(tmp_path: Path) -> None:
    raw = sparse_file(tmp_path / "disk.raw", 8 * MIB, {n * MIB: b"x" for n in range(8)})
    told: list[int] = []
    convert(raw, tmp_path / "new.vhdx", progress=told.append)
    assert told[-1] == 8 * MIB
    assert told == sorted(told)


def test_a_disk_that_is_open_stays_so(tmp_path: Path) -> None:
    path = dynamic(MIB, blocks={0: Block()}).build().write(tmp_path / "old.vhdx")
    with vhdx_kaitai.open(path) as disk:
        convert(disk, tmp_path / "new.vhdx", disk_id=UUID(int=7))
        assert_same(convert_back(tmp_path / "new.vhdx"), disk.pread(MIB, 0))
    with vhdx_kaitai.open(tmp_path / "new.vhdx") as copy:
        assert copy.virtual_disk_id == UUID(int=7)
