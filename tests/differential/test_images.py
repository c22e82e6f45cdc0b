"""The builder of test images, judged by other programs and by real images."""

from __future__ import annotations

import bz2
import gzip
import json
import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.images.chain import GOOD_CHAINS, chain
from tests.images.crc import sealed
from tests.images.goods import GOODS
from tests.images.image import Block, Built, fixed
from tests.images.structures import HEADER_OFFSETS, KIB, MIB, REGION_TABLE_OFFSETS, UNMAPPED, ZERO
from tests.support import SAMPLES

# Where qemu-img 7.2 is known to depart from the text.
QEMU_REFUSES = {
    "log-version-1-while-clean": "LogVersion is judged although the log is clean",
    "log-length-0": "LogOffset 0 is refused although there is no log",
    "region-table-1-damaged": "the second region table is never used",
    "items-of-all-kinds": "a known GUID may not occur as user metadata",
    "log-one-entry-fills-the-ring": "an entry may not be as long as the log",
    "log-one-entry-fills-the-ring-from-the-middle": "an entry may not be as long as the log",
    "log-flushed-offset-falls": "FlushedFileOffset is judged for every entry",
    "log-last-offset-extends-the-file": "LastFileOffset extends only when it is no multiple of MiB",
    "log-extends-the-file": "LastFileOffset extends only when it is no multiple of MiB",
    "log-sequence-wraps": "the sequence with the greatest first number wins",
    "log-longer": "the sequence with the greatest first number wins",
    "log-run-longer-than-the-sequence": "the whole run is replayed",
    "log-lone-entry-against-a-run": "the sequence with the greatest first number wins",
    "largest-disk": "the raw image would not fit into a file system",
}


def qemu_img(*arguments: str | Path) -> str:
    """Run qemu-img and return what it printed."""
    program = shutil.which("qemu-img")
    if program is None:
        pytest.skip("qemu-img is not installed")
    done = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def raw_equals_model(raw: Path, built: Built) -> bool:
    """Compare a raw image with the model: throughout, or at the blocks of a large disk."""
    model = built.model
    assert raw.stat().st_size == model.size
    with raw.open("rb") as file:
        if model.size <= 64 * MIB:
            return file.read() == model.read(0, model.size)
        total = model.geometry.payload_blocks
        for number in {*built.image.blocks, 0, total // 2, total - 1, 15, 16, 17} & {*range(total)}:
            start = number * model.block_size
            stop = min(start + model.block_size, model.size)
            for at in (start, (start + stop) // 2 - 2048, stop - 16 * KIB):
                file.seek(at)
                if file.read(8 * KIB) != model.read(at, 8 * KIB):
                    return False
    return True


SLOW = ("fixed-past-one-chunk", "dynamic-past-one-chunk")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in GOODS],
)
def test_qemu_reads_what_the_model_says(name: str, tmp_path: Path) -> None:
    built = GOODS[name].build()
    if name in QEMU_REFUSES:
        pytest.skip(f"qemu-img departs from the text: {QEMU_REFUSES[name]}")
    if built.image.has_parent or built.image.logical_sector_size != 512:
        pytest.skip("qemu-img reads neither differencing images nor sectors of 4096 bytes")
    path = built.write(tmp_path / "image.vhdx")
    if built.model.log.state == "dirty":
        qemu_img("check", "-q", "-r", "all", path)
        # qemu-img does not extend the file to LastFileOffset, so zeros at the end may be missing.
        stored, wanted = path.read_bytes(), built.image.build().to_bytes()
        assert stored[4 * MIB :].rstrip(b"\0") == wanted[4 * MIB :].rstrip(b"\0")
    info = json.loads(qemu_img("info", "--output=json", path))
    assert info["format"] == "vhdx"
    assert info["virtual-size"] == built.model.size
    assert info["cluster-size"] == built.model.block_size
    raw = tmp_path / "image.raw"
    qemu_img("convert", "-O", "raw", path, raw)
    assert raw_equals_model(raw, built)


def test_qemu_reads_fixed_images_of_any_state(tmp_path: Path) -> None:
    blocks = {1: Block(ZERO), 2: Block(UNMAPPED), 3: Block(data=b"given")}
    built = fixed(5 * MIB + 1024, blocks=blocks).build()
    path = built.write(tmp_path / "fixed.vhdx")
    qemu_img("convert", "-O", "raw", path, tmp_path / "fixed.raw")
    assert raw_equals_model(tmp_path / "fixed.raw", built)


def seven_zip(path: Path) -> bytes:
    """Return the virtual disk as 7-Zip extracts it, parents included."""
    program = shutil.which("7z") or shutil.which("7zz")
    if program is None:
        pytest.skip("7-Zip is not installed")
    done = subprocess.run(
        [program, "x", "-so", "-tVHDX", path.name],
        cwd=path.parent,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# Chains that need nothing 7-Zip lacks: folders, a log replayed, parent_linkage2, sizes that differ.
SEVEN_ZIP_READS = (
    "three-levels",
    "eight-levels",
    "fixed-base",
    "other-block-sizes",
    "sectors-of-4096",
    "child-smaller-than-parent",
    "other-disk-id",
    "linkage-in-upper-case",
    "headers-of-the-parent-differ",
)


@pytest.mark.parametrize("name", SEVEN_ZIP_READS)
def test_seven_zip_reads_chains_as_the_model_says(name: str, tmp_path: Path) -> None:
    made = GOOD_CHAINS[name].build().write(tmp_path)
    assert seven_zip(made.path) == made.model.read(0, made.model.size)


def test_libvhdi_understands_the_locator(tmp_path: Path) -> None:
    program = shutil.which("vhdiinfo")
    if program is None:
        pytest.skip("vhdiinfo is not installed")
    made = chain(2).write(tmp_path)
    done = subprocess.run([program, made.path], capture_output=True, text=True, check=True)
    base, child = (image.model.current_header.data_write_guid for image in made.images)
    assert re.search(rf"\n\tIdentifier\s*: {child}\n", done.stdout)
    assert re.search(rf"\n\tParent identifier\s*: {base}\n", done.stdout)
    assert re.search(r"Disk type\s*: Differential", done.stdout)


def real_images() -> list[Any]:
    """Return the names of the real images; where there are none, one that is skipped."""
    if not SAMPLES.is_dir():
        why = "the real images are not at ../shared/samples"
        return [pytest.param("none", marks=pytest.mark.skip(reason=why))]
    return sorted(path.name for path in SAMPLES.iterdir() if path.suffix in (".gz", ".bz2"))


def unpack(name: str, length: int) -> bytes:
    """Return the first bytes of a real image."""
    opener: Any = gzip.open if name.endswith(".gz") else bz2.open
    with opener(SAMPLES / name, "rb") as file:
        data: bytes = file.read(length)
    return data


@pytest.mark.parametrize("name", real_images())
def test_the_checksums_of_real_images_agree(name: str) -> None:
    data = unpack(name, 16 * MIB)
    checked = 0
    for offset, size in [(at, 4096) for at in HEADER_OFFSETS] + [
        (at, 64 * KIB) for at in REGION_TABLE_OFFSETS
    ]:
        structure = data[offset : offset + size]
        assert structure[:4] in (b"head", b"regi")
        assert sealed(structure) == structure
        checked += 1
    length, offset = struct.unpack_from("<IQ", data, HEADER_OFFSETS[0] + 68)
    for at in range(offset, offset + length, 4096):
        if data[at : at + 4] == b"loge":
            size = struct.unpack_from("<I", data, at + 8)[0]
            if at + size <= offset + length:
                checked += sealed(data[at : at + size]) == data[at : at + size]
    assert checked >= 4
