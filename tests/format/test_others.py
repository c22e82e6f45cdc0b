"""A file that is no VHDX file is called what it is, and the way that is named leads into it.

Files are made by the programs and libraries of their formats where there are some here, and by
hand from the specifications otherwise.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vhdx_kaitai
from tests.images.image import Block, dynamic
from tests.images.sparse import Sparse, pattern
from tests.images.structures import MIB, TIB
from tests.reading_fixtures import contents
from tests.support import SHARED, SparseSource
from vhdx_kaitai.errors import FormatError
from vhdx_kaitai.format.descent import Descent
from vhdx_kaitai.format.judge import REFUSE
from vhdx_kaitai.format.others import Other, recognise
from vhdx_kaitai.storage.source import BufferSource, FileSource


def what(data: bytes) -> str | None:
    """What a file of these bytes is taken for."""
    other = recognise(BufferSource(data))
    return other.what if other is not None else None


IMAGE = dynamic(4 * MIB, blocks={1: Block()}).build()


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a VHDX file, which others have inside."""
    return IMAGE.write(tmp_path_factory.mktemp("inside") / "disk.vhdx").read_bytes()


# -- packed ---------------------------------------------------------------------------------------


def zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("disk.vhdx", data)
    return file.getvalue()


def tarred(form: int) -> Callable[[bytes], bytes]:
    def pack(data: bytes) -> bytes:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=form) as archive:
            entry = tarfile.TarInfo("disk.vhdx")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        return file.getvalue()

    return pack


def by(*command: str) -> Callable[[bytes], bytes]:
    """Pack with a program, which may not be there."""

    def pack(data: bytes) -> bytes:
        if shutil.which(command[0]) is None:
            pytest.skip(f"no {command[0]}")
        return subprocess.run(command, input=data, capture_output=True, check=True).stdout

    return pack


PACKED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("compressed with gzip", gzip.compress),
    "xz": ("compressed with xz", lzma.compress),
    "bzip2": ("compressed with bzip2", bz2.compress),
    "zip": ("a zip archive", zipped),
    "tar": ("a tar archive", tarred(tarfile.USTAR_FORMAT)),
    "tar of GNU": ("a tar archive", tarred(tarfile.GNU_FORMAT)),
    "zstd": ("compressed with zstd", by("zstd", "-c")),
    "lz4": ("compressed with LZ4", by("lz4", "-c")),
}


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("data", [b"", b"text", pattern(1, 0, MIB)], ids=["empty", "short", "long"])
def test_what_is_packed_is_named(name: str, data: bytes) -> None:
    expected, pack = PACKED[name]
    other = recognise(BufferSource(pack(data)))
    assert other is not None
    assert (other.what, other.is_raw) == (expected, False)


def command_of(other: Other) -> str:
    """The first command that is named as the way on."""
    found = re.match("`(.*?)`", other.way)
    assert found is not None
    return found[1]


def follow(other: Other, file: Path, folder: Path) -> Path:
    """Do what the way on says, and return what came of it."""
    command = command_of(other)
    program, _, rest = command.partition(" ")
    if program == "vhdx-kaitai":  # which need not be installed for the tests
        program = sys.executable
        command = f"{program} -m vhdx_kaitai {rest}"
    if shutil.which(program) is None:
        pytest.skip(f"no {program}")
    words = command.replace("FILE", str(file)).replace("OUT", "disk.vhdx")
    subprocess.run(words, shell=True, cwd=folder, check=True, capture_output=True)
    (result,) = folder.iterdir()
    return result


def named(path: Path) -> Other:
    source = FileSource(str(path))
    try:
        other = recognise(source)
    finally:
        source.close()
    assert other is not None
    return other


@pytest.mark.parametrize("name", PACKED)
def test_the_way_unpacks_what_has_the_name_of_an_image(
    name: str, inside: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "packed.vhdx"
    file.write_bytes(PACKED[name][1](inside))
    (tmp_path / "folder").mkdir()
    assert follow(named(file), file, tmp_path / "folder").read_bytes() == inside


def test_a_7z_archive_is_named_and_unpacked(inside: bytes, tmp_path: Path) -> None:
    if shutil.which("7z") is None:
        pytest.skip("no 7z")
    (tmp_path / "disk.vhdx").write_bytes(inside)
    words = ["7z", "a", "-t7z", "packed.7z", "disk.vhdx"]
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    file = (tmp_path / "packed.7z").rename(tmp_path / "packed.vhdx")
    assert named(file).what == "a 7z archive"
    (tmp_path / "folder").mkdir()
    assert follow(named(file), file, tmp_path / "folder").read_bytes() == inside


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (b"7z\xbc\xaf\x27\x1c\0\4", "a 7z archive"),
        (b"\x28\xb5\x2f\xfd\x04\x58", "compressed with zstd"),
        (b"\x04\x22\x4d\x18\x64\x40", "compressed with LZ4"),
        (b"PK\5\6" + bytes(18), "a zip archive"),
        (b"PK\7\x08PK\3\4", "a zip archive"),
    ],
)
def test_signatures_suffice(start: bytes, expected: str) -> None:
    assert what(start) == what(start + bytes(100)) == expected


# -- images of other kinds ------------------------------------------------------------------------

IMAGES = {
    "qcow2": ("a qcow2 image", ["qcow2"]),
    "qcow2 of old": ("a qcow2 image", ["qcow2", "-o", "compat=0.10"]),
    "qcow": ("a qcow image", ["qcow"]),
    "VMDK": ("a VMDK image", ["vmdk"]),
    "VMDK in two files": (
        "the descriptor of a VMDK image",
        ["vmdk", "-o", "subformat=twoGbMaxExtentFlat"],
    ),
    "VDI": ("a VDI image", ["vdi"]),
    "dynamic VHD": ("a dynamic VHD image", ["vpc", "-o", "subformat=dynamic,force_size=on"]),
    "fixed VHD": ("a fixed VHD image", ["vpc", "-o", "subformat=fixed,force_size=on"]),
}


@pytest.mark.parametrize("name", IMAGES)
def test_the_way_makes_a_vhdx_file_of_another_image(name: str, tmp_path: Path) -> None:
    if shutil.which("qemu-img") is None:
        pytest.skip("no qemu-img")
    expected, form = IMAGES[name]
    raw = tmp_path / "disk.raw"
    raw.write_bytes(contents(IMAGE.model))
    file = tmp_path / "image.vhdx"
    words = ["qemu-img", "convert", "-f", "raw", str(raw), "-O", *form, str(file)]
    subprocess.run(words, check=True, capture_output=True)
    other = named(file)
    assert (other.what, other.is_raw) == (expected, False)
    (tmp_path / "folder").mkdir()
    with vhdx_kaitai.open(follow(other, file, tmp_path / "folder")) as disk:
        assert disk.pread(disk.size, 0) == raw.read_bytes()


def vhd_footer(kind: int, *, length: int = 512) -> bytes:
    """A footer as the specification of VHD describes it; its checksum left out."""
    fields = (b"conectix", 2, 0x10000, 2**64 - 1, 0, b"win ", 0xA0000, b"Wi2k", MIB, MIB, 0, kind)
    return struct.pack(">8sIIQI4sI4sQQII", *fields).ljust(length, b"\0")


VHD_KINDS = {2: "a fixed VHD image", 3: "a dynamic VHD image", 4: "a differencing VHD image"}


@pytest.mark.parametrize("kind", [0, 2, 3, 4, 5])
@pytest.mark.parametrize("length", [511, 512])
def test_a_vhd_is_known_by_its_footer_and_by_the_copy_of_that(kind: int, length: int) -> None:
    expected = VHD_KINDS.get(kind, "a VHD image")
    assert what(pattern(1, 0, MIB) + vhd_footer(kind, length=length)) == expected
    assert what(vhd_footer(kind) + bytes(MIB)) == expected
    assert what(vhd_footer(kind)) == expected


def test_a_fixed_vhd_is_one_whatever_is_on_it() -> None:
    disk = mbr() + b"QFI\xfb\0\0\0\3" + bytes(MIB)
    assert what(disk + vhd_footer(2)) == "a fixed VHD image"
    assert what(gzip.compress(b"x").ljust(MIB) + vhd_footer(2)) == "a fixed VHD image"


def test_a_cookie_alone_makes_no_vhd() -> None:
    assert what(bytes(MIB) + b"conectix".ljust(512, b"\0")) is None
    assert what(bytes(MIB) + vhd_footer(2) + b"\0" * 512) is None


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"COWD\1\0\0\0" + bytes(508), "a VMDK image"),
        (b"# Disk DescriptorFile\nversion=1\n", "the descriptor of a VMDK image"),
        (b"<<< Some maker >>>\n".ljust(64, b"\0") + b"\x7f\x10\xda\xbe", "a VDI image"),
    ],
)
def test_images_are_known_by_what_their_makers_write(data: bytes, expected: str) -> None:
    assert what(data) == expected


# -- in the place of a file -----------------------------------------------------------------------

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    b"size 12345\n"
)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (POINTER, "a Git LFS pointer"),
        (b"<!DOCTYPE html>\n<html><body>Not found</body></html>", "a web page"),
        (b"\n  <html lang=en>", "a web page"),
        (b"\xef\xbb\xbf<!doctype HTML PUBLIC>", "a web page"),
        (b"<HTML>", "a web page"),
        (b'<?xml version="1.0"?><Error><Code>BlobNotFound</Code></Error>', "an XML document"),
        (b"", "empty"),
    ],
)
def test_what_came_in_the_place_of_a_file_is_named(data: bytes, expected: str) -> None:
    assert what(data) == expected


# -- disks as they are ----------------------------------------------------------------------------


def mbr(*types: int, at: int = 0) -> bytes:
    """A sector with a partition table, the types of its entries given."""
    entries = [
        bytes([0x80 if number == at else 0, 1, 1, 0, kind]) + bytes(11)
        for number, kind in enumerate(types or (7,))
    ]
    table = b"".join(entries)
    return pattern(2, 0, 446) + table.ljust(64, b"\0") + b"\x55\xaa"


def at(offset: int, mark: bytes, size: int = MIB) -> bytes:
    """A disk with a mark at an offset."""
    return bytes(offset) + mark + bytes(size - offset - len(mark))


DISKS = {
    "a GPT": [
        mbr(0xEE) + b"EFI PART".ljust(MIB, b"\0"),
        mbr(0xEE).ljust(4096, b"\0") + b"EFI PART".ljust(MIB, b"\0"),
        at(512, b"EFI PART"),
    ],
    "an MBR": [mbr(), mbr(0, 0, 0, 0x83), mbr(7, 0x82, 0x83, 5, at=2)],
    "an NTFS file system": [at(0, b"\xeb\x52\x90NTFS    "), at(3, b"NTFS    ")[:510] + b"\x55\xaa"],
    "an exFAT file system": [at(0, b"\xeb\x76\x90EXFAT   ")],
    "a FAT file system": [at(54, b"FAT12   "), at(54, b"FAT16   "), at(82, b"FAT32   ")],
    "an XFS file system": [at(0, b"XFSB")],
    "an ext2, ext3 or ext4 file system": [at(1024 + 56, struct.pack("<H", 0xEF53))],
    "a Btrfs file system": [at(0x10000 + 64, b"_BHRfS_M")],
}


@pytest.mark.parametrize("name", DISKS)
def test_a_raw_disk_is_named_by_what_is_on_it(name: str) -> None:
    for data in DISKS[name]:
        other = recognise(BufferSource(data))
        assert other is not None
        assert (other.what, other.is_raw) == (f"a raw disk image with {name}", True)


def test_the_way_makes_a_vhdx_file_of_a_raw_disk(tmp_path: Path) -> None:
    file = tmp_path / "disk.vhdx"
    file.write_bytes(mbr() + pattern(3, 0, MIB - 512))
    (tmp_path / "folder").mkdir()
    with vhdx_kaitai.open(follow(named(file), file, tmp_path / "folder")) as disk:
        assert disk.pread(disk.size, 0) == file.read_bytes()


def test_what_a_tool_made_is_an_ext4_file_system(tmp_path: Path) -> None:
    program = shutil.which("mkfs.ext4", path="/sbin:/usr/sbin:/bin:/usr/bin")
    if program is None:
        pytest.skip("no mkfs.ext4")
    file = tmp_path / "disk.raw"
    with file.open("wb") as target:
        target.truncate(8 * MIB)
    subprocess.run([program, "-q", str(file)], check=True)
    assert named(file).what == "a raw disk image with an ext2, ext3 or ext4 file system"


@pytest.mark.parametrize(
    "data",
    [
        bytes(MIB),
        pattern(4, 0, MIB),
        b"text" * MIB,
        b"vhdxfilf",
        bytes(446) + bytes(64) + b"\x55\xaa",  # no partition
        bytes(446) + b"\x01" + bytes(3) + b"\x07" + bytes(59) + b"\x55\xaa",  # no such flag
        b"BZh" + bytes(100),
        b"<xml-like>",
        b"PK",
        b"QFI\xfb\0\0\0\x09",
    ],
)
def test_what_is_not_known_gets_no_name(data: bytes) -> None:
    assert what(data) is None


# -- how it is told and what it costs -------------------------------------------------------------


def refused(data: bytes) -> FormatError:
    with pytest.raises(FormatError) as caught:
        assert Descent(BufferSource(data), REFUSE).identifier
    return caught.value


def test_opening_says_what_the_file_is() -> None:
    finding = refused(gzip.compress(b"x", mtime=0)).finding
    way = "`gunzip < FILE > OUT` or 7-Zip unpacks it"
    assert finding.message == f"not a VHDX file: it is compressed with gzip ({way})"
    assert (finding.rule, finding.level, finding.offset) == ("FTI-01", "error", 0)
    assert finding.expected == "vhdxfile"
    assert finding.actual == "1f 8b 08 00 00 00 00 00"


def test_opening_shows_the_signature_when_the_file_is_not_known() -> None:
    assert "signature 'vhdxfilf', expected 'vhdxfile'" in str(refused(b"vhdxfilf" + bytes(MIB)))


@given(st.binary(max_size=600) | st.sampled_from([d for some in DISKS.values() for d in some]))
def test_whatever_the_bytes_there_is_a_name_or_none(data: bytes) -> None:
    other = recognise(BufferSource(data))
    assert other is None or (other.what and other.way and "\n" not in str(other))


def test_little_is_read_of_a_large_file() -> None:
    file = Sparse()
    file.length = 64 * TIB
    source = SparseSource(file)
    assert recognise(source) is None
    assert source.bytes_read <= 67 << 10


def test_a_file_that_is_cut_meanwhile_has_no_name(tmp_path: Path) -> None:
    path = tmp_path / "cut"
    path.write_bytes(gzip.compress(pattern(1, 0, MIB)))
    source = FileSource(str(path))
    path.write_bytes(b"")
    try:
        assert recognise(source) is None
    finally:
        source.close()


# -- the inputs of the project --------------------------------------------------------------------

CASES = SHARED / "cases"
RIGHT_ANSWERS = {
    "other-7z.vhdx": "a 7z archive",
    "other-bzip2.vhdx": "compressed with bzip2",
    "other-empty.vhdx": "empty",
    "other-error-page.vhdx": "a web page",
    "other-fixed.vhd": "a fixed VHD image",
    "other-gzip.vhdx": "compressed with gzip",
    "other-lfs-pointer.vhdx": "a Git LFS pointer",
    "other-qcow2.vhdx": "a qcow2 image",
    "other-vmdk.vhdx": "a VMDK image",
    "other-xz.vhdx": "compressed with xz",
    "other-zip.vhdx": "a zip archive",
    "other-zstd.vhdx": "compressed with zstd",
}


@pytest.mark.parametrize("name", RIGHT_ANSWERS)
def test_inputs_that_got_no_helpful_answer_have_one(name: str) -> None:
    packed = CASES / f"{name}.xz"
    if not packed.is_file():
        pytest.skip("no ../shared/cases")
    assert what(lzma.decompress(packed.read_bytes())) == RIGHT_ANSWERS[name]
