"""Disks and images that were opened by paths or URLs are copied and pickled: opened again."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vhdx_kaitai
from tests.images.chain import chain
from tests.images.dirty import dirty
from tests.images.image import Block, dynamic
from tests.images.structures import MIB
from tests.parents_fixtures import WRONG, child, parent, put, tag_of
from tests.support import damaged, good
from tests.web import serving
from vhdx_kaitai.errors import ReplacedError
from vhdx_kaitai.format.judge import Assumable
from vhdx_kaitai.reading.image import Image

WAYS: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "pickle, first protocol": lambda value: pickle.loads(pickle.dumps(value, 0)),
}


def made(folder: Path) -> Path:
    return dirty(dynamic(4 * MIB, blocks={0: Block(), 2: Block()})).build().write(folder / "a.vhdx")


@pytest.mark.parametrize("way", WAYS)
def test_the_copy_of_a_disk_reads_the_same_and_is_closed_by_itself(
    way: str, tmp_path: Path
) -> None:
    with vhdx_kaitai.open(made(tmp_path)) as disk:
        with WAYS[way](disk) as other:
            assert type(other) is vhdx_kaitai.Disk
            assert other.pread(disk.size, 0) == disk.pread(disk.size, 0)
            assert other.image is not disk.image
            assert other.image.log_state == "dirty"
        assert disk.pread(512, 0)


@pytest.mark.parametrize("way", WAYS)
def test_the_copy_of_an_image_is_closed_by_itself(way: str, tmp_path: Path) -> None:
    with Image(made(tmp_path), replay="ignore") as image:
        with WAYS[way](image) as other:
            assert other.headers == image.headers
            assert other.log_state == image.log_state == "ignored"
        assert image.stored.read(0, 8) == b"vhdxfile"


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_has_the_parents_and_all_that_was_said_of_them(way: str, tmp_path: Path) -> None:
    three = chain(3).write(tmp_path)
    with vhdx_kaitai.open(three.path) as disk, WAYS[way](disk) as other:
        assert [image.path for image in other.chain] == [image.path for image in disk.chain]
        assert (other.links, other.unused) == (disk.links, disk.unused)
        assert other.pread(disk.size, 0) == disk.pread(disk.size, 0)


def test_a_copy_takes_the_same_for_granted(tmp_path: Path) -> None:
    put(parent(4, WRONG), tmp_path, "parent.vhdx")
    path = put(child(relative_path="parent.vhdx"), tmp_path, "child.vhdx")
    with (
        vhdx_kaitai.open(path, linkage="ignore", lost="zero") as disk,
        copy.copy(disk) as other,
    ):
        assert tag_of(other) == 4
        assert other.zeroes_lost
        assert other.assumed == disk.assumed != ()
    path.with_name("parent.vhdx").unlink()
    with (
        vhdx_kaitai.open(path, missing_parent="lost") as disk,
        pickle.loads(pickle.dumps(disk)) as other,
    ):
        assert other.missing is not None
        assert disk.missing is not None
        assert other.missing.finding == disk.missing.finding
        assert list(map(str, other.lost())) == list(map(str, disk.lost())) != []


def test_a_copy_of_a_rescued_image_is_rescued(tmp_path: Path) -> None:
    path = damaged("both-header-checksums-wrong").write(tmp_path / "a.vhdx")
    with Image(path, assumable=Assumable(headers=True)) as image, copy.copy(image) as other:
        assert other.assumed == image.assumed != ()


@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_is_another_one_by_now_is_not_opened_again(way: str, tmp_path: Path) -> None:
    path = made(tmp_path)
    with vhdx_kaitai.open(path) as disk:
        other = made(tmp_path / ".." / tmp_path.name)  # another one, with the same bytes
        os.utime(other, ns=(1, 1))
        for value in (disk, disk.image):
            with pytest.raises(ReplacedError) as caught:
                WAYS[way](value)
            assert caught.value.path == str(path)
        path.unlink()
        with pytest.raises(FileNotFoundError):
            WAYS[way](disk)


def test_a_parent_that_is_another_one_by_now_leaves_nothing_open(tmp_path: Path) -> None:
    three = chain(3).write(tmp_path)
    with vhdx_kaitai.open(three.path) as disk:
        os.utime(three.paths[0], ns=(1, 1))
        with pytest.raises(ReplacedError) as caught:
            copy.copy(disk)
        assert caught.value.path == str(three.paths[0])


def test_a_relative_path_is_found_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path)
    monkeypatch.chdir(tmp_path)
    with vhdx_kaitai.open("a.vhdx") as disk:
        stored = pickle.dumps(disk)
    monkeypatch.chdir("/")
    with pickle.loads(stored) as other:
        assert other.image.path == str(tmp_path / "a.vhdx")


def test_a_disk_at_a_url_is_opened_again() -> None:
    with serving() as web:
        url = web.put("a.vhdx", good("dynamic-plain").file)
        with vhdx_kaitai.open(f"{url}?sig=hidden") as disk:
            stored = pickle.dumps(disk)
            with copy.deepcopy(disk) as other:
                assert other.pread(512, 0) == disk.pread(512, 0)
        web.put("a.vhdx", good("dynamic-plain").file)
        with pytest.raises(ReplacedError):
            pickle.loads(stored)


_IN_ANOTHER_PROCESS = """\
import pickle, sys
with pickle.load(sys.stdin.buffer) as disk:
    sys.stdout.buffer.write(disk.pread(512, 0))
"""


def test_another_process_opens_it_again(tmp_path: Path) -> None:
    with vhdx_kaitai.open(made(tmp_path)) as disk:
        ended = subprocess.run(
            [sys.executable, "-c", _IN_ANOTHER_PROCESS],
            check=True,
            input=pickle.dumps(disk),
            stdout=subprocess.PIPE,
            cwd="/",
            timeout=60,
        )
        assert ended.stdout == disk.pread(512, 0)


@pytest.mark.parametrize("way", WAYS)
def test_what_has_no_path_is_neither_copied_nor_pickled(way: str, tmp_path: Path) -> None:
    path = made(tmp_path)
    with path.open("rb") as file:
        for source in (path.read_bytes(), file):
            with vhdx_kaitai.open(source) as disk:
                for value in (disk, disk.image):
                    with pytest.raises(TypeError, match=f"'{type(value).__name__}'.*open it again"):
                        WAYS[way](value)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_written_to_is_neither_copied_nor_pickled(way: str, tmp_path: Path) -> None:
    with vhdx_kaitai.open(made(tmp_path), writable=True) as disk:
        for value in (disk, disk.image, disk.open()):
            with pytest.raises(TypeError, match=f"'{type(value).__name__}'.*open it again"):
                WAYS[way](value)
