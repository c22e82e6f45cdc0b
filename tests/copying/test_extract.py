"""What a file system has becomes files of this one, and what cannot is told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.images.structures import MIB
from tests.support import files_in, silent
from vhdx_kaitai.copying.extract import Extracted, contents, extract_file, extract_tree
from vhdx_kaitai.errors import UnsupportedError
from vhdx_kaitai.reading.entries import Entry, Kind, Status


def pieces(*parts: tuple[int, bytes]) -> Iterator[tuple[int, bytes]]:
    yield from parts


def entry(
    path: str, kind: Kind = "file", data: bytes = b"", target: str | None = None, **fields: Any
) -> Entry:
    size = len(data) if kind == "file" else 0
    status = Status(kind, size, 0o644, 10**18, path, target=target)._replace(**fields)
    return Entry(path, status, partial(pieces, *([(0, data)] if data else [])))


TOP = entry("", "folder")


class Told(list[tuple[str, str]]):
    """What is told, in order."""

    def __call__(self, path: str, why: str) -> None:
        self.append((path, why))


def extract(out: Path, *entries: Entry, **options: bool) -> tuple[Extracted, Told]:
    told = Told()
    return extract_tree([TOP, *entries], str(out), told, silent, **options), told


def test_a_tree_is_counted(tmp_path: Path) -> None:
    made, told = extract(
        tmp_path / "out",
        *(entry("a", "folder"), entry("a/x", data=b"12345"), entry("a/y", data=b"12")),
        *(entry("l", "link", target="a/x"), entry("m", "link", target="nothing")),
    )
    assert made == Extracted(files=2, folders=1, links=2, size=7)
    assert told == []
    assert (tmp_path / "out/l").read_bytes() == b"12345"


def test_devices_pipes_and_sockets_are_told_and_not_made(tmp_path: Path) -> None:
    kinds: list[Kind] = ["device", "pipe", "socket"]
    made, told = extract(tmp_path / "out", *(entry(kind, kind) for kind in kinds))
    assert made == Extracted(special=3)
    assert told == [(kind, f"is a {kind}, which is left out") for kind in kinds]
    assert files_in(tmp_path / "out") == set()


def test_contents_of_an_unknown_kind_are_missing(tmp_path: Path) -> None:
    made, told = extract(tmp_path / "out", entry("a", "other"))
    assert (made.missing, [path for path, _ in told]) == (1, ["a"])


@pytest.mark.parametrize("target", ["/etc/passwd", "..", "../out2", "a/../../x", ""])
def test_links_that_lead_out_are_left_out(target: str, tmp_path: Path) -> None:
    made, told = extract(tmp_path / "out", entry("a", "folder"), entry("l", "link", target=target))
    assert (made.links, made.missing) == (0, 1)
    assert told == [("l", f"it leads to {target!r}, out of the folder, so it is left out")]
    assert files_in(tmp_path / "out") == {"a"}


def test_links_that_lead_out_are_made_on_request_as_they_stand(tmp_path: Path) -> None:
    made, told = extract(tmp_path / "out", entry("l", "link", target="/etc/passwd"), all_links=True)
    assert (made.links, told) == (1, [])
    assert os.readlink(tmp_path / "out/l") == "/etc/passwd"


@pytest.mark.parametrize("all_links", [False, True])
def test_nothing_is_written_through_a_link_that_comes_first(
    all_links: bool, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    made, told = extract(
        tmp_path / "out",
        *(entry("l", "link", target="../elsewhere"), entry("l", "folder")),
        *(entry("l/file", data=b"x"), entry("m", "link", target="a"), entry("m", data=b"x")),
        entry("a", data=b"a"),
        all_links=all_links,
    )
    assert files_in(tmp_path / "elsewhere") == set()
    assert (tmp_path / "out/a").read_bytes() == b"a"
    assert (tmp_path / "out/l/file").read_bytes() == b"x"
    assert not (tmp_path / "out/m").is_symlink()
    assert made.missing == len(told) == 2


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x", "x\0y", "b/x"])
def test_a_path_out_of_the_folder_is_no_path(path: str, tmp_path: Path) -> None:
    made, told = extract(
        tmp_path / "out", entry("a", "folder"), entry(path, data=b"x"), entry(path, "folder")
    )
    assert (made.files, made.missing) == (0, 2)
    assert [name for name, _ in told] == [path, path]
    assert files_in(tmp_path) == {"out"}


def test_two_files_of_one_name_become_the_first(tmp_path: Path) -> None:
    made, told = extract(tmp_path / "out", entry("a", data=b"1"), entry("a", data=b"2"))
    assert (made.files, made.missing, len(told)) == (1, 1, 1)
    assert (tmp_path / "out/a").read_bytes() == b"1"


def test_a_file_with_several_names_is_written_once(tmp_path: Path) -> None:
    several: dict[str, Any] = {"identity": 7, "names": 3}
    made, told = extract(
        tmp_path / "out",
        *(entry(name, data=b"12345", **several) for name in ("a", "b", "c")),
        entry("d", data=b"12345", identity=8, names=2),
    )
    assert made == Extracted(files=4, size=10)
    assert told == []
    assert (tmp_path / "out/a").stat().st_nlink == 3
    assert (tmp_path / "out/c").read_bytes() == b"12345"


def test_what_cannot_be_read_stops_it_or_is_left_out(tmp_path: Path) -> None:
    def broken() -> Iterator[tuple[int, bytes]]:
        yield 0, b"half"
        raise UnsupportedError("is broken")

    bad = entry("bad", data=b"half of it")._replace(pieces=broken)
    with pytest.raises(UnsupportedError, match="is broken"):
        extract(tmp_path / "one", entry("a", data=b"1"), bad)
    assert files_in(tmp_path / "one") == {"a"}
    made, told = extract(tmp_path / "two", bad, entry("a", data=b"1"), go_on=True)
    assert (made.files, made.missing) == (1, 1)
    assert told == [("bad", "is broken, so it is left out")]
    assert files_in(tmp_path / "two") == {"a"}


def test_a_size_that_no_file_has_is_told(tmp_path: Path) -> None:
    made, told = extract(tmp_path / "out", entry("a", size=2**64), entry("b", size=2**62))
    assert (made.files, made.missing, len(told)) == (0, 2, 2)
    assert files_in(tmp_path / "out") == set()


def test_holes_stay_holes(tmp_path: Path) -> None:
    size = 8 * MIB + 5
    sparse = entry("a", size=size)._replace(
        pieces=partial(pieces, (4 * MIB, bytes(8192) + b"x" + bytes(8192)))
    )
    done: list[int] = []
    extract_tree([TOP, sparse], str(tmp_path / "out"), Told(), done.append)
    found = tmp_path / "out" / "a"
    assert found.read_bytes() == bytes(4 * MIB + 8192) + b"x" + bytes(size - 4 * MIB - 8193)
    assert found.stat().st_blocks * 512 <= 64 << 10
    assert done == [4 * MIB + 16385]
    assert b"".join(contents(sparse)) == found.read_bytes()


def test_one_file_is_written_whole_with_time_and_mode(tmp_path: Path) -> None:
    out = tmp_path / "out"
    extract_file(entry("a", data=b"1", mode=0o755), str(out), silent, replace=False)
    assert (out.read_bytes(), out.stat().st_mtime_ns, out.stat().st_mode & 0o700) == (
        *(b"1", 10**18, 0o700),
    )
    out.chmod(0o600)
    extract_file(entry("a", data=b"2", mode=0o755), str(out), silent, replace=True)
    assert (out.read_bytes(), out.stat().st_mode & 0o777) == (b"2", 0o600)
