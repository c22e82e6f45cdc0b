"""The virtual disk, compared with the models of built images and with real ones."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

import vhdx_kaitai
from tests.conftest import Files
from tests.images.chain import GOOD_CHAINS, chain, child_of
from tests.images.damage import DAMAGES
from tests.images.dirty import STRUCTURES, dirty
from tests.images.goods import GOODS
from tests.images.image import (
    Block,
    Image,
    Layout,
    dynamic,
    partial,
)
from tests.images.log import Zero
from tests.images.sparse import pattern
from tests.images.structures import (
    KIB,
    MIB,
)
from tests.reading_fixtures import (
    CANARY,
    SOURCES,
    assert_reads,
    assert_reads_throughout,
    assert_same,
    disk_extents,
    few_runs,
    good_chain,
    mixed_chain,
    model_extents,
    needs_proc,
    open_descriptors,
    opened,
    places,
)
from tests.support import SHARED, Sample, SparseSource, damaged, good
from vhdx_kaitai.errors import VhdxError
from vhdx_kaitai.reading import image as reader
from vhdx_kaitai.reading.disk import Disk

README = SHARED / "samples" / "README.md"
DIRTY = [name for name in GOODS if good(name).model.log.state == "dirty"]
UNREADABLE = [name for name, case in DAMAGES.items() if case.refusal == "read"]


# -- contents -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOODS)
def test_a_good_image_reads_as_its_model_says(name: str) -> None:
    built = good(name)
    with opened(built, resolve_parents=False) as disk:
        assert_reads_throughout(disk, built.model)


@pytest.mark.parametrize("name", GOODS)
def test_a_good_image_reads_from_a_file_as_its_model_says(name: str, files: Files) -> None:
    with vhdx_kaitai.open(files.good(name), resolve_parents=False) as disk:
        assert_reads_throughout(disk, good(name).model)


@pytest.mark.parametrize("name", GOOD_CHAINS)
def test_a_good_chain_reads_as_its_model_says(name: str, tmp_path: Path) -> None:
    made = good_chain(name).write(tmp_path)
    with vhdx_kaitai.open(made.path) as disk:
        assert_reads_throughout(disk, made.model)
        for offset, length in places(disk.size, 40, 5 * MIB):
            assert_reads(disk, made.model, offset, length)


def hashes() -> dict[str, str]:
    """Return the hash of each real image's virtual disk, from the table in their README."""
    if not README.is_file():
        return {}
    text = README.read_text(encoding="utf-8")
    return dict(re.findall(r"^\| ([\w-]+) \|.*\| ([0-9a-f]{64})\b", text, re.MULTILINE))


@pytest.mark.slow
def test_a_real_image_holds_the_bytes_its_hash_stands_for(sample: tuple[Sample, Path]) -> None:
    """Also the dirty one, after replay."""
    known, path = sample
    digest = hashlib.sha256()
    buffer = bytearray(4 * MIB)
    with vhdx_kaitai.open(path) as disk:
        assert disk.size == known.virtual_disk_size
        for offset in range(0, disk.size, len(buffer)):
            assert disk.readinto_at(buffer, offset) == len(buffer)
            digest.update(buffer)
    assert digest.hexdigest() == hashes()[known.name.partition(".")[0]]


# -- kinds of sources -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("name", ["dynamic-plain", "dirty-everything", "log-extends-the-file"])
def test_a_disk_reads_the_same_from_every_kind_of_source(
    name: str, kind: str, files: Files
) -> None:
    source = SOURCES[kind](files.good(name))
    with vhdx_kaitai.open(source) as disk:
        assert_reads_throughout(disk, good(name).model)
    if hasattr(source, "close"):
        source.close()


# -- the log --------------------------------------------------------------------------------------


@pytest.mark.parametrize("structure", [*STRUCTURES, "payload"])
def test_replay_concerns_every_structure(structure: str) -> None:
    """What is stored there is junk, and reading gives what the log holds."""
    base = dynamic(2 * MIB, others=Block()).build()
    data = pattern(5, 0, 16 * KIB)
    image = child_of(base, blocks={0: Block(data=data), 1: partial(range(7), data=data)})
    layout = dirty(image, hide=(structure,), junk=structure != "payload")
    built = layout.build()
    for offset, length in layout.ranges(structure):
        assert built.file.read(offset, length) != built.replayed().read(offset, length)
    with opened(built, parent=SparseSource(base.file)) as disk:
        assert disk.image.replayed is not None
        assert_reads_throughout(disk, built.model)
        assert disk_extents(disk) == model_extents(built.model)


def test_a_zero_descriptor_inside_a_block_reads_as_zeros() -> None:
    layout = dynamic(2 * MIB, blocks={0: Block(), 1: Block()}).layout()
    place = layout.payload[1]
    built = dirty(layout, extra=[Zero(place + 8192, 12288)]).build()
    stored = pattern(1, MIB, MIB)
    expected = stored[:8192] + bytes(12288) + stored[20480:]
    with opened(built) as disk:
        assert_same(disk.pread(MIB, MIB), expected)
        for offset, length in places(MIB, 50, MIB):
            assert_same(disk.pread(length, MIB + offset), expected[offset : offset + length])


@pytest.mark.parametrize("levels", [{0}, {1}, {2}, {0, 1, 2}])
def test_every_image_of_a_chain_may_be_dirty(levels: set[int], tmp_path: Path) -> None:
    def change(depth: int, image: Image) -> Image | Layout:
        return dirty(image, hide=STRUCTURES, split=5) if depth in levels else image

    made = chain(3, blocks=few_runs, change=change).write(tmp_path)
    with vhdx_kaitai.open(made.path) as disk:
        dirty_ones = {2 - depth for depth, image in enumerate(disk.chain) if image.replayed}
        assert dirty_ones == levels
        assert_reads_throughout(disk, made.model)
        assert disk_extents(disk) == model_extents(made.model)


def test_reading_changes_no_file(tmp_path: Path) -> None:
    made = mixed_chain().write(tmp_path)
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in made.paths]
    with vhdx_kaitai.open(made.path) as disk:
        assert disk.pread(disk.size, 0)
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in made.paths] == before


# -- closing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("read_before", [True, False])
@pytest.mark.parametrize("offset", [0, MIB, 2 * MIB - 512], ids=["data", "zeros", "both"])
@pytest.mark.parametrize("kind", ["path", "bytes", "mmap", "file object"])
def test_a_closed_disk_cannot_be_read(
    kind: str, offset: int, read_before: bool, files: Files
) -> None:
    source = SOURCES[kind](files.good("dynamic-plain"))
    disk = vhdx_kaitai.open(source)
    file = disk.open()
    if read_before:
        assert len(disk.pread(8 * MIB, 0)) == 8 * MIB
    disk.close()
    try:
        with pytest.raises((ValueError, OSError)):
            disk.pread(1024, offset)
        with pytest.raises((ValueError, OSError)):
            disk.readinto_at(bytearray(1024), offset)
        file.seek(offset)
        with pytest.raises((ValueError, OSError)):
            file.read(1024)
    finally:
        if hasattr(source, "close"):
            source.close()


@pytest.mark.parametrize("length", [512, 3 * MIB])
def test_a_closed_disk_does_not_read_the_file_that_has_its_descriptor_now(
    length: int, tmp_path: Path
) -> None:
    built = dynamic(3 * MIB, others=Block()).build()
    path = built.write(tmp_path / "disk.vhdx")
    other = tmp_path / "other"
    shutil.copy(path, other)
    disk = vhdx_kaitai.open(path)
    assert_reads(disk, built.model, 0, length)
    disk.close()
    with other.open("rb"), other.open("rb"), other.open("rb"):
        with pytest.raises((ValueError, OSError)):
            disk.pread(length, 0)
        with pytest.raises((ValueError, OSError)):
            disk.readinto_at(bytearray(length), 0)


@needs_proc
def test_closing_closes_the_whole_chain_and_twice_does_no_harm(tmp_path: Path) -> None:
    made = chain(3).write(tmp_path)
    before = open_descriptors()
    with vhdx_kaitai.open(made.path) as disk:
        assert len(open_descriptors() - before) == 3
    assert open_descriptors() == before
    disk.close()


def test_what_the_caller_opened_is_the_callers_to_close(files: Files) -> None:
    with files.good("dynamic-plain").open("rb") as file:
        vhdx_kaitai.open(file).close()
        assert file.seek(0) == 0
        assert file.read(8) == b"vhdxfile"


# -- properties -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOODS)
def test_a_disk_has_the_properties_its_model_has(name: str) -> None:
    model = good(name).model
    with opened(good(name), resolve_parents=False) as disk:
        assert disk.size == model.virtual_disk_size
        assert disk.block_size == model.block_size
        assert disk.logical_sector_size == model.logical_sector_size
        assert disk.physical_sector_size == model.physical_sector_size
        assert disk.disk_type == model.disk_type
        assert disk.virtual_disk_id == model.virtual_disk_id
        assert disk.chain == (disk.image,)


def test_the_chain_goes_from_child_to_base(tmp_path: Path) -> None:
    made = chain(4).write(tmp_path)
    with vhdx_kaitai.open(made.path) as disk:
        assert [image.path for image in disk.chain] == [str(path) for path in made.paths[::-1]]
        assert disk.image is disk.chain[0]
        assert [image.metadata.disk_type for image in disk.chain] == ["differencing"] * 3 + [
            "dynamic"
        ]
        assert str(made.path) in repr(disk)


# -- the class ------------------------------------------------------------------------------------


def test_what_a_disk_can_do_is_said_by_its_class() -> None:
    for name in ("readinto_at", "pread", "extents", "open", "close"):
        assert getattr(Disk, name).__doc__


def test_a_disk_may_be_another_one(files: Files) -> None:
    class Loud(Disk):
        def pread(self, length: int, offset: int) -> bytes:
            return super().pread(length, offset).upper()

        def readinto_at(self, buffer: Any, offset: int) -> int:
            return -super().readinto_at(buffer, offset)

    model = good("dynamic-plain").model
    buffer = bytearray(100)
    with Loud([reader.Image(files.good("dynamic-plain"))]) as disk:
        assert disk.pread(100, 0) == model.read(0, 100).upper()
        assert disk.readinto_at(buffer, 0) == -100
        assert buffer == model.read(0, 100)


# -- the file object ------------------------------------------------------------------------------


@pytest.fixture(params=["path", "bytes"])
def disk(request: pytest.FixtureRequest, files: Files) -> Iterator[Disk]:
    """A disk of 3 MiB and one sector: data, zeros, zeros, data."""
    with vhdx_kaitai.open(SOURCES[request.param](files.good("odd-sectors"))) as disk:
        yield disk


@pytest.fixture
def whole() -> bytes:
    """All of its bytes, by the model."""
    return good("odd-sectors").model.read(0, 3 * MIB + 512)


def test_a_disk_file_is_read_from_start_to_end(disk: Disk, whole: bytes) -> None:
    with disk.open() as file:
        assert file.size == len(whole)
        assert file.tell() == 0
        assert file.read(100) == whole[:100]
        assert file.tell() == 100
        assert file.read(MIB) == whole[100 : MIB + 100]
        assert file.read() == whole[MIB + 100 :]
        assert file.tell() == len(whole)
        assert file.read() == file.read(1) == b""


def test_a_disk_file_cannot_be_written(disk: Disk) -> None:
    with disk.open() as file:
        assert not file.writable()
        uses: list[Callable[[], object]] = [lambda: file.write(b"x"), file.truncate, file.fileno]
        for use in uses:
            with pytest.raises(io.UnsupportedOperation):
                use()


@pytest.mark.parametrize("size", [-1, None])
def test_a_disk_file_reads_all_the_rest_on_demand(
    size: int | None, disk: Disk, whole: bytes
) -> None:
    file = disk.open()
    file.seek(1000)
    assert file.read(size) == whole[1000:]
    file.seek(0)
    assert file.readall() == whole


def test_a_disk_file_is_short_only_at_the_end(disk: Disk, whole: bytes) -> None:
    file = disk.open()
    file.seek(-100, io.SEEK_END)
    assert file.read(1000) == whole[-100:]
    file.seek(-100, io.SEEK_END)
    buffer = bytearray([CANARY]) * 200
    assert file.readinto(buffer) == 100
    assert buffer == whole[-100:] + bytes([CANARY]) * 100
    assert file.readinto(buffer) == 0
    file.seek(0)
    large = bytearray(3 * MIB)
    assert file.readinto(large) == 3 * MIB
    assert_same(large, whole[: 3 * MIB])
    assert file.read(0) == b""


def test_a_disk_file_seeks_from_start_position_and_end(disk: Disk, whole: bytes) -> None:
    file = disk.open()
    assert file.seek(700) == 700
    assert file.seek(50, io.SEEK_CUR) == file.tell() == 750
    assert file.seek(-250, io.SEEK_CUR) == 500
    assert file.read(4) == whole[500:504]
    assert file.seek(-4, io.SEEK_END) == len(whole) - 4
    assert file.read(4) == whole[-4:]
    assert file.seek(0, io.SEEK_END) == len(whole)
    assert file.seek(10, io.SEEK_END) == len(whole) + 10
    assert file.read(1) == b""
    assert file.readinto(bytearray(1)) == 0
    assert file.seek(0) == 0


@pytest.mark.parametrize(("offset", "whence"), [(-1, 0), (-11, 1), (-(3 * MIB + 513), 2), (0, 7)])
def test_a_disk_file_does_not_seek_to_nowhere(disk: Disk, offset: int, whence: int) -> None:
    file = disk.open()
    file.seek(10)
    with pytest.raises(ValueError, match="expected"):
        file.seek(offset, whence)
    assert file.tell() == 10


def test_disk_files_have_positions_of_their_own(disk: Disk, whole: bytes) -> None:
    one, two = disk.open(), disk.open()
    one.seek(1000)
    assert two.read(4) == whole[:4]
    assert one.read(4) == whole[1000:1004]


def test_a_disk_file_says_what_it_can_do(disk: Disk) -> None:
    file = disk.open()
    assert isinstance(file, io.RawIOBase)
    assert file.readable()
    assert file.seekable()
    assert not file.writable()
    assert not file.isatty()
    with pytest.raises(io.UnsupportedOperation):
        file.fileno()
    with pytest.raises((OSError, NotImplementedError)):
        file.write(b"x")
    with pytest.raises((OSError, NotImplementedError)):
        file.truncate(0)


def test_a_closed_disk_file_is_of_no_more_use_and_leaves_the_disk_open(
    disk: Disk, whole: bytes
) -> None:
    file = disk.open()
    file.close()
    assert file.closed
    file.close()
    for call in (
        lambda: file.read(1),
        lambda: file.read(),
        lambda: file.readall(),
        lambda: file.readinto(bytearray(1)),
        lambda: file.seek(0),
        lambda: file.tell(),
    ):
        with pytest.raises(ValueError, match="closed"):
            call()
    assert disk.pread(4, 0) == whole[:4]
    assert disk.open().read(4) == whole[:4]


def test_a_disk_file_can_be_buffered(disk: Disk, whole: bytes) -> None:
    with io.BufferedReader(disk.open(), 4096) as file:
        assert file.read(10) == whole[:10]
        assert file.peek(1)[:1] == whole[10:11]
        file.seek(MIB - 5)
        assert file.read(5000) == whole[MIB - 5 : MIB + 4995]
        file.seek(-10, io.SEEK_END)
        assert file.read() == whole[-10:]
        file.seek(0)
        assert_same(file.read(), whole)


def test_a_disk_file_can_be_copied(disk: Disk, whole: bytes) -> None:
    target = io.BytesIO()
    shutil.copyfileobj(disk.open(), target)
    assert_same(target.getvalue(), whole)


def test_lines_can_be_read_from_a_disk_file() -> None:
    with opened(dynamic(MIB, blocks={0: Block(data=b"one\ntwo\n")}).build()) as disk:
        file: BinaryIO = io.BufferedReader(disk.open())
        assert file.readline() == b"one\n"
        assert next(file) == b"two\n"


def test_a_disk_file_raises_what_its_disk_raises() -> None:
    with opened(damaged("bat-state-4")) as disk:
        file = disk.open()
        file.seek(7 * MIB - 10)
        with pytest.raises(VhdxError):
            file.read(100)
        assert file.tell() == 7 * MIB - 10
        assert file.read(10) == bytes(10)
