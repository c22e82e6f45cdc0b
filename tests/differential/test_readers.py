"""The virtual disk as QEMU, libvhdi, 7-Zip and dissect see it, and as this package does.

Whatever is not in one of the tables below has to be the same, byte for byte. The tables say where a
reader is known to depart from [MS-VHDX], and how: those tests are expected to fail, and one that
passes says that the reader has been mended. What is right there the models say, in `test_disk.py`.
"""

from __future__ import annotations

import gc
import hashlib
import subprocess
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest

import vhdx_kaitai
from tests.conftest import Files
from tests.images.chain import GOOD_CHAINS, chain
from tests.images.goods import GOODS
from tests.images.image import Block, dynamic, fixed, partial
from tests.images.structures import GIB, KIB, MIB, ZERO
from tests.reading_fixtures import (
    allocated,
    assert_same,
    few_runs,
    good_chain,
    program,
    qemu_img,
    run_program,
    windows,
)
from tests.support import REAL_IMAGES, good
from vhdx_kaitai.copying import raw
from vhdx_kaitai.reading.disk import Disk

# Nobody but QEMU replays a log, and QEMU not every log; see the end for what the others see.
ALONE = [
    name
    for name in GOODS
    if not good(name).image.has_parent and good(name).model.log.state == "clean"
]
SMALL = [name for name in ALONE if good(name).model.size <= 64 * MIB]


class View(NamedTuple):
    """A disk as another reader sees it."""

    size: int
    read: Callable[[int, int], bytes]


Opener = Callable[[list[Path]], Any]  # paths, base first, to a context with a View


@contextmanager
def libvhdi(paths: list[Path]) -> Iterator[View]:
    pyvhdi = pytest.importorskip("pyvhdi")
    with ExitStack() as stack:
        files: list[Any] = []
        for path in paths:
            file = pyvhdi.file()
            file.open(str(path))
            stack.callback(file.close)
            if files:
                file.set_parent(files[-1])
            files.append(file)
        top = files[-1]
        yield View(top.get_media_size(), lambda at, size: top.read_buffer_at_offset(size, at))


@contextmanager
def dissect(paths: list[Path]) -> Iterator[View]:
    disk = dissect_vhdx(paths[-1])

    def read(offset: int, length: int) -> bytes:
        disk.seek(offset)
        data: bytes = disk.read(length)
        return data

    try:
        yield View(disk.size, read)
    finally:
        while disk is not None:
            disk.fh.close()
            disk = disk.parent


def dissect_vhdx(path: Path) -> Any:
    """Return dissect's disk; when it fails it leaves files open, which are to be closed here."""
    vhdx = pytest.importorskip("dissect.hypervisor.disk.vhdx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            return vhdx.VHDX(path)
        except Exception as error:
            failure = repr(error)
        gc.collect()
    pytest.fail(failure)


@contextmanager
def seven_zip(paths: list[Path]) -> Iterator[View]:
    path = paths[-1]
    data = run_program(("7z", "7zz"), "x", "-so", "-tVHDX", path.name, cwd=path.parent)
    yield View(len(data), lambda at, size: data[at : at + size])


READERS: dict[str, Opener] = {"libvhdi": libvhdi, "dissect": dissect, "7-Zip": seven_zip}

NO_REPLAY = "it leaves the log alone"
BOTH_HEADERS = "it needs both headers"
DEPARTURES: dict[str, dict[str, str]] = {
    "libvhdi": {
        "header-2-missing": BOTH_HEADERS,
        "old-header-version-0": "it wants Version 1 in the older header, too",
        "region-table-1-damaged": "it needs both region tables",
        "region-table-2-missing": "it needs both region tables",
        "items-of-all-kinds": "it refuses items without data",
        "user-items-1024": "it refuses items without data",
        "fixed-past-one-chunk": "it sees no sector bitmap entries in the tables of fixed disks",
    },
    "dissect": {
        "region-table-2-missing": "it needs both region tables",
        "items-of-all-kinds": "it fails on items that it does not know",
        "items-up-to-the-limits": "it fails on items that it does not know",
        "user-items-1024": "it fails on items that it does not know",
    },
    "7-Zip": {
        "one-sector": "it refuses disks of an odd number of sectors",
        "odd-sectors": "it refuses disks of an odd number of sectors",
        "fixed-last-block-cut": "it refuses disks of an odd number of sectors",
        "header-1-damaged": BOTH_HEADERS,
        "header-2-missing": BOTH_HEADERS,
        "old-header-version-0": "it wants Version 1 in the older header, too",
        "region-table-1-damaged": "it never uses the second region table",
        "region-table-2-missing": "it extracts, and reports the second region table as an error",
        "items-of-all-kinds": "it takes user metadata for the item with the same GUID",
    },
}
CHAIN_DEPARTURES: dict[str, dict[str, str]] = {
    "libvhdi": {
        "child-larger-than-parent": "it cannot read past the end of the parent",
        "linked-by-parent-linkage2": "it compares parent_linkage only",
        "linkage-in-upper-case": "it compares the text of the GUIDs",
        "dirty-parent": NO_REPLAY,
        "dirty-child": NO_REPLAY,
    },
    "dissect": {
        **dict.fromkeys(
            ("three-levels", "eight-levels", "other-block-sizes"),
            "where one partially present block lies over another, sectors are lost",
        ),
        "sectors-of-4096": "it loses sectors of partially present blocks with such sectors",
        "child-larger-than-parent": "it reads on past the end of the parent",
        "relative-path-stale": "it does not look beside the child",
        "disk-item-only-in-the-parent": "it fails on items that it does not know",
        "paths-lead-out": "it needs a relative path",
        "dirty-parent": NO_REPLAY,
        "dirty-child": NO_REPLAY,
    },
    "7-Zip": {
        "child-larger-than-parent": "it refuses parents of another size that is smaller",
        "linked-by-parent-linkage2": "it compares parent_linkage only",
        "relative-path-stale": "it tries one path only",
        "paths-lead-out": "it tries one path only",
        "parent-in-a-folder-below": "on this system it takes \\ for a part of the name",
        "dirty-parent": NO_REPLAY,
        "dirty-child": NO_REPLAY,
    },
}


def zeros_over_a_parent(disk: Disk, offset: int, length: int) -> bool:
    """Tell whether a child says that a range is zeros, which libvhdi takes for its parent's."""
    (extent,) = disk.extents(offset, length)
    return extent.kind == "zero" and disk.chain[extent.depth].locator is not None


def assert_agrees(view: View, disk: Disk, reader: str, ranges: list[tuple[int, int]]) -> int:
    """Compare what two readers make of some ranges; return how many bytes were compared."""
    assert view.size == disk.size
    compared = 0
    for offset, length in ranges:
        for extent in disk.extents(offset, length):
            if reader == "libvhdi" and zeros_over_a_parent(disk, extent.offset, extent.length):
                continue
            theirs = view.read(extent.offset, extent.length)
            assert_same(disk.pread(extent.length, extent.offset), theirs, extent.offset)
            compared += extent.length
    return compared


def cases(names: Iterable[str], departures: dict[str, dict[str, str]]) -> list[Any]:
    """Return every reader with every image, those marked that are known to come to grief."""
    made = []
    for reader in READERS:
        for name in names:
            if reader == "7-Zip" and name in GOODS and name not in SMALL:
                continue  # it would extract all of a large disk
            reason = departures[reader].get(name)
            text = f"{reader} departs from the text: {reason}"
            marks = [pytest.mark.xfail(reason=text, strict=False)] if reason else []
            made.append(pytest.param(reader, name, marks=marks, id=f"{reader}-{name}"))
    return made


@pytest.mark.parametrize(("reader", "name"), cases(ALONE, DEPARTURES))
def test_an_image_reads_as_others_read_it(reader: str, name: str, files: Files) -> None:
    path, model = files.good(name), good(name).model
    with vhdx_kaitai.open(path) as disk, READERS[reader]([path]) as view:
        assert assert_agrees(view, disk, reader, list(windows(model)))


@pytest.mark.parametrize("reader", READERS)
def test_a_child_without_sector_bitmaps_is_read_wrongly_by_libvhdi_alone(
    reader: str, tmp_path: Path
) -> None:
    """No block of it is partially present, and libvhdi takes other bytes for a bitmap."""
    made = chain(2, blocks=lambda depth, _: {depth: Block()}).write(tmp_path)
    with READERS[reader](made.paths) as view:
        is_right = view.read(0, view.size) == made.model.read(0, made.model.size)
    assert is_right == (reader != "libvhdi")


@pytest.mark.parametrize("reader", READERS)
def test_zeros_of_a_child_show_its_parent_in_libvhdi_alone(reader: str, tmp_path: Path) -> None:
    blocks = {0: Block(ZERO), 1: partial(0)}
    made = chain(2, blocks=lambda depth, _: blocks if depth else {0: Block()}).write(tmp_path)
    with READERS[reader](made.paths) as view:
        is_zero = view.read(0, MIB) == bytes(MIB)
    assert is_zero == (reader != "libvhdi")


@pytest.mark.parametrize("reader", READERS)
def test_a_parent_that_was_changed_is_taken_by_dissect_alone(reader: str, tmp_path: Path) -> None:
    """It does not ask for the DataWriteGuid, and shows a disk that never was."""
    made = chain(2, blocks=lambda depth, _: {depth: Block(), 3: partial(0)} if depth else {}).write(
        tmp_path
    )
    expected = made.model.read(0, made.model.size)
    with READERS[reader](made.paths) as view:
        assert view.read(0, view.size) == expected
    chain(1, change=lambda _, image: image.but(tag=9, data_write_guid=UUID(int=9))).write(tmp_path)
    with pytest.raises(vhdx_kaitai.ParentMismatchError):
        vhdx_kaitai.open(made.path)
    if reader == "dissect":
        with dissect(made.paths) as view:
            assert view.read(0, view.size) != expected
    else:
        with pytest.raises((OSError, AssertionError)), READERS[reader](made.paths) as view:
            view.read(0, view.size)


@pytest.mark.parametrize(("reader", "name"), cases(GOOD_CHAINS, CHAIN_DEPARTURES))
def test_a_chain_reads_as_others_read_it(reader: str, name: str, tmp_path: Path) -> None:
    made = good_chain(name).write(tmp_path)
    with vhdx_kaitai.open(made.path) as disk, READERS[reader](made.paths) as view:
        assert assert_agrees(view, disk, reader, list(windows(made.model))) >= disk.size // 4


# -- departures, looked at ----------------------------------------------------------------------


def test_libvhdi_is_one_block_off_after_the_first_chunk_of_a_fixed_disk(tmp_path: Path) -> None:
    """Entry 16 is that of a sector bitmap; who takes it for block 16 finds nothing there."""
    built = fixed(4 * GIB + 768 * MIB, block_size=256 * MIB).build()
    path = built.write(tmp_path / "fixed.vhdx")
    with vhdx_kaitai.open(path) as disk, libvhdi([path]) as view:
        for block in range(19):
            at = block * 256 * MIB
            ours = disk.pread(4096, at)
            assert_same(ours, built.model.read(at, 4096), at)
            theirs = view.read(at, 4096)
            if block < 16:
                assert theirs == ours
            elif theirs != ours:
                before = built.model.read(at - 256 * MIB, 4096)
                assert theirs == (bytes(4096) if block == 16 else before)


def test_libvhdi_reads_dynamic_disks_past_the_first_chunk_as_we_do(files: Files) -> None:
    path = files.good("dynamic-past-one-chunk")
    with vhdx_kaitai.open(path) as disk, libvhdi([path]) as view:
        for block in (0, 15, 16, 32, 39):
            at = block * 256 * MIB
            assert_same(disk.pread(64 * KIB, at), view.read(at, 64 * KIB), at)
            assert any(disk.pread(64 * KIB, at))


def test_readers_that_leave_the_log_alone_see_the_state_before(
    samples: Callable[[str], Path],
) -> None:
    """18 blocks after replay, 17 before: they miss the last one that was written."""
    path = samples("iotest-dirtylog-10G-4M.vhdx.bz2")
    found = {}
    with vhdx_kaitai.open(path) as disk:
        numbers = [
            number
            for extent in disk.extents()
            if extent.kind == "data"
            for number in range(
                extent.offset // MIB, (extent.offset + extent.length + MIB - 1) // MIB
            )
        ]
        for reader in (libvhdi, dissect):
            with reader([path]) as view:
                found[reader.__name__] = [
                    number
                    for number in numbers
                    if view.read(number * MIB, MIB) == disk.pread(MIB, number * MIB)
                ]
                for number in set(numbers) - set(found[reader.__name__]):
                    assert not any(view.read(number * MIB, MIB))
    assert len(numbers) == 18
    assert {len(same) for same in found.values()} == {17}


# -- QEMU ---------------------------------------------------------------------------------------


def our_raw(path: Path, target: Path) -> Path:
    """Convert with this package."""
    with vhdx_kaitai.open(path) as disk:
        raw.convert(disk, str(target), 0, disk.size, lambda _done: None)
    return target


def assert_same_files(one: Path, two: Path) -> None:
    """Compare files of any size, which may have holes, with a program."""
    done = subprocess.run([program("cmp"), one, two], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode()


WRITES = (
    "write -P 1 0 1",
    "write -P 2 511 514",
    "write -P 3 1M 64k",
    "write -P 4 3145000 1100000",
    "write -z 3500k 200k",
    "write -P 5 7M 3M",
    "write -P 0 8M 512k",
)


def qemu_image(folder: Path, options: str, size: int) -> Path:
    """Return an image that QEMU made and wrote into."""
    path = folder / "qemu.vhdx"
    qemu_img("create", "-q", "-f", "vhdx", "-o", options, path, str(size))
    commands = [part for write in WRITES for part in ("-c", write)]
    run_program("qemu-io", "-f", "vhdx", *commands, "-c", f"write -P 9 {size - 512} 512", path)
    return path


@pytest.mark.parametrize("size", [12 * MIB, 11 * MIB + 512])
@pytest.mark.parametrize(
    "options",
    [
        "block_size=1M",
        "block_size=2M,log_size=2M",
        "block_size=32M",
        "block_size=256M",
        "block_size=1M,subformat=fixed",
        "block_size=1M,subformat=fixed,block_state_zero=off",
        "block_size=8M,subformat=fixed,block_state_zero=off",
        "block_size=1M,block_state_zero=off",
    ],
)
def test_images_of_qemu_hold_what_qemu_wrote(options: str, size: int, tmp_path: Path) -> None:
    """The last block of its fixed images may be cut."""
    path = qemu_image(tmp_path, options, size)
    qemu_img("convert", "-O", "raw", path, tmp_path / "qemu.raw")
    our_raw(path, tmp_path / "our.raw")
    assert_same_files(tmp_path / "qemu.raw", tmp_path / "our.raw")
    expected = (tmp_path / "qemu.raw").read_bytes()
    assert {expected[0], expected[600], expected[7 * MIB], expected[-1]} == {1, 2, 5, 9}
    with vhdx_kaitai.open(path) as disk:
        assert disk.disk_type == ("fixed" if "fixed" in options else "dynamic")
        assert_same(disk.pread(size, 0), expected)


@pytest.mark.parametrize(
    ("options", "size"),
    [("block_size=1M", 9 * GIB), ("block_size=256M,subformat=fixed", 4 * GIB + 768 * MIB)],
)
def test_images_of_qemu_past_one_chunk_hold_what_qemu_wrote(
    options: str, size: int, tmp_path: Path
) -> None:
    path = tmp_path / "qemu.vhdx"
    qemu_img("create", "-q", "-f", "vhdx", "-o", options, path, str(size))
    commands = []
    places = (4 * GIB - 4096, 4 * GIB, 4 * GIB + 256 * MIB - 512, size - 256 * MIB, size - 8192)
    for number, at in enumerate(places, 1):
        commands += ["-c", f"write -P {number} {at} 8k"]
    run_program("qemu-io", "-f", "vhdx", *commands, path)
    with vhdx_kaitai.open(path) as disk:
        assert disk.pread(4096, places[0]) == b"\1" * 4096
        for number, at in list(enumerate(places, 1))[1:]:
            assert disk.pread(8192, at) == bytes([number]) * 8192
        assert not any(disk.pread(4096, 4 * GIB + 8192))
    qemu_img("convert", "-O", "raw", path, tmp_path / "qemu.raw")
    our_raw(path, tmp_path / "our.raw")
    with (tmp_path / "qemu.raw").open("rb") as one, (tmp_path / "our.raw").open("rb") as two:
        for at in (0, *(place - 64 * KIB for place in places)):
            one.seek(at)
            two.seek(at)
            assert one.read(128 * KIB) == two.read(128 * KIB)
    assert (tmp_path / "our.raw").stat().st_size == size
    assert allocated(tmp_path / "our.raw") <= 1.1 * allocated(tmp_path / "qemu.raw") + 8192


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name, sample in REAL_IMAGES.items() if sample.virtual_disk_size <= GIB]
)
def test_a_real_image_reads_as_others_read_it(
    name: str, samples: Callable[[str], Path], tmp_path: Path
) -> None:
    path = samples(name)
    ours = our_raw(path, tmp_path / "our.raw")
    assert ours.stat().st_size == REAL_IMAGES[name].virtual_disk_size
    qemu_img("convert", "-O", "raw", path, tmp_path / "qemu.raw")
    assert_same_files(ours, tmp_path / "qemu.raw")
    with vhdx_kaitai.open(path) as disk:
        stored = [extent for extent in disk.extents() if extent.kind == "data"]
        for reader in (libvhdi, dissect):
            with reader([path]) as view:
                assert view.size == disk.size
                for extent in stored:
                    for at in range(extent.offset, extent.offset + extent.length, 8 * MIB):
                        size = min(8 * MIB, extent.offset + extent.length - at)
                        assert_same(disk.pread(size, at), view.read(at, size), at)


@pytest.mark.slow
def test_seven_zip_extracts_from_a_real_image_what_we_do(
    samples: Callable[[str], Path], tmp_path: Path
) -> None:
    path = samples("test-disk2vhd.vhdx.bz2")
    with seven_zip([path]) as view:
        theirs = hashlib.sha256(view.read(0, view.size)).hexdigest()
    with our_raw(path, tmp_path / "our.raw").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == theirs


@pytest.mark.parametrize("name", ["fixed-plain", "dynamic-plain", "blocks-in-disorder"])
def test_seven_zip_finds_partitions_and_size_where_we_do(name: str, files: Files) -> None:
    """Its listing knows the virtual size without extracting anything."""
    listing = run_program(("7z", "7zz"), "l", "-slt", "-tVHDX", files.good(name)).decode()
    sizes = [line.split(" = ")[1] for line in listing.splitlines() if line.startswith("Size = ")]
    with vhdx_kaitai.open(files.good(name)) as disk:
        assert sizes == [str(disk.size)]


# -- chains that nobody else made ---------------------------------------------------------------


@pytest.mark.parametrize("reader", ["libvhdi", "7-Zip"])
@pytest.mark.parametrize("depth", [2, 3, 5])
def test_a_chain_with_runs_of_sectors_reads_as_others_read_it(
    depth: int, reader: str, tmp_path: Path
) -> None:
    base = dynamic(16 * MIB, blocks={n: Block() for n in range(0, 16, 2)})
    made = chain(depth, base=base, blocks=few_runs).write(tmp_path)
    with vhdx_kaitai.open(made.path) as disk, READERS[reader](made.paths) as view:
        assert assert_agrees(view, disk, reader, list(windows(made.model))) >= disk.size // 3
