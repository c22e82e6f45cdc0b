"""What tests of new images share: who else opens them, and in which order they were written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import vhdx_kaitai
from tests.crash.machine import cuts
from tests.crash.recorder import Event, Flush, Length, Write, applied
from tests.images.image import Built
from tests.images.structures import HEADER_OFFSETS, MIB
from tests.reading_fixtures import qemu_img, run_program
from vhdx_kaitai.errors import VhdxError
from vhdx_kaitai.reading.image import Image

SIGNATURE = b"vhdxfile"
CREATOR = f"vhdx-kaitai {vhdx_kaitai.__version__}"


def assert_clean(path: Path) -> None:
    """Show that no rule has anything to say of a file, not even a note."""
    report = vhdx_kaitai.check(path)
    assert (report.verdict, report.findings) == ("clean", ())


def assert_others_open(path: Path, size: int, *, is_alone: bool = True, sector: int = 512) -> None:
    """Show that QEMU, 7-Zip and libvhdi open a file, as far as they know what is in it."""
    if is_alone and sector == 512:  # QEMU reads no others
        assert b"No errors were found" in qemu_img("check", path)
        assert f'"virtual-size": {size}'.encode() in qemu_img("info", "--output=json", path)
    if is_alone and size % MIB == 0:  # 7-Zip refuses others, for want of the right mask
        listed = run_program(("7z", "7zz"), "l", "-tVHDX", path)
        assert str(size).encode() in listed
    assert f"({size} bytes)".encode() in run_program("vhdiinfo", path)


def guids_in(data: bytes) -> tuple[UUID, UUID]:
    """Return FileWriteGuid and DataWriteGuid of the first header, which nobody can foresee."""
    raw = data[HEADER_OFFSETS[0] + 16 :][:32]
    return UUID(bytes_le=raw[:16]), UUID(bytes_le=raw[16:])


def assert_is(path: Path, expected: Callable[[UUID, UUID], Built]) -> None:
    """Show that a file is what the builder of the test images makes, to the byte.

    Args:
        path: The file.
        expected: Makes it, given the two GUIDs that every file has anew.
    """
    data = path.read_bytes()
    guids = guids_in(data)
    assert len({*guids, UUID(int=0)}) == 3
    assert data == expected(*guids).to_bytes()


# -- in which order a file is written -------------------------------------------------------------


class Recording:
    """What is done to new files from now on, as the system is told it.

    Attributes:
        events: What was done to the one file, as the crash machine takes it.
        names: The names of all calls in order: what gives the file its name, too.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[Event] = []
        self.names: list[str] = []
        self._monkeypatch = monkeypatch
        self._watch("pwrite", lambda _fd, data, at: Write(at, bytes(data)))
        self._watch("ftruncate", lambda _fd, length: Length(length))
        self._watch("posix_fallocate", lambda _fd, at, length: Length(at + length))
        self._watch("fdatasync", lambda _fd: Flush())
        self._watch("replace", lambda *_: None)
        self._watch("fsync", lambda _fd: None)

    def _watch(self, name: str, event: Callable[..., Event | None]) -> None:
        real = getattr(os, name)

        def call(*arguments: Any) -> Any:
            self.names.append(name)
            done = event(*arguments)
            if done is not None:
                self.events.append(done)
            return real(*arguments)

        self._monkeypatch.setattr(os, name, call)

    def complaints(self, count: int) -> Iterator[str]:
        """Yield what is wrong with what cuts of the power leave, and with the order at the end.

        What begins as a VHDX file has to be whole; and all has to be on the medium before the
        file gets its name, and the name when the folder was flushed.
        """
        if self.names[-3:] != ["fdatasync", "replace", "fsync"]:
            yield f"it ends with {self.names[-3:]}"
        whole = bytes(applied(b"", self.events))
        for cut in cuts(b"", self.events, count, 1):
            yield from _wrong_with(cut.what, bytes(cut.data), whole)


def _wrong_with(what: str, data: bytes, whole: bytes) -> Iterator[str]:
    if data[:8] != SIGNATURE:
        return
    if data[1 << 16 :] != whole[1 << 16 :]:
        yield f"{what}: it begins as a VHDX file and is none yet"
        return
    try:
        Image(data)
    except VhdxError as error:
        yield f"{what}: {error}"
