"""What gets out of a disk by command: `convert`, `read`, `compare`, `map` and `chain`."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pty
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import vhdx_kaitai
from tests.conftest import Files, Outcome, Run
from tests.images.chain import GOOD_CHAINS, Chain, chain, child_of
from tests.images.damage import DAMAGES
from tests.images.dirty import dirty
from tests.images.goods import GOODS
from tests.images.image import Block, Built, Image, Layout, differencing, dynamic, fixed, partial
from tests.images.model import Model
from tests.images.sparse import Pattern, Sparse, pattern
from tests.images.structures import (
    FULLY_PRESENT,
    GIB,
    KIB,
    MIB,
    NOT_PRESENT,
    PARTIALLY_PRESENT,
    TIB,
    UNDEFINED,
    UNMAPPED,
    ZERO,
)
from tests.reading_fixtures import (
    Row,
    allocated,
    assert_same,
    contents,
    disk_extents,
    few_runs,
    good_chain,
    measured_memory,
    model_extents,
    needs_proc,
    open_descriptors,
    opened,
    opened_chain,
    qemu_img,
    run_program,
)
from tests.support import assert_valid, damaged, good
from vhdx_kaitai.copying import convert
from vhdx_kaitai.errors import FormatError
from vhdx_kaitai.reading import bulk
from vhdx_kaitai.reading.disk import Disk
from vhdx_kaitai.storage import target

COMPLETE = [name for name in GOODS if good(name).model.parent or not good(name).image.has_parent]
SMALL = [name for name in COMPLETE if good(name).model.size <= 64 * MIB]
LARGE = ["dynamic-past-one-chunk", "fixed-past-one-chunk"]
UNREADABLE = [
    name
    for name, case in DAMAGES.items()
    if case.refusal == "read" and case.base != "differencing" and case.main_rule.startswith("BAT")
]


def launch(*arguments: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "vhdx_kaitai", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, timeout=60, **options)


def assert_failed(outcome: Outcome, status: int, *parts: str) -> None:
    """Show that a command ended with a status and one line that says why."""
    assert outcome.status == status
    assert outcome.err.count("\n") == 1
    assert outcome.err.startswith("vhdx-kaitai: ")
    for part in parts:
        assert part in outcome.err


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def silent(_done: int) -> None:
    """Hear how far it is, and say nothing."""


# -- convert: contents --------------------------------------------------------------------------


@pytest.fixture(params=["written", "copied by the kernel"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the kernel copy, as it does on file systems that share blocks; or not, as on others."""
    monkeypatch.setattr(target.OutFile, "can_share", lambda *_: request.param != "written")
    return str(request.param)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", SMALL)
def test_a_raw_image_holds_what_the_model_says(
    name: str, files: Files, tmp_path: Path, run: Run
) -> None:
    assert run("convert", files.good(name), tmp_path / "out.raw") == (0, "", "")
    assert_same((tmp_path / "out.raw").read_bytes(), contents(good(name).model))
    assert files_in(tmp_path) == {"out.raw"}


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", GOOD_CHAINS)
def test_a_chain_is_converted_as_one_disk(name: str, tmp_path: Path, run: Run) -> None:
    made = good_chain(name).write(tmp_path)
    assert run("convert", made.path, tmp_path / "out.raw") == (0, "", "")
    assert_same((tmp_path / "out.raw").read_bytes(), contents(made.model))


@pytest.mark.parametrize("name", LARGE)
def test_a_large_disk_becomes_a_raw_image_that_takes_no_more_room(
    name: str, files: Files, tmp_path: Path, run: Run
) -> None:
    model = good(name).model
    out = tmp_path / "out.raw"
    assert run("convert", files.good(name), out) == (0, "", "")
    assert out.stat().st_size == model.size
    with out.open("rb") as file:
        for number in range(model.geometry.payload_blocks):
            start = number * model.block_size
            for at in (start, start + model.block_size // 2 - 8 * KIB, start + 256 * MIB - 9 * KIB):
                file.seek(at)
                assert_same(file.read(9 * KIB), model.read(at, 9 * KIB), at)
    assert allocated(out) <= allocated(files.good(name))


# -- convert: room ------------------------------------------------------------------------------


def test_what_is_not_stored_becomes_holes(tmp_path: Path, run: Run) -> None:
    """Zeros by state, by the parent's end, and by holes of the image file."""
    base = dynamic(40 * MIB, blocks={3: Block(), 5: Block(data=b"one page")}).build()
    states = {10: Block(ZERO), 11: Block(UNMAPPED), 12: Block(UNDEFINED), 13: Block()}
    image = child_of(base, "base.vhdx", blocks=states).but(virtual_disk_size=80 * MIB)
    base.write(tmp_path / "base.vhdx")
    path = image.build().write(tmp_path / "child.vhdx")
    assert run("convert", path, tmp_path / "out.raw").status == 0
    assert_same((tmp_path / "out.raw").read_bytes(), contents(image.build().model))
    assert 2 * MIB <= allocated(tmp_path / "out.raw") <= 2 * MIB + 64 * KIB


def zeros_in_blocks() -> Built:
    """Return a disk of 16 MiB in stored blocks: zeros, but for some pages that are never holes."""
    data: dict[int, Any] = {at: pattern(3, at, 4096) for at in (4096, 64 * KIB, 900 * KIB)}
    blocks = {
        number: Block(data=Sparse(MIB, {0: bytes(MIB)} | (data if number % 4 == 0 else {})))
        for number in range(16)
    }
    return dynamic(16 * MIB, blocks=blocks).build()


@pytest.mark.usefixtures("way")
def test_zeros_that_are_stored_become_holes(tmp_path: Path, run: Run) -> None:
    built = zeros_in_blocks()
    path = built.write(tmp_path / "zeros.vhdx")
    assert allocated(path) > 16 * MIB
    assert run("convert", path, tmp_path / "out.raw").status == 0
    assert_same((tmp_path / "out.raw").read_bytes(), contents(built.model))
    assert 12 * 4096 <= allocated(tmp_path / "out.raw") <= 12 * 4096 + 64 * KIB


def patchwork(pages: dict[int, Any]) -> Built:
    """Return a disk of 4 MiB, stored throughout, that is zeros but for some pages."""
    block = Block(data=Sparse(4 * MIB, {0: bytes(4 * MIB)} | pages))
    return dynamic(4 * MIB, block_size=4 * MIB, blocks={0: block}).build()


@pytest.mark.parametrize("name", ["zeros", "half", "patchwork"])
def test_a_raw_image_takes_hardly_more_room_than_qemu_gives_it(
    name: str, tmp_path: Path, run: Run
) -> None:
    chance = random.Random(4)
    pages: dict[int, Any] = {
        page * 4096: pattern(1, page * 4096, 4096)
        for page in range(1, 1024)
        if chance.random() < 0.5
    }
    built: Built = {
        "zeros": lambda: zeros_in_blocks(),
        "half": lambda: dynamic(16 * MIB, blocks={n: Block() for n in range(0, 16, 2)}).build(),
        "patchwork": lambda: dynamic(
            4 * MIB,
            block_size=4 * MIB,
            blocks={0: Block(data=Sparse(4 * MIB, {0: bytes(4 * MIB)} | pages))},
        ).build(),
    }[name]()
    path = built.write(tmp_path / "image.vhdx")
    qemu_img("convert", "-O", "raw", path, tmp_path / "qemu.raw")
    assert run("convert", path, tmp_path / "out.raw").status == 0
    assert (tmp_path / "out.raw").read_bytes() == (tmp_path / "qemu.raw").read_bytes()
    assert allocated(tmp_path / "out.raw") <= 1.1 * allocated(tmp_path / "qemu.raw") + 8192


@pytest.mark.parametrize("size", [512, 4096, 4608, MIB - 512, 300 * KIB + 1536])
@pytest.mark.parametrize("what", ["data", "zeros", "data in the last sector"])
def test_the_last_page_of_a_disk_need_not_be_whole(
    size: int, what: str, tmp_path: Path, run: Run
) -> None:
    block = Sparse(MIB, {0: Pattern(1, 0, size) if what == "data" else bytes(size)})
    if what == "data in the last sector":
        block.put(size - 512, b"\x01" * 512)
    block.put(size, b"\xff" * (MIB - size))  # behind the end of the disk
    built = dynamic(size, blocks={0: Block(data=block)}).build()
    path = built.write(tmp_path / "image.vhdx")
    assert run("convert", path, tmp_path / "out.raw").status == 0
    assert_same((tmp_path / "out.raw").read_bytes(), contents(built.model))


def test_converting_takes_little_memory(tmp_path: Path) -> None:
    built = dynamic(64 * MIB, block_size=32 * MIB, others=Block()).build()
    path = built.write(tmp_path / "image.vhdx")
    with vhdx_kaitai.open(path) as disk, measured_memory() as peak:
        convert.convert(disk, str(tmp_path / "out.raw"), 0, disk.size, silent)
    assert peak.bytes <= 3 * MIB


# -- convert: file systems that share blocks ----------------------------------------------------


@pytest.fixture
def sharing_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system whose files may have blocks in common."""
    for program in ("mkfs.xfs", "mount", "umount"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    image, folder = tmp_path / "xfs", tmp_path / "mounted"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(512 * MIB)
    run_program("mkfs.xfs", "-q", "-m", "reflink=1", image)
    mounted = subprocess.run(
        ["mount", "-o", "loop", image, folder], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        run_program("umount", folder)


def room_taken(folder: Path) -> int:
    os.sync()
    system = os.statvfs(folder)
    return (system.f_blocks - system.f_bfree) * system.f_frsize


@pytest.mark.parametrize("is_dirty", [False, True])
def test_where_files_share_blocks_a_copy_takes_no_room(
    is_dirty: bool, sharing_folder: Path
) -> None:
    """That is, what is data. Zeros do not even share, and a dirty log does not get in the way."""
    zeros = Sparse(4 * MIB, {0: bytes(MIB), MIB: pattern(1, 0, 3 * MIB)})
    blocks = {number: Block() for number in range(15)} | {15: Block(data=zeros)}
    image = dynamic(64 * MIB, block_size=4 * MIB, blocks=blocks)
    built = dirty(image).build() if is_dirty else image.build()
    path = built.write(sharing_folder / "image.vhdx")
    before = room_taken(sharing_folder)
    out = sharing_folder / "out.raw"
    with vhdx_kaitai.open(path) as disk:
        convert.convert(disk, str(out), 0, disk.size, silent)
    assert_same(out.read_bytes(), contents(built.model))
    assert room_taken(sharing_folder) - before < MIB
    assert 63 * MIB <= allocated(out) < 64 * MIB


def test_a_parent_on_another_file_system_is_copied(sharing_folder: Path, tmp_path: Path) -> None:
    made = good_chain("three-levels")
    (tmp_path / "parents").mkdir()
    parents = made.write(tmp_path / "parents").path.parent
    child = sharing_folder / "child.vhdx"
    shutil.copyfile(made.path, child)
    out = sharing_folder / "out.raw"
    with vhdx_kaitai.open(child, search=[parents]) as disk:
        convert.convert(disk, str(out), 0, disk.size, silent)
    assert_same(out.read_bytes(), contents(made.model))


def test_what_cannot_be_shared_in_the_end_is_written(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel may stop anywhere, with an error or without."""
    copy, calls = os.copy_file_range, iter(range(10**6))

    def limp(source: int, target: int, count: int, start: int, at: int) -> int:
        turn = next(calls) % 4
        if turn == 0:
            raise OSError(errno.EXDEV, "not there")
        return 0 if turn == 1 else copy(source, target, min(count, 4096 * turn), start, at)

    monkeypatch.setattr(target.OutFile, "can_share", lambda *_: True)
    monkeypatch.setattr(os, "copy_file_range", limp)
    out = tmp_path / "out.raw"
    with vhdx_kaitai.open(files.good("fixed-plain")) as disk:
        convert.convert(disk, str(out), 0, disk.size, silent)
    assert_same(out.read_bytes(), contents(good("fixed-plain").model))


def test_a_kernel_that_shares_nothing_is_not_asked_for_ever(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says 0 where a file was cut, and would go on to say so."""
    calls = iter(range(1000))

    def nothing(*_: object) -> int:
        assert next(calls) < 100
        return 0

    monkeypatch.setattr(target.OutFile, "can_share", lambda *_: True)
    monkeypatch.setattr(os, "copy_file_range", nothing)
    out = tmp_path / "out.raw"
    with vhdx_kaitai.open(files.good("fixed-plain")) as disk:
        convert.convert(disk, str(out), 0, disk.size, silent)
    assert_same(out.read_bytes(), contents(good("fixed-plain").model))


@pytest.mark.parametrize("most", [1000, 4096, 100_000])
def test_a_system_that_writes_less_than_it_is_told_is_told_again(
    most: int, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: write(fd, data[:most], at))
    out = tmp_path / "out.raw"
    with vhdx_kaitai.open(files.good("fixed-plain")) as disk:
        convert.convert(disk, str(out), 0, disk.size, silent)
    assert_same(out.read_bytes(), contents(good("fixed-plain").model))


def test_a_raw_image_is_whole_when_it_appears_whichever_thread_is_last(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The helper dwells on its first piece until the caller has done all the others."""
    write, has_begun = os.pwrite, threading.Event()

    def dwell(fd: int, data: Any, at: int) -> int:
        if threading.current_thread() is threading.main_thread():
            assert has_begun.wait(30)
        elif not has_begun.is_set():
            has_begun.set()
            time.sleep(0.3)
        return write(fd, data, at)

    monkeypatch.setattr(os, "pwrite", dwell)
    out = tmp_path / "out.raw"
    with vhdx_kaitai.open(files.good("fixed-plain")) as disk:
        convert.convert(disk, str(out), 0, disk.size, silent)
        assert_same(out.read_bytes(), contents(good("fixed-plain").model))


def test_an_interruption_leaves_no_thread_that_still_writes(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its descriptor may be that of another file by then."""
    write = os.pwrite
    helpers: list[threading.Thread] = []

    class Helper(threading.Thread):
        def join(self, timeout: float | None = None) -> None:
            if not helpers:
                helpers.append(self)
                raise KeyboardInterrupt
            super().join(timeout)

    def dwell(fd: int, data: Any, at: int) -> int:
        if threading.current_thread() is not threading.main_thread():
            time.sleep(0.3)
        return write(fd, data, at)

    monkeypatch.setattr(threading, "Thread", Helper)
    monkeypatch.setattr(os, "pwrite", dwell)
    with vhdx_kaitai.open(files.good("fixed-plain")) as disk, pytest.raises(KeyboardInterrupt):
        convert.convert(disk, str(tmp_path / "out.raw"), 0, disk.size, silent)
    assert not helpers[0].is_alive()
    assert files_in(tmp_path) == set()


# -- convert: files -----------------------------------------------------------------------------


class Interruption(BaseException):
    """Something that nobody expects, and that is no error."""


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Interruption(), OSError(errno.ENOSPC, "x")])
@pytest.mark.parametrize("existing", [False, True])
def test_an_interrupted_run_leaves_no_file_of_its_own(
    existing: bool, error: BaseException, files: Files, tmp_path: Path
) -> None:
    out = tmp_path / "out.raw"
    if existing:
        out.write_bytes(b"before")

    def interrupt(done: int) -> None:
        if done > MIB:
            raise error

    with vhdx_kaitai.open(files.good("fixed-plain")) as disk, pytest.raises(type(error)):
        convert.convert(disk, str(out), 0, disk.size, interrupt)
    assert files_in(tmp_path) == ({"out.raw"} if existing else set())
    assert not existing or out.read_bytes() == b"before"


def test_control_c_ends_a_conversion_with_its_own_status(
    files: Files, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "pwrite", interrupt)
    outcome = run("convert", files.good("fixed-plain"), tmp_path / "out.raw")
    assert outcome == (130, "", "")
    assert files_in(tmp_path) == set()


def test_a_full_file_system_is_a_failure_that_leaves_nothing(
    files: Files, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", fill)
    outcome = run("convert", files.good("fixed-plain"), tmp_path / "out.raw")
    assert_failed(outcome, 1, "No space left")
    assert files_in(tmp_path) == set()


def test_a_killed_run_leaves_nothing_under_the_final_name(files: Files, tmp_path: Path) -> None:
    """It cannot clean up any more, but nobody will take what it leaves for the whole."""
    out = tmp_path / "out.raw"
    program = (
        "import os, sys\n"
        "from vhdx_kaitai.commands import main\n"
        "write = os.pwrite\n"
        "def last(fd, data, at):\n"
        "    write(fd, data, at)\n"
        "    os.kill(os.getpid(), 9)\n"
        "os.pwrite = last\n"
        "main.main(sys.argv[1:])\n"
    )
    arguments = ["convert", str(files.good("fixed-plain")), str(out)]
    done = subprocess.run([sys.executable, "-c", program, *arguments], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not out.exists()


def test_an_existing_file_is_not_replaced_unless_told(
    files: Files, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "out.raw"
    out.write_bytes(b"precious")
    outcome = run("convert", files.good("odd-sectors"), out)
    assert_failed(outcome, 1, str(out), "--force")
    assert out.read_bytes() == b"precious"
    assert run("convert", "--force", files.good("odd-sectors"), out) == (0, "", "")
    assert_same(out.read_bytes(), contents(good("odd-sectors").model))
    assert files_in(tmp_path) == {"out.raw"}


def test_a_range_does_not_replace_a_file_unless_told(
    files: Files, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "out.raw"
    out.write_bytes(b"precious")
    command = ("read", files.good("odd-sectors"), "--length", "1K", "-o", out)
    assert_failed(run(*command), 1, str(out), "--force")
    assert out.read_bytes() == b"precious"
    assert run(*command, "--force") == (0, "", "")
    assert_same(out.read_bytes(), contents(good("odd-sectors").model)[:KIB])


def test_an_error_names_the_file_that_was_asked_for(files: Files, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "nowhere" / "out.raw"
    assert_failed(run("convert", files.good("odd-sectors"), out), 1, f"vhdx-kaitai: {out}: ")


def test_the_longest_name_may_be_converted_to(files: Files, tmp_path: Path, run: Run) -> None:
    out = tmp_path / ("x" * 255)
    assert run("convert", files.good("odd-sectors"), out) == (0, "", "")
    assert files_in(tmp_path) == {out.name}


@pytest.mark.parametrize("turn", range(4))
def test_damage_ends_a_conversion_whichever_thread_meets_it(
    turn: int, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vhdx_kaitai.open(files.good("fixed-plain")) as disk:
        read, calls = disk.readinto_at, iter(range(1000))

        def fail(buffer: Any, offset: int) -> int:
            if next(calls) == turn:
                raise vhdx_kaitai.VhdxError("no more")
            return read(buffer, offset)

        monkeypatch.setattr(disk, "readinto_at", fail)
        with pytest.raises(vhdx_kaitai.VhdxError, match="no more"):
            convert.convert(disk, str(tmp_path / "out.raw"), 0, disk.size, silent)
    assert files_in(tmp_path) == set()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("words", [["convert"], ["read", "-o"], ["metadump"]], ids=" ".join)
def test_a_run_that_is_told_to_end_leaves_nothing(
    words: list[str], end: signal.Signals, files: Files, tmp_path: Path
) -> None:
    program = (
        "import os, sys\n"
        "from vhdx_kaitai.commands import main\n"
        "write = os.pwrite\n"
        "def last(fd, data, at):\n"
        f"    os.kill(os.getpid(), {end})\n"
        "    return write(fd, data, at)\n"
        "os.pwrite = last\n"
        "sys.exit(main.main(sys.argv[1:]))\n"
    )
    image, out = str(files.good("fixed-plain")), str(tmp_path / "out.raw")
    arguments = [*words, out, image] if "-o" in words else [*words, image, out]
    done = subprocess.run([sys.executable, "-c", program, *arguments], check=False, timeout=60)
    assert done.returncode == 128 + end
    assert files_in(tmp_path) == set()


def test_a_run_that_outlives_its_terminal_goes_on(files: Files, tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from vhdx_kaitai.commands import main\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "write = os.pwrite\n"
        "def last(fd, data, at):\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "    return write(fd, data, at)\n"
        "os.pwrite = last\n"
        "sys.exit(main.main(sys.argv[1:]))\n"
    )
    out = tmp_path / "out.raw"
    arguments = ["convert", str(files.good("fixed-plain")), str(out)]
    subprocess.run([sys.executable, "-c", program, *arguments], check=True, timeout=60)
    assert_same(out.read_bytes(), contents(good("fixed-plain").model))


@pytest.mark.parametrize("choice", ["auto", "never"])
def test_a_bar_on_a_terminal_has_colours_unless_they_are_forbidden(
    choice: str, files: Files, tmp_path: Path
) -> None:
    master, slave = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    program = ["-m", "vhdx_kaitai", "convert", "--color", choice]
    subprocess.run(
        [sys.executable, *program, str(files.good("fixed-plain")), str(tmp_path / "out.raw")],
        env=environment | {"TERM": "xterm-256color"},
        stderr=slave,
        check=True,
        timeout=60,
    )
    os.close(slave)
    shown = os.read(master, 1 << 16)
    os.close(master)
    assert b"MiB" in shown
    assert (re.search(rb"\x1b\[[0-9;]*38;", shown) is not None) == (choice == "auto")


def test_an_empty_name_is_no_standard_output(files: Files, run: Run) -> None:
    for words in (["read", files.good("odd-sectors"), "-o", ""], ["ksy", "-o", ""]):
        outcome = run(*words)
        assert_failed(outcome, 1, "No such file")


def test_a_link_to_nowhere_is_not_replaced_unless_told(
    files: Files, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "out.raw").symlink_to("nowhere")
    assert_failed(run("convert", files.good("odd-sectors"), tmp_path / "out.raw"), 1, "--force")
    assert (tmp_path / "out.raw").is_symlink()
    assert files_in(tmp_path) == {"out.raw"}


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("name", UNREADABLE)
def test_a_damaged_image_becomes_no_raw_image(
    name: str, force: bool, files: Files, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "out.raw"
    options = []
    if force:
        out.write_bytes(b"before")
        options = ["--force"]
    outcome = run("convert", files.damaged(name), out, *options)
    assert_failed(outcome, 2, DAMAGES[name].main_rule[:4])
    assert files_in(tmp_path) == ({"out.raw"} if force else set())
    assert not force or out.read_bytes() == b"before"


def test_an_image_that_is_cut_while_it_is_converted_becomes_no_raw_image(tmp_path: Path) -> None:
    """What is not in the file any more is no hole in it."""
    built = dynamic(8 * MIB, blocks={n: Block() for n in range(8)}).build()
    path = built.write(tmp_path / "image.vhdx")
    with vhdx_kaitai.open(path) as disk:
        os.truncate(path, built.layout.payload[4])
        with pytest.raises(vhdx_kaitai.TruncatedError):
            convert.convert(disk, str(tmp_path / "out.raw"), 0, disk.size, silent)
    assert files_in(tmp_path) == {"image.vhdx"}


def test_an_image_is_not_replaced_by_its_own_contents(tmp_path: Path, run: Run) -> None:
    """Nor is one of its parents."""
    made = chain(2, blocks=few_runs).write(tmp_path)
    before = [path.read_bytes() for path in made.paths]
    for path in made.paths:
        assert run("convert", "--force", made.path, path).status == 1
        assert [path.read_bytes() for path in made.paths] == before


@pytest.mark.parametrize("options", [[], ["--force"]])
@pytest.mark.parametrize("target", ["folder", "folder/none/out.raw", "pipe", "/dev/full"])
def test_what_cannot_be_a_raw_image_is_refused(
    target: str, options: list[str], files: Files, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    out = tmp_path / target
    outcome = run("convert", *options, files.good("odd-sectors"), out)
    assert_failed(outcome, 1, str(out))
    assert files_in(tmp_path) == {"folder", "pipe"}
    assert files_in(tmp_path / "folder") == set()


def test_the_parent_has_to_be_there(tmp_path: Path, run: Run) -> None:
    made = chain(2, blocks=few_runs).write(tmp_path)
    (tmp_path / "base.vhdx").rename(tmp_path / "other.vhdx")
    outcome = run("convert", made.path, tmp_path / "out.raw")
    assert_failed(outcome, 1, "base.vhdx: no such file", "--parent", "--search")
    outcome = run("convert", "--no-parent", made.path, tmp_path / "out.raw")
    assert_failed(outcome, 1, "parent")
    assert files_in(tmp_path) == {"other.vhdx", "child1.vhdx"}
    outcome = run("convert", made.path, tmp_path / "out.raw", "--parent", tmp_path / "other.vhdx")
    assert outcome == (0, "", "")
    assert_same((tmp_path / "out.raw").read_bytes(), contents(made.model))


def test_progress_grows_to_the_size_of_the_disk(files: Files, tmp_path: Path) -> None:
    heard: list[int] = []
    with vhdx_kaitai.open(files.good("dynamic-plain")) as disk:
        convert.convert(disk, str(tmp_path / "out.raw"), 0, disk.size, heard.append)
        assert heard == sorted(heard)
        assert heard[-1] == disk.size


@pytest.mark.parametrize("offset", [0, MIB + 512])
def test_progress_of_a_stream_stays_inside_its_range(offset: int, files: Files) -> None:
    whole, written, told = contents(good("fixed-plain").model), bytearray(), [0]
    length = len(whole) - MIB - 512

    def hear(done: int) -> None:
        assert told[-1] <= done <= len(written)
        told.append(done)

    with vhdx_kaitai.open(files.good("fixed-plain")) as disk:
        convert.write_stream(disk, written.extend, offset, length, hear)
    assert_same(written, whole[offset : offset + length])
    assert len(told) > 2
    assert told[-1] == length


@pytest.mark.parametrize(("mask", "mode"), [(0, 0o666), (0o022, 0o644), (0o027, 0o640)])
def test_a_raw_image_may_be_read_by_whom_the_user_lets(
    mask: int, mode: int, files: Files, tmp_path: Path
) -> None:
    before = os.umask(mask)
    try:
        with vhdx_kaitai.open(files.good("odd-sectors")) as disk:
            convert.convert(disk, str(tmp_path / "out.raw"), 0, disk.size, silent)
    finally:
        os.umask(before)
    assert (tmp_path / "out.raw").stat().st_mode & 0o777 == mode


@needs_proc
def test_commands_close_what_they_open(files: Files, tmp_path: Path, run: Run) -> None:
    path, raw = files.good("dynamic-plain"), tmp_path / "out.raw"
    before = open_descriptors()
    run("convert", path, raw)
    run("convert", files.damaged("bat-state-4"), tmp_path / "none")
    run("compare", path, raw)
    run("compare", path, tmp_path / "none")
    run("map", path)
    run("chain", path)
    assert open_descriptors() == before


# -- read ---------------------------------------------------------------------------------------


def test_a_disk_is_written_to_standard_output(files: Files) -> None:
    done = launch("read", files.good("odd-sectors"))
    assert (done.returncode, done.stderr) == (0, b"")
    assert_same(done.stdout, contents(good("odd-sectors").model))


RANGES = [
    (["--offset", "1M", "--length", "64K"], MIB, 64 * KIB),
    (["--offset", "1m", "--length", "1k"], MIB, KIB),
    (["--offset", "0x100200", "--length", "0x201"], MIB + 512, 513),
    (["--offset", "3M"], 3 * MIB, 512),
    (["--length", "777"], 0, 777),
    (["--offset", "3145728", "--length", "1T"], 3 * MIB, 512),
    (["--offset", "3146240"], 3 * MIB + 512, 0),
    (["--length", "0"], 0, 0),
    (["--offset", "5", "--length", "2M"], 5, 2 * MIB),
]


@pytest.mark.parametrize(("options", "offset", "length"), RANGES, ids=str)
def test_a_range_is_written_to_a_file(
    options: list[str], offset: int, length: int, files: Files, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "out"
    assert run("read", files.good("odd-sectors"), "-o", out, *options) == (0, "", "")
    assert_same(out.read_bytes(), contents(good("odd-sectors").model)[offset : offset + length])


@pytest.mark.parametrize(
    ("options", "offset", "length"), RANGES[:6:2], ids=lambda value: str(value)
)
def test_a_range_is_written_to_standard_output(
    options: list[str], offset: int, length: int, files: Files
) -> None:
    done = launch("read", files.good("odd-sectors"), *options)
    assert (done.returncode, done.stderr) == (0, b"")
    assert_same(done.stdout, contents(good("odd-sectors").model)[offset : offset + length])


def test_a_range_in_a_file_is_sparse(tmp_path: Path, run: Run) -> None:
    built = dynamic(40 * MIB, blocks={20: Block(data=b"x" * 5000)}).build()
    path = built.write(tmp_path / "image.vhdx")
    out = tmp_path / "out"
    options = ("--offset", "10M", "--length", "20M")
    assert run("read", path, "-o", out, *options) == (0, "", "")
    assert_same(out.read_bytes(), built.model.read(10 * MIB, 20 * MIB))
    assert allocated(out) <= 64 * KIB


def test_a_range_behind_the_end_is_a_failure(files: Files, tmp_path: Path, run: Run) -> None:
    outcome = run("read", files.good("odd-sectors"), "-o", tmp_path / "out", "--offset", "3146241")
    assert_failed(outcome, 1, "3146241", "3146240")
    assert files_in(tmp_path) == set()


@pytest.mark.parametrize("size", ["-1", "1.5M", "", "M", "1X", "0xg", "one", "1KB"])
@pytest.mark.parametrize("option", ["--offset", "--length"])
def test_what_is_no_size_is_a_mistake_of_the_user(
    option: str, size: str, files: Files, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "out"
    outcome = run("read", files.good("odd-sectors"), "-o", out, f"{option}={size}")
    assert outcome.status == 64
    assert outcome.out == ""
    assert option in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("to_file", [False, True])
def test_damage_ends_a_command_where_it_is_met(to_file: bool, files: Files, tmp_path: Path) -> None:
    """Block 7 of 8 is in a reserved state; what comes before it is all right."""
    path, model = files.damaged("bat-state-4"), damaged("bat-state-4").model
    options = ("-o", tmp_path / "out") if to_file else ()
    done = launch("read", path, *options)
    assert done.returncode == 2
    assert b"[BAT-03, MS-VHDX 2.5.1.1]" in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert files_in(tmp_path) == set()
    assert contents(model).startswith(done.stdout)
    done = launch("read", path, *options, "--length", 7 * MIB)
    assert (done.returncode, done.stderr) == (0, b"")
    output = (tmp_path / "out").read_bytes() if to_file else done.stdout
    assert_same(output, contents(model)[: 7 * MIB])


def test_a_reader_that_goes_away_is_no_mistake(files: Files) -> None:
    command = [sys.executable, "-m", "vhdx_kaitai", "read", str(files.good("fixed-plain"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(100) == contents(good("fixed-plain").model)[:100]
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


def test_without_its_parent_a_childs_own_bytes_can_be_read(tmp_path: Path, run: Run) -> None:
    base = dynamic(4 * MIB, others=Block()).build()
    image = child_of(base, "none.vhdx", blocks={1: Block(), 2: partial(range(8))})
    path = image.build().write(tmp_path / "child.vhdx")
    out = tmp_path / "out"
    own = ("--no-parent", "-o", out, "--offset", "1M", "--length")
    assert run("read", path, *own, MIB + 4096) == (0, "", "")
    assert_same(out.read_bytes(), pattern(2, MIB, MIB + 4096))
    assert_failed(run("read", path, *own, MIB + 4097), 1, "parent")


# -- compare ------------------------------------------------------------------------------------


Maker = Callable[[Path], Path]


def representations() -> dict[str, Maker]:
    """Return ways to store one disk of 8 MiB: blocks 0 and 5 hold data, 2 holds zeros."""
    stored = {0: Block(), 2: Block(data=bytes(MIB)), 5: Block()}

    def raw(folder: Path, *, sparse: bool) -> Path:
        data = contents(dynamic(8 * MIB, blocks=stored).build().model)
        with (folder / f"raw{sparse}").open("wb") as file:
            for at in range(0, len(data), 4096):
                if sparse and not any(data[at : at + 4096]):
                    file.seek(4096, os.SEEK_CUR)
                else:
                    file.write(data[at : at + 4096])
            file.truncate()
        return folder / f"raw{sparse}"

    def child(folder: Path) -> Path:
        base = dynamic(8 * MIB, blocks={0: Block(), 1: Block()}).build()
        base.write(folder / "base.vhdx")
        blocks = {1: Block(ZERO), 5: Block()}
        image = child_of(base, "base.vhdx", tag=1, blocks=blocks)
        return image.build().write(folder / "child.vhdx")

    def vhdx(image: Image | Layout) -> Maker:
        return lambda folder: image.build().write(folder / f"{id(image)}.vhdx")

    return {
        "raw": lambda folder: raw(folder, sparse=False),
        "sparse raw": lambda folder: raw(folder, sparse=True),
        "dynamic": vhdx(dynamic(8 * MIB, blocks=stored)),
        "fixed": vhdx(fixed(8 * MIB, blocks=stored, others=Block(ZERO), gap=MIB)),
        "large sectors": vhdx(dynamic(8 * MIB, blocks=stored, logical_sector_size=4096)),
        "chain": child,
    }


@pytest.mark.parametrize("one", representations())
@pytest.mark.parametrize("two", representations())
def test_one_disk_in_two_forms_is_the_same(one: str, two: str, tmp_path: Path, run: Run) -> None:
    paths = [representations()[name](tmp_path) for name in (one, two)]
    assert run("compare", *paths) == (0, "same\n", "")
    outcome = run("compare", "--json", *paths)
    assert outcome.status == 0
    document = json.loads(outcome.out)
    assert_valid(document, "compare")
    assert document == {
        "schema_version": 1,
        "tool": {"name": "vhdx-kaitai", "version": vhdx_kaitai.__version__},
        "path": str(paths[0]),
        "other": str(paths[1]),
        "same": True,
        "offset": None,
        "reason": None,
    }


PLACES = [0, 1, 511, 4096, MIB - 1, MIB, 2 * MIB + 17, 3 * MIB, 5 * MIB + 777, 8 * MIB - 1]


@pytest.mark.parametrize("at", PLACES)
@pytest.mark.parametrize(
    ("other", "swapped"), [("dynamic", False), ("sparse raw", False), ("chain", True)]
)
def test_the_first_difference_is_found_to_the_byte(
    other: str, swapped: bool, at: int, tmp_path: Path, run: Run
) -> None:
    """In data, in zeros that are stored, and in zeros that are not."""
    changed = representations()["sparse raw"](tmp_path).rename(tmp_path / "changed")
    path = representations()[other](tmp_path)
    with changed.open("r+b") as file:
        for place in (at, *(later for later in PLACES if later > at)):
            file.seek(place)
            (byte,) = file.read(1)
            file.seek(place)
            file.write(bytes([byte ^ 0x40]))
            if place == at:
                old, new = f"{byte:#04x}", f"{byte ^ 0x40:#04x}"
    paths = (changed, path) if swapped else (path, changed)
    outcome = run("compare", *paths)
    assert outcome.status == 1
    assert f"{at:#x}" in outcome.out
    assert outcome.out.count("\n") == 1
    assert outcome.err == ""
    outcome = run("compare", "--json", *paths)
    assert outcome.status == 1
    document = json.loads(outcome.out)
    assert_valid(document, "compare")
    assert (document["same"], document["offset"]) == (False, at)
    assert document["reason"] == (f"{new} against {old}" if swapped else f"{old} against {new}")


@pytest.mark.parametrize("by", [1, 512, 3 * MIB])
@pytest.mark.parametrize("grows", [False, True])
@pytest.mark.parametrize("differs", [False, True])
def test_disks_of_different_sizes_differ_where_the_smaller_one_ends(
    differs: bool, grows: bool, by: int, tmp_path: Path, run: Run
) -> None:
    """Unless there is a difference before."""
    raw = representations()["sparse raw"](tmp_path)
    os.truncate(raw, 8 * MIB + (by if grows else -by))
    if differs:
        with raw.open("r+b") as file:
            file.seek(4 * MIB + 5)
            file.write(b"x")
    outcome = run("compare", "--json", raw, representations()["dynamic"](tmp_path))
    assert outcome.status == 1
    document = json.loads(outcome.out)
    assert_valid(document, "compare")
    assert document["offset"] == (4 * MIB + 5 if differs else min(8 * MIB, raw.stat().st_size))
    assert ("size" in document["reason"]) != differs


def test_an_empty_raw_file_is_a_disk_of_no_size(tmp_path: Path, run: Run) -> None:
    (tmp_path / "empty").touch()
    assert run("compare", tmp_path / "empty", tmp_path / "empty").status == 0
    path = representations()["dynamic"](tmp_path)
    document = json.loads(run("compare", "--json", tmp_path / "empty", path).out)
    assert (document["same"], document["offset"]) == (False, 0)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_not_waited_for(files: Files, tmp_path: Path, run: Run) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert_failed(run("compare", files.good("odd-sectors"), pipe), 4, str(pipe))
    assert_failed(run("compare", pipe, files.good("odd-sectors")), 4, str(pipe))


def test_holes_are_compared_without_being_read(tmp_path: Path, run: Run) -> None:
    """10 TiB on either side, in one case against a raw file that is one hole."""
    blocks = {5: Block(), 10 * TIB // MIB // 2: Block()}
    one = dynamic(10 * TIB, blocks=blocks).build().write(tmp_path / "one.vhdx")
    two = fixed(10 * TIB, block_size=32 * MIB, others=Block(NOT_PRESENT)).layout()
    two = two.build().write(tmp_path / "two.vhdx")  # type: ignore[assignment]
    raw = tmp_path / "raw"
    raw.touch()
    os.truncate(raw, 10 * TIB)
    assert run("compare", two, raw).status == 0
    outcome = run("compare", "--json", one, raw)
    assert json.loads(outcome.out)["offset"] == 5 * MIB


@pytest.mark.parametrize("by", [1, 2, 511])
def test_a_raw_file_may_end_inside_a_sector_behind_all_data(by: int, tmp_path: Path) -> None:
    """Zeros that are written in it have to be read, up to its last byte."""
    path = dynamic(4 * MIB, blocks={0: Block()}).build().write(tmp_path / "image.vhdx")
    raw = tmp_path / "raw"
    raw.write_bytes(pattern(1, 0, MIB) + bytes(by))
    other = convert.RawDisk(str(raw))
    with vhdx_kaitai.open(path) as disk, contextlib.closing(other):
        found = convert.compare(disk, other, silent)
    assert found is not None
    assert found.offset == MIB + by
    assert "sizes" in found.reason


@pytest.mark.parametrize("side", [0, 1])
def test_what_keeps_two_disks_from_being_compared_has_its_status(
    side: int, files: Files, tmp_path: Path, run: Run
) -> None:
    good_one = files.good("dynamic-plain")
    made = chain(2, blocks=few_runs).write(tmp_path)
    (tmp_path / "base.vhdx").unlink()
    for other, status, part in (
        (tmp_path / "none", 4, "none"),
        (tmp_path, 4, str(tmp_path)),
        (files.damaged("version-2"), 2, "HDR-"),
        (files.damaged("bat-state-4"), 2, "BAT-03"),
        (made.path, 4, "base.vhdx"),  # 1 says that they differ
    ):
        pair = (good_one, other) if side else (other, good_one)
        if other == files.damaged("bat-state-4"):
            pair = (other, other)
        assert_failed(run("compare", *pair), status, part)
        outcome = run("compare", "--json", *pair)
        assert outcome.status == status
        document = json.loads(outcome.out)
        assert_valid(document, "error")
        assert document["path"] == str(other)


def test_of_two_disks_the_one_that_lacks_its_parent_is_named(
    files: Files, tmp_path: Path, run: Run
) -> None:
    made = chain(2, blocks=lambda *_: {}).write(tmp_path)
    outcome = run("compare", "--json", "--no-parent", files.good("fixed-plain"), made.path)
    assert outcome.status == 4
    assert json.loads(outcome.out)["path"] == str(made.path)


# -- map ----------------------------------------------------------------------------------------


def row_of(entry: dict[str, Any]) -> Row:
    """Return an entry of `map --json` as the model would say it."""
    kind = "data" if entry["data"] else "zero" if entry["zero"] else "parent"
    place = entry.get("offset")
    return entry["start"], entry["length"], entry["state"], entry["depth"], place, kind


def assert_maps(outcome: Outcome, expected: list[Row]) -> None:
    """Show that a map has these extents, and is what its schema says."""
    assert (outcome.status, outcome.err) == (0, "")
    document = json.loads(outcome.out)
    assert_valid(document[:300], "map")
    assert [row_of(entry) for entry in document] == expected
    for entry in document:
        assert entry["present"] == (entry["data"] or entry["state"] != "not_present")
        assert ("offset" in entry) == entry["data"]


@pytest.mark.parametrize("name", [name for name in GOODS if name != "largest-disk"])
def test_a_map_shows_the_extents_of_the_model(name: str, files: Files, run: Run) -> None:
    outcome = run("map", "--json", "--no-parent", files.good(name))
    assert_maps(outcome, model_extents(good(name).model))


@pytest.mark.parametrize("name", ["three-levels", "child-larger-than-parent", "dirty-parent"])
def test_a_map_of_a_chain_shows_the_extents_of_the_model(
    name: str, tmp_path: Path, run: Run
) -> None:
    made = good_chain(name).write(tmp_path)
    outcome = run("map", "--json", made.path)
    assert_maps(outcome, model_extents(made.model))


@pytest.mark.parametrize(
    ("options", "offset", "length"),
    [
        (["--offset", "512"], 512, None),
        (["--offset", "1M", "--length", "1"], MIB, 1),
        (["--offset", "1000", "--length", "2M"], 1000, 2 * MIB),
        (["--length", "0"], 0, 0),
        (["--offset", "8M"], 8 * MIB, 0),
    ],
)
def test_a_map_may_be_of_a_range(
    options: list[str], offset: int, length: int | None, files: Files, run: Run
) -> None:
    outcome = run("map", "--json", *options, files.good("dynamic-plain"))
    assert_maps(outcome, model_extents(good("dynamic-plain").model, offset, length))


def test_the_text_of_a_map_has_a_line_for_each_extent(files: Files, run: Run) -> None:
    outcome = run("map", files.good("dynamic-plain"))
    assert (outcome.status, outcome.err) == (0, "")
    head, *lines = outcome.out.splitlines()
    assert head.split() == ["start", "length", "depth", "file", "offset", "state"]
    shown = []
    for line in lines:
        start, length, depth, *rest = line.split()
        place = int(rest.pop(0), 0) if rest[0].startswith("0x") else None
        shown.append((int(start, 0), int(length, 0), rest[0], int(depth), place))
    assert shown == [row[:5] for row in model_extents(good("dynamic-plain").model)]


@pytest.mark.parametrize("name", ["dynamic-plain", "differencing-plain", "fixed-past-one-chunk"])
def test_a_map_counts_its_extents(name: str, files: Files, run: Run) -> None:
    outcome = run("map", "--count", "--no-parent", files.good(name))
    assert outcome == (0, f"{len(model_extents(good(name).model))}\n", "")


@pytest.mark.parametrize(
    "name", ["bat-state-4", "bat-block-behind-the-end", "bat-reserved-bit-low"]
)
def test_a_map_of_a_damaged_disk_is_a_refusal(name: str, files: Files, run: Run) -> None:
    assert_failed(run("map", files.damaged(name)), 2, DAMAGES[name].main_rule)
    assert_failed(run("map", "--count", files.damaged(name)), 2, DAMAGES[name].main_rule)
    outcome = run("map", "--json", files.damaged(name))
    assert outcome.status == 2
    document = json.loads(outcome.out)
    assert_valid(document, "error")
    assert document["error"]["rule"] == DAMAGES[name].main_rule


def test_damage_far_into_a_disk_does_not_spoil_the_document(tmp_path: Path, run: Run) -> None:
    """There is one document on standard output, whatever has been printed before."""
    layout = dynamic(9 * GIB, blocks={0: Block(), 1: Block(ZERO)}).layout()
    layout.set_entry(8 * GIB // MIB, 4)
    path = layout.build().write(tmp_path / "image.vhdx")
    outcome = run("map", "--json", path)
    assert outcome.status == 2
    json.loads(outcome.out)


def test_a_map_has_the_fields_of_qemu_and_they_mean_the_same(tmp_path: Path, run: Run) -> None:
    """The same chain as qcow2, of which qemu-img tells more than of VHDX (all of it is data)."""
    base, top = tmp_path / "base.qcow2", tmp_path / "top.qcow2"
    options = ("-q", "-f", "qcow2", "-o", "cluster_size=1M")
    qemu_img("create", *options, base, "12M")
    run_program("qemu-io", "-c", "write 1M 1M", "-c", "write 2M 1M", "-c", "write -z 4M 2M", base)
    qemu_img("create", *options, "-F", "qcow2", "-b", base, top)
    run_program("qemu-io", "-c", "write 2M 1M", "-c", "write -z 7M 1M", top)
    theirs = json.loads(qemu_img("map", "--output=json", top))

    blocks = {1: Block(), 2: Block(), 4: Block(ZERO), 5: Block(ZERO)}
    parent = dynamic(12 * MIB, blocks=blocks).build()
    parent.write(tmp_path / "base.vhdx")
    child = child_of(parent, "base.vhdx", blocks={2: Block(), 7: Block(ZERO)}).build()
    path = child.write(tmp_path / "child.vhdx")
    ours = json.loads(run("map", "--json", path).out)

    for entry in ours:
        assert entry.pop("state") in ("not_present", "zero", "fully_present")
    for entry in (*ours, *theirs):  # places differ, but not in whether there is one
        entry["offset"] = "offset" in entry
        entry.pop("compressed", None)  # later versions of qemu-img say so
    assert ours == theirs


@pytest.mark.parametrize("bad", [1, 300, 9000, 70_000])
@pytest.mark.parametrize("in_bulk", [False, True])
def test_the_text_of_a_map_has_all_that_stands_before_damage(
    in_bulk: bool, bad: int, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every second block is of zeros; how many are looked up at once does not show."""
    monkeypatch.setattr(bulk, "is_large", lambda _disk: in_bulk)
    monkeypatch.setattr(bulk, "_MOST_BLOCKS", 4096)
    blocks = {number: Block(ZERO) for number in range(0, bad, 2)}
    layout = dynamic(80_000 * MIB, blocks=blocks).layout()
    layout.set_entry(bad, 4)
    path = layout.build().write(tmp_path / "image.vhdx")
    outcome = run("map", path)
    assert outcome.status == 2
    assert "BAT-03" in outcome.err
    lines = outcome.out.splitlines()[1:]
    assert [int(line.split()[0], 0) for line in lines] == [n * MIB for n in range(bad)]
    assert {int(line.split()[1], 0) for line in lines} == {MIB}
    for option in ("--json", "--count"):
        assert_failed(run("map", option, path), 2, "BAT-03")
    assert_valid(json.loads(run("map", "--json", path).out), "error")


@pytest.mark.parametrize("in_bulk", [False, True])
@pytest.mark.parametrize("sizes", [(4, 8), (4, 8, 12), (4, 8, 8), (8, 4, 12), (4, 6, 12, 12)])
def test_what_is_behind_the_end_of_a_parent_has_the_depth_that_qemu_gives_it(
    sizes: tuple[int, ...],
    in_bulk: bool,
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same chain as qcow2; sizes in MiB, the base first."""
    if in_bulk:
        monkeypatch.setattr(bulk, "is_large", lambda _disk: True)
    options = ("create", "-q", "-f", "qcow2")
    made = Chain([], [])
    for number, size in enumerate(sizes):
        backing = ("-F", "qcow2", "-b", tmp_path / f"{number - 1}.qcow2") if number else ()
        qemu_img(*options, *backing, tmp_path / f"{number}.qcow2", f"{size}M")
        if number:
            image = child_of(made.images[-1], made.names[-1], blocks={})
            image = image.but(virtual_disk_size=size * MIB)
        else:
            image = dynamic(size * MIB, blocks={})
        made.images.append(image.build())
        made.names.append(f"{number}.vhdx")
    theirs = json.loads(qemu_img("map", "--output=json", tmp_path / f"{number}.qcow2"))
    ours = json.loads(run("map", "--json", made.write(tmp_path).path).out)
    shown = ("start", "length", "depth", "present", "zero", "data")
    assert [[e[k] for k in shown] for e in ours] == [[e[k] for k in shown] for e in theirs]


# -- map: large disks, all at once --------------------------------------------------------------


def large_disk(size: int = 1 * TIB, **fields: Any) -> Layout:
    """Return a disk of so many blocks that they are looked at in bulk, stored here and there."""
    total = -(-size // MIB)
    chance = random.Random(8)
    layout = dynamic(size, blocks={}, **fields).layout()
    image, at, number = layout.image, 16 * MIB, 0  # behind the BAT
    while number < total:
        state = chance.choice((FULLY_PRESENT, ZERO, UNMAPPED, UNDEFINED, FULLY_PRESENT))
        for number in range(number, min(total, number + chance.choice((1, 1, 2, 9)))):  # noqa: B020
            place = at if state == FULLY_PRESENT else None
            image.blocks[number] = Block(state, place, data=b"")
            if place is not None:
                layout.payload[number] = place
                at += MIB
            layout.set_entry(number, state, place or 0)
        at += chance.choice((0, 0, MIB))
        number += chance.choice((1, 5, 4000, 9000))
    layout.file_length = at + MIB
    return layout


def rows_in_bulk(disk: Disk, offset: int, length: int) -> list[Row]:
    """Return the extents of a range as they are found with numpy."""
    return [
        (start, length, state, depth, place, kind)
        for some in bulk.extents(disk, offset, length)
        for start, length, (state, depth, kind), place in zip(*some, strict=True)
    ]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Model]:
    """A disk of 1 TiB less a sector in blocks of 1 MiB, and its model."""
    built = large_disk(TIB - 512).build()
    path = built.write(tmp_path_factory.mktemp("large") / "large.vhdx")
    assert built.model.geometry.payload_blocks >= bulk.WORTHWHILE_BLOCKS
    return path, built.model


def test_a_large_disk_is_mapped_like_a_small_one(large: tuple[Path, Model], run: Run) -> None:
    path, model = large
    expected = model_extents(model)
    assert len(expected) > 500
    assert_maps(run("map", "--json", path), expected)
    assert run("map", "--count", path) == (0, f"{len(expected)}\n", "")
    with vhdx_kaitai.open(path) as disk:
        assert rows_in_bulk(disk, 0, disk.size) == expected


def bulk_ranges() -> list[tuple[int, int]]:
    chance = random.Random(2)
    ranges = [(0, MIB), (0, 1), (4096 * MIB - 1, 2), (TIB - 1024, 512), (4095 * MIB, 3 * MIB)]
    ranges += [(0, 0), (5 * MIB, 0), (5 * MIB + 7, 0), (TIB - 512, 0)]
    for _ in range(15):
        offset = chance.randrange(TIB - 512)
        ranges.append((offset, chance.randrange(min(TIB - 512 - offset, 40 * GIB))))
    return ranges


@pytest.mark.parametrize(("offset", "length"), bulk_ranges())
def test_a_range_of_a_large_disk_is_mapped_like_one_of_a_small_one(
    offset: int, length: int, large: tuple[Path, Model], run: Run
) -> None:
    path, model = large
    expected = model_extents(model, offset, length)
    options = ("--offset", offset, "--length", length)
    assert_maps(run("map", "--json", path, *options), expected)
    assert run("map", "--count", path, *options) == (0, f"{len(expected)}\n", "")


@pytest.mark.parametrize("number", [0, 1, 4095, 4096, 65535, 65536, 70000, 600_000])
@pytest.mark.parametrize("entry", ["state 4", "reserved bits", "behind the end", "offset 0"])
def test_damage_anywhere_in_a_large_disk_is_found(
    entry: str, number: int, tmp_path: Path, run: Run
) -> None:
    layout = dynamic(700_000 * MIB, blocks={}).layout()
    layout.file_length = 64 * MIB
    values: dict[str, tuple[int, int, int, str]] = {
        "state 4": (4, 0, 0, "BAT-03"),
        "reserved bits": (NOT_PRESENT, 0, 1, "BAT-02"),
        "behind the end": (FULLY_PRESENT, 64 * MIB, 0, "BAT-10"),
        "offset 0": (FULLY_PRESENT, 0, 0, "BAT-09"),
    }
    state, place, reserved, rule = values[entry]
    layout.set_entry(number, state, place, reserved)
    path = layout.build().write(tmp_path / "large.vhdx")
    for option in ("--json", "--count"):
        assert_failed(run("map", option, path), 2, rule)
    if number:
        outcome = run("map", "--json", path, "--length", number * MIB)
        assert_maps(outcome, [(0, number * MIB, "not_present", 0, None, "zero")])


def test_the_last_block_of_a_large_disk_may_be_cut_where_the_disk_ends(
    tmp_path: Path, run: Run
) -> None:
    size = 600_000 * MIB + 512
    layout = dynamic(size, blocks={600_000: Block(FULLY_PRESENT, 20 * MIB)}).layout()
    layout.file_length = 20 * MIB + 512
    path = layout.build().write(tmp_path / "large.vhdx")
    assert_maps(run("map", "--json", path), model_extents(layout.build().model))


WINDOWS = [(1, 64), (3, 192), (7, 4096), (1 << 16, 1 << 17)]


def assert_maps_alike(disk: Disk, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Show that numpy finds the extents of the model, wherever its windows end."""
    chance = random.Random(disk.size)
    ranges = [(0, disk.size)]
    ranges += [
        (at, chance.randrange(disk.size - at + 1)) for at in chance.sample(range(disk.size), 3)
    ]
    for blocks, sectors in WINDOWS:
        if disk.size // 64 > max(blocks, sectors) * MIB:
            continue  # that would be a great many windows
        monkeypatch.setattr(bulk, "_MOST_BLOCKS", blocks)
        monkeypatch.setattr(bulk, "_MOST_SECTORS", sectors)
        for offset, length in ranges:
            expected = model_extents(model, offset, length)
            assert rows_in_bulk(disk, offset, length) == expected
            assert bulk.count_extents(disk, offset, length) == len(expected)


@pytest.mark.parametrize("name", [name for name in GOODS if name != "largest-disk"])
def test_any_disk_is_mapped_alike_in_bulk(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(good(name), resolve_parents=False) as disk:
        assert_maps_alike(disk, good(name).model, monkeypatch)


@pytest.mark.parametrize("name", GOOD_CHAINS)
def test_any_chain_is_mapped_alike_in_bulk(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = good_chain(name)
    with opened_chain(made) as disk:
        assert_maps_alike(disk, made.model, monkeypatch)


@pytest.mark.parametrize("name", [name for name, case in DAMAGES.items() if case.refusal == "read"])
def test_damage_is_refused_alike_in_bulk(name: str) -> None:
    with opened(damaged(name), resolve_parents=False) as disk:
        with pytest.raises(FormatError) as expected:
            list(disk.extents())
        with pytest.raises(FormatError) as actual:
            bulk.count_extents(disk, 0, disk.size)
        assert actual.value.finding == expected.value.finding
        # What comes before the damage is mapped all the same.
        assert bulk.count_extents(disk, 0, 0) == 0


@pytest.mark.parametrize("lost", [512, MIB - 4096])
def test_a_cut_sector_bitmap_is_refused_alike_in_bulk(lost: int) -> None:
    """Even if the bits that are asked for are still there."""
    image = differencing(2 * MIB, blocks={0: partial(range(4))}, bitmap_offsets={0: 20 * MIB})
    layout = image.layout()
    layout.file_length = 21 * MIB - lost
    with opened(layout.build(), resolve_parents=False) as disk:
        with pytest.raises(FormatError) as expected:
            list(disk.extents())
        with pytest.raises(FormatError) as actual:
            bulk.count_extents(disk, 0, disk.size)
    assert actual.value.finding == expected.value.finding


def test_damage_in_a_parent_counts_where_the_parent_is_asked() -> None:
    """A block that the child has on its own is never looked up."""
    layout = dynamic(4 * MIB, blocks={0: Block(), 1: Block()}).layout()
    layout.set_entry(1, 4)
    parent = layout.build()
    for number, is_hidden in ((0, False), (1, True)):
        child = child_of(parent, "parent.vhdx", blocks={number: Block()}).build()
        with opened_chain(Chain([parent, child], ["parent.vhdx", "child.vhdx"])) as disk:
            if is_hidden:
                assert rows_in_bulk(disk, 0, disk.size) == disk_extents(disk)
            else:
                with pytest.raises(FormatError, match="BAT-03"):
                    bulk.count_extents(disk, 0, disk.size)


@pytest.mark.parametrize("gap", [1, 2, 3])
def test_partial_blocks_with_others_between_them_are_mapped_alike_in_bulk(gap: int) -> None:
    """Their bits do not follow each other in the sector bitmap."""
    blocks = {n: partial(n, range(100 + n, 900 + 50 * n), 2000) for n in range(0, 12, gap)}
    parent = dynamic(12 * MIB, others=Block()).build()
    made = Chain([parent, child_of(parent, "p", blocks=blocks).build()], ["p", "child"])
    with opened_chain(made) as disk:
        assert rows_in_bulk(disk, 0, disk.size) == model_extents(made.model)


@pytest.mark.parametrize("offset", [4 * MIB - 512, 4 * MIB, 4 * MIB + 512, 6 * MIB])
def test_a_range_from_the_end_of_a_parent_on_is_mapped_alike_in_bulk(offset: int) -> None:
    base = dynamic(4 * MIB, blocks={3: Block()}).build()
    middle = child_of(base, "base", blocks={}).build()
    image = child_of(middle, "middle", blocks={6: Block()}).but(virtual_disk_size=8 * MIB)
    made = Chain([base, middle, image.build()], ["base", "middle", "child"])
    with opened_chain(made) as disk:
        for length in (512, MIB, 8 * MIB - offset):
            length = min(length, 8 * MIB - offset)
            expected = model_extents(made.model, offset, length)
            assert rows_in_bulk(disk, offset, length) == expected
            assert bulk.count_extents(disk, offset, length) == len(expected)


def test_what_belongs_to_no_parent_is_mapped_alike_in_bulk_beside_a_cut_block() -> None:
    """Of the last block the file has no more than the disk needs, which has to be looked at."""
    image = differencing(5 * MIB, block_size=2 * MIB, blocks={0: Block(), 2: Block()})
    layout = image.layout()
    layout.file_length = layout.payload[2] + MIB
    built = layout.build()
    with opened(built, resolve_parents=False) as disk:
        rows = rows_in_bulk(disk, 0, disk.size)
    assert rows == model_extents(built.model)
    assert [row[5] for row in rows] == ["data", "parent", "data"]


def test_a_disk_of_many_blocks_is_mapped_in_bulk_in_little_memory() -> None:
    """A window holds so many blocks of the 8 million, and no more."""
    with opened(dynamic(8 * TIB, blocks={}).build()) as disk:
        bulk.count_extents(disk, 0, MIB)
        with measured_memory() as peak:
            assert bulk.count_extents(disk, 0, disk.size) == 1
    assert peak.bytes < 24 * MIB


@pytest.mark.parametrize(("state", "reserved"), [(UNDEFINED, 1), (PARTIALLY_PRESENT, 0)])
def test_bad_entries_are_refused_in_bulk_where_no_entry_is_good(state: int, reserved: int) -> None:
    layout = dynamic(4 * MIB, blocks={n: Block() for n in range(4)}).layout()
    for number in range(4):
        layout.set_entry(number, state, layout.payload[number], reserved)
    with opened(layout.build()) as disk:
        with pytest.raises(FormatError) as expected:
            list(disk.extents())
        with pytest.raises(FormatError) as actual:
            bulk.count_extents(disk, 0, disk.size)
    assert actual.value.finding == expected.value.finding


def test_the_last_entry_of_a_table_may_be_the_last_thing_in_a_file() -> None:
    layout = dynamic(131041 * MIB, order=("log", "metadata", "bat"), blocks={}).layout()
    assert layout.image.geometry.entry_count * 8 == MIB
    layout.file_length = layout.bat_offset + MIB
    with opened(layout.build()) as disk:
        assert bulk.count_extents(disk, 0, disk.size) == 1


def test_a_map_of_many_sectors_is_made_in_bulk(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = good_chain("three-levels").write(tmp_path)
    expected = model_extents(made.model)
    monkeypatch.setattr(bulk, "WORTHWHILE_EXTENTS", len(expected))
    monkeypatch.setattr(bulk, "_MOST_SECTORS", 512)
    assert_maps(run("map", "--json", made.path), expected)
    assert run("map", "--count", made.path) == (0, f"{len(expected)}\n", "")


@pytest.mark.slow
def test_the_largest_disk_is_mapped(files: Files, run: Run) -> None:
    outcome = run("map", "--json", files.good("largest-disk"))
    assert_maps(outcome, model_extents(good("largest-disk").model))


# -- chain --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOOD_CHAINS)
def test_a_chain_is_listed_from_child_to_base(name: str, tmp_path: Path, run: Run) -> None:
    made = good_chain(name).write(tmp_path)
    outcome = run("chain", "--json", made.path)
    assert (outcome.status, outcome.err) == (0, "")
    document = json.loads(outcome.out)
    assert_valid(document, "chain")
    assert document["path"] == str(made.path)
    assert len(document["chain"]) == len(made.images)
    for depth, (entry, built, path) in enumerate(
        zip(document["chain"], reversed(made.images), reversed(made.paths), strict=True)
    ):
        model = built.model
        locator = built.image.resolved_locator()
        linkage = locator.text["parent_linkage"].strip("{}").lower() if locator else None
        assert entry["parent_linkage"] == linkage
        assert entry["depth"] == depth
        assert entry["path"] == str(path)
        assert entry["disk_type"] == model.disk_type
        assert entry["virtual_disk_size"] == model.size
        assert entry["block_size"] == model.block_size
        assert entry["virtual_disk_id"] == str(model.virtual_disk_id)
        assert entry["data_write_guid"] == str(model.current_header.data_write_guid)
        assert entry["log"] == model.log.state
        assert (entry["found_by"] is None) == (entry["matched_by"] is None) == (depth == 0)
    text = run("chain", made.path)
    assert (text.status, text.err) == (0, "")
    for path in made.paths:
        assert str(path) in text.out


def test_a_chain_says_how_each_parent_was_found(tmp_path: Path, run: Run) -> None:
    made = good_chain("linked-by-parent-linkage2").write(tmp_path)
    document = json.loads(run("chain", "--json", made.path).out)
    (_, base) = document["chain"]
    assert (base["found_by"], base["matched_by"]) == ("relative_path", "parent_linkage2")
    made = good_chain("relative-path-stale").write(tmp_path)
    document = json.loads(run("chain", "--json", made.path).out)
    assert document["chain"][1]["matched_by"] == "parent_linkage"
    named = run("chain", "--json", made.path, "--parent", made.paths[0])
    (_, base) = json.loads(named.out)["chain"]
    assert (base["found_by"], base["matched_by"]) == (None, "parent_linkage")
    assert "named" in run("chain", made.path, "--parent", made.paths[0]).out
    alone = run("chain", "--json", made.path, "--no-parent")
    assert_valid(json.loads(alone.out), "chain")
    assert len(json.loads(alone.out)["chain"]) == 1


@pytest.mark.parametrize(
    "folder",
    ["plain", 'quo"tes', "back\\slash", "\\n", "<b>&amp;", "ÄДИ字", "two\nlines", "\x1b[31m"],
)
def test_a_graph_of_a_chain_can_be_drawn_whatever_its_paths(
    folder: str, tmp_path: Path, run: Run
) -> None:
    (tmp_path / folder).mkdir()
    made = chain(3, blocks=few_runs).write(tmp_path / folder)
    outcome = run("chain", "--dot", made.path)
    assert (outcome.status, outcome.err) == (0, "")
    graph = json.loads(run_program("dot", "-Tjson", input=outcome.out.encode()))
    labels = [node["label"] for node in graph["objects"]]
    assert len(labels) == 3
    for label, name in zip(labels, reversed(made.names), strict=True):
        assert name in label
    edges = [(edge["tail"], edge["head"]) for edge in graph["edges"]]
    assert edges == [(0, 1), (1, 2)]
    assert outcome.out.replace("\n", "").isprintable()
    assert run("chain", made.path).out.replace("\n", "").isprintable()


@pytest.mark.parametrize("form", [[], ["--json"], ["--dot"]])
def test_a_chain_that_cannot_be_followed_is_a_failure(
    form: list[str], tmp_path: Path, run: Run
) -> None:
    made = chain(3, blocks=few_runs).write(tmp_path)
    (tmp_path / "base.vhdx").unlink()
    outcome = run("chain", *form, made.path)
    assert_failed(outcome, 1, "base.vhdx: no such file", "--search")
    if form == ["--json"]:
        document = json.loads(outcome.out)
        assert_valid(document, "error")
        assert document["error"]["type"] == "ParentNotFoundError"
    else:
        assert outcome.out == ""
    (tmp_path / "store").mkdir()
    made.images[0].write(tmp_path / "store" / "base.vhdx")
    assert run("chain", *form, made.path, "--search", tmp_path / "store").status == 0


def test_forms_of_a_chain_exclude_each_other(files: Files, run: Run) -> None:
    assert run("chain", "--json", "--dot", files.good("dynamic-plain")).status == 64


def test_a_disk_without_parents_is_a_chain_of_one(files: Files, run: Run) -> None:
    document = json.loads(run("chain", "--json", files.good("fixed-plain")).out)
    assert_valid(document, "chain")
    (entry,) = document["chain"]
    assert entry["path"] == str(files.good("fixed-plain"))
    assert entry["parent_linkage"] is entry["parent_linkage2"] is None


def test_copies_of_a_disk_compare_as_the_same_after_a_round_trip(tmp_path: Path, run: Run) -> None:
    """VHDX to raw with this package, raw to VHDX with qemu-img, and compared with either."""
    built = dynamic(9 * MIB + 512, blocks={0: Block(), 9: Block(), 4: Block(ZERO)}).build()
    path = built.write(tmp_path / "one.vhdx")
    raw, back = tmp_path / "raw", tmp_path / "two.vhdx"
    assert run("convert", path, raw).status == 0
    shutil.copy(raw, tmp_path / "copy")
    qemu_img("convert", "-f", "raw", "-O", "vhdx", tmp_path / "copy", back)
    assert run("compare", path, raw).status == 0
    with opened(built) as disk, vhdx_kaitai.open(back) as other:
        assert_same(other.pread(disk.size, 0), contents(built.model))
