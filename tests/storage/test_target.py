"""Files that are written: whole or not at all, with the rights of what they replace."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.copying.devices import device, fake, loop
from tests.images.structures import KIB, MIB
from tests.reading_fixtures import needs_proc, open_descriptors
from tests.support import files_in
from vhdx_kaitai.errors import UnsupportedError
from vhdx_kaitai.storage.source import FileSource
from vhdx_kaitai.storage.target import FileTarget, OutFile, new_file

__all__ = ["device", "fake", "loop"]  # fixtures

IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def write(
    path: Path,
    data: bytes = b"new",
    *,
    replace: bool = True,
    meanwhile: Callable[[], object] | None = None,
) -> None:
    """Write a file, and do something before it is whole."""
    with new_file(str(path), replace=replace) as out:
        out.set_length(len(data))
        out.write(data, 0)
        if meanwhile is not None:
            meanwhile()


def failing(error: BaseException) -> Callable[[], None]:
    """Return a function that raises an exception."""

    def fail() -> None:
        raise error

    return fail


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


# -- whole or not at all ------------------------------------------------------------------------


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    with new_file(str(tmp_path / "out")) as out:
        out.write(b"end", 7)
        out.write(b"start", 0)
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "out").read_bytes() == b"start\0\0end"
    assert files_in(tmp_path) == {"out"}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "x"), ValueError()])
@pytest.mark.parametrize("is_there", [False, True])
def test_what_fails_leaves_all_as_it_was(
    is_there: bool, error: BaseException, tmp_path: Path
) -> None:
    if is_there:
        (tmp_path / "out").write_bytes(b"before")
    with pytest.raises(type(error)):
        write(tmp_path / "out", meanwhile=failing(error))
    assert files_in(tmp_path) == ({"out"} if is_there else set())
    assert not is_there or (tmp_path / "out").read_bytes() == b"before"


@needs_proc
@pytest.mark.parametrize("fails", [False, True])
def test_no_descriptor_stays_open(
    fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EACCES, "no")

    before = open_descriptors()
    if fails:
        monkeypatch.setattr(os, "replace", refuse)
        with pytest.raises(OSError, match="no"):
            write(tmp_path / "out")
    else:
        write(tmp_path / "out")
    assert open_descriptors() == before


def test_what_others_left_is_no_obstacle(tmp_path: Path) -> None:
    """It is not touched either: its writer may still be at work."""
    with new_file(str(tmp_path / "one")) as one, new_file(str(tmp_path / "two")) as two:
        (first, second) = sorted(files_in(tmp_path))
        one.write(b"1", 0)
        two.write(b"2", 0)
    assert [(tmp_path / name).read_bytes() for name in ("one", "two")] == [b"1", b"2"]
    for name in (first, second):
        (tmp_path / name).symlink_to("elsewhere")
    write(tmp_path / "out")
    assert files_in(tmp_path) == {"one", "two", "out", first, second}
    assert (tmp_path / "out").read_bytes() == b"new"


def test_threads_write_files_of_their_own(tmp_path: Path) -> None:
    def many(number: int) -> None:
        for turn in range(20):
            write(tmp_path / f"{number}", bytes([number, turn]))

    threads = [threading.Thread(target=many, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert files_in(tmp_path) == {str(number) for number in range(8)}
    assert all((tmp_path / f"{n}").read_bytes() == bytes([n, 19]) for n in range(8))


# -- what it replaces ---------------------------------------------------------------------------


def test_a_file_that_may_not_be_replaced_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_bytes(b"before")
    with pytest.raises(FileExistsError) as caught:
        write(out, replace=False)
    assert caught.value.filename == str(out)
    assert out.read_bytes() == b"before"
    assert files_in(tmp_path) == {"out"}


def test_nor_is_one_replaced_that_appears_meanwhile(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(FileExistsError):
        write(out, replace=False, meanwhile=lambda: out.write_bytes(b"of another program"))
    assert out.read_bytes() == b"of another program"
    assert files_in(tmp_path) == {"out"}


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755, 0o444, 0o4750])
@pytest.mark.usefixtures("umask")
def test_a_new_file_has_the_mode_of_the_one_it_replaces(mode: int, tmp_path: Path) -> None:
    """All the time: what only its owner may read, is read by nobody else meanwhile."""
    out = tmp_path / "out"
    out.write_bytes(b"before")
    out.chmod(mode)
    with new_file(str(out)) as file:
        assert stat.S_IMODE(os.fstat(file.fd).st_mode) == mode
        file.write(b"new", 0)
        file.set_length(100)
    # To write takes the right to run as somebody else away, from everybody but root.
    assert stat.S_IMODE(out.stat().st_mode) | (mode & 0o4000) == mode
    assert out.stat().st_size == 100


@pytest.mark.skipif(not IS_ROOT, reason="only the superuser gives files away")
def test_a_new_file_has_the_owner_of_the_one_it_replaces(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_bytes(b"before")
    os.chown(out, 1234, 5678)
    write(out)
    assert (out.stat().st_uid, out.stat().st_gid) == (1234, 5678)


@pytest.mark.parametrize(
    ("is_group_kept", "mode", "expected"),
    [
        (True, 0o640, 0o640),
        (True, 0o6755, 0o755),
        (False, 0o640, 0o600),
        (False, 0o664, 0o644),
        (False, 0o604, 0o644),
        (False, 0o2770, 0o700),
    ],
)
def test_a_group_that_is_not_the_former_one_may_do_what_everybody_may(
    is_group_kept: bool,
    mode: int,
    expected: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def change(_fd: int, user: int, _group: int) -> None:
        if user != -1 or not is_group_kept:
            raise PermissionError(errno.EPERM, "only root gives files away")

    out = tmp_path / "out"
    out.write_bytes(b"before")
    out.chmod(mode)
    monkeypatch.setattr(os, "fchown", change)
    write(out)
    assert stat.S_IMODE(out.stat().st_mode) == expected


@pytest.mark.parametrize(("mask", "mode"), [(0, 0o666), (0o022, 0o644), (0o027, 0o640)])
def test_a_file_that_replaces_none_may_be_read_by_whom_the_user_lets(
    mask: int, mode: int, tmp_path: Path
) -> None:
    before = os.umask(mask)
    try:
        write(tmp_path / "out")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == mode


@pytest.mark.parametrize("is_there", [False, True])
def test_a_link_stays_and_what_it_leads_to_is_replaced(is_there: bool, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    if is_there:
        (store / "real").write_bytes(b"before")
        (store / "real").chmod(0o604)
    (store / "middle").symlink_to("real")
    (tmp_path / "link").symlink_to("store/middle")
    with new_file(str(tmp_path / "link")) as out:
        out.write(b"new", 0)
        # It may be on another file system.
        assert len(files_in(store)) == 2 + is_there
    assert os.readlink(tmp_path / "link") == "store/middle"
    assert os.readlink(store / "middle") == "real"
    assert (store / "real").read_bytes() == b"new"
    assert not (store / "real").is_symlink()
    assert not is_there or stat.S_IMODE((store / "real").stat().st_mode) == 0o604
    assert files_in(store) == {"middle", "real"}


@pytest.mark.parametrize("name", ["folder", "pipe", "loop", "folder/", "none/out", "", "to pipe"])
def test_what_cannot_be_replaced_or_created_is_refused_by_its_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkdir("folder")
    os.mkfifo("pipe")
    os.symlink("loop", "loop")
    os.symlink("pipe", "to pipe")
    with pytest.raises(OSError) as caught, new_file(name):  # noqa: PT011 - which one varies
        pytest.fail("it was opened")
    assert caught.value.filename == name
    assert caught.value.strerror
    assert files_in(tmp_path) == {"folder", "pipe", "loop", "to pipe"}
    assert files_in(tmp_path / "folder") == set()


# -- errors -------------------------------------------------------------------------------------


CALLS = ["open", "pwrite", "ftruncate", "close", "replace", "fchmod", "stat"]


@pytest.mark.parametrize("call", CALLS)
def test_an_error_of_writing_names_the_file_that_the_user_named(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the name that it has while it is written, nor that of what a link leads to, nor none."""
    (tmp_path / "real").write_bytes(b"before")
    (tmp_path / "link").symlink_to("real")
    real: Callable[..., Any] = getattr(os, call)
    is_armed = True

    def fail(*arguments: Any, **options: Any) -> Any:
        nonlocal is_armed
        if not is_armed:
            return real(*arguments, **options)
        is_armed = False
        if call == "close":
            real(*arguments)
        raise OSError(errno.EDQUOT, "Quota exceeded", tmp_path / "whatever")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OSError, match="Quota") as caught:
            write(tmp_path / "link")
    assert caught.value.filename == str(tmp_path / "link")
    assert caught.value.errno == errno.EDQUOT
    assert caught.value.filename2 is None
    assert (tmp_path / "real").read_bytes() == b"before"
    assert files_in(tmp_path) == {"real", "link"}


def test_errors_of_others_keep_their_own_names(tmp_path: Path) -> None:
    """Those of reading what is to be written, for example."""
    for error in (OSError(errno.EIO, "x"), OSError(errno.EIO, "x", "disk.vhdx")):
        with pytest.raises(OSError, match="x") as caught:
            write(tmp_path / "out", meanwhile=failing(error))
        assert caught.value is error


# -- writing ------------------------------------------------------------------------------------


@pytest.fixture
def out(tmp_path: Path) -> Iterator[OutFile]:
    with new_file(str(tmp_path / "out")) as file:
        yield file


def content(out: OutFile) -> bytes:
    return Path(f"/proc/self/fd/{out.fd}").read_bytes()


@needs_proc
@pytest.mark.parametrize("most", [1, 1000, 4096])
def test_a_system_that_writes_less_than_it_is_told_is_told_again(
    most: int, out: OutFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: system(fd, data[:most], at))
    data = os.urandom(5000)
    out.write(data, 100)
    assert content(out) == bytes(100) + data


def test_much_is_written_in_parts(out: OutFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ext4 can take ten times as long for it at once."""
    system, lengths = os.pwrite, []

    def count(fd: int, data: bytes, at: int) -> int:
        lengths.append(len(data))
        return system(fd, data, at)

    monkeypatch.setattr(os, "pwrite", count)
    out.write(bytes(2 * MIB + 1), 5)
    assert lengths == [512 * KIB] * 4 + [1]


@needs_proc
def test_without_positional_writes_threads_do_not_get_into_each_others_way(
    out: OutFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pwrite")
    pieces = [os.urandom(KIB) for _ in range(400)]

    def every_fourth(first: int) -> None:
        for number in range(first, len(pieces), 4):
            out.write(pieces[number], number * KIB)

    threads = [threading.Thread(target=every_fourth, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert content(out) == b"".join(pieces)


@needs_proc
def test_what_is_not_there_to_be_shared_is_told(tmp_path: Path, out: OutFile) -> None:
    """The kernel says 0 where a file was cut, and would go on to say so."""
    (tmp_path / "in").write_bytes(b"x" * 5000)
    source = FileSource(str(tmp_path / "in"))
    try:
        assert out.share(source, 1000, 4000, 0) == 4000
        os.truncate(tmp_path / "in", 3000)
        assert out.share(source, 1000, 4000, 4000) == 2000
        assert out.share(source, 3000, 1000, 6000) == 0
    finally:
        source.close()
    assert content(out) == b"x" * 6000


def test_a_file_system_without_room_for_sharing_is_told(tmp_path: Path, out: OutFile) -> None:
    """Whether it can or not: nothing of the trial is left in the file."""
    (tmp_path / "in").write_bytes(b"x" * 128 * KIB)
    source = FileSource(str(tmp_path / "in"))
    out.can_share(source)
    source.close()
    assert os.fstat(out.fd).st_size == 0


# -- on the medium ------------------------------------------------------------------------------


def recorded(monkeypatch: pytest.MonkeyPatch, *names: str) -> list[str]:
    """Return a list of the calls of the system that are made from now on."""
    calls: list[str] = []

    def watch(name: str) -> None:
        real = getattr(os, name)

        def call(*arguments: Any) -> Any:
            calls.append(name)
            return real(*arguments)

        monkeypatch.setattr(os, name, call)

    for name in names:
        watch(name)
    return calls


@pytest.mark.parametrize("is_link", [False, True])
def test_a_durable_file_is_flushed_before_it_has_its_name_and_its_folder_after(
    is_link: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "store").mkdir()
    path = tmp_path / "store" / "out"
    if is_link:
        path = tmp_path / "link"
        path.symlink_to("store/out")
    folders: list[str] = []
    real = os.fsync

    def flush_folder(fd: int) -> None:
        folders.append(os.readlink(f"/proc/self/fd/{fd}"))
        real(fd)

    calls = recorded(monkeypatch, "fdatasync", "replace")
    monkeypatch.setattr(os, "fsync", flush_folder)
    with new_file(str(path), is_durable=True) as out:
        out.write(b"new", 0)
    assert calls == ["fdatasync", "replace"]
    assert folders == [os.path.realpath(tmp_path / "store")]
    assert (tmp_path / "store" / "out").read_bytes() == b"new"


def test_other_files_are_not_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = recorded(monkeypatch, "fdatasync", "fsync")
    write(tmp_path / "out")
    assert calls == []


def test_a_file_whose_flush_fails_gets_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    with (
        pytest.raises(OSError, match="Input") as caught,
        new_file(str(tmp_path / "out"), is_durable=True) as out,
    ):
        out.write(b"new", 0)
    assert caught.value.filename == str(tmp_path / "out")
    assert files_in(tmp_path) == set()


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EIO])
def test_a_folder_that_is_never_flushed_is_put_up_with(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems have no way for it; that one failed is told."""

    def fail(_fd: int) -> None:
        raise OSError(number, "failed")

    monkeypatch.setattr(os, "fsync", fail)
    with contextlib.suppress(*([OSError] if number == errno.EIO else [])):
        with new_file(str(tmp_path / "out"), is_durable=True) as out:
            out.write(b"new", 0)
        assert number == errno.EINVAL
    assert files_in(tmp_path) == {"out"}


def test_a_file_is_read_before_it_has_its_name(tmp_path: Path) -> None:
    """Whoever opens its path gets another descriptor of it, whatever may be there by then."""
    with new_file(str(tmp_path / "out")) as out:
        out.write(b"new", 0)
        assert out.place is not None
        assert os.path.dirname(out.place) == str(tmp_path)
        source = FileSource(out.place, out.reopen)
        assert source.read(0, 3) == b"new"
        source.close()
        out.write(b"w", 2)


@pytest.mark.parametrize("has_call", [False, True])
def test_room_is_allocated(has_call: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_call:
        monkeypatch.delattr(os, "posix_fallocate")
    with new_file(str(tmp_path / "out")) as out:
        out.allocate(MIB + 5)
        out.begin_flush(0, MIB)
        out.flush()
    status = (tmp_path / "out").stat()
    assert status.st_size == MIB + 5
    assert status.st_blocks * 512 >= MIB + 5
    assert (tmp_path / "out").read_bytes() == bytes(MIB + 5)


@pytest.mark.skipif(not hasattr(os, "preadv"), reason="nothing is written in place")
def test_what_is_on_a_block_device_is_not_changed_in_place(device: Path) -> None:
    before = device.read_bytes()
    with pytest.raises(UnsupportedError, match="on a block device is not changed in place"):
        FileTarget(str(device))
    assert device.read_bytes() == before
