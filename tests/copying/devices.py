"""Block devices to write to: of the system where one can be had, else a file taken for one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images.sparse import pattern
from tests.images.structures import MIB
from vhdx_kaitai.storage import filesystems

SIZE = 12 * MIB
BEFORE = pattern(99, 0, SIZE)


def loop_device(file: Path) -> str:
    """Return a loop device over a file, or skip the test."""
    if shutil.which("losetup") is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("a loop device takes losetup and root")
    made = subprocess.run(
        ["losetup", "--find", "--show", file], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no loop device: {made.stderr.strip()}")
    return made.stdout.strip()


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Path]:
    """A loop device full of something."""
    backing = tmp_path / "backing"
    backing.write_bytes(BEFORE)
    path = loop_device(backing)
    yield Path(path)
    subprocess.run(["losetup", "--detach", path], check=True)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file full of something that is taken for a block device."""
    path = tmp_path / "device"
    path.write_bytes(BEFORE)
    number = path.stat().st_ino
    monkeypatch.setattr(filesystems, "is_block_device", lambda status: status.st_ino == number)
    return path


@pytest.fixture(params=["fake", "loop"])
def device(request: pytest.FixtureRequest) -> Path:
    """Either of them."""
    found: Path = request.getfixturevalue(request.param)
    return found


__all__ = ["BEFORE", "SIZE", "device", "fake", "loop", "loop_device"]
