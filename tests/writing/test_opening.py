"""The door: what may be said when a disk is opened to be read, and when to be written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.images.chain import chain
from tests.support import damaged, good
from vhdx_kaitai.errors import FormatError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return good("dynamic-plain").write(tmp_path / "a.vhdx")


def test_a_disk_is_only_read_unless_it_is_said_otherwise(path: Path) -> None:
    with vhdx_kaitai.open(path) as disk:
        assert not isinstance(disk, vhdx_kaitai.WritableDisk)
        assert not hasattr(disk, "pwrite")
    with vhdx_kaitai.open(str(path), writable=True) as writable:
        assert isinstance(writable, vhdx_kaitai.WritableDisk)


def test_who_reads_loads_no_writer(path: Path) -> None:
    script = (
        "import sys, vhdx_kaitai\n"
        f"vhdx_kaitai.open({str(path)!r}).close()\n"
        "print([name for name in sys.modules if 'writing.disk' in name or 'target' in name])\n"
    )
    told = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    assert told.stdout == b"[]\n"


@pytest.mark.parametrize(
    "option", [{"lost": "zero"}, {"replay": "ignore"}, {"missing_parent": "zero"}, {"no": 1}]
)
def test_nothing_is_assumed_of_a_disk_that_is_written(path: Path, option: dict[str, str]) -> None:
    with pytest.raises(TypeError, match="unexpected keyword"):
        vhdx_kaitai.open(path, writable=True, **option)  # type: ignore[call-overload]
    vhdx_kaitai.open(path, writable=True).close()  # nothing was left open


def test_only_files_are_written(path: Path) -> None:
    with path.open("r+b") as file:
        for source in (path.read_bytes(), file):
            with pytest.raises(TypeError):
                vhdx_kaitai.open(source, writable=True)  # type: ignore[call-overload]


def test_what_cannot_be_read_cannot_be_written(tmp_path: Path) -> None:
    path = damaged("log-file-truncated").write(tmp_path / "a.vhdx")
    before = path.read_bytes()
    with pytest.raises(FormatError) as raised:
        vhdx_kaitai.open(path, writable=True)
    assert raised.value.path == str(path)
    assert path.read_bytes() == before


def test_a_file_that_may_not_be_written_is_not_opened(path: Path) -> None:
    with pytest.raises(OSError, match="nothing"):
        vhdx_kaitai.open(path.with_name("nothing"), writable=True)
    with pytest.raises(OSError, match="directory"):
        vhdx_kaitai.open(path.parent, writable=True)


def test_parents_are_found_as_for_reading_and_all_have_to_be_there(tmp_path: Path) -> None:
    made = chain(2).write(tmp_path / "one")
    away = tmp_path / "other"
    away.mkdir()
    parent = made.paths[0].rename(away / "renamed.vhdx")
    with pytest.raises(vhdx_kaitai.ParentNotFoundError):
        vhdx_kaitai.open(made.path, writable=True)
    for options in ({"parent": parent}, {"search": str(away)}):
        with vhdx_kaitai.open(made.path, writable=True, **options) as disk:
            assert len(disk.chain) == 2
            assert disk.pread(disk.size, 0) == made.model.read(0, disk.size)
            assert disk.unused == ()
    with vhdx_kaitai.open(parent, writable=True, search=str(away)) as disk:
        assert disk.unused == ("no parent is looked for: the image has none",)


def test_a_link_is_written_through(path: Path) -> None:
    link = path.with_name("link.vhdx")
    link.symlink_to(path)
    with vhdx_kaitai.open(link, writable=True) as disk:
        disk.pwrite(b"abcd", 0)
    assert link.is_symlink()
    with vhdx_kaitai.open(path) as disk:
        assert disk.pread(4, 0) == b"abcd"
