"""`vhdx-kaitai convert`: what becomes of the file when something is in the way."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.launching import assert_failed, without_losses
from tests.conftest import Files, Run
from tests.images.chain import chain
from tests.images.damage import DAMAGES
from tests.reading_fixtures import (
    assert_same,
    contents,
    few_runs,
    needs_proc,
    open_descriptors,
)
from tests.support import files_in, good

UNREADABLE = [
    name
    for name, case in DAMAGES.items()
    if case.refusal == "read" and case.base != "differencing" and case.main_rule.startswith("BAT")
]


def test_control_c_ends_a_conversion_with_its_own_status(
    files: Files, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "pwrite", interrupt)
    outcome = run("convert", files.good("fixed-plain"), tmp_path / "out.raw")
    assert outcome == (130, "", "")
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


def test_the_longest_name_may_be_converted_to(files: Files, tmp_path: Path, run: Run) -> None:
    out = tmp_path / ("x" * 255)
    assert run("convert", files.good("odd-sectors"), out) == (0, "", "")
    assert files_in(tmp_path) == {out.name}


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("words", [["convert"], ["read", "-o"], ["metadump"]], ids=" ".join)
def test_a_run_that_is_told_to_end_leaves_nothing(
    words: list[str], end: signal.Signals, files: Files, tmp_path: Path
) -> None:
    program = (
        "import os, signal, sys\n"
        "from vhdx_kaitai.commands import main\n"
        f"signal.signal({int(end)}, signal.SIG_DFL)\n"  # ignored under nohup
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


def test_a_bar_on_a_terminal_is_plain_text(files: Files, tmp_path: Path) -> None:
    master, slave = pty.openpty()
    path, out = str(files.good("fixed-plain")), str(tmp_path / "out.raw")
    subprocess.run(
        [sys.executable, "-m", "vhdx_kaitai", "convert", path, out],
        stderr=slave,
        check=True,
        timeout=60,
    )
    os.close(slave)
    shown = os.read(master, 1 << 16)
    os.close(master)
    assert b"% of 4 MiB" in shown
    assert shown.endswith(b" \r")
    assert b"\x1b" not in shown


@pytest.mark.parametrize(
    ("end", "kind"), [("qcow2", "qcow2"), ("vhd", "vpc"), ("VMDK", "vmdk"), ("vdi", "vdi")]
)
def test_a_name_of_another_format_gets_no_raw_image(
    end: str, kind: str, files: Files, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / f"out.{end}"
    outcome = run("convert", files.good("fixed-plain"), out)
    assert (outcome.status, outcome.out) == (64, "")
    assert f"qemu-img convert -f raw -O {kind} " in outcome.err
    assert files_in(tmp_path) == set()
    assert run("convert", files.good("fixed-plain"), out, "-O", "raw").status == 0
    assert out.exists()


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
    assert_failed(without_losses(outcome), 2, DAMAGES[name].main_rule[:4])
    assert files_in(tmp_path) == ({"out.raw"} if force else set())
    assert not force or out.read_bytes() == b"before"


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
