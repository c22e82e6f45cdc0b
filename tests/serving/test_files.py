"""Whatever a stranger put into a file system, each thing in it is listed, read, or told."""

from __future__ import annotations

import os
import re
import struct
from contextlib import suppress
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.images.structures import MIB
from tests.serving.making import blank, image_of, make_ext, patch, tool
from tests.support import ROOT
from vhdx_kaitai.errors import UnsupportedError, VhdxError
from vhdx_kaitai.reading.volumes import Volume
from vhdx_kaitai.serving import files, window
from vhdx_kaitai.serving.dissected import LIBRARIES
from vhdx_kaitai.serving.files import Files

pytest.importorskip("dissect.extfs")

PLAIN = make_ext("ext4", "-O", "^metadata_csum,^has_journal", "-b", "1024", size=4 * MIB)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A raw disk with a small ext4: files, a folder, links."""
    tree = tmp_path / "tree"
    (tree / "folder" / "below").mkdir(parents=True)
    (tree / "folder" / "below" / "file").write_bytes(b"deep")
    (tree / "name-one").write_bytes(b"1")
    (tree / "name-two").write_bytes(b"2")
    (tree / "link").symlink_to("folder/below/../below/file")
    (tree / "whole").symlink_to("/folder/below")
    (tree / "circle").symlink_to("circle")
    return PLAIN(tmp_path / "disk.raw", tree)


class Opened:
    """The files of a raw disk, and what is told about them."""

    def __init__(self, raw: Path, kind: str = "ext", *, go_on: bool = False) -> None:
        self.told: list[tuple[str, str]] = []
        self.disk = vhdx_kaitai.open(image_of(raw).read_bytes())  # nothing to be closed
        whole = Volume(0, self.disk.size)
        self.files = Files(self.disk, whole, kind, self.tell, go_on=go_on)

    def tell(self, path: str, why: str) -> None:
        self.told.append((path, why))

    def paths(self, path: str = "/", *, recursive: bool = True) -> list[str]:
        found = self.files.entries(self.files.find(path), recursive=recursive)
        return [entry.path for entry in found]

    def read(self, path: str) -> bytes:
        entry = next(self.files.entries(self.files.find(path)))
        return b"".join(data for _, data in entry.pieces())


def debugfs(raw: Path, *commands: str) -> None:
    for command in commands:
        tool("debugfs", "-w", "-R", command, raw)


# -- paths ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "folder/below/file",
        "/folder//below/./file",
        "../../folder/below/../below/file",
        "link",
        "whole/file",
        "folder/../link",
    ],
)
def test_a_path_is_followed_inside_the_file_system(path: str, raw: Path) -> None:
    assert Opened(raw).read(path) == b"deep"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("nothing", "/nothing: there is no such file"),
        ("folder/nothing", "/folder/nothing: there is no such file"),
        ("FOLDER", "/FOLDER: there is no such file"),
        ("name-one/x", "/name-one: is no folder"),
        ("circle", "/circle: is a link to 'circle', not followed here"),
        ("folder", "/folder: is a folder, whose files `ls` lists"),
    ],
)
def test_a_path_that_leads_nowhere_says_where_it_ended(path: str, why: str, raw: Path) -> None:
    with pytest.raises(UnsupportedError, match=re.escape(why)):
        Opened(raw).read(path)


def test_a_folder_comes_before_what_is_in_it_and_all_by_name(raw: Path) -> None:
    below = ["below", "below/file"]
    assert Opened(raw).paths("folder") == ["", *below]
    assert Opened(raw).paths() == [
        *("", "circle", "folder", *(f"folder/{path}" for path in below)),
        *("link", "lost+found", "name-one", "name-two", "whole"),
    ]
    assert Opened(raw).paths(recursive=False) == [
        *("", "circle", "folder", "link", "lost+found", "name-one", "name-two", "whole")
    ]


# -- hostile names, links and loops ---------------------------------------------------------------


@pytest.mark.parametrize("name", [b"../xxxxx", b"a/b/c/d\0", b"/absolut", b"nul\0nul\0"])
def test_a_name_that_no_file_has_is_left_out_and_told(name: bytes, raw: Path) -> None:
    patch(raw, b"name-two", name)
    opened = Opened(raw)
    assert "name-one" in opened.paths()
    assert not any(part in path for path in opened.paths() for part in ("..", "a/b", "\0"))
    assert [path for path, why in opened.told[:1] if "is called" in why] == ["/"]


def test_names_of_other_bytes_than_utf8_are_names(raw: Path) -> None:
    name = b"\xff\xfe\x1b[2J\n!"
    patch(raw, b"name-two", name)
    opened = Opened(raw)
    assert [os.fsencode(path) for path in opened.paths() if "[2J" in path] == [name]
    assert opened.told == []


@pytest.mark.parametrize("inode", ["<2>", "folder", "folder/below"])
def test_a_folder_in_itself_is_looked_into_once(inode: str, raw: Path) -> None:
    debugfs(raw, f"link {inode} folder/below/again")
    opened = Opened(raw)
    paths = opened.paths()
    assert len(paths) == len(set(paths)) == 11
    assert [why for _, why in opened.told if "somewhere else, too" in why]


def test_folders_in_two_places_each_are_looked_into_once_each(raw: Path) -> None:
    """Or their number would double with each level."""
    debugfs(raw, "mkdir d0")
    for level in range(40):
        debugfs(
            raw,
            f"mkdir d{level + 1}",
            f"link d{level + 1} d{level}/a",
            f"link d{level + 1} d{level}/b",
        )
    opened = Opened(raw)
    assert len(opened.paths()) < 250
    assert len(opened.told) >= 40


@pytest.mark.slow
def test_a_tree_that_is_too_deep_is_looked_into_only_so_far(tmp_path: Path) -> None:
    deep = tmp_path / "tree"
    path = deep
    for _ in range(600):
        path /= "d"
    path.mkdir(parents=True)
    opened = Opened(PLAIN(tmp_path / "disk.raw", deep))
    assert len(opened.paths("/d")) == 513
    assert ["too deep" in why for _, why in opened.told] == [True]


def test_a_folder_with_too_many_names_is_an_error(
    raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_MOST_NAMES", 5)
    assert Opened(raw).paths("/folder")[-1] == "below/file"
    with pytest.raises(UnsupportedError, match="/: has more than 5 names"):
        Opened(raw).paths()


def test_after_a_step_that_took_too_long_none_is_tried(
    raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, library = Opened(raw, go_on=True), LIBRARIES["ext"]

    def busy(*_arguments: object) -> None:
        while True:
            pass

    with monkeypatch.context() as changed:
        changed.setattr(window, "_MOST_SECONDS", 0.1)
        changed.setattr(library, "stored", busy)
        with pytest.raises(UnsupportedError, match="/name-one: it leads in circles"):
            opened.read("name-one")
    with pytest.raises(UnsupportedError, match="/: is not looked at any more, /name-one took"):
        opened.read("name-two")


def test_the_page_about_files_has_the_limits() -> None:
    page = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
    assert f"more than {files._MOST_DEPTH}\n  folders deep" in page
    assert f"more than {files._MOST_NAMES} names" in page


# -- damage ---------------------------------------------------------------------------------------


def inode_at(raw: Path, path: str) -> int:
    """The place of an inode on a raw disk, as debugfs says."""
    told = tool("debugfs", "-R", f"imap {path}", raw)
    found = re.search(r"block (\d+), offset (0x[0-9a-f]+)", told)
    assert found is not None
    return int(found[1]) * 1024 + int(found[2], 16)


def put(raw: Path, at: int, data: bytes) -> None:
    with raw.open("r+b") as file:
        file.seek(at)
        file.write(data)


EXTENTS = struct.Struct("<HHHHI")
INDEX = struct.Struct("<IIHH")


def index(depth: int, *blocks: int) -> bytes:
    """A node of a tree of extents."""
    head = EXTENTS.pack(0xF30A, len(blocks), 4, depth, 0)
    return head + b"".join(
        INDEX.pack(number << 20, block, 0, 0) for number, block in enumerate(blocks)
    )


@pytest.mark.parametrize("name", ["name-one", "folder"])
def test_extents_that_lead_in_circles_come_to_an_end(name: str, raw: Path) -> None:
    at, block = inode_at(raw, name), 3000
    put(raw, at + 0x28, index(5, block).ljust(60, b"\0"))
    put(raw, at + 4, struct.pack("<I", 1 << 30))
    put(raw, block * 1024, index(5, block, block, block, block))
    opened = Opened(raw, go_on=True)
    assert "name-two" in opened.paths()
    with pytest.raises(VhdxError, match=f"/{name}: "):
        opened.read(name)


@pytest.mark.parametrize(
    ("field", "data"),
    [
        (0x28, b"\xff" * 60),  # extents
        (0x28, bytes(60)),
        (4, b"\xff" * 4),  # the size
        (0x6C, b"\xff" * 4),  # its other half
        (0, b"\xff" * 2),  # type and mode
        (0, bytes(2)),
        (0x20, b"\xff" * 4),  # flags
    ],
)
def test_a_damaged_inode_is_no_more_than_an_error_about_the_file(
    field: int, data: bytes, raw: Path
) -> None:
    put(raw, inode_at(raw, "folder/below/file") + field, data)
    opened = Opened(raw, go_on=True)
    assert "name-two" in opened.paths()
    with suppress(VhdxError):  # not all of it is noticed
        opened.read("folder/below/file")
    assert all(path.startswith("/folder/below") for path, _ in opened.told)


def test_what_a_library_only_warns_of_is_told(raw: Path) -> None:
    """An entry of a folder that has no length, after which it sees no others."""
    block = int(tool("debugfs", "-R", "bmap folder 0", raw))
    put(raw, block * 1024 + 12 + 4, bytes(2))
    opened = Opened(raw)
    assert "folder/below" not in opened.paths()
    assert [path for path, why in opened.told if "is damaged" in why] == ["/folder"]


@pytest.mark.parametrize("bits", [12, 16, 32])
def test_clusters_of_fat_that_lead_in_circles_are_refused(bits: int, tmp_path: Path) -> None:
    pytest.importorskip("dissect.fat")
    raw = blank(tmp_path / "disk.raw", {12: 4, 16: 24, 32: 64}[bits] * MIB)
    tool("mkfs.vfat", "-F", bits, raw)
    (tmp_path / "file").write_bytes(bytes(range(250)) * 1000)
    tool("mcopy", "-i", raw, tmp_path / "file", "::file")
    tool("mmd", "-i", raw, "::folder")
    data = bytearray(raw.read_bytes())
    (sector,) = struct.unpack_from("<H", data, 14)
    fat = sector * 512
    first = 3 if bits == 32 else 2
    # The first two clusters of the file lead to each other.
    if bits == 12:
        data[fat + 3 : fat + 6] = bytes.fromhex("032000")
    else:
        width = bits // 8
        for number, following in ((first, first + 1), (first + 1, first)):
            at = fat + number * width
            data[at : at + width] = following.to_bytes(width, "little")
    raw.write_bytes(data)
    opened = Opened(raw, "FAT", go_on=True)
    assert sorted(opened.paths()) == ["", "file", "folder"]
    with pytest.raises(UnsupportedError, match="/file: its clusters lead in circles"):
        opened.read("file")


def test_more_than_a_file_system_could_hold_is_not_read(raw: Path) -> None:
    """Extents that all have the same blocks."""
    at = inode_at(raw, "name-one")
    head = EXTENTS.pack(0xF30A, 4, 4, 0, 0)
    extents = b"".join(struct.pack("<IHHI", n << 15, 1 << 15, 0, 0x200) for n in range(4))
    put(raw, at + 0x28, head + extents)
    put(raw, at + 4, struct.pack("<I", 1 << 27))
    opened = Opened(raw)
    with pytest.raises(VhdxError, match="/name-one: "):
        opened.read("name-one")


@pytest.mark.parametrize("kind", LIBRARIES)
@pytest.mark.parametrize("fill", [b"\0", b"\xff"])
def test_what_is_no_file_system_is_one_error(kind: str, fill: bytes, tmp_path: Path) -> None:
    raw = tmp_path / "disk.raw"
    raw.write_bytes(fill * MIB)
    with pytest.raises(VhdxError, match=f"{kind} at 0"):
        Opened(raw, kind)
