"""Files that other file systems of fsspec have: an object store, memory, this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from tests.images.sparse import pattern
from tests.images.structures import KIB, MIB
from vhdx_kaitai.errors import ReplacedError, UnsupportedError
from vhdx_kaitai.storage.remote import names_in
from vhdx_kaitai.storage.source import RemoteSource, open_source

SIZE = 3 * MIB + 1000


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    system.pipe("/images/a.vhdx", pattern(1, 0, SIZE))
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def asked(monkeypatch: pytest.MonkeyPatch, system: Any) -> list[Any]:
    """Return what is asked of a file system from now on, as it comes."""
    calls: list[Any] = []
    cat_file, info = type(system).cat_file, type(system).info

    def note_range(self: Any, path: str, start: int = 0, end: int = 0, **rest: Any) -> Any:
        calls.append((start, end))
        return cat_file(self, path, start, end, **rest)

    def note_info(self: Any, path: str, **rest: Any) -> Any:
        calls.append("info")
        return info(self, path, **rest)

    monkeypatch.setattr(type(system), "cat_file", note_range)
    monkeypatch.setattr(type(system), "info", note_info)
    return calls


def test_a_file_is_asked_for_once_and_after_each_range(
    memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = asked(monkeypatch, memory)
    source = open_source("memory://images/a.vhdx")
    assert isinstance(source, RemoteSource)
    assert (source.size, source.path) == (SIZE, "memory://images/a.vhdx")
    assert source.read(MIB, 10) == pattern(1, MIB, 10)
    assert source.read(MIB, 20) == pattern(1, MIB, 20)
    assert calls[:2] == ["info", (MIB, MIB + 64 * KIB)]
    assert calls[-1] == "info"


@pytest.mark.parametrize("size", [SIZE, SIZE + 1, MIB, 0])
def test_a_file_that_is_replaced_fails(memory: Any, size: int) -> None:
    source = open_source("memory://images/a.vhdx")
    assert source.read(0, 10) == pattern(1, 0, 10)
    memory.pipe("/images/a.vhdx", pattern(2, 0, size))
    with pytest.raises(ReplacedError):
        source.read(MIB, 10)
    assert source.read(0, 10) == pattern(1, 0, 10)


def test_a_file_that_is_replaced_during_a_request_fails(
    memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source("memory://images/a.vhdx")
    cat_file = type(memory).cat_file

    def swap(self: Any, path: str, start: int = 0, end: int = 0) -> Any:
        memory.pipe("/images/a.vhdx", pattern(2, 0, SIZE))
        return cat_file(self, path, start, end)

    monkeypatch.setattr(type(memory), "cat_file", swap)
    with pytest.raises(ReplacedError):
        source.read(MIB, 10)


@pytest.mark.parametrize("answer", [b"", b"short", bytes(64 * KIB + 1)])
def test_an_answer_of_another_length_is_not_believed(
    memory: Any, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    source = open_source("memory://images/a.vhdx")
    monkeypatch.setattr(type(memory), "cat_file", lambda *_, **__: answer)
    with pytest.raises(OSError, match="65536 bytes were asked for"):
        source.read(MIB, 10)


@pytest.mark.parametrize("size", [None, -1, "many"])
def test_a_file_of_no_known_length_is_not_read(
    memory: Any, monkeypatch: pytest.MonkeyPatch, size: object
) -> None:
    told = {"size": size, "type": "file"}
    monkeypatch.setattr(type(memory), "info", lambda *_, **__: told)
    with pytest.raises(OSError, match="how long the file is"):
        open_source("memory://images/a.vhdx")


def test_what_is_no_file_is_refused(memory: Any) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        open_source("memory://images/b.vhdx")
    assert caught.value.filename == "memory://images/b.vhdx"
    with pytest.raises(IsADirectoryError):
        open_source("memory://images")
    assert memory.exists("/images/a.vhdx")


def test_whatever_a_file_system_raises_is_an_error_of_the_system(
    memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> bytes:
        raise KeyError("token=hidden at memory://images/a.vhdx?token=hidden")

    source = open_source("memory://images/a.vhdx")
    monkeypatch.setattr(type(memory), "cat_file", fail)
    with pytest.raises(OSError, match=r"KeyError: .*a\.vhdx\?\.\.\.") as caught:
        source.read(MIB, 10)
    assert caught.value.filename == "memory://images/a.vhdx"


def test_a_folder_tells_its_names(memory: Any) -> None:
    memory.pipe("/images/below/c.vhdx", b"")
    assert names_in("memory://images/") == ["a.vhdx", "below"]
    with pytest.raises(FileNotFoundError):
        names_in("memory://nothing/")
    assert names_in("https://host/d/") == []  # which costs no request


def test_a_file_here_may_have_a_url(tmp_path: Path) -> None:
    path = tmp_path / "a.vhdx"
    path.write_bytes(pattern(1, 0, SIZE))
    source = open_source(f"file://{path}")
    assert source.read(MIB, 10) == pattern(1, MIB, 10)
    os.utime(path, ns=(1, 1))
    with pytest.raises(ReplacedError):
        source.read(2 * MIB, 10)


def test_a_file_in_an_archive_is_read(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("d/a.vhdx", pattern(1, 0, SIZE))
    source = open_source(f"zip://d/a.vhdx::file://{tmp_path}/a.zip")
    assert source.read(MIB, 10) == pattern(1, MIB, 10)


def test_a_scheme_that_nothing_knows_is_unsupported() -> None:
    for url in ("nothing://a/b", "file2://x"):
        with pytest.raises(UnsupportedError, match="no way to read"):
            open_source(url)
