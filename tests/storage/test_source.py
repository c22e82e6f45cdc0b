"""Exact, bounded reads: all of the bytes or an error, from files, buffers and file objects."""

from __future__ import annotations

import contextlib
import copy
import errno
import io
import mmap
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.images.sparse import Sparse, pattern
from tests.images.structures import MIB
from tests.reading_fixtures import open_descriptors
from tests.support import SparseSource
from vhdx_kaitai.errors import TruncatedError
from vhdx_kaitai.storage.overlay import Overlay, Update
from vhdx_kaitai.storage.source import (
    BufferSource,
    Cursor,
    FileObjectSource,
    FileSource,
    Source,
    open_source,
)

CONTENT = pattern(3, 0, 10_000)


def as_file(path: Path) -> Source:
    return open_source(str(path))


def as_bytes(path: Path) -> Source:
    return open_source(path.read_bytes())


def as_mmap(path: Path) -> Source:
    with path.open("rb") as file:
        return open_source(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def as_file_object(path: Path) -> Source:
    return open_source(io.BytesIO(path.read_bytes()))


def as_replayed(path: Path) -> Source:
    """Half of the file, the rest of it from a log that stands in its first half."""
    data = path.read_bytes()
    half = len(data) // 2
    update = Update(half, len(data), 0, data[half:-1], data[-1:])
    return Overlay(BufferSource(data[:half]), [update], len(data))


WAYS: dict[str, Callable[[Path], Source]] = {
    "file": as_file,
    "bytes": as_bytes,
    "mmap": as_mmap,
    "file object": as_file_object,
    "replayed": as_replayed,
}


@pytest.fixture(params=WAYS)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Source]:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    opened = WAYS[request.param](path)
    yield opened
    opened.close()
    opened.close()  # once more, harmless


# -- every kind of source -----------------------------------------------------------------------


def test_the_kinds_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    with path.open("rb") as file:
        assert type(open_source(file)) is FileObjectSource
    assert type(as_mmap(path)) is BufferSource
    assert type(as_bytes(path)) is BufferSource
    made = as_bytes(path)
    assert open_source(made) is made


def test_the_size_is_known(source: Source) -> None:
    assert source.size == len(CONTENT)


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 0), (0, 1), (0, 10_000), (9_999, 1), (10_000, 0), (4_999, 3)]
)
def test_a_read_gives_exactly_the_bytes(source: Source, offset: int, length: int) -> None:
    assert source.read(offset, length) == CONTENT[offset : offset + length]
    buffer = bytearray(b"\xee" * length)
    source.readinto(memoryview(buffer), offset)
    assert buffer == CONTENT[offset : offset + length]


OUTSIDE = [
    (0, 10_001),
    (9_999, 2),
    (10_000, 1),
    (20_000, 1),
    (2**63, 1),
    (2**64 + 5, 7),
    (-1, 1),
    (-5, 3),
]


@pytest.mark.parametrize(("offset", "length"), OUTSIDE)
def test_a_read_that_leaves_the_file_raises_and_gives_nothing(
    source: Source, offset: int, length: int
) -> None:
    with pytest.raises(TruncatedError) as caught:
        source.read(offset, length)
    assert caught.value.finding.rule == "GEN-09"
    assert f"{offset:#x}" in str(caught.value)
    assert f"expected {length}" in str(caught.value)


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 10_001), (9_999, 2), (20_000, 1), (-1, 1), (-5, 3)]
)
def test_filling_a_buffer_beyond_the_file_raises(source: Source, offset: int, length: int) -> None:
    with pytest.raises(TruncatedError):
        source.readinto(memoryview(bytearray(length)), offset)


def test_many_threads_may_read_at_once(source: Source) -> None:
    def reads(seed: int) -> bool:
        random = Random(seed)
        for _ in range(200):
            offset = random.randrange(len(CONTENT))
            length = random.randrange(min(600, len(CONTENT) - offset) + 1)
            if source.read(offset, length) != CONTENT[offset : offset + length]:
                return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(reads, range(16)))


COPIES: list[Callable[[object], object]] = [copy.copy, copy.deepcopy, pickle.dumps]
COPIES += [lambda thing: pickle.dumps(thing, 0)]


@pytest.mark.parametrize("copied", COPIES)
def test_a_source_is_neither_copied_nor_pickled(
    copied: Callable[[object], object], source: Source
) -> None:
    """The copy would be closed some day, and with it a descriptor that is none of its own."""
    with pytest.raises(TypeError, match=type(source).__name__):
        copied(source)
    assert source.read(0, 10) == CONTENT[:10]


@pytest.mark.parametrize("copied", COPIES)
def test_a_descriptor_is_neither_copied_nor_pickled(
    copied: Callable[[object], object], tmp_path: Path
) -> None:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    with contextlib.closing(FileSource(str(path))) as source:
        with pytest.raises(TypeError):
            copied(source.fd)
        assert source.read(0, 10) == CONTENT[:10]


# -- files ----------------------------------------------------------------------------------------


def test_a_file_that_shrinks_while_it_is_open_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    source = as_file(path)
    os.truncate(path, 5_000)
    assert source.read(0, 5_000) == CONTENT[:5_000]
    with pytest.raises(TruncatedError) as caught:
        source.read(4_000, 2_000)
    assert "1000 bytes there, expected 2000" in str(caught.value)
    source.close()


def test_a_file_that_grows_keeps_the_size_that_was_judged(tmp_path: Path) -> None:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    source = as_file(path)
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(TruncatedError):
        source.read(len(CONTENT), 4)
    source.close()


def test_a_large_read_may_take_several_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    source = as_file(path)
    pread, preadv = os.pread, os.preadv
    monkeypatch.setattr(os, "pread", lambda fd, length, at: pread(fd, min(length, 7), at))
    monkeypatch.setattr(os, "preadv", lambda fd, into, at: preadv(fd, [into[0][:999]], at))
    assert source.read(0, 10_000) == CONTENT
    source.close()


def test_an_error_of_the_system_passes_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    with contextlib.closing(as_file(path)) as source:
        monkeypatch.setattr(os, "pread", fail)
        with pytest.raises(OSError, match="Input/output error"):
            source.read(0, 1)


def test_a_closed_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    source = as_file(path)
    source.close()
    source.close()
    for use in (lambda: source.read(0, 1), lambda: source.readinto(memoryview(bytearray(1)), 0)):
        with pytest.raises(ValueError, match="closed"):
            use()


def test_a_file_that_is_closed_while_it_is_read_stays_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of its descriptor does not become that of another file meanwhile."""
    path, other = tmp_path / "content", tmp_path / "other"
    path.write_bytes(CONTENT)
    other.write_bytes(bytes(len(CONTENT)))
    source = FileSource(str(path))
    files: list[BufferedReader] = []
    pread = os.pread

    def late(fd: int, length: int, offset: int) -> bytes:
        source.close()
        files.extend(other.open("rb") for _ in range(3))
        return pread(fd, length, offset)

    monkeypatch.setattr(os, "pread", late)
    before = open_descriptors()
    assert source.read(10, 100) == CONTENT[10:110]
    for file in files:
        file.close()
    assert len(open_descriptors()) == len(before) - 1


def test_a_file_that_nobody_closed_is_closed_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    before = open_descriptors()
    with pytest.warns(ResourceWarning, match="was not closed"):
        FileSource(str(path))
    assert open_descriptors() == before


def finishes(action: Callable[[], object]) -> BaseException | None:
    """Run an action that must not hang, and return what it raised."""
    raised: list[BaseException] = []

    def attempt() -> None:
        try:
            action()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "it hangs"
    return raised[0] if raised else None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_named_pipe_is_no_image_and_does_not_hang(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert isinstance(finishes(lambda: open_source(path)), OSError)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev/stdin"])
def test_a_device_without_a_size_is_no_image(path: str) -> None:
    if not os.path.exists(path):
        pytest.skip(f"no {path} on this system")
    if path == "/dev/stdin" and os.path.isfile(path):
        pytest.skip("standard input is a file here")
    assert isinstance(finishes(lambda: open_source(path)), OSError)


def test_a_folder_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        open_source(tmp_path)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files are listed in /proc")
@pytest.mark.parametrize("path", ["/", "/dev/zero"])
def test_what_cannot_be_opened_is_not_left_open(path: str) -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError):  # noqa: PT011
        open_source(path)
    assert os.listdir("/proc/self/fd") == before


def test_a_child_process_does_not_inherit_the_file(tmp_path: Path) -> None:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    source = FileSource(str(path))
    assert not os.get_inheritable(source.fd)
    source.close()


def test_without_positional_reads_a_file_is_read_with_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    monkeypatch.delattr(os, "preadv")
    source = as_file(path)
    assert isinstance(source, FileObjectSource)
    assert (source.path, source.size) == (str(path), len(CONTENT))
    assert source.read(100, 50) == CONTENT[100:150]
    source.close()
    with pytest.raises(ValueError, match="closed"):
        source.read(0, 1)


def test_what_the_system_says_of_a_file_is_passed_on(tmp_path: Path) -> None:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    with path.open("rb") as file:
        sources = [as_file(path), open_source(file), Overlay(as_file(path), [], 1)]
        for source in sources:
            status = source.status()
            assert status is not None
            assert os.path.samestat(status, path.stat())
            source.close()
    for source in (as_bytes(path), open_source(io.BytesIO(CONTENT)), SparseSource(Sparse(1))):
        assert source.status() is None


# -- holes ----------------------------------------------------------------------------------------


@pytest.fixture
def holey(tmp_path: Path) -> Iterator[FileSource]:
    """A file of 6 MiB with data in its first, third and fourth MiB."""
    path = tmp_path / "holey"
    with path.open("wb") as file:
        for number in (0, 2, 3):
            file.seek(number * MIB)
            file.write(b"x" * MIB)
        file.truncate(6 * MIB)
    if path.stat().st_blocks * 512 > 4 * MIB:
        pytest.skip("no holes on this file system")
    with contextlib.closing(FileSource(str(path))) as source:
        yield source


HOLES = [
    (0, 6, [(0, 1), (2, 4)]),
    (1, 6, [(2, 4)]),
    (1, 3, [(2, 3)]),
    (3, 4, [(3, 4)]),
    (4, 6, []),
    (4, 5, []),
    (1, 2, []),
    (1, 1, []),
    (3, 3, []),
    (6, 6, []),
]


@pytest.mark.parametrize(("start", "end", "stored"), HOLES)
def test_holes_are_left_out(
    start: int, end: int, stored: list[tuple[int, int]], holey: FileSource
) -> None:
    found = [(low // MIB, high // MIB) for low, high in holey.stored_ranges(start * MIB, end * MIB)]
    assert found == stored


@pytest.mark.parametrize("length", [0, 1, 4096, MIB, 3 * MIB + 1, 5 * MIB, 6 * MIB - 1])
@pytest.mark.parametrize(("start", "end", "stored"), HOLES)
def test_what_was_cut_off_is_no_hole(
    start: int, end: int, stored: list[tuple[int, int]], length: int, holey: FileSource
) -> None:
    """It is told as stored, so that it is read, which raises."""
    assert holey.path is not None
    os.truncate(holey.path, length)
    told = bytearray(6 * MIB)
    found = list(holey.stored_ranges(start * MIB, end * MIB))
    assert len(found) <= 3
    for low, high in found:
        assert low < high
        told[low:high] = b"x" * (high - low)
    for low, high in stored:
        assert told.count(b"x", low * MIB, high * MIB) == (high - low) * MIB
    assert 0 not in told[max(start * MIB, length) : end * MIB]
    assert told.count(b"x", 0, start * MIB) == told.count(b"x", end * MIB) == 0


def test_the_length_of_a_file_is_asked_after_its_hole(
    holey: FileSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut in between, it would have been long enough before."""
    seek, is_cut = os.lseek, False

    def cut(fd: int, offset: int, whence: int) -> int:
        nonlocal is_cut
        if not is_cut:
            is_cut = True
            assert holey.path is not None
            os.truncate(holey.path, 4 * MIB)
        return seek(fd, offset, whence)

    monkeypatch.setattr(os, "lseek", cut)
    assert holey.hole_end(5 * MIB, 6 * MIB) == 5 * MIB


def test_a_system_that_knows_of_no_holes_has_none(
    holey: FileSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> int:
        raise OSError(errno.EINVAL, "never heard of it")

    monkeypatch.setattr(os, "lseek", refuse)
    assert holey.hole_end(MIB, 2 * MIB) == MIB
    assert list(holey.stored_ranges(MIB, 3 * MIB)) == [(MIB, 3 * MIB)]


# -- file objects ---------------------------------------------------------------------------------


class Slow(io.BytesIO):
    """A file that gives a few bytes at a time, and another thread time in between."""

    def read(self, size: int | None = -1, /) -> bytes:
        threading.Event().wait(0.0001)
        return super().read(7 if size is None or size < 0 else min(size, 7))


def test_a_file_object_may_give_less_than_it_is_asked_for() -> None:
    assert FileObjectSource(Slow(CONTENT)).read(100, 100) == CONTENT[100:200]


def test_seek_and_read_of_a_file_object_belong_together() -> None:
    source = FileObjectSource(Slow(CONTENT))

    def reads(offset: int) -> bool:
        return source.read(offset, 40) == CONTENT[offset : offset + 40]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(reads, range(0, 1600, 40)))


def test_a_file_object_that_ends_early_is_truncated() -> None:
    class Short(io.BytesIO):
        def seek(self, offset: int, whence: int = 0, /) -> int:
            return super().seek(offset + (50 if whence == io.SEEK_END else 0), whence)

    source = FileObjectSource(Short(CONTENT))
    assert source.size == len(CONTENT) + 50
    with pytest.raises(TruncatedError):
        source.read(len(CONTENT) - 5, 10)


def test_a_file_object_need_not_say_where_it_has_gone() -> None:
    class Silent(io.BytesIO):
        def seek(self, offset: int, whence: int = 0, /) -> int:
            super().seek(offset, whence)
            return cast("int", None)

    assert FileObjectSource(Silent(CONTENT)).read(100, 50) == CONTENT[100:150]


def test_a_file_object_that_gives_too_much_is_no_file() -> None:
    class Generous(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(None if size is None else size + 1)

    with pytest.raises(OSError, match="more than asked for"):
        FileObjectSource(Generous(CONTENT)).read(100, 50)


def test_a_path_may_be_made_of_bytes(tmp_path: Path) -> None:
    class Bytes:
        def __fspath__(self) -> str:
            return cast("str", os.fsencode(tmp_path / "content"))

    (tmp_path / "content").write_bytes(CONTENT)
    with contextlib.closing(open_source(Bytes())) as source:
        assert source.path == str(tmp_path / "content")


def test_a_file_object_is_not_closed() -> None:
    file = io.BytesIO(CONTENT)
    open_source(file).close()
    assert not file.closed


def test_the_path_of_a_file_object_is_its_name_if_that_leads_to_it(tmp_path: Path) -> None:
    """Members of archives have names, too, and those lead somewhere else."""

    class Named(io.BytesIO):
        name = str(tmp_path / "content")

    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    with path.open("rb") as file:
        assert open_source(file).path == str(path)
    assert open_source(Named(CONTENT)).path is None
    with open(os.open(path, os.O_RDONLY), "rb") as file:  # its name is a number
        assert open_source(file).path is None


# -- buffers --------------------------------------------------------------------------------------


def test_an_mmap_can_be_closed_when_its_source_is(tmp_path: Path) -> None:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    with path.open("rb") as file:
        view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    source = open_source(view)
    assert source.read(5, 5) == CONTENT[5:10]
    with pytest.raises(BufferError):
        view.close()
    source.close()
    view.close()


def test_a_buffer_of_larger_items_is_seen_as_bytes() -> None:
    data = memoryview(CONTENT[:9_600]).cast("Q", (120, 10))
    source = open_source(data)
    assert source.size == 9_600
    assert source.read(3, 10) == CONTENT[3:13]


@pytest.mark.parametrize("thing", [1, None, object(), [b"x"]])
def test_anything_else_is_a_type_error(thing: Any) -> None:
    with pytest.raises(TypeError):
        open_source(thing)


# -- the cursor -----------------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(st.just("seek"), st.integers(0, 80), st.sampled_from((0, 1, 2)))
        | st.tuples(st.just("read"), st.integers(-1, 80), st.just(0)),
        max_size=12,
    )
)
def test_a_cursor_behaves_like_a_file(steps: list[tuple[str, int, int]]) -> None:
    content = CONTENT[:50]
    cursor, file = Cursor(BufferSource(content)), io.BytesIO(content)
    assert cursor.seekable()
    for action, number, whence in steps:
        if action == "seek":
            assert cursor.seek(number, whence) == file.seek(number, whence)
        else:
            assert cursor.read(number) == file.read(number)
        assert cursor.tell() == file.tell()


def test_closing_a_cursor_leaves_its_source_alone() -> None:
    base = SparseSource(Sparse(10))
    Cursor(base).close()
    assert not base.is_closed
