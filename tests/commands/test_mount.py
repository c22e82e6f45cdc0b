"""`mount`: the disk as a file, and through a loop device a file system on it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.conftest import Files, Run
from tests.images.image import Block, dynamic
from tests.images.structures import MIB
from tests.reading_fixtures import run_program
from tests.serving.clients import descendants, has_nbdkit, serving

pytestmark = pytest.mark.skipif(
    not (has_nbdkit() and shutil.which("nbdfuse") and os.access("/dev/fuse", os.W_OK)),
    reason="nbdkit, nbdfuse or /dev/fuse is not there",
)

needs_loop = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0 or not os.path.exists("/dev/loop-control"),
    reason="a loop device takes root and /dev/loop-control",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to mount a disk at."""
    (tmp_path / "file").mkdir()
    return tmp_path / "file"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A disk with something on it."""
    return dynamic(4 * MIB, blocks={0: Block(), 2: Block()}).build().write(tmp_path / "disk.vhdx")


@contextmanager
def loop_mounted(file: Path, place: Path, *options: str) -> Iterator[Path]:
    """Mount the file system in a file, or skip the test."""
    place.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-o", ",".join(("loop", *options)), file, place],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_disk_is_a_file_until_somebody_asks_for_the_end(
    number: signal.Signals, path: Path, folder: Path
) -> None:
    with vhdx_kaitai.open(path) as disk:
        expected = disk.pread(disk.size, 0)
    with serving("mount", path, folder) as server:
        assert (folder / "disk.img").read_bytes() == expected
        with pytest.raises(OSError, match=r"denied|Read-only"), open(folder / "disk.img", "r+b"):
            pass
        server.send_signal(number)
        assert server.wait(timeout=60) == 0
    assert list(folder.iterdir()) == []


def test_what_is_written_to_the_file_is_on_the_disk(path: Path, folder: Path) -> None:
    with serving("mount", path, folder, "--writable") as server:
        with open(folder / "disk.img", "r+b") as file:
            file.seek(MIB + 100)
            file.write(b"hello")
        server.terminate()
        assert server.wait(timeout=60) == 0
    with vhdx_kaitai.open(path) as disk:
        assert disk.image.log_state == "clean"
        assert disk.pread(5, MIB + 100) == b"hello"


def test_a_file_that_is_in_use_stays(path: Path, folder: Path) -> None:
    with serving("mount", path, folder) as server:
        with open(folder / "disk.img", "rb") as file:
            server.terminate()
            assert server.stderr is not None
            assert any("not ended: " in line for line in server.stderr)  # after what came first
            assert len(file.read(512)) == 512
        server.terminate()
        assert server.wait(timeout=60) == 0


def test_an_image_is_refused_as_everywhere(files: Files, folder: Path, run: Run) -> None:
    path = files.damaged("identifier-signature-wrong")
    done = run("mount", path, folder)
    assert done.status == 2
    assert done.err == run("read", path, "--length", 1).err


def test_a_folder_that_is_none_is_refused(path: Path, tmp_path: Path, run: Run) -> None:
    for place, why in ((tmp_path / "absent", "No such file"), (path, "Not a directory")):
        done = run("mount", path, place)
        assert done.status == 1
        assert why in done.err
        assert str(place) in done.err


# -- a file system on it --------------------------------------------------------------------------


def tree(folder: Path) -> dict[str, bytes]:
    """Make some files, and return what is in them."""
    files = {f"folder {n % 7}/file {n}": os.urandom(n * 977) for n in range(120)}
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return files


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def stored_blocks(path: Path) -> int:
    with vhdx_kaitai.open(path) as disk:
        return sum(extent.length for extent in disk.extents() if extent.kind == "data") // MIB


def checked_by_e2fsck(path: Path, raw: Path) -> None:
    """Show that nothing is wrong with the file system, by the raw image of the disk."""
    with vhdx_kaitai.open(path) as disk:
        raw.write_bytes(disk.pread(disk.size, 0))
    run_program("e2fsck", "-fn", raw)
    report = vhdx_kaitai.check(path)
    assert [str(f) for f in report.findings if f.level == "error"] == []


@needs_loop
@pytest.mark.slow
def test_a_file_system_is_made_filled_trimmed_and_in_order(tmp_path: Path, folder: Path) -> None:
    path = dynamic(64 * MIB).build().write(tmp_path / "disk.vhdx")
    with serving("mount", path, folder, "--writable") as server:
        run_program("mkfs.ext4", "-q", folder / "disk.img")
        with loop_mounted(folder / "disk.img", tmp_path / "tree") as place:
            files = tree(place)
            (place / "large").write_bytes(os.urandom(20 * MIB))
            os.sync()
            before = stored_blocks(path)
            (place / "large").unlink()
            os.sync()
            run_program("fstrim", place)
        server.terminate()
        assert server.wait(timeout=60) == 0
    assert stored_blocks(path) <= before - 15
    checked_by_e2fsck(path, tmp_path / "raw")
    with loop_mounted(tmp_path / "raw", tmp_path / "again", "ro") as place:
        assert files_in(place) == files


@needs_loop
@pytest.mark.slow
def test_files_that_were_flushed_are_there_after_nbdkit_was_killed(
    tmp_path: Path, folder: Path
) -> None:
    path = dynamic(64 * MIB).build().write(tmp_path / "disk.vhdx")
    with serving("mount", path, folder, "--writable") as server:
        run_program("mkfs.ext4", "-q", folder / "disk.img")
        with loop_mounted(folder / "disk.img", tmp_path / "tree") as place:
            files = tree(place)
            os.sync()
            with open(place / "half", "wb") as file:
                file.write(os.urandom(8 * MIB))
                [pid] = [pid for pid, name in descendants(server.pid) if name == "nbdkit"]
                os.kill(pid, signal.SIGKILL)
        server.terminate()
        assert server.wait(timeout=60) != 0
    assert list(folder.iterdir()) == []  # no mount of which the other end is gone
    report = vhdx_kaitai.check(path)
    assert [str(f) for f in report.findings if f.level == "error"] == []
    with vhdx_kaitai.open(path) as disk:
        (tmp_path / "raw").write_bytes(disk.pread(disk.size, 0))
    with loop_mounted(tmp_path / "raw", tmp_path / "again") as place:  # replays its journal
        found = files_in(place)
    assert {name: found[name] for name in files} == files
    run_program("e2fsck", "-fn", tmp_path / "raw")
