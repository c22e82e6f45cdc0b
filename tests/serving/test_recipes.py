"""The recipes of docs/serving.md are run, and what they make is what the disk holds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.images.chain import Chain, chain
from tests.images.image import dynamic
from tests.images.partitioned import LINUX, mbr
from tests.images.structures import MIB
from tests.reading_fixtures import assert_same, few_runs, qemu_img, run_program
from tests.serving.clients import needs_nbdkit
from tests.support import ROOT

pytestmark = [needs_nbdkit, pytest.mark.slow]

PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^### (.*?)\n.*?^```\w+\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))

_PROGRAMS = ("qemu-img", "qemu-io", "nbdcopy", "mkfs.ext4", "losetup", "fusermount3")


def cook(name: str, folder: Path) -> None:
    """Run a recipe in a folder, or skip the test where it takes what is not there."""
    text = RECIPES[name]
    for program in _PROGRAMS:
        if program in text and shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    if "mount " in text:
        is_root = hasattr(os, "geteuid") and os.geteuid() == 0
        if not is_root or not os.path.exists("/dev/loop-control") or not shutil.which("nbdfuse"):
            pytest.skip("a loop mount takes root, /dev/loop-control and nbdfuse")
    scripts = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-e", "-m", "-c", text],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if "failed to setup loop device" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr


def raw_of(image: Path) -> bytes:
    """Return what qemu-img reads of an image of another format."""
    raw = image.with_name(f"{image.name}.raw")
    qemu_img("convert", "-O", "raw", image, raw)
    return raw.read_bytes()


@pytest.fixture
def made(tmp_path: Path) -> Chain:
    """A child, and its parent beside it."""
    names = ["base.vhdx", "disk.vhdx"]
    made = chain(2, base=dynamic(12 * MIB + 512), blocks=few_runs, names=names)
    return made.write(tmp_path)


def contents(made: Chain) -> bytes:
    return made.model.read(0, made.model.size)


@pytest.mark.parametrize(("name", "image"), [("To qcow2", "disk.qcow2"), ("To VMDK", "disk.vmdk")])
def test_another_format_holds_the_same_disk(name: str, image: str, made: Chain) -> None:
    assert made.folder is not None
    cook(name, made.folder)
    found = raw_of(made.folder / image)
    assert_same(found[: made.model.size], contents(made))
    assert found[made.model.size :].count(0) == len(found) - made.model.size < 1 * MIB


def test_azure_gets_whole_mibs(made: Chain) -> None:
    """And the footer of VHD, which says how many."""
    assert made.folder is not None
    cook("To VHD for Azure", made.folder)
    found = (made.folder / "disk.vhd").read_bytes()
    disk, footer = found[:-512], found[-512:]
    assert footer[:8] == b"conectix"
    assert int.from_bytes(footer[48:56], "big") == len(disk) == 13 * MIB
    assert int.from_bytes(footer[60:64], "big") == 2  # a fixed disk
    assert_same(disk, contents(made).ljust(13 * MIB, b"\0"))


def test_an_overlay_takes_what_is_written(made: Chain) -> None:
    assert made.folder is not None
    before = made.path.read_bytes()
    cook("A qcow2 overlay", made.folder)
    expected = bytearray(contents(made))
    expected[MIB : MIB + (64 << 10)] = b"\7" * (64 << 10)
    assert_same((made.folder / "overlay.raw").read_bytes()[: len(expected)], bytes(expected))
    assert made.path.read_bytes() == before


def test_a_filter_rounds_the_disk(made: Chain) -> None:
    assert made.folder is not None
    cook("Other filters", made.folder)
    found = (made.folder / "rounded.raw").read_bytes()
    assert_same(found, contents(made).ljust(13 * MIB, b"\0"))


def test_a_vhdx_gets_what_is_in_a_qcow2(tmp_path: Path) -> None:
    """The recipe makes an empty one first; here it is another one with something in it."""
    data = os.urandom(3 * MIB).ljust(128 * MIB, b"\0")
    (tmp_path / "raw").write_bytes(data)
    qemu_img("convert", "-f", "raw", "-O", "qcow2", tmp_path / "raw", tmp_path / "kept.qcow2")
    lines = RECIPES["From qcow2"].splitlines(keepends=True)
    assert lines[0].startswith("qemu-img create ")
    RECIPES["with contents"] = "".join(["mv kept.qcow2 disk.qcow2\n", *lines[1:]])
    cook("with contents", tmp_path)
    with vhdx_kaitai.open(tmp_path / "new.vhdx") as disk:
        assert_same(disk.pread(disk.size, 0), data)
        assert sum(extent.length for extent in disk.extents() if extent.kind == "data") < 64 * MIB


def test_the_second_partition_is_copied(tmp_path: Path) -> None:
    path = dynamic(4 * MIB).build().write(tmp_path / "parts.vhdx")
    with vhdx_kaitai.open(path, writable=True) as disk:
        disk.pwrite(mbr((LINUX, 2048, 2048), (LINUX, 4096, 1024)), 0)
        disk.pwrite(b"second", 4096 * 512)
    cook("One partition", tmp_path)
    assert (tmp_path / "second.raw").read_bytes() == b"second".ljust(1024 * 512, b"\0")


def with_ext4(tmp_path: Path) -> None:
    """Make an image of a disk with a file system and a file on it."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "hello.txt").write_text("hello")
    raw = tmp_path / "ext4.raw"
    with raw.open("wb") as file:
        file.truncate(16 * MIB)
    run_program("mkfs.ext4", "-q", "-d", tmp_path / "source", raw)
    vhdx_kaitai.convert(raw, tmp_path / "ext4.vhdx", raw=True)
    raw.unlink()


def test_a_file_is_copied_from_a_loop_mount(tmp_path: Path) -> None:
    with_ext4(tmp_path)
    before = (tmp_path / "ext4.vhdx").read_bytes()
    cook("Loop mount", tmp_path)
    assert (tmp_path / "hello.txt").read_text() == "hello"
    assert (tmp_path / "ext4.vhdx").read_bytes() == before


def test_a_new_file_system_gives_back_what_it_has_free(tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_text("hello")
    cook("A new file system", tmp_path)
    report = vhdx_kaitai.check(tmp_path / "new.vhdx")
    assert report.verdict == "clean"
    with vhdx_kaitai.open(tmp_path / "new.vhdx") as disk:
        (tmp_path / "raw").write_bytes(disk.pread(disk.size, 0))
        assert sum(extent.length for extent in disk.extents() if extent.kind == "data") < 16 * MIB
    run_program("e2fsck", "-fn", tmp_path / "raw")
    listed = run_program("debugfs", "-R", "cat /hello.txt", tmp_path / "raw")
    assert listed == b"hello"


def test_every_recipe_is_run_but_guestfish() -> None:
    run: set[str] = set(
        re.findall(r'(?:cook\(|\(|RECIPES\[)"([A-Z][^"]+)"', Path(__file__).read_text())
    )
    assert RECIPES.keys() - {"with contents"} - run == {"guestfish"}
    assert "```text" in PAGE.partition("### guestfish")[2].partition("###")[0]
