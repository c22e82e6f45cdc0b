"""What QEMU makes, writes and leaves is clean."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.checking.reports import assert_no_complaint, rules_of
from tests.images.structures import MIB
from vhdx_kaitai.checking.chain import check


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def qemu_img(*arguments: str | Path) -> None:
    argv = [program("qemu-img"), *map(str, arguments)]
    subprocess.run(argv, check=True, capture_output=True)


def qemu_io(path: Path, *commands: str) -> int:
    """Run commands of qemu-io and return its exit status."""
    options = [option for command in commands for option in ("-c", command)]
    argv = [program("qemu-io"), "-f", "vhdx", *options, str(path)]
    return subprocess.run(argv, check=False, capture_output=True).returncode


@pytest.mark.parametrize("zeroed", ["on", "off"])
@pytest.mark.parametrize("subformat", ["dynamic", "fixed"])
@pytest.mark.parametrize("megabytes", [1 << shift for shift in range(9)])
def test_what_qemu_creates_and_writes_is_clean(
    subformat: str, megabytes: int, zeroed: str, tmp_path: Path
) -> None:
    path = tmp_path / "disk.vhdx"
    options = f"subformat={subformat},block_size={megabytes}M,block_state_zero={zeroed}"
    qemu_img("create", "-q", "-f", "vhdx", "-o", options, path, "600M")
    assert_no_complaint(check(path))
    # In the order of the disk: QEMU before 8.0 may damage a page of the BAT when it writes the
    # block that comes first in it after others.
    commands = ["write -P 1 0 4k", f"write -P 2 {megabytes * 3 // 2}M 64k", "write -z 300M 1M"]
    assert qemu_io(path, *commands, "write -P 3 599M 1M") == 0
    report = check(path)
    assert_no_complaint(report)
    assert "REG-18" in rules_of(report)


@pytest.mark.parametrize("subformat", ["dynamic", "fixed"])
def test_what_qemu_converts_is_clean(subformat: str, tmp_path: Path) -> None:
    raw, path = tmp_path / "disk.raw", tmp_path / "disk.vhdx"
    with raw.open("wb") as file:
        file.truncate(40 * MIB + 512)
        for offset in (0, 7 * MIB, 40 * MIB):
            file.seek(offset)
            file.write(b"data" * 128)
    qemu_img("convert", "-O", "vhdx", "-o", f"subformat={subformat},block_size=1M", raw, path)
    report = check(path)
    assert_no_complaint(report)
    assert rules_of(report) <= {"HDR-27", "REG-18", "GEN-08", "BLK-11", "BAT-11"}


def test_what_a_killed_qemu_leaves_is_clean(tmp_path: Path) -> None:
    path = tmp_path / "disk.vhdx"
    qemu_img("create", "-q", "-f", "vhdx", "-o", "block_size=1M", path, "64M")
    assert qemu_io(path, "write -P 1 0 4k", "write -P 2 5M 4k", "flush", "sigraise 9") != 0
    assert_no_complaint(check(path))
