"""What holds an open file is neither copied nor pickled: the copy would close that file, too.

Disks and images by paths are: the copy opens them again.
"""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vhdx_kaitai
from tests.images.dirty import dirty
from tests.images.image import dynamic
from tests.images.structures import MIB
from vhdx_kaitai.reading.disk import Disk

HANDED_OUT: dict[str, Callable[[Disk], Any]] = {
    "a file object": lambda disk: disk.open(),
    "a file object with a buffer": lambda disk: io.BufferedReader(disk.open()),
    "extents": lambda disk: disk.extents(),
    "the file": lambda disk: disk.image.stored,
    "the file after replay": lambda disk: disk.image.source,
    "the BAT": lambda disk: disk.image.bat,
    "the log": lambda disk: disk.image.log,
}
COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "deepcopy of a list": lambda value: copy.deepcopy([value]),
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "pickle, first protocol": lambda value: pickle.dumps(value, 0),
}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("what", HANDED_OUT)
def test_what_holds_an_open_file_is_not_copied(what: str, way: str, tmp_path: Path) -> None:
    path = dirty(dynamic(MIB)).build().write(tmp_path / "a.vhdx")
    with vhdx_kaitai.open(path) as disk:
        value = HANDED_OUT[what](disk)
        with pytest.raises(TypeError, match=r"(?i)cannot (copy|pickle)"):
            COPIES[way](value)
        assert disk.image.stored.read(0, 8) == b"vhdxfile"


@pytest.mark.parametrize("what", ["a file object", "the file"])
def test_whoever_wanted_a_copy_is_told_what_to_do(what: str, tmp_path: Path) -> None:
    path = dynamic(MIB).build().write(tmp_path / "a.vhdx")
    with vhdx_kaitai.open(path) as disk:
        value = HANDED_OUT[what](disk)
        with pytest.raises(TypeError, match=f"'{type(value).__name__}'.*: open it again"):
            copy.copy(value)


def test_what_an_image_says_can_be_copied(tmp_path: Path) -> None:
    path = dynamic(MIB).build().write(tmp_path / "a.vhdx")
    with vhdx_kaitai.open(path) as disk:
        for value in (disk.image.geometry, disk.image.metadata, *disk.extents()):
            assert pickle.loads(pickle.dumps(value)) == copy.deepcopy(value) == value
