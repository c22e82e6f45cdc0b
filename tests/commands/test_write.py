"""`vhdx-kaitai write`: a range of the disk gets other contents, and the image is in order then."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.commands.launching import VHDX_KAITAI, assert_failed, assert_one_line, document_of
from tests.conftest import Run
from tests.images.chain import chain
from tests.images.image import Block, dynamic
from tests.images.structures import MIB
from tests.support import damaged
from vhdx_kaitai.commands.changing import Steps, StoppedError
from vhdx_kaitai.storage import locks
from vhdx_kaitai.storage.target import FileTarget
from vhdx_kaitai.writing.disk import WritableDisk

SIZE = 6 * MIB
DATA = os.urandom(MIB + 12_345)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    blocks = {number: Block() for number in (0, 3)}
    return dynamic(SIZE, blocks=blocks).build().write(tmp_path / "disk.vhdx")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "input"
    file.write_bytes(DATA)
    return file


def held_in(path: Path) -> bytes:
    with vhdx_kaitai.open(path, replay="refuse") as disk:
        return bytes(disk.pread(disk.size, 0))


def test_a_file_is_written_at_an_offset(path: Path, source: Path, run: Run) -> None:
    before = held_in(path)
    outcome = run("write", path, "-i", source, "--offset", "777")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out == f"{path}: {len(DATA)} bytes at 777 written\n"
    assert held_in(path) == before[:777] + DATA + before[777 + len(DATA) :]


def test_a_part_of_a_file_is_written(path: Path, source: Path, run: Run) -> None:
    before = held_in(path)
    assert run("write", path, "-i", source, "--length", "5").status == 0
    assert held_in(path) == DATA[:5] + before[5:]


@pytest.mark.parametrize("kind", ["zero", "discard"])
def test_zeros_and_nothing_end_where_the_disk_does(path: Path, run: Run, kind: str) -> None:
    before = held_in(path)
    outcome = run("write", path, f"--{kind}", "--offset", "1M", "--length", "1T")
    done = {"zero": "zeroed", "discard": "discarded"}[kind]
    assert outcome.out == f"{path}: {SIZE - MIB} bytes at {MIB} {done}\n"
    assert held_in(path) == before[:MIB].ljust(SIZE, b"\0")


def test_standard_input_is_written(path: Path) -> None:
    before = held_in(path)
    program = [*VHDX_KAITAI, "write", str(path), "--offset", "1M"]
    done = subprocess.run(program, check=True, input=DATA, capture_output=True)
    assert done.stdout == f"{path}: {len(DATA)} bytes at {MIB} written\n".encode()
    assert held_in(path) == before[:MIB] + DATA + before[MIB + len(DATA) :]
    done = subprocess.run(
        [*program, "--force"], check=False, input=bytes(SIZE), capture_output=True
    )
    assert done.returncode == 1
    assert b"the input goes on past the end of the disk" in done.stderr
    assert held_in(path) == before[:MIB].ljust(SIZE, b"\0")


@pytest.mark.parametrize(
    "words", [["-i", "input"], *([what, "--length", "1M"] for what in ("--zero", "--discard"))]
)
def test_a_dry_run_says_what_would_be_and_changes_nothing(
    path: Path, source: Path, run: Run, words: list[str]
) -> None:
    before = path.read_bytes()
    words = [str(source) if word == "input" else word for word in words]
    outcome = run("write", path, *words, "--dry-run")
    assert outcome.status == 0
    assert outcome.out.endswith("; nothing was changed (--dry-run)\n")
    assert path.read_bytes() == before
    document = document_of(run("write", path, *words, "--dry-run", "--json"), "write")
    assert document["dry_run"]
    done = document_of(run("write", path, *words, "--json"), "write")
    assert not done["dry_run"]
    assert (done["offset"], done["length"]) == (document["offset"], document["length"])
    assert (done["locked"], done["verdict"]) == (True, "clean")


def test_a_file_on_standard_input_counts_from_where_it_is_read(path: Path, source: Path) -> None:
    before = held_in(path)
    program = [*VHDX_KAITAI, "write", str(path), "--offset", str(SIZE - 5)]
    for words, told in ((["--dry-run"], b"would be written"), ([], b"written\n")):
        with source.open("rb") as file:
            file.seek(len(DATA) - 5)
            done = subprocess.run([*program, *words], stdin=file, capture_output=True, check=True)
        assert b": 5 bytes at " in done.stdout
        assert told in done.stdout
    assert held_in(path) == before[:-5] + DATA[-5:]


def test_a_dry_run_tells_no_more_than_the_input_has(path: Path, tmp_path: Path, run: Run) -> None:
    three = tmp_path / "three"
    for data in (b"abc", b""):
        three.write_bytes(data)
        outcome = run("write", path, "-i", three, "--length", "100", "--dry-run")
        assert f": {len(data)} bytes at 0 would be written" in outcome.out
        assert (
            f": {len(data)} bytes at 0 written"
            in run("write", path, "-i", three, "--length", "100").out
        )


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="no file whose size is told as 0")
def test_a_file_that_the_system_makes_when_it_is_read_is_written(path: Path, run: Run) -> None:
    data = Path("/proc/version").read_bytes()
    outcome = run("write", path, "-i", "/proc/version")
    assert outcome.out == f"{path}: {len(data)} bytes at 0 written\n"
    assert held_in(path)[: len(data)] == data


@pytest.mark.parametrize("words", [["write", "FILE"], ["convert", "-", "OUT"]])
def test_a_standard_input_that_is_closed_is_told(
    words: list[str], path: Path, tmp_path: Path
) -> None:
    names = {"FILE": str(path), "OUT": str(tmp_path / "out.vhdx")}
    program = [*VHDX_KAITAI, *(names.get(word, word) for word in words)]
    done = subprocess.run(["sh", "-c", 'exec "$@" <&-', "sh", *program], capture_output=True)
    assert done.returncode == 1
    assert done.stderr == b"vhdx-kaitai: standard input: Bad file descriptor\n"


def test_what_does_not_fit_is_not_begun(path: Path, source: Path, run: Run) -> None:
    before = path.read_bytes()
    outcome = run("write", path, "-i", source, "--offset", str(SIZE - 100))
    assert_failed(outcome, 1, f"{path}: ", "past the end of the disk", "nothing was written")
    outcome = run("write", path, "--zero", "--offset", str(SIZE + 1), "--length", "1")
    assert_failed(outcome, 1, f"{path}: ", "past the end of the disk")
    assert_failed(run("write", path, "-i", path), 1, "is an image of the disk itself")
    assert_failed(run("write", path, "-i", path.with_name("none")), 1, "none: ")
    assert path.read_bytes() == before


def test_an_image_that_is_refused_or_in_use_is_left_alone(tmp_path: Path, run: Run) -> None:
    path = damaged("bat-reserved-bit-low").write(tmp_path / "disk.vhdx")
    before = path.read_bytes()
    outcome = run("write", path, "--zero", "--length", "1")
    assert_failed(outcome, 2, "BAT-02")
    assert path.read_bytes() == before
    good = dynamic(SIZE).build().write(tmp_path / "good.vhdx")
    with vhdx_kaitai.open(good, writable=True):
        assert_failed(run("write", good, "--zero", "--length", "1"), 1, f"{good}: ", "in use")


def test_a_parent_is_changed_only_by_force(tmp_path: Path, run: Run) -> None:
    made = chain(2).write(tmp_path)
    base, child = made.paths
    before = base.read_bytes()
    outcome = run("write", base, "--zero", "--length", "1M")
    assert_failed(outcome, 1, f"{base}: 1 child of it ({child.name})", "--force")
    assert base.read_bytes() == before
    assert run("write", base, "--zero", "--length", "1M", "--force").status == 0
    assert base.read_bytes() != before


def test_a_child_is_written_with_its_parent_named(tmp_path: Path, source: Path, run: Run) -> None:
    made = chain(2).write(tmp_path / "one")
    away = made.paths[0].rename(tmp_path / "away.vhdx")
    outcome = run("write", made.path, "-i", source)
    assert outcome.status == 1
    assert run("write", made.path, "-i", source, "--parent", away).status == 0
    with vhdx_kaitai.open(made.path, parent=away) as disk:
        assert disk.pread(len(DATA), 0) == DATA


def test_without_locks_that_is_said(path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_arguments: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(locks, "_lock_bytes", none)
    outcome = run("write", path, "--zero", "--length", "1")
    assert outcome.status == 0
    assert_one_line(outcome.err)
    assert "no other program was kept away" in outcome.err
    assert run("write", path, "--zero", "--length", "1", "--no-lock").err == ""


def test_what_was_changed_is_checked_at_the_end(
    path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = FileTarget.close
    closed: list[FileTarget] = []

    def spoil(self: FileTarget) -> None:
        close(self)
        if closed:
            return
        closed.append(self)
        with path.open("r+b") as file:  # the signature of the metadata table
            file.seek(2 * MIB)
            file.write(b"#")

    monkeypatch.setattr(FileTarget, "close", spoil)
    outcome = run("write", path, "--zero", "--length", "1")
    assert outcome.status == 2
    assert "after the change it is corrupt: " in outcome.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_to_end_stops_who_waits_for_input(path: Path, number: int) -> None:
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("who started the tests lets it be ignored, as shells do in the background")
    before = held_in(path)
    program = [*VHDX_KAITAI, "write", str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(program, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(DATA[:MIB])
        process.stdin.flush()
        while held_in_midst(path) != DATA[:1]:
            time.sleep(0.01)
        process.send_signal(number)
        err = process.stderr.read().decode()
        assert process.wait() == 128 + number
    assert err == f"vhdx-kaitai: {path}: stopped after {MIB} bytes; the image is in order\n"
    assert held_in(path) == DATA[:MIB] + before[MIB:]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_end_amid_the_last_flush_loses_nothing(
    path: Path, source: Path, number: int, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("who started the tests lets it be ignored, as shells do in the background")
    before, flush, close = held_in(path), FileTarget.flush, WritableDisk.close
    asked = []

    def asked_to_end(self: FileTarget) -> None:
        asked.append(number)
        os.kill(os.getpid(), number)
        flush(self)

    def closed(self: WritableDisk) -> None:
        monkeypatch.setattr(FileTarget, "flush", asked_to_end)
        close(self)

    monkeypatch.setattr(WritableDisk, "close", closed)
    outcome = run("write", path, "-i", source, "--offset", "777")
    assert outcome == (0, f"{path}: {len(DATA)} bytes at 777 written\n", "")
    assert len(asked) > 2
    assert held_in(path) == before[:777] + DATA + before[777 + len(DATA) :]
    with vhdx_kaitai.open(path) as disk:
        assert disk.image.log_state == "clean"


def test_a_request_to_end_is_heard_between_two_steps() -> None:
    told: list[int] = []
    steps = Steps(told.append)
    steps(5)
    steps.hear(signal.SIGTERM, None)  # amid a step, which goes on
    with pytest.raises(StoppedError) as raised:
        steps(9)
    assert (raised.value.status, raised.value.done) == (143, 9)
    assert told == [5, 9]
    with pytest.raises(StoppedError):
        steps.reading(len)(memoryview(b""))


def held_in_midst(path: Path) -> bytes:
    """The first byte of a disk that another process writes to."""
    try:
        with vhdx_kaitai.open(path) as disk:
            return bytes(disk.pread(1, 0))
    except vhdx_kaitai.VhdxError:
        return b""


def test_options_that_contradict_each_other(path: Path, run: Run) -> None:
    assert run("write", path, "--zero", "--discard").status == 64
    assert run("write", path, "--zero", "-i", "x").status == 64
    assert run("write", path, "--no-parent").status == 64


@pytest.mark.parametrize("what", ["--zero", "--discard"])
def test_a_whole_disk_does_not_go_by_a_forgotten_option(what: str, path: Path, run: Run) -> None:
    before = path.read_bytes()
    outcome = run("write", path, what)
    assert (outcome.status, outcome.out) == (64, "")
    assert outcome.err.endswith(f"{what} needs --length, so that the whole disk is no accident\n")
    assert path.read_bytes() == before
