"""Replay on disk: the file gets what readers saw already, and is clean.

What it has to hold then is what the builder of the images says.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import vhdx_kaitai
from tests.checking.reports import rules_of
from tests.crash.recorder import Faulty, Recorder
from tests.crash.replaying import SUBJECTS, Stored
from tests.images.damage import DAMAGES
from tests.images.dirty import dirty
from tests.images.goods import GOODS
from tests.images.goods.case import small
from tests.images.log import Zero
from tests.images.structures import MIB
from tests.reading_fixtures import good_chain, open_descriptors, qemu_img
from tests.support import damaged, files_in, good
from vhdx_kaitai.errors import FormatError, InUseError, LimitError, VhdxError
from vhdx_kaitai.storage.target import FileTarget
from vhdx_kaitai.writing.replay import replay, replay_target

CLEAN = [name for name in GOODS if good(name).model.log.state == "clean"]
SMALL = [name for name in CLEAN if good(name).length <= 64 * MIB]
REFUSED = [name for name, case in DAMAGES.items() if case.refusal == "open"]


def stored_in(path: Path) -> list[tuple[int, int, str, bytes]]:
    """Return what a disk is made of, as it is read here: extents, and the data of each."""
    with vhdx_kaitai.open(path, resolve_parents=False) as disk:
        return [
            (
                e.offset,
                e.length,
                e.state,
                disk.pread(e.length, e.offset) if e.kind == "data" else b"",
            )
            for e in disk.extents()
        ]


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_file_is_what_replay_makes_of_it(name: str) -> None:
    subject = SUBJECTS[name]()
    file = Recorder(subject.before)
    replayed = replay_target(file)
    assert replayed is not None
    assert replayed.size == file.size
    assert file.pending == []
    assert subject.wrong_at_the_end(file.data) is None


@pytest.mark.parametrize("name", SUBJECTS)
def test_what_is_replayed_is_clean_and_stays_as_it_is(name: str) -> None:
    file = Recorder(SUBJECTS[name]().before)
    replay_target(file)
    again = Recorder(file.data)
    assert replay_target(again) is None
    assert again.events == []
    report = vhdx_kaitai.check(bytes(file.data))
    assert rules_of(report, "error") == set()
    assert not rules_of(report, "warning", "note") & {"LOG-01", "HDR-26", "HDR-27", "HDR-06"}


@pytest.mark.parametrize("name", ["dirty-everything", "log-extends-the-file", "dirty-payload"])
def test_a_disk_reads_the_same_before_and_after(name: str, tmp_path: Path) -> None:
    built = good(name)
    path = built.write(tmp_path / "disk.vhdx")
    before = stored_in(path)
    outcome = replay(path)
    assert outcome.is_changed
    assert outcome.replayed is not None
    assert stored_in(path) == before
    with vhdx_kaitai.open(path, replay="refuse") as disk:
        assert disk.pread(disk.size, 0) == built.model.read(0, disk.size)
    assert path.stat().st_size == outcome.replayed.size == built.replayed().length


@pytest.mark.parametrize("name", SMALL)
def test_a_clean_image_is_left_as_it_is_to_the_byte(name: str) -> None:
    file = Recorder(good(name).to_bytes())
    assert replay_target(file) is None
    assert file.events == []


def test_a_clean_file_keeps_its_time(tmp_path: Path) -> None:
    path = good("dynamic-plain").write(tmp_path / "disk.vhdx")
    os.utime(path, (1, 1))
    assert not replay(path).is_changed
    assert path.stat().st_mtime == 1


def test_a_dry_run_tells_the_same_and_changes_nothing(tmp_path: Path) -> None:
    path = good("dirty-everything").write(tmp_path / "disk.vhdx")
    path.chmod(0o444)
    before = path.read_bytes()
    told = replay(path, dry_run=True)
    assert (told.is_changed, told.is_locked) == (False, False)
    assert path.read_bytes() == before
    done = replay(path)
    assert done.is_changed
    assert told.replayed is not None
    assert done.replayed is not None
    assert told.replayed == done.replayed


def test_children_keep_their_parent(tmp_path: Path) -> None:
    """QEMU gives a parent that it replays a new DataWriteGuid, and its children are orphans."""
    built = good_chain("dirty-parent")
    chain = built.write(tmp_path)
    with vhdx_kaitai.open(chain.path) as disk:
        before = disk.pread(disk.size, 0)
    for path in chain.paths:
        replay(path)
    with vhdx_kaitai.open(chain.path, replay="refuse") as disk:
        assert all(image.log_state == "clean" for image in disk.chain)
        assert disk.pread(disk.size, 0) == before == built.model.read(0, disk.size)


@pytest.mark.parametrize("name", REFUSED)
def test_an_image_that_is_refused_is_left_as_it_is(name: str) -> None:
    built = damaged(name)
    if built.length > 64 * MIB:
        pytest.skip("too large to be copied")
    file = Recorder(built.to_bytes())
    with pytest.raises((FormatError, LimitError)):
        replay_target(file)
    assert file.events == []


def test_a_log_of_another_version_is_not_replayed() -> None:
    layout = dirty(small())
    layout.set_headers(log_version=1)
    file = Recorder(layout.build().to_bytes())
    with pytest.raises(FormatError, match="LogVersion 1") as caught:
        replay_target(file)
    assert caught.value.finding.rule == "HDR-09"
    assert file.events == []


def test_an_error_is_about_the_file(tmp_path: Path) -> None:
    layout = dirty(small())
    for header in layout.headers:
        header.sequence_number = 2**64 - 1
    layout.headers[0].sequence_number -= 1
    path = layout.build().write(tmp_path / "disk.vhdx")
    before = path.read_bytes()
    for attempt in (replay, lambda name: replay(name, lock=True)):
        with pytest.raises(VhdxError, match="HDR-28") as caught:
            attempt(path)
        assert caught.value.path == str(path)
    assert path.read_bytes() == before


def test_a_file_in_use_is_left_as_it_is(tmp_path: Path) -> None:
    path = good("dirty-everything").write(tmp_path / "disk.vhdx")
    before = path.read_bytes()
    with closing(FileTarget(str(path))), pytest.raises(InUseError):
        replay(path)
    assert path.read_bytes() == before
    assert replay(path).is_changed


def test_a_link_stays_and_the_file_that_it_leads_to_is_replayed(tmp_path: Path) -> None:
    path = good("dirty-everything").write(tmp_path / "disk.vhdx")
    (tmp_path / "link.vhdx").symlink_to(path)
    assert replay(tmp_path / "link.vhdx").is_changed
    assert (tmp_path / "link.vhdx").is_symlink()
    assert not replay(path).is_changed
    assert files_in(tmp_path) == {"disk.vhdx", "link.vhdx"}


# -- failures -------------------------------------------------------------------------------------

FAULTY = SUBJECTS["dirty-everything"]
CALLS = len(FAULTY().events)


@pytest.mark.parametrize("part", [0.0, 0.5], ids=["nothing", "half of it"])
@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "full"), OSError(errno.EIO, "broken"), KeyboardInterrupt()],
    ids=["ENOSPC", "EIO", "interrupt"],
)
def test_whatever_fails_the_file_can_be_replayed_again(error: BaseException, part: float) -> None:
    subject = FAULTY()
    for fails_at in range(CALLS):
        file = Faulty(subject.before, fails_at, error, part)
        with pytest.raises(type(error)):
            replay_target(file)
        assert file.calls_after == 0
        assert subject.wrong_with(file.data) is None
        again = Recorder(file.data)
        if replay_target(again) is not None:
            assert subject.wrong_at_the_end(again.data) is None


def test_a_failure_is_told_with_the_name_of_the_file_which_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = good("dirty-everything").write(tmp_path / "disk.vhdx")
    before = open_descriptors()

    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(OSError, match="Input/output") as caught:
            replay(path)
    assert caught.value.filename == str(path)
    del caught
    assert open_descriptors() <= before
    assert replay(path).is_changed


_KILLED = """
import os, signal, sys
from vhdx_kaitai.writing.replay import replay
left, system = int(sys.argv[2]), os.pwrite
def write(fd, data, offset):
    global left
    left -= 1
    if left < 0:
        system(fd, data[:len(data) // 2], offset)
        os.kill(os.getpid(), signal.SIGKILL)
    return system(fd, data, offset)
os.pwrite = write
replay(sys.argv[1])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes are not killed so")
@pytest.mark.parametrize("writes", [0, 1, 2, 5, 9])
def test_a_process_that_is_killed_leaves_a_file_that_can_be_replayed(
    writes: int, tmp_path: Path
) -> None:
    subject = FAULTY()
    path = tmp_path / "disk.vhdx"
    path.write_bytes(subject.before)
    words = [sys.executable, "-c", _KILLED, str(path), str(writes)]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    assert subject.wrong_with(path.read_bytes()) is None
    replay(path)
    assert subject.wrong_with(path.read_bytes(), thoroughly=True) is None


def test_zeros_of_a_hostile_log_cost_no_more_than_what_is_stored(tmp_path: Path) -> None:
    """A descriptor may ask for zeros up to the end of a file of any length."""
    layout = dirty(small(), hide=(), extra=[Zero(100 * MIB, 1 << 43)])
    path = layout.build().write(tmp_path / "disk.vhdx")
    outcome = replay(path)
    assert outcome.replayed is not None
    assert path.stat().st_size == outcome.replayed.size
    assert path.stat().st_blocks * 512 < 16 * MIB


# -- others ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["dirty-bat", "dirty-everything", "dirty-older-state", "log-extends-the-file"]
)
def test_qemu_reads_what_was_replayed_as_we_read_it_before(name: str, tmp_path: Path) -> None:
    built = good(name)
    path = built.write(tmp_path / "disk.vhdx")
    with vhdx_kaitai.open(path) as disk:
        before = disk.pread(disk.size, 0)
    replay(path)
    raw = tmp_path / "disk.raw"
    qemu_img("convert", "-f", "vhdx", "-O", "raw", path, raw)
    assert raw.read_bytes() == before == built.model.read(0, len(before))
    qemu_img("check", "-f", "vhdx", path)


def test_the_dirty_real_image_reads_the_same_after_replay(
    samples: Callable[[str], Path], tmp_path: Path
) -> None:
    path = tmp_path / "disk.vhdx"
    path.write_bytes(samples("iotest-dirtylog-10G-4M.vhdx.bz2").read_bytes())
    before = stored_in(path)
    assert len(before) > 2
    assert replay(path).is_changed
    assert stored_in(path) == before
    assert vhdx_kaitai.check(path).verdict == "clean"
    data = path.read_bytes()
    assert [str(Stored(data, copy).data_write_guid) for copy in (1, 2)] == [
        "5ab1b2ee-2f64-2e40-8a9b-0f0bcfdcd544"
    ] * 2
