"""What a file is that does not begin as a VHDX file does, and the way to what is in it.

Files get a wrong name, stay packed, or are the page with which a server said no. The
marks by which they are recognised are those of the public specifications. Images come
first, then what has to be unpacked, then what stands in the place of a file. Partition
tables and file systems come last: their marks are short, and the bytes of a disk may be
anything.

A fixed VHD has no mark but the footer at its end. Nothing else is read but the first
66 KiB, and nothing here says that the file is in order.
"""

from __future__ import annotations

import contextlib
import re

from ..errors import TruncatedError
from ..records import NamedTuple
from ..storage.source import Source
from ..units import KIB


class Other(NamedTuple):
    """What a file is.

    Attributes:
        what: Completes "it is".
        way: How to get at what is in it; FILE and OUT are for the reader to fill in.
        is_raw: Whether its bytes are those of a disk.
    """

    what: str
    way: str
    is_raw: bool = False

    def __str__(self) -> str:
        return f"{self.what} ({self.way})"


def recognise(source: Source) -> Other | None:
    """Return what a file is that is no VHDX file; None when that is not known.

    Args:
        source: The file as it is stored.
    """
    if source.size == 0:
        return _NOTHING
    head = _bytes(source, 0, 66 * KIB)
    tail = _bytes(source, max(0, source.size - 512), 512)
    footer = _VHD.match(head) or _VHD.match(tail) or _VHD.match(tail, 1)
    if footer is not None:
        return _vhd(footer["type"])
    found = (other for offset, mark, other in _MARKS if re.compile(mark, _ANY).match(head, offset))
    return next(found, None)


def _bytes(source: Source, offset: int, length: int) -> bytes:
    """Return what the file has of a range; nothing when it is cut meanwhile."""
    with contextlib.suppress(TruncatedError):
        return source.read(offset, min(length, source.size - offset))
    return b""


def _converted(driver: str) -> str:
    return f"`qemu-img convert -f {driver} -O vhdx FILE OUT` makes a VHDX file of it"


_ANY = re.DOTALL

# A footer, or its copy at the start, begins with a cookie; 60 bytes later stands what it is of.
# Before 2004 footers were a byte shorter than the 512 that they take now.
_VHD = re.compile(rb"conectix.{4}\x00\x01\x00\x00.{44}\x00\x00\x00(?P<type>.)", _ANY)
_VHD_KINDS = {b"\2": "a fixed VHD image", b"\3": "a dynamic VHD image"}
_CONVERT_VHD = "`Convert-VHD -Path FILE -DestinationPath OUT` of Hyper-V"


def _vhd(kind: bytes) -> Other:
    if kind == b"\4":  # QEMU does not read its parents
        way = f"{_CONVERT_VHD} makes a VHDX file of it and its parents"
        return Other("a differencing VHD image", way)
    way = f"{_converted('vpc')}, as does {_CONVERT_VHD}"
    return Other(_VHD_KINDS.get(kind, "a VHD image"), way)


def _image(what: str, driver: str) -> Other:
    return Other(what, _converted(driver))


def _packed(what: str, by: str) -> Other:
    return Other(what, f"{by} unpacks it")


def _disk(what: str) -> Other:
    way = "`vhdx-kaitai convert FILE OUT -O vhdx` makes a VHDX file of it"
    return Other(f"a raw disk image with {what}", way, is_raw=True)


_DESCRIPTOR = Other(
    "the descriptor of a VMDK image",
    "`qemu-img convert -f vmdk -O vhdx FILE OUT` makes a VHDX file of the files that it names",
)
_POINTER = Other("a Git LFS pointer", "`git lfs pull` in its repository fetches the file itself")
_PAGE = Other("a web page", "a server sent it in the place of the file; read it, and try again")
_XML = Other("an XML document", "a server may have sent it in the place of the file; read it")
_NOTHING = Other("empty", "nothing was written to it, or nothing was kept", is_raw=True)

# File offset, what stands there, and what the file is then; the first that fits counts.
_MARKS: tuple[tuple[int, bytes, Other], ...] = (
    (0, rb"QFI\xfb\x00\x00\x00[\x02\x03]", _image("a qcow2 image", "qcow2")),
    (0, rb"QFI\xfb\x00\x00\x00\x01", _image("a qcow image", "qcow")),
    (0, rb"KDMV|COWD", _image("a VMDK image", "vmdk")),
    (0, rb"# Disk DescriptorFile", _DESCRIPTOR),
    (64, rb"\x7f\x10\xda\xbe", _image("a VDI image", "vdi")),
    # packed; a shell may call the file what it likes
    (0, rb"\x1f\x8b\x08", _packed("compressed with gzip", "`gunzip < FILE > OUT` or 7-Zip")),
    (0, rb"\xfd7zXZ\x00", _packed("compressed with xz", "`xz -dc < FILE > OUT` or 7-Zip")),
    (0, rb"BZh[1-9]", _packed("compressed with bzip2", "`bzip2 -dc < FILE > OUT` or 7-Zip")),
    (0, rb"\x28\xb5\x2f\xfd", _packed("compressed with zstd", "`zstd -dc < FILE > OUT`")),
    (0, rb"\x04\x22\x4d\x18", _packed("compressed with LZ4", "`lz4 -dc < FILE > OUT`")),
    (0, rb"PK(\x03\x04|\x05\x06|\x07\x08)", _packed("a zip archive", "`unzip FILE` or 7-Zip")),
    (0, rb"7z\xbc\xaf\x27\x1c", _packed("a 7z archive", "`7z x FILE`")),
    (257, rb"ustar(\x00|  \x00)", _packed("a tar archive", "`tar -xf FILE` or 7-Zip")),
    # in the place of a file
    (0, rb"version https://git-lfs\.github\.com/spec/v", _POINTER),
    (0, rb"(\xef\xbb\xbf)?\s*<(?i:!doctype\s+html|html)[\s>]", _PAGE),
    (0, rb"(\xef\xbb\xbf)?\s*<\?xml\s", _XML),
    # disks
    (512, rb"EFI PART", _disk("a GPT")),
    (4096, rb"EFI PART", _disk("a GPT")),
    (3, rb"NTFS    ", _disk("an NTFS file system")),
    (3, rb"EXFAT   ", _disk("an exFAT file system")),
    (54, rb"FAT1[26]   ", _disk("a FAT file system")),
    (82, rb"FAT32   ", _disk("a FAT file system")),
    (0, rb"XFSB", _disk("an XFS file system")),
    (1080, rb"\x53\xef", _disk("an ext2, ext3 or ext4 file system")),
    (0x10040, rb"_BHRfS_M", _disk("a Btrfs file system")),
    # Four entries, each with a flag and, four bytes later, a type; one of them is in use.
    (446, rb"(?=(.{16}){0,3}.{4}[^\x00])([\x00\x80].{15}){4}\x55\xaa", _disk("an MBR")),
)
